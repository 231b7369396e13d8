"""Network headers: ARP, IPv4, IPv6 and its extension headers, ICMP, ICMPv6, GRE.

Follows RFC 826, RFC 791, RFC 2474 and 3168 (the former type of service), RFC 8200, RFC 4302, RFC 792, RFC 4443,
RFC 4861, RFC 3810, RFC 2710, RFC 2784 and 2890. Protocol numbers are IANA's.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Annotated

from packetlab.wire.bindings import bind
from packetlab.wire.ethernet import MPLS, NO_TYPE, PPP, BSDLoop, BSDNull, Ether, RawIP
from packetlab.wire.fields import (
    MAC,
    IPv4Address,
    IPv6Address,
    Named,
    Octets,
    auto,
    bits,
    const,
    default,
    many,
    sized,
    when,
)
from packetlab.wire.header import Header
from packetlab.wire.numbers import U1, U2, U3, U4, U6, U8, U13, U16, U20, U24, U29, U32
from packetlab.wire.rules import (
    ahead,
    choose,
    count_of,
    field,
    has,
    internet_checksum,
    next_protocol,
    reply,
    request,
    size_of,
)

PROTOCOL = "ip.protocol"


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
    # RFC 826, "packet reception": asker and asked change places.
    answers=(request.operation == 1)
    & (reply.operation == 2)
    & (reply.sender_ip == request.target_ip)
    & (reply.target_ip == request.sender_ip)
    & (reply.target_mac == request.sender_mac),
):
    """Address resolution. Addresses that are not Ethernet's and IPv4's are found in `addresses`, as octets."""

    hardware: U16 = 1
    protocol: U16 = 0x0800
    hardware_size: U8 = 6
    protocol_size: U8 = 4
    operation: Annotated[Named[ARPOperation], bits(16)] = default(ARPOperation.REQUEST)
    sender_mac: MAC = when(_ETHERNET_IPV4)
    sender_ip: IPv4Address = when(_ETHERNET_IPV4)
    target_mac: MAC = when(_ETHERNET_IPV4)
    target_ip: IPv4Address = when(_ETHERNET_IPV4)
    addresses: Octets = when(_OTHER, sized((field("hardware_size") + field("protocol_size")) * 2))


class IPOption(Header):
    """An IPv4 option (RFC 791 section 3.1): kinds 0 (end) and 1 (no operation) are one octet alone."""

    kind: U8 = 0
    length: U8 = when(field("kind") > 1, auto(size_of("self")))
    data: Octets = when(field("kind") > 1, b"")


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
    partial=(field("flags") & 1) != 0,
    pseudo=("src", "dst"),
    # Whoever was asked answers: anybody, where it was a group or all (RFC 1112, RFC 919).
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
    """An option of a hop-by-hop or destination header (RFC 8200 section 4.2): kind 0 (Pad1) is one octet alone."""

    kind: U8 = 0
    length: U8 = when(field("kind") > 0, auto(size_of("data")))
    data: Octets = when(field("kind") > 0, b"")


class HopByHop(Header, under=IPv6, when={"next_header": 0}):
    """The hop-by-hop options header (RFC 8200 section 4.3). `length` counts units of 8 bytes behind the first."""

    next_header: U8 = auto(next_protocol(PROTOCOL, otherwise=59))
    length: U8 = auto(size_of("self") // 8 - 1)
    options: tuple[IPv6Option, ...] = many(value=(IPv6Option(kind=1, data=bytes(4)),))


class DestinationOptions(Header, under=IPv6, when={"next_header": 60}):
    """The destination options header (RFC 8200 section 4.6)."""

    next_header: U8 = auto(next_protocol(PROTOCOL, otherwise=59))
    length: U8 = auto(size_of("self") // 8 - 1)
    options: tuple[IPv6Option, ...] = many(value=(IPv6Option(kind=1, data=bytes(4)),))


class Routing(Header, under=IPv6, when={"next_header": 43}, pseudo=("", "final_destination")):
    """The routing header (RFC 8200 section 4.4); `data` holds the addresses of types 0 and 2 behind 4 reserved octets."""

    next_header: U8 = auto(next_protocol(PROTOCOL, otherwise=59))
    length: U8 = auto(size_of("self") // 8 - 1)
    kind: U8 = 0
    segments_left: U8 = 0
    data: Octets = bytes(4)

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
    icv: Octets = bytes(12)


class ICMPType(IntEnum):
    """RFC 792, RFC 950, RFC 1256."""

    ECHO_REPLY = 0
    UNREACHABLE = 3
    SOURCE_QUENCH = 4
    REDIRECT = 5
    ECHO_REQUEST = 8
    ROUTER_ADVERTISEMENT = 9
    ROUTER_SOLICITATION = 10
    TIME_EXCEEDED = 11
    PARAMETER_PROBLEM = 12
    TIMESTAMP = 13
    TIMESTAMP_REPLY = 14


_ICMP_ERRORS = field("type").one_of(3, 4, 5, 11, 12)


class ICMP(
    Header,
    under=IPv4,
    when={"protocol": 1},
    quotes=_ICMP_ERRORS,
    # Echo, timestamp, information, address mask: each answer has the type behind, an echo reply 0.
    answers=request.type.one_of(8, 13, 15, 17)
    & (reply.type == choose(request.type == 8, 0, request.type + 1))
    & (reply.identifier == request.identifier)
    & (reply.sequence == request.sequence),
):
    """Internet control messages. Which fields are there is up to `type`; errors carry the packet they speak of."""

    type: Annotated[Named[ICMPType], bits(8)] = default(ICMPType.ECHO_REQUEST)
    code: U8 = 0
    checksum: U16 = auto(internet_checksum("self", "payload"))
    identifier: U16 = when(field("type").one_of(0, 8, 13, 14, 15, 16, 17, 18))
    sequence: U16 = when(field("type").one_of(0, 8, 13, 14, 15, 16, 17, 18))
    pointer: U8 = when(field("type") == 12)
    unused: U24 = when(field("type") == 12)
    gateway: IPv4Address = when(field("type") == 5)
    unused2: U16 = when(field("type").one_of(3, 4, 11))
    next_hop_mtu: U16 = when(field("type").one_of(3, 4, 11))


bind(IPv4, under=ICMP, when=_ICMP_ERRORS)


class ICMPv6Type(IntEnum):
    """RFC 4443, RFC 4861, RFC 2710, RFC 3810."""

    UNREACHABLE = 1
    PACKET_TOO_BIG = 2
    TIME_EXCEEDED = 3
    PARAMETER_PROBLEM = 4
    ECHO_REQUEST = 128
    ECHO_REPLY = 129
    LISTENER_QUERY = 130
    LISTENER_REPORT = 131
    LISTENER_DONE = 132
    ROUTER_SOLICITATION = 133
    ROUTER_ADVERTISEMENT = 134
    NEIGHBOR_SOLICITATION = 135
    NEIGHBOR_ADVERTISEMENT = 136
    REDIRECT = 137
    LISTENER_REPORT_V2 = 143


_ICMPV6_ERRORS = field("type") < 5


class ICMPv6(
    Header,
    under=IPv6,
    when={"next_header": 58},
    quotes=_ICMPV6_ERRORS,
    answers=request.type.one_of(128, 133, 135) & (reply.type == request.type + 1),
):
    """ICMP for IPv6 (RFC 4443 section 2.1). The message is a header of its own, such as `NeighborSolicitation`."""

    type: Annotated[Named[ICMPv6Type], bits(8)] = default(ICMPv6Type.ECHO_REQUEST)
    code: U8 = 0
    checksum: U16 = auto(internet_checksum("pseudo", "self", "payload"))


class ICMPv6Error(Header, under=ICMPv6, when={"type": (1, 2, 3, 4)}):
    """An error message (RFC 4443 section 3): `value` is the MTU, the pointer, or unused; the packet follows."""

    value: U32 = 0


bind(IPv6, under=ICMPv6Error)


class ICMPv6Echo(
    Header,
    under=ICMPv6,
    when={"type": (128, 129)},
    answers=(reply.identifier == request.identifier) & (reply.sequence == request.sequence),
):
    """Echo request and reply (RFC 4443 section 4)."""

    identifier: U16 = 0
    sequence: U16 = 0


class NDOption(Header):
    """An option of neighbour discovery (RFC 4861 section 4.6). `length` counts units of 8 bytes."""

    kind: U8 = 1
    length: U8 = auto(size_of("self") // 8)
    data: Octets = bytes(6)


class RouterSolicitation(Header, under=ICMPv6, when={"type": 133}):
    """RFC 4861 section 4.1."""

    reserved: U32 = 0
    options: tuple[NDOption, ...] = many()


class RouterAdvertisement(Header, under=ICMPv6, when={"type": 134}, answers={RouterSolicitation: 1}):
    """RFC 4861 section 4.2. Times: seconds for the lifetime, milliseconds for the two timers."""

    hop_limit: U8 = 64
    managed: U1 = 0
    other: U1 = 0
    reserved: U6 = 0
    router_lifetime: U16 = 0
    reachable_time: U32 = 0
    retransmit_timer: U32 = 0
    options: tuple[NDOption, ...] = many()


class NeighborSolicitation(Header, under=ICMPv6, when={"type": 135}):
    """RFC 4861 section 4.3."""

    reserved: U32 = 0
    target: IPv6Address = default("::")
    options: tuple[NDOption, ...] = many()


class NeighborAdvertisement(
    Header, under=ICMPv6, when={"type": 136}, answers={NeighborSolicitation: reply.target == request.target}
):
    """RFC 4861 section 4.4."""

    router: U1 = 0
    solicited: U1 = 0
    override: U1 = 0
    reserved: U29 = 0
    target: IPv6Address = default("::")
    options: tuple[NDOption, ...] = many()


class Redirect(Header, under=ICMPv6, when={"type": 137}):
    """RFC 4861 section 4.5."""

    reserved: U32 = 0
    target: IPv6Address = default("::")
    destination: IPv6Address = default("::")
    options: tuple[NDOption, ...] = many()


class ListenerMessage(Header, under=ICMPv6, when={"type": (130, 131, 132)}):
    """Multicast listener discovery (RFC 2710 section 3); the delay is in milliseconds."""

    maximum_delay: U16 = 0
    reserved: U16 = 0
    group: IPv6Address = default("::")


class ListenerRecord(Header):
    """One multicast address of a version 2 report (RFC 3810 section 5.2.4)."""

    kind: U8 = 1
    extra: U8 = auto(size_of("auxiliary") // 4)
    sources: U16 = auto(size_of("addresses") // 16)
    group: IPv6Address = default("::")
    addresses: Octets = b""
    auxiliary: Octets = b""


class ListenerReport(Header, under=ICMPv6, when={"type": 143}):
    """A version 2 multicast listener report (RFC 3810 section 5.2)."""

    reserved: U16 = 0
    count: U16 = auto(count_of("records"))
    records: tuple[ListenerRecord, ...] = many()


class GRE(Header, under=IPv4, when={"protocol": 47}, opaque=field("routing_present")):
    """Generic routing encapsulation (RFC 2784, RFC 2890). With the routing of RFC 1701 its list begins the payload."""

    checksum_present: U1 = auto(has("checksum"))
    routing_present: U1 = 0
    key_present: U1 = auto(has("key"))
    sequence_present: U1 = auto(has("sequence"))
    strict_source_route: U1 = 0
    recursion: U3 = 0
    acknowledgment_present: U1 = auto(has("acknowledgment"))
    reserved: U4 = 0
    version: U3 = 0
    protocol: U16 = auto(next_protocol("ethertype", otherwise=NO_TYPE))
    checksum: U16 = when(
        field("checksum_present") | field("routing_present"), auto(internet_checksum("self", "payload"))
    )
    offset: U16 = when(field("checksum_present") | field("routing_present"), 0)
    key: U32 = when(field("key_present"))
    sequence: U32 = when(field("sequence_present"))
    acknowledgment: U32 = when(field("acknowledgment_present"))


bind(IPv4, under=IPv4, when={"protocol": 4})
bind(IPv6, under=IPv4, when={"protocol": 41})
bind(IPv4, under=PPP, when={"protocol": 0x0021})
bind(IPv6, under=PPP, when={"protocol": 0x0057})
bind(Ether, under=GRE, when={"protocol": 0x6558})
# Address families by system: 2 everywhere; 10 Linux, 24 NetBSD, OpenBSD, 28 FreeBSD, 30 Darwin.
bind(IPv4, under=BSDNull, when={"family": (2, 2 << 24)})
bind(IPv6, under=BSDNull, when={"family": tuple(f << s for f in (10, 24, 28, 30) for s in (0, 24))})
bind(IPv4, under=BSDLoop, when={"family": 2})
bind(IPv6, under=BSDLoop, when={"family": (10, 24, 28, 30)})
bind(IPv4, under=RawIP, when=ahead(4) == 4)
bind(IPv6, under=RawIP, when=ahead(4) == 6)
bind(MPLS, under=MPLS, when=field("bottom") == 0, sets={"bottom": 0})
bind(IPv4, under=MPLS, when=(field("bottom") == 1) & (ahead(4) == 4), sets={"bottom": 1})
bind(IPv6, under=MPLS, when=(field("bottom") == 1) & (ahead(4) == 6), sets={"bottom": 1})
