"""Xerox Network Systems: IDP, and over it SPP, Echo, Error, packet exchange (PEX) and routing information (RIP).

Follows the header files of 4.4BSD (sys/netns: idp.h, sp.h, ns_error.h) and Xerox's "Internet Transport Protocols"
(XSIS 028112) as these quote it.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Annotated

from packetlab.declare.bits.kinds import bits
from packetlab.declare.fields import auto, default, many, pad
from packetlab.declare.kinds import Bytes, Named, Payload, XNSAddressField
from packetlab.declare.registry import bind
from packetlab.declare.rules import next_protocol, reply, request, size_of, xns_checksum
from packetlab.declare.values.addresses import XNSAddress
from packetlab.declare.values.integers import U8, U16, U32
from packetlab.packet.packet import Header
from packetlab.protocols.ip import IPv4
from packetlab.protocols.link import PPP, CiscoHDLC, Ether


class PacketType(IntEnum):
    """What an IDP packet carries."""

    RIP = 1
    ECHO = 2
    ERROR = 3
    PEX = 4
    SPP = 5


_END = (1 << 64) - 1  # host and socket; the net may be left out, or filled in on the way
_BROADCAST = (1 << 48) - 1


class IDP(
    Header,
    under=Ether,
    when={"type": 0x0600},
    answers=((reply.dst & _END) == (request.src & _END))
    & (((reply.src & _END) == (request.dst & _END)) | (((request.dst >> 16) & _BROADCAST) == _BROADCAST)),
):
    """The internet datagram protocol of XNS. `length` counts header and data, not the `pad` byte that makes it even.

    `hops` is the whole transport control byte: its low four bits count hops, the highest asks for a trace.
    """

    # The sum covers the pad byte, which a router must keep as it is.
    checksum: U16 = auto(xns_checksum("self", "payload", "pad"))
    length: U16 = auto(size_of("self") + size_of("payload"))
    hops: U8 = 0
    packet_type: Annotated[Named[PacketType], bits(8)] = auto(next_protocol("idp.type", otherwise=0))
    dst: XNSAddressField = default(XNSAddress())
    src: XNSAddressField = default(XNSAddress())
    payload: Payload = b""
    pad: Bytes = pad(2)


bind(IDP, under=IPv4, when={"protocol": 22})
bind(IDP, under=PPP, when={"protocol": 0x0025})
bind(IDP, under=CiscoHDLC, when={"type": 0x0600})


class Control(IntFlag):
    """Connection control of SPP."""

    SYSTEM = 0x80
    SEND_ACK = 0x40
    ATTENTION = 0x20
    END_OF_MESSAGE = 0x10


_ACKED = (reply.ack - request.seq) & 0xFFFF


class SPP(
    Header,
    under=IDP,
    when={"packet_type": 5},
    # Data is acknowledged by a later number; a system packet, which takes none, only where it asks for it.
    answers=(reply.destination_id == request.source_id)
    & (((request.control & 0x80) == 0) | ((request.control & 0x40) != 0))
    & (_ACKED < 0x8000)
    & (((request.control & 0x80) != 0) | (_ACKED != 0)),
):
    """The sequenced packet protocol. Numbers are modulo 2**16 and count packets.

    `ack` is the first number not yet received in order, `alloc` the highest that the sender of this packet accepts.
    """

    control: Annotated[Named[Control], bits(8)] = default(Control(0))
    datastream: U8 = 0
    source_id: U16 = 0
    destination_id: U16 = 0
    seq: U16 = 0
    ack: U16 = 0
    alloc: U16 = 0


class Echo(Header, under=IDP, when={"packet_type": 2}, answers=(request.operation == 1) & (reply.operation == 2)):
    """Operation 1 asks for the data to come back, 2 brings it."""

    operation: U16 = 1


class ErrorNumber(IntEnum):
    """Why a packet was refused; from 0x200 on by a router on the way."""

    UNSPECIFIED = 0
    BAD_CHECKSUM = 1
    NO_SOCKET = 2
    RESOURCE_LIMIT = 3
    LISTENER_REJECT = 4
    INVALID_PACKET_TYPE = 5
    PROTOCOL_VIOLATION = 6
    UNSPECIFIED_IN_TRANSIT = 0x200
    BAD_CHECKSUM_IN_TRANSIT = 0x201
    UNREACHABLE = 0x202
    HOP_LIMIT = 0x203
    TOO_BIG = 0x204
    CONGESTION_WARNING = 0x205
    CONGESTION_DISCARD = 0x206


class Error(Header, under=IDP, when={"packet_type": 3}, quotes=True):
    """An error report; the first 42 bytes or more of the packet it is about follow."""

    number: Annotated[Named[ErrorNumber], bits(16)] = default(ErrorNumber.UNSPECIFIED)
    parameter: U16 = 0


bind(IDP, under=Error)


class PEX(Header, under=IDP, when={"packet_type": 4}, answers=reply.id == request.id):
    """Packet exchange: a request and its reply have the same id."""

    id: U32 = 0
    client_type: U16 = 0


class RIPEntry(Header):
    """A network and how many hops away it is; 16 is out of reach."""

    net: U32 = 0
    hops: U16 = 16


class RIP(Header, under=IDP, when={"packet_type": 1}, answers=(request.operation == 1) & (reply.operation == 2)):
    """Routing information: operation 1 asks, 2 tells."""

    operation: U16 = 1
    entries: tuple[RIPEntry, ...] = many()
