"""Rings that close while something else holds their memory: the port receives as soon as that is gone, and nobody is silent."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import socket
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest

from packetlab.errors import LocalProtocolError, SocketMisuse
from packetlab.link.waits import Waits
from packetlab.network.carriers import NetHubPort
from tests.link.test_shared_ports import PATIENCE, at_place, frame, tracing

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


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


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_an_interrupt_while_a_ring_waits_to_be_turned_off_reaches_the_program(line, monkeypatch) -> None:
    interrupting = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr("packetlab.link.ring.time", interrupting)
    port, other = line
    ring = port.ring(1)
    child = forked_in_c()
    try:
        with pytest.raises(KeyboardInterrupt):
            ring.close()
        monkeypatch.undo()
    finally:
        ended(child)
    assert port.take() == []  # here it is turned off
    assert hears(port, other)


@pytest.mark.slow
def test_a_port_receives_again_as_soon_as_nobody_holds_the_memory_of_a_closed_ring(line) -> None:
    port, other = line
    ring = port.ring(1)
    child = forked_in_c()
    try:
        ring.close()
        with pytest.raises(OSError, match="an earlier ring is open, or its memory in use"):
            port.ring(1)

        def later() -> None:
            ended(child)
            while not received.is_set():  # as soon as the waiting port has turned it off
                other.send(frame(7))
                time.sleep(0.01)

        received = threading.Event()
        thread = threading.Thread(target=later)
        thread.start()
        try:
            assert port.receive_frame(15).data == frame(7)
        finally:
            received.set()
            thread.join()
    finally:
        with suppress(ChildProcessError):
            ended(child)
    port.take()
    port.ring(1).close()
    assert hears(port, other)


def test_a_handler_may_close_at_any_moment_of_a_wait(monkeypatch) -> None:
    """Before it begins, too, which then has no end of its own; and close does not wait for the thread that it is called in."""
    monkeypatch.setattr("packetlab.link.waits.PATIENCE", 1000.0)
    place, reached, begun = 0, True, 0
    read, write = os.pipe()

    def poll() -> object:
        nonlocal begun
        begun = begun or count  # of the first wait, which nobody closes before
        return select.poll()

    monkeypatch.setattr("packetlab.link.waits.select", SimpleNamespace(poll=poll, POLLIN=select.POLLIN))
    while reached:
        place, reached, count = place + 1, False, 0
        waits = Waits("x")

        def close(_: object, place: int = place, waits: Waits = waits) -> None:
            nonlocal count, reached
            count += 1
            if count == place:
                reached = True
                waits.close()

        if 1 < place <= begun:
            with tracing(close, "using", "ready"), pytest.raises(SocketMisuse):
                waits.ready(read, select.POLLIN, None)
        else:
            with tracing(close, "using", "ready"), suppress(SocketMisuse):
                waits.ready(read, select.POLLIN, 0.01)
    os.close(read)
    os.close(write)
    assert place > begun + 20 > 60


@pytest.mark.slow
def test_an_interrupt_at_any_moment_of_a_wait_keeps_nobody_from_closing() -> None:
    """Also while its exception, with the frames it came through, is alive."""
    place, reached = 0, [True]
    read, write = os.pipe()
    while reached[0]:
        place += 1
        waits, alive = Waits("x"), list[BaseException]()

        def interrupt() -> None:
            raise KeyboardInterrupt

        try:
            with at_place(place, interrupt, "") as reached:
                waits.ready(read, select.POLLIN, 0.0)
        except KeyboardInterrupt as error:
            alive.append(error)
        closing = threading.Thread(target=waits.close)
        closing.start()
        closing.join(10)
        assert not closing.is_alive(), place
    os.close(read)
    os.close(write)
    assert place > 10


def test_a_port_that_is_closed_while_a_ring_opens_says_so(line) -> None:
    port, _ = line
    closing = threading.Timer(0.0, port.close)
    with pytest.raises(OSError) as caught:  # noqa: PT012
        closing.start()
        while True:
            with port.ring(32 << 20) as ring:
                list(ring.batches(timeout=0))
    assert caught.value.errno == errno.EBADF and "closed" in str(caught.value)
    closing.join()


def test_every_thread_at_a_ring_learns_that_the_interface_is_gone(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.attachments[0].open() as port, port.ring(1 << 20) as ring:
        ends: list[str] = []

        def read() -> None:
            try:
                list(ring.batches(timeout=PATIENCE))
            except OSError as error:
                ends.append(str(error))

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        a.run("ip", "link", "del", port.name, check=True)
        for thread in threads:
            thread.join(PATIENCE)
        assert len(ends) == 3 and all("Network is down" in end for end in ends)
        with pytest.raises(OSError, match="Network is down"):
            list(ring.batches(timeout=PATIENCE))
        with pytest.raises(OSError, match=r"Network is down"):
            port.receive_frame(PATIENCE)


@pytest.mark.parametrize("how", ["refused", "closed twice"])
def test_a_ring_of_before_does_not_make_children_keep_the_next(line, how) -> None:
    port, other = line
    first = port.ring(1)
    if how == "closed twice":
        first.close()
        second = port.ring(1)
        first.close()
    else:
        second = first
        with pytest.raises(OSError, match="an earlier ring is open"):
            port.ring(1)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, b"+")
        while True:
            signal.pause()
    assert os.read(read, 1) == b"+"
    os.close(read)
    os.close(write)
    try:
        second.close()
        assert hears(port, other)
    finally:
        ended(child)


def test_what_a_ring_had_in_hand_is_given_though_it_is_closed(line) -> None:
    port, other = line
    for number in range(10):
        other.send(frame(number))
    ring = port.ring(1 << 20)
    for number in range(10):
        other.send(frame(number))
    made = type(ring)._batch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(ring), "_batch", lambda ring, *given: (made(ring, *given), ring.close())[0])
        got = []
        with pytest.raises(OSError, match="closed"):
            for batch in ring.batches(timeout=1, count=4):
                got += [bytes(one.data) for one in batch]
                del batch
            raise OSError("closed")  # its number is reached, so it need not look again
    assert got == [frame(number) for number in range(4)]


def test_a_handler_that_reads_the_ring_its_thread_is_taking_from_is_refused(line) -> None:
    port, other = line
    with port.ring(1 << 20) as ring:
        for number in range(3):
            other.send(frame(number))
        errors = []

        def read(_: object) -> None:
            try:
                list(ring.batches(timeout=0))
            except OSError as error:
                errors.append(error.errno)

        got = []
        with tracing(read, "_take_ready"):
            for batch in ring.batches(timeout=0.05):
                got += [bytes(one.data) for one in batch]
        assert got == [frame(number) for number in range(3)]
        assert set(errors) == {errno.EDEADLK}


def test_a_ring_that_its_program_lost_is_turned_off(line) -> None:
    port, other = line
    port.ring(1)
    assert hears(port, other)


@pytest.mark.parametrize("size", [1 << 43, -1, 1e6, "64M"])
def test_the_size_of_a_ring_is_a_number_of_bytes(line, size) -> None:
    port, other = line
    with pytest.raises(LocalProtocolError, match="ring of eth0: expected bytes"):
        port.ring(size)
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


def test_a_port_that_is_closed_under_its_readers_says_so_to_each(line) -> None:
    port, _ = line
    socket_of = port._socket

    class Closing:
        def __getattr__(self, name: str) -> object:
            return getattr(socket_of, name)

        def getsockname(self) -> object:
            port.close()
            return socket_of.getsockname()

    port._socket = Closing()
    with pytest.raises(SocketMisuse):
        port.receive_frame(1)
    with pytest.raises(SocketMisuse):
        port.filter("udp")


def test_frames_that_were_read_before_the_interface_went_down_are_not_lost(line) -> None:
    port, other = line
    for number in range(300):
        other.send(frame(number))
    socket_of, count = port._socket, 0

    class Failing:
        def __getattr__(self, name: str) -> object:
            return getattr(socket_of, name)

        def recvfrom_into(self, *given: object) -> object:
            nonlocal count
            count += 1
            if count == 100:
                raise OSError(errno.ENETDOWN, "Network is down")
            return socket_of.recvfrom_into(*given)

    port._socket = Failing()
    got = port.take()
    with pytest.raises(OSError, match="eth0: Network is down"):
        while more := port.take():
            got += more
    port._socket = socket_of
    got += port.take()
    assert got == [frame(number) for number in range(300)]


def test_a_ring_that_waits_for_the_one_before_ends_with_the_port(line, monkeypatch) -> None:
    port, _ = line
    ring = port.ring(1)
    child = forked_in_c()
    try:
        ring.close()
        monkeypatch.setattr("packetlab.link.ring.PATIENCE", 1000.0)
        closing = threading.Timer(0.2, port.close)
        closing.start()
        with pytest.raises(SocketMisuse, match="closed"):
            port.ring(1)
        closing.join()
    finally:
        ended(child)


def test_a_broken_line_that_was_closed_says_that_it_was_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, NetHubPort(listener.getsockname()[:2]) as port:
        hub, _ = listener.accept()
        hub.close()
        with pytest.raises(ConnectionError):
            port.receive_frame(PATIENCE)
        port.close()
        with pytest.raises(SocketMisuse):
            port.send(frame(1))
