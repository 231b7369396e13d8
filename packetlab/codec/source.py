"""Generated source: becomes a function whose lines tracebacks, debuggers and `inspect` can show."""

from __future__ import annotations

import linecache
import weakref
from collections.abc import Callable, Iterable
from itertools import count
from types import CodeType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeAlias

from packetlab.codec.places.inner import number_in
from packetlab.declare import registry
from packetlab.declare.expressions import DEEP, Const, Elsewhere, If, Next, Ref
from packetlab.declare.plan import When
from packetlab.declare.transforms.arguments import parameters
from packetlab.errors import DeclareError

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.expressions import Expr
    from packetlab.declare.fields import Field
    from packetlab.declare.places.inner import Inner
    from packetlab.declare.plan import Bound, Plan
    from packetlab.declare.values.units import Run

Compiled: TypeAlias = Callable[..., Any]
"""A function made of generated source."""
_numbers = count(2)
_codes: dict[tuple[str, str], CodeType] = {}  # by text and what it is, for what is reset or declared again is mostly the same
KEPT = 1000


def function(lines: list[str], names: dict[str, object], what: str) -> Compiled:
    """Compile a function from its lines (the first is its ``def``) and return it; `names` is what it may refer to."""
    text = "\n".join(lines) + "\n"
    code = _code(text, what)
    found: dict[str, Compiled] = {}
    exec(code, names, found)
    (made,) = found.values()
    place = code.co_filename
    linecache.cache[place] = len(text), None, text.splitlines(keepends=True), place
    weakref.finalize(made, linecache.cache.pop, place, None).atexit = False
    return made


def _code(text: str, what: str) -> CodeType:
    """Return compiled source: kept one, unless a function of that place is alive, for a place in tracebacks has one text and one life."""
    code = _codes.pop((text, what), None)
    if code is None or code.co_filename in linecache.cache:
        place = f"<packetlab {what}>"
        if place in linecache.cache:
            place = f"<packetlab {what} {next(_numbers)}>"
        code = compile(text, place, "exec")
    if len(_codes) >= KEPT:
        _codes.clear()
    _codes[text, what] = code
    return code


def written_size(raw: Any, f: Field) -> int:
    """Return how many bytes a field of varying size has, 0 where it is absent."""
    return 0 if raw is None else len(raw if f.kind.verbatim else f.kind.write(raw))


def added(terms: list[str], none: str = "0", many: str = "sum", most: int = 50) -> str:
    """Return source for a sum; of more than `most` terms one that is not nested as deep as they are many, by a call of `many`."""
    return f"{many}(({', '.join(terms)}))" if len(terms) > most else " + ".join(terms) or none


class PackedPiece(NamedTuple):
    """Some of the bytes that are packed: source for each unit of a run, or for bytes (`run` is None). `size` is a number or source.

    Where `there` is source for a condition, they are packed where it holds.
    """

    codes: tuple[str, ...]
    size: int | str
    run: Run | None = None
    there: str = ""


class SourceWriter(Protocol):
    """What writes the source that packs a header (see `encode.Packing`)."""

    cls: Declaration
    tag: str
    lines: list[str]
    given: dict[str, str]
    stack: tuple[Declaration, ...] | None
    i: int

    def present(self, f: Field) -> str: ...
    def own(self, f: Field) -> str: ...
    def refuse(self, error: str) -> str: ...
    def size(self, part: str) -> str: ...
    def count(self, name: str) -> str: ...
    def raw_of(self, name: str) -> str: ...


