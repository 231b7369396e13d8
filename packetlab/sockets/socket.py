"""What all sockets have in common: the eight verbs, waiting, and clear words for misuse."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EAGAIN, EALREADY, EBADF, EDEADLK, EINPROGRESS, EINVAL, EOPNOTSUPP
from math import inf
from types import TracebackType
from typing import Any, TypeGuard, TypeVar, cast

from packetlab.engine.contract import SECOND
from packetlab.errors import PacketlabError, SocketMisuse, broken, deliberate, suggestion
from packetlab.escaping import printable
from packetlab.hooks import Shown
from packetlab.link.event_loop import Files
from packetlab.link.nesting import Sleepers
from packetlab.network.host import NetworkHost
from packetlab.sockets.ways import ANOTHER, INSTEAD

__tracebackhide__ = deliberate

LOOK = 0.01  # seconds between looks at the clock
MOST = 0x7FFFF000  # bytes that Linux reads at once

T = TypeVar("T")
S = TypeVar("S", bound="Socket")


def is_number(value: object) -> TypeGuard[int]:
    """Say whether a value is a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def safe_repr(value: object) -> str:
    """Return what was given in a few words."""
    return f"{value!r:.60}" if not is_number(value) or value.bit_length() < 512 else f"{value.bit_length()} bits"


class QueuedCall:
    """A call that reads, or writes, in several steps, while other threads wait that would do the same at its socket.

    Attributes:
        timeout: the socket's when the call began, for each of its waits.
        call: to be held by the call itself: no interrupt comes between a `with` of a lock and its end.
    """

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout
        self.thread, self.process = threading.get_ident(), os.getpid()
        self.call = threading.Lock()
        self.sleepers = Sleepers()

    @property
    def lasts(self) -> bool:
        """Whether its call is still under way: an interrupt may have ended it; and a forked child has its parent's."""
        return self.call.locked() and self.process == os.getpid()


class _ClosedToNewAttributes(type):
    """Closes a new instance to attributes that it does not have: a misspelt option is an error, not a new attribute."""

    def __call__(cls, *args: object, **kwargs: object) -> Any:
        made = super().__call__(*args, **kwargs)
        made.__dict__["_complete"] = True
        return made


