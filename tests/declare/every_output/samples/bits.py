"""Free bits and checksums (M6, M7)."""

from __future__ import annotations

from typing import Annotated

from packetlab import (
    U1,
    U2,
    U3,
    U4,
    U5,
    U7,
    U8,
    U12,
    U16,
    U32,
    Bytes,
    Ether,
    Header,
    IPv4Address,
    Payload,
    QuicInt,
    U16le,
    VarInt,
    ZigZagInt,
    auto,
    bcd,
    bits,
    but,
    choose,
    count_of,
    crc,
    digits,
    field,
    fixed_bytes,
    fletcher,
    has,
    internet_checksum,
    iso_fletcher,
    left,
    many,
    must,
    size_of,
    sized,
    span,
    spare_bits,
    sum8,
    when,
    width_of,
    xor8,
    zeroed,
)
from tests.declare.every_output.sample import Sample


class RowLowBits(Header, under=Ether, when={"type": 0x7C31}, bit_order="low"):
    handle: U12 = 0
    boundary: U2 = 0
    broadcast: U2 = 0
    length: U16le = auto(size_of("data"))
    data: Bytes = b""


class RowOptionalBits(Header, under=Ether, when={"type": 0x7C32}):
    aimed: U1 = auto(has("angle"))
    angle: U12 = when(field("aimed"))
    weapon: U4 = 0
    spare: int = spare_bits()
    end: U8 = 7


class RowStep(Header, in_bits=True):
    up: U1 = 0
    far: U12 = 0


class RowBitLists(Header, under=Ether, when={"type": 0x7C33}):
    count: U4 = auto(count_of("grades"))
    grades: tuple[U4, ...] = many(count=field("count"))
    steps: U4 = auto(count_of("way"))
    way: tuple[RowStep, ...] = many(count=field("steps"))
    spare: int = spare_bits()


class RowWidths(Header, under=Ether, when={"type": 0x7C34}):
    width: U5 = auto(width_of("value"))
    value: Annotated[int, bits(field("width"))] = 0
    spare: int = spare_bits()
    end: U8 = 7


class RowSpare(Header, under=Ether, when={"type": 0x7C35}):
    kind: U3 = 1
    more: U1 = auto(has("extra"))
    extra: U8 | None = when(field("more"))
    spare: int = spare_bits()


class RowWide(Header, under=Ether, when={"type": 0x7C36}):
    cookie: Annotated[int, bits(128)] = 1 << 127
    nonce: Annotated[int, bits(96, little=True)] = 5
    end: U8 = 7


class RowAfter(Header, under=Ether, when={"type": 0x7DF3}):
    size: U8 = must(field("size") == left() - 2, auto(size_of("data")))
    low: U8 = must(field("low") <= field("high"), 1)
    high: U8 = 5
    data: Bytes = sized(field("size"), b"")


class RowObeying(Header, under=Ether, when={"type": 0x7C37}):
    version: U4 = must(field("version").one_of(1, 2), 1)
    reserved: U4 = must(field("reserved") == 0, 0)
    hops: U8 = must((field("hops") >= 1) & (field("hops") <= 16), 1)
    flag: U8 = 0
    extra: U16 | None = when(field("flag") & 1, must(field("extra") < 1000 * field("hops"), 7))
    size: U8 = must(field("size") < 200, auto(size_of("data")))
    data: Bytes = b""


class RowCRC(Header, under=Ether, when={"type": 0x7C41}):
    address: U8 = 1
    function: U8 = 3
    size: U8 = auto(size_of("data"))
    data: Bytes = b""
    own: U16 = auto(crc(16, span("address", "size"), poly=0x1021, init=0x1D0F))
    crc: U16le = auto(crc("CRC-16/MODBUS", span("function", "data")))


class RowCodedBits(Header, under=Ether, when={"type": 0x7C4D}):
    flags: U4 = 5
    size: VarInt = auto(size_of("data"))
    stream: QuicInt = 7
    meter: Annotated[int, bcd(4)] = 12
    status: Annotated[int, digits(width=3)] = 200
    delta: ZigZagInt | None = when(field("flags") == 3, -70)
    more: U4 = 1
    data: Bytes = sized(field("size"), b"")


class RowSummedPart(Header):
    number: U16 = 1
    age: U8 = 7
    size: U8 = auto(size_of("text"))
    text: Bytes = b""


class RowSumOfPart(Header, under=Ether, when={"type": 0x7C4E}):
    head: RowSummedPart = RowSummedPart()
    kind: U8 = 9
    sum: U16 = auto(crc("CRC-16/MODBUS", span("head", "kind"), but("head.age")))
    also: U16 = auto(crc("CRC-16/MODBUS", "head.number", "kind", zeroed("kind")))


class RowCRCOfBits(Header, under=Ether, when={"type": 0x7C4C}, bit_order="low"):
    pid: U8 = 0x2D
    address: U7 = 0
    endpoint: U4 = 0
    crc: U5 = auto(crc("CRC-5/USB", span("address", "endpoint")))


