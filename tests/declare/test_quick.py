"""What kinds do in less time gives the same as the plain way: values, raw forms, reading, writing, and what is wrong."""

from __future__ import annotations

import functools
import itertools
import re
import uuid
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, strategies as st

from packetlab.codec.source import function
from packetlab.declare.bits.kinds import BitList
from packetlab.declare.kinds import ByteString, Int, Kind
from packetlab.declare.values.delimited import Delimited
from packetlab.declare.values.digits import DigitsKind
from packetlab.declare.values.identifiers import BCD, UUIDKind
from packetlab.declare.values.scaled import Float, Scaled
from packetlab.declare.values.text import TextKind
from packetlab.declare.values.times import Duration, Time
from packetlab.declare.values.varints import LengthOfBER, Prefixed, SizedInt, Spelled, Varint
from packetlab.errors import BuildError


class Verb(StrEnum):
    GET = "GET"
    PUT = "PUT"


NUMBERS: list[Any] = [
    Scaled(10, 0.1), Scaled(6, 1, signed=True), Scaled(32, Fraction(1, 10**7), signed=True), Scaled(16, 0.25, offset=-40), Scaled(32, -0.5, offset="1/3"),
    Scaled(8, Fraction(2, 3), offset=Fraction(1, 7)), Scaled(50, "1/1024"), Scaled(16, 3, user=int), Scaled(16, "0.01", user=Fraction), Float(16), Float(32), Float(64),
    Time(64, datetime(1900, 1, 1, tzinfo=UTC), Fraction(1, 1 << 32), since="1968-01-20T03:14:08Z"), Time(32), Time(64, signed=True), Time(64, unit=Fraction(1, 1000)),
    Time(64, epoch="1601-01-01", unit=Fraction(1, 10**7)), Time(64, unit=Fraction(1, 10**9)), Time(16, epoch="2000-01-01", unit="7/3"),
    Duration(32, Fraction(1, 1 << 16)), Duration(64), Duration(16, unit="1/3", signed=True), Duration(48, unit=Fraction(1, 10**6)),
]  # fmt: skip
TEXTS: list[Any] = [
    TextKind(), TextKind("ascii", 8, b"\0"), TextKind("ascii", 8), TextKind("utf-16-le"), TextKind("utf-16-be", 8, b"\0 "), TextKind("latin-1"), TextKind("shift_jis"),
    TextKind("utf-8", enum=Verb), TextKind("ascii", 4, b" ", enum=Verb), TextKind("utf-7"),
]  # fmt: skip
BYTES: list[Any] = [UUIDKind(), UUIDKind(True), BCD(8), BCD(8, user=int), BCD(5, swapped=True, filler=15), BCD(12, True, 14), BCD(6, False, 15, int)]
CODED: list[Any] = [
    Varint(), Varint(signed=True), Varint(zigzag=True), Varint(high_first=True, most=4), Varint(signed=True, high_first=True), Varint(zigzag=True, high_first=True),
    Varint(most=1), Prefixed(), Prefixed(1, (1, 2)), Prefixed(2, (1, 2, 4)), Prefixed(3, (2, 3, 8)), LengthOfBER(), LengthOfBER(True), SizedInt(), SizedInt(False, 4),
    DigitsKind(width=3), DigitsKind(width=3, signed=True), DigitsKind(16, width=4),
    *(Delimited(kind, end) for kind in (DigitsKind(), DigitsKind(signed=True), DigitsKind(16), TextKind(), TextKind("utf-16-le"), TextKind(enum=Verb))
      for end in (b"\0\0", b"\r\n", b" \0", b"10")),
]  # fmt: skip
ANY = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(1 << 20), 1 << 20), st.floats(), st.floats(-1e6, 1e6), st.integers(-4000, 4000).map(lambda n: n / 16),
    st.integers(-4000, 4000).map(lambda n: n / 20), st.fractions(max_denominator=100), st.timedeltas(), st.integers(-(10**6), 10**6).map(lambda n: timedelta(microseconds=n)),
    st.datetimes(timezones=st.just(UTC)), st.datetimes(), st.datetimes(timezones=st.just(timezone(timedelta(hours=2)))), st.text(max_size=9), st.text("0123456789-\r\n", max_size=9),
    st.binary(max_size=9), st.sampled_from([*Verb, "GET", 1 << 63, 0.25, 0.75, 1.5, uuid.UUID(int=5)]),
)  # fmt: skip


def outcome(call: Any, *args: Any) -> tuple[object, ...]:
    """Return what a call gives, told apart by type, text and how it is written; or that it refuses."""
    try:
        found = call(*args)
    except BuildError as error:
        return ("refused", str(error))
    return type(found), str(found), repr(found), getattr(found, "exact", None)


def compiled(kind: Kind) -> Any:
    quick = kind.quick_value()
    if quick is None:
        return None
    of, lines, names = quick
    lines = ["def get(raw):", f"    assert type(raw) is {of}", *("    " + line for line in lines), "    return made"]
    return function(lines, {**names, "value": kind.value}, "quick value")


