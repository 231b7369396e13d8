"""What users of other libraries asked theirs for, said in our words: each test names the reports it comes from."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Annotated, Any

import pytest

from packetlab import (
    U1,
    U2,
    U3,
    U6,
    U7,
    U8,
    U11,
    U12,
    U16,
    U20,
    U32,
    Bytes,
    DeclareError,
    Header,
    IPv4Address,
    IPv6Address,
    Payload,
    TCPOption,
    U16le,
    Verdict,
    auto,
    bindings,
    const,
    count_of,
    crc,
    crc32,
    declare_from,
    describe,
    dissect,
    field,
    fixed_bytes,
    many,
    offset_of,
    pad,
    size_of,
    sized,
    spare_bits,
    when,
)
from packetlab.schema.source import class_body


class Told(Header):
    size: U8 = auto(size_of("data"))
    data: Bytes = b""
    more: U8 | None = when(field("^.version") == 2)


class TestFills:
    """secdev/scapy#4142: a fill of another byte than 0."""

    def test_a_field_is_filled_up_to_six_bytes(self) -> None:
        class Name(Header):
            n: U8 = auto(size_of("name"))
            name: Bytes = b""
            fill: Bytes = pad(6, fill=b"\xff")

        assert bytes(Name(name=b"AB")) == b"\2AB\xff\xff\xff"
        packet = dissect(b"\2AB\xff\xff\xffZ", Name)
        assert packet.payload == b"Z" and packet[Name] == Name(name=b"AB")
        assert bytes(packet.replace(Name, name=b"ABCDEF", fill=auto)) == b"\6ABCDEF" + b"\xff" * 5 + b"Z"
        assert bytes(packet.replace(Name, fill=b"\0\0\0")) == b"\2AB\0\0\0Z"

    def test_a_gap_before_an_offset(self) -> None:
        class Placed(Header):
            offset: U8 = auto(offset_of("blob"))
            size: U8 = auto(size_of("blob"))
            gap: Bytes = pad(4, to=field("offset"), fill=b"{")
            blob: Bytes = sized(field("size"))

        assert bytes(Placed(blob=b"ab")) == b"\4\2{{ab"
        assert bytes(Placed(offset=7, blob=b"ab")) == b"\7\2{{{{{ab"
        assert dissect(b"\4\2{{ab", Placed)[Placed] == Placed(blob=b"ab")

    def test_options_are_filled_up_with_no_operation(self) -> None:
        class Options(Header):
            options: tuple[TCPOption, ...] = many(align=4, fill=b"\1")

        made = Options(options=(TCPOption(kind=3, data=b"\7"),))
        assert bytes(made) == b"\3\3\7\1"
        read = dissect(bytes(made), Options)[Options]
        assert read.options == (TCPOption(kind=3, data=b"\7"), TCPOption(kind=1))  # which no-operation is: an option

    def test_items_that_are_counted_or_sized(self) -> None:
        class Entry(Header):
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Counted(Header):
            count: U8 = auto(count_of("entries"))
            entries: tuple[Entry, ...] = many(count=field("count"), align=4, fill=b"\xff")
            last: U8 = 9

        class Around(Header):
            version: U8 = const(1)
            about: U8 = auto(size_of("items"))
            items: tuple[Told, ...] = many(size=field("about"), align=4, fill=b"\xee")

        entries = Entry(data=b"a"), Entry(data=b"bc")
        data = b"\2\1a\2bc\xff\xff\xff\x09"
        assert bytes(Counted(entries=entries)) == data
        packet = dissect(data, Counted)
        assert packet[Counted] == Counted(entries=entries) and packet[Counted].last == 9 and not packet.faults
        spoilt = data[:7] + b"\0" + data[8:]
        (fault,) = dissect(spoilt, Counted).faults
        assert str(fault).startswith(
            "Counted.entries: expected 3 bytes 0xff that fill the items up to a multiple of 4 bytes"
        )
        assert bytes(dissect(spoilt, Counted)) == spoilt
        told = Around(items=(Told(data=b"abcd"),))
        assert bytes(told) == b"\1\x08\4abcd\xee\xee\xee"
        assert dissect(bytes(told), Around)[Around] == told and not dissect(bytes(told), Around).faults

    def test_declarations_travel_with_it(self) -> None:
        class Filled(Header):
            n: U8 = auto(count_of("options"))
            options: tuple[TCPOption, ...] = many(count=field("n"), align=4, fill=b"\1")
            fill: Bytes = pad(8, fill=b"\xff")

        data = json.loads(json.dumps(describe(Filled)))
        with bindings():
            again: Any = declare_from(data)[0]
        source = class_body(data)
        assert describe(again) == data
        assert bytes(again(options=(TCPOption(kind=3, data=b"\7"),))) == b"\1\3\3\7\1\xff\xff\xff"
        assert "align=4, fill=b'\\x01')" in source and "pad(8, fill=b'\\xff')" in source

    @pytest.mark.parametrize("fill", [b"", b"ab", 255, "x", None])
    def test_what_is_no_byte_is_refused(self, fill: Any) -> None:
        with pytest.raises(DeclareError, match="one byte"):
            pad(4, fill=fill)
        with pytest.raises(DeclareError, match="one byte"):
            many(align=4, fill=fill)
        with pytest.raises(DeclareError, match="no align"):
            many(fill=b"\1")


