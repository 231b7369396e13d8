"""Values that users see in another form than the one that is packed: what all such kinds share.

The raw value is what a packet holds, kept to the bit; the user's form is worked out when somebody looks. `raw(...)` gives
a field its raw value as it is, a path that ends in ``.raw`` asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, IntFlag
from fractions import Fraction
from math import ulp
from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias

from packetlab.declare.kinds import ByteString, Int, Kind, Raw
from packetlab.errors import BuildError, DeclareError
from packetlab.escaping import bytes_text, printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[Any]"
ZERO = Fraction(0)
PLACES = 16
"""Of decimals that are shown with all of them; others have as many as it takes to tell them apart."""
NEAR = Fraction(1, 2 * 10**9)
"""How far a text may be from a value that is no such decimal (a third, so many 2**-32) and still means it."""
UNTYPED: tuple[object, ...] = (Any, object)
"""What stands first in ``Annotated[..., kind]`` where no type is said."""


class RawValue:
    """A raw value, given in place of the user's form: see `raw`."""

    __slots__ = ("form",)

    def __init__(self, form: int | bytes) -> None:
        self.form = form

    def __eq__(self, other: object) -> bool:
        return type(other) is RawValue and other.form == self.form

    def __hash__(self) -> int:
        return hash((RawValue, self.form))

    def __repr__(self) -> str:
        return f"raw({self.form!r})"


def raw(form: int | bytes) -> Any:
    """A value by what is packed, for a field whose values have another form: ``Probe(delay=raw(384))``.

    A number for numbers (floats: their bits), bytes for bytes and text. TypeError for anything else.
    """
    if isinstance(form, (bytes, bytearray, memoryview)):
        return RawValue(bytes(form))
    return RawValue(index(form))


def member_of(names: type[IntEnum | IntFlag] | None, number: int) -> int:
    """Return the member of an enum that a number is; the number where there is none."""
    try:
        return number if names is None else names(number)
    except ValueError:
        return number


def number_of(names: type[IntEnum | IntFlag] | None, word: object) -> int | None:
    """Return the number of the member that a text names, in letters of any case; None for none."""
    member = names.__members__.get(word.upper()) if names is not None and isinstance(word, str) else None
    return None if member is None else int(member)


class View(Kind):
    """The base of kinds with two forms.

    Attributes:
        function: what makes it in a declaration. user: the type of its values, as an annotation has it.
        made_with: the arguments of `function` that are not its defaults, as numbers, texts and bytes.
        dtype: of numpy, for the user's form in columns of other libraries; "O" for what are no numbers.
    """

    function = ""
    dtype = "O"
    user: str = "object"
    made_with: Mapping[str, int | str | bytes]

    def annotation(self) -> str:
        return self.user

    def of(self, value: object, where: str) -> Raw:
        """Return the raw form of a value in the user's form. BuildError where it does not fit."""
        raise NotImplementedError

    def raw(self, value: object, where: str) -> Raw:
        if isinstance(value, RawValue):
            assert self.as_raw is not None
            return self.as_raw.raw(value.form, where)
        return self.of(value, where)


class NumberView(View, Int):
    """A number of some bits whose user's form is another. Rules see the raw number."""

    most = 64

    allows = "rule condition fixed"

    def __init__(self, bits: int, *, signed: bool = False, little: bool = False) -> None:
        Int.__init__(self, bits, signed=signed, little=little)
        self.as_raw = Int(bits, signed=signed, little=little)

    def typed(self, wanted: object, where: str) -> Kind:
        if wanted not in UNTYPED and _name(wanted) != self.user:
            raise DeclareError(where, f"Annotated[{self.user}, {self.function}(...)]", _name(wanted))
        return self

    def raw(self, value: object, where: str) -> int:
        number: int = View.raw(self, value, where)
        return number

    def value(self, raw: int) -> Raw:
        raise NotImplementedError

    def text(self, raw: int) -> str:
        return printable(f"{self.words_of(raw)} ({raw})")

    def words_of(self, raw: int) -> str:
        """Return the user's form in words, exact enough that `raw` gives the same number for it."""
        return str(self.value(raw))

    def unseen(self, raw: int) -> int:
        """Return the bits of a raw value that make no other value of it where filters compare."""
        return 0

    def array(self, numbers: Array) -> Array:
        """Return the user's form of an array of raw values."""
        import numpy as np

        some, places = np.unique(numbers, return_inverse=True)
        found = np.empty(len(some), "f8" if self.dtype == "f8" else "O")  # whole numbers stay Python's here
        for place, number in enumerate(some.tolist()):
            found[place] = self.value(number)
        shown: Array = found[places.reshape(-1)]
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


class BytesView(View):
    """Bytes of a fixed number whose user's form is another. All bytes are raw values, and are taken as they are."""

    verbatim = True
    zero: bytes

    def __init__(self, size: int) -> None:
        self.bits, self.zero = size * 8, bytes(size)
        self.as_raw = ByteString(size)

    def text(self, raw: bytes) -> str:
        return printable(str(self.value(raw)))

    def raw(self, value: object, where: str) -> bytes:
        if isinstance(value, (bytes, bytearray, memoryview)):
            value = RawValue(bytes(value))
        found: bytes = super().raw(value, where)
        return found


def smallest(low: int, high: int) -> str:
    """Return numpy's name of the smallest whole numbers that hold both, "O" where they need more than 64 bits."""
    signed = low < 0
    bits = max(high.bit_length() + signed, (~low).bit_length() + 1 if signed else 0)
    return next((f"{'i' if signed else 'u'}{size}" for size in (1, 2, 4, 8) if bits <= size * 8), "O")


def _up(number: Fraction) -> int:
    return -(-number.numerator // number.denominator)


def _down(number: Fraction) -> int:
    return number.numerator // number.denominator


def _name(wanted: object) -> str:
    return str(getattr(wanted, "__name__", wanted))


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


def own_bytes(raw: bytes) -> str:
    """Return a value that is no good one as `raw` would be given it."""
    return f"raw({bytes_text(raw, 1 << 16)})"


def moment_text(value: datetime) -> str:
    """Return a time as descriptions have it."""
    return value.isoformat().replace("+00:00", "Z")


def given(kind: Kind, raw: Raw) -> Raw:
    """Return a raw value as a header is given it: as it is, or by `raw` where users see another form."""
    return RawValue(raw) if kind.as_raw is not None and not kind.orders_raw and isinstance(raw, int | bytes) else raw
