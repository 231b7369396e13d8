"""Options of sequenced packet and stream sockets, and what they say to misuse (BSD's names beside)."""

from __future__ import annotations

import pytest

from packetlab import (
    IDP,
    SPP,
    Control,
    LocalProtocolError,
    SimNetwork,
    accept as accept_,
    bind as bind_,
    close as close_,
    connect as connect_,
    create,
    listen as listen_,
    read as read_,
    write as write_,
)


@pytest.fixture
def hosts():
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.01)
    return a, b


@pytest.fixture
def pair(hosts):
    return connected(*hosts)


def connected(a, b, kind="seqpacket"):
    server = b.socket(kind)
    server.bind(3000)
    server.listen()
    client = a.socket(kind)
    client.connect(b.at(3000))
    return client, server.accept()


def test_the_eight_verbs_are_functions_too(hosts) -> None:
    a, b = hosts
    server = create(b, "seqpacket")
    bind_(server, 3000)
    listen_(server)
    client = create(a, "seqpacket", family="xns")
    connect_(client, b.at(3000))
    conn = accept_(server)
    assert write_(client, b"hello") == 5
    assert read_(conn) == b"hello"
    close_(client)
    assert read_(conn) == b""
    close_(conn)
    close_(server)


def test_a_default_header_goes_with_every_packet_and_a_prototype_over_it(pair) -> None:
    client, conn = pair
    client.default_header = SPP(datastream=4, control=Control.END_OF_MESSAGE)
    client.write(b"1")
    client.write(b"2", header=SPP(datastream=5))
    with client.header(SPP(datastream=6)):
        client.write(b"3")
        client.write(b"4")
    client.write(b"5")
    headers = [conn.read_packet()[SPP] for _ in range(5)]
    assert [header.datastream for header in headers] == [4, 5, 6, 6, 4]
    assert [bool(header.control & Control.END_OF_MESSAGE) for header in headers] == [True] * 5


@pytest.mark.parametrize(
    "header",
    [
        SPP(seq=5),
        SPP(source_id=1),
        SPP(ack=0),
        SPP(control=Control.SYSTEM),
        SPP(control=Control.SEND_ACK),
        IDP(length=1),
    ],
    ids=repr,
)
def test_what_bsd_would_ignore_in_a_prototype_is_refused(pair, header) -> None:
    client, _ = pair
    with pytest.raises(LocalProtocolError, match=r"SPP\.|IDP\.length"):
        client.write(b"x", header=header)
    with pytest.raises(LocalProtocolError, match=r"SPP\.|IDP\.length"):
        client.default_header = header


@pytest.mark.parametrize("datastream", [254, 255])
def test_the_close_is_not_written_by_hand(pair, datastream) -> None:
    client, _ = pair
    with pytest.raises(LocalProtocolError, match="close"):
        client.write(b"", header=SPP(datastream=datastream))


def test_headers_on_output_are_bytes_before_the_data(pair) -> None:
    client, conn = pair
    client.headers_on_output = True
    client.write(bytes(SPP(datastream=8, control=Control.END_OF_MESSAGE)) + b"data")
    packet = conn.read_packet()
    assert packet[SPP].datastream == 8 and packet.payload == b"data"
    with pytest.raises(LocalProtocolError, match="12 bytes"):
        client.write(b"too short")
    with pytest.raises(LocalProtocolError, match=r"SPP\.seq"):
        client.write(bytes(SPP(seq=1)))
    client.write(bytes(SPP()))
    assert conn.read_packet().payload == b""


def test_headers_on_input_are_network_order_and_last_header_is_the_same(pair) -> None:
    client, conn = pair
    conn.headers_on_input = True
    client.write(b"abc", header=SPP(datastream=3))
    raw = conn.read()
    assert raw == bytes(conn.last_header) + b"abc" and len(raw) == 15


def test_a_misspelt_option_is_an_error(pair) -> None:
    client, _ = pair
    with pytest.raises(AttributeError, match="did you mean 'headers_on_input'"):
        client.headers_on_inptu = True


def test_an_accepted_socket_has_the_options_of_its_listener(hosts) -> None:
    a, b = hosts
    server = b.socket("seqpacket")
    server.bind(3000)
    server.mtu, server.headers_on_input, server.timeout = 100, True, 7.0
    server.default_header = SPP(datastream=2)
    server.listen()
    client = a.socket("seqpacket")
    client.connect(b.at(3000))
    conn = server.accept()
    assert (conn.mtu, conn.headers_on_input, conn.timeout) == (100, True, 7.0)
    conn.write(b"x")
    assert client.read_packet()[SPP].datastream == 2


def test_a_packet_longer_than_the_mtu_is_refused_by_packets_and_split_by_streams(hosts) -> None:
    client, conn = connected(*hosts)
    with pytest.raises(LocalProtocolError, match=r"at most 534 bytes, got 535 \(EMSGSIZE"):
        client.write(bytes(535))
    client.mtu = 10
    with pytest.raises(LocalProtocolError, match="at most 10"):
        client.write(bytes(11))
    client.close()
    conn.close()


