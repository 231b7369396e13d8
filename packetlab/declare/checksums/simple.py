"""Sums, exclusive or, Fletcher's sums and Adler's: algorithms by their parameters."""

from __future__ import annotations

from functools import cache
from itertools import accumulate
from struct import unpack
from zlib import adler32

from packetlab.declare.checksums.algorithms import Algorithm

PLAIN, INVERTED, NEGATED = 0, 1, 2


@cache
def sum_algorithm(bits: int, unit: int, little: bool, end: int, carry: bool = False) -> Algorithm:
    """Return the sum of words of `unit` bits modulo 2**bits; at the end as it is, `INVERTED` or `NEGATED`.

    With `carry` what does not fit is added again at the lowest bit: modulo 2**bits - 1, and 0 only where all is 0.

    >>> hex(sum_algorithm(8, 8, False, NEGATED).sum(bytes.fromhex("0103006b0003")))
    '0x8e'
    """
    size, mask = unit // 8, (1 << bits) - 1
    shifts = [(place, 8 * (place if little else size - 1 - place)) for place in range(size)]

    def total(data: bytes) -> int:
        # Bytes of one place in their words together: nothing has to be added for those that the last word lacks.
        value = sum(data) if size == 1 else sum(sum(data[place::size]) << shift for place, shift in shifts)
        value = value % mask or mask if carry and value else value
        return (value if end == PLAIN else ~value if end == INVERTED else -value) & mask

    last = [f"unit={unit}"] * (unit != bits) + ["little=True"] * little
    last += ["invert=True"] * (end == INVERTED) + ["negate=True"] * (end == NEGATED) + ["carry=True"] * carry
    return Algorithm("sum", bits, (bits, unit, int(little), end, int(carry)), sum=total, call=(f"sum{bits}", (), tuple(last)))


def xor8(data: bytes) -> int:
    """Return the exclusive or of all bytes.

    >>> hex(xor8(b"GPGLL,5300.97914,N,00259.98174,E,125926,A"))
    '0x28'
    """
    size = len(data)
    number = int.from_bytes(data, "big")
    while size > 1:  # one half onto the other
        size = (size + 1) // 2
        number = (number >> 8 * size) ^ (number & ((1 << 8 * size) - 1))
    return number


@cache
def fletcher_algorithm(bits: int, little: bool, power: bool = False) -> Algorithm:
    """Return Fletcher's sum of 16, 32 or 64 bits: over words of half as many, modulo one less than a power of 2, or modulo that `power`.

    >>> [hex(fletcher_algorithm(bits, True).sum(b"abcde")) for bits in (16, 32, 64)]
    ['0xc8f0', '0xf04fc729', '0xc8c6c527646362c6']
    """
    size, modulus = bits // 16, (1 << bits // 2) - (not power)
    form = f"{'<' if little else '>'}{{}}{'BHI'[size // 2]}"

    def fletcher(data: bytes) -> int:
        data += bytes(-len(data) % size)  # zeros after a last word that is not whole
        numbers: tuple[int, ...] = unpack(form.format(len(data) // size), data)
        return sum(accumulate(numbers)) % modulus << bits // 2 | sum(numbers) % modulus

    call = ("fletcher", (str(bits),), (*["little=True"] * little, *[f"modulus={modulus:#x}"] * power))
    return Algorithm("fletcher", bits, (bits, int(little), int(power)), sum=fletcher, call=call)


def iso(data: bytes, at: int) -> int:
    """Return the two check bytes of ISO 8473 (RFC 905 annex B), which bring both of Fletcher's sums over all of it to 0.

    They stand at `at` in `data`, where there are zeros.

    >>> hex(iso(b"ab\\0\\0cde", 2))
    '0x739b'
    """
    first, second = sum(data) % 255, sum(accumulate(data)) % 255
    x = ((len(data) - at - 1) * first - second) % 255 or 255
    y = 510 - first - x
    return x << 8 | (y - 255 if y > 255 else y)


XOR8 = Algorithm("xor", 8, name="xor8", sum=xor8, call=("xor8", (), ()))
ADLER32 = Algorithm("adler", 32, name="adler32", sum=adler32, call=("adler32", (), ()))
ISO = Algorithm("iso", 16, name="iso_fletcher", sum=iso, placed=True, call=("iso_fletcher", (), ()))
