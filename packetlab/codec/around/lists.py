"""Lists of headers that ask what stands around them, read from bytes that are all theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from packetlab.codec.around.outer import look, outer_beside, read_with
from packetlab.codec.faults import Dissection, Fault
from packetlab.codec.lenient import read_items
from packetlab.codec.objects import AnyHeader
from packetlab.codec.places.item_values import ItemValues
from packetlab.codec.readback import is_end, unended
from packetlab.codec.source import Compiled
from packetlab.declare.fields import Field
from packetlab.declare.plan import Listed

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.errors import BuildError


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


def open_end(header: AnyHeader) -> BuildError | None:
    """Return the error for the list at the end of a header that goes on until an item says it is the last, where none does; None where the end is known."""
    for f in reversed(header._fields):
        raw = getattr(header, f.slot)
        if f.name in until_lists(header._declaration) and f.until is not None:
            ended = type(raw) is not tuple or any(type(one) is bytes for one in raw) or outer_beside([f.until], f.kind.item.outer_leaves)
            return None if ended or any(is_end(f.until, one) for one in raw) else unended(header, f.name)
        if type(raw) is tuple and raw and f.kind.has_headers and f.name not in header._declaration.plan.sizes:
            return open_end(raw[-1]) if isinstance(raw[-1], AnyHeader) else None
        if f.condition is None or raw is not None:
            return None
    return None


def need_ends(items: Any, *, follows: bool) -> None:
    """Refuse headers in a field of which one would be read on into what stands after it: the next, or after the last what `follows`."""
    for one in (items if follows else items[:-1]) if type(items) is tuple else ():
        error = open_end(one) if isinstance(one, AnyHeader) else None
        if error is not None:
            raise error


def until_lists(declaration: Declaration) -> frozenset[str]:
    """Return the names of the lists of a header whose last item is the only end that they have."""
    return frozenset(step.field.name for step in declaration.plan.within if isinstance(step, Listed) and step.count is None)


def may_go_on(item: Declaration) -> bool:
    """Whether a header in a field may end with such a list."""
    return any(map(until_lists, read_with(item)))


def one_by_one(field: Field) -> Compiled:
    """Return a compiled reader of items that tell each other something: each is read by the reader of its class."""

    def read(data: bytes, pos: int, limit: int, count: int | None, ctx: Dissection | None = None) -> object:
        found = read_items(field, data, pos, limit, count, None, around=ctx)
        return None if found[0] is None else found

    return read
