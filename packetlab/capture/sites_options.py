"""Addresses inside options and messages, for `sites`: of IPv4 and IPv6 options, routing headers, ICMP, ICMPv6, IGMP, ARP
and Linux cooked headers.

Each function takes the `Sites` that the addresses are noted in, and arrays of places; `around` is the checksum that covers
them (-1: none). Follows RFC 791 section 3.1, RFC 8200 section 4, RFC 6275 section 6.3, RFC 1256, RFC 4861 section 4.6,
RFC 8106 section 5.1, RFC 4191 section 2.3, RFC 3810 section 5, RFC 3376 section 4, RFC 826.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from packetlab.capture.sites import Sites

# IPv4 option -> where its first address begins, and how many octets on the next. Routes, addressed broadcast, traceroute.
LISTS = {7: (3, 4), 0x83: (3, 4), 0x89: (3, 4), 149: (2, 4), 82: (8, 255)}
SOURCE_ROUTES = (0x83, 0x89)
TIMESTAMP = 0x44
HOME_ADDRESS = 0xC9


def options4(sites: Sites, at: Any, end: Any, own: Any, around: Any, target: Any) -> Any:
    """Note the addresses in IPv4 options. Return where the final destination of each packet stands: in a source route
    that is not used up its last address (RFC 1122 section 3.2.1.8), else where `target` says.
    """
    np = sites.np
    target, which = target.copy(), np.arange(len(at))
    found: list[tuple[Any, Any]] = []
    while len(at):
        keep = at < end
        keep[keep] = sites.u8(at[keep]) != 0
        at, end, which = at[keep], end[keep], which[keep]
        kind = sites.u8(at)
        long = (kind != 1) & (at + 2 <= end)
        size = np.where(kind == 1, 1, np.where(long, sites.u8(np.where(long, at + 1, at)), 0))
        keep = (kind == 1) | (long & (size >= 2) & (at + size <= end))
        at, end, which, kind, size = (one[keep] for one in (at, end, which, kind, size))
        for number, (first, step) in LISTS.items():
            _listed(found, at, which, size, kind == number, first, step)
        stamps = (kind == TIMESTAMP) & (size >= 4)
        stamps[stamps] = (sites.u8(at[stamps] + 3) & 15) != 0  # 0: times alone
        _listed(found, at, which, size, stamps, 4, 8)
        route = np.isin(kind, SOURCE_ROUTES) & (size >= 7)
        route[route] = sites.u8(at[route] + 2) <= size[route] - 3
        last = at[route] + 3 + (size[route] - 3) // 4 * 4 - 4
        target[which[route]] = last
        at = at + size
    if found:
        places, rows = (np.concatenate(one) for one in zip(*found, strict=True))
        some = places != target[rows]
        sites.ip(4, places[some], around[rows[some]], header=1, own=own[rows[some]])
    return target


def _listed(found: list[tuple[Any, Any]], at: Any, which: Any, size: Any, some: Any, first: int, step: int) -> None:
    place, end, which = at[some] + first, (at + size)[some], which[some]
    while len(place):
        keep = place + 4 <= end
        place, end, which = place[keep], end[keep], which[keep]
        found.append((place, which))
        place = place + step


def options6(sites: Sites, at: Any, end: Any, around: Any, target: Any) -> None:
    """Note the home addresses in options headers that begin at `at`."""
    at = at + 2
    while len(at):
        keep = at + 2 <= end
        at, end, around = at[keep], end[keep], around[keep]
        kind = sites.u8(at)
        size = sites.np.where(kind == 0, 1, sites.u8(at + 1) + 2)
        home = (kind == HOME_ADDRESS) & (size >= 18) & (at + 18 <= end)
        sites.ip(16, at[home] + 2, around[home], header=1)
        at = at + size


def routed(sites: Sites, at: Any, end: Any, around: Any, target: Any) -> None:
    """Note the addresses listed in routing headers of types 0, 2 and 4 but for `target`, the final destination."""
    np, kind = sites.np, sites.u8(at + 2)
    count = np.where(np.isin(kind, (0, 2, 4)), (end - at - 8) // 16, 0)
    # RFC 8754 section 2: behind the segments there may be more.
    count = np.where(kind == 4, np.minimum(count, sites.u8(at + 4) + 1), count)
    for number in range(int(count.max(initial=0))):
        place = at + 8 + 16 * number
        keep = (count > number) & (place != target)
        sites.ip(16, place[keep], around[keep], header=1)


def routers(sites: Sites, at: Any, end: Any, kind: Any, around: Any) -> None:
    """Note the routers that ICMP router advertisements name."""
    some = (kind == 9) & (at + 8 <= end)
    at, end, around = at[some], end[some], around[some]
    left, step, place = sites.u8(at + 4), sites.u8(at + 5) * 4, at + 8
    while len(place):
        keep = (left > 0) & (step > 0) & (place + 4 <= end)
        place, end, around, left, step = (one[keep] for one in (place, end, around, left, step))
        sites.ip(4, place, around)
        place, left = place + step, left - 1


def neighbours(sites: Sites, row: Any, at: Any, end: Any, depth: Any, kind: Any, around: Any) -> None:
    """Note the addresses of neighbour discovery and of multicast listener discovery."""
    np = sites.np
    for first, which in ((8, (130, 131, 132, 135, 136, 137)), (24, (137,))):
        keep = np.isin(kind, which) & (at + first + 16 <= end)
        sites.ip(16, at[keep] + first, around[keep])
    begins = np.select([kind == 133, kind == 134, (kind == 135) | (kind == 136), kind == 137], [8, 16, 24, 40], -1)
    keep = begins >= 0
    _options(sites, *(one[keep] for one in (row, at + begins, end, depth, around)))
    query = (kind == 130) & (at + 28 <= end)
    count = sites.u16(np.where(query, at + 26, 0))[query] if query.any() else at[query]
    _each(sites, at[query] + 28, count, end[query], around[query])
    _records(sites, *(one[kind == 143] for one in (at + 8, end, around)))


def igmp(sites: Sites, at: Any, end: Any, around: Any) -> None:
    """Note groups and sources in IGMP messages of all three versions; other messages are counted."""
    kind = sites.u8(at)
    grouped = sites.np.isin(kind, (0x11, 0x12, 0x16, 0x17))
    sites.ip(4, at[grouped] + 4, around[grouped])
    query = (kind == 0x11) & (at + 12 <= end)
    _each(sites, at[query] + 12, sites.u16(at[query] + 10), end[query], around[query], 4)
    report = kind == 0x22
    _records(sites, at[report] + 8, end[report], around[report], 4)
    other = ~grouped & (kind != 0x22)
    sites.left["an IGMP message other than queries, reports and leaving"] += int(other.sum())


def arp(sites: Sites, at: Any, end: Any, around: Any) -> None:
    """Note the addresses in ARP packets, of IPv4 and of IPv6."""
    keep = at + 8 <= end
    at, end, around = (one[keep] for one in (at, end, around))
    hardware, width, kind = sites.u8(at + 4), sites.u8(at + 5), sites.u16(at + 2)
    keep = ((width == 4) & ((hardware == 6) | (kind == 0x0800))) | ((width == 16) & (kind == 0x86DD))
    at, end, around, hardware, width = (one[keep] for one in (at, end, around, hardware, width))
    for place in (at + 8, at + 14 + width):
        six = (hardware == 6) & (place + 6 <= end)
        sites.mac(place[six], around[six])
    for place in (at + 8 + hardware, at + 8 + 2 * hardware + width):
        for size in (4, 16):
            here = (width == size) & (place + size <= end)
            sites.ip(size, place[here], around[here])


def cooked(sites: Sites, row: Any, at: Any, first: bool) -> None:
    """Note the senders' addresses in Linux cooked headers (`first`: of version 1), of 8 octets of which some count."""
    place, size = (at + 6, sites.u16(at + 4)) if first else (at + 12, sites.u8(at + 11))
    six, none = size == 6, sites.full(row, -1)
    sites.found_macs.append(tuple(one[six] for one in (row, place, none * 0, none * 0, none, none, none)))
    sites.left["a sender's address in a Linux cooked header that is no MAC address"] += int(((size != 0) & ~six).sum())


