"""Speed as ratios to peers, measured side by side in one run: ``python tests/benchmarks/run.py``.

Each contender runs in short rounds, one after the other, many times over; the best round of each counts, in time of the
processor's own. So a machine that is slow for a moment is slow for all. Nothing here is a test: a number is worth something only beside the others of
its run.
"""

from __future__ import annotations

import argparse
import gc
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")

import dpkt  # noqa: E402
import netaddr  # noqa: E402
from scapy.layers.inet import IP as ScapyIP, TCP as ScapyTCP  # noqa: E402
from scapy.layers.l2 import Ether as ScapyEther  # noqa: E402
from scapy.utils import RawPcapReader  # noqa: E402

from packetlab import (  # noqa: E402
    TCP,
    U2,
    U3,
    U4,
    U6,
    U8,
    U13,
    U16,
    U32,
    Capture,
    Ether,
    Frame,
    Header,
    IPv4,
    Lab,
    NeedsPrivilege,
    auto,
    dissect,
    internet_checksum,
    next_protocol,
    replay,
    size_of,
)  # fmt: skip

PAYLOAD = bytes(range(64))
DST, SRC, A, B = b"\2\0\0\0\0\2", b"\2\0\0\0\0\1", b"\x0a\0\0\1", b"\x0a\0\0\2"


