"""How fast values of other forms are read and built, as ratios to Python written by hand: ``python tests/benchmarks/bench_values.py``.

By hand means a class with the same attributes, a function that reads it from bytes, checked for their end, and one that packs it.
Coded numbers: eight of LEB128, of one to three bytes; and a message of QUIC's numbers whose length counts what follows.
Bits: a flag that adds 12 bits, a number as wide as another says, five numbers of 4 bits; a list of 40 headers of 13 bits.
Checksums: a CRC of 16 bits over 1,500 bytes, by a table of 256 numbers.
"""

from __future__ import annotations

import argparse
import struct
import warnings
from typing import Annotated

warnings.simplefilter("ignore")

from run import race, tell  # noqa: E402

from packetlab import (  # noqa: E402
    U1,
    U3,
    U4,
    U5,
    U8,
    U12,
    Bytes,
    Header,
    Payload,
    QuicInt,
    U16le,
    VarInt,
    auto,
    bits,
    count_of,
    crc,
    dissect,
    field,
    has,
    many,
    size_of,
    spare_bits,
    when,
    width_of,
)  # fmt: skip


class Eight(Header):
    """Eight coded numbers."""

    a: VarInt
    b: VarInt
    c: VarInt
    d: VarInt
    e: VarInt
    f: VarInt
    g: VarInt
    h: VarInt


class Stream(Header):
    """A STREAM frame of QUIC with its type 0x0e (RFC 9000 section 19.8)."""

    type: QuicInt = 0x0E
    id: QuicInt = 0
    offset: QuicInt = 0
    length: QuicInt = auto(size_of("data"))
    data: Bytes = b""


class RTU(Header):
    """Modbus on a serial line."""

    address: U8 = 1
    function: U8 = 3
    data: Payload
    crc: U16le = auto(crc("CRC-16/MODBUS", "self", "payload"))


class Shot(Header):
    """Fields at any bit."""

    aimed: U1 = auto(has("angle"))
    angle: U12 = when(field("aimed"))
    weapon: U3 = 1
    width: U5 = auto(width_of("force"))
    force: Annotated[int, bits(field("width"))] = 0
    count: U4 = auto(count_of("grades"))
    grades: tuple[U4, ...] = many(count=field("count"))
    spare: int = spare_bits()


class Step(Header, in_bits=True):
    up: U1 = 0
    far: U12 = 0


class Way(Header):
    count: U8 = auto(count_of("steps"))
    steps: tuple[Step, ...] = many(count=field("count"))
    spare: int = spare_bits()


class Plain:
    """Attributes, as a header has them."""

    __slots__ = (
        "a", "aimed", "angle", "b", "c", "count", "d", "data", "e", "f", "far", "force", "g", "grades", "h", "id", "length", "offset", "spare",
        "type", "up", "weapon", "width",
    )  # fmt: skip


