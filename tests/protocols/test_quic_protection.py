"""QUIC's header protection (RFC 9001 section 5.4): bits of the first byte and the number of the packet are masked by what stands behind them.

The packet stands in a field that goes through the mask; inside, payloads are opened by the keys that version 1 has for Initial packets.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from packetlab import (
    U1,
    U2,
    U8,
    U32,
    UDP,
    Bytes,
    Capture,
    Ether,
    Header,
    IPv4,
    QuicInt,
    Rest,
    Transform,
    aead,
    auto,
    bits,
    const,
    dissect,
    field,
    fixed_bytes,
    must,
    named,
    secret,
    secrets,
    size_of,
    sized,
    through,
)
from tests.protocols.oracle import Ask, alike, cut, family, spoilt
from tests.protocols.scope import Scope

SALT = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")
Mask = Callable[[bytes], bytes]
"""16 bytes of a packet -> the mask of its first byte, and of the number."""


def expanded(value: bytes, label: str, size: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446 section 7.1)."""
    words = b"tls13 " + label.encode()
    return HKDFExpand(SHA256(), size, size.to_bytes(2, "big") + bytes((len(words),)) + words + b"\0").derive(value)


def keys(destination: bytes) -> dict[str, bytes]:
    """The client's keys of the Initial packets of a connection, by what its first packet has as its destination (section 5.2)."""
    client = expanded(hmac.digest(SALT, destination, "sha256"), "client in", 32)
    return {word: expanded(client, f"quic {word}", size) for word, size in (("key", 16), ("iv", 12), ("hp", 16))}


def by_aes(key: bytes) -> Mask:
    def mask(sample: bytes) -> bytes:
        work = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  so RFC 9001 section 5.4.3
        return work.update(sample) + work.finalize()

    return mask


def by_chacha(key: bytes) -> Mask:
    return lambda sample: Cipher(algorithms.ChaCha20(key, sample), None).encryptor().update(bytes(5))


def masked(data: bytes, place: int, mask: Mask, opening: bool) -> bytes:
    """Mask a packet whose number is at a place, or take the mask away; the number's size is in the bits below the mask."""
    over, some = mask(data[place + 4 : place + 20]), 0x0F if data[0] & 0x80 else 0x1F
    first = data[0] ^ over[0] & some
    size = ((first if opening else data[0]) & 3) + 1
    number = bytes(a ^ b for a, b in zip(data[place : place + size], over[1:], strict=False))
    return bytes((first,)) + data[1:place] + number + data[place + size :]


def mine(name: str, place: Callable[[bytes], int], mask: Callable[[bytes], Mask]) -> Transform:
    """Header protection of packets, by where their number is and what masks it."""
    return named(
        name,
        lambda data: masked(data, place(data), mask(data), True),
        lambda data: masked(data, place(data), mask(data), False),
    )


CHACHA = bytes.fromhex("25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4")  # of RFC 9001 appendix A.5
AGREED = 8  # bytes of the ids that this end gave out


with (scope := Scope()):

    class InitialHead(Header):
        """What is not masked, up to the length (RFC 9000 section 17.2.2)."""

        first: U8 = 0xC0
        version: U32 = 1
        destination_size: U8 = auto(size_of("destination"))
        destination: Bytes = b""
        source_size: U8 = auto(size_of("source"))
        source: Bytes = b""
        token_size: QuicInt = auto(size_of("token"))
        token: Bytes = b""
        length: QuicInt = 0

    class ClearInitial(Header):
        long: U1 = const(1)
        fixed: U1 = 1
        type: U2 = const(0)
        reserved: U2 = must(field("reserved") == 0, 0)
        number_size: U2 = 3
        version: U32 = 1
        destination_size: U8 = auto(size_of("destination"))
        destination: Bytes = b""
        source_size: U8 = auto(size_of("source"))
        source: Bytes = b""
        token_size: QuicInt = auto(size_of("token"))
        token: Bytes = b""
        length: QuicInt = auto(size_of("frames") + field("number_size") + 1)
        number: Annotated[int, bits((field("number_size") + 1) * 8)] = 0
        frames: Bytes = through(
            aead("AES-GCM", key=secret("quic key"), nonce=field("number"), iv=secret("quic iv"), aad="self"),
            sized(field("length") - field("number_size") - 1),
        )

    class MaskedInitial(Header, under=UDP, port=4433):
        packet: ClearInitial = through(
            mine("quic initial", lambda data: number_at(data), lambda data: by_aes(keys(head(data).destination)["hp"]))
        )

    class ClearShort(Header):
        long: U1 = const(0)
        fixed: U1 = 1
        spin: U1 = 0
        reserved: U2 = must(field("reserved") == 0, 0)
        phase: U1 = 0
        number_size: U2 = 3
        destination: Annotated[bytes, fixed_bytes(AGREED)] = bytes(AGREED)
        number: Annotated[int, bits((field("number_size") + 1) * 8)] = 0
        sealed: Rest = b""

    class MaskedShort(Header):
        packet: ClearShort = through(mine("quic short", lambda _: 1 + AGREED, lambda _: by_chacha(CHACHA)))


def head(data: bytes) -> InitialHead:
    return dissect(data, InitialHead)[InitialHead]


def number_at(data: bytes) -> int:
    return len(bytes(head(data)))


