"""Numbers of a header that say how large others are, or whether they are there: solved from what those were given.

`sized(field("Low.n"))` of a header above, `many(count=field("^.w"))` of what a field holds, `sized(before("size"))` of the item after:
the numbers that these name follow where nobody gave them and they have no rule of their own. Where two require different
numbers the first counts, and the other is refused. What a class requires is found out once: most headers, and most stacks, have
nothing to solve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from packetlab.codec.around.outer import is_called, names_before, place_of, read_with
from packetlab.codec.objects import AnyHeader
from packetlab.declare import registry
from packetlab.declare.expressions import Const, Elsewhere, Expr, If, Op
from packetlab.declare.fields import REQUIRED
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.refinement.registered import numbers
from packetlab.declare.remembering.recalled import Recalled
from packetlab.declare.transforms.carried import OuterBytes
from packetlab.declare.transforms.raws import Carried, InnerValue

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field

H = TypeVar("H", bound=AnyHeader)


class Requirement(NamedTuple):
    """A number of another header that a field requires, once it is given.

    Attributes:
        bit, slot: of the field, "" where the class requires it. leaf: the number. constant: what it has to be, None where that goes by the value. solved: value -> number.
    """

    bit: int
    slot: str
    leaf: Elsewhere
    constant: int | None
    solved: Callable[[Any], int | None]


class Solving(NamedTuple):
    """What there is to solve when a header is made, or changed.

    Attributes:
        targets: its own fields that what it holds may require numbers of. lists: fields whose items may require numbers of the item before.
        required: what a declaration requires of `targets`, and whether that is to be looked for in what such a header holds; as far as known.
    """

    targets: tuple[Field, ...]
    lists: tuple[Field, ...]
    required: dict[Declaration, tuple[list[Requirement], bool]]


solvings: dict[Declaration, Solving | None] = {}
"""What there is to solve in headers of a declaration, None for nothing; as far as it was asked for."""
_requirements: dict[Declaration, list[Requirement]] = {}
_stacks: dict[tuple[type[AnyHeader], ...], list[tuple[int, list[tuple[Requirement, int]], bool]]] = {}
registry.caches += [solvings, _requirements, _stacks]


# What classes require ------------------------------------------------------------------------------------------


def requirements(declaration: Declaration) -> list[Requirement]:
    """Return which numbers of others the fields of a header require: those of sizes, of counts, and of conditions with one such number."""
    found = _requirements.get(declaration)
    if found is None:
        plan, found = declaration.plan, []
        rules = [(declaration.by_name[name], what, rule) for what, some in (("size", plan.sizes), ("count", plan.counts)) for name, rule in some.items()]
        rules += [(f, "there", one) for f in declaration.fields if f.condition is not None for one in _joined(f.condition)]
        for f, what, rule in rules:
            leaves = [leaf for leaf in rule.leaves() if isinstance(leaf, Elsewhere)]
            if len(leaves) == 1 and not isinstance(leaves[0], Recalled | OwnPlace | OuterBytes):
                found += _required(f, what, rule, leaves[0])
        found += _as_found(declaration)
        _requirements[declaration] = found
    return found


def _joined(rule: Expr) -> list[Expr]:
    joined = isinstance(rule, Op) and rule.sign == "&" and rule.is_truth
    return [one for part in rule.operands() for one in _joined(part)] if joined else [rule]


def _required(f: Field, what: str, rule: Expr, leaf: Elsewhere) -> list[Requirement]:
    """Return what a rule of a field requires of the one number from elsewhere that is in it; nothing where that has no one answer."""
    kind = f.kind
    if what == "count":
        return [Requirement(f.bit, f.slot, leaf, None, lambda raw: _solved(rule, len(raw) if type(raw) is tuple else kind.count(raw)))]
    if what == "size":
        plain = kind.wire in ("open", "bytes")
        return [Requirement(f.bit, f.slot, leaf, None, lambda raw: _solved(rule, len(raw)) if isinstance(raw, bytes) else None)] if plain else []
    number = 1 if rule is leaf else None
    if isinstance(rule, Op) and rule.sign == "==" and isinstance(rule.right, Const):
        number = _solved(rule.left, rule.right.number)
    return [] if number is None else [Requirement(f.bit, f.slot, leaf, number, lambda raw: number)]


def _as_found(declaration: Declaration) -> list[Requirement]:
    """Return what a class that is found by a number which is another header's requires of that: of the item before, or where there is none."""
    said = numbers(declaration.when) if declaration.refines is not None and declaration.when is not None else None
    f = declaration.by_name.get(said[0]) if said is not None and said[1] else None
    rule = f.computed if f is not None else None
    if said is None or rule is None:
        return []
    chain = isinstance(rule, If) and str(rule.condition) == str(rule.yes) and isinstance(rule.yes, Elsewhere) and not rule.yes.path
    leaves = [rule.yes, rule.no] if isinstance(rule, If) and chain else [rule]
    number = said[1][0]
    return [Requirement(0, "", leaf, number, lambda raw: number) for leaf in leaves if type(leaf) is Elsewhere]


