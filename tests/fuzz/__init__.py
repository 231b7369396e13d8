"""Mutation fuzzing: recorded frames and capture files, changed at random, through everything that takes them.

What has to hold: the bytes of a dissected frame are the frame; columns and filters say what the objects say; batches are
what iteration gives; nothing is raised but packetlab's own errors. One seed gives one sequence of runs, and each run its
own, so that a failure can be repeated alone. By hand, from the top of the repository:

    python -m tests.fuzz --runs 20000 --seconds 600 --seed 1
"""

from __future__ import annotations

import io
import random
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from packetlab import Capture, Frame, Packet, PacketlabError
from packetlab.bulk.columns import column
from packetlab.capture.frame import InterfaceDescription
from packetlab.capture.tables.columns import Columns
from tests.capture.test_pushdown import WORDS
from tests.capture.test_table import MANY
from tests.view.cells import cell

CAPTURES = Path(__file__).parent.parent.parent / "captures"
GROUP = 80  # frames of one capture
FILES = 20  # files that are changed in a row
LARGEST = 4000  # bytes of a frame that is taken
COLUMNS = tuple(name for name in MANY if isinstance(name, str))
EDGES = (0, 1, 2, 4, 5, 6, 8, 17, 41, 43, 44, 47, 60, 0x45, 0x60, 0x7F, 0x80, 0xFE, 0xFF)
REWRITES: tuple[dict[str, Any], ...] = (
    {"ttl": 3}, {"ttl": "+1", "fixcsum": True}, {"ip": {"10.0.0.0/8": "192.168.0.0/16"}}, {"ports": {80: 8080}}, {"anonymise": 7},
    {"mac": {"02:00:00:00:00:01": "02:00:00:00:00:09"}}, {"vlan_push": 5}, {"vlan_pop": True}, {"mtu": 200}, {"fixlen": "pad"},
    {"src_mac": "02:00:00:00:00:01", "tos": 1, "fixlen": "trunc"},
)  # fmt: skip


@dataclass
class Failure:
    """One run that went wrong: its seed, at what, and how."""

    seed: int
    what: str
    said: str
    data: bytes

    def __str__(self) -> str:
        return f"--only {self.seed}: {self.what}: {self.said}\n  {self.data[:400].hex()}"


@dataclass
class Outcome:
    """What came of a number of runs. `refused`: how often packetlab's own errors answered, by what was called."""

    seed: int
    runs: int = 0
    checks: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {self.runs} runs, {sum(self.checks.values())} checks, {len(self.failures)} failures"
        ]
        lines += [f"  {what}: {count}, {self.refused[what]} refused" for what, count in sorted(self.checks.items())]
        return "\n".join([*lines, *map(str, self.failures)])


def recorded(folder: Path = CAPTURES) -> tuple[list[Frame], list[bytes]]:
    """Return different frames of all captures, and the small ones of the files themselves."""
    frames: dict[tuple[int, bytes], Frame] = {}
    files = []
    for path in sorted(path for path in folder.rglob("*") if ".pcap" in path.name):
        if path.stat().st_size < 100_000:
            files.append(path.read_bytes())
        for frame in Capture(path, strict=False)[:60]:
            if len(frame.data) <= LARGEST:
                frames.setdefault((frame.linktype, frame.data), frame)
    return list(frames.values()), files


def mutated(noise: random.Random, data: bytes, others: Callable[[], bytes]) -> bytes:
    """Return bytes changed in one to four places."""
    made = bytearray(data)
    for _ in range(noise.choice((1, 1, 2, 4))):
        at = min(int(noise.expovariate(1 / 30)) if noise.random() < 0.7 else noise.randrange(len(made) + 1), len(made))
        some = noise.choice((1, 1, 2, 4, 8, 20))
        match noise.randrange(8):
            case 0 if at < len(made):
                made[at] ^= 1 << noise.randrange(8)
            case 1 if at < len(made):
                made[at] = noise.choice(EDGES)
            case 2:
                made[at : at + some] = noise.randbytes(some)
            case 3:
                del made[at:]
            case 4:
                del made[at : at + some]
            case 5:
                made[at:at] = made[max(0, at - some) : at] * noise.choice((1, 1, 5))
            case 6:
                made[at:] = others()[at:]
            case 7:
                made += noise.randbytes(some)
    return bytes(made[: 2 * LARGEST])


