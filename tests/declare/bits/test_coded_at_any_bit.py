"""Numbers that tell their own size, where they begin in the middle of a byte."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U3,
    U4,
    U8,
    BERLength,
    Bytes,
    DeclareError,
    Header,
    MQTTInt,
    QuicInt,
    SignedVarInt,
    Spelled,
    VarInt,
    ZigZagInt,
    auto,
    bcd,
    bindings,
    bits,
    count_of,
    digits,
    dissect,
    ended,
    field,
    many,
    size_of,
    sized,
    spare_bits,
)
from tests.careful import careful

KINDS: dict[str, tuple[Any, int, int]] = {
    "LEB128": (VarInt, 0, 1 << 62), "SLEB128": (SignedVarInt, -(1 << 62), 1 << 62), "zigzag": (ZigZagInt, -(1 << 62), 1 << 62),
    "QUIC": (QuicInt, 0, (1 << 62) - 1), "MQTT": (MQTTInt, 0, 268435455), "BER": (BERLength, 0, 1 << 62), "packed digits": (Annotated[int, bcd(6)], 0, 999999),
    "digits": (Annotated[int, digits(width=4)], 0, 9999),
}  # fmt: skip


@given(st.sampled_from([*KINDS]), st.integers(1, 15), st.sampled_from(["high", "low"]), st.data())
def test_its_bytes_are_those_that_it_has_on_a_byte_boundary(name: str, width: int, order: str, data: st.DataObject) -> None:
    """The bytes of the same number alone, as so many bits after others: in either order of bits."""
    annotation, low, high = KINDS[name]
    number = data.draw(st.integers(low, high))
    before = data.draw(st.integers(0, (1 << width) - 1))
    with bindings():
        fields = {"before": Annotated[int, bits(width)], "number": annotation, "spare": int}
        body = {"__module__": __name__, "__annotations__": fields, "before": 0, "number": 0, "spare": spare_bits()}
        made: Any = type(Header)("Shifted", (Header,), body, bit_order=order)
        alone: Any = type(Header)("Alone", (Header,), {"__module__": __name__, "__annotations__": {"number": annotation}, "number": 0})
        own, wire = bytes(alone(number=number)), bytes(made(before=before, number=number))
        total = width + len(own) * 8
        if order == "low":
            expected = (before | int.from_bytes(own, "little") << width).to_bytes(-(-total // 8), "little")
        else:
            expected = ((before << len(own) * 8 | int.from_bytes(own, "big")) << -total % 8).to_bytes(-(-total // 8), "big")
        assert wire == expected
        read = dissect(wire, made)
        assert (read[made].before, read[made].number) == (before, number) and not read.faults and careful(made, wire)[0] == read[made]
        for cut in range(len(wire)):
            piece = dissect(wire[:cut], made)
            assert bytes(piece) == wire[:cut] and piece.faults


def test_a_length_at_any_bit_follows_keeps_its_spelling_and_is_a_fault_where_it_is_none() -> None:
    with bindings():
        class Note(Header):
            flags: U4 = 5
            size: VarInt = auto(size_of("data"))
            more: U4 = 1
            data: Bytes = sized(field("size"), b"")

        assert bytes(Note(data=bytes(200)))[:3].hex() == "5c8011" and bytes(Note(size=Spelled(1, 2), data=b"x")).hex() == "58100178"
        read = dissect(bytes.fromhex("58100178"), Note)
        assert read[Note].size == Spelled(1, 2) and bytes(read.replace(Note, data=b"yz")).hex() == "582001797a"
        fault = dissect(b"\x5f" + b"\xff" * 12, Note).faults[0]
        assert (fault.field, fault.offset, fault.expected, fault.got) == ("size", 0, "varint of up to 10 bytes", "0x" + "ff" * 10)


def test_a_text_up_to_a_delimiter_begins_with_a_byte() -> None:
    with pytest.raises(DeclareError, match="a start on a byte boundary"), bindings():
        class Line(Header):
            flags: U4 = 0
            number: Annotated[int, digits()] = ended(b" ", 0)


@pytest.mark.parametrize(("annotation", "values"), [(VarInt, [1, 300, 70000]), (Annotated[int, bcd(4)], [0, 12, 9999]), (Annotated[int, digits(width=2)], [0, 7, 99])])
@pytest.mark.parametrize("order", ["high", "low"])
def test_a_list_of_them_is_one_of_headers_with_such_a_field(annotation: Any, values: list[int], order: str) -> None:
    def made(name: str, named: dict[str, Any], given: dict[str, Any], **options: Any) -> Any:
        return type(name, (Header,), {"__module__": __name__, "__annotations__": named, **given}, bit_order=order, **options)

    with bindings():
        item = made("CodedItem", {"value": annotation}, {}, in_bits=True)
        named = {"begin": U3, "n": U4, "items": tuple[item, ...], "spare": int}
        coded = made("CodedList", named, {"begin": 5, "n": auto(count_of("items")), "items": many(count=field("n")), "spare": spare_bits()})
        for some in ([], values, values[1:]):
            wire = bytes(coded(items=[item(value=one) for one in some]))
            read = dissect(wire, coded)
            assert [one.value for one in read[coded].items] == some and not read.faults and bytes(read) == wire
            for cut in range(len(wire)):
                part = dissect(wire[:cut], coded)
                assert bytes(part) == wire[:cut] and careful(coded, wire[:cut])[0] == part[coded]


def test_what_has_to_begin_with_a_byte_says_what_may_stand_there() -> None:
    for annotation, rule, way in (
        (Bytes | None, lambda: sized(field("n"), none=255), r"got bytes, none where a number says so, among bits, after n .*x = when\(field\(\.\.\.\), \.\.\.\) begins at any bit"),
        (tuple[VarInt, ...], lambda: many(count=field("n")), "a list of headers begins at any bit whose class, with in_bits=True, has such a value"),
        (Token, lambda: Token(), "a header of a class with in_bits=True begins at any bit"),
    ):
        with bindings(), pytest.raises(DeclareError, match=way) as raised:
            type(Header)("Askew", (Header,), {"__module__": __name__, "__annotations__": {"f": U3, "n": U8, "x": annotation, "s": int}, "f": 5, "n": 0, "x": rule(), "s": spare_bits()})
        assert str(raised.value).startswith("Askew.x: expected a start on a byte boundary")


class Token(Header):
    kind: U8 = 1
