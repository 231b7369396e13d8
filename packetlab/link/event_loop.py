"""Event loops: where time passes and frames move. One loop serves every kind of network.

A driver (see `host`) holds a protocol and the ports it speaks through. A blocking call of anybody's drives all drivers of
its event loop, so a single thread can hold both ends of a conversation.
"""

from __future__ import annotations

import os
import select
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EBADF
from functools import partial
from typing import TypeVar, cast

from packetlab.engine.contract import SECOND, nanoseconds
from packetlab.errors import Stalled, broken, deliberate
from packetlab.link.background import Background
from packetlab.link.nesting import Sleepers, Work, unlocked
from packetlab.link.port import BATCH, Driver, Pollable
from packetlab.link.waits import AT_ONCE, Stop
from packetlab.renamed import renamed

__tracebackhide__ = deliberate

T = TypeVar("T")
Ready = list[tuple[int, int]]  # what the kernel says: descriptors, and what of them is ready
Files = Sequence[tuple[int, int]]  # descriptors, and what of them is waited for (select.POLLIN, select.POLLOUT)
Watched = dict[int, tuple[Driver | None, Pollable | None, int]]  # by descriptor
LOOK = 0.1  # seconds after which a thread looks whether the one that waits for the kernel in its place still does
ROUNDS = 16  # full batches that are taken from ports at most before timers have their turn


class EventLoop(ABC):
    """Drivers, and the time they live in.

    Attributes:
        followers: called after everything that happened, for what stands on top of drivers.
        happened: how many things have happened, so that nobody goes to sleep on one.
        alone: nobody waits: what is done now is done in the background.
        looks_every: nanoseconds after which conditions of the program's own are looked at again; None: when something has happened.
    """

    alone = False
    looks_every: int | None = None

    def __init__(self) -> None:
        self.drivers: list[Driver] = []
        self.happened = 0
        self.followers: list[Callable[[], object]] = []
        self.lock = threading.RLock()
        self.closed = False  # the network is gone: nothing will happen any more

    @property
    @abstractmethod
    def now(self) -> int:
        """The time in nanoseconds; it never goes back."""

    def add(self, driver: Driver) -> None:
        """Drive a driver from now on."""
        with self.lock:
            self.drivers.append(driver)

    def remove(self, driver: Driver) -> None:
        """Drive a driver no more."""
        with self.lock, suppress(ValueError):
            self.drivers.remove(driver)

    @abstractmethod
    def step(self, until: int | None, what: str, files: Files = (), since: int | None = None) -> bool:
        """Let the next thing happen (or one of `files` become ready); return False once `until` has come.

        With `since`, a number of things that had `happened`, wait for nothing where more have by now.
        """

    @contextmanager
    def call(self) -> Iterator[None]:
        """Be in a call that waits."""
        yield

    def _limit(self, until: int | None, own: bool) -> int | None:
        later = until if self.looks_every is None or not own else self.now + self.looks_every
        return later if until is None or later is None else min(until, later)

    def wait(self, ready: Callable[[], T | None], what: str, timeout: float | None, files: Files = (), own: bool = False) -> T:
        """Let things happen until `ready` returns something, and return that.

        Args:
            what: for messages, "a: read". timeout: seconds of the event loop's time; None: for ever. files: descriptors
                that `ready` waits for. own: `ready` goes by what other threads may set.

        Raises TimeoutError: the time is over. Stalled: nothing can happen any more.
        """
        until = None if timeout is None else self.now + nanoseconds(timeout, f"{what}: timeout")
        with self.call():
            while True:
                with self.lock:
                    since = self.happened  # before it looks, since a handler of a signal may run within
                    found = ready()
                if found is not None:
                    return found
                limit = self._limit(until, own)
                if not self.step(limit, what, files, since) and limit == until:
                    with self.lock:
                        found = ready()
                    if found is not None:
                        return found
                    raise broken(TimeoutError, f"{what}: nothing in {timeout:g} s")

    def poll(self, *drivers: Driver) -> None:
        """Have drivers, all unless some are named, see what was requested of their protocols from outside."""
        with self.lock:
            for driver in drivers or [*self.drivers]:
                self.drive(driver)

    turn = renamed("turn", "poll")

    def drive(self, driver: Driver) -> None:
        """Have a driver do what is due; with the lock held."""
        driver.poll(self.now)

    @property
    def under_way(self) -> bool:
        """Whether this thread is in the midst of the loop's own work, as a signal's handler may be: it must not wait."""
        return False

    def check(self, what: str) -> None:  # noqa: B027
        """Raise SocketMisuse EDEADLK where this thread is in the midst of what it would wait for."""

    def callback(self, function: Callable[..., T], *given: object) -> T:
        """Call a function of the program's, which may wait, from within a driver."""
        return function(*given)

    def poke(self) -> None:  # noqa: B027  virtual time waits for nobody
        """Say that something has changed: for threads that wait."""

    def run(self, seconds: float, stop: Stop | None = None) -> None:
        """Let time pass, and whatever happens in it, until `stop` is set."""
        until = self.now + nanoseconds(seconds, "run")
        with self.call():
            while stop is None or not stop.is_set():
                limit = self._limit(until, own=stop is not None)
                if not self.step(limit, "run") and limit == until:
                    return

    def _poll_due(self, now: int) -> bool:
        turned = False
        for driver in [*self.drivers]:
            due = driver.due  # once: a handler of a signal may change it
            if due is not None and due <= now and (driver.served or not self.alone):
                self.drive(driver)
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
            due = driver.due if driver.served or not self.alone else None
            if due is not None and (next_due is None or due < next_due):
                next_due = due
        return next_due


