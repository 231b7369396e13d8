"""Transforms held to what others say of them: RFCs, the standard library, packages, published sequences."""

from __future__ import annotations

import base64
import gzip
import random
import zlib
from contextlib import suppress
from typing import Annotated, Any

import pytest
from cobs import cobs as other_cobs

import packetlab as pl
from packetlab import (
    U16,
    U32,
    U64,
    BuildError,
    Bytes,
    DeclareError,
    Header,
    UnfitError,
    auto,
    bindings,
    dissect,
    field,
    secret,
    size_of,
    sized,
)
from packetlab.schema.source import class_body

STREAMS = {"zlib": pl.zlib(), "deflate": pl.deflate(), "gzip": pl.gzip(), "zstd": pl.zstd()}
STUFFED = {"hdlc": pl.hdlc(), "hdlc accm": pl.hdlc(accm=0xFFFFFFFF), "slip": pl.slip(), "cobs": pl.cobs(), "bare": pl.cobs(ends=False)}
OTHERS = {
    "base64": pl.base64(), "url": pl.base64(url=True, pad=False), "base16": pl.base16(), "xor": pl.xor(b"key"),
    "pn9": pl.whitened(), "ble": pl.ble_whitened(12),
    "gcm": pl.aead("AES-GCM", key=bytes(16), nonce=bytes(12)), "ccm": pl.aead("AES-CCM-8", key=bytes(16), nonce=bytes(13)),
    "gcm 4": pl.aead("AES-GCM", key=bytes(24), nonce=bytes(12), aad=b"a", tag=4), "gcm 12": pl.aead("AES-GCM", key=bytes(32), nonce=bytes(12), tag=12),
    "ccm 4": pl.aead("AES-CCM", key=bytes(16), nonce=bytes(13), tag=4), "ccm 14": pl.aead("AES-CCM", key=bytes(16), nonce=bytes(12), tag=14),
    "ctr": pl.cipher("AES-CTR", key=bytes(16), nonce=bytes(16)), "cbc": pl.cipher("AES-CBC", key=bytes(16), nonce=bytes(16)),
    "cfb": pl.cipher("AES-CFB", key=bytes(24), nonce=bytes(16)), "cfb8": pl.cipher("AES-CFB8", key=bytes(32), nonce=bytes(16)),
    "ofb": pl.cipher("AES-OFB", key=bytes(16), nonce=bytes(16)), "3des": pl.cipher("3DES-CBC", key=bytes(range(24)), nonce=bytes(8)),
    "camellia": pl.cipher("CAMELLIA-CBC", key=bytes(16), nonce=bytes(16)),
    "ecb": pl.cipher("AES-ECB", key=bytes(16)), "chacha": pl.cipher("CHACHA20", key=bytes(32), nonce=bytes(16)),
}  # fmt: skip
ALL = STREAMS | STUFFED | OTHERS


@pytest.mark.parametrize("name", ALL)
def test_what_is_encoded_is_decoded_and_as_long_as_said(name: str) -> None:
    transform, dice = ALL[name], random.Random(name)
    for size in (0, 1, 2, 3, 15, 16, 17, 253, 254, 255, 508, 509, 2000):
        for letters in (range(256), b"\0\0\1\x7d\x7e\xc0\xdb", range(1, 256)):
            data = bytes(dice.choices([*letters], k=size))
            sent = transform.encode(data)
            assert transform.decode(sent) == data
            assert transform.size(size) in (None, len(sent))


@pytest.mark.parametrize("name", ALL)
def test_any_bytes_are_decoded_or_unfit(name: str) -> None:
    dice = random.Random(name)
    for size in range(60):
        data = dice.randbytes(size)
        with suppress(UnfitError):
            assert isinstance(ALL[name].decode(data), bytes)


def test_compression_is_that_of_the_standard_library() -> None:
    data = b"packet " * 100
    assert pl.zlib().decode(zlib.compress(data, 1)) == zlib.decompress(pl.zlib().encode(data)) == data
    assert pl.gzip().decode(gzip.compress(data)) == gzip.decompress(pl.gzip().encode(data)) == data
    assert zlib.decompress(pl.deflate().encode(data), -15) == data


@pytest.mark.parametrize("name", STREAMS)
def test_a_bomb_ends_in_an_error_and_not_in_memory(name: str) -> None:
    bomb = STREAMS[name].encode(bytes(1 << 24))
    assert len(bomb) < 40_000 and len(STREAMS[name].decode(bomb)) == 1 << 24
    least = getattr(pl, name)(most=1000)
    with pytest.raises(UnfitError, match="1000 bytes at most"):
        least.decode(bomb)
    for part, expected in ((bomb[:-1], "whole"), (bomb + b"x", "alone")):
        with pytest.raises(UnfitError, match=expected):
            STREAMS[name].decode(part)


