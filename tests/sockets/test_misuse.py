"""Calls in the wrong order, on every kind of socket of every family: an `OSError` with BSD's errno, the socket's name, and a way out."""

from __future__ import annotations

import errno
import inspect
import pickle
import socket as kernel
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import product
from math import inf, nan
from typing import Any

import pytest

from packetlab import IDP, LocalHost, LocalProtocolError, SimNetwork
from packetlab.errors import ERRNO_NAMES, SocketMisuse
from packetlab.sockets.socket import Socket

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


def has_a_way_out(error: SocketMisuse) -> bool:
    """Say whether the hint of an error is more than the name of its number: what to do, in words."""
    name, _, way = error.hint.partition(": ")
    return name == ERRNO_NAMES[error.errno or 0] and len(way.split()) > 1


@pytest.mark.parametrize(("family", "kind"), KINDS)
def test_every_call_out_of_order_is_an_os_error_with_its_number(closing, family, kind) -> None:
    world = World(family, kind, closing)
    reported = {}
    for state, verb in product(LIVES[kind], VERBS):
        error = world.trouble(world.socket(state), verb)
        reported[state, verb] = error if error is None else errno.errorcode.get(error.errno or 0)
        if error is not None:
            assert isinstance(error, LocalProtocolError) and f"{world.host.name}: {verb}: expected" in str(error), error
            assert has_a_way_out(error)
    expected = {
        (state, verb): errno.errorcode.get(number)
        for state, verb in product(LIVES[kind], VERBS)
        for number in [LIVES[kind][state].get(verb, 0) if (family, kind, state, verb) not in WORKS else 0]
    }
    assert reported == expected


@pytest.mark.slow
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


WRONG = [
    -1,
    0,
    7,
    1 << 40,
    True,
    "x",
    None,
    b"x",
    1.5,
    (1, 2),
    (0x401, 5, 7),
    (0x401, 0, 0),
    ("127.0.0.1", 1 << 16),
    [],
    {},
]


@pytest.mark.parametrize(("family", "kind"), KINDS)
def test_whatever_is_given_where_it_makes_no_sense_has_a_way_out(closing, family, kind) -> None:
    world = World(family, kind, closing)
    found: list[OSError] = []
    calls: dict[str, Any] = {
        "bind": lambda sock, value: sock.bind(value),
        "connect": lambda sock, value: sock.connect(value),
        "listen": lambda sock, value: sock.listen(value),
        "timeout": lambda sock, value: setattr(sock, "timeout", value),
        "mtu": lambda sock, value: setattr(sock, "mtu", value) if hasattr(sock, "mtu") else None,
        "write": lambda sock, value: sock.write(b"x", to=value) if kind == "datagram" else None,
        "read": lambda sock, value: sock.read(value) if kind == "stream" else None,
        "at": lambda sock, value: sock.connect(world.peer.at(value)),
    }
    for (name, call), value in product(calls.items(), WRONG):
        sock = world.socket("fresh")
        sock.timeout = 0
        try:
            call(sock, value)
        except BlockingIOError:
            pass
        except OSError as error:  # anything else is raised here
            error.add_note(f"{name}({value!r})")
            found.append(error)
        sock.abort()
    misuses = [error for error in found if isinstance(error, SocketMisuse)]
    assert len(misuses) > 20 and [error for error in misuses if not has_a_way_out(error)] == []
    assert all(error.errno and "socket of" in str(error) for error in found if error not in misuses)


def test_no_misuse_is_raised_without_a_way_out() -> None:
    for raiser in (SocketMisuse.__init__, Socket._misuse, Socket._need):
        assert inspect.signature(raiser).parameters["hint"].default is inspect.Parameter.empty


@pytest.mark.parametrize("number", [-1, 1 << 16, "x", None, 1.5, True, b"x"])
def test_a_place_has_a_number_that_there_is(number) -> None:
    for host in (LocalHost(), SimNetwork().host("a")):
        with pytest.raises(SocketMisuse, match=rf"{host.name}: at: expected a number of 0\.\.65535") as caught:
            host.at(number)
        assert caught.value.errno == errno.EINVAL and has_a_way_out(caught.value)


