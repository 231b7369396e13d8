"""What a worker of a fleet does: opens captures, reads columns of them, writes shards. All of it can go to another process."""

from __future__ import annotations

import json
import os
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from packetlab.capture.capture import Capture
from packetlab.capture.files.pcapng import Mark
from packetlab.capture.index import part
from packetlab.capture.tables.columns import Columns
from packetlab.errors import CaptureError
from packetlab.escaping import printable


class File(NamedTuple):
    """One capture of a fleet: path or address, and bytes (0 where that is not known)."""

    path: str
    size: int


class Job(NamedTuple):
    """Some files and the queries over them; `declarations` are headers of the program's own, as data."""

    paths: tuple[str, ...]
    columns: tuple[str, ...]
    test: bytes  # pickled: what it names may have to be declared first
    pcap: str | None
    engine: str | None
    declarations: str
    shard: str = ""
    part: tuple[Mark, int] | None = None  # of the one file: see `capture.index.part`
    most: int | None = None  # rows of each file that are wanted


@dataclass(frozen=True)
class Failure:
    """A broken file: what was wrong, and how many rows of it were whole and count."""

    path: str
    error: str
    rows: int = 0

    def __str__(self) -> str:
        path, error = printable(self.path), printable(self.error)
        where = "" if error.startswith(path) else f"{path}: "
        return f"{where}{error}" + (f" ({self.rows} rows before)" if self.rows else "")


class Done(NamedTuple):
    """The outcome of a job. `files`: path -> rows, faults."""

    columns: Columns | None
    rows: int
    files: dict[str, tuple[int, int]]
    failures: list[Failure]


def _filesystem(path: str) -> Any:
    try:
        import fsspec  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise CaptureError(path, "the package fsspec, of the extra 'remote'", "none") from None
    try:
        return fsspec.core.url_to_fs(path)
    except (ValueError, ImportError) as error:  # no such protocol, or its package is missing
        raise CaptureError(path, "an address that fsspec knows", str(error)) from None


def remote(path: str) -> list[File]:
    """Return the files that an address or a pattern of addresses names."""
    files, inner = _filesystem(path)
    names = sorted(files.glob(inner)) if any(c in inner for c in "*?[") else [inner]
    try:
        return [File(files.unstrip_protocol(name), int(files.size(name) or 0)) for name in names]
    except OSError as error:
        raise CaptureError(path, "a readable file", str(error)) from None


@contextmanager
def opened(path: str) -> Iterator[Capture]:
    """Open one capture of a fleet, wherever it is."""
    if "://" not in path:
        yield Capture(path)
        return
    files, inner = _filesystem(path)
    with files.open(inner, "rb") as stream:
        capture = Capture(stream)
        capture.name = path
        yield capture


def _declare(job: Job) -> None:
    """Declare what the program had declared, but for what this process has already.

    What cannot stand beside the headers here stays out: columns that need it say that there is no such header.
    """
    if not job.declarations:
        return
    from packetlab.declare.registry import header_named
    from packetlab.errors import DeclareError
    from packetlab.schema.load import declare_from

    for description in json.loads(job.declarations):
        if header_named(description["name"]) is None:
            with suppress(DeclareError):
                declare_from(description)


def _blocks(job: Job, path: str) -> Iterator[Columns]:
    with opened(path) as capture:
        some = capture if job.part is None else part(capture, *job.part)
        chosen = some.where(pickle.loads(job.test), pcap=job.pcap)
        if job.most is not None:
            chosen = chosen[: job.most]
        yield from chosen.table(*job.columns, engine=job.engine).batches()


def _each(job: Job, take: Callable[[Columns], None]) -> tuple[dict[str, tuple[int, int]], list[Failure]]:
    _declare(job)
    files: dict[str, tuple[int, int]] = {}
    failures = []
    for path in job.paths:
        rows = faults = 0
        try:
            for block in _blocks(job, path):
                take(block)
                rows, faults = rows + block.rows, faults + block.faults
        except CaptureError as error:
            failures.append(Failure(path, str(error), rows))
        except OSError as error:
            failures.append(Failure(path, str(error.strerror or error), rows))
        files[path] = rows, faults
    return files, failures


def read_columns(job: Job) -> Done:
    """Return the columns of all files of a job."""
    blocks: list[Columns] = []
    files, failures = _each(job, blocks.append)
    whole = Columns.named(job.columns, blocks) if blocks else None
    return Done(whole, whole.rows if whole is not None else 0, files, failures)


def write_shard(job: Job) -> Done:
    """Write the columns of all files of a job into one Parquet file."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise CaptureError(job.shard, "the package pyarrow, of the extra 'parquet'", "none") from None
    partial = f"{job.shard}.{os.getpid()}"
    writer: Any = None
    rows = 0

    def write(block: Columns) -> None:
        nonlocal writer, rows
        table = pyarrow.table(block)
        writer = writer or pyarrow.parquet.ParquetWriter(partial, table.schema)
        writer.write_table(table)
        rows += block.rows

    try:
        files, failures = _each(job, write)
        if writer is not None:
            writer.close()
            os.replace(partial, job.shard)
    except BaseException:
        if writer is not None:
            writer.close()
            os.unlink(partial)
        raise
    return Done(None, rows, files, failures)


def call(task: tuple[Callable[[Capture], object], tuple[str, ...]]) -> list[tuple[str, Any, Failure | None]]:
    """Return what a function makes of each capture, or how it failed."""
    function, paths = task
    results: list[tuple[str, Any, Failure | None]] = []
    for path in paths:
        try:
            with opened(path) as capture:
                results.append((path, function(capture), None))
        except (CaptureError, OSError) as error:
            results.append((path, None, Failure(path, str(error))))
        except Exception as error:  # one file's trouble is not the others'
            place = traceback.extract_tb(error.__traceback__)[-1]
            results.append(
                (path, None, Failure(path, f"{type(error).__name__}: {error} (line {place.lineno} of {place.name})"))
            )
    return results
