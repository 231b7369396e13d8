"""Padding and offsets counted from a header around, from the packet, or from a field."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    U4,
    U8,
    U16,
    U32,
    UDP,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4,
    Payload,
    Writer,
    at,
    auto,
    bindings,
    count_of,
    declare_from,
    dissect,
    field,
    many,
    offset_of,
    pad,
    size_of,
    sized,
    strategies,
    when,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.schema.dump import described
from packetlab.schema.source import class_body
from tests.conftest import amount


class Entry(Header):
    """An attribute that ends on a multiple of four bytes of the whole message."""

    kind: U8 = 1
    size: U8 = auto(size_of("value"))
    value: Bytes = b""
    filler: Bytes = pad(4, since="Message")


class Pointing(Entry, inside="value", when={"kind": 2}):
    """... that holds bytes padded, and pointed to, from the message's start."""

    where: U8 = auto(offset_of("blob", since="Message"))
    count: U8 = auto(size_of("blob"))
    blob: Bytes = at(field("where"), sized(field("count"), b""), align=8, since="Message")


class Message(Header):
    magic: U8 = 7
    total: U8 = auto(count_of("entries"))
    extra: U8 = auto(size_of("note"))
    note: Bytes = b""
    entries: tuple[Entry, ...] = many(count=field("total"))


class FromField(Header):
    size: U8 = auto(size_of("text"))
    flag: U8 = 0
    begin: U16 = 0
    text: Bytes = b""
    filler: Bytes = pad(8, since="begin")
    more: Bytes | None = when(field("flag"), pad(4, since="text"))
    last: U8 = 9


class InPacket(Header):
    where: U16 = auto(offset_of("value", since="packet"))
    size: U8 = auto(size_of("value"))
    own: U16 = auto(offset_of("self", since="UDP"))
    value: Bytes = at(field("where"), sized(field("size"), b""), align=4, since="packet")
    body: Payload


def message(note: bytes = b"") -> Message:
    return Message(note=note, entries=[Entry(value=b"a"), Pointing(kind=2, blob=b"xyz"), Entry(value=b"bcdef")])


def test_items_are_padded_from_the_start_of_the_message() -> None:
    data = bytes(message())
    assert data == bytes.fromhex("070300 01 01 61 0000 02 09 10 03 00000000 78797a 00 01 05 6263646566 00")
    packet = dissect(data, Message)
    assert packet == message() / b"" and packet.faults == ()
    pointing = packet[Message].entries[1]
    assert isinstance(pointing, Pointing) and (pointing.where, pointing.blob) == (16, b"xyz")
    again = pickle.loads(pickle.dumps(packet[Message]))
    assert again == packet[Message] and bytes(again) == data and eval(repr(again)) == again


@pytest.mark.parametrize("size", range(9))
def test_what_stands_before_moves_them(size: int) -> None:
    """In a packet that was read, too."""
    made = bytes(message(bytes(size)))
    packet = dissect(bytes(message()), Message).replace(Message, note=bytes(size))
    assert bytes(packet) == made
    again = dissect(made, Message)
    assert again.faults == () and again == message(bytes(size)) / b""
    assert made[again[Message].entries[1].where :][:3] == b"xyz"  # type: ignore[attr-defined]
    below = Ether() / IPv4() / UDP() / message(bytes(size))
    assert bytes(below)[42:] == made


def test_a_header_by_itself_counts_from_its_own_start() -> None:
    assert bytes(Entry(value=b"abc")) == b"\1\3abc\0\0\0"
    taken = dissect(bytes(message()), Message)[Message].entries[0]
    assert bytes(taken) == b"\1\1a\0\0"  # as it was there


def test_padding_since_a_field() -> None:
    made = FromField(text=b"abc", flag=1)
    assert bytes(made) == b"\3\1\0\0abc" + bytes(3) + bytes(2) + b"\t"
    packet = dissect(bytes(made) + b"up", FromField)
    assert packet == made / b"up" and packet.faults == ()
    assert bytes(packet.replace(FromField, text=b"abcdefg")) == bytes(FromField(text=b"abcdefg", flag=1)) + b"up"


def test_offsets_from_the_start_of_the_packet() -> None:
    with bindings():
        pl.bind(InPacket, under=UDP, when={"dport": 0x7A61})
        made = Ether() / IPv4() / UDP(dport=0x7A61) / InPacket(value=b"hey") / b"up"
        data = bytes(made)
        packet = dissect(data)
        assert packet == made and packet.faults == ()
        found = packet[InPacket]
        assert (found.where, found.own) == (48, 8) and data[48:51] == b"hey"
        longer = packet.replace(IPv4, options=b"\1\1\1\1")
        assert dissect(bytes(longer))[InPacket].where == 52 and bytes(longer)[52:55] == b"hey"
        assert "offset_of(self, since=packet) = 42" in made.why(InPacket, "where")
        assert "offset_of(self, since=UDP) = 8" in packet.why(InPacket, "own")


