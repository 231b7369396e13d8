"""Transport headers: UDP, TCP, SCTP; and VXLAN, which UDP carries.

Follows RFC 768, RFC 9293, RFC 9260, RFC 7348.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Annotated

from packetlab.declare.bits.kinds import bits
from packetlab.declare.fields import auto, default, many, when
from packetlab.declare.kinds import Bytes, Named
from packetlab.declare.registry import bind
from packetlab.declare.rules import field, internet_checksum, next_protocol, reply, request, sctp_checksum, size_of
from packetlab.declare.values.integers import U4, U8, U16, U24, U32
from packetlab.packet.packet import Header
from packetlab.protocols.ip import IPv4
from packetlab.protocols.link import Ether

_PORTS = (reply.sport == request.dport) & (reply.dport == request.sport)


class UDP(Header, under=IPv4, when={"protocol": 17}, answers=_PORTS):
    """User datagrams (RFC 768). A checksum of 0 says that there is none.

    A length of 0 is a fault, in IPv6 too: only jumbograms have it (RFC 2675 section 4), which no link here carries. Where
    segmentation offload leaves out the length of the IPv4 packet around it, it is none.
    """

    sport: U16 = 0
    dport: U16 = auto(next_protocol("udp.port", otherwise=0))
    length: U16 = auto(size_of("self") + size_of("payload"))
    checksum: U16 = auto(internet_checksum("pseudo", "self", "payload", zero_is_none=True))


class TCPOption(Header):
    """A TCP option (RFC 9293 section 3.2): kinds 0 (end) and 1 (no operation) are one byte alone."""

    kind: U8 = 0
    length: U8 = when(field("kind") > 1, auto(size_of("self")))
    data: Bytes = when(field("kind") > 1, b"")


class TCPFlags(IntFlag):
    """RFC 9293 section 3.1."""

    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16
    URG = 32
    ECE = 64
    CWR = 128


_ACKED = (reply.ack - request.seq) & 0xFFFFFFFF


class TCP(
    Header,
    under=IPv4,
    when={"protocol": 6},
    # RFC 9293 section 3.4: what takes up sequence numbers is acknowledged; SYN, FIN and data that is pushed here.
    answers=_PORTS & ((request.flags & 11) != 0) & ((reply.flags & 16) != 0) & (_ACKED > 0) & (_ACKED < 1 << 31),
):
    """Transmission control. `data_offset` counts 4-byte words."""

    sport: U16 = 0
    dport: U16 = auto(next_protocol("tcp.port", otherwise=0))
    seq: U32 = 0
    ack: U32 = 0
    data_offset: U4 = auto(size_of("self") // 4)
    reserved: U4 = 0
    flags: Annotated[Named[TCPFlags], bits(8)] = default(TCPFlags.SYN)
    window: U16 = 65535
    checksum: U16 = auto(internet_checksum("pseudo", "self", "payload"))
    urgent: U16 = 0
    options: tuple[TCPOption, ...] = many(until=field("kind") == 0, align=4)


class SCTP(Header, under=IPv4, when={"protocol": 132}, answers=_PORTS):
    """The common header of SCTP (RFC 9260 section 3.1); chunks are its payload."""

    sport: U16 = 0
    dport: U16 = auto(next_protocol("sctp.port", otherwise=0))
    verification_tag: U32 = 0
    checksum: U32 = auto(sctp_checksum("self", "payload"))


class VXLAN(Header, under=UDP, when={"dport": 4789}):
    """A virtual network's frame after UDP (RFC 7348 section 5); `vni` is valid where flag 0x08 is set."""

    flags: U8 = 0x08
    reserved: U24 = 0
    vni: U24 = 0
    reserved2: U8 = 0


bind(Ether, under=VXLAN)
