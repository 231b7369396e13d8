"""Processes of this machine that work for a fleet, while there is room for them.

A worker has a pipe of its own and gets one job at a time, the first when it has said that it is ready. So one that cannot
begin has lost nothing, one that ends later was ended by its job, and no thread is needed to hand out jobs.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize, _exit_function  # type: ignore[attr-defined]
from typing import Any, Generic, NoReturn, TypeVar
from weakref import WeakSet

T = TypeVar("T")
J = TypeVar("J")

# What starting a worker raises where this user may have no more processes or files, and where it may start none.
NO_ROOM = (OSError, ImportError, AssertionError)
LOOK = 0.2  # seconds of waiting, after which is looked whether the workers are there: others may hold their pipes open
GRACE = 2.0  # seconds that a worker has to leave its job
ENVIRONMENT = threading.Lock()  # held by the one who changes it


class Promise(Generic[T]):
    """The result of a job. What no worker gives is worked out here, when it is asked for."""

    def __init__(self, pool: Pool, work: Callable[[Any], T], job: object) -> None:
        self._pool, self.task = pool, (work, job)
        self.outcome: tuple[T, None] | tuple[None, BaseException] | None = None

    def result(self) -> T:
        """Return it, or raise what the job raised; `concurrent.futures.process.BrokenProcessPool` if a job ended its worker."""
        found = self._pool.wait_for(self)
        if found is None:
            work, job = self.task
            return work(job)
        result, error = found
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # a T, where there is no error


class Worker:
    """A process, the pipe to it, and the job it has."""

    def __init__(self, context: Any, others: Iterable[Connection]) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        # A fork inherits the pipes of all; each worker is to see when the program is gone.
        inherited = (*others, self.pipe) if context.get_start_method() == "fork" else ()
        self.process: BaseProcess = context.Process(target=_Service(theirs, inherited))
        self.ready = False
        self.promise: Promise[Any] | None = None
        try:
            self.process.start()
        except BaseException:
            self.pipe.close()
            raise
        finally:
            theirs.close()

    def end(self) -> None:
        """End the process, whatever it does."""
        self.pipe.close()
        self.process.terminate()
        self.process.join(GRACE)
        self.process.kill()
        self.process.join()


class Pool:
    """So many processes; with one, or where there is no room for any, the work is done here."""

    def __init__(self, workers: int) -> None:
        if workers > 1 and _refuses():
            raise RuntimeError(REFUSED)
        self._workers: dict[Connection, Worker] = {}
        self._waiting: deque[Promise[Any]] = deque()
        self._broken = ""
        self._end = Finalize(self, _end, (self._workers,), exitpriority=0)  # at the latest when the program ends
        # A fork in a program with threads may hang; without threads it is the quicker start, and needs no importable main.
        if workers > 1 and threading.active_count() == 1:
            with suppress(*NO_ROOM, RuntimeError):  # the last: while the program ends
                self._start(workers, "fork")
        elif workers > 1 and (sys.flags.safe_path or not sys.flags.ignore_environment):
            with suppress(*NO_ROOM), _safe_path():
                self._start(workers, "spawn")

    def _start(self, workers: int, method: str) -> None:
        context = multiprocessing.get_context(method)
        for _ in range(workers):
            worker = Worker(context, self._workers)
            self._workers[worker.pipe] = worker

    def submit(self, work: Callable[[J], T], job: J) -> Promise[T]:
        """Have a job done."""
        promise = Promise(self, work, job)
        self._waiting.append(promise)
        self._exchange(0)
        return promise

    def wait_for(self, promise: Promise[T]) -> tuple[T, None] | tuple[None, BaseException] | None:
        """Wait for a job, and return its result or what it raised; None where nobody is there to do it."""
        while promise.outcome is None:
            if self._broken:
                _raise_broken(self._broken)
            if not self._workers:
                return None
            self._exchange(LOOK)
        return promise.outcome

    def _exchange(self, seconds: float) -> None:
        """Take what workers have for us, and give jobs to those that have none."""
        ready = wait([*self._workers], seconds)
        for worker in [*self._workers.values()]:
            if worker.pipe in ready:
                self._hear(worker)
            elif not ready and not worker.process.is_alive() and not worker.pipe.poll():
                self._lose(worker)
            if worker.ready and worker.promise is None:
                self._give(worker)
            if self._broken:
                break

    def _hear(self, worker: Worker) -> None:
        try:
            data = worker.pipe.recv_bytes()
        except (EOFError, OSError):
            self._lose(worker)
            return
        promise, worker.promise, worker.ready = worker.promise, None, True
        if promise is not None:
            try:
                promise.outcome = pickle.loads(data)
            except Exception as error:  # there are errors that can be written and not read
                promise.outcome = None, error

    def _give(self, worker: Worker) -> None:
        while self._waiting:
            promise = self._waiting.popleft()
            try:
                data = pickle.dumps(promise.task)
            except Exception as error:
                promise.outcome = None, error
                continue
            try:
                worker.pipe.send_bytes(data)
                worker.promise = promise
            except OSError:  # it has ended without a job
                self._waiting.appendleft(promise)
                self._lose(worker)
            return

    def _lose(self, worker: Worker) -> None:
        del self._workers[worker.pipe]
        worker.ready = False
        worker.process.join(GRACE)
        worker.end()
        if worker.promise is not None:  # it would end this process as well
            self._broken = _how(worker.process.exitcode or 0)
            self._end()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()


def _end(workers: dict[Connection, Worker]) -> None:
    for worker in workers.values():
        worker.process.terminate()
    while workers:
        workers.popitem()[1].end()


def _how(code: int) -> str:
    with suppress(ValueError):  # real-time signals have no name
        return f"by {signal.Signals(-code).name}"
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"


def _raise_broken(how: str) -> NoReturn:
    from concurrent.futures.process import BrokenProcessPool

    raise BrokenProcessPool(f"a worker ended {how} in the middle of its job; workers=1 does the jobs in this process")


@contextmanager
def _safe_path() -> Iterator[None]:
    """What is started meanwhile is a ``python -c``: without this, it searches the current folder."""
    with ENVIRONMENT:
        before = os.environ.get("PYTHONSAFEPATH")
        os.environ["PYTHONSAFEPATH"] = "1"
        try:
            yield
        finally:
            if before is None:
                del os.environ["PYTHONSAFEPATH"]
            else:
                os.environ["PYTHONSAFEPATH"] = before


# In the worker -------------------------------------------------------------------------------------------------------


REFUSED = (
    "a worker imports the program that it works for, and may start no workers for what that program does when it is "
    "imported, nor in threads which that leaves running: the program does all this itself, and each worker would do it "
    'again. Begin such work below `if __name__ == "__main__":`'
)
_working: WeakSet[threading.Thread] = WeakSet()  # who does a job, and the threads that jobs began
_imported = False  # whether this process is a worker that imported the program


def _refuses() -> bool:
    """Whether what this thread wants done comes from importing the program, and not from a job."""
    importing = getattr(multiprocessing.current_process(), "_inheriting", False)  # the check of multiprocessing
    return importing or (_imported and threading.current_thread() not in _working)


def _follow() -> None:
    """From now on, know the threads that jobs began, and those began in turn, from what the import left."""
    global _imported
    _imported = True
    start = threading.Thread.start

    def begin(thread: threading.Thread) -> None:
        if threading.current_thread() in _working:
            _working.add(thread)
        start(thread)

    threading.Thread.start = begin  # type: ignore[method-assign, assignment]


class Ended(BaseException):
    """The program wants no more of this worker."""


def _leave(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would end what the job does to clean up
    raise Ended


class _Service:
    """What a worker does."""

    def __init__(self, pipe: Connection, inherited: Iterable[Connection]) -> None:
        self.pipe, self.inherited = pipe, inherited

    def __setstate__(self, state: dict[str, object]) -> None:
        _follow()  # while `_inheriting` still holds: no moment is left between the two
        self.__dict__.update(state)

    def __call__(self) -> None:
        for other in self.inherited:
            other.close()
        signal.set_wakeup_fd(-1)  # of the program's event loop
        signal.signal(signal.SIGTERM, _leave)
        signal.signal(signal.SIGINT, lambda *_: None)  # of a terminal: the program has it too, and ends its workers
        with suppress(Ended, EOFError, OSError):
            from packetlab.capture.fleet import worker  # noqa: F401 - ready is who has what jobs need

            self.pipe.send_bytes(b"")
            while True:
                self.pipe.send_bytes(_done(self.pipe.recv_bytes()))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is on its way
        _go()


def _go() -> None:
    """End this process where multiprocessing would wait for its threads, which may go on for ever.

    Those of jobs have a moment, those that the import left have none: they are the program's, which has them itself.
    """
    others = [one for one in threading.enumerate() if one is not threading.current_thread() and not one.daemon]
    if not others:
        return
    _exit_function()  # of multiprocessing, which does this before it waits for threads or after, as Python's versions go
    end = time.monotonic() + GRACE / 2
    for thread in others:
        if not _imported or thread in _working:
            thread.join(max(0, end - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        if _imported or sys.version_info >= (3, 13):  # an older fork has those of the program, and runs none
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # there may be none, or a closed one
                stream.flush()
        os._exit(0)


def _done(data: bytes) -> bytes:
    """Do a job; return its result or error, pickled."""
    try:
        work, job = pickle.loads(data)  # may import modules of the program, and what these begin is no job's
        _working.add(threading.current_thread())
        return pickle.dumps((work(job), None))
    except Ended:
        raise
    except BaseException as error:  # an exit as well, which is one of the program's then
        with suppress(Exception):
            error.add_note(traceback.format_exc())
        try:
            return pickle.dumps((None, error))
        except Exception:
            return pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))
    finally:
        _working.discard(threading.current_thread())