def varint(data: bytes, pos: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if pos >= len(data) or shift > 63:
            raise ValueError("no whole number")
        byte = data[pos]
        pos += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, pos
        shift += 7


def packed(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def quic(data: bytes, pos: int) -> tuple[int, int]:
    if pos >= len(data):
        raise ValueError("no whole number")
    size = 1 << (data[pos] >> 6)
    if pos + size > len(data):
        raise ValueError("no whole number")
    return int.from_bytes(data[pos : pos + size], "big") & (1 << 8 * size - 2) - 1, pos + size


def quic_packed(number: int) -> bytes:
    if number < 64:
        return bytes([number])
    if number < 1 << 14:
        return struct.pack(">H", number | 1 << 14)
    if number < 1 << 30:
        return struct.pack(">I", number | 2 << 30)
    return struct.pack(">Q", number | 3 << 62)


def eight_by_hand() -> Plain:
    one, data = Plain(), EIGHT
    one.a, pos = varint(data, 0)
    one.b, pos = varint(data, pos)
    one.c, pos = varint(data, pos)
    one.d, pos = varint(data, pos)
    one.e, pos = varint(data, pos)
    one.f, pos = varint(data, pos)
    one.g, pos = varint(data, pos)
    one.h, pos = varint(data, pos)
    return one


def stream_by_hand() -> Plain:
    one, data = Plain(), STREAM
    one.type, pos = quic(data, 0)
    one.id, pos = quic(data, pos)
    one.offset, pos = quic(data, pos)
    one.length, pos = quic(data, pos)
    if pos + one.length > len(data):
        raise ValueError("no whole frame")
    one.data = data[pos : pos + one.length]
    return one


def table() -> list[int]:
    found = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ 0xA001 if number & 1 else number >> 1
        found.append(number)
    return found


def rtu_by_hand() -> bytes:
    data = bytes((1, 3)) + LONG
    register, steps = 0xFFFF, STEPS
    for byte in data:
        register = steps[(register ^ byte) & 0xFF] ^ (register >> 8)
    return data + struct.pack("<H", register)


def shot_by_hand() -> Plain:
    one, data = Plain(), SHOT
    whole, left = int.from_bytes(data, "big"), 8 * len(data)
    left -= 1
    one.aimed = whole >> left & 1
    one.angle = None
    if one.aimed:
        left -= 12
        one.angle = whole >> left & 0xFFF
    left -= 3
    one.weapon = whole >> left & 7
    left -= 5
    one.width = whole >> left & 31
    left -= one.width
    one.force = whole >> left & (1 << one.width) - 1
    left -= 4
    one.count = whole >> left & 15
    grades = []
    for _ in range(one.count):
        left -= 4
        grades.append(whole >> left & 15)
    one.grades = tuple(grades)
    if left < 0:
        raise ValueError("no whole shot")
    one.spare = whole & (1 << left) - 1
    return one


def shot_packed(angle: int | None, weapon: int, force: int, grades: tuple[int, ...]) -> bytes:
    whole, size = 0, 1
    if angle is not None:
        whole, size = 1 << 12 | angle, 13
    width = force.bit_length()
    if width > 31 or len(grades) > 15:
        raise ValueError("too much")
    whole = ((whole << 3 | weapon) << 5 | width) << width | force
    whole = whole << 4 | len(grades)
    size += 12 + width
    for grade in grades:
        whole, size = whole << 4 | grade, size + 4
    return (whole << -size % 8).to_bytes(-(-size // 8), "big")


def way_by_hand() -> list[Plain]:
    data = WAY
    if len(data) < 1 or len(data) < -(-data[0] * 13 // 8) + 1:
        raise ValueError("no whole way")
    whole, left, found = int.from_bytes(data[1:], "big"), 8 * len(data) - 8, []
    for _ in range(data[0]):
        left -= 13
        one = Plain()
        one.up = whole >> left + 12 & 1
        one.far = whole >> left & 0xFFF
        found.append(one)
    return found


def way_packed(steps: list[Plain]) -> bytes:
    whole, size = 0, 13 * len(steps)
    for one in steps:
        whole = whole << 13 | one.up << 12 | one.far
    return bytes([len(steps)]) + (whole << -size % 8).to_bytes(-(-size // 8), "big")


def shot() -> Shot:
    return Shot._decode(SHOT, 0, len(SHOT), None)[0]


def way() -> Way:
    return Way._decode(WAY, 0, len(WAY), None)[0]


def eight() -> Eight:
    return Eight._decode(EIGHT, 0, len(EIGHT), None)[0]


def stream() -> Stream:
    return Stream._decode(STREAM, 0, len(STREAM), None)[0]


NUMBERS = {"a": 1, "b": 150, "c": 3, "d": 20000, "e": 5, "f": 127, "g": 300, "h": 8}
EIGHT = b"".join(map(packed, NUMBERS.values()))
STREAM = quic_packed(0x0E) + quic_packed(4) + quic_packed(70_000) + quic_packed(120) + bytes(120)
DATA = bytes(120)
STEPS, LONG = table(), bytes(range(250)) * 6
SENT = Shot(angle=0xABC, force=1234, grades=(1, 2, 3, 4, 5))
SHOT = shot_packed(0xABC, 1, 1234, (1, 2, 3, 4, 5))
STEPPED = Way(steps=tuple(Step(up=n & 1, far=n) for n in range(40)))
WAY = bytes(STEPPED)
WALKED = way_by_hand()
MADE, FRAME = Eight(**NUMBERS), Stream(id=4, offset=70_000, data=bytes(120))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each")
    seconds = parser.parse_args().seconds
    assert dissect(EIGHT, Eight)[Eight] == MADE and bytes(MADE) == EIGHT and bytes(FRAME) == STREAM
    assert dissect(STREAM, Stream)[Stream] == FRAME and stream_by_hand().data == bytes(120)
    assert bytes(RTU() / LONG) == rtu_by_hand()
    assert bytes(SENT) == SHOT and shot().grades == shot_by_hand().grades and way() == STEPPED and way_packed(WALKED) == WAY
    assert [getattr(eight_by_hand(), name) for name in NUMBERS] == [*NUMBERS.values()]
    for title, ours, by_hand in (
        ("8 numbers of LEB128", eight, eight_by_hand),
        ("8 numbers of LEB128, built", lambda: bytes(MADE), lambda: b"".join(map(packed, NUMBERS.values()))),
        ("a frame of QUIC", stream, stream_by_hand),
        (
            "a frame of QUIC, built",
            lambda: bytes(FRAME),
            lambda: b"".join(map(quic_packed, (0x0E, 4, 70_000, len(DATA)))) + DATA,
        ),
        ("fields at any bit", shot, shot_by_hand),
        ("fields at any bit, built", lambda: bytes(SENT), lambda: shot_packed(0xABC, 1, 1234, (1, 2, 3, 4, 5))),
        ("40 headers of 13 bits", way, way_by_hand),
        ("40 headers of 13 bits, built", lambda: bytes(STEPPED), lambda: way_packed(WALKED)),
        ("a CRC over 1,500 bytes, built", lambda: bytes(RTU() / LONG), rtu_by_hand),
    ):
        tell(title, race({"packetlab": ours, "by hand": by_hand}, seconds), "packetlab", {"by hand": 0.5})
