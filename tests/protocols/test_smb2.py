"""SMB2 ([MS-SMB2]) over TCP: compounds whose next message lies at an offset, names and data at offsets of their own."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import Annotated

from packetlab import (
    TCP,
    U8,
    U24,
    Bytes,
    Ether,
    Header,
    IPv4,
    Packet,
    U16le,
    U32le,
    U64le,
    at,
    auto,
    bind,
    const,
    field,
    fixed_bytes,
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
from tests.protocols.reading import of
from tests.protocols.scope import Scope

FileTime = Annotated[datetime, timestamp(64, epoch="1601-01-01", unit=Fraction(1, 10**7), little=True)]

with (scope := Scope()):

    class NBSS(Header, under=TCP, port=445, stream=True):
        type: U8 = const(0)
        length: U24 = auto(size_of("payload"))

    class SMB2(Header, under=NBSS):
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

    class Create(Header, under=SMB2, when=(field("command") == 5) & (field("flags") & 1 == 0), sets={"command": 5}):
        """Request (2.2.13); offsets count from the header of 64 bytes below."""

        size: U16le = const(57)
        security: U8 = 0
        oplock: U8 = 0
        impersonation: U32le = 2
        flags: U64le = 0
        reserved: U64le = 0
        access: U32le = 0x120089
        attributes: U32le = 0
        share: U32le = 7
        disposition: U32le = 1
        options: U32le = 0
        name_offset: U16le = auto(offset_of("name") + 64)
        name_size: U16le = auto(size_of("name"))
        contexts_offset: U32le = auto(offset_of("contexts") + 64)
        contexts_size: U32le = auto(size_of("contexts"))
        name: Annotated[str, text("utf-16-le")] = at(field("name_offset") - 64, sized(field("name_size"), ""))
        contexts: Bytes = at(field("contexts_offset") - 64, sized(field("contexts_size"), b""), align=8)

    class Read(Header, under=SMB2, when=(field("command") == 8) & (field("flags") & 1 == 0), sets={"command": 8}):
        size: U16le = const(49)
        padding: U8 = 0
        flags: U8 = 0
        length: U32le = 0
        offset: U64le = 0
        file: Annotated[bytes, fixed_bytes(16)] = bytes(16)
        least: U32le = 0
        channel: U32le = 0
        remaining: U32le = 0
        info_offset: U16le = 0
        info_size: U16le = 0
        spare: U8 = 0

    class ReadReply(
        Header, under=SMB2, when=(field("command") == 8) & (field("flags") & 1 == 1) & (field("status") == 0)
    ):
        size: U16le = const(17)
        data_offset: U8 = auto(offset_of("data") + 64)
        reserved: U8 = 0
        data_size: U32le = auto(size_of("data"))
        remaining: U32le = 0
        reserved2: U32le = 0
        data: Bytes = at(field("data_offset") - 64, sized(field("data_size"), b""))

    class Write(Header, under=SMB2, when=(field("command") == 9) & (field("flags") & 1 == 0), sets={"command": 9}):
        size: U16le = const(49)
        data_offset: U16le = auto(offset_of("data") + 64)
        data_size: U32le = auto(size_of("data"))
        offset: U64le = 0
        file: Annotated[bytes, fixed_bytes(16)] = bytes(16)
        channel: U32le = 0
        remaining: U32le = 0
        info_offset: U16le = 0
        info_size: U16le = 0
        flags: U32le = 0
        data: Bytes = at(field("data_offset") - 64, sized(field("data_size"), b""))

    class QueryInfo(
        Header, under=SMB2, when=(field("command") == 16) & (field("flags") & 1 == 0), sets={"command": 16}
    ):
        size: U16le = const(41)
        type: U8 = 1
        kind: U8 = 18
        most: U32le = 4096
        input_offset: U16le = 0
        reserved: U16le = 0
        input_size: U32le = 0
        additional: U32le = 0
        flags: U32le = 0
        file: Annotated[bytes, fixed_bytes(16)] = bytes(16)
        input: Bytes = at(field("input_offset") - 64, sized(field("input_size"), b""))
        filler: Bytes | None = when(field("SMB2.next"), pad(8, to=field("SMB2.next") - 64))

    class List(Header, under=SMB2, when=(field("command") == 14) & (field("flags") & 1 == 0), sets={"command": 14}):
        """QUERY_DIRECTORY."""

        size: U16le = const(33)
        kind: U8 = 37
        flags: U8 = 0
        index: U32le = 0
        file: Annotated[bytes, fixed_bytes(16)] = bytes(16)
        pattern_offset: U16le = auto(offset_of("pattern") + 64)
        pattern_size: U16le = auto(size_of("pattern"))
        most: U32le = 65536
        pattern: Annotated[str, text("utf-16-le")] = at(field("pattern_offset") - 64, sized(field("pattern_size"), "*"))
        filler: Bytes | None = when(field("SMB2.next"), pad(8, to=field("SMB2.next") - 64))

    class Found(
        Header,
        under=SMB2,
        when=((field("command") == 14) | (field("command") == 16)) & (field("flags") & 1 == 1) & (field("status") == 0),
    ):
        """What was asked for, of either kind."""

        size: U16le = const(9)
        data_offset: U16le = auto(offset_of("data") + 64)
        data_size: U32le = auto(size_of("data"))
        data: Bytes = at(field("data_offset") - 64, sized(field("data_size"), b""))
        filler: Bytes | None = when(field("SMB2.next"), pad(8, to=field("SMB2.next") - 64))

    class Entry(Header):
        """FileIdBothDirectoryInformation ([MS-FSCC] 2.4.17); the next one lies at an offset from this one."""

        next: U32le = 0
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
        short: Annotated[bytes, fixed_bytes(24)] = bytes(24)
        reserved2: U16le = 0
        id: U64le = 0
        name: Annotated[str, text("utf-16-le")] = ""
        filler: Bytes | None = when(field("next"), pad(8, to=field("next")))

    class Entries(Found, inside="data", when=field("SMB2.command") == 14):
        entries: tuple[Entry, ...] = many(until=field("next") == 0, value=(Entry(),))

    class Refused(Header, under=SMB2, when=(field("flags") & 1 == 1) & (field("status") >> 30 > 1)):
        """A warning or an error (2.2.2)."""

        size: U16le = const(9)
        contexts: U8 = 0
        reserved: U8 = 0
        data_size: U32le = auto(size_of("data"))
        data: Bytes = b""
        filler: Bytes | None = when(field("SMB2.next"), pad(8, to=field("SMB2.next") - 64))

    for body in (List, QueryInfo, Found, Refused):
        bind(SMB2, under=body, when=field("SMB2.next") != 0)


CAPTURE = "smb/smb2readwrite.pcap"


def names(header: Header) -> list[str]:
    if isinstance(header, Entries):
        return [one.name for one in header.entries]
    return [header.name] if isinstance(header, Create) and header.name else []


READINGS = {
    "smb2.cmd": of(SMB2, lambda h: h.command),
    "smb2.flags.response": of(SMB2, lambda h: h.flags & 1),
    "smb2.chain_offset": of(SMB2, lambda h: h.next),
    "smb2.msg_id": of(SMB2, lambda h: h.id),
    "smb2.nt_status": of(SMB2, lambda h: h.status if h.flags & 1 else None),
    "smb2.create.disposition": of(Create, lambda h: h.disposition),
    "smb2.filename": of(Header, names),
    "smb2.read_length": of(Read, lambda h: h.length),
    "smb2.write_length": of(Write, lambda h: h.data_size),
    "smb2.find.pattern": of(List, lambda h: h.pattern),
}


def test_captures_are_read_like_tshark(tshark: Ask) -> None:
    packets = alike(tshark, family(CAPTURE), READINGS)
    sound(packets, NBSS, anew=False)  # what fills the gaps before names is whatever was in memory
    assert any([one.command for one in p.layers if isinstance(one, SMB2)] == [14, 14] for p in packets)


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")

    def up(place: int) -> Packet:
        return low / TCP(sport=40000 + place, dport=445, flags="ACK")

    made = [
        up(0) / NBSS() / SMB2(id=1) / Create(name="dir\\file.txt", contexts=bytes(24)),
        up(1) / NBSS() / SMB2(id=2) / Write(offset=10, data=b"hello"),
        up(2)
        / NBSS()
        / SMB2(id=3, next=112)
        / QueryInfo()
        / SMB2(id=4, next=104)
        / List(pattern="*")
        / SMB2(id=5)
        / QueryInfo(),
        up(3) / NBSS() / SMB2(id=6) / Read(length=4096),
    ]
    packets = alike(tshark, made, READINGS)
    sound(packets, NBSS)
    assert packets[0][Create].name_offset == 120 and packets[0][Create].contexts_offset == 144
    assert [one.id for one in packets[2].layers if isinstance(one, SMB2)] == [3, 4, 5]
    assert len(packets[2][QueryInfo].filler or b"") == 8


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [one for one in packets_of(CAPTURE) if NBSS in one and len(one) < 400][:12]
    cut(read, NBSS, 5)
    spoilt(read, NBSS, 8)
