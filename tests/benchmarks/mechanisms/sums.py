"""Checksums (M7): nothing is checked when a message is read, neither by packetlab nor by hand."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Annotated

from mechanisms.line import Line
from packetlab import (
    U8,
    U16,
    U32,
    Bytes,
    Header,
    Payload,
    U16le,
    auto,
    but,
    choose,
    crc,
    field,
    fixed_bytes,
    fletcher,
    internet_checksum,
    iso_fletcher,
    size_of,
    span,
    sum8,
    xor8,
    zeroed,
)

DATA = bytes(range(100))

# M7: CRCs over spans ---------------------------------------------------------------------------------------------


class TimedCRC(Header):
    address: U8 = 1
    function: U8 = 3
    size: U8 = auto(size_of("data"))
    data: Bytes = b""
    own: U16 = auto(crc(16, span("address", "size"), poly=0x1021, init=0x1D0F))
    crc: U16le = auto(crc("CRC-16/MODBUS", span("function", "data")))


@dataclass(slots=True)
class PlainCRC:
    address: int
    function: int
    size: int
    data: bytes
    own: int
    crc: int


def steps_of(poly: int) -> list[int]:
    found = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ poly if number & 1 else number >> 1
        found.append(number)
    return found


def high_steps_of(poly: int) -> list[int]:
    found = []
    for number in range(256):
        number <<= 8
        for _ in range(8):
            number = (number << 1 ^ poly if number & 0x8000 else number << 1) & 0xFFFF
        found.append(number)
    return found


MODBUS, CCITT = steps_of(0xA001), high_steps_of(0x1021)


def modbus(data: bytes) -> int:
    register = 0xFFFF
    for byte in data:
        register = MODBUS[(register ^ byte) & 0xFF] ^ register >> 8
    return register


def ccitt(data: bytes) -> int:
    register = 0x1D0F
    for byte in data:
        register = CCITT[register >> 8 ^ byte] ^ register << 8 & 0xFFFF
    return register


def crcs(data: bytes) -> PlainCRC:
    address, function, size = data[0], data[1], data[2]
    if len(data) < size + 7:
        raise ValueError("no whole message")
    return PlainCRC(address, function, size, data[3 : 3 + size], *struct.unpack_from("!H", data, 3 + size), *struct.unpack_from("<H", data, 5 + size))


def crcs_built() -> bytes:
    one = PlainCRC(1, 3, len(DATA), DATA, 0, 0)
    first = struct.pack("!BBB", one.address, one.function, one.size)
    one.own = ccitt(first)
    one.crc = modbus(first[1:] + one.data)
    return b"".join([first, one.data, struct.pack("!H", one.own), struct.pack("<H", one.crc)])


# M7: sums, xor, Fletcher -----------------------------------------------------------------------------------------


class TimedSums(Header):
    number: U16 = 1
    data: Payload
    lrc: U8 = auto(sum8("number", "payload", negate=True))
    bcc: U8 = auto(xor8("number", "payload"))
    check: U16 = auto(fletcher(16, "number", "payload"))


@dataclass(slots=True)
class PlainSums:
    number: int
    lrc: int
    bcc: int
    check: int


def sums(data: bytes) -> tuple[PlainSums, bytes]:
    if len(data) < 6:
        raise ValueError("no whole message")
    return PlainSums(*struct.unpack_from("!H", data), *struct.unpack_from("!BBH", data, len(data) - 4)), data[2:-4]


def sums_built() -> bytes:
    one = PlainSums(300, 0, 0, 0)
    body = struct.pack("!H", one.number) + DATA
    one.lrc = -sum(body) & 0xFF
    low = high = 0
    for byte in body:
        one.bcc ^= byte
        low = (low + byte) % 255
        high = (high + low) % 255
    one.check = high << 8 | low
    return body + struct.pack("!BBH", one.lrc, one.bcc, one.check)


# M7: a checksum that leaves a part out ---------------------------------------------------------------------------


class TimedLeaving(Header):
    version: U8 = 2
    kind: U8 = 1
    router: U32 = 0x0A000001
    checksum: U16 = auto(internet_checksum("self", but("authentication"), zeroed("second")))
    authentication: Annotated[bytes, fixed_bytes(8)] = b"password"
    data: Annotated[bytes, fixed_bytes(64)] = bytes(range(64))
    second: U32 = auto(crc("CRC-32/ISO-HDLC", "self", zeroed("router")))


@dataclass(slots=True)
class PlainLeaving:
    version: int
    kind: int
    router: int
    checksum: int
    authentication: bytes
    data: bytes
    second: int


LEAVING = struct.Struct("!BBIH8s64sI")


def internet(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def leaving(data: bytes) -> PlainLeaving:
    return PlainLeaving(*LEAVING.unpack_from(data))


def leaving_built() -> bytes:
    from zlib import crc32

    one = PlainLeaving(2, 1, 0x0A000001, 0, b"password", bytes(range(64)), 0)
    packed = LEAVING.pack(one.version, one.kind, one.router, 0, one.authentication, one.data, 0)
    one.checksum = internet(packed[:8] + packed[16:])
    one.second = crc32(LEAVING.pack(one.version, one.kind, 0, one.checksum, one.authentication, one.data, 0))
    return LEAVING.pack(one.version, one.kind, one.router, one.checksum, one.authentication, one.data, one.second)


# M7: a checksum that is not always there -------------------------------------------------------------------------


class TimedMaybe(Header):
    kind: U16 = 1
    checksum: U16 = auto(choose(field("kind") == 2, 0, internet_checksum("self")))
    router: U32 = 0x0A000001
    data: Annotated[bytes, fixed_bytes(64)] = bytes(range(64))


@dataclass(slots=True)
class PlainMaybe:
    kind: int
    checksum: int
    router: int
    data: bytes


MAYBE = struct.Struct("!HHI64s")


def maybe(data: bytes) -> PlainMaybe:
    return PlainMaybe(*MAYBE.unpack_from(data))


def maybe_built() -> bytes:
    one = PlainMaybe(1, 0, 0x0A000001, bytes(range(64)))
    one.checksum = 0 if one.kind == 2 else internet(MAYBE.pack(one.kind, 0, one.router, one.data))
    return MAYBE.pack(one.kind, one.checksum, one.router, one.data)


# M7: check bytes (ISO 8473) --------------------------------------------------------------------------------------


class TimedCheck(Header):
    age: U16 = 1
    router: U32 = 0x0A000001
    checksum: U16 = auto(iso_fletcher("self", but("age")))
    sequence: U32 = 0x80000001
    data: Annotated[bytes, fixed_bytes(64)] = bytes(range(64))


@dataclass(slots=True)
class PlainCheck:
    age: int
    router: int
    checksum: int
    sequence: int
    data: bytes


CHECK = struct.Struct("!HIHI64s")


def check(data: bytes) -> PlainCheck:
    return PlainCheck(*CHECK.unpack_from(data))


def check_built() -> bytes:
    """By RFC 1008 section 7.2.1."""
    one = PlainCheck(1, 0x0A000001, 0, 0x80000001, bytes(range(64)))
    counted = CHECK.pack(one.age, one.router, 0, one.sequence, one.data)[2:]
    first = second = 0
    for byte in counted:
        first = (first + byte) % 255
        second = (second + first) % 255
    x = ((len(counted) - 4 - 1) * first - second) % 255
    y = (510 - first - x) % 255
    one.checksum = (x or 255) << 8 | (y or 255)
    return CHECK.pack(one.age, one.router, one.checksum, one.sequence, one.data)


LINES = [
    Line("M7", "CRCs over spans", TimedCRC, lambda: TimedCRC(data=DATA), crcs, crcs_built),
    Line("M7", "sums, xor, Fletcher", TimedSums, lambda: TimedSums(number=300) / DATA, sums, sums_built, payload=True),
    Line("M7", "a checksum that leaves a part out", TimedLeaving, TimedLeaving, leaving, leaving_built),
    Line("M7", "a checksum that is not always there", TimedMaybe, TimedMaybe, maybe, maybe_built),
    Line("M7", "check bytes (ISO 8473)", TimedCheck, TimedCheck, check, check_built),
]
