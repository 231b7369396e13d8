"""Nothing is lost: copies of pcapng files, options, other blocks, the file being read, faults of parts."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest

from packetlab.capture import Block, Capture, Extras, Frame, InterfaceDescription, Writer
from packetlab.errors import CaptureError
from tests.capture.test_formats import block, described, option, packet, read, section
from tests.conftest import CORPUS

PCAPNG = sorted(p for p in CORPUS.glob("*.pcapng") if p.name[0] in "blt")


@pytest.mark.parametrize("path", PCAPNG, ids=lambda p: p.name)
def test_a_copy_of_a_pcapng_file_is_the_same_bytes(path: Path, tmp_path: Path) -> None:
    count = Capture(path).write(tmp_path / "copy.pcapng")
    assert (tmp_path / "copy.pcapng").read_bytes() == path.read_bytes()
    assert count == Capture(path).count()


@pytest.mark.parametrize("path", PCAPNG, ids=lambda p: p.name)
def test_blocks_are_the_file_one_by_one(path: Path) -> None:
    assert b"".join(bytes(one) for one in Capture(path).blocks()) == path.read_bytes()


def test_blocks_of_every_kind_are_there_as_they_stand() -> None:
    file = section(">") + block(0x7777, b"unknown!", ">") + described(">") + block(10, b"key log ", ">")
    found = list(read(file).blocks())
    assert [one.kind for one in found] == [0x0A0D0D0A, 0x7777, 1, 10]
    assert found[1] == Block(0x7777, b"unknown!", big_endian=True, section=0)


def test_blocks_are_refused_where_there_are_none() -> None:
    with pytest.raises(CaptureError, match="expected a pcapng file"):
        list(Capture(CORPUS / "web.pcap").blocks())
    with pytest.raises(CaptureError, match="a whole pcapng file"):
        Capture.of([]).blocks()


def test_a_copy_of_a_cut_file_has_its_whole_blocks(tmp_path: Path) -> None:
    whole = section() + described() + packet(0, 1)
    with pytest.raises(CaptureError):
        read(whole + packet(0, 2)[:-1]).write(tmp_path / "copy.pcapng")
    assert (tmp_path / "copy.pcapng").read_bytes() == whole


def test_chosen_frames_keep_their_interfaces_and_options(tmp_path: Path) -> None:
    capture = Capture(CORPUS / "le_test009.pcapng")
    assert capture[:].write(tmp_path / "out.pcapng") == 2
    for mine, theirs in zip(Capture(tmp_path / "out.pcapng"), capture, strict=True):
        kept = tuple(one for one in theirs.extras.options if one[0] not in (19372, 19373))  # not to be copied
        assert mine.extras == theirs.extras._replace(options=kept)
        assert (mine.data, mine.time_ns, mine.wire_length) == (theirs.data, theirs.time_ns, theirs.wire_length)
        assert mine.interface.options == theirs.interface.options and mine.interface.name == theirs.interface.name


def test_tshark_sees_the_flags_drops_and_names_that_we_write(tmp_path: Path, tshark) -> None:
    extras = Extras(("why",), 0x48000000, 12345, 7)
    frame = Frame(
        bytes(60),
        1_700_000_000 * 10**9 + 1,
        interface=InterfaceDescription(name="eth7", description="d"),
        extras=extras,
    )
    Capture.of([frame]).write(tmp_path / "out.pcapng")
    fields = ("interface_name", "interface_description", "comment", "packet_flags", "drop_count", "packet_id")
    (row,) = tshark(tmp_path / "out.pcapng", *(f"frame.{field}" for field in fields), "frame.time_epoch")
    assert row == ["eth7", "d", "why", "0x48000000", "12345", "7", "1700000000.000000001"]


def test_flags_drops_ids_and_hashes_are_reported_and_kept() -> None:
    options = option(1, b"c", ">") + option(2, b"\x48\0\0\0", ">") + option(4, struct.pack(">Q", 12345), ">")
    options += option(5, struct.pack(">Q", 7), ">") + option(3, b"\x02hash", ">") + option(6, b"\0\0\0\x05", ">")
    body = struct.pack(">IIIII", 0, 0, 1, 1, 1) + b"x\0\0\0" + options + bytes(4)
    (frame,) = read(section(">") + described(">") + block(6, body, ">"))
    assert (frame.flags, frame.drop_count, frame.packet_id, frame.comment) == (0x48000000, 12345, 7, "c")
    assert frame.extras.options == ((3, b"\x02hash"), (6, b"\x05\0\0\0"))  # the queue number as little-endian
    out = io.BytesIO()
    Capture.of([frame]).write(out)
    assert list(read(out.getvalue())) == [frame]


def test_the_drop_count_of_the_old_block_is_reported_unless_unknown() -> None:
    blocks = [block(2, struct.pack("<HHIIII", 0, drops, 0, 9, 4, 4) + b"old!") for drops in (3, 0xFFFF)]
    assert [f.drop_count for f in read(section() + described() + b"".join(blocks))] == [3, None]


@pytest.mark.parametrize("order", ["<", ">"])
def test_what_an_interface_says_of_itself_is_kept(order: str) -> None:
    speed = option(8, struct.pack(order + "Q", 10**9), order)
    options = option(13, b"\x04", order) + speed + option(12, b"os", order)
    (frame,) = read(section(order) + described(order, options=options) + packet(0, 1, order=order))
    assert frame.interface.fcs_length == 4
    assert frame.interface.options == ((8, struct.pack("<Q", 10**9)), (12, b"os"))


def test_pcap_says_the_length_of_the_frame_check_sequence() -> None:
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1 | 1 << 26 | 2 << 28)
    (frame,) = read(head + struct.pack("<IIII", 0, 0, 1, 1) + b"x")
    assert (frame.linktype, frame.interface.fcs_length) == (1, 4)
    out = io.BytesIO()
    Capture.of([frame]).write(out, format="pcap")
    assert next(iter(read(out.getvalue()))).interface.fcs_length == 4


def test_custom_options_not_to_be_copied_stay_behind() -> None:
    # 2988 may be copied to a changed file, 19372 must not (pcapng section 3.5.1).
    interface = InterfaceDescription(options=((2988, b"\1\0\0\0yes"), (19372, b"\1\0\0\0no")))
    out = io.BytesIO()
    Capture.of([Frame(b"x", interface=interface)]).write(out)
    assert next(iter(read(out.getvalue()))).interface.options == ((2988, b"\1\0\0\0yes"),)


def test_a_frame_without_a_time_stays_so_on_the_first_interface() -> None:
    frames = [Frame(b"four", None, wire_length=9, interface=InterfaceDescription(snaplen=4)), Frame(b"x", None)]
    out = io.BytesIO()
    Capture.of(frames).write(out)
    # The second is of another interface, where pcapng has no block without a time.
    assert [(f.data, f.time_ns, f.wire_length) for f in read(out.getvalue())] == [(b"four", None, 9), (b"x", 0, 1)]


@pytest.mark.parametrize("part", [lambda c: c, lambda c: c[1:], lambda c: c.where(lambda p: True)[:2]])
def test_the_file_being_read_is_never_overwritten(tmp_path: Path, part) -> None:
    path = tmp_path / "own.pcap"
    Capture.of([Frame(b"x", i) for i in range(5)]).write(path)
    before = path.read_bytes()
    (tmp_path / "link.pcap").symlink_to(path)
    for target in (path, tmp_path / "link.pcap"):
        with pytest.raises(CaptureError, match="another file than the one being read"):
            part(Capture(path)).write(target)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        (Frame(b"x", comment="c" * 70_000), "65535 bytes at most"),
        (Frame(b"x", wire_length=1 << 33), "a wire length of 32 bits"),
        (Frame(b"x", wire_length=-1), "a wire length of 32 bits"),
        (Frame(b"x", linktype=1 << 17), "a link type of 16 bits"),
        (Frame(b"x", interface=InterfaceDescription(fcs_length=99)), "0 to 15 bytes"),
        (Frame(b"x", interface=InterfaceDescription(snaplen=1 << 40)), "numbers that fit pcapng"),
    ],
)
def test_what_fits_no_field_is_a_capture_error_and_leaves_a_whole_file(frame: Frame, complaint: str) -> None:
    out = io.BytesIO()
    with pytest.raises(CaptureError, match=complaint), Writer(out) as writer:
        writer.write(Frame(b"before"))
        writer.write(frame)
    assert [f.data for f in read(out.getvalue())] == [b"before"]


def test_half_a_surrogate_pair_in_a_comment_is_written_escaped() -> None:
    out = io.BytesIO()
    Capture.of([Frame(b"x", comment="\ud800")]).write(out)
    assert next(iter(read(out.getvalue()))).comment == "\\ud800"


def test_hostile_texts_are_escaped_where_a_frame_is_shown() -> None:
    shown = repr(Frame(b"x", comment="\x1b[2J\n")) + repr(InterfaceDescription(name="\x1b]0;"))
    assert "\x1b" not in shown and "\n" not in shown


def test_faults_of_the_file_are_reported_by_its_parts() -> None:
    part = Capture(CORPUS / "truncated_dns_2.pcap", strict=False)[0:].where(lambda packet: True)
    assert len(list(part)) == 1 and len(part.faults) == 1


def test_versions_that_nobody_wrote_are_refused() -> None:
    with pytest.raises(CaptureError, match="version 1.0, got 1.1"):
        list(read(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 1, -1))))
    assert list(read(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 2, -1)))) == []
    with pytest.raises(CaptureError, match="pcap version 2, got 3.0"):
        list(read(struct.pack("<IHHiIII", 0xA1B2C3D4, 3, 0, 0, 0, 0, 1)))
