"""The plan of a header: what is read and written, step by step, worked out once from its declaration.

Decode, encode, lenient, the scans, the Wireshark export, diagrams and the expected faults of malformed packets walk these
steps, so that all of them agree about where a field lies and what decides it. A plan is made when it is first asked for.

    steps of a header        Fixed | Sized | Padded | Open | Listed | Coded, each of them also inside When
    what bounds it           Bound: from here on it is known where the header or its payload ends
    what lies above          Plan.payload, then the steps of the trailer
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from packetlab.declare.expressions import Checksum, Expr, Next, Ref, Size as SizeOf
from packetlab.declare.rules import invert

if TYPE_CHECKING:
    from packetlab.declare.fields import Field

_CODES = {8: "B", 16: "H", 32: "I", 64: "Q"}


class Unit:
    """Fields that share 1 to 8 bytes, or one field alone; `code` is its letter for `struct`."""

    def __init__(self, fields: list[Field]) -> None:
        self.fields = fields
        self.bits = sum(f.kind.fixed_bits for f in fields)
        first = fields[0].kind
        self.number = first.wire == "number"
        self.little = first.wire == "number" and first.little
        self.signed = len(fields) == 1 and first.wire == "number" and first.signed
        whole = self.number and self.bits in _CODES
        self.code = _CODES[self.bits] if whole else f"{self.bits // 8}s"
        if whole and self.signed:
            self.code = self.code.lower()
        # struct has no letter for 24, 40, 48 and 56 bits: these go by way of bytes.
        self.by_bytes = self.number and not whole


class Run:
    """Fixed fields without conditions, one after the other, packed by one `struct` call."""

    def __init__(self, units: list[Unit]) -> None:
        self.units = units
        self.fields = [f for unit in units for f in unit.fields]
        little = {unit.little for unit in units if unit.number and unit.bits > 8 and not unit.by_bytes}
        for unit in units:
            if len(little) == 2 and unit.little and not unit.by_bytes and unit.bits > 8:
                unit.by_bytes, unit.code = True, f"{unit.bits // 8}s"
        self.struct = Struct(("<" if little == {True} else ">") + "".join(unit.code for unit in units))
        self.size = self.struct.size


# Steps ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Fixed:
    """Fields of fixed width, side by side."""

    run: Run

    @property
    def fields(self) -> list[Field]:
        return self.run.fields


@dataclass(frozen=True, eq=False)
class _OfOne:
    field: Field

    @property
    def fields(self) -> list[Field]:
        return [self.field]


@dataclass(frozen=True, eq=False)
class Sized(_OfOne):
    """Bytes, or items not yet looked into, of a size that earlier fields tell."""

    size: Expr


@dataclass(frozen=True, eq=False)
class Padded(_OfOne):
    """Bytes that fill the header up to a multiple."""

    multiple: int


@dataclass(frozen=True, eq=False)
class Open(_OfOne):
    """Bytes, or items not yet looked into, up to the end of what surrounds them."""


@dataclass(frozen=True, eq=False)
class Listed(_OfOne):
    """Items read one after the other: a number of them, or up to one for which the field's `until` holds."""

    count: Expr | None


@dataclass(frozen=True, eq=False)
class Coded(_OfOne):
    """A value that tells its own size: its kind reads and writes it."""


@dataclass(frozen=True, eq=False)
class When:
    """A step that is there only where a condition holds."""

    condition: Expr
    step: Fixed | Sized | Padded | Open | Listed | Coded

    @property
    def field(self) -> Field:
        return self.step.fields[0]

    @property
    def fields(self) -> list[Field]:
        return self.step.fields


@dataclass(frozen=True, eq=False)
class Bound:
    """From here on it is known where the header ("self") or its payload ("total") ends: `size` bytes from its start.

    `names` are the fields that `size` follows from.
    """

    part: str
    size: Expr
    field: Field
    names: frozenset[str]

    @property
    def fields(self) -> list[Field]:
        return []


Step = Fixed | Sized | Padded | Open | Listed | Coded | When | Bound


class Size(NamedTuple):
    """A size that a rule tells, solved, and the field that the rule is of (None: an option of the class)."""

    size: Expr
    field: Field | None


