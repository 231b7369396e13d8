"""Columns of captures with broken messages: a table has what each packet of the capture has."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from packetlab import (
    F32,
    TCP,
    U8,
    U16,
    Capture,
    Digits,
    Ether,
    Header,
    IPv4,
    Text,
    auto,
    const,
    count_of,
    ended,
    field,
    many,
    must,
    size_of,
    sized,
)
from packetlab.bulk.columns import column
from tests.conftest import amount
from tests.protocols.scope import Scope

with (scope := Scope()):

    class BrokenItem(Header):
        kind: U8 = const(5)
        number: U8 = 0

    class BrokenList(Header, under=TCP, port=7510, stream=True, last=True):
        count: U8 = auto(count_of("items"))
        items: tuple[BrokenItem, ...] = many()
        end: U8 = 7

    class BrokenText(Header, under=TCP, port=7511, stream=True):
        size: U16 = auto(size_of("self") + size_of("payload") - 2)
        kind: U8 = 0
        length: U8 = auto(size_of("text"))
        text: Text = sized(field("length"), "")

    class BrokenMore(BrokenText, when={"kind": 1}):
        more: U8 = 9

    class BrokenBody(Header, under=TCP, port=7512, stream=True):
        size: U16 = auto(size_of("payload"))
        magic: U16 = const(0x1234)
        version: U8 = must(field("version") < 5, 1)
        value: F32 = 1.5

    class BrokenAbove(Header, under=BrokenBody, when={"version": 1}):
        x: U16 = 4
        y: U8 = const(3)

    class BrokenLine(Header, under=TCP, port=7513, stream=True):
        verb: Text = ended(b" ", "GET")
        size: Digits = ended(b"\n", auto(size_of("payload")))


@pytest.fixture(autouse=True)
def declared() -> Iterator[None]:
    with scope:
        yield


MESSAGES: dict[int, tuple[Callable[[random.Random], Any], list[str]]] = {
    7510: (
        lambda chance: BrokenList(items=tuple(BrokenItem(number=chance.randrange(9)) for _ in range(chance.randrange(3)))),
        ["brokenlist", "brokenlist.count", "brokenlist.end", "brokenlist.items[0].number", "brokenlist.items[1].kind"],
    ),
    7511: (
        lambda chance: chance.choice([BrokenMore(kind=1, text="xé"[: chance.randrange(3)]), BrokenText(kind=2, text="ab") / b"zz"]),
        ["brokentext", "brokentext.size", "brokentext.kind", "brokentext.text", "brokenmore", "brokenmore.more"],
    ),
    7512: (
        lambda chance: BrokenBody() / BrokenAbove(x=chance.randrange(600)),
        ["brokenbody.size", "brokenbody.magic", "brokenbody.version", "brokenbody.value.raw", "brokenabove", "brokenabove.x"],
    ),
    7513: (lambda chance: BrokenLine(verb=chance.choice(["GET", "PUT"])) / b"hello", ["brokenline", "brokenline.verb", "brokenline.size"]),
}


def frames(port: int, chance: random.Random) -> Iterator[bytes]:
    """Yield the segments of a few messages, with some bytes that are others, cut anywhere; the beginning is captured or not."""
    data = bytearray(b"".join(bytes(MESSAGES[port][0](chance)) for _ in range(chance.randrange(1, 5))))
    for _ in range(chance.randrange(3)):
        data[chance.randrange(len(data))] = chance.choice((0, 1, 2, 5, 9, 0xE9, 255, chance.randrange(256)))
    low, at = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2"), 1
    if chance.random() < 0.6:
        yield bytes(low / TCP(sport=4000, dport=port, flags="SYN", seq=0))
    while data:
        size = chance.choice((len(data), chance.randrange(1, len(data) + 1)))
        yield bytes(low / TCP(sport=4000, dport=port, flags="ACK", seq=at) / bytes(data[:size]))
        del data[:size]
        at += size


@pytest.mark.parametrize("port", MESSAGES)
def test_a_table_has_what_the_packets_of_its_capture_have(port: int) -> None:
    names, faulty = MESSAGES[port][1], 0
    for seed in range(amount(30, 600)):
        capture = Capture.of([*frames(port, random.Random(seed))])
        table, packets = capture.table(*names).read(), [*capture.packets()]
        faulty += any(packet.faults for packet in packets)
        for one in map(column, names):
            found = [value if there else None for value, there in zip(table._raw(one.name).tolist(), table.valid(one.name), strict=True)]
            found = [value or None for value in found] if one.form == "present" else found  # a header is there, or it is not
            assert found == [one.value(packet) for packet in packets], (seed, one.name)
    assert faulty
