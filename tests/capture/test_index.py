"""Indexes: any frame of a file at once, the same as read from its beginning."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path
from typing import Any

import pytest

from packetlab import Capture, CaptureError, Frame, Writer
from packetlab.capture import InterfaceDescription
from packetlab.capture.files import source
from packetlab.capture.index import Index, Marks, part, splits
from tests.conftest import CORPUS, ROOT
from tests.growth import steps

FILES = sorted(path for folder in (CORPUS, ROOT / "captures") for path in folder.iterdir() if ".pcap" in path.name)
PLAIN = [path for path in FILES if path.suffix in (".pcap", ".pcapng")]


def reported(frame: Frame) -> tuple[Any, ...]:
    """Return all that a frame is, what `==` leaves out too."""
    return frame.number, frame.interface, frame.data, frame.time_ns, frame.wire_length, frame.extras


def everything(frames: Any) -> list[tuple[Any, ...]]:
    return [reported(frame) for frame in frames]


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in small pieces, so that small files have many places where reading can begin."""
    monkeypatch.setattr(source, "CHUNK", 2000)
    monkeypatch.setattr(source, "PACKED_CHUNK", 500)


def dense(capture: Capture, apart: int = 1) -> Index[Capture]:
    """Return an index with a mark before every stretch, however short."""
    return Index(capture, Marks(apart))


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.name)
def test_every_capture_is_the_same_by_its_index(path: Path) -> None:
    capture = Capture(path, strict=False)
    frames = everything(capture)
    index = dense(capture)
    assert (
        len(index) == len(frames)
        and [*map(str, index.faults)] == [*map(str, capture.faults)]
        and everything(index) == frames
    )
    for n in {0, len(frames) // 2, len(frames) - 1} if frames else ():
        assert reported(index[n]) == frames[n] and reported(index[n - len(frames)]) == frames[n]
    for chosen in (
        slice(3),
        slice(-3, None),
        slice(None, None, 3),
        slice(None, None, -2),
        slice(5, 1, -1),
        slice(9, 2),
    ):
        assert everything(index[chosen]) == frames[chosen], chosen
    times = sorted(frame[3] for frame in frames if frame[3] is not None)
    for start, stop in [(times[len(times) // 3], times[2 * len(times) // 3]), (times[0], times[-1])] if times else []:
        within = [frame for frame in frames if frame[3] is not None and start <= frame[3] < stop]
        assert everything(index.between(start, stop)) == within
        since = [frame for frame in frames if frame[3] is not None and frame[3] >= start]
        assert everything(index.between(start)) == since
    assert index.between().count() == len(times)
    with pytest.raises(IndexError, match=f"no frame {len(frames)}"):
        index[len(frames)]


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.name)
def test_every_capture_is_the_same_in_parts(path: Path) -> None:
    whole = Capture(path, strict=False)
    frames = everything(whole)
    capture = Capture(path, strict=False)
    parts = list(splits(capture, 1))
    assert [frame for one in parts for frame in everything(part(capture, *one))] == frames
    assert not parts or [*map(str, capture.faults)] == [*map(str, whole.faults)]


def sections(noise: random.Random, path: Path) -> None:
    """Write a file of many sections in both byte orders, whose interfaces come late, with blocks and frames of all kinds."""
    with open(path, "wb") as file:
        for number in range(40):
            one = io.BytesIO()
            with Writer(one, "pcapng") as writer:
                for n in range(noise.randrange(300)):
                    on = InterfaceDescription(
                        noise.choice((1, 101)), name=f"i{noise.randrange(1 + n // 20)}", resolution=10**9
                    )
                    comment = "odd" if noise.random() < 0.1 else None
                    writer.write(Frame(noise.randbytes(noise.randrange(90)), noise.randrange(10**12), interface=on, comment=comment))  # fmt: skip
            file.write(one.getvalue())
            if number % 7 == 0:
                file.write((CORPUS / "be_test008.pcapng").read_bytes())


@pytest.mark.slow
@pytest.mark.usefixtures("pieces")
def test_sections_and_late_interfaces_are_known_wherever_reading_begins(tmp_path: Path) -> None:
    noise = random.Random(3)
    path = tmp_path / "sections.pcapng"
    sections(noise, path)
    capture = Capture(path)
    frames = everything(capture)
    index = dense(capture, 2000)
    assert index.marks > 30 and len({frame[1].section for frame in frames}) > 40
    for n in [noise.randrange(len(frames)) for _ in range(8)]:
        assert reported(index[n]) == frames[n]
        end = n + noise.randrange(400)
        assert everything(index[n:end]) == frames[n:end]
        start = noise.randrange(10**12)
        span = [f for f in frames if f[3] is not None and start <= f[3] < start + 10**10]
        assert everything(index.between(start, start + 10**10)) == span
    got = index[100:].table("number", "interface", "linktype").read()
    assert [*zip(*(got[name].tolist() for name in got.names), strict=True)] == [
        (f[0], f[1].number, f[1].linktype) for f in frames[100:]
    ]
    for size in (5000, 10**6):
        parts = list(splits(capture, size))
        assert [frame for one in parts for frame in everything(part(capture, *one))] == frames


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Return a file of a few MiB."""
    path = tmp_path / "large.pcap"
    Capture.of([Frame(i.to_bytes(4, "big") * 50, i * 1000) for i in range(40_000)]).write(path)
    return path


@pytest.mark.slow
def test_one_frame_costs_as_much_wherever_it_is(large: Path) -> None:
    index = Capture(large).index()
    assert large.stat().st_size >> 20 <= index.marks <= large.stat().st_size >> 19
    index[1]
    costs = []
    for n in (20_000, 39_999, 3):
        assert int.from_bytes(index[n].data[:4], "big") == n
        index[n - 20_000]  # elsewhere, so that nothing is at hand
        costs.append(steps(lambda n=n: index[n]))  # type: ignore[misc]
    assert max(costs) < steps(lambda: list(Capture(large)[39_999:])) / 4
    assert steps(lambda: index[4]) < 100  # near one that was read


@pytest.mark.slow
def test_a_slice_reads_its_own_part_and_a_filter_goes_over_that_alone(large: Path) -> None:
    index = Capture(large).index()
    part, whole = index[30_000:31_000], index[:]
    assert [int(n) for n in part.where("frame.number == 30501").table("number")["number"]] == [30_501]
    number = "frame.number == 30501"
    part.where(number).count()
    assert steps(lambda: part.where(number).count()) < steps(lambda: whole.where(number).count()) / 7


def test_marks_are_bounded_and_farther_apart_in_larger_files() -> None:
    marks = Marks(apart=10, most=100)
    for n in range(100_000):
        marks.passed(24 + 10 * n, n, lambda: None)
    assert len(marks) <= 100 and marks[0] == (24, 0, None)
    gaps = {after - before for before, after in zip(marks.places, marks.places[1:], strict=False)}
    assert max(gaps) <= 2 * marks.apart and marks.frames[-1] > 90_000


def block(kind: int, body: bytes) -> bytes:
    """Return a block of pcapng, little-endian."""
    size = (len(body) + 12).to_bytes(4, "little")
    return kind.to_bytes(4, "little") + size + body + size


@pytest.mark.usefixtures("pieces")
def test_what_is_known_of_interfaces_is_bounded(tmp_path: Path) -> None:
    section = block(0x0A0D0D0A, bytes.fromhex("4d3c2b1a01000000") + b"\xff" * 8)
    many = section + b"".join(block(1, bytes(8) + n.to_bytes(4, "little")) for n in range(300))
    one = block(6, bytes(20))
    path = tmp_path / "interfaces.pcapng"
    path.write_bytes((many + one) * 20)
    free, bounded = (Index(Capture(path), Marks(1, memory=memory)) for memory in (64 << 20, 1 << 20))
    assert free.marks >= 20 > 10 > bounded.marks and len(bounded) == 20
    assert everything(bounded) == everything(free) == everything(Capture(path)) and bounded[17].interface.section == 17


@pytest.mark.slow
def test_what_cannot_be_indexed_says_why(tmp_path: Path, large: Path) -> None:
    for name in ("pcapng-example.pcapng.zst", "mime-header-size-limit.pcap.gz"):
        with pytest.raises(CaptureError, match="expected a file that is not packed, got (zstd|gzip).*unpack it first"):
            Capture(CORPUS / name).index()
    with pytest.raises(CaptureError, match="a whole file"):
        Capture(large).where("ip").index()
    with pytest.raises(CaptureError, match="a file that is not followed"):
        Capture(large, follow=True).index()
    read, write = os.pipe()
    os.close(write)
    with open(read, "rb") as pipe, pytest.raises(CaptureError, match="read from any byte on"):
        Capture(pipe).index()
    with pytest.raises(CaptureError, match="a pcap or pcapng file"):
        Capture(io.BytesIO(b"text, no capture")).index()


def test_a_damaged_file_is_reported_and_its_whole_frames_are_there(tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes((CORPUS / "web.pcap").read_bytes()[:-3])
    with pytest.raises(CaptureError, match="expected a record"):
        Capture(path).index()
    index = Capture(path, strict=False).index()
    assert len(index) == 23 and "expected a record" in str(index.faults[0])
    assert everything(index[20:]) == everything(Capture(path, strict=False))[20:]


@pytest.mark.slow
def test_a_file_that_changed_since_is_reported(large: Path) -> None:
    index = Capture(large).index()
    rest = index[39_000:]
    with open(large, "ab") as file:
        file.write(b"more")
    with pytest.raises(CaptureError, match="the file that was indexed"):
        index[1]
    with pytest.raises(CaptureError, match="the file that was indexed"):
        rest.count()


@pytest.mark.slow
def test_a_file_object_has_an_index_too_from_where_it_stands(large: Path) -> None:
    stream = io.BytesIO(b"before" + large.read_bytes())
    stream.seek(6)
    capture = Capture(stream)
    index = capture.index()
    assert len(index) == 40_000 and int.from_bytes(index[33_333].data[:4], "big") == 33_333
    assert next(iter(capture)).number == 1 and index[-1].number == 40_000
