"""Times and durations: a number of units since an epoch, or of units alone.

A `datetime` holds whole microseconds of the years 1 to 9999; what a packet holds may be finer, or lie further out. So
values are `Instant` and `Elapsed`: a `datetime` and a `timedelta` that know exactly what they stand for, compare by it, and
give the same number back when a field is given them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import lcm
from numbers import Rational
from typing import Annotated, TypeAlias

from packetlab.declare.kinds import Kind, Lines, explained
from packetlab.declare.values.scaled import ZERO, Stepped, rational, shortest
from packetlab.errors import BuildError, DeclareError

FAR = " s after 1970"  # of a time in no year that Python knows
MICROSECOND = Fraction(1, 10**6)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_TEXT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)


def moment_text(value: datetime) -> str:
    """Return a time as descriptions have it."""
    return value.isoformat().replace("+00:00", "Z")


def _seconds(delta: timedelta) -> Fraction:
    return Fraction(delta.days * 86400 + delta.seconds) + Fraction(delta.microseconds, 10**6)


class Instant(datetime):
    """A time as a packet holds it.

    As a `datetime` (UTC) it is cut to microseconds, and to the years that there are; `exact`, comparisons and `str` go by all of it.
    """

    _exact: Fraction | None = None
    _ratio: tuple[int, int, Fraction] | None = None  # of one that was read: exact as a quotient, and the unit
    _unit = ZERO

    @classmethod
    def at(cls, exact: Fraction, unit: Fraction = ZERO) -> Instant:
        """Return the time that is so many seconds after 1970-01-01T00:00:00Z, of which `str` shows enough to tell units apart."""
        whole = min(max(exact * 10**6 // 1, _MIN), _MAX)
        near = EPOCH + timedelta(microseconds=int(whole))
        made = cls(near.year, near.month, near.day, near.hour, near.minute, near.second, near.microsecond, UTC)
        made._exact, made._unit = exact, unit
        return made

    @property
    def exact(self) -> Fraction:
        """Seconds since 1970-01-01T00:00:00Z."""
        if self._exact is None and self._ratio is not None:
            self._exact, self._unit = Fraction(*self._ratio[:2]), self._ratio[2]
        return self._exact if self._exact is not None else exact_of(self)

    def __str__(self) -> str:
        return self.words(lambda number: abs(number - self.exact) * 2 < self._unit)

    def words(self, same: Callable[[Fraction], bool]) -> str:
        """Return it as in ISO 8601, with the fewest digits of a second with which it is still the `same`."""
        exact = self.exact
        if not _MIN <= exact * 10**6 // 1 <= _MAX:
            return shortest(exact, same) + FAR
        whole = exact // 1
        digits = shortest(exact - whole, lambda part: same(whole + part))
        if not digits.startswith("0"):
            whole, digits = whole + 1, "0"
        return moment_text(EPOCH + timedelta(seconds=int(whole)))[:-1] + digits[1:] + "Z"

    def __eq__(self, other: object) -> bool:
        known = _known(other)
        return NotImplemented if known is None else self.exact == known

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __lt__(self, other: date) -> bool:
        known = _known(other)
        return NotImplemented if known is None else self.exact < known

    def __le__(self, other: date) -> bool:
        known = _known(other)
        return NotImplemented if known is None else self.exact <= known

    def __gt__(self, other: date) -> bool:
        known = _known(other)
        return NotImplemented if known is None else self.exact > known

    def __ge__(self, other: date) -> bool:
        known = _known(other)
        return NotImplemented if known is None else self.exact >= known

    def __hash__(self) -> int:
        return datetime.__hash__(self)

    def __reduce_ex__(self, protocol: object) -> tuple[object, ...]:
        return Instant.at, (self.exact, self._unit)


START = Instant(1970, 1, 1, tzinfo=UTC)
_MIN, _MAX = (int(_seconds(end - EPOCH) * 10**6) for end in (FIRST, LAST))


def exact_of(value: datetime) -> Fraction:
    """Return the seconds of a time that has a zone since 1970-01-01T00:00:00Z."""
    return _seconds(datetime.astimezone(value, UTC) - EPOCH)


def _known(other: object) -> Fraction | None:
    if isinstance(other, Instant):
        return other.exact
    return exact_of(other) if isinstance(other, datetime) and other.tzinfo is not None else None


class Elapsed(timedelta):
    """A duration as a packet holds it. As a `timedelta` it is cut to microseconds; `exact`, `==`, order and `str` go by all of it."""

    _exact: Fraction | None = None
    _ratio: tuple[int, int, Fraction] | None = None
    _unit = ZERO

    @property
    def exact(self) -> Fraction:
        """Seconds."""
        if self._exact is None and self._ratio is not None:
            self._exact, self._unit = Fraction(*self._ratio[:2]), self._ratio[2]
        return self._exact if self._exact is not None else _seconds(self)

    @classmethod
    def of(cls, exact: Fraction, unit: Fraction = ZERO) -> Elapsed:
        """Return the duration of so many seconds, of which `str` shows enough to tell units apart."""
        most = timedelta.max // timedelta(microseconds=1)
        made = cls(microseconds=int(min(max(exact * 10**6 // 1, -most), most)))
        made._exact, made._unit = exact, unit
        return made

    def __str__(self) -> str:
        return f"{shortest(self.exact, lambda number: abs(number - self.exact) * 2 < self._unit)} s"

    def _compared(self, other: object) -> Fraction | None:
        if isinstance(other, Elapsed):
            return other.exact
        return _seconds(other) if isinstance(other, timedelta) else None

    def __eq__(self, other: object) -> bool:
        known = self._compared(other)
        return NotImplemented if known is None else self.exact == known

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __lt__(self, other: timedelta) -> bool:
        known = self._compared(other)
        return NotImplemented if known is None else self.exact < known

    def __le__(self, other: timedelta) -> bool:
        known = self._compared(other)
        return NotImplemented if known is None else self.exact <= known

    def __gt__(self, other: timedelta) -> bool:
        known = self._compared(other)
        return NotImplemented if known is None else self.exact > known

    def __ge__(self, other: timedelta) -> bool:
        known = self._compared(other)
        return NotImplemented if known is None else self.exact >= known

    def __hash__(self) -> int:
        return timedelta.__hash__(self)

    def __reduce__(self) -> tuple[object, ...]:
        return Elapsed.of, (self.exact, self._unit)


class Time(Stepped):
    """A time: a number of units since an epoch. Raw: the number.

    With `since` the numbers come again when all bits are used up: what would lie before it is of the next era.
    """

    function, user = "timestamp", "datetime"

    def __init__(
        self, bits: int, epoch: object = EPOCH, unit: object = 1, signed: bool = False, little: bool = False,
        since: object = None,
    ) -> None:  # fmt: skip
        super().__init__(bits, signed=signed, little=little)
        self.step, self.origin = rational(unit, "timestamp(...), unit"), _moment(epoch, "timestamp(...), epoch")
        if self.step <= 0:
            raise DeclareError("timestamp(...)", "a unit of more than 0 seconds", unit)
        self.since = None if since is None else _moment(since, "timestamp(...), since")
        self.era = self.step * (1 << self.fixed_bits)
        if self.since is not None and (signed or not self.origin <= self.since < self.origin + self.era):
            raise DeclareError("timestamp(...), since", "a time of the first era of unsigned numbers", since)
        self.made_with = {"bits": bits}
        self.made_with |= {"epoch": _text(self.origin)} if self.origin else {}
        self.made_with |= {"unit": str(self.step)} if self.step != 1 else {}
        self.made_with |= {word: 1 for word, said in (("signed", signed), ("little", little)) if said}
        self.made_with |= {"since": _text(self.since)} if self.since is not None else {}
        self.words = "a time"

    def in_words(self) -> str:
        return f"{super().in_words()}, units of {self.step} s since {_text(self.origin)}"

    def exact(self, raw: int) -> Fraction:
        found = super().exact(raw)
        return found + self.era if self.since is not None and found < self.since else found

    def steps(self, number: Fraction) -> Fraction:
        last = self.origin + self.era - self.step / 2
        turned = self.since is not None and number >= last and number < self.since + self.era
        return super().steps(number - self.era if turned else number)

    def fraction(self, value: object, where: str) -> Fraction:
        if isinstance(value, Instant):
            return value.exact
        if isinstance(value, datetime) and value.tzinfo is not None:
            return exact_of(value)
        if isinstance(value, str):
            found = _parsed(value)
            if found is not None:
                return found
        hint = "raw(...) gives the number itself"
        if isinstance(value, datetime):
            hint = "datetime(..., tzinfo=timezone.utc)"
        raise BuildError(where, "a datetime with a time zone, or text as 2036-02-07T06:28:16Z", f"{value!r:.60}", hint)

    def grain(self, value: object, number: Fraction) -> Fraction:
        # The nearest unit of an NTP time is what a datetime, or a text of as many digits, is in a packet.
        micro = not isinstance(value, Instant) and number % MICROSECOND == 0
        return MICROSECOND if micro else super().grain(value, number)

    def quick_value(self) -> Lines | None:
        whole = lcm(self.step.denominator, self.origin.denominator, (self.since or ZERO).denominator)
        lines = [f"number = raw * {int(self.step * whole)} + {int(self.origin * whole)}"]
        if self.since is not None:
            lines.append(f"if number < {int(self.since * whole)}: number += {int(self.era * whole)}")
        micro = Fraction(10**6, whole)
        lines += [
            f"micro = number * {micro.numerator} // {micro.denominator}",
            f"if {_MIN} <= micro <= {_MAX}:",
            "    made = start + timedelta(0, 0, micro)",
            f"    made._ratio = number, {whole}, step",
            "else: made = value(raw)",
        ]
        return "int", lines, {"start": START, "timedelta": timedelta, "step": self.step}

    def quick_raw(self) -> Callable[[object], int | None]:
        steps, low, high = _steps(self), self.low, self.high

        def quick(value: object) -> int | None:
            if type(value) is datetime and value.tzinfo is UTC:
                raw = steps(value - EPOCH)
                return raw if low <= raw <= high else None
            return None

        return quick

    def value(self, raw: int) -> Instant:
        return Instant.at(self.exact(raw), self.step)

    def words_of(self, raw: int) -> str:
        return self.value(raw).words(lambda number: self._same(number, raw))

    def _same(self, number: Fraction, raw: int) -> bool:
        return round(self.steps(number)) == raw


class Duration(Stepped):
    """A duration: a number of units. Raw: the number."""

    function, user = "duration", "timedelta"

    def __init__(self, bits: int, unit: object = 1, signed: bool = False, little: bool = False) -> None:
        super().__init__(bits, signed=signed, little=little)
        self.step = rational(unit, "duration(...), unit")
        if self.step <= 0:
            raise DeclareError("duration(...)", "a unit of more than 0 seconds", unit)
        self.made_with = {"bits": bits, **({"unit": str(self.step)} if self.step != 1 else {})}
        self.made_with |= {word: 1 for word, said in (("signed", signed), ("little", little)) if said}
        self.words = "a duration"

    def in_words(self) -> str:
        return f"{super().in_words()}, units of {self.step} s"

    def fraction(self, value: object, where: str) -> Fraction:
        if isinstance(value, Elapsed):
            return value.exact
        if isinstance(value, timedelta):
            return _seconds(value)
        try:
            if isinstance(value, str):
                return Fraction(value.removesuffix("s").strip())
            if isinstance(value, Rational | float | Decimal) and not isinstance(value, bool):
                return Fraction(value)
        except (ValueError, OverflowError, ZeroDivisionError):
            pass
        raise BuildError(where, "a timedelta, or a number of seconds", f"{value!r:.60}")

    def grain(self, value: object, number: Fraction) -> Fraction:
        whole = isinstance(value, timedelta) and not isinstance(value, Elapsed)
        return MICROSECOND if whole else super().grain(value, number)

    def quick_value(self) -> Lines | None:
        number, whole, micro = self.step.numerator, self.step.denominator, self.step * 10**6
        if max(abs(self.exact(self.low)), abs(self.exact(self.high))) >= timedelta.max // timedelta(seconds=1):
            return None
        lines = [f"made = elapsed(0, 0, raw * {micro.numerator} // {micro.denominator})", f"made._ratio = raw * {number}, {whole}, step"]
        return "int", lines, {"elapsed": Elapsed, "step": self.step}

    def quick_raw(self) -> Callable[[object], int | None]:
        steps, low, high = _steps(self), self.low, self.high

        def quick(value: object) -> int | None:
            if type(value) is timedelta:
                raw = steps(value)
                return raw if low <= raw <= high else None
            return None

        return quick

    def value(self, raw: int) -> Elapsed:
        return Elapsed.of(self.exact(raw), self.step)

    def words_of(self, raw: int) -> str:
        return f"{self.digits(raw)} s"


def _steps(kind: Stepped) -> Callable[[timedelta], int]:
    """Return what rounds a duration since 1970, or a duration alone, to the nearest step of a kind, and to the even one of two as near."""
    each, less = 1 / (kind.step * 10**6), kind.origin / kind.step
    whole = lcm(each.denominator, less.denominator)
    times, fewer, double = 2 * int(each * whole), 2 * int(less * whole) - whole, 2 * whole

    def steps(delta: timedelta) -> int:
        micro = (delta.days * 86400 + delta.seconds) * 1_000_000 + delta.microseconds
        number, rest = divmod(micro * times - fewer, double)
        return number - 1 if not rest and number & 1 else number

    return steps


def _parsed(text: str) -> Fraction | None:
    """Return the seconds since 1970 of a time as ISO 8601 has it, of UTC where no zone stands; None for other text."""
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        return _fraction(text.removesuffix(FAR)) if text.endswith(FAR) else None
    day, clock, part, zone = found.groups()
    try:
        near = datetime.fromisoformat(f"{day}T{clock or '00:00'}{(zone or 'Z').replace('Z', '+00:00')}")
        return exact_of(near) + Fraction(part or 0)
    except (ValueError, OverflowError):
        return None


def _fraction(text: str) -> Fraction | None:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None


def _moment(value: object, where: str) -> Fraction:
    if isinstance(value, Fraction):
        return value
    found = _parsed(value) if isinstance(value, str) else _known(value)
    if found is None:
        raise DeclareError(where, "a datetime with a time zone, as datetime(1970, 1, 1, tzinfo=timezone.utc)", repr(value))
    return found


def _text(exact: Fraction) -> str:
    return str(Instant.at(exact))


def timestamp(
    bits: int, *, epoch: object = EPOCH, unit: object = 1, signed: bool = False, little: bool = False, since: object = None
) -> Kind:  # fmt: skip
    """The kind of a time, in `bits` bits: a number of units of `unit` seconds since `epoch`, for ``Annotated[datetime, timestamp(32)]``.

    `unit` is a number, or a text such as "1/1000"; `epoch` and `since` are `datetime` with a time zone, or text. With
    `since` numbers wrap around: one that would lie before it is of the next era (RFC 5905 section 6). Values given are
    rounded to the nearest unit. `signed` and `little` are as for `bits`. Rules, and bindings, go by the raw number.
    """
    return Time(bits, epoch, unit, signed, little, since)


def duration(bits: int, *, unit: object = 1, signed: bool = False, little: bool = False) -> Kind:
    """The kind of a duration, in `bits` bits: a number of units of `unit` seconds, for ``Annotated[timedelta, duration(16, unit="1/1000")]``.

    `signed` and `little` are as for `bits`.
    """
    return Duration(bits, unit, signed, little)


NTPTime: TypeAlias = Annotated[
    datetime, Time(64, datetime(1900, 1, 1, tzinfo=UTC), Fraction(1, 1 << 32), since="1968-01-20T03:14:08Z")
]
NTPShort: TypeAlias = Annotated[timedelta, Duration(32, Fraction(1, 1 << 16))]
UnixTime: TypeAlias = Annotated[datetime, Time(32)]
UnixTime64: TypeAlias = Annotated[datetime, Time(64, signed=True)]
UnixTimeMs: TypeAlias = Annotated[datetime, Time(64, unit=Fraction(1, 10**3))]
UnixTimeUs: TypeAlias = Annotated[datetime, Time(64, unit=Fraction(1, 10**6))]
UnixTimeNs: TypeAlias = Annotated[datetime, Time(64, unit=Fraction(1, 10**9))]

explained({
    NTPTime: "A time of 64 bits: seconds since 1900 and their 2**32nd parts (RFC 5905 section 6), from 1968 to 2104. raw(0) says unknown.",
    NTPShort: "A duration of 32 bits: seconds and their 65536th parts (RFC 5905 section 6).",
    UnixTime: "A time of 32 bits: seconds since 1970, until 2106.",
    UnixTime64: "A time of 64 bits: seconds since 1970, signed.",
    UnixTimeMs: "A time of 64 bits: milliseconds since 1970.",
    UnixTimeUs: "A time of 64 bits: microseconds since 1970.",
    UnixTimeNs: "A time of 64 bits: nanoseconds since 1970.",
})  # fmt: skip
