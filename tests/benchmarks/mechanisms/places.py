"""Places, and what packets leave to those after them (M9, M10)."""

from __future__ import annotations

import struct
import zlib as z
from dataclasses import dataclass
from ipaddress import IPv4Address as Address
from typing import Annotated, Any

from mechanisms.line import Line
from packetlab import (
    U8,
    U16,
    U32,
    Bytes,
    Header,
    IPv4Address,
    Payload,
    Records,
    Rest,
    U16le,
    U32le,
    at,
    auto,
    choose,
    count_of,
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
    text,
    through,
    when,
)

# M9: at an offset ------------------------------------------------------------------------------------------------


class TimedPlaced(Header):
    size: U16le = auto(size_of("name"))
    offset: U32le = auto(offset_of("name"))
    other_size: U16le = auto(size_of("other"))
    other_offset: U32le = auto(offset_of("other"))
    third_size: U16le = auto(size_of("third"))
    third_offset: U32le = auto(offset_of("third"))
    name: Annotated[str, text("utf-16-le")] = at(field("offset"), sized(field("size"), ""))
    other: Annotated[str, text("utf-16-le")] = at(field("other_offset"), sized(field("other_size"), ""), align=4)
    third: Bytes = at(field("third_offset"), sized(field("third_size"), b""), align=4)


@dataclass(slots=True)
class PlainPlaced:
    size: int
    offset: int
    other_size: int
    other_offset: int
    third_size: int
    third_offset: int
    name: str
    other: str
    third: bytes


PLACED = struct.Struct("<HIHIHI")


def lying(data: bytes, offset: int, size: int) -> bytes:
    if offset < 18 or offset + size > len(data):
        raise ValueError("no such place")
    return data[offset : offset + size]


def placed(data: bytes) -> PlainPlaced:
    size, offset, other_size, other_offset, third_size, third_offset = PLACED.unpack_from(data)
    name, other = lying(data, offset, size).decode("utf-16-le"), lying(data, other_offset, other_size).decode("utf-16-le")
    return PlainPlaced(size, offset, other_size, other_offset, third_size, third_offset, name, other, lying(data, third_offset, third_size))


def placed_built() -> bytes:
    name, other, third = "lab".encode("utf-16-le"), "network".encode("utf-16-le"), bytes(24)
    gap = bytes(-(18 + len(name)) % 4)
    second = 18 + len(name) + len(gap)
    other_gap = bytes(-(second + len(other)) % 4)
    last = second + len(other) + len(other_gap)
    one = PlainPlaced(len(name), 18, len(other), second, len(third), last, "lab", "network", third)
    first = PLACED.pack(one.size, one.offset, one.other_size, one.other_offset, one.third_size, one.third_offset)
    return b"".join([first, name, gap, other, other_gap, third])


# M9: at an offset, or nowhere ------------------------------------------------------------------------------------


class TimedNowhere(Header):
    offset: U16 = auto(choose(has("number"), offset_of("number"), 0))
    other_offset: U16 = auto(choose(has("other"), offset_of("other"), 0))
    third_offset: U16 = auto(choose(has("third"), offset_of("third"), 0))
    number: U32 | None = when(field("offset") != 0, at(field("offset"), align=4))
    other: U32 | None = when(field("other_offset") != 0, at(field("other_offset")))
    third: U32 | None = when(field("third_offset") != 0, at(field("third_offset"), align=8))


@dataclass(slots=True)
class PlainNowhere:
    offset: int
    other_offset: int
    third_offset: int
    number: int | None
    other: int | None
    third: int | None


NOWHERE, WORD = struct.Struct("!HHH"), struct.Struct("!I")


def word(data: bytes, offset: int, least: int) -> int | None:
    if not offset:
        return None
    if not least <= offset <= len(data) - 4:
        raise ValueError("no such place")
    found: int = WORD.unpack_from(data, offset)[0]
    return found


def nowhere(data: bytes) -> PlainNowhere:
    offset, other_offset, third_offset = NOWHERE.unpack_from(data)
    number = word(data, offset, 6)
    other = word(data, other_offset, offset + 4 if offset else 6)
    third = word(data, third_offset, max(6, offset + 4 if offset else 0, other_offset + 4 if other_offset else 0))
    return PlainNowhere(offset, other_offset, third_offset, number, other, third)


