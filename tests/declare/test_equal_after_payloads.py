"""A header of a packet is compared, and hashed, with what follows from its payload, wherever that stands in it and whatever is absent."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from packetlab import U8, U16, Header, Payload, U16le, auto, bindings, crc, dissect, field, size_of, when

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


@pytest.mark.parametrize("cls", [Serial, Counted, Absent])
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
