"""Replay: a capture's frames onto a port, each at its time.

Deadlines are absolute: a frame that is late does not make the next one late too, and the report says how late they were.
"""

from __future__ import annotations

import sys
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from packetlab.capture import Frame
from packetlab.errors import BuildError
from packetlab.link.port import Port
from packetlab.wire.above import Shown

SPIN = 200_000  # ns before a deadline in which to wait awake: sleeping is no more exact than this
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Report(Shown):
    """How a replay went.

    Attributes:
        sent, bytes: frames and bytes that went out. failed: frames the port refused; `first_failure` says why.
        duration_ns: from the first frame to the last. rate, mbps: frames and megabits a second achieved.
        lateness_ns: percentiles of how late frames went out, by "p50", "p90", "p99", "max" (empty at top speed).
        late_ns: how late each one went out, in nanoseconds and in order (empty at top speed).
    """

    sent: int
    bytes: int
    failed: int
    first_failure: str
    duration_ns: int
    lateness_ns: dict[str, int]
    late_ns: Sequence[int] = field(default=(), repr=False, compare=False)

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.sent * SECOND / self.duration_ns if self.duration_ns else 0.0

    @property
    def mbps(self) -> float:
        """Megabits a second."""
        return self.bytes * 8 * 1000 / self.duration_ns if self.duration_ns else 0.0

    def __str__(self) -> str:
        lines = [
            f"sent      {self.sent} frames, {self.bytes} bytes in {self.duration_ns / SECOND:.6f} s",
            f"rate      {self.rate:.1f} frames/s, {self.mbps:.3f} Mbit/s",
        ]
        if self.lateness_ns:
            late = ", ".join(f"{name} {value / 1000:.1f}" for name, value in self.lateness_ns.items())
            lines.append(f"lateness  {late} us")
        if self.failed:
            lines.append(f"failed    {self.failed} frames, the first: {self.first_failure}")
        return "\n".join(lines)


def replay(
    capture: Iterable[Frame],
    onto: Port,
    *,
    speed: float = 1.0,
    rate: float | None = None,
    mbps: float | None = None,
    topspeed: bool = False,
    count: int | None = None,
    loop: int = 1,
    progress: bool | Callable[[int, int], None] | None = None,
) -> Report:
    """Send the frames of a capture onto a port that was opened by name, and report.

    Args:
        speed: times the capture's own pace (2.0 is twice as fast). Frames without a time, or timed before the one
            before them, go out at once.
        rate: frames a second instead; mbps: megabits a second instead; topspeed: without any pause instead.
        count: frames at most, of each loop. loop: times over.
        progress: a function of (frames sent, nanoseconds since the start), or True for a line on a terminal; by default
            that line is shown where standard error is a terminal.

    A frame that the port refuses (too long for it) is counted in the report, and the rest goes on.
    """
    for name, value in (("speed", speed), ("rate", rate), ("mbps", mbps)):
        if value is not None and not value > 0:
            raise BuildError(f"replay: {name}", "a number above 0", value)
    tell = _progress(progress)
    frames = _times_over(capture, count, loop)
    if topspeed:
        return _at_once(frames, onto, tell)
    return _paced(_deadlines(frames, speed, rate, mbps), onto, tell)


def _times_over(capture: Iterable[Frame], count: int | None, loop: int) -> Iterator[tuple[bool, Frame]]:
    """Yield (does a loop begin here, frame)."""
    for _ in range(loop):
        begins = True
        for frame in islice(capture, count):
            yield begins, frame
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


def _paced(deadlines: Iterator[tuple[int, bytes]], onto: Port, tell: Callable[[int, int], None]) -> Report:
    tally = _Tally()
    each = array("q")
    clock = time.monotonic_ns
    start = clock()
    for due, data in deadlines:
        now = clock() - start
        while now < due:
            if due - now > SPIN:
                time.sleep((due - now - SPIN) / SECOND)
            now = clock() - start
        tally.send(onto, data)
        each.append(max(0, now - due))
        tally.moments(now)
        tell(tally.sent, now)
    late = sorted(each)
    names = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    lateness = {name: late[max(0, -int(-len(late) * part // 1) - 1)] for name, part in names} if late else {}
    tell(-1, 0)
    return tally.report(lateness, each)


def _at_once(frames: Iterator[tuple[bool, Frame]], onto: Port, tell: Callable[[int, int], None]) -> Report:
    tally = _Tally()
    clock = time.monotonic_ns
    start = clock()
    batch = getattr(onto, "send_batch", None)
    tally.moments(0)
    while pieces := [frame.data for _, frame in islice(frames, 4096)]:
        at = 0
        while at < len(pieces):
            if batch is not None:
                took = batch(pieces[at:] if at else pieces)
                tally.sent += took
                tally.bytes += sum(map(len, pieces[at : at + took]))
                at += took
            if at < len(pieces):
                tally.send(onto, pieces[at])
                at += 1
        tell(tally.sent, clock() - start)
    tally.moments(clock() - start)
    tell(-1, 0)
    return tally.report({})


class _Tally:
    def __init__(self) -> None:
        self.sent = self.bytes = self.failed = 0
        self.first_failure = ""
        self.first: int | None = None
        self.last = 0

    def send(self, onto: Port, data: bytes) -> None:
        try:
            onto._send(data)
        except OSError as error:
            self.first_failure = self.first_failure or str(error.strerror or error)
            self.failed += 1
        else:
            self.sent += 1
            self.bytes += len(data)

    def moments(self, now: int) -> None:
        self.first = now if self.first is None else self.first
        self.last = now

    def report(self, lateness: dict[str, int], each: Sequence[int] = ()) -> Report:
        duration = self.last - (self.first or 0)
        return Report(self.sent, self.bytes, self.failed, self.first_failure, duration, lateness, each)


def _progress(wanted: bool | Callable[[int, int], None] | None) -> Callable[[int, int], None]:
    if callable(wanted):
        return wanted
    if wanted is False or not sys.stderr.isatty():
        return lambda sent, now: None
    shown = 0

    def tell(sent: int, now: int) -> None:
        nonlocal shown
        if sent < 0:
            if shown:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
        elif now - shown > SECOND // 10:
            shown = now
            sys.stderr.write(f"\r{sent} frames, {sent * SECOND / now:.0f}/s\x1b[K")
            sys.stderr.flush()

    return tell
