"""`packetlab follow`: what it prints of a capture, and that nothing in it acts on a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from packetlab import Capture
from packetlab.cli import main
from tests.capture.reassembly.segments import Line
from tests.conftest import CORPUS, ORACLE


def said(capsys, *words: str) -> str:
    assert main(["follow", *words]) == 0
    return capsys.readouterr().out


def test_without_a_number_all_streams_are_listed(capsys) -> None:
    lines = said(capsys, str(CORPUS / "raw_ip.pcap")).splitlines()
    assert len(lines) == 6 and "10.0.0.1:55469 (2710 bytes) - 82.102.152.19:80 (0 bytes)" in lines[2]
    assert "1 holes" in lines[2]


def test_a_stream_is_printed_turn_by_turn(capsys) -> None:
    out = said(capsys, str(CORPUS / "one_http_stream_fin.pcap"), "tcp", "-n", "0").splitlines()
    assert out[0] == "> GET /softw/90/update/avg9infoavi.ctf HTTP/1.1"
    assert "< HTTP/1.1 200 OK" in out and out.index("> Host: backup.avg.cz") < out.index("< HTTP/1.1 200 OK")
    only = said(capsys, str(CORPUS / "one_http_stream_fin.pcap"), "-n", "0", "--from", "server")
    assert only.startswith("< HTTP/1.1 200 OK") and "> " not in only[:2]


def test_bytes_are_written_as_they_are(capsys, tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    assert said(capsys, str(CORPUS / "one_http_stream_fin.pcap"), "-n", "0", "-w", str(path)) == ""
    assert path.read_bytes() == (ORACLE / "one_http_stream_fin.pcap.output.txt").read_bytes()


def test_holes_and_what_happened_are_reported_and_nothing_acts_on_the_terminal(capsys, tmp_path: Path) -> None:
    line = Line()
    line.open()
    line.put(0, b"\x1b[31mred\x07\n")
    line.put(20, b"later \xff\x85")
    line.put(20, b"later \xff\x85")
    Capture.of(line.frames).write(tmp_path / "x.pcap")
    out = said(capsys, str(tmp_path / "x.pcap"), "-n", "0")
    assert out.splitlines() == [
        r"> \x1b[31mred\x07",
        "> [10 bytes are missing here]",
        r"> later \xff\x85",
        "! frame 6: client retransmission, 8 bytes at 20",
        "! client hole, 10 bytes at 10",
    ]


def test_messages_of_spp_and_websockets_are_printed(capsys) -> None:
    out = said(capsys, str(CORPUS / "dodo_checksums.pcap"), "spp", "-n", "0")
    assert "> [datastream 5]" in out and "< [attention]" in out and "! frame 83: client end, 1 packets at 22" in out
    out = said(capsys, str(CORPUS / "two-binary-fragments.pcap"), "websocket", "-n", "0")
    assert out.splitlines()[4:8] == ["> [binary]", "> Hello Zeek!", "< [binary]", "< Hello there!"]
    assert said(capsys, str(CORPUS / "two-binary-fragments.pcap"), "websocket").startswith("/  ")
    assert "4865 6c6c 6f20" in said(capsys, str(CORPUS / "two-binary-fragments.pcap"), "websocket", "-n", "0", "-x")


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["web.pcap", "-n", "99"], 1, "expected tcp stream 99, got none"),
        (["web.pcap", "-w", "x"], 2, "expected -n N with -w"),
        (["web.pcap", "-n", "0", "-w", "web.pcap"], 2, "expected another file"),
        (["nothing.pcap"], 2, "nothing.pcap"),
    ],
)
def test_wrong_calls_are_reported(capsys, monkeypatch, words, status, complaint) -> None:
    monkeypatch.chdir(CORPUS)
    assert main(["follow", *words]) == status
    assert complaint in capsys.readouterr().err
