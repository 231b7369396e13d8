"""OSPF version 2 (RFC 2328): all five messages, LSAs by type, both checksums, authentication; opaque ones (RFC 5250, 3630)."""

from __future__ import annotations

from typing import Annotated

import pytest

from packetlab import (
    F32,
    U1,
    U7,
    U8,
    U15,
    U16,
    U24,
    U32,
    Bytes,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    Packet,
    auto,
    but,
    choose,
    count_of,
    default,
    field,
    fixed_bytes,
    internet_checksum,
    iso_fletcher,
    many,
    pad,
    size_of,
    sized,
    span,
    when,
)
from tests.protocols.oracle import Ask, alike, built, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):
    SIGNED = field("auth_type") == 2

    class LLSValue(Header):
        type: U16 = 1
        length: U16 = auto(size_of("value"))
        value: Bytes = b""
        padding: Bytes = pad(4)

    class LLS(Header):
        """Link-local signaling (RFC 5613), which stands after the message and is not counted."""

        checksum: U16 = auto(internet_checksum("self", zero_is_none=True))
        words: U16 = auto(size_of("self") // 4)
        values: tuple[LLSValue, ...] = many()

    class OSPF(Header, under=IPv4, when={"protocol": 89}):
        version: U8 = 2
        type: U8 = 1
        length: U16 = auto(24 + size_of("body"))
        router: IPv4Address = default("0.0.0.0")
        area: IPv4Address = default("0.0.0.0")
        checksum: U16 = auto(choose(SIGNED, 0, internet_checksum(span("version", "body"), but("password"))))  # D.4.3: not made
        auth_type: U16 = 0
        password: Annotated[bytes, fixed_bytes(8)] | None = when(field("auth_type") != 2, bytes(8))
        reserved: U16 | None = when(SIGNED, 0)
        key: U8 | None = when(SIGNED, 1)
        digest_size: U8 | None = when(SIGNED, auto(size_of("digest")))
        number: U32 | None = when(SIGNED, 0)
        body: Bytes = b""
        digest: Bytes | None = when(SIGNED, sized(field("digest_size"), bytes(16)))
        signaling: tuple[LLS, ...] = many()

    class Hello(OSPF, inside="body", when={"type": 1}):
        mask: IPv4Address = default("255.255.255.0")
        interval: U16 = 10
        options: U8 = 2
        priority: U8 = 1
        dead: U32 = 40
        designated: IPv4Address = default("0.0.0.0")
        backup: IPv4Address = default("0.0.0.0")
        neighbors: tuple[IPv4Address, ...] = many()

    class LSAHeader(Header):
        stays: U1 = 0
        age: U15 = 0
        options: U8 = 2
        type: U8 = 1
        id: IPv4Address = default("0.0.0.0")
        router: IPv4Address = default("0.0.0.0")
        sequence: U32 = 0x80000001
        checksum: U16 = 0
        length: U16 = 20

    class Description(OSPF, inside="body", when={"type": 2}):
        mtu: U16 = 1500
        options: U8 = 2
        flags: U8 = 0
        sequence: U32 = 0
        headers: tuple[LSAHeader, ...] = many()

    class Asked(Header):
        type: U32 = 1
        id: IPv4Address = default("0.0.0.0")
        router: IPv4Address = default("0.0.0.0")

    class Request(OSPF, inside="body", when={"type": 3}):
        asked: tuple[Asked, ...] = many()

    class Acknowledgment(OSPF, inside="body", when={"type": 5}):
        headers: tuple[LSAHeader, ...] = many()

    class LSA(Header):
        stays: U1 = 0
        age: U15 = 0
        options: U8 = 2
        type: U8 = 1
        id: IPv4Address | None = when(field("type") < 9, default("0.0.0.0"))
        opaque_type: U8 | None = when(field("type") >= 9, 1)
        opaque_id: U24 | None = when(field("type") >= 9, 0)
        router: IPv4Address = default("0.0.0.0")
        sequence: U32 = 0x80000001
        checksum: U16 = auto(iso_fletcher(span("options", "body")))
        length: U16 = auto(20 + size_of("body"))
        body: Bytes = b""

    class Update(OSPF, inside="body", when={"type": 4}):
        count: U32 = auto(count_of("lsas"))
        lsas: tuple[LSA, ...] = many()

    class Service(Header):
        """A cost of a type of service; none but the first is in use."""

        type: U8 = 0
        reserved: U8 = 0
        metric: U16 = 0

    class Link(Header):
        id: IPv4Address = default("0.0.0.0")
        data: IPv4Address = default("0.0.0.0")
        type: U8 = 3
        services: U8 = auto(count_of("more"))
        metric: U16 = 10
        more: tuple[Service, ...] = many()

    class RouterLSA(LSA, inside="body", when={"type": 1}):
        flags: U8 = 0
        reserved: U8 = 0
        count: U16 = auto(count_of("links"))
        links: tuple[Link, ...] = many()

    class NetworkLSA(LSA, inside="body", when={"type": 2}):
        mask: IPv4Address = default("255.255.255.0")
        routers: tuple[IPv4Address, ...] = many()

    class SummaryLSA(LSA, inside="body", when={"type": (3, 4)}):
        mask: IPv4Address = default("255.255.255.0")
        service: U8 = 0
        metric: U24 = 1

    class Route(Header):
        external: U1 = 1
        service: U7 = 0
        metric: U24 = 1
        forwarding: IPv4Address = default("0.0.0.0")
        tag: U32 = 0

    class ExternalLSA(LSA, inside="body", when={"type": (5, 7)}):
        mask: IPv4Address = default("255.255.255.0")
        routes: tuple[Route, ...] = many()

    class Value(Header):
        """A TLV of an opaque LSA."""

        type: U16 = 1
        length: U16 = auto(size_of("value"))
        value: Bytes = b""
        padding: Bytes = pad(4)

    class OpaqueLSA(LSA, inside="body", when={"type": (9, 10, 11)}):
        values: tuple[Value, ...] = many()

    class LinkValue(Header):
        """What traffic engineering says of a link (RFC 3630 section 2.5)."""

        type: U16 = 1
        length: U16 = auto(size_of("value"))
        value: Bytes = b""
        padding: Bytes = pad(4)

    class EngineeredLink(Value, inside="value", when=(field("^.opaque_type") == 1) & (field("type") == 2)):
        values: tuple[LinkValue, ...] = many()

    class LinkType(LinkValue, inside="value", when={"type": 1}):
        kind: U8 = 1

    class LinkID(LinkValue, inside="value", when={"type": 2}):
        id: IPv4Address = default("0.0.0.0")

    class LinkAddresses(LinkValue, inside="value", when={"type": (3, 4)}):
        addresses: tuple[IPv4Address, ...] = many()

    class LinkBandwidth(LinkValue, inside="value", when={"type": (6, 7)}):
        bandwidth: F32 = 0.0

    class LinkUnreserved(LinkValue, inside="value", when={"type": 8}):
        bandwidths: tuple[F32, ...] = many()


def lsas(packet: Packet) -> list[LSA]:
    return list(packet[Update].lsas) if Update in packet else []


def headers(packet: Packet) -> list[LSA | LSAHeader]:
    listed = [one.headers for kind in (Description, Acknowledgment) for one in packet.layers if isinstance(one, kind)]
    return [*lsas(packet), *(one for some in listed for one in some)]


READINGS = {
    "ospf.msg": of(OSPF, lambda h: h.type),
    "ospf.packet_length": of(OSPF, lambda h: h.length),
    "ospf.srcrouter": of(OSPF, lambda h: h.router),
    "ospf.checksum": of(OSPF, lambda h: h.checksum),
    "ospf.auth.crypt.seq_nbr": of(OSPF, lambda h: h.number),
    "ospf.auth.crypt.data": of(OSPF, lambda h: h.digest),
    "ospf.hello.network_mask": of(Hello, lambda h: h.mask),
    "ospf.hello.hello_interval": of(Hello, lambda h: h.interval),
    "ospf.hello.active_neighbor": of(Hello, lambda h: h.neighbors),
    "ospf.lsa": lambda p: [*[one.type for one in headers(p)], *[one.type for one in listed_in(p)]],
    "ospf.lsa.id": lambda p: [one.id for one in headers(p) if one.type < 9],
    "ospf.lsa.seqnum": lambda p: [one.sequence for one in headers(p)],
    "ospf.lsa.chksum": lambda p: [one.checksum for one in headers(p)],
    "ospf.lsa.length": lambda p: [one.length for one in headers(p)],
    "ospf.lsa.age": lambda p: [one.age for one in headers(p)],
    "ospf.lsa.router.linkid": lambda p: [
        link.id for one in lsas(p) if isinstance(one, RouterLSA) for link in one.links
    ],
    "ospf.lsa.router.metric0": lambda p: [
        link.metric for one in lsas(p) if isinstance(one, RouterLSA) for link in one.links
    ],
    "ospf.lsa.network.attchrtr": lambda p: [
        host for one in lsas(p) if isinstance(one, NetworkLSA) for host in one.routers
    ],
    "ospf.lsa.asext.netmask": lambda p: [one.mask for one in lsas(p) if isinstance(one, ExternalLSA)],
    "ospf.lsa.asext.extrttag": lambda p: [
        route.tag for one in lsas(p) if isinstance(one, ExternalLSA) for route in one.routes
    ],
    "ospf.mpls.linkid": lambda p: [one.id for one in link_values(p) if isinstance(one, LinkID)],
    "ospf.mpls.local_addr": lambda p: [
        host for one in link_values(p) if isinstance(one, LinkAddresses) and one.type == 3 for host in one.addresses
    ],
}
CAPTURES = ["ospf/OSPFv2_Capture_FINAL.pcapng", "ospf/ospf-gmpls.pcap"]


def listed_in(packet: Packet) -> list[Asked]:
    return list(packet[Request].asked) if Request in packet else []


def link_values(packet: Packet) -> list[LinkValue]:
    links = [value for one in lsas(packet) if isinstance(one, OpaqueLSA) for value in one.values]
    return [value for one in links if isinstance(one, EngineeredLink) for value in one.values]


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_as_tshark_reads_them(tshark: Ask, name: str) -> None:
    sound(alike(tshark, family(name), READINGS), OSPF)


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    below = Ether() / IPv4(src="10.0.0.1", dst="224.0.0.5", ttl=1)
    hosts = tuple(IPv4Address(f"10.0.0.{n}") for n in (2, 3))
    links = (
        LinkType(),
        LinkID(id="10.0.0.9"),
        LinkAddresses(type=3, addresses=hosts),
        LinkUnreserved(bandwidths=(1.5,) * 8),
    )
    made = [
        below / Hello(router="10.0.0.1", neighbors=hosts),
        below / Hello(auth_type=1, password=b"password", neighbors=hosts),
        below / Hello(auth_type=2, number=7, digest=bytes(range(16)), signaling=(LLS(),)),
        below / Description(headers=(LSAHeader(id="10.0.0.1", length=36), LSAHeader(type=5, length=36))),
        below / Request(asked=(Asked(id="10.0.0.1"),)),
        below
        / Update(
            lsas=(
                RouterLSA(id=IPv4Address("10.0.0.1"), age=5, links=(Link(id="10.0.0.2"), Link(metric=7, type=1))),
                NetworkLSA(routers=hosts),
                SummaryLSA(type=3, metric=70000),
                ExternalLSA(type=5, routes=(Route(metric=20, tag=9),)),
                OpaqueLSA(type=10, opaque_type=1, opaque_id=5, values=(EngineeredLink(type=2, values=links),)),
            )
        ),
        below / Acknowledgment(headers=(LSAHeader(id="10.0.0.1"),)),
    ]
    packets = alike(tshark, made, READINGS)
    sound(packets, OSPF)
    assert [packet.verdict(OSPF).name for packet in packets[:3]] == ["GOOD", "GOOD", "NOT_PRESENT"]


def test_the_checksums_of_others_are_good() -> None:
    lsas_read = [one for name in CAPTURES for packet in packets_of(name) for one in lsas(packet)]
    assert len(lsas_read) > 20
    for one in lsas_read:
        assert bytes(built(one)) == bytes(one)


def test_cut_and_spoilt() -> None:
    packets = packets_of(CAPTURES[0])[8:10] + packets_of(CAPTURES[1])[:1]
    assert {"OSPF.router", "OSPF.body"} <= cut(packets, OSPF, step=3)
    assert "OSPF.body" in spoilt(packets, OSPF, times=100)
