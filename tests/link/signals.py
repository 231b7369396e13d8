"""Signals at random moments, and what is left behind: ``python -m tests.link.signals --count 200 [--signal INT] [--seed 1]``.

The runs happen inside a host of a lab. Its process namespace has nothing else in it, so processes, threads, namespaces,
interfaces and files are counted exactly, before and after each run, whatever else goes on on the machine.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from packetlab import Capture, CaptureError, Lab
from packetlab.escaping import printable

ROOT = Path(__file__).parent.parent.parent
WEB = ROOT / "captures" / "corpus" / "web.pcap"
PATIENCE = 10.0  # seconds until an interrupt is sent again
LONGEST = 60.0  # seconds until a process that was that was to end has hung
LAB = """
import packetlab as pl
with pl.Lab() as lab:
    a, b, c = (lab.host(name) for name in "abc")
    lab.link(a, b)
    lab.link(b, c, delay=0.001)
    print("ready", flush=True)
    while True:
"""
COMMAND = [sys.executable, "-m", "packetlab"]
SCENARIOS = {
    "demo": [*COMMAND, "demo"],
    "replay": [*COMMAND, "replay", "--lab", "--pps", "200", "--loop", "1000", str(WEB)],
    "capture": [*COMMAND, "capture", "-i", "lo", "-w", "captured.pcapng"],
    "lab": [sys.executable, "-c", LAB + """
        with a.popen("sleep", "100"):
            server = b.socket("seqpacket"); server.bind(3000); server.listen()
            client = a.socket("seqpacket"); client.connect(b.at(3000))
            connection = server.accept(); client.write(b"x"); connection.read()
            c.run("true")
            pl.send([b"x" * 60] * 100, onto=a.interface)
            for one in (client, connection, server):
                one.close()
"""],
    "simulator": [sys.executable, "-c", """
import packetlab as pl
print("ready", flush=True)
while True:
    net = pl.SimNetwork(seed=1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.01, loss=0.2)
    server = b.socket("stream"); server.bind(3000); server.listen()
    client = a.socket("stream"); client.connect(b.at(3000))
    connection = server.accept()
    client.write(b"x" * 5000); client.close()
    while connection.read():
        pass
    connection.close()
