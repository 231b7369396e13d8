"""Values from elsewhere: of the header that holds an item, of the headers below, of the item before."""

from __future__ import annotations

import pickle
from typing import Annotated

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U8,
    U16,
    BuildError,
    Bytes,
    DeclareError,
    Ether,
    Header,
    Packet,
    auto,
    before,
    bindings,
    computed,
    count_of,
    dissect,
    field,
    fixed_bytes,
    many,
    size_of,
    sized,
    when,
)  # fmt: skip
from packetlab.codec.around.outer import read_outer
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk


class SheetRow(Header):
    """A row whose width its sheet tells."""

    kind: U8 = 1
    extra: U16 | None = when(field("^.flags") & 1, 0)
    step: U8 = 0


class CountedSheet(Header):
    flags: U8 = 0
    n: U8 = auto(count_of("rows"))
    rows: tuple[SheetRow, ...] = many(count=field("n"))


class OpenSheet(Header):
    flags: U8 = 0
    rows: tuple[SheetRow, ...] = many()


class EndedSheet(Header):
    flags: U8 = 0
    rows: tuple[SheetRow, ...] = many(until=field("kind") == 0)


class GridCell(Header):
    """Asks two levels out, so that lists of it are read at once."""

    data: Bytes = sized(field("^.^.width"), b"")


class GridLine(Header):
    size: U8 = auto(size_of("cells"))
    cells: tuple[GridCell, ...] = many()


class Grid(Header):
    width: U8 = 2
    n: U8 = auto(count_of("lines"))
    lines: tuple[GridLine, ...] = many(count=field("n"))


class QoSWire(Header, under=Ether, when={"type": 0x7A61}):
    qos: U8 = 0
    kind: U8 = 0


class QoSPublish(Header, under=QoSWire, when={"kind": 3}):
    topic: U8 = 0
    identifier: U16 | None = when(field("QoSWire.qos") > 0, 5)
    last: U8 = 1


class FencePost(Header):
    """Present where the one before was of kind 7."""

    kind: U8 = 0
    after: U8 | None = when(before("kind") == 7, 9)


class FenceRun(Header):
    items: tuple[FencePost, ...] = many()


rows = st.lists(st.builds(SheetRow, kind=st.integers(1, 255), step=st.integers(0, 255)), max_size=4)


@pytest.mark.parametrize("holder", [CountedSheet, OpenSheet])
@given(flags=st.integers(0, 255), some=rows)
def test_the_header_that_holds_an_item_tells_it(holder: type[Header], flags: int, some: list[SheetRow]) -> None:
    built = Packet((holder(flags=flags, rows=some),))
    data = bytes(built)
    assert len(data) == (2 if holder is CountedSheet else 1) + len(some) * (4 if flags & 1 else 2)
    read = dissect(data, holder)
    assert not read.faults
    assert read == built
    assert read[holder] == built[holder]
    assert read.encode() == data
    assert [row.extra for row in read[holder].rows] == [0 if flags & 1 else None] * len(some)  # type: ignore[attr-defined]
    assert b"".join(map(bytes, read[holder].rows)) in data  # type: ignore[attr-defined]


def test_an_item_remembers_what_it_was_told() -> None:
    """By itself it has the bytes that it has in its list, built or read, pickled or not; without a list it takes 0."""
    alone = SheetRow(kind=4)
    assert bytes(alone) == b"\4\0"
    sheet = OpenSheet(flags=1, rows=[alone])
    for item in (sheet.rows[0], dissect(bytes(sheet), OpenSheet)[OpenSheet].rows[0]):
        assert bytes(item) == b"\4\0\0\0"
        assert bytes(pickle.loads(pickle.dumps(item))) == b"\4\0\0\0"
    assert bytes(OpenSheet(flags=0, rows=[SheetRow(kind=4)])) == b"\0\4\0"


def test_a_list_ends_with_an_item_that_is_told_how_wide_it_is() -> None:
    sheet = EndedSheet(flags=1, rows=[SheetRow(kind=3, extra=7), SheetRow(kind=0)])
    read = dissect(bytes(sheet) + b"rest", EndedSheet)
    assert read[EndedSheet] == sheet
    assert read.payload == b"rest"
    with pytest.raises(BuildError, match="nothing after the item"):
        bytes(EndedSheet(rows=[SheetRow(kind=0), SheetRow(kind=3)]))


