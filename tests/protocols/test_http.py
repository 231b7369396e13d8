"""HTTP/1.1 (RFC 9112) and SIP (RFC 3261): the lines of the head are items with name and value, and one of them says how long the body is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import pytest

from packetlab import (
    TCP,
    U8,
    UDP,
    Bytes,
    Digits,
    Ether,
    Header,
    HexDigits,
    IPv4,
    Packet,
    Text,
    ahead,
    auto,
    bind,
    choose,
    const,
    dissect,
    ended,
    field,
    fixed_bytes,
    many,
    size_of,
    sized,
    text,
)
from tests.protocols.oracle import Ask, Readings, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Line(Header):
        """A line of a head; the last one is empty."""

        line: Bytes = ended(b"\r\n", b"")

    class Field(Line, inside="line", when=size_of("line") > 2):
        name: Text = ended(b":", "Host")
        value: Annotated[str, text(rest=True)] = " example.org"

    class ContentLength(Field, inside="value", when={"name": "Content-Length"}):
        length: Digits = 0

    class Encoding(Field, inside="value", when={"name": "Transfer-Encoding"}):
        """Of transfer encodings only "chunked" is left."""

        space: U8 = 0x20
        coding: Annotated[str, text(rest=True)] = "chunked"

    CHUNKED = field("lines.encoding.space") != 0

    class Start(Header, payload_size=choose(CHUNKED, -1, field("lines.contentlength.length"))):
        """Request: method, target, version; response: version, status, reason. The body is so long as is said, or in chunks."""

        first: Text = ended(b" ", "GET")
        second: Text = ended(b" ", "/")
        third: Text = ended(b"\r\n", "HTTP/1.1")
        lines: tuple[Line, ...] = many(until=size_of("line") == 2, value=(Line(),))

    class Chunk(Header):
        size: HexDigits = ended(b"\r\n", auto(size_of("data")))
        data: Bytes = sized(field("size"), b"")
        end: Annotated[bytes, fixed_bytes(2)] = const(b"\r\n")

    class Chunks(Header, under=Start, when=CHUNKED):
        chunks: tuple[Chunk, ...] = many(until=field("size") == 0, value=(Chunk(),))

    bind(Start, under=UDP, when={"port": 5060})
    bind(Start, under=TCP, when=((field("dport") == 80) | (field("sport") == 80)) & (ahead(8) >= 65))


HTTP, SIP = ["http1/detect-pcre-01.pcap", "http1/TwoHttpRequests.pcap"], ["sip-sdp/sip_reqs.pcap"]


def line(name: str) -> Callable[[Packet], list[object]]:
    def read(head: Start) -> str | None:
        found = (one.value for one in head.lines or () if isinstance(one, Field) and one.name.lower() == name)
        return next((value.strip() for value in found), None)

    return of(Start, read)


def length(head: Start) -> int | None:
    return next((one.length for one in head.lines or () if isinstance(one, ContentLength)), None)


def asked(read: Callable[[Start], str]) -> Callable[[Packet], list[object]]:
    return of(Start, lambda h: None if h.first.startswith("HTTP/") else read(h))


HTTP_READINGS = {
    "http.request.method": asked(lambda h: h.first),
    "http.request.uri": asked(lambda h: h.second),
    "http.request.version": asked(lambda h: h.third),
    "http.response.code": of(Start, lambda h: int(h.second) if h.first.startswith("HTTP/") else None),
    "http.host": line("host"),
    "http.user_agent": line("user-agent"),
    "http.content_type": line("content-type"),
    "http.transfer_encoding": line("transfer-encoding"),
    "http.content_length": of(Start, length),
    "http.chunk_size": of(Chunks, lambda h: [one.size for one in h.chunks]),
    "http.file_data": lambda packet: body(packet).decode() or None,
}
SIP_READINGS = {
    "sip.Method": of(Start, lambda h: h.first),
    "sip.r-uri": of(Start, lambda h: h.second),
    "sip.Call-ID": line("call-id"),
    "sip.CSeq": line("cseq"),
    "sip.Max-Forwards": line("max-forwards"),
    "sip.Content-Type": line("content-type"),
    "sip.Content-Length": of(Start, length),
}


def body(packet: Packet) -> bytes:
    return b"".join(one.data for one in packet[Chunks].chunks) if Chunks in packet else packet.payload


@pytest.mark.parametrize(
    ("name", "readings"), [*((one, HTTP_READINGS) for one in HTTP), *((one, SIP_READINGS) for one in SIP)]
)
def test_captures_are_read_like_tshark(tshark: Ask, name: str, readings: Readings) -> None:
    packets = alike(tshark, family(name), readings)
    sound([one for one in packets if Start in one and not one.faults], Start, anew=name not in SIP)  # SIP pads a number
    assert sum(bool(one.faults) for one in packets) == (name in SIP)  # one that was cut when it was sent
    if name in SIP:
        assert [len(one.payload) for one in packets if Start in one and length(one[Start]) is not None] == [229, 0]


def ok(*lines: Line) -> Start:
    return Start(first="HTTP/1.1", second="200", third="OK", lines=(*lines, Line()))


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    def segment(port: int, packet: Packet) -> Packet:
        ports = (
            TCP(sport=port, dport=80, flags="ACK")
            if packet[Start].first in ("GET", "POST")
            else TCP(sport=80, dport=port, flags="ACK")
        )
        return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / ports / packet

    chunks = Chunks(chunks=(Chunk(data=b"hello "), Chunk(data=b"x" * 26), Chunk()))
    agent, kind = Field(name="User-Agent", value=" lab"), Field(name="Content-Type", value=" text/plain")
    made = [
        segment(4001, Start(lines=(Field(), Line())) / b""),
        segment(
            4002, Start(first="POST", second="/a?b", lines=(Field(), ContentLength(length=5), agent, Line())) / b"hello"
        ),
        segment(4003, ok(kind, ContentLength(length=3)) / b"abc"),
        segment(4004, ok(Encoding()) / chunks / b""),
    ]
    packets = alike(tshark, made, HTTP_READINGS)
    sound(packets, Start)
    assert b"\r\n1a\r\nxxx" in bytes(packets[3])


def test_what_is_beyond_the_length_is_no_body() -> None:
    data = bytes(Start(lines=(ContentLength(name="CONTENT-lEngth", length=2), Line()))) + b"abcd"
    read = dissect(data, Start)
    assert (read.payload, read.trailer) == (b"ab", b"cd") and bytes(read) == data
    assert dissect(data.replace(b":2", b":9"), Start).faults[0].layer == "Start"


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [one for name in (*SIP, *HTTP) for one in packets_of(name) if Start in one][:4]
    assert {"Start.second", "Start.lines"} <= cut(read, Start, 3)
    spoilt(read, Start)
