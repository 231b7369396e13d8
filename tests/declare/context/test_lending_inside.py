"""What came out of a transform recalled something: it counts for what is compared with it, or put in its place, as without the transform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from packetlab import (
    U8,
    U16,
    BuildError,
    Bytes,
    Context,
    Header,
    Records,
    auto,
    contains,
    count_of,
    dissect,
    field,
    laid_out,
    malformed,
    many,
    recalled,
    size_of,
    sized,
    through,
    xor,
    zlib,
)
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Column(Header):
        type: U16 = 1
        length: U16 = 2

    class Layout(Header, remembers={("inside rows", field("id")): field("columns"), ("inside size", field("id")): field("count")}):
        id: U8 = 5
        count: U8 = auto(count_of("columns"))
        columns: tuple[Column, ...] = many(count=field("count"))

    class Row(Header):
        id: U8 = 5
        length: U16 = auto(size_of("self"))
        rows: Records = laid_out(recalled("inside rows", field("id")), size="length")

    class Part(Header):
        id: U8 = 5
        body: Bytes = sized(recalled("inside size", field("id")))

    class Plain(Header):
        rows: tuple[Row, ...] = many()

    class Masked(Header):
        rows: tuple[Row, ...] = through(xor(0x55), many())

    class Packed(Header):
        n: U8 = 1
        rows: tuple[Row, ...] = through(zlib(), many())

    class Single(Header):
        part: Part = through(xor(1), Part())


@pytest.fixture(autouse=True)
def declared() -> Iterator[None]:
    with scope:
        yield


def read(header: Any) -> Any:
    context = Context()
    with context:
        bytes(Layout(columns=[Column(type=1, length=2), Column(type=8, length=1)]))
        data = bytes(header())
    packet = dissect(data, type(header()), context=context)
    assert not packet.faults
    return packet


def row(number: int) -> Row:
    return Row(rows=[{1: number, 8: b"x"}])


@pytest.mark.parametrize("cls", [Plain, Masked, Packed])
def test_records_inside_are_compared_edited_and_damaged_as_outside(cls: Any) -> None:
    packet = read(lambda: cls(rows=[row(700)]))
    assert packet[cls] == cls(rows=[row(700)]) and packet[cls] != cls(rows=[row(701)])
    assert cls(rows=contains(row(700))).matches(packet) and not cls(rows=contains(row(701))).matches(packet)
    with Context():
        bytes(Layout(columns=[Column(type=1, length=2), Column(type=8, length=1)]))
        expected = bytes(cls(rows=[row(700), row(9)]))
    assert bytes(packet.replace(cls, rows=[*packet[cls].rows, row(9)])) == expected
    assert list(malformed(packet))


def test_sizes_inside_are_too() -> None:
    packet = read(lambda: Single(part=Part(body=b"ab")))
    assert packet[Single] == Single(part=Part(body=b"ab")) and packet[Single] != Single(part=Part(body=b"ac"))
    assert packet[Single] != Single()
    with pytest.raises(BuildError, match=r"Part\.body: expected 2 bytes"):
        bytes(packet.replace(Single, part=Part(body=b"abc")))
    assert list(malformed(packet))


def test_what_cannot_be_built_yet_is_shown_as_it_was_given() -> None:
    for cls in (Plain, Masked, Packed):
        made = cls(rows=[row(700)])
        assert f"rows=({row(700)!r},)" in repr(made) and made.rows == (row(700),)
        assert "cannot be built" in (made / b"").show()
