"""A value that is none of its kind is a fault at its field; where it ends is known all the same, so a list goes on after it."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U8,
    U16,
    Bytes,
    Digits,
    Header,
    Text,
    auto,
    bcd,
    count_of,
    dissect,
    ended,
    field,
    many,
    size_of,
    sized,
    text,
)
from tests.careful import careful


class Word(Header):
    size: U8 = auto(size_of("text"))
    text: Text = ""


class Lined(Header):
    line: Text = ended(b"\n", "")


class Fixed(Header):
    name: Annotated[str, text("ascii", size=2)] = "ab"


class Meter(Header):
    digits: Annotated[str, bcd(2)] = "42"


class Ports(Header):
    size: U8 = auto(size_of("ports"))
    ports: tuple[U16, ...] = many()


class Number(Header):
    number: Digits = ended(b" ", 0)


def lists(item: Any) -> list[Any]:
    class Counted(Header):
        count: U8 = auto(count_of("items"))
        items: tuple[item, ...] = many()  # type: ignore[valid-type]

    class Measured(Header):
        size: U8 = auto(size_of("items"))
        items: tuple[item, ...] = many()  # type: ignore[valid-type]
        after: Bytes = sized(field("size"), b"")

    class Open(Header):
        items: tuple[item, ...] = many()  # type: ignore[valid-type]

    return [Counted, Measured, Open]


CASES = [
    (Word, b"\1a", b"\2\xff\xfe", "text", "text, utf-8"),
    (Lined, b"a\n", b"\xff\n", "line", "text, utf-8"),
    (Fixed, b"ab", b"\x80b", "name", "text, ascii"),
    (Meter, b"\x42", b"\xfa", "digits", ""),
    (Ports, b"\2\0\7", b"\3\0\1\2", "ports", "a multiple of 2 bytes"),
]


@pytest.mark.parametrize(("item", "good", "bad", "name", "expected"), CASES, ids=[case[0].__name__ for case in CASES])
def test_what_stands_after_it_is_read(item: Any, good: bytes, bad: bytes, name: str, expected: str) -> None:
    for header in lists(item):
        inside = good + bad + good + bad
        data = {"Counted": b"\4" + inside, "Measured": bytes([len(inside)]) + inside + bytes(len(inside))}.get(header.__name__, inside)
        packet = dissect(data, header)
        items = packet[header].items
        assert [bytes(one) for one in items] == [good, bad, good, bad]
        assert all(type(one) is item for one in items) and bytes(packet) == data and packet.payload == b""
        assert [(fault.layer, fault.field) for fault in packet.faults] == [(header.__name__, "items")] * 2
        assert all(expected in fault.expected and f"{item.__name__}.{name}" in fault.expected for fault in packet.faults)
        assert all(repr(fault).startswith("Fault(") for fault in packet.faults)
        assert bytes(packet.replace(header, items=items)) == data  # and can be built as it came
        assert careful(header, data)[0].items == items


def test_a_single_header_too_and_what_it_is_taken_apart_for() -> None:
    class Holder(Header):
        word: Word
        after: U8 = 0

    class Option(Header):
        kind: U8 = 0
        length: U8 = auto(size_of("self"))
        data: Bytes = b""

    class Name(Option, inside="data", when={"kind": 5}):
        word: Text = ended(b"\0", "")

    packet = dissect(b"\1\xff\x09", Holder)
    assert packet[Holder].after == 9 and len(packet.faults) == 1
    read = dissect(b"\5\4\xff\0", Option)
    assert bytes(read) == b"\5\4\xff\0" and [fault.field for fault in read.faults] == ["data"]


@given(st.binary(max_size=30), st.sampled_from([header for case in CASES for header in lists(case[0])] + lists(Number)))
def test_any_bytes_come_back_and_both_readers_agree(data: bytes, header: Any) -> None:
    packet = dissect(data, header)
    assert bytes(packet) == data
    assert careful(header, data)[0] == packet.layers[0]
