"""End: what one end of a TCP connection sent. Segments in any order become one run of bytes, or runs with holes between.

Follows RFC 9293 section 3.4 (sequence numbers). Where copies of a byte differ, the first stays and an event tells. Knows
nothing of headers: it is given sequence numbers and bytes.
"""

from __future__ import annotations

import copy
from bisect import bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from packetlab.capture.reassembly.events import EventKind, ReassemblyEvent
from packetlab.engine.xns.sequence import unwrap
from packetlab.renamed import renamed

TURN = 1 << 32  # sequence numbers are modulo this
COST = 250  # bytes of memory that a piece or an event takes in addition to its data, about
COMPARED = 1 << 16  # bytes kept for comparison where data is not kept


class Piece(NamedTuple):
    """Bytes that came in one frame: `offset` is that of the first in what its end sent."""

    offset: int
    data: bytes
    number: int
    time_ns: int | None

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.offset + len(self.data)


class Hole(NamedTuple):
    """Bytes that were not captured; `acknowledged` says that the other end had them, so that the capture missed them."""

    offset: int
    size: int
    acknowledged: bool


_offset = itemgetter(0)


def fit(known: Sequence[Piece], new: Piece) -> tuple[list[Piece], int, list[tuple[int, int, Piece]]]:
    """Lay a piece beside sorted ones: return its parts that are new, how many bytes are not, and which of these differ.

    Those that differ are reported as (offset, size, the piece that was there).
    """
    fresh, seen, clashes = [], 0, []
    at, end, data = new.offset, new.end, new.data
    for i in range(max(0, bisect_right(known, at, key=_offset) - 1), len(known)):
        piece = known[i]
        if piece.offset >= end:
            break
        low, high = max(piece.offset, new.offset), min(piece.end, end)
        if low >= high:
            continue
        if low > at:
            fresh.append(new._replace(offset=at, data=data[at - new.offset : low - new.offset]))
        seen += high - low
        if data[low - new.offset : high - new.offset] != piece.data[low - piece.offset : high - piece.offset]:
            clashes.append((low, high - low, piece))
        at = high
    if at < end:
        fresh.append(new._replace(offset=at, data=data[at - new.offset :]))
    return fresh, seen, clashes


def merged(clashes: Sequence[tuple[int, int, Piece]]) -> Iterator[tuple[int, int, str]]:
    """Yield what differs (see `fit`) as (offset, size, which frames' bytes stay), neighbours as one."""
    at = 0
    while at < len(clashes):
        begin, size, piece = clashes[at]
        numbers = {piece.number}
        at += 1
        while at < len(clashes) and clashes[at][0] == begin + size:
            size += clashes[at][1]
            numbers.add(clashes[at][2].number)
            at += 1
        whose = (
            f"frame {piece.number}"
            if len(numbers) == 1
            else f"{len(numbers)} frames, {min(numbers)} to {max(numbers)},"
        )
        yield begin, size, f"the bytes of {whose} stay"


