"""A host's internet datagram layer: who gets a packet, what goes back when nobody does, and which way packets leave.

Follows 4.4BSD's netns (ns_input.c, ns_error.c, ns_output.c) for the order of decisions and for which Error answers what.
Owns the table of sockets; what is bound there (`contract.Endpoint`) knows nothing of hosts and networks.
"""

from __future__ import annotations

import heapq
from collections import deque
from errno import EADDRINUSE, EADDRNOTAVAIL, EINVAL
from itertools import count
from typing import Any

from packetlab.declare.checksums.algorithms import xns
from packetlab.declare.values.addresses import XNSAddress
from packetlab.engine.contract import Endpoint, Event, Ignored
from packetlab.engine.xns.rip import Routes
from packetlab.engine.xns.spp import UNKNOWN
from packetlab.errors import PacketlabError, SocketMisuse
from packetlab.packet.packet import Packet
from packetlab.protocols.dissect import dissect
from packetlab.protocols.xns import IDP, SPP, Echo, Error, ErrorNumber

BROADCAST = 0xFFFFFFFFFFFF
EVERY_NETWORK = 0xFFFFFFFF
NOBODYS = (bytes(6), b"\xff" * 6)  # hosts that no packet comes from
NO_CHECKSUM = 0xFFFF
ERROR_TYPE = 3
ECHO_SOCKET, ROUTER_SOCKET, FIRST_FREE = 2, 3, 3000
SMB_SOCKET = 3004  # 3Com's: what goes there is taken for SMB, by Wireshark too
MOST_HOPS = 15  # a packet that has crossed as many routers goes no further
MOST_HELD = 16  # packets that wait for the way to one network
QUOTED = 42  # bytes of an offender that an Error brings back: its headers of IDP and SPP
MTU = 576


# A packet on its way out: through which interface of the node, to which host on the network there.
Departure = tuple[Packet, int, int]


