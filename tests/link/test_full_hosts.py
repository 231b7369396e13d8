"""Hosts and engines whose ports have no room: nobody is held up, and nothing is lost in silence."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

import pytest

from packetlab import LocalHost, SimNetwork, dissect
from packetlab.engine.contract import Ignored
from packetlab.errors import SocketMisuse
from packetlab.link.event_loop import RealTime
from packetlab.network.outgoing import MOST
from packetlab.network.runner import EngineDriver
from packetlab.testing import Tape
from packetlab.testing.peer import Replay
from tests.link.queues import (
    PATIENCE,
    Dropping,
    Many,
    Own,
    Paired,
    at_rest,
    end_of,
    long_frame,
    slow_down,
    started,
)


class Silent:
    """A hub that reads nothing until it is to."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self.host = LocalHost(mac="02:00:00:00:00:01")
        self.host.join(0x401, "nethub", address=self.listener.getsockname()[:2])
        self.line, _ = self.listener.accept()
        self.host.xns.ports[0]._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least that there is
        self.written = 0

    def write(self, x, size: int = 500) -> None:
        """Write until an error ends it, each datagram with its number."""
        while True:
            x.write(self.written.to_bytes(4, "big").ljust(size, b"y"), to=(0x401, 0x020000000009, 500))
            self.written += 1

    def frames(self, count: int) -> list[bytes]:
        """Return the next frames on the line; AssertionError where what stands there is none."""
        stream, frames = self.line.makefile("rb"), []
        while len(frames) < count:
            size = int.from_bytes(stream.read(2), "big")
            frames.append(stream.read(size))
            assert frames[-1][12:14] == b"\x06\x00", "no whole frame"
        return frames

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        self.host.close()
        self.line.close()
        self.listener.close()


@pytest.fixture
def silent():
    with Silent() as hub:
        yield hub


def test_a_socket_whose_datagram_waits_for_room_can_be_closed(silent) -> None:
    x = silent.host.socket("datagram", "xns")
    thread = started(silent.write, x)
    at_rest(lambda: silent.written)
    begun = time.monotonic()
    x.close()
    assert time.monotonic() - begun < 5
    assert type(end_of(*thread)) is SocketMisuse


@pytest.mark.parametrize("what", ["another socket", "the host"])
def test_what_waits_for_room_holds_nobody_up(silent, what) -> None:
    thread = started(silent.write, silent.host.socket("datagram", "xns"))
    at_rest(lambda: silent.written)
    if what == "another socket":
        with silent.host.socket("datagram", "inet") as other:
            other.bind(("127.0.0.1", 0))
            other.timeout = 0.05
            with pytest.raises(TimeoutError):
                other.read()
    silent.host.close()
    assert type(end_of(*thread)) is SocketMisuse


def test_a_write_that_finds_no_room_waits_no_longer_than_its_timeout(silent) -> None:
    x = silent.host.socket("datagram", "xns")
    x.timeout = 0.2
    assert type(end_of(*started(silent.write, x))) is TimeoutError
    x.timeout = 0
    with pytest.raises(BlockingIOError):
        x.write(b"one", to=(0x401, 0x020000000009, 500))


def test_all_that_was_written_goes_whole_and_in_order_once_there_is_room(silent) -> None:
    x = silent.host.socket("datagram", "xns")
    x.timeout = 0.2
    end_of(*started(silent.write, x))
    x.timeout = None
    silent.line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    reader = started(silent.frames, silent.written + 1)
    x.write(b"last", to=(0x401, 0x020000000009, 500))
    with suppress(TimeoutError):
        while reader[0].is_alive():
            silent.host.until(lambda: not reader[0].is_alive(), timeout=0.05)
    frames = end_of(*reader)
    numbers = [int.from_bytes(data[44:48], "big") for data in frames[:-1]]
    assert numbers == list(range(silent.written))
    assert frames[-1][44:48] == b"last"


