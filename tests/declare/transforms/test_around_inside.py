"""What comes out of a transform goes by what stands around it, as the same headers without the transform do: read, built, edited, explained."""

from __future__ import annotations

from typing import Any

import pytest

from packetlab import (
    U1,
    U7,
    U8,
    U16,
    UDP,
    Bytes,
    Capture,
    Context,
    DeclareError,
    Ether,
    Header,
    IPv4,
    Rest,
    auto,
    base64,
    before,
    bindings,
    cobs,
    computed,
    const,
    count_of,
    dissect,
    field,
    many,
    pad,
    recalled,
    size_inside,
    size_of,
    sized,
    strategies,
    through,
    when,
    xor,
    zlib,
)
from packetlab.codec.transforms import inside
from tests.conftest import amount

WAYS = {"xor": lambda: xor(0x55), "zlib": zlib, "base64": base64, "cobs": cobs}


class Flagged(Header):
    f: U8 | None = when(field("^.flag") == 1, 7)
    g: U8 = 1


class OneFlagged(Header):
    flag: U8 = 0
    one: Flagged = through(xor(0x55), Flagged())


class Climbing(Header):
    step: U8 = 0
    height: int = computed(before("height") + field("step"))


class Filling(Header):
    data: Bytes = sized(field("^.width"), b"")


@pytest.mark.parametrize("way", WAYS)
def test_fields_of_the_header_around_are_known(way: str) -> None:
    """Where a flag around says that a field is there it is, in a list and in one header; without it it is not."""
    with bindings():

        class Holder(Header):
            flag: U8 = 0
            some: tuple[Flagged, ...] = through(WAYS[way](), many())

        class Plain(Header):
            flag: U8 = 0
            some: tuple[Flagged, ...] = many()

        for flag, some in ((1, [Flagged(), Flagged(f=3)]), (0, [Flagged(), Flagged(g=2)])):
            made, plain = Holder(flag=flag, some=some), Plain(flag=flag, some=some)
            read = dissect(bytes(made), Holder)
            assert bytes(made)[1:] == WAYS[way]().encode(bytes(plain)[1:])
            assert read[Holder].some == dissect(bytes(plain), Plain)[Plain].some
            assert read[Holder] == made
            assert not read.faults
            assert [one.f for one in made.some] == [one.f for one in plain.some]


def test_bytes_of_others_are_read_by_the_flag() -> None:
    read = dissect(bytes([1, 7 ^ 0x55, 2 ^ 0x55]), OneFlagged)
    assert (read[OneFlagged].one, read.faults) == (Flagged(f=7, g=2), ())
    assert str(read.why(OneFlagged, "one.f")).splitlines()[1] == "  present where ^.flag == 1: yes"
    (fault,) = dissect(bytes([1, 2 ^ 0x55]), OneFlagged).faults
    assert fault.field == "one"


def test_an_edit_of_what_is_around_counts_inside() -> None:
    packet = dissect(b"\1\x52\x54", OneFlagged)
    without = packet.replace(OneFlagged, flag=0)
    assert bytes(without) == b"\0\x54"
    assert bytes(without.replace(OneFlagged, flag=1)) == b"\1\x52\x54"
    assert bytes(packet.replace({"oneflagged.one.g": 2})) == b"\1\x52\x57"


def test_captured_bytes_stay_where_nothing_inside_changes() -> None:
    """Another level of compression than zlib() takes."""
    from zlib import compress

    with bindings():

        class Packed(Header):
            flag: U8 = 0
            other: U8 = 0
            some: tuple[Flagged, ...] = through(zlib(), many())

        data = bytes([1, 0]) + compress(bytes([7, 2]) * 20, 1)
        packet = dissect(data, Packed)
        assert data[2:] != zlib().encode(bytes([7, 2]) * 20)
        assert bytes(packet.replace(Packed, other=5))[2:] == data[2:]


def test_the_item_before_is_known() -> None:
    with bindings():

        class Climb(Header):
            steps: tuple[Climbing, ...] = through(xor(0x55), many())

        made = Climb(steps=[Climbing(height=2), Climbing(height=5), Climbing(height=9)])
        assert bytes(made) == xor(0x55).encode(b"\2\3\4")
        packet = dissect(bytes(made), Climb)
        assert [one.height for one in packet[Climb].steps] == [2, 5, 9]
        assert packet[Climb] == made
        assert "height - before(height) = 3" in packet.why(Climb, "steps[1].step") or "step = 3" in packet.why(Climb, "steps[1].step")
        first, _, last = packet[Climb].steps
        assert bytes(packet.replace(Climb, steps=[first, last])) == xor(0x55).encode(b"\2\7")


