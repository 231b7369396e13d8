"""Sending, recording and replay beside tcpreplay, trafgen and tcpdump: ``python tests/benchmarks/bench_io.py [send|record|replay]``.

All on a veth inside a lab, so no privilege is needed. Contenders run in turn, round after round, and the best round of each
counts (for drops and lateness: the median round); a number is worth something only beside the others of its run.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeVar

import numpy as np

from packetlab import TCP, UDP, Capture, Ether, Frame, IPv4, Lab, replay, send
from packetlab.bulk.batch import Batch
from packetlab.sockets.networks import LabHost

ROUNDS, SCALE = 7, 1.0
SIOCGSKNS = 0x894C  # the network namespace of a socket
NS_GET_USERNS = 0xB701  # the user namespace that one belongs to
PLACES = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
T = TypeVar("T")
TO = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")


def frame(flow: int, size: int) -> bytes:
    transport = (TCP if flow % 2 else UDP)(sport=1024 + flow, dport=9)
    return bytes(TO / IPv4(src="10.9.0.1", dst="10.9.0.2") / transport / bytes(size))


def sized(count: int) -> int:
    return max(10, round(count * SCALE))


def present(contenders: dict[str, Callable[[], T]]) -> dict[str, Callable[[], T]]:
    """Return ours, and those of the others that are installed here."""
    programs = {name: name.split()[0] for name in contenders}
    return {name: call for name, call in contenders.items()
            if programs[name] == "packetlab" or shutil.which(programs[name], path=PLACES)}  # fmt: skip


def packets_sent(trafgen: str) -> float:
    """Packets a second that trafgen says it sent, over all its processes."""
    sent = sum(map(int, re.findall(r"(\d+) packets outgoing", trafgen)))
    took = max(int(s) + int(us) / 1e6 for s, us in re.findall(r"(\d+) sec, (\d+) usec on CPU", trafgen))
    return sent / took


def table(
    title: str, results: dict[str, list[float]], unit: str, best: Callable[[list[float]], float]
) -> dict[str, float]:
    print(f"\n{title}")
    found = {name: best(values) for name, values in results.items()}
    for name, values in results.items():
        print(f"  {name:<34} {found[name]:>12,.1f} {unit}   rounds: {' '.join(f'{value:,.0f}' for value in values)}")
    return found


def sending(lab: Lab, folder: Path, size: int) -> None:
    a = lab.host("a")
    frames = [frame(i % 64, size) for i in range(sized(10_000))]
    path, script = folder / "many.pcap", folder / "one.cfg"
    Capture.of([Frame(data, i) for i, data in enumerate(frames)]).write(path)
    script.write_text("{ " + ", ".join(map(str, frames[0])) + " }\n")
    batches = [Batch.of(frames)] * 20
    total = len(frames) * 20

    def tcpreplay() -> float:
        done = a.run("tcpreplay", "-t", "-K", "-l", "20", "-i", "eth0", str(path), check=True)
        return float(next(line for line in done.stdout.splitlines() if "Rated" in line).split(",")[-1].split()[0])

    def trafgen(*more: str) -> float:
        return trafgen_sent(a, script, total, *more)

    contenders: dict[str, Callable[[], float]] = {
        "packetlab send, 1 worker": lambda: send(batches, onto=a.interface, workers=1).rate,
        "packetlab send": lambda: send(batches, onto=a.interface).rate,
        "packetlab replay, topspeed": lambda: replay(Capture(path), onto=a.interface, topspeed=True, loop=20, progress=False).rate,
        "packetlab replay, 2 workers": lambda: replay(
            Capture(path), onto=a.interface, topspeed=True, loop=20, workers=2, progress=False
        ).rate,
        "tcpreplay -t -K": tcpreplay,
        "trafgen (a process a processor)": trafgen,
        "trafgen -P 1": lambda: trafgen("-P", "1"),
    }  # fmt: skip
    contenders = present(contenders)
    results: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, call in contenders.items():
            results[name].append(call())
    best = table(f"send {len(frames[0])} byte frames on a veth, frames a second", results, "/s", max)
    for ours, theirs, goal in (
        ("packetlab send", "tcpreplay -t -K", 1.05), ("packetlab send", "trafgen (a process a processor)", 1.0),
        ("packetlab send, 1 worker", "tcpreplay -t -K", 1.05), ("packetlab send, 1 worker", "trafgen -P 1", 1.0),
        ("packetlab replay, topspeed", "tcpreplay -t -K", 1.05),
        ("packetlab replay, 2 workers", "trafgen (a process a processor)", 1.0),
    ):  # fmt: skip
        if theirs in best:
            print(f"    {ours} / {theirs}: {best[ours] / best[theirs]:.2f} (goal {goal})")


def trafgen_sent(host: LabHost, script: Path, total: int, *more: str) -> float:
    """Have trafgen send; return its packets a second. It writes into the current folder, which may not be the user's."""
    words = (shutil.which("trafgen", path=PLACES) or "trafgen", "-o", "eth0", "-i", str(script), "-n", str(total), "-V", *more)
    done = host.run("env", "-C", str(script.parent), *words, check=True)
    return packets_sent(done.stdout + done.stderr)


