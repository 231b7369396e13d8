"""Located: where in a batch of frames the addresses, ports, checksums and lengths lie that rewriting touches.

The scan (`bulk.scan_places`) goes over all frames of the batch at once by their declarations; frames that do not fit them are
read as objects (`careful`), and plain ones by a compiled loop where there is one (`loop`). The first two give visits of headers, and here is put down what the fields of each are (`roles`), which
checksum covers which, and who speaks to whom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from zlib import crc32

from packetlab.bulk.scan_places import PlacesScan, Visit
from packetlab.capture.rewrite.found import Addresses, Ends, Lengths, Networks, Rule, State, Sums
from packetlab.capture.rewrite.inside import Route, Sender
from packetlab.capture.rewrite.loop import VERSIONS, Loops
from packetlab.capture.rewrite.roles import PORTS, Roles, concerned, hiding, is_plain, known, roles, wants
from packetlab.codec.pseudo import protocol
from packetlab.declare import registry
from packetlab.declare.declaration import AnyHeader
from packetlab.declare.expressions import Checksum
from packetlab.declare.fields import Field
from packetlab.protocols.ip import IPv4, IPv6, Routing
from packetlab.protocols.link import ETHERTYPE, Ether
from packetlab.protocols.linktypes import first_header

if TYPE_CHECKING:
    from packetlab.capture.batch import FrameBatch

LATER = "a later fragment, which may hold addresses"


class Located:
    """Everything found in one batch: what is `wanted` of "sums" (checksums, ports), "lengths", "link" and "ends".

    Attributes:
        macs, ips4, ips6: addresses, unless "ends" is all that is wanted. networks: the outermost IP headers. sums: checksums. ports: (place, sum around it).
        lengths: fields that say how long a packet is. link_end, link_type: for each row where its network header (or what
        stands in its place) begins, its ether type (-1: not known). rules: number of a sum -> how it comes about, of those
        that are no plain Internet ones. ends: who speaks to whom. left: what could not be found -> number of frames.
    """

    def __init__(self, batch: FrameBatch, ends: Any, wanted: Collection[str], loops: Loops | None = None) -> None:
        import numpy as np

        self.np, self.batch, self.data, self.wanted = np, batch, batch.data, wanted
        self.rules: dict[int, Rule] = {}
        self.left: Counter[str] = Counter()
        self.ends = Ends(len(batch))
        self.link_end, self.link_type = batch.starts.copy(), np.full(len(batch), -1, np.int64)
        self._count = 0
        self._notes: dict[str, list[Any]] = {}
        self._carriers: list[type[AnyHeader]] = []
        missing = batch.wire_sizes > batch.sizes
        self._scan = PlacesScan(batch.data, ends, missing, wants, concerned(), known())
        walks = []
        for place, interface in enumerate(batch.interfaces):
            rows = np.flatnonzero(batch.which == place)
            first = first_header(interface.linktype)
            if first is None or not len(batch.data):
                continue
            if loops is not None and set(wanted) == {"sums"} and len(rows):
                notes, rows = loops.locate(batch, first, rows, ends, missing, self._count)
                for name, arrays in notes.items():
                    self.note(name, None, *arrays)
                self._count += len(notes["sums"][0]) if "sums" in notes else 0
            if len(rows):
                walks.append((self._scan.walk(first, rows, batch.starts[rows], ends[rows]), State.new(len(rows))))
        self.unfit = self._scan.unfit
        for visits, state in walks:
            self._follow(visits, state, bool(self.unfit.any()))
        if self.unfit.any():
            from packetlab.capture.rewrite.careful import read

            rows = np.flatnonzero(self.unfit)
            self._follow(read(batch, rows, self.left), State.new(len(rows)), False)
        self._join()

    def _join(self) -> None:
        np = self.np

        def joined(name: str, width: int) -> list[Any]:
            notes = self._notes.get(name, [])
            if len(notes) == 1:
                return list(notes[0])
            return [np.concatenate(one) for one in zip(*notes, strict=True)] or [np.zeros(0, np.int64)] * width

        self.macs, self.ips4, self.ips6 = (Addresses(*joined(size, 4)) for size in ("6", "4", "16"))
        self.networks, self.sums = Networks(*joined("networks", 4)), Sums(*joined("sums", 11))
        self.ports, self.lengths = joined("ports", 2), Lengths(*joined("lengths", 4))

    # Going along -----------------------------------------------------------------------------------------------------

    def _follow(self, visits: list[Visit], state: State, check: bool) -> None:
        for visit in visits:
            _Header(self, visit, state, ~self.unfit[visit.rows] if check else None).note()

    def note(self, name: str, keep: Any, *arrays: Any) -> None:
        """Put down what is found, where `keep` (None: everywhere)."""
        if keep is None or keep.all():
            self._notes.setdefault(name, []).append(arrays)
        elif keep.any():
            self._notes.setdefault(name, []).append([one[keep] for one in arrays])

    def sum(self, keep: Any, *arrays: Any) -> Any:
        """Put down checksums, see `Sums`; return their numbers, -1 for those that are not kept."""
        numbers = self.np.where(keep, self.np.cumsum(keep) - 1 + self._count, -1)
        self._count += int(self.np.count_nonzero(keep))
        self.note("sums", keep, *arrays)
        return numbers

    def carrier(self, cls: type[AnyHeader]) -> int:
        """Return a number for a class that pseudo-headers are of."""
        if cls not in self._carriers:
            self._carriers.append(cls)
        return self._carriers.index(cls)

    def protocols(self, numbers: Any, cls: type[AnyHeader]) -> Any:
        """Return what stands for a class in the pseudo-headers of carriers."""
        known = [protocol(one, cls) for one in self._carriers] or [0]
        return self.np.array(known, self.np.int64)[self.np.maximum(numbers, 0)]


class _Header:
    """Headers of one visit."""

    def __init__(self, to: Located, visit: Visit, state: State, there: Any) -> None:
        self.np, self.to, self.visit, self.state = to.np, to, visit, state
        self.cls: type[AnyHeader] = visit.cls
        self.role: Roles = roles(visit.cls)
        self.there = there  # which count; None for all
        self.ids, self.rows = visit.ids, visit.rows
        self.around = state.around[self.ids]
        self.head = self.payload = self.around  # the sums that cover this header, and its payload
        self.single: dict[str, Any] = {}  # and single fields

    def full(self, value: Any) -> Any:
        return self.np.full(len(self.rows), value, self.np.int64)

    def kept(self, there: Any) -> Any:
        """Return where something counts that is `there`; None for everywhere."""
        if there is True:
            return self.there
        return there if self.there is None else there & self.there

    def keep(self, there: Any = True) -> Any:
        """Return the same as an array."""
        keep = self.kept(there)
        return self.np.ones(len(self.rows), bool) if keep is None else keep

    def place(self, name: str) -> tuple[Any, Any]:
        """Return where a field stands, and where it is there, arrays."""
        if name not in self.visit.places:
            return self.full(-1), self.np.zeros(len(self.rows), bool)
        at, there, _ = self.visit.places[name]
        return at, self.keep(there)

    def cover(self, name: str) -> Any:
        return self.single.get(name, self.around if name in self.after else self.head)

    def note(self) -> None:
        """Put down what the fields are, and go on with what is inside."""
        self.after = {f.name for f in self.cls._declaration.after}
        wanted = self.to.wanted
        if "sums" in wanted:
            if self.role.sums:
                self._sums()
            for f, why in self.role.wrong:
                self.to.left[f"{self.cls.__name__}.{f.name}, {why}"] += int(self.place(f.name)[1].sum())
            for f in self.role.ports:
                if f.name in self.visit.places:
                    at, there, _ = self.visit.places[f.name]
                    self.to.note("ports", self.kept(there), at, self.cover(f.name))
        if wanted != {"ends"}:
            self._addresses()
            self._carry()
        if "lengths" in wanted:
            self._lengths()
        if "link" in wanted:
            self._link()
        self.state.first[self.ids] = False
        if "ends" in wanted:
            self._ends()
        self._hidden()
        self.state.around[self.ids] = self.payload
        for part, visits, some in self.visit.children:
            if part.header is None:
                self._unknown(part.why, some)
                continue
            around = (
                self.payload
                if part.name == "payload"
                else self.around
                if part.name == "rest"
                else self.cover(part.name)
            )
            inside = self.state.taken(self.ids[some], around[some], part.name != "payload")
            self.to._follow(visits, inside, self.there is not None)

    # Checksums -------------------------------------------------------------------------------------------------------

    def _sums(self) -> None:
        np, visit, state = self.np, self.visit, self.state
        parent = self.around
        for f in self.role.sums:
            rule = f.rule
            assert isinstance(rule, Checksum)
            if f.name not in visit.places:
                continue
            at, there, _ = visit.places[f.name]
            keep = self.keep(there)
            whole = visit.wholes.get(f.name)
            if whole is None:
                whole = visit.short == 0 if "payload" in rule.over else np.ones(len(self.rows), bool)
            number, pseudo = self.full(0), "pseudo" in rule.over
            carrier = state.carrier[self.ids]
            if pseudo:
                keep = keep & (carrier >= 0)
                number = self.to.protocols(carrier, self.cls)
            over = tuple(part for part in rule.over if part != "pseudo")
            width, reach = state.width[self.ids], state.reach[self.ids]
            plain = keep & ((at - visit.begin) % 2 == 0) & is_plain(self.cls, f)
            end = visit.stop if "payload" in over else visit.inner
            source, target = (getattr(state, name)[self.ids] for name in ("source", "target"))
            if pseudo:
                plain &= (width == reach) & ((width == 4) | (width == 16)) & (source >= 0) & (target >= 0)
            numbers = self.to.sum(
                plain, self.rows, at, visit.begin, end, source, target, width if pseudo else width * 0, number,
                self.full(rule.none is not None), whole * 1, parent,
            )  # fmt: skip
            rest = keep & ~plain
            if rest.any():
                numbers = np.where(rest, self._ruled(f, rule, over, rest, at, whole, number, pseudo, parent), numbers)
            parent = np.where(numbers >= 0, numbers, parent)
            if "self" in over:
                self.head = np.where(numbers >= 0, numbers, self.head)
            if "payload" in over:
                self.payload = np.where(numbers >= 0, numbers, self.payload)
            for name in over:
                if name in self.cls._by_name:
                    self.single[name] = np.where(numbers >= 0, numbers, self.cover(name))

    def _ruled(
        self,
        f: Field,
        rule: Checksum,
        over: tuple[str, ...],
        rest: Any,
        at: Any,
        whole: Any,
        number: Any,
        pseudo: bool,
        parent: Any,
    ) -> Any:
        """Put down checksums that are worked out one by one."""
        zero = self.full(0)
        numbers = self.to.sum(rest, self.rows, zero, zero, zero, zero, zero, zero, zero, zero, zero + 1, parent)
        regions = []
        for part in over:
            begin, end, there = self.visit.region(part)
            regions.append((self.np.where(there, begin, end), end))
        state, size = self.state, f.kind.fixed_bits // 8
        for one in self.np.flatnonzero(rest).tolist():
            covered = tuple((int(begin[one]), int(end[one])) for begin, end in regions if begin[one] < end[one])
            added, more = [], 0
            if pseudo:
                which = self.ids[one]
                pairs = (state.source[which], state.width[which]), (state.target[which], state.reach[which])
                added = [(int(place), int(many)) for place, many in pairs if place >= 0]
                more = int(number[one]) + sum(end - begin for begin, end in covered)
            self.to.rules[int(numbers[one])] = Rule(
                int(at[one]), size, f.kind.little, rule.algorithm, covered, tuple(added), more,
                rule.none, rule.instead, bool(whole[one]), int(parent[one]),
            )  # fmt: skip
        return numbers

    # Addresses -------------------------------------------------------------------------------------------------------

    def _addresses(self) -> None:
        role, state = self.role, self.state
        pseudo = (role.ends or ()) if role.carrier else ()
        own = None
        if role.macs:
            own = ~state.framed[self.ids] & (state.depth[self.ids] == 0)
            if not issubclass(self.cls, (Ether, Sender)):
                own &= state.first[self.ids]
            state.framed[self.ids] |= own
        for f in role.addresses:
            if f.name not in self.visit.places:
                continue
            at, there, _ = self.visit.places[f.name]
            size = f.kind.fixed_bits // 8
            at, size = (at + 4, 6) if size == 12 else (at, size)  # the host of an XNS address is a MAC address
            what = self.full(pseudo.index(f.name) if f.name in pseudo else 2)
            if f.kind.bits == 48 and own is not None and f.name in ("src", "dst"):
                what = self.np.where(own, ("src", "dst").index(f.name), 2)
            if size in (4, 6, 16):
                self.to.note(str(size), self.kept(there), self.rows, at, what, self.cover(f.name))

    def _carry(self) -> None:
        """Let what pseudo-headers take be that of this header, where it is a network header."""
        np, role, state, visit = self.np, self.role, self.state, self.visit
        ids = self.ids
        if role.carrier and role.ends is not None:
            for name, into, many in zip(role.ends, ("source", "target"), ("width", "reach"), strict=True):
                at, there, _ = visit.places.get(name, (self.full(-1), True, None))
                getattr(state, into)[ids] = np.where(there, at, -1)
                getattr(state, many)[ids] = self.cls._by_name[name].kind.fixed_bits // 8
            state.carrier[ids] = self.to.carrier(self.cls)
        if self.cls in VERSIONS:
            outer = self.kept(state.depth[ids] == 0)
            self.to.note("networks", outer, self.rows, visit.begin, self.full(VERSIONS[self.cls]), self.head)
        if role.carrier or issubclass(self.cls, (IPv4, IPv6)):
            state.depth[ids] += 1
        if role.target and role.target in visit.places:
            at, there, size = visit.places[role.target]
            kind = self.cls._by_name.get(role.target)
            self._final(there, at, kind.kind.fixed_bits // 8 if size is None and kind is not None else size)
        elif issubclass(self.cls, Routing) and "data" in visit.places:
            # RFC 8200 section 8.1: with segments left, checksums are of the final destination.
            at, there, size = visit.places["data"]
            first = visit.values["kind"] == 4
            self._final(
                there & (visit.values["segments_left"] > 0) & (size >= 20), np.where(first, at + 4, at + size - 16), 16
            )
        elif issubclass(self.cls, Route):
            # RFC 1122 section 3.2.1.8: of a route that is not used up the last address.
            size = visit.end - visit.begin - 1
            on = (size >= 4) & (self.to.data[visit.begin] <= size)
            self._final(on, visit.begin + size // 4 * 4 - 3, 4)

    def _final(self, there: Any, at: Any, size: Any) -> None:
        root, ids = self.state.root or self.state, self.ids if self.state.index is None else self.state.index[self.ids]
        keep = self.keep(there)
        root.target[ids[keep]] = (at + self.full(0))[keep]
        root.reach[ids[keep]] = size[keep] if hasattr(size, "shape") else size

    # The frame as a whole --------------------------------------------------------------------------------------------

    def _lengths(self) -> None:
        state, visit = self.state, self.visit
        for f, whole in self.role.lengths:
            if f.name in visit.places:
                at, there, _ = visit.places[f.name]
                # A packet quoted in an error keeps its length: it tells of the one that was sent; so does a fragment.
                counts = ~state.quoted[self.ids] & ~state.part[self.ids]
                self.to.note(
                    "lengths",
                    self.keep(there) & counts,
                    self.rows,
                    at,
                    visit.begin if whole else visit.inner,
                    self.cover(f.name),
                )

    def _link(self) -> None:
        """Put down where the link header ends, and what follows it."""
        np, state, visit = self.np, self.state, self.visit
        first = state.first[self.ids]
        type_of = self.role.type
        named = registry.space(ETHERTYPE).numbers.get(self.cls, -1)
        if first.any():
            keep = self.keep(first)
            rows = self.rows[keep]
            link = not issubclass(self.cls, (IPv4, IPv6))
            self.to.link_end[rows] = (visit.inner if link else visit.begin)[keep]
            if type_of is not None and type_of.name in visit.values:
                kind = visit.values[type_of.name][keep]
                self.to.link_type[rows] = np.where(kind <= 1500, -1, kind)  # a length is no type
            elif not link:
                self.to.link_type[rows] = named
        elif named > 0:
            keep = self.keep() & (self.to.link_end[self.rows] == visit.begin) & (self.to.link_type[self.rows] < 0)
            self.to.link_type[self.rows[keep]] = named

    def _ends(self) -> None:
        np, role, state, ids = self.np, self.role, self.state, self.ids
        ends, visit = self.to.ends, self.visit
        if role.ends is not None:
            (source, there), (target, whole) = (self.place(name) for name in role.ends)
            new = there & (state.ends_seen[ids] == 0)
            rows = self.rows[new]
            ends.source[rows], ends.target[rows] = source[new], np.where(whole, target, -1)[new]
            ends.width[rows] = self.cls._by_name[role.ends[0]].kind.fixed_bits // 8
            # Ports above another header that names two are of those.
            state.ends_seen[ids] = np.where(new, 1, np.where(there, 2, state.ends_seen[ids]))
            state.piece[ids] &= ~new
        elif role.ported and all(name in visit.values for name in PORTS):
            new = (state.ends_seen[ids] == 1) & self.keep()
            for name in PORTS:
                new &= visit.holds.get(name, True)
            rows = self.rows[new]
            ends.sport[rows], ends.dport[rows] = (visit.values[name][new] for name in PORTS)
            ends.piece[rows] = state.piece[ids][new]
            ends.kind[rows] = crc32(self.cls.__name__.encode())
            state.ends_seen[ids] = np.where(new, 2, state.ends_seen[ids])

    def _hidden(self) -> None:
        """Count what is not read, and note for what comes whether it is a part of a packet or quoted."""
        state, visit = self.state, self.visit
        for name, kept in (("quotes", state.quoted), ("partial", state.part), ("partial", state.piece)):
            if name in visit.holds:
                kept[self.ids] |= visit.holds[name]
        if "opaque" not in visit.holds or "sums" not in self.to.wanted:
            return
        f, numbers = hiding(self.cls)
        some = self.keep(visit.holds["opaque"])
        if f is not None and numbers is not True and f.name in visit.values:
            some = some & self.np.isin(visit.values[f.name], numbers)
        elif not numbers:
            return
        for one in self.np.flatnonzero(some).tolist():
            if self.to.data[int(visit.inner[one]) : int(visit.stop[one])].any():
                self.to.left[LATER] += 1

    def _unknown(self, why: str, some: Any) -> None:
        """Count parts that nobody can read."""
        if self.there is not None:
            some = some[self.there[some]]
        name = why.partition("{")[2].partition("}")[0]
        if name:
            for number in self.np.unique(self.visit.values[name][some]).tolist():
                self.to.left[why.format(**{name: number})] += int((self.visit.values[name][some] == number).sum())
        else:
            self.to.left[why] += len(some)
