"""Values in another form than the packed one (M5)."""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Annotated

from mechanisms.line import Line
from packetlab import (
    F16,
    F32,
    F64,
    GUID,
    U8,
    UUID,
    Bytes,
    Digits,
    F32le,
    Header,
    Named,
    NTPShort,
    NTPTime,
    Text,
    UnixTimeMs,
    auto,
    bcd,
    digits,
    ended,
    field,
    raw,
    scaled,
    size_of,
    sized,
    text,
)

# M5: scaled and fixed point --------------------------------------------------------------------------------------


class TimedScaled(Header):
    speed: Annotated[float, scaled(10, 0.1, unit="kn")] = raw(1023)
    turn: Annotated[float, scaled(6, 1, signed=True)] = 0
    north: Annotated[float, scaled(32, Fraction(1, 10**7), signed=True)] = 0
    east: Annotated[float, scaled(32, Fraction(1, 10**7), signed=True)] = 0
    height: Annotated[float, scaled(16, 0.25)] = 0
    fixed: Annotated[float, scaled(32, Fraction(1, 65536), signed=True)] = 0


@dataclass(slots=True)
class PlainScaled:
    speed: float
    turn: float
    north: float
    east: float
    height: float
    fixed: float


SCALED = struct.Struct("!HiiHi")


def scaled_read(data: bytes) -> PlainScaled:
    both, north, east, height, fixed = SCALED.unpack_from(data)
    turn = (both & 63) - ((both & 32) << 1)
    return PlainScaled((both >> 6) / 10, float(turn), north / 10**7, east / 10**7, height * 0.25, fixed / 65536)


def scaled_built() -> bytes:
    one = PlainScaled(10.2, -3, 52.5, -13.25, 34.25, 1.5)
    speed, turn = round(one.speed * 10), round(one.turn)
    if not (0 <= speed < 1024 and -32 <= turn < 32):
        raise ValueError("too much")
    both = speed << 6 | turn & 63
    return SCALED.pack(both, round(one.north * 10**7), round(one.east * 10**7), round(one.height * 4), round(one.fixed * 65536))


# M5: floats ------------------------------------------------------------------------------------------------------


class TimedFloats(Header):
    half: F16 = 0.0
    a: F32 = 0.0
    b: F32 = 0.0
    c: F32le = 0.0
    d: F32le = 0.0
    e: F64 = 0.0
    f: F64 = 0.0


@dataclass(slots=True)
class PlainFloats:
    half: float
    a: float
    b: float
    c: float
    d: float
    e: float
    f: float


def floats(data: bytes) -> PlainFloats:
    half, a, b = struct.unpack_from("!eff", data)
    c, d = struct.unpack_from("<ff", data, 10)
    return PlainFloats(half, a, b, c, d, *struct.unpack_from("!dd", data, 18))


def floats_built() -> bytes:
    one = PlainFloats(-2.5, 0.5, 1.5, 2.5, -3.5, 1e300, 0.1)
    middle = struct.pack("<ff", one.c, one.d)
    return struct.pack("!eff", one.half, one.a, one.b) + middle + struct.pack("!dd", one.e, one.f)


# M5: times and durations -----------------------------------------------------------------------------------------


class TimedTimes(Header):
    reference: NTPTime = raw(0)
    origin: NTPTime = raw(0)
    received: NTPTime = raw(0)
    delay: NTPShort = timedelta(0)
    spread: NTPShort = timedelta(0)
    logged: UnixTimeMs = raw(0)


@dataclass(slots=True)
class PlainTimes:
    reference: datetime
    origin: datetime
    received: datetime
    delay: timedelta
    spread: timedelta
    logged: datetime


NTP, UNIX = datetime(1900, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)
TIMES = struct.Struct("!QQQIIQ")
MOMENT = datetime(2024, 5, 6, 7, 8, 9, 250000, tzinfo=UTC)


def ntp(number: int) -> datetime:
    return NTP + timedelta(seconds=number >> 32, microseconds=(number & 0xFFFFFFFF) * 1_000_000 >> 32)


def ntp_packed(moment: datetime) -> int:
    since = moment - NTP
    return since.days * 86400 + since.seconds << 32 | (since.microseconds << 32) // 1_000_000


def times(data: bytes) -> PlainTimes:
    reference, origin, received, delay, spread, logged = TIMES.unpack_from(data)
    between = timedelta(seconds=delay / 65536), timedelta(seconds=spread / 65536)
    return PlainTimes(ntp(reference), ntp(origin), ntp(received), *between, UNIX + timedelta(milliseconds=logged))


def times_built() -> bytes:
    one = PlainTimes(MOMENT, MOMENT, MOMENT, timedelta(seconds=1.5), timedelta(seconds=0.25), MOMENT)
    delay, spread = round(one.delay.total_seconds() * 65536), round(one.spread.total_seconds() * 65536)
    logged = (one.logged - UNIX) // timedelta(milliseconds=1)
    return TIMES.pack(ntp_packed(one.reference), ntp_packed(one.origin), ntp_packed(one.received), delay, spread, logged)


