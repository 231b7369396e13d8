"""Checksums that header objects work out follow ports and addresses around their header: by numbers that these are, by what was recalled under them, wherever the header lies."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Annotated, Any

import pytest

from packetlab import (
    U3,
    U5,
    U8,
    U16,
    UDP,
    Capture,
    Context,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    Verdict,
    at,
    auto,
    before,
    computed,
    count_of,
    crc,
    default,
    digits,
    field,
    many,
    offset_of,
    recalled,
    sender,
    span,
    when,
)
from tests.protocols.scope import Scope

OLD, NEW = "10.0.0.1", "10.9.7.9"
Hex = Annotated[int, digits(16, width=4)]

with (scope := Scope()):

    class Agreed(Header, under=UDP, port=7400, remembers={("more", sender()): field("more")}):
        more: U8 = 1

    class Negotiated(Header, under=UDP, port=7401):
        n: U8 = 0
        source: IPv4Address = default(OLD)
        more: U16 | None = when(recalled("more", sender()) == 1)
        check: Annotated[int, digits(16, width=8)] = auto(crc("CRC-32", "n", "source", "payload"))

    class Counting(Header, under=UDP, port=7402):
        key: U16 = computed(field("UDP.sport"))
        check: Hex = auto(crc("CRC-16/ARC", "key", "payload"))

    class Both(Header, under=UDP, port=7408):
        key: U16 = computed(recalled("more", sender()) + field("UDP.sport"))
        check: Hex = auto(crc("CRC-16/ARC", "key", "payload"))

    class Port(Header):
        sport: U16 = 80
        kind: U3 = 1
        check: U5 = auto(crc("CRC-5/USB", span("sport", "kind")))

    class Offsets(Header, under=UDP, port=7403):
        first: U8 = auto(offset_of("a"))
        second: U8 = auto(offset_of("b"))
        a: Port = at(field("first"), Port())
        b: Port = at(field("second"), Port(kind=5))

    class Item(Header):
        sport: U16 = 80
        both: U16 = computed(before("sport") + field("^.sport"))
        check: Hex = auto(crc("CRC-16/ARC", "sport", "both"))

    class Items(Header, under=UDP, port=7404):
        sport: U16 = 80
        count: U8 = auto(count_of("items"))
        items: tuple[Item, ...] = many(count=field("count"))

    class Pair(Header):
        source: IPv4Address = default(OLD)
        two: Hex = auto(crc("CRC-16/MODBUS", "source"))
        one: Hex = auto(crc("CRC-16/ARC", "source"))

    class Pairs(Header, under=UDP, port=7405):
        source: IPv4Address = default(OLD)
        one: Hex = auto(crc("CRC-16/ARC", "source", "payload"))
        two: Hex = auto(crc("CRC-16/MODBUS", "source", "payload"))
        count: U8 = auto(count_of("pairs"))
        pairs: tuple[Pair, ...] = many(count=field("count"))

    class OwnKey(Header, under=UDP, port=7406):
        source: IPv4Address = default(OLD)
        key: U16 = computed(recalled("key", field("source")))
        check: Hex = auto(crc("CRC-16/ARC", "source", "key"))

    class Keyed(Header, under=UDP, port=7407, remembers={("key", field("source")): field("key")}):
        source: IPv4Address = default(OLD)
        key: U8 = 9


@pytest.fixture(autouse=True)
def declared() -> Iterator[None]:
    with scope:
        yield


def low(port: int, *above: Any) -> Any:
    return reduce(lambda packet, one: packet / one, above, Ether() / IPv4(src=OLD, dst="10.0.0.2") / UDP(sport=80, dport=port))


CASES: dict[str, tuple[Any, ...]] = {
    "recalled by the sender": (7401, Negotiated(more=5), b"abc"),
    "a sum over a port around": (7402, Counting(), b"abc"),
    "headers at offsets": (7403, Offsets()),
    "headers that lie in another order": (7403, Offsets(first=5, second=2)),
    "sums beside each other, and in what the header holds": (7405, Pairs(pairs=[Pair(), Pair()]), b"abc"),
    "ports of the holder and of the item before": (7404, Items(items=[Item(), Item(sport=9), Item()])),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("changes", [{"ip": {OLD: NEW}}, {"ports": {80: 8080}}, {"ip": {OLD: NEW}, "ports": {80: 8080}}, {"anonymise": 5}], ids=str)
def test_what_was_right_is_right_in_the_rewritten_capture(case: Any, changes: Any) -> None:
    with Context():
        frames = [bytes(low(7400, Agreed())), bytes(low(*case))]
    for options in (changes, {**changes, "fixcsum": True}):
        capture = Capture.of(frames)
        new = capture.rewrite(**options)
        packets = [frame.packet() for frame in Capture.of([frame.data for frame in new])]
        assert not new.left and not packets[1].faults
        assert {*packets[1].verdicts().values()} == {Verdict.GOOD} and len(packets[1].verdicts()) > 2
        assert [frame.packet().verdicts() for frame in capture] == [frame.packet().verdicts() for frame in Capture.of(frames)]


@pytest.mark.parametrize(("port", "header"), [(7406, OwnKey()), (7408, Both())], ids=["an own address", "a port around"])
def test_one_that_goes_by_what_is_not_known_under_the_new_address_is_counted_and_stays(port: int, header: Any) -> None:
    with Context():
        frames = [bytes(low(7407, Keyed())), bytes(low(7400, Agreed())), bytes(low(port, header))]
    new = Capture.of(frames).rewrite(ip={OLD: NEW}, ports={80: 8080})
    assert [frame.data[-4:] for frame in new][2] == frames[2][-4:]
    assert new.left == {f"{type(header).__name__}.check, which goes by ports or addresses that were changed": 1}
