"""Frames that do not fit their declarations, or that no scan can do, read one by one as objects: the same visits.

What was lost (cut off, faulty) and may have been an address is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from packetlab.bulk.scan_places import Part, Visit
from packetlab.capture.rewrite.roles import holds, roles, wants
from packetlab.codec.around.lists import is_last
from packetlab.codec.faults import Values
from packetlab.codec.objects import classes
from packetlab.codec.places.heaps import placed
from packetlab.codec.places.inner import HeldValues
from packetlab.codec.places.item_values import values_of
from packetlab.codec.refinement.views import viewed
from packetlab.declare.checksums.bitwise import is_sum
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Checksum, NamedExpr
from packetlab.declare.fields import Field
from packetlab.declare.places.heaps import heap_field
from packetlab.declare.plan import Listed
from packetlab.packet.explain import Derivation
from packetlab.packet.offsets import Span, field_offsets, field_spans
from packetlab.packet.packet import Header, Packet
from packetlab.packet.results import Verdict
from packetlab.packet.verdicts.verdict import all_here, checked
from packetlab.protocols.dissect import dissect

if TYPE_CHECKING:
    from packetlab.bulk.batch import ByteArray, Numbers, Truths
    from packetlab.capture.batch import FrameBatch

MOST = 1000  # headers of a frame; tunnels in each other beyond that are malice


def read(batch: FrameBatch, rows: Numbers, left: Counter[str]) -> list[Visit]:
    """Return the visits of some rows of a batch. `left`: what could not be found -> number of frames."""
    starts = batch.starts
    frames = []
    for which, row in enumerate(rows.tolist()):
        packet = batch.frame(row).packet()
        if packet.layers and packet.layers[0]._declaration.through:
            left[f"{type(packet.layers[0]).__name__}: frames that a link carries through a transform"] += 1
        else:
            frames.append(_Frame(packet, int(starts[row]), row, which))
    return _Reader(batch.data, left).visits(frames)


class _Layer:
    """One header of a frame: where it and its fields lie, in the buffer."""

    def __init__(self, header: Header, where: list[int], spans: list[Span], shift: int) -> None:
        self.header, self.spans, self.shift = header, spans, shift
        self.begin, self.inner, self.stop, self.end = where
        self.wholes: dict[str, bool] = {}
        self.last = True  # whether no header follows


class _Frame:
    """What is read of one frame: a packet that begins at a place of the buffer."""

    def __init__(self, packet: Packet, start: int, row: int, which: int) -> None:
        self.packet, self.start, self.row, self.which = packet, start, row, which

    def layers(self, left: Counter[str]) -> list[_Layer]:
        """Return its headers; count what was lost in them."""
        packet, where = self.packet, field_offsets(self.packet)
        spans: dict[int, list[Span]] = {}
        for span in where.spans:
            spans.setdefault(span.layer, []).append(span)
        found: list[_Layer] = []
        headers, data = packet.layers, bytes(packet)
        filled = any(any(data[one:last]) for one, last in where.trailers.values())
        bodies = packet._build()[0]
        sums: dict[int, dict[str, bool]] = {}
        for (i, _, name), said in checked(packet).items():
            sums.setdefault(i, {})[name] = said is not Verdict.UNVERIFIED
        if len(headers) > MOST:
            left[f"what stands after {MOST} headers of a frame"] += 1
            headers = headers[:MOST]
        whole = all_here(packet, bodies, len(headers)) if any(one._declaration.after for one in headers) else []
        for i, header in enumerate(headers):
            begin, end = where.layers[i]
            more = i + 1 < len(packet.layers)
            inner, stop = where.layers[i + 1] if more else where.payload
            stop = where.trailers[i + 1][1] if i + 1 in where.trailers else stop
            rest = where.trailers[i][1] if i in where.trailers else end
            layer = _Layer(
                header, [self.start + one for one in (begin, inner, stop, rest)], spans.get(i, []), self.start
            )
            layer.last, layer.wholes = not more, sums.get(i, {})
            unread = _unread(Derivation(packet, i, bodies), whole, inner < end or filled)
            if unread is not None:
                left[f"{type(header).__name__}.{unread}, which is cut off or faulty"] += 1
            for name in _in_other_segments(header):
                left[f"{type(header).__name__}.{name}, which stands in another segment, or is cut off"] += 1
            found.append(layer)
        return found


class _Reader:
    def __init__(self, data: ByteArray, left: Counter[str]) -> None:
        self.data, self.left = data, left

    def visits(self, frames: list[_Frame]) -> list[Visit]:
        """Return the visits of frames: of headers that the same classes are below, and their own."""
        ways: dict[tuple[int, Declaration], int] = {}  # number of the way below, and class -> number of the way
        headers: list[list[tuple[_Frame, _Layer]]] = []
        ids: list[list[int]] = []
        for frame in frames:
            way, place = -1, frame.which
            for layer in frame.layers(self.left):
                way = ways.setdefault((way, layer.header._declaration), len(ways))
                if way == len(headers):
                    headers.append([])
                    ids.append([])
                ids[way].append(place)
                place = len(headers[way])
                headers[way].append((frame, layer))
        visits: list[Visit] = []
        for (lower, cls), way in ways.items():
            visits.append(self.visit(cls, visits[lower] if lower >= 0 else None, ids[way], headers[way]))
        return visits

    def visit(
        self, cls: Declaration, lower: Visit | None, ids: list[int], layers: list[tuple[_Frame, _Layer]]
    ) -> Visit:
        """Return one visit of headers of a class."""
        import numpy as np

        def numbers(values: Iterable[object]) -> Numbers:
            return np.array(list(values), np.int64)

        def truths(values: Iterable[object]) -> Truths:
            return np.array(list(values), bool)

        scopes = [self.scope(layer) for _, layer in layers]
        wanted, places = wants(cls), {}
        for name in sorted({*wanted.fields, *([roles(cls).target] if wanted.never else [])}):
            some = [self.field(layer, name) for _, layer in layers]
            if any(size for _, size in some):
                varies = name not in cls.by_name or cls.by_name[name].kind.bits is None
                places[name] = (
                    numbers(at for at, _ in some), truths(size > 0 for _, size in some),
                    numbers(size for _, size in some) if varies else None,
                )  # fmt: skip
        holding: dict[object, Truths] = {
            number: truths(part.condition.evaluate(scope) for scope in scopes)
            for number, part in enumerate(wanted.parts) if part.condition is not None
        }  # fmt: skip
        rules = {name: getattr(cls, name) for name in ("partial", "quotes", "opaque")}
        rules |= {f"sum_{f.name}": f.rule.where for f in cls.plan.sums if isinstance(f.rule, Checksum)}
        for name, rule in rules.items():
            if rule is not None:
                holding[name] = truths(rule.evaluate(scope) for scope in scopes)
        if "opaque" in holding:
            holding["opaque"] &= truths(layer.inner < layer.stop and layer.last for _, layer in layers)
        values = {}
        for name in wanted.values:
            raw = [getattr(layer.header, cls.by_name[name].slot) for _, layer in layers]
            values[name] = numbers(one or 0 for one in raw)
            holding[name] = truths(one is not None for one in raw)
        made = [layer for _, layer in layers]
        begin, inner, stop, end = (
            numbers(getattr(one, name) for one in made) for name in ("begin", "inner", "stop", "end")
        )
        visit = Visit(
            cls, lower, numbers(frame.row for frame, _ in layers), numbers(ids), begin, inner, stop, end,
            numbers(0 for _ in made), truths(False for _ in made), truths(not layer.last for layer in made) | holding.get("opaque", False), places, values,
            holding,
        )  # fmt: skip
        visit.wholes = {f.name: truths(layer.wholes.get(f.name, True) for layer in made) for f in cls.plan.sums}
        self.inside(visit, layers)
        return visit

    def scope(self, layer: _Layer) -> Values:
        scope = HeldValues(values_of(layer.header), self.data[layer.begin : layer.stop].tobytes(), layer.stop - layer.begin)
        scope.pos, scope.payload_end = layer.inner - layer.begin, layer.stop - layer.begin
        return scope

    def field(self, layer: _Layer, name: str) -> tuple[int, int]:
        """Return where a field stands and how many bytes it has, 0 where it is not (wholly) there."""
        header = layer.header
        if name not in header._by_name:
            return self.final(layer, name)
        f = header._by_name[name]
        span = next((span for span in layer.spans if span.field is f), None)
        if span is None:
            return layer.stop, 0
        if f.kind.bits is not None and span.bits != f.kind.bits:
            if holds(header._declaration, f):
                self.left[f"{type(header).__name__}.{name}, which is cut off inside"] += 1
            return layer.stop, 0
        return layer.shift + span.bit // 8, -(-span.bits // 8)

    def final(self, layer: _Layer, name: str) -> tuple[int, int]:
        """Return where the final destination stands that a property gives: what it is worked out from is not known, so it
        stands where addresses may begin."""
        value = getattr(layer.header, name, b"")
        data = self.data[layer.begin : layer.end].tobytes()
        place = next((at for at in range(0, len(data), 4) if value and data.startswith(value, at)), -1)
        return (layer.begin + place, len(value)) if place >= 0 else (layer.stop, 0)

    def inside(self, visit: Visit, layers: list[tuple[_Frame, _Layer]]) -> None:
        """Read the parts of headers."""
        if visit.cls.view is not None:
            self.view(*visit.cls.view, visit, layers)
        for part, some, at, end in visit.parts(wants(visit.cls).parts):
            if part.repeated is not None:
                self.items(part, part.repeated, visit, layers, some, at)
                continue
            frames: list[_Frame] = []
            if part.header is not None:
                for one, a, b in zip(some.tolist(), at.tolist(), end.tolist(), strict=True):
                    packet = dissect(self.data[a:b].tobytes(), classes[part.header])
                    frames.append(_Frame(packet, a, layers[one][0].row, len(frames)))
            visit.children.append((part, self.visits(frames), some))

    def items(
        self, part: Part, f: Field, visit: Visit, layers: list[tuple[_Frame, _Layer]], some: Numbers, at: Numbers
    ) -> None:
        found: list[tuple[int, _Frame, _Layer]] = []
        for one, place in zip(some.tolist(), at.tolist(), strict=True):
            frame, layer = layers[one]
            for item in layer.header._items_of(f) or ():
                size = len(bytes(item))
                made = (
                    item if isinstance(item, Header) else dissect(item, classes[f.kind.item]).layers[0]
                )  # as far as it goes
                found.append((one, frame, _held(made, place, size)))
                found[-1][2].spans.extend(_far(made, layer.begin))
                place += size
        self.held(part, visit, found)

    def view(self, name: str, inner: Declaration, visit: Visit, layers: list[tuple[_Frame, _Layer]]) -> None:
        """Read the header that a refinement takes a field apart as."""
        found: list[tuple[int, _Frame, _Layer]] = []
        for one, (frame, layer) in enumerate(layers):
            at, size = self.field(layer, name)
            if size:
                found.append((one, frame, _held(cast("Header", viewed(layer.header)), at, size)))
        self.held(Part(name, inner), visit, found)

    def held(self, part: Part, visit: Visit, found: list[tuple[int, _Frame, _Layer]]) -> None:
        """Put down headers in a field: which header they are in, and what they are; those of one class, which may refine that of the field, together."""
        import numpy as np

        kinds: dict[Declaration, list[tuple[int, _Frame, _Layer]]] = {}
        for one in found:
            kinds.setdefault(one[2].header._declaration, []).append(one)
        for cls, some in kinds.items():
            inner = [(_Frame(frame.packet, 0, frame.row, number), layer) for number, (_, frame, layer) in enumerate(some)]
            owners = np.array([owner for owner, _, _ in some], np.int64)
            visit.children.append((part, [self.visit(cls, None, list(range(len(inner))), inner)], owners))


def _held(header: Header, place: int, size: int) -> _Layer:
    """Return a header in a field, which begins at a place of the buffer and has some bytes there."""
    inner = min(place + len(bytes(header)), place + size)
    return _Layer(header, [place, inner, inner, inner], field_spans(header, place * 8), 0)


def _far(item: Header, begin: int) -> list[Span]:
    """Return where the bytes of an item stand that lie elsewhere in what holds it, which begins at a place of the buffer."""
    f = heap_field(item._fields)
    raw: bytes = b"" if f is None else getattr(item, f.slot)
    return [] if f is None or not raw else [Span(0, f, (begin + max(placed(item, f)[0], 0)) * 8, len(raw) * 8)]


def _unread(scope: Derivation, whole: list[bool], remains: bool) -> str | None:
    """Return the name of the first field of a header that may hold an address which is here but was not read, None for none.

    `whole`: for each header, whether what it says it has is here, where any has a trailer. `remains`: whether there are bytes
    after the header. Faults do not tell: a lower header may be at fault for all.
    """
    header = scope.header
    trailer = header._declaration.after
    if trailer and not whole[scope.i]:
        return trailer[0].name  # of a part, what stands after the payload is read from where the part ends
    for f in header._fields:
        if not holds(header._declaration, f):
            continue
        raw = getattr(header, f.slot)
        if raw is None:
            missing = remains and _expected(header, f, scope)
        else:
            missing = f.kind.wire == "items" and (_unlike(header, f) or _more(header, f, scope))
        if missing:
            return f.name
    return None


def _in_other_segments(header: Header) -> list[str]:
    """Return the names of the checksums of a message that goes on elsewhere, where what may change stands in the part that is here."""
    fields = header._fields if header._declaration.stream and header._is_partial else ()
    here = any(holds(header._declaration, f) and getattr(header, f.slot) is not None for f in fields)
    return [f.name for f in fields if here and is_sum(f) and getattr(header, f.slot) is None]


def _expected(header: Header, f: Field, scope: Derivation) -> bool:
    """Whether a field is to be there, as far as what its condition asks for was read."""
    if f.condition is None:
        return True
    deciding = [header._by_name.get(leaf.name) for leaf in f.condition.leaves() if isinstance(leaf, NamedExpr)]
    lost = header._is_partial and any(one is not None and getattr(header, one.slot) is None for one in deciding)
    return bool(lost or f.condition.evaluate(scope))


def _unlike(header: Header, f: Field) -> bool:
    """Whether among the items of a field, or in them, are bytes that are no item."""
    return any(
        not isinstance(item, Header)
        or any(_unlike(item, one) for one in item._fields if one.kind.wire == "items" and holds(item._declaration, one))
        for item in header._items_of(f) or ()
    )


def _more(header: Header, f: Field, scope: Derivation) -> bool:
    """Whether a field is to have more items than it has."""
    items, counts = header._items_of(f), header._declaration.plan.counts
    if f.name in counts:
        return counts[f.name].evaluate(scope) > len(items)
    if f.until is None or not any(
        isinstance(step, Listed) and f in step.fields for step in header._declaration.plan.steps
    ):
        return False  # its end is known otherwise
    return not items or not is_last(f, items, scope.layers[: scope.i + 1])
