"""Records that lie as a template says: any template, any values, any bytes; read compiled and with care, kept, built again."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    MAC,
    U8,
    U16,
    Bytes,
    Context,
    DeclareError,
    Header,
    IPv4Address,
    Records,
    TemplateRecord,
    auto,
    count_of,
    dissect,
    field,
    laid_out,
    many,
    recalled,
    size_of,
    sized,
    through,
    when,
    zlib,
)
from packetlab.codec.context.context import read_in
from packetlab.errors import BuildError
from tests.careful import careful
from tests.protocols.scope import Scope

with (declared := Scope()):

    class Column(Header):
        number: U8
        width: U16

    class Layout(Header, remembers={("rows", field("id")): field("columns")}):
        id: U8
        count: U8 = auto(count_of("columns"))
        columns: tuple[Column, ...] = many(count=field("count"))

    class Rows(Header):
        id: U8
        length: U16 = auto(size_of("self"))
        rows: Records = laid_out(
            recalled("rows", field("id")), size="width", number="number", kinds={1: int, 2: MAC, 3: IPv4Address, 4: str}
        )


    class Sizes(Header, remembers={"sizes": field("size")}):
        size: U8


def records(*said: Any) -> type[Header]:
    body = {"__module__": __name__, "__annotations__": {"n": U8, "x": Records}, "n": auto(size_of("x"))}
    return type("A", (Header,), {**body, **dict(zip("x", said, strict=False))})


VARYING = 0xFFFF
COLUMNS = st.one_of(
    st.tuples(st.just(1), st.integers(1, 9) | st.just(VARYING)), st.just((2, 6)), st.just((3, 4)), st.tuples(st.just(4), st.sampled_from([5, VARYING])),
    st.tuples(st.integers(5, 255), st.sampled_from([1, 2, 3, 12, VARYING])),
)  # fmt: skip
LAYOUTS = st.lists(COLUMNS, min_size=1, max_size=5, unique_by=lambda column: column[0])


def raw(width: int) -> st.SearchStrategy[bytes]:
    return st.binary(max_size=300) if width == VARYING else st.binary(min_size=width, max_size=width)


def told(columns: list[tuple[int, int]], context: Context) -> None:
    data = bytes(Layout(id=7, columns=[Column(number=number, width=width) for number, width in columns]) / b"")
    dissect(data, Layout, context=context)


@pytest.mark.parametrize("column", [1, 4])
@pytest.mark.parametrize("value", [b"", b"\0", b"\0\1", b"a\0", b"\xff"])
def test_values_of_varying_size_are_written_as_they_were_read(column: int, value: bytes) -> None:
    context = Context()
    told([(column, VARYING)], context)
    made = bytes([7, 0, 4 + len(value), len(value)]) + value
    records = dissect(made, Rows, context=context)[Rows].rows
    with context:
        assert bytes(Rows(id=7, rows=[TemplateRecord(record.pairs) for record in records]) / b"") == made


@given(
    LAYOUTS.flatmap(
        lambda columns: st.tuples(
            st.just(columns), st.lists(st.tuples(*(raw(width) for _, width in columns)), max_size=4)
        )
    )
)
def test_what_is_built_reads_back(drawn: tuple[list[tuple[int, int]], list[tuple[bytes, ...]]]) -> None:
    columns, rows = drawn
    context = Context()
    told(columns, context)
    with context:
        made = bytes(
            Rows(id=7, rows=[dict(zip((number for number, _ in columns), row, strict=True)) for row in rows]) / b""
        )
    packet = dissect(made, Rows, context=context)
    assert not packet.faults
    assert packet.encode() == bytes(packet) == made
    again = [TemplateRecord(record.pairs) for record in packet[Rows].rows]  # the values alone
    with context:
        assert bytes(Rows(id=7, rows=again) / b"") == made
    assert pickle.loads(pickle.dumps(packet[Rows])) == packet[Rows]


@given(LAYOUTS, st.binary(max_size=60))
def test_any_bytes_come_back_and_both_readers_agree(columns: list[tuple[int, int]], body: bytes) -> None:
    context, data = Context(), b"\7" + (len(body) + 3).to_bytes(2, "big") + body
    told(columns, context)
    packet = dissect(data, Rows, context=context.copy())
    slow, faults = read_in(context.copy(), lambda: careful(Rows, data))
    assert (packet[Rows], [*packet.faults], packet[Rows].rows) == (slow, faults, slow.rows)
    assert packet.encode() == bytes(packet) == data


def test_a_template_with_a_number_twice_keeps_both() -> None:
    context = Context()
    told([(9, 1), (9, 2)], context)
    (row,) = dissect(b"\7\0\6\1\2\3", Rows, context=context)[Rows].rows
    assert (row.pairs, row[9], len(row), dict(row)) == (((9, 1), (9, 0x0203)), 1, 1, {9: 1})
    with context:
        assert bytes(Rows(id=7, rows=[TemplateRecord([(9, 1), (9, 0x0203)])]) / b"") == b"\7\0\6\1\2\3"


@pytest.mark.parametrize(
    ("row", "message"),
    [({1: 1}, "a value for 3, which the template has"), ({1: 1, 3: "10.0.0.1", 5: 1}, "fields of the template: 1, 3"), ({1: 70000, 3: "10.0.0.1"}, "a number of 2 bytes"),
     ({1: b"abc", 3: "10.0.0.1"}, "2 bytes, as the template says"), ({1: 1, 3: "10.0.0"}, r"rows\[0\]\[3\]"), ({1: 1.5, 3: b"abcd"}, "bytes, a number or text")],
)  # fmt: skip
def test_values_that_do_not_fit(row: dict[int, Any], message: str) -> None:
    with Context():
        bytes(Layout(id=7, columns=[Column(number=1, width=2), Column(number=3, width=4)]) / b"")
        with pytest.raises(BuildError, match=message):
            bytes(Rows(id=7, rows=[row]) / b"")


def test_without_a_template_they_are_not_built() -> None:
    with pytest.raises(
        BuildError,
        match=r"rows\(id = 7\), remembered from an earlier packet, got no context: .* \(build it inside `with context:`",
    ):
        bytes(Rows(id=7, rows=[{1: 1}]) / b"")
    assert bytes(Rows(id=7, rows=[]) / b"") == b"\7\0\3"


@pytest.mark.parametrize("columns", [[], [(1, 0)]])
def test_a_template_of_no_bytes_lays_nothing_out(columns: list[tuple[int, int]]) -> None:
    context = Context()
    told(columns, context)
    packet = dissect(b"\7\0\4\1", Rows, context=context)
    assert [(fault.field, fault.got) for fault in packet.faults] == [("rows", "a template of no bytes")]
    assert bytes(packet) == b"\7\0\4\1"


@pytest.mark.parametrize(
    ("declare", "message"),
    [(lambda: laid_out(field("x")), r"recalled\("), (lambda: laid_out(recalled("t"), size=""), "as size="), (lambda: laid_out(recalled("t"), align=-1), "as align="),
     (lambda: laid_out(recalled("t"), kinds={1: float}), "a kind of field such as IPv4Address"),
     (lambda: type("A", (Header,), {"__annotations__": {"n": U8, "x": Bytes}, "x": laid_out(recalled("t"), value=sized(field("n")))}), r"Records for laid_out"),
     (lambda: type("A", (Header,), {"__annotations__": {"n": U8, "x": Records}, "x": laid_out(recalled("t"))}), "a size"),
     (lambda: laid_out(recalled("t"), kinds=[int]), r"expected kinds=\{number: kind\}, got \["),  # type: ignore[arg-type]
     (lambda: records(), r"Records = laid_out\(recalled\("), (lambda: records(sized(field("n"), ())), r"Records = laid_out\(recalled\("),
     (lambda: records(through(zlib(), sized(field("n")))), r"Records = laid_out\(recalled\("),
     (lambda: records(when(field("n") == 1)), r"Records = laid_out\(recalled\("),
     (lambda: records(through(zlib(), laid_out(recalled("t"), value=sized(field("n"))))), r"laid_out\(...\) alone, got zlib and laid_out"),
     (lambda: records(laid_out(recalled("rows", 1), size="widht", number="number")), r"A.x, laid_out\(...\): expected a number of Column, .* as size=, got 'widht' \(did you mean 'width'"),
     (lambda: records(laid_out(recalled("rows", 1), size="width")), "as number=, got 'type'"),
     (lambda: records(laid_out(recalled("rows", 1), size="width", number="number", enterprise="own")), "as enterprise=, got 'own'"),
     (lambda: records(laid_out(recalled("sizes"), size="width", number="number")), "a table of lists of headers, got 'sizes'")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(declare: Any, message: str) -> None:
    with declared, pytest.raises(DeclareError, match=message):
        declare()


def test_a_record_in_a_path_is_refused_with_the_way_out() -> None:
    context = Context()
    told([(1, 1)], context)
    packet = dissect(b"\7\0\5\1\2", Rows, context=context)
    with pytest.raises(BuildError, match=r"expected a list before \[0\], got Rows\.rows, records as a template says \(without \[0\], which is all of it: rows is one value"):
        packet.replace({"rows.rows[0]": {1: 9}})
    assert bytes(packet.replace({"rows.rows": [{1: 9}, *packet[Rows].rows[1:]]})) == b"\7\0\5\x09\2"
