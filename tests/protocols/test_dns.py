"""DNS (RFC 1035, 3596, 2782, 6891, 4034, 9460): names with pointers as values, RDATA by type, a section called `answers`."""

from __future__ import annotations

from typing import Annotated, TypeVar

import pytest

from packetlab import (
    U1,
    U4,
    U8,
    U16,
    U32,
    UDP,
    Bytes,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    IPv6Address,
    Packet,
    Rest,
    Text,
    UnixTime,
    auto,
    count_of,
    default,
    dissect,
    labels,
    many,
    raw,
    size_of,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):
    Name = Annotated[str, labels(since="DNS", compress=True)]
    Target = Annotated[str, labels(since="DNS")]  # which is sent whole (RFC 2782, RFC 4034 section 6.2)

    class Question(Header):
        name: Name = "."
        type: U16 = 1
        cls: U16 = 1

    class Record(Header):
        name: Name = "."
        type: U16 = 0
        cls: U16 = 1
        ttl: U32 = 0
        length: U16 = auto(size_of("data"))
        data: Bytes = b""

    class A(Record, inside="data", when={"type": 1}):
        host: IPv4Address = default("0.0.0.0")

    class Alias(Record, inside="data", when={"type": (2, 5, 12)}):
        """NS, CNAME, PTR."""

        host: Name = "."

    class Authority(Record, inside="data", when={"type": 6}):
        """SOA."""

        server: Name = "."
        mailbox: Name = "."
        serial: U32 = 0
        refresh: U32 = 0
        retry: U32 = 0
        expire: U32 = 0
        minimum: U32 = 0

    class Mail(Record, inside="data", when={"type": 15}):
        preference: U16 = 10
        host: Name = "."

    class Words(Header):
        size: U8 = auto(size_of("text"))
        text: Text = ""

    class TXT(Record, inside="data", when={"type": 16}):
        words: tuple[Words, ...] = many()

    class AAAA(Record, inside="data", when={"type": 28}):
        host: IPv6Address = default("::")

    class Service(Record, inside="data", when={"type": 33}):
        priority: U16 = 0
        weight: U16 = 0
        port: U16 = 0
        target: Target = "."

    class Option(Header):
        code: U16 = 0
        size: U16 = auto(size_of("data"))
        data: Bytes = b""

    class EDNS(Record, inside="data", when={"type": 41}):
        options: tuple[Option, ...] = many()

    class Fingerprint(Record, inside="data", when={"type": 44}):
        algorithm: U8 = 1
        kind: U8 = 1
        digest: Rest = b""

    class Signature(Record, inside="data", when={"type": 46}):
        covers: U16 = 1
        algorithm: U8 = 5
        names: U8 = 0
        lifetime: U32 = 0
        expires: UnixTime = raw(0)
        begins: UnixTime = raw(0)
        key: U16 = 0
        signer: Target = "."
        signature: Rest = b""

    class Parameter(Header):
        key: U16 = 1
        size: U16 = auto(size_of("value"))
        value: Bytes = b""

    class HTTPS(Record, inside="data", when={"type": (64, 65)}):
        priority: U16 = 1
        target: Target = "."
        parameters: tuple[Parameter, ...] = many()

    class DNS(Header, under=UDP, when={"port": 53}):
        id: U16 = 0
        reply: U1 = 0
        opcode: U4 = 0
        authoritative: U1 = 0
        truncated: U1 = 0
        recurse: U1 = 1
        can_recurse: U1 = 0
        zero: U1 = 0
        authentic: U1 = 0
        unchecked: U1 = 0
        code: U4 = 0
        question_count: U16 = auto(count_of("questions"))
        answer_count: U16 = auto(count_of("answers"))
        authority_count: U16 = auto(count_of("authorities"))
        more_count: U16 = auto(count_of("more"))
        questions: tuple[Question, ...] = many()
        answers: tuple[Record, ...] = many()
        authorities: tuple[Record, ...] = many()
        more: tuple[Record, ...] = many()


R = TypeVar("R", bound=Record)


def records(packet: Packet, kind: type[R]) -> list[R]:
    if DNS not in packet:
        return []
    found: tuple[Record, ...] = (*packet[DNS].answers, *packet[DNS].authorities, *packet[DNS].more)
    return [one for one in found if isinstance(one, kind)]


def name(text: str) -> str:
    return "<Root>" if text == "." else text


