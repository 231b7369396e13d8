"""Checksums that no scan works out: over bits, over what is not sent, in digits, in more than 64 bits.

The packets that have them are dissected as they were and as they are now, one by one, and the header with the checksum is built again with
what its rule gives. One frame at a time is held as objects; of how it was, only the verdicts of its checksums and what their headers recalled.

Ports and addresses say which header follows, and what was recalled under them: where headers with such a checksum are looked for, those
outside of these are as they were. Headers that take numbers from around them are then looked for in the frame as it is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from packetlab.bulk.scan_rows import bytes_at
from packetlab.capture.rewrite.roles import roles
from packetlab.codec.objects import restored
from packetlab.declare.checksums.bitwise import BitSum
from packetlab.declare.expressions import Checksum
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.remembering.recalled import NoEntry, Recalled
from packetlab.errors import BuildError
from packetlab.packet.explain import derive
from packetlab.packet.results import Verdict
from packetlab.packet.verdicts.verdict import Judged, judged

if TYPE_CHECKING:
    from packetlab.bulk.batch import ByteArray, Numbers
    from packetlab.capture.rewrite.located import Located
    from packetlab.declare.kinds import Raw


MOST = 50  # sums in each other in a frame; more are malice, and each takes a dissection of all of it


class _Site(NamedTuple):
    """One such checksum: its field and class, which in the frame of those with that name it is, where its header begins, where the payload ends (if
    it counts; else where it begins), and what stands after that; and the number of the sum."""

    name: str
    place: int
    begin: int
    stop: int
    end: int
    number: int


class _Old(NamedTuple):
    """Such a checksum as it was: its verdict, and what its header recalled."""

    verdict: Verdict
    recalled: tuple[object, ...]


Found: TypeAlias = "dict[str, list[Judged]]"


class BuiltSums:
    """Those of one batch. before: its bytes as they were. levels: of each sum, how many are around it. fix: put wrong ones right too."""

    def __init__(self, sites: Located, before: ByteArray, levels: Numbers, fix: bool) -> None:
        self.sites, self.batch, self.before, self.fix = sites, sites.batch, before, fix
        self.sizes, self.wire_sizes = self.batch.sizes, self.batch.wire_sizes  # a cut puts others in their place
        self.levels: defaultdict[int, defaultdict[int, list[_Site]]] = defaultdict(lambda: defaultdict(list))
        self.old: dict[int, dict[str, list[_Old]]] = {}  # of the frames as they were
        found: defaultdict[tuple[int, str], list[tuple[int, int, int, int, str]]] = defaultdict(list)
        for one in sites.built:
            field = one.name.rpartition(".")[2]
            for number, row, begin, stop, end in zip(*(array.tolist() for array in one[1:]), strict=True):
                found[row, field].append((begin, number, stop, end, one.name))
        self.depths: Counter[int] = Counter()  # of each row
        self.changed: dict[int, list[tuple[int, int]]] | None = None  # row -> the ports and addresses that were changed
        for (row, _), some in found.items():
            for place, (begin, number, stop, end, name) in enumerate(sorted(some)):
                self.levels[int(levels[number])][row].append(_Site(name, place, begin, stop, end, number))

    def due(self, level: int) -> Iterator[tuple[int, bytes, int]]:
        """Yield what is to be written of the sums that have so many around them: where, bytes, and the number of the sum."""
        for row, some in self.levels.pop(level, {}).items():
            start, size = int(self.batch.starts[row]), int(self.sizes[row])
            was, now = (data[start : start + size].tobytes() for data in (self.before, self.sites.data))
            if was == now and size == self.batch.sizes[row] and not self.fix:
                continue
            self.depths[row] += 1
            if self.depths[row] > MOST:
                for site in some:
                    self._leave(site, f"has {MOST} such sums inside")
                continue
            if row not in self.old:
                found = self._sums(row, was, int(self.wire_sizes[row]))
                self.old[row] = {name: [_Old(one.verdict, _recalled(one)) for one in sums] for name, sums in found.items()}
            size, wire_size = int(self.batch.sizes[row]), int(self.batch.wire_sizes[row])
            bound = self._bound(row, now, was, some)
            new = around = self._sums(row, bound[:size], wire_size)
            if bound != now and any(map(_looks_out, chain(*new.values()))):
                around = self._sums(row, now[:size], wire_size)
            known: dict[str, dict[bytes, int]] = {}
            due: list[tuple[int, bytes, int]] = []  # written when all are known: what one writes another may stand around
            for site in some:
                field = site.name.rpartition(".")[2]
                before, sums = self.old[row].get(field, []), new.get(field, [])
                place = self._place(site, sums, known)
                if min(len(before), len(sums)) <= place:
                    self._leave(site, "stands where its header cannot be built again")
                    continue
                verdict, one = before[place].verdict, sums[place]
                if verdict is Verdict.GOOD or (self.fix and verdict is Verdict.BAD):
                    there = one if not _looks_out(one) else next(iter(around.get(field, [])[place : place + 1]), None)
                    if there is None or type(there.header) is not type(one.header) or _recalled(there) != before[place].recalled:
                        self._leave(site, "goes by ports or addresses that were changed")
                    else:
                        due += self._written(site, there)
                elif verdict is Verdict.UNVERIFIED and one.scope.raw(field) is not None:
                    own = slice(site.begin - start, site.stop - start)
                    if was[own] != now[own]:
                        self._leave(site, "is over what is cut off or faulty")
            yield from due

    def _place(self, site: _Site, some: list[Judged], known: dict[str, dict[bytes, int]]) -> int:
        """Return which of a frame's checksums of one name stands at a place: headers at offsets, or after a payload, are read in another order."""
        if site.place < len(some) and self._stands_at(site, some[site.place]):
            return site.place
        if site.name not in known:
            known[site.name] = {}
            for place, one in enumerate(some):
                head = _packed(one, _raws(one)) if f"{one.scope.cls.__name__}.{one.field.name}" == site.name else None
                if head:
                    known[site.name].setdefault(head[: one.scope.size("self")], place)
        sizes = {len(head) for head in known[site.name]}
        data = self.sites.data[site.begin : site.begin + max(sizes, default=0)].tobytes()
        return next((known[site.name][data[:size]] for size in sizes if data[:size] in known[site.name]), site.place)

    def _stands_at(self, site: _Site, one: Judged) -> bool:
        head = _packed(one, _raws(one))
        size = one.scope.size("self")
        return head is not None and self.sites.data[site.begin : site.begin + size].tobytes() == head[:size]

    def _bound(self, row: int, now: bytes, was: bytes, some: list[_Site]) -> bytes:
        """Return a frame in which ports and addresses outside of the headers with some checksums are as they were."""
        if self.changed is None:
            self.changed = self._ports_and_addresses()
        start, made = int(self.batch.starts[row]), bytearray(now)
        inside = sorted((site.begin, site.end) for site in some)
        reach = 0
        for at, size in self.changed.get(row, ()):
            while inside and inside[0][0] <= at:
                reach = max(reach, inside.pop(0)[1])
            if at >= reach:
                made[at - start : at - start + size] = was[at - start : at - start + size]
        return bytes(made)

    def _ports_and_addresses(self) -> dict[int, list[tuple[int, int]]]:
        import numpy as np

        sites, starts = self.sites, self.batch.starts
        order, found = np.argsort(starts, kind="stable"), dict[int, list[tuple[int, int]]]()
        for at, size in ((sites.ports[0], 2), (sites.ips4.at, 4), (sites.ips6.at, 16), (sites.macs.at, 6)):
            old, new = (bytes_at(data, at, 0, size) for data in (self.before, sites.data))
            at = at[(old != new).any(axis=1)]
            for place, row in zip(at.tolist(), order[np.searchsorted(starts[order], at, "right") - 1].tolist(), strict=True):
                found.setdefault(row, []).append((place, size))
        return {row: sorted(some) for row, some in found.items()}

    def _sums(self, row: int, data: bytes, wire_size: int) -> dict[str, list[Judged]]:
        """Return such checksums of a frame by the names of their fields, in the order of the headers."""
        frame = self.batch.frame(row)
        frame.data, frame.wire_length = data, wire_size
        found: dict[str, list[Judged]] = {}
        for one in judged(frame.packet()):
            if one.field.name in roles(one.scope.cls._declaration).built:
                found.setdefault(one.field.name, []).append(one)
        return found

    def _written(self, site: _Site, one: Judged) -> Iterator[tuple[int, bytes, int]]:
        """Yield what is to be written of a checksum that was right, as it is in the packet now."""
        if one.verdict is not Verdict.BAD:
            return
        scope, f, raws = one.scope, one.field, _raws(one)
        try:
            raw = derive(scope, f)
        except BuildError:
            return self._leave(site, "cannot be worked out")
        old, new = _packed(one, raws), _packed(one, [raw if each is f else before for each, before in zip(scope.cls._fields, raws, strict=True)])
        if old is None or new is None:
            return self._leave(site, "cannot be worked out")
        head, is_after = scope.size("self"), f in scope.cls._declaration.after
        part = slice(head, None) if is_after else slice(head)
        at, was, now = site.stop if is_after else site.begin, old[part], new[part]
        here = site.begin, min(site.begin + head + scope.size("payload"), site.stop)
        there = (old[:head] + (b"" if scope.is_inside else scope.bodies[scope.i]))[: here[1] - here[0]]
        if len(old) != len(new) or self.sites.data[slice(*here)].tobytes() != there or self.sites.data[at : at + len(was)].tobytes() != was:
            return self._leave(site, "stands where its header cannot be built again")
        places = [place for place, (one_byte, other) in enumerate(zip(was, now, strict=True)) if one_byte != other]
        if places:
            yield at + places[0], now[places[0] : places[-1] + 1], site.number

    def _leave(self, site: _Site, why: str) -> None:
        self.sites.left[f"{site.name}, which {why}"] += 1


