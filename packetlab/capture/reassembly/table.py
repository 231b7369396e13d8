"""What `Streams` and `Conversations` share: which are alive, which are over, and how much memory all may take.

One that is over lingers for late copies of its packets, by the capture's own times. Where all together take more than
they may, those that were silent longest are given out: for good if they are over or silent for long, else only what
they have so far, and they go on in a further part.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Generic, Self, TypeVar
from weakref import ref

from packetlab.capture.frame import Frame
from packetlab.capture.reassembly.events import ReassemblyEvent
from packetlab.engine.contract import nanoseconds
from packetlab.renamed import renamed

SECOND = 1_000_000_000
BARE = 3000  # bytes of memory that a connection takes without data, about


E = TypeVar("E")
P = TypeVar("P")


class TwoWay(Generic[E, P]):
    """What a TCP stream and an SPP conversation share: two ends, when they spoke, and what became of them."""

    __slots__ = (
        "__weakref__", "_keys", "begun_ns", "client", "first", "frames", "last", "last_ns", "number", "over", "part", "server",
    )  # fmt: skip

    def __init__(self, number: int, client: E, server: E, frame: Frame, keys: Any) -> None:
        self.number, self.part, self.client, self.server = number, 0, client, server
        self.first = self.last = frame.number
        self.begun_ns, self.last_ns = frame.time_ns, 0
        self.frames = 0
        self.over = ""
        self._keys = keys
        self._hold()

    @property
    def _ends(self) -> tuple[Any, Any]:
        return self.client, self.server

    def _hold(self) -> None:
        for end in self._ends:
            end._connection = ref(self)  # no circle: bytes go when the last user does

    @property
    def events(self) -> list[ReassemblyEvent]:
        """What happened in both directions, in the order of frames; what only the end showed comes last."""
        found: list[ReassemblyEvent] = [event for end in self._ends for event in end.events]
        return sorted(found, key=lambda event: event.number or self.last + 1)

    notes = renamed("notes", "events")

    @property
    def cost(self) -> int:
        """Bytes of memory taken, about."""
        return BARE + int(sum(end.cost for end in self._ends))

    def portion(self) -> Self:
        """Return all that came so far, and go on without it."""
        given = copy.copy(self)
        given.client, given.server = (end.portion() for end in self._ends)
        given._hold()
        self.part += 1
        return given

    def finish(self) -> list[P]:
        """No more will come: return what was held back at holes."""
        return [(end, piece) for end in self._ends for piece in end.finish()]  # type: ignore[misc]

    def __repr__(self) -> str:
        part = f" part {self.part}" if self.part else ""
        said = f"{self.client!r} {self.server!r}, {self.frames} frames, {self.over or 'going on'}"
        return f"<{type(self).__name__} {self.number}{part}: {said}>"


S = TypeVar("S", bound=TwoWay[Any, Any])


class ConnectionTable(Generic[S, P]):
    """The conversations of a capture.

    Args:
        memory: bytes that all may take together, about. linger: seconds of silence that one stays after its end.
    """

    def __init__(self, memory: int, linger: float) -> None:
        self.now = 0  # the latest time of a frame
        self._memory, self._linger = memory, nanoseconds(linger, "linger")
        self._share = memory // 8  # bytes after which memory is looked at again
        self._alive: dict[int, S] = {}
        self._ending: OrderedDict[int, int] = OrderedDict()  # number of one that is over -> since when
        self._done: list[S] = []
        self._late: list[P] = []
        self._count = 0
        self._added = 0  # bytes since memory was last looked at

    def receive(self, frame: Frame) -> Sequence[P]:
        """Take a frame; return what has nothing missing before it now."""
        raise NotImplementedError

    def take(self, frame: Frame) -> list[S]:
        """Take a frame; return what has come to an end."""
        self.receive(frame)
        return self.finished() if self._done else []

    def finished(self) -> list[S]:
        """Return those that have come to an end since the last call, in the order of their ends."""
        done, self._done = self._done, []
        return done

    def end(self) -> list[S]:
        """The capture is at its end: return all that are left, in the order of their beginnings."""
        for one in list(self._alive.values()):
            self._finish(one, one.over or "end of the capture")
        return self.finished()

    def late(self) -> list[P]:
        """Return what stood after holes and was set free by `end`; before, `receive` returns such as well."""
        late, self._late = self._late, []
        return late

    def forget(self, one: S) -> None:
        """Take one out of what it is looked up in."""
        raise NotImplementedError

    def _start(self, one: S) -> None:
        self._alive[one.number] = one
        self._count += 1
        self._added += BARE

    def _is_over(self, one: S, why: str) -> None:
        one.over = why
        self._ending[one.number] = self.now

    def _look_after(self) -> None:
        """Give out those that lingered long enough; keep to the memory allowed. Called once a frame where there may be any."""
        while self._ending:
            number, since = next(iter(self._ending.items()))
            if self.now - since <= self._linger:
                break
            one = self._alive[number]
            del self._ending[number]
            if self.now - one.last_ns > self._linger:
                self._finish(one, one.over)
            else:
                self._ending[number] = one.last_ns  # somebody still repeats the end of it
        if self._added > self._share:
            self._added = 0
            self._relieve()

    def _finish(self, one: S, why: str) -> None:
        one.over = why
        self._late += one.finish()
        del self._alive[one.number]
        self._ending.pop(one.number, None)
        self.forget(one)
        self._done.append(one)

    def _relieve(self) -> None:
        held = sum(one.cost for one in self._alive.values())
        if held <= self._memory:
            return
        for one in sorted(self._alive.values(), key=lambda one: one.last_ns):
            if held <= self._memory // 2:
                return
            held -= one.cost - BARE
            if one.over or self.now - one.last_ns > 60 * SECOND or one.cost <= BARE:
                held -= BARE
                self._finish(one, one.over or "limit on memory")
            else:
                part = one.portion()
                part.over = "goes on in the next part"
                self._done.append(part)
