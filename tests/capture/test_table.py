"""Tables: columns hold what the packets made to objects hold, whatever the frames and whichever engine finds them."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from packetlab import (
    ARP,
    GRE,
    ICMP,
    IDP,
    MPLS,
    S16,
    SPP,
    TCP,
    U4,
    U8,
    U24,
    U32,
    U64,
    UDP,
    VLAN,
    VXLAN,
    BuildError,
    Bytes,
    Capture,
    CaptureError,
    Ether,
    Fragment,
    Frame,
    Header,
    HopByHop,
    IPv4,
    IPv6,
    LinuxSLL,
    PPPoE,
    RawIP,
    Rest,
    TCPOption,
    U16le,
    U32le,
    XNSAddress,
    auto,
    bindings,
    field,
    has,
    size_of,
    sized,
    when,
)
from packetlab.bulk.columns import column
from packetlab.bulk.scan_loop import loop_source
from packetlab.capture.tables import engines as scan_engines
from packetlab.capture.tables.columns import Columns, frame_column
from packetlab.declare.registry import bind
from packetlab.protocols.link import PPP
from tests.conftest import CORPUS, ROOT

FILES = sorted(path.name for path in CORPUS.iterdir() if ".pcap" in path.name)
MANY = (
    "ether", "ether.dst", "ether.type", "vlan.id", "vlan#2.id", "ip.src", "ip.dst", "ip.ttl", "ip.flags", "ip.length", "ip.options",
    "ip.checksum", "ip#2.src", "ip#2", "ipv6.src", "ipv6.dst", "ipv6.flow_label", "udp", "udp.sport", "udp.dport", "udp.payload",
    "udp#2.dport", "tcp.sport", "tcp.dport", "tcp.seq", "tcp.flags", "tcp.data_offset", "tcp.options", "tcp.payload", "arp.operation",
    "arp.sender_mac", "arp.sender_ip", "arp.addresses", "icmp.type", "icmp.identifier", "icmp.gateway", "icmpv6.type",
    "neighborsolicitation.target", "gre.key", "gre.protocol", "mpls.label", "mpls#2.label", "llc.control", "llc.sequence", "snap.oui",
    "pppoe.session", "sctp.checksum", "vxlan.vni", "fragment.offset", "routing.data", "idp.dst", "idp.dst.net", "idp.src.host",
    "idp.src.socket", "idp.pad", "idp.packet_type", "spp.seq", "spp.control", "pex.id", "rip.operation", "rip.entries",
    "linuxsll.address", "ether.payload", "listenerreport.count", "hopbyhop.options", "authenticationheader.icv",
)  # fmt: skip


@cache
def plainly(source: str) -> Any:
    """Stand in for the compiler: the same loop, run by Python itself, with the compiler's idea of a whole number."""
    names: dict[str, Any] = {"int64": int}
    exec(source, names)
    return names[source.split("(")[0].removeprefix("def ")]


def test_of_many_questions_the_one_that_comes_between_stays_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []

    def write(first: Any, request: Any) -> Any:
        written.extend(request)
        return request

    monkeypatch.setattr(scan_engines, "REMEMBERED", 4)
    monkeypatch.setattr(scan_engines, "_known", {})
    for number in range(12):
        for request in ("again", number):
            scan_engines._written(write, UDP, [request])  # type: ignore[list-item]
    assert written == ["again", *range(12)] and len(scan_engines._known) == 4


def test_without_a_compiler_no_loop_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_engines, "loop_source", None)
    assert Capture(CORPUS / "web.pcap").table("tcp.dport", engine="rows").read().rows == 24
    monkeypatch.setattr(scan_engines.loops, "available", lambda: False)
    assert Capture(CORPUS / "web.pcap").table("tcp.sport").read().rows == 24


def test_a_query_made_again_is_written_once_and_anew_after_a_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    write = scan_engines.row_scan
    monkeypatch.setattr(scan_engines, "row_scan", lambda *request: written.append(request) or write(*request))
    with bindings():
        capture = Capture.of([Frame(bytes(Ether(type=0x88B5)) + bytes(UDP(dport=9)))])
        for _ in range(3):
            assert not capture.table("udp.dport", engine="rows").read().valid("udp.dport").any()
        assert len(written) == 1
        bind(UDP, Ether, {"type": 0x88B5})
        for _ in range(3):
            assert capture.table("udp.dport", engine="rows")["udp.dport"].tolist() == [9]
        assert len(written) == 2


