"""Transforms and checksums by their other names (M7, M8)."""

from __future__ import annotations

import binascii
import struct
import sys
import zlib as z
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Annotated

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from mechanisms.line import Line
from mechanisms.sums import modbus, steps_of
from packetlab import (
    S8,
    S16,
    U4,
    U5,
    U7,
    U8,
    U16,
    U32,
    Bytes,
    Header,
    Text,
    VarInt,
    adler32,
    at,
    auto,
    base16,
    base64,
    bcd,
    ble_whitened,
    but,
    choose,
    cipher,
    computed,
    count_of,
    crc,
    crc32,
    crc32c,
    deflate,
    digits,
    ended,
    field,
    fixed_bytes,
    gzip,
    many,
    offset_of,
    pad,
    sctp_checksum,
    secret,
    size_inside,
    size_of,
    sized,
    slip,
    span,
    sum8,
    sum16,
    sum32,
    text,
    through,
    value_of,
    when,
    whitened,
    xns_checksum,
    xor,
    xor8,
    zlib,
    zstd,
)

if sys.version_info >= (3, 14):
    from compression import zstd as library
else:
    from backports import zstd as library

WORDS = b"some words that are said again, some words that are said again; " * 4
BYTES = bytes(range(100))

# M7: sums by name ------------------------------------------------------------------------------------------------


class TimedNamedSums(Header):
    number: U32 = 300
    data: Annotated[bytes, fixed_bytes(100)] = BYTES
    word: U16 = auto(sum16("number", "data", negate=True))
    double: U32 = auto(sum32("number", "data", invert=True))
    adler: U32 = auto(adler32("number", "data"))
    plain: U32 = auto(crc32("number", "data"))
    castagnoli: U32 = auto(crc32c("number", "data"))


@dataclass(slots=True)
class PlainNamedSums:
    number: int
    data: bytes
    word: int
    double: int
    adler: int
    plain: int
    castagnoli: int


NAMED = struct.Struct("!I100sHIIII")
CASTAGNOLI = steps_of(0x82F63B78)


