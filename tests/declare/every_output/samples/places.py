"""Places, and what packets tell those after them (M9, M10)."""

from __future__ import annotations

import zlib as z
from typing import Annotated, Any

from netaddr import IPAddress

from packetlab import (
    U8,
    U16,
    U32,
    Bytes,
    Ether,
    Header,
    IPv4Address,
    Payload,
    Records,
    Rest,
    Text,
    U16le,
    at,
    auto,
    but,
    choose,
    count_of,
    ended,
    field,
    from_end,
    has,
    labels,
    laid_out,
    many,
    named,
    offset_of,
    pad,
    recalled,
    size_of,
    sized,
    sum8,
    text,
    through,
    when,
)
from tests.declare.every_output.sample import Sample


class RowBuffer(Header):
    size: U16le = 0
    offset: U16le = 0


class RowPlaced(Header, under=Ether, when={"type": 0x7C61}):
    size: U16le = auto(size_of("name"))
    offset: U16le = auto(offset_of("name"))
    other_size: U16le = auto(size_of("other"))
    other_offset: U16le = auto(offset_of("other"))
    last: RowBuffer = RowBuffer()
    name: Annotated[str, text("ascii")] = at(field("offset"), sized(field("size"), ""))
    other: Bytes = at(field("other_offset"), sized(field("other_size"), b""), align=4)
    data: Bytes = at(field("last.offset"), sized(field("last.size"), b""))


class RowThere(Header):
    name: Text = ended(b"\0", "")
    type: U16 = 1


class RowNowhere(Header, under=Ether, when={"type": 0x7C6F}):
    offset: U8 = auto(choose(has("number"), offset_of("number"), 0))
    where: U8 = auto(choose(has("held"), offset_of("held"), 0))
    number: U32 | None = when(field("offset"), at(field("offset"), align=4))
    held: RowThere | None = when(field("where"), at(field("where")))


class RowPadded(Header, under=Ether, when={"type": 0x7C62}):
    size: U8 = auto(size_of("data"))
    data: Bytes = b""
    fill: Bytes = pad(4)
    where: U8 = auto(offset_of("end"))
    gap: Bytes = pad(8, to=field("where"))
    end: U16 = 7
    filled: Bytes = pad(4, fill=b"\xff")


class RowFiller(Header, under=Ether, when={"type": 0x7CE1}):
    size: U8 = auto(1 + size_of("data") + field("filled"))
    filled: U8 = auto(4 + -(size_of("data") + 6) % 8)
    data: Bytes = sized(field("size") - field("filled") - 1, b"")
    filler: Bytes = pad(size=field("filled"), fill=b"\xee")


class RowFromEnd(Header, under=Ether, when={"type": 0x7C63}):
    padding: U8 = auto(has("filler"))
    body: Payload
    filler: Bytes | None = when(field("padding"))
    filled: U8 | None = when(field("padding"), from_end(1, auto(size_of("filler") + 1)))


class RowQuestion(Header):
    name: Annotated[str, labels(since="RowNames", compress=True)] = "."
    type: U16 = 1


class RowNames(Header, under=Ether, when={"type": 0x7C64}):
    id: U16 = 0
    count: U16 = auto(count_of("questions"))
    questions: tuple[RowQuestion, ...] = many()
    owner: Annotated[str, labels(since="self", compress=True)] = "."


class RowTeller(Header, under=Ether, when={"type": 0x7C71}, remembers={("row", field("id")): size_of("cid")}):
    id: U8 = 1
    length: U8 = auto(size_of("cid"))
    cid: Bytes = sized(field("length"), b"")


class RowRecalling(Header, under=Ether, when={"type": 0x7C72}):
    id: U8 = 1
    cid: Bytes = sized(recalled("row", field("id")))
    end: U8 = 7


class RowSpecifier(Header):
    type: U16 = 0
    length: U16 = 0


class RowTemplate(Header, under=Ether, when={"type": 0x7C73}, remembers={("rows", field("template")): field("fields")}):
    template: U16 = 256
    count: U16 = auto(count_of("fields"))
    fields: tuple[RowSpecifier, ...] = many(count=field("count"))


class RowRecords(Header, under=Ether, when={"type": 0x7C74}):
    id: U16 = 256
    length: U16 = auto(size_of("self"))
    records: Records = laid_out(recalled("rows", field("id")), size="length", align=4, kinds={8: IPv4Address, 82: str})


def streams() -> Any:
    return z.decompressobj(), z.compressobj()


