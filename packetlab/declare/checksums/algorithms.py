"""What an algorithm of a checksum is, and two of them: those of the Internet (RFC 1071) and of XNS.

Pure functions of bytes. Each comes in the form that compiled codecs call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct


@dataclass(frozen=True)
class Algorithm:
    """How a checksum comes about, as data and as a function.

    Attributes:
        word: which family, such as "crc". name: what it is called, as in a description ("CRC-16/MODBUS"), "" where it is
            known by its parameters only. bits: of its value. parameters: of the family.
        sum: bytes -> value; for one that is `placed` bytes and where in them it stands itself, as zeros.
        placed: whether its value depends on that. call: the function that a class body has for it, and the arguments before
            the parts and after them.
    """

    word: str
    bits: int
    parameters: tuple[int, ...] = ()
    name: str = ""
    sum: Callable[..., int] = field(default=int, compare=False, repr=False)
    placed: bool = False
    call: tuple[str, tuple[str, ...], tuple[str, ...]] = ("", (), ())

    def shown(self, parts: list[str]) -> str:
        """Return a checksum over parts in one line."""
        called, first, last = (self.name, (), ()) if self.name else self.call
        return f"{called}({', '.join([*first, *parts, *last])})"

    def is_loose(self, none: int | None) -> bool:
        """Whether unlike values may say the same (see `same`), of one where `none` says that there is no checksum."""
        return self.placed or (self.word == "internet" and none is None)

    def same(self, one: int, other: int) -> bool:
        """Whether two values say the same: to one's complement sums 0 and all ones do, to each byte of ISO's Fletcher too."""
        if self.placed:
            return not ((one >> 8) - (other >> 8)) % 255 and not ((one & 255) - (other & 255)) % 255
        return not (one - other) % 65535 if self.word == "internet" else one == other


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


INTERNET = Algorithm("internet", 16, name="internet", sum=internet, call=("internet_checksum", (), ()))
XNS = Algorithm("xns", 16, name="xns", sum=xns, call=("xns_checksum", (), ()))
