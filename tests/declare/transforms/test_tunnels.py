"""What stands inside a transform and outside it: sizes of what is inside, layers in a tunnel, and rules that cannot look in."""

from __future__ import annotations

import zlib as reference
from typing import Annotated

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings, strategies as st

from packetlab import (
    U8,
    U16,
    U32,
    UDP,
    Bytes,
    DeclareError,
    Header,
    IPv4,
    Payload,
    Rest,
    U32le,
    VarInt,
    aead,
    auto,
    bindings,
    but,
    crc,
    declare_from,
    describe,
    dissect,
    field,
    fixed_bytes,
    many,
    raw,
    secret,
    secrets,
    size_inside,
    size_of,
    sized,
    through,
    when,
    xor,
    zlib,
)
from packetlab.schema.source import class_body
from tests.careful import careful
from tests.conftest import amount


class Number(Header):
    value: U16 = 1


class Minecraft(Header):
    length: VarInt = auto(size_of("inside") + size_of("body"))
    inside: VarInt = auto(size_inside("body"))
    body: Rest = through(zlib(), b"")


class Listed(Header):
    inside: U32le = auto(size_inside("numbers"))
    n: U16 = auto(size_of("numbers"))
    numbers: tuple[Number, ...] = through(zlib(), many(size=field("n")))


@given(body=st.binary(max_size=300), numbers=st.lists(st.integers(0, 65535), max_size=9))
@settings(max_examples=amount(40, 400))
def test_a_length_of_what_is_inside_follows(body: bytes, numbers: list[int]) -> None:
    wire = bytes(Minecraft(body=body))
    packet = dissect(wire, Minecraft)
    assert (
        packet[Minecraft].inside == len(body)
        and reference.decompress(wire[-(packet[Minecraft].length - (1 if len(body) < 128 else 2)) :]) == body
    )
    assert careful(Minecraft, wire)[0] == packet[Minecraft] and bytes(packet) == wire
    assert dissect(bytes(packet.replace(Minecraft, body=body + b"x")), Minecraft)[Minecraft].inside == len(body) + 1
    listed = dissect(bytes(Listed(numbers=[Number(value=one) for one in numbers])), Listed)
    assert listed[Listed].inside == 2 * len(numbers)


def test_one_that_is_wrong_stays_and_why_says_so() -> None:
    packet = dissect(bytes(Minecraft(inside=9, body=b"abc")), Minecraft)
    assert bytes(packet.replace(Minecraft, body=b"abcd"))[1] == 9
    assert "differs from the rule, which gives 3" in str(packet.why(Minecraft, "inside"))
    broken = dissect(bytes(Minecraft(inside=9, body=raw(b"none"))), Minecraft)
    assert broken[Minecraft].inside == 9 and broken.faults


def test_it_comes_back_from_data_and_source() -> None:
    with bindings():
        (again,) = declare_from({**describe(Minecraft), "name": "Again"})
        assert bytes(again(body=b"abc")) == bytes(Minecraft(body=b"abc"))
        assert 'auto(size_inside("body"))' in class_body(describe(Minecraft))


def test_it_is_refused_where_it_says_nothing() -> None:
    with pytest.raises(
        DeclareError,
        match=r"a field through a transform in size_inside\(body\).*size_of\(\"body\"\) is that of its bytes",
    ):

        class Plain(Header):
            n: U8 = auto(size_inside("body"))
            body: Rest = b""

    with pytest.raises(DeclareError, match=r"in auto\(...\)"):

        class Reading(Header):
            n: U8 = auto(size_of("body"))
            body: Bytes = through(zlib(), sized(field("n"), b""))
            more: Bytes = sized(size_inside("body"), b"")


class ESP(Header):
    """Encapsulating Security Payload with AES-GCM (RFC 4303, RFC 4106), tunnel mode, but for its padding."""

    spi: U32 = 0
    sequence: U32 = 0
    iv: Annotated[bytes, fixed_bytes(8)] = bytes(8)
    inside: Rest = through(aead("AES-GCM", key=secret("sa"), nonce=field("iv"), iv=b"salt" + bytes(8), aad="self"), b"")


def test_layers_of_a_tunnel_are_read_from_its_field() -> None:
    key = bytes(range(16))
    inner = IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / b"data"
    with secrets({"sa": key}):
        wire = bytes(ESP(spi=5, sequence=6, iv=bytes(7) + b"\1", inside=bytes(inner)))
        assert wire[16:] == AESGCM(key).encrypt(b"salt" + bytes(7) + b"\1", bytes(inner), wire[:16])
        packet = dissect(wire, ESP)
        assert dissect(packet[ESP].inside, IPv4) == inner
        other = dissect(packet[ESP].inside, IPv4).replace(UDP, dport=9)
        assert dissect(dissect(bytes(packet.replace(ESP, inside=bytes(other))), ESP)[ESP].inside, IPv4)[UDP].dport == 9


def test_what_cannot_look_in_is_refused_with_the_way_out() -> None:
    with pytest.raises(
        DeclareError, match=r"body: Rest = through\(...\), whose layers dissect\(packet\[...\].body, IPv4\) reads"
    ):

        class Tunnel(Header):
            body: Payload = through(xor(5))

    class Head(Header):
        kind: U8 = 1
        size: U16 = 0

    with pytest.raises(
        DeclareError,
        match="what is inside a transform is known when all of the header is read: let size stand beside it",
    ):

        class Sized(Header):
            head: Head = through(xor(5), sized(3, Head()))
            data: Bytes = sized(field("head.size"), b"")

    with pytest.raises(DeclareError, match="let kind stand beside it, or what goes by it inside"):

        class Present(Header):
            head: Head = through(xor(5), sized(3, Head()))
            more: U8 | None = when(field("head.kind") == 2)

    with pytest.raises(DeclareError, match="a path goes into a header that a field always holds"):

        class Left(Header):
            head: Head = through(xor(5), sized(3, Head()))
            sum: U16 = auto(crc("CRC-16/ARC", "self", but("head.kind")))
