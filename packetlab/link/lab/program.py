"""Programs that run inside a host of a lab: their output, their end.

A thread reads what each writes, so that none is held up because nobody does. Knows nothing of what it means.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from packetlab.engine.contract import nanoseconds
from packetlab.errors import PacketlabError
from packetlab.escaping import printable
from packetlab.link.event_loop import EventLoop, Files
from packetlab.link.waits import start

KEPT = 1 << 20  # bytes kept of each output of a program that runs on
PIECE = 65536
SIGTERM = 15
GONE = -9  # the exit status of what ends with its lab


class Output:
    """What a program has written on one of its outputs.

    Attributes:
        ended: whether nothing more can come. dropped: bytes at the front that are not kept any more.

    `read` and `readline` take it piece by piece, as a file's do; `text` is all that is kept, whatever was taken.
    """

    def __init__(self, most: int | None) -> None:
        self._most, self._data, self._at = most, bytearray(), 0
        self.ended, self.dropped = False, 0
        self._lock = threading.Lock()
        self._until: Callable[[Callable[[], object], float | None], None]

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
        self._until(lambda: self.ended, timeout)
        return self._take(None)

    def readline(self, timeout: float | None = None) -> bytes:
        """Wait for the next line and return it; b"" where the output has ended. TimeoutError after `timeout` seconds."""
        self._until(lambda: self.ended or self._line() is not None, timeout)
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
    """A program's pipes, and the thread that serves them; holds on to no host and no lab."""

    def __init__(self, out: int, err: int, status: int, feed: int | None, input: bytes, most: int | None) -> None:
        self.returncode: int | None = None
        self.trouble = ""  # why nothing more is known of the program
        self.outputs = {out: Output(most), err: Output(most)}
        self.stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._status, self._feed, self._input = status, feed, memoryview(input)
        self._wakes: list[int] = []  # of those who wait
        self._lock = threading.Lock()
        for fd in (out, err, *([] if feed is None else [feed])):
            os.set_blocking(fd, False)
        self._thread = threading.Thread(target=self._run, name="output of a program", daemon=True)
        try:
            start(self._thread)
        except OSError:
            os.close(self.stop)
            raise

    def _run(self) -> None:
        """Serve to the end; whatever it is, nobody waits for this thread any longer."""
        try:
            self._serve()
        except Exception as error:
            self.trouble = f"{type(error).__name__}: {error}"
        finally:
            if self.trouble:
                self.returncode = GONE if self.returncode is None else self.returncode
                for output in self.outputs.values():
                    output.ended = True
            self._tell()

    def _ended(self, said: bytes) -> None:
        """Take the exit status from what the namespace helper has written; nothing: the helper is gone, and killed what ran."""
        try:
            self.returncode = int(said or GONE)
        except ValueError:
            raise ValueError(f"expected an exit status of the namespace helper, got {said[:20]!r}") from None

    def _serve(self) -> None:
        poll = select.poll()
        open_ = {*self.outputs, self._status}
        for fd in (*open_, self.stop):
            poll.register(fd, select.POLLIN)
        if self._feed is not None:
            poll.register(self._feed, select.POLLOUT)
        stopped = False
        while open_ and not stopped:
            ready = [fd for fd, _ in poll.poll()]
            stopped = self.stop in ready
            # All was written before the end was announced, so it is read before that is.
            for fd in [*open_] if self._status in ready or stopped else ready:
                if fd in self.outputs and self._read(fd):
                    poll.unregister(fd)
                    open_.remove(fd)
            if self._feed in ready and not self._write():
                poll.unregister(self._feed)
                os.close(self._feed)
                self._feed = None
            if self._status in ready:
                self._ended(os.read(self._status, 64))
                poll.unregister(self._status)
                open_.remove(self._status)
            self._tell()

    def _read(self, fd: int) -> bool:
        """Read what is there; return whether it was the last."""
        output = self.outputs[fd]
        try:
            while piece := os.read(fd, PIECE):
                output._add(piece)
        except BlockingIOError:
            return False
        output.ended = True
        return True

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

    def _tell(self) -> None:
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

    def close(self) -> None:
        if self.stop < 0:
            return
        os.eventfd_write(self.stop, 1)
        if not sys.is_finalizing():  # threads do not end any more then
            self._thread.join()
        for fd in (*self.outputs, self._status, self.stop, *([] if self._feed is None else [self._feed])):
            os.close(fd)
        self.stop = -1
        for output in self.outputs.values():
            output.ended = True
        if self.returncode is None:
            self.returncode = GONE


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

    Waiting for it lets the time of the lab pass: engines on its hosts answer meanwhile.
    """

    def __init__(self, host: Home, argv: tuple[str, ...], pid: int, pipes: Pipes) -> None:
        self.host, self.argv, self.pid, self._pipes = host, argv, pid, pipes
        self.expected = False
        self.stdout, self.stderr = pipes.outputs.values()
        for output in (self.stdout, self.stderr):
            output._until = self._until

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._pipes.returncode

    def until(self, condition: Callable[[], object], timeout: float | None = None, files: Files = ()) -> bool:
        """Wait until a condition of yours holds or the program has ended; return whether it holds.

        It is looked at whenever the program has written something, or one of `files` (descriptors, each with what of it
        is waited for) is ready. TimeoutError after `timeout` seconds; the program goes on then.
        """
        self._until(lambda: condition() or self.returncode is not None, timeout, files)
        return bool(condition())

    def _until(self, condition: Callable[[], object], timeout: float | None, files: Files = ()) -> None:
        what = f"{self.host.name}: {self.argv[0]}"
        if timeout is not None:
            nanoseconds(timeout, f"{what}: timeout", "popen(input=...) is what a program reads")
        if condition():
            return
        wake = self._pipes.wake()

        def look() -> bool | None:
            with suppress(BlockingIOError):
                os.eventfd_read(wake)
            return True if condition() else None

        try:
            self.host.loop.wait(look, what, timeout, [(wake, select.POLLIN), *files])
        finally:
            self._pipes.forget(wake)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit status, negative for a signal.

        subprocess.TimeoutExpired: it took longer than `timeout` seconds, and was ended.
        """
        self._within(lambda: self.returncode is not None, timeout)
        assert self.returncode is not None
        self.expected = True
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end and that of its outputs; return as text what of them was not read (`text` of each is the whole).

        subprocess.TimeoutExpired: it took longer than `timeout` seconds, and was ended.
        """
        self._within(lambda: self.stdout.ended and self.stderr.ended and self.returncode is not None, timeout)
        self.expected = True
        return self._rest()

    def _rest(self) -> tuple[str, str]:
        out, err = (output._take(None).decode(errors="replace") for output in (self.stdout, self.stderr))
        return out, err

    def _within(self, condition: Callable[[], object], timeout: float | None) -> None:
        try:
            self._until(condition, timeout)
        except TimeoutError:
            self.kill()
            raise subprocess.TimeoutExpired(self.argv, timeout or 0.0, *self._rest()) from None
        if self._pipes.trouble:
            raise PacketlabError(f"{self.host.name}: {self.argv[0]}", "its end", self._pipes.trouble)

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
            self._until(lambda: self.returncode is not None, patience)
        self.kill()
        return self.wait()

    def __enter__(self) -> Program:
        return self

    def close(self) -> None:
        """Read no more of it; what was read stays."""
        self._pipes.close()

    def __exit__(self, *_: object) -> None:
        if self.returncode is None:
            self.kill()
            self.wait()
        self.close()
        if self in self.host.programs:
            self.host.programs.remove(self)

    def __repr__(self) -> str:
        state = "running" if self.returncode is None else f"ended with status {self.returncode}"
        return f"<Program {printable(self.argv[0])} on {printable(self.host.name)}, {state}>"
