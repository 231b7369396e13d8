"""A chain that was read, in which each item is of the class that the number before it says, is edited as one that is built."""

from __future__ import annotations

from typing import Annotated

import pytest

from packetlab import U8, BuildError, Header, before, choose, computed, dissect, field, fixed_bytes, many


class Link(Header):
    kind: int = computed(choose(before("next"), before("next"), field("^.next")))
    next: U8 = 0
    body: Annotated[bytes, fixed_bytes(2)] = bytes(2)


class Gate(Link, inside="body", when={"kind": 0x40}):
    port: U8 = 0
    flags: U8 = 0


class Mark(Link, inside="body", when={"kind": 0xC0}):
    high: U8 = 0
    number: U8 = 0


class Chain(Header):
    next: U8 = 0
    links: tuple[Link, ...] = many(until=field("next") == 0)


PACKET = dissect(bytes(Chain(links=[Gate(port=5), Mark(number=7)])), Chain)
GATE, MARK = PACKET[Chain].links


@pytest.mark.parametrize(
    "links",
    [[Mark(number=7)], [MARK], [MARK, Gate(port=1)], [GATE, Mark(number=1), Gate(port=1)], [Mark(number=1), GATE, MARK], [GATE, GATE, MARK], [MARK, GATE, Mark()], [GATE], [MARK, GATE], [Mark(number=2), GATE], []],
)
def test_its_items_are_read_as_what_they_were_given_as(links: list[Link]) -> None:
    for edited in (PACKET.replace(Chain, links=links), PACKET.replace({"chain.links": links})):
        data = bytes(edited)
        read = dissect(data, Chain)
        assert [type(one) for one in read[Chain].links] == [type(one) for one in links]
        assert not read.faults
        assert read[Chain] == edited[Chain]
    assert bytes(PACKET[Chain].replace(links=links)) == data
    if links and links[-1] is not GATE:  # which has the number of what was read after it, in a chain that was not
        assert bytes(Chain(links=links)) == data


def test_the_numbers_in_it_stay_where_nothing_asks_for_others() -> None:
    assert bytes(PACKET.replace(Chain, links=[GATE, MARK])) == bytes(PACKET)
    assert bytes(PACKET.replace({"chain.links[1].mark.number": 9})).hex() == "40c00500000009"
    assert bytes(PACKET.replace({"chain.links[0].next": 9})).hex() == "40090500000007"
    assert bytes(PACKET.replace(Chain, next=9)).hex() == "09c00500000007"
    cut = dissect(bytes.fromhex("40c00500400600"), Chain)  # another mark was to come
    last = cut[Chain].links[1]
    assert bytes(cut.replace(Chain, links=[last])).hex() == "c0400600"
    assert bytes(cut.replace({"chain.links[1].mark.number": 9})).hex() == "40c00500400609"


def test_a_chain_to_the_end_of_its_bytes_ends_so_too() -> None:
    class Open(Header):
        next: U8 = 0
        links: tuple[Link, ...] = many()

    packet = dissect(bytes(Open(links=[GATE, MARK])), Open)
    gate, mark = packet[Open].links
    assert bytes(packet.replace(Open, links=[gate])).hex() == "40000500"
    assert bytes(packet.replace(Open, links=[mark, gate])).hex() == "c0400007000500"
    assert bytes(packet.replace(Open, links=[])).hex() == "00"


def test_an_item_of_a_kind_that_no_class_has_goes_with_its_number() -> None:
    other = Link(kind=0x77, body=b"ab")
    built = Chain(links=[Gate(port=5), other, Mark(number=7)])
    assert bytes(built).hex() == "40770500c06162000007"
    assert bytes(Chain(links=[other])).hex() == "77006162"
    packet = dissect(bytes(built), Chain)
    gate, kept, mark = packet[Chain].links
    assert (kept.kind, packet[Chain]) == (0x77, built)
    for links in ([kept, mark], [gate, mark], [kept, gate, mark], [gate, kept], [kept], [Link(kind=0x78), kept, mark], [mark, Link(kind=0x79)]):
        read = dissect(bytes(packet.replace(Chain, links=links)), Chain)
        assert [(type(one), one.kind) for one in read[Chain].links] == [(type(one), one.kind) for one in links]
        assert not read.faults
    assert bytes(packet.replace({"chain.links[0].next": 9})).hex() == "40090500c06162000007"
    with pytest.raises(BuildError, match=r"Link\.kind: expected 9, as before\(next\) if before\(next\) else \^\.next says, got 119"):
        bytes(Chain(links=[Gate(next=9), other]))
