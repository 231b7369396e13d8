"""What is authenticated holds the length of what is encrypted, also where that is compressed first; what ends with a delimiter is taken apart by what refines it."""

from __future__ import annotations

import zlib as reference
from typing import Annotated, Any

import pytest

from packetlab import (
    U8,
    U16,
    U64,
    BuildError,
    Bytes,
    DeclareError,
    Header,
    Rest,
    Text,
    VarInt,
    aead,
    auto,
    base16,
    cobs,
    const,
    dissect,
    ended,
    field,
    fixed_bytes,
    named,
    secret,
    secrets,
    size_of,
    sized,
    span,
    sum8,
    through,
    zlib,
)

KEY, HELLO = bytes(range(16)), "hello " * 40


class Sealed(Header):
    iv: U64 = 5
    size: U16 = auto(size_of("text"))
    text: Text = through(aead("AES-GCM", key=secret("sizes"), nonce=field("iv"), aad="self"), through(zlib(), sized(field("size"), "hello")))


class SealedVarInt(Header):
    iv: U64 = 5
    size: VarInt = auto(size_of("text"))
    text: Text = through(aead("AES-GCM", key=secret("sizes"), nonce=field("iv"), aad="self"), through(zlib(), sized(field("size"), "hello")))


def sealed(data: bytes, iv: int = 5) -> bytes:
    """The bytes of `Sealed`, by the package cryptography alone."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head = iv.to_bytes(8, "big") + (len(data) + 16).to_bytes(2, "big")
    return head + AESGCM(KEY).encrypt(iv.to_bytes(12, "big"), data, head)


@pytest.fixture(autouse=True)
def keyed() -> Any:
    with secrets({"sizes": KEY}):
        yield


def test_the_length_of_what_is_compressed_is_authenticated() -> None:
    pytest.importorskip("cryptography")
    made = bytes(Sealed(text=HELLO))
    size = int.from_bytes(made[8:10], "big") - 16
    (packed,) = [one for level in range(-1, 10) if len(one := reference.compress(HELLO.encode(), level)) == size][:1]
    assert made == sealed(packed) and len(made) < len(HELLO)
    packet = dissect(sealed(reference.compress(HELLO.encode(), 0)), Sealed)
    assert (packet[Sealed].text, packet.faults) == (HELLO, ())


@pytest.mark.parametrize("count", [0, 5, 120, 5000])
def test_a_length_of_any_width_follows_new_text(count: int) -> None:
    pytest.importorskip("cryptography")
    text = bytes(n * n % 251 % 95 + 32 for n in range(count)).decode()
    for packet in (dissect(bytes(SealedVarInt(text=text)), SealedVarInt), dissect(bytes(SealedVarInt()), SealedVarInt).replace(SealedVarInt, text=text)):
        again = dissect(bytes(packet), SealedVarInt)
        assert (again[SealedVarInt].text, again.faults, again.payload) == (text, (), b"")


def test_other_nonces_for_what_others_compressed_are_refused_unless_the_text_is_given() -> None:
    pytest.importorskip("cryptography")
    packet = dissect(sealed(reference.compress(HELLO.encode(), 0)), Sealed)
    with pytest.raises(BuildError, match=r"Sealed\.text: expected 267 bytes, as what was captured has, got \d+ bytes, compressed or stuffed here \(text given anew"):
        bytes(packet.replace(Sealed, iv=6))
    other = dissect(bytes(packet.replace(Sealed, iv=6, text=HELLO + "!")), Sealed)
    assert (other[Sealed].iv, other[Sealed].text, other.faults) == (6, HELLO + "!", ())
    assert bytes(packet.replace(Sealed, text=HELLO)) == bytes(packet)


@pytest.mark.parametrize(
    "inside",
    [
        lambda: through(cobs(), through(aead("AES-GCM", key=secret("sizes"), nonce=field("iv"), aad="self"), b"")),
        lambda: through(aead("AES-GCM", key=secret("sizes"), nonce=field("iv"), aad="self"), through(named("own", bytes, bytes), b"")),
    ],
)
def test_sizes_that_are_not_sure_before_are_refused(inside: Any) -> None:
    with pytest.raises(DeclareError, match="a transform whose size is known when it is done"):

        class _Unsure(Header):
            iv: U64 = 5
            text: Bytes = inside()


class Pdu(Header):
    address: U8 = 1
    data: Rest = b"\3\0\x6b"
    check: U8 = auto(sum8(span("address", "data"), negate=True))


class Line(Header):
    start: Annotated[bytes, fixed_bytes(1)] = const(b":")
    text: Bytes = ended(b"\r\n", b"")


class Opened(Line, inside="text", when=size_of("text") > 0):
    pdu: Pdu = through(base16(upper=True), Pdu())


def test_what_is_ended_is_taken_apart_by_what_refines_it() -> None:
    assert bytes(Opened()) == b":0103006B91\r\n"
    assert dissect(bytes(Opened()), Line)[Line] == Opened() and dissect(b":\r\n", Line)[Line] == Line()


WAY = r'text: Bytes = ended\(\.\.\.\), then class Opened\(\.\.\., inside="text", when=size_of\("text"\) > 0\) with'


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        (Bytes, lambda: through(base16(), ended(b"\n", b""))),
        (Text, lambda: ended(b"\n", through(base16(), ""))),
        (Pdu, lambda: ended(b"\n", Pdu())),
        (Pdu, lambda: through(base16(), ended(b"\n", Pdu()))),
    ],
)
def test_the_refusal_of_what_is_ended_names_that_way(kind: Any, made: Any) -> None:
    with pytest.raises(DeclareError, match=WAY):
        type(Header)("Ended", (Header,), {"__annotations__": {"body": kind}, "body": made(), "__module__": __name__})
