"""Lists of values that tell their own size, as tshark reads them with the dissector that is written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest

from packetlab import (
    F32,
    F64,
    U4,
    U8,
    U12,
    UUID,
    BuildError,
    Ether,
    F64le,
    Header,
    NTPShort,
    QuicInt,
    Rest,
    UnixTime,
    VarInt,
    ZigZagInt,
    auto,
    bcd,
    bindings,
    count_of,
    dissect,
    field,
    labels,
    many,
    scaled,
    size_of,
    spare_bits,
    text as text_,
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


def test_values_of_a_fixed_size_are_shown_as_what_they_are(tmp_path: Path) -> None:
    """Floats, times, durations, scaled numbers, texts, UUIDs and packed digits, and no bytes; those of no kind are shown as bytes."""
    need("tshark")
    text = Annotated[str, text_("ascii", size=4, pad=b"\0")]
    kinds: dict[str, tuple[Any, list[Any], list[str]]] = {
        "f32": (F32, [1.5, -2.25, 1e10], ["1.5", "-2.25", "10000000000"]),
        "f64le": (F64le, [0.1], ["0.1"]),
        "scaled": (Annotated[float, scaled(16, 0.5)], [1.5, 100], ["1.5", "100"]),
        "scaledle": (Annotated[float, scaled(16, 0.5, signed=True, little=True)], [-1.5], ["-1.5"]),
        "time": (UnixTime, ["2024-01-01", "1970-01-01"], ["Jan  1, 2024 00:00:00.000000000 UTC", "Jan  1, 1970 00:00:00.000000000 UTC"]),
        "span": (NTPShort, [1.5, 2], ["1.500000000", "2.000000000"]),
        "word": (text, ["abcd", "x"], ["abcd", "x"]),
        "id": (UUID, ["6ba7b810-9dad-11d1-80b4-00c04fd430c8"], ["6ba7b810-9dad-11d1-80b4-00c04fd430c8"]),
        "digits": (Annotated[int, bcd(4)], [1234, 5], ["1234", "5"]),
    }
    with bindings():
        classes: list[Any] = []
        for number, (name, (kind, _, _)) in enumerate(kinds.items()):
            body = {"__annotations__": {"n": U8, "xs": tuple[kind, ...], "z": U8}, "n": auto(count_of("xs")), "xs": many(), "z": 9, "__module__": __name__}
            classes.append(type(Header)(f"Row{name}", (Header,), body, under=Ether, when={"type": 0x7BC0 + number}))
        packets = [Ether() / cls(xs=values) for cls, (_, values, _) in zip(classes, kinds.values(), strict=True)]
        packets += [Ether() / cls() for cls in classes]
        tshark = Tshark(tmp_path, *classes)
        compare(tshark, [*damaged(packets, 52)])
        shown = [[one.get("show") for layer in layers for one in layer.iter("field") if one.get("name", "").endswith(".value")] for layers in tshark.ask(packets)]
        assert shown == [*(wanted for _, _, wanted in kinds.values()), *([] for _ in kinds)]


def test_values_that_begin_inside_a_byte_are_shown_as_what_they_are(tmp_path: Path) -> None:
    """Floats, times, durations and scaled numbers, in both orders of bits; plain numbers as such."""
    need("tshark")
    kinds: dict[str, tuple[Any, list[Any], list[str]]] = {
        "f32": (F32, [1.5, -2.25], ["1.5", "-2.25"]),
        "f64": (F64, [0.1, -3.0], ["0.1", "-3"]),
        "scaled": (Annotated[float, scaled(12, 0.5)], [1.5, 100], ["1.5", "100"]),
        "scaledsigned": (Annotated[float, scaled(20, 0.5, signed=True)], [-1.5, 7], ["-1.5", "7"]),
        "time": (UnixTime, ["2024-01-01", "1970-01-01"], ["Jan  1, 2024 00:00:00.000000000 UTC", "Jan  1, 1970 00:00:00.000000000 UTC"]),
        "span": (NTPShort, [1.5, 2], ["1.500000000", "2.000000000"]),
        "plain": (U12, [1, 4095], ["1", "4095"]),
    }
    with bindings():
        classes: list[Any] = []
        for number, (name, (kind, _, _)) in enumerate([*kinds.items()] * 2):
            types = {"__annotations__": {"n": U4, "xs": tuple[kind, ...], "spare": int, "z": U8}}
            body = {**types, "n": auto(count_of("xs")), "xs": many(), "spare": spare_bits(), "z": 9, "__module__": __name__}
            order: Any = "low" if number >= len(kinds) else "high"
            classes.append(type(Header)(f"Bit{name}{order}", (Header,), body, under=Ether, when={"type": 0x7BE0 + number}, bit_order=order))
        packets = [Ether() / cls(xs=values) for cls, (_, values, _) in zip(classes, [*kinds.values()] * 2, strict=True)]
        tshark = Tshark(tmp_path, *classes)
        compare(tshark, [*damaged(packets, 53)])
        shown = [[one.get("show") for layer in layers for one in layer.iter("field") if one.get("name", "").endswith(".value")] for layers in tshark.ask(packets)]
        assert shown == [wanted for _, _, wanted in [*kinds.values()] * 2]


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


def test_a_list_that_is_filled_up_from_the_start_of_its_header(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class FilledPart(Header):
            size: U8 = auto(size_of("data"))
            data: Annotated[str, text_("ascii")] = ""

        class FilledUnits(Header, under=Ether, when={"type": 0x7B7A}):
            length: U8 = auto(size_of("self") // 4 - 1)
            count: U8 = 7
            parts: tuple[FilledPart, ...] = many(size=field("length") * 4 + 2, align=4, since="self", fill=b"\xff")

        class FilledCounted(Header, under=Ether, when={"type": 0x7B7B}):
            count: U8 = auto(count_of("parts"))
            parts: tuple[FilledPart, ...] = many(count=field("count"), align=4, since="self")
            end: U8 = 9

        lists = [[FilledPart(data="a" * size) for size in sizes] for sizes in ([], [0], [1, 2], [4, 4], [5])]
        sound = [Ether() / header(parts=parts) for header in (FilledUnits, FilledCounted) for parts in lists]
        assert not any(dissect(bytes(one), Ether).faults for one in sound)
        compare(Tshark(tmp_path, FilledUnits, FilledCounted), [*damaged(sound, 3)])
