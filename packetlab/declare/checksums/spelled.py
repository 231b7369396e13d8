"""What a class body writes for a checksum: any CRC, sums, exclusive or, Fletcher's and Adler's.

The parts that one goes over are those of `internet_checksum`, but for "pseudo". It is stored as its field says: with the
lowest byte first where that is little-endian. A wider field than the checksum has zeros above it.
"""

from __future__ import annotations

from packetlab.declare.checksums.algorithms import Algorithm
from packetlab.declare.checksums.catalogue import named_crc
from packetlab.declare.checksums.crc import crc_algorithm
from packetlab.declare.checksums.parts import SumPart
from packetlab.declare.checksums.simple import (
    ADLER32,
    INVERTED,
    ISO,
    NEGATED,
    PLAIN,
    XOR8,
    fletcher_algorithm,
    sum_algorithm,
)
from packetlab.declare.expressions import Checksum, Expr, whole
from packetlab.errors import DeclareError


def crc(
    of: str | int, /, *over: str | SumPart, poly: int | None = None, init: int = 0, reflect_in: bool = False,
    reflect_out: bool | None = None, xor: int = 0,
) -> Expr:  # fmt: skip
    """A CRC over the parts named, as a number: one of the public catalogue by name, or any by its parameters.

    ``crc("CRC-16/MODBUS", "self", "payload")`` is ``crc(16, "self", "payload", poly=0x8005, init=0xFFFF, reflect_in=True)``.

    Args:
        of: the name, or how many bits it has (1 to 128).
        poly: the polynomial without its highest bit. init: the register at first.
        reflect_in: whether bytes go in with their lowest bit first. reflect_out: whether the register comes out with its
            bits in the other order; as `reflect_in` unless said. xor: what the result is combined with.
    """
    if isinstance(of, str):
        if (poly, init, reflect_in, reflect_out, xor) != (None, 0, False, None, 0):
            raise DeclareError("crc(...)", "a name, or a number of bits with parameters", f"{of!r} with parameters")
        return Checksum(named_crc(of, "crc(...)"), over)
    return Checksum(crc_by_parameters("crc(...)", of, poly, init, reflect_in, reflect_out, xor), over)


def crc_by_parameters(
    where: str, bits: object, poly: object, init: object, reflect_in: object, reflect_out: object, xor: object
) -> Algorithm:
    """Return a CRC by parameters that anybody may have written. DeclareError for those that make none."""
    width = whole(bits)
    if not 1 <= width <= 128:
        raise DeclareError(where, "1 to 128 bits, or a name such as 'CRC-16/MODBUS'", repr(bits))
    if poly is None:
        raise DeclareError(where, "poly=, the polynomial", "none", "or a name, such as crc('CRC-16/MODBUS', ...)")
    numbers = [whole(one) for one in (poly, init, xor)]
    for word, value in zip(("poly", "init", "xor"), numbers, strict=True):
        if not 0 <= value < 1 << width:
            hint = "poly= is without its highest bit" if word == "poly" and value >> width == 1 else ""
            raise DeclareError(f"{where}, {word}", f"a number of {width} bits", hex(value), hint)
    out = reflect_in if reflect_out is None else reflect_out
    if not isinstance(reflect_in, bool) or not isinstance(out, bool):
        raise DeclareError(where, "True or False for reflect_in and reflect_out", repr((reflect_in, reflect_out)))
    return crc_algorithm(width, numbers[0], numbers[1], reflect_in, out, numbers[2])


def sum8(*over: str | SumPart, invert: bool = False, negate: bool = False, carry: bool = False) -> Expr:
    """The sum of all bytes modulo 256; with `invert` its one's complement, with `negate` its two's, as Modbus ASCII has it.

    With `carry` what does not fit into a byte is added again at the lowest bit, as in LIN, whose sum is inverted (ISO 17987-3 section 5.2.2.7).
    """
    return _sum(8, 8, over, False, invert, negate, carry)


