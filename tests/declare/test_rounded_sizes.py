"""Sizes rounded to a multiple: what they say of a field where nothing else does, and that they say nothing where its declaration goes by another number."""

import pytest

from packetlab import U8, BuildError, Bytes, Header, auto, bindings, dissect, field, size_of, sized


def test_a_number_that_is_rounded_stands_beside_the_one_that_says_the_size() -> None:
    with bindings():

        class Both(Header):
            room: U8 = auto((size_of("body") + 71) // 8 * 8)
            size: U8 = auto(size_of("body"))
            body: Bytes = sized(field("size"), b"")

        for size, room in ((0, 64), (1, 72), (8, 72), (9, 80)):
            data = bytes(Both(body=bytes(size)))
            assert data[:2] == bytes([room, size])
            packet = dissect(data, Both)
            assert not packet.faults
            assert packet[Both].body == bytes(size)


def test_alone_it_says_multiples_and_the_error_says_which_size_is_read() -> None:
    with bindings():

        class Alone(Header):
            room: U8 = auto((size_of("body") + 71) // 8 * 8)
            body: Bytes = b""

        for size in (0, 8, 16):
            data = bytes(Alone(body=bytes(size)))
            assert data[0] == size + 64
            assert dissect(data, Alone)[Alone].body == bytes(size)
        with pytest.raises(BuildError, match=r"Alone\.room: expected a size that comes back from .*, got 1, which is read as 8"):
            bytes(Alone(body=b"a"))
