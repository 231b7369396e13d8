"""pcapng written in full: sections, interfaces, names, statistics, secrets, custom data; judged by other tools."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import warnings
from pathlib import Path

import dpkt
import pytest
from hypothesis import given, strategies as st

from packetlab import IDP, U8, UDP, Capture, CaptureError, Ether, Frame, Header, IPv4, Writer
from packetlab.capture import Block, Custom, Extras, InterfaceDescription, Names, Secrets, Section, Statistics
from tests.capture.test_formats import block, described, option, packet, read, section
from tests.conftest import CORPUS, need

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.utils import RawPcapNgReader

DATA = bytes(Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(dport=9) / b"payload")
MOMENT = 1_700_000_000_123_456_789
ETH0 = InterfaceDescription(
    name="eth0", description="the first", options=((8, struct.pack("<Q", 10**9)), (12, b"Linux"))
)
ETH1 = InterfaceDescription(101, name="tun0")
HEAD = Section(("about it all", "and more"), "a machine", "a system", "a program")


def run(*command: str | Path) -> str:
    need(str(command[0]))
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=True, env=environment
    ).stdout


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A file with everything in it that we write, but for custom blocks (tshark numbers these as frames)."""
    path = tmp_path / "full.pcapng"
    with Writer(path, section=HEAD) as writer:
        writer.interface(ETH0)
        writer.interface(ETH1)
        writer.names({"10.0.0.1": "alice", "2001:db8::1": "bob", "02:00:00:00:00:07": "card"})
        writer.secrets("tls", "CLIENT_RANDOM 00 11\n")
        writer.write(Frame(DATA, MOMENT, interface=ETH0, comment=("one", "two")))
        extras = Extras((), 0x2, 3, 77, ((3, b"\x03abcd"), (6, struct.pack("<I", 5)), (7, b"\x01" + bytes(8))))
        writer.write(Frame(DATA[14:], MOMENT + 1, interface=ETH1, extras=extras))
        writer.statistics(ETH0, time_ns=MOMENT + 9, start_ns=MOMENT, end_ns=MOMENT + 8, received=1000, dropped=17)
        writer.statistics(ETH1, time_ns=MOMENT + 9, received=5, dropped=0, accepted=4, os_dropped=1, delivered=3)
    return path


def test_what_was_written_is_reported_again(full: Path) -> None:
    head, eth0, eth1, names, secrets, first, second = Capture(full).metadata()
    assert head == HEAD
    assert isinstance(eth0, InterfaceDescription) and (eth0.name, eth0.options) == ("eth0", ETH0.options)
    assert isinstance(eth1, InterfaceDescription) and (eth1.name, eth1.linktype, eth1.number) == ("tun0", 101, 1)
    assert names == Names((("10.0.0.1", ("alice",)), ("2001:db8::1", ("bob",)), ("02:00:00:00:00:07", ("card",))))
    assert secrets == Secrets("tls", b"CLIENT_RANDOM 00 11\n")
    assert first == Statistics(eth0, MOMENT + 9, MOMENT, MOMENT + 8, 1000, 17)
    assert second == Statistics(eth1, MOMENT + 9, None, None, 5, 0, 4, 1, 3)
    assert [frame.interface.name for frame in Capture(full)] == ["eth0", "tun0"]


def test_capinfos_tells_the_section_and_the_interfaces(full: Path) -> None:
    reported = run("capinfos", full)
    for line in (
        "Number of packets:   2",
        "Capture hardware:    a machine",
        "Capture oper-sys:    a system",
        "Capture application: a program",
        "Capture comment:     about it all",
        "Capture comment:     and more",
        "Name = eth0",
        "Description = the first",
        "Operating system = Linux",
        "Name = tun0",
        "Encapsulation = Raw IP (7",
        "Number of stat entries = 1",
        "Number of resolved IPv4 addresses in file: 1",
        "Number of decryption secrets in file: 1",
    ):
        assert line in reported, line


