"""Replay: a capture's frames onto a port, each at its time.

Deadlines are absolute: a frame that is late does not make the next one late too, and the report says how late they were.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from packetlab.bulk.batch import Batch
from packetlab.capture import Capture, Frame
from packetlab.capture.files.ending import taken
from packetlab.errors import above_zero
from packetlab.link.port import Port
from packetlab.link.replay.report import SECOND, SendReport as SendReport, Tally, progress as _progress
from packetlab.link.replay.send import Looking, batches_of, part_of, send, wait_until
from packetlab.link.waits import Stop
from packetlab.renamed import old_names

KEPT = 64 << 20  # bytes of a capture that are held to send them again


def replay(
    capture: Iterable[object],
    onto: Port,
    *,
    speed: float = 1.0,
    rate: float | None = None,
    mbps: float | None = None,
    topspeed: bool = False,
    count: int | None = None,
    loop: int = 1,
    workers: int = 1,
    progress: bool | Callable[[int, int], None] | None = None,
    stop: Stop | None = None,
) -> SendReport:
    """Send the frames of a capture onto a port that was opened by name, and report.

    Args:
        capture: frames, or whatever are packets, scapy's and dpkt's too. Where `capture()` of a port, `batches()` of a ring
            or a capture that follows waits for the next of them, `stop` and the end of `onto` end that wait, too (and the
            following).
        speed: times the capture's own pace (2.0 is twice as fast). Frames without a time, or timed before the one
            before them, go out at once.
        rate: frames a second instead; mbps: megabits a second instead; topspeed: without any pause instead.
        count: frames at most, of each loop. loop: times over.
        workers: threads at top speed; with more than one the order is kept within each conversation only (see `send`).
        progress: a function of (frames sent, nanoseconds since the start), or True for a line on a terminal; by default
            that line is shown where standard error is a terminal.
        stop: a `threading.Event`: ends it when set, within a fifth of a second, with the report of what was sent.

    A frame that the port refuses (too long for it) is counted in the report, and the rest goes on. OSError: the port was
    closed meanwhile, by another thread too.
    """
    above_zero("replay", speed=speed, rate=rate, mbps=mbps)
    if topspeed:
        return send(_stretches(capture, count, loop), onto, workers=workers, progress=progress, stop=stop)
    tell = _progress(progress)
    frames = _times_over(capture, count, loop)
    return _paced(_deadlines(frames, speed, rate, mbps), onto, tell, stop)


def _times_over(capture: Iterable[object], count: int | None, loop: int) -> Iterator[tuple[bool, Frame]]:
    """Yield (does a loop begin here, frame)."""
    for _ in range(loop):
        begins = True
        for frame in islice(capture, count):
            yield begins, frame if type(frame) is Frame else Frame.of(frame)
            begins = False


def _deadlines(
    frames: Iterator[tuple[bool, Frame]], speed: float, rate: float | None, mbps: float | None
) -> Iterator[tuple[int, bytes]]:
    """Yield (nanoseconds after the start, bytes)."""
    due, bits = 0, 0
    base, first, latest = 0, None, 0
    for number, (begins, frame) in enumerate(frames):
        if rate is not None:
            due = round(number * SECOND / rate)
        elif mbps is not None:
            due = round(bits * 1000 / mbps)
            bits += len(frame.data) * 8
        else:
            if begins:
                # Another time over begins when the one before has ended.
                base, first = latest, None
            if frame.time_ns is not None:
                first = frame.time_ns if first is None else first
                due = base + round((frame.time_ns - first) / speed)
            latest = max(latest, due)
            due = latest
        yield due, frame.data


def _paced(
    deadlines: Iterator[tuple[int, bytes]], onto: Port, tell: Callable[[int, int], None], stop: Stop | None
) -> SendReport:
    tally, looking = Tally(), Looking(stop, (onto,))
    late = array("q")
    clock = time.monotonic_ns
    start = clock()
    first = now = 0
    for due, data in taken(deadlines, looking.is_set):
        now = wait_until(clock, start + due, stop, onto) - start
        if stop is not None and stop.is_set():
            break
        if not tally.send(onto, data, stop) and stop is not None and stop.is_set():
            break
        first = first if late else now
        late.append(max(0, now - due))
        tell(tally.sent, now)
    tell(-1, 0)
    return tally.report(now - first, late)


def _stretches(capture: Iterable[object], count: int | None, loop: int) -> Iterator[Batch]:
    """Yield the frames of all times over in stretches, as `_times_over` yields them one by one."""
    kept: list[Batch] | None = []  # a small capture is read once
    total = 0
    for turn in range(loop):
        if turn and kept is not None:
            yield from kept
            continue
        for batch in _once(capture, count):
            yield batch
            if loop > 1 and kept is not None:
                kept.append(batch)
                total += batch.data.nbytes
                kept = None if total > KEPT else kept


def _once(capture: Iterable[object], count: int | None) -> Iterator[Batch]:
    left = count
    for batch in batches_of(capture if isinstance(capture, Capture) else islice(capture, count)):
        if left is not None and len(batch) >= left:
            yield part_of(batch, slice(0, left))
            return
        left = None if left is None else left - len(batch)
        yield batch


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