class Socket(Shown, metaclass=_ClosedToNewAttributes):
    """A socket. A call that makes no sense raises `SocketMisuse`, an `OSError` with BSD's errno.

    Attributes:
        kind, family: as in `create`. host: whose it is.
        timeout: seconds that a call waits, by the clock of the host's network; None: as long as it takes; 0: not at all,
            BlockingIOError says that it would have to.
        closed: whether `close` was called.
    """

    kind = ""
    family = ""

    def __init__(self, host: NetworkHost) -> None:
        self.host = host
        self._timeout: float | None = None
        self._process = os.getpid()
        self._turns: dict[str, QueuedCall] = {}  # by "read" and "write"
        self.closed = False

    def __setattr__(self, name: str, value: object) -> None:
        if "_complete" in self.__dict__ and not hasattr(self, name):
            known = [each for each in dir(self) if not each.startswith("_")]
            hint = suggestion(name, known)
            raise AttributeError(f"{self} has no option {name!r}" + (f" ({hint})" if hint else ""))
        super().__setattr__(name, value)

    @property
    def timeout(self) -> float | None:
        """Seconds that a call waits; None: as long as it takes."""
        return self._timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        if seconds is not None and not (isinstance(seconds, (int, float)) and 0 <= seconds < inf):
            raise self._misuse(
                EINVAL, "timeout", "seconds from 0 upwards, or None", f"{seconds!r}", "None waits as long as it takes"
            )
        self._timeout = seconds

    # Verbs --------------------------------------------------------------------------------------------------

    def bind(self, address: object) -> None:
        """Give the socket its own address: a number (0: any free one), or a whole address of this host."""
        raise self._has_no("bind")

    def connect(self, address: object) -> None:
        """Connect to an address: ``host.at(number)``, or one of the family (XNSAddress or its text, (IP, port)).

        Raises:
            ConnectionRefusedError: nobody listens there. TimeoutError: no answer.
        """
        raise self._has_no("connect")

    def listen(self, backlog: int = 5) -> None:
        """Take connections, `backlog` of them ahead of `accept`."""
        raise self._has_no("listen")

    def accept(self) -> Socket:
        """Wait for the next connection and return its socket, which has this one's options."""
        raise self._has_no("accept")

    def write(self, data: Any) -> int:
        """Write data; return how many bytes were taken."""
        raise self._has_no("write")

    def read(self) -> Any:
        """Wait for data and return it; empty at the end of the connection."""
        raise self._has_no("read")

    def close(self) -> None:
        """Close the socket; a thread waiting at it gets an error. Safe to call twice."""
        with self.host.loop.lock:
            self.closed = True
            for queued in self._turns.values():
                queued.sleepers.wake()
            self.host.loop.poke()

    # Waiting ------------------------------------------------------------------------------------------------

    def _wait(
        self,
        ready: Callable[[], T | None],
        verb: str,
        files: Files = (),
        queued: QueuedCall | None = None,
        blocked: int = EAGAIN,
    ) -> T:
        """Let things happen until `ready` gives something. `blocked`: the errno where nothing does and it must not wait."""
        timeout = self._timeout if queued is None else queued.timeout

        def look() -> T | None:
            # Another thread may have closed it meanwhile, or its host; a handler of a signal even while this looks.
            need = self._need_host if verb == "close" else self._need_open
            need(verb)
            try:
                return ready()
            except (OSError, PacketlabError):
                need(verb)
                raise

        loop = self.host.loop
        with loop.lock:
            found = look()
        if found is not None:
            return found
        if timeout == 0:
            loop.run(0)
            with loop.lock:
                found = look()
            if found is None:
                raise self._blocked(verb, blocked)
            return found
        return loop.wait(look, f"{self}: {verb}", timeout, files)

    @contextmanager
    def _turn(self, side: str, verb: str, queued: QueuedCall) -> Iterator[None]:
        """Read ("read") or write ("write") in several steps with no other thread's between: BSD's sblock.

        To be entered with the turn's lock held: ``with (queued := QueuedCall(self._timeout)).call, self._turn(side, verb, queued):``.
        """

        def take() -> bool:
            self._turns[side] = queued
            return True

        try:
            self._wait_in_turn(side, take, verb)
            yield
        finally:
            with self.host.loop.lock:
                if self._turns.get(side) is queued:
                    del self._turns[side]
                queued.sleepers.wake()

    def _wait_in_turn(self, side: str, ready: Callable[[], T | None], verb: str, queued: QueuedCall | None = None) -> T:
        """Do as `_wait`, and let a call of another thread that has its `QueuedCall` finish first."""

        def look() -> T | QueuedCall | None:
            holder = self._turns.get(side)
            if holder is not queued and holder is not None and not holder.lasts:
                del self._turns[side]
                holder = None
            if holder is queued or holder is None:
                return ready()
            if holder.thread == threading.get_ident():
                got = "one within it, as a signal's handler makes"
                hint = f"let the handler note what is to be done, and {side} after the call"
                raise self._misuse(
                    EDEADLK, verb, f"a call after the {side} that is under way in this thread", got, hint
                )
            return holder

        loop, timeout = self.host.loop, self._timeout if queued is None else queued.timeout
        until = None if timeout is None else loop.now + int(timeout * SECOND)
        late = False
        while True:
            found = cast("T | QueuedCall", self._wait(look, verb, queued=queued))
            if not isinstance(found, QueuedCall):
                return found
            if timeout == 0:
                raise self._blocked(verb)
            loop.check(f"{self}: {verb}")
            if until is not None and loop.now >= until:
                if late:
                    raise broken(TimeoutError, f"{self}: {verb}: nothing in {timeout:g} s")
                late = True  # both threads may have stood still: input is taken, and the call before this one may end
                loop.step(loop.now, verb)
            with loop.lock:
                if self._turns.get(side) is found and not self.closed:
                    # Its thread drives the event loop meanwhile. Looked at again, since time may be virtual, and a handler of
                    # a signal may have closed the socket just before this.
                    found.sleepers.sleep(loop.lock, LOOK)

    # Words --------------------------------------------------------------------------------------------------

    def _blocked(self, verb: str, number: int = EAGAIN) -> BlockingIOError:
        said = {EINPROGRESS: "goes on; another call finishes it", EALREADY: "goes on already"}
        return broken(BlockingIOError, f"{self}: {verb} {said.get(number, 'would have to wait')}", number)

    def _misuse(self, number: int, verb: str, expected: str, got: str, hint: str) -> SocketMisuse:
        return SocketMisuse(number, f"{self}: {verb}", expected, got, hint)

    @contextmanager
    def _named(self, verb: str) -> Iterator[None]:
        """Give a misuse that the layers below notice this socket's name."""
        try:
            yield
        except SocketMisuse as error:
            raise self._renamed(error, verb) from None

    def _renamed(self, error: SocketMisuse, verb: str) -> SocketMisuse:
        number, _, expected, got, hint = error._given
        return self._misuse(number, verb, f"{expected}", f"{got}", hint)

    def _need_size(self, size: object, verb: str = "read") -> None:
        """Say that a size is none, before anything is taken."""
        right = is_number(size) and 0 <= size <= MOST
        self._need(
            right, EINVAL, verb, "a size of 0 or more bytes", safe_repr(size), f"{MOST} at most, as read(2) has it"
        )

    def _need_backlog(self, backlog: object) -> None:
        right = is_number(backlog) and backlog > 0
        self._need(right, EINVAL, "listen", "a backlog of 1 or more", f"{backlog!r}", "how many may wait for accept()")

    def _has_no(self, verb: str) -> SocketMisuse:
        expected, got = f"a kind of socket that can {verb}", f"a {self.kind} socket"
        return self._misuse(EOPNOTSUPP, verb, expected, got, INSTEAD[verb])

    def _need(self, true: object, number: int, verb: str, expected: str, got: str, hint: str) -> None:
        self._need_open(verb)
        if not true:
            raise self._misuse(number, verb, expected, got, hint)

    def _need_open(self, verb: str) -> None:
        if self.closed:
            raise self._misuse(EBADF, verb, "an open socket", "one that was closed", ANOTHER)
        self._need_host(verb)

    def _need_host(self, verb: str) -> None:
        if self._elsewhere():
            got = "one that was closed" if self.host.closed else "one of the process that forked this one"
            raise self._misuse(EBADF, verb, "a socket of an open host", got, "make a host and a socket here")

    def _elsewhere(self) -> bool:
        """Say whether what the socket stands on is gone: with its host, or in a forked child, to whom it never belonged."""
        return self._process != os.getpid() or self.host.closed

    def facts(self) -> list[tuple[str, str]]:
        """Return what there is to be said of the socket, as (name, text): where it is, and its options."""
        found = [("socket", f"{self.family} {self}")]
        # The layers of a host that has not spoken yet are not started by looking at its sockets.
        spoken = self.family != "xns" or self.host._stack is not None
        for name in ("state", "address", "peer", "default_header", "mtu") if spoken else ():
            try:
                value = getattr(self, name, None)
            except (PacketlabError, OSError):
                continue  # a closed one has none any more
            if value is not None:
                found.append((name, str(getattr(value, "name", value))))
        options = ["timeout"] + [
            name for name in vars(self) if not name.startswith("_") and name not in ("host", "kind", "sock", "stream")
        ]
        return found + [(name, str(getattr(self, name))) for name in sorted(options)]

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()  # something else went wrong already; do not wait for the other end

    def abort(self) -> None:
        """Close at once, without waiting for the other end."""
        self.close()

    def __str__(self) -> str:
        return f"{self.kind} socket of {printable(self.host.name)}"

    def __repr__(self) -> str:
        return f"<{self.family} {self}{' (closed)' if self.closed else ''}>"
