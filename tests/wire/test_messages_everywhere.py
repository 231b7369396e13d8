"""Messages of streams through the rest: columns and filters, variations, malformed packets, strategies, bridges, diff."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    TCP,
    U8,
    U16,
    Bytes,
    Capture,
    Ether,
    Frame,
    Header,
    IPv4,
    Malformed,
    Packet,
    Text,
    Writer,
    auto,
    bindings,
    const,
    dissect,
    ended,
    malformed,
    size_of,
)
from packetlab.export.strategies import packets
from tests.conftest import amount

PORT = 7453


@pytest.fixture(scope="module", autouse=True)
def declared() -> Iterator[None]:
    global Msg, Note, Chunk, Whole
    with bindings():

        class Msg(Header, under=TCP, when={"dport": PORT}, stream=True):
            type: U8 = 22
            version: U16 = const(0x0303)
            length: U16 = auto(size_of("payload"))

        class Note(Header, under=Msg, when={"type": 21}):
            level: U8 = 1

        class Chunk(Header, under=TCP, when={"dport": PORT + 1}, stream=True):
            size: U16 = auto(size_of("data"))
            data: Bytes = b""

        class Whole(Header, under=TCP, when={"dport": PORT + 2}, stream=True):
            size: U16 = auto(size_of("self") + size_of("payload"))
            kind: U8 = 0

        class Phrase(Header, under=TCP, when={"dport": PORT + 3}, stream=True):
            text: Text = ended(b"\n")

        yield


def segment(data: bytes, port: int = PORT) -> Packet:
    return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=9, dport=port) / data


@pytest.mark.slow
def test_rows_are_frames_and_see_the_first_message(tmp_path: Path) -> None:
    rand = random.Random(3)
    datas = []
    for _ in range(300):
        whole = b"".join(bytes(Msg(type=rand.choice([21, 22, 23])) / bytes(rand.randrange(1, 5))) for _ in range(rand.randrange(3)))
        start = rand.choice([0, 0, 0, 1, 3])
        datas.append(whole[start : len(whole) - rand.choice([0, 0, 1, 3])])
    file = tmp_path / "rows.pcap"
    with Writer(file) as writer:
        for i, data in enumerate(datas):
            writer.write(Frame(bytes(segment(data, PORT + (i % 4 == 3))), i))
    names = ("msg.type", "msg.length", "note.level", "chunk.size", "tcp.dport", "faults")
    for engine in ("rows", "loops"):
        try:
            columns = Capture(file).table(*names, engine=engine).read()
        except Exception as error:  # the extra is not installed
            if "numba" in str(error):
                continue
            raise
        for i, packet in enumerate(Capture(file).packets()):
            for name, cls, field in (("msg.type", Msg, "type"), ("msg.length", Msg, "length"), ("note.level", Note, "level")):
                header = packet.get(cls)
                value = getattr(header, field) if header is not None else None
                assert (columns[name][i] if value is not None else None) == value, (i, name, packet)
    for words in ("msg.type == 23", "msg", "not msg and tcp", "chunk.size > 3", "note.level == 0"):
        chosen = [frame.number for frame in Capture(file).where(words)]
        assert chosen == [f.number for f in Capture(file) if pl.compile_filter(words)(f.packet())]


@pytest.mark.parametrize("kind", ["payload", "self", "total", "inner", "line"])
def test_malformed_packets_have_no_false_faults(kind: str) -> None:
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
    sound = {
        "payload": low / TCP(sport=9) / Msg() / b"abc",
        "self": low / TCP(sport=9) / Chunk(data=b"abc"),
        "total": low / TCP(sport=9) / Whole() / b"abc",
        "inner": low / TCP(sport=9) / Msg() / Note(),
        "line": dissect(bytes(segment(b"hello\n", PORT + 3))),
    }[kind]
    cases: list[Malformed] = [*malformed(sound)]
    assert cases
    assert [(str(case), case.disagreements()) for case in cases if case.disagreements()] == []


def test_a_message_by_itself_is_malformed_like_any_header() -> None:
    assert [(str(case), case.disagreements()) for case in malformed(Msg() / b"abc") if case.disagreements()] == []


def test_variations_keep_further_messages() -> None:
    two = dissect(bytes(segment(bytes(Msg(type=1) / b"a") + bytes(Msg(type=2) / b"b"))))
    rows = [*two.vary(3, {(Msg, 0, "type"): [7, 8, 9]})]
    assert [[m[Msg].type for m in dissect(bytes(row)).messages(Msg)] for row in rows] == [[7, 2], [8, 2], [9, 2]]
    assert all(not dissect(bytes(row)).faults for row in rows)


def test_diff_names_further_messages() -> None:
    one, other = (dissect(bytes(segment(bytes(Msg() / b"a") + bytes(Msg(type=t) / b"b")))) for t in (1, 2))
    assert "further" in str(one.diff(other))
    assert "trailer" not in str(one.diff(other))


@settings(max_examples=amount(25, 1000), deadline=None)
@given(data=st.data())
def test_packets_are_drawn_that_read_back(data: st.DataObject) -> None:
    packet = data.draw(packets(Ether, IPv4, TCP, data.draw(st.sampled_from([Msg, Chunk, Whole]))))
    assert dissect(bytes(packet)) == packet
    assert not dissect(bytes(packet)).faults


def test_bridges_keep_all_bytes() -> None:
    two = dissect(bytes(segment(bytes(Msg(type=1) / b"a") + bytes(Msg(type=2) / b"b"))))
    assert bytes(two.to_scapy()) == bytes(two)
    assert bytes(two.to_dpkt()) == bytes(two)
