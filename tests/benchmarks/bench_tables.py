"""A million mixed packets into twelve columns, beside tshark, dpkt, scapy and tcpdump in one run.

Run it as ``python tests/benchmarks/bench_tables.py [packets] [--rounds N]``. Every contender is a process of its own that reads the same
file from the page cache; its time is that of the whole process but for the interpreter's start and its imports, and its memory the
largest it ever had. What numba takes to compile the loop once is distinguished: it is kept on disk from then on.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs from a checkout that is not installed
ROOT = str(Path(__file__).parents[2])

from packetlab import ARP, ICMP, TCP, UDP, VLAN, Ether, IPv4, IPv6, TCPOption  # noqa: E402

COLUMNS = (
    "time_ns", "wire_length", "ether.type", "ip.src", "ip.dst", "ip.ttl", "ip.protocol", "tcp.sport", "tcp.dport", "tcp.flags",
    "udp.sport", "udp.dport",
)  # fmt: skip
OF_TSHARK = (
    "frame.time_epoch", "frame.len", "eth.type", "ip.src", "ip.dst", "ip.ttl", "ip.proto", "tcp.srcport", "tcp.dstport", "tcp.flags",
    "udp.srcport", "udp.dstport",
)  # fmt: skip
OURS = """
    import sys, time
    from packetlab import Capture
    import packetlab.capture.tables.table, numpy
    {more}
    start = time.perf_counter()
    rows = total = 0
    for block in Capture(sys.argv[1]).table(*{columns!r}, engine={engine!r}).batches():
        rows += block.rows
        total += int(block["udp.dport"].sum(dtype="u8"))
    print(rows, total, time.perf_counter() - start, int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) // 1024)
"""
DPKT = """
    import sys, time
    import dpkt
    start = time.perf_counter()
    rows = total = 0
    columns = [[] for _ in range(12)]
    with open(sys.argv[1], "rb") as file:
        for when, data in dpkt.pcap.Reader(file):
            frame = dpkt.ethernet.Ethernet(data)
            row = [when, len(data), frame.type] + [None] * 9
            ip = frame.data
            if isinstance(ip, dpkt.ip.IP):
                row[3:7] = ip.src, ip.dst, ip.ttl, ip.p
            upper = getattr(ip, "data", None)
            if isinstance(upper, dpkt.tcp.TCP):
                row[7:10] = upper.sport, upper.dport, upper.flags
            elif isinstance(upper, dpkt.udp.UDP):
                row[10:12] = upper.sport, upper.dport
                total += upper.dport
            for column, value in zip(columns, row):
                column.append(value)
            rows += 1
    print(rows, total, time.perf_counter() - start, int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) // 1024)
"""


def mixed(path: Path, packets: int) -> None:
    """Write a capture of many kinds of packets, the same for the same number."""
    noise = random.Random(1)
    kinds: list[bytes] = []
    for number in range(2000):
        ends = {"src": f"10.{noise.randrange(4)}.{noise.randrange(256)}.1", "dst": f"192.168.{noise.randrange(256)}.2"}
        wide = {"src": noise.randbytes(16), "dst": noise.randbytes(16)}
        ether = Ether(dst=noise.randbytes(6), src=noise.randbytes(6))
        some = [TCPOption(kind=1), TCPOption(kind=1), TCPOption(kind=8, data=noise.randbytes(8))]
        tcp = TCP(
            sport=noise.randrange(1024, 65536),
            dport=443,
            seq=noise.getrandbits(32),
            flags=16,
            options=noise.choice(((), some)),
        )
        udp = UDP(sport=noise.randrange(1024, 65536), dport=noise.choice((53, 123, 9999)))
        inner = noise.choices(
            [
                IPv4(**ends) / tcp, IPv4(**ends, id=number) / udp, IPv6(**wide) / noise.choice((tcp, udp)), VLAN(id=5) / IPv4(**ends) / udp,
                ARP(sender_mac=noise.randbytes(6), sender_ip=ends["src"], target_mac=bytes(6), target_ip=ends["dst"]),
                IPv4(**ends) / ICMP(identifier=1, sequence=number),
            ],
            (45, 30, 10, 7, 4, 4),
        )[0]  # fmt: skip
        kinds.append(bytes(ether / inner / noise.randbytes(noise.choice((0, 20, 64, 200, 512, 900, 1400)))))
    with open(path, "wb") as file:
        file.write(bytes.fromhex("4d3cb2a1020004000000000000000000ffff040001000000"))
        when = 1_700_000_000 * 10**9
        for _ in range(packets):
            data = kinds[noise.randrange(2000)]
            when += noise.randrange(2000)
            head = (when // 10**9, when % 10**9, len(data), len(data))
            file.write(b"".join(number.to_bytes(4, "little") for number in head) + data)


def program(source: str, path: Path, environment: dict[str, str]) -> tuple[float, int, int]:
    """Return seconds, megabytes and a sum that all must agree on."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source), str(path)], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": ROOT, **environment},
    )  # fmt: skip
    _, total, seconds, memory = done.stdout.split()
    return float(seconds), int(memory), int(total)


