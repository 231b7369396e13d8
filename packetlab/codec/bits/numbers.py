"""Bits of bytes as numbers, and numbers as bits. `at` is a bit's place; with `low` bits count from the lowest of each byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TOGETHER = 512
"""Bits that are taken apart, or put together, as one number: long lists would take time that grows with their square."""


def number_at(data: bytes, at: int, bits: int, low: bool = False, signed: bool = False) -> int:
    """Return some bits as a number."""
    stop = at + bits
    chunk = data[at >> 3 : stop + 7 >> 3]
    found = (int.from_bytes(chunk, "little") >> (at & 7) if low else int.from_bytes(chunk, "big") >> (-stop & 7)) & (
        1 << bits
    ) - 1
    return found - (1 << bits) if signed and bits and found >> bits - 1 else found


def bytes_at(data: bytes, at: int, size: int, low: bool = False) -> bytes:
    """Return the bytes that begin at a bit."""
    return number_at(data, at, size * 8, low).to_bytes(size, "little" if low else "big")


def numbers_at(data: bytes, at: int, count: int, bits: int, low: bool = False, signed: bool = False) -> tuple[int, ...]:
    """Return so many numbers of some bits each, side by side."""
    found: list[int] = []
    mask, together = (1 << bits) - 1, max(1, TOGETHER // bits)
    while count > 0:
        some = min(count, together)
        stop = at + some * bits
        chunk = data[at >> 3 : stop + 7 >> 3]
        if low:
            whole = int.from_bytes(chunk, "little") >> (at & 7)
            found += [whole >> shift & mask for shift in range(0, some * bits, bits)]
        else:
            whole = int.from_bytes(chunk, "big") >> (-stop & 7)
            found += [whole >> shift & mask for shift in range((some - 1) * bits, -1, -bits)]
        at, count = stop, count - some
    if signed:
        half = 1 << bits - 1
        return tuple([(one ^ half) - half for one in found])
    return tuple(found)


def joined(values: Sequence[int], bits: int, low: bool = False) -> int:
    """Return numbers of some bits each, side by side, as one number."""
    mask = (1 << bits) - 1
    if len(values) * bits > TOGETHER:
        return int("".join([f"{one & mask:0{bits}b}" for one in (reversed(values) if low else values)]), 2)
    whole = 0
    for one in reversed(values) if low else values:
        whole = whole << bits | one & mask
    return whole