def test_letters_are_those_of_rfc_4648() -> None:
    for data in (b"", b"f", b"fo", b"foo", b"foob", b"\xfb\xff"):
        assert pl.base64().encode(data) == base64.b64encode(data)
        assert pl.base64(url=True).encode(data) == base64.urlsafe_b64encode(data)
        assert pl.base16(upper=True).encode(data) == base64.b16encode(data)
    assert pl.base16().decode(b"aB0f") == b"\xab\x0f"


def test_websocket_s_masked_example() -> None:
    """RFC 6455 section 5.7."""
    assert pl.xor(bytes.fromhex("37fa213d")).decode(bytes.fromhex("7f9f4d5158")) == b"Hello"


def test_whitening_gives_the_published_sequences() -> None:
    """TI design note DN509, and channel 37 of Bluetooth Low Energy."""
    assert pl.whitened().encode(bytes(16)).hex() == "ffe11d9aed853324ea7ad2397097570a"
    assert pl.ble_whitened(37).encode(bytes(16)).hex() == "8dd257a13da766b0753111489677f8e3"


def test_stuffing_is_that_of_the_documents() -> None:
    assert pl.hdlc().encode(bytes.fromhex("ff7d7e03")).hex() == "7eff7d5d7d5e037e"  # RFC 1662, section 4.2
    assert pl.hdlc(accm=1 << 3).encode(b"\x03\x04").hex() == "7e7d23047e"
    assert pl.hdlc(accm=1 << 3).decode(bytes.fromhex("7e7d2303047e")) == b"\x03\x04"  # the bare 03 is a modem's
    assert pl.hdlc().decode(bytes.fromhex("7e7e01027e7e")) == b"\x01\x02"
    assert pl.slip().encode(bytes.fromhex("01c0dbdc")).hex() == "c001dbdcdbdddcc0"  # RFC 1055
    for size in range(1030):
        data = random.Random(size).choices(b"\0\1\2", [1, size, size], k=size)
        assert pl.cobs(ends=False).encode(bytes(data)) == other_cobs.encode(bytes(data))


@pytest.mark.parametrize("bad", ["7e017e027e", "7e017d7e", "7e7d7d017e"])
def test_frames_that_are_broken_are_unfit(bad: str) -> None:
    with pytest.raises(UnfitError):
        pl.hdlc().decode(bytes.fromhex(bad))


def test_chacha20_poly1305_is_that_of_rfc_8439() -> None:
    """Section 2.8.2."""
    key, aad = bytes(range(0x80, 0xA0)), bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    nonce = bytes.fromhex("070000004041424344454647")
    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
    )
    sealed = pl.aead("CHACHA20-POLY1305", key=key, nonce=nonce, aad=aad).encode(text)
    assert sealed[:16].hex() == "d31a8d34648e60db7b86afbc53ef7ec2" and sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"


def test_tags_of_four_bytes_are_those_of_bluetooth() -> None:
    """Core Specification, volume 6 part C section 1: LL_START_ENC_RSP, of the central and of the peripheral."""
    key, iv = bytes.fromhex("99ad1b5226a37e3e058e3b8e27c2c666"), bytes.fromhex("24abdcbabebaafde")
    for counter, data, sealed in (("0000000080", b"\6", "9fcda7f448"), ("0000000000", b"\6", "a34c13a415")):
        one = pl.aead("AES-CCM", key=key, nonce=bytes.fromhex(counter) + iv, aad=b"\3", tag=4)
        assert one.encode(data).hex() == sealed and one.decode(bytes.fromhex(sealed)) == data
        with pytest.raises(UnfitError, match="the tag of AES-CCM"):
            one.decode(bytes.fromhex(sealed)[:-1] + b"\0")


