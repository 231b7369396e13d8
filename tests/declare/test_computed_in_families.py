"""Classes that refine one another and compute values each: none changes what another is read or built as, whichever is declared first."""

from __future__ import annotations

from itertools import permutations

import pytest

from packetlab import U4, U8, BuildError, Bytes, Header, auto, computed, dissect, field, many, size_of, sized


def test_a_class_that_computes_from_a_field_of_its_base_leaves_the_base_as_it_was() -> None:
    class Base(Header):
        kind: U8 = 0
        code: U8 = 0

    class Twice(Base, when={"kind": 1}):
        twice: int = computed(field("code") * 2)

    class Other(Base, when={"kind": 2}):
        delta: int = computed(field("code") - 3)

    class All(Header):
        items: tuple[Base, ...] = many()

    packet = dissect(b"\7\5\1\4\2\5", All)
    assert packet[All].items == (Base(kind=7, code=5), Twice(code=4), Other(code=5)) and not packet.faults
    assert [type(item) for item in packet[All].items] == [Base, Twice, Other]
    assert (packet[All].items[1].twice, packet[All].items[2].delta) == (8, 2)  # type: ignore[attr-defined]
    assert bytes(Base(kind=7)) == b"\7\0" and Base(kind=7).state("code") == "auto"
    assert bytes(All(items=[Base(kind=9, code=1), Twice(twice=6), Other(delta=1)])) == b"\x09\1\1\3\2\4"
    assert bytes(packet.replace({"all.items[0].kind": 8})) == b"\x08\5\1\4\2\5"


@pytest.mark.parametrize("order", [*permutations(("name", "number", "text"))], ids="-".join)
def test_siblings_that_solve_what_their_base_computes_go_each_by_its_own(order: tuple[str, ...]) -> None:
    class Base(Header):
        kind: U8 = 0
        a: U4 = 0
        b: U4 = 0
        n: int = computed(field("a") * 16 + field("b"))

    classes: dict[str, type[Base]] = {}
    for one in order:
        if one == "name":

            class Name(Base, when={"kind": 1}):
                a, b = auto(size_of("data") >> 4), auto(size_of("data") & 15)
                data: Bytes = sized(field("n"), b"")

            classes[one] = Name
        elif one == "number":

            class Number(Base, when={"kind": 3}):
                a, b = auto(field("n") >> 4), auto(field("n") & 15)

            classes[one] = Number
        else:

            class Doubled(Base, when={"kind": 4}):
                a, b = auto(size_of("half") >> 3), auto(size_of("half") * 2 & 15)
                half: Bytes = sized(field("n") // 2, b"")

            classes[one] = Doubled

    assert bytes(classes["name"](data=b"abc")) == b"\1\3abc"
    assert bytes(classes["number"](n=0x47)) == b"\3\x47"
    assert bytes(classes["text"](half=b"abc")) == b"\4\6abc"
    with pytest.raises(BuildError, match="expected a value, got none"):
        bytes(classes["number"]())
    assert bytes(Base(a=1, b=2)) == b"\0\x12" and Base(a=1, b=2).n == 0x12


def test_a_class_may_give_a_default_or_a_rule_to_what_its_base_solved() -> None:
    class Base(Header):
        kind: U8 = 0
        code: U8 = 0
        twice: int = computed(field("code") * 2)

    class Fixed(Base, when={"kind": 1}):
        code = 9

    class Sized(Base, when={"kind": 2}):
        code = auto(size_of("data"))
        data: Bytes = sized(field("code"), b"")

    assert bytes(Base(twice=6)) == b"\0\3" and bytes(Fixed()) == b"\1\x09" and Fixed().twice == 18
    assert bytes(Sized(data=b"ab")) == b"\2\2ab" and Sized(data=b"ab").twice == 4
