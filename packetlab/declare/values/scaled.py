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
from packetlab.declare.values.views import UNTYPED, Array, NumberView, RawValue, _name, smallest
from packetlab.errors import BuildError, DeclareError

ZERO = Fraction(0)
PLACES = 16
"""Of decimals that are shown with all of them; others have as many as it takes to tell them apart."""
NEAR = Fraction(1, 2 * 10**9)
"""How far a text may be from a value that is no such decimal (a third, so many 2**-32) and still means it."""
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


class Stepped(NumberView):
    """A number that stands for another one: so many steps from an origin. All of it is worked out exactly.

    Attributes:
        step, origin: fractions. what: the values in words, for errors.
    """

    step: Fraction
    origin = ZERO
    what = "a number"

    def exact(self, raw: int) -> Fraction:
        """Return what a raw number stands for."""
        return self.origin + raw * self.step

    def compared(self, raw: int) -> Fraction:
        return self.exact(raw)

    def fraction(self, value: object, where: str) -> Fraction:
        """Return what a user wrote as a number. BuildError for what is none."""
        raise NotImplementedError

    def of(self, value: object, where: str) -> int:
        return self._fit(self.steps(self.fraction(value, where)), value, where, round)

    def edge(self, value: object, where: str, up: bool) -> int:
        if isinstance(value, RawValue):
            return self.raw(value, where)
        number = self.fraction(value, where)
        steps = self.steps(number)
        near = round(steps)
        if abs(steps - near) * abs(self.step) <= self.grain(value, number):
            return self._fit(steps, value, where, round)
        # Of a scale below 0 the greater raw number is the lesser value.
        return self._fit(steps, value, where, _up if up is (self.step > 0) else _down)

    def grain(self, value: object, number: Fraction) -> Fraction:
        """Return how far a number may be from a step that a user means, as a float next to 0.29 stands for 0.29."""
        if isinstance(value, float):
            return Fraction(4 * ulp(value))
        decimal = is_short(self.step) and is_short(self.origin)
        return NEAR if isinstance(value, str) and not decimal else ZERO

    def steps(self, number: Fraction) -> Fraction:
        """Return how many steps a number is from the origin."""
        return (number - self.origin) / self.step

    def _fit(self, steps: Fraction, value: object, where: str, rounded: Callable[[Fraction], int]) -> int:
        raw = rounded(steps)
        if not self.low <= raw <= self.high:
            ends = sorted((self.low, self.high), key=self.exact)
            raise BuildError(where, " to ".join(map(self.words_of, ends)), repr(value))
        return raw

    def digits(self, raw: int) -> str:
        """Return what a raw number stands for as a decimal, as short as it may be and still gives the number back."""
        return shortest(self.exact(raw), lambda number: round(self.steps(number)) == raw)


def _up(number: Fraction) -> int:
    return -(-number.numerator // number.denominator)


def _down(number: Fraction) -> int:
    return number.numerator // number.denominator


def rational(value: object, where: str) -> Fraction:
    """Return a number as a fraction: of a float the simplest one that is this float, so 0.1 is a tenth. DeclareError for none."""
    try:
        if isinstance(value, bool):
            raise ValueError
        if isinstance(value, float):
            whole = Fraction(value)
            for digits in range(40):
                found = whole.limit_denominator(10**digits)
                if float(found) == value:
                    return found
            return whole
        if isinstance(value, int | Fraction | Decimal | str):
            found = Fraction(value)
            if max(found.numerator.bit_length(), found.denominator.bit_length()) <= 256:
                return found
    except (ValueError, OverflowError, ZeroDivisionError):
        pass
    raise DeclareError(where, "a number, as 0.5, Fraction(1, 256) or '1/256'", f"{value!r:.60}")


def is_short(number: Fraction) -> bool:
    """Whether it is a decimal of at most `PLACES`."""
    scale: int = 10**PLACES
    return scale % number.denominator == 0


def shortest(exact: Fraction, same: Callable[[Fraction], bool]) -> str:
    """Return a number as a decimal: all of it where it is short, else the fewest digits that are `NEAR` it and still the `same`."""
    short = is_short(exact)
    for places in range(400):
        scale: int = 10**places
        number = round(exact * scale)
        found = Fraction(number, scale)
        if found == exact or (places > 0 and not short and abs(found - exact) <= NEAR and same(found)):
            sign, digits = "-" * (number < 0), str(abs(number)).rjust(places + 1, "0")
            cut = len(digits) - places
            return sign + digits[:cut] + (f".{digits[cut:]}".rstrip("0").rstrip(".") if places else "")
    return str(exact)


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
        times, more = int(self.step * whole), int(self.origin * whole)
        steps = "raw" if times == 1 else f"raw * {times}"
        return "int", [f"made = ({steps} + {more}) / {whole}" if more else f"made = {steps} / {whole}"], {}

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
        names = {"float": float, "round": round, "times": floats[0], "less": floats[1], "far": floats[2]}
        if floats[1] == 0 and -SURE < self.low <= self.high < SURE:  # what is between the ends is not too great
            between = f"{{0}}.__class__ is {{float}} and {self.low - 0.49} < (_w := {steps}) < {self.high + 0.49}"
            return [(between + " and -0.49 < _w - (_v := {round}(_w)) < 0.49", "_v")], names
        test = "{0}.__class__ is {float} and -{far} < {0} < {far} and -0.49 < (_w := " + steps + ") - (_v := {round}(_w)) < 0.49"
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
