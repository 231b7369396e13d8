"""Headers that are compared with others: as if they stood where those do.

A header that somebody wrote, to look for it, stands nowhere; what follows in it from what stands around can only be worked out by
what those have around them with which it is compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from packetlab.codec.around.outer import is_around, is_whole, reaches_out
from packetlab.codec.objects import AnyHeader, is_pattern
from packetlab.codec.refinement.views import viewed
from packetlab.declare.transforms.raws import Carried, InnerValue
from packetlab.declare.wildcards import same_items

if TYPE_CHECKING:
    from packetlab.declare.fields import Field
    from packetlab.declare.wildcards import Known


def same_held(one: AnyHeader, other: AnyHeader, field: Field, known: Known) -> bool | None:
    """Whether the headers that a field of a prototype holds are those of another header; None where they are to be compared as values."""
    mine, theirs = getattr(one, field.slot), getattr(other, field.slot)
    if is_around(field) and field.name not in one._declaration.fills and theirs is not None and (items := _held(field, mine)) is not None:
        others = _held(field, getattr(other._resolved_alone(), field.slot)) if field.kind.transforms else other._items_of(field)  # type: ignore[attr-defined]
        placed = () if others is None else _placed_all(items, others)
        if field.kind.one and placed and not isinstance(placed[0], bytes):
            return bool(placed[0]._is_among(others, known))  # type: ignore[attr-defined]
        return others is not None and same_items(placed, others, known)
    if field.kind.one:
        header, others = getattr(one, field.name), () if theirs is None else other._items_of(field)
        return bool(header._is_among(others, known)) if hasattr(header, "_declaration") else mine == theirs
    if field.kind.wire == "items" and theirs is not None:
        return same_items(one._items_of(field), other._items_of(field), known)
    return None


def _held(field: Field, raw: object) -> tuple[object, ...] | None:
    """Return the headers that a field holds, also inside transforms; None where they are not known one by one."""
    inner = raw.inner if isinstance(raw, Carried | InnerValue) and raw.opened else raw
    return inner if isinstance(inner, tuple) else None


def _placed_all(items: tuple[object, ...], others: tuple[object, ...]) -> tuple[AnyHeader, ...]:
    """Return items as they would be where others stand, each where the one at its place does; those of bytes, and patterns, as they are."""
    paired = [_placed(one, other) for one, other in zip(items, others, strict=False)]
    return cast("tuple[AnyHeader, ...]", (*paired, *items[len(paired) :]))


def _placed(one: object, other: object) -> object:
    if not (isinstance(one, AnyHeader) and isinstance(other, AnyHeader)) or one._by_name.keys() != other._by_name.keys():
        return one
    if is_pattern(one) or is_whole(one) or not reaches_out(one._declaration):
        return one
    made = one._copied(one)
    outer = getattr(other, "__outer__", None)
    if one._declaration.outer_leaves and outer is not None:
        made.__outer__ = outer
    for f in one._fields:
        if is_around(f) and (mine := _held(f, raw := getattr(one, f.slot))) is not None:
            theirs = getattr(other, f.slot)
            theirs = other._items_of(f) if type(theirs) is bytes and not f.kind.transforms else _held(f, theirs)
            inner = _placed_all(mine, theirs or ())
            setattr(made, f.slot, raw.holding(inner) if isinstance(raw, Carried) else InnerValue(inner) if isinstance(raw, InnerValue) else inner)
    if (inside := getattr(one, "__viewed__", None)) is not None and other._declaration.view is not None:
        made.__viewed__ = _placed(inside, viewed(other))
    return made
