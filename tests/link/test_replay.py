"""Replay: order, pace against absolute deadlines, and an honest report. No test depends on how fast a machine is."""

from __future__ import annotations

import errno
import time
from itertools import pairwise

import pytest

from packetlab import BuildError, Capture, Ether, Frame, Lab, memory_wire, replay
from packetlab.link.port import Port
from packetlab.link.replay.replay import _deadlines, _times_over
from tests.conftest import CORPUS

MS = 1_000_000


def frames(*times: int | None) -> list[Frame]:
    return [Frame(bytes(Ether() / bytes([i])), time) for i, time in enumerate(times)]


class Picky(Port):
    """A port that refuses long frames, and keeps the others."""

    name = "picky"

    def __init__(self) -> None:
        self.kept: list[bytes] = []

    def _send(self, data: bytes) -> None:
        if len(data) > 100:
            raise OSError(errno.EMSGSIZE, "too long")
        self.kept.append(data)

    def _receive(self, timeout: float | None) -> Frame | None:
        return None

    def close(self) -> None:
        pass


def due(some: list[Frame], loop: int = 1, **pace: float) -> list[int]:
    words = {"speed": 1.0, "rate": None, "mbps": None, **pace}
    return [at for at, _ in _deadlines(_times_over(some, None, loop), **words)]


def test_deadlines_keep_the_captures_own_gaps() -> None:
    assert due(frames(1000, 1500, 4000)) == [0, 500, 3000]
    assert due(frames(1000, 1500, 4000), speed=0.5) == [0, 1000, 6000]
    assert due(frames(1000, 1500), loop=3) == [0, 500, 500, 1000, 1000, 1500]


def test_deadlines_at_a_fixed_rate() -> None:
    assert due(frames(7, 7, 7), rate=1000.0) == [0, MS, 2 * MS]
    assert due(frames(0, 0, 0), mbps=1.0) == [0, 15 * 8 * 1000, 2 * 15 * 8 * 1000]


def test_frames_without_time_or_back_in_time_go_at_once() -> None:
    assert due(frames(1000, None, 500, 2000)) == [0, 0, 0, 1000]


def test_no_frame_leaves_before_its_time_and_the_report_adds_up() -> None:
    a, b = memory_wire()
    start = time.time_ns()
    with a, b:
        report = replay(frames(*(i * 2 * MS for i in range(10))), onto=a, progress=False)
        arrived = list(b.capture(count=10, timeout=1))
    assert [f.data[-1] for f in arrived] == list(range(10))
    assert report.sent == 10 and report.bytes == 150 and report.failed == 0
    assert report.duration_ns >= 18 * MS - report.lateness_ns["max"]
    assert (
        0
        <= report.lateness_ns["p50"]
        <= report.lateness_ns["p90"]
        <= report.lateness_ns["p99"]
        <= report.lateness_ns["max"]
    )
    assert report.rate == pytest.approx(10 * 1e9 / report.duration_ns)
    assert "10 frames, 150 bytes" in str(report) and "lateness  p50" in str(report)
    assert all(f.time_ns >= start + i * 2 * MS - MS for i, f in enumerate(arrived))
    assert all(one.time_ns <= other.time_ns for one, other in pairwise(arrived))


def test_refused_frames_are_counted_and_the_rest_goes_on() -> None:
    some = [Frame(bytes(20)), Frame(bytes(200)), Frame(bytes(30))]
    for pace in ({"topspeed": True}, {"speed": 1.0}):
        port = Picky()
        report = replay(some, onto=port, progress=False, **pace)
        assert (report.sent, report.failed, report.bytes) == (2, 1, 50) and len(port.kept) == 2
        assert report.first_failure == "too long" and "failed    1 frames, the first: too long" in str(report)


def test_count_loop_and_progress() -> None:
    reported: list[tuple[int, int]] = []
    port = Picky()
    report = replay(
        frames(0, 1, 2), onto=port, count=2, loop=3, progress=lambda sent, now: reported.append((sent, now))
    )
    assert report.sent == 6 and [sent for sent, _ in reported] == [1, 2, 3, 4, 5, 6, -1]


@pytest.mark.parametrize("pace", [{"speed": 0.0}, {"rate": -1.0}, {"mbps": 0.0}, {"speed": float("nan")}])
def test_a_pace_must_be_above_zero(pace: dict[str, float]) -> None:
    with pytest.raises(BuildError, match="expected a number above 0"):
        replay([], onto=Picky(), **pace)


def test_nothing_to_send_is_reported_as_such() -> None:
    report = replay([], onto=Picky(), progress=False)
    assert report.sent == 0 and report.rate == 0.0 and report.lateness_ns == {}


@pytest.mark.parametrize("pace", [{"topspeed": True}, {"rate": 20000.0}, {"speed": 1e6}])
def test_a_real_capture_crosses_a_lab_unchanged(lab: Lab, pace: dict[str, float]) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    capture = Capture(CORPUS / "one_http_stream_fin.pcap")
    report = replay(capture, onto=a.interface, progress=False, **pace)
    sent = [f.data for f in capture]
    assert report.sent == len(sent) and [f.data for f in b.interface.capture(count=len(sent), timeout=5)] == sent


def test_frames_too_long_for_the_link_do_not_stop_a_batch(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, mtu=500)
    some = [Frame(bytes(Ether() / bytes(size))) for size in (100, 1000, 100, 2000, 100)]
    report = replay(some, onto=a.interface, topspeed=True)
    assert (report.sent, report.failed) == (3, 2) and "MTU" in report.first_failure
    assert len(list(b.interface.capture(count=3, timeout=5))) == 3
