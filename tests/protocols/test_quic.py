"""QUIC's headers (RFC 9000): those of short packets are read by the connection ids that long ones told."""

from __future__ import annotations

import pytest

from packetlab import (
    U1,
    U2,
    U4,
    U6,
    U8,
    U32,
    UDP,
    Bytes,
    Capture,
    Context,
    Ether,
    Header,
    IPv6,
    Packet,
    Rest,
    ahead,
    auto,
    bind,
    const,
    dissect,
    field,
    recalled,
    receiver,
    sender,
    size_of,
    sized,
)
from tests.protocols.oracle import Ask, alike, cut, every, family, spoilt
from tests.protocols.scope import Scope

with (scope := Scope()):

    class QuicLong(Header, remembers={("quic.cid", sender()): size_of("scid")}):
        """A long header up to what its type has of its own; `rest` is that, protected, and packets after it."""

        form: U1 = const(1)
        fixed: U1 = 1
        kind: U2 = 0
        protected: U4 = 0
        version: U32 = 1
        dcid_length: U8 = auto(size_of("dcid"))
        dcid: Bytes = sized(field("dcid_length"), b"")
        scid_length: U8 = auto(size_of("scid"))
        scid: Bytes = sized(field("scid_length"), b"")
        rest: Rest = b""

    class QuicShort(Header):
        """A short header: how long the id is, its receiver told when it sent a long one."""

        form: U1 = const(0)
        fixed: U1 = 1
        protected: U6 = 0
        dcid: Bytes = sized(recalled("quic.cid", receiver()))
        rest: Rest = b""

    quic = (field("sport") == 443) | (field("dport") == 443)
    bind(QuicLong, under=UDP, when=quic & (ahead(1) == 1))
    bind(QuicShort, under=UDP, when=quic & (ahead(1) == 0))

INITIAL = b"\0\x44\xb0" + bytes(1200)  # no token, a length, and that many protected bytes
CAPTURES = ["quic_vn.pcap", "quic_retry.pcap", "quic-ietf-ja3.pcap"]


def dcid(packet: Packet) -> bytes | None:
    header = packet.get(QuicLong) or packet.get(QuicShort)
    return (header.dcid or None) if header is not None else None


@pytest.mark.parametrize("name", CAPTURES)
def test_ids_are_read_like_tshark_reads_them(name: str, tshark: Ask) -> None:
    packets = [frame.packet() for frame in Capture(family(f"quic/{name}"))]
    rows = tshark(family(f"quic/{name}"), "quic.dcid", "quic.header_form", options=("-E", "occurrence=f"))
    assert [(dcid(packet) or b"").hex() for packet in packets] == [row[0].replace(":", "") for row in rows]
    assert len(every(packets, QuicShort)) == sum(row[1] in ("0", "False") for row in rows)
    assert not [fault for packet in packets for fault in packet.faults if fault.layer.startswith("Quic")]
    assert [bytes(packet) for packet in packets] == [packet.encode() for packet in packets]


def test_any_order_and_no_order_at_all() -> None:
    capture = Capture(family("quic/quic_vn.pcap"))
    frames = list(capture)
    in_order = [dcid(frame.packet()) for frame in frames]
    assert [dcid(frame.packet()) for frame in reversed(list(capture))] == in_order[::-1]
    assert dcid(capture[18].packet()) == bytes.fromhex("0c3c2e287ccdc535")
    chosen = capture.where(QuicShort)
    assert [dcid(frame.packet()) for frame in chosen] == [in_order[frame.number - 1] for frame in chosen]
    alone = dissect(frames[18].data, type(frames[18].packet().layers[0]))
    assert [(fault.layer, fault.field) for fault in alone.faults] == [("QuicShort", "dcid")]
    assert "quic.cid(receiver() = " in alone.faults[0].expected
    assert bytes(alone) == frames[18].data


def test_why_names_the_packet_that_told_how_long_the_id_is() -> None:
    packet = Capture(family("quic/quic_vn.pcap"))[18].packet()
    assert "  recalled('quic.cid', receiver()) = 8, remembered from packet 2 at " in str(packet.why(QuicShort, "dcid"))


def test_what_we_send_reads_like_tshark(tshark: Ask) -> None:
    there, back = IPv6(src="fe80::1", dst="fe80::2"), IPv6(src="fe80::2", dst="fe80::1")
    with Context():
        made = [
            Ether()
            / there
            / UDP(sport=5000, dport=443)
            / QuicLong(dcid=b"8 bytes!", scid=b"abcde", rest=INITIAL),
            Ether()
            / back
            / UDP(sport=443, dport=5000)
            / QuicLong(dcid=b"abcde", scid=b"server", rest=INITIAL),
            Ether() / there / UDP(sport=5000, dport=443) / QuicShort(dcid=b"server", rest=bytes(40)),
            Ether() / back / UDP(sport=443, dport=5000) / QuicShort(dcid=b"abcde", rest=bytes(40)),
        ]
        frames = [bytes(packet) for packet in made]
    found = alike(tshark, frames, {"quic.dcid": dcid}, "-E", "occurrence=f")
    assert [packet.faults for packet in found] == [()] * 4


@pytest.mark.parametrize("wanted", [QuicLong, QuicShort])
def test_any_bytes(wanted: type[Header]) -> None:
    packets = [frame.packet() for frame in Capture(family("quic/quic_vn.pcap"))]
    some = every(packets, wanted)[:4]
    faults = cut(some, wanted, step=7)
    spoilt(some, wanted, times=5)
    assert f"{wanted.__name__}.dcid" in faults
