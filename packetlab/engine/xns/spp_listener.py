"""The passive side of SPP: takes requests in, gives connections out.

Both manners of listening are spoken: each connection on the listener's own socket (4.4BSD), or on a new one of its own
(Xerox, Dodo). A repeated request is known by host, socket and id of its sender.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from packetlab.declare.values.addresses import XNSAddress
from packetlab.engine.contract import Endpoint, Ignored
from packetlab.engine.xns.spp import UNKNOWN, Connection
from packetlab.errors import SocketMisuse, broken
from packetlab.packet.packet import Packet
from packetlab.protocols.xns import SPP

Key = tuple[bytes, int]
UNANSWERED = 3  # answers to a request, a second and two apart, after which it may be a forgery


class Placeholder(Endpoint):
    """What holds a socket number that is bound and not yet used: to the world there is nobody."""

    def route(self, packet: Packet) -> Endpoint | None:
        return None


class Listener(Endpoint):
    """Waits for connections at a socket.

    Args:
        local: where. backlog: connections that may be opening, or open and not yet accepted, at a time.
        make: returns a new idle connection to the address given, on this socket or on one of its own.
    """

    def __init__(self, local: XNSAddress, backlog: int, make: Callable[[XNSAddress], Connection]) -> None:
        super().__init__()
        self.local, self.backlog, self._make = local, backlog, make
        self.closed = False
        self._children: dict[Key, Connection] = {}
        self._keys: dict[Connection, Key] = {}
        # Dictionaries serve as ordered sets: those that nobody accepted yet, the oldest first.
        self._opening: dict[Connection, None] = {}
        self._opened: dict[Connection, None] = {}

    def route(self, packet: Packet) -> Endpoint | None:
        """Return the connection that a packet is for; a request makes one."""
        # This runs for every packet.
        headers: Any = packet._headers
        if len(headers) < 2 or type(headers[1]) is not SPP:
            return self
        idp: Any = headers[0]
        spp: Any = headers[1]
        key = idp._src, spp._source_id
        child = self._children.get(key)
        if child is not None:
            return child.route(packet)
        # Asking with data is legal (Interlisp); anything with an id of ours is of a connection long gone.
        if self.closed or spp.destination_id not in UNKNOWN or spp.source_id in UNKNOWN or spp.seq != 0:
            return None
        if len(self._opening) + len(self._opened) >= self.backlog and not self._give_way():
            return self
        try:
            child = self._make(idp.src)
        except SocketMisuse:  # no socket is free: as if there were no room
            return self
        child.on_open = self._has_opened
        self._children[key], self._keys[child] = child, key
        self._opening[child] = None
        return child

    def _give_way(self) -> bool:
        """Let go of the oldest half-open connection, where it has not answered for seconds: its end may not exist."""
        oldest = next(iter([*self._opening]), None)
        if oldest is None or oldest.hellos < UNANSWERED:
            return False
        self.forget(oldest)
        oldest.abort(0, broken(ConnectionAbortedError, f"{oldest}: half open, and others wait"))
        return True

    def _has_opened(self, child: Connection) -> None:
        if child in self._opening:
            self._opened[child] = None
            self._opening.pop(child, None)

    def receive(self, packet: Packet, now: int) -> None:
        """Take in what `route` gave to nobody else: nothing of it is of use."""
        why = f"the backlog of {self.backlog} is full" if SPP in packet else "not a packet of SPP"
        self._events.append(Ignored(packet, f"SPP listener at {self.local}: {why}"))

    def accept(self) -> Connection | None:
        """Return the next open connection, or None. One that ended before it was accepted is still given out."""
        for child in [*self._opened]:
            if self._opened.pop(child, self) is None:  # else a handler of a signal has accepted it meanwhile
                return child
        return None

    @property
    def _waiting(self) -> list[Connection]:
        """The connections that nobody accepted yet."""
        opening = [*self._opening]  # first: one that opens meanwhile is in both, and in none the other way round
        return [*dict.fromkeys([*self._opened, *opening])]

    def close(self) -> list[Connection]:
        """Take no more requests; return the connections that nobody accepted."""
        self.closed = True
        left = self._waiting
        self._opening, self._opened = {}, {}
        return left

    def forget(self, child: Connection) -> None:
        """Let go of a connection that is over."""
        key = self._keys.get(child)
        if key is not None:
            self._children.pop(key, None)
            self._keys.pop(child, None)
        self._opening.pop(child, None)
        if child.error is not None and child.peek() is None:
            self._opened.pop(child, None)  # nothing of it is left to read

    @property
    def over(self) -> bool:
        """Whether it is closed and its last connection has ended."""
        return self.closed and not self._children
