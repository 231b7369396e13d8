"""Repeated headers: what fills them up is no item, and a fault inside them is seen at any depth."""

from __future__ import annotations

import pickle
import struct
import sys
from typing import Annotated

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    U32,
    UDP,
    BuildError,
    Bytes,
    Capture,
    DissectError,
    Ether,
    Header,
    HopByHop,
    IPv4,
    TCPOption,
    auto,
    bindings,
    compile_filter,
    const,
    count_of,
    dissect,
    field,
    fixed_bytes,
    many,
    size_of,
    sized,
    when,
)
from packetlab.codec.decode import items_reader
from packetlab.codec.lenient import read_items
from packetlab.declare.fields import Filled


def test_records_filled_up_to_a_multiple_read_back_as_built() -> None:
    with bindings():

        class Record(Header):
            v: Annotated[bytes, fixed_bytes(13)] = bytes(13)

        class FlowSet(Header):  # RFC 7011 section 3.3.1: a set may be filled up, its length counts that
            id: U16 = 257
            length: U16 = auto(size_of("self"))
            records: tuple[Record, ...] = many(size=field("length") - 4, align=4)

        made = FlowSet(records=(Record(v=b"a" * 13),))
        data = bytes(made)
        assert data == struct.pack("!HH", 257, 20) + b"a" * 13 + bytes(3)
        read = dissect(data + b"next", FlowSet)
        assert read[FlowSet].records == (Record(v=b"a" * 13),) and not read.faults and read.payload == b"next"
        assert read[FlowSet] == made
        again = pickle.loads(pickle.dumps(Filled.of((1, 2), b"\0")))
        assert again == (1, 2) and again.fill == b"\0"
        assert dissect(data, FlowSet, keep=False).encode() == data == bytes(dissect(data, FlowSet)[FlowSet])
        longer = read[FlowSet].replace(records=read[FlowSet].records * 2, length=auto)
        assert bytes(longer) == struct.pack("!HH", 257, 32) + b"a" * 26 + bytes(2)
        bare = dissect(struct.pack("!HH", 257, 17) + b"d" * 13, FlowSet)  # an exporter that does not fill up
        assert len(bare[FlowSet].records) == 1 and not bare.faults
        assert bytes(bare[FlowSet]) == struct.pack("!HH", 257, 17) + b"d" * 13
        dirty = dissect(data[:-1] + b"x", FlowSet)
        assert dirty[FlowSet].records[1] == b"\0\0x" and bytes(dirty) == data[:-1] + b"x" and dirty.faults


def test_counted_items_are_filled_up_and_what_is_behind_keeps_its_value() -> None:
    with bindings():

        class Word(Header):
            v: U16 = 0

        class Row(Header):
            n: U8 = auto(count_of("words"))
            spare: U8 = 0
            words: tuple[Word, ...] = many(count=field("n"), align=4)
            tail: U8 = 9

        for count in range(5):
            made = Row(words=tuple(Word(v=i) for i in range(count)))
            read = dissect(bytes(made), Row)
            assert (read[Row].tail, read[Row].words, read.payload, read.faults) == (9, made.words, b"", ())
            assert dissect(bytes(made), Row, keep=False).encode() == bytes(made)
            assert bytes(read[Row].replace(n=auto)) == bytes(made)  # the filling is not counted
        dirty = dissect(b"\1\0\0\7\1\1\x09", Row)
        assert [str(fault) for fault in dirty.faults] == [
            r"Row.words: expected 2 zeros that fill the items up to a multiple of 4 bytes at offset 4, got b'\x01\x01'"
        ]
        assert (dirty[Row].tail, dirty[Row].words) == (9, (Word(v=7),)) and dirty.encode() == b"\1\0\0\7\1\1\x09"
        assert "got 1 bytes" in str(dissect(b"\1\0\0\7\0", Row).faults[0])
        frames = [Ether() / made / b"x", Ether() / Row() / b"x"]
        assert [dissect(bytes(one)[14:], Row).payload for one in frames] == [b"x", b"x"]


