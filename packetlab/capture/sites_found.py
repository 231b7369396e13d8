"""What `sites` finds in a batch of frames: arrays of addresses, IP headers and checksums, positions in the batch's buffer."""

from __future__ import annotations

from typing import Any, NamedTuple


class Sums(NamedTuple):
    """Internet checksums: their row, place, what they cover, and how they lie in each other.

    `at`: where each stands; it covers [first, end). `source`, `target`: addresses of the pseudo-header, `width` octets
    each (0: none), with `protocol`. `optional`: 0 says none. `whole`: whether all it covers is here. `parent`: the sum that
    covers it, -1 for none; parents come before their children.
    """

    row: Any
    at: Any
    first: Any
    end: Any
    source: Any
    target: Any
    width: Any
    protocol: Any
    optional: Any
    whole: Any
    parent: Any


class Addresses(NamedTuple):
    """Addresses of one width: their row (-1: not told) and place, whether as source or destination or neither (0, 1, 2),
    `header` (IP: whether of an IP header; MAC: how deep the Ethernet header lies), and the sums they are in: of the IPv4
    header, of the transport (pseudo-header), and around both; -1 for none.
    """

    row: Any
    at: Any
    role: Any
    header: Any
    own: Any
    transport: Any
    around: Any


class Networks(NamedTuple):
    """IP headers: row, place, end by their length, version, place of the transport header (-1: none), its number, nesting
    (0: the outermost of the frame), whether it holds a fragment, and sums as for `Addresses`."""

    row: Any
    at: Any
    end: Any
    version: Any
    upper: Any
    protocol: Any
    depth: Any
    piece: Any
    own: Any
    transport: Any
    around: Any


class Rule(NamedTuple):
    """How a checksum that is no plain Internet one of a known header comes about.

    It stands in `size` bytes at `at` and is `algorithm` over `regions` (first, end), with `pseudo` (place, bytes) and `more`
    added to the sum. `none` says that there is no checksum; `instead` is stored where the sum is that. `whole`: whether
    all it covers is here. `around`: the sum that covers it, -1 for none.
    """

    at: int
    size: int
    little: bool
    algorithm: str
    regions: tuple[tuple[int, int], ...]
    pseudo: tuple[tuple[int, int], ...]
    more: int
    none: int | None
    instead: int
    whole: bool
    around: int


class Ends(NamedTuple):
    """Who speaks to whom by the outermost declared addresses of a frame (raw), and their ports where there are any.

    `plain`: whether these are the addresses and ports of IP, TCP and UDP, which the walk finds as well; `ip`: whether the
    addresses are IP's. `piece`: whether the ports are of a first fragment; the others have none.
    """

    source: bytes
    destination: bytes
    ports: tuple[int, int] | None
    plain: bool
    piece: bool
    ip: bool
