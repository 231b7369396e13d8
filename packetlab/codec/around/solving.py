"""Numbers of a header that say how large others are, or whether they are there: solved from what those were given.

`sized(field("Low.n"))` of a header above, `many(count=field("^.w"))` of what a field holds, `sized(before("size"))` of the item after:
the numbers that these name follow where nobody gave them and they have no rule of their own. Where two want different
numbers the first counts, and the other is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from packetlab.codec.around.outer import place_of, read_with
from packetlab.codec.objects import AnyHeader
from packetlab.declare import registry
from packetlab.declare.expressions import Const, Elsewhere, Expr, Op
from packetlab.declare.fields import REQUIRED
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.remembering.recalled import Recalled
from packetlab.declare.transforms.carried import OuterBytes

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field

H = TypeVar("H", bound=AnyHeader)

_sized: dict[Declaration, list[tuple[Field, str, Expr, Elsewhere]]] = {}
_holding: dict[Declaration, bool] = {}
_stacks: dict[tuple[type[AnyHeader], ...], bool] = {}
registry.caches += [_sized, _holding, _stacks]


def _asking(declaration: Declaration) -> list[tuple[Field, str, Expr, Elsewhere]]:
    """Return what a header asks of others to know a field: the field, "size", "count" or "there", the rule, and the one value in it."""
    if declaration not in _sized:
        plan, found = declaration.plan, _sized.setdefault(declaration, [])
        rules = [(declaration.by_name[name], what, rule) for what, some in (("size", plan.sizes), ("count", plan.counts)) for name, rule in some.items()]
        rules += [(f, "there", one) for f in declaration.fields if f.condition is not None for one in _joined(f.condition)]
        for f, what, rule in rules:
            leaves = [leaf for leaf in rule.leaves() if isinstance(leaf, Elsewhere)]
            if len(leaves) == 1 and not isinstance(leaves[0], Recalled | OwnPlace | OuterBytes):
                found.append((f, what, rule, leaves[0]))
    return _sized[declaration]


def _joined(rule: Expr) -> list[Expr]:
    joined = isinstance(rule, Op) and rule.sign == "&" and rule.is_truth
    return [one for part in rule.operands() for one in _joined(part)] if joined else [rule]


def may_be_told(declaration: Declaration) -> bool:
    """Whether what a header holds may ask it, or an item before, how large something is."""
    if declaration not in _holding:
        held = read_with(declaration) - {declaration}
        own = declaration.view is not None and bool(_asking(declaration.view[1]))
        _holding[declaration] = own or any(leaf.out or not leaf.path or leaf.path in _names(declaration) for one in held for *_, leaf in _asking(one))
    return _holding[declaration]


def _asked(declaration: Declaration) -> set[str]:
    held = read_with(declaration) - {declaration}
    return {leaf.name for one in held for *_, leaf in _asking(one)}


def _names(declaration: Declaration) -> set[str]:
    return {declaration.name, *(one.name for one in declaration.bases)}


def tell(header: AnyHeader, inner: AnyHeader | None = None) -> None:
    """Put the numbers into a header that is being made which what it holds wants of it, and into items those that the items after want.

    `inner` is the header inside, where it takes a field apart and that is not in there yet.
    """
    if header._is_partial or not may_be_told(header._declaration):
        return
    asked = _asked(header._declaration)
    for f in header._fields:
        raw = getattr(header, f.slot)
        if f.name in asked and _is_free(header, f):
            setattr(header, f.slot, None if f.default is REQUIRED else f.default)  # another edit may have told it
        elif type(raw) is tuple and f.kind.wire == "items":
            items = [*raw]
            for k in range(len(items) - 1, 0, -1):
                for leaf, number in _wants(items[k]) if isinstance(items[k], AnyHeader) else ():
                    if not leaf.path and isinstance(items[k - 1], AnyHeader):
                        items[k - 1] = _with(items[k - 1], leaf.name, number)
            if any(one is not other for one, other in zip(items, raw, strict=True)):
                setattr(header, f.slot, tuple(items))
    for ancestors, leaf, number in _inside((header,), inner):
        if place_of(leaf, ancestors) == 0:
            _put(header, header._by_name[leaf.name], number)


def told_stack(headers: tuple[H, ...]) -> tuple[H, ...]:
    """Return the headers of a packet with the numbers that those above, and what these hold, want of them."""
    kinds = tuple(map(type, headers))
    if kinds not in _stacks:
        if len(_stacks) > 1000:
            _stacks.clear()
        _stacks[kinds] = any(leaf.path for header in headers[1:] for one in read_with(header._declaration) for *_, leaf in _asking(one))
    if not _stacks[kinds]:
        return headers
    made = [*headers]
    for i, header in enumerate(headers):
        below: Sequence[AnyHeader] = headers[:i]
        own = [(below, leaf, number) for leaf, number in _wants(header)]
        for ancestors, leaf, number in (*own, *_inside(headers[: i + 1])):
            place = place_of(leaf, ancestors) if leaf.path else -1
            if 0 <= place < i:
                made[place] = _with(made[place], leaf.name, number)
    return headers if all(one is other for one, other in zip(made, headers, strict=True)) else tuple(made)


def _inside(stack: Sequence[AnyHeader], inner: AnyHeader | None = None) -> Iterator[tuple[Sequence[AnyHeader], Elsewhere, int]]:
    """Yield what the headers held by the last one of a stack want, and what stands around them, the nearest last."""
    header = stack[-1]
    held = [inner or getattr(header, "__viewed__", None)] if header._declaration.view is not None else []
    for f in header._fields:
        raw = getattr(header, f.slot)
        held += raw if type(raw) is tuple and f.kind.wire == "items" else ()
    for one in held:
        if isinstance(one, AnyHeader):
            yield from ((stack, leaf, number) for leaf, number in _wants(one))
            yield from _inside((*stack, one))


def _wants(header: AnyHeader) -> Iterator[tuple[Elsewhere, int]]:
    """Yield the numbers that a header wants of what stands around it, by what its fields were given."""
    given = header._state & ~(header._state >> len(header._fields))
    for f, what, rule, leaf in _asking(header._declaration):
        raw: Any = getattr(header, f.slot)
        if not given & f.bit or raw is None:
            continue
        wanted: int | None = 1
        if what == "count":
            wanted = f.kind.count(raw) if type(raw) is not tuple else len(raw)
        elif what == "size":
            wanted = len(raw) if isinstance(raw, bytes) and f.kind.wire in ("open", "bytes") else None
        elif isinstance(rule, Op) and rule.sign == "==" and isinstance(right := rule.right, Const):
            rule, wanted = rule.left, right.number
        elif rule is not leaf:
            continue
        number = None if wanted is None else _solved(rule, wanted)
        if number is not None:
            yield leaf, number


def _solved(rule: Expr, wanted: int) -> int | None:
    """Return the value from elsewhere for which a rule comes to a number, None where that cannot be told."""
    while not isinstance(rule, Elsewhere):
        if not isinstance(rule, Op):
            return None
        number, left = (rule.right, True) if isinstance(rule.right, Const) else (rule.left, False)
        if not isinstance(number, Const) or (not left and rule.sign not in ("+", "*", "-")):
            return None
        n = number.number
        if rule.sign == "+":
            wanted -= n
        elif rule.sign == "-":
            wanted = wanted + n if left else n - wanted
        elif rule.sign == "*" and n and wanted % n == 0:
            wanted //= n
        elif rule.sign == "//" and n:
            wanted *= n
        else:
            return None
        rule = rule.left if left else rule.right
    return wanted


def _with(header: H, name: str, number: int) -> H:
    """Return a header with a number that others want, where it has none that was given."""
    made: H = header._copied(header)
    if hasattr(header, "__viewed__"):
        made.__viewed__ = header.__viewed__  # type: ignore[attr-defined]
    return made if _put(made, header._by_name[name], number) else header


def _put(header: AnyHeader, f: Field, number: int) -> bool:
    """Put a number that others want into a header, where nobody gave it, nothing else tells it, and no other one wants it so."""
    fits = _is_free(header, f) and f.kind.low <= number <= f.kind.high and getattr(header, f.slot) in (None, f.default)
    if fits:
        setattr(header, f.slot, number)
    return fits


def _is_free(header: AnyHeader, f: Field) -> bool:
    plain = f.rule is f.computed is f.condition is None and not f.fixed and f.kind.wire == "number" and f.kind.is_number
    return plain and not header._is_partial and not header._state & f.bit
