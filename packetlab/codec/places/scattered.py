"""Fields at offsets that lie in another order than they are declared in: an order that was read is kept when they are written.

A header with several of them in a row is read in the order of declaration as long as the offsets go up. Where they do not, and the
fields fill their places side by side or with gaps and none overlaps, they are taken as they lie: each gap is what stands before
its field.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

from packetlab.codec.around.outer import holds_contextual
from packetlab.codec.faults import Values
from packetlab.codec.places.inner import CAPTURED, GIVEN, HeldValues, following_inside, state_inside
from packetlab.codec.source import OneByOne, PackedPiece
from packetlab.declare import registry
from packetlab.declare.expressions import Checksum, Const
from packetlab.declare.fields import Filled
from packetlab.declare.kinds import Raw
from packetlab.declare.places.inner import Inner
from packetlab.declare.plan import Coded, Counted, Fixed, Listed, needs
from packetlab.errors import BuildError
from packetlab.hooks import hook

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.expressions import Expr
    from packetlab.declare.fields import Field
    from packetlab.declare.plan import Plan, Step
    from packetlab.declare.values.units import Unit


class AtOffset(NamedTuple):
    """A field at an offset, the bytes before it, and the size of the field: None where only reading it shows how many bytes it takes."""

    gap: Field
    field: Field
    size: Expr | None


_runs: dict[Declaration, dict[Field, tuple[AtOffset, ...]]] = {}
_all: dict[Declaration, list[tuple[AtOffset, ...]]] = {}
_held: dict[Declaration, list[Field]] = {}
moves: dict[Declaration, bool] = {}
"""Whether a header has fields at offsets, or fields with headers that move with it; as far as it was asked for."""
registry.caches += [_runs, _all, _held, moves]


def placing(declaration: Declaration, f: Field) -> list[Inner]:
    """Return the numbers of held headers that say where what stands after a gap lies, and follow from that."""
    leaves = f.place.leaves() if f.place is not None else ()
    return [leaf for leaf in leaves if isinstance(leaf, Inner) and leaf.inner in declaration.fills.get(leaf.name, {})]


def runs(declaration: Declaration) -> dict[Field, tuple[AtOffset, ...]]:
    """Return the fields at offsets that stand in a row, by the first gap of each row."""
    found = _runs.get(declaration)
    if found is None:
        found = _runs[declaration] = {}
        before = declaration.before
        steps = {f: step for step in declaration.plan.head for f in step.fields}
        known, row = set[str](), list[AtOffset]()
        for gap, f in zip(before, [*before[1:], None], strict=False):
            if row and gap is row[-1].field:
                continue
            size = _size(declaration, f, steps) if gap.place is not None and f is not None else None
            fits = gap.place is not None and size is not None and needs(gap.place) | needs(size[1]) <= known
            if row and not fits:
                found.update({row[0].gap: tuple(row)} if len(row) > 1 else {})
                row = []
            if not row:
                known = {g.name for g in before[: before.index(gap)]}
            if gap.place is not None and f is not None and size is not None and needs(gap.place) | needs(size[1]) <= known:
                row.append(AtOffset(gap, f, size[0]))
        found.update({row[0].gap: tuple(row)} if len(row) > 1 else {})
    return found


def _size(declaration: Declaration, f: Field, steps: Mapping[Field, Step]) -> tuple[Expr | None, Expr] | None:
    """Return the size of a field (None where reading it shows it) and what has to be known to read it; None where it cannot be in a row."""
    size, step, unknown = declaration.plan.sizes.get(f.name), steps.get(f), Const(0)
    if f.condition is not None:
        return None
    if size is not None:
        return size, size
    if isinstance(step, Fixed):
        alone = step.fields == [f] and f.kind.fixed_bits % 8 == 0 and not isinstance(f.rule, Checksum)
        return (Const(f.kind.fixed_bits // 8),) * 2 if alone else None
    if isinstance(step, Listed):
        return None if holds_contextual(f.kind.item) else (None, unknown if step.count is None else step.count)
    if isinstance(step, Counted):
        return None, step.count
    return (None, unknown) if isinstance(step, Coded) else None


def permuted(here: int, entries: Sequence[tuple[int, int, int]]) -> list[int] | None:
    """Return the order in which fields lie, of which (offset, bytes before it, size) is known; None for that of declaration."""
    placed = [k for k, (_, _, size) in enumerate(entries) if size]
    order = sorted(placed, key=lambda k: entries[k][0])
    empty = [k for k, (_, _, size) in enumerate(entries) if not size]
    if order == placed or any(entries[k][1] for k in empty):
        return None
    for k in order:
        here += entries[k][1]
        if here != entries[k][0]:
            return None
        here += entries[k][2]
    return [*order, *empty]


def lying(header: Raw, fields: Sequence[Field]) -> Sequence[Field]:
    """Return some fields of a header, given in the order of declaration, in that in which they lie."""
    if not (rows := runs(header._declaration)):
        return fields
    values, found = _values(header), [*fields]
    for first, row in rows.items():
        names = {name for pair in row for name in needs(pair.gap.place)} | {f.name for pair in row for f in (pair.gap, pair.field)}  # type: ignore[arg-type]
        if first not in found or any(values[name] is None for name in names):
            continue
        begin, order = found.index(first), permuted(*_places_in(header, row))
        if order is not None:
            found[begin : begin + 2 * len(row)] = [f for k in order for f in (row[k].gap, row[k].field)]
    return found


def _offset(pair: AtOffset, scope: Values) -> int:
    assert pair.gap.place is not None
    return pair.gap.place.evaluate(scope) - (pair.gap.origin.evaluate(scope) if pair.gap.origin is not None else 0)


def laid_out_anew(made: Raw, header: Raw, changes: Collection[str]) -> None:
    """Let the captured offsets of a copy follow again, with what stands before their fields, where `header` has these at their offsets
    and what was changed in the copy does not fit in there. An offset that is given stays: so what does not fit can be made."""
    if made._state >> len(header._fields):
        _free_what_moved(made, header, made, changes)
    moved = [_free_in_items(made, header, f) for f in _moving(header._declaration)]
    moves[header._declaration] = bool(moved or _rows(header._declaration))
    if any(moved) and made._state >> len(header._fields):
        _free_what_moved(made, header, made, changes)  # what stands after these


def _free_what_moved(made: Raw, was: Raw, now: Raw, changes: Collection[str] = (), moved: bool = False) -> None:
    """Let captured offsets of `made` follow again where they say where fields lie in `was`, and not in `now`, or it has moved in a way not known yet."""
    count, before, after = len(made._fields), None, None
    for row in _rows(made._declaration):
        places = [made._by_name[name] for pair in row for name in sorted(needs(pair.gap.place)) if name in made._by_name]  # type: ignore[arg-type]
        freed = [*(f for f in places if f.rule is not None), *(pair.gap for pair in row)]
        inside = [(made._by_name[leaf.name].slot, leaf.inner) for pair in row for leaf in placing(made._declaration, pair.gap)]
        states = {state_inside(getattr(made, slot), name) for slot, name in inside}
        kept = sum({f.bit for f in freed}) & made._state
        if not kept and CAPTURED not in states:
            continue  # all follow
        if was._is_partial or kept & ~(made._state >> count) or GIVEN in states or any(f.name in changes for f in (*places, *freed)):
            continue
        try:
            before, after = before or was._resolved_alone(), after or now._resolved_alone()
        except BuildError:
            return  # by itself it is nothing
        (here, old), (place, new) = _places_in(before, row), _places_in(after, row)
        anew = any(size and not had and gap >= pair.gap.pad for pair, (_, _, had), (_, gap, size) in zip(row, old, new, strict=True))
        anew = anew or (moved and any(pair.gap.origin is not None for pair in row))
        if _fits(here, old) and (anew or not _fits(place, new)):
            made._state &= ~(kept | kept << count)
            for f in freed:
                setattr(made, f.slot, None)
            for slot, name in inside:
                setattr(made, slot, following_inside(getattr(made, slot), name))


def free_what_moved(header: Raw, was: Raw, now: Raw, moved: bool = False) -> Raw:
    """Return a header, or a copy in which captured offsets follow again that say where fields lie in `was`, and not in `now`; `moved` as above."""
    made = header._copied(was)
    _free_what_moved(made, was, now, moved=moved)
    return header if made._state == header._state else made


def _moving(declaration: Declaration) -> list[Field]:
    """Return the fields with headers in them that have fields at offsets which count from outside of them: these move with what stands before."""
    found = _held.get(declaration)
    if found is None:
        fields = [f for f in declaration.before if f.kind.has_headers and not f.kind.transforms and f.kind.item is not None]
        found = _held[declaration] = [f for f in fields if any(pair.gap.origin is not None for row in _rows(f.kind.item) for pair in row)]
    return found


def _free_in_items(made: Raw, header: Raw, f: Field) -> bool:
    """The same in what a field of a copy holds, which may stand elsewhere in it now; return whether any is laid out anew.

    Those after one that is laid out anew stand where nobody knows before that is built: so these are, too.
    """
    raw = getattr(made, f.slot)
    try:
        items = () if raw is None else raw if isinstance(raw, tuple) else header._items_of(f)
        before = [item if isinstance(item, bytes) else item._copied(item) for item in items]  # they know where they stood
        placed = made._resolved_alone()._items_of(f) if items else ()
    except BuildError:
        return False
    found, moved = [*items], False
    for k, (item, was, now) in enumerate(zip(items, before, placed, strict=False)):
        if not isinstance(item, bytes) and not isinstance(now, bytes) and item._state >> len(item._fields):
            found[k] = free_what_moved(item, was, now, moved)
            moved = moved or found[k] is not item
    if moved:
        setattr(made, f.slot, Filled.of(found, raw.fill) if type(raw) is Filled else tuple(found))
    return moved


def _rows(declaration: Declaration) -> list[tuple[AtOffset, ...]]:
    """Return all fields at offsets of a header, those that may lie in another order together."""
    found = _all.get(declaration)
    if found is None:
        rows, before = runs(declaration), declaration.before
        among = {pair.gap for row in rows.values() for pair in row}
        alone = [AtOffset(gap, f, None) for gap, f in pairwise(before) if gap.place is not None and gap not in among]
        found = _all[declaration] = [*rows.values(), *((one,) for one in alone)]
    return found


def _places_in(header: Raw, row: tuple[AtOffset, ...]) -> tuple[int, list[tuple[int, int, int]]]:
    """Return where a row of fields begins in a header with all values filled in, and (offset, bytes before it, size) of each."""
    measured, scope = hook("measured"), HeldValues(_values(header), b"", 0)
    here = measured(header, header._declaration.before[: header._declaration.before.index(row[0].gap)])
    return here, [(_offset(pair, scope), measured(header, [pair.gap]), measured(header, [pair.field])) for pair in row]


def _values(header: Raw) -> dict[str, Raw]:
    """Return the raw values of a header by name, with those from elsewhere that it knows."""
    leaves = zip(map(str, header._declaration.outer_leaves), getattr(header, "__outer__", None) or (), strict=False)
    return {f.name: getattr(header, f.slot) for f in header._fields} | dict(leaves)


def _fits(here: int, entries: Sequence[tuple[int, int, int]]) -> bool:
    """Whether fields lie where their offsets say, in whatever order; one of no bytes lies nowhere."""
    if permuted(here, entries) is not None:
        return True
    ends = [*accumulate((gap + size for _, gap, size in entries), initial=here)]
    return all(at == end + gap if size else not gap for (at, gap, size), end in zip(entries, ends, strict=False))


# Reading -------------------------------------------------------------------------------------------------------


class ScatteredWalking:
    """The part of the careful reader that is about fields which lie in another order than that of declaration."""

    cls: Declaration
    plan: Plan
    scope: Values
    values: dict[str, Raw]
    data: bytes
    start: int
    bit: int
    taken: frozenset[Field] = frozenset()

    def limit(self) -> int:
        raise NotImplementedError

    def varying(self, step: Raw) -> object:
        raise NotImplementedError

    def fixed(self, f: Field) -> object:
        raise NotImplementedError

    def size_of_items(self, f: Field, at: int, count: int | None) -> int | None:
        raise NotImplementedError

    def noted(self, f: Field, at: int, faults: int) -> None:
        raise NotImplementedError

    def scattered(self, step: Step) -> None:
        """Read a row of fields that begins with `step` as they lie, where that is in another order; else leave it."""
        row = runs(self.cls).get(step.fields[0], ())
        here = self.bit // 8
        entries: list[tuple[int, int, int]] = []
        steps = {one.fields[0]: one for one in self.plan.head if one.fields}
        for pair in row:
            at = self.start + _offset(pair, self.scope)
            size = self._size_at(pair, steps[pair.field], at)
            if size is None or size < 0:
                return
            entries.append((at, 0, size))
        order = sorted((k for k, one in enumerate(entries) if one[2]), key=lambda k: entries[k][0])
        pos = here
        for k in order:
            at, _, size = entries[k]
            if at < pos:
                return
            entries[k] = at, at - pos, size
            pos = at + size
        if pos > self.limit() or permuted(here, entries) is None:
            return
        for k in [*order, *(k for k, one in enumerate(entries) if not one[2])]:
            at, gap, size = entries[k] if entries[k][2] else (pos, 0, 0)
            self.values[row[k].gap.name] = self.data[at - gap : at]
            self.noted(row[k].gap, at - gap, 0)
            self.bit = at * 8
            step = steps[row[k].field]
            self.values[row[k].field.name] = self.fixed(row[k].field) if isinstance(step, Fixed) else self.varying(step)
            self.noted(row[k].field, at, 0)
        self.bit = pos * 8
        self.taken |= {f for pair in row for f in (pair.gap, pair.field)}

    def _size_at(self, pair: AtOffset, step: Step, at: int) -> int | None:
        """Return how many bytes a field takes there; None where it cannot be read there, so that reading ends."""
        f, size = pair.field, None if pair.size is None else pair.size.evaluate(self.scope)
        if size is not None and f.kind.wire != "coded":
            return size
        if isinstance(step, Listed | Counted) and step.count is not None and not step.count.evaluate(self.scope):
            return 0  # nowhere, whatever the offset
        if not self.start <= at <= self.limit():
            return None
        if isinstance(step, Counted):
            end = f.kind.end(self.data, at, self.limit(), step.count.evaluate(self.scope))
            return None if end is None else end - at
        if isinstance(step, Listed):
            count = None if step.count is None else step.count.evaluate(self.scope)
            return self.size_of_items(f, at, count)
        found = f.kind.read(self.data, at, self.limit() if size is None else at + size)
        return None if found is None or size not in (None, found[1] - at) else found[1] - at


# Writing -------------------------------------------------------------------------------------------------------


def laid(here: int, entries: tuple[tuple[int, bytes, bytes], ...]) -> bytes:
    """Return fields as bytes, of which (offset, bytes before it, its bytes) is known, in the order in which they lie."""
    offsets = [at for at, _, data in entries if data]
    if offsets == sorted(offsets):
        return b"".join([gap + data for _, gap, data in entries])
    order = permuted(here, [(at, len(gap), len(data)) for at, gap, data in entries]) or range(len(entries))
    return b"".join([entries[k][1] + entries[k][2] for k in order])


def gap_to(place: int, size: int, before: int, here: int, others: tuple[tuple[int, int, int, bool], ...]) -> int:
    """Return how many bytes go before a field of `size` bytes at an offset: up to it from the one that lies before it.

    `before` is where the field before it ends, `here` where all in its row begin. Of the others in the row (offset, size, whether
    it is known, whether it is declared before) is given.
    """
    some = [(at, at + size, ahead) for at, size, known, ahead in others if size and known]
    ends = sorted([(here, here), (place, place + size), *((at, end) for at, end, _ in some)])
    overlap = ends[0][0] < here or any(at < end for (_, end), (at, _) in pairwise(ends))
    if overlap or all((at < place) is ahead for at, _, ahead in some):
        return place - before
    return place - max([here, *(end for at, end in ends if at < place)])


def gap_kept(own: bytes, follows: bytes, here: int, entries: tuple[tuple[int, int, int], ...], fill: bytes) -> bytes | None:
    """Return what has to stand in a gap so that it follows anew: what fills up in a row in another order, nothing where this makes no sense."""
    places = [at for at, _, size in entries if size]
    if permuted(here, entries) is not None:
        return fill * len(own)
    return follows if places == sorted(places) else None


class Scattering(OneByOne):
    """The part of `derive.Deriving` that is about such fields."""

    before: list[Field]
    given: dict[str, str]

    def sizes(self, fields: list[Field]) -> str:
        raise NotImplementedError

    def bytes_source(self, f: Field) -> str:
        raise NotImplementedError

    def unit(self, unit: Unit) -> str:
        raise NotImplementedError

    def joined(self, pieces: tuple[PackedPiece, ...]) -> str:
        raise NotImplementedError

    def own(self, f: Field) -> str:
        raise NotImplementedError

    def is_left_out(self, f: Field) -> bool:
        raise NotImplementedError

    def in_row(self, steps: Sequence[Step], pieces: list[PackedPiece]) -> Iterator[Step]:
        """Give steps one by one but those of rows, which are added to `pieces` in place."""
        rows, over = runs(self.cls), set[object]()
        written = {f: step for step in steps for f in step.fields}
        for step in steps:
            f = step.fields[0] if step.fields else None
            row = rows.get(f, ()) if f is not None else ()
            if row:
                self.names["laid"] = laid
                entries = [f"({self.offset(pair)}, {self.bytes_source(pair.gap)}, {self.alone(pair.field, written)}), " for pair in row]
                here = self.sizes(self.before[: self.before.index(row[0].gap)])
                pieces.append(PackedPiece((f"laid({here}, ({''.join(entries)}))",), self.sizes([f for pair in row for f in (pair.gap, pair.field)])))
                over |= {f for pair in row for f in (pair.gap, pair.field)}
            elif f not in over:
                yield step

    def alone(self, f: Field, steps: Mapping[Field, Step]) -> str:
        """Source for the bytes of a field by itself."""
        step = steps.get(f)
        if not isinstance(step, Fixed):
            return self.bytes_source(f)
        return self.joined((PackedPiece(tuple(map(self.unit, step.run.units)), step.run.size, step.run),))

    def offset(self, pair: AtOffset) -> str:
        """Source for where a field lies, from its header's start."""
        assert pair.gap.place is not None
        code = pair.gap.place.code(self)  # type: ignore[arg-type]
        return code if pair.gap.origin is None else f"{code} - {pair.gap.origin.code(self)}"  # type: ignore[arg-type]

    def gap_again(self, f: Field, follows: str) -> str:
        """Source for what a gap has to be so that it follows anew; `follows` is what does where all lie as declared."""
        row = next((row for row in runs(self.cls).values() if any(pair.gap is f for pair in row)), ())
        if not row:
            return follows
        self.names["gap_kept"] = gap_kept
        return f"gap_kept({self.own(f)}, {follows}, {self.entries(row)}, {f.fill!r})"

    def as_declared(self, f: Field) -> str:
        """Source for one more condition: that an offset is of no row in another order, which is kept by all offsets together."""
        rows = [row for row in runs(self.cls).values() if any(f.name in needs(one.gap.place) for one in row)]  # type: ignore[arg-type]
        self.names["permuted"] = permuted
        return "".join(f" and permuted({self.entries(row)}) is None" for row in rows)

    def entries(self, row: tuple[AtOffset, ...]) -> str:
        """Source for where a row begins, and for (offset, bytes before it, size) of each field."""
        entries = [f"({self.offset(one)}, {self.sizes([one.gap])}, {self.sizes([one.field])}), " for one in row]
        return f"{self.sizes(self.before[: self.before.index(row[0].gap)])}, ({''.join(entries)})"

    def placed(self, gap: Field) -> list[str]:
        raise NotImplementedError

    def gap_size(self, f: Field, place: str, before: str) -> str:
        """Source for how many bytes go before a field at an offset, `before` being where the field before it ends."""
        row = next((row for row in runs(self.cls).values() if any(pair.gap is f for pair in row)), ())
        if not row:
            return f"{place} - ({before})"
        k = next(k for k, pair in enumerate(row) if pair.gap is f)
        entries = [f"({self.offset(pair)}, {self.sizes([pair.field])}, True, True), " for pair in row[:k]]
        for pair in row[k + 1 :]:
            fields = [self.cls.by_name[name] for name in sorted(needs(pair.gap.place))]  # type: ignore[arg-type]
            held, self.given = self.given, {**self.given, **{g.name: f"({self.own(g)} or 0)" for g in fields}}
            entries.append(f"({self.offset(pair)}, {self.sizes([pair.field])}, {' and '.join(self.placed(pair.gap)) or 'True'}, False), ")
            self.given = held
        self.names["gap_to"] = gap_to
        here = self.sizes(self.before[: self.before.index(row[0].gap)])
        origin = "" if f.origin is None else f" + {f.origin.code(self)}"  # type: ignore[arg-type]
        return f"gap_to({place}{origin.replace('+', '-')}, {self.sizes([row[k].field])}, {before.removesuffix(origin)}, {here}, ({''.join(entries)}))"