class MyIP(Header, under=Ether, when={"type": 0x88B6}):
    """The layout of IPv4, declared here: what a user declares must be as fast."""

    version: U4 = 4
    ihl: U4 = auto(size_of("self") // 4)
    dscp: U6 = 0
    ecn: U2 = 0
    length: U16 = auto(size_of("self") + size_of("payload"))
    id: U16 = 0
    flags: U3 = 0
    offset: U13 = 0
    ttl: U8 = 64
    protocol: U8 = auto(next_protocol("benchmark", otherwise=255))
    checksum: U16 = auto(internet_checksum("self"))
    src: U32 = 0
    dst: U32 = 0


class MyTCP(Header, under=MyIP, when={"protocol": 6}):
    """The layout of TCP."""

    sport: U16 = 0
    dport: U16 = 0
    seq: U32 = 0
    ack: U32 = 0
    data_offset: U4 = auto(size_of("self") // 4)
    reserved: U4 = 0
    flags: U8 = 2
    window: U16 = 8192
    checksum: U16 = auto(internet_checksum("self", "payload"))
    urgent: U16 = 0


def ours() -> bytes:
    return bytes(Ether(dst=DST, src=SRC) / IPv4(src=A, dst=B) / TCP(sport=1234, dport=80, seq=7, flags=16) / PAYLOAD)


def mine() -> bytes:
    return bytes(Ether(dst=DST, src=SRC) / MyIP(src=1, dst=2) / MyTCP(sport=1234, dport=80, seq=7, flags=16) / PAYLOAD)


def dpkts() -> bytes:
    segment = dpkt.tcp.TCP(sport=1234, dport=80, seq=7, flags=16, win=65535, data=PAYLOAD)
    packet = dpkt.ip.IP(src=A, dst=B, p=6, data=segment)
    packet.len = len(packet)
    return bytes(dpkt.ethernet.Ethernet(dst=DST, src=SRC, type=0x800, data=packet))


def scapys() -> bytes:
    return bytes(
        ScapyEther(dst="02:00:00:00:00:02", src="02:00:00:00:00:01") / ScapyIP(src="10.0.0.1", dst="10.0.0.2", id=0)
        / ScapyTCP(sport=1234, dport=80, seq=7, flags=16, window=65535) / PAYLOAD
    )  # fmt: skip


FRAME, MINE = ours(), mine()


def race(contenders: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Return calls a second of each, the best of many short rounds taken in turn."""
    sizes = {}
    for name, call in contenders.items():
        for _ in range(50):  # past the warming up of every contender
            call()
        start = time.process_time()
        call()
        sizes[name] = max(1, int(0.01 / (time.process_time() - start)))
    best = dict.fromkeys(contenders, 0.0)
    gc.disable()
    end = time.process_time() + seconds
    while time.process_time() < end or not all(best.values()):
        for name, call in contenders.items():
            count = sizes[name]
            start = time.process_time()
            for _ in range(count):
                call()
            best[name] = max(best[name], count / (time.process_time() - start))
    gc.enable()
    return best


def tell(title: str, rates: dict[str, float], us: str, goals: dict[str, float]) -> None:
    print(f"\n{title}")
    for name, rate in rates.items():
        ratio = rates[us] / rate
        goal = f"  (goal {goals[name]:g}x)" if name in goals else ""
        print(f"  {name:<34} {rate:>12,.0f} /s" + (f"   packetlab is {ratio:6.1f}x{goal}" if name != us else ""))


def touch() -> object:
    packet = dissect(FRAME)
    return packet[IPv4].ttl, packet[TCP].sport


def touch_mine() -> object:
    packet = dissect(MINE)
    return packet[MyIP].ttl, packet[MyTCP].sport


def every() -> object:
    packet = dissect(FRAME)
    e, i, t = packet[Ether], packet[IPv4], packet[TCP]
    return (
        e.dst, e.src, e.type, i.version, i.ihl, i.dscp, i.ecn, i.length, i.id, i.flags, i.fragment_offset, i.ttl,
        i.protocol, i.checksum, i.src, i.dst, i.options, t.sport, t.dport, t.seq, t.ack, t.data_offset, t.reserved,
        t.flags, t.window, t.checksum, t.urgent, t.options,
    )  # fmt: skip


def every_dpkt() -> tuple[Any, ...]:
    e = dpkt.ethernet.Ethernet(FRAME)
    i, t = e.data, e.data.data
    return (
        e.dst, e.src, e.type, i.v, i.hl, i.tos, i.len, i.id, i.rf, i.df, i.mf, i.offset, i.ttl,
        i.p, i.sum, i.src, i.dst, i.opts, t.sport, t.dport, t.seq, t.ack, t.off,
        t.flags, t.win, t.sum, t.urp, t.opts,
    )  # fmt: skip


def every_dpkt_objects() -> object:
    """The same with what packetlab gives for addresses; dpkt gives their bytes."""
    e_dst, e_src, *others = every_dpkt()
    *between, src, dst = others[:15]
    macs = [netaddr.EUI(int.from_bytes(raw, "big"), 48) for raw in (e_dst, e_src)]
    return [*macs, *between, *(netaddr.IPAddress(int.from_bytes(raw, "big"), 4) for raw in (src, dst)), *others[15:]]


def touch_dpkt() -> object:
    packet = dpkt.ethernet.Ethernet(FRAME)
    return packet.data.ttl, packet.data.data.sport


def touch_scapy() -> object:
    packet = ScapyEther(FRAME)
    return packet[ScapyIP].ttl, packet[ScapyTCP].sport


def starting(rounds: int = 15) -> None:
    print(f"\nimport, ms of a processor over bare Python (best of {rounds})")
    codes = ("pass", "import packetlab", "from packetlab import Header, Ether, IPv4, TCP, dissect", "import dpkt")
    best = dict.fromkeys(codes, float("inf"))
    for _ in range(rounds):
        for code in codes:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", code], check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            best[code] = min(best[code], after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    for code in codes[1:]:
        goal = "   (goal 15)" if code == "import packetlab" else ""
        print(f"  {code:<60} {(best[code] - best['pass']) * 1000:6.1f}{goal}")


def files(count: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "many.pcap"))
        Capture.of([Frame(FRAME, i) for i in range(count)]).write(path)

        def dpkt_reads() -> int:
            with open(path, "rb") as file:
                return sum(1 for _ in dpkt.pcap.Reader(file))

        def scapy_reads() -> int:
            with RawPcapReader(path) as reader:
                return sum(1 for _ in reader)

        contenders = {"packetlab": lambda: sum(1 for _ in Capture(path)), "dpkt": dpkt_reads, "scapy": scapy_reads}
        rates = {name: rate * count for name, rate in race(contenders, seconds).items()}
        tell("read a pcap file, frames", rates, "packetlab", {})


def sending(count: int) -> None:
    try:
        lab = Lab().open()
    except NeedsPrivilege as refusal:
        print(f"\nno lab: {refusal}")
        return
    with lab, tempfile.TemporaryDirectory() as folder:
        a, b = lab.host("a"), lab.host("b")
        lab.link(a, b)
        b.interface.close()
        capture = Capture.of([Frame(FRAME, i) for i in range(count)])
        path = str(Path(folder, "many.pcap"))
        capture.write(path)
        report = max(
            (replay(capture, onto=a.interface, topspeed=True, loop=10, progress=False) for _ in range(3)),
            key=lambda r: r.rate,
        )
        print(f"\nsend on a veth at top speed\n  packetlab replay {report.rate:>12,.0f} frames/s")
        try:
            done = a.run("tcpreplay", "-t", "-K", "-l", "10", "-i", "eth0", path)
        except FileNotFoundError:
            return
        line = next(line for line in done.stdout.splitlines() if "Rated" in line)
        print(f"  tcpreplay -t -K  {float(line.split(',')[-1].split()[0]):>12,.0f} frames/s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual time and number of frames")
    scale = parser.parse_args().scale
    seconds = 6.0 * scale
    assert ours() == dpkts() == scapys(), "all must build the same bytes"
    contenders = {"packetlab": lambda: dissect(FRAME), "packetlab, declared in this file": lambda: dissect(MINE),
                  "dpkt": lambda: dpkt.ethernet.Ethernet(FRAME), "scapy": lambda: ScapyEther(FRAME)}  # fmt: skip
    tell("dissect Ether/IPv4/TCP to objects", race(contenders, seconds), "packetlab", {"dpkt": 4, "scapy": 60})
    touched = {"packetlab": touch, "packetlab, declared in this file": touch_mine, "dpkt": touch_dpkt,
               "scapy": touch_scapy}  # fmt: skip
    tell("dissect and read two fields", race(touched, seconds), "packetlab", {"dpkt": 8, "scapy": 150})
    fields = {"packetlab": every, "dpkt": every_dpkt, "dpkt, and addresses as objects": every_dpkt_objects}
    tell("every field, addresses as objects", race(fields, seconds), "packetlab", {"dpkt": 3.5})
    read = dissect(FRAME)
    edits = {
        "one field of one packet": lambda: bytes(read.replace(IPv4, ttl=9)),
        "one field of a packet just read": lambda: bytes(dissect(FRAME).replace(IPv4, ttl=9)),
        "dissect": lambda: dissect(FRAME).layers,  # every header made, for an edit needs them all
    }
    print("\nreplace, with the bytes")
    rates = race(edits, seconds)
    for name in list(edits)[:2]:
        print(
            f"  {name:<34} {rates[name]:>12,.0f} /s   as much as {rates['dissect'] / rates[name]:5.1f} dissects  (goal 5)"
        )
    built = {"packetlab": ours, "packetlab, declared in this file": mine, "dpkt": dpkts, "scapy": scapys}
    tell("build the same from fields, with checksums", race(built, seconds), "packetlab", {"dpkt": 5, "scapy": 100})
    files(max(1, round(20_000 * scale)), 4.0 * scale)
    starting(max(1, round(15 * scale)))
    sending(max(1, round(10_000 * scale)))
