"""Ladders: text, picture, Mermaid; what they remark; that thousands of packets stay usable."""

from __future__ import annotations

import base64
import re
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

import packetlab as pl
from packetlab import IDP, SPP, TCP, Ether, Frame, IPv4, TCPFlags
from packetlab.cli import main
from packetlab.view.flows import AGAIN, DUPLICATE, FULL, GAP, KEEP_ALIVE, LATE, SAME_ACK, Remarks
from tests.conftest import CORPUS
from tests.view.cells import cell
from tests.view.hostile import ALL, HOSTILE, check_harmless, check_printable, read

SVG = "{http://www.w3.org/2000/svg}"
WEB = pl.Capture(CORPUS / "web.pcap")


def tcp(seq: int, size: int = 100, back: bool = False, **fields: Any) -> pl.Packet:
    source, destination = ("10.0.0.2", "10.0.0.1") if back else ("10.0.0.1", "10.0.0.2")
    ports = {"sport": 80, "dport": 4000} if back else {"sport": 4000, "dport": 80}
    fields.setdefault("flags", TCPFlags.ACK)
    return Ether() / IPv4(src=source, dst=destination) / TCP(seq=seq, **ports, **fields) / bytes(size)


def spp(seq: int, **fields: Any) -> pl.Packet:
    header = SPP(seq=seq, source_id=1, destination_id=2, **fields)
    return Ether() / IDP(src="1#020000000001#3000", dst="1#020000000002#4000") / header / b"x"


def frames(*packets: pl.Packet) -> list[Frame]:
    return [Frame(bytes(packet), n * 1_000_000) for n, packet in enumerate(packets)]


def drawn(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314


def texts(svg: str) -> list[str]:
    """The words of a picture; a whole text that was cut stands in a title before it."""
    return ["".join(filter(None, (t.text, *(title.tail for title in t)))) for t in drawn(svg).iter(f"{SVG}text")]


# As text ------------------------------------------------------------------------------------------------------


def test_a_line_a_packet_between_columns_of_ends() -> None:
    lines = pl.ladder(frames(tcp(1, 3), tcp(1, 0, back=True, ack=4)), {"10.0.0.1": "client"}).splitlines()
    assert lines[0].split() == ["time", "(s)", "client", "10.0.0.2"]
    assert lines[1].startswith("0.000000      |")
    assert lines[1].endswith(">|")
    assert "|<" in lines[2]
    assert lines[2].startswith("0.001000")


def test_it_is_a_string() -> None:
    made = pl.ladder(WEB)
    assert isinstance(made, str)
    assert str(made) == repr(made)
    assert len(made.splitlines()) == 1 + 24


def test_nothing_is_no_error() -> None:
    empty = pl.ladder([])
    assert empty == "no frames"
    drawn(empty.svg())
    check_harmless(cell(empty)["text/html"])
    assert empty.mermaid() == "sequenceDiagram"


def test_packets_that_were_never_captured_make_one_too() -> None:
    from dpkt.ethernet import Ethernet
    from scapy.layers.l2 import Ether as Theirs

    for packet in (tcp(7), bytes(tcp(7)), Ethernet(bytes(tcp(7))), Theirs(bytes(tcp(7)))):
        assert "seq=7" in pl.ladder([packet])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (["seq", "ack"], "TCP seq=7 ack=9 +100 B"),
        ([TCP.ack, "ip.ttl"], "TCP ack=9 ttl=64 +100 B"),
        (["ipv4.ttl", TCP.flags], "TCP ttl=64 flags=ACK +100 B"),
        (["spp.seq", "hops"], "TCP +100 B"),
        ([SPP.seq], "TCP +100 B"),
    ],
)
def test_the_reader_chooses_fields(fields: list[Any], said: str) -> None:
    assert f" {said} " in pl.ladder([tcp(7, ack=9)], fields=fields)


def test_an_unknown_way_of_time_is_refused() -> None:
    with pytest.raises(pl.BuildError, match="even, compressed, scale"):
        pl.ladder([], time="log")


# A network ----------------------------------------------------------------------------------------------------


def talked() -> pl.SimNetwork:
    net = pl.SimNetwork(seed=7)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.05, drop=[6], duplicate=[4], reorder=[5])
    server = b.socket("seqpacket")
    server.bind(3000)
    server.listen()
    client = a.socket("seqpacket")
    client.connect(b.at(3000))
    accepted = server.accept()
    for _ in range(6):
        client.write(b"hello")
    assert [accepted.read() for _ in range(6)] == [b"hello"] * 6
    return net


