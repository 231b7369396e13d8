"""What `sites` finds in a batch of frames: arrays of addresses, IP headers and checksums, positions in the batch's buffer.

`Found` gathers them: the walk, the options inside headers (`sites_options`) and the declarations (`sites_declared`) all
note in it what they find.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from packetlab.capture.batch import FrameBatch


LATER = "a later fragment, which may hold addresses"


class Sums(NamedTuple):
    """Internet checksums: their row, place, what they cover, and how they lie in each other.

    `at`: where each stands; it covers [first, end). `source`, `target`: addresses of the pseudo-header, `width` bytes
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
    """Addresses of one width: their row (-1: unknown) and place, whether as source or destination or neither (0, 1, 2),
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
    """Who speaks to whom by the outermost declared addresses of a frame (raw), and their ports where there are any; the
    destination is None where a cut took it.

    `plain`: whether these are the addresses and ports of IP, TCP and UDP, which the walk finds as well; `ip`: whether the
    addresses are IP's. `piece`: whether the ports are of a first fragment; the others have none.
    """

    source: bytes
    destination: bytes | None
    ports: tuple[int, int] | None
    plain: bool
    piece: bool
    ip: bool


class Found:
    """What has been found in a batch so far, and from where the walk is to go on.

    Attributes:
        data: the batch's buffer. ends: for each row where it ends there. found_macs, found_ips (by width), found_ports,
        found_sums: what was noted, piece by piece. count: how many sums. rules: number of a sum -> how it comes about, of
        those that are no plain Internet ones. ends_of: row -> who speaks to whom, where only declarations tell.
        left: what could not be found -> number of frames. short: for each row whether some of a packet in it is missing.
    """

    def __init__(self, batch: FrameBatch, ends: Any) -> None:
        import numpy as np

        self.np = np
        self.batch, self.data = batch, batch.data
        self.ends = ends
        self.found_macs: list[Any] = []
        self.found_ips: dict[int, list[Any]] = {4: [], 16: []}
        self.found_ports: list[Any] = []
        self._networks: list[Any] = []
        self.found_sums: list[Any] = []
        self.count = 0
        self.rules: dict[int, Rule] = {}
        self.ends_of: dict[int, Ends] = {}
        self.left: Counter[str] = Counter()
        self.short = np.zeros(len(batch), bool)
        self._todo: list[tuple[Any, ...]] = []
        self._claimed = np.zeros(0, np.int64)

    # Reading ------------------------------------------------------------------------------------------------

    def u8(self, at: Any) -> Any:
        return self.data[at].astype(self.np.int64)

    def u16(self, at: Any) -> Any:
        return self.u8(at) << 8 | self.u8(at + 1)

    def full(self, rows: Any, value: int) -> Any:
        return self.np.full(len(rows), value, self.np.int64)

    # Noting -------------------------------------------------------------------------------------------------

    def mac(self, at: Any, around: Any) -> None:
        """Note MAC addresses that are no frame's."""
        none = self.full(at, -1)
        self.found_macs.append((none, at, self.full(at, 2), none, none, none, around))

    def ip(self, width: int, at: Any, around: Any, header: int = 0, own: Any = None, role: int = 2) -> None:
        """Note IP addresses that no checksum above counts."""
        none = self.full(at, -1)
        own = none if own is None else own
        self.found_ips[width].append((none, at, self.full(at, role), self.full(at, header), own, none, around))

    def whole(self, width: int, at: Any, end: Any, there: Any = True) -> Any:
        """Whether addresses of `width` bytes lie before an end, where they are `there`; those cut inside are counted."""
        there = there & (at < end)
        fits = at + width <= end
        self.left["an address or port that is cut off inside"] += int((there & ~fits).sum())
        return there & fits

    def add_sum(self, row: Any, at: Any, first: Any, end: Any, keep: Any, parent: Any, **more: Any) -> Any:
        """Note the checksums where `keep`; return their numbers, -1 for the others."""
        np = self.np
        names = ("source", "target", "width", "protocol", "optional", "whole")
        values = [np.broadcast_to(more.get(name, 0), row.shape).astype(np.int64) for name in names]
        numbers = np.where(keep, np.cumsum(keep) - 1 + self.count, -1)
        self.count += int(keep.sum())
        self.found_sums.append(tuple(one[keep] for one in (row, at, first, end, *values, parent)))
        return numbers

    # Going on -----------------------------------------------------------------------------------------------

    def is_claimed(self, at: Any) -> Any:
        """Whether a header begins at places to which the walk does not come by itself, as dissecting has it."""
        return self.np.isin(at, self._claimed)

    def add(self, kind: str, keep: Any, *rest: Any) -> None:
        """Go on with rows where `keep`: row, place, end, depth, sum around and more of the step's own."""
        if len(self._claimed):
            keep = keep & ~self.is_claimed(rest[1])
        if keep.any():
            self._todo.append((kind, *(one[keep] for one in rest)))

    def start(self, kind: str, *rest: Any) -> None:
        """Go on with rows at claimed places."""
        self._todo.append((kind, *rest))
