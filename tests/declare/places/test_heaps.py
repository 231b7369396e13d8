"""Items of a list whose bytes lie elsewhere in what holds them: a directory of entries, and blobs behind it."""

from __future__ import annotations

import pickle
from copy import deepcopy
from typing import Annotated, Any

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    S32,
    U8,
    U16,
    U32,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    Packet,
    Rest,
    at,
    auto,
    bindings,
    but,
    choose,
    contains,
    count_of,
    dissect,
    field,
    fixed_bytes,
    from_end,
    many,
    offset_of,
    size_of,
    sized,
    sum8,
    when,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.export.strategies import headers
from tests.conftest import amount


class Entry(Header):
    offset: U32 = auto(choose(size_of("blob") > 0, offset_of("blob", since="Load"), 0))
    size: U32 = auto(size_of("blob"))
    kind: U8 = 2
    blob: Bytes = at(field("offset"), sized(field("size"), b""), since="Load", within="blobs", align=8)


class Place(Entry, inside="blob", when={"kind": 4}):
    latitude: S32 = 0
    longitude: S32 = 0


class Load(Header, under=Ether, when={"type": 0x7C79}):
    count: U8 = auto(count_of("directory"))
    directory: tuple[Entry, ...] = many(count=field("count"))
    blobs: Rest = b""
    sum: U8 = from_end(1, auto(sum8("self", but("sum"))))


def load(entries: list[tuple[int, int, int]], blobs: bytes) -> bytes:
    """Return the bytes of a load by hand: (offset, size, kind) of each entry, and what stands behind them."""
    data = bytes((len(entries),)) + b"".join(offset.to_bytes(4, "big") + size.to_bytes(4, "big") + bytes((kind,)) for offset, size, kind in entries) + blobs
    return data + bytes((sum(data) % 256,))


def read(data: bytes) -> Packet:
    """Return what both readers find in some bytes, which go out as they came."""
    found = dissect(data, Load)
    seen = Dissection()
    header = walk(Load._declaration, data, 0, len(data), seen)[0]
    assert bytes(found) == data and found.encode() == data
    assert header == found[Load] and tuple(seen.faults) == tuple(found.faults)
    return found


def blobs_of(found: Packet) -> list[bytes]:
    return [one.blob for one in found[Load].directory]


# Reading -------------------------------------------------------------------------------------------------------


def test_blobs_lie_in_any_order_with_gaps_on_the_same_bytes_and_nowhere() -> None:
    data = load([(64, 3, 2), (57, 4, 2), (0, 0, 2), (70, 8, 4), (70, 2, 1), (99, 0, 2)], b"..abcdefghijklmnopqrstuvwxyz")
    found = read(data)
    assert found.faults == () and blobs_of(found) == [b"hij", b"abcd", b"", b"nopqrstu", b"no", b""]
    place = found[Load].directory[3]
    assert isinstance(place, Place) and place.latitude == int.from_bytes(b"nopq", "big") and found[Load].blobs == b"..abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("offset", "size", "kind", "blob", "fault"),
    [
        (10, 30, 2, b"abcdef", "expected directory[0].blob within blobs, bytes 10 to 16 of Load at offset 10, got bytes 10 to 40"),
        (3, 9, 2, b"ab", "expected directory[0].blob within blobs, bytes 10 to 16 of Load at offset 3, got bytes 3 to 12"),
        (15, 2, 1, b"f", "expected directory[0].blob within blobs, bytes 10 to 16 of Load at offset 15, got bytes 15 to 17"),
        (4_000_000_000, 4_000_000_000, 1, b"", "expected directory[0].blob within blobs, bytes 10 to 16 of Load at offset 16, got bytes 4000000000 to 8000000000"),
        (10, 5, 4, b"abcde", "expected 4 bytes for Place.longitude in directory[0].blob at offset 14, got 1"),
    ],
)  # fmt: skip
def test_one_that_does_not_lie_there_as_a_whole_is_a_fault_at_the_blob(offset: int, size: int, kind: int, blob: bytes, fault: str) -> None:
    found = read(load([(offset, size, kind)], b"abcdef"))
    assert list(map(str, found.faults)) == [f"Load.directory: {fault}"]
    assert type(found[Load].directory[0]) is Entry and blobs_of(found) == [blob]