@pytest.mark.parametrize("how", ["rule", "count"])
def test_items_that_zeros_could_be_are_as_many_as_the_header_counts(how: str) -> None:
    with bindings():

        class Word(Header):
            v: U16 = 0

        class Row(Header):
            n: U8 = auto(count_of("words"))
            words: tuple[Word, ...] = many(count=field("n"), align=4) if how == "count" else many(align=4)

        class Table(Header, under=Ether, when={"type": 0x88B5}):
            n: U8 = auto(count_of("rows"))
            rows: tuple[Row, ...] = many(count=field("n"), align=4)
            words: tuple[Word, ...] | None = when(field("n") > 0, many(count=1, align=4))

        for count in range(4):
            given = tuple(Word(v=i) for i in range(count))
            made = Row(words=given)
            rows = (Row(words=(Word(v=5),)), made)
            built = Ether() / Table(rows=rows, words=[Word(v=3)]) / b"x"
            read = dissect(bytes(built))
            assert dissect(bytes(made), Row)[Row] == made == (made / b"")[Row]
            for packet in (built, read, dissect(bytes(built), keep=False), read.replace(Table, rows=built[Table].rows)):
                assert packet[Table].rows == rows and packet[Table].n == 2 and packet[Table].words == (Word(v=3),)
                assert [one.words for one in packet[Table].rows] == [(Word(v=5),), given]
                assert packet.encode() == bytes(built) and packet.faults == () and packet.payload == b"x"
                assert packet == read and hash(packet[Table]) == hash(built[Table]) and not packet.diff(built)
                assert Table(rows=rows).matches(packet)
                assert compile_filter("table.rows.words.v == 5")(packet)
                assert compile_filter("table.rows.words.v == 0")(packet) is (count > 0)
        reported = Row(n=2, words=(Word(v=1),)) / b""  # counts what fills up too, and so do all who read it
        assert reported[Row].words == (Word(v=1), Word()) == dissect(bytes(reported), Row)[Row].words
        short = dissect(bytes(built)[:-7], keep=False)
        assert len(set(map(str, short.faults))) == len(short.faults) and "fill the items up" in str(short.faults[0])


def test_zeros_behind_options_with_a_length_are_no_option() -> None:
    with bindings():

        class Option(Header):
            kind: U8 = 1
            length: U8 = auto(size_of("self"))
            data: Bytes = b""

        class Box(Header):
            length: U16 = auto(size_of("self"))
            options: tuple[Option, ...] = many(size=field("length") - 2, align=4)

        made = Box(options=(Option(data=b"abc"),))
        read = dissect(bytes(made), Box)
        assert read[Box].options == made.options and not read.faults and len(bytes(made)) == 10


def test_the_options_of_tcp_read_back_as_they_were_built() -> None:
    made = TCP(options=(TCPOption(kind=3, data=b"\7"), TCPOption(kind=0)))
    read = dissect(bytes(made), TCP)
    assert bytes(made)[20:] == b"\3\3\7\0" and read[TCP].options == made.options
    made = TCP(options=(TCPOption(kind=0),))
    assert bytes(made)[20:] == bytes(4) and dissect(bytes(made), TCP)[TCP].options == made.options
    # Nothing counts options: of the zeros after an option 1 the first is option 0, in the packet built as in the one read.
    built = TCP(options=(TCPOption(kind=1),)) / b""
    assert built[TCP].options == (TCPOption(kind=1), TCPOption(kind=0)) == dissect(bytes(built), TCP)[TCP].options


def test_a_fault_inside_items_of_items_is_seen_at_any_depth() -> None:
    with bindings():

        class Deepest(Header):
            size: U8 = auto(size_of("value"))
            value: Bytes = b""

        class Middle(Header):
            size: U8 = auto(size_of("parts"))
            parts: tuple[Deepest, ...] = many(size=field("size"))

        class Upper(Header):
            size: U8 = auto(size_of("parts"))
            parts: tuple[Middle, ...] = many(size=field("size"))

        class Top(Header, under=UDP, when={"dport": 6001}):
            kind: U8 = 0
            parts: tuple[Upper, ...] = many()

        good = b"\0" + b"\4\3\2ab" * 2
        bad = good[:-3] + b"\x09ab"  # says 9, 2 are there
        assert not dissect(good, Top).faults and dissect(good, Top)[Top].parts[1].parts[0].parts[0].value == b"ab"
        read = dissect(bad, Top)
        for _ in range(2):  # looked into or not
            (fault,) = read.faults
            assert str(fault) == "Middle.parts: expected 9 bytes for Deepest.value at offset 9, got 2"
            assert read[Top].parts[1].parts[0].parts == (b"\x09ab",)
        with pytest.raises(DissectError, match="9 bytes for Deepest.value"):
            dissect(bad, Top, strict=True)
        frames = [Ether() / IPv4() / UDP(dport=6001) / data for data in (good, bad)]
        assert Capture.of(frames).table("faults").read()["faults"].tolist() == [0, 1]


