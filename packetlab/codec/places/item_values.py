"""The values of a header that was read, as rules see them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from packetlab.codec.around.outer import remembered
from packetlab.codec.objects import AnyHeader
from packetlab.codec.places.inner import HeldValues
from packetlab.declare.kinds import Raw


def values_of(header: AnyHeader) -> dict[str, Raw]:
    """Return the raw values of a header by name."""
    leaves = header._declaration.outer_leaves
    values = {f.name: getattr(header, f.slot) for f in header._fields}
    return values | dict(zip(map(str, leaves), remembered(header, leaves), strict=True)) if leaves else values


class ItemValues(HeldValues):
    """A scope of an item that was read: sizes are those of its fields in the packet."""

    def __init__(self, header: AnyHeader, data: bytes, end: int, more: Mapping[str, int] = MappingProxyType({})) -> None:
        super().__init__({**values_of(header), **more}, data, end)
        self.fields = header._by_name

    def size(self, part: str) -> int:
        f = self.fields.get(part)
        if f is None or f.kind.wire != "coded" or self.values[part] is None:
            return super().size(part)
        return len(f.kind.write(self.values[part]))
