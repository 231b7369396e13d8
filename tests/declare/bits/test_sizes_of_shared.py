"""Sizes and offsets of fields that share bytes: those side by side come to what they fill together; what cannot is refused."""

from typing import Annotated

import pytest

from packetlab import (
    U4,
    U8,
    U12,
    Bytes,
    DeclareError,
    Header,
    auto,
    bits,
    count_of,
    dissect,
    field,
    has,
    many,
    offset_of,
    size_of,
    spare_bits,
    when,
)  # fmt: skip


class SharedSize(Header):
    wide: U8 = auto(has("a"))
    total: U8 = auto(size_of("a") + size_of("b"))
    whole: U8 = auto(size_of("self"))
    place: U8 = auto(offset_of("rest"))
    length: U8 = auto(size_of("rest"))
    a: U12 | None = when(field("wide"))
    b: U4 | None = when(field("wide"), 0)
    rest: Bytes = b""


def test_optional_bits_side_by_side_come_to_what_they_fill():
    there, absent = SharedSize(a=1, rest=b"xy"), SharedSize(rest=b"xy")
    assert bytes(there) == bytes.fromhex("01 02 09 07 02 0010 7879")
    assert bytes(absent) == bytes.fromhex("00 00 07 05 02 7879")
    for made in (there, absent):
        packet = dissect(bytes(made), SharedSize)
        assert packet[SharedSize] == made and not packet.faults
        assert "agrees with the rule" in str(packet.why(SharedSize, "total"))
        assert "agrees with the rule" in str(packet.why(SharedSize, "place"))


def test_plain_bits_are_counted_together_both_ways():
    class PlainShared(Header):
        total: U8 = auto(size_of("a") + size_of("b") + size_of("names"))
        a: U12 = 0
        b: U4 = 0
        names: Bytes = b""

    made = bytes(PlainShared(names=b"x"))
    assert made == b"\3\0\0x"
    packet = dissect(made + b"yz", PlainShared)
    assert packet[PlainShared].names == b"x" and packet.payload == b"yz"
    assert "agrees with the rule" in str(packet.why(PlainShared, "total"))


def test_spare_bits_count_with_what_they_fill_up():
    class SpareAfter(Header):
        place: U8 = auto(offset_of("names"))
        both: U8 = auto(size_of("some") + size_of("spare"))
        count: U8 = auto(count_of("some"))
        length: U8 = auto(size_of("names"))
        some: tuple[U4, ...] = many(count=field("count"))
        spare: int = spare_bits()
        names: Bytes = b""

    for some in range(5):
        made = SpareAfter(some=[1] * some, names=b"n")
        filled = (some + 1) // 2
        assert bytes(made)[:4] == bytes([4 + filled, filled, some, 1])
        packet = dissect(bytes(made), SpareAfter)
        assert packet[SpareAfter] == made and not packet.faults
        assert "agrees with the rule" in str(packet.why(SpareAfter, "place"))


def test_a_width_from_a_field_counts_with_its_spare_bits():
    class WideShared(Header):
        width: U8 = 13
        both: U8 = auto(size_of("value") + size_of("spare"))
        value: Annotated[int, bits(field("width"))] = 3
        spare: int = spare_bits()

    assert [bytes(WideShared(width=width))[1] for width in (2, 8, 9, 13, 17)] == [1, 1, 2, 2, 3]


def test_what_does_not_fill_whole_bytes_is_refused_with_what_to_write():
    with pytest.raises(
        DeclareError, match=r'fill whole bytes together, got a, 12 bits \(size_of\("a"\) \+ size_of\("b"\)'
    ):

        class Alone(Header):
            wide: U8 = auto(has("a"))
            total: U8 = auto(size_of("a"))
            a: U12 | None = when(field("wide"))
            b: U4 | None = when(field("wide"), 0)

    with pytest.raises(DeclareError, match=r"fill whole bytes together, got b, 4 bits"):

        class Half(Header):
            total: U8 = auto(2 * size_of("a") + size_of("b"))
            a: U4 = 0
            b: U4 = 0

    with pytest.raises(
        DeclareError, match=r'got value \(width_of\("value"\) counts bits; size_of\("value"\) \+ size_of\("spare"\)'
    ):

        class Wide(Header):
            width: U8 = 5
            total: U8 = auto(size_of("value"))
            value: Annotated[int, bits(field("width"))] = 3
            spare: int = spare_bits()


def test_an_offset_within_a_byte_is_refused_in_its_own_words():
    with pytest.raises(DeclareError, match=r"byte boundary in offset_of\(\.\.\.\), got b, at bit 0 or 4"):

        class Within(Header):
            place: U8 = auto(offset_of("b"))
            wide: U8 = auto(has("a"))
            a: U12 | None = when(field("wide"))
            b: U4 | None = when(field("wide"), 0)

    with pytest.raises(DeclareError, match=r"byte boundary in offset_of\(\.\.\.\), got y, at bit 4"):

        class Plain(Header):
            place: U8 = auto(offset_of("y"))
            x: U4 = 0
            y: U4 = 0
