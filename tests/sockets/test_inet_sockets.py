"""The kernel's sockets with the same verbs: TCP, UDP and raw IP, in a lab and on this machine, both ends in one thread."""

from __future__ import annotations

import errno
import pickle
import socket
import struct
import time
from collections.abc import Callable

import pytest

from packetlab import (
    ICMP,
    U16,
    Bytes,
    Header,
    IPv4,
    LocalHost,
    LocalProtocolError,
    NeedsPrivilege,
    auto,
    dissect,
    field,
    size_of,
    sized,
)
from packetlab.sockets.inet import InetStream


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


class Noted(Header, stream=True):
    size: U16 = auto(size_of("text"))
    text: Bytes = sized(field("size"), b"")


RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() resets


def ends(read: Callable[[], bytes], write: Callable[[], object]) -> list[object]:
    """What reading gives up to an end and after it, and what writing then says."""
    said: list[object] = []
    for call in (read, read, read, write):
        try:
            said.append(call())
        except OSError as error:
            said.append(error.errno)
    return said


@pytest.mark.parametrize("data", [b"data", b""])
def test_one_that_was_reset_before_it_was_accepted_reads_as_the_kernels_own(hosts, data: bytes) -> None:
    a, b = hosts
    found, peers = [], []
    for plain in (True, False):
        with b.kernel_socket() if plain else b.socket("stream", family="inet") as server:
            server.bind((str(b.address), 0))
            server.listen()
            client = a.kernel_socket()
            client.connect(server.getsockname() if plain else server.address)
            peers.append(client.getsockname())
            client.sendall(data)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()
            time.sleep(0.05)
            if plain:
                conn, _ = server.accept()
                conn.settimeout(20)
                found.append(ends(lambda conn=conn: conn.recv(100), lambda conn=conn: conn.send(b"x")))
                conn.close()
                continue
            with server.accept() as conn:
                conn.timeout = 20
                assert conn.peer == peers[-1] and dict(conn.facts())["peer"] == str(peers[-1])
                found.append(ends(conn.read, lambda conn=conn: conn.write(b"x")))
                with pytest.raises(OSError, match="a fresh socket") as caught:
                    conn.connect(server.address)
                assert caught.value.errno == errno.EISCONN
            assert conn.peer is None
    assert found[0] == found[1] and found[0][0] == (data or errno.ECONNRESET), found


def test_messages_of_one_that_was_reset_before_it_was_accepted_are_read(hosts) -> None:
    a, b = hosts
    with b.socket("stream", family="inet") as server, a.kernel_socket() as client:
        server.bind((str(b.address), 0))
        server.listen()
        client.connect(server.address)
        client.sendall(bytes(Noted(text=b"seven")))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
        time.sleep(0.05)
        with server.accept() as conn:
            conn.timeout = 20
            packet = conn.read_packet(Noted)
            assert packet is not None and packet[Noted].text == b"seven"
            with pytest.raises(ConnectionResetError):
                conn.read_packet(Noted)


def test_a_websocket_whose_stream_is_reset_at_once_says_so(monkeypatch) -> None:
    host = LocalHost()
    with socket.create_server(("127.0.0.1", 0)) as server, host.socket("websocket", family="inet") as client:
        connect = InetStream.connect

        def reset(stream: InetStream, address: object) -> None:
            connect(stream, address)
            conn, _ = server.accept()
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            conn.close()
            time.sleep(0.05)

        monkeypatch.setattr(InetStream, "connect", reset)
        client.timeout = 20
        with pytest.raises(ConnectionResetError):
            client.connect(server.getsockname())
        assert client.peer == server.getsockname()


def test_a_websocket_that_was_reset_before_its_handshake_was_answered_is_passed_over() -> None:
    host = LocalHost()
    with host.socket("websocket", family="inet") as server, host.socket("websocket", family="inet") as other:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with server.host.loop.lock, socket.socket() as client:  # nobody serves it meanwhile
            client.connect(server.address)
            client.sendall(
                b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()
            time.sleep(0.05)
        server.timeout = other.timeout = 20
        other.connect(server.address)
        with server.accept() as conn:
            conn.write("hello")
            assert other.read() == "hello" and conn.peer == other.address
            other.abort()
