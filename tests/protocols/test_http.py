"""HTTP/1.1 (RFC 9112) and SIP (RFC 3261): the lines of the head are items with name and value, and one of them says how long the body is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    UDP,
    Bytes,
    Capture,
    Digits,
    Ether,
    Frame,
    Header,
    IPv4,
    Packet,
    Text,
    Writer,
    auto,
    choose,
    computed,
    digits,
    dissect,
    ended,
    field,
    many,
    must,
    recalled,
    receiver,
    sender,
    size_of,
    sized,
    text,
    when,
)
from packetlab.declare.values.digits import SpelledDigits
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
        there: int = computed(1)
        length: Digits = 0

    class Encoding(Field, inside="value", when={"name": "Transfer-Encoding"}):
        """Of transfer encodings only "chunked" is left."""

        space: U8 = 0x20
        coding: Annotated[str, text(rest=True)] = "chunked"

    class Chunk(Header):
        """So many bytes (7.1), with an extension after a semicolon (7.1.1); the last one is empty, and trailers follow it."""

        size: Annotated[int, digits(16, before=b";")] = ended(b"\r\n", auto(size_of("data")))
        data: Bytes = sized(field("size"), b"")
        end: U16 | None = when(field("size") != 0, must(field("end") == 0x0D0A, 0x0D0A))  # after a wrong one the next chunk is read all the same

    TO_HEAD = recalled("http.head", receiver(), sender(), default=0)
    CHUNKED = (field("lines.encoding.space") != 0) & (field("to_head") == 0)
    GIVEN = field("lines.contentlength.there") != 0
    REPLY = (field("first") == "HTTP/1.1") | (field("first") == "HTTP/1.0")
    BARE = field("status").one_of("100", "101", "204", "304") | (field("to_head") != 0)
    BODY = choose(GIVEN & (field("to_head") == 0), field("lines.contentlength.length"), choose(REPLY & ~BARE, -1, 0))

    HEAD = {("http.head", sender(), receiver()): field("is_head")}

    class Start(Header, under=TCP, port=80, stream=True, payload_size=choose(CHUNKED, 0, BODY), remembers=HEAD):
        """Request: method, target, version; response: version, status, reason. The body is so long as is said, in chunks, or all up to the close.

        What does not stand in a message: a reply to HEAD has no body, whatever its length says (9.3.2), which the request before it says.
        """

        first: Text = ended(b" ", "GET")
        is_head: int = computed(field("first") == "HEAD")
        to_head: int = computed(choose(REPLY, TO_HEAD, 0))
        status: Annotated[str, text(size=3)] | None = when(REPLY, "200")
        reason: Text | None = when(REPLY, ended(b"\r\n", " OK"))  # with the space before it, which some leave out with it (4)
        target: Text | None = when(~REPLY, ended(b" ", "/"))
        version: Text | None = when(~REPLY, ended(b"\r\n", "HTTP/1.1"))
        lines: tuple[Line, ...] = many(until=size_of("line") == 2, end=Line())
        chunks: tuple[Chunk, ...] | None = when(CHUNKED, many(until=field("size") == 0, end=Chunk()))
        trailers: tuple[Line, ...] | None = when(CHUNKED, many(until=size_of("line") == 2, end=Line()))

    class SIPLine(Header):
        """As in HTTP, but a length may have the short name too, and spaces before the colon (RFC 3261, 7.3.1, 7.3.3)."""

        line: Bytes = ended(b"\r\n", b"")

    class SIPField(SIPLine, inside="line", when=size_of("line") > 2):
        name: Text = ended(b":", "Max-Forwards")
        value: Annotated[str, text(rest=True)] = " 70"

    class SIPLength(SIPField, inside="value", when={"name": ("Content-Length", "l", "Content-Length ", "l ", "Content-Length\t", "l\t")}):
        there: int = computed(1)
        length: Digits = 0

    class SIPMessage(Header, under=UDP, port=5060, payload_size=choose(field("lines.siplength.there") != 0, field("lines.siplength.length"), -1)):
        """The same lines, alone in a datagram, to whose end the body goes where no length stands (18.3)."""

        first: Text = ended(b" ", "OPTIONS")
        second: Text = ended(b" ", "sip:lab")
        third: Text = ended(b"\r\n", "SIP/2.0")
        lines: tuple[SIPLine, ...] = many(until=size_of("line") == 2, end=SIPLine())



HTTP, SIP = ["http1/detect-pcre-01.pcap", "http1/TwoHttpRequests.pcap"], ["sip-sdp/sip_reqs.pcap"]


def line(name: str, wanted: type[Start] | type[SIPMessage] = Start) -> Callable[[Packet], list[object]]:
    def read(head: Start | SIPMessage) -> str | None:
        found = (one.value for one in head.lines or () if isinstance(one, Field | SIPField) and one.name.lower() == name)
        return next((value.strip() for value in found), None)

    return of(wanted, read)


def length(head: Start | SIPMessage) -> int | None:
    return next((one.length for one in head.lines or () if isinstance(one, ContentLength | SIPLength)), None)


def asked(read: Callable[[Start], str | None]) -> Callable[[Packet], list[object]]:
    return of(Start, lambda h: None if h.first.startswith("HTTP/") else read(h))


HTTP_READINGS: Readings = {
    "http.request.method": asked(lambda h: h.first),
    "http.request.uri": asked(lambda h: h.target),
    "http.request.version": asked(lambda h: h.version),
    "http.response.code": of(Start, lambda h: int(h.status or 0) if h.first.startswith("HTTP/") else None),
    "http.host": line("host"),
    "http.user_agent": line("user-agent"),
    "http.content_type": line("content-type"),
    "http.transfer_encoding": line("transfer-encoding"),
    "http.content_length": of(Start, length),
    "http.chunk_size": of(Start, lambda h: [one.size for one in h.chunks or ()]),
    "http.file_data": lambda packet: body(packet).decode() or None,
}
SIP_READINGS = {
    "sip.Method": of(SIPMessage, lambda h: h.first),
    "sip.r-uri": of(SIPMessage, lambda h: h.second),
    "sip.Call-ID": line("call-id", SIPMessage),
    "sip.CSeq": line("cseq", SIPMessage),
    "sip.Max-Forwards": line("max-forwards", SIPMessage),
    "sip.Content-Type": line("content-type", SIPMessage),
    "sip.Content-Length": of(SIPMessage, length),
}


def body(packet: Packet) -> bytes:
    chunks = packet[Start].chunks if Start in packet else None
    return packet.payload if chunks is None else b"".join(one.data for one in chunks)


@pytest.mark.parametrize(
    ("name", "readings"), [*((one, HTTP_READINGS) for one in HTTP), *((one, SIP_READINGS) for one in SIP)]
)
def test_captures_are_read_like_tshark(tshark: Ask, name: str, readings: Readings) -> None:
    wanted: type[Header] = SIPMessage if name in SIP else Start
    packets = alike(tshark, family(name), readings, in_capture=True)
    sound([one for one in packets if wanted in one and not one.faults], wanted, anew=name not in SIP)  # SIP pads a number
    assert sum(bool(one.faults) for one in packets) == (name in SIP)  # one that was cut when it was sent
    if name in SIP:
        messages = [one for one in packets if SIPMessage in one and length(one[SIPMessage]) is not None]
        assert [len(one.payload) for one in messages] == [229, 0]


def ok(*lines: Line, status: str = "200") -> Start:
    return Start(first="HTTP/1.1", status=status, lines=lines)


CHUNKS = (Chunk(data=b"hello "), Chunk(data=b"x" * 26))
SPELLINGS = (6, b'6;name="a b"', b"hello "), (26, b"01A ;x", b"y" * 26), (0, b"0;last", b"")
EXTENDED = [Chunk(size=SpelledDigits.of(size, spelled), data=data) for size, spelled, data in SPELLINGS]
AGENT, KIND = Field(name="User-Agent", value=" lab"), Field(name="Content-Type", value=" text/plain")


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    def segment(port: int, packet: Packet) -> Packet:
        ports = (
            TCP(sport=port, dport=80, flags="ACK")
            if packet[Start].first in ("GET", "POST")
            else TCP(sport=80, dport=port, flags="ACK")
        )
        return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / ports / packet

    made = [
        segment(4001, Start(lines=(Field(),)) / b""),
        segment(4002, Start(first="POST", target="/a?b", lines=(Field(), ContentLength(length=5), AGENT)) / b"hello"),
        segment(4003, ok(KIND, ContentLength(length=3)) / b"abc"),
        segment(4004, ok(Encoding()).replace(chunks=CHUNKS) / b""),
        segment(4005, ok(Encoding()).replace(chunks=CHUNKS, trailers=(Field(name="Server-Timing", value=" 5"),)) / b""),
        segment(4006, ok(Field(name="Content-Length", value="\t5 ")) / b"hello"),
        segment(4007, ok(KIND) / b"up to the close"),
        segment(4008, ok(status="304") / b""),
        segment(4009, ok(Encoding()).replace(chunks=EXTENDED) / b""),
    ]
    packets = alike(tshark, made, HTTP_READINGS, in_capture=True)
    sound(packets, Start)
    assert b"\r\n1a\r\nxxx" in bytes(packets[3]) and b"Content-Length:\t5 \r\n" in bytes(packets[5])
    assert [(one.payload, one.trailer) for one in packets[5:]] == [(b"hello", b""), (b"up to the close", b""), (b"", b""), (b"", b"")]
    assert [str(one.size) for one in packets[8][Start].chunks or ()] == ["6", "26", "0"] and b"\r\n01A ;x\r\nyyy" in bytes(packets[8])
    assert [one.name for one in packets[4][Start].trailers or () if isinstance(one, Field)] == ["Server-Timing"]


def streamed(*messages: Packet, size: int, port: int = 4000) -> list[bytes]:
    """Return the frames of a connection of which one end sends messages, in segments of a size; `port` is the client's."""
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=80, dport=port, flags="ACK", seq=1)
    low = low if messages[0][Start].first.startswith("HTTP/") else low.replace(TCP, sport=port, dport=80)
    begin = low.replace(TCP, flags="SYN", seq=0)
    return [bytes(one) for one in (begin, *(low / b"".join(map(bytes, messages))).segments(size))]


