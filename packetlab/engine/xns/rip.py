"""Which way to a network: XNS routing information (4.4BSD's XNSrouted; Xerox's standard as quoted there).

Routers tell each network every 30 seconds what they reach, but not what they learned there (split horizon); what is not
heard of for 180 seconds is out of reach. A host that is no router listens, and asks when it does not know.

Hops count as XNSrouted (input.c, output.c) and Dodo count them: a router's own network is 0 hops away to itself and goes out
as 1, so one is added to what is announced and nothing to what is received.
"""

from __future__ import annotations

from typing import Protocol

from packetlab.declare.values.addresses import XNSAddress
from packetlab.engine.contract import SECOND, Endpoint, Ignored
from packetlab.packet.packet import Packet
from packetlab.protocols.xns import IDP, RIP, RIPEntry

BROADCAST = 0xFFFFFFFFFFFF
EVERY_NETWORK = 0xFFFFFFFF
INFINITY = 16
REQUEST, RESPONSE = 1, 2
SOCKET = 1
PERIOD, LIFETIME = 30 * SECOND, 180 * SECOND
ENTRIES = 90  # networks a packet: 546 bytes less the operation, by six
TRIES, PAUSE = 3, SECOND  # requests for the way to one network, and the time between
MOST_REQUESTS = 64  # networks requested at a time
MOST_KNOWN = 4096  # networks in the table


class Route:
    """A way to a network: interface, next host (0: it is the network of the interface), and hops."""

    __slots__ = ("expires", "hops", "next_host", "static", "via")

    def __init__(self, via: int, next_host: int, hops: int, expires: int | None) -> None:
        self.via, self.next_host, self.hops, self.expires = via, next_host, hops, expires


class Networked(Protocol):
    """What routing needs of the node that it is done for; `idp.Node` is one.

    Attributes:
        host: its 48-bit address. router: whether it tells neighbours the way. interfaces: network number and MTU of each.
    """

    host: int
    router: bool
    interfaces: list[tuple[int, int]]

    def touch(self, endpoint: Endpoint) -> None:
        """Take note that an endpoint may have something to send."""

    def routed(self, net: int) -> None:
        """Send what waited for the way to a network."""

    def unreachable(self, net: int, now: int) -> None:
        """Take in that nobody knows the way to a network."""


