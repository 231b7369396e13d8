"""Free bits (M6)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Annotated

from mechanisms.line import Line
from packetlab import (
    U1,
    U2,
    U3,
    U4,
    U5,
    U6,
    U8,
    U12,
    U16,
    U32,
    Header,
    auto,
    bits,
    count_of,
    field,
    has,
    many,
    spare_bits,
    when,
    width_of,
)

# M6: the lowest bit first ----------------------------------------------------------------------------------------


class TimedLow(Header, bit_order="low"):
    handle: U12 = 0
    boundary: U2 = 0
    broadcast: U2 = 0
    kind: U3 = 0
    retry: U1 = 0
    power: U1 = 0
    more: U1 = 0
    order: U1 = 0
    rest: U1 = 0
    fragment: U4 = 0
    number: U12 = 0


@dataclass(slots=True)
class PlainLow:
    handle: int
    boundary: int
    broadcast: int
    kind: int
    retry: int
    power: int
    more: int
    order: int
    rest: int
    fragment: int
    number: int


def low(data: bytes) -> PlainLow:
    if len(data) < 5:
        raise ValueError("no whole message")
    first, flags, last = data[0] | data[1] << 8, data[2], data[3] | data[4] << 8
    return PlainLow(
        first & 0xFFF, first >> 12 & 3, first >> 14, flags & 7, flags >> 3 & 1, flags >> 4 & 1, flags >> 5 & 1, flags >> 6 & 1, flags >> 7,
        last & 15, last >> 4,
    )  # fmt: skip


def low_built() -> bytes:
    one = PlainLow(0x123, 2, 0, 5, 1, 0, 1, 0, 1, 3, 0xABC)
    first = one.handle | one.boundary << 12 | one.broadcast << 14
    flags = one.kind | one.retry << 3 | one.power << 4 | one.more << 5 | one.order << 6 | one.rest << 7
    return first.to_bytes(2, "little") + bytes((flags,)) + (one.fragment | one.number << 4).to_bytes(2, "little")


# M6: optional bits -----------------------------------------------------------------------------------------------


class TimedShot(Header):
    aimed: U1 = auto(has("angle"))
    angle: U12 = when(field("aimed"))
    moved: U1 = auto(has("far"))
    far: U6 = when(field("moved"))
    named: U1 = auto(has("name"))
    name: U5 = when(field("named"))
    weapon: U4 = 0
    spare: int = spare_bits()


@dataclass(slots=True)
class PlainShot:
    aimed: int
    angle: int | None
    moved: int
    far: int | None
    named: int
    name: int | None
    weapon: int
    spare: int


def shot(data: bytes) -> PlainShot:
    whole, left = int.from_bytes(data, "big"), 8 * len(data)
    angle = far = name = None
    left -= 1
    aimed = whole >> left & 1
    if aimed:
        left -= 12
        angle = whole >> left & 0xFFF
    left -= 1
    moved = whole >> left & 1
    if moved:
        left -= 6
        far = whole >> left & 63
    left -= 1
    named = whole >> left & 1
    if named:
        left -= 5
        name = whole >> left & 31
    left -= 4
    if left < 0:
        raise ValueError("no whole shot")
    return PlainShot(aimed, angle, moved, far, named, name, whole >> left & 15, whole & (1 << left) - 1)


def shot_built() -> bytes:
    one = PlainShot(1, 0xABC, 0, None, 1, 9, 5, 0)
    whole, size = one.aimed, 1
    if one.angle is not None:
        whole, size = whole << 12 | one.angle, size + 12
    whole, size = whole << 1 | one.moved, size + 1
    if one.far is not None:
        whole, size = whole << 6 | one.far, size + 6
    whole, size = whole << 1 | one.named, size + 1
    if one.name is not None:
        whole, size = whole << 5 | one.name, size + 5
    whole, size = whole << 4 | one.weapon, size + 4
    return (whole << -size % 8).to_bytes(-(-size // 8), "big")


# M6: lists of bits, headers in bits ------------------------------------------------------------------------------


class TimedStep(Header, in_bits=True):
    up: U1 = 0
    far: U12 = 0


class TimedWay(Header):
    count: U4 = auto(count_of("grades"))
    grades: tuple[U4, ...] = many(count=field("count"))
    steps: U4 = auto(count_of("way"))
    way: tuple[TimedStep, ...] = many(count=field("steps"))
    spare: int = spare_bits()


@dataclass(slots=True)
class PlainStep:
    up: int
    far: int


@dataclass(slots=True)
class PlainWay:
    count: int
    grades: tuple[int, ...]
    steps: int
    way: tuple[PlainStep, ...]
    spare: int


def way(data: bytes) -> PlainWay:
    whole, left = int.from_bytes(data, "big"), 8 * len(data) - 4
    count, grades, found = whole >> left & 15, [], []
    for _ in range(count):
        left -= 4
        grades.append(whole >> left & 15)
    left -= 4
    steps = whole >> left & 15
    for _ in range(steps):
        left -= 13
        found.append(PlainStep(whole >> left + 12 & 1, whole >> left & 0xFFF))
    if left < 0:
        raise ValueError("no whole way")
    return PlainWay(count, tuple(grades), steps, tuple(found), whole & (1 << left) - 1)


def way_built() -> bytes:
    one = PlainWay(15, tuple(range(15)), 15, tuple([PlainStep(n & 1, n) for n in range(15)]), 0)
    whole, size = one.count, 8 + 4 * len(one.grades) + 13 * len(one.way)
    for grade in one.grades:
        whole = whole << 4 | grade
    whole = whole << 4 | one.steps
    for step in one.way:
        whole = whole << 13 | step.up << 12 | step.far
    return (whole << -size % 8).to_bytes(-(-size // 8), "big")


def timed_way() -> TimedWay:
    return TimedWay(grades=range(15), way=[TimedStep(up=n & 1, far=n) for n in range(15)])


# M6: a width that a field gives ----------------------------------------------------------------------------------


class TimedWidths(Header):
    a_width: U5 = auto(width_of("a"))
    a: Annotated[int, bits(field("a_width"))] = 0
    b_width: U5 = auto(width_of("b"))
    b: Annotated[int, bits(field("b_width"))] = 0
    c_width: U5 = auto(width_of("c"))
    c: Annotated[int, bits(field("c_width"))] = 0
    d_width: U5 = auto(width_of("d"))
    d: Annotated[int, bits(field("d_width"))] = 0
    spare: int = spare_bits()


@dataclass(slots=True)
class PlainWidths:
    a_width: int
    a: int
    b_width: int
    b: int
    c_width: int
    c: int
    d_width: int
    d: int
    spare: int


def widths(data: bytes) -> PlainWidths:
    whole, left, found = int.from_bytes(data, "big"), 8 * len(data), []
    for _ in range(4):
        left -= 5
        width = whole >> left & 31
        left -= width
        if left < 0:
            raise ValueError("no whole message")
        found += [width, whole >> left & (1 << width) - 1]
    return PlainWidths(*found, whole & (1 << left) - 1)


def widths_built() -> bytes:
    values = (5, 0, 0x12345, 300)
    one = PlainWidths(*[number for value in values for number in (value.bit_length(), value)], 0)
    whole, size = 0, 20
    for width, value in ((one.a_width, one.a), (one.b_width, one.b), (one.c_width, one.c), (one.d_width, one.d)):
        if width > 31:
            raise ValueError("too much")
        whole, size = (whole << 5 | width) << width | value, size + width
    return (whole << -size % 8).to_bytes(-(-size // 8), "big")


# M6: spare bits --------------------------------------------------------------------------------------------------


class TimedSpare(Header):
    kind: U3 = 1
    a: U2 = 0
    b: U6 = 0
    c: U5 = 0
    d: U12 = 0
    more: U1 = auto(has("extra"))
    extra: U12 | None = when(field("more"))
    spare: int = spare_bits()


@dataclass(slots=True)
class PlainSpare:
    kind: int
    a: int
    b: int
    c: int
    d: int
    more: int
    extra: int | None
    spare: int


def spares(data: bytes) -> PlainSpare:
    whole, left = int.from_bytes(data, "big"), 8 * len(data) - 29
    more, extra = whole >> left & 1, None
    first = whole >> left
    if more:
        left -= 12
        extra = whole >> left & 0xFFF
    if left < 0:
        raise ValueError("no whole message")
    return PlainSpare(
        first >> 26, first >> 24 & 3, first >> 18 & 63, first >> 13 & 31, first >> 1 & 0xFFF, more, extra, whole & (1 << left) - 1
    )


def spares_built() -> bytes:
    one = PlainSpare(1, 2, 33, 4, 0x555, 1, 5, 0)
    whole, size = ((((one.kind << 2 | one.a) << 6 | one.b) << 5 | one.c) << 12 | one.d) << 1 | one.more, 29
    if one.extra is not None:
        whole, size = whole << 12 | one.extra, size + 12
    return (whole << -size % 8).to_bytes(-(-size // 8), "big")


# M6: numbers of more than 64 bits --------------------------------------------------------------------------------


class TimedWide(Header):
    cookie: Annotated[int, bits(128)] = 0
    other: Annotated[int, bits(128)] = 0
    third: Annotated[int, bits(160)] = 0
    nonce: Annotated[int, bits(96, little=True)] = 5
    second: Annotated[int, bits(96, little=True)] = 5


@dataclass(slots=True)
class PlainWide:
    cookie: int
    other: int
    third: int
    nonce: int
    second: int


def wide(data: bytes) -> PlainWide:
    if len(data) < 76:
        raise ValueError("no whole message")
    take = int.from_bytes
    first = take(data[:16], "big"), take(data[16:32], "big"), take(data[32:52], "big")
    return PlainWide(*first, take(data[52:64], "little"), take(data[64:76], "little"))


def wide_built() -> bytes:
    one = PlainWide(1 << 127, 3, 1 << 150, 5, 1 << 90)
    first = [one.cookie.to_bytes(16, "big"), one.other.to_bytes(16, "big"), one.third.to_bytes(20, "big")]
    return b"".join([*first, one.nonce.to_bytes(12, "little"), one.second.to_bytes(12, "little")])


# None of them: what a header takes anyway -------------------------------------------------------------------------


class TimedPlain(Header):
    a: U8 = 0
    b: U8 = 0
    c: U16 = 0
    d: U16 = 0
    e: U32 = 0
    f: U32 = 0
    g: U32 = 0
    h: U32 = 0


@dataclass(slots=True)
class PlainPlain:
    a: int
    b: int
    c: int
    d: int
    e: int
    f: int
    g: int
    h: int


ALL = struct.Struct("!BBHHIIII")


def plain(data: bytes) -> PlainPlain:
    return PlainPlain(*ALL.unpack_from(data))


def plain_built() -> bytes:
    one = PlainPlain(1, 2, 3, 4, 5, 6, 7, 8)
    return ALL.pack(one.a, one.b, one.c, one.d, one.e, one.f, one.g, one.h)


LINES = [
    Line("M0", "a header of 8 numbers, none of them", TimedPlain, lambda: TimedPlain(a=1, b=2, c=3, d=4, e=5, f=6, g=7, h=8), plain, plain_built),
    Line("M6", "the lowest bit first", TimedLow,
         lambda: TimedLow(handle=0x123, boundary=2, kind=5, retry=1, more=1, rest=1, fragment=3, number=0xABC), low, low_built),
    Line("M6", "optional bits", TimedShot, lambda: TimedShot(angle=0xABC, name=9, weapon=5), shot, shot_built),
    Line("M6", "lists of bits, headers in bits", TimedWay, timed_way, way, way_built),
    Line("M6", "a width that a field gives", TimedWidths, lambda: TimedWidths(a=5, c=0x12345, d=300), widths, widths_built),
    Line("M6", "spare bits", TimedSpare, lambda: TimedSpare(a=2, b=33, c=4, d=0x555, extra=5), spares, spares_built),
    Line("M6", "numbers of more than 64 bits", TimedWide, lambda: TimedWide(cookie=1 << 127, other=3, third=1 << 150, second=1 << 90), wide, wide_built),
]  # fmt: skip
