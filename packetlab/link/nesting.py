"""What signals' handlers ask of a waiting thread: a handler runs between any two steps of the main thread.

It may raise there, or call the same anew. So what must not be left undone is the first step of a `finally`, and what
belongs together is one call of C.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from errno import EDEADLK
from itertools import starmap
from threading import RLock
from typing import TYPE_CHECKING, Protocol, TypeVar

from packetlab.errors import SocketMisuse

if TYPE_CHECKING:
    from _thread import LockType as _Lock

T = TypeVar("T")


class Polled(Protocol):
    """What is polled; `link.port.Driver` is one."""

    def poll(self, now: int) -> None:
        """Do what is due."""


def unlocked(lock: RLock, wait: Callable[..., T], *given: object) -> T:
    """Call something that waits, with an RLock of this thread's let go, however often it holds it."""
    levels: list[tuple[int, int]] = []
    try:
        levels.extend(starmap(lock._release_save, [()]))  # type: ignore[attr-defined]  # as `threading.Condition` does  # let go, and noted
        return wait(*given)
    finally:
        if levels:
            lock._acquire_restore(levels[0])  # type: ignore[attr-defined]


class Sleepers:
    """Threads that wait until another wakes them; all with the same RLock held."""

    def __init__(self) -> None:
        self._bells: list[_Lock] = []

    def sleep(self, lock: RLock, seconds: float) -> bool:
        """Wait with the lock let go; return whether somebody woke us."""
        bell = threading.Lock()
        bell.acquire()
        self._bells.append(bell)
        if unlocked(lock, bell.acquire, True, seconds):
            return True
        if bell in self._bells:
            self._bells.remove(bell)
        return False

    def wake(self) -> None:
        bells, self._bells = self._bells, []  # a handler of a signal may do the same meanwhile
        for bell in bells:
            bell.release()


class Work:
    """What the thread that holds a lock is in the midst of.

    A handler must not begin the same anew: what it has written goes out when that is done, and what would wait for it
    cannot.

    Attributes:
        owed: drivers by id that are to be polled, because one was interrupted.
    """

    def __init__(self) -> None:
        self._under_way: list[object] = []
        self.owed: dict[int, Polled] = {}

    def __contains__(self, what: object) -> bool:
        return what in self._under_way

    def __bool__(self) -> bool:
        return bool(self._under_way)

    def do(self, what: object, function: Callable[..., T], *given: object) -> T:
        """Call a function that must not be interrupted by another of the same."""
        try:
            self._under_way.append(what)
            return function(*given)
        finally:
            self._under_way.remove(what)

    def poll(self, driver: Polled, now: Callable[[], int]) -> None:
        """Poll a driver; where this thread polls or feeds it already, after that."""
        key, owed = id(driver), self.owed
        owed[key] = driver
        if driver in self._under_way:
            return
        try:
            while owed.pop(key, None) is not None:
                self.do(driver, driver.poll, now())
        except Exception:
            raise  # a mistake of the driver's: its caller hears of it, once
        except BaseException:
            owed[key] = driver
            raise

    def pause(self, function: Callable[..., T], *given: object) -> T:
        """Call a function of the program's that is called from within, and may do what it likes."""
        under_way = self._under_way
        try:
            self._under_way = []
            return function(*given)
        finally:
            self._under_way = under_way

    def check(self, what: str) -> None:
        """Raise SocketMisuse EDEADLK where something is under way, for a call that would wait."""
        if self._under_way:
            expected, got = "a call outside of the network's own work", "one in the midst of it, by a signal's handler"
            raise SocketMisuse(EDEADLK, what, expected, got, "let the handler note what is to be done, or write only")
