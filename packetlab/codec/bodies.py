"""What each layer of a packet carries: measured from the widths of the fields, so that no layer is packed again for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, overload

from packetlab.codec.bits.measured import bit_width, stretch_of
from packetlab.codec.encode import field_bytes
from packetlab.codec.objects import off_link

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.fields import Field


def width(header: AnyHeader, f: Field) -> int:
    """Return how many bits a field of a header fills whose derived fields are filled in."""
    raw = getattr(header, f.slot)
    if raw is None or f.kind.wire == "payload":
        return 0
    if f.kind.bits is not None:
        return f.kind.bits
    found = stretch_of(header, f) if f.kind.loose else None
    if found is not None:
        return bit_width(header, *found)
    return 8 * len(field_bytes(f, raw))


def measured(header: AnyHeader, fields: Iterable[Field]) -> int:
    """Return how many bytes some fields of a header fill."""
    return sum([width(header, f) for f in fields]) // 8


class Bodies(Sequence[bytes]):
    """The bytes above each header of a packet, cut out when requested; `extents` says where they begin and end."""

    def __init__(self, data: bytes, layers: tuple[AnyHeader, ...], gaps: dict[int, bytes]) -> None:
        self.data = data
        self.extents: list[tuple[int, int]] = []
        if layers and layers[0]._declaration.through:
            self.data = data = off_link(layers[0]._declaration, data)
        start, end = 0, len(data)
        for i, header in enumerate(layers):
            start, end = header._extent(header, start, end - len(gaps[i]) if i in gaps else end)
            self.extents.append((start, end))

    def __len__(self) -> int:
        return len(self.extents)

    @overload
    def __getitem__(self, i: int) -> bytes: ...
    @overload
    def __getitem__(self, i: slice) -> list[bytes]: ...
    def __getitem__(self, i: int | slice) -> bytes | list[bytes]:
        if isinstance(i, slice):
            return [self.data[start:end] for start, end in self.extents[i]]
        start, end = self.extents[i]
        return self.data[start:end]

    def size(self, i: int) -> int:
        """The number of bytes above header `i`."""
        start, end = self.extents[i]
        return max(0, end - start)
