"""Fields whose presence or size hangs together are drawn so that they fit: what is drawn is built, and reads back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import find, given, settings, strategies as st

import packetlab as pl
from packetlab import (
    U1,
    U4,
    U7,
    U8,
    Bytes,
    Header,
    auto,
    before,
    bindings,
    choose,
    computed,
    dissect,
    field,
    has,
    many,
    size_of,
    sized,
    when,
)
from tests.conftest import amount


class TogetherString(Header):
    size: U8 = auto(size_of("text"))
    text: Bytes = b""


class TogetherWill(Header):  # the flag follows from the first of two
    will: U1 = auto(has("topic"))
    rest: U7 = 0
    topic: TogetherString | None = when(field("will"))
    message: TogetherString | None = when(field("will"))


class TogetherLate(Header):  # and from the second one
    will: U1 = auto(has("message"))
    rest: U7 = 0
    topic: TogetherString | None = when(field("will"))
    message: TogetherString | None = when(field("will"))
    more: U8 | None = when(field("will") & (field("rest") > 3))


class TogetherShort(Header):  # a size of 1 to 16 bytes, as in RFC 8285
    id: U4 = 1
    size: U4 = auto(choose(field("id") == 0, 0, size_of("value") - 1))
    value: Bytes | None = when(field("id") != 0, sized(field("size") + 1))


class TogetherNarrow(Header):
    size: U4 = auto(size_of("value") // 2 - 2)
    rest: U4 = 0
    value: Bytes = sized(field("size") * 2 + 4)


ALL: list[Any] = [TogetherWill, TogetherLate, TogetherShort, TogetherNarrow]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_what_is_drawn_is_built_and_reads_back(cls: type[Header]) -> None:
    @settings(max_examples=amount(60, 600))
    @given(pl.strategies.headers(cls))
    def reads_back(header: Header) -> None:
        packet = dissect(bytes(header), cls)
        assert not packet.faults and packet.payload == b""
        assert packet[cls] == header

    reads_back()


@pytest.mark.parametrize("cls", [TogetherWill, TogetherLate], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("there", [False, True])
def test_both_are_drawn_or_none(cls: Any, there: bool) -> None:
    drawn = pl.strategies.headers(cls)
    found = find(drawn, lambda header: (header.message is not None) is there)
    assert (found.topic is not None) is there


def test_sizes_at_both_ends_are_drawn() -> None:
    for size in (1, 16):
        found = find(pl.strategies.headers(TogetherShort), lambda header, size=size: len(header.value or b"") == size)
        assert bytes(found)[0] & 15 == size - 1


@settings(max_examples=amount(40, 400))
@given(st.data())
def test_what_is_named_stays_as_it_is_named(data: st.DataObject) -> None:
    header = data.draw(pl.strategies.headers(TogetherShort, size=3))
    assert header.size == 3


class TogetherDelta(Header):
    delta: U8 = 0
    number: int = computed(before("number") + field("delta"))


class TogetherSized(Header):
    size: U8 = 0
    body: Bytes = sized(before("size"), b"")


class TogetherMore(Header):
    more: U8 = 0
    x: U8 | None = when(before("more") == 1)


def listed(item: type[Header]) -> type[Header]:
    class TogetherList(Header):
        items: tuple[item, ...] = many()  # type: ignore[valid-type]

    return TogetherList


@pytest.mark.parametrize("item", [pytest.param(TogetherDelta, marks=pytest.mark.slow), TogetherSized, pytest.param(TogetherMore, marks=pytest.mark.slow)], ids=lambda cls: cls.__name__)
def test_items_that_go_by_the_item_before_are_drawn_together(item: Any) -> None:
    cls: Any = listed(item)
    drawn = pl.strategies.headers(cls)
    sizes = set[int]()

    @settings(max_examples=amount(60, 600))
    @given(drawn)
    def reads_back(header: Any) -> None:
        packet = dissect(bytes(header), cls)
        assert not packet.faults and packet[cls] == header
        sizes.add(len(header.items))

    reads_back()
    assert {0, 1, 2, 3} <= sizes
    wanted = {TogetherDelta: lambda one: one.delta, TogetherSized: lambda one: one.body, TogetherMore: lambda one: one.x is not None}[item]
    find(drawn, lambda header: len(header.items) == 3 and all(map(wanted, header.items[1:])))


def test_items_that_are_found_by_the_item_before_are_drawn() -> None:
    with bindings():

        class TogetherPart(Header):
            kind: int = computed(choose(before("next"), before("next"), field("^.next")))
            next: U8 = 0
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class TogetherThree(TogetherPart, inside="data", when={"kind": 3}):
            x: U8 = 7

        class TogetherParts(Header):
            next: U8 = 0
            parts: tuple[TogetherPart, ...] = many(until=field("next") == 0)

        drawn = pl.strategies.headers(TogetherParts)
        found = find(drawn, lambda header: [type(one) for one in header.parts or ()] == [TogetherThree] * 2)
        assert not dissect(bytes(found), TogetherParts).faults
