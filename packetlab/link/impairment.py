"""What a bad link does to frames: delay, loss, duplication, reordering, corruption, a rate, a queue, an MTU.

Owns chance and bookkeeping, no clock: time goes in, what arrives when comes out. The same object shapes links of the
simulated network and, in user space, of a lab. The same seed and the same frames give the same fate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from math import inf
from random import Random

from packetlab.errors import PacketlabError, suggestion

SECOND = 1_000_000_000
WITHIN = "a probability of 0..1, or the numbers of frames"


# What becomes of one frame: its arrivals, each a time (ns) and the bytes, none where it is lost; and what was done to it,
# in words. Plain tuples, since there is one for every frame.
Fate = tuple[tuple[tuple[int, bytes], ...], tuple[str, ...]]


class Impairment:
    """Shapes the frames of one direction of a link.

    Args:
        delay, jitter: seconds; each frame takes delay, more or less up to jitter (so it may overtake another).
        loss: probability that a frame is lost. drop: numbers of frames that are lost, the first is 1.
        duplicate, reorder, corrupt: probability, or numbers of frames. A duplicate follows its frame; a reordered frame
            is held back after later ones; a corrupted one arrives with one bit turned over.
        rate: bits per second; frames wait for one another. queue: frames that may wait; the next is lost.
        mtu: bytes of a frame after its link header; a longer one is lost.
        seed: of all chance. Any hashable text or number.

    Numbers of frames are counted over both directions of a link, in the order sent (see `numbers`).
    """

    delay: float
    jitter: float
    loss: float | Collection[int]
    drop: Collection[int]
    duplicate: float | Collection[int]
    reorder: float | Collection[int]
    corrupt: float | Collection[int]
    rate: float | None
    queue: int | None
    mtu: int | None
    partitioned: bool

    def __init__(self, *, seed: int | str = 0, numbers: FrameCounter | None = None, **shape: object) -> None:
        self.numbers = numbers or FrameCounter()
        self._random = Random(str(seed))
        self._free_at = 0  # when the wire has sent all that waits for it
        self._leaving: deque[int] = deque()  # when each frame that waits has left
        self.change(**{**PERFECT, **shape})

    def change(self, **shape: object) -> None:
        """Set any of the above from now on, and `partitioned`: whether every frame is lost."""
        for name, value in shape.items():
            if name not in PERFECT:
                raise PacketlabError(f"link {name}", f"one of {', '.join(PERFECT)}", name, suggestion(name, PERFECT))
            setattr(self, name, _checked(name, value))
        self._delay = self._nanoseconds(self.delay)
        # Nothing is left to chance: then nobody asks it (of a plain link most time went there).
        chances = (self.jitter, self.loss, self.drop, self.duplicate, self.reorder, self.corrupt)
        self._certain = not any(chances)

    def frame(self, data: bytes, now: int) -> Fate:
        """Decide on a frame sent at `now` (ns)."""
        number = self.numbers.next()
        if self.partitioned:
            return (), ("lost: partition",)
        if self.mtu is not None and len(data) - 14 > self.mtu:
            return (), (f"lost: longer than the MTU of {self.mtu}",)
        leaves = self._queued(data, now)
        if leaves is None:
            return (), ("lost: the queue is full",)
        if self._certain:
            return ((leaves + self._delay, data),), ()
        # Every chance is drawn each time, so that one setting does not change the luck of another.
        draw = self._random.random
        lost, doubled = self._happens(self.loss, number, draw()), self._happens(self.duplicate, number, draw())
        late, bad = self._happens(self.reorder, number, draw()), self._happens(self.corrupt, number, draw())
        sway, lateness, second, bit = draw(), draw(), draw(), draw()
        if number in self.drop:
            return (), (f"lost: frame {number} of the schedule",)
        if lost:
            return (), ("lost",)
        at = leaves + self._nanoseconds(self.delay + self.jitter * (2 * sway - 1))
        marks = []
        if late:
            # Long enough for several others to overtake it, on a link without delay too.
            at += self._nanoseconds((self.delay or 0.001) * (1 + 2 * lateness))
            marks.append("reordered")
        if bad and data:
            place = int(bit * 8 * len(data))
            changed = data[place >> 3] ^ 0x80 >> (place & 7)
            data = data[: place >> 3] + bytes([changed]) + data[(place >> 3) + 1 :]
            marks.append(f"corrupted: bit {place}")
        at = max(at, now)
        arrivals = [(at, data)]
        if doubled:
            arrivals.append((at + self._nanoseconds((self.delay or 0.001) * second), data))
            marks.append("duplicated")
        return tuple(arrivals), tuple(marks)

    def _queued(self, data: bytes, now: int) -> int | None:
        """Return when the frame has left, or None where it finds no place to wait."""
        if self.rate is None:
            return now
        while self._leaving and self._leaving[0] <= now:
            self._leaving.popleft()
        if self.queue is not None and len(self._leaving) > self.queue:  # the first of these is being sent
            return None
        self._free_at = max(self._free_at, now) + int(len(data) * 8 * SECOND / self.rate)
        self._leaving.append(self._free_at)
        return self._free_at

    @staticmethod
    def _nanoseconds(seconds: float) -> int:
        return max(0, round(seconds * SECOND))

    @staticmethod
    def _happens(chance: float | Collection[int], number: int, drawn: float) -> bool:
        return drawn < chance if isinstance(chance, float) else number in chance


class FrameCounter:
    """Counts frames; the directions of a link share one."""

    def __init__(self) -> None:
        self.last = 0

    def next(self) -> int:
        """Return the number of one more frame."""
        self.last += 1
        return self.last


def both_ways(ends: Collection[str], seed: int | str, **shape: object) -> dict[str, Impairment]:
    """Return an impairment for the frames that each end sends; frames are numbered over all of them."""
    numbers = FrameCounter()
    return {end: Impairment(**shape, seed=f"{seed}/{end}", numbers=numbers) for end in ends}


PERFECT: dict[str, float | Collection[int] | None] = {
    "delay": 0.0, "jitter": 0.0, "loss": 0.0, "drop": (), "duplicate": 0.0, "reorder": 0.0, "corrupt": 0.0,
    "rate": None, "queue": None, "mtu": None, "partitioned": False,
}  # fmt: skip


# So that when a frame arrives is a number of nanoseconds.
SECONDS = 0, 1e9, "0 to 1e9 seconds"
BETWEEN = {"delay": SECONDS, "jitter": SECONDS, "rate": (1e-6, inf, "bits per second above 0 (1e-6 or more)")}


def _checked(name: str, value: object) -> float | Collection[int] | None:
    if name == "partitioned":
        return bool(value)
    if name in ("delay", "jitter", "rate", "queue", "mtu"):
        if value is None and PERFECT[name] is None:
            return None
        least, most, expected = BETWEEN.get(name, (0, inf, "0 or more"))
        if not isinstance(value, (int, float)) or not least <= value <= most:
            raise PacketlabError(f"link {name}", expected, f"{value!r}")
        return value
    if isinstance(value, (int, float)) and name != "drop":
        if not 0 <= value <= 1:
            raise PacketlabError(f"link {name}", WITHIN, f"{value}")
        return float(value)
    numbers = frozenset(value) if isinstance(value, Iterable) else None
    if numbers is None or not all(isinstance(number, int) and number > 0 for number in numbers):
        raise PacketlabError(f"link {name}", WITHIN, f"{value!r}", "the first frame is 1")
    return numbers
