"""Who gets a packet, which Error answers what, and which way packets go (ns_input.c, ns_error.c, XNSrouted)."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import IDP, PEX, RIP, SPP, Control, Echo, Error, LocalProtocolError, Node, RIPEntry, XNSAddress, dissect
from packetlab.engine.xns.datagram import Datagrams
from packetlab.engine.xns.pex import Exchange, Responder
from packetlab.engine.xns.spp import Connection
from packetlab.engine.xns.spp_listener import Listener
from tests.conftest import amount

SECOND = 10**9
NET, HOST, OTHER = 0x401, 0x02000000000A, 0x02000000000B
HERE, THERE = XNSAddress(NET, HOST, 3000), XNSAddress(NET, OTHER, 4000)
EVERYBODY = XNSAddress(NET, 0xFFFFFFFFFFFF, 9)


class Host:
    """A node, and a clock."""

    def __init__(self, *nets: int, host: int = HOST, router: bool = False) -> None:
        self.node = Node(host, router=router)
        for net in nets or (NET,):
            self.node.attach(net)
        self.now = 0
        self.out()

    def gets(self, packet, via: int = 0):
        """Give it a packet; return what it sends: (packet, interface, host)."""
        raw = packet if isinstance(packet, bytes) else bytes(packet)
        self.node.receive(dissect(raw, IDP), self.now, via)
        return self.out()

    def out(self):
        self.departures = [(dissect(bytes(p), IDP), via, to) for p, via, to in self.node.packets_to_send(self.now)]
        self.why = [event.why for event in self.node.events() if hasattr(event, "why")]
        return [packet for packet, _, _ in self.departures]

    def waits(self, seconds: float):
        """Let time pass; return what it sends meanwhile."""
        sent, end = [], self.now + int(seconds * SECOND)
        while (due := self.node.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.node.on_time(self.now)
            sent += self.out()
        self.now = end
        return sent


def idp(**fields):
    return IDP(**{"dst": HERE, "src": THERE, **fields})


def broken(packet) -> bytes:
    return bytes([bytes(packet)[0] ^ 1]) + bytes(packet)[1:]


# Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 5, 12, 100])
def test_an_error_quotes_42_bytes_or_all_and_goes_to_where_the_packet_came_from(size) -> None:
    offender = idp(packet_type=9) / bytes(range(size))
    (error,) = Host().gets(offender)
    assert error[Error].number == 2 and (error[IDP].dst, error[IDP].src) == (THERE, HERE)
    assert bytes(error)[34 : error[IDP].length] == bytes(offender)[: min(42, 30 + size)]
    assert error.verdict(IDP).name == "GOOD"


def test_a_bad_checksum_is_error_1_and_none_is_no_fault() -> None:
    host = Host()
    (error,) = host.gets(broken(idp(packet_type=9) / b"data"))
    assert error[Error].number == 1 and "wrong checksum" in host.why[0]
    endpoint = Datagrams()
    host.node.bind(endpoint, 3000)
    host.gets(idp(packet_type=9, checksum=0xFFFF) / b"unchecked")
    assert endpoint.read().payload == b"unchecked"


def test_errors_and_groups_are_never_answered() -> None:
    host = Host()
    for packet in (
        idp(packet_type=3) / Error(number=2) / bytes(idp(packet_type=9)),
        idp(packet_type=9, dst=EVERYBODY),
        idp(packet_type=9, src=EVERYBODY),
        broken(idp(packet_type=9, dst=EVERYBODY)),
    ):
        assert host.gets(packet) == [] and len(host.why) == 1


@pytest.mark.parametrize("data", [b"", b"odd", b"even"])
@pytest.mark.parametrize("checked", [True, False])
def test_an_echo_comes_back_with_a_checksum_where_it_had_one(data, checked) -> None:
    ask = idp(dst=HERE._replace(socket=2), **({} if checked else {"checksum": 0xFFFF})) / Echo(operation=1) / data
    (reply,) = Host().gets(ask)
    assert reply[Echo].operation == 2 and reply.payload == data and reply[IDP].dst == THERE
    assert reply.verdict(IDP).name == ("GOOD" if checked else "NOT_PRESENT")


def test_the_echo_socket_refuses_what_is_no_echo() -> None:
    host, at = Host(), HERE._replace(socket=2)
    assert host.gets(idp(dst=at) / Echo(operation=2))[0][Error].number == 0
    assert host.gets(idp(dst=at, packet_type=9) / b"x")[0][Error].number == 2


def test_a_packet_to_a_closed_connection_draws_error_2_and_an_error_2_ends_one() -> None:
    host = Host()
    (error,) = host.gets(idp() / SPP(control=Control.SEND_ACK, source_id=5, destination_id=7) / b"x")
    assert error[Error].number == 2
    connection = Connection(HERE, THERE, 7)
    host.node.bind(connection, 3000)
    connection.connect(0)
    host.node.touch(connection)
    (request,) = host.out()
    about = Error(number=2) / bytes(request)[:42]
    host.gets(idp(dst=HERE._replace(socket=3)) / about)  # Dodo sends them to socket 3
    assert isinstance(connection.error, ConnectionRefusedError)


def test_a_connection_ignores_what_is_no_packet_of_spp() -> None:
    host = Host()
    connection = Connection(HERE, THERE, 7)
    host.node.bind(connection, 3000)
    assert host.gets(idp() / PEX(id=1) / b"x") == [] and "not a packet of SPP" in host.why[0]


def test_an_error_about_another_connection_changes_nothing() -> None:
    host = Host()
    connection = Connection(HERE, THERE, 7)
    host.node.bind(connection, 3000)
    connection.connect(0)
    host.node.touch(connection)
    host.out()
    for wrong in (
        idp(src=HERE, dst=THERE) / SPP(source_id=8),
        idp(src=HERE, dst=THERE._replace(host=9)) / SPP(source_id=7),
    ):
        assert host.gets(idp() / Error(number=2) / bytes(wrong)) == []
        assert len(host.why) == 1 and connection.error is None


def test_a_full_backlog_is_reported_and_takes_the_request_again_later() -> None:
    host = Host()
    made = []

    def make(remote):
        made.append(Connection(HERE, remote, 100 + len(made)))
        host.node.adopt(made[-1], listener)
        return made[-1]

    listener = Listener(HERE, 1, make)
    host.node.bind(listener, 3000)
    ask = SPP(control=0xC0, alloc=4)
    assert len(host.gets(idp() / ask.replace(source_id=1))) == 1
    assert host.gets(idp() / ask.replace(source_id=2)) == [] and "backlog of 1 is full" in host.why[0]
    host.gets(idp() / ask.replace(source_id=1, control=0x80, destination_id=100))
    assert listener.accept() is made[0]
    assert len(host.gets(idp() / ask.replace(source_id=2))) == 1


def connected(ours: int = 7, theirs: int = 5) -> tuple[Host, Connection]:
    """Return a host with an open connection."""
    host = Host()
    connection = Connection(HERE, THERE, ours)
    host.node.bind(connection, 3000)
    connection.connect(0)
    host.node.touch(connection)
    host.out()
    host.gets(idp() / SPP(control=0xC0, source_id=theirs, destination_id=ours, alloc=9))
    assert connection.state.value == "open"
    return host, connection


@pytest.mark.parametrize(
    "ids",
    [
        {"source_id": 6, "destination_id": 7},
        {"source_id": 5, "destination_id": 8},
        {"source_id": 6, "destination_id": 0},
    ],
    ids=["a second answer", "a connection long gone", "a request to one that does not listen"],
)
@pytest.mark.parametrize("accepted", [False, True], ids=["requested", "accepted"])
def test_ids_of_another_connection_are_nobodys_and_their_sender_hears_of_it(ids, accepted) -> None:
    """RFC 9293 3.5.1: whoever sees numbers of a connection that it does not have says so, and both are rid of it."""
    host, connection = connected()
    if accepted:
        host, connection = Host(), Connection(HERE, THERE, 7)
        listener = Listener(HERE, 5, lambda remote: connection)
        host.node.bind(listener, 3000)
        host.gets(idp() / SPP(control=0xC0, source_id=5, alloc=9))
        host.gets(idp() / SPP(control=0x80, source_id=5, destination_id=7, alloc=9))
        if ids["destination_id"] == 0:
            return  # that is a request for a second connection
    (error,) = host.gets(idp() / SPP(control=0xC0, **ids))
    assert error[Error].number == 2 and "knows this connection" in host.why[0]
    assert connection.state.value == "open"


def test_an_error_about_ids_of_another_connection_ends_none() -> None:
    host, connection = connected()
    for ids in ((7, 6), (8, 5), (7, 0)):
        about = idp(src=HERE, dst=THERE) / SPP(source_id=ids[0], destination_id=ids[1])
        host.gets(idp() / Error(number=2) / bytes(about))
        assert connection.error is None and len(host.why) == 1
    host.gets(idp() / Error(number=2) / bytes(idp(src=HERE, dst=THERE) / SPP(source_id=7, destination_id=5)))
    assert isinstance(connection.error, ConnectionResetError)


# Routes ----------------------------------------------------------------------------------------------------------


def routed() -> Host:
    host = Host(1, 2, router=True)
    host.waits(0.001)
    return host


def test_a_router_counts_hops_keeps_the_pad_and_patches_the_sum() -> None:
    host = routed()
    padded = idp(dst=XNSAddress(2, 99, 5), src=XNSAddress(1, 98, 5), packet_type=9, pad=b"\x5a") / b"odd"
    (packet,) = host.gets(padded)
    ((_, via, to),) = host.departures
    assert packet[IDP].hops == 1 and (via, to) == (1, 99)
    assert bytes(packet)[-1:] == b"\x5a" and packet.verdict(IDP).name == "GOOD"


@pytest.mark.parametrize(
    ("fields", "data", "number", "parameter"),
    [
        ({"hops": 15}, b"", 0x203, 0),
        ({"dst": XNSAddress(77, 99, 5)}, b"", 0x202, 0),
        ({}, bytes(600), 0x204, 576),
    ],
    ids=["hops", "no route", "too big"],
)
def test_what_a_router_cannot_forward_is_reported(fields, data, number, parameter) -> None:
    packet = IDP(**{"dst": XNSAddress(2, 99, 5), "src": XNSAddress(1, 98, 5), "packet_type": 9, **fields}) / data
    (error,) = [p for p in routed().gets(packet) if Error in p]
    assert (error[Error].number, error[Error].parameter) == (number, parameter) and error[IDP].src.host == HOST


def test_a_host_takes_what_has_crossed_fifteen_routers_and_forwards_nothing() -> None:
    host = Host()
    endpoint = Datagrams()
    host.node.bind(endpoint, 3000)
    host.gets(idp(hops=15, packet_type=9) / b"far")
    assert endpoint.read().payload == b"far"
    assert host.gets(idp(dst=XNSAddress(NET, 77, 1))) == [] and "no router" in host.why[0]


def test_three_routers_in_a_row_learn_the_way_and_forget_it() -> None:
    routers = [Host(n, n + 1, host=n, router=True) for n in (1, 2, 3)]

    def deliver(departures, sender):
        queue = [(sender, each) for each in departures]
        while queue:
            source, (packet, via, _) = queue.pop(0)
            net = source.node.interfaces[via][0]
            for other in routers:
                place = next((i for i, (known, _) in enumerate(other.node.interfaces) if known == net), None)
                if other is not source and place is not None:
                    other.gets(packet, place)
                    queue += [(other, each) for each in other.departures]

    for router in routers * 2:
        router.node.touch(router.node.routes)
        router.node.routes._announce_all(router.now)
        router.out()
        deliver(router.departures, router)
    first, last = routers[0].node.routes.table, routers[2].node.routes.table
    assert {net: route.hops for net, route in first.items()} == {1: 0, 2: 0, 3: 1, 4: 2}
    assert {net: route.hops for net, route in last.items()} == {1: 2, 2: 1, 3: 0, 4: 0}
    # Split horizon: what was learned on a network is not announced there.
    routers[0].node.routes._announce(1, XNSAddress(2, 0xFFFFFFFFFFFF, 1))
    routers[0].node.touch(routers[0].node.routes)
    reported = [(entry.net, entry.hops) for packet in routers[0].out() for entry in packet[RIP].entries]
    assert reported == [(1, 1), (2, 1)]
    routers[0].waits(181)
    assert set(first) == {1, 2}


def test_routers_speak_every_thirty_seconds_and_answer_requests() -> None:
    host = routed()
    reported = host.waits(300)
    assert len(reported) == 2 * 10 and all(packet[RIP].operation == 2 for packet in reported)
    ask = idp(dst=XNSAddress(1, 0xFFFFFFFFFFFF, 1), src=XNSAddress(1, 98, 77))
    (answer,) = host.gets(ask / RIP(operation=1, entries=(RIPEntry(net=2, hops=16),)))
    assert answer[IDP].dst == XNSAddress(1, 98, 77) and [(e.net, e.hops) for e in answer[RIP].entries] == [(2, 1)]


# XNSrouted (4.4BSD, sbin/XNSrouted): output.c and input.c send min(rt_metric + 1, 16), an interface's own metric being 0;
# input.c enters a metric as it came, and answers a request for a network it does not know with 16.
HEARD = [(50, 1, 1), (51, 7, 7), (52, 15, 15)]  # network, hops as they came, hops in the table
ANNOUNCED = [(1, 1), (2, 1), (50, 2), (51, 8), (52, 16)]


def test_hops_count_as_xnsrouted_counts_them() -> None:
    host = routed()
    tell = idp(dst=XNSAddress(1, 0xFFFFFFFFFFFF, 1), src=XNSAddress(1, 98, 1))
    host.gets(tell / RIP(operation=2, entries=tuple(RIPEntry(net=net, hops=hops) for net, hops, _ in HEARD)))
    table = host.node.routes.table
    assert [(net, table[net].hops) for net, _, _ in HEARD] == [(net, hops) for net, _, hops in HEARD]
    ask = idp(dst=XNSAddress(2, HOST, 1), src=XNSAddress(2, 97, 77))
    nets = (*(net for net, _ in ANNOUNCED), 99)
    (answer,) = host.gets(ask / RIP(operation=1, entries=tuple(RIPEntry(net=net) for net in nets)), via=1)
    assert [(e.net, e.hops) for e in answer[RIP].entries] == [*ANNOUNCED, (99, 16)]
    (answer,) = host.gets(ask / RIP(operation=1, entries=(RIPEntry(net=0xFFFFFFFF),)), via=1)
    assert [(e.net, e.hops) for e in answer[RIP].entries] == ANNOUNCED


def test_sixteen_hops_are_out_of_reach() -> None:
    host = routed()
    tell = idp(dst=XNSAddress(1, 0xFFFFFFFFFFFF, 1), src=XNSAddress(1, 98, 1))
    host.gets(tell / RIP(operation=2, entries=(RIPEntry(net=50, hops=15), RIPEntry(net=51, hops=16))))
    assert host.node.routes.to(XNSAddress(50, 5, 5)) == (0, 98) and host.node.routes.to(XNSAddress(51, 5, 5)) is None
    host.gets(tell / RIP(operation=2, entries=(RIPEntry(net=50, hops=16),)))
    assert host.node.routes.to(XNSAddress(50, 5, 5)) is None


def test_what_changes_is_reported_at_once_but_not_more_than_once_a_second() -> None:
    host = routed()
    host.waits(5)
    tell = idp(dst=XNSAddress(1, 0xFFFFFFFFFFFF, 1), src=XNSAddress(1, 98, 1))
    assert len(host.gets(tell / RIP(operation=2, entries=(RIPEntry(net=50, hops=1),)))) == 2
    for hops in range(2, 12):
        assert host.gets(tell / RIP(operation=2, entries=(RIPEntry(net=50, hops=hops),))) == []
    reported = host.waits(1.5)
    assert len(reported) == 2 and [(e.net, e.hops) for e in reported[-1][RIP].entries][-1] == (50, 12)


def test_a_route_is_requested_three_times_and_then_what_waits_is_reported() -> None:
    host, endpoint = Host(), Datagrams()
    host.node.bind(endpoint, 3000)
    endpoint.peer = XNSAddress(9, 5, 5)
    for _ in range(20):
        endpoint.send(IDP(dst=endpoint.peer, src=HERE, packet_type=9) / b"far")
    host.node.touch(endpoint)
    query = host.out()
    assert len(host.why) == 4 and "no route to network 9" in host.why[0]  # no more than 16 wait
    query += host.waits(2.5)
    assert [packet[RIP].operation for packet in query] == [1, 1, 1] and not host.why
    host.waits(1)
    assert len(host.why) == 16 and isinstance(endpoint.error, OSError) and endpoint.error.errno == errno.ENETUNREACH
    assert host.waits(60) == []


def test_a_host_that_knows_no_way_asks_and_sends_when_it_hears() -> None:
    host, endpoint = Host(), Datagrams()
    host.node.bind(endpoint, 3000)
    endpoint.send(IDP(dst=XNSAddress(9, 5, 5), src=HERE, packet_type=9) / b"far")
    host.node.touch(endpoint)
    (ask,) = host.out()
    assert ask[RIP].operation == 1 and [entry.net for entry in ask[RIP].entries] == [9]
    tell = idp(dst=HERE._replace(socket=1), src=THERE._replace(socket=1))
    (packet,) = host.gets(tell / RIP(operation=2, entries=(RIPEntry(net=9, hops=0),)))
    assert packet.payload == b"far" and host.departures[0][2] == OTHER


# Packet exchange -------------------------------------------------------------------------------------------------


def test_a_request_is_repeated_with_its_id_until_a_reply_and_then_no_more() -> None:
    host = Host()
    request = Exchange(HERE, THERE, b"ask", id=77, client_type=1, tries=3)
    host.node.bind(request, 3000)
    host.node.touch(request)
    first = host.out()
    again = host.waits(1.5)
    assert [packet[PEX].id for packet in first + again] == [77, 77]
    host.gets(idp() / PEX(id=78) / b"not mine")
    assert request.reply is None and "not the reply" in host.why[0]
    host.gets(idp() / PEX(id=77) / b"answer")
    assert request.reply.payload == b"answer" and host.waits(10) == []


def test_a_request_without_reply_times_out() -> None:
    host = Host()
    request = Exchange(HERE, THERE, b"ask", id=1, tries=3)
    host.node.bind(request, 3000)
    host.node.touch(request)
    assert len(host.out() + host.waits(60)) == 3 and isinstance(request.error, TimeoutError)
    with pytest.raises(LocalProtocolError, match="540"):
        Exchange(HERE, THERE, bytes(541), id=1)


def test_a_responder_answers_with_the_id_and_type_of_the_request() -> None:
    host = Host()
    host.node.bind(Responder(lambda packet: packet.payload[::-1] or None), 3000)
    (reply,) = host.gets(idp() / PEX(id=5, client_type=8) / b"abc")
    assert (reply[PEX].id, reply[PEX].client_type, reply.payload) == (5, 8, b"cba")
    assert host.gets(idp() / PEX(id=6)) == [] and host.why


@pytest.mark.parametrize("net", [0, 0x999])
def test_a_responder_answers_from_its_own_address_whatever_network_it_was_asked_on(net: int) -> None:
    host = Host()
    host.node.bind(Responder(lambda packet: b"r"), 3000)
    (reply,) = host.gets(idp(dst=HERE._replace(net=net, socket=3000)) / PEX(id=5))
    assert reply[IDP].src == HERE._replace(socket=3000)


# Anything --------------------------------------------------------------------------------------------------------

HEADERS = st.builds(
    SPP, control=st.sampled_from([0, 0x10, 0x20, 0x40, 0x80, 0xC0, 0xFF]), datastream=st.sampled_from([0, 1, 254, 255]),
    source_id=st.sampled_from([0, 5, 0xFFFF]), destination_id=st.sampled_from([0, 1, 100, 0xFFFF]),
    seq=st.integers(0, 0xFFFF) | st.integers(0, 4), ack=st.integers(0, 0xFFFF) | st.integers(0, 4),
    alloc=st.integers(0, 0xFFFF) | st.integers(0, 9),
)  # fmt: skip
PACKETS = (
    st.binary(max_size=80)
    | st.builds(lambda spp, data: bytes(idp() / spp / data), HEADERS, st.binary(max_size=3))
    | st.builds(lambda data: bytes(idp(dst=HERE._replace(socket=1)) / data), st.binary(max_size=40))
    | st.builds(lambda n, data: bytes(idp() / Error(number=n) / data), st.integers(0, 6), st.binary(max_size=60))
    | st.builds(lambda spp: bytes(idp() / Error(number=2) / bytes(idp(src=HERE, dst=THERE) / spp)), HEADERS)
)


@pytest.mark.slow
@settings(max_examples=amount(40, 3000))
@given(
    packets=st.lists(PACKETS, max_size=12),
    asks=st.booleans(),
    router=st.booleans(),
    wish=st.sampled_from(["", "send", "close"]),
)
def test_no_packet_whatever_breaks_a_host_hangs_it_or_goes_unseen(packets, asks, router, wish) -> None:
    host = Host(router=router)
    made: list[Connection] = []
    if asks:
        made.append(Connection(HERE, THERE, 1))
        host.node.bind(made[0], 3000)
        made[0].connect(0)
        host.node.touch(made[0])
    else:

        def make(remote):
            made.append(Connection(HERE, remote, 100 + len(made)))
            host.node.adopt(made[-1], listener)
            return made[-1]

        listener = Listener(HERE, 5, make)
        host.node.bind(listener, 3000)
    host.out()
    for packet in packets:
        sent = host.gets(packet)
        assert len(sent) < 40
        for connection in made:
            while connection.read() is not None:
                pass
            if connection.state.value == "open" and wish == "send":
                connection.send(b"x")
            elif connection.state.value == "open" and wish == "close":
                connection.close(host.now)
            host.node.touch(connection)
        host.out()
        host.now += SECOND // 10
    host.waits(3600)
    # Everything ended, or is at rest: open, with nothing to wait for.
    for connection in made:
        assert connection.over or connection.state.value == "open"
