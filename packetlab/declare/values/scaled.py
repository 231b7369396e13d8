"""Numbers that are not whole: IEEE 754 floats, and fixed point or scaled numbers.

Floats keep their bits: NaN payloads and -0.0 come back as they were. Scaled numbers are worked out in fractions, so that
no value is a rounding error beside the number it was read from.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from math import isfinite, lcm, ulp
from numbers import Rational, Real
from struct import Struct, error as struct_error
from typing import Annotated, TypeAlias

from packetlab.declare.expressions import Expr
from packetlab.declare.kinds import Forms, Kind, Lines, Raw, explained
from packetlab.declare.values.views import UNTYPED, Array, NumberView, Stepped, _name, rational, smallest
from packetlab.errors import BuildError, DeclareError

_LETTERS = {16: "e", 32: "f", 64: "d"}
_FRACTION = {16: 10, 32: 23, 64: 52}  # bits
_DIGITS = {16: 5, 32: 9, 64: 17}
SURE = float(1 << 40)
"""Steps up to which floats tell which one is the nearest."""


class Float(NumberView):
    """A float of 16, 32 or 64 bits (IEEE 754 binary16, binary32, binary64). Raw: its bits, as a number.

    A value of more digits is rounded to the nearest float of that width; one that is too large is refused.
    """

    function, user, dtype = "F32", "float", "f8"

    def __init__(self, bits: int, little: bool = False) -> None:
        if bits not in _LETTERS:
            raise DeclareError("a float", "16, 32 or 64 bits", bits)
        super().__init__(bits, little=little)
        self.made_with, self.letter = {"bits": bits, **({"little": 1} if little else {})}, _LETTERS[bits]
        self.packed, self.integer = Struct(">" + _LETTERS[bits]), Struct(">" + {16: "H", 32: "I", 64: "Q"}[bits])
        self.words = f"a float of {bits} bits"

    @property
    def is_number(self) -> bool:
        return False  # rules know whole numbers, and its bits are none that say anything

    allows = "condition fixed"

    def in_words(self) -> str:
        return f"float of {self.bits} bits" + ", lowest byte first" * self.little

    def of(self, value: object, where: str) -> int:
        try:
            number = float(value) if isinstance(value, Real | Decimal | str) and not isinstance(value, bool) else None
            if number is None:
                raise ValueError
            found: int = self.integer.unpack(self.packed.pack(number))[0]
            return found
        except (ValueError, OverflowError, struct_error):
            raise BuildError(where, f"a number that a float of {self.bits} bits holds", f"{value!r:.60}") from None

    def quick_value(self) -> Lines | None:
        return "int", ["made, = unpack(pack(raw))"], {"unpack": self.packed.unpack, "pack": self.integer.pack}

    def usual_forms(self) -> Forms:
        most = self.value((1 << self.bits - 1) - (1 << _FRACTION[self.bits]) - 1)  # below infinity
        names = {"pack": self.packed.pack, "unpack": self.integer.unpack, "float": float}
        return [(f"{{0}}.__class__ is {{float}} and {-most!r} <= {{0}} <= {most!r}", "{unpack}({pack}({0}))[0]")], names

    def quick_raw(self) -> Callable[[object], int | None]:
        pack, unpack = self.packed.pack, self.integer.unpack

        def quick(value: object) -> int | None:
            if type(value) is float or type(value) is int:
                try:
                    found: int = unpack(pack(value))[0]
                    return found
                except (OverflowError, struct_error):
                    pass
            return None

        return quick

    def unseen(self, raw: int) -> int:
        sign: int = 1 << self.bits - 1
        return 0 if raw & ~sign else sign  # -0.0 equals 0 (IEEE 754, section 5.11)

    def value(self, raw: int) -> float:
        found: float = self.packed.unpack(self.integer.pack(raw))[0]
        return found

    def text(self, raw: int) -> str:
        return self.words_of(raw)

    def words_of(self, raw: int) -> str:
        value = self.value(raw)
        if not isfinite(value):
            plain = self.of(value, "") == raw
            return str(value) if plain else f"{value} (0x{raw:x})"
        for digits in range(1, _DIGITS[self.bits]):
            text = f"{value:.{digits}g}"
            if self._same(text, raw):
                return repr(float(text))
        return repr(value)

    def _same(self, text: str, raw: int) -> bool:
        try:
            return self.of(text, "") == raw
        except BuildError:
            return False

    def array(self, numbers: Array) -> Array:
        import numpy as np

        size = self.bits // 8
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            shown: Array = numbers.astype(f"u{size}").view(f"f{size}").astype("f8")
        return shown


class Scaled(Stepped):
    """A whole number that stands for `scale` times itself plus `offset`, as fixed point does. Raw: the number.

    A value between two steps is rounded to the nearest one, and to the even one of two as near; one beyond the ends is
    refused. With ``Annotated[Fraction, ...]`` or ``Annotated[Decimal, ...]`` values are exact, with ``Annotated[int, ...]``
    all of them have to be whole.
    """

    function, dtype = "scaled", "f8"
    what = "a number"

    def __init__(
        self, bits: int, scale: object, unit: str = "", offset: object = 0, signed: bool = False, little: bool = False,
        user: type = float,
    ) -> None:  # fmt: skip
        super().__init__(bits, signed=signed, little=little)
        self.step, self.origin = rational(scale, "scaled(...), scale"), rational(offset, "scaled(...), offset")
        if self.step == 0:
            raise DeclareError("scaled(...)", "a scale that is not 0", scale)
        if not isinstance(unit, str) or not unit.isprintable():
            raise DeclareError("scaled(...)", "a unit that is printable", repr(unit))
        self.unit, self.type, self.user = unit, user, user.__name__
        self.made_with = {"bits": bits, "scale": str(self.step)}
        self.made_with |= {"unit": unit} if unit else {}
        self.made_with |= {"offset": str(self.origin)} if self.origin else {}
        self.made_with |= {word: 1 for word, said in (("signed", signed), ("little", little)) if said}
        ends = sorted(map(self.exact, (self.low, self.high)))
        self.dtype = "f8" if user is float else smallest(int(ends[0]), int(ends[1])) if user is int else "O"
        self.words = "a scaled number"

    def in_words(self) -> str:
        offset = f" + {self.origin}" if self.origin else ""
        return f"{super().in_words()}, times {self.step}{offset}{f' {self.unit}' if self.unit else ''}"

    def typed(self, wanted: object, where: str) -> Kind:
        if wanted in UNTYPED:
            wanted = self.type
        if wanted not in (float, Fraction, Decimal, int):
            raise DeclareError(where, "Annotated[float, scaled(...)], or Fraction, Decimal or int", _name(wanted))
        made = Scaled(
            self.fixed_bits, self.step, self.unit, self.origin, signed=self.signed, little=self.little, user=wanted
        )
        made._check_type(where)
        return made

    def _check_type(self, where: str) -> None:
        """Refuse a type that does not hold all values apart from each other."""
        ends = self.exact(self.low), self.exact(self.high)
        if self.type is int and not (self.step.denominator == self.origin.denominator == 1):
            raise DeclareError(where, "a scale and an offset that are whole", f"{self.step} and {self.origin}")
        if self.type is Decimal and not all(_is_decimal(one) for one in (self.step, self.origin)):
            raise DeclareError(where, "Annotated[Fraction, scaled(...)]", f"{self.step}, which is no decimal")
        if self.type is float:
            finest = ulp(float(max(map(abs, ends))))
            if abs(self.step) < finest or (abs(self.step) == finest and float(ends[1]) != ends[1]):
                hint = f"a float holds 53 bits: Annotated[Fraction, scaled({self.bits}, ...)] holds all"
                raise DeclareError(where, "values that a float tells apart", f"{self.bits} bits", hint)

    def fraction(self, value: object, where: str) -> Fraction:
        try:
            if isinstance(value, str):
                return Fraction(value.removesuffix(self.unit).strip())
            if isinstance(value, Rational | float | Decimal) and not isinstance(value, bool):
                return Fraction(value)
        except (ValueError, OverflowError, ZeroDivisionError):
            pass
        raise BuildError(where, f"a number{f' of {self.unit}' if self.unit else ''}", f"{value!r:.60}")

    def quick_value(self) -> Lines | None:
        if self.type is not float:
            return None
        whole = lcm(self.step.denominator, self.origin.denominator)  # quotients of whole numbers are rounded once
        return "int", [f"made = (raw * {int(self.step * whole)} + {int(self.origin * whole)}) / {whole}"], {}

    def _as_floats(self) -> tuple[float, float, float] | None:
        """Return what a value is multiplied with and what is taken from it for its steps, and how great it may be; None where floats do not tell."""
        try:
            times, less, far = float(1 / self.step), float(self.origin / self.step), float(abs(self.step)) * SURE
        except OverflowError:
            return None
        return None if self.type is not float or abs(less) > SURE else (times, less, far)

    def usual_forms(self) -> Forms:
        if (floats := self._as_floats()) is None:
            return [], {}
        steps = "{0} * {times}" + " - {less}" * (floats[1] != 0)
        test = "{0}.__class__ is {float} and -{far} < {0} < {far} and -0.49 < (_w := " + steps + ") - (_v := {round}(_w)) < 0.49"
        names = {"float": float, "round": round, "times": floats[0], "less": floats[1], "far": floats[2]}
        return [(f"{test} and {self.low} <= _v <= {self.high}", "_v")], names

    def quick_raw(self) -> Callable[[object], int | None] | None:
        if (floats := self._as_floats()) is None:
            return None
        (times, less, far), low, high = floats, self.low, self.high

        def quick(value: object) -> int | None:
            if (type(value) is float or type(value) is int) and -far < value < far:
                steps = value * times - less
                raw = round(steps)
                # Floats are off by less than a hundredth of a step here; in the middle between two, fractions tell.
                if -0.49 < steps - raw < 0.49 and low <= raw <= high:
                    return raw
            return None

        return quick

    def value(self, raw: int) -> Raw:
        number = self.exact(raw)
        if self.type is Decimal:
            return Decimal(self.digits(raw)) if number.denominator == 1 else _decimal(number)
        return int(number) if self.type is int else number if self.type is Fraction else float(number)

    def words_of(self, raw: int) -> str:
        return f"{self.digits(raw)} {self.unit}".rstrip()

    def array(self, numbers: Array) -> Array:
        exact = self.origin == 0 and self.step.denominator.bit_count() == 1 == self.step.numerator
        if self.type is float and exact and self.fixed_bits <= 53:
            shown: Array = numbers.astype("f8") * float(self.step)
            return shown
        return super().array(numbers)


def _is_decimal(number: Fraction) -> bool:
    rest = number.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _decimal(number: Fraction) -> Decimal:
    places = 0
    while (number * 10**places).denominator != 1:
        places += 1
    return Decimal(int(number * 10**places)).scaleb(-places)


def scaled(
    bits: int, scale: object, *, unit: str = "", offset: object = 0, signed: bool = False, little: bool = False
) -> Kind:
    """The kind of a number of `bits` bits that stands for ``offset + number * scale``: ``Annotated[float, scaled(16, 1/256, unit="s")]``.

    `scale` and `offset` are numbers, or texts such as "1/10"; of a float the simplest fraction that is this float is
    meant, so 0.1 is a tenth. A value that is given is rounded to the nearest step (`Scaled`). `unit` is for those who
    read it; `signed` and `little` are as for `bits`. Rules, and bindings, go by the raw number. DeclareError where a float cannot tell all values apart.
    """
    if isinstance(bits, Expr):
        hint = f"raw: Annotated[int, bits({bits})], and what it stands for is worked out from that"
        raise DeclareError("scaled(...)", "a width in bits, which rules tell in bits(...) alone", str(bits), hint)
    return Scaled(bits, scale, unit, offset, signed, little)


F16: TypeAlias = Annotated[float, Float(16)]
F32: TypeAlias = Annotated[float, Float(32)]
F64: TypeAlias = Annotated[float, Float(64)]
F16le: TypeAlias = Annotated[float, Float(16, True)]
F32le: TypeAlias = Annotated[float, Float(32, True)]
F64le: TypeAlias = Annotated[float, Float(64, True)]

explained({
    alias: f"A float of {bits} bits, IEEE 754 binary{bits}, {order}. Its bits are kept: NaN payloads and -0.0 come back; filters in words find both zeros by 0."
    for bits, big, little in ((16, F16, F16le), (32, F32, F32le), (64, F64, F64le))
    for alias, order in ((big, "big-endian"), (little, "little-endian"))
})  # fmt: skip
