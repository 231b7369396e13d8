"""Sources: where a tape gets its frames from. A simulated network, an interface of the kernel, a capture.

Times are nanoseconds since the tape began to watch. Knows nothing of what is expected.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from packetlab.capture import Frame
from packetlab.link.event_loop import EventLoop
from packetlab.link.interface import Interface
from packetlab.link.lab.lab_host import Host
from packetlab.link.port import Port
from packetlab.link.waits import start
from packetlab.network.host import NetworkHost

MOST = 100_000  # frames kept of a kernel's interface
AT_ONCE = 1000  # of these fetched before others may look


class Seen(NamedTuple):
    """A frame that was seen: when, and the number of the entry of the tape that sent it (None: the tape did not)."""

    frame: Frame
    at: int
    sent: int | None = None


class FrameSource:
    """Something that frames are seen on.

    Attributes:
        loop: whose time passes there, None where it is all over. began: when watching began, by that time.
        virtual: whether times are exact. lost: frames that came and were not kept.
    """

    loop: EventLoop | None = None
    began = 0
    virtual = True
    lost = 0

    @property
    def hosts(self) -> dict[str, NetworkHost]:
        """The hosts it knows, by name."""
        return {}

    def seen(self) -> list[Seen]:
        """Return what was seen so far, in order."""
        raise NotImplementedError

    def injected(self, number: int, data: bytes, send: Callable[[], object]) -> None:
        """Send a frame and remember that the tape's entry of that number did."""
        send()

    def close(self) -> None:
        """Stop watching; what was seen stays."""


class SimSource(FrameSource):
    """A simulated network, or one link of it."""

    def __init__(self, net: Any, link: Any = None) -> None:
        self.net, self.link, self.loop = net, link, net
        self.began = net.now
        self._sent: dict[int, int] = {}  # frame number -> entry
        self._seen: list[Seen] = []
        self._read = len(net._sent)

    @property
    def hosts(self) -> dict[str, NetworkHost]:
        return dict(self.net.hosts)

    def seen(self) -> list[Seen]:
        """Return what was sent so far."""
        for frame in self.net.last(len(self.net._sent) - self._read):
            if self.link is None or frame.interface is self.link.description:
                self._seen.append(Seen(frame, (frame.time_ns or 0) - self.began, self._sent.get(frame.number)))
        self._read = len(self.net._sent)
        return self._seen

    def injected(self, number: int, data: bytes, send: Callable[[], object]) -> None:
        self._sent[len(self.net._sent) + 1] = number
        send()


class CaptureSource(FrameSource):
    """Frames that were captured before."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        kept = [*frames]
        first = next((frame.time_ns for frame in kept if frame.time_ns is not None), 0)
        self._seen = [Seen(frame, (frame.time_ns if frame.time_ns is not None else first) - first) for frame in kept]

    def seen(self) -> list[Seen]:
        return self._seen


class InterfaceSource(FrameSource):
    """An interface of the kernel, of a lab's host say: what comes and what goes. A thread fetches the frames.

    Args:
        interface: opened with ``outgoing=True``; closed with the source. loop: hears of each frame, None: nobody does.

    To the event loop it is a driver that has something to do as soon as a frame has come, so that a waiting thread looks again.
    """

    served = False
    ports: tuple[Port, ...] = ()

    virtual = False

    def __init__(
        self, interface: Interface, loop: EventLoop | None, hosts: Callable[[], dict[str, NetworkHost]]
    ) -> None:
        self.interface, self.loop, self._hosts = interface, loop, hosts
        self.began = loop.now if loop is not None else time.monotonic_ns()
        self._start = time.time_ns()  # what the kernel stamps frames with
        self._frames: list[Frame] = []
        self._pending: list[tuple[int, bytes]] = []
        self._seen: list[Seen] = []
        self.due: int | None = None
        if loop is not None:
            loop.add(self)
        self._lock = threading.Lock()
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._fetch, name=f"tape of {interface.name}", daemon=True)
        try:
            start(self._thread)
        except OSError:
            interface.close()
            raise

    @property
    def hosts(self) -> dict[str, NetworkHost]:
        return self._hosts()

    def _fetch(self) -> None:
        poll = select.poll()
        poll.register(self.interface.fileno(), select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            try:
                came = self._take_in() if self.interface.fileno() in ready else False
            except OSError:  # the lab is gone
                return
            if came:
                if self.loop is not None:
                    with self.loop.lock:  # else the word may come just before somebody begins to wait
                        self.due = self.loop.now
                        self.loop.poke()
            elif self._stop in ready:
                return

    def _take_in(self) -> bool:
        """Keep what has come and nobody has fetched; say whether that was anything."""
        with self._lock:
            before = len(self._frames) + self.lost
            for _ in range(AT_ONCE):
                frame = self.interface._receive(0.0)
                if frame is None:
                    break
                if len(self._frames) < MOST:
                    frame.number = len(self._frames) + 1
                    self._frames.append(frame)
                else:
                    self.lost += 1
            return len(self._frames) + self.lost > before

    def take(self, port: Port, data: bytes, now: int) -> None:
        """Nothing comes this way."""

    def failed(self, port: object, error: OSError) -> None:
        """Nothing can."""

    def poll(self, now: int) -> None:
        """Waiting threads look again."""
        self.due = None

    def seen(self) -> list[Seen]:
        """Return what was received and sent so far: also what the thread has not got round to."""
        if self._stop >= 0:
            with suppress(OSError):  # the lab is gone
                for _ in range(MOST // AT_ONCE):
                    if not self._take_in():
                        break
        with self._lock:
            for frame in self._frames[len(self._seen) :]:
                number = next((number for number, data in self._pending if data == frame.data), None)
                if number is not None:
                    self._pending.remove((number, frame.data))
                self._seen.append(Seen(frame, (frame.time_ns or 0) - self._start, number))
            return [*self._seen]

    def injected(self, number: int, data: bytes, send: Callable[[], object]) -> None:
        """Send a frame; the next that looks the same is it."""
        with self._lock:
            self._pending.append((number, data))
        send()

    def close(self) -> None:
        """Fetch what has come, and stop watching."""
        if self.loop is not None:
            self.loop.remove(self)
        if self._thread.is_alive():
            os.eventfd_write(self._stop, 1)
            self._thread.join()
        if self._stop >= 0:
            os.close(self._stop)
            self._stop = -1
            try:
                self.lost += self.interface.statistics().dropped
            except OSError:  # the lab is gone
                pass
            self.interface.close()


def both_ways(host: Host, link: int) -> Interface:
    """Open an interface of a lab's host once more, for all that comes and goes there."""
    host._first()
    raw = host.kernel_socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    return Interface(host.ends[link].name, promiscuous=True, outgoing=True, socket=raw)


def watching(what: Any, link: Any = None) -> FrameSource:
    """Return the source that belongs to a network, a host of a lab, an interface, a capture, or frames.

    Args:
        link: of a simulated network, the only link to look at; of a lab's host, the number of its link (0 the first).

    Raises TypeError for anything else.
    """
    if hasattr(what, "_under_way"):
        return SimSource(what, link)
    if hasattr(what, "lab") and hasattr(what, "ends"):
        return InterfaceSource(both_ways(what, link or 0), what.loop, lambda: dict(what.lab.hosts))
    if isinstance(what, Interface):
        return InterfaceSource(Interface(what.name, promiscuous=True, outgoing=True), None, dict)
    if isinstance(what, Iterable):
        return CaptureSource(what)
    raise TypeError(f"a tape watches a SimNetwork, a host of a Lab, an Interface or a Capture, not {what!r}")
