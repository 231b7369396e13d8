"""A class with `when=` of its base's fields, and no `under=`, goes on after them: whoever reads the base gets it."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, strategies as st

import packetlab as pl
from packetlab import (
    U4,
    U8,
    U16,
    U32,
    Bytes,
    DeclareError,
    Ether,
    Header,
    IPv4Address,
    MQTTInt,
    auto,
    bindings,
    const,
    count_of,
    dissect,
    field,
    many,
    size_of,
    sized,
)
from packetlab.export.bridges.dpkt_declared import dpkt_class
from packetlab.export.bridges.scapy_declared import scapy_class
from tests.careful import careful


class Property(Header):
    id: U8


class Expiry(Property, when={"id": 2}):
    seconds: U32


class Heading(Property, when={"id": 3}):
    length: U16 = auto(size_of("name"))
    name: Bytes = b""


class Subscription(Property, when={"id": 11}):
    number: MQTTInt


class HighProperty(Property, when=field("id") >= 128):
    low: U8
    high: U8 = 1


class HighestProperty(HighProperty, when={"low": 7}):
    more: U16


class Bag(Header, under=Ether, when={"type": 0x7A44}):
    size: U8 = auto(size_of("properties"))
    properties: tuple[Property, ...] = many()


class FewProperties(Header, under=Ether, when={"type": 0x7A45}):
    count: U8 = auto(count_of("properties"))
    properties: tuple[Property, ...] = many()


class Until(Header, under=Ether, when={"type": 0x7A46}):
    properties: tuple[Property, ...] = many(until=field("id") == 0)


class OneProperty(Header, under=Ether, when={"type": 0x7A47}):
    property: Property
    after: U8 = 0


class Message(Header, under=Ether, when={"type": 0x7A48}):
    type: U8
    length: U8 = auto(size_of("self") + size_of("payload"))


class MessageHello(Message, when={"type": 1}):
    greeting: U16


class MessageData(Message, when={"type": 2}):
    size: U8 = auto(size_of("data"))
    data: Bytes = sized(field("size"), b"")
    mark: U8 = const(9)


class AboveHello(Header, under=MessageHello, when={"greeting": 5}):
    seen: U8


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


properties = st.one_of(
    st.builds(Expiry, seconds=st.integers(0, 2**32 - 1)),
    st.builds(Heading, name=st.binary(max_size=5)),
    st.builds(Subscription, number=st.integers(0, 268435455)),
    st.builds(HighProperty, id=st.integers(128, 255), low=st.integers(8, 255)),
    st.builds(HighestProperty, id=st.integers(128, 255), more=st.integers(0, 65535)),
    st.builds(Property, id=st.integers(20, 100)),
)


@given(st.sampled_from([Bag, FewProperties, Until]), st.lists(properties, max_size=4))
def test_what_is_built_reads_back(header: Any, some: list[Property]) -> None:
    some = [*some, Property(id=0)] if header is Until else some
    packet = Ether() / header(properties=some)
    read = dissect(bytes(packet))
    assert read == packet
    assert not read.faults
    assert [*map(type, read[header].properties)] == [*map(type, some)]
    assert careful(header, bytes(packet)[14:])[0] == read[header]


@given(properties)
def test_one_in_a_field(one: Property) -> None:
    read = dissect(bytes(Ether() / OneProperty(property=one)))
    assert read[OneProperty].property == one
    assert type(read[OneProperty].property) is type(one)


@given(st.sampled_from([Bag, FewProperties, Until, OneProperty, Property, Message]), st.binary(max_size=30))
def test_any_bytes_come_back_and_both_readers_agree(header: Any, data: bytes) -> None:
    packet = dissect(data, header)
    assert bytes(packet) == data
    read, faults = careful(header, data)
    assert read == packet.layers[0]
    assert type(read) is type(packet.layers[0])
    assert {*faults} <= {*packet.faults}
    repr(packet), packet.show()


def test_layers() -> None:
    packet = Ether() / MessageHello(greeting=5) / AboveHello(seen=3)
    for _ in range(40):  # more often than a function of their own is worth
        read = dissect(bytes(packet))
        assert type(read[Message]) is MessageHello
        assert read[MessageHello].greeting == 5
        assert read[AboveHello].seen == 3
        other = dissect(bytes(Ether() / Message(type=77) / b"xyz"))
        assert type(other[Message]) is Message
        assert other.payload == b"xyz"
        assert MessageHello not in other
        assert type(dissect(bytes(Ether() / MessageData(data=b"abc")))[Message]) is MessageData
    assert bytes(packet)[12:] == bytes.fromhex("7a48 01 05 0005 03")
    assert [Message in packet, Message in read] == [True, True]


def test_its_own_condition_and_fields_are_looked_at() -> None:
    packet = dissect(bytes((5, 0, 0, 0, 1)), Expiry)
    assert [(f.layer, f.field, f.expected, f.got) for f in packet.faults] == [("Expiry", "id", "id == 2", "id = 5")]
    short = dissect(bytes((2, 0, 0)), Property)
    assert [(f.layer, f.field, f.offset) for f in short.faults] == [("Expiry", "seconds", 1)]
    inside = dissect(bytes((5, 2, 0, 0)), Bag)
    assert [(f.layer, f.field) for f in inside.faults][-1] == ("Bag", "properties")


def test_the_number_need_not_be_given() -> None:
    assert Expiry(seconds=1).id == 2
    assert bytes(Expiry(seconds=1)) == bytes((2, 0, 0, 0, 1))
    assert Expiry(seconds=1).replace(seconds=5) == Expiry(seconds=5)
    assert repr(Expiry(seconds=1)) == "Expiry(seconds=1)"
    assert Expiry(seconds=1) != Property(id=2)
    assert Expiry(seconds=1).matches(Expiry(seconds=1))


def test_scopes_and_what_is_refused() -> None:
    data = bytes((1, 40, 7))
    with bindings():

        class Forty(Property, when={"id": 40}):
            pass

        assert type(dissect(data, FewProperties)[FewProperties].properties[0]) is Forty
    assert type(dissect(data, FewProperties)[FewProperties].properties[0]) is Property
    with pytest.raises(DeclareError, match=r"Again, when=: expected a condition apart from that of .*Expiry"):

        class Again(Property, when={"id": (1, 2)}):
            pass

    with pytest.raises(DeclareError, match=r"Alone: expected under= with when=, or a base with fields"):

        class Alone(Header, when={"id": 2}):
            pass

    with pytest.raises(DeclareError, match=r"Later, when=: expected a field of Property, got own"):

        class Later(Property, when={"own": 2}):
            own: U8


def test_a_field_of_the_base_follows_from_what_a_choice_has() -> None:
    with bindings():

        class Report(Header):
            count: U4 = 0
            kind: U4 = 0
            words: U8 = auto(size_of("self") // 2 - 1)

        class Loss(Report, when={"kind": 1}):
            count = auto(count_of("sources"))
            sources: tuple[U16, ...] = many()

        class Bye(Report, when={"kind": 2}):
            count = 3
            text: Bytes = b""

        data = bytes(Loss(sources=(5, 6)))
        assert data == b"\x21\x02\0\5\0\6"
        read = dissect(data + b"more", Report)
        assert read[Loss].sources == (5, 6)
        assert read.payload == b"more"
        assert bytes(read.replace(Loss, sources=(1, 2, 3)))[:2] == b"\x31\x03"
        assert bytes(Loss(count=2, sources=(5, 6))) == data
        assert [bytes(Report(count=9)), bytes(Bye(text=b"ab"))] == [b"\x90\0", b"\x32\1ab"]
        assert "rule: count_of(sources)" in str(read.why(Loss, "count"))
        for broken in (data[:1], data[:3], data[:5], b"\x21\x01\0\5\0\6", b"\xf1\x02\0\5\0\6"):
            assert dissect(broken, Report).faults == tuple(careful(Report, broken)[1]) != ()
        with pytest.raises(DeclareError, match=r"Other.words: expected a name that is free"):

            class Other(Report, when={"kind": 3}):
                words = auto(size_of("self"))


def test_columns_and_filters_of_layers() -> None:
    packets: list[Any] = [Ether() / MessageHello(greeting=5) / AboveHello(seen=3), Ether() / Message(type=77) / b"xyz", Ether() / MessageData(data=b"abc")]
    capture = pl.Capture.of([pl.Frame(bytes(packet)) for packet in packets])
    head = capture.table("message.type", "messagehello.greeting", "messagedata.data", "abovehello.seen").head(3)
    assert head["message.type"].tolist() == [1, 77, 2]
    assert head["messagehello.greeting"].tolist() == [5, 0, 0]
    assert head["messagedata.data"].tolist() == [b"", b"", b"abc"]
    assert head["abovehello.seen"].tolist() == [3, 0, 0]
    for question, count in [("message", 3), ("messagehello", 1), ("message.type == 2", 1), ("abovehello.seen == 3", 1), (MessageHello(greeting=5), 1)]:
        assert capture.where(question).count() == count


@pytest.mark.parametrize("make", [scapy_class, dpkt_class])
def test_classes_of_others_read_the_one_that_stands_there(make: Any) -> None:
    for header in (MessageHello(greeting=5), MessageData(data=b"abc"), Message(type=77)):
        there = make(Message)(bytes(header))
        assert (type(there).__name__, bytes(there)) == (type(header).__name__, bytes(header))
    (there,) = make(Bag)(bytes(Bag(properties=[Expiry(seconds=5)]))).properties
    assert type(there).__name__ == "Expiry" and there.seconds == 5


def test_addresses_in_what_refines_an_item_are_rewritten() -> None:
    class Who(Property, when={"id": 9}):
        address: IPv4Address

    capture = pl.Capture.of([pl.Frame(bytes(Ether() / Bag(properties=[Who(address="1.2.3.4")])))])
    (frame,) = new = capture.rewrite(ip={"1.2.3.4": "5.6.7.8"})
    assert (bytes(frame), dict(new.left)) == (bytes(Ether() / Bag(properties=[Who(address="5.6.7.8")])), {})
    others = pl.Capture.of([pl.Frame(bytes(Ether() / pl.IPv4(src="1.2.3.4") / pl.UDP()))])
    (frame,) = others.rewrite(ip={"1.2.3.4": "5.6.7.8"})
    assert str(dissect(bytes(frame))[pl.IPv4].src) == "5.6.7.8"