TOGETHER = ("-o", "tcp.desegment_tcp_streams:TRUE", "-E", "aggregator=\x1f")


def test_messages_go_over_segments_and_stand_in_one(tshark: Ask, tmp_path: Path) -> None:
    replies = [
        ok(KIND, ContentLength(length=500)) / (b"x" * 500),
        ok(Encoding()).replace(chunks=CHUNKS, trailers=(Field(name="Server-Timing", value=" 5"),)) / b"",
        ok(ContentLength(length=2)) / b"ab",
    ]
    requests = [Start(target=f"/{n}", lines=(Field(), AGENT)) / b"" for n in range(3)]
    sent = ((replies, 100), (replies, 7), (requests, 1000), (requests, 30))
    frames = [one for port, (messages, size) in enumerate(sent, 4000) for one in streamed(*messages, size=size, port=port)]
    path = tmp_path / "made.pcap"
    with Writer(path) as writer:
        for number, one in enumerate(frames):
            writer.write(Frame(one, number * 1000))
    found = list(Capture(path).messages(Start))
    assert all(one.whole and not one.faults for one in found)
    assert [bytes(one.packet) for one in found] == [bytes(one) for messages, _ in sent for one in messages]
    names = ("http.request.uri", "http.response.code", "http.content_length", "http.chunk_size", "http.file_data")
    for name, column in zip(names, zip(*tshark(path, *names, options=TOGETHER), strict=True), strict=True):
        theirs = [value for said in column for value in said.split("\x1f") if value]
        ours = [value for one in found for value in listed(HTTP_READINGS[name](one.packet))]
        assert theirs == list(map(str, ours)), name