@given(st.binary(max_size=60))
@settings(max_examples=amount(200, 2000), deadline=None)
def test_any_bytes_come_back_and_both_readers_agree(data: bytes) -> None:
    low = bytes(byte & 15 for byte in data)
    for header in (Message, FromField, InPacket):
        for some in (data, low, b"\7\2\1\0" + low, b"\7\1\0\2" + low):
            packet = dissect(some, header)
            careful = Dissection()
            read, start, end, _ = walk(header._declaration, some, 0, len(some), careful)
            assert bytes(packet) == some
            assert (packet.layers[0], packet.payload, packet.faults) == (read, some[start:end], tuple(careful.faults))


@given(header=st.one_of(*map(strategies.headers, (Message, FromField, InPacket))), body=st.binary(max_size=5))
@settings(max_examples=amount(80, 800), deadline=None)
def test_what_is_built_reads_back(header: Any, body: bytes) -> None:
    packet = header / body
    again = dissect(bytes(packet), type(header))
    assert again == packet and again.faults == ()
    assert bytes(again.replace(type(header))) == bytes(packet)


@given(
    multiples=st.lists(st.integers(1, 9), min_size=1, max_size=3), values=st.lists(st.binary(max_size=9), max_size=4),
    before=st.binary(max_size=6), since=st.sampled_from(["Drawn", "packet", "self", "size"]),
)  # fmt: skip
@settings(max_examples=amount(40, 400), deadline=None)
def test_drawn_declarations(multiples: list[int], values: list[bytes], before: bytes, since: str) -> None:
    with bindings():
        fields: dict[str, Any] = {"size": (U8, auto(size_of("value"))), "value": (Bytes, b"")}
        for n, multiple in enumerate(multiples):
            fields |= {f"p{n}": (Bytes, pad(multiple, since=since)), f"n{n}": (U8, n)}
        item = declared("DrawnItem", fields)
        made = declared("Drawn", {
            "size": (U8, auto(size_of("before"))), "before": (Bytes, b""), "count": (U8, auto(count_of("items"))),
            "items": (tuple[item, ...], many(count=field("count"))),
        })  # fmt: skip
        packet = made(before=before, items=[item(value=value) for value in values]) / b"up"
        data = bytes(packet)
        again = dissect(data, made)
        assert again == packet and again.faults == () and again.payload == b"up"
        place = 2 + len(before)
        for value in values:
            origin = {"self": place, "size": place}.get(since, 0)
            place += 1 + len(value)
            for n, multiple in enumerate(multiples):
                place += -(place - origin) % multiple
                assert data[place] == n
                place += 1


def declared(name: str, fields: dict[str, tuple[Any, Any]]) -> Any:
    body: dict[str, Any] = {key: value for key, (_, value) in fields.items() if value is not None}
    body["__annotations__"] = {key: kind for key, (kind, _) in fields.items()}
    return type(Header)(name, (Header,), {**body, "__module__": __name__, "__qualname__": name})


@pytest.mark.parametrize(
    "header",
    [message(b"note"), FromField(text=b"abc", flag=1), InPacket(value=b"v")],
    ids=lambda one: type(one).__name__,
)
def test_what_is_expected_of_malformed_packets_is_reported(header: Header) -> None:
    for case in pl.malformed(dissect(bytes(header), type(header))):
        assert (case.id, case.disagreements()) == (case.id, [])


def refused(**fields: tuple[Any, Any]) -> str:
    with bindings(), pytest.raises(DeclareError) as caught:
        bytes(declared("Wrong", fields)())
    return str(caught.value)


def test_what_makes_no_sense_is_refused() -> None:
    assert "did you mean 'size'" in refused(size=(U8, 0), a=(Bytes, pad(4, since="sizes")))
    assert "a field before it" in refused(a=(Bytes, pad(4, since="b")), b=(U8, 0))
    assert "may be absent" in refused(f=(U8, 1), a=(U8 | None, when(field("f"))), b=(Bytes, pad(4, since="a")))
    assert "on a byte" in refused(a=(U4, 0), b=(U4, 0), c=(Bytes, pad(4, since="b")))
    assert "byte boundary" in refused(a=(U4, 0), c=(Bytes, pad(4, since="packet")), b=(U4, 0))
    assert "a header for an offset" in refused(a=(U8, 0), b=(Bytes, at(field("a"), sized(field("a"), b""), since="a")))
    assert "declared" in refused(a=(U8, auto(offset_of("a", since="Nowhere"))))
    for wrong in (lambda: pad(4, since="a b"), lambda: offset_of("a", since=Message), lambda: at(1, since=3)):  # type: ignore[arg-type]
        with pytest.raises(DeclareError, match="name of a header as since="):
            wrong()


