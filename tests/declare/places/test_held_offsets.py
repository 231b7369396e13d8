"""Offsets that stand in headers of fields, as in NTLM and SMB2: they follow from where the data lie, as sizes do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    U8,
    Bytes,
    DeclareError,
    Ether,
    Header,
    U16le,
    U32le,
    at,
    auto,
    bindings,
    dissect,
    field,
    offset_of,
    sized,
    when,
)
from packetlab.errors import BuildError
from tests.conftest import amount


class Buffer(Header):
    size: U16le = 0
    offset: U32le = 0


class Held(Header):
    """In the manner of NTLM's messages."""

    one: Buffer = Buffer()
    two: Buffer = Buffer()
    a: Bytes = at(field("one.offset"), sized(field("one.size"), b""))
    b: Bytes = at(field("two.offset"), sized(field("two.size"), b""), align=4)


def held(a: bytes, b: bytes, swapped: bool, gaps: tuple[bytes, bytes]) -> bytes:
    """Return the bytes of one by hand: `b` first if `swapped`."""
    body, places = b"", {}
    for data, gap in ((b, gaps[1]), (a, gaps[0])) if swapped else ((a, gaps[0]), (b, gaps[1])):
        body += gap if data else b""
        places[data] = 12 + len(body)
        body += data
    return b"".join(len(data).to_bytes(2, "little") + places[data].to_bytes(4, "little") for data in (a, b)) + body


def test_offsets_follow_as_sizes_do() -> None:
    made = bytes(Held(a=b"abc", b=b"xy"))
    assert made == bytes.fromhex("0300 0c000000 0200 10000000 616263 00 7879")
    packet = dissect(made, Held)
    found: Any = packet[Held]
    assert packet.faults == () and (found.a, found.b) == (b"abc", b"xy")
    assert bytes(packet.replace(Held, a=b"longer")) == bytes.fromhex("0600 0c000000 0200 14000000 6c6f6e676572 0000 7879")
    assert bytes(Held()) == bytes.fromhex("0000 0c000000 0000 0c000000")


def test_an_offset_that_is_given_counts() -> None:
    assert bytes(Held(one=Buffer(offset=14), a=b"abc")) == bytes.fromhex("0300 0e000000 0000 11000000 0000 616263")
    swapped = bytes(Held(one=Buffer(offset=14), two=Buffer(offset=12), a=b"abc", b=b"xy"))
    assert swapped == held(b"abc", b"xy", True, (b"", b"")) and dissect(swapped, Held).faults == ()


@given(
    st.tuples(st.binary(max_size=5), st.binary(max_size=5)).filter(lambda both: both[0] != both[1]), st.booleans(),
    st.tuples(st.sampled_from([b"", b"\0", b"xy"]), st.sampled_from([b"", b"\0", b"xy"])),
    st.lists(st.fixed_dictionaries({}, optional={"a": st.binary(max_size=9), "b": st.binary(max_size=9)}), max_size=3),
)  # fmt: skip
@settings(max_examples=amount(200, 2000), deadline=None)
def test_any_order_comes_back_and_what_is_edited_reads_back_equal(both: tuple[bytes, bytes], swapped: bool, gaps: Any, edits: list[dict[str, Any]]) -> None:
    data = held(*both, swapped, gaps)
    packet = dissect(data + b"up", Held)
    assert packet.faults == () and bytes(packet) == bytes(packet.replace(Held)) == data + b"up"
    wanted = dict(zip("ab", both, strict=True))
    for changes in edits:
        alone: Any = packet[Held].replace(**changes)
        packet = packet.replace(Held, **changes)
        wanted |= changes
        again = dissect(bytes(packet), Held)
        assert again.faults == () and again.payload == b"up" and bytes(alone) + b"up" == bytes(packet)
        assert {name: getattr(again[Held], name) for name in wanted} == wanted


@given(st.binary(max_size=40))
@settings(max_examples=amount(200, 2000), deadline=None)
def test_any_bytes_come_back(data: bytes) -> None:
    for some in (data, bytes(byte & 15 for byte in data)):
        packet = dissect(some, Held)
        assert bytes(packet) == bytes(packet.replace(Held)) == some


def test_numbers_in_held_headers_follow_in_packets_that_are_built_often() -> None:
    with bindings():

        class Often(Header, under=Ether, when={"type": 0x7C70}):
            key: Buffer = Buffer()
            data: Bytes = at(field("key.offset"), sized(field("key.size"), b""))

        for _ in range(40):
            made = bytes(Ether() / Often(data=b"abc"))
        for _ in range(5):
            edited = dissect(bytes(dissect(made, Ether).replace(Often, data=b"longer")), Ether)
            assert edited.faults == () and edited[Often].data == b"longer"


def test_a_rule_in_the_header_is_refused_with_the_way_out() -> None:
    with pytest.raises(DeclareError, match=r'without a rule it follows: .* at\(field\("key.offset"\), \.\.\.\) says where data lies'):

        class Ruled(Header):
            offset: U8 = auto(offset_of("^.data"))


def test_what_cannot_follow_says_so() -> None:
    class Loose(Header):
        size: U8 = 0
        name: Bytes = sized(field("size"), b"")
        offset: U8 = 0

    class Named(Header):
        key: Loose = Loose()
        data: U8 = at(field("key.offset"), 7)

    with pytest.raises(DeclareError, match=r"key.offset follows where all fields of its header are of fixed sizes"):
        bytes(Named())

    class There(Header):
        key: Buffer = Buffer()
        data: Bytes | None = when(field("key.offset"), at(field("key.offset"), sized(field("key.size"), b"")))

    assert bytes(There(key=Buffer(size=3, offset=6), data=b"abc")) == bytes.fromhex("0300 06000000 616263")
    with pytest.raises(BuildError, match=r"key=Buffer\(size=\.\.\.\) can be given too"):
        bytes(There(key=Buffer(offset=6), data=b"abc"))
