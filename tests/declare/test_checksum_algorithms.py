"""Algorithms of checksums against what is not ours: the catalogue's check values, zlib, binascii, standards, bit by bit."""

from __future__ import annotations

import binascii
import struct
import zlib

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import DeclareError, crc, fletcher, sum8, sum16, sum32
from packetlab.declare.checksums.algorithms import Algorithm, internet
from packetlab.declare.checksums.catalogue import ALIASES, CRC32, CRC32C, CRCS, SCTP, named_crc
from packetlab.declare.checksums.crc import crc_algorithm
from packetlab.declare.checksums.simple import (
    ADLER32,
    INVERTED,
    ISO,
    NEGATED,
    PLAIN,
    XOR8,
    fletcher_algorithm,
    sum_algorithm,
)
from packetlab.declare.expressions import Checksum
from tests.conftest import amount

CHECKS = """
CRC-3/GSM 4
CRC-3/ROHC 6
CRC-4/G-704 7
CRC-4/INTERLAKEN b
CRC-5/EPC-C1G2 0
CRC-5/G-704 7
CRC-5/USB 19
CRC-6/CDMA2000-A d
CRC-6/CDMA2000-B 3b
CRC-6/DARC 26
CRC-6/G-704 6
CRC-6/GSM 13
CRC-7/MMC 75
CRC-7/ROHC 53
CRC-7/UMTS 61
CRC-8/AUTOSAR df
CRC-8/BLUETOOTH 26
CRC-8/CDMA2000 da
CRC-8/DARC 15
CRC-8/DVB-S2 bc
CRC-8/GSM-A 37
CRC-8/GSM-B 94
CRC-8/HITAG b4
CRC-8/I-432-1 a1
CRC-8/I-CODE 7e
CRC-8/LTE ea
CRC-8/MAXIM-DOW a1
CRC-8/MIFARE-MAD 99
CRC-8/NRSC-5 f7
CRC-8/OPENSAFETY 3e
CRC-8/ROHC d0
CRC-8/SAE-J1850 4b
CRC-8/SMBUS f4
CRC-8/TECH-3250 97
CRC-8/WCDMA 25
CRC-10/ATM 199
CRC-10/CDMA2000 233
CRC-10/GSM 12a
CRC-11/FLEXRAY 5a3
CRC-11/UMTS 61
CRC-12/CDMA2000 d4d
CRC-12/DECT f5b
CRC-12/GSM b34
CRC-12/UMTS daf
CRC-13/BBC 4fa
CRC-14/DARC 82d
CRC-14/GSM 30ae
CRC-15/CAN 59e
CRC-15/MPT1327 2566
CRC-16/ARC bb3d
CRC-16/CDMA2000 4c06
CRC-16/CMS aee7
CRC-16/DDS-110 9ecf
CRC-16/DECT-R 7e
CRC-16/DECT-X 7f
CRC-16/DNP ea82
CRC-16/EN-13757 c2b7
CRC-16/GENIBUS d64e
CRC-16/GSM ce3c
CRC-16/IBM-3740 29b1
CRC-16/IBM-SDLC 906e
CRC-16/ISO-IEC-14443-3-A bf05
CRC-16/KERMIT 2189
CRC-16/LJ1200 bdf4
CRC-16/M17 772b
CRC-16/MAXIM-DOW 44c2
CRC-16/MCRF4XX 6f91
CRC-16/MODBUS 4b37
CRC-16/NRSC-5 a066
CRC-16/OPENSAFETY-A 5d38
CRC-16/OPENSAFETY-B 20fe
CRC-16/PROFIBUS a819
CRC-16/RIELLO 63d0
CRC-16/SPI-FUJITSU e5cc
CRC-16/T10-DIF d0db
CRC-16/TELEDISK fb3
CRC-16/TMS37157 26b1
CRC-16/UMTS fee8
CRC-16/USB b4c8
CRC-16/XMODEM 31c3
CRC-17/CAN-FD 4f03
CRC-21/CAN-FD ed841
CRC-24/BLE c25a56
CRC-24/FLEXRAY-A 7979bd
CRC-24/FLEXRAY-B 1f23b8
CRC-24/INTERLAKEN b4f3e6
CRC-24/LTE-A cde703
CRC-24/LTE-B 23ef52
CRC-24/OPENPGP 21cf02
CRC-24/OS-9 200fa5
CRC-30/CDMA 4c34abf
CRC-31/PHILIPS ce9e46c
CRC-32/AIXM 3010bf7f
CRC-32/AUTOSAR 1697d06a
CRC-32/BASE91-D 87315576
CRC-32/BZIP2 fc891918
CRC-32/CD-ROM-EDC 6ec2edc4
CRC-32/CKSUM 765e7680
CRC-32/ISCSI e3069283
CRC-32/ISO-HDLC cbf43926
CRC-32/JAMCRC 340bc6d9
CRC-32/MEF d2c22f51
CRC-32/MPEG-2 376e6e7
CRC-32/XFER bd0be338
CRC-40/GSM d4164fc646
CRC-64/ECMA-182 6c40df5f0b497347
CRC-64/GO-ISO b90956c775a41001
CRC-64/MS 75d4b74f024eceea
CRC-64/NVME ae8b14860a799888
CRC-64/REDIS e9c6d914c4b8d9ca
CRC-64/WE 62ec59e3f1a4f00a
CRC-64/XZ 995dc9bbdf1939fa
CRC-82/DARC 9ea83f625023801fd612
"""
"""What each CRC of the catalogue gives for b"123456789", by the catalogue."""


