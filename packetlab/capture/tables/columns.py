"""Columns: some rows of a table as arrays, with what is absent masked; and the columns that the file itself has.

A column of bytes of any size is kept as one buffer and the sizes, one of objects as these; its numpy form is made when it
is requested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from packetlab.bulk.columns import Column, column, shown_array, shown_dtype
from packetlab.capture.batch import NO_TIME, FrameBatch
from packetlab.errors import BuildError, suggestion
from packetlab.escaping import printable
from packetlab.hooks import Shown
from packetlab.pattern.filter import OF_FRAMES
from packetlab.renamed import renamed_arguments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from packetlab.bulk.batch import Numbers, Truths
    from packetlab.capture.tables.arrow import ArrowBatch, ArrowColumn
    from packetlab.declare.values.views import Array
    from packetlab.packet.packet import Packet


Found: TypeAlias = "tuple[Any, Truths | None]"  # values, and which there are (None: all)


@dataclass(frozen=True)
class FrameColumn:
    """A column of what the file says of each frame.

    Attributes:
        name: of the column. dtype: kind of the numpy array; "O" is text. of: from a batch, the values and which there are.
    """

    name: str
    dtype: str
    of: Callable[[FrameBatch], Found]
    form: str = "number"


def _comments(batch: FrameBatch) -> Found:
    import numpy as np

    first = {row: extras.comments[0] for row, extras in batch.extras.items() if extras.comments}
    valid = np.zeros(len(batch), bool)
    valid[list(first)] = True
    return [first.get(row, "") for row in range(len(batch))], valid


def _times(batch: FrameBatch) -> Found:
    valid = batch.times_ns != NO_TIME
    valid[list(batch.far)] = False  # no array holds these: none is better than another
    return batch.times_ns, valid


def _file(batch: FrameBatch) -> Found:
    raise BuildError("column 'file'", "a capture that has a name", "none")


_OF_FRAMES = {
    one.name: one
    for one in (
        FrameColumn("number", "i8", lambda batch: (batch.numbers, None)),
        FrameColumn("time_ns", "i8", _times),
        FrameColumn("length", "u4", lambda batch: (batch.sizes, None)),
        FrameColumn("wire_length", "u4", lambda batch: (batch.wire_sizes, None)),
        FrameColumn("linktype", "u2", lambda batch: (_of_interface(batch, "linktype"), None)),
        FrameColumn("interface", "u4", lambda batch: (_of_interface(batch, "number"), None)),
        FrameColumn("comment", "O", _comments, "text"),
        FrameColumn("file", "O", _file, "text"),
        FrameColumn("faults", "u2", lambda batch: ([min(len(one.packet().faults), 0xFFFF) for one in batch], None)),
    )
}


def named_file(name: str) -> FrameColumn:
    """Return the column "file" of one capture."""
    return FrameColumn("file", "O", lambda batch: ([name] * len(batch), None), "text")


def _of_interface(batch: FrameBatch, name: str) -> NDArray[Any]:
    import numpy as np

    return np.array([getattr(interface, name) for interface in batch.interfaces])[batch.which]


def frame_column(spec: object) -> FrameColumn | None:
    """Return the column of the file's own that is named so, or None.

    number (from 1), time_ns (since 1970-01-01 UTC; none after the year 2262, which 64 bits do not hold), length (bytes kept), wire_length, linktype, interface (its number),
    comment (the first), file (its name), faults (how many the packet has: this one makes an object of every packet).
    """
    if not isinstance(spec, str):
        return spec if isinstance(spec, FrameColumn) else None
    return _OF_FRAMES.get(OF_FRAMES.get(spec.lower(), spec))


def column_of(spec: object) -> AnyColumn:
    """Return the column of the file's own, or of a header, that is named so. BuildError where there is none."""
    found = frame_column(spec)
    if found is not None:
        return found
    try:
        return column(spec)
    except BuildError as error:
        hint = suggestion(spec, _OF_FRAMES) if isinstance(spec, str) and "." not in spec else ""
        if not hint:
            raise
        raise BuildError(error.where, error.expected, error.got, hint) from None


AnyColumn: TypeAlias = Column | FrameColumn
_ARROW = {"u1": "C", "i1": "c", "u2": "S", "i2": "s", "u4": "I", "i4": "i", "u8": "L", "i8": "l", "f8": "g"}


