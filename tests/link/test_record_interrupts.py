"""Recordings that an interrupt ends: at any moment what was taken is in the file, whole and counted; what came later is not."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from packetlab import Capture, Lab, record, send
from packetlab.link.interface import Interface
from packetlab.link.replay.record import Recording, _Log
from tests.link.asleep import signalled
from tests.link.test_record import After, Slow, frame, linked, numbers
from tests.link.test_shared_ports import tracing

MAIN = threading.main_thread().ident or 0
LATE = 10_000  # numbers of frames that were sent when the end had been seen


def reading(path: Path, got: bytearray, wait: float = 0.0, size: int = 1 << 16) -> threading.Thread:
    """Read a named pipe into `got`, `size` bytes at a time, each after `wait` seconds."""

    def read() -> None:
        with open(path, "rb", buffering=0) as pipe:
            while piece := pipe.read(size):
                got.extend(piece)
                time.sleep(wait)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def recorded(*args: Any, **more: Any) -> Recording:
    """Record. An interrupt that is raised would end all tests."""
    try:
        return record(*args, **more)
    except KeyboardInterrupt as error:
        raise AssertionError("it was raised") from error


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_an_interrupt_at_any_moment_cuts_nothing_and_what_was_written_is_counted(lab: Lab, tmp_path: Path, kind: str) -> None:
    port, other = linked(lab)
    place, going = 0, True
    while going:
        place, going, count = place + 11, False, 0
        got = bytearray()
        path = tmp_path / f"{place}.pcap"
        if kind == "pipe":
            os.mkfifo(path)
            reader = reading(path, got)

        def interrupt(_: object, place: int = place) -> None:
            nonlocal count, going
            count += 1
            if count == place:
                going = True
                signal.raise_signal(signal.SIGINT)

        first = After(lambda: send([frame(number, 954) for number in range(150)], onto=port, workers=1))
        begun = SimpleNamespace(is_set=lambda first=first: not first.is_set())
        with tracing(interrupt, "take", "write_batch", "write", "write_records", "flush", "_write", "_wait"):
            done = recorded(other, path, stop=begun, count=150)
        if kind == "pipe":
            reader.join(20)
            path = tmp_path / f"{place}.whole.pcap"
            path.write_bytes(got)
        assert numbers(Capture(path)) == [*range(150)] and (done.frames, done.bytes) == (150, 150_000), place
    assert place > 100


def test_an_interrupt_while_nothing_comes_ends_a_recording_into_a_full_pipe(lab: Lab) -> None:
    _, other = linked(lab)
    read, write = os.pipe()
    os.set_blocking(write, False)
    with open(read, "rb"), open(write, "wb", buffering=0) as pipe:
        while pipe.write(bytes(4096)):
            pass
        with signalled(number=signal.SIGINT):
            assert recorded(other, pipe, format="pcap").frames == 0


def test_an_interrupt_ends_a_recording_into_a_pipe_that_nobody_has_opened(lab: Lab, tmp_path: Path) -> None:
    _, other = linked(lab)
    os.mkfifo(path := tmp_path / "pipe.pcap")
    with signalled(number=signal.SIGINT):
        assert recorded(other, path).frames == 0


def interrupted_twice() -> None:
    for _ in range(2):
        signal.raise_signal(signal.SIGINT)


def test_a_second_interrupt_is_raised_and_so_is_one_after_the_stop(lab: Lab) -> None:
    _, other = linked(lab)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        record(other, io.BytesIO(), stop=After(interrupted_twice))
    file = Slow(lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        record(other, file, stop=After(lambda: None))
    assert signal.getsignal(signal.SIGINT) is before


def test_handlers_of_a_program_are_called_during_a_recording_and_stay_its_own(lab: Lab) -> None:
    _, other = linked(lab)
    called: list[int] = []

    def handler(number: int, _: object) -> None:
        called.append(number)
        if number == signal.SIGUSR2:
            raise KeyboardInterrupt

    def raised() -> None:
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.raise_signal(number)

    numbers_ = signal.SIGUSR1, signal.SIGUSR2
    before = [signal.signal(number, handler) for number in numbers_]
    try:
        assert record(other, io.BytesIO(), stop=After(raised)).frames == 0
        assert called == [*numbers_] and all(signal.getsignal(number) is handler for number in numbers_)
    finally:
        for number, old in zip(numbers_, before, strict=True):
            signal.signal(number, old)


# What comes after the end ----------------------------------------------------------------------------------------------


def test_what_comes_after_the_end_is_neither_recorded_nor_counted(lab: Lab) -> None:
    port, other = linked(lab)
    file = Slow(lambda: send([frame(LATE, 1400)] * 3000, onto=port, workers=1))
    done = record(other, file, format="pcap", stop=After(lambda: send([frame(0)], onto=port, workers=1)), ring=2 << 20)
    assert (done.frames, done.dropped) == (1, 0) and numbers(Capture(io.BytesIO(file.getvalue()))) == [0]


class Ending:
    """A `stop` that is set when a thousand frames were sent; when that is seen many more are."""

    def __init__(self, port: Interface, got: bytearray) -> None:
        self.port, self.got = port, got
        self.sent, self.seen = threading.Event(), threading.Event()
        threading.Thread(target=self.feed, daemon=True).start()

    def is_set(self) -> bool:
        if self.sent.is_set():
            self.seen.set()
        return self.seen.is_set()

    def feed(self) -> None:
        while not self.got:
            self.port.send(frame(0, 954))
            time.sleep(0.01)
        for number in range(1000):
            self.port.send(frame(number, 954))
        self.sent.set()
        self.seen.wait(60)
        for number in range(LATE, LATE + 2000):
            self.port.send(frame(number, 954))


@pytest.mark.slow
@pytest.mark.parametrize("by", ["stop", "interrupt"])
def test_a_slow_pipe_gets_what_had_come_by_the_end_and_nothing_more(
    lab: Lab, tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, other = linked(lab)
    os.mkfifo(path := tmp_path / "pipe.pcap")
    got = bytearray()
    reader = reading(path, got, 0.01, 8192)
    ending = Ending(port, got)
    if by == "stop":
        record(other, path, stop=ending)
    else:

        def interrupt() -> None:
            ending.sent.wait(60)
            signal.pthread_kill(MAIN, signal.SIGINT)

        plain = _Log.is_set

        def is_set(log: _Log) -> bool:
            if plain(log):
                ending.seen.set()
            return log.ended

        monkeypatch.setattr(_Log, "is_set", is_set)
        threading.Thread(target=interrupt, daemon=True).start()
        record(other, path)
    reader.join(60)
    (whole := tmp_path / "whole.pcap").write_bytes(got)
    late = [number for number in numbers(Capture(whole, strict=False)) if number >= LATE]
    assert len(late) < 135  # as many as one block of the ring holds, which was not full yet
