"""How one header is drawn: field by field, in order, so that conditions and sizes can look at earlier fields.

A value not drawn is left out, which is the simplest choice for Hypothesis and the shortest to read.
"""

from __future__ import annotations

from copy import copy
from enum import IntEnum, IntFlag
from types import ModuleType
from typing import TYPE_CHECKING, Any

from packetlab.codec.around.outer import names_before, reaches_out
from packetlab.codec.around.required import requirements
from packetlab.codec.around.solving import solving
from packetlab.codec.context.context import ContextEntry, Moment, current
from packetlab.codec.context.recalling import recall
from packetlab.codec.faults import Values
from packetlab.codec.objects import classes
from packetlab.codec.places.inner import sources
from packetlab.codec.places.item_values import ItemValues
from packetlab.codec.readback import follows_from
from packetlab.declare import registry
from packetlab.declare.expressions import Const, Expr, Has, Next, Ref, Size
from packetlab.declare.fields import REQUIRED, Field
from packetlab.declare.kinds import Kind, Raw
from packetlab.declare.places.inner import Inner
from packetlab.declare.plan import needs
from packetlab.declare.remembering.layouts import VARYING, TemplateRecord
from packetlab.declare.remembering.recalled import Recalled, StateOf
from packetlab.declare.remembering.records import LaidOut
from packetlab.declare.values.views import RawValue
from packetlab.errors import BuildError
from packetlab.export.classes_found import allowed, becoming, numbers_of, steering
from packetlab.export.drawn_so_far import DrawnSoFar, goes_on, has_measure, may_stand, named_by_rules, numbers_that_fit
from packetlab.export.whole_headers import (
    adds_up,
    fill_up,
    near,
    obeying,
    unit_of,
    whole_again,
    with_fewer_items,
    with_told_sizes,
)
from packetlab.packet.packet import Header

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from packetlab.declare.declaration import Declaration

LONGEST = 24  # bytes of a field of varying size
ITEMS = 3


def header(draw: DrawFn, cls: Declaration, values: str, fields: dict[str, Any], top: bool, in_list: bool = False, around: tuple[DrawnSoFar, ...] = (), alone: bool = False) -> Header:
    """Draw a header that is declared as `cls`. `fields`: values or strategies for some; `top`: nothing is bound above it.

    `in_list`: it goes by the item before it, of which numbers follow from it, so that by itself it need not read back.
    `around`: what is drawn so far of those that hold it, the nearest last; `alone`: nothing else stands around it.
    """
    made: dict[str, Raw] = {}
    seen = DrawnSoFar(cls, around, alone)
    seen.required = {one.field.slot for one in requirements(cls) if not one.leaf.path and one.field is not None} if in_list else set()
    keys = _keys(draw, cls)
    for f in cls.fields:
        if f.kind.wire == "payload":
            continue
        if cls.view is not None and f.name == cls.view[0] and f.name not in fields:
            inner = header(draw, cls.view[1], values, {}, top=True, around=(*around, seen), alone=alone)
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
        seen.values[f.name] = None if value is None and f.computed is not None and _goes_without(f, seen) else _raw(cls, f, value)
    own = {name: value for name, value in made.items() if name in fields}
    fill_up(cls, made, own)
    needed = {f.name for f in (*cls.fields, *cls.inside) if f.default is REQUIRED}
    measured = {f.name for f in cls.fields if has_measure(f) and not _follows(cls, f)}
    fixed = {f.name for f in cls.fields if f.kind.bits is not None}
    plan, first = solving(cls), None
    stands = tuple(one.held() for one in around) if around and reaches_out(cls) else ()
    solved_for = {f.name for f in plan.targets} if plan is not None else set[str]()  # by what it holds
    rest = {n: v for n, v in made.items() if n in own or n not in solved_for}
    least = {n: v for n, v in made.items() if n in own or n in fixed or n in needed}
    for attempt in (made, *([rest] if solved_for else []), least, *([{n: v for n, v in made.items() if n in least or n in measured}] if measured - least.keys() else [])):
        try:
            whole: Header = classes[cls](**obeying(cls, attempt, own))
        except BuildError:
            if cls.view is None:
                raise
            continue  # what was drawn inside has the delimiter of the field around it
        if in_list or whole_again(whole, stands):
            return whole
        first = first or whole
        fitting = with_told_sizes(cls, attempt, own) or (with_fewer_items(cls, made, own) if attempt is made else None)
        if fitting is not None:
            return fitting
    if stands and first is not None:
        return first  # what holds it may yet have the numbers that it needs
    made_least: Header = classes[cls](**own, **{n: v for n, v in made.items() if n in needed and n not in own})
    return made_least


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


def _value(draw: DrawFn, cls: Declaration, f: Field, values: str, seen: DrawnSoFar, top: bool) -> Raw:
    """Draw one field; None leaves it out."""
    from hypothesis import strategies as st

    if isinstance(f.rule, Next):
        return draw(_unbound(f, f.rule, st)) if top and f.kind.wire == "number" else None
    if f.fixed or (f.rule is not None and not _works_out(cls, f, values)) or f.pad:
        return None
    steered = steering(cls, f, values)
    if steered is not None and not (f.computed is not None and (seen.is_decided(f.computed) or adds_up(cls, f))):
        return draw(steered)
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
    required = not isinstance(f.default, (int, bytes, tuple)) or f.size is not None or (has_measure(f) and not _follows(cls, f) and (f.until is None or goes_on(f, seen)))
    if not required and f.kind.wire == "number" and isinstance(f.default, int):
        fitting = numbers_that_fit(f, seen)
        required = bool(fitting) and f.default not in fitting
    return draw(drawn if required else st.none() | drawn)