def timed_times() -> TimedTimes:
    delay, spread = timedelta(seconds=1.5), timedelta(seconds=0.25)
    return TimedTimes(reference=MOMENT, origin=MOMENT, received=MOMENT, delay=delay, spread=spread, logged=MOMENT)


# M5: text --------------------------------------------------------------------------------------------------------


class TimedText(Header):
    host: Annotated[str, text("ascii", size=16, pad=b"\0")] = "box"
    domain: Annotated[str, text("ascii", size=16, pad=b"\0")] = "net"
    size: U8 = auto(size_of("name"))
    name: Text = ""
    second: U8 = auto(size_of("comment"))
    comment: Text = ""
    wide_size: U8 = auto(size_of("wide"))
    wide: Annotated[str, text("utf-16-le")] = ""


@dataclass(slots=True)
class PlainText:
    host: str
    domain: str
    size: int
    name: str
    second: int
    comment: str
    wide_size: int
    wide: str


def texts(data: bytes) -> PlainText:
    host, domain = data[:16].rstrip(b"\0").decode("ascii"), data[16:32].rstrip(b"\0").decode("ascii")
    size = data[32]
    pos = 33 + size
    name, second = data[33:pos].decode(), data[pos]
    comment, wide_size = data[pos + 1 : pos + 1 + second].decode(), data[pos + 1 + second]
    pos += 2 + second
    if pos + wide_size > len(data):
        raise ValueError("no whole text")
    return PlainText(host, domain, size, name, second, comment, wide_size, data[pos : pos + wide_size].decode("utf-16-le"))


def texts_built() -> bytes:
    name, comment, wide = "h\u00e9llo".encode(), b"some words", "wide".encode("utf-16-le")
    one = PlainText("lab", "example.com", len(name), "h\u00e9llo", len(comment), "some words", len(wide), "wide")
    fixed = struct.pack("!16s16sB", one.host.encode("ascii"), one.domain.encode("ascii"), one.size)
    return b"".join([fixed, name, bytes((one.second,)), comment, bytes((one.wide_size,)), wide])


# M5: text up to either of two delimiters -------------------------------------------------------------------------


class TimedEitherEnd(Header):
    name: Text = ended(b": ", "")
    line: Text = ended((b"\r\n", b"\n"), "")
    other: Bytes = ended((b"\r\n", b"\n"), b"")


@dataclass(slots=True)
class PlainEitherEnd:
    name: str
    line: str
    other: bytes


def either_end(data: bytes) -> PlainEitherEnd:
    middle = data.index(b": ")
    found, pos = [], middle + 2
    for _ in range(2):
        end = data.index(b"\n", pos)
        found.append(data[pos : end - 1] if end > pos and data[end - 1] == 13 else data[pos:end])
        pos = end + 1
    return PlainEitherEnd(data[:middle].decode(), found[0].decode(), found[1])


def either_end_built() -> bytes:
    one = PlainEitherEnd("User-Agent", "a browser of some kind", b"some bytes")
    for value in (one.name.encode(), one.line.encode(), one.other):
        if b"\n" in value:
            raise ValueError("the end of a line")
    return b"".join([one.name.encode(), b": ", one.line.encode(), b"\r\n", one.other, b"\r\n"])


# M5: text up to a delimiter, an enum of texts --------------------------------------------------------------------


class TimedMethod(StrEnum):
    GET = "GET"
    POST = "POST"


class TimedEnded(Header):
    method: Annotated[Named[TimedMethod], text("ascii")] = ended(b" ", TimedMethod.GET)
    target: Text = ended(b" ", "/")
    version: Text = ended(b"\r\n", "HTTP/1.1")
    host: Text = ended(b"\r\n", "")
    agent: Text = ended(b"\r\n", "")
    blob: Bytes = ended(b"\0", b"")


@dataclass(slots=True)
class PlainEnded:
    method: TimedMethod
    target: str
    version: str
    host: str
    agent: str
    blob: bytes


def up_to(data: bytes, pos: int, end: bytes) -> tuple[bytes, int]:
    found = data.find(end, pos)
    if found < 0:
        raise ValueError("no end")
    return data[pos:found], found + len(end)


def lines(data: bytes) -> PlainEnded:
    method, pos = up_to(data, 0, b" ")
    target, pos = up_to(data, pos, b" ")
    version, pos = up_to(data, pos, b"\r\n")
    host, pos = up_to(data, pos, b"\r\n")
    agent, pos = up_to(data, pos, b"\r\n")
    blob, pos = up_to(data, pos, b"\0")
    return PlainEnded(TimedMethod(method.decode("ascii")), target.decode(), version.decode(), host.decode(), agent.decode(), blob)


def lines_built() -> bytes:
    one = PlainEnded(TimedMethod.POST, "/a", "HTTP/1.1", "example.com", "curl/8", b"\1")
    return f"{one.method} {one.target} {one.version}\r\n{one.host}\r\n{one.agent}\r\n".encode() + one.blob + b"\0"