def nowhere_built() -> bytes:
    one, gap = PlainNowhere(0, 0, 0, 7, None, 9), bytes(-6 % 4)
    one.offset = 6 + len(gap)
    third_gap = bytes(-(one.offset + 4) % 8)
    one.third_offset = one.offset + 4 + len(third_gap)
    return b"".join([NOWHERE.pack(one.offset, one.other_offset, one.third_offset), gap, WORD.pack(one.number), third_gap, WORD.pack(one.third)])


# M9: as many as a rule says --------------------------------------------------------------------------------------


class TimedFiller(Header):
    size: U8 = auto(1 + size_of("data") + field("padding"))
    padding: U8 = auto(4 + -(size_of("data") + 6) % 8)
    data: Bytes = sized(field("size") - field("padding") - 1, b"")
    filler: Bytes = pad(size=field("padding"))


@dataclass(slots=True)
class PlainFiller:
    size: int
    padding: int
    data: bytes
    filler: bytes


def filler(data: bytes) -> PlainFiller:
    size, padding = data[0], data[1]
    end = 1 + size
    if padding >= size or len(data) < end:
        raise ValueError("no whole packet")
    return PlainFiller(size, padding, data[2 : end - padding], data[end - padding : end])


def filler_built() -> bytes:
    one = PlainFiller(0, 0, b"some words of a packet", b"")
    one.padding = 4 + -(len(one.data) + 6) % 8
    one.size = 1 + len(one.data) + one.padding
    one.filler = bytes(one.padding)
    return bytes((one.size, one.padding)) + one.data + one.filler


# M9: up to a multiple, up to an offset ---------------------------------------------------------------------------


class TimedPadded(Header):
    size: U8 = auto(size_of("data"))
    data: Bytes = b""
    fill: Bytes = pad(4)
    second: U8 = auto(size_of("other"))
    other: Bytes = b""
    more: Bytes = pad(4)
    where: U8 = auto(offset_of("end"))
    gap: Bytes = pad(8, to=field("where"))
    end: U16 = 7
    filled: Bytes = pad(4, fill=b"\xff")


@dataclass(slots=True)
class PlainPadded:
    size: int
    data: bytes
    fill: bytes
    second: int
    other: bytes
    more: bytes
    where: int
    gap: bytes
    end: int
    filled: bytes


def padded(data: bytes) -> PlainPadded:
    size = data[0]
    pos = 1 + size
    first, after = data[1:pos], pos + -pos % 4
    fill, second = data[pos:after], data[after]
    pos = after + 1 + second
    other, later = data[after + 1 : pos], pos + -pos % 4
    more, where = data[pos:later], data[later]
    if where < later + 1:
        raise ValueError("no such place")
    (end,) = struct.unpack_from("!H", data, where)
    filled = data[where + 2 : where + 2 + -(where + 2) % 4]
    if len(filled) != -(where + 2) % 4:
        raise ValueError("no whole message")
    return PlainPadded(size, first, fill, second, other, more, where, data[later + 1 : where], end, filled)


def padded_built() -> bytes:
    first, second = b"hello", b"some words"
    fill = bytes(-(1 + len(first)) % 4)
    pos = 1 + len(first) + len(fill) + 1 + len(second)
    more = bytes(-pos % 4)
    pos += len(more) + 1
    gap = bytes(-pos % 8)
    where = pos + len(gap)
    one = PlainPadded(len(first), first, fill, len(second), second, more, where, gap, 9, b"\xff" * (-(where + 2) % 4))
    head = [bytes((one.size,)), one.data, one.fill, bytes((one.second,)), one.other, one.more, bytes((one.where,))]
    return b"".join([*head, one.gap, struct.pack("!H", one.end), one.filled])


# M9: counted from the end ----------------------------------------------------------------------------------------


class TimedFromEnd(Header):
    padding: U8 = auto(has("filler"))
    type: U8 = 96
    sequence: U16 = 1
    timestamp: U32 = 0
    source: U32 = 0
    body: Payload
    filler: Bytes | None = when(field("padding"))
    filled: U8 | None = when(field("padding"), from_end(1, auto(size_of("filler") + 1)))


