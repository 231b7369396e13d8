"""Where the bytes of a capture file go: a path, packed or not, or standard output."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from packetlab.capture.files.source import PACKED_CHUNK, zstd
from packetlab.errors import CaptureError

if TYPE_CHECKING:
    from packetlab.capture.files.records import Array, Records

MOST = 1024  # pieces a call: UIO_MAXIOV


@cache
def _writev() -> Callable[[int, int, int], int]:
    call: Any = ctypes.CDLL(None, use_errno=True).writev
    call.argtypes, call.restype = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int), ctypes.c_ssize_t
    return call  # type: ignore[no-any-return]


def open_sink(where: Any) -> BinaryIO:
    """Open a path for writing ("-" is standard output), packed if its name ends in .gz, .zst or .lz4."""
    if where == "-":
        return sys.stdout.buffer
    try:
        packing = packed(where, str(where))
        return packing or WholeWrites(open(where, "wb", buffering=0), str(where))  # type: ignore[return-value]
    except (OSError, ValueError) as error:
        raise CaptureError(str(where), "a writable file", getattr(error, "strerror", error)) from None


def packed(where: Any, name: str) -> BinaryIO | None:
    """Open what packs into a path, or a stream that stays open, by the ending of a name; None where that is no ending of ours."""
    ending = Path(name).suffix
    try:
        if ending == ".gz":
            import gzip

            # No name and no time inside: the same frames make the same file.
            stream = open(where, "wb") if isinstance(where, (str, Path)) else where
            return gzip.GzipFile(filename="", fileobj=stream, mode="wb", mtime=0)  # type: ignore[return-value]
        if ending == ".zst":
            return zstd().open(where, "wb")  # type: ignore[no-any-return]
        if ending == ".lz4":
            import lz4.frame

            return lz4.frame.open(where, "wb")  # type: ignore[no-any-return]
    except ImportError as error:
        raise CaptureError(name, f"the package that packs {ending}", str(error)) from None
    return None


class WholeWrites:
    """A file that gets what is written in whole pieces, many at a time: a killed program leaves no half of one.

    (But for the one moment that the kernel itself is stopped in the middle of a write.) Where the disk is full, what is
    not written whole is taken off again, and lost.
    """

    def __init__(self, file: FileIO, name: str) -> None:
        self._file, self._name = file, name
        self._waiting: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> int:
        """Take a piece that must not be cut."""
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= PACKED_CHUNK:
            self.flush()
        return len(data)

    def write_records(self, records: Records) -> None:
        """Write records at once: in one block, or in pieces that the kernel takes from where they lie."""
        self.flush()
        block = records.block()
        if block is not None:
            self._write(block, records.sizes.tolist())
            return
        pieces = records.pieces  # `records` holds the memory meanwhile
        rows = MOST // pieces.shape[1]
        for first in range(0, len(pieces), rows):
            self._gather(pieces[first : first + rows])

    def _gather(self, records: Array) -> None:
        import numpy as np

        left = records.ravel()
        sizes = records["size"].sum(axis=1).tolist()
        written = 0
        while len(left):
            done = _writev()(self._file.fileno(), left.ctypes.data, len(left))
            if done < 0:
                number = ctypes.get_errno()
                if number == errno.EINTR:
                    continue
                raise self._full(OSError(number, os.strerror(number)), sizes, written)
            written += done
            ends = np.cumsum(left["size"])
            whole = int(np.searchsorted(ends, done, "right"))
            if whole < len(left):
                part = np.uint64(done) - (ends[whole - 1] if whole else np.uint64(0))
                left["base"][whole] += part
                left["size"][whole] -= part
            left = left[whole:]

    def flush(self) -> None:
        """Hand everything to the kernel. OSError where it takes no more; then the file ends with a whole piece."""
        waiting, self._waiting, self._size = self._waiting, [], 0
        self._write(memoryview(b"".join(waiting)), map(len, waiting))

    def _write(self, rest: memoryview, sizes: Iterable[int]) -> None:
        written = 0
        try:
            while written < len(rest):
                written += self._file.write(rest[written:])
        except OSError as error:
            raise self._full(error, sizes, written) from None

    def _full(self, error: OSError, sizes: Iterable[int], written: int) -> OSError:
        """Cut the piece off that is written in part, where that can be; return the error that says so."""
        for size in sizes:
            if written < size:
                break
            written -= size
        with suppress(OSError):  # a pipe, or a device
            self._file.truncate(self._file.seek(-written, os.SEEK_CUR))
        return OSError(error.errno, f"{error.strerror}; what was written whole stays", self._name)

    def fileno(self) -> int:
        """The file descriptor."""
        return self._file.fileno()

    def close(self) -> None:
        """Hand on what waits, and close."""
        try:
            self.flush()
        finally:
            self._file.close()
