"""Items whose bytes lie elsewhere, written again: edits of what was built, items without bytes, and holders within each other."""

from __future__ import annotations

from typing import Any

import pytest

from packetlab import (
    U8,
    U16,
    BuildError,
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
from tests.growth import is_linear, steps


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


class Around(Part, inside="blob", when={"kind": 2}):
    place: U16 = auto(field("^.offset"))
    named: U8 = auto(field("^.length"))
    more: U16 | None = when(field("^.length") > 2, 7)


def test_what_is_inside_follows_from_the_item_where_its_bytes_lie() -> None:
    built = Whole(parts=(Part(blob=b"zz"), Around(name=b"name"), Around())) / b""
    found = dissect(bytes(built), Whole)
    assert found == built and found.faults == () and [one.blob.hex(" ") for one in found[Whole].parts[1:]] == ["00 19 04 00 07", "00 1e 00"]
    for packet in (built, found):
        edited = packet.replace({"whole.parts[1].name": b"other"})
        again = dissect(bytes(edited), Whole)
        assert again == edited and again.faults == () and [one.blob.hex(" ") for one in again[Whole].parts[1:]] == ["00 1a 05 00 07", "00 1f 00"]
    shorter = built.replace({"whole.parts[1].name": b"n"})
    assert [one.blob.hex(" ") for one in dissect(bytes(shorter), Whole)[Whole].parts[1:]] == ["00 16 01", "00 19 00"]
    moved = Whole(parts=built[Whole].parts[1:])
    assert dissect(bytes(moved), Whole)[Whole] == moved and moved.parts[1].blob.hex(" ") == "00 16 00"


class AroundNested(Part, inside="blob", when={"kind": 3}):
    named: U8 = auto(field("^.length"))
    whole: Whole


@pytest.mark.slow
def test_holders_within_holders_that_go_by_what_is_around_have_a_bound() -> None:
    made, took = Whole(parts=(Part(blob=b"deep"),)), list[int]()
    for _ in range(4):
        made = Whole(parts=(AroundNested(name=b"n", whole=made),))
        assert dissect(bytes(made), Whole) == made / b""
        took.append(steps(lambda: bytes(made)))  # noqa: B023  (it is called at once)
    assert took[3] < 7 * took[2] < 49 * took[1]
    for _ in range(4):
        made = Whole(parts=(AroundNested(name=b"n", whole=made),))
    with pytest.raises(BuildError, match="no more than 5 in each other, where rules in the bytes of items name what is around"):
        bytes(made)
