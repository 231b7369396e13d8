"""Ports that several use: who polls, threads, handlers of signals and forked children find whole frames, and none is lost unsaid."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from traceback import clear_frames

import pytest

from packetlab import Ether, SimNetwork
from packetlab.errors import SocketMisuse
from packetlab.link.memory import memory_wire
from packetlab.link.simnet import ROOM
from packetlab.network.carriers import NetHubPort, UDPPort
from tests.sockets.test_background import HERE, free_ports

PATIENCE = 20.0


def frame(number: int) -> bytes:
    return bytes(Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01", type=0x88B5) / number.to_bytes(4, "big"))


def number_of(data: bytes) -> int:
    return int.from_bytes(data[14:18], "big")


@contextmanager
def line() -> Iterator[tuple[NetHubPort, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, NetHubPort(listener.getsockname()[:2]) as port:
        hub, _ = listener.accept()
        with hub:
            yield port, hub


def sent(hub: socket.socket, numbers: range) -> None:
    hub.sendall(b"".join(len(frame(one)).to_bytes(2, "big") + frame(one) for one in numbers))


@contextmanager
def tracing(step: Callable[[object], object], *names: str) -> Iterator[None]:
    """Call `step` between any two instructions of the functions of these names, as handlers of signals are called."""

    def trace(frame, event, arg):
        if frame.f_code.co_name not in names:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            step(frame)
        return trace

    sys._getframe().f_trace_opcodes = True  # Python 3.12 makes these events only where it was set before
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)


def test_who_polls_keeps_no_more_and_what_finds_no_room_is_counted() -> None:
    net = SimNetwork(seed=1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    port = b.interface
    sending = frame(0).replace(b"\x02\0\0\0\0\x02", b"\xff" * 6)
    for _ in range(4):
        for _ in range(ROOM // 2):
            a.interface.send(sending)
        net.run(1)
        port.receive_frame(0)
        with pytest.raises(TimeoutError):
            port.receive_frame(0, lambda packet: False)
    for turn in range(4):
        for _ in range(ROOM):
            a.interface.send(sending)
        net.run(1)
        seen = 0

        def third(packet: object) -> bool:
            nonlocal seen
            seen += 1
            return seen == 3

        port.receive_frame(0, third)
        assert (port.lost > 0) == (turn > 1), "two ports' room: what lies there, and what an earlier wait took of it"


def test_what_was_kept_and_what_lies_there_are_both_looked_at() -> None:
    there, here = memory_wire()
    with here:
        for number in range(100):
            there.send(frame(number))
        here.receive_frame(0, lambda packet: number_of(bytes(packet)) == 3)
        for number in range(100, 200):
            there.send(frame(number))
        found = here.receive_frame(0, lambda packet: number_of(bytes(packet)) == 150)
        assert number_of(found.data) == 150
        assert [number_of(data) for data in here.take()] == list(range(151, 200))


@pytest.mark.parametrize("threads", [1, 3])
def test_a_hubs_line_is_read_whole_by_several_threads(threads) -> None:
    count = 3000
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with line() as (port, hub):
            found: list[int] = []

            def read() -> None:
                while True:
                    try:
                        found.append(number_of(port.receive_frame(0.5).data))
                    except TimeoutError:
                        if over.is_set():
                            return

            over = threading.Event()
            readers = [threading.Thread(target=read) for _ in range(threads)]
            for one in readers:
                one.start()
            sent(hub, range(count))
            over.set()
            for one in readers:
                one.join(PATIENCE)
            assert sorted(found) == list(range(count))
    finally:
        sys.setswitchinterval(before)


def test_an_interruption_anywhere_hides_none_of_a_hubs_frames_but_the_one_in_hand() -> None:
    reached = True
    place = 0
    while reached:
        place, reached, count = place + 1, False, 0
        with line() as (port, hub):
            sent(hub, range(5))

            def interrupt(_: object, place: int = place) -> None:
                nonlocal count, reached
                count += 1
                if count == place:
                    reached = True
                    raise KeyboardInterrupt

            found: list[int] = []
            try:
                with tracing(interrupt, "_next", "_whole"):
                    for one in port.capture(timeout=0):
                        found.append(number_of(one.data))
            except KeyboardInterrupt:
                pass
            late = [number_of(one.data) for one in port.capture(timeout=0)]
            assert sorted(found + late) == found + late and len(found + late) >= 4, place
    assert place > 20


@pytest.mark.slow
def test_a_ring_ends_when_a_handler_closes_it_wherever_its_thread_is(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    reached, place = True, 0
    with a.attachments[0].open() as port:
        while reached:
            place, reached, count = place + 7, False, 0
            ring = port.ring(1 << 20)
            for number in range(3):
                b.interface.send(frame(number))

            def close(_: object, place: int = place, ring: object = ring) -> None:
                nonlocal count, reached
                count += 1
                if count == place:
                    reached = True
                    ring.close()

            got = 0
            with tracing(close, "_take", "_take_ready", "_give_back", "_held", "_mapped", "wait", "ready"), suppress(SocketMisuse):
                for batch in ring.batches(timeout=0.05):
                    got += len(batch)
            assert ring.closed == reached and (reached or got == 3)
            ring.close()
    assert place > 50


def test_what_came_to_a_ring_before_its_time_was_over_is_taken(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.attachments[0].open() as port, port.ring(1 << 20) as ring:
        for turn in range(5):
            for number in range(10):
                b.interface.send(frame(number))
            assert sum(len(batch) for batch in ring.batches(timeout=0)) == 10, turn
        ring._switch.wait = lambda *_: pytest.fail("it waits for what is not there")
        assert list(ring.batches(timeout=0)) == []


def hub_port() -> tuple[object, object]:
    listener = socket.create_server(("127.0.0.1", 0))
    return NetHubPort(listener.getsockname()[:2]), listener


def udp_port() -> tuple[object, object]:
    one, two = free_ports(2)
    return UDPPort((HERE, one), (HERE, two)), None


@pytest.mark.parametrize("opened", [hub_port, udp_port])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_waits_by_itself_whatever_the_threads_of_its_parent_held(opened, monkeypatch) -> None:
    monkeypatch.setattr("packetlab.link.waits.PATIENCE", 1000.0)  # nobody is waited for who is not there
    port, listener = opened()
    held, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with port._waits.using(), port._waits.turn, port._waits._lock:
            held.set()
            leave.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(PATIENCE)
    child = os.fork()
    if child == 0:  # nothing of pytest's may run here
        signal.alarm(30)
        status = 1
        try:
            try:
                port.receive_frame(0.05)
            except TimeoutError:
                port.close()
                status = 0
        finally:
            os._exit(status)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        leave.set()
        holder.join()
        port.close()
        if listener is not None:
            listener.close()


def test_all_that_was_read_of_a_hubs_line_is_taken() -> None:
    """The descriptor tells of what is in the kernel only."""
    with line() as (port, hub):
        sent(hub, range(2000))
        taken: list[bytes] = []
        while select.select([port], [], [], 0.5)[0]:
            taken += port.take()
        assert [number_of(data) for data in taken] == list(range(2000))


def test_threads_that_wait_without_limit_get_a_frame_each() -> None:
    for _ in range(5):
        with line() as (port, hub):
            found: list[int] = []
            read = lambda port, found: found.append(number_of(port.receive_frame(None).data))  # noqa: E731
            readers = [threading.Thread(target=read, args=(port, found)) for _ in range(3)]
            for one in readers:
                one.start()
            sent(hub, range(3))  # in one segment: one of them reads it all
            for one in readers:
                one.join(PATIENCE)
            assert sorted(found) == [0, 1, 2]


def test_a_thread_without_limit_gets_what_another_ones_wait_passed_on() -> None:
    there, here = memory_wire()
    with here:
        for number in range(10):
            there.send(frame(number))
        with pytest.raises(TimeoutError):
            waiting = threading.Thread(target=lambda: found.append(here.receive_frame(None, eight)))
            found: list[object] = []
            eight = lambda packet: number_of(bytes(packet)) == 8  # noqa: E731

            def begin(packet: object) -> bool:
                if number_of(bytes(packet)) == 5:
                    waiting.start()  # the rest of what lies there has been taken
                    raise TimeoutError
                return False

            here.receive_frame(0, begin)
        waiting.join(PATIENCE)
        assert len(found) == 1


@pytest.mark.parametrize("lasting", [True, False])
def test_a_ring_that_is_closed_while_a_batch_is_in_use_leaves_the_port_hearing(lab, lasting) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.attachments[0].open() as port:
        for _ in range(2):
            ring = port.ring(1 << 20)
            b.interface.send(frame(1))
            with suppress(SocketMisuse):
                for batch in ring.batches(timeout=1, lasting=lasting):
                    assert batch[0] == frame(1)
                    ring.close()
            del batch
            b.interface.send(frame(2))
            assert port.receive_frame(1).data == frame(2)


@pytest.mark.parametrize("lasting", [True, False])
def test_what_a_ring_took_beyond_a_count_is_there_for_who_asks_next(lab, lasting) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.attachments[0].open() as port, port.ring(1 << 20) as ring:
        for number in range(10):
            b.interface.send(frame(number))
        got = [
            [
                number_of(one)
                for batch in ring.batches(0.1, 4, lasting=lasting)
                for one in [bytes(x.data) for x in batch]
            ]
            for _ in range(3)
        ]
        assert got == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_closed_hubs_port_hands_out_nothing_more() -> None:
    with line() as (port, hub):
        sent(hub, range(100))
        frames = port.capture()
        assert number_of(next(frames).data) == 0
        port.close()
        for call in (lambda: next(frames), lambda: port.receive_frame(0), port.take):
            with pytest.raises(OSError, match="an open port"):
                call()


def test_a_broken_line_is_told_after_what_came_before_though_no_more_comes() -> None:
    with line() as (port, hub):
        sent(hub, range(5))
        hub.sendall(b"\0\1\0")
        assert len(port.take()) == 5
        assert select.select([port], [], [], PATIENCE)[0]
        with pytest.raises(ConnectionError, match="a frame of 14 to 1024 bytes, got 1"):
            port.take()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_while_a_ring_is_open_does_not_keep_it(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.attachments[0].open() as port:
        read, write = os.pipe()
        with port.ring(1 << 20) as ring:
            child = os.fork()
            if child == 0:  # nothing of pytest's may run here
                os.write(write, b"+" if ring.closed else b"-")
                signal.pause()
            assert os.read(read, 1) == b"+"
        try:
            b.interface.send(frame(1))
            assert port.receive_frame(1).data == frame(1)
            with port.ring(1 << 20) as ring:
                b.interface.send(frame(2))
                assert [batch[0] for batch in ring.batches(timeout=0.1)] == [frame(2)]
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(read)
            os.close(write)


@pytest.mark.parametrize("count", [None, 1])
def test_threads_at_one_ring_get_each_frame_once(lab, count) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.attachments[0].open() as port, port.ring(64 << 20) as ring:
        found: list[int] = []

        over = threading.Event()

        def read() -> None:
            last, got = False, [0]
            while got or not last:
                last = over.is_set()
                got = [number_of(bytes(one.data)) for batch in ring.batches(0.2, count) for one in batch]
                found.extend(got)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for one in readers:
            one.start()
        for number in range(3000):
            b.interface.send(frame(number))
        over.set()
        for one in readers:
            one.join(PATIENCE)
        assert sorted(found) == list(range(3000))


def test_a_block_that_is_in_use_is_not_taken_again(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.attachments[0].open() as port, port.ring(1) as ring:  # of two blocks
        b.interface.send(frame(0))
        holder = ring.batches(timeout=1, lasting=False)
        assert number_of(bytes(next(holder)[0])) == 0
        b.interface.send(frame(1))
        assert [number_of(batch[0]) for batch in ring.batches(timeout=0)] == [1]
        assert list(ring.batches(timeout=0)) == []
        holder.close()
        for number in range(2, 8):
            b.interface.send(frame(number))
            assert [number_of(batch[0]) for batch in ring.batches(timeout=0)] == [number]


@contextmanager
def at_place(place: int, action: Callable[[], object], file: str = "link/ring.py") -> Iterator[list[bool]]:
    """Do something at the `place`-th point within a file's code where CPython runs the handlers of signals: after calls."""
    reached, count = [False], 0

    def profile(frame, event, arg):
        nonlocal count
        if event in ("call", "c_return") and frame.f_code.co_filename.endswith(file):
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


