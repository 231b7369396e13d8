"""MQTT 3.1.1 and 5 (OASIS): lengths as varints, what a header asks of the one below it, properties as choices."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from packetlab import (
    TCP,
    U1,
    U2,
    U4,
    U7,
    U8,
    U16,
    U32,
    Bytes,
    Context,
    Ether,
    Header,
    IPv4,
    MQTTInt,
    Packet,
    Rest,
    Text,
    auto,
    dissect,
    field,
    has,
    left,
    many,
    recalled,
    receiver,
    sender,
    size_of,
    when,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import H, all_of, of
from tests.protocols.scope import Scope

with (scope := Scope()):
    VERSION = recalled("mqtt.version", sender(), receiver(), default=4)

    class String(Header):
        size: U16 = auto(size_of("text"))
        text: Text = ""

    class Binary(Header):
        size: U16 = auto(size_of("data"))
        data: Bytes = b""

    class Property(Header):
        id: MQTTInt = 0

    class ByteProperty(Property, when={"id": (1, 23, 25, 36, 37, 40, 41, 42)}):
        number: U8 = 0

    class ShortProperty(Property, when={"id": (19, 33, 34, 35)}):
        number: U16 = 0

    class NumberProperty(Property, when={"id": (2, 17, 24, 39)}):
        number: U32 = 0

    class SubscriptionIdentifier(Property, when={"id": 11}):
        number: MQTTInt = 1

    class TextProperty(Property, when={"id": (3, 8, 18, 21, 26, 28, 31)}):
        value: String = String()

    class BinaryProperty(Property, when={"id": (9, 22)}):
        value: Binary = Binary()

    class UserProperty(Property, when={"id": 38}):
        name: String = String()
        value: String = String()

    class Properties(Header):
        size: MQTTInt = auto(size_of("properties"))
        properties: tuple[Property, ...] = many()

    class MQTT(Header, under=TCP, when={"port": 1883}, stream=True):
        type: U4 = 12
        duplicate: U1 = 0
        qos: U2 = 0
        retain: U1 = 0
        size: MQTTInt = auto(size_of("payload"))

    class Connect(
        Header,
        under=MQTT,
        when={"type": 1},
        remembers={
            ("mqtt.version", sender(), receiver()): field("version"),
            ("mqtt.version", receiver(), sender()): field("version"),
        },
    ):
        name: String = String(text="MQTT")
        version: U8 = 4
        has_user: U1 = auto(has("user"))
        has_password: U1 = auto(has("password"))
        will_retain: U1 = 0
        will_qos: U2 = 0
        will: U1 = auto(has("will_topic"))
        clean: U1 = 1
        reserved: U1 = 0
        keep_alive: U16 = 60
        properties: Properties | None = when(field("version") == 5, Properties())
        client: String = String()
        will_properties: Properties | None = when(field("will") & (field("version") == 5), Properties())
        will_topic: String | None = when(field("will"))
        will_message: Binary | None = when(field("will"))
        user: String | None = when(field("has_user"))
        password: Binary | None = when(field("has_password"))

    class Accepted(Header, under=MQTT, when={"type": 2}):
        reserved: U7 = 0
        session: U1 = 0
        code: U8 = 0
        properties: Properties | None = when(VERSION == 5, Properties())

    class Publish(Header, under=MQTT, when={"type": 3}):
        topic: String = String()
        id: U16 | None = when(field("MQTT.qos") > 0, 1)
        properties: Properties | None = when(VERSION == 5, Properties())
        message: Rest = b""

    class Acknowledgment(Header, under=MQTT, when={"type": (4, 5, 6, 7)}):
        """PUBACK, PUBREC, PUBREL, PUBCOMP; version 5 may say why. Only the size tells whether it does."""

        id: U16 = 1
        code: U8 | None = when(left())
        properties: Properties | None = when(left())

    class Filter(Header):
        topic: String = String()
        reserved: U2 = 0
        retaining: U2 = 0
        as_published: U1 = 0
        not_local: U1 = 0
        qos: U2 = 0

    class Subscribe(Header, under=MQTT, when={"type": 8}):
        id: U16 = 1
        properties: Properties | None = when(VERSION == 5, Properties())
        filters: tuple[Filter, ...] = many()

    class Subscribed(Header, under=MQTT, when={"type": (9, 11)}):
        """SUBACK and UNSUBACK, which has codes in version 5 alone."""

        id: U16 = 1
        properties: Properties | None = when(VERSION == 5, Properties())
        codes: tuple[U8, ...] = many()

    class Unsubscribe(Header, under=MQTT, when={"type": 10}):
        id: U16 = 1
        properties: Properties | None = when(VERSION == 5, Properties())
        topics: tuple[String, ...] = many()

    class Disconnect(Header, under=MQTT, when={"type": (14, 15)}):
        """DISCONNECT, and AUTH of version 5."""

        code: U8 | None = when(left())
        properties: Properties | None = when(left())


def each(wanted: type[H], read: Callable[[H], object]) -> Callable[[Packet], list[object]]:
    return lambda packet: [value for one in packet.messages(MQTT) for value in of(wanted, read)(one)]


WITH_PROPERTIES = (Connect, Accepted, Publish, Acknowledgment, Subscribe, Subscribed, Unsubscribe, Disconnect)


def properties(packet: Packet) -> list[Property]:
    found: list[Property] = []
    for message in packet.messages(MQTT):
        for one in message.layers:
            if isinstance(one, WITH_PROPERTIES) and one.properties:
                found += one.properties.properties
            if isinstance(one, Connect) and one.will_properties:
                found += one.will_properties.properties
    return found


READINGS = {
    "mqtt.msgtype": each(MQTT, lambda h: h.type),
    "mqtt.len": each(MQTT, lambda h: h.size),
    "mqtt.hdrflags": each(MQTT, lambda h: h.type << 4 | h.duplicate << 3 | h.qos << 1 | h.retain),
    "mqtt.ver": each(Connect, lambda h: h.version),
    "mqtt.clientid": each(Connect, lambda h: h.client.text or None),
    "mqtt.kalive": each(Connect, lambda h: h.keep_alive),
    "mqtt.username": each(Connect, lambda h: h.user and h.user.text),
    "mqtt.willtopic": each(Connect, lambda h: h.will_topic and h.will_topic.text),
    "mqtt.topic": all_of(
        each(Publish, lambda h: h.topic.text),
        each(Subscribe, lambda h: [one.topic.text for one in h.filters]),
        each(Unsubscribe, lambda h: [one.text for one in h.topics]),
    ),
    "mqtt.msg": each(Publish, lambda h: h.message or None),
    "mqtt.msgid": lambda p: [
        one.id
        for message in p.messages(MQTT)
        for one in message.layers
        if isinstance(one, Publish | Acknowledgment | Subscribe | Subscribed | Unsubscribe) and one.id is not None
    ],
    "mqtt.property_id": lambda p: [one.id for one in properties(p)],
    "mqtt.prop_number": lambda p: [
        one.number
        for one in properties(p)
        if isinstance(one, ByteProperty | ShortProperty | NumberProperty | SubscriptionIdentifier)
        and one.id not in (36, 35)
    ],
    "mqtt.prop_key": lambda p: [one.name.text for one in properties(p) if isinstance(one, UserProperty)],
}
CAPTURES = [
    "mqtt/mqtt.pcap",
    "mqtt/mqtt31-pub-qos2.pcap",
    "mqtt/mqtt5-sub-mosquittoprops.pcap",
]


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_as_tshark_reads_them(tshark: Ask, name: str) -> None:
    packets = alike(tshark, family(name), READINGS)
    sound(packets, MQTT)


@pytest.mark.parametrize("size", [0, 100, 127, 128, 16_383, 16_384, 40_000])
def test_lengths_and_identifiers_follow(size: int) -> None:
    for qos in (0, 1, 2):
        below = MQTT(qos=qos) / Publish(topic=String(text="a/b"), message=bytes(size))
        found = dissect(bytes(below), MQTT)
        assert found[Publish].id == (1 if qos else None) and len(found[Publish].message) == size
        assert found[MQTT].size == size + 5 + 2 * (qos > 0) and not found.faults


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    ports = iter(range(50_000, 50_100))
    topic = String(text="lab/temperature")
    will = Properties(
        properties=(NumberProperty(id=24, number=5), UserProperty(name=String(text="a"), value=String(text="b")))
    )
    connections: list[list[Header | Packet]] = [
        [
            MQTT() / Connect(client=String(text="lab"), user=String(text="me"), password=Binary(data=b"secret")),
            MQTT(qos=1) / Publish(topic=topic, id=7, message=b"21.5"),
            MQTT(qos=1) / Subscribe(filters=(Filter(topic=topic, qos=1), Filter(topic=String(text="#")))),
            MQTT() / Unsubscribe(topics=(topic,)),
            MQTT(type=4) / Acknowledgment(id=3),
            MQTT(type=12),
        ],
        [
            MQTT()
            / Connect(
                version=5,
                properties=Properties(properties=(NumberProperty(id=17, number=60), ShortProperty(id=33, number=10))),
                will_topic=topic,
                will_message=Binary(data=b"gone"),
                will_properties=will,
            ),
            MQTT()
            / Publish(topic=topic, properties=Properties(properties=(TextProperty(id=3, value=topic),)), message=b"x"),
            MQTT(type=5) / Acknowledgment(id=3, code=0x10),
            MQTT(type=14) / Disconnect(code=4, properties=Properties()),
            MQTT(qos=1) / Subscribe(properties=Properties(properties=(SubscriptionIdentifier(number=300),))),
        ],
    ]
    made = []
    for messages in connections:
        with Context():
            below = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=next(ports), dport=1883, flags="ACK")
            stream = b"".join(bytes(below / message)[len(bytes(below)) :] for message in messages)
            made.append(below / stream)
    packets = alike(tshark, made, READINGS)
    assert [len(packet.messages(MQTT)) for packet in packets] == [6, 5]
    sound(packets, MQTT)


def test_cut_and_spoilt() -> None:
    packets = [packet for packet in packets_of("mqtt/mqtt.pcap") if Connect in packet or Publish in packet][:3]
    assert "Connect.client" in cut(packets, Connect)
    assert spoilt(packets, Connect, times=100)
