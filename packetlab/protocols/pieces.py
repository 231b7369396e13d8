"""Packets cut into pieces: datagrams into IP fragments, TCP data into segments, overlapping where that is wanted.

What a router or segmentation offload does, to test what puts the pieces together (`capture.reassembly`, a kernel, a firewall).
IPv4 is cut as RFC 791 section 3.2 has it, IPv6 as RFC 8200 section 4.5, TCP as RFC 9293 section 3.9.1.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias, cast
from zlib import crc32

from packetlab.declare.expressions import Checksum, Size
from packetlab.declare.fields import auto
from packetlab.errors import BuildError
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.ip import DestinationOptions, Fragment, HopByHop, IPv4, IPv4Flags, IPv6, Routing
from packetlab.protocols.transport import TCP, TCPFlags

UNIT = 8  # bytes that fragment offsets count
LONGEST = 60000  # of data, with headers of any usual size (RFC 791 section 3.1: 65,535 with them)
COPIED = 0x80  # of an IPv4 option's kind: every fragment has it (RFC 791 section 3.1)

Layer: TypeAlias = "type[Header] | tuple[type[Header], int] | None"
_Cut: TypeAlias = "tuple[int, int]"


# Fragments ------------------------------------------------------------------------------------------------------


def fragments(
    packet: Packet, mtu: int, layer: Layer = None, *, overlap: int, id: int | None, force: bool
) -> Iterator[Packet]:
    """Return the fragments of a packet; see `Packet.fragments`."""
    where = "fragments"
    _check(where, "mtu", mtu, 1)
    _check(where, "overlap", overlap, 0)
    if overlap % UNIT:
        near = overlap + -overlap % UNIT
        raise BuildError(
            f"{where}: overlap", f"a multiple of {UNIT}", overlap, f"offsets count {UNIT} bytes: overlap={near}"
        )
    place = _place(packet, where, layer, (IPv4, IPv6))
    _refuse_parts(packet, place, where)
    cut = _four if isinstance(packet.layers[place], IPv4) else _six
    return cut(packet, place, mtu, overlap, id, force)


def _four(packet: Packet, place: int, mtu: int, overlap: int, id: int | None, force: bool) -> Iterator[Packet]:
    ip: Any = packet.layers[place]
    body = packet._build()[0][place]
    below = tuple(map(_fresh, packet._rederived()[:place]))
    later = tuple(option for option in ip.options or () if isinstance(option, Header) and _kind(option) & COPIED)
    flags, base = ip.flags, ip.fragment_offset
    number = ip.id if id is None else id
    changes = {"protocol": ip.protocol, "id": number, "flags": flags | IPv4Flags.MORE_FRAGMENTS}
    first = _fresh(packet._rederived()[place], **changes)
    others = first.replace(options=later) if later != ip.options else first
    sizes = len(bytes(first)), len(bytes(others))
    if sizes[0] + len(body) <= mtu:
        return iter((packet,))
    if flags & IPv4Flags.DONT_FRAGMENT and not force:
        hint = f"packet.replace({type(ip).__name__}, flags=0) clears it, force=True cuts all the same"
        raise BuildError(
            "fragments", "a datagram that may be fragmented", f"DONT_FRAGMENT, and more than {mtu} bytes", hint
        )
    cuts = _cuts(len(body), mtu - sizes[0], mtu - sizes[1], overlap, mtu)

    def pieces() -> Iterator[Packet]:
        for start, end in cuts:
            header = others if start else first
            if end == len(body):
                header = header.replace(flags=flags)
            yield Packet((*below, header.replace(fragment_offset=base + start // UNIT)), body[start:end])

    return pieces()


def _kind(option: Any) -> int:
    return cast("int", option.kind)


def _six(packet: Packet, place: int, mtu: int, overlap: int, id: int | None, force: bool) -> Iterator[Packet]:
    layers = packet.layers
    # Every fragment has what routers on the way look at: up to a routing header, else a hop-by-hop header.
    last = at = place
    while at + 1 < len(layers) and isinstance(layers[at + 1], (HopByHop, DestinationOptions, Routing)):
        at += 1
        if isinstance(layers[at], Routing) or (isinstance(layers[at], HopByHop) and at == place + 1):
            last = at
    before = layers[last + 1] if last + 1 < len(layers) and isinstance(layers[last + 1], Fragment) else None
    bodies = packet._build()[0]
    body = bodies[last if before is None else last + 1]
    whole = 40 + len(bodies[place])
    head = whole - len(bodies[last])
    if whole <= mtu:
        return iter((packet,))
    header: Any = Fragment(id=crc32(body)) if before is None else before
    following: Any = layers[last] if before is None else before
    header = header.replace(next_header=following.next_header, id=header.id if id is None else id)
    base, more = header.offset, header.more
    again = packet._rederived()
    below = (*map(_fresh, again[:last]), _fresh(again[last], next_header=auto))
    room = mtu - head - UNIT
    cuts = _cuts(len(body), room, room, overlap, mtu)

    def pieces() -> Iterator[Packet]:
        for start, end in cuts:
            own = header.replace(offset=base + start // UNIT, more=more if end == len(body) else 1)
            yield Packet((*below, own), body[start:end])

    return pieces()


def _cuts(total: int, first: int, others: int, overlap: int, mtu: int) -> list[_Cut]:
    """Return where the data of each fragment begins and ends, with `first` bytes of room in the first one."""
    least = overlap + UNIT
    if min(first, others) < least:
        more = (
            f"headers, {overlap} bytes of overlap and {UNIT} of data"
            if overlap
            else f"headers and {UNIT} bytes of data"
        )
        hint = "a larger mtu" + " or a smaller overlap" * bool(overlap)
        raise BuildError("fragments: mtu", f"at least {mtu + least - min(first, others)}, for {more}", mtu, hint)
    found, start, room = [], 0, first
    while start + room < total:
        end = start + room // UNIT * UNIT
        found.append((start, end))
        start, room = end - overlap, others
    return [*found, (start, total)]


# Segments -------------------------------------------------------------------------------------------------------


def segments(packet: Packet, mss: int, layer: Layer = None, *, overlap: int) -> Iterator[Packet]:
    """Return the segments of a packet; see `Packet.segments`."""
    where = "segments"
    _check(where, "mss", mss, 1)
    _check(where, "overlap", overlap, 0)
    if overlap >= mss:
        hint = "each segment has to bring something new"
        raise BuildError(f"{where}: overlap", f"less than mss, {mss}", overlap, hint)
    try:
        place = _place(packet, where, layer, (TCP,))
        body = packet._build()[0][place]
    except BuildError as error:
        if not error.where.endswith(".length") or error.expected != "0..65535":
            raise
        hint = f"segments of each part of the data, of {LONGEST} bytes or less, the next one with seq= larger by so many"
        raise BuildError(where, "data that one packet can hold (a length of 0..65535)", str(error), hint) from None
    _refuse_parts(packet, place, where)
    if any(
        ip.flags & 1 if isinstance(ip, IPv4) else isinstance(ip, Fragment) and ip.more for ip in packet.layers[:place]
    ):
        raise BuildError(where, "a whole packet", "a part of one", "fragments are put together by capture.datagrams()")
    if len(body) <= mss:
        return iter((packet,))
    again = packet._rederived()
    tcp: Any = packet.layers[place]
    layers = packet.layers

    def pieces() -> Iterator[Packet]:
        start = number = 0
        while True:
            end = min(start + mss, len(body))
            # Each is a datagram of its own, which may be fragmented: IPv4 identifications go up, as with segmentation offload.
            below = [
                _fresh(header, id=(ip.id + number) % 0x10000) if isinstance(ip, IPv4) else _fresh(header)
                for header, ip in zip(again[:place], layers, strict=False)
            ]
            own = _fresh(again[place], dport=tcp.dport, **_segment(tcp, start, end == len(body)))
            yield Packet((*below, own), body[start:end])
            if end == len(body):
                return
            start, number = end - overlap, number + 1

    return pieces()


def _segment(tcp: Any, start: int, last: bool) -> dict[str, object]:
    """Return what tells one segment from the others: SYN takes up a number before the data, FIN and RST come after it."""
    flags, urgent = tcp.flags, tcp.urgent
    if start:
        flags &= ~(TCPFlags.SYN | TCPFlags.CWR)  # RFC 3168 section 6.1.2: CWR is said once
        if tcp.flags & TCPFlags.URG:
            flags, urgent = (flags, urgent - start) if urgent > start else (flags & ~TCPFlags.URG, 0)
    flags = flags | TCPFlags.PSH if last else flags & ~(TCPFlags.PSH | TCPFlags.FIN | TCPFlags.RST)
    syn = 1 if start and tcp.flags & TCPFlags.SYN else 0
    return {"seq": (tcp.seq + start + syn) % (1 << 32), "flags": flags, "urgent": urgent}


# Both -----------------------------------------------------------------------------------------------------------


def _fresh(header: Any, **changes: object) -> Any:
    """Return a header for other contents: its lengths and checksums follow from them, a checksum that says "none" stays."""
    for f in header._fields:
        rule, raw = f.rule, getattr(header, f.slot)
        if raw is None or rule is None:
            continue
        if rule.none != raw if isinstance(rule, Checksum) else any(isinstance(leaf, Size) for leaf in rule.leaves()):
            changes.setdefault(f.name, auto)
    return header.replace(**changes) if changes else header


def _check(where: str, name: str, value: object, least: int) -> None:
    if type(value) is not int or value < least:
        raise BuildError(f"{where}: {name}", f"a number of bytes, {least} or more", repr(value))


def _place(packet: Packet, where: str, layer: Layer, kinds: tuple[type[Header], ...]) -> int:
    """Return which layer is cut: the one named, or the outermost of these kinds."""
    names = " or ".join(kind.__name__ for kind in kinds)
    if layer is not None:
        place = packet._place(layer)
        if not isinstance(packet.layers[place], kinds):
            raise BuildError(where, names, type(packet.layers[place]).__name__, "only these are cut into pieces")
        return place
    for i, header in enumerate(packet.layers):
        if isinstance(header, kinds):
            return i
        if header._declaration.quotes is not None:
            break  # what an ICMP error quotes is no traffic
    raise BuildError(
        where, f"a packet with {names}", packet.summary(), "stack the packet on one, or dissect it from its link type"
    )


def _refuse_parts(packet: Packet, place: int, where: str) -> None:
    bodies, layers = packet._build()[0], packet._headers
    for i, (header, ip) in enumerate(zip(layers[: place + 1], cast("Any", packet.layers), strict=False)):
        there = bodies.size(i) + (ip.ihl * 4 if isinstance(ip, IPv4) else 0)
        counts = isinstance(ip, (IPv4, IPv6)) and header.state("length") == "captured"
        if header._is_partial or (counts and ip.length > there):
            hint = "packet.replace(payload=...) gives it others"
            raise BuildError(where, "a packet with all its bytes", "one cut by the capture", hint)
