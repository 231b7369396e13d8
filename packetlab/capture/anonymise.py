"""Seeded anonymisation of addresses: the same for a seed always, so several captures stay comparable.

IP addresses keep their common prefixes (J. Xu, J. Fan, M. Ammar, S. Moon, "Prefix-preserving IP address anonymization",
2002): two that agree in their first n bits still do, and no two become one. BLAKE2b keyed by the seed takes the place of
AES there. What has a meaning for itself (multicast, loopback, the unspecified and the broadcast address, 0/8, 240/4, the
link-local prefix of IPv6) stays. MAC addresses are permuted, their multicast and local bits kept; group addresses stay,
as they are made from IP groups that do. Whoever has the seed can undo it: keep it secret. Payloads are not looked into.
"""

from __future__ import annotations

from hashlib import blake2b

# Prefixes of which every address stays as it is: (bits, length).
KEPT4 = ((0, 8), (127, 8), (0b111, 3))
KEPT6 = ((0, 96), (0xFF, 8))
# Prefixes that stay as such, while what is behind them is changed.
PATHS6 = ((0b1111111010, 10),)
_HALF = (1 << 23) - 1


class Anonymiser:
    """The mapping of one seed. Addresses are whole numbers."""

    def __init__(self, seed: int | str | bytes) -> None:
        octets = seed if isinstance(seed, bytes) else str(seed).encode()
        self.key = blake2b(octets, digest_size=32, person=b"packetlab anon").digest()
        self._trees: dict[tuple[int, int, int], int] = {}
        self._known: dict[tuple[int, int], int] = {}

    def ip4(self, address: int) -> int:
        """Return what an IPv4 address becomes."""
        return self._ip(address, 32, KEPT4, ())

    def ip6(self, address: int) -> int:
        """Return what an IPv6 address becomes."""
        return self._ip(address, 128, KEPT6, PATHS6)

    def mac(self, address: int) -> int:
        """Return what a MAC address becomes."""
        if address >> 40 & 1 or not address:
            return address
        known = self._known.get((48, address))
        if known is None:
            flags = address >> 40 & 3
            rest = address >> 42 << 40 | address & (1 << 40) - 1
            left, right = rest >> 23, rest & _HALF
            for turn in range(4):  # a Feistel network: a permutation, whatever the function
                left, right = right, left ^ (self._drawn(b"mac", turn, right) & _HALF)
            rest = left << 23 | right
            known = self._known[48, address] = rest >> 40 << 42 | flags << 40 | rest & (1 << 40) - 1
        return known

    def _drawn(self, what: bytes, *numbers: int) -> int:
        text = what + b"".join(number.to_bytes(16, "big") for number in numbers)
        return int.from_bytes(blake2b(text, key=self.key, digest_size=32).digest(), "big")

    def _ip(
        self, address: int, bits: int, kept: tuple[tuple[int, int], ...], paths: tuple[tuple[int, int], ...]
    ) -> int:
        for prefix, length in kept:
            if address >> bits - length == prefix:
                return address
        known = self._known.get((bits, address))
        if known is not None:
            return known
        found = 0
        for first in range(0, bits, 8):
            # One draw serves the eight decisions of an octet: a tree of 255 bits, one for each prefix.
            above = address >> bits - first
            tree = self._trees.get((bits, first, above))
            if tree is None:
                tree = self._trees[bits, first, above] = self._drawn(b"ip", bits, first, above)
            place = 1
            for bit in range(first, first + 8):
                ours = address >> bits - bit - 1 & 1
                prefix = address >> bits - bit
                # A decision that would lead into or out of a kept prefix is not taken.
                fixed = any(bit < length and one >> length - bit == prefix for one, length in (*kept, *paths))
                found = found << 1 | (ours ^ (0 if fixed else tree >> place & 1))
                place = place << 1 | ours
        self._known[bits, address] = found
        return found