class OneByOne:
    """How an emitter of functions that take one packet at a time says what is no operator of Python's."""

    cls: Declaration
    names: dict[str, object]
    lines: list[str]
    tag: str
    kept = 0
    joins: ClassVar[dict[str, str]] = {"&": "and", "|": "or"}  # conditions: no more is worked out than has to be

    def keep(self, code: str) -> str:
        """Write a statement that holds a value; return its name."""
        self.kept += 1
        name = f"k{self.kept}{self.tag}"
        self.lines.append(f"{name} = {code}")
        return name

    def on_raw(self, name: str, function: Callable[[Any, Any], int]) -> str:
        """Return source for what a function says of the raw value of a field, and of that field."""
        key = f"U{len(self.names)}{self.tag}"
        self.names[key], self.names[f"F_{key}"] = function, self.cls.by_name[name]
        return f"{key}({self.raw_of(name)}, F_{key})"

    def choose(self, condition: str, yes: str, no: str) -> str:
        """Return source for one of two values."""
        return f"({yes} if {condition} else {no})"

    def one_of(self, value: str, among: tuple[int, ...]) -> str:
        """Return source for whether a value is one of some numbers."""
        return f"({value} in {among!r})"


    def value(self, name: str) -> str:
        raise NotImplementedError

    def inner(self, leaf: Inner) -> str:
        """Source for a number of a header that a field holds."""
        key = f"I_{leaf.name}_{leaf.inner}{self.tag}"
        self.names.update({key: leaf, "number_in": number_in})
        return f"number_in({key}, {self.value(leaf.name)})"

    # Of fields whose bytes stand for others (see `declare.transforms`) -------------------------------------------------

    def arguments(self, f: Field) -> list[str]:
        """Return source for the parameters of a field's transforms that follow from the header."""
        codes = []
        for number, (rule, kind) in enumerate(parameters(f, self.cls.by_name)):
            if isinstance(rule, str):
                codes.append(self.bytes_before(f))
            elif isinstance(rule, slice):
                codes.append(f"{self.bytes_before(f)}[{rule.start}:{rule.stop}]")
            elif kind is None:
                codes.append(rule.code(self))
            else:
                value = self.raw_of(rule.name) if isinstance(rule, Ref) else rule.code(self)
                if isinstance(rule, Ref) and kind.wire == "number" and self.cls.by_name[rule.name].condition is None:  # see `parameter_bytes`
                    order = "little" if kind.little else "big"
                    codes.append(f"({value} & {(1 << kind.fixed_bits) - 1:#x}).to_bytes({-(-kind.fixed_bits // 8)}, '{order}')")
                    continue
                key = f"{f.name}_{number}{self.tag}"
                self.names[f"A_{key}"], self.names[f"Q_{key}"] = f.kind.argument, kind  # type: ignore[attr-defined]
                codes.append(f"A_{key}({value}, {number}, Q_{key})")
        return codes

    def bytes_before(self, f: Field) -> str:
        """Source for the bytes of the header that stand before a field."""
        raise NotImplementedError

    def raw_of(self, name: str) -> str:
        """Source for the raw value of a field, None where it is absent."""
        raise NotImplementedError