@dataclass(slots=True)
class PlainFromEnd:
    padding: int
    type: int
    sequence: int
    timestamp: int
    source: int
    filler: bytes | None
    filled: int | None


FROM_END = struct.Struct("!BBHII")


def from_end_read(data: bytes) -> tuple[PlainFromEnd, bytes]:
    one = PlainFromEnd(*FROM_END.unpack_from(data), None, None)
    if not one.padding:
        return one, data[12:]
    one.filled = data[-1]
    end = len(data) - one.filled
    if not one.filled or end < 12:
        raise ValueError("no such padding")
    one.filler = data[end:-1]
    return one, data[12:end]


def from_end_built() -> bytes:
    one = PlainFromEnd(1, 96, 1, 0, 0, bytes(3), 4)
    parts = [FROM_END.pack(one.padding, one.type, one.sequence, one.timestamp, one.source), b"media"]
    if one.filler is not None and one.filled is not None:
        parts += [one.filler, bytes((one.filled,))]
    return b"".join(parts)


# M9: names that point back ---------------------------------------------------------------------------------------


class TimedQuestion(Header):
    name: Annotated[str, labels(since="TimedNames", compress=True)] = "."
    type: U16 = 1


class TimedNames(Header):
    id: U16 = 0
    count: U16 = auto(count_of("questions"))
    questions: tuple[TimedQuestion, ...] = many()


@dataclass(slots=True)
class PlainQuestion:
    name: str
    type: int


@dataclass(slots=True)
class PlainNames:
    id: int
    count: int
    questions: tuple[PlainQuestion, ...]


DOMAINS = ("example.com", "mx.example.com", "www.example.com", "lab.net", "a.lab.net", "example.com", "b.www.example.com", "lab.net")


def name_read(data: bytes, pos: int) -> tuple[str, int]:
    found, after, jumps = [], 0, 0
    while True:
        size = data[pos]
        if size >= 192:
            after = after or pos + 2
            pos, jumps = (size & 63) << 8 | data[pos + 1], jumps + 1
            if jumps > 63:
                raise ValueError("names that go on for ever")
        elif size > 63 or pos + size >= len(data):
            raise ValueError("no whole name")
        elif size:
            found.append(data[pos + 1 : pos + 1 + size].decode("ascii"))
            pos += 1 + size
        else:
            return ".".join(found) or ".", after or pos + 1


def names(data: bytes) -> PlainNames:
    number, count = struct.unpack_from("!HH", data)
    pos, found = 4, []
    for _ in range(count):
        name, pos = name_read(data, pos)
        found.append(PlainQuestion(name, *struct.unpack_from("!H", data, pos)))
        pos += 2
    return PlainNames(number, count, tuple(found))


def name_packed(name: str, pos: int, known: dict[str, int]) -> bytes:
    found = b""
    while name and name != ".":
        if name in known:
            return found + struct.pack("!H", 0xC000 | known[name])
        if pos + len(found) < 0x4000:
            known[name] = pos + len(found)
        label, _, name = name.partition(".")
        raw = label.encode("ascii")
        if not 0 < len(raw) < 64:
            raise ValueError("no label")
        found += bytes((len(raw),)) + raw
    return found + b"\0"


def names_built() -> bytes:
    one = PlainNames(0, len(DOMAINS), tuple([PlainQuestion(name, 1) for name in DOMAINS]))
    found, known = bytearray(struct.pack("!HH", one.id, one.count)), dict[str, int]()
    for question in one.questions:
        found += name_packed(question.name, len(found), known)
        found += struct.pack("!H", question.type)
    return bytes(found)


# M9: items whose bytes lie behind the list -----------------------------------------------------------------------


class TimedEntry(Header):
    offset: U32 = auto(offset_of("blob", since="TimedHeap"))
    size: U16 = auto(size_of("blob"))
    kind: U16 = 1
    blob: Bytes = at(field("offset"), sized(field("size"), b""), since="TimedHeap", within="blobs", align=8)


class TimedHeap(Header):
    count: U32 = auto(count_of("entries"))
    entries: tuple[TimedEntry, ...] = many(count=field("count"))
    blobs: Rest = b""


