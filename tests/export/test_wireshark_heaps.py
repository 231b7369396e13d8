"""Items whose bytes lie behind their list, as tshark reads them with the dissector that is written."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated

from packetlab import (
    S16,
    U8,
    U16,
    Bytes,
    Ether,
    Frame,
    Header,
    IPv4Address,
    Rest,
    at,
    auto,
    bindings,
    but,
    choose,
    count_of,
    default,
    dissect,
    field,
    from_end,
    many,
    must,
    offset_of,
    size_of,
    sized,
    sum8,
    text,
)
from tests.conftest import amount, need
from tests.export.pdml import Tshark, compare
from tests.export.test_wireshark_scattered import damaged


def test_blobs_are_read_as_they_lie_and_shown_with_their_items(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class HeapEntry(Header):
            offset: U16 = auto(choose(size_of("blob") > 0, offset_of("blob", since="HeapLoad"), 0))
            size: U8 = auto(size_of("blob"))
            kind: U8 = 1
            blob: Bytes = at(field("offset"), sized(field("size"), b""), since="HeapLoad", within="blobs", align=4)

        class HeapNote(HeapEntry, inside="blob", when={"kind": 2}):
            words: Annotated[str, text(rest=True)] = ""

        class HeapSamples(HeapEntry, inside="blob", when={"kind": 3}):
            rate: U16 = must(field("rate") > 0, 50)
            samples: tuple[S16, ...] = many()

        class HeapHost(HeapEntry, inside="blob", when={"kind": 4}):
            address: IPv4Address = default("10.0.0.1")
            flags: U8 = 0

        class HeapLoad(Header, under=Ether, when={"type": 0x7B5B}):
            count: U8 = auto(count_of("entries"))
            entries: tuple[HeapEntry, ...] = many(count=field("count"))
            blobs: Rest = b""
            sum: U8 = from_end(1, auto(sum8("self", but("sum"))))

        whole = Ether() / HeapLoad(entries=[
            HeapNote(words="wet"), HeapEntry(), HeapSamples(samples=(1, -2, 3)), HeapHost(flags=7), HeapEntry(offset=50, blob=b"late"), HeapEntry(offset=51, blob=b"at"),
        ])  # fmt: skip
        assert not dissect(bytes(whole)).faults
        script = Tshark(tmp_path, HeapLoad)
        (layers,) = script.ask([whole])
        (layer,) = [one for one in layers if one.get("name") == "heapload"]
        blobs = [(int(one.get("pos", "")) - 14, int(one.get("size", ""))) for one in layer.iter("field") if one.get("name") == "heapentry.blob"]
        found = dissect(bytes(whole))[HeapLoad]
        assert [place for place in blobs if place[1]] == [(one.offset, one.size) for one in found.entries if one.size]
        shown = {(one.get("name"), one.get("show")) for one in layer.iter("field")}
        assert {("heapnote.words", "wet"), ("heapsamples.rate", "50"), ("heaphost.address", "10.0.0.1"), ("heaphost.flags", "7")} <= shown

        chance = random.Random(17)
        frames = [*damaged(bytes(whole), chance)]
        for _ in range(amount(150, 1500)):
            count = chance.randrange(4)
            entries = b"".join(bytes((0, chance.randrange(40), chance.choice((0, 1, 2, 4, 5, 9)), chance.randrange(6))) for _ in range(count))
            frames.append(Frame(bytes(12) + b"\x7b\x5b" + bytes((count,)) + entries + chance.randbytes(chance.randrange(24))))
        compare(script, frames)


def test_places_that_count_from_where_the_field_begins_are_read_so(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class HeapWords(Header):
            position: U16 = auto(offset_of("block", since="HeapArea.data") // 4)
            size: U8 = auto(size_of("block") // 4)
            kind: U8 = 1
            block: Bytes = at(field("position") * 4, sized(field("size") * 4, b""), since="HeapArea.data", within="data", align=4, fill=b"\xee")

        class HeapPair(HeapWords, inside="block", when={"kind": 2}):
            first: U16 = 7
            second: U16 = must(field("second") > 0, 9)

        class HeapArea(Header, under=Ether, when={"type": 0x7B5C}):
            count: U8 = auto(count_of("words"))
            words: tuple[HeapWords, ...] = many(count=field("count"))
            data: Rest = b""

        whole = Ether() / HeapArea(words=(HeapPair(position=3), HeapWords(block=b"eight by"), HeapWords()))
        assert not dissect(bytes(whole)).faults
        script = Tshark(tmp_path, HeapArea)
        (layers,) = script.ask([whole])
        (layer,) = [one for one in layers if one.get("name") == "heaparea"]
        blocks = [(int(one.get("pos", "")) - 14, int(one.get("size", ""))) for one in layer.iter("field") if one.get("name") == "heapwords.block"]
        assert blocks[:2] == [(25, 4), (13, 8)]
        chance = random.Random(18)
        frames = [*damaged(bytes(whole), chance)]
        for _ in range(amount(60, 600)):
            count = chance.randrange(4)
            entries = b"".join(bytes((0, chance.randrange(8), chance.randrange(4), chance.randrange(4))) for _ in range(count))
            frames.append(Frame(bytes(12) + b"\x7b\x5c" + bytes((count,)) + entries + chance.randbytes(chance.randrange(24))))
        compare(script, frames)
