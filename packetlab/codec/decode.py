"""The compiler for what comes in: a declaration becomes ``decode(data, start, end, ctx)``.

The function written here handles bytes that fit the declaration. At the first that do not (too short, a size that
reaches beyond its surroundings, a constant that differs) it hands over to `lenient`, which keeps what can be
understood and notes the faults.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from struct import error as struct_error
from typing import TYPE_CHECKING

from packetlab.codec.around.lists import one_by_one
from packetlab.codec.around.outer import holds_contextual, is_around, is_contextual, is_read_now, outer_beside
from packetlab.codec.around.reading import Hearing
from packetlab.codec.bits.reading import BitReading
from packetlab.codec.context.recalling import marked, remember_read, rewind
from packetlab.codec.faults import Dissection, Values
from packetlab.codec.lenient import read_items, walk
from packetlab.codec.objects import classes
from packetlab.codec.places.from_end import FromEnd
from packetlab.codec.places.item_values import ItemValues
from packetlab.codec.places.laying import handing_out
from packetlab.codec.refinement.depth import is_nested, is_recursive, quick
from packetlab.codec.refinement.reading import Refining
from packetlab.codec.source import Compiled, function
from packetlab.declare import registry
from packetlab.declare.bits.stretches import Loose
from packetlab.declare.expressions import Const, Expr, Ref
from packetlab.declare.fields import Filled
from packetlab.declare.plan import (
    Bound,
    Coded,
    Counted,
    Fixed,
    Follows,
    Gap,
    Listed,
    Open,
    Padded,
    Sized,
    Step,
    When,
)
from packetlab.declare.refinement.heaps import heaps_of
from packetlab.declare.values.units import Run, Unit

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field

SURE = 1 << 62
"""As many bytes as no header needs."""


class Decoding(BitReading, Refining, FromEnd, Hearing):
    """Writes the source that reads one header.

    By itself it becomes ``decode``; with a `tag` it is one part of a function for whole packets (see `stacks`), which
    keeps the names of the parts apart. `start` and `end` say where the header begins (a number or source) and what it may fill;
    `away` is what to do with bytes that do not fit, `sure` how many are there at the least.
    """

    def __init__(
        self,
        cls: Declaration,
        tag: str = "",
        start: str | int = "start",
        end: str = "end",
        away: str = "return walk(declaration, data, start, end, ctx)",
        sure: int = 0,
    ) -> None:
        self.cls, self.tag, self.start, self.end, self.away, self.sure = cls, tag, str(start), end, away, sure
        self.origin = start if isinstance(start, int) else None
        self.outer_values: dict[str, str] = {}
        self.known: dict[str, int] = {}  # fields whose values are the same in all headers that are read
        self.plan = cls.plan
        self.lines: list[str] = []
        self.read: set[str] = set()
        # Source for where reading has come to: the start and a constant as long as that is known, then a variable.
        self.offset: int | None = 0
        self.at_limit = ""  # what the place is known to be the end of, as in `Bound`
        self.bounded = False  # whether its payload may end before what it may fill
        self.payload = end  # source for where the payload ends
        self.outer = end  # source for where all of this layer ends
        self.names: dict[str, object] = {
            "walk": walk, "read_items": read_items,
            f"of{tag}": (classes[cls],), f"new{tag}": classes[cls].__new__, f"declaration{tag}": cls,
        }  # fmt: skip
        self.under: tuple[Expr | None, tuple[int, int]] = (None, (0, 0))  # the last condition and where its lines begin and end
        self.holds: dict[str, bool] = {}
        self.caught = False  # whether reading beyond the end is caught
        self.became: list[str] = []
        self.stop = self.total = ""  # the variables that hold where this header and its payload end, once known

    def compile(self) -> Compiled:
        """Return ``decode(data, start, end, ctx) -> (header, payload start, payload end, declaration of the next or None)``."""
        if holds_contextual(self.cls):  # its items may say something for those after them, which are read anew where it is
            self.names.update(marked=marked, rewind=rewind)
            self.lines.append(self.mark())
            self.away, self.became = "return walk(declaration, data, start, end, ctx, m)", ["rewind(m)", "return y._decode(data, start, end, ctx)"]
        end = self.source()
        self.lines += self.next_header()
        for short in self.cls.shortened:
            self.lines.append(f"if {short.code(self)}: ctx.partial = True")
        if self.cls.remembers:
            self.names["remember_read"] = remember_read
            self.lines.append("remember_read(h, ctx.layers)")
        self.lines.append(f"return h, {self.pos}, {end}, n")
        head = "def decode(data, start, end, ctx):"
        return function([head, *("    " + line for line in self.lines)], self.names, f"{self.cls.name}.decode")

    def source(self) -> str:
        """Write the lines; return the source for the end of the payload."""
        self.read_around()
        end = self.steps(self.plan.head)
        self.made()
        return end

    def steps(self, steps: list[Step]) -> str:
        """Read the rest of the header, from some step on; return the source for the end of the payload."""
        for step, after in zip(steps, [*steps[1:], None], strict=False):
            least, self.sure = self.sure, SURE if self.caught and self.reaches(after) else self.sure
            self.step(step)
            self.sure = least
            self.chosen()
        self.finish_header()
        self.payload = end = self.payload_end()
        self.trailer(end)
        for f in self.cls.transformed:
            self.opened(f)
        for f in (f for f in self.cls.fields if f.kind.judges and not f.kind.transforms):
            self.names[f"J_{f.name}{self.tag}"] = f.kind.wrong
            surely = f"not {f.kind.surely.format(self.v(f.name))} and " if f.kind.surely else ""
            self.check(f"{self.v(f.name)} is not None and {surely}J_{f.name}{self.tag}({self.v(f.name)})")
        self.obeyed(self.cls.fields)
        self.handed_out()
        return end

    def handed_out(self) -> None:
        """Give the items of lists their bytes that lie in a field of this header."""
        for f, within in heaps_of(self.cls):
            var, key = self.v(f.name), f"H_{f.name}{self.tag}"
            self.names[key] = handing_out(f)
            self.lines.append(f"w = {var} is None or {key}({var}, {self.v(within.name)}, o_{within.name}{self.tag} - {self.start})")
            self.check("w is None")
            self.lines.append(f"if {var} is not None: {var} = w")

    def made(self) -> None:
        """Make the header of what was read."""
        tag = self.tag
        self.new_header()
        for f in self.cls.fields:
            value = "None" if f.kind.wire == "payload" else self.v(f.name)
            self.lines.append(f"h{tag}.{f.slot} = {value}")
        self.lines += [f"h{tag}._state = {self.cls.captured_state:#x}", *([f"h{tag}.__outer__ = {outer}"] if (outer := self.remembered()) else [])]

    # Reading -------------------------------------------------------------------------------------------------

    def decided(self, rule: Expr) -> int | None:
        """What a rule comes to by the values that are known; None where these do not tell."""
        leaves = rule.leaves()
        if not all(isinstance(leaf, Const) or (isinstance(leaf, Ref) and leaf.name in self.known) for leaf in leaves):
            return None
        return rule.evaluate(Values(self.known, b"", 0))

    @property
    def limit(self) -> str:
        """Source for where the header's own bytes end at the latest."""
        return self.stop or self.end

    def check(self, condition: str) -> None:
        self.lines.append(f"if {condition}: {self.away}")

    def float(self) -> str:
        """Let the place be a variable from here on; returns its name."""
        if self.offset is not None:
            self.lines.append(f"pos{self.tag} = {self.pos}")
            self.offset = None
        return self.pos

    def step(self, step: Step) -> None:
        """Read one step of the header."""
        how: dict[type[Step], Callable[..., None]] = {
            When: self.when, Bound: self.bound, Open: self.open, Sized: self.sized, Padded: self.sized, Gap: self.sized, Listed: self.listed,
            Fixed: lambda step: self.fixed(step.run), Coded: lambda step: self.coded(step.field, self.limit),
            Counted: self.counted, Follows: self.follows_from, Loose: self.loose,
        }  # fmt: skip
        bits = 0
        for f in step.fields:
            if getattr(f.kind, "uses_header", False) or self.is_marked(f.name):
                self.lines.append(f"o_{f.name}{self.tag} = {self.place(bits // 8)}")
            bits += f.kind.fixed_bits
        how[type(step)](step)
        self.constants([] if isinstance(step, Fixed | When | Loose) else step.fields)
        self.read.update(f.name for f in step.fields)

    def fixed(self, run: Run) -> None:
        if self.offset is None or self.stop or self.offset + run.size > self.sure:
            self.check(f"{self.place(run.size)} > {self.limit}")
        self.unpack(run, self.pos)
        if self.offset is not None:
            self.offset += run.size
        else:
            self.lines.append(f"{self.pos} += {run.size}")

    def unpack(self, piece: Run, at: str) -> None:
        var = f"S_{len(self.names)}{self.tag}"
        targets, after = [], []
        for number, unit in enumerate(piece.units):
            alone = len(unit.fields) == 1 and not unit.by_bytes
            whole = self.v(unit.fields[0].name) if alone else f"u{number}"
            targets.append(whole)
            after += [] if alone else self.split(unit, whole)
            self.read.update(f.name for f in unit.fields)
        if piece.size == len(targets) <= 2 and all(unit.code == "B" for unit in piece.units):  # quicker than a call
            self.lines += [f"{target} = data[{at}{f' + {i}' if i else ''}]" for i, target in enumerate(targets)]
        else:
            self.names[var] = piece.struct.unpack_from
            self.lines.append(f"{', '.join(targets)}, = {var}(data, {at})")
        self.lines += after
        self.constants(piece.fields)

    def constants(self, fields: list[Field]) -> None:
        """Check what was read for fields that always have one value."""
        for f in fields:
            if f.fixed:
                self.names[key := f"D_{f.name}{self.tag}"] = f.default
                self.check(f"{self.v(f.name)} != {f.default if isinstance(f.default, int) else key}")

    def split(self, unit: Unit, whole: str) -> list[str]:
        """Take the fields of a shared unit apart."""
        lines = []
        if unit.by_bytes:
            order = "little" if unit.little else "big"
            lines.append(f"{whole} = int.from_bytes({whole}, '{order}'{', signed=True' * unit.signed})")
        for f, shift in unit.places:
            bits = f.kind.fixed_bits
            code = f"{whole} >> {shift}" if shift else whole
            if shift + bits < unit.bits:
                code = f"({code}) & {(1 << bits) - 1}" if shift else f"{code} & {(1 << bits) - 1}"
            if f.kind.wire == "number" and f.kind.signed and len(unit.fields) > 1:
                code = f"(({code}) ^ {1 << bits - 1}) - {1 << bits - 1}"
            lines.append(f"{self.v(f.name)} = {code}")
        return lines

    def when(self, step: When) -> None:
        """Read a step that may be absent; steps in a row with one condition stand under one `if`."""
        condition, var, holds = step.condition.code(self), self.v(step.field.name), str(step.condition)
        if holds in self.holds:
            if self.holds[holds]:
                self.step(step.step)
            else:
                self.lines.append(f"{var} = None")
            return
        self.float()
        known, place = self.under
        if known is None or len(self.lines) != place[1] or str(known) != str(step.condition) or step.field.left:
            place = len(self.lines), 0
            self.lines.append(f"if {condition}:")
        self.lines[place[0] : place[0]] = absent = [] if step.field.from_end else [f"{var} = None"]  # else it is known already
        before, self.holds[holds] = len(self.lines), True
        self.step(step.step)
        del self.holds[holds]
        self.lines[before:] = ["    " + line for line in self.lines[before:]]
        self.under = step.condition, (place[0] + len(absent), len(self.lines))

    def open(self, step: Open) -> None:
        """Take all up to the end of what surrounds it; items are looked into when somebody asks."""
        var, here = self.v(step.field.name), self.pos
        limit = self.stop or self.total or self.end
        self.at_limit = "self" if self.stop else "total" if self.total else ""
        if not self.at_limit and self.plan.trailing:
            limit = f"{self.end} - {self.plan.trailing}"
            self.check(f"{limit} < {here}")
        if step.after is not None:
            self.read_from_end(limit, here)
            self.lines.append(f"w = {limit} - {step.after.code(self)}")
            limit, self.at_limit = "w", ""
            self.check(f"w < {here}")
        self.offset = None
        if self.at_once(step.field, here, limit):
            return
        self.lines += [f"{var} = data[{here}:{limit}] if {here} < {limit} else b''", f"{self.pos} = {limit}"]

    def sized(self, step: Sized | Padded | Gap) -> None:
        pos = self.pos
        size = step.size.code(self) if isinstance(step, Sized) else self.filling(step, pos)
        self.lines.append(f"w = {pos} + {size}")
        self.check(("" if self.reaches(step) else f"w < {pos} or ") + f"w > {self.limit}")
        if step.field.kind.wire == "coded" and isinstance(step, Sized):
            self.coded(step.field, "w", sized=True)
        else:
            self.offset = None
            if not self.at_once(step.field, pos, "w"):
                self.lines += [f"{self.v(step.field.name)} = data[{pos}:w]", f"{self.pos} = w"]

    def reaches(self, step: Step | None) -> bool:
        """Whether a step ends, as it finds out, where it begins or later, and before what surrounds it does."""
        step = step.step if isinstance(step, When) else step
        if isinstance(step, Sized):
            return isinstance(step.size, Ref) and self.cls.by_name[step.size.name].kind.low >= 0
        return isinstance(step, Padded) or (isinstance(step, Bound) and step.part == "self")

    def at_once(self, f: Field, here: str, limit: str) -> bool:
        """Read headers up to a limit that cannot wait until somebody looks into them; say whether they cannot."""
        if not is_read_now(f):
            return False
        self.names[f"R_{f.name}{self.tag}"] = items_reader(f, False)
        empty = "None" if f.kind.one else f"((), {limit})"  # of one header there is to be one
        self.lines.append(f"r = R_{f.name}{self.tag}(data, {here}, {limit}, None{self.held(f)}) if {here} < {limit} else {empty}")
        self.check(f"r is None or r[1] != {limit}")
        self.lines.append(f"{self.v(f.name)}, {self.pos} = r")
        return True

    def listed(self, step: Listed) -> None:
        var, pos, count = self.v(step.field.name), self.float(), step.count.code(self) if step.count is not None else "None"
        name, given = f"{step.field.name}{self.tag}", f"data, {pos}, {self.stop or self.total or self.end}, {count}"
        self.names.update({f"F_{name}": step.field, f"R_{name}": items_reader(step.field, step.count is not None)})
        # What holds others is read by one reader at all levels, or else by the careful one at all: twice at each, the work doubles.
        item, more = step.field.kind.item, self.held(step.field)
        once = is_recursive(item) or is_nested(item) or is_contextual(item)
        other = "(None, 0)" if once else f"read_items(F_{name}, {given}, None{more.replace(', ', ', around=', 1)})"
        none = f"((), {pos}) if not {count} else " if is_recursive(item) and not step.field.kind.one and step.count is not None else ""
        self.lines.append(f"{var}, {pos} = {none}R_{name}({given}{self.handed(step.field) or more}) or {other}")
        self.check(f"{var} is None")

    def counted(self, step: Counted) -> None:
        pos, key = self.float(), f"K_{step.field.name}{self.tag}"
        self.names[key] = step.field.kind.end
        self.lines.append(f"w = {key}(data, {pos}, {self.limit}, {step.count.code(self)})")
        self.check("w is None")
        self.lines += [f"{self.v(step.field.name)} = data[{pos}:w]", f"{pos} = w"]


