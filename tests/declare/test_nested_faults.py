"""Bytes that do not fit in the innermost of many headers: found where they are, in work that does not double with each level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from packetlab import U8, Bytes, Header, Rest, auto, bindings, count_of, dissect, field, many, sized, through, xor
from tests.careful import careful
from tests.growth import steps


def made(name: str, base: Any = Header, *, named: dict[str, Any], given: dict[str, Any], **options: Any) -> Any:
    return type(name, (base,), {"__module__": __name__, "__annotations__": named, **given}, **options)


def one(level: int, inner: Any) -> Any:
    return made(f"L{level}", named={"k": U8, "a": inner}, given={})


def some(level: int, inner: Any) -> Any:
    given = {"k": auto(count_of("a")), "a": many(count=field("k"))}
    return made(f"L{level}", named={"k": U8, "a": tuple[inner, ...]}, given=given)


def chosen(level: int, inner: Any) -> Any:
    base = made(f"L{level}", named={"k": U8}, given={"k": 0})
    made(f"M{level}", base, named={"a": inner}, given={}, when={"k": 1})
    return base


def refined(level: int, inner: Any) -> Any:
    base = made(f"L{level}", named={"k": U8, "data": Rest}, given={"k": 0, "data": b""})
    made(f"M{level}", base, named={"a": inner}, given={}, inside="data", when={"k": 1})
    return base


def masked(level: int, inner: Any) -> Any:
    return made(f"L{level}", named={"k": U8, "a": inner}, given={"a": through(xor(b"\0"), sized(level + 2))})


@pytest.mark.parametrize(
    ("holds", "asks"),
    [
        (one, False),
        (some, False),
        (chosen, False),
        (refined, False),
        (masked, False),
        (one, True),
        (some, True),
        (chosen, True),
    ],
)
def test_work_does_not_double_with_each_level(holds: Callable[[int, Any], Any], asks: bool) -> None:
    """`asks`: the innermost has a rule that names a field of what holds it, so that it is read by its own reader."""

    def work(levels: int) -> int:
        with bindings():
            size = field("n") + field("^.k") - 1 if asks else field("n")
            top = made("L0", named={"n": U8, "a": Bytes}, given={"a": sized(size, b"")})
            for level in range(1, levels):
                top = holds(level, top)
            data = b"\1" * (levels - 1) + b"\x09ab"
            packet = dissect(data, top)
            assert packet.faults and bytes(packet) == data
            assert [str(fault) for fault in packet.faults] == [str(fault) for fault in careful(top, data)[1]]
            return steps(lambda: dissect(data, top))

    first, second, third = (work(levels) for levels in (4, 8, 16))
    assert third - second < 8 * (second - first)  # 2 where it grows with the levels, 4 with their square
