"""The fields of a header in pieces: runs that `struct` packs, fields by themselves, and stretches of bits.

A stretch goes from one byte boundary to another one, and has fields between them that begin or end at any bit. Whether
such a place is a byte boundary may depend on values: all that numbers of a few bits can say is tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product, takewhile
from typing import TYPE_CHECKING, Literal, NamedTuple

from packetlab.declare.bits.kinds import BitList, SpareBits
from packetlab.declare.expressions import Const, Expr, Ref
from packetlab.declare.values.units import Run, Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packetlab.declare.fields import Field

TRIED = 1024
"""Values of the fields that decide, taken together, that are tried at the most."""
ANY = frozenset(range(8))


class BitPart(NamedTuple):
    """A field in a stretch of bits.

    Attributes:
        sort: a number or bytes of a fixed width | a number of a width that a rule tells | values or headers side by side |
            bytes of a size that a rule tells | bits up to the next byte.
        each: bits of one value, 0 where they differ. measure: the rule of the width, count or size. by: which of these it is,
            "" for values up to the end of what surrounds them.
    """

    field: Field
    sort: Literal["number", "bytes", "wide", "values", "items", "sized", "spare"]
    each: int = 0
    measure: Expr | None = None
    by: Literal["width", "count", "size", ""] = ""

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
    if f.computed is not None or kind.transforms or f.pad or f.align or f.none is not None:
        return None
    if kind.wire in ("number", "bytes") and kind.bits is not None:
        return BitPart(f, "number" if kind.wire == "number" else "bytes", kind.bits)
    if kind.wide is not None:
        return BitPart(f, "wide", 0, kind.wide, "width")
    if isinstance(kind, SpareBits):
        return BitPart(f, "spare")
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
    """Return for each field where it can end, in bits after a byte boundary; the first one begins at one."""
    rules = [rule for part in parts for rule in (part.field.condition, part.measure) if rule is not None]
    tried: dict[str, range] = {}
    left = TRIED
    for leaf in (leaf for rule in rules for leaf in rule.leaves()):
        f = by_name.get(leaf.name) if isinstance(leaf, Ref) else None
        if f is not None and f.name not in tried and f.kind.wire == "number" and f.kind.high - f.kind.low < left:
            tried[f.name] = range(min(f.kind.low, 0), f.kind.high + 1)
            left //= len(tried[f.name])
    unsure: dict[str, tuple[bool, bool]] = {}
    for part in parts:
        rule = part.field.condition
        if rule is not None and not _told(rule, tried) and str(rule) not in unsure and left > 1:
            unsure[str(rule)] = False, True
            left //= 2
    found: list[set[int]] = [set() for _ in parts]
    for values in product(*tried.values()):
        scope = _Given(dict(zip(tried, values, strict=True)))
        for holds in product(*unsure.values()):
            there, at = dict(zip(unsure, holds, strict=True)), {0}
            for place, part in enumerate(parts):
                after = part.sort == "spare" or place + 1 == len(parts) or parts[place + 1].sort != "spare"
                condition = part.field.condition
                if condition is None:
                    at = _after(part, at, scope, tried, after)
                elif _told(condition, tried):
                    at = _after(part, at, scope, tried, after) if condition.evaluate(scope) else at  # type: ignore[arg-type]
                elif str(condition) in there:
                    at = _after(part, at, scope, tried, after) if there[str(condition)] else at
                else:
                    at = at | _after(part, at, scope, tried, after)
                found[place] |= at
    return [frozenset(one) for one in found]


def _told(rule: Expr, tried: Mapping[str, object]) -> bool:
    return all(isinstance(leaf, Const) or (isinstance(leaf, Ref) and leaf.name in tried) for leaf in rule.leaves())


def _after(part: BitPart, at: set[int], scope: _Given, tried: Mapping[str, object], last: bool) -> set[int]:
    """Return where a part can end that begins at one of `at`; `last`: no spare bits follow it."""
    if part.sort == "spare" or (not part.by and part.sort in ("values", "items") and last):
        return {0}  # what goes on to the end has to come out even, where it is read and written
    measure = None
    if part.measure is None or part.by == "size":
        measure = 0
    elif _told(part.measure, tried):
        measure = max(0, part.measure.evaluate(scope))  # type: ignore[arg-type]
    bits = part.bits(measure) if measure is not None else None
    if bits is not None:
        return {(one + bits) % 8 for one in at}
    if part.by != "width" and part.each:  # some of that width
        return {(one + some * part.each) % 8 for one in at for some in ANY}
    return {*ANY}


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
        width, place = 0, 0
        while place < len(fields):
            f = fields[place]
            stretch = self.stretch(fields[place - len(sharing) :], len(sharing)) if self._is_loose(f, width) else None
            if stretch is not None or f.condition is not None or f.kind.bits is None or f.computed is not None:
                found += [Run(units)] if units else []
                units = []
                found.append(f if stretch is None else stretch)
                place += 1 if stretch is None else len(stretch.parts) - len(sharing)
                sharing, width = ([], 0) if stretch is not None else (sharing, width)
                continue
            sharing.append(f)
            width += f.kind.bits
            if width % 8 == 0:
                units.append(Unit(sharing, self.low))
                sharing, width = [], 0
            place += 1
        return [*found, Run(units)] if units else found

    def _is_loose(self, f: Field, width: int) -> bool:
        """Whether a field is none that a run, or a step of its own, can have after `width` bits."""
        if f.kind.bits is None or f.condition is not None:
            return f.kind.loose or self.bits or bool((f.kind.fixed_bits + width) % 8) or bool(width % 8)
        return self.bits or (f.kind.wire == "bytes" and bool(width % 8))

    def stretch(self, fields: list[Field], first: int) -> Loose | None:
        """Return the stretch that some fields begin with; it has the one at `first` in it. None where that cannot be."""
        parts = [part for part in takewhile(bool, (part_of(f, self.sizes, self.counts) for f in fields)) if part]
        if len(parts) <= first:
            return None
        after = ends(parts, self.by_name)
        sure = (
            len(parts) if self.bits else next((i + 1 for i in range(first, len(parts)) if after[i] == {0}), len(parts))
        )
        return Loose(parts[:sure], self.low, after[:sure])
