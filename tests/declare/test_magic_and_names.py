"""Bytes that are always the same, names for every number, and lists of names that point back."""

from enum import IntEnum
from typing import Annotated

import pytest

from packetlab import (
    U8,
    BuildError,
    Bytes,
    DeclareError,
    Header,
    Named,
    Rest,
    auto,
    bits,
    const,
    dissect,
    field,
    has,
    labels,
    many,
    size_of,
    when,
)


class Sort(IntEnum):
    LEAF = 0
    GROUP = 1


class NamedPair(Header, label="is {a} {b}"):
    a: Annotated[Named[Sort], bits(8)] = Sort.LEAF
    b: Annotated[Named[Sort], bits(8)] = Sort.GROUP


def test_a_number_0_with_a_name_is_shown_by_it():
    packet = dissect(bytes(NamedPair()), NamedPair)
    assert packet.summary() == "NamedPair is LEAF GROUP"
    assert "LEAF (0)" in str(packet.show())


def test_constant_bytes_tell_their_own_size():
    class MagicFirst(Header):
        magic: Bytes = const(b"INVX")
        flag: U8 = 0
        extra: Bytes | None = when(field("flag"), const(b"ok"))
        last: Rest = b""

    assert bytes(MagicFirst(last=b"x")) == b"INVX\0x" and bytes(MagicFirst(flag=1)) == b"INVX\1ok"
    packet = dissect(b"INVX\1okay", MagicFirst)
    assert packet[MagicFirst].extra == b"ok" and packet[MagicFirst].last == b"ay" and not packet.faults
    assert [fault.field for fault in dissect(b"INVY\0", MagicFirst).faults] == ["magic"]


def test_a_list_of_names_that_point_back_is_refused_with_the_way_out():
    for options in ({"since": "Listed", "compress": True}, {"since": "Listed"}, {"compress": True}):
        with pytest.raises(
            DeclareError, match=r"Listed\.names: expected names without pointers .*tuple\[ThatHeader, \.\.\.\]"
        ):

            class Listed(Header):
                size: U8 = auto(size_of("names"))
                names: tuple[Annotated[str, labels(**options)], ...] = many(size=field("size"))


def test_a_pointer_in_a_list_of_plain_names_is_a_fault():
    class PlainNames(Header):
        size: U8 = auto(size_of("names"))
        names: tuple[Annotated[str, labels()], ...] = many(size=field("size"))

    made = bytes(PlainNames(names=["a.b", "c"]))
    assert dissect(made, PlainNames)[PlainNames].names == ("a.b", "c")
    packet = dissect(b"\x05\1a\0\xc0\1", PlainNames)
    assert [fault.field for fault in packet.faults] == ["names"] and bytes(packet) == b"\x05\1a\0\xc0\1"


def test_a_header_where_none_may_be_is_called_by_its_name():
    class Within(Header):
        number: U8 = 0

    class MayHold(Header):
        flag: U8 = auto(has("held"))
        held: Within | None = when(field("flag"))

    with pytest.raises(BuildError, match="as it is where flag, got Within"):
        bytes(MayHold(flag=0, held=Within(number=3)))