# Lists ---------------------------------------------------------------------------------------------------------

_readers: dict[tuple[Field, bool], Compiled] = {}
registry.caches.append(_readers)


def items_reader(field: Field, counted: bool) -> Compiled:
    """Return ``read(data, pos, limit, count) -> (items, where they end)`` for a repeated field.

    It gives None for what `read_items` has to look at. Where not `counted`, `count` is None.
    """
    found = _readers.get(key := (field, counted))
    if found is None:
        later = _readers[key] = lambda *args: items_reader(*key)(*args)  # for items that have such items
        read = one_by_one(field) if is_contextual(field.kind.item) else _items_reader(field, counted)
        found = _readers[key] = quick(read) if is_recursive(field.kind.item) else read
        read.__globals__.update({name: found for name, one in [*read.__globals__.items()] if one is later})
    return found


def _items_reader(field: Field, counted: bool) -> Compiled:
    item, until = field.kind.item, field.until
    head = item.plan.head
    sure = next((step.run.size for step in head[:1] if isinstance(step, Fixed) and not counted and not field.kind.one), 0)
    part = Decoding(item, tag="_i", start="pos", end="limit", away="return None", sure=sure)
    first, each, others = part.read_around_in_list(until)
    part.became = _became(part, until, others)
    each += ["C.before = h_i"] if part.choices else []
    conditions = {str(step.condition): step.condition for step in head if isinstance(step, When)}
    ways: list[list[str]] = []
    if len(conditions) == 1 and all(map(item.always_decides, conditions.values())) and not part.choices:
        # One way through what is there where the condition holds, one where it does not.
        begin = next(i for i, step in enumerate(head) if isinstance(step, When))
        for step in head[:begin]:
            part.step(step)
        ((rule, condition),) = conditions.items()
        part.lines.append(f"if {condition.code(part)}:")
        for holds in (True, False):
            way = copy(part)
            way.lines, way.read, way.holds, way.caught = [], {*part.read}, {rule: holds}, True
            ways.append(_item(way, head[begin:], until, each))
        part.lines += [*("    " + line for line in ways[0]), "else:", *("    " + line for line in ways[1])]
    else:
        part.lines = _item(part, head, until, each)
    lines = [f"start, last, found = pos, limit - {sure or 1}, []", *first]
    lines += [f"{'for _ in range(count)' if counted else 'for _ in range(1)' if field.kind.one else 'while pos <= last'}:", *("    " + line for line in part.lines)]
    lines += ["if len(found) < count: return None"] if counted and until is not None else []
    fill = f"-(pos - start + {field.lead}) % {field.align}"
    filled = f" and limit - pos != {fill}" if field.align and until is None else ""  # what is too short for an item
    lines += ["else:", f"    if pos < limit{filled}: return None"] if sure else []
    if ways:
        part.names["struct_error"] = struct_error
        lines = ["try:", *("    " + line for line in lines), "except (IndexError, struct_error): return None"]
    if field.align:
        part.names["filled"] = Filled.of
        other = f"data[pos:end].strip({field.fill!r})"
        lines += [f"end = pos + {fill}", "if end > pos:", f"    if end > limit or {other}: return None",
                  "    return filled(found, data[pos:end]), end"]  # fmt: skip
    lines = lines if not part.choices else ["C = Dissection()", *(["C.layers, C.place = ctx.layers, ctx.place"] if is_around(field) else []), *lines]
    lines = [f"def read(data, pos, limit, count{', ctx' * is_around(field)}{''.join(f', {one}=None' for one in part.operands)}):", *("    " + line for line in [*lines, "return tuple(found), pos"])]
    return function(lines, part.names, f"{item.name} items")