class Node:
    """The XNS layers of one host. Its verbs are those of an engine, but that packets come from and go to interfaces.

    Args:
        host: its 48-bit address, the same on all its networks. router: forward packets, and tell neighbours the way.
        first_id: what connection ids are counted from; a host that starts anew should take another.
    """

    def __init__(self, host: int, *, router: bool = False, first_id: int = 1) -> None:
        self.host, self.router = host, router
        self.interfaces: list[tuple[int, int]] = []  # network number and MTU
        self.routes = Routes(self)
        self.raw: list[Endpoint] = []
        self._host = host.to_bytes(6, "big")
        self._sockets: dict[int, Endpoint] = {}
        self._numbers: dict[Endpoint, int] = {}
        self._children: dict[Endpoint, Endpoint] = {}  # connection -> its listener
        self._first_id, self._ids = first_id, 0
        self._number = FIRST_FREE
        # Dictionaries serve as ordered sets, so that a run repeats itself.
        self._touched: dict[Endpoint, None] = {}
        self._serving: list[tuple[Endpoint, None]] = []  # taken from there; where an interrupt ends that, it is served anew
        self._out: list[Departure] = []
        self._timers: list[tuple[int, int, Endpoint]] = []
        self._due: dict[Endpoint, int] = {}
        self._order = count()
        self._events: list[Event] = []
        self._here: deque[Packet] = deque()  # from this host to itself
        self._forwarded: list[Departure] = []
        self._held: dict[int, list[tuple[Packet, Endpoint | None]]] = {}  # by network: what waits for the way there
        self._found: list[tuple[Packet, Endpoint | None]] = []  # it is known now
        self.bind(self.routes, 1)

    # Interfaces and sockets ---------------------------------------------------------------------------------

    def attach(self, net: int, mtu: int = MTU) -> int:
        """Join a network; return the number of the interface."""
        self.interfaces.append((net, mtu))
        self.routes.joined(net, len(self.interfaces) - 1)
        self.touch(self.routes)
        return len(self.interfaces) - 1

    def address(self, socket: int = 0) -> XNSAddress:
        """Return the address of a socket of this host, on its first network."""
        return XNSAddress(self.interfaces[0][0] if self.interfaces else 0, self.host, socket)

    def address_towards(self, remote: XNSAddress, socket: int = 0) -> XNSAddress:
        """Return the address of a socket of this host, on the network through which packets to `remote` leave."""
        way = self.routes.to(remote)
        return self.address(socket) if way is None else XNSAddress(self.interfaces[way[0]][0], self.host, socket)

    def bind(self, endpoint: Endpoint, number: int = 0) -> int:
        """Give an endpoint a socket number, any free one for 0; return it. SocketMisuse: it is taken."""
        if not number:
            number = self.free_socket()
        if not 0 < number <= 0xFFFF:
            raise SocketMisuse(EINVAL, "bind", "a socket number of 1..65535", f"{number}", "0 takes any free one")
        if self._sockets.setdefault(number, endpoint) is not endpoint:  # one call, since a signal's handler may bind too
            got, hint = f"{number}, which is in use", "0 takes any free one"
            raise SocketMisuse(EADDRINUSE, "bind", "a free socket", got, hint)
        self._numbers[endpoint] = number
        return number

    def unbind(self, endpoint: Endpoint) -> None:
        """Free whatever socket the endpoint has, and forget it."""
        number = self._numbers.pop(endpoint, None)
        if number is not None:
            del self._sockets[number]
        self._due.pop(endpoint, None)
        self._touched.pop(endpoint, None)

    def release(self, number: int) -> None:
        """Free a socket number."""
        endpoint = self._sockets.get(number)
        if endpoint is not None:
            self.unbind(endpoint)

    def adopt(self, child: Endpoint, listener: Endpoint) -> None:
        """Look after a connection that came through a listener."""
        self._children[child] = listener

    def free_socket(self) -> int:
        """Return a socket number that nobody has: from 3000 upwards, as in BSD, not the same one twice in a row."""
        for _ in range(0x10000):
            number, self._number = self._number, self._number + 1 if self._number < 0xFFFF else FIRST_FREE
            if number not in self._sockets and number != SMB_SOCKET:
                return number
        raise SocketMisuse(EADDRNOTAVAIL, "bind", "a free socket", "none: all are in use", "close some")

    def new_id(self) -> int:
        """Return a connection id: neither 0 nor 0xFFFF, and not one used lately."""
        while True:
            # 64 apart, as in 4.4BSD; the last ones come again after 65534 others.
            number = (self._first_id + self._ids * 64 + (self._ids >> 10)) & 0xFFFF
            self._ids += 1
            if number not in (0, 0xFFFF):
                return number

    def touch(self, endpoint: Endpoint) -> None:
        """Say that an endpoint may have something to send: after every call that changes it."""
        self._touched[endpoint] = None

    # The contract -------------------------------------------------------------------------------------------

    def receive(self, packet: Packet, now: int, via: int = 0) -> None:
        """Take in a packet that begins with IDP, dissected from the bytes that came."""
        idp, data = packet._headers[0], bytes(packet)
        if not isinstance(idp, IDP) or (packet._anomalies is not None and packet.faults):
            why = str(packet.faults[0]) if packet.faults else "not a packet of IDP"
            self._events.append(Ignored(packet, f"IDP: {why}"))
            return
        for endpoint in [*self.raw]:  # a handler of a signal may open and close some meanwhile
            endpoint.receive(packet, now)
            self.touch(endpoint)
        to: bytes = idp._dst  # type: ignore[attr-defined]  # the bytes themselves: this is done for every packet
        mine = to[4:10] == self._host
        checksum: int = idp._checksum  # type: ignore[attr-defined]
        if checksum not in (NO_CHECKSUM, xns(data[2:])):
            number = ErrorNumber.BAD_CHECKSUM if mine else ErrorNumber.BAD_CHECKSUM_IN_TRANSIT
            self._reply_error(packet, number, 0, now)
            self._events.append(Ignored(packet, "IDP: wrong checksum"))
        elif not mine and not self._consumes(idp.dst, via):
            self._forward(packet, idp, now)
        else:
            self._deliver(packet, int.from_bytes(to[10:], "big"), now, via)

    def packets_to_send(self, now: int) -> list[Departure]:
        """Hand out what is to leave this host now."""
        out = self._out  # what an interrupt leaves in it goes the next time
        out += self._forwarded
        self._forwarded = []
        touched, known, failed = self._touched, self.routes.known, set[Endpoint]()
        touched.update(self._serving)
        while touched or self._here or self._found:
            while touched:
                self._serving.clear()
                try:  # by one call: a handler of a signal may touch others meanwhile, or unbind the last one
                    self._serving.extend(map(dict.popitem, [touched]))
                except KeyError:
                    break
                endpoint = self._serving[0][0]
                try:
                    for packet in endpoint.packets_to_send(now):
                        bytes(packet)  # it keeps them; nothing goes on that could not be built later
                        if endpoint.stamped and packet._headers[0]._src[4:10] in NOBODYS:
                            packet = self._stamp(packet)
                        way = known.get(packet._headers[0]._dst)
                        if way is not None:
                            out.append((packet, *way))
                        else:
                            self._dispatch(packet, endpoint, out, now)
                except PacketlabError as error:
                    self._events.append(Ignored(Packet(), f"IDP: cannot be built ({error})"))
                    if endpoint not in failed:
                        failed.add(endpoint)
                        touched[endpoint] = None
                        endpoint.unbuilt(error, now)
                        continue  # it may have something to say about that
                if endpoint._events:
                    self._events += endpoint.events()
                due = endpoint.next_timeout()
                if due is not None and ((before := self._due.get(endpoint)) is None or due < before):
                    heapq.heappush(self._timers, (due, next(self._order), endpoint))
                    self._due[endpoint] = due
                if endpoint.over:
                    self._release(endpoint)
            self._serving.clear()
            while self._found:
                self._dispatch(*self._found.pop(0), out, now)
            if self._here:
                self.receive(dissect(bytes(self._here.popleft()), IDP), now)
                out += self._forwarded
                self._forwarded = []
        self._out = []
        return out

    def next_timeout(self) -> int | None:
        """Return when `on_time` is wanted next; timers move, so that nothing may be due then after all."""
        while self._timers and self._due.get(self._timers[0][2]) != self._timers[0][0]:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def on_time(self, now: int) -> None:
        """Do what is due."""
        while (due := self.next_timeout()) is not None and due <= now:
            endpoint = self._timers[0][2]
            self.touch(endpoint)  # first, and the time goes last: an interrupt may end this anywhere
            endpoint.on_time(now)
            self._due.pop(endpoint, None)

    def events(self) -> list[Event]:
        """Hand out what has happened."""
        events, self._events = self._events, []
        return events

    # In -----------------------------------------------------------------------------------------------------

    def _consumes(self, to: XNSAddress, via: int) -> bool:
        """Say whether a packet to another host is for this one too: a broadcast on a network that it is on."""
        if to.host != BROADCAST:
            return False
        here = self.interfaces[via][0] if self.interfaces else 0
        return to.net in (0, EVERY_NETWORK, here) or here == 0 or not self.router

    def _deliver(self, packet: Any, number: int, now: int, via: int) -> None:
        bound = self._sockets.get(number)
        if packet._headers[0]._packet_type == ERROR_TYPE and self._deliver_error(packet, bound, now):
            return
        endpoint = bound.route(packet) if bound is not None else None
        if endpoint is not None:
            if endpoint is self.routes:
                self.routes.heard_on = via
            endpoint.receive(packet, now)
            self._touched[endpoint] = None
            return
        echo = packet.get(Echo)
        if number != ECHO_SOCKET or echo is None:
            self._events.append(Ignored(packet, f"IDP: nobody has socket {number}, or knows this connection"))
            self._reply_error(packet, ErrorNumber.NO_SOCKET, 0, now)
        elif echo.operation != 1:
            self._events.append(Ignored(packet, f"Echo: operation {echo.operation} asks for nothing"))
            self._reply_error(packet, ErrorNumber.UNSPECIFIED, 0, now)
        else:
            self._answer_echo(packet)

    def _deliver_error(self, packet: Packet, bound: Endpoint | None, now: int) -> bool:
        """Tell the endpoint whose packet an Error quotes. It may stand in the quotation alone: Dodo sends to socket 3."""
        if bound is not None and getattr(bound, "all_packets", False):
            return False
        quoted = packet.layers[2] if len(packet.layers) > 2 else None
        # A quotation may be cut anywhere.
        if not isinstance(quoted, IDP) or quoted.src is None or quoted.src.host != self.host:
            self._events.append(Ignored(packet, "Error: about no packet of this host"))
            return True
        at = self._sockets.get(quoted.src.socket)
        # Turned around, the quotation looks like the peer's packet, so the same rule finds the connection.
        turned = _turned(packet)
        endpoint = at.route(turned) if at is not None and turned is not None else None
        if endpoint is None:
            self._events.append(Ignored(packet, "Error: about a packet of a socket that is gone"))
        else:
            endpoint.troubled(packet, packet[Error].number, now)
            self.touch(endpoint)
        return True

    def _answer_echo(self, packet: Packet) -> None:
        idp = packet[IDP]
        head = IDP(dst=idp.src, src=self.address_towards(idp.src, ECHO_SOCKET))
        if idp.checksum == NO_CHECKSUM:
            head = head.replace(checksum=NO_CHECKSUM)  # who sends none gets none (ns_input.c)
        self._send_off(head / Echo(operation=2) / packet.payload)

    def _reply_error(self, packet: Packet, number: int, parameter: int, now: int) -> None:
        """Send an Error about a packet, but never about an Error, nor to or because of a group."""
        idp = packet[IDP]
        if idp.packet_type == ERROR_TYPE or idp.dst.host >> 40 & 1 or idp.src.host >> 40 & 1:
            return
        # From where it was sent to, as in BSD; a router speaks for itself.
        source = idp.dst if number < 0x200 else self.address(ROUTER_SOCKET)
        head = IDP(dst=idp.src, src=source, packet_type=3)
        self._send_off(head / Error(number=number, parameter=parameter) / bytes(packet)[: min(QUOTED, idp.length)])

    # Out ----------------------------------------------------------------------------------------------------

    def _forward(self, packet: Packet, idp: IDP, now: int) -> None:
        if not self.router:
            self._events.append(Ignored(packet, f"IDP: for {idp.dst}, and this host is no router"))
            return
        found = self.routes.to(idp.dst)
        if idp.hops & 0x0F >= MOST_HOPS:
            number, parameter = ErrorNumber.HOP_LIMIT, 0
        elif found is None:
            number, parameter = ErrorNumber.UNREACHABLE, 0
        elif idp.length > self.interfaces[found[0]][1]:
            number, parameter = ErrorNumber.TOO_BIG, self.interfaces[found[0]][1]
        else:
            # The sum is patched along with the count, and the pad byte stays: the end-to-end check goes on working.
            self._forwarded.append((packet.replace(IDP, hops=idp.hops + 1), *found))
            return
        self._events.append(Ignored(packet, f"IDP: not forwarded ({number.name})"))
        self._reply_error(packet, number, parameter, now)

    def routed(self, net: int) -> None:
        """Send what waited for the way to a network."""
        self._found += self._held.pop(net, [])

    def _send_off(self, packet: Packet) -> None:
        """Send a packet of the node's own; one that cannot go is dropped."""
        self._found.append((packet, None))

    def _stamp(self, packet: Packet) -> Packet:
        """Return a packet with this host's own address as its source: one that answers a broadcast speaks for itself."""
        idp = packet[IDP]
        return packet.replace(IDP, src=self.address_towards(idp.dst, idp.src.socket))

    def _dispatch(self, packet: Packet, endpoint: Endpoint | None, out: list[Departure], now: int) -> None:
        idp = packet._headers[0]
        to: bytes = idp._dst
        if to[4:10] == self._host:
            self._here.append(packet)
            return
        way = self.routes.way(to)
        if way is not None:
            out.append((packet, *way))
            return
        address = XNSAddress.of(to)
        if address.net == EVERY_NETWORK and address.host == BROADCAST:
            out += ((packet, via, BROADCAST) for via in range(len(self.interfaces)))
            return
        held = self._held.get(address.net, [])
        if len(held) < MOST_HELD and self.routes.ask(address.net, now):
            self._held[address.net] = [*held, (packet, endpoint)]  # until a router answers
        else:
            self._cannot_reach(packet, endpoint, now)

    def unreachable(self, net: int, now: int) -> None:
        """Take in that nobody knows the way to a network: what waited for it does not go."""
        for packet, endpoint in self._held.pop(net, []):
            self._cannot_reach(packet, endpoint, now)

    def _cannot_reach(self, packet: Packet, endpoint: Endpoint | None, now: int) -> None:
        to = XNSAddress.of(packet._headers[0]._dst)
        self._events.append(Ignored(packet, f"IDP: no route to network {to.net:X}"))
        if endpoint is not None:
            endpoint.troubled(packet, ErrorNumber.UNREACHABLE, now)
            self.touch(endpoint)

    def _release(self, endpoint: Endpoint) -> None:
        self.unbind(endpoint)
        listener = self._children.get(endpoint)
        if listener is not None:
            listener.forget(endpoint)  # type: ignore[attr-defined]
            if listener.over:
                self.unbind(listener)
            self._children.pop(endpoint, None)


def _turned(error: Packet) -> Packet | None:
    """Return what an Error quotes with source and destination, and the ids, exchanged; None where it makes no sense."""
    quoted, spp = error[IDP, 1], error.get(SPP)
    head = IDP(dst=quoted.src, src=quoted.dst, packet_type=quoted.packet_type)
    if spp is None or spp.destination_id is None:
        return head / b""
    if spp.source_id in UNKNOWN:
        return None
    return head / SPP(source_id=spp.destination_id, destination_id=spp.source_id)
