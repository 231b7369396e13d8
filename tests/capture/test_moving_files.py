"""Files cut or grown while they are read, streams that fail, disks that are full: every whole frame, then a clear end."""

from __future__ import annotations

import gzip
import io
import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from packetlab import Capture, CaptureError, Frame, Writer
from packetlab.capture.batch import FrameBatch
from packetlab.capture.files.source import CHUNK
from tests.capture.test_formats import described, packet, section
from tests.capture.test_sources import HEAD, record

FILES: dict[str, Callable[[int], bytes]] = {
    "pcap": lambda count: HEAD + record(1000) * count,
    "pcapng": lambda count: section() + described() + packet(0, 5, bytes(1000)) * count,
}
WAYS: dict[str, Callable[[Capture], Iterator[int]]] = {
    "iter": lambda capture: (1 for _ in capture),
    "batches": lambda capture: (len(batch) for batch in capture.batches()),
    "passing": lambda capture: (len(batch) for batch in capture.batches(lasting=False)),
    "table": lambda capture: (columns.rows for columns in capture.table("length").batches(rows=1)),
    "streams": lambda capture: (0 if stream else 1 for stream in capture.streams()),
}
MANY = 4 * CHUNK // 1000


def through(counts: Iterator[int], change: Callable[[], object]) -> tuple[int, CaptureError | None]:
    """Go through a capture, changing its file after the first frames; return how many frames came, and the error."""
    got = next(counts)
    change()
    try:
        return got + sum(counts), None
    except CaptureError as error:
        return got, error


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("way", ["iter", "batches", "passing", "table"])
@pytest.mark.parametrize("size", [0, 1, 2 * CHUNK + 333])
def test_a_file_that_is_cut_while_it_is_read_says_so(tmp_path: Path, kind: str, way: str, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILES[kind](MANY))
    _got, error = through(WAYS[way](Capture(path)), lambda: os.truncate(path, size))
    assert error is not None
    assert "cut to" in str(error) or "then the end" in str(error)
    path.write_bytes(FILES[kind](MANY))
    capture = Capture(path, strict=False)
    counts = WAYS[way](capture)
    first = next(counts)
    os.truncate(path, size)
    assert 0 < first + sum(counts) < MANY
    assert len(capture.faults) == 1


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("way", ["iter", "batches", "passing", "table"])
def test_a_file_that_grows_while_it_is_read_gives_all_that_is_whole(tmp_path: Path, kind: str, way: str) -> None:
    path = tmp_path / "file"
    whole = FILES[kind](MANY)
    path.write_bytes(whole)

    def grow(by: bytes) -> None:
        with open(path, "ab") as file:
            file.write(by)

    more = FILES[kind](2)[len(FILES[kind](1)) :]
    assert through(WAYS[way](Capture(path)), lambda: grow(more)) == (MANY + 1, None)
    _got, error = through(WAYS[way](Capture(path)), lambda: grow(more[:-5]))
    assert "then the end" in str(error)
    assert Capture(path, strict=False).count() == MANY + 1


