"""How fast captures are read, as ratios against dpkt and scapy in the same run.

Run it as python tests/benchmarks/bench_capture.py. It is no test: what it prints depends on the machine. Compare the ratios, not the rates.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs from a checkout that is not installed

import dpkt
from scapy.utils import RawPcapNgReader, RawPcapReader

from packetlab.capture import Capture, Frame

FRAMES, ROUNDS = 200_000, 5


def rate(frames: Callable[[], Iterable[Any]], count: int, rounds: int) -> float:
    """Return thousands of frames a second, the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        if sum(1 for _ in frames()) != count:
            raise AssertionError("a reader lost frames")
        best = min(best, time.perf_counter() - start)
    return count / best / 1000


def compare(folder: Path, count: int, rounds: int) -> dict[str, tuple[float, float, float]]:
    """Return of pcap and pcapng: our rate, and its ratios to dpkt's and scapy's."""
    noise = random.Random(1)
    frames = [
        Frame(noise.randbytes(noise.choice((60, 60, 400, 1500))), 1_700_000_000 * 10**9 + i) for i in range(count)
    ]
    readers = {"pcap": (dpkt.pcap.Reader, RawPcapReader), "pcapng": (dpkt.pcapng.Reader, RawPcapNgReader)}
    found = {}
    for kind, (of_dpkt, of_scapy) in readers.items():
        path = folder / f"frames.{kind}"
        Capture.of(frames).write(path)
        ours = rate(lambda: Capture(path), count, rounds)  # noqa: B023  called at once
        with open(path, "rb") as file:

            def theirs() -> Iterable[Any]:
                file.seek(0)  # noqa: B023
                return of_dpkt(file)  # type: ignore[no-any-return]  # noqa: B023

            dpkts = rate(theirs, count, rounds)
        scapys = rate(lambda: of_scapy(str(path)), count, rounds)  # noqa: B023
        found[kind] = (ours, ours / dpkts, ours / scapys)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of frames")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = compare(Path(name), max(1, round(FRAMES * said.scale)), said.rounds)
        for kind, (ours, to_dpkt, to_scapy) in found.items():
            print(
                f"{kind:7} {ours:6.0f} thousand frames/s   {to_dpkt:.1f} x dpkt   {to_scapy:.1f} x scapy's raw reader"
            )
