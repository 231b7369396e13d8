"""TCP streams against the bytes they were cut from, and against tshark and PcapPlusPlus."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import GRE, ICMP, TCP, VLAN, Capture, CaptureError, Ether, Frame, IPv4, TCPFlags
from packetlab.capture.reassembly import EventKind, Streams
from tests.answers import tshark
from tests.capture.reassembly.segments import ACK, FIN, RST, SYN, Line, together
from tests.conftest import CORPUS, ORACLE, amount, need, oracle

SAID = [path.name.removesuffix(".streams.json") for path in sorted(ORACLE.glob("*.streams.json"))]


@pytest.mark.parametrize("name", SAID)
def test_streams_are_the_oracles(name: str) -> None:
    rows = oracle(name, ".tcp")
    lost = {row["tcp.stream"] for row in rows if row["tcp.analysis.lost_segment"]}
    streams = {stream.number: stream for stream in Capture(CORPUS / name, strict=False).streams()}
    reported = json.loads((ORACLE / f"{name}.streams.json").read_text())
    assert {str(number) for number in streams} == set(reported)
    for number, said in reported.items():
        stream = streams[int(number)]
        ends = {_node(end): end for end in (stream.client, stream.server)}
        for i in "01":
            end = ends[said[f"node{i}"]]
            if number in lost:
                continue
            # tshark leaves out what the capture cut off; here that is a hole, and what is after it a further run.
            raw = b"".join(data for _, data in end.runs())
            assert (len(raw), hashlib.sha256(raw).hexdigest()) == (said[f"len{i}"], said[f"sha{i}"])
            cut = any(event.kind == "cut" for event in end.events)
            # Where only one direction was captured, the other is one hole, as far as it was acknowledged.
            assert bool(end.holes) == cut or not end.size
            assert end.data == raw or cut


def _node(end) -> str:
    return f"[{end.address}]:{end.port}" if ":" in str(end.address) else f"{end.address}:{end.port}"


@pytest.mark.parametrize("name", SAID)
def test_retransmissions_keep_alives_and_zero_windows_are_the_oracles(name: str) -> None:
    columns = {
        "tcp.analysis.retransmission": {EventKind.RETRANSMISSION, EventKind.OVERLAP},
        "tcp.analysis.keep_alive": {EventKind.KEEP_ALIVE},
        "tcp.analysis.zero_window": {EventKind.ZERO_WINDOW},
        "tcp.analysis.out_of_order": {EventKind.OUT_OF_ORDER},
    }
    events = [event for stream in Capture(CORPUS / name, strict=False).streams() for event in stream.events]
    for column, kinds in columns.items():
        reported = {int(row["frame.number"]) for row in oracle(name, ".tcp") if row[column]}
        assert {event.number for event in events if event.kind in kinds} == reported


def test_bytes_in_the_order_of_delivery_are_those_of_pcapplusplus() -> None:
    (stream,) = Capture(CORPUS / "one_http_stream_fin.pcap").streams()
    expected = (ORACLE / "one_http_stream_fin.pcap.output.txt").read_bytes()
    assert b"".join(said for _, _, said in stream.turns()) == expected
    assert [end.role for end, _, _ in stream.turns()] == ["client", "server"]
    assert stream.whole and stream.over == "FIN"


def test_a_hole_is_where_the_oracle_misses_a_segment() -> None:
    name = "unidirectional_tcp_stream_with_missing_packet.pcap"
    (stream,) = Capture(CORPUS / name).streams()
    (end,) = (end for end in (stream.client, stream.server) if end.size)
    (hole,) = end.holes
    # The bytes after it are there too, and nothing twice.
    assert end.size == sum(int(row["tcp.len"]) for row in oracle(name, ".tcp"))
    assert len(list(end.runs())) == 1 + (hole.offset > 0) and hole.size > 0 and not stream.whole


# Any order, any cut --------------------------------------------------------------------------------------------

CONTENT = bytes(range(251)) * 2
cuts = st.lists(st.tuples(st.integers(0, 480), st.integers(1, 60)), max_size=25)
numbers = st.sampled_from([0, 1000, 2**31 - 100, 2**32 - 300, 2**32 - 1, 2**32 - 2])


def union(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for start, end in sorted((start, min(start + size, len(CONTENT))) for start, size in parts):
        if runs and start <= runs[-1][1]:
            runs[-1] = (runs[-1][0], max(runs[-1][1], end))
        else:
            runs.append((start, end))
    return runs


@given(cuts, numbers, st.booleans(), st.booleans())
def test_segments_in_any_order_give_every_byte_once_and_exact_holes(parts, first, six, keep) -> None:
    line = Line(first, six=six)
    line.open()
    for start, size in parts:
        line.put(start, CONTENT[start : start + size])
    (stream,), pieces = together(line.frames, keep=keep)
    runs = union(parts)
    assert list(stream.client.runs()) == [(start, CONTENT[start:end]) for start, end in runs]
    expected = [(a, b - a) for (_, a), (b, _) in pairwise([(0, 0), *runs]) if b > a]
    assert [(hole.offset, hole.size) for hole in stream.client.holes] == expected
    reported = [(event.offset, event.size) for event in stream.client.events if event.kind == EventKind.HOLE]
    assert reported == expected
    # Piece by piece nothing comes twice, and each comes when all before it was there or given up.
    assert [(piece.offset, piece.data) for _, piece in pieces] == [
        (piece.offset, piece.data) for piece in stream.client.pieces
    ]
    assert not [event for event in stream.client.events if event.kind == EventKind.CONFLICT]


@given(st.permutations(range(0, 500, 50)), numbers)
def test_without_a_syn_the_lowest_byte_is_the_first(order, first) -> None:
    line = Line(first)
    for start in order:
        line.put(start, CONTENT[start : start + 50])
    (stream,), _ = together(line.frames)
    assert [data for _, data in stream.client.runs()] == [CONTENT[:500]]
    assert stream.client.data == CONTENT[:500] and not stream.client.synced
    assert next(event.kind for event in stream.events) == "midstream"


@given(st.permutations(range(0, 300, 50)), numbers)
def test_a_syn_captured_late_still_says_where_the_stream_begins(order, first) -> None:
    line = Line(first)
    line.put(order[0], CONTENT[order[0] : order[0] + 50])
    line.put(-1, flags=SYN)
    for start in order[1:]:
        line.put(start, CONTENT[start : start + 50])
    (stream,), _ = together(line.frames)
    assert list(stream.client.runs()) == [(0, CONTENT[:300])] and stream.client.synced


@given(cuts, st.integers(0, 400), st.integers(1, 60))
def test_of_bytes_that_differ_the_first_stay_and_the_note_says_where(parts, start, size) -> None:
    line = Line()
    line.open()
    for at, length in parts:
        line.put(at, CONTENT[at : at + length])
    wrong = bytes(255 - byte for byte in CONTENT[start : start + size])
    line.put(start, wrong)
    (stream,), _ = together(line.frames)
    seen = {byte for a, b in union(parts) for byte in range(a, b)}
    expected = bytes(
        CONTENT[byte] if byte in seen else wrong[byte - start]
        for byte in sorted(seen | set(range(start, start + size)))
    )
    assert b"".join(data for _, data in stream.client.runs()) == expected
    clashes = [event for event in stream.events if event.kind == "conflict"]
    assert {byte for event in clashes for byte in range(event.offset, event.offset + event.size)} == seen & set(
        range(start, start + size)
    )


@pytest.mark.slow
@settings(max_examples=amount(3, 50))
@given(st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=5), numbers)
def test_tshark_follows_the_same_bytes(tmp_path_factory, order, again, first) -> None:
    need("tshark")
    line = Line(first)
    line.open()
    for i in [*order, *again]:
        line.put(i * 40, CONTENT[i * 40 : i * 40 + 40])
    line.put(480, flags=FIN | ACK)
    line.put(0, flags=FIN | ACK, back=True, ack=481)
    path = tmp_path_factory.mktemp("tcp") / "x.pcap"
    Capture.of(line.frames).write(path)
    (stream,) = Capture(path).streams()
    assert stream.client.data == CONTENT[:480] == follow(path)
    assert stream.whole and stream.over == "FIN"


def follow(path: Path) -> bytes:
    done = tshark("-n", "-r", path, "-q", "-z", "follow,tcp,raw,0")
    lines = done.stdout.split("Node 1: ")[1].splitlines()[1:-1]
    return bytes.fromhex("".join(lines))


# What happened -------------------------------------------------------------------------------------------------


def kinds(line: Line, **limits) -> list[tuple[str, int, str]]:
    (stream,), _ = together(line.frames, **limits)
    return [(str(event.kind), event.number, event.by) for event in stream.events]


def test_what_happened_is_reported_with_the_frame_that_showed_it() -> None:
    line = Line()
    line.open()
    line.put(0, b"abcdef")  # 4
    line.put(0, b"abcdef")  # 5: again
    line.put(3, b"defghi")  # 6: half of it again
    line.put(12, b"mno")  # 7
    line.put(9, b"jkl")  # 8: late
    line.put(0, back=True, flags=ACK, ack=15, window=0)  # 9
    line.put(14, b"o")  # 10: asks whether the window is open
    line.put(-1, flags=SYN)  # 11
    line.put(15, flags=FIN | ACK)  # 12
    line.put(15, flags=FIN | ACK)  # 13
    line.put(16, b"more")  # 14
    line.put(20, flags=FIN | ACK)  # 15
    line.put(0, flags=RST | ACK, back=True)  # 16
    assert kinds(line) == [
        ("retransmission", 5, "client"),
        ("overlap", 6, "client"),
        ("out of order", 8, "client"),
        ("zero window", 9, "server"),
        ("keep-alive", 10, "client"),
        ("repeated SYN", 11, "client"),
        ("repeated FIN", 13, "client"),
        ("beyond FIN", 14, "client"),
        ("moved FIN", 15, "client"),
        ("reset", 16, "server"),
    ]
    (stream,), _ = together(line.frames)
    assert stream.client.data == b"abcdefghijklmno" and stream.client.fin == 15 and stream.over == "RST"


def test_the_sequence_number_wraps_and_that_is_reported() -> None:
    line = Line(first=2**32 - 4)
    line.open()
    line.put(0, b"ab")
    line.put(2, b"def")
    assert kinds(line) == [("sequence wrap", 5, "client")]


def test_bytes_that_were_acknowledged_and_never_captured_are_a_hole() -> None:
    line = Line()
    line.open()
    line.put(0, b"abc")
    line.put(0, back=True, flags=ACK, ack=9)
    (stream,), _ = together(line.frames)
    (hole,) = stream.client.holes
    assert (hole.offset, hole.size, hole.acknowledged) == (3, 6, True)


def test_bytes_behind_a_hole_come_when_too_many_wait_and_what_is_late_comes_all_the_same() -> None:
    line = Line()
    line.open()
    line.put(5, b"x" * 2000)
    line.put(2005, b"y" * 2000)
    line.put(0, b"hello")
    (stream,), pieces = together(line.frames, window=3000)
    assert [(piece.offset, len(piece.data)) for _, piece in pieces] == [(5, 2000), (2005, 2000), (0, 5)]
    assert stream.client.data == b"hello" + b"x" * 2000 + b"y" * 2000 and not stream.client.holes
    assert ("hole", 5, "client") in kinds(line, window=3000)


def test_a_syn_with_another_number_begins_another_stream() -> None:
    line, other = Line(1000), Line(700_000)
    line.open()
    line.put(0, b"one")
    other.open()
    other.put(0, b"two")
    streams, _ = together([*line.frames, *other.frames])
    assert [(s.number, s.client.data, s.over) for s in streams] == [
        (0, b"one", "a new connection"),
        (1, b"two", "end of the capture"),
    ]


def test_who_sent_the_syn_is_the_client_else_who_has_the_higher_port() -> None:
    line = Line()
    line.put(0, b"hello", back=True)
    (stream,), _ = together(line.frames)
    assert (stream.client.port, stream.server.port, stream.server.data) == (40000, 80, b"hello")
    line = Line()
    line.put(-1, flags=SYN, back=True)  # from port 80 to port 40000
    (stream,), _ = together(line.frames)
    assert stream.client.port == 80


def test_a_stream_that_is_over_comes_out_before_the_capture_ends() -> None:
    line = Line()
    line.open()
    line.put(0, flags=FIN | ACK)
    line.put(0, flags=FIN | ACK, back=True, ack=1)
    streams = Streams(linger=4.0)
    for frame in line.frames:
        streams.receive(frame)
    assert streams.finished() == []
    far = Line(six=True)
    far.time_ns = line.time_ns + 5 * 10**9
    far.put(-1, flags=SYN)
    assert [stream.over for stream in streams.take(far.frames[0])] == ["FIN"]


def test_what_waited_in_a_stream_comes_with_the_very_frame_that_ends_it() -> None:
    line, other = Line(1000), Line(700_000)
    line.open()
    line.put(5, b"behind a hole")
    other.put(-1, flags=SYN)
    streams = Streams(keep=False)
    assert not any(streams.receive(frame) for frame in line.frames)
    assert [piece.data for _, piece in streams.receive(other.frames[0])] == [b"behind a hole"]


def test_segments_in_tunnels_count_and_those_quoted_in_icmp_do_not() -> None:
    inner = IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2, flags=TCPFlags.ACK) / b"data"
    packets = [
        Ether() / VLAN() / IPv4(src="1.1.1.1", dst="2.2.2.2") / GRE() / inner,
        Ether() / IPv4(src="10.0.0.9", dst="10.0.0.1") / ICMP(type=3) / inner,
    ]
    (stream,), _ = together(Frame(bytes(packet), 0, number=i) for i, packet in enumerate(packets, 1))
    assert (stream.frames, stream.client.size + stream.server.size) == (1, 4)


def test_what_a_damaged_file_held_is_not_lost(tmp_path: Path) -> None:
    line = Line()
    line.open()
    line.put(0, b"hello")
    path = tmp_path / "cut.pcap"
    Capture.of(line.frames).write(path)
    path.write_bytes(path.read_bytes() + bytes(7))
    streams = []
    with pytest.raises(CaptureError):
        streams.extend(stream.client.data for stream in Capture(path).streams())
    # `extend` keeps what came before the error.
    assert streams == [b"hello"]


# Memory --------------------------------------------------------------------------------------------------------


def test_a_long_stream_comes_in_parts_that_lack_nothing() -> None:
    line = Line()
    line.open()
    for i in range(400):
        line.put(i * 1000, bytes([i % 256]) * 1000)
    parts = list(Capture.of(line.frames).streams(memory=100_000))
    assert len(parts) > 3 and {part.number for part in parts} == {0}
    assert [part.part for part in parts] == list(range(len(parts)))
    assert b"".join(part.client.data for part in parts) == b"".join(bytes([i % 256]) * 1000 for i in range(400))
    assert not any(part.client.holes for part in parts)
    assert all(part.client.size <= 120_000 for part in parts)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_capture() -> None:
    def run(rounds: int) -> int:
        streams = Streams(memory=1 << 19)
        peak = 0
        line = Line()
        for i in range(rounds):
            line.first, line.answer = i * 777_777, i * 555
            line.frames.clear()
            line.open()
            line.put(0, bytes(900))
            line.put(1000, bytes(900))
            for frame in line.frames:
                streams.take(frame)
            if i % 50 == 0:
                peak = max(peak, tracemalloc.get_traced_memory()[0])
        return peak

    tracemalloc.start()
    try:
        run(100)  # what is made once, however long a capture
        small, large = run(300), run(1200)
    finally:
        tracemalloc.stop()
    assert large < small + 300_000


@pytest.mark.slow
@given(st.data())
def test_no_bytes_whatever_make_it_fail(data) -> None:
    name = data.draw(st.sampled_from(["web.pcap", "pcapng-example.pcapng.zst", "gre-sample.pcap", "fragmented-1.pcap"]))
    frames = []
    for frame in Capture(CORPUS / name)[:40]:
        raw = bytearray(frame.data)
        for _ in range(data.draw(st.integers(0, 3))):
            if raw:
                raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(raw))) if data.draw(st.booleans()) else len(raw)
        frames.append(Frame(bytes(raw[:cut]), frame.time_ns, frame.linktype, frame.wire_length, number=frame.number))
    count = 0
    for stream in Capture.of(frames).streams(memory=20_000, window=500):
        assert sum(len(said) for *_, said in stream.turns()) == stream.client.size + stream.server.size
        assert all(hole.size > 0 for end in (stream.client, stream.server) for hole in end.holes)
        assert all(str(event) for event in stream.events)
        count += not stream.part
    assert count <= len(frames)
