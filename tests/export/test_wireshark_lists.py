"""Lists of values that tell their own size, as tshark reads them with the dissector that is written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest

from packetlab import (
    U8,
    BuildError,
    Ether,
    Header,
    QuicInt,
    Rest,
    VarInt,
    ZigZagInt,
    auto,
    bindings,
    count_of,
    dissect,
    field,
    labels,
    many,
    size_of,
    wireshark,
)
from tests.conftest import need
from tests.declare.test_own_kinds import Varint
from tests.export.pdml import Tshark, compare
from tests.export.test_wireshark_places import damaged


def test_values_that_tell_their_own_size(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class ListNumbers(Header, under=Ether, when={"type": 0x7BB0}):
            n: U8 = auto(count_of("sizes"))
            sizes: tuple[VarInt, ...] = many(count=field("n"))
            count: U8 = auto(count_of("steps"))
            steps: tuple[ZigZagInt, ...] = many(count=field("count"))
            size: U8 = auto(size_of("quic"))
            quic: tuple[QuicInt, ...] = many(size=field("size"))
            end: U8 = 7

        class ListNames(Header, under=Ether, when={"type": 0x7BB1}):
            n: U8 = auto(count_of("names"))
            names: tuple[Annotated[str, labels()], ...] = many(count=field("n"))
            rest: Rest = b""

        packets = [
            Ether() / ListNumbers(sizes=(1, 300, 1 << 60), steps=(-1, 5, -(1 << 40)), quic=(1, 20000)),
            Ether() / ListNumbers(),
            Ether() / ListNames(names=("example.com", "lab", "."), rest=b"abc"),
        ]
        tshark = Tshark(tmp_path, ListNumbers, ListNames)
        compare(tshark, [*damaged(packets, 51)])
        shown = [
            [
                (one.get("name"), one.get("show"))
                for layer in layers
                for one in layer.iter("field")
                if one.get("name", "").endswith(".value")
            ]
            for layers in tshark.ask(packets)
        ]
        for packet, values in zip(packets, shown, strict=True):
            header: Any = dissect(bytes(packet)).layers[1]
            lists = [f for f in header._fields if f.kind.element is not None]
            assert values == [
                (f"{type(header).__name__.lower()}.{f.name}.value", str(one))
                for f in lists
                for one in getattr(header, f.name)
            ]


def test_those_of_a_kind_of_ones_own_are_refused() -> None:
    with bindings():

        class ListOwn(Header):
            n: U8 = auto(count_of("values"))
            values: tuple[Annotated[int, Varint()], ...] = many(count=field("n"))

        with pytest.raises(
            BuildError,
            match=r"ListOwn\.values: expected a field that Lua reads: values that tell their own size are read by Python",
        ):
            wireshark(ListOwn)
