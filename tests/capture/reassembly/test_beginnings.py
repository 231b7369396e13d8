"""Frames of a capture know whether a message of a stream begins in them: the middle of one is not read as a beginning, by nobody."""

from __future__ import annotations

import random
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

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
    Writer,
    auto,
    bindings,
    const,
    dissect,
    ended,
    ladder,
    many,
    size_of,
)
from packetlab.capture.reassembly import beginnings
from packetlab.codec.around import outer
from packetlab.protocols.streams.messages import MessageClasses
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Msg(Header, under=TCP, port=7447, stream=True):
        length: U16 = auto(size_of("payload"))
        kind: U8 = 1

    class Marked(Header, under=TCP, port=7448, stream=True):
        magic: U16 = const(0xBEEF)
        length: U16 = auto(size_of("payload"))


LOW = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
RANDOM = random.Random(5)


@pytest.fixture(autouse=True)
def _declared() -> Iterator[None]:
    with scope:
        yield


def segments(sizes: list[int], cuts: list[int], port: int = 7447, cls: Any = Msg) -> tuple[list[bytes], list[bool]]:
    """Return a SYN and segments of some messages, of sizes that repeat `cuts`, and for each whether it begins with a message."""
    stream, starts = b"", set()
    for size in sizes:
        starts.add(len(stream))
        # Nothing but numbers that are lengths of what follows: every place reads as a beginning.
        stream += bytes(cls() / (b"\0\1" * size)[:size])
    frames = [bytes(LOW / TCP(sport=50000, dport=port, flags="SYN", seq=9))]
    said, at, turn = [False], 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        frames.append(bytes(LOW / TCP(sport=50000, dport=port, flags="ACK", seq=10 + at) / stream[at : at + size]))
        said.append(at in starts)
        at, turn = at + size, turn + 1
    return frames, said


def test_one_message_over_four_segments_is_one_row_whoever_reads(tmp_path: Path) -> None:
    frames, said = segments([768, 1], [200])
    assert said == [False, True, False, False, False]
    with Writer(tmp_path / "a.pcap") as writer:
        for frame in frames:
            writer.write(frame)
    captures = [Capture.of(frames), Capture(tmp_path / "a.pcap"), Capture(BytesIO((tmp_path / "a.pcap").read_bytes()))]
    for capture in captures:
        assert [Msg in packet for packet in capture.packets()] == said
        for engine in ("rows", None):
            assert capture.table("msg.kind", "tcp.seq", engine=engine).read().text("msg.kind") == ["", "1", "", "", ""]
        assert (
            [frame.number for frame in capture.where("msg.kind >= 0")]
            == [2]
            == [frame.number for frame in capture.where(Msg)]
        )
        assert [frame.number for frame in capture.where(lambda packet: Msg in packet)] == [2]
        assert str(ladder(capture)).count("Msg") == 1
        assert [message.numbers for message in capture.messages(Msg)] == [(2, 3, 4, 5), (5,)]
    index = Capture(tmp_path / "a.pcap").index()
    assert [Msg in index[row].packet() for row in (4, 2, 1, 0, 3)] == [False, False, True, False, False]
    assert [frame.number for frame in index[2:].where(Msg)] == []


def test_the_packet_of_the_middle_is_payload_and_comes_back_byte_for_byte() -> None:
    frames, _ = segments([768], [200])
    middle = Capture.of(frames)[2].packet()
    assert (
        middle.summary() == "Ether / IPv4 / TCP / 200 bytes" and middle.payload == b"\1\0" * 100 and not middle.faults
    )
    assert bytes(middle) == frames[2] and middle.replace(TCP, seq=3)[TCP].seq == 3
    assert Msg in dissect(frames[2])  # alone, it reads as a beginning, and nothing says that it is none


@pytest.mark.parametrize("seed", range(12))
def test_any_sizes_cuts_and_order_are_told_as_they_were_made(seed: int) -> None:
    rng = random.Random(seed)
    cls, port = rng.choice([(Msg, 7447), (Marked, 7448)])
    sizes = [rng.choice([0, 1, 5, 100, 700, 3000]) for _ in range(40)]
    frames, said = segments(sizes, [rng.choice([1, 3, 7, 50, 200, 1400]) for _ in range(9)], port, cls)
    order = [0, *sorted(range(1, len(frames)), key=lambda at: at + rng.choice([0, 0, 0, 4]) * (seed % 3))]
    order += [rng.choice(order[-9:]) for _ in range(seed % 4)]  # sent again
    capture = Capture.of([frames[at] for at in order])
    assert [cls in packet for packet in capture.packets()] == [said[at] for at in order]
    assert [frame.number for frame in capture.where(cls)] == [place for place, at in enumerate(order, 1) if said[at]]
    begun = {message.numbers[0] for message in capture.messages(cls) if message.whole}
    assert seed % 3 or seed % 4 or {place for place, at in enumerate(order, 1) if said[at]} <= begun


