"""Ferry, a protocol of nobody's (texts/ferry.txt), declared from its text and how-to-declare alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Annotated

import pytest

from packetlab import (
    U1,
    U3,
    U4,
    U7,
    U8,
    U15,
    U16,
    U32,
    UDP,
    Bytes,
    Header,
    Named,
    Packet,
    Rest,
    Text,
    UnixTime,
    Verdict,
    auto,
    bits,
    choose,
    const,
    count_of,
    crc,
    default,
    dissect,
    duration,
    field,
    has,
    left,
    many,
    must,
    size_of,
    sized,
    spare_bits,
    when,
)
from tests.protocols.scope import Scope
from tests.protocols.texts import vectors

with (scope := Scope()):

    class Type(IntEnum):
        OFFER, ACCEPT, PARCEL, RECEIPT, REFUSE, SOUNDING = 1, 2, 3, 4, 5, 6

    class Packing(IntEnum):
        PLAIN, DEFLATE, BROTLI = 0, 1, 2

    class Reason(IntEnum):
        NO_ROOM, OPTION_NOT_UNDERSTOOD, KEY_UNKNOWN, TOO_LATE = 1, 2, 3, 4

    there = (field("number") != 0) | (field("critical") != 0)

    class Option(Header):
        critical: U1 = 0
        number: U7 = 0
        optlen: U8 | None = when(
            there,
            must(
                ((field("number") != 1) | (field("optlen") >= 1) & (field("optlen") <= 63))
                & ((field("number") != 2) | (field("optlen") == 2))
                & ((field("number") != 3) | (field("optlen") >= 4) & (field("optlen") <= 60) & (field("optlen") % 4 == 0)),
                auto(size_of("value")),
            ),
        )
        value: Bytes | None = when(there, sized(field("optlen"), b""))
        zeros: Annotated[int, bits(choose(there, -(field("optlen") + 2) % 4, 3) * 8)] = must(field("zeros") == 0, 0)
        spare: int = spare_bits()

    class Label(Option, inside="value", when={"number": 1}):
        label: Text = ""

    class Deadline(Option, inside="value", when={"number": 2}):
        minutes: Annotated[timedelta, duration(16, unit=60)] = timedelta(0)

    class Route(Option, inside="value", when={"number": 3}):
        berths: tuple[U32, ...] = many()

    class Ferry(Header, under=UDP, port=4717):
        version: U3 = const(1)
        type: Annotated[Named[Type], bits(5)] = default(Type.SOUNDING)
        b: U1 = auto(has("from_berth") | has("to_berth"))
        t: U1 = auto(has("time"))
        k: U1 = auto(has("key_id") | has("sequence"))
        o: U1 = auto(has("options"))
        urgency: U4 = 0
        length: U16 = must(field("length") == left() + 4, auto(size_of("self") + size_of("payload")))
        voyage: U32 = 0
        checksum: U32 = auto(crc("CRC-32", "self", "payload"))
        from_berth: U32 | None = when(field("b"))
        to_berth: U32 | None = when(field("b"))
        time: UnixTime | None = when(field("t"))
        key_id: U16 | None = when(field("k"))
        sequence: U16 | None = when(field("k"))
        options: tuple[Option, ...] | None = when(field("o"), many(until=~there, end=Option()))

    class Offer(Header, under=Ferry, when={"type": Type.OFFER}, exact=True):
        parcel_id: U32 = 0
        total_size: U32 = 0
        fragments: U16 = must(field("fragments") >= 1, 1)
        packing: Annotated[Named[Packing], bits(4)] = default(Packing.PLAIN)
        retry: U4 = 0
        reserved: U8 = 0

    class Accept(Header, under=Ferry, when={"type": Type.ACCEPT}, exact=True):
        parcel_id: U32 = 0
        window: U16 = 0
        first: U16 = 0

    class Parcel(Header, under=Ferry, when={"type": Type.PARCEL}):
        parcel_id: U32 = 0
        more: U1 = 0
        fragment: U15 = 0
        data: Rest = b""

    class Range(Header):
        first: U16 = 0
        last: U16 = 0

    class Receipt(Header, under=Ferry, when={"type": Type.RECEIPT}, exact=True):
        parcel_id: U32 = 0
        count: U8 = auto(count_of("ranges"))
        reserved: U8 = 0
        ranges: tuple[Range, ...] = many(count=field("count"))

    class Refuse(Header, under=Ferry, when={"type": Type.REFUSE}, exact=True):
        reason: Annotated[Named[Reason], bits(8)] = default(Reason.NO_ROOM)
        text_length: U8 = auto(size_of("text"))
        text: Text = sized(field("text_length"), "")

    class Sounding(Header, under=Ferry, when={"type": Type.SOUNDING}, exact=True):
        pass


OFFER, PARCEL, RECEIPT, DAMAGED = vectors("ferry")


def built() -> list[Packet]:
    """Return what the text says of each of its messages."""
    offer = Offer(parcel_id=0xC0FFEE01, total_size=2600, fragments=3, packing=Packing.DEFLATE)
    options = (
        Label(label="Skærgård"), Deadline(critical=1, minutes=timedelta(minutes=90)), Route(berths=(0x0A000010, 0x0A000011)),
        Option(number=85, value=b"\xde\xad\xbe"),
    )  # fmt: skip
    ferry = Ferry(urgency=5, voyage=123456, from_berth=0x0A000007, to_berth=0x0A00002A, time=datetime(2026, 1, 1, tzinfo=UTC), options=options)
    parcel = Parcel(parcel_id=0xC0FFEE01, fragment=2, data=b"tide turns 04:12\n")
    ranges = (Range(), Range(first=2, last=2))
    return [
        ferry / offer,
        Ferry(urgency=2, voyage=123456, key_id=77, sequence=65535) / parcel,
        Ferry(voyage=123456) / Receipt(parcel_id=0xC0FFEE01, ranges=ranges),
        Ferry(urgency=5, voyage=123456, checksum=0xEF285F4C) / Accept(parcel_id=0xC0FFEE01, window=24, first=1),
    ]


def test_each_message_of_the_text_is_built_and_read() -> None:
    with scope:
        for data, packet in zip(vectors("ferry"), built(), strict=True):
            assert bytes(packet) == data
            found = dissect(data, Ferry)
            assert (found.faults, found.payload, found.trailer, bytes(found)) == ((), b"", b"", data)
            assert found == packet
            assert (found[Ferry].version, found[Ferry].voyage, found[Ferry].length) == (1, 123456, len(data))
            assert found.verdict(Ferry) is (Verdict.BAD if data == DAMAGED else Verdict.GOOD)


def test_the_values_are_those_of_the_text() -> None:
    with scope:
        ferry, offer = (found := dissect(OFFER, Ferry))[Ferry], found[Offer]
        assert (ferry.type, ferry.b, ferry.t, ferry.k, ferry.o, ferry.urgency) == (Type.OFFER, 1, 1, 0, 1, 5)
        assert (ferry.from_berth, ferry.to_berth, str(ferry.time)) == (0x0A000007, 0x0A00002A, "2026-01-01T00:00:00Z")
        assert (ferry.checksum, ferry.length) == (0x79B6CC06, 76)
        assert ferry.options is not None
        label, deadline, route, unknown, end = ferry.options
        assert isinstance(label, Label) and (label.label, label.number, label.optlen) == ("Skærgård", 1, 10)
        assert isinstance(deadline, Deadline) and (deadline.critical, deadline.minutes) == (1, timedelta(minutes=90))
        assert isinstance(route, Route) and route.berths == (0x0A000010, 0x0A000011)
        assert (unknown.number, unknown.value, end.number, end.optlen, end.value) == (85, b"\xde\xad\xbe", 0, None, None)
        assert (offer.parcel_id, offer.total_size, offer.fragments, offer.packing) == (0xC0FFEE01, 2600, 3, Packing.DEFLATE)
        ferry, parcel = (found := dissect(PARCEL, Ferry))[Ferry], found[Parcel]
        assert (ferry.key_id, ferry.sequence, ferry.time, ferry.options) == (77, 65535, None, None)
        assert (parcel.more, parcel.fragment, parcel.data) == (0, 2, b"tide turns 04:12\n")
        receipt = dissect(RECEIPT, Ferry)[Receipt]
        assert (receipt.count, [(one.first, one.last) for one in receipt.ranges]) == (2, [(0, 0), (2, 2)])


def test_the_damage_is_where_the_text_says() -> None:
    with scope:
        found = dissect(DAMAGED, Ferry)
        assert "gives 0xf30efc3c" in str(found.why(Ferry, "checksum")) and found[Accept].window == 24


@pytest.mark.parametrize("name", ["Sounding", "Offer", "Accept", "Receipt", "Refuse"])
def test_what_is_left_over_after_a_body_is_a_fault(name: str) -> None:
    with scope:
        body = {one.__name__: one for one in (Sounding, Offer, Accept, Receipt, Refuse)}[name]
        assert dissect(bytes(Ferry() / body()), Ferry).faults == ()
        found = dissect(bytes(Ferry() / body() / b"\0"), Ferry)
        assert [(fault.layer, fault.expected) for fault in found.faults] == [(name, f"{name} to end here")] and found.trailer == b"\0"


def test_a_length_that_is_not_that_of_the_datagram_is_a_fault() -> None:
    with scope:
        found = dissect(OFFER + b"\0", Ferry)
        assert [fault.field for fault in found.faults] == ["length"] and found.trailer == b"\0" and found[Offer] == dissect(OFFER, Ferry)[Offer]


def test_padding_that_is_not_zero_is_a_fault() -> None:
    with scope:
        spoilt = OFFER.replace(b"\xde\xad\xbe\0", b"\xde\xad\xbe\1")
        (fault,) = dissect(spoilt, Ferry).faults
        assert fault.field == "options" and "expected zeros == 0 for Option.zeros at offset 57" in str(fault)
