"""Small things that people come upon: what they wrote is refused with the way out, or does what it says."""

from __future__ import annotations

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    UDP,
    BuildError,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4,
    auto,
    count_of,
    dissect,
    field,
    has,
    many,
    size_of,
    when,
)


class Mark(Header):
    kind: U8 = 0


class Marks(Header):
    marks: tuple[Mark, ...] = many(until=field("kind") == 255, end=Mark(kind=255))


class Numbers(Header):
    n: U8 = auto(count_of("numbers"))
    numbers: tuple[U16, ...] = many(count=field("n"))


class Groups(Header):
    groups: tuple[Numbers, ...] = many()


class Perhaps(Header):
    flag: U8 = auto(has("mark"))
    mark: Mark | None = when(field("flag"))


class Logged(Header, under=TCP, port=7310, stream=True):
    kind: U8 = 0
    n: U8 = auto(size_of("payload"))


class Warned(Header, under=Logged, when={"kind": 1}):
    level: U8 = 0


def test_a_condition_is_no_number() -> None:
    with pytest.raises(DeclareError, match=r'Numbered, when=: expected a condition, such as field\("kind"\) == 1, got 2 \(a number is compared with a field'):

        class Numbered(Mark, when=2):
            more: U8 = 0


def test_why_of_a_value_in_a_list() -> None:
    packet = dissect(bytes(Numbers(numbers=[1, 2, 700])), Numbers)
    first, *rest = str(packet.why(Numbers, "numbers[2]")).splitlines()
    assert first == "Numbers.numbers[2] = 700, of a list:"
    assert rest == str(packet.why(Numbers, "numbers")).splitlines()
    with pytest.raises(BuildError, match=r"Numbers\.numbers\[3\]: expected one of 3 values, counted from 0, got \[3\]"):
        packet.why(Numbers, "numbers[3]")
    held = dissect(bytes(Groups(groups=[Numbers(), Numbers(numbers=[5, 6])])), Groups)
    assert str(held.why(Groups, "groups[1].numbers[0]")).startswith("Groups.groups[1].numbers[0] = 5, of a list:")


def test_items_that_were_read_without_their_end_stay_so_where_they_are_the_same() -> None:
    for looked_at in (False, True):
        packet = dissect(b"\1\2", Marks)
        marks = packet[Marks].marks if looked_at else [Mark(kind=1), Mark(kind=2)]
        assert bytes(packet.replace(Marks, marks=marks)) == b"\1\2"
    assert bytes(packet.replace({"marks.marks[0].kind": 1})) == b"\1\2"
    assert bytes(packet.replace({"marks.marks[0].kind": 5})) == b"\5\2\xff"
    assert bytes(packet.replace(Marks, marks=[Mark(kind=1)])) == b"\1\xff"


def test_a_path_into_what_is_not_there_says_how_to_give_it() -> None:
    packet = dissect(b"\0", Perhaps)
    with pytest.raises(BuildError, match=r"got 0 of them \(mark is not there: give all of it, mark=Mark\(\.\.\.\)\)"):
        packet.replace({"perhaps.mark.kind": 4})
    assert bytes(packet.replace(Perhaps, mark=Mark(kind=4))) == b"\1\4"


def test_messages_are_asked_for_by_the_header_that_bounds_them() -> None:
    capture = Capture.of([Ether() / IPv4() / TCP(dport=7310) / Logged() / Warned(level=3)])
    with pytest.raises(BuildError, match=r"with stream=True, got one without \(messages\(Logged\) gives those that it stands in: message\.packet\[Warned\]\)"):
        list(capture.messages(Warned))
    assert [message.packet[Warned].level for message in capture.messages(Logged)] == [3]
    with pytest.raises(BuildError, match=r"got one without \(class UDP\(Header, stream=True\)"):
        list(capture.messages(UDP))