class ReadSoFar(OneByOne):
    """What rules and bindings need of a header while it is read (see `decode.Decoding`).

    Attributes:
        read: fields that were read. holds: conditions that are known to hold here, or not to.
        start, end, payload, total: source for where the header begins, what it may fill, where its payload ends, and
            where that ends by its own word, "" where none says so.
        offset: how far from the start, None once that is a variable; origin: the start where it is a number.
    """

    plan: Plan
    read: set[str]
    holds: dict[str, bool]
    start: str
    end: str
    payload: str
    total: str
    stop: str
    offset: int | None
    origin: int | None

    def v(self, name: str) -> str:
        """The variable that holds a field's value."""
        return f"v_{name}{self.tag}"

    def place(self, ahead: int = 0) -> int | str:
        """The place reading has come to, or a number of bytes ahead: a number where it is known, or source."""
        if self.offset is None:
            return f"pos{self.tag} + {ahead}" if ahead else f"pos{self.tag}"
        ahead += self.offset
        if self.origin is not None:
            return self.origin + ahead
        return f"{self.start} + {ahead}" if ahead else self.start

    @property
    def pos(self) -> str:
        """Source for the place reading has come to."""
        return str(self.place())

    def held(self, f: Field) -> str:
        """Source for one more operand of what reads headers in a field, where these ask what stands around them."""
        raise NotImplementedError

    def bytes_before(self, f: Field) -> str:
        return f"data[{self.start}:o_{f.name}{self.tag}]"

    def raw_of(self, name: str) -> str:
        if name not in self.read:
            raise DeclareError(f"{self.cls.name}.{name}", "a field that is read before it is needed", "a later one")
        return self.v(name)

    # Expressions (see `expressions.Emitter`) -------------------------------------------------------------------------

    def value(self, name: str) -> str:
        if name not in self.read:
            raise DeclareError(f"{self.cls.name}.{name}", "a field that is read before it is needed", "a later one")
        condition = self.cls.by_name[name].condition
        return self.v(name) if condition is None or self.holds.get(str(condition)) else f"({self.v(name)} or 0)"

    def has(self, name: str) -> str:
        self.value(name)
        return f"({self.v(name)} is not None)"

    def size(self, part: str) -> str:
        if part in self.plan.measured:
            return f"z_{part}{self.tag}"
        if part in self.read and (f := self.cls.by_name[part]).kind.verbatim | (f.kind.wire == "coded"):
            return self.on_raw(part, written_size)
        if part != "payload":
            raise DeclareError(self.cls.name, 'size_of("payload") in a condition for reading', f"size_of({part})")
        return f"({self.total or self.end} - ({self.pos}))"

    def elsewhere(self, leaf: Elsewhere) -> str:
        raise NotImplementedError  # see `around.reading`

    def count(self, name: str) -> str:
        raise DeclareError(self.cls.name, "a number in a condition for reading", f"count_of({name})")

    def number(self, rule: Next) -> str:
        raise DeclareError(self.cls.name, "fields in a condition for reading", str(rule))

    def left_for(self, name: str) -> str:
        end = f"{self.end} - {self.plan.trailing}" if self.plan.trailing else self.end
        return f"({self.stop or self.total or end} - ({self.pos}))"

    def left_after(self, name: str) -> str:
        f = self.cls.by_name[name]
        size: int | str
        if f.kind.bits is not None:  # of a field that begins inside of a byte that one counts
            step = next(step for step in self.plan.head if f in step.fields)
            skip = sum(g.kind.fixed_bits for g in step.fields[: step.fields.index(f)]) % 8
            size = -(-(skip + f.kind.bits) // 8)
        else:
            size = self.size(name)
        return f"({self.end} - (o_{name}{self.tag} + {size}))"

    def ahead(self, bits: int) -> str:
        size, pos = -(-bits // 8), self.pos
        whole = f"data[{pos}]" if size == 1 else f"int.from_bytes(data[{pos}:{pos} + {size}], 'big')"
        return f"({whole} >> {size * 8 - bits} if {pos} + {size} <= {self.end} else -1)"

    # What follows --------------------------------------------------------------------------------------------

    @property
    def guard(self) -> str:
        """The condition that another header may follow at all."""
        code = f"{self.pos} < {self.payload}"
        return code if self.cls.opaque is None else f"{code} and not {self.cls.opaque.code(self)}"

    def numbered(self) -> list[tuple[Field, dict[int, Declaration]]]:
        """Return the fields whose numbers name the header that follows, and the headers of these numbers."""
        return [(f, registry.space(rule.space).headers) for f, rule in self.plan.numbered]

    def next_header(self) -> list[str]:
        """Return lines that find the header that follows: by number first, then by the conditions in order."""
        lookups = []
        for f, headers in self.numbered():
            self.names[f"H_{f.name}{self.tag}"] = headers
            lookups.append(f"H_{f.name}{self.tag}.get({self.v(f.name)})")
        conditions = registry.conditions(self.cls)
        following = f"n{self.tag}"
        if not lookups and not conditions:
            return [f"{following} = None"]
        held, self.lines = self.lines, [f"{following} = None"]
        self.lines.append(f"if {self.guard}:")
        lines, self.lines = self.lines, []
        if lookups:
            self.lines.append(f"{following} = " + " or ".join(lookups))
        for number, (rule, _, upper) in enumerate(conditions):
            self.names[f"C_{number}{self.tag}"] = upper
            # One below the other, for of elif Python takes some hundred only.
            self.lines.append(f"if {following} is None and {rule.code(self)}: {following} = C_{number}{self.tag}")
        lines += ["    " + line for line in self.lines]
        self.lines = held
        return lines

    def follows(self, upper: Declaration | None) -> str | None:
        """Return a condition under which `upper` follows (None: nothing does), None where only looking it up tells."""
        if len(self.plan.numbered) != 1 or upper is None:
            return None
        field, rule = self.plan.numbered[0]
        headers = registry.space(rule.space).headers
        numbers = [number for number, header in [*headers.items()] if header is upper]
        if not numbers:
            return None
        value = self.v(field.name)
        test = f"{value} == {numbers[0]}" if len(numbers) == 1 else f"{value} in {tuple(numbers)}"
        opaque = self.cls.opaque
        return None if opaque is not None and opaque.deep > DEEP else f"{test} and {self.guard}"


class Extents(ReadSoFar):
    """Writes where a header that is read ends, and its payload."""

    lines: list[str]
    stop: str
    away: str
    at_limit: str
    bounded: bool

    def check(self, condition: str) -> None:
        self.lines.append(f"if {condition}: {self.away}")

    def obeyed(self, fields: Iterable[Field]) -> None:
        """Check what fields have to obey, where they are there."""
        for f in fields:
            if f.must is not None:
                self.check(f"{self.v(f.name)} is not None and not {f.must.code(self)}")

    def decided(self, rule: Expr) -> int | None:
        """What a rule comes to by the values that are known; None where these do not tell."""
        raise NotImplementedError

    def bound(self, step: Bound) -> None:
        """Work out where the header or its payload ends; it may not lie before what was read."""
        which = {"self": "stop", "total": "total"}[step.part]
        var, size, after = which + self.tag, step.size.code(self), self.plan.head[self.plan.head.index(step) + 1 :]
        fields = [self.cls.by_name[name] for name in step.names]
        absent = {str(f.condition): self.v(f.name) for f in fields if f.condition is not None}
        rules = {rule: value for rule, value in absent.items() if not self.holds.get(rule)}
        alike = len(rules) == 1 and all(isinstance(more, When) and str(more.condition) in rules for more in after)
        if step.part == "self" and alike and [*rules][0] in self.holds:
            return
        if step.part == "self" and alike:  # without the field that tells its size the header ends here
            size = f"({size} if {next(iter(rules.values()))} is not None else {self.pos} - {self.start})"
        else:
            for value in rules.values():
                self.check(f"{value} is None")
        self.lines.append(f"{var} = {self.start} + {size}")
        self.check(f"not {self.pos} <= {var} <= {self.end}")
        setattr(self, which, var)

    def finish_header(self) -> None:
        if self.stop and self.at_limit != "self":
            self.check(f"{self.pos} != {self.stop}")
        if self.total and (self.offset is None or self.stop) and self.at_limit != "total":
            self.check(f"{self.total} < {self.pos}")

    def payload_end(self) -> str:
        end, tail = f"e{self.tag}", self.plan.trailing
        room = f"{self.end} - {tail}" if tail else self.end
        self.bounded = bool(self.total or self.plan.payload is not None or tail)
        if self.total:
            return self.total
        if self.plan.payload is not None:
            rule = self.plan.payload.size
            if isinstance(rule, If) and isinstance(rule.no, Const) and rule.no.number < 0:
                # Unknown but for a condition, as with Ethernet's length: nothing to work out where it fails.
                condition = rule.condition.code(self)
                if self.decided(rule.condition) == 0 and not tail:
                    self.bounded = False
                    return room
                self.lines += [f"if {condition}:", f"    {end} = {self.pos} + {rule.yes.code(self)}"]
                self.lines += [f"    if {end} > {self.end}: {self.away}", f"    if {end} < {self.pos}: {end} = {room}"]
                self.lines += [f"else: {end} = {room}"]
            elif isinstance(rule, Const) and rule.number == 0 and not tail:
                return self.pos
            else:
                self.lines.append(f"w = {rule.code(self)}")
                if self.plan.payload.field is not None:
                    self.check("w < 0")  # a length field cannot say so
                self.lines.append(f"{end} = {self.pos} + w if w >= 0 else {room}")
                self.check(f"{end} > {self.end}")
        elif tail:
            self.lines.append(f"{end} = {room}")
        else:
            return self.end
        if tail:
            self.check(f"{end} < {self.pos}")
        return end
