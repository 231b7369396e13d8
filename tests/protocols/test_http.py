"""HTTP/1.1 (RFC 9112) and SIP (RFC 3261): each line of the head is a layer with name and value, and one of them says how long the body is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import pytest

from packetlab import (
    TCP,
    U64,
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
)
from tests.protocols.oracle import Ask, Readings, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

LOWER = 0x2020202020202020
CONTENT, LENGTH, TRANSFER = (int.from_bytes(word) | LOWER for word in (b"Content-", b"Length: ", b"Transfer"))
NEXT = ahead(64) | LOWER  # the eight letters that follow, of either case

with (scope := Scope()):

    class Start(Header):
        """Request: method, target, version; response: version, status, reason."""

        first: Text = ended(b" ", "GET")
        second: Text = ended(b" ", "/")
        third: Text = ended(b"\r\n", "HTTP/1.1")

    class Line(Header):
        name: Text = ended(b":", "Host")
        value: Text = ended(b"\r\n", " example.org")

    class Content(Header):
        """The lines that begin so."""

        word: Annotated[bytes, fixed_bytes(8)] = b"Content-"

    class Length(Header):
        word: Annotated[bytes, fixed_bytes(8)] = b"Length: "
        value: Digits = ended(b"\r\n", 0)

    class Transfer(Header):
        """Transfer-Encoding, of which only "chunked" is left."""

        word: U64 = int.from_bytes(b"Transfer")

    class End(Header, payload_size=choose(field("Transfer.word"), -1, field("Length.value"))):
        """The blank line, and the body after it: so long as is said, or in chunks."""

        blank: Annotated[bytes, fixed_bytes(2)] = const(b"\r\n")

    class Chunk(Header):
        size: HexDigits = ended(b"\r\n", auto(size_of("data")))
        data: Bytes = sized(field("size"), b"")
        end: Annotated[bytes, fixed_bytes(2)] = const(b"\r\n")

    class Chunks(Header, under=End, when=field("Transfer.word") != 0):
        chunks: tuple[Chunk, ...] = many(until=field("size") == 0, value=(Chunk(),))

    for below in (Start, Line, Length):
        bind(Content, under=below, when=NEXT == CONTENT)
        bind(Transfer, under=below, when=NEXT == TRANSFER)
        bind(End, under=below, when=ahead(16) == 0x0D0A)
        bind(Line, under=below, when=(ahead(8) >= 33) & (NEXT != CONTENT) & (NEXT != TRANSFER))
    bind(Line, under=Transfer)
    bind(Length, under=Content, when=NEXT == LENGTH)
    bind(Line, under=Content, when=NEXT != LENGTH)
    bind(Start, under=UDP, when={"port": 5060})
    bind(Start, under=TCP, when=((field("dport") == 80) | (field("sport") == 80)) & (ahead(8) >= 65))


HTTP, SIP = ["http1/detect-pcre-01.pcap", "http1/TwoHttpRequests.pcap"], ["sip-sdp/sip_reqs.pcap"]


def lines(packet: Packet) -> dict[str, str]:
    """Return the lines of a head by their names."""
    found, before = {}, ""
    for one in packet.layers:
        if isinstance(one, Line):
            found[(before + (one.name or "")).lower()] = (one.value or "").strip()
        before = "Content-" if isinstance(one, Content) else "Transfer" if isinstance(one, Transfer) else ""
    return found


def line(name: str) -> Callable[[Packet], str | None]:
    return lambda packet: lines(packet).get(name)


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
    "http.content_length": of(Length, lambda h: h.value),
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
    "sip.Content-Length": of(Length, lambda h: h.value),
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
        assert [len(one.payload) for one in packets if Length in one] == [229, 0]


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    def segment(port: int, packet: Packet) -> Packet:
        ports = (
            TCP(sport=port, dport=80, flags="ACK")
            if packet[Start].first in ("GET", "POST")
            else TCP(sport=80, dport=port, flags="ACK")
        )
        return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / ports / packet

    ok = Start(first="HTTP/1.1", second="200", third="OK")
    chunks = Chunks(chunks=(Chunk(data=b"hello "), Chunk(data=b"x" * 26), Chunk()))
    made = [
        segment(4001, Start() / Line() / End() / b""),
        segment(
            4002,
            Start(first="POST", second="/a?b")
            / Line()
            / Content()
            / Length(value=5)
            / Line(name="User-Agent", value=" lab")
            / End()
            / b"hello",
        ),
        segment(
            4003, ok / Content() / Line(name="Type", value=" text/plain") / Content() / Length(value=3) / End() / b"abc"
        ),
        segment(4004, ok / Transfer() / Line(name="-Encoding", value=" chunked") / End() / chunks / b""),
    ]
    packets = alike(tshark, made, HTTP_READINGS)
    sound(packets, Start)
    assert b"\r\n1a\r\nxxx" in bytes(packets[3])


def test_what_is_beyond_the_length_is_no_body() -> None:
    data = bytes(Start() / Content(word=b"CONTENT-") / Length(word=b"lEngth: ", value=2) / End() / b"abcd")
    read = dissect(data, Start)
    assert (read.payload, read.trailer) == (b"ab", b"cd") and bytes(read) == data
    assert dissect(data.replace(b": 2", b": 9"), Start).faults[0].layer == "End"


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [one for name in (*SIP, *HTTP) for one in packets_of(name) if Start in one][:4]
    assert {"Line.value", "Start.second", "Line.name"} <= cut(read, Start, 3)
    spoilt(read, Start)
