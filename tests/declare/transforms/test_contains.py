"""What `contains` finds in fields that are something else in the packet: records by a template, compressed lists and bytes."""

from __future__ import annotations

from typing import Any

import pytest

from packetlab import (
    U8,
    U16,
    BuildError,
    Bytes,
    Capture,
    Context,
    Ether,
    Frame,
    Header,
    IPv4Address,
    Records,
    Rest,
    Text,
    auto,
    contains,
    count_of,
    field,
    laid_out,
    many,
    recalled,
    size_of,
    sized,
    through,
    xor,
    zlib,
)


class Heading(Header):
    number: U8
    width: U16


class Sheet(Header, under=Ether, when={"type": 0x7AB8}, remembers={("sheet", field("id")): field("headings")}):
    id: U8
    count: U8 = auto(count_of("headings"))
    headings: tuple[Heading, ...] = many(count=field("count"))


class Rowful(Header, under=Ether, when={"type": 0x7AB9}):
    id: U8
    length: U16 = auto(size_of("rows"))
    rows: Records = laid_out(recalled("sheet", field("id")), size="width", number="number", kinds={3: IPv4Address, 4: str})


class Piece(Header):
    kind: U8 = 0
    size: U8 = auto(size_of("data"))
    data: Bytes = b""


class Crate(Header, under=Ether, when={"type": 0x7ABA}):
    number: U8 = 0
    size: U16 = auto(size_of("pieces"))
    pieces: tuple[Piece, ...] = through(zlib(), sized(field("size")))
    words: U16 = auto(size_of("text"))
    text: Text = through(xor(0x55), sized(field("words")))
    rest: Rest = through(zlib(), b"")


HEADINGS = [Heading(number=3, width=4), Heading(number=9, width=2), Heading(number=4, width=0xFFFF)]
ROWS = [{3: "10.0.0.1", 9: 700, 4: "eth0"}, {3: "10.0.0.2", 9: 7, 4: "eth1"}]
with Context():
    wires = [bytes(Ether() / Sheet(id=1, headings=HEADINGS)), bytes(Ether() / Rowful(id=1, rows=ROWS)), bytes(Ether() / Rowful(id=1, rows=ROWS[1:]))]
RECORDS = Capture.of(wires)
CRATES = Capture.of([
    Ether() / Crate(pieces=[Piece(data=b"a" * 40), Piece(kind=7, data=b"needle")], text="some words", rest=b"x" * 50 + b"\xff\x01"),
    Ether() / Crate(number=1, pieces=(), text=""),
])  # fmt: skip


@pytest.mark.parametrize(
    ("piece", "found"),
    [("0a000001", 1), ("0a:00:00:02", 2), ('"eth0"', 1), ('"eth"', 2), ('"\\x02\\xbc"', 1), ("0bad", 0), ('"nothing"', 0)],
)
def test_a_filter_finds_bytes_in_records(piece: str, found: int) -> None:
    assert RECORDS.where(f"rowful.rows contains {piece}").count() == found


@pytest.mark.parametrize(
    ("test", "found"),
    [
        ('crate.pieces contains "needle"', 1), ("crate.pieces contains 07066e", 1),
        ('crate.pieces contains "x\\x9c"', 0), ("crate.rest contains 78ff01", 1), ('crate.rest contains "\\xff\\x01"', 1), ("crate.rest contains 789c", 0),
        ('crate.text contains "me wo"', 1), ("crate.text contains words", 1), ("crate.text contains 736f", 0), ('crate.pieces.data contains "need"', 1),
    ],
)  # fmt: skip
def test_a_filter_finds_bytes_in_what_is_inside(test: str, found: int) -> None:
    assert CRATES.where(test).count() == found


def test_a_filter_says_what_is_no_piece() -> None:
    for test in ("rowful.rows contains eth0", "crate.rest contains 5", "rowful.rows == 0a000001"):
        with pytest.raises(BuildError, match=r"expected a value for \w+\.\w+"):
            RECORDS.where(test)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (contains({3: "10.0.0.2"}), 2), (contains({3: "10.0.0.1", 9: 700}), 1), (contains({"3": "10.0.0.1", 9: 7}), 0), (contains({9: 7}, {9: 700}), 1),
        (contains({9: 7}, {9: 7}), 0), (contains({4: "eth1"}, {3: "10.0.0.1"}), 1), (contains({5: 1}), 0), (contains({9: 1 << 70}), 0),
        (contains(b"eth0"), 1), (contains("eth"), 2), (contains({9: 700}, b"eth0"), 1),
    ],
)  # fmt: skip
def test_a_pattern_finds_records_by_some_of_their_values(wanted: Any, found: int) -> None:
    assert RECORDS.where(Rowful(rows=wanted)).count() == found


def test_a_pattern_finds_headers_in_a_compressed_list() -> None:
    for wanted, found in ((contains(Piece(kind=7)), 1), (contains(Piece), 1), (contains(Piece(kind=7), Piece(kind=7)), 0), (contains(b"needle"), 1)):
        assert CRATES.where(Crate(pieces=wanted)).count() == found
    with pytest.raises(BuildError, match=r"a header to look for \(Piece\), got 5"):
        Crate(pieces=contains(5))


def test_without_the_template_there_are_no_records_but_the_bytes() -> None:
    alone = Capture.of([Frame(wires[1])])
    assert alone.where(Rowful(rows=contains({3: "10.0.0.1"}))).count() == 0
    assert alone.where('rowful.rows contains "eth0"').count() == 1 == alone.where(Rowful(rows=contains(b"eth0"))).count()
