"""What plots show, as columns: arrays of numbers by name, for any library that draws.

Times are seconds since the first frame that has one; sizes are bytes on the wire.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packetlab.capture import Capture, Frame, matcher
from packetlab.capture.batch import NO_TIME, FrameBatch
from packetlab.engine.xns.sequence import unwrap
from packetlab.errors import BuildError, above_zero
from packetlab.view.flows import SegmentInfo, segment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from packetlab.link.replay.report import SendReport
    from packetlab.packet.packet import Packet

Columns = dict[str, "NDArray[Any]"]
SECOND = 1_000_000_000
STEPS = 100  # intervals that a rate is cut into, about
MANY = 1_000_000  # intervals at most


def frames_of(source: object) -> Any:
    """Return the frames of a capture (or of the file at a path), of a network's capture, or what is frames already."""
    if isinstance(source, str | Path):
        return Capture(source)
    return source.capture if hasattr(source, "topology") and hasattr(source, "capture") else source


def _batches(source: object) -> Iterator[FrameBatch]:
    frames = frames_of(source)
    return frames.batches() if isinstance(frames, Capture) else iter((FrameBatch.of(frames),))


def rate(source: object, *, every: float | None = None) -> Columns:
    """Frames and bits a second over time.

    Args:
        source: a capture, frames, or a simulated network.
        every: seconds of one interval; about a hundredth of the whole unless given.

    Returns the columns time (where each interval begins), frames_per_second, bits_per_second.
    """
    import numpy as np

    above_zero("rate", every=every)
    kept = [(b.times_ns[b.times_ns != NO_TIME], b.wire_sizes[b.times_ns != NO_TIME]) for b in _batches(source)]
    times = np.concatenate([times for times, _ in kept] or [np.zeros(0, np.int64)])
    sizes = np.concatenate([sizes for _, sizes in kept] or [np.zeros(0, np.int64)])
    if not len(times):
        empty = np.zeros(0)
        return {"time": empty, "frames_per_second": empty, "bits_per_second": empty}
    since = times - times.min()
    width = _round((int(since.max()) or SECOND) / STEPS) if every is None else every * SECOND
    if since.max() / width > MANY:
        raise BuildError("rate: every", f"{MANY:,} intervals at most", f"{since.max() / width:,.0f}")
    which = (since / width).astype(np.int64)
    seconds = width / SECOND
    return {
        "time": np.arange(which.max() + 1) * seconds,
        "frames_per_second": np.bincount(which) / seconds,
        "bits_per_second": np.bincount(which, sizes) * 8 / seconds,
    }


def _round(width: float) -> float:
    """Return 1, 2 or 5 times a power of ten, not below `width`."""
    power = 10.0 ** len(str(int(width))) / 10
    return next(power * step for step in (1, 2, 5, 10) if power * step >= width)


