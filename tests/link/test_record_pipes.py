"""Recordings into pipes that nobody reads: closing the port, stop=, seconds= end them, and what a slow reader gets is whole."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from packetlab import Capture, CaptureError, Lab, record
from packetlab.capture import Statistics
from packetlab.link.interface import Interface
from tests.link.asleep import sleeps
from tests.link.test_record import frame, linked, numbers

COUNT = 3000  # frames of 1000 bytes: a pipe holds 64 KiB
EARLY = 99999


@pytest.fixture(params=["path", "object", "raw object"])
def pipe(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, int]]:
    """What to record into, and the descriptor of its other end, which has nothing read of it."""
    os.mkfifo(path := tmp_path / "pipe")
    read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if request.param == "path":
        yield path, read
    else:
        with open(path, "wb", buffering=0 if request.param == "raw object" else -1) as file:
            assert os.get_blocking(file.fileno())
            yield file, read
    os.close(read)


def started(port: Interface, where: object, **more: Any) -> tuple[threading.Thread, list[Any]]:
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(record(port, where, **more))
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, found


def full(read: int, port: Interface) -> None:
    """Send until the pipe takes no more, once the recording has begun."""
    poll = select.poll()
    poll.register(read, select.POLLIN)
    while not poll.poll(50):
        port.send(frame(EARLY, 954))
    os.set_blocking(read, True)
    for number in range(COUNT):
        port.send(frame(number, 954))
    deadline = time.monotonic() + 60
    while int.from_bytes(fcntl.ioctl(read, termios.FIONREAD, bytes(4)), sys.byteorder) < 50_000:
        assert time.monotonic() < deadline, "the pipe does not fill up"
        time.sleep(0.01)


@pytest.mark.parametrize("how", ["close", "stop", "seconds"])
def test_a_pipe_that_nobody_reads_is_waited_for_no_longer(
    lab: Lab, pipe: tuple[Any, int], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, read = pipe
    port, other = linked(lab)
    stop, passed = threading.Event(), 0
    clock = SimpleNamespace(time_ns=time.time_ns, monotonic_ns=lambda: time.monotonic_ns() + passed)
    monkeypatch.setattr("packetlab.link.replay.record.time", clock)
    thread, found = started(other, where, stop=stop, seconds=600 if how == "seconds" else None)
    full(read, port)
    start = time.monotonic()
    assert thread.is_alive()
    if how == "seconds":
        passed = 600 * 10**9
    else:
        {"close": other.close, "stop": stop.set}[how]()
    thread.join(20)
    assert not thread.is_alive() and time.monotonic() - start < 5
    (result,) = found
    if how == "close":
        assert isinstance(result, OSError) and result.errno == errno.EBADF and "has been closed" in str(result)
    else:
        assert result.frames < COUNT and result.bytes == result.frames * 1000
    if not isinstance(where, Path):
        where.close()
    with os.fdopen(os.dup(read), "rb") as file:
        capture = Capture(file, strict=False)
        frames = numbers(capture)
        seen = [number for number in frames if number != EARLY]
    assert 0 < len(seen) < COUNT and seen == [*range(len(seen))] and len(capture.faults) <= 1
    assert how == "close" or result.frames <= len(frames)


@pytest.mark.slow
def test_a_slow_reader_gets_all_of_it_whole_after_the_stop(lab: Lab, pipe: tuple[Any, int]) -> None:
    where, read = pipe
    port, other = linked(lab)
    stop = threading.Event()
    thread, found = started(other, where, stop=stop)
    full(read, port)
    stop.set()
    data = bytearray()
    while thread.is_alive():
        data += os.read(read, 1 << 16)
        time.sleep(0.005)
    if not isinstance(where, Path):
        assert os.get_blocking(where.fileno())
        where.close()
    while piece := os.read(read, 1 << 16):
        data += piece
    (path := Path(f"/proc/self/fd/{os.memfd_create('got')}")).write_bytes(data)
    frames = numbers(Capture(path))
    os.close(int(path.name))
    assert [number for number in frames if number != EARLY] == [*range(COUNT)] and found[0].frames == len(frames)


@pytest.mark.parametrize("ending", ["pcap", "pcap.gz", "pcapng.zst", "pcap.lz4"])
@pytest.mark.parametrize("how", ["close", "stop", "seconds"])
def test_a_pipe_that_nobody_has_opened_is_waited_for_no_longer(lab: Lab, tmp_path: Path, how: str, ending: str) -> None:
    os.mkfifo(path := tmp_path / f"pipe.{ending}")
    _, other = linked(lab)
    stop = threading.Event()
    thread, found = started(other, path, stop=stop, seconds=0.5 if how == "seconds" else None)
    if how != "seconds":
        sleeps(f"/proc/self/task/{thread.native_id}")
        assert thread.is_alive()
    act: Callable[[], object] = {"close": other.close, "stop": stop.set, "seconds": lambda: None}[how]
    act()
    thread.join(20)
    assert not thread.is_alive()
    if how == "close":
        assert isinstance(found[0], OSError) and found[0].errno == errno.EBADF
    else:
        assert (found[0].frames, found[0].bytes) == (0, 0) and found[0].duration_ns >= 500_000_000 * (how == "seconds")


@pytest.mark.parametrize("ending", ["pcap.gz", "pcapng.zst", "pcap.lz4"])
def test_what_is_packed_into_a_pipe_is_whole_and_waited_for_no_longer(lab: Lab, tmp_path: Path, ending: str) -> None:
    os.mkfifo(path := tmp_path / f"pipe.{ending}")
    port, other = linked(lab)
    read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    stop = threading.Event()
    thread, found = started(other, path, stop=stop)
    poll = select.poll()
    poll.register(read, select.POLLIN)
    while not poll.poll(50):
        port.send(frame(EARLY))
    stop.set()
    thread.join(20)
    (whole := tmp_path / f"whole.{ending}").write_bytes(os.read(read, 1 << 16))
    capture = Capture(whole)
    assert set(numbers(capture)) == {EARLY} and found[0].frames == capture.count()
    if ending.startswith("pcapng"):
        assert any(isinstance(block, Statistics) for block in capture.metadata())
    else:
        with pytest.raises(CaptureError, match="expected a pcapng file"):
            list(capture.metadata())

    stop.clear()
    thread, found = started(other, path, stop=stop)
    chance = random.Random(1)
    while not poll.poll(50):
        port.send(frame(EARLY))
    for number in range(1000):
        port.send(frame(number, 0) + chance.randbytes(954))
    stop.set()
    thread.join(20)
    os.close(read)
    assert not thread.is_alive() and found[0].frames < 1000


def test_a_reader_that_opens_a_pipe_later_and_leaves_early_is_an_error_with_its_name(lab: Lab, tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "pipe.pcap")
    port, other = linked(lab)
    thread, found = started(other, path)
    with open(path, "rb") as file:
        full(file.fileno(), port)
        frames = iter(Capture(file))
        assert next(number for number in numbers(next(frames) for _ in range(60)) if number != EARLY) == 0
    while thread.is_alive():
        port.send(frame(0))
        time.sleep(0.01)
    assert isinstance(found[0], BrokenPipeError) and found[0].filename == str(path)


@pytest.mark.slow
def test_an_interrupt_ends_a_recording_into_a_full_pipe(lab: Lab, pipe: tuple[Any, int]) -> None:
    where, read = pipe
    port, other = linked(lab)

    def fill() -> None:
        full(read, port)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=fill, daemon=True).start()
    result = record(other, where)
    assert result.frames < COUNT and result.bytes == result.frames * 1000


@pytest.mark.slow
def test_an_interrupt_while_a_pipe_is_full_for_a_moment_loses_nothing_that_was_taken(lab: Lab, tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "pipe.pcap")
    port, other = linked(lab)
    got, count = bytearray(), 1000

    def read() -> None:  # slowly, and steadily
        with open(path, "rb", buffering=0) as pipe:
            while piece := pipe.read(20_000):
                got.extend(piece)
                time.sleep(0.03)

    def feed() -> None:
        while not got:
            port.send(frame(EARLY, 954))
            time.sleep(0.01)
        for number in range(count):
            port.send(frame(number, 954))
        time.sleep(0.3)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threads = [threading.Thread(target=run, daemon=True) for run in (read, feed)]
    for thread in threads:
        thread.start()
    result = record(other, path)
    for thread in threads:
        thread.join(20)
    (whole := tmp_path / "whole.pcap").write_bytes(got)
    found = numbers(Capture(whole))
    assert result.frames == len(found) and [number for number in found if number != EARLY] == [*range(count)]
