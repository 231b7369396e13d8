"""An abort ends a close of the same socket that waits: in another thread, or below a signal's handler."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from packetlab import LocalHost, SimNetwork, Timing
from packetlab.errors import ERRNO_NAMES, SocketMisuse
from tests.link.asleep import signalled
from tests.sockets.test_background import PATIENCE, in_thread, pair
from tests.sockets.test_websocket_close import Server

FOR_EVER = Timing(linger=1000.0, give_up=1000.0, shut=1000.0)


@pytest.fixture(params=["seqpacket", "stream"])
def client(request):
    """One end of a connection whose other end is held up, so that a close waits."""
    a, b = pair(timing=FOR_EVER)
    with a, b, b.socket(request.param) as server, ExitStack() as closing:
        server.bind(7)
        server.listen()
        client = a.socket(request.param)
        client.connect(b.at(7))
        closing.callback(server.accept().abort)
        closing.enter_context(b.loop.lock)
        yield client


def test_an_abort_in_another_thread_ends_a_close(client) -> None:
    client.write(b"x")
    waiter, caught = in_thread(client.host.loop, client.close)
    client.abort()
    waiter.join(PATIENCE)
    assert not waiter.is_alive() and client.closed
    # What was unconfirmed by then is said.
    assert all(isinstance(error, ConnectionAbortedError) for error in caught)


def test_an_abort_in_a_handler_ends_the_close_below_it(client) -> None:
    with signalled(lambda *_: client.abort()):
        client.close()
    assert client.closed


def test_an_abort_after_a_close_does_nothing() -> None:
    net = SimNetwork()
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.01)
    server, client = b.socket("seqpacket"), a.socket("seqpacket")
    server.bind(7)
    server.listen()
    client.connect(b.at(7))
    conn = server.accept()
    client.close()
    client.abort()
    assert client._connection.error is None
    assert conn.read() == b"" and conn.ended


def test_an_abort_ends_the_close_of_a_websocket() -> None:
    server = Server("says nothing")
    with LocalHost() as host:
        client = host.socket("websocket", "inet", close_timeout=1000.0)
        client.connect(server.listener.getsockname())
        waiter, caught = in_thread(host.loop, client.close)
        client.abort()
        waiter.join(PATIENCE)
        server.over.set()
        assert not waiter.is_alive() and caught == [] and client.closed


def test_a_call_within_one_of_its_own_thread_is_named_as_the_manual_names_it() -> None:
    error = SocketMisuse(errno.EDEADLK, "a: write", "a call", "one within it", "after it")
    assert "(EDEADLK: after it)" in str(error) and ERRNO_NAMES[errno.EDEADLK] == "EDEADLK"


CALLS: dict[str, Callable[[Any], object]] = {
    "read": lambda client: client.read(),
    "write": lambda client: [client.write(b"x" * 20_000) for _ in range(10_000)],
    "ping": lambda client: [client.ping(b"x") for _ in range(10_000)],
}


@pytest.mark.parametrize("call", CALLS)
def test_a_websocket_that_its_peer_resets_says_whose_it_was(call: str) -> None:
    with LocalHost() as host, host.socket("websocket", "inet") as server, host.socket("websocket", "inet") as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.address)
        conn = server.accept()
        conn.stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.stream.close()  # with a reset
        with pytest.raises(ConnectionError, match="websocket socket of here: ") as caught:
            CALLS[call](client)
        assert caught.value.errno in (errno.ECONNRESET, errno.EPIPE)
        client.abort()
        conn.abort()