GOOD = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"


def test_a_bad_line_costs_its_message_alone(tshark: Ask, tmp_path: Path) -> None:
    bad = [b"GET /bad HTTP/1.1\r\n%s\r\n\r\n" % line for line in (b"Host: \xe9", b"H\xe9: a", b"Transfer-Encodin\xe9: chunked")]
    path, sent = tmp_path / "made.pcap", [[*good[:place], one, *good[place:]] for good in [[GOOD % 1, GOOD % 2]] for one in bad for place in range(3)]
    with Writer(path) as writer:
        for number, requests in enumerate(sent):
            low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=4000 + number, dport=80, flags="ACK", seq=1)
            for one in (low.replace(TCP, flags="SYN", seq=0), low / b"".join(requests)):
                writer.write(Frame(bytes(one), number))
    found, every = list(Capture(path).messages(Start)), [one for requests in sent for one in requests]
    assert [bytes(one.packet) for one in found] == every and all(one.whole for one in found)
    assert [bool(one.faults) for one in found] == [one in bad for one in every]
    assert [len(one.packet().messages(Start)) for one in Capture(path)] == [0, 3] * len(sent)
    (theirs,) = zip(*tshark(path, "http.request.uri", options=TOGETHER), strict=True)
    assert "\x1f".join(filter(None, theirs)).split("\x1f") == [one.header.target for one in found]


