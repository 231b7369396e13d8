"""Messages that a segment ends in the middle of a value: its first bytes are judged as none, and the message waits for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    Capture,
    Ether,
    Fault,
    Header,
    IPv4,
    SimNetwork,
    Text,
    Writer,
    auto,
    count_of,
    dissect,
    many,
    size_of,
    text,
)
from packetlab.protocols.streams.message_reader import MessageReader
from tests.conftest import need
from tests.export.pdml import Tshark
from tests.protocols.scope import Scope

with (scope := Scope()):

    class CutAny(Header, under=TCP, port=7031, stream=True, last=True):
        id: U8 = 0

    class CutText(CutAny, when={"id": 2}):
        size: U8 = auto(size_of("said"))
        said: Text = "hé"

    class CutWide(CutAny, when={"id": 3}):
        size: U8 = auto(size_of("said"))
        said: Annotated[str, text("utf-16-le")] = "hé"

    class CutSelf(CutAny, when={"id": 4}):
        size: U8 = auto(size_of("self"))
        said: Text = "hé"

    class CutPlain(Header, under=TCP, port=7032, stream=True, last=True):
        size: U8 = auto(size_of("said"))
        said: Text = "hé"


@pytest.fixture(autouse=True)
def declared() -> Iterator[None]:
    with scope:
        yield


LOW = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
STREAMS: dict[int, list[Header]] = {
    7031: [CutText(), CutAny(id=9), CutWide(), CutSelf(), CutText(said="xy"), CutSelf(said="é€")],
    7032: [CutPlain(), CutPlain(said="xy"), CutPlain(said="€")],
}


@pytest.mark.parametrize("port", STREAMS)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7])
def test_messages_are_found_whichever_bytes_a_segment_ends_with(port: int, size: int) -> None:
    sent = [bytes(one) for one in STREAMS[port]]
    cls = CutAny if port == 7031 else CutPlain
    segments = (LOW / TCP(sport=9, dport=port, flags="ACK", seq=1) / b"".join(sent)).segments(size)
    capture = Capture.of([LOW / TCP(sport=9, dport=port, flags="SYN", seq=0), *segments])
    assert [(one.data, one.whole) for one in capture.messages(cls)] == [(one, True) for one in sent]


def test_what_is_cut_in_a_letter_has_that_fault_alone_and_what_is_wrong_before_it_is_noted() -> None:
    said = bytes(CutText())
    assert dissect(said[:4], CutAny, 5).faults == (Fault("CutText", "said", 2, "3 bytes", "2", True),)
    assert [fault.expected for fault in dissect(said[:4] + b"z", CutAny).faults] == ["text, utf-8"]
    segment = dissect(bytes(LOW / TCP(dport=7031, flags="ACK", seq=1) / said[:4]))
    assert (type(segment.layers[-1]), segment.faults) == (CutText, ())


def test_a_socket_waits_for_the_rest_of_a_letter() -> None:
    network = SimNetwork(seed=1)
    one, other = network.host("one"), network.host("other")
    network.link(one, other, delay=0.01)
    server, client = other.socket("stream"), one.socket("stream")
    server.bind(3000)
    server.listen()
    client.connect(other.at(3000))
    accepted = server.accept()
    data = b"".join(map(bytes, STREAMS[7031]))
    for start in range(0, len(data), 4):
        client.write(data[start : start + 4])
    assert [bytes(accepted.read_packet(CutAny)) for _ in STREAMS[7031]] == [*map(bytes, STREAMS[7031])]


@pytest.mark.slow
def test_tshark_finds_the_same(tmp_path: Path) -> None:
    """One capture for all: from port 100 + n the streams in segments of n bytes, which are streams of their own for tshark."""
    need("tshark")
    tshark, path, wanted = Tshark(tmp_path, CutAny, CutPlain), tmp_path / "cut.pcapng", set[int]()
    with Writer(path) as writer:
        written = 0
        for port, size in ((port, size) for port in STREAMS for size in (1, 2, 3, 5)):
            tcp = LOW / TCP(sport=100 + size, dport=port, flags="ACK", seq=1)
            segments = [*(tcp / b"".join(map(bytes, STREAMS[port]))).segments(size)]
            for frame in (LOW / TCP(sport=100 + size, dport=port, flags="SYN", seq=0), *segments):
                writer.write(bytes(frame))
            ends = [sum(len(bytes(one)) for one in STREAMS[port][: count + 1]) for count in range(len(STREAMS[port]))]
            wanted |= {written - (-end // size) + 1 for end in ends}  # the frames in which messages end
            written += 1 + len(segments)
    options = ("-o", "tcp.desegment_tcp_streams:TRUE", "-o", "tcp.analyze_sequence_numbers:TRUE", "-T", "fields")
    shown = " or ".join({type(one).__name__.lower() for sent in STREAMS.values() for one in sent})
    lines = tshark.run(path, *options, "-e", "frame.number", "-e", "_ws.expert.message", "-e", "_ws.malformed", "-Y", shown).splitlines()
    assert "expected" not in " ".join(lines)
    assert {int(line.split("\t")[0]) for line in lines} == wanted


def test_a_list_by_count_over_many_segments_is_not_read_anew_with_each_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class CutItem(Header):
        v: U8 = 0

    class CutList(Header, under=TCP, port=7033, stream=True, last=True):
        count: U16 = auto(count_of("items"))
        items: tuple[CutItem, ...] = many()

    sent = bytes(CutList(items=[CutItem(v=1)] * 400))
    segments = (LOW / TCP(sport=9, dport=7033, flags="ACK", seq=1) / sent).segments(4)
    looked = list[int]()
    read = CutList._decode
    monkeypatch.setattr(CutList, "_decode", lambda data, *rest: looked.append(len(data)) or read(data, *rest))
    reader = MessageReader(CutList, 1 << 16)
    found = list[bytes | None]()
    for segment in segments:
        reader.give(bytes(segment.payload))
        found.append(reader.read())
    assert [one for one in found if one] == [sent]
    assert len(looked) <= 8  # once for the count, and once for all of it, in a few steps each
