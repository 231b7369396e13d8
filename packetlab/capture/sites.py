"""Sites: where in a batch of frames the addresses, ports and checksums lie that rewriting touches.

Walks all frames of a batch at once, a kind of header at a time: link headers, tags and labels, IPv4 and IPv6 with their
extension headers, tunnels, and packets quoted in ICMP errors. It only tells places; positions count octets in the
batch's buffer. Whatever does not fit is not walked into, so any bytes may come. (The declarations in `wire` describe the
same headers for all else; this is the one walk that never makes a packet.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from packetlab.wire.linktypes import ETHERNET, IPV4, IPV6, LINUX_SLL, LINUX_SLL2, LOOP, NULL, RAW

if TYPE_CHECKING:
    from packetlab.capture.batch import FrameBatch

MOST = 1000  # steps of a walk; tunnels in each other beyond that are malice
TAGS = (0x8100, 0x88A8, 0x9100)
RAW_TYPES = (RAW, 12, 14, IPV4, IPV6)
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
EXTENSIONS = (0, 43, 44, 51, 60)  # IPv6 extension headers (RFC 8200 section 4, RFC 4302)
QUOTING = (3, 4, 5, 11, 12)  # ICMP errors (RFC 792)


class Sums(NamedTuple):
    """Internet checksums: their row, place, what they cover, and how they lie in each other.

    `at`: where each stands; it covers [first, end). `source`, `target`: addresses of the pseudo-header, `width` octets
    each (0: none), with `protocol`. `optional`: 0 says none. `whole`: whether all it covers is here. `parent`: the sum that
    covers it, -1 for none; parents come before their children.
    """

    row: Any
    at: Any
    first: Any
    end: Any
    source: Any
    target: Any
    width: Any
    protocol: Any
    optional: Any
    whole: Any
    parent: Any


class Addresses(NamedTuple):
    """Addresses of one width: their row (-1: not told) and place, whether as source or destination or neither (0, 1, 2),
    `header` (IP: whether of an IP header; MAC: how deep the Ethernet header lies), and the sums they are in: of the IPv4
    header, of the transport (pseudo-header), and around both; -1 for none.
    """

    row: Any
    at: Any
    role: Any
    header: Any
    own: Any
    transport: Any
    around: Any


class Networks(NamedTuple):
    """IP headers: row, place, end by their length, version, place of the transport header (-1: none), its number, nesting
    (0: the outermost of the frame), whether it holds a fragment, and sums as for `Addresses`."""

    row: Any
    at: Any
    end: Any
    version: Any
    upper: Any
    protocol: Any
    depth: Any
    piece: Any
    own: Any
    transport: Any
    around: Any


class Sites:
    """Everything found in one batch.

    Attributes:
        macs, ips4, ips6: addresses. networks: IP headers. sums: checksums. ports: (place, transport sum, sum around it).
        idps: (place, end, whether it is whole, sum around it) of XNS packets. links: for each row where its network header (or what stands in its place) begins, its ether type (-1: not known).
    """

    def __init__(self, batch: FrameBatch, ends: Any) -> None:
        import numpy as np

        self.np = np
        self.batch, self.data = batch, batch.data
        self.ends = ends
        self._macs: list[Any] = []
        self._ips: dict[int, list[Any]] = {4: [], 16: []}
        self._ports: list[Any] = []
        self._networks: list[Any] = []
        self._sums: list[Any] = []
        self._count = 0
        self.idps: list[tuple[int, int, bool, int]] = []
        self.link_end = batch.starts.copy()
        self.link_type = np.full(len(batch), -1, np.int64)
        self._todo: list[tuple[Any, ...]] = []
        self._walk()
        self.macs = self._joined(self._macs, Addresses)
        self.ips4 = self._joined(self._ips[4], Addresses)
        self.ips6 = self._joined(self._ips[16], Addresses)
        self.networks = self._joined(self._networks, Networks)
        self.sums = self._joined(self._sums, Sums)
        self.ports = [np.concatenate(parts) for parts in zip(*self._ports, strict=True)] or [np.zeros(0, np.int64)] * 3

    def _joined(self, parts: list[Any], kind: Any) -> Any:
        np = self.np
        none = np.zeros(0, np.int64)
        return kind(*(np.concatenate(one) for one in zip(*parts, strict=True))) if parts else kind(
            *[none] * len(kind._fields)
        )  # fmt: skip

    # Reading ------------------------------------------------------------------------------------------------

    def u8(self, at: Any) -> Any:
        return self.data[at].astype(self.np.int64)

    def u16(self, at: Any) -> Any:
        return self.u8(at) << 8 | self.u8(at + 1)

    def full(self, rows: Any, value: int) -> Any:
        return self.np.full(len(rows), value, self.np.int64)

    # Walking ------------------------------------------------------------------------------------------------

    def _walk(self) -> None:
        """Work off what is found, a kind at a time: (kind, row, place, end, depth, sum around, more of its own)."""
        self._begin()
        for _ in range(MOST):
            if not self._todo:
                return
            kind, *rest = self._todo.pop(0)
            if len(rest[0]):
                getattr(self, "_" + kind)(*rest)

    def _add(self, kind: str, keep: Any, *rest: Any) -> None:
        if keep.any():
            self._todo.append((kind, *(one[keep] for one in rest)))

    def _begin(self) -> None:
        np, batch = self.np, self.batch
        types = np.array([interface.linktype for interface in batch.interfaces] or [0], np.int64)[batch.which]
        rows, at, end = np.arange(len(batch)), batch.starts, self.ends
        none, depth = self.full(rows, -1), self.full(rows, 0)
        self._add("ether", types == ETHERNET, rows, at, end, depth, none)
        for number, (type_at, size) in {LINUX_SLL: (14, 16), LINUX_SLL2: (0, 20), 104: (2, 4)}.items():
            self._add("typed", (types == number) & (at + size <= end), rows, at + type_at, end, depth, none, at + size)
        for number, size in {NULL: 4, LOOP: 4, **dict.fromkeys(RAW_TYPES, 0)}.items():
            here = (types == number) & (at + size < end)
            self.link_end[here] += size
            self._add("nibble", here, rows, at + size, end, depth, none)

    def _ether(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        keep = at + 14 <= end
        row, at, end, depth, around = (one[keep] for one in (row, at, end, depth, around))
        for place, role in ((0, 1), (6, 0)):
            none = self.full(row, -1)
            self._macs.append((row, at + place, self.full(row, role), depth, none, none, around))
        self._typed(row, at + 12, end, depth, around, at + 14)

    def _typed(self, row: Any, type_at: Any, end: Any, depth: Any, around: Any, at: Any) -> None:
        """Go on from an ether type at `type_at`, what it speaks of beginning at `at`."""
        kind = self.u16(type_at)
        first = (depth == 0) & (self.link_type[row] < 0)
        self.link_end[row[first]] = at[first]
        self.link_type[row[first]] = self.np.where(kind <= 1500, -1, kind)[first]  # a length is no type
        self._ethertype(row, at, end, depth, around, kind)

    def _ethertype(self, row: Any, at: Any, end: Any, depth: Any, around: Any, kind: Any) -> None:
        np = self.np
        while True:
            tagged = np.isin(kind, TAGS) & (at + 4 <= end)
            if not tagged.any():
                break
            kind = kind.copy()
            kind[tagged] = self.u16(at[tagged] + 2)
            at = at + tagged * 4
        rest = (row, at, end, depth, around)
        self._add("ip4", kind == 0x0800, *rest)
        self._add("ip6", kind == 0x86DD, *rest)
        self._add("arp", np.isin(kind, (0x0806, 0x8035)), *rest)
        self._add("idp", kind == 0x0600, *rest)
        self._add("mpls", np.isin(kind, (0x8847, 0x8848)), *rest)
        self._add("ether", kind == 0x6558, *rest)
        self._add("ppp", (kind == 0x8864) & (at + 8 <= end), row, at + 6, end, depth, around)
        self._add("snap", (kind <= 1500) & (at + 8 <= end), *rest)

    def _snap(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        keep = (self.u16(at) == 0xAAAA) & (self.u16(at + 2) == 0x0300) & (self.u16(at + 4) == 0)
        self._add("ethertype", keep, row, at + 8, end, depth, around, self.u16(at + 6))

    def _ppp(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        kind = self.u16(at)
        self._add("ip4", kind == 0x0021, row, at + 2, end, depth, around)
        self._add("ip6", kind == 0x0057, row, at + 2, end, depth, around)

    def _mpls(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        while len(row):
            keep = at + 4 <= end
            row, at, end, depth, around = (one[keep] for one in (row, at, end, depth, around))
            bottom = (self.u8(at + 2) & 1) == 1
            self._add("nibble", bottom & (at + 4 < end), row, at + 4, end, depth, around)
            row, at, end, depth, around = (one[~bottom] for one in (row, at + 4, end, depth, around))

    def _nibble(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        version = self.u8(at) >> 4
        first = (depth == 0) & (self.link_type[row] < 0)
        self.link_type[row[first]] = self.np.where(version == 4, 0x0800, self.np.where(version == 6, 0x86DD, -1))[first]
        self._add("ip4", version == 4, row, at, end, depth, around)
        self._add("ip6", version == 6, row, at, end, depth, around)

    def _arp(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        keep = at + 28 <= end
        keep[keep] = (self.u16(at[keep]) == 1) & (self.u16(at[keep] + 2) == 0x0800) & (self.u16(at[keep] + 4) == 0x0604)
        row, at, around = row[keep], at[keep], around[keep]
        none, other, no = self.full(row, -1), self.full(row, 2), self.full(row, 0)
        for place, found in ((8, self._macs), (14, self._ips[4]), (18, self._macs), (24, self._ips[4])):
            found.append((none, at + place, other, no, none, none, around))

    def _idp(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        """Note the hosts of XNS packets, which are MAC addresses, and their checksums, which are no Internet ones."""
        keep = at + 30 <= end
        row, at, end, depth, around = (one[keep] for one in (row, at, end, depth, around))
        none, other = self.full(row, -1), self.full(row, 2)
        for place in (10, 22):
            self._macs.append((none, at + place, other, none, none, none, around))
        length = self.u16(at + 2)
        stop = at + length + (length & 1)  # the octet that makes it even counts
        self.idps += zip(
            at.tolist(), stop.tolist(), ((length >= 30) & (stop <= end)).tolist(), around.tolist(), strict=True
        )
        quoted = (self.u8(at + 5) == 3) & (
            at + 64 <= end
        )  # an Error packet: number and parameter, then what it is about
        self._add("idp", quoted, row, at + 34, end, depth + 1, around)

    # Network headers ----------------------------------------------------------------------------------------

    def _sum(self, row: Any, at: Any, first: Any, end: Any, keep: Any, parent: Any, **more: Any) -> Any:
        """Note the checksums where `keep`; return their numbers, -1 for the others."""
        np = self.np
        names = ("source", "target", "width", "protocol", "optional", "whole")
        values = [np.broadcast_to(more.get(name, 0), row.shape).astype(np.int64) for name in names]
        numbers = np.where(keep, np.cumsum(keep) - 1 + self._count, -1)
        self._count += int(keep.sum())
        self._sums.append(tuple(one[keep] for one in (row, at, first, end, *values, parent)))
        return numbers

    def _ip4(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        np = self.np
        keep = at + 20 <= end
        keep[keep] = (self.u8(at[keep]) >= 0x45) & (self.u8(at[keep]) < 0x50)
        row, at, end, depth, around = (one[keep] for one in (row, at, end, depth, around))
        size, total, fragment = (self.u8(at) & 15) * 4, self.u16(at + 2), self.u16(at + 6)
        keep = at + size <= end
        own = self._sum(row, at + 10, at, at + size, keep, around, whole=1)
        stop = np.where(total == 0, end, np.minimum(end, at + total))
        piece = fragment & 0x3FFF != 0
        whole = (at + total <= end) & ~piece
        protocol = self.u8(at + 9)
        upper = np.where(keep & (fragment & 0x1FFF == 0) & (at + size <= stop), at + size, -1)
        self._network(row, at, stop, depth, around, own, upper, protocol, whole, piece, 4, at + 12, at + 16)

    def _ip6(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        np = self.np
        keep = at + 40 <= end
        keep[keep] = self.u8(at[keep]) >> 4 == 6
        row, at, end, depth, around = (one[keep] for one in (row, at, end, depth, around))
        length, protocol, upper = self.u16(at + 4), self.u8(at + 6), at + 40
        stop = np.where(length == 0, end, np.minimum(end, at + 40 + length))
        whole = at + 40 + length <= end
        piece, target = np.zeros(len(row), bool), at + 24
        while True:
            here = np.isin(protocol, EXTENSIONS) & (upper >= 0) & (upper + 8 <= stop)
            if not here.any():
                break
            place, kind = upper[here], protocol[here]
            words = self.u8(place + 1)
            size = np.where(kind == 44, 8, np.where(kind == 51, (words + 2) * 4, (words + 1) * 8))
            fits = place + size <= stop[here]
            # RFC 8200 section 8.1: with segments left, checksums are of the final destination.
            routed = (kind == 43) & fits & (self.u8(place + 3) > 0) & (words >= 2)
            last = np.where(self.u8(place + 2) == 4, place + 8, place + size - 16)
            target[here] = np.where(routed & (target[here] == at[here] + 24), last, target[here])
            self._routed(place[(kind == 43) & fits], around[here][(kind == 43) & fits])
            offset = np.where(kind == 44, self.u16(place + 2), 0)
            piece[here] |= offset & 0xFFF9 != 0
            protocol[here] = self.u8(place)
            upper[here] = np.where(fits & (offset & 0xFFF8 == 0), place + size, -1)
        own = self.full(row, -1)
        self._network(row, at, stop, depth, around, own, upper, protocol, whole & ~piece, piece, 16, at + 8, target)

    def _routed(self, at: Any, around: Any) -> None:
        """Note the addresses listed in routing headers."""
        count = self.u8(at + 1) // 2
        for number in range(int(count.max(initial=0))):
            keep = count > number
            none = self.full(at[keep], -1)
            # In a sum only where it is the final destination; that one the pseudo-header's place finds (see `_network`).
            self._ips[16].append(
                (none, at[keep] + 8 + 16 * number, none * 0 + 2, none + 1, none, none.copy(), around[keep])
            )

    def _network(
        self, row: Any, at: Any, stop: Any, depth: Any, around: Any, own: Any, upper: Any, protocol: Any, whole: Any, piece: Any,
        width: int, source: Any, target: Any,
    ) -> None:  # fmt: skip
        np = self.np
        place = {TCP: 16, UDP: 6, ICMP: 2, ICMP6: 2}
        numbers = (TCP, UDP, ICMP) if width == 4 else (TCP, UDP, ICMP6)
        room = np.select([protocol == number for number in numbers], [place[number] for number in numbers], -1)
        keep = (upper >= 0) & (room >= 0) & (upper + room + 2 <= stop)
        carried = np.where(protocol == ICMP, 0, width)
        covered, udp = stop, keep & (protocol == UDP)
        if udp.any():
            # RFC 768: what is behind the UDP length is no part of it; a length of 0 leaves it to IPv6 (RFC 2675).
            length = self.u16(np.where(udp, upper, 0) + 4)
            told = udp & (length >= 8)
            covered, whole = (
                np.where(told, np.minimum(stop, upper + length), stop),
                whole & (~told | (upper + length <= stop)),
            )
        transport = self._sum(
            row, upper + room, upper, covered, keep, around, source=source, target=target, width=carried,
            protocol=protocol, optional=protocol == UDP, whole=whole,
        )  # fmt: skip
        pseudo = np.where(protocol == ICMP, -1, transport)
        one = np.ones(len(row), np.int64)
        self._ips[width].append((row, source, one * 0, one, own, pseudo, around))
        direct = at + (16 if width == 4 else 24)
        self._ips[width].append((row, direct, one, one, own, np.where(target == direct, pseudo, -1), around))
        for position in np.flatnonzero(target != direct):
            self._final(int(target[position]), int(pseudo[position]))
        self._networks.append(
            (row, at, stop, one * (4 if width == 4 else 6), upper, protocol, depth, piece, own, transport, around)
        )
        ported = (upper >= 0) & np.isin(protocol, (TCP, UDP)) & (upper + 4 <= stop)
        for octets in (0, 2):
            self._ports.append(((upper + octets)[ported], transport[ported], around[ported]))
        self._upper(row, upper, stop, depth, around, protocol, transport, width)

    def _final(self, at: int, transport: int) -> None:
        """Let the final destination in a routing header count to its checksum."""
        for addresses in self._ips[16]:
            addresses[5][addresses[1] == at] = transport

    def _upper(
        self, row: Any, at: Any, end: Any, depth: Any, around: Any, protocol: Any, transport: Any, width: int
    ) -> None:
        np = self.np
        keep = at >= 0
        row, at, end, protocol, transport = (one[keep] for one in (row, at, end, protocol, transport))
        depth, around = depth[keep] + 1, around[keep]
        inside = np.where(transport >= 0, transport, around)
        self._add("ip4", (protocol == 4), row, at, end, depth, around)
        self._add("ip6", (protocol == 41), row, at, end, depth, around)
        self._add("idp", protocol == 22, row, at, end, depth, around)
        self._add("gre", (protocol == 47) & (at + 4 <= end), row, at, end, depth, around)
        vxlan = (protocol == UDP) & (at + 16 <= end)
        vxlan[vxlan] = self.u16(at[vxlan] + 2) == 4789
        self._add("ether", vxlan, row, at + 16, end, depth, inside)
        if width == 4:
            errors = (protocol == ICMP) & (at + 8 <= end)
            kind = np.where(errors, self.u8(np.where(errors, at, 0)) if len(self.data) else 0, -1)
            self._add("ip4", np.isin(kind, QUOTING), row, at + 8, end, depth, inside)
            gateway = kind == 5
            none = self.full(row[gateway], -1)
            self._ips[4].append((none, at[gateway] + 4, none * 0 + 2, none * 0, none, none, inside[gateway]))
        else:
            errors = (protocol == ICMP6) & (at + 8 <= end)
            kind = np.where(errors, self.u8(np.where(errors, at, 0)) if len(self.data) else 0, -1)
            quoting = (kind >= 1) & (kind <= 4)
            self._add("ip6", quoting, row, at + 8, end, depth, inside)
            self._neighbours(at, end, kind, inside)

    def _gre(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        np = self.np
        flags = self.u16(at)
        checked = (flags & 0xC000 != 0) & (at + 8 <= end)
        number = self._sum(row, at + 4, at, end, checked & (flags & 0x8000 != 0), around, whole=1)
        size = (
            4 + 4 * (checked * 1 + (flags >> 13 & 1) + (flags >> 12 & 1)) + 4 * ((flags & 7 == 1) & (flags & 0x80 != 0))
        )
        keep = (flags & 0x4000 == 0) & (at + size <= end)
        self._add(
            "ethertype", keep, row, at + size, end, depth, np.where(number >= 0, number, around), self.u16(at + 2)
        )

    def _neighbours(self, at: Any, end: Any, kind: Any, inside: Any) -> None:
        """Note the addresses of neighbour discovery (RFC 4861 section 4): targets and link-layer address options."""
        np = self.np
        begins = np.select([kind == 133, kind == 134, (kind == 135) | (kind == 136), kind == 137], [8, 16, 24, 40], -1)
        for first, which in ((8, (135, 136, 137)), (24, (137,))):
            keep = np.isin(kind, which) & (at + first + 16 <= end)
            none = self.full(at[keep], -1)
            self._ips[16].append((none, at[keep] + first, none * 0 + 2, none * 0, none, none, inside[keep]))
        keep = begins >= 0
        place, end, inside = (at + begins)[keep], end[keep], inside[keep]
        while len(place):
            keep = place + 8 <= end
            place, end, inside = place[keep], end[keep], inside[keep]
            option, words = self.u8(place), self.u8(place + 1)
            link = ((option == 1) | (option == 2)) & (words == 1)
            none = self.full(place[link], -1)
            self._macs.append((none, place[link] + 2, none * 0 + 2, none * 0, none, none, inside[link]))
            keep = words > 0
            place, end, inside = (place + words * 8)[keep], end[keep], inside[keep]
