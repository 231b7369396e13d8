"""Places and names beside transforms, and lists of nothing at an offset."""

from __future__ import annotations

from typing import Annotated

import pytest

from packetlab import (
    U8,
    Bytes,
    Header,
    at,
    auto,
    choose,
    count_of,
    dissect,
    field,
    labels,
    many,
    offset_of,
    size_of,
    sized,
    through,
    zlib,
)


class Named(Header):
    first: Annotated[str, labels(compress=True)] = "x.y"
    length: U8 = auto(size_of("body"))
    body: Bytes = through(zlib(), sized(field("length"), b"abc"))
    second: Annotated[str, labels(compress=True)] = "x.y"


def test_names_point_back_over_a_field_behind_a_transform() -> None:
    data = bytes(Named())
    assert data[-2:] == b"\xc0\x00" and data[5] == len(data) - 8
    packet = dissect(data, Named)
    assert packet.faults == () and packet[Named] == Named()
    longer = dissect(bytes(packet.replace(Named, body=b"abcd" * 9)), Named)
    assert (longer[Named].second, longer[Named].body, longer.faults) == ("x.y", b"abcd" * 9, ())


class Item(Header):
    number: U8 = 0


class Table(Header):
    offset: U8 = auto(offset_of("items"))
    count: U8 = auto(count_of("items"))
    items: tuple[Item, ...] = at(field("offset"), many(count=field("count")))


class OptionalTable(Header):
    offset: U8 = auto(choose(size_of("items") > 0, offset_of("items"), 0))
    count: U8 = auto(count_of("items"))
    items: tuple[Item, ...] = at(field("offset"), many(count=choose(field("offset") != 0, field("count"), 0)))


@pytest.mark.parametrize("data", ["0000", "0900"])
def test_a_list_of_no_items_lies_nowhere(data) -> None:
    packet = dissect(bytes.fromhex(data), Table)
    assert packet.faults == () and bytes(packet).hex() == data


def test_the_offset_of_a_counted_list_is_0_where_there_is_none() -> None:
    assert bytes(OptionalTable()) == b"\0\0"
    full = bytes(OptionalTable(items=[Item(number=7)]))
    assert full == b"\2\1\7"
    assert [dissect(data, OptionalTable).faults for data in (b"\0\0", full)] == [(), ()]
