"""`through(...)`: fields that are something else in the packet."""

from __future__ import annotations

import pickle
import zlib as reference
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    U8,
    U16,
    U32,
    U64,
    BuildError,
    Bytes,
    DeclareError,
    Header,
    IPv4Address,
    Rest,
    Text,
    aead,
    auto,
    base64,
    bindings,
    bits,
    ble_whitened,
    crc32,
    declare_from,
    describe,
    dissect,
    field,
    fixed_bytes,
    has,
    hdlc,
    many,
    named,
    raw,
    secret,
    secrets,
    size_of,
    sized,
    slip,
    text,
    through,
    when,
    xor,
    zlib,
)  # fmt: skip
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.schema.source import class_body
from tests.conftest import amount


class ThroughEnd(Header):
    port: U16
    host: U8


class ThroughAll(Header):
    """Each way in which a field can be through something."""

    n: U16 = auto(size_of("body"))
    key: U32 = 7
    body: Bytes = through(zlib(level=3), through(xor(field("key")), sized(field("n"), b"ab")))
    m: U8 = auto(size_of("inner"))
    inner: ThroughEnd = through(base64(url=True), sized(field("m"), ThroughEnd(port=1, host=2)))
    k: U8 = auto(size_of("ends"))
    ends: tuple[ThroughEnd, ...] = through(
        aead("AES-GCM", key=secret("k"), nonce=field("key"), aad="self"), many(size=field("k"))
    )
    j: U8 = auto(size_of("hosts"))
    hosts: tuple[IPv4Address, ...] = through(slip(), many(size=field("j")))
    marked: U8 = 0
    words: Annotated[str, text(rest=True)] = when(field("marked") == 1, through(hdlc(accm=5)))


@pytest.fixture(autouse=True)
def keys() -> Iterator[None]:
    with secrets({"k": bytes(16)}):
        yield


def read(cls: type[Header], data: bytes) -> Any:
    """Dissect bytes; the compiled and the careful reader agree, and the bytes come back."""
    packet = dissect(data, cls)
    again, compiled = Dissection(), Dissection()
    careful, quick = walk(cls._declaration, data, 0, len(data), again), cls._decode(data, 0, len(data), compiled)
    assert careful[0] == quick[0] and careful[1:] == quick[1:] and again.faults == compiled.faults
    for f in cls._declaration.transformed:
        one, other = (getattr(header, f.slot) for header in (careful[0], quick[0]))
        for word in ("inner", "opened", "given", "expected", "got", "note", "wrongs"):
            assert getattr(one, word, None) == getattr(other, word, None)
    assert bytes(packet) == data and packet.encode() == data
    return packet


headers = st.builds(
    ThroughAll, key=st.integers(0, 2**32 - 1), body=st.binary(max_size=300),
    inner=st.builds(ThroughEnd, port=st.integers(0, 65535), host=st.integers(0, 255)),
    ends=st.lists(st.builds(ThroughEnd, port=st.integers(0, 65535), host=st.just(1)), max_size=20).map(tuple),
    hosts=st.lists(st.sampled_from(["192.0.2.1", "192.219.192.219"]), max_size=5).map(tuple),
    marked=st.just(1), words=st.text(max_size=20),
)  # fmt: skip


@settings(max_examples=amount(60, 600), deadline=None)
@given(headers, st.integers(0, 400), st.integers(0, 255))
def test_what_is_built_reads_back_and_any_bytes_stay(header: ThroughAll, at: int, byte: int) -> None:
    with secrets({"k": bytes(16)}):
        data = bytes(header)
        packet = read(ThroughAll, data)
        assert packet[ThroughAll] == header and not packet.faults and hash(packet[ThroughAll]) == hash(header)
        read(ThroughAll, data[: at % len(data)])
        at %= len(data)
        read(ThroughAll, data[:at] + bytes([byte]) + data[at + 1 :])


@settings(max_examples=amount(100, 1000), deadline=None)
@given(st.binary(max_size=80))
def test_random_bytes_come_back(data: bytes) -> None:
    read(ThroughAll, data)


class ThroughPacked(Header):
    n: U16 = auto(size_of("body"))
    body: Bytes = through(zlib(), sized(field("n")))
    tail: U8 = 7


def test_captured_bytes_stay_until_what_is_inside_changes() -> None:
    sent = reference.compress(b"hello" * 9, 0)
    packet = read(ThroughPacked, len(sent).to_bytes(2, "big") + sent + b"\7")
    header = packet[ThroughPacked]
    assert header.body == b"hello" * 9 and bytes(packet.replace(ThroughPacked, tail=9))[2:-1] == sent
    assert bytes(header.replace(n=auto)) == bytes(packet)
    other = bytes(packet.replace(ThroughPacked, body=b"hello" * 8, n=auto))
    assert other == bytes(ThroughPacked(body=b"hello" * 8)) and len(other) < len(sent)


