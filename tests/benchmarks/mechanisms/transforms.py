"""What goes through a transform (M8)."""

from __future__ import annotations

import struct
import zlib as z
from base64 import b64decode, b64encode
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mechanisms.line import Line
from mechanisms.sums import DATA, steps_of
from packetlab import (
    U8,
    U16,
    U32,
    U64,
    Bytes,
    Header,
    Payload,
    Rest,
    Text,
    U16le,
    aead,
    auto,
    base64,
    cobs,
    crc,
    field,
    hdlc,
    named,
    secret,
    size_of,
    sized,
    through,
    xor,
    zlib,
)

WORDS = "some words that are said again, some words that are said again; " * 4

# M8: through zlib ------------------------------------------------------------------------------------------------


class TimedBody(Header):
    number: U32 = 0
    a: U16 = 1
    b: U16 = 2
    c: U32 = 3
    size: U16 = auto(size_of("text"))
    text: Bytes = b""


class TimedPacked(Header):
    length: U16 = auto(size_of("body"))
    body: TimedBody = through(zlib(), sized(field("length"), TimedBody()))
    end: U8 = 7


@dataclass(slots=True)
class PlainBody:
    number: int
    a: int
    b: int
    c: int
    size: int
    text: bytes


@dataclass(slots=True)
class PlainPacked:
    length: int
    body: PlainBody
    end: int


BODY = struct.Struct("!IHHIH")


def packed(data: bytes) -> PlainPacked:
    (length,) = struct.unpack_from("!H", data)
    if length + 3 > len(data):
        raise ValueError("no whole body")
    inside = z.decompress(data[2 : 2 + length])
    body = PlainBody(*BODY.unpack_from(inside), inside[14:])
    if len(body.text) != body.size:
        raise ValueError("no whole body")
    return PlainPacked(length, body, data[2 + length])


def packed_built() -> bytes:
    text = WORDS.encode()
    body = PlainBody(7, 1, 2, 3, len(text), text)
    inside = z.compress(BODY.pack(body.number, body.a, body.b, body.c, body.size) + body.text)
    one = PlainPacked(len(inside), body, 7)
    return struct.pack("!H", one.length) + inside + bytes((one.end,))


# M8: through xor with a key --------------------------------------------------------------------------------------


class TimedMasked(Header):
    flags: U8 = 1
    size: U16 = auto(size_of("text"))
    key: U32 = 0x37FA213D
    text: Text = through(xor(field("key")), sized(field("size"), ""))


@dataclass(slots=True)
class PlainMasked:
    flags: int
    size: int
    key: int
    text: str


def turned(data: bytes, key: int) -> bytes:
    size = len(data)
    mask = (key.to_bytes(4, "big") * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(mask, "big")).to_bytes(size, "big")


def masked(data: bytes) -> PlainMasked:
    flags, size, key = struct.unpack_from("!BHI", data)
    if len(data) < 7 + size:
        raise ValueError("no whole text")
    return PlainMasked(flags, size, key, turned(data[7 : 7 + size], key).decode())


def masked_built() -> bytes:
    text = WORDS.encode()
    one = PlainMasked(1, len(text), 0x37FA213D, WORDS)
    return struct.pack("!BHI", one.flags, one.size, one.key) + turned(text, one.key)


# M8: through byte stuffing ---------------------------------------------------------------------------------------


class TimedStuffed(Header):
    size: U8 = auto(size_of("data"))
    data: Bytes = through(cobs(), sized(field("size"), b""))
    end: U8 = 7


@dataclass(slots=True)
class PlainStuffed:
    size: int
    data: bytes
    end: int


STUFFED = bytes([n % 7 for n in range(100)])


def unstuffed(data: bytes) -> bytes:
    if data[-1:] != b"\0":
        raise ValueError("no end")
    found, pos, size = bytearray(), 0, len(data) - 1
    while pos < size:
        code = data[pos]
        if not code or pos + code > size:
            raise ValueError("no whole block")
        found += data[pos + 1 : pos + code]
        pos += code
        if code < 255 and pos < size:
            found.append(0)
    return bytes(found)


