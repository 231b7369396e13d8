"""Values that are not in the bytes: option numbers of CoAP (RFC 7252 section 3.1), times by their distance, views of fields."""

from __future__ import annotations

from datetime import timedelta
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U4,
    U8,
    U16,
    U32,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    NTPTime,
    Packet,
    UnixTimeUs,
    VarInt,
    Writer,
    auto,
    before,
    bindings,
    bits,
    choose,
    computed,
    contains,
    declare_from,
    describe,
    dissect,
    duration,
    field,
    many,
    scaled,
    size_of,
    when,
)  # fmt: skip
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.schema.source import class_body


class CoOption(Header):
    """An option whose number is the one before it and a step, in a nibble, a byte or two more (RFC 7252 section 3.1)."""

    delta: U4 = auto(choose(field("step") < 13, field("step"), choose(field("step") < 269, 13, 14)))
    length: U4 = auto(size_of("value"))
    delta8: U8 | None = when(field("delta") == 13, auto(field("step") - 13))
    delta16: U16 | None = when(field("delta") == 14, auto(field("step") - 269))
    step: int = computed(
        choose(field("delta") < 13, field("delta"), choose(field("delta") == 13, field("delta8") + 13, field("delta16") + 269))
    )
    number: int = computed(before("number") + field("step"))
    value: Bytes = b""


class CoOptions(Header):
    options: tuple[CoOption, ...] = many()


class ClockTick(Header):
    delta: U8
    time: U16 = computed((before("time") + field("delta")) & 0xFFFF)


class Ticks(Header):
    ticks: tuple[ClockTick, ...] = many()


class Unit(IntEnum):
    METRE = 20
    FOOT = 30


class ViewedFields(Header):
    tens: U8 = 2
    unit: Unit = computed(field("tens") * 10)
    high: U8 = 1
    low: U8 = 2
    both: U16 = computed(field("high") << 8 | field("low"))
    more: U8 | None = when(field("unit") == 30, 7)


def test_options_of_coap_have_the_bytes_of_the_rfc() -> None:
    """Uri-Path (11) twice and Size1 (60); 65804 is the furthest number that there can be."""
    built = CoOptions(options=[CoOption(number=11, value=b"a"), CoOption(number=11, value=b"b"), CoOption(number=60)])
    assert bytes(built).hex(" ") == "b1 61 01 62 d0 24"
    assert bytes(CoOptions(options=[CoOption(number=65804)])).hex(" ") == "e0 ff ff"
    read = dissect(bytes(built), CoOptions)[CoOptions]
    assert read == built
    assert [one.number for one in read.options] == [one.number for one in built.options] == [11, 11, 60]
    assert read.options[2].delta8 == 36


numbers = st.lists(st.integers(0, 9000), max_size=6).map(sorted)


@given(some=numbers)
def test_deltas_follow_from_numbers(some: list[int]) -> None:
    built = Packet((CoOptions(options=[CoOption(number=n, value=bytes(n % 5)) for n in some]),))
    read = dissect(bytes(built), CoOptions)
    assert not read.faults
    assert read == built
    assert [one.number for one in read[CoOptions].options] == some
    assert read.encode() == bytes(built)
    steps = [b - a for a, b in zip([0, *some], some, strict=False)]
    again = CoOptions(options=[CoOption(step=step, value=bytes(n % 5)) for step, n in zip(steps, some, strict=True)])
    assert bytes(again) == bytes(built)
    assert [one.number for one in again.options] == some


@given(some=numbers.filter(len), data=st.data())
def test_lists_that_are_edited_keep_their_numbers(some: list[int], data: st.DataObject) -> None:
    read = dissect(bytes(CoOptions(options=[CoOption(number=n) for n in some])), CoOptions)
    options = [*read[CoOptions].options]
    del options[data.draw(st.integers(0, len(options) - 1))]
    left = [one.number for one in options]
    new = data.draw(st.integers(0, 9000))
    options = sorted([*options, CoOption(number=new)], key=lambda one: one.number)
    again = dissect(bytes(read.replace(CoOptions, options=options)), CoOptions)[CoOptions]
    assert [one.number for one in again.options] == sorted([*left, new])


