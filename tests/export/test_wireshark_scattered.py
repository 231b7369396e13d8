"""Fields at offsets in another order than they are declared in, as tshark reads them with the dissector that is written."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from typing import Annotated

from packetlab import (
    MAC,
    U8,
    U16,
    U32,
    Bytes,
    Digits,
    Ether,
    Frame,
    Header,
    Text,
    VarInt,
    at,
    auto,
    bindings,
    count_of,
    ended,
    field,
    many,
    must,
    offset_of,
    size_of,
    sized,
    text,
)
from tests.conftest import amount, need
from tests.export.pdml import Tshark, compare


def test_fields_are_read_as_they_lie(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class ScatteredItem(Header):
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class ScatteredThree(Header, under=Ether, when={"type": 0x7B51}):
            a_at: U8 = auto(offset_of("a"))
            a_size: U8 = auto(size_of("a"))
            b_at: U8 = auto(offset_of("b"))
            c_at: U8 = auto(offset_of("c"))
            a: Annotated[str, text("ascii")] = at(field("a_at"), sized(field("a_size"), ""))
            b: U32 = at(field("b_at"), must(field("b") > 9, 70))
            c: MAC = at(field("c_at"), "02:00:00:00:00:01")
            z: U8 = 1

        class ScatteredCoded(Header, under=Ether, when={"type": 0x7B52}):
            a_at: U8 = auto(offset_of("a"))
            b_at: U8 = auto(offset_of("b"))
            c_at: U8 = auto(offset_of("c"))
            d_at: U8 = auto(offset_of("d"))
            count: U8 = auto(count_of("d"))
            a: VarInt = at(field("a_at"), 300)
            b: Text = at(field("b_at"), ended(b"\0", "ab"))
            c: Digits = at(field("c_at"), ended(b";", 12))
            d: tuple[ScatteredItem, ...] = at(field("d_at"), many(count=field("count")))
            z: U16 = 1

        chance = random.Random(7)

        def three() -> Iterator[bytes]:
            parts = {"a": b"xyz", "b": b"\0\0\1\0", "c": bytes(6)}
            for order in permutations(parts):
                yield laid(4 + chance.choice((0, 2)), parts, order, lambda where: bytes((where["a"], 3, where["b"], where["c"])))

        def coded() -> Iterator[bytes]:
            parts = {"a": b"\xac\2", "b": b"ab\0", "c": b"12;", "d": b"\1x\0"}
            for order in permutations(parts):
                yield laid(5, parts, order, lambda where: bytes((where["a"], where["b"], where["c"], where["d"], 2)))
            parts["d"] = b""  # no items lie nowhere
            yield laid(5, parts, ("c", "b", "a", "d"), lambda where: bytes((where["a"], where["b"], where["c"], 99, 0)))

        sound = [*(Frame(bytes(12) + b"\x7b\x51" + body) for body in three()), *(Frame(bytes(12) + b"\x7b\x52" + body) for body in coded())]
        assert not any(frame.packet().faults for frame in sound) and len(sound) == 6 + 25
        frames = [each for frame in sound for each in damaged(frame.data, chance)]
        for kind, size in ((b"\x7b\x51", 4), (b"\x7b\x52", 5)):
            for _ in range(amount(60, 600)):
                offsets = bytes(chance.randrange(size, 24) for _ in range(size))
                frames.append(Frame(bytes(12) + kind + offsets + chance.choice((b"\1", b"a", b"\0;")) * 3 + chance.randbytes(20)))
        compare(Tshark(tmp_path, ScatteredThree, ScatteredCoded), frames)


def laid(here: int, parts: dict[str, bytes], order: tuple[str, ...], head: Callable[[dict[str, int]], bytes]) -> bytes:
    """Return parts in an order from an offset on, with what stands before them, which says where each is."""
    begin = len(head(dict.fromkeys(parts, 0)))
    where, body = dict[str, int](), bytes(here - begin)
    for name in order:
        where[name] = begin + len(body)
        body += parts[name]
    return head(where) + body + b"\5\6"


def damaged(data: bytes, chance: random.Random) -> Iterator[Frame]:
    """Yield a frame, cut at every third byte, also by the capture, and with bytes changed."""
    yield Frame(data)
    for size in range(15, len(data), 3):
        yield Frame(data[:size])
        yield Frame(data[:size], wire_length=len(data))
    for place in range(14, len(data), 2):
        yield Frame(data[:place] + bytes([data[place] ^ chance.choice((1, 0x80, 3))]) + data[place + 1 :])
