"""Items whose bytes lie elsewhere in what holds them (see `heaps`), by generated functions: lists of plain items of one class, read or made anew.

All else - items that were read and edited, that were given a place, that are refined or vary in size - goes by `heaps`, which these leave it to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from packetlab.codec.objects import classes
from packetlab.codec.places.heaps import FURTHEST, Shape, handed_out, shape_of
from packetlab.codec.source import function
from packetlab.declare.places.heaps import Heap, Lain
from packetlab.declare.refinement.heaps import heap_of

if TYPE_CHECKING:
    from packetlab.codec.source import Compiled
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field


class Plain(NamedTuple):
    """Items of one class, whose place and size are numbers that are always there. `outer` is source for what one remembers, of `at` and `begin`."""

    item: Declaration
    shape: Shape
    outer: str


def plain_items(field: Field) -> Plain | None:
    """Return what the items of a list are where nothing but their place and size decides their bytes; None elsewhere."""
    item: Declaration = field.kind.item
    shape = None if item.view is not None else shape_of(item)
    if shape is None or shape.quick is None or shape.views or None in shape.leaves or shape.field.condition is not None:
        return None
    if any(f.condition is not None or f.kind.transforms for f in item.fields if f.slot in shape.quick):
        return None
    return Plain(item, shape, "".join("at, " if leaf is Lain else "begin, " for leaf in shape.leaves))


def handing_out(field: Field) -> Compiled:
    """Return a function that does what `heaps.handed_out` does, for the items of a list."""
    plain = plain_items(field)
    if plain is None:
        return handed_out
    (place, size), slot = plain.shape.quick or ("", ""), plain.shape.field.slot
    lines = [
        "def handed(items, blobs, begin):",
        f"    room, end = len(blobs) + {FURTHEST}, begin + len(blobs)",
        "    for h in items:",
        "        if type(h) is not item_class: return other(items, blobs, begin)",
        f"        at, size = h.{place}, h.{size}",
        "        if size > 0:",
        "            room -= size",
        "            if room < 0 or not begin <= at <= end - size: return None",
        f"            h.{slot} = blobs[at - begin:at - begin + size]",
        "        elif size < 0: return None",
        f"        else: h.{slot} = b''",
        f"        h.__outer__ = ({plain.outer})",
        "    return items",
    ]
    return function(lines, {"item_class": classes[plain.item], "other": handed_out}, f"{field.owner.name}.{field.name} handed out")


def laying(header: Declaration) -> Compiled | None:
    """Return ``lay(header)`` -> the header with the bytes of its items laid one after the other, as `heaps.heaped` does; None for what that has to look at.

    That is all but items whose place follows from where there is room, in a header that was not read. None for headers with other lists.
    """
    held = heap_of(header)
    plain = None if held is None or len(held.lists) != 1 else plain_items(held.lists[0])
    if held is None or plain is None or plain.shape.bits is None or not plain.shape.following:
        return None
    (field,), within, shape, before = held.lists, held.within, plain.shape, header.fields[: header.fields.index(held.within)]
    if any(f.condition is not None or (f.align if f is field else f.kind.bits is None) for f in before):
        return None
    item, begin, align, slot = plain.item, sum(f.kind.fixed_bits for f in before), shape.field.heap.align, shape.field.slot
    follows = {f.slot for f in shape.following}
    given = -1 << len(item.fields) | sum(f.bit for f in shape.following)
    values = [f"        r.{f.slot} = {'None' if f.slot in follows else 'data' if f is shape.field else f'h.{f.slot}'}" for f in item.fields]
    lines = [
        "def lay(holder):",
        f"    items, s = holder.{field.slot}, holder._state",
        f"    if s & {-1 << len(header.fields) | within.bit:#x} or type(items) is not tuple: return None",
        f"    end, found, made = ({begin} + {shape.bits} * len(items)) // 8, [], []",
        "    add, keep = found.append, made.append",
        "    for h in items:",
        f"        if type(h) is not item_class or (s := h._state) & {given:#x} or type(data := h.{slot}) is not bytes: return None",
        "        try: outer = h.__outer__",  # faster than `getattr`
        "        except AttributeError: return None",
        f"        if outer is not None and outer[{shape.leaves.index(Heap)}]: return None",
        f"        at = end + -end % {align}" if align > 1 else "        at = end",
        "        r = new(*of)",
        "        r._state = s",
        *values,
        f"        r.__outer__ = ({plain.outer.replace('begin', '0')})",
        "        keep(r)",
        "        if data:",
        *(["            if at > end: add(bytes(at - end))"] if align > 1 else []),
        "            add(data)",
        "            end = at + len(data)",
        "    r = holder_class._copied(holder)",
        f"    r.{field.slot} = tuple(made)",
        f"    r.{within.slot} = b''.join(found)",
        "    return r",
    ]
    cls = classes[item]
    names = {"item_class": cls, "new": cls.__new__, "of": (cls,), "holder_class": classes[header]}
    return function(lines, names, f"{header.name}.{field.name} laid")
