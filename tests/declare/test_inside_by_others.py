"""Items inside a field that a class takes apart, which ask a header around: built where they stand, as they are read."""

from collections.abc import Iterator
from typing import Annotated

import pytest

from packetlab import (
    U8,
    UDP,
    Bytes,
    DeclareError,
    Ether,
    Header,
    IPv4,
    auto,
    bindings,
    computed,
    dissect,
    field,
    labels,
    many,
    size_of,
    through,
    when,
    zlib,
)
from tests.careful import careful


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


class InsideItem(Header):
    v: U8 = 0
    w: U8 | None = when(field("InsideHolder.f") == 1, 9)


class InsideOption(Header):
    kind: U8 = 0
    length: U8 = auto(size_of("self"))
    data: Bytes = b""


class InsideList(InsideOption, inside="data", when={"kind": 2}):
    items: tuple[InsideItem, ...] = many()


class InsideHolder(Header, under=UDP, port=7):
    f: U8 = 0
    options: tuple[InsideOption, ...] = many()


@pytest.mark.parametrize(("f", "wanted"), [(1, "01 0206 0109 0209 0303 03"), (0, "00 0204 01 02 0303 03")])
def test_items_inside_are_built_as_they_are_read(f: int, wanted: str) -> None:
    made = InsideHolder(f=f, options=[InsideList(items=[InsideItem(v=1), InsideItem(v=2)]), InsideOption(kind=3, data=b"\3")])
    assert bytes(made).hex() == wanted.replace(" ", "")
    read = dissect(bytes(made), InsideHolder)
    assert read[InsideHolder] == made == careful(InsideHolder, bytes(made))[0] and not read.faults
    assert [item.w for item in made.options[0].items] == [item.w for item in read[InsideHolder].options[0].items] == [9 * f or None] * 2
    packet = Ether() / IPv4() / UDP() / made
    assert dissect(bytes(packet)) == packet
    assert made.options[0].length == 2 + 2 * (1 + f)


@pytest.mark.parametrize("f", [0, 1])
def test_a_computed_field_of_the_base_says_what_stands_further_out(f: int) -> None:
    class FarOption(Header):
        kind: U8 = 0
        length: U8 = auto(size_of("data"))
        up: int = computed(field("FarHolder.f"))
        data: Bytes = b""

    class FarInside(FarOption, inside="data", when={"kind": 3}):
        v: U8 | None = when(field("^.up") == 1, 7)
        z: U8 = 5

    class FarHolder(Header):
        f: U8 = 0
        options: tuple[FarOption, ...] = many()

    made = FarHolder(f=f, options=[FarInside(), FarInside(z=6)])
    assert bytes(made).hex() == ("01" "03020705" "03020706" if f else "00" "030105" "030106")
    read = dissect(bytes(made), FarHolder)[FarHolder]
    assert read == made and [type(one) for one in read.options] == [FarInside, FarInside]


def test_what_is_refused_says_the_way_out() -> None:
    with pytest.raises(DeclareError, match=r"got UDP\.dport \(a field of InsideOption can have it: outer: int = computed\(field\(\"UDP\.dport\"\)\)"):

        class Far(InsideOption, inside="data", when={"kind": 9}):
            v: U8 | None = when(field("UDP.dport") == 1, 7)

    class Packed(Header):
        kind: U8 = 0
        length: U8 = auto(size_of("data"))
        data: Bytes = through(zlib(), b"")

    with pytest.raises(DeclareError, match=r"Two, inside=: .* \(a field of what is inside may go through them"):

        class Two(Packed, inside="data", when={"kind": 2}):
            value: U8 = 1


@pytest.mark.parametrize("first", [{}, {"first": "lab.example"}])
def test_names_with_pointers_inside_are_built(first: dict[str, str]) -> None:
    class InsideNames(InsideOption, inside="data", when={"kind": 5}):
        first: Annotated[str, labels(compress=True, since="InsideOption")] = "a.b"
        second: Annotated[str, labels(compress=True, since="InsideOption")] = "a.b"

    made = InsideNames(**first)
    name = first.get("first", "a.b")
    letters = b"".join(bytes([len(one)]) + one.encode() for one in name.split(".")) + b"\0"
    pointer = b"\xc0\2" if name == "a.b" else b"\1a\1b\0"
    assert bytes(made) == bytes([5, 2 + len(letters + pointer)]) + letters + pointer
    read = dissect(bytes(made), InsideOption)
    assert read[InsideOption] == made == careful(InsideOption, bytes(made))[0] and not read.faults
