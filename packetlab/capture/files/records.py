"""Batches of frames as they stand in files: the records of all of them at once, for the writers of pcap and pcapng.

It takes plain frames only, `plain` says whether a batch has no others; those go through the writers one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from packetlab.capture.batch import FrameBatch

if TYPE_CHECKING:
    import numpy as np

LARGEST = 1 << 26  # bytes of a frame
_TENS = {10**power for power in range(10)}
PACKET = 6  # type of the Enhanced Packet Block (draft-ietf-opsawg-pcapng, 4.3)


def plain(batch: FrameBatch) -> bool:
    """Return whether every frame has a time and lengths that both formats hold, and nothing else is said of it."""
    return not batch.extras and not batch.far and len(batch) > 0 and bool(
        batch.times_ns.min() >= 0 and batch.times_ns.max() >> 32 < 1_000_000_000
        and batch.sizes.max() <= LARGEST - 64 and batch.wire_sizes.min() >= 0 and batch.wire_sizes.max() < 1 << 32
    )  # fmt: skip


def pcap_records(batch: FrameBatch) -> bytes:
    """Return the frames as records of a little-endian pcap file with nanoseconds."""
    import numpy as np

    heads = np.empty((len(batch), 4), "<u4")
    heads[:, 0], heads[:, 1] = np.divmod(batch.times_ns, 1_000_000_000)
    heads[:, 2], heads[:, 3] = batch.sizes, batch.wire_sizes
    return b"".join(chain.from_iterable(zip(_rows(heads), _frames(batch), strict=True)))


def batch_units(batch: FrameBatch, used: Sequence[int]) -> np.ndarray[Any, Any] | None:
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


def pcapng_blocks(batch: FrameBatch, places: Mapping[int, int], units: np.ndarray[Any, Any]) -> bytes:
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
    ends: Any = memoryview(tails.tobytes())
    firsts = (8 * np.arange(count) + 4 - padding).tolist()
    closing = [ends[first:place] for first, place in zip(firsts, range(8, 8 * count + 8, 8), strict=True)]
    return b"".join(chain.from_iterable(zip(_rows(heads), _frames(batch), closing, strict=True)))


def _rows(heads: np.ndarray[Any, Any]) -> list[Any]:
    raw: Any = memoryview(heads.tobytes())
    size = heads.strides[0]
    return [raw[place : place + size] for place in range(0, len(raw), size)]


def _frames(batch: FrameBatch) -> list[Any]:
    raw: Any = memoryview(batch.data)  # type: ignore[arg-type]
    ends = (batch.starts + batch.sizes).tolist()
    return [raw[start:end] for start, end in zip(batch.starts.tolist(), ends, strict=True)]
