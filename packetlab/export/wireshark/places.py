"""Where Wireshark has what: its dissectors and tables for the headers of packetlab that it knows itself.

Owns how a binding under such a header becomes a place in one of Wireshark's tables, or a guess by content.
"""

from __future__ import annotations

from typing import NamedTuple

from packetlab.declare import registry
from packetlab.declare.classbody.options import number_field
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Const, Elsewhere, Expr, Next, OneOf, Op, Ref
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.transforms.carried import OuterBytes
from packetlab.declare.values.said import OuterSays

KNOWN = {
    "Ether": "eth_withoutfcs", "VLAN": "vlan", "LLC": "llc", "SNAP": "", "Novell": "ipx", "MPLS": "mpls", "PPPoE": "pppoes", "PPP": "ppp",
    "ShortPPP": "", "HDLC": "ppp_hdlc", "PPPLink": "ppp_hdlc", "PPPDirection": "", "PPPD": "", "CiscoHDLC": "chdlc", "LinuxSLL": "sll", "LinuxSLL2": "", "BSDNull": "null", "BSDLoop": "",
    "RawIP": "raw", "ARP": "arp", "SLARP": "slarp", "IPX": "ipx", "EtherIP": "etherip", "L2TP": "l2tp", "IPv4": "ip", "IPv6": "ipv6", "HopByHop": "ipv6.hopopts", "DestinationOptions": "ipv6.dstopts",
    "Routing": "ipv6.routing", "Fragment": "ipv6.fraghdr", "AuthenticationHeader": "ah", "ICMP": "icmp", "ICMPv6": "icmpv6",
    "GRE": "gre", "UDP": "udp", "TCP": "tcp", "SCTP": "sctp", "VXLAN": "vxlan", "WebSocketFrame": "websocket",
    **dict.fromkeys((
        "ICMPv6Error", "ICMPv6Echo", "RouterSolicitation", "RouterAdvertisement", "NeighborSolicitation",
        "NeighborAdvertisement", "Redirect", "ListenerMessage", "ListenerReport",
    ), ""),
}  # fmt: skip
"""Header of packetlab that Wireshark dissects itself -> name of its dissector, "" where none can be requested."""

TABLES = {
    "ethertype": ("ethertype", "gre.proto"),
    "cisco.hdlc": ("chdlc.protocol",),
    "ip.protocol": ("ip.proto",),
    "udp.port": ("udp.port",),
    "tcp.port": ("tcp.port",),
    "sctp.port": ("sctp.port",),
    "llc.sap": ("llc.dsap",),
    "ppp": ("ppp.protocol",),
    "bsd.family": ("null.type",),
    "bsd.loop": ("null.type",),
}
"""Number space of headers -> Wireshark's tables of the same numbers."""

LENGTHS = {"ip.proto", "udp.port", "tcp.port", "sctp.port", "llc.dsap"}
"""Tables of headers that say how long their payload is."""

PORTS = {name: {"dport": "dst_port", "sport": "src_port"} for name in ("UDP", "TCP", "SCTP")}
"""Fields of ports -> what Wireshark calls them for the packet at hand."""

GUESSES = {
    "UDP": ("udp", True),
    "TCP": ("tcp", True),
    "SCTP": ("sctp", True),
    "IPv4": ("ip", True),
    "IPv6": ("ipv6", True),
}
"""Header -> Wireshark's list of dissectors that look at the content, and whether the header says a length."""

FIELDS = {
    ("Ether", "type"): "eth.type eth.len", ("VLAN", "type"): "vlan.etype vlan.len", ("VLAN", "id"): "vlan.id",
    ("VLAN", "priority"): "vlan.priority", ("VLAN", "drop_eligible"): "vlan.dei",
    ("LLC", "dsap"): "llc.dsap", ("LLC", "ssap"): "llc.ssap", ("LLC", "control"): "llc.control",
    ("SNAP", "oui"): "llc.oui", ("SNAP", "type"): "llc.type",
    ("GRE", "protocol"): "gre.proto", ("GRE", "key"): "gre.key", ("PPP", "protocol"): "ppp.protocol",
    ("IPv4", "dscp"): "ip.dsfield.dscp", ("IPv4", "ecn"): "ip.dsfield.ecn", ("IPv4", "length"): "ip.len",
    ("IPv4", "id"): "ip.id", ("IPv4", "fragment_offset"): "ip.frag_offset", ("IPv4", "ttl"): "ip.ttl",
    ("IPv4", "protocol"): "ip.proto", ("IPv6", "traffic_class"): "ipv6.tclass", ("IPv6", "flow_label"): "ipv6.flow",
    ("IPv6", "length"): "ipv6.plen", ("IPv6", "next_header"): "ipv6.nxt", ("IPv6", "hop_limit"): "ipv6.hlim",
    ("UDP", "length"): "udp.length", ("TCP", "flags"): "tcp.flags", ("TCP", "window"): "tcp.window_size_value",
    ("TCP", "seq"): "tcp.seq_raw", ("TCP", "ack"): "tcp.ack_raw", ("ICMP", "type"): "icmp.type", ("ICMP", "code"): "icmp.code",
    **{(name, side): f"{name.lower()}.{there}port" for name in ("UDP", "TCP", "SCTP") for side, there in (("sport", "src"), ("dport", "dst"))},
}  # fmt: skip
"""Field of a header that Wireshark knows -> its name there, or names where it has one for each sort of value."""


