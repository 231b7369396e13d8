"""How one header is drawn: field by field, in order, so that conditions and sizes can look at earlier fields.

A value not drawn is left out, which is the simplest choice for Hypothesis and the shortest to read.
"""

from __future__ import annotations

from copy import copy
from enum import IntEnum, IntFlag
from types import ModuleType
from typing import TYPE_CHECKING, Any

from packetlab.codec.around.outer import names_before
from packetlab.codec.around.required import requirements
from packetlab.codec.context.context import ContextEntry, Moment, current
from packetlab.codec.context.recalling import recall
from packetlab.codec.faults import Values
from packetlab.codec.objects import classes
from packetlab.codec.places.inner import HeldValues, sources
from packetlab.codec.places.item_values import ItemValues
from packetlab.codec.readback import follows_from
from packetlab.declare import registry
from packetlab.declare.expressions import Checksum, Const, Elsewhere, Expr, Has, Next, OneOf, Op, Ref, Size
from packetlab.declare.fields import REQUIRED, Field
from packetlab.declare.kinds import Kind, Raw
from packetlab.declare.places.inner import Inner
from packetlab.declare.plan import needs
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.remembering.layouts import VARYING, TemplateRecord
from packetlab.declare.remembering.recalled import Recalled, StateOf
from packetlab.declare.remembering.records import LaidOut
from packetlab.declare.values.views import RawValue
from packetlab.errors import BuildError
from packetlab.export.whole_headers import fill_up, unit_of, whole_again, with_fewer_items, with_told_sizes
from packetlab.packet.packet import Header

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from packetlab.declare.declaration import Declaration

LONGEST = 24  # bytes of a field of varying size
ITEMS = 3


def header(draw: DrawFn, cls: Declaration, values: str, fields: dict[str, Any], top: bool, in_list: bool = False) -> Header:
    """Draw a header that is declared as `cls`. `fields`: values or strategies for some; `top`: nothing is bound above it.

    `in_list`: it goes by the item before it, of which numbers follow from it, so that by itself it need not read back.
    """
    made: dict[str, Raw] = {}
    seen = _Seen(cls)
    seen.required = {one.field.slot for one in requirements(cls) if not one.leaf.path and one.field is not None} if in_list else set()
    keys = _keys(draw, cls)
    for f in cls.fields:
        if f.kind.wire == "payload":
            continue
        if cls.view is not None and f.name == cls.view[0] and f.name not in fields:
            inner = header(draw, cls.view[1], values, {}, top=True)
            made.update({one.name: getattr(inner, one.name) for one in inner._fields if inner._state & one.bit})
            continue
        if f.name in fields:
            chosen = fields[f.name]
            value = draw(chosen) if hasattr(chosen, "example") else chosen
        elif f.name in keys:
            value = keys[f.name]
        else:
            value = _value(draw, cls, f, values, seen, top) if f.must is None else _obeying(draw, cls, f, values, seen, top)
        if value is not None:
            made[f.name] = value
        seen.values[f.name] = _raw(cls, f, value)
    own = {name: value for name, value in made.items() if name in fields}
    fill_up(cls, made, own)
    needed = {f.name for f in (*cls.fields, *cls.inside) if f.default is REQUIRED}
    fixed = {f.name for f in cls.fields if f.kind.bits is not None}
    for attempt in (made, {n: v for n, v in made.items() if n in own or n in fixed or n in needed}):
        try:
            whole: Header = classes[cls](**attempt)
        except BuildError:
            if cls.view is None:
                raise
            continue  # what was drawn inside has the delimiter of the field around it
        if in_list or whole_again(whole):
            return whole
        fitting = with_told_sizes(cls, attempt, own) or (with_fewer_items(cls, made, own) if attempt is made else None)
        if fitting is not None:
            return fitting
    made_least: Header = classes[cls](**own, **{n: v for n, v in made.items() if n in needed and n not in own})
    return made_least


