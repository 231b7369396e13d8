"""Bits of bytes as numbers, and numbers as bits. `at` is a bit's place; with `low` bits count from the lowest of each byte."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packetlab.declare.kinds import Kind, Raw

LONGEST = 80
"""Bytes of a number in digits, which has its own end, that are looked at."""
TOGETHER = 120
"""Bits that are taken apart, or put together, as one number: with more of them each step takes longer."""


@cache
def halves(bits: int, low: bool) -> list[tuple[int, ...]]:
    """Return the numbers of 1, 2 or 4 bits in each byte."""
    shifts = range(0, 8, bits) if low else range(8 - bits, -1, -bits)
    return [tuple(byte >> shift & (1 << bits) - 1 for shift in shifts) for byte in range(256)]


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


def coded_at(data: bytes, at: int, limit: int, low: bool, kind: Kind, longest: int) -> tuple[Raw, int] | None:
    """Return a value of at most so many bytes that tells its own size and begins at a bit, and the bit where it ends; None where there is none before the bit `limit`."""
    start, shift, size = at >> 3, at & 7, limit - at >> 3
    if size <= 0:
        return None if (found := kind.read(b"", 0, 0)) is None else (found[0], at)
    size = size if size < longest else longest
    window = data[start : start + size + 1]
    if low:
        window = ((int.from_bytes(window, "little") >> shift) & (1 << size * 8) - 1).to_bytes(size, "little")
    elif shift:
        window = ((int.from_bytes(window, "big") >> 8 - shift) & (1 << size * 8) - 1).to_bytes(size, "big")
    found = kind.read(window, 0, size)
    return None if found is None else (found[0], at + found[1] * 8)


def numbers_at(data: bytes, at: int, count: int, bits: int, low: bool = False, signed: bool = False) -> tuple[int, ...]:
    """Return so many numbers of some bits each, side by side."""
    found: list[int] = []
    if bits in (1, 2, 4) and count * bits > 16:
        total = count * bits
        some = data[at >> 3 : at + total + 7 >> 3]
        if at & 7:
            number = number_at(data, at, total, low)
            some = (number if low else number << -total % 8).to_bytes(-(-total // 8), "little" if low else "big")
        for few in map(halves(bits, low).__getitem__, some):
            found += few
        del found[count:]
        count = 0
    mask, together = (1 << bits) - 1, max(1, TOGETHER // bits)
    while count > 0:
        several = min(count, together)
        stop = at + several * bits
        chunk = data[at >> 3 : stop + 7 >> 3]
        if low:
            whole = int.from_bytes(chunk, "little") >> (at & 7)
            found += [whole >> shift & mask for shift in range(0, several * bits, bits)]
        else:
            whole = int.from_bytes(chunk, "big") >> (-stop & 7)
            found += [whole >> shift & mask for shift in range((several - 1) * bits, -1, -bits)]
        at, count = stop, count - several
    if signed:
        half = 1 << bits - 1
        return tuple([(one ^ half) - half for one in found])
    return tuple(found)


def joined(values: Sequence[int], bits: int, low: bool = False) -> int:
    """Return numbers of some bits each, side by side, as one number."""
    mask, whole = (1 << bits) - 1, 0
    order: Literal["little", "big"] = "little" if low else "big"
    if len(values) > 16:  # eight of them are whole bytes
        parts, eights = list[bytes](), len(values) // 8 * 8
        for place in range(0, eights, 8):
            eight = 0
            for one in reversed(values[place : place + 8]) if low else values[place : place + 8]:
                eight = eight << bits | one & mask
            parts.append(eight.to_bytes(bits, order))
        whole, rest = int.from_bytes(b"".join(parts), order), joined(values[eights:], bits, low)
        return whole | rest << eights * bits if low else whole << (len(values) - eights) * bits | rest
    for one in reversed(values) if low else values:
        whole = whole << bits | one & mask
    return whole


def merged(numbers: list[tuple[int, int]], low: bool = False) -> tuple[int, int]:
    """Return numbers with how many bits each has, side by side, as one such; in steps of two, so that long ones stay quick."""
    while len(numbers) > 1:
        twos = zip(numbers[::2], numbers[1::2], strict=False)
        pairs = [
            (one | other << bits if low else one << more | other, bits + more) for (one, bits), (other, more) in twos
        ]
        numbers = pairs + numbers[len(numbers) // 2 * 2 :]
    return numbers[0] if numbers else (0, 0)