@contextmanager
def interrupted_at(place: int, file: str) -> Iterator[list[bool]]:
    """Raise KeyboardInterrupt there."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with at_place(place, interrupt, file) as reached:
        try:
            yield reached
        except KeyboardInterrupt as error:
            clear_frames(error.__traceback__)  # Python 3.13 never lets an exception go that was raised here


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [True, False])
@pytest.mark.parametrize("count", [None, 1])
def test_a_ring_goes_on_after_an_interrupt_anywhere(lab, lasting, count) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    place, going = 0, True
    with a.attachments[0].open() as port:
        while going:
            place += 3
            with port.ring(1) as ring:  # of two blocks
                b.interface.send(frame(0))
                with interrupted_at(place, "link/ring.py") as reached:
                    for batch in ring.batches(0, count, lasting=lasting):
                        del batch
                going = reached[0]
                for number in range(1, 6):
                    b.interface.send(frame(number))
                    got = [number_of(bytes(one.data)) for batch in ring.batches(timeout=0) for one in batch]
                    assert got[-1:] == [number], place
    assert place > 30


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_within_the_loop_over_a_ring_does_not_keep_it(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    with a.attachments[0].open() as port, port.ring(1 << 20) as ring:
        b.interface.send(frame(1))
        read, write = os.pipe()
        for batch in ring.batches(timeout=0, lasting=False):
            child = os.fork()
            if child == 0:  # nothing of pytest's may run here
                os.write(write, b"-" if any(bytes(batch[0])) else b"+")  # the memory is the parent's
                signal.pause()
            del batch
        try:
            assert os.read(read, 1) == b"+"
            ring.close()
            b.interface.send(frame(2))
            assert port.receive_frame(1).data == frame(2)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(read)
            os.close(write)


def test_a_broken_line_is_told_anew_each_time() -> None:
    with line() as (port, hub):
        hub.close()
        errors = []
        for call in (port.take, port.receive_frame, lambda: port.send(frame(1))) * 3:
            with pytest.raises(ConnectionError, match="the hub closed the line") as caught:
                call()
            errors.append(caught.value)
        assert len({id(one) for one in errors}) == 9


EARLIER_HOOK = """
import os, sys
made = []
os.register_at_fork(after_in_child=lambda: made.append({str(number): bytearray(99) for number in range(30_000)}))
from packetlab import Interface
with Interface("lo") as port, port.ring() as ring:
    child = os.fork()
    if child == 0:
        ring.close()
        made.append([bytearray(b"whole") for _ in range(100_000)])
        sound = all(one == b"whole" for one in made[1]) and all(not any(one) for one in made[0].values())
        os._exit(0 if sound else 3)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_ring_takes_no_memory_of_a_forked_childs_away(lab) -> None:
    """What others' hooks make there before ours has run may lie anywhere."""
    done = lab.host("a").run(sys.executable, "-c", EARLIER_HOOK, timeout=60)
    assert done.returncode == 0, done.stderr


def test_an_interrupt_while_a_ring_is_opened_leaves_the_port_hearing(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    place, going = 0, True
    while going:
        place += 1
        with a.attachments[0].open() as port:
            with interrupted_at(place, "link/ring.py") as reached:
                ring = port.ring(1)
            going = reached[0]
            if not going:
                ring.close()
            b.interface.send(frame(1))
            assert port.receive_frame(1).data == frame(1), place
    assert place > 8