@dataclass(slots=True)
class PlainEntry:
    offset: int
    size: int
    kind: int
    blob: bytes


@dataclass(slots=True)
class PlainHeap:
    count: int
    entries: tuple[PlainEntry, ...]
    blobs: bytes


def heap(data: bytes) -> PlainHeap:
    (count,) = struct.unpack_from("!I", data)
    begin, found = 4 + 8 * count, []
    for offset, size, kind in struct.iter_unpack("!IHH", data[4:begin]):
        if size and (offset < begin or offset + size > len(data)):
            raise ValueError("no whole blob")
        found.append(PlainEntry(offset, size, kind, data[offset : offset + size]))
    if len(found) < count:
        raise ValueError("no whole directory")
    return PlainHeap(count, tuple(found), data[begin:])


def heap_built() -> bytes:
    end, body, entries = 4 + 8 * 4, b"", []
    for blob in (b"hello", b"some words", bytes(16), b"more"):
        body += bytes(-end % 8)
        end += -end % 8
        entries.append(PlainEntry(end, len(blob), 1, blob))
        body, end = body + blob, end + len(blob)
    one = PlainHeap(len(entries), tuple(entries), body)
    return b"".join([struct.pack("!I", one.count), *(struct.pack("!IHH", entry.offset, entry.size, entry.kind) for entry in one.entries), one.blobs])


# M10: a size from an earlier packet ---------------------------------------------------------------------------------------


class TimedTeller(Header, remembers={("timed", field("id")): size_of("cid")}):
    id: U8 = 1
    length: U8 = auto(size_of("cid"))
    cid: Bytes = sized(field("length"), b"")


class TimedRecalling(Header):
    id: U8 = 1
    flags: U8 = 0
    number: U16 = 5
    cid: Bytes = sized(recalled("timed", field("id")))
    other: Bytes = sized(recalled("timed", field("id")))
    end: U8 = 7


@dataclass(slots=True)
class PlainRecalling:
    id: int
    flags: int
    number: int
    cid: bytes
    other: bytes
    end: int


SIZES = {1: 8}


def recalling(data: bytes) -> PlainRecalling:
    which, flags, number = struct.unpack_from("!BBH", data)
    after = 4 + SIZES[which]
    return PlainRecalling(which, flags, number, data[4:after], data[after : 2 * after - 4], data[2 * after - 4])


def recalling_built() -> bytes:
    one = PlainRecalling(1, 0, 5, bytes(8), bytes(range(8)), 7)
    if len(one.cid) != SIZES[one.id] or len(one.other) != SIZES[one.id]:
        raise ValueError("another size")
    return b"".join([struct.pack("!BBH", one.id, one.flags, one.number), one.cid, one.other, bytes((one.end,))])


# M10: records laid out by templates ------------------------------------------------------------------------------


class TimedSpecifier(Header):
    type: U16 = 0
    length: U16 = 0


class TimedTemplate(Header, remembers={("timed rows", field("template")): field("fields")}):
    template: U16 = 256
    count: U16 = auto(count_of("fields"))
    fields: tuple[TimedSpecifier, ...] = many(count=field("count"))


class TimedRecords(Header):
    id: U16 = 256
    length: U16 = auto(size_of("self"))
    records: Records = laid_out(recalled("timed rows", field("id")), size="length", align=4, kinds={8: IPv4Address})


@dataclass(slots=True)
class PlainRecords:
    id: int
    length: int
    records: tuple[dict[int, int | Address], ...]


LAYOUT = {256: [(8, 4), (1, 4), (2, 2), (7, 2), (4, 1)]}
ROWS = [{8: Address(0x0A000000 + n), 1: 70000 + n, 2: n, 7: 80, 4: 6} for n in range(8)]


def records(data: bytes) -> PlainRecords:
    which, length = struct.unpack_from("!HH", data)
    layout = LAYOUT[which]
    width = sum(size for _, size in layout)
    if len(data) < length:
        raise ValueError("no whole set")
    pos, found = 4, []
    while pos + width <= length:
        row: dict[int, int | Address] = {}
        for kind, size in layout:
            row[kind] = Address(data[pos : pos + 4]) if kind == 8 else int.from_bytes(data[pos : pos + size], "big")
            pos += size
        found.append(row)
    return PlainRecords(which, length, tuple(found))