@pytest.mark.slow
def test_tshark_resolves_our_names_and_counts_our_drops(full: Path, tshark) -> None:
    shown = run(
        "tshark",
        "-r",
        full,
        "-N",
        "n",
        "-T",
        "fields",
        "-e",
        "ip.src_host",
        "-e",
        "frame.comment",
        "-e",
        "frame.interface_name",
    )
    assert [line.split("\t") for line in shown.splitlines()] == [["alice", "one,two", "eth0"], ["alice", "", "tun0"]]
    # As records of the file format itself.
    fields = ("pcapng.block.type", "pcapng.options.option.code")
    rows = [row[0] for row in tshark(full, *fields, options=("-X", "read_format:MIME Files Format"))]
    assert [int(kind, 16) for kind in rows[0].split(",")] == [0x0A0D0D0A, 1, 1, 4, 10, 6, 6, 5, 5]


def test_editcap_keeps_and_rewrites_it(full: Path, tmp_path: Path) -> None:
    run("editcap", full, tmp_path / "again.pcapng")
    again = list(Capture(tmp_path / "again.pcapng").metadata())
    assert again[0] == HEAD and Secrets("tls", b"CLIENT_RANDOM 00 11\n") in again
    assert [(one.name, one.linktype) for one in again if isinstance(one, InterfaceDescription)] == [
        ("eth0", 1),
        ("tun0", 101),
    ]
    assert [f.data for f in Capture(tmp_path / "again.pcapng")] == [DATA, DATA[14:]]
    assert [f.comments for f in Capture(tmp_path / "again.pcapng")][0] == ("one", "two")


def test_tcpdump_scapy_and_dpkt_read_a_file_with_everything_in_it(full: Path, tmp_path: Path) -> None:
    with open(full, "rb") as file:
        assert [data for _, data in dpkt.pcapng.Reader(file)] == [DATA, DATA[14:]]
    with RawPcapNgReader(str(full)) as theirs:
        assert [data for data, _ in theirs] == [DATA, DATA[14:]]
    one = tmp_path / "one.pcapng"  # libpcap wants one link type in a file
    with Writer(one, section=HEAD) as writer:
        writer.custom(32473, b"mine")
        writer.names({"10.0.0.1": "alice"})
        writer.write(Frame(DATA, MOMENT))
        writer.statistics(Frame(b"").interface, received=1)
    assert "10.0.0.1" in run("tcpdump", "-nr", one)


def test_custom_data_and_other_blocks_are_written_as_given() -> None:
    out = io.BytesIO()
    with Writer(out) as writer:
        writer.comment("first words")
        writer.custom(32473, b"four")
        writer.custom(32473, b"fives", copy=False)
        writer.block(Block(0x7777, b"12345678"))
    notes = list(read(out.getvalue()).metadata())
    assert notes == [
        Section(("first words",)), Custom(32473, b"four"), Custom(32473, b"fives\0\0\0", copy=False), Block(0x7777, b"12345678"),
    ]  # fmt: skip


@pytest.mark.parametrize("order", ["<", ">"])
def test_notes_are_read_in_either_byte_order(order: str) -> None:
    names = struct.pack(order + "HH", 1, 10) + b"\x0a\0\0\1alice\0" + bytes(2) + bytes(4)
    statistics = struct.pack(order + "III", 0, 0, 5_000_000) + option(4, struct.pack(order + "Q", 9), order) + bytes(4)
    secrets = struct.pack(order + "II", 0x544C534B, 3) + b"key\0"
    custom = struct.pack(order + "I", 77) + b"data"
    file = section(order) + described(order, options=option(9, b"\x06", order))
    file += (
        block(4, names, order) + block(5, statistics, order) + block(10, secrets, order) + block(0xBAD, custom, order)
    )
    notes = list(read(file).metadata())[2:]
    assert notes[0].entries[0][0] == "10.0.0.1" and notes[1].received == 9 and notes[1].time_ns == 5_000_000_000
    assert notes[2:] == [Secrets("tls", b"key"), Custom(77, b"data")]


