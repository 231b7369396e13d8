"""Edits by path inside a class with inside=, of a value whose size a number around says, which follows or is given in the same call."""

from typing import Any

import pytest

from packetlab import (
    U8,
    BuildError,
    Bytes,
    Header,
    Rest,
    auto,
    bindings,
    computed,
    dissect,
    field,
    many,
    size_of,
    sized,
)


@pytest.fixture
def made() -> Any:
    with bindings():

        class Option(Header):
            kind: U8 = 0
            length: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Cell(Header):
            text: Bytes = sized(field("Sheet.width"), b"")

        class Single(Option, inside="data", when={"kind": 3}):
            cell: Cell = Cell()
            tail: U8 = 1

        class Row(Option, inside="data", when={"kind": 4}):
            cells: tuple[Cell, ...] = many()

        class Vendor(Option, inside="data", when={"kind": 5}):
            code: U8 = 0
            rest: Rest = b""

        class Deep(Vendor, inside="rest", when={"code": 7}):
            cell: Cell = Cell()

        class Sheet(Header):
            width: U8 = 0
            size: U8 = auto(size_of("options"))
            options: tuple[Option, ...] = many()

        yield Single, Row, Deep, Cell, Sheet


def test_the_number_around_follows_is_given_or_is_freed(made: Any) -> None:
    Single, Row, Deep, Cell, Sheet = made
    short, long = Cell(text=b"ab"), Cell(text=b"abc")
    for option, other, path in (
        (Single(cell=short), Single(cell=long), "options[0].single.cell.text"),
        (Row(cells=[short]), Row(cells=[long]), "options[0].row.cells[0].text"),
        (Deep(cell=short), Deep(cell=long), "options[0].deep.cell.text"),
    ):
        sheet, expected = Sheet(options=[option]), bytes(Sheet(options=[other]))
        assert expected[:1] == b"\3"
        assert bytes(sheet.replace({path: b"abc"})) == expected
        assert bytes(sheet.replace({"width": 3, path: b"abc"})) == expected
        assert bytes(sheet.replace({"width": auto, path: b"abc"})) == expected
        read = dissect(bytes(sheet), Sheet)
        assert bytes(read.replace({"sheet.width": 3, f"sheet.{path}": b"abc"})) == expected
        assert bytes(read.replace({"sheet.width": auto, f"sheet.{path}": b"abc"})) == expected
        with pytest.raises(BuildError, match="as Sheet.width says.*Sheet.width can be given too, or follows where it is auto"):
            bytes(read.replace({f"sheet.{path}": b"abc"}))


def test_all_values_that_the_number_is_about(made: Any) -> None:
    Single, Row, _Deep, Cell, Sheet = made
    sheet = Sheet(options=[Row(cells=[Cell(text=b"ab"), Cell(text=b"cd")]), Single(cell=Cell(text=b"ef"))])
    edited = sheet.replace({"options[0].row.cells[all].text": b"xyz", "options[1].single.cell.text": b"uvw"})
    assert bytes(edited) == bytes(Sheet(options=[Row(cells=[Cell(text=b"xyz"), Cell(text=b"xyz")]), Single(cell=Cell(text=b"uvw"))]))


def test_the_error_of_what_is_inside_has_the_number_of_the_header_around() -> None:
    with bindings():

        class Option(Header):
            kind: U8 = 0
            length: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Cell(Header):
            text: Bytes = sized(field("^.many"), b"")

        class Sized(Option, inside="data", when={"kind": 8}):
            many: int = computed(field("^.kind"))
            cell: Cell = Cell()

        assert bytes(Sized(cell=Cell(text=b"abcdefgh"))) == b"\x08\x08abcdefgh"
        with pytest.raises(BuildError, match=r"Cell\.text: expected 8 bytes, as \^\.many says, got 3 bytes"):
            bytes(Sized(cell=Cell(text=b"abc")))
