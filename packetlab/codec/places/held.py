"""Bytes of a field that a header stands in which points to what is outside of them: they keep it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from packetlab.declare.kinds import Raw

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader


class HeldBytes(bytes):
    """Bytes as they are in a packet, and the header that was read there. Equal to others by what they say, not by how it is written."""

    inner: AnyHeader

    @classmethod
    def of(cls, data: bytes, inner: AnyHeader) -> HeldBytes:
        """Return bytes with the header inside."""
        made = cls(data)
        made.inner = inner
        return made

    @cached_property
    def plain(self) -> bytes:
        """The bytes without pointers."""
        return plain(self.inner)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, bytes) and self.plain == (
            other.plain if isinstance(other, HeldBytes) else bytes(other)
        )

    def __ne__(self, other: object) -> bool:
        return not self == other  # that of bytes would go by the pointers

    def __hash__(self) -> int:
        return hash(self.plain)

    def __reduce__(self) -> tuple[object, ...]:
        return HeldBytes.of, (bytes(self), self.inner)


def plain(header: Raw) -> bytes:
    """Return the bytes of a header with all names in it written out."""
    made = header._copied(header)
    for f in header._fields:
        raw = getattr(header, f.slot)
        if f.kind.counted_from and raw is not None:
            setattr(made, f.slot, raw if type(raw) is bytes else unpointed(raw))
    found: bytes = made._encode(made, b"", (made,), 0, None)
    return found


def unpointed(raw: bytes) -> bytes:
    """Return a name without pointers; what gives no name as it is."""
    return bytes(raw) if hasattr(raw, "written") else raw
