"""A wire in memory: two ports, for places where the kernel gives neither namespaces nor raw sockets."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

from packetlab.capture import Frame, Interface as Description
from packetlab.link.port import Port


class MemoryPort(Port):
    """One end of a wire in memory."""

    def __init__(self, name: str, clock: Callable[[], int]) -> None:
        self.name = name
        self._clock = clock
        self._arrived: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._description = Description(1, 0, name)
        self.peer: MemoryPort | None = None

    def _send(self, data: bytes) -> None:
        if self.peer is None:
            raise OSError(f"{self.name}: the wire is closed")
        self.peer._arrived.put(Frame(data, self._clock(), interface=self.peer._description))

    def _receive(self, timeout: float | None) -> Frame | None:
        try:
            return self._arrived.get(timeout=None if timeout is None else max(0.0, timeout))
        except queue.Empty:
            return None

    def close(self) -> None:
        """Take the wire away; the other end can then send no more."""
        if self.peer is not None:
            self.peer.peer = None
            self.peer = None


def memory_wire(clock: Callable[[], int] = time.time_ns) -> tuple[MemoryPort, MemoryPort]:
    """Return the two ends of a wire. `clock` gives the time of arrival in ns since 1970."""
    one, other = MemoryPort("memory0", clock), MemoryPort("memory1", clock)
    one.peer, other.peer = other, one
    return one, other
