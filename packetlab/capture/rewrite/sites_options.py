"""Addresses inside options and messages, for `sites`: of IPv4 and IPv6 options, routing headers, ICMP, ICMPv6, IGMP, ARP
and Linux cooked headers; and which IP a loopback carries.

What is of a kind whose addresses are not known, or that is cut off inside an address, is counted in `left`.
Each function takes the `Found` that the addresses are noted in, and arrays of places; `around` is the checksum that covers
them (-1: none). Follows RFC 791 section 3.1, RFC 8200 section 4, RFC 6275 section 6.3, RFC 1256, RFC 4861 section 4.6,
RFC 8106 section 5.1, RFC 4191 section 2.3, RFC 3122 section 2, RFC 3810 section 5, RFC 3376 section 4, RFC 826.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from packetlab.capture.rewrite.sites_found import Found

# IPv4 option -> where its first address begins, and how many bytes on the next. Routes, addressed broadcast, traceroute.
LISTS = {7: (3, 4), 0x83: (3, 4), 0x89: (3, 4), 149: (2, 4), 82: (8, 255)}
SOURCE_ROUTES = (0x83, 0x89)
TIMESTAMP = 0x44
HOME_ADDRESS = 0xC9
INET6 = (10, 24, 28, 30)  # address families of IPv6, as Linux and the BSDs number them
PADDING = (0, 4, 5)  # objects after segments that fill up or sign them (RFC 8754 section 2.1)
# Neighbour discovery options without addresses: MTU, CGA, RSA signature, timestamp, nonce (RFC 3971), flags (RFC 5175),
# search list (RFC 8106), portal (RFC 8910).
HARMLESS = (5, 11, 12, 13, 14, 26, 31, 37)


def options4(sites: Found, at: Any, end: Any, own: Any, around: Any, target: Any) -> Any:
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
        keep = (kind == 1) | (long & (size >= 2))
        at, end, which, kind, size = (one[keep] for one in (at, end, which, kind, size))
        stop = np.minimum(at + size, end)
        for number, (first, step) in LISTS.items():
            _listed(sites, found, at, which, stop, kind == number, first, step)
        stamps = (kind == TIMESTAMP) & (at + 4 <= stop)
        stamps[stamps] = (sites.u8(at[stamps] + 3) & 15) != 0  # 0: times alone
        _listed(sites, found, at, which, stop, stamps, 4, 8)
        route = np.isin(kind, SOURCE_ROUTES) & (size >= 7) & (at + size <= end)
        route[route] = sites.u8(at[route] + 2) <= size[route] - 3
        last = at[route] + 3 + (size[route] - 3) // 4 * 4 - 4
        target[which[route]] = last
        at = at + size
    if found:
        places, rows = (np.concatenate(one) for one in zip(*found, strict=True))
        some = places != target[rows]
        sites.ip(4, places[some], around[rows[some]], header=1, own=own[rows[some]])
    return target


def _listed(
    sites: Found, found: list[tuple[Any, Any]], at: Any, which: Any, stop: Any, some: Any, first: int, step: int
) -> None:
    place, stop, which = at[some] + first, stop[some], which[some]
    while len(place):
        keep = sites.whole(4, place, stop)
        place, stop, which = place[keep], stop[keep], which[keep]
        found.append((place, which))
        place = place + step


def options6(sites: Found, at: Any, end: Any, around: Any, target: Any) -> None:
    """Note the home addresses in options headers that begin at `at`."""
    at = at + 2
    while len(at):
        keep = at + 2 <= end
        at, end, around = at[keep], end[keep], around[keep]
        kind = sites.u8(at)
        size = sites.np.where(kind == 0, 1, sites.u8(at + 1) + 2)
        home = sites.whole(16, at + 2, end, (kind == HOME_ADDRESS) & (size >= 18))
        sites.ip(16, at[home] + 2, around[home], header=1)
        at = at + size


def routed(sites: Found, at: Any, end: Any, around: Any, target: Any) -> None:
    """Note the addresses listed in routing headers of types 0, 2 and 4 but for `target`, the final destination."""
    np, kind = sites.np, sites.u8(at + 2)
    known = np.isin(kind, (0, 2, 4))
    count = np.where(known, (end - at + 7) // 16, 0)
    sites.left["a routing header of an unknown type"] += int((~known & (end - at > 8)).sum())
    # RFC 8754 section 2: after the segments there may be more.
    count = np.where(kind == 4, np.minimum(count, sites.u8(at + 4) + 1), count)
    for number in range(int(count.max(initial=0))):
        place = at + 8 + 16 * number
        keep = sites.whole(16, place, end, (count > number) & (place != target))
        sites.ip(16, place[keep], around[keep], header=1)
    after = (kind == 4) & (at + 8 + 16 * count < end)
    at, end = (at + 8 + 16 * count)[after], end[after]
    while len(at):
        kind = sites.u8(at)
        size = np.where((kind == 0) | (at + 2 > end), 1, sites.u8(np.minimum(at + 1, end - 1)) + 2)
        sites.left["what stands after the segments of a routing header"] += int((~np.isin(kind, PADDING)).sum())
        keep = np.isin(kind, PADDING) & (at + size < end)
        at, end = (at + size)[keep], end[keep]


def routers(sites: Found, at: Any, end: Any, kind: Any, around: Any) -> None:
    """Note the routers that ICMP router advertisements name."""
    some = (kind == 9) & (at + 8 <= end) & ~sites.is_claimed(at + 4)
    at, end, around = at[some], end[some], around[some]
    left, step, place = sites.u8(at + 4), sites.u8(at + 5) * 4, at + 8
    while len(place):
        keep = (left > 0) & (step > 0)
        keep &= sites.whole(4, place, end, keep)
        place, end, around, left, step = (one[keep] for one in (place, end, around, left, step))
        sites.ip(4, place, around)
        place, left = place + step, left - 1


def neighbours(sites: Found, row: Any, at: Any, end: Any, depth: Any, kind: Any, around: Any) -> None:
    """Note the addresses of neighbour discovery and of multicast listener discovery."""
    np = sites.np
    kind = np.where(sites.is_claimed(at + 4), -1, kind)  # another header than the one of the number
    for first, which in ((8, (130, 131, 132, 135, 136, 137)), (24, (137,))):
        keep = np.isin(kind, which)
        keep &= sites.whole(16, at + first, end, keep)
        sites.ip(16, at[keep] + first, around[keep])
    begins = np.select([kind == 133, kind == 134, (kind == 135) | (kind == 136), kind == 137], [8, 16, 24, 40], -1)
    keep = begins >= 0
    neighbour_options(sites, *(one[keep] for one in (row, at + begins, end, depth, around)))
    query = (kind == 130) & (at + 28 <= end)
    count = sites.u16(np.where(query, at + 26, 0))[query] if query.any() else at[query]
    each(sites, at[query] + 28, count, end[query], around[query])
    _records(sites, *(one[kind == 143] for one in (at + 8, end, around)))


def igmp(sites: Found, at: Any, end: Any, around: Any) -> None:
    """Note groups and sources in IGMP messages of all three versions; other messages are counted."""
    some = sites.whole(4, at + 4, end, ~sites.is_claimed(at))
    at, end, around = at[some], end[some], around[some]
    kind = sites.u8(at)
    grouped = sites.np.isin(kind, (0x11, 0x12, 0x16, 0x17))
    sites.ip(4, at[grouped] + 4, around[grouped])
    query = (kind == 0x11) & (at + 12 <= end)
    each(sites, at[query] + 12, sites.u16(at[query] + 10), end[query], around[query], 4)
    report = kind == 0x22
    _records(sites, at[report] + 8, end[report], around[report], 4)
    other = ~grouped & (kind != 0x22)
    sites.left["an IGMP message other than queries, reports and leaving"] += int(other.sum())


def arp(sites: Found, at: Any, end: Any, around: Any) -> None:
    """Note the addresses in ARP packets, of IPv4 and of IPv6; those of other sizes are counted."""
    keep = at + 8 <= end
    at, end, around = (one[keep] for one in (at, end, around))
    hardware, width, kind = sites.u8(at + 4), sites.u8(at + 5), sites.u16(at + 2)
    known = ((width == 4) & ((hardware == 6) | (kind == 0x0800))) | (width == 16)
    sites.left["hardware addresses in ARP that are no MAC addresses"] += int(((hardware != 6) & (hardware > 0)).sum())
    sites.left["protocol addresses in ARP that are no IP addresses"] += int((~known & (width > 0)).sum())
    for place in (at + 8, at + 8 + hardware + width):
        six = sites.whole(6, place, end, hardware == 6)
        sites.mac(place[six], around[six])
        for size in (4, 16):
            here = sites.whole(size, place + hardware, end, known & (width == size))
            sites.ip(size, (place + hardware)[here], around[here])


def cooked(sites: Found, row: Any, at: Any, end: Any, around: Any, first: bool) -> None:
    """Note the senders' addresses in Linux cooked headers (`first`: of version 1), of 8 bytes of which some count.

    `row`: -1 for a header that is not the frame's own.
    """
    place = at + (6 if first else 12)
    some = place <= end
    row, place, end, around = (one[some] for one in (row, place, end, around))
    size = sites.u16(place - 2) if first else sites.u8(place - 1)
    six, none = sites.whole(6, place, end, size == 6), sites.full(row, -1)
    own = sites.np.where(row < 0, -1, 0)
    sites.found_macs.append(tuple(one[six] for one in (row, place, own * -2, own, none, none, around)))
    sites.left["a sender's address in a Linux cooked header that is no MAC address"] += int(
        ((size != 0) & (size != 6)).sum()
    )


def family(sites: Found, at: Any, swapped: bool) -> Any:
    """Return the IP version that a loopback's address family says, 0 where it says none."""
    big = sites.u16(at) << 16 | sites.u16(at + 2)
    little = sites.u8(at) | sites.u8(at + 1) << 8 | sites.u8(at + 2) << 16 | sites.u8(at + 3) << 24
    either = (big, little) if swapped else (big,)  # of the machine that captured
    version = big * 0
    if swapped:  # some write an ether type instead
        for number, kind in ((4, 0x0800), (6, 0x86DD)):
            version[(little == kind) | (big & 0xFFFF == kind)] = number
    for number, families in ((4, (2,)), (6, INET6)):
        for one in either:
            version[sites.np.isin(one, families)] = number
    return version