def test_bytes_that_many_share_are_handed_out_up_to_a_limit() -> None:
    entries = [(10 + 9 * 199, 1 << 20, 2)] * 200
    found = dissect(load(entries, bytes(1 << 20) + b"."), Load)
    assert sum(map(len, blobs_of(found))) <= (1 << 24) + (1 << 20) + 1
    assert "no more than 16777216 bytes in common" in str(found.faults[0])


def test_where_bytes_are_missing_in_the_capture_what_is_there_is_no_fault() -> None:
    whole = load([(16, 8, 2)], bytes(6) + b"abcdefgh")
    found = dissect(whole[:-3], Load, wire_length=len(whole))
    assert blobs_of(found) == [b"abcde"] and found.truncated and all(fault.cut for fault in found.faults)


# Building ------------------------------------------------------------------------------------------------------


def test_blobs_are_laid_in_the_order_of_the_items_at_multiples() -> None:
    made = Load(directory=[Entry(blob=b"abc"), Entry(), Entry(blob=b"hello world"), Place(latitude=5, longitude=-1)])
    assert bytes(made) == load(
        [(40, 3, 2), (0, 0, 2), (48, 11, 2), (64, 8, 4)], b"\0\0\0abc\0\0\0\0\0hello world\0\0\0\0\0\0\0\0\x05\xff\xff\xff\xff"
    )
    found = read(bytes(made))
    assert found.faults == () and found == made / b"" and found[Load] == made


def test_a_given_offset_stays_and_the_others_take_what_is_free() -> None:
    made = Load(directory=[Entry(blob=b"12345678"), Entry(offset=45, blob=b"given"), Entry(blob=b"abcdefghi")])
    assert bytes(made) == load([(32, 8, 2), (45, 5, 2), (56, 9, 2)], b"\0\0\0\0" + b"12345678" + bytes(5) + b"given" + bytes(6) + b"abcdefghi")
    shared = Load(directory=[Entry(offset=20, blob=b"abcd"), Entry(offset=21, blob=b"bc")])
    assert bytes(shared) == load([(20, 4, 2), (21, 2, 2)], b"\0abcd")


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"directory": [Entry(offset=5, blob=b"a")]}, "Load.blobs, directory[0].blob: expected an offset from 10 to 16777226, got 5"),
        ({"directory": [Entry(offset=1 << 31, blob=b"a")]}, "Load.blobs, directory[0].blob: expected an offset from 10 to 16777226, got 2147483648"),
        ({"directory": [Entry(offset=20, blob=b"ab"), Entry(offset=21, blob=b"a")]}, "Load.blobs, directory[1].blob: expected bytes at 21 that directory[0].blob has there too, got others"),
        ({"directory": [Entry(blob=b"a")], "blobs": b"abc"}, "Load.blobs: expected bytes that directory[0].blob has too, which comes to lie at 16, got others"),
        ({"directory": [Entry(offset=10, blob=b"a")], "blobs": b"b"}, "Load.blobs: expected bytes that directory[0].blob has too, where its offset says that it lies (10), got others"),
    ],
)  # fmt: skip
def test_what_contradicts_is_refused_by_name(given: dict[str, Any], error: str) -> None:
    with pytest.raises(BuildError) as refused:
        bytes(Load(**given))
    assert error in str(refused.value)