def _options(sites: Sites, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
    while len(at):
        keep = at + 8 <= end
        row, at, end, depth, around = (one[keep] for one in (row, at, end, depth, around))
        kind, words = sites.u8(at), sites.u8(at + 1)
        keep = (words > 0) & (at + words * 8 <= end)
        row, at, end, depth, around, kind, words = (one[keep] for one in (row, at, end, depth, around, kind, words))
        link = ((kind == 1) | (kind == 2)) & (words == 1)
        sites.mac(at[link] + 2, around[link])
        prefix = (kind == 3) & (words == 4)
        sites.ip(16, at[prefix] + 16, around[prefix])
        route = (kind == 24) & (words == 3)
        sites.ip(16, at[route] + 8, around[route])
        half = (kind == 24) & (words == 2)
        sites.left["the prefix in a route information option of 16 octets"] += int(half.sum())
        servers = kind == 25
        _each(sites, at[servers] + 8, (words[servers] - 1) // 2, end[servers], around[servers])
        # What a redirect is about (RFC 4861 section 4.6.3).
        sites.add("ip6", (kind == 4) & (words > 1), row, at + 8, at + words * 8, depth, around)
        at = at + words * 8


def _records(sites: Sites, at: Any, end: Any, around: Any, width: int = 16) -> None:
    """Note groups and sources of multicast reports, record by record; addresses have `width` octets."""
    while len(at):
        keep = at + 4 + width <= end
        at, end, around = at[keep], end[keep], around[keep]
        count = sites.u16(at + 2)
        sites.ip(width, at + 4, around)
        _each(sites, at + 4 + width, count, end, around, width)
        at = at + 4 + width + width * count + 4 * sites.u8(at + 1)


def _each(sites: Sites, at: Any, count: Any, end: Any, around: Any, width: int = 16) -> None:
    """Note addresses that stand in a row, `count` of them."""
    while len(at):
        keep = (count > 0) & (at + width <= end)
        at, count, end, around = (one[keep] for one in (at, count, end, around))
        sites.ip(width, at, around)
        at, count = at + width, count - 1
