"""Waits that pass over frames: what lies in the port when their time is over is taken, and input without end ends too."""

from __future__ import annotations

import ctypes
import fcntl
import itertools
import os
import socket
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from packetlab import TCP, Ether, Frame, IPv4, RawIPSocket, SimNetwork, exchange
from packetlab.link.memory import MemoryPort, memory_wire
from packetlab.link.port import BATCH, MOST, Port, room
from packetlab.link.replay import replay_sides
from packetlab.network.carriers import NetHubPort, UDPPort
from tests.sockets.test_background import connected, free_ports, host


def frame(number: int) -> bytes:
    return bytes(Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01", type=0x88B5) / bytes([number] * 60))


@pytest.fixture
def stopped(monkeypatch) -> Iterator[tuple[MemoryPort, MemoryPort, list[int]]]:
    """A wire, and the clock of its ports and frames, which a test moves."""
    clock = [0]
    there, here = memory_wire(lambda: clock[0])
    monkeypatch.setattr(here, "_now", lambda: clock[0])
    yield there, here, clock
    here.close()


def late(clock: list[int], answer: bool) -> bool:
    clock[0] += 10_000_000_000  # as where a thread stands still while it looks at a packet
    return answer


def test_a_frame_that_lay_there_when_the_time_was_over_is_received(stopped) -> None:
    there, here, clock = stopped
    for number in (1, 2, 3):
        there.send(frame(number))
    assert here.receive_frame(0.5, lambda packet: late(clock, bytes(packet)[14] == 3)).data == frame(3)
    with pytest.raises(TimeoutError, match="0 others came"):
        here.receive_frame(0, lambda packet: True)


def test_an_answer_that_lay_there_is_no_reason_to_ask_again(stopped) -> None:
    there, here, clock = stopped
    for number in (1, 2, 3):
        there.send(frame(number))
    request = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02", type=0x88B5) / b"question"
    expect = lambda packet: late(clock, bytes(packet)[14] == 3)  # noqa: E731
    found = exchange(request, expect, via=here, timeout=0.5, retries=2)
    assert (found.sent, len(found.others), bytes(found.reply)) == (1, 2, frame(3))


def test_a_replayed_frame_that_lay_there_is_not_lost(stopped, monkeypatch) -> None:
    there, here, clock = stopped
    frames = [frame(number) for number in (1, 2, 3)]
    for one in frames:
        there.send(one)
    for name in ("monotonic_ns", "monotonic"):
        monkeypatch.setattr(time, name, lambda: clock[0])
    assert replay_sides._arrived(here, list(frames), 0.1, lambda one, other: late(clock, one == other)) == 0


@pytest.mark.parametrize("stop", [None, threading.Event()])
def test_input_without_end_ends_when_the_time_is_over(stopped, monkeypatch, stop) -> None:
    """By when frames came, whatever looking at each takes."""
    _, here, clock = stopped
    numbers = itertools.count(1)

    def endless(timeout: float | None) -> Frame:
        clock[0] += 1_000_000
        next(numbers)
        return Frame(frame(1), clock[0])

    monkeypatch.setattr(here, "_receive", endless)
    with pytest.raises(TimeoutError):
        here.receive_frame(0.5, lambda packet: False)
    assert sum(1 for _ in here.capture(timeout=0.5, stop=stop)) <= 502
    assert next(numbers) <= 2 * 502 + 1

    def slow(packet: object) -> bool:
        clock[0] += 10_000_000
        return False

    with pytest.raises(TimeoutError):
        here.receive_frame(0.5, slow)
    assert next(numbers) <= 2 * 502 + 1 + 52


def slower(there, clock: list[int], looked_at: list[object], answer: bytes = b""):
    """Return a matcher that takes five times as long as frames need to come."""

    def slow(packet: object) -> bool:
        looked_at.append(packet)
        clock[0] += 1_000_000
        for _ in range(5):
            there.send(frame(1))
        return bytes(packet) == answer

    return slow


def test_who_is_slower_than_the_wire_looks_at_what_lay_there_when_the_time_was_over_and_at_no_more(stopped) -> None:
    there, here, clock = stopped
    looked_at: list[object] = []
    there.send(frame(1))
    with pytest.raises(TimeoutError):
        here.receive_frame(0.2, slower(there, clock, looked_at))
    assert len(looked_at) == 200 + 1 + 5 * 201 - 200  # and what came while it looked at the first of these


def test_an_answer_far_back_in_the_port_is_found_however_long_looking_takes(stopped) -> None:
    there, here, clock = stopped
    for _ in range(3000):
        there.send(frame(1))
    there.send(frame(2))
    request = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02", type=0x88B5) / b"question"
    found = exchange(request, slower(there, clock, [], frame(2)), via=here, timeout=0.05, retries=1)
    assert (found.sent, bytes(found.reply)) == (1, frame(2))


@pytest.mark.parametrize("more", [{}, {"stop": threading.Event()}, {"count": 20_000}], ids=["alone", "stop", "count"])
def test_all_that_lies_there_is_captured_however_much(stopped, more) -> None:
    there, here, clock = stopped
    for _ in range(20_000):
        there.send(frame(1))
    clock[0] += 1
    frames = here.capture(timeout=0, **more)
    assert next(frames).number == 1
    clock[0] += 10**12  # whoever takes them stands still
    there.send(frame(2))  # it came while the first one was looked at
    assert [one.number for one in frames][-1] == more.get("count", 20_001)
    there.send(frame(3))
    assert here.receive_frame(0).data == frame(2 if "count" in more else 3)


@pytest.mark.parametrize("clock", [lambda: 5, itertools.count().__next__, itertools.count(10**9, -1).__next__])
def test_times_of_frames_decide_nothing(clock) -> None:
    """A wire's clock is the user's, the wall clock is set, and kernels note late when frames came."""
    there, here = memory_wire(clock=clock)
    for number in range(100):
        there.send(frame(number))
    assert len(list(here.capture(timeout=0))) == 100
    for number in range(100):
        there.send(frame(number))
    assert here.receive_frame(0, lambda packet: bytes(packet)[14] == 50).data == frame(50)


@pytest.mark.parametrize("off", [-(10**15), 0, 10**15], ids=["early", "now", "late"])
def test_what_a_kernel_notes_of_times_decides_nothing(lab, monkeypatch, off) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.attachments[0].open() as port:
        read = port._frame

        def noted(*more: object) -> Frame:
            found = read(*more)
            return Frame(found.data, time.time_ns() + off, interface=found.interface)

        monkeypatch.setattr(port, "_frame", noted)
        for number in range(100):
            b.interface.send(frame(number))
        assert sum(one.data[12:14] == b"\x88\xb5" for one in port.capture(timeout=0)) == 100


@contextmanager
def steady(lab, kind: str) -> Iterator[tuple[Port, Callable[[], object]]]:
    """Give a port, and what lets a frame come to it."""
    size = 900
    if kind in ("interface", "raw ip"):
        a, b = lab.host("a"), lab.host("b")
        lab.link(a, b)
    if kind == "interface":
        with a.attachments[0].open() as port:
            yield port, lambda: b.interface.send(frame(1) + bytes(size))
    elif kind == "raw ip":
        with RawIPSocket(253, host=a) as port, RawIPSocket(253, host=b) as there:
            yield port, lambda: there.send(IPv4(src=b.address, dst=a.address, protocol=253) / bytes(size))
    elif kind == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
            there.bind(("127.0.0.1", 0))
            with UDPPort(("127.0.0.1", 0), there.getsockname()) as port:
                there.connect(port._socket.getsockname())
                yield port, lambda: there.send(frame(1) + bytes(size))
    else:
        with socket.create_server(("127.0.0.1", 0)) as hub, NetHubPort(hub.getsockname()[:2]) as port:
            line, _ = hub.accept()
            with line:
                yield port, lambda: line.send(len(frame(1) + bytes(size)).to_bytes(2, "big") + frame(1) + bytes(size))


@pytest.mark.parametrize("kind", ["interface", "raw ip", "udp", "hub"])
def test_a_slow_look_at_what_keeps_coming_ends_with_what_lay_there(lab, monkeypatch, kind) -> None:
    """Each look lets one more frame come, so that hardly any lie there when the time is over."""
    clock, looked_at = [0], []
    with steady(lab, kind) as (port, send):
        monkeypatch.setattr(port, "_now", lambda: clock[0])

        def slow(packet: object) -> bool:
            looked_at.append(packet)
            clock[0] += 10_000_000
            send()
            return False

        send()
        with pytest.raises(TimeoutError):
            port.receive_frame(0.5, slow)
    assert 50 <= len(looked_at) < 50 + 8


def test_all_that_lies_in_a_hubs_line_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hub, NetHubPort(hub.getsockname()[:2]) as port:
        line, _ = hub.accept()
        with line:
            port._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            line.setblocking(False)
            sent = 0
            with suppress(BlockingIOError):
                while sent < 20_000:  # each send is whole or none, for it is smaller than what wakes a writer
                    line.send((14).to_bytes(2, "big") + sent.to_bytes(14, "big"))
                    sent += 1
            unread = int.from_bytes(fcntl.ioctl(port._socket, termios.FIONREAD, bytes(4)), sys.byteorder) // 16
            found = [int.from_bytes(one.data, "big") for one in port.capture(timeout=0)]
            assert len(found) >= unread > 8192 and found == [*range(len(found))]


def test_what_a_hubs_port_has_read_already_is_taken_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hub, NetHubPort(hub.getsockname()[:2]) as port:
        line, _ = hub.accept()
        with line:
            line.sendall(b"".join((14).to_bytes(2, "big") + number.to_bytes(14, "big") for number in range(500)))
            port.receive_frame()  # and more that came in one piece with it
            assert sum(1 for _ in port.capture(timeout=0)) == 499
            line.sendall((14).to_bytes(2, "big") + bytes(10))
            assert list(port.capture(timeout=0)) == []
            line.sendall(bytes(4))
            assert sum(1 for _ in port.capture(timeout=0)) == 1


@pytest.mark.parametrize("kind", ["interface", "raw ip"])
def test_acknowledgements_without_data_hide_nothing(lab, kind) -> None:
    """The kernel charges a socket with 2 bytes for each of TCP's own."""
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with (
        a.socket("stream", "inet") as server, b.socket("stream", "inet") as client,
        RawIPSocket(6, host=a) if kind == "raw ip" else a.attachments[0].open() as port,
    ):  # fmt: skip
        server.bind((str(a.address), 4000))
        server.listen()
        client.connect((str(a.address), 4000))
        conn = server.accept()
        with conn:
            for _ in range(40):
                conn.write(bytes(20_000))
                left = 20_000
                while left:
                    left -= len(client.read(left))
        found = list(port.capture(timeout=0))
        assert sum(TCP in one.packet() for one in found) > 100


def test_what_was_taken_and_dropped_is_counted_once_whoever_asks(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.attachments[0].open() as port:
        for _ in range(5):
            b.interface.send(frame(1))
        assert len(list(port.capture(timeout=0))) >= 5  # which looks at the kernel's counts
        received, dropped = port.statistics()
        assert received >= 5 and dropped == 0 and port.statistics().received == 0


def test_what_nobody_looked_at_is_kept_for_the_next(stopped) -> None:
    there, here, _ = stopped
    for number in range(5):
        there.send(frame(number))
    assert here.receive_frame(0, lambda packet: bytes(packet)[14] == 1).data == frame(1)
    there.send(frame(9))
    assert here.take() == [frame(2), frame(3), frame(4), frame(9)]
    for number in range(5):
        there.send(frame(number))
    assert next(here.capture(timeout=0)).data == frame(0)
    assert [one.data[14] for one in here.capture(timeout=0)] == [1, 2, 3, 4]
    for number in range(5):
        there.send(frame(number))
    assert here.receive_frame(0).data == frame(0)
    here.close()
    with pytest.raises(OSError, match="an open port"):
        here.receive_frame(0)


def test_an_answer_behind_what_was_kept_is_found(stopped) -> None:
    there, here, clock = stopped
    for number in range(10):
        there.send(frame(number))
    assert here.receive_frame(0, lambda packet: bytes(packet)[14] == 1).data == frame(1)
    there.send(frame(50))
    assert here.receive_frame(0, lambda packet: late(clock, bytes(packet)[14] == 50)).data == frame(50)


def test_a_wait_inside_another_sees_what_lies_there(stopped) -> None:
    there, here, _ = stopped
    for number in range(10):
        there.send(frame(number))
    seen = []
    for one in here.capture(timeout=0):
        seen.append(one.data[14])
        if len(seen) == 2:
            assert here.receive_frame(0, lambda packet: bytes(packet)[14] == 7).data == frame(7)
    assert seen == [0, 1, 8, 9]


def test_closing_ends_the_look_at_what_lay_there(stopped) -> None:
    there, here, _ = stopped
    for number in range(10):
        there.send(frame(number))
    seen = []
    with pytest.raises(OSError, match="an open port"):
        for one in here.capture(timeout=0):
            seen.append(one.data[14])
            if len(seen) == 3:
                here.close()
    assert seen == [0, 1, 2]


def test_an_interruption_of_the_taking_loses_nothing(stopped, monkeypatch) -> None:
    there, here, _ = stopped
    for number in range(6):
        there.send(frame(number))
    receive, calls = here._receive, itertools.count()

    def interrupted(timeout: float | None) -> Frame | None:
        if next(calls) == 4:
            raise KeyboardInterrupt
        return receive(timeout)

    monkeypatch.setattr(here, "_receive", interrupted)
    seen = []
    with pytest.raises(KeyboardInterrupt):
        for one in here.capture(timeout=0):
            seen.append(one.data[14])
    assert seen + [one.data[14] for one in here.capture(timeout=0)] == [0, 1, 2, 3, 4, 5]


def test_filters_rings_and_other_processes_change_no_wait(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.attachments[0].open() as port:
        for number in range(50):
            b.interface.send(frame(number))
        port.filter("ether proto 0x88b5")
        with port.ring() as ring:
            b.interface.send_all([frame(1)] * 100)
            assert sum(len(batch) for batch in itertools.islice(ring.batches(), 1)) > 0
        for number in range(50):
            b.interface.send(frame(number))
        child = os.fork()
        if child == 0:
            port.statistics()
            os._exit(0)
        os.waitpid(child, 0)
        assert [one.data[14] for one in port.capture(timeout=0)][-50:] == [*range(50)]


def test_fifty_in_a_simulated_port_are_fifty() -> None:
    net = SimNetwork()
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    with a.attachments[0].open(promiscuous=True) as one, b.attachments[0].open() as other:
        for _ in range(50):
            other.send(frame(1))
        assert sum(1 for _ in one.capture(timeout=0)) == 50


def test_a_frame_behind_many_for_others_is_taken(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.attachments[0].open() as port:
        port._passes = lambda found: found.data[14] == 9
        for number in (*[1] * 100, 9, *[1] * 100, 9):
            b.interface.send(frame(number))
        assert port.take() == [frame(9), frame(9)]


def test_frames_for_others_do_not_hold_up_taking(lab, monkeypatch) -> None:
    """One of ten thousand is for the port, of a flood."""
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.attachments[0].open() as port:
        port._passes = lambda found: False
        seen = []

        def flood(timeout: float | None) -> Frame:
            seen.append(1)
            port._passed += 10_000_000
            return Frame(frame(1))

        monkeypatch.setattr(port, "_receive", flood)
        monkeypatch.setattr(port, "_room", lambda: (1 << 16, 1 << 20))
        assert len(port.take()) == len(seen) == 1


def test_one_who_answers_at_the_very_moment_does_not_hold_up_a_simulated_network() -> None:
    net = SimNetwork()
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    with a.attachments[0].open(promiscuous=True) as one, b.attachments[0].open() as other:
        other.send(frame(1))
        taken = 0
        for found in one.capture(timeout=0):
            taken += 1
            other.send(found)
        assert 0 < taken <= MOST + 2


class Flood:
    """A socket that always has a frame for somebody else."""

    def __init__(self, real, kind: int) -> None:
        self.real, self.kind, self.taken = real, kind, 0

    def recvmsg_into(self, buffers, *_: object):
        self.taken += 1
        buffers[0][:74] = frame(1)
        return 74, [], 0, ("eth0", 0, self.kind, 1, b"")

    def recvfrom_into(self, buffer, *_: object):
        self.taken += 1
        return 74, ("eth0", 0, self.kind, 1, b"")

    def __getattr__(self, name: str):
        return getattr(self.real, name)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["filter", "outgoing", "address"])
def test_frames_that_are_not_for_a_port_hold_up_nobody(lab, case) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    port = a.unanswered_address() if case == "address" else a.interface
    real = port._socket
    port._socket = flood = Flood(real, 4 if case == "outgoing" else 3)
    try:
        if case == "filter":
            port._passes = lambda frame: False
        assert port._receive(0.0) is None
        assert flood.taken <= room(real)[0] + 2
        assert port.take() == [] and list(port.capture(timeout=0)) == []
        assert flood.taken <= BATCH + 4 * (room(real)[0] + 2)
    finally:
        port._socket, port._passes = real, None


@pytest.mark.slow
def test_a_call_that_waited_for_another_one_takes_what_came_while_both_stood_still() -> None:
    here, there = free_ports(2)
    with host(1, here, there) as a, host(2, there, here) as b:
        client, conn = connected(a, b)
        client.timeout = 1
        got: list[object] = []

        def read() -> None:
            try:
                got.append(client.read_message())
            except OSError as error:
                got.append(error)

        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        while len(client._turns) == 0 or not all(thread.is_alive() for thread in threads):
            pass
        conn.write_message(b"one")
        conn.write_message(b"two")
        ctypes.PyDLL(None).usleep(1_500_000)  # with Python's lock held: no other thread goes on
        for thread in threads:
            thread.join(60)
        assert sorted(map(str, got)) == ["b'one'", "b'two'"]
        client.abort()
        conn.abort()
