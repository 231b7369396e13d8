"""A port that is closed by another thread ends every wait for it with an error that says so; `stop` ends loops quietly."""

from __future__ import annotations

import errno
import io
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from packetlab import (
    Capture,
    Ether,
    Frame,
    IPv4,
    Lab,
    RawIPSocket,
    SimNetwork,
    exchange,
    memory_wire,
    record,
    replay,
    send,
)
from packetlab.link.replay.replay_sides import replay_sides
from packetlab.network.carriers import NetHubPort, UDPPort
from tests.link.asleep import signalled, sleeps, waiting

FRAME = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01", type=0x88B5) / b"x"
FAR_APART = Capture.of([Frame(bytes(FRAME), 0), Frame(bytes(FRAME), 3600 * 10**9)])
CLOSED = r"expected an open port, got one that has been closed"


def the_error(call: Callable[[], object], port: Any) -> str:
    error = waiting(call, port.close)
    assert isinstance(error, OSError) and error.errno == errno.EBADF, repr(error)
    port.close()  # again does no harm
    return str(error)


@pytest.fixture(params=["interface", "unanswered", "raw ip", "udp", "nethub", "memory"])
def port(request: pytest.FixtureRequest) -> Any:
    if request.param == "memory":
        one, other = memory_wire()
        yield one
        other.close()
    elif request.param == "nethub":
        with socket.create_server(("127.0.0.1", 0)) as hub:
            with NetHubPort(hub.getsockname()[:2]) as port:
                yield port
    elif request.param == "udp":
        with UDPPort(("127.0.0.1", 0), ("127.0.0.1", 9)) as port:
            yield port
    else:
        lab = request.getfixturevalue("lab")
        a, b = lab.host("a"), lab.host("b")
        lab.link(a, b)
        with {
            "interface": lambda: a.interface,
            "unanswered": a.unanswered_address,
            "raw ip": lambda: RawIPSocket(1, a),
        }[request.param]() as one:
            yield one


@pytest.mark.parametrize("timeout", [None, 3600.0])
def test_receiving_ends(port: Any, timeout: float | None) -> None:
    assert CLOSED.split()[-1] in the_error(lambda: port.receive(timeout=timeout), port)
    for call in (lambda: port.receive(timeout=0.0), lambda: port.receive(timeout=None), lambda: port.send(b"x" * 60)):
        with pytest.raises(OSError, match=CLOSED) as caught:
            call()
        assert caught.value.errno == errno.EBADF and port.name in str(caught.value)


def test_replaying_ends(port: Any) -> None:
    assert port.name in the_error(lambda: replay(FAR_APART, onto=port), port)


def test_capturing_ends(port: Any) -> None:
    assert port.name in the_error(lambda: list(port.capture()), port)


def test_capturing_stops(port: Any) -> None:
    stop = threading.Event()
    assert waiting(lambda: list(port.capture(stop=stop)), stop.set) == []
    assert list(port.capture(stop=stop, timeout=3600)) == []
    assert port.name in the_error(lambda: list(port.capture(stop=threading.Event())), port)


def test_exchanging_ends(port: Any) -> None:
    request = IPv4(dst="127.0.0.1") / b"x" if isinstance(port, RawIPSocket) else FRAME
    assert port.name in the_error(lambda: exchange(request, lambda _: False, via=port, timeout=3600), port)


@pytest.mark.parametrize("closed", [None, "client", "server"])
def test_a_side_that_waits_for_the_other_ends(port: Any, closed: str | None) -> None:
    data = bytes(IPv4(dst="127.0.0.1") / b"x" if isinstance(port, RawIPSocket) else FRAME)
    other, far = memory_wire()
    stop = threading.Event()
    sides = iter(("client", "server", "client", "server"))
    ends = {"client": port, "server": other}

    def call() -> object:
        frames = [Frame(data, 0), Frame(data, 0)]
        return replay_sides(Capture.of(frames), port, other, by=lambda _: next(sides), wait=3600, stop=stop)

    result: Any = waiting(call, ends[closed].close if closed else stop.set)
    if closed is None:
        assert result.sent == 1 and result.lost == 0
    else:
        assert isinstance(result, OSError) and result.errno == errno.EBADF and ends[closed].name in str(result)
    far.close()


