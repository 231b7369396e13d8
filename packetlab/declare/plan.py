"""The plan of a header: what is read and written, step by step, worked out once from its declaration.

Decode, encode, lenient, the scans, the Wireshark export, diagrams and the expected faults of malformed packets walk these
steps, so that all of them agree about where a field lies and what decides it. A plan is made when it is first needed.

    steps of a header        Fixed | Sized | Padded | Gap | Open | Listed | Counted | Coded | Follows, each of them also inside When
    fields at any bit        Loose: a stretch of bits between byte boundaries (see `declare.bits`)
    what bounds it           Bound: from here on it is known where the header or its payload ends
    what lies above          Plan.payload, then the steps of the trailer
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from packetlab.declare.bits.stretches import Loose, Pieces
from packetlab.declare.checksums.ranges import covered, in_order
from packetlab.declare.expressions import Checksum, Const, Count, Expr, Has, If, Next, Ref, Size
from packetlab.declare.places.inner import Inner
from packetlab.declare.rules import Solved, apart, solve
from packetlab.declare.values.units import Run, Unit

if TYPE_CHECKING:
    from packetlab.declare.fields import Field


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
    """Bytes that fill the header up to a multiple, counted from where the field says."""

    multiple: int


@dataclass(frozen=True, eq=False)
class Gap(_OfOne):
    """Bytes up to an offset from the header's start; none where what stands there is of no bytes, as its size or count says."""

    place: Expr
    size: Expr | None


@dataclass(frozen=True, eq=False)
class Open(_OfOne):
    """Bytes, or items not yet looked into, up to the end of what surrounds them less what stands after them in the header.

    `after` is the size of that, None where nothing is.
    """

    after: Expr | None = None


@dataclass(frozen=True, eq=False)
class Listed(_OfOne):
    """Items read one after the other: a number of them, or up to one for which the field's `until` holds."""

    count: Expr | None


@dataclass(frozen=True, eq=False)
class Counted(_OfOne):
    """A number of values side by side, each of which tells its own size."""

    count: Expr


@dataclass(frozen=True, eq=False)
class Coded(_OfOne):
    """A value that tells its own size: its kind reads and writes it."""


@dataclass(frozen=True, eq=False)
class Follows(_OfOne):
    """A value that is not in the bytes: it follows from fields before it."""

    rule: Expr


@dataclass(frozen=True, eq=False)
class When:
    """A step that is there only where a condition holds."""

    condition: Expr
    step: Fixed | Sized | Padded | Gap | Open | Listed | Counted | Coded | Follows

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


Step = Fixed | Sized | Padded | Gap | Open | Listed | Counted | Coded | Follows | Loose | When | Bound


class SolvedSize(NamedTuple):
    """A size that a rule tells, solved, and the field that the rule is of (None: an option of the class)."""

    size: Expr
    field: Field | None


