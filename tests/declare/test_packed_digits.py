"""Decimal digits packed two to a byte as numbers of rules, and as text of any number of digits."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U8,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    auto,
    bcd,
    bindings,
    const,
    count_of,
    dissect,
    field,
    many,
    must,
    size_of,
    sized,
    when,
)


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
