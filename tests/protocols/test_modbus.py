"""Modbus: over TCP (messaging guide 1.0b) as messages of a stream, on a serial line (over serial line 1.02) with CRC-16."""

from __future__ import annotations

import pytest

from packetlab import (
    TCP,
    U1,
    U8,
    U16,
    UDP,
    Capture,
    Ether,
    Header,
    IPv4,
    Payload,
    U16le,
    Verdict,
    auto,
    computed,
    const,
    count_of,
    crc,
    dissect,
    field,
    many,
    recalled,
    receiver,
    sender,
    size_of,
    spare_bits,
)
from tests.protocols.oracle import Ask, alike, cut, family, packets_of, sound, spoilt
from tests.protocols.reading import of
from tests.protocols.scope import Scope

with (scope := Scope()):

    class MBAP(Header, under=TCP, when={"port": 502}, stream=True):
        transaction: U16 = 0
        protocol: U16 = const(0)
        length: U16 = auto(size_of("payload") + 1)
        unit: U8 = 1

    class ModbusRequest(Header, under=MBAP, when=field("TCP.dport") == 502, bit_order="low"):
        function: U8 = 3

    class ModbusReply(Header, under=MBAP, when=field("TCP.dport") != 502, bit_order="low"):
        function: U8 = 3

    ASKED = field("MBAP.transaction")

    class Read(ModbusRequest, when={"function": (1, 2, 3, 4)}, remembers={("modbus", sender(), receiver(), ASKED): field("count")}):
        start: U16 = 0
        count: U16 = 1

    class Write(ModbusRequest, when={"function": (5, 6)}):
        address: U16 = 0
        value: U16 = 0

    class Diagnose(ModbusRequest, when={"function": 8}):
        code: U16 = 0
        data: U16 = 0

    class WriteBits(ModbusRequest, when={"function": 15}):
        start: U16 = 0
        count: U16 = auto(count_of("coils"))
        size: U8 = auto((count_of("coils") + 7) // 8)
        coils: tuple[U1, ...] = many(count=field("count"))
        spare: int = spare_bits()

    class WriteWords(ModbusRequest, when={"function": 16}):
        start: U16 = 0
        count: U16 = auto(count_of("words"))
        size: U8 = auto(size_of("words"))
        words: tuple[U16, ...] = many()

    class ReadBitsReply(ModbusReply, when={"function": (1, 2)}):
        """Those of whole bytes; how many of them were asked for, the request says."""

        size: U8 = auto(count_of("coils") // 8)
        asked: int = computed(recalled("modbus", receiver(), sender(), ASKED, default=0))
        coils: tuple[U1, ...] = many(count=field("size") * 8)

    class ReadWordsReply(ModbusReply, when={"function": (3, 4)}):
        size: U8 = auto(size_of("words"))
        words: tuple[U16, ...] = many()

    class WriteReply(ModbusReply, when={"function": (5, 6)}):
        address: U16 = 0
        value: U16 = 0

    class DiagnoseReply(ModbusReply, when={"function": 8}):
        code: U16 = 0
        data: U16 = 0

    class WrittenReply(ModbusReply, when={"function": (15, 16)}):
        start: U16 = 0
        count: U16 = 0

    class Refused(ModbusReply, when=field("function") >= 128):
        function = 0x83
        reason: U8 = 2

    class RTU(Header):
        unit: U8 = 1
        body: Payload = b""
        crc: U16le = auto(crc("CRC-16/MODBUS", "self", "payload"))


CAPTURES = ["modbus/modbus-eit.pcap", "modbus/modbusFrames.pcap", "modbus/modbusSmall.pcap"]
READINGS = {
    "mbtcp.trans_id": of(MBAP, lambda h: h.transaction),
    "mbtcp.len": of(MBAP, lambda h: h.length),
    "mbtcp.unit_id": of(MBAP, lambda h: h.unit),
    "modbus.func_code": of(Header, lambda h: h.function % 128 if isinstance(h, ModbusRequest | ModbusReply) else None),
    "modbus.exception_code": of(Refused, lambda h: h.reason),
    "modbus.word_cnt": of(
        Header,
        lambda h: h.count if isinstance(h, Read | WriteWords | WrittenReply) and h.function in (3, 4, 16) else None,
    ),
    "modbus.bit_cnt": of(
        Header,
        lambda h: h.count if isinstance(h, Read | WriteBits | WrittenReply) and h.function in (1, 2, 15) else None,
    ),
    "modbus.byte_cnt": of(
        Header, lambda h: h.size if isinstance(h, ReadBitsReply | ReadWordsReply | WriteBits | WriteWords) else None
    ),
    "modbus.regval_uint16": of(Header, lambda h: h.words if isinstance(h, ReadWordsReply | WriteWords) else None),
    "modbus.bitval": of(Header, lambda h: [str(one) for one in h.coils[: h.asked or None]] if isinstance(h, ReadBitsReply) else None),
    "modbus.diagnostic_code": of(Header, lambda h: h.code if isinstance(h, Diagnose | DiagnoseReply) else None),
}


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_like_tshark(tshark: Ask, name: str) -> None:
    sound(alike(tshark, family(name), READINGS), MBAP)


BITS = (1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)


def test_the_example_of_the_specification_is_these_coils() -> None:
    """MODBUS Application Protocol 1.1b, 6.11: ten coils from 20 on."""
    assert bytes(WriteBits(start=19, coils=BITS[:10])) == bytes.fromhex("0f 0013 000a 02 cd01")


def test_tshark_reads_what_we_build(tshark: Ask) -> None:
    asking = [
        Read(start=107, count=3),
        Read(function=1, start=19, count=37),
        Write(address=1, value=3),
        WriteBits(start=19, coils=BITS[:10]),
        WriteWords(start=1, words=(10, 258)),
    ]
    replies = [ReadWordsReply(words=(555, 0, 100)), ReadBitsReply(coils=(*BITS, 0, 1, 0, 0, 1, 1, 0, 1)), Refused(reason=2)]
    up = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(dport=502, flags="ACK")
    down = Ether() / IPv4(src="10.0.0.2", dst="10.0.0.1") / TCP(sport=502, flags="ACK")
    made = [up.replace(TCP, sport=2000 + i) / MBAP(transaction=i) / one for i, one in enumerate(asking)]
    made += [down.replace(TCP, dport=3000 + i) / MBAP(transaction=i) / one for i, one in enumerate(replies)]
    sound(alike(tshark, made, READINGS), MBAP)


def test_several_in_a_segment_and_one_over_two() -> None:
    data = b"".join(bytes(MBAP(transaction=i) / Read(start=i)) for i in range(4))
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=2000, dport=502, flags="ACK", seq=1)
    first = dissect(bytes(low / data))
    assert [one[Read].start for one in first.messages(MBAP)] == [0, 1, 2, 3]
    found = list(Capture.of([*(low / data).segments(17)]).messages(MBAP))
    assert [(one.packet[Read].start, one.numbers) for one in found] == [(0, (1,)), (1, (1, 2)), (2, (2, 3)), (3, (3,))]
    for one in found:
        assert type(one.packet[ModbusRequest]) is Read


# Modbus over serial line, 6.2.2, and the tables of many makers of devices: request and its CRC, the low byte first.
VECTORS = ["01 03 00 6b 00 03 74 17", "11 03 00 6b 00 03 76 87", "01 06 00 01 00 03 98 0b", "11 05 00 ac ff 00 4e 8b"]


@pytest.mark.parametrize("vector", VECTORS)
def test_on_a_serial_line_the_crc_is_that_of_known_frames(tshark: Ask, vector: str) -> None:
    data = bytes.fromhex(vector)
    packet = dissect(data, RTU)
    assert not packet.faults and packet.verdict(RTU) is Verdict.GOOD
    assert bytes(RTU(unit=data[0]) / data[1:-2]) == data
    assert dissect(bytes([data[0] ^ 1]) + data[1:], RTU).verdict(RTU) is Verdict.BAD
    # tshark reads the same over UDP.
    low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=502, dport=502)
    ask = {"mbrtu.unit_id": lambda _: data[0], "mbrtu.crc16": lambda _: int.from_bytes(data[-2:])}
    alike(tshark, [low / data], ask, "-d", "udp.port==502,mbrtu", "-o", "mbrtu.crc_verification:TRUE")


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    read = [one for name in CAPTURES for one in packets_of(name) if MBAP in one]
    assert {"ReadWordsReply.words", "MBAP.length"} & cut(read[:30], MBAP)
    spoilt(read[:30], MBAP)
