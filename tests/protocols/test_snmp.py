"""SNMP (RFC 1157, RFC 3416, RFC 3412) in BER (X.690): integers and object identifiers are values, elements hold others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import pytest

from packetlab import (
    U8,
    UDP,
    BERLength,
    Bytes,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    Packet,
    auto,
    ber_integer,
    const,
    default,
    field,
    many,
    size_of,
    sized,
    varint,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Element(Header):
        tag: U8 = 5
        length: BERLength = auto(size_of("content"))
        content: Bytes = b""

    class Number(Element, inside="content", when={"tag": (2, 0x41, 0x42, 0x43, 0x46)}):
        """INTEGER, Counter32, Gauge32, TimeTicks, Counter64."""

        value: Annotated[int, ber_integer()] = 0

    class Address(Element, inside="content", when={"tag": 0x40}):
        address: IPv4Address

    class Identifier(Element, inside="content", when={"tag": 6}):
        arcs: tuple[Annotated[int, varint(high_first=True)], ...] = many()

    class Integer(Header):
        tag: U8 = const(2)
        length: BERLength = auto(size_of("value"))
        value: Annotated[int, ber_integer()] = sized(field("length"), 0)

    class OctetString(Header):
        tag: U8 = const(4)
        length: BERLength = auto(size_of("value"))
        value: Bytes = b""

    class ObjectName(Header):
        tag: U8 = const(6)
        length: BERLength = auto(size_of("arcs"))
        arcs: tuple[Annotated[int, varint(high_first=True)], ...] = many(value=(43, 6, 1, 2, 1))

    class VarBind(Header):
        tag: U8 = const(0x30)
        length: BERLength = auto(size_of("name") + size_of("value"))
        name: ObjectName = ObjectName()
        value: Element = Element()

    class PDU(Header):
        tag: U8 = 0xBF
        length: BERLength = auto(size_of("self") - size_of("tag") - size_of("length"))

    class Request(PDU, when={"tag": (0xA0, 0xA1, 0xA2, 0xA3, 0xA5, 0xA6, 0xA7, 0xA8)}):
        id: Integer = Integer()
        status: Integer = Integer()
        index: Integer = Integer()
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("bindings"))
        bindings: tuple[VarBind, ...] = many()

    class Trap(PDU, when={"tag": 0xA4}):
        enterprise: ObjectName = ObjectName()
        agent_tag: U8 = const(0x40)
        agent_length: U8 = const(4)
        agent: IPv4Address = default("0.0.0.0")
        generic: Integer = Integer()
        specific: Integer = Integer()
        time_tag: U8 = const(0x43)
        time_length: BERLength = auto(size_of("time"))
        time: Annotated[int, ber_integer()] = sized(field("time_length"), 0)
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("bindings"))
        bindings: tuple[VarBind, ...] = many()

    class SNMP(Header, under=UDP, port=(161, 162)):
        tag: U8 = const(0x30)
        length: BERLength = auto(size_of("self") - size_of("tag") - size_of("length"))
        version_tag: U8 = const(2)
        version_length: U8 = const(1)
        version: U8 = 1

    class Community(SNMP, when={"version": (0, 1)}):
        community: OctetString = OctetString(value=b"public")
        pdu: PDU = Request()

    class Security(Header):
        """UsmSecurityParameters (RFC 3414), in an octet string."""

        tag: U8 = const(0x30)
        length: BERLength = auto(size_of("self") - size_of("tag") - size_of("length"))
        engine: OctetString = OctetString()
        boots: Integer = Integer()
        time: Integer = Integer()
        user: OctetString = OctetString()
        authentication: OctetString = OctetString()
        privacy: OctetString = OctetString()

    class Scoped(Element, inside="content", when={"tag": 0x30}):
        engine: OctetString = OctetString()
        context: OctetString = OctetString()
        pdu: PDU = Request()

    class Version3(SNMP, when={"version": 3}):
        head_tag: U8 = const(0x30)
        head_length: BERLength = auto(size_of("id") + size_of("most") + size_of("flags") + size_of("model"))
        id: Integer = Integer()
        most: Integer = Integer(value=65507)
        flags: OctetString = OctetString(value=b"\x04")
        model: Integer = Integer(value=3)
        security_tag: U8 = const(4)
        security_length: BERLength = auto(size_of("security"))
        security: Security = Security()
        data: Element = Element()


CAPTURES = [
    "snmp/snmpv1_get_short.pcap", "snmp/snmpv1_set.pcap", "snmp/snmpv1_trap.pcap", "snmp/snmpv2_get_bulk.pcap",
    "snmp/snmp-v3-encrypted-SNMPv3.pcap",
]  # fmt: skip


def pdu(header: SNMP) -> PDU | None:
    if isinstance(header, Version3):
        return header.data.pdu if isinstance(header.data, Scoped) else None
    return header.pdu if isinstance(header, Community) else None


def request(read: Callable[[Request], object]) -> Callable[[Packet], list[object]]:
    return of(SNMP, lambda h: read(one) if isinstance(one := pdu(h), Request) else None)


def bound(header: SNMP) -> tuple[VarBind, ...]:
    one = pdu(header)
    return one.bindings if isinstance(one, Request | Trap) else ()


def dotted(arcs: tuple[int, ...]) -> str:
    """Return an object identifier as it is written: the first number holds two (X.690, 8.19.4)."""
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


READINGS = {
    "snmp.version": of(Community, lambda h: h.version),
    "snmp.msgVersion": of(Version3, lambda h: h.version),
    "snmp.community": of(Community, lambda h: h.community.value.decode() or None),
    "snmp.data": of(SNMP, lambda h: pdu(h).tag - 0xA0 if pdu(h) else None),  # type: ignore[union-attr]
    "snmp.request_id": request(lambda one: one.id.value),
    "snmp.error_status": request(lambda one: one.status.value if one.tag != 0xA5 else None),
    "snmp.error_index": request(lambda one: one.index.value if one.tag != 0xA5 else None),
    "snmp.max_repetitions": request(lambda one: one.index.value if one.tag == 0xA5 else None),
    "snmp.name": of(SNMP, lambda h: [dotted(one.name.arcs) for one in bound(h)]),
    "snmp.value.int": of(SNMP, lambda h: numbers(h, 2)),
    "snmp.value.counter": of(SNMP, lambda h: numbers(h, 0x41)),
    "snmp.value.oid": of(SNMP, lambda h: [dotted(b.value.arcs) for b in bound(h) if isinstance(b.value, Identifier)]),
    "snmp.value.ipv4": of(SNMP, lambda h: [b.value.address for b in bound(h) if isinstance(b.value, Address)]),
    "snmp.enterprise": of(SNMP, lambda h: dotted(one.enterprise.arcs) if isinstance(one := pdu(h), Trap) else None),
    "snmp.agent_addr": of(SNMP, lambda h: one.agent if isinstance(one := pdu(h), Trap) else None),
    "snmp.time_stamp": of(SNMP, lambda h: one.time if isinstance(one := pdu(h), Trap) else None),
    "snmp.msgID": of(Version3, lambda h: h.id.value),
    "snmp.msgMaxSize": of(Version3, lambda h: h.most.value),
    "snmp.msgAuthoritativeEngineBoots": of(Version3, lambda h: h.security.boots.value),
    "snmp.msgAuthoritativeEngineTime": of(Version3, lambda h: h.security.time.value),
    "snmp.msgUserName": of(Version3, lambda h: h.security.user.value.decode() or None),
}


def numbers(header: SNMP, tag: int) -> list[int]:
    return [one.value.value for one in bound(header) if isinstance(one.value, Number) and one.value.tag == tag]


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_like_tshark(tshark: Ask, name: str) -> None:
    sound(alike(tshark, family(name), READINGS), SNMP)


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
    name = ObjectName(arcs=(43, 6, 1, 4, 1, 31337, 200000))
    values = [
        Number(value=-129), Number(value=2**31 - 1), Number(tag=0x41, value=2**32 - 1), Identifier(arcs=(43, 6, 300)),
        Address(address="10.1.2.3"), Element(tag=4, content=b"text"), Element(),
    ]  # fmt: skip
    bindings = tuple(VarBind(name=name, value=one) for one in values)
    long = (VarBind(name=name, value=Element(tag=4, content=bytes(300))),)
    made = [
        low / UDP(sport=40000, dport=161) / Community(pdu=Request(id=Integer(value=70000), bindings=bindings)),
        low / UDP(sport=161, dport=40000) / Community(pdu=Request(tag=0xA2, bindings=long)),
        low
        / UDP(sport=40000, dport=162)
        / Community(version=0, pdu=Trap(enterprise=name, agent="10.0.0.9", time=5000)),
        low
        / UDP(sport=40000, dport=161)
        / Version3(id=Integer(value=9), data=Scoped(pdu=Request(tag=0xA1, bindings=bindings))),
    ]
    packets = alike(tshark, made, READINGS)
    sound(packets, SNMP)
    assert bytes(values[0]).hex() == "0202ff7f" and bytes(name).hex() == "060b2b0601040181f4698c9a40"


@pytest.mark.slow
def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [one for name in CAPTURES for one in packets_of(name)[:2]]
    assert "SNMP.length" in cut(read, SNMP)
    spoilt(read, SNMP)