class Plan:
    """How one header is read and written.

    Attributes:
        head: the steps up to the payload. trailer: those after it.
        own, total, payload: the sizes of the header, of header and payload, and of the payload, where rules tell them.
        sizes, counts: those of single fields, by name.
        after: for fields that go on to an end, the size of what stands after them in the header. measured: what rules want the size of.
        rounded: solved rules that give one number for several sizes. unsolved: fields with sizes in a rule that tells none.
        ends: pairs of fields of which the first one goes on to an end, and nothing tells the size of the other.
        loose: the stretches of bits. bounds: the steps that bound the header or its payload.
        least: bytes of the fixed fields that are always there. trailing: bytes of the fixed fields of the trailer.
        from_end: fields whose place is counted from an end. tail: where one of them is in the trailer, the size of all of that.
        bare: whether there is never a payload.
        sums: the checksums in the order in which they are filled in. lengths: the fields whose rules ask for the payload's size.
    """

    def __init__(
        self, fields: tuple[Field, ...], before: list[Field], after: list[Field], payload_size: Expr | None, low: bool = False, bits: bool = False,
    ) -> None:
        self._fields, self._last = fields, before[-1] if before else None
        self.own: SolvedSize | None = None
        self.total: SolvedSize | None = None
        self.payload: SolvedSize | None = None
        self.sizes: dict[str, Expr] = {f.name: f.size for f in fields if f.size is not None}
        # Values of a fixed width have a size where they have a count.
        self.counts: dict[str, Expr] = {f.name: f.count for f in fields if f.count is not None and not f.stride}
        self.rounded: list[tuple[Field, Solved]] = []
        self._alternatives: dict[str, list[tuple[Expr | None, Expr]]] = {}
        self.unsolved: list[Field] = []
        self._before, self._by_name = before, {f.name: f for f in [*before, *after]}
        rules = [(f, f.rule) for f in fields if f.rule is not None and not isinstance(f.rule, Checksum | Next)]
        self._solve(rules)
        self.after: dict[str, Expr] = {}
        self.ends: list[tuple[Field, Field]] = []
        self._look_behind(before)
        if payload_size is not None:
            self.payload = SolvedSize(payload_size, None)
        self.bare = isinstance(payload_size, Const) and payload_size.number == 0
        self.least = sum(f.kind.fixed_bits for f in before if f.condition is None) // 8
        self.trailing = sum(f.kind.fixed_bits for f in after if f.condition is None) // 8
        self.from_end = [f for f in fields if f.from_end]
        self.tail = self._tail(after) if any(f.from_end for f in after) else None
        self.head: list[Step] = []
        self._known: set[str] = set()
        bounds: list[tuple[str, SolvedSize | None]] = [("self", self.own), ("total", self.total)]
        self._bounds = {part: said for part, said in bounds if said is not None}
        pieces = Pieces(low, self.sizes, self.counts, bits, self._by_name)
        for piece in pieces.of(before):
            self.head.append(self._step(piece))
            self._known.update(f.name for f in self.head[-1].fields)
            self._bound()
        self.bounds = [step for step in self.head if isinstance(step, Bound)]
        self.trailer: list[Step] = [self._step(piece) for piece in pieces.of(after)]
        self.loose = [step for step in (*self.head, *self.trailer) if isinstance(step, Loose)]
        self.covered = covered(before, after)
        self.sums = in_order([*before, *after], self.covered)
        solved = [said.size for said in (self.own, self.total, self.payload) if said is not None]
        self.measured = {n for one in (*solved, *self.sizes.values(), *self.after.values()) for n in sizes_in(one)}
        self.lengths = [f for f in fields if f.rule is not None and counts_payload(f.rule)]

    def _solve(self, rules: list[tuple[Field, Expr]]) -> None:
        """Find what the rules of fields tell when they are solved; one may tell what another one waits for."""
        self.unsolved = [f for f, rule in rules if any(isinstance(leaf, Size | Count) for leaf in rule.leaves())]
        left = [(f, solved) for f, rule in rules if (solved := solve(rule, Ref(f.name))) is not None]
        solved_names: set[str] = set()
        waiting: list[tuple[Field, Solved]] = []
        while len(left) != len(waiting):
            waiting, left = left, []
            for f, solved in waiting:
                parts, size = self._simplified(solved)
                if not self._take(parts, size, f):
                    left.append((f, solved))
                    continue
                solved_names.add(f.name)
                exact = solved.unit == 1 or not parts or self._is_multiple(parts, solved.unit)
                if not (exact or self._are_wide(parts) or self._told_otherwise(parts, f)):
                    self.rounded.append((f, Solved(parts, size, solved.unit)))
        self.unsolved = [f for f in self.unsolved if f.name not in solved_names]

    def _are_wide(self, parts: dict[str, int]) -> bool:
        """Whether parts are widths of numbers in bits, which may be wider than they need: whoever packs them looks whether they fit."""
        fields = [self._by_name.get(part[1:]) if part.startswith("#") else None for part in parts]
        return all(f is not None and f.kind.wide is not None for f in fields)

    def _told_otherwise(self, parts: dict[str, int], f: Field) -> bool:
        """Whether the declaration of a field says how large it is by others than `f`, whose rule tells nothing then."""
        names = [*parts]
        g = self._by_name.get(names[0].lstrip("#")) if len(names) == 1 else None
        said = None if g is None else g.count if names[0].startswith("#") else g.size
        return said is not None and f.name not in needs(said)

    def _is_multiple(self, parts: dict[str, int], unit: int) -> bool:
        """Whether parts are bound to come to a multiple of `unit` bytes."""
        if unit < 1 or not parts.keys() <= {"self", *self._by_name}:
            return False
        fields = self._before if "self" in parts else [self._by_name[name] for name in parts]
        bits = sum(f.kind.bits or 0 for f in fields if f.condition is None)
        if fields and fields[-1].pad and fields[-1].pad % unit == 0 and fields[-1].since == "self" and "self" in parts:
            return True
        aligned = all((f.kind.bits or 0) % (8 * unit) == 0 if f.kind.bits is not None else f.align and f.align % unit == 0
                      for f in fields if f.condition is not None or f.kind.bits is None)  # fmt: skip
        return bits % (8 * unit) == 0 and aligned

    def _simplified(self, solved: Solved) -> tuple[dict[str, int], Expr]:
        """Return a solution with the sizes that are known taken off."""
        parts, size = dict(solved.parts), solved.size
        fields = [name for name in parts if name in self._by_name]
        if parts.get("self") == 1 and any(map(self._is_coded, fields)):  # all but its own bytes, for one
            for name in fields:
                known = self._known_size(name)
                size = size if known is None else size - known * parts.pop(name)
            fields = [name for name in fields if name in parts]
        if "self" in parts and fields:
            often = parts.pop("self")
            fixed = [f for f in self._before if f.condition is None and f.kind.bits is not None]
            size = size - sum(f.kind.bits or 0 for f in fixed) // 8 * often
            for f in self._before:
                if f.condition is not None or f.kind.bits is None:
                    parts[f.name] = parts.get(f.name, 0) + often
        if len(parts) > 1 or any(self._by_name[name].kind.bits is not None for name in fields):
            shared = [f for f in map(self._by_name.get, parts) if f is not None and f.condition is None and f.kind.fixed_bits % 8]
            if shared:  # those side by side fill whole bytes together
                size = size - sum(f.kind.fixed_bits * parts.pop(f.name) for f in shared) // 8
            for name in list(parts):
                often, known = parts[name], self._known_size(name)
                if known is not None and often:
                    size = size - (known if often == 1 else known * often)
                    del parts[name]
        return {name: often for name, often in parts.items() if often}, size

    def _known_size(self, name: str) -> Expr | None:
        """Return the size of a field where earlier fields tell it."""
        f = self._by_name.get(name)
        if f is None or f.left or (f.condition is not None and f.kind.fixed_bits % 8):
            return None
        size = Const(f.kind.fixed_bits // 8) if f.kind.bits is not None or f.heap is not None else self.sizes.get(name)
        size = Size(name) if self._is_coded(name) else size  # the bytes that it was read from
        return size if size is None or f.condition is None else If(f.condition, size, Const(0))

    def _is_coded(self, name: str) -> bool:
        kind = self._by_name[name].kind
        return kind.wire == "coded" and not kind.unended and not kind.loose

    def _take(self, parts: dict[str, int], size: Expr, said_by: Field) -> bool:
        """Take what a rule tells; say whether it tells one thing."""
        if parts == {"self": 1}:
            self.own = SolvedSize(self._said("self", size, said_by), said_by)
        elif parts == {"self": 1, "payload": 1}:
            self.total = SolvedSize(self._said("total", size, said_by), said_by)
        elif parts == {"payload": 1}:
            self.payload = SolvedSize(self._said("payload", size, said_by), said_by)
        elif len(parts) == 1:
            ((name, often),) = parts.items()
            if name in ("self", "payload") or often < 1:
                return False
            if (name in self._by_name and self._is_coded(name)) or ((g := self._by_name.get(name[1:])) is not None and g.heap is not None):
                return True  # its value tells its size, whatever else does
            if sizes_in(size) & {*[*self._by_name][[*self._by_name].index(name.lstrip("#")) :]}:
                return False
            size = size if often == 1 else size // often
            f = self._by_name.get(name.lstrip("#"))
            known = self.counts if name.startswith("#") else self.sizes
            if name.startswith("#") and f is not None and f.stride:
                known, size = self.sizes, size * f.stride
            if name.lstrip("#") not in known or name in self._alternatives:
                known[name.lstrip("#")] = self._said(name, size, said_by)
        else:
            return not parts
        return True

    def _said(self, part: str, size: Expr, said_by: Field) -> Expr:
        """Return what tells a size: where several fields do, each where its condition holds, the first of them that is there."""
        ways = self._alternatives.setdefault(part, [])
        if ways and ways[-1][0] is None:
            return size if part in ("self", "total", "payload") else ways[-1][1]
        ways.append((Has(said_by.name) if said_by.left else said_by.condition, size))
        found = ways[-1][1]
        for condition, other in reversed(ways[:-1]):
            assert condition is not None
            found = If(condition, other, found)
        return found

    def _look_behind(self, before: list[Field]) -> None:
        """For each field that goes on to an end, work out the size of what stands after it in the header.

        `ends` has the pairs of such a field and a later one whose size is not known where the first one is read.
        """
        places = {f.name: place for place, f in enumerate(before)}
        bits, sizes, unknown = 0, Const(0), []  # type: int, Expr, list[Field]
        for f in reversed(before):
            place = places[f.name]
            if f.kind.loose and f.kind.words == "spare bits" and place and self._goes_on(before[place - 1]):
                continue  # what is left of the last byte
            if self._goes_on(f):
                size: Expr = sizes if bits == 0 else Const(bits // 8) if isinstance(sizes, Const) else sizes + bits // 8
                if not isinstance(size, Const) or size.number:
                    self.after[f.name] = size
                late = [name for name in needs(size) if places[name] >= places[f.name] and not self._by_name[name].from_end]
                self.ends += [(f, g) for g in unknown if not apart(f.condition, g.condition)]
                self.ends += [(f, self._by_name[name]) for name in late]
            known = self._known_size(f.name)
            if known is None:
                unknown.append(f)
            elif isinstance(known, Const):
                bits += f.kind.bits or 0
            else:
                sizes = known if isinstance(sizes, Const) else known + sizes

    def _tail(self, after: list[Field]) -> Expr:
        """Return the size of what stands after the payload, as far as it is known."""
        always = [f for f in after if f.condition is None and f.kind.bits is not None]  # which may share bytes
        sizes = [size for f in after if f not in always and (size := self._known_size(f.name)) is not None]
        return sum(sizes, start=Const(sum(f.kind.fixed_bits for f in always) // 8))

    def _goes_on(self, f: Field) -> bool:
        """Whether a field goes on to the end of what surrounds it by its own declaration."""
        if f.name in self.sizes or f.name in self.counts or f.pad or f.heap is not None:
            return False
        many = f.kind.wire == "items" or (f.kind.loose and f.kind.element is not None)
        return f.kind.wire == "open" or (many and f.until is None)

    def _step(self, piece: Run | Field | Loose) -> Step:
        if isinstance(piece, Run | Loose):
            return Fixed(piece) if isinstance(piece, Run) else piece
        step = self._of(piece)
        return step if piece.condition is None else When(piece.condition, step)

    def _of(self, f: Field) -> Fixed | Sized | Padded | Gap | Open | Listed | Counted | Coded | Follows:
        if (rule := f.computed if f.heap is None else f.heap) is not None:
            return Follows(f, rule)
        if f.kind.bits is not None:
            return Fixed(Run([Unit([f])]))
        if f.place is not None:
            after = self._before[self._before.index(f) + 1 :]
            size = self.sizes.get(after[0].name, self.counts.get(after[0].name)) if after else None
            return Gap(f, f.place, size if size is not None and needs(size) <= self._known else None)
        if f.pad and f.size is None:
            return Padded(f, f.pad)
        if f.name in self.sizes:
            return Sized(f, self.sizes[f.name])
        if f.kind.wire == "open" and f.name in self.counts:
            return Counted(f, self.counts[f.name])
        if f.kind.wire == "open":
            return Open(f, self.after.get(f.name))
        if f.kind.wire != "items":
            return Coded(f)
        if f.name in self.counts or not (f.until is None or self._ends_header(f)):
            return Listed(f, self.counts.get(f.name))
        return Open(f, self.after.get(f.name))

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
        return [(f, f.rule) for f in self._fields if isinstance(f.rule, Next) and f.kind.is_number]

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


def counts_payload(rule: Expr) -> bool:
    """Whether a rule goes by the size of the payload."""
    leaves = [] if isinstance(rule, Checksum) else rule.leaves()
    return any(isinstance(leaf, Size) and leaf.name == "payload" for leaf in leaves)


def needs(rule: Expr) -> set[str]:
    """Names of the fields that have to be read before a rule can be worked out."""
    return {leaf.name for leaf in rule.leaves() if isinstance(leaf, Ref | Has | Inner)} | sizes_in(rule)


def sizes_in(rule: Expr) -> set[str]:
    """Names of the fields whose sizes a rule asks for."""
    return {leaf.name for leaf in rule.leaves() if isinstance(leaf, Size)} - {"self", "payload"}
