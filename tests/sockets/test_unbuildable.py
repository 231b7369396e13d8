"""Packets that cannot be built are refused at the call, with nothing queued: other packets, sockets and peers go on."""

from __future__ import annotations

import errno

import pytest

from packetlab import IDP, SPP, Control, Echo, SimNetwork, any_value, between
from packetlab.engine.contract import Endpoint, Ignored
from packetlab.errors import SocketMisuse

ATTENTION = Control.ATTENTION


class World:
    """Two hosts with a connection, and a datagram socket each."""

    def __init__(self, kind: str = "seqpacket") -> None:
        net = SimNetwork(1)
        self.a, self.b = net.host("a"), net.host("b")
        net.link(self.a, self.b)
        server, self.client = self.b.socket(kind), self.a.socket(kind)
        server.bind(3000)
        server.listen()
        self.client.connect(self.b.at(3000))
        self.peer = server.accept()
        self.datagram, self.reader = self.a.socket("datagram"), self.b.socket("datagram")
        self.reader.bind(60)
        self.raw = self.a.socket("raw")

    def goes_on(self) -> None:
        self.client.write(b"next")
        assert self.peer.read() == b"next"
        self.datagram.write(b"beside", to=self.b.at(60))
        assert self.reader.read() == b"beside"
        self.client.abort()


@pytest.fixture(params=["seqpacket", "stream"])
def world(request) -> World:
    return World(request.param)


def default(socket, header) -> None:
    socket.default_header = header


def group(socket, header, force=False) -> None:
    with socket.header(header, force=force):
        pytest.fail("refused where it is given")


PATTERNS = {
    "header=": (lambda w: w.client.write(b"x", header=IDP(hops=any_value)), "IDP.hops"),
    "with the data": (lambda w: w.client.write(IDP(hops=any_value) / b"x"), "IDP.hops"),
    "default": (lambda w: default(w.client, IDP(hops=between(1, 5))), "IDP.hops"),
    "group": (lambda w: group(w.client, IDP(hops=any_value)), "IDP.hops"),
    "forced group": (lambda w: group(w.client, SPP(ack=any_value), force=True), "SPP.ack"),
    "datastream": (lambda w: w.client.write(b"x", header=SPP(datastream=any_value)), "SPP.datastream"),
    "control": (lambda w: w.client.write(b"x", header=SPP(control=any_value)), "SPP.control"),
    "forced seq": (lambda w: w.client.write(b"x", header=SPP(seq=any_value), force=True), "SPP.seq"),
    "forced datastream": (
        lambda w: w.client.write(b"x", header=SPP(datastream=any_value), force=True),
        "SPP.datastream",
    ),
    "forced control": (lambda w: w.client.write(b"x", header=SPP(control=any_value), force=True), "SPP.control"),
    "forced destination": (lambda w: w.client.write(IDP(dst=any_value) / b"x", force=True), "IDP.dst"),
    "data": (lambda w: w.client.write(Echo(operation=any_value) / b"x"), "Echo.operation"),
    "datagram": (lambda w: w.datagram.write(b"x", to=w.b.at(60), header=IDP(hops=any_value)), "IDP.hops"),
    "datagram's default": (lambda w: default(w.datagram, IDP(packet_type=any_value)), "IDP.packet_type"),
    "datagram's group": (lambda w: group(w.datagram, IDP(hops=any_value)), "IDP.hops"),
    "forced datagram": (
        lambda w: w.datagram.write(b"x", to=w.b.at(60), header=IDP(src=any_value), force=True),
        "IDP.src",
    ),
    "raw": (
        lambda w: w.raw.write(IDP(dst=w.b.at(60).xns(w.a), src=w.a.at(9).xns(w.b), hops=any_value) / b"x"),
        "IDP.hops",
    ),
    "raw destination": (lambda w: w.raw.write(IDP(dst=any_value) / b"x"), "IDP.dst"),
}


@pytest.mark.parametrize("how", PATTERNS)
def test_a_pattern_to_send_is_refused_where_it_is_given(world: World, how: str) -> None:
    call, field = PATTERNS[how]
    with pytest.raises(SocketMisuse, match=rf"socket of a: .*{field}: expected one value .*\(EINVAL: .+\)") as caught:
        call(world)
    assert caught.value.errno == errno.EINVAL
    world.goes_on()


