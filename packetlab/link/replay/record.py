"""Record: what comes in on an interface into a file, as fast as it comes.

Frames go from the kernel's ring to the file in batches, from where they lie, each written whole: a process that is killed
leaves a file that reads up to its last batch. What the kernel had no room for is counted.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, BinaryIO

from packetlab.capture import Writer, frame_matcher
from packetlab.capture.batch import FrameBatch
from packetlab.capture.files.sink import packed
from packetlab.capture.files.writer import format_of
from packetlab.capture.filters.patterns import as_test
from packetlab.capture.tables.engines import FieldFilter
from packetlab.engine.contract import nanoseconds
from packetlab.hooks import Shown
from packetlab.link.interface import Interface
from packetlab.link.replay.interrupts import Interrupts
from packetlab.link.replay.pipes import Cut, open_pipe
from packetlab.link.waits import Stop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from packetlab.link.ring import Ring


@dataclass(frozen=True)
class Recording(Shown):
    """What a recording holds.

    Attributes:
        frames, bytes: how many are in the file. dropped: frames that passed the kernel's filter and were lost, because
            nobody fetched them in time. duration_ns: from the start to the end.
    """

    frames: int
    bytes: int
    dropped: int
    duration_ns: int

    def __str__(self) -> str:
        return f"{self.frames} frames captured, {self.dropped} dropped by the kernel"


def record(
    interface: Interface,
    where: str | Path | BinaryIO,
    *,
    count: int | None = None,
    seconds: float | None = None,
    pattern: object = None,
    stop: Stop | None = None,
    format: str | None = None,
    ring: int = 128 << 20,
) -> Recording:
    """Write what comes in on an interface to a file, until `count` frames, `seconds`, `stop` or an interrupt.

    Args:
        where, format: as for a `Writer`. pattern: a prototype header, a header class or a function of a packet that
            frames must match; a function looks at each packet, which takes time, the interface's own `filter` takes none.
        stop: ends it when set. ring: bytes that are held while the file cannot take them.

    What is in the ring at the end is the last that is written. A `stop` or an interrupt is seen within a fifth of a second, but
    not while a file is written to. Then it takes as long as the file or the pipe needs for what is in the ring: with a pipe of
    1 MB a second and a full `ring` of 128 MB two minutes more.

    A pipe that takes nothing is waited for as long as the recording goes on, and a fifth of a second more: then its stream ends
    where it is, perhaps within a frame, and `frames` counts those before the batch that did not go whole.

    An interrupt is a KeyboardInterrupt that the handler of a signal raises (in the main thread; this has them called by
    handlers of its own meanwhile). It ends the recording as `stop` does. A second one, or one after `stop`, is raised at once,
    and the file is as it happens to be.

    OSError where the interface was closed meanwhile, by another thread too; the file then holds the frames that
    had been taken until then, within 20 ms.
    """
    passes = None if pattern is None else _mask(pattern)
    start = time.monotonic_ns()
    until = None if seconds is None else start + nanoseconds(seconds, "record: seconds")
    with Interrupts() as interrupts, suppress(Cut), ExitStack() as open_:
        source = open_.enter_context(interface.ring(ring))
        log = _Log(interface, source, passes, count, until, stop, interrupts)
        interface.statistics()  # what was lost before is not ours; what is in the ring already is, and is seen there
        pipe = open_pipe(where, interface, log.is_set)
        sink: Any = where if pipe is None else pipe
        if pipe is not None:
            open_.enter_context(pipe)
            if isinstance(where, (str, Path)):
                format = format_of(pipe.name) if format is None else format
                if (packing := packed(pipe, pipe.name)) is not None:
                    open_.callback(pipe.flush)
                    sink = open_.enter_context(packing)
        log.writer = writer = open_.enter_context(Writer(sink, format, linktype=interface.linktype))
        if pipe is not None:
            open_.push(pipe.drop)
        try:
            log.take(None if until is None else max(0.0, (until - time.monotonic_ns()) / 1e9))
            log.tally()
        except BaseException as error:
            if isinstance(error, OSError) and error.errno == errno.ENETDOWN:
                with suppress(OSError):
                    log.take(0)  # what had come before that; a ring that was closed has nothing any more
            clear_frames(error.__traceback__)  # or they would hold batches, and these the ring
            raise
        if writer.format == "pcapng":
            now = time.time_ns()
            writer.statistics(
                source.description, time_ns=now, start_ns=now - (time.monotonic_ns() - start), end_ns=now,
                received=max(log.received, source.received) + log.dropped, dropped=log.dropped, delivered=writer.count,
            )  # fmt: skip
    return Recording(log.frames, log.bytes, log.dropped, time.monotonic_ns() - start)


class _Log:
    """What has gone into a file so far, what was lost, and whether that is all (it is the `Stop` of its recording)."""

    def __init__(
        self,
        interface: Interface,
        source: Ring,
        passes: Callable[[FrameBatch], NDArray[np.bool_]] | None,
        count: int | None,
        until: int | None,
        stop: Stop | None,
        interrupts: Interrupts,
    ) -> None:
        self.interface, self.source, self.passes, self.count = interface, source, passes, count
        self.until, self.stop, self.interrupts = until, stop, interrupts
        self.frames = self.bytes = self.received = self.dropped = 0
        self.ended = False
        self.writer: Writer

    def is_set(self) -> bool:
        """Whether the recording is to end; what has not come when this is first seen is neither written nor counted."""
        if not self.ended:
            if self.stop is not None and self.stop.is_set():
                self.interrupts.noted = True
            if self.interrupts.noted or (self.until is not None and time.monotonic_ns() >= self.until):
                self.source.finish()
                self.tally()
                self.ended = True
        return self.ended

    def take(self, seconds: float | None) -> None:
        """Write what comes until the end, or the number of frames, is reached, or for some seconds."""
        import numpy as np

        left = None if self.count is None else self.count - self.writer.count
        most = left if self.passes is None else None
        for batch in self.source.batches(seconds, most, self, lasting=False) if left != 0 else ():
            chosen = batch if self.passes is None else batch.chosen(np.flatnonzero(self.passes(batch))[:left])
            self.writer.write_batch(chosen)
            self.writer.flush()
            self.frames, self.bytes = self.writer.count, self.bytes + chosen.total_bytes
            self.tally()  # in time: the kernel counts to 2**32
            left = None if self.count is None else self.count - self.writer.count
            if left == 0:
                return
            del batch, chosen

    def tally(self) -> None:
        """Add up what the kernel counted since the last time, until the end."""
        if not self.ended:
            counts = self.interface.statistics()
            self.received, self.dropped = self.received + counts.received, self.dropped + counts.dropped


def _mask(pattern: object) -> Callable[[FrameBatch], NDArray[np.bool_]]:
    """Return what says which frames of a batch match: of their bytes where these tell, else of packets."""
    import numpy as np

    test = as_test(pattern)
    if FieldFilter.able(test):
        return FieldFilter(test).mask
    passes = frame_matcher(pattern)
    return lambda batch: np.array([passes(frame) for frame in batch], bool)
