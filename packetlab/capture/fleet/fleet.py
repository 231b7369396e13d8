"""Fleets: thousands of captures as one, read in parallel on this machine or by any executor, a cluster's too.

Nothing is read before results are asked for; these come in the order of the files, and no more of them are under way than
the workers can take. A file that is broken ends nothing: what was whole in it counts, and the failure is kept.
"""

from __future__ import annotations

import glob
import json
import multiprocessing
import os
import pickle
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from packetlab.capture.filters.patterns import as_test
from packetlab.capture.fleet.worker import Failure, File, Job, call, read_columns, remote, write_shard
from packetlab.capture.tables.columns import Columns
from packetlab.capture.tables.table import Table
from packetlab.declare.registry import declared
from packetlab.errors import BuildError, CaptureError

T = TypeVar("T")

ENDINGS = (".pcap", ".pcapng", ".cap", ".ntar")
PACKED = (".gz", ".zst", ".lz4")
BATCH_OCTETS = 64 << 20
# What starting workers raises where there are no processes or threads left for this user, or no shared memory.
NO_ROOM = (OSError, RuntimeError, EOFError, ImportError)
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


def scan(
    paths: str | Path | Iterable[str | Path],
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    batch_octets: int = BATCH_OCTETS,
) -> Fleet:
    """Return the captures that `paths` names, as one.

    Args:
        paths: a path, a pattern with ``*``, ``?`` or ``**``, a folder (every capture below it), or several of these. What
            has a protocol ("s3://...", "memory://...") goes through fsspec, of the extra `remote`.
        executor: who does the work: any `concurrent.futures.Executor`, such as ``dask.distributed.Client().get_executor()``;
            by default a pool of processes of its own.
        workers: how many processes of that pool. batch_octets: about how much one job reads.

    CaptureError where a path that is no pattern does not exist.
    """
    many = [paths] if isinstance(paths, (str, Path)) else list(paths)
    files = [file for path in many for file in _found(str(path))]
    return Fleet(files, executor, workers, batch_octets)


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

    def __init__(self, files: list[File], executor: Executor | None, workers: int | None, batch_octets: int) -> None:
        self.files = tuple(files)
        self._executor, self._batch = executor, max(1, batch_octets)
        self._workers = workers or os.cpu_count() or 1
        self.failures: list[Failure] = []

    def __len__(self) -> int:
        return len(self.files)

    @property
    def octets(self) -> int:
        """Octets of all files."""
        return sum(file.octets for file in self.files)

    def batches(self) -> list[tuple[str, ...]]:
        """Return the files as the jobs take them: in order, each job about as many octets."""
        found: list[tuple[str, ...]] = []
        group: list[str] = []
        size = 0
        for file in self.files:
            if group and (size + file.octets > self._batch or len(group) >= MOST_FILES):
                found.append(tuple(group))
                group, size = [], 0
            group.append(file.path)
            size += file.octets
        return [*found, tuple(group)] if group else found

    # Results -------------------------------------------------------------------------------------------------------

    def table(
        self, *columns: Any, where: Any = None, pcap: str | None = None, engine: str | None = None
    ) -> Iterator[Columns]:
        """Yield columns of all frames, a job at a time, in the order of the files.

        Args:
            columns: as for `Capture.table`; "file" is the file that a row is from. A header declared by the program itself
                goes to the workers as data. where: a filter in words, a prototype or a header class. pcap: a filter of
                tcpdump's. engine: as for `Capture.table`.

        BuildError for what cannot go to another process. `failures` has the broken files afterwards.
        """
        job = self._job(columns, where, pcap, engine)
        for done in self._run(read_columns, [job._replace(paths=paths) for paths in self.batches()]):
            self.failures += done.failures
            if done.columns is not None:
                yield done.columns

    def map(self, function: Callable[[Any], T]) -> Iterator[tuple[str, T]]:
        """Yield (path, what `function` returns of the Capture), in order; what it raises is a failure of that file.

        The function must be one that another process can import.
        """
        for results in self._run(call, [(function, paths) for paths in self.batches()]):
            for path, result, failure in results:
                if failure is not None:
                    self.failures.append(failure)
                else:
                    yield path, result

    def write_parquet(
        self, folder: str | Path, *columns: Any, where: Any = None, pcap: str | None = None, engine: str | None = None
    ) -> Manifest:
        """Write the columns as Parquet files, one a job, and `manifest.json` beside them; return the manifest.

        Arguments as for `table`. Needs pyarrow, of the extra `parquet`. The workers write into `folder`, which they must
        all see. A shard is there whole or not at all.
        """
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        job = self._job(columns, where, pcap, engine)
        jobs = [
            job._replace(paths=paths, shard=str(place / f"part-{number:05d}.parquet"))
            for number, paths in enumerate(self.batches())
        ]
        shards: dict[str, int] = {}
        files: dict[str, dict[str, Any]] = {}
        for one, done in zip(jobs, self._run(write_shard, jobs), strict=True):
            self.failures += done.failures
            name = Path(one.shard).name
            if done.rows:
                shards[name] = done.rows
            for path, (rows, faults) in done.files.items():
                files[path] = {"rows": rows, "faults": faults, "shard": name if done.rows else None}
        manifest = Manifest(job.columns, shards, files, list(self.failures))
        partial = place / ".manifest.json"
        partial.write_text(json.dumps(asdict(manifest), indent=1))
        partial.replace(place / "manifest.json")
        return manifest

    # Work ----------------------------------------------------------------------------------------------------------

    def _job(self, columns: tuple[Any, ...], where: Any, pcap: str | None, engine: str | None) -> Job:
        test = None
        if where is not None:
            test = as_test(where)
            if test is None:
                raise BuildError(
                    "scan: where", "a filter in words, a header class or a prototype of plain values", repr(where)
                )
        from packetlab.capture.capture import Capture

        names = Table(Capture.of([]), columns, engine).names
        return Job((), names, pickle.dumps(test), pcap, engine, _declarations())

    def _run(self, work: Callable[[Any], T], jobs: list[Any]) -> Iterator[T]:
        self.failures = []
        with ExitStack() as stack:
            executor, ahead = self._executor, 2 * self._workers
            waiting: deque[Any] = deque()
            if executor is None:
                if len(jobs) <= 1 or self._workers == 1:
                    yield from map(work, jobs)
                    return
                before = multiprocessing.active_children()
                try:
                    executor = _pool(min(self._workers, len(jobs)))
                    waiting.append(executor.submit(work, jobs[0]))
                except NO_ROOM:  # the same in this process, one by one
                    for child in multiprocessing.active_children():
                        if child not in before:
                            child.terminate()
                            child.join()
                    yield from map(work, jobs)
                    return
                stack.enter_context(executor)
            for job in jobs[len(waiting) :]:
                try:
                    waiting.append(executor.submit(work, job))
                except NO_ROOM:  # for one more worker
                    if self._executor is not None:
                        raise
                    here: Future[T] = Future()
                    here.set_result(work(job))
                    waiting.append(here)
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def __repr__(self) -> str:
        return f"<Fleet: {len(self.files)} captures, {self.octets} octets>"


def _pool(workers: int) -> Executor:
    # A fork in a program with threads may hang; without threads it is the quicker start, and needs no importable main.
    method = "fork" if threading.active_count() == 1 else "forkserver"
    if method == "forkserver":
        _start_server()
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method))


def _start_server() -> None:
    """Start the processes that workers come from. They are a ``python -c``: without this, the current folder is searched."""
    from multiprocessing import forkserver, resource_tracker

    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        resource_tracker.ensure_running()
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _declarations() -> str:
    """Return the headers that the program itself has declared, as data; those that are code stay behind.

    Of several that have one name it is the last that names mean.
    """
    from packetlab.errors import DeclareError
    from packetlab.schema.dump import OWN, described

    last = {header.__name__: header for header in declared() if not header.__module__.startswith(OWN)}
    own: dict[str, Any] = {}
    for header in last.values():
        try:
            found = {one["name"]: one for one in described([header])}
        except DeclareError:
            continue
        own = {**found, **own} if header.__name__ in own else {**own, **found}
    return json.dumps(list(own.values())) if own else ""
