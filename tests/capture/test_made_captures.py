"""captures/: what captures/make.py makes is what lies there, byte for byte, and shows what its README says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from packetlab import ARP, IDP, PEX, RIP, SPP, UDP, Capture, Echo, Error, Ether, Opcode, bindings, malformed
from tests.conftest import ROOT

FOLDER = ROOT / "captures"
LIMIT = 100_000  # bytes of one


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_captures", FOLDER / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKE = load()


@pytest.mark.parametrize("name", MAKE.MADE)
def test_each_is_made_again_byte_for_byte(name: str, tmp_path: Path) -> None:
    MAKE.MADE[name](tmp_path / name)
    kept = (FOLDER / name).read_bytes()
    assert (tmp_path / name).read_bytes() == kept
    assert len(kept) < LIMIT


def test_the_readme_has_a_line_for_each_and_nothing_else_lies_there() -> None:
    listed = re.findall(r"^\| `([\w.-]+)` \|", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == list(MAKE.MADE)
    found = {path.name for path in FOLDER.iterdir()} - {"__pycache__"}
    assert found == {*listed, "README.md", "make.py", "corpus", "families"}  # of the folders: test_manifest.py


def test_another_seed_makes_another_conversation() -> None:
    frames = [[frame.data for frame in MAKE.lossy(seed).capture] for seed in (7, 7, 8)]
    assert frames[0] == frames[1] != frames[2]


def test_the_lossy_conversation_arrives_whole_though_frames_were_lost() -> None:
    capture = Capture(FOLDER / "spp-lossy.pcapng")
    said = {word for frame in capture for word in (frame.comment or "").split("; ")}
    assert {"lost", "duplicated", "reordered"} <= said
    (conversation,) = capture.conversations()
    # The capture is of what was sent, the lost as well, so nothing is missing in it.
    assert conversation.over == "END" and all(message.whole for message in conversation.messages)
    verses = [message.data for message in conversation.client.messages if message.datastream == 7]
    assert verses == [b"".join(b"line %d of a poem" % n for n in range(verse, verse + 6)) for verse in (0, 6, 12, 18)]


def test_the_tour_has_every_kind() -> None:
    packets = [frame.packet() for frame in Capture(FOLDER / "xns-tour.pcapng")]
    for kind in (RIP, Echo, PEX, Error, SPP):
        assert any(kind in packet for packet in packets)
    assert not any(packet.faults for packet in packets) and all(IDP in packet for packet in packets)


def test_the_beacons_bring_their_declaration() -> None:
    capture = Capture(FOLDER / "beacon.pcapng")
    assert all(packet.payload for packet in capture.packets())
    with bindings():
        beacon = capture.declarations[0].declare()
        packets = list(capture.packets())
        assert all(beacon in packet for packet in packets)
        assert [bool(packet.faults) for packet in packets] == [False] * 12 + [True] * 2


def test_the_page_is_put_together(tshark) -> None:
    path = FOLDER / "tcp-http.pcapng"
    (stream,) = Capture(path).streams()
    assert stream.whole and stream.server.data.endswith(b"line 39 of a poem that is read over TCP\n")
    seen = tshark(path, "tcp.analysis.lost_segment", "http.content_length")
    assert [row[0] for row in seen].count("1") == 1 and "1600" in [row[1] for row in seen]


def test_the_websocket_says_what_it_says(tshark) -> None:
    path = FOLDER / "websocket.pcapng"
    messages = [(m.by, m.opcode, m.data) for m in Capture(path).websocket_messages()]
    assert messages[:3] == [
        ("client", Opcode.PING, b"?"), ("server", Opcode.PONG, b"?"), ("client", Opcode.TEXT, "hello"),
    ]  # fmt: skip
    opcodes = ",".join(row[0] for row in tshark(path, "websocket.opcode") if row[0])
    assert opcodes == "1,9,10,0,1,2,8,8"


def test_the_gallery_is_the_catalogue_and_each_is_found_out() -> None:
    frames = list(Capture(FOLDER / "malformed.pcapng"))
    ether = Ether(dst=MAKE.B, src=MAKE.A)
    udp = malformed(ether / MAKE.IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1024, dport=9) / b"sound")
    for case, frame in zip(udp, frames, strict=False):
        assert frame.data == case.data and frame.comment.startswith(f"{case.id}: ")
        assert case.disagreements(frame.packet()) == []
    assert len(frames) > 3 * len(udp)


def test_the_fragments_are_put_together_as_far_as_they_can_be() -> None:
    whole = [(d.whole, d.parts) for d in Capture(FOLDER / "fragments.pcapng").datagrams()]
    assert whole == [
        (True, (1, 2, 3)), (True, (4, 5, 6)), (True, (7, 8, 9)), (True, (12, 13, 14)), (False, (10,)), (False, (11,)),
    ]  # fmt: skip


def test_every_tunnel_is_seen_through(tshark) -> None:
    path = FOLDER / "tunnels.pcapng"
    packets = list(Capture(path).packets())
    assert not any(packet.faults for packet in packets)
    assert sum(packet.payload == b"inside" for packet in packets) == 10 and ARP in packets[10]
    ports = [row[0] for row in tshark(path, "udp.dstport")]
    assert ports == ["9"] * 9 + ["4789,9", "", "9"]
