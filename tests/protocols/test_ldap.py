"""LDAP (RFC 4511) over TCP: messages in BER whose operation is typed by its tag, filters in filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from packetlab import (
    TCP,
    U8,
    BERLength,
    Bytes,
    Capture,
    Ether,
    Header,
    IPv4,
    Packet,
    Text,
    auto,
    ber_integer,
    const,
    field,
    many,
    size_of,
    sized,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Element(Header):
        tag: U8 = 5
        length: BERLength = auto(size_of("content"))
        content: Bytes = b""

    class Set(Element, inside="content", when=field("tag") & 0x20 == 0x20):
        """All that is constructed: sequences, sets, filters."""

        tag = 0x30
        elements: tuple[Element, ...] = many()

    class Integer(Header):
        tag: U8 = const(2)
        length: BERLength = auto(size_of("value"))
        value: Annotated[int, ber_integer()] = sized(field("length"), 0)

    class Enumerated(Header):
        tag: U8 = const(10)
        length: BERLength = auto(size_of("value"))
        value: Annotated[int, ber_integer()] = sized(field("length"), 0)

    class Boolean(Header):
        tag: U8 = const(1)
        length: U8 = const(1)
        value: U8 = 0

    class String(Header):
        tag: U8 = const(4)
        length: BERLength = auto(size_of("text"))
        text: Text = ""

    class Values(Header):
        tag: U8 = const(0x31)
        length: BERLength = auto(size_of("values"))
        values: tuple[Element, ...] = many()

    class Attribute(Header):
        tag: U8 = const(0x30)
        length: BERLength = auto(size_of("type") + size_of("values"))
        type: String = String()
        values: Values = Values()

    class Operation(Header):
        tag: U8 = 0x7F
        length: BERLength = auto(size_of("content"))
        content: Bytes = b""

    class Bind(Operation, inside="content", when={"tag": 0x60}):
        version: Integer = Integer(value=3)
        name: String = String()
        authentication: Element = Element(tag=0x80)

    class BindReply(Operation, inside="content", when={"tag": 0x61}):
        result: Enumerated = Enumerated()
        matched: String = String()
        words: String = String()
        more: tuple[Element, ...] = many()

    class Unbind(Operation, inside="content", when={"tag": 0x42}):
        pass

    class Search(Operation, inside="content", when={"tag": 0x63}):
        base: String = String()
        scope: Enumerated = Enumerated()
        aliases: Enumerated = Enumerated()
        most: Integer = Integer()
        seconds: Integer = Integer()
        names_only: Boolean = Boolean()
        filter: Element = Element(tag=0x87, content=b"objectClass")
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("attributes"))
        attributes: tuple[String, ...] = many()

    class Entry(Operation, inside="content", when={"tag": 0x64}):
        name: String = String()
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("attributes"))
        attributes: tuple[Attribute, ...] = many()

    class Done(Operation, inside="content", when={"tag": (0x65, 0x67, 0x69, 0x6B, 0x6D, 0x6F)}):
        result: Enumerated = Enumerated()
        matched: String = String()
        words: String = String()
        more: tuple[Element, ...] = many()

    class LDAP(Header, under=TCP, port=389, stream=True):
        tag: U8 = const(0x30)
        length: BERLength = auto(size_of("self") - size_of("tag") - size_of("length"))
        id: Integer = Integer(value=1)
        operation: Operation = Operation()
        controls: tuple[Element, ...] = many()


CAPTURE = "ldap/sasl-ntlm.pcap"
Result = BindReply | Done


def op(read: Callable[[Operation], object]) -> Callable[[Packet], list[object]]:
    return of(LDAP, lambda h: read(h.operation))


READINGS = {
    "ldap.messageID": of(LDAP, lambda h: h.id.value),
    "ldap.protocolOp": op(lambda one: one.tag & 31),
    "ldap.version": op(lambda one: one.version.value if isinstance(one, Bind) else None),
    "ldap.resultCode": op(lambda one: one.result.value if isinstance(one, Result) else None),
    "ldap.errorMessage": op(lambda one: one.words.text or None if isinstance(one, Result) else None),
    "ldap.baseObject": op(lambda one: one.base.text if isinstance(one, Search) else None),
    "ldap.scope": op(lambda one: one.scope.value if isinstance(one, Search) else None),
    "ldap.sizeLimit": op(lambda one: one.most.value if isinstance(one, Search) else None),
    "ldap.typesOnly": op(lambda one: one.names_only.value if isinstance(one, Search) else None),
    "ldap.objectName": op(lambda one: one.name.text if isinstance(one, Entry) else None),
    "ldap.type": op(lambda one: [a.type.text for a in one.attributes] if isinstance(one, Entry) else None),
    "ldap.AttributeDescription": op(lambda one: [a.text for a in one.attributes] if isinstance(one, Search) else None),
    "ldap.AttributeValue": op(lambda one: [v.content for v in values(one)]),
}


def values(one: Operation) -> list[Element]:
    return [value for a in one.attributes for value in a.values.values] if isinstance(one, Entry) else []


def test_captures_are_read_like_tshark(tshark: Ask) -> None:
    packets = alike(tshark, family(CAPTURE), READINGS)
    sound(packets, LDAP)
    seen = {type(one[LDAP].operation) for one in packets if LDAP in one}
    assert seen == {Bind, BindReply, Search, Entry, Done, Unbind}


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
    both = Set(
        tag=0xA0,
        elements=(Element(tag=0x87, content=b"cn"), Set(tag=0xA2, elements=(Element(tag=0x87, content=b"sn"),))),
    )
    asked = (String(text="cn"), String(text="mail"))
    attribute = Attribute(
        type=String(text="cn"), values=Values(values=(Element(tag=4, content=b"a"), Element(tag=4, content=bytes(200))))
    )
    made: list[Operation] = [
        Bind(name=String(text="cn=me"), authentication=Element(tag=0x80, content=b"secret")),
        Search(base=String(text="dc=example"), scope=Enumerated(value=2), filter=both, attributes=asked),
        Entry(name=String(text="cn=a"), attributes=(attribute,)),
        Done(result=Enumerated(value=32), words=String(text="none")),
        Unbind(),
    ]
    packets = [
        low / TCP(sport=40000 + i, dport=389, flags="ACK") / LDAP(id=Integer(value=i + 1), operation=one)
        for i, one in enumerate(made)
    ]
    sound(alike(tshark, packets, READINGS), LDAP)


def test_messages_over_segments() -> None:
    stream = b"".join(bytes(LDAP(id=Integer(value=i), operation=Unbind())) for i in range(5))
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=40000, dport=389, flags="ACK", seq=1)
    begin = low.replace(TCP, flags="SYN", seq=0)
    found = Capture.of([begin, *(low / stream).segments(9)]).messages(LDAP)
    assert [one.header.id.value for one in found] == [0, 1, 2, 3, 4]


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [one for one in packets_of(CAPTURE) if LDAP in one][:6]
    cut(read, LDAP)
    spoilt(read, LDAP)
