"""Sites: where in a batch of frames the addresses, ports and checksums lie that rewriting touches.

Walks all frames of a batch at once, a kind of header at a time: link headers, tags and labels, IPv4 and IPv6 with their
extension headers, tunnels, and packets quoted in ICMP errors. It only tells places; positions count bytes in the
batch's buffer. Whatever does not fit is not walked into, so any bytes may come. Frames with headers that this walk does
not know (`unwalked`) go on through their declarations (`sites_declared`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.capture.rewrite.sites_found import LATER, Addresses, Ends, Found, Networks, Rule, Sums
from packetlab.capture.rewrite.sites_options import (
    arp,
    cooked,
    family,
    igmp,
    neighbours,
    options4,
    options6,
    routed,
    routers,
)
from packetlab.capture.rewrite.unwalked import divided, unwalked_rows
from packetlab.declare import registry
from packetlab.protocols.linktypes import ETHERNET, IPV4, IPV6, LINUX_SLL, LINUX_SLL2, LOOP, NULL, RAW

if TYPE_CHECKING:
    from packetlab.capture.batch import FrameBatch

NO_XNS_SUM = 0xFFFF
PPTP = 0x880B  # PPP in GRE (RFC 2637)
MOST = 1000  # steps of a walk; tunnels in each other beyond that are malice
TAGS = (0x8100, 0x88A8, 0x9100)
RAW_TYPES = (RAW, 12, 14, IPV4, IPV6)
TCP, UDP, ICMP, ICMP6, IGMP = 6, 17, 1, 58, 2
EXTENSIONS = (0, 43, 44, 51, 60)  # IPv6 extension headers (RFC 8200 section 4, RFC 4302)
QUOTING = (3, 4, 5, 11, 12)  # ICMP errors (RFC 792)


class Sites(Found):
    """Everything found in one batch.

    Attributes:
        macs, ips4, ips6: addresses. networks: IP headers. sums: checksums. ports: (place, transport sum, sum around it).
        link_end, link_type: for each row where its network header (or what stands in its place) begins, its ether type
        (-1: not known). rules, ends_of, left: see `Found`.
    """

    def __init__(self, batch: FrameBatch, ends: Any) -> None:
        import numpy as np

        super().__init__(batch, ends)
        # Where a header is bound to its number, its declaration speaks for it.
        self.igmp = () if IGMP in registry.space("ip.protocol").headers else (IGMP,)
        self.link_end = batch.starts.copy()
        self.link_type = np.full(len(batch), -1, np.int64)
        frames = self._declared(unwalked_rows(batch))
        self._begin()
        self.walk()
        if frames:
            from packetlab.capture.rewrite.sites_declared import visit

            visit(self, frames, self.walk)
        self.macs = self._joined(self.found_macs, Addresses)
        self.ips4 = self._joined(self.found_ips[4], Addresses)
        self.ips6 = self._joined(self.found_ips[16], Addresses)
        self.networks = self._joined(self._networks, Networks)
        self.sums = self._joined(self.found_sums, Sums)
        self.ports = [np.concatenate(parts) for parts in zip(*self.found_ports, strict=True)] or [
            np.zeros(0, np.int64)
        ] * 3

    def _joined(self, parts: list[Any], kind: Any) -> Any:
        np = self.np
        none = np.zeros(0, np.int64)
        return kind(*(np.concatenate(one) for one in zip(*parts, strict=True))) if parts else kind(
            *[none] * len(kind._fields)
        )  # fmt: skip

    def _declared(self, rows: Any) -> list[Any]:
        """Return the frames that go through their declarations; what they claim is none of the walk's."""
        if not len(rows):
            return []
        from packetlab.capture.rewrite.sites_declared import Declared

        frames = [Declared(self, row) for row in rows.tolist()]
        self._claimed = self.np.array([at for frame in frames for at in frame.claims()], self.np.int64)
        return frames

    # Walking ------------------------------------------------------------------------------------------------

    def walk(self) -> None:
        """Work off what is found, a kind at a time: (kind, row, place, end, depth, sum around, more of its own)."""
        for _ in range(MOST):
            if not self._todo:
                return
            kind, *rest = self._todo.pop(0)
            if len(rest[0]):
                getattr(self, "_" + kind)(*rest)
        rows = {row for _, some, *_ in self._todo for row in some.tolist()}
        self.left[f"what stands after {MOST} headers of a frame"] += len(rows)
        self._todo.clear()

    def _begin(self) -> None:
        np, batch = self.np, self.batch
        types = np.array([interface.linktype for interface in batch.interfaces] or [0], np.int64)[batch.which]
        rows, at, end = np.arange(len(batch)), batch.starts, self.ends
        none, depth = self.full(rows, -1), self.full(rows, 0)
        self.add("ether", types == ETHERNET, rows, at, end, depth, none)
        for number, (type_at, size) in {LINUX_SLL: (14, 16), LINUX_SLL2: (0, 20), 104: (2, 4)}.items():
            here = (types == number) & (at + size <= end)
            if number == 104:
                here[here] = self.u16(at[here] + type_at) != 0x8035  # SLARP there
            self.add("typed", here, rows, at + type_at, end, depth, none, at + size)
            if number != 104 and (here := types == number).any():
                cooked(self, rows[here], at[here], end[here], none[here], number == LINUX_SLL)
        for number, size in {NULL: 4, LOOP: 4, **dict.fromkeys(RAW_TYPES, 0)}.items():
            here = (types == number) & (at + size < end)
            self.link_end[here] += size
            # Where the link says which it is, the version in the header does not count.
            version = self.full(rows, {IPV4: 4, IPV6: 6}.get(number, 0))
            if size:
                version[here] = family(self, at[here], number == NULL)
            self.add("version", here, rows, at + size, end, depth, none, version)

    def _ether(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        for place, role in ((0, 1), (6, 0)):
            here = self.whole(6, at + place, end)
            none = self.full(row[here], -1)
            self.found_macs.append(
                (row[here], at[here] + place, none * 0 + role, depth[here], none, none, around[here])
            )
        keep = at + 14 <= end
        row, at, end, depth, around = (one[keep] for one in (row, at, end, depth, around))
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
        self.add("ip4", kind == 0x0800, *rest)
        self.add("ip6", kind == 0x86DD, *rest)
        self.add("arp", np.isin(kind, (0x0806, 0x8035)), *rest)
        self.add("idp", kind == 0x0600, *rest)
        self.add("mpls", np.isin(kind, (0x8847, 0x8848)), *rest)
        self.add("ether", kind == 0x6558, *rest)
        self.add("ppp", kind == PPTP, *rest)
        self.add("pppoe", np.isin(kind, (0x8863, 0x8864)), *rest)
        self.add("snap", (kind <= 1500) & (at + 8 <= end), *rest)

    def _snap(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        keep = at + 8 <= end
        row, at, end, depth, around = (one[keep] for one in (row, at, end, depth, around))
        control = self.u8(at + 2)
        at = at + 3 + ((control & 3) != 3)  # only unnumbered frames have a control field of one byte
        keep = (self.u8(at - 3 - ((control & 3) != 3)) == 0xAA) & (at + 5 <= end)
        row, at, end, depth, around = (one[keep] for one in (row, at, end, depth, around))
        keep = (self.u8(at) == 0) & self.np.isin(self.u16(at + 1), (0, 0xF8))
        kind = self.u16(at + 3)
        keep &= kind > 1500
        self.add("ethertype", keep, row, at + 5, end, depth, around, kind)

    def _ppp(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        keep = at + 2 <= end
        row, at, end, depth, around = (one[keep] for one in (row, at, end, depth, around))
        first = self.u8(at)
        short = first & 1  # RFC 1661 section 6.5: a number of one byte is odd, the first of two is even
        kind = self.np.where(short == 1, first, self.u16(at))
        rest = (row, at + 2 - short, end, depth, around)
        for step, number in (("ip4", 0x0021), ("ip6", 0x0057), ("idp", 0x0025), ("mpls", 0x0281)):
            self.add(step, kind == number, *rest)

    def _pppoe(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        keep = at + 8 <= end
        keep[keep] = self.u8(at[keep] + 1) == 0  # in the discovery stage the payload is tags
        self.add("ppp", keep, row, at + 6, end, depth, around)

    def _mpls(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        while len(row):
            keep = at + 4 <= end
            row, at, end, depth, around = (one[keep] for one in (row, at, end, depth, around))
            bottom = (self.u8(at + 2) & 1) == 1
            self.add("nibble", bottom, row, at + 4, end, depth, around)
            row, at, end, depth, around = (one[~bottom] for one in (row, at + 4, end, depth, around))

    def _nibble(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        self._version(row, at, end, depth, around, self.full(row, 0))

    def _version(self, row: Any, at: Any, end: Any, depth: Any, around: Any, version: Any) -> None:
        """Go on with an IP header of a version, 0 where its first bits tell."""
        keep = at < end
        row, at, end, depth, around, version = (one[keep] for one in (row, at, end, depth, around, version))
        version = self.np.where(version == 0, self.u8(at) >> 4, version)
        other = (version != 4) & (version != 6)
        self.left["what is neither IPv4 nor IPv6 where one of them is expected"] += len(set(row[other].tolist()))
        first = (depth == 0) & (self.link_type[row] < 0)
        self.link_type[row[first]] = self.np.where(version == 4, 0x0800, self.np.where(version == 6, 0x86DD, -1))[first]
        self.add("ip4", version == 4, row, at, end, depth, around)
        self.add("ip6", version == 6, row, at, end, depth, around)

    def _arp(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        arp(self, at, end, around)

    def _idp(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        """Note the hosts of XNS packets, which are MAC addresses, and their checksums, which are no Internet ones."""
        keep = at + 30 <= end
        for place in (10, 22):
            here = self.whole(6, at + place, end, ~keep)
            self.mac(at[here] + place, around[here])
        row, at, end, depth, around = (one[keep] for one in (row, at, end, depth, around))
        length = self.u16(at + 2)
        stop = self.np.minimum(at + length + (length & 1), end)  # the byte that makes it even counts, where it is there
        number = self.add_sum(row, at, at + 2, stop, (length >= 30) & (at + length <= end), around, whole=1)
        for one, place, last, outer in zip(number.tolist(), at.tolist(), stop.tolist(), around.tolist(), strict=True):
            if one >= 0:
                self.rules[one] = Rule(place, 2, False, "xns", ((place + 2, last),), (), 0, NO_XNS_SUM, 0, True, outer)
        around = self.np.where(number >= 0, number, around)
        for place in (10, 22):
            self.mac(at + place, around)
        quoted = self.u8(at + 5) == 3  # an Error: number, parameter, and what it is about
        self.add("idp", quoted, row, at + 34, end, depth + 1, around)

    # Network headers ----------------------------------------------------------------------------------------

    def _unsound(self, row: Any, width: int, at: Any, end: Any, depth: Any, around: Any) -> None:
        """Note the addresses of headers that are cut, and not walked into."""
        for role, place in enumerate((at, at + width)):
            here = self.whole(width, place, end)
            self.ip(width, place[here], around[here], header=1, role=role)
            if role == 0:
                here &= depth == 0
                for one, first in zip(row[here].tolist(), place[here].tolist(), strict=True):
                    source = self.data[first : first + width].tobytes()
                    self.ends_of.setdefault(one, Ends(source, None, None, False, False, True))

    def _ip4(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        np = self.np
        keep = at + 20 <= end  # headers of a wrong version or size are read on, as dissecting does
        self._unsound(row[~keep], 4, at[~keep] + 12, end[~keep], depth[~keep], around[~keep])
        row, at, end, depth, around = (one[keep] for one in (row, at, end, depth, around))
        size, total, fragment = np.maximum((self.u8(at) & 15) * 4, 20), self.u16(at + 2), self.u16(at + 6)
        keep = at + size <= end
        last = np.minimum(at + size, end)
        own = self.add_sum(row, at + 10, at, last, last > at, around, whole=keep)
        stop = np.where(total == 0, end, np.minimum(end, at + total))
        piece = fragment & 0x3FFF != 0
        whole = (at + total <= end) & ~piece
        protocol = self.u8(at + 9)
        later = fragment & 0x1FFF != 0
        upper = np.where(keep & ~later & (at + size <= stop), at + size, -1)
        self._later(np.where(later, at + size, stop), stop, protocol)
        target = at + 16
        some = np.flatnonzero(size > 20)
        if len(some):
            target[some] = options4(self, at[some] + 20, last[some], own[some], around[some], target[some])
        self._network(row, at, stop, depth, around, own, upper, protocol, whole, piece, 4, at + 12, target)

    def _ip6(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        np = self.np
        keep = at + 40 <= end
        self._unsound(row[~keep], 16, at[~keep] + 8, end[~keep], depth[~keep], around[~keep])
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
            size = np.where(kind == 44, 8, np.where(kind == 51, np.maximum(words + 2, 3) * 4, (words + 1) * 8))
            fits = place + size <= stop[here]
            # RFC 8200 section 8.1: with segments left, checksums are of the final destination.
            on = (kind == 43) & fits & (self.u8(place + 3) > 0) & (words >= 2)
            last = np.where(self.u8(place + 2) == 4, place + 8, place + size - 16)
            passed = on & (target[here] != at[here] + 24)  # a route that the next one goes on from
            self.ip(16, target[here][passed], around[here][passed], header=1)
            target[here] = np.where(on, last, target[here])
            for kinds, note in (((43,), routed), ((0, 60), options6)):
                some = np.isin(kind, kinds)
                note(
                    self,
                    place[some],
                    np.minimum(place + size, stop[here])[some],
                    around[here][some],
                    target[here][some],
                )
            offset = np.where(kind == 44, self.u16(place + 2), 0)
            piece[here] |= offset & 0xFFF9 != 0
            protocol[here] = self.u8(place)
            later = offset & 0xFFF8 != 0
            self._later(np.where(later, place + size, stop[here]), stop[here], protocol[here])
            upper[here] = np.where(fits & ~later, place + size, -1)
        own = self.full(row, -1)
        self._network(row, at, stop, depth, around, own, upper, protocol, whole & ~piece, piece, 16, at + 8, target)

    def _later(self, at: Any, end: Any, protocol: Any) -> None:
        """Count the later fragments that may hold addresses, more than zeros, from `at`."""
        some = (at < end) & self.np.isin(protocol, divided())
        self.left[LATER] += sum(
            bool(self.data[a:b].any()) for a, b in zip(at[some].tolist(), end[some].tolist(), strict=True)
        )

    def _network(
        self, row: Any, at: Any, stop: Any, depth: Any, around: Any, own: Any, upper: Any, protocol: Any, whole: Any, piece: Any,
        width: int, source: Any, target: Any,
    ) -> None:  # fmt: skip
        np = self.np
        place = {TCP: 16, UDP: 6, ICMP: 2, ICMP6: 2, IGMP: 2}
        numbers = (TCP, UDP, ICMP if width == 4 else ICMP6, *self.igmp)
        room = np.select([protocol == number for number in numbers], [place[number] for number in numbers], -1)
        keep = (upper >= 0) & (room >= 0) & (upper + room + 2 <= stop)
        bare = ((protocol == ICMP) & (width == 4)) | (protocol == IGMP)  # without a pseudo-header
        carried = np.where(bare, 0, width)
        covered, udp = stop, keep & (protocol == UDP)
        if udp.any():
            # RFC 768: what is after the UDP length is no part of it; a length of 0 leaves it to IPv6 (RFC 2675).
            length = self.u16(np.where(udp, upper, 0) + 4)
            told = udp & (length >= 8)
            covered, whole = (
                np.where(told, np.minimum(stop, upper + length), stop),
                whole & (~told | (upper + length <= stop)),
            )
        self.short[row[~whole]] = True
        transport = self.add_sum(
            row, upper + room, upper, covered, keep, around, source=source, target=target, width=carried,
            protocol=protocol, optional=protocol == UDP, whole=whole,
        )  # fmt: skip
        pseudo = np.where(bare, -1, transport)
        one = np.ones(len(row), np.int64)
        self.found_ips[width].append((row, source, one * 0, one, own, pseudo, around))
        direct = at + (16 if width == 4 else 24)
        self.found_ips[width].append((row, direct, one, one, own, np.where(target == direct, pseudo, -1), around))
        final = target != direct  # of a route: counts to the checksum in place of the address in the header
        if final.any():
            none, within = one[final] * 0 - 1, own[final] if width == 4 else one[final] * 0 - 1
            self.found_ips[width].append(
                (none, target[final], none + 3, none + 2, within, pseudo[final], around[final])
            )
        self._networks.append(
            (row, at, stop, one * (4 if width == 4 else 6), upper, protocol, depth, piece, own, transport, around)
        )
        for offset in (0, 2):
            ported = self.whole(2, upper + offset, stop, (upper >= 0) & np.isin(protocol, (TCP, UDP)))
            self.found_ports.append(((upper + offset)[ported], transport[ported], around[ported]))
        self._upper(row, upper, stop, depth, around, protocol, transport, width)

    def _upper(
        self, row: Any, at: Any, end: Any, depth: Any, around: Any, protocol: Any, transport: Any, width: int
    ) -> None:
        np = self.np
        keep = at >= 0
        row, at, end, protocol, transport = (one[keep] for one in (row, at, end, protocol, transport))
        depth, around = depth[keep] + 1, around[keep]
        inside = np.where(transport >= 0, transport, around)
        self.add("ip4", (protocol == 4), row, at, end, depth, around)
        self.add("ip6", (protocol == 41), row, at, end, depth, around)
        self.add("idp", protocol == 22, row, at, end, depth, around)
        self.add("gre", protocol == 47, row, at, end, depth, around)
        vxlan = (protocol == UDP) & (at + 16 <= end)
        vxlan[vxlan] = self.u16(at[vxlan] + 2) == 4789
        self.add("ether", vxlan, row, at + 16, end, depth, inside)
        if width == 4:
            errors = (protocol == ICMP) & (at + 8 <= end)
            kind = np.where(errors, self.u8(np.where(errors, at, 0)) if len(self.data) else 0, -1)
            self.add("ip4", np.isin(kind, QUOTING), row, at + 8, end, depth, inside)
            gateway = (protocol == ICMP) & (at + 4 < end)
            gateway[gateway] = self.u8(at[gateway]) == 5
            gateway = self.whole(4, at + 4, end, gateway)
            self.ip(4, at[gateway] + 4, inside[gateway])
            routers(self, at, end, kind, inside)
        else:
            errors = (protocol == ICMP6) & (at + 8 <= end)
            kind = np.where(errors, self.u8(np.where(errors, at, 0)) if len(self.data) else 0, -1)
            quoting = (kind >= 1) & (kind <= 4)
            self.add("ip6", quoting, row, at + 8, end, depth, inside)
            neighbours(self, row, at, end, depth, kind, inside)
        some = np.isin(protocol, self.igmp)
        igmp(self, at[some], end[some], inside[some])

    def _gre(self, row: Any, at: Any, end: Any, depth: Any, around: Any) -> None:
        np = self.np
        keep = at + 4 <= end
        row, at, end, depth, around = (one[keep] for one in (row, at, end, depth, around))
        flags = self.u16(at)
        checked = (flags & 0xC000 != 0) & (at + 8 <= end)
        present = checked & (flags & 0x8000 != 0)
        number = self.add_sum(row, at + 4, at, end, present, around, whole=~self.short[row])
        # As declared: the acknowledgment number is where its bit is set, whatever the version says (RFC 2637 section 4.1).
        size = 4 + 4 * (checked * 1 + (flags >> 13 & 1) + (flags >> 12 & 1) + (flags >> 7 & 1))
        keep = (flags & 0x4000 == 0) & (at + size <= end)
        kind, inside = self.u16(at + 2), np.where(number >= 0, number, around)
        self.add("ethertype", keep & (kind > 1500), row, at + size, end, depth, inside, kind)
