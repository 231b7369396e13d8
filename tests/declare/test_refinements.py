"""A class with `inside=` and `when=` takes a field of its base apart; whoever reads the base gets it."""

import copy
import pickle
import struct
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U8,
    U16,
    U32,
    BERLength,
    BuildError,
    Bytes,
    DeclareError,
    Ether,
    Header,
    IPv4Address,
    Rest,
    Text,
    auto,
    ber_integer,
    bindings,
    const,
    count_of,
    dissect,
    field,
    many,
    one_of,
    size_of,
    sized,
    sized_int,
    when,
)
from packetlab.declare import registry
from packetlab.declare.declaration import Declaration
from tests.careful import careful


class Option(Header):
    kind: U8 = 1
    length: U8 = when(field("kind") > 1, auto(size_of("self")))
    data: Bytes = when(field("kind") > 1, sized(field("length") - 2, b""))


class Segment(Option, inside="data", when={"kind": 2}):
    value: U16


class Stamps(Option, inside="data", when={"kind": 8}):
    sent: U32
    echoed: U32 = 0


class Hosts(Option, inside="data", when={"kind": (5, 6)}):
    count: U8 = auto(count_of("hosts"))
    hosts: tuple[IPv4Address, ...] = many()


class Marked(Option, inside="data", when=field("kind") > 200):
    mark: U8 = const(7)
    text: Rest = b""


class Sized(Header, under=Ether, when={"type": 0x7A41}):
    size: U8 = auto(size_of("options"))
    options: tuple[Option, ...] = many()


class Counted(Header, under=Ether, when={"type": 0x7A42}):
    count: U8 = auto(count_of("options"))
    options: tuple[Option, ...] = many()


class Single(Header, under=Ether, when={"type": 0x7A43}):
    first: Option
    second: Option = Option()
    rest: Rest = b""


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


options = st.one_of(
    st.just(Option(kind=1)),
    st.builds(Segment, value=st.integers(0, 65535)),
    st.builds(Stamps, sent=st.integers(0, 2**32 - 1), echoed=st.integers(0, 2**32 - 1)),
    st.builds(Hosts, kind=st.sampled_from([5, 6]), hosts=st.lists(st.binary(min_size=4, max_size=4), max_size=3)),
    st.builds(Marked, kind=st.integers(201, 255), text=st.binary(max_size=5)),
    st.builds(Option, kind=st.integers(32, 200), data=st.binary(max_size=6)),
)


@given(st.sampled_from([Sized, Counted]), st.lists(options, max_size=5))
def test_what_is_built_reads_back_refined(header: Any, some: list[Option]) -> None:
    packet = Ether() / header(options=some)
    read = dissect(bytes(packet))
    assert read == packet
    assert not read.faults
    assert [*map(type, read[header].options)] == [*map(type, some)]
    assert hash(read) == hash(packet)
    assert careful(header, bytes(packet)[14:])[0] == read[header]


@given(st.sampled_from([Sized, Counted, Single]), st.binary(max_size=40))
def test_any_bytes_come_back_and_both_readers_agree(header: Any, data: bytes) -> None:
    packet = dissect(data, header)
    assert bytes(packet) == data
    read, faults = careful(header, data)
    assert read == packet[header]
    if header is not Single:
        assert [*map(type, read.options or ())] == [*map(type, packet[header].options or ())]
    assert {*faults} <= {*packet.faults}
    repr(packet), packet.show()


def test_the_bytes_are_those_of_the_base() -> None:
    made, plain = Segment(value=1460), Option(kind=2, data=struct.pack(">H", 1460))
    assert bytes(made) == bytes(plain) == b"\x02\x04\x05\xb4"
    assert made == plain
    assert plain == made
    assert hash(made) == hash(plain)
    assert made.kind == 2
    assert made.data == b"\x05\xb4"
    assert made.length == 4
    assert made != Segment(value=1461)
    assert Segment._fields == (Segment._by_name["kind"], *Option._fields[1:])


def test_where_the_bytes_do_not_fit_the_base_stays_and_the_list_goes_on() -> None:
    data = bytes((2, 3, 5, 8, 10)) + bytes(8)
    packet = dissect(bytes((len(data),)) + data, Sized)
    first, second = packet[Sized].options
    assert type(first) is Option
    assert first.data == b"\5"
    assert type(second) is Stamps
    (fault,) = packet.faults
    assert (fault.layer, fault.field, fault.offset) == ("Sized", "options", 3)
    assert fault.expected == "2 bytes for Segment.value for Option.data"
    assert bytes(packet) == bytes((len(data),)) + data