@pytest.mark.parametrize("kind", NUMBERS, ids=lambda kind: kind.in_words())
@given(st.data())
def test_values_of_numbers(kind: Any, data: st.DataObject) -> None:
    raw = data.draw(st.integers(kind.low, kind.high) | st.sampled_from([kind.low, kind.high, 0, 1]))
    if quick := compiled(kind):
        assert outcome(quick, raw) == outcome(kind.value, raw)
        assert outcome(kind.raw, quick(raw), "x") == outcome(kind.raw, kind.value(raw), "x")


@pytest.mark.parametrize("kind", [*TEXTS, *BYTES], ids=lambda kind: kind.in_words())
@given(st.data())
def test_values_of_bytes(kind: Any, data: st.DataObject) -> None:
    size = {} if kind.bits is None else {"min_size": kind.bits // 8, "max_size": kind.bits // 8}
    letters = st.text("0123456789 GETPUT\u00e9\0", max_size=9).map(lambda text: text.encode())
    raw = data.draw(st.binary(**size) | letters.map(lambda some: some if kind.bits is None else some.ljust(kind.bits // 8, b"\0")[: kind.bits // 8]))
    if quick := compiled(kind):
        assert outcome(quick, raw) == outcome(kind.value, raw)
    if kind.surely and eval(kind.surely.format("raw")):
        assert kind.wrong(raw) == ""


@pytest.mark.parametrize("kind", [*NUMBERS, *TEXTS, *BYTES, *CODED], ids=lambda kind: kind.in_words())
@given(value=ANY)
def test_raw_forms(kind: Any, value: Any) -> None:
    quick = kind.quick_raw()
    if quick is not None and (raw := quick(value)) is not None:
        assert outcome(lambda: raw) == outcome(kind.raw, value, "x")
    if kind.plain and type(value) is int and kind.low <= value <= kind.high:
        assert outcome(lambda: value) == outcome(kind.raw, value, "x")


@functools.cache
def usual(kind: Kind) -> Any:
    """Compile what gives the raw form of a value for which the kind has source; None for others."""
    forms, names = kind.usual_forms()
    known = {key: f"_{key}" for key in names}
    tests = [f"    if {test.format('x', **known)}: return {raw.format('x', **known)}," for test, raw in forms]
    return function(["def get(x):", *tests, "    return None"], {f"_{key}": one for key, one in names.items()}, "usual forms")


@pytest.mark.parametrize("kind", [*NUMBERS, *TEXTS, *BYTES, *CODED], ids=lambda kind: kind.in_words())
@given(value=ANY | st.floats() | st.floats(width=16) | st.binary(max_size=9))
def test_forms_that_are_usual(kind: Any, value: Any) -> None:
    if found := usual(kind)(value):
        assert outcome(lambda: found[0]) == outcome(kind.raw, value, "x")


def slowly(kind: Any, data: bytes) -> tuple[int, int] | None:
    """Return the number that stands at the beginning of some bytes, and where it ends, by what the kinds say of themselves."""
    if isinstance(kind, Prefixed):
        which = data[0] >> 8 - kind.prefix if data else 99
        if which >= len(kind.sizes) or len(data) < (end := kind.sizes[which]):
            return None
        number = int.from_bytes(data[:end], "big") & (1 << 8 * end - kind.prefix) - 1
    else:
        groups = [*itertools.takewhile(lambda byte: byte > 127, data)]
        groups = [byte & 127 for byte in data[: len(groups) + 1]]
        end = len(groups)
        if not groups or data[end - 1] > 127 or end > kind.most:
            return None
        number = sum(group << 7 * n for n, group in enumerate(groups[::-1] if kind.high_first else groups))
        if kind.zigzag:
            number = -(number + 1) // 2 if number & 1 else number // 2
        elif kind.signed and number >> 7 * end - 1:
            number -= 1 << 7 * end
    if not kind.low <= number <= kind.high:
        return None
    return (number if end == kind.least(number) else Spelled(number, end)), end


@pytest.mark.parametrize("kind", [one for one in CODED if isinstance(one, Varint | Prefixed)], ids=lambda kind: kind.in_words())
@given(data=st.binary(max_size=12), before=st.binary(max_size=3), after=st.binary(max_size=3))
def test_coded_numbers(kind: Any, data: bytes, before: bytes, after: bytes) -> None:
    found = kind.read(before + data + after, len(before), len(before + data))
    slow = slowly(kind, data)
    assert outcome(lambda: found) == outcome(lambda: slow and (slow[0], slow[1] + len(before)))
    if slow is not None:
        assert kind.write(slow[0]) == kind.packed(int(slow[0]), slow[1]) == data[: slow[1]]


@pytest.mark.parametrize("kind", CODED, ids=lambda kind: kind.in_words())
@given(value=ANY)
def test_what_is_written_is_read(kind: Any, value: Any) -> None:
    try:
        raw = kind.raw(value, "x")
    except BuildError:
        return
    data = kind.write(raw)
    assert eval(kind.written.format("raw", write="kind.write"), {"raw": raw, "kind": kind}) == data
    assert outcome(kind.read, data, 0, len(data)) == outcome(lambda: (raw, len(data)))


@functools.cache
def reading(kind: Kind) -> Any:
    """Compile the lines that read a value where they stand in what reads a header; None where the kind has none."""
    lines, names = kind.quick_read() or ([], {})  # type: ignore[attr-defined]
    filled = [line.format(v="v", pos="pos", limit="limit", away="return None", **{word: word for word in names}) for line in lines]
    return function(["def get(data, pos, limit):", *("    " + line for line in filled), "    return v, pos"], names, "quick read") if lines else None


@pytest.mark.parametrize("kind", [one for one in CODED if isinstance(one, Varint | SizedInt)], ids=lambda kind: kind.in_words())
def test_coded_numbers_of_few_bytes_in_place(kind: Any) -> None:
    quick, first = reading(kind), 128 if kind.single else 0  # a single byte is read before
    assert quick is not None or not kind.single or kind.most == 1
    starts = [one for one in (0, 1, 127, 128, 129, 130, 191, 192, 254, 255) if one >= first] if quick else []
    for head, second, more in itertools.product(starts, range(256), (b"", b"\0", b"\1", b"\x7f\7", b"\x80\0", b"\x80\1", b"\xff" * 9)):
        data = bytes((9, head, second)) + more
        for limit in {2, 3, len(data)}:
            assert outcome(quick, data, 1, limit) == outcome(kind.read, data, 1, limit), (data, limit)


@given(data=st.text("0123456789 -+", max_size=21), width=st.none() | st.integers(1, 21), signed=st.booleans())
def test_digits(data: str, width: int | None, signed: bool) -> None:
    kind = DigitsKind(width=width, signed=signed)
    found = kind.parsed(data.encode())
    if not re.fullmatch(" *[+-]?[0-9]+ *", data) or not kind.low <= int(data) <= kind.high:
        assert found is None
    else:
        sign = "-" * (int(data) < 0)
        assert found == int(data) and (type(found) is int) == (data == sign + str(abs(int(data))).zfill((width or 0) - len(sign)))
        assert found is not None and kind.write(found) == data.encode()


@given(value=st.lists(ANY, max_size=4) | st.lists(st.integers(-9, 17), max_size=20) | st.lists(st.integers(-9, 17), max_size=20).map(tuple) | ANY, signed=st.booleans())
def test_lists_of_bits(value: Any, signed: bool) -> None:
    kind = BitList(Int(4, signed=signed))
    quick = kind.quick_raw()
    if quick is not None and (raw := quick(value)) is not None:
        assert outcome(lambda: raw) == outcome(kind.raw, value, "x")
    usual = [*range(8)], (3, 7), range(7)
    assert quick is not None and [quick(one) for one in usual] == [tuple(one) for one in usual] and quick((True,)) is None


def test_usual_values_have_a_short_way() -> None:
    """The tests above say nothing of what has none."""
    assert [kind.quick_raw()(value) for kind, value in zip(NUMBERS[:3], (10.2, -3, 52.5), strict=True)] == [102, -3, 525_000_000]
    assert Time(32).quick_raw()(datetime(1970, 1, 2, tzinfo=UTC)) == 86400 and Duration(16).quick_raw()(timedelta(seconds=7)) == 7
    assert TextKind().quick_raw()("abc") == b"abc" and TextKind(enum=Verb).quick_raw()(Verb.GET) == b"GET"
    assert Delimited(TextKind(), b"\0").quick_raw()("abc") == b"abc" and UUIDKind().quick_raw()(uuid.UUID(int=5))[-1] == 5
    assert [usual(kind)(value) for kind, value in ((Float(32), 0.5), (Scaled(16, "1/10"), 1.5))] == [(0x3F000000,), (15,)]
    assert usual(TextKind(size=4, pad=b" "))("abc") == (b"abc ",) and usual(ByteString(2))(b"ab") == (b"ab",)
    assert usual(Delimited(TextKind(), b"\r\n"))("abc") == (b"abc",) and usual(Delimited(TextKind(), b"aa"))("abc") is None
    assert all(map(compiled, [*NUMBERS[:7], *NUMBERS[9:19], TEXTS[0], TEXTS[3], *BYTES]))


@pytest.mark.parametrize("base", [2, 8, 10, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("width", [None, 1, 3])
def test_a_number_in_digits_is_written_as_it_was_read(base: int, signed: bool, width: int | None) -> None:
    kind = DigitsKind(base, width, signed, upper=base == 16)
    for letters in itertools.chain.from_iterable(itertools.product("-+0 17aF", repeat=size) for size in range(5)):
        spelled = "".join(letters)
        try:
            number = int(spelled.replace(" ", ""), base) if spelled.strip(" ") == spelled.replace(" ", "") else None
        except ValueError:
            number = None
        found = kind.parsed(spelled.encode())
        assert found == (number if number is not None and kind.low <= number <= kind.high else None), spelled
        if found is not None and number is not None:
            assert kind.spell(found) == spelled.encode()
            plain = ("-" * (number < 0) + format(abs(number), {2: "b", 8: "o", 10: "d", 16: "X"}[base]).zfill((width or 0) - (number < 0))).encode()
            assert (type(found) is int) == (plain == spelled.encode()) and kind.spell(number) == plain
