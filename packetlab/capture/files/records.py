"""Batches of frames as they stand in files: the records of all of them at once, for the writers of pcap and pcapng.

It takes plain frames only, `plain` says whether a batch has no others; those go through the writers one by one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from ctypes import string_at
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from packetlab.capture.batch import FrameBatch

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

LARGEST = 1 << 26  # bytes of a frame
_TENS = {10**power for power in range(10)}
VECTOR = [("base", "u8"), ("size", "u8")]  # struct iovec on 64 bits
GATHERING = sys.maxsize >> 32 and hasattr(os, "writev")
PACKET = 6  # type of the Enhanced Packet Block (draft-ietf-opsawg-pcapng, 4.3)


def plain(batch: FrameBatch) -> bool:
    """Return whether every frame lies in the buffer, has a time and lengths that both formats hold, and no more is said of it."""
    return not batch.extras and not batch.far and len(batch) > 0 and bool(
        batch.times_ns.min() >= 0 and batch.times_ns.max() >> 32 < 1_000_000_000
        and batch.starts.min() >= 0 and batch.sizes.min() >= 0 and (batch.starts + batch.sizes).max() <= len(batch.data)
        and batch.sizes.max() <= LARGEST - 64 and batch.wire_sizes.min() >= 0 and batch.wire_sizes.max() < 1 << 32
    )  # fmt: skip


class Records:
    """Frames as records of a file, in pieces where they lie in memory: nothing is copied, and nothing done for one alone.

    Attributes:
        pieces: of each record its pieces in order, as struct iovec has them (`VECTOR`).
    """

    def __init__(self, batch: FrameBatch, heads: Array, tails: Array | None = None, ends: Array | None = None) -> None:
        """`heads`: a row of bytes before each frame. `tails`: one after it, of which the last `ends` bytes count."""
        import numpy as np

        data = np.ascontiguousarray(batch.data)
        self._held = data, heads, tails  # as long as there are pieces of them
        rows = np.arange(len(batch), dtype=np.uint64)
        self.pieces = np.empty((len(batch), 2 if tails is None else 3), VECTOR)
        base, size = self.pieces["base"], self.pieces["size"]
        base[:, 0], size[:, 0] = heads.ctypes.data + rows * np.uint64(heads.strides[0]), heads.strides[0]
        base[:, 1], size[:, 1] = data.ctypes.data + batch.starts.astype(np.uint64), batch.sizes
        if tails is not None and ends is not None:
            base[:, 2] = (
                tails.ctypes.data + (rows + np.uint64(1)) * np.uint64(tails.strides[0]) - ends.astype(np.uint64)
            )
            size[:, 2] = ends

    def joined(self) -> bytes:
        """Return all of them in one."""
        bases, sizes = self.pieces["base"].ravel().tolist(), self.pieces["size"].ravel().tolist()
        return b"".join(map(string_at, bases, sizes))


def pcap_records(batch: FrameBatch) -> Records:
    """Return the frames as records of a little-endian pcap file with nanoseconds."""
    import numpy as np

    heads = np.empty((len(batch), 4), "<u4")
    heads[:, 0], heads[:, 1] = np.divmod(batch.times_ns, 1_000_000_000)
    heads[:, 2], heads[:, 3] = batch.sizes, batch.wire_sizes
    return Records(batch, heads)


def batch_units(batch: FrameBatch, used: Sequence[int]) -> Array | None:
    """Return how many nanoseconds a tick of each interface is that a batch uses; None where some frame's time is no whole
    number of them."""
    import numpy as np

    units = np.ones(max(used) + 1, np.int64)
    for which in used:
        resolution = batch.interfaces[which].resolution
        if resolution not in _TENS:
            return None
        units[which] = 1_000_000_000 // resolution
    return units if not (batch.times_ns % units[batch.which]).any() else None


def pcapng_blocks(batch: FrameBatch, places: Mapping[int, int], units: Array) -> Records:
    """Return the frames as blocks; `places`: number in the batch -> number in the file, of each interface; `units`: as
    `batch_units` has them."""
    import numpy as np

    count = len(batch)
    padding = -batch.sizes % 4
    heads, tails = np.empty((count, 7), "<u4"), np.zeros((count, 2), "<u4")
    heads[:, 0], heads[:, 1] = PACKET, batch.sizes + padding + 32
    numbers = np.zeros(max(places) + 1, np.uint32)
    numbers[list(places)] = list(places.values())
    heads[:, 2] = numbers[batch.which]
    ticks = batch.times_ns // units[batch.which]
    heads[:, 3], heads[:, 4] = ticks >> 32, ticks & 0xFFFFFFFF
    heads[:, 5], heads[:, 6] = batch.sizes, batch.wire_sizes
    tails[:, 1] = heads[:, 1]
    # A block ends with up to three bytes of padding and its length again: the end of eight bytes, four of them 0.
    return Records(batch, heads, tails, padding + 4)


def write_records(stream: BinaryIO, records: Records) -> None:
    """Write them all: from where they lie, where the stream can do that."""
    gather = getattr(stream, "write_pieces", None) if GATHERING else None
    if gather is None:
        stream.write(records.joined())
    else:
        gather(records.pieces)  # `records` holds the memory meanwhile