def test_a_size_around_follows_and_a_size_of_what_is_inside_counts_all() -> None:
    with bindings():

        class Wide(Header):
            width: U8 = 0
            some: tuple[Filling, ...] = through(xor(0x55), many())

        class Counted(Header):
            flag: U8 = 0
            inside: U16 = auto(size_inside("some"))
            outside: U16 = auto(size_of("some"))
            some: tuple[Flagged, ...] = through(zlib(), sized(field("outside"), ()))
            rest: Rest = b""

        made = Wide(some=[Filling(data=b"ab"), Filling(data=b"cd")])
        assert made.width == 2
        assert dissect(bytes(made), Wide)[Wide] == made
        made = Counted(flag=1, some=[Flagged(), Flagged()], rest=b"end")
        assert (made.inside, dissect(bytes(made), Counted)[Counted]) == (4, made)


def test_all_that_is_below_is_known_and_all_levels_inside() -> None:
    with bindings():

        class Deep(Header):
            x: U8 | None = when(field("^.^.flag") == 1, 5)
            y: U8 | None = when(field("UDP.dport") == 7701, 6)
            z: U8 = 3

        class Between(Header):
            k: U8 = 0
            deep: tuple[Deep, ...] = through(zlib(), many())

        class Top(Header, under=UDP, port=7701):
            flag: U8 = 0
            between: Between = through(xor(3), Between())

        packet = Ether() / IPv4() / UDP() / Top(flag=1, between=Between(deep=[Deep(), Deep(z=4)]))
        read = dissect(bytes(packet))
        assert [(one.x, one.y, one.z) for one in read[Top].between.deep] == [(5, 6, 3), (5, 6, 4)]
        assert read == packet
        assert [one.x for one in dissect(bytes(read.replace(Top, flag=0)))[Top].between.deep] == [None, None]
        table = Capture.of([bytes(packet)]).table("top.between.deep[1].y").read()
        assert table.text("top.between.deep[1].y") == ["6"]


def test_where_a_field_says_whether_there_is_a_transform() -> None:
    with bindings():

        class Maybe(Header):
            flag: U8 = 1
            packed: U1 = 0
            rest: U7 = 0
            some: tuple[Flagged, ...] = through(zlib(), many(), when=field("packed"))

        for packed in (0, 1):
            made = Maybe(packed=packed, some=[Flagged()])
            assert dissect(bytes(made), Maybe)[Maybe].some == (Flagged(f=7),)


def test_an_item_becomes_what_a_field_around_says() -> None:
    with bindings():

        class Item(Header):
            kind: U8 = 0
            size: U8 = auto(size_of("data"))
            data: Bytes = sized(field("size"), b"")

        class Number(Item, inside="data", when=(field("kind") == 1) & (field("^.flag") == 1)):
            number: U16 = 0

        class Items(Header):
            flag: U8 = 0
            some: tuple[Item, ...] = through(xor(0x55), many())

        made = Items(flag=1, some=[Item(kind=1, data=b"\0\7")])
        assert dissect(bytes(made), Items)[Items].some[0].number == 7


@pytest.mark.parametrize("built", [False, True])
def test_what_is_remembered_inside_is_kept_by_fields_around(built: bool) -> None:
    with bindings():

        class Template(Header, remembers={("inside sizes", field("Told.domain"), field("id")): field("size")}):
            id: U8 = 1
            size: U8 = 2

        class Told(Header):
            domain: U8 = 0
            some: tuple[Template, ...] = through(zlib(), many())

        class Used(Header):
            domain: U8 = 0
            id: U8 = 1
            data: Bytes = sized(recalled("inside sizes", field("domain"), field("id")), b"")

        context = Context()
        if built:
            with context:
                bytes(Told(domain=4, some=[Template(size=3)]))
        else:
            data = bytes(Told(domain=4, some=[Template(size=3)]))
            dissect(data, Told, context=context)
        assert dissect(b"\4\1abc", Used, context=context)[Used].data == b"abc"
        assert [fault.field for fault in dissect(b"\0\1abc", Used, context=context).faults] == ["data"]


