"""RTP (RFC 3550, RFC 8285) and RTCP (RFC 3550, RFC 4585): extension headers of two forms, compound packets, bodies by type."""

from __future__ import annotations

from typing import Annotated

import pytest

from packetlab import (
    S24,
    U1,
    U2,
    U4,
    U5,
    U7,
    U8,
    U16,
    U32,
    UDP,
    Bytes,
    Ether,
    Header,
    IPv4,
    IPv6,
    NTPTime,
    Payload,
    Text,
    ahead,
    auto,
    bind,
    choose,
    const,
    count_of,
    field,
    fixed_bytes,
    from_end,
    has,
    many,
    raw,
    size_of,
    sized,
    when,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Extension(Header):
        profile: U16 = 0
        words: U16 = auto(size_of("data") // 4)
        data: Bytes = b""

    class Short(Header):
        """RFC 8285 section 4.2; a byte 0 is padding."""

        id: U4 = 1
        less: U4 = auto(choose(field("id") == 0, 0, size_of("value") - 1))
        value: Bytes | None = when(field("id") != 0, sized(field("less") + 1))

    class ShortExtensions(Extension, inside="data", when={"profile": 0xBEDE}):
        elements: tuple[Short, ...] = many(align=4)

    class Long(Header):
        id: U8 = 1
        size: U8 | None = when(field("id") != 0, auto(size_of("value")))
        value: Bytes | None = when(field("id") != 0, sized(field("size")))

    class LongExtensions(Extension, inside="data", when=field("profile") >> 4 == 0x100):
        profile = 0x1000
        elements: tuple[Long, ...] = many(align=4)

    class RTP(Header, under=UDP, when={"port": (1024, 1026, 49120, 19956)}):
        version: U2 = const(2)
        padded: U1 = auto(has("filler"))
        extended: U1 = auto(has("extension"))
        count: U4 = auto(count_of("sources"))
        marker: U1 = 0
        type: U7 = 96
        sequence: U16 = 0
        timestamp: U32 = 0
        source: U32 = 0
        sources: tuple[U32, ...] = many()
        extension: Extension | None = when(field("extended"))
        body: Payload = b""
        filler: Bytes | None = when(field("padded"))
        filled: U8 | None = when(field("padded"), from_end(1, auto(size_of("filler") + 1)))

    class RTCP(Header, under=UDP, when={"port": (19957, 49121)}):
        version: U2 = const(2)
        padded: U1 = 0
        count: U5 = 0
        type: U8 = 201
        length: U16 = auto(size_of("self") // 4 - 1)

    class Report(Header):
        source: U32 = 0
        fraction: U8 = 0
        lost: S24 = 0
        highest: U32 = 0
        jitter: U32 = 0
        last: U32 = 0
        delay: U32 = 0

    class SenderReport(RTCP, when={"type": 200}):
        padded = auto(has("filler"))
        count = auto(count_of("reports"))
        sender: U32 = 0
        time: NTPTime = raw(0)
        timestamp: U32 = 0
        packets: U32 = 0
        octets: U32 = 0
        reports: tuple[Report, ...] = many()
        more: Bytes = b""
        filler: Bytes | None = when(field("padded"))
        filled: U8 | None = when(field("padded"), from_end(1, auto(size_of("filler") + 1)))

    class ReceiverReport(RTCP, when={"type": 201}):
        padded = auto(has("filler"))
        count = auto(count_of("reports"))
        sender: U32 = 0
        reports: tuple[Report, ...] = many()
        more: Bytes = b""
        filler: Bytes | None = when(field("padded"))
        filled: U8 | None = when(field("padded"), from_end(1, auto(size_of("filler") + 1)))

    class SourceItem(Header):
        type: U8 = 1
        length: U8 | None = when(field("type") != 0, auto(size_of("text")))
        text: Text | None = when(field("type") != 0, sized(field("length")))

    class Chunk(Header):
        source: U32 = 0
        items: tuple[SourceItem, ...] = many(until=field("type") == 0, align=4, end=SourceItem(type=0))

    class SourceDescription(RTCP, when={"type": 202}):
        count = auto(count_of("chunks"))
        chunks: tuple[Chunk, ...] = many()

    class Goodbye(RTCP, when={"type": 203}):
        count = auto(count_of("sources"))
        sources: tuple[U32, ...] = many()
        reason: Bytes = b""

    class Application(RTCP, when={"type": 204}):
        sender: U32 = 0
        name: Annotated[bytes, fixed_bytes(4)] = b"test"
        data: Bytes = b""

    class Lost(Header):
        first: U16 = 0
        following: U16 = 0

    class Nack(RTCP, when={"type": 205}):
        count = 1
        sender: U32 = 0
        media: U32 = 0
        lost: tuple[Lost, ...] = many()

    class Tunnel(Header, under=UDP, when={"port": 2152}):
        flags: U8 = 0x30
        type: U8 = 255
        length: U16 = auto(size_of("payload"))
        id: U32 = 0

    bind(IPv6, under=Tunnel, when=ahead(4) == 6)
    bind(RTCP, under=RTCP)


CAPTURES = ["rtp/rtsp_short.pcap", "rtcp/gtp-iphone.pcap"]
HEURISTICS = ("--enable-heuristic", "rtp_udp", "--enable-heuristic", "rtcp_udp")
BY_PORT = ("-d", "udp.port==1024,rtp", "-d", "udp.port==49121,rtcp")
Reports = SenderReport | ReceiverReport


def elements(extension: Extension | None) -> list[Short] | list[Long]:
    if isinstance(extension, LongExtensions):
        return [one for one in extension.elements if one.id]
    return [one for one in extension.elements if one.id] if isinstance(extension, ShortExtensions) else []


def bits_of(mask: int) -> list[int]:
    return [bit + 1 for bit in range(16) if mask >> bit & 1]


READINGS = {
    "rtp.version": of(RTP, lambda h: h.version),
    "rtp.padding": of(RTP, lambda h: h.padded),
    "rtp.padding.count": of(RTP, lambda h: h.filled),
    "rtcp.padding": of(RTCP, lambda h: h.padded),
    "rtp.ext": of(RTP, lambda h: h.extended),
    "rtp.cc": of(RTP, lambda h: h.count),
    "rtp.marker": of(RTP, lambda h: h.marker),
    "rtp.p_type": of(RTP, lambda h: h.type),
    "rtp.seq": of(RTP, lambda h: h.sequence),
    "rtp.timestamp": of(RTP, lambda h: h.timestamp),
    "rtp.ssrc": of(RTP, lambda h: h.source),
    "rtp.csrc.item": of(RTP, lambda h: h.sources),
    "rtp.ext.profile": of(RTP, lambda h: h.extension and h.extension.profile),
    "rtp.ext.len": of(RTP, lambda h: h.extension and h.extension.words),
    "rtp.ext.rfc5285.id": of(RTP, lambda h: [one.id for one in elements(h.extension)]),
    "rtp.ext.rfc5285.data": of(RTP, lambda h: [one.value for one in elements(h.extension) if one.value]),
    "rtcp.version": of(RTCP, lambda h: h.version),
    "rtcp.pt": of(RTCP, lambda h: h.type),
    "rtcp.length": of(RTCP, lambda h: h.length),
    "rtcp.rc": of(RTCP, lambda h: h.count if isinstance(h, Reports) else None),
    "rtcp.sc": of(RTCP, lambda h: h.count if isinstance(h, SourceDescription | Goodbye) else None),
    "rtcp.senderssrc": of(RTCP, lambda h: h.sender if isinstance(h, Reports | Nack) else None),
    "rtcp.timestamp.rtp": of(SenderReport, lambda h: h.timestamp),
    "rtcp.sender.packetcount": of(SenderReport, lambda h: h.packets),
    "rtcp.sender.octetcount": of(SenderReport, lambda h: h.octets),
    "rtcp.ssrc.fraction": of(RTCP, lambda h: [r.fraction for r in h.reports] if isinstance(h, Reports) else None),
    "rtcp.ssrc.cum_nr": of(RTCP, lambda h: [r.lost for r in h.reports] if isinstance(h, Reports) else None),
    "rtcp.ssrc.ext_high": of(RTCP, lambda h: [r.highest for r in h.reports] if isinstance(h, Reports) else None),
    "rtcp.ssrc.jitter": of(RTCP, lambda h: [r.jitter for r in h.reports] if isinstance(h, Reports) else None),
    "rtcp.sdes.text": of(SourceDescription, lambda h: [i.text for c in h.chunks for i in c.items if i.type]),
    "rtcp.app.name": of(Application, lambda h: h.name.decode()),
    "rtcp.mediassrc": of(Nack, lambda h: h.media),
    "rtcp.rtpfb.nack_pid": of(Nack, lambda h: [one.first + n for one in h.lost for n in [0, *bits_of(one.following)]]),
}


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_like_tshark(tshark: Ask, name: str) -> None:
    packets = alike(tshark, family(name), READINGS, *HEURISTICS)
    sound(packets, RTP)
    if "rtcp" in name:
        sound(packets, RTCP)
        (report, *_) = [one[SenderReport] for one in packets if SenderReport in one]
        assert str(report.time).startswith("2014-11-14T17:18:14.581405") and report.reports[0].source == 0xA2FF620F


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
    rtp, rtcp = low / UDP(sport=1024, dport=1024), low / UDP(sport=40000, dport=49121)
    short = ShortExtensions(elements=(Short(id=1, value=b"abc"), Short(id=0), Short(id=14, value=b"0123456789abcdef")))
    items = (SourceItem(text="me@here"), SourceItem(type=2, text="Zoe"))
    made = [
        rtp / RTP(marker=1, sequence=7, timestamp=160, source=0xDEADBEEF, sources=(1, 2)) / bytes(20),
        rtp / RTP(extension=short) / bytes(20),
        rtp / RTP(extension=short, filler=bytes(5)) / bytes(20),
        rtp / RTP(filler=b"") / bytes(20),
        rtp / RTP(extension=LongExtensions(elements=(Long(id=3, value=b""), Long(id=200, value=bytes(20))))) / bytes(9),
        rtp / RTP(extension=Extension(profile=7, data=bytes(8))) / bytes(9),
        rtcp / SenderReport(sender=5, packets=9, reports=(Report(lost=-1), Report(source=3, jitter=7)))
        / SourceDescription(chunks=(Chunk(source=5, items=items), Chunk(source=6)))
        / Goodbye(sources=(5,)),
        rtcp / ReceiverReport(sender=5) / Nack(sender=5, media=6, lost=(Lost(first=10, following=3), Lost(first=90))),
        rtcp / ReceiverReport() / Application(name=b"QoS1", data=bytes(8)),
        rtcp / ReceiverReport(reports=(Report(),), filler=bytes(3)),
    ]  # fmt: skip
    packets = alike(tshark, made, READINGS, *BY_PORT)
    sound(packets[:6], RTP)
    sound(packets[6:], RTCP)
    assert [len(list(one.layers)) for one in packets[6:]] == [6, 5, 5, 4]


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [one for name in CAPTURES for one in packets_of(name)]
    assert {"RTP.source"} <= cut([one for one in read if RTP in one][::9], RTP, 3)
    assert {"RTCP.length", "SenderReport.length"} & cut([one for one in read if RTCP in one], RTCP)
    spoilt([one for one in read if RTCP in one], RTCP)
