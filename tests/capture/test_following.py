"""Files that grow, and files whose writer was killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from packetlab import Capture, CaptureError, Frame, Writer
from tests.capture.test_formats import DATA
from tests.link.asleep import sleeps

ROOT = Path(__file__).parent.parent.parent
WRITING = """
import sys
from itertools import count
from packetlab import Frame, Writer
with Writer(sys.argv[1]) as writer:
    for i in count():
        writer.write(Frame(bytes([i % 256]) * (i % 1500), i, comment="c" * (i % 7) if sys.argv[1].endswith("ng") else None))
        if i % int(sys.argv[2]) == 0:
            writer.flush()
"""


def writing(path: Path, often: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITING, str(path), str(often)], cwd=ROOT)


def appear(path: Path) -> None:
    while not path.exists():
        os.sched_yield()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "often"), [("out.pcapng", 1), ("out.pcapng", 10**9), ("out.pcap", 10**9)])
def test_what_a_killed_program_leaves_is_followed_and_then_read(tmp_path: Path, name: str, often: int) -> None:
    path = tmp_path / name
    process = writing(path, often)
    try:
        appear(path)
        seen = []
        for frame in Capture(path, follow=30):
            seen.append(frame)
            if len(seen) == 500:
                break
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    capture = Capture(path, strict=False)
    frames = list(capture)
    assert len(frames) >= 500 and frames[:500] == seen
    assert [frame.time_ns for frame in frames] == list(range(len(frames)))
    # Blocks are handed on whole: but for a write that the kernel itself broke off, the end is the end of one.
    assert len(capture.faults) <= 1


def test_a_file_that_grows_gives_its_frames_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "growing.pcapng"
    with Writer(path) as writer:
        writer.write(Frame(DATA, 0))
        writer.flush()
        capture = Capture(path, follow=True)
        frames = iter(capture)
        assert next(frames).time_ns == 0
        for i in range(1, 4):
            writer.write(Frame(DATA, i))
            writer.flush()
            assert next(frames).time_ns == i
        waiting = threading.Thread(target=lambda: rest.extend(frames))
        rest: list[Frame] = []
        waiting.start()
        writer.write(Frame(DATA, 4))
        writer.flush()
        while not rest:
            os.sched_yield()
        capture.stop()
        waiting.join()
        assert [frame.time_ns for frame in rest] == [4] and capture.faults == ()


def test_following_begins_before_there_is_anything_and_ends_after_silence(tmp_path: Path) -> None:
    path = tmp_path / "late.pcap"
    path.touch()
    with open(path, "r+b", buffering=0) as file, Writer(file, "pcap") as writer:
        got: list[Frame] = []
        thread = threading.Thread(target=lambda: got.extend(Capture(path, follow=1.0)))
        thread.start()
        writer.write(Frame(DATA, 1))
        thread.join()
    assert [frame.time_ns for frame in got] == [1]


def test_a_block_that_never_comes_to_its_end_is_reported_after_silence_but_not_when_stopped(tmp_path: Path) -> None:
    path = tmp_path / "half.pcapng"
    Capture.of([Frame(DATA, 1), Frame(DATA, 2)]).write(path)
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(CaptureError, match="then the end"):
        list(Capture(path, follow=0.05))
    capture = Capture(path, follow=True)
    frames = iter(capture)
    assert next(frames).time_ns == 1
    capture.stop()
    assert list(frames) == [] and capture.faults == ()


def test_what_waits_is_written_when_a_file_is_closed_and_nothing_before_a_whole_block(tmp_path: Path) -> None:
    path = tmp_path / "whole.pcapng"
    with Writer(path) as writer:
        for i in range(200):
            writer.write(Frame(DATA * 10, i))
            assert Capture(path).count() <= i + 1 if path.stat().st_size else True
    assert Capture(path).count() == 200


WAYS: dict[str, Callable[[Capture], list[object]]] = {
    "frames": list,
    "batches": lambda capture: [frame for batch in capture.batches() for frame in batch],
    "batches of one window": lambda capture: [frame.time_ns for batch in capture.batches(False) for frame in batch],
    "metadata": lambda capture: list(capture.metadata()),
    "blocks": lambda capture: list(capture.blocks()),
}


def in_time(call: Callable[[], object], then: Callable[[], object]) -> object:
    """What a call gives or raises in another thread, which `then` is to end."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(call())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    sleeps(f"/proc/self/task/{thread.native_id}", lambda: not thread.is_alive())
    assert not found, found
    then()
    thread.join(20)
    assert not thread.is_alive(), "the wait did not end"
    return found[0]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("source", ["path", "object", "raw object", "object read of before", "socket", "pipe"])
