"""The line to a hub that reads slowly, or nothing: frames stay whole and in order."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest

from packetlab import replay
from packetlab.network import carriers
from packetlab.network.carriers import NetHubPort
from tests.link.forks import forked_in_c, in_child, refusals
from tests.link.queues import (
    at_rest,
    end_of,
    long_frame,
    started,
)


@pytest.fixture
def hub_line():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        with NetHubPort(listener.getsockname()[:2]) as port:
            port._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            line, _ = listener.accept()
            with line:
                yield port, line


def read_whole(line: socket.socket) -> list[int]:
    """Return the numbers of all frames until the end of the line, each whole."""
    stream, numbers = line.makefile("rb"), []
    while size := stream.read(2):
        data = stream.read(int.from_bytes(size, "big"))
        assert len(data) == 1000 == int.from_bytes(size, "big")
        numbers.append(int.from_bytes(data[14:18], "big"))
    return numbers


def fill_line(port: NetHubPort) -> int:
    count = 0
    while port._put(long_frame(count), []):
        count += 1
    return count


def test_a_handler_that_sends_in_the_midst_of_a_frame_sends_after_it(hub_line) -> None:
    port, line = hub_line
    numbers, own = list(range(100)), iter(range(1000, 1100))
    sock, nested = port._socket, False

    class Interrupted:
        """A socket within whose calls a handler sends."""

        def __getattr__(self, name: str) -> object:
            return getattr(sock, name)

        def send(self, data: bytes, flags: int) -> int:
            nonlocal nested
            if not nested and (number := next(own, None)) is not None:
                nested = True
                port.send(long_frame(number))
                nested = False
            return sock.send(data, flags)

    port._socket = Interrupted()
    reader = started(read_whole, line)
    for number in numbers:
        port.send(long_frame(number))
    port._socket = sock
    port.close()
    got = end_of(*reader)
    assert sorted(got) == [*range(100), *range(1000, 1100)]
    assert [number for number in got if number < 1000] == numbers


def test_what_a_hub_sent_before_it_went_is_read_though_writing_fails(hub_line) -> None:
    port, line = hub_line
    fill_line(port)
    for number in range(5):
        line.sendall((1000).to_bytes(2, "big") + long_frame(number))
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()  # with a reset
    time.sleep(0.05)
    got: list[bytes] = []
    with pytest.raises(ConnectionError):
        while True:
            got += port.take()
    assert got == [long_frame(number) for number in range(5)]


@pytest.mark.slow
def test_a_hub_that_takes_little_takes_nothing_amiss(hub_line, monkeypatch) -> None:
    """Only one that takes nothing at all for so long breaks the line, and each frame after that fails at once."""
    port, line = hub_line
    monkeypatch.setattr(carriers, "PATIENCE", 1.0)
    fill_line(port)
    clock = 0.0  # stands still where this thread does
    monkeypatch.setattr(carriers, "time", SimpleNamespace(monotonic=lambda: clock))
    senders = [started(port.send_all, [long_frame(number)] * 6) for number in (1, 2, 3)]
    while any(thread.is_alive() for thread, _ in senders):
        line.recv(500)
        time.sleep(0.05)
        clock += 0.05
    assert clock > 1.0
    assert [end_of(*sender) for sender in senders] == [6] * 3
    monkeypatch.setattr(carriers, "time", time)
    fill_line(port)
    with pytest.raises(ConnectionError, match="takes nothing"):
        port.send(long_frame(4))
    monkeypatch.setattr(carriers, "PATIENCE", 1000.0)
    with pytest.raises(ConnectionError, match="takes nothing"):
        port.send(long_frame(5))


def test_stop_says_what_the_hub_gets(hub_line) -> None:
    port, line = hub_line
    stop = threading.Event()
    thread = started(lambda: replay([long_frame(number) for number in range(100)], port, rate=1e6, stop=stop))
    at_rest(lambda: port._moved)
    stop.set()
    sent = end_of(*thread).sent
    reader = started(read_whole, line)
    with suppress(TimeoutError):
        port.receive_frame(0.5)  # whoever waits at it writes what is left
    port.close()
    assert end_of(*reader) == [*range(sent)]


def test_a_handler_that_sends_just_after_a_frame_has_its_own_sent_whole_before_both_return(hub_line) -> None:
    port, line = hub_line
    sock, nested = port._socket, False

    class Interrupted:
        """A socket within whose calls a handler sends, after what they did."""

        def __getattr__(self, name: str) -> object:
            return getattr(sock, name)

        def send(self, data: bytes, flags: int) -> int:
            nonlocal nested
            sent = sock.send(data, flags)
            if not nested:
                nested = True
                for number in range(100, 120):  # more than there is room for
                    port.send(long_frame(number))
            return sent

    port._socket = Interrupted()
    thread = started(port.send, long_frame(1))
    at_rest(lambda: port._moved)
    reader = started(read_whole, line)
    assert end_of(*thread) is None
    port._socket = sock
    port.close()
    assert end_of(*reader) == [1, *range(100, 120)]


def test_what_a_hub_that_takes_nothing_had_sent_is_read(hub_line, monkeypatch) -> None:
    port, line = hub_line
    monkeypatch.setattr(carriers, "PATIENCE", 0.2)
    for number in range(5):
        line.sendall((1000).to_bytes(2, "big") + long_frame(number))
    with pytest.raises(ConnectionError, match=r"takes nothing \(open another port"):
        while True:
            port.send(long_frame(9))
    assert [port.receive_frame(1).data for _ in range(5)] == [long_frame(number) for number in range(5)]


@pytest.mark.parametrize("fork", [os.fork, forked_in_c])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_neither_writes_nor_takes_what_is_its_parents(hub_line, fork) -> None:
    """Of the half frame on the line it would write the rest, and its parent too."""
    port, line = hub_line
    count = fill_line(port)
    assert 0 < sum(port._lines[0].parts) < 1002

    def child() -> str:
        with pytest.raises(TimeoutError):
            port.receive_frame(0.2)
        line.sendall((1000).to_bytes(2, "big") + long_frame(7))
        select.select([port], [], [], 20)
        said = refusals(port.take, port.receive_frame, lambda: port.send(long_frame(8)), lambda: port.send_all([b"x" * 60]))
        port.close()
        return said

    assert in_child(child, fork) == "refused"
    assert port.receive_frame(20).data == long_frame(7)
    reader = started(read_whole, line)
    for number in range(100, 110):
        port.send(long_frame(number))
    port.close()
    assert end_of(*reader) == [*range(count), *range(100, 110)]
