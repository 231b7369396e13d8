"""`close` of a socket, by another thread, ends every wait for it with EBADF that says so: calls beside `accept` and `read`."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from packetlab import Header, LocalHost, Text, XNSAddress, ended
from packetlab.link.event_loop import RealTime
from tests.link.asleep import waiting
from tests.sockets.test_background import pair


class ClosedLine(Header, stream=True):
    text: Text = ended(b"\r\n")


NOBODY = XNSAddress(0x401, 0x20000000009, 7)
"""A host from which no answer comes."""


@pytest.fixture
def ends() -> Iterator[tuple[ExitStack, LocalHost, LocalHost]]:
    a, b = pair()
    with a, b, ExitStack() as stack:
        yield stack, a, b


def ends_with_its_close(call: Callable[[], object], sock: Any) -> None:
    def close() -> None:
        sock.timeout = 1.0  # of its own wait for what was written
        try:
            sock.close()
        except (TimeoutError, ConnectionAbortedError):  # what was written was not taken, as close() says
            sock.abort()

    error = waiting(call, close)
    assert isinstance(error, OSError) and error.errno == errno.EBADF and "was closed" in str(error), repr(error)


def forever(call: Callable[[], object]) -> Callable[[], object]:
    def run() -> None:
        while True:
            call()

    return run


@pytest.mark.parametrize("kind", ["stream", "seqpacket", "websocket"])
def test_connecting_over_xns_ends(ends: Any, kind: str) -> None:
    _, a, _ = ends
    sock = a.socket(kind, "xns")
    sock.timeout = None
    ends_with_its_close(lambda: sock.connect(NOBODY), sock)


@pytest.mark.parametrize("family", ["xns", "inet"])
def test_the_handshake_of_a_websocket_ends(ends: Any, family: str) -> None:
    stack, a, b = ends
    server = b.socket("stream", family)
    server.bind(7 if family == "xns" else ("127.0.0.1", 0))
    server.listen()
    stack.callback(server.abort)
    sock = a.socket("websocket", family)
    sock.timeout = None
    ends_with_its_close(lambda: sock.connect(b.at(7) if family == "xns" else server.address), sock)


@pytest.mark.parametrize("kind", ["stream", "websocket"])
def test_connecting_over_tcp_ends_where_the_server_takes_no_more(kind: str) -> None:
    with ExitStack() as stack:
        host = stack.enter_context(LocalHost(loop=RealTime()))
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):
            other = stack.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(server.getsockname())
        sock = host.socket(kind, "inet")
        sock.timeout = None
        ends_with_its_close(lambda: sock.connect(server.getsockname()), sock)


CALLS: dict[str, Callable[[Any], object]] = {
    "read_packet": lambda sock: sock.read_packet(ClosedLine),
    "read_packet()": lambda sock: sock.read_packet(),
    "read_message": lambda sock: sock.read_message(),
    "read_attention": lambda sock: sock.read_attention(),
    "write": lambda sock: forever(lambda: sock.write(bytes(500)))(),
    "write_message": lambda sock: sock.write_message(bytes(10_000_000)),
    "attention": lambda sock: forever(lambda: sock.attention(1))(),
    "write much": lambda sock: forever(lambda: sock.write(bytes(1 << 16)))(),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "kind", "call"),
    [
        ("inet", "stream", "read_packet"), ("inet", "stream", "write much"), ("inet", "websocket", "write much"),
        ("xns", "stream", "read_packet"), ("xns", "stream", "read_packet()"), ("xns", "stream", "read_attention"),
        ("xns", "stream", "write much"), ("xns", "websocket", "write much"),
        ("xns", "seqpacket", "read_packet()"), ("xns", "seqpacket", "read_message"), ("xns", "seqpacket", "write"),
        ("xns", "seqpacket", "write_message"), ("xns", "seqpacket", "attention"),
    ],
)  # fmt: skip
def test_a_wait_at_a_connection_ends(ends: Any, family: str, kind: str, call: str) -> None:
    stack, a, b = ends
    server = b.socket(kind, family)
    server.bind(7 if family == "xns" else ("127.0.0.1", 0))
    server.listen()
    options = {"close_timeout": 0.5} if kind == "websocket" else {}
    sock = a.socket(kind, family, **options)
    sock.connect(b.at(7) if family == "xns" else server.address)
    conn = server.accept()
    for one in (server, conn):
        stack.callback(one.abort)
    sock.timeout = None
    ends_with_its_close(lambda: CALLS[call](sock), sock)


@pytest.mark.parametrize("verb", ["read", "read_from"])
def test_a_wait_for_a_datagram_of_the_kernel_ends(verb: str) -> None:
    with LocalHost(loop=RealTime()) as host:
        sock = host.socket("datagram", "inet")
        sock.bind(("127.0.0.1", 0))
        ends_with_its_close(getattr(sock, verb), sock)


def test_a_wait_for_a_raw_ip_packet_ends(lab: Any) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    sock = a.socket("raw", "inet", protocol=253)
    sock.timeout = None
    ends_with_its_close(sock.read, sock)


def test_a_datagram_that_asks_the_way_ends(ends: Any) -> None:
    _, _, b = ends
    sock = b.socket("datagram", "xns")
    sock.timeout = None
    ends_with_its_close(lambda: sock.write(b"x", to=XNSAddress(0x999, 0x20000000009, 7)), sock)
