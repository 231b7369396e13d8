"""Headers that sockets write stand over headers with both ends' addresses, as those that they read do."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from packetlab import (
    IDP,
    SPP,
    TCP,
    U8,
    U16,
    BuildError,
    Bytes,
    Context,
    Header,
    IPv4,
    LocalHost,
    Packet,
    Rest,
    SimNetwork,
    auto,
    bindings,
    dissect,
    field,
    named,
    recalled,
    receiver,
    sender,
    size_of,
    sized,
    through,
    when,
)
from tests.sockets.test_background import HERE


@pytest.fixture(scope="module", autouse=True)
def declared() -> Iterator[None]:
    global Msg, Up, Down, Open, Data, Over, Typed, Kept, Packed
    with bindings():

        class Msg(Header, stream=True):
            kind: U8 = 0
            length: U8 = auto(size_of("payload"))

        class Up(Header, under=Msg, when=(field("kind") == 1) & (field("TCP.sport") > field("TCP.dport"))):
            count: U8 | None = when(field("TCP.sport") > 0, 1)

        class Down(Header, under=Msg, when=(field("kind") == 1) & (field("TCP.sport") < field("TCP.dport"))):
            data: Rest = b""

        class Open(Header, under=Msg, when={"kind": 2}, remembers={("check", sender()): field("size")}):
            size: U8 = 2

        class Data(Header, under=Msg, when={"kind": 3}):
            check: Bytes = sized(recalled("check", receiver()), b"")
            body: Rest = b""

        class Over(Header):
            port: U8 | None = when(field("UDP.dport") == 5021, 7)
            body: Rest = b""

        class Typed(Header, under=IDP, when={"packet_type": 77}):
            count: U8 | None = when(field("IDP.packet_type") == 77, 1)

        class Kept(Header):
            stream: U8 | None = when(field("SPP.datastream") == 9, 5)
            near: U8 | None = when(field("IDP.packet_type") == 5, 6)

        def state() -> tuple[Any, Any]:
            return zlib.decompressobj(), zlib.compressobj()

        def closed(s: tuple[Any, Any], data: bytes) -> bytes:
            return bytes(s[1].compress(data) + s[1].flush(zlib.Z_SYNC_FLUSH))

        class Packed(Header, stream=True):
            length: U16 = auto(size_of("body"))
            body: Bytes = through(
                named("stream", lambda s, data: s[0].decompress(data), closed, state=state, key=(sender(), receiver())),
                sized(field("length")),
            )

        yield


@pytest.fixture(params=["here", "xns"])
def clients(request: Any) -> Iterator[tuple[tuple[Any, Any], tuple[Any, Any]]]:
    """Two connections to one listener, of each the client's end and the server's."""
    if request.param == "xns":
        net = SimNetwork(1)
        near, far = net.host("near"), net.host("far")
        net.link(near, far, delay=0.01)
        listener = far.socket("stream")
        listener.bind(3000)
        address: Any = far.at(3000)
    else:
        near = far = LocalHost()
        listener = far.socket("stream", family="inet")
        listener.bind(("127.0.0.1", 0))
        address = listener.address
    listener.listen()
    pairs = []
    for _ in range(2):
        client = near.socket("stream", family=listener.family)
        client.connect(address)
        pairs.append((client, listener.accept()))
        client.timeout = pairs[-1][1].timeout = 5
    yield pairs[0], pairs[1]
    for client, accepted in pairs:
        client.close()
        accepted.close()
    listener.close()
    if request.param == "here":
        near.close()


@pytest.fixture
def tcp() -> Iterator[tuple[Any, Any]]:
    host = LocalHost()
    listener = host.socket("stream", family="inet")
    listener.bind((HERE, 5020))
    listener.listen()
    client = host.socket("stream", family="inet")
    client.connect(listener.address)
    accepted = listener.accept()
    client.timeout = accepted.timeout = 5
    yield client, accepted
    for each in (client, accepted, listener, host):
        each.close()


def test_requests_and_replies_are_told_by_the_ports(tcp: tuple[Any, Any]) -> None:
    client, server = tcp
    client.write(Msg(kind=1) / Up())
    assert (got := server.read_packet(Msg))[Up].count == 1 and not got.faults
    client.write(Msg(kind=1) / Up(count=5))
    assert server.read_packet(Msg)[Up].count == 5
    server.write(Msg(kind=1) / Down(data=b"abc"))
    assert client.read_packet(Msg)[Down].data == b"abc"


def test_what_was_read_is_written_as_it_is(tcp: tuple[Any, Any]) -> None:
    client, server = tcp
    read = dissect(b"\1\3\5ab", Msg, below=[TCP(sport=9, dport=8)])
    client.write(read)
    assert server.read(5) == b"\1\3\5ab"
    client.write(Packet((), b"plain"))
    assert server.read(5) == b"plain"


def test_a_packet_that_was_built_alone_is_built_for_its_connection(tcp: tuple[Any, Any]) -> None:
    client, server = tcp
    packet = Msg(kind=1) / Up()
    assert bytes(packet) == b"\1\0"
    client.write(packet)
    assert server.read_packet(Msg)[Up].count == 1


def test_each_connection_has_agreed_on_its_own(clients: Any) -> None:
    (one, first), (two, second) = clients
    with Context():
        one.write(Msg() / Open(size=3))
        assert first.read_packet(Msg)[Open].size == 3
        two.write(Msg() / Open(size=2))
        assert second.read_packet(Msg)[Open].size == 2
        second.write(Msg() / Data(check=b"zz", body=b"q"))
        first.write(Msg() / Data(check=b"xyz", body=b"q"))
        for end, check in ((one, b"xyz"), (two, b"zz")):
            got = end.read_packet(Msg)
            assert (got[Data].check, got[Data].body, got.faults) == (check, b"q", ())
        with pytest.raises(BuildError, match="expected 3 bytes, as recalled"):
            first.write(Msg() / Data(check=b"zz"))


def test_each_connection_has_a_state_of_its_own(clients: Any) -> None:
    (one, first), (two, second) = clients
    with Context():
        for writer, reader in ((one, first), (two, second), (one, first), (first, one)):
            writer.write(Packed(body=b"the same words again"))
            got = reader.read_packet(Packed)
            assert (got[Packed].body, got.faults) == (b"the same words again", ())


@pytest.fixture
def datagrams() -> Iterator[tuple[Any, Any]]:
    """A socket at port 5021, and one that has no port yet."""
    host = LocalHost()
    server, client = (host.socket("datagram", family="inet") for _ in range(2))
    server.bind((HERE, 5021))
    server.timeout = client.timeout = 5
    yield server, client
    for each in (server, client, host):
        each.close()


def test_datagrams_know_their_ports(datagrams: tuple[Any, Any]) -> None:
    server, client = datagrams
    client.write(Over(body=b"x"), server.address)
    assert server.read() == b"\7x"
    client.connect(server.address)
    client.write(Over(port=9))
    assert server.read() == b"\x09"
    server.write(Over(body=b"y"), client.address)
    assert client.read() == b"y"


def test_the_first_datagram_has_the_port_that_its_key_says(datagrams: tuple[Any, Any]) -> None:
    server, client = datagrams
    with Context():
        client.write(Open(size=4), server.address)
        data, source = server.read_from()
        server.write(Data(check=b"abcd"), source)
        with pytest.raises(BuildError, match="expected 4 bytes, as recalled"):
            server.write(Data(check=b"ab"), source)
    assert (data, client.read()) == (b"\4", b"abcd")


def test_a_raw_socket_sends_checksums_of_its_ends(lab: Any) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.socket("raw", family="inet", protocol=6) as one, b.socket("raw", family="inet", protocol=6) as two:
        two.timeout = 5
        one.write(TCP(sport=5030, dport=5031) / b"x", to=str(b.address))
        packet = dissect(two.read(), IPv4)
    assert packet[TCP].checksum == (IPv4(src=packet[IPv4].src, dst=packet[IPv4].dst) / TCP(sport=5030, dport=5031) / b"x")[TCP].checksum
    assert str(packet[IPv4].src) == str(a.address)


def test_datagrams_of_idp_are_built_once_and_over_their_header() -> None:
    net = SimNetwork(1)
    near, far = net.host("near"), net.host("far")
    net.link(near, far, delay=0.01)
    one, two = near.socket("datagram"), far.socket("datagram")
    two.bind(3000)
    assert one.write(Typed(count=5), far.at(3000)) == 1
    assert two.read_packet()[Typed].count == 5
    assert one.write(SPP(datastream=3) / b"abcd", far.at(3000)) == 16


def test_sequenced_packets_know_their_own_headers() -> None:
    net = SimNetwork(1)
    near, far = net.host("near"), net.host("far")
    net.link(near, far, delay=0.01)
    listener, one = far.socket("seqpacket"), near.socket("seqpacket")
    listener.bind(3000)
    listener.listen()
    one.connect(far.at(3000))
    two = listener.accept()
    one.write(SPP(datastream=9) / Kept())
    one.write(Kept())
    assert (two.read(), two.read()) == (b"\5\6", b"\6")


@pytest.mark.parametrize("family", ["inet", "xns"])
def test_what_a_websocket_sends_is_built_over_the_headers_of_its_stream(family: str) -> None:
    class Ask(Header):
        near: U8 | None = when(field("TCP.dport" if family == "inet" else "IDP.packet_type") > 0, 7)
        told: Bytes = sized(recalled("check", receiver()), b"")

    net = SimNetwork(1)
    near, far = (LocalHost(), LocalHost()) if family == "inet" else (net.host("near"), net.host("far"))
    if family == "xns":
        net.link(near, far, delay=0.01)
    listener, one = far.socket("websocket", family=family), near.socket("websocket", family=family)
    listener.bind(3000 if family == "xns" else ("127.0.0.1", 0))
    listener.listen()
    one.connect(far.at(3000) if family == "xns" else listener.address)
    two = listener.accept()
    with Context():
        one.write(Open(size=3))
        below = one.stream._headers_towards()
        dissect(two.read(), Open, below=below)
        two.write(Ask(told=b"abc"))
        assert one.read() == b"\7abc"
        with pytest.raises(BuildError, match="expected 3 bytes, as recalled"):
            two.write(Ask(told=b"ab"))
        with pytest.raises(BuildError, match="expected 3 bytes, as recalled"):
            two.write_raw(Ask(told=b"ab"))
    for each in (one, two, listener):
        each.abort()
    for host in (near, far) if family == "inet" else ():
        host.close()