def _became(part: Decoding, until: Expr | None, each: list[str]) -> list[str]:
    """Return the lines that add an item which another class than the item's reads, `y`; `each` are those before the next one."""
    if not part.choices:
        return []
    part.names.update(Dissection=Dissection)
    lines = ["h_i, p, _, _ = y._decode(data, pos, limit, C)", "if p <= pos or not C.clean: return None", "found.append(h_i)", "pos, C.before = p, h_i"]
    return [*lines, *_until(part, until), *each, "continue"]


def _until(part: Decoding, until: Expr | None) -> list[str]:
    """Return the line that ends a list with the item for which a condition holds."""
    if until is None:
        return []
    part.names.update(until=until, ItemValues=ItemValues)
    more = ", ".join(f"{str(leaf)!r}: {part.elsewhere(leaf)}" for leaf in outer_beside([until], part.cls.outer_leaves))
    return [f"if until.evaluate(ItemValues(h_i, data, limit, {{{more}}})): break"]


def _item(part: Decoding, steps: list[Step], until: Expr | None, each: list[str]) -> list[str]:
    """Return the lines that read the rest of an item and add it; `each` are those before the next one."""
    item = part.cls
    part.steps(steps)
    if False in part.holds.values() and part.offset == 1 and not part.bounded and not part.outer_values:
        # An item of one byte is the same object wherever it stands.
        part.names["alone"] = _OneByteItems(item)
        part.lines += ["h_i = alone[data[pos]]", *(["if h_i is None: return None"] if part.views else [])]
    else:
        part.made()
    if not any(isinstance(step, Fixed) for step in item.plan.head):
        part.lines.append(f"if {part.pos} <= pos: return None")  # items of no bytes have no end
    part.lines += ["found.append(h_i)", f"pos = {part.pos}"]
    part.lines += [f"if {short.code(part)}: return None" for short in item.shortened]
    always = until is not None and item.always_decides(until)
    part.lines += [f"if {until.code(part)}: break"] if always and until is not None else _until(part, until)
    part.lines += each
    return part.lines


class _OneByteItems(dict[int, "AnyHeader | None"]):
    """Items that are one byte, made when there is first such a byte."""

    def __init__(self, item: Declaration) -> None:
        self.item = item

    def __missing__(self, byte: int) -> AnyHeader | None:
        ctx = Dissection()
        one: AnyHeader = classes[self.item]._decode(bytes((byte,)), 0, 1, ctx)[0]
        self[byte] = None if ctx.faults else one
        return self[byte]
