"""Conversations: what two programs said to each other in a capture, in turns, without the packets that carried it.

TCP and SPP streams are put in order and freed of repeats; datagrams and sequenced packets keep their boundaries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from packetlab.capture import Frame
from packetlab.errors import PacketlabError
from packetlab.wire.header import Header
from packetlab.wire.ip import IPv4, IPv6
from packetlab.wire.packet import Packet
from packetlab.wire.transport import TCP, UDP, TCPFlags
from packetlab.wire.xns import IDP, SPP, Control

KINDS = ("stream", "datagram", "seqpacket")
END = 254  # datastream type of SPP's end, and the reply's from there on


@dataclass
class Turn:
    """What one side says at a time.

    Attributes:
        by_server: who. data: the octets. header: SPP or IDP header of a packet. first: class of the header that the
            data begins with, None where none is declared. ends: this side has no more to say.
    """

    by_server: bool
    data: bytes
    header: Header | None = None
    first: type[Header] | None = None
    ends: bool = False


@dataclass
class Conversation:
    """One connection, or what one client and the server said in datagrams: turn for turn.

    Attributes:
        family: "xns" or "inet".
    """

    family: str = "inet"
    turns: list[Turn] = field(default_factory=list)


@dataclass
class _Flow:
    """One direction of a stream while it is put in order."""

    next: int | None = None
    ended: bool = False
    early: dict[int, tuple[bytes, bool, Packet]] = field(default_factory=dict)


def conversations(frames: Iterable[Frame], kind: str, port: int) -> list[Conversation]:
    """Return the conversations with the server at a port, in the order in which they began.

    Raises PacketlabError where there are none, or one lacks a packet.
    """
    if kind not in KINDS:
        raise PacketlabError("conversation: kind", f"one of {', '.join(KINDS)}", repr(kind))
    found: dict[Any, Conversation] = {}
    flows: dict[Any, _Flow] = {}
    for frame in frames:
        packet = frame.packet()
        carried = _carrier(packet, kind)
        if carried is None:
            continue
        source, target, header = carried
        if port not in (source[1], target[1]):
            continue
        by_server = (target, source) in found
        if not by_server and (source, target) not in found:
            # The server's port may be the client's too: who speaks first is the client then.
            by_server = target[1] != port
        client = (target, source) if by_server else (source, target)
        conversation = found.setdefault(client, Conversation("xns" if IDP in packet else "inet"))
        if kind == "datagram":
            data, first = _inside(packet, header)
            shown = header if isinstance(header, IDP) else None
            conversation.turns.append(Turn(by_server, data, shown, first))
        else:
            flow = flows.setdefault((client, by_server), _Flow())
            _ordered(flow, packet, header, conversation, by_server, kind)
    if not found:
        raise PacketlabError(f"conversation: {kind} with port {port}", "one in the capture", "none")
    for (client, by_server), flow in flows.items():
        if flow.early:
            who = "server" if by_server else "client"
            raise PacketlabError(f"conversation with {client[0][1]}", "every packet", f"one of the {who} is missing")
    return [conversation for conversation in found.values() if conversation.turns]


def _carrier(packet: Packet, kind: str) -> tuple[Any, Any, Header] | None:
    """Return the ends (address, port) of a packet and the header that carries data of this kind."""
    if IDP in packet and kind in ("stream", "seqpacket") and SPP in packet:
        idp = packet[IDP]
        return (idp.src[:2], idp.src.socket), (idp.dst[:2], idp.dst.socket), packet[SPP]
    if IDP in packet and kind == "datagram" and SPP not in packet:
        idp = packet[IDP]
        return (idp.src[:2], idp.src.socket), (idp.dst[:2], idp.dst.socket), idp
    wanted: Any = {"stream": TCP, "datagram": UDP}.get(kind)
    for carrier in (IPv4, IPv6):
        if wanted is not None and carrier in packet and wanted in packet:
            ip: Any = packet[carrier]
            header: Any = packet[wanted]
            return (ip._src, header.sport), (ip._dst, header.dport), header
    return None


def _inside(packet: Packet, header: Header) -> tuple[bytes, type[Header] | None]:
    """Return what a header carries, and the class of the header that begins there."""
    place = next(i for i, layer in enumerate(packet.layers) if layer is header)
    above = packet.layers[place + 1 :]
    bodies = packet._build()[0]
    return bodies[place], type(above[0]) if above else None


def _ordered(
    flow: _Flow, packet: Packet, header: Header, conversation: Conversation, by_server: bool, kind: str
) -> None:
    """Take one packet of a stream into the conversation, in its turn."""
    data, _ = _inside(packet, header)
    if flow.ended:
        return
    if isinstance(header, SPP):
        if header.control & Control.SYSTEM:
            return
        ends, bits, number, size = header.datastream >= END, 16, header.seq, 1
        flow.next = 0 if flow.next is None else flow.next
        data = b"" if ends else data
    else:
        tcp: Any = header
        bits, number = 32, tcp.seq
        syn, ends = bool(tcp.flags & TCPFlags.SYN), bool(tcp.flags & TCPFlags.FIN)
        if flow.next is None or syn:
            flow.next = (number + syn) & 0xFFFFFFFF
        number, size = (number + syn) & 0xFFFFFFFF, len(data)
        if not data and not ends:
            return
    flow.early.setdefault(number, (data, ends, packet))
    mask = (1 << bits) - 1
    for at in sorted(flow.early, key=lambda at: (at - (flow.next or 0) + (1 << bits - 1)) & mask):
        behind = (flow.next - at) & mask
        data, ends, packet = flow.early[at]
        size = 1 if bits == 16 else len(data)
        if behind >> bits - 1:
            return  # one before it is missing yet
        del flow.early[at]
        if behind >= max(size, 1) and not (ends and behind == size):
            continue  # a repeat
        rest = data[behind:] if bits == 32 else data
        flow.next, flow.ended = (at + size) & mask, ends
        shown = packet[SPP] if bits == 16 else None
        _said(conversation, Turn(by_server, rest, shown, None, ends), kind)


def _said(conversation: Conversation, turn: Turn, kind: str) -> None:
    turns = conversation.turns
    last = turns[-1] if turns else None
    joins = kind == "stream" and last is not None and last.by_server == turn.by_server and not last.ends
    if joins and last is not None:
        last.data += turn.data
        last.ends = turn.ends
    elif kind == "seqpacket" or turn.data or turn.ends:
        turns.append(turn)
