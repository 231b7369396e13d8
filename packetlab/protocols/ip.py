"""Network headers: ARP, SLARP, IPv4, IPv6 and its extension headers.

Follows RFC 826, RFC 791, RFC 2474 and 3168 (the former type of service), RFC 8200, RFC 4302. SLARP is as tcpdump's print-chdlc.c has it. Protocol numbers are IANA's.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Annotated

from packetlab.declare.bits.kinds import bits
from packetlab.declare.fields import auto, const, default, many, sized, when
from packetlab.declare.kinds import MAC, Bytes, IPv4Address, IPv6Address, Named
from packetlab.declare.registry import bind
from packetlab.declare.rules import ahead, choose, field, internet_checksum, next_protocol, reply, request, size_of
from packetlab.declare.values.integers import U1, U2, U4, U6, U8, U13, U16, U20, U32
from packetlab.packet.packet import Header
from packetlab.protocols.link import MPLS, PPP, BSDLoop, BSDNull, CiscoHDLC, Ether, RawIP
from packetlab.protocols.numbers import PROTOCOL as PROTOCOL


class ARPOperation(IntEnum):
    """RFC 826, RFC 903."""

    REQUEST = 1
    REPLY = 2
    REVERSE_REQUEST = 3
    REVERSE_REPLY = 4


_ETHERNET_IPV4 = (field("hardware_size") == 6) & (field("protocol_size") == 4)
_OTHER = (field("hardware_size") != 6) | (field("protocol_size") != 4)


class ARP(
    Header,
    under=Ether,
    when={"type": (0x0806, 0x8035)},
    last=True,
    # RFC 826, "packet reception": requester and target change places.
    answers=(request.operation == 1)
    & (reply.operation == 2)
    & (reply.sender_ip == request.target_ip)
    & (reply.target_ip == request.sender_ip)
    & (reply.target_mac == request.sender_mac),
):
    """Address resolution. Addresses that are not Ethernet's and IPv4's are found in `addresses`, as bytes."""

    hardware: U16 = 1
    protocol: U16 = 0x0800
    hardware_size: U8 = 6
    protocol_size: U8 = 4
    operation: Annotated[Named[ARPOperation], bits(16)] = default(ARPOperation.REQUEST)
    sender_mac: MAC = when(_ETHERNET_IPV4)
    sender_ip: IPv4Address = when(_ETHERNET_IPV4)
    target_mac: MAC = when(_ETHERNET_IPV4)
    target_ip: IPv4Address = when(_ETHERNET_IPV4)
    addresses: Bytes = when(_OTHER, sized((field("hardware_size") + field("protocol_size")) * 2))


class SLARPCode(IntEnum):
    """What a SLARP packet is for."""

    REQUEST = 0
    REPLY = 1
    KEEPALIVE = 2


class SLARP(Header, under=CiscoHDLC, when={"type": 0x8035}, last=True):
    """Cisco's serial line address resolution and keep-alives; some senders let the seconds they are up follow."""

    code: Annotated[Named[SLARPCode], bits(32)] = default(SLARPCode.KEEPALIVE)
    address: IPv4Address = when(field("code") < 2)
    mask: IPv4Address = when(field("code") < 2)
    my_sequence: U32 = when(field("code") == 2)
    your_sequence: U32 = when(field("code") == 2)
    reliability: U16 = 0xFFFF


class IPOption(Header):
    """An IPv4 option (RFC 791 section 3.1): kinds 0 (end) and 1 (no operation) are one byte alone."""

    kind: U8 = 0
    length: U8 = when(field("kind") > 1, auto(size_of("self")))
    data: Bytes = when(field("kind") > 1, b"")


SOURCE_ROUTES = (131, 137)  # kinds of options: loose, strict (RFC 791 section 3.1)


class IPv4Flags(IntFlag):
    """RFC 791 section 3.1; the highest bit is reserved."""

    MORE_FRAGMENTS = 1
    DONT_FRAGMENT = 2
    RESERVED = 4


