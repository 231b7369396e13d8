"""Several threads at one socket: what one call writes, or reads, is whole; waiting for one's turn ends as any wait does."""

from __future__ import annotations

import errno
import itertools
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from packetlab import SPP, Control, LocalHost, SimNetwork
from packetlab.errors import SocketMisuse
from packetlab.link.event_loop import RealTime
from packetlab.sockets.socket import QueuedCall
from tests.link.asleep import signalled
from tests.sockets.test_background import HERE, free_ports

KINDS = [("xns", "seqpacket"), ("xns", "stream"), ("inet", "stream")]
WAIT = 30  # seconds for what takes none


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(params=KINDS, ids=lambda kind: " ".join(kind))
def pair(request, closing) -> tuple[Any, Any]:
    """Return a connection in real time between two hosts, each with an event loop of its own."""
    return connected(closing, *request.param)


def connected(closing: ExitStack, family: str, kind: str) -> tuple[Any, Any]:
    hosts = [
        closing.enter_context(LocalHost(mac=f"02:00:00:00:00:0{number}", name=name, loop=RealTime()))
        for number, name in enumerate("ab", 1)
    ]
    ports = free_ports(2) if family == "xns" else []
    for host, (here, there) in zip(hosts, [ports, ports[::-1]] if ports else [], strict=False):
        host.join(0x401, "udp", local=(HERE, here), peer=(HERE, there))
    server, client = hosts[1].socket(kind, family), hosts[0].socket(kind, family)
    closing.callback(server.abort)
    server.bind(7 if family == "xns" else ("127.0.0.1", 0))
    server.listen()
    server.timeout = client.timeout = WAIT
    client.connect(server.address)
    conn = server.accept()
    closing.callback(client.abort)
    closing.callback(conn.abort)
    return client, conn


def threads(*calls: Callable[[], object]) -> list[threading.Thread]:
    found = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in found:
        thread.start()
    return found


def joined(found: list[threading.Thread]) -> None:
    for thread in found:
        thread.join(WAIT)
        assert not thread.is_alive()


def trouble(call: Callable[[], object], into: list[BaseException]) -> Callable[[], None]:
    def run() -> None:
        try:
            call()
        except BaseException as error:
            into.append(error)

    return run


@pytest.fixture
def tight() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def blocked(sock: Any, data: bytes, errors: list[BaseException]) -> threading.Thread:
    """Return a thread that is within a write which the peer does not take."""
    write = sock.write_message if sock.kind == "seqpacket" else sock.write
    (thread,) = threads(trouble(lambda: write(data), errors))
    while "write" not in sock._turns and thread.is_alive():
        sock.host.loop.run(0.01)
    return thread


BIG = bytes(20_000_000)  # more than any peer takes that does not read


@pytest.mark.slow
def test_what_a_thread_writes_is_whole(pair, tight) -> None:
    client, conn = pair
    size = 3000
    messages = client.kind == "seqpacket"
    write = client.write_message if messages else client.write
    writers = threads(
        *(lambda letter=letter: [write(letter * size) for _ in range(10)] for letter in (b"a", b"b", b"c", b"d"))
    )
    total, got = 4 * 10 * size, []
    while sum(map(len, got)) < total:
        got.append(conn.read_message() if messages else conn.read())
    joined(writers)
    if messages:
        assert Counter(got) == {letter * size: 10 for letter in (b"a", b"b", b"c", b"d")}
    else:
        runs = [len(list(run)) for _, run in itertools.groupby(b"".join(got))]
        assert [run for run in runs if run % size] == []


@pytest.mark.slow
def test_what_many_threads_read_is_all_that_came(pair, tight) -> None:
    client, conn = pair
    got: list[bytes] = []
    errors: list[BaseException] = []
    read = (lambda: conn.read_message()) if client.kind == "seqpacket" else (lambda: conn.read(7))

    def reader() -> None:
        while data := read():
            got.append(data)

    readers = threads(*[trouble(reader, errors)] * 4)
    sent = [b"%07d" % number * 200 for number in range(30)]
    for data in sent:
        client.write_message(data) if client.kind == "seqpacket" else client.write(data)
    client.close()
    joined(readers)
    assert errors == []
    if client.kind == "seqpacket":
        assert Counter(got) == Counter(sent)
    else:
        assert Counter(b"".join(got)) == Counter(b"".join(sent))


def test_a_packet_does_not_get_into_anothers_message(closing) -> None:
    client, conn = connected(closing, "xns", "seqpacket")
    errors: list[BaseException] = []
    long = blocked(client, b"m" * 100_000, errors)
    (short,) = threads(trouble(lambda: client.write(b"s", header=SPP(control=Control.END_OF_MESSAGE)), errors))
    assert conn.read_message() == b"m" * 100_000
    joined([long])
    assert conn.read_message() == b"s" and errors == []
    joined([short])


