"""GTPv1-U (3GPP TS 29.281): optional fields that come together, extension headers whose kind the one before tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from packetlab import (
    ICMP,
    U1,
    U3,
    U4,
    U6,
    U8,
    U16,
    U32,
    UDP,
    Bytes,
    Ether,
    Header,
    IPv4,
    IPv6,
    Packet,
    ahead,
    auto,
    before,
    bind,
    choose,
    computed,
    dissect,
    field,
    has,
    many,
    size_of,
    sized,
    when,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class GTPExtension(Header):
        type: int = computed(choose(before("next"), before("next"), field("^.next")))
        length: U8 = auto((size_of("content") + 2) // 4)
        content: Bytes = sized(field("length") * 4 - 2, bytes(2))
        next: U8 = 0

    class PDCPNumber(GTPExtension, inside="content", when={"type": 0xC0}):
        number: U16 = 0

    class UDPPort(GTPExtension, inside="content", when={"type": 0x40}):
        port: U16 = 0

    class Session(GTPExtension, inside="content", when={"type": 0x85}):
        """PDU session container (TS 38.415)."""

        direction: U4 = 0
        spare: U4 = 0
        paging: U1 = 0
        reflective: U1 = 0
        flow: U6 = 0

    class GTP(Header, under=UDP, when={"port": 2152}):
        version: U3 = 1
        not_prime: U1 = 1
        reserved: U1 = 0
        extended: U1 = auto(has("extensions"))
        numbered: U1 = 0
        with_pdu: U1 = 0
        type: U8 = 255
        length: U16 = auto(size_of("self") + size_of("payload") - 8)
        tunnel: U32 = 0
        sequence: U16 | None = when(field("extended") | field("numbered") | field("with_pdu"), 0)
        pdu: U8 | None = when(field("extended") | field("numbered") | field("with_pdu"), 0)
        next: U8 | None = when(field("extended") | field("numbered") | field("with_pdu"), 0)
        extensions: tuple[GTPExtension, ...] | None = when(field("extended"), many(until=field("next") == 0))

    bind(IPv4, under=GTP, when=(field("type") == 255) & (ahead(4) == 4))
    bind(IPv6, under=GTP, when=(field("type") == 255) & (ahead(4) == 6))

X = TypeVar("X", bound=GTPExtension)
CAPTURE = "gtp/gtp.pcapng"
AS_DATA = ("-d", "udp.port==2123,data")  # the control plane is another protocol


def contents(wanted: type[X], read: Callable[[X], object]) -> Callable[[Packet], list[object]]:
    return of(GTP, lambda h: [read(one) for one in h.extensions or () if isinstance(one, wanted)])


READINGS = {
    "gtp.flags.version": of(GTP, lambda h: h.version),
    "gtp.flags.payload": of(GTP, lambda h: h.not_prime),
    "gtp.flags.e": of(GTP, lambda h: h.extended),
    "gtp.flags.s": of(GTP, lambda h: h.numbered),
    "gtp.flags.pn": of(GTP, lambda h: h.with_pdu),
    "gtp.message": of(GTP, lambda h: h.type),
    "gtp.length": of(GTP, lambda h: h.length),
    "gtp.teid": of(GTP, lambda h: h.tunnel),
    "gtp.seq_number": of(GTP, lambda h: h.sequence if h.numbered else None),
    "gtp.npdu_number": of(GTP, lambda h: h.pdu if h.with_pdu else None),
    "gtp.ext_hdr.next": of(GTP, lambda h: [h.next, *(one.next for one in h.extensions or ())] if h.extended else None),
    "gtp.ext_hdr.length": contents(GTPExtension, lambda one: one.length),
    "gtp.ext_hdr.pdcp_sn": contents(PDCPNumber, lambda one: one.number),
    "gtp.ext_hdr.udp_port": contents(UDPPort, lambda one: one.port),
    "gtp.ext_hdr.pdu_ses_con.pdu_type": contents(Session, lambda one: one.direction),
    "gtp.ext_hdr.pdu_ses_con.qos_flow_id": contents(Session, lambda one: one.flow),
}


def test_captures_are_read_like_tshark(tshark: Ask) -> None:
    sound(alike(tshark, family(CAPTURE), READINGS, *AS_DATA), GTP)


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=2152, dport=2152)
    inner = IPv4(src="10.1.0.1", dst="10.1.0.2") / ICMP() / b"ping"
    three = (Session(direction=1, flow=9), UDPPort(port=5000), PDCPNumber(number=7))
    made = [
        low / GTP(tunnel=9) / inner,
        low / GTP(numbered=1, sequence=300, with_pdu=1, pdu=3) / inner,
        low / GTP(extensions=three) / IPv6() / b"",
        low / GTP(next=0x03, extensions=(GTPExtension(content=b"123456"),)) / inner,
        low / GTP(type=1, numbered=1, sequence=1) / b"",
    ]
    packets = alike(tshark, made, READINGS, *AS_DATA)
    sound(packets, GTP)
    read = packets[2][GTP].extensions or ()
    assert [type(one) for one in read] == [type(one) for one in three] and [one.next for one in read] == [0x40, 0xC0, 0]


def test_what_follows_is_named_anew_where_extensions_move() -> None:
    made = GTP(extensions=(Session(), UDPPort(), PDCPNumber()))
    assert (made.next, [one.next for one in made.extensions or ()]) == (0x85, [0x40, 0xC0, 0])
    moved = made.replace(extensions=(made.extensions or ())[:0:-1])
    assert (moved.next, [(type(one).__name__, one.next) for one in moved.extensions or ()]) == (0xC0, [("PDCPNumber", 0x40), ("UDPPort", 0)])
    bare = made.replace(extensions=None)
    assert bare.next is None and bytes(bare) == bytes(GTP()) and bytes(GTP(numbered=1))[-1:] == b"\0"
    given = GTP(next=5, extensions=(Session(next=3), UDPPort()))
    assert (given.next, [one.next for one in given.extensions or ()]) == (5, [3, 0]), "what is given is sent"
    assert dissect(bytes(moved), GTP)[GTP] == moved


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [one for one in packets_of(CAPTURE) if GTP in one]
    assert {"GTP.length"} <= cut(read, GTP, 5)
    spoilt(read, GTP)