def test_bytes_that_are_given_may_have_any_entries() -> None:
    """To see what a receiver makes of it."""
    made = bytes(Load(directory=[Entry(offset=3, size=9)], blobs=b"abc"))
    assert made == load([(3, 9, 2)], b"abc") and len(read(made).faults) == 1
    assert bytes(Load(directory=[Entry(blob=b"ab")], blobs=b"\1\2\3\4\5\6abc")) == load([(16, 2, 2)], b"\1\2\3\4\5\6abc")


# Editing -------------------------------------------------------------------------------------------------------

CAPTURED = load([(42, 3, 2), (30, 4, 2), (34, 8, 4)], b"..abcdefghijklmnopqrs")


@pytest.mark.parametrize(
    ("path", "value", "wanted"),
    [
        ("load.directory[0].blob", b"NOP", load([(42, 3, 2), (30, 4, 2), (34, 8, 4)], b"..abcdefghijklNOPpqrs")),
        ("load.directory[1].blob", b"x", load([(42, 3, 2), (30, 1, 2), (34, 8, 4)], b"..xbcdefghijklmnopqrs")),
        ("load.directory[0].blob", b"NOPQ", load([(42, 4, 2), (30, 4, 2), (34, 8, 4)], b"..abcdefghijklNOPQqrs")),
        ("load.directory[2].place.longitude", 0x41424344, load([(42, 3, 2), (30, 4, 2), (34, 8, 4)], b"..abcdefghABCDmnopqrs")),
        ("load.directory[1].blob", b"ABCDE", load([(32, 3, 2), (40, 5, 2), (48, 8, 4)], bytes(4) + b"mno" + bytes(5) + b"ABCDE" + bytes(3) + b"efghijkl")),
        ("load.directory[1].kind", 9, load([(42, 3, 2), (30, 4, 9), (34, 8, 4)], b"..abcdefghijklmnopqrs")),
    ],
)  # fmt: skip
def test_what_fits_stays_in_its_place_and_else_all_follow_anew(path: str, value: object, wanted: bytes) -> None:
    made = read(CAPTURED).replace({path: value})
    assert bytes(made) == wanted
    assert read(wanted) == made and read(wanted).faults == ()


def test_an_item_more_or_less_has_the_others_laid_anew() -> None:
    found = read(CAPTURED)
    fewer = found.replace(Load, directory=found[Load].directory[1:])
    assert bytes(fewer) == load([(24, 4, 2), (32, 8, 4)], bytes(5) + b"abcd" + bytes(4) + b"efghijkl")
    more = found.replace(Load, directory=(*found[Load].directory, Entry(blob=b"new")))
    assert blobs_of(read(bytes(more))) == [b"mno", b"abcd", b"efghijkl", b"new"] and read(bytes(more)) == more
    assert bytes(Load(directory=found[Load].directory)) == load([(42, 3, 2), (30, 4, 2), (34, 8, 4)], b"\0\0abcdefghijklmno")


def test_bytes_that_two_share_are_not_edited_for_both() -> None:
    made = read(load([(19, 3, 2), (20, 2, 2)], b"abc")).replace({"load.directory[1].blob": b"XY"})
    assert blobs_of(read(bytes(made))) == [b"abc", b"XY"]


def test_an_offset_that_was_wrong_stays_so() -> None:
    made = read(load([(19, 30, 2), (19, 1, 1)], b"ab")).replace({"load.directory[1].blob": b"Z"})
    again = read(bytes(made))
    assert bytes(made) == load([(19, 30, 2), (19, 1, 1)], b"Zb") and again == made and blobs_of(again) == [b"Zb", b"Z"]


def test_gaps_are_edited_but_not_against_the_items() -> None:
    found = read(CAPTURED)
    blobs = found[Load].blobs
    assert read(bytes(found.replace(Load, blobs=b"!?" + blobs[2:])))[Load].directory == found[Load].directory
    with pytest.raises(BuildError, match=r"bytes that directory\[0\]\.blob has too"):
        bytes(found.replace(Load, blobs=b"?" * len(blobs)))