def used(pid: int) -> float:
    """Seconds of a processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Recorded(NamedTuple):
    """How many frames are not in the file, how many of these the program itself reports, and what it used."""

    missing: float
    reported: float
    seconds: float


def recording(lab: Lab, folder: Path, size: int, pps: int) -> None:
    """`pps`: frames a second, 0 for as many as the sender can."""
    a, b = lab.host("a"), lab.host("b")
    script = folder / "one.cfg"
    script.write_text("{ " + ", ".join(map(str, frame(0, size))) + " }\n")
    total = min(sized(500_000), pps * 5) if pps else sized(500_000)
    slowly = ("-P", "1", "-b", f"{pps}pps") if pps else ()

    # tcpdump wants to become another user, which a lab's root cannot: it runs as this machine's, in the host's network.
    # An ordinary user is the lab's root there, and has no tcpdump beside.
    inside = fcntl.ioctl(b.interface.fileno(), SIOCGSKNS)
    entered = {"net": inside}
    if ordinary := os.geteuid() != 0:
        entered = {"user": fcntl.ioctl(inside, NS_GET_USERNS), **entered}
    entering = ["nsenter", *(f"--{kind}=/proc/self/fd/{fd}" for kind, fd in entered.items()), "--preserve-credentials"]

    def run(*words: str) -> Recorded:
        path = folder / "recorded"
        path.unlink(missing_ok=True)
        start = [*entering, *words, str(path)]
        with (
            subprocess.Popen(start, pass_fds=[*entered.values()], stderr=subprocess.PIPE, text=True) as program,
            ExitStack() as ending,
        ):
            ending.callback(program.kill)  # whatever else ends, ends it too
            # It records when the first of these are in the file.
            while program.poll() is None and (not path.exists() or path.stat().st_size < 1000):
                a.interface.send_all([probe] * 10)
            before = used(program.pid)
            if shutil.which("trafgen", path=PLACES):
                rates.append(trafgen_sent(a, script, total, *slowly))
            else:
                rates.append(send([Batch.of([frame(0, size)] * (total // 10))] * 10, onto=a.interface).rate)
            seen = -1
            while seen != path.stat().st_size:
                seen = path.stat().st_size
                b.run(
                    "sleep", "2"
                )  # libpcap hands over what has come after a second at the latest; then all is written
            seconds = used(program.pid) - before
            program.send_signal(2)
            _, stated = program.communicate(timeout=30)
        reported = int(re.search(r"(\d+)(?: packets)? dropped by", stated)[1])  # type: ignore[index]
        kept = sum(int((batch.sizes == length).sum()) for batch in Capture(path, strict=False).batches())
        return Recorded(total - kept, reported, seconds)

    length = len(frame(0, size))
    probe = frame(0, size + 1)
    rates: list[float] = []
    ours = (sys.executable, "-m", "packetlab", "capture", "-p", "-i", "eth0", "-w")
    contenders = {
        "packetlab capture": lambda: run(*ours),
        "tcpdump -w": lambda: run("tcpdump", "-Z", "root", "-p", "-n", "-U", "-i", "eth0", "-w"),
        "tcpdump -B 65536 -w": lambda: run(
            "tcpdump", "-Z", "root", "-p", "-n", "-B", "65536", "-i", "eth0", "-U", "-w"
        ),
    }
    contenders = present(contenders)
    if ordinary:
        contenders = {"packetlab capture": contenders["packetlab capture"]}
        print("    without tcpdump: it wants to become another user, which takes root")
    results: dict[str, list[Recorded]] = {name: [] for name in contenders}
    for _ in range(max(1, ROUNDS - 2)):
        for name, call in contenders.items():
            results[name].append(call())
    by = "trafgen" if shutil.which("trafgen", path=PLACES) else "packetlab send"
    title = f"record {total} frames of {length} bytes sent by {by} at {max(rates):,.0f}/s at most: frames missing"
    missing = {name: [one.missing for one in rows] for name, rows in results.items()}
    found = table(title, missing, "", statistics.median)
    for name, rows in results.items():
        print(
            f"    {name} itself says it dropped: {' '.join(f'{one.reported:.0f}' for one in rows)}"
            f"   and used {min(one.seconds for one in rows):.2f} s of a processor"
        )
    for name in found:
        if name != "packetlab capture":
            print(
                f"    {name} lost {found[name] - found['packetlab capture']:,.0f} more than packetlab (goal 0 or more)"
            )


def lateness(lab: Lab, folder: Path) -> None:
    a, b = lab.host("a"), lab.host("b")
    path = folder / "paced.pcap"
    chance, at = Random(7), 10**18
    frames = []
    for i in range(sized(4000)):
        at += round(chance.expovariate(1 / 400_000)) if i % 10 else round(chance.expovariate(1 / 2_000_000))
        frames.append(Frame(frame(i % 64, 100), at // 1000 * 1000))
    Capture.of(frames).write(path)
    due = np.array([each.time_ns for each in frames])

    def run(call: Callable[[], object]) -> tuple[float, float, float]:
        with b.interface.ring() as ring:
            call()
            times = np.concatenate([batch.times_ns for batch in ring.batches(5, len(frames))])
        late = (times - times[0]) - (due - due[0])
        late = (late - late.min()) / 1000
        return float(np.percentile(late, 50)), float(np.percentile(late, 99)), float(late.max())

    contenders: dict[str, Callable[[], object]] = {
        "packetlab replay": lambda: replay(Capture(path), onto=a.interface, progress=False),
        "tcpreplay": lambda: a.run("tcpreplay", "-i", "eth0", str(path), check=True),
        "tcpreplay -K -T nano": lambda: a.run("tcpreplay", "-K", "-T", "nano", "-i", "eth0", str(path), check=True),
    }
    contenders = present(contenders)
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, call in contenders.items():
            results[name].append(run(call))
    for place, name in enumerate(("median", "p99", "worst")):
        columns = {each: [row[place] for row in rows] for each, rows in results.items()}
        table(
            f"replay {len(frames)} frames in their own time: {name} lateness at the receiver",
            columns,
            "us",
            statistics.median,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", help="send, record, replay; all unless given")
    parser.add_argument("--scale", type=float, default=SCALE, help="times the usual number of frames")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--bytes", type=int, nargs="+", default=[22, 1400], help="of the frames' payloads")
    parser.add_argument(
        "--pps",
        type=int,
        nargs="+",
        default=[0, 30_000],
        help="frames a second to record, 0 for as many as can be sent",
    )
    request = parser.parse_args()
    ROUNDS, SCALE = request.rounds, request.scale
    wanted = request.what or ["send", "record", "replay"]
    with Lab() as lab, tempfile.TemporaryDirectory() as place:
        lab.link(lab.host("a"), lab.host("b"))
        if "send" in wanted:
            for raw in request.bytes:
                sending(lab, Path(place), raw)
        if "replay" in wanted:
            lateness(lab, Path(place))
        if "record" in wanted:
            for raw in request.bytes:
                for pps in request.pps:
                    recording(lab, Path(place), raw, pps)
