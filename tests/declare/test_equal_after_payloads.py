"""A header of a packet is compared, and hashed, with what follows from its payload, wherever that stands in it and whatever is absent."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from packetlab import (
    U8,
    U16,
    Bytes,
    Header,
    Payload,
    U16le,
    auto,
    bindings,
    computed,
    crc,
    dissect,
    field,
    pad,
    size_of,
    when,
)

with bindings():

    class Serial(Header):
        address: U8 = 1
        data: Payload = b""
        sum: U16le = auto(crc("CRC-16/MODBUS", "self", "payload"))

    class Counted(Header):
        size: U16 = auto(size_of("payload"))
        address: U8 = 1
        data: Payload = b""
        sum: U8 = auto(crc("CRC-8/SMBUS", "payload"))

    class Absent(Header):
        address: U8 = 1
        more: U8 | None = when(field("address") == 9)
        size: U16 = auto(size_of("payload"))
        sum: U16 = auto(crc("CRC-16/ARC", "self", "payload"))

    class Filled(Header):
        size: U16 = auto(size_of("payload"))
        address: U8 = 1
        data: Payload = b""
        filler: Bytes = pad(4)
        sum: U16 = auto(crc("CRC-16/ARC", "self", "payload"))

    class Worked(Header):
        size: U16 = auto(size_of("payload"))
        address: U8 = 1
        more: U8 | None = when(field("address") == 9)
        double: int = computed(field("size") * 2)


@pytest.mark.parametrize("cls", [Serial, Counted, Absent, Filled, Worked])
def test_a_header_that_was_read_is_equal_to_the_one_that_was_built(cls: Any) -> None:
    built = cls(address=5) / b"hello"
    read = dissect(bytes(built), cls)
    assert read == built and read[cls] == built[cls] and {read[cls]} == {built[cls]}
    assert built[cls] != cls(address=5)  # which has a sum over no payload
    edited = read.replace(cls, address=6)
    again = dissect(bytes(edited), cls)
    assert again[cls] == edited[cls] == pickle.loads(pickle.dumps(edited))[cls] != read[cls]
    assert hash(again[cls]) == hash(edited[cls])
    longer = read.replace(payload=b"hello!")
    assert longer[cls] == dissect(bytes(longer), cls)[cls] != read[cls]
    assert cls(address=7) == dissect(bytes(cls(address=7)), cls)[cls]


def test_a_packet_with_what_takes_a_field_of_a_layer_apart_is_equal_to_one_of_the_same_bytes() -> None:
    with bindings():

        class Option(Header):
            kind: U8 = 0
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Number(Option, inside="data", when={"kind": 2}):
            number: U16 = 0

        given, read, other = Option(kind=2, data=b"\0\7") / b"x", dissect(b"\2\2\0\7x", Option), Number(number=7) / b"x"
        assert type(read.layers[0]) is Number and given.layers[0] == read.layers[0] == other.layers[0]
        assert len({given, read, other}) == 1 and given == read == other != Number(number=8) / b"x"
        assert Serial() / b"" != Absent() / b""
