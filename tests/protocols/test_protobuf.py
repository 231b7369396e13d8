"""Protocol Buffers on the wire (protobuf.dev, Encoding): keys and lengths as varints, values by wire type, messages in messages."""

from __future__ import annotations

import pytest

from packetlab import (
    UDP,
    Bytes,
    Ether,
    F32le,
    F64le,
    Header,
    IPv4,
    VarInt,
    ZigZagInt,
    auto,
    computed,
    dissect,
    field,
    many,
    size_of,
)
from tests.protocols.oracle import Ask, alike, cut, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class ProtoField(Header):
        key: VarInt = auto(field("number") * 8 + field("type"))
        number: int = computed(field("key") // 8)
        type: int = computed(field("key") % 8)

    class Varint(ProtoField, when={"type": 0}):
        value: VarInt = 0

    class Fixed64(ProtoField, when={"type": 1}):
        value: F64le = 0.0

    class Delimited(ProtoField, when={"type": 2}):
        size: VarInt = auto(size_of("data"))
        data: Bytes = b""

    class Fixed32(ProtoField, when={"type": 5}):
        value: F32le = 0.0

    class SubMessage(Delimited, inside="data", when={"number": 3}):
        """message Test3 { optional Test1 c = 3; } of the documentation."""

        fields: tuple[ProtoField, ...] = many()

    class Packed(Delimited, inside="data", when={"number": 6}):
        """repeated int32 f = 6 [packed = true]."""

        numbers: tuple[VarInt, ...] = many()

    class Signed(Delimited, inside="data", when={"number": 7}):
        numbers: tuple[ZigZagInt, ...] = many()

    class Message(Header, under=UDP, when={"port": 5555}):
        fields: tuple[ProtoField, ...] = many()


# Examples of https://protobuf.dev/programming-guides/encoding
VECTORS: dict[str, tuple[ProtoField, ...]] = {
    "08 96 01": (Varint(number=1, value=150),),
    "12 07 74 65 73 74 69 6e 67": (Delimited(number=2, data=b"testing"),),
    "1a 03 08 96 01": (SubMessage(fields=(Varint(number=1, value=150),)),),
    "32 06 03 8e 02 9e a7 05": (Packed(numbers=(3, 270, 86942)),),
    "3a 04 03 fe ff 07": (Signed(numbers=(-2, 65535)),),
    "2d 00 00 80 3f 21 00 00 00 00 00 00 00 c0": (Fixed32(number=5, value=1.0), Fixed64(number=4, value=-2.0)),
    "80 80 01 01": (Varint(number=2048, value=1),),
}


@pytest.mark.parametrize("vector", VECTORS)
def test_the_examples_of_the_documentation(vector: str) -> None:
    data, fields = bytes.fromhex(vector), VECTORS[vector]
    assert bytes(Message(fields=fields)) == data
    read = dissect(data, Message)
    assert not read.faults
    assert [(type(one), bytes(one)) for one in read[Message].fields] == [(type(one), bytes(one)) for one in fields]
    sound([read], Message)


def flat(fields: tuple[ProtoField, ...]) -> list[ProtoField]:
    return [x for one in fields for x in [one, *(flat(one.fields) if isinstance(one, SubMessage) else [])]]


AS_PROTOBUF = 'uat:protobuf_udp_message_types:"5555",""'
READINGS = {
    "protobuf.field.number": of(Message, lambda h: [one.number for one in h.fields]),
    "protobuf.field.wiretype": of(Message, lambda h: [one.type for one in h.fields]),
    "protobuf.field.value.length": of(Message, lambda h: [one.size for one in h.fields if isinstance(one, Delimited)]),
}


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=5555, dport=5555)
    made = [low / Message(fields=fields) for fields in VECTORS.values()]
    made.append(low / Message(fields=tuple(one for fields in VECTORS.values() for one in fields)))
    sound(alike(tshark, made, READINGS, "-o", AS_PROTOBUF), Message)


def test_a_message_in_a_message_in_a_message() -> None:
    inner = Message(fields=(SubMessage(fields=(SubMessage(fields=(Varint(number=1, value=300),)),)),))
    first = dissect(bytes(inner), Message)[Message].fields[0]
    assert isinstance(first, SubMessage) and isinstance(first.fields[0], SubMessage)
    assert [one.number for one in flat((first,))] == [3, 3, 1]


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    every = [dissect(bytes.fromhex(one), Message) for one in VECTORS]
    assert "Message.fields" in cut(every, Message)
    spoilt(every, Message)