@pytest.mark.slow
def test_a_socket_on_a_slow_interface_of_the_kernel_can_be_closed(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    x, count = a.socket("datagram", "xns"), 0
    x.write(b"first", to=b.at(500))
    slow_down(a)

    def write() -> None:
        nonlocal count
        while True:
            x.write(b"y" * 500, to=b.at(500))
            count += 1

    thread = started(write)
    at_rest(lambda: count)
    x.close()
    assert type(end_of(*thread)) is SocketMisuse
    assert count > 0


@pytest.mark.parametrize("queue", [Paired, Dropping])
def test_an_engine_sends_more_than_its_port_has_room_for(queue) -> None:
    """What is over a queue's worth is dropped, and the log says so; the rest goes in order."""
    loop, port = RealTime(), queue()
    with port:
        taken = port.fill() if queue is Paired else 0
        driver = EngineDriver(Many(MOST + 100), port, None, b"\x02" * 6, b"\x04" * 6)
        loop.add(driver)
        loop.poll(driver)
        dropped = [event for event in driver.log if isinstance(event, Ignored)]
        assert len(dropped) == 100 and "1000 frames wait for room" in dropped[0].why
        got: list[int] = []
        if queue is Dropping:
            port.room = 1 << 20
        port.far.setblocking(False)
        while len(got) < taken + MOST:
            with suppress(BlockingIOError):
                while True:
                    got.append(int.from_bytes(port.far.recv(200)[14:18], "big"))
            loop.run(0.01)
        assert got[taken:] == list(range(MOST))
        assert port.mask == 1
        loop.remove(driver)


def test_what_an_engine_handed_out_goes_on_after_a_handlers_exception() -> None:
    class Interrupted(Paired):
        def _hand_over(self, data: bytes, gone: list[int]) -> None:
            if self.taken == 3:
                self.taken += 1
                raise Own
            super()._hand_over(data, gone)

    loop = RealTime()
    with Interrupted() as port:
        driver = EngineDriver(Many(8), port, None, b"\x02" * 6, b"\x04" * 6)
        loop.add(driver)
        with pytest.raises(Own):
            loop.poll(driver)
        loop.poll(driver)
        assert [int.from_bytes(port.far.recv(200)[14:18], "big") for _ in range(8)] == [*range(8)]
        loop.remove(driver)


def test_a_port_that_is_closed_with_frames_waiting_is_one_error_and_not_one_for_each() -> None:
    loop, port = RealTime(), Paired()
    port.fill()
    driver = EngineDriver(Many(50), port, None, b"\x02" * 6, b"\x04" * 6)
    loop.add(driver)
    loop.poll(driver)
    port.close()
    with pytest.raises(SocketMisuse):
        loop.run(PATIENCE)
    loop.run(0.5)
    loop.remove(driver)


def test_a_write_in_the_midst_of_the_networks_work_does_not_wait(silent) -> None:
    """As a handler's of a signal; it goes when there is room."""
    x = silent.host.socket("datagram", "xns")
    x.timeout = 0.2
    end_of(*started(silent.write, x))
    loop = silent.host.loop
    with loop.lock:
        assert loop._work.do("x", lambda: x.write(b"last", to=(0x401, 0x020000000009, 500))) == 4
    silent.line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    reader = started(silent.frames, silent.written + 1)
    while reader[0].is_alive():
        with suppress(TimeoutError):
            silent.host.until(lambda: not reader[0].is_alive(), timeout=0.05)
    assert end_of(*reader)[-1][44:48] == b"last"


@pytest.mark.parametrize("net", [0, 0x401, 0xFFFFFFFF])
def test_a_datagram_to_everybody_waits_too(silent, net) -> None:
    x = silent.host.socket("datagram", "xns")
    x.broadcast, x.timeout = True, 0.2

    def write() -> None:
        while True:
            x.write(b"y" * 500, to=(net, 0xFFFFFFFFFFFF, 500))

    assert type(end_of(*started(write))) is TimeoutError
    assert [event for event in silent.host.log if "not sent" in getattr(event, "why", "")] == []


@pytest.mark.slow
def test_a_tape_that_sends_on_a_slow_interface_holds_nobody_up(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    slow_down(a)
    with b.socket("datagram", "xns") as other, Tape(a) as tape:
        other.bind(77)
        other.timeout = 0.5
        for number in range(300):
            tape.send(a, None, dissect(long_frame(number)), at=0.1)
        thread = started(tape.play, 60)
        time.sleep(0.5)
        with pytest.raises(TimeoutError):
            other.read()
        lab.close()
        assert isinstance(end_of(*thread), Exception)


@pytest.mark.slow
def test_a_replayed_peer_that_answers_on_a_slow_interface_holds_nobody_up_and_keeps_its_order(lab) -> None:
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    server, client = b.socket("datagram", "xns"), a.socket("datagram", "xns")
    server.bind(900)
    client.bind(901)
    client.write(b"question", b.at(900))
    server.read()
    for number in range(40):
        server.write(b"%04d" % number + b"x" * 500, a.at(901))
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.socket("datagram", "xns") as asking, a.socket("datagram", "xns") as other:
        asking.bind(901)
        other.bind(77)
        asking.timeout = other.timeout = 0.5
        slow_down(b)
        with Replay([*net.capture], "datagram", 900).on(b):
            asking.write(b"question", b.at(900))
            got: list[bytes] = []
            with pytest.raises(TimeoutError):
                while True:
                    got.append(asking.read()[:4])
            assert got == [b"%04d" % number for number in range(len(got))]
            with pytest.raises(TimeoutError):
                other.read()
            lab.close()