def sizes(source: object, *, width: int = 64) -> Columns:
    """How many frames are how long.

    Args:
        source: a capture, frames, or a simulated network. width: bytes of one class.

    Returns the columns low, high (bytes, `high` not included) and frames.
    """
    import numpy as np

    if width < 1:
        raise BuildError("sizes: width", "1 byte or more", width)
    counts = np.zeros(0, np.int64)
    for batch in _batches(source):
        found = np.bincount(batch.wire_sizes // width)
        if len(found) < len(counts):
            found, counts = counts, found
        found[: len(counts)] += counts
        counts = found
    low = np.arange(len(counts)) * width
    return {"low": low, "high": low + width, "frames": counts}


# Connections ---------------------------------------------------------------------------------------------------


def _segments(source: object, of: object) -> Iterator[tuple[float, SegmentInfo, bool]]:
    """Yield (seconds, segment, does its packet match `of`) of every TCP and SPP packet that has a time."""
    test: Callable[[Packet], bool] = matcher(of)
    start = None
    frame: Frame
    for frame in frames_of(source):
        if frame.time_ns is None:
            continue
        start = frame.time_ns if start is None else start
        packet = frame.packet()
        said = segment(packet)
        if said is not None:
            yield (frame.time_ns - start) / SECOND, said, test(packet)


class _Line:
    """Numbers that run on where they wrap around."""

    def __init__(self, modulus: int, first: int) -> None:
        self.modulus, self.first, self.latest = modulus, first, first

    def at(self, number: int) -> int:
        """Return a number as its distance from the first."""
        found = unwrap(number, self.latest, self.modulus)
        self.latest = max(self.latest, found)
        return found - self.first


def sequence(source: object, *, of: object = None) -> Columns:
    """Sequence, acknowledgement and allocation numbers of one direction of a connection over time, as tcptrace has them.

    Args:
        source: a capture, frames, or a simulated network.
        of: which direction: a pattern that its packets match, such as ``TCP(sport=80)`` (see `Capture.where`); the one
            that carries most unless given.

    Returns the columns time, what ("data", "again" for data below what was sent before, "ack", "limit"), low and high:
    for data what it fills, for the others the number twice; counted from the direction's first number, in bytes of
    TCP and packets of SPP.
    """
    import numpy as np

    everything = list(_segments(source, of))
    carried: dict[tuple[object, ...], int] = {}
    for _, said, wanted in everything:
        if wanted:
            carried[said.flow] = carried.get(said.flow, 0) + (said.end - said.seq) % said.modulus
    rows: list[tuple[float, str, int, int]] = []
    flow = max(carried, key=lambda each: carried[each], default=None)
    line: _Line | None = None
    highest = 0
    for time, said, _ in everything:
        if said.flow == flow and not said.resets:
            if line is None or said.starts:
                line, highest = _Line(said.modulus, said.seq), 0
            low = line.at(said.seq)
            high = low + (said.end - said.seq) % said.modulus
            if high > low:
                rows.append((time, "again" if low < highest else "data", low, high))
                highest = max(highest, high)
        elif line is not None and said.back == flow and not said.resets:
            for what, number in (("ack", said.ack), ("limit", said.limit)):
                if number is not None:
                    rows.append((time, what, line.at(number), line.at(number)))
    return {
        "time": np.array([time for time, _, _, _ in rows], float),
        "what": np.array([what for _, what, _, _ in rows], "U5"),
        "low": np.array([low for _, _, low, _ in rows], np.int64),
        "high": np.array([high for _, _, _, high in rows], np.int64),
    }


def round_trips(source: object, *, of: object = None) -> Columns:
    """How long acknowledgements took to come, as seen where the frames were captured.

    Every acknowledgement that covers something new gives one: the time since the last of what it covers. What was sent
    more than once is left out, since the answer may be to either (RFC 6298 section 3).

    Args:
        source: a capture, frames, or a simulated network.
        of: a pattern that the packets must match whose answers are timed (see `Capture.where`); all unless given.

    Returns the columns time (of the acknowledgement), seconds, and flow (a number for each direction).
    """
    import numpy as np

    waiting: dict[tuple[object, ...], deque[tuple[int, float, bool]]] = {}
    lines: dict[tuple[object, ...], _Line] = {}
    highest: dict[tuple[object, ...], int] = {}
    numbers: dict[tuple[object, ...], int] = {}
    rows: list[tuple[float, float, int]] = []
    for time, said, wanted in _segments(source, of):
        if wanted and said.end != said.seq and not said.resets:
            flow = said.flow
            if flow not in lines or (said.starts and lines[flow].at(said.end) != highest[flow]):
                lines[flow], highest[flow] = _Line(said.modulus, said.seq), 0
                waiting[flow] = deque()
                numbers.setdefault(flow, len(numbers))
            low = lines[flow].at(said.seq)
            high = low + (said.end - said.seq) % said.modulus
            if low < highest[flow]:
                waiting[flow] = deque((e, t, again or e > low) for e, t, again in waiting[flow])
            else:
                waiting[flow].append((high, time, False))
            highest[flow] = max(highest[flow], high)
        if said.ack is not None and said.back in lines:
            covered, last = lines[said.back].at(said.ack), None
            queue = waiting[said.back]
            while queue and queue[0][0] <= covered:
                last = queue.popleft()
            if last is not None and not last[2]:
                rows.append((time, time - last[1], numbers[said.back]))
    return {
        "time": np.array([time for time, _, _ in rows], float),
        "seconds": np.array([seconds for _, seconds, _ in rows], float),
        "flow": np.array([flow for _, _, flow in rows], np.int64),
    }


def lateness(report: SendReport) -> Columns:
    """How late each frame of a replay went out: the columns frame (from 1) and seconds.

    `report` is what `replay` returned; at top speed nothing has a time, and the columns are empty.
    """
    import numpy as np

    late = np.array(report.late_ns, np.int64)
    return {"frame": np.arange(1, len(late) + 1), "seconds": late / SECOND}