def test_values_are_equal_by_what_is_inside() -> None:
    class Rate(Header):
        body: Rest = through(zlib())

    one, other = (read(Rate, reference.compress(b"x" * 50, level)) for level in (0, 9))
    assert bytes(one) != bytes(other) and one[Rate] == other[Rate] == Rate(body=b"x" * 50)
    assert len({one[Rate], other[Rate], Rate(body=b"x" * 50)}) == 1 and one[Rate] != Rate(body=b"y")


def test_bytes_that_are_none_are_a_fault_and_stay() -> None:
    packet = read(ThroughPacked, b"\0\3abc\7")
    (fault,) = packet.faults
    assert (fault.layer, fault.field, fault.offset, fault.expected) == ("ThroughPacked", "body", 2, "a zlib stream")
    assert packet[ThroughPacked].body == b"abc" and bytes(ThroughPacked(body=packet[ThroughPacked].body)) == bytes(
        packet
    )
    assert bytes(ThroughPacked(body=raw(b"abc"))) == bytes(packet)  # and so they are built


def test_a_mask_goes_by_its_field() -> None:
    class Masked(Header):
        key: U32 = 0
        body: Rest = through(xor(field("key")))

    packet = read(Masked, bytes.fromhex("37fa213d7f9f4d5158"))
    assert packet[Masked].body == b"Hello"
    assert bytes(packet.replace(Masked, key=0)) == b"\0\0\0\0Hello"


def test_without_the_key_field_nothing_is_masked() -> None:
    class Maybe(Header):
        has_key: U8 = 0
        key: Annotated[bytes, fixed_bytes(4)] = when(field("has_key"))
        body: Rest = through(xor(field("key")))

    assert bytes(Maybe(body=b"Hello")) == b"\0Hello"
    assert read(Maybe, bytes(Maybe(has_key=1, key=b"abcd", body=b"Hello")))[Maybe].body == b"Hello"


class ThroughSealed(Header):
    seq: U64
    n: U16 = auto(size_of("body"))
    body: Text = through(aead("AES-GCM", key=secret("k"), nonce=field("seq"), aad="self"), sized(field("n")))


def test_what_is_sealed_goes_by_key_header_and_nonce() -> None:
    data = bytes(ThroughSealed(seq=3, body="hello"))
    packet = read(ThroughSealed, data)
    assert packet[ThroughSealed].body == "hello" and packet[ThroughSealed].n == 21
    spoilt = read(ThroughSealed, b"\1" + data[1:])
    assert spoilt.faults[0].field == "body" and "tag" in spoilt.faults[0].expected
    anew = read(ThroughSealed, bytes(packet.replace(ThroughSealed, seq=4)))
    assert anew[ThroughSealed].body == "hello" and not anew.faults


def test_without_the_key_bytes_stay_and_a_fault_says_so() -> None:
    data = bytes(ThroughSealed(seq=3, body="hello"))
    with secrets({"k": None}):
        packet = read(ThroughSealed, data)
        assert "a key named 'k'" in packet.faults[0].expected and bytes(packet) == data
        with pytest.raises(BuildError, match="a key named 'k'"):
            bytes(ThroughSealed(seq=3, body="hello"))
    assert pickle.loads(pickle.dumps(packet))[ThroughSealed] == packet[ThroughSealed]


def test_a_checksum_under_compression() -> None:
    class Checked(Header):
        data: U32 = 5
        crc: U32 = auto(crc32("self"))

    class Right(Header):
        n: U8 = auto(size_of("inner"))
        inner: Checked = through(zlib(), sized(field("n"), Checked()))

    packet = read(Right, bytes(Right(inner=Checked(data=9))))
    assert bytes(packet[Right].inner) == reference.decompress(bytes(packet)[1:]) == bytes(Checked(data=9))


