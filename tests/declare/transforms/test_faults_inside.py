"""Faults inside a transform are those of the same bytes without it, and what is not at fault is kept."""

from __future__ import annotations

import zlib as reference

from hypothesis import given, settings, strategies as st

from packetlab import (
    U8,
    U16,
    Capture,
    Ether,
    Header,
    Text,
    auto,
    const,
    dissect,
    field,
    many,
    size_of,
    sized,
    through,
    zlib,
)
from tests.conftest import amount


class Part(Header):
    a: U16 = 1
    n: U8 = auto(size_of("t"))
    t: Text = ""
    v: U8 = const(7)


class Bare(Header, under=Ether, when={"type": 0x7DC1}):
    n: U16 = auto(size_of("one"))
    one: Part = sized(field("n"), Part())
    m: U16 = auto(size_of("several"))
    several: tuple[Part, ...] = many(size=field("m"))


class Packed(Header, under=Ether, when={"type": 0x7DC2}):
    n: U16 = auto(size_of("one"))
    one: Part = through(zlib(), sized(field("n"), Part()))
    m: U16 = auto(size_of("several"))
    several: tuple[Part, ...] = through(zlib(), many(size=field("m")))


def wire(header: type[Header], one: bytes, several: bytes) -> bytes:
    parts = [one, several] if header is Bare else [reference.compress(one), reference.compress(several)]
    return bytes(Ether(type=0x7DC1 if header is Bare else 0x7DC2)) + b"".join(
        len(part).to_bytes(2, "big") + part for part in parts
    )


PARTS = st.one_of(
    st.sampled_from([b"\0\1\0\7", b"\0\1\1a\7", b"\0\1\1\xff\7", b"\0\1\0\x08", b"\0\1\5ab", b"x", b""]), st.binary(max_size=6),
)  # fmt: skip
LISTS = st.lists(PARTS, max_size=4).map(b"".join)


@given(one=PARTS.filter(bool), several=LISTS)
@settings(max_examples=amount(150, 1500))
def test_they_are_those_without_it(one: bytes, several: bytes) -> None:
    bare, packed = (dissect(wire(header, one, several)) for header in (Bare, Packed))
    assert bytes(packed) == wire(Packed, one, several)
    assert [repr(getattr(bare[Bare], name)) for name in ("one", "several")] == [
        repr(getattr(packed[Packed], name)) for name in ("one", "several")
    ]
    mine = [(fault.field, fault.expected) for fault in packed.faults]
    assert mine == [(fault.field, fault.expected) for fault in bare.faults]
    assert packed.show() and packed._repr_mimebundle_()


def test_the_rest_is_found_and_can_be_edited() -> None:
    packet = dissect(wire(Packed, b"\0\1\1\xff\7", b"\0\1\0\7\0\2\0\x08"))
    assert [(fault.field, fault.expected, fault.got) for fault in packet.faults] == [
        ("one", "text, utf-8 for Part.t", "b'\\xff' at byte 3 inside"),
        ("several", "7 for Part.v", "8 at byte 7 inside"),
    ]
    assert packet[Packed].one.a == 1 and packet[Packed].several == (Part(), b"\0\2\0\x08")
    capture = Capture.of([packet])
    assert capture.where("packed.one.a == 1 and packed.several[0].v == 7").count() == 1
    assert list(capture.table("packed.several.count").read()["packed.several.count"]) == [1]
    again = dissect(bytes(packet.replace({"packed.several[0].t": "new"})))
    assert again[Packed].several == (Part(t="new"), b"\0\2\0\x08")