def test_a_constant_inside_and_bytes_left_over() -> None:
    packet = dissect(bytes((2, 210, 3, 6, 2, 5, 1, 2, 3)), Counted)
    assert [type(one) for one in packet[Counted].options] == [Option, Option]
    assert [(f.offset, f.expected, f.got) for f in packet.faults] == [
        (3, "7 for Marked.mark for Option.data", "6"),
        (8, "2 bytes for Segment for Option.data", "3 bytes"),
    ]


def test_one_header_in_a_field_and_a_header_by_itself() -> None:
    packet = Ether() / Single(first=Segment(value=9))
    read = dissect(bytes(packet))
    assert read == packet
    assert type(read[Single].first) is Segment
    alone = dissect(bytes(Stamps(sent=5)), Option)
    assert type(alone[Option]) is Stamps
    assert alone[Option].sent == 5  # type: ignore[attr-defined]
    assert alone[Stamps].echoed == 0


def test_an_unknown_kind_stays_the_general_one() -> None:
    assert type(dissect(b"\x63\x03x", Option)[Option]) is Option


def test_read_as_the_refinement_its_condition_is_demanded() -> None:
    packet = dissect(b"\x03\x04ab", Segment)
    (fault,) = packet.faults
    assert (fault.layer, fault.field, fault.offset) == ("Segment", "kind", 0)
    assert packet[Segment].value == 0x6162
    short = dissect(b"\x02\x03a", Segment)
    assert [(f.field, f.offset) for f in short.faults] == [("data", 2)]
    assert short[Segment].value is None


def test_values_are_given_changed_and_shown() -> None:
    made = Stamps(sent=5)
    assert repr(made) == "Stamps(sent=5)"
    changed = made.replace(echoed=7)
    assert (changed.sent, changed.echoed, changed.data) == (5, 7, bytes((0, 0, 0, 5, 0, 0, 0, 7)))
    read = dissect(bytes(changed), Option)[Stamps]
    assert eval(repr(read)) == read
    assert read.replace(sent=1).data == bytes((0, 0, 0, 1, 0, 0, 0, 7))
    assert read.replace(data=bytes(8)).sent == 0
    for again in (copy.copy(read), pickle.loads(pickle.dumps(read))):
        assert again == read
        assert again.echoed == 7
    assert Segment(data=b"\0\1").value == 1


def test_prototypes() -> None:
    read = dissect(bytes(Stamps(sent=5, echoed=6)), Option)
    assert Stamps(sent=5).matches(read)
    assert Stamps(echoed=6).matches(read)
    assert Stamps(sent=one_of(5, 9)).matches(read)
    assert not Stamps(sent=one_of(4, 9)).matches(read)
    assert not Stamps(echoed=5).matches(read)
    assert Stamps().matches(read)
    assert not Segment().matches(read)
    assert Option(kind=8).matches(read)
    with pytest.raises(BuildError, match=r"Stamps\.sent: expected a value, got none"):
        bytes(Stamps(echoed=6))
    with pytest.raises(BuildError, match="prototype"):
        bytes(Stamps(sent=one_of(1, 2)))


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"value": 70000}, r"Segment\.value: expected 0\.\.65535"),
        ({"data": b"abc"}, r"Segment\.data: expected bytes that Segment takes apart"),
        ({"data": b"ab", "value": 1}, r"Segment\.data: expected the bytes, or values"),
        ({"valeu": 1}, r"Segment\.valeu"),
    ],
)
def test_values_that_do_not_fit(given: dict[str, Any], where: str) -> None:
    with pytest.raises(BuildError, match=where):
        Segment(**given)
    with pytest.raises(BuildError, match=where):
        Segment(value=1).replace(**given)


def test_what_is_declared_later_is_read_from_then_on_and_only_inside_its_scope() -> None:
    packet, data = Ether() / Sized(options=[Option(kind=77, data=b"abcd")]), bytes((6, 77, 6, *b"abcd"))
    before = dissect(data, Sized)
    assert type(before[Sized].options[0]) is Option
    with bindings():

        class Late(Option, inside="data", when={"kind": 77}):
            number: U32

        after = dissect(data, Sized)
        (late,) = after[Sized].options
        assert isinstance(late, Late)
        assert late.number == 0x61626364
        assert after == before
        assert before == after
        assert hash(after) == hash(before)
        assert bytes(Ether() / Sized(options=[late])) == bytes(packet)

        class Late(Option, inside="data", when={"kind": 77}):  # type: ignore[no-redef]
            high: U16
            low: U16

        assert dissect(data, Sized)[Sized].options[0].low == 0x6364
    assert type(dissect(data, Sized)[Sized].options[0]) is Option


