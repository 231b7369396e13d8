"""Processes of this machine that work for a fleet, while there is room for them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from typing import Any, Generic, TypeVar

T = TypeVar("T")
J = TypeVar("J")

# What starting workers raises where there are no processes or threads left for this user, or no shared memory.
NO_ROOM = (OSError, RuntimeError, EOFError, ImportError)
LOOK = 0.2  # seconds of waiting for a result, after which is looked whether it can still come


class Promise(Generic[T]):
    """The result of a job. What no worker gives is worked out here, when it is asked for."""

    def __init__(self, pool: Pool, future: Future[T] | None, work: Callable[[], T]) -> None:
        self._pool, self._future, self._work = pool, future, work

    def result(self) -> T:
        """Return it, or raise what the job raised."""
        if self._future is not None and self._pool.delivers(self._future):
            return self._future.result()
        return self._work()


class Pool:
    """So many processes; with one, or where there is no room for any, the work is done here."""

    def __init__(self, workers: int) -> None:
        self._executor: ProcessPoolExecutor | None = None
        self._begun = False
        if workers > 1:
            try:
                self._executor = _executor(workers)
            except NO_ROOM:
                pass

    def submit(self, work: Callable[[J], T], job: J) -> Promise[T]:
        """Have a job done."""
        future: Future[T] | None = None
        try:
            if self._executor is not None:
                future = self._executor.submit(work, job)
                self._begun = True
        except NO_ROOM:  # for one more worker, or for any
            if not self._begun:
                self._end()
        return Promise(self, future, lambda: work(job))

    def delivers(self, future: Future[Any]) -> bool:
        """Wait until a job is done; return False where nobody will do it.

        Its executor hands out jobs by two threads, and the second is started by the first: where there is no room for
        that one the first ends, and leaves the jobs as they are.
        """
        while not wait([future], 0 if self._executor is None else LOOK).done:
            manager = getattr(self._executor, "_executor_manager_thread", None)
            if self._executor is None or (manager is not None and not manager.is_alive() and not future.done()):
                self._end()
                return False
        return True

    def _end(self, wait: bool = False) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            workers = [*(getattr(executor, "_processes", None) or {}).values()]
            executor.shutdown(wait)
            for worker in workers:  # those that got no work are not told to end, either
                worker.terminate()
                worker.join()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *error: object) -> None:
        self._end(wait=True)


def _executor(workers: int) -> ProcessPoolExecutor:
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
