"""Rewriting captures: addresses, ports, tags, times to live, sizes, link headers; what follows is put right.

Works on batches, so files of any size go through in little memory. Option by option it does what tcprewrite does, but
touches nothing unasked: checksums that were right stay right, wrong ones stay wrong (`fixcsum` puts them right), lengths
change only where frames are cut, and what a quoted or tunnelled packet repeats is changed with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from packetlab.bulk.scan_rows import number_at
from packetlab.capture.rewrite.anonymise import Anonymiser
from packetlab.capture.rewrite.checksums import ChecksumUpdater, number_rows
from packetlab.capture.rewrite.link_layer import LinkLayer, Room, popped, pushed, roomy, tagged, vlan_tag
from packetlab.capture.rewrite.located import Located
from packetlab.capture.rewrite.loop import Loops
from packetlab.capture.rewrite.maps import MacMap, NetMap, Pairs, each, mac_number, port_table, rows, words_at
from packetlab.capture.rewrite.options import check_types
from packetlab.errors import BuildError, CaptureError

if TYPE_CHECKING:
    from packetlab.bulk.batch import ByteArray, Numbers
    from packetlab.capture.batch import FrameBatch
    from packetlab.capture.rewrite.found import Addresses

ROOM = 32  # bytes free before each frame: more than any usual header needs
LONGEST = 262144  # bytes a frame is filled up to at most: no link has longer ones, but files may claim any


class Rewriter:
    """The options of one rewriting, read and checked; call it with a batch."""

    def __init__(
        self, *, mac: Pairs | None, src_mac: object, dst_mac: object, ip: Pairs | None,
        src_ip: Pairs | None, dst_ip: Pairs | None, ports: Pairs | None,
        vlan_push: object, vlan_pop: bool, vlan: Mapping[str, int] | None, ttl: int | str | None, tos: int | None,
        tclass: int | None, flowlabel: int | None, mtu: int | None, fixlen: str | None, fcs: bool, link: object,
        hdlc: tuple[int, int], anonymise: int | str | bytes | None, fixcsum: bool,
        capture_size: int | None = None,
    ) -> None:  # fmt: skip
        where = "rewrite: "
        check_types({
            "mac": mac, "src_mac": src_mac, "dst_mac": dst_mac, "ip": ip, "src_ip": src_ip, "dst_ip": dst_ip, "ports": ports, "vlan_push": vlan_push,
            "vlan_pop": vlan_pop, "vlan": vlan, "ttl": ttl, "tos": tos, "tclass": tclass, "flowlabel": flowlabel, "mtu": mtu, "fixlen": fixlen,
            "fcs": fcs, "link": link, "hdlc": hdlc, "anonymise": anonymise, "fixcsum": fixcsum,
        })  # fmt: skip
        self.mac = MacMap(mac, where + "mac") if mac else None
        self.ends = tuple(
            None if one is None else mac_number(one, where + name)
            for one, name in ((src_mac, "src_mac"), (dst_mac, "dst_mac"))
        )
        self.nets = tuple(
            NetMap(one, where + name) if one else None
            for one, name in ((src_ip, "src_ip"), (dst_ip, "dst_ip"), (ip, "ip"))
        )
        self.ports = port_table(ports, where + "ports") if ports else None
        self.tag = vlan_tag(vlan_push) if vlan_push is not None else None
        self.pop, self.vlan = vlan_pop, _vlan(vlan)
        self.ttl = _ttl(ttl)
        self.tos, self.tclass = _checked(tos, 255, "tos"), _checked(tclass, 255, "tclass")
        self.flowlabel = _checked(flowlabel, (1 << 20) - 1, "flowlabel")
        self.mtu = _checked(mtu, 1 << 24, "mtu")
        if fixlen not in (None, "pad", "trunc", "del"):
            raise BuildError("rewrite: fixlen", "pad, trunc or del", repr(fixlen))
        self.fixlen, self.fcs, self.fix = fixlen, fcs, fixcsum
        own = [(0 if end is None else end).to_bytes(6, "big") for end in (self.ends[1], self.ends[0])]
        self.link = LinkLayer(link, (own[0], own[1]), hdlc) if link is not None else None
        self.anonymiser = Anonymiser(anonymise) if anonymise is not None else None
        numbers = (ttl, tos, tclass, flowlabel, mtu, anonymise, *self.ends)
        self.deep = bool(mac or any(self.nets) or ports or fixcsum or fixlen == "trunc") or any(
            one is not None for one in numbers
        )  # more than whole frames and link headers
        self.left: Counter[str] = Counter()  # what could not be found -> in how many frames
        self._room = Room()
        self._loops = Loops(capture_size, self._room)

    def __call__(self, batch: FrameBatch, lasting: bool = True) -> FrameBatch:
        """Return the batch rewritten; the one given stays as it was. Where not `lasting`, it is good until the next."""
        import numpy as np

        if self.fixlen == "del":
            batch = batch.chosen(batch.sizes >= batch.wire_sizes)
        sizes = None
        if self.fixlen == "pad":
            sizes = np.maximum(batch.sizes, batch.wire_sizes)
            if (sizes > np.maximum(batch.sizes, LONGEST)).any():
                row = int(np.argmax(sizes))
                raise CaptureError(
                    f"frame {int(batch.numbers[row])}", f"{LONGEST} bytes at most to fill up to", int(sizes[row])
                )
        room = max(ROOM if sizes is not None else 4, self.link.room + 4 if self.link is not None else 0)
        new = roomy(batch, room, sizes, None if lasting else self._room)
        if self.fcs:
            self._without_fcs(new)
        sites = self._inside(new) if self.deep or self.link is not None else None
        self._links(new, sites)
        return new

    def _inside(self, batch: FrameBatch) -> Located:
        """Change what stands in the frames, and what follows from it."""
        import numpy as np

        ends = batch.starts + batch.sizes
        wanted = {"sums", *(["link"] if self.link is not None or self.mtu is not None else [])}
        wanted |= {"lengths"} if self.mtu is not None or self.fixlen == "trunc" else set()
        sites = Located(batch, ends, wanted, self._loops)
        if self.deep:
            sums = ChecksumUpdater(sites, self._room, self.fix)
            self._cut(batch, sites, sums, ends)
            self._addresses(sites, sums)
            if self.ports is not None:
                at, around = sites.ports
                old = number_at(sites.data, at, 0, 2, False)
                new = self.ports[old]
                moved = np.flatnonzero(new != old)
                sums.change(at[moved], number_rows(new[moved], 2), around[moved])
            self._fields(sites, sums)
            sums.settle()
            self.left.update(+sites.left)
        return sites

    # Sizes --------------------------------------------------------------------------------------------------

    def _without_fcs(self, batch: FrameBatch) -> None:
        """Take the frame check sequence from the end of frames that have their end."""
        import numpy as np

        known = np.array([one.fcs_length or 4 for one in batch.interfaces] or [4])[batch.which]
        cut = np.clip(batch.sizes - np.maximum(batch.wire_sizes - known, 0), 0, np.minimum(known, batch.sizes))
        batch.sizes -= cut
        batch.wire_sizes = np.maximum(batch.wire_sizes - known, batch.sizes)
        batch.interfaces = tuple(one._replace(fcs_length=0) for one in batch.interfaces)

    def _cut(self, batch: FrameBatch, sites: Located, sums: ChecksumUpdater, ends: Numbers) -> None:
        """Cut what is longer than the MTU, and let lengths say what is there."""
        import numpy as np

        if self.mtu is None and self.fixlen != "trunc":
            return
        shorter = ends.copy()
        if self.mtu is not None:
            begins = np.where(sites.link_type < 0, batch.starts + 14, sites.link_end)
            begins[sites.networks.row] = sites.networks.at
            shorter = np.minimum(ends, begins + self.mtu)
        short = shorter < ends
        if self.fixlen == "trunc":
            short |= batch.wire_sizes > batch.sizes
            batch.wire_sizes = np.minimum(batch.wire_sizes, batch.sizes)
        batch.sizes = shorter - batch.starts
        batch.wire_sizes = np.where(short, batch.sizes, batch.wire_sizes)
        sums.cut(shorter)
        row, at, base, around = sites.lengths
        old = number_at(sites.data, at, 0, 2, False)
        long = short[row] & (old > 0) & (base + old > shorter[row]) & (at + 2 <= shorter[row])
        length = np.maximum(shorter[row[long]] - base[long], 0)
        sums.change(at[long], number_rows(length, 2), around[long])

    # Addresses and fields -----------------------------------------------------------------------------------

    def _addresses(self, sites: Located, sums: ChecksumUpdater) -> None:
        import numpy as np

        macs = sites.macs
        if len(macs.at) and (self.mac or self.anonymiser or self.ends != (None, None)):
            number = words_at(sites.data, macs.at, 6)[1]
            new, known = self.mac(number) if self.mac else (number.copy(), np.zeros(len(number), bool))
            if self.anonymiser:
                new[~known] = each(self.anonymiser.mac, new[~known])
            for role, end in enumerate(self.ends):
                if end is not None:
                    new[macs.role == role] = end  # of the frame's own header
            sums.change(macs.at, number_rows(new.astype(np.int64), 6), macs.around)
        for bits, found in ((32, sites.ips4), (128, sites.ips6)):
            if len(found.at) and (any(net and net.rules[bits] for net in self.nets) or self.anonymiser):
                self._networks(sites, sums, bits, found)

    def _networks(self, sites: Located, sums: ChecksumUpdater, bits: int, found: Addresses) -> None:
        import numpy as np

        high, low = words_at(sites.data, found.at, bits // 8)
        free = np.ones(len(low), bool)  # of which no map has spoken
        for role, net in enumerate(self.nets):
            if net is not None and net.rules[bits]:
                net(high, low, bits, free, None if role == 2 else found.role == role)
        if self.anonymiser:
            raw = rows(high, low, bits // 8)
            different, place = np.unique(raw[free], axis=0, return_inverse=True) if bits > 32 else _unique(raw[free])
            raw[free] = self.anonymiser.ips(different)[place.reshape(-1)]
            sums.change(found.at, raw, found.around)
        else:
            done = np.flatnonzero(~free)
            sums.change(found.at[done], rows(high[done], low[done], bits // 8), found.around[done])

    def _fields(self, sites: Located, sums: ChecksumUpdater) -> None:
        """Set what only the outermost IP header of a frame is requested."""
        import numpy as np

        nets = sites.networks

        def put(version: int, place: int, change: Callable[[Numbers], Numbers], size: int = 1) -> None:
            here = np.flatnonzero(nets.version == version)
            at = nets.at[here] + place
            old = words_at(sites.data, at, size)[1].astype(np.int64)
            sums.change(at, number_rows(change(old), size), nets.around[here])

        if self.ttl is not None:
            put(4, 8, self.ttl)
            put(6, 7, self.ttl)
        if self.tos is not None:
            put(4, 1, lambda old: np.full_like(old, self.tos))
        for value, shift, keep in ((self.tclass, 20, 0xF00FFFFF), (self.flowlabel, 0, 0xFFF00000)):
            if value is not None:
                put(6, 0, lambda old: old & keep | value << shift, 4)  # noqa: B023  called at once

    def _links(self, batch: FrameBatch, sites: Located | None) -> None:
        if self.link is not None and sites is not None:
            self.link.put(batch, sites)
        if self.pop:
            popped(batch)
        if self.vlan:
            tagged(batch, **self.vlan)
        if self.tag is not None:
            pushed(batch, self.tag)


def batches(source: Iterator[FrameBatch], rewriter: Rewriter, lasting: bool = True) -> Iterator[FrameBatch]:
    """Yield batches rewritten; the rewriter counts anew what it had to leave. See `Capture.batches` for `lasting`."""
    rewriter.left.clear()
    for batch in source:
        new = rewriter(batch, lasting)
        if len(new):
            yield new


def _unique(raw: ByteArray) -> tuple[ByteArray, Numbers]:
    """Return the different rows of 4 bytes, and which of them each row is; quicker than for rows of any size."""
    import numpy as np

    numbers, place = np.unique(np.ascontiguousarray(raw).view(np.uint32), return_inverse=True)
    return numbers.view(np.uint8).reshape(-1, 4), place


def _checked(value: int | None, most: int, name: str) -> int | None:
    if value is not None and not (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most):
        raise BuildError(f"rewrite: {name}", f"0..{most}", repr(value))
    return value


def _vlan(fields: Mapping[str, int] | None) -> dict[str, int | None]:
    names = {"id": 0xFFF, "priority": 7, "drop_eligible": 1}
    if not fields:
        return {}
    for name, value in fields.items():
        if name not in names:
            raise BuildError("rewrite: vlan", "id, priority or drop_eligible", name)
        _checked(value, names[name], f"vlan {name}")
    return {name: fields.get(name) for name in names}


def _ttl(wanted: int | str | None) -> Callable[[Numbers], Numbers] | None:
    """Return what a time to live becomes: a number, or "+n" and "-n", which end at 255 and 1."""
    import numpy as np

    if wanted is None:
        return None
    try:
        if not isinstance(wanted, int | str):
            raise TypeError
        number = int(wanted)
    except (TypeError, ValueError):
        raise BuildError("rewrite: ttl", "0..255, or +n or -n as text", repr(wanted)) from None
    if isinstance(wanted, str) and wanted.strip()[:1] in ("+", "-"):
        return lambda old: np.clip(old + number, 1, 255)
    _checked(number, 255, "ttl")
    return lambda old: np.full_like(old, number)
