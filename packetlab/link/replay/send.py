"""Send: many frames as fast as the port takes them, or at a rate, from several threads at once.

The frames of one conversation go through one thread, so that they stay in order; different conversations may overtake
each other where there is more than one. Owns the threads and the pace; the port owns how frames get to the kernel.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, cast

from packetlab.bulk.batch import Batch
from packetlab.capture import Capture, Frame
from packetlab.capture.files.ending import taken
from packetlab.errors import above_zero
from packetlab.link.port import Port
from packetlab.link.replay.report import SECOND, SendReport, Tally, progress
from packetlab.link.waits import AT_ONCE, Stop, start
from packetlab.packet.foreign import is_packed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPIN = 200_000  # ns before a deadline in which to wait awake: sleeping is no more exact than this
AHEAD = 4  # stretches that wait for a thread; then reading on waits
PAUSE = 0.0005  # seconds between looks whether a thread has room for one more
STRETCH = 4096  # frames
MOST = 1 << 16  # frames between looks whether to stop
PIECES = 1000  # a second, into which a rate is cut at most


def send(
    frames: Iterable[object],
    onto: Port,
    *,
    workers: int | None = None,
    rate: float | None = None,
    progress: bool | Callable[[int, int], None] | None = False,
    stop: Stop | None = None,
) -> SendReport:
    """Send frames without pause, or at a rate, onto a port that was opened by name, and report.

    Args:
        frames: a batch, a capture, packets, headers, bytes, or an iterable of these or of batches; read as they go out.
            A source that waits ends as for `replay`.
        workers: threads; each conversation keeps to one, which keeps its order, but conversations overtake each other.
            One for each processor unless given; 1 keeps the order of all. Ports that are no kernel interface have one.
        rate: frames a second. progress: as in `replay`. stop: a `threading.Event`: ends it when set, within a fifth of a
            second, with the report of what was sent.

    A frame that the port refuses is counted in the report with the reason, and the rest goes on. OSError: the port was
    closed meanwhile, by another thread too.
    """
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    above_zero("send", workers=workers, rate=rate)
    sending = _Sending(onto, workers if onto.parallel else 1, progress, stop)
    return sending.run(_paced(sending.source(batches_of(frames)), rate, stop, onto))


def wait_until(clock: Callable[[], int], moment: int, stop: Stop | None, *ports: Port) -> int:
    """Return the time when it is not before `moment`, or when `stop` is set; OSError once one of the ports is closed."""
    while (now := clock()) < moment and not (stop is not None and stop.is_set()):
        if moment - now > SPIN:
            time.sleep(min((moment - now - SPIN) / SECOND, AT_ONCE))
            for port in ports if stop is None or not stop.is_set() else ():
                port._check()
    return now


class Looking:
    """What stops a wait at one port, or for the next frame: `stop`, and with an error the end of any of the ports."""

    def __init__(self, stop: Stop | None, ports: Sequence[Port]) -> None:
        self.stop, self.ports = stop, ports

    def is_set(self) -> bool:
        """Whether to end. OSError: a port is closed, and `stop` was not set before."""
        if self.stop is not None and self.stop.is_set():
            return True
        for port in self.ports:
            port._check()
        return False


def batches_of(frames: Iterable[object]) -> Iterator[Batch]:
    """Return whatever can be sent as batches, read as they are taken."""
    if isinstance(frames, Batch):
        return iter([frames])
    if isinstance(frames, Capture):
        return iter(frames.batches())
    if isinstance(frames, (bytes, bytearray, memoryview)) or is_packed(frames):
        frames = [frames]
    return _gathered(iter(frames))


def _gathered(things: Iterator[object]) -> Iterator[Batch]:
    """Yield batches as they are, and single packets in stretches."""
    for thing in things:
        if isinstance(thing, Batch):
            yield thing
            continue
        some: list[object] = []
        for other in chain([thing], things):
            if isinstance(other, Batch):
                yield Batch.of(some)
                some = []
                yield other
                break
            some.append(other.data if isinstance(other, Frame) else other)
            if len(some) == STRETCH:
                break
        if some:
            yield Batch.of(some)


def part_of(batch: Batch, which: slice | NDArray[np.intp]) -> Batch:
    """Return some rows of a batch (a slice or an array); the buffer stays shared."""
    return Batch(batch.data, batch.starts[which], batch.sizes[which])


def _piece(batch: Batch, first: int, size: int) -> Batch:
    # The linktypes of a batch of frames tell which packets belong together: they have to stay with it.
    if hasattr(batch, "chosen"):
        piece: Batch = batch.chosen(range(first, min(first + size, len(batch))))
        return piece
    return part_of(batch, slice(first, first + size))


def _paced(batches: Iterable[Batch], rate: float | None, stop: Stop | None, onto: Port) -> Iterator[Batch]:
    """Cut batches into pieces and hold each back until it is due."""
    if rate is None:
        for batch in batches:
            for first in range(0, len(batch), MOST):
                if stop is not None and stop.is_set():
                    return
                yield batch if len(batch) <= MOST else _piece(batch, first, MOST)
        return
    clock = time.monotonic_ns
    begun, before = clock(), 0
    size = max(1, int(rate / PIECES))
    for batch in batches:
        for first in range(0, len(batch), size):
            piece = _piece(batch, first, size)
            wait_until(clock, begun + round(before * SECOND / rate), stop, onto)
            if stop is not None and stop.is_set():
                return
            yield piece
            if not before:
                begun = clock()  # what is loaded for the first piece takes a while, which the others do not make up for at once
            before += len(piece)


class _Sending:
    """One call of `send`; what stops its threads."""

    def __init__(
        self, onto: Port, workers: int, report: bool | Callable[[int, int], None] | None, stop: Stop | None
    ) -> None:  # fmt: skip
        self.onto, self.tell, self.stop = onto, progress(report), stop
        # In C throughout: an exception of a signal's handler within Python's own would keep a lock, or lose who waits.
        self.queues: list[queue.SimpleQueue[Batch | None]] = [queue.SimpleQueue() for _ in range(workers)]
        self.begun, self.ended = set[int](), set[int]()  # numbers of threads
        self.done: queue.SimpleQueue[None] = queue.SimpleQueue()  # one for each that has ended
        self.tallies = [Tally() for _ in range(workers)]
        self.error: BaseException | None = None  # ends it at once
        self.broken: Exception | None = None  # of where the frames are from: those before it go out

    def is_set(self) -> bool:
        """Whether to end."""
        return self.error is not None or (self.stop is not None and self.stop.is_set())

    def source(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield batches, up to an error of where they are from."""
        try:
            yield from taken(batches, Looking(self, (self.onto,)).is_set)
        except Exception as error:
            self.broken = error

    def run(self, batches: Iterator[Batch]) -> SendReport:
        clock = time.monotonic_ns
        threads = [
            threading.Thread(target=self.work, args=(number,), name="packetlab send", daemon=True)
            for number in range(len(self.queues))
        ]
        begun = clock()
        try:
            for number, thread in enumerate(threads):
                start(thread)
                self.begun.add(number)
            for batch in batches:
                self.hand_out(batch)
                self.tell(sum(tally.sent for tally in self.tallies), clock() - begun)
                if self.error is not None:
                    break
            self.end(threads)
        except BaseException as error:
            self.error = self.error or error  # the threads throw away what still waits
            raise
        finally:
            self.end(threads)
            self.tell(-1, 0)
        duration = clock() - begun
        if self.error is not None or self.broken is not None:
            raise self.error or cast("Exception", self.broken)
        whole = Tally()
        for tally in self.tallies:
            whole.add(tally)
        return whole.report(duration)

    def end(self, threads: list[threading.Thread]) -> None:
        """Wait until the threads have sent what they were given, or thrown it away."""
        for waiting in self.queues:
            waiting.put(None)  # for one too that is about to begin, where an exception came in the midst of that
        while self.begun - self.ended:  # an exception within Thread.join makes it forget that the thread lives
            with suppress(queue.Empty):
                self.done.get(timeout=AT_ONCE)
        for thread in threads:
            while thread.is_alive():  # its last words are said, but it may get no processor for a while
                thread.join(AT_ONCE)

    def hand_out(self, batch: Batch) -> None:
        if len(self.queues) == 1:
            self.put(self.queues[0], batch)
            return
        import numpy as np

        from packetlab.capture.flows.numbers import flow_numbers

        workers = flow_numbers(batch, self.onto.linktype) % np.uint64(len(self.queues))
        for number, waiting in enumerate(self.queues):
            rows = np.flatnonzero(workers == number)
            if len(rows):
                self.put(waiting, part_of(batch, rows))

    def put(self, waiting: queue.SimpleQueue[Batch | None], batch: Batch) -> None:
        """Give a thread a batch, once it has few enough of them."""
        while waiting.qsize() >= AHEAD and not self.is_set():
            time.sleep(PAUSE)
        waiting.put(batch)

    def work(self, number: int) -> None:
        self.begun.add(number)  # here too: an exception may come while it is started
        try:
            self.send_all(self.queues[number], self.tallies[number])
        finally:
            self.ended.add(number)
            self.done.put(None)

    def send_all(self, waiting: queue.SimpleQueue[Batch | None], tally: Tally) -> None:
        while (batch := waiting.get()) is not None:
            if self.error is not None:
                continue
            try:
                rows, refused = self.onto._send_batch(batch, self)
            except BaseException as error:  # raised by the thread that called
                self.error = error
                continue
            tally.sent += rows - len(refused)
            tally.bytes += int(batch.sizes[:rows].sum()) - sum(int(batch.sizes[row]) for row in refused)
            for reason in refused.values():
                tally.refused(reason)
