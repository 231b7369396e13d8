"""Kerberos 5 (RFC 4120): the outline, which is tagged elements in tagged elements; over TCP with a length before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import pytest

from packetlab import (
    TCP,
    U8,
    U32,
    UDP,
    BERLength,
    Bytes,
    Ether,
    Header,
    IPv4,
    Text,
    auto,
    ber_integer,
    bind,
    dissect,
    field,
    many,
    size_of,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Element(Header):
        tag: U8 = 5
        length: BERLength = auto(size_of("content"))
        content: Bytes = b""

    class Constructed(Element, inside="content", when=field("tag") & 0x20 == 0x20):
        tag = 0x30
        elements: tuple[Element, ...] = many()

    class Integer(Element, inside="content", when={"tag": 2}):
        value: Annotated[int, ber_integer()] = 0

    class GeneralString(Element, inside="content", when={"tag": (27, 24)}):
        """Names, and times, which are text too."""

        text: Text = ""

    class Kerberos(Header, under=UDP, port=88):
        tag: U8 = 0x6A
        length: BERLength = auto(size_of("elements"))
        elements: tuple[Element, ...] = many()

    class Framed(Header, under=TCP, port=88, stream=True):
        length: U32 = auto(size_of("payload"))

    bind(Kerberos, under=Framed)


CAPTURES = ["kerberos/auth.pcap", "kerberos/krb5-tcp.pcap"]


def at(elements: tuple[Element, ...], *tags: int) -> list[Element]:
    """Return the elements behind tags, each inside the one before; 0 is any tag."""
    found = list(elements)
    for tag in tags:
        inside = (x for one in found if isinstance(one, Constructed) for x in one.elements)
        found = [one for one in inside if tag in (0, one.tag)]
    return found


def numbers(*tags: int) -> Callable[[Kerberos], list[int]]:
    return lambda h: [one.value for one in at(h.elements, *tags) if isinstance(one, Integer)]


def texts(*tags: int) -> Callable[[Kerberos], list[str]]:
    return lambda h: [one.text for one in at(h.elements, *tags) if isinstance(one, GeneralString)]


def is_reply(header: Kerberos) -> bool:
    return header.tag in (0x6B, 0x6D)


def is_request(header: Kerberos) -> bool:
    return header.tag in (0x6A, 0x6C)


def first(header: Kerberos, number: int) -> list[int]:
    """Return the version (0) or the type (1) of a message; requests begin with [1]."""
    return numbers(0xA0 + number + is_request(header), 2)(header)


def carried(header: Kerberos) -> list[Kerberos]:
    """Return the messages that a request has among its padata, as octet strings."""
    data = at(header.elements, 0xA3, 0x30, 0x30, 0xA2, 4) if is_request(header) else []
    return [dissect(one.content, Kerberos)[Kerberos] for one in data if one.content[:1] == b"\x6e"]


READINGS = {
    "kerberos.pvno": of(Kerberos, lambda h: [n for one in [h, *carried(h)] for n in first(one, 0)]),
    "kerberos.msg_type": of(Kerberos, lambda h: [n for one in [h, *carried(h)] for n in first(one, 1)]),
    "kerberos.error_code": of(Kerberos, lambda h: numbers(0xA6, 2)(h) if h.tag == 0x7E else None),
    "kerberos.crealm": of(Kerberos, lambda h: texts(0xA3, 27)(h) if is_reply(h) else None),
    "kerberos.CNameString": of(
        Kerberos, lambda h: texts(*(0xA4, 0x30) * is_request(h), 0xA4 - 3 * is_request(h), 0x30, 0xA1, 0x30, 27)(h)
    ),
}


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_like_tshark(tshark: Ask, name: str) -> None:
    sound(alike(tshark, family(name), READINGS), Kerberos)


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")

    def tagged(number: int, one: Element) -> Constructed:
        return Constructed(tag=0xA0 + number, elements=(one,))

    def name(kind: int, *words: str) -> Constructed:
        parts = Constructed(elements=tuple(GeneralString(text=word) for word in words))
        return Constructed(elements=(tagged(0, Integer(value=kind)), tagged(1, parts)))

    error = Constructed(
        elements=(
            tagged(0, Integer(value=5)), tagged(1, Integer(value=30)), tagged(4, GeneralString(tag=24, text="20240101000000Z")),
            tagged(5, Integer(value=123456)), tagged(6, Integer(value=25)),
            tagged(9, GeneralString(text="EXAMPLE.COM")), tagged(10, name(2, "krbtgt", "EXAMPLE.COM")),
        )
    )  # fmt: skip
    body = (
        tagged(0, Element(tag=3, content=bytes(5))),
        tagged(1, name(1, "me" * 70)),
        tagged(2, GeneralString(text="EXAMPLE.COM")),
    )
    asked = (tagged(1, Integer(value=5)), tagged(2, Integer(value=10)), tagged(4, Constructed(elements=body)))
    made = [
        low / UDP(sport=88, dport=40000) / Kerberos(tag=0x7E, elements=(error,)),
        low / TCP(sport=40000, dport=88, flags="ACK") / Framed() / Kerberos(elements=(Constructed(elements=asked),)),
    ]
    sound(alike(tshark, made, READINGS), Kerberos)


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [one for name in CAPTURES for one in packets_of(name) if Kerberos in one]
    assert "Kerberos.length" in cut(read, Kerberos, 3)
    spoilt(read, Kerberos, 10)