class _Seen(HeldValues):
    """The fields drawn so far and what follows from them, with what is known in a ``with context:`` around.

    `promised` says of fields that are drawn later whether they are there, where others go by that. `required` are the slots of those
    from which numbers of the item before follow.
    """

    required: set[str]

    def __init__(self, cls: Declaration) -> None:
        super().__init__({}, b"", 0)
        self.cls, self.promised, self.sought = cls, dict[str, bool](), set[str]()

    def value(self, name: str) -> int:
        f = self.cls.by_name.get(name)
        if f is None or name in self.sought or self.values.get(name) is not None or f.rule is None or isinstance(f.rule, Checksum | Next):
            return super().value(name)
        self.sought.add(name)
        try:
            return f.rule.evaluate(self) if f.condition is None or f.condition.evaluate(self) else 0
        finally:
            self.sought.discard(name)

    def has(self, name: str) -> int:
        return int(self.promised.get(name, super().has(name)))

    def elsewhere(self, leaf: Elsewhere) -> int:
        found = recall(leaf, (), self.values.get) if isinstance(leaf, Recalled) else super().elsewhere(leaf)
        return found if isinstance(found, int) else 0


def _keys(draw: DrawFn, cls: Declaration) -> dict[str, Raw]:
    """Draw the fields that keys name of which something is known here, so that what the header recalls is."""
    from hypothesis import strategies as st

    now, found = current.get(), dict[str, Raw]()
    context = now.context if isinstance(now, Moment) else now
    for leaf in cls.outer_leaves if context is not None else ():
        if not isinstance(leaf, Recalled) or isinstance(leaf, StateOf) or leaf.default is not None:
            continue
        known = []
        for table, key, _ in context.items():  # type: ignore[union-attr]
            parts = [(part, value) for part, value in zip(leaf.key, key, strict=False) if isinstance(part, Ref)]
            named = {part.name: value for part, value in parts}
            fits = all(found.get(name, value) == value and value in (allowed(cls, cls.by_name[name]) or [value]) for name, value in named.items())
            if table == leaf.table and len(key) == len(leaf.key) and fits:
                known.append(named)
        found |= draw(st.sampled_from(known)) if known else {}
    return found


def _records(kind: LaidOut, seen: Values, st: ModuleType) -> Any:
    """Return what draws records of a template that is known here, else none."""
    entry = recall(kind.late[0][2], (), seen.values.get)
    layout = kind.layout_of(entry) if isinstance(entry, ContextEntry) else ""
    if isinstance(layout, str):
        return st.just(())
    sizes = [(0, LONGEST) if place.size == VARYING else (place.size, place.size) for place in layout]
    raws = st.tuples(*(st.binary(min_size=low, max_size=high) for low, high in sizes))
    record = raws.map(lambda found: TemplateRecord(zip((place.number for place in layout), found, strict=True)))
    return st.lists(record, max_size=ITEMS).map(tuple)


def _raw(cls: Declaration, f: Field, value: Raw) -> Raw:
    if value is not None:
        return f.kind.raw(value, f"{cls.name}.{f.name}")
    if f.condition is not None or f.rule is not None:
        return None
    return f.default if isinstance(f.default, (int, bytes, tuple)) else f.kind.zero


def _value(draw: DrawFn, cls: Declaration, f: Field, values: str, seen: _Seen, top: bool) -> Raw:
    """Draw one field; None leaves it out."""
    from hypothesis import strategies as st

    if isinstance(f.rule, Next):
        return draw(_unbound(f, f.rule, st)) if top and f.kind.wire == "number" else None
    if f.fixed or (f.rule is not None and not _works_out(cls, f, values)) or f.pad:
        return None
    steering = _steering(cls, f, values)
    if steering is not None:
        return draw(steering)
    if f.computed is not None:
        return None  # it follows from those that are drawn
    if f.condition is not None:
        presence = {leaf.name for leaf in _refs(cls, f.condition) if isinstance(leaf, Has)}
        if f.name in presence:
            # Whether it is there is up to itself: a flag follows from it.
            drawn, there = _of_kind(cls, f, values, seen, st), seen.promised.get(f.name)
            return None if there is False else draw(drawn if there else st.none() | drawn)
        for name in sorted(presence - {*seen.values, *seen.promised}):
            seen.promised[name] = draw(st.booleans())
        if f.left:
            return _if_left(draw, cls, f, values, seen, st, top)
        if f.none is not None and _follows(cls, f) and (f.outer is None or f.outer.evaluate(seen)):
            return draw(st.none() | _of_kind(cls, f, values, seen, st))
        if f.slot in seen.required:
            return draw(st.none() | _of_kind(cls, f, values, seen, st))
        if not f.condition.evaluate(seen):
            return None
        return draw(_of_kind(cls, f, values, seen, st))
    drawn = _of_kind(cls, f, values, seen, st)
    required = not isinstance(f.default, (int, bytes, tuple)) or f.size is not None
    return draw(drawn if required else st.none() | drawn)