class TestItemsGoByTheHeaderAround:
    """secdev/scapy#1995, construct/construct#382."""

    def test_their_size_is_told_by_it(self) -> None:  # Bluetooth ATT, Read By Type
        class Pair(Header):
            handle: U16le = 0
            value: Bytes = sized(field("^.length") - 2)

        class ReadByType(Header):
            length: U8 = 7
            pairs: tuple[Pair, ...] = many()

        for size, data in ((7, "0200020300002a 0400020500012a"), (4, "0100aabb 0200ccdd 0300eeff")):
            values = bytes.fromhex(data)
            packet = dissect(bytes([size]) + values, ReadByType)
            pairs = packet[ReadByType].pairs
            assert len(pairs) == len(values) // size and not packet.faults
            assert pairs[-1].value == values[-size + 2 :]
            assert bytes(ReadByType(length=size, pairs=pairs)) == bytes(packet)

    def test_a_field_of_theirs_is_there_in_version_2_of_it(self) -> None:
        class Entry(Header):
            id: U8 = 0
            weight: U8 | None = when(field("^.version") == 2, 0)

        class Table(Header):
            version: U8 = 1
            entries: tuple[Entry, ...] = many()

        assert len(dissect(b"\1\5\6\7\x08", Table)[Table].entries) == 4
        found = dissect(b"\2\5\6\7\x08", Table)[Table]
        assert found.entries == (Entry(id=5, weight=6), Entry(id=7, weight=8))

    def test_addresses_have_the_size_that_it_says(self) -> None:  # as in BGP, PIM, Kerberos
        class Hop(Header):
            address: Bytes = sized(field("^.size"))

        class Way(Header):
            size: U8 = 4
            hops: tuple[Hop, ...] = many()

        data = b"\x10" + bytes(range(32))
        hops = dissect(data, Way)[Way].hops
        assert [hop.address for hop in hops] == [data[1:17], data[17:]]
        assert len(dissect(b"\4" + data[1:], Way)[Way].hops) == 8

    def test_addresses_of_either_family_by_its_family(self) -> None:
        class Hop(Header):
            four: IPv4Address | None = when(field("^.size") == 4)
            six: IPv6Address | None = when(field("^.size") == 16)

        class Way(Header):
            size: U8 = 4
            hops: tuple[Hop, ...] = many()

        for size, count in ((4, 8), (16, 2)):
            data = bytes([size]) + bytes(range(32))
            packet = dissect(data, Way)
            assert len(packet[Way].hops) == count and bytes(packet) == data and not packet.faults