def test_every_crc_of_the_catalogue_gives_its_check_value() -> None:
    checks = {name: int(value, 16) for name, value in (line.split() for line in CHECKS.split("\n")[1:-1])}
    assert {name: named_crc(name, "").sum(b"123456789") for name in CRCS} == checks
    assert len(checks) == 113 and set(ALIASES.values()) <= set(CRCS) and not set(ALIASES) & set(CRCS)
    assert (CRC32.sum(b"123456789"), CRC32C.sum(b"123456789")) == (0xCBF43926, 0xE3069283)
    assert SCTP.sum(b"123456789") == 0x839206E3


def by_bits(bits: int, poly: int, init: int, low: bool, out: bool, xor: int, data: bytes) -> int:
    """A CRC as the division that it is, a bit at a time."""
    register = init
    for byte in data:
        for place in range(8) if low else range(7, -1, -1):
            over = (register >> (bits - 1) ^ byte >> place) & 1
            register = (register << 1 & (1 << bits) - 1) ^ (poly if over else 0)
    return (int(f"{register:0{bits}b}"[::-1], 2) if out else register) ^ xor


@settings(max_examples=amount(150, 1500), deadline=None)
@given(st.data(), st.integers(1, 64), st.booleans(), st.booleans(), st.binary(max_size=40))
def test_any_crc_is_the_division_bit_by_bit(draw: st.DataObject, bits: int, low: bool, out: bool, data: bytes) -> None:
    numbers = st.integers(0, (1 << bits) - 1)
    known = {16: [0x1021, 0x8005], 32: [0x04C11DB7]}.get(bits, [])
    poly, init, xor = draw.draw(st.sampled_from(known) if known else numbers), draw.draw(numbers), draw.draw(numbers)
    assert crc_algorithm(bits, poly, init, low, out, xor).sum(data) == by_bits(bits, poly, init, low, out, xor, data)


@given(st.binary(max_size=300))
def test_crcs_and_adler_are_those_of_the_standard_library(data: bytes) -> None:
    assert named_crc("CRC-32", "").sum(data) == zlib.crc32(data) == CRC32.sum(data)
    assert named_crc("XMODEM", "").sum(data) == binascii.crc_hqx(data, 0)
    assert ADLER32.sum(data) == zlib.adler32(data)


@given(st.binary(max_size=60), st.booleans())
def test_sums_are_those_of_the_numbers(data: bytes, little: bool) -> None:
    for bits, unit, letter in ((8, 8, "B"), (16, 8, "B"), (16, 16, "H"), (32, 8, "B"), (32, 16, "H"), (32, 32, "I")):
        size = unit // 8
        padded = data + bytes(-len(data) % size)
        total = sum(struct.unpack(f"{'<' if little else '>'}{len(padded) // size}{letter}", padded))
        modulus = 1 << bits
        assert sum_algorithm(bits, unit, little, PLAIN).sum(data) == total % modulus
        assert sum_algorithm(bits, unit, little, INVERTED).sum(data) == modulus - 1 - total % modulus
        assert (sum_algorithm(bits, unit, little, NEGATED).sum(data) + total) % modulus == 0
    value = 0
    for byte in data:
        value ^= byte
    assert XOR8.sum(data) == value


@pytest.mark.parametrize(
    ("bits", "data", "value"),
    [
        (16, b"abcde", 0xC8F0), (16, b"abcdef", 0x2057), (16, b"abcdefgh", 0x0627),
        (32, b"abcde", 0xF04FC729), (32, b"abcdef", 0x56502D2A), (32, b"abcdefgh", 0xEBE19591),
        (64, b"abcde", 0xC8C6C527646362C6), (64, b"abcdef", 0xC8C72B276463C8C6), (64, b"abcdefgh", 0x312E2B28CCCAC8C6),
    ],
)  # fmt: skip
def test_fletcher_gives_the_published_values(bits: int, data: bytes, value: int) -> None:
    assert fletcher_algorithm(bits, True).sum(data) == value


