"""The way through a header whose fields lie at known places: what is checked on it, and how the header is made later.

A header of fixed fields (and bytes up to an end that these tell, like the options of IPv4) lies at the same places in
all packets in which some of its fields, those of few bits that decide where things are, have the same values. So a
`Placed` header is read for one set of `known` values: they are compared, a unit at a time, only what else decides the way
is read, and nothing is made.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Any, TypeAlias

from packetlab.codec.decode import Decoding
from packetlab.codec.objects import classes
from packetlab.codec.source import Compiled, function
from packetlab.declare import registry
from packetlab.declare.expressions import Const, Elsewhere, Ref
from packetlab.declare.plan import Bound, Fixed, Open
from packetlab.declare.values.units import Run, Unit

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field

Headers: TypeAlias = tuple[Any, ...]
"""Some headers of the class that `packet.packet` declares."""
FEW = 16  # bits from which on a field that decides the way is read, not compared


def placeable(cls: Declaration) -> bool:
    """Whether all fields of a header lie at known places once some of them are known."""
    own = cls.plan.own
    if cls.outer_leaves or cls.remembers or any(isinstance(leaf, Elsewhere) for rule, _, _ in registry.conditions(cls) for leaf in rule.leaves()):
        return False
    if own is not None and not all(isinstance(leaf, Ref | Const) for leaf in own.size.leaves()):
        return False
    steps = [step for step in cls.plan.head if not isinstance(step, Fixed | Bound)]
    if steps and isinstance(steps[0], Open) and steps[0].after is None and own is not None:
        steps = steps[1:]
    return not steps and not cls.plan.trailer and not any(f.is_judged for f in cls.fields)


def is_open(cls: Declaration) -> bool:
    """Whether a header goes on, after its fixed fields, to an end that these tell."""
    return any(isinstance(step, Open) for step in cls.plan.head)


class Placed(Decoding):
    """Writes the way through one header that begins at the byte `at` and may fill up to `end`, if fields are as `known`.

    Attributes:
        tests: conditions that fields are as known. wanted: variable -> place and `struct` code of a unit that is read.
        least: variable of an end -> where what was found must have ended by then. extent: where its fixed fields end.
    """

    def __init__(
        self, cls: Declaration, tag: str = "", at: int = 0, end: str = "end", known: dict[str, int] | None = None
    ) -> None:
        super().__init__(cls, tag, at, end, away="return None")
        self.known = known or {}
        self.at = at
        self.own: int | None = None  # how many bytes it has, where that is known
        self.extent = at
        self.wanted: dict[str, tuple[int, str]] = {}
        self.tests: list[str] = []
        self.least: dict[str, int] = {}
        self.units: dict[str, tuple[Unit, int]] = {}
        self.numbers: dict[str, str] | None = None  # variable -> source of a number that several fields share, where these are read
        self.rest = "None"  # source for the bytes that go on to the end of the header
        self.bare = False  # whether there are none of these
        self.ending: list[str] = []  # the lines that find its end, where that is not known

    def source(self) -> str:
        for step in self.plan.head:
            self.step(step)
        if self.offset is None:
            self.check(f"{self.stop} > {self.end}")
        self.reach(self.end)
        for short in self.cls.shortened:
            if self.decided(short) != 0:
                self.check(short.code(self))  # what is cut short by right is read the careful way
        self.outer = self.payload = end = self.payload_end()
        return end

    def reach(self, end: str) -> None:
        """Note that what was read so far must lie before `end`."""
        self.least[end] = max(self.least.get(end, 0), self.extent)

    def fixed(self, run: Run) -> None:
        for unit in run.units:
            place = self.at + (self.offset or 0)
            self.units.update((f.name, (unit, place)) for f in unit.fields)
            self.read.update(f.name for f in unit.fields)
            self.offset = place - self.at + unit.bits // 8
            self.extent = self.at + self.offset
            self.compare(unit, place)

    def compare(self, unit: Unit, place: int) -> None:
        """Test the fields of a unit whose values are known."""
        mask = value = 0
        for f, shift in unit.places:
            bits = f.kind.fixed_bits
            number = self.known.get(f.name, f.default if f.fixed else None)
            if isinstance(number, bytes):
                self.tests.append(f"{self.variable(unit, place)} == {number!r}")
            elif number is not None:
                every = (1 << bits) - 1
                mask, value = mask | every << shift, value | (number & every) << shift
        if mask:
            whole = self.whole(unit, place)
            all_of_it = mask == (1 << unit.bits) - 1
            number = value - (1 << unit.bits) if unit.signed and value >> unit.bits - 1 else value
            self.tests.append(f"{whole} == {number}" if all_of_it else f"{whole} & {mask:#x} == {value:#x}")

    def variable(self, unit: Unit, place: int) -> str:
        """The variable for what is read of a unit."""
        name = f"u{place}{self.tag}"
        wide = unit.little and unit.bits > 8
        self.wanted[name] = place, f"{unit.bits // 8}s" if wide else unit.code
        return name

    def whole(self, unit: Unit, place: int) -> str:
        """Source for a unit as a number."""
        name = self.variable(unit, place)
        if not unit.by_bytes and not (unit.little and unit.bits > 8):
            return name
        code = f"int.from_bytes({name}, '{'little' if unit.little else 'big'}'{', signed=True' * unit.signed})"
        if self.numbers is None or len(unit.fields) == 1:
            return code
        self.numbers[f"n{place}{self.tag}"] = code
        return f"n{place}{self.tag}"

    # Expressions (see `expressions.Emitter`) -------------------------------------------------------------------------

    def value(self, name: str) -> str:
        if name in self.known:
            return f"({self.known[name]})" if self.known[name] < 0 else str(self.known[name])
        unit, place = self.units[name]
        if not unit.number:
            return self.variable(unit, place)
        code = self.whole(unit, place)
        for f, after in unit.places:
            if f.name == name and len(unit.fields) > 1:
                bits = f.kind.fixed_bits
                code = f"{code} >> {after}" if after else code
                code = f"({code} & {(1 << bits) - 1:#x})" if after + bits < unit.bits else f"({code})"
                if f.kind.wire == "number" and f.kind.signed:
                    half = 1 << bits - 1
                    code = f"(({code} ^ {half}) - {half})"
        return code

    v = value

    def has(self, name: str) -> str:
        return "True"

    # Reading -------------------------------------------------------------------------------------------------

    def place(self, ahead: int = 0) -> int | str:
        return self.stop if self.offset is None else super().place(ahead)

    def open(self, step: Open) -> None:
        if self.own is None:
            self.rest, self.offset = f"data[{self.extent}:{self.stop}]", None
            return
        stop = self.at + self.own
        self.bare = self.extent >= stop
        self.rest = "b''" if self.bare else f"data[{self.extent}:{stop}]"
        self.extent, self.offset = stop, self.own

    def bound(self, step: Bound) -> None:
        size = self.decided(step.size)
        if step.part == "self" and size is not None:
            self.own, self.stop = size, str(self.at + size)
            return
        which = {"self": "stop", "total": "total"}[step.part]
        var = which + self.tag
        setattr(self, which, var)
        before = len(self.lines)
        self.lines.append(f"{var} = {self.at} + {step.size.code(self)}")
        if step.part == "self":
            self.ending = self.lines[before:]
        self.reach(var)
        if step.part == "total":
            self.check(f"{var} > {self.end}")

    # What follows --------------------------------------------------------------------------------------------

    def leads_to(self, upper: Declaration | None) -> bool | None:
        """Whether `upper` follows (None: nothing does) by what is known; None where only looking it up tells."""
        for f, headers in self.numbered():
            if f.name not in self.known:
                return None
            found = headers.get(self.known.get(f.name, -1))
            if found is not None:
                return found is upper
        return None if registry.conditions(self.cls) else upper is None

    def numbered(self) -> list[tuple[Field, dict[int, Declaration]]]:
        # Where nothing has a number yet there is nothing to look for: all is written anew when that changes.
        return [(f, headers) for f, headers in super().numbered() if headers]

    def follows(self, upper: Declaration | None) -> str | None:
        if not self.leads_to(upper):
            return None
        opaque = self.opaque()
        return "" if upper is None else f"{self.pos} < {self.payload}" + (f" and not {opaque}" if opaque else "")

    def opaque(self) -> str:
        """Source for whether nothing follows whatever the numbers say, "" for never."""
        opaque = self.cls.opaque
        return "" if opaque is None or self.decided(opaque) == 0 else opaque.code(self)


def unpacked(wanted: dict[str, tuple[int, str]], names: dict[str, object]) -> list[str]:
    """Return the line that reads units, all by one call; none where there are none. `names` gets what it refers to."""
    letters, at = "", 0
    for place, code in sorted(wanted.values()):
        letters += f"{place - at}x{code}" if place > at else code
        at = place + Struct(code).size
    key = f"S_{len(names)}"
    names[key] = Struct(">" + letters).unpack_from
    return [f"{', '.join(sorted(wanted, key=lambda name: wanted[name]))}, = {key}(data)"] if wanted else []


def valued(part: Placed) -> tuple[dict[str, tuple[int, str]], list[str], list[str]]:
    """Return what of a header has to be unpacked, lines that find numbers and its end, and source for each of its values."""
    read = Placed(part.cls, part.tag, part.at, known=part.known)
    read.numbers = {}
    read.source()
    if not read.ending:
        read.wanted.clear()
        read.numbers.clear()
    values = []
    for f in part.cls.fields:
        if f.name in read.units:
            values.append(repr(f.default) if f.fixed else read.value(f.name))
        else:  # where there are no items these are looked into already
            values.append("()" if f.kind.wire == "items" and read.bare else read.rest)
    return read.wanted, [*(f"{name} = {code}" for name, code in read.numbers.items()), *read.ending], values


def made(part: Placed, header: str, names: dict[str, object]) -> list[str]:
    """Return the lines that make a header of ``data``; `names` gets what they refer to."""
    wanted, stop, values = valued(part)
    names.update({"new": classes[part.cls].__new__, f"of{part.tag}": (classes[part.cls],)})
    lines = [*unpacked(wanted, names), *stop, f"{header} = new(*of{part.tag})"]
    lines += [f"{header}._state = {part.cls.captured_state:#x}"]
    return lines + [f"{header}.{f.slot} = {value}" for f, value in zip(part.cls.fields, values, strict=True)]


def maker(part: Placed, i: int) -> Compiled:
    """Return ``make(packet)`` -> its header `i`, which is made of its bytes when it is first needed."""
    names: dict[str, object] = {}
    lines = ["data = p._data", *made(part, "h", names), f"p._made[{i}] = h", "return h"]
    return function(["def make(p):", *("    " + line for line in lines)], names, f"{part.cls.name} at {part.at}")


def maker_of_all(parts: list[Decoding]) -> Callable[[object], Headers]:
    """Return ``make(packet)`` -> all headers of a packet, those not made yet made of their bytes."""
    names: dict[str, object] = {}
    headers = "".join(f"h{i}, " for i in range(len(parts)))
    lines = ["    data, made = p._data, p._made"]
    for i, part in enumerate(parts):
        lines.append(f"    h{i} = made[{i}]")
        if isinstance(part, Placed):
            lines += [f"    if h{i} is None:", *(f"        {line}" for line in made(part, f"h{i}", names))]
    # Of threads that come at once the first one has made them.
    lines += [f"    made.append(({headers}))", f"    return made[{len(parts)}]"]
    return function(["def make(p):", *lines], names, "headers")
