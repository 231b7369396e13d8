"""Coded numbers: their forms against vectors of their standards and other libraries, longer spellings, sizes that they tell."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import assume, given, settings, strategies as st

import packetlab as pl
from packetlab import (
    S8,
    S16,
    S32,
    TCP,
    U8,
    U16,
    U32,
    UDP,
    BERLength,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4,
    MQTTInt,
    Packet,
    QuicInt,
    SignedVarInt,
    Spelled,
    VarInt,
    Writer,
    ZigZagInt,
    auto,
    ber_integer,
    ber_length,
    bindings,
    choose,
    count_of,
    crc32,
    declare_from,
    describe,
    dissect,
    field,
    fixed_bytes,
    many,
    prefixed,
    size_of,
    sized,
    sized_int,
    strategies,
    varint,
    when,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.declare.kinds import Named
from packetlab.declare.values.varints import WIDEST_SIZED
from packetlab.packet.header import HeaderType
from packetlab.schema.source import class_body
from tests.answers import tshark
from tests.conftest import amount, need
from tests.export.pdml import Tshark


@pytest.fixture(scope="module", autouse=True)
def here_only() -> Iterator[None]:
    """What is declared here is known to no other test."""
    with bindings():
        yield


def holding(annotation: Any) -> Any:
    """Return a header of one such number."""
    with bindings():

        class Holding(Header):
            n: annotation

    return Holding


# Forms, against what others say ------------------------------------------------------------------------------------

DWARF_UNSIGNED = {2: "02", 127: "7f", 128: "8001", 129: "8101", 12857: "b964", 624485: "e58e26"}
DWARF_SIGNED = {2: "02", -2: "7e", 127: "ff00", -127: "817f", 128: "8001", -128: "807f", 129: "8101", -129: "ff7e"}
QUIC = {151288809941952652: "c2197c5eff14e88c", 494878333: "9d7f3e7d", 15293: "7bbd", 37: "25"}
MQTT = {0: "00", 127: "7f", 128: "8001", 16383: "ff7f", 16384: "808001", 2097151: "ffff7f", 2097152: "80808001",
        268435455: "ffffff7f"}  # fmt: skip
ZIGZAG = {0: "00", -1: "01", 1: "02", -2: "03", 0x7FFFFFFF: "feffffff0f", -0x80000000: "ffffffff0f"}
MIDI = {0: "00", 0x40: "40", 0x7F: "7f", 0x80: "8100", 0x2000: "c000", 0x3FFF: "ff7f", 0x4000: "818000",
        0xFFFFFFF: "ffffff7f"}  # fmt: skip
BER = {0: "00", 38: "26", 127: "7f", 128: "8180", 201: "81c9", 256: "820100"}


@pytest.mark.parametrize(
    ("annotation", "vectors"),
    [
        (VarInt, DWARF_UNSIGNED),  # DWARF 5, figure C.3
        (SignedVarInt, DWARF_SIGNED | {-123456: "c0bb78"}),  # DWARF 5, figure C.4
        (QuicInt, QUIC),  # RFC 9000 section A.1
        (MQTTInt, MQTT),  # MQTT 5, table 1-1
        (ZigZagInt, ZIGZAG),  # protobuf, encoding
        (Annotated[int, varint(high_first=True)], MIDI),  # Standard MIDI Files 1.0
        (BERLength, BER),  # X.690 section 8.1.3
    ],
)
def test_numbers_are_as_their_standards_write_them(annotation: Any, vectors: dict[int, str]) -> None:
    one = holding(annotation)
    for number, data in vectors.items():
        assert bytes(one(n=number)).hex() == data
        packet = dissect(bytes.fromhex(data), one)
        assert packet[one].n == number and type(packet[one].n) is int and not packet.faults


def test_numbers_of_ber_are_as_scapy_writes_them() -> None:
    ber = pytest.importorskip("scapy.asn1.ber")
    length, tag = holding(BERLength), holding(Annotated[int, varint(high_first=True)])

    class Integer(Header):
        tag: U8 = 2
        length: BERLength = auto(size_of("value"))
        value: Annotated[int, ber_integer()] = sized(field("length"), 0)

    numbers = [sign * (1 << bits) + more for bits in range(63) for sign in (1, -1) for more in (-1, 0, 1)]
    for number in numbers:
        data = ber.BERcodec_INTEGER.enc(number)
        assert dissect(data, Integer)[Integer].value == number
        assert bytes(Integer(value=number)) == data or number < 0  # of which scapy writes a byte more than X.690 wants
        if number >= 0:
            assert bytes(length(n=number)) == ber.BER_len_enc(number) and bytes(tag(n=number)) == ber.BER_num_enc(
                number
            )


def test_a_number_from_0_of_a_size_that_is_told_takes_no_byte_for_0() -> None:
    class Option(Header):  # RFC 7252 section 3.2
        length: U8 = auto(size_of("value"))
        value: Annotated[int, sized_int(4)] = sized(field("length"), 0)

    assert [bytes(Option(value=n)).hex() for n in (0, 1, 255, 256)] == ["00", "0101", "01ff", "020100"]
    assert dissect(bytes.fromhex("03000005"), Option)[Option].value == Spelled(5, 3)
    assert str(dissect(bytes.fromhex("050100000000"), Option).faults[0]) == (
        "Option.value: expected a number of a size that is given at offset 1, got 0x01000000"
    )


def test_tshark_reads_what_is_built(tmp_path: Any) -> None:
    """MQTT's remaining length and QUIC's numbers, short and in more bytes than they need."""
    need("tshark")

    class Publish(Header, under=TCP, when={"dport": 1883}):
        kind: U8 = 0x30
        rest: MQTTInt = auto(size_of("self") + size_of("payload") - size_of("kind") - size_of("rest"))
        size: U16 = auto(size_of("topic"))
        topic: Bytes = b"a/b"

    class Initial(Header, under=UDP, when={"dport": 4433}):
        first: U8 = 0xC0
        version: U32 = 1
        destination_size: U8 = 8
        destination: Annotated[bytes, fixed_bytes(8)] = bytes.fromhex("8394c8f03e515708")
        source_size: U8 = 0
        token_size: QuicInt = auto(size_of("token"))
        token: Bytes = b""
        length: QuicInt = auto(size_of("payload"))

    bodies = (0, 100, 122, 123, 1000)
    ip = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
    frames = [ip / TCP(sport=n + 5, dport=1883, flags="PSH|ACK") / Publish() / bytes(n) for n in bodies]
    numbers = (20, 63, 64, 1100, Spelled(30, 4))
    frames += [
        ip / UDP(sport=int(n) + 5, dport=4433) / Initial(token=bytes(int(n)), length=n) / bytes(int(n)) for n in numbers
    ]
    with Writer(tmp_path / "built.pcap") as writer:
        for frame in frames:
            writer.write(bytes(frame))
    command = ("-n", "-r", tmp_path / "built.pcap", "-d", "udp.port==4433,quic", "-T", "fields")
    done = tshark(*command, *(f"-e{name}" for name in ("mqtt.len", "mqtt.topic", "quic.token_length", "quic.length")))
    said = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[:2] for line in said[:5]] == [[str(5 + n), "a/b"] for n in bodies]
    assert [line[2:] for line in said[5:]] == [[str(int(n)), str(int(n))] for n in numbers]


# Longer spellings -----------------------------------------------------------------------------------------------------

LONG = [
    (VarInt, "8500", 5), (VarInt, "80808000", 0), (SignedVarInt, "fb7f", -5), (SignedVarInt, "85808000", 5),
    (ZigZagInt, "8a00", 5), (QuicInt, "4025", 37), (QuicInt, "c000000000000025", 37), (MQTTInt, "85808000", 5),
    (BERLength, "8105", 5), (BERLength, "8400000005", 5), (Annotated[int, varint(high_first=True)], "808005", 5),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "data", "number"), LONG)
def test_a_longer_spelling_stays_and_is_the_number(annotation: Any, data: str, number: int) -> None:
    one = holding(annotation)
    packet = dissect(bytes.fromhex(data) + b"more", one)
    assert not packet.faults and bytes(packet) == bytes.fromhex(data) + b"more"
    size = len(data) // 2
    assert packet[one].n == number and type(packet[one].n) is Spelled and packet[one].n.size == size
    assert packet[one] == one(n=number) and hash(packet[one]) == hash(one(n=number))
    assert packet != one(n=number) / b"more" and one(n=number).matches(packet)  # packets are equal if their bytes are
    assert repr(packet[one]) == f"Holding(n=Spelled({number}, {size}))" and f"{packet[one].n}" == str(number)
    assert f"{number} (in {size} bytes)" in str(packet.show())
    assert bytes(pickle.loads(pickle.dumps(packet[one].n)).size.to_bytes(1, "big")) == bytes([size])
    assert bytes(one(n=packet[one].n)).hex() == data == bytes(one(n=Spelled(number, size))).hex()
    assert len(bytes(packet.replace(one, n=number))) < len(bytes(packet))


def test_a_spelling_that_a_number_cannot_have_is_refused() -> None:
    for annotation, size in ((QuicInt, 3), (MQTTInt, 5), (VarInt, 0), (BERLength, 128)):
        with pytest.raises(BuildError, match="a size that .* can have for 5"):
            holding(annotation)(n=Spelled(5, size))
    assert bytes(holding(QuicInt)(n=Spelled(5, 1))) == b"\5"


def test_what_is_edited_keeps_the_bytes_of_what_stays_and_widths_while_they_fit() -> None:
    with bindings():

        class Note(Header, under=Ether, when={"type": 0x88B5}):
            size: QuicInt = auto(size_of("text"))
            text: Bytes = b""
            other: VarInt = 1
            all: VarInt = auto(size_of("self"))

        data = bytes(12) + bytes.fromhex("88b5 4003 616263 8100 8900")
        packet = dissect(data)
        assert bytes(packet) == data and not packet.faults
        edited = packet.replace(Note, other=9)
        assert bytes(edited)[14:].hex() == "40036162630988" + "00" and not dissect(bytes(edited)).faults
        longer = packet.replace(Note, text=b"x" * 63)
        assert bytes(longer)[14:16].hex() == "403f" and longer[Note].all == len(bytes(longer)) - 14
        assert bytes(longer.replace(Note, text=b"q"))[14:16].hex() == "4001"
        wide = packet.replace(Note, text=b"x" * 20_000)
        assert (
            bytes(wide)[14:18].hex() == (20_000 | 2 << 30).to_bytes(4, "big").hex()
            and wide[Note].state("size") == "auto"
        )
        assert packet.replace(Note, text=b"q", size=auto)[Note].size == 1
        wrong = dissect(data[:14] + bytes.fromhex("4002 6162 01 0800"))
        assert wrong[Note].all == 8 and bytes(wrong.replace(Note, other=2))[-2:].hex() == "0800"


# What is none, and what does not fit ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "data", "expected", "got"),
    [
        (VarInt, "", "varint of up to 10 bytes", "0 bytes"),
        (VarInt, "80", "varint of up to 10 bytes", "1 byte"),
        (VarInt, "ffffffffffffffffff02", "varint of up to 10 bytes", "0xffffffffffffffffff02"),
        (VarInt, "80" * 11, "varint of up to 10 bytes", "0x" + "80" * 10),
        (SignedVarInt, "80808080808080808001", "signed varint of up to 10 bytes", "0x80808080808080808001"),
        (MQTTInt, "8080808001", "varint of up to 4 bytes", "0x80808080"),
        (QuicInt, "4", "", ""),
        (QuicInt, "80ff", "a number that begins with its size", "2 bytes"),
        (BERLength, "80", "a length as in BER", "0x80, the indefinite form, which ber_length(indefinite=True) reads as -1"),
        (BERLength, "ff01", "a length as in BER", "2 bytes"),
        (BERLength, "89010000000000000000", "a length as in BER", "0x89010000000000000000"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_such_number_are_a_fault(annotation: Any, data: str, expected: str, got: str) -> None:
    if len(data) % 2:
        return
    one = holding(annotation)
    packet = dissect(bytes.fromhex(data), one)
    assert bytes(packet) == bytes.fromhex(data)
    if data:
        assert [(f.layer, f.field, f.offset, f.expected, f.got) for f in packet.faults] == [
            ("Holding", "n", 0, expected, got)
        ]


@pytest.mark.parametrize(
    ("annotation", "low", "high"),
    [
        (VarInt, 0, (1 << 64) - 1),
        (SignedVarInt, -(1 << 63), (1 << 63) - 1),
        (ZigZagInt, -(1 << 63), (1 << 63) - 1),
        (QuicInt, 0, (1 << 62) - 1),
        (MQTTInt, 0, (1 << 28) - 1),
        (BERLength, 0, (1 << 64) - 1),
        (Annotated[int, prefixed(1, (1, 4))], 0, (1 << 31) - 1),
        (Annotated[int, varint(signed=True, most=2)], -(1 << 13), (1 << 13) - 1),
        (Annotated[int, ber_length(indefinite=True)], -1, (1 << 63) - 1),
    ],
)
def test_a_number_beyond_its_range_is_refused(annotation: Any, low: int, high: int) -> None:
    one = holding(annotation)
    for number in (low, high):
        assert dissect(bytes(one(n=number)), one)[one].n == number
    for number in (low - 1, high + 1, "x", 1.5):
        with pytest.raises(BuildError, match=rf"Holding\.n: expected {low}\.\.{high}"):
            one(n=number)


def test_a_length_that_does_not_fit_its_number_is_refused_when_it_is_built() -> None:
    class Frame(Header):
        size: Annotated[int, varint(most=1)] = auto(size_of("text"))
        text: Bytes = b""

    assert len(bytes(Frame(text=bytes(127)))) == 128
    with pytest.raises(BuildError, match=r"Frame\.size: expected 0\.\.127, got 128"):
        bytes(Frame(text=bytes(128)))
    with pytest.raises(BuildError, match=r"Frame\.size: expected 0\.\.127, got 128"):
        bytes(Ether() / Frame(text=bytes(128)))


def test_what_makes_no_sense_is_refused_when_the_class_is_made() -> None:
    with pytest.raises(DeclareError, match=r"varint\(most=...\): expected 1 to 10 bytes, got 11"):
        varint(most=11)
    with pytest.raises(DeclareError, match="signed or zigzag"):
        varint(signed=True, zigzag=True)
    with pytest.raises(DeclareError, match=r"prefixed\(sizes=...\): expected 1 to 4 sizes of 1 to 8 bytes, rising"):
        prefixed(2, (2, 1))
    with pytest.raises(DeclareError, match=r"prefixed\(bits=...\): expected 1 to 7 bits, got 9"):
        prefixed(9)
    with pytest.raises(DeclareError, match=r"One\.n: expected an IntEnum or IntFlag"):

        class Wrong(int):
            pass

        class One(Header):
            n: Annotated[Wrong, varint()] = 1

    with pytest.raises(DeclareError, match=r"Two\.n: expected a size: sized\(...\) or a size_of rule, got none"):

        class Two(Header):
            n: Annotated[int, ber_integer()] = 1

    with pytest.raises(DeclareError, match=r"Three\.n: expected a right-hand side that suits a varint, got sized"):

        class Three(Header):
            n: VarInt = sized(4, 1)

    with pytest.raises(
        DeclareError, match=r"Four\.n: expected an unsigned field of 32 bits or more, in bytes, got a varint"
    ):

        class Four(Header):
            n: VarInt = auto(crc32("self"))

    with pytest.raises(DeclareError, match=r"Five\.n: expected rules without a circle"):

        class Five(Header):
            n: VarInt = auto(size_of("self"))
            more: U8 = when(field("n") > 200)

    with pytest.raises(DeclareError, match=r"Six\.n: expected fields that fill whole bytes before the end, got bit 4 of a byte"):

        class Six(Header):
            a: pl.U4 = 1
            n: VarInt = 1


# Numbers that count themselves ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("annotation", [VarInt, SignedVarInt, ZigZagInt, QuicInt, MQTTInt, BERLength])
def test_a_size_that_counts_its_own_bytes_settles(annotation: Any) -> None:
    class Whole(Header):
        kind: U8 = 7
        size: annotation = auto(size_of("self"))
        text: Bytes = b""

    for count in (*range(140), 252, 253, 254, 16380, 16381, 16382, 70_000):
        data = bytes(Whole(text=bytes(count)))
        assert (
            Whole(text=bytes(count)).size == len(data)
            and dissect(data + b"z", Whole) == Whole(text=bytes(count)) / b"z"
        )
        why = str((Whole(text=bytes(count)) / b"").why(Whole, "size"))
        assert f"size_of(self) = {len(data)}" in why


def test_a_size_of_what_stands_after_it_is_said_as_it_is() -> None:
    with bindings():

        class Control(Header, under=Ether, when={"type": 0x88B5}):  # as in MQTT
            kind: U8 = 0x30
            length: MQTTInt = auto(size_of("self") + size_of("payload") - size_of("kind") - size_of("length"))
            id: VarInt = 5
            flags: U8 = 7

        class Message(Header):
            length: BERLength = auto(size_of("self") - size_of("length"))
            id: QuicInt = 5
            text: Bytes = b""

        for body in (b"", b"abc", bytes(300)):
            packet = Ether() / Control(id=300) / body
            again = dissect(bytes(packet))
            assert again == packet and not again.faults and again[Control].length == 3 + len(body)
            assert dissect(bytes(Message(text=body)) + b"rest", Message) == Message(text=body) / b"rest"
        late = dissect(bytes(14) + bytes.fromhex("30 8400 8500 07 ff"), Control)
        assert dissect(bytes.fromhex("30 8400 8500 07 ff"), Control).payload == b"\xff" and late.faults
        assert dissect(bytes.fromhex("8105 05 61626364 65"), Message)[Message].text == b"abcd"


def test_one_that_never_settles_is_refused() -> None:
    class Odd(Header):
        size: VarInt = auto(choose(size_of("self") == 2, 200, 1))
        end: U8 = 0

    with pytest.raises(BuildError, match=r"Odd\.size: expected a number that its own size leaves as it is"):
        bytes(Odd())


# A value that means none ---------------------------------------------------------------------------------------------


class InnerNumbers(Header):
    n: VarInt = 1


class Kafka(Header):
    size: S32 = auto(size_of("data"))
    data: Bytes | None = sized(field("size"), none=-1)
    compact: VarInt = auto(size_of("key") + 1)
    key: Bytes | None = sized(field("compact") - 1, none=-1)
    count: S16 = auto(count_of("items"))
    items: tuple[InnerNumbers, ...] | None = many(count=field("count"), none=-1)
    end: U8 = 9


@pytest.mark.parametrize(
    ("header", "data"),
    [
        (Kafka(), "ffffffff 00 ffff 09"),
        (Kafka(data=b"", key=b"", items=()), "00000000 01 0000 09"),
        (Kafka(data=b"abc", items=[InnerNumbers(n=300), InnerNumbers()]), "00000003 616263 00 0002 ac02 01 09"),
        (Kafka(key=b"k"), "ffffffff 02 6b ffff 09"),
    ],
)
def test_a_size_or_count_says_that_there_is_none(header: Any, data: str) -> None:
    assert bytes(header) == bytes.fromhex(data)
    packet = dissect(bytes(header), Kafka)
    assert packet == header / b"" and not packet.faults and packet[Kafka]._resolved_alone() == header._resolved_alone()
    for name in ("data", "key", "items"):
        assert (getattr(packet[Kafka], name) is None) is (getattr(header, name) is None)
    for name in ("size", "compact", "count"):
        assert "agrees with the rule" in str(packet.why(Kafka, name))
    gone = packet.replace(Kafka, data=None, key=b"xy", items=None)
    assert bytes(gone) == bytes.fromhex("ffffffff 03 7879 ffff 09") == bytes(Kafka(key=b"xy"))


def test_none_can_be_any_number_and_stand_beside_a_condition() -> None:
    class Short(Header):
        size: U8 = auto(size_of("data"))
        data: Bytes | None = sized(field("size"), none=255)

    assert bytes(Short()) == b"\xff" and bytes(Short(data=b"a")) == b"\1a"
    with pytest.raises(BuildError, match=r"Short\.data: expected None where size is 255, and only there, got a value"):
        bytes(Short(data=bytes(255)))

    class Maybe(Header):
        flag: U8 = 1
        size: S8 | None = when(field("flag"), auto(size_of("data")))
        data: Bytes | None = when(field("flag"), sized(field("size"), none=-1))

    for header, data in ((Maybe(flag=0), "00"), (Maybe(), "01ff"), (Maybe(data=b"a"), "010161")):
        assert bytes(header).hex() == data and dissect(bytes(header), Maybe) == header / b""
    with pytest.raises(BuildError):
        bytes(Maybe(flag=0, data=b"a"))

    class Plain(Header):
        size: S8 = 0
        data: Bytes | None = sized(field("size"), none=-1)

    for some in ({}, {"data": b"a"}):
        with pytest.raises(BuildError, match=r"Plain\.data"):
            bytes(Plain(**some))
    assert bytes(Plain(size=-1)) == b"\xff" and bytes(Plain(size=1, data=b"a")) == b"\1a"


def test_the_indefinite_form_of_ber_is_a_number_apart() -> None:
    class TLV(Header):
        tag: U8 = 0x30
        length: Annotated[int, ber_length(indefinite=True)] = auto(size_of("value"))
        value: Bytes | None = sized(field("length"), none=-1)

    assert bytes(TLV()) == b"\x30\x80" and dissect(b"\x30\x80\0\0", TLV) == TLV() / b"\0\0"
    assert dissect(b"\x30\x02abc", TLV) == TLV(value=b"ab") / b"c"


def test_none_that_makes_no_sense_is_refused_when_the_class_is_made() -> None:
    with pytest.raises(
        DeclareError, match=r"One\.data: expected none=-1 to be a number that size comes to, got 0\.\.255"
    ):

        class One(Header):
            size: U8 = auto(size_of("data"))
            data: Bytes | None = sized(field("size"), none=-1)

    for wrong in ({"none": True}, {"none": "x"}, {"none": -1, "value": b"x"}):
        with pytest.raises(DeclareError, match="none=: expected a number that a size or count says"):
            sized(field("n"), **wrong)  # type: ignore[arg-type]
    for mistaken in ({"none": -1}, {"none": -1, "until": field("x") == 0}):
        with pytest.raises(DeclareError, match="got neither size nor count"):
            many(**mistaken)  # type: ignore[arg-type]


# Rules, names, files ----------------------------------------------------------------------------------------------------


class Sort(IntEnum):
    OPEN = 1
    CLOSE = 300


def test_coded_numbers_are_numbers_in_rules_bindings_enums_and_columns() -> None:
    with bindings():

        class Outer(Header, under=Ether, when={"type": 0x88B5}):
            sort: Annotated[Named[Sort], varint()] = Sort.OPEN
            next: VarInt = auto(pl.next_protocol("coded"))
            double: VarInt = auto(field("sort") * 2)
            again: QuicInt = auto(field("sort"))
            more: U16 | None = when(field("sort") == 300, 5)

        class Upper(Header, under=Outer, when={"next": 1000}):
            x: U8 = 1

        packet = Ether() / Outer(sort="CLOSE") / Upper()
        read = dissect(bytes(packet))
        assert read == packet and [type(h) for h in read.layers] == [Ether, Outer, Upper]
        assert read[Outer].sort is Sort.CLOSE and (read[Outer].double, read[Outer].more) == (600, 5)
        assert bytes(packet)[14:].hex() == "ac02e807d804412c000501"
        spelt = bytes(packet)[:14] + bytes.fromhex("818000 e88700 02 01 07")
        wide = dissect(spelt)
        assert wide[Outer].sort is Sort.OPEN and wide[Upper].x == 7 and bytes(wide) == spelt and not wide.faults
        assert bytes(wide.replace(Outer, again=auto))[14:].hex() == "818000e887000201" + "07"
        frames = Capture.of([packet, wide, Ether() / Outer() / b"z"])
        assert frames.table(Outer.sort)["outer.sort"].tolist() == [300, 1, 1]
        assert frames.where("outer.sort == 1").count() == 2 == frames.where("outer.sort < 300").count()
        assert frames.where("outer.sort == OPEN").count() == 2 == frames.where(Outer(sort=1)).count()
        assert frames.where(Outer(sort=pl.between(2, 400))).count() == 1
        assert Outer(sort=Spelled(1, 2)).matches(Ether() / Outer() / b"z")
        assert "sort" in str(packet.diff(wide))
        assert "Outer.sort: OPEN (1) (in 3 bytes) != OPEN (1)" in str(wide.diff(wide.replace(Outer, sort=1)))


@pytest.mark.parametrize("most", [64, 65, 513, WIDEST_SIZED])
def test_integers_of_any_width_travel_in_files(most: int, tmp_path: Path) -> None:
    value = 1 << min(8 * most - 2, 4095)  # what stands in a class body itself has 4096 bits at most
    with bindings():

        class Key(Header, under=Ether, when={"type": 0x88B6}):
            size: BERLength = auto(size_of("number"))
            number: Annotated[int, ber_integer(most)] = sized(field("size"), value)
            more: U16 = auto(size_of("other"))
            other: Annotated[int, sized_int(most)] = sized(field("more"), value + 1)

        data, wire = describe(Key), bytes(Ether() / Key())
        assert f"Annotated[int, ber_integer(most={most})]" in class_body(data)
        with Writer(tmp_path / "keys.pcapng", declare=[Key]) as writer:
            writer.write(wire)
    with bindings():
        (again,) = declare_from(data)
        assert bytes(Ether() / again()) == wire and describe(again) == data
    with bindings():
        capture = Capture(tmp_path / "keys.pcapng")
        capture.declarations.declare()
        (packet,) = (frame.packet() for frame in capture)
        assert packet.layers[-1].number == value and bytes(packet) == wire
        largest = packet.replace(type(packet.layers[-1]), number=-1 << 8 * most - 1, other=(1 << 8 * most) - 1)
        assert dissect(bytes(largest)).layers[-1].other == (1 << 8 * most) - 1 and not dissect(bytes(largest)).faults


def test_they_travel_in_files_and_are_printed_as_they_were_written() -> None:
    with bindings():

        class Every(Header, under=Ether, when={"type": 0x88B5}):
            a: VarInt = 1
            b: SignedVarInt = -1
            c: ZigZagInt = -1
            d: QuicInt = Spelled(5, 4)
            e: MQTTInt = 1
            f: BERLength = auto(size_of("g"))
            g: Annotated[int, ber_integer()] = sized(field("f"), 0)
            h: Annotated[int, varint(high_first=True, most=3)] = 1
            i: Annotated[int, prefixed(bits=1, sizes=(1, 4))] = 1
            j: Annotated[int, ber_length(indefinite=True)] = auto(size_of("k"))
            k: Bytes | None = sized(field("j"), none=-1)
            m: U8 = auto(size_of("n"))
            n: Annotated[int, sized_int(most=4)] = sized(field("m"), 7)
            o: S16 = auto(count_of("p"))
            p: tuple[InnerNumbers, ...] | None = many(count=field("o"), none=-1)

        data = [describe(InnerNumbers), describe(Every)]
        source = class_body(data[1])
        body = source.partition("\n")[2]
        written = [line.strip() for line in body.splitlines()]
        assert written == [
            "a: VarInt = 1", "b: SignedVarInt = -1", "c: ZigZagInt = -1", "d: QuicInt = Spelled(5, 4)", "e: MQTTInt = 1",
            'f: BERLength = auto(size_of("g"))', 'g: Annotated[int, ber_integer()] = sized(field("f"), 0)',
            "h: Annotated[int, varint(high_first=True, most=3)] = 1", "i: Annotated[int, prefixed(bits=1, sizes=(1, 4))] = 1",
            'j: Annotated[int, ber_length(indefinite=True)] = auto(size_of("k"))', 'k: Bytes | None = sized(field("j"), none=-1)',
            'm: U8 = auto(size_of("n"))', 'n: Annotated[int, sized_int(most=4)] = sized(field("m"), 7)',
            'o: S16 = auto(count_of("p"))', 'p: tuple[InnerNumbers, ...] | None = many(count=field("o"), none=-1)',
        ]  # fmt: skip
        wires = [bytes(Ether() / Every()), bytes(Ether() / Every(g=-129, k=b"xy", n=0, p=[InnerNumbers(n=Spelled(1, 3))]))]
    with bindings():
        again = declare_from(data)[-1]
        assert [bytes(dissect(wire)) for wire in wires] == wires and bytes(Ether() / again()) == wires[0]
        assert describe(again) == data[1]
    with bindings():
        pasted: dict[str, Any] = {**globals()}
        exec(source, pasted)
        assert (
            describe(pasted["Every"])["fields"] == data[1]["fields"] and bytes(Ether() / pasted["Every"]()) == wires[0]
        )


@pytest.mark.parametrize(
    "row",
    [
        {"kind": "varint", "most": 99},
        {"kind": "varint", "signed": 1, "zigzag": 1},
        {"kind": "varint", "most": "4"},
        {"kind": "prefixed", "sizes": [8, 4]},
        {"kind": "prefixed", "sizes": "1248"},
        {"kind": "prefixed", "prefix": 0},
        {"kind": "varint", "default": -1},
        {"kind": "varint", "default": {"number": 5, "size": 11}},
        {"kind": "varint", "size": 4},
        {"kind": "bytes", "size": 4, "none": "x"},
        {"kind": "bytes", "none": 4},
        {"kind": "int", "bits": 8, "none": 4},
        {"kind": "sized_int", "most": 2049, "size": 4},
        {"kind": "ber_integer"},
    ],
)
def test_a_description_that_makes_no_sense_is_refused(row: dict[str, object]) -> None:
    with bindings(), pytest.raises(DeclareError):
        declare_from([{"name": "Wrong", "fields": [{"name": "n", **row}]}])


# Any declaration, any bytes ---------------------------------------------------------------------------------------------

NUMBERS = [VarInt, SignedVarInt, ZigZagInt, QuicInt, MQTTInt, BERLength, Annotated[int, varint(high_first=True)],
           Annotated[int, prefixed(1, (2, 3))], Annotated[int, varint(zigzag=True, most=2)]]  # fmt: skip
PIECES = ["number", "sized", "none", "compact", "list", "none list", "integer", "optional", "after"]


def drawn_class(pieces: list[tuple[str, Any]], whole: str, own: Any) -> Any:
    """Return a header of some pieces, each with a kind of numbers, and perhaps a number that says how large all of it is."""
    body: dict[str, Any] = {"__module__": __name__, "__annotations__": {}}

    def add(name: str, annotation: Any, spec: Any) -> None:
        body["__annotations__"][name] = annotation
        body[name] = spec

    if whole == "self":
        add("whole", own, auto(size_of("self")))
    elif whole == "rest":
        add("whole", own, auto(size_of("self") - size_of("whole")))
    for i, (piece, kind) in enumerate(pieces):
        n, x = f"n{i}", f"x{i}"
        if piece == "number":
            add(n, kind, 1)
        elif piece == "optional":
            add(n, kind, 0)
            add(x, kind, when(field(n) % 2 == 1, 1))
        elif piece in ("sized", "after"):
            add(n, kind, auto(size_of(x)))
            add(x, Bytes, b"" if piece == "sized" else sized(field(n), b"ab"))
        elif piece == "none":
            add(n, S8, auto(size_of(x)))
            add(x, Bytes, sized(field(n), none=-1))
        elif piece == "compact":
            add(n, kind, auto(size_of(x) + 1))
            add(x, Bytes, sized(field(n) - 1, none=-1))
        elif piece == "list":
            add(n, kind, auto(count_of(x)))
            add(x, tuple[InnerNumbers, ...], many(count=field(n)))
        elif piece == "none list":
            add(n, S8, auto(count_of(x)))
            add(x, tuple[InnerNumbers, ...], many(count=field(n), none=-1))
        else:
            add(n, kind, auto(size_of(x)))
            add(x, Annotated[int, ber_integer()], sized(field(n), 0))
    return HeaderType("Drawn", (Header,), body)


declarations = st.builds(
    drawn_class,
    st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(NUMBERS)), min_size=1, max_size=4),
    st.sampled_from(["", "self", "rest"]),
    st.sampled_from(NUMBERS),
)


@given(st.data(), declarations)
@settings(max_examples=amount(25, 400), deadline=None)
def test_what_is_built_reads_back(data: st.DataObject, drawn: Any) -> None:
    header = data.draw(strategies.headers(drawn))
    try:
        built = bytes(header / b"zz")
    except BuildError:
        assume(False)
    packet = dissect(built, drawn)
    assert packet == header / b"zz" and not packet.faults
    for f in drawn._fields:
        if f.rule is not None:
            assert "agrees with the rule" in str(packet.why(drawn, f.name))
    numbers = [
        f for f in drawn._fields if f.kind.wire == "coded" and f.rule is None and getattr(header, f.slot) is not None
    ]
    if numbers:  # the same in more bytes than are needed
        f = data.draw(st.sampled_from(numbers))
        size = data.draw(st.integers(1, 12))
        assume(f.kind.fits(getattr(header, f.slot), size))
        wide = header.replace(**{f.name: Spelled(int(getattr(header, f.slot)), size)})
        try:
            built = bytes(wide / b"zz")
        except BuildError:  # a length of all that has no room for it
            return
        packet = dissect(built, drawn)
        assert packet == wide / b"zz" and bytes(packet) == built and not packet.faults
        assert bytes(packet.replace(payload=b"zz")) == built


def same(one: Any, other: Any) -> bool:
    """Whether two headers have the same values in the same bytes."""
    return (
        bool(one == other)
        and one._state == other._state
        and one._encode(one, b"", (one,), 0, None) == (other._encode(other, b"", (other,), 0, None))
    )


@given(
    declarations,
    st.lists(st.sampled_from([0, 1, 2, 3, 5, 64, 65, 127, 128, 129, 130, 255]) | st.integers(0, 255), max_size=24),
)
@settings(max_examples=amount(40, 1000), deadline=None)
def test_any_bytes_come_back_and_both_readers_agree(drawn: Any, numbers: list[int]) -> None:
    data = bytes(numbers)
    packet = dissect(data, drawn)
    assert isinstance(packet, Packet) and bytes(packet) == data
    seen, careful = Dissection(), Dissection()
    quick = drawn._decode(data, 0, len(data), seen)
    slow = walk(drawn._declaration, data, 0, len(data), careful)
    assert quick[1:] == slow[1:] and seen.faults == careful.faults and same(quick[0], slow[0])


def test_a_modulus_of_a_key_is_a_number(tmp_path: Path) -> None:
    """RFC 8017 appendix A.1.1: INTEGERs of 4096 bits, whose bytes Wireshark shows."""
    with bindings():
        class Key(Header, under=Ether, when={"type": 0x7D55}):
            tag: U8 = 2
            length: BERLength = auto(size_of("modulus"))
            modulus: Annotated[int, ber_integer(513)] = sized(field("length"), 0)
            size: U16 = auto(size_of("other"))
            other: Annotated[int, sized_int(512)] = sized(field("size"), 0)
            end: U8 = 9

        numbers = [0, 127, 1 << 4095, -(1 << 2047), (1 << 4096) - 1]
        wires = [bytes(Ether() / Key(modulus=number, other=abs(number))) for number in numbers]
        for number, wire in zip(numbers, wires, strict=True):
            read = dissect(wire)
            size = (number if number >= 0 else ~number).bit_length() // 8 + 1
            assert (read[Key].modulus, read[Key].other, read[Key].end, read[Key].length) == (number, abs(number), 9, size) and not read.faults
            assert bytes(read) == wire
        capture = Capture.of(wires)
        assert capture.where(f"key.modulus == {1 << 4095}").count() == 1 and capture.where("key.modulus < 0").count() == 1
        with pytest.raises(BuildError, match=r"-2\*\*n\.\.2\*\*n - 1, n = 4103"):
            Key(modulus=1 << 4103)
        need("tshark")
        with Writer(tmp_path / "keys.pcap") as writer:
            for wire in wires:
                writer.write(wire)
        shown = Tshark(tmp_path, Key).dissected(tmp_path / "keys.pcap")
        for wire, layers in zip(wires, shown, strict=True):
            layer = layers[-1]
            values = {one.get("name", "").rpartition(".")[2]: one.get("value") for one in layer.iter("field")}
            assert values["end"] == "09" and bytes.fromhex(values["modulus"] or "") in wire and len(values["modulus"] or "") == 2 * dissect(wire)[Key].length
