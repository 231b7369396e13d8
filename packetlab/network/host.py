"""Hosts: engines on one side, interfaces on the other, and the time of their event loop between.

A `NetworkHost` is what all hosts have in common, of a simulated network, of a lab, or this machine: the XNS layers (a
`XNSDriver`), and whatever engines of one's own are attached to its interfaces (`runner`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import EADDRNOTAVAIL, EBADF, EINVAL, ENETDOWN, ENETUNREACH
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from packetlab.declare.values.addresses import XNSAddress, mac_bytes
from packetlab.engine.contract import Endpoint, Engine, Event
from packetlab.engine.xns.idp import MTU, Node
from packetlab.engine.xns.pex import Exchange, Responder, check_request
from packetlab.engine.xns.spp_timing import Timing
from packetlab.errors import PacketlabError, SocketMisuse, broken, deliberate, suggestion
from packetlab.escaping import printable
from packetlab.link.event_loop import EventLoop
from packetlab.link.port import Attachment, OpenedPorts, Port, place
from packetlab.link.waits import Stop
from packetlab.network.carriers import (
    NETHUB_PORT,
    BareFraming,
    EthernetFraming,
    Framing,
    IPFraming,
    NetHubPort,
    SnapFraming,
    UDPPort,
)
from packetlab.network.runner import EngineDriver
from packetlab.network.xns_driver import XNSDriver
from packetlab.protocols.xns import PEX
from packetlab.renamed import renamed

if TYPE_CHECKING:
    from packetlab.link.lab.unanswered import UnansweredAddress

__tracebackhide__ = deliberate

T = TypeVar("T")
ON_LINKS = {"ethernet": EthernetFraming, "snap": SnapFraming}
IN_REAL_TIME = Timing(keep_alive=10.0, give_up=30.0)
# Virtual time costs nothing, and a link may be made as bad as one likes; a quiet network must come to rest.
IN_VIRTUAL_TIME = Timing(give_up=1800.0, shut=1800.0)


class Place(NamedTuple):
    """A socket number on a host, whichever address family is spoken there."""

    host: NetworkHost
    socket: int

    def xns(self, asker: NetworkHost) -> XNSAddress:
        """Return it as an XNS address, on a network that `asker` is on too, if there is one.

        SocketMisuse: the host is on no XNS network, or no longer; or among other hosts than `asker`, as for `inet`.
        """
        if not self.host.speaks_xns:
            raise self._none("a host on an XNS network", "make a link, or join() one")
        self._need_near(asker, "an XNSAddress goes wherever there is a way")
        node = self.host.xns.node
        theirs = [net for net, _ in node.interfaces]
        ours = {net for net, _ in asker.xns.node.interfaces}
        net = next((net for net in theirs if net in ours), theirs[0])
        return XNSAddress(net, node.host, self.socket)

    def inet(self, asker: NetworkHost | None = None) -> tuple[str, int]:
        """Return it as IPv4 address and port, for the kernel of `asker` to send to.

        SocketMisuse: the host was closed, or is on another network, where the address is somebody else's, or nobody's.
        """
        if asker is not None:
            self._need_near(asker, "(IP address, port) goes wherever there is a way")
        if self.host.closed:
            raise self._none("an open host")
        return str(self.host.address), self.socket

    def _none(self, expected: str, hint: str = "") -> SocketMisuse:
        closed = self.host.closed
        got = f"{printable(self.host.name)}, which {'was closed' if closed else 'is on none'}"
        return SocketMisuse(EADDRNOTAVAIL, f"{self}", expected, got, "make another host" if closed else hint)

    def _need_near(self, asker: NetworkHost, hint: str) -> None:
        """Say that a host is among others than `asker`: of two networks each has its own addresses, often the same."""
        host = self.host
        if _among(host) is not _among(asker):
            lab = "in no lab" if host.lab is None else "in a lab" if asker.lab is None else "in another lab"
            simulated = "simulated" if asker.kernel_socket is not None else "in another simulation"
            got = f"{printable(host.name)}, which is {simulated if host.kernel_socket is None else lab}"
            raise SocketMisuse(ENETUNREACH, f"{self}", f"a place on the network of {asker.name}", got, hint)

    def __str__(self) -> str:
        return f"{printable(self.host.name)}:{self.socket}"


def _among(host: NetworkHost) -> object:
    """Return what a host shares with those that it can reach: a simulation, a lab, or None for this machine."""
    return host.loop if host.kernel_socket is None else host.lab


class NetworkHost:
    """What every host can do in addition to what its own network gives it.

    Attributes:
        timing: of SPP connections made from now on. window: packets they receive ahead of the reader.
        router: whether it forwards XNS packets; see `route`. closed: it was closed, and XNS with it.
    """

    name: str
    loop: EventLoop
    closed = False
    timing: Timing = IN_REAL_TIME
    window: int = 16
    router: bool = False
    on_link: Callable[[], object] | None = None  # called when a link has been added
    randomness: Callable[[int], bytes] | None = None  # for keys of WebSockets, where a run is to repeat itself
    _stack: XNSDriver | None = None
    _seqno: int | None = None

    if TYPE_CHECKING:  # what a network provides

        @property
        def attachments(self) -> list[Attachment]: ...

    address: Any
    kernel_socket: Any = None
    _opened: OpenedPorts  # of a host with a kernel
    lab: Any = None

    def xns_bytes(self) -> bytes:
        """Return the 48-bit address of the host in XNS: the MAC address of its first interface."""
        if not self.attachments:
            hint = "its network's link() makes one"
            raise SocketMisuse(ENETDOWN, f"host {self.name}", "a link, or join()", "none yet", hint)
        return self.attachments[0].mac

    xns_octets = renamed("xns_octets", "xns_bytes")
    medium = renamed("medium", "loop")

    def _first_id(self) -> int:  # a host that starts anew must not take up ids of its last life
        return int.from_bytes(os.urandom(2), "big") | 1

    @property
    def xns(self) -> XNSDriver:
        """The XNS layers; there from the first use on, on all links made so far.

        SocketMisuse: the host was closed, or is that of a parent process.
        """
        with self.loop.lock:  # two threads may come at once
            return self._all_joined()

    def _all_joined(self) -> XNSDriver:
        if self.closed:
            hint = "make another; what happened is in its log"
            raise SocketMisuse(EBADF, f"host {self.name}", "an open host", "one that was closed", hint)
        if self._stack is None:
            node = Node(int.from_bytes(self.xns_bytes(), "big"), router=self.router, first_id=self._first_id())
            self._stack = XNSDriver(node)
            self.loop.add(self._stack)
            self._linked = 0
            self.on_link = lambda: self.xns
        elif self._stack.process != os.getpid():
            hint = "make a host of its own after the fork"
            raise SocketMisuse(ENETDOWN, f"host {self.name}", "a host of this process", "one of its parent", hint)
        for attachment in self.attachments[self._linked :]:
            self._linked += 1
            try:
                framing = ON_LINKS[attachment.carrier](self.xns_bytes())
            except KeyError:
                wanted, hint = f"one of {', '.join(ON_LINKS)}", suggestion(attachment.carrier, ON_LINKS)
                raise PacketlabError(f"link of {self.name}: carrier", wanted, attachment.carrier, hint) from None
            # One XNS address serves all interfaces of a machine, so a second one must listen for the first one's.
            port = attachment.open(protocol=framing.protocol, promiscuous=attachment.mac != self.xns_bytes())
            self._join(attachment.network, port, framing, 1500)
        return self._stack

    def _join(self, network: int, port: Port, framing: Framing, mtu: int = MTU) -> None:
        if hasattr(port, "driver"):
            port.driver = self._stack  # a port of the simulated network hands over frames itself
        assert self._stack is not None
        self._stack.join(network, port, framing, mtu)
        self.loop.poll(self._stack)

    def join(
        self, network: int, carrier: str, *, peer: Any = None, local: tuple[str, int] | None = None,
        address: tuple[str, int] = ("127.0.0.1", NETHUB_PORT),
    ) -> None:  # fmt: skip
        """Join an XNS network through something else than a link.

        Args:
            network: its number. carrier: "ip" (protocol 22, to the IPv4 address or host `peer`), "udp" (from `local` to
                `peer`, each an IPv4 address and a port) or "nethub" (at `address`).

        Raises:
            OSError: the kernel refuses the address, or nobody is there; EBADF, the host was closed. NeedsPrivilege: "ip"
            without CAP_NET_RAW.
        """
        self._need_open("join")
        known = ("ip", "udp", "nethub")
        if carrier not in known:
            raise PacketlabError("join: carrier", "ip, udp or nethub", carrier, suggestion(carrier, known))
        if self.kernel_socket is None:
            hint = "use a Lab or a LocalHost"
            raise PacketlabError(f"join of {self.name}", "a host with a kernel", "a simulated one", hint)
        if (carrier != "nethub" and peer is None) or (carrier == "udp" and local is None):
            wanted = "peer=" if carrier == "ip" else "local= and peer="
            raise PacketlabError(f"join of {self.name}: {carrier}", wanted, "less")
        port: Port
        framing: Framing = BareFraming()
        if carrier == "ip":
            from packetlab.link.socket_port import RawIPSocket

            framing = IPFraming(peer.at(0).inet(self)[0] if isinstance(peer, NetworkHost) else str(peer))
            port = RawIPSocket(22, self)
        elif carrier == "udp" and local is not None:
            port = UDPPort(local, peer, self.kernel_socket)
        else:
            port, framing = NetHubPort(address, self.kernel_socket), EthernetFraming(self.xns_bytes())
        with self.loop.lock:
            _ = self.xns  # on the links first
            self._join(network, port, framing)

    def route(self) -> None:
        """Forward XNS packets between the networks of this host, and tell neighbours the way (RIP), from now on."""
        self._need_open("route")
        self.router = True
        stack = self.xns
        stack.node.router = True
        self.schedule(stack.node.routes)

    def at(self, socket: int) -> Place:
        """Return a socket number on this host, for another host to connect or write to."""
        if not isinstance(socket, int) or isinstance(socket, bool) or not 0 <= socket <= 0xFFFF:
            hint = "a number of a listener or a datagram socket there"
            raise SocketMisuse(EINVAL, f"{self.name}: at", "a number of 0..65535", f"{socket!r:.60}", hint)
        return Place(self, socket)

    @property
    def log(self) -> list[Event]:
        """The last events of the XNS layers: what was ignored and why, what opened, what ended. It stays when the host is closed."""
        with self.loop.lock:
            stack = self._stack if self._stack is not None or self.closed else self.xns
            return [] if stack is None else [*stack.log]

    # Engines ------------------------------------------------------------------------------------------------

    def attach(
        self, engine: Engine, where: object = None, to: object = "ff:ff:ff:ff:ff:ff", link: int = 0,
        at: UnansweredAddress | None = None,
    ) -> EngineDriver:  # fmt: skip
        """Run an engine on an interface of this host. Where that fails the `log` of what is returned says why, and no more goes out.

        Args:
            where: which packets it gets: a header class, a prototype, or a function of the packet.
            to: the host, or the MAC address, that its packets go to where these do not begin with Ether.
            link: which of the host's links, from 0. at: an unanswered address, to be there and not at the host's, where the
                kernel answers too; what comes there then is the engine's.
        """
        self._need_open("attach")
        attachment = place(self, link, "attach")
        target = place(to, 0, "attach: to").mac if isinstance(to, NetworkHost) else mac_bytes(to)
        port: Port = attachment.open() if at is None else at
        runner = EngineDriver(engine, port, where, attachment.mac if at is None else mac_bytes(at.mac), target)
        if hasattr(port, "driver"):
            port.driver = runner
        self.loop.add(runner)
        self.loop.poll(runner)
        return runner

    def until(self, condition: Callable[[], object], timeout: float | None = None, stop: Stop | None = None) -> bool:
        """Let time pass until a condition of yours holds; return whether it does.

        It is looked at whenever something has happened, and five times a second where that is real time: other threads may set it.

        Args:
            stop: a `threading.Event`: ends it when set, with False.

        Raises:
            TimeoutError: it did not in `timeout` seconds. Stalled: it never will. OSError: EBADF, the host was closed.
        """
        self.loop.poll()
        held = [False]

        def over() -> bool | None:
            held[0] = bool(condition())
            return True if held[0] or (stop is not None and stop.is_set()) else None

        self._wait(over, "until", timeout, own=True)
        return held[0]

    def _wait(self, ready: Callable[[], bool | None], what: str, timeout: float | None = None, own: bool = False) -> None:
        """Let things happen until `ready`, or until another thread closes the host; `own` as for `EventLoop.wait`."""

        def look() -> bool | None:
            found = ready()
            if not found:
                self._need_open(what)
            return found

        self.loop.wait(look, f"{self.name}: {what}", timeout, own=own)

    def _need_open(self, what: str) -> None:
        if self.closed:
            raise SocketMisuse(EBADF, f"{self.name}: {what}", "an open host", "one that was closed", "make another")

    # Packet exchange ----------------------------------------------------------------------------------------

    def exchange(
        self, to: object, data: bytes = b"", client_type: int = 0, *, interval: float = 1.0, tries: int = 5
    ) -> bytes:  # fmt: skip
        """Send a packet exchange request (PEX) and return the data of its reply.

        `packetlab.exchange` sends any request over a link of the host, and goes by the reply rules of its headers.

        Args:
            to: a place or an XNS address. interval: seconds between repeats, `tries` in all.

        Raises:
            TimeoutError: no reply came. ConnectionRefusedError: nobody has that socket. OSError: EMSGSIZE, over 540 bytes;
            ENETDOWN, the network has failed.
        """
        self._need_open("exchange")
        data = check_request(f"{self.name}: exchange", data, interval, tries)
        remote, node = self.resolve(to), self.xns.node
        what = f"exchange with {remote}"
        self.need_carrier(self.name, what, remote)
        with self.loop.lock:
            number = node.free_socket()
            local = node.address_towards(remote, number)
            request = Exchange(
                local, remote, data, id=node.new_id(), client_type=client_type, interval=interval, tries=tries
            )
            node.bind(request, number)
            self.schedule(request)
        self._wait(lambda: self.awaited(request.over or None, self.name, what, remote), what)
        if request.reply is None:
            raise request.error or broken(TimeoutError, f"PEX to {remote}")
        return request.reply.payload

    def answer(self, socket: int, function: Callable[[bytes], bytes | None]) -> None:
        """Answer packet exchange requests at a socket: `function` gets a request's data and returns the reply's, or None.

        Where it returns something else, the program that drives the host gets a TypeError.
        """
        self._need_open("answer")
        call = self.loop.callback
        responder = Responder(lambda packet: call(function, packet.payload) if PEX in packet else None)
        with self.loop.lock:
            self.xns.node.bind(responder, socket)

    @property
    def speaks_xns(self) -> bool:
        """Whether the host is on a network where XNS can be spoken."""
        return not self.closed and bool(self.attachments or (self._stack is not None and self._stack.ports))

    def need_carrier(self, who: object, verb: str, to: XNSAddress | None = None) -> None:
        """Raise SocketMisuse, ENETDOWN, where what packets to an address leave by has failed; without one, all that any come by."""
        error = self._stack.trouble(to) if self._stack is not None and self._stack.gone else None
        if error is not None:
            hint = "join() the network anew, or link the host anew"
            raise SocketMisuse(ENETDOWN, f"{who}: {verb}", "a network that is up", f"one that has failed ({error})", hint)

    def awaited(self, found: T | None, who: object, verb: str, to: XNSAddress | None = None) -> T | None:
        """Return what somebody waits for; where there is nothing yet, do as `need_carrier`."""
        if found is None:
            self.need_carrier(who, verb, to)
        return found

    def knows(self, address: XNSAddress) -> bool:
        """Say whether the host of an address is driven by the same event loop as this one."""
        return any(isinstance(driver, XNSDriver) and driver.node.host == address.host for driver in self.loop.drivers)

    # For sockets --------------------------------------------------------------------------------------------

    def resolve(self, to: object) -> XNSAddress:
        """Return a place, an XNS address, or the text of one as an address."""
        if isinstance(to, Place):
            return to.xns(self)
        try:
            return XNSAddress.of(to)
        except (ValueError, TypeError):
            hint = "host.at(3000), or '401H.1000AA000077.3000'"
            raise SocketMisuse(EINVAL, "address", "an XNS address", f"{to!r}", hint) from None

    def next_seqno(self) -> int:
        """Return the next of a row of 32-bit numbers (SO_SEQNO)."""
        if self._seqno is None:
            self._seqno = self._first_id() << 16  # BSD counts from the clock: another run has other numbers
        self._seqno = (self._seqno + 1) & 0xFFFFFFFF
        return self._seqno

    def recent_frames(self) -> str | None:
        """Return the last frames of this host's network as a ladder, for the note of an error; None where nobody kept them."""
        return None

    story = renamed("story", "recent_frames")

    def schedule(self, endpoint: Endpoint, *acts: Callable[[int], None]) -> None:
        """Send what an endpoint now has to send.

        Args:
            acts: calls of the endpoint, made before with the time; from a signal's handler, after the poll that it interrupts.
        """
        stack = self.xns if self.closed or self._stack is None else self._stack
        with self.loop.lock:
            stack.scheduled.extend((endpoint, act) for act in acts)
            stack.node.touch(endpoint)
            self.loop.poll(stack)

    wish = renamed("wish", "schedule")
