"""One checkout beside another, an older one for instance: ``python tests/benchmarks/bench_before.py FOLDER``.

A million packets into columns, frames sent and replayed on a veth, one packet dissected, built and edited, a header declared as users
do, and the import. Each is a process that has one of the two on
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
ONE = """
    import gc, sys, time
    from packetlab import TCP, U4, U8, U16, U32, Bytes, Ether, Header, IPv4, auto, dissect, field, many, size_of, sized
    class Mine(Header, under=Ether, when={{"type": 0x88B6}}):
        version: U4 = 4
        flags: U4 = 0
        kind: U8 = 1
        length: U16 = auto(size_of("self") + size_of("payload"))
        number: U32 = 0
        source: U32 = 0
        target: U32 = 0
    class Part(Header):
        kind: U8
        size: U8 = auto(size_of("data"))
        data: Bytes = sized(field("size"), b"")
    class Parts(Header):
        parts: tuple[Part, ...] = many(until=field("kind") == 0)
    def build():
        return bytes(Ether(dst=DST, src=SRC) / IPv4(src=A, dst=B) / TCP(sport=1234, dport=80, seq=7, flags=16) / PAYLOAD)
    def build_mine():
        return bytes(Ether(dst=DST, src=SRC, type=0x88B6) / Mine(kind=2, number=7, source=8, target=9) / PAYLOAD)
    DST, SRC, A, B, PAYLOAD = bytes([2, 0, 0, 0, 0, 2]), bytes([2, 0, 0, 0, 0, 1]), bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), bytes(64)
    FRAME, MINE, LIST = build(), build_mine(), bytes(Parts(parts=[Part(kind=7 - i, data=bytes(i)) for i in range(8)]))
    def every():
        p = dissect(FRAME)
        e, i, t = p[Ether], p[IPv4], p[TCP]
        return (e.dst, e.src, e.type, i.version, i.ihl, i.dscp, i.ecn, i.length, i.id, i.flags, i.fragment_offset, i.ttl, i.protocol, i.checksum,
                i.src, i.dst, i.options, t.sport, t.dport, t.seq, t.ack, t.data_offset, t.reserved, t.flags, t.window, t.checksum, t.urgent, t.options)
    READ = dissect(FRAME)
    def two():
        p = dissect(FRAME)
        return p[IPv4].ttl, p[TCP].sport
    def mine():
        h = dissect(MINE)[Mine]
        return h.version, h.flags, h.kind, h.length, h.number, h.source, h.target
    def go():
        {work}
    for _ in range(200):
        go()
    gc.disable()
    best = float("inf")
    for _ in range(int(sys.argv[2])):
        start = time.process_time()
        for _ in range(200):
            go()
        best = min(best, time.process_time() - start)
    print(best / 200 * 1e6)
"""
WORK = {
    "table, with the extra `fast`": TABLE.format(more="import numba", columns=COLUMNS, engine="loops"),
    "table, without": TABLE.format(more="", columns=COLUMNS, engine="rows"),
    "send": WIRE.format(work=SEND),
    "replay, topspeed": WIRE.format(work=REPLAY),
    "import packetlab": IMPORT.format(work="import packetlab"),
    "us to dissect and read two fields": ONE.format(work="two()"),
    "us to dissect and read every field": ONE.format(work="every()"),
    "us to build with checksums": ONE.format(work="build()"),
    "us to edit a field": ONE.format(work="bytes(READ.replace(IPv4, ttl=9))"),
    "us to read a header of one's own": ONE.format(work="mine()"),
    "us to build it": ONE.format(work="build_mine()"),
    "us to read a list of 8 items": ONE.format(work="[(p.kind, p.data) for p in dissect(LIST, Parts)[Parts].parts]"),
    "us to build the list": ONE.format(work="bytes(Parts(parts=[Part(kind=7 - i, data=bytes(i)) for i in range(8)]))"),
    "and five names of it": IMPORT.format(work="from packetlab import Header, Ether, IPv4, TCP, dissect"),
}


def seconds(code: str, checkout: str, capture: Path, tries: int, user: bool) -> float:
    # The packetlab that is installed comes after what PYTHONPATH names; -P: and so does the folder it is run from.
    command = [sys.executable, "-P", "-c", textwrap.dedent(code), str(capture), str(tries)]
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
        print("seconds of a processor, or microseconds where it says us: here, there")
        tries = max(2, min(200, round(200 * request.scale)))
        for name, code in WORK.items():
            if request.what and not name.startswith(tuple(request.what)):
                continue
            here = there = float("inf")
            for _ in range(request.rounds):
                here = min(here, seconds(code, ROOT, capture, tries, request.kept))
                there = min(there, seconds(code, other, capture, tries, request.kept))
            print(f"  {name:<34} {here:8.4f} {there:8.4f}   {here / there:5.2f}x (goal 1x at the most)", flush=True)