def opening(destination: bytes) -> AbstractContextManager[object]:
    return secrets({f"quic {word}": value for word, value in keys(destination).items()})


def test_keys_are_those_of_the_standard() -> None:
    """RFC 9001 appendix A.1, and the mask of A.2."""
    found = keys(bytes.fromhex("8394c8f03e515708"))
    assert [found[word].hex() for word in ("key", "iv", "hp")] == [
        "1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2",
    ]  # fmt: skip
    assert by_aes(found["hp"])(bytes.fromhex("d1b1c98dd7689fb8ec11d242b123dc9b"))[:5].hex() == "437b9aec36"


def test_a_short_packet_is_that_of_the_standard() -> None:
    """RFC 9001 appendix A.5, whose id has no bytes, so with 8 of ours in its place, which nothing but the authentication covers."""
    packet, clear = bytes.fromhex("4cfe4189655e5cd55c41f69080575d7999c25a5bfb"), bytes.fromhex("4200bff4")
    found = dissect(packet[:1] + bytes(AGREED) + packet[1:], MaskedShort)
    one = found[MaskedShort].packet
    assert found.faults == () and (one.spin, one.phase, one.number_size, one.number) == (0, 0, 2, 0x00BFF4)
    nonce = (0xE0459B3474BDD0E44A41C144 ^ 654360564).to_bytes(12, "big")
    key = bytes.fromhex("c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8")
    assert ChaCha20Poly1305(key).decrypt(nonce, one.sealed, clear) == b"\1"
    made = MaskedShort(packet=ClearShort(number_size=2, number=0x00BFF4, sealed=one.sealed))
    assert bytes(made)[:1] + bytes(made)[1 + AGREED :] == packet


def test_edits_of_masked_fields_are_masked_anew() -> None:
    made = MaskedShort(packet=ClearShort(number=7, destination=b"8 bytes!", sealed=bytes(range(40))))
    other = dissect(bytes(made), MaskedShort).replace({"maskedshort.packet.phase": 1, "maskedshort.packet.number": 8})
    one = dissect(bytes(other), MaskedShort)[MaskedShort].packet
    assert (one.phase, one.number, one.destination, one.sealed) == (1, 8, b"8 bytes!", bytes(range(40)))
    assert bytes(other)[0] != bytes(made)[0]


def test_numbers_of_captured_packets_are_those_of_tshark(tshark: Ask) -> None:
    """Of those that the client of a connection masks by the id of its first packet."""
    path = family("quic/quic-ietf-ja3.pcap")
    rows = tshark(path, "quic.packet_number", "quic.long.packet_type", options=("-E", "occurrence=f"))
    client, compared = b"", 0
    for frame, (number, kind) in zip(Capture(path), rows, strict=True):
        packet = frame.packet()
        if UDP not in packet or kind != "0" or (client and packet[UDP].dport != 443):
            continue
        data = packet.payload
        data = data[: number_at(data) + head(data).length]
        client = client or head(data).destination
        with opening(client):
            found = dissect(data, MaskedInitial)
            assert found.faults == () and found[MaskedInitial].packet.number == int(number)
            assert found[MaskedInitial].packet.frames[0] in (0, 2, 6)  # PADDING, ACK or CRYPTO
            assert bytes(found) == data
        compared += 1
    assert compared


def initial(number: int, size: int) -> ClearInitial:
    return ClearInitial(destination=b"8 bytes!", number=number, number_size=size, frames=b"\6\0\4\1\0\0\0" + bytes(1200))


@pytest.mark.parametrize(("number", "size"), [(0, 0), (200, 0), (0x1234, 1), (0x123456, 2), (0x12345678, 3)])
def test_tshark_opens_what_we_mask_and_seal(tshark: Ask, number: int, size: int) -> None:
    with opening(b"8 bytes!"):
        packet = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=50000, dport=443) / bytes(MaskedInitial(packet=initial(number, size)))
        data = bytes(packet)[42:]
        found = dissect(data, MaskedInitial)
        assert found.faults == () and found[MaskedInitial].packet == initial(number, size)
    rows = alike(
        tshark, [packet],
        {"quic.packet_number": lambda _: number, "quic.packet_number_length": lambda _: size, "quic.crypto.length": lambda _: 4},
    )  # fmt: skip
    assert len(rows) == 1


def test_without_keys_the_number_is_read_and_the_frames_stay() -> None:
    with opening(b"8 bytes!"):
        data = bytes(MaskedInitial(packet=initial(9, 0)))
    packet = dissect(data, MaskedInitial)
    assert packet[MaskedInitial].packet.number == 9 and bytes(packet) == data
    assert [fault.expected for fault in packet.faults] == ["a key named 'quic key': pl.secrets({'quic key': ...}) for ClearInitial.frames"]


def test_cut_and_spoilt() -> None:
    with opening(b"8 bytes!"):
        made = dissect(bytes(MaskedInitial(packet=initial(9, 0))), MaskedInitial)
        assert "MaskedInitial.packet" in cut([made], MaskedInitial, step=97)
        assert "MaskedInitial.packet" in spoilt([made], MaskedInitial)
    short = dissect(bytes(MaskedShort(packet=ClearShort(sealed=bytes(20)))), MaskedShort)
    cut([short], MaskedShort)
    spoilt([short], MaskedShort)
