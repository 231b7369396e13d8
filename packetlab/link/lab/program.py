"""Programs that run inside a host of a lab: their output, their end.

A thread reads what each writes, so that none is held up because nobody does. Knows nothing of what it means.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from errno import EBADF
from typing import Any, Protocol

from packetlab.engine.contract import nanoseconds
from packetlab.errors import PacketlabError, SocketMisuse, Stalled
from packetlab.escaping import printable
from packetlab.link.event_loop import EventLoop, Files
from packetlab.link.waits import Stop, of_parent, start

KEPT = 1 << 20  # bytes kept of each output of a program that runs on
PIECE = 65536
PIECES = 64  # that are read of an output at a time: more than a pipe holds, and one that writes without end is stopped still
SIGTERM = 15
GONE = -9  # the exit status of what ends with its lab


class Output:
    """What a program has written on one of its outputs.

    Attributes:
        ended: whether nothing more can come. dropped: bytes at the front that are not kept any more.

    `read` and `readline` take it piece by piece, as a file's do; `text` is all that is kept, whatever was taken. Where the
    program was closed before the output had ended, they raise OSError (EBADF) once there is no whole line left.
    """

    def __init__(self, most: int | None) -> None:
        self._most, self._data, self._at = most, bytearray(), 0
        self.ended, self.dropped = False, 0
        self._locks = os.getpid(), threading.RLock()  # a handler of a signal may look at what its own thread is taking of
        self._until: Callable[[Callable[[], object], str, float | None], None]

    @property
    def _lock(self) -> threading.RLock:
        """Whoever held the parent's is not in a forked child: its thread may have, and no hook runs where C code forks."""
        if self._locks[0] != os.getpid():
            self._locks = os.getpid(), threading.RLock()
        return self._locks[1]

    def _add(self, piece: bytes) -> None:
        with self._lock:
            self._data += piece
            over = 0 if self._most is None else len(self._data) - self._most
            if over > 0:
                del self._data[:over]
                self.dropped += over

    @property
    def text(self) -> str:
        """What was written so far, as text."""
        with self._lock:
            return self._data.decode(errors="replace")

    def read(self, timeout: float | None = None) -> bytes:
        """Wait until the output has ended, and return what is left of it. TimeoutError after `timeout` seconds."""
        self._until(lambda: self.ended, "read", timeout)
        return self._take(None)

    def readline(self, timeout: float | None = None) -> bytes:
        """Wait for the next line and return it; b"" where the output has ended. TimeoutError after `timeout` seconds."""
        self._until(lambda: self.ended or self._line() is not None, "readline", timeout)
        return self._take(self._line())

    def _line(self) -> int | None:
        with self._lock:
            end = self._data.find(b"\n", max(0, self._at - self.dropped))
            return None if end < 0 else end + 1

    def _take(self, end: int | None) -> bytes:
        with self._lock:
            taken = bytes(self._data[max(0, self._at - self.dropped) : end])
            self._at = self.dropped + (len(self._data) if end is None else end)
            return taken