def test_after_a_hole_no_segment_is_taken_for_a_beginning_that_is_none() -> None:
    count = 0
    for seed in range(8):
        rng = random.Random(seed)
        frames, said = segments([rng.choice([0, 40, 900]) for _ in range(30)], [rng.choice([64, 200])], 7448, Marked)
        kept = [0, *sorted(rng.sample(range(1, len(frames)), len(frames) * 3 // 4))]
        capture = Capture.of([frames[at] for at in kept])
        found = [place for place, packet in enumerate(capture.packets()) if Marked in packet]
        assert all(said[kept[place]] for place in found)
        count += len(found)
    assert count > 8


def test_two_directions_and_connections_do_not_mix_and_other_protocols_stay_as_they_were() -> None:
    one, said = segments([500, 20], [130])
    other = [bytes(Ether() / IPv4(src="10.0.0.3", dst="10.0.0.2") / frame_of(frame)) for frame in one]
    web = [bytes(LOW / TCP(sport=5, dport=80, seq=7) / b"GET / HTTP/1.1\r\n\r\n")]
    mixed = [frame for pair in zip(one, other, strict=True) for frame in pair] + web
    assert [Msg in packet for packet in Capture.of(mixed).packets()] == [
        it for pair in zip(said, said, strict=True) for it in pair
    ] + [False]


def frame_of(data: bytes) -> Any:
    packet = dissect(data)
    return packet[TCP] / bytes(data[54:])


def test_frames_are_as_they_were_where_no_header_begins_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, _ = segments([10], [5])
    assert type(Capture.of(frames)[1]) is not Frame
    monkeypatch.setitem(beginnings._streams, "any", False)  # as where none is declared
    monkeypatch.setitem(outer._declared, "any", False)
    assert type(next(iter(Capture.of(frames)))) is Frame and next(Capture.of(frames).batches()).order is None


def test_few_marks_are_kept_and_what_is_gone_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beginnings, "WINDOW", 16)
    frames, said = segments([300] * 20, [100])
    capture = Capture.of(frames)
    assert [Msg in packet for packet in capture.packets()] == said
    held = [*capture]
    assert [Msg in frame.packet() for frame in reversed(held)] == said[::-1]


def test_a_frame_whose_place_is_not_known_soon_is_read_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beginnings, "AHEAD", 2)
    frames, said = segments([300] * 4, [100])
    late = [frames[0], *frames[2:], frames[1]]  # nothing is in order before the last frame
    assert [Msg in frame.packet() for frame in Capture.of(late)][0] is False
    monkeypatch.undo()
    assert [Msg in frame.packet() for frame in Capture.of(late)] == [said[0], *said[2:], said[1]]


def test_damage_after_the_frames_is_reported_where_they_end(tmp_path: Path) -> None:
    frames, said = segments([768], [200])
    with Writer(tmp_path / "a.pcap") as writer:
        for frame in frames:
            writer.write(frame)
    data = (tmp_path / "a.pcap").read_bytes()
    (tmp_path / "a.pcap").write_bytes(data[:-3])
    capture = Capture(tmp_path / "a.pcap", strict=False)
    assert [Msg in packet for packet in capture.packets()] == said[:-1] and len(capture.faults) == 1


def test_rewriting_leaves_the_middle_of_a_message_alone() -> None:
    with bindings():

        class Named(Header, under=TCP, port=7449, stream=True):
            length: U16 = auto(size_of("payload"))
            port: U16 = 4

        frames, said = segments([300], [100], 7449, Named)
        assert [Named in packet for packet in Capture.of(frames).packets()] == said
        new = Capture.of(frames).rewrite(ip={"10.0.0.0/8": "11.0.0.0/8"})
        assert [bytes(frame.packet())[54:] for frame in new] == [frame[54:] for frame in frames]


def test_a_first_segment_whose_list_may_go_on_is_truncated() -> None:
    """It ends between two items: the message goes on."""
    with bindings():

        class Line(Header):
            line: Bytes = ended(b"\n", b"")

        class Lines(Header, under=TCP, port=7451, stream=True, last=True):
            start: U8 = 1
            lines: tuple[Line, ...] = many(until=size_of("line") == 1, value=(Line(),))

        data = bytes(Lines(lines=[Line(line=b"a"), Line(line=b"bc"), Line()]))
        for size in range(1, len(data)):
            packet = dissect(bytes(LOW / TCP(dport=7451, seq=1) / data[:size]))
            assert Lines in packet and packet.truncated, size
        assert not dissect(bytes(LOW / TCP(dport=7451, seq=1) / data)).truncated


def test_frames_that_are_added_later_are_told_too() -> None:
    frames, said = segments([300] * 4, [100])
    order = [0, 1, 2, 3, 5, 4, *range(6, len(frames))]
    capture = Capture.of([frames[at] for at in order[:5]])
    assert len([*capture.packets()]) == 5  # of the last one nothing is known, since one before it is missing
    for at in order[5:]:
        capture.append(frames[at])
    # Those that were added have their places looked for, and with them the one before them.
    assert [Msg in packet for packet in capture.packets()][5:] == [said[at] for at in order][5:]
    assert [Msg in packet for packet in capture.packets()] == [said[at] for at in order]


def test_frames_on_ports_that_nobody_declared_are_read_without_a_question_what_may_begin_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    others, _ = segments([3] * 40, [7], port=9)
    mine, said = segments([3] * 4, [7])
    for frame in others:  # a stack that comes often is read at once
        dissect(frame)
    asked: list[bytes] = []
    of = MessageClasses.__call__
    monkeypatch.setattr(MessageClasses, "__call__", lambda self, data: asked.append(data) or of(self, data))
    assert not any(Msg in packet or not packet.payload for packet in Capture.of(others[1:]).packets())
    assert not asked
    assert [Msg in packet for packet in Capture.of([*others, *mine]).packets()] == [False] * len(others) + said
    assert asked
