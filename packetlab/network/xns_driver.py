"""XNSDriver: the XNS layers of a host on its interfaces."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

from packetlab.declare.values.addresses import XNSAddress
from packetlab.engine.contract import Endpoint, Event, Ignored
from packetlab.engine.xns.idp import Departure, Node
from packetlab.errors import PacketlabError
from packetlab.link.port import Port
from packetlab.network.carriers import Framing
from packetlab.network.outgoing import Outgoing, earliest, not_sent
from packetlab.network.runner import KEPT
from packetlab.packet.packet import Packet
from packetlab.protocols.dissect import dissect
from packetlab.protocols.xns import IDP


class XNSDriver:
    """The XNS layers of a host on its interfaces; a driver (see `link.event_loop`).

    Attributes:
        node: the layers. outgoing: what waits for room in a port. log: the last events; `Ignored` among them says what was not taken, and why.
        ports: those that live. gone: those that have failed, and why.
    """

    served = True

    def __init__(self, node: Node) -> None:
        self.node, self.process = node, os.getpid()
        self.due: int | None = None
        self._timer: int | None = None  # of the layers
        self.ports: list[Port] = []
        self.gone: dict[Port, OSError] = {}
        self.log: deque[Event] = deque(maxlen=KEPT)
        self.scheduled: deque[tuple[Endpoint, Callable[[int], None]]] = (
            deque()
        )  # for the next turn; see `NetworkHost.schedule`
        self._joined: dict[Port, tuple[int, Framing]] = {}
        self._out: list[tuple[Port, Framing]] = []
        self.outgoing = Outgoing(self._refused)
        self._leaving: deque[Departure] = deque()

    def join(self, network: int, port: Port, framing: Framing, mtu: int) -> None:
        """Join an XNS network through a port."""
        via = self.node.attach(network, mtu)
        self.ports.append(port)
        self._joined[port] = via, framing
        self._out.append((port, framing))

    def take(self, port: Port, data: bytes, now: int) -> None:
        via, framing = self._joined[port]
        inner = framing.unwrap(data)
        if inner is not None:
            self.node.receive(dissect(inner, IDP), now, via)

    def poll(self, now: int) -> None:
        """Do what is due, and send what is to be sent."""
        node, scheduled, leaving = self.node, self.scheduled, self._leaving
        self.outgoing.flush(now)
        while scheduled:
            endpoint, act = first = scheduled[0]
            act(now)
            node.touch(endpoint)
            if scheduled and scheduled[0] is first:  # it goes when it is done: an interrupt may end this
                scheduled.popleft()
        if self._timer is not None and self._timer <= now:
            node.on_time(now)
        leaving.extend(node.packets_to_send(now))
        while leaving:
            packet, via, host = leaving.popleft()
            port, framing = self._out[via]
            if self.gone and (why := self.gone.get(port)) is not None:
                self._refused(packet, port, why)
                continue
            try:
                self.outgoing.send(packet, framing.wrap(packet, host), port, now)
            except PacketlabError as error:
                self._refused(packet, port, error)
        events = node.events()
        if events:
            self.log.extend(events)
        self._timer = node.next_timeout()
        self.due = earliest(self._timer, self.outgoing.due)

    def _refused(self, packet: Packet, port: Port, error: Exception) -> None:
        # What is too big for a carrier does not hold up the others.
        self.log.append(not_sent(packet, port, error))

    def failed(self, port: Port, error: OSError) -> None:
        """Go on without a port; connections over it time out, and what else would wait for it in vain is refused."""
        self.ports.remove(port)
        self.gone[port] = error
        self.log.extend(self.outgoing.drop(port, error))
        port.close()
        self.log.append(Ignored(Packet(), str(error)))

    def trouble(self, to: XNSAddress | None = None) -> OSError | None:
        """Return why no packet can leave for an address, or come from anywhere where none is given: its port has failed, or all have."""
        if to is not None and to.host == self.node.host:
            return None
        way = None if to is None else self.node.routes.to(to)
        if way is not None:
            return self.gone.get(self._out[way[0]][0])
        return None if self.ports else next(reversed(self.gone.values()), None)
