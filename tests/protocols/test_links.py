"""What lies between the wire and the fields: stuffing, scrambling, compression, encryption, and functions of one's own."""

from __future__ import annotations

import zlib as python_zlib
from binascii import crc_hqx
from typing import Annotated

from cobs import cobs as other_cobs  # type: ignore[import-untyped]

from packetlab import (
    MAC,
    U8,
    U16,
    U32,
    Bytes,
    Header,
    Payload,
    Text,
    U16le,
    Verdict,
    aead,
    auto,
    ble_whitened,
    cobs,
    crc,
    default,
    dissect,
    field,
    fixed_bytes,
    hdlc,
    link_type,
    named,
    secret,
    secrets,
    size_of,
    sized,
    slip,
    span,
    through,
    whitened,
    zlib,
)
from tests.protocols.oracle import Ask, alike, cut, sound, spoilt
from tests.protocols.scope import Scope

with (scope := Scope()):

    class PPPSerial(Header, through=hdlc()):
        """PPP in HDLC-like framing (RFC 1662)."""

        address: U8 = 0xFF
        control: U8 = 3
        protocol: U16 = 0xC021
        body: Payload = b""
        fcs: U16le = auto(crc("CRC-16/IBM-SDLC", "self", "payload"))

    class Scrambled(Header):
        """A frame whose checksum goes over what is scrambled, as it is on the wire."""

        length: U8 = auto(size_of("body"))
        body: Bytes = through(whitened(0x211, 0x1FF), sized(field("length")))
        crc: U16 = auto(crc("CRC-16/XMODEM", "length", "body"))

    class AdvertisingFrame(Header):
        pdu: U8 = 0
        length: U8 = auto(size_of("sender") + size_of("data"))
        sender: MAC = default("00:00:00:00:00:00")
        data: Bytes = b""
        crc: Annotated[bytes, fixed_bytes(3)] = bytes(3)

    class Advertising(Header):
        """Bluetooth LE, channel 37: whitened after the address, the checksum among what is whitened (Core 5.4, 6.B.3)."""

        access: U32 = 0xD6BE898E
        frame: AdvertisingFrame = through(ble_whitened(37))

    class Reading(Header):
        kind: U8 = 0
        value: U16 = 0

    class Stuffed(Header, through=cobs()):
        reading: Reading = Reading()
        crc: U16 = auto(crc("CRC-16/XMODEM", "reading"))

    class Slip(Header, through=slip()):
        kind: U8 = 1
        body: Payload = b""

    class Inside(Header):
        number: U32 = 0
        text_size: U16 = auto(size_of("text"))
        text: Text = ""
        crc: U32 = auto(crc("CRC-32/ISO-HDLC", span("number", "text")))

    class Packed(Header):
        length: U16 = auto(size_of("inside"))
        inside: Inside = through(zlib(), sized(field("length")))

    class Sealed(Header):
        """AES-GCM as in NIST's vectors: what stands before is authenticated."""

        nonce: Annotated[bytes, fixed_bytes(12)] = bytes(12)
        length: U16 = auto(size_of("inside"))
        inside: Inside = through(
            aead("AES-GCM", key=secret("protocols"), nonce=field("nonce"), aad="self"), sized(field("length"))
        )

    class Own(Header):
        length: U8 = auto(size_of("body"))
        body: Bytes = through(
            named("mirrored", lambda data: data[::-1], lambda data: data[::-1]), sized(field("length"))
        )

    link_type(147, PPPSerial)


# RFC 1662 and the examples of COBS's paper (Cheshire and Baker, 1997), and its page in Wikipedia.
COBS = {
    "00": "01 01", "00 00": "01 01 01", "00 11 00": "01 02 11 01", "11 22 00 33": "03 11 22 02 33",
    "11 22 33 44": "05 11 22 33 44", "11 00 00 00": "02 11 01 01 01",
}  # fmt: skip


def test_cobs_is_that_of_known_vectors_and_of_another_program() -> None:
    for data, stuffed in COBS.items():
        assert other_cobs.encode(bytes.fromhex(data)) == bytes.fromhex(stuffed)
    for kind, value in ((0, 0), (1, 0x1100), (255, 0xFFFF), (0, 17)):
        made = Stuffed(reading=Reading(kind=kind, value=value))
        inside = other_cobs.decode(bytes(made).rstrip(b"\0"))
        assert inside[:3] == bytes([kind, value >> 8, value & 255])
        assert int.from_bytes(inside[3:]) == crc_hqx(inside[:3], 0)
        read = dissect(bytes(made), Stuffed)
        assert not read.faults and read[Stuffed].reading.value == value and read.verdict(Stuffed) is Verdict.GOOD


