"""Where captures come from: file objects that seek, packed files of any kind, sizes that lie."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
from collections.abc import Callable

import lz4.frame
import pytest

from packetlab.capture import Capture, Frame
from packetlab.capture.files.source import CHUNK, zstd
from packetlab.errors import CaptureError
from tests.capture.test_formats import block, described, packet, read, section

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": lambda data: zstd().compress(data),
    "lz4": lz4.frame.compress,
}
HEAD = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)


def record(size: int, time: int = 1) -> bytes:
    return struct.pack("<IIII", time, 0, size, size) + bytes(size)


def test_a_file_object_that_seeks_is_read_again_from_where_it_stood() -> None:
    file = io.BytesIO(b"before" + HEAD + record(4) * 3)
    file.seek(6)
    capture = Capture(file)
    assert capture.count() == capture.count() == 3 and capture[-1].number == 3


def test_two_readers_of_one_file_object_do_not_disturb_each_other() -> None:
    capture = Capture(io.BytesIO(HEAD + record(1000) * 3000))  # more than one piece
    pairs = zip(capture, capture, strict=True)
    assert all(one == other and one.number == other.number for one, other in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("packer", PACKERS)
def test_little_that_unpacks_to_much_is_unpacked_in_pieces(packer: str) -> None:
    packed = PACKERS[packer](HEAD + record(60_000) * 1000)
    assert len(packed) < 1 << 20
    tracemalloc.start()
    try:
        assert read(packed).count() == 1000
        assert tracemalloc.get_traced_memory()[1] < 8 * CHUNK
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("packer", PACKERS)
def test_several_packed_streams_in_a_row_are_one(packer: str) -> None:
    data = HEAD + record(100) * 50
    packed = b"".join(PACKERS[packer](data[i : i + 700]) for i in range(0, len(data), 700))
    assert read(packed).count() == 50


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1])
def test_what_unpacks_to_about_one_piece_is_whole(packer: str, size: int) -> None:
    data = HEAD + record(size - len(HEAD) - 16)
    assert len(data) == size
    (frame,) = read(PACKERS[packer](data))
    assert len(frame.data) == size - len(HEAD) - 16


def test_zeros_behind_a_gzip_file_are_padding() -> None:
    assert read(gzip.compress(HEAD + record(4)) + bytes(100_000)).count() == 1


@pytest.mark.parametrize("packer", PACKERS)
def test_damage_in_a_packed_file_is_one_capture_error(packer: str) -> None:
    packed = bytearray(PACKERS[packer](HEAD + bytes(range(256)) * 100))
    packed[len(packed) // 2] ^= 0xFF
    capture = read(bytes(packed[:-3]), strict=False)
    list(capture)
    assert len(capture.faults) == 1


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_a_length_that_lies_allocates_nothing(kind: str) -> None:
    files = {
        "pcap": HEAD + struct.pack("<IIII", 0, 0, 60 << 20, 60 << 20) + b"short",
        "pcapng": section() + described() + struct.pack("<II", 6, 60 << 20) + b"short, and more",
    }
    tracemalloc.start()
    try:
        with pytest.raises(CaptureError, match="then the end"):
            list(read(files[kind]))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_stream_in_small_pieces_gives_the_same_frames() -> None:
    class Dripping(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.rest = data

        def read(self, size: int = -1) -> bytes:
            piece, self.rest = self.rest[:7], self.rest[7:]
            return piece

    file = section() + described() + b"".join(packet(0, i) for i in range(20)) + block(5, b"12345678")
    assert list(Capture(Dripping(file))) == list(read(file)) == [Frame(b"data", i * 1000) for i in range(20)]
