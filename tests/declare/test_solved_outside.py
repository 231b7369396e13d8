"""Numbers that say how large something elsewhere is, or that it is there: they follow from what that was given."""

import pickle
from collections.abc import Iterator
from typing import Annotated, Self

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
    choose,
    computed,
    const,
    count_of,
    dissect,
    field,
    fixed_bytes,
    many,
    sized,
    when,
)
from packetlab.codec.around import solving


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


class SolvedBelow(Header, under=Ether, when={"type": 0x88B5}):
    size: U8 = 0
    flags: U8 = 0
    words: U8 = 0


class SolvedAbove(Header, under=SolvedBelow):
    x: Bytes = sized(field("SolvedBelow.size") - 1, b"")
    y: U8 | None = when(field("^.flags") == 3)
    z: Bytes = sized(field("SolvedBelow.words") * 4, b"")


class SolvedCell(Header):
    text: Bytes = sized(field("^.width"), b"")
    note: U16 | None = when(field("SolvedGrid.noted"))
    numbers: tuple[U16, ...] = many(count=field("^.count"))


class SolvedGrid(Header):
    width: U8 = 0
    noted: U8 = 0
    count: U8
    cells: tuple[SolvedCell, ...] = many()


def back(made: Header | Packet, wanted: str) -> None:
    packet = made / b"" if isinstance(made, Header) else made
    assert bytes(made).hex() == wanted.replace(" ", "")
    read = dissect(bytes(packet), type(packet.layers[0]))
    assert read == packet and not read.faults and read.layers == packet.layers


def test_a_header_below_follows_from_one_above() -> None:
    made = SolvedBelow() / SolvedAbove(x=b"ab", y=7, z=bytes(8))
    back(made, "03 03 02" "6162 07 00000000 00000000")
    assert (made[SolvedBelow].size, made[SolvedBelow].flags, made[SolvedBelow].words) == (3, 3, 2)
    assert "as what stands in it, or above, was given" in made.why(SolvedBelow, "size")
    back(made.replace(SolvedAbove, x=b"abcd"), "05 03 02" "61626364 07 00000000 00000000")
    assert [bytes(one).hex()[28:34] for one in (Ether() / made).vary(2, {"solvedabove.x": [b"", b"abc"]})] == ["010302", "040302"]
    back(pickle.loads(pickle.dumps(made)), "03 03 02" "6162 07 00000000 00000000")


def test_what_is_given_is_not_solved() -> None:
    with pytest.raises(BuildError, match=r"SolvedAbove.x: expected 8 bytes, as SolvedBelow.size - 1 says, got 2 bytes"):
        bytes(SolvedBelow(size=9) / SolvedAbove(x=b"ab"))
    with pytest.raises(BuildError, match=r"SolvedAbove.z: expected 0 bytes, as SolvedBelow.words \* 4 says, got 3 bytes"):
        bytes(SolvedBelow() / SolvedAbove(x=b"", z=b"abc"))  # no number says it
    read = dissect(bytes(SolvedBelow() / SolvedAbove(x=b"ab")), SolvedBelow)
    with pytest.raises(BuildError, match=r"SolvedAbove.x: expected 2 bytes"):
        bytes(read.replace(SolvedAbove, x=b"abc"))  # as it was captured


def test_a_holder_follows_from_what_it_holds() -> None:
    made = SolvedGrid(cells=[SolvedCell(text=b"ab", numbers=[1]), SolvedCell(text=b"cd", note=5, numbers=[2])])
    assert (made.width, made.noted, made.count) == (2, 1, 1)
    back(made, "02 01 01" "6162 0000 0001" "6364 0005 0002")
    made = SolvedGrid(cells=[SolvedCell(text=b"ab", note=4, numbers=[1]), SolvedCell(text=b"cd", note=5, numbers=[2])])
    back(made, "02 01 01" "6162 0004 0001" "6364 0005 0002")
    longer = made.replace(cells=[SolvedCell(text=b"abc", numbers=[])])
    back(longer, "03 00 00" "616263")
    assert bytes(made.replace({"cells[0].text": b"xy"})).hex() == "020101" "787900040001" "636400050002"
    with pytest.raises(BuildError, match=r"SolvedCell.text: expected 2 bytes, as \^.width says, got 1 bytes"):
        bytes(SolvedGrid(cells=[SolvedCell(text=b"ab", numbers=[]), SolvedCell(text=b"c", numbers=[])]))


