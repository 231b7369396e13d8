"""Items whose bytes lie elsewhere, in other forms than the usual: lists with an end, plain numbers, offsets in units, and many of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

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
from packetlab.codec.places.heaps import _Entry, _fitted, _laid_out, shape_of
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
