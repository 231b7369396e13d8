"""Fields at any bit in Wireshark: tshark reads, in Lua written from declarations, what packetlab reads, and finds the same faults."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from packetlab import (
    F16,
    MAC,
    U1,
    U3,
    U4,
    U5,
    U7,
    U8,
    U9,
    U12,
    UUID,
    Bytes,
    Ether,
    Frame,
    Header,
    IPv4Address,
    VarInt,
    auto,
    bcd,
    bind,
    bindings,
    bits,
    const,
    count_of,
    default,
    field,
    has,
    many,
    must,
    size_of,
    sized,
    spare_bits,
    text,
    when,
    width_of,
)
from packetlab.declare.kinds import Named
from tests.conftest import amount, need
from tests.declare.bits.test_any_bit import Drawn, declared
from tests.export.pdml import Tshark, compare
from tests.export.test_wireshark_places import damaged


class Speed(IntEnum):
    SLOW = 1
    FAST = 6


class Lamp(IntFlag):
    RED = 1
    GREEN = 2
    BLUE = 16


class BitsStep(Header, in_bits=True):
    far: U1 = auto(has("way"))
    way: U12 | None = when(field("far"))
    n: U3 = auto(count_of("marks"))
    marks: tuple[U5, ...] = many(count=field("n"))


class BitsWalk(Header, in_bits=True):
    n: U3 = auto(count_of("steps"))
    steps: tuple[BitsStep, ...] = many(count=field("n"))
    end: U4 = const(9)


class BitsMany(Header, under=Ether, when={"type": 0x7B41}):
    """Each sort of field in the middle of a byte, values up to the end, and a payload after what is whole."""

    lead: U1 = 0
    speed: Annotated[Named[Speed], bits(3)] = Speed.FAST
    lamps: Annotated[Named[Lamp], bits(5)] = Lamp.RED | Lamp.BLUE
    level: Annotated[int, bits(11, signed=True)] = -3
    large: Annotated[int, bits(61)] = 1 << 60
    deep: Annotated[int, bits(57, signed=True)] = -(1 << 56)
    huge: Annotated[int, bits(90, signed=True)] = const(-5)
    host: IPv4Address = default("10.0.0.9")
    card: MAC = default("02:00:00:00:00:07")
    id: UUID = default("00112233-4455-6677-8899-aabbccddeeff")
    size: U4 = auto(size_of("name"))
    name: Bytes = sized(field("size"), b"")
    width: U7 = auto(width_of("value"))
    value: Annotated[int, bits(field("width"), signed=True)] = 0
    n: U3 = auto(count_of("walks"))
    walks: tuple[BitsWalk, ...] = many(count=field("n"))
    spare: int = spare_bits()
    end: U8 = const(7)


class BitsOpen(Header, under=Ether, when={"type": 0x7B42}, bit_order="low"):
    length: U8 = auto(size_of("self"))
    kind: U9 = const(0x123)
    values: tuple[Annotated[int, bits(7, signed=True)], ...] = many()
    spare: int = spare_bits()


class BitsEven(Header, under=Ether, when={"type": 0x7B43}):
    kind: U4 = 0
    values: tuple[U12, ...] = many()


SOUND = [
    Ether()
    / BitsMany(
        name=b"name",
        value=-300,
        walks=[BitsWalk(), BitsWalk(steps=[BitsStep(way=5), BitsStep(marks=(1, 2, 31))])],
    )
    / b"rest",
    Ether() / BitsMany(speed=Speed.SLOW, value=(1 << 90) - 1),
    Ether() / BitsOpen(values=(1, -2, 63, -64)) / b"rest",
    Ether() / BitsEven(values=(1, 2, 3)),
]


@pytest.mark.slow
def test_tshark_reads_each_sort_of_field_among_bits(tmp_path: Path) -> None:
    need("tshark")
    compare(Tshark(tmp_path, BitsMany, BitsOpen, BitsEven), [*damaged(SOUND, 41)])


def test_what_begins_within_a_byte_is_shown_as_what_it_is(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class BitsShown(Header, under=Ether, when={"type": 0x7B44}):
            lead: U1 = 1
            half: F16 = 1.5
            host: IPv4Address = default("10.0.0.9")
            card: MAC = default("02:00:00:00:00:07")
            id: UUID = default("00112233-4455-6677-8899-aabbccddeeff")
            lamps: Annotated[Named[Lamp], bits(5)] = Lamp.RED | Lamp.BLUE
            speed: Annotated[Named[Speed], bits(3)] = Speed.FAST
            spare: int = spare_bits()

        (layers,) = Tshark(tmp_path, BitsShown).ask([Ether() / BitsShown()])
    shown = {one.get("name", ""): one for layer in layers for one in layer.iter("field")}
    assert {name: shown[f"bitsshown.{name}"].get("show") for name in ("half", "host", "card", "id")} == {
        "half": "1.5", "host": "10.0.0.9", "card": "02:00:00:00:00:07", "id": "00112233-4455-6677-8899-aabbccddeeff",
    }  # fmt: skip
    assert "RED|BLUE" in shown["bitsshown.lamps"].get("showname", "")
    assert "FAST (6)" in shown["bitsshown.speed"].get("showname", "")
    assert [shown[f"bitsshown.lamps.{name}"].get("show") for name in ("red", "green", "blue")] == ["1", "0", "1"]


@pytest.mark.slow
@settings(max_examples=amount(4, 60), deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
@given(some=st.lists(declared(), min_size=6, max_size=6), seed=st.integers(0, 1 << 16))
def test_tshark_reads_drawn_headers_of_bits(tmp_path: Path, some: list[Drawn], seed: int) -> None:
    need("tshark")
    with bindings():
        for number, (cls, _, _) in enumerate(some):
            bind(cls, under=Ether, when={"type": 0x7B50 + number})
        frames: list[Frame] = [*damaged([Ether() / cls(**values) for cls, values, _ in some], seed)]
        compare(Tshark(tmp_path, *[cls for cls, _, _ in some]), frames)


def test_tshark_finds_values_that_do_not_obey_their_rule(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class ObeyStep(Header, in_bits=True):
            up: U1 = 0
            far: U12 = must(field("far") < 4000, 5)

        class ObeyBits(Header, under=Ether, when={"type": 0x7BC0}):
            n: U4 = must(field("n") < 9, auto(count_of("way")))
            f: U1 = auto(has("x"))
            x: U12 = must(field("x") != 7, when(field("f")))
            way: tuple[ObeyStep, ...] = many(count=field("n"))
            spare: int = spare_bits()
            end: U8 = must(field("end") == 7, 7)

        class ObeyItem(Header):
            a: U8 = must(field("a") < 200, 5)

        class ObeyList(Header, under=Ether, when={"type": 0x7BC1}):
            n: U8 = auto(count_of("items"))
            items: tuple[ObeyItem, ...] = many(count=field("n"))
            end: U8 = 7

        packets = [
            Ether() / ObeyBits(x=5, way=(ObeyStep(far=1),)),
            Ether() / ObeyBits(),
            Ether() / ObeyList(items=(ObeyItem(), ObeyItem(a=199))),
        ]
        compare(Tshark(tmp_path, ObeyBits, ObeyList), [*damaged(packets, 42)])


def test_items_of_bits_with_numbers_that_tell_their_size_and_texts_that_are_none(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class LongItem(Header, in_bits=True):
            value: VarInt = 300

        class DigitItem(Header, in_bits=True):
            flag: U1 = 1
            value: Annotated[int, bcd(2)] = 12
            code: Annotated[str, bcd(2)] = "12"
            name: Annotated[str, text("ascii", size=2)] = "ab"

        class CodedItems(Header, under=Ether, when={"type": 0x7B71}):
            begin: U3 = 5
            n: U4 = auto(count_of("numbers"))
            numbers: tuple[LongItem, ...] = many(count=field("n"))
            m: U4 = auto(count_of("digits"))
            digits: tuple[DigitItem, ...] = many(count=field("m"))
            spare: int = spare_bits()

        packets = [
            Ether() / CodedItems(numbers=[LongItem(value=one) for one in some], digits=[DigitItem(value=one % 100) for one in some])
            for some in ((), (1, 300, 70000), (5,))
        ]
        compare(Tshark(tmp_path, CodedItems), [*packets, *damaged(packets, 96)])
