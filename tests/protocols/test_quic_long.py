"""QUIC's long headers (RFC 9000 section 17.2, version 2 of RFC 9369): numbers of varying width, several packets in a datagram."""

from __future__ import annotations

import pytest

from packetlab import (
    U1,
    U2,
    U4,
    U8,
    U32,
    UDP,
    Bytes,
    Ether,
    Header,
    IPv4,
    QuicInt,
    Rest,
    Spelled,
    auto,
    choose,
    computed,
    dissect,
    field,
    many,
    recalled,
    receiver,
    sender,
    size_of,
    sized,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):
    V2 = 0x6B3343CF

    class QUIC(Header):
        """A packet. A short header has the destination that the other side told as its source, and not its length."""

        long: U1 = 0
        fixed: U1 = 1
        type: U2 = 0
        low: U4 = 0

    class Short(QUIC, when={"long": 0}):
        destination: Bytes = sized(recalled("quic.id", receiver()), b"")
        rest: Rest = b""

    class Long(QUIC, when={"long": 1}, remembers={("quic.id", sender()): field("source_size")}):
        version: U32 = 1
        sort: int = computed(  # the type, as version 1 has it: 0 Initial, 1 0-RTT, 2 Handshake, 3 Retry
            choose(field("version") == 0, 4, choose(field("version") == V2, (field("type") + 3) % 4, field("type")))
        )
        destination_size: U8 = auto(size_of("destination"))
        destination: Bytes = b""
        source_size: U8 = auto(size_of("source"))
        source: Bytes = b""

    class Negotiation(Long, when={"sort": 4}):
        versions: tuple[U32, ...] = many()

    class Initial(Long, when={"sort": 0}):
        token_size: QuicInt = auto(size_of("token"))
        token: Bytes = b""
        length: QuicInt = auto(size_of("protected"))
        protected: Bytes = b""  # the number of the packet too

    class Other(Long, when={"sort": (1, 2)}):
        """0-RTT and handshake."""

        length: QuicInt = auto(size_of("protected"))
        protected: Bytes = b""

    class Retry(Long, when={"sort": 3}):
        token: Rest = b""

    class Datagram(Header, under=UDP, when={"port": 443}):
        packets: tuple[QUIC, ...] = many()


READINGS = {
    "quic.header_form": of(Datagram, lambda h: [one.long for one in h.packets]),
    "quic.version": of(Datagram, lambda h: [one.version for one in h.packets if isinstance(one, Long)]),
    "quic.dcid": of(
        Datagram, lambda h: [one.destination for one in h.packets if isinstance(one, Long | Short) and one.destination]
    ),
    "quic.token_length": of(Datagram, lambda h: [one.token_size for one in h.packets if isinstance(one, Initial)]),
    "quic.length": of(Datagram, lambda h: [one.length for one in h.packets if isinstance(one, Initial | Other)]),
    "quic.supported_version": of(
        Datagram, lambda h: [version for one in h.packets if isinstance(one, Negotiation) for version in one.versions]
    ),
}
CAPTURES = ["quic/quic-ietf-ja3.pcap", "quic/quic_vn.pcap", "quic/quic_retry.pcap", "quic/quicv2-http3-443.pcap"]


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_as_tshark_reads_them(tshark: Ask, name: str) -> None:
    shown = {field: read for field, read in READINGS.items() if "v2" not in name or field != "quic.dcid"}
    sound(alike(tshark, family(name), shown), Datagram)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 1200])
def test_tshark_reads_what_we_build(tshark: Ask, size: int) -> None:
    below = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=50000, dport=443)
    initial = Initial(destination=b"12345678", source=b"abc", token=bytes(size), protected=bytes(size + 20))
    made = [
        below / Datagram(packets=(initial, Other(type=2, destination=b"12345678", source=b"abc", protected=bytes(30)))),
        below / Datagram(packets=(Other(type=1, destination=b"12345678", source=b"abc", protected=bytes(100)),)),
        below / Datagram(packets=(Retry(type=3, source=b"abc", token=bytes(20)),)),
        below / Datagram(packets=(Negotiation(version=0, source=b"abc", versions=(1, V2)),)),
    ]
    packets = alike(tshark, made, READINGS)
    sound(packets, Datagram)
    found = packets[0][Datagram].packets[0]
    assert isinstance(found, Initial) and found.token_size == size and found.length == size + 20


def test_a_longer_spelling_of_a_length_is_kept() -> None:
    made = Datagram(packets=(Initial(token_size=Spelled(0, 4), length=Spelled(5, 8), protected=b"12345"),))
    found = dissect(bytes(made), Datagram)
    assert bytes(found) == bytes(made) and found[Datagram].packets == made.packets and not found.faults


def test_cut_and_spoilt() -> None:
    packets = packets_of("quic/quic-ietf-ja3.pcap")[:3]
    assert "Datagram.packets" in cut(packets, Datagram, step=7)
    assert "Datagram.packets" in spoilt(packets, Datagram)
