"""Values that users see in another form than the packed one: floats, scaled numbers, times, UUIDs, BCD, text, digits, delimiters.

Bytes, and what is said of them, are held against struct, uuid, datetime, fractions and codecs, and any bytes come back.
"""

from __future__ import annotations

import math
import pickle
import struct
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import Annotated, Any

import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    F16,
    F32,
    F64,
    GUID,
    U8,
    UUID,
    BuildError,
    Bytes,
    DeclareError,
    Digits,
    Ether,
    F16le,
    F32le,
    F64le,
    Header,
    HexDigits,
    Named,
    NTPShort,
    NTPTime,
    Rest,
    Text,
    UnixTime,
    UnixTime64,
    UnixTimeMs,
    UnixTimeNs,
    auto,
    bcd,
    bindings,
    digits,
    dissect,
    duration,
    ended,
    field,
    many,
    raw,
    scaled,
    size_of,
    sized,
    text,
    timestamp,
    when,
)  # fmt: skip
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from tests.conftest import amount

TYPE = 0x88B5


class Method(StrEnum):
    GET = "GET"
    POST = "POST"


class Status(IntEnum):
    OK = 200
    NOT_FOUND = 404


def one(annotation: Any, default: Any = None) -> Any:
    """Return a header with one such field, `x`."""

    class Box(Header):
        x: annotation = default  # type: ignore[valid-type]

    return Box


def body(packet: Any) -> bytes:
    return bytes(packet)[14:]


def came_back(box: Any, value: Any) -> Any:
    """Return the value that a packet with `value` reads back as; it has no fault, and is the packet that was built."""
    packet = box(x=value) / b""
    read = dissect(bytes(packet), box)
    assert read == packet and not read.faults and bytes(read) == bytes(packet) == read.encode()
    return read[box].x


# Floats --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "annotation, letter", [(F16, ">e"), (F32, ">f"), (F64, ">d"), (F16le, "<e"), (F32le, "<f"), (F64le, "<d")]
)
@given(st.data())
@settings(max_examples=amount(40, 400), deadline=None)
def test_a_float_is_what_struct_says_and_its_bits_are_kept(annotation: Any, letter: str, data: Any) -> None:
    width = struct.calcsize(letter)
    wire = data.draw(st.binary(min_size=width, max_size=width))
    with bindings():
        box = one(annotation, 0.5)
        read = dissect(wire, box)
        (expected,) = struct.unpack(letter, wire)
        assert math.isnan(expected) if math.isnan(read[box].x) else read[box].x == expected
        assert math.copysign(1, read[box].x) == math.copysign(1, expected) or math.isnan(expected)
        assert not read.faults and bytes(read) == wire == read.encode()
        bits = int.from_bytes(wire, "little" if letter[0] == "<" else "big")
        assert body(Ether() / box(x=raw(bits))) == wire
        if not math.isnan(expected):
            assert body(Ether() / box(x=read[box].x)) == wire


def test_a_float_that_is_none_of_its_width_is_rounded_or_refused() -> None:
    with bindings():
        box = one(F32, 0.0)
        assert came_back(box, 0.1) == struct.unpack(">f", struct.pack(">f", 0.1))[0]
        assert came_back(box, "0.1") == came_back(box, Fraction(1, 10)) == came_back(box, Decimal("0.1"))
        assert came_back(box, 7) == 7.0 and came_back(box, math.inf) == math.inf
        assert str((Ether() / box(x=0.1)).why(box, "x")).startswith("Box.x = 0.1  (given)")
        for wrong in (1e39, "x", b"x", [1], True, 10**400):
            with pytest.raises(BuildError, match=r"Box\.x: expected a number that a float of 32 bits holds"):
                box(x=wrong)
        with pytest.raises(DeclareError, match="a number field"), bindings():

            class Bad(Header):
                x: F32 = 0.0
                y: U8 = auto(field("x"))


# Scaled numbers ------------------------------------------------------------------------------------------------------

SCALES = [Fraction(1, 256), Fraction(1, 10), Fraction(-1, 3), Fraction(7), Fraction(1, 65536), Fraction("0.0001")]


