"""Headers as fields, lists, refinements, choices, recursion, streams, and values from elsewhere (M1, M2, M4)."""

from __future__ import annotations

from typing import Self

from packetlab import (
    TCP,
    U1,
    U4,
    U7,
    U8,
    U16,
    U32,
    Bytes,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    Text,
    auto,
    before,
    choose,
    computed,
    count_of,
    default,
    ended,
    field,
    has,
    many,
    size_of,
    when,
)
from tests.declare.every_output.sample import Sample


class RowEndpoint(Header):
    host: IPv4Address = default("0.0.0.0")
    port: U16 = 0


class RowNested(Header, under=Ether, when={"type": 0x7C01}):
    sender: RowEndpoint
    more: U8 = auto(has("other"))
    other: RowEndpoint | None = when(field("more") == 1)


class RowNumbers(Header, under=Ether, when={"type": 0x7C02}):
    hops: U8 = auto(count_of("route"))
    size: U8 = auto(size_of("ports"))
    route: tuple[IPv4Address, ...] = many()
    ports: tuple[U16, ...] = many()
    end: U8 = 7


class RowEntry(Header):
    kind: U8 = 0
    size: U8 = auto(size_of("data"))
    data: Bytes = b""


class RowEntries(Header, under=Ether, when={"type": 0x7C03}):
    count: U8 = auto(count_of("entries"))
    entries: tuple[RowEntry, ...] = many()
    end: U8 = 7


class RowOption(Header):
    kind: U8 = 0
    length: U8 = auto(size_of("self"))
    data: Bytes = b""


class RowMost(RowOption, inside="data", when={"kind": 2}):
    value: U16


class RowRefined(Header, under=Ether, when={"type": 0x7C04}):
    size: U8 = auto(size_of("options"))
    options: tuple[RowOption, ...] = many()
    end: U8 = 7


class RowProperty(Header):
    id: U8 = 0


class RowExpiry(RowProperty, when={"id": 2}):
    seconds: U32


class RowTopic(RowProperty, when={"id": 3}):
    length: U8 = auto(size_of("name"))
    name: Bytes = b""


class RowChoices(Header, under=Ether, when={"type": 0x7C05}):
    count: U8 = auto(count_of("properties"))
    properties: tuple[RowProperty, ...] = many()
    end: U8 = 7


class RowFolder(Header):
    name: U8
    count: U8 = auto(count_of("folders"))
    folders: tuple[Self, ...] = many()


class RowTree(Header, under=Ether, when={"type": 0x7C06}):
    root: RowFolder
    end: U8 = 7


class RowMessage(Header, under=TCP, when={"dport": 7061}, stream=True):
    kind: U8 = 1
    length: U8 = auto(size_of("text"))
    text: Bytes = b""


class RowCarrier(Header, under=Ether, when={"type": 0x7C07}):
    qos: U8 = 0
    kind: U8 = 3


class RowOuter(Header, under=RowCarrier, when={"kind": 3}):
    identifier: U16 | None = when(field("RowCarrier.qos") > 0, 7)
    exact: U8 = 1


class RowSpoken(Header):
    value: U8 = 0
    more: U8 | None = when(field("^.verb") == "PUT", 5)
    less: U8 | None = when(field("RowSpeaking.verb") != "PUT", 6)


class RowSpeaking(Header, under=Ether, when={"type": 0x7CF0}):
    count: U8 = auto(count_of("items"))
    verb: Text = ended(b" ", "GET")
    items: tuple[RowSpoken, ...] = many(count=field("count"))


class RowSample(Header):
    value: U8 = 0
    error: U8 | None = when(field("^.exact") == 1, 0)


class RowHolder(Header, under=Ether, when={"type": 0x7C08}):
    exact: U8 = 1
    count: U8 = auto(count_of("samples"))
    samples: tuple[RowSample, ...] = many()


class RowDelta(Header):
    delta: U8 = 0
    size: U8 = auto(size_of("value"))
    number: int = computed(before("number") + field("delta"))
    value: Bytes = b""


class RowDeltas(Header, under=Ether, when={"type": 0x7C09}):
    count: U8 = auto(count_of("deltas"))
    deltas: tuple[RowDelta, ...] = many()


class RowComputed(Header, under=Ether, when={"type": 0x7C0A}):
    nibble: U4 = auto(choose(field("step") < 13, field("step"), 13))
    rest: U4 = 0
    more: U8 | None = when(field("nibble") == 13, auto(field("step") - 13))
    step: int = computed(choose(field("nibble") < 13, field("nibble"), field("more") + 13))


class RowLabelled(Header, under=Ether, when={"type": 0x7C0B}, label="{name}, block {block:#x}"):
    block: U16 = 0
    size: U8 = auto(size_of("name"))
    name: Text = ""


class RowLast(Header, under=Ether, when={"type": 0x7C0C}, last=True):
    present: U1 = auto(has("window"))
    version: U7 = 1
    window: U16 | None = when(field("present") == 1)


class RowExact(Header, under=Ether, when={"type": 0x7DF2}, exact=True):
    present: U1 = auto(has("window"))
    version: U7 = 1
    window: U16 | None = when(field("present") == 1)


