"""What a scan may work out: rules of which no value, whatever the packet, can leave 64 bits; and numbers of a varying width.

Objects work rules out in Python's whole numbers, which never overflow; a scan (`scan`) works in 64 bits. Headers with a
rule that can leave them are left to objects.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from packetlab.declare.bits.stretches import Loose
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Const, Elsewhere, Expr, Has, If, OneOf, Op, Ref, Size
from packetlab.declare.intervals import Range, hull, span
from packetlab.declare.kinds import Int
from packetlab.declare.places.inner import Inner
from packetlab.declare.plan import Coded, Counted, Follows, Gap, Listed
from packetlab.declare.rules import Ahead

if TYPE_CHECKING:
    from packetlab.declare.fields import Field
    from packetlab.declare.kinds import Kind
    from packetlab.declare.values.varints import LengthOfBER, Prefixed, SizedInt, Varint

CANNOT: dict[type[object], str] = {
    Listed: "items that are read one after the other",
    Counted: "values that tell their own size, read by Python code of their kind",
    Loose: "fields that begin and end at any bit, as wide as values say",
    Gap: "bytes up to an offset that fields tell",
    Follows: "a value that is not in the bytes, but worked out",
    Coded: "a value that tells its own size, read by Python code of a kind of your own",
}
"""Step of a plan -> why packets with it are left to objects."""

MOST = 1 << 62  # leaves room for an offset in a buffer to be added
FAR = 1 << 61  # coded numbers beyond are left to objects
FURTHEST = 1 << 40  # bytes that a payload may have at the most


def scannable(rule: Expr, header: Declaration) -> bool:
    """Whether a scan of such headers works the rule out as objects do."""
    return _range(rule, header) is not None


def beyond(rules: list[Expr], header: Declaration) -> str:
    """Return in words why a scan does not work out some rules, "" where it does."""
    if any(isinstance(leaf, Elsewhere | Inner) for rule in rules for leaf in rule.leaves()):
        return "a value from elsewhere, of a header that a scan does not make"
    return "" if all(scannable(rule, header) for rule in rules) else "a rule whose value may leave 64 bits"


def _range(rule: Expr, header: Declaration) -> Range | None:
    """Return the range of a rule's value, None where it or anything on the way to it may lie too far out, or is not known."""
    known: dict[int, Range] = {}
    for part in rule.parts():
        found = _single(part, [known[id(operand)] for operand in part.operands()], header)
        if found is None or not -MOST <= found[0] <= found[1] <= MOST:
            return None
        known[id(part)] = found
    return known[id(rule)]


def _single(rule: Expr, parts: list[Range], header: Declaration) -> Range | None:
    found: Range | None = None
    if isinstance(rule, Op):
        low, high = parts[1]
        unsafe = (
            low <= 0 <= high
            if rule.sign in ("//", "%")
            else not 0 <= low <= high < 64
            if rule.sign in ("<<", ">>")
            else False
        )
        found = None if unsafe else span(rule.sign, *parts)
    elif isinstance(rule, If):
        found = hull(*parts[1:])
    elif isinstance(rule, OneOf):
        found = (0, 1) if all(abs(number) <= MOST for number in rule.among) else None
    elif isinstance(rule, Const):
        found = rule.number, rule.number
    elif isinstance(rule, Ref):
        field = header.by_name.get(rule.name)
        if field is not None and (field.kind.wire == "number" or field.kind.form):
            low, high = field.kind.low, field.kind.high
            if field.kind.form:
                low, high = max(low, -FAR), min(high, FAR)  # what is further out is unfit
            found = hull((low, high), *([(0, 0)] if field.condition is not None else []))
    elif isinstance(rule, Size) and rule.name != "self":
        found = -FURTHEST, FURTHEST
    elif isinstance(rule, Ahead):
        found = -1, (1 << rule.bits) - 1
    elif isinstance(rule, Has):
        found = 0, 1
    return found


# Numbers of a varying width -------------------------------------------------------------------------------------

BYTES = 8
"""Bytes of a coded number that a scan looks at; packets with longer ones are left to objects."""