# What may be declared ------------------------------------------------------------------------------------------


def refused(make: Any) -> str:
    with bindings(), pytest.raises(DeclareError) as error:
        make()
    return str(error.value)


def test_where_the_bytes_lie_has_to_be_a_field_behind_the_list() -> None:
    def before() -> None:
        class Load(Header):
            n: U8 = 0
            blobs: Bytes = sized(field("n"), b"")
            directory: tuple[Entry, ...] = many()

    def absent() -> None:
        class Load(Header):
            n: U8 = auto(count_of("directory"))
            directory: tuple[Entry, ...] = many(count=field("n"))
            data: Rest = b""

    def fixed() -> None:
        class Load(Header):
            n: U8 = auto(count_of("directory"))
            directory: tuple[Entry, ...] = many(count=field("n"))
            blobs: Annotated[bytes, fixed_bytes(4)] = bytes(4)

    def other() -> None:
        class Cargo(Header):
            n: U8 = auto(count_of("directory"))
            directory: tuple[Entry, ...] = many(count=field("n"))
            blobs: Rest = b""

    assert 'Load.directory, within="blobs" of Entry: expected a field after directory, before the payload, got blobs' in refused(before)
    assert 'Load.directory, within="blobs" of Entry: expected a field of Load, got blobs' in refused(absent)
    assert "expected Rest, or bytes of a size" in refused(fixed) and "got blobs, 4 bytes" in refused(fixed)
    assert 'Cargo.directory: expected items of a list of Load itself, in which their bytes lie, got Entry, since="Load" (since="Cargo"' in refused(other)


def test_what_lies_elsewhere_is_bytes_of_a_size_at_numbers_of_the_item() -> None:
    def made(value: Any, offset: Any = U32) -> Any:
        class One(Header):
            where: offset = auto(offset_of("blob", since="All"))
            size: U8 = auto(size_of("blob"))
            blob: Bytes = value

        return One

    def near(**words: Any) -> Any:
        return at(field("where"), sized(field("size"), b""), within="blobs", **words)

    assert 'within=\'blobs\', since=\'self\' (blob: Bytes = at(field("offset")' in refused(lambda: made(near()))
    assert "expected sized(...) bytes, got" in refused(lambda: made(at(field("where"), b"", since="All", within="blobs")))
    assert "Bytes that are always there" in refused(lambda: made(when(field("size"), near(since="All"))))
    assert 'One.blob: expected offset_of("blob", since="Other"), as it is read, got since="All"' in refused(lambda: made(near(since="Other")))
    assert "number fields of the item before it" in refused(lambda: made(at(field("nowhere"), sized(field("size"), b""), since="All", within="blobs")))


def test_offsets_that_are_read_elsewhere_than_they_are_built_are_refused_at_first_use() -> None:
    def used() -> None:
        class Item(Header):
            where: U16 = auto(offset_of("data", since="Store") * 2)
            size: U8 = auto(size_of("data"))
            data: Bytes = at(field("where"), sized(field("size"), b""), since="Store", within="bodies")

        class Store(Header):
            count: U8 = auto(count_of("items"))
            items: tuple[Item, ...] = many(count=field("count"))
            bodies: Rest = b""

        bytes(Store())

    assert "Store.items: expected a declaration that reads back what it builds" in refused(used)


