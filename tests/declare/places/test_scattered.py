"""Fields at offsets in another order than that of declaration."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    F32,
    MAC,
    U8,
    U16,
    U32,
    Bytes,
    Header,
    Payload,
    Text,
    VarInt,
    at,
    auto,
    count_of,
    dissect,
    ended,
    field,
    fixed_bytes,
    labels,
    many,
    offset_of,
    size_of,
    sized,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.packet.offsets import field_offsets
from tests.conftest import amount


class Three(Header):
    first: U8 = auto(offset_of("a"))
    a_size: U8 = auto(size_of("a"))
    second: U8 = auto(offset_of("b", since="Table"))
    b_size: U8 = auto(size_of("b"))
    third: U8 = auto(offset_of("c"))
    c_size: U8 = auto(size_of("c"))
    a: Text = at(field("first"), sized(field("a_size"), ""))
    b: Bytes = at(field("second"), sized(field("b_size"), b""), align=4, since="Table")
    c: Bytes = at(field("third"), sized(field("c_size"), b""))
    end: U8 = 9


class Table(Header):
    """Two of them, so that the offsets of the second count from elsewhere."""

    count: U8 = auto(count_of("items"))
    items: tuple[Three, ...] = many(count=field("count"))


def laid(order: list[int], values: list[bytes], gaps: list[bytes], start: int = 0) -> bytes:
    """Return the bytes of one of them by hand."""
    place, places, body = 6, [0, 0, 0], b""
    for k in order:
        place += len(gaps[k]) if values[k] else 0
        places[k] = place
        place += len(values[k])
        body += gaps[k] + values[k] if values[k] else b""
    places[1] += start
    return bytes(n for k in range(3) for n in (places[k], len(values[k]))) + body + b"\t"


@given(
    order=st.permutations([0, 1, 2]), values=st.tuples(st.from_regex(rb"[a-z]{0,5}", fullmatch=True), st.binary(max_size=5), st.binary(max_size=5)),
    gaps=st.lists(st.binary(max_size=3), min_size=3, max_size=3), other=st.permutations([0, 1, 2]),
)  # fmt: skip
@settings(max_examples=amount(150, 1500), deadline=None)
def test_they_are_read_as_they_lie_and_written_so(
    order: list[int], values: Any, gaps: list[bytes], other: list[int]
) -> None:
    data = laid(order, values, gaps)
    packet = dissect(data + b"up", Three)
    found: Any = packet[Three]
    assert packet.faults == () and packet.payload == b"up" and found.end == 9
    assert (found.a.encode(), found.b, found.c) == tuple(values)
    assert bytes(packet) == bytes(packet.replace(Three)) == data + b"up" and bytes(found) == data
    assert bytes(packet.replace(Three, end=7)) == data[:-1] + b"\7up"
    for span in field_offsets(packet).spans:
        if span.field.name in ("a", "b", "c"):
            assert data[slice(*span.byte_range)] == values["abc".index(span.field.name)]
    if not any(gaps):
        given_ = {name: data[k] for k, name in ((0, "first"), (2, "second"), (4, "third"))}
        assert bytes(Three(a=values[0].decode(), b=values[1], c=values[2], **given_)) == data
    table = b"\2" + data[:2] + bytes([data[2] + 1]) + data[3:] + laid(other, values, gaps, 1 + len(data))
    several = dissect(table, Table)
    assert several.faults == () and [one.b for one in several[Table].items] == [values[1]] * 2
    assert bytes(several) == bytes(several.replace(Table)) == bytes(several[Table]) == table


@given(st.binary(max_size=40))
@settings(max_examples=amount(400, 4000), deadline=None)
def test_any_bytes_come_back_and_both_readers_agree(data: bytes) -> None:
    low = bytes(byte & 15 for byte in data)
    for header in (Three, Table):
        for some in (data, low, b"\1" + low, bytes([12, 2, 6, 3, 9, 3]) + data):
            packet, careful = dissect(some, header), Dissection()
            read, start, end, _ = walk(header._declaration, some, 0, len(some), careful)
            assert bytes(packet) == some
            assert (packet.layers[0], packet.payload, packet.faults) == (read, some[start:end], tuple(careful.faults))
            assert bytes(packet.replace(header)) == some


def test_those_that_overlap_are_a_fault() -> None:
    packet = dissect(bytes([9, 3, 7, 3, 0, 0]) + bytes(6) + b"\t", Three)
    assert packet.faults[0].field == "b_gap"


def test_a_header_without_fields_has_none_of_them() -> None:
    class Bare(Header):
        body: Payload

    assert bytes(Bare() / b"up") == b"up" and dissect(b"up", Bare).payload == b"up"


class Pair(Header):
    v: U16 = 0
    w: U16 = 0


@pytest.mark.parametrize(
    "kind, given_, value, data",
    [
        (U32, (7,), 8, bytes([0, 0, 0, 8])), (MAC, (MAC(0),), MAC(5), bytes([0, 0, 0, 0, 0, 5])), (F32, (0.0,), 1.5, b"\x3f\xc0\0\0"),
        (Annotated[bytes, fixed_bytes(4)], (b"abcd",), b"wxyz", b"wxyz"), (Pair, (), Pair(v=1, w=2), bytes([0, 1, 0, 2])),
        (tuple[Pair, ...], (many(count=field("n"), value=(Pair(),) * 3),), (Pair(v=1, w=2), Pair(v=3, w=4), Pair(v=5, w=6)), bytes([0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6])),
        (VarInt, (5,), 300, b"\xac\2"),
        (Text, (ended(b"\0", ""),), "hi", b"hi\0"), (Annotated[str, labels()], ("",), "a.b", b"\1a\1b\0"),
    ],
)  # fmt: skip
def test_what_is_not_bytes_of_a_told_size_lies_before_what_is_declared_before_it(kind: Any, given_: Any, value: Any, data: bytes) -> None:
    class Mixed(Header):
        first: U8 = auto(offset_of("a"))
        second: U8 = auto(offset_of("b"))
        n: U8 = auto(size_of("a"))
        a: Bytes = at(field("first"), sized(field("n"), b"aaa"))
        b: kind = at(field("second"), *given_)  # type: ignore[valid-type]
        end: U8 = 9

    for gap in (b"", b"??"):
        raw = bytes([3 + len(gap + data), 3 + len(gap), 3]) + gap + data + b"aaa\t"
        packet = dissect(raw + b"up", Mixed)
        found: Any = packet[Mixed]
        assert packet.faults == () and packet.payload == b"up"
        assert (found.a, found.b, found.end) == (b"aaa", value, 9)
        assert bytes(packet) == bytes(packet.replace(Mixed)) == raw + b"up"
        assert bytes(packet.replace(Mixed, a=b"zzz")) == raw.replace(b"aaa", b"zzz") + b"up"
        (span,) = [span for span in field_offsets(packet).spans if span.field.name == "b"]
        assert raw[slice(*span.byte_range)] == data
    made: Any = Mixed(first=3 + len(data), second=3, b=value)
    assert bytes(made) == bytes([3 + len(data), 3, 3]) + data + b"aaa\t"
    assert dissect(bytes(Mixed(b=value)), Mixed).faults == ()


@pytest.mark.slow
@given(st.binary(max_size=30))
@settings(max_examples=amount(300, 3000), deadline=None)
def test_any_bytes_of_numbers_and_items_at_offsets_come_back(data: bytes) -> None:
    class Kinds(Header):
        one: U8 = auto(offset_of("a"))
        two: U8 = auto(offset_of("b"))
        three: U8 = auto(offset_of("c"))
        n: U8 = auto(count_of("c"))
        four: U8 = auto(offset_of("d"))
        m: U8 = auto(count_of("d"))
        a: U16 = at(field("one"), 1)
        b: Text = at(field("two"), ended(b"\0", ""))
        c: tuple[Pair, ...] = at(field("three"), many(count=field("n")))
        d: tuple[VarInt, ...] = at(field("four"), many(count=field("m")))

    reversed_: Any = dissect(bytes([16, 14, 10, 1, 6, 3]) + b"\1\xc8\1\3" + b"\0\1\0\2" + b"i\0" + b"\0\5", Kinds)
    assert reversed_.faults == () and (reversed_[Kinds].a, reversed_[Kinds].b, reversed_[Kinds].d) == (5, "i", (1, 200, 3))
    for some in (data, bytes(byte & 15 for byte in data), bytes([14, 12, 7, 1, 6, 1]) + data):
        packet, careful = dissect(some, Kinds), Dissection()
        read, start, end, _ = walk(Kinds._declaration, some, 0, len(some), careful)
        assert (packet.layers[0], packet.payload, packet.faults) == (read, some[start:end], tuple(careful.faults))
        assert bytes(packet) == bytes(packet.replace(Kinds)) == some
