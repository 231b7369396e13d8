"""CBOR (RFC 8949): kinds that decide their own extent, each a refinement of an initial byte with a coded argument.

The oracle is appendix A of the document. Items of indefinite length, and floats as values, are left out.
"""

from __future__ import annotations

from typing import Any

import pytest

from packetlab import (
    U3,
    U5,
    U8,
    U16,
    U32,
    U64,
    Bytes,
    Header,
    Text,
    auto,
    choose,
    computed,
    dissect,
    field,
    many,
    sized,
    when,
)


class CBORItem(Header):
    """Any item: its major type, and its argument in the shortest form (sections 3 and 4.2.1)."""

    major: U3 = 0
    info: U5 = auto(
        choose(
            field("arg") < 24, field("arg"),
            choose(field("arg") < 256, 24, choose(field("arg") < 65536, 25, choose(field("arg") < 1 << 32, 26, 27))),
        )
    )  # fmt: skip
    arg8: U8 | None = when(field("info") == 24, auto(field("arg")))
    arg16: U16 | None = when(field("info") == 25, auto(field("arg")))
    arg32: U32 | None = when(field("info") == 26, auto(field("arg")))
    arg64: U64 | None = when(field("info") == 27, auto(field("arg")))
    arg: U64 = computed(
        choose(
            field("info") < 24, field("info"),
            choose(
                field("info") == 24, field("arg8"),
                choose(field("info") == 25, field("arg16"), choose(field("info") == 26, field("arg32"), field("arg64"))),
            ),
        )
    )  # fmt: skip


class CBORNegative(CBORItem, when={"major": 1}):
    value: int = computed(-1 - field("arg"))


class CBORBytes(CBORItem, when={"major": 2}):
    data: Bytes = sized(field("arg"), b"")


class CBORText(CBORItem, when={"major": 3}):
    text: Text = sized(field("arg"), "")


class CBORArray(CBORItem, when={"major": 4}):
    items: tuple[CBORItem, ...] = many(count=field("arg"))


class CBORMap(CBORItem, when={"major": 5}):
    items: tuple[CBORItem, ...] = many(count=field("arg") * 2)


class CBORTag(CBORItem, when={"major": 6}):
    content: CBORItem


class CBORDocument(Header):
    item: CBORItem


def made(value: Any) -> CBORItem:
    """Return the item of a value of Python."""
    if value is None or isinstance(value, bool):
        return CBORItem(major=7, arg={False: 20, True: 21, None: 22}[value])
    if isinstance(value, int):
        return CBORItem(arg=value) if value >= 0 else CBORNegative(arg=-1 - value)
    if isinstance(value, bytes):
        return CBORBytes(arg=len(value), data=value)
    if isinstance(value, str):
        return CBORText(arg=len(value.encode()), text=value)
    if isinstance(value, list):
        return CBORArray(arg=len(value), items=tuple(map(made, value)))
    if isinstance(value, dict):
        return CBORMap(arg=len(value), items=tuple(made(one) for pair in value.items() for one in pair))
    number, content = value
    return CBORTag(arg=number, content=made(content))


def value_of(item: Any) -> Any:
    """Return what an item stands for."""
    match item:
        case CBORNegative():
            return item.value
        case CBORBytes():
            return item.data
        case CBORText():
            return item.text
        case CBORArray():
            return [*map(value_of, item.items)]
        case CBORMap():
            return dict(zip(map(value_of, item.items[::2]), map(value_of, item.items[1::2]), strict=True))
        case CBORTag():
            return item.arg, value_of(item.content)
        case _:
            return {20: False, 21: True, 22: None}[item.arg] if item.major == 7 else item.arg


EXAMPLES = [
    (0, "00"), (1, "01"), (10, "0a"), (23, "17"), (24, "1818"), (25, "1819"), (100, "1864"), (1000, "1903e8"),
    (1000000, "1a000f4240"), (1000000000000, "1b000000e8d4a51000"), (18446744073709551615, "1bffffffffffffffff"),
    (-1, "20"), (-10, "29"), (-100, "3863"), (-1000, "3903e7"), (False, "f4"), (True, "f5"), (None, "f6"),
    ((1, 1363896240), "c11a514b67b0"), ((23, bytes.fromhex("01020304")), "d74401020304"),
    ((24, b"dIETF"), "d818456449455446"), ((32, "http://www.example.com"), "d82076687474703a2f2f7777772e6578616d706c652e636f6d"),
    (b"", "40"), (bytes.fromhex("01020304"), "4401020304"), ("", "60"), ("a", "6161"), ("IETF", "6449455446"),
    ("\"\\", "62225c"), ("\u00fc", "62c3bc"), ("\u6c34", "63e6b0b4"), ("\U00010151", "64f0908591"),
    ([], "80"), ([1, 2, 3], "83010203"), ([1, [2, 3], [4, 5]], "8301820203820405"),
    ([*range(1, 26)], "98190102030405060708090a0b0c0d0e0f101112131415161718181819"), ({}, "a0"), ({1: 2, 3: 4}, "a201020304"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"), (["a", {"b": "c"}], "826161a161626163"),
    ({"a": "A", "b": "B", "c": "C", "d": "D", "e": "E"}, "a56161614161626142616361436164614461656145"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "wire"), EXAMPLES, ids=[wire[:16] for _, wire in EXAMPLES])
def test_an_example_of_the_document_is_read_and_built(value: object, wire: str) -> None:
    packet = dissect(bytes.fromhex(wire), CBORDocument)
    assert value_of(packet[CBORDocument].item) == value and not packet.faults and not packet.payload
    assert bytes(CBORDocument(item=made(value))).hex() == wire


def test_an_edit_deep_inside_changes_the_form_of_the_argument() -> None:
    packet = dissect(bytes.fromhex("8301820203820405"), CBORDocument)
    edited = packet.replace({"cbordocument.item.cborarray.items[1].cborarray.items[0].arg": 1000})
    assert bytes(edited).hex() == "8301821903e803820405"


def test_an_argument_longer_than_needed_goes_out_as_it_came() -> None:
    packet = dissect(bytes.fromhex("8219000118021a00000003"), CBORDocument)
    assert value_of(packet[CBORDocument].item) == [1, 2] and bytes(packet).hex() == "8219000118021a00000003"


def test_damage_is_a_fault_where_it_is() -> None:
    packet = dissect(bytes.fromhex("8301820263"), CBORDocument)
    assert packet.faults and bytes(packet).hex() == "8301820263"
