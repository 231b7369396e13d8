"""Ends: which addresses are meant by a host or a text, and whether a packet goes from one end to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from packetlab.declare.values.addresses import XNSAddress, ip_bytes, ip_text, mac_bytes, mac_text
from packetlab.errors import PacketlabError, suggestion
from packetlab.link.lab.unanswered import UnansweredAddress
from packetlab.network.host import NetworkHost, Place
from packetlab.packet.packet import Packet
from packetlab.view.conversation import spoken

XNS = 12  # bytes: network, host, socket


def addresses(host: NetworkHost) -> frozenset[bytes]:
    """Return all addresses of a host, of whatever kind, as bytes."""
    found = {attachment.mac for attachment in host.attachments}
    try:
        found.add(host.xns_bytes())
    except PacketlabError:  # on no network of XNS
        pass
    for nic in getattr(host, "nics", ()):
        found.add(ip_bytes(f"{nic.link.subnet}.{nic.place}", 4))
    for end in getattr(host, "ends", ()):
        found.add(ip_bytes(end.address, 4))
    if not host.attachments:
        found.add(ip_bytes(str(host.address), 4))
    return frozenset(found)


class Party:
    """One end of an expectation: a host or an unanswered address (all its addresses), the text or value of an address, or anybody (None).

    Raises PacketlabError for a text that is neither an address nor the name of a known host.
    """

    def __init__(self, who: object, known: Mapping[str, NetworkHost]) -> None:
        self.host: Any = known.get(who, who) if isinstance(who, str) else who
        named = getattr(who, "name", who) if not isinstance(who, UnansweredAddress) else who
        self.name = "anyone" if who is None else str(named)
        self._raw: frozenset[bytes] | None = None
        if who is not None and not hasattr(self.host, "attachments"):
            self._raw = frozenset(_parsed(who, known))

    @property
    def raw_addresses(self) -> frozenset[bytes] | None:
        """The addresses; None for anybody. Those of a host are looked up anew: it may have got another link."""
        return self._raw if self.host is None or self._raw is not None else addresses(self.host)


def _parsed(who: object, known: Mapping[str, object]) -> list[bytes]:
    """Return the bytes that an address stands for: more than one for a place on a host of several networks."""
    if isinstance(who, Place):
        nets = [attachment.network for attachment in who.host.attachments]
        return [bytes(XNSAddress(net, int.from_bytes(who.host.xns_bytes(), "big"), who.socket)) for net in nets]
    if isinstance(who, UnansweredAddress):
        return [who.mac.packed, who.address.packed]
    packed = getattr(who, "packed", None)  # netaddr's and the standard library's addresses alike
    if isinstance(packed, bytes):
        return [packed]
    if isinstance(who, bytes) and len(who) in (4, 6, XNS, 16):
        return [who]
    readers = [mac_bytes, lambda v: ip_bytes(v, 4), lambda v: ip_bytes(v, 16)] if isinstance(who, str) else []
    for read in (*readers, _xns):
        try:
            found = read(who)
        except (ValueError, TypeError):
            continue
        return [found]
    hosts = ", ".join(known)
    expected = "a host, an address" + (f", or a name: {hosts}" if hosts else "")
    raise PacketlabError("one end of an expectation", expected, repr(who), suggestion(str(who), known))


def _xns(who: object) -> bytes:
    address = XNSAddress.of(who)
    if not address.host:  # this many words are hexadecimal
        raise ValueError(who)
    return bytes(address)


def goes_between(packet: Packet, sender: frozenset[bytes] | None, receiver: frozenset[bytes] | None) -> bool:
    """Say whether, at some layer, the packet goes from one of these addresses to one of those (None: any)."""
    if sender is None and receiver is None:
        return True
    for header in spoken(packet):
        source, target = getattr(header, "_src", None), getattr(header, "_dst", None)
        if isinstance(source, bytes) and isinstance(target, bytes):
            if _among(source, sender) and _among(target, receiver):
                return True
    return False


def _among(address: bytes, wanted: Iterable[bytes] | None) -> bool:
    return wanted is None or address in wanted or (len(address) == XNS and address[4:10] in wanted)


def names(hosts: Iterable[NetworkHost]) -> dict[str, str]:
    """Return the names of hosts by the texts of their addresses, as a ladder wants them."""
    found = {}
    for host in hosts:
        for raw in addresses(host):
            found[mac_text(raw) if len(raw) == 6 else ip_text(raw)] = str(host.name)
    return found


def route(packet: Packet, hosts: Iterable[NetworkHost]) -> str:
    """Return who sent a packet to whom, by the names of the hosts, where they have one, in one line."""
    known = {raw: str(host.name) for host in hosts for raw in addresses(host)}
    shown = "?", "?"
    for header in spoken(packet):
        source, target = getattr(header, "_src", None), getattr(header, "_dst", None)
        if isinstance(source, bytes) and isinstance(target, bytes):
            named = tuple(known.get(o) or known.get(o[4:10] if len(o) == XNS else o) for o in (source, target))
            if all(named):
                return f"{named[0]} -> {named[1]}"
            ends = [name or _text(raw) for name, raw in zip(named, (source, target), strict=True)]
            shown = ends[0], ends[1]
    return f"{shown[0]} -> {shown[1]}"


def _text(raw: bytes) -> str:
    if len(raw) == XNS:
        return str(XNSAddress.of(raw))
    return mac_text(raw) if len(raw) == 6 else ip_text(raw) if len(raw) in (4, 16) else raw.hex()
