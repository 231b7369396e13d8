"""Headers as fields, lists, refinements, choices, recursion (M1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address as Address
from typing import Self

from mechanisms.line import Line
from packetlab import (
    U8,
    U16,
    U32,
    Bytes,
    Header,
    IPv4Address,
    auto,
    count_of,
    field,
    many,
    size_of,
)

# M1: a header as a field -----------------------------------------------------------------------------------------


class TimedEndpoint(Header):
    host: U32 = 0
    port: U16 = 0
    weight: U8 = 0
    metric: U8 = 0


class TimedFlow(Header):
    version: U16 = 1
    sender: TimedEndpoint
    receiver: TimedEndpoint
    proxy: TimedEndpoint
    relay: TimedEndpoint
    count: U32 = 0


@dataclass(slots=True)
class PlainEndpoint:
    host: int
    port: int
    weight: int
    metric: int


@dataclass(slots=True)
class PlainFlow:
    version: int
    sender: PlainEndpoint
    receiver: PlainEndpoint
    proxy: PlainEndpoint
    relay: PlainEndpoint
    count: int


ENDPOINT = struct.Struct("!IHBB")


def flow(data: bytes) -> PlainFlow:
    if len(data) < 38:
        raise ValueError("no whole flow")
    (version,) = struct.unpack_from("!H", data)
    ends = [PlainEndpoint(*ENDPOINT.unpack_from(data, at)) for at in (2, 10, 18, 26)]
    (count,) = struct.unpack_from("!I", data, 34)
    return PlainFlow(version, *ends, count)


def flow_built() -> bytes:
    ends = [PlainEndpoint(host=0x0A000000 + n, port=n, weight=n, metric=2) for n in range(4)]
    one = PlainFlow(1, ends[0], ends[1], ends[2], ends[3], count=9)
    parts = [struct.pack("!H", one.version)]
    for end in (one.sender, one.receiver, one.proxy, one.relay):
        parts.append(ENDPOINT.pack(end.host, end.port, end.weight, end.metric))
    parts.append(struct.pack("!I", one.count))
    return b"".join(parts)


def timed_flow() -> TimedFlow:
    ends = [TimedEndpoint(host=0x0A000000 + n, port=n, weight=n, metric=2) for n in range(4)]
    return TimedFlow(sender=ends[0], receiver=ends[1], proxy=ends[2], relay=ends[3], count=9)


# M1: a list of addresses or numbers ------------------------------------------------------------------------------


class TimedRoute(Header):
    hops: U8 = auto(count_of("route"))
    size: U8 = auto(size_of("ports"))
    route: tuple[IPv4Address, ...] = many()
    ports: tuple[U16, ...] = many()
    end: U8 = 7


@dataclass(slots=True)
class PlainRoute:
    hops: int
    size: int
    route: tuple[Address, ...]
    ports: tuple[int, ...]
    end: int


HOPS, PORTS = tuple(f"10.0.0.{n}" for n in range(8)), tuple(range(1000, 1016))


def route(data: bytes) -> PlainRoute:
    hops, size = data[0], data[1]
    after = 2 + 4 * hops
    if len(data) < after + size + 1 or size % 2:
        raise ValueError("no whole route")
    found = tuple([Address(data[at : at + 4]) for at in range(2, after, 4)])
    ports = struct.unpack_from(f"!{size // 2}H", data, after)
    return PlainRoute(hops, size, found, ports, data[after + size])


def route_built() -> bytes:
    one = PlainRoute(len(HOPS), 2 * len(PORTS), tuple(map(Address, HOPS)), PORTS, 7)
    hops = b"".join([hop.packed for hop in one.route])
    return bytes((one.hops, one.size)) + hops + struct.pack(f"!{len(one.ports)}H", *one.ports) + bytes((one.end,))


# M1: a list of headers -------------------------------------------------------------------------------------------


class TimedEntry(Header):
    kind: U8 = 0
    size: U8 = auto(size_of("data"))
    data: Bytes = b""


class TimedEntries(Header):
    count: U8 = auto(count_of("entries"))
    entries: tuple[TimedEntry, ...] = many()
    end: U8 = 7


@dataclass(slots=True)
class PlainEntry:
    kind: int
    size: int
    data: bytes


@dataclass(slots=True)
class PlainEntries:
    count: int
    entries: tuple[PlainEntry, ...]
    end: int


def entries(data: bytes) -> PlainEntries:
    count, pos, found = data[0], 1, []
    for _ in range(count):
        kind, size = struct.unpack_from("BB", data, pos)
        pos += 2 + size
        if pos > len(data):
            raise ValueError("no whole entry")
        found.append(PlainEntry(kind, size, data[pos - size : pos]))
    return PlainEntries(count, tuple(found), data[pos])


def entries_built() -> bytes:
    one = PlainEntries(16, tuple([PlainEntry(n, n, bytes(n)) for n in range(16)]), 7)
    parts = [bytes((one.count,))]
    for entry in one.entries:
        parts += [struct.pack("BB", entry.kind, entry.size), entry.data]
    return b"".join([*parts, bytes((one.end,))])


# M1: a list whose last item is put there -------------------------------------------------------------------------


class TimedEnded(Header):
    entries: tuple[TimedEntry, ...] = many(until=field("kind") == 255, end=TimedEntry(kind=255))
    end: U8 = 7


@dataclass(slots=True)
class PlainEnded:
    entries: tuple[PlainEntry, ...]
    end: int


def ended_entries(data: bytes) -> PlainEnded:
    pos, found, kind = 0, [], 0
    while kind != 255:
        kind, size = struct.unpack_from("BB", data, pos)
        pos += 2 + size
        if pos > len(data):
            raise ValueError("no whole entry")
        found.append(PlainEntry(kind, size, data[pos - size : pos]))
    return PlainEnded(tuple(found), data[pos])


def ended_entries_built() -> bytes:
    one = PlainEnded(tuple([*(PlainEntry(n, n, bytes(n)) for n in range(15)), PlainEntry(255, 0, b"")]), 7)
    parts = []
    for entry in one.entries:
        parts += [struct.pack("BB", entry.kind, entry.size), entry.data]
    return b"".join([*parts, bytes((one.end,))])


# M1: a refinement, inside= ---------------------------------------------------------------------------------------


class TimedOption(Header):
    kind: U8 = 0
    length: U8 = auto(size_of("self"))
    data: Bytes = b""


class TimedMost(TimedOption, inside="data", when={"kind": 2}):
    value: U16


class TimedStamps(TimedOption, inside="data", when={"kind": 8}):
    value: U32
    echo: U32


class TimedOptions(Header):
    size: U8 = auto(size_of("options"))
    options: tuple[TimedOption, ...] = many()
    end: U8 = 7


@dataclass(slots=True)
class PlainOption:
    kind: int
    length: int
    data: bytes


@dataclass(slots=True)
class PlainMost:
    kind: int
    length: int
    value: int


@dataclass(slots=True)
class PlainStamps:
    kind: int
    length: int
    value: int
    echo: int


@dataclass(slots=True)
class PlainOptions:
    size: int
    options: tuple[PlainOption | PlainMost | PlainStamps, ...]
    end: int


def options(data: bytes) -> PlainOptions:
    size, pos, found = data[0], 1, []
    if len(data) < size + 2:
        raise ValueError("no whole options")
    while pos < size + 1:
        kind, length = struct.unpack_from("BB", data, pos)
        if length < 2 or pos + length > size + 1:
            raise ValueError("no whole option")
        if kind == 2 and length == 4:
            found.append(PlainMost(kind, length, *struct.unpack_from("!H", data, pos + 2)))
        elif kind == 8 and length == 10:
            found.append(PlainStamps(kind, length, *struct.unpack_from("!II", data, pos + 2)))
        else:
            found.append(PlainOption(kind, length, data[pos + 2 : pos + length]))
        pos += length
    return PlainOptions(size, tuple(found), data[pos])


def options_built() -> bytes:
    made: list[PlainOption | PlainMost | PlainStamps] = []
    for n in range(4):
        made += [PlainMost(2, 4, 1400 + n), PlainStamps(8, 10, n, n + 1), PlainOption(9, 5, b"abc")]
    parts = []
    for one in made:
        if isinstance(one, PlainMost):
            parts.append(struct.pack("!BBH", one.kind, one.length, one.value))
        elif isinstance(one, PlainStamps):
            parts.append(struct.pack("!BBII", one.kind, one.length, one.value, one.echo))
        else:
            parts.append(struct.pack("BB", one.kind, one.length) + one.data)
    body = b"".join(parts)
    return bytes((len(body),)) + body + b"\7"


def timed_options() -> TimedOptions:
    made: list[TimedOption] = []
    for n in range(4):
        made += [TimedMost(value=1400 + n), TimedStamps(value=n, echo=n + 1), TimedOption(kind=9, data=b"abc")]
    return TimedOptions(options=made)


# M1: a choice on the way -----------------------------------------------------------------------------------------


class TimedProperty(Header):
    id: U8 = 0


class TimedExpiry(TimedProperty, when={"id": 2}):
    seconds: U32


class TimedTopic(TimedProperty, when={"id": 3}):
    length: U8 = auto(size_of("name"))
    name: Bytes = b""


class TimedProperties(Header):
    count: U8 = auto(count_of("properties"))
    properties: tuple[TimedProperty, ...] = many()
    end: U8 = 7


@dataclass(slots=True)
class PlainProperty:
    id: int


@dataclass(slots=True)
class PlainExpiry:
    id: int
    seconds: int


@dataclass(slots=True)
class PlainTopic:
    id: int
    length: int
    name: bytes


@dataclass(slots=True)
class PlainProperties:
    count: int
    properties: tuple[PlainProperty | PlainExpiry | PlainTopic, ...]
    end: int


def properties(data: bytes) -> PlainProperties:
    count, pos, found = data[0], 1, []
    for _ in range(count):
        kind = data[pos]
        if kind == 2:
            found.append(PlainExpiry(kind, *struct.unpack_from("!I", data, pos + 1)))
            pos += 5
        elif kind == 3:
            length = data[pos + 1]
            if pos + 2 + length > len(data):
                raise ValueError("no whole topic")
            found.append(PlainTopic(kind, length, data[pos + 2 : pos + 2 + length]))
            pos += 2 + length
        else:
            found.append(PlainProperty(kind))
            pos += 1
    return PlainProperties(count, tuple(found), data[pos])


def properties_built() -> bytes:
    made: list[PlainProperty | PlainExpiry | PlainTopic] = []
    for n in range(4):
        made += [PlainExpiry(2, n), PlainTopic(3, 3, b"a/b"), PlainProperty(77)]
    parts = [bytes((len(made),))]
    for one in made:
        if isinstance(one, PlainExpiry):
            parts.append(struct.pack("!BI", one.id, one.seconds))
        elif isinstance(one, PlainTopic):
            parts.append(struct.pack("!BB", one.id, one.length) + one.name)
        else:
            parts.append(bytes((one.id,)))
    return b"".join([*parts, b"\7"])


def timed_properties() -> TimedProperties:
    made: list[TimedProperty] = []
    for n in range(4):
        made += [TimedExpiry(seconds=n), TimedTopic(name=b"a/b"), TimedProperty(id=77)]
    return TimedProperties(properties=made)


# M1: a header in itself ------------------------------------------------------------------------------------------


class TimedFolder(Header):
    name: U8
    count: U8 = auto(count_of("folders"))
    folders: tuple[Self, ...] = many()


class TimedTree(Header):
    root: TimedFolder
    end: U8 = 7


@dataclass(slots=True)
class PlainFolder:
    name: int
    count: int
    folders: tuple[PlainFolder, ...]


@dataclass(slots=True)
class PlainTree:
    root: PlainFolder
    end: int


def folder(data: bytes, pos: int) -> tuple[PlainFolder, int]:
    name, count = data[pos], data[pos + 1]
    pos += 2
    found = []
    for _ in range(count):
        one, pos = folder(data, pos)
        found.append(one)
    return PlainFolder(name, count, tuple(found)), pos


def tree(data: bytes) -> PlainTree:
    root, pos = folder(data, 0)
    return PlainTree(root, data[pos])


def folder_packed(one: PlainFolder, parts: list[bytes]) -> None:
    parts.append(bytes((one.name, one.count)))
    for inner in one.folders:
        folder_packed(inner, parts)


def tree_built() -> bytes:
    leaves = [tuple([PlainFolder(n, 0, ()) for n in range(4)]) for _ in range(3)]
    one = PlainTree(PlainFolder(1, 3, tuple([PlainFolder(2, 4, inner) for inner in leaves])), 7)
    parts: list[bytes] = []
    folder_packed(one.root, parts)
    return b"".join([*parts, bytes((one.end,))])


def timed_tree() -> TimedTree:
    leaves = [[TimedFolder(name=n) for n in range(4)] for _ in range(3)]
    return TimedTree(root=TimedFolder(name=1, folders=[TimedFolder(name=2, folders=inner) for inner in leaves]))


LINES = [
    Line("M1", "a header as a field", TimedFlow, timed_flow, flow, flow_built),
    Line("M1", "a list of addresses or numbers", TimedRoute, lambda: TimedRoute(route=HOPS, ports=PORTS), route, route_built),
    Line("M1", "a list of headers", TimedEntries, lambda: TimedEntries(entries=[TimedEntry(kind=n, data=bytes(n)) for n in range(16)]),
         entries, entries_built),
    Line("M1", "a list whose last item is put there", TimedEnded,
         lambda: TimedEnded(entries=[TimedEntry(kind=n, data=bytes(n)) for n in range(15)]), ended_entries, ended_entries_built),
    Line("M1", "a refinement, inside=", TimedOptions, timed_options, options, options_built),
    Line("M1", "a choice on the way", TimedProperties, timed_properties, properties, properties_built),
    Line("M1", "a header in itself", TimedTree, timed_tree, tree, tree_built),
]  # fmt: skip
