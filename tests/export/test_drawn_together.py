"""Fields whose presence or size hangs together are drawn so that they fit: what is drawn is built, and reads back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import find, given, settings, strategies as st

import packetlab as pl
from packetlab import U1, U4, U7, U8, Bytes, Header, auto, choose, dissect, field, has, size_of, sized, when
from tests.conftest import amount


class TogetherString(Header):
    size: U8 = auto(size_of("text"))
    text: Bytes = b""


class TogetherWill(Header):  # the flag follows from the first of two
    will: U1 = auto(has("topic"))
    rest: U7 = 0
    topic: TogetherString | None = when(field("will"))
    message: TogetherString | None = when(field("will"))


class TogetherLate(Header):  # and from the second one
    will: U1 = auto(has("message"))
    rest: U7 = 0
    topic: TogetherString | None = when(field("will"))
    message: TogetherString | None = when(field("will"))
    more: U8 | None = when(field("will") & (field("rest") > 3))


class TogetherShort(Header):  # a size of 1 to 16 bytes, as in RFC 8285
    id: U4 = 1
    size: U4 = auto(choose(field("id") == 0, 0, size_of("value") - 1))
    value: Bytes | None = when(field("id") != 0, sized(field("size") + 1))


class TogetherNarrow(Header):
    size: U4 = auto(size_of("value") // 2 - 2)
    rest: U4 = 0
    value: Bytes = sized(field("size") * 2 + 4)


ALL: list[Any] = [TogetherWill, TogetherLate, TogetherShort, TogetherNarrow]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_what_is_drawn_is_built_and_reads_back(cls: type[Header]) -> None:
    @settings(max_examples=amount(60, 600))
    @given(pl.strategies.headers(cls))
    def reads_back(header: Header) -> None:
        packet = dissect(bytes(header), cls)
        assert not packet.faults and packet.payload == b""
        assert packet[cls] == header

    reads_back()


@pytest.mark.parametrize("cls", [TogetherWill, TogetherLate], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("there", [False, True])
def test_both_are_drawn_or_none(cls: Any, there: bool) -> None:
    drawn = pl.strategies.headers(cls)
    found = find(drawn, lambda header: (header.message is not None) is there)
    assert (found.topic is not None) is there


def test_sizes_at_both_ends_are_drawn() -> None:
    for size in (1, 16):
        found = find(pl.strategies.headers(TogetherShort), lambda header, size=size: len(header.value or b"") == size)
        assert bytes(found)[0] & 15 == size - 1


@settings(max_examples=amount(40, 400))
@given(st.data())
def test_what_is_named_stays_as_it_is_named(data: st.DataObject) -> None:
    header = data.draw(pl.strategies.headers(TogetherShort, size=3))
    assert header.size == 3
