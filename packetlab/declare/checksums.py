"""The sums that headers carry: Internet (RFC 1071), XNS, CRC-32, CRC-32C and SCTP's form of it.

Pure functions of bytes. Each comes in the form that compiled codecs call.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from zlib import crc32 as _zlib_crc32


def internet_sum(data: bytes, more: int = 0) -> int:
    """Return the one's-complement sum (not yet complemented) of the 16-bit words of `data` plus `more`.

    An odd last byte counts as a word with a zero after it. Zero only if everything is zero (RFC 1071 section 2).
    """
    # 2**16 = 1 modulo 65535, so the whole as one number modulo 65535 is the folded sum, but for 0 and 65535.
    total = int.from_bytes(data, "big")
    if len(data) & 1:
        total <<= 8
    total += more
    return (total % 65535 or 65535) if total else 0


def internet(data: bytes, more: int = 0) -> int:
    """Return the Internet checksum of `data`, with `more` added to the sum first.

    >>> hex(internet(bytes.fromhex("0001f203f4f5f6f7")))
    '0x220d'
    """
    return 0xFFFF - internet_sum(data, more)


def xns(data: bytes) -> int:
    """Return the XNS checksum of `data`: add each word with end-around carry, then rotate left by one bit.

    With n words the sum is the sum of word i times 2**(n - i + 1) modulo 65535. Never 0xFFFF, which means that there
    is no checksum: minus zero is sent as zero. An odd last byte counts as a word with a zero after it.
    """
    size = len(data) + (len(data) & 1)
    number = int.from_bytes(data, "big") << (len(data) & 1) * 8
    # Each two words make one sum of 32 bits, the one before the last weighing twice as much. Words 16 places apart have
    # equal weight, so whole blocks may be folded onto others until one is left (no sum runs over before 600 kB).
    mask, folds = _PLANS.get(size) or _plan(size)
    sums = (number & mask) + ((number >> 16 & mask) << 1)
    for shift, low in folds:
        sums = (sums & low) + (sums >> shift)
    # From the last pair back the weights are 2, 8, 32, ...
    a, b, c, d, e, f, g, h = _EIGHT(sums.to_bytes(32, "big"))
    total: int = ((((((((a * 4 + b) * 4 + c) * 4 + d) * 4 + e) * 4 + f) * 4 + g) * 4 + h) * 2) % 65535
    return total


_PLANS: dict[int, tuple[int, list[tuple[int, int]]]] = {}
_EIGHT = Struct(">8I").unpack


def _plan(size: int) -> tuple[int, list[tuple[int, int]]]:
    """Return, for `size` bytes, a mask for every other word, and the folds down to 256 bits: shift and mask each."""
    folds = []
    blocks = -(-size // 32)
    while blocks > 1:
        blocks = (blocks + 1) // 2
        folds.append((256 * blocks, (1 << 256 * blocks) - 1))
    if len(_PLANS) > 4096:
        _PLANS.clear()
    plan = _PLANS[size] = int.from_bytes(b"\0\0\xff\xff" * (size // 4 + 1), "big"), folds
    return plan


def crc32(data: bytes) -> int:
    """Return the CRC-32 of IEEE 802.3 of `data`.

    >>> hex(crc32(b"123456789"))
    '0xcbf43926'
    """
    return _zlib_crc32(data)


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of `data` (RFC 9260 appendix A).

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    table = _CRC32C or _fill()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def sctp(data: bytes) -> int:
    """Return the CRC-32C of `data` as SCTP has it: lowest byte first, read as a number (RFC 9260 appendix A).

    >>> hex(sctp(b"123456789"))
    '0x839206e3'
    """
    return int.from_bytes(crc32c(data).to_bytes(4, "little"), "big")


_CRC32C: list[int] = []


def _fill() -> list[int]:
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        _CRC32C.append(crc)
    return _CRC32C


ALGORITHMS: dict[str, Callable[[bytes], int]] = {
    "internet": internet, "xns": xns, "crc32": crc32, "crc32c": crc32c, "sctp": sctp,
}  # fmt: skip
"""Algorithm name of a rule -> function of bytes; to an Internet checksum a pseudo-header may be added (see `internet`)."""
