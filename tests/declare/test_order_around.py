"""Headers in fields that ask the one around them: only what is read before them, as for a header's own fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from packetlab import (
    U8,
    Bytes,
    DeclareError,
    Header,
    auto,
    bindings,
    computed,
    count_of,
    dissect,
    field,
    many,
    size_of,
    sized,
    when,
)


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


def presence() -> None:
    class Item(Header):
        x: U8 | None = when(field("^.n") == 1, 9)

    class Holder(Header):
        count: U8 = auto(count_of("items"))
        items: tuple[Item, ...] = many()
        n: U8 = 0


def by_name() -> None:
    class Item(Header):
        x: U8 | None = when(field("Holder.n") == 1, 9)

    class Holder(Header):
        item: Item = Item()
        n: U8 = 0


def size() -> None:
    class Item(Header):
        x: Bytes = sized(field("^.n"), b"")

    class Holder(Header):
        item: Item = Item()
        n: U8 = 0


def value() -> None:
    class Item(Header):
        x: U8 = computed(field("^.n") + 1)
        y: U8 = 0

    class Holder(Header):
        item: Item = Item()
        n: U8 = 0


def end() -> None:
    class Item(Header):
        x: U8 = 0

    class Holder(Header):
        items: tuple[Item, ...] = many(until=field("^.n") == 1)
        n: U8 = 0


def further_out() -> None:
    class Item(Header):
        x: U8 | None = when(field("^.^.n") == 1, 9)

    class Middle(Header):
        item: Item = Item()

    class Holder(Header):
        middle: Middle = Middle()
        n: U8 = 0


def refined_later() -> None:
    class Item(Header):
        kind: U8 = 0

    class Holder(Header):
        item: Item = Item()
        n: U8 = 0

    class Refined(Item, when={"kind": 1}):
        x: U8 | None = when(field("^.n") == 1, 9)


def inside_later() -> None:
    class Item(Header):
        kind: U8 = 0
        length: U8 = auto(size_of("data"))
        data: Bytes = b""

    class Holder(Header):
        count: U8 = auto(count_of("items"))
        items: tuple[Item, ...] = many()
        n: U8 = 0

    class Number(Header):
        x: U8 | None = when(field("Holder.n") == 1, 9)

    class Refined(Item, inside="data", when={"kind": 1}):
        number: Number = Number()


@pytest.mark.parametrize("declare", [presence, by_name, size, value, further_out, refined_later, inside_later], ids=lambda one: str(one.__name__))
def test_a_field_after_the_one_whose_header_asks_for_it_is_refused(declare: Callable[[], None]) -> None:
    with pytest.raises(DeclareError, match=r"Holder\.\w+, for .*\.n of \w+: expected presence and size to follow from fields before it, got n \(n before "):
        declare()


def test_what_is_read_before_is_as_before() -> None:
    class Item(Header):
        x: U8 | None = when(field("^.n") == 1, 9)
        y: U8 = auto(field("^.z"))  # a value that is worked out when somebody asks

    class Holder(Header):
        n: U8 = 0
        count: U8 = auto(count_of("items"))
        items: tuple[Item, ...] = many()
        z: U8 = 0

    made: Any = Holder(n=1, items=[Item(x=3), Item()], z=5) / b""
    assert bytes(made) == bytes([1, 2, 3, 5, 9, 5, 5])
    assert dissect(bytes(made), Holder) == made
