"""Items that are nothing, by what stands around them: refused where they are built, a fault where they are read."""

from collections.abc import Iterator

import pytest

from packetlab import U8, BuildError, Bytes, Header, auto, bindings, count_of, dissect, field, many, sized, when
from tests.careful import careful


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


class SizedByHolder(Header):
    x: Bytes = sized(field("^.w"), b"")


class ThereByHolder(Header):
    c: U8 | None = when(field("^.k") == 1, 5)


def test_a_number_of_items_whose_size_the_holder_says() -> None:
    class Two(Header):
        w: U8 = 0
        items: tuple[SizedByHolder, ...] = many(count=2)

    made = Two(w=2, items=[SizedByHolder(x=b"ab"), SizedByHolder(x=b"cd")])
    assert bytes(made).hex() == "0261626364"
    assert dissect(bytes(made), Two)[Two] == made
    with pytest.raises(BuildError, match=r"Two\.items: expected items of a byte or more, got SizedByHolder of none"):
        bytes(Two(items=[SizedByHolder(), SizedByHolder()]))
    read = dissect(b"\0abcd", Two)
    assert [str(fault) for fault in read.faults] == ["Two.items: expected items of a byte or more at offset 1, got SizedByHolder of none"]
    assert bytes(read) == b"\0abcd" and careful(Two, b"\0abcd")[1] == list(read.faults)


def test_a_count_of_items() -> None:
    class Counted(Header):
        w: U8 = 0
        n: U8 = auto(count_of("items"))
        items: tuple[SizedByHolder, ...] = many()

    assert dissect(bytes(Counted()), Counted)[Counted] == Counted()
    with pytest.raises(BuildError, match=r"Counted\.items: expected items of a byte or more"):
        bytes(Counted(items=[SizedByHolder(), SizedByHolder()]))
    assert dissect(b"\0\2", Counted).faults


def test_a_list_up_to_the_end() -> None:
    class Rows(Header):
        k: U8 = 0
        rows: tuple[ThereByHolder, ...] = many()

    read = dissect(b"\0\xff\xff", Rows)
    assert [str(fault) for fault in read.faults] == ["Rows.rows: expected items of a byte or more at offset 1, got ThereByHolder of none"]
    assert bytes(read) == b"\0\xff\xff"
    assert dissect(b"\1\xff\xff", Rows)[Rows].rows == (ThereByHolder(c=255), ThereByHolder(c=255))
    with pytest.raises(BuildError, match=r"Rows\.rows: expected items of a byte or more"):
        bytes(Rows(rows=[ThereByHolder()]))
