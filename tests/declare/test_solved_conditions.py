"""Numbers of headers around follow from what those inside and above were given, whatever kind of size, number or condition asks for them."""

from typing import Annotated, Any

import pytest

from packetlab import (
    U1,
    U4,
    U7,
    U8,
    U16,
    BuildError,
    Bytes,
    Digits,
    Ether,
    Header,
    Rest,
    VarInt,
    before,
    bindings,
    bits,
    dissect,
    ended,
    field,
    many,
    sized,
    spare_bits,
    through,
    when,
    xor,
    zlib,
)


def held(body: dict[str, Any], annotations: dict[str, Any], number: Any = U8, default: Any = 0) -> Any:
    """Return a class with one field, and one with a number that holds it in a field."""
    inner: Any = type(Header)("Inner", (Header,), {"__annotations__": annotations, **body})
    outer: Any = type(Header)("Outer", (Header,), {"__annotations__": {"number": number, "inner": inner}, "number": default, "inner": inner()})
    return inner, outer


def reads_back(outer: Any, header: Any) -> str:
    data = bytes(header)
    packet = dissect(data, outer)
    assert not packet.faults
    assert packet == header / b""
    return data.hex()


def test_sizes_of_whatever_kind() -> None:
    with bindings():

        class Number(Header):
            value: U16 = 0

        class Whole(Header):
            data: Rest = b""

        inner, outer = held({"it": many(size=field("^.number"))}, {"it": tuple[Number, ...]})
        assert reads_back(outer, outer(inner=inner(it=[Number(value=1), Number(value=2)]))) == "0400010002"
        inner, outer = held({"it": many(size=field("^.number") * 2)}, {"it": tuple[U16, ...]})
        assert reads_back(outer, outer(inner=inner(it=[1, 2]))) == "0200010002"
        inner, outer = held({"it": sized(field("^.number"))}, {"it": Whole})
        assert reads_back(outer, outer(inner=inner(it=Whole(data=b"abc")))) == "03616263"
        inner, outer = held({"it": through(xor(0x20), sized(field("^.number") - 1, b"A"))}, {"it": Bytes})
        assert reads_back(outer, outer(inner=inner(it=b"ABC"))) == "04616263"
        inner, outer = held({"it": through(zlib(), sized(field("^.number"), b""))}, {"it": Bytes})
        assert reads_back(outer, outer(inner=inner(it=b"abc")))[:4] == "0b78"
        inner, outer = held({"it": through(xor(1), many(size=field("^.number")))}, {"it": tuple[Number, ...]})
        assert reads_back(outer, outer(inner=inner(it=[Number(value=1)]))) == "020100"


def test_widths_and_none() -> None:
    with bindings():
        inner, outer = held({"it": 0, "spare": spare_bits()}, {"it": Annotated[int, bits(field("^.number"))], "spare": int})
        assert reads_back(outer, outer(inner=inner(it=5))) == "03a0"
        inner, outer = held({"it": sized(field("^.number"), none=255)}, {"it": Bytes | None})
        assert reads_back(outer, outer()) == "ff"
        assert reads_back(outer, outer(inner=inner(it=b"ab"))) == "026162"
        assert reads_back(outer, outer(inner=inner(it=b""))) == "00"
        with pytest.raises(BuildError, match=r"\^\.number can be given too, or follows where it is auto"):
            bytes(outer(number=3, inner=inner()))


def test_numbers_of_whatever_kind() -> None:
    with bindings():
        inner, outer = held({"it": sized(field("^.number"), b"")}, {"it": Bytes}, VarInt)
        assert reads_back(outer, outer(inner=inner(it=bytes(200))))[:6] == "c80100"
        inner, outer = held({"it": sized(field("^.number"), b"")}, {"it": Bytes}, Digits, ended(b" ", 0))
        assert reads_back(outer, outer(inner=inner(it=b"ab"))) == b"2 ab".hex()


