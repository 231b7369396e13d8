"""SimNetwork: hosts and links in virtual time. Nothing sleeps, nothing is random but by the seed, nothing hangs.

One queue holds what is under way; the clock jumps from one thing to the next. The same seed and the same calls give the
same frames at the same nanoseconds.
"""

from __future__ import annotations

import errno
import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from packetlab.capture import Capture, Frame, InterfaceDescription
from packetlab.declare.values.addresses import mac_text
from packetlab.engine.contract import SECOND, nanoseconds
from packetlab.errors import PacketlabError, SocketMisuse, Stalled, deliberate
from packetlab.escaping import printable
from packetlab.hooks import Shown
from packetlab.link.event_loop import EventLoop, Files
from packetlab.link.impairment import Impairment, both_ways
from packetlab.link.port import HUGE, MOST, Attachment, Driver, Port
from packetlab.link.topology import Joint, Topology, TopologyNode, shape_words
from packetlab.link.waits import Stop

if TYPE_CHECKING:
    import netaddr

__tracebackhide__ = deliberate

T = TypeVar("T")
FIRST_NETWORK = 0x401
LONGEST, LENGTH_802_3 = 1500, 4
AT_ONCE = 1_000_000  # steps within one call that the clock may stand still for
ROOM = 4096  # frames that wait at a port for a reader


