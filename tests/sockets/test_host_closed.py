"""A host that is closed: every wait for it ends with an error that says so, and every call after is such an error."""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from packetlab import LocalHost, SimNetwork, Timing, XNSAddress
from packetlab.errors import SocketMisuse
from packetlab.link.event_loop import RealTime
from tests.link.queues import slow_down
from tests.sockets.test_background import PATIENCE, in_thread, pair, socket_of, waits


@pytest.mark.parametrize("verb", ["exchange", "until"])
def test_a_wait_of_a_host_ends_when_the_host_is_closed(verb: str) -> None:
    waits, errors = threading.Event(), list[BaseException]()
    with LocalHost(mac="10:00:aa:00:00:01") as host:
        host.join(0x401, "udp", local=("127.0.0.1", 0), peer=("127.0.0.1", 9))

        def condition() -> bool:
            waits.set()
            return False

        calls: dict[str, Callable[[], object]] = {
            "exchange": lambda: host.exchange(XNSAddress(0x401, 0x99, 8), b"x", tries=1000, interval=60),
            "until": lambda: host.until(condition),
        }

        def run() -> None:
            try:
                calls[verb]()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        if verb == "until":
            assert waits.wait(30)
        else:
            while not host.loop._polling and thread.is_alive():
                waits.wait(0.01)
        host.close()
        thread.join(30)
        assert not thread.is_alive()
    (error,) = errors
    assert isinstance(error, SocketMisuse) and error.errno == errno.EBADF and verb in str(error)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "kind", "verb"), list(waits()))
def test_a_host_that_is_closed_ends_the_waits_at_its_sockets(family: str, kind: str, verb: str) -> None:
    a, b = pair()
    with a, b, ExitStack() as stack:
        sock = socket_of(stack, a, b, family, kind, verb)
        waiter, caught = in_thread(b.loop, getattr(sock, verb))
        b.close()
        waiter.join(PATIENCE)
        assert not waiter.is_alive()
        (error,) = caught
        assert isinstance(error, SocketMisuse) and error.errno == errno.EBADF and verb.split("_")[0] in str(error)
        assert "open host" in str(error)
        sock.close()


@pytest.mark.parametrize("kind", ["seqpacket", "stream", "websocket"])
def test_a_host_that_is_closed_ends_the_close_of_a_socket(kind: str) -> None:
    """Its peer is gone with data of ours unconfirmed, and no timer can end the wait any more."""
    a, b = pair(Timing(give_up=1000, linger=1000))
    with a, b, ExitStack() as stack:
        server = b.socket(kind, "xns")
        server.bind(7)
        server.listen()
        client: Any = a.socket(kind, "xns", **({"close_timeout": 1000} if kind == "websocket" else {}))
        client.connect(b.at(7))
        stack.callback(server.accept().abort)
        b.close()
        client.write(b"unconfirmed")
        waiter, caught = in_thread(a.loop, client.close)
        a.close()
        waiter.join(PATIENCE)
        assert not waiter.is_alive()
        (error,) = caught
        assert isinstance(error, SocketMisuse) and error.errno == errno.EBADF
        assert f"{kind} socket of h1: close: expected a socket of an open host" in str(error)
        assert error.__context__ is None


def test_a_wait_at_a_socket_of_the_kernel_needs_no_xns_to_end_with_its_host() -> None:
    host = LocalHost(loop=RealTime())
    with host.socket("datagram", "inet") as sock:
        sock.bind(("127.0.0.1", 0))
        waiter, caught = in_thread(sock.host.loop, sock.read)
        host.close()
        waiter.join(PATIENCE)
        assert [error.errno for error in caught if isinstance(error, OSError)] == [errno.EBADF]


