"""Media: where time passes and frames move. One loop serves every kind of network.

A driver (see `host`) holds a protocol and the ports it speaks through. A blocking call of anybody's drives all drivers of
its medium, so a single thread can hold both ends of a conversation.
"""

from __future__ import annotations

import os
import select
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from packetlab.errors import Stalled

T = TypeVar("T")
Files = Sequence[tuple[int, int]]  # descriptors, and what of them is waited for (select.POLLIN, select.POLLOUT)
SECOND = 1_000_000_000


class Source(Protocol):
    """What a medium waits for on behalf of a driver: a `Port`, or something as simple."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def mask(self) -> int:
        """What the descriptor is waited for (select.POLLIN, select.POLLOUT)."""

    def fileno(self) -> int:
        """The descriptor; -1 where there is none."""

    def take(self) -> list[bytes]:
        """Return the frames that have come, without waiting."""


class Driver(Protocol):
    """What a medium drives."""

    due: int | None  # when `turn` is wanted, by the medium's clock

    @property
    def ports(self) -> Sequence[Source]:
        """Where frames come from."""

    def take(self, port: Any, data: bytes, now: int) -> None:
        """Take in a frame."""

    def turn(self, now: int) -> None:
        """Do what is due, send what is to be sent, and say in `due` when to come back."""

    def failed(self, port: Any, error: OSError) -> None:
        """A port is gone."""


class Medium(ABC):
    """Drivers, and the time they live in.

    Attributes:
        followers: called after everything that happened, for what stands on top of drivers.
    """

    def __init__(self) -> None:
        self.drivers: list[Driver] = []
        self.followers: list[Callable[[], object]] = []
        self.lock = threading.RLock()
        self.closed = False  # the network is gone: nothing will happen any more

    @property
    @abstractmethod
    def now(self) -> int:
        """The time in nanoseconds; it never goes back."""

    @abstractmethod
    def step(self, until: int | None, what: str, files: Files = ()) -> bool:
        """Let the next thing happen (or one of `files` become ready); return False once `until` has come."""

    def wait(self, ready: Callable[[], T | None], what: str, timeout: float | None, files: Files = ()) -> T:
        """Let things happen until `ready` returns something, and return that.

        Args:
            what: for messages, "a: read". timeout: seconds of the medium's time; None: for ever.
            files: descriptors that `ready` waits for.

        Raises:
            TimeoutError: the time is over. Stalled: nothing can happen any more.
        """
        until = None if timeout is None else self.now + int(timeout * SECOND)
        while True:
            with self.lock:
                found = ready()
            if found is not None:
                return found
            if not self.step(until, what, files):
                with self.lock:
                    found = ready()
                if found is not None:
                    return found
                raise TimeoutError(f"{what}: nothing in {timeout:g} s")

    def turn(self) -> None:
        """Have every driver see what its protocol was asked for from outside."""
        with self.lock:
            for driver in [*self.drivers]:
                driver.turn(self.now)

    def poke(self) -> None:  # noqa: B027  virtual time waits for nobody
        """Say that a timer may have been set: for whoever waits in another thread."""

    def run(self, seconds: float) -> None:
        """Let time pass, and whatever happens in it."""
        until = self.now + int(seconds * SECOND)
        while self.step(until, "run"):
            pass

    def _turn_due(self) -> bool:
        now, turned = self.now, False
        for driver in [*self.drivers]:
            if driver.due is not None and driver.due <= now:
                driver.turn(now)
                turned = True
        if turned:
            self._follow()
        return turned

    def _follow(self) -> None:
        for follow in [*self.followers]:
            follow()

    def _next_due(self) -> int | None:
        next_due = None
        for driver in self.drivers:
            due = driver.due
            if due is not None and (next_due is None or due < next_due):
                next_due = due
        return next_due


class RealTime(Medium):
    """The time that everybody lives in; frames come and go through descriptors.

    Of the threads that wait, one waits for the kernel, on behalf of all; what it found it tells the others.
    """

    def __init__(self) -> None:
        super().__init__()
        self._happened = threading.Condition(self.lock)
        self._poll = select.epoll()
        self._watched: dict[int, tuple[Driver | None, Source | None, int]] = {}
        self._files: list[Files] = []  # of the threads that wait
        self._polling = False
        self._poke = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    @property
    def now(self) -> int:
        """The time in nanoseconds."""
        return time.monotonic_ns()

    def poke(self) -> None:
        """Have whoever waits for the kernel look at the timers anew."""
        if self._polling:
            os.eventfd_write(self._poke, 1)

    def step(self, until: int | None, what: str, files: Files = ()) -> bool:
        """Wait for a frame, a timer, one of `files` or `until`, and do what follows."""
        with self.lock:
            if self.closed:
                raise Stalled(what, "an open network", "one that was closed")
            self._files.append(files)
            try:
                self._watch()
                times = [time for time in (until, self._next_due()) if time is not None]
                wait = max(0.0, (min(times) - self.now) / SECOND) if times else None
                if self._polling:
                    self._happened.wait(wait)
                else:
                    self._poll_for_all(wait)
            finally:
                self._files.remove(files)
                if files:
                    self._watch()  # the number of a descriptor that is closed now may soon be another's
        return until is None or self.now < until

    def _poll_for_all(self, wait: float | None) -> None:
        """Wait for the kernel with the lock let go, and do what follows."""
        self._polling = True
        self.lock.release()
        try:
            ready = self._poll.poll(wait)
        finally:
            self.lock.acquire()
            self._polling = False
            self._happened.notify_all()
        for descriptor, _ in ready:
            self._take(descriptor)
        if ready:
            self._follow()
        self._turn_due()

    def _take(self, descriptor: int) -> None:
        driver, port, _ = self._watched.get(descriptor, (None, None, 0))
        if descriptor == self._poke:
            os.eventfd_read(self._poke)
        if driver is None or port is None:
            return
        try:
            frames = port.take()
        except OSError as error:
            driver.failed(port, error)
            return
        now = self.now
        for data in frames:
            driver.take(port, data, now)
        driver.turn(now)

    def _watch(self) -> None:
        wanted: dict[int, tuple[Driver | None, Source | None, int]] = {
            port.fileno(): (driver, port, port.mask)
            for driver in self.drivers
            for port in driver.ports
            if port.fileno() >= 0
        }
        wanted.update((descriptor, (None, None, mask)) for files in self._files for descriptor, mask in files)
        wanted[self._poke] = None, None, select.POLLIN
        if wanted != self._watched:
            for descriptor in self._watched:
                with suppress(OSError):  # the kernel forgets a descriptor that is closed
                    self._poll.unregister(descriptor)
            self._watched = wanted
            for descriptor, (_, _, mask) in wanted.items():
                self._poll.register(descriptor, mask)

    def __del__(self) -> None:
        self._poll.close()
        os.close(self._poke)