def test_what_is_not_what_it_says_stays_a_block_and_the_frames_are_read() -> None:
    damaged = [
        (4, b"\1\0\xff\xff"),
        (5, b"\0\0\0\x09" + bytes(8)),
        (5, b""),
        (10, b"\0\0\0\0\xff\xff\0\0"),
        (0xBAD, b""),
    ]
    file = section() + described() + b"".join(block(kind, body) for kind, body in damaged) + packet(0, 7)
    assert list(read(file).metadata())[2:] == [Block(kind, body) for kind, body in damaged]
    out = io.BytesIO()
    assert read(file)[:].write(out) == 1


def test_notes_are_refused_where_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="expected a pcapng file"):
        list(Capture(CORPUS / "web.pcap").metadata())
    with pytest.raises(CaptureError, match="a whole pcapng file"):
        Capture.of([]).metadata()
    with Writer(tmp_path / "a.pcap") as writer:
        for what in (
            lambda: writer.names({}),
            lambda: writer.statistics(ETH0),
            lambda: writer.comment("x"),
            lambda: writer.custom(1, b""),
        ):
            with pytest.raises(CaptureError, match="pcapng to hold .*, got pcap"):
                what()
    with pytest.raises(CaptureError, match="pcapng to hold a section's words"):
        Writer(tmp_path / "b.pcap", section=HEAD)
    assert not (tmp_path / "b.pcap").exists()


def test_what_fits_no_block_is_a_capture_error_and_leaves_a_whole_file() -> None:
    out = io.BytesIO()
    with Writer(out) as writer:
        for what, complaint in (
            (lambda: writer.names({"nowhere": "x"}), "an IP or a MAC address"),
            (lambda: writer.statistics(ETH0, recieved=3), "did you mean 'received'"),
            (lambda: writer.statistics(ETH0, received=-1), "numbers that fit pcapng"),
            (lambda: writer.secrets("abacus", b""), "secrets: a number or one of tls"),
            (lambda: writer.custom(1 << 40, b""), "numbers that fit pcapng"),
            (lambda: writer.block(Block(6, b"1234")), "a block without a frame"),
            (lambda: writer.block(Block(0x7777, b"1234", big_endian=True)), "little-endian"),
        ):
            with pytest.raises(CaptureError, match=complaint):
                what()
        writer.write(Frame(DATA))
        with pytest.raises(CaptureError, match="before the first frame"):
            writer.comment("late")
    assert [frame.data for frame in read(out.getvalue())] == [DATA]


def test_hashes_queues_and_verdicts_of_frames_have_names(tmp_path: Path, tshark) -> None:
    said = Extras.of(
        "one", "two", flags=1, drop_count=2, packet_id=3, hashes=[(3, b"md5!"), (2, b"crc!")], queue=5,
        verdicts=[(1, bytes(8)), (2, (7).to_bytes(8, "little"))],
    )  # fmt: skip
    Capture.of([Frame(DATA, 1, extras=said)]).write(tmp_path / "said.pcapng")
    (frame,) = Capture(tmp_path / "said.pcapng")
    assert frame.extras == said and frame.extras.comments == ("one", "two")
    assert (frame.extras.hashes, frame.extras.queue) == (((3, b"md5!"), (2, b"crc!")), 5)
    assert frame.extras.verdicts == ((1, bytes(8)), (2, (7).to_bytes(8, "little")))
    assert Extras().queue is None and Extras(options=((3, b""), (6, b"x"))).hashes == ()
    fields = ("frame.comment", "frame.packet_id", "frame.drop_count", "frame.interface_queue", "frame.verdict.ebpf_xdp")
    assert tshark(tmp_path / "said.pcapng", *fields) == [["one,two", "3", "2", "5", "7"]]


# Parts of a file -----------------------------------------------------------------------------------------------------


def with_custom(full: Path, tmp_path: Path) -> Path:
    """The same with custom blocks of both kinds after the names."""
    path = tmp_path / "custom.pcapng"
    with Writer(path) as writer:
        for one in Capture(full).blocks():
            writer.copy(bytes(one))
            if one.kind == 4:
                writer.copy(bytes(Block(0xBAD, struct.pack("<I", 32473) + b"kept")))
                writer.copy(bytes(Block(0x40000BAD, struct.pack("<I", 32473) + b"left")))
                writer.copy(bytes(Block(0x7777, b"unknown!")))
    return path


