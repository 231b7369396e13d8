"""Bytes that fill up, as many as a rule says: made by who builds, kept as they were captured while there are as many."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    U8,
    U32,
    BuildError,
    Bytes,
    DeclareError,
    Header,
    Rest,
    Text,
    auto,
    cipher,
    const,
    dissect,
    ended,
    field,
    fixed_bytes,
    from_end,
    pad,
    secret,
    secrets,
    size_of,
    sized,
    sum8,
    text,
    through,
)


class Covered(Header):  # RFC 4303 section 2.4
    data: Rest = b""
    filler: Bytes = pad(size=field("count"))
    count: U8 = from_end(2, auto(-(size_of("data") + 2) % 16))
    next: U8 = 4


class ESP(Header):
    spi: U32 = 1
    sequence: U32 = 1
    start: Annotated[bytes, fixed_bytes(16)] = bytes(16)
    body: Covered = through(cipher("AES-CBC", key=secret("esp"), nonce=field("start"), padding="none"), Covered())


class Binary(Header):  # RFC 4253 section 6
    length: U32 = auto(1 + size_of("data") + field("padding"))
    padding: U8 = auto(4 + -(size_of("data") + 9) % 8)
    data: Bytes = sized(field("length") - field("padding") - 1, b"")
    filler: Bytes = pad(size=field("padding"), fill=b"\xee")


class Named(Header):
    size: U8 = 8
    name: Text = ended(b"\0", "")
    filler: Bytes = pad(to=field("size") + 1)
    end: U8 = const(0x55)


@given(st.binary(max_size=80))
@settings(max_examples=25)
def test_there_are_as_many_as_the_rule_says(data: bytes) -> None:
    for header, multiple, after in ((Covered(data=data), 16, 0), (Binary(data=data), 8, 0)):
        wire = bytes(header)
        assert len(wire) % multiple == after
        read = dissect(wire, type(header))
        assert (read.faults, read[type(header)]) == ((), header)
        for other in (b"", b"abc", data + b"x", bytes(30)):
            edited = read.replace(type(header), data=other)
            assert bytes(edited) == bytes(type(header)(data=other))


@given(st.binary(max_size=30), st.binary(min_size=4, max_size=4))
@settings(max_examples=25)
def test_what_was_captured_stays_while_it_has_the_size(data: bytes, noise: bytes) -> None:
    wire = bytearray(bytes(Binary(data=data)))
    wire[5 + len(data) : 9 + len(data)] = noise
    read = dissect(bytes(wire), Binary)
    same = read.replace(Binary, data=data[::-1])
    assert bytes(same)[5 + len(data) :] == wire[5 + len(data) :]
    assert bytes(read.replace(Binary, data=data + b"x")) == bytes(Binary(data=data + b"x"))
    assert bytes(read.replace(Binary, filler=auto)) == bytes(Binary(data=data))
    assert read.why(Binary, "filler").splitlines()[1] == f"  fills up with padding bytes = {read[Binary].padding}"


def test_it_stays_where_packets_of_its_stack_have_functions_of_their_own() -> None:
    wire = bytes(Binary(data=b"abc"))[:-3] + b"xyz"
    for _ in range(80):
        assert bytes(dissect(wire, Binary).replace(Binary, data=b"cba"))[-3:] == b"xyz"
        assert bytes(dissect(wire, Binary).replace(Binary, data=b"abcd"))[-3:] == b"\xee\xee\xee"


def test_inside_a_cipher() -> None:
    with secrets({"esp": bytes(range(16))}):
        for size in (0, 13, 14, 15, 40):
            wire = bytes(ESP(body=Covered(data=bytes(size))))
            read = dissect(wire, ESP)
            assert (read[ESP].body.data, len(wire) % 16, read.faults) == (bytes(size), 8, ())
            assert dissect(bytes(read.replace({"esp.body.data": b"another"})), ESP)[ESP].body.data == b"another"


def test_a_text_in_a_room_of_a_size() -> None:
    assert bytes(Named(name="abc")) == b"\x08abc\0\0\0\0\0\x55"
    assert bytes(Named(size=4, name="abc")) == b"\x04abc\0\x55"
    read = dissect(b"\x08abc\0zzzz\x55", Named)
    assert read[Named].name == "abc"
    assert bytes(read.replace(Named, name="xyz")) == b"\x08xyz\0zzzz\x55"
    assert bytes(read.replace(Named, name="longer")) == b"\x08longer\0\0\x55"


def test_others_are_given_with_their_number() -> None:
    assert bytes(Binary(data=b"abc", padding=16))[9:] == b"\xee" * 15
    assert bytes(Binary(data=b"abc", padding=5, filler=b"12345")) == b"\0\0\0\x09\x05abc12345"
    with pytest.raises(BuildError, match=r"Binary\.filler: expected 8 bytes, as padding says, got 5 bytes"):
        bytes(Binary(data=b"abc", filler=b"12345"))
    short = dissect(b"\0\0\0\x09\x05abc123", Binary)
    assert [fault.field for fault in short.faults] == ["filler"]
    assert bytes(short) == b"\0\0\0\x09\x05abc123"


def test_who_looks_for_it_is_told() -> None:
    class Given(Header):
        n: U8 = auto(4 + -size_of("data") % 8)
        data: Annotated[bytes, fixed_bytes(3)] = b"abc"
        filler: Bytes = sized(field("n"))

    with pytest.raises(BuildError, match=r"filler: expected a value, got none \(give filler=\.\.\., or filler = pad\(size=\.\.\.\) fills up\)"):
        bytes(Given())
    with pytest.raises(DeclareError, match=r"with a filler after it: pad\(to=field\(\"size\"\) \+ 1\)"):
        text("ascii", pad=b"\0")
    with pytest.raises(DeclareError, match=r"a computed field may be a part of it, and through\(named"):

        class Mixed(Header):
            a: U8 = 0
            check: U8 = auto(sum8("a") ^ field("a"))


def test_it_travels_and_nothing_else_goes_with_it() -> None:
    again = pl.declare_from(pl.describe(Binary))[-1]
    assert bytes(again(data=b"abc")) == bytes(Binary(data=b"abc"))
    with pytest.raises(DeclareError, match="expected size= alone"):
        pad(8, size=field("n"))
    with pytest.raises(DeclareError, match="expected size= alone"):
        pad(to=field("a"), size=field("n"))
    with pytest.raises(DeclareError, match="expected size= alone"):
        pad(since="packet", size=field("n"))
