"""Lists of headers that ask what stands around them, read from bytes that are all theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from packetlab.codec.around.outer import look, outer_beside
from packetlab.codec.faults import Dissection, Fault
from packetlab.codec.lenient import read_items
from packetlab.codec.objects import AnyHeader
from packetlab.codec.places.item_values import ItemValues
from packetlab.codec.source import Compiled
from packetlab.declare.fields import Field


def read_all(
    field: Field, read: Compiled, raw: bytes, ctx: Dissection, faults: list[Fault] | None = None, origin: int = 0,
    count: int | None = None,
) -> Any:  # fmt: skip
    """Read the items in some bytes, with what is known around them; what is no whole item comes last, as it is.

    `read` is the compiled reader of the field (see `decode.items_reader`); for `faults`, `origin` and `count` see `lenient.read_items`.
    """
    found = read(raw, 0, len(raw), None, ctx) if count is None else None
    if found is not None and found[1] == len(raw):
        return found[0]
    anew, noted = Dissection(), [] if faults is None else faults
    anew.layers, anew.place = ctx.layers, ctx.place
    return read_items(field, raw, 0, len(raw), count, noted, origin, whole=True, owner=field.owner.name, around=anew)[0]


def is_last(field: Field, items: Sequence[Any], around: Sequence[AnyHeader]) -> bool:
    """Whether the last of some items is the one that ends those of a field; `around` are the headers that stand around them."""
    assert field.until is not None
    item, before = items[-1], items[-2] if len(items) > 1 else None
    leaves = outer_beside([field.until], item._declaration.outer_leaves)
    more = {str(leaf): look(leaf, around, before) or 0 for leaf in leaves}
    return bool(field.until.evaluate(ItemValues(item, b"", 0, more)))


def one_by_one(field: Field) -> Compiled:
    """Return a compiled reader of items that tell each other something: each is read by the reader of its class."""

    def read(data: bytes, pos: int, limit: int, count: int | None, ctx: Dissection | None = None) -> object:
        found = read_items(field, data, pos, limit, count, None, around=ctx)
        return None if found[0] is None else found

    return read
