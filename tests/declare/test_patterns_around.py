"""Headers that are looked for by what they hold are compared as if they stood where those stand that a packet holds."""

from typing import Any

import pytest

from packetlab import (
    U8,
    Bytes,
    Capture,
    Ether,
    Header,
    auto,
    bindings,
    contains,
    count_of,
    field,
    many,
    size_of,
    through,
    when,
    xor,
)


@pytest.fixture
def made() -> Any:
    with bindings():

        class Item(Header):
            value: U8 = 0
            more: U8 | None = when(field("Sheet.long") == 1, 9)

        class Part(Header):
            kind: U8 = 0
            length: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Inside(Part, inside="data", when={"kind": 2}):
            items: tuple[Item, ...] = many()

        class Group(Header):
            count: U8 = auto(count_of("items"))
            items: tuple[Item, ...] = many(count=field("count"))

        class One(Header):
            item: Item = Item()

        class Masked(Header):
            items: tuple[Item, ...] = through(xor(0x55), many())

        class Sheet(Header, under=Ether, when={"type": 0x7ABC}):
            long: U8 = 0
            size: U8 = auto(size_of("parts"))
            parts: tuple[Part, ...] = many()
            room: U8 = auto(size_of("groups"))
            groups: tuple[Group, ...] = many()
            one: One = One()
            masked: Masked = Masked()

        yield Item, Inside, Group, One, Masked, Sheet


def test_what_holds_items_that_ask_what_is_around_is_found_in_a_list(made: Any) -> None:
    Item, Inside, Group, One, Masked, Sheet = made
    part, group = Inside(items=[Item(value=1)]), Group(items=[Item(value=3), Item(value=4, more=5)])
    sheet = Sheet(long=1, parts=[part], groups=[Group(), group], one=One(item=Item(value=6)), masked=Masked(items=[Item(value=7)]))
    capture = Capture.of([Ether() / sheet])
    there = [
        Sheet(long=1, parts=[part]),
        Sheet(long=1, parts=contains(part)),
        Sheet(parts=[part]),  # whatever else is said of the sheet
        Sheet(parts=contains(Inside(items=[Item(value=1, more=9)]))),
        Sheet(parts=contains(Inside(items=contains(Item(more=9))))),
        Sheet(groups=contains(group)),
        Sheet(groups=[Group(), group]),
        Sheet(one=One(item=Item(value=6))),
        Sheet(one=One(item=Item(more=9))),
        Sheet(masked=Masked(items=[Item(value=7)])),
    ]
    absent = [
        Sheet(long=0, parts=contains(part)),
        Sheet(parts=contains(Inside(items=[Item(value=2)]))),
        Sheet(parts=contains(Inside(items=[Item(value=1, more=8)]))),
        Sheet(groups=contains(Group(items=[Item(value=3)]))),
        Sheet(groups=contains(Group(items=[Item(value=3), Item(value=4)]))),
        Sheet(one=One(item=Item(more=8))),
        Sheet(masked=Masked(items=[Item(value=8)])),
    ]
    assert [capture.where(one).count() for one in there] == [1] * len(there)
    assert [capture.where(one).count() for one in absent] == [0] * len(absent)
    packet = capture[0].packet()
    assert not any(one.why_not(packet) for one in there)
    assert all(one.why_not(packet) for one in absent)


def test_without_the_flag_they_are_compared_without_what_it_adds(made: Any) -> None:
    Item, Inside, Group, _, _, Sheet = made
    capture = Capture.of([Ether() / Sheet(parts=[Inside(items=[Item(value=1)])], groups=[Group(items=[Item(value=2)])])])
    assert capture.where(Sheet(parts=contains(Inside(items=[Item(value=1)])))).count() == 1
    assert capture.where(Sheet(groups=contains(Group(items=[Item(value=2)])))).count() == 1
    assert capture.where(Sheet(groups=contains(Group(items=[Item(value=2, more=9)])))).count() == 0