class Fuzzer:
    """Runs of one kind after another; see `fuzz`."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.frames, self.files = recorded()
        self.seed = 0

    def check(self, what: str, data: bytes, work: Callable[[], Any]) -> None:
        """Do something; anything but packetlab's own errors is a failure."""
        self.outcome.checks[what] += 1
        try:
            work()
        except PacketlabError:
            self.outcome.refused[what] += 1
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{type(error).__name__}: {str(error)[:300]} ({Path(place.filename).name}:{place.lineno})"
            self.outcome.failures.append(Failure(self.seed, what, said, data))

    # Frames --------------------------------------------------------------------------------------------------------

    def group(self, seed: int, only: bool = False) -> int:
        """Change some frames, and look at each and at all together; return how many."""
        self.seed = seed
        noise = random.Random(seed)
        made = []
        time = 0
        for _ in range(GROUP):
            one = noise.choice(self.frames)
            data = mutated(noise, one.data, lambda: noise.choice(self.frames).data)
            time += noise.choice((0, 1000, 10**6, 10**9))
            interface = InterfaceDescription(
                one.linktype if noise.random() < 0.95 else noise.choice((0, 1, 9, 101, 104, 113, 50, 195, 65535))
            )
            wire = len(data) + noise.choice((0, 0, 0, 0, 1, 100))
            made.append(Frame(data, time, wire_length=wire, interface=interface))
        for frame in made:
            self.one(noise, frame)
        self.together(noise, made)
        return len(made)

    def one(self, noise: random.Random, frame: Frame) -> None:
        data = frame.data
        found: list[Packet] = []

        def dissect() -> None:
            found.append(frame.packet())
            assert bytes(found[0]) == data, f"bytes(dissect(b)) is {bytes(found[0]).hex()}"

        self.check("dissect", data, dissect)
        if not found:
            return
        packet = found[0]
        if noise.random() < 0.5:
            self.check("show", data, lambda: str(packet.show()))
        self.check("text", data, lambda: (repr(packet), str(packet), packet.faults))
        if noise.random() < 0.1:
            self.check("html", data, lambda: cell(packet))
        if noise.random() < 0.05:
            self.check("deep", data, lambda: str(packet.deep()))
            self.check("scapy", data, lambda: bytes(packet.to_scapy()))
            self.check("dpkt", data, lambda: bytes(packet.to_dpkt()))
        if packet.layers:
            layer = noise.choice(packet.layers)
            names = list(type(layer)._by_name)
            if names:
                name = noise.choice(names)
                self.check("replace", data, lambda: bytes(packet.replace(type(layer), **{name: getattr(layer, name)})))
                if noise.random() < 0.25:
                    self.check("why", data, lambda: str(packet.why(type(layer), name)))

    def together(self, noise: random.Random, frames: list[Frame]) -> None:
        memory = Capture.of(frames)
        out = io.BytesIO()
        self.check("write", b"", lambda: memory.write(out))
        data = out.getvalue()

        def file() -> Capture:
            return Capture(io.BytesIO(data))

        self.check("read", data, lambda: _same(list(memory), list(file())))
        names = COLUMNS[noise.randrange(6) :: 6]
        self.check("columns", data, lambda: _columns_agree(file(), names))
        for words in noise.sample(WORDS, 2):
            self.check("where", data, lambda words=words: _same(list(memory.where(words)), list(file().where(words))))  # type: ignore[misc]
        self.check("rewrite", data, lambda: [f.packet() for f in file().rewrite(**noise.choice(REWRITES))])
        self.check("streams", data, lambda: [(s.events, s.client.data, list(s.turns())) for s in file().streams()])
        self.check("datagrams", data, lambda: [(d.parts, d.events) for d in file().datagrams()])
        self.check("conversations", data, lambda: [(c.events, c.messages) for c in file().conversations()])
        self.check("websockets", data, lambda: [(m.kind, m.data) for m in file().websocket_messages()])
        self.check("sides", data, lambda: list(file().sides(noise.choice(("first", "port")))))
        self.check("exchanges", data, lambda: str(_exchanges(file())))
        self.check("ladder", data, lambda: str(_ladder(file())))

    # Files ---------------------------------------------------------------------------------------------------------

    def some_files(self, seed: int) -> int:
        """Change some capture files, and read each in every way; return how many."""
        self.seed = seed
        noise = random.Random(seed)
        for _ in range(FILES):
            self.file(noise)
        return FILES

    def file(self, noise: random.Random) -> None:
        data = mutated_file(noise, noise.choice(self.files))

        def capture() -> Capture:
            return Capture(io.BytesIO(data), strict=False)

        def read() -> None:
            frames = list(capture())
            found = [frame for batch in capture().batches() for frame in batch]
            _same(frames, found)
            assert [f.number for f in frames] == [f.number for f in found] == list(range(1, len(frames) + 1))
            one, other = capture(), capture()
            assert (sum(1 for _ in one), sum(map(len, other.batches()))) == (len(frames),) * 2
            assert [str(fault) for fault in one.faults] == [str(fault) for fault in other.faults]

        def copy() -> None:
            out = io.BytesIO()
            kept = capture()
            count = kept.write(out)
            assert count == Capture(io.BytesIO(out.getvalue())).count() or kept.faults

        self.check("file", data, read)
        self.check("file: notes", data, lambda: [str(note) for note in capture().metadata()])
        self.check("file: blocks", data, lambda: [bytes(block) for block in capture().blocks()])
        self.check("file: declarations", data, lambda: str(capture().declarations))
        self.check("file: strict", data, lambda: list(Capture(io.BytesIO(data))))
        self.check("file: write", data, copy)
        self.check(
            "file: table", data, lambda: capture().table("number", "time_ns", "interface", "comment", "ip.src").read()
        )