"""],
}  # fmt: skip


def census() -> dict[str, set[str]]:
    """Return what there is: processes, threads, namespaces, interfaces, files in shared memory."""
    found: dict[str, set[str]] = {"processes": set(), "threads": set(), "namespaces": set()}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                continue
            found["processes"].add(f"{entry.name} {words[:60]}")
            found["threads"] |= {thread.name for thread in (entry / "task").iterdir()}
            found["namespaces"] |= {os.readlink(link) for link in (entry / "ns").iterdir()}
        except OSError:
            continue  # it has ended meanwhile, or is the namespace helper, which nobody may look into
    found["interfaces"] = {name for _, name in socket.if_nameindex()}
    found["shared memory"] = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    return found


def left(before: dict[str, set[str]], within: float = 20.0) -> dict[str, set[str]]:
    """Return what has come to be since, once nothing of it goes away any more."""
    deadline = time.monotonic() + within
    while True:
        now = census()
        more = {name: now[name] - before[name] for name in now if now[name] - before[name]}
        if not more or time.monotonic() > deadline:
            return more
        time.sleep(0.01)


def run(name: str, number: signal.Signals, delay: float | None, folder: Path) -> tuple[str, float]:
    """Run a scenario, send it a signal after `delay` seconds (None: once it is ready), and return how it ended.

    AssertionError: it hung, something was left behind, or it said something that it should not.
    """
    places = {place: folder / place for place in ("home", "tmp", "here")}
    for place in places.values():
        place.mkdir(parents=True)
    before = census()
    start = time.monotonic()
    process = subprocess.Popen(
        SCENARIOS[name], cwd=places["here"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(places["home"]), "TMPDIR": str(places["tmp"]),
             "PYTHONDONTWRITEBYTECODE": "1", "PYTHONFAULTHANDLER": "1"},
    )  # fmt: skip
    taken = 0.0
    try:
        if delay is None:
            assert process.stdout is not None
            if name in ("lab", "simulator", "demo"):
                process.stdout.readline()
            else:
                time.sleep(1.0)
            taken = time.monotonic() - start
        else:
            time.sleep(delay)
        hit = process.poll() is None
        if hit:
            os.kill(process.pid, number)
        again = False
        try:
            if number == signal.SIGINT and hit:
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:  # lost in foreign code: numpy, or a destructor
                    again = True
                    process.send_signal(number)
            _, said = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # tells where (PYTHONFAULTHANDLER)
            said = process.communicate()[1].decode(errors="replace")
            raise AssertionError(f"{name} hangs after {number.name} after {delay}\n{said}") from None
    finally:
        process.kill()
        process.communicate()
    more = left(before)
    assert not more, f"{name}, {number.name} after {delay}: left behind {more}"
    cache = places["home"] / ".cache"  # of compiled loops, which are kept on purpose
    files = [path for path in folder.rglob("*") if path not in places.values()]
    files = [path for path in files if not (path.is_relative_to(cache) and (path.is_dir() or path.suffix == ".o"))]
    kept = [path for path in files if path.name == "captured.pcapng"]
    assert files == kept, f"{name}, {number.name} after {delay}: left files {files}"
    for path in kept:
        try:
            Capture(path, strict=number != signal.SIGKILL).count()
        except CaptureError:
            if path.stat().st_size:  # else nothing was in it yet
                raise
    text = said.decode(errors="replace")
    allowed = {signal.SIGINT: (130, -2, 1, 0), signal.SIGTERM: (-15, 130, 0), signal.SIGKILL: (-9,)}[number]
    assert not hit or process.returncode in (*allowed, 0), (name, number, delay, process.returncode, text)
    last = text.strip().rpartition("\n")[2]
    # numpy makes an ImportError of an interrupt while it is imported, and Python what it likes of one before it has begun.
    known = "KeyboardInterrupt|numpy|Fatal Python error: init_"
    assert not hit or process.returncode != 1 or re.search(known, last + text), (name, delay, text)
    ignored = "".join(re.findall(r"Exception ignored in: [^\n]*", text))
    how = f"ended by {process.returncode}{' the second time' * again} {printable(ignored[:80])}".rstrip()
    return (how if hit else "over before"), taken


def campaign(names: list[str], number: signal.Signals, count: int, seed: int) -> list[str]:
    """Run each scenario `count` times; return the report, a line a scenario. AssertionError with the first failure."""
    lines = []
    chance = random.Random(seed)
    for name in names:
        outcomes: Counter[str] = Counter()
        with tempfile.TemporaryDirectory() as folder:
            _, ready = run(name, signal.SIGKILL, None, Path(folder, "first"))
            for turn in range(count):
                delay = chance.uniform(0, 1.5 * ready)
                outcomes[run(name, number, delay, Path(folder, str(turn)))[0]] += 1
        reported = ", ".join(f"{many} {what}" for what, many in sorted(outcomes.items()))
        lines.append(f"{name:10} {number.name:8} {count:4} runs, nothing left behind: {reported}")
        print(lines[-1], flush=True)
    return lines


def inside(*words: str) -> list[str]:
    """Return the command that runs a campaign in a host of a lab, with shared memory of its own."""
    own = 'mount -t tmpfs tmpfs /dev/shm && exec "$@"'
    return ["unshare", "-m", "sh", "-c", own, "sh", sys.executable, "-m", "tests.link.signals", "--inside", *words]


def main() -> None:
    """Run a campaign inside a host of a lab."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(SCENARIOS)}; all unless given")
    parser.add_argument("--count", type=int, default=200, help="runs of each")
    parser.add_argument("--signal", default="INT", help="INT, TERM or KILL")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.inside:
        campaign(said.names or [*SCENARIOS], signal.Signals[f"SIG{said.signal}"], said.count, said.seed)
        return
    with Lab() as lab:
        command = inside(*sys.argv[1:])
        with lab.host("surroundings").popen(*command, cwd=ROOT, env={"PYTHONUNBUFFERED": "1"}) as program:
            while line := program.stdout.readline():
                print(line.decode(), end="", flush=True)
            status = program.wait()
            print(program.stderr.text, file=sys.stderr, end="")
    raise SystemExit(status)


if __name__ == "__main__":
    main()
