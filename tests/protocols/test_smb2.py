"""SMB2 ([MS-SMB2]) over TCP: compounds whose next message lies at an offset, which follows, names and data at offsets of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from fractions import Fraction
from typing import Annotated, Self

import pytest

from packetlab import (
    TCP,
    U8,
    U24,
    BuildError,
    Bytes,
    Ether,
    Header,
    IPv4,
    Packet,
    Rest,
    U16le,
    U32le,
    U64le,
    at,
    auto,
    choose,
    computed,
    const,
    dissect,
    field,
    fixed_bytes,
    has,
    many,
    offset_of,
    pad,
    raw,
    size_of,
    sized,
    text,
    timestamp,
    when,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import H
from tests.protocols.scope import Scope

FileTime = Annotated[datetime, timestamp(64, epoch="1601-01-01", unit=Fraction(1, 10**7), little=True)]

with (scope := Scope()):

    class NBSS(Header, under=TCP, port=445, stream=True):
        type: U8 = const(0)
        length: U24 = auto(size_of("payload"))

    COMMAND, REPLY = field("command"), field("flags") & 1 == 1

    class SMB2(Header, under=NBSS):
        """A message; in a compound the next one follows it, in the same header (3.2.4.1.4): all offsets count from this one."""

        magic: Annotated[bytes, fixed_bytes(4)] = const(b"\xfeSMB")
        size: U16le = const(64)
        charge: U16le = 0
        status: U32le = 0
        command: U16le = 0
        credits: U16le = 1
        flags: U32le = 0
        next: U32le = 0
        id: U64le = 0
        process: U32le = 0
        tree: U32le = 0
        session: U64le = 0
        signature: Annotated[bytes, fixed_bytes(16)] = bytes(16)
        sort: int = computed(  # the command of a request, 100 more in a reply, 200 for a warning or an error, 0 for any other
            choose(
                REPLY,
                choose(field("status") >> 30 > 1, 200, choose((field("status") == 0) & COMMAND.one_of(5, 8, 14, 16), COMMAND + 100, 0)),
                choose(COMMAND.one_of(5, 8, 9, 14, 16), COMMAND, 0),
            )
        )

    NEXT = choose(has("following"), (offset_of("filler") + 7) // 8 * 8, 0)

    class CreateContext(Header):
        """One of a chain (2.2.13.2): a name, and data that begin at a multiple of 8 bytes."""

        next: U32le = auto(NEXT)
        name_offset: U16le = auto(offset_of("name"))
        name_size: U16le = auto(size_of("name"))
        reserved: U16le = 0
        data_offset: U16le = auto(choose(size_of("data") > 0, offset_of("data"), 0))
        data_size: U32le = auto(size_of("data"))
        name: Bytes = at(field("name_offset"), sized(field("name_size"), b"MxAc"))
        data: Bytes = at(field("data_offset"), sized(choose(field("data_offset") != 0, field("data_size"), 0), b""), align=8)
        filler: Bytes | None = when(field("next"), pad(8, to=field("next")))
        following: Self | None = when(field("next"))
        padding: Rest | None = when(field("next") == 0, b"")  # some fill up behind the last one

    class Create(SMB2, when={"sort": 5}):
        """Request (2.2.13)."""

        command = 5
        next = auto(NEXT)
        create_size: U16le = const(57)
        security: U8 = 0
        oplock: U8 = 0
        impersonation: U32le = 2
        create_flags: U64le = 0
        reserved: U64le = 0
        access: U32le = 0x120089
        attributes: U32le = 0
        share: U32le = 7
        disposition: U32le = 1
        options: U32le = 0
        name_offset: U16le = auto(offset_of("name"))
        name_size: U16le = auto(size_of("name"))
        contexts_offset: U32le = auto(choose(has("contexts"), offset_of("contexts"), 0))
        contexts_size: U32le = auto(size_of("contexts"))
        name: Annotated[str, text("utf-16-le")] = at(field("name_offset"), sized(field("name_size"), ""))
        contexts: CreateContext | None = when(field("contexts_offset"), at(field("contexts_offset"), sized(field("contexts_size")), align=8))
        filler: Bytes | None = when(field("next"), pad(8, to=field("next")))
        following: SMB2 | None = when(field("next"))

    class CreateReply(SMB2, when={"sort": 105}):
        """Response (2.2.14)."""

        command, flags = 5, 1
        next = auto(NEXT)
        reply_size: U16le = const(89)
        oplock: U8 = 0
        create_flags: U8 = 0
        action: U32le = 1
        created: FileTime = raw(0)
        read: FileTime = raw(0)
        written: FileTime = raw(0)
        changed: FileTime = raw(0)
        room: U64le = 0
        length: U64le = 0
        attributes: U32le = 0
        reserved: U32le = 0
        file: Annotated[bytes, fixed_bytes(16)] = bytes(16)
        contexts_offset: U32le = auto(choose(has("contexts"), offset_of("contexts"), 0))
        contexts_size: U32le = auto(size_of("contexts"))
        contexts: CreateContext | None = when(field("contexts_offset"), at(field("contexts_offset"), sized(field("contexts_size")), align=8))
        filler: Bytes | None = when(field("next"), pad(8, to=field("next")))
        following: SMB2 | None = when(field("next"))

    class Read(SMB2, when={"sort": 8}):
        command = 8
        next = auto(NEXT)
        read_size: U16le = const(49)
        padding: U8 = 0
        read_flags: U8 = 0
        length: U32le = 0
        offset: U64le = 0
        file: Annotated[bytes, fixed_bytes(16)] = bytes(16)
        least: U32le = 0
        channel: U32le = 0
        remaining: U32le = 0
        info_offset: U16le = 0
        info_size: U16le = 0
        spare: U8 = 0
        filler: Bytes | None = when(field("next"), pad(8, to=field("next")))
        following: SMB2 | None = when(field("next"))

    class ReadReply(SMB2, when={"sort": 108}):
        command, flags = 8, 1
        next = auto(NEXT)
        reply_size: U16le = const(17)
        data_offset: U8 = auto(offset_of("data"))
        reserved: U8 = 0
        data_size: U32le = auto(size_of("data"))
        remaining: U32le = 0
        reserved2: U32le = 0
        data: Bytes = at(field("data_offset"), sized(field("data_size"), b""))
        filler: Bytes | None = when(field("next"), pad(8, to=field("next")))
        following: SMB2 | None = when(field("next"))

    class Write(SMB2, when={"sort": 9}):
        command = 9
        next = auto(NEXT)
        write_size: U16le = const(49)
        data_offset: U16le = auto(offset_of("data"))
        data_size: U32le = auto(size_of("data"))
        offset: U64le = 0
        file: Annotated[bytes, fixed_bytes(16)] = bytes(16)
        channel: U32le = 0
        remaining: U32le = 0
        info_offset: U16le = 0
        info_size: U16le = 0
        write_flags: U32le = 0
        data: Bytes = at(field("data_offset"), sized(field("data_size"), b""))
        filler: Bytes | None = when(field("next"), pad(8, to=field("next")))
        following: SMB2 | None = when(field("next"))

    class QueryInfo(SMB2, when={"sort": 16}):
        command = 16
        next = auto(NEXT)
        query_size: U16le = const(41)
        type: U8 = 1
        kind: U8 = 18
        most: U32le = 4096
        input_offset: U16le = 0
        reserved: U16le = 0
        input_size: U32le = 0
        additional: U32le = 0
        query_flags: U32le = 0
        file: Annotated[bytes, fixed_bytes(16)] = bytes(16)
        input: Bytes = at(field("input_offset"), sized(field("input_size"), b""))
        filler: Bytes | None = when(field("next"), pad(8, to=field("next")))
        following: SMB2 | None = when(field("next"))

    class List(SMB2, when={"sort": 14}):
        """QUERY_DIRECTORY."""

        command = 14
        next = auto(NEXT)
        list_size: U16le = const(33)
        kind: U8 = 37
        list_flags: U8 = 0
        index: U32le = 0
        file: Annotated[bytes, fixed_bytes(16)] = bytes(16)
        pattern_offset: U16le = auto(offset_of("pattern"))
        pattern_size: U16le = auto(size_of("pattern"))
        most: U32le = 65536
        pattern: Annotated[str, text("utf-16-le")] = at(field("pattern_offset"), sized(field("pattern_size"), "*"))
        filler: Bytes | None = when(field("next"), pad(8, to=field("next")))
        following: SMB2 | None = when(field("next"))

    class Found(SMB2, when={"sort": (116, 114)}):
        """What was asked for, of either kind."""

        command, flags = 16, 1
        next = auto(NEXT)
        found_size: U16le = const(9)
        data_offset: U16le = auto(offset_of("data"))
        data_size: U32le = auto(size_of("data"))
        data: Bytes = at(field("data_offset"), sized(field("data_size"), b""))
        filler: Bytes | None = when(field("next"), pad(8, to=field("next")))
        following: SMB2 | None = when(field("next"))

    class Entry(Header):
        """FileIdBothDirectoryInformation ([MS-FSCC] 2.4.17); the next one lies at an offset from this one, which follows, if there are `more`."""

        next: U32le = auto(choose(field("more"), (offset_of("filler") + 7) // 8 * 8, 0))
        more: int = computed(field("next") != 0)
        index: U32le = 0
        created: FileTime = raw(0)
        read: FileTime = raw(0)
        written: FileTime = raw(0)
        changed: FileTime = raw(0)
        length: U64le = 0
        room: U64le = 0
        attributes: U32le = 0x20
        name_size: U32le = auto(size_of("name"))
        extended: U32le = 0
        short_size: U8 = 0
        reserved: U8 = 0
        short: Annotated[str, text("utf-16-le", size=24, pad=b"\0\0")] = ""
        reserved2: U16le = 0
        id: U64le = 0
        name: Annotated[str, text("utf-16-le")] = ""
        filler: Bytes | None = when(field("next"), pad(8, to=field("next")))

    class Entries(Found, inside="data", when={"command": 14}):
        entries: tuple[Entry, ...] = many(until=field("next") == 0, value=(Entry(more=0),))

    class Refused(SMB2, when={"sort": 200}):
        """A warning or an error (2.2.2)."""

        flags, status = 1, 0xC0000022
        next = auto(NEXT)
        error_size: U16le = const(9)
        contexts: U8 = 0
        reserved: U8 = 0
        data_size: U32le = auto(size_of("data"))
        data: Bytes = b""
        filler: Bytes | None = when(field("next"), pad(8, to=field("next")))
        following: SMB2 | None = when(field("next"))

    class Another(SMB2, when=(field("sort") == 0) & (field("next") == 0)):
        """Of any other command, alone or the last."""

        body: Rest = b""

    class AnotherBefore(SMB2, when=(field("sort") == 0) & (field("next") != 0)):
        """Of any other command, before another message: that begins at a multiple of 8 bytes (2.2.1.2), up to which the body goes."""

        next = auto((size_of("body") + 64 + 7) // 8 * 8)
        body: Bytes = b""
        following: SMB2 = SMB2()


CAPTURE = "smb/smb2readwrite.pcap"


def compound(packet: Packet) -> Iterator[SMB2]:
    """Yield the messages of a packet, one behind the other."""
    one = packet.get(SMB2)
    while one is not None:
        yield one
        one = getattr(one, "following", None)


def of(wanted: type[H], read: Callable[[H], object]) -> Callable[[Packet], list[object]]:
    """Return what reads a packet: the values of its messages of a class, but for None."""
    return lambda packet: [
        value for one in compound(packet) if isinstance(one, wanted) for value in listed(read(one)) if value is not None
    ]


def listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def names(header: SMB2) -> list[str]:
    if isinstance(header, Entries):
        return [one.name for one in header.entries]
    return [header.name] if isinstance(header, Create) and header.name else []


def chain(header: Create | CreateReply) -> list[CreateContext]:
    found, one = [], header.contexts
    while one is not None:
        found.append(one)
        one = one.following
    return found


def tags(header: Create | CreateReply) -> list[object]:
    return [one.name.decode() for one in chain(header)]


READINGS = {
    "smb2.cmd": of(SMB2, lambda h: h.command),
    "smb2.flags.response": of(SMB2, lambda h: h.flags & 1),
    "smb2.chain_offset": of(SMB2, lambda h: h.next),
    "smb2.msg_id": of(SMB2, lambda h: h.id),
    "smb2.nt_status": of(SMB2, lambda h: h.status if h.flags & 1 else None),
    "smb2.create.disposition": of(Create, lambda h: h.disposition),
    "smb2.filename": of(SMB2, names),
    "smb2.tag": of(SMB2, lambda h: tags(h) if isinstance(h, Create | CreateReply) else None),
    "smb2.create.chain_offset": of(SMB2, lambda h: [one.next for one in chain(h)] if isinstance(h, Create | CreateReply) else None),
    "smb2.create.action": of(CreateReply, lambda h: h.action),
    "smb2.read_length": of(Read, lambda h: h.length),
    "smb2.write_length": of(Write, lambda h: h.data_size),
    "smb2.find.pattern": of(List, lambda h: h.pattern),
}


def test_captures_are_read_like_tshark(tshark: Ask) -> None:
    packets = alike(tshark, family(CAPTURE), READINGS)
    sound(packets, NBSS, anew=False)  # what fills the gaps before names is whatever was in memory
    assert any([one.command for one in compound(p)] == [14, 14] for p in packets)


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")

    def up(place: int) -> Packet:
        return low / TCP(sport=40000 + place, dport=445, flags="ACK")

    made = [
        up(0) / NBSS() / Create(id=1, name="dir\\file.txt", contexts=CreateContext(name=b"MxAc", following=CreateContext(name=b"QFid", following=CreateContext(name=b"DHnQ", data=bytes(16))))),
        up(1) / NBSS() / Write(id=2, offset=10, data=b"hello"),
        up(2) / NBSS() / QueryInfo(id=3, following=List(id=4, pattern="*", following=QueryInfo(id=5))),
        up(3) / NBSS() / Read(id=6, length=4096),
        up(4) / NBSS() / Create(id=7, name="a", following=Write(id=8, data=b"12345678", following=Another(id=9, command=6, body=b"\x18\0" + bytes(22)))),
        up(5) / NBSS() / AnotherBefore(id=10, command=13, body=b"\4\0" + bytes(6), following=Read(id=11)),
        up(6) / NBSS() / QueryInfo(id=12, next=112, following=QueryInfo(id=13)),
        low / TCP(sport=445, dport=40007, flags="ACK") / NBSS() / CreateReply(id=14, contexts=CreateContext(name=b"MxAc", data=bytes(8))),
    ]
    packets = alike(tshark, made, READINGS)
    sound([*packets[:6], packets[7]], NBSS)  # the one between has more room before its second message than it needs
    assert packets[0][Create].name_offset == 120 and packets[0][Create].contexts_offset == 144
    assert [(one.id, one.next) for one in compound(packets[2])] == [(3, 104), (4, 104), (5, 0)]
    assert packets[2][QueryInfo].following is not None and len(packets[6][QueryInfo].filler or b"") == 8
    assert [[type(one).__name__ for one in compound(p)] for p in packets[4:6]] == [["Create", "Write", "Another"], ["AnotherBefore", "Read"]]


def test_where_the_next_entry_lies_follows() -> None:
    made = Entries(entries=(Entry(name="a", more=1), Entry(name="bcd", more=1), Entry(name="end", more=0)))
    read = dissect(bytes(made), SMB2)
    entries = read[Entries].entries
    assert not read.faults and [(one.next, one.name) for one in entries] == [(112, "a"), (112, "bcd"), (0, "end")]
    longer = dissect(bytes(read.replace({"entries.entries[0].name": "longer"})), SMB2)
    assert [(one.next, one.name) for one in longer[Entries].entries] == [(120, "longer"), (112, "bcd"), (0, "end")] and not longer.faults


def test_a_message_before_another_one_is_filled_up_to_a_multiple_of_8() -> None:
    with pytest.raises(BuildError, match="AnotherBefore.next: expected a size that comes back"):
        bytes(AnotherBefore(body=b"abc", following=Read()))
    assert AnotherBefore(body=b"abc".ljust(8), following=Read()).next == 72


def test_an_edited_compound_is_one_still(tshark: Ask) -> None:
    """What the offset of the next message is follows from what stands before it, and it is 0 where there is none."""
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=40000, dport=445, flags="ACK") / NBSS()
    packet = dissect(bytes(low / List(id=1, pattern="*", following=List(id=2, pattern="*.txt"))))
    made = [packet.replace(List, pattern="a longer pattern"), packet.replace(TCP, sport=40001).replace(List, following=None)]
    read = alike(tshark, made, READINGS)
    assert [[(one.id, one.next) for one in compound(p)] for p in read] == [[(1, 128), (2, 0)], [(1, 0)]]
    assert [p.faults for p in read] == [(), ()]


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [one for one in packets_of(CAPTURE) if NBSS in one and len(one) < 400][:12]
    cut(read, NBSS, 5)
    spoilt(read, NBSS, 8)