def test_the_other_end_of_a_wire_in_memory_hears_of_it() -> None:
    one, other = memory_wire()
    one.send(FRAME)
    one.close()
    assert other.receive(timeout=None)[Ether].type == 0x88B5  # what is on the wire still arrives
    for timeout in (None, 3600.0, 0.0):
        with pytest.raises(OSError, match="other end has been closed"):
            other.receive(timeout=timeout)


@pytest.mark.slow
def test_rings_and_recordings_end_with_their_interface(lab: Lab) -> None:
    a, b, c = (lab.host(name) for name in "abc")
    for host in (b, c):
        lab.link(a, host)
    ring = b.interface.ring(1 << 20)
    assert "ring of eth0" in the_error(lambda: list(ring.batches()), b.interface)
    with pytest.raises(OSError, match="has been closed"):
        next(ring.batches())
    file = io.BytesIO()

    def close() -> None:
        a.interfaces[1].send(FRAME)
        while bytes(FRAME) not in file.getvalue():
            time.sleep(0.001)
        c.interface.close()

    error = waiting(lambda: record(c.interface, file), close)
    assert isinstance(error, OSError) and error.errno == errno.EBADF
    assert [frame.data for frame in Capture(io.BytesIO(file.getvalue()))] == [bytes(FRAME)]  # it is whole


def test_a_ring_that_is_closed_by_itself_leaves_the_interface(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with b.interface.ring(1 << 20) as ring:
        assert "ring of eth0" in the_error(lambda: list(ring.batches(timeout=3600)), ring)
    stop = threading.Event()
    with b.interface.ring(1 << 20) as ring:
        assert waiting(lambda: list(ring.batches(stop=stop)), stop.set) == []
    a.interface.send(FRAME)
    assert b.interface.receive(timeout=60)[Ether].type == 0x88B5


@pytest.mark.slow
def test_sending_ends(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    many = [FRAME] * 10
    ways: list[Callable[..., object]] = [
        lambda one, other, **more: replay(FAR_APART, onto=one, **more),
        lambda one, other, **more: send(many, one, rate=0.001, **more),
        lambda one, other, **more: replay_sides(FAR_APART, one, other, by=lambda packet: "client", **more),
    ]
    for way in ways:
        stop = threading.Event()

        def then(stop: threading.Event = stop) -> None:
            b.interface.receive(timeout=60)  # the first has gone
            stop.set()

        report: Any = waiting(lambda way=way, stop=stop: way(a.interface, b.interface, stop=stop), then)
        assert report.sent == 1 and report.failed == 0
    for number, way in enumerate(ways):
        c, d = lab.host(f"c{number}"), lab.host(f"d{number}")
        lab.link(c, d)
        assert CLOSED.split()[-1] in the_error(lambda way=way, c=c, d=d: way(c.interface, d.interface), c.interface)
    a.interface.close()
    for way in (
        lambda: replay(FAR_APART, onto=a.interface),
        lambda: replay(FAR_APART, onto=a.interface, topspeed=True),
        lambda: send(many, a.interface),
        lambda: replay_sides(FAR_APART, a.interface, b.interface, by=lambda packet: "client"),
    ):
        with pytest.raises(OSError, match="has been closed"):
            way()


def test_closing_a_lab_ends_the_waits_in_it() -> None:
    lab = Lab().open()
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    program = a.popen("sleep", "3600")
    errors = []

    def one(call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:
            errors.append(error)

    calls = [lambda: program.wait(), lambda: b.interface.receive(timeout=None), lambda: a.until(lambda: False)]
    threads = [threading.Thread(target=one, args=(call,), daemon=True) for call in calls[:2]]
    for thread in threads:
        thread.start()
        sleeps(f"/proc/self/task/{thread.native_id}")
    error = waiting(calls[2], lab.close)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert "open" in str(error) and all("open" in str(found) for found in errors), (error, errors)


def test_a_port_of_a_simulated_network_that_is_closed_says_so() -> None:
    net = SimNetwork()
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    b.interface.close()
    for call in (lambda: b.interface.receive(timeout=None), lambda: b.interface.send(FRAME)):
        with pytest.raises(OSError, match=CLOSED):
            call()
    stop = threading.Event()
    stop.set()
    a.interface.send(FRAME)
    assert list(a.interface.capture(stop=stop)) == []


def test_a_signal_handler_may_close_the_port_its_own_thread_waits_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hub, NetHubPort(hub.getsockname()[:2]) as port:
        with pytest.raises(OSError, match=CLOSED), signalled(lambda *_: port.close()):
            port.receive(timeout=None)
