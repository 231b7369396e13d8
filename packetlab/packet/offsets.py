"""Where every field of a packet stands: its first bit, and how many.

Measures one packet by its declarations; the bytes themselves are `codec.encode`'s business.
"""

from __future__ import annotations

from typing import NamedTuple

from packetlab.codec.bodies import width
from packetlab.codec.places.scattered import lying
from packetlab.declare.bits.stretches import Loose
from packetlab.declare.fields import Field
from packetlab.declare.plan import Step
from packetlab.packet.packet import Header, Packet


class Span(NamedTuple):
    """A stretch of a packet that one field fills.

    Attributes:
        layer: its header's place in `packet.layers`. field: which. bit: the first, from the packet's start. bits: how many.
        low: whether bits count from the lowest of each byte, and the first is the field's lowest (``bit_order="low"``).
    """

    layer: int
    field: Field
    bit: int
    bits: int
    low: bool = False

    @property
    def byte_range(self) -> tuple[int, int]:
        """The bytes it touches: the first, and the one after the last."""
        return self.bit // 8, -(-(self.bit + self.bits) // 8)

    @property
    def whole(self) -> bool:
        """Whether it fills whole bytes, sharing none."""
        return self.bit % 8 == 0 and self.bits % 8 == 0

    @property
    def mask(self) -> bytes:
        """Of each byte it touches, the bits that are its own."""
        first, stop = self.byte_range
        shift = self.bit - first * 8 if self.low else stop * 8 - self.bit - self.bits
        return (((1 << self.bits) - 1) << shift).to_bytes(stop - first, "little" if self.low else "big")

    def number(self, data: bytes) -> int:
        """Return its bits in the bytes of the packet, as a number."""
        first, stop = self.byte_range
        whole = int.from_bytes(data[first:stop], "little" if self.low else "big")
        return whole >> (self.bit - first * 8 if self.low else stop * 8 - self.bit - self.bits) & ((1 << self.bits) - 1)


class FieldOffsets(NamedTuple):
    """Where the parts of a packet stand. Pairs are (first byte, the one after the last).

    Attributes:
        spans: of every field that is there and not empty, in the order of the bytes. layers: each with all it carries.
        payload: what is after the last header. trailers: what fills the frame, by layer.
    """

    spans: tuple[Span, ...]
    layers: tuple[tuple[int, int], ...]
    payload: tuple[int, int]
    trailers: dict[int, tuple[int, int]]


def field_offsets(packet: Packet) -> FieldOffsets:
    """Return where each field, each layer, the payload and the trailers of a packet stand in its bytes."""
    bodies = packet._build()[0]
    start, end = 0, len(bytes(packet))
    spans: list[Span] = []
    layers: list[tuple[int, int]] = []
    trailers: dict[int, tuple[int, int]] = {}
    for i, header in enumerate(packet.layers):
        gap = len(packet._trailing_bytes.get(i, b""))
        if gap:
            trailers[i] = (end - gap, end)
        end -= gap
        layers.append((start, end))
        after = _spans(i, header, header._declaration.plan.trailer, 0)
        size = sum(span.bits for span in after) // 8
        above = bodies.size(i)
        head = end - size - above
        # A header that the capture cut is not filled up any more, so nothing may reach beyond its head.
        before = _spans(i, header, header._declaration.plan.head, start)
        spans += [span._replace(bits=min(span.bits, head * 8 - span.bit)) for span in before]
        spans += [span._replace(bit=span.bit + (end - size) * 8) for span in after]
        end -= size
        start = end - above
    return FieldOffsets(tuple(sorted(spans, key=lambda span: span.bit)), tuple(layers), (start, end), trailers)


def field_spans(item: Header, bit: int) -> list[Span]:
    """Return where the fields of an item of a repeated field stand, which begins at a bit; their `layer` is 0."""
    plan = item._declaration.plan
    return [span._replace(bit=span.bit + bit) for span in _spans(0, item, [*plan.head, *plan.trailer], 0)]


def _spans(layer: int, header: Header, steps: list[Step], start: int) -> list[Span]:
    found = []
    bit = start * 8
    steps_of = {f: step for step in steps for f in step.fields}
    for f in lying(header, [*steps_of]):
        bits = width(header, f)
        if bits:
            low = header._declaration.low and (isinstance(steps_of[f], Loose) or bool(bit % 8 or bits % 8))
            found.append(Span(layer, f, bit, bits, low))
            bit += bits
    return found
