"""Raw values of fields through transforms: what is inside, with or without the bytes of the packet (see `carried`)."""

from __future__ import annotations

from collections.abc import Mapping

from packetlab.declare.kinds import Raw
from packetlab.hooks import hook


class EqualInside:
    """What is equal by what is inside."""

    inner: Raw
    opened = True

    def __eq__(self, other: object) -> bool:
        if isinstance(other, EqualInside) and self.opened and other.opened:
            return bool(self.inner == other.inner)
        return isinstance(self, bytes) and not self.opened and isinstance(other, bytes) and bytes(self) == bytes(other)

    def __ne__(self, other: object) -> bool:
        """Whether it differs: neither what is inside is the same, nor the bytes, which may not be opened in one of the two."""
        same = isinstance(self, bytes) and isinstance(other, bytes) and bytes(self) == bytes(other)
        return not (same or self == other)

    def __contains__(self, piece: Raw) -> bool:
        """Whether a piece is in what is inside (of headers in their bytes); where nothing is known of that, in the bytes themselves."""
        if not self.opened or (isinstance(self, bytes) and isinstance(self.inner, tuple) and any(isinstance(one, Mapping) for one in self.inner)):
            return piece in bytes(self)  # type: ignore[call-overload]  # records are there as they are
        return piece in (hook("encode_items")(self.inner, 0) if isinstance(self.inner, tuple) else self.inner)

    def __hash__(self) -> int:
        return hash(self.inner) if self.opened or not isinstance(self, bytes) else hash(bytes(self))


class InnerValue(EqualInside):
    """What is inside, whose bytes are not worked out yet.

    Attributes:
        made: the bytes that a transform with a state gave, and in which context. data: of headers that ask what stands around them their
            bytes there, None of others; standing: this value as it stood last, with these.
    """

    __slots__ = ("inner",)
    made: tuple[object, Carried] | None = None
    data: bytes | None = None
    standing: InnerValue | None = None

    def __init__(self, inner: Raw) -> None:
        self.inner = inner

    def stood(self, inner: Raw, data: bytes) -> InnerValue:
        """Return it as it is where it stands: what is inside with all that follows there, and its bytes. A state goes on once for these."""
        found = InnerValue(inner)
        found.data = data
        if self.standing is not None and self.standing.data == data:
            found.made = self.standing.made
        self.standing = found
        return found

    def __reduce__(self) -> tuple[object, ...]:
        return InnerValue, (self.inner,)

    def __repr__(self) -> str:
        return f"InnerValue({self.inner!r})"


class Carried(EqualInside, bytes):
    """Bytes of a packet, and what they stand for.

    Attributes:
        inner: the raw value inside; opened: whether there is one. given: the parameters that it was found with, None for none.
        expected, got: what is wrong with the bytes, "" for nothing; wrongs: all of it, of headers inside. note: why it is not known here what is inside.
    """

    inner: Raw = None
    opened = False
    given: tuple[object, ...] | None = None
    expected = got = note = ""
    wrongs: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"raw({bytes(self)!r})"

    __hash__ = EqualInside.__hash__

    def holding(self, inner: Raw) -> Carried:
        """Return the same bytes with what is inside as it is now: the same bytes there, too."""
        found = Carried(self)
        vars(found).update(vars(self))
        found.inner = inner
        return found


def bytes_inside(raw: Raw) -> bytes:
    """Return the bytes of what is inside, before any transform."""
    known: bytes | None = getattr(raw, "data", None)
    if known is not None:
        return known
    return hook("encode_items")(raw.inner, 0) if isinstance(raw.inner, tuple) else raw.inner  # type: ignore[no-any-return]
