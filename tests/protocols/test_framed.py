"""Messages with a length before them over TCP: several in a segment, one over many, in both directions; tshark has them all."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    U32,
    Capture,
    Ether,
    Header,
    IPv4,
    Packet,
    SimNetwork,
    Text,
    Writer,
    auto,
    count_of,
    dissect,
    many,
    size_of,
    wireshark,
)
from tests.protocols.oracle import Ask, cut, sound, spoilt
from tests.protocols.scope import Scope

PORT = 47811

with (scope := Scope()):

    class Framed(Header, under=TCP, port=PORT, stream=True):
        length: U32 = auto(size_of("payload"))
        type: U8 = 0

    class Say(Header, under=Framed, when={"type": 1}):
        size: U16 = auto(size_of("text"))
        text: Text = ""

    class Numbers(Header, under=Framed, when={"type": 2}):
        count: U16 = auto(count_of("numbers"))
        numbers: tuple[U32, ...] = many()


MESSAGES = [Framed(type=1) / Say(text="x" * n) for n in (0, 1, 300, 5)] + [
    Framed(type=2) / Numbers(numbers=tuple(range(n))) for n in (0, 90, 3)
]
STREAM = b"".join(map(bytes, MESSAGES))
UP = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=40000, dport=PORT, flags="ACK", seq=1)
DOWN = Ether() / IPv4(src="10.0.0.2", dst="10.0.0.1") / TCP(sport=PORT, dport=40000, flags="ACK", seq=1)


def begun(packet: Packet) -> list[Packet]:
    low = packet / b""
    return [low.replace(TCP, flags="SYN", seq=0, ack=0)]


@pytest.mark.parametrize("seed", range(5))
def test_any_cutting_gives_the_same_messages_and_tshark_finds_them_too(tshark: Ask, tmp_path: Path, seed: int) -> None:
    chance, frames = random.Random(seed), begun(UP)
    place = 0
    while place < len(STREAM):
        size = chance.choice((1, 3, 40, 200, 1400))
        frames.append((UP / STREAM[place : place + size]).replace(TCP, seq=1 + place))
        place += size
    found = list(Capture.of(frames).messages(Framed))
    assert [one.data for one in found] == list(map(bytes, MESSAGES))
    assert all(one.whole and not one.faults and one.by == "client" for one in found)
    assert [one.packet.layers[1:] for one in found] == [one.layers[1:] for one in MESSAGES]
    path, script = tmp_path / "stream.pcap", tmp_path / "framed.lua"
    with Writer(path) as out:
        for frame in frames:
            out.write(frame)
    script.write_text(str(wireshark(Framed, Say, Numbers)))
    rows = tshark(path, "framed.length", "say.size", "numbers.count", options=("-X", f"lua_script:{script}"))
    texts = [[int(one) for row in rows if row[k] for one in row[k].split(",")] for k in range(3)]
    assert texts == [
        [one[Framed].length for one in MESSAGES], [one[Say].size for one in MESSAGES if Say in one],
        [one[Numbers].count for one in MESSAGES if Numbers in one],
    ]  # fmt: skip


def test_all_in_one_segment() -> None:
    packet = dissect(bytes(UP / STREAM))
    assert [bytes(one) for one in packet.messages(Framed)] == list(map(bytes, MESSAGES))
    assert packet[Framed, 2].length == 302
    assert packet[Say, 3].text == "xxxxx" and not packet.faults and bytes(packet) == bytes(UP / STREAM)


def test_sockets_read_whole_messages() -> None:
    net = SimNetwork(seed=3)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.01)
    server, client = b.socket("stream"), a.socket("stream")
    server.bind(PORT)
    server.listen()
    client.connect(b.at(PORT))
    other = server.accept()
    for start in range(0, len(STREAM), 37):
        client.write(STREAM[start : start + 37])
    assert [bytes(other.read_packet(Framed) or b"") for _ in MESSAGES] == list(map(bytes, MESSAGES))
    client.close()
    assert other.read_packet(Framed) is None
    other.close()
    server.close()


def test_what_is_cut_or_spoilt_is_a_fault_or_goes_on() -> None:
    read = [dissect(bytes(one), Framed) for one in MESSAGES]
    sound(read, Framed)
    assert {"Framed.length", "Numbers.count"} & cut(read, Framed, 7)
    spoilt(read, Framed)