def stuffed(data: bytes) -> bytes:
    found = bytearray()
    for block in data.split(b"\0"):
        while len(block) > 253:
            found += b"\xff" + block[:254]
            block = block[254:]
        found.append(len(block) + 1)
        found += block
    return bytes(found) + b"\0"


def stuffed_read(data: bytes) -> PlainStuffed:
    size = data[0]
    return PlainStuffed(size, unstuffed(data[1 : 1 + size]), data[1 + size])


def stuffed_built() -> bytes:
    inside = stuffed(STUFFED)
    one = PlainStuffed(len(inside), STUFFED, 7)
    return bytes((one.size,)) + inside + bytes((one.end,))


# M8: through base64 ----------------------------------------------------------------------------------------------


class TimedLetters(Header):
    size: U8 = auto(size_of("data"))
    data: Bytes = through(base64(), sized(field("size"), b""))
    other_size: U8 = auto(size_of("other"))
    other: Bytes = through(base64(), sized(field("other_size"), b""))


@dataclass(slots=True)
class PlainLetters:
    size: int
    data: bytes
    other_size: int
    other: bytes


def letters(data: bytes) -> PlainLetters:
    size = data[0]
    other = data[1 + size]
    if len(data) < 2 + size + other:
        raise ValueError("no whole data")
    return PlainLetters(size, b64decode(data[1 : 1 + size], validate=True), other, b64decode(data[2 + size : 2 + size + other], validate=True))


def letters_built() -> bytes:
    first, second = b64encode(DATA), b64encode(b"hello")
    one = PlainLetters(len(first), DATA, len(second), b"hello")
    return b"".join([bytes((one.size,)), first, bytes((one.other_size,)), second])


# M8: through AEAD ------------------------------------------------------------------------------------------------


class TimedSealed(Header):
    sequence: U64 = 1
    length: U16 = auto(size_of("text"))
    text: Text = through(aead("AES-GCM", key=secret("timed"), nonce=field("sequence"), aad="self"), sized(field("length"), ""))


@dataclass(slots=True)
class PlainSealed:
    sequence: int
    length: int
    text: str


KEY = bytes(16)
CIPHER = AESGCM(KEY)


def sealed(data: bytes) -> PlainSealed:
    sequence, length = struct.unpack_from("!QH", data)
    if len(data) < 10 + length:
        raise ValueError("no whole text")
    return PlainSealed(sequence, length, CIPHER.decrypt(sequence.to_bytes(12, "big"), data[10 : 10 + length], data[:10]).decode())


def sealed_built() -> bytes:
    text = WORDS.encode()
    one = PlainSealed(1, len(text) + 16, WORDS)
    first = struct.pack("!QH", one.sequence, one.length)
    return first + CIPHER.encrypt(one.sequence.to_bytes(12, "big"), text, first)


# M8: through zlib where a flag says so ---------------------------------------------------------------------------


class TimedMaybe(Header):
    packed: U8 = 0
    size: U16 = auto(size_of("text"))
    text: Text = through(zlib(), sized(field("size"), ""), when=field("packed"))
    other_packed: U8 = 0
    other_size: U16 = auto(size_of("other"))
    other: Text = through(zlib(), sized(field("other_size"), ""), when=field("other_packed"))


@dataclass(slots=True)
class PlainMaybe:
    packed: int
    size: int
    text: str
    other_packed: int
    other_size: int
    other: str


def maybe(data: bytes) -> PlainMaybe:
    flag, size = struct.unpack_from("!BH", data)
    pos = 3 + size
    text = data[3:pos]
    other_flag, other_size = struct.unpack_from("!BH", data, pos)
    other = data[pos + 3 : pos + 3 + other_size]
    if len(other) != other_size:
        raise ValueError("no whole text")
    text, other = z.decompress(text) if flag else text, z.decompress(other) if other_flag else other
    return PlainMaybe(flag, size, text.decode(), other_flag, other_size, other.decode())


