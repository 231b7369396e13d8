"""pcap and pcapng in and out: byte orders, resolutions, sections, options, packing, damage."""

from __future__ import annotations

import gzip
import io
import os
import struct
import threading
import tracemalloc
import warnings
from pathlib import Path

import dpkt
import pytest
from hypothesis import given, settings, strategies as st

from packetlab import IDP, UDP, Capture, CaptureError, Ether, Frame, IPv4, Writer
from packetlab.capture import Extras, InterfaceDescription
from tests.conftest import CORPUS, amount

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.utils import RawPcapNgReader, RawPcapReader

DATA = bytes(Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(dport=9) / b"payload")
NAMES = ["out.pcap", "out.pcapng", "out.pcap.gz", "out.pcapng.zst", "out.pcapng.lz4"]

interfaces = st.builds(
    InterfaceDescription, linktype=st.sampled_from([1, 101, 113]), snaplen=st.sampled_from([0, 96]), name=st.text(max_size=8).map(lambda s: s.replace("\0", "")),
    number=st.integers(0, 1), fcs_length=st.integers(0, 15),
    options=st.lists(st.tuples(st.sampled_from([1, 8, 12, 2988]), st.binary(min_size=8, max_size=12)), max_size=2).map(tuple),
)  # fmt: skip
frames = st.builds(
    Frame,
    st.binary(max_size=80),
    st.integers(0, 2**32 * 10**9 - 1),
    comment=st.lists(st.text(max_size=20).map(lambda s: s.replace("\0", "")), max_size=2).map(tuple),
    interface=interfaces,
)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<", length: int = -1) -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, length), order)


def described(order: str = "<", linktype: int = 1, options: bytes = b"", snaplen: int = 0) -> bytes:
    return block(1, struct.pack(order + "HHI", linktype, 0, snaplen) + options, order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def packet(which: int, ticks: int, data: bytes = b"data", order: str = "<") -> bytes:
    head = struct.pack(order + "IIIII", which, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(6, head + data + bytes(-len(data) % 4), order)


def read(data: bytes, **options: bool) -> Capture:
    return Capture(io.BytesIO(data), **options)


@pytest.mark.slow
@given(st.lists(frames, max_size=6))
def test_pcapng_keeps_all_that_a_frame_has(some: list[Frame]) -> None:
    out = io.BytesIO()
    Capture.of(some).write(out)
    back = list(read(out.getvalue()))
    assert back == some
    for mine, theirs in zip(back, some, strict=True):
        kept = ("name", "snaplen", "fcs_length", "options")
        assert [getattr(mine.interface, what) for what in kept] == [getattr(theirs.interface, what) for what in kept]


@given(st.lists(st.tuples(st.binary(max_size=80), st.integers(0, 2**32 * 10**9 - 1)), max_size=6))
def test_pcap_keeps_bytes_lengths_and_nanoseconds(some: list[tuple[bytes, int]]) -> None:
    out = io.BytesIO()
    Capture.of([Frame(data, time, wire_length=len(data) + 1) for data, time in some]).write(out, format="pcap")
    assert [(f.data, f.time_ns, f.wire_length) for f in read(out.getvalue())] == [(d, t, len(d) + 1) for d, t in some]


@pytest.mark.parametrize("name", NAMES)
def test_each_kind_of_file_is_written_and_recognised_by_its_content(tmp_path: Path, name: str) -> None:
    some = [Frame(DATA, i) for i in range(5)]
    assert Capture.of(some).write(tmp_path / name) == 5
    (tmp_path / name).rename(tmp_path / "lies.txt")
    assert list(Capture(tmp_path / "lies.txt")) == some


@pytest.mark.parametrize("name", NAMES)
def test_the_same_frames_make_the_same_file(tmp_path: Path, name: str) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Capture.of([Frame(DATA, 7)]).write(tmp_path / folder / name)
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.slow
def test_tshark_dpkt_and_scapy_read_what_we_write(tmp_path: Path, tshark) -> None:
    some = [Frame(DATA, 1_700_000_000_123_456_789 + i, comment=f"frame {i}") for i in range(3)]
    for name in ("out.pcap", "out.pcapng"):
        Capture.of(some).write(tmp_path / name)
        rows = tshark(tmp_path / name, "frame.time_epoch", "frame.len", "udp.dstport")
        assert rows == [[f"1700000000.{123456789 + i}", str(len(DATA)), "9"] for i in range(3)]
    assert tshark(tmp_path / "out.pcapng", "frame.comment") == [["frame 0"], ["frame 1"], ["frame 2"]]
    with open(tmp_path / "out.pcap", "rb") as file:
        assert [data for _, data in dpkt.pcap.Reader(file)] == [DATA] * 3
    for reader, name in ((RawPcapReader, "out.pcap"), (RawPcapNgReader, "out.pcapng")):
        with reader(str(tmp_path / name)) as theirs:
            assert [data for data, _ in theirs] == [DATA] * 3


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "scale"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1), (0xA1B2CD34, 1000)])
def test_pcap_in_each_byte_order_and_resolution(order: str, magic: int, scale: int) -> None:
    more = bytes(8) if magic == 0xA1B2CD34 else b""
    file = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 1 | 0x14000000)
    file += struct.pack(order + "IIII", 5, 7, 4, 9) + more + b"data"
    (frame,) = read(file)
    assert (frame.time_ns, frame.data, frame.wire_length, frame.linktype) == (5 * 10**9 + 7 * scale, b"data", 9, 1)