def test_two_for_one_number_are_refused_by_name() -> None:
    with pytest.raises(
        DeclareError, match=r"Other, when=: expected a condition apart from that of .*Segment.*kind == 2"
    ):

        class Other(Option, inside="data", when={"kind": (2, 3)}):
            value: U16

    with pytest.raises(DeclareError, match=r"Marked"):

        class High(Option, when={"kind": 201}):
            value: U16

    assert type(dissect(b"\x03\x02", Option)[Option]) is Option


def test_what_makes_no_sense_is_refused_at_the_class() -> None:
    def declare(expected: str, base: Any = Option, body: Any = None, **options: Any) -> None:
        with pytest.raises(DeclareError, match=expected):
            type(Option)("Wrong", (base,), {"__module__": __name__, "__annotations__": body or {"own": U16}}, **options)

    declare(r"Wrong, inside=: expected a field of Option, got dta.*data", inside="dta", when={"kind": 99})
    declare(r"Wrong, inside=: expected a field of delimited bytes, got kind", inside="kind", when={"kind": 99})
    declare(r"Wrong, inside=: expected when= too", inside="data")
    declare(r"Wrong, inside=: expected a base", base=Header, inside="data", when={"kind": 99})
    declare(
        r"Wrong\.length: expected a name that is free, got 'length', which Option has",
        body={"length": U16},
        inside="data",
        when={"kind": 99},
    )
    declare(r"Wrong, when=: expected a field of Option, got knid", inside="data", when={"knid": 99})
    declare(r"Wrong\.kind: expected 0\.\.255, got 300", inside="data", when={"kind": 300})
    declare(r"Wrong, when=: expected a condition that can hold", inside="data", when=field("kind") > 255)
    declare(r"Wrong, when=: expected a condition that can hold, got kind == 300", inside="data", when=(field("kind") == 99) | (field("kind") == 300))
    declare(r"Wrong", base=Option, inside="data", when={"kind": 99}, under=Ether)


def test_the_declaration_says_it() -> None:
    said = Segment._declaration
    assert said.view is not None
    name, inner = said.view
    assert name == "data"
    assert isinstance(inner, Declaration)
    assert [f.name for f in inner.fields] == ["value"]
    assert said.refines is Option._declaration
    assert said.is_a(Option._declaration)
    assert inner not in registry.declared()


def test_show_help_and_signature_have_the_fields_inside() -> None:
    shown = dissect(bytes(Stamps(sent=5, echoed=6)), Option).show()
    assert "    sent = 5\n    echoed = 6" in shown
    words = Stamps.__doc__ or ""
    assert "    sent: number of 32 bits, to be given\n    echoed: number of 32 bits, 0 unless given" in words
    assert [*Stamps.__signature__.parameters] == ["kind", "length", "data", "sent", "echoed"]
    made: Any = Stamps
    assert made(sent=1, kind=8).sent == 1


class Flagged(Option, inside="data", when={"kind": (30, 31)}):
    low: U8 = 1
    high: U8 | None = when(field("^.kind") == 31)


@pytest.mark.parametrize("header", [Sized, Counted])
def test_rules_inside_name_fields_of_the_base(header: Any) -> None:
    packet = Ether() / header(options=[Flagged(low=2), Flagged(kind=31, low=3, high=4), Option()])
    assert bytes(packet)[15:] == bytes((30, 3, 2, 31, 4, 3, 4, 1))
    read = dissect(bytes(packet))
    assert read == packet
    first, second, _ = read[header].options
    assert (first.low, first.high, second.low, second.high) == (2, None, 3, 4)
    assert careful(header, bytes(packet)[14:])[0] == read[header]
    assert second.replace(high=9).data == b"\3\x09"
    short = dissect(bytes((3 if header is Sized else 1, 31, 3, 5)), header)
    assert type(short[header].options[0]) is Option
    assert len(short.faults) == 1
    with pytest.raises(DeclareError, match=r"Wrong: expected fields of Option in rules"):

        class Wrong(Option, inside="data", when={"kind": 32}):
            other: U8 | None = when(field("^.nothing") == 1)


