"""What other rows leave out: transforms and checksums by all their names, sizes of payloads, and what says what follows."""

from __future__ import annotations

from typing import Annotated

from packetlab import (
    S8,
    U8,
    U16,
    U32,
    Bytes,
    Ether,
    Header,
    Payload,
    Text,
    adler32,
    ahead,
    at,
    auto,
    base16,
    bind,
    ble_whitened,
    choose,
    cipher,
    computed,
    const,
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
    has,
    left,
    many,
    next_protocol,
    offset_of,
    pad,
    reply,
    request,
    sctp_checksum,
    secret,
    size_inside,
    size_of,
    sized,
    slip,
    sum16,
    sum32,
    text,
    through,
    value_of,
    when,
    whitened,
    xns_checksum,
    xor8,
    zstd,
)
from packetlab.declare.values.digits import SpelledDigits
from tests.declare.every_output.sample import Sample


class RowNamedSums(Header, under=Ether, when={"type": 0x7C46}):
    number: U32 = 1
    word: U16 = auto(sum16("number", negate=True))
    double: U32 = auto(sum32("number", invert=True))
    adler: U32 = auto(adler32("number"))
    plain: U32 = auto(crc32("number"))
    castagnoli: U32 = auto(crc32c("number"))


class RowSCTP(Header, under=Ether, when={"type": 0x7C48}):
    tag: U32 = 1
    checksum: U32 = auto(sctp_checksum("self"))


class RowXNS(Header, under=Ether, when={"type": 0x7C49}):
    checksum: U16 = auto(xns_checksum("length"))
    length: U16 = 8


class RowSpelledSum(Header, under=Ether, when={"type": 0x7C47}):
    start: Annotated[bytes, fixed_bytes(1)] = const(b"$")
    body: Text = ended(b"*", "")
    check: Annotated[int, digits(16, width=2, upper=True)] = auto(xor8(value_of("body")))


class RowUnsent(Header, under=Ether, when={"type": 0x7CE2}):
    kind: U8 = 0
    extra: U16 = computed(choose(field("kind") == 0, 0x1234, 0xFEDC))
    size: U8 = auto(size_of("payload"))
    body: Payload
    check: U16 = auto(crc("CRC-16/MCRF4XX", "kind", "payload", "extra"))


class RowShort(Header, under=Ether, when={"type": 0x7C57}):
    sizes: U8 = auto(size_of("first"))
    first: Bytes = through(deflate(), sized(field("sizes"), b""))
    more: U8 = auto(size_of("second"))
    second: Bytes = through(gzip(), sized(field("more"), b""))
    most: U8 = auto(size_of("third"))
    third: Bytes = through(zstd(), sized(field("most"), b""))
    inside: U16 = auto(size_inside("third"))


class RowCiphered(Header, under=Ether, when={"type": 0x7C58}):
    nonce: Annotated[bytes, fixed_bytes(16)] = bytes(range(16))
    size: U8 = auto(size_of("stream"))
    stream: Bytes = through(cipher("AES-CTR", key=secret("row"), nonce=field("nonce")), sized(field("size"), b""))
    more: U8 = auto(size_of("blocks"))
    blocks: Bytes = through(cipher("AES-CBC", key=secret("row"), nonce=field("nonce")), sized(field("more"), b""))


class RowWhitened(Header, under=Ether, when={"type": 0x7C59}):
    channel: U8 = 37
    size: U8 = auto(size_of("air"))
    air: Bytes = through(ble_whitened(field("channel")), sized(field("size"), b""))
    more: U8 = auto(size_of("radio"))
    radio: Bytes = through(whitened(), sized(field("more"), b""))


class RowHexed(Header, under=Ether, when={"type": 0x7C5A}):
    size: U8 = auto(size_of("letters"))
    letters: Bytes = through(base16(), sized(field("size"), b""))
    more: U8 = auto(size_of("line"))
    line: Bytes = through(slip(), sized(field("more"), b""))


class RowBounded(Header, under=Ether, when={"type": 0x7C0F}, payload_size=field("size")):
    magic: Bytes = const(b"PK")
    size: U16 = auto(size_of("payload"))
    kind: U8 = 0
    body: Payload


class RowAsked(Header, under=Ether, when={"type": 0x7C10}, answers=(request.number == reply.number) & (request.follows == reply.follows)):
    number: U16 = 1
    follows: U8 = auto(next_protocol("rows of this page"))


class RowFirst(Header, under=RowAsked, when={"follows": 9}):
    value: U8 = 0x40


class RowSecond(Header):
    value: U8 = 0x80


bind(RowSecond, under=RowAsked, when=(field("number") == 7) & (ahead(1) == 1))


class RowSmall(Header):
    kind: U8 = 1
    size: U8 = auto(size_of("data"))
    data: Bytes = b""