@pytest.fixture
def loops_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_engines.loops, "compiled", plainly)
    monkeypatch.setattr(scan_engines.loops, "available", lambda: True)


def agree(capture: Capture, names: tuple[Any, ...], engine: str) -> Columns:
    """Compare every value of a table with the packets' own; returns the columns."""
    columns = [column(name) for name in names]
    found: list[Columns] = []
    fault = ""
    try:
        found += capture.table(*names, engine=engine).batches(rows=7)
    except CaptureError as error:
        fault = str(error)
    whole = Columns.joined(list(columns), found)
    arrays = {one.name: (whole[one.name].tolist(), whole.valid(one.name).tolist()) for one in columns}
    row = faulty = 0
    try:
        for row, frame in enumerate(capture):
            packet = frame.packet()
            faulty += any(not f.cut for f in packet.faults)
            for one in columns:
                value, (values, valid) = one.value(packet), arrays[one.name]
                absent = (
                    False
                    if one.form == "present"
                    else b""
                    if one.form == "bytes"
                    else bytes(one.width)
                    if one.form == "fixed"
                    else 0
                )
                assert (values[row], valid[row]) == (
                    absent if value is None else value,
                    value is not None or one.form == "present",
                ), f"{capture.name} frame {frame.number} {one.name}: {packet!r}"
            row += 1
    except CaptureError as error:
        fault = fault.replace(str(error), "")
    assert fault == "" and row == whole.rows and whole.faults <= faulty
    return whole


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["rows", "loops"])
@pytest.mark.parametrize("name", FILES)
@pytest.mark.usefixtures("loops_in_python")
def test_columns_of_every_capture_are_what_the_packets_hold(name: str, engine: str) -> None:
    agree(Capture(CORPUS / name), MANY, engine)


def some_packet(noise: random.Random) -> bytes:
    """Return a frame with a stack of headers as real ones have it, or a stranger one."""
    r = noise.random
    ends: dict[str, Any] = {"src": noise.randbytes(4), "dst": noise.randbytes(4)}
    wide: dict[str, Any] = {"src": noise.randbytes(16), "dst": noise.randbytes(16)}
    tcp = TCP(
        sport=noise.randrange(65536),
        dport=80,
        flags=noise.randrange(256),
        options=[TCPOption(kind=1), TCPOption(kind=8, data=bytes(8))] if r() < 0.5 else (),
    )
    udp = UDP(sport=noise.randrange(65536), dport=noise.choice((53, 4789, 9)))
    idp = IDP(dst=XNSAddress(noise.getrandbits(32), noise.randbytes(6), 5), src=XNSAddress(1, 2, 3))
    ether = Ether(src=noise.randbytes(6))
    stack = noise.choice(
        [
            lambda: ether / IPv4(**ends, ttl=noise.randrange(256)) / tcp,
            lambda: ether / IPv4(**ends) / udp,
            lambda: ether / VLAN(id=5) / VLAN(id=noise.randrange(4096)) / IPv6(**wide) / udp,
            lambda: ether / IPv6(**wide) / HopByHop() / tcp,
            lambda: ether / IPv6(**wide) / Fragment(offset=noise.choice((0, 0, 5)), more=noise.choice((0, 1))) / udp,
            lambda: ether / IPv4(**ends, flags=noise.choice((0, 1)), fragment_offset=noise.choice((0, 9))) / udp,
            lambda: ether / IPv4(**ends) / IPv4(**ends) / IPv4(**ends) / tcp,
            lambda: ether / IPv4(**ends) / GRE(key=noise.choice((None, 7)), sequence=3) / IPv4(**ends) / udp,
            lambda: (
                ether / IPv4(**ends) / UDP(dport=4789) / VXLAN(vni=noise.getrandbits(24)) / Ether() / IPv4(**ends) / udp
            ),
            lambda: ether / MPLS(label=9, bottom=0) / MPLS(label=noise.randrange(1 << 20)) / IPv4(**ends) / tcp,
            lambda: ether / IPv4(**ends) / ICMP(type=noise.choice((8, 3, 5, 11, 12))) / IPv4(**ends) / udp,
            lambda: (
                ether
                / ARP(
                    sender_ip=noise.randbytes(4),
                    sender_mac=noise.randbytes(6),
                    target_ip="1.2.3.4",
                    target_mac=bytes(6),
                )
            ),
            lambda: ether / PPPoE() / PPP() / IPv4(**ends) / tcp,
            lambda: ether / idp / SPP(seq=noise.randrange(65536), control=noise.choice((0, 0x10))),
        ]
    )()
    return bytes(stack / noise.randbytes(noise.randrange(30)))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["rows", "loops"])