def test_ppp_on_a_serial_line(tshark: Ask) -> None:
    made = PPPSerial() / bytes.fromhex("01 01 00 08 02 06 7e 7d")
    stuffed = bytes(made)
    assert stuffed[0] == stuffed[-1] == 0x7E and stuffed.count(0x7E) == 2
    assert bytes.fromhex("7d 5e 7d 5d") in stuffed
    plain = bytes.fromhex("ff 03 c0 21 01 01 00 08 02 06 7e 7d")
    read = dissect(stuffed, PPPSerial)
    sound([read], PPPSerial)
    assert read.verdict(PPPSerial) is Verdict.GOOD and read.payload == plain[4:]
    # tshark reads what is inside, and finds the same sum of it.
    ask = {"ppp.protocol": lambda _: 0xC021, "ppp.fcs_16": lambda _: read[PPPSerial].fcs, "ppp.fcs.status": lambda _: 1}
    inside = plain + read[PPPSerial].fcs.to_bytes(2, "little")
    alike(tshark, [inside], ask, "-o", "ppp.fcs_type:16-Bit", linktype=50)


def test_whitening_is_that_of_the_specifications() -> None:
    # The bits of channel 37, which the Core Specification's sample data has too; PN9 of TI's design note DN509.
    made = bytes(Advertising(frame=AdvertisingFrame(data=b"hello")))
    assert made[4:12].hex(" ") == f"8d {0xD2 ^ 11:02x} 57 a1 3d a7 66 b0"
    read = dissect(made, Advertising)[Advertising].frame
    assert read == AdvertisingFrame(data=b"hello") and len(made) == 4 + 2 + 11 + 3
    assert bytes(Scrambled(body=bytes(8)))[1:9].hex(" ") == "ff c1 fb e8 4c 90 72 8b"


def test_a_checksum_over_what_is_scrambled() -> None:
    data = bytes(Scrambled(body=b"hello"))
    assert int.from_bytes(data[-2:]) == crc_hqx(data[:-2], 0) and b"hello" not in data
    read = dissect(data, Scrambled)
    assert read[Scrambled].body == b"hello" and read.verdict(Scrambled) is Verdict.GOOD
    assert dissect(data[:2] + b"?" + data[3:], Scrambled).verdict(Scrambled) is Verdict.BAD


def test_compression_with_a_checksum_inside() -> None:
    data = bytes(Packed(inside=Inside(number=7, text="a" * 500)))
    plain = python_zlib.decompress(data[2:])
    assert len(data) < 60 and plain[:6] == b"\0\0\0\7\1\xf4"
    assert int.from_bytes(plain[-4:]) == python_zlib.crc32(plain[:-4])
    read = dissect(data, Packed)
    assert bytes(read) == data and not read.faults
    other = b"\0\0\0\1\0\1x"
    sent = python_zlib.compress(other + python_zlib.crc32(other).to_bytes(4), 1)
    again = dissect(len(sent).to_bytes(2) + sent, Packed)
    assert again[Packed].inside.text == "x" and bytes(again)[2:] == sent
    assert again.replace(Packed, inside=Inside(text="y"))[Packed].inside.text == "y"


def test_aes_gcm_is_that_of_another_program() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key, nonce = bytes(range(16)), bytes(range(12))
    with secrets({"protocols": key}):
        data = bytes(Sealed(nonce=nonce, inside=Inside(number=7, text="sealed")))
        plain = AESGCM(key).decrypt(nonce, data[14:], data[:14])
        assert plain[:12] == b"\0\0\0\7\0\6sealed"
        read = dissect(data, Sealed)
        assert read[Sealed].inside.text == "sealed" and not read.faults
        assert [one.field for one in dissect(b"\1" + data[1:], Sealed).faults] == ["inside"]
    assert [one.field for one in dissect(data, Sealed).faults] == ["inside"]


def test_functions_of_ones_own() -> None:
    data = bytes(Own(body=b"abc"))
    assert data == b"\3cba" and dissect(data, Own)[Own].body == b"abc"


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    made: dict[type[Header], bytes] = {
        Stuffed: bytes(Stuffed(reading=Reading(kind=3))), Slip: bytes(Slip() / b"a\xc0b"), PPPSerial: bytes(PPPSerial() / b"}~"),
        Scrambled: bytes(Scrambled(body=b"hello")), Packed: bytes(Packed(inside=Inside(text="x"))), Own: b"\3cba",
    }  # fmt: skip
    for header, data in made.items():
        read = [dissect(data, header)]
        assert cut(read, header) & {header.__name__, *(f"{header.__name__}.{f.name}" for f in header._fields)}
        spoilt(read, header)