@pytest.mark.parametrize("tag", [4, 8, 12, 13, 14, 15, 16])
def test_shorter_tags_of_gcm_are_the_first_bytes_of_the_whole_one(tag: int) -> None:
    """SP 800-38D section 7.1: MSB of t bits."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    dice = random.Random(tag)
    for size in (0, 1, 16, 99):
        key, nonce, aad, data = dice.randbytes(16), dice.randbytes(12), dice.randbytes(size), dice.randbytes(size)
        one, whole = pl.aead("AES-GCM", key=key, nonce=nonce, aad=aad, tag=tag), AESGCM(key).encrypt(nonce, data, aad)
        assert one.encode(data) == whole[: size + tag] and one.decode(whole[: size + tag]) == data
        for place in range(size + tag):
            spoilt = bytearray(whole[: size + tag])
            spoilt[place] ^= 1
            with pytest.raises(UnfitError, match="the tag of AES-GCM"):
                one.decode(bytes(spoilt))


@pytest.mark.parametrize(("algorithm", "tag"), [("AES-CCM", 5), ("AES-CCM", 18), ("AES-GCM", 5), ("AES-GCM", "4"), ("AES-CCM-8", 4), ("CHACHA20-POLY1305", 8), ("AES-GCM", True)])
def test_other_sizes_of_a_tag_are_refused(algorithm: str, tag: Any) -> None:
    with pytest.raises(DeclareError, match=rf"aead\(...\), tag: expected .* bytes for {algorithm}, got"):
        pl.aead(algorithm, key=bytes(32), nonce=bytes(12), tag=tag)


def test_blocks_are_those_of_nist() -> None:
    """SP 800-38A, F.1.1, F.2.1 and F.5.1."""
    key, block = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"), bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
    assert pl.cipher("AES-ECB", key=key).encode(block)[:16].hex() == "3ad77bb40d7a3660a89ecaf32466ef97"
    assert pl.cipher("AES-CBC", key=key, nonce=bytes(range(16))).encode(block)[:16].hex() == "7649abac8119b246cee98e9b12e9197d"
    nonce = bytes(range(0xF0, 0x100))
    assert pl.cipher("AES-CTR", key=key, nonce=nonce).encode(block).hex() == "874d6191b620e3261bef6864990db6ce"


def test_modes_without_blocks_are_those_of_nist() -> None:
    """SP 800-38A, F.3.7, F.3.13 and F.4.1."""
    key, iv = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"), bytes(range(16))
    text = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
    for mode, sealed in (
        ("AES-CFB", "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b"),
        ("AES-OFB", "3b3fd92eb72dad20333449f8e83cfb4a7789508d16918f03f53c52dac54ed825"),
        ("AES-CFB8", "3b79424c9c0dd436bace9e0ed4586a4f32b9"),
    ):
        one = pl.cipher(mode, key=key, nonce=iv)
        size = len(sealed) // 2
        assert one.encode(text[:size]).hex() == sealed and one.decode(bytes.fromhex(sealed)) == text[:size]


def test_other_blocks_are_those_of_their_standards() -> None:
    """RFC 3713 appendix A; FIPS 81 appendix B (DES, which is 3DES of three equal keys)."""
    key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    camellia = pl.cipher("CAMELLIA-CBC", key=key, nonce=bytes(16), padding="none")
    assert camellia.encode(key).hex() == "67673138549669730857065648eabe43"
    des = pl.cipher("3DES-ECB", key=bytes.fromhex("0123456789abcdef"), padding="none")
    assert des.encode(b"Now is the time for all ").hex() == "3fa40e8a984d48156a271787ab8883f9893d51ec4b563b53"


def test_blocks_that_fill_themselves_up_are_whole_or_refused() -> None:
    one = pl.cipher("AES-CBC", key=bytes(16), nonce=bytes(16), padding="none")
    assert len(one.encode(bytes(32))) == 32 == one.size(32) and one.encode(b"") == one.decode(b"") == b""
    with pytest.raises(UnfitError, match="whole blocks of 16 bytes inside"):
        one.encode(bytes(31))
    with pytest.raises(UnfitError, match="whole blocks of 16 bytes"):
        one.decode(bytes(31))


def test_a_message_of_snmp_version_3_is_that_of_rfc_3826() -> None:
    """Section 3.1.2.1: the IV is the engine's boots, its time, and the salt."""
    with bindings():
        class Scoped(Header):
            boots: U32 = 0
            time: U32 = 0
            salt: U64 = 0
            length: U16 = auto(size_of("pdu"))
            pdu: Bytes = pl.through(
                pl.cipher("AES-CFB", key=secret("snmp"), nonce=(field("boots") << 96) | (field("time") << 64) | field("salt")), sized(field("length"), b"")
            )

        with pl.secrets({"snmp": bytes(range(16))}):
            wire = bytes(Scoped(boots=3, time=1234567, salt=0x0102030405060708, pdu=b"a pdu of no whole block"))
            plain = pl.cipher("AES-CFB", key=bytes(range(16)), nonce=wire[:16]).decode(wire[18:])
            assert plain == b"a pdu of no whole block" == dissect(wire, Scoped)[Scoped].pdu
        data = pl.describe(Scoped)
    with bindings():
        (again,) = pl.declare_from(data)
        with pl.secrets({"snmp": bytes(range(16))}):
            assert dissect(wire, again)[again].pdu == b"a pdu of no whole block"


def test_a_nonce_is_xored_over_the_iv_as_in_tls() -> None:
    iv, key = bytes(range(12)), bytes(16)
    one = pl.aead("AES-GCM", key=key, nonce=field("seq"), iv=iv)
    other = pl.aead("AES-GCM", key=key, nonce=iv[:-1] + bytes([iv[-1] ^ 5]))
    assert one.encode(b"x", nonce=b"\5") == other.encode(b"x")