def test_the_item_before_follows_from_the_one_after() -> None:
    class SolvedChain(Header):
        next: U8 = 0
        data: Bytes = sized(before("next"), b"")

    class SolvedChains(Header):
        chains: tuple[SolvedChain, ...] = many()

    made = SolvedChains(chains=[SolvedChain(), SolvedChain(data=b"ab"), SolvedChain(data=b"c")])
    back(made, "02 016162 0063")
    back(made.replace({"chains[1].data": b"xyz"}), "03 0178797a 0063")
    back(made.replace(chains=[*made.chains[:2], SolvedChain(data=b"xyz")]), "02 036162 0078797a")
    assert bytes(made.replace(chains=[made.chains[0], SolvedChain()])).hex() == "0000"  # nothing requires a size any more


def test_a_header_that_holds_its_own_kind_follows_too() -> None:
    class SolvedTree(Header):
        width: U8 = 0
        more: U8 = auto(count_of("parts"))
        text: Bytes = sized(field("^.width"), b"")
        parts: "tuple[Self, ...]" = many()

    class SolvedRoot(Header):
        width: U8 = 0
        tree: SolvedTree

    back(SolvedRoot(tree=SolvedTree(text=b"ab", parts=[SolvedTree(text=b"c")])), "02 01 01 6162" "00 00 63")


def test_a_header_that_is_taken_apart_follows_from_what_is_inside() -> None:
    class SolvedBase(Header):
        kind: U8 = 0
        flag: U8 = 0
        data: Rest = b""

    class SolvedInside(SolvedBase, inside="data", when={"kind": 1}):
        v: U8 = 0
        w: U8 | None = when(field("^.flag") == 1)

    back(SolvedInside(v=3, w=9), "01 01 0309")
    back(SolvedInside(v=3), "01 00 03")


def test_what_has_a_rule_or_a_constant_keeps_it() -> None:
    class SolvedCounted(Header):
        text: Bytes = sized(field("^.n"), b"")
        more: U8 | None = when(field("^.version") == 2)

    class SolvedCount(Header):
        n: U8 = auto(count_of("items"))
        version: U8 = const(1)
        items: tuple[SolvedCounted, ...] = many(count=field("n"))

    back(SolvedCount(items=[SolvedCounted(text=b"a")]), "01 01 61")
    with pytest.raises(BuildError, match=r"SolvedCounted.text: expected 1 bytes, as \^.n says, got 2 bytes"):
        bytes(SolvedCount(items=[SolvedCounted(text=b"ab")]))
    with pytest.raises(BuildError, match=r"SolvedCounted.more: expected a field that is there"):
        bytes(SolvedCount(items=[SolvedCounted(text=b"a", more=1)]))


class SolvedByNext(Header):
    size: U8 = 0
    x: Bytes = sized(before("size"), b"")


class SolvedRow(Header):
    items: tuple[SolvedByNext, ...] = many()


def test_an_item_does_not_keep_the_number_that_a_neighbour_required() -> None:
    row = SolvedRow(items=[SolvedByNext(), SolvedByNext(x=b"abc"), SolvedByNext(x=b"q")])
    assert bytes(row) == b"\x03\x01abc\0q"
    first, second, third = row.items
    for items, expected in (
        ([first, second], b"\x03\0abc"),
        ([first, third], b"\x01\0q"),
        ([first, SolvedByNext(), third], b"\0\x01\0q"),
        ([first, b"\x07"], b"\0\x07"),
    ):
        assert bytes(SolvedRow(items=items)) == expected
    assert bytes(row.replace(items=[first, SolvedByNext(x=b"hello")])) == b"\x05\0hello"
    assert bytes(SolvedRow(items=[SolvedByNext(size=3), second])) == b"\x03\0abc"  # what was given stays