@pytest.mark.slow
def test_a_packed_file_that_is_cut_or_grows_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    noise = HEAD + b"".join(record(0)[:8] + (1000).to_bytes(4, "little") * 2 + os.urandom(1000) for _ in range(MANY))
    packed = gzip.compress(noise)
    path.write_bytes(packed)
    _, error = through(WAYS["iter"](Capture(path)), lambda: os.truncate(path, len(packed) // 2))
    assert "cut to" in str(error) or "the end of the file" in str(error)
    path.write_bytes(packed[:-1000])
    got, error = through(WAYS["iter"](Capture(path)), lambda: path.write_bytes(packed))
    assert (got, error) == (MANY, None)


def test_following_a_file_that_is_cut_ends_with_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILES["pcap"](20))
    frames = iter(Capture(path, follow=True))
    assert [next(frames).number for _ in range(20)][-1] == 20
    os.truncate(path, 24)
    with pytest.raises(CaptureError, match="cut to 24 bytes while it is read"):
        next(frames)


# Streams that fail -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_that_fails_is_an_error_behind_what_was_whole(way: str) -> None:
    class Failing(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return super().read1(size) or self.fail()

        def readinto1(self, view: Any) -> int:
            return super().readinto1(view) or len(self.fail())

        def seekable(self) -> bool:
            return False

        def fail(self) -> bytes:
            raise OSError(5, "Input/output error")

    capture = Capture(Failing(FILES["pcap"](3) + b"rest"), strict=False)
    sum(WAYS[way](capture))
    assert [str(fault) for fault in capture.faults] == [
        "stream: expected bytes to read, got [Errno 5] Input/output error"
    ]
    with pytest.raises(CaptureError, match="Input/output error"):
        list(WAYS[way](Capture(Failing(FILES["pcap"](3)))))


def test_a_file_object_that_is_closed_meanwhile_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(FILES["pcap"](MANY))
    file = open(tmp_path / "file", "rb")  # noqa: SIM115
    frames = iter(Capture(file))
    next(frames)
    file.close()
    with pytest.raises(CaptureError, match="closed file"):
        list(frames)


def test_what_is_no_stream_of_bytes_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    with (
        open(tmp_path / "file") as file,
        pytest.raises(CaptureError, match="expected a stream of bytes, got one of text"),
    ):
        list(Capture(file))  # type: ignore[arg-type]
    for path in (tmp_path, "a\0b", tmp_path / "none"):
        with pytest.raises(CaptureError, match="expected a readable file"):
            list(Capture(path))
        with pytest.raises(CaptureError, match="expected a writable file"):
            Writer(path / "no" / "such" if isinstance(path, Path) else path)


@pytest.mark.parametrize("way", ["iter", "batches", "passing"])
def test_a_pipe_that_does_not_wait_is_distinguished_from_one_that_has_ended(way: str) -> None:
    for ended in (True, False):
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.write(writing, FILES["pcap"](3))
        if ended:
            os.close(writing)
        with open(reading, "rb") as file:
            capture = Capture(file, strict=False)
            assert sum(WAYS[way](capture)) == 3
            assert ["set not to block" in str(fault) for fault in capture.faults] == [True] * (not ended)
        if not ended:
            os.close(writing)


def test_a_pipe_whose_writer_dies_in_the_midst_of_a_record() -> None:
    reading, writing = os.pipe()
    threading.Thread(target=lambda: (os.write(writing, FILES["pcap"](20)[:-7]), os.close(writing))).start()
    with open(reading, "rb") as file:
        capture = Capture(file, strict=False)
        assert capture.count() == 19
        assert "then the end" in str(capture.faults[0])


def test_a_socket_that_is_reset_is_an_error_behind_what_was_whole() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
        far.sendall(FILES["pcap"](3))
        with near, near.makefile("rb") as file:
            frames = iter(Capture(file))
            assert [next(frames).number for _ in range(3)] == [1, 2, 3]
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            far.close()
            with pytest.raises(CaptureError, match="reset by peer"):
                next(frames)


# Full disks ------------------------------------------------------------------------------------------------------


@contextmanager
def room(size: int) -> Iterator[None]:
    """Let no file grow longer, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["out.pcap", "out.pcapng", "out.pcap.gz", "out.pcapng.zst", "out.pcapng.lz4"])
def test_a_full_disk_leaves_whole_records(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with room(300_001), pytest.raises(OSError, match="File too large") as reported, Writer(path) as writer:
        for i in range(1000):
            writer.write(Frame(os.urandom(1000), i))
    capture = Capture(path, strict=False)
    count = capture.count()
    assert 100 < count < 300
    if name in ("out.pcap", "out.pcapng"):
        assert capture.faults == ()
        assert str(path) in str(reported.value)
        assert path.stat().st_size > 290_000


@pytest.mark.parametrize("name", ["out.pcap", "out.pcapng"])
def test_of_a_batch_a_full_disk_takes_whole_records_too(tmp_path: Path, name: str) -> None:
    frames = [Frame(os.urandom(i), i) for i in range(1000, 2000)]
    batch = FrameBatch.of(frames)
    with room(300_001), pytest.raises(OSError, match="what was written whole stays"), Writer(tmp_path / name) as writer:
        writer.write_batch(batch)
    assert 298_000 < (tmp_path / name).stat().st_size <= 300_001
    kept = list(Capture(tmp_path / name))
    assert len(kept) > 100 and kept == frames[: len(kept)]


def test_what_lies_beside_the_buffer_of_a_batch_is_never_written(tmp_path: Path) -> None:
    batch = FrameBatch(bytes(100), [0, 90, -20, 5000], [10, 40, 10, 8], [1, 2, 3, 4])
    with Writer(tmp_path / "out.pcap") as writer:
        writer.write_batch(batch)
    assert all(set(frame.data) <= {0} and len(frame.data) <= 10 for frame in Capture(tmp_path / "out.pcap"))


def test_what_is_written_behind_a_full_disk_stands_behind_whole_records(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "out.pcap")
    with room(100_000), pytest.raises(OSError, match="what was written whole stays"):
        for _ in range(1000):
            writer.write(Frame(bytes(999)))
    writer.write(Frame(b"later", 7))
    writer.close()
    *_, last = Capture(tmp_path / "out.pcap")
    assert (last.data, last.number) == (b"later", 99)


def test_a_device_that_takes_nothing_says_so() -> None:
    with pytest.raises(OSError, match="No space left"), Writer("/dev/full", "pcap") as writer:
        writer.write(Frame(b"data"))


def test_of_a_packed_file_that_was_never_closed_what_was_flushed_is_there(tmp_path: Path) -> None:
    for name in ("out.pcap.gz", "out.pcapng.zst"):
        writer = Writer(tmp_path / name)
        for i in range(10):
            writer.write(Frame(bytes(10), i))
        writer.flush()
        (tmp_path / f"copy-{name}").write_bytes((tmp_path / name).read_bytes())
        writer.close()
        assert Capture(tmp_path / f"copy-{name}", strict=False).count() == 10
