"""Whether a number in an item of a list is known although items of it have faults: one that could be that item says nothing of the number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.places.item_values import ItemValues
from packetlab.codec.refinement.views import viewed
from packetlab.declare.declaration import Declaration, outer_leaves
from packetlab.declare.refinement.registered import refinements

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.values.said import FirstOf


def is_unsettled(leaf: FirstOf, items: object) -> bool:
    """Whether an item before the first one of a class might be of it, had it no fault. `items`: those of a list that was read."""
    for one in items if isinstance(items, tuple) else ():
        if isinstance(one, bytes):
            return True
        if _is_called(one._declaration, leaf.item):
            return False
        if _might_be(one, leaf.item):
            return True
    return not isinstance(items, tuple)


def _is_called(declaration: Declaration, item: str) -> bool:
    return any(said.name.lower() == item for said in (declaration, *declaration.bases))


def _leads_to(declaration: Declaration, item: str) -> bool:
    return _is_called(declaration, item) or any(_leads_to(one, item) for one in refinements(declaration))


def _might_be(header: AnyHeader, item: str) -> bool:
    """Whether a header is of no class that it should be by its values, of those on the way to one of that name."""
    for one in refinements(header._declaration):
        if _leads_to(one, item):
            inner, said = (viewed(header), one.view[1]) if one.is_deeper and one.view is not None else (header, one)
            if said.when is None or outer_leaves([said.when]) or said.when.evaluate(ItemValues(inner, b"", 0)):
                return True
    return False
