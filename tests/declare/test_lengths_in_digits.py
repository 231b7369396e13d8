"""Lengths in digits of what stands in lists and in fields, in packets that are built often enough to have a function of their own."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    Digits,
    Ether,
    Header,
    IPv4,
    auto,
    bindings,
    digits,
    dissect,
    ended,
    field,
    many,
    size_of,
    sized,
)
from packetlab.codec.stacks import OFTEN


class Tag(Header):
    tag: U8 = 0


class Pair(Header):
    tag: U16 = 0


@pytest.mark.parametrize("base", [3, 8, 10, 16])
@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("wide", [False, True])
def test_a_length_in_digits_is_the_same_however_often_a_packet_is_built(base: int, more: int, held: bool, wide: bool) -> None:
    """The parts of a stack are put together to one function, in which a length may be a number, or a sum, where a variable stood."""
    with bindings():
        kind: Any = Annotated[int, digits(base, width=3)] if wide else Annotated[int, digits(base)]
        rule = auto(size_of("tags") + more)
        body: dict[str, Any] = {"size": rule if wide else ended(b"\r\n", rule), "__module__": __name__}
        size = field("size") - more
        body["tags"] = sized(size, Pair()) if held else many(size=size)
        body["__annotations__"] = {"size": kind, "tags": Pair if held else tuple[Tag, ...]}
        framed: Any = type(Header)("Framed", (Header,), body, under=Ether, when={"type": 0x7A01})
        for value in (None, Pair(tag=7) if held else [Tag(tag=7)] * 2):
            made = [bytes(Ether() / (framed() if value is None else framed(tags=value))) for _ in range(3 * OFTEN)]
            assert len({*made}) == 1
            count = 2 if held or value is not None else 0
            assert dissect(made[0])[framed].size == count + more


def test_so_it_is_where_one_of_them_is_changed_often() -> None:
    with bindings():

        class Message(Header, under=TCP, port=7444, stream=True):
            size: Digits = ended(b"\r\n", auto(size_of("tags")))
            tags: tuple[Tag, ...] = many(size=field("size"))

        packet = dissect(bytes(Ether() / IPv4() / TCP() / Message(tags=[Tag()])))
        for number in range(3 * OFTEN):
            assert bytes(packet.replace({"message.tags[0].tag": number}))[-4:] == b"1\r\n" + bytes((number,))