@pytest.mark.parametrize("half", [0, 5])
def test_stopping_ends_the_wait_at_a_silent_pipe_with_the_last_whole_frame(
    tmp_path: Path, way: str, source: str, half: int
) -> None:
    whole = tmp_path / "whole.pcapng"
    Capture.of([Frame(DATA, 1), Frame(DATA, 2)]).write(whole)
    data = whole.read_bytes() + whole.read_bytes()[:half]
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with ExitStack() as stack:
        if source in ("path", "object", "raw object", "object read of before"):
            stack.callback(os.close, write := os.open(path, os.O_RDWR))
            where = path if source == "path" else stack.enter_context(open(path, "rb", 0 if source == "raw object" else -1))
        elif source == "socket":
            ours, theirs = socket.socketpair()
            stack.enter_context(theirs)
            where, write = stack.enter_context(stack.enter_context(ours).makefile("rb")), theirs.fileno()
        else:
            read, write = os.pipe()
            where = stack.enter_context(open(read, "rb"))
            stack.callback(os.close, write)
        os.write(write, data)
        if source == "object read of before":
            assert where.peek(4)[:4] == data[:4]
        expected = WAYS[way](Capture(whole))
        capture = Capture(where, follow=True)
        assert in_time(lambda: WAYS[way](capture), capture.stop) == expected and capture.faults == ()


@pytest.mark.parametrize("named", [True, False])
def test_stopping_and_silence_end_the_wait_at_a_pipe_that_never_says_anything(tmp_path: Path, named: bool) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)  # nobody writes to it: opening it waits, too
    read, write = os.pipe()
    with open(read, "rb") as pipe:
        capture = Capture(path if named else pipe, follow=True)
        error = in_time(lambda: list(capture), capture.stop)
        assert error == [] or "nothing" in str(error)
        with pytest.raises(CaptureError, match="nothing"):
            list(Capture(path if named else pipe, follow=0.05))
    os.close(write)


def test_what_comes_through_a_pipe_that_is_followed_comes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    Capture.of([Frame(DATA, 1)]).write(whole := tmp_path / "whole.pcapng")
    got: list[Frame] = []
    capture = Capture(path, follow=True)
    thread = threading.Thread(target=lambda: got.extend(capture))
    thread.start()
    for _ in range(2):  # one writer goes, and another one comes
        with open(path, "wb", buffering=0) as file:
            seen = len(got)
            file.write(whole.read_bytes())
            end = time.monotonic() + 20
            while len(got) == seen and time.monotonic() < end:
                time.sleep(0.001)
    capture.stop()
    thread.join(20)
    assert not thread.is_alive() and [frame.time_ns for frame in got] == [1, 1]


@pytest.mark.parametrize("source", ["pipe", "file"])
def test_stopping_ends_it_though_more_goes_on_coming(tmp_path: Path, source: str) -> None:
    """Whoever writes is always quicker: for each frame that is read two are written."""
    block = Capture.of([Frame(DATA, 1)])
    block.write(path := tmp_path / "growing.pcap")
    head, record = path.read_bytes()[:24], path.read_bytes()[24:]
    read, write = os.pipe()
    with open(read, "rb") as pipe, open(path, "ab", buffering=0) as file:
        out = write if source == "pipe" else file.fileno()
        os.set_blocking(write, False)
        os.write(write, head + record)
        capture, count = Capture(pipe if source == "pipe" else path, follow=True), 0
        for count, _ in enumerate(capture, 1):
            with suppress(BlockingIOError):
                os.write(out, record * (2 if count < 100 else 20000))
            if count == 10:
                capture.stop()
            assert count < 100_000
        assert count >= 10
    os.close(write)


def test_standard_input_can_be_stopped_and_its_end_is_one(tmp_path: Path) -> None:
    program = (
        "import sys, threading; from packetlab import Capture\n"
        "capture = Capture('-', follow=True)\n"
        "if sys.argv[1:]: threading.Timer(0.5, capture.stop).start()\n"
        "print(len(list(capture)), flush=True)"
    )
    Capture.of([Frame(DATA, 1), Frame(DATA, 2)]).write(path := tmp_path / "whole.pcap")
    for stopped in ([], ["stopped"]):
        with subprocess.Popen(
            [sys.executable, "-c", program, *stopped], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            process.stdin.write(path.read_bytes())
            process.stdin.flush()
            if not stopped:
                process.stdin.close()
            assert process.stdout.read() == b"2\n" and process.wait(20) == 0


@pytest.mark.parametrize("kind", ["file", "fifo", "pipe"])
def test_what_is_written_before_a_stop_is_read(tmp_path: Path, kind: str) -> None:
    path, whole = tmp_path / "some.pcap", tmp_path / "whole.pcap"
    Capture.of([Frame(bytes([number]) * 60, number) for number in range(3)]).write(whole)
    raw = whole.read_bytes()
    first = len(raw) - 2 * (60 + 16)
    for _ in range(5):
        path.unlink(missing_ok=True)
        if kind == "fifo":
            os.mkfifo(path)
        write = os.open(path, os.O_CREAT | (os.O_WRONLY if kind == "file" else os.O_RDWR)) if kind != "pipe" else -1
        read, write = os.pipe() if kind == "pipe" else (-1, write)
        os.write(write, raw[:first])
        stream = None if read < 0 else os.fdopen(read, "rb")
        capture, got = Capture(stream or path, follow=True), list[Frame]()
        thread = threading.Thread(target=lambda capture=capture, got=got: got.extend(capture))
        thread.start()
        while not got:
            os.sched_yield()
        os.write(write, raw[first:])
        capture.stop()
        thread.join(20)
        os.close(write)
        if stream is not None:
            stream.close()
        assert [frame.data[0] for frame in got] == [0, 1, 2]
