"""Headers in fields that ask the one around them: only what is read before them, as for a header's own fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from packetlab import (
    U8,
    BuildError,
    Bytes,
    DeclareError,
    Header,
    IPv4,
    auto,
    bindings,
    computed,
    contains,
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


def below() -> None:
    class Misspelt(Header, under=IPv4, when={"protocol": 252}):
        x: Bytes = sized(field("IPv4.lenght"), b"")


def item_of_any() -> None:
    class Misspelt(Header):
        x: U8 | None = when(field("IPv4.lenght") == 1, 9)


def further_below() -> None:
    class Lowest(Header):
        length: U8 = 0

    class Middle(Header, under=Lowest):
        x: U8 = 0

    class Misspelt(Header, under=Middle):
        y: U8 | None = when(field("Lowest.lenght") == 1, 9)


@pytest.mark.parametrize("declare", [below, item_of_any, further_below], ids=lambda one: str(one.__name__))
def test_a_misspelt_field_of_a_header_below_is_refused_with_the_class(declare: Callable[[], None]) -> None:
    with pytest.raises(DeclareError, match=r"Misspelt, \w+\.lenght: expected a field of \w+, got lenght \(did you mean 'length'\?\)"):
        declare()
    assert dissect(bytes(IPv4(protocol=252) / b"abc"), IPv4).payload == b"abc"  # nothing of the class is left


def test_fields_of_a_header_that_is_declared_later_may_be_named_before() -> None:
    class Item(Header):
        x: U8 | None = when(field("Later.n") == 1, 9)

    class Later(Header):
        n: U8 = 0
        item: Item = Item()

    assert bytes(Later(n=1)) == b"\x01\x09"


def test_what_waits_for_what_will_stand_around_is_shown_as_it_was_given() -> None:
    class Choice(Header):
        kind: U8 = 0
        length: U8 = auto(size_of("data"))
        data: Bytes = b""

    class Piece(Header):
        v: U8 = 0
        w: U8 | None = when(field("Around.n") == 1, 9)

    class Refined(Choice, inside="data", when={"kind": 2}):
        pieces: tuple[Piece, ...] = many()

    class Plain(Header):
        count: U8 = auto(count_of("pieces"))
        pieces: tuple[Piece, ...] = many()

    class Around(Header):
        n: U8 = 0
        size: U8 = auto(size_of("choices"))
        choices: tuple[Choice, ...] = many()

    pieces = (Piece(v=1, w=3),)
    for one in (Refined(pieces=pieces), Plain(pieces=pieces)):
        assert repr(one) == str(one) == f"{type(one).__name__}(pieces=(Piece(v=1, w=3),))"
        assert one.pieces == pieces  # type: ignore[attr-defined]
        with pytest.raises(BuildError, match=r"Piece\.w: expected a field that is there"):
            bytes(one)
    assert repr(Around(choices=contains(Refined(pieces=pieces)))) == "Around(choices=contains(Refined(pieces=(Piece(v=1, w=3),))))"
    assert bytes(Around(n=1, choices=(Refined(pieces=pieces),))) == bytes([1, 4, 2, 2, 1, 3])