def test_a_running_network_has_its_hosts_as_columns_and_says_what_its_links_did() -> None:
    net = talked()
    made = pl.ladder(net, fields=[SPP.seq])
    assert made.columns == ("a", "b")
    notes = [note for row in made.rows for note in row.notes]
    assert any(note.startswith("lost") for note in notes)
    assert {"duplicated", "reordered", AGAIN} <= set(notes)
    before = len(made.rows)
    net.host("a").interface.send(Ether() / b"more")
    assert len(pl.ladder(net).rows) == before + 1


def test_a_labs_hosts_name_the_columns(lab: pl.Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    frame = Ether(src=str(a.mac), dst=str(b.mac)) / IPv4(src=str(a.address), dst=str(b.address)) / b"x"
    assert pl.ladder([frame], names=lab).columns == ("a", "b")


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.pcap*")), ids=lambda path: path.name)
def test_any_capture_makes_a_ladder(path: Path) -> None:
    made = pl.ladder(pl.Capture(path, strict=False)[:200], fields=["seq", "src"])
    check_printable(str(made))
    drawn(made.svg())
    check_harmless(cell(made)["text/html"])


# What sequence numbers tell -----------------------------------------------------------------------------------

FAR = (1 << 32) - 50


@pytest.mark.parametrize(
    ("packets", "said"),
    [
        ([tcp(0), tcp(100), tcp(0)], [[], [], [AGAIN]]),
        ([tcp(0), tcp(200), tcp(100)], [[], [GAP], [LATE]]),
        ([tcp(0), tcp(200), tcp(100), tcp(100)], [[], [GAP], [LATE], [AGAIN]]),
        ([tcp(0), tcp(99, 1)], [[], [KEEP_ALIVE]]),
        ([tcp(0), tcp(99, 0)], [[], []]),
        ([tcp(0, 0, flags=TCPFlags.SYN)] * 2, [[], [AGAIN]]),
        ([tcp(0, 0, flags=TCPFlags.SYN), tcp(1), tcp(500, 0, flags=TCPFlags.SYN), tcp(501)], [[], [], [], []]),
        ([tcp(FAR), tcp(50), tcp(FAR)], [[], [], [AGAIN]]),
        ([tcp(0, window=0)], [[FULL]]),
        ([tcp(0, 0, back=True, ack=0), tcp(0), tcp(0, 0, back=True, ack=0)], [[], [], [SAME_ACK]]),
        ([tcp(0, 0, back=True, ack=100), tcp(0), tcp(0, 0, back=True, ack=100)], [[], [], []]),
        ([spp(0), spp(1), spp(1)], [[], [], [AGAIN]]),
        ([spp(0), spp(2), spp(1)], [[], [GAP], [LATE]]),
        ([spp(0xFFFF), spp(0), spp(0xFFFF)], [[], [], [AGAIN]]),
        ([spp(0), spp(0, control="SYSTEM")], [[], []]),
    ],
)  # fmt: skip
def test_remarks(packets: list[pl.Packet], said: list[list[str]]) -> None:
    remarks = Remarks()
    assert [remarks.of(packet) for packet in packets] == said


@pytest.mark.slow
@given(st.permutations([n % 12 for n in range(20)]), st.sampled_from([0, (1 << 32) - 600]))
def test_sent_again_is_what_was_there_before_whatever_the_order(order: list[int], first: int) -> None:
    remarks = Remarks()
    for place, number in enumerate(order):
        said = remarks.of(tcp(first + number * 100 & 0xFFFFFFFF))
        assert (AGAIN in said) == (number in order[:place])
        assert (GAP in said) == (place > 0 and number > max(order[:place]) + 1)


def test_the_same_ip_packet_twice_is_a_duplicate_and_no_retransmission() -> None:
    remarks = Remarks()
    packet = tcp(0).replace(IPv4, id=5)
    assert [remarks.of(p) for p in (packet, packet, packet.replace(IPv4, id=6))] == [[], [DUPLICATE], [AGAIN]]


@pytest.mark.parametrize("stream", [False, True])
def test_bytes_count_whatever_they_are_read_as(stream: bool) -> None:
    """A segment whose bytes are headers, some or all, says the same as one of payload: lost, sent again, late."""
    frames: list[bytes] = []
    for at in (0, 100, 300, 200, 300, 500, 500):
        frames.append(bytes(pl.Ether() / IPv4(src="1.1.1.1", dst="2.2.2.2") / pl.TCP(sport=5, dport=7446, seq=at, flags="ACK") / (b"\xbe\xef\0\x60" + bytes(96))))
    plain = Remarks()
    expected = [plain.of(pl.dissect(frame)) for frame in frames]
    assert expected == [[], [], [GAP], [LATE], [AGAIN], [GAP], [AGAIN]]
    with pl.bindings():

        class Marked(pl.Header, under=pl.TCP, port=7446, stream=stream):
            magic: pl.U16 = pl.const(0xBEEF)
            length: pl.U16 = pl.auto(pl.size_of("payload"))

        class Whole(pl.Header, under=Marked):
            body: pl.Rest = b""

        declared = Remarks()
        packets = [pl.dissect(frame) for frame in frames]
        assert all(Whole in packet and not packet.payload for packet in packets)
        assert [declared.of(packet) for packet in packets] == expected


ANALYSES = {
    "retransmission": "again", "fast_retransmission": "again", "spurious_retransmission": "again", "out_of_order": "again",
    "keep_alive": KEEP_ALIVE, "lost_segment": GAP, "duplicate_ack": SAME_ACK, "zero_window": FULL,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "4KHttpRequests.pcap",
        "retransmit-fast009.pcap",
        "unidirectional_tcp_stream_with_missing_packet.pcap",
        "web.pcap",
    ],
)
def test_tshark_remarks_on_the_same_packets(name: str, tshark: Callable[..., list[list[str]]]) -> None:
    theirs = tshark(CORPUS / name, *(f"tcp.analysis.{field}" for field in ANALYSES))
    expected = [{ours for said, ours in zip(row, ANALYSES.values(), strict=False) if said} for row in theirs]
    remarks = Remarks()
    ours = [
        {"again" if remark in (AGAIN, LATE) else remark for remark in remarks.of(packet)}
        for packet in pl.Capture(CORPUS / name).packets()
    ]
    assert ours == expected
    assert name == "web.pcap" or any(ours)


