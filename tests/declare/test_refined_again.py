"""A class that takes a field of its base apart may be refined again, by what stands in that field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U8,
    U16,
    U32,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    Rest,
    auto,
    between,
    bindings,
    contains,
    count_of,
    dissect,
    field,
    many,
    size_of,
    sized,
    when,
)
from packetlab.codec.refinement import class_bodies
from packetlab.export.strategies import packets
from packetlab.schema.dump import described
from packetlab.schema.load import declare_from
from packetlab.schema.source import class_body
from tests.careful import careful
from tests.protocols.scope import Scope

with (scope := Scope()):

    class TLV(Header):
        type: U16 = 9
        length: U16 = auto(size_of("data"))
        data: Bytes = b""

    class Management(TLV, inside="data", when={"type": 1}):
        id: U16 = 0
        value: Rest = b""

    class Current(Management, inside="value", when={"id": 0x2001}):
        steps: U16 = 0
        delay: U32 = 0

    class Deep(Management, inside="value", when={"id": 3}):
        a: U8 = 0
        b: Rest = b""

    class Deeper(Deep, inside="b", when={"a": 7}):
        z: U16 = 5

    class Stamp(TLV, inside="data", when={"type": 2}):
        precision: U8 = 0

    class Fine(Stamp, when={"precision": 9}):
        """Goes on after the fields of what it refines."""

        nanoseconds: U32 = 0

    class Counted(Stamp, when={"precision": 4}):
        more: U8 = when(field("^.type") == 2)
        times: tuple[U16, ...] = many()

    class Messages(Header, under=Ether, when={"type": 0x7AD1}):
        count: U8 = auto(count_of("tlvs"))
        tlvs: tuple[TLV, ...] = many()


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with scope:
        yield


some = st.one_of(
    st.builds(TLV, type=st.integers(3, 99), data=st.binary(max_size=5)),
    st.builds(Management, id=st.integers(4, 99), value=st.binary(max_size=5)),
    st.builds(Current, steps=st.integers(0, 65535)),
    st.builds(Deep, a=st.integers(0, 6), b=st.binary(max_size=5)),
    st.builds(Deeper, z=st.integers(0, 65535)),
    st.builds(Stamp, precision=st.integers(10, 20)),
    st.builds(Fine, nanoseconds=st.integers(0, 2**32 - 1)),
    st.builds(Counted, more=st.integers(0, 255), times=st.lists(st.integers(0, 65535), max_size=3)),
)


@given(st.lists(some, max_size=5))
def test_what_is_built_reads_back_refined_as_far_as_it_was(tlvs: list[TLV]) -> None:
    packet = Ether() / Messages(tlvs=tlvs)
    read = dissect(bytes(packet))
    assert not read.faults and read == packet and hash(read) == hash(packet)
    assert [*map(type, read[Messages].tlvs)] == [*map(type, tlvs)]
    assert careful(Messages, bytes(packet)[14:])[0] == read[Messages]


@given(
    st.binary(max_size=12),
    st.sampled_from([b"", bytes.fromhex("2001"), bytes.fromhex("000307"), b"\x09", b"\x04"]),
    st.integers(1, 2),
)
def test_any_bytes_come_back_and_both_readers_agree(more: bytes, first: bytes, number: int) -> None:
    data = bytes(Messages(tlvs=[TLV(type=number, data=first + more)]))
    packet = dissect(data, Messages)
    read, _ = careful(Messages, data)
    assert bytes(packet) == data and read == packet[Messages]
    assert [*map(type, read.tlvs)] == [*map(type, packet[Messages].tlvs)]
    repr(packet), packet.show()


def test_the_bytes_are_those_of_the_first_base() -> None:
    made = Deeper(z=9)
    assert made == TLV(type=1, data=bytes.fromhex("0003070009")) and hash(made) == hash(TLV(type=1, data=made.data))
    assert (made.id, made.a, made.z, made.value) == (3, 7, 9, bytes.fromhex("070009"))
    assert isinstance(made, Management) and repr(made) == "Deeper(z=9)"
    assert made.replace(z=1) == Deeper(z=1)
    assert Fine(nanoseconds=2).data == bytes.fromhex("0900000002")


def test_where_the_bytes_do_not_fit_the_class_before_stays() -> None:
    data = bytes(Messages(tlvs=[TLV(type=1, data=bytes.fromhex("2001ff")), TLV(type=2, data=b"\x09")]))
    packet = dissect(data, Messages)
    assert [*map(type, packet[Messages].tlvs)] == [Management, TLV]
    assert all("tlvs" in str(fault) for fault in packet.faults) and len(packet.faults) == 2
    assert dissect(bytes(Deep(a=1)), Deeper).faults


def test_columns_filters_patterns_and_paths() -> None:
    frames = [Ether() / Messages(tlvs=[Current(steps=3), Deeper(z=9)]), Ether() / Messages(tlvs=[Fine(nanoseconds=7)])]
    capture = Capture.of(frames)
    names = (
        "messages.tlvs.current.steps",
        "messages.tlvs.management.id",
        "messages.tlvs.deeper.z",
        "messages.tlvs.fine.nanoseconds",
    )
    table = capture.table(*names)
    assert [table.read().text(name) for name in table.names] == [["3", ""], ["8193", ""], ["9", ""], ["", "7"]]
    assert capture.where("messages.tlvs.current.steps == 3").count() == 1
    assert capture.where(Messages(tlvs=contains(Deeper(z=between(8, 10))))).count() == 1
    assert capture.where(Messages(tlvs=contains(Management(id=3)))).count() == 1
    changed = frames[0].replace({"messages.tlvs.current.steps": 4})
    assert changed[Messages].tlvs[0] == Current(steps=4)
    assert "steps = 3" in frames[0].show().__str__() or "steps=3" in repr(frames[0])


@given(st.data())
def test_strategies_draw_them(data: st.DataObject) -> None:
    packet = data.draw(packets(Messages))
    read = dissect(bytes(packet), Messages)
    assert [*map(type, read[Messages].tlvs)] == [*map(type, packet[Messages].tlvs)]


def test_they_travel_as_data_and_as_source() -> None:
    data = bytes(Ether() / Messages(tlvs=[Current(steps=3), Deeper(z=9), Fine(), Counted(more=1, times=[1])]))
    read = repr(dissect(data))
    descriptions = json.loads(json.dumps(described([Messages])))
    source = "\n\n\n".join(map(class_body, descriptions))
    assert "class Deeper(Deep, inside='b', when=" in source.replace('"', "'")
    with bindings():
        declare_from(descriptions)
        assert repr(dissect(data)) == read


def test_what_makes_no_sense_is_refused_at_the_class() -> None:
    def declare(expected: str, base: Any, body: dict[str, Any] | None = None, **options: Any) -> None:
        with pytest.raises(DeclareError, match=expected):
            type(TLV)(
                "Wrong", (base,), {"__module__": __name__, "__annotations__": {"own": U16}, **(body or {})}, **options
            )

    declare(r"Wrong, inside=: expected a field of Management, got data", Management, inside="data", when={"id": 9})
    declare(r"Wrong, when=: expected a field of Management, got type", Management, inside="value", when={"type": 9})
    declare(
        r"Wrong, when=: expected a condition apart from that of .*Deep \(", Management, inside="value", when={"id": 3}
    )
    declare(r"Wrong.id: expected a name that is free", Management, {"id": 4}, inside="value", when={"id": 4})
    declare(r"Wrong, inside=: expected a field of delimited bytes, got id", Management, inside="id", when={"id": 4})


def test_a_field_inside_is_as_long_as_a_length_that_follows_from_it() -> None:
    with bindings():

        class Told(TLV, inside="data", when={"type": 77}):
            first: U32 = 0
            body: Bytes = sized(field("^.length") - 4, b"")

        for made in (Told(), Told(body=b"abc"), Told(body=b"abc").replace(body=b"longer")):
            read = dissect(bytes(made), TLV)
            assert type(read[TLV]) is Told and read[TLV] == made and not read.faults
        with pytest.raises(BuildError, match="as .*length"):
            bytes(Told(length=5, body=b"abc"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (field("tag") < 0x80, field("tag") >= 0x80),
        ((field("tag") & 0x80) == 0, (field("tag") & 0xC0) == 0x80),
        ((field("tag") & 0xE0) == 0xA0, field("tag") == 0xC0),
        (field("tag") >> 4 == 8, field("tag") >> 5 == 5),
        ((field("tag") & 1) == 0, (field("tag") & 3) == 1),
        (field("tag").one_of(*range(0x90, 0xA0)), (field("tag") & 0xF0) == 0x80),
        (field("wide") < 0x12345678, field("wide") > 0x12345678),
        ((field("wide") & 0xF0000000) == 0, (field("wide") >= 0x10000000) & (field("tag") < 5)),
    ],
)
def test_two_classes_by_ranges_or_masks_that_exclude_each_other_go_together(one: Any, other: Any) -> None:
    class Packed(Header):
        tag: U8 = 0
        wide: U32 = 0

    class Left(Packed, when=one):
        x: U8 = 0

    class Right(Packed, when=other):
        y: U16 = 0

    for tag in range(256):
        for wide in (0, tag << 24, 0x12345678, 0x12345677, 0x12345679):
            numbers = {"tag": tag, "wide": wide}
            wanted = Left if holds(one, numbers) else Right if holds(other, numbers) else Packed
            assert not (holds(one, numbers) and holds(other, numbers))
            assert type(dissect(bytes(Packed(tag=tag, wide=wide)) + bytes(2), Packed)[Packed]) is wanted


def holds(rule: Any, numbers: dict[str, int]) -> bool:
    """Whether a condition on fields holds, by its text in Python."""
    return bool(eval(str(rule), {}, numbers))


@pytest.mark.parametrize(
    ("one", "other"), [(field("tag") < 0x80, field("tag") >= 0x7F), ((field("tag") & 3) == 1, (field("tag") & 0x80) == 0x80)]
)
def test_two_classes_by_ranges_or_masks_of_which_both_may_hold_are_refused(one: Any, other: Any) -> None:
    class Packed(Header):
        tag: U8 = 0

    class Left(Packed, when=one):
        x: U8 = 0

    with pytest.raises(DeclareError, match=r"Right, when=: expected a condition apart from that of .*Left.*range\(first, end\)"):

        class Right(Packed, when=other):
            y: U16 = 0


def test_a_layer_whose_kind_is_edited_is_of_the_class_that_says() -> None:
    class Called(Header, under=Ether, when={"type": 0x7ABD}):
        kind: U8 = 0
        size: U16 = auto(size_of("body"))
        body: Bytes = b""

    class Greeting(Called, inside="body", when={"kind": (1, 3)}):
        word: U16 = 7
        more: U8 = 5

    class Farewell(Called, inside="body", when={"kind": 2}):
        low: U8 = 0
        rest: Rest = b""

    packet = dissect(bytes(Ether() / Greeting(word=9)))
    for edited in (packet.replace(Called, kind=9), packet.replace(Greeting, kind=9), packet.replace({"greeting.kind": 9, "greeting.word": 9})):
        assert type(edited.layers[-1]) is Called
        assert edited == dissect(bytes(edited))
        assert (edited.summary(), Greeting in edited) == (dissect(bytes(edited)).summary(), False)
        assert edited[Called].body == b"\0\x09\x05"
    assert type(packet.replace(Called, kind=2).layers[-1]) is Farewell
    kept = packet.replace({"called.kind": 3, "greeting.more": 6})
    assert type(kept.layers[-1]) is Greeting
    assert (kept[Greeting].kind, kept[Greeting].word, kept[Greeting].more) == (3, 9, 6)


@pytest.mark.parametrize("levels", [9, pytest.param(64, marks=pytest.mark.slow)])
def test_classes_that_take_apart_a_field_of_the_one_before_are_up_to_so_many(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a class inside for all before it: so many times so many are made, and no more."""
    made = []
    whole = class_bodies._put_inside
    monkeypatch.setattr(class_bodies, "LEVELS", levels)
    monkeypatch.setattr(class_bodies, "_put_inside", lambda *args: (made.append(args[1]), whole(*args))[1])
    first = header_class("ChainOf0", {"k0": U8, "d0": Rest}, {"k0": 1})
    cls = first
    for n in range(1, levels + 1):
        cls = header_class(f"ChainOf{n}", {f"k{n}": U8, f"d{n}": Rest}, {f"k{n}": 1}, cls, inside=f"d{n - 1}", when={f"k{n - 1}": 1})
    assert len(made) == levels * (levels + 1) // 2
    data = bytes(cls(**{f"d{levels}": b"end"}))
    packet = dissect(data, first)
    assert data == b"\1" * (levels + 1) + b"end" and not packet.faults
    assert type(packet[first]) is cls and getattr(packet[first], f"d{levels}") == b"end"
    with pytest.raises(DeclareError, match=rf"More, inside=: expected {levels} classes at most .*, got {levels + 1} \(a class of its own as a field: d{levels}: Next = Next\(\)\)"):
        header_class("More", {"more": U8}, {}, cls, inside=f"d{levels}", when={f"k{levels}": 1})


def header_class(name: str, annotations: dict[str, Any], values: dict[str, Any], base: Any = Header, **options: Any) -> Any:
    return type(Header)(name, (base,), {"__annotations__": annotations, "__module__": __name__, "__qualname__": name, **values}, **options)
