"""Outgoing: frames that a driver sends, and those of them that wait for room in a port.

A port whose queue is full is never waited for here: its event loop serves others meanwhile, and whoever closes it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from errno import ENOBUFS

from packetlab.errors import PacketlabError
from packetlab.link.port import Port
from packetlab.link.socket_port import SOON
from packetlab.packet.packet import Packet

FULL = 16  # frames that wait at a port before those who write wait too
MOST = 1000  # frames that wait at a port, as in a queue of the kernel's


class Outgoing:
    """Sends frames through ports, in order.

    Attributes:
        refused: called with a packet, its port and the error, where it cannot be sent.
        due: when to `flush` again, for ports that do not tell when they have room; by the event loop's clock.
    """

    def __init__(self, refused: Callable[[Packet, Port, Exception], None]) -> None:
        self.refused = refused
        self.due: int | None = None
        self._waiting: dict[Port, deque[tuple[Packet, bytes]]] = {}

    def full(self, port: Port) -> bool:
        """Whether so many frames wait at a port that who writes more should wait too."""
        return len(self._waiting.get(port, ())) >= FULL

    def send(self, packet: Packet, data: bytes, port: Port, now: int) -> None:
        """Send the frame of a packet, after those that wait at the port."""
        waiting = self._waiting.setdefault(port, deque())
        if len(waiting) >= MOST:
            self.refused(packet, port, OSError(ENOBUFS, f"{port.name}: {MOST} frames wait for room in it"))
            return
        waiting.append((packet, data))
        if len(waiting) == 1:
            self._flush(port, now)

    def flush(self, now: int) -> None:
        """Send what waits, as far as there is room."""
        self.due = None
        for port in [*self._waiting]:
            self._flush(port, now)

    def _flush(self, port: Port, now: int) -> None:
        waiting, full = self._waiting[port], False
        while waiting and not full:
            packet, data = waiting[0]
            try:
                full = not port._put(data)
                port._full = full
            except (OSError, PacketlabError) as error:
                port._full = False
                if isinstance(error, OSError) and error.errno == ENOBUFS:
                    self.due = now + int(SOON * 1e9)
                    return
                waiting.popleft()
                self.refused(packet, port, error)
            else:
                if not full:  # it goes when it is sent: an interrupt may end this
                    waiting.popleft()

    def forget(self, port: Port) -> None:
        """Drop what waits at a port that is gone."""
        self._waiting.pop(port, None)


def earliest(*times: int | None) -> int | None:
    """Return the first of some times, None where there is none."""
    return min((time for time in times if time is not None), default=None)