@given(st.integers(0, 2**40))
def test_columns_of_built_and_broken_packets(engine: str, seed: int) -> None:
    noise = random.Random(seed)
    frames = []
    for number in range(40):
        raw = bytearray(some_packet(noise))
        for _ in range(noise.choice((0, 0, 0, 1, 3))):
            raw[noise.randrange(len(raw))] = noise.randrange(256)
        whole = len(raw)
        kept = raw[: noise.choice((whole, whole, noise.randrange(whole)))]
        frames.append(Frame(bytes(kept), number, wire_length=noise.choice((whole, len(kept)))))
    kept_compiled, kept_available = scan_engines.loops.compiled, scan_engines.loops.available
    scan_engines.loops.compiled, scan_engines.loops.available = plainly, lambda: True  # type: ignore[assignment]
    try:
        agree(Capture.of(frames), MANY[:40] if seed % 2 else MANY[30:], engine)
    finally:
        scan_engines.loops.compiled, scan_engines.loops.available = kept_compiled, kept_available


class Reading(Header):
    """One of each kind of field that a declaration can have."""

    version: U4 = 1
    kind: U4 = 0
    small: S16 = 0
    flags: U8 = auto(has("key") * 4)
    key: U32 = when(field("flags") & 4)
    count: U16le = auto(size_of("name"))
    name: Bytes = sized(field("count"), b"")
    wide: U24 = 0
    stamp: U64 = 0
    back: U32le = 0
    note: Rest = b""


@pytest.mark.parametrize("engine", ["rows", "loops"])
@pytest.mark.usefixtures("loops_in_python")
def test_columns_of_a_header_declared_here(engine: str) -> None:
    noise = random.Random(4)
    with bindings():
        bind(Reading, Ether, {"type": 0x88B5})
        frames = [
            Frame(bytes(Ether() / Reading(
                kind=i % 16, small=-i, key=None if i % 3 else i, name=noise.randbytes(i % 5), wide=i << 8, stamp=noise.getrandbits(64),
                back=noise.getrandbits(32), note=noise.randbytes(i % 7),
            )))
            for i in range(60)
        ]  # fmt: skip
        names = tuple(f"reading.{f.name}" for f in Reading._fields)
        whole = agree(Capture.of(frames), names, engine)
        assert whole["reading.small"].dtype == np.int16 and whole["reading.small"][5] == -5
        assert Capture.of(frames).table(Reading.stamp, Reading, engine=engine).names == ("reading.stamp", "reading")
        assert whole.faults == 0


@pytest.mark.parametrize("engine", ["rows", "loops"])
@pytest.mark.usefixtures("loops_in_python")
def test_frames_of_several_link_types_side_by_side(engine: str) -> None:
    inner = IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(dport=9)
    frames = [Frame(bytes(Ether() / inner)), Frame(bytes(RawIP() / inner), linktype=101), Frame(b"abc", linktype=147)]
    frames += [Frame(bytes(LinuxSLL() / inner), linktype=113)]
    whole = agree(Capture.of(frames), ("ip.dst", "udp.dport", "ether", "linuxsll.address"), engine)
    assert whole["udp.dport"].tolist() == [9, 9, 0, 9] and whole.text("ip.dst") == [
        "10.0.0.2",
        "10.0.0.2",
        "",
        "10.0.0.2",
    ]


IN_BOTH_WAYS = """
import sys
from packetlab import IPv6Address, MAC, Capture, Frame, Header, U8
from packetlab.protocols.linktypes import FIRST
sys.path.insert(0, "tests/benchmarks")
from bench_tables import COLUMNS

class Own(Header):
    station: MAC
    number: U8
    host: IPv6Address

FIRST[147] = Own
own = [Frame(bytes(Own(station=n << 40, number=n, host=n << 120) / bytes(n % 7)), linktype=147) for n in range(200)]
for capture, names in (
    (Capture.of([*own, b"short"]), ("own.station", "own.number", "own.host", "own.payload")), (Capture(sys.argv[1]), COLUMNS)
):
    loops, rows = (capture.table(*names, engine=engine).read() for engine in ("loops", "rows"))
    for name in rows.names:
        assert loops[name].tolist() == rows[name].tolist(), name
    print(rows.rows)
"""


