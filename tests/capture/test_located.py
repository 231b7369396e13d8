"""What rewriting finds in frames through the scan, held to what the same frames show as objects."""

from __future__ import annotations

import random
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from packetlab import (
    MAC,
    U8,
    U16,
    UDP,
    Capture,
    CaptureError,
    Ether,
    Frame,
    Header,
    IPv4,
    IPv4Address,
    auto,
    bindings,
    default,
    field,
    internet_checksum,
    size_of,
    when,
)
from packetlab.bulk.scan_places import PlacesScan
from packetlab.capture import loops
from packetlab.capture.batch import FrameBatch
from packetlab.capture.rewrite.located import Located
from packetlab.capture.rewrite.loop import USUAL, Loops
from packetlab.protocols.linktypes import first_header
from tests.capture.test_rewrite import stack
from tests.conftest import CORPUS, ROOT

ASKED = {"sums", "lengths", "link", "ends"}
FILES = sorted(path.name for path in CORPUS.iterdir() if ".pcap" in path.name)
MOST = 60  # frames of a file


def batch(name: str) -> FrameBatch:
    frames = []
    try:
        for frame in Capture(CORPUS / name):
            frames.append(frame)
            if len(frames) == MOST:
                break
    except CaptureError:
        pass  # a damaged file: what is whole counts
    return FrameBatch.of(frames)


def found(some: FrameBatch, wanted: set[str] = ASKED, loops: Loops | None = None) -> dict[str, Any]:
    """Return all that is found, in an order that does not depend on the way."""
    what = Located(some, some.starts + some.sizes, wanted, loops)
    sums = what.sums
    plain = {}
    for number, one in enumerate(zip(*(array.tolist() for array in sums), strict=True)):
        _, at, first, end, *pseudo, optional, whole, _ = one
        if number not in what.rules:
            none = bool(optional) and not some.data[at : at + 2].any()  # no checksum: nothing to be whole
            plain[number] = (at, first, end, *(pseudo if pseudo[2] else ()), bool(whole) or none)
    name_of: dict[int, Any] = {-1: None}
    for number in range(len(sums.at)):
        name_of[number] = plain[number][:3] if number in plain else what.rules[number].at

    def named(*arrays: Any) -> list[Any]:
        *more, around = arrays
        return sorted((*map(int, one[:-1]), str(name_of[int(one[-1])])) for one in zip(*more, around, strict=True))

    ends = what.ends
    return {
        "macs": named(what.macs.at, what.macs.role, what.macs.around),
        "ips4": named(what.ips4.at, what.ips4.role, what.ips4.around),
        "ips6": named(what.ips6.at, what.ips6.role, what.ips6.around),
        "ports": named(*what.ports),
        "lengths": named(what.lengths.row, what.lengths.at, what.lengths.base, what.lengths.around),
        "networks": named(what.networks.at, what.networks.version, what.networks.around),
        "sums": sorted(plain.values()),
        "rules": sorted(rule._replace(around=0) for rule in what.rules.values()),
        "link": list(zip(what.link_end.tolist(), what.link_type.tolist(), strict=True)),
        "ends": [list(map(int, one)) for one in (ends.source, ends.target, ends.sport, ends.dport, ends.piece)],
        "left": +what.left,
    }


