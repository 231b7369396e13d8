"""Two classes of one name, in different places of a program: descriptions name classes, and none is taken for the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from packetlab import (
    U8,
    U16,
    Capture,
    DeclareError,
    Frame,
    Header,
    Writer,
    auto,
    bindings,
    count_of,
    declare_from,
    describe,
    dissect,
    field,
    many,
)


def first() -> type[Header]:
    class Namesake(Header):
        a: U8 = 1

    return Namesake


def second() -> type[Header]:
    class Namesake(Header):
        b: U16 = 2

    return Namesake


def holder(item: type[Header], name: str = "Holding") -> type[Header]:
    found: type[Header] = type(Header)(
        name,
        (Header,),
        {
            "__module__": __name__,
            "__annotations__": {"number": U8, "items": tuple[item, ...]},  # type: ignore[valid-type]
            "number": auto(count_of("items")),
            "items": many(count=field("number")),
        },
    )
    return found


def test_an_item_of_a_name_that_two_classes_have_is_no_guess() -> None:
    with bindings():
        first(), (other := second())
        held = holder(other)
        renamed = {**describe(held), "name": "Copied"}
        for said in describe(held), renamed:
            with pytest.raises(DeclareError, match=r"one header called Namesake, got .*first.*Namesake and .*second.*Namesake"):
                declare_from(said)


def test_a_list_of_descriptions_says_which_it_is() -> None:
    with bindings():
        one, other = first(), second()
        for item, size in (one, 1), (other, 2):
            held = holder(item, f"Holding{size}")
            assert declare_from([describe(item), describe(held)]) == [item, held]
            _, copied = declare_from([describe(item), {**describe(held), "name": f"Copied{size}"}])
            assert dissect(b"\1" + bytes(size), copied).faults == ()
            assert len(dissect(b"\1" + bytes(size), copied)[copied].items) == 1


def test_a_class_that_holds_a_namesake_is_another_class() -> None:
    with bindings():
        one, other = first(), second()
        holder(other)
        with bindings():
            said = [describe(one), describe(holder(one, "Other"))]
        with pytest.raises(DeclareError, match="Holding: expected a free name, or the same declaration"):
            declare_from([said[0], {**said[1], "name": "Holding"}])


def test_a_file_has_one_of_them(tmp_path: Path) -> None:
    with bindings():
        one, other = first(), second()
        held, beside = holder(other), holder(one, "Beside")
        with Writer(tmp_path / "one.pcapng", declare=[held]) as writer:
            writer.write(Frame(b"\1\0\2"))
        assert Capture(tmp_path / "one.pcapng").declarations.declare() == [other, held]
        with pytest.raises(DeclareError, match=r"Namesake: expected one header of each name in descriptions, got .*second.* and .*first"):
            Writer(tmp_path / "both.pcapng", declare=[held, beside]).close()
