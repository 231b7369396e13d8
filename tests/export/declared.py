"""Headers to try the other forms of a declaration with, and Hypothesis strategies for their values and bytes."""

from __future__ import annotations

import ipaddress
from enum import IntEnum, IntFlag
from typing import Annotated, Any, NamedTuple

from hypothesis import strategies as st

from packetlab import (
    MAC,
    S16,
    S24,
    U1,
    U3,
    U4,
    U8,
    U12,
    U16,
    U24,
    U32,
    BuildError,
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
    U24le,
    U48le,
    XNSAddressField,
    ahead,
    auto,
    bits,
    count_of,
    crc32,
    default,
    field,
    fixed_bytes,
    has,
    internet_checksum,
    many,
    pad,
    size_of,
    sized,
    when,
)
from packetlab.codec.objects import classes
from packetlab.declare import registry
from packetlab.declare.items import Items
from packetlab.declare.kinds import Address, ByteString, Int, PayloadMark
from packetlab.protocols import icmp, ip, ipx, link, transport, tunnels, websocket, xns


class Colour(IntEnum):
    RED = 1
    BLUE = 2


class Marks(IntFlag):
    FIRST = 1
    LAST = 4


class Buoy(Header, under=Ether, when={"type": 0xB0B0}):
    """Bit fields, a length, the rest."""

    version: U4 = 1
    urgency: U4 = 0
    length: U16 = auto(size_of("self"))
    station: U32
    note: Rest = b""


class Label(Header):
    """A TLV."""

    kind: U8 = 1
    length: U8 = auto(size_of("value"))
    value: Bytes = b""


class Everything(Header, under=Ether, when={"type": 0xB0B1}):
    """Each kind of field at least once, with names that scapy and dpkt keep for themselves."""

    time: U12 = 0
    small: Annotated[int, bits(4, signed=True)] = -1
    signed: S16 = -2
    wide: S24 = -3
    little: U16le = 1
    little_signed: S32le = -4
    odd: U24le = 5
    odder: U48le = 6
    colour: Annotated[Colour, bits(8)] = default(Colour.RED)
    marks: Annotated[Marks, bits(3)] = default(Marks(0))
    some: Annotated[Colour, bits(5)] = default(Colour.BLUE)
    mac: MAC = default("02:00:00:00:00:01")
    v4: IPv4Address = default("10.0.0.1")
    v6: IPv6Address = default("fe80::1")
    xns: XNSAddressField = default("1H.2H.3H")
    data: Annotated[bytes, fixed_bytes(3)] = b"abc"
    size: U8 = auto(size_of("name"))
    name: Bytes = b""
    has_key: U1 = auto(has("key"))
    has_crc: U1 = 0
    unused: Annotated[int, bits(6)] = 0
    key: U32 = when(field("has_key"))
    crc: U32 = when(field("has_crc"), auto(crc32("self", "payload")))
    count: U8 = auto(count_of("tags"))
    tags: tuple[Label, ...] = many()


class Trailing(Header, under=IPv4, when={"protocol": 250}):
    """Fields after the payload, and a checksum with the addresses of the layer below."""

    length: U16 = auto(size_of("self") + size_of("payload"))
    checksum: U16 = auto(internet_checksum("pseudo", "self", "payload", "filler"))
    payload: Payload = b""
    filler: Bytes = pad(4)
    end: U24 = 0xABCDEF


class Chosen(Header, under=Buoy, when=ahead(8) == 0x7F):
    """What only a condition on the payload finds."""

    mark: U8 = 0x7F
    number: U3 = 0
    rest: Annotated[int, bits(5)] = 0
    size: U8 = auto(size_of("body"))
    body: Bytes = sized(field("size"), b"")


MINE = [Buoy, Label, Everything, Trailing, Chosen]
OURS = [h for m in (link, ip, icmp, transport, tunnels, xns, ipx, websocket) for h in vars(m).values()
        if isinstance(h, type) and issubclass(h, Header) and h.__module__ == m.__name__]  # fmt: skip
ALL = OURS + MINE


class Values(NamedTuple):
    """The same value as three libraries take it."""

    ours: Any
    scapy: Any
    dpkt: Any


def value(kind: Any, scapy_class: Any, dpkt_class: Any, names: Any) -> st.SearchStrategy[Values]:
    """Return a strategy for values of one field."""
    if isinstance(kind, Int):
        return st.integers(kind.low, kind.high).map(lambda n: Values(n, n, n))
    if isinstance(kind, Address):

        def text(raw: bytes) -> Values:
            shown = kind.text(raw) if kind.size in (6, 12) else str(ipaddress.ip_address(raw))
            return Values(shown, shown, raw)

        return st.binary(min_size=kind.size, max_size=kind.size).map(text)
    if isinstance(kind, Items):
        one = header(classes[kind.item], scapy_class, dpkt_class, names)

        def listed(items: list[Values]) -> Values:
            return Values(
                tuple(classes[kind.item](**i.ours) for i in items),
                [scapy_class(classes[kind.item])(**i.scapy) for i in items],
                [dpkt_class(classes[kind.item])(**i.dpkt) for i in items],
            )

        return st.lists(one, max_size=3).map(listed)
    assert isinstance(kind, ByteString)
    size = {"max_size": 12} if kind.size is None else {"min_size": kind.size, "max_size": kind.size}
    return st.binary(**size).map(lambda b: Values(b, b, b))


def header(cls: type[Header], scapy_class: Any, dpkt_class: Any, names: Any) -> st.SearchStrategy[Values]:
    """Return a strategy for keyword arguments of a header, as three dicts; most fields are left out."""
    fields = [f for f in cls._fields if not isinstance(f.kind, PayloadMark)]
    there = names(cls)

    @st.composite
    def draw_values(draw: Any) -> Values:
        chosen = draw(st.sets(st.sampled_from(fields), max_size=4)) if fields else set()
        chosen |= {f for f in fields if f.name in ("station",)}
        given = Values({}, {}, {})
        for f in sorted(chosen, key=lambda f: f.name):
            one = draw(value(f.kind, scapy_class, dpkt_class, names))
            given.ours[f.name] = one.ours
            given.scapy[there[f.name][0]] = one.scapy
            given.dpkt[there[f.name][1]] = one.dpkt
        return given

    return draw_values()


def bytes_of(cls: type[Header]) -> st.SearchStrategy[bytes]:
    """Return a strategy for bytes that may begin with a header: made up, or built and then cut or changed."""

    @st.composite
    def draw_bytes(draw: Any) -> bytes:
        made = bytearray(draw(st.binary(min_size=1, max_size=120)))
        try:
            built = bytes(cls(**({"station": 1} if cls is Buoy else {})) / bytes(made))
        except BuildError:
            built = bytes(made)
        if draw(st.booleans()):
            made = bytearray(built[: draw(st.integers(1, len(built)))])
        if draw(st.booleans()):
            made[draw(st.integers(0, len(made) - 1))] = draw(st.integers(0, 255))
        return bytes(made)

    return draw_bytes()


def stacked() -> list[tuple[type[Header], type[Header]]]:
    """Return every (lower, upper) that stand on each other by number or always."""
    pairs = [(classes[lower], upper) for upper in ALL for lower, _ in registry.numeric_bindings(upper._declaration) if classes[lower] in ALL]
    return list(dict.fromkeys(pairs))
