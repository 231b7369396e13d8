"""Fields that classes take apart (`inside=`), as tshark reads them with the dissector that is written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

import pytest

from packetlab import (
    U1,
    U4,
    U7,
    U8,
    U16,
    U32,
    Bytes,
    Ether,
    Frame,
    Header,
    Packet,
    Rest,
    Writer,
    auto,
    bindings,
    count_of,
    crc,
    ended,
    field,
    has,
    labels,
    many,
    must,
    pad,
    size_of,
    sized,
    spare_bits,
    text,
    when,
)
from tests.conftest import need
from tests.export.pdml import Tshark, compare
from tests.export.test_wireshark_places import damaged


@pytest.mark.slow
def test_options_of_many_kinds(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class InOption(Header):
            kind: U8 = 0
            length: U8 = auto(size_of("self"))
            data: Bytes = b""

        class InSegment(InOption, inside="data", when={"kind": 2}, label="mss={value} of kind {kind}"):
            value: U16 = 536

        class InSmall(InSegment, when={"value": 7}):
            """One of those whose number is 7."""

        class InPair(Header):
            a: U8 = 0
            b: U8 = must(field("b") < 100, 0)

        class InCounted(InOption, inside="data", when={"kind": 5}):
            n: U8 = auto(size_of("pairs"))
            pairs: tuple[InPair, ...] = many()
            more: U8 | None = when(field("^.length") > 6, 1)

        class InOpen(InOption, inside="data", when=field("kind").one_of(6, 7)):
            pairs: tuple[InPair, ...] = many(align=4)

        class InTree(InOption, inside="data", when={"kind": 9}):
            options: tuple[InOption, ...] = many()

        class InFine(InOption, inside="data", when={"kind": 11}):
            sort: U8 = 0
            body: Rest = b""

        class InFiner(InFine, inside="body", when={"sort": 3}):
            x: U4 = 1
            y: U4 = 2

        class InFurther(InFine, when={"sort": 4}):
            """Nothing more, but a class of its own."""

        class InHolder(Header, under=Ether, when={"type": 0x7AE1}):
            size: U8 = auto(size_of("options"))
            options: tuple[InOption, ...] = many()
            own: InSegment = InSegment()

        options: list[InOption] = [
            InSegment(value=1460), InSmall(), InCounted(pairs=[InPair(a=1, b=2)]), InOpen(kind=7, pairs=[InPair(b=100), InPair()]),
            InOpen(pairs=[InPair(a=3)]), InTree(options=[InSegment(), InTree(options=[InOption(kind=2, data=b"x"), InSmall()])]),
            InFiner(x=5), InFurther(body=b"zz"), InFine(sort=9), InOption(kind=99, data=b"q"),
        ]  # fmt: skip
        packets = [Ether() / InHolder(options=[one, InSegment()]) for one in options] + [Ether() / InHolder(options=options)]
        tshark = Tshark(tmp_path, InHolder)
        compare(tshark, [*damaged(packets, 81)])
        capture = tmp_path / "options.pcap"
        with Writer(capture) as writer:
            for packet in packets:
                writer.write(bytes(packet))
        found = tshark.run(capture, "-Y", "insegment.value == 1460 || infiner.x == 5", "-T", "fields", "-e", "frame.number")
        assert found.split() == ["1", "7", "11"]
        assert "InOption [inoption] InSegment mss=1460 of kind 2: kind: 2, length: 4, data: 05b4, value: 1460" in tshark.run(capture, "-V")


def test_a_header_of_its_own_and_bytes_that_are_ended_by_a_delimiter(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class InLine(Header, under=Ether, when={"type": 0x7AE2}):
            kind: U8 = 0
            name: Annotated[str, text("latin-1", size=4)] = "none"
            data: Bytes = ended(b"\r\n", b"")

        class InNumbers(InLine, inside="data", when=field("name") == "numb", label="{x} and {name}"):
            x: U16 = 1
            rest: Rest = b""

        class InNames(InLine, inside="data", when=(field("name") == "name") & (field("kind") == 4)):
            first: Annotated[str, labels(compress=True, since="InLine")] = "a"
            check: U16 = auto(crc("CRC-16/XMODEM", "first"))

        packets: list[Packet] = [Ether() / InNumbers(x=0x4142, rest=b"cd"), Ether() / InNames(name="name", kind=4, first="lab.example"), Ether() / InLine(data=b"z")]
        tshark = Tshark(tmp_path, InLine)
        compare(tshark, [*damaged(packets, 82)])
        capture = tmp_path / "line.pcap"
        with Writer(capture) as writer:
            writer.write(bytes(packets[0]))
        assert tshark.run(capture).split()[-4:] == ["InNumbers", "16706", "and", "numb"]
        tshark = Tshark(tmp_path, InNumbers)  # by itself: its base, which becomes it
        compare(tshark, packets)


def test_bytes_at_any_bit_bytes_that_may_be_absent_and_fillers(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class InBits(Header, under=Ether, when={"type": 0x7AE3}):
            kind: U4 = 0
            flag: U1 = auto(has("data"))
            size: U7 = auto(size_of("data"))
            data: Bytes | None = when(field("flag"), sized(field("size")))
            spare: int = spare_bits()

        class InWord(InBits, inside="data", when={"kind": 2}):
            value: U16 = 7

        class InFilled(InBits, inside="data", when={"kind": 3}):
            a: U8 = 1
            filler: Bytes = pad(4)
            b: U32 = 9

        packets: list[Packet] = [Ether() / InWord(value=0x1234), Ether() / InFilled(), Ether() / InBits(), Ether() / InBits(kind=3, data=b"abc")]
        compare(Tshark(tmp_path, InBits), [*damaged(packets, 83)])


def test_headers_in_headers_of_their_sort(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class InFolder(Header):
            name: U8 = 0
            count: U8 = auto(count_of("folders"))
            folders: tuple[Self, ...] = many()

        class InBox(Header):
            size: U8 = auto(size_of("boxes"))
            boxes: tuple[Self, ...] = many()

        class InTrees(Header, under=Ether, when={"type": 0x7AE4}):
            tree: InFolder = InFolder()
            size: U8 = auto(size_of("boxes"))
            boxes: tuple[InBox, ...] = many()

        tree = InFolder(name=1, folders=[InFolder(name=2, folders=[InFolder(name=3)]), InFolder(name=4)])
        packets = [Ether() / InTrees(tree=tree, boxes=[InBox(), InBox(boxes=[InBox(), InBox(boxes=[InBox()])])])]
        tshark = Tshark(tmp_path, InTrees)
        start = bytes(Ether())[:12] + bytes.fromhex("7ae4")
        deep = [start + b"\0\1" * levels + b"\0\0" + bytes(range(levels, -1, -1)) for levels in (3, 62, 63, 64, 65, 70, 100)]
        compare(tshark, [*damaged(packets, 84), *map(Frame, deep)])
