"""Volatile fields: what differs from run to run without meaning anything, and the form that is the same in all of them.

A value of a volatile field is replaced by its number in order of appearance, so what was equal stays equal (an id that
comes again in the answer, say); zero stays zero. Fields that follow by a rule and were right, checksums above all, are
derived again. Numbers of TCP are counted from the first of their direction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from packetlab.capture import Frame
from packetlab.codec.bodies import width
from packetlab.codec.objects import AnyHeader, classes
from packetlab.declare.checksums.bitwise import is_sum
from packetlab.declare.fields import Field
from packetlab.declare.values.views import given
from packetlab.errors import PacketlabError, suggestion
from packetlab.packet.packet import Header, Packet
from packetlab.pattern.paths import FieldPath
from packetlab.protocols.ip import IPv4, IPv6
from packetlab.protocols.transport import TCP, UDP, TCPOption

SPECIAL = {
    "time": "when frames came; they are then a millisecond apart",
    "ports": f"ports of TCP and UDP from {32768} up, which the kernel picks",
    "tcp.seq": "numbers of TCP; they are then counted from the first of each direction, `ack` with them",
}
EPHEMERAL, FIRST_PORT = 32768, 49152  # the kernel's own range begins at the first, IANA's at the second
STEP = 1_000_000  # nanoseconds between frames without times
TIMESTAMPS = 8  # kind of the TCP option (RFC 7323)


class Volatile:
    """Volatile fields: "ip.id", "spp.source_id", "dns.id" of a header of one's own or ``DNS.id``; and "time", "ports".

    "tcp.seq" makes seq and ack relative; "tcp.options" there are the values of time stamps alone.

    Raises PacketlabError for a name that no declared header has: a slip would silence a check.
    """

    def __init__(self, names: Iterable[str | Field] = ()) -> None:
        if isinstance(names, str) or not isinstance(names, Iterable):
            hint = f"write {{{names!r}}}" if isinstance(names, str) else ""
            raise PacketlabError("volatile", "a set of names", repr(names), hint)
        named: dict[str, list[type[AnyHeader]]] = {}
        for one in names:
            if isinstance(one, Field):
                named.setdefault(f"{one.owner.name.lower()}.{one.name}", []).append(classes[one.owner])
            elif isinstance(one, str):
                named.setdefault(one, [])
            else:
                expected = 'names such as "ip.id", or fields such as IPv4.id'
                raise PacketlabError(f"volatile {one!r}", expected, type(one).__name__)
        self.names = frozenset(named)
        self.fields: dict[type[Any], list[str]] = {}
        for name in sorted(self.names - set(SPECIAL)):
            header, field = _found(name, named[name])
            if (header, field) not in ((TCP, "ack"), (TCP, "options")):
                self.fields.setdefault(header, []).append(field)
        self.time, self.ports = "time" in self.names, "ports" in self.names
        self.relative = bool(self.names & {"tcp.seq", "tcp.ack"})
        self.stamps = "tcp.options" in self.names

    def canonical(self, frames: Iterable[Frame]) -> list[Frame]:
        """Return frames in the form that does not change: volatile values numbered, times from 0, nothing of a machine."""
        return Canon(self).frames(frames)


def _found(name: str, among: list[type[AnyHeader]]) -> tuple[type[Any], str]:
    try:
        path = FieldPath.parse(name, f"volatile {name!r}", among)
    except PacketlabError as error:
        if error.expected != "a header":
            raise
        hint = ("" if "." in name else suggestion(name, SPECIAL)) or error.hint
        raise PacketlabError(
            error.where, f"a field of a declared header, or {', '.join(SPECIAL)}", repr(name), hint
        ) from None
    if path.occurrence or path.part or path.deep or not path.fields:
        hint = f"name all of it: {path.header.__name__.lower()}.{path.names[0]}" if path.fields else ""
        raise PacketlabError(
            f"volatile {name!r}", "a whole field, of every such header", "part of one" if hint else "none", hint
        )
    return path.header, path.names[0]


class Canon:
    """Brings packets into canonical form, one after the other: it remembers which values there were.

    Attributes:
        known: for (header class, kind of value): real value -> number in order of appearance.
    """

    def __init__(self, volatile: Volatile) -> None:
        self.volatile = volatile
        self.known: dict[tuple[type[AnyHeader], str], dict[object, int]] = {}
        self._first: dict[tuple[bytes, ...], int] = {}
        self._port: dict[int, int] = {}

    def frames(self, frames: Iterable[Frame]) -> list[Frame]:
        """Return frames in canonical form."""
        start: int | None = None
        made = []
        for number, frame in enumerate(frames, 1):
            start = frame.time_ns if start is None else start
            at = (number - 1) * STEP if self.volatile.time else (frame.time_ns or 0) - (start or 0)
            packet = self.packet(frame.packet()) if self.volatile.names - {"time"} else None
            data = frame.data if packet is None else bytes(packet)
            one = Frame(data, max(0, at), interface=frame.interface._replace(number=0, section=0), number=number)
            one.wire_length = frame.wire_length
            made.append(one)
        return made

    def packet(self, packet: Packet) -> Packet:
        """Return a packet in canonical form."""
        if packet.truncated:
            return packet  # what is not whole is compared as it is
        for place, header in enumerate(packet.layers):
            changes = {name: self._value(header, name) for name in self._volatile(header)}
            if isinstance(header, TCP):
                changes.update(self._tcp(packet, header))
            if self.volatile.ports and isinstance(header, (TCP, UDP)):
                changes.update(self._ports(header))
            changes = {name: value for name, value in changes.items() if value is not None}
            if changes:
                same = sum(isinstance(other, type(header)) for other in packet.layers[:place])
                packet = packet.replace((type(header), same), **changes)
        return packet

    def _volatile(self, header: Header) -> list[str]:
        for cls, names in self.volatile.fields.items():
            if isinstance(header, cls):
                return names
        return []

    def _value(self, header: Header, name: str) -> Any:
        """Return what stands for the value of a field; None: nothing does."""
        f = header._by_name[name]
        raw = getattr(header, f.slot)
        if raw is None or is_sum(f):
            return None if raw is None else 0
        kind = f.kind
        known = self.known.setdefault((type(header), f"{width(header, f)} bits"), {})
        if not raw or (isinstance(raw, bytes) and not any(raw)):
            return None
        number = known.setdefault(raw, len(known) + 1)
        if kind.wire == "number":
            return given(kind, number & ((1 << kind.fixed_bits - kind.signed) - 1))
        if kind.verbatim:
            return number.to_bytes(8, "big")[-len(raw) :].rjust(len(raw), b"\0")
        if kind.wire == "items":
            return None
        return kind.value(min(number, kind.high) if kind.is_number else kind.zero)

    def _ports(self, header: TCP | UDP) -> dict[str, int]:
        return {
            name: self._port.setdefault(port, FIRST_PORT + len(self._port))
            for name in ("sport", "dport")
            if (port := getattr(header, name)) >= EPHEMERAL
        }

    def _tcp(self, packet: Packet, header: TCP) -> dict[str, object]:
        changes: dict[str, object] = {}
        if self.volatile.relative:
            ends = _flow(packet, header)
            first = self._first.setdefault(ends, header.seq)
            changes["seq"] = (header.seq - first) & 0xFFFFFFFF
            if header.flags & 0x10:
                other = (ends[1], ends[0], ends[3], ends[2])
                # Who answers has seen the other's number; where the recording has not, it begins here.
                begun = self._first.setdefault(other, header.ack)
                changes["ack"] = (header.ack - begun) & 0xFFFFFFFF
        if self.volatile.stamps:
            options = [one for one in header.options if isinstance(one, TCPOption)]  # after them: what fills up
            if any(one.kind == TIMESTAMPS for one in options):
                changes["options"] = tuple(
                    one.replace(data=bytes(len(one.data))) if one.kind == TIMESTAMPS else one for one in options
                )
        return changes


def _flow(packet: Packet, header: TCP) -> tuple[bytes, ...]:
    for carrier in (IPv4, IPv6):
        if carrier in packet:
            found: Any = packet[carrier]
            ends = (found._src, found._dst)
            break
    else:
        ends = (b"", b"")
    return (*ends, header.sport.to_bytes(2, "big"), header.dport.to_bytes(2, "big"))
