"""Calls in the wrong order, on every kind of socket of every family: an `OSError` with BSD's errno, the socket's name, and a way out."""

from __future__ import annotations

import errno
import pickle
import socket as kernel
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import product
from math import inf, nan
from typing import Any

import pytest

from packetlab import IDP, LocalHost, LocalProtocolError, SimNetwork
from packetlab.errors import SocketMisuse

VERBS = ("bind", "connect", "listen", "accept", "read", "write", "close")
KINDS = [
    *(("xns", kind) for kind in ("seqpacket", "stream", "datagram", "raw", "websocket")),
    *(("inet", kind) for kind in ("stream", "datagram", "websocket")),
]
CLOSED = dict.fromkeys(VERBS[:-1], errno.EBADF)
UNCONNECTED = {"accept": errno.EINVAL, "read": errno.ENOTCONN, "write": errno.ENOTCONN}

# For each way of life: state -> verb -> errno. What is not named works, or would have to wait.
CONNECTIONS = {
    "fresh": UNCONNECTED,
    "bound": {**UNCONNECTED, "bind": errno.EINVAL},
    "listening": {
        "bind": errno.EINVAL, "connect": errno.EOPNOTSUPP, "listen": errno.EINVAL,
        "read": errno.ENOTCONN, "write": errno.ENOTCONN,
    },
    "connected": {"bind": errno.EINVAL, "connect": errno.EISCONN, "listen": errno.EISCONN, "accept": errno.EINVAL},
    "closed": CLOSED,
}  # fmt: skip
DATAGRAMS = {
    "fresh": {"listen": errno.EOPNOTSUPP, "accept": errno.EOPNOTSUPP, "write": errno.EDESTADDRREQ},
    "bound": {
        "bind": errno.EINVAL, "listen": errno.EOPNOTSUPP, "accept": errno.EOPNOTSUPP, "write": errno.EDESTADDRREQ,
    },
    "connected": {"bind": errno.EINVAL, "listen": errno.EOPNOTSUPP, "accept": errno.EOPNOTSUPP},
    "closed": {**CLOSED, "listen": errno.EOPNOTSUPP, "accept": errno.EOPNOTSUPP},
}  # fmt: skip
RAW = {
    "fresh": dict.fromkeys(("bind", "connect", "listen", "accept"), errno.EOPNOTSUPP),
    "closed": {**dict.fromkeys(VERBS[:4], errno.EOPNOTSUPP), "read": errno.EBADF, "write": errno.EBADF},
}
LIVES = {"seqpacket": CONNECTIONS, "stream": CONNECTIONS, "websocket": CONNECTIONS, "datagram": DATAGRAMS, "raw": RAW}

WORKS = {("inet", "stream", "listening", "listen")}  # the kernel takes another backlog


class World:
    """A host with sockets of a family under test, and a peer that listens."""

    def __init__(self, family: str, kind: str, closing: ExitStack) -> None:
        self.family, self.kind, self.closing = family, kind, closing
        self.host: Any
        self.peer: Any
        if family == "inet":
            self.host = self.peer = closing.enter_context(LocalHost())
        else:
            net = SimNetwork()
            self.host, self.peer = net.host("a"), net.host("b")
            net.link(self.host, self.peer)
        self.server = self.peer.socket(kind, family) if kind != "raw" else None
        if self.server is not None:
            closing.callback(self.server.abort)
            self.server.bind(("127.0.0.1", 0) if family == "inet" else 7)
            if kind != "datagram":
                self.server.listen(50)

    @property
    def there(self) -> Any:
        assert self.server is not None
        return self.server.address

    def socket(self, state: str) -> Any:
        sock = self.host.socket(self.kind, self.family)
        self.closing.callback(sock.abort)
        sock.timeout = 5  # to get there; the calls under test never wait
        if state == "bound":
            self.call(sock, "bind")
        if state == "listening":
            sock.listen()
        if state == "connected":
            self.call(sock, "connect")
        if state == "closed":
            sock.close()
        sock.timeout = 0
        return sock

    def call(self, sock: Any, verb: str) -> Any:
        if verb == "bind":
            return sock.bind(("127.0.0.1", 0) if self.family == "inet" else 0)
        if verb == "connect":
            return sock.connect(self.there if self.kind != "raw" else self.peer.at(7))
        if verb == "write":
            header = (
                IDP(dst=self.peer.at(7).xns(self.host), src=self.host.at(8).xns(self.peer))
                if self.kind == "raw"
                else None
            )
            return sock.write(b"x" if header is None else header / b"x")
        return getattr(sock, verb)()

    def trouble(self, sock: Any, verb: str) -> OSError | None:
        try:
            self.call(sock, verb)
        except BlockingIOError:
            return None
        except OSError as error:
            return error
        return None


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize(("family", "kind"), KINDS)
def test_every_call_out_of_order_is_an_os_error_with_its_number(closing, family, kind) -> None:
    world = World(family, kind, closing)
    told = {}
    for state, verb in product(LIVES[kind], VERBS):
        error = world.trouble(world.socket(state), verb)
        told[state, verb] = error if error is None else errno.errorcode.get(error.errno or 0)
        if error is not None:
            assert isinstance(error, LocalProtocolError) and f"{world.host.name}: {verb}: expected" in str(error), error
            assert told[state, verb] in error.hint
    expected = {
        (state, verb): errno.errorcode.get(number)
        for state, verb in product(LIVES[kind], VERBS)
        for number in [LIVES[kind][state].get(verb, 0) if (family, kind, state, verb) not in WORKS else 0]
    }
    assert told == expected


