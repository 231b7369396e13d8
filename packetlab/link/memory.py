"""A wire in memory: two ports, for places where the kernel gives neither namespaces nor raw sockets."""

from __future__ import annotations

import errno
import queue
import time
from collections.abc import Callable

from packetlab.capture import Frame, InterfaceDescription
from packetlab.errors import SocketMisuse
from packetlab.link.port import HUGE, Port


class MemoryPort(Port):
    """One end of a wire in memory."""

    def __init__(self, name: str, clock: Callable[[], int]) -> None:
        self.name = name
        self._clock = clock
        self._arrived: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()  # None: no more will come
        self._closed = False
        self._description = InterfaceDescription(1, 0, name)
        self.peer: MemoryPort | None = None

    def _send(self, data: bytes) -> None:
        peer = self.peer
        if peer is None:
            raise self._gone()
        peer._arrived.put(Frame(data, self._clock(), interface=peer._description))

    def _receive(self, timeout: float | None) -> Frame | None:
        self._check()
        try:
            frame = self._arrived.get(timeout=None if timeout is None else max(0.0, timeout))
        except queue.Empty:
            return None
        if frame is None:
            self._arrived.put(None)  # for the next who asks
            raise self._gone()
        return frame

    def _room(self) -> tuple[int, int]:
        return self._arrived.qsize() + 1, HUGE

    def _check(self) -> None:
        if self._closed:
            raise self._gone()

    def _gone(self) -> SocketMisuse:
        if self._closed:
            return SocketMisuse(
                errno.EBADF, self.name, "an open port", "one that has been closed", "memory_wire() makes two"
            )
        hint = "memory_wire() makes a new one"
        return SocketMisuse(errno.ENETDOWN, self.name, "a whole wire", "one whose other end has been closed", hint)

    def close(self) -> None:
        """Take the wire away: the other end gets what is on it, and an OSError after that, as a thread that waits here does."""
        self._closed = True
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.peer = None
            peer._arrived.put(None)
        self._arrived.put(None)


def memory_wire(clock: Callable[[], int] = time.time_ns) -> tuple[MemoryPort, MemoryPort]:
    """Return the two ends of a wire. `clock` gives the time of arrival in ns since 1970."""
    one, other = MemoryPort("memory0", clock), MemoryPort("memory1", clock)
    one.peer, other.peer = other, one
    return one, other
