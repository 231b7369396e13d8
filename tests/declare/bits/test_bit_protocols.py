"""Protocols whose fields begin at any bit, held against others that read or write them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Annotated

import pytest

from packetlab import (
    F32,
    MAC,
    U1,
    U2,
    U3,
    U4,
    U5,
    U6,
    U7,
    U8,
    U10,
    U12,
    U16,
    U24,
    U32,
    Bytes,
    Frame,
    Header,
    U16le,
    Writer,
    auto,
    bits,
    count_of,
    default,
    dissect,
    field,
    has,
    many,
    size_of,
    sized,
    spare_bits,
    when,
)
from tests.protocols.oracle import Ask

# ASN.1 by the unaligned packed encoding rules (ITU-T X.691) ------------------------------------------------------


class Point(Header, in_bits=True):
    """SEQUENCE { x INTEGER (-512..511), y INTEGER (-512..511), z INTEGER (0..100) OPTIONAL }; numbers count from their least."""

    has_z: U1 = auto(has("z"))
    x: U10 = 512
    y: U10 = 512
    z: U7 | None = when(field("has_z"))


class Report(Header):
    has_range: U1 = auto(has("range"))
    kind: U3 = 0
    range: U12 | None = when(field("has_range"))
    grades_count: U4 = auto(count_of("grades"))
    grades: tuple[U4, ...] = many(count=field("grades_count"))
    moving: U1 = 0
    points_count: U3 = auto(count_of("points") - 1)
    points: tuple[Point, ...] = many(count=field("points_count") + 1, value=(Point(),))
    name_size: U5 = auto(size_of("name"))
    name: Bytes = sized(field("name_size"), b"")
    spare: int = spare_bits()


def point(x: int, y: int, z: int | None = None) -> Point:
    return Point(x=x + 512, y=y + 512, z=z)


@pytest.mark.parametrize(
    ("sent", "encoded"),  # as asn1tools 0.167 writes them
    [
        (Report(kind=3, grades=(1, 2, 3), moving=1, points=(point(-1, 5),), name=b"ab"), "3312383ff028985880"),
        (Report(kind=5, range=0xABC, points=(point(-512, 511, 100), point(0, 0))), "dabc01801ffe44010000"),
        (
            Report(
                range=1, grades=(15,) * 15, moving=1, points=tuple(point(i, -i, i) for i in range(8)), name=b"packed"
            ),
            "8001fffffffffffffffffc010000c02ff81c04ff02c06fe83c08fe04c0afd85c0cfd06c0efc8733830b1b5b2b200",
        ),
    ],
)
def test_packed_encoding_rules_of_asn1(sent: Report, encoded: str) -> None:
    assert bytes(sent).hex() == encoded
    read = dissect(bytes.fromhex(encoded), Report)
    assert read[Report] == sent and not read.faults and bytes(read).hex() == encoded


# A game ----------------------------------------------------------------------------------------------------------


class Entity(Header, in_bits=True, bit_order="low"):
    """What changed of one entity: flags, then what they say, each as narrow as it may be."""

    number: U10 = 0
    moved: U1 = auto(has("x"))
    turned: U1 = auto(has("angle"))
    x: F32 | None = when(field("moved"))
    y: F32 | None = when(field("moved"))
    angle: U12 | None = when(field("turned"))


class Snapshot(Header, bit_order="low"):
    sequence: U16le = 0
    width: U4 = 8
    health: Annotated[int, bits(field("width"), signed=True)] = 100
    count: U6 = auto(count_of("entities"))
    entities: tuple[Entity, ...] = many(count=field("count"))
    spare: int = spare_bits()


class ByHand:
    """A writer of bits, the lowest first."""

    def __init__(self) -> None:
        self.whole = self.size = 0

    def add(self, number: int, size: int) -> ByHand:
        self.whole |= (number & (1 << size) - 1) << self.size
        self.size += size
        return self

    def bytes(self) -> bytes:
        return self.whole.to_bytes(-(-self.size // 8), "little")


def number_of(value: float) -> int:
    return int.from_bytes(struct.pack("<f", value), "little")


def test_a_game_snapshot() -> None:
    sent = Snapshot(
        sequence=513,
        health=-3,
        entities=(Entity(number=7, x=1.5, y=-2.0), Entity(number=1000, angle=0xABC), Entity(number=1)),
    )
    hand = ByHand().add(513, 16).add(8, 4).add(-3, 8).add(3, 6)
    hand.add(7, 10).add(1, 1).add(0, 1).add(number_of(1.5), 32).add(number_of(-2.0), 32)
    hand.add(1000, 10).add(0, 1).add(1, 1).add(0xABC, 12)
    hand.add(1, 10).add(0, 1).add(0, 1)
    assert bytes(sent) == hand.bytes()
    read = dissect(bytes(sent) + b"next", Snapshot)
    assert read[Snapshot] == sent and read.payload == b"next"
    assert [one.x for one in read[Snapshot].entities] == [1.5, None, None]


# Signals of a CAN bus --------------------------------------------------------------------------------------------


class Engine(Header, bit_order="low"):
    """Signals of Intel's byte order, as a DBC file says them: ``SG_ speed : 0|13@1+``, ``torque : 13|11@1-``, a multiplexed one."""

    speed: Annotated[int, bits(13)] = 0
    torque: Annotated[int, bits(11, signed=True)] = 0
    mux: U2 = 0
    boost: Annotated[int, bits(14)] | None = when(field("mux") == 1, 0)
    oil: Annotated[int, bits(9)] | None = when(field("mux") == 2, 0)
    warm: Annotated[int, bits(5)] | None = when(field("mux") == 2, 0)
    unused: Annotated[int, bits(14)] | None = when((field("mux") == 0) | (field("mux") == 3), 0)
    rest: U24 = 0