class End:
    """One end of a stream: who it is and what it sent.

    Attributes:
        role: "client" or "server" of its `stream`. address, port: its own.
        pieces: what it sent, sorted by offset, none twice. Offset 0 is the first byte after the SYN; where no SYN was
            captured the first byte that was seen or acknowledged, and offsets may be negative.
        events: what happened. first: the sequence number of offset 0, None as long as it is not known.
        next: the offset after the last byte before which nothing is awaited. fin: the offset at which it ended, or None.
        synced: whether its SYN was captured. start: the offset at which `pieces` may begin.
    """

    __slots__ = (
        "_claimed", "_connection", "_forgotten", "_held", "_held_size", "_keep", "_kept", "_top", "_window", "_wrap", "acked", "address",
        "events", "fin", "first", "next", "pieces", "port", "role", "start", "synced",
    )  # fmt: skip

    notes = renamed("notes", "events")

    def __init__(self, role: str, address: Any, port: int, window: int, keep: bool) -> None:
        self.role, self.address, self.port = role, address, port
        self._connection: Callable[[], Any] = lambda: None
        self.pieces: list[Piece] = []
        self.events: list[ReassemblyEvent] = []
        self.first: int | None = None
        self.synced = False
        self.start = self.next = self._top = 0  # top: after the highest byte seen
        self._claimed = 0  # after the highest byte that the capture cut off
        self.acked = 0  # the offset up to which the other end has it all
        self.fin: int | None = None
        self._wrap = TURN
        self._forgotten: int | None = None  # before it nothing is kept to compare with
        self._held: list[Piece] = []  # beyond a hole that may still be filled
        self._held_size = self._kept = 0
        self._window, self._keep = window, keep

    # Looking ------------------------------------------------------------------------------------------------

    @property
    def stream(self) -> Any:
        """The `Stream` whose end this is, as long as anybody else has it."""
        return self._connection()

    @property
    def data(self) -> bytes:
        """The bytes up to the first hole; `runs` has those after it too."""
        return next((data for offset, data in self.runs() if offset <= self._origin()), b"")

    @property
    def size(self) -> int:
        """Bytes there are, holes not counted."""
        return sum(len(piece.data) for piece in self.pieces)

    def runs(self) -> Iterator[tuple[int, bytes]]:
        """Yield what was sent as (offset, bytes), one for each run without a hole inside."""
        run: list[bytes] = []
        start = end = 0
        for piece in self.pieces:
            if run and piece.offset != end:
                yield start, b"".join(run)
                run = []
            if not run:
                start = piece.offset
            run.append(piece.data)
            end = piece.end
        if run:
            yield start, b"".join(run)

    @property
    def holes(self) -> list[Hole]:
        """What is missing between the bytes there are, and after them by the other end's word or the FIN's."""
        found = []
        at = self._origin()
        for piece in [*self.pieces, *self._held]:
            if piece.offset > at and (at, piece.offset) != (self.fin, at + 1):  # a FIN takes a number too
                found.append(Hole(at, piece.offset - at, self.acked >= piece.offset))
            at = max(at, piece.end)
        end = self._promised()
        if end > at:
            found.append(Hole(at, end - at, self.acked >= end))
        return found

    def _promised(self) -> int:
        """The offset up to which bytes were sent, by the FIN, the acknowledgements, or frames cut short."""
        counts_fin = self.fin is not None and self.acked == self.fin + 1
        return max(self.acked - counts_fin, self.fin or 0, self._claimed)

    def _origin(self) -> int:
        return min(self.start, self.pieces[0].offset) if self.pieces else self.start

    def __repr__(self) -> str:
        return f"<{self.role} {self.address}:{self.port}, {self.size} bytes>"

    # Taking in ----------------------------------------------------------------------------------------------

    def offset_of(self, seq: int) -> int:
        """Return the offset nearest to what is awaited that a sequence number stands for."""
        assert self.first is not None
        return unwrap(seq - self.first, self.next, TURN)

    def begin(self, seq: int) -> None:
        """Take a sequence number as that of offset 0."""
        self.first, self._wrap = seq, TURN - seq

    def synchronize(self, seq: int, number: int, time_ns: int | None) -> bool:
        """Take a SYN, whose bytes begin at `seq`; return False where it cannot belong to the bytes before it."""
        if self.first is None:
            self.begin(seq)
        elif self.synced and seq == self.first:
            self.event(EventKind.REPEATED_SYN, number, time_ns)
        elif self.synced or self.fin is not None:
            return False
        else:
            # The SYN was captured after segments that it went before, if they begin where it says.
            offset = self.offset_of(seq)
            lowest = min([piece.offset for piece in self.pieces[:1] + self._held[:1]], default=0)
            if not 0 <= lowest - offset <= COMPARED:
                return False
            self._shift(offset)
        self.synced = True
        return True

    def _shift(self, offset: int) -> None:
        """Count from another byte."""
        assert self.first is not None
        began = self.pieces or self.next
        self.pieces = [piece._replace(offset=piece.offset - offset) for piece in self.pieces]
        self._held = [piece._replace(offset=piece.offset - offset) for piece in self._held]
        self.begin((self.first + offset) & 0xFFFFFFFF)
        self.acked, self._top = max(0, self.acked - offset), self._top - offset
        # What stands after a hole now may have to wait for it.
        if began and not (self.pieces and self.pieces[0].offset == 0):
            self._held, self.pieces = self.pieces + self._held, []
            self._held_size = sum(len(piece.data) + COST for piece in self._held)
            self.next = 0
        else:
            self.next -= offset

    def take(self, offset: int, data: bytes, number: int, time_ns: int | None) -> list[Piece]:
        """Take bytes; return what has no hole before it any more, or fills one that was given up."""
        end = offset + len(data)
        if offset == self.next and not self._held and self.next >= self._top:
            # In its turn, as nearly all are.
            piece = Piece(offset, data, number, time_ns)
            self.pieces.append(piece)
            self.next = self._top = end
            self._kept += len(data) + COST
            if end > self._wrap:
                self._wrapped(number, time_ns)
            if not self._keep and self._kept > 2 * COMPARED:
                self._forget()
            return [piece]
        return self._take(offset, data, number, time_ns)

    def _take(self, offset: int, data: bytes, number: int, time_ns: int | None) -> list[Piece]:
        end = offset + len(data)
        floor = self._forgotten if self._forgotten is not None else 0 if self.synced else offset
        if offset < floor:
            gone = min(end, floor) - offset
            if self._forgotten is None:
                self.event(EventKind.BEFORE_START, number, time_ns, offset, gone)
            else:
                self.event(EventKind.RETRANSMISSION, number, time_ns, offset, gone, "not compared")
            offset, data = offset + gone, data[gone:]
            if not data:
                return []
        fresh, seen, clashes = [Piece(offset, data, number, time_ns)], 0, []
        for known in (self.pieces, self._held):
            laid = [fit(known, piece) for piece in fresh]
            fresh = [piece for parts, _, _ in laid for piece in parts]
            seen += sum(count for _, count, _ in laid)
            clashes += [clash for _, _, found in laid for clash in found]
        for at, size, detail in merged(sorted(clashes, key=_offset)):
            self.event(EventKind.CONFLICT, number, time_ns, at, size, detail)
        if seen:
            self.event(EventKind.OVERLAP if fresh else EventKind.RETRANSMISSION, number, time_ns, offset, len(data))
        elif offset < self._top:
            self.event(EventKind.OUT_OF_ORDER, number, time_ns, offset, len(data))
        self._top = max(self._top, end)
        ready: list[Piece] = []
        for piece in fresh:
            if piece.offset > self.next:
                insort(self._held, piece, key=_offset)
                self._held_size += len(piece.data) + COST
            else:
                # Either the next, or it fills a hole that was given up.
                insort(self.pieces, piece, key=_offset)
                self._kept += len(piece.data) + COST
                self.next = max(self.next, piece.end)
                ready.append(piece)
                ready += self._drain()
        while self._held_size > self._window:
            ready += self._skip(number, time_ns, EventKind.LIMIT)
        if self.next > self._wrap:
            self._wrapped(number, time_ns)
        if not self._keep and self._kept > 2 * COMPARED:
            self._forget()
        return ready

    def _drain(self) -> list[Piece]:
        """Take what is held and has its turn."""
        count = 0
        for piece in self._held:
            if piece.offset != self.next:
                break
            self.next = piece.end
            self._held_size -= len(piece.data) + COST
            self._kept += len(piece.data) + COST
            count += 1
        ready = self._held[:count]
        if count:
            del self._held[:count]
            if self.pieces and self.pieces[-1].offset > ready[0].offset:
                for piece in ready:
                    insort(self.pieces, piece, key=_offset)
            else:
                self.pieces += ready
        return ready

    def _skip(self, number: int, time_ns: int | None, why: EventKind = EventKind.HOLE) -> list[Piece]:
        """Give the first hole up; return what stood after it."""
        to = self._held[0].offset
        if (self.next, to) != (self.fin, self.next + 1):
            detail = f"more than {self._window} bytes wait after it" if why is EventKind.LIMIT else ""
            detail = detail or ("acknowledged" if self.acked >= to else "")
            self.event(EventKind.HOLE, number, time_ns, self.next, to - self.next, detail)
        self.next = to
        return self._drain()

    def finish(self) -> list[Piece]:
        """No more will come: return what is still held, each hole before it reported."""
        ready = []
        while self._held:
            ready += self._skip(0, None)
        end = self._promised()
        if end > self.next:
            self.event(EventKind.HOLE, 0, None, self.next, end - self.next, "acknowledged" if self.acked >= end else "")
        return ready

    def finished(self, offset: int, number: int, time_ns: int | None) -> None:
        """Take a FIN that stands at an offset."""
        if self.fin is not None:
            same = offset == self.fin
            detail = "" if same else f"it was at {self.fin}"
            self.event(EventKind.REPEATED_FIN if same else EventKind.MOVED_FIN, number, time_ns, offset, 0, detail)
        else:
            self.fin = offset
            if self._top > offset:
                self.event(EventKind.BEYOND_FIN, number, time_ns, offset, self._top - offset)

    def cut(self, offset: int, size: int, number: int, time_ns: int | None) -> None:
        """Take notice of bytes that the capture cut off: they leave a hole."""
        again = offset + size <= self._claimed
        self.event(
            EventKind.RETRANSMISSION if again else EventKind.CUT, number, time_ns, offset, size, "cut off" * again
        )
        self._claimed = max(self._claimed, offset + size)

    def event(
        self, kind: EventKind, number: int, time_ns: int | None, offset: int = 0, size: int = 0, detail: str = ""
    ) -> None:
        """Write down what happened."""
        self.events.append(ReassemblyEvent(kind, number, self.role, offset, size, detail, time_ns))

    def _wrapped(self, number: int, time_ns: int | None) -> None:
        self.event(EventKind.WRAP, number, time_ns, self._wrap)
        while self.next > self._wrap:
            self._wrap += TURN

    # Memory -------------------------------------------------------------------------------------------------

    @property
    def cost(self) -> int:
        """Bytes of memory taken, about."""
        return self._kept + self._held_size + COST * len(self.events)

    def _forget(self) -> None:
        """Let old bytes go where they are not kept; some stay to compare retransmissions with."""
        count = 0
        while self._kept > COMPARED and count < len(self.pieces) - 1:
            self._kept -= len(self.pieces[count].data) + COST
            count += 1
        del self.pieces[:count]
        self._forgotten = self.start = self.pieces[0].offset

    def portion(self) -> End:
        """Return an end with all that came so far, and go on without it."""
        given = copy.copy(self)
        given._held, given._held_size = [], 0
        self.pieces, self.events, self._kept = [], [], 0
        self._forgotten = self.start = self.next
        return given
