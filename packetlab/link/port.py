"""Port: what can send and receive frames. One surface for kernel interfaces and wires in memory."""

from __future__ import annotations

import errno
import select
import socket as _socket
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from sys import byteorder
from typing import Any, NamedTuple, Protocol, Self
from weakref import WeakValueDictionary

from packetlab.bulk.batch import Batch
from packetlab.capture import Frame, frame_matcher
from packetlab.engine.contract import nanoseconds
from packetlab.errors import PacketlabError, broken, deliberate
from packetlab.escaping import printable
from packetlab.link.waits import AT_ONCE, Ending, Stop, Waits
from packetlab.packet.foreign import as_bytes
from packetlab.packet.packet import Packet

__tracebackhide__ = deliberate

BATCH = 512  # frames that are taken from a port at a time
MOST = (
    16 * BATCH
)  # frames that are taken at most once a wait's time is over, where nothing tells how many may lie there


SHORT = 1 << 16  # frames that are taken from a socket at a time at the most, however little each is charged with
SMALLEST = 512  # bytes of a socket's buffer that a frame of LONG bytes or more is charged with at the least
LONG = 256
SO_MEMINFO = 55  # of what a socket holds, by bytes; what lies there to be read comes first (Linux 4.12)
HUGE = 1 << 62


def room(socket: _socket.socket) -> tuple[int, int]:
    """Return how many frames may lie in a socket now at the most, and how many bytes the long ones of them may have."""
    try:
        held = int.from_bytes(socket.getsockopt(_socket.SOL_SOCKET, SO_MEMINFO, 36)[:4], byteorder)
    except OSError:  # an older kernel, or it is closed, which receiving says
        held = 1 << 24
    return max(SHORT, held // SMALLEST + 1), held


class Attachment(NamedTuple):
    """A host's place on a network: XNS network number, how XNS packets go there, MAC address, and how to open a port.

    `open` takes `protocol` (Ethernet type of the frames wanted, None: all) and `promiscuous`.
    """

    network: int
    carrier: str
    mac: bytes
    open: Callable[..., Port]


class Attached(Protocol):
    """A host, as those who send through it need it."""

    @property
    def name(self) -> str: ...
    @property
    def attachments(self) -> Sequence[Attachment]: ...


def place(host: Attached, link: int, what: str) -> Attachment:
    """Return where a host is on one of its links, from 0.

    PacketlabError: it has none of that number; `what` is who wants it.
    """
    places = host.attachments
    if link not in range(len(places)):
        where = f"{what}: host {host.name}"
        if places:
            raise PacketlabError(where, f"a link from 0 to {len(places) - 1}", link)
        hint = "link it to another host; a LocalHost is given its interface by name, LocalHost('eth0')"
        raise PacketlabError(where, "a link, or an interface", "none yet", hint)
    return places[link]


def refusal(error: OSError) -> str:
    """Return why a port refused a frame; where it is closed, which is no matter of this frame, raise the error."""
    if error.errno == errno.EBADF:
        raise error
    return str(error.strerror or error)


class OpenedPorts:
    """Ports that were opened on a host, those that somebody has still: they end with it.

    Without a lock, as a forked child and a signal's handler need it: a port is known first, and whether the host is closed
    is looked at after; `close` does the reverse.
    """

    def __init__(self) -> None:
        self._ports = WeakValueDictionary[int, Port]()
        self.closed = False

    def add(self, port: Port) -> None:
        """Know a port; it is closed where the host is."""
        self._ports[id(port)] = port
        if self.closed:
            port.close()

    def __contains__(self, port: object) -> bool:
        known = self._ports.get(id(port))
        return known is not None and known is port

    def close(self) -> None:
        """Close all that were opened, and all that will be."""
        self.closed = True
        for reference in self._ports.valuerefs():
            if (port := reference()) is not None:
                port.close()


class Pollable(Protocol):
    """What an event loop waits for on behalf of a driver: a `Port`, or something as simple."""

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
    """What an event loop drives."""

    due: int | None  # when `poll` is wanted, by the event loop's clock
    served: bool  # whether it lives while the program computes, too

    @property
    def ports(self) -> Sequence[Pollable]:
        """Where frames come from."""

    def take(self, port: Any, data: bytes, now: int) -> None:
        """Take in a frame."""

    def poll(self, now: int) -> None:
        """Do what is due, send what is to be sent, and say in `due` when to come back."""

    def failed(self, port: Any, error: OSError) -> None:
        """A port is gone."""


class Port(ABC):
    """Sends and receives whole frames. It listens from the moment it is open, so nothing sent later is missed.

    Attributes:
        name: of the interface. linktype: what its frames begin with (1: Ethernet).
        parallel: whether several threads may send at once. virtual: whether its time passes only while it is waited for.

    `close` ends the waits of all threads, with an OSError that says so.
    """

    name: str
    linktype: int = 1
    parallel = False
    virtual = False
    _waits: Waits  # of those that wait in the kernel
    _passed = 0  # frames that were taken from it and are not for it
    _kept: deque[Frame] = deque(maxlen=0)  # those that lay there when a wait was over, and that it did not look at yet
    _trouble: OSError | None = None  # what was met when they were taken
    _full = False  # frames wait for room in it

    @property
    def mask(self) -> int:
        """What its descriptor is waited for."""
        return select.POLLIN | select.POLLOUT if self._full else select.POLLIN

    @abstractmethod
    def _send(self, data: bytes) -> None:
        """Put one frame on the wire, once there is room."""

    def _put(self, data: bytes, gone: list[int]) -> bool:
        """Put one frame on the wire if there is room now, and note it in `gone`; return whether there was.

        OSError ENOBUFS: there is none, and the descriptor does not tell of room either.
        """
        self._send(data)
        gone.append(len(data))
        return True

    def _send_unless(self, data: bytes, stop: Stop | None) -> bool:
        """Put one frame on the wire, unless `stop` is set before there is room; return whether it went."""
        self._send(data)
        return True

    @abstractmethod
    def _receive(self, timeout: float | None) -> Frame | None:
        """Return the next frame, or None after `timeout` seconds (None: wait for ever)."""

    def _now(self) -> int:
        """The time by this port's clock, in nanoseconds; it never goes back."""
        return time.monotonic_ns()

    def take(self) -> list[bytes]:
        """Return the frames that have come, without waiting."""
        self._check()
        taken = self._take_kept()
        self._drain(self._receive, BATCH)
        if not taken and not self._kept:
            self._complain()
        return taken + self._take_kept()

    def _take_kept(self) -> list[bytes]:
        taken: list[bytes] = []
        with suppress(IndexError):  # one by one, since another thread may add to them, or take of them
            while True:
                taken.append(self._kept.popleft().data)
        return taken

    def _room(self) -> tuple[int, int]:
        """How many frames may lie in the port now at the most, and how many bytes the long ones of them may have."""
        return MOST, HUGE

    def _drain(self, receive: Callable[[float | None], Frame | None], most: int = HUGE) -> None:
        """Take what lies in the port, `most` frames of it, to be looked at later; nothing while some that were taken are left."""
        self._check()
        kept = self.__dict__.setdefault("_kept", deque())
        if (
            kept
        ):  # else waits that look at a few each would keep more and more, and nothing would say that frames are lost
            return
        (frames, size), passed = self._room(), self._passed
        frames = min(frames, most) + passed
        try:
            while self._passed < frames and size >= 0 and (frame := receive(0.0)) is not None:
                kept.append(frame)
                frames -= 1
                size -= max(SMALLEST, len(frame.data)) if len(frame.data) >= LONG else 0
        except OSError as error:  # what came before is looked at first
            self._trouble = error

    def _complain(self) -> None:
        if self._trouble is not None:
            error, self._trouble = self._trouble, None
            raise error

    def _arriving(
        self,
        timeout: float | None,
        receive: Callable[[float | None], Frame | None] | None = None,
        stop: Stop | None = None,
    ) -> Iterator[Frame]:
        """Yield the frames of `timeout` seconds, all that had come by then: whoever looks at them may stand still.

        Once the time is over what an earlier wait kept is looked at, and the first of what lies there; then all the rest is
        taken before any of that is looked at, so that neither input without end nor a slow look goes on. No clock and no
        count of the kernel's tells which these are: frames get their times late, wall clocks are set, and others share the
        socket. `stop` as for `capture`.
        """
        receive = receive or self._receive
        deadline = None if timeout is None else self._now() + nanoseconds(timeout, f"{self.name}: timeout")
        while stop is None or not stop.is_set():
            left = None if deadline is None else max(0.0, (deadline - self._now()) / 1e9)
            if left == 0.0:
                yield from self._rest(receive, stop)
                return
            # In turns: another thread may have taken what this one waits for, and not looked at it.
            turn = left if self.virtual else AT_ONCE if left is None else min(left, AT_ONCE)
            frame = self._next_kept() or receive(turn)
            if frame is not None:
                yield frame

    def _next_kept(self) -> Frame | None:
        """Return the next frame that was taken before; where there is none, raise what was met then."""
        if self._kept or self._trouble is not None:
            self._check()
        try:
            return self._kept.popleft()
        except IndexError:  # another thread may have come first
            self._complain()
            return None

    def _rest(self, receive: Callable[[float | None], Frame | None], stop: Stop | None) -> Iterator[Frame]:
        """Yield what was kept, then take all that lies in the port and yield it; what nobody looks at stays for the next wait."""
        self._check()
        yield from self._kept_now(stop)
        if stop is not None and stop.is_set():
            return
        if (first := self._next_kept() or receive(0.0)) is not None:
            yield first  # who wants one alone leaves the others where they are
            self._drain(receive)
            yield from self._kept_now(stop)
            if not self._kept and not (stop is not None and stop.is_set()):
                self._complain()

    def _kept_now(self, stop: Stop | None) -> Iterator[Frame]:
        for _ in range(len(self._kept)):
            if (stop is not None and stop.is_set()) or (frame := self._next_kept()) is None:
                return
            yield frame

    def fileno(self) -> int:
        """The descriptor that becomes readable with a frame; -1 where there is none."""
        return -1

    def _check(self) -> None:
        """Raise the error of a closed port where it is one: an OSError, EBADF."""
        if hasattr(self, "_waits"):
            self._waits.check()

    @abstractmethod
    def close(self) -> None:
        """Stop listening. Safe to call twice."""

    def send(self, frame: object) -> None:
        """Send whatever is a packet: ours, a header, a captured frame, scapy's, dpkt's, or bytes."""
        self._send(as_bytes(frame))

    def send_all(self, frames: Iterable[object]) -> int:
        """Send frames one after the other, without pause; return how many."""
        count = 0
        for frame in frames:
            self._send(as_bytes(frame))
            count += 1
        return count

    def send_batch(self, batch: Batch) -> dict[int, str]:
        """Send the packets of a batch; return, by row, why those were refused that were."""
        return self._send_batch(batch, None)[1]

    def _send_batch(self, batch: Batch, stop: Stop | None) -> tuple[int, dict[int, str]]:
        """Send the packets of a batch until `stop` is set; return with how many that was done, and as `send_batch` does."""
        refused: dict[int, str] = {}
        for row in range(len(batch)):
            try:
                if (stop is not None and stop.is_set()) or not self._send_unless(batch[row], stop):
                    return row, refused
            except OSError as error:
                refused[row] = refusal(error)
        return len(batch), refused

    def receive_frame(self, timeout: float | None = 1.0, where: object = None) -> Frame:
        """Return the next frame whose packet matches `where`; those before it are passed over.

        Args:
            timeout: seconds, None for no limit.
            where: a prototype header, a header class, or a function of the packet.

        Raises:
            TimeoutError: none came in time.
        """
        test = frame_matcher(where)
        passed = 0
        for frame in self._arriving(timeout):
            if where is None or test(frame):
                return frame
            passed += 1
        wanted = "frame" if where is None else f"frame that matches {where!r}"
        raise broken(TimeoutError, f"{self.name}: no {wanted} in {timeout} s ({passed} others came)")

    def receive(self, timeout: float | None = 1.0, where: object = None) -> Packet:
        """Return the next packet that matches; see `receive_frame`."""
        return self.receive_frame(timeout, where).packet()

    def capture(
        self, count: int | None = None, timeout: float | None = None, where: object = None, stop: Stop | None = None
    ) -> Iterator[Frame]:
        """Yield frames as they come: `count` of them at most, for `timeout` seconds in all at most, until `stop`.

        Args:
            where: as for `receive_frame`. stop: a `threading.Event`: ends it when set, within a fifth of a second (of
                virtual time: at the next thing that happens in it).
        """
        test, frames, taken = frame_matcher(where), self._arriving(timeout, stop=Ending(stop)), 0
        while (count is None or taken < count) and (frame := next(frames, None)) is not None:
            if where is None or test(frame):
                taken += 1
                frame.number = taken
                yield frame

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {printable(self.name)}>"
