"""A protocol as a user would write it down, with a field of each kind: what is exported to Wireshark is held against it."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Annotated

from packetlab import (
    MAC,
    S16,
    S64,
    TCP,
    U1,
    U3,
    U4,
    U8,
    U12,
    U16,
    U24,
    U28,
    U32,
    U40,
    U64,
    UDP,
    Bytes,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    IPv6Address,
    Payload,
    Rest,
    S32le,
    U16le,
    U48le,
    U64le,
    XNSAddressField,
    ahead,
    auto,
    bits,
    choose,
    const,
    count_of,
    crc32,
    crc32c,
    default,
    field,
    fixed_bytes,
    has,
    internet_checksum,
    many,
    next_protocol,
    pad,
    size_of,
    sized,
    when,
    xns_checksum,
)


class Cargo(IntEnum):
    NOTHING = 0
    GRAIN = 1
    CATTLE = 200


class Lights(IntFlag):
    GREEN = 1
    RED = 2
    MAST = 8


class Depth(IntEnum):
    SHALLOW = 1
    DEEP = 1 << 40


class Tag(Header):
    """A TLV; kind 0 is one byte alone."""

    kind: U8 = 1
    length: U8 = when(field("kind") > 0, auto(size_of("value")))
    value: Bytes = when(field("kind") > 0, b"")


class Mark(Header):
    """Of fixed size."""

    at: U16 = 0
    height: S16 = -1


class Harbour(Header, under=Ether, when={"type": 0xB1B0}):
    """Each kind of field. "Quotes", \\ backslashes, ]] and a\ttab; ünïcode."""

    version: U4 = const(5)
    lights: Annotated[Lights, bits(4)] = default(Lights(0))
    cargo: Annotated[Cargo, bits(8)] = default(Cargo.NOTHING)
    length: U16 = auto(size_of("self") + size_of("payload"))
    sum: U32 = auto(crc32("self", "payload"))
    small: Annotated[int, bits(4, signed=True)] = -1
    odd: U12 = 7
    wide_a: U12 = 1
    wide_b: U28 = 2
    signed: S16 = -2
    little: U16le = 1
    little_signed: S32le = -4
    odder: U48le = 6
    five: U40 = 5
    id: U64 = 0
    id_little: U64le = 0
    deep: S64 = 0
    depth: Annotated[Depth, bits(64)] = default(Depth.SHALLOW)
    mac: MAC = default("02:00:00:00:00:01")
    v4: IPv4Address = default("10.0.0.1")
    v6: IPv6Address = default("fe80::1")
    berth: XNSAddressField = default("1H.2H.3H")
    magic: Annotated[bytes, fixed_bytes(3)] = const(b"a'\"")
    size: U8 = auto(size_of("name"))
    name: Bytes = b""
    has_key: U1 = auto(has("key"))
    has_crew: U1 = auto(has("crew"))
    left: Annotated[int, bits(6)] = 0
    key: U32 = when(field("has_key"))
    crew: U16 = when((field("has_crew") == 1) & (field("odd") < 2000))
    huge: U8 = when((field("id") >> 60) == 15, 0)
    equal: U8 = when(field("id") == field("id_little") + 1, 0)
    negative: U8 = when((field("deep") // 3) < -(1 << 40), 0)
    counted: U8 = when((field("left") > 0) + field("odd").one_of(7, 8) - (field("equal") == 0) == 1, 0)
    count: U8 = auto(count_of("marks"))
    marks: tuple[Mark, ...] = many()
    room: U8 = auto(size_of("tags"))
    tags: tuple[Tag, ...] = many()
    kind: U16 = auto(next_protocol("harbour.kind", otherwise=0))


class Boat(Header, under=Harbour, when={"kind": 1}):
    """In the number space of the user's own, with a list up to its end and alignment, and the length of itself."""

    words: U8 = auto(size_of("self") // 4)
    hull: U3 = 0
    rest: Annotated[int, bits(5)] = 0
    sum: U16 = auto(internet_checksum("self", "payload"))
    tags: tuple[Tag, ...] = many(until=field("kind") == 0, align=4)


class Barge(Header, under=Boat, when=ahead(8) == 0x7F):
    """What only a look at the payload finds, with fields after what it carries."""

    mark: U8 = 0x7F
    size: U16 = auto(size_of("payload"))
    sum: U16 = auto(xns_checksum("self", "payload", "filler"))
    payload: Payload = b""
    filler: Bytes = pad(4)
    end: U24 = 0xABCDEF


class Raft(Header, under=Boat, when=(ahead(60) >> 52) == 0xC0):
    """Long look; two size rules; a number in the space of ether types."""

    mark: U8 = 0xC0
    plank: U8 = 2
    planks: Bytes = sized(field("plank") * 2 + choose(field("plank") == 3, 1, 0), b"abcd")
    type: U16 = auto(next_protocol("ethertype", otherwise=0xFFFF))


class Pilot(Header, under=IPv4, when={"protocol": 251}):
    """Over IP, with its addresses in the checksum."""

    length: U16 = auto(size_of("self") + size_of("payload"))
    sum: U16 = auto(internet_checksum("pseudo", "self", "payload"))
    kind: Annotated[Cargo, bits(16)] = default(Cargo.GRAIN)


class Radio(Header, under=UDP, when={"dport": 5600}):
    """Over UDP."""

    channel: U16 = 1
    flag: U8 = auto(next_protocol("harbour.radio", otherwise=9))
    sum: U32 = auto(crc32c("self", "payload"))
    words: Rest = b""


class Signal(Header, under=UDP, when=(field("dport") == 5601) & (ahead(16) == 0xFEED)):
    """Over UDP, on a port and a word."""

    word: U16 = 0xFEED
    value: U8 = 0


class Horn(Header, under=UDP, when=ahead(32) == 0x484F524E):
    """Over UDP on any port, by a word."""

    word: U32 = 0x484F524E
    value: U8 = 0


class Tide(Header, under=TCP, when={"dport": 5602}):
    """Over TCP."""

    level: U16 = 0
    note: Rest = b""
