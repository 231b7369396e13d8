"""Index: any frame of a large file at once, by number or by time; and parts of files, which others can read elsewhere.

Neither format says where its n-th frame is. So a file is gone over once, and about every MiB of it a mark is kept: where
reading can begin, and what has to be known there. To get a frame is to read on from the mark before it.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from sys import maxsize
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from packetlab.capture.batch import LATEST, NO_TIME, FrameBatch, clipped
from packetlab.capture.files.batches import pcap_batches, pcapng_batches
from packetlab.capture.files.pcapng import DESCRIBED, Known, Mark
from packetlab.capture.files.source import SourceBytes, Window
from packetlab.capture.order import is_ordered, order_of
from packetlab.capture.reading import Readable, records
from packetlab.errors import CaptureError

if TYPE_CHECKING:
    from packetlab.capture.frame import Frame

C = TypeVar("C", bound=Readable)
CHUNK = 1 << 20  # bytes read at once: about what one frame costs
APART = CHUNK // 2  # bytes of the file between two marks at least, at first: somewhat less than is read at once
MOST = 1 << 16  # marks; of more every other one is dropped
INTERFACE = 600  # bytes that an interface takes in memory, about, in addition to its texts


class Marks:
    """Marks of a file in order, bounded in memory: the larger the file, the farther apart they are.

    Attributes:
        places, frames: bytes and frames before each. earliest, latest: times of the frames up to the next, `earliest` the
            later one where none has a time.
    """

    def __init__(self, apart: int = APART, most: int = MOST, memory: int = DESCRIBED) -> None:
        self.apart, self._most, self._memory = apart, most, memory
        self._clear()

    def _clear(self) -> None:
        self.places, self.frames = array("q"), array("q")
        self.earliest, self.latest = array("q"), array("q")
        # What is known at a mark is mostly what was known at the one before: from which mark on, and what.
        self._since: list[int] = []
        self._known: list[Known | None] = []
        self._weight = 0

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, at: int) -> Mark:
        return Mark(self.places[at], self.frames[at], self._known[bisect_right(self._since, at) - 1])

    def passed(self, place: int, frames: int, known: Callable[[], Known | None]) -> bool:
        """Make a mark, if the last one is far enough; say whether."""
        if self.places and place - self.places[-1] < self.apart:
            return False
        self._add(Mark(place, frames, known()), LATEST, -LATEST)
        while len(self) > 1 and (len(self) > self._most or self._weight > self._memory):
            self._thin()
        return True

    def _thin(self) -> None:
        """Drop every other mark, and keep twice the distance from now on."""
        kept = [
            (self[at], min(self.earliest[at : at + 2]), max(self.latest[at : at + 2])) for at in range(0, len(self), 2)
        ]
        self.apart *= 2
        self._clear()
        for one in kept:
            self._add(*one)

    def _add(self, mark: Mark, earliest: int, latest: int) -> None:
        before = self._known[-1] if self._known else None
        if not self._known or mark.known != before:
            same = before is not None and mark.known is not None and mark.known.section == before.section
            self._weight += _weight(mark.known, before if same else None)
            self._since.append(len(self))
            self._known.append(mark.known)
        self.places.append(mark.place)
        self.frames.append(mark.frames)
        self.earliest.append(earliest)
        self.latest.append(latest)

    def timed(self, batch: FrameBatch) -> None:
        """Note the times of frames after the last mark."""
        times = batch.times_ns[batch.times_ns != NO_TIME]
        if len(times):
            self.earliest[-1] = min(self.earliest[-1], int(times.min()))
            self.latest[-1] = max(self.latest[-1], int(times.max()))


def _weight(known: Known | None, before: Known | None) -> int:
    """Return about how many bytes of memory it takes to know this, where that before is known."""
    if known is None:
        return 0
    described, count = (0, 0) if before is None else (before.described, len(before.interfaces))
    return known.described - described + INTERFACE * (len(known.interfaces) - count) + 32 * len(known.interfaces)


class Index(Generic[C]):
    """Random access to the frames of a file; see `Capture.index`.

    ``index[n]`` is a frame (from 0; negative from the end), ``index[a:b:step]`` a lazy capture of some, `between` one of
    those of a time; ``len(index)`` is how many frames there are. Frames keep their numbers. Tables, filters and rewriting
    of these captures read only the part of the file that they need, about a MiB more at most (more of files over 64 GiB).
    CaptureError where the file is not the one that was indexed any more.

    Attributes:
        name: of the file. faults: what ended it early, where the capture is not strict. marks: how many places are known.
    """

    def __init__(self, capture: C, marks: Marks | None = None) -> None:
        source = capture._source
        if source is None:
            raise CaptureError(capture.name, "a whole file", "chosen frames or frames in memory", "write() them first")
        if capture._following is not None:
            raise CaptureError(capture.name, "a file that is not followed", "one that is, whose end is not known")
        if not capture.again:
            raise CaptureError(capture.name, "a file that can be read from any byte on", "a stream that is read once")
        self._file = object.__new__(type(capture))  # the same, with faults of its own
        self._file.__dict__.update(capture.__dict__)
        self._marks, self._count = Marks() if marks is None else marks, 0
        self._last: tuple[int, FrameBatch] | None = None
        self._identity = self._seen()
        for batch in _batches(self._file, False, None, self._marks.passed):
            self._marks.timed(batch)
            self._count += len(batch)
        self.name, self.faults = capture.name, self._file._faults

    @property
    def marks(self) -> int:
        """How many places are known at which reading can begin."""
        return len(self._marks)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        return iter(self[:])

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> C: ...
    def __getitem__(self, index: int | slice) -> Frame | C:
        """Return one frame, or a lazy capture of some."""
        if isinstance(index, slice):
            rows = range(self._count)[index]
            return self._capture(lambda lasting: self._chosen(rows, lasting))
        try:
            row = range(self._count)[index]
        except IndexError:
            raise IndexError(f"{self.name}: no frame {index}, there are {self._count}") from None
        first, batch = self._last or (0, None)
        if batch is None or not first <= row < first + len(batch):
            self._same()
            at = bisect_right(self._marks.frames, row) - 1
            batch = next(one for one in self._from(at, True) if int(one.numbers[-1]) > row)
            first = int(batch.numbers[0]) - 1
            self._last = first, batch
        batch.order = order_of(self._file) if is_ordered() else None
        return batch.frame(row - first)

    def between(self, start: int | None = None, stop: int | None = None) -> C:
        """Return a lazy capture of the frames from one time on and before another, in the order of the file.

        Args:
            start, stop: nanoseconds since 1970-01-01 UTC, None for no bound. Frames without a time are never among them.

        The file need not be in order of time: what is read is every part that has a frame of these times.
        """
        return self._capture(lambda lasting: self._timed(start, stop, lasting))

    def __repr__(self) -> str:
        return f"<Index of {self.name!r}: {self._count} frames, {len(self._marks)} marks>"

    # Reading -------------------------------------------------------------------------------------------------------

    def _capture(self, make: Callable[[bool], Iterator[FrameBatch]]) -> C:
        def checked(lasting: bool) -> Iterator[FrameBatch]:
            self._same()
            yield from make(lasting)

        return self._file._in_stretches(checked)

    def _seen(self) -> tuple[int, ...]:
        """Return what tells this file from others, and from itself after somebody wrote to it; nothing of no file."""
        source: Any = self._file._source
        try:
            status = os.stat(source) if isinstance(source, (str, Path)) else os.fstat(source.fileno())
        except (AttributeError, OSError, ValueError):
            return ()
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    def _same(self) -> None:
        if self._seen() != self._identity:
            raise CaptureError(
                self._file.name, "the file that was indexed", "one that changed since", "index() it anew"
            )

    def _from(self, at: int, lasting: bool) -> Iterator[FrameBatch]:
        return _batches(self._file, lasting, self._marks[at])

    def _chosen(self, rows: range, lasting: bool) -> Iterator[FrameBatch]:
        if rows.step < 0:
            for at, some in self._parts(rows):
                found = [*_cut(self._from(at, True), some[::-1])]
                yield from (batch.chosen(range(len(batch) - 1, -1, -1)) for batch in reversed(found))
            return
        for at, some in _runs(self._parts(rows)):
            yield from _cut(self._from(at, lasting), some)

    def _parts(self, rows: range) -> Iterator[tuple[int, range]]:
        """Yield marks in the order of some rows, each with those rows that come between it and the next."""
        firsts = self._marks.frames
        while rows:
            at = bisect_right(firsts, rows[0]) - 1
            end = firsts[at + 1] if at + 1 < len(firsts) else self._count
            inside = range(
                rows.start, min(end, rows.stop) if rows.step > 0 else max(firsts[at] - 1, rows.stop), rows.step
            )
            yield at, inside
            rows = rows[len(inside) :]

    def _timed(self, start: int | None, stop: int | None, lasting: bool) -> Iterator[FrameBatch]:
        import numpy as np

        low = -LATEST if start is None else clipped(start)
        high = LATEST if stop is None else clipped(stop)
        marks = self._marks
        ends = [*marks.frames[1:], self._count]
        parts = (
            (at, range(marks.frames[at], ends[at])) for at in range(len(marks))
            if marks.earliest[at] <= high and marks.latest[at] >= low
        )  # fmt: skip
        for at, rows in _runs(parts):
            for batch in _cut(self._from(at, lasting), rows):
                times = batch.times_ns
                within = (times >= low) & (times <= high) & (times != NO_TIME)
                if stop == high:
                    within &= times != high
                for row, time in batch.far.items():
                    within[row] = (start is None or time >= start) and (stop is None or time < stop)
                if within.any():
                    yield batch.chosen(np.flatnonzero(within))


def _runs(parts: Iterable[tuple[int, range]]) -> Iterator[tuple[int, range]]:
    """Join parts that follow on each other, so that what lies side by side is read at one go."""
    run: tuple[int, range] | None = None
    last = -1
    for at, rows in parts:
        if run is not None and at == last + 1:
            run = run[0], range(run[1].start, rows.stop, rows.step)
        else:
            if run is not None:
                yield run
            run = at, rows
        last = at
    if run is not None:
        yield run


def _cut(batches: Iterator[FrameBatch], rows: range) -> Iterator[FrameBatch]:
    """Yield what is in rising rows (from 0, of the whole file), and read no further."""
    for batch in batches:
        first = int(batch.numbers[0]) - 1
        end = first + len(batch)
        inside = range(rows.start, min(end, rows.stop), rows.step)
        if len(inside) == len(batch):
            yield batch
        elif inside:
            yield batch.chosen(range(inside.start - first, inside.stop - first, inside.step))
        rows = rows[len(inside) :]
        if not rows:
            return


def _batches(
    capture: C, lasting: bool, mark: Mark | None, passed: Callable[..., object] | None = None
) -> Iterator[FrameBatch]:
    return records(
        capture,
        capture._source,
        lambda data: pcapng_batches(_movable(data), None, mark, passed),
        lambda data: pcap_batches(_movable(data), mark, passed),
        SourceBytes if lasting else Window,
    )


def _movable(data: SourceBytes) -> SourceBytes:
    """Return what is read from, once it is known that it can be read from any byte on. CaptureError where not."""
    data.move(data.offset)
    data.source.chunk = min(data.source.chunk, CHUNK)
    return data


def splits(capture: C, size: int) -> Iterator[tuple[Mark, int]]:
    """Yield parts of a file that one can read by itself, of `size` bytes and a MiB more at most: see `part`.

    They are found by going over the file, and each is given as soon as it is known. Damage ends the last one.
    """
    marks = Marks(size, maxsize, maxsize)
    given = 0
    try:
        for _ in _batches(capture, False, None, marks.passed):
            if given < len(marks) - 1:
                yield marks[given], marks.frames[given + 1]
                given += 1
    except CaptureError:
        pass  # the reader of the last part meets it again
    if len(marks):
        yield marks[given], maxsize


def part(capture: C, mark: Mark, stop: int) -> C:
    """Return a lazy capture of the frames from a mark on and before the one of number `stop` (from 0)."""
    return capture._in_stretches(lambda lasting: _cut(_batches(capture, lasting, mark), range(mark.frames, stop)))
