"""Files that grow, and files whose writer was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from packetlab import Capture, CaptureError, Frame, Writer
from tests.capture.test_formats import DATA

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
