"""Identifiers: UUIDs, and digits packed two to a byte (BCD), as telephone numbers and meters have them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated

from packetlab.declare.kinds import Kind, Lines, explained
from packetlab.declare.values.views import UNTYPED, BytesView, _name, own_bytes, smallest
from packetlab.errors import BuildError, DeclareError

SWAPPED = bytes((byte & 15) << 4 | byte >> 4 for byte in range(256))
"""Every byte with its halves the other way round."""


class UUIDKind(BytesView):
    """A UUID of 16 bytes (RFC 9562 section 4); with `little` its first three parts have their lowest byte first, as GUIDs."""

    function, user = "UUID", "UUID"

    def __init__(self, little: bool = False) -> None:
        super().__init__(16)
        self.swapped = little
        self.made_with = {"little": 1} if little else {}
        self.words = "a UUID"

    def typed(self, wanted: object, where: str) -> Kind:
        if wanted not in (uuid.UUID, *UNTYPED):
            raise DeclareError(where, "UUID or GUID, whose values are uuid.UUID", _name(wanted))
        return self

    def of(self, value: object, where: str) -> bytes:
        try:
            found = uuid.UUID(value) if isinstance(value, str) else value
            if isinstance(found, uuid.UUID):
                return found.bytes_le if self.swapped else found.bytes
        except ValueError:
            pass
        raise BuildError(where, "a UUID", f"{value!r:.60}")

    def quick_value(self) -> Lines | None:
        # What UUID(bytes=...) does, without looking for other arguments.
        whole = "raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:]" if self.swapped else "raw"
        lines = ["made = new(UUID)", f"put(made, 'int', from_bytes({whole}, 'big'))", "put(made, 'is_safe', unknown)"]
        names = {"new": object.__new__, "put": object.__setattr__, "UUID": uuid.UUID, "unknown": uuid.SafeUUID.unknown}
        return "bytes", lines, {**names, "from_bytes": int.from_bytes}

    def quick_raw(self) -> Callable[[object], bytes | None]:
        part = attrgetter("bytes_le" if self.swapped else "bytes")
        return lambda value: part(value) if type(value) is uuid.UUID else None

    def value(self, raw: bytes) -> uuid.UUID:
        return uuid.UUID(bytes_le=raw) if self.swapped else uuid.UUID(bytes=raw)


class BCD(BytesView):
    """Decimal digits, two to a byte. Gives text, since zeros in front count; ``Annotated[int, bcd(8)]`` gives a number.

    The first of two digits has the high bits, with `swapped` the low ones. With `filler`, 10 to 15, values may have fewer
    digits: what is left holds it. Half bytes that are neither are a fault, and read as hexadecimal digits.
    """

    function = "bcd"
    judges = True

    def __init__(self, digits: int, swapped: bool = False, filler: int | None = None, user: type = str) -> None:
        if type(digits) is not int or not 1 <= digits <= 1000 or (filler is None and digits % 2):
            raise DeclareError("bcd(...)", "an even number of digits; an odd one wants a filler", digits)
        if filler is not None and (type(filler) is not int or not 10 <= filler <= 15):
            raise DeclareError("bcd(...), filler", "a half byte that is no digit: 10 to 15", filler)
        super().__init__((digits + 1) // 2)
        self.digits, self.swapped, self.filler = digits, swapped, filler
        self.type, self.user = user, user.__name__
        self.dtype = smallest(0, 10**digits - 1) if user is int else "O"
        self.made_with = {"digits": digits, **({"swapped": 1} if swapped else {})}
        self.made_with |= {"filler": filler} if filler is not None else {}
        self.words, self.surely = "decimal digits", "" if digits % 2 else "{0}.hex().isdigit()"
        self.zero = self.packed("0" if filler is not None and user is int else "" if filler is not None else "0" * digits)

    def in_words(self) -> str:
        return f"{self.digits} decimal digits, two to a byte" + ", the first one low" * self.swapped

    def typed(self, wanted: object, where: str) -> Kind:
        if wanted not in (str, int, *UNTYPED):
            raise DeclareError(where, "Annotated[str, bcd(...)] or Annotated[int, bcd(...)]", _name(wanted))
        return BCD(self.digits, self.swapped, self.filler, int) if wanted is int else self

    def packed(self, text: str) -> bytes:
        """Return half bytes, written as hexadecimal digits, as bytes."""
        filled = bytes.fromhex(text.ljust(len(self.zero) * 2, f"{self.filler or 0:x}"))
        return filled.translate(SWAPPED) if self.swapped else filled

    def halves(self, raw: bytes) -> str:
        """Return the half bytes in the order of digits, without what fills up after them."""
        text = (raw.translate(SWAPPED) if self.swapped else raw).hex()
        return text if self.filler is None else text.rstrip(f"{self.filler:x}")

    def of(self, value: object, where: str) -> bytes:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if isinstance(text, str) and (isinstance(value, int) or self.type is int) and self.filler is None:
            text = text.zfill(self.digits)
        least = 0 if self.filler is not None else self.digits
        digits = isinstance(text, str) and text.isascii() and (text.isdigit() or text == "")
        if not (digits and isinstance(text, str) and least <= len(text) <= self.digits):
            raise BuildError(where, f"{least} to {self.digits} digits", f"{value!r:.60}")
        return self.packed(text)

    def quick_value(self) -> Lines | None:
        found = "raw.translate(swapped).hex()" if self.swapped else "raw.hex()"
        found += "" if self.filler is None else f".rstrip('{self.filler:x}')"
        lines = [f"made = {found}", *(["if made.isdigit(): made = int(made)"] if self.type is int else [])]
        return "bytes", lines, {"swapped": SWAPPED}

    def quick_raw(self) -> Callable[[object], bytes | None] | None:
        digits, packed, filled = self.digits, self.packed, self.filler is not None

        def quick(value: object) -> bytes | None:
            if type(value) is int and not filled and value >= 0:
                value = f"{value:0{digits}d}"
            elif type(value) is not str or not (filled or len(value) == digits):
                return None
            return packed(value) if value.isascii() and value.isdigit() and len(value) <= digits else None

        return quick

    def value(self, raw: bytes) -> str | int:
        text = self.halves(raw)
        return int(text) if self.type is int and text.isdigit() else text

    def text(self, raw: bytes) -> str:
        return own_bytes(raw) if self.wrong(raw) else self.halves(raw)

    def wrong(self, raw: bytes) -> str:
        text = self.halves(raw)
        good = text.isdigit() or (not text and self.filler is not None)
        return "" if good and self.packed(text) == raw and len(text) <= self.digits else self.in_words()

    def sound(self, raw: bytes) -> bytes:
        text = "".join(str(byte % 10) for byte in raw) * 2
        return self.packed(text[: self.digits])


def bcd(digits: int, *, swapped: bool = False, filler: int | None = None) -> Kind:
    """The kind of decimal digits packed two to a byte: ``Annotated[str, bcd(8)]``, or `int`.

    Telephone numbers (TBCD, 3GPP TS 29.002) are ``bcd(15, swapped=True, filler=15)``: the first digit low, filled up with ones.
    """
    return BCD(digits, swapped, filler)


if TYPE_CHECKING:
    from packetlab.declare.values.typed import GUID as GUID, UUID as UUID
else:
    UUID = Annotated[uuid.UUID, UUIDKind()]
    GUID = Annotated[uuid.UUID, UUIDKind(True)]

    explained({
        UUID: "A UUID, 16 bytes (RFC 9562). Gives `uuid.UUID`; takes that, text in any usual form, or 16 bytes.",
        GUID: "A UUID whose first three parts have their lowest byte first, as Microsoft's protocols have them.",
    })  # fmt: skip
