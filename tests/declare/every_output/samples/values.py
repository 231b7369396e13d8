"""Coded numbers and views of values (M3, M5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import Annotated

from packetlab import (
    F16,
    F64,
    GUID,
    S16,
    U8,
    UUID,
    BERLength,
    Bytes,
    Digits,
    EndedBytes,
    EndedText,
    Ether,
    F32le,
    Header,
    MQTTInt,
    Named,
    NTPShort,
    NTPTime,
    QuicInt,
    SignedVarInt,
    Spelled,
    Text,
    UnixTimeMs,
    VarInt,
    ZigZagInt,
    auto,
    bcd,
    ber_integer,
    ber_length,
    const,
    digits,
    ended,
    field,
    must,
    prefixed,
    raw,
    scaled,
    size_of,
    sized,
    sized_int,
    text,
    timestamp,
    varint,
    when,
)
from tests.declare.every_output.sample import Sample


class RowMethod(StrEnum):
    GET = "GET"
    POST = "POST"


class RowState(IntEnum):
    IDLE = 1
    BUSY = 300


class RowVarInt(Header, under=Ether, when={"type": 0x7C11}):
    size: VarInt = auto(size_of("text"))
    text: Bytes = b""
    signed: SignedVarInt = 0
    end: U8 = 7


class RowZigZag(Header, under=Ether, when={"type": 0x7C12}):
    delta: ZigZagInt = 0
    high: Annotated[int, varint(high_first=True, most=4)] = 0
    end: U8 = 7


class RowQuic(Header, under=Ether, when={"type": 0x7C13}):
    stream: QuicInt = 0
    short: Annotated[int, prefixed(bits=1, sizes=(1, 2))] = 0
    end: U8 = 7


class RowMQTT(Header, under=Ether, when={"type": 0x7C14}):
    kind: U8 = 0x30
    rest: MQTTInt = auto(size_of("self") - size_of("rest") - size_of("kind"))
    topic: Bytes = b""


class RowNamedNumber(Header, under=Ether, when={"type": 0x7C15}):
    state: Annotated[Named[RowState], varint()] = RowState.IDLE
    end: U8 = 7


class RowBER(Header, under=Ether, when={"type": 0x7C16}):
    length: BERLength = auto(size_of("value"))
    value: Annotated[int, ber_integer()] = sized(field("length"), 0)
    width: U8 = auto(size_of("number"))
    number: Annotated[int, sized_int(4)] = sized(field("width"), 0)


class RowShortest(Header, under=Ether, when={"type": 0x7DF1}):
    size: Annotated[int, varint(shortest=True)] = auto(size_of("data"))
    data: Bytes = sized(field("size"), b"")
    stream: Annotated[int, prefixed(shortest=True)] = 0
    length: Annotated[int, ber_length(shortest=True)] = auto(size_of("value"))
    value: Annotated[int, ber_integer(shortest=True)] = sized(field("length"), 0)


class RowNone(Header, under=Ether, when={"type": 0x7C17}):
    size: S16 = auto(size_of("data"))
    data: Bytes | None = sized(field("size"), none=-1)
    compact: VarInt = auto(size_of("key") + 1)
    key: Bytes | None = sized(field("compact") - 1, none=-1)


class RowScaled(Header, under=Ether, when={"type": 0x7C21}):
    speed: Annotated[float, scaled(10, 0.1, unit="kn")] = raw(1023)
    turn: Annotated[float, scaled(6, 1, signed=True)] = 0
    fixed: Annotated[float, scaled(32, Fraction(1, 65536), signed=True)] = 0
    note: U8 | None = when(field("speed") == 1023, 7)


class RowFloat(Header, under=Ether, when={"type": 0x7C22}):
    half: F16 = 0.0
    single: F32le = 0.0
    double: F64 = 0.0


class RowTime(Header, under=Ether, when={"type": 0x7C23}):
    sent: NTPTime = raw(0)
    delay: NTPShort = timedelta(0)
    logged: UnixTimeMs = raw(0)
    file: Annotated[datetime, timestamp(64, epoch="1601-01-01", unit=Fraction(1, 10**7), little=True)] = "2024-01-01"  # type: ignore[assignment]


class RowText(Header, under=Ether, when={"type": 0x7C24}):
    host: Annotated[str, text("ascii", size=8, pad=b"\0")] = "box"
    size: U8 = auto(size_of("name"))
    name: Text = ""
    wide: Annotated[str, text("utf-16-le")] = ended(b"\0\0", "")


class RowEnded(Header, under=Ether, when={"type": 0x7C25}):
    method: Annotated[Named[RowMethod], text("ascii")] = ended(b" ", RowMethod.GET)
    target: Text = ended(b"\r\n", "/")
    blob: Bytes = ended(b"\0", b"")


class RowSpaced(Header, under=Ether, when={"type": 0x7DF4}):
    name: Annotated[str, text("ascii")] = ended(b":", "Station")
    value: Annotated[str, text("ascii", space=b" ")] = ended(b"\r\n", "")
    length: Annotated[int, digits(space=b" ")] = ended(b"\r\n", 0)
    more: U8 | None = when(field("value") == "x", 1)


class RowEitherEnd(Header, under=Ether, when={"type": 0x7CE3}):
    line: Text = ended((b"\r\n", b"\n"), "")
    more: Bytes = ended((b"\0", b"\xff\0"), b"")
    end: U8 = 0


class RowDigits(Header, under=Ether, when={"type": 0x7C26}):
    status: Annotated[int, digits(width=3)] = 200
    length: Digits = ended(b"\r\n", auto(size_of("data")))
    data: Bytes = sized(field("length"), b"")


class RowIdentifiers(Header, under=Ether, when={"type": 0x7C27}):
    id: UUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"  # type: ignore[assignment]
    guid: GUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"  # type: ignore[assignment]
    meter: Annotated[int, bcd(8)] = 42
    phone: Annotated[str, bcd(5, swapped=True, filler=15)] = "12345"


class RowDecimals(Header, under=Ether, when={"type": 0x7C2B}):
    mark: Annotated[int, bcd(2)] = const(42)
    rate: Annotated[int, bcd(4, swapped=True)] = must(field("rate") < 5000, 7)
    kind: Annotated[int, bcd(4, swapped=True)] = 12
    state: Annotated[Named[RowState], bcd(4)] = RowState.IDLE
    extra: U8 | None = when(field("kind") == 200, 7)
    length: Annotated[int, bcd(4)] = auto(size_of("data"))
    data: Bytes = b""
    size: U8 = auto(size_of("imsi"))
    imsi: Annotated[str, bcd(swapped=True, filler=15)] = sized(field("size"), "")


OTHER_ID = "00112233-4455-6677-8899-aabbccddeeff"

ROWS = [
    Sample("M3", "LEB128, both signs", RowVarInt, [RowVarInt(text=b"x" * 130, signed=-300), RowVarInt(text=b"y", signed=Spelled(4, 3), end=1)], [
        ("8080808080808080808001", "size"), ("00 80", "signed"), ("05 61", "text"),
    ]),
    Sample("M3", "zigzag, high group first", RowZigZag, [RowZigZag(delta=-3, high=0x4000), RowZigZag(delta=70000, high=1)], [("ff", "delta"), ("00 ffffffffff", "high")]),
    Sample("M3", "numbers with a prefix, as QUIC's", RowQuic, [RowQuic(stream=70000, short=200), RowQuic(stream=4, short=3)], [("c000", "stream"), ("00 ff", "short")]),
    Sample("M3", "MQTT's numbers", RowMQTT, [RowMQTT(topic=b"x" * 130), RowMQTT(topic=b"a")], [("30 ffffffffff", "rest"), ("30 05 61", "rest")]),
    Sample("M3", "names for coded numbers", RowNamedNumber, [RowNamedNumber(state=RowState.BUSY), RowNamedNumber(state=77)], [("ff", "state")]),
    Sample("M3", "lengths and integers of BER", RowBER, [RowBER(value=-129, number=300), RowBER(value=0, number=0)], [("02 05", "value"), ("80", "length"), ("01 05 02 01", "number")]),
    Sample("also", "spaces and tabs around text", RowSpaced, [RowSpaced(value="x", length=7), RowSpaced(value=raw(b"\t\tab c "))], [
        ("61 3a 20 ff 0d 0a 20 37 0d 0a", "value"), ("61 3a 20 78 0d 0a 20 78 0d 0a", "length")]),
    Sample("also", "numbers in their shortest form alone", RowShortest, [RowShortest(data=b"ab", stream=70000), RowShortest(value=-129)], [
        ("80 00 00 01 00", "size"), ("00 40 04 01 00", "stream"), ("00 04 81 01 00", "length"), ("00 04 02 00 01", "value")]),
    Sample("M3", "a value that means none", RowNone, [RowNone(key=b"k"), RowNone(data=b"ab")], [("fffe", "data"), ("0003 61", "data"), ("ffff 05 61", "key")]),
    Sample("M5", "scaled and fixed point", RowScaled, [RowScaled(speed=10.2, turn=-3, fixed=1.5), RowScaled(fixed=-2)], [("ffc0 00000000", "note")]),
    Sample("M5", "floats", RowFloat, [RowFloat(half=-2.5, single=0.5, double=1e300), RowFloat(half=1, double=-0.0)], [("0000 00000000 00", "double")]),
    Sample("M5", "times and durations", RowTime, [
        RowTime(sent="2024-01-01T00:00:00.123456789Z", delay=timedelta(seconds=1.5), logged="2024-01-01T00:00:00.5Z"), RowTime(delay=timedelta(seconds=2)),
    ], [("0000000000000000 00", "delay")]),
    Sample("M5", "text", RowText, [RowText(host="lab", name="h\u00e9llo", wide="wide"), RowText(name="x")], [
        ("6c61620000000000 01 ff 0000", "name"), ("6c61620000000000 00 6100", "wide"), ("ff61620000000000 00 0000", "host"),
    ]),
    Sample("M5", "text up to a delimiter, an enum of texts", RowEnded, [RowEnded(method="POST", target="/a", blob=b"\1"), RowEnded(blob=b"z")], [
        ("474554202f", "target"), ("474554", "method"),
    ]),
    Sample("M5", "text up to either of two delimiters", RowEitherEnd, [
        RowEitherEnd(line=EndedText("a line", b"\n"), more=EndedBytes(b"ab", b"\xff\0"), end=1), RowEitherEnd(line="another", more=b"c"),
    ], [("61620d0a 61", "more"), ("6162", "line")]),
    Sample("M5", "digits", RowDigits, [RowDigits(status=404, data=b"hello"), RowDigits(data=b"")], [("327830 300d0a", "status"), ("323030 780d0a", "length"), ("323030 350d0a61", "data")]),
    Sample("M5", "UUIDs, packed digits", RowIdentifiers, [RowIdentifiers(id=OTHER_ID, meter=7, phone="98"), RowIdentifiers(guid=OTHER_ID)], [
        ("00" * 32 + "0000000a 21436500ff", "meter"), ("00" * 20, "guid"),
    ]),
    Sample("M5", "packed digits in rules", RowDecimals, [RowDecimals(kind=200, state="BUSY", data=b"x" * 12, imsi="12345"), RowDecimals(kind=7, data=b"abc")], [
        ("43 0000 2100 0001 0000 00", "mark"), ("4a 0000 2100 0001 0000 00", "mark"), ("42 0600 2100 0001 0000 00", "rate"), ("42 00a6 2100 0001 0000 00", "rate"),
        ("42 0000 2100 001a 0000 00", "state"), ("42 0000 1a00 0001 0000 00", "kind"), ("42 0000 2100 0001 001a 00", "length"), ("42 0000 2100 0001 0002 61", "data"),
        ("42 0000 2100 0001 0000 01 af", "imsi"),
    ]),
]  # fmt: skip
