"""Which segments of a capture begin with a message of a stream, so that a frame is not read as one where it is the middle of one.

A segment by itself does not tell: the bytes in the middle of a message may read as a beginning. Here segments are put in order and
cut into messages as `messages` does it, frame by frame, and what is kept is no more than a mark for each frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from packetlab.capture.frame import Frame
from packetlab.capture.reassembly.messages import MessageDirections, OneWay, StreamMessage, below
from packetlab.capture.reassembly.ordering import End, Piece
from packetlab.capture.reassembly.tcp import Stream, Streams
from packetlab.codec.around.outer import has_context, holds_contextual
from packetlab.codec.context.context import Context
from packetlab.declare import registry
from packetlab.errors import CaptureError
from packetlab.packet.packet import Header
from packetlab.protocols.streams.messages import MessageClasses

REMEMBERED = 1024  # beginnings of one direction: segments sent again may begin with one
WAITING = 1 << 16  # frames of which it is not known yet
WINDOW = 1 << 23  # frames whose marks are kept
AHEAD = 1 << 14  # frames that are read at most to know of one before them
MIDDLE, BEGINS = 1, 2

_streams: dict[str, bool] = {}
registry.caches.append(_streams)


def has_streams() -> bool:
    """Whether a header is declared that begins a message of a stream."""
    return _streams["any"] if _streams else _streams.setdefault("any", any(one.stream for one in registry.declared()))


class _Placing(Streams):
    """Streams that say of each segment where it lies."""

    placed: tuple[End, int] | None = None  # who sent the last one, and the offset of its first byte

    def _segment(self, frame: Frame, ip: Any, tcp: Any, data: bytes, missing: int) -> Sequence[tuple[End, Piece]]:
        found = super()._segment(frame, ip, tcp, data, missing)
        way = self._ways.get((ip._src, ip._dst, tcp._sport, tcp._dport))
        self.placed = None
        if data and way is not None and way.sender.first is not None:
            self.placed = way.sender, way.sender.offset_of(tcp._seq) + (tcp._flags >> 1 & 1)
        return found


class _Tracing(OneWay[Header]):
    """What one end sends, of which the beginnings of messages are kept."""

    def __init__(self, cls: type[Header], end: End, largest: int, stream: Stream, choose: MessageClasses | None) -> None:
        super().__init__(cls, end, largest, stream, choose)
        self.starts: deque[int] = deque(maxlen=REMEMBERED)

    def message(self, data: bytes, stream: Stream) -> StreamMessage[Header]:
        self.starts.append(self.begun + self.reader.at - len(data))
        return super().message(data, stream)

    def begins_at(self, offset: int) -> bool | None:
        """Whether a message begins at an offset; None where that is not known yet, or not any more."""
        if offset in self.starts:
            return True
        if offset >= self.next or (self.starts and offset < self.starts[0]):
            return None
        if self.lost is not None:
            return None if self._recalls() else False
        start = self.begun + self.reader.at  # of the message that is being read
        if offset < start + self.reader.sure:
            return offset == start
        return None


    def _recalls(self) -> bool:
        """Whether it may be lost only since what frames of others remembered is not known here."""
        return self.context is not None and (self.choose is not None or holds_contextual(self.cls._declaration))


class Beginnings(MessageDirections[Header]):
    """Says of frames, given one by one, whether their segments begin with a message: `begins`."""

    def __init__(self) -> None:
        self._placing = _Placing(keep=False)
        super().__init__(1 << 24, 1 << 26, self._placing)
        self.context = Context() if has_context() else None
        self.seen = 0  # number of the last frame
        self._first, self._marks = 1, bytearray()  # of the frames from a number on
        self._waiting: dict[tuple[int, str], list[tuple[int, int]]] = {}  # direction -> offset and number of frames
        self._open: set[int] = set()  # the numbers in it

    def begins(self, number: int) -> bool | None:
        """Whether a frame begins with a message; None where it is not known."""
        at = number - self._first
        mark = self._marks[at] if 0 <= at < len(self._marks) else 0
        return None if not mark else mark == BEGINS

    def is_gone(self, number: int) -> bool:
        """Whether it was too long ago to be known."""
        return number < self._first

    def waits(self, number: int) -> bool:
        """Whether frames after one may still tell of it."""
        return number in self._open

    def take(self, frame: Frame) -> None:
        """Take the next frame."""
        self.seen, self._placing.placed = max(self.seen, frame.number), None
        self._taken(self._placing.receive(frame))
        placed: tuple[End, int] | None = self._placing.placed
        if placed is not None and placed[0].stream is not None:
            end, offset = placed
            key = end.stream.number, end.role
            if key not in self._directions:
                self._directions[key] = self._direction(end.stream, end)
            if self._directions[key] is not None:
                self._waiting.setdefault(key, []).append((offset, frame.number))
                self._open.add(frame.number)
                self._changed(key, False)
        if self._placing._done:
            self._over(self._placing.finished())
        while len(self._open) > WAITING:
            self._open.difference_update(number for _, number in self._waiting.pop(next(iter(self._waiting))))

    def end(self) -> None:
        """There are no more frames."""
        ended = self._streams.end()
        self._taken(self._streams.late())
        self._over(ended)

    def _direction(self, stream: Stream, end: End) -> OneWay[Header] | None:
        following = MessageClasses(below(stream, end.role)[-1])
        first = following(b"")
        if first is None and not following.size:
            return None
        made = _Tracing(first or Header, end, self._largest, stream, following if following.size else None)
        made.context = self.context
        return made

    def _changed(self, key: tuple[int, str], is_over: bool) -> None:
        """Mark the frames of a direction of which it is known now."""
        one = self._directions[key]
        assert isinstance(one, _Tracing)
        left: list[tuple[int, int]] = []
        for offset, number in self._waiting.pop(key, ()):
            begins = one.begins_at(offset)
            if begins is None and not is_over and (offset >= one.next or offset >= one.begun + one.reader.at):
                left.append((offset, number))
                continue
            self._open.discard(number)
            if begins is not None:
                self._mark(number, BEGINS if begins else MIDDLE)
        if left:
            self._waiting[key] = left

    def _mark(self, number: int, mark: int) -> None:
        at = number - self._first
        if at < 0:
            return
        if at >= len(self._marks):
            self._marks.extend(bytes(at + 1 - len(self._marks)))
        self._marks[at] = mark
        if len(self._marks) > WINDOW:
            gone = len(self._marks) // 2
            del self._marks[:gone]
            self._first += gone


class CaptureBeginnings:
    """The same for the frames of a capture that can be read again: those before one, and after it as far as it takes, are read when it is asked for."""

    def __init__(self, make: Callable[[], Iterator[Frame]] | None) -> None:
        self._make = make  # gives the frames from the first one on; None where they are given, one by one (`take`)
        self._found = Beginnings()
        self._frames: Iterator[Frame] | None = None
        self._last: int | None = None  # number of the last frame, once all were read

    def take(self, frame: Frame) -> None:
        """Take the next frame, of a capture that is read once."""
        if frame.number > self._found.seen:
            self._found.take(frame)

    def begins(self, number: int) -> bool | None:
        """Whether a frame begins with a message; None where it is not known."""
        if self._make is None:
            return self._found.begins(number)
        is_added = self._last is not None and number > self._last  # to a capture in memory, since
        if self._frames is None or is_added or self._found.is_gone(number):
            self._frames, self._found, self._last = self._make(), Beginnings(), None
        while self._found.seen < number or (self._found.seen < number + AHEAD and self._found.waits(number)):
            try:
                frame = next(self._frames, None)
            except CaptureError:  # whoever reads the frames meets it too
                frame = None
            if frame is None:
                self._found.end()
                self._last, self._found.seen = self._found.seen, 1 << 63
                break
            self._found.take(frame)
        return self._found.begins(number)

    def remembered(self, number: int) -> Context:
        """Return the context of the messages that frames brought to an end, of those before a frame at the least."""
        self.begins(number)
        return self._found.context or Context()
