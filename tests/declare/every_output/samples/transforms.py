"""What goes through a transform (M8)."""

from __future__ import annotations

from packetlab import (
    S8,
    S16,
    U8,
    U16,
    U32,
    U64,
    Bytes,
    Ether,
    Header,
    Payload,
    Rest,
    Text,
    U16le,
    aead,
    auto,
    base64,
    before,
    cobs,
    crc,
    field,
    hdlc,
    named,
    secret,
    size_of,
    sized,
    through,
    when,
    xor,
    zlib,
)
from tests.declare.every_output.sample import Sample


class RowBody(Header):
    number: U32 = 0
    crc: U32 = auto(crc("CRC-32/ISO-HDLC", "self"))


class RowPacked(Header, under=Ether, when={"type": 0x7C51}):
    length: U16 = auto(size_of("body"))
    body: RowBody = through(zlib(), sized(field("length"), RowBody()))
    end: U8 = 7


class RowNullable(Header, under=Ether, when={"type": 0x7C5B}):
    size: S16 = auto(size_of("data"))
    data: Bytes | None = through(zlib(), sized(field("size"), none=-1))
    more: U8 = auto(size_of("body") + 1)
    body: RowBody | None = through(xor(5), sized(field("more") - 1, none=-1))
    count: S8 = auto(size_of("list"))
    list: tuple[RowBody, ...] | None = through(base64(), sized(field("count"), none=-1))


class RowAsking(Header):
    kind: U8 = 0
    more: U16 | None = when(field("^.long") == 1, 5)
    again: U8 | None = when(before("kind") == 2, 3)


class RowAnswering(Header, under=Ether, when={"type": 0x7CE9}):
    long: U8 = 0
    size: U8 = auto(size_of("some"))
    some: tuple[RowAsking, ...] = through(xor(0x55), sized(field("size"), ()))


class RowMasked(Header, under=Ether, when={"type": 0x7C52}):
    size: U8 = auto(size_of("text"))
    key: U32 = 0x37FA213D
    text: Text = through(xor(field("key")), sized(field("size"), ""))


class RowStuffed(Header, under=Ether, when={"type": 0x7C53}):
    size: U8 = auto(size_of("data"))
    data: Bytes = through(cobs(), sized(field("size"), b""))
    end: U8 = 7


class RowLetters(Header, under=Ether, when={"type": 0x7C54}):
    size: U8 = auto(size_of("data"))
    data: Bytes = through(base64(), sized(field("size"), b""))


class RowSealed(Header, under=Ether, when={"type": 0x7C55}):
    sequence: U64 = 1
    length: U16 = auto(size_of("text"))
    text: Text = through(
        aead("AES-GCM", key=secret("row"), nonce=field("sequence"), aad="self"), sized(field("length"), "")
    )


def turned(data: bytes) -> bytes:
    if data == b"?":
        raise ValueError("no question is turned")
    return data[::-1]


class RowTurned(Header, under=Ether, when={"type": 0x7C56}):
    number: U8 = 1
    data: Rest = through(named("turned", turned, turned))


class RowMaybe(Header, under=Ether, when={"type": 0x7C5E}):
    packed: U8 = 0
    size: U8 = auto(size_of("text"))
    text: Text = through(zlib(), sized(field("size"), ""), when=field("packed"))


class RowSerial(Header, through=hdlc()):
    address: U8 = 0xFF
    protocol: U16 = 5
    body: Payload
    fcs: U16le = auto(crc("CRC-16/IBM-SDLC", "self", "payload"))


ROWS = [
    Sample("M8", "through zlib", RowPacked, [RowPacked(body=RowBody(number=7)), RowPacked(body=RowBody(number=70000), end=1)], [("0003 616263 07", "body"), ("0005 61", "body")]),
    Sample("M8", "through, or none", RowNullable, [RowNullable(data=b"ab"), RowNullable(body=RowBody(number=5), list=[RowBody(), RowBody(number=7)])], [
        ("0003 616263 00 ff", "data"), ("ffff 03 6162 ff", "body"), ("ffff 00 02 2a2a", "list"),
    ]),
    Sample("M8", "through xor, by what is around", RowAnswering, [
        RowAnswering(long=1, some=[RowAsking(kind=2), RowAsking(more=7)]), RowAnswering(long=0, some=[RowAsking(kind=1)]),
    ], [("01 01 55", "some")]),
    Sample("M8", "through xor with a key", RowMasked, [RowMasked(text="Hello"), RowMasked(text="x", key=1)], [("05 37fa213d 7f", "text"), ("01 00000000 ff", "text")]),
    Sample("M8", "through byte stuffing", RowStuffed, [RowStuffed(data=b"a\0b"), RowStuffed(data=b"c", end=1)], [("02 0961 07", "data")]),
    Sample("M8", "through base64", RowLetters, [RowLetters(data=b"hello"), RowLetters(data=b"x")], [("02 2a2a", "data")]),
    Sample("M8", "through AEAD", RowSealed, [RowSealed(text="hello"), RowSealed(text="x", sequence=2)], [("0000000000000001 0002 6162", "text")]),
    Sample("M8", "through zlib where a flag says so", RowMaybe, [RowMaybe(text="hello"), RowMaybe(packed=1, text="x" * 40)], [("01 02 6161", "text")]),
    Sample("M8", "through functions of your own", RowTurned, [RowTurned(data=b"abc"), RowTurned(number=2, data=b"xy")], [("01 3f", "data")], open=True),
    Sample("M8", "a link whose frames are stuffed", RowSerial, [RowSerial(), RowSerial(protocol=0x7E7D)], [("7eff7e", "protocol")],
           lambda header: header / b"abc", open=True, linktype=147),
]  # fmt: skip