@pytest.mark.parametrize(("family", "kind"), KINDS)
def test_no_order_of_calls_hangs_or_raises_anything_else(closing, family, kind) -> None:
    world = World(family, kind, closing)
    for verbs in product(VERBS, repeat=3):
        sock = world.socket("fresh")
        for verb in verbs:
            world.trouble(sock, verb)  # anything but an OSError is raised here
        sock.abort()


@pytest.mark.parametrize(("family", "kind"), KINDS)
@pytest.mark.parametrize("seconds", ["x", -1, -0.5, nan, inf, [1]])
def test_a_timeout_that_is_none_is_refused(closing, family, kind, seconds) -> None:
    sock = World(family, kind, closing).socket("fresh")
    with pytest.raises(SocketMisuse, match=r"timeout: expected seconds from 0 upwards"):
        sock.timeout = seconds
    sock.timeout = None


def addresses() -> Iterator[tuple[Any, int]]:
    yield ("127.0.0.1", 70000), errno.EINVAL
    yield ("127.0.0.1", -1), errno.EINVAL
    yield ("127.0.0.1", "http"), errno.EINVAL
    yield ("::1", 1), errno.EAFNOSUPPORT
    yield ("a..b", 1), errno.EINVAL
    yield "127.0.0.1", errno.EINVAL
    yield None, errno.EINVAL


@pytest.mark.parametrize(("address", "number"), list(addresses()))
@pytest.mark.parametrize("verb", ["bind", "connect"])
@pytest.mark.parametrize("kind", ["stream", "datagram"])
def test_an_address_that_is_none_is_said(closing, kind, verb, address, number) -> None:
    sock = World("inet", kind, closing).socket("fresh")
    with pytest.raises(SocketMisuse, match=f"{kind} socket of here: address") as caught:
        getattr(sock, verb)(address)
    assert caught.value.errno == number


def test_a_name_that_nobody_knows_is_said(closing) -> None:
    sock = World("inet", "stream", closing).socket("fresh")
    with pytest.raises(kernel.gaierror, match=r"stream socket of here: address: 'nowhere\.invalid'"):
        sock.connect(("nowhere.invalid", 80))


def test_a_closed_socket_of_the_kernel_has_no_address(closing) -> None:
    sock = World("inet", "datagram", closing).socket("closed")
    with pytest.raises(SocketMisuse, match="address: expected an open socket") as caught:
        _ = sock.address
    assert caught.value.errno == errno.EBADF and sock.peer is None and "datagram" in repr(sock)


def test_a_port_is_not_shared_by_chance(closing) -> None:
    world = World("inet", "datagram", closing)
    first, second = world.socket("fresh"), world.socket("fresh")
    first.bind(("127.0.0.1", 0))
    with pytest.raises(SocketMisuse, match="a free address") as caught:
        second.bind(first.address)
    assert caught.value.errno == errno.EADDRINUSE
    world.socket("fresh").write(b"for the first", to=first.address)
    first.timeout = 5
    assert first.read() == b"for the first"


@pytest.mark.parametrize("size", [0, -1, 70000])
def test_a_datagram_size_that_is_none_is_refused(closing, size) -> None:
    with pytest.raises(SocketMisuse, match="mtu"):
        World("xns", "datagram", closing).socket("fresh").mtu = size


@pytest.mark.parametrize("family", ["xns", "inet"])
@pytest.mark.parametrize("kind", ["stream", "websocket"])
def test_writing_to_a_peer_that_has_ended_is_a_broken_pipe(closing, family, kind) -> None:
    world = World(family, kind, closing)
    client = world.socket("connected")
    assert world.server is not None
    client.timeout = world.server.timeout = 5
    conn = world.server.accept()
    closing.callback(conn.abort)
    conn.timeout = 0
    with suppress(BlockingIOError):  # it would have to wait for the other side
        conn.close()
    with pytest.raises((BrokenPipeError, ConnectionResetError)) as caught:
        for _ in range(100):
            client.write(b"x")
            world.host.medium.run(0.01)
    assert not isinstance(caught.value, LocalProtocolError) and "socket of" in str(caught.value)


def test_a_misuse_keeps_its_parts_when_it_is_pickled() -> None:
    error = SocketMisuse(errno.EISCONN, "socket", "a fresh one", "another", "make one")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.errno, str(again), again.hint) == (SocketMisuse, errno.EISCONN, str(error), error.hint)
    assert str(error) == "socket: expected a fresh one, got another (EISCONN: make one)"
