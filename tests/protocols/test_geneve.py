"""Geneve (RFC 8926): options in words of four bytes, typed by refinement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import pytest

from packetlab import (
    ICMP,
    TCP,
    U1,
    U2,
    U3,
    U5,
    U6,
    U7,
    U8,
    U16,
    U24,
    U64,
    UDP,
    Bytes,
    Ether,
    Header,
    IPv4,
    Packet,
    auto,
    bind,
    bits,
    dissect,
    fixed_bytes,
    many,
    next_protocol,
    size_of,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Option(Header):
        space: U16 = 0
        critical: U1 = 0
        type: U7 = 0
        reserved: U3 = 0
        words: U5 = auto(size_of("data") // 4)
        data: Bytes = b""

    class NetworkID(Option, inside="data", when={"space": 0x0132, "type": 1}):
        """Google's, as are the next two."""

        network: Annotated[int, bits(28)] = 0
        bits_left: U3 = 0
        direction: U1 = 0

    class EndpointID(Option, inside="data", when={"space": 0x0132, "type": 2}):
        endpoint: Annotated[bytes, fixed_bytes(16)] = bytes(16)

    class ProfileID(Option, inside="data", when={"space": 0x0132, "type": 3}):
        profile: U64 = 0

    class Geneve(Header, under=UDP, when={"dport": 6081}):
        version: U2 = 0
        option_words: U6 = auto(size_of("options") // 4)
        oam: U1 = 0
        critical: U1 = 0
        reserved: U6 = 0
        protocol: U16 = auto(next_protocol("ethertype", otherwise=0))
        vni: U24 = 0
        more_reserved: U8 = 0
        options: tuple[Option, ...] = many()

    bind(Ether, under=Geneve, when={"protocol": 0x6558})


def google(kind: type[Option], name: str) -> Callable[[Packet], object]:
    return of(Geneve, lambda h: [getattr(one, name) for one in h.options if isinstance(one, kind)])


READINGS = {
    "geneve.version": of(Geneve, lambda h: h.version),
    "geneve.flags.critical": of(Geneve, lambda h: h.critical),
    "geneve.proto_type": of(Geneve, lambda h: h.protocol),
    "geneve.vni": of(Geneve, lambda h: h.vni),
    "geneve.option.class": of(Geneve, lambda h: [one.space for one in h.options]),
    "geneve.option.type": of(Geneve, lambda h: [one.critical << 7 | one.type for one in h.options]),
    "geneve.option.unknown.data": of(Geneve, lambda h: [one.data for one in h.options if type(one) is Option]),
    "geneve.option.gcp.vnid": google(NetworkID, "network"),
    "geneve.option.gcp.direction": google(NetworkID, "direction"),
    "geneve.option.gcp.endpoint": google(EndpointID, "endpoint"),
    "geneve.option.gcp.profile": google(ProfileID, "profile"),
}
CAPTURES = ["geneve/geneve-gcp.pcap", "geneve/geneve-many-options.pcap", "geneve/geneve-ipv6.pcap"]


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_as_tshark_reads_them(tshark: Ask, name: str) -> None:
    sound(alike(tshark, family(name), READINGS), Geneve)


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    below = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(dport=6081)
    inside = Ether(src="02:00:00:00:00:01") / IPv4(src="10.1.0.1", dst="10.1.0.2") / ICMP()
    made = [
        below / Geneve(vni=7, options=options) / inside
        for options in (
            (),
            (Option(space=5, type=9, critical=1, data=b"12345678"), Option(space=6)),
            (NetworkID(network=99, direction=1), EndpointID()),
            (ProfileID(profile=1 << 40),) * 20,
        )
    ]
    packets = alike(tshark, made, READINGS)
    sound(packets, Geneve)
    assert [packet[ICMP, 0].type for packet in packets] and all(packet[Ether, 1] == inside[Ether] for packet in packets)


def test_a_payload_may_be_ip_itself() -> None:
    packet = dissect(bytes(Ether() / IPv4() / UDP() / Geneve() / IPv4() / TCP()))
    assert packet[Geneve].protocol == 0x0800 and packet[IPv4, 1].protocol == 6


def test_cut_and_spoilt() -> None:
    packets = packets_of("geneve/geneve-many-options.pcap")[:2]
    assert {"Geneve.vni", "Geneve.options"} <= cut(packets, Geneve, step=3)
    assert "Geneve.options" in spoilt(packets, Geneve, times=100)
