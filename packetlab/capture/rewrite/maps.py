"""Maps: what an address or a port becomes, read from what users write and worked out for arrays.

CIDR maps follow tcprewrite's pseudo-NAT: the new prefix takes the place of the old one, and as many low bits of the
address stay as the new prefix leaves.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from packetlab.bulk.scan_rows import number_at
from packetlab.declare.values.addresses import mac_bytes
from packetlab.errors import BuildError

if TYPE_CHECKING:
    from packetlab.bulk.batch import ByteArray, Numbers, Truths, Words

HALF = (1 << 64) - 1
Pairs: TypeAlias = Mapping[Any, Any]  # old -> new: addresses, networks or ports as users write them


def mac_number(value: object, where: str) -> int:
    """Return a MAC address as a number. BuildError where it is none."""
    try:
        return int.from_bytes(mac_bytes(value), "big")
    except ValueError:
        raise BuildError(where, "a MAC address", repr(value)) from None


class MacMap:
    """Old address -> new one, all others as they are."""

    def __init__(self, pairs: Pairs, where: str) -> None:
        self.pairs = {mac_number(old, where): mac_number(new, where) for old, new in pairs.items()}

    def __call__(self, numbers: Words) -> tuple[Words, Truths]:
        """Return (the new numbers, which of them the map speaks of)."""
        import numpy as np

        found, known = numbers.copy(), np.zeros(len(numbers), bool)
        for old, new in self.pairs.items():
            here = numbers == np.uint64(old)
            found[here], known[here] = new, True
        return found, known


class NetMap:
    """Network -> network; of several that hold an address the first counts. One for both versions of IP."""

    def __init__(self, pairs: Pairs, where: str) -> None:
        self.rules: dict[int, list[tuple[int, int, int, int]]] = {32: [], 128: []}
        for old, new in pairs.items():
            nets = [network(one, where) for one in (old, new)]
            bits = nets[0].max_prefixlen
            if nets[1].max_prefixlen != bits:
                raise BuildError(where, "two networks of one version of IP", f"{old}: {new}")
            keep = int(nets[1].hostmask)
            self.rules[bits].append(
                (int(nets[0].network_address), int(nets[0].netmask), int(nets[1].network_address), keep)
            )

    def __call__(self, high: Words, low: Words, bits: int, free: Truths, some: Truths | None) -> None:
        """Change addresses (arrays of their high and low 64 bits) that are `free`, and `some` (None: any); they are free no more."""
        import numpy as np

        for net, mask, new, keep in self.rules[bits]:
            here = free & (low & np.uint64(mask & HALF) == np.uint64(net & HALF))
            if some is not None:
                here &= some
            if bits > 64:
                here &= high & np.uint64(mask >> 64) == np.uint64(net >> 64)
                high[here] = high[here] & np.uint64(keep >> 64) | np.uint64(new >> 64)
            low[here] = low[here] & np.uint64(keep & HALF) | np.uint64(new & HALF)
            free[here] = False


def network(value: object, where: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return a network from text. BuildError where it is none."""
    try:
        return ipaddress.ip_network(str(value), strict=False)
    except ValueError:
        raise BuildError(where, "a network such as 10.0.0.0/8", repr(value)) from None


def each(function: Callable[[int], int], numbers: Words) -> Words:
    """Apply a function of numbers to arrays of 64 bits, to each different one once."""
    import numpy as np

    different, place = np.unique(numbers, return_inverse=True)
    return np.array([function(one) for one in different.tolist()], np.uint64)[place]


def words_at(data: ByteArray, at: Numbers, size: int) -> tuple[Words, Words]:
    """Return the numbers of `size` bytes at places: their bits above 64, and the others."""
    import numpy as np

    low = number_at(data, at, max(size - 8, 0), min(size, 8), False).view(np.uint64)
    return number_at(data, at, 0, size - 8, False).view(np.uint64) if size > 8 else np.zeros_like(low), low


def rows(high: Words, low: Words, size: int) -> ByteArray:
    """Return addresses (high and low 64 bits) as rows of `size` bytes."""
    import numpy as np

    if size == 4:
        return low.astype(">u4").view(np.uint8).reshape(-1, 4)
    return np.stack([high, low], axis=1).astype(">u8").view(np.uint8)


def port_table(pairs: Pairs, where: str) -> Numbers:
    """Return an array of what each port becomes. Keys: a number, a range, or text ("8000-8999")."""
    import numpy as np

    table = list(range(65536))
    for old, new in pairs.items():
        first, last = (old[0], old[-1]) if isinstance(old, range) and old else (old, old)
        if isinstance(old, str):
            first, _, last = old.partition("-")
            last = last or first
        try:
            if any(isinstance(one, float | bool) for one in (first, new)):
                raise TypeError
            first, last, target = int(first), int(last), int(new)
        except (TypeError, ValueError):
            raise BuildError(where, "ports: a number, a range or first-last", f"{old!r}: {new!r}") from None
        if not (0 <= first <= last <= 65535 and 0 <= target <= 65535):
            raise BuildError(where, "ports of 0..65535", f"{old}: {new}")
        table[first : last + 1] = [target] * (last + 1 - first)
    return np.array(table, np.int64)
