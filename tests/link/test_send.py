"""Bulk sending: everything arrives, each conversation in order, and the report counts exactly what was refused."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from packetlab import TCP, UDP, VLAN, BuildError, Capture, Ether, Frame, IPv4, IPv6, Lab, memory_wire, replay, send
from packetlab.bulk.batch import Batch
from packetlab.capture.batch import FrameBatch
from packetlab.capture.flows.numbers import flow_numbers
from packetlab.link.replay.send import _paced, _Sending
from tests.conftest import CORPUS

TO = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")


def frame(sport: int, number: int, size: int = 0) -> bytes:
    udp = UDP(sport=sport, dport=9) / (number.to_bytes(4, "big") + bytes(size))
    return bytes(TO / IPv4(src="10.9.0.1", dst="10.9.0.2") / udp)


def linked(lab: Lab, mtu: int = 1500):
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, mtu=mtu)
    return a.interface, b.interface


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 3, None])
def test_everything_arrives_and_each_conversation_in_order(lab: Lab, workers: int | None) -> None:
    port, other = linked(lab)
    frames = [frame(1000 + i % 7, i) for i in range(3000)]
    arrived: list[bytes] = []
    for first in range(0, len(frames), 300):  # as many as the other's queue holds on any machine
        report = send(Batch.of(frames[first : first + 300]), onto=port, workers=workers)
        assert (report.sent, report.failed, report.failures) == (300, 0, {})
        arrived += [got.data for got in other.capture(count=300, timeout=5)]
    assert sorted(arrived) == sorted(frames)
    flows = defaultdict(list)
    for data in arrived:
        flows[data[34:36]].append(int.from_bytes(data[42:46], "big"))
    assert len(flows) == 7 and all(numbers == sorted(numbers) for numbers in flows.values())
    if workers == 1:
        assert arrived == frames


def test_refused_frames_are_counted_by_reason_and_the_rest_goes_on(lab: Lab) -> None:
    port, other = linked(lab, mtu=300)
    frames = [frame(i, i, 400 if i % 3 == 0 else 0) for i in range(90)] + [b"short"]
    report = send(frames, onto=port, workers=2)
    assert report.sent == 60 and report.failed == 31 and sum(report.failures.values()) == 31
    assert sorted(report.failures.values()) == [1, 30] and any("MTU" in reason for reason in report.failures)
    assert report.bytes == sum(len(data) for data in frames if 5 < len(data) < 400)
    assert len(list(other.capture(count=60, timeout=5))) == 60
    assert "31 frames, the first:" in str(report) and "30 x " in str(report)


def test_whatever_has_bytes_can_be_sent() -> None:
    packet = TO / IPv4() / UDP() / b"x"
    a, b = memory_wire()
    with a, b:
        for things, count in (
            (packet, 1), (bytes(packet), 1), ([packet, bytes(packet), Frame(bytes(packet))], 3), (Batch.of([packet] * 5), 5),
            (Capture.of([Frame(bytes(packet))] * 6), 6), (iter([packet, Batch.of([packet, packet]), packet]), 4), ([], 0),
            (Capture(CORPUS / "web.pcap"), 24),
        ):  # fmt: skip
            report = send(things, onto=a)
            assert report.sent == count and len(b.take()) == count


def test_batches_may_lie_anywhere_in_their_buffer(lab: Lab) -> None:
    port, other = linked(lab)
    data = np.frombuffer(bytes(TO) + bytes(range(200)), np.uint8)
    batch = Batch(data, [0, 0, 0], [60, 214, 100])  # one template, sent at three lengths
    assert send(batch, onto=port, workers=1).sent == 3
    assert [got.data for got in other.capture(count=3, timeout=5)] == list(batch)


@pytest.mark.slow
def test_a_rate_is_kept(lab: Lab) -> None:
    port, other = linked(lab)
    send([frame(i % 5, i) for i in range(10)], onto=port, workers=2)  # what is loaded for the first delays it alone
    assert len(list(other.capture(count=10, timeout=5))) == 10
    begun = time.time_ns()
    report = send([frame(i % 5, i) for i in range(201)], onto=port, rate=10_000.0, workers=2)
    assert report.sent == 201 and report.duration_ns >= 19_000_000
    passed = sorted(got.time_ns - begun for got in other.capture(count=201, timeout=5))
    # Pieces of ten go out when the first of them is due, or later where the machine is busy.
    assert all(after >= (i // 10 - 1) * 1_000_000 for i, after in enumerate(passed)) and passed[-1] >= 19_000_000


def test_pieces_that_are_late_together_do_not_go_out_at_once() -> None:
    """The first piece takes a while, in which others come due: they go by the clock that begins after it."""
    onto, _ = memory_wire()
    pieces = _paced([Batch.of([b"x"] * 50)], 1000.0, None, onto)
    next(pieces)
    late = time.monotonic_ns() + 50_000_000
    while (begun := time.monotonic_ns()) < late:
        pass  # it is handed out
    rest = sum(len(piece) for piece in pieces)
    assert rest == 49 and time.monotonic_ns() - begun >= 48_000_000


def test_threads_are_waited_for_that_get_no_processor_for_their_end(monkeypatch) -> None:
    work = _Sending.work

    def slow(sending: _Sending, number: int) -> None:
        work(sending, number)
        time.sleep(0.5)

    monkeypatch.setattr(_Sending, "work", slow)
    onto, _ = memory_wire()
    assert send([b"x"] * 10, onto).sent == 10
    assert [one.name for one in threading.enumerate() if one.name == "packetlab send"] == []


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"rate": 0.0}, {"rate": float("nan")}])
def test_workers_and_rate_are_above_zero(wrong) -> None:
    a, _ = memory_wire()
    with pytest.raises(BuildError, match="above 0"):
        send([b"x"], onto=a, **wrong)


def test_a_closed_port_and_a_broken_source_are_reported(lab: Lab) -> None:
    port, other = linked(lab)

    def broken():
        yield Batch.of([frame(1, 1)] * 10)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        send(broken(), onto=port, workers=2)
    assert len(list(other.capture(count=10, timeout=5))) == 10
    port.close()
    with pytest.raises(OSError, match="expected an open port"):
        send([frame(1, 1)] * 10000, onto=port, workers=2)


def test_replay_at_top_speed_takes_count_loop_and_workers(lab: Lab, tmp_path: Path) -> None:
    port, other = linked(lab)
    path = tmp_path / "some.pcapng"
    Capture.of([Frame(frame(i % 4, i), i) for i in range(50)]).write(path)
    for capture in (Capture(path), list(Capture(path)), Capture(path).where(pcap="udp")):
        reported: list[tuple[int, int]] = []

        def tell(sent: int, now: int, reported=reported) -> None:
            reported.append((sent, now))

        report = replay(capture, onto=port, topspeed=True, count=30, loop=3, workers=2, progress=tell)
        assert report.sent == 90 and reported[-1] == (-1, 0)
        arrived = [got.data for got in other.capture(count=90, timeout=5)]
        assert sorted(arrived) == sorted([frame(i % 4, i) for i in range(30)] * 3)


# Which packets belong together --------------------------------------------------------------------------------


@pytest.mark.slow
@given(st.ip_addresses(), st.data(), st.integers(0, 65535), st.integers(0, 65535), st.sampled_from([TCP, UDP]))
def test_both_directions_have_one_number(source, data, sport: int, dport: int, transport) -> None:
    destination = data.draw(st.ip_addresses(v=source.version))
    ip = IPv4 if source.version == 4 else IPv6
    tags = [VLAN(id=i) for i in range(data.draw(st.integers(0, 2)))]

    def one(src, dst, sport, dport, macs) -> bytes:
        packet = ip(src=str(src), dst=str(dst)) / transport(sport=sport, dport=dport)
        for tag in tags:
            packet = tag / packet
        return bytes(Ether(dst=macs[0], src=macs[1]) / packet)

    macs = ("02:00:00:00:00:02", "02:00:00:00:00:01")
    there, back = one(source, destination, sport, dport, macs), one(destination, source, dport, sport, macs[::-1])
    other = one(source, destination, sport ^ 1, dport, macs)
    numbers = flow_numbers(Batch.of([there, back, other])).tolist()
    assert numbers[0] == numbers[1]
    assert numbers[0] != numbers[2] or sport ^ 1 == dport


@pytest.mark.slow
def test_the_packets_of_a_tcp_stream_have_one_number_and_streams_differ(tshark) -> None:
    for name in ("web.pcap", "4KHttpRequests.pcap", "mime-header-size-limit.pcap.gz", "raw_ip.pcap"):
        rows = tshark(CORPUS / name, "tcp.stream", "icmp")
        batches = list(Capture(CORPUS / name).batches())
        numbers = [number for batch in batches for number in flow_numbers(batch).tolist()]
        streams = defaultdict(set)
        for (stream, icmp), number in zip(rows, numbers, strict=True):
            if stream and not icmp:
                streams[stream].add(number)
        assert all(len(found) == 1 for found in streams.values())
        assert len(set.union(set(), *streams.values())) == len(streams)


def test_fragments_go_by_addresses_and_what_is_no_ip_by_its_macs() -> None:
    first = TO / IPv4(src="10.0.0.1", dst="10.0.0.2", flags=1, protocol=17) / bytes(16)
    later = TO / IPv4(src="10.0.0.1", dst="10.0.0.2", fragment_offset=2, protocol=17) / bytes(range(16))
    back = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02", type=0x600) / b"b"
    ether = [TO.replace(type=0x600) / b"a", back, TO.replace(type=0x88B5) / b"a"]
    numbers = flow_numbers(Batch.of([bytes(first), bytes(later), *map(bytes, ether)])).tolist()
    assert numbers[0] == numbers[1] and numbers[2] == numbers[3] and len(set(numbers)) == 3


@pytest.mark.slow
@given(st.lists(st.binary(max_size=70), max_size=8), st.sampled_from([1, 101, 12, 113, 9]))
def test_any_bytes_have_a_number(packets: list[bytes], linktype: int) -> None:
    numbers = flow_numbers(Batch.of(packets), linktype).tolist()
    alone = [flow_numbers(Batch.of([packet]), linktype).tolist()[0] for packet in packets]
    assert numbers == alone  # whatever lies beside a packet does not matter


def test_each_frame_goes_by_the_link_type_of_its_own() -> None:
    packet = bytes(IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2))
    mixed = FrameBatch.of([Frame(bytes(TO.replace(type=0x800)) + packet), Frame(packet, linktype=101)])
    assert len(set(flow_numbers(mixed).tolist())) == 1