def maybe_built() -> bytes:
    text, other = z.compress(WORDS.encode()), b"hello"
    one = PlainMaybe(1, len(text), WORDS, 0, len(other), "hello")
    second = struct.pack("!BH", one.other_packed, one.other_size)
    return b"".join([struct.pack("!BH", one.packed, one.size), text, second, other])


# M8: through functions of your own -------------------------------------------------------------------------------


class TimedTurned(Header):
    number: U8 = 1
    a: U16 = 2
    b: U32 = 3
    data: Rest = through(named("timed turned", lambda data: data[::-1], lambda data: data[::-1]))


@dataclass(slots=True)
class PlainTurned:
    number: int
    a: int
    b: int
    data: bytes


def own(data: bytes) -> PlainTurned:
    return PlainTurned(*struct.unpack_from("!BHI", data), data[7:][::-1])


def own_built() -> bytes:
    one = PlainTurned(1, 2, 3, DATA)
    return struct.pack("!BHI", one.number, one.a, one.b) + one.data[::-1]


# M8: a link whose frames are stuffed -----------------------------------------------------------------------------


class TimedSerial(Header, through=hdlc()):
    address: U8 = 0xFF
    control: U8 = 3
    protocol: U16 = 5
    body: Payload
    fcs: U16le = auto(crc("CRC-16/IBM-SDLC", "self", "payload"))


@dataclass(slots=True)
class PlainSerial:
    address: int
    control: int
    protocol: int
    fcs: int


SDLC = steps_of(0x8408)


def sdlc(data: bytes) -> int:
    register = 0xFFFF
    for byte in data:
        register = SDLC[(register ^ byte) & 0xFF] ^ register >> 8
    return register ^ 0xFFFF


def serial(data: bytes) -> tuple[PlainSerial, bytes]:
    if data[:1] != b"\x7e" or data[-1:] != b"\x7e":
        raise ValueError("no frame")
    first, *others = data[1:-1].split(b"\x7d")
    frame = b"".join([first, *(bytes((other[0] ^ 0x20,)) + other[1:] for other in others)])
    if len(frame) < 6:
        raise ValueError("no whole frame")
    return PlainSerial(*struct.unpack_from("!BBH", frame), *struct.unpack_from("<H", frame, len(frame) - 2)), frame[4:-2]


def serial_built() -> bytes:
    one = PlainSerial(0xFF, 3, 5, 0)
    body = struct.pack("!BBH", one.address, one.control, one.protocol) + DATA + b"\x7e\x7d"
    one.fcs = sdlc(body)
    body += struct.pack("<H", one.fcs)
    return b"\x7e" + body.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e") + b"\x7e"


LINES = [
    Line("M8", "through zlib", TimedPacked, lambda: TimedPacked(body=TimedBody(number=7, text=WORDS.encode())), packed, packed_built),
    Line("M8", "through xor with a key", TimedMasked, lambda: TimedMasked(text=WORDS), masked, masked_built),
    Line("M8", "through byte stuffing", TimedStuffed, lambda: TimedStuffed(data=STUFFED), stuffed_read, stuffed_built),
    Line("M8", "through base64", TimedLetters, lambda: TimedLetters(data=DATA, other=b"hello"), letters, letters_built),
    Line("M8", "through AEAD", TimedSealed, lambda: TimedSealed(text=WORDS), sealed, sealed_built),
    Line("M8", "through zlib where a flag says so", TimedMaybe, lambda: TimedMaybe(packed=1, text=WORDS, other="hello"), maybe, maybe_built),
    Line("M8", "through functions of your own", TimedTurned, lambda: TimedTurned(a=2, b=3, data=DATA), own, own_built),
    Line("M8", "a link whose frames are stuffed", TimedSerial, lambda: TimedSerial() / (DATA + b"\x7e\x7d"), serial, serial_built, payload=True),
]  # fmt: skip