def neighbour_options(sites: Found, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
    while len(at):
        keep = at + 2 <= end
        row, at, end, depth, around = (one[keep] for one in (row, at, end, depth, around))
        kind, words = sites.u8(at), sites.u8(at + 1)
        keep = (words > 0) & (at + words * 8 <= end)
        lost = (words > 0) & ~keep & ~sites.np.isin(kind, HARMLESS)
        sites.left["an option of neighbour discovery that is cut off"] += int(lost.sum())
        row, at, end, depth, around, kind, words = (one[keep] for one in (row, at, end, depth, around, kind, words))
        link = ((kind == 1) | (kind == 2)) & (words == 1)
        sites.mac(at[link] + 2, around[link])
        prefix, route = (kind == 3) & (words == 4), (kind == 24) & (words == 3)
        for some, place in ((prefix, 16), (route, 8)):
            sites.ip(16, at[some] + place, around[some])
        listed = sites.np.isin(kind, (9, 10, 25))  # sources, targets, name servers
        each(sites, at[listed] + 8, (words[listed] - 1) // 2, end[listed], around[listed])
        known = link | prefix | route | listed | (kind == 4) | sites.np.isin(kind, HARMLESS)
        other = ~known & ((kind != 24) | (words > 1))  # a route without a prefix is the default one
        for one in set(kind[other].tolist()):
            name = {
                1: "a link-layer address that is no MAC address",
                24: "the prefix in a short route information option",
            }
            sites.left[name.get(one, f"an option {one} of neighbour discovery")] += int((kind[other] == one).sum())
        # What a redirect is about (RFC 4861 section 4.6.3).
        sites.add("ip6", (kind == 4) & (words > 1), row, at + 8, at + words * 8, depth, around)
        at = at + words * 8


def _records(sites: Found, at: Any, end: Any, around: Any, width: int = 16) -> None:
    """Note groups and sources of multicast reports, record by record; addresses have `width` bytes."""
    while len(at):
        keep = sites.whole(width, at + 4, end)
        at, end, around = at[keep], end[keep], around[keep]
        count = sites.u16(at + 2)
        sites.ip(width, at + 4, around)
        each(sites, at + 4 + width, count, end, around, width)
        at = at + 4 + width + width * count + 4 * sites.u8(at + 1)


def each(sites: Found, at: Any, count: Any, end: Any, around: Any, width: int = 16) -> None:
    """Note addresses that stand in a row, `count` of them."""
    while len(at):
        keep = sites.whole(width, at, end, count > 0)
        at, count, end, around = (one[keep] for one in (at, count, end, around))
        sites.ip(width, at, around)
        at, count = at + width, count - 1
