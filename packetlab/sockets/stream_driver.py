"""What stands on a stream socket of either family and moves its bytes while anything in the program waits."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from packetlab.link.event_loop import EventLoop

if TYPE_CHECKING:
    from packetlab.sockets.inet import InetStream
    from packetlab.sockets.stream import StreamSocket


class Line:
    """The descriptor of a stream, to be woken by; an SPP stream has none, its host's ports wake."""

    def __init__(self, stream: StreamSocket | InetStream) -> None:
        self.name, self.mask, self._stream = str(stream), select.POLLIN, stream

    def fileno(self) -> int:
        """The descriptor, or -1."""
        return int(self._stream.fileno()) if hasattr(self._stream, "fileno") else -1

    def take(self) -> list[bytes]:
        """Nothing: it only wakes."""
        return []


class StreamDriver:
    """A place in the event loop, woken by whatever happens."""

    served = True

    def __init__(self, stream: StreamSocket | InetStream) -> None:
        self.stream = stream
        stream.kind = "websocket"  # what it says of misuse, it says to the user of that
        self.loop: EventLoop = stream.host.loop
        self.due: int | None = None
        self.line = Line(stream)
        self._turning = False
        self.loop.add(self)
        self.loop.followers.append(self._follow)

    @property
    def ports(self) -> list[Line]:
        """The stream's descriptor, where it has one and is waited for."""
        return [self.line] if self.line.mask and self.line.fileno() >= 0 else []

    def take(self, port: object, data: bytes, now: int) -> None:
        """Nothing comes this way; `poll` reads the stream."""

    def failed(self, port: object, error: OSError) -> None:
        """The stream's descriptor is gone."""
        self.leave()

    def _follow(self) -> None:
        if self in self.loop.drivers:
            self.loop.drive(self)

    def poll(self, now: int) -> None:
        raise NotImplementedError

    def leave(self) -> None:
        """Take no more part in the event loop."""
        with self.loop.lock:
            self.loop.remove(self)
            if self._follow in self.loop.followers:
                self.loop.followers.remove(self._follow)
