"""Numbers that say how large something elsewhere is, or that it is there: they follow from what that was given."""

import pickle
from collections.abc import Iterator

import pytest

from packetlab import (
    U8,
    U16,
    BuildError,
    Bytes,
    Ether,
    Header,
    Packet,
    Rest,
    auto,
    before,
    bindings,
    const,
    count_of,
    dissect,
    field,
    many,
    sized,
    when,
)


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


class ToldBelow(Header, under=Ether, when={"type": 0x88B5}):
    size: U8 = 0
    flags: U8 = 0
    words: U8 = 0


class ToldAbove(Header, under=ToldBelow):
    x: Bytes = sized(field("ToldBelow.size") - 1, b"")
    y: U8 | None = when(field("^.flags") == 3)
    z: Bytes = sized(field("ToldBelow.words") * 4, b"")


class ToldCell(Header):
    text: Bytes = sized(field("^.width"), b"")
    note: U16 | None = when(field("ToldGrid.noted"))
    numbers: tuple[U16, ...] = many(count=field("^.count"))


class ToldGrid(Header):
    width: U8 = 0
    noted: U8 = 0
    count: U8
    cells: tuple[ToldCell, ...] = many()


def back(made: Header | Packet, wanted: str) -> None:
    packet = made / b"" if isinstance(made, Header) else made
    assert bytes(made).hex() == wanted.replace(" ", "")
    read = dissect(bytes(packet), type(packet.layers[0]))
    assert read == packet and not read.faults and read.layers == packet.layers


def test_a_header_below_follows_from_one_above() -> None:
    made = ToldBelow() / ToldAbove(x=b"ab", y=7, z=bytes(8))
    back(made, "03 03 02" "6162 07 00000000 00000000")
    assert (made[ToldBelow].size, made[ToldBelow].flags, made[ToldBelow].words) == (3, 3, 2)
    assert "as what stands in it, or above, was given" in made.why(ToldBelow, "size")
    back(made.replace(ToldAbove, x=b"abcd"), "05 03 02" "61626364 07 00000000 00000000")
    assert [bytes(one).hex()[28:34] for one in (Ether() / made).vary(2, {"toldabove.x": [b"", b"abc"]})] == ["010302", "040302"]
    back(pickle.loads(pickle.dumps(made)), "03 03 02" "6162 07 00000000 00000000")


def test_what_is_given_is_not_solved() -> None:
    with pytest.raises(BuildError, match=r"ToldAbove.x: expected 8 bytes, as ToldBelow.size - 1 says, got 2 bytes"):
        bytes(ToldBelow(size=9) / ToldAbove(x=b"ab"))
    with pytest.raises(BuildError, match=r"ToldAbove.z: expected 0 bytes, as ToldBelow.words \* 4 says, got 3 bytes"):
        bytes(ToldBelow() / ToldAbove(x=b"", z=b"abc"))  # no number says it
    read = dissect(bytes(ToldBelow() / ToldAbove(x=b"ab")), ToldBelow)
    with pytest.raises(BuildError, match=r"ToldAbove.x: expected 2 bytes"):
        bytes(read.replace(ToldAbove, x=b"abc"))  # as it was captured


def test_a_holder_follows_from_what_it_holds() -> None:
    made = ToldGrid(cells=[ToldCell(text=b"ab", numbers=[1]), ToldCell(text=b"cd", note=5, numbers=[2])])
    assert (made.width, made.noted, made.count) == (2, 1, 1)
    back(made, "02 01 01" "6162 0000 0001" "6364 0005 0002")
    made = ToldGrid(cells=[ToldCell(text=b"ab", note=4, numbers=[1]), ToldCell(text=b"cd", note=5, numbers=[2])])
    back(made, "02 01 01" "6162 0004 0001" "6364 0005 0002")
    longer = made.replace(cells=[ToldCell(text=b"abc", numbers=[])])
    back(longer, "03 00 00" "616263")
    assert bytes(made.replace({"cells[0].text": b"xy"})).hex() == "020101" "787900040001" "636400050002"
    with pytest.raises(BuildError, match=r"ToldCell.text: expected 2 bytes, as \^.width says, got 1 bytes"):
        bytes(ToldGrid(cells=[ToldCell(text=b"ab", numbers=[]), ToldCell(text=b"c", numbers=[])]))


def test_the_item_before_follows_from_the_one_after() -> None:
    class ToldChain(Header):
        next: U8 = 0
        data: Bytes = sized(before("next"), b"")

    class ToldChains(Header):
        chains: tuple[ToldChain, ...] = many()

    back(ToldChains(chains=[ToldChain(), ToldChain(data=b"ab"), ToldChain(data=b"c")]), "02 016162 0063")


def test_a_header_that_is_taken_apart_follows_from_what_is_inside() -> None:
    class ToldBase(Header):
        kind: U8 = 0
        flag: U8 = 0
        data: Rest = b""

    class ToldInside(ToldBase, inside="data", when={"kind": 1}):
        v: U8 = 0
        w: U8 | None = when(field("^.flag") == 1)

    back(ToldInside(v=3, w=9), "01 01 0309")
    back(ToldInside(v=3), "01 00 03")


def test_what_has_a_rule_or_a_constant_keeps_it() -> None:
    class ToldCounted(Header):
        text: Bytes = sized(field("^.n"), b"")
        more: U8 | None = when(field("^.version") == 2)

    class ToldCount(Header):
        n: U8 = auto(count_of("items"))
        version: U8 = const(1)
        items: tuple[ToldCounted, ...] = many(count=field("n"))

    back(ToldCount(items=[ToldCounted(text=b"a")]), "01 01 61")
    with pytest.raises(BuildError, match=r"ToldCounted.text: expected 1 bytes, as \^.n says, got 2 bytes"):
        bytes(ToldCount(items=[ToldCounted(text=b"ab")]))
    with pytest.raises(BuildError, match=r"ToldCounted.more: expected a field that is there"):
        bytes(ToldCount(items=[ToldCounted(text=b"a", more=1)]))