def signal(data: bytes, start: int, size: int) -> int:
    """A signal as the formula of DBC files has it: a number of the whole frame, lowest byte first."""
    return int.from_bytes(data, "little") >> start & (1 << size) - 1


def test_multiplexed_signals_of_a_can_frame() -> None:
    for mux, names in ((0, {}), (1, {"boost": (26, 14)}), (2, {"oil": (26, 9), "warm": (35, 5)})):
        sent = Engine(speed=5000, torque=-700, mux=mux, **{name: 3 * size for name, (_, size) in names.items()})
        data = bytes(sent)
        assert len(data) == 8
        assert (signal(data, 0, 13), signal(data, 13, 11), signal(data, 24, 2)) == (5000, -700 & 0x7FF, mux)
        for name, (start, size) in names.items():
            assert signal(data, start, size) == 3 * size == getattr(dissect(data, Engine)[Engine], name)


# Spanning tree ---------------------------------------------------------------------------------------------------


class Tree(Header):
    """A BPDU in one header: a topology change notification has nothing but its type (IEEE 802.1D-2004 clause 9.3.2)."""

    protocol: U16 = 0
    version: U8 = 0
    type: U8 = 0
    acknowledged: U1 = when(field("type") != 0x80, 0)
    between: U6 = when(field("type") != 0x80, 0)
    change: U1 = when(field("type") != 0x80, 0)
    root_priority: U4 = when(field("type") != 0x80, 8)
    root_extension: U12 = when(field("type") != 0x80, 0)
    root: MAC = when(field("type") != 0x80, default("02:00:00:00:00:01"))
    cost: U32 = when(field("type") != 0x80, 0)


def test_tshark_reads_a_tree_whose_bits_may_be_absent(tshark: Ask, tmp_path: Path) -> None:
    frames = []
    for one in (Tree(change=1, root_extension=0x123, cost=9), Tree(type=0x80), Tree(acknowledged=1, root_priority=15)):
        body = (
            b"\x42\x42\x03"
            + bytes(one)
            + (bytes(10) + bytes.fromhex("8001 0000 1400 0200 0f00") if one.type == 0 else b"")
        )
        frames.append(bytes.fromhex("0180c2000000 020000000009") + struct.pack(">H", len(body)) + body)
        assert dissect(body[3:], Tree)[Tree] == one
    with Writer(tmp_path / "tree.pcap") as out:
        for frame in frames:
            out.write(Frame(frame))
    names = "type", "flags.tcack", "flags.tc", "root.prio", "root.ext", "root.cost"
    rows = tshark(tmp_path / "tree.pcap", *(f"stp.{name}" for name in names))
    found = [
        [{"False": 0, "True": 1}.get(cell, int(cell, 0) if cell[:1].isdigit() else None) for cell in row]
        for row in rows
    ]
    assert found == [[0, 0, 1, 32768, 0x123, 9], [0x80, *[None] * 5], [0, 1, 0, 61440, 0, 0]]
