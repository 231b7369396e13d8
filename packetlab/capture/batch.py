"""FrameBatch: a stretch of a capture in one buffer, its times and circumstances as arrays beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from packetlab.bulk.batch import Batch
from packetlab.capture.frame import ETHERNET, NOTHING, Extras, Frame, InterfaceDescription

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from packetlab.bulk.batch import ByteArray, Numbers

NO_TIME = -(1 << 63)  # in `times_ns`: the file has none for this frame
LATEST = (1 << 63) - 1  # nanoseconds: the year 2262


def clipped(time_ns: int) -> int:
    """Return a time as it fits an array of 64 bits."""
    return max(-LATEST, min(time_ns, LATEST))


class FrameBatch(Batch):
    """Frames in one buffer.

    Attributes:
        times_ns: nanoseconds since 1970-01-01 UTC; NO_TIME where the file has none. wire_sizes: bytes on the wire.
        interfaces: where the frames were captured. which: for each frame its place in `interfaces`.
        numbers: place of each frame in its capture, from 1. extras: row -> what the file says of that frame as well.
        far: row -> a time that does not fit the array; `times_ns` has the nearest that does.
        order: what frames know of those before them (see `order`).
        spent: whether nobody needs what lies between the frames in the buffer, so that a writer may put record headers there.
    """

    __slots__ = ("extras", "far", "interfaces", "numbers", "order", "spent", "times_ns", "which", "wire_sizes")

    times_ns: Numbers
    wire_sizes: Numbers
    which: NDArray[np.int32]
    numbers: Numbers

    def __init__(
        self,
        data: bytes | ByteArray,
        starts: ArrayLike,
        sizes: ArrayLike,
        times_ns: ArrayLike,
        wire_sizes: ArrayLike | None = None,
        interfaces: tuple[InterfaceDescription, ...] = (ETHERNET,),
        which: ArrayLike | None = None,
        numbers: ArrayLike = 1,
        extras: Mapping[int, Extras] | None = None,
        far: Mapping[int, int] | None = None,
    ) -> None:
        import numpy as np

        super().__init__(data, starts, sizes)
        self.times_ns = np.asarray(times_ns, np.int64)
        self.wire_sizes = self.sizes if wire_sizes is None else np.asarray(wire_sizes, np.int64)
        self.interfaces = interfaces
        self.which = np.zeros(len(self.starts), np.int32) if which is None else np.asarray(which, np.int32)
        count = len(self.starts)
        self.numbers = (
            np.arange(numbers, numbers + count) if isinstance(numbers, int) else np.asarray(numbers, np.int64)
        )
        self.extras, self.far, self.spent = extras or {}, far or {}, False
        self.order: Any = None

    @classmethod
    def of(cls, packets: Iterable[Any]) -> FrameBatch:
        """Return a batch of frames."""
        frames = list(packets)
        plain = Batch.of(frame.data for frame in frames)
        places = {interface: place for place, interface in enumerate(dict.fromkeys(f.interface for f in frames))}
        return cls(
            plain.data,
            plain.starts,
            plain.sizes,
            [NO_TIME if frame.time_ns is None else clipped(frame.time_ns) for frame in frames],
            [frame.wire_length for frame in frames],
            tuple(places),
            [places[frame.interface] for frame in frames],
            [frame.number for frame in frames],
            {row: frame.extras for row, frame in enumerate(frames) if frame.extras is not NOTHING},
            {
                row: f.time_ns
                for row, f in enumerate(frames)
                if f.time_ns is not None and clipped(f.time_ns) != f.time_ns
            },
        )

    def frame(self, row: int) -> Frame:
        """Return one frame."""
        time = int(self.times_ns[row])
        made = Frame(
            self[row],
            self.far.get(row, None if time == NO_TIME else time),
            wire_length=int(self.wire_sizes[row]),
            interface=self.interfaces[int(self.which[row])],
            number=int(self.numbers[row]),
            extras=self.extras.get(row, NOTHING),
        )
        return made if self.order is None else self.order.frame(made)

    def chosen(self, which: object) -> FrameBatch:
        """Return the frames of some rows, an array of truths or of rows in rising order; the buffer stays shared."""
        import numpy as np

        rows = np.asarray(which)
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.int64)
        places = {int(row): place for place, row in enumerate(rows)} if self.extras or self.far else {}
        made = FrameBatch(
            self.data,
            self.starts[rows],
            self.sizes[rows],
            self.times_ns[rows],
            self.wire_sizes[rows],
            self.interfaces,
            self.which[rows],
            self.numbers[rows],
            {places[row]: extras for row, extras in self.extras.items() if row in places},
            {places[row]: time for row, time in self.far.items() if row in places},
        )
        made.order = self.order
        return made

    def __iter__(self) -> Iterator[Frame]:
        return self._frames() if self.order is None else self.order.frames(self._frames())

    def _frames(self) -> Iterator[Frame]:
        interfaces, extras, far = self.interfaces, self.extras, self.far
        columns = (array.tolist() for array in (self.times_ns, self.wire_sizes, self.which, self.numbers))
        for row, (data, time, wire, which, number) in enumerate(zip(super().__iter__(), *columns, strict=True)):
            yield Frame(
                data,
                far.get(row, None if time == NO_TIME else time),
                wire_length=wire,
                interface=interfaces[which],
                number=number,
                extras=extras.get(row, NOTHING),
            )