def test_descriptions_columns_filters_and_refusals(tmp_path: Path) -> None:
    said = described([Message, Pointing, FromField, InPacket])
    for one in (message(b"x"), FromField(text=b"abc"), InPacket(value=b"a")):
        with bindings():
            (again,) = [made for made in declare_from(said) if made.__name__ == type(one).__name__]
            assert repr(dissect(bytes(one), again)) == repr(dissect(bytes(one), type(one)))
    with bindings():
        found: dict[str, Any] = {name: getattr(pl, name) for name in dir(pl)} | {
            "__name__": "pasted",
            "Annotated": Annotated,
        }
        exec("\n\n\n".join(map(class_body, said)), found)
        assert described([found[one] for one in ("Message", "Pointing", "FromField", "InPacket")]) == said
    with bindings():
        pl.bind(Message, under=UDP, when={"dport": 0x7A62})
        with Writer(tmp_path / "made.pcap") as out:
            for note in (b"", b"one", b"two"):
                out.write(Ether() / IPv4() / UDP(dport=0x7A62) / message(note))
        capture = Capture(tmp_path / "made.pcap")
        assert capture.where(Message(note=b"one")).count() == 1
        assert [*capture.table("message.note")["message.note"]] == [b"", b"one", b"two"]
        assert capture.where("message.entries.pointing.where == 16").count() == 3
    with pytest.raises(BuildError, match=r"InPacket, offset_of\(self, since=UDP\): .* got UDP, which Wireshark dissects"):
        pl.wireshark(InPacket)
    assert 'since = "' in str(pl.wireshark(FromField))


def test_an_offset_counts_from_one_place_where_it_is_built_and_where_it_is_read() -> None:
    with pytest.raises(DeclareError, match=r'expected an offset since="Around", as off is built, got since="self"'):

        class Wrong(Header):
            off: U16 = auto(offset_of("x", since="Around"))
            n: U16 = auto(size_of("x"))
            x: Bytes = at(field("off"), sized(field("n"), b""))


@pytest.mark.parametrize("multiple", [0, -4, 2.0, "4", None, 70_000])
def test_a_multiple_at_an_offset_is_a_number_of_bytes(multiple) -> None:
    for wrong in (lambda: at(field("off"), align=multiple), lambda: pad(multiple, to=field("off"))):
        with pytest.raises(DeclareError, match="expected a multiple of 1 to 65536 bytes"):
            wrong()


def test_an_offset_that_does_not_follow_names_the_rule_that_does() -> None:
    with pytest.raises(DeclareError, match=r'the field that says where x lies follows it: auto\(offset_of\("x"\)\)'):

        class Plain(Header):
            off: U16 = 0
            x: U32 = at(field("off"), 0)


class CountedItem(Header):
    size: U8 = auto(size_of("value"))
    where: U8 = auto(offset_of("value", since="CountedList"))
    value: Bytes = b""
    filler: Bytes = pad(4, since="CountedList")


class CountedList(Header):
    kind: U16 = 7
    count: U8 = auto(count_of("items"))
    items: tuple[CountedItem, ...] = many()


@settings(max_examples=amount(25, 1000))
@given(st.lists(st.tuples(st.binary(max_size=6), st.booleans()), max_size=8))
def test_places_in_a_list_are_the_same_whether_items_are_built_or_were_read(values: list[tuple[bytes, bool]]) -> None:
    wanted = bytearray([0, 7, len(values)])
    for value, _ in values:
        wanted += bytes([len(value), len(wanted) + 2]) + value
        wanted += bytes(-len(wanted) % 4)
    built = CountedList(items=[CountedItem(value=value) for value, _ in values])
    assert bytes(built) == wanted
    read = dissect(bytes(wanted), CountedList)
    assert not read.faults and read.layers == (built._resolved_alone(),)
    mixed = [read[CountedList].items[n] if kept else CountedItem(value=value) for n, (value, kept) in enumerate(values)]
    assert bytes(CountedList(items=mixed)) == wanted
    assert bytes(Ether(type=0x88B5) / built)[14:] == wanted
    with pytest.raises(BuildError, match=r"CountedItem.where: expected 0..255"):
        bytes(CountedList(items=[CountedItem(value=bytes(250)), CountedItem(value=b"a")]))


def test_a_list_that_may_be_absent_has_no_items() -> None:
    with bindings():

        class Aligned(Header):
            size: U8 = auto(size_of("value"))
            value: Bytes = b""
            filler: Bytes = pad(4, since="MaybeCounted")

        class MaybeCounted(Header):
            flag: U8 = 1
            count: U8 = auto(count_of("items"))
            items: tuple[Aligned, ...] | None = pl.when(field("flag") == 1, many(count=field("count")))

        none, some, without = MaybeCounted(), MaybeCounted(items=[Aligned(value=b"a")]), MaybeCounted(flag=0)
        assert list(map(bytes, (none, some, without))) == [b"\1\0", b"\1\1\1a", b"\0\0"]
        assert [dissect(bytes(one), MaybeCounted)[MaybeCounted] for one in (none, some, without)] == [none, some, without]
