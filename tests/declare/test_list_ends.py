"""Lists whose last item is put there: `many(until=..., end=item)`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U8,
    U16,
    Bytes,
    DeclareError,
    Header,
    Payload,
    auto,
    between,
    bindings,
    contains,
    count_of,
    declare_from,
    dissect,
    ended,
    field,
    many,
    size_of,
    sized,
    strategies,
    when,
)
from packetlab.schema.dump import described
from packetlab.schema.source import class_body


class Choice(Header):
    kind: U8 = 0
    size: U8 | None = when(field("kind") != 255, auto(size_of("data")))
    data: Bytes | None = when(field("kind") != 255, sized(field("size"), b""))


class Choices(Header):
    size: U8 = auto(size_of("some"))
    count: U8 = auto(count_of("some"))
    some: tuple[Choice, ...] = many(until=field("kind") == 255, end=Choice(kind=255))
    body: Payload


KINDS = st.lists(st.integers(0, 254), max_size=5)


@given(KINDS, st.binary(max_size=5))
def test_the_end_is_put_there_unless_it_is_given(kinds: list[int], body: bytes) -> None:
    some = [Choice(kind=kind, data=b"x" * (kind % 3)) for kind in kinds]
    without, whole = Choices(some=some) / body, Choices(some=[*some, Choice(kind=255)]) / body
    assert bytes(without) == bytes(whole) and without == whole
    read = dissect(bytes(without), Choices)
    assert read == without and not read.faults and read.payload == body
    assert [one.kind for one in read[Choices].some] == [*kinds, 255] and read[Choices].count == len(kinds) + 1
    fewer = read.replace(Choices, some=some[1:])
    assert bytes(fewer) == bytes(Choices(some=some[1:]) / body)


def test_what_was_read_without_one_and_bytes_stay() -> None:
    cut = dissect(b"\2\1\7\0", Choices)
    assert bytes(cut) == b"\2\1\7\0" and bytes(cut.replace(Choices, count=9)) == b"\2\x09\7\0"
    assert bytes(Choices(some=b"\7\0")) == b"\2\1\7\0"
    assert bytes(Choices()) == b"\1\1\xff" and Choices().some == (Choice(kind=255),)


def test_paths_patterns_and_one_item() -> None:
    read = dissect(bytes(Choices(some=[Choice(kind=1), Choice(kind=2)])), Choices)
    assert bytes(read.replace({"choices.some[0].data": b"abc"})) == bytes(Choices(some=[Choice(kind=1, data=b"abc"), Choice(kind=2)]))
    assert Choices(some=[Choice(kind=1), Choice(kind=2)]).matches(read) and Choices(some=contains(Choice(kind=2))).matches(read)
    assert Choices(some=[Choice(kind=1), Choice(kind=2), Choice(kind=between(250, 255))]).matches(read)
    assert bytes(Choices(some=Choice(kind=7))) == bytes(Choices(some=[Choice(kind=7)]))


def test_an_item_that_tells_by_its_size() -> None:
    class Row(Header):
        line: Bytes = ended(b"\n", b"")

    class Sheet(Header):
        rows: tuple[Row, ...] = many(until=size_of("line") == 1, end=Row())

    class Marked(Sheet):
        rows = (Row(line=b"mark"),)

    assert bytes(Sheet(rows=[Row(line=b"a"), Row(line=b"b")])) == b"a\nb\n\n" and bytes(Sheet()) == b"\n"
    assert bytes(Marked()) == b"mark\n\n" and bytes(Marked(rows=[])) == b"\n"


def test_it_goes_into_files_and_source_and_strategies() -> None:
    data: Any = described([Choices])
    wire = bytes(Choices(some=[Choice(kind=1)]))
    with bindings():
        made = {cls.__name__: cls for cls in declare_from(data)}
        assert described([made["Choices"]]) == data and bytes(made["Choices"](some=[made["Choice"](kind=1)])) == wire
        names: dict[str, Any] = dict(globals())
        exec("\n\n".join(class_body(one) for one in data), names)
        assert described([names["Choices"]]) == data and bytes(names["Choices"](some=[names["Choice"](kind=1)])) == wire
    for wrong in ([], [{"kind": 1}], 5, [{"nosuch": 1}], [{"kind": 255}] * 2):
        bad = [dict(one) for one in data]
        bad[-1] = {**bad[-1], "fields": [{**f, "end": wrong} if f["name"] == "some" else f for f in bad[-1]["fields"]]}
        with bindings(), pytest.raises(DeclareError):
            declare_from(bad)

    @given(strategies.headers(Choices))
    def reads_back(header: Choices) -> None:
        assert header.some[-1].kind == 255 and dissect(bytes(header), Choices) == header / b""

    reads_back()


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (lambda: many(until=field("kind") == 255, end=Choice(kind=1)), r"Made\.some, end=: expected an item for which kind == 255, got Choice\(kind=1\)"),
        (lambda: many(end=Choice(kind=255)), r"Made\.some, end=: expected many\(until=\.\.\.\) of headers"),
        (lambda: many(until=field("kind") == 255, end=Choice), r"Made\.some, end=: expected a header \(Choice\) for which kind == 255"),
        (lambda: many(until=field("kind") == 255, end=Choices()), r"Made\.some, end=: expected a header \(Choice\)"),
        (lambda: many(until=field("^.more") == field("kind"), end=Choice(kind=255)), r"Made\.some, end=: expected an end that the item tells by itself"),
        (lambda: many(until=field("kin") == 255, end=Choice(kind=255)), r"Made\.some, until: expected a field of Choice, got kin"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(spec: Any, complaint: str) -> None:
    with bindings(), pytest.raises(DeclareError, match=complaint):
        class Made(Header):
            more: U16 = 1
            some: tuple[Choice, ...] = spec()
