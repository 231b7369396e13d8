"""`through(..., when=...)`: what is transformed where a flag says so, one value all the same."""

from __future__ import annotations

import zlib as reference
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    S16,
    U1,
    U7,
    U8,
    U16,
    UDP,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4,
    Rest,
    Text,
    auto,
    base64,
    bind,
    bindings,
    declare_from,
    describe,
    dissect,
    field,
    many,
    size_of,
    sized,
    through,
    xor,
    zlib,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.schema.dump import described
from packetlab.schema.source import class_body
from tests.conftest import amount


class Job(Header):
    zero: U7 = 0
    compressed: U1 = 0
    size: U8 = auto(size_of("note"))
    note: Text = through(zlib(), sized(field("size"), ""), when=field("compressed"))
    body: Rest = through(zlib(), b"", when=field("compressed"))


class Masked(Header):
    mode: U8 = 0
    key: U8 = 7
    body: Rest = through(xor(field("key")), through(base64(), b""), when={"mode": (1, 3)})


class Inner(Header):
    x: U16 = 0


class Held(Header):
    sort: U8 = 0
    inner: tuple[Inner, ...] = through(zlib(), many(), when=field("sort") > 4)


def test_one_value_and_the_flag_says_how_it_goes_out() -> None:
    plain, packed = Job(note="hello", body=b"abc" * 30), Job(note="hello", body=b"abc" * 30, compressed=1)
    assert bytes(plain) == b"\0\5hello" + b"abc" * 30
    note, body = reference.compress(b"hello"), reference.compress(b"abc" * 30)
    assert bytes(packed) == bytes([1, len(note)]) + note + body
    for made in (plain, packed):
        found = dissect(bytes(made), Job)
        assert found.faults == ()
        assert found[Job] == made
        assert (found[Job].note, found[Job].body) == ("hello", b"abc" * 30)


def test_another_flag_packs_it_anew_and_another_body_goes_by_the_flag() -> None:
    found = dissect(bytes(Job(note="hello", body=b"abc" * 30, compressed=1)), Job)
    assert bytes(found.replace(Job, compressed=0)) == bytes(Job(note="hello", body=b"abc" * 30))
    assert bytes(found.replace(Job, body=b"")) == bytes(Job(note="hello", compressed=1))
    assert bytes(found.replace(Job, zero=5)) == bytes([0x0B]) + bytes(found)[1:]
    level = reference.compress(b"abc" * 30, 1)
    other = b"\1" + bytes(found)[1:15] + level
    assert bytes(dissect(other, Job)) == other


def test_conditions_may_be_tables_and_transforms_nested() -> None:
    made = [bytes(Masked(mode=mode, body=b"abc")) for mode in range(4)]
    assert made[0] == made[2][:0] + b"\0\7YWJj"
    assert made[3] == b"\3\7" + bytes(byte ^ 7 for byte in b"YWJj")
    assert [dissect(data, Masked)[Masked].body for data in made] == [b"abc"] * 4
    held = Held(sort=9, inner=[Inner(x=1), Inner(x=2)])
    assert (
        dissect(bytes(held), Held)[Held].inner
        == dissect(bytes(held.replace(sort=0)), Held)[Held].inner
        == (Inner(x=1), Inner(x=2))
    )


def test_bytes_that_are_none_are_a_fault_where_the_flag_is_set_alone() -> None:
    assert dissect(b"\0\2ab" + b"c", Job).faults == ()
    faults = dissect(b"\1\2ab" + b"c", Job).faults
    assert [(fault.field, fault.expected) for fault in faults] == [
        ("note", "a zlib stream"),
        ("body", "a whole zlib stream"),
    ]


@given(st.binary(max_size=40))
@settings(max_examples=amount(150, 1500), deadline=None)
def test_any_bytes_come_back_and_both_readers_agree(data: bytes) -> None:
    for cls in (Job, Masked, Held):
        found = dissect(data, cls)
        assert bytes(found) == bytes(dissect(data, cls, keep=False)) == data
        ctx = Dissection()
        header = walk(cls._declaration, data, 0, len(data), ctx)[0]
        assert [header] == [*found.layers][:1]
        assert tuple(ctx.faults) == found.faults


@given(st.integers(0, 1), st.text(alphabet="abcdef", max_size=20), st.binary(max_size=60))
@settings(max_examples=amount(80, 800), deadline=None)
def test_what_is_built_reads_back(flag: int, note: str, body: bytes) -> None:
    made = Job(compressed=flag, note=note, body=body)
    assert dissect(bytes(made), Job)[Job] == made


def test_it_goes_to_files_and_to_source_and_comes_back() -> None:
    for cls in (Job, Masked, Held):
        descriptions = described([cls])
        with bindings():
            again = {one.__name__: one for one in declare_from(descriptions)}[cls.__name__]
            assert describe(again) == descriptions[-1]
        with bindings():
            names: dict[str, Any] = {}
            exec("from typing import Annotated\nfrom packetlab import *", names)
            for description in descriptions:
                exec(class_body(description), names)
            assert describe(names[cls.__name__]) == descriptions[-1]
    assert 'through(zlib(), b"", when=field("compressed"))' in class_body(describe(Job)).replace("'", '"')


def test_tables_filters_strategies_and_views_take_the_value() -> None:
    with bindings():
        bind(Job, under=UDP, when={"dport": 31819})
        below = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(dport=31819)
        packets = [below / Job(compressed=n % 2, note="n", body=b"hello" * n) for n in range(4)]
        capture = Capture.of([bytes(packet) for packet in packets])
        assert list(capture.table(Job.body)["job.body"]) == [b"hello" * n for n in range(4)]
        assert capture.where(Job(body=b"hello")).count() == 1
        assert "when=" in str(dissect(bytes(packets[1])).why(Job, "body"))
        assert dissect(bytes(packets[1])).show()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: through(zlib(), b"", when=field("nosuch")), r"another field of the header as when"),
        (lambda: through(zlib(), b"", when=size_of("self")), r"fields and numbers as when"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, error: str) -> None:
    with pytest.raises(DeclareError, match=error):

        class Wrong(Header):
            body: Rest = make()  # type: ignore[operator]


def test_a_compressed_value_may_be_none() -> None:
    """As a null that is compressed where there is one: the length says so, and follows from it."""
    with bindings():
        class Nullable(Header):
            size: S16 = auto(size_of("data"))
            data: Bytes | None = through(zlib(), sized(field("size"), none=-1))

        for value in (None, b"", b"words"):
            wire = bytes(Nullable(data=value))
            assert dissect(wire, Nullable)[Nullable].data == value
            assert int.from_bytes(wire[:2], "big", signed=True) == (-1 if value is None else len(wire) - 2)
        read = dissect(bytes(Nullable(data=b"words")), Nullable)
        assert bytes(read.replace(Nullable, data=None)) == b"\xff\xff" and bytes(dissect(b"\xff\xff", Nullable).replace(Nullable, data=b"words")) == bytes(read)