def test_an_edit_tells_what_follows() -> None:
    read = dissect(bytes(CoOptions(options=[CoOption(number=11), CoOption(number=60)])), CoOptions)
    one, two = read[CoOptions].options
    assert bytes(CoOptions(options=[one.replace(number=300), two.replace(number=301)])).hex() == "e0001f" + "10"
    assert [o.number for o in CoOptions(options=[one.replace(step=5), two]).options] == [5, 60]
    assert [o.number for o in CoOptions(options=[one.replace(delta=3), two]).options] == [3, 60]


def test_sums_of_deltas_wrap() -> None:
    built = Ticks(ticks=[ClockTick(delta=255)] * 258)
    assert built.ticks[-1].time == 255 * 258 - 65536
    assert bytes(Ticks(ticks=[ClockTick(time=5), ClockTick(time=250)])).hex() == "05f5"
    with pytest.raises(BuildError, match=r"ClockTick\.delta: expected 0\.\.255, got 65535"):
        bytes(Ticks(ticks=[ClockTick(time=5), ClockTick(time=4)]))


def test_a_delta_may_have_a_default() -> None:
    with bindings():

        class Mild(Header):
            delta: U8 = 2
            time: int = computed(before("time") + field("delta"))

        class Milds(Header):
            ticks: tuple[Mild, ...] = many()

        assert bytes(Milds(ticks=[Mild(), Mild(time=9), Mild(delta=1)])).hex() == "020701"
        assert [one.time for one in Milds(ticks=[Mild(), Mild(time=9), Mild()]).ticks] == [2, 9, 11]


def test_they_are_columns_and_filters(tmp_path: Path) -> None:
    """Of objects: what a list is told by what stands around it is looked up there."""
    with bindings():

        class Noted(Header, under=Ether, when={"type": 0x7A66}):
            options: tuple[CoOption, ...] = many()

        with Writer(tmp_path / "some.pcap") as writer:
            for number in (3, 700):
                writer.write(bytes(Ether() / Noted(options=[CoOption(number=number), CoOption(step=1)])))
        capture = Capture(tmp_path / "some.pcap")
        assert capture.where("noted.options.number == 701").count() == 1
        assert capture.where(Noted(options=contains(CoOption(number=3)))).count() == 1
        assert [frame.packet()[Noted].options[1].number for frame in capture] == [4, 701]
        assert "number" in str(capture[0].packet().show())


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(BuildError, match=r"CoOption\.number: expected a value, got none"):
        bytes(CoOption())
    with pytest.raises(BuildError, match=r"CoOption\.number: expected 3, as before\(number\) \+ step says, got 5"):
        bytes(CoOption(number=5, delta=3))
    with pytest.raises(BuildError, match=r"ViewedFields\.both: expected 258"):
        bytes(ViewedFields(both=9))
    with pytest.raises(BuildError, match=r"ViewedFields\.unit: expected 20, as tens \* 10 says, got 25"):
        bytes(ViewedFields(unit=25))
    with bindings():
        with pytest.raises(DeclareError, match="computed"):

            class Wrong(Header):
                text: Bytes = computed(field("a"))

        for kind in (UnixTimeUs, NTPTime, Annotated[timedelta, duration(32)], Annotated[float, scaled(16, 0.1)]):
            with pytest.raises(DeclareError, match=r"Seen\.seen: expected int, an enum, or a kind of number such as U16 .*worked out of it"):
                type(Header)("Seen", (Header,), {"__annotations__": {"a": U32, "seen": kind}, "a": 0, "seen": computed(field("a") * 2)})

        with pytest.raises(DeclareError, match="presence and size to follow from fields before it"):

            class Late(Header):
                sum: int = computed(field("a") + 1)
                a: U8 = 0


def test_views_of_fields() -> None:
    read = dissect(bytes(ViewedFields(unit=Unit.FOOT)), ViewedFields)
    assert bytes(read).hex() == "03010207"
    header = read[ViewedFields]
    assert header.unit is Unit.FOOT
    assert (header.both, header.more) == (0x102, 7)
    assert header == ViewedFields(unit=30)
    assert read.replace(ViewedFields, low=5)[ViewedFields].both == 0x105
    assert "tens * 10 = 30" in str(read.why(ViewedFields, "unit"))


