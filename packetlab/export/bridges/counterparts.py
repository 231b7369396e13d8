"""What both bridges share: which classes of scapy and dpkt stand for which of our headers, and how values are read for theirs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from packetlab.codec.faults import Dissection
from packetlab.codec.refinement.reading import choices_of
from packetlab.declare.fields import REQUIRED, Field
from packetlab.packet.foreign import Foreign
from packetlab.packet.packet import Header
from packetlab.protocols import icmp, ip, link, transport, tunnels

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader

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

_counterparts: dict[type, type[Header] | None] = {}


def counterpart(kind: type) -> type[Header] | None:
    """Return our header that a class of scapy or dpkt begins with; None where none is declared."""
    if kind not in _counterparts:
        _counterparts[kind] = _counterpart(kind)
    return _counterparts[kind]


def _counterpart(kind: type) -> type[Header] | None:
    declared: type[Header] | None = getattr(kind, DECLARED, None)
    if declared is not None:
        return declared
    modules = (link, icmp, ip, transport, tunnels)

    for cls in kind.__mro__:
        path = f"{cls.__module__}.{cls.__qualname__}"
        for name, theirs in COUNTERPARTS.items():
            if path in theirs.split():
                found: type[Header] = next(getattr(m, name) for m in modules if hasattr(m, name))
                return found
    return None


def native(header: type[AnyHeader], library: str) -> type[Foreign] | None:
    """Return the own class of a library ("scapy", "dpkt") for a header of ours, or None where it has none."""
    path = next((p for p in COUNTERPARTS.get(header.__name__, "").split() if p.startswith(f"{library}.")), "")
    module, _, name = path.rpartition(".")
    if not path or name.startswith("_"):
        return None
    found: type[Foreign] = getattr(import_module(module), name)
    return found if counterpart(found) is header else None


def named_fields(header: type[AnyHeader], taken: set[str]) -> dict[str, Field]:
    """Return the name in a class of theirs -> declared field, in order; names that are taken there get a "_" at the end."""
    fields = [f for f in header._fields if f.kind.wire != "payload"]
    return {f.name + "_" * (f.name in taken): f for f in fields}


def read_items(header: AnyHeader, f: Field) -> Any:
    """Return the raw value of a field of `header`, repeated headers looked into; None where it is absent."""
    raw = getattr(header, f.slot)
    return header._items_of(f) if f.kind.wire == "items" and raw is not None else raw


def is_required(f: Field) -> bool:
    """Whether a field has neither default nor rule nor condition: zero until it is given, as scapy and dpkt have it."""
    follows = f.computed is not None and not f.circular and not any(one.solved for one in f.owner.fields)
    return f.default is REQUIRED and f.condition is None and not follows


def becoming(header: type[AnyHeader], data: Any) -> type[AnyHeader]:
    """Return the class of what bytes are that begin with such a header: it, or one of its choices."""
    if not choices_of(header._declaration):
        return header
    whole = bytes(data)
    return type(header._decode(whole, 0, len(whole), Dissection())[0])