def _obeying(draw: DrawFn, cls: Declaration, f: Field, values: str, seen: _Seen, top: bool) -> Raw:
    """Draw one field whose value obeys a rule: what is drawn, or else a number near the least and the greatest."""
    from hypothesis import strategies as st

    def obeys(number: Raw) -> bool:
        seen.values[f.name] = number
        return not f.broken(seen)

    value = _value(draw, cls, f, values, seen, top)
    raw = _raw(cls, f, value)
    if f.rule is not None or (value is None and f.condition is not None) or (isinstance(raw, int) and obeys(raw)):
        return value
    near = {*range(f.kind.low, min(f.kind.low + NEAR, f.kind.high) + 1), *range(max(f.kind.high - 16, f.kind.low), f.kind.high + 1)}
    some = [n for n in sorted(near) if obeys(n)]
    return f.kind.value(draw(st.sampled_from(some))) if some else value


NEAR = 1 << 10


def _if_left(draw: DrawFn, cls: Declaration, f: Field, values: str, seen: _Seen, st: ModuleType, top: bool) -> Raw:
    """Draw a field that is there if bytes are left: where one of those before it is absent, nothing follows."""
    before = cls.before[: cls.before.index(f)]
    if f.outer is not None and not f.outer.evaluate(seen):
        return None
    if any(g.left and (g.outer is None or g.outer.evaluate(seen)) and seen.values.get(g.name) is None for g in before):
        return None
    later = cls.before[len(before) + 1 :]
    drawn = _of_kind(cls, f, values, seen, st)
    drawn = drawn if f.kind.bits is not None else drawn.filter(lambda raw: raw not in ((), b""))
    return draw(st.none() | drawn if top and all(g.left for g in later) else drawn)


def _follows(cls: Declaration, f: Field) -> bool:
    """Whether what says the size of a field, or how many items it has, follows from them."""
    measure = f.size if f.count is None else f.count
    if measure is None:
        return False
    names, before = needs(measure), set[str]()
    while names != before:  # a computed number follows where what it is computed from does
        before = names
        names = set().union(*(needs(g.computed) if (g := cls.by_name.get(name)) is not None and g.computed is not None else {name} for name in names))
    return follows_from(cls, names, f.name) or any(isinstance(leaf, Inner) and leaf.inner in cls.fills.get(leaf.name, {}) for leaf in measure.leaves())


def _works_out(cls: Declaration, f: Field, values: str) -> bool:
    """Whether a field follows from one that is worked out from it: it is drawn, and the other one not, unless that is what its class is found by."""
    named = [cls.by_name[leaf.name] for leaf in (f.rule.leaves() if f.rule is not None else ()) if isinstance(leaf, Ref) and leaf.name in cls.by_name]
    return any(g.computed is not None for g in named) and all(g.computed is None or _steering(cls, g, values) is None for g in named)


def _refs(cls: Declaration, condition: Expr) -> list[Expr]:
    """What a condition comes down to, with the rules of derived fields in place of these."""
    found: list[Expr] = []
    for leaf in condition.leaves():
        rule = cls.by_name[leaf.name].rule if isinstance(leaf, Ref) else None
        found += rule.leaves() if rule is not None else [leaf]
    return found


def _unbound(f: Field, rule: Next, st: ModuleType) -> Any:
    """A number that names no header, or the one that says so."""
    assert f.kind.wire == "number"
    taken = registry.space(rule.space).headers
    return st.none() | st.integers(f.kind.low, f.kind.high).filter(lambda number: number not in taken)


