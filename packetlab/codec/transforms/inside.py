"""Headers in what transforms give, read: with what is known of the header that holds them."""

from __future__ import annotations

from packetlab.codec.around.outer import holds_contextual, is_around
from packetlab.codec.decode import items_reader
from packetlab.codec.faults import Dissection, Fault
from packetlab.codec.lenient import read_items
from packetlab.codec.places.surroundings import Standing
from packetlab.codec.refinement.depth import is_nested, is_recursive
from packetlab.codec.source import Compiled
from packetlab.declare.fields import Field
from packetlab.declare.refinement.registered import refinements


def reader_inside(field: Field) -> Compiled | None:
    """Return what reads headers inside at once; None where they are read with care.

    Of what holds others all levels are, once; and what stands for other bytes is opened once.
    """
    item = field.kind.item
    with_care = is_recursive(item) or is_nested(item) or item.transformed or any(refinements(item))
    return None if with_care else items_reader(field, False)


def parse_inside(field: Field, data: bytes, around: Dissection | None = None) -> tuple[object, tuple[tuple[str, str], ...]]:
    """Read headers inside bytes that stand for others; returns these, what is none of them last and as bytes, and what was expected and got.

    `around` is what is known of the header that holds them, where they ask that; places in them are counted in these bytes.
    """
    item, known = field.kind.item, is_around(field)
    if around is not None:
        around.place = Standing(data, 0, (), (), {})
    reader = None if known and (around is None or holds_contextual(item)) else reader_inside(field)
    if reader is not None:
        found = reader(data, 0, len(data), None, *((around,) if known else ()))
        if found is not None and found[1] == len(data):
            return found[0], ()
    faults: list[Fault] = []
    items, _ = read_items(field, data, 0, len(data), 1 if field.kind.one else None, faults, whole=True, around=around)
    return items, tuple((fault.expected, f"{fault.got} at byte {fault.offset} inside") for fault in faults)
