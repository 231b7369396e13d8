"""Decimal digits packed two to a byte as numbers of rules, and as text of any number of digits."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from enum import IntEnum
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U4,
    U8,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    Named,
    auto,
    bcd,
    bindings,
    const,
    count_of,
    declare_from,
    describe,
    dissect,
    field,
    many,
    must,
    size_of,
    sized,
    when,
)
from packetlab.schema.source import class_body


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


def declared() -> Any:
    class Iso(Header, under=Ether, when={"type": 0x7E11}):  # in the manner of ISO 8583
        length: Annotated[int, bcd(4)] = auto(size_of("data"))
        count: Annotated[int, bcd(2, swapped=True)] = auto(count_of("items"))
        kind: Annotated[int, bcd(2)] = 0
        extra: U8 | None = when(field("kind") == 12, 7)
        data: Bytes = b""
        items: tuple[U8, ...] = many(count=field("count"))

    return Iso


@given(st.binary(max_size=130), st.lists(st.integers(0, 255), max_size=99), st.sampled_from([0, 12, 99]))
def test_a_length_in_packed_digits_is_that_of_python(data: bytes, items: list[int], kind: int) -> None:
    with bindings():
        iso = declared()
        wire = bytes(iso(data=data, items=items, kind=kind))
        swapped = f"{len(items):02d}"[::-1]
        expected = f"{len(data):04d}" + swapped + f"{kind:02d}" + "07" * (kind == 12)
        assert wire == bytes.fromhex(expected) + data + bytes(items)
        read = dissect(wire, iso)
        assert read[iso].data == data and read[iso].items == tuple(items) and not read.faults
        assert (read[iso].length, read[iso].count, read[iso].kind) == (len(data), len(items), kind)


def test_half_bytes_that_are_no_digits_are_a_fault_and_no_number() -> None:
    iso = declared()
    wire = bytes(Ether() / iso(kind=1)) + b"rest"
    spoilt = wire[:17] + b"\x1c" + wire[18:]  # 1*10 + 12 would be 22, and 0x12 is another thing
    packet, good = dissect(spoilt), dissect(wire)
    assert [(fault.field, fault.got) for fault in packet.faults] == [("kind", r"raw(b'\x1c')")]
    assert packet[iso].kind == "1c" and bytes(packet) == spoilt and packet != good and pickle.loads(pickle.dumps(packet[iso]._kind)) == packet[iso]._kind
    assert packet[iso].extra is None and packet.payload == b"rest"
    capture = Capture.of([spoilt, wire])
    found = {test: capture.where(test).count() for test in ("iso.kind == 22", "iso.kind < 99", "iso.kind == 1", "iso.kind.raw == 1c", "iso.kind >= 0")}
    assert found == {"iso.kind == 22": 0, "iso.kind < 99": 1, "iso.kind == 1": 1, "iso.kind.raw == 1c": 1, "iso.kind >= 0": 1}
    assert capture.table("iso.kind", "iso.kind.raw").read()["iso.kind"].tolist() == ["1c", 1]


def test_digits_of_any_number_are_as_many_as_a_length_says() -> None:
    class Imsi(Header):  # 3GPP TS 29.274 section 8.3
        size: U8 = auto(size_of("digits"))
        digits: Annotated[str, bcd(swapped=True, filler=15)] = sized(field("size"), "")

    for digits, wire in (("", "00"), ("12345", "03 2143f5"), ("262011234567890", "08 62021132547698f0")):
        assert bytes(Imsi(digits=digits)) == bytes.fromhex(wire)
        assert dissect(bytes.fromhex(wire), Imsi)[Imsi].digits == digits
    filled = dissect(bytes.fromhex("03 21ffff"), Imsi)  # what fills up may go on, and stays
    assert filled[Imsi].digits == "12" and not filled.faults and bytes(filled) == bytes.fromhex("03 21ffff")
    assert dissect(bytes.fromhex("02 21af"), Imsi).faults[0].field == "digits"


def test_packed_digits_that_are_text_say_how_they_become_numbers() -> None:
    with pytest.raises(DeclareError, match="without a filler, is a number that rules take"):
        class Asked(Header):
            n: Annotated[int, bcd(3, filler=15)] = 0
            body: Bytes = sized(field("n"))
    with pytest.raises(DeclareError, match="without a filler, is a number that rules take"):
        class Ruled(Header):
            n: Annotated[str, bcd(4)] = auto(size_of("body"))
            body: Bytes = b""


def test_what_is_wrong_with_a_constant_or_by_a_rule_is_said_in_digits() -> None:
    class Ruled(Header):
        rate: Annotated[int, bcd(4)] = must(field("rate") < 50, 3)
        mark: Annotated[int, bcd(4)] = const(77)

    def said(wire: str) -> list[tuple[str, str, str]]:
        return [(fault.field, fault.expected, fault.got) for fault in dissect(bytes.fromhex(wire), Ruled).faults]

    assert said("0003 0077") == [] and said("0060 0077") == [("rate", "rate < 50", "0060")]
    assert said("0003 0078") == [("mark", "0077", "0078")] and said("0003 001a") == [("mark", "0077", r"raw(b'\x00\x1a')")]


class Message(IntEnum):
    ASK = 100
    ANSWER = 110
    REVERSAL = 400


def test_packed_digits_of_an_enum_are_its_members() -> None:
    class Card(Header, under=Ether, when={"type": 0x7E12}, label="{kind}"):  # in the manner of ISO 8583
        kind: Annotated[Named[Message], bcd(4)] = Message.ASK
        again: Annotated[Named[Message], bcd(4, swapped=True)] = const(Message.REVERSAL)
        code: U8 | None = when(field("kind") == Message.ANSWER, 7)
        half: U4 = 1
        at_bit: Annotated[Named[Message], bcd(4)] = Message.ASK
        rest: U4 = 2

    assert bytes(Card(kind="answer")) == bytes.fromhex("0110 4000 07 10 10 02") and Card(kind="0110") == Card(kind=110) == Card(kind=Message.ANSWER)
    read = dissect(bytes.fromhex("0400 4000 10 11 02"), Card)[Card]
    assert (type(read.kind), read.kind, type(read.at_bit), read.at_bit) == (Message, 400, Message, 110) and type(Card(kind=7).kind) is int
    assert dissect(bytes.fromhex("0100 1000 10 11 02"), Card).faults[0].got == "ASK (0100)"
    assert dissect(bytes.fromhex("01a0 4000 10 11 02"), Card)[Card].kind == "01a0"
    assert pickle.loads(pickle.dumps(read.kind)) is Message.REVERSAL and str(dissect(bytes(read), Card).summary()).endswith("Card REVERSAL")
    packets = [bytes(Ether() / Card(kind=kind)) for kind in (100, 110, 400, 5)]
    capture = Capture.of(packets)
    tests = {"card.kind == ANSWER": 1, "card.kind in {ASK, REVERSAL}": 2, "card.kind < 200": 3, "card.kind == 0110": 1}
    assert {test: capture.where(test).count() for test in tests} == tests
    assert capture.table("card.kind").read()["card.kind"].tolist() == [100, 110, 400, 5]
    assert [*(Ether() / Card()).vary(4, {"card.kind": [Message.ASK, "ANSWER", 400, 5]})] == packets
    with bindings():
        (loaded,) = declare_from(describe(Card))
        assert bytes(loaded(kind="REVERSAL")) == bytes(Card(kind=400)) and loaded(kind=110).kind.name == "ANSWER"
    assert "Annotated[Named[Message], bcd(4, swapped=True)]" in class_body(describe(Card))


def test_packed_digits_of_an_enum_are_numbers_and_hold_its_members() -> None:
    with pytest.raises(DeclareError, match="an enum of bcd..... of up to 18 digits, without a filler"):
        class Filled(Header):
            kind: Annotated[Named[Message], bcd(3, filler=15)] = Message.ASK
    with pytest.raises(DeclareError, match="0..99, in 2 decimal digits"):
        class Short(Header):
            kind: Annotated[Named[Message], bcd(2)] = Message.ASK
