"""Novell's IPX, which is XNS's IDP with another use of its checksum and other types of packets.

Follows Novell's "IPX Router Specification" (107-000029-001) and the numbers that tcpdump and Wireshark have.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from packetlab.declare.bits.kinds import bits
from packetlab.declare.fields import auto, default
from packetlab.declare.kinds import Named, XNSAddressField
from packetlab.declare.registry import bind
from packetlab.declare.rules import next_protocol, size_of
from packetlab.declare.values.addresses import XNSAddress
from packetlab.declare.values.integers import U8, U16
from packetlab.packet.packet import Header
from packetlab.protocols.ip import IPv4
from packetlab.protocols.link import LLC, PPP, CiscoHDLC, Ether, Novell


class IPXType(IntEnum):
    """What an IPX packet carries."""

    UNKNOWN = 0
    RIP = 1
    ECHO = 2
    ERROR = 3
    PEP = 4
    SPX = 5
    NCP = 17
    NETBIOS = 20


class IPX(Header, under=Ether, when={"type": 0x8137}):
    """Novell's internetwork packet exchange. A checksum of 0xFFFF says that there is none, and rarely is there one."""

    checksum: U16 = 0xFFFF
    length: U16 = auto(size_of("self") + size_of("payload"))
    hops: U8 = 0
    packet_type: Annotated[Named[IPXType], bits(8)] = auto(next_protocol("ipx.type", otherwise=0))
    dst: XNSAddressField = default(XNSAddress())
    src: XNSAddressField = default(XNSAddress())


bind(IPX, under=Novell)
bind(IPX, under=LLC, when={"dsap": 0xE0})
bind(IPX, under=PPP, when={"protocol": 0x002B})
bind(IPX, under=CiscoHDLC, when={"type": 0x8137})
bind(IPX, under=IPv4, when={"protocol": 111})