class IPv4(
    Header,
    under=Ether,
    when={"type": 0x0800},
    opaque=field("fragment_offset") != 0,
    unsized=field("length") == 0,  # as segmentation offload hands packets to a capture, longer than an MTU
    partial=(field("flags") & 1) != 0,
    pseudo=("src", "dst"),
    # The destination answers: anybody, where it was a group or all (RFC 1112, RFC 919).
    answers=((reply.src == request.dst) | (request.dst >> 28 == 14) | (request.dst == 0xFFFFFFFF))
    & ((reply.dst == request.src) | (request.src == 0)),
):
    """Internet protocol version 4. `fragment_offset` counts units of 8 bytes."""

    version: U4 = const(4)
    ihl: U4 = auto(size_of("self") // 4)
    dscp: U6 = 0
    ecn: U2 = 0
    length: U16 = auto(size_of("self") + size_of("payload"))
    id: U16 = 0
    flags: Annotated[Named[IPv4Flags], bits(3)] = default(IPv4Flags(0))
    fragment_offset: U13 = 0
    ttl: U8 = 64
    protocol: U8 = auto(next_protocol(PROTOCOL, otherwise=255))
    checksum: U16 = auto(internet_checksum("self"))
    src: IPv4Address = default("0.0.0.0")
    dst: IPv4Address = default("0.0.0.0")
    options: tuple[IPOption, ...] = many(until=field("kind") == 0, align=4)

    @property
    def final_destination(self) -> bytes:
        """The address that checksums cover in place of `dst` while a source route is not used up, else nothing."""
        final = b""
        for option in self.options if getattr(self, "_options", ()) else ():
            if isinstance(option, IPOption) and option.kind in SOURCE_ROUTES and len(option.data or b"") >= 5:
                pointer, route = option.data[0], option.data[1:]
                if pointer <= len(route):  # counted from the option's first byte, and at 1
                    final = route[len(route) // 4 * 4 - 4 : len(route) // 4 * 4]
        return final


class IPv6(
    Header,
    under=Ether,
    when={"type": 0x86DD},
    # RFC 2675 section 3: a length of 0 leaves it to a jumbo payload option, or to the link.
    payload_size=choose(field("length") == 0, -1, field("length")),
    pseudo=("src", "dst"),
    answers=((reply.src == request.dst) | (request.dst >> 120 == 0xFF))
    & ((reply.dst == request.src) | (request.src == 0)),
):
    """Internet protocol version 6 (RFC 8200 section 3)."""

    version: U4 = const(6)
    traffic_class: U8 = 0
    flow_label: U20 = 0
    length: U16 = auto(size_of("payload"))
    next_header: U8 = auto(next_protocol(PROTOCOL, otherwise=59))
    hop_limit: U8 = 64
    src: IPv6Address = default("::")
    dst: IPv6Address = default("::")


class IPv6Option(Header):
    """An option of a hop-by-hop or destination header (RFC 8200 section 4.2): kind 0 (Pad1) is one byte alone."""

    kind: U8 = 0
    length: U8 = when(field("kind") > 0, auto(size_of("data")))
    data: Bytes = when(field("kind") > 0, b"")


class HopByHop(Header, under=IPv6, when={"next_header": 0}):
    """The hop-by-hop options header (RFC 8200 section 4.3). `length` counts units of 8 bytes after the first."""

    next_header: U8 = auto(next_protocol(PROTOCOL, otherwise=59))
    length: U8 = auto(size_of("self") // 8 - 1)
    options: tuple[IPv6Option, ...] = many(value=(IPv6Option(kind=1, data=bytes(4)),))


class DestinationOptions(Header, under=IPv6, when={"next_header": 60}):
    """The destination options header (RFC 8200 section 4.6)."""

    next_header: U8 = auto(next_protocol(PROTOCOL, otherwise=59))
    length: U8 = auto(size_of("self") // 8 - 1)
    options: tuple[IPv6Option, ...] = many(value=(IPv6Option(kind=1, data=bytes(4)),))


class Routing(Header, under=IPv6, when={"next_header": 43}, pseudo=("", "final_destination")):
    """The routing header (RFC 8200 section 4.4); `data` holds the addresses of types 0 and 2 after 4 reserved bytes."""

    next_header: U8 = auto(next_protocol(PROTOCOL, otherwise=59))
    length: U8 = auto(size_of("self") // 8 - 1)
    kind: U8 = 0
    segments_left: U8 = 0
    data: Bytes = bytes(4)

    @property
    def final_destination(self) -> bytes:
        """The address that checksums cover in place of IPv6.dst while segments are left, else nothing."""
        if not self.segments_left or len(self.data) < 20:
            return b""
        # A segment routing header (RFC 8754 section 2) lists its segments last one first.
        return self.data[4:20] if self.kind == 4 else self.data[-16:]


class Fragment(
    Header,
    under=IPv6,
    when={"next_header": 44},
    opaque=field("offset") != 0,
    partial=(field("offset") != 0) | (field("more") != 0),
):
    """The fragment header (RFC 8200 section 4.5). `offset` counts units of 8 bytes."""

    next_header: U8 = auto(next_protocol(PROTOCOL, otherwise=59))
    reserved: U8 = 0
    offset: U13 = 0
    reserved2: U2 = 0
    more: U1 = 0
    id: U32 = 0


class AuthenticationHeader(Header, under=IPv4, when={"protocol": 51}):
    """The IPsec authentication header (RFC 4302 section 2). `length` counts 4-byte units, less two."""

    next_header: U8 = auto(next_protocol(PROTOCOL, otherwise=59))
    length: U8 = auto(size_of("self") // 4 - 2)
    reserved: U16 = 0
    spi: U32 = 0
    sequence: U32 = 0
    icv: Bytes = bytes(12)


bind(IPv4, under=IPv4, when={"protocol": 4})
bind(IPv6, under=IPv4, when={"protocol": 41})
bind(IPv4, under=PPP, when={"protocol": 0x0021})
bind(IPv6, under=PPP, when={"protocol": 0x0057})
# Address families by system: 2 everywhere; 10 Linux, 24 NetBSD, OpenBSD, 28 FreeBSD, 30 Darwin.
bind(IPv4, under=BSDNull, when={"family": (2, 2 << 24)})
bind(IPv6, under=BSDNull, when={"family": tuple(f << s for f in (10, 24, 28, 30) for s in (0, 24))})
# Some write an ether type instead, in either order (Wireshark's packet-null.c), or after two bytes of theirs.
for _upper, _type in ((IPv4, 0x0800), (IPv6, 0x86DD)):
    bind(_upper, under=BSDNull, when={"family": _type})
    bind(_upper, under=BSDNull, when=field("family") >> 16 == (_type & 0xFF) << 8 | _type >> 8)
    bind(_upper, under=CiscoHDLC, when={"type": _type})
bind(IPv4, under=BSDLoop, when={"family": 2})
bind(IPv6, under=BSDLoop, when={"family": (10, 24, 28, 30)})
bind(IPv4, under=RawIP, when=ahead(4) == 4)
bind(IPv6, under=RawIP, when=ahead(4) == 6)
bind(MPLS, under=MPLS, when=field("bottom") == 0, sets={"bottom": 0})
bind(IPv4, under=MPLS, when=(field("bottom") == 1) & (ahead(4) == 4), sets={"bottom": 1})
bind(IPv6, under=MPLS, when=(field("bottom") == 1) & (ahead(4) == 6), sets={"bottom": 1})