def _of_kind(cls: Declaration, f: Field, values: str, seen: _Seen, st: ModuleType) -> Any:
    kind = f.kind
    if isinstance(kind, LaidOut):
        return _records(kind, seen, st)
    if kind.transforms:
        return _of_kind(cls, kind.field, values, seen, st)  # type: ignore[attr-defined]
    if kind.wire == "number" and not kind.orders_raw:
        return st.integers(kind.low, kind.high).map(RawValue)
    if kind.is_number:
        return _numbers(kind, values, st)
    if kind.wire == "items":
        return _items(cls, f, values, seen, st)
    if kind.wire == "coded":
        return st.binary(max_size=LONGEST).map(lambda data: _coded(kind, data))
    if kind.wire == "bytes":
        drawn = st.binary(min_size=kind.fixed_bits // 8, max_size=kind.fixed_bits // 8).map(kind.sound)
        return drawn if kind.verbatim else drawn.map(lambda raw: kind.value(raw if _is_value(kind, raw) else kind.zero))
    if f.size is not None and not _follows(cls, f) and f.slot not in seen.required:
        size = max(0, f.size.evaluate(seen))
        return st.binary(min_size=size, max_size=size).map(kind.sound)
    unit = unit_of(cls, f.name)
    sizes = [size for size in range(0, LONGEST + 1, unit) if _can_be_said(cls, f, size, seen)] or [0]
    return st.sampled_from(sizes).flatmap(lambda size: st.binary(min_size=size, max_size=size)).map(kind.sound)


def _can_be_said(cls: Declaration, f: Field, size: int, seen: Values) -> bool:
    """Whether the numbers that follow from the size of a field are ones that their fields can have."""
    scope = copy(seen)
    scope.values = {**seen.values, f.name: bytes(size)}
    said = [g for g in cls.fields if g.kind.is_number and g.rule is not None and any(isinstance(leaf, Size) and leaf.name == f.name for leaf in g.rule.leaves())]
    return all(g.kind.low <= g.rule.evaluate(scope) <= g.kind.high for g in said if g.rule is not None)


def _numbers(kind: Kind, values: str, st: ModuleType) -> Any:
    if kind.wire != "number" or kind.names is None or values != "valid":
        return st.integers(kind.low, kind.high)
    members: list[IntEnum | IntFlag] = list(kind.names)
    if issubclass(kind.names, IntFlag):
        every = sum({int(m) for m in members}) & kind.high
        return st.integers(0, kind.high).map(lambda n: kind.value(n & every))
    return st.sampled_from([m for m in members if kind.low <= m <= kind.high])


def _is_value(kind: Kind, raw: object) -> bool:
    try:
        return bool(kind.raw(kind.value(raw), "") == raw)
    except BuildError:
        return False


def _coded(kind: Kind, data: bytes) -> Raw:
    """Return a value of a kind that tells its own size, made of `data`: what these bytes begin with, or bytes that are near.

    Values mostly begin with their size or end with a zero, and are often text; where nothing of that is a value, `zero` is.
    """
    low = bytes(byte & 127 for byte in data)
    near = [one for some in (data, low) for one in (some, some.replace(b"\0", b"") + b"\0", bytes([len(some)]) + some)]
    for one in near if data else ():
        found = kind.read(one, 0, len(one))
        if found is not None and _is_value(kind, found[0]) and not kind.wrong(found[0]) and kind.write(found[0]) == one[: found[1]]:
            return kind.value(found[0])
    return kind.value(kind.zero)


def _items(cls: Declaration, f: Field, values: str, seen: _Seen, st: ModuleType) -> Any:
    item = f.kind.item

    kinds = becoming(item)
    follow = {one.leaf.name for kind in kinds for one in requirements(kind) if not one.leaf.path}  # from the item after
    fields: dict[str, Any] = dict.fromkeys(follow)
    if f.kind.one:  # and from what stands beside it
        wanted = [sources(classes[item], item.by_name[name]) for name in cls.fills.get(f.name, ())]
        fields |= {g.name: None for g in item.fields if any(bits & g.bit for bits in wanted)}

    def drawn(in_list: bool) -> Any:
        single = st.composite(lambda draw: header(draw, draw(st.sampled_from(kinds)), values, fields, top=True, in_list=in_list))()
        if f.kind.one or f.until is None or needs(f.until) & follow:
            return single
        until = f.until  # the item that ends the row stands last, and filling up may put it there
        return single.filter(lambda h: not until.evaluate(ItemValues(h._resolved_alone(), b"", 0)))

    first = drawn(False)
    if f.kind.one:
        return first
    free = f.count is None or _follows(cls, f)
    count = max(0, min(f.count.evaluate(seen), 100)) if f.count is not None and not free else None
    low, high = (0, ITEMS) if count is None else (count, count)
    if not names_before(item) or not high:
        return st.lists(first, min_size=low, max_size=high).map(tuple)
    some = st.tuples(first, st.lists(drawn(True), min_size=max(0, low - 1), max_size=high - 1)).map(lambda found: (found[0], *found[1]))
    return some if low else st.just(()) | some


# What headers become -------------------------------------------------------------------------------------------------

_allowed: dict[tuple[Declaration, str], list[int]] = {}
_steered: dict[tuple[Declaration, str, str], Any] = {}
registry.caches += [_allowed, _steered]
MOST = 1 << 16  # numbers that are tried


def becoming(cls: Declaration) -> list[Declaration]:
    """Return a header, and all that it becomes where their conditions hold."""
    return [cls, *(one for refined in refinements(cls) for one in becoming(refined))]


def allowed(cls: Declaration, f: Field) -> list[int]:
    """Return the numbers of a field with which a header is what it is, and becomes nothing else; none where that is all one."""
    if (cls, f.name) in _allowed:
        return _allowed[cls, f.name]
    own, one = list[Expr](), cls
    while one.refines is not None and one.when is not None:
        own.append(one.when)
        one = one.refines
    others = [after.when for after in refinements(cls) if after.when is not None and not after.is_deeper]

    def alone(rule: Expr) -> bool:
        return f.name in needs(rule) and all(str(leaf) == f.name for leaf in rule.leaves() if not isinstance(leaf, Const))

    found: list[int] = []
    if f.kind.is_number and any(f.name in needs(rule) for rule in (*own, *others)):
        numbers = range(f.kind.low, min(f.kind.high, f.kind.low + MOST) + 1)
        for rule in own:
            numbers = solved(rule).get(f.name, numbers)  # type: ignore[assignment]
        ours, theirs = [rule for rule in own if alone(rule)], [rule for rule in others if alone(rule)]

        def holds(rule: Expr, number: int) -> int:
            return rule.evaluate(Values({f.name: number}, b"", 0))

        gone = {number for rule in theirs for number in solved(rule).get(f.name, numbers) if holds(rule, number)}
        found = [number for number in numbers if number not in gone and all(holds(rule, number) for rule in ours)]
    _allowed[cls, f.name] = found
    return found


def _steering(cls: Declaration, f: Field, values: str) -> Any:
    """Return a strategy for the numbers of `allowed`, made once, since there may be 65,537 of them; None where there are none."""
    from hypothesis import strategies as st

    if (cls, f.name, values) not in _steered:
        numbers = allowed(cls, f)
        named = {*map(int, f.kind.names)} if values == "valid" and f.kind.names is not None else {*numbers}
        some = st.sampled_from([n for n in numbers if n in named] or numbers) if numbers else None
        _steered[cls, f.name, values] = st.none() | some if some is not None and f.default in numbers else some
    return _steered[cls, f.name, values]


def solved(condition: Expr) -> dict[str, list[int]]:
    """Return numbers of fields with which a condition holds, as far as it names them."""
    if isinstance(condition, OneOf) and isinstance(condition.values, Ref):
        return {condition.values.name: list(condition.among)}
    if isinstance(condition, Op) and condition.sign == "&":
        return {**solved(condition.left), **solved(condition.right)}
    if isinstance(condition, Op) and condition.sign == "==":
        left, right = condition.left, condition.right
        if isinstance(left, Ref) and isinstance(right, Const):
            return {left.name: [right.number]}
    return {}
