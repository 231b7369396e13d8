"""The compiler for many packets: from the declarations, source that finds the values of columns in a buffer of packets.

It goes the same way as `codec.decode`, header by header along the bindings, but reads only what decides the way and what was requested. Two writers share this: `scan_rows` (all packets a header at a time, in numpy) and `scan_loop` (one
packet after the other, for a compiler of such loops). A packet that does not fit its declarations is marked as unfit and
left to `dissect`, which knows what to say of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from packetlab.bulk.columns import Column
from packetlab.bulk.queries import Query, any_of, compared, counters, wanted
from packetlab.bulk.scannable import CANNOT, CodedScanner, beyond
from packetlab.codec.compiler import prove_once
from packetlab.declare import registry
from packetlab.declare.expressions import Const, Expr, Next
from packetlab.declare.kinds import Int, Kind
from packetlab.declare.plan import Bound, Coded, Fixed, Open, Padded, Sized, Step, When, needs
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.values.units import Run
from packetlab.errors import DeclareError
from packetlab.pattern.conditions import Condition, Match

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.pattern.paths import FieldPath

Place: TypeAlias = tuple[str, int]  # where something lies: "begin" or "pos", and bytes after it


def following(cls: Declaration) -> list[Declaration]:
    """Return the headers that may follow, each once."""
    by_number = [one for f in cls.fields if isinstance(f.rule, Next) for one in registry.space(f.rule.space).headers.values()]
    return [*dict.fromkeys([*by_number, *(upper for _, _, upper in registry.conditions(cls))])]


def on_the_way(first: Declaration, columns: Sequence[Query]) -> dict[Declaration, int]:
    """Return the declarations, numbered from 1, through which the headers of columns are reached from `first`."""
    reached = [first]
    onward: dict[Declaration, list[Declaration]] = {}
    for cls in reached:
        onward[cls] = [*following(cls), *refinements(cls)]
        reached += [upper for upper in onward[cls] if upper not in reached]
    wanted = {cls for cls in reached if any(_may_be(cls, column.declaration) for column in columns)}
    leading = set(wanted)
    while more := {cls for cls in reached if cls not in leading and any(one in leading for one in onward[cls])}:
        leading |= more
    return {cls: number for number, cls in enumerate((cls for cls in reached if cls in leading), 1)}


def _may_be(cls: Declaration, wanted: Declaration) -> bool:
    """Whether headers of a class are, or may turn out to be, of the one wanted."""
    return cls.is_a(wanted) or wanted.stands_for(cls)


class Scanner(CodedScanner):
    """Writes the source that goes over one header.

    In it `begin` is where the header starts and `end` what it may fill; `pos` is the place reached, where that is not a
    constant after `begin`; `v_...` are values of fields and `p_...` say whether they are there. Subclasses say how one
    thing is written: `check`, `fetch`, `store` and so on.
    """

    def __init__(self, cls: Declaration, numbers: dict[Declaration, int], columns: Sequence[Query]) -> None:
        prove_once(cls)
        self.cls, self.numbers = cls, numbers
        mine = [(place, column) for place, column in enumerate(columns) if _may_be(cls, column.declaration)]
        self.columns = [(place, column) for place, column in mine if isinstance(column, Column)]
        self.matches = [(place, match) for place, match in mine if isinstance(match, Match)]
        self.counters = {header: n for header, n in counters(columns).items() if cls.is_a(header)}
        self.plan = cls.plan
        self.lines: list[str] = []
        self.read: set[str] = set()
        self.offset: int | None = 0
        self.at_limit = self.stop = self.total = ""
        self.onward = [upper for upper in following(cls) if upper in numbers]
        self.rules = self._rules()
        self.needed = {f.name for f in cls.fields if f.fixed or (self.onward and isinstance(f.rule, Next) and f.kind.is_number)}
        self.needed = self.needed.union(*(needs(rule) for rule in self.rules))

    def _rules(self) -> list[Expr]:
        """Rules that decide where something lies or what follows."""
        cls = self.cls
        rules = [said[0] for said in (self.plan.own, self.plan.total, self.plan.payload) if said]
        rules += [*self.plan.sizes.values(), *self.plan.after.values()]
        rules += [f.condition for f in cls.fields if f.condition is not None]
        if self.onward:
            opaque = cls.opaque
            rules += [*cls.shortened, *([] if opaque is None else [opaque])]
            rules += [condition for condition, _, _ in registry.conditions(cls)]
        return rules

    def refusal(self) -> str:
        """Return why these headers cannot be gone over without making them, "" where they can; packets with them are unfit."""
        if refinements(self.cls) or self.plan.from_end:
            return "a header that others become, or a field that is counted from an end"
        for step in (steps := self.plan.steps):
            if type(step) in CANNOT and not step.fields[0].kind.form:
                return CANNOT[type(step)]
        if any(f.is_counted_from_outside for f in self.cls.fields):
            return "padding that is counted from elsewhere"
        if any(f.fixed and not f.kind.is_number for step in steps for f in step.fields):
            return "a constant of bytes"
        wide = any(unit.bits > 64 for unit in self.plan.units if unit.number)
        if wide or self.cls.transformed or self.cls.through or any(column.form == "objects" or column.path.deep for _, column in self.columns):
            return "numbers of more than 64 bits, or bytes that stand for others"
        return beyond(self.rules, self.cls)

    def source(self) -> list[str]:
        why = self.refusal()
        if why:
            self.put(f"# {why}")
            self.away()
            return self.lines
        self.enter()
        self.give("", ("begin", 0))  # what turns out to be unfit is looked at anew
        for number, match in self.matches:
            for place, _ in enumerate(match.conditions):
                self.let(f"q_{number}_{place}", "False", same=True)
        for step in self.plan.head:
            self.step(step)
        if self.stop and self.at_limit != "self":
            self.check(f"{self.pos} != stop")
        if self.total and (self.offset is None or self.stop) and self.at_limit != "total":
            self.check(f"total < {self.pos}")
        end = self.payload_end()
        self.give("payload", self.place(), f"{end} - ({self.pos})")
        self.trailer(end)
        for number, match in self.matches:
            self.mark(number, match, [f"q_{number}_{place}" for place, _ in enumerate(match.conditions)])
        for short in self.cls.shortened if self.onward else ():
            self.cut_short(short.code(self))
        self.leave(end)
        return self.lines

    # What subclasses write ---------------------------------------------------------------------------------------

    def away(self) -> None:
        """Mark the packet as unfit and go no further."""
        raise NotImplementedError

    def enter(self) -> None:
        """Count one more header of this kind."""

    def check(self, bad: str) -> None:
        """Mark the packet as unfit where `bad` holds."""
        raise NotImplementedError

    def put(self, line: str) -> None:
        raise NotImplementedError

    def let(self, name: str, code: str, same: bool = False) -> None:
        """Give a variable a value; `same`: one that does not depend on the packet."""
        raise NotImplementedError

    def work_out(self, name: str, rule: Expr, form: str = "{}") -> None:
        """Give a variable the value of a rule."""
        self.let(name, form.format(rule.code(self)), same=all(isinstance(leaf, Const) for leaf in rule.leaves()))

    def keep(self, code: str) -> str:
        """Give a new variable a value; return its name."""
        self.let(name := f"v_{len(self.lines)}", code)  # no field is called so
        return name

    def fetch(self, at: Place, size: int, kind: Kind, shift: int = 0) -> str:
        """Return source for a number in the `size` bytes at a place: the bits of `kind` above the lowest `shift`."""
        raise NotImplementedError

    def begin_if(self, condition: str) -> None:
        """Let the lines that follow hold only where `condition` does."""
        raise NotImplementedError

    def end_if(self) -> None:
        raise NotImplementedError

    def clip(self, name: str) -> None:
        """Let a place that lies after `end` be `end` where bytes are rightly missing there; elsewhere it is unfit."""
        raise NotImplementedError

    def cut_short(self, condition: str) -> None:
        """Note where `condition` holds that what follows is rightly shorter than it says."""
        raise NotImplementedError

    def store(self, number: int, column: Column, at: Place, size: int | str, value: str) -> None:
        """Put into column `number` the `value` or, where that is empty, the bytes at a place (`size` of them)."""
        raise NotImplementedError

    def mark(self, number: int, match: Match, conditions: list[str]) -> None:
        """Note that match `number` is met where all conditions hold, in this header or in any."""
        raise NotImplementedError

    def leave(self, end: str) -> None:
        """Go on to the header that follows."""
        raise NotImplementedError

    # What expressions ask for (see expressions.Emitter) ------------------------------------------------------------
    joins: ClassVar[dict[str, str]] = {}

    def one_of(self, value: str, among: tuple[int, ...]) -> str:
        return any_of([f"({value} == {number})" for number in among] or [f"({value} != {value})"])

    def value(self, name: str) -> str:
        if name not in self.read:
            raise DeclareError(f"{self.cls.name}.{name}", "a field that is read before it is needed", "a later one")
        return f"v_{name}"

    def has(self, name: str) -> str:
        return f"p_{name}"

    def size(self, part: str) -> str:
        return f"z_{part}" if part in self.plan.measured else f"({self.total or 'end'} - ({self.pos}))"

    def count(self, name: str) -> str:
        raise DeclareError(self.cls.name, "a number in a condition for reading", f"count_of({name})")

    def number(self, rule: Next) -> str:
        raise DeclareError(self.cls.name, "fields in a condition for reading", str(rule))

    def ahead(self, bits: int) -> str:
        raise NotImplementedError

    # Going over a header -------------------------------------------------------------------------------------------

    @property
    def pos(self) -> str:
        """Source for the place reached."""
        if self.offset is None:
            return "pos"
        return f"begin + {self.offset}" if self.offset else "begin"

    def float(self) -> None:
        """Let the place be a variable from here on."""
        if self.offset is not None:
            self.let("pos", self.pos)
            self.offset = None

    def advance(self, size: int | str) -> None:
        if self.offset is not None and isinstance(size, int):
            self.offset += size
        else:
            self.float()
            self.let("pos", f"pos + {size}")

    def place(self, more: int = 0) -> Place:
        """The place reached and `more` bytes."""
        return ("pos", more) if self.offset is None else ("begin", self.offset + more)

    def give(self, name: str, at: Place, size: int | str = 0, value: str = "") -> None:
        """Store what lies here in the columns that ask for it: a field's name, "payload", or "" for the header."""
        for number, column in self.columns:
            if column.own == name:
                found = self.part(column.path, at, value) if column.form == "number" else ""
                self.store(number, column, (at[0], at[1] + column.path.skip), size, found)
        for number, match in self.matches:
            for place, (path, condition) in enumerate(zip(match.paths, match.conditions, strict=True)):
                if path.names[0] == name:
                    never = condition.sign == "in" and not wanted(condition)
                    self.let(f"q_{number}_{place}", self.test(condition, path, at, value), same=never)

    def part(self, path: FieldPath, at: Place, value: str) -> str:
        """Return source for the number that a path means in the field that lies here; `value` is that of the field."""
        if path.flag:
            bits = compared(value, "masked", path.fields[-1].kind, (path.flag, path.flag))
            return f"(({bits}) * 1)"
        return value or self.fetch((at[0], at[1] + path.skip), path.kind.fixed_bits // 8, Int(path.kind.fixed_bits))

    def test(self, condition: Condition, path: FieldPath, at: Place, value: str) -> str:
        """Return source for whether a condition holds of the field that lies here."""
        sign, values, kind = condition.sign, wanted(condition), path.kind
        if kind.is_number:
            return compared(self.part(path, at, value), sign, kind, values)
        size = kind.fixed_bits // 8
        if size == 4:
            numbers = [int.from_bytes(raw, "big") for raw in values]
            return compared(self.part(path, at, ""), sign, Int(32), numbers)
        same = []
        masks = sign in ("masked", "unmasked")
        for raw in values[1:] if masks else values:
            parts = []
            for i in range(0, size, 4):
                width = min(4, size - i)
                number = self.fetch((at[0], at[1] + path.skip + i), width, Int(width * 8))
                if masks:
                    number = f"({number} & {int.from_bytes(values[0][i : i + width], 'big')})"
                parts.append(f"({number} == {int.from_bytes(raw[i : i + width], 'big')})")
            same.append(f"({' & '.join(parts)})")
        return any_of(same) + (" == False" if sign in ("!=", "unmasked") else "")

    def run(self, piece: Run) -> None:
        self.check(f"{self.pos} + {piece.size} > {self.stop or 'end'}")
        self.take(piece)
        self.advance(piece.size)

    def take(self, piece: Run) -> None:
        """Read the needed values of a run, and store the columns in it."""
        at = 0
        for unit in piece.units:
            for f, below in unit.places:
                first, last, shift = unit.spot(f, below)
                where, value = self.place(at + first), ""
                if f.kind.wire == "number":
                    value = self.fetch(where, last - first, unit.turned(f.kind), shift)
                    if f.name in self.needed:
                        self.let(f"v_{f.name}", value)
                        self.read.add(f.name)
                        value = f"v_{f.name}"
                        if f.fixed:
                            self.check(compared(value, "!=", f.kind, (f.default,)))
                self.give(f.name, where, f.kind.fixed_bits // 8, value)
            at += unit.bits // 8

    def step(self, step: Step) -> None:
        """Go over one step of the header."""
        if isinstance(step, When):
            self.float()
            name = step.field.name
            self.work_out(f"p_{name}", step.condition, "({}) != 0")
            if (isinstance(step.step, Fixed) and name in self.needed) or step.field.kind.form:
                self.let(f"v_{name}", "0", same=True)
            self.begin_if(f"p_{name}")
            if isinstance(step.step, Fixed):
                self.float()
            self.step(step.step)
            self.end_if()
        elif isinstance(step, Bound):
            self.bound(step)
        elif isinstance(step, Fixed):
            self.run(step.run)
        elif isinstance(step, Open):
            self.open_end(step)
        elif isinstance(step, Coded):
            self.coded(step.field)
        else:
            assert isinstance(step, Sized | Padded)  # see `refusal`
            self.sized(step)

    def sized(self, step: Sized | Padded) -> None:
        self.float()
        if isinstance(step, Padded):
            self.let("w", f"-(pos - begin) % {step.multiple}")
        else:
            self.work_out("w", step.size)
        self.check(f"(w < 0) | (pos + w > {self.stop or 'end'})")
        if step.field.kind.form and isinstance(step, Sized):
            self.coded(step.field)
        else:
            self.give(step.field.name, ("pos", 0), "w")
            self.advance("w")

    def open_end(self, step: Open) -> None:
        """Go over a field that takes all up to a limit."""
        limit = self.stop or self.total or "end"
        self.at_limit = "self" if self.stop else "total" if self.total else ""
        if not self.at_limit and self.plan.trailing:
            limit = f"end - {self.plan.trailing}"
            self.check(f"{limit} < {self.pos}")
        if step.after is not None:
            self.let("e", f"{limit} - {step.after.code(self)}")
            limit, self.at_limit = "e", ""
            self.check(f"e < {self.pos}")
        self.let("w", f"{limit} - ({self.pos})")
        self.give(step.field.name, self.place(), "w")
        self.float()
        self.let("pos", limit)

    def bound(self, step: Bound) -> None:
        """Work out where the header or its payload ends."""
        which = {"self": "stop", "total": "total"}[step.part]
        for name in sorted(step.names):
            if self.cls.by_name[name].condition is not None:
                self.check(f"p_{name} == False")
        self.let(which, f"begin + {step.size.code(self)}")
        self.check(f"{which} < {self.pos}")
        if step.part == "self":
            self.check("stop > end")
        else:
            self.clip("total")
        setattr(self, which, which)

    def payload_end(self) -> str:
        tail = self.plan.trailing
        room = f"end - {tail}" if tail else "end"
        if self.total:
            return self.total
        if self.plan.payload is not None:
            rule, said_by = self.plan.payload
            self.work_out("w", rule)
            if said_by is not None:
                self.check("w < 0")
                self.let("e", f"{self.pos} + w")
            else:
                self.let("e", self.choose("w >= 0", f"{self.pos} + w", room))
                if tail:
                    self.check(f"e < {self.pos}")
            self.clip("e")
            return "e"
        if tail:
            self.let("e", room)
            self.check(f"e < {self.pos}")
            return "e"
        return "end"

    def trailer(self, end: str) -> None:
        """Go over what stands after the payload."""
        if not self.plan.trailer:
            return
        if self.offset is not None:
            self.let("pos", self.pos)
        self.let("after", "pos")
        self.offset = None
        self.let("pos", end)
        for step in self.plan.trailer:
            if isinstance(step, Fixed):
                self.check(f"pos + {step.run.size} > end")
                self.take(step.run)
                self.advance(step.run.size)
            else:
                assert isinstance(step, Padded)  # see `validate`
                self.let("w", f"-(pos - begin) % {step.multiple}")
                self.check("pos + w > end")
                self.give(step.field.name, ("pos", 0), "w")
                self.advance("w")
        self.let("pos", "after")

    def branches(self, every: bool = False) -> list[tuple[list[str], int]]:
        """Return how it goes on, in order: conditions of which one must hold, and the number of the header (0: none).

        What leads nowhere is left out at the end, unless for `every`; nothing is said where no header requested follows.
        """
        if not self.onward:
            return []  # so the fields that would say need not have been read
        found: list[tuple[list[str], int]] = []
        for f, switch in self.plan.numbered:
            numbers: dict[int, list[str]] = {}
            for number, upper in [*registry.space(switch.space).headers.items()]:
                test = f"({compared(self.value(f.name), '==', f.kind, (number,))})"
                test = test if f.condition is None else f"({self.has(f.name)} & {test})"
                numbers.setdefault(self.numbers.get(upper, 0), []).append(test)
            found += sorted(((tests, number) for number, tests in numbers.items()), key=lambda branch: branch[1] == 0)
        for rule, _, upper in registry.conditions(self.cls):
            found.append(([f"(({self.condition(rule)}) != 0)"], self.numbers.get(upper, 0)))
        while found and found[-1][1] == 0 and not every:
            found.pop()
        return found

    def condition(self, rule: Expr) -> str:
        """Return source for a condition of a binding."""
        return rule.code(self)