@pytest.mark.slow
@pytest.mark.timeout(600)  # numba compiles for a quarter of a minute, on a busy machine for more
def test_numba_compiles_the_loops_as_they_are() -> None:
    """In a program of its own, and the columns of the benchmark: a loop for each set of columns and headers is compiled."""
    pytest.importorskip("numba")
    command = [sys.executable, "-c", IN_BOTH_WAYS, str(CORPUS / "web.pcap")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == "201\n24\n", done.stderr


def test_what_the_file_says_of_frames() -> None:
    frames = [Frame(b"x" * 20, None, comment="a\x1b"), Frame(b"y" * 70, 5, wire_length=1500), Frame(b"", 7)]
    whole = (
        Capture.of(frames).table("number", "time_ns", "length", "wire_length", "linktype", "comment", "faults").read()
    )
    assert whole["length"].tolist() == [20, 70, 0] and whole["wire_length"].tolist() == [20, 1500, 0]
    assert whole["time_ns"].tolist() == [0, 5, 7] and whole.valid("time_ns").tolist() == [False, True, True]
    assert whole["comment"].tolist() == ["a\x1b", "", ""] and whole.text("comment")[0] == "a\\x1b"
    assert whole["faults"].tolist() == [len(frame.packet().faults) for frame in frames]
    assert whole.masked("time_ns").sum() == 12 and whole.head(1).rows == 1


def test_a_time_that_64_bits_do_not_hold_is_absent(tmp_path: Path) -> None:
    path = tmp_path / "late.pcapng"
    times = [7, (1 << 63) + 10**9, (1 << 63) - 1]
    Capture.of([Frame(b"x" * 20, time) for time in times]).write(path)
    for capture in (Capture(path), Capture.of(list(Capture(path)))):
        assert [frame.time_ns for frame in capture] == times
        whole = capture.table("time_ns").read()
        assert whole.valid("time_ns").tolist() == [True, False, True] and whole["time_ns"].tolist() == [7, 0, times[2]]
        assert whole.text("time_ns") == ["7", "", str(times[2])] and whole.masked("time_ns").max() == times[2]


def test_faults_are_counted_and_the_rest_is_kept() -> None:
    good = bytes(Ether() / IPv4(src="1.1.1.1", dst="2.2.2.2") / UDP(dport=1) / b"x")
    frames = [Frame(good), Frame(good[:30]), Frame(good[:14] + b"\x65" + good[15:])]
    for engine in ("rows", None):
        whole = Capture.of(frames).table("ip.src", "udp.dport", engine=engine).read()
        assert whole.faults == 2 and whole["udp.dport"].tolist()[0] == 1


def test_a_damaged_file_gives_its_whole_rows_and_then_the_error() -> None:
    capture = Capture(io.BytesIO((CORPUS / "web.pcap").read_bytes()[:-5]))
    blocks = capture.table("ip.src").batches(rows=4)
    rows = 0
    with pytest.raises(CaptureError, match="expected a record"):
        for block in blocks:
            rows += block.rows
    assert rows == 23


@pytest.mark.slow
def test_blocks_are_of_bounded_size(tmp_path: Path) -> None:
    path = tmp_path / "many.pcap"
    Capture.of([Frame(bytes(60), i) for i in range(50_000)]).write(path)
    sizes = [block.rows for block in Capture(path).table("ether.type").batches(rows=10_000)]
    assert sum(sizes) == 50_000 and max(sizes) < 25_000


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("ipp.src", "did you mean 'ip'"),
        ("ip.sr", "did you mean 'src'"),
        ("ip#0.src", "a number from 1 on"),
        ("ip.src.net", "no part of IPv4.src"),
        ("ip..src", "header.field"),
        ("time", "did you mean 'time_ns'"),
        ("udp.payload.x", "no part of a payload"),
        (7, "a name such as"),
        ("__import__('os')", "header.field"),
    ],
)
def test_names_that_mean_nothing_are_reported(spec: Any, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        Capture.of([]).table(spec)


def test_tables_refuse_what_they_cannot_be() -> None:
    with pytest.raises(BuildError, match="one column or more"):
        Capture.of([]).table()
    with pytest.raises(BuildError, match="'ip' twice"):
        Capture.of([]).table("ip", "ip")
    with pytest.raises(KeyError):
        Capture.of([]).table("ip")["udp"]
    assert frame_column("ip") is None and Capture.of([]).table("ip").read().rows == 0


def test_loops_are_made_of_numbers_and_arrays_alone() -> None:
    source = loop_source(Ether._declaration, [column(name) for name in MANY])
    assert (
        "import" not in source
        and "__" not in source
        and source.startswith("def scan(count, data, starts, sizes, missing, unfit, ")
    )
