"""Record: what comes in on an interface into a file, as fast as it comes.

Frames go from the kernel's ring to the file in batches, each written whole: a process that is killed leaves a file that
reads up to its last batch. What the kernel had no room for is counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from packetlab.capture import Writer, frame_matcher
from packetlab.capture.batch import FrameBatch
from packetlab.hooks import Shown
from packetlab.link.interface import Interface
from packetlab.link.waits import Stop


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
    pattern: Any = None,
    stop: Stop | None = None,
    format: str | None = None,
    ring: int = 128 << 20,
) -> Recording:
    """Write what comes in on an interface to a file, until `count` frames, `seconds`, `stop` or an interrupt.

    Args:
        where, format: as for a `Writer`. pattern: a prototype header, a header class or a function of a packet that
            frames must match; looking at each takes time, the interface's own `filter` takes none.
        stop: ends it when set, within a fifth of a second. ring: bytes that are held while the file cannot take them.

    OSError where the interface was closed meanwhile, by another thread too; the file then holds what came before.
    """
    test = None if pattern is None else frame_matcher(pattern)
    start = time.monotonic_ns()
    total = 0
    with interface.ring(ring) as source, Writer(where, format, linktype=interface.linktype) as writer:
        interface.statistics()  # what was lost before is not ours
        try:
            for batch in source.batches(seconds, None if test is not None else count, stop) if count != 0 else ():
                chosen = _matching(batch, test, None if count is None else count - writer.count)
                writer.write_batch(chosen)
                writer.flush()
                total += chosen.total_bytes
                if writer.count == count:
                    break
        except KeyboardInterrupt:
            pass
        counts = interface.statistics()
        if writer.format == "pcapng":
            now = time.time_ns()
            writer.statistics(
                source.description, time_ns=now, start_ns=now - (time.monotonic_ns() - start), end_ns=now,
                received=counts.received + counts.dropped, dropped=counts.dropped, delivered=writer.count,
            )  # fmt: skip
    return Recording(writer.count, total, counts.dropped, time.monotonic_ns() - start)


def _matching(batch: FrameBatch, test: Any, most: int | None) -> FrameBatch:
    if test is None:
        return batch
    rows = [row for row, frame in enumerate(batch) if test(frame)]
    return batch.chosen(rows[:most])
