"""Fields of a header that a field holds, in rules of the header around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U8,
    U16,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    auto,
    bind,
    bindings,
    choose,
    declare_from,
    describe,
    dissect,
    field,
    many,
    size_of,
    sized,
    strategies,
    when,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.schema.source import class_body
from tests.conftest import need
from tests.export.pdml import Tshark, compare
from tests.export.test_wireshark_places import damaged


class InnerKey(Header):
    kind: U8 = 1
    size: U16 = 0
    flag: U8 = 0


class InnerRecord(Header):
    key: InnerKey = InnerKey()
    data: Bytes = sized(field("key.size") - 2, b"")
    numbers: tuple[U8, ...] | None = when(field("key.flag") == 1, many(count=field("key.kind")))
    tail: U8 = 0xEE


class InnerOwn(Header):
    """The size in the held header has a rule there, so that nothing can follow for it."""

    size: U8 = auto(size_of("self"))


class InnerFixed(Header):
    length: U8 = 4
    key: InnerOwn = sized(field("length") - 3, InnerOwn())
    data: Bytes = sized(field("key.size") + 1, b"")
    twice: U8 = auto(choose(field("key.size") > 0, field("key.size") * 2, 0))


@pytest.mark.parametrize(
    "given, sent",
    [
        ({"data": b"abc"}, "01 0005 00 616263 ee"),
        ({}, "01 0002 00 ee"),
        ({"key": InnerKey(kind=2, flag=1), "data": b"x", "numbers": (1, 2)}, "02 0003 01 78 0102 ee"),
    ],
)
def test_a_size_in_a_held_header_is_read_and_follows(given: dict[str, Any], sent: str) -> None:
    record = InnerRecord(**given)
    data = bytes(record)
    assert data == bytes.fromhex(sent) and record.key.size == len(given.get("data", b"")) + 2
    found = dissect(data, InnerRecord)
    assert found[InnerRecord] == record and not found.faults and bytes(found) == data
    assert bytes(found.replace(InnerRecord, data=b"longer"))[1:3] == b"\0\x08"


def test_a_size_that_is_given_is_sent_and_one_that_cannot_follow_is_compared() -> None:
    assert bytes(InnerRecord(key=InnerKey(size=9), data=b"x")) == b"\x01\0\x09\0x\xee"
    kept = dissect(b"\x01\0\x09\0x\xee", InnerRecord)
    assert bytes(kept) == b"\x01\0\x09\0x\xee" and kept.faults[0].expected == "7 bytes"
    assert bytes(InnerFixed(data=b"ab")) == b"\x04\x01ab\x02"
    for some in ({"data": b"abc"}, {"data": b"abc", "key": InnerOwn()}):
        with pytest.raises(BuildError, match="InnerFixed.data: expected 2 bytes, as key.size"):
            bytes(InnerFixed(**some))  # type: ignore[arg-type]
    with pytest.raises(BuildError, match="InnerRecord.numbers: expected a field that is there"):
        bytes(InnerRecord(numbers=(1,)))


@given(st.sampled_from([InnerRecord, InnerFixed]), st.binary(max_size=14))
def test_any_bytes_are_read_alike_by_both_readers(cls: type[Header], data: bytes) -> None:
    found = dissect(data, cls)
    assert bytes(found) == data
    if data:
        assert walk(cls._declaration, data, 0, len(data), Dissection())[0] == found.layers[0]


@given(st.binary(max_size=40), st.integers(0, 255))
def test_any_value_comes_back(data: bytes, flag: int) -> None:
    record = InnerRecord(key=InnerKey(flag=flag), data=data, **({"numbers": (7,)} if flag == 1 else {}))
    assert dissect(bytes(record), InnerRecord)[InnerRecord] == record


@given(strategies.headers(InnerRecord))
def test_drawn_headers_come_back(header: InnerRecord) -> None:
    assert dissect(bytes(header), InnerRecord)[InnerRecord] == header


def test_filters_files_and_words() -> None:
    described = describe(InnerRecord)
    (again,) = [one for one in declare_from(described) if one.__name__ == "InnerRecord"]
    assert describe(again) == described
    assert 'sized(field("key.size") - 2' in class_body(described, {})
    with bindings():
        bind(InnerRecord, under=Ether, when={"type": 0x7AE2})
        capture = Capture.of([bytes(Ether() / InnerRecord(data=bytes(n))) for n in range(3)])
        assert capture.where("innerrecord.key.size == 3").count() == 1


def test_tshark_reads_by_what_a_held_header_says(tmp_path: Path) -> None:
    need("tshark")
    with bindings():
        for number, header in enumerate((InnerRecord, InnerFixed)):
            bind(header, under=Ether, when={"type": 0x7AE3 + number})
        packets = [
            Ether() / InnerRecord(data=b"abc"),
            Ether() / InnerRecord(key=InnerKey(kind=2, flag=1), data=b"x", numbers=(1, 2)),
            Ether() / InnerFixed(data=b"ab"),
        ]
        compare(Tshark(tmp_path, InnerRecord, InnerFixed), [*damaged(packets, 37)])


def test_names_that_are_none_are_refused() -> None:
    with pytest.raises(DeclareError, match="a field of InnerKey, got sise"):

        class Misspelled(Header):
            key: InnerKey = InnerKey()
            data: Bytes = sized(field("key.sise"))

    with pytest.raises(DeclareError, match="a field that holds a header"):

        class Plain(Header):
            key: U8 = 0
            data: Bytes = sized(field("key.size"))

    with pytest.raises(DeclareError, match="fields before it"):

        class Later(Header):
            data: Bytes = sized(field("key.size"))
            key: InnerKey = InnerKey()