@pytest.mark.parametrize("kind", ["stream", "datagram", "websocket"])
def test_the_kernels_sockets_send_to_no_host_of_another_network(closing, kind) -> None:
    """Its address there may well be somebody's here: of a lab or a simulated network all have 10.0.0.x."""
    simulated, here = SimNetwork(), closing.enter_context(LocalHost())
    y, z = simulated.host("y"), simulated.host("z")
    simulated.link(y, z)
    lab, elsewhere = LocalHost(name="in a lab"), LocalHost(name="in another")
    lab.lab, elsewhere.lab = object(), object()
    for host, place in (
        (here, y.at(80)),
        (here, lab.at(80)),
        (lab, here.at(80)),
        (lab, elsewhere.at(80)),
        (lab, y.at(80)),
    ):
        sock = host.socket(kind, "inet")
        closing.callback(sock.abort)
        sock.timeout = 1
        verbs: list[Any] = [
            lambda sock=sock, place=place: sock.connect(place),
            lambda sock=sock, place=place: sock.bind(place),
        ]
        if kind == "datagram":
            verbs.append(lambda sock=sock, place=place: sock.write(b"x", to=place))
        for call in verbs:
            with pytest.raises(
                SocketMisuse,
                match=f"socket of {host.name}: address: expected a place on the network of {host.name}, got",
            ) as caught:
                call()
            assert caught.value.errno == errno.ENETUNREACH and has_a_way_out(caught.value)


def test_xns_over_ip_goes_to_no_host_of_another_network(closing) -> None:
    here, net = closing.enter_context(LocalHost(mac="02:00:00:00:00:01")), SimNetwork()
    y, z = net.host("y"), net.host("z")
    net.link(y, z)
    with pytest.raises(SocketMisuse, match="expected a place on the network of here, got y, which is simulated"):
        here.join(0x401, "ip", peer=y)


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
    sock.timeout = 60
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
            world.host.loop.run(0.01)
    assert not isinstance(caught.value, LocalProtocolError) and "socket of" in str(caught.value)


def test_a_misuse_keeps_its_parts_when_it_is_pickled() -> None:
    error = SocketMisuse(errno.EISCONN, "socket", "a fresh one", "another", "make one")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.errno, str(again), again.hint) == (SocketMisuse, errno.EISCONN, str(error), error.hint)
    assert str(error) == "socket: expected a fresh one, got another (EISCONN: make one)"


@pytest.mark.parametrize("kind", ["seqpacket", "stream", "datagram"])
def test_what_the_layers_below_refuse_has_the_sockets_name_and_a_way_out(closing, kind) -> None:
    world = World("xns", kind, closing)
    first, second = world.socket("fresh"), world.socket("fresh")
    first.bind(9)
    for verb, address, number in (
        ("bind", 9, errno.EADDRINUSE), ("bind", 70000, errno.EINVAL), ("bind", "nowhere!", errno.EINVAL),
        ("connect", "nowhere!", errno.EINVAL),
    ):  # fmt: skip
        with pytest.raises(SocketMisuse, match=f"{kind} socket of a: {verb}: expected") as caught:
            getattr(second, verb)(address)
        assert caught.value.errno == number and ": " in caught.value.hint


@pytest.mark.parametrize("kind", ["stream", "datagram"])
def test_what_the_kernel_refuses_says_what_there_was(closing, kind) -> None:
    world = World("inet", kind, closing)
    bound = world.socket("bound")
    with pytest.raises(SocketMisuse, match=f"an unbound socket, got one at port {bound.address[1]}"):
        bound.bind(("127.0.0.1", 0))
    with pytest.raises(SocketMisuse, match=r"192\.0\.2\.1:0, one of elsewhere"):
        world.socket("fresh").bind(("192.0.2.1", 0))


@pytest.mark.slow
@pytest.mark.parametrize(("family", "kind"), [(f, k) for f, k in KINDS if k in ("seqpacket", "stream", "websocket")])
@pytest.mark.parametrize("backlog", ["x", None, 0, -1, True, 1.5])
def test_a_backlog_that_is_none_is_refused(closing, family, kind, backlog) -> None:
    with pytest.raises(SocketMisuse, match="listen: expected a backlog of 1 or more") as caught:
        World(family, kind, closing).socket("fresh").listen(backlog)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("kind", ["seqpacket", "stream", "datagram"])
