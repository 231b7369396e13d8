"""Ports that have no room for a frame: who waits, what ends that, and what becomes of the frames."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import pytest

from packetlab import Capture, Ether, LocalHost, dissect, replay, send
from packetlab.bulk.batch import Batch
from packetlab.engine.contract import Engine, Ignored
from packetlab.errors import SocketMisuse
from packetlab.link.event_loop import RealTime
from packetlab.link.replay.replay_sides import replay_sides
from packetlab.link.replay.vectors import Vectors
from packetlab.link.socket_port import SocketPort
from packetlab.link.waits import Waits
from packetlab.network.outgoing import FULL, MOST
from packetlab.network.runner import EngineDriver

PATIENCE = 20  # seconds for what is over at once


class Paired(SocketPort):
    """A port that is one end of a pair of sockets, whose queue fills up as that of a slow interface."""

    name = "paired"
    parallel = True

    def __init__(self) -> None:
        self._socket, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._waits = Waits(self.name)
        self.taken = 0

    def _hand_over(self, data: bytes) -> None:
        super()._hand_over(data)
        self.taken += 1

    def fill(self) -> int:
        """Fill the queue; return how many frames it took."""
        count = 0
        while self._put(b"x" * 100):
            count += 1
        return count

    def close(self) -> None:
        super().close()
        self.far.close()


class Dropping(Paired):
    """A port on a queue that drops what it has no room for, and whose descriptor is ready all the time."""

    room = 0
    tries = 0

    def _hand_over(self, data: bytes) -> None:
        self.tries += 1
        if not self.room:
            raise OSError(105, "No buffer space available")
        self.room -= 1
        super()._hand_over(data)


def frame(number: int) -> bytes:
    return bytes(Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01", type=0x88B5) / number.to_bytes(4, "big"))


def started(function, *given):
    ends: list[object] = []

    def run() -> None:
        try:
            ends.append(function(*given))
        except Exception as error:
            ends.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, ends


def end_of(thread, ends):
    thread.join(PATIENCE)
    assert not thread.is_alive()
    return ends[0]


def at_rest(count) -> None:
    """Wait until a count does not grow any more."""
    seen, since = count(), time.monotonic()
    while time.monotonic() - since < 0.1:
        time.sleep(0.01)
        if count() != seen:
            seen, since = count(), time.monotonic()


SENDING = {
    "one": lambda port, stop: port.send(b"one"),
    "all": lambda port, stop: port.send_all([b"one"] * 3000),
    "batch": lambda port, stop: port.send_batch(Batch.of([b"one"] * 3000)),
    "send": lambda port, stop: send([b"one"] * 3000, port, stop=stop),
    "send with workers": lambda port, stop: send([frame(1)] * 3000, port, stop=stop, workers=3),
    "send at a rate": lambda port, stop: send([b"one"] * 3000, port, stop=stop, rate=1e6),
    "replay": lambda port, stop: replay([b"one"] * 3000, port, rate=1e6, stop=stop),
    "replay at top speed": lambda port, stop: replay([b"one"] * 3000, port, topspeed=True, stop=stop),
    "sides": lambda port, stop: replay_sides(Capture.of([frame(1)] * 3000), port, port, topspeed=True, stop=stop),
}
WITH_STOP = [name for name in SENDING if name not in ("one", "all", "batch")]


@pytest.mark.parametrize("queue", [Paired, Dropping])
@pytest.mark.parametrize("how", SENDING)
def test_closing_ends_who_waits_for_room_to_send(how, queue) -> None:
    with queue() as port:
        if queue is Paired:
            port.fill()
        thread = started(SENDING[how], port, None)
        time.sleep(0.05)
        port.close()
        assert type(end_of(*thread)) is SocketMisuse


@pytest.mark.parametrize("how", WITH_STOP)
def test_stop_ends_who_waits_for_room_to_send_with_the_report_of_what_was_sent(how) -> None:
    stop = threading.Event()
    with Paired() as port:
        taken = port.fill()
        thread = started(SENDING[how], port, stop)
        for _ in range(5):
            port.far.recv(200)  # room for a few, however short they are
        at_rest(lambda: port.taken if port.taken > taken else time.monotonic())
        stop.set()
        report = end_of(*thread)
        sent = report.client.sent + report.server.sent if how == "sides" else report.sent
        size = len(frame(1)) if how in ("sides", "send with workers") else 3
        whole = report.client.bytes + report.server.bytes if how == "sides" else report.bytes
        port._socket.setblocking(False)
        there = 0
        with suppress(BlockingIOError):
            while port.far.recv(200, socket.MSG_DONTWAIT):
                there += 1
        assert 0 < sent < 3000 and sent == there - (taken - 5)
        assert whole == sent * size


def test_many_at_a_call_stop_where_they_are() -> None:
    port, stop = Paired(), threading.Event()
    stop.set()
    with port, port._waits.using() as wake:
        assert Vectors().send(port.fileno(), Batch.of([b"one"] * 3000), port._check, wake, stop) == (0, {})
        stop.clear()
        thread = started(Vectors().send, port.fileno(), Batch.of([b"one"] * 3000), port._check, wake, stop)
        time.sleep(0.05)
        stop.set()
        rows, failed = end_of(*thread)
    assert 0 < rows < 3000 and not failed


def test_stop_is_looked_at_within_one_batch_of_very_many() -> None:
    """A port that takes all of them, and sets it."""
    stop = threading.Event()

    class Setting(Paired):
        def _hand_over(self, data: bytes) -> None:
            stop.set()

    with Setting() as port:
        assert send(Batch.of([b"one"] * 200_000), port, workers=1, stop=stop).sent == 1


def test_what_waits_for_room_goes_when_there_is_some() -> None:
    with Paired() as port:
        port.fill()
        thread = started(port.send, b"one")
        while port.far.recv(200) != b"one":
            pass
        assert end_of(*thread) is None


def test_a_queue_that_drops_is_tried_again_in_a_while_and_not_all_the_time() -> None:
    with Dropping() as port:
        thread = started(port.send, b"one")
        before, tries = time.monotonic(), port.tries
        time.sleep(0.2)
        tries, passed = port.tries - tries, time.monotonic() - before
        port.room = 1
        assert end_of(*thread) is None
        assert 0 < tries <= passed * 1000 + 1
        assert port.far.recv(200) == b"one"


def test_a_side_that_waits_for_a_frame_hears_that_the_other_port_is_closed() -> None:
    client, server = Paired(), Paired()
    with client, server:
        thread = started(lambda: replay_sides(Capture.of([frame(1)]), client, server, topspeed=True, wait=100.0))
        time.sleep(0.1)
        client.close()
        assert type(end_of(*thread)) is SocketMisuse


# Under an event loop -----------------------------------------------------------------------------------------


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
    assert len(silent.host.xns._outgoing._waiting[silent.host.xns.ports[0]]) == FULL
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
    a.run(*["tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", "8kbit", "burst", "3000", "limit", "100000000"], check=True)

    def write() -> None:
        nonlocal count
        while True:
            x.write(b"y" * 500, to=b.at(500))
            count += 1

    thread = started(write)
    at_rest(lambda: count)
    x.close()
    assert type(end_of(*thread)) is SocketMisuse
    assert count > FULL


class Many(Engine):
    """Sends frames in one turn."""

    def __init__(self, count: int) -> None:
        self.count = count

    def packets_to_send(self, now: int):
        packets = [dissect(frame(number)) for number in range(self.count)]
        self.count = 0
        return packets


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
