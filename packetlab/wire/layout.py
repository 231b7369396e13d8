"""Layout: which fields of a header are packed together, and what its rules say about sizes.

Both code writers (`codec` packs, `unpack` reads) and the careful reader (`walk`) go by this, so that they cannot
disagree about where a field lies.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, TypeVar

from packetlab.errors import BuildError
from packetlab.wire.expressions import Checksum, Expr, Ref
from packetlab.wire.fields import Address, Bytes, Int, Items, PayloadMark
from packetlab.wire.rules import invert
from packetlab.wire.tolerance import Tolerance

if TYPE_CHECKING:
    from packetlab.wire.header import Field, Header

H = TypeVar("H", bound="Header")
setattr_slot = object.__setattr__
_CODES = {8: "B", 16: "H", 32: "I", 64: "Q"}


class Unit:
    """Fields that share 1 to 8 bytes, or one field alone; `code` is its letter for `struct`."""

    def __init__(self, fields: list[Field]) -> None:
        self.fields = fields
        self.bits = sum(f.kind.bits or 0 for f in fields)
        first = fields[0].kind
        self.number = isinstance(first, Int)
        self.little = isinstance(first, Int) and first.little
        self.signed = len(fields) == 1 and isinstance(first, Int) and first.signed
        whole = self.number and self.bits in _CODES
        self.code = _CODES[self.bits] if whole else f"{self.bits // 8}s"
        if whole and self.signed:
            self.code = self.code.lower()
        # struct has no letter for 24, 40, 48 and 56 bits: these go by way of bytes.
        self.by_bytes = self.number and not whole


class Run:
    """Fixed fields without conditions, one behind the other, packed by one `struct` call."""

    def __init__(self, units: list[Unit]) -> None:
        self.units = units
        self.fields = [f for unit in units for f in unit.fields]
        little = {unit.little for unit in units if unit.number and unit.bits > 8 and not unit.by_bytes}
        for unit in units:
            if len(little) == 2 and unit.little and not unit.by_bytes and unit.bits > 8:
                unit.by_bytes, unit.code = True, f"{unit.bits // 8}s"
        self.struct = Struct(("<" if little == {True} else ">") + "".join(unit.code for unit in units))
        self.size = self.struct.size
        self._offsets: dict[Field, int] = {}
        at = 0
        for unit in units:
            self._offsets.update(dict.fromkeys(unit.fields, at))
            at += unit.bits // 8

    def offset(self, field: Field) -> int:
        """The byte offset of `field` inside the run."""
        return self._offsets[field]


def pieces(fields: list[Field]) -> list[Run | Field]:
    """Split `fields` into runs and single fields (conditional ones, and those of varying size)."""
    found: list[Run | Field] = []
    units: list[Unit] = []
    sharing: list[Field] = []
    width = 0
    for f in fields:
        if f.condition is not None or f.kind.bits is None:
            if units:
                found.append(Run(units))
                units = []
            found.append(f)
            continue
        sharing.append(f)
        width += f.kind.bits
        if width % 8 == 0:
            units.append(Unit(sharing))
            sharing = []
    if units:
        found.append(Run(units))
    return found


def before_payload(header: type[Header]) -> list[Field]:
    """The fields that stand before the payload (all of them, unless the class marks its payload)."""
    fields: list[Field] = []
    for f in header._fields:
        if isinstance(f.kind, PayloadMark):
            return fields
        fields.append(f)
    return fields


def behind_payload(header: type[Header]) -> list[Field]:
    """The fields that stand behind the payload."""
    marked = [i for i, f in enumerate(header._fields) if isinstance(f.kind, PayloadMark)]
    return list(header._fields[marked[0] + 1 :]) if marked else []


def trailing_size(header: Header) -> int:
    """Return how many bytes the fields behind the payload take."""
    size = 0
    for f in behind_payload(type(header)):
        raw = getattr(header, f.slot)
        if raw is not None:
            size += len(raw) if isinstance(raw, bytes) else (f.kind.bits or 0) // 8
    return size


class Extents:
    """What a header's rules say, solved for sizes.

    Attributes:
        self_size, total_size, payload_size: (expression, field that says so), or None where no rule does.
        sizes, counts: the same for single fields, by name.
    """

    def __init__(self, header: type[Header]) -> None:
        self.self_size: tuple[Expr, Field | None] | None = None
        self.total_size: tuple[Expr, Field | None] | None = None
        self.payload_size: tuple[Expr, Field | None] | None = None
        self.sizes: dict[str, Expr] = {}
        self.counts: dict[str, Expr] = {}
        for f in header._fields:
            if f.rule is not None and not isinstance(f.rule, Checksum):
                solved = invert(f.rule, Ref(f.name))
                if solved is not None:
                    self._take(*solved, f)
            if f.size is not None:
                self.sizes[f.name] = f.size
            if f.count is not None:
                self.counts[f.name] = f.count
        if header._payload_size is not None:
            self.payload_size = (header._payload_size, None)

    def _take(self, parts: frozenset[str], size: Expr, said_by: Field) -> None:
        if parts == {"self"}:
            self.self_size = (size, said_by)
        elif parts == {"self", "payload"}:
            self.total_size = (size, said_by)
        elif parts == {"payload"}:
            self.payload_size = (size, said_by)
        elif len(parts) == 1:
            (name,) = parts
            (self.counts if name.startswith("#") else self.sizes).setdefault(name.lstrip("#"), size)


def needs(rule: Expr) -> set[str]:
    """Names of the fields whose values a rule asks for."""
    return {leaf.name for leaf in rule.leaves() if isinstance(leaf, Ref)}


def is_open(field: Field, extents: Extents) -> bool:
    """Whether a field goes on to the end of what surrounds it."""
    if field.name in extents.sizes or field.pad:
        return False
    if isinstance(field.kind, Items):
        return field.name not in extents.counts and field.until is None
    return isinstance(field.kind, Bytes) and field.kind.bits is None


def fixed_size(field: Field) -> int:
    """The size in bytes of a fixed field that stands by itself."""
    return (field.kind.bits or 0) // 8


def single(field: Field) -> Any:
    """The unit of a conditional fixed field."""
    assert isinstance(field.kind, (Int, Address, Bytes))
    return Run([Unit([field])])


def prototype_bit(cls: type[Header]) -> int:
    """The bit of a header's state that says it holds a value that several fit (see `tolerance`)."""
    return 1 << 2 * len(cls._fields) + 1


def is_pattern(header: Header) -> bool:
    """Whether a header holds a value that several fit, itself or in its items."""
    return bool(header._state & prototype_bit(type(header)))


def refuse_pattern(header: Header) -> None:
    """Raise BuildError for a prototype: a field of it, or of its items, holds a pattern in place of one value."""
    for f in type(header)._fields if is_pattern(header) else ():
        value = getattr(header, f.slot)
        if isinstance(value, Tolerance):
            where, hint = f"{type(header).__name__}.{f.name}", "such a header is a prototype, to match packets with"
            raise BuildError(where, "one value to build from", repr(value), hint)
        for item in value if isinstance(value, tuple) else ():
            if not isinstance(item, bytes):
                refuse_pattern(item)


def restored(cls: type[H], state: int, values: tuple[Any, ...]) -> H:
    """Make a header from its state and raw values, in the order of its fields."""
    header = cls.__new__(cls)
    for f, value in zip(cls._fields, values, strict=True):
        setattr_slot(header, f.slot, value)
    setattr_slot(header, "_state", state)
    return header
