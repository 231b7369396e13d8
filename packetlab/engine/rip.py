"""Which way to a network: XNS routing information (4.4BSD's XNSrouted; Xerox's standard as quoted there).

Routers tell each network every 30 seconds what they reach, but not what they learned there (split horizon); what is not
heard of for 180 seconds is out of reach. A host that is no router listens, and asks when it does not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.engine.contract import SECOND, Endpoint, Ignored
from packetlab.wire.addresses import XNSAddress
from packetlab.wire.packet import Packet
from packetlab.wire.xns import IDP, RIP, RIPEntry

if TYPE_CHECKING:
    from packetlab.engine.idp import Node

BROADCAST = 0xFFFFFFFFFFFF
EVERY_NETWORK = 0xFFFFFFFF
INFINITY = 16
REQUEST, RESPONSE = 1, 2
SOCKET = 1
PERIOD, LIFETIME = 30 * SECOND, 180 * SECOND
ENTRIES = 90  # networks a packet: 546 octets less the operation, by six


class Route:
    """A way to a network: interface, next host (0: it is the network of the interface), and hops."""

    __slots__ = ("expires", "hops", "next_host", "static", "via")

    def __init__(self, via: int, next_host: int, hops: int, expires: int | None) -> None:
        self.via, self.next_host, self.hops, self.expires = via, next_host, hops, expires


class Routes(Endpoint):
    """The routing table of a node, and what keeps it: bound to socket 1."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node
        self.table: dict[int, Route] = {}
        self.heard_on = 0  # the interface of the packet being received
        self._outbox: list[Packet] = []
        self._next_at = 0
        self._asked: set[int] = set()
        self.known: dict[bytes, tuple[int, int]] = {}  # destination -> interface and host; a cache of `to`

    # Looking ------------------------------------------------------------------------------------------------

    def to(self, address: XNSAddress) -> tuple[int, int] | None:
        """Return through which interface and to which host a packet goes next, or None."""
        interfaces = self.node.interfaces
        if not interfaces:
            return None
        if address.net == 0 and not self.node.router:
            return 0, address.host
        route = self.table.get(address.net)
        if route is None or route.hops >= INFINITY:
            # A network without a number: whoever is on it is a neighbour.
            return (0, address.host) if address.net == 0 or interfaces[0][0] == 0 else None
        return route.via, route.next_host or address.host

    def way(self, to: bytes) -> tuple[int, int] | None:
        """Return the same for 12 octets of destination."""
        way = self.known.get(to)
        if way is None and (way := self.to(XNSAddress.of(to))) is not None:
            if len(self.known) > 1000:
                self.known.clear()
            self.known[to] = way
        return way

    def add(self, net: int, via: int, next_host: int, hops: int = 1) -> None:
        """Enter a route by hand; it stays."""
        self._set(net, Route(via, next_host, hops, None))
        self.node.touch(self)

    def joined(self, net: int, via: int) -> None:
        """Take in a network that the node is now on."""
        if net:
            self._set(net, Route(via, 0, 0, None))
        if self.node.router:
            self._outbox.append(self._request(net, EVERY_NETWORK))

    def ask(self, net: int) -> bool:
        """Ask the neighbours for the way to a network; return whether they were not asked before."""
        new = net not in self._asked
        self._asked.add(net)
        for here, _ in self.node.interfaces:
            self._outbox.append(self._request(here, net))
        self.node.touch(self)
        return new

    def _set(self, net: int, route: Route) -> None:
        self.table[net] = route
        self.node.routed(net)
        self.known.clear()
        self._asked.discard(net)

    # The contract -------------------------------------------------------------------------------------------

    def receive(self, packet: Packet, now: int) -> None:
        """Take in a request or a response."""
        rip, idp, via = packet.get(RIP), packet[IDP], self.heard_on
        if rip is None or idp.src.host == self.node.host:
            self._events.append(Ignored(packet, "RIP: not routing information of somebody else"))
        elif rip.operation == REQUEST and self.node.router:
            wanted = {entry.net for entry in rip.entries}
            self._tell(via, idp.src, None if EVERY_NETWORK in wanted else wanted)
        elif rip.operation == RESPONSE:
            changed = False
            for entry in rip.entries:
                changed |= self._learn(entry.net, min(entry.hops + 1, INFINITY), via, idp.src.host, now)
            if changed and self.node.router:
                self._tell_all()  # at once, so that the others need not wait for the period
        else:
            self._events.append(Ignored(packet, f"RIP: operation {rip.operation} at a host that is no router"))

    def _learn(self, net: int, hops: int, via: int, host: int, now: int) -> bool:
        old = self.table.get(net)
        if old is not None and old.expires is None:
            return False
        if old is not None and (old.via, old.next_host) == (via, host):
            # Whoever gave the route may also take it back.
            old.expires = now + LIFETIME
            worse, old.hops = old.hops != hops, hops
            return worse
        if hops < (old.hops if old is not None else INFINITY):
            self._set(net, Route(via, host, hops, now + LIFETIME))
            return True
        return False

    def packets_to_send(self, now: int) -> list[Packet]:
        """Hand out requests and responses."""
        if self.node.router and not self._next_at and self.node.interfaces:
            self._next_at = now + PERIOD
            self._tell_all()
        out, self._outbox = self._outbox, []
        return out

    def next_timeout(self) -> int | None:
        """Return when the next gratuitous response is due, or a route expires."""
        times = [route.expires for route in self.table.values() if route.expires is not None]
        return min(times + [self._next_at] * bool(self._next_at), default=None)

    def on_time(self, now: int) -> None:
        """Forget what was not heard of; tell the neighbours."""
        for net, route in [*self.table.items()]:
            if route.expires is not None and route.expires <= now:
                del self.table[net]
                self.known.clear()
        if self._next_at and now >= self._next_at:
            self._next_at = now + PERIOD
            self._tell_all()

    # Packets ------------------------------------------------------------------------------------------------

    def _tell_all(self) -> None:
        for via, (net, _) in enumerate(self.node.interfaces):
            self._tell(via, XNSAddress(net, BROADCAST, SOCKET), None)

    def _tell(self, via: int, to: XNSAddress, wanted: set[int] | None) -> None:
        # Split horizon: nothing goes back to where it was learned.
        entries = [
            RIPEntry(net=net, hops=route.hops)
            for net, route in sorted(self.table.items())
            if (wanted is None or net in wanted) and not (route.via == via and route.next_host)
        ]
        for first in range(0, len(entries), ENTRIES):
            response = RIP(operation=RESPONSE, entries=tuple(entries[first : first + ENTRIES]))
            self._outbox.append(IDP(dst=to, src=self._source(via)) / response)

    def _request(self, here: int, net: int) -> Packet:
        via = next((i for i, (known, _) in enumerate(self.node.interfaces) if known == here), 0)
        entry = RIPEntry(net=net, hops=INFINITY)
        source = self._source(via)
        return IDP(dst=XNSAddress(here, BROADCAST, SOCKET), src=source) / RIP(operation=REQUEST, entries=(entry,))

    def _source(self, via: int) -> XNSAddress:
        return XNSAddress(self.node.interfaces[via][0], self.node.host, SOCKET)
