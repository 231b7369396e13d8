"""What headers become is drawn too, with what it holds, and is made malformed: choices, and classes that take a field apart."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any

import pytest
from hypothesis import find, given, settings, strategies as st

import packetlab as pl
from packetlab import U8, U16, U32, Bytes, Ether, Header, Named, auto, bits, count_of, dissect, field, many, size_of


class Sort(IntEnum):
    MSS = 2
    STAMP = 8


class DrawnProperty(Header):
    id: U8


class DrawnExpiry(DrawnProperty, when={"id": 2}):
    seconds: U32


class DrawnTopic(DrawnProperty, when={"id": (3, 4)}):
    length: U16 = auto(size_of("name"))
    name: Bytes = b""


class DrawnHigh(DrawnProperty, when=field("id") >= 250):
    data: U16


class DrawnHighest(DrawnHigh, when={"data": 7}):
    more: U8


class DrawnOption(Header):
    kind: Annotated[Named[Sort], bits(8)]
    length: U8 = auto(size_of("self"))
    data: Bytes = b""


class DrawnMSS(DrawnOption, inside="data", when={"kind": 2}):
    value: U16


class DrawnStamps(DrawnOption, inside="data", when={"kind": 8}):
    count: U8 = auto(count_of("times"))
    times: tuple[U32, ...] = many()


class DrawnBag(Header, under=Ether, when={"type": 0x7A9B}):
    count: U8 = auto(count_of("properties"))
    properties: tuple[DrawnProperty, ...] = many()
    size: U8 = auto(size_of("options"))
    options: tuple[DrawnOption, ...] = many()
    one: DrawnOption


ALL = [DrawnProperty, DrawnExpiry, DrawnTopic, DrawnHigh, DrawnHighest, DrawnOption, DrawnMSS, DrawnStamps, DrawnBag]


@pytest.mark.parametrize("values", ["valid", "any"])
@pytest.mark.parametrize("cls", ALL)
def test_what_is_drawn_reads_back_without_a_fault(cls: type[Header], values: Any) -> None:
    @given(pl.strategies.headers(cls, values=values))
    def drawn(header: Header) -> None:
        read = dissect(bytes(header), cls)
        assert isinstance(header, cls) and not read.faults
        assert type(read.layers[0]) is type(header) and read.layers[0] == header

    drawn()


MORE = [pytest.param(cls, marks=pytest.mark.slow) for cls in (DrawnExpiry, DrawnHigh, DrawnStamps)]


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [DrawnTopic, DrawnHighest, DrawnMSS, *MORE])
def test_each_of_them_is_drawn_in_lists_and_packets(wanted: type[Header]) -> None:
    def has(packet: pl.Packet) -> bool:
        return any(type(one) is wanted for one in (*packet[DrawnBag].properties, *packet[DrawnBag].options))

    found = find(pl.strategies.packets(Ether, DrawnBag), has, settings=settings(max_examples=2000, database=None))
    assert len(found[DrawnBag].properties) + len(found[DrawnBag].options) == 1  # and shrinks to it alone


def test_a_named_field_says_what_it_is() -> None:
    found = find(pl.strategies.headers(DrawnProperty, id=st.integers(20, 30)), lambda _: True)
    assert found == DrawnProperty(id=20)
    for number in (3, 4):
        assert find(pl.strategies.headers(DrawnTopic), lambda one, n=number: one.id == n) == DrawnTopic(id=number)


def test_malformed_items_that_became_something_else_are_reported_as_they_must() -> None:
    bag = DrawnBag(
        properties=[DrawnExpiry(seconds=5), DrawnTopic(name=b"ab"), DrawnHighest(id=255, more=1)],
        options=[DrawnMSS(value=1460), DrawnStamps(times=[1, 2])],
        one=DrawnMSS(value=3),
    )
    catalogue = pl.malformed(Ether() / bag)
    assert {"drawnbag.options.overlong", "drawnbag.options.zero-length"} <= {str(one) for one in catalogue}
    assert [(str(one), one.disagreements()) for one in catalogue if one.disagreements()] == []


@given(pl.strategies.headers(DrawnBag))
def test_what_is_drawn_is_made_malformed(bag: DrawnBag) -> None:
    for one in pl.malformed(bag):
        assert one.disagreements() == [], str(one)