# As a picture -------------------------------------------------------------------------------------------------


def test_the_picture_has_the_columns_the_times_and_what_each_says() -> None:
    said = texts(pl.ladder(WEB, {"141.42.64.125": "us"}, fields=["seq"]).svg())
    for word in ("us", "125.190.109.199", "0.182433", "TCP seq=1515540177"):
        assert word in said


def test_losses_and_repeats_are_distinguished_by_line_and_by_word() -> None:
    good, again = Frame(bytes(tcp(0)), 0), Frame(bytes(tcp(0)), 1)
    lost = Frame(bytes(tcp(100)), 2, comment="lost: partition")
    twice = Frame(bytes(tcp(200)), 3, comment="duplicated")
    svg = pl.ladder([good, again, lost, twice]).svg()
    classes = [path.get("class") for path in drawn(svg).iter(f"{SVG}path")]
    assert classes == ["a", "again", "lost", "lost", "twice", "twice"]
    assert {"retransmission", "lost: partition", "duplicated"} <= set(texts(svg))


def heights(made: Any) -> list[int]:
    return [
        int(t.get("y", ""))
        for t in drawn(made.svg()).iter(f"{SVG}text")
        if re.fullmatch(r"[\d.]+", t.text or "") and "." in (t.text or "")
    ]


def test_time_runs_evenly_or_compressed_or_to_scale() -> None:
    times = [0, 10, 20, 10_000]
    captured = [Frame(bytes(tcp(n)), at * 1000) for n, at in enumerate(times)]
    steps = {}
    for how in ("even", "compressed", "scale"):
        found = [y for y in heights(pl.ladder(captured, time=how)) if y > 30]
        steps[how] = [b - a for a, b in pairwise(found)]
    assert len(set(steps["even"])) == 1
    assert steps["compressed"][0] == steps["compressed"][1] < steps["compressed"][2]
    assert steps["scale"][2] > 10 * steps["scale"][0]


def test_what_is_hostile_stays_text() -> None:
    frame = Frame(bytes(tcp(0)), 0, comment=HOSTILE)
    made = pl.ladder([frame], {"10.0.0.1": HOSTILE})
    check_printable(str(made))
    check_harmless(cell(made)["text/html"])
    svg = made.svg()
    check_printable(svg)
    assert {element.tag.removeprefix(SVG) for element in drawn(svg).iter()} <= {
        "svg",
        "title",
        "style",
        "rect",
        "text",
        "line",
        "path",
    }
    for line in made.mermaid().splitlines():
        assert re.fullmatch(r"[\w .,\-+=()/|#;>:]*", line), line
    assert all(part not in made.mermaid() for part in ALL)


