"""Filters in libpcap's language: what tcpdump passes, we pass; and any program runs the same one by one and in bulk."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from packetlab import BuildError, Capture, Frame, IPv4, PacketlabError
from packetlab.bulk.batch import Batch
from packetlab.capture import loops
from packetlab.capture.batch import FrameBatch
from packetlab.capture.filters import bpf
from packetlab.capture.filters.bpf import PcapFilter
from packetlab.capture.filters.bpf_interpreter import (
    LOOP,
    MEMORY,
    Instruction,
    Instructions,
    columns,
    run,
    run_compiled,
)
from packetlab.cli import main
from tests.conftest import CORPUS, amount, need

EXPRESSIONS = (
    "ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "not ip", "tcp port 80", "udp port 53", "port 80 or port 53",
    "src port 80", "dst portrange 1-1023", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "tcp[13] == 2", "greater 500",
    "less 80", "len > 60 and len <= 1000", "host 10.0.0.1", "net 10.0.0.0/8", "src net 192.168.0.0/16 or net 141.142",
    "ip[6:2] & 0x1fff != 0", "ip[8] < 64", "ip6[6] == 0", "ip proto 47", "ip6 protochain 17", "vlan", "vlan and ip",
    "mpls", "pppoes", "ip broadcast", "ip6 multicast",  # "ip multicast" changed between libpcap 1.10.3 and 1.10.6
    "(udp or tcp) and not port 80",
    "tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420", "ip[2:2] - ((ip[0] & 15) << 2) > 100", "ip[0] * 3 % 7 == 2",
    "ip[4:2] ^ 5 | 1 >= 100",
)  # fmt: skip
ETHERNET_ALONE = ("ether host 00:b0:c2:86:ec:00", "ether[12:2] = 0x0600", "ether multicast", "llc")
FILES = sorted(path for path in CORPUS.iterdir() if path.suffix in (".pcap", ".pcapng"))


def tcpdumps(path: Path, expression: str) -> list[bytes] | None:
    """The frames that tcpdump passes, None where it refuses the expression or reads the file only in part."""
    done = subprocess.run(
        ["tcpdump", "-n", "-r", str(path), "-w", "-", *expression.split()], capture_output=True, check=False
    )
    if done.returncode or not done.stdout:
        return None
    import io

    return [frame.data for frame in Capture(io.BytesIO(done.stdout))]


@cache
def linktypes(path: Path) -> set[int] | None:
    """The link types of a capture, None where it is damaged."""
    capture = Capture(path, strict=False)
    found = {frame.linktype for frame in capture}
    return None if capture.faults else found


@pytest.mark.slow
def test_what_tcpdump_passes_passes() -> None:
    need("tcpdump")
    compared, passed, types = 0, 0, set()
    for number, path in enumerate(FILES):
        if linktypes(path) is None or len(linktypes(path) or ()) != 1:
            continue
        # Every expression meets every kind of link; to keep the number of programs down, files of one kind share them.
        new = not linktypes(path) <= types
        types |= linktypes(path) or set()
        some = EXPRESSIONS if new else EXPRESSIONS[number % 5 :: 5]
        for expression in (*some, *(ETHERNET_ALONE if linktypes(path) == {1} and new else ())):
            theirs = tcpdumps(path, expression)
            if theirs is None:
                continue
            ours = Capture(path).where(pcap=expression)
            assert [frame.data for frame in ours] == theirs, (path.name, expression)
            compared, passed = compared + 1, passed + len(theirs)
    assert compared > 350 and passed > 2000 and types >= {0, 1, 101, 113, 127, 229, 276}, (compared, passed)


@pytest.mark.parametrize(
    ("linktype", "before"),
    [(9, b"\xff\x03\0\x21"), (228, b""), (108, b"\0\0\0\2"), (50, b"\xff\3\0\x21"), (104, b"\x0f\0\x08\0"), (12, b"")],
)
def test_what_tcpdump_passes_on_other_links(linktype: int, before: bytes, tmp_path: Path) -> None:
    need("tcpdump")
    path = tmp_path / "some.pcap"
    packets = [frame.data[14:] for frame in Capture(CORPUS / "web.pcap")]
    packets += [frame.data for frame in Capture(CORPUS / "raw_ip.pcap")]
    Capture.of([Frame(before + packet, i, linktype) for i, packet in enumerate(packets)]).write(path)
    seen = 0
    for expression in ("ip", "tcp", "udp", "src port 80", "greater 500", "ip[8] > 60 and not udp", "tcp[13] & 2 != 0"):
        theirs = tcpdumps(path, expression)
        assert theirs is not None
        assert [frame.data for frame in Capture(path).where(pcap=expression)] == theirs
        seen += len(theirs)
    assert seen > 50


def test_one_by_one_in_bulk_and_compiled_give_the_same() -> None:
    for path in FILES[::4]:
        for batch in Capture(path, strict=False).batches():
            for expression in EXPRESSIONS[:20:3] + EXPRESSIONS[-5:]:
                test = PcapFilter(expression, None)
                if len(batch.interfaces) != 1:
                    continue
                program = test.program(batch.interfaces[0].linktype)
                one_by_one = [test(frame) for frame in batch]
                assert run_compiled(program, batch, batch.wire_sizes).tolist() == one_by_one
                assert test.mask(batch).tolist() == one_by_one


def passes(program: Instructions, packet: bytes, wire: int) -> bool:
    """What the compiled loop is made of, run as it stands."""
    wanted = [0]
    run(1, *columns(program), packet, (0,), (len(packet),), (wire,), [0] * MEMORY, wanted)
    return wanted[0] != 0


ALU_CODES = [4 | what | source for what in range(0, 0xB0, 0x10) for source in (0, 8) if what | source != 0x88]
JUMPS = [5 | what | source for what in range(0x10, 0x50, 0x10) for source in (0, 8)]
LOADS = [0x00, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x60, 0x80, 0x01, 0x61, 0x81, 0xB1]


@st.composite
def programs(draw) -> tuple[Instruction, ...]:
    """Any program that a kernel would take: jumps go forward and stay inside, memory cells exist."""
    size = draw(st.integers(1, 12))
    made = []
    for at in range(size):
        left = size - at - 1  # instructions after this one, before the last
        code = draw(st.sampled_from([*LOADS, *ALU_CODES, *JUMPS, 0x05, 0x02, 0x03, 0x07, 0x87, 0x06, 0x16]))
        k = draw(st.one_of(st.integers(0, 40), st.integers(0, 0xFFFFFFFF)))
        if code in (0x02, 0x03, 0x60, 0x61):
            k %= MEMORY
        elif code == 0x05:
            k = min(k, left)
        elif code in (0x34, 0x94):
            k = k or 1
        elif code in (0x64, 0x74):
            k %= 32
        made.append(Instruction(code, draw(st.integers(0, left)), draw(st.integers(0, left)), k))
    return (*made, Instruction(draw(st.sampled_from([0x06, 0x16])), 0, 0, draw(st.integers(0, 1))))


@pytest.mark.slow
@settings(max_examples=amount(40, 3000))
@given(programs(), st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_any_program_does_the_same_in_each_machine(program, packets: list[bytes]) -> None:
    batch = Batch.of(packets)
    one = [passes(program, packet, len(packet) + 4) for packet in packets]
    assert run_compiled(program, batch, batch.sizes + 4).tolist() == one


@settings(max_examples=amount(15, 500), deadline=None)
@given(programs(), st.binary(min_size=1, max_size=60))
def test_libpcap_runs_any_program_to_the_same_end(program, packet: bytes) -> None:
    cypcap = pytest.importorskip("cypcap")
    # libpcap leaves its memory as it was: each cell is set first.
    program = (*(Instruction(0x02, 0, 0, cell) for cell in range(MEMORY)), *program)
    theirs = cypcap.BpfProgram(list(map(tuple, program)))
    header = cypcap.Pkthdr(0, len(packet), len(packet) + 4)
    ours = passes(program, packet, len(packet) + 4)
    assert ours == bool(theirs.offline_filter(header, packet))


def test_either_library_passes_the_same(monkeypatch) -> None:
    need("tcpdump")  # brings the system's library
    for name, expression in [
        ("web.pcap", "tcp port 80"),
        ("raw_ip.pcap", "udp"),
        ("linux_dlt_sll2.pcap", "ip6 or arp"),
    ]:
        ours = list(Capture(CORPUS / name).where(pcap=expression))
        with monkeypatch.context() as patch:
            patch.setattr(bpf, "_by_cypcap", bpf._by_system)
            assert list(Capture(CORPUS / name).where(pcap=expression)) == ours


def test_each_interface_of_a_capture_has_its_own_program() -> None:
    packet = bytes(IPv4(src="10.0.0.1", dst="10.0.0.2", protocol=17) / b"\0\x35\0\x35\0\x08\0\0")
    frames = [Frame(bytes(12) + b"\x08\0" + packet), Frame(packet, linktype=101), Frame(b"\x45" + bytes(30))]
    chosen = Capture.of(frames).where(pcap="udp port 53")
    assert [frame.linktype for frame in chosen] == [1, 101]
    assert PcapFilter("udp port 53").mask(FrameBatch.of(frames)).tolist() == [True, True, False]


def test_a_filtered_file_gives_frames_batches_and_tables_of_what_passed(tmp_path: Path) -> None:
    path = tmp_path / "some.pcapng"
    Capture.of([Frame(bytes([i]) * 20, i, comment=f"c{i}" if i % 3 == 0 else None) for i in range(100)]).write(path)
    chosen = Capture(path).where(pcap="ether[0] & 1 == 1")
    assert [frame.number for frame in chosen] == list(range(2, 101, 2))
    assert [f for batch in chosen.batches() for f in batch] == list(chosen)
    assert [frame.comment for frame in chosen][:3] == [None, "c3", None]
    again = chosen.where(pcap="ether[0] < 10").where(lambda packet: bytes(packet)[0] > 3)
    assert [frame.time_ns for frame in again] == [5, 7, 9]
    assert again.write(tmp_path / "few.pcap") == 3


@pytest.mark.parametrize(
    ("expression", "linktype", "reason"),
    [("tcp prt 80", 1, "syntax error"), ("tcp", 9999, "unknown data link type"), ("vlan", 101, "no VLAN support"),
     ("port 99999", 1, "99999"), ("\0", 1, "printable"), ("\ud800", 1, "printable")],
)  # fmt: skip
@pytest.mark.parametrize("library", ["_by_cypcap", "_by_system"])
def test_a_refusal_has_the_words_and_libpcaps_reason(expression, linktype, reason, library, monkeypatch) -> None:
    need("tcpdump")
    monkeypatch.setattr(bpf, "_by_cypcap", getattr(bpf, library))
    with pytest.raises(BuildError, match=reason) as caught:
        PcapFilter(expression, linktype)
    assert repr(expression) in str(caught.value)


def test_without_any_library_the_extra_is_named(monkeypatch) -> None:
    for library in ("_by_cypcap", "_by_system"):
        monkeypatch.setattr(bpf, library, lambda expression, datalink: None)
    with pytest.raises(PacketlabError, match=r"packetlab\[bpf\]"):
        PcapFilter("tcp")


def test_the_compiled_machine_is_brought_in_where_it_pays(monkeypatch) -> None:
    compiled = []
    monkeypatch.setattr(bpf, "run_compiled", lambda program, batch, wire: compiled.append(len(batch)))
    batch, pays = Batch.of([bytes(100)]), {"numba": False}
    monkeypatch.setattr(loops, "worth_any", lambda size: pays["numba"])
    monkeypatch.setattr(loops, "worth", lambda source, size: source == LOOP and size >= 300)
    test = PcapFilter("greater 50")
    assert [test.mask(batch).tolist() for _ in range(3)] == [[True]] * 3 and not compiled  # libpcap does it
    pays["numba"] = True
    test.mask(batch)
    assert compiled == [1]
    assert PcapFilter("greater 50").mask(batch).tolist() == [True] and compiled == [1]  # few bytes so far


def test_nothing_passes_or_everything() -> None:
    batch = Batch.of([b"", b"a", bytes(100)])
    assert PcapFilter("").mask(batch).tolist() == [True] * 3
    assert PcapFilter("greater 1000").mask(batch).tolist() == [False] * 3
    assert PcapFilter("tcp").mask(Batch(np.zeros(0, np.uint8), [], [])).tolist() == []


def test_show_takes_tcpdumps_words(capsys: pytest.CaptureFixture[str]) -> None:
    web = str(CORPUS / "web.pcap")
    assert main(["show", web, "tcp[13]", "==", "2"]) == 0
    one = capsys.readouterr().out
    assert main(["show", "-r", web, "tcp[13] == 2"]) == 0
    assert capsys.readouterr().out == one and len(one.splitlines()) == 2
    assert main(["show", web, "-Y", "tcp.flags == SYN", "udp"]) == 1
    assert main(["show", web, "tcp", "prt"]) == 2
    assert "syntax error" in capsys.readouterr().err


def test_frames_of_a_link_type_that_a_filter_cannot_speak_of_do_not_pass() -> None:
    capture = Capture(CORPUS / "be_test102.pcapng")
    types = {frame.linktype for frame in capture}
    assert len(types) > 1 and 1 in types
    for expression in ("arp", "vlan", "ether broadcast"):
        alone = [f for f in capture if f.linktype == 1 and PcapFilter(expression)(f)]
        assert list(capture.where(pcap=expression)) == alone
    with pytest.raises(BuildError, match="nonsense"):
        capture.where(pcap="nonsense here").count()
    with pytest.raises(BuildError, match="link type 0"):
        PcapFilter("arp", 0)