def _solved(rule: Expr, result: int) -> int | None:
    """Return the value from elsewhere for which a rule comes to `result`, None where there is none that is known."""
    while not isinstance(rule, Elsewhere):
        if not isinstance(rule, Op):
            return None
        number, left = (rule.right, True) if isinstance(rule.right, Const) else (rule.left, False)
        if not isinstance(number, Const) or (not left and rule.sign not in ("+", "*", "-")):
            return None
        n = number.number
        if rule.sign == "+":
            result -= n
        elif rule.sign == "-":
            result = result + n if left else n - result
        elif rule.sign == "*" and n and result % n == 0:
            result //= n
        elif rule.sign == "//" and n:
            result *= n
        else:
            return None
        rule = rule.left if left else rule.right
    return result


def _may_set(declaration: Declaration, one: Requirement) -> bool:
    """Whether a header may have to have another number than its default for a requirement that names a field of it."""
    f = declaration.by_name.get(one.leaf.name)
    return f is not None and _has_no_rule(f) and (one.constant is None or one.constant != f.default)


def _has_no_rule(f: Field) -> bool:
    return f.rule is f.computed is None and not f.fixed and f.kind.wire == "number" and f.kind.is_number


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
        solvings[declaration] = Solving((*targets,), (*lists,), {}) if targets or lists else None
    return solvings[declaration]


def _of_item_before(item: Declaration) -> list[Requirement]:
    return [one for one in requirements(item) if not one.leaf.path]


# Headers that are made -----------------------------------------------------------------------------------------


def solve(header: AnyHeader, inner: AnyHeader | None = None) -> None:
    """Put the numbers into a header that is being made which what it holds requires, and into items those that the items after require.

    `inner` is the header inside, where it takes a field apart and that is not in there yet.
    """
    plan = solving(header._declaration)
    if plan is None or header._is_partial:
        return
    for f in plan.lists:
        raw = getattr(header, f.slot)
        if type(raw) is tuple:
            setattr(header, f.slot, _solved_items(raw, names_before(f.kind.item)))
        elif isinstance(raw, InnerValue) and (items := _solved_items(raw.inner, names_before(f.kind.item))) is not raw.inner:
            setattr(header, f.slot, InnerValue(items))
    to_solve = {f.name: f for f in plan.targets if not header._state & f.bit}
    for f in to_solve.values():  # another edit may have solved it
        setattr(header, f.slot, _unset(f))
    if to_solve:
        for leaf, number in _inside((header,), _parts(header, inner), plan, header._declaration):
            target = to_solve.get(leaf.name)
            if target is not None and target.kind.low <= number <= target.kind.high:
                setattr(header, target.slot, number)
                if number != target.default:
                    del to_solve[leaf.name]
                    if not to_solve:
                        return


