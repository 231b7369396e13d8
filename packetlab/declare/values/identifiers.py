"""Identifiers: UUIDs, and digits packed two to a byte (BCD), as telephone numbers and meters have them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from enum import IntEnum
from math import nan
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated

from packetlab.declare.kinds import ByteString, Kind, Lines, Wire, explained
from packetlab.declare.values.views import (
    UNTYPED,
    BytesView,
    RawValue,
    View,
    _name,
    member_of,
    number_of,
    own_bytes,
    smallest,
)
from packetlab.errors import BuildError, DeclareError
from packetlab.escaping import bytes_text, printable

MOST_DIGITS = 18
"""Digits of the numbers that rules take: those of 64 bits."""
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
        if wanted not in (*UNTYPED, uuid.UUID) and not (isinstance(wanted, type) and issubclass(wanted, uuid.UUID)):
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
        return lambda value: part(value) if isinstance(value, uuid.UUID) else None

    def value(self, raw: bytes) -> uuid.UUID:
        return uuid.UUID(bytes_le=raw) if self.swapped else uuid.UUID(bytes=raw)


class BCD(BytesView):
    """Decimal digits, two to a byte. Gives text, since zeros in front count; ``Annotated[int, bcd(8)]`` gives a number.

    The first of two digits has the high bits, with `swapped` the low ones. With `filler`, 10 to 15, values may have fewer
    digits: what is left holds it. Half bytes that are neither are a fault, and read as hexadecimal digits.
    """

    function = "bcd"
    judges = True
    as_number = f"Annotated[int, bcd(...)] of {MOST_DIGITS} digits at most, without a filler, is a number that rules take"

    def __init__(self, digits: int | None = None, swapped: bool = False, filler: int | None = None, user: type = str) -> None:
        self.open, digits = digits is None, 2000 if digits is None else digits
        if type(digits) is not int or not 1 <= digits <= 2000 or (filler is None and digits % 2):
            raise DeclareError("bcd(...)", "an even number of digits; an odd one wants a filler", digits)
        if filler is not None and (type(filler) is not int or not 10 <= filler <= 15):
            raise DeclareError("bcd(...), filler", "a half byte that is no digit: 10 to 15", filler)
        super().__init__((digits + 1) // 2)
        self.digits, self.swapped, self.filler = digits, swapped, filler
        self.type, self.user = user, user.__name__
        self.dtype = smallest(0, 10**digits - 1) if user is int else "O"
        self.made_with = {**({} if self.open else {"digits": digits}), **({"swapped": 1} if swapped else {})}
        self.made_with |= {"filler": filler} if filler is not None else {}
        if self.open:
            self.bits, self.allows, self.as_raw = None, "size condition fixed", ByteString()
        self.words, self.surely = "decimal digits", "" if digits % 2 or self.open else "{0}.hex().isdigit()"
        self.zero = b"" if self.open else self.packed("0" if filler is not None and user is int else "" if filler is not None else "0" * digits)

    def in_words(self) -> str:
        return f"{self.digits} decimal digits, two to a byte"[5 * self.open :] + ", the first one low" * self.swapped

    @property
    def wire(self) -> Wire:
        return "open" if self.open else "bytes"

    def typed(self, wanted: object, where: str) -> Kind:
        if wanted is int and self.open:
            raise DeclareError(where, "Annotated[str, bcd()]: digits of any number are text", "int", "bcd(8) of eight digits can be a number")
        enum = isinstance(wanted, type) and issubclass(wanted, IntEnum)
        if enum and (self.filler is not None or not self.digits <= MOST_DIGITS):
            raise DeclareError(where, f"an enum of bcd(...) of up to {MOST_DIGITS} digits, without a filler", _name(wanted))
        if wanted not in (str, int, *UNTYPED) and not enum:
            raise DeclareError(where, "Annotated[str, bcd(...)], Annotated[int, bcd(...)] or an IntEnum", _name(wanted))
        if wanted is int and self.filler is None and self.digits <= MOST_DIGITS:
            return PackedNumber(self.digits, self.swapped)
        if enum:
            return PackedNumber(self.digits, self.swapped).typed(wanted, where)
        return BCD(self.digits, self.swapped, self.filler, int) if wanted is int else self

    def packed(self, text: str) -> bytes:
        """Return half bytes, written as hexadecimal digits, as bytes."""
        filled = bytes.fromhex(text.ljust(len(text) + len(text) % 2 if self.open else len(self.zero) * 2, f"{self.filler or 0:x}"))
        return filled.translate(SWAPPED) if self.swapped else filled

    def halves(self, raw: bytes) -> str:
        """Return the half bytes in the order of digits, without what fills up after them."""
        text = (raw.translate(SWAPPED) if self.swapped else raw).hex()
        return text if self.filler is None else text.rstrip(f"{self.filler:x}")

    def of(self, value: object, where: str) -> bytes:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if isinstance(text, str) and (isinstance(value, int) or self.type is int) and self.filler is None and not self.open:
            text = text.zfill(self.digits)
        least = 0 if self.filler is not None or self.open else self.digits
        digits = isinstance(text, str) and text.isascii() and (text.isdigit() or text == "")
        if not (digits and isinstance(text, str) and least <= len(text) <= self.digits):
            raise BuildError(where, f"{least} to {self.digits} digits", f"{value!r:.60}")
        if self.filler is None and len(text) % 2:
            raise BuildError(where, "an even number of digits; an odd one wants a filler", f"{value!r:.60}")
        return self.packed(text)

    def quick_value(self) -> Lines | None:
        found = "raw.translate(swapped).hex()" if self.swapped else "raw.hex()"
        found += "" if self.filler is None else f".rstrip('{self.filler:x}')"
        lines = [f"made = {found}", *(["if made.isdigit(): made = int(made)"] if self.type is int else [])]
        return "bytes", lines, {"swapped": SWAPPED}

    def quick_raw(self) -> Callable[[object], bytes | None] | None:
        digits, packed, filled, opened = self.digits, self.packed, self.filler is not None, self.open

        def quick(value: object) -> bytes | None:
            if type(value) is int and not filled and value >= 0 and not opened:
                value = f"{value:0{digits}d}"
            elif type(value) is not str or not (filled or (len(value) % 2 == 0 if opened else len(value) == digits)):
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
        good = text.isdigit() or (not text and (self.filler is not None or self.open))
        packed = self.packed(text) if good else b""
        filled = self.open and raw == packed.ljust(len(raw), bytes(((self.filler or 0) * 17,)))  # what fills up may go on
        return "" if good and (packed == raw or filled) and len(text) <= self.digits else self.in_words()

    def sound(self, raw: bytes) -> bytes:
        text = "".join(str(byte % 10) for byte in raw) * 2
        return self.packed(text[: self.digits])


class NoDigits(int):
    """Half bytes that are no digits, in place of a number: 0 for rules, and equal to the same bytes alone."""

    packed: bytes

    @classmethod
    def of(cls, packed: bytes) -> NoDigits:
        """Return what stands for some bytes."""
        made = cls(0)
        made.packed = packed
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NoDigits) and other.packed == self.packed

    def __ne__(self, other: object) -> bool:  # that of int would go by the 0
        return not self == other

    def __hash__(self) -> int:
        return hash(self.packed)

    def __reduce__(self) -> tuple[object, ...]:
        return NoDigits.of, (self.packed,)


class PackedNumber(View):
    """A number of decimal digits, two to a byte, zeros in front: rules, lengths and counts use it as any number.

    Half bytes that are no digits are a fault, and read as hexadecimal digits; rules have 0 for them.
    """

    function, user = "bcd", "int"
    plain = judges = True
    words = "decimal digits"
    allows = "rule condition fixed"
    zero = 0
    surely = "type({0}) is int"
    says_digits = True  # text in a rule is a number in digits

    def __init__(self, digits: int, swapped: bool = False, names: type[IntEnum] | None = None) -> None:
        self.digits, self.swapped, self.filler, self.named = digits, swapped, None, names
        self.longest = self.always = digits // 2
        self.low, self.high = 0, 10**digits - 1
        self.dtype = smallest(0, self.high)
        self.made_with = {"digits": digits, **({"swapped": 1} if swapped else {})}
        self.as_raw = PackedBytes(self)

    def in_words(self) -> str:
        return f"{self.digits} decimal digits, two to a byte" + ", the first one low" * self.swapped

    def annotation(self) -> str:
        return "int" if self.named is None else self.named.__name__

    def typed(self, wanted: object, where: str) -> Kind:
        if isinstance(wanted, type) and issubclass(wanted, IntEnum):
            return PackedNumber(self.digits, self.swapped, wanted)
        return self if wanted in (int, *UNTYPED) else BCD(self.digits, self.swapped).typed(wanted, where)

    def of(self, value: object, where: str) -> int:
        if isinstance(value, NoDigits) and len(value.packed) == self.longest:
            return value
        if isinstance(value, bytes | bytearray | memoryview):
            if len(value) != self.longest:
                raise BuildError(where, f"{self.longest} bytes", f"{len(value)} bytes")
            return self._number(bytes(value))
        named = number_of(self.named, value)
        if named is not None:
            value = named
        digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= self.digits
        number = int(value) if digits or (isinstance(value, int) and not isinstance(value, bool)) else -1  # type: ignore[call-overload]
        if not 0 <= number <= self.high:
            raise BuildError(where, f"0..{self.high}, in {self.in_words()}", f"{value!r:.60}")
        return int(number)

    def raw(self, value: object, where: str) -> int:
        return self.of(value.form if isinstance(value, RawValue) else value, where)

    def _number(self, data: bytes) -> int:
        text = (data.translate(SWAPPED) if self.swapped else data).hex()
        return int(text) if text.isdigit() else NoDigits.of(data)

    def read(self, data: bytes, pos: int, limit: int) -> tuple[int, int] | None:
        end = pos + self.longest
        return (self._number(data[pos:end]), end) if end <= limit else None

    def write(self, raw: int) -> bytes:
        if type(raw) is NoDigits:
            return raw.packed
        packed = bytes.fromhex(f"{raw:0{self.digits}d}")
        return packed.translate(SWAPPED) if self.swapped else packed

    def refused(self, data: bytes, pos: int, limit: int) -> str:
        return f"{limit - pos} byte{'s' * (limit - pos != 1)}"

    def value(self, raw: int) -> int | str:
        if type(raw) is NoDigits:
            return (raw.packed.translate(SWAPPED) if self.swapped else raw.packed).hex()
        return member_of(self.named, raw)

    def compared(self, raw: int) -> float:
        return nan if type(raw) is NoDigits else raw  # no more and no less than any number

    def text(self, raw: int) -> str:
        digits = str(raw).zfill(self.digits)
        name = getattr(self.value(raw), "name", None)
        return own_bytes(raw.packed) if type(raw) is NoDigits else printable(f"{name} ({digits})") if name else digits

    def wrong(self, raw: int) -> str:
        return self.in_words() if type(raw) is NoDigits else ""


class PackedBytes(View):
    """The bytes of a number in packed digits, which paths that end in ``.raw`` ask for. Raw: the number."""

    user, shows_bytes, words = "bytes", True, "bytes"

    def __init__(self, of: PackedNumber) -> None:
        self.number, self.zero, self.as_raw = of, bytes(of.longest), self

    def raw(self, value: object, where: str) -> int:
        form = value.form if isinstance(value, RawValue) else value
        return self.number.of(bytes(form) if isinstance(form, bytes | bytearray | memoryview) else b"", where)

    def value(self, raw: int) -> bytes:
        return self.number.write(raw)

    def text(self, raw: int) -> str:
        return bytes_text(self.value(raw))


def bcd(digits: int | None = None, *, swapped: bool = False, filler: int | None = None) -> Kind:
    """The kind of decimal digits packed two to a byte: ``Annotated[str, bcd(8)]``, or `int`, which rules, lengths and counts take as any number,
    or an IntEnum.

    Without `digits` there are as many as `sized(...)` or what stands around says: ``imsi: Annotated[str, bcd(swapped=True, filler=15)] =
    sized(field("length"))``. With a `filler` a number of digits that is odd is filled up with it.
    Telephone numbers (TBCD, 3GPP TS 29.002) are ``bcd(15, swapped=True, filler=15)``: the first digit low, filled up with ones.
    """
    return BCD(digits, swapped, filler)


if TYPE_CHECKING:
    from packetlab.declare.values.typed import GUID as GUID, UUID as UUID
else:
    class _Called(uuid.UUID):
        """What ``UUID(...)`` makes, equal to the standard library's: `typing` tries to note on a value which annotation made it, where that raises AttributeError at the most."""

        __slots__ = ()

        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(f"{name} of a UUID cannot be set")

        def __reduce__(self) -> tuple[object, ...]:
            return uuid.UUID, (str(self),)

    _Called.__name__ = "UUID"
    UUID = Annotated[_Called, UUIDKind()]
    GUID = Annotated[_Called, UUIDKind(True)]

    explained({
        UUID: "A UUID, 16 bytes (RFC 9562). Gives `uuid.UUID`; takes that, text in any usual form, or 16 bytes.",
        GUID: "A UUID whose first three parts have their lowest byte first, as Microsoft's protocols have them.",
    })  # fmt: skip
