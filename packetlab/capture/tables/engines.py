"""Scan engines: what goes over batches of frames for columns and for filters, chosen for each link type and each size of file.

Two things can: code for numpy, and loops compiled by numba, which are faster but take time to load and, once, to compile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from packetlab.bulk.queries import Query, can_scan
from packetlab.bulk.scan import on_the_way
from packetlab.bulk.scan_loop import loop_source
from packetlab.bulk.scan_rows import row_scan
from packetlab.capture import loops
from packetlab.capture.batch import FrameBatch
from packetlab.capture.reassembly.beginnings import has_streams
from packetlab.capture.tables.columns import frame_column
from packetlab.declare.registry import caches
from packetlab.errors import BuildError
from packetlab.pattern.conditions import COMPARE, About, Condition, Match, Test
from packetlab.protocols.linktypes import first_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from packetlab.bulk.batch import ByteArray, Numbers, Truths
    from packetlab.capture.frame import Frame
    from packetlab.declare.declaration import Declaration

MOST = 256  # queries over a buffer at once; a filter of more tests packets
REMEMBERED = 128
Scan: TypeAlias = Callable[..., None]  # of the buffer, the places of packets in it, and the arrays to fill in
_known: dict[object, Any] = {}  # source written for the same queries before: thousands of files may have the same
caches.append(_known)


def _written(
    write: Callable[[Declaration, Sequence[Query]], object], first: Declaration, queries: Sequence[Query]
) -> Any:
    key = write, first, tuple(queries)
    found = _known.pop(key, None)
    if found is None:
        if len(_known) >= REMEMBERED:
            del _known[next(iter(_known))]
        found = write(first, queries)
    _known[key] = found  # last: the least recently used is forgotten first
    return found


class ScanEngines:
    """Goes over batches for queries.

    Args:
        queries: columns and matches. engine: "rows" (numpy), "loops" (numba), or None for the better one.
        capture_size: bytes of the file, None where it is not known.
    """

    def __init__(self, queries: Sequence[Query], engine: str | None = None, capture_size: int | None = None) -> None:
        self.check(engine)
        self.queries, self.engine, self.capture_size = queries, engine, capture_size or 0
        self._by_type: dict[int, Scan | None] = {}

    @staticmethod
    def check(engine: str | None) -> None:
        """BuildError for an engine that is none, or is not there."""
        if engine not in (None, "loops", "rows"):
            raise BuildError("engine", "'loops', 'rows' or None", repr(engine))
        if engine == "loops" and not loops.available():
            raise BuildError("engine", "numba, of the extra 'fast'", "none")

    def of(self, linktype: int) -> Scan | None:
        """Return what goes over packets that begin as the link type says, None where that is not known."""
        if linktype not in self._by_type:
            first = first_header(linktype)
            scan: Scan | None = None
            if first is not None:
                may_loop = self.engine == "loops" or (self.engine is None and loops.worth_any(self.capture_size))
                source = _written(loop_source, first._declaration, self.queries) if may_loop else ""
                if source and self._in_loops(source):
                    loops.compiled(loops.RECORDS)  # so that the way from frame to frame is quick too
                    scan = _by_loop(loops.compiled(source))
                else:
                    scan = _written(row_scan, first._declaration, self.queries)
            self._by_type[linktype] = scan
        return self._by_type[linktype]

    def _in_loops(self, source: str) -> bool:
        return self.engine is not None or loops.worth(source, self.capture_size)

    def go(self, batch: FrameBatch, arrays: Sequence[NDArray[Any]]) -> list[int]:
        """Fill in the arrays (see `bulk.queries.array_names`); return the rows of packets that have to be looked at."""
        import numpy as np

        unfit = np.zeros(len(batch), bool)
        missing = batch.wire_sizes > batch.sizes
        data = batch.data
        kinds = [interface.linktype for interface in batch.interfaces]
        if len(set(kinds)) == 1:
            self._over(kinds[0], data, batch.starts, batch.sizes, missing, unfit, arrays)
            self._in_middles(batch, unfit)
            return np.flatnonzero(unfit).tolist()
        of_row = np.array(kinds)[batch.which]
        for kind in set(of_row.tolist()):
            rows = np.flatnonzero(of_row == kind)
            some = [np.zeros((len(rows), *array.shape[1:]), array.dtype) for array in arrays]
            mine = np.zeros(len(rows), bool)
            self._over(kind, data, batch.starts[rows], batch.sizes[rows], missing[rows], mine, some)
            unfit[rows] = mine
            for array, part in zip(arrays, some, strict=True):
                array[rows] = part
        self._in_middles(batch, unfit)
        return np.flatnonzero(unfit).tolist()

    def _in_middles(self, batch: FrameBatch, unfit: Truths) -> None:
        """Leave to objects what is the middle of a message of a stream, where such headers are on the way: its bytes do not tell."""
        if batch.order is None or not has_streams():
            return
        firsts = {first_header(interface.linktype) for interface in batch.interfaces}
        ways = [on_the_way(first._declaration, self.queries) for first in firsts if first is not None]
        if any(header.stream for way in ways for header in way):
            begins = batch.order.beginnings.begins
            unfit |= [begins(number) is False for number in batch.numbers.tolist()]

    def _over(
        self, linktype: int, data: ByteArray, starts: Numbers, sizes: Numbers, missing: Truths, unfit: Truths,
        arrays: Sequence[NDArray[Any]],
    ) -> None:  # fmt: skip
        scan = self.of(linktype)
        if scan is None:
            unfit[:] = True
        else:
            scan(data, starts, sizes, missing, unfit, *arrays)


def _by_loop(loop: Scan) -> Scan:
    import numpy as np

    def scan(data: ByteArray, starts: Numbers, sizes: Numbers, missing: Truths, *arrays: NDArray[Any]) -> None:
        read = [np.ascontiguousarray(array) for array in (data, starts, sizes, missing)]
        loop(len(starts), *read, *(array.reshape(-1) for array in arrays))

    return scan


class FieldFilter:
    """A filter on fields of declared headers that is evaluated on buffers: frames that do not pass are never made.

    Called with a frame it says whether the filter passes it; `mask` says it of a whole batch at once.
    """

    def __init__(self, test: Test, capture_size: int | None = None) -> None:
        self.test, self.capture_size = test, capture_size
        self._conditions = test.matches()
        self._matches = list(dict.fromkeys(one for one in self._conditions if isinstance(one, Match)))
        self._engines = ScanEngines(self._matches, None, capture_size)

    @staticmethod
    def able(test: object) -> bool:
        """Whether all that a test asks can be decided from buffers."""
        return isinstance(test, Test) and len(set(test.matches())) <= MOST and all(map(can_scan, test.matches()))

    def __call__(self, frame: Frame) -> bool:
        return self.test(frame.packet(), frame)

    def mask(self, batch: FrameBatch) -> Truths:
        """Return which frames of a batch pass, an array of truths."""
        import numpy as np

        found = {match: np.zeros(len(batch), bool) for match in self._matches}
        unfit = self._engines.go(batch, list(found.values())) if found else []
        answers = [found[one] if isinstance(one, Match) else _about(one, batch) for one in self._conditions]
        passed: Truths = self.test.combined(iter(answers))
        for row in unfit:
            passed[row] = self(batch.frame(row))
        return passed


def _about(about: About, batch: FrameBatch) -> Truths:
    """Return for which frames of a batch holds what a condition says of frames."""
    import numpy as np

    name, sign, wanted = about.name, about.condition.sign, about.condition.value
    by_hand = list(batch.far) if name == "time_ns" else []
    if name == "comment":
        passed, by_hand = np.zeros(len(batch), bool), [row for row, extras in batch.extras.items() if extras.comments]
    else:
        values, valid = frame_column(name).of(batch)  # type: ignore[union-attr]
        numbers = wanted if sign == "in" else () if sign == "true" else (wanted,)
        if all(-(1 << 63) <= number < 1 << 63 for number in numbers):
            passed = _compared(np.asarray(values, np.int64), about.condition)
        else:
            passed = np.array([about.condition.holds(value) for value in values.tolist()], bool)
        passed = passed if valid is None else passed & valid
    for row in by_hand:
        passed[row] = about.of_frame(batch.frame(row))
    return passed


def _compared(values: NDArray[Any], condition: Condition) -> Any:
    """Return for which of many numbers a condition holds."""
    import numpy as np

    if condition.sign == "true":
        return values != 0
    if condition.sign == "in":
        return np.isin(values, condition.value)
    return values & condition.value != 0 if condition.sign == "&" else COMPARE[condition.sign](values, condition.value)