def test_pcapng_times_follow_each_interface() -> None:
    file = section() + described(options=option(9, b"\x09")) + described(linktype=101)
    file += described(options=option(9, b"\x8a") + option(14, struct.pack("<q", 100)))
    file += packet(0, 1_000_000_001) + packet(1, 1_000_001) + packet(2, 1025)
    times = [(f.time_ns, f.linktype) for f in read(file)]
    assert times == [(1_000_000_001, 1), (1_000_001_000, 101), (101 * 10**9 + 10**9 // 1024, 1)]


def test_a_new_section_has_its_own_byte_order_and_interfaces() -> None:
    file = section("<") + described("<", options=option(9, b"\x09")) + packet(0, 5)
    file += section(">") + described(">", linktype=101) + packet(0, 5, order=">")
    first, second = read(file)
    assert (first.time_ns, first.linktype, second.time_ns, second.linktype) == (5, 1, 5000, 101)
    assert (first.interface.section, second.interface.section, second.number) == (0, 1, 2)


def test_every_block_with_a_packet_is_read_and_every_other_passed_over() -> None:
    old = block(2, struct.pack("<HHIIII", 0, 3, 0, 9, 4, 4) + b"old!")
    simple = block(3, struct.pack("<I", 6) + b"simple\0\0")
    others = b"".join(block(kind, b"12345678") for kind in (4, 5, 10, 0xBAD, 0x40000BAD, 0x7777))
    commented = (
        struct.pack("<IIIII", 0, 0, 1, 1, 1)
        + b"x\0\0\0"
        + option(1, b"one")
        + option(1, b"two")
        + option(2, b"\1\0\0\0")
    )
    file = section(length=1000) + described() + others + old + simple + block(6, commented + bytes(4)) + others
    found = list(read(file))
    assert [f.data for f in found] == [b"old!", b"simple", b"x"]
    assert (
        found[1].time_ns is None
        and found[2].comments == ("one", "two")
        and found[2].extras == Extras(("one", "two"), 1)
    )


def test_a_simple_packet_is_as_long_as_the_first_interface_keeps() -> None:
    file = section() + described(snaplen=4) + block(3, struct.pack("<I", 9) + b"four")
    (frame,) = read(file)
    assert (frame.data, frame.wire_length) == (b"four", 9)


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_cut_anywhere_a_file_gives_its_whole_frames_and_then_one_error(kind: str) -> None:
    out = io.BytesIO()
    Capture.of([Frame(DATA, i, comment="c" if kind == "pcapng" else None) for i in range(3)]).write(out, format=kind)
    whole = out.getvalue()
    ends = {len(whole)}
    counts = []
    for size in range(len(whole) + 1):
        capture = read(whole[:size], strict=False)
        counts.append(len(list(capture)))
        if not capture.faults:
            ends.add(size)
        with_error = read(whole[:size])
        try:
            seen = sum(1 for _ in with_error)
        except CaptureError:
            assert len(capture.faults) == 1
        else:
            assert seen == counts[-1] and not capture.faults
    assert counts == sorted(counts) and counts[-1] == 3 and len(ends) <= 3 + (1 if kind == "pcap" else 3)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (section() + packet(0, 1), "expected one of the 0 interfaces described, got 0"),
        (section() + struct.pack("<II", 6, 0) + bytes(20), "expected a block length of 12"),
        (section() + struct.pack("<II", 6, 0xFFFFFFF0) + bytes(20), "expected a block length of 12"),
        (section() + struct.pack("<III", 9, 12, 16), "block length 12 again at its end, got 16"),
        (section() + described(options=struct.pack("<HH", 2, 400)), "expected an option of 0 bytes at most, got 400"),
        (
            struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0, 1) + struct.pack("<IIII", 0, 0, 1 << 31, 1),
            "expected a record of",
        ),
        (b"neither", "expected a pcap or pcapng file, got one that begins with 6e 65 69 74"),
        (b"", "begins with nothing"),
    ],
)
def test_damage_is_reported_with_where_expected_and_got(damage: bytes, complaint: str) -> None:
    with pytest.raises(CaptureError, match=complaint):
        list(read(damage))


