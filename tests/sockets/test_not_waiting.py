"""Calls that must not wait, or no longer: their errno, and that a connect goes on."""

from __future__ import annotations

import errno
import select
import time

import pytest

from packetlab import LocalHost, SimNetwork
from packetlab.errors import SocketMisuse
from tests.sockets.test_background import PATIENCE, pair

KINDS = ["seqpacket", "stream", "websocket"]


def world():
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.01)
    return net, a, b


def listening(host, kind, address=7, family="xns"):
    server = host.socket(kind, family)
    server.bind(address)
    server.listen()
    return server


def number(call) -> tuple[type, int | None]:
    with pytest.raises(OSError) as caught:
        call()
    return caught.type, caught.value.errno


@pytest.mark.parametrize("kind", KINDS)
def test_a_connect_that_does_not_wait_goes_on(kind: str) -> None:
    net, a, b = world()
    server = listening(b, kind)
    client = a.socket(kind)
    client.timeout = 0
    said = [number(lambda: client.connect(b.at(7)))[1]]
    while said[-1]:
        net.run(0.005)
        try:
            said.append(client.connect(b.at(7)))
        except BlockingIOError as error:
            said.append(error.errno)
    assert said[0] == errno.EINPROGRESS and len(said) > 2 and {*said[1:-1]} == {errno.EALREADY}
    assert number(lambda: client.connect(b.at(7)))[1] == errno.EISCONN
    client.timeout = None
    conn = server.accept()
    client.write(b"after")
    assert conn.read() == b"after"


@pytest.mark.parametrize("family", ["xns", "inet"])
def test_a_websocket_opens_though_no_call_waits(family: str) -> None:
    a, b = pair()
    with a, b, listening(b, "websocket", 7 if family == "xns" else ("127.0.0.1", 0), family) as server:
        client = a.socket("websocket", family)
        client.timeout = 0
        end = time.monotonic() + PATIENCE
        said: set[int | None] = set()
        while None not in said and time.monotonic() < end:
            try:
                said.add(client.connect(b.at(7) if family == "xns" else server.address))
            except BlockingIOError as error:
                said.add(error.errno)
        assert said <= {errno.EINPROGRESS, errno.EALREADY, None}
        server.timeout = client.timeout = PATIENCE
        with server.accept() as conn:
            client.write("x")
            conn.timeout = PATIENCE
            assert conn.read() == "x"
            conn.abort()
        client.abort()


@pytest.mark.parametrize("kind", KINDS)
def test_a_connect_that_was_in_vain_for_a_while_goes_on(kind: str) -> None:
    _, a, b = world()
    listening(b, kind)
    client = a.socket(kind)
    client.timeout = 0.001
    for _ in range(2):
        assert number(lambda: client.connect(b.at(7))) == (TimeoutError, errno.ETIMEDOUT)
    client.timeout = None
    client.connect(b.at(7))
    client.write(b"x")


@pytest.mark.parametrize("verb", ["read", "write"])
def test_a_websocket_under_way_is_not_connected(verb: str) -> None:
    _, a, b = world()
    listening(b, "websocket")
    client = a.socket("websocket")
    client.timeout = 0.015
    for _ in range(2):
        with pytest.raises(TimeoutError):
            client.connect(b.at(7))
    assert client._endpoint is not None
    assert number(client.read if verb == "read" else lambda: client.write("x"))[1] == errno.ENOTCONN


def test_what_would_have_to_wait_says_eagain_and_what_waited_in_vain_etimedout() -> None:
    _, a, b = world()
    c = LocalHost()
    everywhere = [(b, kind, "xns") for kind in KINDS] + [(c, "stream", "inet"), (c, "websocket", "inet")]
    for host, kind, family in everywhere:
        server = listening(host, kind, 7 + KINDS.index(kind) if family == "xns" else ("127.0.0.1", 0), family)
        server.timeout = 0
        assert number(server.accept) == (BlockingIOError, errno.EAGAIN)
        server.timeout = 0.01
        assert number(server.accept) == (TimeoutError, errno.ETIMEDOUT)
        server.close()
    reader = a.socket("datagram")
    reader.bind(50)
    reader.timeout = 0
    assert number(reader.read) == (BlockingIOError, errno.EAGAIN)
    assert number(lambda: a.exchange(b.at(99), b"", tries=1, interval=0.001)) == (TimeoutError, errno.ETIMEDOUT)


@pytest.mark.parametrize("verb", ["write", "ping"])
def test_a_websocket_that_is_closed_below_a_call_is_closed(verb: str) -> None:
    """Between its wait and its sending, by another thread or a handler of a signal."""
    _, a, b = world()
    server = listening(b, "websocket")
    client = a.socket("websocket")
    client.connect(b.at(7))
    conn = server.accept()
    plain = conn._endpoint.room

    def room(*given):
        conn._endpoint.room = plain
        found = plain(*given)
        conn.close()
        return found

    conn._endpoint.room = room
    assert number(conn.ping if verb == "ping" else lambda: conn.write("x"))[1] == errno.EBADF


def test_a_websocket_says_its_own_name() -> None:
    _, a, _ = world()
    with LocalHost(name="here") as here:
        bad = {
            "bind": lambda sock: sock.bind(("127.0.0.1", 70000)),
            "connect": lambda sock: sock.connect(("127.0.0.1", 1)),
            "address": lambda sock: sock.connect("nowhere"),
        }
        for verb, call in bad.items():
            with (
                here.socket("websocket", "inet") as sock,
                pytest.raises(OSError, match="websocket socket of h") as caught,
            ):
                call(sock)
            assert "stream socket" not in str(caught.value), verb
    with pytest.raises(OSError, match="websocket socket of a: bind"):
        a.socket("websocket").bind(70000)


def test_a_connection_that_came_about_after_its_connect_ran_out_is_one(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    link = lab.link(a, b, delay=0)
    link.partition()  # until a write was tried; then the kernel repeats what it sent
    with listening(b, "stream", 80, "inet") as server, a.socket("stream", "inet") as client, a.socket("stream", "inet") as none:
        client.timeout = none.timeout = 0
        assert number(lambda: client.connect(b.at(80))) == (BlockingIOError, errno.EINPROGRESS)
        with pytest.raises(SocketMisuse, match="write: expected a connected socket, got one whose connect goes on") as caught:
            client.write(b"early")
        assert caught.value.errno == errno.ENOTCONN
        assert number(lambda: none.connect(b.at(81))) == (BlockingIOError, errno.EINPROGRESS)
        link.heal()
        assert select.select([], [client], [], PATIENCE)[1]
        client.write(b"late")
        with server.accept() as conn:
            assert conn.read() == b"late"
        assert client.peer == b.at(80).inet() and number(lambda: client.connect(b.at(80)))[1] == errno.EISCONN
        # One that is refused meanwhile is said to be, once; then it is a socket that is not connected.
        assert select.select([], [none], [], PATIENCE)[1]
        with pytest.raises(ConnectionRefusedError, match=r"stream socket of a: connect to 10\.0\.0\.2:81: Connection refused"):
            none.read()
        assert number(none.read) == (SocketMisuse, errno.ENOTCONN)