def test_secrets_are_names() -> None:
    transform = pl.aead("AES-GCM", key=secret("of the test"), nonce=bytes(12))
    assert "of the test" in repr(transform)
    with pytest.raises(UnfitError, match="of the test"):
        transform.encode(b"")
    with pl.secrets({"of the test": "00" * 16}) as known:
        assert transform.decode(transform.encode(b"x")) == b"x" and "00" not in repr(known)
    with pytest.raises(UnfitError):
        transform.encode(b"")
    with pytest.raises(TypeError):
        pl.secrets({"k": 5})  # type: ignore[dict-item]


def test_transforms_are_values() -> None:
    assert pl.zlib(level=3) == pl.zlib(level=3) != pl.zlib() and hash(pl.hdlc()) == hash(pl.hdlc())
    assert repr(pl.xor(field("key"))) == "xor(key=field('key'))" or "key" in repr(pl.xor(field("key")))
    mine = pl.named("mine", bytes.lower, bytes.upper)
    assert mine.decode(b"AB") == b"ab" and mine == pl.named("mine", bytes.lower, bytes.upper)
    with pytest.raises(UnfitError, match="ZeroDivisionError"):
        pl.named("mine", lambda data: bytes(1 // len(data)), bytes).decode(b"")


@pytest.mark.parametrize(
    "make",
    [
        lambda: pl.zlib(level=10), lambda: pl.zlib(most=0), lambda: pl.xor(b""), lambda: pl.xor(256), lambda: pl.whitened(2),
        lambda: pl.whitened(seed=0), lambda: pl.ble_whitened(40), lambda: pl.aead("AES-XTS", key=b"", nonce=b""),
        lambda: pl.cipher("DES", key=b""), lambda: pl.cipher("AES-CBC", key=b"", padding="zeros"), lambda: pl.hdlc(accm=-1), lambda: pl.cobs(ends=2), lambda: pl.secret(""),
        lambda: pl.through(5), lambda: pl.named("x", 1, 2), lambda: pl.base64(pad=3),
    ],
)  # fmt: skip
def test_parameters_that_make_no_sense_are_refused(make: object) -> None:
    with pytest.raises(DeclareError):
        make()  # type: ignore[operator]


def test_a_parameter_of_fields_has_to_be_given() -> None:
    with pytest.raises(BuildError, match="key"):
        pl.xor(field("key")).encode(b"x")


def test_a_nonce_is_a_span_of_the_header() -> None:
    """As counters and addresses lie there, lowest byte first."""
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM

    with bindings():
        class Secured(Header):
            control: pl.U8 = 5
            counter: pl.U32le = 7
            source: pl.U64le = 0x1122334455667788
            length: pl.U8 = auto(size_of("body"))
            body: Bytes = pl.through(
                pl.aead("AES-CCM", key=secret("net"), nonce=pl.span("counter", "source"), aad="self", tag=4), sized(field("length"), b"hello")
            )

        described = pl.describe(Secured)
        assert "nonce=span('counter', 'source')" in class_body(described) and "tag=4" in class_body(described)
        with bindings():
            (other,) = pl.declare_from(described)
        with pl.secrets({"net": bytes(16)}):
            for counter in (7, 0x01020304):
                sent = bytes(Secured(counter=counter))
                nonce = counter.to_bytes(4, "little") + (0x1122334455667788).to_bytes(8, "little")
                assert sent[14:] == AESCCM(bytes(16), 4).encrypt(nonce, b"hello", sent[:14])
                assert dissect(sent, Secured)[Secured].body == b"hello" and not dissect(sent, Secured).faults
            moved = dissect(sent, Secured).replace(Secured, counter=8)
            assert bytes(moved) == bytes(Secured(counter=8)) == bytes(other(counter=8))


def test_what_is_no_nonce_has_the_way_out() -> None:
    class Pair(Header):
        a: U32 = 0
        b: U64 = 0

    def sealed(nonce: Any) -> None:
        with bindings():
            class Refused(Header):
                head: Pair = Pair()
                some: Annotated[bytes, pl.fixed_bytes(8)] = bytes(8)
                number: U32 = 0
                text: pl.Rest = pl.through(pl.aead("AES-GCM", key=secret("net"), nonce=nonce), b"")

    for nonce, complaint in (
        (field("head"), r"a number or bytes as nonce, got head, Pair \(.*span\("),
        ((field("some") << 32) | field("number"), r"numbers in the rule for nonce, got some, 8 bytes \(.*Annotated\[int, bits\(64\)\]"),
        (pl.span("head", "number"), "fields of a fixed size up to number"),
        (pl.but("some"), r"bytes, field\(...\) or secret\(...\) as nonce"),
    ):
        with pytest.raises(DeclareError, match=complaint):
            sealed(nonce)