@given(
    st.sampled_from(
        [
            b"\xd4\xc3\xb2\xa1",
            b"\xa1\xb2\x3c\x4d",
            b"\x0a\x0d\x0d\x0a",
            section(),
            section() + described(),
            b"\x1f\x8b",
            b"\x28\xb5\x2f\xfd",
            b"\x04\x22\x4d\x18",
        ]
    ),
    st.binary(max_size=300),
)
@settings(max_examples=amount(50, 3000))
def test_hostile_bytes_give_frames_or_a_capture_error(head: bytes, rest: bytes) -> None:
    capture = read(head + rest, strict=False)
    for frame in capture:
        repr(frame)
        assert bytes(frame.packet()) == frame.data
    assert len(capture.faults) <= 1


@pytest.mark.parametrize("name", ["out.pcap.gz", "out.pcap.zst", "out.pcap.lz4"])
def test_a_packed_file_that_breaks_off_gives_what_was_unpacked(tmp_path: Path, name: str) -> None:
    import random

    noise = random.Random(1)
    Capture.of([Frame(noise.randbytes(1000), i) for i in range(500)]).write(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    capture = read(data[: len(data) * 2 // 3], strict=False)
    frames = list(capture)
    assert len(capture.faults) == 1 and 100 < len(frames) < 500


def test_gzip_of_several_members_is_one_stream() -> None:
    out = io.BytesIO()
    Capture.of([Frame(DATA, i) for i in range(9)]).write(out)
    data = out.getvalue()
    assert len(list(read(gzip.compress(data[:100]) + gzip.compress(data[100:])))) == 9


def test_a_pipe_is_read_as_it_comes_and_once() -> None:
    reading, writing = os.pipe()

    def fill() -> None:
        with open(writing, "wb") as file, Writer(file) as writer:
            for i in range(100):
                writer.write(Frame(DATA, i))

    thread = threading.Thread(target=fill)
    thread.start()
    with open(reading, "rb") as file:
        capture = Capture(file)
        assert [f.time_ns for f in capture] == list(range(100))
        with pytest.raises(CaptureError, match="a stream that was not read yet"):
            list(capture)
    thread.join()


def test_a_frame_is_there_as_soon_as_it_was_written() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as source, open(writing, "wb") as sink, Writer(sink) as writer:
        frames = None
        for i in range(3):
            writer.write(Frame(DATA, i))
            writer.flush()
            frames = frames or iter(Capture(source))
            assert next(frames).time_ns == i


@pytest.mark.slow
def test_memory_stays_flat_over_a_long_stream() -> None:
    class Endless(io.RawIOBase):
        def __init__(self) -> None:
            out = io.BytesIO()
            Capture.of([]).write(out, format="pcap")
            self.head, self.left = out.getvalue(), 100_000
            self.record = struct.pack("<IIII", 1, 2, len(DATA), len(DATA)) + DATA

        def read(self, size: int = -1) -> bytes:
            if self.head:
                head, self.head = self.head, b""
                return head
            count = min(self.left, 5000)
            self.left -= count
            return self.record * count

    tracemalloc.start()
    try:
        assert sum(1 for _ in Capture(Endless())) == 100_000
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_filters_slices_and_indices_are_lazy_and_agree() -> None:
    capture = Capture(CORPUS / "dodo_checksums.pcap")
    everything = list(capture)
    assert capture.count() == 172 == len(everything)
    with pytest.raises(TypeError, match="count"):
        len(capture)
    assert list(capture[10:20]) == everything[10:20] and list(capture[-3:]) == everything[-3:]
    assert capture[-1] == everything[-1] and capture[5] == everything[5]
    with pytest.raises(IndexError):
        capture[172]
    errors = capture.where(IDP(packet_type=3))
    assert [f.number for f in errors] == [9, 136] and errors[1].number == 136
    assert capture.where(IDP).where(lambda p: p[IDP].packet_type == 3).count() == 2
    for wrong in (7, int, Capture):
        with pytest.raises(TypeError, match="a pattern is"):
            capture.where(wrong)  # type: ignore[arg-type]


def test_a_capture_in_memory_grows() -> None:
    capture = Capture.of([])
    capture.append(Frame(DATA))
    assert len(capture) == 1 and capture[0].number == 1 and capture[0].packet()[UDP].dport == 9
    with pytest.raises(TypeError):
        Capture(CORPUS / "web.pcap").append(Frame(DATA))


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    mixed = Capture.of([Frame(DATA), Frame(DATA, linktype=101)])
    with pytest.raises(CaptureError, match="link type 1, got 101"):
        mixed.write(tmp_path / "out.pcap")
    with pytest.raises(CaptureError, match="a time between 1970"):
        Capture.of([Frame(DATA, -1)]).write(tmp_path / "out.pcapng")
    with pytest.raises(CaptureError, match="a readable file"):
        list(Capture(tmp_path / "none.pcap"))


@pytest.mark.slow
def test_an_empty_capture_is_a_valid_file(tmp_path: Path, tshark) -> None:
    for name in ("empty.pcap", "empty.pcapng"):
        assert Capture.of([]).write(tmp_path / name) == 0
        assert list(Capture(tmp_path / name)) == [] and tshark(tmp_path / name, "frame.number") == []


def test_a_fraction_of_a_second_and_more_is_reported() -> None:
    path = CORPUS / "timestamp_invalid_micro.pcap"
    for read in (lambda c: list(c), lambda c: list(c.batches()), lambda c: c.table("time_ns").read()):
        capture = Capture(path)
        read(capture)
        (remark,) = capture.faults
        assert "timestamp_invalid_micro.pcap, frame 2: expected fewer than 1000000 microseconds, got 1000000" in str(
            remark
        )
        assert "may be wrong" in remark.hint
    sound = Capture(CORPUS / "web.pcap")
    assert list(sound) and sound.faults == ()


def test_an_early_draft_of_pcapng_is_named(tmp_path: Path) -> None:
    head = struct.pack("<IIIHHq", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1) + struct.pack("<I", 28)
    path = tmp_path / "old.ntar"
    path.write_bytes(head + struct.pack("<II", 6, 33) + bytes(25))
    with pytest.raises(CaptureError, match=r"in fours, got 33 \(early drafts of pcapng .* tshark -r FILE -w NEW"):
        list(Capture(path))