CALLS: dict[str, Callable[[LocalHost], object]] = {
    "exchange": lambda host: host.exchange(XNSAddress(0x401, 0x99, 8)),
    "answer": lambda host: host.answer(9, bytes),
    "join": lambda host: host.join(0x402, "udp", local=("127.0.0.1", 0), peer=("127.0.0.1", 9)),
    "route": lambda host: host.route(),
    "until": lambda host: host.until(lambda: False),
    "attach": lambda host: host.attach(None),  # type: ignore[arg-type]
    "seqpacket": lambda host: host.socket("seqpacket"),
    "websocket": lambda host: host.socket("websocket", "inet"),
    "datagram": lambda host: host.socket("datagram", "inet"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_host_is_of_no_use_and_says_so(call: str) -> None:
    a, b = pair()
    with a:
        b.close()
        drivers, log = [*b.loop.drivers], b.log
        with pytest.raises(SocketMisuse, match=f"{call}.*: expected an open host, got one that was closed") as caught:
            CALLS[call](b)
        assert caught.value.errno == errno.EBADF
        assert (b.loop.drivers, b.log) == (drivers, log)  # nothing of it has come to life again


def places() -> dict[str, Any]:
    net = SimNetwork(1)
    alone, joined, left = net.host("alone"), LocalHost(mac="02:00:00:00:00:09", name="c"), LocalHost(name="left")
    left.close()
    return {"a simulated host without a link": alone, "a host that has not joined": joined, "a closed host": left}


@pytest.mark.parametrize("which", places())
def test_a_place_on_no_xns_network_is_said(which: str) -> None:
    net = SimNetwork(1)
    a, b, host = net.host("a"), net.host("b"), places()[which]
    net.link(a, b)
    calls: dict[str, Callable[[], object]] = {
        "seqpacket socket of a: connect": lambda: a.socket("seqpacket").connect(host.at(7)),
        "websocket socket of a: connect|stream socket of a: connect": lambda: a.socket("websocket").connect(host.at(7)),
        "datagram socket of a: connect": lambda: a.socket("datagram").connect(host.at(7)),
        "datagram socket of a: write": lambda: a.socket("datagram").write(b"x", to=host.at(7)),
        "datagram socket of a: bind": lambda: a.socket("datagram").bind(host.at(7)),
        f"{host.name}:7": lambda: a.exchange(host.at(7)),
    }
    for where, call in calls.items():
        with pytest.raises(
            SocketMisuse, match=f"({where}): expected a host on an XNS network, got {host.name}"
        ) as caught:
            call()
        assert caught.value.errno == errno.EADDRNOTAVAIL


@pytest.mark.parametrize("host", [0xFFFFFFFFFFFF, 0x010000000000])
@pytest.mark.parametrize("kind", ["seqpacket", "stream", "websocket"])
def test_a_connection_is_with_one_host(kind: str, host: int) -> None:
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    with pytest.raises(SocketMisuse, match="connect: expected an address with one host") as caught:
        a.socket(kind).connect(XNSAddress(0, host, 7))
    assert caught.value.errno == errno.EADDRNOTAVAIL and net.now == 0


WITH_AN_INTERFACE = """
import errno, threading, time
from packetlab import Engine, Ether, LocalHost, exchange
from tests.link.asleep import sleeps

class Ticking(Engine):
    "Sends a frame each millisecond."
    at = 0
    def next_timeout(self):
        return self.at
    def on_time(self, now):
        self.at, self.due = now + 1_000_000, True
    due = False
    def packets_to_send(self, now):
        due, self.due = self.due, False
        return [Ether(type=0x88B5) / b"tick"] * due

def ends(call):
    host, other = LocalHost("eth0"), LocalHost("lo", name="other")
    host.attach(Ticking())
    errors = []
    def run():
        try:
            errors.append(call(host))
        except OSError as error:
            errors.append((error.errno == errno.EBADF and "has been closed" in str(error)) or error)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    sleeps(f"/proc/self/task/{thread.native_id}", lambda: not thread.is_alive())
    start = time.monotonic()
    host.close()
    thread.join(10)
    try:
        exchange(frame, no, via=host)
    except OSError as error:
        errors.append(error.errno == errno.EBADF and "expected an open host" in str(error))
    other.loop.run(0.05)  # the engine troubles nobody
    other.close()
    print(errors, time.monotonic() - start < 5, flush=True)

frame = Ether(dst="02:00:00:00:00:77", type=0x88B5) / bytes(1000)
no = lambda packet: False
ends(lambda host: exchange(frame, no, via=host, timeout=3600))
ends(lambda host: host.attachments[0].open().receive(timeout=None, where=no))
ends(lambda host: host.interface.receive(timeout=None, where=no))
ends(lambda host: exchange(frame, no, via=host, timeout=0.0, retries=3000))
"""


@pytest.mark.slow
def test_what_waits_at_the_interface_of_a_host_that_is_closed_ends(lab) -> None:
    """For an answer, for frames, and for room on a link that takes ten bytes a second."""
    a = lab.host("a")
    lab.link(a, lab.host("b"))
    slow_down(a)
    done = a.run(sys.executable, "-c", WITH_AN_INTERFACE, timeout=60)
    assert done.stdout.splitlines() == ["[True, True] True"] * 4, done.stdout + done.stderr