@given(data=st.binary(max_size=30))
@pytest.mark.parametrize("header", [CoOptions, Ticks, ViewedFields])
def test_any_bytes_are_read_alike_and_come_back(header: type[Header], data: bytes) -> None:
    read = dissect(data, header)
    assert bytes(read) == data
    assert read.encode() == data
    one, other = Dissection(), Dissection()
    compiled, careful = header._decode(data, 0, len(data), one), walk(header._declaration, data, 0, len(data), other)
    assert compiled[1:] == careful[1:]
    assert [getattr(compiled[0], f.slot) for f in header._fields] == [getattr(careful[0], f.slot) for f in header._fields]
    assert one.faults == other.faults


def test_they_travel_in_files_and_as_source() -> None:
    with bindings():

        class Travels(Header, under=Ether, when={"type": 0x7A62}):
            options: tuple[CoOption, ...] = many()

        class Carried(Header, under=Ether, when={"type": 0x7A63}):
            tens: U8 = 2
            unit: Unit = computed(field("tens") * 10)
            wide: U16 = computed(field("tens") * 20)
            far: U8 | None = when(field("Ether.type") == 0x7A63, 1)
            near: U8 | None = when({"^.type": 0x7A63}, 1)

        more = Travels(options=[CoOption(number=n) for n in (3, 99, 400)])
        found = []
        for built, of in ((more, [CoOption]), (Carried(unit=30), [])):
            found.append(([describe(one) for one in (*of, type(built))], bytes(Ether() / built)))
    for data, wire in found:
        with bindings():
            again = declare_from(data)[-1]
            assert describe(again) == data[-1]
            assert bytes(dissect(wire)) == dissect(wire).encode() == wire
            assert again in dissect(wire)
            assert not dissect(wire).faults
        with bindings():
            pasted: dict[str, Any] = {**globals()}
            exec(class_body(data[-1]), pasted)
            assert describe(pasted[str(data[-1]["name"])])["fields"] == data[-1]["fields"]


def test_a_class_that_is_found_by_a_computed_number_need_not_be_given_it() -> None:
    with bindings():

        class Keyed(Header):
            key: VarInt = auto(field("number") * 8 + field("wire"))
            number: int = computed(field("key") // 8)
            wire: int = computed(field("key") % 8)

        class KeyedNumber(Keyed, when={"wire": 0}):
            value: VarInt = 0

        class KeyedBytes(Keyed, when={"wire": 2}):
            size: VarInt = auto(size_of("data"))
            data: Bytes = b""

        class KeyedSum(KeyedBytes, inside="data", when={"number": 3}):
            one: U16 = 0
            two: U16 = 7

        made = [KeyedNumber(number=1, value=150), KeyedBytes(number=16, data=b"ab"), KeyedSum(one=1)]
        assert [bytes(one).hex() for one in made] == ["089601", "8201026162", "1a0400010007"]
        assert [type(dissect(bytes(one), Keyed)[Keyed]) for one in made] == [KeyedNumber, KeyedBytes, KeyedSum]
        assert bytes(KeyedNumber(key=0x20)) == b"\x20\0"
        with pytest.raises(BuildError, match="expected 2, as key // 8 says, got 1"):
            bytes(KeyedNumber(number=1, wire=9))


def test_a_number_that_is_too_wide_for_a_rule_is_refused_at_the_rule_that_was_written() -> None:
    with pytest.raises(DeclareError, match=r"Wide\.high: expected numbers of up to 256 bits in a rule, got v >> 200 \(the bits of v that are meant as a field of their own\)"):
        class Wide(Header):
            v: Annotated[int, bits(1024)] = 0
            high: int = computed(field("v") >> 200)

    class Narrow(Header):  # whose inverse, high << 200, is too wide for a rule: v does not follow from it
        v: Annotated[int, bits(256)] = 0
        high: int = computed(field("v") >> 200)

    assert Narrow(v=7 << 200).high == 7 and dissect(bytes(Narrow(v=7 << 200)), Narrow)[Narrow].high == 7
    with pytest.raises(BuildError):
        bytes(Narrow(high=7))