READINGS = {
    "dns.id": of(DNS, lambda h: h.id),
    "dns.flags.rcode": of(DNS, lambda h: h.code if h.reply else None),
    "dns.count.answers": of(DNS, lambda h: h.answer_count),
    "dns.qry.name": of(DNS, lambda h: [name(one.name) for one in h.questions]),
    "dns.qry.type": of(DNS, lambda h: [one.type for one in h.questions]),
    "dns.resp.name": lambda p: [name(one.name) for one in records(p, Record) if one.type != 33],
    "dns.resp.type": lambda p: [one.type for one in records(p, Record)],
    "dns.resp.len": lambda p: [one.length for one in records(p, Record)],
    "dns.a": lambda p: [one.host for one in records(p, A)],
    "dns.aaaa": lambda p: [one.host for one in records(p, AAAA)],
    "dns.ns": lambda p: [one.host for one in records(p, Alias) if one.type == 2],
    "dns.cname": lambda p: [one.host for one in records(p, Alias) if one.type == 5],
    "dns.mx.mail_exchange": lambda p: [one.host for one in records(p, Mail)],
    "dns.txt": lambda p: [words.text for one in records(p, TXT) for words in one.words],
    "dns.srv.target": lambda p: [name(one.target) for one in records(p, Service)],
    "dns.soa.rname": lambda p: [one.mailbox for one in records(p, Authority)],
    "dns.opt.code": lambda p: [option.code for one in records(p, EDNS) for option in one.options],
    "dns.rrsig.signers_name": lambda p: [name(one.signer) for one in records(p, Signature)],
    "dns.rrsig.key_tag": lambda p: [one.key for one in records(p, Signature)],
    "dns.svcb.svcparam.key": lambda p: [one.key for some in records(p, HTTPS) for one in some.parameters],
}
CAPTURES = ["dns/dns-wiresharkrepo.pcap", "dns/edns-opts.pcap", "dns/dnssec.pcap", "dns/dns-https.pcap"]


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_as_tshark_reads_them(tshark: Ask, name: str) -> None:
    packets = alike(tshark, family(name), READINGS)
    sound(packets, DNS, anew="dnssec" not in name)  # whose server points to other names than we do


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    below = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=53, dport=50000)
    asked = (Question(name="www.example.com", type=255),)
    answers = (
        Alias(type=5, name="www.example.com", host="web.example.com"),
        A(name="web.example.com", ttl=60, host="10.0.0.7"),
        AAAA(name="web.example.com", host="2001:db8::7"),
        Mail(name="example.com", host="mail.example.com"),
        TXT(name="example.com", words=(Words(text="v=lab"), Words(text="two"))),
        Service(name="_lab._tcp.example.com", port=7, target="web.example.com"),
        HTTPS(name="example.com", parameters=(Parameter(key=1, value=b"\2h2"),)),
    )
    made = [
        below
        / DNS(id=7, reply=1, questions=asked, answers=answers[:count], authorities=authorities, more=(EDNS(cls=1232),))
        for count, authorities in (
            (0, ()),
            (3, ()),
            (7, (Authority(name="example.com", server="ns.example.com", mailbox="me.example.com"),)),
        )
    ]
    packets = alike(tshark, made, READINGS)
    sound(packets, DNS)
    assert bytes(packets[2]).count(b"example") == 2  # once whole, once where no pointer may stand


def test_moved_names_are_pointed_to_anew() -> None:
    (packet,) = [one for one in packets_of("dns/dns-wiresharkrepo.pcap") if DNS in one and len(one[DNS].answers) > 4][
        :1
    ]
    longer = dissect(bytes(packet.replace(DNS, questions=(Question(name="a-longer-name.example.org"),))))
    assert [one.name for one in longer[DNS].answers] == [one.name for one in packet[DNS].answers] and not longer.faults


HEAD = bytes.fromhex("1234 8180 0001 0001 0000 0000 0161 026263 00 0001 0001")
A_RECORD = bytes.fromhex("c00c 0001 0001 0000003c 0004 0a0000")


def test_one_address_of_a_compressed_reply_is_edited_and_all_else_stays() -> None:
    """secdev/scapy#4109, #1380."""
    reply = HEAD[:7] + b"\2" + HEAD[8:] + A_RECORD + b"\1" + A_RECORD + b"\2"
    packet = dissect(bytes(Ether() / IPv4() / UDP(sport=53, dport=1) / reply))
    first, second = packet[DNS].answers
    assert isinstance(first, A) and isinstance(second, A) and str(first.host) == "10.0.0.1"
    edited = packet.replace(DNS, answers=(first, second.replace(host="10.9.9.9")))
    now = bytes(edited[DNS])
    assert len(now) == len(reply) == 54 and now == reply[:-4] + bytes([10, 9, 9, 9])
    in_place = packet.replace({"dns.answers[1].a.host": "10.9.9.9"})
    assert bytes(in_place) == bytes(edited)


@pytest.mark.parametrize("record", ["0005 0001 0000003c 0004 0177 c00e", "000f 0001 0000003c 0006 0005 016d c00e"])
def test_a_compressed_alias_or_mail_reply_is_written_as_it_was(record: str) -> None:
    """secdev/scapy#4109, #1380."""
    data = HEAD + b"\xc0\x0c" + bytes.fromhex(record)
    packet = dissect(data, DNS)
    (answer,) = packet[DNS].answers
    assert isinstance(answer, Alias | Mail) and answer.host in ("w.bc", "m.bc") and not packet.faults
    later = packet.replace(DNS, answers=(answer.replace(ttl=61),))
    assert bytes(later) == data.replace(b"\0\0\0\x3c", b"\0\0\0\x3d")


def test_a_hostile_pointer_is_a_fault() -> None:
    data = bytes(DNS(questions=(Question(name=raw(b"\xc0\x0c")),)))
    found = dissect(data, DNS)
    assert [(fault.layer, fault.field) for fault in found.faults] and bytes(found) == data


@pytest.mark.slow
def test_cut_and_spoilt() -> None:
    packets = packets_of("dns/dnssec.pcap")[1:2]
    assert "DNS.answers" in cut(packets, DNS, step=7)
    assert "DNS.more" in spoilt(packets, DNS, times=100)
