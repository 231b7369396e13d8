"""Fields at offsets in another order than that of declaration."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings, strategies as st

from packetlab import (
    U8,
    Bytes,
    Header,
    Payload,
    Text,
    at,
    auto,
    count_of,
    dissect,
    field,
    many,
    offset_of,
    size_of,
    sized,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.packet.offsets import field_offsets


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
@settings(max_examples=150, deadline=None)
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
@settings(max_examples=400, deadline=None)
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
