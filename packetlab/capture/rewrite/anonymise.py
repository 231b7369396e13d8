"""Seeded anonymisation of addresses: the same for a seed always, so several captures stay comparable.

IP addresses keep their common prefixes (J. Xu, J. Fan, M. Ammar, S. Moon, "Prefix-preserving IP address anonymization",
2002): two that agree in their first n bits still do, and no two become one. BLAKE2b keyed by the seed takes the place of
AES there. What has a meaning for itself (multicast, loopback, the unspecified and the broadcast address, 0/8, 240/4, the
link-local prefix of IPv6) stays. MAC addresses are permuted, their multicast and local bits kept; group addresses stay,
as they are made from IP groups that do. Of XNS and IPX addresses only the host, a MAC address, is changed: the network number
stays. With the seed it can be undone: keep it secret. Payloads are not looked into.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packetlab.bulk.batch import ByteArray

# Prefixes of which every address stays as it is: (bits, length).
KEPT4 = ((0, 8), (127, 8), (0b111, 3))
KEPT6 = ((0, 96), (0xFF, 8))
# Prefixes that stay as such, while what is after them is changed.
PATHS6 = ((0b1111111010, 10),)
MOST = 1 << 18  # draws remembered
_HALF = (1 << 23) - 1


class Anonymiser:
    """The mapping of one seed."""

    def __init__(self, seed: int | str | bytes) -> None:
        raw = seed if isinstance(seed, bytes) else str(seed).encode()
        self.key = blake2b(raw, digest_size=32, person=b"packetlab anon").digest()
        self._trees: dict[tuple[int, bytes], bytes] = {}
        self._macs: dict[int, int] = {}

    def ips(self, raw: ByteArray) -> ByteArray:
        """Return what addresses become; both are arrays of 4 or 16 bytes a row."""
        import numpy as np

        size = raw.shape[1]
        found = np.empty_like(raw)
        for place in range(size):
            # One draw serves the eight decisions of a byte: a tree of 255 bits, one for each prefix inside it.
            if place:
                above = np.ascontiguousarray(raw[:, :place]).view(f"V{place}")[:, 0]
                prefixes, which = np.unique(above, return_inverse=True)
                drawn = b"".join(self._tree(size, prefix.tobytes()) for prefix in prefixes)
            else:
                which, drawn = np.zeros(len(raw), np.int64), self._tree(size, b"")
            trees = np.frombuffer(drawn, np.uint8).reshape(-1, 32)
            node, flips = np.ones(len(raw), np.int64), np.zeros(len(raw), np.uint8)
            for bit in range(7, -1, -1):
                flips = flips << 1 | (trees[which, node >> 3] >> (node & 7).astype(np.uint8)) & 1
                node = node << 1 | (raw[:, place] >> bit & 1)
            found[:, place] = raw[:, place] ^ flips
        return found

    def _tree(self, size: int, above: bytes) -> bytes:
        """Return a bit for each prefix that begins with these bytes and ends inside the next: whether it flips its bit."""
        tree = self._trees.get((size, above))
        if tree is None:
            if len(self._trees) >= MOST:
                self._trees.clear()
            drawn = int.from_bytes(self._drawn(b"ip%d" % size, above), "little")
            kept, paths = (KEPT4, ()) if size == 4 else (KEPT6, PATHS6)
            first, number = len(above) * 8, int.from_bytes(above, "big")
            near = [(one, length) for one, length in (*kept, *paths) if _agree(number, first, one, length)]
            for node in range(1, 256) if near else ():
                bits = first + node.bit_length() - 1
                prefix = number << bits - first | node - (1 << bits - first)
                # A decision that would lead into or out of a kept prefix, or change what is after it, is not taken.
                if any(
                    _agree(prefix, bits, one, length) and (bits < length or (one, length) in kept)
                    for one, length in near
                ):
                    drawn &= ~(1 << node)
            tree = self._trees[size, above] = drawn.to_bytes(32, "little")
        return tree

    def mac(self, address: int) -> int:
        """Return what a MAC address becomes; both are numbers."""
        if address >> 40 & 1 or not address:
            return address
        known = self._macs.get(address)
        if known is None:
            if len(self._macs) >= MOST:
                self._macs.clear()
            flags = address >> 40 & 3
            rest = address >> 42 << 40 | address & (1 << 40) - 1
            left, right = rest >> 23, rest & _HALF
            for turn in range(4):  # a Feistel network: a permutation, whatever the function
                drawn = int.from_bytes(self._drawn(b"mac%d" % turn, right.to_bytes(3, "big")), "big")
                left, right = right, left ^ (drawn & _HALF)
            rest = left << 23 | right
            known = self._macs[address] = rest >> 40 << 42 | flags << 40 | rest & (1 << 40) - 1
        return known

    def _drawn(self, what: bytes, raw: bytes) -> bytes:
        return blake2b(raw, key=self.key, digest_size=32, person=what).digest()


def _agree(a: int, bits: int, b: int, length: int) -> bool:
    """Whether one of two prefixes begins with the other."""
    return a == b >> length - bits if bits <= length else a >> bits - length == b
