"""What rewriting finds in frames through the scan, held to what the same frames show as objects."""

from __future__ import annotations

from typing import Any

import pytest

from packetlab import (
    U8,
    U16,
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
    size_of,
)
from packetlab.bulk.scan_places import PlacesScan
from packetlab.capture.batch import FrameBatch
from packetlab.capture.rewrite.located import Located
from tests.capture.test_rewrite import stack
from tests.conftest import CORPUS

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


def found(some: FrameBatch) -> dict[str, Any]:
    """Return all that is found, in an order that does not depend on the way."""
    what = Located(some, some.starts + some.sizes, ASKED)
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


def test_every_length_follows_where_packets_are_cut() -> None:
    """Of known headers and of one's own: what says how long a packet is."""
    from packetlab import PPP, UDP, PPPoE

    with bindings():

        class Box(Header, under=UDP, when={"dport": 7777}):
            kind: U8 = 1
            length: U16 = auto(size_of("self") + size_of("payload"))
            who: IPv4Address = default("10.0.0.9")

        inner = IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(dport=7777) / Box() / bytes(100)
        for packet in (Ether() / inner, Ether() / PPPoE() / PPP() / inner):
            (frame,) = Capture.of([packet]).rewrite(mtu=60)
            assert not frame.packet().faults and frame.packet()[Box].length < packet[Box].length
