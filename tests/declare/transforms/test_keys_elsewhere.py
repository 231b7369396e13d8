"""Keys, nonces and what is authenticated, of fields of other headers and of rules: the bytes that a peer would take."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Annotated, Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    U4,
    U8,
    U16,
    U32,
    U64,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    Rest,
    U16le,
    U32le,
    VarInt,
    aead,
    auto,
    before,
    bindings,
    bits,
    cipher,
    computed,
    declare_from,
    describe,
    dissect,
    field,
    fixed_bytes,
    has,
    many,
    secret,
    secrets,
    size_of,
    through,
    when,
    whitened,
    xor,
)
from packetlab.schema.source import class_body
from tests.careful import careful
from tests.conftest import amount

FREE = 0x7D91


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    with bindings():
        yield


def masked(data: bytes, key: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(data, cycle(key), strict=False))


def reads_back(packet: Any, wire: bytes, text: bytes, **where: object) -> None:
    """Hold what was built, the two readers, a capture, and a copy by its data to the text."""
    header = type(packet.layers[-1])
    assert bytes(packet) == wire
    read = dissect(wire, type(packet.layers[0]))
    assert read == packet and not read.faults and bytes(read) == wire
    assert read.layers[-1].text == text
    longer = read.replace(header, text=text + b"!")
    assert dissect(bytes(longer), type(packet.layers[0])).layers[-1].text == text + b"!"


KEYS = {U16: "big", U16le: "little", U32: "big", U32le: "little"}


@pytest.mark.parametrize("kind", KEYS, ids=lambda kind: kind.__metadata__[0].annotation())
@given(key=st.integers(1, 65535), text=st.binary(min_size=1, max_size=9))
@settings(max_examples=amount(12, 1000))
def test_a_key_of_another_header_is_its_bytes_as_they_are_sent(kind: Any, key: int, text: bytes) -> None:
    with bindings():

        class Around(Header, under=Ether, when={"type": FREE}):
            key: kind = 0

        class Above(Header, under=Around):
            text: Rest = through(xor(field("Around.key")), b"")

        sent = bytes(Around(key=key))
        reads_back(
            Ether() / Around(key=key) / Above(text=text), bytes(Ether(type=FREE)) + sent + masked(text, sent), text
        )


def test_a_key_of_the_header_that_holds_it() -> None:
    class Held(Header):
        text: Rest = through(xor(field("^.key")), b"")

    class Holds(Header, under=Ether, when={"type": FREE}):
        key: Annotated[bytes, fixed_bytes(4)] = b"\0\1\2\3"
        held: Held = Held()

    class Plain(Header):
        text: Rest = through(xor(field("^.key")), b"")

    class Perhaps(Header):
        flag: U8 = auto(has("key"))
        key: U32le | None = when(field("flag"))
        held: Plain = Plain()

    class Item(Header):
        n: U8 = auto(pl.size_of("text"))
        text: pl.Bytes = through(xor(field("^.key")), pl.sized(field("n"), b""))

    class Several(Header):
        key: U16le = 0x0102
        items: tuple[Item, ...] = many()

    header = Holds(held=Held(text=b"Hello"))
    assert bytes(header) == b"\0\1\2\3" + masked(b"Hello", b"\0\1\2\3")
    read = dissect(bytes(header), Holds)
    assert read[Holds].held.text == b"Hello" and bytes(read) == bytes(header)
    assert Capture.of([Ether() / header]).where("holds.held.text contains 48656c6c6f").count() == 1
    other = read.replace(Holds, key=b"abcd")
    assert bytes(other) == b"abcd" + masked(b"Hello", b"abcd")
    assert bytes(Perhaps(held=Plain(text=b"Hello"))) == b"\0Hello"  # without the field no mask
    assert bytes(Perhaps(key=0x100, held=Plain(text=b"Hello"))) == b"\1\0\1\0\0" + masked(b"Hello", b"\0\1\0\0")
    assert dissect(bytes(Perhaps(key=1, held=Plain(text=b"x"))), Perhaps)[Perhaps].held.text == b"x"
    assert bytes(Several(items=[Item(text=b"abc")])) == b"\2\1\3" + masked(b"abc", b"\2\1")
    assert dissect(bytes(Several(items=[Item(text=b"abc")] * 2)), Several)[Several].items[1].text == b"abc"


def test_without_that_header_there_is_no_key_rather_than_one_of_zeros() -> None:
    class Around(Header):
        key: U32 = 0

    class Above(Header, under=Around):
        text: Rest = through(xor(field("Around.key")), b"")

    assert dissect(b"abc", Above).faults[0].expected == "a key"
    with pytest.raises(pl.BuildError, match="expected a key, got none"):
        bytes(Above(text=b"abc"))


def test_what_is_authenticated_of_another_header() -> None:
    key = bytes(range(16))

    class Around(Header, under=Ether, when={"type": FREE}):
        serial: U16 = 0
        size: VarInt = 300

    class Above(Header, under=Around):
        text: Rest = through(
            aead("AES-GCM", key=secret("test"), nonce=field("Around.serial"), aad=field("Around.serial")), b""
        )

    class Other(Header, under=Ether, when={"type": FREE + 1}):
        size: VarInt = 300
        text: Rest = through(aead("AES-GCM", key=secret("test"), nonce=bytes(12), aad=field("size")), b"")

    with secrets({"test": key}):
        sealed = AESGCM(key).encrypt(bytes(11) + b"\5", b"text", b"\0\5")
        reads_back(
            Ether() / Around(serial=5) / Above(text=b"text"), bytes(Ether(type=FREE)) + b"\0\5\xac\2" + sealed, b"text"
        )
        assert bytes(Other(text=b"text"))[2:] == AESGCM(key).encrypt(bytes(12), b"text", b"\xac\2")


def test_a_rule_for_a_key_is_as_wide_as_the_widest_field_in_it() -> None:
    class Turned(Header, under=Ether, when={"type": FREE}):
        one: U8 = 1
        key: U32le = 0
        text: Rest = through(xor(field("key") ^ field("one")), b"")

    reads_back(
        Ether() / Turned(key=0x100, text=b"Hello"),
        bytes(Ether(type=FREE)) + b"\1\0\1\0\0" + masked(b"Hello", b"\1\1\0\0"),
        b"Hello",
    )

    class Doubled(Header, under=Ether, when={"type": FREE + 1}):
        low: U8 = 0
        key: U16 = computed(field("low") * 2)
        text: Rest = through(xor(field("key")), b"")

    reads_back(Ether() / Doubled(low=2, text=b"Hi"), bytes(Ether(type=FREE + 1)) + b"\2Hm", b"Hi")


def test_a_seed_is_a_number_in_either_byte_order() -> None:
    class Big(Header):
        seed: U16 = 0x1FF
        text: Rest = through(whitened(seed=field("seed")), b"")

    class Little(Header):
        seed: U16le = 0x1FF
        text: Rest = through(whitened(seed=field("seed")), b"")

    assert bytes(Big(text=bytes(4)))[2:] == bytes(Little(text=bytes(4)))[2:] == whitened(seed=0x1FF).encode(bytes(4))
    assert dissect(bytes(Little(text=b"abcd")), Little)[Little].text == b"abcd"


def test_a_rule_of_several_fields_is_authenticated_whole() -> None:
    key = bytes(range(16))

    class Joined(Header, under=Ether, when={"type": FREE}):
        one: U32 = 0x01020304
        other: U16 = 5
        text: Rest = through(
            aead("AES-GCM", key=secret("test"), nonce=bytes(12), aad=(field("one") << 16) | field("other")), b""
        )

    class Added(Header):
        one: Annotated[int, bits(4)] = 1
        other: Annotated[int, bits(12)] = 0x234
        more: U8 = 0x56
        text: Rest = through(xor(((field("one") << 12) + field("other") << 8) + field("more")), b"")

    class Sealed(Header):
        one: U64 = 1
        other: U64 = 2
        text: Rest = through(cipher("AES-ECB", key=(field("one") << 64) | field("other")), b"")

    with secrets({"test": key}):
        head = bytes.fromhex("010203040005")
        sealed = AESGCM(key).encrypt(bytes(12), b"text", head)
        reads_back(Ether() / Joined(text=b"text"), bytes(Ether(type=FREE)) + head + sealed, b"text")
        zeros = bytes(Joined(one=0, other=0, text=b"text"))[6:]
        assert zeros == AESGCM(key).encrypt(bytes(12), b"text", bytes(6))
        forged = dissect(b"\xff\xff" + head[2:] + sealed, Joined)
        assert [fault.expected for fault in forged.faults] == ["the tag of AES-GCM for this key, nonce and data"]
        assert careful(Joined, b"\xff\xff" + head[2:] + sealed)[1] == [*forged.faults]
    assert bytes(Added(text=bytes(4))).hex() == "123456" + "12345612"
    made = Cipher(algorithms.AES(bytes.fromhex("00000000000000010000000000000002")), modes.CBC(bytes(16))).encryptor()  # one block
    assert bytes(Sealed(text=b"x"))[16:] == made.update(b"x" + b"\x0f" * 15)
    assert dissect(bytes(Sealed(text=b"x")), Sealed)[Sealed].text == b"x"


def test_a_span_of_fields_is_authenticated() -> None:
    class Spanned(Header, under=Ether, when={"type": FREE}):
        kind: U4 = 1
        flags: U4 = 2
        host: pl.MAC = "02:00:00:00:00:01"  # type: ignore[assignment]
        number: Annotated[int, pl.bcd(4)] = 12
        free: U8 = 9
        text: Rest = through(aead("AES-GCM", key=secret("test"), nonce=bytes(12), aad=pl.span("host", "number")), b"")

    key = bytes(range(16))
    with secrets({"test": key}):
        head = bytes.fromhex("12 020000000001 0012 09")
        sealed = AESGCM(key).encrypt(bytes(12), b"text", head[1:9])
        reads_back(Ether() / Spanned(text=b"text"), bytes(Ether(type=FREE)) + head + sealed, b"text")
        assert dissect(b"\xff" + head[1:9] + b"\xff" + sealed, Spanned)[Spanned].text == b"text"  # what is around it may differ
        for place in range(1, 9):
            forged = head[:place] + bytes([head[place] ^ 1]) + head[place + 1 :] + sealed
            assert [fault.expected for fault in dissect(forged, Spanned).faults] == ["the tag of AES-GCM for this key, nonce and data"]
            assert careful(Spanned, forged)[1] == [*dissect(forged, Spanned).faults]
        read = dissect(head + sealed, Spanned)
        assert bytes(read.replace(Spanned, number=5)) == bytes(Spanned(number=5, text=b"text"))
        described = pl.describe(Spanned)
        with bindings():
            (again,) = pl.declare_from(described)
            assert bytes(again(text=b"text")) == head + sealed
        assert "aad=span('host', 'number')" in class_body(described)


@pytest.mark.parametrize(("names", "refused"), [
    (("flags", "host"), r"whole bytes in a span, got span\(flags, host\), from bit 4 to 56"),
    (("host", "data"), r"fields of a fixed size up to data, always there, got data, bytes \("),
    (("size", "host"), "the field that comes first, then the last one"),
    (("host", "text"), "fields before text in span"),
    (("host", "sise"), "did you mean 'size'"),
])  # fmt: skip
def test_a_span_that_is_not_always_the_same_bytes_is_refused_with_the_way_out(names: tuple[str, str], refused: str) -> None:
    with pytest.raises(DeclareError, match=refused), bindings():

        class Unspanned(Header):
            kind: U4 = 1
            flags: U4 = 2
            host: pl.MAC = "02:00:00:00:00:01"  # type: ignore[assignment]
            size: U8 = auto(size_of("data"))
            data: Bytes = b""
            text: Rest = through(aead("AES-GCM", key=secret("test"), nonce=bytes(12), aad=pl.span(*names)), b"")

    with pytest.raises(DeclareError, match=r"as aad, got .*span\(\"a\", \"b\"\) the part of it from a to b"):
        aead("AES-GCM", key=secret("test"), nonce=bytes(12), aad=pl.but("a", "b"))


def test_a_rule_whose_bytes_are_not_sure_is_refused_as_a_key() -> None:
    for rule in (field("a") + 1, field("a") - 5, field("a") * 3, ~field("a")):
        with pytest.raises(DeclareError, match=r"a rule that comes to a number of so many bytes.*& 0xff"):

            class Unsure(Header):
                a: U8 = 0
                text: Rest = through(xor(rule), b"")

    class Masked(Header):
        a: U8 = 255
        text: Rest = through(xor((field("a") + 3) & 0xFF), b"")

    assert bytes(Masked(text=bytes(2))) == b"\xff\2\2"


@pytest.mark.parametrize("transform", ["aead", "cipher", "whitened", "ble"])
def test_a_rule_below_0_is_no_nonce_and_no_seed(transform: str) -> None:
    rule, key = field("a") - 5, bytes(16)
    transforms = {
        "aead": aead("AES-GCM", key=key, nonce=rule), "cipher": cipher("AES-CTR", key=key, nonce=rule),
        "whitened": whitened(seed=rule), "ble": pl.ble_whitened(rule),
    }  # fmt: skip

    class Below(Header):
        a: U8 = 6
        text: Rest = through(transforms[transform], b"")

    right = bytes(Below(text=b"text"))
    assert dissect(right, Below)[Below].text == b"text"
    with pytest.raises(pl.BuildError, match="a rule that comes to 0 or more, got -4"):
        bytes(Below(a=1, text=b"text"))
    packet = dissect(b"\1" + right[1:], Below)
    assert [(fault.expected, fault.got) for fault in packet.faults] == [("a rule that comes to 0 or more", "-4")]


def test_a_nonce_is_the_bytes_of_a_fixed_width_or_the_number() -> None:
    def nonce(kind: Any, value: int, rule: Any) -> bytes:
        class Nonced(Header):
            a: kind = value
            text: Rest = through(aead("AES-GCM", key=bytes(16), nonce=rule), b"")

        sealed = bytes(Nonced(text=b"text"))[-20:]
        number = value.to_bytes(12, "big")
        (found,) = [one for one in (number, number[::-1], number[:8] + number[:7:-1]) if AESGCM(bytes(16)).encrypt(one, b"text", b"") == sealed]
        return found

    assert nonce(U32le, 0x102, field("a")) == bytes(8) + b"\2\1\0\0"
    assert nonce(U32le, 0x102, field("a") + 0) == bytes(10) + b"\1\2"
    assert nonce(Annotated[int, pl.bcd(4)], 1234, field("a")) == bytes(10) + b"\x04\xd2"
    assert nonce(VarInt, 300, field("a")) == bytes(10) + b"\x01\x2c"


def test_what_has_no_width_of_its_own_is_refused_as_a_key() -> None:
    with pytest.raises(DeclareError, match=r"numbers of a fixed width.*computed field has the width"):

        class Loose(Header):
            low: U8 = 0
            key: int = computed(field("low") * 2)
            text: Rest = through(xor(field("key")), b"")

    with pytest.raises(DeclareError, match=r"fields and numbers as key.*computed"):

        class Mixed(Header):
            text: Rest = through(xor(field("^.key") ^ 5), b"")

    with pytest.raises(DeclareError, match=r"fields and numbers as key.*computed"):

        class Chained(Header):
            text: Rest = through(xor(before("key")), b"")

    class Kept(Header):
        key: U8 = 0

    with pytest.raises(DeclareError, match=r"fields and numbers as key, got kept.key"):

        class Dotted(Header):
            kept: Kept = Kept()
            text: Rest = through(xor(field("kept.key")), b"")


def test_such_keys_come_back_from_data() -> None:
    class Around(Header, under=Ether, when={"type": FREE}):
        key: U32 = 0

    class Above(Header, under=Around):
        text: Rest = through(xor(field("Around.key")), b"")

    wire = bytes(Ether() / Around(key=0x00FA213D) / Above(text=bytes(4)))
    assert wire[18:].hex() == "00fa213d"
    with bindings():
        (around,) = declare_from(describe(Around))
        declare_from(describe(Above))
        assert dissect(wire[14:], around).layers[-1].text == bytes(4)