def castagnoli(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register = CASTAGNOLI[(register ^ byte) & 0xFF] ^ register >> 8
    return register ^ 0xFFFFFFFF


def named_sums(data: bytes) -> PlainNamedSums:
    return PlainNamedSums(*NAMED.unpack_from(data))


def named_sums_built() -> bytes:
    one = PlainNamedSums(300, BYTES, 0, 0, 0, 0, 0)
    counted = struct.pack("!I", one.number) + one.data
    one.word, one.double = -sum(struct.unpack("!52H", counted)) & 0xFFFF, ~sum(struct.unpack("!26I", counted)) & 0xFFFFFFFF
    one.adler, one.plain, one.castagnoli = z.adler32(counted), z.crc32(counted), castagnoli(counted)
    return NAMED.pack(one.number, one.data, one.word, one.double, one.adler, one.plain, one.castagnoli)


# M7: the sum of SCTP ---------------------------------------------------------------------------------------------


class TimedSCTP(Header):
    source: U16 = 1
    destination: U16 = 2
    tag: U32 = 3
    checksum: U32 = auto(sctp_checksum("self"))
    data: Annotated[bytes, fixed_bytes(100)] = BYTES


@dataclass(slots=True)
class PlainSCTP:
    source: int
    destination: int
    tag: int
    checksum: int
    data: bytes


SCTP = struct.Struct("!HHII100s")


def sctp(data: bytes) -> PlainSCTP:
    return PlainSCTP(*SCTP.unpack_from(data))


def sctp_built() -> bytes:
    one = PlainSCTP(1, 2, 3, 0, BYTES)
    found = castagnoli(SCTP.pack(one.source, one.destination, one.tag, 0, one.data))
    one.checksum = int.from_bytes(found.to_bytes(4, "little"), "big")
    return SCTP.pack(one.source, one.destination, one.tag, one.checksum, one.data)


# M7: the sum of XNS ----------------------------------------------------------------------------------------------


class TimedXNS(Header):
    checksum: U16 = auto(xns_checksum("length", "data"))
    length: U16 = 8
    data: Annotated[bytes, fixed_bytes(100)] = BYTES


@dataclass(slots=True)
class PlainXNS:
    checksum: int
    length: int
    data: bytes


XNS = struct.Struct("!HH100s")


def xns(data: bytes) -> PlainXNS:
    return PlainXNS(*XNS.unpack_from(data))


def xns_built() -> bytes:
    one, total = PlainXNS(0, 8, BYTES), 0
    for word in struct.unpack("!51H", struct.pack("!H", one.length) + one.data):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
        total = total << 1 & 0xFFFF | total >> 15
    one.checksum = 0 if total == 0xFFFF else total
    return XNS.pack(one.checksum, one.length, one.data)


# M7: a sum that takes in what is not sent ------------------------------------------------------------------------


class TimedUnsent(Header):
    kind: U8 = 0
    extra: U8 = computed(choose(field("kind") == 0, 50, 124))
    number: U32 = 7
    check: U8 = auto(sum8("kind", "number", "extra"))


@dataclass(slots=True)
class PlainUnsent:
    kind: int
    extra: int
    number: int
    check: int


UNSENT = struct.Struct("!BIB")


def unsent(data: bytes) -> PlainUnsent:
    if len(data) < 6:
        raise ValueError("no whole message")
    kind, number, check = UNSENT.unpack_from(data)
    return PlainUnsent(kind, 124 if kind else 50, number, check)


def unsent_built() -> bytes:
    one = PlainUnsent(0, 50, 7, 0)
    data = UNSENT.pack(one.kind, one.number, 0)
    one.check = sum(data) + one.extra & 0xFF
    return data[:-1] + bytes((one.check,))


# M7: a checksum in digits ----------------------------------------------------------------------------------------


class TimedSpelled(Header):
    body: Text = ended(b"*", "")
    check: Annotated[int, digits(16, width=2, upper=True)] = auto(xor8(value_of("body")))


@dataclass(slots=True)
class PlainSpelled:
    body: str
    check: int


SENTENCE = "GPGLL,5300.97914,N,00259.98174,E,125926,A"


def spelled(data: bytes) -> PlainSpelled:
    body, _, check = data.partition(b"*")
    if len(check) < 2:
        raise ValueError("no whole sentence")
    return PlainSpelled(body.decode(), int(check[:2], 16))


def spelled_built() -> bytes:
    one = PlainSpelled(SENTENCE, 0)
    body = one.body.encode()
    for byte in body:
        one.check ^= byte
    return b"%b*%02X" % (body, one.check)


# M8: through deflate, gzip, zstd ---------------------------------------------------------------------------------


class TimedShort(Header):
    first_size: U16 = auto(size_of("first"))
    first: Bytes = through(deflate(), sized(field("first_size"), b""))
    second_size: U16 = auto(size_of("second"))
    second: Bytes = through(gzip(), sized(field("second_size"), b""))
    third_size: U16 = auto(size_of("third"))
    third: Bytes = through(zstd(), sized(field("third_size"), b""))
    inside: U16 = auto(size_inside("third"))


@dataclass(slots=True)
class PlainShort:
    first_size: int
    first: bytes
    second_size: int
    second: bytes
    third_size: int
    third: bytes
    inside: int


def sized_piece(data: bytes, pos: int) -> tuple[int, bytes, int]:
    (size,) = struct.unpack_from("!H", data, pos)
    piece = data[pos + 2 : pos + 2 + size]
    if len(piece) != size:
        raise ValueError("no whole piece")
    return size, piece, pos + 2 + size


def short(data: bytes) -> PlainShort:
    first_size, first, pos = sized_piece(data, 0)
    second_size, second, pos = sized_piece(data, pos)
    third_size, third, pos = sized_piece(data, pos)
    (inside,) = struct.unpack_from("!H", data, pos)
    return PlainShort(first_size, z.decompress(first, -15), second_size, z.decompress(second, 31), third_size, library.decompress(third), inside)


def packed(data: bytes, wbits: int) -> bytes:
    stream = z.compressobj(-1, z.DEFLATED, wbits)
    return stream.compress(data) + stream.flush()


def short_built() -> bytes:
    pieces = packed(WORDS, -15), packed(WORDS, 31), library.compress(WORDS, 3)
    one = PlainShort(len(pieces[0]), WORDS, len(pieces[1]), WORDS, len(pieces[2]), WORDS, len(WORDS))
    sizes = (struct.pack("!H", size) for size in (one.first_size, one.second_size, one.third_size))
    return b"".join([part for pair in zip(sizes, pieces, strict=True) for part in pair]) + struct.pack("!H", one.inside)


# M8: through ciphers ---------------------------------------------------------------------------------------------


class TimedCiphered(Header):
    nonce: Annotated[bytes, fixed_bytes(16)] = bytes(range(16))
    stream_size: U16 = auto(size_of("stream"))
    stream: Bytes = through(cipher("AES-CTR", key=secret("timed"), nonce=field("nonce")), sized(field("stream_size"), b""))
    blocks_size: U16 = auto(size_of("blocks"))
    blocks: Bytes = through(cipher("AES-CBC", key=secret("timed"), nonce=field("nonce")), sized(field("blocks_size"), b""))


@dataclass(slots=True)
class PlainCiphered:
    nonce: bytes
    stream_size: int
    stream: bytes
    blocks_size: int
    blocks: bytes


KEY = bytes(16)


def ciphered(data: bytes) -> PlainCiphered:
    nonce = data[:16]
    stream_size, stream, pos = sized_piece(data, 16)
    blocks_size, blocks, _ = sized_piece(data, pos)
    work = Cipher(algorithms.AES(KEY), modes.CTR(nonce)).decryptor()
    other = Cipher(algorithms.AES(KEY), modes.CBC(nonce)).decryptor()
    stream, blocks, unpadder = work.update(stream) + work.finalize(), other.update(blocks) + other.finalize(), PKCS7(128).unpadder()
    return PlainCiphered(nonce, stream_size, stream, blocks_size, unpadder.update(blocks) + unpadder.finalize())


def ciphered_built() -> bytes:
    one = PlainCiphered(bytes(range(16)), 0, WORDS, 0, WORDS)
    work = Cipher(algorithms.AES(KEY), modes.CTR(one.nonce)).encryptor()
    other, padder = Cipher(algorithms.AES(KEY), modes.CBC(one.nonce)).encryptor(), PKCS7(128).padder()
    stream = work.update(one.stream) + work.finalize()
    blocks = other.update(padder.update(one.blocks) + padder.finalize()) + other.finalize()
    one.stream_size, one.blocks_size = len(stream), len(blocks)
    return b"".join([one.nonce, struct.pack("!H", one.stream_size), stream, struct.pack("!H", one.blocks_size), blocks])


# M8: through whitening -------------------------------------------------------------------------------------------


class TimedWhitened(Header):
    channel: U8 = 37
    air_size: U16 = auto(size_of("air"))
    air: Bytes = through(ble_whitened(field("channel")), sized(field("air_size"), b""))
    radio_size: U16 = auto(size_of("radio"))
    radio: Bytes = through(whitened(), sized(field("radio_size"), b""))


@dataclass(slots=True)
class PlainWhitened:
    channel: int
    air_size: int
    air: bytes
    radio_size: int
    radio: bytes


def ble_noise(channel: int, size: int) -> bytes:
    """Core Specification, Vol 6 Part B, 3.2: seven cells, of which the last one gives the bit and changes the fourth."""
    cells, found = [1, *(channel >> bit & 1 for bit in (5, 4, 3, 2, 1, 0))], bytearray()
    for _ in range(size):
        byte = 0
        for bit in range(8):
            out = cells[6]
            byte |= out << bit
            cells = [out, *cells[:6]]
            cells[4] ^= out
        found.append(byte)
    return bytes(found)


def pn9_noise(size: int) -> bytes:
    state, found = 0x1FF, bytearray()
    for _ in range(size):
        found.append(state & 0xFF)
        for _ in range(8):
            state = state >> 1 | ((state ^ state >> 5) & 1) << 8
    return bytes(found)


NOISE = {channel: int.from_bytes(ble_noise(channel, len(BYTES)), "big") for channel in range(40)}
PN9 = int.from_bytes(pn9_noise(len(BYTES)), "big")


def mixed(data: bytes, noise: int) -> bytes:
    """With noise that is as long as most frames."""
    size = len(data)
    return (int.from_bytes(data, "big") ^ noise >> 8 * (len(BYTES) - size)).to_bytes(size, "big")


def whitened_read(data: bytes) -> PlainWhitened:
    channel = data[0]
    air_size, air, pos = sized_piece(data, 1)
    radio_size, radio, _ = sized_piece(data, pos)
    return PlainWhitened(channel, air_size, mixed(air, NOISE[channel]), radio_size, mixed(radio, PN9))


def whitened_built() -> bytes:
    one = PlainWhitened(37, len(BYTES), BYTES, len(BYTES), BYTES)
    first, second = mixed(one.air, NOISE[one.channel]), mixed(one.radio, PN9)
    return b"".join([struct.pack("!BH", one.channel, one.air_size), first, struct.pack("!H", one.radio_size), second])


# M8: through base16, SLIP ----------------------------------------------------------------------------------------


class TimedHexed(Header):
    letters_size: U16 = auto(size_of("letters"))
    letters: Bytes = through(base16(), sized(field("letters_size"), b""))
    line_size: U16 = auto(size_of("line"))
    line: Bytes = through(slip(), sized(field("line_size"), b""))


@dataclass(slots=True)
class PlainHexed:
    letters_size: int
    letters: bytes
    line_size: int
    line: bytes


LINE = bytes(range(150, 240))


def hexed(data: bytes) -> PlainHexed:
    letters_size, letters, pos = sized_piece(data, 0)
    line_size, line, _ = sized_piece(data, pos)
    if line[:1] != b"\xc0" or line[-1:] != b"\xc0":
        raise ValueError("no frame of SLIP")
    first, *others = line[1:-1].split(b"\xdb")
    if not all(other[:1] in (b"\xdc", b"\xdd") for other in others):
        raise ValueError("no frame of SLIP")
    line = b"".join([first, *((b"\xc0" if other[0] == 0xDC else b"\xdb") + other[1:] for other in others)])
    return PlainHexed(letters_size, binascii.unhexlify(letters), line_size, line)


def hexed_built() -> bytes:
    letters, line = binascii.hexlify(BYTES), b"\xc0" + LINE.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"
    one = PlainHexed(len(letters), BYTES, len(line), LINE)
    return b"".join([struct.pack("!H", one.letters_size), letters, struct.pack("!H", one.line_size), line])


# M8: through, or none --------------------------------------------------------------------------------------------


class TimedNullable(Header):
    size: S16 = auto(size_of("data"))
    data: Bytes | None = through(zlib(), sized(field("size"), none=-1))
    more: U8 = auto(size_of("masked") + 1)
    masked: Bytes | None = through(xor(5), sized(field("more") - 1, none=-1))
    count: S8 = auto(size_of("letters"))
    letters: Bytes | None = through(base64(), sized(field("count"), none=-1))


@dataclass(slots=True)
class PlainNullable:
    size: int
    data: bytes | None
    more: int
    masked: bytes | None
    count: int
    letters: bytes | None


FIVES = bytes(byte ^ 5 for byte in range(256))


def nullable(data: bytes) -> PlainNullable:
    (size,) = struct.unpack_from("!h", data)
    pos = 2 + max(size, 0)
    inside = None if size < 0 else z.decompress(data[2:pos])
    more = data[pos]
    masked = None if not more else data[pos + 1 : pos + more].translate(FIVES)
    pos += max(more, 1)
    (count,) = struct.unpack_from("!b", data, pos)
    if len(data) < pos + 1 + max(count, 0):
        raise ValueError("no whole message")
    letters = None if count < 0 else b64decode(data[pos + 1 : pos + 1 + count])
    return PlainNullable(size, inside, more, masked, count, letters)


def nullable_built() -> bytes:
    one = PlainNullable(0, WORDS, 0, None, 0, BYTES[:60])
    inside, letters = z.compress(WORDS), b64encode(BYTES[:60])
    one.size, one.count = len(inside), len(letters)
    return b"".join([struct.pack("!h", one.size), inside, struct.pack("!Bb", one.more, one.count), letters])


# M8: through xor, by what is around ------------------------------------------------------------------------------


class TimedInnerItem(Header):
    kind: U8 = 0
    more: U16 | None = when(field("^.long") == 1, 5)


class TimedInner(Header):
    long: U8 = 0
    size: U8 = auto(size_of("some"))
    some: tuple[TimedInnerItem, ...] = through(xor(5), sized(field("size"), ()))


@dataclass(slots=True)
class PlainInnerItem:
    kind: int
    more: int | None


@dataclass(slots=True)
class PlainInner:
    long: int
    size: int
    some: tuple[PlainInnerItem, ...]


def inner_read(data: bytes) -> PlainInner:
    long, size = data[0], data[1]
    inside, some, pos = data[2 : 2 + size].translate(FIVES), list[PlainInnerItem](), 0
    while pos < len(inside):
        if long == 1:
            kind, more = struct.unpack_from("!BH", inside, pos)
            some.append(PlainInnerItem(kind, more))
            pos += 3
        else:
            some.append(PlainInnerItem(inside[pos], None))
            pos += 1
    return PlainInner(long, size, tuple(some))


def inner_built() -> bytes:
    one = PlainInner(1, 0, tuple(PlainInnerItem(kind, 5) for kind in range(4)))
    inside = b"".join(struct.pack("!BH", item.kind, item.more) for item in one.some).translate(FIVES)
    one.size = len(inside)
    return struct.pack("!BB", one.long, one.size) + inside


# M1: a list by its size, filled up, or none ----------------------------------------------------------------------


class TimedSmall(Header):
    kind: U8 = 1
    size: U8 = auto(size_of("data"))
    data: Bytes = b""


class TimedFilled(Header):
    size: U8 = auto(size_of("items"))
    items: tuple[TimedSmall, ...] = many(size=field("size"), align=4, fill=b"\xff")
    count: S8 = auto(count_of("numbers"))
    numbers: tuple[U16, ...] | None = many(count=field("count"), none=-1)


@dataclass(slots=True)
class PlainSmall:
    kind: int
    size: int
    data: bytes


@dataclass(slots=True)
class PlainFilled:
    size: int
    items: tuple[PlainSmall, ...]
    count: int
    numbers: tuple[int, ...] | None


def filled(data: bytes) -> PlainFilled:
    size, pos, items = data[0], 1, []
    while pos <= size and data[pos] != 0xFF:
        length = data[pos + 1]
        items.append(PlainSmall(data[pos], length, data[pos + 2 : pos + 2 + length]))
        pos += 2 + length
    (count,) = struct.unpack_from("!b", data, size + 1)
    numbers = None if count < 0 else struct.unpack_from(f"!{count}H", data, size + 2)
    return PlainFilled(size, tuple(items), count, numbers)


def filled_built() -> bytes:
    items = tuple(PlainSmall(kind, 5, b"hello") for kind in range(1, 9))
    one = PlainFilled(0, items, 3, (1, 2, 3))
    listed = b"".join([struct.pack("!BB", item.kind, item.size) + item.data for item in one.items])
    listed += b"\xff" * (-len(listed) % 4)
    one.size = len(listed)
    return b"".join([bytes((one.size,)), listed, struct.pack("!b3H", one.count, *(one.numbers or ()))])


# M5: signed digits, text that is the rest ------------------------------------------------------------------------


class TimedSaid(Header):
    number: Annotated[int, digits(signed=True)] = ended(b" ", 0)
    words: Annotated[str, text(rest=True)] = ""


@dataclass(slots=True)
class PlainSaid:
    number: int
    words: str


def said(data: bytes) -> PlainSaid:
    number, _, words = data.partition(b" ")
    return PlainSaid(int(number), words.decode())


def said_built() -> bytes:
    one = PlainSaid(-70000, "hello")
    return b"%d %b" % (one.number, one.words.encode())


# M9: places since a header around --------------------------------------------------------------------------------


class TimedPlaced(Header):
    size: U8 = auto(size_of("value"))
    where: U8 = auto(offset_of("value", since="TimedAround"))
    value: Bytes = at(field("where"), sized(field("size"), b""), since="TimedAround")
    filler: Bytes = pad(4, since="TimedAround")


class TimedAround(Header):
    count: U8 = auto(count_of("entries"))
    entries: tuple[TimedPlaced, ...] = many(count=field("count"))


@dataclass(slots=True)
class PlainPlaced:
    size: int
    where: int
    value: bytes
    filler: bytes


@dataclass(slots=True)
class PlainAround:
    count: int
    entries: tuple[PlainPlaced, ...]


def around(data: bytes) -> PlainAround:
    count, pos, entries = data[0], 1, []
    for _ in range(count):
        size, where = data[pos], data[pos + 1]
        end = where + size
        after = end + -end % 4
        if where < pos + 2 or len(data) < after:
            raise ValueError("no whole entry")
        entries.append(PlainPlaced(size, where, data[where:end], data[end:after]))
        pos = after
    return PlainAround(count, tuple(entries))


def around_built() -> bytes:
    one, pos, found = PlainAround(6, ()), 1, []
    for _ in range(one.count):
        end = pos + 7
        entry = PlainPlaced(5, pos + 2, b"hello", bytes(-end % 4))
        found += [bytes((entry.size, entry.where)), entry.value, entry.filler]
        pos = end + len(entry.filler)
    return b"".join([bytes((one.count,)), *found])


# M7: CRCs of bits ------------------------------------------------------------------------------------------------


class TimedToken(Header, bit_order="low"):
    pid: U8 = 0x2D
    address: U7 = 0
    endpoint: U4 = 0
    crc: U5 = auto(crc("CRC-5/USB", span("address", "endpoint")))


@dataclass(slots=True)
class PlainToken:
    pid: int
    address: int
    endpoint: int
    crc: int


def token(data: bytes) -> PlainToken:
    pid, rest = struct.unpack_from("<BH", data)
    return PlainToken(pid, rest & 0x7F, rest >> 7 & 15, rest >> 11)


def token_built() -> bytes:
    one, register = PlainToken(0x2D, 5, 3, 0), 0x1F
    bits = one.address | one.endpoint << 7
    for bit in range(11):
        register = register >> 1 ^ 0x14 * ((register ^ bits >> bit) & 1)
    one.crc = register ^ 0x1F
    return struct.pack("<BH", one.pid, bits | one.crc << 11)


# M5: packed digits in rules --------------------------------------------------------------------------------------


class TimedDecimals(Header):
    kind: Annotated[int, bcd(4, swapped=True)] = 12
    extra: U8 | None = when(field("kind") == 200, 7)
    length: Annotated[int, bcd(4)] = auto(size_of("data"))
    data: Bytes = b""


@dataclass(slots=True)
class PlainDecimals:
    kind: int
    extra: int | None
    length: int
    data: bytes


SWAPPED = bytes(byte >> 4 | (byte & 15) << 4 for byte in range(256))


def decimals(data: bytes) -> PlainDecimals:
    kind, pos, extra = int(data[:2].translate(SWAPPED).hex()), 2, None
    if kind == 200:
        extra, pos = data[2], 3
    length = int(data[pos : pos + 2].hex())
    if len(data) < pos + 2 + length:
        raise ValueError("no whole message")
    return PlainDecimals(kind, extra, length, data[pos + 2 : pos + 2 + length])


def decimals_built() -> bytes:
    one = PlainDecimals(200, 7, len(BYTES), BYTES)
    extra = bytes((one.extra,)) if one.kind == 200 and one.extra is not None else b""
    return b"".join([bytes.fromhex("%04d" % one.kind).translate(SWAPPED), extra, bytes.fromhex("%04d" % one.length), one.data])


# M6: coded numbers at any bit ------------------------------------------------------------------------------------


class TimedCodedBits(Header):
    flags: U4 = 5
    size: VarInt = auto(size_of("data"))
    more: U4 = 1
    data: Bytes = sized(field("size"), b"")


@dataclass(slots=True)
class PlainCodedBits:
    flags: int
    size: int
    more: int
    data: bytes


def coded_bits(data: bytes) -> PlainCodedBits:
    size = shift = pos = 0
    while True:
        byte = (data[pos] & 15) << 4 | data[pos + 1] >> 4
        size |= (byte & 0x7F) << shift
        shift, pos = shift + 7, pos + 1
        if byte < 0x80:
            break
    inside = data[pos + 1 : pos + 1 + size]
    if len(inside) != size:
        raise ValueError("no whole message")
    return PlainCodedBits(data[0] >> 4, size, data[pos] & 15, inside)


def coded_bits_built() -> bytes:
    one = PlainCodedBits(5, len(WORDS), 1, WORDS)
    number, rest, count = one.flags, one.size, 1
    while rest > 0x7F:
        number, rest, count = number << 8 | 0x80 | rest & 0x7F, rest >> 7, count + 1
    return ((number << 8 | rest) << 4 | one.more).to_bytes(count + 1, "big") + one.data


# M7: a sum over a part of a header in a field --------------------------------------------------------------------


class TimedSummedPart(Header):
    number: U16 = 1
    age: U8 = 7
    text: Annotated[bytes, fixed_bytes(40)] = BYTES[:40]


class TimedSumOfPart(Header):
    head: TimedSummedPart = TimedSummedPart()
    kind: U8 = 9
    sum: U16 = auto(crc("CRC-16/MODBUS", span("head", "kind"), but("head.age")))


@dataclass(slots=True)
class PlainSummedPart:
    number: int
    age: int
    text: bytes


@dataclass(slots=True)
class PlainSumOfPart:
    head: PlainSummedPart
    kind: int
    sum: int


SUMMED = struct.Struct("!HB40sBH")


def sum_of_part(data: bytes) -> PlainSumOfPart:
    number, age, inside, kind, found = SUMMED.unpack_from(data)
    return PlainSumOfPart(PlainSummedPart(number, age, inside), kind, found)


def sum_of_part_built() -> bytes:
    one = PlainSumOfPart(PlainSummedPart(1, 7, BYTES[:40]), 9, 0)
    head = one.head
    one.sum = modbus(struct.pack("!H", head.number) + head.text + bytes((one.kind,)))
    return SUMMED.pack(head.number, head.age, head.text, one.kind, one.sum)


LINES = [
    Line("M6", "coded numbers at any bit", TimedCodedBits, lambda: TimedCodedBits(data=WORDS), coded_bits, coded_bits_built),
    Line("M7", "a sum over a part of a header in a field", TimedSumOfPart, TimedSumOfPart, sum_of_part, sum_of_part_built),
    Line("M7", "CRCs of bits", TimedToken, lambda: TimedToken(address=5, endpoint=3), token, token_built),
    Line("M5", "packed digits in rules", TimedDecimals, lambda: TimedDecimals(kind=200, data=BYTES), decimals, decimals_built),
    Line("M1", "a list by its size, filled up, or none", TimedFilled,
         lambda: TimedFilled(items=tuple(TimedSmall(kind=kind, data=b"hello") for kind in range(1, 9)), numbers=(1, 2, 3)), filled, filled_built),
    Line("M5", "signed digits, text that is the rest", TimedSaid, lambda: TimedSaid(number=-70000, words="hello"), said, said_built),
    Line("M9", "places since a header around", TimedAround, lambda: TimedAround(entries=tuple(TimedPlaced(value=b"hello") for _ in range(6))), around, around_built),
    Line("M7", "sums by name: Adler, CRC-32, CRC-32C", TimedNamedSums, TimedNamedSums, named_sums, named_sums_built),
    Line("M7", "the sum of SCTP", TimedSCTP, TimedSCTP, sctp, sctp_built),
    Line("M7", "the sum of XNS", TimedXNS, TimedXNS, xns, xns_built),
    Line("M7", "a sum that takes in what is not sent", TimedUnsent, TimedUnsent, unsent, unsent_built),
    Line("M7", "a checksum in digits", TimedSpelled, lambda: TimedSpelled(body=SENTENCE), spelled, spelled_built),
    Line("M8", "through deflate, gzip, zstd", TimedShort, lambda: TimedShort(first=WORDS, second=WORDS, third=WORDS), short, short_built),
    Line("M8", "through ciphers", TimedCiphered, lambda: TimedCiphered(stream=WORDS, blocks=WORDS), ciphered, ciphered_built),
    Line("M8", "through whitening", TimedWhitened, lambda: TimedWhitened(air=BYTES, radio=BYTES), whitened_read, whitened_built),
    Line("M8", "through base16, SLIP", TimedHexed, lambda: TimedHexed(letters=BYTES, line=LINE), hexed, hexed_built),
    Line("M8", "through xor, by what is around", TimedInner, lambda: TimedInner(long=1, some=[TimedInnerItem(kind=kind, more=5) for kind in range(4)]), inner_read, inner_built),
    Line("M8", "through, or none", TimedNullable, lambda: TimedNullable(data=WORDS, letters=BYTES[:60]), nullable, nullable_built),
]  # fmt: skip
