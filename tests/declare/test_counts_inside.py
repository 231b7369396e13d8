"""`count_of("sets.records")`: how many items there are in the lists of all items of a list; and names in lists that nothing has."""

from __future__ import annotations

import pytest

from packetlab import (
    U8,
    U16,
    Bytes,
    DeclareError,
    Header,
    auto,
    bindings,
    count_of,
    declare_from,
    describe,
    dissect,
    field,
    many,
    size_of,
    sized,
)


class CountedSet(Header):
    id: U8 = 0
    length: U8 = auto(size_of("self"))


class SetOfBytes(CountedSet, when={"id": 1}):
    items: tuple[U8, ...] = many()


class SetOfPairs(CountedSet, when={"id": 2}):
    items: tuple[U16, ...] = many()


class Pair(Header):
    left: U8 = 0
    right: U8 = 0


class SetOfHeaders(CountedSet, when={"id": 3}):
    items: tuple[Pair, ...] = many()


class CountedMessage(Header):
    total: U8 = auto(count_of("sets.items"))
    sets: tuple[CountedSet, ...] = many()


SETS = [SetOfBytes(items=(1, 2)), SetOfPairs(items=(3,)), CountedSet(id=9), SetOfHeaders(items=(Pair(), Pair(), Pair()))]


def test_the_items_of_all_lists_are_counted() -> None:
    packet = dissect(bytes(CountedMessage(sets=SETS)), CountedMessage)
    assert (packet[CountedMessage].total, packet.faults) == (6, ())
    assert bytes(CountedMessage(sets=())) == b"\0" and CountedMessage(sets=SETS[:2]).total == 3
    assert "count_of(sets.items) = 6" in str(packet.why(CountedMessage, "total"))


def test_it_follows_when_a_list_is_edited() -> None:
    packet = dissect(bytes(CountedMessage(sets=SETS)), CountedMessage)
    fewer = packet.replace({"countedmessage.sets.setofheaders.items": [Pair()]})
    assert dissect(bytes(fewer), CountedMessage)[CountedMessage].total == 4
    assert dissect(bytes(packet.replace(CountedMessage, sets=SETS[2:])), CountedMessage)[CountedMessage].total == 3
    assert dissect(bytes(CountedMessage(total=77, sets=SETS)), CountedMessage)[CountedMessage].total == 77  # what is given goes out


def test_it_travels_as_data_and_as_source() -> None:
    data = describe(CountedMessage)
    assert data["fields"][0]["rule"] == ["count_of", "sets.items"]  # type: ignore[index]
    with bindings():
        (made,) = [one for one in declare_from(data) if one.__name__ == "CountedMessage"]
        assert bytes(made(sets=SETS)) == bytes(CountedMessage(sets=SETS))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sets.itemz", "a list of what sets holds, in count_of(sets.itemz), got itemz (did you mean 'items'?)"),
        ("sets.id", "a list of what sets holds, in count_of(sets.id), got id"),
        ("nosuch.items", "a field of CountsWrong, got nosuch"),
        ("note.items", "a list of headers for count_of(note.items), in auto(...), got note"),
    ],
)
def test_what_has_no_such_lists_is_refused(name: str, said: str) -> None:
    def wrong() -> bytes:
        class CountsWrong(Header):
            note: U16 = 0
            total: U8 = auto(count_of(name))
            sets: tuple[CountedSet, ...] = many()

        return bytes(CountsWrong())  # others may have declared such a class until then

    with bindings(), pytest.raises(DeclareError) as error:
        wrong()
    assert said in str(error.value)


def test_it_is_no_size_for_a_reader() -> None:
    """What counts into the list cannot tell where it ends."""
    with bindings(), pytest.raises(DeclareError, match=r"in auto\(...\)"):

        class CountsToRead(Header):
            sets: tuple[CountedSet, ...] = many(size=4)
            data: Bytes = sized(count_of("sets.items"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sets.setofbytez.length", "a class of items of sets, in sets.setofbytez.length, got setofbytez (did you mean 'setofbytes'?)"),
        ("sets.setofbytes.lengthy", "a field of SetOfBytes, in sets.setofbytes.lengthy, got lengthy (did you mean 'length'?)"),
    ],
)
def test_a_number_of_the_first_item_has_a_name_that_is_there(name: str, said: str) -> None:
    with bindings():

        class FirstWrong(Header):
            sets: tuple[CountedSet, ...] = many(size=4)
            data: Bytes = sized(field(name))

        with pytest.raises(DeclareError) as error:
            dissect(bytes(4), FirstWrong)
    assert said in str(error.value)


def test_a_list_that_is_filled_up_has_its_items_before_it_is_sent() -> None:
    """Of items that ask what is around them too, which had been the bytes."""
    with bindings():

        class AskingItem(Header):
            size: U8 = auto(size_of("data") + field("^.more"))
            data: Bytes = sized(field("size") - field("^.more"), b"")

        class AskedList(Header):
            more: U8 = 1
            items: tuple[AskingItem, ...] = many(align=4)

        assert AskedList(items=[AskingItem(data=b"a")]).items == (AskingItem(data=b"a", size=2),)
        assert dissect(bytes(AskedList(items=[AskingItem(data=b"a")])), AskedList)[AskedList].items[0].data == b"a"
