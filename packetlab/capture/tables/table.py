"""Table: columns of a capture, read as they are needed, a block of rows at a time.

Which values those are `bulk.columns` says, and how they are found in a buffer `bulk.scan`; here that is put together
with reading, with what the file says of each frame, and with packets that do not fit, which are made to objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from packetlab.bulk.columns import Column
from packetlab.capture.batch import FrameBatch
from packetlab.capture.filters.patterns import header_class
from packetlab.capture.reading import Readable
from packetlab.capture.tables.columns import AnyColumn, Columns, arrow_format, column_of, named_file
from packetlab.capture.tables.engines import ScanEngines
from packetlab.errors import BuildError, CaptureError
from packetlab.hooks import Shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 1 << 16
MOST = 1 << 14  # rows of a batch that go into a block at once, where fewer are wanted


class Table(Shown):
    """Columns of a capture. Nothing is read before it is requested, and what streams (`batches`, Arrow) stays flat.

    Attributes:
        names: of the columns, in order.

    A value that a frame does not have (no such layer, no such field in it) counts as 0, or no bytes, and is masked: see
    `Columns.valid`. IPv4 addresses are numbers, other addresses bytes; `Columns.text` shows them as people read them.
    """

    def __init__(self, capture: Readable, specs: Iterable[object], engine: str | None = None) -> None:
        ScanEngines.check(engine)
        self._capture, self._engine = capture, engine
        self._columns: list[AnyColumn] = [
            named_file(capture.name) if spec == "file" else column_of(spec) for spec in specs
        ]
        self.names = tuple(one.name for one in self._columns)
        for path in (one.path for one in self._columns if isinstance(one, Column)):
            header_class(path.header, "column")
        if not self.names:
            raise BuildError("table", "one column or more", "none")
        twice = [name for name in self.names if self.names.count(name) > 1]
        if twice:
            raise BuildError("table", "different columns", f"{twice[0]!r} twice")

    def batches(self, rows: int = ROWS) -> Iterator[Columns]:
        """Yield the rows in order, `rows` or a few more or less at a time. CaptureError for damage, after what was whole."""
        decoder = Decoder(self._columns, self._engine, self._capture._capture_size(), rows)
        try:
            # A batch is gone over as soon as it is read, while it is in the processor's caches.
            for batch in self._capture.batches(lasting=False):
                yield from decoder.add(batch)
        except CaptureError:
            yield from decoder.rest()
            raise
        yield from decoder.rest()

    def read(self) -> Columns:
        """Return all rows at once."""
        return Columns.joined(self._columns, list(self.batches()))

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return one column of all rows. KeyError if it is not among `names`."""
        if name not in self.names:
            raise KeyError(name)
        return self._only(self._columns[self.names.index(name)]).read()[name]

    def _only(self, column: AnyColumn) -> Table:
        return Table(self._capture, [column], self._engine)

    def __iter__(self) -> Iterator[Columns]:
        return self.batches()

    def head(self, rows: int = 10) -> Columns:
        """Return the first rows."""
        part = Table(self._capture[:rows], self._columns, self._engine)
        return part.read()

    def to_numpy(self) -> dict[str, NDArray[Any]]:
        """Return all columns as numpy arrays; those with absent values as masked arrays."""
        whole = self.read()
        return {name: whole[name] if whole.valid(name).all() else whole.masked(name) for name in self.names}

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Give the table to any library that takes Arrow streams, a block at a time: polars, pyarrow, DuckDB, pandas.

        CaptureError for damage, before anything is given (libraries do not all survive an error in the midst of a
        stream): so a file is gone through twice, and what can be read only once is held in memory.
        """
        from packetlab.capture.tables.arrow import stream

        schema = [(one.name, arrow_format(one)) for one in self._columns]
        return stream(schema, (block.to_arrow() for block in self._checked()), requested_schema)

    def _checked(self) -> Iterable[Columns]:
        """Return the blocks, once it is known that no damage ends them."""
        if not self._capture.again:
            return list(self.batches())
        for _ in self._capture.batches(lasting=False):
            pass
        return self.batches()

    @property
    def again(self) -> bool:
        """Whether it can be read any number of times (see `Capture.again`)."""
        return self._capture.again

    def __repr__(self) -> str:
        return f"<Table of {self._capture!r}: {', '.join(self.names)}>"


class Decoder:
    """Makes columns out of batches of frames, in blocks of about `rows` rows."""

    def __init__(self, columns: list[AnyColumn], engine: str | None, capture_size: int | None, rows: int) -> None:
        self.columns, self.room = columns, max(1, rows)
        self.wired = [one for one in columns if isinstance(one, Column)]
        self.engines = ScanEngines(self.wired, engine, capture_size)
        self.block: Columns | None = None
        self.filled = 0

    def rest(self) -> Iterator[Columns]:
        """Yield the block that is being filled, if there is any."""
        if self.block is not None:
            self.block.cut(self.filled)
            yield self.block
            self.block = None

    def add(self, batch: FrameBatch) -> Iterator[Columns]:
        """Take in a batch; yield the block that has no room for it."""
        count, most = len(batch), max(self.room, MOST)
        if count > most:
            for first in range(0, count, most):
                yield from self.add(batch.chosen(range(first, min(first + most, count))))
            return
        if self.block is not None and self.filled + count > self.block.rows:
            yield from self.rest()
        if self.block is None:
            self.block, self.filled = Columns(self.columns, max(count, self.room)), 0
        block, at = self.block, self.filled
        block.about(batch, at)
        if self.wired:
            arrays = block.targets(self.wired, at, count)
            packets = {row: batch.frame(row).packet() for row in self.engines.go(batch, arrays)}
            block.faults += sum(any(not fault.cut for fault in packet.faults) for packet in packets.values())
            block.settle(self.wired, batch, arrays, packets)
        self.filled += count