@given(st.sampled_from([8, 12, 16, 24, 32, 40]), st.sampled_from(SCALES), st.booleans(), st.integers(-400, 400), st.data())
@settings(max_examples=amount(100, 1000), deadline=None)
def test_a_scaled_number_comes_back_exactly(bits: int, scale: Fraction, signed: bool, offset: int, data: Any) -> None:
    kind = scaled(bits, scale, offset=offset, signed=signed)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    number = data.draw(st.integers(low, high))
    exact = number * scale + offset
    for wanted, same in ((float, float(exact)), (Fraction, exact)):
        typed: Any = kind.typed(wanted, "Box.x")
        assert typed.value(number) == same and type(typed.value(number)) is wanted
        assert typed.raw(typed.value(number), "") == number == typed.raw(typed.words_of(number), "")
        # The bounds of filters: the nearest number on either side.
        between = exact + abs(scale) / data.draw(st.integers(2, 9))
        if number not in (low, high):
            step = 1 if scale > 0 else -1
            assert typed.edge(between, "", up=False) == number and typed.edge(between, "", up=True) == number + step
            assert typed.edge(exact, "", up=True) == typed.edge(exact, "", up=False) == number


def test_scaled_numbers_share_bytes_and_rules_go_by_the_raw_one() -> None:
    with bindings():

        class Report(Header, under=Ether, when={"type": TYPE}):
            speed: Annotated[float, scaled(10, 0.1, unit="kn")] = 10.2
            words: Annotated[int, scaled(6, 4, unit="bytes")] = 8
            heading: Annotated[float, scaled(16, Fraction(360, 1 << 16), unit="deg", little=True)] = 90
            note: U8 | None = when(field("speed") == 1023, 7)

        wire = body(Ether() / Report())
        assert wire == ((102 << 6) | 2).to_bytes(2, "big") + (0x4000).to_bytes(2, "little")
        read = dissect(bytes(Ether() / Report(speed=102.3, heading=359.99)))
        assert read[Report].speed == 102.3 and read[Report].note == 7 and read[Report].words == 8
        assert "102.3 kn (1023)" in str(read.show()) and "90 deg (16384)" in str((Ether() / Report()).show())
        assert body(Ether() / Report(speed=raw(7)))[:2] == ((7 << 6) | 2).to_bytes(2, "big")
        for wrong, words in ((102.4, "0 kn to 102.3 kn"), (-1, "0 kn"), ("fast", "a number of kn"), (math.nan, "kn")):
            with pytest.raises(BuildError, match=rf"Report\.speed: expected .*{words}"):
                Report(speed=wrong)
        with pytest.raises(BuildError, match=r"Report\.speed: expected 0\.\.1023, got 1024"):
            Report(speed=raw(1024))