def test_mermaid_has_an_arrow_a_packet_and_a_cross_where_it_was_lost() -> None:
    lost = Frame(bytes(tcp(5)), 2, comment="lost")
    assert pl.ladder([*frames(tcp(0, back=True)), lost], fields=["seq"]).mermaid().splitlines() == [
        "sequenceDiagram", "    participant p0 as 10.0.0.2", "    participant p1 as 10.0.0.1",
        "    p0->>p1: TCP seq=0 +100 B", "    p1-xp0: TCP seq=5 +100 B#59; lost",
    ]  # fmt: skip


def test_files_by_their_ending(tmp_path: Path) -> None:
    made = pl.ladder(WEB)
    for ending, begins in (
        (".svg", "<svg"),
        (".html", "<!doctype"),
        (".mmd", "sequence"),
        (".md", "```mermaid"),
        (".txt", "time"),
    ):
        made.save(tmp_path / f"x{ending}")
        assert (tmp_path / f"x{ending}").read_text(encoding="utf-8").startswith(begins)
    with pytest.raises(pl.BuildError, match=r"\.svg"):
        made.save(tmp_path / "x.png")


# Thousands ----------------------------------------------------------------------------------------------------


def many() -> list[Frame]:
    packets = []
    for n in range(2500):
        packets.append(tcp(n * 100 if n % 100 else max(0, n - 1) * 100))
        packets.append(tcp(0, 0, back=True, ack=n * 100 + 100))
    return frames(*packets)


@pytest.mark.slow
def test_thousands_of_packets_stay_usable() -> None:
    captured = many()
    started = time.process_time()
    made = pl.ladder(captured)
    bundle = cell(made)
    assert time.process_time() - started < 10  # seconds, on a slow and busy machine; 0.4 on a quiet one
    assert len(made.rows) == 5000
    assert len(bundle["text/html"]) < 500_000
    assert len(bundle["text/plain"]) < 100_000
    assert len(made.svg()) < 3_000_000
    folded = made.folded()
    assert len(folded.rows) < 150
    assert sum(row.folded or 1 for row in folded.rows) == 5000
    assert sum(AGAIN in row.notes for row in folded.rows) == 24
    assert "there (" in folded.rows[1].text
    assert made.part(10, 20).rows == made.rows[10:20]
    assert "4800 rows more" in repr(made)


@pytest.mark.slow
def test_pages_are_pictures_with_words_beside_them() -> None:
    captured = [Frame(bytes(tcp(n * 100, flags=TCPFlags.FIN)), n) for n in range(1000)]
    html = cell(pl.ladder(captured))["text/html"]
    check_harmless(html)
    reader = read(html)
    assert reader.tags.count("img") == 10
    sources = [value for _, name, value in reader.attributes if name == "src"]
    assert drawn(base64.b64decode(sources[0].split(",")[1]).decode()).tag == f"{SVG}svg"
    assert all("Ladder of" in value for _, name, value in reader.attributes if name == "alt")
    assert "rows more" in "".join(reader.words)


# The command --------------------------------------------------------------------------------------------------


def test_the_command_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(CORPUS / "web.pcap")
    options = ["--fields", "seq,flags", "-Y", "tcp.flags == 2", "--name", "141.42.64.125=us"]
    assert main(["ladder", file, *options]) == 0
    out = capsys.readouterr().out
    assert "us" in out.splitlines()[0]
    assert out.count("flags=SYN") == len(out.splitlines()) - 1 == 2
    assert main(["ladder", file, "-o", str(tmp_path / "x.svg"), "-c", "3"]) == 0
    assert len([t for t in texts((tmp_path / "x.svg").read_text()) if t.startswith("TCP")]) == 3
    assert main(["ladder", file, "-Y", "udp"]) == 1


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = CORPUS / "web.pcap"
    assert main(["ladder", str(file), "--name", "us"]) == 2
    assert main(["ladder", str(file), "-o", str(tmp_path / "x.png")]) == 2
    (tmp_path / "cut.pcap").write_bytes(file.read_bytes()[:300])
    assert main(["ladder", str(tmp_path / "cut.pcap")]) == 1
    (tmp_path / "no.pcap").write_bytes(b"nothing")
    assert main(["ladder", str(tmp_path / "no.pcap")]) == 2
    assert capsys.readouterr().err.count("expected") == 4