TOO_BIG = {
    "sequenced": (lambda w: w.client.write(bytes(70000), force=True), 65493),
    "beside": (lambda w: w.client.write(bytes(65494), header=SPP(seq=9), force=True), 65493),
    "with a length": (lambda w: w.client.write(bytes(70000), header=IDP(length=9), force=True), 65493),
    "datagram": (lambda w: w.datagram.write(bytes(65506), to=w.b.at(60), force=True), 65505),
    "raw": (lambda w: w.raw.write(bytes(IDP(dst=(0x401, 2, 3), src=(0x401, 1, 3)) / b"") + bytes(70000)), 65535),
}


@pytest.mark.parametrize("how", TOO_BIG)
def test_more_than_a_packet_holds_is_refused_forced_or_not(how: str) -> None:
    world, (call, most) = World(), TOO_BIG[how]
    with pytest.raises(SocketMisuse, match=rf"socket of a: write: .*at most {most} bytes.*\(EMSGSIZE: .+\)") as caught:
        call(world)
    assert caught.value.errno == errno.EMSGSIZE
    world.goes_on()


def test_the_largest_of_packets_goes() -> None:
    world = World()
    world.client.write(bytes(65493), force=True)
    world.datagram.write(bytes(65505), to=world.b.at(60), force=True)
    world.reader.timeout = 1
    assert world.peer.read() == bytes(65493) and world.reader.read() == bytes(65505)


ATTENTIONS = {
    "none": lambda c: c.attention(b""),
    "two": lambda c: c.attention(b"xx"),
    "a prototype with none": lambda c: c.write(b"", header=SPP(control=ATTENTION)),
    "a prototype with two": lambda c: c.write(b"xx", header=SPP(control=ATTENTION)),
}


@pytest.mark.parametrize("how", ATTENTIONS)
def test_an_attention_of_other_than_one_byte_is_misuse(world: World, how: str) -> None:
    with pytest.raises(SocketMisuse, match=r"socket of a: (attention|write): .*one byte.*\(EINVAL: .+\)") as caught:
        ATTENTIONS[how](world.client)
    assert caught.value.errno == errno.EINVAL
    world.goes_on()


@pytest.mark.parametrize("datastream", [254, 255])
def test_a_datastream_of_the_close_is_refused_as_a_default_too(world: World, datastream: int) -> None:
    for call in (
        lambda: default(world.client, SPP(datastream=datastream)),
        lambda: group(world.client, SPP(datastream=datastream)),
        lambda: world.client.write(b"x", header=SPP(datastream=datastream)),
    ):
        with pytest.raises(SocketMisuse, match=rf"socket of a: .*datastream: expected 0\.\.253, got {datastream}"):
            call()
    world.goes_on()


def test_of_what_cannot_be_built_after_all_its_own_connection_hears_and_nobody_else() -> None:
    world = World()
    connection = world.client._connection
    connection.send(b"poison", idp={"hops": any_value})  # the engine takes what it is given
    world.datagram.write(b"beside", to=world.b.at(60))
    world.a.schedule(connection)
    assert world.reader.read() == b"beside"
    with pytest.raises(SocketMisuse, match=r"SPP .* to .*: IDP.hops: expected one value") as caught:
        world.client.write(b"next")
    assert caught.value.errno == errno.EINVAL
    with pytest.raises(ConnectionResetError):  # by an Error, so that it need not wait
        world.peer.read()
    assert any("cannot be built" in event.why for event in world.a.log if isinstance(event, Ignored))
    world.datagram.write(b"beside", to=world.b.at(60))
    assert world.reader.read() == b"beside"


def test_an_endpoint_of_ones_own_that_makes_none_but_such_holds_up_nobody() -> None:
    class Poison(Endpoint):
        def packets_to_send(self, now):
            return [IDP(dst=(0x401, 2, 3), src=(0x401, 1, 3), hops=any_value) / b"x"]

    world, poison = World(), Poison()
    world.a.xns.node.bind(poison, 77)
    world.a.schedule(poison)
    world.goes_on()


def test_an_answer_and_a_request_that_cannot_be_built_hold_up_nobody() -> None:
    world = World()
    world.b.answer(8, lambda data: bytes(70000))
    with pytest.raises(TimeoutError):
        world.a.exchange(world.b.at(8), b"x", tries=2)
    with pytest.raises(SocketMisuse, match="PEX to .*: PEX.client_type: expected one value"):
        world.a.exchange(world.b.at(8), b"x", any_value)
    world.goes_on()
