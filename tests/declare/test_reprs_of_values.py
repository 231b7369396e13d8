"""What a header prints can be pasted: lists of addresses and times, enums of text; digits that are none are told apart."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from packetlab import (
    MAC,
    U8,
    Header,
    IPv4Address,
    Named,
    UnixTime,
    auto,
    bcd,
    count_of,
    dissect,
    duration,
    field,
    many,
    text,
)


class Verb(StrEnum):
    GET = "GET "
    PUT = "PUT "


class Printed(Header):
    verb: Annotated[Named[Verb], text(size=4)] = Verb.GET
    n: U8 = auto(count_of("hosts"))
    hosts: tuple[IPv4Address, ...] = many(count=field("n"))
    m: U8 = auto(count_of("cards"))
    cards: tuple[MAC, ...] = many(count=field("m"))
    k: U8 = auto(count_of("waits"))
    waits: tuple[Annotated[timedelta, duration(16, unit="0.1")], ...] = many(count=field("k"))
    times: tuple[UnixTime, ...] = many()


class Packed(Header):
    number: Annotated[int, bcd(2)] = 0


def test_lists_of_addresses_and_times_and_enums_of_text_can_be_pasted() -> None:
    made: Any = Printed(
        verb="PUT ", hosts=["10.0.0.1"], cards=["02:00:00:00:00:01", "02:00:00:00:00:02"], waits=[timedelta(seconds=1.5)],
        times=["2024-01-01T00:00:00Z"],
    )  # fmt: skip
    read = dissect(bytes(made), Printed)[Printed]
    assert repr(made) == (
        "Printed(verb='PUT ', hosts=('10.0.0.1',), cards=('02:00:00:00:00:01', '02:00:00:00:00:02'), waits=('1.5 s',), times=('2024-01-01T00:00:00Z',))"
    )
    assert eval(repr(read), {"Printed": Printed}) == read == made


def test_digits_that_are_none_differ_from_each_other_and_from_zero() -> None:
    first, second, zero = (dissect(data, Packed)[Packed] for data in (b"\xff", b"\xfe", b"\0"))
    raw = first._raw_values()[0]
    assert raw != 0 and raw != second._raw_values()[0] and raw == dissect(b"\xff", Packed)[Packed]._raw_values()[0]
    assert first != second and first != zero and first == dissect(b"\xff", Packed)[Packed]