def test_a_stream_ends_a_message_with_the_last_piece_of_a_write(hosts) -> None:
    a, b = hosts
    client, conn = connected(a, b, "stream")
    client.mtu = 4
    raw = b.socket("raw")
    client.write(b"0123456789")
    assert conn.read(3) == b"012"
    pieces = []
    while len(pieces) < 3:
        packet = raw.read_packet(where=SPP)
        if packet.payload:
            pieces.append((packet.payload, bool(packet[SPP].control & Control.END_OF_MESSAGE)))
    assert pieces == [(b"0123", False), (b"4567", False), (b"89", True)]


def test_an_empty_packet_is_distinguished_from_the_end(pair) -> None:
    client, conn = pair
    client.write(b"")
    assert conn.read() == b"" and not conn.ended
    client.close()
    assert conn.read() == b"" and conn.ended and conn.read_packet() is None


def test_a_timeout_is_virtual_seconds_and_zero_never_waits(pair) -> None:
    _, conn = pair
    net, before = conn.host.net, conn.host.net.now
    conn.timeout = 90
    with pytest.raises(TimeoutError, match="read"):
        conn.read()
    assert net.now == before + 90 * 10**9
    conn.timeout = 0
    with pytest.raises(BlockingIOError, match="read would have to wait"):
        conn.read()


def test_leaving_a_with_closes_and_an_exception_in_it_aborts(hosts) -> None:
    client, conn = connected(*hosts)
    with client:
        client.write(b"x")
    assert client.closed and conn.read() == b"x" and conn.read() == b""
    conn.close()
    client = hosts[0].socket("seqpacket")
    with pytest.raises(ZeroDivisionError), client:
        client.connect(hosts[1].at(3000))
        raise ZeroDivisionError
    assert client.state.name == "ABORTED"


def misuses():
    """Yield calls that make no sense, and what is said to each."""
    yield lambda a, b: a.socket("seqpacket").write(b"x"), "ENOTCONN"
    yield lambda a, b: a.socket("seqpacket").read(), "ENOTCONN"
    yield lambda a, b: a.socket("seqpacket").accept(), "call listen"
    yield lambda a, b: a.socket("seqpacket").connect("nonsense"), "an XNS address"
    yield lambda a, b: a.socket("seqpacket").connect((0x401, 0, 5)), "host and socket"
    yield lambda a, b: a.socket("seqpacket").bind(70000), "1..65535"
    yield lambda a, b: a.socket("seqpacket").bind(b.at(5)), "EADDRNOTAVAIL"
    yield lambda a, b: (a.socket("seqpacket").bind(5), a.socket("datagram").bind(5)), "EADDRINUSE"
    yield lambda a, b: a.socket("seqpacket").listen(0), "backlog"
    yield lambda a, b: a.socket("seqpacked"), "did you mean 'seqpacket'"
    yield lambda a, b: a.socket("stream", family="ipx"), "xns or inet"
    yield lambda a, b: a.socket("stream", family="inet"), "a host with a kernel"
    yield lambda a, b: a.socket("datagram").listen(), "datagram socket"
    yield lambda a, b: a.socket("datagram").write(b"x"), "destination"
    yield lambda a, b: a.socket("datagram").write(bytes(547), to=b.at(9)), "at most 546"
    yield lambda a, b: a.socket("datagram").write(b"x", to=(0x401, 0xFFFFFFFFFFFF, 9)), "SO_BROADCAST"
    yield lambda a, b: a.socket("datagram").write(b"x", to=b.at(9), header=IDP(length=3)), r"IDP\.length"
    yield lambda a, b: a.socket("raw").write(b"short"), "a whole IDP header"
    yield lambda a, b: a.socket("websocket").write("x"), "a connected socket"
    yield lambda a, b: close_twice(a.socket("seqpacket")).read(), "EBADF"


def test_a_host_without_a_link_says_what_it_lacks() -> None:
    with pytest.raises(LocalProtocolError, match="make a link first"):
        SimNetwork().host("a").socket()


def close_twice(socket):
    socket.close()
    socket.close()
    return socket


@pytest.mark.parametrize(("call", "says"), list(misuses()), ids=[says for _, says in misuses()])
def test_misuse_is_reported_in_clear_words(hosts, call, says) -> None:
    with pytest.raises(LocalProtocolError, match=says):
        call(*hosts)


def test_a_closed_listener_keeps_its_number_until_its_connections_end(hosts) -> None:
    a, b = hosts
    server, client = b.socket("seqpacket"), a.socket("seqpacket")
    server.bind(3000)
    server.listen()
    client.connect(b.at(3000))
    conn = server.accept()
    server.close()
    with pytest.raises(LocalProtocolError, match="EADDRINUSE"):
        b.socket("seqpacket").bind(3000)
    with pytest.raises(ConnectionRefusedError):
        a.socket("seqpacket").connect(b.at(3000))
    client.write(b"still here")
    assert conn.read() == b"still here"
    client.close()
    conn.close()
    b.socket("seqpacket").bind(3000)


def test_a_connection_lost_while_it_waits_says_so(hosts) -> None:
    a, b = hosts
    client, conn = connected(a, b)
    a.xns.node.release(client.address.socket)  # as if the program were gone, and its host still there
    conn.write(b"anybody?")
    with pytest.raises(ConnectionResetError, match="no longer knows") as caught:
        conn.read()
    (note,) = caught.value.__notes__
    assert "the last" in note and "Error number=NO_SOCKET" in note
    with pytest.raises(ConnectionResetError):
        conn.write(b"again")