class RowSums(Header, under=Ether, when={"type": 0x7C42}):
    number: U16 = 1
    data: Payload
    lrc: U8 = auto(sum8("number", "payload", negate=True))
    bcc: U8 = auto(xor8("number", "payload"))
    check: U16 = auto(fletcher(16, "number", "payload"))


class RowLeavingOut(Header, under=Ether, when={"type": 0x7C43}):
    version: U8 = 2
    router: IPv4Address = "10.0.0.1"  # type: ignore[assignment]
    checksum: U16 = auto(internet_checksum("self", but("authentication"), zeroed("second")))
    authentication: Annotated[bytes, fixed_bytes(8)] = b"password"
    second: U32 = auto(crc("CRC-32/ISO-HDLC", "self", zeroed("router")))


class RowCheckBytes(Header, under=Ether, when={"type": 0x7C44}):
    age: U16 = 1
    router: IPv4Address = "10.0.0.1"  # type: ignore[assignment]
    checksum: U16 = auto(iso_fletcher("self", but("age")))
    sequence: U32 = 0x80000001


class RowSumOrNone(Header, under=Ether, when={"type": 0x7C45}):
    kind: U8 = 1
    router: IPv4Address = "10.0.0.1"  # type: ignore[assignment]
    checksum: U16 = auto(choose(field("kind") == 2, 0xFFFF, internet_checksum("self", zeroed("second"))))
    second: U32 = auto(choose({"kind": (1, 2)}, crc("CRC-32/ISO-HDLC", "self"), 7))


ROWS = [
    Sample("M6", "the lowest bit first", RowLowBits, [RowLowBits(handle=0x123, boundary=2, data=b"ab"), RowLowBits(broadcast=1)], [("2321 0500 61", "data"), ("23", "handle")]),
    Sample("M6", "optional bits", RowOptionalBits, [RowOptionalBits(angle=0xABC, weapon=5), RowOptionalBits(weapon=9)], [("d5", "angle")]),
    Sample("M6", "lists of bits, headers in bits", RowBitLists, [
        RowBitLists(grades=(1, 2, 3), way=(RowStep(far=5), RowStep(up=1, far=6))), RowBitLists(grades=(7,)),
    ], [("51", "grades"), ("02 00", "way")]),
    Sample("M6", "a width that a field gives", RowWidths, [RowWidths(value=5), RowWidths(value=0x12345, end=1)], [("ff 00", "value")]),
    Sample("M6", "spare bits", RowSpare, [RowSpare(extra=5), RowSpare(kind=2)], [("30", "extra")]),
    Sample("M6", "numbers of more than 64 bits", RowWide, [RowWide(), RowWide(cookie=3, nonce=1 << 90)], [("00" * 17, "nonce")]),
    Sample("also", "a value that obeys what stands after it", RowAfter, [RowAfter(data=b"ab"), RowAfter(low=3, high=3)], [
        ("01 01 05 61 62", "size"), ("01 05 04 61", "low")]),
    Sample("also", "a value that obeys a rule", RowObeying, [RowObeying(version=2, hops=16, flag=1, extra=999, data=b"ab"), RowObeying(hops=3)], [
        ("30 01 00 00", "version"), ("11 01 00 00", "reserved"), ("10 00 00 00", "hops"), ("10 01 01 03e8 00", "extra"), ("10 01 00 ff 61", "size"),
    ]),
    Sample("M6", "coded numbers at any bit", RowCodedBits, [RowCodedBits(data=b"x" * 130, flags=3), RowCodedBits(data=b"y", stream=70000, meter=9999)], [
        ("5f ffffffffffffffffffff", "size"), ("50", "size"), ("500c", "stream"), ("5000 71c1 2323 0301", "meter"), ("5000 7001 23a3 0301", "status"),
    ]),
    Sample("M7", "CRCs over spans", RowCRC, [RowCRC(data=b"hello"), RowCRC(address=9)], [("01 03 05 61", "data")]),
    Sample("M7", "a sum over a part of a header in a field", RowSumOfPart, [RowSumOfPart(kind=3), RowSumOfPart(head=RowSummedPart(number=2, text=b"ab"))], [("0001 07 05 61", "head")]),
    Sample("M7", "CRCs of bits", RowCRCOfBits, [RowCRCOfBits(address=5, endpoint=3), RowCRCOfBits(address=127)], [("01", "address")]),
    Sample("M7", "sums, xor, Fletcher", RowSums, [RowSums(number=300), RowSums(number=2)], [("00", "number")]),
    Sample("M7", "a checksum that leaves a part out", RowLeavingOut, [RowLeavingOut(), RowLeavingOut(version=3, authentication=b"secret!!")], [("02 0a000001 0000 00", "authentication")]),
    Sample("M7", "a checksum that is not always there", RowSumOrNone, [RowSumOrNone(kind=2), RowSumOrNone(kind=3), RowSumOrNone(kind=1)], [("02 0a000001 ffff 00", "second")]),
    Sample("M7", "check bytes (ISO 8473)", RowCheckBytes, [RowCheckBytes(), RowCheckBytes(age=7, sequence=5)], [("0001 0a000001 00", "checksum")]),
]  # fmt: skip
