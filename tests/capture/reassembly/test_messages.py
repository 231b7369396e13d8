"""Messages out of captured streams: any cutting into segments, any order, holes, beginnings that were missed, hostile sizes."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    TCP,
    U8,
    U16,
    U32,
    BuildError,
    Bytes,
    Capture,
    Ether,
    Header,
    IPv4,
    StreamMessage,
    TCPFlags,
    Text,
    Writer,
    auto,
    bind,
    bindings,
    const,
    dissect,
    ended,
    field,
    fixed_bytes,
    many,
    size_of,
)
from packetlab.protocols.streams.message_reader import MessageReader
from tests.answers import tshark
from tests.capture.reassembly.segments import ACK, FIN, Line as Wire
from tests.conftest import amount, need

CORPUS = Path(__file__).parents[3] / "captures" / "corpus"


@pytest.fixture(scope="module", autouse=True)
def declared() -> Iterator[None]:
    global Rec, Total, Word, Plain, Items, Entry
    with bindings():

        class Rec(Header, under=TCP, when={"port": 80}, stream=True):
            type: U8 = 22
            version: U16 = const(0x0303)
            length: U16 = auto(size_of("payload"))

        class Total(Header, stream=True):
            size: U32 = auto(size_of("self") + size_of("payload"))
            kind: U8 = 0

        class Word(Header, stream=True):
            text: Text = ended(b"\r\n")
            mark: U8 = 0

        class Plain(Header, stream=True):
            size: U16 = auto(size_of("data"))
            data: Bytes = b""

        class Entry(Header):
            more: U8 = 0
            value: U16 = 0

        class Items(Header, stream=True):
            items: tuple[Entry, ...] = many(until=field("more") == 0)

        yield


def messages(wire: Wire, **limits: int) -> list[StreamMessage[Header]]:
    return [*Capture.of(wire.frames).messages(Rec, **limits)]


def recs(*sizes: int) -> list[bytes]:
    return [bytes(Rec(type=20 + i % 4) / (bytes([i % 251]) * size)) for i, size in enumerate(sizes)]


def cut(data: bytes, places: list[int]) -> list[tuple[int, bytes]]:
    edges = [0, *sorted({place % len(data) for place in places} - {0}), len(data)]
    return [(a, data[a:b]) for a, b in pairwise(edges)]


@settings(max_examples=amount(60, 600), deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=8),
    st.lists(st.integers(0, 400), max_size=12),
    st.randoms(use_true_random=False),
)
def test_any_cutting_gives_the_same_messages(sizes: list[int], places: list[int], rand: random.Random) -> None:
    data = b"".join(recs(*sizes))
    pieces = cut(data, places)
    sent = [*pieces, *rand.sample(pieces, len(pieces) // 2)]  # some are sent again
    rand.shuffle(sent)
    wire = Wire()
    wire.open()
    for offset, piece in sent:
        wire.put(offset, piece)
    found = messages(wire)
    assert [m.data for m in found] == recs(*sizes)
    assert all(m.whole and not m.faults and m.gap is None and m.by == "client" for m in found)
    at = 0
    for m in found:
        assert m.offset == at
        numbers = []
        for offset, piece in pieces:
            if offset < at + len(m.data) and offset + len(piece) > at:
                numbers.append(4 + sent.index((offset, piece)))
        assert m.numbers == tuple(numbers)
        times = {frame.number: frame.time_ns for frame in wire.frames}
        assert (m.begun_ns, m.time_ns) == (times[numbers[0]], max(times[n] for n in numbers))
        at += len(m.data)


def test_both_directions_and_what_a_message_has() -> None:
    wire = Wire()
    wire.open()
    wire.put(0, recs(3)[0])
    wire.put(0, recs(4)[0], back=True)
    wire.put(8, flags=FIN | ACK)
    question, answer = messages(wire)
    assert (question.by, answer.by) == ("client", "server")
    assert question.header == question.packet[Rec]
    assert question.header.length == 3
    assert question.packet.payload == b"\0\0\0"
    assert question.stream is answer.stream
    assert question.stream.client.port == 40000
    assert "Rec / 3 bytes" in repr(question)


def test_a_hole_is_seen_and_reading_goes_on_where_a_message_begins() -> None:
    wire = Wire()
    wire.open()
    data = b"".join(recs(10, 10, 10, 10))
    wire.put(0, data[:20])  # the second is cut by a hole
    wire.put(25, data[25:30])  # its end, which begins nothing
    wire.put(30, data[30:])
    first, left, third, fourth = messages(wire)
    assert [m.whole for m in (first, left, third, fourth)] == [True, False, True, True]
    assert left.data == data[15:20]
    assert left.faults and all(fault.cut for fault in left.faults)
    assert (third.data, fourth.data) == (data[30:45], data[45:])
    assert third.gap is not None
    assert (third.gap.kind, third.gap.offset, third.gap.size, third.gap.by) == ("hole", 20, 10, "client")
    assert "5 bytes were not captured" in third.gap.detail
    assert fourth.gap is None


def test_a_hole_after_which_nothing_begins_ends_the_direction_with_a_fault() -> None:
    wire = Wire()
    wire.open()
    wire.put(0, recs(1)[0])
    wire.put(50, b"in the middle")
    wire.put(63, b"and on")
    first, nothing = messages(wire)
    assert first.whole
    assert (nothing.whole, nothing.data) == (False, b"")
    assert nothing.gap is not None
    assert (nothing.gap.offset, nothing.gap.size) == (6, 63)
    assert "a place where a message begins" in str(nothing.faults[-1])


def test_where_the_beginning_was_missed() -> None:
    wire = Wire()
    wire.put(0, b"the end of one")
    wire.put(14, recs(5)[0])
    (found,) = messages(wire)
    assert found.data == recs(5)[0]
    assert found.gap is not None
    assert (found.gap.size, found.gap.detail) == (14, "the beginning was not captured")


def test_the_end_of_the_stream_inside_a_message() -> None:
    wire = Wire()
    wire.open()
    wire.put(0, recs(5)[0][:7], flags=FIN | ACK)
    (left,) = messages(wire)
    assert (left.whole, left.data, left.numbers) == (False, recs(5)[0][:7], (4,))
    assert left.header.length == 5


def test_without_constants_only_segments_that_are_filled_tell_of_a_beginning() -> None:
    with bindings():
        bind(Plain, under=TCP, when={"port": 81})
        wire = Wire()
        wire.put(0, b"\0\3abc" + b"\0\1x")
        wire.put(8, b"\0\3ab")
        wire.put(12, b"c")
        for frame in wire.frames:
            frame.data = (
                bytes(dissect(frame.data).replace(TCP, dport=81))
                if dissect(frame.data)[TCP].dport == 80
                else frame.data
            )
        found = [*Capture.of(wire.frames).messages(Plain)]
        assert [m.header.data for m in found] == [b"abc", b"x", b"abc"]


def test_a_message_with_a_wrong_value_is_a_fault_and_the_next_is_read() -> None:
    wire = Wire()
    wire.open()
    bad = bytearray(recs(3)[0])
    bad[1] = 9
    wire.put(0, bytes(bad[:5]))
    wire.put(5, bytes(bad[5:]) + recs(2)[0])
    wrong, right = messages(wire)
    assert wrong.whole
    assert [fault.field for fault in wrong.faults] == ["version"]
    assert right.faults == ()


def test_sizes_that_nobody_has_are_bounded() -> None:
    with bindings():
        bind(Total, under=TCP, when={"port": 82})
        wire = Wire()
        wire.open()
        wire.put(0, bytes(Total() / b"abc") + b"\xff\xff\xff\xff" + b"x" * 100)
        wire.put(112, b"y" * 100)
        frames = [
            bytes(dissect(f.data).replace(TCP, **{"dport": 82} if dissect(f.data)[TCP].dport == 80 else {"sport": 82}))
            for f in wire.frames
        ]
        found = [*Capture.of(frames).messages(Total, largest=1000)]
        assert [m.whole for m in found] == [True, False, False]
        assert "1000 bytes at most" in str(found[1].faults)
        short = bytes(Total() / b"abc") + b"\0\0\0\1" + b"x" * 100  # a size that does not hold itself
        wire = Wire()
        wire.open()
        wire.put(0, short)
        frames = [
            bytes(dissect(f.data).replace(TCP, **{"dport": 82} if dissect(f.data)[TCP].dport == 80 else {"sport": 82}))
            for f in wire.frames
        ]
        found = [*Capture.of(frames).messages(Total)]
        assert [m.whole for m in found] == [True, False]
        assert found[1].data == short[8:]
        assert "size" in [fault.field for fault in found[1].faults]


def test_memory_of_all_that_wait_is_bounded() -> None:
    wire = Wire()
    wire.open()
    wire.put(0, bytes([22, 3, 3, 0xFF, 0xFF]) + b"x" * 1000)
    wire.put(1005, b"x" * 1000)
    wire.put(2005, b"more")
    left, nothing = messages(wire, waiting=1500)
    assert (left.whole, len(left.data)) == (False, 2005)
    assert "more than 1500 bytes wait" in str(left.faults)
    assert nothing.gap is not None
    assert nothing.gap.size == 4


def test_what_is_no_stream_is_refused_with_the_way_out() -> None:
    capture = Capture.of([Ether() / IPv4() / TCP()])
    with pytest.raises(BuildError, match="stream=True"):
        capture.messages(TCP)
    with pytest.raises(BuildError, match="under=TCP"):
        capture.messages(Items)


@given(
    st.lists(st.binary(max_size=9), min_size=1, max_size=6), st.lists(st.integers(0, 300), max_size=20), st.booleans()
)
def test_readers_cut_any_sort_of_message(texts: list[bytes], places: list[int], eager: bool) -> None:
    sorts: list[list[bytes]] = [
        [bytes(Total(kind=7) / text) for text in texts],
        [bytes(Word(text=text.hex())) for text in texts],
        [bytes(Plain(data=text)) for text in texts],
        [bytes(Items(items=[*(Entry(more=1, value=b) for b in text), Entry()])) for text in texts],
    ]
    for cls, wanted in zip((Total, Word, Plain, Items), sorts, strict=True):
        reader = MessageReader(cls, 1 << 16, eager=True)
        found: list[bytes] = []
        for _, piece in cut(b"".join(wanted), places):
            reader.give(piece)
            while (message := reader.read()) is not None:
                found.append(message)
        assert found == wanted
        assert (reader.held, reader.rest(), reader.lost) == (0, b"", ())


@pytest.mark.parametrize("tail", [b"", b"\r"])
def test_looking_for_an_end_takes_time_in_proportion_to_the_bytes(tail: bytes) -> None:
    """However small the pieces: the bytes that are looked at, added up."""

    def looked(count: int) -> int:
        total = 0

        def profile(frame: object, event: str, arg: object) -> None:
            nonlocal total
            if event == "call" and frame.f_code.co_name == "look":  # type: ignore[attr-defined]
                total += len(frame.f_locals["data"])  # type: ignore[attr-defined]

        reader = MessageReader(Word, 1 << 20, eager=True)
        sys.setprofile(profile)
        try:
            for _ in range(count):
                reader.give(b"x" + tail)
                assert reader.read() is None
        finally:
            sys.setprofile(None)
        return total

    assert looked(4000) <= 5 * looked(1000) + 1000


def test_messages_of_bgp_are_those_that_tshark_finds(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class BGP(Header, under=TCP, when={"port": 179}, stream=True):
            marker: Annotated[bytes, fixed_bytes(16)] = const(b"\xff" * 16)
            length: U16 = auto(size_of("self") + size_of("payload"))
            type: U8 = 4

        rand = random.Random(7)
        # Keepalives, withdrawn routes, and route refreshes (RFC 4271, RFC 2918).
        sorts = [BGP() / b"", BGP(type=2) / b"\0\4\x18\x0a\0\0\0\0", BGP(type=5) / b"\0\1\0\1"]
        data = b"".join(bytes(rand.choice(sorts)) for _ in range(60))
        made = tmp_path / "cut.pcap"
        with Writer(made) as writer:
            at = 0
            for flags, seq in ((TCPFlags.SYN, -1), *((TCPFlags.ACK, 0) for _ in range(1))):
                writer.write(bytes(Ether() / IPv4() / TCP(sport=50000, dport=179, seq=1001 + seq, flags=flags)))
            while at < len(data):
                size = rand.choice([1, 5, 19, 40, 150])
                tcp = TCP(sport=50000, dport=179, seq=1001 + at, flags=TCPFlags.ACK)
                writer.write(bytes(Ether() / IPv4() / tcp / data[at : at + size]))
                at += size
        for file in (made, CORPUS / "bgp_vpn_rt-oobr.pcap"):
            mine: dict[int, list[int]] = {}
            for message in Capture(file).messages(BGP):
                if message.whole:
                    mine.setdefault(message.numbers[-1], []).append(message.header.type)
            lines = tshark("-r", file, "-Y", "bgp.type", "-T", "fields", "-e", "frame.number", "-e", "bgp.type").stdout.splitlines()
            assert mine == {int(n): [*map(int, types.split(","))] for n, types in (line.split("\t") for line in lines)}
            assert mine
