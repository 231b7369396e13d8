"""A WebSocket's close ends, whatever the other side does: at the latest `close_timeout` after it last took a byte."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from packetlab import LocalHost, RemoteProtocolError, SimNetwork

PATIENCE = 30
SECOND = 1_000_000_000
BOUND = 0.3  # seconds
CLOSE, MASKED_CLOSE, PING = b"\x88\x02\x03\xe8", b"\x88\x82\0\0\0\0\x03\xe8", b"\x89\x00"
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Server(threading.Thread):
    """A server by hand, which keeps its TCP connection open until the test is over."""

    def __init__(self, behaviour: str) -> None:
        super().__init__(daemon=True)
        self.behaviour, self.over = behaviour, threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.start()

    def run(self) -> None:
        guest, _ = self.listener.accept()
        with guest, self.listener, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += guest.recv(4096)
            key = head.lower().split(b"sec-websocket-key: ")[1].split(b"\r\n")[0]
            key = head[head.lower().index(key) :][: len(key)]
            proof = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            answer = (
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n"
            )
            if self.behaviour == "half an answer":
                answer = answer[:20]
            if self.behaviour == "refuses":
                answer = b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"
            guest.sendall(answer + (CLOSE if self.behaviour == "closes first" else b""))
            if self.behaviour == "answers the close":
                guest.recv(4096)
                guest.sendall(CLOSE)
            while not self.over.wait(0.02):
                if self.behaviour == "pings for ever":
                    guest.sendall(PING)


@pytest.fixture
def client() -> Iterator[Any]:
    with LocalHost() as host:
        made = host.socket("websocket", "inet", close_timeout=BOUND)
        made.timeout = PATIENCE  # of the test: the bound comes first
        yield made
        made.abort()


@pytest.mark.parametrize(
    "behaviour", ["answers nothing", "answers the close", "closes first", "never reads", "pings for ever"]
)
def test_a_client_closes_though_the_server_keeps_tcp_open(client, behaviour: str) -> None:
    server = Server(behaviour)
    client.connect(server.listener.getsockname())
    if behaviour == "never reads":
        client.timeout = 0
        with pytest.raises(BlockingIOError):
            while True:
                client.write(bytes(100_000))
        client.timeout = PATIENCE
    client.close()
    assert client.stream.closed and client.close_code in (1000, 1006)
    server.over.set()
    server.join(PATIENCE)


@pytest.mark.parametrize(
    ("behaviour", "error"), [("refuses", ConnectionRefusedError), ("half an answer", TimeoutError)]
)
def test_a_handshake_that_failed_or_is_under_way_is_given_up_at_once(
    client, behaviour: str, error: type[Exception]
) -> None:
    server = Server(behaviour)
    client.timeout = 0.2 if error is TimeoutError else PATIENCE
    with pytest.raises((error, RemoteProtocolError)):
        client.connect(server.listener.getsockname())
    client.timeout = 0  # nothing to wait for
    client.close()
    assert client.stream.closed
    server.over.set()
    server.join(PATIENCE)


@pytest.mark.parametrize("behaviour", ["answers", "never answers", "closed first"])
def test_a_server_closes_though_the_client_keeps_tcp_open(behaviour: str) -> None:
    with LocalHost() as host:
        server = host.socket("websocket", "inet", close_timeout=BOUND)
        server.timeout = PATIENCE
        server.bind(("127.0.0.1", 0))
        server.listen()
        with socket.create_connection(server.address) as guest:
            guest.sendall(REQUEST)
            conn = server.accept()
            if behaviour == "answers":
                guest.sendall(MASKED_CLOSE)
            if behaviour == "closed first":
                guest.sendall(MASKED_CLOSE)
                assert conn.read() is None
                conn.timeout = 0  # a server that has exchanged close frames closes at once
            conn.close()
            assert conn.stream.closed and conn.close_code == (1006 if behaviour == "never answers" else 1000)
        server.close()


def test_over_spp_the_bound_is_in_the_time_of_the_network() -> None:
    net = SimNetwork(seed=1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.01)
    listener = b.socket("stream")
    listener.bind(80)
    listener.listen()
    client = a.socket("websocket")
    client.timeout = 1
    with pytest.raises(TimeoutError):
        client.connect(b.at(80))
    client.timeout, before = 0, net.now
    client.close()
    assert net.now == before and client.stream.closed

    client = a.socket("websocket")
    server = b.socket("websocket")
    server.bind(81)
    server.listen()
    client.connect(b.at(81))
    conn = server.accept()
    conn._endpoint.leave()  # nobody answers for it any more
    before = net.now
    client.close()
    assert net.now - before <= (10 + 15 + 1) * 10**9 and client.close_code == 1006


@pytest.mark.parametrize(("at_connect", "at_close"), [(5, None), (None, 30), (5, 30), (30, 5)])
def test_the_stream_closes_within_the_timeout_of_the_close_not_of_the_connect(at_connect, at_close) -> None:
    net = SimNetwork()
    a, b = net.host("a"), net.host("b")
    link = net.link(a, b, delay=0.01)
    server, client = b.socket("websocket"), a.socket("websocket", close_timeout=2.0)
    server.bind(7)
    server.listen()
    client.timeout = at_connect
    client.connect(b.at(7))
    client.timeout = at_close
    client.write("x")
    link.partition()
    start = net.now
    with pytest.raises(OSError, match="socket of a: close|SPP") as caught:
        client.close()
    if at_close is None:
        assert "nothing in" not in str(caught.value) and net.now - start > 60 * SECOND
    else:
        assert f"nothing in {at_close} s" in str(caught.value)


def over_spp() -> tuple[Any, Any, Any, Any]:
    """Return a network, its link, and a WebSocket over SPP with its peer."""
    net = SimNetwork(seed=3)
    a, b = net.host("a"), net.host("b")
    link = net.link(a, b, delay=0.01)
    server, client = b.socket("websocket"), a.socket("websocket")
    server.bind(9)
    server.listen()
    client.connect(b.at(9))
    peer = server.accept()
    net.run(1)
    return net, link, client, peer


def given_up(net: Any, link: Any, peer: Any) -> None:
    link.partition()
    net.run(3000)


def peer_gone(net: Any, link: Any, peer: Any) -> None:
    peer.abort()
    net.run(1)


LOSSES: dict[str, tuple[Any, type[OSError]]] = {
    "given up": (given_up, ConnectionAbortedError),
    "peer gone": (peer_gone, ConnectionResetError),
}


@pytest.mark.parametrize("how", LOSSES)
def test_data_lost_over_spp_before_the_close_are_said_by_the_close(how: str) -> None:
    net, link, client, peer = over_spp()
    lose, error = LOSSES[how]
    link.sends["a"].change(partitioned=True)
    client.write("data")
    lose(net, link, peer)
    with pytest.raises(error, match="SPP"):
        client.close()
    assert client.closed and client.stream.closed
    client.close()


@pytest.mark.parametrize("verb", ["read", "write", "ping"])
def test_what_a_call_has_said_a_close_does_not_say_again(verb: str) -> None:
    net, link, client, _ = over_spp()
    link.partition()
    client.write("data")
    net.run(3000)
    with pytest.raises(ConnectionAbortedError):
        {"read": client.read, "write": lambda: client.write("more"), "ping": client.ping}[verb]()
    client.close()


def test_a_stream_lost_with_nothing_of_ours_missing_closes_in_silence() -> None:
    net, _, client, peer = over_spp()
    client.write("data")
    net.run(1)
    peer_gone(net, None, peer)
    client.close()