@pytest.mark.parametrize(
    "part", [lambda c: c[:], lambda c: c.where(UDP), lambda c: c.where(pcap="udp"), lambda c: c.where(UDP)[-2:]]
)
def test_chosen_frames_keep_what_the_file_says_besides(full: Path, tmp_path: Path, part) -> None:
    path = with_custom(full, tmp_path)
    out = tmp_path / "part.pcapng"
    count = part(Capture(path)).write(out)
    mine, theirs = list(Capture(out).metadata()), list(Capture(path).metadata())
    assert sorted(map(repr, mine)) == sorted(
        repr(n) for n in theirs if n not in (Custom(32473, b"left", copy=False), Block(0x7777, b"unknown!"))
    )
    assert list(Capture(out)) == list(Capture(path))[:count] and count in (1, 2)


def test_sections_of_a_file_stay_apart_in_its_parts(tmp_path: Path) -> None:
    file = section("<") + described("<", options=option(9, b"\x09")) + packet(0, 5)
    file += section(">") + described(">", linktype=101, options=option(9, b"\x09", ">")) + packet(0, 6, order=">")
    read(file)[:].write(tmp_path / "two.pcapng")
    first, second = Capture(tmp_path / "two.pcapng")
    assert (first.time_ns, second.time_ns, first.linktype, second.linktype) == (5, 6, 1, 101)
    assert (first.interface.section, second.interface.section, second.interface.number) == (0, 1, 0)
    assert [one.big_endian for one in Capture(tmp_path / "two.pcapng").blocks()] == [False] * 6


def test_a_slice_has_what_stood_before_its_last_frame(full: Path, tmp_path: Path) -> None:
    assert Capture(full)[:1].write(tmp_path / "one.pcapng") == 1
    kinds = [type(note) for note in Capture(tmp_path / "one.pcapng").metadata()]
    assert kinds == [Section, InterfaceDescription, InterfaceDescription, Names, Secrets]


def test_parts_of_the_corpus_read_as_they_did(tmp_path: Path) -> None:
    for path in sorted(p for p in CORPUS.glob("*.pcapng") if p.name[0] in "blt"):
        Capture(path)[:].write(tmp_path / "part.pcapng")
        for mine, theirs in zip(Capture(tmp_path / "part.pcapng"), Capture(path), strict=True):
            assert (mine.data, mine.time_ns or 0, mine.comments, mine.interface.name) == (
                theirs.data, theirs.time_ns or 0, theirs.comments, theirs.interface.name,
            )  # fmt: skip
        run("capinfos", tmp_path / "part.pcapng")
    assert Capture(CORPUS / "dodo_checksums.pcap").where(IDP(packet_type=3)).write(tmp_path / "errors.pcapng") == 2


texts = st.text(max_size=12).map(lambda s: s.replace("\0", "").encode("utf-8", "replace").decode())
counts = st.none() | st.integers(0, (1 << 64) - 1)
addresses = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str), st.binary(min_size=6, max_size=6).map(lambda b: b.hex(":")), st.binary(min_size=8, max_size=8).map(lambda b: b.hex("-")))  # fmt: skip
others = st.lists(st.tuples(st.sampled_from([2988, 2989, 9999]), st.binary(min_size=4, max_size=9)), max_size=2).map(
    tuple
)
comments = st.lists(texts, max_size=2).map(tuple)
notes = st.one_of(
    st.builds(Section, comments, texts, texts, texts, others),
    st.builds(
        Names,
        st.lists(st.tuples(addresses, st.lists(texts.filter(bool), max_size=2).map(tuple)), max_size=3).map(tuple),
        comments,
        texts,
        others,
        st.just(()),
    ),
    st.builds(
        Statistics,
        st.just(InterfaceDescription(name="x")),
        st.integers(0, (1 << 64) - 1),
        counts,
        counts,
        counts,
        counts,
        counts,
        counts,
        counts,
        comments,
        others,
    ),
    st.builds(Secrets, st.sampled_from(["tls", "ssh", 12345]), st.binary(max_size=20), comments, others),
    st.builds(Custom, st.integers(0, (1 << 32) - 1), st.binary(max_size=5).map(lambda b: b * 4), st.booleans()),
)