class RowFilled(Header, under=Ether, when={"type": 0x7C5C}):
    size: U8 = auto(size_of("items"))
    items: tuple[RowSmall, ...] = many(size=field("size"), align=4, since="self", fill=b"\xff", value=(RowSmall(),))
    count: S8 = auto(count_of("numbers"))
    numbers: tuple[U16, ...] | None = many(count=field("count"), none=-1)


class RowPlaced(Header):
    size: U8 = auto(size_of("value"))
    where: U8 = auto(offset_of("value", since="RowAround"))
    value: Bytes = at(field("where"), sized(field("size"), b""), since="RowAround")
    filler: Bytes = pad(4, since="RowAround")


class RowAround(Header, under=Ether, when={"type": 0x7C5D}):
    count: U8 = auto(count_of("entries"))
    entries: tuple[RowPlaced, ...] = many(count=field("count"))


class RowLeft(Header, under=Ether, when={"type": 0x7C65}):
    size: U8 = auto(size_of("self"))
    id: U16 = 1
    code: U8 | None = when(left())
    more: U16 | None = when(left(), auto(size_of("text")))
    text: Bytes | None = when(has("more"), sized(field("more")))


class RowSaid(Header, under=Ether, when={"type": 0x7C5F}):
    number: Annotated[int, digits(signed=True, before=b";")] = ended(b" ", 0)
    words: Annotated[str, text(rest=True)] = ""


ROWS = [
    Sample("M1", "a list by its size, filled up, or none", RowFilled, [RowFilled(items=[RowSmall(data=b"abc"), RowSmall()], numbers=[1, 2]), RowFilled(numbers=[])], [
        ("04 01056162 00", "items"), ("00 02 0001", "numbers"),
    ]),
    Sample("M5", "signed digits, text that is the rest", RowSaid, [RowSaid(number=-70, words="hello"), RowSaid(number=5), RowSaid(number=SpelledDigits.of(-7, b"-07;a=b"))], [("353bff20", "number"), ("3b3520", "number"), ("2d20", "number"), ("3520ff", "words")], open=True),
    Sample("M9", "places since a header around", RowAround, [RowAround(entries=[RowPlaced(value=b"a"), RowPlaced(value=b"bcdef")]), RowAround()], [("01 01 09 61", "entries"), ("02 00 03 00", "entries")]),
    Sample("M7", "sums by name: Adler, CRC-32, CRC-32C", RowNamedSums, [RowNamedSums(number=300), RowNamedSums(number=1 << 31)], [("00000001 0000", "double")]),
    Sample("M7", "the sum of SCTP", RowSCTP, [RowSCTP(), RowSCTP(tag=70000)], [("00000001 00", "checksum")]),
    Sample("M7", "the sum of XNS", RowXNS, [RowXNS(), RowXNS(length=500)], [("00", "checksum")]),
    Sample("M7", "a sum that takes in what is not sent", RowUnsent, [RowUnsent(), RowUnsent(kind=5)], [("01 05 61", "size")], lambda header: Ether() / header / b"media"),
    Sample("M7", "a checksum in digits", RowSpelledSum, [RowSpelledSum(body="GPGLL,5300.97914"), RowSpelledSum(body="x")], [("24612a5a5a", "check"), ("2461", "body")]),
    Sample("M8", "through deflate, gzip, zstd", RowShort, [RowShort(first=b"hello", second=b"hello" * 9, third=b"world" * 9), RowShort(third=b"x")], [("02 6161 00 00 0000", "first"), ("02 0300 02 6161 00 0000", "second")]),
    Sample("M8", "through ciphers", RowCiphered, [RowCiphered(stream=b"hello", blocks=b"world" * 5), RowCiphered(stream=b"x", nonce=bytes(16))], [("00" * 16 + "00 02 6161", "blocks")]),
    Sample("M8", "through whitening", RowWhitened, [RowWhitened(air=b"hello", radio=b"world"), RowWhitened(channel=5, air=b"x")], [("ff 01 61 00", "air")]),
    Sample("M8", "through base16, SLIP", RowHexed, [RowHexed(letters=b"hello", line=b"wor\xc0ld"), RowHexed(line=b"\xdb")], [("02 2a2a 00", "letters"), ("00 01 db", "line")]),
    Sample("also", "payload_size=, a magic", RowBounded, [RowBounded(), RowBounded(kind=5)], [("504c 0003 00", "magic"), ("504b 00", "size")], lambda header: Ether() / header / b"abc"),
    Sample("also", "what is there if bytes are left", RowLeft, [RowLeft(), RowLeft(code=5), RowLeft(code=7, text=b"abc")], [("05 0001 07 00", "more"), ("07 0001 07 0003 61", "text")]),
    Sample("also", "next_protocol, ahead, answers=", RowAsked, [RowAsked(), RowAsked(number=7)], [("00", "number")]),
]  # fmt: skip
