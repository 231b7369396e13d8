"""Media: where time passes and frames move. One loop serves every kind of network.

A driver (see `host`) holds a protocol and the ports it speaks through. A blocking call of anybody's drives all drivers of
its medium, so a single thread can hold both ends of a conversation.
"""

from __future__ import annotations

import select
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Files = Sequence[tuple[int, int]]  # descriptors, and what of them is waited for (select.POLLIN, select.POLLOUT)
SECOND = 1_000_000_000
SLICE = 20  # ms that a thread sleeps at most while another is in the loop too


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

    def run(self, seconds: float) -> None:
        """Let time pass, and whatever happens in it."""
        until = self.now + int(seconds * SECOND)
        while self.step(until, "run"):
            pass

    def _turn_due(self) -> bool:
        now, turned = self.now, False
        for driver in self.drivers:
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
        return min([driver.due for driver in self.drivers if driver.due is not None], default=None)


class RealTime(Medium):
    """The time that everybody lives in; frames come and go through descriptors."""

    def __init__(self) -> None:
        super().__init__()
        self._inside = 0
        self._poll = select.poll()
        self._watched: dict[int, tuple[Driver | None, Source | None, int]] = {}

    @property
    def now(self) -> int:
        """The time in nanoseconds."""
        return time.monotonic_ns()

    def step(self, until: int | None, what: str, files: Files = ()) -> bool:
        """Wait for a frame, a timer, one of `files` or `until`, and do what follows."""
        with self.lock:
            if self._turn_due():
                return True
            self._watch(files)
            times = [time for time in (until, self._next_due()) if time is not None]
            self._inside += 1
            # Another thread may take the frame that this one waits for, and nobody would wake it.
            limits = [SLICE] if self._inside > 1 else []
        try:
            if times:
                limits.append(max(0, -((self.now - min(times)) // 1_000_000)))
            ready = self._poll.poll(min(limits) if limits else None)
        finally:
            self._inside -= 1
        with self.lock:
            for descriptor, happened in ready:
                self._take(descriptor, happened)
            if ready:
                self._follow()
            self._turn_due()
        return until is None or self.now < until

    def _take(self, descriptor: int, happened: int) -> None:
        driver, port, _ = self._watched.get(descriptor, (None, None, 0))
        if driver is None or port is None:
            return
        try:
            if happened & select.POLLNVAL:
                raise OSError(f"{port.name}: it was closed")
            frames = port.take()
        except OSError as error:
            driver.failed(port, error)
            return
        now = self.now
        for data in frames:
            driver.take(port, data, now)
        driver.turn(now)

    def _watch(self, files: Files) -> None:
        wanted = {
            port.fileno(): (driver, port, port.mask)
            for driver in self.drivers
            for port in driver.ports
            if port.fileno() >= 0
        }
        others = {descriptor: (None, None, mask) for descriptor, mask in files}
        if {**wanted, **others} != self._watched:
            for descriptor in self._watched:
                self._poll.unregister(descriptor)
            self._watched = {**wanted, **others}
            for descriptor, (_, _, mask) in self._watched.items():
                self._poll.register(descriptor, mask)