def test_a_packet_is_not_read_out_of_anothers_message(closing) -> None:
    client, conn = connected(closing, "xns", "seqpacket")
    messages: list[bytes] = []
    client.write(b"one, ")
    (reader,) = threads(lambda: messages.append(conn.read_message()))
    while conn._message is None:
        conn.host.loop.run(0.01)
    packets: list[bytes] = []
    (other,) = threads(lambda: packets.append(conn.read()))
    conn.host.loop.run(0.05)
    client.write(b"whole", header=SPP(control=Control.END_OF_MESSAGE))
    joined([reader])
    client.write(b"another")
    joined([other])
    assert messages == [b"one, whole"] and packets == [b"another"]


def test_a_close_ends_who_waits_for_their_turn(pair) -> None:
    client, _ = pair
    errors: list[BaseException] = []
    waiting = [blocked(client, BIG, errors), *threads(*[trouble(lambda: client.write(b"x" * 9), errors)] * 2)]
    client.host.loop.run(0.05)
    client.abort()
    joined(waiting)
    assert [error.errno for error in errors if isinstance(error, SocketMisuse)] == [errno.EBADF] * 3


@pytest.mark.parametrize("seconds", [0, 0.05])
def test_a_timeout_ends_who_waits_for_their_turn(pair, seconds) -> None:
    client, _ = pair
    errors: list[BaseException] = []
    writer = blocked(client, BIG, errors)
    client.timeout = seconds
    with pytest.raises(TimeoutError if seconds else BlockingIOError, match=f"{client.kind} socket of a: write"):
        client.write(b"x")
    client.abort()
    joined([writer])


@pytest.mark.slow
def test_a_write_under_way_keeps_the_timeout_with_which_it_began(pair) -> None:
    client, conn = pair
    errors: list[BaseException] = []
    writer = blocked(client, BIG, errors)
    client.timeout = 0
    got = 0
    while got < 2_000_000:  # so that it goes on, and has to wait again
        got += len(conn.read())
    assert writer.is_alive() and not errors
    client.abort()
    joined([writer])
    assert [error.errno for error in errors if isinstance(error, SocketMisuse)] == [errno.EBADF]


def test_a_signals_handler_closes_within_a_write(pair) -> None:
    client, _ = pair
    with pytest.raises(OSError, match="write") as caught, signalled(lambda *_: client.abort()):
        (client.write_message if client.kind == "seqpacket" else client.write)(BIG)
    assert caught.value.errno == errno.EBADF


def test_a_signals_handler_that_writes_within_a_write_is_reported_so(pair) -> None:
    """It would have to wait for what it keeps from going on; and what it writes belongs to no place within."""
    client, _ = pair
    errors: list[BaseException] = []

    def handler(*_: object) -> None:
        trouble(lambda: client.write(b"x"), errors)()
        client.abort()

    with pytest.raises(OSError, match="write"), signalled(handler):
        (client.write_message if client.kind == "seqpacket" else client.write)(BIG)
    (error,) = errors
    assert isinstance(error, SocketMisuse) and error.errno == errno.EDEADLK and "signal" in str(error)


def test_an_interrupted_write_gives_its_turn_back(pair) -> None:
    client, _ = pair

    def handler(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), signalled(handler):
        (client.write_message if client.kind == "seqpacket" else client.write)(BIG)
    assert client._turns == {}


@pytest.mark.slow
def test_first_datagrams_of_two_threads_are_from_one_number(tight) -> None:
    net = SimNetwork()
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    for _ in range(50):
        sock, errors = a.socket("datagram"), []
        joined(threads(*[trouble(lambda sock=sock: sock.write(b"x", to=b.at(9)), errors)] * 2))
        assert errors == []
        sock.close()


def test_in_virtual_time_who_waits_for_their_turn_is_not_stalled(tight) -> None:
    net = SimNetwork()
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.01)
    server, client = b.socket("stream"), a.socket("stream")
    server.bind(7)
    server.listen()
    client.connect(b.at(7))
    conn = server.accept()
    errors: list[BaseException] = []
    with (turn := QueuedCall(None)).call, client._turn("write", "write", turn):  # as a write that computes
        (other,) = threads(trouble(lambda: client.write(b"x"), errors))
        other.join(0.1)
        assert other.is_alive() and errors == []
    joined([other])
    assert errors == [] and conn.read() == b"x"
