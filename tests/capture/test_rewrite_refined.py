"""Rewriting reaches what refines a header: layers, items and headers in fields, their own fields and those inside a field."""

from __future__ import annotations

from typing import Any

import pytest

import packetlab as pl
from packetlab import (
    U8,
    U16,
    UDP,
    Bytes,
    Capture,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    Rest,
    Verdict,
    at,
    auto,
    base16,
    count_of,
    crc,
    default,
    ended,
    field,
    internet_checksum,
    many,
    offset_of,
    size_of,
    sized,
    span,
    sum8,
    through,
    when,
)

OLD, NEW = "10.0.0.1", "10.9.9.9"
LOW = Ether() / IPv4(src=OLD, dst="10.0.0.2") / UDP(sport=3, dport=0)


class Attribute(Header):
    kind: U8 = 0
    size: U8 = auto(size_of("body"))
    body: Bytes = b""
    check: U8 = auto(sum8("kind", "size", "body"))


class Host(Attribute, inside="body", when={"kind": 1}):
    address: IPv4Address = default(OLD)
    check_inside: U16 = auto(internet_checksum("address"))


class Group(Attribute, inside="body", when={"kind": 2}):
    members: tuple[Attribute, ...] = many()


class Named(Attribute, inside="body", when={"kind": 3}):
    tag: U8 = 0
    name: Rest = b""


class NamedHost(Named, inside="name", when={"tag": 7}):
    at: IPv4Address = default(OLD)


class Hex(Attribute, inside="body", when={"kind": 4}):
    there: Host = through(base16(), Host())


class Entry(Header):
    offset: U16 = auto(offset_of("blob", since="Directory"))
    size: U8 = auto(size_of("blob"))
    kind: U8 = 0
    blob: Bytes = at(field("offset"), sized(field("size"), b""), since="Directory", within="blobs", align=4)


class HostEntry(Entry, inside="blob", when={"kind": 1}):
    address: IPv4Address = default(OLD)
    check_inside: U16 = auto(internet_checksum("address"))


class Directory(Header, under=UDP, when={"port": 5309}):
    count: U8 = auto(count_of("entries"))
    entries: tuple[Entry, ...] = many(count=field("count"))
    blobs: Rest = b""


class Attributes(Header, under=UDP, when={"port": 5301}):
    items: tuple[Attribute, ...] = many()


class Single(Header, under=UDP, when={"port": 5302}):
    one: Attribute = Attribute()
    after: U8 = 9


class Message(Header, under=UDP, when={"port": 5303}):
    kind: U8 = 0
    check: U16 = auto(crc("CRC-16/MODBUS", span("kind", "text")))
    text: Bytes = ended(b"\n\n", b"")


class HostMessage(Message, when={"kind": 1}):
    more: IPv4Address = default(OLD)
    own: U16 = auto(internet_checksum("self"))


class TextMessage(Message, inside="text", when={"kind": 2}):
    address: IPv4Address = default(OLD)


def rewritten(*packets: Any, **given: Any) -> tuple[list[pl.Packet], dict[str, int]]:
    new = Capture.of([pl.Frame(bytes(packet)) for packet in packets]).rewrite(**(given or {"ip": {OLD: NEW}}))
    return [frame.packet() for frame in new], dict(new.left)


@pytest.mark.parametrize(
    ("carried", "want"),
    [
        (Attributes(items=[Host(), Attribute(kind=9, body=b"x"), Host(address="1.2.3.4"), Host()]),
         Attributes(items=[Host(address=NEW), Attribute(kind=9, body=b"x"), Host(address="1.2.3.4"), Host(address=NEW)])),
        (Attributes(items=[Group(members=[Host(), Group(members=[Host()])]), NamedHost()]),
         Attributes(items=[Group(members=[Host(address=NEW), Group(members=[Host(address=NEW)])]), NamedHost(at=NEW)])),
        (Single(one=Host()), Single(one=Host(address=NEW))),
        (Single(one=NamedHost()), Single(one=NamedHost(at=NEW))),
        (HostMessage(text=b"hello"), HostMessage(text=b"hello", more=NEW)),
        (TextMessage(), TextMessage(address=NEW)),
    ],
)  # fmt: skip
def test_addresses_and_sums_of_what_refines_are_rewritten(carried: Header, want: Header) -> None:
    port = {Attributes: 5301, Single: 5302}.get(type(carried), 5303)  # type: ignore[call-overload]
    low, new = LOW.replace(UDP, dport=port), LOW.replace(UDP, dport=port).replace(IPv4, src=NEW)
    (packet, plain), left = rewritten(low / carried, LOW)
    assert (bytes(packet), left) == (bytes(new / want), {})
    assert set(packet.verdicts().values()) == {Verdict.GOOD} and str(plain[IPv4].src) == NEW


def test_what_stands_through_a_transform_in_what_refines_is_counted() -> None:
    low = LOW.replace(UDP, dport=5301)
    (packet,), left = rewritten(low / Attributes(items=[Hex(), Host()]))
    assert bytes(packet) == bytes(low.replace(IPv4, src=NEW) / Attributes(items=[Hex(), Host(address=NEW)]))
    assert left == {"Hex.there, inside what is through a transform": 1}


def test_wrong_sums_of_what_refines_stay_wrong_or_are_put_right() -> None:
    low = LOW.replace(UDP, dport=5301)
    wrong = low / Attributes(items=[Host(check_inside=1), Host(check=2)])
    (kept,), _ = rewritten(wrong)
    assert list(kept.verdicts().values()).count(Verdict.BAD) == 2
    assert [str(one.address) for one in kept[Attributes].items] == [NEW, NEW]  # type: ignore[attr-defined]
    (fixed,), left = rewritten(wrong, fixcsum=True)
    assert (bytes(fixed), left) == (bytes(low / Attributes(items=[Host(), Host()])), {})


def test_a_sum_that_goes_by_what_stands_around_is_kept_or_counted() -> None:
    class Item(Header):
        kind: U8 = 0
        safe: U8 = 0
        size: U8 = auto(size_of("body"))
        body: Bytes = b""

    class Safe(Item, inside="body", when={"kind": 1}):
        address: IPv4Address = default(OLD)
        check: U16 | None = when(field("^.safe") == 1, auto(internet_checksum("address")))

    class Items(Header, under=UDP, when={"port": 5304}):
        items: tuple[Item, ...] = many()

    low = LOW.replace(UDP, dport=5304)
    (packet,), left = rewritten(low / Items(items=[Safe(safe=1), Safe()]))
    assert (bytes(packet), left) == (bytes(low.replace(IPv4, src=NEW) / Items(items=[Safe(safe=1, address=NEW), Safe(address=NEW)])), {})


def test_addresses_in_bytes_that_lie_behind_a_list_of_items() -> None:
    packet = Ether() / IPv4(src=OLD, dst="10.0.0.2") / UDP(sport=3, dport=5309) / Directory(entries=[HostEntry(), Entry(blob=b"abc"), HostEntry(address="10.0.0.3")])
    rewritten = Capture.of([packet]).rewrite(ip={OLD: NEW}, fixcsum=True)
    (found,) = [frame.packet() for frame in rewritten]
    assert found.faults == () and not rewritten.left
    assert [str(one.address) for one in found[Directory].entries if isinstance(one, HostEntry)] == [NEW, "10.0.0.3"]
    assert all(verdict is Verdict.GOOD for verdict in found.verdicts().values())
