"""Loops that wait go by conditions that other threads set: `stop`, and what `until` waits for."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from packetlab import Ether, Lab, LocalHost, exchange, memory_wire
from tests.link.asleep import waiting
from tests.link.queues import Paired
from tests.link.test_closing import FRAME
from tests.sockets.test_simulated_threads import closed_meanwhile, ticking

ASK = Ether(dst="02:00:00:00:00:77", src="02:00:00:00:00:01", type=0x88B5) / b"x"


def test_a_condition_that_another_thread_sets_ends_until() -> None:
    host, event = LocalHost(), threading.Event()
    assert waiting(lambda: host.until(event.is_set), event.set) is True
    host.close()


def test_stop_ends_until_of_a_host() -> None:
    host, stop = LocalHost(), threading.Event()
    assert waiting(lambda: host.until(lambda: False, stop=stop), stop.set) is False
    with pytest.raises(TimeoutError):
        host.until(lambda: False, 0.3)
    host.close()


def test_stop_ends_until_of_a_simulated_host() -> None:
    (net, a, _), stop = ticking(), threading.Event()
    assert closed_meanwhile(net, lambda: a.until(lambda: False, stop=stop), stop.set) is False


def test_stop_ends_a_run() -> None:
    host, stop = LocalHost(), threading.Event()
    begun = time.monotonic()
    assert waiting(lambda: host.loop.run(3600, stop=stop), stop.set) is None
    host.loop.run(0.3, stop=threading.Event())
    assert time.monotonic() - begun > 0.3
    host.close()
    (net, _, _), stop = ticking(), threading.Event()
    assert closed_meanwhile(net, lambda: net.run(1e9, stop=stop), stop.set) is None
    assert net.now < 1e18


def test_what_ends_until_of_a_program() -> None:
    with Lab() as lab:
        program = lab.host("a").popen("sleep", "60")
        stop, event = threading.Event(), threading.Event()
        assert waiting(lambda: program.until(lambda: False, stop=stop), stop.set) is False
        assert waiting(lambda: program.until(event.is_set), event.set) is True


@pytest.mark.parametrize("by", ["host", "port", "memory"])
def test_stop_ends_an_exchange(by: str) -> None:
    with Lab() as lab:
        a, b = lab.host("a"), lab.host("b")
        lab.link(a, b)
        via = {"host": a, "port": a.interface, "memory": memory_wire()[0]}[by]
        stop = threading.Event()
        ask = ASK if by != "memory" else FRAME
        outcome: Any = waiting(
            lambda: exchange(ask, lambda _: False, via=via, timeout=1, retries=3600, stop=stop), stop.set
        )
        assert outcome.reply is None and 1 <= outcome.sent < 5


def test_stop_ends_an_exchange_that_waits_for_room_to_send() -> None:
    with Paired() as port:
        port.fill()
        stop = threading.Event()
        outcome: Any = waiting(lambda: exchange(ASK, lambda _: False, via=port, stop=stop), stop.set)
        assert outcome.reply is None and outcome.sent == 0


def test_stop_ends_an_exchange_in_virtual_time() -> None:
    (net, a, _), stop = ticking(), threading.Event()
    outcome: Any = closed_meanwhile(
        net, lambda: exchange(ASK, lambda _: False, via=a, timeout=1e6, retries=3600, stop=stop), stop.set
    )
    assert outcome.reply is None and outcome.sent == 1
