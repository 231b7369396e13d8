"""Kafka (protocol guide): lengths of -1, or one more as varints, for nothing; bodies by key and version; tagged fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from packetlab import (
    S8,
    S16,
    S32,
    S64,
    TCP,
    Bytes,
    Ether,
    Header,
    IPv4,
    Text,
    VarInt,
    ZigZagInt,
    auto,
    bits,
    count_of,
    crc32c,
    field,
    many,
    size_of,
    sized,
    span,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Tag(Header):
        number: VarInt = 0
        size: VarInt = auto(size_of("data"))
        data: Bytes = b""

    class KafkaRequest(Header, under=TCP, when={"dport": 9092}, stream=True):
        length: S32 = auto(size_of("self") + size_of("payload") - 4)
        key: S16 = 0
        version: S16 = 0
        correlation: S32 = 0
        client_size: S16 = auto(size_of("client"))
        client: Text | None = sized(field("client_size"), none=-1)

    class OffsetPartition(Header):
        number: S32 = 0
        time: S64 = -1
        most: S32 = 1

    class OffsetTopic(Header):
        size: S16 = auto(size_of("name"))
        name: Text = ""
        count: S32 = auto(count_of("partitions"))
        partitions: tuple[OffsetPartition, ...] = many()

    class ListOffsets(KafkaRequest, when=(field("key") == 2) & (field("version") == 0)):
        key = 2
        replica: S32 = -1
        count: S32 = auto(count_of("topics"))
        topics: tuple[OffsetTopic, ...] | None = many(count=field("count"), none=-1)

    class Name(Header):
        size: S16 = auto(size_of("text"))
        text: Text = ""

    class Metadata(KafkaRequest, when=(field("key") == 3) & (field("version") == 1)):
        key = 3
        version = 1
        count: S32 = auto(count_of("topics"))
        topics: tuple[Name, ...] | None = many(count=field("count"), none=-1)

    class ApiVersions(KafkaRequest, when=(field("key") == 18) & (field("version") == 3)):
        key = 18
        version = 3
        header_tag_count: VarInt = auto(count_of("header_tags"))
        header_tags: tuple[Tag, ...] = many()
        name_size: VarInt = auto(size_of("name") + 1)
        name: Text | None = sized(field("name_size") - 1, none=-1)
        software_size: VarInt = auto(size_of("software") + 1)
        software: Text | None = sized(field("software_size") - 1, none=-1)
        tag_count: VarInt = auto(count_of("tags"))
        tags: tuple[Tag, ...] = many()

    class KafkaHeader(Header):
        """A header of a record: key and value, each with its size as a zigzag varint."""

        key_size: ZigZagInt = auto(size_of("key"))
        key: Text = ""
        value_size: ZigZagInt = auto(size_of("value"))
        value: Bytes | None = sized(field("value_size"), none=-1)

    class Record(Header):
        length: ZigZagInt = auto(size_of("self") - size_of("length"))
        attributes: S8 = 0
        time: ZigZagInt = 0
        offset: ZigZagInt = 0
        key_size: ZigZagInt = auto(size_of("key"))
        key: Bytes | None = sized(field("key_size"), none=-1)
        value_size: ZigZagInt = auto(size_of("value"))
        value: Bytes | None = sized(field("value_size"), none=-1)
        header_count: ZigZagInt = auto(count_of("headers"))
        headers: tuple[KafkaHeader, ...] = many()

    class Batch(Header):
        base: S64 = 0
        length: S32 = auto(size_of("self") - 12)
        epoch: S32 = -1
        magic: S8 = 2
        crc: Annotated[int, bits(32)] = auto(crc32c(span("attributes", "records")))
        attributes: S16 = 0
        last: S32 = 0
        first_time: S64 = 0
        last_time: S64 = 0
        producer: S64 = -1
        producer_epoch: S16 = -1
        sequence: S32 = -1
        count: S32 = auto(count_of("records"))
        records: tuple[Record, ...] = many()

    class ProducePartition(Header):
        number: S32 = 0
        size: S32 = auto(size_of("batch"))
        batch: Batch | None = sized(field("size"), none=-1)

    class ProduceTopic(Header):
        size: S16 = auto(size_of("name"))
        name: Text = ""
        count: S32 = auto(count_of("partitions"))
        partitions: tuple[ProducePartition, ...] = many()

    class Produce(KafkaRequest, when=(field("key") == 0) & (field("version") == 3)):
        version = 3
        transaction_size: S16 = auto(size_of("transaction"))
        transaction: Text | None = sized(field("transaction_size"), none=-1)
        acks: S16 = 1
        timeout: S32 = 1500
        count: S32 = auto(count_of("topics"))
        topics: tuple[ProduceTopic, ...] = many()


def topics(header: KafkaRequest) -> Iterable[OffsetTopic | ProduceTopic]:
    return (header.topics or ()) if isinstance(header, ListOffsets | Produce) else ()


def names(header: KafkaRequest) -> list[str]:
    if isinstance(header, Metadata):
        return [one.text for one in header.topics or ()]
    return [one.name for one in topics(header)]


def numbers(header: KafkaRequest) -> list[int]:
    return [partition.number for one in topics(header) for partition in one.partitions]


def batches(header: Produce) -> list[Batch]:
    return [one.batch for topic in header.topics for one in topic.partitions if one.batch is not None]


READINGS = {
    "kafka.len": of(KafkaRequest, lambda h: h.length),
    "kafka.api_key": of(KafkaRequest, lambda h: h.key),
    "kafka.api_version": of(KafkaRequest, lambda h: h.version),
    "kafka.correlation_id": of(KafkaRequest, lambda h: h.correlation),
    "kafka.client_id": of(KafkaRequest, lambda h: "[ Null ]" if h.client is None else h.client or None),
    "kafka.replica_id": of(ListOffsets, lambda h: h.replica),
    "kafka.offset_time": of(ListOffsets, lambda h: [p.time for t in h.topics or () for p in t.partitions]),
    "kafka.max_offsets": of(ListOffsets, lambda h: [p.most for t in h.topics or () for p in t.partitions]),
    "kafka.client_software_name": of(ApiVersions, lambda h: h.name),
    "kafka.client_software_version": of(ApiVersions, lambda h: h.software),
    "kafka.tagged_field_tag": of(ApiVersions, lambda h: [one.number for one in (*h.header_tags, *h.tags)]),
    "kafka.tagged_field_data": of(ApiVersions, lambda h: [one.data for one in (*h.header_tags, *h.tags)]),
    "kafka.required_acks": of(Produce, lambda h: h.acks),
    "kafka.timeout": of(Produce, lambda h: h.timeout),
    "kafka.batch_crc": of(Produce, lambda h: [one.crc for one in batches(h)]),
    "kafka.batch_last_offset_delta": of(Produce, lambda h: [one.last for one in batches(h)]),
    "kafka.message_key": of(Produce, lambda h: [r.key or b"" for one in batches(h) for r in one.records]),
    "kafka.message_value": of(Produce, lambda h: [r.value for one in batches(h) for r in one.records if r.value]),
    "kafka.header_key": of(Produce, lambda h: [x.key for one in batches(h) for r in one.records for x in r.headers]),
    "kafka.topic_name": of(KafkaRequest, names),
    "kafka.partition_id": of(KafkaRequest, numbers),
}


def test_captures_are_read_like_tshark(tshark: Ask) -> None:
    packets = alike(tshark, family("kafka/kafka.pcap"), READINGS)
    sound(packets, KafkaRequest)
    assert [one[ListOffsets].topics is not None for one in packets if ListOffsets in one] == [True]


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
    records = (
        Record(key=b"k", value=b"v" * 100, headers=(KafkaHeader(key="trace", value=b"1"),)),
        Record(offset=1, time=-3, value=b"second"),
    )
    batch = Batch(last=1, first_time=1_700_000_000_000, last_time=1_700_000_000_001, records=records)
    made: list[Header] = [
        ListOffsets(
            client="me", topics=(OffsetTopic(name="a", partitions=(OffsetPartition(), OffsetPartition(number=1))),)
        ),
        Metadata(correlation=2, client="", topics=(Name(text="a"), Name(text="b"))),
        Metadata(correlation=3),
        ApiVersions(client="me", name="packetlab", software="1.0", tags=(Tag(number=300, data=b"x"),)),
        Produce(client="me", topics=(ProduceTopic(name="t", partitions=(ProducePartition(batch=batch),)),)),
    ]
    packets = [low / TCP(sport=40000 + i, dport=9092, flags="ACK") / one for i, one in enumerate(made)]
    read = alike(tshark, packets, READINGS)
    sound(read, KafkaRequest)
    assert bytes(made[2])[-6:] == b"\xff" * 6 and read[2][Metadata].topics is None and read[2][Metadata].client is None


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = packets_of("kafka/kafka.pcap")
    cut(read, KafkaRequest)
    spoilt(read, KafkaRequest)