def records_built() -> bytes:
    layout = LAYOUT[256]
    size = 4 + len(ROWS) * sum(size for _, size in layout)
    one = PlainRecords(256, size + -size % 4, tuple(ROWS))
    parts = [struct.pack("!HH", one.id, one.length)]
    for row in one.records:
        for kind, width in layout:
            value = row[kind]
            parts.append(value.packed if isinstance(value, Address) else value.to_bytes(width, "big"))
    return b"".join([*parts, bytes(-size % 4)])


def timed_template() -> TimedTemplate:
    return TimedTemplate(fields=[TimedSpecifier(type=kind, length=size) for kind, size in LAYOUT[256]])


# M10: compression that goes on -----------------------------------------------------------------------------------


def streams() -> Any:
    return z.decompressobj(), z.compressobj()


def opened(state: Any, data: bytes) -> bytes:
    return bytes(state[0].decompress(data))


def closed(state: Any, data: bytes) -> bytes:
    return bytes(state[1].compress(data) + state[1].flush(z.Z_SYNC_FLUSH))


class TimedGoingOn(Header):
    id: U8 = 1
    length: U16 = auto(size_of("body"))
    body: Bytes = through(named("timed stream", opened, closed, state=streams, key=field("id")), sized(field("length")))


@dataclass(slots=True)
class PlainGoingOn:
    id: int
    length: int
    body: bytes


BODIES = [b"the same words again, again", b"other words again", b"the same words, the same words"]


def going_on(data: bytes) -> list[PlainGoingOn]:
    states: dict[int, Any] = {}
    pos, found = 0, []
    while pos < len(data):
        which, length = struct.unpack_from("!BH", data, pos)
        pos += 3 + length
        if pos > len(data):
            raise ValueError("no whole body")
        if which not in states:
            states[which] = z.decompressobj()
        found.append(PlainGoingOn(which, length, states[which].decompress(data[pos - length : pos])))
    return found


def going_on_built() -> bytes:
    states: dict[int, Any] = {}
    parts = []
    for body in BODIES:
        one = PlainGoingOn(1, 0, body)
        if one.id not in states:
            states[one.id] = z.compressobj()
        inside = states[one.id].compress(one.body) + states[one.id].flush(z.Z_SYNC_FLUSH)
        one.length = len(inside)
        parts += [struct.pack("!BH", one.id, one.length), inside]
    return b"".join(parts)


LINES = [
    Line("M9", "at an offset", TimedPlaced, lambda: TimedPlaced(name="lab", other="network", third=bytes(24)), placed, placed_built),
    Line("M9", "at an offset, or nowhere", TimedNowhere, lambda: TimedNowhere(number=7, third=9), nowhere, nowhere_built),
    Line("M9", "as many as a rule says", TimedFiller, lambda: TimedFiller(data=b"some words of a packet"), filler, filler_built),
    Line("M9", "up to a multiple, up to an offset", TimedPadded, lambda: TimedPadded(data=b"hello", other=b"some words", end=9), padded, padded_built),
    Line("M9", "counted from the end", TimedFromEnd, lambda: TimedFromEnd(filler=bytes(3)) / b"media", from_end_read, from_end_built, payload=True),
    Line("M9", "names that point back", TimedNames, lambda: TimedNames(questions=[TimedQuestion(name=name) for name in DOMAINS]), names, names_built),
    Line("M9", "items whose bytes lie behind the list", TimedHeap, lambda: TimedHeap(entries=[TimedEntry(blob=blob) for blob in (b"hello", b"some words", bytes(16), b"more")]), heap, heap_built),
    Line("M10", "a size from an earlier packet", TimedRecalling, lambda: TimedRecalling(cid=bytes(8), other=bytes(range(8))), recalling, recalling_built,
         told=lambda: TimedTeller(cid=bytes(8))),
    Line("M10", "records laid out by templates", TimedRecords, lambda: TimedRecords(records=ROWS), records, records_built, told=timed_template),
    Line("M10", "compression that goes on", TimedGoingOn, lambda: [TimedGoingOn(body=body) for body in BODIES], going_on, going_on_built, fresh=True),
]  # fmt: skip