def test_own_functions() -> None:
    with bindings():  # what is code alone stays out of what others describe

        class Mine(Header):
            body: Rest = through(named("turned", lambda data: data[::-1], lambda data: data[::-1]))

        assert bytes(Mine(body=b"abc")) == b"cba" and read(Mine, b"cba")[Mine].body == b"abc"
        with pytest.raises(DeclareError, match="code"):
            describe(Mine)

        class Bad(Header):
            body: Rest = through(named("bad", lambda data: bytes(1 // 0), lambda data: data[1 // 0 :]))

        assert "ZeroDivisionError" in read(Bad, b"x").faults[0].got
        with pytest.raises(BuildError, match="ZeroDivisionError"):
            bytes(Bad(body=b"x"))


def test_declarations_travel_by_name_and_parameters() -> None:
    found = [describe(ThroughEnd), describe(ThroughAll)]
    assert "secret" in str(found) and "0000" not in str(found)
    with bindings():
        assert [describe(one) for one in declare_from(found)] == found
    with bindings():
        names: dict[str, Any] = {}
        exec("from typing import Annotated\nfrom packetlab import *\nfrom packetlab import text", names)
        exec("\n\n".join(map(class_body, found)), names)
        assert describe(names["ThroughAll"]) == found[1]

    class Open(Header):
        body: Rest = through(aead("AES-GCM", key=bytes(16), nonce=bytes(12)))

    with pytest.raises(DeclareError, match="goes into no file"):
        describe(Open)


def refused(body: str) -> str:
    """Return the error for a class body."""
    names = {word: getattr(pl, word) for word in pl._WHERE} | globals()
    lines = "\n    ".join(body.split("; "))
    with bindings(), pytest.raises(DeclareError) as error:
        exec(f"class X(Header):\n    {lines}", names, {})
    return str(error.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("n: U16 = through(zlib())", "Bytes, Text, a header or a list"),
        ("b: Bytes = through(zlib())", "size"),
        ("b: Rest = through(xor(field('k')))", "another field of the header"),
        ("b: Rest = through(xor(field('b')))", "another field of the header"),
        ("b: Rest = through(xor(size_of('b')))", "fields and numbers"),
        ("c: U16 = auto(internet_checksum('self')); b: Rest = through(xor(field('c')))", "comes later"),
        ("c: U16 = auto(internet_checksum('self')); b: Rest = through(aead('AES-GCM', key=secret('k'), nonce=bytes(12), aad='self'))", "known before"),
        ("b: Bytes = through(base64(), ended(b'x'))", "through"),
        ("b: Bytes = through(base64(), const(b'x'))", "through"),
        ("b: tuple[ThroughEnd, ...] = through(base64(), many(count=3))", "count"),
        ("p: Payload; b: Rest = through(base64())", ""),
        ("b: Bytes = sized(3, through(base64()))", ""),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_at_the_class(body: str, words: str) -> None:
    assert words in refused(body)


def test_a_header_or_a_list_goes_on_to_the_end() -> None:
    with bindings():

        class Inward(Header):
            number: U8 = 0
            more: Rest = b""

        class Whitened(Header):
            address: U32 = 0x8E89BED6
            pdu: Inward = through(ble_whitened(37))
            crc: Annotated[int, bits(24)] = 7

        class Several(Header):
            key: U8 = 0x55
            marked: U8 = auto(has("inside"))
            inside: Inward | None = when(field("marked"), through(xor(field("key")), sized(2)))
            pairs: tuple[ThroughEnd, ...] = through(xor(field("key")), many())

        class Told(Header):
            length: U8 = auto(size_of("pdu"))
            pdu: Inward = through(ble_whitened(37))
            after: U8 = 9

        for header in (
            Whitened(pdu=Inward(number=1, more=b"hello"), crc=5),
            Several(pairs=[ThroughEnd(port=1, host=2), ThroughEnd(port=3, host=4)]),
            Several(inside=Inward(number=1, more=b"a")),
            Told(pdu=Inward(more=b"abc")),
        ):
            found = read(type(header), bytes(header))
            assert found[type(header)] == header and not found.faults
        assert Told(pdu=Inward()).replace(after=8) == Told(pdu=Inward(), after=8)
        read(Whitened, b"abcdefg"), read(Whitened, b"abc"), read(Several, b"abcdefgh")
        assert dissect(bytes(Several()) + b"abcd", Several).faults[0].field == "pairs"


def test_a_header_of_nothing_but_defaults_and_a_fixed_size_go_through_a_transform() -> None:
    with bindings():

        class Inward(Header):
            number: U8 = 0

        class Outward(Header):
            length: U8 = auto(size_of("inside"))
            inside: Inward = through(zlib(), sized(field("length")))

        class Fixed(Header):
            mask: U8 = 0x55
            inside: Inward = through(xor(field("mask")), sized(1))
            text: Bytes = through(xor(field("mask")), sized(3, b"abc"))

        data = bytes(Outward(inside=Inward(number=4)))
        assert dissect(data, Outward)[Outward].inside.number == 4
        made = bytes(Fixed(inside=Inward(number=1)))
        assert made == bytes([0x55, 0x54, *(one ^ 0x55 for one in b"abc")])
        assert dissect(made, Fixed)[Fixed].text == b"abc"
        with pytest.raises(BuildError, match="3 bytes"):
            bytes(Fixed(inside=Inward(), text=b"ab"))
