"""Ports that have no room for a frame: who waits, what ends that, and what becomes of the frames."""

from __future__ import annotations

import gc
import socket
import threading
import time
from contextlib import suppress

import pytest

from packetlab import Capture, dissect, replay, send
from packetlab.bulk.batch import Batch
from packetlab.errors import SocketMisuse
from packetlab.link.replay.replay_sides import replay_sides
from packetlab.link.replay.vectors import Vectors
from packetlab.network.outgoing import Outgoing
from tests.link.asleep import signalled
from tests.link.queues import (
    Dropping,
    Own,
    Paired,
    at_rest,
    end_of,
    frame,
    started,
)

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
        assert port.far.recv(200) == b"one"
        stop.set()
        rows, failed = end_of(*thread)
    assert 0 < rows < 3000 and not failed


def test_stop_is_looked_at_within_one_batch_of_very_many() -> None:
    """A port that takes all of them, and sets it."""
    stop = threading.Event()

    class Setting(Paired):
        def _hand_over(self, data: bytes, gone: list[int]) -> None:
            gone.append(len(data))
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
        while port.tries == tries:  # it gets no processor
            time.sleep(0.01)
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


def test_an_interrupt_after_the_kernel_took_a_frame_does_not_send_it_twice() -> None:
    class Interrupted(Paired):
        interrupts = 1

        def _hand_over(self, data: bytes, gone: list[int]) -> None:
            super()._hand_over(data, gone)
            if self.interrupts:
                self.interrupts = 0
                raise KeyboardInterrupt

    outgoing, packet = Outgoing(refused=lambda *_: pytest.fail("it is refused")), dissect(frame(1))
    with Interrupted() as port:
        with pytest.raises(KeyboardInterrupt):
            outgoing.send(packet, b"one", port, 0)
        outgoing.send(packet, b"two", port, 0)
        outgoing.flush(0)
        assert [port.far.recv(9), port.far.recv(9)] == [b"one", b"two"]
        with pytest.raises(BlockingIOError):
            port.far.recv(9, socket.MSG_DONTWAIT)


@pytest.mark.parametrize("error", [KeyboardInterrupt, Own])
@pytest.mark.parametrize("how", ["one batch", "many", "at a rate"])
def test_an_interrupt_ends_sending_into_a_full_queue_and_its_threads(how, error) -> None:
    def handler(*_: object) -> None:
        raise error

    gc.disable()  # an exception within a finalizer is lost
    batch = Batch.of([b"one"] * (300 if how == "many" else 3000))
    try:
        with Paired() as port:
            port.fill()
            with pytest.raises(error), signalled(handler):
                send(
                    batch if how != "many" else (batch for _ in range(100)),
                    port,
                    rate=1e5 if how == "at a rate" else None,
                )
            assert [one.name for one in threading.enumerate() if one.name == "packetlab send"] == []
    finally:
        gc.enable()


@pytest.mark.parametrize("closed", ["client", "server"])
def test_a_side_that_waits_for_room_hears_that_the_other_port_is_closed(closed) -> None:
    client, server = Paired(), Paired()
    with client, server:
        client.fill()
        thread = started(lambda: replay_sides(Capture.of([frame(1)]), client, server, topspeed=True))
        time.sleep(0.1)
        {"client": client, "server": server}[closed].close()
        assert type(end_of(*thread)) is SocketMisuse
