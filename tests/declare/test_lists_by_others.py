"""Lists that end by what stands around them or by the item before, and items that go by the one before, whatever its class."""

from collections.abc import Iterator
from typing import Any

import pytest

from packetlab import (
    TCP,
    U8,
    UDP,
    BuildError,
    DeclareError,
    Header,
    IPv4,
    auto,
    before,
    bindings,
    computed,
    count_of,
    dissect,
    field,
    many,
)
from packetlab.protocols.streams.messages import whole_messages
from tests.careful import careful


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


class EndItem(Header):
    s: U8 = 0


def ending(until: Any, **options: Any) -> Any:
    class Ending(Header, **options):
        e: U8 = 9
        items: tuple[EndItem, ...] = many(until=until, value=(EndItem(s=9), EndItem(s=9)) if "before" in str(until) else (EndItem(s=9),))

    return Ending


BY = {
    "^.e": (field("s") == field("^.e"), "05 0102 05 0607", [1, 2, 5]),
    "before": (field("s") == before("s"), "05 0102 02 0607", [1, 2, 2]),
    "UDP.sport": (field("s") == field("UDP.sport"), "05 0102 07 0508", [1, 2, 7]),
}


@pytest.mark.parametrize("by", BY)
def test_a_list_ends_by_what_stands_around(by: str) -> None:
    until, data, wanted = BY[by]
    header = ending(until, under=UDP, port=7)
    raw = bytes.fromhex(data)
    packet = dissect(bytes(IPv4() / UDP(sport=7, dport=7) / raw), IPv4)
    assert [item.s for item in packet[header].items] == wanted
    assert bytes(packet.payload) == raw[len(wanted) + 1 :]
    made = IPv4() / UDP(sport=7, dport=7) / header(e=5, items=[EndItem(s=s) for s in wanted]) / b"more"
    assert dissect(bytes(made), IPv4) == made
    if by != "UDP.sport":
        assert careful(header, raw)[0] == dissect(raw, header)[header]
    with pytest.raises(BuildError, match=r"Ending\.items: expected a last item for which s =="):
        bytes(UDP(sport=7, dport=7) / header(e=5, items=[EndItem(s=3)]) / b"more")
    with pytest.raises(BuildError, match=r"Ending\.items: expected nothing after the item"):
        bytes(UDP(sport=7, dport=7) / header(e=5, items=[EndItem(s=s) for s in (*wanted, 8)]) / b"more")


def test_a_message_ends_with_the_last_item_of_such_a_list() -> None:
    for until, second in ((field("s") == field("^.e"), 9), (field("s") == before("s"), 2)):
        header = ending(until, under=TCP, port=7, stream=True)
        one = bytes([9, 1, 2, second])
        for data, places in ((one + one[:3], [(0, 4)]), (one, [(0, 4)]), (one[:3], [])):
            assert [(start, message.end) for _, start, message in whole_messages(header, data)] == places


def test_what_ends_a_list_is_declared() -> None:
    with pytest.raises(DeclareError, match=r"Ending\.items, for \^\.f of EndItem: expected a field of Ending, got f"):
        ending(field("s") == field("^.f"))
    with pytest.raises(DeclareError, match=r"Ending\.items, until: expected a field of EndItem, got e"):
        ending(field("s") == before("e"))
    with pytest.raises(DeclareError, match=r"UDP\.nope: expected a field of UDP, got nope"):
        dissect(b"\1\1", ending(field("s") == field("UDP.nope")))


class OnePoint(Header):
    id: U8 = 0


class OneDelta(OnePoint, when={"id": 2}):
    d: U8 = 0
    t: int = computed(before("t") + field("d"))


class OneAfter(OnePoint, when=(field("id") == 1) & (before("id") == 7)):
    x: U8 = 0


def test_an_item_goes_by_the_one_before_it_of_whatever_class() -> None:
    class Line(Header):
        n: U8 = auto(count_of("points"))
        points: tuple[OnePoint, ...] = many()

    made = Line(points=[OneDelta(t=5), OnePoint(), OneDelta(t=9), OneDelta(t=10), OnePoint(id=7), OneAfter(id=1, x=3), OnePoint(id=1)])
    data = bytes(made)
    assert data.hex() == "07 0205 00 0209 0201 07 0103 01".replace(" ", "")
    read = dissect(data, Line)[Line]
    assert read == made == careful(Line, data)[0]
    assert [point.t for point in read.points if isinstance(point, OneDelta)] == [5, 9, 10]
    assert [type(point).__name__ for point in read.points[-2:]] == ["OneAfter", "OnePoint"]
    edited = dissect(data, Line).replace(Line, points=[read.points[0], *read.points[2:4]])
    assert bytes(edited).hex() == "03 0205 0204 0201".replace(" ", "")
