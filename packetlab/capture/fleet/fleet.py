"""Fleets: thousands of captures as one, read in parallel on this machine or by any executor, a cluster's too.

Nothing is read before results are requested; these come in the order of the files, and no more of them are under way than
the workers can take. A file that is broken ends nothing: what was whole in it counts, and the failure is kept.
"""

from __future__ import annotations

import glob
import json
import os
import pickle
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from packetlab.capture.capture import Capture
from packetlab.capture.files.pcapng import Mark
from packetlab.capture.filters.patterns import as_test
from packetlab.capture.fleet.keys import keyed
from packetlab.capture.fleet.pool import Pool, Promise
from packetlab.capture.fleet.worker import Failure, File, Job, call, read_columns, remote, write_shard
from packetlab.capture.index import splits
from packetlab.capture.tables.columns import AnyColumn, Columns
from packetlab.capture.tables.table import ROWS, Table
from packetlab.declare.registry import declared
from packetlab.errors import BuildError, CaptureError
from packetlab.renamed import renamed, renamed_arguments

T = TypeVar("T")
J = TypeVar("J")

ENDINGS = (".pcap", ".pcapng", ".cap", ".ntar")
PACKED = (".gz", ".zst", ".lz4")
BATCH_BYTES = 64 << 20
MOST_FILES = 512  # in one job


@dataclass(frozen=True)
class Manifest:
    """What became of a fleet's files.

    Attributes:
        columns: their names. shards: files written, with their rows. files: path -> rows, faults, shard.
        failures: the files that were broken, with what was wrong; their whole rows are in the shards.
    """

    columns: tuple[str, ...]
    shards: dict[str, int]
    files: dict[str, dict[str, Any]]
    failures: list[Failure]

    @property
    def rows(self) -> int:
        """Rows of all shards."""
        return sum(self.shards.values())

    def __str__(self) -> str:
        lines = [
            f"{len(self.files)} files, {self.rows} rows in {len(self.shards)} shards, {len(self.failures)} failures"
        ]
        return "\n".join(lines + [str(failure) for failure in self.failures])


@renamed_arguments(batch_octets="batch_bytes")
def scan(
    paths: str | Path | Iterable[str | Path],
    *,
    executor: Any = None,
    workers: int | None = None,
    batch_bytes: int = BATCH_BYTES,
) -> Fleet:
    """Return the captures that `paths` names, as one.

    Args:
        paths: a path, a pattern with ``*``, ``?`` or ``**``, a folder (every capture below it), or several of these. What
            has a protocol ("s3://...", "memory://...") goes through fsspec, of the extra `remote`.
        executor: who does the work: any `concurrent.futures.Executor`, or a Dask client (``dask.distributed.Client()``);
            by default a pool of processes of its own. Threads and processes of this machine know the keys of `secrets`; elsewhere
            each worker has to be told them, else what needs one is a BuildError.
        workers: how many processes of that pool. batch_bytes: about how much one job reads: several small files, or a
            part of a large one that is on a disk and not packed.

    CaptureError where a path that is no pattern does not exist.
    """
    executor = executor.get_executor() if hasattr(executor, "get_executor") else executor
    many = [paths] if isinstance(paths, (str, Path)) else list(paths)
    files = [file for path in many for file in _found(str(path))]
    return Fleet(files, executor, workers, batch_bytes)


def _found(path: str) -> list[File]:
    if "://" in path:
        return remote(path)
    if os.path.isdir(path):
        inside = sorted(str(p) for p in Path(path).rglob("*") if p.is_file() and _is_capture(p))
        return [File(name, os.path.getsize(name)) for name in inside]
    if glob.has_magic(path) and not os.path.exists(path):
        return [
            File(name, os.path.getsize(name))
            for name in sorted(glob.glob(path, recursive=True))
            if os.path.isfile(name)
        ]
    try:
        return [File(path, os.path.getsize(path))]
    except OSError as error:
        raise CaptureError(path, "a readable file", error.strerror) from None


def _is_capture(path: Path) -> bool:
    endings = [ending for ending in path.suffixes if ending not in PACKED]
    return bool(endings) and endings[-1] in ENDINGS