def command(*words: str) -> float:
    start = time.perf_counter()
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main(packets: int, turns: int, kept: bool) -> None:
    """Race the contenders, and print a table."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "mixed.pcap")
        mixed(path, packets)
        size = path.stat().st_size
        cache = {} if kept else {"XDG_CACHE_HOME": str(Path(name, "cache"))}
        fast = OURS.format(columns=COLUMNS, engine="loops", more="import numba")
        slow = OURS.format(columns=COLUMNS, engine="rows", more="")
        first = program(fast, path, cache)
        filtered = str(Path(name, "filtered.pcap"))
        best: dict[str, tuple[float, int]] = {}
        rounds = {
            "packetlab, with the extra `fast`": lambda: program(fast, path, cache),
            "packetlab, without": lambda: program(slow, path, cache),
            "dpkt into lists": lambda: program(DPKT, path, {}),
        }
        sums = {first[2]}
        for turn in range(turns):
            for who, run in rounds.items():
                if who.startswith("dpkt") and turn:
                    continue
                seconds, memory, total = run()
                sums.add(total)
                best[who] = min(best.get(who, (seconds, memory)), (seconds, memory))
            if shutil.which("tcpdump"):
                seconds = command("tcpdump", "-r", str(path), "-w", filtered, "udp port 53")
                best["tcpdump -r -w 'udp port 53'"] = min(
                    best.get("tcpdump -r -w 'udp port 53'", (seconds, 0)), (seconds, 0)
                )
        if shutil.which("tshark"):
            fields = [word for field in OF_TSHARK for word in ("-e", field)]
            best["tshark -T fields"] = command("tshark", "-n", "-r", str(path), "-T", "fields", *fields), 0
        assert len(sums) == 1, "all must find the same values"
        print(f"{packets:,} packets, {size / 1e6:.0f} MB, into {len(COLUMNS)} columns")
        goals = {
            "packetlab, with the extra `fast`": {
                "tshark -T fields": 200,
                "dpkt into lists": 50,
                "tcpdump -r -w 'udp port 53'": 1,
            },
            "packetlab, without": {"tshark -T fields": 40, "dpkt into lists": 10},
        }
        for who, (seconds, memory) in sorted(best.items(), key=lambda item: item[1]):
            print(f"  {who:<34} {seconds:8.3f} s" + (f"   {memory:5d} MB at the most" if memory else ""))
            for other, goal in goals.get(who, {}).items():
                if other in best:
                    print(f"      {best[other][0] / seconds:8.1f}x {other}   (goal {goal}x)")
        print(
            f"  the first time numba compiles the loop: {first[0] - best['packetlab, with the extra `fast`'][0]:.1f} s more"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packets", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kept", action="store_true", help="with loops that were compiled before, where there are any")
    said = parser.parse_args()
    main(said.packets, said.rounds, said.kept)
