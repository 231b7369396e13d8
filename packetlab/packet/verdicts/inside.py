"""Headers with checksums that a layer holds: in a field, in a list, in what it takes apart, in what comes out of a transform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from packetlab.codec.around.outer import Within
from packetlab.codec.around.writing import FIRST
from packetlab.codec.bodies import Bodies
from packetlab.codec.context.recalling import recalled_by
from packetlab.codec.objects import AnyHeader
from packetlab.codec.refinement.views import viewed
from packetlab.declare import registry
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Checksum, Elsewhere
from packetlab.declare.fields import Field
from packetlab.declare.refinement.registered import refinements
from packetlab.packet.explain import Derivation
from packetlab.packet.packet import Packet

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


def inside(packet: Packet, i: int) -> Iterator[tuple[Field, str, InsideDerivation]]:
    """Yield the headers with checksums in what layer `i` holds: its field, the path up to the names of theirs, and the scope of each."""
    todo: list[tuple[Field | None, str, Within]] = [(None, "", Within(packet.layers[: i + 1]))]
    while todo:
        holder, path, stack = todo.pop()
        header = stack[-1]
        if holder is not None and any(isinstance(f.rule, Checksum) for f in header._fields):
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
            items = header._items_of(f) if f.kind.wire == "items" else f.kind.raws(raw)
            before: object = FIRST
            for place, item in enumerate(items):
                if isinstance(item, AnyHeader):
                    inner = _stacked(stack, item, before)
                    before = inner[-1]
                    yield f, f"{f.name}." if f.kind.one or getattr(f.kind, "inner", f.kind).one else f"{f.name}[{place}].", inner


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
        _known[cls] = any(isinstance(f.rule, Checksum) for one in seen for f in one.fields)
    return _known[cls]