class Routes(Endpoint):
    """The routing table of a node, and what keeps it: bound to socket 1."""

    def __init__(self, node: Networked) -> None:
        super().__init__()
        self.node = node
        self.table: dict[int, Route] = {}
        self.heard_on = 0  # the interface of the packet being received
        self._outbox: list[Packet] = []
        self._next_at = 0
        self._announced_at = -SECOND  # what has changed is announced at once, but not more than once a second
        self._changed = False
        self._forget_at: int | None = None  # no route expires before
        self._requests: dict[int, tuple[int, int]] = {}  # network -> when to repeat it, and how often it was requested
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
            # A network without a number: each host on it is a neighbour.
            return (0, address.host) if address.net == 0 or interfaces[0][0] == 0 else None
        return route.via, route.next_host or address.host

    def way(self, to: bytes) -> tuple[int, int] | None:
        """Return the same for 12 bytes of destination."""
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

    def ask(self, net: int, now: int) -> bool:
        """Ask the neighbours for the way to a network, three times a second apart; return whether an answer may come."""
        if net not in self._requests:
            if len(self._requests) >= MOST_REQUESTS or not self.node.interfaces:
                return False
            self._requests[net] = now + PAUSE, 1
            self._request_everywhere(net)
        return True

    def asking(self, net: int) -> bool:
        """Say whether the way to a network is being requested."""
        return net in self._requests

    def _request_everywhere(self, net: int) -> None:
        for here, _ in self.node.interfaces:
            self._outbox.append(self._request(here, net))
        self.node.touch(self)

    def _set(self, net: int, route: Route) -> None:
        self.table[net] = route
        self.node.routed(net)
        self.known.clear()
        self._requests.pop(net, None)
        if route.expires is not None and self._forget_at is None:
            self._forget_at = route.expires  # later ones expire later

    # The contract -------------------------------------------------------------------------------------------

    def receive(self, packet: Packet, now: int) -> None:
        """Take in a request or a response."""
        rip, idp, via = packet.get(RIP), packet[IDP], self.heard_on
        if rip is None or idp.src.host == self.node.host:
            self._events.append(Ignored(packet, "RIP: not routing information of somebody else"))
        elif rip.operation == REQUEST and self.node.router:
            wanted = [entry.net for entry in rip.entries[:ENTRIES]]
            if EVERY_NETWORK in wanted:
                self._announce(via, idp.src)
            else:
                # As XNSrouted does: a request for a network by its number is answered, wherever it was learned, and of one
                # that is not known that it is out of reach.
                self._respond(via, idp.src, [self._entry(net) for net in wanted])
        elif rip.operation == RESPONSE:
            for entry in rip.entries:
                self._changed |= self._learn(entry.net, min(entry.hops, INFINITY), via, idp.src.host, now)
            if self._changed and self.node.router and now >= self._announced_at + SECOND:
                self._announce_all(now)  # at once, so that the others need not wait for the period
        else:
            self._events.append(Ignored(packet, f"RIP: operation {rip.operation} at a host that is no router"))

    def _learn(self, net: int, hops: int, via: int, host: int, now: int) -> bool:
        old = self.table.get(net)
        if old is not None and old.expires is None:
            return False
        if old is not None and (old.via, old.next_host) == (via, host):
            # The router that gave the route may also take it back.
            old.expires = now + LIFETIME
            worse, old.hops = old.hops != hops, hops
            return worse
        if hops < (old.hops if old is not None else INFINITY) and (old is not None or len(self.table) < MOST_KNOWN):
            self._set(net, Route(via, host, hops, now + LIFETIME))
            return True
        return False

    def packets_to_send(self, now: int) -> list[Packet]:
        """Hand out requests and responses."""
        if self.node.router and not self._next_at and self.node.interfaces:
            self._next_at = now + PERIOD
            self._announce_all(now)
        out, self._outbox = self._outbox, []
        return out

    def next_timeout(self) -> int | None:
        """Return when something is to be announced or requested again, or a route may expire."""
        times = [at for at, _ in [*self._requests.values()]]  # a handler of a signal may join a network meanwhile
        if self._next_at:
            times.append(self._next_at)
        if self._changed and self.node.router:
            times.append(self._announced_at + SECOND)
        if self._forget_at is not None:
            times.append(self._forget_at)
        return min(times, default=None)

    def on_time(self, now: int) -> None:
        """Forget what was not heard of; tell the neighbours; ask again, or give up asking."""
        if self._forget_at is not None and now >= self._forget_at:
            for net, route in [*self.table.items()]:
                if route.expires is not None and route.expires <= now:
                    del self.table[net]
                    self.known.clear()
            expiring = [route.expires for route in [*self.table.values()] if route.expires is not None]
            self._forget_at = min(expiring, default=None)
        if self._next_at and now >= self._next_at:
            self._next_at = now + PERIOD
            self._announce_all(now)
        elif self._changed and self.node.router and now >= self._announced_at + SECOND:
            self._announce_all(now)
        for net, (at, tries) in [*self._requests.items()]:
            if at <= now and tries < TRIES:
                self._requests[net] = now + PAUSE, tries + 1
                self._request_everywhere(net)
            elif at <= now:
                self._requests.pop(net, None)
                self.node.unreachable(net, now)

    # Packets ------------------------------------------------------------------------------------------------

    def _announce_all(self, now: int) -> None:
        self._announced_at, self._changed = now, False
        for via, (net, _) in enumerate(self.node.interfaces):
            self._announce(via, XNSAddress(net, BROADCAST, SOCKET))

    def _announce(self, via: int, to: XNSAddress) -> None:
        # Split horizon: nothing goes back to where it was learned.
        nets = [net for net, route in sorted(self.table.items()) if not (route.via == via and route.next_host)]
        self._respond(via, to, [self._entry(net) for net in nets])

    def _entry(self, net: int) -> RIPEntry:
        route = self.table.get(net)
        return RIPEntry(net=net, hops=INFINITY if route is None else min(route.hops + 1, INFINITY))

    def _respond(self, via: int, to: XNSAddress, entries: list[RIPEntry]) -> None:
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