@pytest.mark.slow
@given(st.lists(notes, max_size=5))
def test_notes_come_back_as_they_were_written(some: list) -> None:
    out = io.BytesIO()
    with Writer(out) as writer:
        writer.section(Section())
        for one in some:
            if isinstance(one, Custom):
                writer.custom(one.pen, one.data, copy=one.copy)
            else:
                writer.write_block(one)
    back = [note for note in read(out.getvalue()).metadata() if not isinstance(note, InterfaceDescription)]
    plain = [
        n._replace(interface=n.interface._replace(section=0, number=0)) if isinstance(n, Statistics) else n
        for n in back
    ]
    assert plain == [Section(), *some]
    again = io.BytesIO()
    read(out.getvalue()).write(again)
    assert again.getvalue() == out.getvalue()


@given(
    st.sampled_from([4, 5, 9, 10, 0xBAD, 0x40000BAD]),
    st.binary(max_size=60).map(lambda b: b + bytes(-len(b) % 4)),
    st.sampled_from("<>"),
)
def test_hostile_blocks_are_reported_or_kept(kind: int, body: bytes, order: str) -> None:
    file = section(order) + described(order) + block(kind, body, order) + packet(0, 1, order=order)
    reported = list(read(file).metadata())
    assert len(reported) == 3
    repr(reported)
    out = io.BytesIO()
    assert read(file)[:].write(out) == 1 and read(out.getvalue()).count() == 1


def test_a_file_that_begins_with_names_is_taken_by_other_tools(tmp_path: Path) -> None:
    need("editcap")
    path = tmp_path / "names.pcapng"
    with Writer(path) as writer:
        writer.names({"10.0.0.1": "alice"})
        writer.custom(32473, b"kept")
        writer.write(Frame(bytes(60), 1))
    assert [type(note).__name__ for note in Capture(path).metadata()][1:] == ["InterfaceDescription", "Names", "Custom"]
    subprocess.run(["editcap", str(path), str(tmp_path / "again.pcapng")], check=True, capture_output=True)
    with Writer(tmp_path / "alone.pcapng") as writer:
        writer.names({"10.0.0.1": "alice"})
    assert Capture(tmp_path / "alone.pcapng").count() == 0
    assert [type(note).__name__ for note in Capture(tmp_path / "alone.pcapng").metadata()] == [
        "Section",
        "InterfaceDescription",
        "Names",
    ]


