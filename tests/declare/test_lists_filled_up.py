"""Lists that are filled up to a multiple from their header's start: the bytes before them count too."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    U4,
    U8,
    BuildError,
    Bytes,
    DeclareError,
    Ether,
    Header,
    VarInt,
    auto,
    bindings,
    count_of,
    dissect,
    field,
    many,
    size_of,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from tests.conftest import amount


class Part(Header):
    kind: U8 = 5
    size: U8 = auto(size_of("data"))
    data: Bytes = b""


class Units(Header):
    """In the manner of the options of IPv6 (RFC 8200 section 4.3)."""

    next: U8 = 59
    length: U8 = auto(size_of("self") // 8 - 1)
    parts: tuple[Part, ...] = many(size=field("length") * 8 + 6, align=8, since="self", fill=b"\1")


class OwnUnits(Header):
    next: U8 = 59
    length: U8 = auto(size_of("self") // 8 - 1)
    parts: tuple[Part, ...] = many(align=8, since="self", fill=b"\1")


class Counted(Header):
    a: U4 = 1
    b: U4 = 2
    count: U8 = auto(count_of("parts"))
    more: U8 = 0
    parts: tuple[Part, ...] = many(count=field("count"), align=4, since="self")
    end: U8 = 9


DATA = st.lists(st.binary(max_size=7).map(lambda data: Part(data=data)), max_size=4)


@given(DATA, DATA, st.sampled_from([Units, OwnUnits]))
@settings(max_examples=amount(150, 1500), deadline=None)
def test_the_whole_header_ends_at_a_multiple(parts: list[Part], others: list[Part], header: Any) -> None:
    body = b"".join(map(bytes, parts))
    filler = -(2 + len(body)) % 8
    made = bytes(header(parts=parts) / b"up")
    assert made == bytes([59, (2 + len(body) + filler) // 8 - 1]) + body + b"\1" * filler + b"up"
    packet = dissect(made, header)
    found: Any = packet[header]
    assert packet.faults == () and packet.payload == b"up" and bytes(packet) == bytes(packet.replace(header)) == made
    # A filler of 0101 and more is Part(kind=1, size=1, ...) where that has all its bytes: nothing counts the items.
    assert [one for one in found.parts if one.kind == 5] == parts
    edited = dissect(bytes(packet.replace(header, parts=others)), header)
    assert bytes(edited) == bytes(header(parts=others) / b"up") and edited.faults == ()


@given(DATA)
@settings(max_examples=amount(100, 1000), deadline=None)
def test_counted_items_are_those_that_were_given(parts: list[Part]) -> None:
    made = bytes(Counted(parts=parts))
    packet = dissect(made, Counted)
    found: Any = packet[Counted]
    assert (len(made) - 1) % 4 == 0 and packet.faults == () and list(found.parts) == parts and found.end == 9
    assert bytes(packet.replace(Counted, more=7)) == made[:2] + b"\7" + made[3:]


@given(st.binary(max_size=24))
@settings(max_examples=amount(200, 2000), deadline=None)
def test_any_bytes_come_back_and_both_readers_agree(data: bytes) -> None:
    for header in (Units, OwnUnits, Counted):
        for some in (data, bytes(byte & 3 for byte in data)):
            packet, careful = dissect(some, header), Dissection()
            read, start, end, _ = walk(header._declaration, some, 0, len(some), careful)
            assert bytes(packet) == bytes(packet.replace(header)) == some
            assert (packet.layers[0], packet.payload) == (read, some[start:end])
            assert bool(packet.faults) or not careful.faults


def test_packets_that_are_built_often_have_it_too() -> None:
    with bindings():

        class Often(Header, under=Ether, when={"type": 0x7C7A}):
            length: U8 = auto(size_of("self") // 4)
            parts: tuple[Part, ...] = many(align=4, since="self", fill=b"\1")

        for _ in range(40):
            assert bytes(Ether() / Often())[14:] == b"\1\1\1\1"
        for _ in range(5):
            packet = dissect(bytes(Ether() / Often()), Ether)
            assert bytes(packet.replace(Often, parts=[Part(data=b"ab")]))[14:] == b"\2\5\2ab\1\1\1"


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(DeclareError, match="fields of fixed sizes before the list"):

        class Loose(Header):
            n: VarInt = 0
            parts: tuple[Part, ...] = many(count=1, align=4, since="self")

    with pytest.raises(DeclareError, match=r'since="self" with align='):
        many(count=1, since="self")
    with pytest.raises(DeclareError, match=r'pad\(8, since=\.\.\.\)'):
        many(count=1, align=4, since="Ether")


def test_a_size_that_counts_what_stands_before_names_the_way() -> None:
    class Plain(Header):
        next: U8 = 59
        length: U8 = auto((size_of("self") + 7) // 8 - 1)
        parts: tuple[Part, ...] = many(size=field("length") * 8 + 6, align=8)

    with pytest.raises(BuildError, match=r'or with since="self" the bytes before it count'):
        bytes(Plain(parts=[Part(data=b"ab")]))
