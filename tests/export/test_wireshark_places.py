"""Places that do not follow from what stands before, as tshark reads them with the dissector that is written: ends, names."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

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
    auto,
    bindings,
    const,
    count_of,
    field,
    fixed_bytes,
    from_end,
    has,
    many,
    size_of,
    when,
)
from tests.conftest import amount, need
from tests.export.pdml import Tshark, compare


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
