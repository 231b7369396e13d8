"""What a header holds, while a packet is edited: values in it that follow from what stands around it, and were right, follow again."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from packetlab.codec.around.outer import Within, is_around
from packetlab.codec.around.writing import FIRST
from packetlab.codec.objects import AnyHeader
from packetlab.codec.refinement.standing import goes_by_around, keep
from packetlab.codec.refinement.views import viewed
from packetlab.declare.fields import Filled
from packetlab.declare.refinement.heaps import heap_of
from packetlab.declare.transforms.raws import Carried

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration


def holds_others(declaration: Declaration) -> bool:
    """Whether rules of what a header holds ask what stands around it."""
    return goes_by_around(declaration) or any(map(is_around, declaration.fields))


def freed(made: AnyHeader, header: AnyHeader, whole: AnyHeader, stack: tuple[AnyHeader, ...], i: int) -> None:
    """Have what a copy of header `i` of a stack holds follow from what stands around it, where it does now; `whole` has all values filled in."""
    outside = Within((*stack[:i], whole))
    outside.holders, held = i + 1, heap_of(header._declaration)
    for f in header._fields:
        raw = getattr(header, f.slot)
        if raw is None or not is_around(f) or f.kind.loose:
            continue
        carried = raw if isinstance(raw, Carried) and raw.opened else None
        raw = carried.inner if carried is not None else header._items_of(f) if type(raw) is bytes else raw
        if type(raw) is tuple or type(raw) is Filled:
            items, before = list[AnyHeader | bytes](), cast("AnyHeader", FIRST)
            lain = getattr(whole, f.slot) if held is not None and f in held.lists else raw  # bytes elsewhere are laid out in these
            for item, there in zip(cast("tuple[AnyHeader | bytes, ...]", raw), lain, strict=True):
                items.append(_freed(item, outside, before, there) if isinstance(item, AnyHeader) else item)
                before = item if isinstance(item, AnyHeader) else before
            if any(one is not other for one, other in zip(items, raw, strict=True)):
                anew = Filled.of(items, raw.fill) if type(raw) is Filled else tuple(items)
                setattr(made, f.slot, anew if carried is None else carried.holding(anew))
    if goes_by_around(header._declaration):
        keep(made, header)
        _free_inside(made, header, outside)


def _freed(item: AnyHeader, outside: Within, before: AnyHeader | None, there: AnyHeader) -> AnyHeader:
    """Return a header that stands in another one with what is right in it derived again; `there` is the same as it is written there."""
    stack = Within((*outside, there))
    stack.holders, stack.before = outside.holders, before
    place, cls = len(outside), type(item)
    whole = cls._resolve(there, b"", stack, place, None)
    data = cls._encode(there, b"", stack, place, None)
    after = Within((*outside, whole))
    after.holders, after.before = outside.holders, before
    found: AnyHeader = cls._rederive(item, whole, data, 0, len(data), after, place, None)[0]
    return found


def _free_inside(made: AnyHeader, header: AnyHeader, outside: Within) -> None:
    """The same for the header inside a field that a copy takes apart: its bytes are made anew, where they would be the same now."""
    f = header._by_name[header._declaration.view[0]]  # type: ignore[index]
    captured = f.bit << len(header._fields)
    if not header._state & captured:
        return
    inner = viewed(header)
    anew = _freed(inner, outside, None, inner)
    if anew is not inner and type(anew)._encode(anew, b"", Within((*outside, anew)), len(outside), None) == getattr(header, f.slot):
        made._state = made._state & ~captured | f.bit
        made.__viewed__ = anew  # type: ignore[attr-defined]
