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
from packetlab.schema.load import declare_from
from packetlab.schema.source import class_body


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
