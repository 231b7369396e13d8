"""Refinements, choices and headers of their own sort travel as data and as source."""

import json
from collections.abc import Iterator
from typing import Any, Self

import pytest

import packetlab as pl
from packetlab import (
    U8,
    U16,
    U32,
    Bytes,
    DeclareError,
    Ether,
    Header,
    Rest,
    auto,
    bindings,
    choose,
    const,
    count_of,
    dissect,
    field,
    has,
    many,
    size_of,
    sized,
    when,
)
from packetlab.declare import registry
from packetlab.schema.dump import described
from packetlab.schema.load import declarations, declare_from
from packetlab.schema.source import class_body
from tests.protocols import test_snmp as snmp


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


def options() -> Any:
    class TravellingOpt(Header):
        kind: U8 = 1
        length: U8 = when(field("kind") > 1, auto(size_of("self")))
        data: Bytes = when(field("kind") > 1, sized(field("length") - 2, b""))

    class TravellingMost(TravellingOpt, inside="data", when={"kind": 2}):
        value: U16

    class TravellingText(TravellingOpt, inside="data", when={"kind": (5, 6)}):
        kind = 6
        mark: U8 = const(7)
        words: Rest = b""

    class TravellingOpts(Header, under=Ether, when={"type": 0x7A5A}):
        size: U8 = auto(size_of("options"))
        options: tuple[TravellingOpt, ...] = many()

    return TravellingOpts, [TravellingMost(value=5), TravellingOpt(), TravellingText(words=b"ab")]


def choices() -> Any:
    class TravellingProp(Header):
        id: U8
        extra: U8 = 1

    class TravellingLife(TravellingProp, when={"id": 2}):
        seconds: U32 = 9

    class TravellingHigh(TravellingProp, when=field("id") >= 128):
        id = 200
        low: U8

    class TravellingList(TravellingProp, when={"id": 4}):
        extra = auto(count_of("numbers"))
        numbers: tuple[U16, ...] = many()

    class TravellingNothing(TravellingProp, when={"id": 3}):
        pass

    class TravellingProps(Header, under=Ether, when={"type": 0x7A5B}):
        count: U8 = auto(count_of("props"))
        props: tuple[TravellingProp, ...] = many()

    return TravellingProps, [TravellingLife(seconds=5), TravellingHigh(low=4), TravellingList(numbers=(7, 8)), TravellingNothing(), TravellingProp(id=77)]


def trees() -> Any:
    class TravellingTree(Header):
        sort: U8 = 0
        more: U8 = auto(has("next"))
        size: U8 = auto(size_of("leaves"))
        next: Self | None = when(field("more") == 1)
        leaves: tuple[Self, ...] = many()

    class TravellingSpecial(TravellingTree, when={"sort": 2}):
        own: U8

    class TravellingTrees(Header, under=Ether, when={"type": 0x7A5C}):
        trees: tuple[TravellingTree, ...] = many()

    return TravellingTrees, [TravellingTree(next=TravellingTree(), leaves=[TravellingTree(), TravellingTree()]), TravellingSpecial(own=5)]


@pytest.mark.parametrize("declare", [options, choices, trees])
def test_what_is_dumped_is_the_same_again(declare: Any) -> None:
    with bindings():
        header, items = declare()
        data = bytes(Ether() / header(*[], **{header._fields[-1].name: items}))
        read = repr(dissect(data))
        descriptions = json.loads(json.dumps(described([header])))
        source = "\n\n\n".join(map(class_body, descriptions))
        assert [one.__name__ for one in declare_from(descriptions)] == [one["name"] for one in descriptions]
        assert repr(dissect(data)) == read
    with bindings():
        (*_, last) = declare_from(descriptions)
        again = dissect(data)
        assert repr(again) == read
        assert not again.faults
        assert described([registry.header_named(header.__name__)]) == descriptions
        del last
    names: dict[str, Any] = {name: getattr(pl, name) for name in dir(pl)} | {"Self": Self, "__name__": "pasted"}
    with bindings():
        exec(source, names)
        assert described([names[header.__name__]]) == descriptions
        assert repr(dissect(data)) == read


@pytest.mark.parametrize(
    "change",
    [
        {"inside": "nothing"},
        {"inside": 5},
        {"refines": "Nobody"},
        {"when": ["field"]},
        {"when": ["==", ["field", "kin"], 2]},
        {"defaults": {"kin": 5}},
        {"defaults": 5},
        {"defaults": {"kind": 500}},
        {"under": [{"header": "Ether", "numbers": {"type": [0x7A5D]}}], "when": None},
    ],
)
def test_what_makes_no_sense_is_a_clear_error(change: dict[str, Any]) -> None:
    with bindings():
        header, _ = options()
        descriptions = described([header])
    (most,) = [one for one in descriptions if one["name"] == "TravellingMost"]
    most.update(change)
    with bindings(), pytest.raises(DeclareError):
        declare_from(descriptions)
    assert registry.header_named("TravellingOpts") is None


def test_a_default_that_is_of_a_class_which_refines_that_of_the_field() -> None:
    with bindings():
        class DefaultBase(Header):
            kind: U8 = 0
            data: Bytes = sized(choose(field("kind") == 3, 2, 0), b"")

        class DefaultMore(DefaultBase, when={"kind": 1}):
            v: U16 = 5

        class DefaultDeeper(DefaultMore, when={"v": 9}):
            w: U8 = 6

        class DefaultInside(DefaultBase, inside="data", when={"kind": 3}):
            x: U16 = 7

        class DefaultHolder(Header):
            one: DefaultBase = DefaultMore(v=8)
            two: DefaultBase = DefaultDeeper()
            three: DefaultBase = DefaultInside(x=1)
            count: U8 = auto(count_of("more"))
            more: tuple[DefaultBase, ...] = many(count=field("count"), value=(DefaultMore(), DefaultBase(kind=4), DefaultInside()))

        made, rows = bytes(DefaultHolder()), json.loads(json.dumps(described([DefaultHolder])))
    source: dict[str, None] = {}
    bodies = [class_body(row, source) for row in rows]
    with bindings():
        again = {one.__name__: one for one in declare_from(rows)}
        assert bytes(again["DefaultHolder"]()) == made
        read = dissect(made, again["DefaultHolder"])[again["DefaultHolder"]]
        assert [type(one).__name__ for one in (read.one, read.two, read.three, *read.more)] == [
            "DefaultMore", "DefaultDeeper", "DefaultInside", "DefaultMore", "DefaultBase", "DefaultInside",
        ]  # fmt: skip
        assert json.loads(json.dumps(described([again["DefaultHolder"]]))) == rows
    names: dict[str, Any] = {}
    with bindings():
        exec("\n".join(["from packetlab import *", *source, *bodies]), names)
        assert bytes(names["DefaultHolder"]()) == made
    with bindings():
        (alone,) = [one for one in declarations(rows) if one.name == "DefaultHolder"]
        assert bytes(alone.declare()()) == made  # with all that its defaults are
        for called in ("Ether", "DefaultHolder", "", 5, None):
            rows[-1]["fields"][0]["default"][0]["_class"] = called
            with pytest.raises(DeclareError, match="a header that refines DefaultBase"):
                declare_from([{**rows[-1], "name": "Other"}])


def test_the_declaration_of_snmp_travels() -> None:
    with snmp.scope:
        rows = json.loads(json.dumps(described([snmp.SNMP])))
        made = bytes(snmp.Version3())
    with bindings():
        again = {one.__name__: one for one in declare_from(rows)}
        assert bytes(again["Version3"]()) == made
        assert dissect(made, again["SNMP"]).faults == ()