def sum16(
    *over: str | SumPart, unit: int = 16, little: bool = False, invert: bool = False, negate: bool = False, carry: bool = False
) -> Expr:  # fmt: skip
    """The sum of numbers of `unit` bits (8 or 16) modulo 2**16, `little`: these have their lowest byte first.

    Zeros stand for what the last of them lacks. `invert`, `negate` and `carry` as for `sum8`.
    """
    return _sum(16, unit, over, little, invert, negate, carry)


def sum32(
    *over: str | SumPart, unit: int = 32, little: bool = False, invert: bool = False, negate: bool = False, carry: bool = False
) -> Expr:  # fmt: skip
    """The sum of numbers of `unit` bits (8, 16 or 32) modulo 2**32; `little`, `invert`, `negate`, `carry` and parts as for `sum16`."""
    return _sum(32, unit, over, little, invert, negate, carry)


def _sum(bits: int, unit: int, over: tuple[str | SumPart, ...], little: bool, invert: bool, negate: bool, carry: bool) -> Expr:
    if invert and negate:
        raise DeclareError(f"sum{bits}(...)", "invert or negate", "both")
    end = INVERTED if invert else NEGATED if negate else PLAIN
    return Checksum(sum_by_parameters(f"sum{bits}(...)", bits, unit, little, end, carry), over)


def sum_by_parameters(where: str, bits: int, unit: int, little: bool, end: int, carry: bool = False) -> Algorithm:
    """Return a sum. DeclareError for parameters that make none."""
    if bits not in (8, 16, 32) or unit not in (8, 16, 32) or unit > bits:
        raise DeclareError(f"{where}, unit", f"8, 16 or 32 bits, {bits} at most", repr(unit)[:99])
    return sum_algorithm(bits, unit, bool(little), end, bool(carry))


def xor8(*over: str | SumPart) -> Expr:
    """The exclusive or of all bytes, as NMEA 0183 and many serial lines have it."""
    return Checksum(XOR8, over)


def fletcher(bits: int, /, *over: str | SumPart, little: bool = False, modulus: int | None = None) -> Expr:
    """Fletcher's sum of 16, 32 or 64 bits (RFC 1146 appendix I), the sum of sums in its upper half.

    It is over numbers of half as many bits, modulo one less than a power of 2; zeros stand for what the last one lacks.
    `little`: they have their lowest byte first, as in most programs. `modulus` is that power itself where it is said:
    ``fletcher(16, ..., modulus=256)`` in a U16le is the two check bytes of u-blox's UBX.
    """
    algorithm = fletcher_by_parameters("fletcher(...)", bits, little)
    power = 1 << algorithm.bits // 2
    if modulus not in (None, power, power - 1):
        raise DeclareError("fletcher(...), modulus", f"{power - 1}, which is the usual one, or {power}", repr(modulus)[:99])
    return Checksum(fletcher_by_parameters("fletcher(...)", bits, little, modulus == power), over)


def fletcher_by_parameters(where: str, bits: int, little: bool, power: bool = False) -> Algorithm:
    """Return one of Fletcher's sums. DeclareError where there is none of so many bits."""
    if bits not in (16, 32, 64):
        raise DeclareError(where, "16, 32 or 64 bits", repr(bits)[:99], "as in fletcher(16, 'self')")
    return fletcher_algorithm(int(bits), bool(little), bool(power))


def iso_fletcher(*over: str | SumPart) -> Expr:
    """The two check bytes of ISO 8473 (RFC 905 annex B), which bring Fletcher's sums to 0: of OSPF's LSAs and IS-IS.

    They are among what they go over, so that this has "self" or a `span` with them.
    """
    return Checksum(ISO, over)


def adler32(*over: str | SumPart) -> Expr:
    """Adler's sum (RFC 1950 section 8.2)."""
    return Checksum(ADLER32, over)