class Plan:
    """How one header is read and written.

    Attributes:
        head: the steps up to the payload. trailer: those after it.
        own, total, payload: the sizes of the header, of header and payload, and of the payload, where rules tell them.
        sizes, counts: those of single fields, by name.
        bounds: the steps that bound the header or its payload.
        least: bytes that a header has at the least: its fixed fields that are always there.
        trailing: bytes that the fixed fields of the trailer take.
        sums: the checksums in the order in which they are filled in.
        lengths: the fields whose rules ask for the size of the payload.
    """

    def __init__(
        self, fields: tuple[Field, ...], before: list[Field], behind: list[Field], payload_size: Expr | None
    ) -> None:
        self._fields, self._last = fields, before[-1] if before else None
        self.own: Size | None = None
        self.total: Size | None = None
        self.payload: Size | None = None
        self.sizes: dict[str, Expr] = {}
        self.counts: dict[str, Expr] = {}
        for f in fields:
            if f.rule is not None and not isinstance(f.rule, Checksum):
                solved = invert(f.rule, Ref(f.name))
                if solved is not None:
                    self._take(*solved, f)
            if f.size is not None:
                self.sizes[f.name] = f.size
            if f.count is not None:
                self.counts[f.name] = f.count
        if payload_size is not None:
            self.payload = Size(payload_size, None)
        self.least = sum(f.kind.fixed_bits for f in before if f.condition is None) // 8
        self.trailing = sum(f.kind.fixed_bits for f in behind) // 8
        self.head: list[Step] = []
        self._known: set[str] = set()
        bounds: list[tuple[str, Size | None]] = [("self", self.own), ("total", self.total)]
        self._bounds = {part: said for part, said in bounds if said is not None}
        for piece in _pieces(before):
            self.head.append(self._step(piece))
            self._known.update(f.name for f in self.head[-1].fields)
            self._bound()
        self.bounds = [step for step in self.head if isinstance(step, Bound)]
        self.trailer: list[Step] = [self._step(piece) for piece in _pieces(behind)]
        self.sums = [f for f in fields if isinstance(f.rule, Checksum)]
        self.lengths = [f for f in fields if f.rule is not None and _counts_payload(f.rule)]

    def _take(self, parts: frozenset[str], size: Expr, said_by: Field) -> None:
        if parts == {"self"}:
            self.own = Size(size, said_by)
        elif parts == {"self", "payload"}:
            self.total = Size(size, said_by)
        elif parts == {"payload"}:
            self.payload = Size(size, said_by)
        elif len(parts) == 1:
            (name,) = parts
            (self.counts if name.startswith("#") else self.sizes).setdefault(name.lstrip("#"), size)

    def _step(self, piece: Run | Field) -> Step:
        if isinstance(piece, Run):
            return Fixed(piece)
        step = self._of(piece)
        return step if piece.condition is None else When(piece.condition, step)

    def _of(self, f: Field) -> Fixed | Sized | Padded | Open | Listed | Coded:
        if f.kind.bits is not None:
            return Fixed(Run([Unit([f])]))
        if f.pad:
            return Padded(f, f.pad)
        if f.name in self.sizes:
            return Sized(f, self.sizes[f.name])
        if f.kind.wire == "open":
            return Open(f)
        if f.kind.wire != "items":
            return Coded(f)
        if f.name in self.counts or not (f.until is None or self._ends_header(f)):
            return Listed(f, self.counts.get(f.name))
        return Open(f)

    def _ends_header(self, f: Field) -> bool:
        """Whether the end of the header, known by now, is that of the field."""
        return "self" not in self._bounds and self.own is not None and f is self._last

    def _bound(self) -> None:
        """Add what is known by now about where the header and its payload end."""
        for part, said in list(self._bounds.items()):
            names = frozenset(needs(said.size))
            if names <= self._known:
                assert said.field is not None
                self.head.append(Bound(part, said.size, said.field, names))
                del self._bounds[part]

    @property
    def numbered(self) -> list[tuple[Field, Next]]:
        """The fields whose numbers name the header that follows, with their rules."""
        return [(f, f.rule) for f in self._fields if isinstance(f.rule, Next)]

    @property
    def within(self) -> list[Step]:
        """The steps of the header up to the payload, those inside `When` in its place."""
        return [step.step if isinstance(step, When) else step for step in self.head]

    @property
    def steps(self) -> list[Step]:
        """The same of header and trailer."""
        return [*self.within, *(step.step if isinstance(step, When) else step for step in self.trailer)]

    @property
    def units(self) -> list[Unit]:
        """What is packed as one, of header and trailer."""
        return [unit for step in self.steps if isinstance(step, Fixed) for unit in step.run.units]


def _pieces(fields: list[Field]) -> list[Run | Field]:
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
            sharing, width = [], 0
    if units:
        found.append(Run(units))
    return found


def _counts_payload(rule: Expr) -> bool:
    leaves = [] if isinstance(rule, Checksum) else rule.leaves()
    return any(isinstance(leaf, SizeOf) and leaf.name == "payload" for leaf in leaves)


def needs(rule: Expr) -> set[str]:
    """Names of the fields whose values a rule asks for."""
    return {leaf.name for leaf in rule.leaves() if isinstance(leaf, Ref)}