def opened(state: Any, data: bytes) -> bytes:
    return bytes(state[0].decompress(data))


def closed(state: Any, data: bytes) -> bytes:
    return bytes(state[1].compress(data) + state[1].flush(z.Z_SYNC_FLUSH))


class RowEntry(Header):
    offset: U16 = auto(choose(size_of("blob") > 0, offset_of("blob", since="RowHeap"), 0))
    size: U8 = auto(size_of("blob"))
    kind: U8 = 1
    blob: Bytes = at(field("offset"), sized(field("size"), b""), since="RowHeap", within="blobs", align=4, fill=b"\xee")


class RowPoint(RowEntry, inside="blob", when={"kind": 4}):
    x: U16 = 0
    y: U8 = 0


class RowHeap(Header, under=Ether, when={"type": 0x7C78}):
    count: U8 = auto(count_of("entries"))
    entries: tuple[RowEntry, ...] = many(count=field("count"))
    blobs: Rest = b""
    sum: U8 = from_end(1, auto(sum8("self", but("sum"))))


class RowGoingOn(Header, under=Ether, when={"type": 0x7C75}):
    id: U8 = 1
    length: U16 = auto(size_of("body"))
    body: Bytes = through(named("row stream", opened, closed, state=streams, key=field("id")), sized(field("length")))


ROWS = [
    Sample("M9", "at an offset", RowPlaced, [RowPlaced(name="lab", other=b"net", data=b"last"), RowPlaced(name="a")], [("0100 0200 0000 0000 0000 0000 61", "name_gap"), ("0500 0c00 0000 0000 0000 0000 61", "name")]),
    Sample("M9", "at an offset, or nowhere", RowNowhere, [RowNowhere(number=7, held=RowThere(name="", type=9)), RowNowhere(held=RowThere(name="a.b", type=1)), RowNowhere(number=1)], [("01 00 00000007", "number_gap"), ("00 01 000001", "held_gap")]),
    Sample("M9", "up to a multiple, up to an offset", RowPadded, [RowPadded(data=b"hello"), RowPadded(data=b"x", end=9)], [("00 000000 02 0007", "gap")]),
    Sample("M9", "as many as a rule says", RowFiller, [RowFiller(data=b"hello"), RowFiller()], [("07 05 61 ee", "filler"), ("03 05 61 ee", "data")]),
    Sample("M9", "counted from the end", RowFromEnd, [RowFromEnd(filler=bytes(3)), RowFromEnd()], [("01 6162 63 40", "filler")], lambda header: Ether() / header / b"media"),
    Sample("M9", "names that point back", RowNames, [
        RowNames(questions=[RowQuestion(name="example.com"), RowQuestion(name="mx.example.com", type=15)], owner="example.com"), RowNames(owner="lab"),
    ], [("0000 0000 c009", "owner"), ("0000 0001 0561", "questions")]),
    Sample("M9", "items whose bytes lie behind the list", RowHeap, [
        RowHeap(entries=[RowEntry(blob=b"hello"), RowEntry(), RowPoint(x=300, y=7)]), RowHeap(entries=[RowEntry(offset=12, blob=b"late"), RowEntry(blob=b"ab")]), RowHeap(),
    ], [("01 0005 05 01 006968 dd", "entries"), ("01 0003 02 01 006968 dc", "entries"), ("01 0005 02 04 6869 dd", "entries"), ("02 0000 00 01", "entries")]),
    Sample("M10", "a size from an earlier packet", RowRecalling, [RowRecalling(cid=b"abc"), RowRecalling(cid=b"xyz", end=1)], [("01 6162", "cid"), ("02 616263 07", "cid")],
           told=[RowTeller(cid=b"123")]),
    Sample("M10", "records laid out by templates", RowRecords, [
        RowRecords(records=[{8: IPAddress("10.0.0.1"), 1: 70000, 82: "eth0"}]), RowRecords(records=[{8: IPAddress("10.0.0.2"), 1: 1, 82: ""}]),
    ], [("0100 0010 0a", "length"), ("0101 0008 0a000001", "records")],
        told=[RowTemplate(fields=[RowSpecifier(type=8, length=4), RowSpecifier(type=1, length=3), RowSpecifier(type=82, length=65535)])]),
    Sample("M10", "compression that goes on", RowGoingOn, [RowGoingOn(body=b"the same words again, again"), RowGoingOn(id=2, body=b"other words")], [("01 0003 616263", "body")],
           told=[RowGoingOn(id=9, body=b"x")], stateful=True),
]  # fmt: skip