@pytest.mark.parametrize("resolution", [1, 1000, 10**6, 10**9, 10**10, 1 << 10, 1 << 20, 12345])
def test_the_resolution_of_an_interface_is_kept_and_so_is_every_time(tmp_path: Path, resolution: int) -> None:
    ticks = [0, 1, 1_700_000_000 * resolution, 1_700_000_000 * resolution + resolution // 3]
    interface = InterfaceDescription(1, name="eth0", resolution=resolution)
    frames = [Frame(b"x" * 20, tick * 10**9 // resolution, interface=interface) for tick in ticks]
    frames.append(Frame(b"y" * 20, 1_700_000_000_123_456_789, interface=interface))  # in no clock but the finest
    path = tmp_path / "kept.pcapng"
    Capture.of(frames).write(path)
    again = list(Capture(path))
    assert [frame.time_ns for frame in again] == [frame.time_ns for frame in frames]
    reported = {frame.interface.resolution for frame in again[:-1]}
    assert reported == ({resolution} if resolution != 12345 else {10**9})
    batches = tmp_path / "batches.pcapng"
    with Writer(batches) as writer:
        for batch in Capture(path).batches():
            writer.write_batch(batch)
    assert [(f.time_ns, f.interface.resolution) for f in Capture(batches)] == [
        (f.time_ns, f.interface.resolution) for f in again
    ]


@pytest.mark.slow
def test_microseconds_of_a_pcap_file_stay_microseconds_as_tshark_has_them(tmp_path: Path, tshark) -> None:
    path = tmp_path / "web.pcapng"
    Capture(CORPUS / "web.pcap").write(path)
    assert {frame.interface.resolution for frame in Capture(path)} == {10**6}
    ours = [row[0] for row in tshark(path, "frame.time_epoch")]
    assert ours == [row[0] for row in tshark(CORPUS / "web.pcap", "frame.time_epoch")]


@pytest.mark.parametrize("ending", [".pcap", ".pcapng"])
def test_frames_that_lie_as_far_apart_as_records_do_are_written_as_each_alone_is(tmp_path: Path, ending: str) -> None:
    frames = [Frame(bytes(range(size)), size * 10**9 + 7) for size in (60, 0, 61, 62, 63, 1)]
    one, two, three = (tmp_path / f"{name}{ending}" for name in ("one", "two", "three"))
    Capture.of(frames).write(one)
    with Writer(two) as whole, Writer(three) as single:
        for batch in Capture(one).batches():
            changed = batch.chosen(range(len(batch)))
            changed.times_ns = batch.times_ns + 10**9
            whole.write_batch(changed)
            for frame in changed:
                single.write(frame)
    assert two.read_bytes() == three.read_bytes() != one.read_bytes()
    assert [frame.data for frame in Capture(two)] == [frame.data for frame in frames]


def test_a_batch_that_lasts_stays_as_it_was_when_it_is_written(tmp_path: Path) -> None:
    """Only in a buffer that nobody else needs do record headers take the place of those that were read."""
    frames = [Frame(bytes([number]) * 60, number * 10**9 + 1000) for number in range(5)]
    with Writer(tmp_path / "a.pcap") as writer:
        for frame in frames:
            writer.write(frame)
    (batch,) = Capture(tmp_path / "a.pcap").batches()
    batch.times_ns += 7
    before = bytes(batch.data)
    with Writer(tmp_path / "b.pcap") as writer:
        writer.write_batch(batch)
    assert bytes(batch.data) == before
    for last in (False, True):
        with Writer(tmp_path / "c.pcap") as writer:
            for some in Capture(tmp_path / "b.pcap").rewrite(ttl=3).batches(lasting=last):
                writer.write_batch(some)
        assert [(one.data, one.time_ns) for one in Capture(tmp_path / "c.pcap")] == [
            (one.data, one.time_ns + 7) for one in frames
        ]


@pytest.mark.parametrize("name", ["a.pcap", "a.pcapng"])
def test_bytes_and_headers_of_no_link_have_the_writers_link_type(tmp_path: Path, name: str) -> None:
    class Own(Header):
        x: U8 = 7

    with Writer(tmp_path / name, linktype=201) as writer:
        writer.write(b"\1\2\3")
        writer.write(Own() / b"\5")
    assert [(frame.linktype, frame.data) for frame in Capture(tmp_path / name)] == [(201, b"\1\2\3"), (201, b"\7\5")]
    with Writer(tmp_path / f"more{name}") as writer:
        writer.write(b"\1\2\3")
        writer.write(Ether() / IPv4())
    assert [frame.linktype for frame in Capture(tmp_path / f"more{name}")] == [1, 1]
    if name.endswith("ng"):
        with Writer(tmp_path / name, linktype=201) as writer:
            for packet in (b"\1", Ether() / IPv4(), IPv4() / b"", Frame(b"\2", linktype=147)):
                writer.write(packet)
        assert [frame.linktype for frame in Capture(tmp_path / name)] == [201, 1, 101, 147]
    else:
        with Writer(tmp_path / name, linktype=201) as writer, pytest.raises(CaptureError, match="frames of link type 201, got 1"):
            writer.write(b"\1")
            writer.write(Ether() / IPv4())
