"""Numbers of a header that say how large others are, or whether they are there: solved from what those were given.

`sized(field("Low.n"))` of a header above, `many(count=field("^.w"))` of what a field holds, `sized(before("size"))` of the item after:
the numbers that these name follow where nobody gave them and they have no rule of their own. Where two require different
numbers the first counts, and the other is refused; a size, a count and `==` count before other conditions. What a class requires is found out once: most headers, and most stacks, have
nothing to solve.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from packetlab.codec.around.outer import goes_by_more, is_called, names_before, place_of, read_with
from packetlab.codec.around.required import Requirement, is_required, number_for, requirements
from packetlab.codec.objects import AnyHeader
from packetlab.declare import registry
from packetlab.declare.expressions import Elsewhere
from packetlab.declare.fields import REQUIRED, Field
from packetlab.declare.transforms.raws import Carried, InnerValue

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration

H = TypeVar("H", bound=AnyHeader)


class Solving(NamedTuple):
    """What there is to solve when a header is made, or changed.

    Attributes:
        targets: its own fields that what it holds may require numbers of. lists: fields whose items may require numbers of the item before.
        required: what a declaration requires of `targets`, and whether that is to be looked for in what such a header holds; as far as known.
        bits: of `targets`.
    """

    targets: tuple[Field, ...]
    lists: tuple[Field, ...]
    required: dict[Declaration, tuple[list[Requirement], bool]]
    bits: int


solvings: dict[Declaration, Solving | None] = {}
"""What there is to solve in headers of a declaration, None for nothing; as far as it was asked for."""
_stacks: dict[tuple[type[AnyHeader], ...], list[tuple[int, list[tuple[Requirement, int]], bool]]] = {}
registry.caches += [solvings, _stacks]


# What there is to solve ----------------------------------------------------------------------------------------------


def _may_set(declaration: Declaration, one: Requirement) -> bool:
    """Whether a header may have to have another number than its default for a requirement that names a field of it."""
    f = declaration.by_name.get(one.leaf.name)
    return f is not None and _has_no_rule(f) and not (one.met is not None and type(f.default) is int and one.met(f.default))


def _has_no_rule(f: Field) -> bool:
    return f.rule is f.computed is None and not f.fixed and f.kind.wire != "computed" and f.kind.is_number and isinstance(f.kind.zero, int)


def _unset(f: Field) -> Any:
    """Return what stands in a field that nobody gave and nothing requires."""
    return None if f.default is REQUIRED or f.condition is not None else f.default


def _of_holder(declaration: Declaration, held: Declaration) -> list[Requirement]:
    """Return what a header requires of one that holds it, at any level."""
    return [
        one for one in requirements(held) if (one.leaf.out or (one.leaf.path and is_called(declaration, one.leaf))) and _may_set(declaration, one)
    ]  # fmt: skip


def _held(declaration: Declaration) -> set[Declaration]:
    """Return what may be held by a header, at any level."""
    parts = [f.kind.item for f in declaration.fields if f.kind.has_headers]
    parts += [] if declaration.view is None else [declaration.view[1]]
    return {one for part in parts for one in read_with(part)}


def solving(declaration: Declaration) -> Solving | None:
    """Return what there is to solve in headers of a declaration, None for nothing."""
    if declaration not in solvings:
        names = {one.leaf.name for held in _held(declaration) for one in _of_holder(declaration, held)}
        lists = [f for f in declaration.fields if f.kind.has_headers and any(map(_of_item_before, read_with(f.kind.item)))]
        targets = [declaration.by_name[name] for name in names]
        solvings[declaration] = Solving((*targets,), (*lists,), {}, sum(f.bit for f in targets)) if targets or lists else None
    return solvings[declaration]


def _of_item_before(item: Declaration) -> list[Requirement]:
    return [one for one in requirements(item) if not one.leaf.path]


# Headers that are made -----------------------------------------------------------------------------------------


def solve(header: AnyHeader, inner: AnyHeader | None = None, was: AnyHeader | None = None) -> None:
    """Put the numbers into a header that is being made which what it holds requires, and into items those that the items after require.

    `inner` is the header inside, where it takes a field apart and that is not in there yet; `was` the header that it is made from.
    """
    plan, state = solving(header._declaration), header._state
    if plan is None or header._is_partial or not (plan.lists or plan.bits & ~state or plan.bits & state >> len(header._fields)):
        return
    for f in plan.lists:
        raw = getattr(header, f.slot)
        if type(raw) is tuple:
            raw = raw if was is None or raw is getattr(was, f.slot) else _ended(raw, was._items_of(f), f.kind.item)
            setattr(header, f.slot, _solved_items(raw, names_before(f.kind.item)))
        elif isinstance(raw, InnerValue) and (items := _solved_items(raw.inner, names_before(f.kind.item))) is not raw.inner:
            setattr(header, f.slot, InnerValue(items))
    _of_classes(header, inner, plan, was)
    to_solve = {f.name: f for f in plan.targets if not header._state & f.bit}
    for f in to_solve.values():  # another edit may have solved it
        setattr(header, f.slot, _unset(f))
    if to_solve:
        for one, held in _inside((header,), _parts(header, inner), plan, header._declaration):
            target = to_solve.get(one.leaf.name)
            number = None if target is None else number_for(held, one, getattr(header, target.slot), target)
            if target is None or number is None or (number == _unset(target) and not one.is_loose):
                continue
            setattr(header, target.slot, number)
            if not one.is_loose:
                del to_solve[target.name]
                if not to_solve:
                    return


def _of_classes(header: AnyHeader, inner: AnyHeader | None, plan: Solving, was: AnyHeader | None) -> None:
    """Let captured numbers of a header follow again where what it holds now is of a class that is found by another number, or nothing is left of that."""
    count = len(header._fields)
    captured = {f.name: f for f in plan.targets if header._state >> count & f.bit}
    for items in plan.lists if captured else ():
        if was is not None and getattr(header, items.slot) == () != was._items_of(items):
            for name in {one.leaf.name for item in read_with(items.kind.item) for one in _of_holder(header._declaration, item) if one.field is None and not one.is_loose}:
                if name in captured:
                    target = captured.pop(name)
                    header._state &= ~(target.bit | target.bit << count)
    for one, held in _inside((header,), _parts(header, inner), plan, header._declaration) if captured else ():
        if (one.field is None or one.is_kind) and not one.is_loose and (f := captured.pop(one.leaf.name, None)) is not None:
            now = getattr(header, f.slot)
            if number_for(held, one, now, f) not in (None, now):
                header._state &= ~(f.bit | f.bit << count)


def _ended(items: tuple[Any, ...], before: tuple[Any, ...], item: Declaration) -> tuple[Any, ...]:
    """Return items of which the last one says nothing of the class of another after it, where it was captured before one and the last one then said nothing."""
    last, end = items[-1] if items else None, before[-1] if before else None
    if not isinstance(last, AnyHeader) or not isinstance(end, AnyHeader):
        return items
    for name in {one.leaf.name for held in read_with(item) for one in _of_item_before(held) if one.field is None and not one.is_loose}:
        f, ends = last._by_name.get(name), end._by_name.get(name)
        if f is not None and ends is not None and last._state >> len(last._fields) & f.bit and getattr(end, ends.slot) == _unset(ends) != getattr(last, f.slot):
            last = _freed(last, f)
    return items if last is items[-1] else (*items[:-1], last)


def _solved_items(items: tuple[Any, ...], names: frozenset[str]) -> tuple[Any, ...]:
    """Return items with the numbers of these `names` that those after them require; whatever others required where they stood before counts no more."""
    made = [*items]
    for k in range(len(items) - 1, -1, -1):
        if not isinstance(made[k], AnyHeader):
            continue
        numbers: dict[str, int | None] = dict.fromkeys(names)
        after: Any = made[k + 1] if k + 1 < len(made) else None
        exact = set[str]()
        for one in _of_item_before(after._declaration) if isinstance(after, AnyHeader) else ():
            f = made[k]._by_name.get(one.leaf.name)
            if f is None or f.name in exact or not is_required(after, one):
                continue
            known = numbers.get(f.name)
            number = number_for(after, one, _unset(f) if known is None else known, f)
            if (one.field is None or one.is_kind) and not one.is_loose and number is not None and made[k]._state >> len(made[k]._fields) & f.bit and getattr(made[k], f.slot) != number:
                made[k] = _freed(made[k], f)  # captured before an item of another class
            if number is not None:
                numbers[f.name] = number
                exact |= set() if one.is_loose else {f.name}
        for name, number in numbers.items():
            made[k] = _with(made[k], name, number, anew=not _is_target(made[k], name))
    return items if all(one is other for one, other in zip(made, items, strict=True)) else tuple(made)


def _freed(header: AnyHeader, f: Field) -> AnyHeader:
    """Return a captured header in which a number follows again."""
    made: AnyHeader = header._copied(header)
    if hasattr(header, "__viewed__"):
        made.__viewed__ = header.__viewed__  # type: ignore[attr-defined]
    made._state &= ~(f.bit | f.bit << len(header._fields))
    return made


def _is_target(header: AnyHeader, name: str) -> bool:
    """Whether what a header holds may require a number of it."""
    plan = solving(header._declaration)
    return plan is not None and any(f.name == name for f in plan.targets)


def _parts(header: AnyHeader, inner: AnyHeader | None = None) -> list[object]:
    """Return what a header holds."""
    held: list[object] = [] if header._declaration.view is None else [inner or getattr(header, "__viewed__", None)]
    for f in header._fields:
        raw = getattr(header, f.slot) if f.kind.has_headers else None
        raw = raw.inner if isinstance(raw, Carried | InnerValue) else raw
        held += raw if type(raw) is tuple else ()
    return held


def _inside(stack: tuple[AnyHeader, ...], held: list[object], plan: Solving, holder: Declaration) -> Iterator[tuple[Requirement, AnyHeader]]:
    """Yield what headers require of the one that holds them, at any level, and these; `stack` begins with it, and ends with the one that holds `held`."""
    for one in held:
        if not isinstance(one, AnyHeader):
            continue
        known = plan.required.get(one._declaration)
        if known is None:
            deeper = any(_of_holder(holder, inner) for inner in _held(one._declaration))
            known = plan.required[one._declaration] = _of_holder(holder, one._declaration), deeper
        own, deeper = known
        for requirement in own:
            if is_required(one, requirement) and place_of(requirement.leaf, stack) == 0:
                yield requirement, one
        if deeper:
            yield from _inside((*stack, one), _parts(one), plan, holder)


# Stacks --------------------------------------------------------------------------------------------------------


def solve_stack(headers: tuple[H, ...]) -> tuple[H, ...]:
    """Return the headers of a packet with the numbers that those above, and what these hold, require of them."""
    kinds = tuple(map(type, headers))
    plan = _stacks.get(kinds)
    if plan is None:
        if len(_stacks) > 1000:
            _stacks.clear()
        plan = _stacks[kinds] = _above(kinds)
    if not plan:
        return headers
    made, settled = [*headers], dict[tuple[int, str], bool]()

    def put(place: int, one: Requirement, by: AnyHeader) -> None:  # the first one counts, and what it was in another packet does not
        f, key = made[place]._by_name.get(one.leaf.name), (place, one.leaf.name)
        known = settled.get(key)  # whether it is this number, or one for which conditions hold
        if f is None or known or made[place]._state & f.bit:  # one that was given stays
            return
        anew = known is None and not _is_target(made[place], f.name)
        default = _unset(f)
        number = number_for(by, one, default if anew else getattr(made[place], f.slot), f) if is_required(by, one) else None
        if number is not None and number != default:
            settled[key] = not one.is_loose
        elif known is not None:
            return
        if number is not None or anew:
            made[place] = _with(made[place], f.name, number, anew or known is not None)

    for i, own, holds in plan:
        for one, place in own:
            put(place, one, headers[i])
        for ancestors, one, held in _required_inside(headers[: i + 1]) if holds else ():
            place = place_of(one.leaf, ancestors)
            if 0 <= place < i:
                put(place, one, held)
    return headers if all(one is other for one, other in zip(made, headers, strict=True)) else tuple(made)


def _above(kinds: tuple[type[AnyHeader], ...]) -> list[tuple[int, list[tuple[Requirement, int]], bool]]:
    """Return which headers of a stack require numbers of those below: their places, what they require of which, and whether what they hold may."""
    found = []
    for i in range(1, len(kinds)):
        declaration = kinds[i]._declaration
        placed = [(one, place_of(one.leaf, kinds[:i])) for one in requirements(declaration) if one.leaf.path]  # type: ignore[arg-type]  # classes have what is looked at
        own = [(one, place) for one, place in placed if place >= 0 and _may_set(kinds[place]._declaration, one)]
        holds = any(one.leaf.path and any(_may_set(below._declaration, one) for below in kinds[:i]) for held in _held(declaration) for one in requirements(held))
        if own or holds:
            found.append((i, own, holds))
    return found


class Below(NamedTuple):
    """What a function for just such stacks has of numbers that its headers ask of those below.

    Attributes:
        values: of each header, outer value -> source for it. unsolved: conditions that such a number is yet to be solved.
    """

    values: list[dict[str, str]]
    unsolved: list[str]


def from_below(kinds: tuple[type[AnyHeader], ...]) -> Below | None:
    """Return what the headers of a stack, ``h_0`` and so on, ask of those below; None where that is more than numbers that follow from nothing."""
    values, asking = list[dict[str, str]](), dict[tuple[int, int, Field], int]()
    for i, cls in enumerate(kinds):
        if goes_by_more(cls._declaration):
            return None
        found = dict[str, str]()
        for leaf in cls._declaration.outer_leaves:
            place = place_of(leaf, kinds[:i]) if type(leaf) is Elsewhere and leaf.path else -1  # type: ignore[arg-type]  # as in `_above`
            f = kinds[place]._by_name[leaf.name] if place >= 0 else None
            if f is None or not _has_no_rule(f) or _unset(f) is None:
                return None
            found[str(leaf)] = f"h_{place}.{f.slot}"
        values.append(found)
    for i, own, holds in _above(kinds):
        if holds:
            return None
        for one, place in own:
            f = kinds[place]._by_name[one.leaf.name]
            asked = -1 if one.field is None or one.none is not None else one.field.bit
            asking[i, place, f] = asking.get((i, place, f), 0) | asked
    unsolved = [f"not s_{p} & {f.bit:#x} and (s_{i} & {asked:#x} or h_{p}.{f.slot} != {f.default})" if asked > 0 else f"not s_{p} & {f.bit:#x}"
                for (i, p, f), asked in asking.items()]  # fmt: skip
    return Below(values, unsolved)


def _required_inside(stack: tuple[AnyHeader, ...]) -> Iterator[tuple[Sequence[AnyHeader], Requirement, AnyHeader]]:
    """Yield what the headers held by the last one of a stack require, what stands around them, the nearest last, and these."""
    for held in _parts(stack[-1]):
        if isinstance(held, AnyHeader):
            for one in requirements(held._declaration):
                if one.leaf.path and is_required(held, one):
                    yield stack, one, held
            yield from _required_inside((*stack, held))


def wanted_by(headers: Sequence[AnyHeader], i: int, name: str) -> str:
    """Return which field, "Row.cell", was given so that a number of header `i` of a stack is as it is; "" where none is known."""
    header = headers[i]
    f, plan = header._by_name.get(name), solving(header._declaration)
    if f is None:  # it stands in what refines the header, which another layer does not set
        return ""
    asked = [*_inside((header,), _parts(header), plan, header._declaration)] if plan is not None else []
    for j in range(i + 1, len(headers)):
        below = tuple(headers[:j])
        asked += [(one, headers[j]) for one in requirements(headers[j]._declaration) if one.leaf.path and place_of(one.leaf, below) == i]
        asked += [(one, held) for around, one, held in _required_inside((*below, headers[j])) if place_of(one.leaf, around) == i]
    now = getattr(header, f.slot)
    for one, held in asked:
        if one.leaf.name == name and is_required(held, one) and one.field is not None and number_for(held, one, now, f) == now:
            return f"{held._declaration.name}.{one.field.name}"
    return ""


def _with(header: H, name: str, number: int | None, anew: bool = False) -> H:
    """Return a header with a number that others require; itself where that was given, something else says it, or another one requires it so.

    `anew`: whatever it was solved as before counts no more, and without a number it has its default again.
    """
    f = header._by_name.get(name)
    if f is None or header._state & f.bit or header._is_partial or not _has_no_rule(f):
        return header
    raw, default = getattr(header, f.slot), _unset(f)
    if number is None:
        number = default if anew else raw
    if raw == number or not (anew or raw is None or raw == default):
        return header
    made: H = header._copied(header)
    if hasattr(header, "__viewed__"):
        made.__viewed__ = header.__viewed__  # type: ignore[attr-defined]
    setattr(made, f.slot, number)
    return made
