"""CRCs of more than 64 bits, and of fewer than a byte."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    U4,
    U5,
    U7,
    U8,
    U16,
    Capture,
    DeclareError,
    Ether,
    Header,
    Payload,
    Verdict,
    auto,
    bindings,
    bits,
    crc,
    declare_from,
    describe,
    dissect,
    span,
    xor8,
)
from tests.careful import careful
from tests.conftest import amount

with bindings():

    class Long(Header, under=Ether, when={"type": 0x7DD1}):
        number: U8 = 1
        body: Payload
        check: Annotated[int, bits(88)] = auto(crc("CRC-82/DARC", "self", "payload"))


def by_bits(data: bytes) -> int:
    """CRC-82/DARC, bit by bit: lowest first."""
    value, poly = 0, int(f"{0x0308C0111011401440411:082b}"[::-1], 2)
    for byte in data:
        for place in range(8):
            value = value >> 1 ^ (poly if (value ^ byte >> place) & 1 else 0)
    return value


@given(body=st.binary(max_size=20), number=st.integers(0, 255))
@settings(max_examples=amount(30, 1000))
def test_crc_82_is_that_of_its_definition(body: bytes, number: int) -> None:
    wire = bytes(Long(number=number) / body)
    assert wire == bytes([number]) + body + by_bits(bytes([number]) + body).to_bytes(11, "big")
    packet = dissect(wire, Long)
    assert packet.verdict(Long) is Verdict.GOOD and careful(Long, wire)[0] == packet[Long]
    assert dissect(wire[:-1] + bytes([wire[-1] ^ 1]), Long).verdict(Long) is Verdict.BAD
    assert dissect(bytes(packet.replace(Long, number=number ^ 1)), Long).verdict(Long) is Verdict.GOOD


def test_by_what_it_goes_to_other_programs_and_files() -> None:
    with bindings():
        (again,) = declare_from({**describe(Long), "name": "Again", "under": []})
        assert bytes(again(number=3) / b"x") == bytes(Long(number=3) / b"x")
        pl.bind(Long, under=Ether, when={"type": 0x7DD1})
        rows = (Ether() / Long() / b"abc").vary(3, {"long.number": [1, 2, 3]})
        assert all(dissect(bytes(row)).verdict(Long) is Verdict.GOOD for row in rows)
        new = Capture.of([Ether() / Long() / b"abc"]).rewrite(anonymise=1)
        assert len(list(new)) == 1 and not new.left
        with pytest.raises(
            pl.BuildError, match=r"Long.check: expected a checksum in up to 64 bits, for Wireshark's Lua, got 88 bits"
        ):
            pl.wireshark(Long)


def test_sums_of_a_few_bits_are_refused_with_where_they_can_stand() -> None:
    with pytest.raises(
        DeclareError,
        match=r"USB.check: expected a checksum over whole bytes, got one with a border at bit 3 of a byte, before ep_too",
    ):

        class USB(Header, bit_order="low"):
            addr: U7 = 0
            ep: U4 = 0
            ep_too: U5 = 0
            check: U8 = auto(xor8(span("addr", "ep")))

    with pytest.raises(
        DeclareError,
        match=r"Nibble.check: expected an unsigned field of 8 bits or more, in bytes, got 4 bits \(a sum stands in whole bytes: bits\(8\)",
    ):

        class Nibble(Header):
            a: U8 = 1
            x: U4 = 0
            check: U4 = auto(crc("CRC-4/G-704", "self"))


def test_sums_in_arithmetic_are_refused_with_the_way_out() -> None:
    with pytest.raises(
        DeclareError, match=r"Turned.check: .*got CRC-16/ARC\(a\) \(a checksum is all of auto\(...\): xor= and init="
    ):

        class Turned(Header):
            a: U8 = 1
            check: U16 = auto(crc("CRC-16/ARC", "a") ^ 0x1234)
