"""How fast frames are built in bulk, as ratios against scapy and dpkt in the same run; all with right checksums.

Run it as python tests/benchmarks/bench_bulk.py. It is no test: what it prints depends on the machine. Compare the ratios, not the rates.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs from a checkout that is not installed

import dpkt

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers import inet, l2

from packetlab import SCTP, TCP, UDP, Ether, IPv4, IPv6, filling, seeded, sequence

ROUNDS, ROWS = 3, 1_000_000
MACS = ("02:00:00:00:00:02", "02:00:00:00:00:01")
PAYLOAD = b"x" * 18


def rate(build: Callable[[int], object], count: int, rounds: int) -> float:
    """Return frames a second, the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        build(count)
        best = min(best, time.perf_counter() - start)
    return count / best


def address(i: int) -> bytes:
    return (0x0A000000 + i).to_bytes(4, "big")


def of_scapy(count: int) -> None:
    for i in range(count):
        bytes(
            l2.Ether(dst=MACS[0], src=MACS[1])
            / inet.IP(src=f"10.0.{i >> 8 & 255}.{i & 255}", dst="10.9.9.9", id=i & 0xFFFF)
            / inet.UDP(sport=1024 + i % 60000, dport=9)
            / PAYLOAD
        )


def of_dpkt(count: int) -> None:
    macs = [bytes.fromhex(mac.replace(":", "")) for mac in MACS]
    for i in range(count):
        udp = dpkt.udp.UDP(sport=1024 + i % 60000, dport=9, data=PAYLOAD)
        udp.ulen = len(udp)
        ip = dpkt.ip.IP(src=address(i), dst=b"\x0a\x09\x09\x09", id=i & 0xFFFF, p=17, data=udp)
        ip.len = len(ip)
        bytes(dpkt.ethernet.Ethernet(dst=macs[0], src=macs[1], data=ip))


link = Ether(dst=MACS[0], src=MACS[1])
flow = {"ip.src": sequence("10.0.0.0/8"), "ip.id": range(65536), "udp.sport": range(1024, 61024)}
OURS = {
    "UDP: source, id and port": ((link / IPv4(dst="10.9.9.9") / UDP(dport=9) / PAYLOAD), flow),
    "the same, random payload of 4 to 64 bytes": (
        link / IPv4(dst="10.9.9.9") / UDP(dport=9) / PAYLOAD,
        {**flow, "payload": filling(seeded(2, range(4, 65)), seed=1)},
    ),
    "TCP: all of five fields seeded": (
        link / IPv4() / TCP() / PAYLOAD,
        {f"{name}": seeded(1) for name in ("ip.src", "ip.dst", "tcp.sport", "tcp.dport", "tcp.seq")},
    ),
    "UDP over IPv6": (link / IPv6() / UDP(dport=9) / PAYLOAD, {"ipv6.src": sequence("2001:db8::/32")}),
    "SCTP (CRC-32C)": (link / IPv4() / SCTP() / PAYLOAD, {"ip.src": sequence("10.0.0.0/8"), "sctp.sport": seeded(1)}),
}


def main(scale: float, rounds: int) -> None:
    rows, some, more = (max(1, round(count * scale)) for count in (ROWS, 3000, 30000))
    scapys, dpkts = rate(of_scapy, some, rounds), rate(of_dpkt, more, rounds)
    print(f"{'fresh packets, scapy':44} {scapys / 1000:9.1f} thousand/s")
    print(f"{'fresh packets, dpkt':44} {dpkts / 1000:9.1f} thousand/s")
    for name, (template, fields) in OURS.items():
        whole = rate(lambda count: template.vary(count, fields).batch(), rows, rounds)  # noqa: B023  called at once
        print(f"{name:44} {whole / 1000:9.1f} thousand/s   {whole / scapys:6.0f} x scapy   {whole / dpkts:5.1f} x dpkt")
    template, fields = OURS["UDP: source, id and port"]
    flat = rate(lambda count: sum(len(some) for some in template.vary(count, fields).batches()), rows, rounds)
    print(
        f"{'the first, in stretches':44} {flat / 1000:9.1f} thousand/s   {flat / scapys:6.0f} x scapy   {flat / dpkts:5.1f} x dpkt"
    )
    sent = template.vary(rows, fields)
    batch = sent.batch()
    checked = rate(lambda count: sent.check(batch), rows, rounds)
    print(f"{'the first, checked as received':44} {checked / 1000:9.1f} thousand/s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of packets")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    said = parser.parse_args()
    main(said.scale, said.rounds)