class SimNetwork(EventLoop, Shown):
    """A network in memory and in virtual time.

    Args:
        seed: of all chance in it. patience: virtual seconds that a call waits at most while nothing but repeats and
            probes happens; then it is `Stalled`.

    Use it in a `with` or not: there is nothing to give back.
    """

    def __init__(self, seed: int | str = 0, *, patience: float = 4 * 3600.0) -> None:
        super().__init__()
        self.seed, self.patience = seed, patience
        self.hosts: dict[str, SimHost] = {}
        self.links: list[SimLink] = []
        self._now = 0
        self._at_once = 0  # steps since the clock last moved, or a call began
        self._under_way: list[tuple[int, int, SimNic, bytes]] = []
        self._order = count()
        self._sent: list[tuple[int, bytes, SimLink, tuple[str, ...]]] = []
        self._arrivals: list[int | None] = []  # of each of them: when it first arrives

    # Building -----------------------------------------------------------------------------------------------

    def _new_host(self, name: str) -> SimHost:
        return SimHost(self, name)

    def host(self, name: str) -> SimHost:
        """Return the host of that name; a new one comes to be where there was none."""
        if name not in self.hosts:
            self.hosts[name] = self._new_host(name)
        return self.hosts[name]

    def link(self, *hosts: SimHost, network: int | None = None, carrier: str = "ethernet", **shape: object) -> SimLink:
        """Join hosts by a link: two, or more that all hear each other.

        Args:
            network: its XNS network number; from 0x401 upwards where it is not given.
            carrier: how XNS packets go, "ethernet" (type 0x0600) or "snap".
            shape: delay, jitter, loss, drop, duplicate, reorder, corrupt, rate, queue, mtu (see `Impairment`).
        """
        if len(hosts) < 2 or len(set(hosts)) < len(hosts) or any(host.net is not self for host in hosts):
            names = ", ".join(str(host) for host in hosts)
            raise PacketlabError("SimNetwork.link", "two hosts or more of this network, each once", names or "none")
        network = FIRST_NETWORK + len(self.links) if network is None else network
        link = SimLink(self, hosts, network, carrier, shape)
        self.links.append(link)
        return link

    # Time ---------------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Virtual nanoseconds since the network was made."""
        return self._now

    def step(self, until: int | None, what: str, files: Files = (), since: int | None = None) -> bool:
        """Let the next thing happen: a frame arrives, or a timer ends."""
        with self.lock:  # sockets look at what it changes, and another thread closes them
            return self._step(until, what)

    def _step(self, until: int | None, what: str) -> bool:
        due, under_way = self._next_due(), self._under_way
        at = under_way[0][0] if under_way and (due is None or under_way[0][0] <= due) else due
        if at is None and until is None:
            raise Stalled(what, "something that can still happen", "nothing in flight, and no timer set")
        if at is None or (until is not None and at > until):
            self._now = max(self._now, until or 0)
            return False
        if at > self._now:
            self._now, self._at_once = at, 0
        self._at_once += 1
        if self._at_once > AT_ONCE:
            raise Stalled(what, "time to pass", f"{AT_ONCE:,} things that happened at the same moment")
        if under_way and under_way[0][0] <= at:
            _, _, nic, data = heapq.heappop(under_way)
            nic.arrive(data)
            if self.followers:
                self._follow()
        else:
            self._poll_due(self._now)
        return True

    def wait(self, ready: Callable[[], T | None], what: str, timeout: float | None, files: Files = (), own: bool = False) -> T:
        """Let things happen until `ready` returns something (see `EventLoop.wait`)."""
        self._at_once = 0
        try:
            return super().wait(ready, what, self.patience if timeout is None and self._busy() else timeout, files)
        except TimeoutError as error:
            if timeout is not None or not str(error).startswith(what):
                raise
            passed = f"nothing but repeats and probes for {self.patience:g} virtual seconds"
            raise Stalled(what, "something new to happen", passed) from None

    def _busy(self) -> bool:
        return bool(self._under_way) or self._next_due() is not None

    # Frames -------------------------------------------------------------------------------------------------

    def carry(self, nic: SimNic, data: bytes) -> None:
        """Put a frame on the link of a network card."""
        with self.lock:
            link, now = nic.link, self._now
            arrivals, marks = nic.sends.frame(data, now)
            self._sent.append((now, data, link, marks))
            self._arrivals.append(min((at for at, _ in arrivals), default=None))
            for at, arrived in arrivals:
                for other in nic.others:
                    heapq.heappush(self._under_way, (at, next(self._order), other, arrived))

    @property
    def capture(self) -> Capture:
        """All frames so far, as they were sent; a comment says what became of those that fared ill."""
        return Capture.of(self.last(len(self._sent)))

    def last(self, count: int) -> list[Frame]:
        """Return the last `count` frames of `capture`."""
        before = max(0, len(self._sent) - count)
        return [
            Frame(data, at, interface=link.description, number=number, comment="; ".join(marks) if marks else None)
            for number, (at, data, link, marks) in enumerate(self._sent[before:], before + 1)
        ]

    def arrival(self, number: int) -> int | None:
        """Return when the frame of that number in `capture` first arrives at the other end of its link, None if it is lost."""
        return self._arrivals[number - 1]

    def topology(self) -> Topology:
        """Return who is joined to whom, and how each link treats frames now."""
        nodes = tuple(
            TopologyNode(
                host.name, "host", (mac_text(host.mac_bytes), *(f"{nic.link.subnet}.{nic.place}" for nic in host.nics))
            )
            for host in self.hosts.values()
        )
        return Topology(f"SimNetwork at {self._now / 1e9:g} s", nodes, tuple(link.joint() for link in self.links))

    def __enter__(self) -> SimNetwork:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to do."""


class SimLink:
    """A link of the simulated network.

    Attributes:
        sends: for each host's name, the `Impairment` of what that host sends; one direction can be changed alone.
        network, carrier: XNS network number, and how its packets go. subnet: first three numbers of its IPv4 addresses.
    """

    def __init__(
        self, net: SimNetwork, hosts: Sequence[SimHost], network: int, carrier: str, shape: dict[str, object]
    ) -> None:
        number = len(net.links)
        self.net, self.network, self.carrier, self.shape = net, network, carrier, shape
        self.subnet = f"10.{number >> 8}.{number & 255}"
        names = [host.name for host in hosts]
        self.description = InterfaceDescription(1, 0, " -- ".join(names))
        self.sends: dict[str, Impairment] = both_ways(names, f"{net.seed}/{number}", **shape)
        self.nics = [SimNic(self, host, place) for place, host in enumerate(hosts, 1)]
        for nic in self.nics:
            nic.others = tuple(other for other in self.nics if other is not nic)
        for host, nic in zip(hosts, self.nics, strict=True):
            host.plug(nic)
            if host.on_link is not None:
                host.on_link()

    def change(self, **shape: object) -> None:
        """Change how the link treats frames from now on, both ways: loss=0.5, delay=0.1 ..."""
        for impairment in self.sends.values():
            impairment.change(**shape)

    def joint(self) -> Joint:
        """Return whom it joins, and how it treats frames now."""
        shapes = {name: shape_words(vars(impairment)) for name, impairment in self.sends.items()}
        if len(set(shapes.values())) == 1:
            return Joint(tuple(shapes), (f"network {self.network:X}H", *next(iter(shapes.values()))))
        words = (f"{name} sends: {', '.join(said)}" for name, said in shapes.items() if said)
        return Joint(tuple(shapes), (f"network {self.network:X}H", *words))

    def partition(self) -> None:
        """Lose every frame from now on."""
        self.change(partitioned=True)

    def heal(self) -> None:
        """End a partition."""
        self.change(partitioned=False)

    def __repr__(self) -> str:
        return f"<SimLink {printable(self.description.name)}>"


class SimNic:
    """A host's network card on a link."""

    def __init__(self, link: SimLink, host: SimHost, place: int) -> None:
        self.link, self.host, self.place = link, host, place
        self.sends = link.sends[host.name]
        self.others: tuple[SimNic, ...] = ()
        self.ports: tuple[SimPort, ...] = ()  # replaced, never changed: a frame may make its receiver open another

    def arrive(self, data: bytes) -> None:
        """Hand a frame to its listeners, and let them act on it."""
        mine = data[:6] == self.host.mac_bytes or (bool(data) and bool(data[0] & 1))
        kind = int.from_bytes(data[12:14], "big")
        if kind <= LONGEST:
            kind = LENGTH_802_3  # as the kernel numbers frames that have a length there
        for port in self.ports:
            if (mine or port.promiscuous) and (port.protocol is None or port.protocol == kind):
                port.arrive(data)