def test_a_line_that_might_have_said_how_much_follows_leaves_the_end_open() -> None:
    for bad in (b"Content-Length: x", b"Host"):
        frames = streamed(Start() / b"", size=100)[:1]
        low = dissect(frames[0]).replace(TCP, flags="ACK", seq=1)
        capture = Capture.of([*frames, bytes(low / (b"POST / HTTP/1.1\r\n%s\r\n\r\n" % bad + GOOD % 1))])
        (found,) = capture.messages(Start)
        assert not found.whole and found.faults[0].field == "lines"


def test_a_chunk_that_ends_with_other_bytes_is_a_fault() -> None:
    data = bytes(ok(Encoding()).replace(chunks=CHUNKS) / b"").replace(b"hello \r\n", b"hello XX")
    read = dissect(data, Start)
    assert [(one.field, one.got) for one in read.faults] == [("chunks", "22616")] and bytes(read) == data
    assert [one.data for one in read[Start].chunks or ()] == [b"hello ", b"x" * 26, b""]


def listed(found: object) -> list[object]:
    return list(found) if isinstance(found, list | tuple) else [] if found is None else [found]


def closed(*messages: Packet, size: int) -> list[bytes]:
    """Return the frames of a connection whose sender closes after messages."""
    frames = streamed(*messages, size=size)
    fin = dissect(frames[-1]).replace(TCP, flags="FIN|ACK")
    return [*frames[:-1], bytes(fin)]


def test_a_body_up_to_the_close_ends_with_it(tshark: Ask, tmp_path: Path) -> None:
    old = Start(first="HTTP/1.0", lines=(KIND,)) / (b"x" * 300)
    for messages, size in (([old], 100), ([old], 5000), ([ok(ContentLength(length=2)) / b"ab", ok(KIND) / b"last"], 30), ([ok(KIND) / b""], 20)):
        path = tmp_path / "made.pcap"
        with Writer(path) as writer:
            for number, one in enumerate(closed(*messages, size=size)):
                writer.write(Frame(one, number * 1000))
        found = list(Capture(path).messages(Start))
        assert [bytes(one.packet) for one in found] == list(map(bytes, messages))
        assert all(one.whole and not one.faults for one in found)
        (theirs,) = zip(*tshark(path, "http.file_data", options=TOGETHER), strict=True)
        assert [value for said in theirs for value in said.split("\x1f") if value] == [said for one in found if (said := one.packet.payload.decode())]
        begin = [Start in frame.packet() for frame in Capture(path)]
        assert begin.count(True) == 1 and begin[1]  # the rest of the frames is the middle of it


def test_a_body_up_to_the_close_is_not_whole_where_the_close_or_bytes_before_it_were_not_captured() -> None:
    message = ok(KIND) / (b"x" * 300)
    frames = closed(message, size=100)
    end = dissect(frames[-1])
    reset = bytes(end.replace(TCP, flags="RST", seq=end[TCP].seq + len(end.payload)).replace(payload=b""))
    for said in (streamed(message, size=100), [*streamed(message, size=100), reset], [*frames[:2], *frames[3:]]):
        found = list(Capture.of(said).messages(Start))
        assert not found[0].whole and found[0].faults[-1].expected == "a message that tells where it ends"


def test_what_is_beyond_the_length_is_no_body() -> None:
    lines = (ContentLength(name="CONTENT-lEngth", length=2),)
    data = bytes(SIPMessage(lines=(SIPLength(name="CONTENT-lEngth", length=2),))) + b"abcd"
    read = dissect(data, SIPMessage)
    assert (read.payload, read.trailer) == (b"ab", b"cd") and bytes(read) == data
    data = bytes(Start(lines=lines)) + b"abcd"
    read = dissect(data, Start)
    assert read.payload == b"ab" and bytes(read) == data  # the next message begins there
    assert dissect(data.replace(b":2", b":9"), Start).faults[0].layer == "Start"


