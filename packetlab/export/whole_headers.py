"""What is drawn becomes a header that reads back: filled up to a multiple of bytes, or with fewer items than were drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.codec.around.outer import Within
from packetlab.codec.around.solving import solving
from packetlab.codec.bodies import measured
from packetlab.codec.compiler import item_faults, replaced
from packetlab.codec.faults import Dissection, Fault
from packetlab.codec.objects import AnyHeader, classes
from packetlab.codec.places.inner import HeldValues
from packetlab.codec.places.item_values import ItemValues
from packetlab.codec.refinement.views import is_looked_into
from packetlab.declare.expressions import Const, Expr, Ref
from packetlab.declare.places.leaves import rewritten
from packetlab.declare.places.left import goes_by_left
from packetlab.declare.plan import needs
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.values.views import given
from packetlab.errors import BuildError
from packetlab.packet.packet import Header

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field
    from packetlab.declare.kinds import Kind, Raw

# Sizes that come in units --------------------------------------------------------------------------------------------


def unit_of(cls: Declaration, part: str) -> int:
    """The number of bytes that the size of a part has to be a multiple of, so that the rules that state it read it back."""
    return max((solved.unit for _, solved in cls.plan.rounded if part in solved.parts), default=1) or 1


def fill_up(cls: Declaration, made: dict[str, Raw], own: dict[str, Raw]) -> None:
    """Lengthen the last field of varying size until the header has the multiple of bytes that its rules want."""
    unit = unit_of(cls, "self")
    open_ended = [
        f for f in cls.fields
        if f.kind.bits is None and f.name not in own and not f.pad and not f.align and f.size is None
        and f.kind.wire in ("open", "items") and (f.condition is None or f.name in made)
    ]  # fmt: skip
    if unit == 1 or not open_ended:
        return
    f = open_ended[-1]
    try:
        missing = -measured(classes[cls](**made)._resolved_alone(), cls.before) % unit
    except BuildError:
        return
    if not missing:
        return
    value = made.get(f.name, f.default)
    if f.kind.wire == "open":
        made[f.name] = (value or b"") + bytes(missing)
        return
    made[f.name] = _longer(tuple(value or ()), missing)


def _longer(items: tuple[Header, ...], missing: int) -> tuple[Header, ...]:
    """Return items of which one that holds bytes is longer by this many; the same where none does."""
    for i, item in enumerate(items):
        for f in item._fields:
            raw = getattr(item, f.slot)
            if f.kind.wire == "open" and type(raw) is bytes and unit_of(item._declaration, "self") == 1:
                return (*items[:i], replaced(item, {f.name: raw + bytes(missing)}), *items[i + 1 :])
    return items


def whole_again(made: Header, around: tuple[AnyHeader, ...] = ()) -> bool:
    """Whether a header reads back as it was built, all of it, without a fault; `around` are those that hold it, the nearest last."""
    stack = Within((*around, made))
    try:
        data = made._encode(made, b"", stack, len(around), None) if around else bytes(made)
    except BuildError:
        return False
    if made._declaration.has_trailer:
        return True
    ctx = Dissection()
    ctx.layers = around
    back, _, _, _ = made._decode(data, 0, len(data), ctx)
    faults: list[Fault] = ctx.faults
    for f in back._declaration.before:
        if is_looked_into(back, f):
            item_faults(back, f, faults, 0, around)
    whole = type(made)._resolve(made, b"", stack, len(around), None) if around else made._resolved_alone()
    return not faults and bool(back == whole) and not _becomes_another(whole)


def _becomes_another(whole: Header) -> bool:
    """Whether a header is of another class by a value that only adds up from what was drawn (see `classes_found` for those that can be drawn)."""
    cls = whole._declaration
    added = {f.name for f in cls.fields if adds_up(cls, f)}
    whens = [one.when for one in refinements(cls) if one.when is not None and not one.is_deeper and needs(one.when) & added] if added else []
    return any(rule.evaluate(ItemValues(whole, b"", 0)) for rule in whens)


# Numbers that obey what stands after them ------------------------------------------------------------------------------

NEAR = 1 << 10  # numbers that are tried from the least on


def near(kind: Kind) -> list[int]:
    """Return the numbers of a kind that are near its least, and near its greatest."""
    return sorted({*range(kind.low, min(kind.low + NEAR, kind.high) + 1), *range(max(kind.high - 16, kind.low), kind.high + 1)})


def obeying(cls: Declaration, made: dict[str, Raw], own: dict[str, Raw]) -> dict[str, Raw]:
    """Return what was drawn with other numbers in the fields that have to obey what stands after them, where they do not."""
    fitting = dict(made)
    for f in cls.late:
        if f.rule is not None or f.name in own:
            continue
        try:
            whole = classes[cls](**fitting)._resolved_alone()
        except BuildError:
            return made
        scope = HeldValues({g.name: getattr(whole, g.slot) for g in cls.fields}, b"", 0)
        if scope.values[f.name] is None:
            continue
        if goes_by_left(f.must):
            scope.after[f.name] = measured(whole, cls.before) - measured(whole, cls.before[: cls.before.index(f) + 1])
        for number in (scope.values[f.name], *near(f.kind)) if f.broken(scope) else ():
            scope.values[f.name] = number
            if not f.broken(scope):
                fitting[f.name] = given(f.kind, number)
                break
    return fitting


# Numbers that tell sizes ---------------------------------------------------------------------------------------------

MOST = 1 << 10  # numbers that are tried


def with_told_sizes(cls: Declaration, made: dict[str, Raw], own: dict[str, Raw]) -> Header | None:
    """Return a header in which plain numbers tell the sizes and counts that were drawn, None where no single number does."""
    fitting = dict(made)
    for f in cls.fields:
        measure = f.size if f.count is None or f.stride else f.count
        if measure is None or made.get(f.name) is None:
            continue
        try:
            whole = classes[cls](**fitting)._resolved_alone()
        except BuildError:
            return None
        rule, raw = worked_out(cls, measure), getattr(whole, f.slot)
        size = _size_of(whole, f, raw, measure is f.size)
        values = {g.name: getattr(whole, g.slot) for g in cls.fields}
        if raw is None or rule.evaluate(HeldValues(values, b"", 0)) == size:
            continue
        for name in sorted(needs(rule) - own.keys()):
            g = cls.by_name[name]
            if (g.rule is not None and not g.solved) or g.fixed or not g.kind.is_number or g.kind.wire != "number":
                continue
            numbers = range(g.kind.low, min(g.kind.high, g.kind.low + MOST) + 1)
            said = {rule.evaluate(HeldValues({**values, name: n}, b"", 0)): n for n in reversed(numbers)}
            fits = ((one, said.get(_size_of(whole, f, one, measure is f.size) or 0)) for one in (raw, *_shorter(raw)))
            part, number = next(((one, number) for one, number in fits if number is not None), (None, 0))
            if part is not None:
                fitting[name] = g.kind.value(number)
                fitting[f.name] = fitting[f.name] if part is raw else part[0] if f.kind.one else part
                break
    always = {name: value for name, value in fitting.items() if name in own or (held := cls.by_name.get(name)) is None or held.condition is None or held.kind.bits is None}
    return (_whole(cls, fitting) or _whole(cls, always)) if fitting != made else None


def _size_of(whole: Header, f: Field, raw: Raw, in_bytes: bool) -> int | None:
    """Return how many bytes a part of a header takes with another value, or how many items it has."""
    if not in_bytes:
        return f.kind.count(raw) if isinstance(raw, bytes) else len(raw or ())
    return measured(whole if raw is getattr(whole, f.slot) else replaced(whole, {f.name: raw[0] if f.kind.one else raw}), [f])


def _shorter(raw: Raw) -> Iterator[tuple[Any, ...]]:
    """Yield what a field holds with fewer and fewer items, or the header it holds with fewer in its last list."""
    if not isinstance(raw, tuple) or not raw or not isinstance(raw[0], Header):
        return
    lists = [f for f in raw[0]._fields if f.kind.wire == "items" and not f.kind.one and isinstance(getattr(raw[0], f.slot), tuple)]
    if len(raw) == 1 and lists:
        items = getattr(raw[0], lists[-1].slot)
        yield from ((replaced(raw[0], {lists[-1].name: items[:count]}),) for count in range(len(items) - 1, -1, -1))
    yield from (raw[:count] for count in range(len(raw) - 1, 0, -1))


def worked_out(cls: Declaration, rule: Expr) -> Expr:
    """Return a rule with the rules of computed fields in place of these."""

    def leaf(one: Expr) -> Expr:
        computed = cls.by_name[one.name].computed if isinstance(one, Ref) and one.name in cls.by_name else None
        return one if computed is None else worked_out(cls, computed)

    return rewritten(rule, leaf)


def adds_up(cls: Declaration, f: Field) -> bool:
    """Whether a computed value goes by fields of its own header alone, none of which follows from it."""
    return f.computed is not None and not f.circular and all(isinstance(leaf, Ref | Const) for leaf in worked_out(cls, f.computed).leaves())


# Items that do not fit together --------------------------------------------------------------------------------------


def with_fewer_items(cls: Declaration, made: dict[str, Raw], own: dict[str, Raw]) -> Header | None:
    """Return a header with those items of its lists that read back one after the other, None where not one does.

    Each was drawn by itself; what it is may go by the one before it, or by the header that holds it.
    """
    lists = [f.name for f in cls.fields if f.kind.has_headers and not f.kind.one and f.name not in own and isinstance(made.get(f.name), tuple)]
    plan = solving(cls)
    follow = {f.name for f in plan.targets} - own.keys() if plan is not None else set[str]()
    found = None
    for drawn in (made, {name: value for name, value in made.items() if name not in follow}) if lists else ():
        fitting: dict[str, Any] = {name: value for name, value in drawn.items() if name not in lists}
        for name in lists:
            for item in made[name]:
                more = {**fitting, name: (*fitting.get(name, ()), item)}
                if (whole := _whole(cls, more)) is not None:
                    fitting, found = more, whole
        if found is not None:
            return found
    return None


def _whole(cls: Declaration, given: dict[str, Any]) -> Header | None:
    try:
        made: Header = classes[cls](**given)
    except BuildError:
        return None
    return made if whole_again(made) else None
