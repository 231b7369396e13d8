"""What serves the sockets of an event loop while the program computes, as a kernel would: a thread beside the program's own.

A thread that waits in a call drives the event loop itself, and so does one that calls again and again: a second thread that woke with
every frame would only get in the way. So this one keeps out while calls are made; it looks every 2 ms whether there was
another. Where there was none it waits for the kernel until the next call.

A forked child begins without the thread and without the sockets that it served; they stay with the parent.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import sys
import threading
import time
import weakref
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol

LOOK = 0.002  # seconds between looks whether the program still calls
PATIENCE = 1.0  # seconds that a fork, or the end of the program, waits for a thread that is in somebody's callback


class Served(Protocol):
    """What the background needs of an event loop; `RealTime` is one."""

    background: Background

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held while anything of the event loop is looked at or changed."""

    @property
    def serves(self) -> bool:
        """Whether there is anything to serve while the program computes."""

    def asleep(self) -> tuple[int, float | None]:
        """Return what wakes the background other than a call: a descriptor, -1 for none, and seconds."""

    def serve(self) -> None:
        """Do what a call that waits would do, if there is none."""

    def forked(self) -> None:
        """Begin anew in a forked child."""


class Background:
    """The thread of one event loop, there while the event loop has something to serve.

    Attributes:
        error: what a driver raised in it; the next call raises that.
    """

    def __init__(self, loop: Served) -> None:
        self.error: Exception | None = None
        self._loop = weakref.ref(loop)  # else an event loop that nobody has any more would live on by its thread
        self._calls = 0  # how often a call of the program began or ended
        self._resting = False  # it waits until somebody writes to _wake
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread: threading.Thread | None = None
        _loops.add(loop)

    def called(self) -> None:
        """Take note that a call of the program begins or ends."""
        self._calls += 1
        if self._resting:
            self._resting = False
            os.eventfd_write(self._wake, 1)

    def start(self) -> None:
        """Start the thread, unless it runs. Where none can be had, sockets live while calls are made."""
        if self._thread is None and not _held:
            self._thread = threading.Thread(target=self._run, name="packetlab sockets", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None

    def stop(self, *, wait: bool = True) -> None:
        """End the thread."""
        thread, self._thread = self._thread, None
        self.called()
        if wait and thread is not None and thread is not threading.current_thread():
            thread.join(PATIENCE)

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # the program's own thread is to wake by them
        me, seen = threading.current_thread(), -1
        while self._thread is me:
            if seen != self._calls:
                seen = self._calls
                time.sleep(LOOK)
                continue
            self._resting = True  # in this order: a call is either seen now, or it wakes
            if seen == self._calls and not self._rest(seen):
                break
        self._resting = False

    def _rest(self, seen: int) -> bool:
        """Wait for the kernel or for a call, and do what follows; return False where there is nothing left to serve."""
        loop = self._loop()
        if loop is None:
            return False
        with loop.lock:
            if not loop.serves:
                self._thread = None
                return False
            descriptor, seconds = loop.asleep()
        del loop
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if descriptor >= 0:
            poll.register(descriptor, select.POLLIN)
        if any(ready == self._wake for ready, _ in poll.poll(None if seconds is None else seconds * 1000)):
            with suppress(BlockingIOError):  # one that was stopped, and has not ended yet, was quicker
                os.eventfd_read(self._wake)
        loop = self._loop()
        if loop is not None and seen == self._calls:
            try:
                loop.serve()
            except Exception as error:
                self.error, self._thread = error, None
        return True

    def __del__(self) -> None:
        os.close(self._wake)


_loops: weakref.WeakSet[Served] = weakref.WeakSet()
_held = False  # the program forks, or ends: no new threads


def _before_fork() -> None:
    global _held
    _held = True
    for loop in [*_loops]:
        loop.background.stop()


def _in_parent() -> None:
    global _held
    _held = False
    for loop in [*_loops]:
        if loop.serves:
            loop.background.start()


def _in_child() -> None:
    global _held
    _held = False
    for loop in [*_loops]:
        loop.forked()


@atexit.register
def _at_exit() -> None:
    global _held
    _held = True
    for loop in [*_loops]:
        loop.background.stop()
        error = loop.background.error
        if error is not None:  # no call came to raise it
            sys.excepthook(type(error), error, error.__traceback__)


os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
