"""How fast lists of items are read and built, as ratios to dpkt in one run: ``python tests/benchmarks/bench_lists.py``.

The options of DHCP (RFC 2132) and the answers of DNS (RFC 1035 section 4.1.3, names as pointers), declared here as a user
would, those of TCP (RFC 9293 section 3.2), and TLVs beside the least loop that keeps type and value of each. Where all items are
looked at, type and value of each are read. dpkt gives the options of DHCP and TCP as pairs, and the TLVs of CDP as objects,
like packetlab.
"""

from __future__ import annotations

import argparse
import struct
import warnings
from typing import Annotated

warnings.simplefilter("ignore")

import dpkt  # noqa: E402
from run import race, tell  # noqa: E402

from packetlab import (  # noqa: E402
    TCP,
    U8,
    U16,
    U32,
    Bytes,
    Header,
    TCPOption,
    auto,
    count_of,
    dissect,
    field,
    fixed_bytes,
    many,
    size_of,
    sized,
    when,
)


class Option(Header):
    """An option of DHCP: kinds 0 and 255 are alone."""

    kind: U8
    length: U8 | None = when((field("kind") != 0) & (field("kind") != 255), auto(size_of("data")))
    data: Bytes | None = when((field("kind") != 0) & (field("kind") != 255), sized(field("length"), b""))


class Offer(Header):
    """A message of DHCP."""

    op: U8 = 1
    hrd: U8 = 1
    hln: U8 = 6
    hops: U8 = 0
    xid: U32 = 0
    secs: U16 = 0
    flags: U16 = 0
    ciaddr: U32 = 0
    yiaddr: U32 = 0
    siaddr: U32 = 0
    giaddr: U32 = 0
    chaddr: Annotated[bytes, fixed_bytes(16)] = bytes(16)
    sname: Annotated[bytes, fixed_bytes(64)] = bytes(64)
    file: Annotated[bytes, fixed_bytes(128)] = bytes(128)
    magic: U32 = 0x63825363
    options: tuple[Option, ...] = many(until=field("kind") == 255)


class Answer(Header):
    """A resource record whose name is a pointer."""

    name: U16 = 0xC00C
    type: U16 = 1
    cls: U16 = 1
    ttl: U32 = 60
    length: U16 = auto(size_of("data"))
    data: Bytes = sized(field("length"), b"")


class Question(Header):
    """A question for example.com."""

    name: Annotated[bytes, fixed_bytes(13)] = b"\7example\3com\0"
    type: U16 = 1
    cls: U16 = 1


class Message(Header):
    """A message of DNS with answers only."""

    id: U16 = 0
    flags: U16 = 0x8180
    questions: U16 = auto(count_of("request"))
    record_count: U16 = auto(count_of("records"))
    authority: U16 = 0
    additional: U16 = 0
    request: tuple[Question, ...] = many(count=field("questions"))
    records: tuple[Answer, ...] = many(count=field("record_count"))


class TLV(Header):
    """A type, a length, a value."""

    kind: U8
    length: U8 = auto(size_of("data"))
    data: Bytes = sized(field("length"), b"")


class TLVs(Header):
    """Items up to one of kind 0, as LLDP has them."""

    items: tuple[TLV, ...] = many(until=field("kind") == 0)


class Entry(Header):
    """A TLV of CDP."""

    type: U16
    length: U16 = auto(size_of("self"))
    data: Bytes


class Entries(Header):
    """A message of CDP, here up to an item of type 0."""

    version: U8 = 2
    ttl: U8 = 180
    checksum: U16 = 0
    items: tuple[Entry, ...] = many(until=field("type") == 0)


OPTIONS = [(53, b"\2"), (54, b"\x0a\0\0\1"), (51, b"\0\0\x0e\x10"), (1, b"\xff\xff\xff\0"), (3, b"\x0a\0\0\1"),
           (6, b"\x08\x08\x08\x08\x08\x08\x04\x04"), (15, b"example.com"), (12, b"host-1")]  # fmt: skip
LIST = bytes(TLVs(items=[TLV(kind=i + 1, data=bytes(i)) for i in range(8)] + [TLV(kind=0, data=b"")]))


SEGMENT = bytes(TCP(options=[TCPOption(kind=2, data=b"\5\xb4"), TCPOption(kind=4), TCPOption(kind=8, data=bytes(8)),
                             TCPOption(kind=1), TCPOption(kind=3, data=b"\7")]))  # fmt: skip


def offer() -> bytes:
    return bytes(Offer(options=[*(Option(kind=kind, data=data) for kind, data in OPTIONS), Option(kind=255)]))


