"""Edits of fields at offsets: where what was read in another order no longer fits, all are laid out anew."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from packetlab import (
    U8,
    Bytes,
    Header,
    Packet,
    Text,
    VarInt,
    at,
    auto,
    count_of,
    dissect,
    ended,
    field,
    many,
    offset_of,
    size_of,
    sized,
    when,
)
from tests.conftest import amount


class Scattered(Header):
    """Bytes, a text and a list, of which each may lie anywhere; a size that takes more bytes where there are many stands before them."""

    size: VarInt = auto(size_of("a"))
    first: U8 = auto(offset_of("a"))
    second: U8 = auto(offset_of("b"))
    third: U8 = auto(offset_of("c"))
    count: U8 = auto(count_of("c"))
    a: Bytes = at(field("first"), sized(field("size"), b""))
    b: Text = at(field("second"), ended(b"\0", ""), align=2)
    c: tuple[VarInt, ...] = at(field("third"), many(count=field("count")))
    end: U8 = 9


def coded(*numbers: int) -> bytes:
    return b"".join(bytes([n]) if n < 128 else bytes([n & 127 | 128, n >> 7]) for n in numbers)


def scattered(a: bytes, b: str, c: tuple[int, ...], order: list[str], gaps: dict[str, bytes], nowhere: int = 5) -> bytes:
    """Return the bytes of one of them by hand; what has no bytes is said to lie at `nowhere`."""
    parts, places, body = {"a": a, "b": b.encode() + b"\0", "c": coded(*c)}, dict.fromkeys("abc", nowhere), b""
    for name in order:
        if parts[name]:
            body += gaps[name]
            places[name] = 5 + len(body)
            body += parts[name]
    return bytes([len(a), *places.values(), len(c)]) + body + b"\t"


VALUES: dict[str, Any] = {
    "a": st.one_of(st.binary(max_size=9), st.binary(min_size=126, max_size=130)), "b": st.from_regex("[a-z]{0,6}", fullmatch=True),
    "c": st.lists(st.sampled_from([1, 127, 200]), max_size=4).map(tuple), "end": st.integers(0, 255),
}  # fmt: skip
GAP = st.sampled_from([b"", b"\0", b"\0\0", b"xy"])


@pytest.mark.slow
@given(
    was=st.tuples(st.binary(max_size=4), VALUES["b"], VALUES["c"]), order=st.permutations("abc"), nowhere=st.integers(0, 255),
    gaps=st.fixed_dictionaries(dict.fromkeys("abc", GAP)), edits=st.lists(st.fixed_dictionaries({}, optional=VALUES), max_size=3),
)  # fmt: skip
@settings(max_examples=amount(300, 3000), deadline=None)
def test_what_is_built_after_an_edit_reads_back_equal(was: Any, order: list[str], nowhere: int, gaps: dict[str, bytes], edits: list[dict[str, Any]]) -> None:
    packet = dissect(scattered(*was, order, gaps, nowhere) + b"up", Scattered)
    assert packet.faults == ()
    held = dict(zip("abc", was, strict=True)) | {"end": 9}
    for changes in edits:
        alone: Any = packet[Scattered].replace(**changes)
        packet = packet.replace(Scattered, **changes)
        held |= changes
        again = dissect(bytes(packet), Scattered)
        assert again.faults == () and again.payload == b"up"
        assert {name: getattr(again[Scattered], name) for name in held} == held
        assert bytes(alone) + b"up" == bytes(packet)
        (row,) = packet.vary(1, {(Scattered, "end"): [held["end"]]})
        assert row == bytes(packet.replace(Scattered, end=held["end"]))


class Texts(Header):
    o1: U8 = auto(offset_of("a"))
    o2: U8 = auto(offset_of("b"))
    a: Text = at(field("o1"), ended(b"\0", ""))
    b: Text = at(field("o2"), ended(b"\0", ""))


def test_what_grows_takes_its_offset_along() -> None:
    read = dissect(b"\6\2bbb\0a\0", Texts)
    assert bytes(read.replace(Texts, a="longer")) == b"\6\2bbb\0longer\0"  # it lies last, and so it fits
    assert bytes(read.replace(Texts, b="longer")) == b"\2\4a\0longer\0"
    assert bytes(read.replace(Texts, b="b")) == b"\6\2b\0\0\0a\0"  # zeros fill up
    filled = dissect(b"\x08\2bbb\0xya\0", Texts)
    assert bytes(filled.replace(Texts, b="b")) == b"\2\4a\0b\0"  # other bytes do not


def test_an_offset_that_is_given_or_was_wrong_stays() -> None:
    read = dissect(b"\6\2bbb\0a\0", Texts)
    assert bytes(read.replace(Texts, b="longer", o2=2))[:2] == b"\6\2"
    assert bytes(read.replace(Texts, o1=3))[:2] == b"\3\2"
    given_ = Texts(o1=6, o2=2, a="a", b="bbb")
    assert bytes(given_) == b"\6\2bbb\0a\0" and bytes(given_.replace(b="longer"))[:2] == b"\6\2"
    wrong = dissect(b"\5\2bbb\0a\0", Texts)
    assert wrong.faults and bytes(wrong.replace(Texts, b="longer"))[:2] == b"\5\2"


class One(Header):
    place: U8 = auto(offset_of("value"))
    size: U8 = auto(size_of("value"))
    value: Bytes = at(field("place"), sized(field("size"), b""))
    end: U8 = 9


class Optional(Header):
    place: U8 = auto(offset_of("value"))
    value: U8 | None = when(field("place"), at(field("place"), 7))
    end: U8 = 9


def test_what_had_no_bytes_lies_where_it_fits_once_it_has_some() -> None:
    for place in (0, 1, 2, 77):
        read = dissect(bytes([place, 0, 9]), One)
        assert bytes(read.replace(One, end=5)) == bytes([place, 0, 5])
        assert bytes(read.replace(One, value=b"ab")) == b"\2\2ab\t"


def test_what_stood_before_bytes_goes_with_them() -> None:
    read = dissect(b"\4\1xya\t", One)
    assert bytes(read.replace(One, value=b"ab")) == b"\4\2xyab\t"
    emptied = read.replace(One, value=b"")
    assert dissect(bytes(emptied), One)[One].end == 9 and bytes(emptied)[1:] == b"\0\t"


class Held(Header):
    n: U8 = auto(count_of("items"))
    items: tuple[Texts, ...] = many(count=field("n"))


def test_items_and_headers_in_fields_are_laid_out_anew() -> None:
    read = dissect(b"\2" + b"\6\2bbb\0a\0" * 2, Held)
    assert bytes(read.replace({"held.items[1].b": "longer"})) == b"\2\6\2bbb\0a\0\2\4a\0longer\0"


@pytest.mark.parametrize("end", ["b", "longer", ""])
def test_a_row_of_another_edit_is_as_one_of_all(end: str) -> None:
    read: Packet = dissect(b"\6\2bbb\0a\0", Texts)
    varied = [*read.vary(3, {(Texts, "b"): ["b", end, "bbb"]})]
    assert varied == [bytes(read.replace(Texts, b=b)) for b in ("b", end, "bbb")]


class ScatteredEntry(Header):
    first: U8 = auto(offset_of("a"))
    a_size: U8 = auto(size_of("a"))
    second: U8 = auto(offset_of("b", since="ScatteredTable"))
    b_size: U8 = auto(size_of("b"))
    third: U8 = auto(offset_of("c"))
    c_size: U8 = auto(size_of("c"))
    a: Text = at(field("first"), sized(field("a_size"), ""))
    b: Bytes = at(field("second"), sized(field("b_size"), b""), align=4, since="ScatteredTable")
    c: Bytes = at(field("third"), sized(field("c_size"), b""))


class ScatteredTable(Header):
    count: U8 = auto(count_of("items"))
    items: tuple[ScatteredEntry, ...] = many()


def entry(order: list[int], values: tuple[bytes, ...], start: int) -> bytes:
    """Return the bytes of one by hand, which begins at `start`."""
    places, body = [0, 0, 0], b""
    for k in order:
        places[k] = 6 + len(body)
        body += values[k]
    places[1] += start
    return bytes(n for k in range(3) for n in (places[k], len(values[k]))) + body


ITEM = st.tuples(st.permutations([0, 1, 2]), st.tuples(st.from_regex(rb"[a-z]{1,4}", fullmatch=True), st.binary(max_size=4), st.binary(max_size=4)))
EDIT = st.tuples(st.integers(0, 2), st.fixed_dictionaries({}, optional={"a": st.from_regex("[a-z]{0,7}", fullmatch=True), "b": st.binary(max_size=7), "c": st.binary(max_size=7)}))


@pytest.mark.slow
@given(st.lists(ITEM, min_size=1, max_size=3), st.lists(EDIT, max_size=3))
@example([([0, 1, 2], (b"a", b"", b"")), *[([1, 0, 2], (b"a", b"\0", b""))] * 2], [(0, {"a": ""})])  # the second grows as it moves
@settings(max_examples=amount(150, 1500), deadline=None)
def test_items_whose_offsets_count_from_outside_move_with_those_before(items: list[Any], edits: list[Any]) -> None:
    data = bytes([len(items)])
    for order, values in items:
        data += entry(order, values, len(data))
    packet = dissect(data, ScatteredTable)
    assert packet.faults == () and bytes(packet.replace(ScatteredTable)) == data
    wanted = [dict(zip("abc", (values[0].decode(), *values[1:]), strict=True)) for _, values in items]
    for number, changes in edits:
        place = number % len(items)
        paths = {f"scatteredtable.items[{place}].{name}": value for name, value in changes.items()}
        packet = packet.replace(paths) if paths else packet
        wanted[place] |= changes
        again = dissect(bytes(packet), ScatteredTable)
        found: Any = again[ScatteredTable]
        assert again.faults == () and [{name: getattr(one, name) for name in "abc"} for one in found.items] == wanted
        packet = again  # items that stand elsewhere after one edit are not known to, in the next


class Below(Header):
    n: U8 = auto(size_of("x"))
    x: Bytes = sized(field("n"), b"")


class SinceBelow(Header, under=Below):
    o1: U8 = auto(offset_of("a", since="Below"))
    o2: U8 = auto(offset_of("b", since="Below"))
    a: Text = at(field("o1"), ended(b"\0", ""), since="Below")
    b: Text = at(field("o2"), ended(b"\0", ""), since="Below")


@given(st.booleans(), st.lists(st.tuples(st.sampled_from(["x", "a", "b"]), st.integers(0, 6)), max_size=4))
@settings(max_examples=amount(100, 1000), deadline=None)
def test_offsets_since_a_header_below_follow_where_that_grows(swapped: bool, edits: list[tuple[str, int]]) -> None:
    data = b"\1x\6\4b\0a\0" if swapped else b"\1x\4\6a\0b\0"
    packet = dissect(data, Below)
    assert packet.faults == () and bytes(packet.replace(Below)) == bytes(packet.replace(SinceBelow)) == data
    wanted: dict[str, Any] = {"x": b"x", "a": "a", "b": "b"}
    for name, size in edits:
        wanted[name] = b"y" * size if name == "x" else "y" * size
        packet = packet.replace(Below if name == "x" else SinceBelow, **{name: wanted[name]})
        again = dissect(bytes(packet), Below)
        assert again.faults == ()
        assert {"x": again[Below].x, "a": again[SinceBelow].a, "b": again[SinceBelow].b} == wanted