class Pipes:
    """A program's pipes, and the thread that serves them; holds on to no host and no lab.

    Attributes:
        over: nothing more will be known of the program, whose end is known by then unless they were closed before it, or there
            was `trouble`: why. process: whose they are; in a forked child they are closed.
    """

    def __init__(self, out: int, err: int, status: int, feed: int | None, input: bytes, most: int | None) -> None:
        self.returncode: int | None = None
        self.over, self.trouble, self.process = False, "", os.getpid()
        self.outputs = {out: Output(most), err: Output(most)}
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._status, self._feed, self._input = status, feed, memoryview(input)
        self._open = [out, err, status, self._stop, *([] if feed is None else [feed])]
        self._wakes: list[int] = []  # of those who wait
        self._gone = False  # the program is known to have ended with its lab
        self._lock = threading.RLock()  # a handler of a signal may close what its own thread is about to wait for
        for fd in (out, err, *([] if feed is None else [feed])):
            os.set_blocking(fd, False)
        self._thread = threading.Thread(target=self._run, name="output of a program", daemon=True)
        try:
            start(self._thread)
        except OSError:
            os.close(self._stop)
            raise
        _all.add(self)

    def forked(self) -> None:
        """Let go, in a forked child, of what the parent goes on with: a program would wait for the end of an input that we hold."""
        if not self.over:
            self.over, self._lock = True, threading.RLock()  # whoever held that is not here
            self._close_files()

    @property
    def elsewhere(self) -> bool:
        """Whether this is a forked child, whose parent goes on with them."""
        return self.process != os.getpid()

    def _close_files(self) -> None:
        self._stop = -1
        while self._open:  # taken out first: their numbers may soon be others', in a child forked now too
            os.close(self._open.pop())

    def _run(self) -> None:
        """Serve to the end; whatever it is, nobody waits for this thread any longer."""
        try:
            self._serve()
        except Exception as error:
            self.trouble = f"{type(error).__name__}: {error}"
        finally:
            with self._lock:
                self._close_files()
            if self._gone:
                self.returncode = GONE if self.returncode is None else self.returncode
                for output in self.outputs.values():
                    output.ended = True
            self.over = True
            self._notify()  # last: who is woken and finds nothing sleeps again, and is not woken any more

    def _ended(self, said: bytes) -> None:
        """Take the exit status from what the namespace helper has written; nothing: the helper is gone, and killed what ran."""
        try:
            self.returncode = int(said or GONE)
        except ValueError:
            raise ValueError(f"expected an exit status of the namespace helper, got {said[:20]!r}") from None

    def _serve(self) -> None:
        poll = select.poll()
        open_ = {*self.outputs, self._status}
        for fd in (*open_, self._stop):
            poll.register(fd, select.POLLIN)
        if self._feed is not None:
            poll.register(self._feed, select.POLLOUT)
        stopped = False
        while open_ and not stopped:
            ready = [fd for fd, _ in poll.poll()]
            stopped = self._stop in ready
            # All was written before the end was announced, so it is read before that is.
            for fd in [*open_] if self._status in ready or stopped else ready:
                if fd in self.outputs and self._read(fd):
                    poll.unregister(fd)
                    open_.remove(fd)
            if self._feed in ready and not self._write():
                poll.unregister(self._feed)
                self._open.remove(self._feed)
                os.close(self._feed)
                self._feed = None
            if self._status in ready:
                self._ended(os.read(self._status, 64))
                poll.unregister(self._status)
                open_.remove(self._status)
            self._notify()

    def _read(self, fd: int) -> bool:
        """Read what is there; return whether it was the last."""
        output = self.outputs[fd]
        try:
            for _ in range(PIECES):
                if not (piece := os.read(fd, PIECE)):
                    output.ended = True
                    break
                output._add(piece)
        except BlockingIOError:
            pass
        return output.ended

    def _write(self) -> bool:
        """Write of the input what fits; return whether some is left."""
        assert self._feed is not None
        try:
            self._input = self._input[os.write(self._feed, self._input[:PIECE]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:  # it does not want to know
            return False
        return len(self._input) > 0

    def _notify(self) -> None:
        with self._lock:
            for wake in self._wakes:
                os.eventfd_write(wake, 1)

    def wake(self) -> int:
        """Return a descriptor that becomes readable whenever something has happened; `forget` closes it."""
        wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        with self._lock:
            self._wakes.append(wake)
        return wake

    def forget(self, wake: int) -> None:
        with self._lock:
            self._wakes.remove(wake)
        os.close(wake)

    def close(self, gone: bool = False) -> None:
        """Read what is there, and no more. `gone`: the program has ended, and nobody is left to say how."""
        if self.elsewhere:
            self.forked()
            return
        self._gone |= gone
        with self._lock:
            if self._stop >= 0:
                os.eventfd_write(self._stop, 1)
        if not sys.is_finalizing():  # threads do not end any more then
            self._thread.join()


_all: weakref.WeakSet[Pipes] = weakref.WeakSet()


def _in_child() -> None:
    for pipes in list(_all):
        pipes.forked()


os.register_at_fork(after_in_child=_in_child)


class NamespaceRequests(Protocol):
    """What a program needs of the lab: whom to ask for a signal; `Lab` is one."""

    def _ask(self, do: str, *, fds: tuple[int, ...] = (), want: int = 0, **request: object) -> Any:
        """Have the namespace helper do something. With `want`, return that many file descriptors."""


class Home(Protocol):
    """What a program needs of where it runs; a lab's `Host` is one.

    Attributes:
        loop: whose time passes while somebody waits. programs: those that nobody has ended.
    """

    name: str
    loop: EventLoop
    programs: list[Program]

    @property
    def lab(self) -> NamespaceRequests:
        """The lab that it is in."""


class Program:
    """A program running inside a host; as a context manager it ends with the `with`.

    Attributes:
        argv: its command line. host: where it runs. stdout, stderr: its outputs, readable after its end too.
        expected: whether somebody has waited for its end, or brought it about.

    Waiting for it lets the time of the lab pass: engines on its hosts answer meanwhile. `close`, by another thread too, ends
    every wait for what is not known by then with an OSError (EBADF) that says so. In a forked child it is closed, and cannot be
    killed; it stays with the parent.
    """

    def __init__(self, host: Home, argv: tuple[str, ...], pid: int, pipes: Pipes) -> None:
        self.host, self.argv, self.pid, self._pipes = host, argv, pid, pipes
        self.expected = False
        self.stdout, self.stderr = pipes.outputs.values()
        for output in (self.stdout, self.stderr):
            output._until = self._until

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs, and where it was closed before it ended."""
        return self._pipes.returncode

    @property
    def closed(self) -> bool:
        """Whether nothing more will be known of it: it was closed, or has ended and so have its outputs."""
        return self._pipes.over or self._pipes.elsewhere

    def until(
        self, condition: Callable[[], object], timeout: float | None = None, files: Files = (), stop: Stop | None = None
    ) -> bool:  # fmt: skip
        """Wait until a condition of yours holds or the program has ended; return whether it holds.

        It is looked at whenever the program has written something, or one of `files` (descriptors, each with what of it
        is waited for) is ready, and five times a second. `stop`, a `threading.Event`, ends it too. TimeoutError after
        `timeout` seconds; the program goes on then.
        """

        def over() -> bool:
            return bool(condition()) or self.returncode is not None or (stop is not None and stop.is_set())

        self._until(over, "until", timeout, files)
        return bool(condition())

    def _until(self, condition: Callable[[], object], verb: str, timeout: float | None, files: Files = ()) -> None:
        what = f"{self.host.name}: {self.argv[0]}"
        if timeout is not None:
            nanoseconds(timeout, f"{what}: timeout", "popen(input=...) is what a program reads")

        def look() -> bool | None:
            over = self._pipes.over  # before the condition: all that there is was read by then
            if condition():
                return True
            if self._pipes.elsewhere:
                raise of_parent(f"{what}: {verb}", "a program", "open a Lab() of its own, and start one there")
            if over and self._pipes.trouble:
                raise PacketlabError(what, "its end", self._pipes.trouble)
            if over:
                hint = "what was read of it is in stdout.text and stderr.text"
                raise SocketMisuse(EBADF, f"{what}: {verb}", "an open program", "one that was closed", hint)
            return None

        def awake() -> bool | None:
            with suppress(BlockingIOError):
                if not self._pipes.elsewhere:  # a child forked by a handler of a signal has it too
                    os.eventfd_read(wake)
            if self.host.loop.closed and self.returncode in (None, GONE):  # it has not ended by itself
                raise Stalled(what, "an open network", "one that was closed")
            return look()

        if look():
            return
        wake = self._pipes.wake()
        try:
            self.host.loop.wait(awake, what, timeout, [(wake, select.POLLIN), *files], own=verb == "until")
        finally:
            self._pipes.forget(wake)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit status, negative for a signal.

        subprocess.TimeoutExpired: it took longer than `timeout` seconds, and was ended.
        """
        self._within(lambda: self.returncode is not None, "wait", timeout)
        assert self.returncode is not None
        self.expected = True
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end and that of its outputs; return as text what of them was not read (`text` of each is the whole).

        subprocess.TimeoutExpired: it took longer than `timeout` seconds, and was ended.
        """
        self._within(
            lambda: self.stdout.ended and self.stderr.ended and self.returncode is not None, "communicate", timeout
        )
        self.expected = True
        return self._rest()

    def _rest(self) -> tuple[str, str]:
        out, err = (output._take(None).decode(errors="replace") for output in (self.stdout, self.stderr))
        return out, err

    def _within(self, condition: Callable[[], object], verb: str, timeout: float | None) -> None:
        try:
            self._until(condition, verb, timeout)
        except TimeoutError:
            self.kill()
            raise subprocess.TimeoutExpired(self.argv, timeout or 0.0, *self._rest()) from None

    def kill(self, number: int = 9) -> None:
        """Send a signal to the program and what it has started."""
        self.expected = True
        if self.returncode is None:
            self.host.lab._ask("kill", pid=self.pid, number=int(number))

    def end(self, patience: float = 2.0) -> int:
        """End the program: ask it to (SIGTERM), and kill it where it has not obeyed in `patience` seconds.

        Returns the exit status.
        """
        nanoseconds(patience, f"{self.host.name}: {self.argv[0]}: patience")
        self.kill(SIGTERM)
        with suppress(TimeoutError):
            try:
                self._until(lambda: self.returncode is not None, "end", patience)
            except SocketMisuse:  # another thread has closed it; it is to end all the same
                self.kill()
                raise
        self.kill()
        return self.wait()

    def __enter__(self) -> Program:
        return self

    def close(self) -> None:
        """Read no more of it; what was read stays. One that runs goes on: `kill` and the end of the lab still end it."""
        self._pipes.close()

    def __exit__(self, *_: object) -> None:
        if self.returncode is None and not self._pipes.elsewhere:
            self.kill()
            with suppress(SocketMisuse):  # it was closed: that it is killed has to do
                self.wait()
        self.close()
        if self in self.host.programs:
            self.host.programs.remove(self)

    def __repr__(self) -> str:
        state = "running" if self.returncode is None else f"ended with status {self.returncode}"
        state = "closed before its end" if self.returncode is None and self.closed else state
        state = "of the process that forked this one" if self.returncode is None and self._pipes.elsewhere else state
        return f"<Program {printable(self.argv[0])} on {printable(self.host.name)}, {state}>"
