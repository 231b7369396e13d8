"""Coded numbers in Wireshark: tshark reads, in Lua written from declarations, what packetlab reads, and finds the same faults."""

from __future__ import annotations

import random
from collections.abc import Iterator
from enum import IntEnum
from typing import Annotated, Any

import pytest

from packetlab import (
    S8,
    U8,
    BERLength,
    BuildError,
    Bytes,
    Ether,
    Header,
    MQTTInt,
    Packet,
    QuicInt,
    SignedVarInt,
    Spelled,
    VarInt,
    ZigZagInt,
    auto,
    ber_integer,
    ber_length,
    bindings,
    const,
    count_of,
    field,
    many,
    size_of,
    sized,
    sized_int,
    varint,
    when,
)
from packetlab.declare.kinds import Named
from packetlab.export.wireshark.wireshark import wireshark
from tests.conftest import amount
from tests.export.pdml import Tshark, compare


class Sort(IntEnum):
    SHORT = 1
    LONG = 300


class Group(Header):
    n: VarInt = 1
    z: ZigZagInt = -1


@pytest.fixture(scope="module")
def coded() -> Iterator[Any]:
    with bindings():

        class Coded(Header, under=Ether, when={"type": 0x88B5}):
            sort: Annotated[Named[Sort], varint()] = Sort.SHORT
            u: VarInt = 1
            s: SignedVarInt = 1
            z: ZigZagInt = 1
            q: QuicInt = 1
            m: MQTTInt = 1
            h: Annotated[int, varint(high_first=True, most=5)] = 1
            small: Annotated[int, varint(signed=True, most=2)] = 1
            magic: VarInt = const(200)
            b: BERLength = auto(size_of("i"))
            i: Annotated[int, ber_integer()] = sized(field("b"), 0)
            o: ZigZagInt | None = when((field("u") > 100) & (field("z") < 0), 5)
            k: Annotated[int, ber_length(indefinite=True)] = auto(size_of("key"))
            key: Bytes | None = sized(field("k"), none=-1)
            w: U8 = auto(size_of("v"))
            v: Annotated[int, sized_int(4)] = sized(field("w"), 0)
            count: S8 = auto(count_of("groups"))
            groups: tuple[Group, ...] | None = many(count=field("count"), none=-1)
            end: U8 = 7

        class Rest(Header, under=Coded, when={"end": 7}):
            length: MQTTInt = auto(size_of("self") + size_of("payload") - size_of("length"))
            n: VarInt = 5
            text: Bytes = sized(field("n"), b"12345")

        yield Coded, Rest


def drawn(coded: Any, rng: random.Random) -> Packet:
    """Return a packet with numbers of all sizes, some in more bytes than they need."""
    header, rest = coded

    def number(bits: int, signed: bool = False) -> int:
        value = rng.getrandbits(rng.randint(1, bits))
        return ~value if signed and rng.random() < 0.5 else value

    def wide(value: int, *sizes: int) -> int:
        return Spelled(value, rng.choice(sizes)) if rng.random() < 0.2 else value

    given = dict(
        sort=rng.choice([1, 300, 5]), u=wide(number(64) if rng.random() < 0.8 else number(6), 10), s=wide(number(63, True), 10),
        z=wide(number(63, True), 10), q=wide(number(62), 8), m=wide(number(28), 4), h=wide(number(35), 5),
        small=number(13, True), i=number(63, True), key=rng.choice([None, b"", b"abc"]), v=wide(number(24), 4),
        groups=rng.choice([None, (), (Group(n=number(64), z=number(63, True)), Group())]),
    )  # fmt: skip
    return Ether() / header(**given) / rest() / b"zz"


@pytest.mark.slow
def test_tshark_reads_coded_numbers_and_their_faults_as_packetlab_does(coded: Any, tmp_path: Any) -> None:
    tshark, rng = Tshark(tmp_path, *coded), random.Random(7)
    frames: list[bytes] = []
    for _ in range(amount(60, 600)):
        sound = bytes(drawn(coded, rng))
        frames += [sound, sound[: rng.randint(15, len(sound))]]
        for _ in range(3):
            damaged = bytearray(sound)
            damaged[rng.randrange(14, len(sound))] = rng.choice([0, 0x7F, 0x80, 0xFF, rng.randrange(256)])
            frames.append(bytes(damaged))
        frames.append(
            sound[:14] + bytes(rng.choice([0x80, 0xFF, rng.randrange(256)]) for _ in range(rng.randrange(1, 30)))
        )
    compare(tshark, frames)


def test_a_number_of_more_than_64_bits_is_refused_by_name_in_a_rule() -> None:
    with bindings():

        class Key(Header):
            size: BERLength = auto(size_of("modulus"))
            modulus: Annotated[int, ber_integer(most=32)] = sized(field("size"), 0)
            more: U8 | None = when(field("modulus") > 5)

        with pytest.raises(BuildError, match=r"Key\.modulus: expected a number of up to 64 bits in a rule for Wireshark, got 256"):
            wireshark(Key)
