"""Checksums that take in a number which is not sent: MAVLink's, with a byte of each message's own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    U8,
    UDP,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4,
    Payload,
    U16le,
    U32le,
    Verdict,
    auto,
    bindings,
    choose,
    computed,
    const,
    crc,
    dissect,
    field,
    internet_checksum,
    iso_fletcher,
    size_of,
    span,
    sum8,
    xor8,
)


class MAVLink(Header):  # the protocol's guide, "serialization": CRC_EXTRA is taken in last
    magic: U8 = const(0xFE)
    size: U8 = auto(size_of("payload"))
    sequence: U8 = 0
    message: U8 = 0
    extra: U8 = computed(choose(field("message") == 0, 50, 124))
    payload: Payload
    checksum: U16le = auto(crc("CRC-16/MCRF4XX", span("size", "message"), "payload", "extra"))


class Little(Header):
    a: U8 = 1
    key: U32le = computed(field("a") + 0x01020300)
    check: U8 = auto(xor8("key", "a"))


def accumulated(data: bytes) -> int:
    """The sum as MAVLink's own header file works it out."""
    crc_accum = 0xFFFF
    for byte in data:
        tmp = byte ^ (crc_accum & 0xFF)
        tmp = (tmp ^ (tmp << 4)) & 0xFF
        crc_accum = (crc_accum >> 8) ^ (tmp << 8) ^ (tmp << 3) ^ (tmp >> 4)
    return crc_accum & 0xFFFF


@given(st.integers(0, 255), st.binary(max_size=40))
@settings(max_examples=25)
def test_it_is_the_sum_of_what_is_sent_and_that(message: int, body: bytes) -> None:
    packet = MAVLink(message=message) / body
    data = bytes(packet)
    assert data[-2:] == accumulated(data[1:-2] + bytes([124 if message else 50])).to_bytes(2, "little")
    read = dissect(data, MAVLink)
    assert read.verdict(MAVLink) is Verdict.GOOD
    assert f"{124 if message else 50}" in str(read.why(MAVLink, "extra"))
    assert "    extra: 1 bytes" in str(read.why(MAVLink, "checksum")).splitlines()
    other = bytes(read.replace(MAVLink, message=message ^ 1))
    assert other[-2:] == accumulated(other[1:-2] + bytes([50 if message == 1 else 124])).to_bytes(2, "little")
    broken = bytes([*data[:-1], data[-1] ^ 1])
    assert dissect(broken, MAVLink).verdict(MAVLink) is Verdict.BAD


def test_it_has_the_width_and_order_of_its_kind() -> None:
    assert bytes(Little(a=9)) == bytes([9, 9 ^ 3 ^ 2 ^ 1 ^ 9])
    for _ in range(40):  # until stacks have functions of their own
        assert dissect(bytes(Little(a=9)), Little).verdict(Little) is Verdict.GOOD


def test_in_stacks_filters_and_rows() -> None:
    with bindings():

        class Flown(MAVLink, under=UDP, port=14550):
            pass

        packets = [Ether() / IPv4() / UDP(dport=14550) / Flown(message=k % 3) / bytes([k] * 5) for k in range(40)]
        for packet in packets:
            assert dissect(bytes(packet)) == packet
            assert dissect(bytes(packet)).verdict(Flown) is Verdict.GOOD
        assert Capture.of(packets).where("flown.extra == 50").count() == 14
        rows = packets[1].vary(6, {"flown.message": range(6), "payload": [b"abcde", b"12345"]})
        for k, data in enumerate(rows):
            assert data == bytes(packets[1].replace(Flown, message=k, payload=[b"abcde", b"12345"][k % 2]))
        new = Capture.of(packets).rewrite(ttl=9, ports={14550: 14551})
        assert [frame.data for frame in new] == [bytes(packet.replace(IPv4, ttl=9).replace(UDP, dport=14551)) for packet in packets] and not new.left


def test_what_it_cannot_be_is_refused() -> None:
    with pytest.raises(DeclareError, match=r"A\.s: expected fields that take bytes, got e, .* that the kind of a number in whole bytes: extra: U8 = computed"):

        class A(Header):
            a: U8 = 0
            e: int = computed(field("a"))
            s: U8 = auto(sum8("a", "e"))

    with pytest.raises(DeclareError, match=r"B\.s: expected bytes that are sent, in a sum that goes by their places or number"):

        class B(Header):
            a: U8 = 0
            e: U8 = computed(field("a"))
            s: U16le = auto(internet_checksum("self", "e", "pseudo"))

    with pytest.raises(DeclareError, match="expected"):

        class C(Header):
            a: U8 = 0
            e: U8 = computed(field("a"))
            s: U16le = auto(iso_fletcher("self", "e"))