class RealTime(EventLoop):
    """The time that everybody lives in; frames come and go through descriptors.

    Of the threads that wait in calls, one waits for the kernel, on behalf of all; what it found it tells the others. While no
    thread is in a call, one of our own does it (see `background`), so that sockets live while the program computes.
    What has come to a port is taken before any timer has its turn. A thread may stand still between any two steps. So what
    is due goes by `_taken`, the time up to which input has been taken (when the kernel was last polled), and not the clock.
    """

    looks_every = int(AT_ONCE * SECOND)

    def __init__(self) -> None:
        super().__init__()
        self._begin()
        self.background = Background(self)

    def _begin(self) -> None:
        self._sleepers = Sleepers()  # threads that wait for the one that polls
        self._poll = select.epoll()
        self._poke = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._watched: Watched = {}
        self._files: list[Files] = []  # of the threads that wait
        self._polling: int | None = None  # the thread that waits for the kernel
        self._calls: set[object] = set()  # those that wait now
        self._work = Work()  # of the lock's owner
        self._registered = True  # the kernel knows all that is watched
        self._taken = self.now  # what had come to ports by then has been taken

    @property
    def now(self) -> int:
        return time.monotonic_ns()

    def add(self, driver: Driver) -> None:
        """Drive a driver from now on."""
        super().add(driver)
        self._called()
        self.poke()  # the thread that waits is to wait for its ports too

    def remove(self, driver: Driver) -> None:
        """Drive a driver no more."""
        super().remove(driver)
        self._work.owed.pop(id(driver), None)
        self.background.called()

    def _called(self) -> None:
        """Take note of a call. Where the background failed since the last one, raise its error."""
        self.background.called()
        error, self.background.error = self.background.error, None
        if self.serves:
            self.background.start()
        if error is not None:
            raise error

    @contextmanager
    def call(self) -> Iterator[None]:
        """Be in a call that waits: meanwhile the background has nothing to do."""
        me = object()
        try:
            self._calls.add(me)
            self._called()
            yield
        finally:
            self._calls.discard(me)
            self.background.called()

    def poke(self) -> None:
        """Have waiting threads look again."""
        with self.lock:
            self.happened += 1
            self._sleepers.wake()
            if self._polling is not None:
                os.eventfd_write(self._poke, 1)

    def poll(self, *drivers: Driver) -> None:
        with self.lock:
            self._called()
            if any(driver.due is not None and driver.due <= self.now for driver in drivers or self.drivers):
                self._watch()
                self._take_in(*self._poll_kernel())
            super().poll(*drivers)
            self.poke()

    def step(self, until: int | None, what: str, files: Files = (), since: int | None = None) -> bool:
        """Wait for a frame, a timer, one of `files` or `until`, and do what follows."""
        with self.lock:
            if self.closed:
                raise Stalled(what, "an open network", "one that was closed")
            since = self.happened if since is None else since
            if self._work:
                if until is not None and self.now >= until:
                    return False
                self._work.check(what)
            try:
                self._files.append(files)
                self._watch()
                wait = 0.0 if self._work.owed else self._seconds(until, self._next_due())
                if self._polling in (None, threading.get_ident()):
                    self._poll_for_all(wait, since, until)
                elif since != self.happened:
                    pass
                elif not self._sleepers.sleep(self.lock, LOOK if wait is None else min(wait, LOOK)):
                    self._do(*self._poll_kernel(), until)  # a handler that computes may hold the other one up
            finally:
                self._files.remove(files)
                if files:
                    self._watch()  # the number of a descriptor that is closed now may soon be another's
        return until is None or self._taken < until

    def _poll_kernel(self, wait: float | None = 0.0) -> tuple[int, Ready]:
        """Poll the kernel; return when that was, and which descriptors are ready."""
        return self.now, self._poll.poll(wait, len(self._watched))

    def _seconds(self, *times: int | None) -> float | None:
        """Return how long it is to the first of some times."""
        left = [time for time in times if time is not None]
        return max(0.0, (min(left) - self.now) / SECOND) if left else None

    def _poll_for_all(self, wait: float | None, since: int, until: int | None) -> None:
        """Wait for the kernel with the lock let go, not at all where more than `since` has happened; do what follows.

        From `_polling` on a poke ends the wait; what a handler of a signal did before that is seen by `since`. A handler
        may call this within a call of its own thread, which it holds up: that one looks anew after.
        """
        me, before = threading.get_ident(), self._polling
        try:
            self._polling = me
            polled, ready = unlocked(self.lock, self._poll_kernel, wait if since == self.happened else 0.0)
        finally:
            self._polling = before
            self._sleepers.wake()
            if before is not None:
                os.eventfd_write(self._poke, 1)
        self._do(polled, ready, until)

    def drive(self, driver: Driver) -> None:
        """Have a driver do what is due; with the lock held."""
        self._work.poll(driver, partial(self._time_of, driver))

    def _time_of(self, driver: Driver) -> int:
        """Return what time it is for a driver: none by which more is due than was when input was taken."""
        now, due = self.now, driver.due
        return now if due is None or due > now else max(self._taken, due - 1)

    def check(self, what: str) -> None:
        """Raise SocketMisuse EDEADLK where this thread is in the midst of what it would wait for."""
        with self.lock:
            self._work.check(what)

    @property
    def under_way(self) -> bool:
        """Whether this thread is in the midst of the loop's own work, as a signal's handler may be: it must not wait."""
        with self.lock:
            return bool(self._work)

    def callback(self, function: Callable[..., T], *given: object) -> T:
        """Call a function of the program's, which may wait, from within a driver."""
        return self._work.pause(function, *given)

    def _do(self, polled: int, ready: Ready, until: int | None = None) -> None:
        """Take what had come when the kernel was `polled`, and have drivers do what follows, and what was due then."""
        self.happened += 1
        times = [time for time in (until, self._next_due()) if time is not None]
        if times and polled < min(times) <= self.now:
            self._watch()
            polled, ready = self._poll_kernel()  # this thread may have stood still since
        if ready or self._work.owed:
            self._take_in(polled, ready)
            self._follow()
        else:
            self._taken = max(self._taken, polled)
        self._poll_due(self._taken)

    # In the background --------------------------------------------------------------------------------------

    @property
    def serves(self) -> bool:  # while the program computes
        return any(driver.served for driver in self.drivers)

    def asleep(self) -> tuple[int, float | None]:
        """Return what wakes the background other than a call: a descriptor, -1 for none, and seconds; with the lock held."""
        if self._calls:
            return -1, None
        self._watch()
        self.alone = True
        try:
            return self._poll.fileno(), self._seconds(self._next_due())
        finally:
            self.alone = False

    def serve(self) -> None:
        """Do what a call that waits would do, if there is none."""
        with self.lock:
            if self._calls:
                return
            self.alone = True
            try:
                self._do(*self._poll_kernel())
            finally:
                self.alone = False

    def forked(self) -> None:
        """Begin anew in a forked child, where nothing of this is ours: the parent goes on with it."""
        self.lock = threading.RLock()  # of the old one, another thread may have been the owner
        self.background = Background(self)
        for driver in [*self.drivers]:
            for port in [*driver.ports]:
                driver.failed(port, OSError(f"{port.name}: left with the process that forked"))
        self.drivers.clear()
        self.followers.clear()
        self._poll.close()
        os.close(self._poke)
        self._begin()

    # Ports --------------------------------------------------------------------------------------------------

    def _take_in(self, polled: int, ready: Ready) -> None:
        """Take what waits at ports, and then have their drivers do what follows."""
        for _ in range(ROUNDS):
            full = [self._take(descriptor) for descriptor, _ in ready]
            if not any(full):
                break
            _, ready = self._poll_kernel()
        if not self._work:  # else a handler of a signal interrupts some, whose ports it has to leave alone
            self._taken = max(self._taken, polled)
        for driver in [*self._work.owed.values()]:
            self.drive(cast("Driver", driver))

    def _take(self, descriptor: int) -> bool:
        """Take from one port; return whether there may be more."""
        driver, port, _ = self._watched.get(descriptor, (None, None, 0))
        if descriptor == self._poke and self._polling is None:  # while another thread polls, it is what that waits for
            with suppress(BlockingIOError):  # another thread was quicker
                os.eventfd_read(self._poke)
        if driver is None or port is None or driver in self._work:
            return False
        return self._work.do(driver, self._feed, driver, port)

    def _feed(self, driver: Driver, port: Pollable) -> bool:
        try:
            frames = port.take()
        except OSError as error:
            driver.failed(port, error)
            return False
        self._work.owed[id(driver)] = driver
        now = self.now
        for data in frames:
            driver.take(port, data, now)
        return len(frames) >= BATCH

    def _watch(self) -> None:
        ports = [(driver, port, port.fileno()) for driver in self.drivers for port in driver.ports]
        wanted: Watched = {descriptor: (driver, port, port.mask) for driver, port, descriptor in ports if descriptor >= 0}
        wanted.update((descriptor, (None, None, mask)) for files in self._files for descriptor, mask in files)
        wanted[self._poke] = None, None, select.POLLIN
        if (wanted != self._watched or not self._registered) and self not in self._work:
            self._work.do(self, self._register, wanted)

    def _register(self, wanted: Watched) -> None:
        self._registered = False  # where an exception ends this, the next one does it all
        for descriptor in self._watched:
            with suppress(OSError):  # the kernel forgets a descriptor that is closed
                self._poll.unregister(descriptor)
        self._watched = wanted
        for descriptor, (_, _, mask) in wanted.items():
            try:
                self._poll.register(descriptor, mask)
            except FileExistsError:  # an error of a handler's ended its unregistering
                self._poll.modify(descriptor, mask)
            except OSError as error:
                if error.errno != EBADF:  # else a signal handler has closed it, and the waiting thread sees that
                    raise
        self._registered = True

    def __del__(self) -> None:
        self.background.stop(wait=False)
        self._poll.close()
        os.close(self._poke)
