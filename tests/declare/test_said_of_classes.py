"""What classes with headers inside them say of themselves: which fields were given, what they look like, how to ask them, how deep they go."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Self

import pytest

import packetlab
from packetlab import (
    MAC,
    U8,
    U16,
    UUID,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4Address,
    NTPShort,
    Rest,
    UnixTime,
    auto,
    bindings,
    computed,
    dissect,
    field,
    many,
    size_of,
)
from tests.growth import steps


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


class SaidOption(Header):
    kind: U8 = 0
    length: U8 = auto(size_of("self"))
    data: Bytes = b""


class Kind(SaidOption, inside="data", when={"kind": 10}):
    one: U8 = 1
    rest: Rest = b""


class SaidDeeper(Kind, inside="rest", when={"one": 5}):
    two: U16 = 0


class SaidList(Header, under=Ether, when={"type": 0x88B5}):
    options: tuple[SaidOption, ...] = many()


def test_fields_inside_are_given_and_captured() -> None:
    assert Kind(one=5).given == {"data", "one"} and Kind().given == set() and SaidOption(data=b"1").given == {"data"}
    assert SaidDeeper(two=3).given >= {"data", "two"}
    read = dissect(bytes(SaidDeeper(two=3)), SaidOption)[SaidDeeper]
    assert read.captured == {"kind", "length", "data", "one", "rest", "two"} and read.given == set()
    assert "two" in read.replace(two=4).given and "two" not in read.replace(two=4).captured


def test_lists_of_addresses_and_times_can_be_pasted() -> None:
    class SaidValues(Header):
        n: U8 = auto(size_of("addresses"))
        addresses: tuple[IPv4Address, ...] = many()
        m: U8 = auto(size_of("stations"))
        stations: tuple[MAC, ...] = many()
        times: tuple[UnixTime, ...] = many(count=1)
        spans: tuple[NTPShort, ...] = many(count=1)
        id: UUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"  # type: ignore[assignment]

    made = SaidValues(
        addresses=["1.2.3.4", "5.6.7.8"], stations=["02:00:00:00:00:01"], times=["2024-01-01T00:00:00Z"], spans=[timedelta(seconds=1.5)],
        id="6ba7b810-9dad-11d1-80b4-00c04fd430c9",
    )  # fmt: skip
    assert "addresses=('1.2.3.4', '5.6.7.8')" in repr(made)
    assert eval(repr(made), {**vars(packetlab), "SaidValues": SaidValues}) == made


def test_refusals_say_the_way_out() -> None:
    with pytest.raises(DeclareError, match=r"SaidSelf\.kids: .* \(Self \(from typing\) stands for the class in its own body"):

        class SaidSelf(Header):
            kids: "tuple[SaidSelf, ...]" = many()

    with pytest.raises(DeclareError, match=r"SaidTwice\.kids, count: expected a count that may be 0, for a list of the class itself, got 2"):

        class SaidTwice(Header):
            kids: tuple[Self, ...] = many(count=2)

    with pytest.raises(DeclareError, match=r"got '\^\.key\.kind' \(a number in a header that a field there holds: as a computed field"):
        field("^.key.kind")

    class SaidKey(Header):
        kind: U8 = 0

    class SaidFollows(Header):
        key: SaidKey = SaidKey()
        next: int = computed(field("key.kind") + 1)

    with pytest.raises(BuildError, match=r"SaidFollows\.next: expected 1, .* got 8 \(give key\.kind, which does not follow from next\)"):
        bytes(SaidFollows(next=8))
    assert SaidFollows(key=SaidKey(kind=7)).next == 8
    captured = Capture.of([Ether() / SaidList(options=[SaidOption(), Kind(one=4)])])
    with pytest.raises(BuildError, match=r"got 'one' \(Kind\.one is of the class Kind\)"):
        captured.table("saidlist.options.kind.one")
    assert captured.table("saidlist.options.Kind.one").read().text("saidlist.options.Kind.one") == ["4"]
    with pytest.raises(BuildError, match=r"got 'options\[first\]' \(\[0\] is the first\)"):
        captured.table("saidlist.options[first].kind")


def test_a_chain_of_classes_costs_as_many_steps_as_it_has_levels() -> None:
    def chain(levels: int) -> tuple[type[Header], bytes]:
        class ChainBase(Header):
            k: U8 = 0
            d0: Rest = b""

        made: type[Header] = ChainBase
        for level in range(1, levels + 1):
            body = {"__module__": __name__, "__annotations__": {f"k{level}": U8, f"d{level}": Rest}, f"k{level}": 1, f"d{level}": b""}
            key = f"k{level - 1}" if level > 1 else "k"
            made = type(Header)(f"Chain{level}", (made,), body, inside=f"d{level - 1}", when={key: 1})  # type: ignore[assignment]
            globals()[f"Chain{level}"] = made
        return ChainBase, bytes(made())

    taken = []
    for levels in (6, 12, 24):
        first, data = chain(levels)
        for _ in range(3):
            assert dissect(data[:-1], first).faults
        taken.append(steps(lambda first=first, data=data: dissect(data[:-1], first)))
    assert taken[2] - taken[1] < 2.4 * (taken[1] - taken[0]), taken
