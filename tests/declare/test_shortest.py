"""Coded numbers of which only the shortest form is right: a longer one is a fault at the field, and is kept as it came."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

import packetlab
from packetlab import (
    U8,
    Bytes,
    Capture,
    Ether,
    Header,
    Spelled,
    auto,
    ber_integer,
    ber_length,
    bindings,
    bits,
    count_of,
    declare_from,
    dissect,
    field,
    many,
    must,
    prefixed,
    size_of,
    sized,
    sized_int,
    varint,
)
from packetlab.schema.dump import described
from packetlab.schema.source import class_body
from tests.careful import careful
from tests.conftest import need
from tests.declare.every_output.undeclared import undeclared
from tests.export.pdml import Tshark, experts, prefix


class Item(Header):
    n: Annotated[int, varint(shortest=True)] = 1


class Bits(Header, in_bits=True):
    flag: Annotated[int, bits(4)] = 0
    n: Annotated[int, varint(shortest=True)] = 1
    rest: Annotated[int, bits(4)] = 0


class Short(Header, under=Ether, when={"type": 0x7ABD}):
    leb: Annotated[int, varint(shortest=True)] = auto(size_of("data"))
    data: Bytes = sized(field("leb"), b"")
    sleb: Annotated[int, varint(signed=True, shortest=True)] = 0
    zigzag: Annotated[int, varint(zigzag=True, shortest=True)] = 0
    high: Annotated[int, varint(high_first=True, most=4, shortest=True)] = 0
    both: Annotated[int, varint(signed=True, high_first=True, shortest=True)] = 0
    quic: Annotated[int, prefixed(shortest=True)] = 0
    ber: Annotated[int, ber_length(shortest=True)] = auto(size_of("integer"))
    integer: Annotated[int, ber_integer(shortest=True)] = sized(field("ber"), 0)
    width: U8 = auto(size_of("number"))
    number: Annotated[int, sized_int(shortest=True)] = sized(field("width"), 0)
    even: Annotated[int, varint()] = must(field("even") % 2 == 0, 0)
    several: U8 = auto(count_of("values"))
    values: tuple[Annotated[int, varint(shortest=True)], ...] = many(count=field("several"))
    n: U8 = auto(count_of("items"))
    items: tuple[Item, ...] = many(count=field("n"))


KINDS: dict[str, Any] = {f.name: f.kind for f in Short._fields if f.kind.form and f.name != "even"}
LONGER: dict[str, Any] = {
    "leb": Spelled(0, 2), "sleb": Spelled(-3, 2), "zigzag": Spelled(5, 3), "high": Spelled(1, 2), "both": Spelled(-65, 4), "quic": Spelled(63, 2),
    "ber": Spelled(1, 2), "integer": Spelled(-1, 2), "number": Spelled(7, 3), "values": [Spelled(5, 2)],
}  # fmt: skip


@pytest.mark.parametrize("name", LONGER)
def test_a_longer_form_is_a_fault_at_the_field_and_is_kept(name: str) -> None:
    built = Ether() / Short(**{name: LONGER[name]})
    wire = bytes(built)
    read = dissect(wire)
    (fault,) = read.faults
    assert (fault.layer, fault.field, fault.expected) == ("Short", name, "the shortest form") and (name == "values" or "bytes)" in fault.got)
    assert bytes(read) == wire and read == built and getattr(read[Short], name) == (LONGER[name] if name != "values" else (5,))
    assert careful(Short, wire[14:])[1] == [fault._replace(offset=fault.offset - 14)]
    assert str(fault) in str(read.show()) and Capture.of([wire]).where("faults > 0").count() == 1
    assert not dissect(bytes(read.replace(Short, **{name: int(LONGER[name]) if name != "values" else [5]}))).faults


def test_what_follows_anew_is_the_shortest() -> None:
    read = dissect(bytes(Ether() / Short(leb=Spelled(3, 4), data=b"abc")))
    assert bytes(read.replace(Short, quic=1))[14:18] == b"\x83\x80\x80\0"  # the length stays as it was
    edited = read.replace(Short, data=b"abcd")
    assert bytes(edited)[14:19] == b"\x04abcd" and not dissect(bytes(edited)).faults


def test_items_and_bits_go_on_after_a_longer_form() -> None:
    read = dissect(bytes(Ether() / Short(items=[Item(n=Spelled(1, 2)), Item(n=9)])))
    assert [str(fault).partition(" at ")[0] for fault in read.faults] == ["Short.items: expected the shortest form for Item.n"]
    assert [item.n for item in read[Short].items] == [1, 9]
    wire = bytes(Bits(n=Spelled(3, 3)))
    assert [(fault.field, fault.expected) for fault in dissect(wire, Bits).faults] == [("n", "the shortest form")] and bytes(dissect(wire, Bits)) == wire


@given(st.sampled_from(sorted(KINDS)), st.integers(0, (1 << 63) - 1), st.integers(0, 64), st.booleans(), st.integers(1, 12))
def test_a_form_is_a_fault_just_where_a_shorter_one_reads_back(name: str, number: int, shift: int, below: bool, size: int) -> None:
    """The oracle tries all sizes."""
    kind = KINDS[name]
    number = number >> shift
    number = min(max(~number if below else number, kind.low), kind.high)
    sizes = [one for one in range(11) if kind.fits(number, one)]
    spelled = [kind.packed(number, one) for one in sizes]
    forms = {one for one in spelled if (found := kind.read(one, 0, len(one))) is not None and found == (number, len(one))}
    assert kind.write(number) == min(forms, key=len)
    for form in forms:
        raw = kind.read(form, 0, len(form))[0]
        assert bool(kind.wrong(raw)) is any(len(other) < len(form) for other in forms) and kind.write(raw) == form


@given(st.binary(max_size=40))
def test_both_readers_agree_on_any_bytes(data: bytes) -> None:
    for cls in (Short, Bits):
        read = dissect(data, cls)
        header, faults = careful(cls, data)
        assert bytes(read) == data and [*read.faults][: len(faults)] == faults and (cls not in read or read[cls] == header)


def test_it_goes_into_files_and_source() -> None:
    data: Any = described([Short])
    wire = bytes(Short(**{name: value for name, value in LONGER.items() if name not in ("leb", "ber")}))
    said = [str(fault) for fault in dissect(wire, Short).faults]
    assert len(said) == 8
    with bindings():
        made = {cls.__name__: cls for cls in declare_from(data)}["Short"]
        assert described([made]) == data and [str(fault) for fault in dissect(wire, made).faults] == said
    with undeclared():
        names: dict[str, Any] = {name: getattr(packetlab, name) for name in dir(packetlab)}
        names |= {"__name__": "pasted", "Annotated": Annotated}
        shared: dict[str, None] = {}
        exec("\n\n".join([*[class_body(one, shared) for one in data]]), names)
        assert described([names["Short"]]) == data


def test_wireshark_says_the_same(tmp_path: Path) -> None:
    need("tshark")
    forms = {name: [Spelled(number, size) for number in (0, 1, 63, 64, 127, 128, 200, 16383, 70000, -1, -64, -65, -128, -129)
                    for size in range(1, 6) if KINDS[name].low <= number and KINDS[name].fits(number, size)] for name in KINDS if name not in ("ber", "leb")}  # fmt: skip
    packets = [Ether() / Short(**{name: one}) for name, some in forms.items() for one in some]
    packets += [Ether() / Short(**{name: value}) for name, value in LONGER.items()] + [Ether() / Short(even=Spelled(7, 2)), Ether() / Short(items=[Item(n=Spelled(1, 2))])]
    answers = Tshark(tmp_path, Short).ask(packets)
    differ = 0
    for packet, layers in zip(packets, answers, strict=True):
        said = [text for layer in layers if layer.get("name") == prefix(Short) for text in experts(layer, (".fault", ".cut"))]
        mine = [str(fault) for fault in dissect(bytes(packet)).faults]
        assert said == mine or (not said and "Item" in mine[0]), (said, mine)
        differ += bool(mine)
    assert 60 < differ < len(packets)