@pytest.mark.parametrize(
    "annotation, complaint",
    [
        (lambda: Annotated[float, scaled(64, Fraction(1, 65536))], "a float tells apart.*Fraction"),
        (lambda: Annotated[int, scaled(16, "1/2")], "a scale and an offset that are whole"),
        (lambda: Annotated[Decimal, scaled(16, "1/3")], "Fraction, scaled"),
        (lambda: Annotated[float, scaled(16, 0)], "a scale that is not 0"),
        (lambda: Annotated[float, scaled(16, "x")], "a number, as 0.5"),
        (lambda: Annotated[float, scaled(65, 1)], "1 to 64 bits"),
        (lambda: Annotated[str, scaled(16, 1)], r"Annotated\[float, scaled"),
        (lambda: Annotated[float, timestamp(32)], r"Annotated\[datetime, timestamp"),
        (lambda: Annotated[datetime, timestamp(32, unit=0)], "a unit of more than 0"),
        (lambda: Annotated[datetime, timestamp(32, epoch=datetime(1970, 1, 1))], "with a time zone"),
        (lambda: Annotated[datetime, timestamp(32, since="2200-01-01")], "a time of the first era"),
        (lambda: Annotated[str, bcd(7)], "an even number of digits"),
        (lambda: Annotated[str, bcd(7, filler=3)], "no digit"),
        (lambda: Annotated[float, bcd(8)], r"Annotated\[str, bcd"),
        (lambda: Annotated[str, text("nonsense")], "an encoding that Python knows"),
        (lambda: Annotated[str, text("utf-16")], "utf-16-le or utf-16-be"),
        (lambda: Annotated[str, text("base64")], "an encoding"),
        (lambda: Annotated[str, text("utf-16-le", size=3)], "whole letters"),
        (lambda: Annotated[str, text(pad=b" ")], "a size that they fill up"),
        (lambda: Annotated[Named[Status], text()], "texts in Status"),
        (lambda: Annotated[Named[Method], text("ascii", size=3)], "members that are"),
        (lambda: Annotated[int, digits(base=1)], "2 to 36"),
        (lambda: Annotated[Named[Method], digits(width=3)], "an IntEnum"),
        (lambda: Digits, r"none \(or ended"),
        (lambda: Text, "a size: sized"),
        (lambda: float, "F16, F32, F64"),
        (lambda: str, r"Text = sized"),
        (lambda: datetime, "UnixTime"),
        (lambda: timedelta, "duration"),
        (lambda: uuid.UUID, "UUID and GUID of packetlab"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_at_the_class(annotation: Callable[[], Any], complaint: str) -> None:
    with pytest.raises(DeclareError, match=complaint), bindings():

        class Wrong(Header):
            x: annotation()  # type: ignore[valid-type]


@pytest.mark.parametrize(
    "annotation, given, complaint",
    [
        (U8, lambda: ended(b"\0"), "a right-hand side that suits a number"),
        (Rest, lambda: ended(b"\0"), "ended"),
        (Annotated[str, text("ascii", size=4)], lambda: ended(b"\0"), "suits text"),
        (Annotated[str, text("ascii", size=4)], lambda: sized(field("n")), "suits text"),
        (Text, lambda: ended(b""), "a delimiter of 1 to 64 bytes"),
        (Text, lambda: ended("x"), "a delimiter of 1 to 64 bytes"),  # type: ignore[arg-type]
        (Annotated[str, text("utf-16-le")], lambda: ended(b"\0"), "of whole letters"),
        (Bytes, lambda: ended(b"\n", b"a\nb"), "without b'.n' in it"),
        (Annotated[int, digits()], lambda: ended(b"7", 17), "without b'7'"),
        (Text, lambda: sized(4), "text.size=n."),
    ],
)  # fmt: skip
def test_ends_that_make_no_sense_are_refused_at_the_class(annotation: Any, given: Any, complaint: str) -> None:
    with pytest.raises(DeclareError, match=complaint), bindings():

        class Wrong(Header):
            n: U8 = 0
            x: annotation = given()  # type: ignore[valid-type]


# Times ---------------------------------------------------------------------------------------------------------------

FILETIME = Annotated[datetime, timestamp(64, epoch=datetime(1601, 1, 1, tzinfo=UTC), unit=Fraction(1, 10**7))]


@pytest.mark.parametrize(
    "annotation", [NTPTime, UnixTime, UnixTime64, UnixTimeMs, UnixTimeNs, FILETIME, NTPShort,
                   Annotated[timedelta, duration(16, unit="0.004", little=True)]],
    ids=["ntp", "unix", "unix64", "ms", "ns", "filetime", "short", "ticks"],
)  # fmt: skip
@given(st.data())
@settings(max_examples=amount(30, 300), deadline=None)
def test_times_come_back_to_the_bit_also_from_the_values_they_were_shown_as(annotation: Any, data: Any) -> None:
    with bindings():
        box = one(annotation, raw(0))
        size = box._by_name["x"].kind.bits // 8
        wire = data.draw(st.binary(min_size=size, max_size=size))
        read = dissect(wire, box)
        value = read[box].x
        assert bytes(box(x=value)) == wire == bytes(read) and not read.faults
        assert isinstance(value, datetime | timedelta) and pickle.loads(pickle.dumps(value)) == value
        assert eval(repr(read[box]), {"Box": box, "raw": raw}) == read[box]


def test_times_are_those_of_the_documents() -> None:
    with bindings():
        box = one(NTPTime, raw(0))
        # RFC 5905 figure 4: the last second of era 0, the first of era 1; RFC 868's 1970.
        for number, expected in (
            (2208988800 << 32, datetime(1970, 1, 1, tzinfo=UTC)),
            ((1 << 64) - (1 << 32), datetime(2036, 2, 7, 6, 28, 15, tzinfo=UTC)),
            (0, datetime(2036, 2, 7, 6, 28, 16, tzinfo=UTC)),
        ):
            assert came_back(box, raw(number)) == expected, number
            assert body(Ether() / box(x=expected)) == number.to_bytes(8, "big")
        file = one(FILETIME, raw(0))
        assert came_back(file, raw(116444736000000000)) == datetime(1970, 1, 1, tzinfo=UTC)
        short = one(NTPShort, raw(0))
        assert came_back(short, raw(0x00018000)) == timedelta(seconds=1.5)


def test_a_time_is_given_as_datetime_or_text_and_knows_more_than_microseconds() -> None:
    with bindings():
        box = one(UnixTimeNs, "2024-01-01T00:00:00.123456789Z")
        moment = came_back(box, "2024-01-01T00:00:00.123456789Z")
        near = datetime(2024, 1, 1, 0, 0, 0, 123456, UTC)
        assert moment == box().x and moment != near and moment > near and moment.replace(microsecond=0).year == 2024
        assert str(moment) == "2024-01-01T00:00:00.123456789Z" and moment.exact.denominator == 10**9
        assert came_back(box, near) == near and hash(came_back(box, near)) == hash(near)
        east = datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
        assert came_back(box, east) == east == came_back(box, "2024-01-01") == came_back(box, "2024-01-01T02:00+02:00")
        for wrong in (datetime(2024, 1, 1), "soon", 5, "2024-13-01", datetime(1960, 1, 1, tzinfo=UTC)):
            with pytest.raises(BuildError, match=r"Box\.x"):
                box(x=wrong)
        assert came_back(box, raw((1 << 64) - 1)).year == 2554


# UUID, BCD -----------------------------------------------------------------------------------------------------------


def test_uuids_are_those_of_the_standard_library() -> None:
    with bindings():
        box, guid = one(UUID, raw(bytes(16))), one(GUID, raw(bytes(16)))

        @given(st.uuids())
        @settings(max_examples=amount(20, 200), deadline=None)
        def are_those(value: uuid.UUID) -> None:
            assert came_back(box, value) == value == came_back(guid, str(value))
            assert body(Ether() / box(x=value)) == value.bytes and body(Ether() / guid(x=value)) == value.bytes_le

        are_those()
        with pytest.raises(BuildError, match="a UUID"):
            box(x="7")


def test_packed_digits() -> None:
    """TBCD: 3GPP TS 29.002 has an IMSI of 15 digits with ones at its end; RFC-like meters have eight digits as they are."""
    with bindings():
        imsi, meter = one(Annotated[str, bcd(15, swapped=True, filler=15)], ""), one(Annotated[int, bcd(8)], 0)
        plain = one(Annotated[str, bcd(8)], "00000000")
        assert came_back(imsi, "262011234567890") == "262011234567890"
        assert body(Ether() / imsi(x="262011234567890")) == bytes.fromhex("62021132547698f0")
        assert came_back(imsi, "12345") == "12345" and body(Ether() / imsi(x="12345")) == bytes.fromhex("2143f5" + "ff" * 5)
        assert came_back(meter, 42) == 42 and came_back(plain, "00000042") == "00000042"
        assert body(Ether() / meter(x=42)) == bytes.fromhex("00000042")
        read = dissect(bytes.fromhex("0000004a"), plain)
        assert str(read.faults[0]).startswith("Box.x: expected 8 decimal digits") and bytes(read).hex() == "0000004a"
        for box, wrong in ((imsi, "1234567890123456"), (imsi, "12a"), (plain, "42"), (meter, 10**8), (meter, -1), (plain, b"1")):
            with pytest.raises(BuildError, match=r"Box\.x"):
                box(x=wrong)


# Text ----------------------------------------------------------------------------------------------------------------


@given(st.text(max_size=20), st.sampled_from(["utf-8", "utf-16-le", "utf-32-be", "latin-1", "cp037", "shift_jis"]))
@settings(max_examples=amount(60, 600), deadline=None)
def test_text_is_what_the_codec_says(words: str, encoding: str) -> None:
    with bindings():

        class Box(Header, under=Ether, when={"type": TYPE}):
            n: U8 = auto(size_of("x"))
            x: Annotated[str, text(encoding)] = ""
            end: U8 = 1

        try:
            wire = words.encode(encoding)
        except UnicodeEncodeError:
            with pytest.raises(BuildError, match=r"Box\.x: expected text that .* can carry"):
                Box(x=words)
            return
        assert body(Ether() / Box(x=words)) == bytes([len(wire)]) + wire + b"\1"
        if wire.decode(encoding) == words:
            assert came_back(Box, words) == words


@given(st.binary(max_size=12), st.sampled_from(["utf-8", "utf-16-le", "ascii", "utf-7"]))
@settings(max_examples=amount(60, 600), deadline=None)
def test_what_is_no_text_is_a_fault_and_the_same_bytes_when_given_again(data: bytes, encoding: str) -> None:
    with bindings():

        class Box(Header, under=Ether, when={"type": TYPE}):
            n: U8 = auto(size_of("x"))
            x: Annotated[str, text(encoding)] = ""

        wire = bytes([len(data)]) + data
        read = dissect(bytes(Ether(type=TYPE)) + wire)
        try:
            expected: Any = data.decode(encoding)
        except UnicodeError:
            expected = None
        assert bool(read.faults) is (expected is None) and body(read) == wire
        assert expected is None or read[Box].x == expected
        assert isinstance(read[Box].x, str) and body(Ether() / Box(x=read[Box].x)) == wire
        assert body(Ether() / Box(x=pickle.loads(pickle.dumps(read[Box].x)))) == wire
        assert eval(repr(read[Box]), {"Box": Box, "raw": raw}) == read[Box]


def test_padded_text() -> None:
    with bindings():
        box = one(Annotated[str, text("ascii", size=8, pad=b"\0")], "")
        spaces = one(Annotated[str, text("utf-16-be", size=8, pad=b"\0 ")], "")
        assert came_back(box, "box") == "box" and body(Ether() / box(x="box")) == b"box\0\0\0\0\0"
        assert came_back(box, "") == "" and came_back(box, "12345678") == "12345678"
        assert came_back(spaces, "ab") == "ab" and body(Ether() / spaces(x="ab")) == b"\0a\0b\0 \0 "
        assert came_back(box, b"a\0b\0\0\0\0\0") == "a\0b"
        with pytest.raises(BuildError, match=r"Box\.x: expected text of up to 8 bytes, got 9 bytes"):
            box(x="123456789")


def test_enums_of_text_and_of_digits() -> None:
    with bindings():

        class Line(Header, under=Ether, when={"type": TYPE}):
            method: Annotated[Named[Method], text("ascii")] = ended(b" ", Method.GET)
            status: Annotated[Named[Status], digits(width=3)] = Status.OK

        assert body(Ether() / Line()) == b"GET 200"
        read = dissect(bytes(Ether() / Line(method="PUT", status=404)))
        assert read[Line].method == "PUT" and read[Line].status is Status.NOT_FOUND
        assert dissect(bytes(Ether() / Line(method="POST", status="not_found")))[Line].method is Method.POST
        assert dissect(bytes(Ether() / Line(status=299)))[Line].status == 299
        assert "OK (200)" in str((Ether() / Line()).show())


# Delimiters and digits -----------------------------------------------------------------------------------------------


@given(st.binary(max_size=12), st.sampled_from([b"\r\n", b"\0", b"aa", b"\r\n\r\n"]))
@settings(max_examples=amount(60, 600), deadline=None)
def test_a_value_ends_with_the_first_delimiter(data: bytes, delimiter: bytes) -> None:
    with bindings():

        class Box(Header, under=Ether, when={"type": TYPE}):
            x: Bytes = ended(delimiter, b"")
            end: U8 = 1

        at = (data + delimiter).find(delimiter)
        if at == len(data):
            assert came_back(Box, data) == data and body(Ether() / Box(x=data)) == data + delimiter + b"\1"
        else:
            with pytest.raises(BuildError, match=r"Box\.x: expected a value without"):
                Box(x=data)
        read = dissect(bytes(Ether(type=TYPE)) + data)
        assert body(read) == data and (delimiter in data or read.faults or not data)
        if data and delimiter not in data:
            assert str(read.faults[0]).startswith(f"Box.x: expected bytes up to {delimiter!r} at offset 14")


def test_a_wide_delimiter_begins_at_a_letter() -> None:
    with bindings():

        class Box(Header, under=Ether, when={"type": TYPE}):
            x: Annotated[str, text("utf-16-be")] = ended(b"\0\0", "")

        # "Ā" is 01 00, so 00 00 lies across two letters of "Āa".
        assert came_back(Box, "Āa\u0100") == "Āa\u0100"


def test_a_line_of_a_request_and_a_body_whose_size_is_written_in_digits() -> None:
    with bindings():

        class Bulk(Header, under=Ether, when={"type": TYPE}):
            kind: Bytes = ended(b":", b"$")
            length: Digits = ended(b"\r\n", auto(size_of("data")))
            data: Bytes = sized(field("length"), b"")
            crlf: Annotated[bytes, pl.fixed_bytes(2)] = pl.const(b"\r\n")

        assert body(Ether() / Bulk(data=b"hello")) == b"$:5\r\nhello\r\n"
        for spelled in ("5", "05", "+5", " 5", "5 ", "\t5", " \t5\t", "0000000005"):
            wire = bytes(Ether(type=TYPE)) + f"$:{spelled}\r\nhello\r\n".encode()
            read = dissect(wire)
            assert read[Bulk].data == b"hello" and read[Bulk].length == 5 and not read.faults
            assert bytes(read) == wire and read[Bulk] == Bulk(data=b"hello")
            assert "agrees with the rule" in str(read.why(Bulk, "length"))
            assert body(Ether() / Bulk(length=spelled, data=b"hello")) == wire[14:]
        longer = dissect(bytes(Ether(type=TYPE)) + b"$:05\r\nhello\r\n").replace(Bulk, data=b"hi there")
        assert body(longer) == b"$:08\r\nhi there\r\n"  # as many zeros in front as there were
        for wrong in (b"x", b"-1", b"", b"5_0", b"1" * 21, b"\xd9\xa5"):
            read = dissect(bytes(Ether(type=TYPE)) + b"$:" + wrong + b"\r\nhello\r\n")
            assert str(read.faults[0]).startswith("Bulk.length: expected digits up to b'\\r\\n'"), wrong
            assert body(read) == b"$:" + wrong + b"\r\nhello\r\n"


def test_digits_in_other_bases_and_widths() -> None:
    with bindings():
        for kind, number, spelled in (
            (digits(width=6), 42, b"000042"), (digits(16, width=4), 0xBEEF, b"beef"), (digits(8, width=7), 0o644, b"0000644"),
            (digits(width=5, signed=True), -42, b"-0042"),
        ):  # fmt: skip
            box = one(Annotated[int, kind], 0)
            assert came_back(box, number) == number and body(Ether() / box(x=number)) == spelled
        box = one(Annotated[int, digits(16, width=4)], 0)
        read = dissect(b"BEEF", box)
        assert read[box].x == 0xBEEF and bytes(read) == b"BEEF"
        for wrong in (1 << 16, -1, "fffff", "g", 1.5):
            with pytest.raises(BuildError, match=r"Box\.x: expected 0\.\.65535, in 4 digits, base 16"):
                box(x=wrong)

        class Chunk(Header, under=Ether, when={"type": TYPE}, payload_size=field("size")):
            size: HexDigits = ended(b"\r\n", auto(size_of("payload")))

        read = dissect(bytes(Ether(type=TYPE)) + b"1A\r\n" + b"x" * 26 + b"rest")
        assert read.payload == b"x" * 26 and read.trailer == b"rest" and read[Chunk].size == 26


def test_lines_up_to_a_blank_one() -> None:
    with bindings():

        class HeaderLine(Header):
            line: Text = ended(b"\r\n", "")

        class Request(Header, under=Ether, when={"type": TYPE}):
            method: Annotated[Named[Method], text("ascii")] = ended(b" ", Method.GET)
            target: Text = ended(b" ", "/")
            version: Text = ended(b"\r\n", "HTTP/1.1")
            lines: tuple[HeaderLine, ...] = many(until=size_of("line") == 2, value=(HeaderLine(),))

        packet = Ether() / Request(lines=[HeaderLine(line="Host: a"), HeaderLine()]) / b"body"
        assert body(packet) == b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody"
        for _ in range(20):
            read = dissect(bytes(packet))
            assert read == packet and [one.line for one in read[Request].lines] == ["Host: a", ""]
            assert read.payload == b"body" and not read.faults
        assert body(Ether() / Request()) == b"GET / HTTP/1.1\r\n\r\n"


# All of them at once -------------------------------------------------------------------------------------------------

KINDS: list[Any] = [
    F16, F32, F64le, Annotated[float, scaled(16, "0.1")], Annotated[Fraction, scaled(64, "1/65536", signed=True)],
    NTPTime, UnixTime, NTPShort, UUID, GUID, Annotated[str, bcd(6)], Annotated[str, bcd(5, swapped=True, filler=15)],
    Annotated[str, text("ascii", size=4, pad=b" ")], Annotated[str, text("utf-16-le", size=4)], Annotated[int, digits(width=3)],
    (Text, b"\r\n"), (Bytes, b"\0"), (Digits, b" "), (Annotated[str, text("utf-16-le")], b"\0\0"), U8,
]  # fmt: skip


@st.composite
def declared(draw: Any) -> Any:
    """Draw a header of such fields, some of them optional."""
    space: dict[str, Any] = {"__annotations__": {"flag": U8}, "flag": 1, "__module__": __name__}
    for number, drawn in enumerate(draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))):
        annotation, delimiter = drawn if isinstance(drawn, tuple) else (drawn, None)
        name = f"f{number}"
        space["__annotations__"][name] = annotation
        spec: Any = pl.default(None) if delimiter is None else ended(delimiter)
        if draw(st.booleans()):
            space[name] = when(field("flag") & 1, *([] if delimiter is None else [spec]))
        elif delimiter is not None:
            space[name] = spec
    return type(Header)("Drawn", (Header,), space, under=Ether, when={"type": TYPE})


@given(st.data())
@settings(max_examples=amount(60, 800), deadline=None)
def test_whatever_is_declared_comes_back(data: Any) -> None:
    with bindings():
        drawn = data.draw(declared())
        header = data.draw(pl.strategies.headers(drawn))
        packet = Ether() / header / data.draw(st.binary(max_size=4))
        read = dissect(bytes(packet))
        assert read == packet and bytes(read) == bytes(packet) == read.encode() and not read.faults
        anything = data.draw(st.binary(max_size=60) | st.just(body(packet)).flatmap(damaged))
        wire = bytes(Ether(type=TYPE)) + anything
        read = dissect(wire)
        assert bytes(read) == wire == read.encode()
        # The compiled reader and the careful one agree, in values, places and faults.
        compiled, careful = Dissection(), Dissection()
        one, *places = drawn._decode(anything, 0, len(anything), compiled)
        other, *others = walk(drawn._declaration, anything, 0, len(anything), careful)
        assert one == other and places == others and compiled.faults == careful.faults


def damaged(wire: bytes) -> Any:
    return st.tuples(st.integers(0, max(0, len(wire) - 1)), st.integers(0, 255)).map(
        lambda change: wire[: change[0]] + bytes([change[1]]) + wire[change[0] + 1 :]
    )


HUNDREDTHS = [Annotated[user, scaled(16, scale, signed=True)] for user in (float, Decimal) for scale in (0.01, -0.01)]
BOUNDS = [
    *((kind, number / 100, 0.01) for kind in HUNDREDTHS for number in range(-320, 320)),
    *((Annotated[float, scaled(8, 0.1, offset=-5)], number / 10, 0.1) for number in range(-49, 100)),
    *((NTPTime, datetime(2024, 1, 1, 0, 0, 0, n, UTC), timedelta(microseconds=1)) for n in range(1, 1000000, 9973)),
    *((Annotated[timedelta, duration(32, unit=Fraction(1, 1 << 26))], timedelta(microseconds=n), timedelta(microseconds=1))
      for n in range(1, 1000000, 9973)),
    *((Annotated[timedelta, duration(32, unit="0.001")], n / 1000, 0.001) for n in range(1, 300)),
]  # fmt: skip


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 16])
def test_both_ends_of_between_are_included_wherever_a_value_is_just_there(every: int) -> None:
    bounds: dict[Any, list[Any]] = {}
    for kind, bound, step in BOUNDS[::every]:
        bounds.setdefault(kind, []).append((bound, step))
    for kind, some in bounds.items():
        with bindings():
            box: Any = one(kind, "2024-01-01" if kind is NTPTime else 0)
            for bound, step in some:
                packet = Ether() / box(x=str(bound) if isinstance(bound, float) else bound)
                for low, high in ((bound, bound), (bound, bound + 9 * step), (bound - step, bound)):
                    assert box(x=pl.between(low, high)).matches(packet), (kind, low, high)
                assert box(x=pl.one_of(bound)).matches(packet) and not box(x=pl.between(bound + step, bound + 9 * step)).matches(packet)


def test_a_bound_beside_a_value_leaves_it_out() -> None:
    with bindings():
        box: Any = one(HUNDREDTHS[0], 0)
        packet = Ether() / box(x=0.29)
        assert not box(x=pl.between(0.294, 0.31)).matches(packet) and not box(x=pl.between(0.1, 0.286)).matches(packet)
        with pytest.raises(BuildError, match="no value of the field lies between them"):
            box(x=pl.between(0.292, 0.298))
