"""Checksums that no scan works out: over bits, over what is not sent, in digits, in more than 64 bits.

The packets that have them are dissected as they were and as they are now, one by one, and the header with the checksum is built again with
what its rule gives. One frame at a time is held as objects; of how it was, only the verdicts of its checksums.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from packetlab.bulk.scan_rows import number_at
from packetlab.capture.rewrite.roles import roles
from packetlab.codec.objects import restored
from packetlab.errors import BuildError
from packetlab.packet.explain import derive
from packetlab.packet.results import Verdict
from packetlab.packet.verdicts.verdict import Judged, judged

if TYPE_CHECKING:
    from packetlab.bulk.batch import ByteArray, Numbers
    from packetlab.capture.rewrite.located import Located


MOST = 50  # sums in each other in a frame; more are malice, and each takes a dissection of all of it


class _Site(NamedTuple):
    """One such checksum: its field and class, which in the frame of those with that name it is, where its header begins and the payload ends,
    and the number of the sum."""

    name: str
    place: int
    begin: int
    stop: int
    number: int


class BuiltSums:
    """Those of one batch. before: its bytes as they were. levels: of each sum, how many are around it. fix: put wrong ones right too."""

    def __init__(self, sites: Located, before: ByteArray, levels: Numbers, fix: bool) -> None:
        self.sites, self.batch, self.before, self.fix = sites, sites.batch, before, fix
        self.sizes, self.wire_sizes = self.batch.sizes, self.batch.wire_sizes  # a cut puts others in their place
        self.levels: defaultdict[int, defaultdict[int, list[_Site]]] = defaultdict(lambda: defaultdict(list))
        self.verdicts: dict[int, dict[str, list[Verdict]]] = {}  # of the frames as they were
        found: defaultdict[tuple[int, str], list[tuple[int, int, int, str]]] = defaultdict(list)
        for one in sites.built:
            field = one.name.rpartition(".")[2]
            for number, row, begin, stop in zip(*(array.tolist() for array in one[1:]), strict=True):
                found[row, field].append((begin, number, stop, one.name))
        self.depths: Counter[int] = Counter()  # of each row
        self.ports: dict[int, list[int]] | None = None  # row -> where those are that were changed
        for (row, _), some in found.items():
            for place, (begin, number, stop, name) in enumerate(sorted(some)):
                self.levels[int(levels[number])][row].append(_Site(name, place, begin, stop, number))

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
            if row not in self.verdicts:
                old = self._sums(row, was, int(self.wire_sizes[row]))
                self.verdicts[row] = {name: [one.verdict for one in sums] for name, sums in old.items()}
            bound = self._bound(row, bytearray(now), was, min(site.begin for site in some))
            new = self._sums(row, bound[: int(self.batch.sizes[row])], int(self.batch.wire_sizes[row]))
            for site in some:
                field = site.name.rpartition(".")[2]
                verdicts, sums = self.verdicts[row].get(field, []), new.get(field, [])
                if min(len(verdicts), len(sums)) <= site.place:
                    self._leave(site, "stands where its header cannot be built again")
                elif verdicts[site.place] is Verdict.GOOD or (self.fix and verdicts[site.place] is Verdict.BAD):
                    yield from self._written(site, sums[site.place])
                elif verdicts[site.place] is Verdict.UNVERIFIED and sums[site.place].scope.raw(field) is not None:
                    own = slice(site.begin - start, site.stop - start)
                    if was[own] != now[own]:
                        self._leave(site, "is over what is cut off or faulty")

    def _bound(self, row: int, now: bytearray, was: bytes, begin: int) -> bytes:
        """Return a frame in which ports up to a place are as they were: which headers follow goes by them, and no sum there goes over them."""
        if self.ports is None:
            self.ports = self._changed_ports()
        start = int(self.batch.starts[row])
        for at in self.ports.get(row, ()):
            if at < begin:
                now[at - start : at - start + 2] = was[at - start : at - start + 2]
        return bytes(now)

    def _changed_ports(self) -> dict[int, list[int]]:
        import numpy as np

        at, starts = self.sites.ports[0], self.batch.starts
        old, new = (number_at(data, at, 0, 2, False) for data in (self.before, self.sites.data))
        order, at = np.argsort(starts, kind="stable"), at[old != new]
        found: dict[int, list[int]] = {}
        for place, row in zip(at.tolist(), order[np.searchsorted(starts[order], at, "right") - 1].tolist(), strict=True):
            found.setdefault(row, []).append(place)
        return found

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
        scope, f = one.scope, one.field
        raws = [getattr(scope.header, each.slot) for each in scope.cls._fields]
        state = scope.header._state | scope.cls._declaration.captured_state
        try:
            values = raws, [derive(scope, f) if each is f else raw for each, raw in zip(scope.cls._fields, raws, strict=True)]
            known = getattr(scope.header, "__outer__", None)
            old, new = (scope.cls._encode(restored(scope.cls, state, tuple(some), known), b"", scope.layers, scope.i, None) for some in values)
        except BuildError:
            return self._leave(site, "cannot be worked out")
        head, is_after = scope.size("self"), f in scope.cls._declaration.after
        part = slice(head, None) if is_after else slice(head)
        at, was, now = site.stop if is_after else site.begin, old[part], new[part]
        here = site.begin, min(site.begin + head + scope.size("payload"), site.stop)
        there = old[:head] + (b"" if scope.is_inside else scope.bodies[scope.i])
        if len(old) != len(new) or self.sites.data[slice(*here)].tobytes() != there or self.sites.data[at : at + len(was)].tobytes() != was:
            return self._leave(site, "stands where its header cannot be built again")
        places = [place for place, (one_byte, other) in enumerate(zip(was, now, strict=True)) if one_byte != other]
        if places:
            yield at + places[0], now[places[0] : places[-1] + 1], site.number

    def _leave(self, site: _Site, why: str) -> None:
        self.sites.left[f"{site.name}, which {why}"] += 1
