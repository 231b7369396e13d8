"""Lengths in digits of what stands in lists and in fields, in packets that are built often enough to have a function of their own."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import given, settings, strategies as st

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
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.codec.stacks import OFTEN
from tests.conftest import amount


class Numbers(Header):
    """Each way in which a number in digits ends, and what may stand around it."""

    line: Annotated[int, digits(signed=True)] = ended(b" ", 0)
    wide: Annotated[int, digits(16, width=2, upper=True)] = 0
    chunk: Annotated[int, digits(16, before=b";")] = ended(b"\r\n", 0)
    size: U8 = auto(size_of("last"))
    last: Digits = sized(field("size"), 0)


usual = [b"7", b"07", b"42", b"0A", b"1a", b" 7", b"-0", b"-7", b"+7", b"1_", b"007", b"a;b", b"18446744073709551616"]
spelled = st.sampled_from(usual) | st.sampled_from(usual) | st.text("+-_ 0019aAfF;", max_size=25).map(str.encode)


@settings(max_examples=amount(200, 2000))
@given(spelled, spelled, spelled, spelled, st.sampled_from([0, 0, 0, 1]))
def test_any_spelling_is_read_as_the_careful_reader_reads_it(line: bytes, wide: bytes, chunk: bytes, last: bytes, cut: int) -> None:
    data = line + b" " + wide[:2] + chunk + b"\r\n" + bytes([len(last)]) + last[: len(last) - cut]
    quick, careful = Dissection(), Dissection()
    found, known = Numbers._decode(data, 0, len(data), quick), walk(Numbers._declaration, data, 0, len(data), careful)
    assert found == known and quick.faults == careful.faults
    for f in Numbers._fields:
        one, other = (getattr(header, f.slot) for header in (found[0], known[0]))
        assert type(one) is type(other) and getattr(one, "spelled", None) == getattr(other, "spelled", None)
    assert bytes(dissect(data, Numbers)) == data


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