def test_what_is_no_header_is_refused_as_an_item() -> None:
    for wrong in (5, None, 1.5):
        with pytest.raises(BuildError, match=r"IPv4\.options: expected headers \(IPOption\)"):
            IPv4().replace(options=wrong)


def test_a_list_is_taken_and_packed_without_a_call_for_each_item() -> None:
    with bindings():

        class Choice(Header):
            kind: U8 = 0
            length: U8 | None = when(field("kind") != 0, auto(size_of("data")))
            data: Bytes | None = when(field("kind") != 0, sized(field("length"), b""))

        class Choices(Header):
            items: tuple[Choice, ...] = many(until=field("kind") == 0)

        def calls(count: int) -> int:
            given, seen = [*[Choice(kind=7, data=b"ab")] * count, Choice()], 0

            def count_call(frame: object, event: str, argument: object) -> None:
                nonlocal seen
                seen += event == "call"

            sys.setprofile(count_call)
            try:
                built = bytes(Choices(items=given))
            finally:
                sys.setprofile(None)
            assert built == b"\7\2ab" * count + b"\0"
            return seen

        calls(1)  # what is compiled when first used
        assert calls(10) == calls(100)
        for more in (Choice(kind=1), b"\1"):
            with pytest.raises(BuildError, match="nothing after the item for which kind == 0"):
                bytes(Choices(items=[Choice(), more]))


class Choice(Header):
    """An item that is one byte, or has four fields more."""

    kind: U8 = 0
    size: U8 | None = when(field("kind") > 1, auto(size_of("data")))
    tag: U32 | None = when(field("kind") > 1, 0)
    last: U16 | None = when(field("kind") > 1, const(0x0102))
    data: Bytes | None = when(field("kind") > 1, sized(field("size"), b""))


class Choices(Header):
    items: tuple[Choice, ...] = many(until=field("kind") == 0)


@pytest.mark.parametrize(
    ("header", "items"),
    [
        (Choices, b"\1\2\1\0\0\0\0\1\2x\1\3\0\0\0\0\0\1\2\0"),
        (TCP, b"\2\4\5\xb4\1\1\x08\x0a12345678\3\3\7\0\0\0"),
        (HopByHop, b"\0\5\2\0\0\1\1\0\0"),
    ],
    ids=lambda header: getattr(header, "__name__", ""),
)
def test_compiled_and_careful_readers_of_lists_agree_wherever_bytes_end_or_differ(
    header: type[Header], items: bytes
) -> None:
    (declared,) = header._declaration.repeated
    read = items_reader(declared, False)
    taken = 0
    for place in range(len(items)):
        for byte in {0, 1, 2, 3, 255, items[place]}:
            data = b"?" + items[:place] + bytes([byte]) + items[place + 1 :]
            for limit in range(1, len(data) + 1):
                careful = read_items(declared, data, 1, limit, None, None)
                for some in (data, data[:limit]):  # bytes that follow are none of the list's
                    found = read(some, 1, limit, None)
                    if found is not None:
                        assert found == careful
                        assert [one.captured for one in found[0]] == [one.captured for one in careful[0]]
                        taken += 1
    assert taken > len(items)


def test_items_of_one_byte_are_made_once() -> None:
    built = bytes(TCP(options=[TCPOption(kind=1), TCPOption(kind=1), TCPOption(kind=8, data=bytes(8))]))
    first, second, other = dissect(built, TCP)[TCP].options
    assert first is second is dissect(bytearray(built), TCP)[TCP].options[0] and first == TCPOption(kind=1)
    assert first.captured == {"kind", "length", "data"} and other.data == bytes(8)
