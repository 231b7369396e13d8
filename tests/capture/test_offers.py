"""Declarations travel in the file: other tools read it all the same, and opening it declares nothing."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import packetlab as pl
from packetlab import (
    U4,
    U16,
    U32,
    Capture,
    CaptureError,
    DeclareError,
    Ether,
    Frame,
    Header,
    IPv4,
    Rest,
    Writer,
    auto,
    bindings,
    size_of,
)
from packetlab.capture.files.declarations import OPTION, PIECE
from packetlab.declare import registry as registry
from tests.capture.test_formats import block, described, option, packet, read
from tests.capture.test_writing import run
from tests.conftest import CORPUS

BODY = '''class Beacon(Header, under=Ether, when={"type": 0x88b5}):
    """A made-up beacon carried straight over Ethernet."""

    version: U4 = 1
    urgency: U4 = 0
    length: U16 = auto(size_of("self"))
    station: U32
    note: Rest = b\'\''''
NUMBER = struct.pack("<I", 32473)


def beacon() -> type[Header]:
    class Beacon(Header, under=Ether, when={"type": 0x88B5}):
        """A made-up beacon carried straight over Ethernet."""

        version: U4 = 1
        urgency: U4 = 0
        length: U16 = auto(size_of("self"))
        station: U32
        note: Rest = b""

    return Beacon


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with bindings():
        mine = beacon()
        with Writer(tmp_path / "beacons.pcapng", declare=[mine]) as writer:
            for i in range(3):
                writer.write(Frame(bytes(Ether() / mine(station=i, note=b"hello")), i))
    return tmp_path / "beacons.pcapng"


def section(*options: bytes) -> bytes:
    return block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + b"".join(options) + bytes(4))


def piece(text: bytes, number: int = 1, of: int = 1) -> bytes:
    return option(OPTION, NUMBER + b"packetlab declarations 1, piece %d of %d: " % (number, of) + text)


def test_a_file_offers_what_was_declared_and_opening_it_declares_nothing(path: Path) -> None:
    capture = Capture(path)
    first = capture[0].packet()
    assert [type(layer).__name__ for layer in first.layers] == ["Ether"]
    (offered,) = capture.declarations
    assert (offered.name, str(offered)) == ("Beacon", BODY) and str(capture.declarations) == BODY
    assert "Beacon" not in [header.name for header in registry.declared()]
    with bindings():
        made = offered.declare()
        assert [packet[made].station for packet in capture.packets()] == [0, 1, 2]
        assert capture.where(made(station=2)).count() == 1
    assert capture[0].packet().layers == first.layers


def test_parts_know_what_the_whole_offers_and_keep_it(path: Path, tmp_path: Path) -> None:
    capture = Capture(path)
    assert [one.name for one in capture[1:].where(Ether).declarations] == ["Beacon"]
    capture[1:].write(tmp_path / "part.pcapng")
    capture.write(tmp_path / "copy.pcapng")
    for name in ("part.pcapng", "copy.pcapng"):
        assert str(Capture(tmp_path / name).declarations) == BODY
    assert Capture(CORPUS / "web.pcap").declarations == () == Capture.of([]).declarations


def test_write_declares_too_and_in_place_of_what_was_offered(path: Path, tmp_path: Path) -> None:
    with bindings():

        class Other(Header, under=Ether, when={"type": 0x88B6}):
            a: U16 = 0

        assert Capture(path).write(tmp_path / "other.pcapng", declare=[Other]) == 3
        assert Capture(CORPUS / "web.pcap")[:2].write(tmp_path / "web.pcapng", declare=[Other]) == 2
    assert [one.name for one in Capture(tmp_path / "other.pcapng").declarations] == ["Other"]
    assert [one.name for one in Capture(tmp_path / "web.pcapng").declarations] == ["Other"]
    with pytest.raises(CaptureError, match="pcapng to hold"):
        Capture(path).write(tmp_path / "no.pcap", declare=[IPv4])


@pytest.mark.slow
def test_other_tools_read_the_file_and_those_that_rewrite_it_keep_the_offer(path: Path, tmp_path: Path, tshark) -> None:
    assert [row[0] for row in tshark(path, "frame.number")] == ["1", "2", "3"]
    assert run("tcpdump", "-nr", path).count("(0x88b5)") == 3
    run("editcap", path, tmp_path / "edited.pcapng")
    run("mergecap", "-a", "-w", tmp_path / "merged.pcapng", path, path)
    run("tshark", "-r", path, "-w", tmp_path / "saved.pcapng")
    for name, count in (("edited", 3), ("merged", 6), ("saved", 3)):
        capture = Capture(tmp_path / f"{name}.pcapng")
        assert capture.count() == count and str(capture.declarations) == BODY


@pytest.mark.slow
def test_many_declarations_go_in_pieces(tmp_path: Path, tshark) -> None:
    everything = [
        header
        for header in registry.declared()
        if header.module.startswith("packetlab.") and header is not pl.Routing._declaration
    ]
    with bindings():
        long = type(Header)(
            "Long",
            (Header,),
            {"__annotations__": {}, "__module__": __name__, "__qualname__": "Long", "__doc__": "x" * 50_000},
        )
        with Writer(tmp_path / "all.pcapng", declare=[*everything, long]) as writer:
            writer.write(Frame(b"x" * 60))
    names = [one.name for one in Capture(tmp_path / "all.pcapng").declarations]
    assert set(names) == {*(header.name for header in everything), long.__name__}
    options = [value for code, value in next(Capture(tmp_path / "all.pcapng").metadata()).options if code == OPTION]
    assert len(options) == 2 and len(options[0]) > PIECE
    assert tshark(tmp_path / "all.pcapng", "frame.len") == [["60"]]


def test_a_pipe_tells_what_it_offers_with_its_first_frame(path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, path.read_bytes())
    os.close(writing)
    with open(reading, "rb") as file:
        capture = Capture(file)
        with pytest.raises(CaptureError, match="a first frame read"):
            capture.declarations  # noqa: B018
        assert len(list(capture)) == 3 and [one.name for one in capture.declarations] == ["Beacon"]


def test_a_clash_names_both_and_the_frames_still_read(path: Path) -> None:
    with bindings():

        class Rival(Header, under=Ether, when={"type": 0x88B5}):
            a: U16 = 0

        with pytest.raises(DeclareError, match=r"Beacon under Ether: expected a free number .*0x88b5.*, got .*Rival"):
            Capture(path).declarations.declare()
        assert Rival in Capture(path)[0].packet()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([piece(b"not json")], "declarations: expected JSON"),
        ([piece(b"[" * 30_000)], "declarations: expected JSON"),
        ([piece(b"[{}]")], "the name of a header"),
        ([piece(b"[]", 1, 2)], "all pieces of a declaration, got 1"),
        ([piece(b"[]", 2, 2)], "whole pieces, one after the other"),
        ([piece(b"[]", 1, 0)], "whole pieces, one after the other"),
        ([option(OPTION, NUMBER + b"packetlab declarations 1, ?")], "whole pieces"),
        (
            [piece(b'[{"name":"A","fields":[]}]'), piece(b'[{"name":"A","fields":[],"doc":"x"}]')],
            "one declaration of each name",
        ),
    ],
)
def test_a_hostile_offer_is_a_capture_error_and_the_frames_still_read(options: list[bytes], complaint: str) -> None:
    capture = read(section(*options) + described() + packet(0, 5))
    with pytest.raises(CaptureError, match=complaint):
        capture.declarations  # noqa: B018
    assert [frame.data for frame in capture] == [b"data"]


def test_an_offer_with_code_in_it_runs_nothing() -> None:
    run_it = "__import__('sys').modules.setdefault('owned', 1)"
    rows = [
        {"name": f"a={run_it}", "kind": "int", "bits": 8},
        {"name": "b", "kind": "int", "bits": 8, "rule": ["field", run_it]},
    ]
    for row in rows:
        capture = read(
            section(piece(json.dumps([{"name": "Evil", "fields": [row]}]).encode())) + described() + packet(0, 5)
        )
        (offered,) = capture.declarations
        assert "expected a name" in str(offered) or "fitting" in str(offered)
        with pytest.raises(DeclareError):
            offered.declare()
    assert "owned" not in sys.modules


def test_a_class_that_cannot_travel_is_refused_before_a_file_is_made(tmp_path: Path) -> None:
    with pytest.raises(DeclareError, match="which is code"):
        Writer(tmp_path / "none.pcapng", declare=[pl.Routing])
    assert not (tmp_path / "none.pcapng").exists()


@pytest.mark.slow
def test_the_command_line_prints_what_a_file_offers(path: Path, tmp_path: Path) -> None:
    def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
        here = Path(__file__).parent.parent.parent
        return subprocess.run(
            [sys.executable, "-m", "packetlab", "declarations", *map(str, words)],
            capture_output=True,
            text=True,
            cwd=here,
        )

    done = command(path)
    assert (done.returncode, done.stdout) == (0, BODY + "\n")
    done = command(CORPUS / "web.pcap")
    assert (done.returncode, done.stdout) == (1, "")
    evil = json.dumps(
        [{"name": "Evil", "doc": "\x1b]0;owned\x07", "fields": []}, {"name": "Worse", "fields": "\x1b"}]
    ).encode()
    (tmp_path / "evil.pcapng").write_bytes(section(piece(evil)) + described())
    done = command(tmp_path / "evil.pcapng")
    assert done.returncode == 0 and "\x1b" not in done.stdout and "owned" in done.stdout