@pytest.mark.parametrize("size", ["x", None, 1.5, True])
def test_an_mtu_that_is_no_number_is_refused(closing, kind, size) -> None:
    with pytest.raises(SocketMisuse, match="mtu: expected 1") as caught:
        World("xns", kind, closing).socket("fresh").mtu = size
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("family", ["xns", "inet"])
def test_a_size_that_is_none_takes_nothing_from_a_stream(closing, family) -> None:
    world = World(family, "stream", closing)
    client = world.socket("connected")
    assert world.server is not None
    world.server.timeout = client.timeout = 5
    conn = world.server.accept()
    closing.callback(conn.abort)
    conn.write(b"abc")
    for size in (-1, "x", None, 1.5, True, 10**12, 2**63, 10**10000):
        with pytest.raises(SocketMisuse, match="read: expected a size of 0 or more bytes") as caught:
            client.read(size)
        assert caught.value.errno == errno.EINVAL
    assert client.read(0) == b"" and client.read(2) == b"ab" and client.read(2**31 - 4096) == b"c"
    client.timeout = 0
    assert client.read(0) == b""  # nothing to wait for


@pytest.mark.parametrize("family", ["xns", "inet"])
def test_writing_nothing_needs_a_connection_too(closing, family) -> None:
    world = World(family, "stream", closing)
    for state, number in (("fresh", errno.ENOTCONN), ("closed", errno.EBADF)):
        with pytest.raises(SocketMisuse) as caught:
            world.socket(state).write(b"")
        assert caught.value.errno == number


@pytest.mark.parametrize("family", ["xns", "inet"])
@pytest.mark.parametrize("verb", ["ping", "write_raw", "write"])
def test_a_websocket_whose_peer_has_closed_is_a_broken_pipe(closing, family, verb) -> None:
    world = World(family, "websocket", closing)
    client = world.socket("fresh")
    assert world.server is not None
    world.server.timeout = client.timeout = 5
    client.connect(world.there)
    conn = world.server.accept()
    closing.callback(conn.abort)
    client._endpoint.engine.close()  # the server's side is then over at once
    world.host.loop.poll(client._endpoint)
    assert conn.read() is None
    with pytest.raises(BrokenPipeError, match=f"websocket socket of .*: {verb}: the other side has closed") as caught:
        getattr(conn, verb)(b"x")
    assert caught.value.errno == errno.EPIPE


@pytest.mark.parametrize("family", ["xns", "inet"])
def test_a_refused_connection_has_its_number_in_every_family(closing, family) -> None:
    world = World(family, "stream", closing)
    there = world.there
    world.server.abort()
    client = world.socket("fresh")
    client.timeout = 5
    with pytest.raises(ConnectionRefusedError) as caught:
        client.connect(there)
    assert caught.value.errno == errno.ECONNREFUSED


def test_attention_is_no_truth_value(closing) -> None:
    with pytest.raises(TypeError, match="seqpacket socket of a: attention: expected one byte"):
        World("xns", "seqpacket", closing).socket("connected").attention(True)


@pytest.mark.parametrize(
    ("number", "bad"),
    [
        (errno.EINVAL, {"interval": "x"}),
        (errno.EINVAL, {"interval": 0}),
        (errno.EINVAL, {"interval": float("nan")}),
        (errno.EINVAL, {"tries": 0}),
        (errno.EINVAL, {"tries": "x"}),
        (errno.EMSGSIZE, {"data": bytes(541)}),
    ],
)
def test_an_exchange_says_what_is_wrong_with_its_arguments(number, bad) -> None:
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    with pytest.raises(SocketMisuse, match="a: exchange") as caught:
        a.exchange(b.at(8), **{"data": b"", **bad})
    assert caught.value.errno == number


def test_an_exchange_takes_bytes_and_its_answer_gives_them() -> None:
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    with pytest.raises(TypeError, match="a: exchange: data: expected bytes, or a packet, got int"):
        a.exchange(b.at(8), 1 << 40)
    b.answer(8, lambda data: 5)
    with pytest.raises(
        TypeError, match="answer at .*: expected bytes from its function, or None for no reply, got int"
    ):
        a.exchange(b.at(8), b"", tries=1)