class SimPort(Port):
    """Sends and receives on a link of the simulated network; waiting lets virtual time pass."""

    virtual = True

    def __init__(self, nic: SimNic, *, protocol: int | None = None, promiscuous: bool = False) -> None:
        self.nic, self.protocol, self.promiscuous = nic, protocol, promiscuous
        self.name = f"{nic.host.name}:eth{nic.host.nics.index(nic) if nic in nic.host.nics else len(nic.host.nics)}"
        self.driver: Driver | None = None
        self.lost = 0  # frames that nobody fetched
        self._arrived: deque[tuple[int, bytes]] = deque()
        self._description = InterfaceDescription(1, 0, self.name)
        nic.ports += (self,)

    def arrive(self, data: bytes) -> None:
        """Take in a frame."""
        net = self.nic.host.net
        if self.driver is not None:
            self.driver.take(self, data, net.now)
            self.driver.poll(net.now)
        elif len(self._arrived) < ROOM:
            self._arrived.append((net.now, data))
        else:
            self.lost += 1

    def _now(self) -> int:
        return self.nic.host.net.now

    def _send(self, data: bytes) -> None:
        self._check()
        self.nic.host.net.carry(self.nic, data)

    def _arriving(
        self,
        timeout: float | None,
        receive: Callable[[float | None], Frame | None] | None = None,
        stop: Stop | None = None,
    ) -> Iterator[Frame]:
        return super()._arriving(timeout, receive or partial(self._receive_unless, stop), stop)

    def _receive(self, timeout: float | None) -> Frame | None:
        return self._receive_unless(None, timeout)

    def _receive_unless(self, stop: Stop | None, timeout: float | None) -> Frame | None:
        """Return the next frame; None after `timeout` seconds, and when `stop` is set: it is looked at after all that happens."""
        arrived, net = self._arrived, self.nic.host.net

        def ready() -> bool | None:
            return True if arrived or self not in self.nic.ports or (stop is not None and stop.is_set()) else None

        until = None if timeout is None else net.now + nanoseconds(timeout, f"{self.name}: receive: timeout")
        while True:
            try:
                net.wait(ready, f"{self.name}: receive", timeout if until is None else max(0, until - net.now + 0.5) / SECOND)
            except TimeoutError:
                return None
            self._check()
            with suppress(IndexError):  # another thread may have come first
                at, data = arrived.popleft()
                return Frame(data, at, interface=self._description)
            if stop is not None and stop.is_set():
                return None

    def _room(self) -> tuple[int, int]:
        return len(self._arrived) + MOST, HUGE  # and what comes at this very moment, of which there may be no end

    def _check(self) -> None:
        if self not in self.nic.ports:
            raise SocketMisuse(errno.EBADF, self.name, "an open port", "one that has been closed", "open another")

    def close(self) -> None:
        """Stop listening. A thread waiting for a frame gets an OSError that says so."""
        self.nic.ports = tuple(port for port in self.nic.ports if port is not self)


class SimHost:
    """A host of the simulated network."""

    def __init__(self, net: SimNetwork, name: str) -> None:
        self.net, self.name = net, name
        self.loop: EventLoop = net
        self.on_link: Callable[[], object] | None = None
        self.mac_bytes = b"\x02" + (len(net.hosts) + 1).to_bytes(5, "big")  # MAC address: locally administered
        self.nics: list[SimNic] = []
        self.interfaces: list[SimPort] = []  # a port on each link, in the order of the links

    def plug(self, nic: SimNic) -> None:
        """Take a network card; its port listens from now on."""
        self.nics.append(nic)
        self.interfaces.append(SimPort(nic))

    @property
    def attachments(self) -> list[Attachment]:
        """The networks this host is on."""
        return [
            Attachment(nic.link.network, nic.link.carrier, self.mac_bytes, partial(SimPort, nic)) for nic in self.nics
        ]  # fmt: skip

    def _first(self) -> SimNic:
        if not self.nics:
            raise PacketlabError(f"host {self.name}", "a link", "none yet", "net.link(...) makes one")
        return self.nics[0]

    @property
    def interface(self) -> SimPort:
        """The port on the first link."""
        self._first()
        return self.interfaces[0]

    @property
    def mac(self) -> netaddr.EUI:
        """The MAC address, the same on all links."""
        from packetlab.declare.values.addresses import mac_value

        return mac_value(self.mac_bytes)

    @property
    def address(self) -> netaddr.IPAddress:
        """An IPv4 address for frames made by hand: the simulated network itself speaks no IP."""
        import netaddr

        nic = self._first()
        return netaddr.IPAddress(f"{nic.link.subnet}.{nic.place}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {printable(self.name)}>"
