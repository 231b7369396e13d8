"""Checksums over fields that are there by what an earlier packet, or a header around, said: why(), verdict() and edits go by what was recalled where they stood."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from packetlab import (
    U8,
    U16,
    U32,
    UDP,
    Capture,
    Context,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    Packet,
    Verdict,
    auto,
    crc,
    default,
    dissect,
    field,
    many,
    recalled,
    size_of,
    when,
)
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Hello(Header, under=UDP, port=7300, remembers={"ext": field("ext")}):
        ext: U8 = 1

    class Extended(Header, under=UDP, port=7301):
        n: U8 = 0
        source: IPv4Address = default("10.0.0.1")
        ext: U16 | None = when(recalled("ext") == 1)
        sum: U32 = auto(crc("CRC-32", "self", "payload"))

    class Summed(Header, under=UDP, port=7302):
        size: U8 = auto(size_of("n"))
        n: U8 = 0
        sum: U16 | None = when(recalled("ext") == 1, auto(crc("CRC-16/ARC", "self")))

    class Item(Header):
        n: U8 = 0
        ext: U16 | None = when(recalled("ext") == 1)
        sum: U16 = auto(crc("CRC-16/ARC", "self"))

    class Items(Header, under=UDP, port=7303):
        items: tuple[Item, ...] = many()

    class Holder(Header, under=UDP, port=7304):
        n: U8 = 0
        one: Item = default(Item())

    class Around(Header, under=UDP, port=7305):
        n: U8 = 0
        ext: U16 | None = when(field("UDP.sport") == 9)
        sum: U16 | None = when(field("UDP.sport") == 9, auto(crc("CRC-16/ARC", "self", "payload")))


@pytest.fixture(autouse=True)
def declared() -> Iterator[None]:
    with scope:
        yield


LOW = Ether() / IPv4() / UDP(sport=9)
PACKETS: dict[str, tuple[Any, str, str]] = {
    "another field": (lambda: Extended(ext=5) / b"hello", "extended.n", "sum"),
    "the sum": (lambda: Summed(n=5), "summed.n", "sum"),
    "in items": (lambda: Items(items=[Item(ext=3), Item(ext=4)]), "items.items[1].n", "items[1].sum"),
    "in a held header": (lambda: Holder(one=Item(ext=3)), "holder.one.n", "one.sum"),
    "by a header around": (lambda: Around(ext=3) / b"hello", "around.n", "sum"),
}


def sent(*headers: Any) -> list[bytes]:
    with Context():
        return [bytes(LOW / header) for header in (Hello(), *headers)]


@pytest.mark.parametrize(("make", "path", "name"), PACKETS.values(), ids=PACKETS)
def test_a_right_checksum_agrees_with_its_rule_and_goes_on_doing_so_in_an_edited_packet(make: Any, path: str, name: str) -> None:
    with Context():
        hello, data = bytes(LOW / Hello()), bytes(LOW / make())
    packet = Capture.of([hello, data])[1].packet()
    cls = type(packet.layers[3])
    assert str(packet.why(cls, name)).splitlines()[-1] == "  agrees with the rule"
    edited = packet.replace({path: 9})
    read = Capture.of([hello, bytes(edited)])[1].packet()
    assert read == edited and bytes(edited) != data
    for one in (packet, edited, read):
        assert {*one.verdicts().values()} == {Verdict.GOOD}
        assert "good" in str(one.show()) and "bad" not in str(one.show())
    assert str(read.why(cls, name)).splitlines()[-1] == "  agrees with the rule"


def test_a_wrong_one_is_still_said_to_differ() -> None:
    hello, data = sent(Extended(ext=5) / b"hello")
    packet = Capture.of([hello, data[:-1] + b"!"])[1].packet()
    assert packet.verdict(Extended) is Verdict.BAD
    assert "differs from the rule, which gives 0x" in str(packet.why(Extended, "sum"))


def test_rewriting_and_differences_go_by_what_was_recalled_too() -> None:
    frames = sent(Extended(ext=5) / b"hello", Extended(ext=6, n=1) / b"hello")
    new = Capture.of(frames).rewrite(ip={"10.0.0.0/8": "192.168.0.0/16"})
    for packet in [frame.packet() for frame in new][1:]:
        assert str(packet[Extended].source) == "192.168.0.1" and packet.verdict(Extended) is Verdict.GOOD
    assert not new.left
    one, other = (frame.packet() for frame in Capture.of(frames)[1:])
    assert "Extended.sum" in str(one.diff(other)) and "(follows from Extended.n and Extended.ext)" in str(one.diff(other)).splitlines()[-1]


def test_a_header_taken_out_is_what_it_was_where_it_stood() -> None:
    (_, data) = sent(Around(ext=3) / b"hello")
    alone = Packet((dissect(data)[Around],), b"hello")
    assert alone.verdict(Around) is Verdict.GOOD and alone.replace(Around, n=7).verdict(Around) is Verdict.GOOD
    said = str(alone.why(Around, "sum"))
    assert "present where UDP.sport == 9: yes" in said and "UDP.sport = 9  (as it was where it stood)" in said
