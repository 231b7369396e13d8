"""Traffic made to cost much: reassembly is linear in its bytes, and what it keeps stays within its documented limits."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from packetlab import IDP, SPP, TCP, Capture, Control, Ether, Frame, IPv4, IPv4Flags
from packetlab.capture.reassembly import Conversations, EventKind, Fragments, Streams, fragments as machine
from packetlab.capture.reassembly.fragments import LEVELS
from tests.capture.reassembly.segments import ACK, FIN, PSH, RST, SYN, Line
from tests.capture.reassembly.test_fragments import four, frames_of, put, six
from tests.growth import is_linear, peak, steps


def notes_of(frames: list[Frame], **limits: Any) -> tuple[int, int]:
    """Put fragments together; return how many datagrams came, and how many different events they have in all."""
    found = put(frames, **limits)
    return len(found), sum(len(events) for events in {id(one.events): one.events for one in found}.values())


# Fragments -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("measure", [steps, peak])
@pytest.mark.parametrize("data", [lambda i: b"datadata", lambda i: b"%08d" % i], ids=["copies", "conflicts"])
def test_fragments_of_a_datagram_that_never_is_whole(measure: Any, data: Any) -> None:
    is_linear(notes_of, lambda n: frames_of([four(8 * (i % 8), data(i), True) for i in range(n)]), 200, measure)


@pytest.mark.slow
@pytest.mark.parametrize("measure", [steps, peak])
def test_streams_of_fragments_that_are_never_whole(measure: Any) -> None:
    def make(count: int) -> Capture:
        part = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2", id=7, flags=IPv4Flags.MORE_FRAGMENTS)
        return Capture.of([part / TCP(sport=9, dport=80, seq=i) / b"datadata" for i in range(count)])

    is_linear(lambda capture: [stream.events for stream in capture.streams()], make, 80, measure)


@pytest.mark.slow
def test_what_is_beyond_the_end_does_not_make_a_datagram_be_looked_through_anew() -> None:
    def make(count: int) -> list[Frame]:
        reported = [four(0, bytes(8), True), four(16, bytes(8), False)]  # the bytes 8 to 16 are missing
        return frames_of(reported + [four(24 + 16 * (i % 2000), bytes(8), True) for i in range(count)])

    is_linear(notes_of, make, 120)
    found = put(frames_of([four(0, bytes(8), True), four(16, bytes(8), False), four(24, bytes(16), True)]))
    assert {one.whole for one in found} == {False}
    later = frames_of(
        [four(24, bytes(16), True), four(0, bytes(8), True), four(16, b"lastlast", False), four(8, bytes(8), True)]
    )
    assert [bytes(one)[34:] for one in put(later)] == [bytes(16) + b"lastlast"]


@pytest.mark.slow
def test_notes_and_copies_count_in_the_memory_of_fragments() -> None:
    frames = frames_of([four(8 * (i % 8), b"%08d" % (i // 8), True) for i in range(4000)])
    fragments = Fragments(memory=500_000)
    given = [made for frame in frames for made in fragments.receive(frame)]
    assert len(given) > 3000
    assert any("500000 bytes of memory" in str(event) for event in given[0].events)
    again = frames_of([four(0, bytes(1400), True)] * 4000)
    assert peak(lambda: [Fragments(memory=500_000).receive(frame) for frame in again]) < 3_000_000


def test_datagrams_that_were_refused_count_in_the_memory_too() -> None:
    fragments = Fragments(memory=200_000)
    for i in range(2000):
        for data in (b"datadata", b"otherdat"):
            fragments.receive(Frame(six(0, data, True, id=i), 0))
    assert len(fragments._sets) < 200


def test_whole_datagrams_are_remembered_up_to_a_number_of_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "REMEMBERED", 1000)
    fragments = Fragments()
    for i in range(600):
        for raw in (four(0, bytes(8), True, id=i), four(8, bytes(8), False, id=i)):
            fragments.receive(Frame(raw, i))
    assert sum(len(known) for _, _, known in fragments._done.values()) == fragments._remembered == 1000


@pytest.mark.slow
def test_datagrams_in_datagrams_are_put_together_so_many_times() -> None:
    def nested(levels: int) -> list[bytes]:
        """Return frames of which the last completes a datagram whose data is a fragment that completes another ..."""
        packet, ends = b"innermost" + bytes(7), []
        for level in range(levels):
            ip = IPv4(src="10.0.0.1", dst="10.0.0.2", id=level, protocol=4 if level else 253)
            ends.append(bytes(Ether() / ip.replace(fragment_offset=len(packet) // 8) / bytes(8)))
            packet = bytes(ip.replace(flags=IPv4Flags.MORE_FRAGMENTS) / packet)
            packet += bytes(-len(packet) % 8)
        return [*ends, bytes(Ether(type=0x800)) + packet]

    *_, last = put(frames_of(nested(LEVELS)))
    assert last.whole
    (reported,) = [one for one in put(frames_of(nested(1000))) if one.events[-1].kind is EventKind.LIMIT]
    assert not reported.whole
    assert str(reported.events[-1]) == f"limit, {LEVELS} datagrams in one another"


# Streams ---------------------------------------------------------------------------------------------------------


def conflicting(count: int, whole: int = 1400) -> list[Frame]:
    """Return segments of one byte, and then others that lie upon them and differ."""
    line = Line()
    line.open()
    for at in range(count):
        line.put(at, b"a")
    for at in range(0, count, whole // 4):
        line.put(at, b"b" * whole)
    return line.frames


@pytest.mark.slow
@pytest.mark.parametrize("measure", [steps, peak])
def test_segments_that_differ_from_many_others(measure: Any) -> None:
    is_linear(lambda frames: [stream.events for stream in Capture.of(frames).streams()], conflicting, 700, measure)


def test_conflicts_beside_one_another_are_one_note() -> None:
    line = Line()
    line.open()
    for at, data in enumerate((b"ab", b"cd", b"ef", b"gh")):
        line.put(2 * at, data)
    line.put(0, b"XXXXefXX")
    line.put(0, b"Y")
    (stream,) = Capture.of(line.frames).streams()
    assert [str(event) for event in stream.events if event.kind is EventKind.CONFLICT] == [
        "frame 8: client conflict, 4 bytes at 0, the bytes of 2 frames, 4 to 5, stay",
        "frame 8: client conflict, 2 bytes at 6, the bytes of frame 7 stay",
        "frame 9: client conflict, 1 bytes at 0, the bytes of frame 4 stay",
    ]
    assert stream.client.data == b"abcdefgh"


@pytest.mark.parametrize("kind", ["zero window", "conflicts", "keep-alive", "resets"])
def test_notes_count_in_the_memory_of_streams(kind: str) -> None:
    line = Line()
    line.open()
    line.put(0, b"ab" * 1000)
    line.put(0, flags=ACK, back=True, ack=2000)
    for _ in range(4000):
        if kind == "zero window":
            line.put(2000, flags=ACK, window=0)
        elif kind == "keep-alive":
            line.put(1999, flags=ACK)
        elif kind == "resets":
            line.put(2000, flags=RST)
        else:
            line.put(0, b"b" * 1400)
    streams = Streams(memory=200_000)
    most = parts = noted = 0
    for frame in line.frames:
        done = streams.take(frame)
        parts += len(done)
        noted += sum(len(stream.events) for stream in done)
        most = max(most, sum(stream.cost for stream in streams._alive.values()))
    noted += sum(len(stream.events) for stream in streams.end())
    assert parts > 3
    assert most < 300_000
    assert noted >= 4000  # nothing is lost


def syn(number: int, flags: int = SYN) -> Frame:
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    raw = bytes(Ether() / IPv4(src=address, dst="10.0.0.2") / TCP(sport=9, dport=80, flags=flags, seq=1))
    return Frame(raw, 0, number=number)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [SYN, RST, ACK])
def test_a_flood_of_flows_costs_as_much_each_and_keeps_to_the_memory(flags: int) -> None:
    def flood(count: int) -> list[Frame]:
        return [syn(i, flags) for i in range(count)]

    def run(frames: list[Frame]) -> Streams:
        streams = Streams(memory=600_000)
        done = sum(len(streams.take(frame)) for frame in frames)
        assert done + len(streams._alive) >= len(frames)
        assert len(streams._alive) <= 300
        assert len(streams._ending) <= len(streams._alive)
        return streams

    is_linear(run, flood, 300)
    given = flood(3000)
    assert peak(lambda: run(given)) < 1_500_000


@pytest.mark.slow
def test_streams_that_are_over_go_though_the_clock_of_the_capture_stands_still() -> None:
    streams = Streams(memory=1_000_000)
    for i in range(2000):
        number = 60 * i
        for flags, data in ((SYN, b""), (ACK | PSH, bytes(3000)), (ACK | FIN, b""), (RST, b"")):
            raw = bytes(Ether() / IPv4(src=f"10.1.{i >> 8}.{i & 255}", dst="10.0.0.2")
                        / TCP(sport=9, dport=80, flags=flags, seq=1 if flags & SYN else 2) / data)  # fmt: skip
            streams.take(Frame(raw, 0, number=number))
    assert len(streams._ending) == len([stream for stream in streams._alive.values() if stream.over]) < 400


def shuffled(count: int) -> Iterator[Frame]:
    line = Line()
    line.open()
    order = list(range(count))
    random.Random(1).shuffle(order)
    for at in order:
        line.put(at * 10, bytes(10))
    return iter(line.frames)


@pytest.mark.slow
def test_segments_in_any_order_cost_as_much_each() -> None:
    is_linear(lambda frames: list(Capture.of(frames).streams()), lambda n: list(shuffled(n)), 120)


# SPP -------------------------------------------------------------------------------------------------------------


def spp(seq: int, data: bytes = b"data", source: int = 1, **fields: Any) -> Frame:
    header = SPP(seq=seq % 65536, source_id=source, destination_id=fields.pop("destination", 2), **fields)
    packet = Ether() / IDP(src=f"1#020000000001#{3000 + source}", dst="1#020000000002#4000") / header / data
    return Frame(bytes(packet), 0)


def request(count: int) -> list[Frame]:
    return [spp(0, b"", source=1 + i, destination=0, control=Control.SYSTEM | Control.SEND_ACK) for i in range(count)]


def differing(count: int) -> list[Frame]:
    return [spp(0), *[spp(0, b"%04d" % i) for i in range(count)]]


def backwards(count: int) -> list[Frame]:
    return [spp(0), *[spp(10 * (i // 9) + 10 - i % 9) for i in range(count)]]


def attentions(count: int) -> list[Frame]:
    return [spp(i, b"x", control=Control.ATTENTION) for i in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("measure", [steps, peak])
@pytest.mark.parametrize("make", [request, differing, backwards, attentions])
def test_spp_costs_as_much_a_packet(make: Any, measure: Any) -> None:
    def reported(frames: list[Frame]) -> None:
        for conversation in Capture.of(frames).conversations():
            assert conversation.events is not None
            assert conversation.messages is not None

    is_linear(reported, make, 70, measure)


@pytest.mark.slow
@pytest.mark.parametrize("make", [request, differing, attentions])
def test_conversations_keep_to_the_memory(make: Any) -> None:
    conversations = Conversations(memory=400_000)
    most = 0
    for frame in make(4000):
        conversations.take(frame)
        most = max(most, sum(one.cost for one in conversations._alive.values()))
    assert most < 500_000
    assert len(conversations._ends) < 500
