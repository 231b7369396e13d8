"""Rings that close while something else holds their memory: the port receives as soon as that is gone, and nobody is silent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.link.test_shared_ports import frame

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@contextmanager
def at_place(place: int, action: Callable[[], object]) -> Iterator[list[bool]]:
    """Do something at the `place`-th point within a ring's code where CPython runs the handlers of signals: after calls."""
    reached, count = [False], 0

    def profile(frame, event, arg):
        nonlocal count
        if event in ("call", "c_return") and frame.f_code.co_filename.endswith("link/ring.py"):
            count += 1
            if count == place:
                reached[0] = True
                sys.setprofile(None)
                action()

    sys.setprofile(profile)
    try:
        yield reached
    finally:
        sys.setprofile(None)


def ended(child: int) -> int:
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def forked_in_c() -> int:
    """Fork as a library does: Python does not know of it. The child holds all memory until it is killed."""
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        while True:
            signal.pause()
    return child


@pytest.fixture
def line(lab):
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.attachments[0].open() as port:
        yield port, b.interface


def hears(port, other) -> bool:
    other.send(frame(1))
    got = port.receive_frame(1)
    return got is not None and got.data == frame(1)


@pytest.mark.parametrize("goes_on", [False, True], ids=["stays in the handler", "goes on"])
def test_a_child_forked_by_a_handler_while_a_ring_opens_or_closes_does_not_keep_it(lab, goes_on) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    place, going = 0, True
    while going:
        place += 2
        child, parent = 0, os.getpid()

        def fork() -> None:
            nonlocal child
            child = os.fork()
            while child == 0 and not goes_on:
                signal.pause()

        with a.attachments[0].open() as port, at_place(place, fork) as reached:
            try:
                port.ring(1).close()
            except OSError:  # one of the two who open a ring on one socket is refused
                assert goes_on, place
            if os.getpid() != parent:
                os.kill(os.getpid(), signal.SIGSTOP)
            going = reached[0]
            if not goes_on:
                assert hears(port, b.interface), place
            elif going:
                os.waitpid(child, os.WUNTRACED)
                with open(f"/proc/{child}/maps") as maps:
                    assert "socket:" not in maps.read(), place
        if child:
            ended(child)
    assert place > 20


def test_a_fork_while_another_thread_closes_rings_leaves_no_child_with_one(line) -> None:
    port, other = line
    stop = threading.Event()

    def rings() -> None:
        while not stop.is_set():
            port.ring(4 << 20).close()

    thread = threading.Thread(target=rings)
    thread.start()
    children = []
    try:
        for _ in range(60):
            if (child := os.fork()) == 0:
                while True:
                    signal.pause()
            children.append(child)
            with open(f"/proc/{child}/maps") as maps:
                # Its hook may still be running: it holds nothing as soon as that is done.
                end = time.monotonic() + 10
                while "socket:" in maps.read() and time.monotonic() < end:
                    maps.seek(0)
                assert time.monotonic() < end
    finally:
        stop.set()
        thread.join()
        for child in children:
            ended(child)
    assert hears(port, other)


def test_an_interrupt_while_a_ring_waits_to_be_turned_off_reaches_the_program(line) -> None:
    port, other = line
    ring = port.ring(1)
    child = forked_in_c()
    try:
        ended_in = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            ended_in.start()
            ring.close()
    finally:
        ended(child)
    assert port.take() == []  # here it is turned off
    assert hears(port, other)


def test_a_port_receives_again_as_soon_as_nobody_holds_the_memory_of_a_closed_ring(line) -> None:
    port, other = line
    ring = port.ring(1)
    child = forked_in_c()
    try:
        ring.close()
        assert not ring.turned_off()
        with pytest.raises(OSError, match="an earlier ring is open, or its memory in use"):
            port.ring(1)

        def later() -> None:
            ended(child)
            end = time.monotonic() + 10
            while not ring.turned_off() and time.monotonic() < end:  # the waiting port does it
                time.sleep(0.01)
            other.send(frame(7))

        thread = threading.Thread(target=later)
        thread.start()
        try:
            assert port.receive_frame(15).data == frame(7)
        finally:
            thread.join()
    finally:
        with suppress(ChildProcessError):
            ended(child)
    port.ring(1).close()
    assert hears(port, other)


@pytest.mark.parametrize("step", [1, 2])
def test_a_ring_whose_close_was_interrupted_anywhere_can_be_closed(line, step) -> None:
    port, other = line
    place, going = 0, True
    while going:
        place += 1
        ring = port.ring(1)

        def interrupt() -> None:
            raise KeyboardInterrupt

        with suppress(KeyboardInterrupt), at_place(place, interrupt) as reached:
            ring.close()
        going = reached[0]
        if step == 2:
            ring.close()
        elif not ring.closed:  # it came before anything was done
            ring.close()
            continue
        else:
            assert port.take() == []
        assert hears(port, other), place
    assert place > 3
