"""Kinds of fields that take a number of bits which only a packet tells, at any bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from packetlab.declare.expressions import Const, Count, Expr
from packetlab.declare.fields import Spec
from packetlab.declare.kinds import WIDEST, Int, Kind, Raw, WholeNumber, Wire
from packetlab.errors import BuildError, DeclareError


class BitNumber(WholeNumber):
    """A number of as many bits as the rule `wide` of fields before it says; of 0 bits it is 0."""

    wire: Wire = "coded"
    loose = True
    plain = True
    wide: Expr

    def __init__(self, width: Expr, signed: bool = False) -> None:
        super().__init__()
        self.wide, self.signed, self.widest = width, signed, WIDEST
        self.reach(WIDEST)

    def reach(self, widest: int) -> None:
        """Take it that no field is wider than `widest` bits."""
        self.widest = widest
        self.low = -(1 << widest - 1) if self.signed and widest else 0
        self.high = (1 << max(0, widest - self.signed)) - 1

    def in_words(self) -> str:
        words = f"{'signed ' * self.signed}number of {self.wide} bits"
        return words + (f", {self.names.__name__}" if self.names is not None else "")

    def count(self, raw: int) -> int:
        """Return how many bits a number takes at the least."""
        return (raw if raw >= 0 else ~raw).bit_length() + (self.signed and raw != 0)

    def read(self, data: bytes, pos: int, limit: int) -> tuple[int, int]:
        return int.from_bytes(data[pos:limit], "big", signed=self.signed), limit

    def write(self, raw: int) -> bytes:
        return raw.to_bytes(-(-self.count(raw) // 8), "big", signed=self.signed)


class BitList(Kind):
    """A tuple of numbers of one width, side by side from any bit on. Raw: the tuple of their raw values."""

    zero: Raw = ()
    wire: Wire = "coded"
    loose = True
    words = "values"
    element: Kind

    def __init__(self, element: Kind) -> None:
        self.element = element
        self.allows = "size count condition"

    def in_words(self) -> str:
        return f"{self.element.in_words()}, one after the other"

    def annotation(self) -> str:
        return f"tuple[{self.element.annotation()}, ...]"

    def raw(self, value: Raw, where: str) -> tuple[Raw, ...]:
        try:
            values = tuple(value)
        except TypeError:
            raise BuildError(where, f"a tuple of values ({self.element.in_words()})", repr(value)) from None
        return tuple(self.element.raw(one, where) for one in values)

    def quick_raw(self) -> Callable[[Raw], tuple[Raw, ...] | None] | None:
        low, high, integers = self.element.low, self.element.high, {int}
        if self.element.wire != "number" or not self.element.orders_raw:
            return None
        return lambda value: (
            tuple(value) if value.__class__ in (tuple, list, range) and {*map(type, value)} == integers and low <= min(value) and max(value) <= high else None
        )

    def value(self, raw: tuple[Raw, ...]) -> tuple[Raw, ...]:
        return raw if self.element.orders_raw and self.element.names is None else tuple(map(self.element.value, raw))

    @property
    def orders_raw(self) -> bool:
        return self.element.orders_raw and self.element.names is None

    def raws(self, raw: tuple[Raw, ...]) -> list[Raw]:
        return [*raw]

    def count(self, raw: tuple[Raw, ...]) -> int:
        return len(raw)

    @property
    def _bytes(self) -> int:
        return -(-self.element.fixed_bits // 8)

    def read(self, data: bytes, pos: int, limit: int) -> tuple[tuple[int, ...], int] | None:
        size = self._bytes
        if (limit - pos) % size:
            return None
        parts = (data[at : at + size] for at in range(pos, limit, size))
        return tuple(int.from_bytes(part, "big", signed=self.element.signed) for part in parts), limit

    def write(self, raw: tuple[int, ...]) -> bytes:
        """Return the values in whole bytes, each by itself, as files have them."""
        return b"".join(one.to_bytes(self._bytes, "big", signed=self.element.signed) for one in raw)

    def text(self, raw: tuple[Raw, ...]) -> str:
        return ", ".join(map(self.element.text, raw)) or "none"


ONE_WIDTH = "a list for each width that there is: fours: tuple[U4, ...] | None = when(field('width') == 4, many(count=...))"


class SpareBits(WholeNumber):
    """What fills up to the next byte: up to 7 bits, zeros unless given."""

    wire: Wire = "coded"
    loose = True
    allows = ""
    low, high = 0, 127
    words = "spare bits"

    def annotation(self) -> str:
        return "int"

    def read(self, data: bytes, pos: int, limit: int) -> tuple[int, int] | None:
        return (data[pos], limit) if limit - pos == 1 and data[pos] <= self.high else None

    def write(self, raw: int) -> bytes:
        return bytes((raw,))


def bits(width: int | Expr, *, signed: bool = False, little: bool = False) -> Kind:
    """The kind of a whole number of `width` bits, 1 to 4096, for ``Annotated[SomeIntFlag, bits(8)]``.

    `signed` is two's complement; `little` puts the low byte first, and wants whole bytes. DeclareError for other widths.
    A width may be a rule of fields before it, as in ``Annotated[int, bits(field("width"))]``: 0 bits are the number 0, and
    more than 4096 a fault. BuildError for a number that does not fit; `width_of` tells the least width that fits.
    """
    if isinstance(width, str):
        raise DeclareError("bits(...)", "a number of bits, or a rule", repr(width), f'bits(field("{width}")) are as many as the field {width} says')
    if not isinstance(width, Expr) or isinstance(width, Const):
        return Int(width.number if isinstance(width, Const) else width, signed=signed, little=little)
    if little:
        hint = 'bit_order="low" has the lowest bits of a number first'
        raise DeclareError("bits(...)", "no little=True for a width that a rule tells", "little=True", hint)
    return BitNumber(width, signed)


def spare_bits() -> Any:
    """Bits that fill up to the next byte, none where there is no need: ``spare: int = spare_bits()``.

    They are zeros unless given, and kept as they were captured.
    """
    made = Spec(0)
    made.kind = SpareBits()
    return made


def width_of(name: str) -> Count:
    """How many bits the number in a field takes at the least: ``width: U5 = auto(width_of("value"))``.

    It is for fields whose width another one tells (see `bits`); 0 for the number 0. The same as `count_of`, which counts the
    items of a list.
    """
    return Count(name)
