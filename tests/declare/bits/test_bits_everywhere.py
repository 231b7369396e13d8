"""Fields at any bit in columns, filters, patterns, edits, variations, descriptions, bridges and drawn headers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings

from packetlab import (
    U1,
    U2,
    U4,
    U5,
    U12,
    U16,
    UDP,
    Capture,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    Writer,
    auto,
    bindings,
    bits,
    contains,
    count_of,
    declare_from,
    default,
    describe,
    diagram,
    dissect,
    field,
    has,
    malformed,
    many,
    spare_bits,
    strategies,
    when,
    width_of,
    wireshark,
)
from packetlab.declare import registry
from packetlab.packet.offsets import field_offsets
from packetlab.schema.dump import described
from packetlab.schema.source import class_body
from tests.conftest import amount


class HighBitsNibble(Header, in_bits=True):
    a: U1 = 0
    b: U12 = 5


class HighBits(Header, under=Ether, when={"type": 0x7BA6}):
    f: U1 = auto(has("x"))
    x: U12 = when(field("f"))
    n: U4 = auto(count_of("v"))
    v: tuple[U4, ...] = many(count=field("n"))
    w: U5 = auto(width_of("value"))
    value: Annotated[int, bits(field("w"))] = 0
    m: U2 = auto(count_of("nibs"))
    nibs: tuple[HighBitsNibble, ...] = many(count=field("m"))
    s: int = spare_bits()
    tail: U16 = 7


class LowBitsNibble(Header, in_bits=True, bit_order="low"):
    a: U1 = 0
    b: U12 = 5


class LowBits(Header, under=Ether, when={"type": 0x7BA7}, bit_order="low"):
    f: U1 = auto(has("x"))
    x: U12 = when(field("f"))
    n: U4 = auto(count_of("v"))
    v: tuple[U4, ...] = many(count=field("n"))
    w: U5 = auto(width_of("value"))
    value: Annotated[int, bits(field("w"))] = 0
    m: U2 = auto(count_of("nibs"))
    nibs: tuple[LowBitsNibble, ...] = many(count=field("m"))
    s: int = spare_bits()
    tail: U16 = 7


BOTH = pytest.mark.parametrize(("cls", "nib"), [(HighBits, HighBitsNibble), (LowBits, LowBitsNibble)])


def packets(cls: Any, nib: Any) -> list[Any]:
    return [
        dissect(bytes(Ether() / cls(x=0xABC, v=(1, 2, 3), value=300, nibs=(nib(b=9), nib(a=1))) / b"more")),
        dissect(bytes(Ether() / cls(v=(7,), value=3))),
    ]


def recorded(path: Path, cls: Any, nib: Any) -> Capture:
    with Writer(path / "bits.pcap") as out:
        for packet in packets(cls, nib):
            out.write(packet)
    return Capture(path / "bits.pcap")


@BOTH
def test_columns(tmp_path: Path, cls: Any, nib: Any) -> None:
    names = [f"{cls.__name__.lower()}.{one}" for one in ("x", "v", "value", "tail", "s", "nibs.b")]
    table = recorded(tmp_path, cls, nib).table(*names)
    assert [[*table[name]] for name in names] == [[0xABC, 0], [(1, 2, 3), (7,)], [300, 3], [7, 7], [0, 0], [9, 0]]


@BOTH
def test_filters_and_patterns(tmp_path: Path, cls: Any, nib: Any) -> None:
    capture, name = recorded(tmp_path, cls, nib), cls.__name__.lower()
    for test, count in (
        ("x == 2748", 1), ("x > 9", 1), ("value in {3 300}", 2), ("v == 7", 1), ("w >= 2", 2), ("nibs.b == 9", 1), ("tail == 7", 2),
    ):  # fmt: skip
        assert len([*capture.where(f"{name}.{test}")]) == count, test
    for pattern, count in ((cls(x=0xABC), 1), (cls(value=3), 1), (cls(v=(7,)), 1), (cls(nibs=contains(nib(a=1))), 1)):
        assert len([*capture.where(pattern)]) == count


@BOTH
def test_edits_differences_and_why(cls: Any, nib: Any) -> None:
    packet, name = packets(cls, nib)[0], cls.__name__.lower()
    for path, value in (("value", 5), ("v", (9,)), ("x", 1), ("nibs.b", 77), ("tail", 1)):
        other = dissect(bytes(packet.replace({f"{name}.{path}": value})))
        assert not other.faults and other.payload == b"more"
        head, _, inner = path.partition(".")
        got = getattr(other[cls], head)
        assert (got[0].b if inner else got) == value
        assert f"{name}.{head}" in str(packet.diff(other)).lower()
    shorter = dissect(bytes(packet.replace({f"{name}.value": 5})))[cls]
    assert (shorter.w, shorter.value) == (3, 5), "the width follows"
    assert "width_of(value) = 9" in str(packet.why(cls, "w"))
    assert packet == dissect(bytes(packet)) and packet.encode() == bytes(packet)


@BOTH
def test_places_are_those_of_the_bits(cls: Any, nib: Any) -> None:
    packet = packets(cls, nib)[0]
    data = bytes(packet)
    places = {span.field.name: span for span in field_offsets(packet).spans if span.layer == 1}
    at = [places[name].bit - 112 for name in ("f", "x", "n", "v", "w", "value", "m", "nibs", "s", "tail")]
    assert at == [0, 1, 13, 17, 29, 34, 43, 45, 71, 72]
    assert {name: places[name].number(data) for name in ("x", "w", "value", "m")} == {
        "x": 0xABC,
        "w": 9,
        "value": 300,
        "m": 2,
    }


@BOTH
def test_variations(cls: Any, nib: Any) -> None:
    packet, name = packets(cls, nib)[0], cls.__name__.lower()
    some = [dissect(bytes(one))[cls] for one in packet.vary(40, {f"{name}.x": range(40)})]
    assert [one.x for one in some] == [*range(40)] and {one.value for one in some} == {300}
    some = [dissect(bytes(one))[cls] for one in packet.vary(3, {f"{name}.tail": [1, 2, 3]})]
    assert [one.tail for one in some] == [1, 2, 3]


@pytest.mark.parametrize("cls", [HighBits, LowBits])
def test_drawn_headers_read_back(cls: Any) -> None:
    @settings(max_examples=amount(30, 300), deadline=None)
    @given(strategies.headers(cls))
    def holds(header: Any) -> None:
        assert dissect(bytes(header), cls)[cls] == header

    holds()


@BOTH
def test_malformed_packets_give_the_faults_that_are_expected(cls: Any, nib: Any) -> None:
    for case in malformed(packets(cls, nib)[0]):
        assert case.disagreements() == []


@BOTH
def test_both_travel_as_data_and_as_source(cls: Any, nib: Any) -> None:
    descriptions = described([cls])
    with bindings():
        for one in (cls, nib):
            registry.unregister(one._declaration)
        again = {one.__name__: one for one in declare_from(descriptions)}
        assert [describe(one) for one in again.values()] == descriptions
        assert bytes(again[cls.__name__](x=3, v=(1,))) == bytes(cls(x=3, v=(1,)))
    with bindings():
        for one in (cls, nib):
            registry.unregister(one._declaration)
        names: dict[str, Any] = {**globals()}
        for description in descriptions:
            exec(class_body(description), names)
        assert described([names[cls.__name__]]) == descriptions


@BOTH
def test_others(cls: Any, nib: Any) -> None:
    packet = packets(cls, nib)[0]
    assert bytes(packet.to_scapy()) == bytes(packet.to_dpkt()) == bytes(packet)
    assert 'sort = "wide"' in wireshark(cls)
    assert "value" in str(diagram(cls))


class BitsBefore(Header, under=UDP, when={"dport": 7787}):
    far: U1 = auto(has("x"))
    x: U12 = when(field("far"))
    askew: IPv4Address = default("10.0.0.9")
    spare: int = spare_bits()
    whole: IPv4Address = default("10.0.0.8")


def test_addresses_are_rewritten_after_bits_and_counted_as_left_among_them(tmp_path: Path) -> None:
    with Writer(tmp_path / "before.pcap") as out:
        for one in (BitsBefore(), BitsBefore(x=5)):
            out.write(Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(dport=7787) / one)
    rewritten = Capture(tmp_path / "before.pcap").rewrite(ip={"10.0.0.0/8": "192.168.0.0/16"})
    packets = [frame.packet() for frame in rewritten]
    assert [(str(one[BitsBefore].askew), str(one[BitsBefore].whole)) for one in packets] == [("10.0.0.9", "192.168.0.8")] * 2
    assert [one[BitsBefore].x for one in packets] == [None, 5] and all(one[UDP].checksum for one in packets)
    assert rewritten.left == {"BitsBefore.askew, which does not begin with a byte": 2}
