"""Values that are none of their kind, and sizes that no packet comes near to: the faults of tshark are those of packetlab."""

from __future__ import annotations

import random
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import pytest

from packetlab import (
    U3,
    U4,
    U5,
    U8,
    U16,
    U64,
    Bytes,
    Capture,
    Ether,
    Header,
    Named,
    Payload,
    Rest,
    Text,
    U64le,
    VarInt,
    Writer,
    at,
    auto,
    bcd,
    bindings,
    bits,
    const,
    count_of,
    digits,
    ended,
    field,
    many,
    offset_of,
    size_of,
    sized,
    spare_bits,
    sum8,
    text,
)
from tests.conftest import need
from tests.export.pdml import Tshark, compare
from tests.export.test_wireshark_places import damaged

ENCODINGS = ("ascii", "latin-1", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "cp1252", "cp437", "koi8-r")
HUGE = [(1 << 53) - 1, (1 << 53) + 1, (1 << 60) + 3, (1 << 61) - 1, (1 << 63) + 5, (1 << 64) - 1]


def test_sizes_that_no_packet_comes_near_to(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class HugeSized(Header, under=Ether, when={"type": 0x7BC0}):
            n: U64 = auto(size_of("data"))
            data: Bytes = sized(field("n"), b"")

        class HugeLess(Header, under=Ether, when={"type": 0x7BC1}):
            n: U64 = auto(size_of("data") * 5 + 3)
            data: Bytes = sized((field("n") - 3) // 5, b"")

        class HugeTimes(Header, under=Ether, when={"type": 0x7BC2}):
            n: U64le = auto(size_of("data") // 4)
            data: Bytes = sized(field("n") * 4, b"")

        class HugeOwn(Header, under=Ether, when={"type": 0x7BC3}):
            n: U64 = auto(size_of("self"))
            data: Bytes = b""

        class HugePayload(Header, under=Ether, when={"type": 0x7BC4}):
            n: U64 = auto(size_of("payload") + 7)
            payload: Payload
            end: U8 = 1

        class HugeItem(Header):
            v: U8 = 0

        class HugeCount(Header, under=Ether, when={"type": 0x7BC5}):
            n: U64 = auto(count_of("items"))
            items: tuple[HugeItem, ...] = many(count=field("n"))

        class HugeValues(Header, under=Ether, when={"type": 0x7BC6}):
            n: U64 = auto(count_of("values"))
            values: tuple[VarInt, ...] = many(count=field("n"))

        class HugePlace(Header, under=Ether, when={"type": 0x7BC7}):
            n: U64 = auto(offset_of("value"))
            value: U8 = at(field("n"), 1)

        class HugeBits(Header, under=Ether, when={"type": 0x7BC8}):
            a: U3 = 0
            n: U64 = auto(count_of("numbers"))
            numbers: tuple[U5, ...] = many(count=field("n"))
            spare: int = spare_bits()

        class HugeBytes(Header, under=Ether, when={"type": 0x7BC9}):
            a: U3 = 0
            n: U64 = auto(size_of("data"))
            data: Bytes = sized(field("n"), b"")
            spare: int = spare_bits()

        class HugeNumber(Header, under=Ether, when={"type": 0x7BCA}):
            n: Annotated[int, bits(96)] = auto(size_of("data"))
            data: Bytes = sized(field("n"), b"")

        classes: list[Any] = [
            HugeSized, HugeLess, HugeTimes, HugeOwn, HugePayload, HugeCount, HugeValues, HugePlace, HugeBits, HugeBytes, HugeNumber,
        ]  # fmt: skip
        frames = []
        for place, cls in enumerate(classes):
            start = bytes(Ether())[:12] + (0x7BC0 + place).to_bytes(2, "big")
            for number in HUGE:
                order = "little" if cls is HugeTimes else "big"
                shift = 5 if cls in (HugeBits, HugeBytes) else 0
                size = 12 if cls is HugeNumber else 9 if shift else 8
                frames += [start + (number << shift + more).to_bytes(size, order) + b"abc" for more in ((0, 4, 20) if size == 12 else (0,))]
        tshark = Tshark(tmp_path, *classes)
        compare(tshark, frames)


def letters(encoding: str, chance: random.Random) -> bytes:
    """Return bytes that are nearly text in an encoding."""
    some = "aé€\U0001f600\ud7ff\ufffd "
    found = b"".join(chance.choice(some).encode(encoding, "replace") for _ in range(4))
    at = chance.randrange(len(found) + 1)
    return found[:at] + chance.choice((b"", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xd8\x00", b"\xdc", b"\0")) + found[at:]


@pytest.mark.parametrize("encoding", ["utf-8", *(pytest.param(one, marks=pytest.mark.slow) for one in ENCODINGS)])
def test_bytes_that_are_no_text(tmp_path: Path, encoding: str) -> None:
    need("tshark")
    chance = random.Random(encoding)
    unit = len("a".encode(encoding))
    with bindings():

        class BadText(Header, under=Ether, when={"type": 0x7BD0}):
            size: U8 = auto(size_of("open"))
            open: Annotated[str, text(encoding)] = ""
            fixed: Annotated[str, text(encoding, size=8, pad=bytes(unit))] = "ab"
            last: Annotated[str, text(encoding)] = ended("\n".encode(encoding), "z")
            rest: Rest = b""

        frames: list[Any] = [Ether() / BadText(open="hello")]
        start = bytes(Ether())[:12] + bytes.fromhex("7bd0")
        for _ in range(150):
            first, second, third = (letters(encoding, chance) for _ in range(3))
            frames.append(start + bytes([len(first)]) + first + second[:8].ljust(8, b"\0") + third + "\n".encode(encoding) + b"more")
        compare(Tshark(tmp_path, BadText), frames)


def test_text_after_the_payload_and_of_several_bytes_a_letter(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class BadEnd(Header, under=Ether, when={"type": 0x7BD2}):
            size: U8 = auto(size_of("payload"))
            payload: Payload
            name: Annotated[str, text(size=4, pad=b" ")] = "ab"
            check: U8 = auto(sum8("name"))

        class BadLetters(Header, under=Ether, when={"type": 0x7BD3}):
            letters: Annotated[str, text("shift_jis", size=2)] = "\u3042"

        tshark = Tshark(tmp_path, BadEnd, BadLetters)
        compare(tshark, [*damaged([Ether() / BadEnd() / b"abc"], 92)])
        capture = tmp_path / "letters.pcap"
        with Writer(capture) as writer:
            writer.write(bytes(Ether() / BadLetters()))
        assert "letters: 82a0 (text, shift_jis, not looked at)" in tshark.run(capture, "-V")


def test_digits_that_are_none(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class BadDigits(Header, under=Ether, when={"type": 0x7BD1}):
            plain: Annotated[str, bcd(4)] = "0123"
            number: Annotated[int, bcd(4, swapped=True)] = 7
            phone: Annotated[str, bcd(5, swapped=True, filler=15)] = "123"
            few: Annotated[int, bcd(4, filler=12)] = 9
            n: U8 = auto(count_of("list"))
            list: tuple[Annotated[str, bcd(2)], ...] = many(count=field("n"))
            words: tuple[Annotated[str, text("ascii", size=2)], ...] = many()

        packets = [Ether() / BadDigits(list=["12", "99"], words=("ab", "cd"))]
        compare(Tshark(tmp_path, BadDigits), [*damaged(packets, 91)])


def test_packed_digits_are_filtered_by_what_they_spell(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class Packed(Header, under=Ether, when={"type": 0x7BD5}, label="{n} {swapped} {few} {code}"):
            n: Annotated[int, bcd(4)] = 7
            swapped: Annotated[int, bcd(4, swapped=True)] = 1234
            few: Annotated[int, bcd(3, filler=15)] = 9
            big: Annotated[int, bcd(18)] = 123456789012345678
            huge: Annotated[int, bcd(20)] = 12345678901234567890
            code: Annotated[str, bcd(6)] = "000012"
            size: U8 = auto(size_of("phone"))
            phone: Annotated[str, bcd(swapped=True, filler=15)] = sized(field("size"), "12345")
            mark: Annotated[int, bcd(4)] = const(12)
            a: U4 = 1
            at_bit: Annotated[int, bcd(2)] = 12
            text_at_bit: Annotated[str, bcd(2)] = "12"
            b: U4 = 1

        packets = [Ether() / Packed(), Ether() / Packed(n=1234, swapped=21, few=123, big=7, huge=5, code="123456", phone="", at_bit=99)]
        no_digits = bytearray(bytes(packets[0]))
        no_digits[14] = 0x1C
        tshark = Tshark(tmp_path, Packed)
        compare(tshark, [*packets, bytes(no_digits), *damaged(packets, 94)])
        frames = [*map(bytes, packets), bytes(no_digits)]
        capture = tmp_path / "packed.pcap"
        with Writer(capture) as writer:
            for frame in frames:
                writer.write(frame)
        filters = [
            "n == 7", "n < 50", "n >= 0", "n == 0007", "n in {7,8}", "n.raw == 1c:07", "n.raw == 00:07", "swapped == 21", "swapped > 1000",
            "few == 9", "few > 100", "big > 123456789012345677", "huge == 5", 'code == "000012"', 'phone == "12345"', "mark == 12",
            "at_bit == 12", "at_bit > 90", 'text_at_bit == "12"',
        ]  # fmt: skip
        holds = {one: [frames.index(bytes(frame)) + 1 for frame in Capture(capture).where(f"packed.{one}")] for one in filters}
        assert (holds["n == 7"], holds["n >= 0"], holds["n.raw == 1c:07"], holds["swapped == 21"]) == ([1], [1, 2], [3], [2])
        each = [[f"frame.number == {n}", *(f"packed.{one}" if n in found else f"!(packed.{one})" for one, found in holds.items())] for n in (1, 2, 3)]
        found = tshark.run(capture, "-Y", " || ".join(f"({' && '.join(one)})" for one in each), "-T", "fields", "-e", "frame.number")
        assert found.split() == ["1", "2", "3"]
        for line, frame in zip(tshark.run(capture).splitlines(), Capture(capture), strict=True):
            assert line.endswith(frame.packet().summary().rpartition(" / ")[2])


class Step(IntEnum):
    ASK = 100
    ANSWER = 110


def test_names_of_digits_are_shown_beside_them(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class Stepped(Header, under=Ether, when={"type": 0x7BD6}, label="{step} {digits}"):
            step: Annotated[Named[Step], bcd(4)] = Step.ASK
            digits: Annotated[Named[Step], digits(width=3)] = Step.ASK
            mark: Annotated[Named[Step], bcd(4)] = const(Step.ANSWER)
            text: Annotated[Named[Step], digits(width=3)] = const(Step.ANSWER)

        packets = [Ether() / Stepped(), Ether() / Stepped(step="ANSWER", digits=7, mark=100, text=100)]
        tshark = Tshark(tmp_path, Stepped)
        compare(tshark, [*packets, *damaged(packets, 95)])
        capture = tmp_path / "steps.pcap"
        with Writer(capture) as writer:
            writer.write(packets[1])
        shown = tshark.run(capture, "-V")
        assert "step: 110 (ANSWER)" in shown and "digits: 7\n" in shown and "expected ANSWER (0110) at offset 19, got ASK (0100)" in shown
        assert tshark.run(capture).rstrip().endswith("Stepped ANSWER 7")


def test_text_at_any_bit(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class BitText(Header, under=Ether, when={"type": 0x7BD4}):
            a: U3 = 5
            size: U5 = auto(size_of("name"))
            b: U3 = 1
            name: Text = sized(field("size"), "")
            fixed: Annotated[str, text("latin-1", size=3, pad=b" ")] = "x"
            code: Annotated[str, bcd(4)] = "0123"
            n: U3 = auto(count_of("levels"))
            levels: tuple[U16, ...] = many(count=field("n"))
            digits: tuple[Annotated[str, bcd(2)], ...] = many(count=field("n"))
            spare: int = spare_bits()

        packets = [Ether() / BitText(), Ether() / BitText(name="h\u00e9llo", fixed="abc", levels=(1, 2, 3), digits=("12", "34", "56"))]
        tshark = Tshark(tmp_path, BitText)
        compare(tshark, [*damaged(packets, 93)])
        (*_, layer) = tshark.ask(packets[1:])[0]
        shown = {one.get("name"): one.get("show") for one in layer.iter("field")}
        assert (shown["bittext.name"], shown["bittext.fixed"]) == ("h\u00e9llo", "abc")
        assert [one.get("show") for one in layer.iter("field") if one.get("name") == "bittext.levels.value"] == ["1", "2", "3"]
