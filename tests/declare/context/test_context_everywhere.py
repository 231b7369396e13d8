"""Headers that go by what earlier packets told, through everything that takes headers: right, or refused by name."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import find

import packetlab as pl
from packetlab import (
    U8,
    U16,
    UDP,
    BuildError,
    Bytes,
    Capture,
    Context,
    DeclareError,
    Ether,
    Frame,
    Header,
    IPv4,
    Packet,
    Records,
    Rest,
    SimNetwork,
    auto,
    bindings,
    count_of,
    declare_from,
    describe,
    dissect,
    field,
    laid_out,
    many,
    named,
    recalled,
    sender,
    size_of,
    sized,
    through,
)
from packetlab.schema.dump import described
from packetlab.schema.source import class_body
from tests.protocols.scope import Scope


def packed(state: Any, data: bytes) -> bytes:
    return bytes(state[1].compress(data) + state[1].flush(zlib.Z_SYNC_FLUSH))


FLATE = named(
    "flate",
    lambda state, data: state[0].decompress(data),
    packed,
    state=lambda: (zlib.decompressobj(), zlib.compressobj()),
)

with (scope := Scope()):

    class Cell(Header):
        number: U8
        width: U8

    class Plan(Header, under=UDP, when={"dport": 20554}, remembers={
        ("plan", sender(), field("id")): field("cells"), ("count", sender()): count_of("cells") + 1,
    }):  # fmt: skip
        id: U8
        count: U8 = auto(count_of("cells"))
        cells: tuple[Cell, ...] = many(count=field("count"))

    class Filled(Header, under=UDP, when={"dport": 20555}):
        id: U8
        length: U8 = auto(size_of("rows"))
        rows: Records = laid_out(
            recalled("plan", sender(), field("id")), size="width", number="number", value=sized(field("length"))
        )
        extra: Bytes = sized(recalled("count", sender(), default=0), b"")
        rest: Rest = b""

    class Stream(Header, stream=True):
        length: U16 = auto(size_of("body"))
        body: Bytes = through(FLATE, sized(field("length")))


@pytest.fixture(autouse=True)
def declared() -> Iterator[None]:
    with scope:
        yield


def sent(header: Header, port: int) -> Packet:
    return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=4, dport=port) / header


@pytest.fixture
def frames(declared: None) -> list[bytes]:
    with Context():
        cells = [Cell(number=1, width=2), Cell(number=2, width=1)]
        return [bytes(sent(Plan(id=5, cells=cells), 20554)),
                bytes(sent(Filled(id=5, rows=[{1: 300, 2: 7}, {1: 1, 2: 2}], extra=b"abc", rest=b"end"), 20555))]  # fmt: skip


def read(frames: list[bytes]) -> Packet:
    context = Context()
    return [dissect(data, context=context) for data in frames][-1]


def test_views_and_edits(frames: list[bytes]) -> None:
    packet = read(frames)
    assert not packet.faults
    assert "TemplateRecord({1: 300, 2: 7})" in packet.show()
    assert "recalled('count', sender(), default=0) = 3, remembered from packet 1" in packet.why(Filled, "extra")
    assert packet == dissect(frames[1])  # by bytes
    edited = packet.replace(Filled, rows=[{1: 2, 2: 3}])
    assert bytes(edited)[42:] == bytes.fromhex("05 03 0002 03") + b"abcend"
    assert "Filled.rows" in str(packet.diff(edited))
    with pytest.raises(BuildError, match="3 bytes, as recalled"):
        bytes(packet.replace(Filled, extra=b"abcd"))
    assert [bytes(one)[-3:] for one in packet.vary(2, {"filled.rest": [b"one", b"two"]})] == [b"one", b"two"]


def test_other_libraries_get_the_same_bytes(frames: list[bytes]) -> None:
    packet = read(frames)
    assert bytes(packet.to_scapy()) == bytes(packet.to_dpkt()) == frames[1]


@pytest.mark.parametrize("header", ["Plan", "Filled"])
def test_wireshark_refuses_them_by_name(header: str) -> None:
    said = {"Plan": "Plan, remembers=", "Filled": "Filled, recalled"}[header]
    with pytest.raises(BuildError, match=f"{said}.*a header that goes by its own packet"):
        pl.wireshark({"Plan": Plan, "Filled": Filled}[header])


def test_columns_filters_and_patterns(frames: list[bytes]) -> None:
    capture = Capture.of([Frame(data) for data in frames])
    assert capture.table("filled.extra").to_numpy()["filled.extra"].tolist() == [None, b"abc"]
    assert capture.table("plan.count", "filled.id").to_numpy()["filled.id"].tolist() == [None, 5]
    for one in (
        Filled,
        Filled(extra=b"abc"),
        'filled.extra == "abc"',
        "filled.id == 5",
        Filled(rows=[{1: 300, 2: 7}, {1: 1, 2: 2}]),
    ):
        assert [frame.number for frame in capture.where(one)] == [2]


def test_they_travel_and_pasted_source_is_the_same(frames: list[bytes]) -> None:
    before = described([Plan, Filled])
    text = json.dumps(before)
    with bindings():
        source = "from packetlab import *\n" + "\n\n\n".join(class_body(one) for one in before)
    assert (
        'remembers={(\'plan\', sender(), field("id")): field("cells"), (\'count\', sender()): count_of("cells") + 1}'
        in source
    )
    scope.__exit__(None, None, None)
    try:
        with bindings():
            declare_from(json.loads(text))
            packet = read(frames)
            assert [type(one).__name__ for one in packet.layers] == ["Ether", "IPv4", "UDP", "Filled"]
            assert not packet.faults
            names = {one.__name__: one for one in map(type, packet.layers)}
            assert json.dumps(described([type(dissect(frames[0]).layers[-1]), names["Filled"]])) == text
        with bindings():
            exec(source, {"__name__": "pasted"})
            assert not read(frames).faults
    finally:
        scope.__enter__()
    with pytest.raises(DeclareError, match="code"):
        describe(Stream)


@pytest.mark.parametrize("data", [["recalled"], ["recalled", "t", [], "x"], ["recalled", 3, [], None], ["recalled", "t", ["other"], None],
                                  ["recalled", "t", [["recalled", "u", [], None]], None], ["recalled", "", [], 1]])  # fmt: skip
def test_what_makes_no_sense_in_a_file_is_refused(data: Any) -> None:
    row = {"name": "x", "kind": "bytes", "size": data}
    with bindings(), pytest.raises(DeclareError):
        declare_from([{"name": "FromFile", "fields": [row]}])


def test_drawn_values_and_malformed_packets(frames: list[bytes]) -> None:
    assert find(pl.strategies.headers(Filled), lambda header: True).rows == ()
    context = Context()
    packet = [dissect(data, context=context) for data in frames][-1]
    with context:
        for one in pl.malformed(packet):
            assert one.disagreements() == [], one
    assert [one.disagreements() for one in pl.malformed(packet)] == [[]] * len(pl.malformed(packet))  # with what it recalled


def test_messages_of_sockets_go_by_the_context_around() -> None:
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    server, client = b.socket("stream"), a.socket("stream")
    server.bind(3000)
    server.listen()
    client.connect(b.at(3000))
    other = server.accept()
    client.timeout = other.timeout = 5
    with Context():
        for _ in range(3):
            client.write(Stream(body=b"the same words again") / b"")
    with Context():
        assert [other.read_packet(Stream)[Stream].body for _ in range(3)] == [b"the same words again"] * 3
