"""Waits that end when what they wait for is closed, by whichever thread.

The kernel does not end a poll(2) of a descriptor that is closed meanwhile, and gives its number to the next file. So who
waits is known, is woken, and has left before the number is free.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from packetlab.capture.files.ending import is_ended
from packetlab.errors import SocketMisuse
from packetlab.escaping import printable

LARGEST = 65536  # bytes of a datagram
PATIENCE = 1.0  # seconds for which `close` waits for who uses the descriptor to leave
NO_ROOM = {
    errno.EAGAIN: "this user may have no more processes and threads: ulimit -u",
    errno.EMFILE: "this process may have no more files: ulimit -n",
    errno.ENFILE: "the machine has no more files: sysctl fs.file-max",
    errno.ENOMEM: "the machine, or this user, has no more memory: ulimit -v",
}
"""Errors that are no refusal: there is no room for one more. What to do about each."""
AT_ONCE = 0.2  # seconds after which a `stop` is looked at, where nothing comes


class Stop(Protocol):
    """What ends a loop that waits, when it is set: a `threading.Event`."""

    def is_set(self) -> bool:
        """Whether to end."""


class Ending:
    """Ends a loop that waits for frames when `stop` is set, or what this thread takes the frames for has ended."""

    def __init__(self, stop: Stop | None) -> None:
        self.stop = stop

    def is_set(self) -> bool:
        """Whether to end."""
        return (self.stop is not None and self.stop.is_set()) or is_ended()


def explained(what: str, number: int | None, error: object) -> OSError:
    """Return the error of what could not be started, with the way out where there was no room for it."""
    hint = NO_ROOM.get(number or 0, "")
    return OSError(number, f"{printable(what)}: {error}" + (f" ({hint})" if hint else ""))


def of_parent(where: str, what: str, hint: str) -> SocketMisuse:
    """Return the error of a call, in a forked child, on what its parent goes on with: an OSError, EBADF."""
    got = "one of the process that forked this one"
    return SocketMisuse(errno.EBADF, where, f"{what} of this process", got, hint)


def start(thread: threading.Thread) -> None:
    """Start a thread; OSError (EAGAIN) where this user may have no more of them."""
    try:
        thread.start()
    except RuntimeError as error:
        raise explained(thread.name, errno.EAGAIN, error) from None


class Waits:
    """Who uses a descriptor of a port, and how they are to stop.

    Attributes:
        name: for messages. closed: whether it is.
        turn: a lock for what one thread alone may do with the port; a signal's handler gets it within its own thread.
    """

    def __init__(self, name: str) -> None:
        self.name, self.closed = name, False
        self._users: dict[int, int] = {}  # a descriptor that wakes each, and its thread
        # Plain locks in plain `with`s: an interrupt within code of Python's that holds one would keep it.
        self.turn, self._lock = threading.RLock(), threading.RLock()
        _all.add(self)

    def forked(self) -> None:
        """Begin anew in a forked child: the other threads are not there, what they held is nobody's."""
        if _held(self.turn.acquire, self.turn.release):
            self.turn = threading.RLock()
        if _held(self._lock.acquire, self._lock.release):
            self._lock = threading.RLock()
        me = threading.get_ident()
        for wake in [wake for wake, user in self._users.items() if user != me]:
            del self._users[wake]
            os.close(wake)

    def check(self) -> None:
        """Raise the error of a closed port where it is one: an OSError, EBADF."""
        if self.closed:
            raise self.misuse()

    def misuse(self) -> SocketMisuse:
        """The error of a closed port."""
        return SocketMisuse(errno.EBADF, self.name, "an open port", "one that has been closed", "open another")

    @contextmanager
    def using(self) -> Iterator[int]:
        """Use the descriptor, which stays what it is meanwhile. Gives one that becomes readable when it is to be closed."""
        self.check()
        try:
            wake = os.eventfd(0, os.EFD_CLOEXEC)
        except OSError as error:
            raise explained(self.name, error.errno, error.strerror) from None
        try:
            with self._lock:
                self._users[wake] = threading.get_ident()
            self.check()  # a handler of a signal may have closed it before it was known that there is somebody to wake
            yield wake
        finally:
            with self._lock:
                self._users.pop(wake, None)
                os.close(wake)

    def ready(self, descriptor: int, mask: int, timeout: float | None) -> bool:
        """Wait for a descriptor; return whether it is ready, False after `timeout` seconds.

        SocketMisuse: the port was closed before or meanwhile.
        """
        with self.using() as wake:
            poll = select.poll()
            poll.register(descriptor, mask)
            poll.register(wake, select.POLLIN)
            # In turns, since poll takes 2**31 ms at most.
            end = None if timeout is None else time.monotonic() + timeout
            while True:
                left = 1e6 if end is None else min(1e6, max(0.0, end - time.monotonic()))
                found = poll.poll(left * 1000)
                if found or (end is not None and left < 1e6):
                    break
        self.check()
        return bool(found)

    def receive(self, sock: socket.socket, timeout: float | None) -> bytes | None:
        """Return what comes next on a socket, None after `timeout` seconds. What an earlier datagram met is passed over."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if end is None else end - time.monotonic()  # before it looks: it may stand still after
            try:
                return sock.recv(LARGEST, socket.MSG_DONTWAIT)
            except ConnectionRefusedError:
                continue
            except BlockingIOError:
                if left is not None and left <= 0:
                    return None
                self.ready(sock.fileno(), select.POLLIN, left)
            except OSError as error:
                self.check()
                raise OSError(error.errno, f"{self.name}: {error.strerror or error}") from None

    def close(self) -> bool:
        """End every wait; return whether this is the first call."""
        with self._lock:
            first, self.closed = not self.closed, True
            for wake in self._users:
                os.eventfd_write(wake, 1)
        end = time.monotonic() + PATIENCE
        while self._used_by_others() and time.monotonic() < end:
            time.sleep(0.0002)
        return first

    def _used_by_others(self) -> bool:
        """Whether threads use the descriptor. Its own does where a signal's handler closes what it waits for."""
        with self._lock:
            me = threading.get_ident()
            return any(user != me for user in self._users.values())


def _held(acquire: Callable[[bool], bool], release: Callable[[], None]) -> bool:
    """Whether another thread holds a lock; not the code that a signal's handler was called in."""
    if acquire(False):
        release()
        return False
    return True


_all: weakref.WeakSet[Waits] = weakref.WeakSet()


def _in_child() -> None:
    for waits in list(_all):
        waits.forked()


os.register_at_fork(after_in_child=_in_child)
