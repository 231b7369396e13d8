"""One checkout beside another, an older one for instance: ``python tests/benchmarks/bench_before.py FOLDER``.

A million packets into columns, frames sent and replayed on a veth, and the import. Each is a process that has one of the two on
its path; they run in turn, round after round, and the least time of the processor's own counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs from a checkout that is not installed

from bench_tables import COLUMNS, ROOT, mixed

TABLE = """
    import sys, time
    {more}
    from packetlab import Capture
    def read():
        return sum(int(block["udp.dport"].sum(dtype="u8")) for block in
                   Capture(sys.argv[1]).table(*{columns!r}, engine={engine!r}).batches())
    read()
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        read()
        best = min(best, time.process_time() - start)
    print(best)
"""
WIRE = """
    import sys, time
    from packetlab import Capture, Lab, replay, send
    with Lab() as lab:
        a, b = lab.host("a"), lab.host("b")
        lab.link(a, b)
        b.interface.close()
        batches = list(Capture(sys.argv[1])[:20000].batches()) * 10
        def go():
            {work}
        go()
        start = time.process_time()
        go()
        print(time.process_time() - start)
"""
SEND = "send(batches, onto=a.interface, workers=1)"
REPLAY = "replay(Capture(sys.argv[1])[:20000], onto=a.interface, topspeed=True, loop=10, progress=False)"
IMPORT = """
    import time
    start = time.process_time()
    {work}
    print(time.process_time() - start)
"""
WORK = {
    "table, with the extra `fast`": TABLE.format(more="import numba", columns=COLUMNS, engine="loops"),
    "table, without": TABLE.format(more="", columns=COLUMNS, engine="rows"),
    "send": WIRE.format(work=SEND),
    "replay, topspeed": WIRE.format(work=REPLAY),
    "import packetlab": IMPORT.format(work="import packetlab"),
    "and five names of it": IMPORT.format(work="from packetlab import Header, Ether, IPv4, TCP, dissect"),
}


def seconds(code: str, checkout: str, capture: Path, user: bool) -> float:
    # The packetlab that is installed comes after what PYTHONPATH names; -P: and so does the folder it is run from.
    command = [sys.executable, "-P", "-c", textwrap.dedent(code), str(capture)]
    # Loops that one of them keeps on disk are not the other's, unless the user's are asked for.
    kept = {} if user else {"XDG_CACHE_HOME": str(capture.with_name("here" if checkout == ROOT else "there"))}
    environment = {**os.environ, "PYTHONPATH": checkout, **kept}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{checkout}: ended with {done.returncode}: {done.stderr}")
    return float(done.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", help="the folder that has the other `packetlab`")
    parser.add_argument("what", nargs="*", help="beginnings of names: table, send, replay, import; all unless given")
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of packets")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kept", action="store_true", help="use loops that were compiled before and kept, whoever did")
    request = parser.parse_args()
    other = os.path.abspath(request.other)
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder, "mixed.pcap")
        mixed(capture, max(10, round(1_000_000 * request.scale)))
        print("seconds of a processor: here, there")
        for name, code in WORK.items():
            if request.what and not name.startswith(tuple(request.what)):
                continue
            here = there = float("inf")
            for _ in range(request.rounds):
                here = min(here, seconds(code, ROOT, capture, request.kept))
                there = min(there, seconds(code, other, capture, request.kept))
            print(f"  {name:<34} {here:8.4f} {there:8.4f}   {here / there:5.2f}x (goal 1x at the most)", flush=True)