def _raws(one: Judged) -> list[Raw]:
    return [getattr(one.scope.header, f.slot) for f in one.scope.cls._fields]


def _packed(one: Judged, raws: list[Raw]) -> bytes | None:
    """Return the bytes of a header with other values, without its payload; None where it cannot be built."""
    scope = one.scope
    known = getattr(scope.header, "__outer__", None)
    made = restored(scope.cls, scope.header._state | scope.cls._declaration.captured_state, tuple(raws), known)
    try:
        data: bytes = scope.cls._encode(made, b"", scope.layers, scope.i, None)
    except BuildError:
        return None
    return data


def _looks_out(one: Judged) -> bool:
    """Whether a checksum goes by numbers or addresses of headers around, or of the item before."""
    rule = one.field.rule.checksum if isinstance(one.field.rule, BitSum) else one.field.rule
    pseudo = isinstance(rule, Checksum) and "pseudo" in rule.over
    return pseudo or any(not isinstance(leaf, Recalled | OwnPlace) for leaf in one.scope.cls._declaration.outer_leaves)


def _recalled(one: Judged) -> tuple[object, ...]:
    """Return what the header of a checksum recalled."""
    known = zip(one.scope.cls._declaration.outer_leaves, getattr(one.scope.header, "__outer__", None) or (), strict=False)
    return tuple(None if isinstance(value, NoEntry) else value for leaf, value in known if isinstance(leaf, Recalled))