class CodedScanner:
    """Writes how coded numbers are read (see `declare.values.varints`): one that is none, or too long, makes the packet unfit."""

    stop: str
    read: set[str]

    def check(self, bad: str) -> None:
        raise NotImplementedError

    def let(self, name: str, code: str, same: bool = False) -> None:
        raise NotImplementedError

    def elsewhere(self, leaf: Elsewhere) -> str:
        raise NotImplementedError  # see `beyond`

    def on_raw(self, name: str, function: object) -> str:
        raise NotImplementedError  # such rules are left to objects

    def choose(self, condition: str, yes: str, no: str) -> str:
        raise NotImplementedError

    def fetch(self, at: tuple[str, int], size: int, kind: Kind, shift: int = 0) -> str:
        raise NotImplementedError

    def give(self, name: str, at: tuple[str, int], size: int | str = 0, value: str = "") -> None:
        raise NotImplementedError

    def float(self) -> None:
        raise NotImplementedError

    def advance(self, size: int | str) -> None:
        raise NotImplementedError

    def coded(self, f: Field) -> None:
        """Read a number that lies at `pos`; its value is ``v_...`` then, its size `w`, which is known already where another field gives it."""
        self.float()
        value, kind = f"v_{f.name}", f.kind
        self.let(value, "0", same=True)
        getattr(self, kind.form)(kind, value)
        if f.fixed:
            self.check(f"{value} != {int(f.default)}")
        self.let(f"z_{f.name}", "w")
        self.read.add(f.name)
        self.give(f.name, ("pos", 0), "w", value)
        self.advance("w")

    def groups(self, kind: Varint, value: str) -> None:
        """Read groups of seven bits, of which all but the last have the bit on top."""
        most = min(kind.most, BYTES)
        self.let("w", "0", same=True)
        self.let("more", "1", same=True)
        self.each_group(value, most, kind.high_first)
        self.check("more == 1")
        if kind.zigzag:
            self.let(value, f"({value} >> 1) ^ -({value} & 1)")
        elif kind.signed:
            self.let(value, f"{value} - (({value} >> (7 * w - 1) & 1) << (7 * w))")

    def each_group(self, value: str, most: int, high_first: bool) -> None:
        """Read group after group, up to `most`, as long as `more` is 1; `w` is how many there were."""
        raise NotImplementedError

    def number_in(self, value: str, after: int, sizes: Iterable[int]) -> None:
        """Read a number that lies `after` bytes behind `pos`, in as many bytes as `w` says, which is one of `sizes`."""
        raise NotImplementedError

    def prefix(self, kind: Prefixed, value: str) -> None:
        """Read a number whose first bits say in how many bytes it is."""
        self.check(f"pos >= {self.stop or 'end'}")
        self.let("b", f"{self.fetch(('pos', 0), 1, Int(8))} >> {8 - kind.prefix}")
        self.let("w", "0", same=True)
        for which, size in enumerate(kind.sizes):
            self.let("w", self.choose(f"b == {which}", str(size), "w"))
        self.check(f"(w == 0) | (pos + w > {self.stop or 'end'})")
        self.number_in(value, 0, kind.sizes)
        self.let(value, f"{value} & ((1 << (8 * w - {kind.prefix})) - 1)")
        if kind.high > FAR:
            self.check(f"{value} > {FAR}")

    def length(self, kind: LengthOfBER, value: str) -> None:
        """Read a length of BER."""
        self.check(f"pos >= {self.stop or 'end'}")
        self.let("b", self.fetch(("pos", 0), 1, Int(8)))
        self.let("w", self.choose("b < 128", "0", "b - 128"))
        indefinite = "" if kind.indefinite else " | (b == 128)"
        self.check(f"(w >= {BYTES}) | (pos + 1 + w > {self.stop or 'end'}){indefinite}")
        self.let(value, self.choose("b < 128", "b", self.choose("b == 128", "-1", "0")))
        self.number_in(value, 1, range(1, BYTES))
        self.let("w", "w + 1")

    def sized_number(self, kind: SizedInt, value: str) -> None:
        """Read a number in `w` bytes."""
        self.check(f"(w < {int(kind.signed)}) | (w >= {BYTES})")
        self.number_in(value, 0, range(1, BYTES))
        if kind.signed:
            self.let(value, f"{value} - (({value} >> (8 * w - 1) & 1) << (8 * w))")
        self.check(f"({value} < {max(kind.low, -FAR)}) | ({value} > {min(kind.high, FAR)})")
