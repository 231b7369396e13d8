"""How fast captures are read, as ratios against dpkt and scapy in the same run.

Run it as python tests/benchmarks/bench_capture.py. It is no test: what it prints depends on the machine. Compare the ratios, not the rates.
"""

from __future__ import annotations

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


def rate(frames: Callable[[], Iterable[Any]]) -> float:
    """Return thousands of frames a second, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        if sum(1 for _ in frames()) != FRAMES:
            raise AssertionError("a reader lost frames")
        best = min(best, time.perf_counter() - start)
    return FRAMES / best / 1000


def compare(folder: Path) -> dict[str, tuple[float, float, float]]:
    """Return of pcap and pcapng: our rate, and its ratios to dpkt's and scapy's."""
    noise = random.Random(1)
    frames = [
        Frame(noise.randbytes(noise.choice((60, 60, 400, 1500))), 1_700_000_000 * 10**9 + i) for i in range(FRAMES)
    ]
    readers = {"pcap": (dpkt.pcap.Reader, RawPcapReader), "pcapng": (dpkt.pcapng.Reader, RawPcapNgReader)}
    found = {}
    for kind, (of_dpkt, of_scapy) in readers.items():
        path = folder / f"frames.{kind}"
        Capture.of(frames).write(path)
        ours = rate(lambda: Capture(path))  # noqa: B023  called at once
        with open(path, "rb") as file:

            def theirs() -> Iterable[Any]:
                file.seek(0)  # noqa: B023
                return of_dpkt(file)  # type: ignore[no-any-return]  # noqa: B023

            dpkts = rate(theirs)
        scapys = rate(lambda: of_scapy(str(path)))  # noqa: B023
        found[kind] = (ours, ours / dpkts, ours / scapys)
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for kind, (ours, to_dpkt, to_scapy) in compare(Path(name)).items():
            print(
                f"{kind:7} {ours:6.0f} thousand frames/s   {to_dpkt:.1f} x dpkt   {to_scapy:.1f} x scapy's raw reader"
            )