def _obeying(draw: DrawFn, cls: Declaration, f: Field, values: str, seen: DrawnSoFar, top: bool) -> Raw:
    """Draw one field whose value obeys a rule: what is drawn, or else a number near the least and the greatest."""
    from hypothesis import strategies as st

    def obeys(number: Raw) -> bool:
        seen.values[f.name] = number
        return not f.broken(seen)

    value = _value(draw, cls, f, values, seen, top)
    raw = _raw(cls, f, value)
    if f.rule is not None or f in cls.late or (value is None and f.condition is not None) or (isinstance(raw, int) and obeys(raw)):
        return value
    some = [n for n in near(f.kind) if obeys(n)]
    return f.kind.value(draw(st.sampled_from(some))) if some else value


def _if_left(draw: DrawFn, cls: Declaration, f: Field, values: str, seen: DrawnSoFar, st: ModuleType, top: bool) -> Raw:
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
    return any(g.computed is not None for g in named) and all(g.computed is None or steering(cls, g, values) is None for g in named)


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


def _of_kind(cls: Declaration, f: Field, values: str, seen: DrawnSoFar, st: ModuleType) -> Any:
    kind = f.kind
    if isinstance(kind, LaidOut):
        return _records(kind, seen, st)
    if kind.transforms:
        return _of_kind(cls, kind.field, values, seen, st)  # type: ignore[attr-defined]
    if kind.wire == "number" and not kind.orders_raw:
        return st.integers(kind.low, kind.high).map(RawValue)
    if kind.is_number:
        return _numbers(cls, f, values, seen, st)
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


def _numbers(cls: Declaration, f: Field, values: str, seen: DrawnSoFar, st: ModuleType) -> Any:
    kind = f.kind
    fitting = numbers_that_fit(f, seen) if kind.wire == "number" else []
    if kind.wire != "number" or kind.names is None or values != "valid":
        drawn = st.sampled_from(fitting) if fitting else st.integers(kind.low, kind.high)
        named = [n for n in named_by_rules(cls, f) if not fitting or n in fitting] if kind.wire == "number" else []
        return drawn | st.sampled_from(named) if named else drawn
    members: list[IntEnum | IntFlag] = list(kind.names)
    if issubclass(kind.names, IntFlag):
        every = sum({int(m) for m in members}) & kind.high
        return st.integers(0, kind.high).map(lambda n: kind.value(n & every))
    some = [m for m in members if kind.low <= m <= kind.high]
    return st.sampled_from([m for m in some if m in fitting] or some)


def _goes_without(f: Field, seen: DrawnSoFar) -> bool:
    """Whether a computed value that is not drawn is what the fields drawn so far, and those around, come to."""
    assert f.computed is not None
    return not isinstance(f.default, int) or seen.is_decided(f.computed)


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


def _ends(until: Expr, item: Header) -> bool | None:
    """Whether an item is the last one of its list; None where it has no values by itself."""
    try:
        return bool(until.evaluate(ItemValues(item._resolved_alone(), b"", 0)))
    except BuildError:
        return None


def _items(cls: Declaration, f: Field, values: str, seen: DrawnSoFar, st: ModuleType) -> Any:
    item = f.kind.item

    around = (*seen.around, seen)
    kinds = becoming(item)
    kinds = [kind for kind in kinds if may_stand(kind, around, seen.alone)] or kinds
    follow = {one.leaf.name for kind in kinds for one in requirements(kind) if not one.leaf.path}  # from the item after
    fields: dict[str, Any] = dict.fromkeys(follow)
    if f.kind.one:  # and from what stands beside it
        wanted = [sources(classes[item], item.by_name[name]) for name in cls.fills.get(f.name, ())]
        fields |= {g.name: None for g in item.fields if any(bits & g.bit for bits in wanted)}

    def one(in_list: bool, fields: dict[str, Any]) -> Any:
        return st.composite(lambda draw: header(draw, draw(st.sampled_from(kinds)), values, fields, True, in_list, around, seen.alone))()

    def drawn(in_list: bool) -> Any:
        single = one(in_list, fields)
        if f.kind.one or f.until is None or needs(f.until) & follow:
            return single
        until = f.until  # the item that ends the row stands last, and filling up may put it there
        return single.filter(lambda h: _ends(until, h) is False)

    first = drawn(False)
    if f.kind.one:
        return first
    if f.until is not None and has_measure(f) and not names_before(item) and (last := _last(item, f.until)):
        ended = st.tuples(st.lists(first, max_size=ITEMS), one(False, {**fields, **last})).map(lambda found: (*found[0], found[1]))
        return ended if goes_on(f, seen) else st.lists(first, max_size=ITEMS).map(tuple) | ended
    free = f.count is None or _follows(cls, f)
    count = max(0, min(f.count.evaluate(seen), 100)) if f.count is not None and not free else None
    low, high = (0, ITEMS) if count is None else (count, count)
    if not names_before(item) or not high:
        return st.lists(first, min_size=low, max_size=high).map(tuple)
    some = st.tuples(first, st.lists(drawn(True), min_size=max(0, low - 1), max_size=high - 1)).map(lambda found: (found[0], *found[1]))
    return some if low else st.just(()) | some


def _last(item: Declaration, until: Expr) -> dict[str, Any]:
    """Return numbers to draw from of the one field that says which item is the last one; none where several do, or none that is given."""
    from hypothesis import strategies as st

    f = item.by_name.get(next(iter(needs(until)))) if len(needs(until)) == 1 else None
    if f is None or f.kind.wire != "number" or f.rule is not None or f.fixed or any(not isinstance(leaf, Ref | Const) for leaf in until.leaves()):
        return {}
    some = [n for n in numbers_of(f) if until.evaluate(Values({f.name: n}, b"", 0))]
    return {f.name: st.sampled_from(some).map(f.kind.value)} if some else {}
