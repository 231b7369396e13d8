"""The passive side of SPP: takes requests in, gives connections out.

Both manners of listening are spoken: each connection on the listener's own socket (4.4BSD), or on a new one of its own
(Xerox, Dodo). A repeated request is known by host, socket and id of its sender.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from packetlab.engine.contract import Endpoint, Ignored
from packetlab.engine.spp import UNKNOWN, Connection
from packetlab.engine.spp_states import State
from packetlab.wire.addresses import XNSAddress
from packetlab.wire.packet import Packet
from packetlab.wire.xns import SPP

Key = tuple[bytes, int]


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
        self._waiting: deque[Connection] = deque()  # not yet accepted, in the order of their requests

    def route(self, packet: Packet) -> Endpoint | None:
        """Return the connection that a packet is for; a request makes one."""
        # This is asked for every packet.
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
        if len(self._waiting) >= self.backlog:
            return self
        child = self._make(idp.src)
        self._children[key] = child
        self._waiting.append(child)
        return child

    def receive(self, packet: Packet, now: int) -> None:
        """Take in what `route` gave to nobody else: nothing of it is of use."""
        why = f"the backlog of {self.backlog} is full" if SPP in packet else "not a packet of SPP"
        self._events.append(Ignored(packet, f"SPP listener at {self.local}: {why}"))

    def accept(self) -> Connection | None:
        """Return the next open connection, or None. One that ended before it was accepted is still given out."""
        for child in self._waiting:
            if child.state not in (State.IDLE, State.ANSWERED):
                self._waiting.remove(child)
                return child
        return None

    def close(self) -> list[Connection]:
        """Take no more requests; return the connections that nobody accepted."""
        self.closed = True
        left = list(self._waiting)
        self._waiting.clear()
        return left

    def forget(self, child: Connection) -> None:
        """Let go of a connection that is over."""
        for key, known in [*self._children.items()]:
            if known is child:
                del self._children[key]
        if child in self._waiting and child.error is not None and child.peek() is None:
            self._waiting.remove(child)  # it never came to be, or nothing of it is left to read

    @property
    def over(self) -> bool:
        """Whether it is closed and its last connection has ended."""
        return self.closed and not self._children
