"""Fields of which the bytes lie elsewhere in the holder: those of an item of a list, in a field of bytes behind it (``at(..., within="blobs")``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from packetlab.declare.checksums.parts import SumPart
from packetlab.declare.expressions import (
    Checksum,
    Const,
    Count,
    Elsewhere,
    Emitter,
    Expr,
    If,
    NamedExpr,
    Op,
    Ref,
    Scope,
    Size,
)
from packetlab.declare.kinds import Kind, Raw
from packetlab.declare.places.leaves import rewritten
from packetlab.errors import DeclareError

if TYPE_CHECKING:
    from packetlab.declare.fields import Field


class Heap(Elsewhere):
    """Where the bytes of a field lie: `place` from the start of the header `since`, `size` of them, within its field `within`, built at multiples of `align`.

    With `apart` place and multiples count from the start of that field. `fill` is the byte between what is laid there.

    As a rule of what is read at the item's own place it is no bytes: who reads the holder hands them out. As a value from elsewhere
    it is where that field of the holder began.
    """

    __slots__ = ("align", "apart", "fill", "place", "since", "size", "within")

    def __init__(self, place: Expr, size: Expr, since: str, within: str, align: int, apart: bool = False, fill: bytes = b"\0") -> None:
        super().__init__("@", f"{since}.{within}")
        self.place, self.size, self.since, self.within, self.align, self.apart, self.fill = place, size, since, within, align, apart, fill

    @property
    def counted(self) -> str:
        """From where the place counts, as since= says it."""
        return self.name if self.apart else self.since

    def written(self, to: Emitter, *operands: str) -> str:
        return "b''"

    def evaluate(self, scope: Scope) -> Raw:
        return b""

    def __str__(self) -> str:
        return f"offset_of({self.within}, since={self.since})"


class Lain(Elsewhere):
    """Where the bytes of the field `field` lie, from the start of the header `since`: known once that is laid out, or was read."""

    __slots__ = ("field", "since")

    def __init__(self, field: str, since: str) -> None:
        super().__init__("@", f"{field} of {since}")
        self.field, self.since = field, since

    def __str__(self) -> str:
        return f"offset_of({self.field}, since={self.since})"


class Begun(Lain):
    """Where the field begins that has them, from the start of that header; 0 for bytes that lie nowhere."""

    __slots__ = ()


class Length(Count):
    """How many bytes a field has that lie elsewhere."""

    word = "size_of"


def is_bytes(kind: Kind) -> bool:
    """Whether a kind is of bytes of any size as they are."""
    return kind.wire == "open" and kind.verbatim and kind.shows_bytes and kind.element is None and not kind.transforms


_RULES = ("rule", "must", "condition", "outer", "computed")


def heap_field(fields: Iterable[Field]) -> Field | None:
    """Return the field of a header whose bytes lie elsewhere."""
    return next((f for f in fields if f.heap is not None), None)


def goes_by_size(f: Field) -> bool:
    """Whether a number follows from how many bytes there are that lie elsewhere, and not from where."""
    return f.rule is not None and all(isinstance(leaf, Length | Const) for leaf in f.rule.leaves())


_KNOWN = "rules of what is known where an item is read"


def asks_for(rule: Expr, f: Field) -> bool:
    """Whether a rule asks for a field."""
    return any(isinstance(leaf, NamedExpr) and leaf.name == f.name for leaf in rule.leaves())


def _check_rules(where: str, f: Field, heap: Heap, fields: Sequence[Field]) -> None:
    """Refuse places and sizes that do not follow from numbers before the field, and other rules that a reader of the item goes by and that ask for it."""
    header, by_name = where.partition(".")[0], {g.name: g for g in fields}
    way = f'since="{heap.name}" counts from where {heap.within} begins'
    for word, rule in (("at(...)", heap.place), ("sized(...)", heap.size)):
        for leaf in rule.leaves():
            g = by_name.get(leaf.name) if type(leaf) is Ref else None
            if not isinstance(leaf, Const) and (g is None or not g.kind.is_number or fields.index(g) > fields.index(f)):
                raise DeclareError(f"{where}, {word}", "number fields of the item before it", str(leaf), way if word == "at(...)" else "")
            if g is not None and g.computed is not None:
                raise DeclareError(f"{where}, {word}", "numbers that have bytes of their own, and go by none that have not", f"{g.name}, which is computed", way if word == "at(...)" else "its rule instead of its name")
            if g is not None and word == "at(...)" and (g.kind.bits is None or g.condition is not None):
                raise DeclareError(f"{where}, {word}", "numbers of a fixed width that are always there", g.name)
            if g is not None and g.condition is not None and type(rule) is not If:
                raise DeclareError(f"{where}, {word}", "numbers that are always there", f"{g.name}, which may be absent", f'choose(..., field("{g.name}"), 0)')
    for g in fields:
        over = g.rule.over if isinstance(g.rule, Checksum) else ()
        if any(f.name in (part.names if isinstance(part, SumPart) else (part,)) for part in over):
            raise DeclareError(f"{header}.{g.name}", "a checksum over bytes that stand in the header itself", f"{f.name}, which lies elsewhere", "inside= gives those bytes fields, and a checksum, of their own")
        for decides in (g.condition, g.computed, g.must, g.size, g.count):
            if decides is not None and asks_for(decides, f):
                raise DeclareError(f"{header}.{g.name}", _KNOWN, f"{decides}, of {f.name}, which lies elsewhere", "field(...) of the number that says its size tells whether it has bytes")


def settle_heaps(header: str, fields: Sequence[Field], lain: Any) -> None:
    """Let rules of a header say where the bytes lie that lie elsewhere, and how many there are. `lain` is the class of rules that say where a field begins.

    DeclareError for a second such field, and for rules that no reader or writer could go by.
    """
    some = [f for f in fields if f.heap is not None]
    if not some:
        return
    f, where = some[0], f"{header}.{some[0].name}"
    if some[1:]:
        raise DeclareError(f"{header}.{some[1].name}", "one field at most that lies within another of the holder", f.name)
    heap = f.heap
    assert heap is not None
    _check_rules(where, f, heap, fields)

    begun = Begun(heap.name, heap.since)

    def leaf_of(leaf: Expr) -> Expr:
        if isinstance(leaf, lain) and leaf.name == f.name and leaf.since in (heap.since, heap.name):
            lies = Lain(f.name, heap.since)
            return lies if leaf.since == heap.since else Op("-", lies, begun)
        if isinstance(leaf, lain) and leaf.name == heap.name and leaf.since == heap.since:  # as descriptions of headers have it
            return begun
        return Length(f.name) if type(leaf) is Size and leaf.name == f.name else leaf

    for g in fields:
        for word in _RULES:
            rule = getattr(g, word)
            for leaf in () if rule is None else rule.leaves():
                since = leaf.since if isinstance(leaf, lain) and leaf.name == f.name else heap.counted
                from_begin = heap.apart and since == heap.since and any(isinstance(one, lain) and one.name == heap.name for one in rule.leaves())
                if since != heap.counted and not from_begin:
                    raise DeclareError(where, f'offset_of("{f.name}", since="{heap.counted}"), as it is read', f'since="{since}"')
            if rule is not None and any(leaf_of(leaf) is not leaf for leaf in rule.leaves()):
                setattr(g, word, rewritten(rule, leaf_of))
    numbers = [g for g in fields if asks_for(heap.place, g) and g.rule is not None]
    if numbers and not any(isinstance(leaf, Lain) for g in fields if g.rule is not None for leaf in g.rule.leaves()):
        hint = f'auto(offset_of("{f.name}", since="{heap.counted}")), solved for it, or a number without a rule, which who builds it gives'
        raise DeclareError(f"{header}.{numbers[0].name}", f"a number that follows from where {f.name} lies", str(numbers[0].rule), hint)
