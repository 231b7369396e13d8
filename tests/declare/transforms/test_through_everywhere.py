"""Fields that are through something, in columns, filters, patterns, edits, variations, bridges and drawn headers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from packetlab import (
    U8,
    U16,
    U32,
    Bytes,
    Capture,
    Ether,
    Header,
    Text,
    Writer,
    auto,
    base64,
    contains,
    dissect,
    field,
    malformed,
    size_of,
    sized,
    strategies,
    through,
    wireshark,
    xor,
    zlib,
)  # fmt: skip
from tests.conftest import amount


class WornNear(Header):
    port: U16 = 1
    host: U8 = 2

class Worn(Header, under=Ether, when={"type": 0x7AF3}):
    n: U16 = auto(size_of("body"))
    key: U32 = 7
    body: Bytes = through(zlib(level=3), sized(field("n"), b"ab"))
    m: U8 = auto(size_of("near"))
    near: WornNear = through(xor(field("key")), sized(field("m"), WornNear()))
    k: U8 = auto(size_of("words"))
    words: Text = through(base64(), sized(field("k"), "hi"))


def packets() -> list[Any]:
    return [
        dissect(bytes(Ether() / Worn(body=b"hello", near=WornNear(port=5)))),
        dissect(bytes(Ether() / Worn(body=b"hullo", near=WornNear(port=6)))),
    ]


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    with Writer(tmp_path / "worn.pcap") as out:
        for packet in packets():
            out.write(packet)
    return Capture(tmp_path / "worn.pcap")


def test_columns_have_what_is_inside(capture: Capture) -> None:
    table = capture.table("worn.body", "worn.words", "worn.near.port", "worn.body.raw")
    assert [*table["worn.body"]] == [b"hello", b"hullo"] and [*table["worn.words"]] == ["hi", "hi"]
    assert [*table["worn.near.port"]] == [5, 6]
    assert [*table["worn.body.raw"]] == [zlib(level=3).encode(one) for one in (b"hello", b"hullo")]


@pytest.mark.parametrize(
    ("test", "count"),
    [
        ('worn.body == "hello"', 1), ('worn.body contains "llo"', 2), ('worn.words == "hi"', 2), ("worn.near.port > 5", 1),
        ("worn.body.raw contains 78:5e", 2), ("worn.key == 7", 2), ("worn.near.port in {5 6}", 2),
    ],
)  # fmt: skip
def test_filters_ask_what_is_inside(capture: Capture, test: str, count: int) -> None:
    assert len([*capture.where(test)]) == count


def test_patterns_too(capture: Capture) -> None:
    assert len([*capture.where(Worn(body=contains(b"ell")))]) == len([*capture.where(Worn(near=WornNear(port=6)))]) == 1


def test_an_edit_inside_is_written_anew() -> None:
    packet = packets()[0]
    other = dissect(bytes(packet.replace({"worn.near.port": 9})))
    assert other[Worn].near.port == 9 and other[Worn].body == b"hello"
    assert "worn.near" in str(packet.diff(other)).lower()


def test_variations_are_those_of_objects() -> None:
    packet = packets()[0]
    keys = [dissect(bytes(one))[Worn] for one in packet.vary(200, {"worn.key": range(200)})]
    assert [one.key for one in keys] == [*range(200)] and {one.near.port for one in keys} == {5}
    assert [dissect(bytes(one))[Worn].body for one in packet.vary(2, {"worn.body": [b"1", b"22"]})] == [b"1", b"22"]


@settings(max_examples=amount(30, 1000), deadline=None)
@given(strategies.headers(Worn))
def test_drawn_headers_read_back(header: Worn) -> None:
    assert dissect(bytes(header), Worn)[Worn] == header


def test_malformed_packets_give_the_faults_that_are_expected() -> None:
    for case in malformed(Ether() / Worn(body=b"hello")):
        assert case.disagreements() == []


def test_others_see_the_bytes_of_the_packet() -> None:
    packet = packets()[0]
    assert bytes(packet.to_scapy()) == bytes(packet.to_dpkt()) == bytes(packet)
    assert 'abbr = "body", kind = "bytes"' in wireshark(Worn)


def test_why_says_how_it_came_about() -> None:
    assert "13 bytes through zlib(level=3)" in str(packets()[0].why(Worn, "body"))
    assert "3 bytes through xor(key=key)" in str(packets()[0].why(Worn, "near"))