def arrow_format(one: AnyColumn) -> str:
    if one.name == "time_ns":
        return "tsn:UTC"
    if isinstance(one, Column) and one.form == "objects" and one.kind.shows_bytes:
        return "Z"
    if isinstance(one, Column) and one.view is not None:
        return _ARROW.get(shown_dtype(one.view), "U")
    if one.form == "fixed":
        return f"w:{one.dtype[1:]}"
    return {"present": "b", "bytes": "Z", "text": "U", "objects": "U"}.get(one.form) or _ARROW[one.dtype]


class Columns(Shown):
    """Some rows of a table.

    Attributes:
        names: of the columns. rows: how many. faults: frames among them whose headers, as far as they had to be looked at
            for these columns, do not fit their declarations (and were not only cut by the capture).
    """

    def __init__(self, columns: list[AnyColumn], rows: int) -> None:
        import numpy as np

        self._columns = {one.name: one for one in columns}
        self.names = tuple(self._columns)
        self.rows, self.faults = rows, 0
        self._values: dict[str, NDArray[Any]] = {}
        self._valid: dict[str, Truths] = {name: np.zeros(rows, bool) for name in self.names}
        self._pieces: dict[str, list[Any]] = {}  # of bytes and texts of any size; or objects, one a row
        self._objects: dict[str, NDArray[Any]] = {}
        for one in columns:
            if one.form == "fixed":
                self._values[one.name] = np.zeros((rows, int(one.dtype[1:])), np.uint8)
            elif one.form == "present":
                self._values[one.name] = self._valid[one.name]
            elif one.dtype == "O":
                self._values[one.name] = np.zeros(rows, np.int64)  # sizes
                self._pieces[one.name] = []
            else:
                self._values[one.name] = np.zeros(rows, one.dtype)

    @classmethod
    def joined(cls, columns: list[AnyColumn], parts: list[Columns]) -> Columns:
        """Return the rows of all parts, in order."""
        import numpy as np

        if len(parts) == 1:
            return parts[0]
        whole = cls(columns, 0)
        if parts:
            whole.rows, whole.faults = sum(part.rows for part in parts), sum(part.faults for part in parts)
            for one in columns:
                whole._valid[one.name] = np.concatenate([part._valid[one.name] for part in parts])
                joined = np.concatenate([part._values[one.name] for part in parts])
                whole._values[one.name] = whole._valid[one.name] if one.form == "present" else joined
                for part in parts:
                    whole._pieces.get(one.name, []).extend(part._pieces.get(one.name, []))
        return whole

    @classmethod
    def named(cls, names: Sequence[str], parts: list[Columns]) -> Columns:
        """Return the rows of all parts, whose columns have these names."""
        return cls.joined([column_of(name) for name in names], parts)

    def __reduce__(self) -> tuple[object, ...]:
        # By the columns' names: another process has classes of its own.
        state = (self.rows, self.faults, self._values, self._valid, self._pieces)
        return _restored, (self.names, *state)

    # Filling in ----------------------------------------------------------------------------------------------------

    def cut(self, rows: int) -> None:
        """Keep the first rows, those that were filled in."""
        self.rows = rows
        for name, one in self._columns.items():
            self._valid[name] = self._valid[name][:rows]
            self._values[name] = self._valid[name] if one.form == "present" else self._values[name][:rows]

    def about(self, batch: FrameBatch, at: int) -> None:
        """Fill in what the file says of the frames of a batch, from row `at` on."""
        for name, one in self._columns.items():
            if not isinstance(one, FrameColumn):
                continue
            values, valid = one.of(batch)
            rows = slice(at, at + len(batch))
            self._valid[name][rows] = True if valid is None else valid
            if one.form == "text":
                raw = [text.encode("utf-8", "backslashreplace") for text in values]
                self._pieces[name] += raw
                self._values[name][rows] = [len(piece) for piece in raw]
            else:
                self._values[name][rows] = values
                if valid is not None:
                    self._values[name][rows][~valid] = 0

    def targets(self, columns: list[Column], at: int, rows: int) -> list[NDArray[Any]]:
        """Return the arrays that a scan fills in (see `bulk.scan_loop`) for some rows from `at` on."""
        import numpy as np

        part = slice(at, at + rows)
        arrays: list[NDArray[Any]] = []
        for one in columns:
            if one.form == "bytes":
                arrays.append(np.zeros(rows, np.int64))
            arrays += [self._values[one.name][part], self._valid[one.name][part]]
        return arrays

    @renamed_arguments(odd="unfit")
    def settle(
        self, columns: list[Column], batch: FrameBatch, arrays: list[NDArray[Any]], unfit: dict[int, Packet]
    ) -> None:
        """Put in what packets made to objects hold, by row, and fetch bytes of any size from the buffer."""
        import numpy as np

        arrays = arrays[::-1]
        for one in columns:
            places = arrays.pop() if one.form == "bytes" else None
            values, valid = arrays.pop(), arrays.pop()
            by_hand: dict[int, bytes] = {}
            if one.form == "objects":  # only packets that were made to objects have any
                self._pieces[one.name] += [one.value(unfit[row]) if row in unfit else None for row in range(len(batch))]
            for row, packet in unfit.items():
                value = one.value(packet)
                valid[row] = value is not None
                if one.form == "bytes":
                    by_hand[row] = value or b""
                    values[row] = len(by_hand[row])
                elif one.form == "fixed":
                    values[row] = np.frombuffer(value, np.uint8) if value is not None else 0
                elif one.form == "number":
                    values[row] = value or 0
            if places is not None:
                self._pieces[one.name] += _fetched(batch, places, values, by_hand)

    # Looking -------------------------------------------------------------------------------------------------------

    def _known(self, name: str) -> AnyColumn:
        if name not in self._columns:
            raise KeyError(name)
        return self._columns[name]

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return the values of a column, absent ones as 0 or no bytes. KeyError if it is not among `names`.

        Numbers in the smallest unsigned (or signed) type that holds them, bytes of a fixed size as void ("V6"), bytes of
        any size, texts and raw values of a kind of your own as objects, None where these are absent. Values that users see in
        another form than the packed one are in that form: floats, or objects; a column that ends in ".raw" has the packed one.
        """
        import numpy as np

        one, values = self._known(name), self._raw(name)
        view = one.view if isinstance(one, Column) else None
        if view is None:
            return values
        if one.form == "number":
            return shown_array(view, values)
        found = np.empty(self.rows, object)
        there = self._valid[name].tolist()
        for row, raw in enumerate(values.tolist()):
            found[row] = view.value(raw) if there[row] else None
        return found

    def _raw(self, name: str) -> Array:
        """Return the values of a column as they are packed."""
        import numpy as np

        one = self._known(name)
        values: NDArray[Any] = self._values[name]
        if one.form == "fixed":
            return values.view(one.dtype).reshape(self.rows)
        if one.dtype != "O":
            return values
        if name not in self._objects:
            whole = b"" if one.form == "objects" else b"".join(self._pieces[name])
            ends = np.cumsum(values).tolist()
            pieces: list[Any] = [whole[start:end] for start, end in zip([0, *ends], ends, strict=False)]
            if one.form == "objects":
                pieces = self._pieces[name]
            objects = np.empty(self.rows, object)
            for row, piece in enumerate(pieces):  # one by one: numpy would take tuples apart
                objects[row] = piece.decode() if one.form == "text" else piece
            self._objects[name] = objects
        return self._objects[name]

    def valid(self, name: str) -> Truths:
        """Return which rows have a value in a column; of whether a header is there every row has one."""
        import numpy as np

        one = self._known(name)
        valid: Truths = np.ones(self.rows, bool) if one.form == "present" else self._valid[name]
        return valid

    def masked(self, name: str) -> Any:
        """Return a column as a masked array (numpy.ma)."""
        import numpy as np

        return np.ma.masked_array(self[name], ~self.valid(name))

    def text(self, name: str) -> list[str]:
        """Return a column as people read it, safe to print: addresses and names of values spelt out, "" where absent."""
        one = self._known(name)
        shown: dict[object, str] = {}
        values = self._raw(name).tolist()
        valid = self.valid(name).tolist()
        for value, there in zip(values, valid, strict=True):
            if there and value not in shown:
                shown[value] = _text(one, value)
        return [shown[value] if there else "" for value, there in zip(values, valid, strict=True)]

    def head(self, rows: int = 10) -> Columns:
        """Return the first rows."""
        return next(self.pieces(rows), self)

    def pieces(self, rows: int) -> Iterator[Columns]:
        """Yield the rows in order, this many at a time; `faults` are reported with the first."""
        if self.rows <= rows:
            if self.rows:
                yield self
            return
        objects = {name for name, one in self._columns.items() if one.form == "objects"}
        whole = {name: b"".join(pieces) for name, pieces in self._pieces.items() if name not in objects}
        ends = {name: [0, *self._values[name].cumsum().tolist()] for name in whole}
        for start in range(0, self.rows, max(1, rows)):
            stop = min(start + max(1, rows), self.rows)
            part = Columns(list(self._columns.values()), 0)
            part.rows, part.faults = stop - start, 0 if start else self.faults
            for name, one in self._columns.items():
                part._valid[name] = self._valid[name][start:stop]
                part._values[name] = part._valid[name] if one.form == "present" else self._values[name][start:stop]
                if name in objects:
                    part._pieces[name] = self._pieces[name][start:stop]
                elif one.dtype == "O":
                    part._pieces[name] = [whole[name][ends[name][start] : ends[name][stop]]]
            yield part

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __repr__(self) -> str:
        return f"<Columns: {self.rows} rows of {', '.join(self.names)}>"

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Give the rows to any library that takes Arrow streams."""
        from packetlab.capture.tables.arrow import stream

        schema = [(name, arrow_format(one)) for name, one in self._columns.items()]
        return stream(schema, iter([self.to_arrow()]), requested_schema)

    # For others ----------------------------------------------------------------------------------------------------

    def to_arrow(self) -> ArrowBatch:
        """Return the rows as Arrow lays them out."""
        from packetlab.capture.tables.arrow import ArrowBatch

        return ArrowBatch(self.rows, tuple(self._arrow(one) for one in self._columns.values()))

    def _arrow(self, one: AnyColumn) -> ArrowColumn:
        import numpy as np

        from packetlab.capture.tables.arrow import ArrowColumn

        valid, values, form = self.valid(one.name), self._values[one.name], arrow_format(one)
        if one.form == "present":
            return ArrowColumn(0, (None, np.packbits(values, bitorder="little")))
        view = one.view if isinstance(one, Column) else None
        if view is not None and form not in ("U", "Z"):
            values = self[one.name]
            if values.dtype == object:  # whole numbers; where packed digits are no number, there is none
                valid = valid & np.array([isinstance(value, int) for value in values.tolist()], bool)
                values = np.where(valid, values, 0).astype(shown_dtype(view))
        nulls = self.rows - int(np.count_nonzero(valid))
        bitmap = np.packbits(valid, bitorder="little") if nulls else None
        if form not in ("U", "Z"):
            return ArrowColumn(nulls, (bitmap, np.ascontiguousarray(values)))
        pieces = self._pieces.get(one.name, [])
        if view is not None or one.form == "objects":  # Arrow has no objects: bytes, or as people read them
            shown = self[one.name].tolist() if view is not None or form == "Z" else self.text(one.name)
            pieces = [_piece(value) if there else b"" for value, there in zip(shown, valid.tolist(), strict=True)]
            values = np.array([len(piece) for piece in pieces], np.int64)
        offsets = np.zeros(self.rows + 1, np.int64)
        np.cumsum(values, out=offsets[1:])
        return ArrowColumn(nulls, (bitmap, offsets, np.frombuffer(b"".join(pieces) or b"\0", np.uint8)))


def _piece(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "backslashreplace")


def _restored(names: tuple[str, ...], rows: int, faults: int, *kept: dict[str, Any]) -> Columns:
    made = Columns.named(names, [])
    made.rows, made.faults, (made._values, made._valid, made._pieces) = rows, faults, kept
    return made


def _fetched(batch: FrameBatch, places: Numbers, sizes: Numbers, by_hand: dict[int, bytes]) -> list[bytes]:
    """Return the bytes that lie at `places` in the buffer, row by row, but for rows whose bytes are given."""
    import numpy as np

    if not by_hand:
        total = int(sizes.sum())
        if not total:
            return []
        # For each byte: where its row begins in the buffer, and how far after that it is.
        shift = np.repeat(places - (np.cumsum(sizes) - sizes), sizes)
        return [batch.data[shift + np.arange(total)].tobytes()]
    return [
        by_hand[row] if row in by_hand else batch.data[place : place + size].tobytes()
        for row, (place, size) in enumerate(zip(places.tolist(), sizes.tolist(), strict=True))
    ]


def _text(one: AnyColumn, value: object) -> str:
    if isinstance(one, FrameColumn) or one.form == "present":
        return printable(value)
    return one.text(value)