class TestLowBitsFirst:
    """construct/construct#943, #402, #809, kaitai-io/kaitai_struct#484."""

    def test_a_little_endian_word_of_16_bits(self) -> None:
        class Misc(Header, bit_order="low"):  # struct { uint16_t charging:3, level:7, brightness:6; }
            charging: U3 = 0
            level: U7 = 0
            brightness: U6 = 0

        word = struct.pack("<H", 5 | 100 << 3 | 33 << 10)
        assert bytes(Misc(charging=5, level=100, brightness=33)) == word
        read = dissect(word, Misc)[Misc]
        assert (read.charging, read.level, read.brightness) == (5, 100, 33)

    def test_a_little_endian_word_of_32_bits_with_a_field_over_a_byte_border(self) -> None:
        class Word(Header, bit_order="low"):
            flag: U1 = 0
            value: U20 = 0
            rest: U11 = 0

        word = struct.pack("<I", 1 | 0xABCDE << 1 | 5 << 21)
        read = dissect(word, Word)[Word]
        assert (read.flag, read.value, read.rest) == (1, 0xABCDE, 5)
        assert bytes(Word(flag=1, value=0xABCDE, rest=5)) == word

    def test_frame_control_of_802_15_4(self) -> None:
        class Control(Header, bit_order="low"):
            kind: U3 = 0
            security: U1 = 0
            pending: U1 = 0
            ack: U1 = 0
            compression: U1 = 0
            reserved: U3 = 0
            dst_mode: U2 = 0
            version: U2 = 0
            src_mode: U2 = 0

        read = dissect(bytes.fromhex("6188"), Control)[Control]
        assert (read.kind, read.ack, read.compression, read.dst_mode, read.src_mode) == (1, 1, 1, 2, 2)
        assert bytes(Control(kind=1, ack=1, compression=1, dst_mode=2, src_mode=2)).hex() == "6188"

    def test_samples_of_12_bits_two_in_three_bytes(self) -> None:
        class Samples(Header, bit_order="low"):
            one: U12 = 0
            two: U12 = 0

        class Many(Header, bit_order="low"):
            samples: tuple[U12, ...] = many(count=2)

        data = bytes.fromhex("236145")
        read = dissect(data, Samples)[Samples]
        assert (read.one, read.two) == (0x123, 0x456)
        assert dissect(data, Many)[Many].samples == (0x123, 0x456)
        assert bytes(Samples(one=0x123, two=0x456)) == bytes(Many(samples=(0x123, 0x456))) == data

    def test_a_bitmap_of_144_bits(self) -> None:
        class Seen(Header, bit_order="low"):
            seen: tuple[U1, ...] = many(count=144)

        data = bytes([0b00000101]) + bytes(16) + bytes([0x80])
        read = dissect(data, Seen)[Seen]
        assert [n for n in range(144) if read.seen[n]] == [0, 2, 143] and bytes(read) == data
        assert bytes(Seen(seen=tuple(int(n in (0, 2, 143)) for n in range(144)))) == data

    def test_as_many_coils_as_a_count_says(self) -> None:  # Modbus, Read Coils: bytes, and bits in them
        class Coils(Header, bit_order="low"):
            count: U16 = auto(count_of("coils"))
            coils: tuple[U1, ...] = many(count=field("count"))
            spare: int = spare_bits()

        made = Coils(coils=(1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0))
        assert bytes(made).hex() == "000bcd03"
        assert dissect(bytes(made), Coils)[Coils] == made


class TestSums:
    """construct/construct#354, kaitai-io/kaitai_struct#27."""

    def test_crc_of_modbus(self) -> None:
        class Modbus(Header):
            station: U8 = 1
            function: U8 = 3
            data: Annotated[bytes, fixed_bytes(4)] = bytes(4)
            crc: U16le = auto(crc("CRC-16/MODBUS", "station", "function", "data"))

        frame = bytes.fromhex("010300000002c40b")
        assert bytes(Modbus(data=frame[2:6])) == frame
        assert dissect(frame, Modbus).verdict(Modbus, "crc") is Verdict.GOOD
        assert dissect(frame[:-1] + b"\0", Modbus).verdict(Modbus, "crc") is Verdict.BAD

    def test_lengths_and_sums_follow_edits(self) -> None:
        class Chunk(Header):
            magic: Annotated[bytes, fixed_bytes(4)] = const(b"CHNK")
            length: U32 = auto(size_of("payload"))
            payload: Payload = b""
            crc: U32 = auto(crc32("self", "payload"))

        made = Chunk() / b"hello"
        assert bytes(made)[-4:] == struct.pack("!I", zlib.crc32(b"CHNK\0\0\0\5hello"))
        longer = dissect(bytes(made), Chunk).replace(payload=b"hello, world")
        assert longer[Chunk].length == 12 and longer.verdict(Chunk, "crc") is Verdict.GOOD
        assert bytes(Chunk(length=9) / b"hello")[4:8] == b"\0\0\0\x09"  # a wrong one on purpose stays
