"""Link headers: Ethernet II and 802.3, VLAN tags, LLC, SNAP, MPLS, PPPoE, PPP, Cisco HDLC, Linux cooked, BSD loopback, raw IP.

Follows IEEE 802.3 clause 3, IEEE 802.1Q clause 9, IEEE 802.2, RFC 1042, RFC 3032, RFC 2516, RFC 1661, RFC 1662, RFC 1547,
and the tcpdump project's descriptions of link types. Ether types are IEEE's.
"""

from __future__ import annotations

from typing import Annotated, Any

from packetlab.declare.expressions import expression
from packetlab.declare.fields import auto, default, when
from packetlab.declare.kinds import MAC, fixed_bytes
from packetlab.declare.registry import bind
from packetlab.declare.rules import ahead, choose, field, next_protocol, size_of
from packetlab.declare.values.integers import U1, U3, U4, U8, U12, U16, U20, U24, U32, U32le
from packetlab.packet.packet import Header
from packetlab.protocols.numbers import ETHERTYPE as ETHERTYPE

NO_TYPE = 0xFFFF  # sent where the header above has no ether type: the one IEEE keeps reserved
LENGTH = choose(field("type") <= 1500, field("type"), -1)  # 802.3 clause 3.2.6: up to 1500 it is a length
_RAW_IPX = (field("type") <= 1500) & (ahead(16) == 0xFFFF)


class Ether(Header, payload_size=LENGTH):
    """Ethernet. Up to 1500, `type` is the length of what follows, which then is LLC."""

    dst: MAC = default("ff:ff:ff:ff:ff:ff")
    src: MAC = default("00:00:00:00:00:00")
    type: U16 = auto(next_protocol(ETHERTYPE, otherwise=NO_TYPE))


class VLAN(Header, under=Ether, when={"type": (0x8100, 0x88A8, 0x9100)}, payload_size=LENGTH):
    """An 802.1Q tag; stack them for 802.1ad, with the outer type given."""

    priority: U3 = 0
    drop_eligible: U1 = 0
    id: U12 = 0
    type: U16 = auto(next_protocol(ETHERTYPE, otherwise=NO_TYPE))


class Novell(Header, under=(Ether, VLAN), when=_RAW_IPX, sets={"type": size_of("payload")}):
    """Novell's raw 802.3: IPX right after a length, without LLC. It has no bytes; IPX's checksum of 0xFFFF shows it."""


class LLC(Header, under=(Ether, VLAN), when=field("type") <= 1500, sets={"type": size_of("payload")}):
    """802.2 logical link control. `control` has 8 bits in unnumbered frames (its low two bits set), else 16."""

    dsap: U8 = auto(next_protocol("llc.sap", otherwise=0))
    ssap: U8 = auto(choose(field("dsap") == 0xAA, 0xAA, 0))
    control: U8 = 3
    sequence: U8 = when((field("control") & 3) != 3, 0)


class SNAP(Header, under=LLC, when={"dsap": 0xAA}, opaque=field("oui").one_of(0, 0xF8) == 0):
    """The sub-network access protocol (RFC 1042). `type` is an ether type where `oui` is 0 (or 00-00-F8, bridged)."""

    oui: U24 = 0
    type: U16 = auto(next_protocol(ETHERTYPE, otherwise=NO_TYPE))


class MPLS(Header, under=Ether, when={"type": (0x8847, 0x8848)}):
    """One MPLS label stack entry (RFC 3032 section 2.1). What follows the last shows by its first four bits."""

    label: U20 = 0
    traffic_class: U3 = 0
    bottom: U1 = 1
    ttl: U8 = 64


class PPPoE(Header, under=Ether, when={"type": (0x8864, 0x8863)}):
    """PPP over Ethernet (RFC 2516 section 4). In the discovery stage (code not 0) the payload is tags."""

    version: U4 = 1
    kind: U4 = 1
    code: U8 = 0
    session: U16 = 0
    length: U16 = auto(size_of("payload"))


class PPP(Header):
    """The protocol field of PPP (RFC 1661 section 2), 16 bits wide."""

    protocol: U16 = auto(next_protocol("ppp", otherwise=0))


