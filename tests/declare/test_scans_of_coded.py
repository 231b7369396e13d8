"""Coded numbers in scans: columns and filters are found without making headers, and are what headers hold."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import pytest

from packetlab import (
    S8,
    U8,
    BERLength,
    Bytes,
    Capture,
    Ether,
    Header,
    QuicInt,
    SignedVarInt,
    Spelled,
    VarInt,
    ZigZagInt,
    auto,
    ber_integer,
    ber_length,
    bindings,
    dissect,
    field,
    prefixed,
    size_of,
    sized,
    sized_int,
    varint,
    when,
)
from packetlab.bulk.columns import column
from packetlab.bulk.queries import array_names
from packetlab.bulk.scan_loop import loop_source
from packetlab.bulk.scan_rows import row_scan
from tests.conftest import amount


@pytest.fixture(scope="module")
def coded() -> Iterator[Any]:
    with bindings():

        class Coded(Header, under=Ether, when={"type": 0x88B5}):
            n: VarInt = auto(size_of("text"))
            text: Bytes = b""
            q: QuicInt = 7
            p: Annotated[int, prefixed(bits=1, sizes=(2, 3))] = 7
            z: ZigZagInt = -3
            s: SignedVarInt = -3
            m: Annotated[int, varint(high_first=True, most=5)] = 300
            b: BERLength = auto(size_of("i"))
            i: Annotated[int, ber_integer()] = sized(field("b"), 0)
            o: ZigZagInt | None = when(field("n") > 2, 7)
            w: U8 = auto(size_of("v"))
            v: Annotated[int, sized_int(4)] = sized(field("w"), 5)
            k: Annotated[int, ber_length(indefinite=True)] = auto(size_of("key"))
            key: Bytes | None = sized(field("k"), none=-1)
            end: S8 = 1

        class Above(Header, under=Coded, when={"end": 1}):
            length: BERLength = auto(size_of("self") - size_of("length"))
            x: VarInt = 5
            y: Bytes = b""

        yield Coded, Above


def packets(coded: Any, count: int, bits: int, sound: bool = False) -> list[Any]:
    """Return packets with numbers of up to so many bits, a few of them cut or damaged unless `sound`."""
    header, above = coded
    rng = random.Random(5)

    def number(most: int, signed: bool = False) -> int:
        value = rng.getrandbits(rng.randint(1, min(most, bits)))
        value = ~value if signed and rng.random() < 0.5 else value
        return value

    found = []
    for _ in range(count):
        one = header(
            text=bytes(rng.randint(0, 4)), q=Spelled(number(6), rng.choice([2, 4, 8])) if rng.random() < 0.2 else number(62),
            p=number(23), z=number(63, True), s=number(63, True), m=Spelled(3, 4) if rng.random() < 0.2 else number(35),
            i=number(63, True), v=number(32), key=rng.choice([None, b"", b"abc"]), end=rng.choice([1, 1, 2]),
        )  # fmt: skip
        data = bytes(Ether() / one / above(x=number(64), y=bytes(rng.choice([0, 5, 130]))))
        if not sound and rng.random() < 0.15:
            data = data[: rng.randint(14, len(data))]
        elif not sound and rng.random() < 0.15:
            place = rng.randrange(14, len(data))
            data = data[:place] + bytes([rng.choice([0x80, 0xFF, rng.randrange(256)])]) + data[place + 1 :]
        found.append(dissect(data))
    return found


def columns(coded: Any) -> list[Any]:
    return [column(f) for header in coded for f in header._fields]


@pytest.mark.parametrize("bits", [16, 48, 64])
def test_columns_hold_what_headers_do(coded: Any, bits: int) -> None:
    read = packets(coded, amount(60, 600), bits)
    wanted = columns(coded)
    table = Capture.of(read).table(*wanted, engine="rows").read()
    for one in wanted:
        nothing = 0 if one.form == "number" else b""
        held = [nothing if (value := one.value(packet)) is None else value for packet in read]
        assert held == list(table[one.name]), one.name


def scanned(coded: Any, read: list[Any], way: str) -> tuple[list[int], dict[str, list[Any]]]:
    """Return the rows that are left to objects, and the numbers of all others; the loop runs as plain Python."""
    wanted = [one for one in columns(coded) if one.form == "number"]
    data = np.frombuffer(b"".join(map(bytes, read)) + bytes(8), np.uint8)
    sizes = np.array([len(bytes(packet)) for packet in read])
    starts = np.cumsum(sizes) - sizes
    arrays = {
        name: np.zeros(len(read), bool if name[0] == "k" else object if way == "loops" else np.int64)
        for name in array_names(wanted)
    }
    unfit = np.zeros(len(read), bool)
    missing = np.zeros(len(read), bool)
    if way == "rows":
        row_scan(Ether._declaration, wanted)(data, starts, sizes, missing, unfit, *arrays.values())
    else:
        names: dict[str, Any] = {"int64": int}
        exec(loop_source(Ether._declaration, wanted), names)
        names["scan"](len(read), data, starts.tolist(), sizes.tolist(), missing, unfit, *arrays.values())
    values = {one.name: [*map(int, arrays[f"a_{number}"])] for number, one in enumerate(wanted)}
    return np.flatnonzero(unfit).tolist(), values


@pytest.mark.parametrize("way", ["rows", "loops"])
def test_usual_numbers_are_found_without_objects(coded: Any, way: str) -> None:
    assert scanned(coded, packets(coded, 60, 40, sound=True), way)[0] == []
    read = packets(coded, amount(80, 800), 40)
    unfit, values = scanned(coded, read, way)
    for one in columns(coded):
        for i, packet in enumerate(read):
            if one.name in values and i not in unfit:
                assert values[one.name][i] == (one.value(packet) or 0), (one.name, packet)


def test_filters_ask_for_coded_numbers(coded: Any) -> None:
    read = packets(coded, 60, 40)
    captured, header = Capture.of(read), coded[0]
    for text in (
        "coded.q == 7",
        "coded.z < 0",
        "coded.i >= 300",
        "coded.n in {0, 3}",
        "above.length == 133",
        "coded.o == 7",
    ):
        assert captured.where(text).count() == sum(Capture.of([packet]).where(text).count() for packet in read)
    assert captured.where(header(z=-1)).count() == sum(packet[header].z == -1 for packet in read if header in packet)