def test_what_is_decided_where_an_item_is_read_goes_by_no_bytes_that_lie_elsewhere() -> None:
    def found_by() -> None:
        class One(Header):
            where: U16 = auto(offset_of("blob", since="All"))
            size: U8 = auto(size_of("blob"))
            blob: Bytes = at(field("where"), sized(field("size"), b""), since="All", within="all")

        class Magic(One, when=field("blob") == b"magic"):
            more: U8 = 0

    def ended() -> None:
        class Load(Header):
            directory: tuple[Entry, ...] = many(until=size_of("blob") == 0)
            blobs: Rest = b""

    def there() -> None:
        class One(Header):
            where: U16 = auto(offset_of("blob", since="All"))
            size: U8 = auto(size_of("blob"))
            blob: Bytes = at(field("where"), sized(field("size"), b""), since="All", within="all")
            more: U8 | None = when(size_of("blob") > 3, 0)

    def summed() -> None:
        class One(Header):
            where: U16 = auto(offset_of("blob", since="All"))
            size: U8 = auto(size_of("blob"))
            sum: U8 = auto(sum8("size", "blob"))
            blob: Bytes = at(field("where"), sized(field("size"), b""), since="All", within="all")

    assert "One.sum: expected a checksum over bytes that stand in the header itself, got blob, which lies elsewhere" in refused(summed)
    assert "Magic, when=: expected a rule of what is known where an item is read, got blob == b'magic', of blob" in refused(found_by)
    assert "Load.directory, until=: expected a rule of what is known where an item is read" in refused(ended)
    assert "One.more: expected rules of what is known where an item is read, got size_of(blob) > 3, of blob" in refused(there)


def test_a_class_derived_from_an_items_has_other_defaults() -> None:
    with bindings():

        class Note(Entry, when={"kind": 9}):
            blob = b"some words"

        found = read(bytes(Load(directory=[Note(), Entry(blob=b"ab"), Note(blob=b"")])))
        assert blobs_of(found) == [b"some words", b"ab", b""] and type(found[Load].directory[0]) is Note


def test_an_item_by_itself_has_no_such_bytes() -> None:
    assert dissect(bytes(Entry(blob=b"abc")), Entry)[Entry] == Entry(offset=0, size=3)


# Everything else -----------------------------------------------------------------------------------------------


def test_why_an_offset_is_what_it_is() -> None:
    built = Load(directory=[Entry(blob=b"abc")]) / b""
    assert str(built.why(Load, "directory[0].offset")).splitlines()[1:4] == [
        "  rule: offset_of(blob, since=Load) if size_of(blob) > 0 else 0 = 16",
        "    size_of(blob) = 3",
        "    offset_of(blob, since=Load) = 16",
    ]
    assert "agrees with the rule" in str(read(CAPTURED).why(Load, "directory[1].offset"))


def test_filters_patterns_and_columns_know_blobs() -> None:
    capture = Capture.of([Ether() / dissect(data, Load)[Load] for data in (CAPTURED, load([(10, 4, 2)], b"wxyz"), load([], b""))])
    assert capture.where(Load(directory=contains(Entry(blob=b"abcd")))).count() == 1
    assert capture.where(Load(directory=contains(Place(latitude=0x65666768)))).count() == 1
    assert capture.where("load.directory.place.latitude == 0x65666768").count() == 1
    assert capture.where("load.directory.blob contains 7879").count() == 1


def test_they_are_copied_and_pickled() -> None:
    found = read(CAPTURED)
    for copy in (pickle.loads(pickle.dumps(found)), deepcopy(found)):
        assert copy == found and bytes(copy.replace({"load.directory[0].blob": b"NOP"})) == bytes(found.replace({"load.directory[0].blob": b"NOP"}))


def test_drawn_headers_have_blobs_and_come_back() -> None:
    seen: list[bytes] = []

    @settings(max_examples=amount(60, 600))
    @given(headers(Load))
    def draw(header: Load) -> None:
        found = read(bytes(header))
        seen.extend(blobs_of(found))
        assert found[Load] == header

    draw()
    assert any(seen)


entries = st.lists(st.builds(Entry, blob=st.binary(max_size=20), kind=st.integers(0, 3)) | st.builds(Place, latitude=st.integers(-9, 9)), max_size=6)