def test_what_is_recalled_inside_is_found_by_fields_around() -> None:
    with bindings():

        class Told(Header, remembers={("recalled inside", field("domain")): field("size")}):
            domain: U8 = 0
            size: U8 = 2

        class Used(Header):
            data: Bytes = sized(recalled("recalled inside", field("Masked.domain")), b"")
            rest: Rest = b""

        class Masked(Header):
            domain: U8 = 0
            used: Used = through(xor(1), Used())

        context = Context()
        dissect(b"\4\3", Told, context=context)
        read = dissect(b"\4" + xor(1).encode(b"abcdef"), Masked, context=context)
        assert (read[Masked].used.data, read.faults) == (b"abc", ())
        with context:
            assert bytes(Masked(domain=4, used=Used(data=b"xyz", rest=b"w"))) == b"\4" + xor(1).encode(b"xyzw")


def test_the_careful_reader_knows_it_too() -> None:
    with bindings():

        class Wrong(Header):
            flag: U8 = 0
            sure: U8 = const(9)
            some: tuple[Flagged, ...] = through(xor(1), many())

        packet = dissect(b"\1\x08" + xor(1).encode(b"\7\1\2\1"), Wrong)
        assert packet[Wrong].some == (Flagged(f=7), Flagged(f=2))
        assert [fault.field for fault in packet.faults] == ["sure"]


def test_a_name_around_that_is_none_is_refused_at_the_class() -> None:
    with pytest.raises(DeclareError, match=r"^Nameless\.one, for \^\.flag of Flagged: expected a field of Nameless, got flag"):
        with bindings():

            class Nameless(Header):
                other: U8 = 0
                one: Flagged = through(xor(1), Flagged())


def test_places_in_the_packet_are_refused_inside() -> None:
    """What a transform gives has no places in the packet: the bytes inside begin anew."""
    with bindings():

        class Filled(Header):
            n: U8 = 0
            fill: Bytes = pad(4, since="Sheet")

        class Sheet(Header):
            first: U8 = 0
            some: tuple[Filled, ...] = through(xor(1), many())

        expected = r"^Sheet\.some: expected places counted from a header inside, .* got since='Sheet' of Filled"
        with pytest.raises(DeclareError, match=expected):
            bytes(Sheet(some=[Filled()]))


def test_counts_of_what_is_inside_stand_inside() -> None:
    """Outside they are refused, with the way out: that it works is tried too."""
    with pytest.raises(DeclareError, match=r"^Outside\.count: .*a header with the count and some, as in body: Body = through"):

        class Outside(Header):
            count: U8 = auto(count_of("some"))
            some: tuple[Flagged, ...] = through(zlib(), many())

    with pytest.raises(DeclareError, match=r"^Counting\.some: .*got count= \(.*as in body: Body = through"):

        class Counting(Header):
            count: U8 = 0
            some: tuple[Flagged, ...] = through(zlib(), many(count=field("count")))

    with bindings():

        class Entry(Header):
            v: U8 = 0

        class Body(Header):
            count: U8 = auto(count_of("some"))
            some: tuple[Entry, ...] = many(count=field("count"))

        class Around(Header):
            body: Body = through(zlib(), Body())

        made = Around(body=Body(some=[Entry(), Entry(v=1)]))
        assert dissect(bytes(made), Around)[Around] == made
        assert dissect(bytes(made), Around)[Around].body.count == 2


def test_drawn_headers_read_back() -> None:
    from hypothesis import given, settings

    @settings(max_examples=amount(50, 500), deadline=None, database=None)
    @given(strategies.headers(OneFlagged))
    def reads_back(made: Any) -> None:
        packet = dissect(bytes(made), OneFlagged)
        assert (packet[OneFlagged], packet.faults) == (made, ())

    reads_back()


def test_sound_items_that_ask_the_header_around_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class AskingItem(Header):
        kind: U8 = 0
        more: U16 | None = when(field("^.long") == 1, 5)

    class Asking(Header):
        long: U8 = 0
        size: U8 = auto(size_of("some"))
        some: tuple[AskingItem, ...] = through(xor(5), sized(field("size"), ()))

    sound = bytes(Asking(long=1, some=[AskingItem(kind=n, more=n) for n in range(3)]))
    cut = dissect(b"\1\4" + bytes(4), Asking)  # a second item of one byte
    assert [str(fault.got) for fault in cut.faults] and cut[Asking].some[0] == AskingItem(kind=5, more=0x0505)
    read = inside.read_items
    careful: list[bytes] = []
    monkeypatch.setattr(inside, "read_items", lambda field, data, *rest, **more: careful.append(data) or read(field, data, *rest, **more))
    assert [item.more for item in dissect(sound, Asking)[Asking].some] == [0, 1, 2] and not careful
    assert dissect(b"\1\4" + bytes(4), Asking)[Asking].some == cut[Asking].some and {*careful} == {b"\5" * 4}
