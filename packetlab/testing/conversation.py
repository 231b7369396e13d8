"""Conversations: what two programs said to each other in a capture, in turns, without the packets that carried it.

TCP and SPP streams are put in order and freed of repeats; datagrams and sequenced packets keep their boundaries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from packetlab.capture import Capture, Frame
from packetlab.capture.reassembly.spp import Conversations, Record, Speaker
from packetlab.capture.reassembly.tcp import Stream
from packetlab.errors import PacketlabError
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.ip import IPv4, IPv6
from packetlab.protocols.transport import TCP, UDP, TCPFlags
from packetlab.protocols.xns import IDP, SPP

KINDS = ("stream", "datagram", "seqpacket")
_End: TypeAlias = tuple[object, int]  # address and port

END = 254  # datastream type of SPP's end, and the reply's from there on


@dataclass
class Turn:
    """What one side says at a time.

    Attributes:
        by_server: who. data: the bytes. header: SPP or IDP header of a packet. first: class of the header that the
            data begins with, None where none is declared. ends: this side has no more to say.
    """

    by_server: bool
    data: bytes
    header: Header | None = None
    first: type[Header] | None = None
    ends: bool = False


@dataclass
class RecordedConversation:
    """One connection, or what one client and the server said in datagrams: turn for turn.

    Attributes:
        family: "xns" or "inet".
    """

    family: str = "inet"
    turns: list[Turn] = field(default_factory=list)


def conversations(frames: Iterable[Frame], kind: str, port: int) -> list[RecordedConversation]:
    """Return the conversations with the server at a port, in the order in which they began.

    Raises PacketlabError where there are none, or one lacks a packet.
    """
    if kind not in KINDS:
        raise PacketlabError("conversation: kind", f"one of {', '.join(KINDS)}", repr(kind))
    kept = [*frames]
    found = _over_tcp(kept, port) if kind == "stream" else []
    found += _by_datagrams(kept, port) if kind == "datagram" else _over_spp(kept, kind, port)
    if not found:
        raise PacketlabError(f"conversation: {kind} with port {port}", "one in the capture", "none")
    return found


# TCP -----------------------------------------------------------------------------------------------------------------


def _over_tcp(frames: list[Frame], port: int) -> list[RecordedConversation]:
    numbered = list(Capture.of(frames))
    streams = [s for s in Capture.of(numbered).streams() if port in (s.server.port, s.client.port)]
    found = []
    for stream in sorted(streams, key=lambda stream: stream.first):
        ends = {id(end): end.port == port and (end.role == "server" or stream.client.port != port)
                for end in (stream.client, stream.server)}  # fmt: skip
        for end in (stream.client, stream.server):
            if end.holes:
                who = "server" if ends[id(end)] else "client"
                raise PacketlabError(f"conversation with port {end.port}", "every byte", f"{end.holes[0]} of the {who}")
        conversation = RecordedConversation()
        finished = _finished(numbered, stream, ends)
        for end, piece in stream.pieces():
            for by_server, number in [*finished.items()]:
                if number < piece.number and by_server != ends[id(end)]:
                    del finished[by_server]
                    _said(conversation, Turn(by_server, b"", ends=True), joined=True)
            _said(conversation, Turn(ends[id(end)], piece.data), joined=True)
        for by_server in finished:
            _said(conversation, Turn(by_server, b"", ends=True), joined=True)
        if conversation.turns:
            found.append(conversation)
    return found


def _finished(frames: list[Frame], stream: Stream, ends: dict[int, bool]) -> dict[bool, int]:
    """Return for each side that ended (by_server) the number of the frame that said so, in order."""
    found: dict[bool, int] = {}
    for frame in frames[stream.first - 1 :]:
        packet = frame.packet()
        if TCP in packet and packet[TCP].flags & TCPFlags.FIN:
            for end, other in ((stream.client, stream.server), (stream.server, stream.client)):
                if (packet[TCP].sport, packet[TCP].dport) == (end.port, other.port):
                    found.setdefault(ends[id(end)], frame.number)
    return found


# Packets -------------------------------------------------------------------------------------------------------------


def _over_spp(frames: list[Frame], kind: str, port: int) -> list[RecordedConversation]:
    machine = Conversations()
    found: dict[int, RecordedConversation] = {}

    def take(said: Iterable[tuple[Speaker, Record]]) -> None:
        for speaker, record in said:
            own = speaker.conversation
            if port not in (own.client.address.socket, own.server.address.socket):
                continue
            by_server = speaker is own.server
            conversation = found.setdefault(own.number, RecordedConversation("xns"))
            if speaker.start or speaker.holes:
                who, first = "server" if by_server else "client", 0 if speaker.start else speaker.holes[0].offset
                raise PacketlabError("conversation of SPP", f"packet {first} of the {who}", f"{record.seq} and on")
            ends = record.datastream >= END
            if ends and any(turn.ends and turn.by_server == by_server for turn in conversation.turns):
                continue  # the reply to the other's reply
            header = SPP(datastream=record.datastream, control=record.control)
            _said(conversation, Turn(by_server, b"" if ends else record.data, header, None, ends), kind == "stream")

    for frame in frames:
        take(machine.receive(frame))
    over = machine.end()  # kept: a speaker knows its conversation as long as somebody has it
    take(machine.late() if over else ())
    return [conversation for conversation in found.values() if conversation.turns]


def _by_datagrams(frames: list[Frame], port: int) -> list[RecordedConversation]:
    found: dict[tuple[_End, _End], RecordedConversation] = {}
    for frame in frames:
        packet = frame.packet()
        carried = _carrier(packet)
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
        conversation = found.setdefault(client, RecordedConversation("xns" if IDP in packet else "inet"))
        data, first = _inside(packet, header)
        conversation.turns.append(Turn(by_server, data, header if isinstance(header, IDP) else None, first))
    return [*found.values()]


def _carrier(packet: Packet) -> tuple[_End, _End, Header] | None:
    """Return the ends (address, port) of a datagram and the header that carries its data."""
    if IDP in packet and SPP not in packet:
        idp = packet[IDP]
        return (idp.src[:2], idp.src.socket), (idp.dst[:2], idp.dst.socket), idp
    for carrier in (IPv4, IPv6):
        if carrier in packet and UDP in packet:
            ip: Any = packet[carrier]
            udp = packet[UDP]
            return (ip._src, udp.sport), (ip._dst, udp.dport), udp
    return None


def _inside(packet: Packet, header: Header) -> tuple[bytes, type[Header] | None]:
    """Return what a header carries, and the class of the header that begins there."""
    place = next(i for i, layer in enumerate(packet.layers) if layer is header)
    above = packet.layers[place + 1 :]
    return packet._build()[0][place], type(above[0]) if above else None


def _said(conversation: RecordedConversation, turn: Turn, joined: bool) -> None:
    """Add a turn; of a stream, what one side says in one go is one."""
    turns = conversation.turns
    last = turns[-1] if turns else None
    if joined and last is not None and last.by_server == turn.by_server and not last.ends:
        last.data += turn.data
        last.ends = turn.ends
    else:
        turns.append(turn)
