"""``show -Y`` and ``rewrite`` over a large file, as ratios in one run: ``python tests/benchmarks/bench_commands.py [show|rewrite]``.

`show -Y` beside what it consists of: counting the frames that pass the same filter, and showing a file that has nothing but
these. `rewrite`, with the extra `fast` and without, beside tcprewrite. Contenders run in turn, round after round; the best round
of each counts, in time of the processor's own, the starts of Python, its imports and what numba compiles once left out.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs from a checkout that is not installed

from bench_tables import ROOT, mixed

from packetlab import Capture
from packetlab.cli import main

FILTERS = ("udp.dport == 53", "icmp", "tcp.dport == 1")
CHANGES = ("--pnat", "10.0.0.0/8:172.16.0.0/12", "--portmap", "443:8443,53:5353")
OURS = """
    import sys, time
    {more}
    from packetlab.cli import main
    import packetlab.capture.rewrite.rewrite, numpy
    words = ["rewrite", *sys.argv[3:], sys.argv[1], sys.argv[2]]
    main(words[:-2] + [sys.argv[1] + ".few", sys.argv[2]])  # what is done once only: headers compiled, loops loaded
    start = time.process_time()
    main(words)
    print(time.process_time() - start)
"""


def spent(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def race(contenders: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Return the least seconds of each."""
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, call in contenders.items():
            best[name] = min(best[name], call())
    return best


def shown(path: Path, words: str, rounds: int) -> None:
    chosen = path.with_name("chosen.pcap")
    count = Capture(path).where(words).write(chosen)

    def show(*args: str) -> Callable[[], float]:
        return lambda: spent(lambda: main(["show", *args]))

    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        best = race(
            {
                "show -Y": show("-Y", words, str(path)),
                "where().count()": lambda: spent(lambda: Capture(path).where(words).count()),
                "printing": show(str(chosen)) if count else lambda: 0.0,
            },
            rounds,
        )
    parts = best["where().count()"] + best["printing"]
    print(f"\nshow -Y '{words}': {count:,} frames pass")
    for name, seconds in best.items():
        print(f"  {name:<34} {seconds:8.3f} s")
    print(f"    as much as both of these: {best['show -Y'] / parts:.2f}x (goal 1.5x at the most)")


def rewritten(path: Path, rounds: int) -> None:
    few, to = Path(f"{path}.few"), path.with_name("rewritten.pcap")
    Capture(path)[:2000].write(few, "pcap")

    def packetlab(more: str) -> float:
        code = textwrap.dedent(OURS.format(more=more))
        command = [sys.executable, "-c", code, str(path), str(to), *CHANGES]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ROOT}
        )
        return float(done.stdout.split()[-1])

    def tcprewrite() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["tcprewrite", *CHANGES, "-i", str(path), "-o", str(to)], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    contenders = {
        "packetlab, with the extra `fast`": lambda: packetlab(
            "import numba; from packetlab.capture import loops; loops.WORTH_COMPILING = 0"
        ),
        "packetlab, without": lambda: packetlab("sys.modules['numba'] = None"),
    }
    goals = dict(zip(contenders, (2, 1), strict=True))
    if shutil.which("tcprewrite"):
        contenders["tcprewrite"] = tcprewrite
    best = race(contenders, rounds)
    print("\nrewrite: networks at both ends, and ports, file to file")
    for name, seconds in best.items():
        print(f"  {name:<34} {seconds:8.3f} s")
        if name in goals and "tcprewrite" in best:
            print(f"      {best['tcprewrite'] / seconds:8.2f}x tcprewrite   (goal {goals[name]}x)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", help="show, rewrite; both unless given")
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of packets")
    parser.add_argument("--rounds", type=int, default=3)
    request = parser.parse_args()
    wanted = request.what or ["show", "rewrite"]
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder, "mixed.pcap")
        mixed(capture, max(10, round(1_000_000 * request.scale)))
        if "show" in wanted:
            for each in FILTERS:
                shown(capture, each, request.rounds)
        if "rewrite" in wanted:
            rewritten(capture, request.rounds)
