"""Which packets of a batch belong together: a number a conversation, worked out for all packets at once.

Both directions of a conversation have the same number. It goes by what the outermost header that names two ends has as
source and destination (`src` and `dst`, or the two of its ``pseudo=``) and the first `sport` and `dport` above; else by MAC
addresses and type; what has none of these has the number 0. As in network cards, fragments go by addresses alone, since
all but the first have no ports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.protocols.linktypes import ETHERNET

if TYPE_CHECKING:
    from packetlab.bulk.batch import Batch, ByteArray, Numbers, Words

GOLDEN, OTHER = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F  # multipliers that spread numbers over 64 bits


def flow_numbers(batch: Batch, linktype: int = ETHERNET) -> Words:
    """Return a number of 64 bits for each packet's conversation; a batch of frames has its own link types."""
    import numpy as np

    from packetlab.capture.batch import FrameBatch
    from packetlab.capture.frame import InterfaceDescription
    from packetlab.capture.rewrite.located import Located

    if not isinstance(batch, FrameBatch):
        batch = FrameBatch(
            batch.data, batch.starts, batch.sizes, np.zeros(len(batch), np.int64),
            interfaces=(InterfaceDescription(linktype=linktype),),
        )  # fmt: skip
    numbers = np.zeros(len(batch), np.uint64)
    kinds = np.array([one.linktype == ETHERNET for one in batch.interfaces] or [False])[batch.which]
    rows = np.flatnonzero(kinds & (batch.sizes >= 14))
    at = batch.starts[rows]
    types = _number(batch.data, at + 12, 2)
    numbers[rows] = _both(_number(batch.data, at, 6), _number(batch.data, at + 6, 6)) + types * np.uint64(OTHER)
    ends = Located(batch, batch.starts + batch.sizes, {"ends"}).ends
    named = (ends.source >= 0) & (ends.target >= 0)
    for size in np.unique(ends.width[named]).tolist():
        here = np.flatnonzero(named & (ends.width == size))
        found = _both(_number(batch.data, ends.source[here], size), _number(batch.data, ends.target[here], size))
        has = (ends.sport[here] >= 0) & (ends.dport[here] >= 0) & ~ends.piece[here]
        ports = (one[here].astype(np.uint64) for one in (ends.sport, ends.dport))
        numbers[here] = found + np.where(has, _both(*ports) + ends.kind[here].astype(np.uint64) * np.uint64(OTHER), 0)
    return numbers ^ numbers >> np.uint64(32)


def _number(data: ByteArray, at: Numbers, size: int) -> Words:
    """Return a number of 64 bits for the bytes at places; of more than 8 it cannot be turned back."""
    import numpy as np

    from packetlab.capture.rewrite.maps import words_at

    high, low = words_at(data, at, size)
    return high * np.uint64(OTHER) + low


def _both(one: Words, other: Words) -> Words:
    """Return a number for two that does not depend on their order."""
    import numpy as np

    return _spread(one + np.uint64(1)) + _spread(other + np.uint64(1))


def _spread(number: Words) -> Words:
    import numpy as np

    number = (number ^ number >> np.uint64(29)) * np.uint64(GOLDEN)
    return (number ^ number >> np.uint64(32)) * np.uint64(OTHER)
