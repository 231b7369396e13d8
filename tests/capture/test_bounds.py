"""Captures made to cost much: what is read of them is linear in their bytes, and bounded where it is kept."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import pytest

from packetlab import ICMP, TCP, Capture, CaptureError, Ether, Frame, IPv4, Writer, exchanges
from packetlab.capture import Extras, InterfaceDescription
from packetlab.capture.files import pcapng
from packetlab.capture.files.blocks import MOST_NAMES, MOST_OPTIONS, Names
from tests.capture.test_formats import block, described, option, packet, read, section
from tests.growth import is_linear, peak, steps

COMMENT = option(1, b"word")


def commented(count: int = 1) -> bytes:
    """Return a packet block with as many comments."""
    return block(6, packet(0, 1)[8:-4] + count * COMMENT)


def in_batches(file: bytes) -> list[int]:
    return [int(number) for batch in read(file).batches() for number in batch.numbers]


# Options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["section", "interface", "packet"])
@pytest.mark.parametrize("way", ["iter", "batches", "metadata", "blocks"])
def test_more_options_than_a_block_may_have_are_an_error_that_names_the_bound(where: str, way: str) -> None:
    many = (MOST_OPTIONS + 1) * option(99, b"")
    head = block(0x0A0D0D0A, section()[8:-4] + many) if where == "section" else section()
    head += described(options=many if where == "interface" else b"")
    file = head + packet(0, 1) + (block(6, packet(0, 2)[8:-4] + many) if where == "packet" else b"")
    with pytest.raises(CaptureError, match=f"{MOST_OPTIONS} options of a block at most"):
        list(
            {"iter": read(file), "batches": read(file).batches(), "metadata": read(file).metadata()}.get(
                way, read(file)
            )
        )


def test_as_many_options_as_a_block_may_have_are_read_and_written_back() -> None:
    file = section() + described() + commented(MOST_OPTIONS)
    out = io.BytesIO()
    assert read(file).where(lambda packet: True).write(out) == 1
    (frame,) = read(out.getvalue())
    assert len(frame.comments) == MOST_OPTIONS


def test_a_writer_refuses_what_no_reader_takes_back() -> None:
    writer = Writer(io.BytesIO())
    with pytest.raises(CaptureError, match=f"{MOST_OPTIONS} comments"):
        writer.write(Frame(b"data", extras=Extras(("word",) * (MOST_OPTIONS + 1))))
    assert writer.count == 0


@pytest.mark.slow
def test_comments_on_every_packet_cost_batches_as_much_as_any_others() -> None:
    is_linear(in_batches, lambda count: section() + described() + commented() * count, 150)
    is_linear(in_batches, lambda count: section() + described() + (commented() + packet(0, 1)) * count, 150)


@pytest.mark.parametrize("run", [1, 2, 3, 7, 100])
def test_batches_find_every_packet_wherever_other_blocks_stand_between_them(run: int) -> None:
    file = section() + described() + (packet(0, 5) * run + commented() + block(0x7777, b"abcd") + commented()) * 30
    assert in_batches(file) == [frame.number for frame in read(file)] == list(range(1, 30 * (run + 2) + 1))


# Small blocks ----------------------------------------------------------------------------------------------------

SMALL = {  # what is repeated, and how many steps one takes at most
    "sections": (section() + described(), 60),
    "sections of a packet": (section() + described() + packet(0, 1), 300),
    "sections of many packets": (section() + described() + packet(0, 1) * 20, 4000),
    "statistics": (block(5, bytes(12)), 20),
    "custom": (block(0xBAD, bytes(4)), 20),
    "unknown": (block(0x777, b""), 20),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("way", [lambda file: list(read(file)), in_batches], ids=["iter", "batches"])
def test_small_blocks_cost_as_many_steps_as_there_are_and_few(kind: str, way: Any) -> None:
    def make(count: int) -> bytes:
        return section() + described() + small * count + packet(0, 1)

    small, most = SMALL[kind]
    is_linear(way, make, 60)
    way(make(1))
    each = (steps(lambda: way(make(150))) - steps(lambda: way(make(50)))) / 100
    assert each < most


def test_small_sections_go_together_in_one_batch() -> None:
    file = (section() + described() + packet(0, 1)) * 1000
    assert len(list(read(file).batches())) <= 3  # as many as it is read in pieces


def test_batches_of_many_sections_are_the_frames_of_iteration() -> None:
    file = b""
    for number in range(200):
        order, count = "<>"[number // 3 % 2], (1, 0, 3, 100)[number % 4]
        file += section(order) + described(order, 1 + number % 2, option(9, b"\x09", order) if number % 5 else b"")
        file += block(5, bytes(12), order) + described(order, 101, option(9, b"\x88", order))  # 2^-8 s
        file += b"".join(packet(i % 2 if number % 3 else 0, number << 8 | i, b"d" * i, order) for i in range(count))
    once = list(read(file))
    assert len(once) == 200 // 4 * 104 and len({frame.interface for frame in once}) > 200
    assert [frame for batch in read(file).batches() for frame in batch] == once


@pytest.mark.parametrize("way", [lambda file: list(read(file)), in_batches], ids=["iter", "batches"])
def test_damage_behind_many_small_blocks_is_named_where_it_is(way: Any) -> None:
    whole = section() + described() + block(5, bytes(12)) * 9 + (section() + described()) * 9
    for bad, expected in (
        (b"\7\0\0\0\x0d\0\0\0" + bytes(8), "in fours"),
        (block(7, b"word")[:-4] + bytes(4), "again at its end"),
        (described()[:-4] + bytes(4), "again at its end"),
        (section()[:-4] + bytes(4), "again at its end"),
        (block(7, b"word")[:-1], "of 16 bytes"),
        (packet(1, 1), "one of the 1 interfaces"),
    ):
        with pytest.raises(CaptureError, match=rf"block at byte {len(whole)}|byte {len(whole)}") as caught:
            way(whole + bad)
        assert expected in str(caught.value)


# Interfaces ------------------------------------------------------------------------------------------------------


def each_its_own(count: int) -> bytes:
    """Return a file in which every packet has an interface described before it."""
    return section() + b"".join(described(linktype=1 + i % 2) + packet(i, i) for i in range(count))


@pytest.mark.slow
@pytest.mark.parametrize(
    "work",
    [
        in_batches,
        lambda file: list(read(file)),
        lambda file: read(file).table("time_ns", "linktype", "ipv4.src").read(),
    ],
    ids=["batches", "iter", "table"],
)
def test_an_interface_a_packet_costs_as_much_each(work: Any) -> None:
    is_linear(work, each_its_own, 100)


def test_a_batch_has_the_interfaces_of_its_frames_only() -> None:
    file = section() + b"".join(described(linktype=i) for i in range(9)) + packet(7, 1) + packet(2, 1) + packet(7, 3)
    (batch,) = read(file).batches()
    assert [(one.linktype, one.number) for one in batch.interfaces] == [(2, 2), (7, 7)]
    assert list(batch) == list(read(file))
    assert [frame.interface.number for frame in batch] == [7, 2, 7]


def test_a_section_may_have_so_many_interfaces_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcapng, "MOST_INTERFACES", 8)
    file = section() + described() * 8 + packet(7, 1)
    assert len(list(read(file + file))) == 2
    for frames in (read(file + described() + packet(8, 1)), read(file + described()).batches()):
        with pytest.raises(CaptureError, match="8 interfaces of a section at most"):
            list(frames)
    assert read(file + described(), strict=False).count() == 1


def test_descriptions_of_interfaces_are_kept_up_to_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcapng, "DESCRIBED", 100_000)
    file = section() + described(options=100 * option(99, b"")) * 20
    with pytest.raises(CaptureError, match="100000 bytes in a section at most"):
        list(read(file))
    many = file * 40
    assert peak(lambda: list(read(many, strict=False))) < 300_000


def test_times_of_many_clocks_are_the_same_in_batches() -> None:
    clocks = [option(9, bytes([digit])) + option(14, offset.to_bytes(8, "little", signed=True))
              for digit in (0, 3, 6, 9, 0x8A, 12) for offset in (0, 5, -5, 1 << 62, -(1 << 62))]  # fmt: skip
    file = section() + b"".join(described(options=clock) for clock in clocks)
    file += b"".join(packet(i, ticks) for i in range(len(clocks)) for ticks in (0, 1, 1 << 40, (1 << 64) - 1))
    one_by_one = [frame.time_ns for frame in read(file)]
    assert [frame.time_ns for batch in read(file).batches() for frame in batch] == one_by_one


# What else a file says -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_blocks_are_reported_as_they_are_read() -> None:
    file = section() + described() + block(0xBAD, b"\1\0\0\0") * 20_000
    assert peak(lambda: sum(1 for _ in read(file).metadata())) < 1_500_000
    assert sum(1 for _ in read(file).metadata()) == 20_002


def test_a_block_of_more_names_than_are_read_stays_a_block() -> None:
    def names(records: int, each: int) -> bytes:
        return block(4, option(1, b"\1\2\3\4" + b"ab\0" * each) * records + bytes(4))

    for records, each, kept in ((9, 9, True), (MOST_NAMES + 1, 0, False), (4, 20_000, False)):
        assert isinstance([*read(section() + described() + names(records, each)).metadata()][-1], Names) is kept


# In memory -------------------------------------------------------------------------------------------------------


ASK = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / ICMP(identifier=1, sequence=1)


def test_frames_in_memory_are_numbered_as_those_of_a_file(tmp_path: Path) -> None:
    memory = Capture.of([ASK, ASK, ASK])
    memory.write(tmp_path / "same.pcap")
    for capture in (memory, Capture(tmp_path / "same.pcap")):
        assert [frame.number for frame in capture] == [1, 2, 3]
        assert list(capture.table("number")["number"]) == [1, 2, 3]
        assert [frame.number for frame in capture.where(ICMP)[1:]] == [2, 3]
        assert [datagram.parts for datagram in capture.datagrams()] == [(1,), (2,), (3,)]
        (query,) = exchanges(capture)
        assert (query.request.number, [frame.number for frame in query.repeats]) == (1, [2, 3])


def test_a_frame_that_is_put_into_a_capture_stays_as_it_is() -> None:
    mine = Frame(b"data", number=7)
    capture = Capture.of([Frame(b"first"), mine])
    capture.append(mine)
    assert [frame.number for frame in capture] == [1, 2, 3]
    assert mine.number == 7
    assert capture[1] == mine


def test_streams_name_the_frames_that_they_were_made_of() -> None:
    def segment(flags: int, seq: int, data: bytes = b"") -> Any:
        return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=9, dport=80, flags=flags, seq=seq) / data

    (stream,) = Capture.of([ASK, segment(2, 1), segment(16, 2, b"one"), segment(16, 2, b"one")]).streams()
    assert (stream.first, stream.last) == (2, 4)
    assert [str(event) for event in stream.events] == ["frame 4: client retransmission, 3 bytes at 0"]


# Elsewhere -------------------------------------------------------------------------------------------------------


def test_a_capture_pickles(tmp_path: Path) -> None:
    memory = Capture.of([Frame(bytes(ASK), 5, comment="one", interface=InterfaceDescription(1, name="eth0")), ASK])
    memory.write(tmp_path / "file.pcapng")
    file = Capture(tmp_path / "file.pcapng", strict=False)
    for capture in (
        memory,
        file,
        file.where(ICMP),
        file[1:],
        memory.rewrite(ttl=3),
        read((tmp_path / "file.pcapng").read_bytes()),
    ):
        again = pickle.loads(pickle.dumps(capture))
        assert list(again) == list(capture)
        assert [frame.number for frame in again] == [frame.number for frame in capture]
        assert (again.name, again.strict) == (capture.name, capture.strict)
    assert pickle.loads(pickle.dumps(file)).blocks()
    assert pickle.loads(pickle.dumps(Capture(tmp_path / "file.pcapng", follow=2.5)))._following.silence == 2.5


def test_a_stream_that_is_read_once_says_that_it_does_not_pickle() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(TypeError, match="read once cannot be pickled"):
        pickle.dumps(Capture(Pipe(section())))


def test_steps_are_counted() -> None:
    assert steps(lambda: [len("x") for _ in range(100)]) > 100


def test_frames_one_at_a_time_hold_a_few_mib_whatever_the_file_has(tmp_path: Path) -> None:
    frames = [Frame(bytes(1000), n) for n in range(9000)]
    Capture.of(frames[:3000]).write(tmp_path / "small.pcap")
    Capture.of(frames).write(tmp_path / "large.pcap")
    small, large = (
        peak(lambda name=name: sum(1 for _ in Capture(tmp_path / name))) for name in ("small.pcap", "large.pcap")
    )
    assert large < small + 200_000 and large < 6_000_000