def test_a_header_does_not_keep_the_number_that_one_above_it_required_in_another_packet() -> None:
    packet = Ether() / SolvedBelow() / SolvedAbove(x=b"abc", y=1)
    below = packet[SolvedBelow]
    assert (below.size, below.flags) == (4, 3)
    made = Ether() / below / SolvedAbove(x=b"abcde")
    assert (made[SolvedBelow].size, made[SolvedBelow].flags) == (6, 0)
    assert bytes(made) == bytes(Ether() / SolvedBelow() / SolvedAbove(x=b"abcde"))


def test_the_error_for_a_number_that_was_read_says_how_it_follows() -> None:
    read = dissect(bytes(SolvedBelow() / SolvedAbove(x=b"abc")), SolvedBelow)
    with pytest.raises(BuildError, match=r"SolvedAbove\.x: .* \(SolvedBelow\.size can be given too, or follows where it is auto\)"):
        bytes(read.replace(SolvedAbove, x=b"abcde"))
    expected = bytes(SolvedBelow() / SolvedAbove(x=b"abcde"))
    assert bytes(read.replace({"solvedbelow.size": auto, "solvedabove.x": b"abcde"})) == expected
    assert bytes(read.replace({"solvedbelow.size": 6, "solvedabove.x": b"abcde"})) == expected
    with pytest.raises(BuildError, match=r"SolvedAbove\.y: expected a field that is there.*\^\.flags can be given too, or follows where it is auto"):
        bytes(SolvedBelow(size=1, flags=1) / SolvedAbove(y=1))


class SolvedPart(Header):
    kind: int = computed(choose(before("next"), before("next"), field("^.next")))
    next: U8 = 0
    data: Annotated[bytes, fixed_bytes(1)] = b"\0"


class SolvedThree(SolvedPart, inside="data", when={"kind": 3}):
    x: U8 = 7


class SolvedFour(SolvedPart, inside="data", when={"kind": 4}):
    y: U8 = 8


class SolvedParts(Header):
    next: U8 = 0
    parts: tuple[SolvedPart, ...] = many(until=field("next") == 0)


def test_a_number_by_which_the_next_item_is_found_follows_in_the_item_before_and_of_the_first_in_what_holds_it() -> None:
    three, four = SolvedThree(), SolvedFour()
    for parts, expected in (((three,), "03 0007"), ((four, three, four), "04 0308 0407 0008"), ((three, SolvedPart(data=b"z")), None)):
        made = SolvedParts(parts=parts)
        if expected is None:
            with pytest.raises(BuildError, match="nothing after the item for which next == 0"):
                bytes(made)
            continue
        assert bytes(made) == bytes.fromhex(expected) and dissect(bytes(made), SolvedParts)[SolvedParts] == made
    made = SolvedParts(parts=(four, three, four))
    assert bytes(made.replace(parts=made.parts[1:])) == bytes.fromhex("03 0407 0008")
    assert bytes(SolvedParts(next=9, parts=(SolvedThree(next=5), four))) == bytes.fromhex("09 0507 0008"), "what is given is sent"


def test_for_a_number_that_was_given_nothing_is_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Told(Header, under=Ether, when={"type": 0x88B6}):
        kind: U8 = 7
        level: U8 = 0

    class Telling(Header, under=Told, when={"kind": 7}):
        some: U8 | None = when(field("Told.level") > 1, 5)
        more: U8 | None = when(field("Told.level") > 2, 6)

    worked_out: list[object] = []
    find = solving.number_for
    monkeypatch.setattr(solving, "number_for", lambda header, one, *rest: worked_out.append(one) or find(header, one, *rest))
    assert bytes(Ether() / Told(level=3) / Telling(some=1, more=2))[14:] == bytes.fromhex("07 03 01 02") and not worked_out
    assert bytes(Ether() / Told() / Telling(some=1, more=2))[15] > 2 and worked_out