@given(width=st.integers(1, 5), shape=st.lists(st.integers(0, 3), max_size=3))
def test_two_levels_out(width: int, shape: list[int]) -> None:
    lines = [GridLine(cells=[GridCell(data=bytes([k]) * width) for k in range(n)]) for n in shape]
    built = Packet((Grid(width=width, lines=lines),))
    read = dissect(bytes(built), Grid)
    assert not read.faults
    assert read == built
    assert [[cell.data for cell in line.cells] for line in read[Grid].lines] == [[bytes([k]) * width for k in range(n)] for n in shape]


def test_a_header_below_tells() -> None:
    for qos, identifier in ((0, None), (2, 5)):
        built = Ether() / QoSWire(qos=qos) / QoSPublish()
        for _ in range(40):  # often enough that a stack would get functions of its own
            read = dissect(bytes(Ether() / QoSWire(qos=qos) / QoSPublish()))
            assert bytes(read) == bytes(built)
        assert read == built
        assert read[QoSPublish].identifier == built[QoSPublish].identifier == identifier
        assert bytes(read[QoSPublish]) == bytes(read)[16:]
    assert "QoSWire.qos = 2" in str(built.why(QoSPublish, "identifier"))
    assert "nothing of that name" in str(Packet((QoSPublish(),)).why(QoSPublish, "identifier"))
    assert bytes(built.replace(QoSWire, qos=0)) == bytes(Ether() / QoSWire(qos=0) / QoSPublish())


def test_the_item_before_tells() -> None:
    built = FenceRun(items=[FencePost(kind=7), FencePost(kind=7), FencePost(), FencePost()])
    assert bytes(built).hex() == "0707090009" + "00"
    read = dissect(bytes(built), FenceRun)[FenceRun]
    assert read == built
    assert [item.after for item in read.items] == [None, 9, 9, None]


@given(data=st.binary(max_size=40))
@pytest.mark.parametrize("header", [CountedSheet, OpenSheet, EndedSheet, Grid, FenceRun, QoSWire])
def test_any_bytes_are_read_alike_by_both_readers_and_come_back(header: type[Header], data: bytes) -> None:
    read = dissect(data, header)
    assert bytes(read) == data
    assert read.encode() == data
    one, other = Dissection(), Dissection()
    compiled, careful = header._decode(data, 0, len(data), one), walk(header._declaration, data, 0, len(data), other)
    assert compiled[1:] == careful[1:]
    assert [getattr(compiled[0], f.slot) for f in header._fields] == [getattr(careful[0], f.slot) for f in header._fields]
    assert one.faults == other.faults


def test_names_are_checked_as_far_as_they_can_be() -> None:
    with bindings():
        with pytest.raises(DeclareError, match=r"Sheet\.rows, for \^\.flags of SheetRow: expected a field of Sheet, got flags"):

            class Sheet(Header):
                rows: tuple[SheetRow, ...] = many()

        with pytest.raises(DeclareError, match="number field"):

            class Text(Header):
                flags: Annotated[bytes, fixed_bytes(1)] = b"\0"
                rows: tuple[SheetRow, ...] = many()

        class Late(Header):
            x: U8 | None = when(field("Nowhere.flag"), 0)

        with pytest.raises(DeclareError, match="a header class that is declared"):
            bytes(Late())
        with pytest.raises(DeclareError, match=r"a field's name, \^\.name"):
            field("^flags.x")
        with pytest.raises(DeclareError, match="a field of Odd"):

            class Odd(Header):
                x: U8 | None = when(before("nosuch"), 0)


def test_what_is_looked_up_is_none_where_nothing_has_it() -> None:
    assert read_outer(SheetRow._declaration.outer_leaves, Dissection()) == (0,)


def test_a_condition_on_a_header_in_a_field_of_one_around_is_refused_with_the_way_out() -> None:
    with bindings():

        class AroundKey(Header):
            kind: U8 = 0

        class AroundItem(Header):
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class AroundList(Header):
            key: AroundKey = AroundKey()
            kind: int = computed(field("key.kind"))
            items: tuple[AroundItem, ...] = many()

        for words in ("AroundList.key.kind", "^.key.kind"):
            with pytest.raises(DeclareError, match="as a computed field of that outer header"):

                class Refused(AroundItem, inside="data", when=field(words) == 1):
                    v: U8 = 5

        class AroundNumber(AroundItem, inside="data", when=field("AroundList.kind") == 1):
            v: U8 = 5

        made = AroundList(key=AroundKey(kind=1), items=[AroundNumber(v=7)])
        assert dissect(bytes(made), AroundList)[AroundList].items == (AroundNumber(v=7),)
        assert type(dissect(b"\2\1\7", AroundList)[AroundList].items[0]) is AroundItem
