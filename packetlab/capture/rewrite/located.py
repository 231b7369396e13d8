"""Located: where in a batch of frames the addresses, ports, checksums and lengths lie that rewriting touches.

The scan (`bulk.scan_places`) goes over all frames of the batch at once by their declarations; frames that do not fit them are
read as objects (`careful`). Both give visits of headers, all of one by the same way, and here is put down what the fields of
each are (`roles`), which checksum covers which, and who speaks to whom. What is the same for all of a visit is one value.
Plain frames go through a compiled loop where there is one (`loop`), which finds the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

from packetlab.bulk.scan_places import PlacesScan, Visit
from packetlab.capture.rewrite.found import Addresses, Built, Ends, Lengths, Networks, Rule, State, Sums, of, stretch
from packetlab.capture.rewrite.inside import CookedSource, SourceRoute
from packetlab.capture.rewrite.loop import VERSIONS, Loops
from packetlab.capture.rewrite.roles import (
    PORTS,
    Roles,
    concerned,
    hiding,
    is_one,
    is_plain,
    is_whole,
    known,
    roles,
    sum_regions,
    wants,
)
from packetlab.codec.pseudo import protocol
from packetlab.declare import registry
from packetlab.declare.checksums.ranges import Region, has_payload
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Checksum
from packetlab.declare.fields import Field
from packetlab.protocols.ip import IPv4, IPv6, Routing
from packetlab.protocols.link import ETHERTYPE, Ether
from packetlab.protocols.linktypes import first_header

if TYPE_CHECKING:
    import numpy as np

    from packetlab.bulk.batch import Numbers, Truths
    from packetlab.capture.batch import FrameBatch

LATER = "a later fragment, which may hold addresses"


class Located:
    """Everything found in one batch: what is `wanted` of "sums" (checksums, ports), "lengths", "link" and "ends".

    Attributes:
        macs, ips4, ips6: addresses, unless "ends" is all that is wanted. networks: the outermost IP headers. sums: checksums. ports: (place, sum around it).
        lengths: fields that say how long a packet is. link_end, link_type: for each row where its network header (or what
        stands in its place) begins, its ether type (-1: not known). rules: number of a sum -> how it comes about, of those
        that are no plain Internet ones. built: those that header objects work out. ends: who speaks to whom. left: what could not be found -> number of frames.
    """

    def __init__(self, batch: FrameBatch, ends: Numbers, wanted: Collection[str], loops: Loops | None = None) -> None:
        """`ends`: where each frame ends."""
        import numpy as np

        self.np, self.batch, self.data, self.wanted = np, batch, batch.data, wanted
        self.rules: dict[int, Rule] = {}
        self.built: list[Built] = []
        self.left: Counter[str] = Counter()
        self.ends = Ends(len(batch))
        self.link_end, self.link_type = batch.starts.copy(), np.full(len(batch), -1, np.int64)
        self._count = 0
        self._notes: dict[str, list[Sequence[Any]]] = {}
        self._carriers: list[Declaration] = []
        missing = batch.wire_sizes > batch.sizes
        scan = PlacesScan(batch.data, ends, missing, wants, concerned(), known())
        self.unfit = scan.unfit
        walks = []
        for place, interface in enumerate(batch.interfaces):
            rows = np.flatnonzero(batch.which == place)
            cls = first_header(interface.linktype)
            if cls is None or not len(batch.data):
                continue
            first = cls._declaration
            if loops is not None and set(wanted) == {"sums"} and len(rows):
                notes, rows = loops.locate(batch, first, rows, ends, missing, self._count)
                for name, arrays in notes.items():
                    self.note(name, np.True_, *arrays)
                self._count += len(notes["sums"][0]) if "sums" in notes else 0
            if len(rows):
                walks.append(scan.walk(first, rows, batch.starts[rows], ends[rows]))
        for visits in walks:
            self._follow(visits, State.new(), bool(self.unfit.any()))
        if self.unfit.any():
            from packetlab.capture.rewrite.careful import read

            self._follow(read(batch, np.flatnonzero(self.unfit), self.left), State.new(), False)
        self.macs, self.ips4, self.ips6 = (Addresses(*self._joined(size, 4)) for size in ("6", "4", "16"))
        self.networks, self.sums = Networks(*self._joined("networks", 4)), Sums(*self._joined("sums", 11))
        self.ports, self.lengths = self._joined("ports", 2), Lengths(*self._joined("lengths", 4))

    def _joined(self, name: str, width: int) -> Any:
        """Return what was put down, an array for each of its `width` values."""
        notes = self._notes.get(name, [])
        if len(notes) == 1:
            count = len(notes[0][0])
            return [one if getattr(one, "ndim", 0) else self.np.full(count, one) for one in notes[0]]
        joined = self.np.empty((width, sum(len(one[0]) for one in notes)), self.np.int64)
        start = 0
        for one in notes:
            stop = start + len(one[0])
            for into, values in zip(joined, one, strict=True):
                into[start:stop] = values
            start = stop
        return joined

    # Going along -----------------------------------------------------------------------------------------------------

    def _follow(self, visits: list[Visit], state: State, check: bool) -> None:
        states: dict[Visit | None, State] = {None: state}
        for visit in visits:
            there = ~self.unfit[visit.rows] if check else self.np.True_
            header = _Header(self, visit, states[visit.lower].taken(visit.ids), there)
            header.note()
            states[visit] = header.state

    def note(self, name: str, keep: Truths | np.bool_, *arrays: object) -> None:
        """Put down what is found where `keep`: an array, then arrays or what is the same for all."""
        if keep.all():
            self._notes.setdefault(name, []).append(arrays)
        elif keep.any():
            self._notes.setdefault(name, []).append([of(one, keep) for one in arrays])

    def sum(self, keep: Truths | np.bool_, *arrays: object) -> Numbers:
        """Put down checksums, see `Sums`; return their numbers, -1 for those that are not kept."""
        np = self.np
        self.note("sums", keep, *arrays)
        first, self._count = self._count, self._count + int(np.count_nonzero(keep))
        every = keep.all()
        numbers: Numbers = np.arange(first, self._count) if every else np.where(keep, np.cumsum(keep) - 1 + first, -1)
        return numbers

    def carrier(self, cls: Declaration) -> int:
        """Return a number for a class that pseudo-headers are of."""
        if cls not in self._carriers:
            self._carriers.append(cls)
        return self._carriers.index(cls)

    def protocol(self, carrier: int, cls: Declaration) -> int:
        """Return what stands for a class in the pseudo-headers of a carrier."""
        return protocol(self._carriers[carrier], cls) if carrier >= 0 else 0


class _Header:
    """Headers of one visit."""

    def __init__(self, to: Located, visit: Visit, state: State, there: Truths | np.bool_) -> None:
        self.np, self.to, self.visit, self.state = to.np, to, visit, state
        self.cls: Declaration = visit.cls
        self.role: Roles = roles(visit.cls)
        self.there = there  # which count
        self.rows = visit.rows
        state.count = len(visit.rows)
        self.around = state.around
        self.head = self.payload = self.around  # the sums that cover this header, and its payload
        self.single: dict[str, Numbers] = {}  # and single fields

    def each(self, value: object) -> Any:
        """Return an array of a value, where it is one for all."""
        return self.np.broadcast_to(value, len(self.rows))

    def where(self, there: Truths | np.bool_ | bool, yes: object, no: object) -> Any:
        return yes if self.np.all(there) else self.np.where(there, yes, no)

    def place(self, name: str) -> tuple[Numbers, Truths]:
        """Return where a field stands, and where it is there."""
        at, there, _ = self.visit.places.get(name, (-1, self.np.False_, None))
        return self.each(at), there & self.there

    def cover(self, name: str) -> Any:
        return self.single.get(name, self.around if name in self.after else self.head)

    def note(self) -> None:
        """Put down what the fields are, and go on with what is inside."""
        self.after = {f.name for f in self.cls.after}
        wanted = self.to.wanted
        if "sums" in wanted:
            self._sums()
            for f, why in self.role.wrong:
                self.to.left[f"{self.cls.name}.{f.name}, {why}"] += int(self.each(self.place(f.name)[1]).sum())
            for f in self.role.ports:
                if f.name in self.visit.places:
                    at, there = self.place(f.name)
                    self.to.note("ports", there, at, self.cover(f.name))
        if wanted != {"ends"}:
            self._addresses()
            self._carry()
        if "lengths" in wanted:
            self._lengths()
        if "link" in wanted:
            self._link()
        self.state.first = self.np.False_
        if "ends" in wanted:
            self._ends()
        self._hidden()
        self.state.around = self.payload
        for part, visits, some in self.visit.children:
            if part.header is None:
                self._unknown(part.why, some)
                continue
            own = {"payload": self.payload, "rest": self.around}.get(part.name)
            around = self.cover(part.name) if own is None else own
            inside = self.state.inside(some, around, part.name == "payload")
            self.to._follow(visits, inside, bool(self.there.ndim))

    # Checksums -------------------------------------------------------------------------------------------------------

    def _sums(self) -> None:
        np, visit, state = self.np, self.visit, self.state
        source, target, width, reach = state.source, state.target, state.width, state.reach
        parent = self.around
        for f in self.role.sums:
            some = sum_regions(self.cls)[f.name]
            if f.name in self.role.built:
                parent = self._cover(some, self._built(f, some, parent), parent)
                continue
            rule = f.rule
            if not isinstance(rule, Checksum) or f.name not in visit.places:
                continue
            at, keep = self.place(f.name)
            pseudo, covers = "pseudo" in rule.over, has_payload(some)
            whole = visit.wholes.get(f.name, visit.short == 0 if covers else True)
            number = self.to.protocol(state.carrier, self.cls) if pseudo else 0
            keep = keep & (not pseudo or state.carrier >= 0) & visit.holds.get(f"sum_{f.name}", True)
            plain = keep & is_plain(self.cls, f) & ((at - visit.begin & 1) == 0)
            if pseudo:
                plain = plain & (width == reach) & ((width == 4) | (width == 16)) & (source >= 0) & (target >= 0)
            numbers = self.to.sum(
                plain, self.rows, at, visit.begin, visit.stop if covers else visit.inner, source, target,
                width if pseudo else 0, number, rule.none is not None, whole, parent,
            )  # fmt: skip
            rest = self.each(keep & ~plain)
            if rest.any():
                numbers = np.where(rest, self._ruled(f, rule, some, rest, at, whole, number, parent), numbers)
            parent = self._cover(some, numbers, parent)

    def _cover(self, some: list[Region], numbers: Numbers, parent: Any) -> Any:
        """Put down what sums go over; return what is around those that come, `parent` where a header has no such sum."""
        there = numbers >= 0
        if has_payload(some):
            self.payload = self.where(there, numbers, self.payload)
        for region in some:
            if is_whole(region) and region.fields:
                self.head = self.where(there, numbers, self.head)
            for one in region.fields if not region.zeros and (not is_whole(region) or self.single) else ():
                self.single[one.name] = self.where(there, numbers, self.cover(one.name))
        return self.where(there, numbers, parent)

    def _built(self, f: Field, some: list[Region], parent: Any) -> Numbers:
        """Put down checksums that header objects work out."""
        visit, there, reaches = self.visit, self.each(self.there), has_payload(some) or f.name in self.after
        numbers = self.to.sum(there, self.rows, *[0] * 8, 1, parent)
        found = (numbers, self.rows, *map(self.each, (visit.begin, *((visit.stop, visit.end) if reaches else (visit.inner, visit.inner)))))
        self.to.built.append(Built(f"{self.cls.name}.{f.name}", *(one[there] for one in found)))
        return numbers

    def _ruled(
        self, f: Field, rule: Checksum, some: list[Region], rest: Truths, at: Numbers, whole: Any,
        number: int, parent: Any,
    ) -> Numbers:  # fmt: skip
        """Put down checksums that are worked out one by one."""
        numbers = self.to.sum(rest, self.rows, *[0] * 8, 1, parent)
        regions = [(*stretch(self.visit, region), region.zeros) for region in some]
        state, size = self.state, f.kind.fixed_bits // 8
        whole, parent, *ends = map(self.each, (whole, parent, state.source, state.width, state.target, state.reach))
        for one in self.np.flatnonzero(rest).tolist():
            there = [(int(begin[one]), int(end[one]), zeros) for begin, end, zeros in regions if begin[one] < end[one]]
            covered = tuple((begin, end) for begin, end, _ in there)
            blank = tuple((begin, end) for begin, end, zeros in there if zeros)
            added, more = [], 0
            if "pseudo" in rule.over:
                pairs = [(int(place[one]), int(many[one])) for place, many in (ends[:2], ends[2:])]
                added = [pair for pair in pairs if pair[0] >= 0]
                more = number + sum(end - begin for begin, end in covered)
            self.to.rules[int(numbers[one])] = Rule(
                int(at[one]), size, f.kind.little, rule.algorithm, covered, tuple(added), more,
                rule.none, rule.instead, bool(whole[one]), int(parent[one]), blank, f"{self.cls.name}.{f.name}",
            )  # fmt: skip
        return numbers

    # Addresses -------------------------------------------------------------------------------------------------------

    def _addresses(self) -> None:
        role, state = self.role, self.state
        pseudo = (role.ends or ()) if role.carrier else ()
        own = self.np.False_
        if role.macs:
            own = ~state.framed & (state.depth == 0)
            if not is_one(self.cls, Ether, CookedSource):
                own = own & state.first
            state.framed = state.framed | own
        for f in role.addresses:
            if f.name not in self.visit.places:
                continue
            at, there = self.place(f.name)
            size = f.kind.fixed_bits // 8
            at, size = (at + 4, 6) if size == 12 else (at, size)  # the host of an XNS address is a MAC address
            what: Any = pseudo.index(f.name) if f.name in pseudo else 2
            if f.kind.bits == 48 and f.name in ("src", "dst"):
                what = self.where(own, ("src", "dst").index(f.name), 2)
            if size in (4, 6, 16):
                self.to.note(str(size), there, self.rows, at, what, self.cover(f.name))
        for f in role.lists:
            self._listed(f)

    def _listed(self, f: Field) -> None:
        """Put down the addresses of a list."""
        np = self.np
        at, there, sizes = self.visit.places.get(f.name, (0, self.np.False_, 0))
        width = f.kind.element.fixed_bits // 8  # type: ignore[union-attr]
        held = np.where(self.each(there & self.there), self.each(sizes), 0)
        counts, cut = held // width, int((held % width > 0).sum())
        if cut:
            self.to.left[f"{self.cls.name}.{f.name}, which is cut off or faulty"] += cut
        if counts.any():
            nth = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
            places = np.repeat(self.each(at), counts) + nth * width + 4 * (width == 12)
            rows, around = (np.repeat(self.each(one), counts) for one in (self.rows, self.cover(f.name)))
            self.to.note(str(6 if width == 12 else width), np.True_, rows, places, 2, around)

    def _carry(self) -> None:
        """Let what pseudo-headers take be that of this header, where it is a network header."""
        np, role, state, visit = self.np, self.role, self.state, self.visit
        if role.carrier and role.ends is not None:
            for name, into, many in zip(role.ends, ("source", "target"), ("width", "reach"), strict=True):
                at, there, _ = visit.places.get(name, (-1, True, None))
                setattr(state, into, self.where(there, at, -1))
                setattr(state, many, self.cls.by_name[name].kind.fixed_bits // 8)
            state.carrier = self.to.carrier(self.cls)
        if self.cls in VERSIONS:
            outer = self.there & (state.depth == 0)
            self.to.note("networks", outer, self.rows, visit.begin, VERSIONS[self.cls], self.head)
        if role.carrier or is_one(self.cls, IPv4, IPv6):
            state.depth += 1
        if role.target and role.target in visit.places:
            at, there, size = visit.places[role.target]
            kind = self.cls.by_name.get(role.target)
            self._final(there, at, kind.kind.fixed_bits // 8 if size is None and kind is not None else size)
        elif is_one(self.cls, Routing) and "data" in visit.places:
            # RFC 8200 section 8.1: with segments left, checksums are of the final destination.
            at, there, size = visit.places["data"]
            first = visit.values["kind"] == 4
            self._final(
                there & (visit.values["segments_left"] > 0) & (size >= 20), np.where(first, at + 4, at + size - 16), 16
            )
        elif is_one(self.cls, SourceRoute):
            # RFC 1122 section 3.2.1.8: of a route that is not used up the last address.
            size = visit.end - visit.begin - 1
            on = (size >= 4) & (self.to.data[visit.begin] <= size)
            self._final(on, visit.begin + size // 4 * 4 - 3, 4)

    def _final(self, there: Truths | np.bool_ | bool, at: Numbers, size: Numbers | int) -> None:
        root, index = self.state.root or self.state, self.state.index
        keep = self.each(there & self.there).nonzero()[0]
        which = keep if index is None else index[keep]
        for name, value in (("target", at), ("reach", size)):
            values = self.np.array(self.np.broadcast_to(getattr(root, name), root.count))
            values[which] = of(value, keep)
            setattr(root, name, values)

    # The frame as a whole --------------------------------------------------------------------------------------------

    def _lengths(self) -> None:
        state, visit = self.state, self.visit
        for f, whole in self.role.lengths:
            if f.name in visit.places:
                at, there = self.place(f.name)
                # A packet quoted in an error keeps its length: it tells of the one that was sent; so does a fragment.
                counts = there & ~state.quoted & ~state.part
                base = visit.begin if whole else visit.inner
                self.to.note("lengths", counts, self.rows, at, base, self.cover(f.name))

    def _link(self) -> None:
        """Put down where the link header ends, and what follows it."""
        np, visit, to = self.np, self.visit, self.to
        type_of = self.role.type
        named = registry.space(ETHERTYPE).numbers.get(self.cls, -1)
        if self.state.first:
            keep = self.each(self.there)
            rows = self.rows[keep]
            link = not is_one(self.cls, IPv4, IPv6)
            to.link_end[rows] = (visit.inner if link else visit.begin)[keep]
            if type_of is not None and type_of.name in visit.values:
                kind = visit.values[type_of.name][keep]
                to.link_type[rows] = np.where(kind <= 1500, -1, kind)  # a length is no type
            elif not link:
                to.link_type[rows] = named
        elif named > 0:
            keep = self.there & (to.link_end[self.rows] == visit.begin) & (to.link_type[self.rows] < 0)
            to.link_type[self.rows[keep]] = named

    def _ends(self) -> None:
        np, role, state = self.np, self.role, self.state
        ends, visit, seen = self.to.ends, self.visit, state.ends_seen
        if role.ends is not None:
            (source, there), (target, whole) = (self.place(name) for name in role.ends)
            new = self.each(there & (seen == 0))
            rows = self.rows[new]
            ends.source[rows], ends.target[rows] = source[new], np.where(whole, target, -1)[new]
            ends.width[rows] = self.cls.by_name[role.ends[0]].kind.fixed_bits // 8
            # Ports above another header that names two are of those.
            state.ends_seen = np.where(new, 1, np.where(there, 2, seen))
            state.piece = state.piece & ~new
        elif role.ported and all(name in visit.values for name in PORTS):
            new = self.each((seen == 1) & self.there)
            for name in PORTS:
                new = new & visit.holds.get(name, True)
            rows = self.rows[new]
            ends.sport[rows], ends.dport[rows] = (visit.values[name][new] for name in PORTS)
            ends.piece[rows] = of(state.piece, new)
            ends.kind[rows] = crc32(self.cls.name.encode())
            state.ends_seen = np.where(new, 2, seen)

    def _hidden(self) -> None:
        """Count what is not read, and note for what comes whether it is a part of a packet or quoted."""
        state, visit = self.state, self.visit
        for rule, names in (("quotes", ("quoted",)), ("partial", ("part", "piece"))):
            for name in names if rule in visit.holds else ():
                setattr(state, name, getattr(state, name) | visit.holds[rule])
        if "opaque" not in visit.holds or "sums" not in self.to.wanted:
            return
        some = visit.holds["opaque"] & self.there
        f, numbers = hiding(self.cls)
        if not numbers or not some.any():
            return
        if f is not None and numbers is not True and f.name in visit.values:
            some = some & self.np.isin(visit.values[f.name], numbers)
        for one in self.np.flatnonzero(some).tolist():
            if self.to.data[int(visit.inner[one]) : int(visit.stop[one])].any():
                self.to.left[LATER] += 1

    def _unknown(self, why: str, some: Numbers) -> None:
        """Count parts that nobody can read."""
        some = some[self.each(self.there)[some]]
        name = why.partition("{")[2].partition("}")[0]
        if name:
            for number in self.np.unique(self.visit.values[name][some]).tolist():
                self.to.left[why.format(**{name: number})] += int((self.visit.values[name][some] == number).sum())
        else:
            self.to.left[why] += len(some)