@given(st.binary(max_size=300), st.sampled_from([16, 32, 64]), st.booleans())
def test_fletcher_modulo_a_power_of_two_is_that_by_hand(data: bytes, bits: int, little: bool) -> None:
    size, first, second = bits // 16, 0, 0
    for at in range(0, len(data), size):
        first = (first + int.from_bytes(data[at : at + size].ljust(size, b"\0"), "little" if little else "big")) % (1 << bits // 2)
        second = (second + first) % (1 << bits // 2)
    assert fletcher_algorithm(bits, little, power=True).sum(data) == second << bits // 2 | first


def test_sums_of_receivers_and_of_cars_are_those_of_their_documents() -> None:
    """u-blox, UBX-CFG-RATE of 200 ms; LIN 2.1 section 2.8.3, the example of a checksum with the carry."""
    ubx = bytes.fromhex("06080600c80001000100")
    assert fletcher_algorithm(16, False, power=True).sum(ubx).to_bytes(2, "little").hex() == "de6a"
    assert sum_algorithm(8, 8, False, INVERTED, carry=True).sum(bytes.fromhex("4a5593e5")) == 0xE6
    said = (fletcher(16, "self", modulus=256), sum8("self", invert=True, carry=True), fletcher(32, "self", modulus=65535), fletcher(32, "self"))
    assert [*map(str, said)] == ["fletcher(16, self, modulus=0x100)", "sum8(self, invert=True, carry=True)", "fletcher(32, self)", "fletcher(32, self)"]


@given(st.one_of(st.binary(max_size=300), st.integers(0, 9).map(bytes)), st.sampled_from([(8, 8), (16, 8), (16, 16), (32, 16), (32, 32)]))
def test_a_sum_with_the_carry_brought_round_is_that_by_hand(data: bytes, widths: tuple[int, int]) -> None:
    bits, unit = widths
    total = 0
    for at in range(0, len(data), unit // 8):
        total += int.from_bytes(data[at : at + unit // 8].ljust(unit // 8, b"\0"), "big")
        total = (total & (1 << bits) - 1) + (total >> bits)
    assert sum_algorithm(bits, unit, False, PLAIN, carry=True).sum(data) == total
    if widths == (16, 16):
        assert sum_algorithm(16, 16, False, INVERTED, carry=True).sum(data) == internet(data)


@given(st.binary(min_size=2, max_size=300), st.data())
def test_check_bytes_of_iso_bring_both_sums_to_zero(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data) - 2))
    blank = data[:at] + bytes(2) + data[at + 2 :]
    check = ISO.sum(blank, at).to_bytes(2, "big")
    first = second = 0
    for byte in data[:at] + check + data[at + 2 :]:
        first = (first + byte) % 255
        second = (second + first) % 255
    assert (first, second) == (0, 0) and 0 not in check
    assert ISO.same(0x00FF, 0xFF00) and not ISO.same(0x0001, 0x0100)


def test_names_and_parameters_say_the_same() -> None:
    named, other = crc("CRC-16/MODBUS", "self"), crc(16, "self", poly=0x8005, init=0xFFFF, reflect_in=True)
    assert isinstance(named, Checksum) and isinstance(other, Checksum)
    assert named.algorithm.parameters == other.algorithm.parameters
    assert str(named) == "CRC-16/MODBUS(self)"
    assert str(other) == "crc(16, self, poly=0x8005, init=0xffff, reflect_in=True)"
    assert str(sum16("self", unit=8, negate=True)) == "sum16(self, unit=8, negate=True)"
    assert isinstance(named.algorithm, Algorithm) and named.algorithm is named_crc("MODBUS", "")


def test_algorithms_that_there_are_not_are_refused_with_the_way_out() -> None:
    for make, complaint in (
        (lambda: crc("CRC-16/MODBUSS", "self"), "did you mean 'CRC-16/MODBUS'"),
        (lambda: crc("modbus", "self"), "did you mean 'MODBUS'"),
        (lambda: crc("CRC-16/MODBUS", "self", poly=3), "a name, or a number of bits with parameters"),
        (lambda: crc(16, "self"), "expected poly=, the polynomial, got none"),
        (lambda: crc(129, "self", poly=3), "1 to 128 bits"),
        (lambda: crc(0, "self", poly=3), "1 to 128 bits"),
        (
            lambda: crc(16, "self", poly=0x18005),
            "poly: expected a number of 16 bits, got 0x18005 .*without its highest bit",
        ),
        (lambda: crc(16, "self", poly=3, init=-1), "init: expected a number of 16 bits"),
        (lambda: crc(16, "self", poly=3, xor=1 << 16), "xor: expected a number of 16 bits"),
        (lambda: crc(16, "self", poly=3, reflect_in=1), "True or False"),  # type: ignore[arg-type]
        (lambda: crc(1.5, "self", poly=3), "a whole number"),  # type: ignore[arg-type]
        (lambda: sum8("self", invert=True, negate=True), "invert or negate, got both"),
        (lambda: sum16("self", unit=32), "8, 16 or 32 bits, 16 at most"),
        (lambda: sum32("self", unit=12), "8, 16 or 32 bits, 32 at most"),
        (lambda: fletcher(8, "self"), "16, 32 or 64 bits"),
        (lambda: fletcher(16, "self", modulus=257), "modulus: expected 255, which is the usual one, or 256, got 257"),
    ):
        with pytest.raises(DeclareError, match=complaint):
            make()