class TableEntry(NamedTuple):
    """Where a header is reached from one of Wireshark's: in a table at a number, or (`number` None) by a guess.

    Attributes:
        lower: the header of Wireshark's. table: the name of a table or of a list of guesses. port: which port has to be
            the number. condition: what has to hold as well, on fields of `lower`.
    """

    header: Declaration
    lower: Declaration
    table: str
    number: int | None
    port: str | None = None
    condition: Expr | None = None


def is_known(header: Declaration) -> bool:
    """Whether Wireshark dissects a header itself."""
    return header.name in KNOWN and header.is_own


def tables(header: Declaration, field: str) -> tuple[str, ...]:
    """Return Wireshark's tables for the numbers of a field."""
    rule = header.by_name[field].rule
    found = TABLES.get(rule.space, ()) if isinstance(rule, Next) else ()
    return found or (TABLES[header.name.lower() + ".port"] if field in PORTS.get(header.name, {}) else ())


def table_entries(header: Declaration) -> tuple[list[TableEntry], list[str]]:
    """Return where a header stands under Wireshark's own, and in words which of its bindings cannot be said there."""
    found, left = [], []
    for lower, when, _ in registry.bindings_of(header):
        if not is_known(lower):
            continue
        numbered = _numbered(header, lower, when)
        guess = GUESSES.get(lower.name)
        condition = when if isinstance(when, Expr) else None
        if isinstance(when, dict) and not numbered:
            ((name, numbers),) = when.items()
            condition = OneOf(Ref(name), tuple(numbers))
        if condition is not None and not (all(can_ask(lower, name) for name in refs(condition)) and has_all(condition)):
            left.append(f"{header.name} under {lower.name} where {condition}")
        elif numbered:
            found += numbered
        elif guess is not None:
            found.append(TableEntry(header, lower, guess[0], None, None, condition))
        else:
            left.append(f"{header.name} under {lower.name} where {condition}")
    return found, left


def can_ask(lower: Declaration, name: str) -> bool:
    """Whether the value of a field of Wireshark's can be had."""
    return name in PORTS.get(lower.name, {}) or (lower.name, name) in FIELDS


def wireshark_name(leaf: Elsewhere) -> str:
    """Return what Wireshark calls a value of a header that it dissects itself, "" where it has none or the header is another."""
    header = registry.header_named(leaf.path) if leaf.path.isidentifier() and not isinstance(leaf, OwnPlace | OuterBytes | OuterSays) else None
    return FIELDS.get((header.name, leaf.name), "") if header is not None and is_known(header) else ""


def elsewhere(rule: Expr) -> list[Elsewhere]:
    """Return what a rule asks of other headers."""
    return [leaf for leaf in rule.leaves() if isinstance(leaf, Elsewhere)]


def has_all(rule: Expr) -> bool:
    """Whether all that a rule under one of Wireshark's headers asks of other headers can be had."""
    return all(map(wireshark_name, elsewhere(rule)))


def refs(rule: Expr) -> set[str]:
    """Return the fields that a rule asks for."""
    return {leaf.name for leaf in rule.leaves() if isinstance(leaf, Ref)}


def _numbered(header: Declaration, lower: Declaration, when: object) -> list[TableEntry]:
    """Return places in tables for numbers that a binding names, or that its condition cannot hold without."""
    if isinstance(when, dict):
        pinned, condition = {name: tuple(numbers) for name, numbers in when.items()}, None
    else:
        assert isinstance(when, Expr)
        pinned, condition = _pinned(when), when
    for name, numbers in pinned.items():
        found = tables(lower, number_field(lower, name))
        if found:
            port = PORTS.get(lower.name, {}).get(name)
            return [TableEntry(header, lower, table, n, port, condition) for table in found for n in numbers]
    return []


def _pinned(rule: Expr) -> dict[str, tuple[int, ...]]:
    """Return the fields that a condition lets have a few values only."""
    if isinstance(rule, OneOf) and isinstance(rule.values, Ref):
        return {rule.values.name: rule.among}
    if isinstance(rule, Op) and rule.sign == "&":
        return {**_pinned(rule.right), **_pinned(rule.left)}
    if isinstance(rule, Op) and rule.sign == "==":
        for one, other in ((rule.left, rule.right), (rule.right, rule.left)):
            if isinstance(one, Ref) and isinstance(other, Const):
                return {one.name: (other.number,)}
    return {}