class RowPort(Header, under=TCP, port=7062):
    number: U16 = 5
    size: U8 = auto(size_of("text"))
    text: Bytes = b""


class RowEndItem(Header):
    kind: U8 = 1
    number: U16 | None = when(field("kind") != 0, 7)


class RowEnding(Header, under=Ether, when={"type": 0x7C0E}):
    items: tuple[RowEndItem, ...] = many(until=field("kind") == 0, end=RowEndItem(kind=0))
    after: U8 = 7


class RowVerb(Header, under=Ether, when={"type": 0x7C0D}):
    verb: Text = ended(b" ", "GET")


class RowPut(Header, under=RowVerb, when={"verb": "PUT"}):
    number: U8 = 5
    more: U16 = 0


def over_verb(header: Header):  # noqa: ANN201
    return Ether() / RowVerb() / header


def over_tcp(header: Header):  # noqa: ANN201
    return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=60000, seq=1, flags="ACK") / header


ROWS = [
    Sample("M1", "a header as a field", RowNested, [
        RowNested(sender=RowEndpoint(host="10.0.0.1", port=9)), RowNested(sender=RowEndpoint(port=3), other=RowEndpoint(port=8)),
    ], [("0a0000010009 01 0a00", "other"), ("0a0000", "sender")]),
    Sample("M1", "a list of addresses or numbers", RowNumbers, [RowNumbers(route=["10.0.0.1"], ports=[80, 443]), RowNumbers(ports=[7], end=1)], [
        ("01 03 0a000001 005001 07", "ports"), ("02 00 0a000001", "route"),
    ]),
    Sample("M1", "a list of headers", RowEntries, [RowEntries(entries=[RowEntry(kind=1, data=b"ab"), RowEntry(kind=2)]), RowEntries(end=1)], [
        ("01 01 09 61", "entries"), ("03 0100 0200", "entries"),
    ]),
    Sample("M1", "a refinement, inside=", RowRefined, [
        RowRefined(options=[RowMost(value=1460), RowOption(kind=9, data=b"x")]), RowRefined(options=[RowMost(value=5)], end=1),
    ], [("03 02 03 05 07", "options"), ("04 09 09 05 07 07", "options")]),
    Sample("M1", "a choice on the way", RowChoices, [
        RowChoices(properties=[RowExpiry(seconds=60), RowTopic(name=b"a/b"), RowProperty(id=77)]), RowChoices(properties=[RowTopic(name=b"c")]),
    ], [("01 03 05 61", "properties"), ("01 02 0000", "properties")]),
    Sample("M1", "a header in itself", RowTree, [
        RowTree(root=RowFolder(name=1, folders=[RowFolder(name=2), RowFolder(name=3)])), RowTree(root=RowFolder(name=9), end=1),
    ], [("01 02 02 00 07", "root"), ("01 01 02 09 07", "root")]),
    Sample("M2", "messages in a stream", RowMessage, [RowMessage(text=b"hello"), RowMessage(kind=2)], [], over_tcp),
    Sample("M4", "a value of an outer header", RowOuter, [RowOuter(identifier=9), RowOuter(exact=0, identifier=5)], [("00", "identifier")],
           lambda header: Ether() / RowCarrier(qos=1) / header),
    Sample("M4", "a value of what surrounds", RowHolder, [
        RowHolder(exact=1, samples=[RowSample(value=5, error=2), RowSample(value=6)]), RowHolder(exact=0, samples=[RowSample(value=9)]),
    ], [("01 02 0500 06", "samples")]),
    Sample("M4", "the item before", RowDeltas, [
        RowDeltas(deltas=[RowDelta(number=11, value=b"a"), RowDelta(number=60)]), RowDeltas(deltas=[RowDelta(number=3)]),
    ], [("02 0b00", "deltas"), ("01 0b05 61", "deltas")]),
    Sample("M4", "a computed value", RowComputed, [RowComputed(step=5), RowComputed(step=200, rest=1)], [("d0", "more")]),
    Sample("M1", "a list whose last item is put there", RowEnding, [RowEnding(items=[RowEndItem(number=5)]), RowEnding(items=[], after=1)], [("01 0005 01", "items"), ("00", "after")]),
    Sample("also", "label=", RowLabelled, [RowLabelled(name="boot.img", block=17), RowLabelled(name="x")], [("0001 05 61", "name")]),
    Sample("also", "last=True", RowLast, [RowLast(), RowLast(window=512)], [("81 02", "window")]),
    Sample("also", "exact=True", RowExact, [RowExact(), RowExact(window=512)], [("81 02", "window"), ("01 02", ""), ("81 02 03 04 05", "")]),
    Sample("also", "port=", RowPort, [RowPort(text=b"ab"), RowPort(number=9)], [("0001 09 61 62", "text")], over_tcp),
    Sample("also", "a text that says what follows", RowPut, [RowPut(number=1), RowPut(more=300)], [("05 01", "more")], over_verb),
    Sample("also", "a text of what surrounds", RowSpeaking, [
        RowSpeaking(verb="put", items=[RowSpoken(value=1, more=9)]), RowSpeaking(verb="GET", items=[RowSpoken(value=3), RowSpoken(value=4, less=8)]),
    ], [("01 50555420 01", "items")]),
]  # fmt: skip
