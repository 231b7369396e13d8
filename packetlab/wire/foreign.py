"""Whatever is a packet becomes bytes or a `Packet`: ours, a captured frame, scapy's, dpkt's, octets.

Every place that takes a packet asks `octets` or `as_packet`, and nothing else, so that all of them take the same things.
scapy and dpkt are told by the names of their classes: neither is imported here, and a program without them pays nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from packetlab.wire.header import Header
    from packetlab.wire.packet import Packet

# Classes whose bytes begin as one of our headers does. The first of each library is the one that `export` turns ours into.
COUNTERPARTS = {
    "Ether": "scapy.layers.l2.Ether scapy.layers.l2.Dot3 dpkt.ethernet.Ethernet",
    "VLAN": "scapy.layers.l2.Dot1Q scapy.layers.l2.Dot1AD",
    "LLC": "scapy.layers.l2.LLC dpkt.llc.LLC",
    "SNAP": "scapy.layers.l2.SNAP",
    "MPLS": "scapy.contrib.mpls.MPLS",
    "PPPoE": "scapy.layers.ppp.PPPoE scapy.layers.ppp.PPPoED dpkt.pppoe.PPPoE",
    "PPP": "scapy.layers.ppp.PPP",
    "HDLC": "scapy.layers.ppp.HDLC",
    "LinuxSLL": "scapy.layers.l2.CookedLinux dpkt.sll.SLL",
    "LinuxSLL2": "scapy.layers.l2.CookedLinuxV2 dpkt.sll2.SLL2",
    "BSDNull": "scapy.layers.l2.Loopback dpkt.loopback.Loopback",
    "ARP": "scapy.layers.l2.ARP dpkt.arp.ARP",
    "IPv4": "scapy.layers.inet.IP dpkt.ip.IP",
    "IPv6": "scapy.layers.inet6.IPv6 dpkt.ip6.IP6",
    "HopByHop": "scapy.layers.inet6.IPv6ExtHdrHopByHop",
    "DestinationOptions": "scapy.layers.inet6.IPv6ExtHdrDestOpt",
    "Routing": "scapy.layers.inet6.IPv6ExtHdrRouting scapy.layers.inet6.IPv6ExtHdrSegmentRouting",
    "Fragment": "scapy.layers.inet6.IPv6ExtHdrFragment",
    "AuthenticationHeader": "scapy.layers.ipsec.AH dpkt.ah.AH",
    "ICMP": "scapy.layers.inet.ICMP scapy.layers.inet.ICMPerror dpkt.icmp.ICMP",
    "ICMPv6": "scapy.layers.inet6._ICMPv6 dpkt.icmp6.ICMP6",
    "GRE": "scapy.layers.l2.GRE scapy.layers.l2.GRE_PPTP dpkt.gre.GRE",
    "UDP": "scapy.layers.inet.UDP dpkt.udp.UDP",
    "TCP": "scapy.layers.inet.TCP dpkt.tcp.TCP",
    "SCTP": "scapy.layers.sctp.SCTP dpkt.sctp.SCTP",
    "VXLAN": "scapy.layers.vxlan.VXLAN",
}
DECLARED = "declared_header"
"""The attribute of a class made from a declaration (`export.scapy_class`, `dpkt_class`) that leads back to it."""


_libraries: dict[type, str] = {}
_counterparts: dict[type, type[Header] | None] = {}


def library(kind: type) -> str:
    """Return "scapy" or "dpkt" for the class of one of their packets, "" for any other."""
    if kind not in _libraries:
        _libraries[kind] = _library(kind)
    return _libraries[kind]


def _library(kind: type) -> str:
    for cls in kind.__mro__:
        root = cls.__module__.partition(".")[0]
        if cls.__name__ == "Packet" and root in ("scapy", "dpkt"):
            return root
    return ""


def is_foreign(packet: object) -> bool:
    """Say whether `packet` is one of scapy's or dpkt's."""
    return library(type(packet)) != ""


def octets(packet: Any) -> bytes:
    """Return the bytes of whatever is a packet: octets, a `Packet`, a header, a captured frame, scapy's, dpkt's.

    TypeError for anything else (a number or a list has bytes too, in Python's eyes).
    """
    if type(packet) is bytes:
        return packet
    if isinstance(packet, (bytes, bytearray, memoryview)):
        return bytes(packet)
    if hasattr(type(packet), "__bytes__"):
        return bytes(packet)
    wanted = "a packet, a header, a frame, bytes, or a packet of scapy or dpkt"
    raise TypeError(f"{wanted} was expected, got {type(packet).__name__}")


def counterpart(kind: type) -> type[Header] | None:
    """Return our header that a class of scapy or dpkt begins with; None where none is declared."""
    if kind not in _counterparts:
        _counterparts[kind] = _counterpart(kind)
    return _counterparts[kind]


def _counterpart(kind: type) -> type[Header] | None:
    declared: type[Header] | None = getattr(kind, DECLARED, None)
    if declared is not None:
        return declared
    from packetlab.wire import ethernet, icmp, ip, transport, tunnels

    modules = (ethernet, icmp, ip, transport, tunnels)

    for cls in kind.__mro__:
        path = f"{cls.__module__}.{cls.__qualname__}"
        for name, theirs in COUNTERPARTS.items():
            if path in theirs.split():
                found: type[Header] = next(getattr(m, name) for m in modules if hasattr(m, name))
                return found
    return None


def first_header_of(packet: Any, otherwise: type[Header] | None = None) -> type[Header] | None:
    """Return the class of the outermost header of whatever is a packet, or a header class itself; else `otherwise`."""
    from packetlab.wire.header import Header
    from packetlab.wire.linktypes import first_header
    from packetlab.wire.packet import Packet

    if isinstance(packet, type) and issubclass(packet, Header):
        return packet
    if isinstance(packet, Header):
        return type(packet)
    if isinstance(packet, Packet):
        return type(packet._headers[0]) if packet._headers else None
    if is_foreign(packet):
        return counterpart(type(packet))
    linktype = getattr(packet, "linktype", None)
    return otherwise if linktype is None else first_header(linktype)


def linktype_of(first: type[Header] | None) -> int:
    """Return the link type of captures whose frames begin with that header; Ethernet's (1) where there is none."""
    from packetlab.wire.linktypes import ETHERNET, FIRST, IPV4, IPV6, RAW

    types = [number for number, header in FIRST.items() if header is first]
    # Tools read raw IP (101), whatever its version, where they do not know the types of one version alone.
    return RAW if types and types[0] in (IPV4, IPV6, 12) else types[0] if types else ETHERNET


def as_packet(packet: Any, like: Any = None) -> Packet:
    """Return whatever is a packet as a `Packet`.

    A packet stays as it is, a header becomes one, a captured frame is dissected; so are the bytes of a packet of scapy's
    or dpkt's, from the header that its class stands for, and octets, from the header that `like` (a header, a header
    class, a packet; default: Ether) begins with. Where a foreign class is none that is declared here, all is payload and a
    fault names the class. TypeError for what is no packet.
    """
    from packetlab.wire.dissect import dissect
    from packetlab.wire.ethernet import Ether
    from packetlab.wire.header import Header
    from packetlab.wire.packet import Packet
    from packetlab.wire.walk import Fault

    if isinstance(packet, Packet):
        return packet
    if isinstance(packet, Header):
        return Packet((packet,))
    if is_foreign(packet):
        kind = type(packet)
        outermost = counterpart(kind)
        made = dissect(octets(packet), outermost)
        if outermost is not None or kind.__name__ == "Raw":
            return made
        name = f"{kind.__module__}.{kind.__name__}"
        return made.with_fault(Fault(kind.__name__, "", 0, "a header that is declared", name))
    dissected = getattr(packet, "packet", None)
    if callable(dissected) and hasattr(packet, "linktype"):
        framed: Packet = dissected()
        return framed
    return dissect(octets(packet), Ether if like is None else first_header_of(like))
