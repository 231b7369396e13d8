"""Items whose bytes lie elsewhere, in other forms than the usual: lists with an end, plain numbers, offsets in units, and many of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    U8,
    U16,
    U32,
    Bytes,
    DeclareError,
    Header,
    Rest,
    at,
    auto,
    bindings,
    choose,
    count_of,
    dissect,
    field,
    many,
    offset_of,
    size_of,
    sized,
    through,
    xor,
)
from packetlab.codec.places.heaps import _Entry, _fitted, _laid_out, handed_out, heaped, shape_of
from packetlab.codec.places.laying import handing_out, laying
from tests.conftest import amount
from tests.growth import is_linear


class Slot(Header):
    where: U32 = auto(choose(size_of("data") > 0, offset_of("data", since="Slots"), 0))
    size: U16 = auto(size_of("data"))
    data: Bytes = at(field("where"), sized(field("size"), b""), since="Slots", within="pool")


class Slots(Header):
    count: U32 = auto(count_of("slots"))
    slots: tuple[Slot, ...] = many(count=field("count"))
    pool: Rest = b""


class Named(Header):
    where: U8 = auto(choose(size_of("data") > 0, offset_of("data", since="Ended"), 0))
    size: U8 = auto(size_of("data"))
    data: Bytes = at(field("where"), sized(field("size"), b""), since="Ended", within="pool")


class Ended(Header):
    slots: tuple[Named, ...] = many(until=field("where") == 0, value=(Named(),))
    pool: Rest = b""


def test_a_list_may_end_with_an_item_that_has_no_bytes() -> None:
    made = Ended(slots=(Named(data=b"ab"), Named(data=b"c"), Named()))
    assert bytes(made).hex(" ") == "06 02 08 01 00 00 61 62 63"
    found = dissect(bytes(made), Ended)
    assert found[Ended] == made and found == made / b"" and hash(found[Ended]) == hash(found[Ended]) and found.faults == ()


def test_what_has_plain_numbers_is_equal_to_what_is_read() -> None:
    with bindings():

        class Plain(Header):
            where: U8 = 0
            size: U8 = 0
            data: Bytes = at(field("where"), sized(field("size"), b""), since="Plains", within="pool")

        class Plains(Header):
            slots: tuple[Plain, ...] = many(size=4)
            pool: Rest = b""

        made = Plains(slots=(Plain(where=4, size=2, data=b"ab"), Plain(where=6, size=1, data=b"c")))
        found = dissect(bytes(made), Plains)
        assert bytes(made) == b"\4\2\6\1abc" and found.faults == () and found[Plains] == made == Plains(slots=made.slots, pool=b"abc")


def test_what_cannot_lie_elsewhere_is_refused_by_name() -> None:
    def refused(value: Callable[[], Any]) -> str:
        with bindings(), pytest.raises(DeclareError) as error:

            class One(Header):
                where: U8 = auto(offset_of("data", since="All"))
                size: U8 = auto(size_of("data"))
                data: Bytes = value()

        return str(error.value)

    def far(value: Any) -> Callable[[], Any]:
        return lambda: at(field("where"), value, since="All", within="pool")

    assert "expected sized(...) bytes, got through(...)" in refused(far(through(xor(5), sized(field("size"), b""))))
    assert "expected b\"\" as the default of bytes that lie elsewhere, got b'some'" in refused(far(sized(field("size"), b"some")))


def test_why_the_bytes_follow_from_the_items() -> None:
    assert "follows from the items of slots, whose bytes lie in it" in str((Slots(slots=(Slot(data=b"ab"),)) / b"").why(Slots, "pool"))


def test_an_item_that_was_read_without_bytes_is_given_some() -> None:
    """Its offset said nothing, and follows anew."""
    data = bytes.fromhex("00000002 00000001 0000 00000010 0002 6162")
    found = dissect(data, Slots)
    assert found.faults == () and [one.data for one in found[Slots].slots] == [b"", b"ab"]
    edited = found.replace({"slots.slots[0].data": b"new"})
    assert bytes(edited) == bytes.fromhex("00000002 00000010 0003 00000013 0002 6e6577 6162") and dissect(bytes(edited), Slots) == edited


def test_an_offset_that_follows_without_bytes_too_is_as_it_is_read_after_an_edit() -> None:
    with bindings():

        class Spot(Header):
            where: U8 = auto(offset_of("data", since="Spots"))
            size: U8 = auto(size_of("data"))
            data: Bytes = at(field("where"), sized(field("size"), b""), since="Spots", within="pool")

        class Spots(Header):
            count: U8 = auto(count_of("slots"))
            slots: tuple[Spot, ...] = many(count=field("count"))
            pool: Rest = b""

        found = dissect(bytes.fromhex("02 2000 0501 61"), Spots)
        edited = found.replace(Spots, slots=(found[Spots].slots[0], Spot(data=b"longer")))
        again = dissect(bytes(edited), Spots)
        assert again == edited and again[Spots] == edited[Spots] and again.faults == () and again[Spots].slots[1].data == b"longer"


def entries(items: list[Slot]) -> list[_Entry]:
    shape = shape_of(Slot._declaration)
    assert shape is not None
    return [_Entry(item, shape, Slots._declaration.by_name["slots"], place) for place, item in enumerate(items)]


def test_many_are_laid_where_their_offsets_say_in_linear_time() -> None:
    is_linear(lambda some: _laid_out(some, [one.at for one in some], 4, "pool"), lambda amount: entries([Slot(where=4 + k, data=b"aa") for k in range(amount)]), 60)


def test_many_are_edited_in_their_places_in_linear_time() -> None:
    is_linear(lambda some: _fitted(some, 4, bytes(400)), lambda amount: entries([Slot(where=4 + k, data=b"a") for k in range(amount)]), 60)


class Shelf(Header):
    where: U16 = auto(offset_of("data", since="Shelves"))
    size: U8 = auto(size_of("data"))
    data: Bytes = at(field("where"), sized(field("size"), b""), since="Shelves", within="pool", align=4)


class Shelves(Header):
    count: U8 = auto(count_of("shelves"))
    shelves: tuple[Shelf, ...] = many(count=field("count"))
    tail: U16 = 7
    pool: Rest = b""


@settings(max_examples=amount(100, 1000))
@given(st.lists(st.builds(Shelf, data=st.binary(max_size=9)), max_size=5), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=5), st.binary(max_size=30))
def test_plain_items_are_laid_and_read_at_once_as_one_by_one(items: list[Shelf], places: list[tuple[int, int]], pool: bytes) -> None:
    header = Shelves(shelves=items)
    lay = laying(Shelves._declaration)
    assert lay is not None
    at_once, with_care = lay(header), heaped(header, (header,), 0)
    assert at_once._pool == with_care._pool  # type: ignore[attr-defined]
    assert [(one._state, one._where, one.data, one.__outer__) for one in at_once._shelves] == [(one._state, one._where, one.data, one.__outer__) for one in with_care._shelves]  # type: ignore[attr-defined]

    entries, (shelves, *_) = [Shelf(where=where, size=size) for where, size in places], Shelves._fields[1:]
    hand, begin = handing_out(shelves), 3 + 3 * len(places)
    assert hand is not handed_out
    found = hand(tuple(entries), pool, begin)
    now = found and [(one._data, one.__outer__) for one in found]
    again = handed_out(tuple(entries), pool, begin)
    assert now == (again and [(one._data, one.__outer__) for one in again])
    assert (found is None) == any(size and not begin <= where <= begin + len(pool) - size for where, size in places)


def test_what_was_read_or_given_a_place_is_not_laid_at_once() -> None:
    lay = laying(Shelves._declaration)
    assert lay is not None and lay(Shelves(shelves=(Shelf(data=b"a"),))) is not None
    found = dissect(bytes(Shelves(shelves=(Shelf(data=b"a"), Shelf(data=b"b")))), Shelves)[Shelves]
    for header in (found, found.replace(tail=8), Shelves(shelves=found.shelves), Shelves(shelves=(Shelf(where=40, data=b"a"),)), Shelves(pool=b"a", shelves=(Shelf(data=b"a"),)), Shelves(shelves=(b"abc",))):
        assert lay(header) is None
    assert laying(Shelf._declaration) is None
