"""Lists whose items have bytes in a field of the header that holds them (``at(..., within="blobs")``): which they are, and what they may be."""

from __future__ import annotations

from typing import NamedTuple

from packetlab.declare import registry
from packetlab.declare.declaration import Declaration
from packetlab.declare.fields import REQUIRED, Field
from packetlab.declare.places.heaps import Heap, asks_for, heap_field, is_bytes
from packetlab.declare.refinement.registered import refinements
from packetlab.errors import DeclareError, suggestion


class Heaped(NamedTuple):
    """The lists of a header whose items have bytes in one of its fields, and that field."""

    lists: tuple[Field, ...]
    within: Field


_held: dict[Declaration, Heaped | None] = {}
registry.caches.append(_held)


def item_heap(item: Declaration) -> Heap | None:
    """Return where the bytes of a field lie that items of a list have elsewhere, or those that refine them."""
    some = (heap_field(one.fields) for one in (item, *refinements(item)))
    return next((f.heap for f in some if f is not None), None)


def heap_of(declaration: Declaration) -> Heaped | None:
    """Return which lists of a header have items whose bytes lie in a field of it, None for none."""
    if declaration not in _held:
        lists = [f for f in declaration.fields if f.kind.wire == "items" and f.kind.item is not None and item_heap(f.kind.item) is not None]
        heap = item_heap(lists[0].kind.item) if lists else None
        _held[declaration] = None if heap is None else Heaped(tuple(lists), declaration.by_name[heap.within])
    return _held[declaration]


def heaps_of(declaration: Declaration) -> list[tuple[Field, Field]]:
    """Return each such list with the field in which the bytes of its items lie."""
    held = heap_of(declaration)
    return [] if held is None else [(f, held.within) for f in held.lists]


def is_late(header: Declaration) -> bool:
    """Whether a header takes a field apart whose bytes lie elsewhere: who reads what holds it sees to that."""
    return header.view is not None and header.by_name[header.view[0]].heap is not None


def check_heaps(header: Declaration) -> None:
    """Refuse lists of items whose bytes lie in a field that the header does not have, or not in time, or that has other values than bytes."""
    known: dict[str, str] = {}
    for f, rule, where in ((heap_field(header.fields), header.when, f"{header.name}, when="), *((heap_field(f.kind.item.fields), f.until, f"{header.name}.{f.name}, until=") for f in header.fields if f.kind.has_headers and f.kind.item is not None)):
        if f is not None and rule is not None and asks_for(rule, f):
            hint = "field(...) of the number that says its size tells whether it has bytes"
            raise DeclareError(where, "a rule of what is known where an item is read", f"{rule}, of {f.name}, which lies elsewhere", hint)
    for f in header.fields:
        heap = item_heap(f.kind.item) if f.kind.has_headers and f.kind.item is not None else None
        if heap is None:
            continue
        item, names = f.kind.item.name, [header.name, *(one.name for one in header.bases)]
        where, said = f"{header.name}.{f.name}", f'within="{heap.within}" of {item}'
        if heap.since not in names:
            hint = f'since="{header.name}", with the field of {header.name} that has the bytes'
            raise DeclareError(where, f"items of a list of {heap.since} itself, in which their bytes lie", f'{item}, since="{heap.since}"', hint)
        if f.kind.transforms or f.kind.loose or f not in header.before:
            raise DeclareError(where, "a list in the header's own bytes, before its payload, for items whose bytes lie elsewhere", f.kind.in_words())
        if heap.within not in header.by_name:
            raise DeclareError(f"{where}, {said}", f"a field of {header.name}", heap.within, suggestion(heap.within, header.by_name))
        g = header.by_name[heap.within]
        plain = is_bytes(g.kind) and not (g.pad or g.fixed or g.heap)
        if not plain or g.condition is not None or g.default not in (b"", REQUIRED):
            got = "one that may be absent" if plain and g.condition is not None else f"a default of {g.default!r:.40}" if plain else g.kind.in_words()
            raise DeclareError(f"{where}, {said}", 'Rest, or bytes of a size: Bytes = sized(...) or with an auto(size_of(...)) before it, always there and b"" by default', f"{g.name}, {got}")
        if g not in header.before or header.fields.index(g) < header.fields.index(f):
            raise DeclareError(f"{where}, {said}", f"a field after {f.name}, before the payload", g.name)
        known.setdefault(heap.within, f.name)
        if len(known) > 1:
            raise DeclareError(f"{where}, {said}", f"one field for the bytes of all lists, that of {known[next(iter(known))]}", heap.within)