def held_to_objects(some: FrameBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    scanned = found(some)

    def unfit(self: PlacesScan, first: Any, rows: Any, *more: Any) -> list[Any]:
        self.unfit[rows] = True
        return []

    with monkeypatch.context() as patch:
        patch.setattr(PlacesScan, "walk", unfit)
        shown = found(some)
    for what, one in scanned.items():
        assert one == shown[what], what


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_the_scan_finds_what_objects_show(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held_to_objects(batch(name), monkeypatch)


@pytest.mark.parametrize("packet", [*stack(), *stack(wrong=True)], ids=lambda packet: packet.summary())
def test_the_scan_finds_in_whole_and_cut_frames_what_objects_show(packet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bytes(packet)
    sizes = [len(whole), *range(len(whole) - 1, 13, -5)]
    frames = [Frame(whole[:size], 0, wire_length=length) for size in sizes for length in (size, len(whole))]
    held_to_objects(FrameBatch.of(frames), monkeypatch)


@pytest.fixture
def plain_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let loops be used whatever it costs, in plain Python."""

    @cache
    def compiled(source: str) -> Any:
        names: dict[str, Any] = {"int64": int}
        exec(source, names)
        return names[source.split("(")[0].removeprefix("def ")]

    monkeypatch.setattr(loops, "compiled", compiled)
    monkeypatch.setattr(loops, "worth_any", lambda *_: True)
    monkeypatch.setattr(loops, "worth", lambda *_: True)


@pytest.mark.usefixtures("plain_loops")
@pytest.mark.parametrize("packet", [*stack(), *stack(wrong=True)], ids=lambda packet: packet.summary())
def test_the_loop_finds_in_whole_and_cut_frames_what_the_scan_finds(packet: Any) -> None:
    whole = bytes(packet)
    sizes = [len(whole), *range(len(whole) - 1, 0, -3)]
    frames = [Frame(whole[:size], 0, wire_length=length) for size in sizes for length in (size, len(whole))]
    some = FrameBatch.of(frames)
    assert found(some, {"sums"}, Loops(None)) == found(some, {"sums"})


@pytest.mark.usefixtures("plain_loops")
def test_the_loop_finds_in_frames_with_bytes_changed_at_random_what_the_scan_finds() -> None:
    noise = random.Random(1)
    packets = [bytes(packet) for packet in (*stack(), *stack(wrong=True))]
    frames = []
    for _ in range(300):
        data = bytearray(noise.choice(packets))
        for _ in range(noise.randrange(4)):
            data[noise.randrange(min(len(data), 80))] = noise.choice((0, 1, 4, 6, 17, 58, 255, noise.randrange(256)))
        size = noise.choice((len(data), noise.randrange(1, len(data) + 1)))
        frames.append(Frame(bytes(data[:size]), 0, wire_length=size + noise.choice((0, 0, 20))))
    some = FrameBatch.of(frames)
    assert found(some, {"sums"}, Loops(None)) == found(some, {"sums"})


IN_BOTH_WAYS = """
import sys
from packetlab import Capture
from packetlab.capture import loops

how = {"ip": {"0.0.0.0/1": "10.0.0.0/8"}, "ports": {53: 5353, 80: 8080}}
worth, worth_any = loops.worth, loops.worth_any
for path in sys.argv[2:]:
    loops.worth, loops.worth_any = worth, worth_any
    Capture(path).rewrite(**how).write(f"{sys.argv[1]}/rows")
    loops.worth = loops.worth_any = lambda *_: True
    Capture(path).rewrite(**how).write(f"{sys.argv[1]}/loops")
    assert open(f"{sys.argv[1]}/loops", "rb").read() == open(f"{sys.argv[1]}/rows", "rb").read() != open(path, "rb").read()
print(len(loops._ready))
"""


@pytest.mark.slow  # it is compiled, once
def test_what_is_rewritten_by_compiled_loops_is_what_is_rewritten_without(tmp_path: Path) -> None:
    """In a program of its own: where tests declare headers the loop goes over them, and is another one to compile."""
    pytest.importorskip("numba")
    command = [sys.executable, "-c", IN_BOTH_WAYS, str(tmp_path), str(CORPUS / "web.pcap"), str(CORPUS / "dns53.pcap")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == "5\n", done.stderr  # the loop, and the four that go with it


@pytest.mark.usefixtures("plain_loops")
def test_the_loop_finds_in_recorded_frames_what_the_scan_finds() -> None:
    by_loop = 0
    for name in FILES:
        some = batch(name)
        if len(some):
            assert found(some, {"sums"}, Loops(None)) == found(some, {"sums"}), name
        for place, interface in enumerate(some.interfaces):
            rows = np.flatnonzero(some.which == place)
            first, ends = first_header(interface.linktype), some.starts + some.sizes
            if first is not None and first._declaration in USUAL and len(rows):
                by_loop += len(rows) - len(
                    Loops(None).locate(some, first._declaration, rows, ends, some.wire_sizes > some.sizes, 0)[1]
                )
    assert by_loop > 300


@pytest.mark.usefixtures("plain_loops")
def test_the_loop_goes_over_headers_of_ones_own_too() -> None:
    with bindings():

        class Own(Header, under=UDP, when={"dport": 7777}):
            flags: U8 = 0
            size: U8 = auto(size_of("payload"))
            checksum: U16 = auto(internet_checksum("self", "payload"))
            who: IPv4Address = when(field("flags") == 1)

        class Upper(Header, under=Own, when={"flags": 1}):
            station: MAC
            sport: U16
            dport: U16

        lower = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(dport=7777)
        packets = [
            lower / Own() / b"abc",
            lower / Own(flags=1, who="10.0.0.7") / Upper(station="02:00:00:00:00:01", sport=5, dport=6),
            lower / Own(checksum=9),
        ]
        frames = []
        for whole in map(bytes, packets):
            frames += [Frame(whole[:size], 0, wire_length=len(whole)) for size in range(len(whole), 40, -1)]
        some = FrameBatch.of(frames)
        rows, ends = np.arange(len(some)), some.starts + some.sizes
        missing = some.wire_sizes > some.sizes
        assert found(some, {"sums"}, Loops(None)) == found(some, {"sums"})
        _, left = Loops(None).locate(some, Ether._declaration, rows, ends, missing, 0)
        assert missing[left].all()  # such as end inside a header


def test_every_length_follows_where_packets_are_cut() -> None:
    """Of known headers and of one's own: what says how long a packet is."""
    from packetlab import PPP, PPPoE

    with bindings():

        class Box(Header, under=UDP, when={"dport": 7777}):
            kind: U8 = 1
            length: U16 = auto(size_of("self") + size_of("payload"))
            who: IPv4Address = default("10.0.0.9")

        inner = IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(dport=7777) / Box() / bytes(100)
        for packet in (Ether() / inner, Ether() / PPPoE() / PPP() / inner):
            (frame,) = Capture.of([packet]).rewrite(mtu=60)
            assert not frame.packet().faults and frame.packet()[Box].length < packet[Box].length
