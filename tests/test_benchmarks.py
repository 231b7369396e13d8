"""Every benchmark that the README names runs, at a tiny size, and prints what it is to print. No number is looked at."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from packetlab import Lab
from tests.conftest import ROOT, need

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent / "benchmarks"
TINY = {
    "bench_tables.py": ("2000", "--rounds", "1", "--kept"),
    "bench_bulk.py": ("--scale", "0.001", "--rounds", "1"),
    "run.py": ("--scale", "0.005",),
    "bench_io.py": ("--scale", "0.001", "--rounds", "1", "--bytes", "22", "--pps", "0", "10"),
    "bench_before.py": (str(ROOT), "--scale", "0.001", "--rounds", "1", "--kept"),
    "bench_commands.py": ("--scale", "0.001", "--rounds", "1"),
    "bench_capture.py": ("--scale", "0.001", "--rounds", "1"),
    "bench_spp.py": ("--scale", "0.002", "--rounds", "1"),
    "bench_lists.py": ("--seconds", "0.05"),
    "bench_values.py": ("--seconds", "0.05"),
    "bench_mechanisms.py": ("--seconds", "0.01"),
}  # fmt: skip
NUMBER = r"\d[\d,.]*"
ROWS = re.findall(r"(?m)^\| (M\d+) \| ([^|]+?) \|", (ROOT / "notebooks" / "mechanisms.md").read_text(encoding="utf-8"))
PRINTED = {
    "bench_tables.py": [
        rf"2,000 packets, {NUMBER} MB, into 12 columns",
        *(rf"  packetlab, with{end} +{NUMBER} s +\d+ MB" for end in (" the extra `fast`", "out")),
        rf"  dpkt into lists +{NUMBER} s",
    ],
    "bench_bulk.py": [
        rf"fresh packets, (scapy|dpkt) +{NUMBER} thousand/s",
        rf"UDP: source, id and port +{NUMBER} thousand/s +{NUMBER} x scapy +{NUMBER} x dpkt",
        rf"the first, checked as received +{NUMBER} thousand/s",
    ],
    "run.py": [
        *(rf"{what}\n  packetlab +{NUMBER} /s" for what in ("dissect .*", "build .*", "read a pcap file, frames")),
        rf"  scapy +{NUMBER} /s +packetlab is +{NUMBER}x",
        rf"every field, .*\n  packetlab +{NUMBER} /s",
        rf"replace, .*\n  one field of one packet +{NUMBER} /s +as much as +{NUMBER} dissects",
        rf"  import packetlab +-?{NUMBER}",
        rf"send on a veth at top speed\n  packetlab replay +{NUMBER} frames/s",
    ],
    "bench_io.py": [
        rf"send 64 byte frames on a veth, frames a second\n  packetlab send, 1 worker +{NUMBER} /s",
        rf"replay 10 frames in their own time: median lateness at the receiver\n  packetlab replay +{NUMBER} us",
        r"record 500 frames of 64 bytes sent by .* at most: frames missing\n  packetlab capture +0\.0 ",
        rf"    packetlab capture itself says it dropped: 0   and used {NUMBER} s of a processor",
        r"record 50 frames of 64 bytes",
    ],
    "bench_before.py": [
        rf"  {name} +{NUMBER} +{NUMBER} +{NUMBER}x \(goal 1x at the most\)"
        for name in ("table, with the extra `fast`", "table, without", "send", "replay, topspeed", "import packetlab")
    ],
    "bench_commands.py": [
        rf"show -Y 'icmp': \d+ frames pass\n  show -Y +{NUMBER} s\n  where\(\)\.count\(\) +{NUMBER} s\n  printing +{NUMBER} s",
        rf"    as much as both of these: {NUMBER}x",
        *(rf"  packetlab, with{end} +{NUMBER} s" for end in (" the extra `fast`", "out")),
    ],
    "bench_lists.py": [
        rf"{what}\n  packetlab +{NUMBER} /s\n  [a-z ]+{NUMBER} /s" for what in ("DHCP .*", "DNS .*", "8 TLVs .*")
    ],
    "bench_values.py": [
        rf"{what}\n  packetlab +{NUMBER} /s\n  by hand +{NUMBER} /s +packetlab is +{NUMBER}x"
        for what in ("8 numbers of LEB128", "8 numbers of LEB128, built", "a frame of QUIC, built", "a CRC over 1,500 bytes, built")
    ],
    "bench_mechanisms.py": [
        rf"  {mechanism} +{re.escape(title)} +{NUMBER} +{NUMBER} +{NUMBER}x[! ] +{NUMBER} +{NUMBER} +{NUMBER}x" for mechanism, title in ROWS
    ],
    "bench_capture.py": [rf"pcap(ng)? +{NUMBER} thousand frames/s +{NUMBER} x dpkt +{NUMBER} x scapy's raw reader"],
    "bench_spp.py": [
        rf"   534 bytes a packet +{NUMBER} k",
        rf"  packetlab SPP +{NUMBER} MB/s\n  scapy stop-and-wait +{NUMBER} MB/s   ratio {NUMBER}",
        r"share of the sender's time: wire \d+%, engine \d+%",
    ],
}


@pytest.mark.parametrize("name", TINY)
def test_a_benchmark_runs_and_prints_its_table(name: str) -> None:
    if name in ("bench_io.py", "bench_spp.py", "bench_before.py") and (refusal := Lab.refusal()) is not None:
        pytest.skip(refusal)
    if name == "bench_io.py":
        need("nsenter")
    command = [sys.executable, str(FOLDER / name), *TINY[name]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert PRINTED[name]
    for line in PRINTED[name]:
        assert re.search(rf"(?m)^{line}", done.stdout), (line, done.stdout)


def test_the_readme_names_them_all() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = {name for name in re.findall(r"[\w/]+\.py", readme) if (FOLDER / Path(name).name).exists()}
    assert {Path(name).name for name in named} == {path.name for path in FOLDER.glob("*.py")} == TINY.keys()
