"""Simulated sockets and ports that another thread closes, or stops, while one waits: virtual time goes on meanwhile."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from packetlab import Engine, Ether, SimNetwork
from tests.conftest import amount


class Ticks(Engine):
    """Goes on for ever: virtual time passes, and nothing comes to who waits elsewhere."""

    at, due = 1, False

    def next_timeout(self) -> int:
        return self.at

    def on_time(self, now: int) -> None:
        self.at, self.due = now + 10**6, True

    def packets_to_send(self, now: int) -> list[Any]:
        due, self.due = self.due, False
        return [Ether(type=0x88B5) / b"t"] * due


def ticking() -> tuple[SimNetwork, Any, Any]:
    """Return a network in which time goes on by itself, and two hosts of it that are linked."""
    net = SimNetwork(patience=1e9)
    a, b, c, d = (net.host(name) for name in "abcd")
    net.link(a, b)
    net.link(c, d)
    c.attach(Ticks())
    return net, a, b


def closed_meanwhile(net: SimNetwork, call: Callable[[], object], close: Callable[[], object]) -> object:
    """Make a call in a thread, `close` once time passes in it, and return what it returned or raised."""
    result: list[object] = []

    def run() -> None:
        try:
            result.append(call())
        except Exception as error:
            result.append(error)

    begun = net.now
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while net.now < begun + 10**8 and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.0005)
    close()
    thread.join(60)
    assert not thread.is_alive(), "the wait did not end"
    return result[0]


def test_nothing_happens_in_virtual_time_while_a_thread_looks_at_it() -> None:
    net, _, _ = ticking()
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            net.run(0.01)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def goes_on(since: int) -> None:
        deadline = time.monotonic() + 60
        while net.now <= since:
            assert time.monotonic() < deadline, "virtual time stands still"
            time.sleep(0)

    goes_on(10**6)
    with net.lock:
        before = net.now
        time.sleep(0.1)
        assert net.now == before
    goes_on(before)
    over.set()
    thread.join(60)
    assert not thread.is_alive()


CALLS = [
    ("stream", "accept"), ("stream", "read"), ("stream", "read_attention"), ("stream", "connect"), ("stream", "write"),
    ("seqpacket", "read"), ("seqpacket", "read_message"), ("seqpacket", "accept"), ("seqpacket", "write"),
    ("websocket", "accept"), ("websocket", "read"), ("websocket", "connect"),
    ("datagram", "read"), ("datagram", "read_from"), ("raw", "read"), ("raw", "read_packet"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "verb"), CALLS)
def test_a_close_in_another_thread_ends_the_wait_of_a_simulated_socket(kind: str, verb: str) -> None:
    for _ in range(amount(20, 200)):
        net, a, b = ticking()
        sock = server = b.socket(kind)
        call = getattr(sock, verb, None)
        if kind == "datagram":
            sock.bind(7)
        elif kind != "raw":
            server.bind(7)
            server.listen()
            if verb == "connect":
                sock = a.socket(kind)
                net.links[0].partition()
                call = lambda sock=sock, there=b.at(7): sock.connect(there)  # noqa: E731
            elif verb != "accept":
                client = a.socket(kind)
                client.connect(b.at(7))
                sock = server.accept()
                call = getattr(sock, verb)
        if verb == "write":  # nobody reads: there is no room once the window is full
            write = sock.write
            call = lambda write=write: [write(b"x" * 500) for _ in range(100_000)]  # noqa: E731
        sock.timeout = None
        assert call is not None

        def close(sock: Any = sock) -> None:
            sock.timeout = 1.0
            sock.close()

        error = closed_meanwhile(net, call, close)
        assert isinstance(error, OSError) and error.errno == errno.EBADF and "was closed" in str(error), repr(error)


@pytest.mark.parametrize("timeout", [None, 1e6])
def test_a_capture_in_virtual_time_stops_where_nothing_comes_to_its_port(timeout: float | None) -> None:
    net, _, b = ticking()
    stop = threading.Event()
    taken = closed_meanwhile(net, lambda: list(b.interface.capture(stop=stop, timeout=timeout)), stop.set)
    assert taken == [] and net.now < 10**15


def test_a_close_in_another_thread_ends_the_wait_of_a_simulated_port() -> None:
    calls: list[Callable[[Any], object]] = [lambda port: port.receive(timeout=None), lambda port: list(port.capture())]
    for call in calls:
        net, _, b = ticking()
        error = closed_meanwhile(net, lambda call=call, b=b: call(b.interface), b.interface.close)
        assert isinstance(error, OSError) and error.errno == errno.EBADF and "has been closed" in str(error)
