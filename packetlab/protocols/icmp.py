"""Control messages: ICMP, and ICMPv6 with neighbour and multicast listener discovery.

Follows RFC 792, RFC 950, RFC 1256, RFC 4443, RFC 4861, RFC 3810, RFC 2710.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from packetlab.declare.bits.kinds import bits
from packetlab.declare.fields import auto, default, many, when
from packetlab.declare.kinds import Bytes, IPv4Address, IPv6Address, Named
from packetlab.declare.registry import bind
from packetlab.declare.rules import choose, count_of, field, internet_checksum, reply, request, size_of
from packetlab.declare.values.integers import U1, U6, U8, U16, U24, U29, U32
from packetlab.packet.packet import Header
from packetlab.protocols.ip import IPv4, IPv6


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
    # Echo, timestamp, information, address mask: each answer has the type after, an echo reply 0.
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
    data: Bytes = bytes(6)


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


class ListenerMessage(Header, under=ICMPv6, when={"type": (130, 131, 132)}, last=True):
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
    addresses: Bytes = b""
    auxiliary: Bytes = b""


class ListenerReport(Header, under=ICMPv6, when={"type": 143}, last=True):
    """A version 2 multicast listener report (RFC 3810 section 5.2)."""

    reserved: U16 = 0
    count: U16 = auto(count_of("records"))
    records: tuple[ListenerRecord, ...] = many()
