"""Lists of every kind of value in declarations as data: described, read back from JSON, and written as Python."""

from __future__ import annotations

import json
from datetime import timedelta
from enum import IntEnum
from typing import Annotated, Any

import pytest

import packetlab as pl
from packetlab import (
    F16,
    MAC,
    U8,
    U12,
    UUID,
    BERLength,
    DeclareError,
    F32le,
    Header,
    IPv4Address,
    Named,
    NTPShort,
    NTPTime,
    QuicInt,
    S24le,
    SignedVarInt,
    UnixTimeMs,
    VarInt,
    ZigZagInt,
    auto,
    bcd,
    bindings,
    bits,
    count_of,
    declare_from,
    describe,
    digits,
    dissect,
    duration,
    field,
    fixed_bytes,
    labels,
    many,
    prefixed,
    scaled,
    text,
    varint,
)
from packetlab.schema.source import class_body

IMPORTS = """
from datetime import datetime, timedelta
from enum import IntEnum
from fractions import Fraction
from typing import Annotated
from packetlab import *
"""


class Colour(IntEnum):
    RED = 1
    BLUE = 2


LISTS: list[tuple[Any, list[object]]] = [
    (U8, [1, 2]),
    (S24le, [-1, 2]),
    (U12, [1, 2]),
    (MAC, ["02:00:00:00:00:01"]),
    (IPv4Address, ["10.0.0.1", "10.0.0.2"]),
    (VarInt, [300, 5]),
    (ZigZagInt, [-1, 2]),
    (SignedVarInt, [-300, 2]),
    (QuicInt, [70000, 1]),
    (BERLength, [300, 1]),
    (Annotated[int, varint(high_first=True, most=5)], [300]),
    (Annotated[int, prefixed(bits=1, sizes=(1, 4))], [300]),
    (Annotated[Named[Colour], bits(8)], [Colour.RED, 2]),
    (Annotated[Named[Colour], varint()], [Colour.BLUE]),
    (Annotated[bytes, fixed_bytes(3)], [b"abc", b"def"]),
    (Annotated[float, scaled(16, 0.25)], [1.5, 2]),
    (Annotated[float, scaled(16, 0.1, offset=-4)], [1.5]),
    (F16, [1.5]),
    (F32le, [0.5, -2]),
    (NTPTime, ["2024-01-01T00:00:00.5Z"]),
    (UnixTimeMs, ["2024-01-01"]),
    (NTPShort, [timedelta(seconds=1.5)]),
    (Annotated[timedelta, duration(16, unit=0.001)], [timedelta(seconds=1)]),
    (UUID, ["6ba7b810-9dad-11d1-80b4-00c04fd430c8"]),
    (Annotated[str, text("ascii", size=4, pad=b" ")], ["ab", "c"]),
    (Annotated[int, bcd(4)], [1234, 5]),
    (Annotated[str, bcd(5, swapped=True, filler=15)], ["123"]),
    (Annotated[int, digits(width=3)], [12, 999]),
    (Annotated[str, labels()], ["a.org", ""]),
]


@pytest.mark.parametrize(("kind", "values"), LISTS, ids=[f"list{n}" for n in range(len(LISTS))])
def test_a_list_comes_back_from_data_and_from_its_source(kind: Any, values: list[object]) -> None:
    usual = values[:1]
    with bindings():
        body = {"__module__": __name__, "__annotations__": {"n": U8, "xs": tuple[kind, ...], "rest": int}}
        rules = {"n": auto(count_of("xs")), "xs": many(count=field("n"), value=tuple(usual)), "rest": pl.spare_bits()}
        if kind is not U12:
            del body["__annotations__"]["rest"], rules["rest"]  # type: ignore[attr-defined]
        Listed = type(Header)("Listed", (Header,), {**body, **rules})
        made, alone = bytes(Listed(xs=values)), bytes(Listed())
        data = json.loads(json.dumps(describe(Listed)))
    with bindings():
        (again,) = declare_from([data])
        assert (bytes(again(xs=values)), bytes(again())) == (made, alone)
        assert json.loads(json.dumps(describe(again))) == data
        assert dissect(made, again).faults == () and bytes(dissect(made, again)) == made
    shared: dict[str, None] = {}
    source = class_body(data, shared)
    names: dict[str, Any] = {}
    with bindings():
        exec("\n".join([IMPORTS, *shared, source]), names)
        assert bytes(names["Listed"](xs=values)) == made


