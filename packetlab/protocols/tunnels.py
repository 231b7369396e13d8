"""Tunnels: GRE and PPTP's kind of it, EtherIP, L2TP, Ethernet in IP.

Follows RFC 2784, RFC 2890, RFC 1701 and RFC 2637 (GRE), RFC 3378 (EtherIP), RFC 2661 (L2TP), RFC 8986 (Ethernet in IP).
"""

from __future__ import annotations

from packetlab.declare.fields import auto, const, when
from packetlab.declare.kinds import Bytes
from packetlab.declare.registry import bind
from packetlab.declare.rules import ahead, choose, field, has, internet_checksum, next_protocol, size_of
from packetlab.declare.values.integers import U1, U2, U3, U4, U12, U16, U32
from packetlab.packet.packet import Header
from packetlab.protocols.ip import IPv4
from packetlab.protocols.link import ETHERTYPE, NO_TYPE, Ether, carry_ppp
from packetlab.protocols.transport import UDP

_PPTP = field("key_present") & (field("version") == 1)


class GRE(
    Header,
    under=IPv4,
    when={"protocol": 47},
    opaque=field("routing_present"),
    payload_size=choose(_PPTP, field("payload_length"), -1),
):
    """Generic routing encapsulation (RFC 2784, RFC 2890). With the routing of RFC 1701 its list begins the payload.

    Version 1 is PPTP's (RFC 2637 section 4.1), whose key is the size of the payload and the number of a call.
    """

    checksum_present: U1 = auto(has("checksum"))
    routing_present: U1 = 0
    key_present: U1 = auto(has("key") | has("call_id"))
    sequence_present: U1 = auto(has("sequence"))
    strict_source_route: U1 = 0
    recursion: U3 = 0
    acknowledgment_present: U1 = auto(has("acknowledgment"))
    reserved: U4 = 0
    version: U3 = auto(has("call_id"))
    protocol: U16 = auto(next_protocol(ETHERTYPE, otherwise=NO_TYPE))
    checksum: U16 = when(
        field("checksum_present") | field("routing_present"), auto(internet_checksum("self", "payload"))
    )
    offset: U16 = when(field("checksum_present") | field("routing_present"), 0)
    key: U32 = when(field("key_present") & (field("version") != 1))
    payload_length: U16 = when(_PPTP, auto(size_of("payload")))
    call_id: U16 = when(_PPTP)
    sequence: U32 = when(field("sequence_present"))
    acknowledgment: U32 = when(field("acknowledgment_present"))


bind(Ether, under=GRE, when={"protocol": 0x6558})
carry_ppp(GRE, when=field("protocol") == 0x880B, sets={"protocol": 0x880B})


class EtherIP(Header, under=IPv4, when={"protocol": 97}):
    """Ethernet in IP, version 3 (RFC 3378)."""

    version: U4 = const(3)
    reserved: U12 = 0


bind(Ether, under=EtherIP)
bind(Ether, under=IPv4, when={"protocol": 143})  # as segment routing ends (RFC 8986 section 4.8)

_EITHER_PORT = (field("sport") == 1701) | (field("dport") == 1701)


class L2TP(Header, under=UDP, when=_EITHER_PORT & ((ahead(16) & 15) == 2), sets={"dport": 1701}):
    """The layer two tunnelling protocol, version 2 (RFC 2661 section 3.1). Control messages carry attributes, data PPP."""

    control: U1 = 0
    length_present: U1 = auto(has("length"))
    reserved: U2 = 0
    sequence_present: U1 = auto(has("ns") | has("nr"))
    reserved2: U1 = 0
    offset_present: U1 = auto(has("offset_pad"))
    priority: U1 = 0
    reserved3: U4 = 0
    version: U4 = const(2)
    length: U16 = when(field("length_present"), auto(size_of("self") + size_of("payload")))
    tunnel: U16 = 0
    session: U16 = 0
    ns: U16 = when(field("sequence_present"))
    nr: U16 = when(field("sequence_present"))
    offset_size: U16 = when(field("offset_present"), auto(size_of("offset_pad")))
    offset_pad: Bytes = when(field("offset_present"))


carry_ppp(L2TP, when=field("control") == 0, sets={"control": 0})
