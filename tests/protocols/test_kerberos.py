"""Kerberos 5 (RFC 4120): messages as the standard has them, of tagged parts, each of its own type; over TCP with a length before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import signature
from typing import Annotated

import pytest

from packetlab import (
    TCP,
    U1,
    U8,
    U32,
    UDP,
    BERLength,
    Bytes,
    Ether,
    Header,
    IPv4,
    Packet,
    Text,
    auto,
    ber_integer,
    bind,
    const,
    field,
    many,
    must,
    size_of,
    sized,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import H
from tests.protocols.scope import Scope

with (scope := Scope()):
    # Types of ASN.1 ------------------------------------------------------------------------------------------

    class Tagged(Header):
        tag: U8 = 0xA0
        length: BERLength = auto(size_of("content"))
        content: Bytes = b""

    class Integer(Header):
        tag: U8 = const(2)
        length: BERLength = auto(size_of("value"))
        value: Annotated[int, ber_integer()] = sized(field("length"), 0)

    class Words(Header):
        """GeneralString, and KerberosTime, which is text too (24)."""

        tag: U8 = must(field("tag").one_of(24, 27), 27)
        length: BERLength = auto(size_of("text"))
        text: Text = ""

    class Flags(Header):
        """BIT STRING of 32 bits (5.2.8)."""

        tag: U8 = const(3)
        length: BERLength = auto(size_of("bits") + 1)
        unused: U8 = 0
        bits: tuple[U1, ...] = many(value=(0,) * 32)

    class Octets(Header):
        tag: U8 = const(4)
        length: BERLength = auto(size_of("data"))
        data: Bytes = b""

    class PrincipalName(Header):
        """5.2.2; in each of these sequences a number in brackets is a tag and a length of its own."""

        tag: U8 = const(0x30)
        length: BERLength = auto(size_of("self") - size_of("tag") - size_of("length"))
        kind_tag: U8 = const(0xA0)
        kind_length: BERLength = auto(size_of("kind"))
        kind: Integer = Integer(value=1)
        names_tag: U8 = const(0xA1)
        names_length: BERLength = auto(size_of("list_tag") + size_of("list_length") + size_of("names"))
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("names"))
        names: tuple[Words, ...] = many()

    class EncryptedPart(Tagged):
        pass

    class EncryptedNumber(EncryptedPart, inside="content", when={"tag": (0xA0, 0xA1)}):
        """The type of encryption, the version of the key."""

        number: Integer = Integer()

    class EncryptedText(EncryptedPart, inside="content", when={"tag": 0xA2}):
        cipher: Octets = Octets()

    class Encrypted(Header):
        """EncryptedData (5.2.9)."""

        tag: U8 = const(0x30)
        length: BERLength = auto(size_of("parts"))
        parts: tuple[EncryptedPart, ...] = many()

    class TicketPart(Tagged):
        pass

    class TicketNumber(TicketPart, inside="content", when={"tag": 0xA0}):
        number: Integer = Integer(value=5)

    class TicketRealm(TicketPart, inside="content", when={"tag": 0xA1}):
        words: Words = Words()

    class TicketName(TicketPart, inside="content", when={"tag": 0xA2}):
        name: PrincipalName = PrincipalName()

    class TicketSealed(TicketPart, inside="content", when={"tag": 0xA3}):
        encrypted: Encrypted = Encrypted()

    class Ticket(Header):
        """5.3."""

        tag: U8 = const(0x61)
        length: BERLength = auto(size_of("list_tag") + size_of("list_length") + size_of("parts"))
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("parts"))
        parts: tuple[TicketPart, ...] = many()

    # Messages ------------------------------------------------------------------------------------------------

    class Kerberos(Header, under=UDP, port=88):
        """A message, also one that another holds in an octet string."""

        tag: U8 = 0x6A
        length: BERLength = auto(size_of("content"))
        content: Bytes = b""

    class PaData(Header):
        """5.2.7."""

        tag: U8 = const(0x30)
        length: BERLength = auto(size_of("self") - size_of("tag") - size_of("length"))
        type_tag: U8 = const(0xA1)
        type_length: BERLength = auto(size_of("type"))
        type: Integer = Integer()
        value_tag: U8 = const(0xA2)
        value_length: BERLength = auto(size_of("octets_tag") + size_of("octets_length") + size_of("data"))
        octets_tag: U8 = const(4)
        octets_length: BERLength = auto(size_of("data"))
        data: Bytes = b""

    class PaRequest(PaData, inside="data", when={"type.value": 1}):
        """PA-TGS-REQ: an AP-REQ."""

        request: Kerberos

    class PaTime(PaData, inside="data", when={"type.value": 2}):
        encrypted: Encrypted = Encrypted()

    class PaPac(PaData, inside="data", when={"type.value": 128}):
        """KERB-PA-PAC-REQUEST ([MS-KILE] 2.2.3)."""

        sequence: U8 = const(0x30)
        sequence_length: U8 = const(5)
        include_tag: U8 = const(0xA0)
        include_length: U8 = const(3)
        truth_tag: U8 = const(1)
        truth_length: U8 = const(1)
        include: U8 = 0xFF

    class HostAddress(Header):
        """5.2.5."""

        tag: U8 = const(0x30)
        length: BERLength = auto(size_of("self") - size_of("tag") - size_of("length"))
        type_tag: U8 = const(0xA0)
        type_length: BERLength = auto(size_of("type"))
        type: Integer = Integer(value=2)
        address_tag: U8 = const(0xA1)
        address_length: BERLength = auto(size_of("address"))
        address: Octets = Octets()

    class BodyPart(Tagged):
        pass

    class BodyOptions(BodyPart, inside="content", when={"tag": 0xA0}):
        flags: Flags = Flags()

    class BodyName(BodyPart, inside="content", when={"tag": (0xA1, 0xA3)}):
        """Of the client, of the server."""

        name: PrincipalName = PrincipalName()

    class BodyWords(BodyPart, inside="content", when={"tag": (0xA2, 0xA4, 0xA5, 0xA6)}):
        """The realm, and times."""

        words: Words = Words()

    class BodyNonce(BodyPart, inside="content", when={"tag": 0xA7}):
        number: Integer = Integer()

    class BodyTypes(BodyPart, inside="content", when={"tag": 0xA8}):
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("types"))
        types: tuple[Integer, ...] = many()

    class BodyAddresses(BodyPart, inside="content", when={"tag": 0xA9}):
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("addresses"))
        addresses: tuple[HostAddress, ...] = many()

    class BodyAuthorization(BodyPart, inside="content", when={"tag": 0xAA}):
        encrypted: Encrypted = Encrypted()

    class BodyTickets(BodyPart, inside="content", when={"tag": 0xAB}):
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("tickets"))
        tickets: tuple[Ticket, ...] = many()

    class RequestPart(Tagged):
        """Of KDC-REQ (5.4.1)."""

    class RequestNumber(RequestPart, inside="content", when={"tag": (0xA1, 0xA2)}):
        """The version, the type."""

        number: Integer = Integer()

    class RequestData(RequestPart, inside="content", when={"tag": 0xA3}):
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("data"))
        data: tuple[PaData, ...] = many()

    class RequestBody(RequestPart, inside="content", when={"tag": 0xA4}):
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("body"))
        body: tuple[BodyPart, ...] = many()

    class Request(Kerberos, inside="content", when={"tag": (0x6A, 0x6C)}):
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("parts"))
        parts: tuple[RequestPart, ...] = many()

    class ReplyPart(Tagged):
        """Of KDC-REP (5.4.2)."""

    class ReplyNumber(ReplyPart, inside="content", when={"tag": (0xA0, 0xA1)}):
        number: Integer = Integer()

    class ReplyData(ReplyPart, inside="content", when={"tag": 0xA2}):
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("data"))
        data: tuple[PaData, ...] = many()

    class ReplyRealm(ReplyPart, inside="content", when={"tag": 0xA3}):
        words: Words = Words()

    class ReplyName(ReplyPart, inside="content", when={"tag": 0xA4}):
        name: PrincipalName = PrincipalName()

    class ReplyTicket(ReplyPart, inside="content", when={"tag": 0xA5}):
        ticket: Ticket = Ticket()

    class ReplySealed(ReplyPart, inside="content", when={"tag": 0xA6}):
        encrypted: Encrypted = Encrypted()

    class Reply(Kerberos, inside="content", when={"tag": (0x6B, 0x6D)}):
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("parts"))
        parts: tuple[ReplyPart, ...] = many()

    class ApplicationPart(Tagged):
        """Of AP-REQ (5.5.1)."""

    class ApplicationNumber(ApplicationPart, inside="content", when={"tag": (0xA0, 0xA1)}):
        number: Integer = Integer()

    class ApplicationOptions(ApplicationPart, inside="content", when={"tag": 0xA2}):
        flags: Flags = Flags()

    class ApplicationTicket(ApplicationPart, inside="content", when={"tag": 0xA3}):
        ticket: Ticket = Ticket()

    class Authenticator(ApplicationPart, inside="content", when={"tag": 0xA4}):
        encrypted: Encrypted = Encrypted()

    class Application(Kerberos, inside="content", when={"tag": 0x6E}):
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("parts"))
        parts: tuple[ApplicationPart, ...] = many()

    class ErrorPart(Tagged):
        """Of KRB-ERROR (5.9.1)."""

    class ErrorNumber(ErrorPart, inside="content", when={"tag": (0xA0, 0xA1, 0xA3, 0xA5, 0xA6)}):
        """The version, the type, microseconds of either time, the error."""

        number: Integer = Integer()

    class ErrorWords(ErrorPart, inside="content", when={"tag": (0xA2, 0xA4, 0xA7, 0xA9, 0xAB)}):
        """Either time, either realm, a text."""

        words: Words = Words()

    class ErrorName(ErrorPart, inside="content", when={"tag": (0xA8, 0xAA)}):
        name: PrincipalName = PrincipalName()

    class ErrorData(ErrorPart, inside="content", when={"tag": 0xAC}):
        data: Octets = Octets()

    class Error(Kerberos, inside="content", when={"tag": 0x7E}):
        list_tag: U8 = const(0x30)
        list_length: BERLength = auto(size_of("parts"))
        parts: tuple[ErrorPart, ...] = many()

    class Framed(Header, under=TCP, port=88, stream=True):
        length: U32 = auto(size_of("payload"))

    bind(Kerberos, under=Framed)


CAPTURES = ["kerberos/auth.pcap", "kerberos/krb5-tcp.pcap"]


def walk(header: Header) -> Iterator[Header]:
    """Yield a header and all that are in its fields, in their order."""
    yield header
    for name in signature(type(header)).parameters:
        value = getattr(header, name)
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, Header):
                yield from walk(one)


def of(wanted: type[H] | tuple[type[H], ...], read: Callable[[H], object]) -> Callable[[Packet], list[object]]:
    """Return what reads a packet: values of all headers of a class in it, but for None."""

    def values(packet: Packet) -> list[object]:
        found = [read(one) for one in walk(packet[Kerberos]) if isinstance(one, wanted)] if Kerberos in packet else []
        return [value for one in found for value in (one if isinstance(one, list) else [one]) if value is not None]

    return values


def number(*tags: int) -> Callable[[Tagged], object]:
    return lambda part: part.number.value if part.tag in tags else None  # type: ignore[attr-defined]


def names(part: Tagged) -> object:
    return [one.text for one in part.name.names]  # type: ignore[attr-defined]


def words(part: Tagged) -> object:
    return part.words.text  # type: ignore[attr-defined]


NUMBERS = (RequestNumber, ReplyNumber, ApplicationNumber, ErrorNumber)


def message_number(place: int) -> Callable[[Packet], list[object]]:
    """Return what reads the version (0) or the type (1) of a message; those of requests are numbered from 1."""
    return of(NUMBERS, lambda part: number(0xA0 + place + isinstance(part, RequestNumber))(part))


READINGS = {
    "kerberos.pvno": message_number(0),
    "kerberos.msg_type": message_number(1),
    "kerberos.error_code": of(ErrorNumber, number(0xA6)),
    "kerberos.crealm": of(ReplyRealm, lambda part: part.words.text),
    "kerberos.CNameString": of((BodyName, ReplyName), lambda part: names(part) if part.tag in (0xA1, 0xA4) else None),
    "kerberos.SNameString": of(
        (BodyName, TicketName, ErrorName), lambda part: names(part) if part.tag in ((0xA2,) if isinstance(part, TicketName) else (0xA3, 0xAA)) else None
    ),
    "kerberos.realm": of(
        (BodyWords, TicketRealm, ErrorWords),
        lambda part: words(part) if part.tag in {BodyWords: (0xA2,), TicketRealm: (0xA1,), ErrorWords: (0xA9,)}[type(part)] else None,
    ),
    "kerberos.tkt_vno": of(TicketNumber, number(0xA0)),
    "kerberos.nonce": of(BodyNonce, lambda part: part.number.value & 0xFFFFFFFF),
    "kerberos.ENCTYPE": of(BodyTypes, lambda part: [one.value for one in part.types]),
    "kerberos.etype": of(EncryptedNumber, number(0xA0)),
    "kerberos.kvno": of(EncryptedNumber, number(0xA1)),
    "kerberos.cipher": of(EncryptedText, lambda part: part.cipher.data),
    "kerberos.padata_type": of(PaData, lambda one: one.type.value),
    "kerberos.kdc_options": of(BodyOptions, lambda part: int("".join(map(str, part.flags.bits)), 2).to_bytes(len(part.flags.bits) // 8)),
    "kerberos.addr_type": of(HostAddress, lambda one: one.type.value),
}


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_like_tshark(tshark: Ask, name: str) -> None:
    packets = alike(tshark, family(name), READINGS)
    sound(packets, Kerberos)
    assert not [one for p in packets if Kerberos in p for one in walk(p[Kerberos]) if type(one) in PLAIN]  # nothing is left as bytes


PLAIN = (Tagged, RequestPart, BodyPart, ReplyPart, TicketPart, EncryptedPart, ApplicationPart, ErrorPart, PaData, Kerberos)


def named_(*words: str, kind: int = 1) -> PrincipalName:
    return PrincipalName(kind=Integer(value=kind), names=tuple(Words(text=word) for word in words))


def sealed(size: int, version: int = 2) -> Encrypted:
    parts = (EncryptedNumber(tag=0xA0, number=Integer(value=18)), EncryptedNumber(tag=0xA1, number=Integer(value=version)))
    return Encrypted(parts=(*parts, EncryptedText(cipher=Octets(data=bytes(range(size % 256)) * (size // 100 or 1)))))


TICKET = Ticket(parts=(
    TicketNumber(), TicketRealm(words=Words(text="EXAMPLE.COM")), TicketName(name=named_("krbtgt", "EXAMPLE.COM", kind=2)),
    TicketSealed(encrypted=sealed(200)),
))  # fmt: skip


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
    error = Error(parts=(
        ErrorNumber(tag=0xA0, number=Integer(value=5)), ErrorNumber(tag=0xA1, number=Integer(value=30)),
        ErrorWords(tag=0xA4, words=Words(tag=24, text="20240101000000Z")), ErrorNumber(tag=0xA5, number=Integer(value=123456)),
        ErrorNumber(tag=0xA6, number=Integer(value=25)), ErrorWords(tag=0xA9, words=Words(text="EXAMPLE.COM")),
        ErrorName(tag=0xAA, name=named_("krbtgt", "EXAMPLE.COM", kind=2)),
    ))  # fmt: skip
    body = RequestBody(body=(
        BodyOptions(flags=Flags(bits=tuple(int(n in (1, 3, 27)) for n in range(32)))), BodyName(tag=0xA1, name=named_("me" * 70)), BodyWords(tag=0xA2, words=Words(text="EXAMPLE.COM")),
        BodyName(tag=0xA3, name=named_("krbtgt", "EXAMPLE.COM", kind=2)), BodyWords(tag=0xA5, words=Words(tag=24, text="20370913024805Z")),
        BodyNonce(number=Integer(value=887844331)), BodyTypes(types=(Integer(value=18), Integer(value=23), Integer(value=-133))),
        BodyAddresses(addresses=(HostAddress(address=Octets(data=b"\n\0\0\1")),)),
    ))  # fmt: skip
    versions = (RequestNumber(tag=0xA1, number=Integer(value=5)), RequestNumber(tag=0xA2, number=Integer(value=10)))
    first = Request(tag=0x6A, parts=(*versions, RequestData(data=(PaTime(encrypted=sealed(56)), PaPac())), body))
    application = Application(parts=(
        ApplicationNumber(tag=0xA0, number=Integer(value=5)), ApplicationNumber(tag=0xA1, number=Integer(value=14)), ApplicationOptions(),
        ApplicationTicket(ticket=TICKET), Authenticator(encrypted=sealed(100)),
    ))  # fmt: skip
    second = Request(tag=0x6C, parts=(versions[0], RequestNumber(tag=0xA2, number=Integer(value=12)), RequestData(data=(PaRequest(request=application),)), body))
    reply = Reply(tag=0x6D, parts=(
        ReplyNumber(tag=0xA0, number=Integer(value=5)), ReplyNumber(tag=0xA1, number=Integer(value=13)), ReplyRealm(words=Words(text="EXAMPLE.COM")),
        ReplyName(name=named_("me")), ReplyTicket(ticket=TICKET), ReplySealed(encrypted=sealed(250)),
    ))  # fmt: skip

    def tcp(port: int) -> Packet:
        return low / TCP(sport=port, dport=88, flags="ACK") / Framed()

    made = [low / UDP(sport=88, dport=40000) / error, tcp(40000) / first, tcp(40001) / second, low / UDP(sport=88, dport=40001) / reply]
    packets = alike(tshark, made, READINGS)
    sound(packets, Kerberos)
    assert [type(packet[Kerberos]) for packet in packets] == [Error, Request, Request, Reply]


def test_lengths_around_an_edit_follow(tshark: Ask) -> None:
    packet = next(one for one in packets_of(CAPTURES[0]) if Request in one)
    path = "request.parts.requestdata.data.parequest.request.application.parts.applicationticket.ticket.parts.ticketrealm.words.text"
    (read,) = alike(tshark, [packet.replace({path: "A.LONGER.REALM." * 20})], READINGS)
    assert not read.faults and "A.LONGER.REALM." * 20 in READINGS["kerberos.realm"](read)


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [one for name in CAPTURES for one in packets_of(name) if Kerberos in one]
    assert {"Kerberos.tag", "Kerberos.content"} <= cut(read, Kerberos, 11)
    spoilt(read, Kerberos, 10)