@pytest.mark.parametrize(
    "element",
    [
        {"kind": "values", "of": {"kind": "int", "bits": 8}},
        {"kind": "ended", "of": {"kind": "bytes"}, "by": "00"},
        {"kind": "rest"},
        {"kind": "bytes"},
        {"kind": "payload"},
        {"kind": "computed"},
        {"kind": "int", "bits": 8, "until": 3},
        {"bits": 8},
        5,
    ],
    ids=str,
)
def test_what_cannot_repeat_is_refused_in_data(element: object) -> None:
    fields = [{"name": "n", "kind": "int", "bits": 8}, {"name": "xs", "kind": "values", "of": element, "count": {"field": "n"}}]
    with bindings(), pytest.raises(DeclareError, match="xs"):
        declare_from({"name": "Hostile", "fields": fields})


@pytest.mark.parametrize(
    "kind, values",
    [
        (pl.U16, (1, 2)), (pl.VarInt, (1, 300)), (pl.F32, (1.5,)), (Annotated[str, pl.text("ascii", size=4)], ("abcd",)),
        (pl.IPv4Address, ("1.2.3.4",)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("measure", ["count", "size"])
def test_a_list_of_values_may_be_none_and_is_described_so(measure: str, kind: Any, values: tuple[object, ...]) -> None:
    with bindings():
        rule = pl.count_of("some") if measure == "count" else pl.size_of("some")

        class Array(Header):
            number: pl.S16 = auto(rule)
            some: tuple[kind, ...] | None = pl.many(**{measure: field("number")}, none=-1)
            after: pl.U8 = 9

        header: Any = Array
        assert bytes(header()) == bytes(header(some=None)) == b"\xff\xff\x09" and header().number == -1
        assert bytes(header(some=())) == b"\0\0\x09"
        data = bytes(header(some=values))
        for raw, shown in ((b"\xff\xff\x09", None), (b"\0\0\x09", ()), (data, header(some=values).some)):
            packet = dissect(raw, header)
            assert packet[header].some == shown and not packet.faults and bytes(packet) == raw
            assert bytes(packet[header].replace(some=None)) == b"\xff\xff\x09" and bytes(packet[header].replace(some=values)) == data
        description = pl.describe(header)
    with bindings():
        (again,) = pl.declare_from(description)
        assert pl.describe(again) == description
        assert bytes(again()) == b"\xff\xff\x09" and bytes(again(some=values)) == data


def test_fields_of_every_kind_that_may_be_none_are_described_so() -> None:
    kinds: list[Any] = [pl.Bytes, pl.Rest, pl.Text, pl.UDP, Annotated[int, pl.ber_integer()], Annotated[int, pl.digits()]]
    for kind in kinds:
        with bindings():

            class Maybe(Header):
                number: pl.S16 = auto(pl.size_of("some"))
                some: kind | None = pl.sized(field("number"), none=-1)
                after: pl.U8 = 9

            description = pl.describe(Maybe)
        with bindings():
            (again,) = pl.declare_from(description)
            assert pl.describe(again) == description and bytes(again()) == b"\xff\xff\x09", kind


def test_a_printed_class_with_a_mark_wants_no_value_for_it() -> None:
    """Type checkers take a field without a right-hand side for one that has to be given."""
    with bindings():

        class Carrier(Header):
            number: U8 = 1
            body: pl.Payload = b""

        source = class_body(describe(Carrier))
    assert '    body: Payload = b""' in source.splitlines()
    names: dict[str, Any] = {}
    with bindings():
        exec("\n".join([IMPORTS, source]), names)
        assert bytes(names["Carrier"](number=2) / b"up") == b"\2up"
