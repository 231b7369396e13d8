"""Plan: how rows of one shape are made from a template: which bytes are set, and which checksums follow.

Works from the declaration's rules alone, so it serves headers that a user declared as well as ours. What it cannot know
to be right it refuses with `Unplanned`; then objects make the packets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from packetlab.bulk.checksums import Linear, carried
from packetlab.bulk.generators import BytesColumn, NumberColumn, RandomColumn, ValueColumn
from packetlab.codec.pseudo import protocol
from packetlab.declare import registry
from packetlab.declare.expressions import Checksum, Count, Next, Ref
from packetlab.declare.refinement.registered import refinements
from packetlab.packet.explain import Derivation
from packetlab.packet.offsets import FieldOffsets, Span, field_offsets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packetlab.bulk.batch import Floats, Numbers, Words
    from packetlab.bulk.generators import Matrix, Rows
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field
    from packetlab.packet.packet import Packet


class Unplanned(Exception):
    """Rows of this shape are left to objects."""


class Target(NamedTuple):
    """What varies: a field of one layer (None: the payload), or some bytes of it, and its values.

    `name` is for messages; `part` cuts bytes out of an address (first, after the last).
    """

    name: str
    layer: int
    field: Field | None
    part: tuple[int, int] | None
    values: ValueColumn


def shapes(cls: type[AnyHeader], field: Field) -> bool:
    """Whether the value of a field may change more in the packet than its own bytes and checksums over them.

    So it is with fields that rules and conditions go by, and with items.
    """
    if field.kind.wire == "items" or cls._declaration.transformed or (cls._declaration.pseudo is not None and not cls._declaration.pseudo[0]):
        return True
    rules = [rule for f in cls._fields for rule in (f.rule, f.condition, f.size, f.count)]
    rules += [f.rule.otherwise for f in cls._fields if isinstance(f.rule, Next)]
    rules += [rule for _, sets, _ in registry.conditions(cls._declaration) for rule in sets.values()]
    leaves = [leaf for rule in rules if rule is not None for leaf in rule.leaves()]
    # Sizes are the same in all packets of a shape, and whether a field is there too.
    return any(isinstance(leaf, (Ref, Count)) and leaf.name == field.name for leaf in leaves)


def named_around(headers: Iterable[Declaration]) -> set[str]:
    """Return the names of fields that headers, those they hold and those they become want of what stands around them."""
    found: set[str] = set()
    seen: set[Declaration] = set()
    todo = [*headers]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            found.update(leaf.name for leaf in one.outer_leaves if leaf.path)
            todo += [*(f.kind.item for f in one.fields if f.kind.wire == "items"), *refinements(one)]
    return found


class BitRange(NamedTuple):
    """Bits of a packet, and whether a number in them has its lowest byte first. `low`: bits count as in `Span`."""

    bit: int
    bits: int
    little: bool
    low: bool = False

    @property
    def byte_slice(self) -> slice:
        """The bytes these bits touch."""
        return slice(self.bit // 8, -(-(self.bit + self.bits) // 8))


class Template:
    """How to make rows of one shape.

    Attributes:
        size: bytes of each. varying: for each byte whether it differs among rows; own: whether a target says so.
        row: the bytes that stay, the others 0.
    """

    def __init__(self, packet: Packet, targets: list[Target]) -> None:
        import numpy as np

        if any(header._declaration.through for header in packet.layers):
            raise Unplanned  # bytes of the link are others than those of the fields
        self.row = np.frombuffer(bytes(packet), np.uint8).copy()
        self.size = len(self.row)
        self.varying = np.zeros(self.size, bool)
        self.patches: list[tuple[BitRange, ValueColumn]] = []
        where = field_offsets(packet)
        fields = {(span.layer, span.field): _spot(span) for span in where.spans}
        for target in targets:
            if target.field is None:
                first, last = where.payload
                spot: BitRange | None = BitRange(first * 8, (last - first) * 8, False)
            else:
                spot = fields.get((target.layer, target.field))
            if spot is None or (isinstance(target.values, RandomColumn) and target.values.seed is None):
                continue  # bytes, and none of them in this shape, or a pattern: the same in all of it
            if target.part is not None:
                first, last = target.part
                spot = spot._replace(bit=spot.bit + first * 8, bits=(last - first) * 8)
            self.patches.append((spot, target.values))
            self._clear(spot)
        self.own = self.varying.copy()
        self.sums = self._sums(packet, where)

    def _clear(self, spot: BitRange) -> None:
        """Note that bits vary, and set them to 0."""
        self.varying[spot.byte_slice] = True
        end = spot.bit + spot.bits
        if not (spot.bit % 8 or spot.bits % 8):
            self.row[spot.byte_slice] = 0
            return
        for byte in range(spot.byte_slice.start, spot.byte_slice.stop):
            first, last = max(spot.bit - byte * 8, 0), min(end - byte * 8, 8)
            own = (0xFF << first) & (0xFF >> (8 - last)) if spot.low else (0xFF >> first) & (0xFF << (8 - last))
            self.row[byte] &= 0xFF ^ (own & 0xFF)

    def _sums(self, packet: Packet, where: FieldOffsets) -> list[tuple[BitRange, Linear]]:
        """Return the checksums that vary, from the innermost out."""
        import numpy as np

        found: list[tuple[BitRange, Linear]] = []
        for i in range(len(packet.layers) - 1, -1, -1):
            header, cls = packet._headers[i], type(packet.layers[i])
            if header._is_partial:
                raise Unplanned
            ours = {span.field.name: _spot(span) for span in where.spans if span.layer == i}
            left = [f for f in cls._declaration.plan.sums if f.name in ours]
            left = [f for f in left if not header._state & f.bit]  # what is given stays
            declaration = packet.layers[i]._declaration
            body, scope = _payload(where, i, packet), Derivation(packet, i)
            while left:
                spot, rule = ours[left[0].name], left[0].rule
                assert isinstance(rule, Checksum)
                if left[0].kind.wire != "number":
                    raise Unplanned  # digits
                blank = np.zeros(self.size, bool)  # a sum counts itself as zeros, and those not yet made
                for other in left:
                    blank[ours[other.name].byte_slice] = True
                columns, at = [np.arange(0)], 0
                for region in declaration.plan.covered[left[0].name]:
                    if region.part == "value":
                        raise Unplanned
                    some = [ours[f.name].byte_slice for f in region.fields if f.name in ours]
                    stretch = np.arange(some[0].start, some[-1].stop) if some else np.arange(0)
                    stretch = body if region.part == "body" else stretch[: max(0, len(stretch) - region.less)]
                    stretch = stretch if region.cut is None else stretch[slice(*region.cut)]
                    if region.zeros:
                        blank[stretch] = True
                    if left[0] in region.fields:
                        at = sum(map(len, columns)) + spot.byte_slice.start - some[0].start
                    columns.append(stretch)
                left.pop(0)
                if not rule.is_due(scope):
                    continue
                covered = np.concatenate(columns)
                added, more = None, 0
                if "pseudo" in rule.over:
                    carrier = _pseudo(packet, i, where)
                    if carrier is None:
                        continue  # nothing to check against: 0 is sent
                    added, more = carrier[:2], carrier[2] + len(covered)
                try:
                    linear = Linear(rule, self.row, self.varying, blank, covered, added, more, at)
                except ValueError:
                    raise Unplanned from None
                if linear.varies:
                    found.append((spot, linear))
                    self._clear(spot)
        return found

    def fill(self, matrix: Matrix, rows: Rows) -> None:
        """Write the packets of `rows` into `matrix`, a row each of `size` bytes."""
        matrix[:] = self.row
        for spot, values in self.patches:
            if isinstance(values, NumberColumn):
                _put(matrix, spot, values.words(rows))
            elif isinstance(values, BytesColumn):
                matrix[:, spot.byte_slice] = values.matrix(rows, spot.bits // 8)
        for spot, linear in self.sums:
            _put(matrix, spot, linear.values(matrix))


def _pseudo(packet: Packet, i: int, where: FieldOffsets) -> tuple[Numbers, Floats, int] | None:
    """Return the columns of the addresses a pseudo-header is made of, their weights, and what it adds as well.

    The counterpart of `codec.pseudo.pseudo_sum`, which says what counts.
    """
    import numpy as np

    final: int | None = None
    for below in range(i - 1, -1, -1):
        carrier = packet.layers[below]
        names = carrier._declaration.pseudo
        if names is not None and not names[0]:
            raw = getattr(carrier, names[1])
            if raw and final is None:
                final = int.from_bytes(raw, "big")
        elif names is not None:
            raw = getattr(carrier, "final_destination", b"")
            if raw and final is None:
                final = int.from_bytes(raw, "big")
            wanted = names if final is None else names[:1]
            ends = [span for span in where.spans if span.layer == below and span.field.name in wanted]
            columns = [_columns(_spot(end)) for end in ends]
            weights = [carried(len(one)) for one in columns]
            number = protocol(carrier._declaration, packet.layers[i]._declaration) + (final or 0)
            return np.concatenate(columns), np.concatenate(weights), number
    return None


def _payload(where: FieldOffsets, i: int, packet: Packet) -> Numbers:
    """Return the columns of all that a header carries."""
    import numpy as np

    _, end = where.layers[i]
    start = where.layers[i + 1][0] if i + 1 < len(where.layers) else where.payload[0]
    after = {f.name for f in type(packet.layers[i])._declaration.after}
    end -= sum(span.bits for span in where.spans if span.layer == i and span.field.name in after) // 8
    return np.arange(start, end)


def _spot(span: Span) -> BitRange:
    return BitRange(span.bit, span.bits, span.field.kind.wire == "number" and span.field.kind.little, span.low)


def _columns(spot: BitRange) -> Numbers:
    import numpy as np

    return np.arange(spot.byte_slice.start, spot.byte_slice.stop)


def _put(matrix: Matrix, spot: BitRange, numbers: Words) -> None:
    """Write numbers into the bits of a spot, which are 0."""
    import numpy as np

    stretch, end = spot.byte_slice, spot.bit + spot.bits
    if spot.bit % 8 or spot.bits % 8:
        if spot.bits < 64:
            numbers = numbers & np.uint64((1 << spot.bits) - 1)
        for byte in range(stretch.start, stretch.stop):
            below = byte * 8 - spot.bit if spot.low else end - (byte + 1) * 8  # bits of the number below this byte
            piece = numbers >> np.uint64(below) if below >= 0 else numbers << np.uint64(-below)
            matrix[:, byte] |= piece.astype(np.uint8)
        return
    at, left = stretch.start, spot.bits // 8
    while left:
        width = next(size for size in (8, 4, 2, 1) if size <= left)
        left -= width
        shift = np.uint64(8 * ((at - stretch.start) if spot.little else left))
        order = "<" if spot.little else ">"
        matrix[:, at : at + width].view(f"{order}u{width}")[:, 0] = numbers >> shift if shift else numbers
        at += width


def varies_in_size(target: Target) -> bool:
    """Whether the target is bytes whose number may differ from row to row."""
    if not isinstance(target.values, BytesColumn) or target.values.size is not None:
        return False
    return target.field is None or target.field.kind.wire == "open"
