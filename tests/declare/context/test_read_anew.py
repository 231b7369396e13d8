"""What a header said for later ones while it was tried is forgotten where it is read anew, with care."""

from __future__ import annotations

import pytest

from packetlab import (
    U8,
    Bytes,
    Context,
    Header,
    Rest,
    dissect,
    field,
    many,
    recalled,
    sized,
)


class Said(Header, remembers={"i": field("n")}):
    n: U8 = 2
    b: Bytes = sized(recalled("i", default=1), b"")


class Several(Header):
    its: tuple[Said, ...] = many()


class Base(Header):
    kind: U8 = 0
    data: Rest = b""


class Inside(Base, inside="data", when={"kind": 1}):
    its: tuple[Said, ...] = many()


class Further(Several):
    pass


class Sort(Header):
    its: tuple[Said, ...] = many(count=2)
    kind: U8 = 0


class Sort2(Sort, when={"kind": 2}):
    more: tuple[Said, ...] = many(count=1)


@pytest.mark.parametrize(("raw", "rest"), [(b"\3a\2bcd", b""), (b"\3a\2bcd\1e", b"\1e"), (b"\3a\2bcd\3", b"\3")])
def test_items_before_one_that_does_not_fit_are_read_by_what_stood_before_them(raw: bytes, rest: bytes) -> None:
    read = dissect(raw, Several, context=Context())[Several]
    assert [(item.n, item.b) for item in read.its[:2]] == [(3, b"a"), (2, b"bcd")]
    assert bytes(read.its[2]) == rest if rest else len(read.its) == 2
    inside = dissect(b"\1" + raw, Base, context=Context())[Base]
    if not rest:
        assert [(item.n, item.b) for item in inside.its] == [(3, b"a"), (2, b"bcd")]


@pytest.mark.parametrize("end", [b"", b"\1"])
def test_a_kind_that_is_found_late_reads_its_items_by_what_stood_before_them(end: bytes) -> None:
    read = dissect(b"\3a\2bcd\2\4ef" + end, Sort, context=Context())[Sort]
    assert isinstance(read, Sort2)
    assert [(item.n, item.b) for item in read.its] == [(3, b"a"), (2, b"bcd")]
    assert [(item.n, item.b) for item in read.more] == [(4, b"ef")]


def test_what_a_broken_packet_said_in_the_end_is_what_later_ones_recall() -> None:
    context = Context()
    dissect(b"\3a\2bcd\1e", Several, context=context)
    assert context.recall("i") == 2
    assert [(item.n, item.b) for item in dissect(b"\5xy", Several, context=context)[Several].its] == [(5, b"xy")]
