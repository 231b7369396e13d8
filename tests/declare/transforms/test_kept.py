"""Captured bytes are written again as they came until what is inside changes, also where an edit gives it what it has."""

from __future__ import annotations

import zlib as reference
from typing import Any

import pytest

from packetlab import (
    U8,
    U16,
    Bytes,
    Header,
    Spelled,
    Text,
    VarInt,
    any_value,
    auto,
    dissect,
    field,
    many,
    raw,
    size_of,
    sized,
    through,
    xor,
    zlib,
)


class Part(Header):
    a: U16 = 1
    long: VarInt = 1


class Packed(Header):
    key: U8 = 0x55
    n: U16 = auto(size_of("body"))
    body: Bytes = through(zlib(), sized(field("n"), b""))
    m: U16 = auto(size_of("one"))
    one: Part = through(zlib(), sized(field("m"), Part()))
    k: U16 = auto(size_of("several"))
    several: tuple[Part, ...] = through(zlib(), many(size=field("k")))
    s: U8 = auto(size_of("text"))
    text: Text = through(xor(field("key")), through(zlib(), sized(field("s"), "")))


def stored(data: bytes) -> bytes:
    """A zlib stream that packetlab would not write."""
    return reference.compress(data, 0)


def wire() -> bytes:
    masked = bytes(one ^ 0x55 for one in stored(b"words"))
    parts = [stored(b"hello" * 9), stored(b"\0\1\x81\0"), stored(b"\0\1\1\0\2\1")]
    return b"\x55" + b"".join(len(part).to_bytes(2, "big") + part for part in parts) + bytes([len(masked)]) + masked


def test_an_edit_that_changes_nothing_keeps_the_bytes() -> None:
    packet = dissect(wire(), Packed)
    header = packet[Packed]
    assert not packet.faults and bytes(packet) == wire()
    for name in ("body", "one", "several", "text"):
        assert bytes(packet.replace(Packed, **{name: getattr(header, name)})) == wire(), name
        assert bytes(header.replace(**{name: getattr(header, name)})) == wire(), name
    edits: list[dict[str, Any]] = [
        {"packed.body": b"hello" * 9}, {"packed.one.a": 1}, {"packed.several[1].a": 2}, {"packed.several[all].long": 1}, {"packed.text": "words"},
    ]  # fmt: skip
    for edit in edits:
        assert bytes(packet.replace(edit)) == wire(), edit


@pytest.mark.parametrize(
    "edit", [{"packed.body": b"hello"}, {"packed.one.a": 3}, {"packed.several": [Part()]}, {"packed.text": "word"}, {"packed.key": 6}, {"packed.one": Part(a=1, long=Spelled(1, 3))}],
    ids=str,
)  # fmt: skip
def test_one_that_changes_something_writes_it_anew(edit: dict[str, Any]) -> None:
    packet = dissect(wire(), Packed)
    edited = packet.replace(edit)
    assert bytes(edited) != wire()
    again = dissect(bytes(edited), Packed)
    assert not again.faults
    (path, value), *_ = edit.items()
    found = again[Packed].one.a if path == "packed.one.a" else getattr(again[Packed], path.partition(".")[2])
    assert found == (tuple(value) if isinstance(value, list) else value)
    assert again[Packed].one.long == 1 and bytes(again) == bytes(edited)


def test_another_spelling_inside_and_bytes_that_are_given_count() -> None:
    packet = dissect(wire(), Packed)
    shorter = packet.replace(Packed, one=Part(a=1, long=1))  # equal numbers, of which one took two bytes
    assert shorter[Packed].one == packet[Packed].one
    assert stored(b"\0\1\x81\0") in wire() and stored(b"\0\1\x81\0") not in bytes(shorter)
    other = reference.compress(b"hello" * 9, 9)
    assert other in bytes(packet.replace(Packed, body=raw(other)))
    assert packet.matches(packet) and Packed(one=any_value).matches(packet)
