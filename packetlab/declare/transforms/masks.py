"""Bytes mixed with others: xor with a key, and whitening with the bits of a shift register."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from operator import methodcaller

from packetlab.declare.expressions import Expr
from packetlab.declare.transforms.transform import Secret, Transform, UnfitError, Value, as_bytes
from packetlab.errors import DeclareError


def xored(data: bytes, key: bytes) -> bytes:
    """Return bytes xored with a key, which starts again where it ends; the same again gives them back.

    >>> xored(bytes.fromhex("7f9f4d5158"), bytes.fromhex("37fa213d"))
    b'Hello'
    """
    size = len(data)
    if not any(key):
        return data
    stream = (key * (size // len(key) + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")


class Xor(Transform):
    name, usual = "xor", {"key": b""}

    def check(self, where: str) -> None:
        key = self.given["key"]
        if not isinstance(key, bytes | Expr | Secret) or (isinstance(key, bytes) and not key):
            raise DeclareError(where, "a key: bytes, a number to 255, field(...) or secret(...)", f"{key!r:.60}")

    def decoded(self, data: bytes, key: Value = b"") -> bytes:
        if key is None:  # without the field there is no mask
            return data
        key = as_bytes(key)
        if not key:
            raise UnfitError("a key", "none")
        return xored(data, key)

    encoded = decoded

    def quick(self, which: int) -> Callable[[bytes], bytes] | None:
        key = self.given["key"]
        return methodcaller("translate", xored(bytes(range(256)), key)) if isinstance(key, bytes) and len(key) == 1 else None

    def size(self, size: int) -> int:
        return size


class Whitened(Transform):
    name, usual, as_numbers = "whitened", {"poly": 0, "seed": 0}, frozenset(("seed",))

    def check(self, where: str) -> None:
        poly, seed = self.given["poly"], self.given["seed"]
        if type(poly) is not int or not 1 < poly < 1 << 33 or not poly & 1:
            raise DeclareError(where, "poly= with its first and last bit, of degree 1 to 32", f"{poly!r:.60}")
        if not isinstance(seed, Expr) and (type(seed) is not int or not 0 < seed < 1 << poly.bit_length() - 1):
            raise DeclareError(where, f"seed= of {poly.bit_length() - 1} bits, not 0", f"{seed!r:.60}")

    def decoded(self, data: bytes, poly: int = 0, seed: Value = 0) -> bytes:
        state = _number(seed)
        if not 0 < state < 1 << poly.bit_length() - 1:
            raise UnfitError(f"a seed of {poly.bit_length() - 1} bits, not 0", f"{state}")
        return _whitened(poly, state, data)

    encoded = decoded

    def quick(self, which: int) -> Callable[[bytes], bytes] | None:
        return None if self.late else partial(_whitened, *self.register())

    def register(self) -> tuple[int, int]:
        """Return the polynomial and what the register begins with, where both are numbers."""
        return self.given["poly"], self.given["seed"]

    def size(self, size: int) -> int:
        return size


class BLE(Whitened):
    """Bluetooth Core Specification, Vol 6 Part B, 3.2: x^7 + x^4 + 1, begun with the channel."""

    name, usual, as_numbers = "ble_whitened", {"channel": 37}, frozenset(("channel",))

    def check(self, where: str) -> None:
        channel = self.given["channel"]
        if not isinstance(channel, Expr) and (type(channel) is not int or not 0 <= channel < 40):
            raise DeclareError(where, "a channel from 0 to 39, or field(...)", f"{channel!r:.60}")

    def decoded(self, data: bytes, channel: Value = 37) -> bytes:  # type: ignore[override]
        number = channel[0] if channel.__class__ is bytes and len(channel) == 1 else _number(channel)
        if number > 63:
            raise UnfitError("a channel of 6 bits", f"{number}")
        (poly, state), size = _on_channel(number), len(data)
        return (int.from_bytes(data, "big") ^ _noise(poly, state, size)).to_bytes(size, "big")

    encoded = decoded  # type: ignore[assignment]

    def register(self) -> tuple[int, int]:
        return _on_channel(self.given["channel"])


def _whitened(poly: int, state: int, data: bytes) -> bytes:
    size = len(data)
    return (int.from_bytes(data, "big") ^ _noise(poly, state, size)).to_bytes(size, "big")


def _number(value: Value) -> int:
    """Return the value of a parameter as a number; bytes have the highest first."""
    return value if type(value) is int and value >= 0 else int.from_bytes(as_bytes(value), "big")


@lru_cache(64)
def _on_channel(number: int) -> tuple[int, int]:
    """Return the polynomial and the state: positions are 1, then the channel, highest bit first; what leaves bit by bit is the state of the other form."""
    register, state = 1 | sum((number >> bit & 1) << 6 - bit for bit in range(6)), 0
    for bit in range(7):
        out = register >> 6
        state |= out << bit
        register = (register << 1 & 0x7F) ^ 0x11 * out
    return 0x91, state


@lru_cache(64)
def _noise(poly: int, state: int, size: int) -> int:
    """Return the bytes, as one number, of a register that gives its lowest bit and takes the sum of those of `poly`; the first bit is the lowest of a byte."""
    width, taps, found = poly.bit_length() - 1, poly & ~(1 << poly.bit_length() - 1), bytearray()
    for _ in range(size):
        byte = 0
        for bit in range(8):
            byte |= (state & 1) << bit
            state = state >> 1 | ((state & taps).bit_count() & 1) << width - 1
        found.append(byte)
    return int.from_bytes(found, "big")



def xor(key: Value) -> Transform:
    """Bytes xored with a key that starts again where it ends: bytes, a number of one byte, ``field("key")`` or a secret.

    Of a field, of this header or as in ``field("^.key")`` of another, the key is its bytes as they are sent; a rule of fields has as
    many bytes as the greatest number that it comes to, and as the widest of them, in the byte order of that one. Where the field is absent, there is no mask, as in WebSocket's frames (RFC 6455 section 5.3).
    """
    if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < 256:
        key = bytes((key,))
    return Xor(key=key)


def whitened(poly: int = 0b1000100001, seed: Value = 0x1FF) -> Transform:
    """Bytes xored with the bits of a shift register, the first of them in the lowest bit of each byte.

    `poly` has a bit for each power of x, so x^9 + x^5 + 1 is 0b1000100001: the register gives its lowest bit, and its highest one
    becomes the sum of those of `poly`. `seed` is what it begins with, a number or a rule of fields. Unless told otherwise it is PN9
    as radios have it (TI design note DN509).
    """
    return Whitened(poly=poly, seed=seed)


def ble_whitened(channel: Value) -> Transform:
    """Bytes whitened as on a channel of Bluetooth Low Energy (Core Specification, Vol 6 Part B, section 3.2)."""
    return BLE(channel=channel)


