"""Any CRC of 1 to 128 bits by its parameters, in the terms of the public catalogue of CRCs ("Rocksoft model").

All of them run with the lowest bit first: one that has the highest first is the same over mirrored bytes, with a mirrored
register. So one table of 256 numbers does for every width. Where C has the loop (zlib, binascii), that is taken.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Callable
from functools import cache
from zlib import crc32 as zlib_crc32

from packetlab.declare.checksums.algorithms import Algorithm

MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Each byte with its bits in the other order."""


def mirrored(number: int, bits: int) -> int:
    """Return a number with its bits in the other order.

    >>> bin(mirrored(0b1100, 5))
    '0b110'
    """
    return int.from_bytes((number << -bits % 8).to_bytes(-(-bits // 8), "little").translate(MIRROR), "big")


def step_table(bits: int, poly: int) -> list[int]:
    """Return what each byte at the low end of the register, shifted out, makes of it."""
    table = list(range(256))
    low = mirrored(poly, bits)
    for _ in range(8):
        table = [number >> 1 ^ low if number & 1 else number >> 1 for number in table]
    return table


@cache
def crc_algorithm(
    bits: int,
    poly: int,
    init: int,
    reflect_in: bool,
    reflect_out: bool,
    xor: int,
    name: str = "",
    swapped: bool = False,
) -> Algorithm:
    """Return a CRC by its parameters; with `swapped` the lowest byte of it comes first.

    >>> hex(crc_algorithm(16, 0x8005, 0xFFFF, True, True, 0).sum(b"123456789"))
    '0x4b37'
    """
    highest_first = (bits, poly) == (16, 0x1021)
    if highest_first:
        register = _by_binascii(init)
    elif (bits, poly) == (32, 0x04C11DB7):
        register = _by_zlib(mirrored(init, bits))
    else:
        register = _by_table(bits, poly, mirrored(init, bits))
    mirror, turned = reflect_in is highest_first, reflect_out is highest_first

    def crc(data: bytes) -> int:
        value = register(data.translate(MIRROR) if mirror else data)
        return (mirrored(value, bits) if turned else value) ^ xor

    def crc_swapped(data: bytes) -> int:
        return int.from_bytes(crc(data).to_bytes(bits // 8, "little"), "big")

    parameters = bits, poly, init, int(reflect_in), int(reflect_out), xor, int(swapped)
    last = [f"poly={poly:#x}"] + [f"init={init:#x}"] * bool(init) + ["reflect_in=True"] * reflect_in
    last += [f"reflect_out={reflect_out}"] * (reflect_in != reflect_out) + [f"xor={xor:#x}"] * bool(xor)
    call: tuple[str, tuple[str, ...], tuple[str, ...]] = (
        "crc",
        (f'"{name}"' if name else str(bits),),
        () if name else tuple(last),
    )
    if name and "/" not in name:  # these have functions of their own
        call = (name if name.startswith("crc") else name + "_checksum", (), ())
    return Algorithm("crc", bits, parameters, name, crc_swapped if swapped else crc, call=call)


def _by_zlib(start: int) -> Callable[[bytes], int]:
    return lambda data: zlib_crc32(data, start ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def _by_binascii(start: int) -> Callable[[bytes], int]:
    return lambda data: crc_hqx(data, start)


def _by_table(bits: int, poly: int, start: int) -> Callable[[bytes], int]:
    table: list[int] = []

    def register(data: bytes) -> int:
        if not table:
            table.extend(step_table(bits, poly))
        steps, crc = table, start
        for byte in data:
            crc = steps[(crc ^ byte) & 0xFF] ^ (crc >> 8)
        return crc

    return register
