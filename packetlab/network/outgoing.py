"""Outgoing: frames that a driver sends, and those of them that wait for room in a port.

A port whose queue is full is never waited for here: its event loop serves others meanwhile, and whoever closes it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from errno import EBADF, ENOBUFS

from packetlab.engine.contract import Ignored
from packetlab.errors import PacketlabError
from packetlab.link.port import Port
from packetlab.link.socket_port import SOON
from packetlab.link.waits import AT_ONCE
from packetlab.packet.packet import Packet

MOST = 1000  # frames that wait at a port, as in a queue of the kernel's


class Waiting:
    """A frame that waits for room, and what notes that it went."""

    __slots__ = ("data", "gone", "packet")

    def __init__(self, packet: Packet, data: bytes) -> None:
        self.packet, self.data = packet, data
        self.gone: list[int] = []


class Outgoing:
    """Sends frames through ports, in order.

    Args:
        refused: called with a packet, its port and the error, where it cannot be sent.
        most: frames that wait at a port at the most. every: seconds after which a full port is tried again at the latest.

    Attributes:
        due: when to `flush` again, by the event loop's clock; a port that has room is told of by its descriptor, too.
    """

    def __init__(self, refused: Callable[[Packet, Port, Exception], None], most: int = MOST, every: float = AT_ONCE) -> None:
        self.refused, self.most, self.every = refused, most, int(every * 1e9)
        self.due: int | None = None
        self._waiting: dict[Port, deque[Waiting]] = {}

    def send(self, packet: Packet, data: bytes, port: Port, now: int) -> None:
        """Send the frame of a packet, after those that wait at the port."""
        waiting = self._waiting.setdefault(port, deque())
        if len(waiting) >= self.most:
            self.refused(packet, port, OSError(ENOBUFS, f"{self.most} frames wait for room in it"))
            return
        waiting.append(Waiting(packet, data))
        if len(waiting) == 1:
            self._flush(port, now)

    def flush(self, now: int) -> None:
        """Send what waits, as far as there is room."""
        self.due = None
        for port in [*self._waiting]:
            self._flush(port, now)

    def _flush(self, port: Port, now: int) -> None:
        waiting = self._waiting[port]
        while waiting:
            first = waiting[0]
            try:
                # An interrupt may come when it has gone and still stands here.
                port._full = not (first.gone or port._put(first.data, first.gone))
            except (OSError, PacketlabError) as error:
                port._full = False
                number = error.errno if isinstance(error, OSError) else None
                if number == ENOBUFS:
                    self._again(now + min(int(SOON * 1e9), self.every))
                    return
                # Where it is closed, nothing goes there any more.
                lost = self._drop(port) if number == EBADF else [waiting.popleft().packet]
                for packet in lost:
                    self.refused(packet, port, error)
                if number == EBADF:
                    return
                continue
            if port._full:
                self._again(now + self.every)  # it may be closed meanwhile, of which its descriptor tells nothing
                return
            waiting.popleft()

    def _again(self, when: int) -> None:
        self.due = when if self.due is None else min(self.due, when)

    def waits(self, packet: Packet) -> bool:
        """Whether a packet waits at a port."""
        return any(one.packet is packet for waiting in [*self._waiting.values()] for one in [*waiting])

    def take_back(self, packet: Packet) -> None:
        """Do not send a packet that waits."""
        for waiting in [*self._waiting.values()]:  # handlers of signals may send meanwhile
            for one in [*waiting]:
                if one.packet is packet and not one.gone:
                    with suppress(ValueError):
                        waiting.remove(one)

    def drop(self, port: Port, why: object) -> list[Ignored]:
        """Drop what waits at a port that is gone; return that as events."""
        return [not_sent(packet, port, why) for packet in self._drop(port)]

    def _drop(self, port: Port) -> list[Packet]:
        return [one.packet for one in self._waiting.pop(port, ()) if not one.gone]


def not_sent(packet: Packet, port: Port, why: object) -> Ignored:
    """Return the event of a packet that did not go out."""
    return Ignored(packet, f"{port.name}: not sent ({why})")


def earliest(*times: int | None) -> int | None:
    """Return the first of some times, None where there is none."""
    return min((time for time in times if time is not None), default=None)