def test_a_body_goes_to_the_end_of_its_datagram_or_as_far_as_a_length_of_either_name(tshark: Ask) -> None:
    described, words = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=lab\r\n", SIPField(name="Content-Type", value=" application/sdp")
    lengths = [(), *((SIPLength(name=name, length=len(described)),) for name in ("Content-Length", "l", "L", "Content-Length ", "l\t"))]
    made = [
        Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=5060, dport=5060) / SIPMessage(first="INVITE", lines=(words, *some)) / described
        for some in lengths
    ]
    spoken: Readings = {"sip.Method": SIP_READINGS["sip.Method"], "sdp.session_name": lambda packet: ["lab"] * (packet.payload == described)}
    packets = [*alike(tshark, made[:4], {**SIP_READINGS, **spoken}), *alike(tshark, made[4:], spoken)]  # tshark knows no length with a space
    sound(packets, SIPMessage)
    assert [(one.payload, one.trailer) for one in packets] == [(described, b"")] * len(made)
    assert [length(one[SIPMessage]) for one in packets] == [None, *[len(described)] * 5]


def test_a_reply_may_end_with_its_status(tshark: Ask) -> None:
    made = [bytes(ok(ContentLength(length=2), status=status).replace(reason=reason) / b"ab") for status in ("200", "404") for reason in ("", " ", " Well done")]
    frames = streamed(*(dissect(one, Start) for one in made), size=1000)
    assert frames[1].endswith(b"".join(made)) and made[0].startswith(b"HTTP/1.1 200\r\n")
    found = list(Capture.of(frames).messages(Start))
    assert [bytes(one.packet) for one in found] == made and all(one.whole and not one.faults for one in found)
    assert [(one.header.status, one.header.reason) for one in found[:3]] == [("200", ""), ("200", " "), ("200", " Well done")]
    alike(tshark, [streamed(dissect(one, Start), size=1000, port=port)[1] for port, one in enumerate(made, 4000)], {"http.response.code": HTTP_READINGS["http.response.code"]}, in_capture=True)


@pytest.mark.parametrize("coded", [False, True], ids=["length", "chunked"])
def test_a_reply_to_head_has_no_body_whatever_it_says(tshark: Ask, tmp_path: Path, coded: bool) -> None:
    asking = [Start(first=method, lines=(Field(),)) for method in ("HEAD", "GET", "HEAD", "HEAD")]
    replies = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" if coded else bytes(ok(ContentLength(length=40)))]
    replies += [bytes(ok(ContentLength(length=3)) / b"abc"), replies[0], replies[0]]
    up = Ether() / IPv4(src="10.0.0.2", dst="10.0.0.1") / TCP(sport=4000, dport=80, flags="ACK", seq=1, ack=1)
    down = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=80, dport=4000, flags="ACK", seq=1, ack=1)
    frames = [bytes(up.replace(TCP, flags="SYN", seq=0)), bytes(down.replace(TCP, flags="SYN|ACK", seq=0))]
    sent = [0, 0]
    for request, reply in zip(map(bytes, asking), replies, strict=True):
        frames.append(bytes(up.replace(TCP, seq=1 + sent[0], ack=1 + sent[1]) / request))
        sent[0] += len(request)
        frames.append(bytes(down.replace(TCP, seq=1 + sent[1], ack=1 + sent[0]) / reply))
        sent[1] += len(reply)
    path = tmp_path / "made.pcap"
    with Writer(path) as writer:
        for number, one in enumerate(frames):
            writer.write(Frame(one, number * 1000))
    found = list(Capture(path).messages(Start))
    assert [(one.header.first, one.packet.payload) for one in found] == [
        ("HEAD", b""), ("HTTP/1.1", b""), ("GET", b""), ("HTTP/1.1", b"abc"), ("HEAD", b""), ("HTTP/1.1", b""), ("HEAD", b""), ("HTTP/1.1", b"")]  # fmt: skip
    assert all(one.whole and not one.faults for one in found) and [bytes(one.packet) for one in found[1::2]] == replies
    names = ("http.request.method", "http.response.code")
    assert tshark(path, *names)[2:] == [["HEAD", ""], ["", "200"], ["GET", ""], ["", "200"], ["HEAD", ""], ["", "200"], ["HEAD", ""], ["", "200"]]


@pytest.mark.slow
def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    for names, wanted in ((SIP, SIPMessage), (HTTP, Start)):
        read = [one for name in names for one in packets_of(name) if wanted in one][:3]
        assert {f"{wanted.__name__}.{'second' if wanted is SIPMessage else 'target'}", f"{wanted.__name__}.lines"} <= cut(read, wanted, 3)
        spoilt(read, wanted)
