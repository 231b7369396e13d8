"""The kernel's sockets with the same verbs: TCP, UDP and raw IP, in a lab and on this machine, both ends in one thread."""

from __future__ import annotations

import errno
import pickle

import pytest

from packetlab import ICMP, IPv4, LocalHost, LocalProtocolError, NeedsPrivilege, dissect


@pytest.fixture(params=["lab", "here"])
def hosts(request):
    """Two hosts with a kernel."""
    if request.param == "lab":
        lab = request.getfixturevalue("lab")
        a, b = lab.host("a"), lab.host("b")
        lab.link(a, b)
        return a, b
    here = LocalHost()
    return here, here


def connected(a, b):
    with b.socket("stream", family="inet") as server:
        server.bind((str(b.address), 0))
        server.listen()
        client = a.socket("stream", family="inet")
        client.connect(server.address)
        return client, server.accept()


def test_tcp_carries_bytes_both_ways_and_ends(hosts) -> None:
    client, conn = connected(*hosts)
    with client, conn:
        client.write("ping")
        assert conn.read() == b"ping"
        conn.write(b"pong" * 1000)
        got = b""
        while len(got) < 4000:
            got += client.read(1000)
        assert got == b"pong" * 1000
        client.close()
        assert conn.read() == b""


def test_a_writer_waits_for_its_reader_and_an_idle_read_ends_in_time(hosts) -> None:
    client, conn = connected(*hosts)
    with client, conn:
        client.timeout = 0.1
        with pytest.raises(TimeoutError, match="write"):
            client.write(bytes(1 << 26))
        conn.timeout = 0
        with pytest.raises(BlockingIOError, match="read would have to wait"):
            while conn.read():
                pass
        client.timeout = 0.05
        with pytest.raises(TimeoutError, match="read: nothing in"):
            client.read()


def test_nobody_there_is_refused(hosts) -> None:
    a, b = hosts
    with a.socket("stream", family="inet") as client, pytest.raises(ConnectionRefusedError, match="refused"):
        client.connect((str(b.address), 1))


def test_udp_datagrams_know_where_they_come_from(hosts) -> None:
    a, b = hosts
    with b.socket("datagram", family="inet") as server, a.socket("datagram", family="inet") as client:
        server.bind((str(b.address), 0))
        client.write(b"hello", to=server.address)
        data, source = server.read_from()
        assert data == b"hello"
        server.write(b"back", to=(str(a.address), source[1]))
        assert client.read() == b"back"
        client.connect(server.address)
        client.write(b"connected")
        assert server.read() == b"connected"
        with pytest.raises(LocalProtocolError, match="no destination"):
            client.write(b"x", to=server.address)


def test_raw_ip_in_a_lab_sees_the_echo_of_its_own_ping(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.socket("raw", family="inet", protocol=1) as raw:
        raw.write(bytes(ICMP(type=8) / b"\0\1\0\1ping"), to=str(b.address))
        packet = dissect(raw.read(), IPv4)
        assert packet[ICMP].type == 0 and bytes(packet).endswith(b"ping") and str(packet[IPv4].src) == str(b.address)


def misuses():
    yield lambda host: host.socket("seqpacket", family="inet"), LocalProtocolError, "sequenced packets"
    yield lambda host: host.socket("raw", family="inet"), LocalProtocolError, "protocol="
    yield lambda host: host.socket("stream", family="inet", protocol=6), LocalProtocolError, "no protocol="
    yield lambda host: host.socket("stream", family="inet").connect("127.0.0.1"), LocalProtocolError, "host.at"
    yield lambda host: host.socket("stream", family="inet").bind(("192.0.2.1", 5)), OSError, "bind"
    yield lambda host: host.socket("datagram", family="inet").write(b"x"), LocalProtocolError, "destination"
    yield lambda host: host.socket("datagram", family="inet").accept(), LocalProtocolError, "accept"
    yield lambda host: host.socket("seqpacket"), LocalProtocolError, "LocalHost.'eth0'"
    yield lambda host: host.socket("datagram", family="xns"), LocalProtocolError, "a host on an XNS network"


@pytest.mark.parametrize(("call", "kind", "says"), list(misuses()), ids=[says for *_, says in misuses()])
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_misuse_is_reported_in_clear_words(call, kind, says) -> None:
    with pytest.raises(kind, match=says):
        call(LocalHost())


def test_an_error_of_the_kernel_keeps_its_number() -> None:
    with LocalHost().socket("stream", family="inet") as socket, pytest.raises(OSError, match="bind") as caught:
        socket.bind(("192.0.2.1", 5))
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_what_a_user_may_not_do_is_eacces_with_the_way_out() -> None:
    host = LocalHost()
    with host.socket("datagram", family="inet") as socket:
        with pytest.raises(OSError, match=r"datagram.*write.*broadcast = True \(SO_BROADCAST\)") as caught:
            socket.write(b"x", to=("255.255.255.255", 9))
        assert caught.value.errno == errno.EACCES
        with pytest.raises(OSError, match="broadcast = True"):
            socket.connect(("255.255.255.255", 9))
        assert not socket.broadcast
        socket.broadcast = True
        socket.connect(("255.255.255.255", 9))
        assert "below 1024" in str(socket._refusal(errno.EACCES, "bind", "0.0.0.0:80"))


def test_a_raw_socket_that_the_kernel_refuses_is_an_error_with_its_number(monkeypatch) -> None:
    host = LocalHost()

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(host, "kernel_socket", refuse)
    with pytest.raises(PermissionError, match="run as root") as caught:
        host.socket("raw", family="inet", protocol=1)
    assert isinstance(caught.value, NeedsPrivilege) and caught.value.errno == errno.EPERM
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.errno) == (str(caught.value), errno.EPERM)


def test_a_datagram_to_port_0_is_refused_with_the_ports_there_are() -> None:
    with (
        LocalHost().socket("datagram", family="inet") as socket,
        pytest.raises(LocalProtocolError, match="1..65535") as caught,
    ):
        socket.write(b"x", to=("127.0.0.1", 0))
    assert caught.value.errno == errno.EINVAL
    with LocalHost().socket("datagram", family="inet") as socket, pytest.raises(LocalProtocolError, match="1..65535"):
        socket.connect(("127.0.0.1", 0))