def test_what_is_taken_apart_ends_where_its_bytes_end() -> None:
    with bindings():

        class Words(Option, inside="data", when={"kind": 12}):
            language: U8 = 0
            words: Text = ""

        class Raw(Option, inside="data", when={"kind": 13}):
            data_of: Bytes = b""

        found = dissect(bytes(Counted(options=[Words(words="lab"), Raw(data_of=b"xy"), Words()])), Counted)[Counted]
        assert [bytes(one) for one in found.options] == [b"\x0c\x06\0lab", b"\x0d\x04xy", b"\x0c\x03\0"]
        assert found.options == (Words(words="lab"), Raw(data_of=b"xy"), Words())
        assert isinstance(found.options[0], Words) and found.options[0].words == "lab"
    with pytest.raises(DeclareError, match=r"second: expected one field at most that takes the rest, got first"):

        class Twice(Option, inside="data", when={"kind": 14}):
            first: Bytes = b""
            second: Bytes = b""


def test_a_condition_may_name_what_stands_around() -> None:
    with bindings():

        class Entry(Header):
            kind: U8 = 1
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Name(Entry, inside="data", when=(field("^.space") == 7) & (field("kind") == 1)):
            name: Text = ""

        class Entries(Header):
            space: U8 = 7
            entries: tuple[Entry, ...] = many()

        class Record(Header):
            space: U8 = 7
            body: Rest = b""

        class Listed(Record, inside="body", when={"space": (7, 8)}):
            entries: tuple[Entry, ...] = many()

        for space, kind in ((7, Name), (8, Entry)):
            data = bytes((space, 1, 3)) + b"lab" + bytes((2, 0))
            for header, refined in ((Entries, Entries), (Record, Listed)):
                found = dissect(data, header)
                assert type(found[header]) is refined and bytes(found) == data and not found.faults
                entries: tuple[Entry, ...] = found[refined].entries
                assert [type(one) for one in entries] == [kind, Entry]
                assert careful(header, data)[0] == found[header]
                assert [type(one) for one in careful(header, data)[0].entries] == [kind, Entry]


def test_a_list_that_does_not_read_whole_leaves_the_base() -> None:
    with bindings():

        class Part(Header):
            count: U8 = auto(count_of("values"))
            values: tuple[U16, ...] = many()

        class Parts(Option, inside="data", when={"kind": 20}):
            parts: tuple[Part, ...] = many()

        data = bytes(Counted(options=[Option(kind=20, data=b"\1\0\5\xff\xff"), Option(kind=20, data=b"\1\0\5\0")]))
        found = dissect(data, Counted)
        assert [type(one) for one in found[Counted].options] == [Option, Parts]
        assert [fault.expected for fault in found.faults] == [
            "510 bytes for Part.values for Parts.parts for Option.data"
        ]
        assert careful(Counted, data)[0] == found[Counted] and bytes(found) == data


def test_a_number_of_any_size_ends_with_what_is_taken_apart() -> None:
    with bindings():

        class TakenElement(Header):
            tag: U8 = 5
            length: BERLength = auto(size_of("content"))
            content: Bytes = b""

        class TakenInteger(TakenElement, inside="content", when={"tag": 2}):
            value: Annotated[int, ber_integer()] = 0

        for value, data in ((0, "020100"), (-129, "0202ff7f"), (1 << 62, "0208" + "40".ljust(16, "0"))):
            assert bytes(TakenInteger(value=value)).hex() == data
            read = dissect(bytes.fromhex(data), TakenElement)[TakenElement]
            assert isinstance(read, TakenInteger)
            assert read.value == value
        assert type(dissect(b"\2\0", TakenElement)[TakenElement]) is TakenElement  # an integer of no bytes is none


def test_a_number_that_takes_all_bytes_of_a_field() -> None:
    with bindings():

        class Amount(Option, inside="data", when={"kind": 40}):
            amount: Annotated[int, sized_int()] = 0

        for number, size in ((0, 0), (255, 1), (70_000, 3)):
            data = bytes(Counted(options=[Amount(amount=number)]))
            (found,) = dissect(data, Counted)[Counted].options
            assert isinstance(found, Amount) and found.amount == number and len(found.data) == size
            assert careful(Counted, data)[0] == dissect(data, Counted)[Counted]