@settings(max_examples=amount(100, 1000))
@given(entries, st.data())
def test_what_is_built_is_read_back_and_edited_so(items: list[Entry], data: st.DataObject) -> None:
    made = Load(directory=items) / b""
    found = read(bytes(made))
    assert found == made and found.faults == () and blobs_of(found) == [one.blob for one in items]
    if items:
        at_ = data.draw(st.integers(0, len(items) - 1))
        blob = data.draw(st.binary(max_size=30).filter(lambda blob: items[at_].kind != 4 or len(blob) == 8))
        if type(items[at_]) is Entry:
            for packet in (found, made):
                edited = packet.replace({f"load.directory[{at_}].blob": blob})
                again = read(bytes(edited))
                assert again == edited and again.faults == ()
                assert blobs_of(again) == [blob if k == at_ else one.blob for k, one in enumerate(items)]


@settings(max_examples=amount(150, 2000))
@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 40), st.integers(0, 5)), max_size=5), st.binary(max_size=60), st.data())
def test_any_entries_come_back_as_they_were_and_both_readers_agree(items: list[tuple[int, int, int]], blobs: bytes, data: st.DataObject) -> None:
    found = read(load(items, blobs))
    begin = 1 + 9 * len(items)
    for (offset, size, _), one in zip(items, found[Load].directory, strict=True):
        assert one.blob == (blobs[max(0, offset - begin) : max(0, offset + size - begin)] if size else b"")
    if items and not found.faults:
        at_ = data.draw(st.integers(0, len(items) - 1))
        blob = data.draw(st.binary(max_size=12))
        if type(found[Load].directory[at_]) is Entry and items[at_][2] != 4:
            edited = found.replace({f"load.directory[{at_}].blob": blob})
            again = read(bytes(edited))
            assert again == edited and blobs_of(again) == [blob if k == at_ else one.blob for k, one in enumerate(found[Load].directory)]


def test_the_field_of_the_bytes_may_have_a_size() -> None:
    with bindings():

        class Item(Header):
            where: U16 = auto(offset_of("data", since="Store") - 4)
            size: U8 = auto(size_of("data"))
            data: Bytes = at(field("where") + 4, sized(field("size"), b""), since="Store", within="bodies")

        class Store(Header):
            total: U16 = auto(size_of("bodies"))
            count: U8 = auto(count_of("items"))
            items: tuple[Item, ...] = many(count=field("count"))
            bodies: Bytes = sized(field("total"), b"")
            after: U8 = 7

        made = Store(items=[Item(data=b"one"), Item(data=b"three")])
        assert bytes(made).hex(" ") == "00 08 02 00 05 03 00 08 05 6f 6e 65 74 68 72 65 65 07"
        found = dissect(bytes(made), Store)
        assert found[Store] == made and found.faults == () and found[Store].items[1].data == b"three"


def test_the_list_may_be_absent_and_the_field_of_the_bytes_without_a_default() -> None:
    with bindings():

        class Item(Header):
            where: U16 = auto(offset_of("data", since="Store"))
            size: U8 = auto(size_of("data"))
            data: Bytes = at(field("where"), sized(field("size"), b""), since="Store", within="bodies", align=2)

        class Store(Header):
            flag: U8 = 1
            count: U8 = auto(count_of("items"))
            items: tuple[Item, ...] | None = when(field("flag") == 1, many(count=field("count")))
            bodies: Rest

        for made, data in ((Store(items=[Item(data=b"ab")]), "01 01 00 06 02 00 61 62"), (Store(), "01 00"), (Store(flag=0, bodies=b"x"), "00 00 78")):
            assert bytes(made).hex(" ") == data
            assert dissect(bytes(made), Store)[Store] == made
        captured = dissect(bytes.fromhex("01 01 00 07 02 00 00 61 62 63"), Store)
        assert bytes(captured.replace(Store, bodies=auto)).hex(" ") == "01 01 00 07 02 00 00 61 62"
        assert bytes(captured.replace({"store.items[0].where": auto})).hex(" ") == captured.encode().hex(" ")
