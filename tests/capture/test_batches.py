"""Captures in stretches: the same frames, and the same errors, as one by one."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from packetlab import Capture, CaptureError, Frame, Writer
from packetlab.capture import Extras, InterfaceDescription
from packetlab.capture.batch import FrameBatch
from tests.conftest import CORPUS

FILES = sorted(path.name for path in CORPUS.iterdir() if ".pcap" in path.name)


def both(capture: Capture) -> tuple[list[Frame], str, list[Frame], str]:
    """Return the frames and the fault of a capture, one by one and in stretches."""
    found: list[tuple[list[Frame], str]] = []
    stretches = (frame for batch in capture.batches() for frame in batch)
    for frames in (iter(capture), stretches, (frame for batch in capture.batches(lasting=False) for frame in batch)):
        got: list[Frame] = []
        fault = ""
        try:
            for frame in frames:
                got.append(frame)
        except CaptureError as error:
            fault = str(error)
        found.append((got, fault))
    assert found[1] == found[2]
    return (*found[0], *found[1])


def agree(capture: Capture) -> list[Frame]:
    one, fault, many, same = both(capture)
    assert many == one
    assert [(f.number, f.interface) for f in many] == [(f.number, f.interface) for f in one]
    assert same == fault
    return one


@pytest.mark.parametrize("name", FILES)
def test_every_capture_is_the_same_in_stretches(name: str) -> None:
    agree(Capture(CORPUS / name))


@pytest.mark.parametrize("format", ["pcap", "pcapng"])
def test_frames_that_lie_across_what_is_read_at_once(tmp_path: Path, format: str) -> None:
    noise = random.Random(5)
    frames = [Frame(noise.randbytes(noise.choice((0, 61, 1500, 9000))), i * 1001) for i in range(3000)]
    frames[1000] = Frame(noise.randbytes(3 << 20), 5)  # more than is read at once
    path = tmp_path / f"frames.{format}"
    assert Capture.of(frames).write(path) == 3000
    assert len(agree(Capture(path))) == 3000
    assert sum(1 for _ in Capture(path).batches()) < 40


def test_what_pcapng_says_of_single_frames_stays_with_them(tmp_path: Path) -> None:
    path = tmp_path / "frames.pcapng"
    other = InterfaceDescription(101, 0, "tunnel")
    with Writer(path) as writer:
        for i in range(50):
            writer.write(
                Frame(b"x" * i, i, interface=other if i % 7 == 0 else None, comment="odd" if i % 5 == 0 else None)
            )
    frames = agree(Capture(path))
    assert frames[5].comment == "odd" and frames[7].interface.name == "tunnel"
    (batch,) = Capture(path).batches()
    assert batch.frame(49).interface == frames[49].interface and batch[3] == b"xxx" and batch.total_bytes == 49 * 25


@pytest.mark.slow
@given(st.integers(0, 2**31), st.data())
def test_damaged_files_give_the_same_frames_and_the_same_error(seed: int, data: st.DataObject) -> None:
    noise = random.Random(seed)
    name = data.draw(
        st.sampled_from(["be_test102.pcapng", "le_test202.pcapng", "web.pcap", "nanosecs_big_endian.pcap"])
    )
    raw = bytearray((CORPUS / name).read_bytes())
    for _ in range(noise.randrange(4)):
        raw[noise.randrange(len(raw))] = noise.randrange(256)
    agree(Capture(io.BytesIO(bytes(raw[: noise.randrange(len(raw))]))))


def test_chosen_frames_and_frames_in_memory_come_in_stretches_too() -> None:
    frames = [Frame(bytes([i]), i, comment="first" if i == 0 else None) for i in range(10)]
    assert agree(Capture.of(frames)) == frames
    assert agree(Capture.of(frames)[2:5]) == frames[2:5]


def test_a_batch_of_frames_gives_them_back() -> None:
    frames = [Frame(b"a", None), Frame(b"", 7, 101, 9), Frame(b"cc", -5, comment="c")]
    frames += [Frame(b"d", time) for time in (-(1 << 63), 1 - (1 << 63), -1 - (1 << 63), (1 << 63) - 1, 1 << 63)]
    batch = FrameBatch.of(frames)
    assert list(batch) == frames and batch.extras == {2: Extras(("c",))}