def mutated_file(noise: random.Random, data: bytes) -> bytes:
    """Return a file changed in some places: anywhere, but most of all in lengths and counts, which stand in fours."""
    made = bytearray(data)
    for _ in range(noise.choice((1, 2, 3))):
        at = noise.randrange(len(made) + 1) if noise.random() < 0.6 else min(int(noise.expovariate(1 / 60)), len(made))
        match noise.randrange(5):
            case 0 if at < len(made):
                made[at] ^= 1 << noise.randrange(8)
            case 1:
                at -= at % 4
                made[at : at + 4] = noise.choice((0, 1, 8, 12, 28, 32, 255, 65535, 1 << 26, 0xFFFFFFFF)).to_bytes(
                    4, "little"
                )
            case 2:
                del made[at:]
            case 3:
                del made[at : at + noise.choice((1, 4, 12, 32))]
            case 4:
                made[at:at] = noise.randbytes(noise.choice((1, 4, 12)))
    return bytes(made)


def _same(one: list[Frame], other: list[Frame]) -> None:
    assert len(one) == len(other), f"{len(one)} frames and {len(other)}: {_numbers(one)} and {_numbers(other)}"
    for ours, theirs in zip(one, other, strict=True):
        assert ours == theirs, f"{ours!r} and {theirs!r}"


def _numbers(frames: Iterable[Frame]) -> list[int]:
    return [frame.number for frame in frames][:20]


def _columns_agree(capture: Capture, names: tuple[str, ...]) -> None:
    columns = [column(name) for name in names]
    found = Columns.joined(list(columns), list(capture.table(*names, engine="rows").batches(rows=7)))
    for row, frame in enumerate(capture):
        packet = frame.packet()
        for one in columns:
            value, there = one.value(packet), bool(found.valid(one.name)[row])
            if one.form == "present":
                assert bool(found[one.name][row]) == bool(value), f"{one.name} of frame {frame.number}"
            else:
                assert there == (value is not None), f"{one.name} of frame {frame.number}: there is {value!r}"
                got = found[one.name][row]
                got = got.tolist() if hasattr(got, "tolist") else got
                assert not there or got == value, f"{one.name} of frame {frame.number}: {got!r}, not {value!r}"


def _exchanges(capture: Capture) -> Any:
    from packetlab import exchanges

    return exchanges(capture)


def _ladder(capture: Capture) -> Any:
    from packetlab import ladder

    return ladder(capture)


def fuzz(runs: int, seconds: float, seed: int, only: int | None = None) -> Outcome:
    """Run this many times, or until the time is out: a run is one changed frame or one changed file."""
    outcome = Outcome(seed)
    fuzzer = Fuzzer(outcome)
    end = monotonic() + seconds
    step = seed << 32 if only is None else only
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module="scapy")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        while outcome.runs < runs and monotonic() < end and len(outcome.failures) < 50:
            outcome.runs += fuzzer.some_files(step) if step % 4 == 3 else fuzzer.group(step)
            step += 1
            if only is not None:
                break
    return outcome