def timed_lines() -> TimedEnded:
    return TimedEnded(method="POST", target="/a", host="example.com", agent="curl/8", blob=b"\1")


# M5: digits ------------------------------------------------------------------------------------------------------


class TimedDigits(Header):
    status: Annotated[int, digits(width=3)] = 200
    code: Annotated[int, digits(width=4)] = 0
    first: Digits = ended(b" ", 0)
    second: Digits = ended(b" ", 0)
    length: Digits = ended(b"\r\n", auto(size_of("data")))
    data: Bytes = sized(field("length"), b"")


@dataclass(slots=True)
class PlainDigits:
    status: int
    code: int
    first: int
    second: int
    length: int
    data: bytes


def number(digits: bytes) -> int:
    if not digits.isdigit():  # int() takes signs, spaces and underscores too
        raise ValueError("no number")
    return int(digits)


def digits_read(data: bytes) -> PlainDigits:
    status, code = number(data[:3]), number(data[3:7])
    first, pos = up_to(data, 7, b" ")
    second, pos = up_to(data, pos, b" ")
    length, pos = up_to(data, pos, b"\r\n")
    size = number(length)
    if pos + size > len(data):
        raise ValueError("no whole data")
    return PlainDigits(status, code, number(first), number(second), size, data[pos : pos + size])


def digits_built() -> bytes:
    one = PlainDigits(404, 17, 300, 70000, 100, bytes(100))
    if one.status > 999 or one.code > 9999:
        raise ValueError("too much")
    return b"%03d%04d%d %d %d\r\n%b" % (one.status, one.code, one.first, one.second, one.length, one.data)


# M5: UUIDs, packed digits ----------------------------------------------------------------------------------------


class TimedIdentifiers(Header):
    id: UUID
    other: UUID
    guid: GUID
    meter: Annotated[int, bcd(8)] = 42
    second: Annotated[int, bcd(8)] = 42
    phone: Annotated[str, bcd(12, swapped=True, filler=15)] = "12345"


@dataclass(slots=True)
class PlainIdentifiers:
    id: uuid.UUID
    other: uuid.UUID
    guid: uuid.UUID
    meter: int
    second: int
    phone: str


ID, GUIDED = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"), uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


def phone(packed: bytes) -> str:
    found = "".join([f"{byte & 15:x}{byte >> 4:x}" for byte in packed]).rstrip("f")
    if not found.isdigit():
        raise ValueError("no digits")
    return found


def phone_packed(digits: str) -> bytes:
    digits = digits.ljust(12, "f")
    return bytes([int(digits[at + 1] + digits[at], 16) for at in range(0, 12, 2)])


def identifiers(data: bytes) -> PlainIdentifiers:
    if len(data) < 62:
        raise ValueError("no whole message")
    ids = uuid.UUID(bytes=data[:16]), uuid.UUID(bytes=data[16:32]), uuid.UUID(bytes_le=data[32:48])
    return PlainIdentifiers(*ids, int(data[48:52].hex()), int(data[52:56].hex()), phone(data[56:62]))


def identifiers_built() -> bytes:
    one = PlainIdentifiers(ID, GUIDED, GUIDED, 1234567, 42, "123456789")
    meters = bytes.fromhex(f"{one.meter:08d}{one.second:08d}")
    return b"".join([one.id.bytes, one.other.bytes, one.guid.bytes_le, meters, phone_packed(one.phone)])


def timed_identifiers() -> TimedIdentifiers:
    return TimedIdentifiers(id=ID, other=GUIDED, guid=GUIDED, meter=1234567, phone="123456789")


LINES = [
    Line("M5", "scaled and fixed point", TimedScaled, lambda: TimedScaled(speed=10.2, turn=-3, north=52.5, east=-13.25, height=34.25, fixed=1.5),
         scaled_read, scaled_built),
    Line("M5", "floats", TimedFloats, lambda: TimedFloats(half=-2.5, a=0.5, b=1.5, c=2.5, d=-3.5, e=1e300, f=0.1), floats, floats_built),
    Line("M5", "times and durations", TimedTimes, timed_times, times, times_built),
    Line("M5", "text", TimedText, lambda: TimedText(host="lab", domain="example.com", name="h\u00e9llo", comment="some words", wide="wide"), texts, texts_built),
    Line("M5", "text up to either of two delimiters", TimedEitherEnd, lambda: TimedEitherEnd(name="User-Agent", line="a browser of some kind", other=b"some bytes"), either_end, either_end_built),
    Line("M5", "text up to a delimiter, an enum of texts", TimedEnded, timed_lines, lines, lines_built),
    Line("M5", "digits", TimedDigits, lambda: TimedDigits(status=404, code=17, first=300, second=70000, data=bytes(100)), digits_read, digits_built),
    Line("M5", "UUIDs, packed digits", TimedIdentifiers, timed_identifiers, identifiers, identifiers_built),
]  # fmt: skip
