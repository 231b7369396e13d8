"""Own functions that get values of fields beside the bytes: `named(..., using=)`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    U8,
    U16,
    UDP,
    BuildError,
    Capture,
    Context,
    DeclareError,
    Ether,
    Header,
    IPv4,
    Text,
    auto,
    bindings,
    dissect,
    field,
    fixed_bytes,
    has,
    labels,
    many,
    named,
    secret,
    secrets,
    size_of,
    sized,
    span,
    through,
    when,
    zlib,
)
from tests.conftest import amount


def stream(data: bytes, *values: bytes | None) -> bytes:
    """Return bytes xored with a hash of some values: its own other direction."""
    key = hashlib.sha512(b"|".join(value or b"-" for value in values)).digest() * (len(data) // 64 + 1)
    return bytes(one ^ other for one, other in zip(data, key, strict=False))


def mine(*using: Any) -> Any:
    return named("mine", stream, stream, using=using)


@pytest.fixture(scope="module", autouse=True)
def declared() -> Iterator[None]:
    global Keyed, Part, Parts, Flagged
    with bindings(), secrets({"lab": b"a key"}):

        class Keyed(Header, under=UDP, port=7411):
            nonce: U16 = 7
            label: Annotated[bytes, fixed_bytes(3)] = b"abc"
            size: U8 = auto(size_of("text"))
            text: Text = through(mine(field("nonce"), field("label"), secret("lab"), b"fixed"), sized(field("size"), ""))

        class Part(Header):
            size: U8 = auto(size_of("text"))
            text: Text = through(mine(field("^.key")), sized(field("size"), ""))

        class Parts(Header):
            key: U16 = 3
            parts: tuple[Part, ...] = many()

        class Flagged(Header):
            flag: U8 = auto(has("key"))
            key: U8 | None = when(field("flag"))
            text: Text = through(mine(field("key")), sized(field("flag") + 3, "abc"))

        yield


@given(st.integers(0, 0xFFFF), st.binary(min_size=3, max_size=3), st.text(max_size=40))
@settings(max_examples=amount(25, 1000))
def test_they_are_the_bytes_that_are_sent(nonce: int, label: bytes, text: str) -> None:
    header = Keyed(nonce=nonce, label=label, text=text)
    data, inside = bytes(header), text.encode()
    assert data == nonce.to_bytes(2, "big") + label + bytes((len(inside),)) + stream(inside, nonce.to_bytes(2, "big"), label, b"a key", b"fixed")
    read = dissect(data, Keyed)
    assert (read[Keyed].text, read.faults, read[Keyed]) == (text, (), header)
    edited = read.replace(Keyed, nonce=1)
    assert bytes(edited)[6:] == stream(inside, b"\0\1", label, b"a key", b"fixed")
    assert dissect(bytes(edited), Keyed)[Keyed].text == text


def test_items_get_values_of_what_is_around() -> None:
    header = Parts(key=0x1234, parts=[Part(text="one"), Part(text="three")])
    data = bytes(header)
    assert data == b"\x12\x34\x03" + stream(b"one", b"\x12\x34") + b"\x05" + stream(b"three", b"\x12\x34")
    read = dissect(data, Parts)
    assert read[Parts] == header
    assert bytes(read.replace(Parts, key=1)) == bytes(Parts(key=1, parts=header.parts))


def test_what_is_absent_is_none() -> None:
    assert bytes(Flagged()) == b"\0" + stream(b"abc", None)
    assert bytes(Flagged(key=9, text="abcd")) == b"\1\x09" + stream(b"abcd", b"\x09")


def test_filters_columns_and_patterns_see_what_is_inside() -> None:
    capture = Capture.of([Ether() / IPv4() / UDP(dport=7411) / Keyed(nonce=k, text=f"text {k}") for k in range(4)])
    assert capture.where('keyed.text == "text 2"').count() == 1
    assert [*capture.table("keyed.text").read()["keyed.text"]] == [f"text {k}" for k in range(4)]
    assert capture.where(Keyed(text="text 3")).count() == 1


def test_a_state_comes_before_the_bytes_and_values_after_them() -> None:
    def step(state: list[bytes], data: bytes, key: bytes) -> bytes:
        state.append(data)
        return stream(data, key, bytes((len(state),)))

    class Going(Header):
        key: U8 = 5
        size: U8 = auto(size_of("text"))
        text: Text = through(named("going", step, step, state=list, key=field("key"), using=field("key")), sized(field("size"), ""))

    with Context():
        sent = [bytes(Going(text="ab")), bytes(Going(text="cd"))]
    assert [data[2:] for data in sent] == [stream(b"ab", b"\5", b"\1"), stream(b"cd", b"\5", b"\2")]
    context = Context()
    assert [dissect(data, Going, context=context)[Going].text for data in sent] == ["ab", "cd"]


def test_what_it_cannot_have_is_refused() -> None:
    with pytest.raises(DeclareError, match=r"using=\): expected field\(\"name\"\), span\(\"first\", \"last\"\), secret\(\"name\"\) or bytes, got 5"):
        mine(5)
    with pytest.raises(DeclareError, match="expected 4 values at most, got 5"):
        mine(*[b""] * 5)
    with pytest.raises(DeclareError, match=r"got key=.* alone \(values that the functions get are using=field"):
        named("mine", stream, stream, key=field("a"))
    with pytest.raises(DeclareError, match=r"Wrong\.text: expected using=span\(a, size\) of a header that is known before"):

        class Wrong(Header):
            a: U8 = 0
            size: U8 = auto(size_of("text"))
            text: Text = through(mine(span("a", "size")), sized(field("size"), ""))

    with pytest.raises(BuildError, match="a key named 'nobody'"):
        bytes(one_named_nobody())
    with pytest.raises(DeclareError, match="transforms by name and parameters"):
        pl.describe(Keyed)


def one_named_nobody() -> Header:
    class Nobody(Header):
        text: Text = through(mine(secret("nobody")), sized(3, "abc"))

    return Nobody()


def test_names_inside_what_comes_out_count_their_places_there() -> None:
    class Asked(Header):
        name: Annotated[str, labels()] = "a.b"
        other: Annotated[str, labels()] = "b"
        type: U16 = 1

    class Packed(Header):
        number: U16 = 7
        asked: Asked = through(zlib(), Asked())

    for _ in range(40):
        data = bytes(Packed())
        read = dissect(data, Packed)
        assert (read[Packed].asked.name, read[Packed].asked.other, read.faults, bytes(read)) == ("a.b", "b", (), data)
    assert dissect(bytes(read.replace({"packed.asked.name": "longer.b"})), Packed)[Packed].asked.other == "b"