@pytest.mark.parametrize(
    ("rule", "default", "number"),
    [
        (lambda n: n != 0, 0, 1),
        (lambda n: n > 0, 0, 1),
        (lambda n: n >= 2, 0, 2),
        (lambda n: n < 5, 9, 0),
        (lambda n: n & 4, 0, 4),
        (lambda n: n & 4, 3, 7),
        (lambda n: n & 6, 0, 2),
        (lambda n: (n & 4) != 0, 1, 5),
        (lambda n: (n & 0xF0) == 0x30, 0x02, 0x32),
        (lambda n: (n & 0xF0) == 0x30, 0x42, 0x32),
        (lambda n: n // 16 == 3, 0, 48),
        (lambda n: n // 16 > 2, 0, 48),
        (lambda n: (n == 3) | (n == 4), 0, 3),
        (lambda n: n.one_of(7, 6), 0, 6),
        (lambda n: (n > 2) & (n < 9), 0, None),
    ],
)
def test_conditions_of_whatever_kind(rule: Any, default: int, number: int | None) -> None:
    with bindings():
        inner, outer = held({"it": when(rule(field("^.number")), 9)}, {"it": U8 | None}, default=default)
        header = outer(inner=inner(it=5))
        if number is None:  # two conditions of one number: each is looked at by itself
            assert 2 < dissect(bytes(header), outer)[outer].number < 9
        else:
            assert (reads_back(outer, header), header.number) == (f"{number:02x}05", number)
        assert outer().number == default


def test_bits_that_several_ask_for_are_all_set_and_a_size_counts_before_a_condition() -> None:
    with bindings():

        class Bits(Header):
            one: U8 | None = when(field("^.flags") & 1, 0)
            four: U8 | None = when(field("^.flags") & 4, 0)
            nine: U8 | None = when(field("^.flags") & 8, 0)

        class Flags(Header):
            flags: U8 = 0x40
            bits: Bits = Bits()

        assert reads_back(Flags, Flags(bits=Bits(four=7, one=3))) == "450307"
        assert bytes(Flags(bits=Bits())).hex() == "40"

        class Sizes(Header):
            there: U8 | None = when(field("^.size") > 0, 1)
            data: Bytes = sized(field("^.size"), b"")

        class Sized(Header):
            size: U8 = 0
            sizes: tuple[Sizes, ...] = many()

        assert reads_back(Sized, Sized(sizes=[Sizes(there=4, data=b"ab")])) == "02046162"
        with pytest.raises(BuildError, match=r"Sizes.data: expected 1 bytes, as \^.size says, got 0 bytes"):
            bytes(Sized(sizes=[Sizes(there=4)]))


def test_the_header_below_and_the_item_before() -> None:
    with bindings():

        class Low(Header, under=Ether, when={"type": 0x7ABC}):
            qos: U4 = 0
            kind: U4 = 3

        class High(Header, under=Low, when={"kind": 3}):
            identifier: U16 | None = when(field("Low.qos") > 0, 7)
            extra: U8 | None = when(field("^.qos") & 2, 0)

        packet = Ether() / Low() / High(identifier=9)
        assert (packet[Low].qos, bytes(packet)[14:].hex()) == (1, "130009")
        assert bytes(Ether() / Low() / High(extra=1, identifier=9))[14:].hex() == "33000901"
        assert bytes(packet.replace(High, identifier=None))[14:].hex() == "03"

        class Item(Header):
            more: U1 = 0
            rest: U7 = 0
            value: U8 | None = when(before("more") != 0, 3)

        class Items(Header):
            items: tuple[Item, ...] = many()

        assert reads_back(Items, Items(items=[Item(), Item(value=1), Item()])) == "80000100"


def test_a_number_that_is_given_and_does_not_fit_is_refused_with_the_way_out() -> None:
    with bindings():
        for body, kind, value in (
            ({"it": 0, "spare": spare_bits()}, Annotated[int, bits(field("^.number"))], 5),
            ({"it": when(field("^.number") > 2, 9)}, U8 | None, 5),
            ({"it": sized(field("^.number"), b"")}, Bytes, b"ab"),
            ({"it": through(zlib(), sized(field("^.number"), b""))}, Bytes, b"ab"),
        ):
            inner, outer = held(body, {"it": kind} | ({"spare": int} if "spare" in body else {}))
            with pytest.raises(BuildError, match=r"Inner\.it: .*\(\^\.number can be given too, or follows where it is auto\)"):
                bytes(outer(number=1, inner=inner(it=value)))


def test_why_names_the_field_that_a_number_follows_from() -> None:
    with bindings():

        class Row(Header):
            cell: Bytes = sized(field("^.width"), b"")

        class Low(Header):
            size: U8 = 0
            flag: U4 = 0
            kind: U4 = 1

        class Grid(Header, under=Low, when={"kind": 1}):
            width: U8 = 0
            other: U8 = 0
            data: Bytes = sized(field("Low.size"), b"")
            more: U8 | None = when(field("Low.flag") > 2, 1)
            rows: tuple[Row, ...] = many()

        packet = Low() / Grid(data=b"abc", more=5)
        assert "no rule: as what stands in it, or above, was given: Grid.data" in packet.why(Low, "size")
        assert "no rule: as what stands in it, or above, was given: Grid.more" in packet.why(Low, "flag")
        assert "no rule: the default" in packet.why(Grid, "width")
        packet = packet.replace(Grid, rows=[Row(cell=b"ab")])
        assert "no rule: as what stands in it, or above, was given: Row.cell" in packet.why(Grid, "width")
        assert "no rule: the default" in packet.why(Grid, "other")
