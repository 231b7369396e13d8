"""Coded numbers (M3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from mechanisms.line import Line
from packetlab import (
    S16,
    U8,
    BERLength,
    Bytes,
    Header,
    MQTTInt,
    Named,
    QuicInt,
    SignedVarInt,
    VarInt,
    ZigZagInt,
    auto,
    ber_integer,
    field,
    prefixed,
    size_of,
    sized,
    varint,
)

# M3: LEB128, both signs ------------------------------------------------------------------------------------------


class TimedVarInts(Header):
    a: VarInt
    b: VarInt
    c: VarInt
    d: VarInt
    e: SignedVarInt
    f: SignedVarInt
    g: SignedVarInt
    h: SignedVarInt


@dataclass(slots=True)
class PlainVarInts:
    a: int
    b: int
    c: int
    d: int
    e: int
    f: int
    g: int
    h: int


def leb(data: bytes, pos: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[pos]
        pos += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, pos
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def signed_leb(data: bytes, pos: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[pos]
        pos += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number - (1 << shift) if byte & 64 else number, pos
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def leb_packed(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def signed_leb_packed(number: int) -> bytes:
    found = bytearray()
    while not -64 <= number < 64:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number & 127)
    return bytes(found)


def varints(data: bytes) -> PlainVarInts:
    a, pos = leb(data, 0)
    b, pos = leb(data, pos)
    c, pos = leb(data, pos)
    d, pos = leb(data, pos)
    e, pos = signed_leb(data, pos)
    f, pos = signed_leb(data, pos)
    g, pos = signed_leb(data, pos)
    h, pos = signed_leb(data, pos)
    return PlainVarInts(a, b, c, d, e, f, g, h)


def varints_built() -> bytes:
    one = PlainVarInts(1, 150, 20000, 5, -3, 300, -9000, 7)
    signed = map(signed_leb_packed, (one.e, one.f, one.g, one.h))
    return b"".join([*map(leb_packed, (one.a, one.b, one.c, one.d)), *signed])


# M3: zigzag, high group first ------------------------------------------------------------------------------------


class TimedZigZag(Header):
    a: ZigZagInt
    b: ZigZagInt
    c: ZigZagInt
    d: ZigZagInt
    e: Annotated[int, varint(high_first=True, most=4)]
    f: Annotated[int, varint(high_first=True, most=4)]
    g: Annotated[int, varint(high_first=True, most=4)]
    h: Annotated[int, varint(high_first=True, most=4)]


@dataclass(slots=True)
class PlainZigZag:
    a: int
    b: int
    c: int
    d: int
    e: int
    f: int
    g: int
    h: int


def zigzag(data: bytes, pos: int) -> tuple[int, int]:
    number, pos = leb(data, pos)
    return number >> 1 ^ -(number & 1), pos


def high(data: bytes, pos: int) -> tuple[int, int]:
    number = 0
    for _ in range(4):
        byte = data[pos]
        pos += 1
        number = number << 7 | byte & 127
        if byte < 128:
            return number, pos
    raise ValueError("a number of more than four bytes")


def high_packed(number: int) -> bytes:
    found = [number & 127]
    while number > 127:
        number >>= 7
        found.append(number & 127 | 128)
    return bytes(found[::-1])


def zigzags(data: bytes) -> PlainZigZag:
    a, pos = zigzag(data, 0)
    b, pos = zigzag(data, pos)
    c, pos = zigzag(data, pos)
    d, pos = zigzag(data, pos)
    e, pos = high(data, pos)
    f, pos = high(data, pos)
    g, pos = high(data, pos)
    h, pos = high(data, pos)
    return PlainZigZag(a, b, c, d, e, f, g, h)


def zigzags_built() -> bytes:
    one = PlainZigZag(1, -150, 20000, -5, 3, 300, 9000, 0x4000)
    signed = [leb_packed(number << 1 ^ number >> 63) for number in (one.a, one.b, one.c, one.d)]
    return b"".join([*signed, *map(high_packed, (one.e, one.f, one.g, one.h))])


# M3: numbers with a prefix, as QUIC's ----------------------------------------------------------------------------


class TimedQuic(Header):
    a: QuicInt
    b: QuicInt
    c: QuicInt
    d: QuicInt
    e: QuicInt
    f: QuicInt
    g: Annotated[int, prefixed(bits=1, sizes=(1, 2))]
    h: Annotated[int, prefixed(bits=1, sizes=(1, 2))]


@dataclass(slots=True)
class PlainQuic:
    a: int
    b: int
    c: int
    d: int
    e: int
    f: int
    g: int
    h: int


def quic(data: bytes, pos: int) -> tuple[int, int]:
    size = 1 << (data[pos] >> 6)
    if pos + size > len(data):
        raise ValueError("no whole number")
    return int.from_bytes(data[pos : pos + size], "big") & (1 << 8 * size - 2) - 1, pos + size


def quic_packed(number: int) -> bytes:
    if number < 64:
        return bytes((number,))
    if number < 1 << 14:
        return struct.pack(">H", number | 1 << 14)
    if number < 1 << 30:
        return struct.pack(">I", number | 2 << 30)
    return struct.pack(">Q", number | 3 << 62)


def short(data: bytes, pos: int) -> tuple[int, int]:
    if data[pos] < 128:
        return data[pos], pos + 1
    return (data[pos] & 127) << 8 | data[pos + 1], pos + 2


def short_packed(number: int) -> bytes:
    return bytes((number,)) if number < 128 else struct.pack(">H", number | 1 << 15)


def quics(data: bytes) -> PlainQuic:
    a, pos = quic(data, 0)
    b, pos = quic(data, pos)
    c, pos = quic(data, pos)
    d, pos = quic(data, pos)
    e, pos = quic(data, pos)
    f, pos = quic(data, pos)
    g, pos = short(data, pos)
    h, pos = short(data, pos)
    return PlainQuic(a, b, c, d, e, f, g, h)


def quics_built() -> bytes:
    one = PlainQuic(1, 150, 20000, 5, 1 << 40, 300, 9000, 7)
    first = map(quic_packed, (one.a, one.b, one.c, one.d, one.e, one.f))
    return b"".join([*first, short_packed(one.g), short_packed(one.h)])


# M3: MQTT's numbers ----------------------------------------------------------------------------------------------


class TimedMQTT(Header):
    kind: U8 = 0x82
    rest: MQTTInt = auto(size_of("self") - size_of("rest") - size_of("kind"))
    a: MQTTInt
    b: MQTTInt
    c: MQTTInt
    d: MQTTInt
    topic: Bytes = b""


@dataclass(slots=True)
class PlainMQTT:
    kind: int
    rest: int
    a: int
    b: int
    c: int
    d: int
    topic: bytes


def mqtt_number(data: bytes, pos: int) -> tuple[int, int]:
    number = 0
    for shift in (0, 7, 14, 21):
        byte = data[pos]
        pos += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, pos
    raise ValueError("a number of more than four bytes")


def mqtt(data: bytes) -> PlainMQTT:
    rest, pos = mqtt_number(data, 1)
    end = pos + rest
    if end > len(data):
        raise ValueError("no whole message")
    a, pos = mqtt_number(data, pos)
    b, pos = mqtt_number(data, pos)
    c, pos = mqtt_number(data, pos)
    d, pos = mqtt_number(data, pos)
    return PlainMQTT(data[0], rest, a, b, c, d, data[pos:end])


def mqtt_built() -> bytes:
    topic = bytes(130)
    a, b, c, d = map(leb_packed, (1, 150, 20000, 5))
    one = PlainMQTT(0x82, len(a) + len(b) + len(c) + len(d) + len(topic), 1, 150, 20000, 5, topic)
    return b"".join([bytes((one.kind,)), leb_packed(one.rest), a, b, c, d, one.topic])


# M3: names for coded numbers -------------------------------------------------------------------------------------


class TimedState(IntEnum):
    IDLE = 1
    BUSY = 300


class TimedStates(Header):
    a: Annotated[Named[TimedState], varint()] = TimedState.IDLE
    b: Annotated[Named[TimedState], varint()] = TimedState.IDLE
    c: Annotated[Named[TimedState], varint()] = TimedState.IDLE
    d: Annotated[Named[TimedState], varint()] = TimedState.IDLE
    e: Annotated[Named[TimedState], varint()] = TimedState.IDLE
    f: Annotated[Named[TimedState], varint()] = TimedState.IDLE


@dataclass(slots=True)
class PlainStates:
    a: TimedState | int
    b: TimedState | int
    c: TimedState | int
    d: TimedState | int
    e: TimedState | int
    f: TimedState | int


def state(data: bytes, pos: int) -> tuple[TimedState | int, int]:
    number, pos = leb(data, pos)
    try:
        return TimedState(number), pos
    except ValueError:
        return number, pos


def states(data: bytes) -> PlainStates:
    a, pos = state(data, 0)
    b, pos = state(data, pos)
    c, pos = state(data, pos)
    d, pos = state(data, pos)
    e, pos = state(data, pos)
    f, pos = state(data, pos)
    return PlainStates(a, b, c, d, e, f)


def states_built() -> bytes:
    idle, busy = TimedState.IDLE, TimedState.BUSY
    one = PlainStates(idle, busy, idle, busy, idle, busy)
    return b"".join(map(leb_packed, (one.a, one.b, one.c, one.d, one.e, one.f)))


def timed_states() -> TimedStates:
    idle, busy = TimedState.IDLE, TimedState.BUSY
    return TimedStates(a=idle, b=busy, c=idle, d=busy, e=idle, f=busy)


# M3: lengths and integers of BER ---------------------------------------------------------------------------------


class TimedBER(Header):
    tag: U8 = 2
    length: BERLength = auto(size_of("value"))
    value: Annotated[int, ber_integer()] = sized(field("length"), 0)
    other_tag: U8 = 2
    other_length: BERLength = auto(size_of("other"))
    other: Annotated[int, ber_integer()] = sized(field("other_length"), 0)
    text_tag: U8 = 4
    text_length: BERLength = auto(size_of("text"))
    text: Bytes = sized(field("text_length"), b"")


@dataclass(slots=True)
class PlainBER:
    tag: int
    length: int
    value: int
    other_tag: int
    other_length: int
    other: int
    text_tag: int
    text_length: int
    text: bytes


def ber_length(data: bytes, pos: int) -> tuple[int, int]:
    first = data[pos]
    pos += 1
    if first < 128:
        length = first
    else:
        size = first & 127
        if not size or pos + size > len(data):
            raise ValueError("no length")
        length, pos = int.from_bytes(data[pos : pos + size], "big"), pos + size
    if pos + length > len(data):
        raise ValueError("no whole value")
    return length, pos


def ber_length_packed(length: int) -> bytes:
    if length < 128:
        return bytes((length,))
    packed = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((128 | len(packed),)) + packed


def ber_packed(number: int) -> bytes:
    return number.to_bytes((number if number >= 0 else ~number).bit_length() // 8 + 1, "big", signed=True)


def ber(data: bytes) -> PlainBER:
    length, pos = ber_length(data, 1)
    value = int.from_bytes(data[pos : pos + length], "big", signed=True)
    pos += length
    other_tag = data[pos]
    other_length, pos = ber_length(data, pos + 1)
    other = int.from_bytes(data[pos : pos + other_length], "big", signed=True)
    pos += other_length
    text_tag = data[pos]
    text_length, pos = ber_length(data, pos + 1)
    text = data[pos : pos + text_length]
    return PlainBER(data[0], length, value, other_tag, other_length, other, text_tag, text_length, text)


def ber_built() -> bytes:
    text = bytes(200)
    first, second = ber_packed(-129), ber_packed(70000)
    one = PlainBER(2, len(first), -129, 2, len(second), 70000, 4, len(text), text)
    parts = [bytes((one.tag,)), ber_length_packed(one.length), first, bytes((one.other_tag,)), ber_length_packed(one.other_length), second]
    return b"".join([*parts, bytes((one.text_tag,)), ber_length_packed(one.text_length), one.text])


# M3: a value that means none -------------------------------------------------------------------------------------


class TimedNone(Header):
    size: S16 = auto(size_of("data"))
    data: Bytes | None = sized(field("size"), none=-1)
    other_size: S16 = auto(size_of("other"))
    other: Bytes | None = sized(field("other_size"), none=-1)
    compact: VarInt = auto(size_of("key") + 1)
    key: Bytes | None = sized(field("compact") - 1, none=-1)
    last: VarInt = auto(size_of("value") + 1)
    value: Bytes | None = sized(field("last") - 1, none=-1)


@dataclass(slots=True)
class PlainNone:
    size: int
    data: bytes | None
    other_size: int
    other: bytes | None
    compact: int
    key: bytes | None
    last: int
    value: bytes | None


def taken(data: bytes, pos: int, size: int) -> tuple[bytes | None, int]:
    if size == -1:
        return None, pos
    if size < 0 or pos + size > len(data):
        raise ValueError("no whole value")
    return data[pos : pos + size], pos + size


def nones(data: bytes) -> PlainNone:
    (size,) = struct.unpack_from("!h", data)
    first, pos = taken(data, 2, size)
    (other_size,) = struct.unpack_from("!h", data, pos)
    other, pos = taken(data, pos + 2, other_size)
    compact, pos = leb(data, pos)
    key, pos = taken(data, pos, compact - 1)
    last, pos = leb(data, pos)
    value, pos = taken(data, pos, last - 1)
    return PlainNone(size, first, other_size, other, compact, key, last, value)


def nones_built() -> bytes:
    one = PlainNone(-1, None, 5, b"hello", 2, b"k", 0, None)
    parts = []
    for size, data in ((one.size, one.data), (one.other_size, one.other)):
        parts += [struct.pack("!h", size), data or b""]
    for size, data in ((one.compact, one.key), (one.last, one.value)):
        parts += [leb_packed(size), data or b""]
    return b"".join(parts)


LINES = [
    Line("M3", "LEB128, both signs", TimedVarInts, lambda: TimedVarInts(a=1, b=150, c=20000, d=5, e=-3, f=300, g=-9000, h=7), varints, varints_built),
    Line("M3", "zigzag, high group first", TimedZigZag, lambda: TimedZigZag(a=1, b=-150, c=20000, d=-5, e=3, f=300, g=9000, h=0x4000), zigzags, zigzags_built),
    Line("M3", "numbers with a prefix, as QUIC's", TimedQuic, lambda: TimedQuic(a=1, b=150, c=20000, d=5, e=1 << 40, f=300, g=9000, h=7), quics, quics_built),
    Line("M3", "MQTT's numbers", TimedMQTT, lambda: TimedMQTT(a=1, b=150, c=20000, d=5, topic=bytes(130)), mqtt, mqtt_built),
    Line("M3", "names for coded numbers", TimedStates, timed_states, states, states_built),
    Line("M3", "lengths and integers of BER", TimedBER, lambda: TimedBER(value=-129, other=70000, text=bytes(200)), ber, ber_built),
    Line("M3", "a value that means none", TimedNone, lambda: TimedNone(other=b"hello", key=b"k"), nones, nones_built),
]  # fmt: skip
