"""Messages of streams in Wireshark: segments are put together, several stand in one, and a middle is not taken for a beginning."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    Bytes,
    Ether,
    Header,
    IPv4,
    TCPFlags,
    Text,
    VarInt,
    Writer,
    auto,
    bindings,
    const,
    count_of,
    ended,
    field,
    many,
    size_of,
)
from tests.export.pdml import Tshark


@pytest.fixture(scope="module", autouse=True)
def declared() -> Iterator[None]:
    global Rec, Line, Grown, Whole, Listed, Told, Number, Nest, Sized, Counted
    with bindings():

        class Rec(Header, under=TCP, when={"port": 7443}, stream=True):
            type: U8 = 22
            version: U16 = const(0x0303)
            length: U16 = auto(size_of("payload"))

        class Line(Header, under=TCP, when={"dport": 7444}, stream=True):
            text: Text = ended(b"\r\n")

        class Grown(Header, under=TCP, when={"dport": 7445}, stream=True):
            type: U8 = 1
            size: VarInt = auto(size_of("data"))
            data: Bytes = b""

        class Whole(Header, under=TCP, when={"dport": 7446}, stream=True):
            size: U16 = auto(size_of("self") + size_of("payload"))
            type: U8 = 5

        class Part(Header):
            kind: U8 = 0
            value: U8 = 1

        class Listed(Header, under=TCP, when={"dport": 7447}, stream=True, last=True):
            type: U8 = 1
            parts: tuple[Part, ...] = many(until=field("kind") == 0, value=(Part(kind=7), Part(kind=8), Part()))

        class Told(Header, under=TCP, port=7448, stream=True):
            kind: U8 = 0
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Number(Told, inside="data", when={"kind": 2}):
            value: U16 = 0

        class Nest(Told, inside="data", when={"kind": 3}):
            parts: tuple[Told, ...] = many()

        class Sized(Header, under=TCP, port=7449, stream=True):
            kind: U8 = 1
            size: U8 = auto(size_of("parts"))
            parts: tuple[Told, ...] = many()

        class Counted(Header, under=TCP, port=7450, stream=True):
            kind: U8 = 1
            number: U8 = auto(count_of("parts"))
            parts: tuple[Told, ...] = many()

        yield


def segments(pieces: list[bytes], port: int) -> list[bytes]:
    ip = IPv4(src="10.0.0.1", dst="10.0.0.2")
    frames = [bytes(Ether() / ip / TCP(sport=50000, dport=port, seq=999, flags=TCPFlags.SYN))]
    at = 1000
    for piece in pieces:
        frames.append(bytes(Ether() / ip / TCP(sport=50000, dport=port, seq=at, flags=TCPFlags.ACK) / piece))
        at += len(piece)
    return frames


def read(folder: Path, pieces: list[bytes], port: int, name: str, word: str) -> list[tuple[int, list[str]]]:
    """Return per frame the values of a field in all messages that tshark found there; fault and malformed must not be."""
    (found,) = read_all(folder, [(pieces, port, name, word)])
    return found


def read_all(folder: Path, streams: list[tuple[list[bytes], int, str, str]]) -> list[list[tuple[int, list[str]]]]:
    """The same for several streams, each at a port of its own, in one capture; frames are counted from the first of each."""
    tshark = Tshark(folder, Rec, Line, Grown, Whole, Listed, Told, Sized, Counted)
    path = folder / "query.pcapng"
    frames = [[*segments(pieces, port)] for pieces, port, _, _ in streams]
    with Writer(path) as writer:
        for frame in chain(*frames):
            writer.write(frame)
    options = ("-o", "tcp.desegment_tcp_streams:TRUE", "-o", "tcp.analyze_sequence_numbers:TRUE", "-T", "pdml")
    packets = iter(ET.fromstring(tshark.run(path, *options)).findall("packet"))  # noqa: S314  tshark wrote it
    all_found = [found_in([*islice(packets, len(some))], name, word) for some, (_, _, name, word) in zip(frames, streams, strict=True)]
    assert not [*packets]
    return all_found


def found_in(packets: list[ET.Element], name: str, word: str) -> list[tuple[int, list[str]]]:
    found = []
    for number, layers in enumerate((packet.findall("proto") for packet in packets), 1):
        own = [one for one in layers if one.get("name") == name]
        values = [f.get("show", "") for one in own for f in one.iter("field") if f.get("name") == f"{name}.{word}"]
        assert not [f for one in layers for f in one.iter("field") if "fault" in f.get("name", "") or "_ws.malformed" in f.get("name", "")]
        if values:
            found.append((number, values))
    return found


def test_several_in_a_segment_and_one_over_three(tmp_path: Path) -> None:
    long = bytes(Rec(type=9) / (b"x" * 300))
    pieces = [b"".join(bytes(Rec(type=t) / b"abc") for t in (1, 2, 3)), long[:100], long[100:200], long[200:]]
    assert read(tmp_path, pieces, 7443, "rec", "type") == [(2, ["1", "2", "3"]), (5, ["9"])]


@pytest.mark.parametrize("cut", [1, *(pytest.param(cut, marks=pytest.mark.slow) for cut in (2, 3, 5, 100))])
def test_a_list_that_ends_by_what_an_item_says_may_go_on_in_the_next_segment(tmp_path: Path, cut: int) -> None:
    """Wherever it is cut, between two items too."""
    data = b"".join(bytes(Listed(type=i)) for i in range(1, 5))
    found = read(tmp_path, [data[at : at + cut] for at in range(0, len(data), cut)], 7447, "listed", "type")
    assert [value for _, values in found for value in values] == ["1", "2", "3", "4"]
    assert [number for number, values in found for _ in values] == [(7 * i - 1) // cut + 2 for i in range(1, 5)]


def test_a_middle_is_not_a_beginning(tmp_path: Path) -> None:
    assert read(tmp_path, [b"in the middle", bytes(Rec(type=4) / b"")], 7443, "rec", "type") == [(3, ["4"])]


@pytest.mark.parametrize("cut", [1, 3, *(pytest.param(cut, marks=pytest.mark.slow) for cut in (2, 5, 7, 100))])
def test_a_message_refined_by_what_is_inside_a_field_may_be_cut_in_that_field(tmp_path: Path, cut: int) -> None:
    """The first bytes of the field are no whole header, which says nothing of the message; so in its items, however deep."""
    nest = Nest(parts=[Number(value=1), Told(data=b"ab"), Nest(parts=[Number()])])
    sorts: list[tuple[int, str, list[Header]]] = [
        (7448, "told", [Number(value=5), Told(kind=9, data=b"abc"), Number(value=6)]),
        (7449, "sized", [Sized(kind=4, parts=[Number(value=1), nest]), Sized(kind=5), Sized(kind=6, parts=[nest])]),
        (7450, "counted", [Counted(kind=4, parts=[Number(value=1), nest]), Counted(kind=5), Counted(kind=6, parts=[nest])]),
    ]
    streams, wanted = [], []
    for port, name, messages in sorts:
        data, end, expected = b"".join(map(bytes, messages)), 0, dict[int, list[str]]()
        for message in messages:
            end += len(bytes(message))
            expected.setdefault((end - 1) // cut + 2, []).append(f"{bytes(message)[0]}")
        streams.append(([data[at : at + cut] for at in range(0, len(data), cut)], port, name, "kind"))
        wanted.append([*expected.items()])
    assert read_all(tmp_path, streams) == wanted


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_any_cutting(tmp_path: Path, seed: int) -> None:
    rand = random.Random(seed)
    sorts = [
        (7443, "rec", "type", [bytes(Rec(type=i) / bytes(rand.randrange(40))) for i in range(20)], lambda i: f"{i}"),
        (7444, "line", "text", [bytes(Line(text=f"line{i}")) for i in range(20)], lambda i: f"line{i}"),
        (7445, "grown", "type", [bytes(Grown(type=i, data=bytes(rand.randrange(300)))) for i in range(20)], lambda i: f"{i}"),
        (7446, "whole", "type", [bytes(Whole(type=i) / bytes(rand.randrange(40))) for i in range(20)], lambda i: f"{i}"),
        (7447, "listed", "type", [bytes(Listed(type=i)) for i in range(20)], lambda i: f"{i}"),
    ]
    streams, wanted = [], []
    for port, name, word, messages, value in sorts:
        data, pieces = b"".join(messages), []
        ends = [sum(map(len, messages[: i + 1])) for i in range(len(messages))]
        at, expected = 0, {}
        while at < len(data):
            size = rand.choice([1, 3, 20, 90])
            pieces.append(data[at : at + size])
            whole = [value(i) for i, end in enumerate(ends) if at < end <= at + size]
            if whole:
                expected[len(pieces) + 1] = whole
            at += size
        streams.append((pieces, port, name, word))
        wanted.append([*expected.items()])
    assert read_all(tmp_path, streams) == wanted
