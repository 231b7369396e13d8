"""Paths through lists whose items become classes of their own: a number before a class is of all items, one after it of those of the class."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from packetlab import U8, U16, BuildError, Bytes, Capture, Ether, Header, auto, dissect, many, size_of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Choice(Header):
        kind: U8 = 0
        length: U8 = auto(size_of("self"))
        data: Bytes = b""

    class Limit(Choice, inside="data", when={"kind": 2}):
        value: U16 = 0

    class Nest(Choice, inside="data", when={"kind": 9}):
        inner: tuple[Choice, ...] = many()

    class Chosen(Header, under=Ether, when={"type": 0x8001}):
        size: U8 = auto(size_of("all"))
        all: tuple[Choice, ...] = many()


@pytest.fixture(autouse=True)
def declared() -> Iterator[None]:
    with scope:
        yield


def packet() -> Ether:
    nest = Nest(inner=[Choice(kind=7), Limit(value=5)])
    return Ether() / Chosen(all=[Limit(value=1460), Choice(kind=7), Limit(value=9), nest])  # type: ignore[return-value]


COLUMNS = {
    "chosen.all[0].limit.value": "1460",
    "chosen.all[1].limit.value": "",
    "chosen.all[1].kind": "7",
    "chosen.all[2].limit.value": "9",
    "chosen.all[-2].limit.value": "9",
    "chosen.all[-1].limit.value": "",
    "chosen.all[4].limit.value": "",
    "chosen.all.limit[1].value": "9",
    "chosen.all.limit[-1].value": "9",
    "chosen.all.limit[2].value": "",
    "chosen.all[3].nest.inner[1].limit.value": "5",
    "chosen.all[3].nest.inner[0].limit.value": "",
    "chosen.all[2].limit.count": "1",
    "chosen.all[1].limit.count": "0",
    "chosen.all.limit.count": "2",
}


@pytest.mark.parametrize("path", COLUMNS)
def test_columns_and_filters_mean_the_same_item(path: str) -> None:
    capture = Capture.of([packet()])
    assert capture.table(path).read().text(path) == [COLUMNS[path]]
    if COLUMNS[path]:
        assert capture.where(f"{path} == {COLUMNS[path]}").count() == 1
    else:
        assert capture.where(f"{path} >= 0").count() == 0


def test_a_replaced_value_is_of_the_item_with_that_number() -> None:
    read = dissect(bytes(packet()))
    for made in (packet(), read):
        assert [one.value for one in made.replace({"chosen.all[2].limit.value": 1})[Chosen].all if isinstance(one, Limit)] == [1460, 1]
        assert made.replace({"chosen.all.limit[1].value": 1}) == made.replace({"chosen.all[2].limit.value": 1})
        with pytest.raises(BuildError, match=r"expected a Limit at \[1\] of Chosen.all, got Choice \(limit\[1\] counts those\)"):
            made.replace({"chosen.all[1].limit.value": 1})


def test_why_takes_the_same_paths() -> None:
    read = dissect(bytes(packet()))
    expected = str(read.why(Chosen, "all[2].value"))
    assert "Chosen.all[2].value = 9" in expected
    for path in ("all[2].limit.value", "all.limit[1].value", "all[-2].limit.value", "all.limit[-1].value"):
        assert str(read.why(Chosen, path)) == expected
    with pytest.raises(BuildError, match=r"limit\[2\], got 2 of them"):
        read.why(Chosen, "all.limit[2].value")