def offer_dpkt() -> bytes:
    return bytes(dpkt.dhcp.DHCP(opts=OPTIONS))


def answers() -> bytes:
    return bytes(Message(request=[Question()], records=[Answer(data=bytes([10, 0, 0, i])) for i in range(8)]))


def answers_dpkt() -> bytes:
    record = dpkt.dns.DNS.RR
    records = [record(name="example.com", ttl=60, rdata=(ip := bytes([10, 0, 0, i])), ip=ip) for i in range(8)]
    return bytes(dpkt.dns.DNS(id=0, op=0x8180, qd=[dpkt.dns.DNS.Q(name="example.com")], an=records))


def by_hand() -> list[tuple[int, bytes]]:
    found, pos = [], 0
    while pos < len(LIST):
        kind, length = struct.unpack_from("BB", LIST, pos)
        found.append((kind, LIST[pos + 2 : pos + 2 + length]))
        pos += 2 + length
        if not kind:
            break
    return found


def entries() -> bytes:
    return bytes(Entries(items=[*(Entry(type=kind, data=data) for kind, data in VALUES)]))


def entries_dpkt() -> bytes:
    return ENTRIES[:4] + b"".join([bytes(dpkt.cdp.CDP.TLV(type=kind, data=data)) for kind, data in VALUES])


def read_dpkt() -> list[dpkt.cdp.CDP.TLV]:
    # Not dpkt.cdp.CDP, which reads each item twice and keeps its bytes.
    found, rest = [], ENTRIES[4:]
    while rest:
        found.append(dpkt.cdp.CDP.TLV(rest))
        rest = rest[len(found[-1]) :]
    return found


def tlvs() -> bytes:
    return bytes(TLVs(items=[*(TLV(kind=kind, data=data) for kind, data in VALUES)]))


def tlvs_by_hand() -> bytes:
    return b"".join([struct.pack("BB", kind, len(data)) + data for kind, data in VALUES])


DHCP, DNS, VALUES = offer(), answers(), by_hand()
ENTRIES = entries()

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each list")
    seconds = parser.parse_args().seconds
    assert [(o.kind, o.data) for o in dissect(DHCP, Offer)[Offer].options[:-1]] == dpkt.dhcp.DHCP(DHCP).opts
    assert [a.data for a in dissect(DNS, Message)[Message].records] == [a.rdata for a in dpkt.dns.DNS(DNS).an]
    assert [(e.type, e.data) for e in dissect(ENTRIES, Entries)[Entries].items] == [
        (e.type, e.data) for e in read_dpkt()
    ]
    assert [(t.kind, t.data) for t in dissect(LIST, TLVs)[TLVs].items] == by_hand()
    for title, ours, theirs in (
        ("DHCP with 8 options", lambda: dissect(DHCP, Offer)[Offer].options, lambda: dpkt.dhcp.DHCP(DHCP)),
        (
            "DHCP with 8 options, all looked at",
            lambda: [(o.kind, o.data) for o in dissect(DHCP, Offer)[Offer].options],
            lambda: [(kind, data) for kind, data in dpkt.dhcp.DHCP(DHCP).opts],
        ),
        ("DNS with 8 answers", lambda: dissect(DNS, Message)[Message].records, lambda: dpkt.dns.DNS(DNS)),
        ("8 TLVs of CDP by until=", lambda: dissect(ENTRIES, Entries)[Entries].items, read_dpkt),
        (
            "TCP with 5 options",
            lambda: dissect(SEGMENT, TCP)[TCP].options,
            lambda: dpkt.tcp.parse_opts(dpkt.tcp.TCP(SEGMENT).opts),
        ),
    ):
        tell(title, race({"packetlab": ours, "dpkt": theirs}, seconds), "packetlab", {"dpkt": 2})
    assert offer_dpkt()[236:] == DHCP[236:] and answers_dpkt() == DNS and entries_dpkt() == ENTRIES
    for title, mine, other in (
        ("DHCP with 8 options, built", offer, offer_dpkt),
        ("DNS with 8 answers, built", answers, answers_dpkt),
        ("8 TLVs of CDP, built", entries, entries_dpkt),
    ):
        tell(title, race({"packetlab": mine, "dpkt": other}, seconds), "packetlab", {"dpkt": 2})
    assert tlvs() == tlvs_by_hand() == LIST
    read = {"packetlab": lambda: dissect(LIST, TLVs)[TLVs].items, "a loop by hand": by_hand}
    tell("8 TLVs by until=", race(read, seconds), "packetlab", {})
    tell("8 TLVs by until=, built", race({"packetlab": tlvs, "a loop by hand": tlvs_by_hand}, seconds), "packetlab", {})
