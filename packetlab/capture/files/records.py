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
    """Frames as records of a file: nothing is done for one alone.

    Attributes:
        starts, stops, ends: where each record begins, its frame ends and it ends itself, if it stands around its frame.
        sizes: bytes of each.
    """

    def __init__(self, batch: FrameBatch, heads: Array, tails: Array | None = None, ends: Array | None = None) -> None:
        """`heads`: a row of bytes before each frame. `tails`: one after it, of which the last `ends` bytes count."""
        import numpy as np

        data = np.ascontiguousarray(batch.data)
        self._held = data, heads, tails  # as long as there are pieces of them
        self._spent = batch.spent
        self.starts, self.stops = batch.starts - heads.strides[0], batch.starts + batch.sizes
        self.ends = self.stops if ends is None else self.stops + ends
        self.sizes = self.ends - self.starts

    @property
    def pieces(self) -> Array:
        """The pieces of each record in order, as struct iovec has them (`VECTOR`): where they lie in memory."""
        import numpy as np

        data, heads, tails = self._held
        rows = np.arange(len(heads), dtype=np.uint64)
        pieces = np.empty((len(heads), 2 if tails is None else 3), VECTOR)
        base, size = pieces["base"], pieces["size"]
        base[:, 0], size[:, 0] = heads.ctypes.data + rows * np.uint64(heads.strides[0]), heads.strides[0]
        size[:, 1] = self.stops - self.starts - heads.strides[0]
        base[:, 1] = data.ctypes.data + self.stops.astype(np.uint64) - size[:, 1]
        if tails is not None:
            size[:, 2] = self.ends - self.stops
            base[:, 2] = tails.ctypes.data + (rows + np.uint64(1)) * np.uint64(tails.strides[0]) - size[:, 2]
        return pieces

    def block(self) -> memoryview | None:
        """Return all of them in one, where the frames lie as far from each other as they would in it: copied at once, unless
        the buffer may be used for it, heads and tails put between them. None elsewhere."""
        import numpy as np

        data, heads, tails = self._held
        first, size = int(self.starts[0]), int(self.ends[-1] - self.starts[0])
        if first < 0 or (self.starts[1:] != self.ends[:-1]).any():
            return None
        part = data[first : first + size]
        block = part if self._spent and len(part) == size else np.empty(size, np.uint8)
        if block is not part:
            block[: len(part)] = part

        def put(places: Array, rows: Array) -> None:
            wide = rows.shape[1] * rows.itemsize  # strides say nothing where there is one row
            kind = f"V{wide}"
            np.ndarray((size - wide + 1,), kind, block, 0, (1,))[places - first] = rows.view(kind)[:, 0]

        put(self.starts, heads)
        if tails is not None:
            put(self.stops, np.zeros((len(heads), 1), "<u4"))
            put(self.ends - 4, np.ascontiguousarray(tails[:, 1:]))
        return memoryview(block)  # type: ignore[arg-type]

    def joined(self) -> bytes | memoryview:
        pieces = self.pieces
        return self.block() or b"".join(
            map(string_at, pieces["base"].ravel().tolist(), pieces["size"].ravel().tolist())
        )


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
    whole = getattr(stream, "write_records", None) if GATHERING else None
    if whole is None:
        stream.write(records.joined())
    else:
        whole(records)
