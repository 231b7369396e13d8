"""The fields of a header in pieces: runs that `struct` packs, fields by themselves, and stretches of bits.

A stretch goes from one byte boundary to another one, and has fields between them that begin or end at any bit. Whether
such a place is a byte boundary may depend on values: all that numbers of a few bits can say is tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import product, takewhile
from math import prod
from typing import TYPE_CHECKING, Literal, NamedTuple

from packetlab.declare.bits.kinds import BitList, SpareBits
from packetlab.declare.expressions import Const, Expr, Ref
from packetlab.declare.values.units import Run, Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packetlab.declare.fields import Field

TRIED = 1 << 14
"""Values of the fields that decide, taken together, that are tried at the most, times the fields that follow from them."""
ANY = frozenset(range(8))


class BitPart(NamedTuple):
    """A field in a stretch of bits.

    Attributes:
        sort: a number or bytes of a fixed width | a number of a width that a rule tells | values or headers side by side |
            bytes of a size that a rule tells | a number that tells its own size | bits up to the next byte.
        each: bits of one value, 0 where they differ. measure: the rule of the width, count or size. by: which of these it is,
            "" for values up to the end of what surrounds them.
    """

    field: Field
    sort: Literal["number", "bytes", "wide", "values", "items", "sized", "coded", "spare"]
    each: int = 0
    measure: Expr | None = None
    by: Literal["width", "count", "size", ""] = ""

    @property
    def counted(self) -> bool:
        return self.by == "count"

    @property
    def sized(self) -> bool:
        return self.by == "size"

    def bits(self, measure: int) -> int | None:
        """Return how many bits it takes where its rule comes to `measure`; None where that follows from what is in them."""
        if self.by == "size":
            return measure * 8
        if self.by == "count":
            return measure * self.each if self.each else None
        return measure if self.by == "width" else self.each if self.sort in ("number", "bytes") else None


@dataclass(frozen=True, eq=False)
class Loose:
    """Fields at any bit, from a byte boundary to the next one that is sure; `low`: from the lowest bit of each byte.

    `ends` has for each field where it can end, in bits after a byte boundary.
    """

    parts: list[BitPart]
    low: bool
    ends: list[frozenset[int]]

    @property
    def fields(self) -> list[Field]:
        return [part.field for part in self.parts]

    @property
    def open(self) -> list[Field]:
        """The field that goes on to the end of what surrounds it, in a list; none where there is no such."""
        return [part.field for part in self.parts if part.sort in ("values", "items") and not part.by]


def part_of(f: Field, sizes: Mapping[str, Expr], counts: Mapping[str, Expr]) -> BitPart | None:
    """Return a field as a part of a stretch of bits; None where it cannot be one."""
    kind = f.kind
    if f.computed is not None or f.heap is not None or kind.transforms or f.pad or f.align or f.tells_itself:
        return None
    if kind.wire in ("number", "bytes") and kind.bits is not None:
        return BitPart(f, "number" if kind.wire == "number" else "bytes", kind.bits)
    if kind.wide is not None:
        return BitPart(f, "wide", 0, kind.wide, "width")
    if isinstance(kind, SpareBits):
        return BitPart(f, "spare")
    if kind.wire == "coded" and kind.is_number and not (kind.loose or kind.unended or hasattr(kind, "delimiter")):
        return BitPart(f, "coded")
    if kind.wire == "open":
        return BitPart(f, "sized", 8, sizes[f.name], "size") if f.name in sizes else None
    if isinstance(kind, BitList) or (kind.wire == "items" and kind.loose and f.until is None):
        each = kind.element.fixed_bits if kind.element is not None else fixed_width(kind.item.fields)
        sort: Literal["values", "items"] = "values" if kind.element is not None else "items"
        if f.name in sizes:
            return BitPart(f, sort, each, sizes[f.name], "size")
        return BitPart(f, sort, each, counts[f.name], "count") if f.name in counts else BitPart(f, sort, each)
    return None


def fixed_width(fields: Iterable[Field]) -> int:
    """Return how many bits some fields always take, 0 where they do not always take as many."""
    widths = [f.kind.bits if f.condition is None and f.kind.wire in ("number", "bytes") else None for f in fields]
    return sum(w or 0 for w in widths) if None not in widths else 0


class _Given:
    """A scope of some numbers."""

    def __init__(self, values: dict[str, int]) -> None:
        self.values = values

    def value(self, name: str) -> int:
        return self.values[name]


def ends(parts: list[BitPart], by_name: Mapping[str, Field]) -> list[frozenset[int]]:
    """Return for each field where it can end, in bits after a byte boundary; the first one begins at one.

    What follows from the same numbers is tried together; what does not is added up.
    """
    found: list[frozenset[int]] = []
    begin = 0
    for place, part in enumerate(parts):
        # What goes on to the end has to come out even, where it is read and written.
        even = part.sort == "spare" or (_to_end(part) and (place + 1 == len(parts) or parts[place + 1].sort != "spare"))
        if even or place + 1 == len(parts):
            some = parts[begin : place + 1]
            groups = [group.ends(some) for group in _groups(some, by_name)]
            found += [reduce(_sums, (group[at] for group in groups), frozenset({0})) for at in range(len(some))]
            found[-1:] = [frozenset({0}) if even else found[-1]]
            begin = place + 1
    return found


def _sums(some: frozenset[int], others: frozenset[int]) -> frozenset[int]:
    return frozenset((one + other) % 8 for one in some for other in others)


def _to_end(part: BitPart) -> bool:
    return not part.by and part.sort in ("values", "items")


class _Group:
    """Fields whose presence and widths follow from the same numbers: `tried` are those of a few values each."""

    def __init__(self, place: int, tried: dict[str, range]) -> None:
        self.places, self.tried = [place], tried

    def join(self, other: _Group) -> None:
        self.places, self.tried = [*self.places, *other.places], {**self.tried, **other.tried}

    def ends(self, parts: list[BitPart]) -> list[frozenset[int]]:
        """Return how many bits, after whole bytes, these fields can fill up to each one of `parts`."""
        found: list[set[int]] = [set() for _ in parts]
        tries = prod(map(len, self.tried.values()))
        tried = self.tried if tries * len(self.places) <= TRIED else {}
        own = {*self.places}
        for values in product(*tried.values()):
            scope, at = _Given(dict(zip(tried, values, strict=True))), frozenset({0})
            for place, part in enumerate(parts):
                if place in own:
                    more, condition = _widths(part, scope, tried), part.field.condition
                    if condition is not None and str(condition) in tried:
                        more = more if scope.values[str(condition)] else frozenset({0})
                    elif condition is not None and not _is_known(condition, tried):
                        more = more | {0}
                    elif condition is not None and not condition.evaluate(scope):  # type: ignore[arg-type]
                        more = frozenset({0})
                    at = _sums(at, more)
                found[place] |= at
        return [frozenset(one) for one in found]


def _groups(parts: list[BitPart], by_name: Mapping[str, Field]) -> list[_Group]:
    found: list[_Group] = []
    for place, part in enumerate(parts):
        tried: dict[str, range] = {}
        for rule in (part.field.condition, part.measure):
            leaves = rule.leaves() if rule is not None else []
            fields = [by_name.get(leaf.name) for leaf in leaves if isinstance(leaf, Ref)]
            ranges = {f.name: range(min(f.kind.low, 0), f.kind.high + 1) for f in fields if f is not None and _is_small(f)}
            if rule is not None and _is_known(rule, ranges):
                tried |= ranges
            elif rule is part.field.condition and rule is not None:
                tried[str(rule)] = range(2)
        group = _Group(place, tried)
        for other in [one for one in found if one.tried.keys() & tried.keys()]:
            found.remove(other)
            group.join(other)
        found.append(group)
    return found


def _is_small(f: Field) -> bool:
    return f.kind.wire == "number" and f.kind.high - f.kind.low < TRIED


def _is_known(rule: Expr, tried: Mapping[str, object]) -> bool:
    return all(isinstance(leaf, Const) or (isinstance(leaf, Ref) and leaf.name in tried) for leaf in rule.leaves())


def _widths(part: BitPart, scope: _Given, tried: Mapping[str, object]) -> frozenset[int]:
    """Return how many bits, after whole bytes, a field can take that is there."""
    measure = None
    if part.measure is None or part.by == "size":
        measure = 0
    elif _is_known(part.measure, tried):
        measure = max(0, part.measure.evaluate(scope))  # type: ignore[arg-type]
    bits = 0 if part.sort in ("spare", "coded") else part.bits(measure) if measure is not None else None
    if bits is not None:
        return frozenset({bits % 8})
    return frozenset(some * part.each % 8 for some in ANY) if part.by != "width" and part.each else ANY


# Pieces --------------------------------------------------------------------------------------------------------


class Pieces:
    """Splits fields into runs, single fields (those that may be absent, or vary in size), and stretches of bits.

    `sizes` and `counts` are the rules of those that have one; `bits`: all of them are one stretch that ends anywhere.
    """

    def __init__(
        self, low: bool, sizes: Mapping[str, Expr], counts: Mapping[str, Expr], bits: bool, by_name: Mapping[str, Field]
    ) -> None:
        self.low, self.sizes, self.counts, self.bits, self.by_name = low, sizes, counts, bits, by_name

    def of(self, fields: list[Field]) -> list[Run | Field | Loose]:
        """Return the pieces of some fields."""
        found: list[Run | Field | Loose] = []
        units: list[Unit] = []
        sharing: list[Field] = []
        worked_out: list[Field] = []  # between bits of one byte: these are read together, and so before them
        width, place = 0, 0
        while place < len(fields):
            f = fields[place]
            if f.computed is not None and width:
                worked_out.append(f)
                place += 1
                continue
            stretch = self.stretch([*sharing, *fields[place:]], len(sharing)) if self._is_loose(f, width) else None
            if stretch is not None or f.condition is not None or f.kind.bits is None or f.computed is not None:
                found += [Run(units)] if units else []
                units = []
                found.append(f if stretch is None else stretch)
                done = 1
                while stretch is not None and fields[place + done - 1] is not stretch.parts[-1].field:
                    done += 1
                worked_out += [one for one in fields[place : place + done] if one.computed is not None and stretch is not None]
                place += done
                sharing, width = ([], 0) if stretch is not None else (sharing, width)
                if not width:
                    found, worked_out = [*found, *worked_out], []
                continue
            sharing.append(f)
            width += f.kind.bits
            if width % 8 == 0:
                units.append(Unit(sharing, self.low))
                sharing, width = [], 0
                if worked_out or (place and fields[place - 1].place is not None):  # what is at an offset may lie elsewhere
                    found, units, worked_out = [*found, Run(units), *worked_out], [], []
            place += 1
        return [*found, *([Run(units)] if units else []), *worked_out]

    def _is_loose(self, f: Field, width: int) -> bool:
        """Whether a field is none that a run, or a step of its own, can have after `width` bits."""
        if f.kind.bits is None or f.condition is not None:
            return f.kind.loose or self.bits or bool((f.kind.fixed_bits + width) % 8) or bool(width % 8)
        return self.bits or (f.kind.wire == "bytes" and bool(width % 8))

    def stretch(self, fields: list[Field], first: int) -> Loose | None:
        """Return the stretch that some fields begin with; it has the one at `first` in it. None where that cannot be."""
        wanted = (f for f in fields if f.computed is None)  # what is worked out follows after the stretch
        parts = [part for part in takewhile(bool, (part_of(f, self.sizes, self.counts) for f in wanted)) if part]
        if len(parts) <= first:
            return None
        after = ends(parts, self.by_name)
        sure = (
            len(parts) if self.bits else next((i + 1 for i in range(first, len(parts)) if after[i] == {0}), len(parts))
        )
        return Loose(parts[:sure], self.low, after[:sure])
