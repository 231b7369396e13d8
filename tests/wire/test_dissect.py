"""Dissection: any bytes come back, what fits is understood, what does not is a fault and never an exception."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated, Any

import pytest
from hypothesis import example, given, settings, strategies as st

from packetlab import (
    GRE,
    HDLC,
    ICMP,
    IDP,
    LLC,
    MPLS,
    PPP,
    SNAP,
    SPP,
    TCP,
    U8,
    UDP,
    VLAN,
    VXLAN,
    BSDNull,
    Capture,
    CiscoHDLC,
    DissectError,
    Ether,
    Fragment,
    Frame,
    Header,
    ICMPv6,
    IPv4,
    IPv4Flags,
    IPv6,
    LinuxSLL,
    NeighborSolicitation,
    Payload,
    PPPLink,
    RawIP,
    Routing,
    Verdict,
    WebSocketFrame,
    auto,
    dissect,
    fixed_bytes,
    mask,
    size_of,
)  # fmt: skip
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.codec.objects import declared_classes
from packetlab.declare.kinds import PayloadMark
from tests.conftest import amount

PACKETS = [
    Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=5, dport=80, options=b"\x08\x0a" + bytes(8)) / b"hello",
    Ether() / VLAN(id=3) / IPv6(src="fe80::1", dst="fe80::2") / UDP(sport=1, dport=53) / b"odd",
    Ether() / IPv6() / Fragment(offset=0, more=1) / UDP(dport=9) / b"12345678",
    Ether() / IPv6() / ICMPv6() / NeighborSolicitation(target="fe80::3"),
    Ether() / IPv4() / ICMP(type=3) / IPv4() / UDP(dport=7),
    Ether() / IPv4() / GRE(key=7, checksum=None, sequence=1) / IPv4() / TCP(),
    Ether() / IPv4() / UDP() / VXLAN(vni=5) / Ether() / IPv4() / UDP(dport=1),
    Ether() / MPLS(label=1) / MPLS(label=2) / IPv4() / TCP(),
    Ether() / LLC() / SNAP() / IPv4() / UDP(dport=5) / b"x",
    Ether() / IDP() / SPP(seq=3) / b"odd",
]
DATA = [bytes(packet) for packet in PACKETS]
FIRST = [cls for cls in declared_classes() if cls.__module__.startswith("packetlab.")]


def holds(data: bytes, first: type[Header]) -> None:
    """The promise, both with and without the bytes being kept, and for a cut capture."""
    packet = dissect(data, first)
    assert bytes(packet) == data
    assert packet.encode() == data
    assert bytes(dissect(data, first, keep=False)) == data
    cut = dissect(data, first, wire_length=len(data) + 9)
    assert bytes(cut) == data and cut.encode() == data and cut.truncated
    assert any(fault.cut for fault in cut.faults)
    for text in (packet.show(), str(packet.faults), packet.summary(), repr(packet)):
        assert "\x1b" not in text
    for header in packet.layers:
        for f in header._fields:
            getattr(header, f.name)
            if not isinstance(f.kind, PayloadMark):
                packet.why((type(header), 0), f.name)
    packet.verdicts()
    packet.replace(payload=b"other")


@pytest.mark.parametrize("packet", PACKETS, ids=lambda p: p.summary())
def test_what_was_built_is_read_back_whole(packet) -> None:
    back = dissect(bytes(packet))
    assert [type(h) for h in back.layers] == [type(h) for h in packet.layers] and not packet.diff(back)
    assert not back.faults and back.payload == packet.payload


@given(st.sampled_from(FIRST), st.binary(max_size=120))
@settings(max_examples=amount(60, 5000))
@example(IPv4, b"E" + bytes(19))
@example(IPv4, bytes.fromhex("4f"))
def test_any_bytes_come_back_from_any_header(first: type[Header], data: bytes) -> None:
    holds(data, first)


@pytest.mark.slow
@given(
    st.sampled_from(DATA),
    st.integers(0, 200),
    st.lists(st.tuples(st.integers(0, 150), st.integers(0, 255)), max_size=4),
)
@settings(max_examples=amount(60, 5000))
def test_damaged_packets_come_back(data: bytes, keep: int, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(data[:keep])
    for place, value in changes:
        if place < len(damaged):
            damaged[place] = value
    holds(bytes(damaged), Ether)


@pytest.mark.parametrize("data", DATA, ids=[p.summary() for p in PACKETS])
def test_cut_at_every_length_something_is_understood_and_nothing_lost(data: bytes) -> None:
    for size in range(len(data)):
        holds(data[:size], Ether)


def test_the_careful_reader_and_the_compiled_ones_agree() -> None:
    for data in DATA:
        for _ in range(40):
            fused = dissect(data)
        start, end, cls, ctx, found = 0, len(data), Ether._declaration, Dissection(), []
        while cls is not None:
            header, start, end, cls = walk(cls, data, start, end, ctx)
            found.append(header)
        assert not ctx.faults
        assert list(fused.layers) == found and fused.payload == data[start:end]


def test_a_fault_says_where_expected_and_got() -> None:
    packet = dissect(bytes(Ether() / IDP() / SPP())[:50])
    (fault,) = packet.faults
    assert (fault.layer, fault.field, fault.offset) == ("IDP", "length", 14)
    with pytest.raises(DissectError, match=r"^Ether/IPv4/TCP\.seq: expected 4 bytes at offset 38, got 3"):
        dissect(bytes(Ether() / IPv4(length=27) / TCP())[:41], strict=True)
    assert packet[SPP].control == 0 and packet[SPP].seq is None and packet[SPP].destination_id == 0


def test_a_header_cut_short_keeps_the_fields_that_were_read() -> None:
    quoted = bytes(
        Ether() / IPv4() / ICMP(type=11) / (bytes(IPv4(protocol=6, length=60) / TCP(sport=7, dport=80, seq=9))[:28])
    )
    packet = dissect(quoted)
    assert not packet.faults  # an error message rightly quotes only a part
    assert (packet[TCP].sport, packet[TCP].seq, packet[TCP].ack) == (7, 9, None)


def test_a_length_that_reaches_too_far_is_a_fault_unless_the_capture_was_cut() -> None:
    data = bytes(Ether() / IPv4() / UDP(dport=9) / bytes(100))
    assert "UDP.length" not in str(dissect(data[:60]).faults) and dissect(data[:60]).faults[0].field == "length"
    cut = dissect(data[:60], wire_length=len(data))
    assert cut.truncated and all(fault.cut for fault in cut.faults)
    assert cut.verdict(UDP) is Verdict.UNVERIFIED and cut.verdict(IPv4) is Verdict.GOOD


def test_fragments_are_not_taken_for_headers() -> None:
    first = dissect(bytes(Ether() / IPv4(flags=IPv4Flags.MORE_FRAGMENTS) / UDP(dport=9, length=400) / bytes(16)))
    later = dissect(bytes(Ether() / IPv4(fragment_offset=3, protocol=17) / bytes(24)))
    assert first[UDP].dport == 9 and not first.faults and first.verdict(UDP) is Verdict.UNVERIFIED
    assert UDP not in later and len(later.payload) == 24 and not later.faults


def test_checksums_through_a_routing_header_cover_the_final_destination() -> None:
    final = bytes(15) + b"\x09"
    packet = (
        Ether() / IPv6(src="::1", dst="::2") / Routing(segments_left=1, data=bytes(4) + final) / UDP(dport=9) / b"x"
    )
    direct = Ether() / IPv6(src="::1", dst="::9") / UDP(dport=9) / b"x"
    assert packet[UDP].checksum == direct[UDP].checksum and dissect(bytes(packet)).verdict(UDP) is Verdict.GOOD


def test_802_3_has_a_length_where_ethernet_has_a_type() -> None:
    packet = Ether() / LLC(dsap=0x42, ssap=0x42) / b"spanning"
    assert packet[Ether].type == 3 + 8
    back = dissect(bytes(packet) + bytes(20))
    assert LLC in back and back.payload == b"spanning" and back.trailer == bytes(20)


def test_ppp_with_and_without_the_bytes_of_hdlc() -> None:
    for head in ("ff030021", "0021"):
        assert IPv4 in dissect(bytes.fromhex(head) + bytes(IPv4()), PPPLink)
    assert IPv6 in dissect(bytes(CiscoHDLC() / IPv6()), CiscoHDLC)
    assert bytes(HDLC() / PPP() / IPv6()).hex().startswith("ff030057")


def test_ppp_by_its_name_is_as_wide_as_its_first_byte_says() -> None:
    # RFC 1661 section 2: the first byte of two is even, the last one odd; section 6.5: an odd first one stands alone.
    ip = bytes(IPv4())
    short, long = dissect(b"\x21" + ip, PPP), dissect(b"\0\x21" + ip, PPP)
    assert [type(h).__name__ for h in short.layers] == ["ShortPPP", "IPv4"] and not short.faults
    assert [type(h).__name__ for h in long.layers] == ["PPP", "IPv4"] and not long.faults
    assert bytes(short.replace(IPv4, ttl=3))[:1] == b"\x21" and dissect(b"\xc0", PPP).faults


def test_what_only_looks_like_an_ether_type_is_none() -> None:
    assert IPv4 not in dissect(bytes(Ether() / LLC() / SNAP(oui=0x0C, type=0x0800) / bytes(20)))
    assert LLC in dissect(bytes(LinuxSLL() / LLC(dsap=0x42) / b"x"), LinuxSLL)


def test_link_types_without_ethernet() -> None:
    assert IPv6 in dissect(bytes(IPv6()), RawIP) and IPv4 in dissect(bytes(IPv4()), RawIP)
    for data in (b"\2\0\0\0", b"\0\0\0\2"):
        assert IPv4 in dissect(data + bytes(IPv4()), BSDNull)
    assert IPv6 in dissect(bytes(LinuxSLL() / IPv6()), LinuxSLL)


@pytest.mark.parametrize("size", [0, 5, 125, 126, 65535, 65536])
@pytest.mark.parametrize("key", [None, b"\x37\xfa\x21\x3d"])
def test_websocket_frames_of_each_form_of_length(size: int, key: bytes | None) -> None:
    payload = bytes(i & 255 for i in range(size))
    sent = mask(key, payload) if key else payload
    data = bytes(WebSocketFrame(opcode="BINARY", masking_key=key) / sent)
    packet = dissect(data + b"next", WebSocketFrame)
    assert packet.payload == sent and packet.trailer == b"next" and packet[WebSocketFrame].masking_key == key
    assert len(data) == size + 2 + (0 if size < 126 else 2 if size < 65536 else 8) + (4 if key else 0)
    assert not key or mask(key, packet.payload) == payload


def test_the_examples_of_rfc_6455_section_5_7() -> None:
    assert bytes(WebSocketFrame() / b"Hello").hex() == "810548656c6c6f"
    key = bytes.fromhex("37fa213d")
    assert bytes(WebSocketFrame(masking_key=key) / mask(key, b"Hello")).hex() == "818537fa213d7f9f4d5158"
    assert bytes(WebSocketFrame(opcode=9) / b"Hello").hex() == "890548656c6c6f"
    assert bytes(WebSocketFrame(opcode=2) / bytes(65536))[:10].hex() == "827f0000000000010000"


def test_a_header_cut_behind_its_payload_is_packed_in_order() -> None:
    class Ended(Header):
        size: U8 = auto(size_of("payload"))
        payload: Payload = b""
        end: Annotated[bytes, fixed_bytes(4)] = b"last"

    cut = bytes(Ended() / b"data")[:7]
    assert dissect(cut, Ended).encode() == cut


def test_scoped_bindings_do_not_forget_what_packetlab_declares_itself() -> None:
    code = (
        "import packetlab as pl\n"
        "with pl.bindings():\n"
        "    data = bytes(pl.Ether() / pl.IPv4() / pl.UDP())\n"
        "assert pl.UDP in pl.dissect(data)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_length_of_zero_from_offload_is_no_fault() -> None:
    whole = Ether() / IPv4(length=0, src="1.1.1.1", dst="2.2.2.2") / TCP(dport=9) / bytes(70000)
    packet = dissect(bytes(whole))
    assert packet.faults == () and len(packet.payload) == 70000 and packet.verdict(TCP).name == "GOOD"
    table = Capture.of([Frame(bytes(whole))]).table("tcp.payload", "faults").read()
    assert len(table["tcp.payload"][0]) == 70000 and table["faults"].tolist() == [0]
    short = dissect(bytes(whole.replace(IPv4, length=10)))
    assert [str(fault) for fault in short.faults] == [
        "IPv4.length: expected a size of 20 bytes or more at offset 14, got 10 (10 bytes)"
    ]
    assert dissect(bytes(Ether() / IDP(length=0))).faults[0].expected == "a size of 30 bytes or more"
    with pytest.raises(DissectError, match="a size of 20 bytes or more"):
        dissect(bytes(whole.replace(IPv4, length=19)), strict=True)


@pytest.mark.parametrize("transport", [TCP(dport=9), UDP(dport=9), UDP(dport=9, length=0)])
def test_a_length_of_zero_is_a_fault_where_nothing_was_left_to_offload(transport: Any) -> None:
    for size, faults in ((0, 1), (18, 1), (1500, 0), (3000, 0)):  # with the headers, 1,500 are more than an MTU
        packet = dissect(bytes(Ether() / IPv4(length=0, src="1.1.1.1", dst="2.2.2.2") / transport / bytes(size)))
        assert len(packet.faults) == faults and packet.payload == bytes(size)
        table = Capture.of([Frame(bytes(packet))]).table("udp.payload", "tcp.payload", "faults").read()
        assert (table["faults"].tolist() == [0]) == (faults == 0)
    cut = Frame(bytes(Ether() / IPv4(length=0) / TCP(dport=9) / bytes(40)), wire_length=9000).packet()
    assert not any(fault.field == "length" for fault in cut.faults)


def test_a_datagram_without_a_length_in_a_packet_without_one_is_no_fault() -> None:
    inner = Ether() / IPv4(src="3.3.3.3") / TCP(dport=9) / bytes(7000)
    whole = bytes(Ether() / IPv4(length=0, src="1.1.1.1") / UDP(length=0, dport=4789) / VXLAN() / inner)
    packet = dissect(whole)
    assert not packet.faults and bytes(packet) == whole and packet[TCP].dport == 9 and packet.payload == bytes(7000)
    for faulty in (
        Ether() / IPv4(src="1.1.1.1") / UDP(length=0) / b"x",
        Ether() / IPv4(length=0) / IPv4() / UDP(length=0) / bytes(1500),
        Ether() / IPv4(length=0) / UDP(length=7) / bytes(1500),
        Ether() / IPv6(src="fe80::1") / UDP(length=0) / b"x",  # in jumbograms only (RFC 2675 section 4)
        Ether() / IPv6(src="fe80::1", length=0) / UDP(length=0) / b"x",
    ):
        assert [str(fault.field) for fault in dissect(bytes(faulty)).faults] == ["length"], faulty