class ShortPPP(Header):
    """The protocol field of PPP compressed to one byte (RFC 1661 section 6.5)."""

    protocol: U8 = auto(next_protocol("ppp", otherwise=0))


class HDLC(Header):
    """The address and control bytes before PPP in HDLC-like framing (RFC 1662 section 3.1)."""

    address: U8 = 0xFF
    control: U8 = 3


class CiscoHDLC(Header):
    """Cisco's HDLC (link type 104; RFC 1547 section 4.3.1): a protocol, mostly an ether type, after two bytes."""

    address: U8 = 0x0F
    control: U8 = 0
    type: U16 = auto(next_protocol("cisco.hdlc", otherwise=NO_TYPE))


class PPPLink(Header):
    """PPP as a link type (9, 50). It has no bytes: what it begins with tells PPP, HDLC before PPP, and Cisco's HDLC."""


class PPPDirection(Header):
    """PPP as a link type with a direction (204): 0 for received, other values for sent; then PPP, or HDLC before it."""

    direction: U8 = 0


class PPPD(Header):
    """PPP as pppd hands it to a capture (link type 166): HDLC, with a direction (0 received, 1 sent) for the address."""

    direction: U8 = 0
    control: U8 = 3


class LinuxSLL(Header):
    """Linux cooked capture, version 1 (link type 113)."""

    packet_type: U16 = 0
    hardware: U16 = 1
    address_length: U16 = 6
    address: Annotated[bytes, fixed_bytes(8)] = bytes(8)
    type: U16 = auto(next_protocol(ETHERTYPE, otherwise=NO_TYPE))


class LinuxSLL2(Header):
    """Linux cooked capture, version 2 (link type 276)."""

    type: U16 = auto(next_protocol(ETHERTYPE, otherwise=NO_TYPE))
    reserved: U16 = 0
    interface: U32 = 0
    hardware: U16 = 1
    packet_type: U8 = 0
    address_length: U8 = 6
    address: Annotated[bytes, fixed_bytes(8)] = bytes(8)


class BSDNull(Header):
    """BSD loopback (link type 0): the address family, in the byte order of the machine that captured.

    Bindings name both readings of a family, so either order finds its header.
    """

    family: U32le = auto(next_protocol("bsd.family", otherwise=0))


class BSDLoop(Header):
    """OpenBSD loopback (link type 108): the address family in network order."""

    family: U32 = auto(next_protocol("bsd.loop", otherwise=0))


class RawIP(Header):
    """No link header at all (link types 12, 14, 101): the first four bits tell IPv4 from IPv6."""


def carry_ppp(under: type[Header], when: Any = 1, sets: dict[str, Any] | None = None, framed: bool = True) -> None:
    """Let PPP follow `under` where `when` holds, as its first bytes tell: after HDLC's two (where `framed`) or not, and
    with a protocol number of one byte or two: the first byte of two is even, the last one odd (RFC 1661 section 2)."""
    holds = expression(when)
    if framed:
        bind(HDLC, under=under, when=holds & (ahead(8) == 0xFF), sets=sets)
    bind(ShortPPP, under=under, when=holds & ((ahead(8) & 1) == 1), sets=sets)
    bind(PPP, under=under, when=holds, sets=sets)


carry_ppp(PPPoE, when=field("code") == 0, sets={"code": 0}, framed=False)
carry_ppp(HDLC, framed=False)
carry_ppp(PPPD, framed=False)
bind(CiscoHDLC, under=PPPLink, when=ahead(8).one_of(0x0F, 0x8F))
carry_ppp(PPPLink)
carry_ppp(PPPDirection)
bind(MPLS, under=PPP, when={"protocol": 0x0281})
bind(MPLS, under=CiscoHDLC, when={"type": (0x8847, 0x8848)})
bind(Ether, under=CiscoHDLC, when={"type": 0x6558})
for _cooked in (LinuxSLL, LinuxSLL2):
    bind(Novell, under=_cooked, when=field("type") == 1, sets={"type": 1})  # LINUX_SLL_P_802_3
    bind(LLC, under=_cooked, when=field("type") == 4, sets={"type": 4})  # LINUX_SLL_P_802_2
