"""What a class says of its payload's size: a negative size is an unknown one, whichever branch it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import packetlab as pl
from packetlab import (
    U8,
    Capture,
    Ether,
    Frame,
    Header,
    Payload,
    bindings,
    choose,
    field,
)
from packetlab.codec.lenient import walk
from packetlab.declare import registry


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


def frame(raw: bytes) -> bytes:
    return bytes(Ether(type=0x88B5)) + raw


def read(header: Any, raw: bytes) -> tuple[str, bytes, bytes, list[str]]:
    packet = pl.dissect(frame(raw))
    assert bytes(packet) == frame(raw)
    return repr(packet[header]), packet.payload, packet.trailer, [str(fault) for fault in packet.faults]


FLAG, N = field("flag"), field("n")
SIZES = [
    choose(FLAG == 1, N - 4, -1),
    choose(FLAG == 1, -1, N - 4),
    choose(FLAG == 1, choose(N > 3, N, -1), -2),
    N - 2,
]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("tail", [False, True])
def test_compiled_readers_and_columns_know_an_unknown_size_as_the_careful_reader_does(size: Any, tail: bool) -> None:
    class X(Header, under=Ether, when={"type": 0x88B5}, payload_size=size):
        flag: U8 = 1
        n: U8 = 4
        if tail:
            body: Payload
            z: U8 = 9

    raws = [bytes([flag, n]) + b"abcdef"[:more] for flag in (0, 1) for n in (0, 2, 3, 4, 6, 255) for more in range(4)]
    compiled = [read(X, raw) for raw in raws]
    columns = Capture.of([Frame(frame(raw)) for raw in raws]).table("x.n", "faults", *(["x.z"] if tail else []))
    assert columns["faults"].tolist() == [len(faults) for _, _, _, faults in compiled]
    if tail:
        packets = [pl.dissect(frame(raw)) for raw in raws]
        assert columns["x.z"].tolist() == [packet[X].z or 0 for packet in packets]
    X._decode = staticmethod(lambda data, start, end, ctx: walk(X._declaration, data, start, end, ctx))
    for raw, found in zip(raws, compiled, strict=True):
        registry.changed()  # or what often came would be read by a function of its own
        assert found == read(X, raw)


def test_a_negative_size_leaves_all_to_the_payload_and_nothing_of_the_header() -> None:
    class X(Header, under=Ether, when={"type": 0x88B5}, payload_size=choose(field("flag") == 1, field("n") - 4, -1)):
        flag: U8 = 1
        n: U8 = 4

    for _ in range(40):  # by itself, and as a stack that came often
        assert read(X, b"\1\0abcd") == ("X(flag=1, n=0)", b"abcd", b"", [])
    assert read(X, b"\1\6abcd")[1:] == (b"ab", b"cd", [])


def test_a_frame_cut_before_its_trailer_has_a_fault_and_no_byte_of_the_header_as_trailer() -> None:
    class X(Header, under=Ether, when={"type": 0x88B5}, payload_size=choose(field("a") == 1, 2, -1)):
        a: U8 = 0
        body: Payload
        z: U8 = 9

    for _ in range(40):
        assert read(X, b"\0") == ("X(a=0)", b"", b"", ["X.z: expected 1 bytes at offset 15, got 0"])
    assert read(X, b"\0\5") == ("X(a=0, z=5)", b"", b"", [])