def _solved_items(items: tuple[Any, ...], names: frozenset[str]) -> tuple[Any, ...]:
    """Return items with the numbers of these `names` that those after them require; whatever others required where they stood before counts no more."""
    made = [*items]
    for k in range(len(items) - 1, -1, -1):
        if not isinstance(made[k], AnyHeader):
            continue
        numbers: dict[str, int | None] = dict.fromkeys(names)
        after: Any = made[k + 1] if k + 1 < len(made) else None
        for one in _of_item_before(after._declaration) if isinstance(after, AnyHeader) else ():
            if numbers.get(one.leaf.name) is None:
                numbers[one.leaf.name] = _number(after, one)
        for name, number in numbers.items():
            made[k] = _with(made[k], name, number, anew=not _is_target(made[k], name))
    return items if all(one is other for one, other in zip(made, items, strict=True)) else tuple(made)


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


def _inside(stack: tuple[AnyHeader, ...], held: list[object], plan: Solving, holder: Declaration) -> Iterator[tuple[Elsewhere, int]]:
    """Yield what headers require of the one that holds them, at any level; `stack` begins with it, and ends with the one that holds `held`."""
    for one in held:
        if not isinstance(one, AnyHeader):
            continue
        known = plan.required.get(one._declaration)
        if known is None:
            deeper = any(_of_holder(holder, inner) for inner in _held(one._declaration))
            known = plan.required[one._declaration] = _of_holder(holder, one._declaration), deeper
        own, deeper = known
        for requirement in own:
            number = _number(one, requirement)
            if number is not None and place_of(requirement.leaf, stack) == 0:
                yield requirement.leaf, number
        if deeper:
            yield from _inside((*stack, one), _parts(one), plan, holder)


def _number(header: AnyHeader, one: Requirement) -> int | None:
    """Return the number that a field of a header requires, None where it requires none by what it was given."""
    state = header._state
    if not one.slot:
        return one.constant
    if not state & one.bit or state >> len(header._fields) & one.bit or (raw := getattr(header, one.slot)) is None:
        return None
    return one.solved(raw)


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
    made, settled = [*headers], set[tuple[int, str]]()

    def put(place: int, name: str, number: int | None) -> None:  # the first one counts, and what it was in another packet does not
        anew = (place, name) not in settled and not _is_target(made[place], name)
        if number is not None:
            settled.add((place, name))
        if number is not None or anew:
            made[place] = _with(made[place], name, number, anew)

    for i, own, holds in plan:
        for one, place in own:
            put(place, one.leaf.name, _number(headers[i], one))
        for ancestors, one, number in _required_inside(headers[: i + 1]) if holds else ():
            place = place_of(one.leaf, ancestors)
            if 0 <= place < i:
                put(place, one.leaf.name, number)
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


def _required_inside(stack: tuple[AnyHeader, ...]) -> Iterator[tuple[Sequence[AnyHeader], Requirement, int]]:
    """Yield what the headers held by the last one of a stack require, and what stands around them, the nearest last."""
    for held in _parts(stack[-1]):
        if isinstance(held, AnyHeader):
            for one in requirements(held._declaration):
                if one.leaf.path and (number := _number(held, one)) is not None:
                    yield stack, one, number
            yield from _required_inside((*stack, held))


def _with(header: H, name: str, number: int | None, anew: bool = False) -> H:
    """Return a header with a number that others require; itself where that was given, something else says it, or another one requires it so.

    `anew`: whatever it was solved as before counts no more, and without a number it has its default again.
    """
    f = header._by_name.get(name)
    if f is None or header._state & f.bit or header._is_partial or not _has_no_rule(f):
        return header
    raw, default = getattr(header, f.slot), _unset(f)
    if number is None or not f.kind.low <= number <= f.kind.high:
        number = default if anew else raw
    if raw == number or not (anew or raw is None or raw == default):
        return header
    made: H = header._copied(header)
    if hasattr(header, "__viewed__"):
        made.__viewed__ = header.__viewed__  # type: ignore[attr-defined]
    setattr(made, f.slot, number)
    return made
