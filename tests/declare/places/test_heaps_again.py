"""Items whose bytes lie elsewhere, written again: edits of what was built, items without bytes, and holders within each other."""

from __future__ import annotations

from typing import Any

import pytest

from packetlab import (
    U8,
    U16,
    Bytes,
    Header,
    Rest,
    at,
    auto,
    bindings,
    choose,
    count_of,
    dissect,
    field,
    many,
    offset_of,
    size_of,
    sized,
    when,
)
from packetlab.errors import DeclareError
from tests.growth import is_linear


class Part(Header):
    offset: U16 = auto(offset_of("blob", since="Whole"))
    length: U8 = auto(size_of("name"))
    name: Bytes = b""
    size: U16 = auto(size_of("blob"))
    kind: U8 = 0
    blob: Bytes = at(field("offset"), sized(field("size"), b""), since="Whole", within="data")


class Whole(Header):
    count: U8 = auto(count_of("parts"))
    parts: tuple[Part, ...] = many(count=field("count"))
    data: Rest = b""


class Nested(Part, inside="blob", when={"kind": 1}):
    whole: Whole


def test_what_is_built_is_edited_where_offsets_count_from_further_on() -> None:
    with bindings():

        class Near(Header):
            offset: U8 = auto(offset_of("blob", since="All") - 4)
            size: U8 = auto(size_of("blob"))
            blob: Bytes = at(field("offset") + 4, sized(field("size"), b""), since="All", within="data")

        class All(Header):
            count: U8 = auto(count_of("parts"))
            parts: tuple[Near, ...] = many(count=field("count"))
            data: Rest = b""

        built = All(parts=(Near(blob=b"abc"), Near(blob=b"x"), Near())) / b""
        for packet in (built, dissect(bytes(built), All)):
            edited = packet.replace({"all.parts[0].blob": b"hello"})
            assert bytes(edited).hex(" ") == "03 03 05 08 01 09 00 68 65 6c 6c 6f 78"
            assert dissect(bytes(edited), All) == edited


def test_a_header_with_an_item_more_without_bytes_is_what_is_read_back() -> None:
    found = dissect(bytes(Whole(parts=(Part(blob=b"abc"), Part(blob=b"x")))), Whole)
    for more in ((Part(),), (Part(), Part(blob=b"q"), Part())):
        edited = found.replace(Whole, parts=(*found[Whole].parts, *more))
        again = dissect(bytes(edited), Whole)
        assert again == edited and again[Whole] == edited[Whole] and bytes(edited[Whole]) == bytes(edited)


def deep(levels: int) -> Whole:
    made = Whole(parts=(Part(name=b"end", blob=b"deep"),))
    for _ in range(levels):
        made = Whole(parts=(Part(blob=b"before"), Nested(whole=made)))
    return made


def test_holders_within_holders_are_built_in_linear_time() -> None:
    found = dissect(bytes(deep(6)), Whole)
    assert found.faults == () and found == deep(6) / b"" and found[Whole] == deep(6)
    is_linear(lambda levels: bytes(deep(levels)), lambda amount: amount, 4)


def test_a_size_that_may_be_absent_is_chosen() -> None:
    """It was a TypeError at first use."""

    def made(rule: Any) -> type[Header]:
        class Maybe(Header):
            flag: U8 = 1
            offset: U8 = auto(offset_of("blob", since="Maybes"))
            size: U8 | None = when(field("flag"), auto(size_of("blob")))
            blob: Bytes = at(field("offset"), sized(rule, b""), since="Maybes", within="blobs")

        class Maybes(Header):
            count: U8 = auto(count_of("items"))
            items: tuple[Maybe, ...] = many(count=field("count"))
            blobs: Rest = b""

        wire = bytes(Maybes(items=(Maybe(blob=b"abc"), Maybe(flag=0))))
        assert [one.blob for one in dissect(wire, Maybes)[Maybes].items] == [b"abc", b""]
        return Maybes

    with bindings(), pytest.raises(DeclareError, match=r"Maybe.blob, sized\(...\): expected numbers that are always there, got size, which may be absent"):
        made(field("size"))
    with bindings():
        assert made(choose(field("flag"), field("size"), 0)).__name__ == "Maybes"
