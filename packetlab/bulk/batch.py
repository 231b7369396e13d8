"""Batch: many packets side by side in one buffer, for work that is done on all of them at once.

The buffer is any bytes; where each packet lies in it is given by two arrays. Nothing here looks into a packet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from packetlab.packet.foreign import as_bytes
from packetlab.renamed import renamed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Numbers = NDArray[np.int64]
    Truths = NDArray[np.bool_]
    ByteArray = NDArray[np.uint8]
    Words = NDArray[np.uint64]
    Floats = NDArray[np.float64]


class Batch:
    """Packets in one buffer.

    Attributes:
        data: the buffer, an array of bytes. starts: where each packet begins in it. sizes: bytes of each.

    Packets may lie anywhere in the buffer, with other bytes between them, and may overlap (a template sent many times).
    """

    __slots__ = ("data", "sizes", "starts")

    data: NDArray[np.uint8]
    starts: Numbers
    sizes: Numbers

    def __init__(self, data: bytes | ByteArray, starts: ArrayLike, sizes: ArrayLike) -> None:
        import numpy as np

        self.data = np.frombuffer(data, np.uint8) if not isinstance(data, np.ndarray) else data
        self.starts, self.sizes = np.asarray(starts, np.int64), np.asarray(sizes, np.int64)

    @classmethod
    def of(cls, packets: Iterable[object]) -> Batch:
        """Return a batch of packets of any form (see `foreign`), one after the other."""
        import numpy as np

        pieces = [as_bytes(packet) for packet in packets]
        sizes = np.fromiter(map(len, pieces), np.int64, len(pieces))
        return cls(b"".join(pieces), np.cumsum(sizes) - sizes, sizes)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, row: int) -> bytes:
        start = int(self.starts[row])
        return self.data[start : start + int(self.sizes[row])].tobytes()

    def __iter__(self) -> Iterator[Any]:
        whole: Any = memoryview(self.data)  # type: ignore[arg-type]
        for start, size in zip(self.starts.tolist(), self.sizes.tolist(), strict=True):
            yield whole[start : start + size].tobytes()

    @property
    def total_bytes(self) -> int:
        """Bytes of all packets together."""
        return int(self.sizes.sum())

    octets = renamed("octets", "total_bytes")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} packets, {self.total_bytes} bytes>"
