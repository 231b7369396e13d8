"""Floods and peers that misbehave: others are served, nothing raises, hangs or grows, and work grows with what comes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from random import Random

import pytest

from packetlab import IDP, RIP, SPP, Capture, Control, Error, Node, RIPEntry, XNSAddress, dissect
from packetlab.engine.xns.spp import Connection
from packetlab.engine.xns.spp_events import Finished
from packetlab.engine.xns.spp_listener import Listener
from packetlab.engine.xns.spp_states import SPPState
from packetlab.network.carriers import EthernetFraming
from tests.conftest import CORPUS, amount

SECOND = 10**9
NET, HOST, OTHER = 0x401, 0x02000000000A, 0x02000000000B
HERE = XNSAddress(NET, HOST, 3000)
SYSTEM, SEND_ACK, ATTENTION, EOM = (int(each) for each in Control)


class Server:
    """A node with a listener, driven by hand."""

    def __init__(self, backlog: int = 5, own_sockets: bool = False, router: bool = False) -> None:
        self.node, self.now = Node(HOST, router=router), 0
        self.node.attach(NET)
        self.own_sockets = own_sockets
        self.listener = Listener(HERE, backlog, self.make)
        self.node.bind(self.listener, HERE.socket)
        self.accepted: list[Connection] = []
        self.out()

    def make(self, remote: XNSAddress) -> Connection:
        number = self.node.free_socket() if self.own_sockets else HERE.socket
        child = Connection(HERE._replace(socket=number), remote, self.node.new_id())
        if self.own_sockets:
            self.node.bind(child, number)
        self.node.adopt(child, self.listener)
        return child

    def gets(self, raw: bytes) -> list:
        self.node.receive(dissect(raw, IDP), self.now)
        return self.out()

    def out(self) -> list:
        sent = [dissect(bytes(packet), IDP) for packet, _, _ in self.node.packets_to_send(self.now)]
        self.node.events()
        return sent

    def waits(self, seconds: float) -> list:
        sent, end = [], self.now + int(seconds * SECOND)
        while (due := self.node.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.node.on_time(self.now)
            sent += self.out()
        self.now = end
        return sent

    def kept(self) -> int:
        """Return how many things it remembers."""
        node, routes = self.node, self.node.routes
        held = (
            node._sockets, node._numbers, node._children, node._timers, node._due, node._touched, node._events, node._here,
            node._held, node._found, routes.table, routes._requests, routes._outbox,
            self.listener._children, self.listener._keys, self.listener._opening, self.listener._opened,
        )  # fmt: skip
        assert len(routes.known) <= 1001  # a cache
        return sum(map(len, held))

    def serves(self, host: int = OTHER, tries: int = 1) -> bool:
        """Say whether a client that asks a few times, seconds apart, gets its data to a reader, and theirs back."""
        there, id = XNSAddress(NET, host, 5000), 99
        for _ in range(tries):
            answers = self.gets(request(there, id))
            hello = next((p for p in answers if SPP in p and p[SPP].destination_id == id), None)
            if hello is not None:
                break
            self.waits(4)
        else:
            return False
        spp = SPP(source_id=id, destination_id=hello[SPP].source_id, alloc=9)
        self.gets(bytes(IDP(dst=hello[IDP].src, src=there) / spp / b"hello"))
        child = self.listener.accept()
        while child is not None and child.remote != there:
            child = self.listener.accept()
        assert child is not None
        packet = child.read()
        child.send(b"back")
        self.node.touch(child)
        return packet is not None and packet.payload == b"hello" and any(p.payload == b"back" for p in self.out())


def request(there: XNSAddress, id: int) -> bytes:
    return bytes(IDP(dst=HERE, src=there) / SPP(control=SYSTEM | SEND_ACK, source_id=id, alloc=7))


# Floods: name -> the number of a packet -> its bytes.
FLOODS: dict[str, Callable[[int], bytes]] = {
    "one host, many sockets": lambda n: request(XNSAddress(NET, 0x02BAD0000001, 1 + n % 0xFFFE), 1 + n % 999),
    "one socket, many ids": lambda n: request(XNSAddress(NET, 0x02BAD0000001, 5), 1 + n % 0xFFFD),
    "many hosts": lambda n: request(XNSAddress(NET, 0x02BAD0000000 + n, 5), 7),
    "many networks": lambda n: request(XNSAddress(0x1000 + n, 0x02BAD0000000, 5), 7),
    "data for connections that never were": lambda n: bytes(
        IDP(dst=HERE, src=XNSAddress(0x1000 + n, 0x02BAD0000000, 5)) / SPP(source_id=7, destination_id=1 + n % 999)
    ),
    "ends for connections that never were": lambda n: bytes(
        IDP(dst=HERE, src=XNSAddress(NET, OTHER, 5)) / SPP(datastream=254, source_id=7, destination_id=1 + n % 999)
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flood", "own_sockets", "many"),
    [("many hosts", False, amount(6000, 20_000)), *((flood, own, 1500) for flood in FLOODS for own in (False, True))],
)
def test_a_flood_leaves_no_trace_and_shuts_nobody_out(flood, own_sockets, many) -> None:
    server = Server(own_sockets=own_sockets)
    before = server.kept()
    most, sent = 0, 0
    for n in range(many):
        sent += len(server.gets(FLOODS[flood](n)))
        most = max(most, server.kept())
        if n % 100 == 0:
            sent += len(server.waits(0.01))
    assert most - before < 300 and sent < 3 * many
    assert server.serves(tries=3)  # a few seconds later: those that never answered give way
    server.waits(120)
    assert server.kept() - before < 30


def test_a_half_open_connection_that_answers_keeps_its_place() -> None:
    """What gives way has not answered three times; a client on a slow link has."""
    server = Server(backlog=1)
    slow = XNSAddress(NET, OTHER, 5000)
    (hello,) = server.gets(request(slow, 9))
    server.waits(2)
    assert server.gets(request(XNSAddress(NET, OTHER + 1, 5), 7)) == []  # not yet
    server.gets(bytes(IDP(dst=HERE, src=slow) / SPP(control=SYSTEM, source_id=9, destination_id=hello[SPP].source_id)))
    server.waits(10)
    assert server.gets(request(XNSAddress(NET, OTHER + 1, 5), 7)) == []  # open, and not yet accepted
    assert server.listener.accept().remote == slow


def steps(work: Callable[[], object]) -> int:
    """Return how many calls it takes."""
    count = 0

    def counting(frame, event, argument) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counting)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def linear(make: Callable[[int], Callable[[], object]], n: int) -> None:
    """Fail where twice the input costs notably more than twice the steps."""
    costs = [steps(make(n * factor)) for factor in (1, 2, 4)]
    assert costs[1] < 2.3 * costs[0] and costs[2] < 2.3 * costs[1], costs


@pytest.mark.slow
@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("backlog", [5, 100_000])
def test_a_flood_costs_as_much_as_it_is_long(flood, backlog) -> None:
    def make(n: int) -> Callable[[], object]:
        server = Server(backlog=backlog)
        packets = [FLOODS[flood](k) for k in range(n)]

        def work() -> None:
            for packet in packets:
                server.gets(packet)
                server.listener.accept()

        return work

    linear(make, 120)


@pytest.mark.parametrize("own_sockets", [False, True])
def test_connections_that_open_and_end_cost_as_much_as_there_are(own_sockets) -> None:
    def make(n: int) -> Callable[[], object]:
        server = Server(backlog=n, own_sockets=own_sockets)

        def work() -> None:
            before = server.kept()
            ends = []
            for k in range(n):
                there = XNSAddress(NET, 0x02BAD0000000 + k, 5)
                (hello,) = server.gets(request(there, 7))
                head, id = IDP(dst=hello[IDP].src, src=there), hello[SPP].source_id
                server.gets(bytes(head / SPP(control=SYSTEM, source_id=7, destination_id=id, alloc=9)))
                ends.append((head, id))
            accepted = [server.listener.accept() for _ in range(n)]
            for (head, id), child in zip(ends, accepted, strict=True):
                server.gets(bytes(head / SPP(datastream=254, source_id=7, destination_id=id, alloc=9)))
                assert child is not None and child.ended
                last = SPP(datastream=255, source_id=7, destination_id=id, seq=1, ack=1, alloc=9)
                server.gets(bytes(head / last))
                assert child.state is SPPState.CLOSED
            server.waits(60)
            assert server.kept() - before < 10

        return work

    linear(make, 50)


def test_all_socket_numbers_in_use_is_a_full_listener_and_no_exception() -> None:
    server = Server(backlog=100_000, own_sockets=True)
    for number in range(1, 0x10000):
        if number not in server.node._sockets:
            server.node.bind(Listener(HERE, 1, server.make), number)
    assert server.gets(request(XNSAddress(NET, OTHER, 5), 7)) == []


@pytest.mark.parametrize("router", [False, True])
def test_routing_information_from_strangers_is_bounded_and_costs_what_it_is_long(router) -> None:
    def make(n: int) -> Callable[[], object]:
        server = Server(router=router)
        packets = [
            bytes(
                IDP(dst=XNSAddress(NET, 0xFFFFFFFFFFFF, 1), src=XNSAddress(NET, OTHER, 1))
                / RIP(operation=2, entries=tuple(RIPEntry(net=1000 + 90 * k + i, hops=3) for i in range(90)))
            )
            for k in range(n)
        ]

        def work() -> None:
            for packet in packets:
                server.gets(packet)
            assert len(server.node.routes.table) <= 4096

        return work

    linear(make, 5)
    make(300)()


# Packets that a real peer would never send ------------------------------------------------------------------------


def recorded() -> list[bytes]:
    """Return packets that 4.4BSD and Dodo sent, from IDP on."""
    frames = [frame for name in ("bsd-bsd.pcap", "dodo_checksums.pcap") for frame in Capture(CORPUS / name)]
    raw = [EthernetFraming(b"").unwrap(b"\1" + bytes(frame.data)[1:]) for frame in frames]
    return [each for each in raw if each is not None and SPP in dissect(each, IDP)]


RECORDED = recorded()


def mutated(draw: Random, ours: list[int], theirs: int, there: XNSAddress) -> bytes:
    """Return a packet that may be of the connection with these ids, with a field, a few bits or all of it drawn."""
    packet = dissect(draw.choice(RECORDED), IDP)
    fields = {
        "source_id": draw.choice([theirs, theirs, 0, 0xFFFF, draw.randrange(0x10000)]),
        "destination_id": draw.choice([*ours, *ours, 0, 0xFFFF, draw.randrange(0x10000)]),
        "control": draw.choice([0, SEND_ACK, SYSTEM, SYSTEM | SEND_ACK, ATTENTION, EOM, draw.randrange(256)]),
        "datastream": draw.choice([0, 0, 0, 1, 254, 255]),
        "seq": draw.choice([0, 1, 2, draw.randrange(20), draw.randrange(0x10000)]),
        "ack": draw.choice([0, 1, draw.randrange(20), draw.randrange(0x10000)]),
        "alloc": draw.choice([5, draw.randrange(20), draw.randrange(0x10000)]),
    }
    data = packet.payload[: draw.choice([0, 1, 2, 600])]
    raw = bytearray(bytes(IDP(dst=HERE, src=there) / SPP(**fields) / data))
    if draw.random() < 0.3:
        for _ in range(draw.randint(1, 4)):
            raw[draw.randrange(2, len(raw))] ^= 1 << draw.randrange(8)
        raw[:2] = b"\xff\xff"  # no checksum, so that they are looked at
    if draw.random() < 0.1:
        raw = raw[: draw.randrange(len(raw))]
    if draw.random() < 0.1:
        return bytes(IDP(dst=HERE, src=there) / Error(number=draw.choice([0, 2, 3, 4, 0x202, 0x205])) / bytes(raw[:42]))
    return bytes(raw)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_whatever_a_peer_sends_raises_nothing_and_leaves_the_listener_to_others(seed) -> None:
    draw = Random(seed)
    server = Server(own_sockets=draw.random() < 0.5)
    there = XNSAddress(NET, OTHER, 600)
    before, most = server.kept(), 0
    connections: list[Connection] = []
    for n in range(500):
        ids = [child.source_id for child in connections[-3:]] or [1]
        packet = request(there, 7) if n % 100 == 0 else mutated(draw, ids, 7, there)
        sent = server.gets(packet)
        assert len(sent) < 80
        if (child := server.listener.accept()) is not None:
            connections.append(child)
        for child in connections:
            while draw.random() < 0.8 and child.read() is not None:
                pass
            if child.state is SPPState.OPEN and draw.random() < 0.1:
                child.send(b"x" * draw.randrange(100))
            if child.state is SPPState.OPEN and draw.random() < 0.01:
                child.close(server.now)
            server.node.touch(child)
        server.out()
        most = max(most, server.kept())
        server.waits(draw.choice([0, 0, 0.01, 1]))
    assert most - before < 200
    assert server.serves(host=OTHER + 5, tries=3)
    for child in connections:  # what a program would do at last
        while child.read() is not None:
            pass
        child.abort(server.now)
        server.node.touch(child)
    server.out()
    server.waits(3600)
    assert all(child.over for child in connections)


def test_finished_is_said_once() -> None:
    connection = Connection(HERE, HERE._replace(host=OTHER), 7)
    connection.connect(0)
    connection.abort(0)
    connection.abort(0)
    connection.close(0)
    assert sum(isinstance(event, Finished) for event in connection.events()) == 1
