"""Headers with checksums that a layer holds: in a field, in a list, in what it takes apart, in what comes out of a transform."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from packetlab.codec.around.outer import Within
from packetlab.codec.around.writing import FIRST
from packetlab.codec.bodies import Bodies
from packetlab.codec.context.recalling import recalled_by
from packetlab.codec.objects import AnyHeader
from packetlab.codec.refinement.views import viewed
from packetlab.declare import registry
from packetlab.declare.checksums.bitwise import is_sum
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Elsewhere
from packetlab.declare.fields import Field
from packetlab.declare.refinement.registered import refinements
from packetlab.errors import BuildError
from packetlab.packet.explain import Derivation
from packetlab.packet.packet import Header, Packet

_known: dict[Declaration, bool] = {}
registry.caches.append(_known)


class InsideDerivation(Derivation):
    """The values that the rules of a header refer to which is held by others: the last of a stack."""

    is_inside = True

    def __init__(self, packet: Packet, stack: Any) -> None:
        self.packet, self.i, self.layers = packet, len(stack) - 1, stack
        self.header, self.cls = stack[-1], type(stack[-1])
        self.bodies = Bodies(b"", (), {})
        self.bodies.extents = [(0, 0)] * len(stack)  # it carries nothing

    def elsewhere(self, leaf: Elsewhere) -> int:
        found = recalled_by(self.header, leaf)
        return found if isinstance(found, int) else super().elsewhere(leaf)


def at_path(packet: Packet, i: int, path: str) -> tuple[InsideDerivation, AnyHeader, str, str]:
    """Return the scope of the header in layer `i` that holds what a path means, that header as it was given, the path with all numbers, and the name of the field.

    Without a number it is the first item; a class that items become may stand after it ("options.mss.value", "options.mss[1].value", and
    "options[1].mss.value" for an item that is one). BuildError where there is none.
    """
    stack, called = Within(packet.layers[: i + 1]), type(packet.layers[i]).__name__
    *steps, last = path.split(".")
    some: list[Within] = []  # the headers that the last step may mean
    way: list[str] = []
    given: AnyHeader = packet._headers[i]
    few: list[AnyHeader] = []  # the same as they were given
    numbered = False  # whether the path says which of them
    for step in steps:
        found = _STEP.fullmatch(step)
        if found is None:
            raise BuildError(f"{called}.{path}", 'names and numbers, as in "items[0].value"', repr(step))
        named = [at for at, one in enumerate(some) if found[1].lower() in [cls.__name__.lower() for cls in type(one[-1]).__mro__]]
        if some and found[1] not in _in_view(stack, found[1])[-1]._by_name and named:
            number = int(found[2] or 0)
            if not -len(named) <= number < len(named):
                raise BuildError(f"{called}.{path}", f"a header at {step}", f"{len(named)} of them")
            at = named[number]
            way[-1] = way[-1] if numbered else f"{way[-1].partition('[')[0]}[{at}]"
            given, few = few[at], []
            stack, some = some[at], []
            continue
        stack, given = _in_view(stack, found[1]), _viewed_for(given, found[1])
        f = cast("type[Header]", type(stack[-1]))._field(found[1])
        some = [one for _, one in _items(stack, f)]
        few = [one for one in _held_raw(given, f) if isinstance(one, AnyHeader)]
        few = few if len(few) == len(some) else [one[-1] for one in some]
        place = int(found[2] or 0)
        if not -len(some) <= place < len(some):
            raise BuildError(f"{called}.{path}", f"a header at {step}", f"{len(some)} of them")
        way.append(f.name if getattr(f.kind, "inner", f.kind).one else f"{f.name}[{place % len(some)}]")
        numbered, given, stack = found[2] is not None, few[place], some[place]
        some, few = ([stack], [given]) if numbered else (some, few)
    return InsideDerivation(packet, _in_view(stack, last)), _viewed_for(given, last), ".".join([*way, last]), last


_STEP = re.compile(r"(\w+)(?:\[(-?\d{1,9})\])?")


def _in_view(stack: Within, name: str) -> Within:
    """Return the stack of the header that has a field: the last one, or the one inside that it looks into."""
    while name not in stack[-1]._by_name and stack[-1]._declaration.view is not None:
        stack = _stacked(stack, viewed(stack[-1]), None)
    return stack


def _viewed_for(header: AnyHeader, name: str) -> AnyHeader:
    while name not in header._by_name and header._declaration.view is not None:
        header = viewed(header)
    return header


def _held_raw(header: AnyHeader, f: Field) -> Sequence[object]:
    """Return what a field of a header holds."""
    raw = getattr(header, f.slot, None)
    return () if raw is None or not f.kind.has_headers else header._items_of(f) if f.kind.wire == "items" else f.kind.raws(raw)


def inside(packet: Packet, i: int) -> Iterator[tuple[Field, str, InsideDerivation]]:
    """Yield the headers with checksums in what layer `i` holds: its field, the path up to the names of theirs, and the scope of each."""
    todo: list[tuple[Field | None, str, Within]] = [(None, "", Within(packet.layers[: i + 1]))]
    while todo:
        holder, path, stack = todo.pop()
        header = stack[-1]
        if holder is not None and any(is_sum(f) for f in header._fields):
            yield holder, path, InsideDerivation(packet, stack)
        found = [(holder or f, f"{path}{more}", one) for f, more, one in _held(header, stack)]
        todo += reversed(found)


def _held(header: AnyHeader, stack: Within) -> Iterator[tuple[Field, str, Within]]:
    """Yield the headers that a header holds, if they or what they hold may have checksums: its field, the path to it, and its stack."""
    said = header._declaration
    for f in header._fields:
        raw = getattr(header, f.slot)
        if raw is None:
            continue
        if said.view is not None and said.view[0] == f.name:
            if has_sums(said.view[1]) and isinstance(raw, bytes):
                yield f, "", _stacked(stack, viewed(header), None)
        elif f.kind.has_headers and has_sums(f.kind.item):
            for place, inner in _items(stack, f):
                yield f, f"{f.name}." if f.kind.one or getattr(f.kind, "inner", f.kind).one else f"{f.name}[{place}].", inner


def _items(stack: Within, f: Field) -> Iterator[tuple[int, Within]]:
    """Yield the headers that a field of the last one of a stack holds, with their places and stacks."""
    before: object = FIRST
    for place, item in enumerate(_held_raw(stack[-1], f)):
        if isinstance(item, AnyHeader):
            inner = _stacked(stack, item, before)
            before = inner[-1]
            yield place, inner


def _stacked(stack: Within, item: AnyHeader, before: object) -> Within:
    """Return the stack of a header in the last one of a stack, its own values worked out."""
    inner = Within((*stack, item))
    inner.holders, inner.before = len(stack), before  # type: ignore[assignment]
    made = Within((*stack, type(item)._resolve(item, b"", inner, len(stack), None)))
    made.holders, made.before = inner.holders, inner.before
    return made


def has_sums(cls: Declaration) -> bool:
    """Whether a header has checksums, or one that it holds or becomes."""
    if cls not in _known:
        seen, todo = set[Declaration](), [cls]
        while todo:
            one = todo.pop()
            if one not in seen:
                seen.add(one)
                todo += [f.kind.item for f in one.fields if f.kind.has_headers]
                todo += [refined if refined.view is None else refined.view[1] for refined in refinements(one)]
        _known[cls] = any(is_sum(f) for one in seen for f in one.fields)
    return _known[cls]
