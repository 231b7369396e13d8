"""Places that do not follow from what stands before, as tshark reads them with the dissector that is written: ends, names."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest

from packetlab import (
    U1,
    U7,
    U8,
    U16,
    U32,
    Bytes,
    Ether,
    Frame,
    Header,
    Packet,
    Payload,
    at,
    auto,
    bindings,
    const,
    count_of,
    field,
    fixed_bytes,
    from_end,
    has,
    labels,
    many,
    offset_of,
    pad,
    raw,
    size_of,
    sized,
    when,
)
from tests.conftest import amount, need
from tests.export.pdml import Tshark, compare, experts


def damaged(packets: list[Packet], seed: int) -> Iterator[Frame]:
    """Yield the packets, cut at every byte after Ethernet, also by the capture, with bytes changed, and other bytes in their place."""
    chance = random.Random(seed)
    for data in map(bytes, packets):
        yield Frame(data)
        for size in range(14, len(data)):
            yield Frame(data[:size])
            yield Frame(data[:size], wire_length=len(data))
        for place in range(14, len(data)):
            yield Frame(data[:place] + bytes([data[place] ^ chance.choice((1, 0x80, 0xFF, 3))]) + data[place + 1 :])
        for _ in range(amount(40, 400)):
            yield Frame(data[:14] + chance.randbytes(chance.randrange(40)))


def test_fields_that_are_counted_from_an_end(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class EndMedia(Header, under=Ether, when={"type": 0x7B31}):
            """RTP (RFC 3550 section 5.1) in short."""

            padding: U1 = auto(has("filler"))
            sources: U7 = auto(count_of("contributing"))
            contributing: tuple[U32, ...] = many()
            body: Payload
            filler: Bytes | None = when(field("padding"))
            filled: U8 | None = when(field("padding"), from_end(1, auto(size_of("filler") + 1)))

        class EndTrailing(Header, under=Ether, when={"type": 0x7B32}):
            size: U8 = auto(size_of("self"))
            data: Bytes = b""
            filler: Bytes = b""
            count: U8 = from_end(3, auto(size_of("filler")))
            next: U16 = const(7)

        class EndSecured(Header, under=Ether, when={"type": 0x7B33}):
            """ESP without encryption (RFC 4303 section 2)."""

            spi: U32 = 1
            body: Payload
            filler: Bytes = b""
            count: U8 = from_end(6, auto(size_of("filler")))
            next: U8 = 59
            check: Annotated[bytes, fixed_bytes(4)] = bytes(4)

        packets = [
            Ether() / EndMedia(filler=bytes(3), contributing=[5]) / b"abc",
            Ether() / EndMedia() / b"abc",
            Ether() / EndTrailing(data=b"abc", filler=b"\0\0") / b"up",
            Ether() / EndSecured(filler=b"\1\2") / b"body",
        ]
        compare(Tshark(tmp_path, EndMedia, EndTrailing, EndSecured), [*damaged(packets, 31)])


@pytest.mark.slow
def test_names_that_point_back(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class NameQuestion(Header):
            name: Annotated[str, labels(since="NameZone", compress=True)] = "."
            type: U16 = 1

        class NamePair(Header):
            first: Annotated[str, labels(compress=True)] = "example.com"
            second: Annotated[str, labels(compress=True)] = "www.example.com"

        class NameZone(Header, under=Ether, when={"type": 0x7B34}):
            id: U8 = 0
            asked: U8 = auto(count_of("questions"))
            said: U8 = auto(count_of("pairs"))
            questions: tuple[NameQuestion, ...] = many()
            pairs: tuple[NamePair, ...] = many()
            owner: Annotated[str, labels(since="self", compress=True)] = "."
            fixed: Annotated[str, labels(since="self", compress=True)] = const("lab")

        class NameAbove(Header, under=NameZone):
            name: Annotated[str, labels(since="NameZone", compress=True)] = "www.example.com"
            whole: Annotated[str, labels(since="packet", compress=True)] = "x.www.example.com"
            lost: Annotated[str, labels(since="NameQuestion")] = "."

        packets = [
            Ether()
            / NameZone(
                questions=[NameQuestion(name="www.example.com"), NameQuestion(name=r"a\.b.\\.\000\255.example.com")],
                pairs=[NamePair(), NamePair(first="org")],
                owner="example.com",
            )
            / NameAbove(),
            Ether() / NameZone(questions=[NameQuestion(name="com")]) / NameAbove(lost=raw(b"\xc0\x00")),
            Ether() / NameZone(owner=raw(b"\xc0\x02")) / NameAbove(name=raw(b"\x01a\xc0\x03")),
            Ether() / NameZone(owner=".".join(["a" * 61] * 4)) / NameAbove(name=raw(b"\x05aaaaa\xc0\x03")),
            Ether() / NameZone(owner=raw(b"\x3f" * 64 * 5 + b"\0")),
        ]
        compare(Tshark(tmp_path, NameAbove), [*damaged(packets[:3], 34), *damaged(packets[3:], 35)])


def test_pointers_that_point_to_pointers_end(tmp_path: Path) -> None:
    """Each leads back to the one before, from many names: every place is looked at once."""
    need("tshark")
    with bindings():

        class LoopName(Header):
            name: Annotated[str, labels(since="LoopZone")] = "."

        class LoopZone(Header, under=Ether, when={"type": 0x7B35}):
            names: tuple[LoopName, ...] = many()

        chain = b"".join((0xC000 | max(0, at - 2)).to_bytes(2, "big") for at in range(0, 0x1000, 2))
        good = b"\1a\0" + b"".join((0xC000 | max(0, at)).to_bytes(2, "big") for at in [0, *range(3, 0xFF0, 2)])
        ends = [
            Frame(bytes(Ether(type=0x7B35)) + some) for some in (chain + b"\xcf\xfe" * 3000, good + b"\xcf\xef" * 3000)
        ]
        (first, second) = Tshark(tmp_path, LoopZone).ask(ends)
    assert "a pointer to what stands before it" in str(experts(first[-1], (".fault",)))
    shown = [one.get("show") for layer in second for one in layer.iter("field") if one.get("name") == "loopname.name"]
    assert {*shown} == {"a"} and len(shown) == (len(good) - 3) // 2 + 1 + 3000


def test_places_counted_from_another_beginning(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class OriginEntry(Header):
            kind: U8 = 1
            size: U8 = auto(size_of("value"))
            value: Bytes = b""
            filler: Bytes = pad(4, since="OriginMessage")
            where: U8 = auto(offset_of("blob", since="OriginMessage"))
            count: U8 = auto(size_of("blob"))
            blob: Bytes = at(field("where"), sized(field("count"), b""), align=4, since="OriginMessage")

        class OriginMessage(Header, under=Ether, when={"type": 0x7B36}):
            magic: U8 = 7
            total: U8 = auto(count_of("entries"))
            entries: tuple[OriginEntry, ...] = many(count=field("total"))
            filler: Bytes = pad(8, since="packet")

        class OriginAbove(Header, under=OriginMessage, when={"magic": 7}):
            size: U8 = 3
            filler: Bytes = pad(8, since="OriginMessage")
            last: U8 = auto(offset_of("self", since="OriginMessage"))

        packets = [
            Ether()
            / OriginMessage(entries=[OriginEntry(value=bytes(n), blob=b"blob"[:n]) for n in range(4)])
            / OriginAbove(),
            Ether() / OriginMessage() / OriginAbove(),
        ]
        compare(Tshark(tmp_path, OriginAbove), [*damaged(packets, 36)])
