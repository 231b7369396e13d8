"""Addresses that declarations know as bytes only: in options, lists and messages, wherever their header stands.

The walk of `sites` finds them where it passes; everywhere else `sites_declared` looks them up here. Each function takes
the `Found` to note them in, and arrays (of one element): row, first byte and end of the header or item, nesting, and the
checksum that covers it (-1: none).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from packetlab.capture.rewrite.sites_options import (
    arp,
    cooked,
    each,
    igmp,
    neighbour_options,
    options4,
    options6,
    routed,
    routers,  # fmt: skip
)
from packetlab.declare import registry
from packetlab.declare.declaration import AnyHeader
from packetlab.declare.expressions import Next
from packetlab.declare.fields import Field
from packetlab.packet.packet import Header
from packetlab.protocols.icmp import ICMP, ICMPv6, ListenerMessage, ListenerRecord, NDOption
from packetlab.protocols.ip import ARP, IPOption, IPv6Option, Routing
from packetlab.protocols.link import LinuxSLL, LinuxSLL2

if TYPE_CHECKING:
    from packetlab.capture.rewrite.sites_found import Found

Note = Callable[..., None]
PROTOCOL, IGMP, QUERY, ROUTERS = "ip.protocol", 2, 130, 9


def _option4(sites: Found, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
    none = at * 0 - 1
    final = options4(sites, at, end, none, around, none)
    some = final >= 0  # of a route that is not used up; the checksums that count it are worked out by their rules
    sites.ip(4, final[some], around[some], header=1)


def _option6(sites: Found, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
    options6(sites, at - 2, end, around, at)


def _routing(sites: Found, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
    routed(sites, at, end, around, at * 0 - 1)


def _record(sites: Found, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
    each(sites, at + 20, sites.u16(at + 2), end, around)


def _arp(sites: Found, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
    arp(sites, at, end, around)


def _cooked1(sites: Found, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
    cooked(sites, at * 0 - 1, at, end, around, True)


def _cooked2(sites: Found, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
    cooked(sites, at * 0 - 1, at, end, around, False)


HELD: dict[type[AnyHeader], tuple[str, Note]] = {
    IPOption: ("data", _option4), IPv6Option: ("data", _option6), Routing: ("data", _routing),
    NDOption: ("data", neighbour_options), ListenerRecord: ("addresses", _record), ARP: ("addresses", _arp),
    LinuxSLL: ("address", _cooked1), LinuxSLL2: ("address", _cooked2),
}  # fmt: skip
"""Header or item -> its field that may hold addresses as bytes, and what notes them."""


def held(cls: type[AnyHeader], f: Field) -> Note | None:
    """Return what notes the addresses in a field of bytes, None where it holds none that are known."""
    return next((note for one, (name, note) in HELD.items() if name == f.name and issubclass(cls, one)), None)


def after(sites: Found, below: Header | None, header: Header, at: Any, inner: Any, end: Any, around: Any) -> None:
    """Note the addresses after the last header of a frame, where no declaration describes them.

    `inner`: where that begins; the frame ends at `end`.
    """
    if isinstance(header, ICMP):
        routers(sites, at, end, at * 0 + (ROUTERS if header.type == ROUTERS else -1), around)
    elif isinstance(header, ListenerMessage) and isinstance(below, ICMPv6) and below.type == QUERY:
        query = at[at + 24 <= end]
        each(sites, query + 24, sites.u16(query + 22), end, around)
    elif IGMP not in registry.space(PROTOCOL).headers and any(
        isinstance(f.rule, Next) and f.rule.space == PROTOCOL and getattr(header, f.slot) == IGMP
        for f in header._fields
    ):
        igmp(sites, inner, end, around)