class Fleet:
    """Many captures. See `scan`.

    Attributes:
        files: their paths and sizes. failures: what was broken, of the last results that were gone through.
    """

    def __init__(self, files: list[File], executor: Executor | None, workers: int | None, batch_bytes: int) -> None:
        self.files = tuple(files)
        self._executor, self._batch = executor, max(1, batch_bytes)
        self._workers = workers or os.cpu_count() or 1
        self.failures: list[Failure] = []

    def __len__(self) -> int:
        return len(self.files)

    @property
    def total_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    octets = renamed("octets", "total_bytes")

    def batches(self) -> list[tuple[str, ...]]:
        """Return the files as the jobs take them: in order, each job about as many bytes; parts of large ones are more jobs."""
        found: list[tuple[str, ...]] = []
        group: list[str] = []
        size = 0
        for file in self.files:
            if group and (size + file.size > self._batch or len(group) >= MOST_FILES):
                found.append(tuple(group))
                group, size = [], 0
            group.append(file.path)
            size += file.size
        return [*found, tuple(group)] if group else found

    # Results -------------------------------------------------------------------------------------------------------

    def table(
        self, *columns: object, where: object = None, pcap: str | None = None, engine: str | None = None
    ) -> FleetTable:
        """Return a table of columns of all frames, in the order of the files, read as it is needed.

        Args:
            columns: as for `Capture.table`; "file" is the file that a row is from. A header declared by the program itself
                goes to the workers as data. where: a filter in words, a prototype or a header class. pcap: a filter of
                tcpdump's. engine: as for `Capture.table`.

        BuildError for what cannot go to another process. `failures` has the broken files after each reading.
        """
        return FleetTable(self, columns, engine, self._job(columns, where, pcap, engine))

    def map(self, function: Callable[[Any], T]) -> Iterator[tuple[str, T]]:
        """Yield (path, what `function` returns of the Capture), in order; what it raises is a failure of that file.

        The function must be one that another process can import.
        """
        for _, results in self._run(call, ((function, paths) for paths in self.batches())):
            for path, result, failure in results:
                if failure is not None:
                    self.failures.append(failure)
                else:
                    yield path, result

    def write_parquet(
        self,
        folder: str | Path,
        *columns: object,
        where: object = None,
        pcap: str | None = None,
        engine: str | None = None,
    ) -> Manifest:
        """Write the columns as Parquet files, one a job, and `manifest.json` beside them; return the manifest.

        Arguments as for `table`. Needs pyarrow, of the extra `parquet`. The workers write into `folder`, which they must
        all see. A shard is there whole or not at all.
        """
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        job = self._job(columns, where, pcap, engine)
        jobs = (
            one._replace(shard=str(place / f"part-{number:05d}.parquet")) for number, one in enumerate(self._jobs(job))
        )
        shards: dict[str, int] = {}
        files: dict[str, dict[str, Any]] = {}
        for one, done in self._run(write_shard, jobs):
            name = Path(one.shard).name
            if done.rows:
                shards[name] = done.rows
            for path, (rows, faults) in done.files.items():
                file = files.setdefault(path, {"rows": 0, "faults": 0, "shard": None, "shards": []})
                self.failures += [
                    replace(fault, rows=fault.rows + file["rows"]) for fault in done.failures if fault.path == path
                ]
                file["rows"] += rows
                file["faults"] += faults
                if done.rows:
                    file["shard"] = file["shard"] or name
                    file["shards"].append(name)
        manifest = Manifest(job.columns, shards, files, list(self.failures))
        partial = place / ".manifest.json"
        partial.write_text(json.dumps(asdict(manifest), indent=1))
        partial.replace(place / "manifest.json")
        return manifest

    # Work ----------------------------------------------------------------------------------------------------------

    def _job(self, columns: tuple[object, ...], where: object, pcap: str | None, engine: str | None) -> Job:
        test = None
        if where is not None:
            test = as_test(where)
            if test is None:
                raise BuildError(
                    "scan: where", "a filter in words, a header class or a prototype of plain values", repr(where)
                )
        names = Table(Capture.of([]), columns, engine).names
        return Job((), names, pickle.dumps(test), pcap, engine, _declarations())

    def _jobs(self, job: Job) -> Iterator[Job]:
        """Yield a job as the workers take it: for some files each, for a part of a large one, in order."""
        for paths in self.batches():
            parts: Iterator[tuple[Mark, int]] = iter(())
            if self._parallel and len(paths) == 1 and "://" not in paths[0] and _size(paths[0]) > self._batch:
                parts = splits(Capture(paths[0]), self._batch)
            first = next(parts, None)
            for one in (first, *parts) if first is not None else (None,):
                yield job._replace(paths=paths, part=one)

    @property
    def _parallel(self) -> bool:
        return self._executor is not None or self._workers > 1

    def _run(self, work: Callable[[J], T], jobs: Iterable[J], ahead: int | None = None) -> Iterator[tuple[J, T]]:
        """Yield jobs and their results, in order; this many are under way at once, 1: the next is not begun before."""
        self.failures = []
        left = iter(jobs)
        some = [*islice(left, 2)]
        waiting: deque[tuple[J, Future[T] | Promise[T]]] = deque()
        most = ahead or 2 * self._workers
        few = len(some) < 2 or most == 1
        workers = 1 if few else min(self._workers, len(self.batches()) + self.total_bytes // self._batch)
        with ExitStack() as stack:
            executor = stack.enter_context(Pool(workers)) if self._executor is None else self._executor
            work = keyed(work, executor, _declarations)
            for job in chain(some, left):
                while len(waiting) >= most:
                    yield _done(waiting)
                waiting.append((job, executor.submit(work, job)))
            while waiting:
                yield _done(waiting)

    def __repr__(self) -> str:
        return f"<Fleet: {len(self.files)} captures, {self.total_bytes} bytes>"


def _done(waiting: deque[tuple[J, Future[T] | Promise[T]]]) -> tuple[J, T]:
    job, result = waiting.popleft()
    return job, result.result()


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # gone: whose job it is says so
        return 0


class FleetTable(Table):
    """Columns of a fleet: a `Table` whose rows others read, wherever the fleet has its work done.

    A file that is broken ends nothing: what was whole in it is in the table, the rest in `failures` of the fleet.
    """

    def __init__(self, fleet: Fleet, specs: Iterable[object], engine: str | None, job: Job) -> None:
        super().__init__(Capture.of([]), specs, engine)
        self._fleet, self._job = fleet, job

    def batches(self, rows: int = ROWS) -> Iterator[Columns]:
        """Yield the rows in the order of the files, `rows` at a time or what is left of a job's."""
        for block in self._blocks(self._fleet._jobs(self._job)):
            yield from block.pieces(rows)

    def head(self, rows: int = 10) -> Columns:
        """Return the first rows; no more files are read than have them."""
        found: list[Columns] = []
        jobs = (self._job._replace(paths=(file.path,), most=rows) for file in self._fleet.files)
        for block in self._blocks(jobs, 1):
            found.append(block)
            if sum(one.rows for one in found) >= rows:
                break
        return Columns.joined(self._columns, found).head(rows)

    def _blocks(self, jobs: Iterable[Job], ahead: int | None = None) -> Iterator[Columns]:
        fleet, whole = self._fleet, Counter[str]()
        for _, done in fleet._run(read_columns, jobs, ahead):
            fleet.failures += [replace(fault, rows=fault.rows + whole[fault.path]) for fault in done.failures]
            for path, (rows, _) in done.files.items():
                whole[path] += rows
            if done.columns is not None:
                yield done.columns

    def _only(self, column: AnyColumn) -> Table:
        return FleetTable(self._fleet, [column], self._engine, self._job._replace(columns=(column.name,)))

    def _checked(self) -> Iterable[Columns]:
        return self.batches()  # damage is no error here

    def __repr__(self) -> str:
        return f"<Table of {self._fleet!r}: {', '.join(self.names)}>"


def _declarations() -> str:
    """Return the headers that the program itself has declared, as data; those that are code stay behind.

    Of several that have one name it is the last that names mean.
    """
    from packetlab.errors import DeclareError
    from packetlab.schema.dump import described

    last = {header.name: header for header in declared() if not header.is_own}
    own: dict[object, dict[str, object]] = {}
    for header in last.values():
        try:
            found = {one["name"]: one for one in described([header])}
        except DeclareError:
            continue
        own = {**found, **own} if header.name in own else {**own, **found}
    return json.dumps(list(own.values())) if own else ""
