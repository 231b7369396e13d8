"""Packets of a capture in their order: what is remembered from each for those after it is known whenever one of them is read, in whatever order.

A frame of a capture knows its `PacketOrder`. When its packet recalls something, the packets before it are read first, as far as they
were not; what is remembered from them is kept with their numbers, so that a packet read again, or alone, recalls the same as in order.
Where a frame is the middle of a message of a stream (see `reassembly.beginnings`), its packet is not read as the beginning of one.
Where no declared header remembers or recalls anything, and none begins a message, frames are as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol

from packetlab.capture.frame import Frame
from packetlab.capture.reassembly.beginnings import CaptureBeginnings, has_streams
from packetlab.codec.around.outer import has_context, remembered_in_streams
from packetlab.codec.context.context import Context, Moment, read_in
from packetlab.errors import CaptureError
from packetlab.protocols.dissect import dissected
from packetlab.protocols.linktypes import FIRST
from packetlab.protocols.streams.messages import may_begin

if TYPE_CHECKING:
    from packetlab.capture.batch import FrameBatch
    from packetlab.packet.packet import Packet


class Framed(Protocol):
    """What an order has to know of a capture."""

    name: str

    @property
    def again(self) -> bool:
        """Whether it can be read from its beginning more than once."""

    @property
    def _make(self) -> Callable[[], Iterator[Frame]]: ...


class PacketOrder:
    """What was remembered from the packets of a capture, as far as it was read.

    Attributes:
        context: the tables. seen: number of the last frame whose packet is in them, with all before it.
    """

    def __init__(self, capture: Framed) -> None:
        self.capture, self.context, self.seen = capture, begun(capture), 0
        self._frames: Iterator[Frame] | None = None
        self._next: Frame | None = None
        self._lock = RLock()
        ahead = capture.again and not is_followed(capture)
        self.beginnings = CaptureBeginnings(capture._make if ahead else None)
        self._notes_beginnings = not ahead  # where messages begin, from frames as they come

    def frames(self, some: Iterator[Frame]) -> Iterator[Frame]:
        """Yield frames that know their order."""
        return map(self.frame, self.noted(some))

    def noted(self, some: Iterator[Frame]) -> Iterator[Frame]:
        """Yield frames, of which it is noted where messages begin if they come but once."""
        if not (self._notes_beginnings and has_streams()):
            return some
        return (self.beginnings.take(frame) or frame for frame in some)  # type: ignore[func-returns-value]

    def frame(self, frame: Frame) -> Frame:
        """Return a frame that knows its order."""
        return frame if isinstance(frame, OrderedFrame) and frame.order is self else OrderedFrame.placed(frame, self)

    def packet(self, frame: Frame) -> Packet:
        """Return the packet of a frame, with what was remembered from those before it."""
        if not has_context():
            return self._read(frame)
        with self._lock:
            before = lambda: self._catch_up(frame.number)  # noqa: E731
            moment = Moment(self.context, frame.number, frame.time_ns, before=before, is_placed=True, beside=self._beside(), link=frame.interface.link)
            packet: Packet = read_in(moment, lambda: self._read(frame))
            if frame.number == self.seen + 1:
                moment.keep()
                self.seen += 1
            return packet

    def before(self, number: int, link: int | None = None) -> Context:
        """Return what was remembered from the packets before one, which came by an interface."""
        with self._lock:
            self._read_before(number)
            found = self.context.before(number)
            found.link = link
            return found

    def known(self, number: int) -> Context:
        """Return the context in which the packets before one are, of a capture that is read once those that were read."""
        with self._lock:
            if self.capture.again:
                self._read_before(number)
            return self.context

    def _beside(self) -> Callable[[int], Context] | None:
        """Return what gives the context of messages of streams that frames before one brought to an end; None where these tell nothing."""
        return self.beginnings.remembered if remembered_in_streams() else None

    def _read(self, frame: Frame) -> Packet:
        """Return the packet of a frame, read as the middle or the beginning of a message where segments in order say that it is."""
        packet = Frame.packet(frame)
        path = packet._path
        if path is not None and not path.streams:
            return packet  # what is read at once ends where the last header names nothing above it
        is_begun = any(cls._declaration.stream for cls in packet._classes[1:])
        if is_begun or may_begin(packet):
            with self._lock:
                begins = self.beginnings.begins(frame.number)
            if begins is not None and begins is not is_begun:
                return dissected(frame.data, FIRST[frame.linktype], frame.wire_length, begins=begins)
        return packet

    def _catch_up(self, number: int) -> None:
        with self._lock:  # messages of a packet may be read later than it was
            self._read_before(number)

    def _read_before(self, number: int) -> None:
        """Read the packets before one, as far as that was not done."""
        if self.seen >= number - 1:
            return
        if not self.capture.again:
            hint = "read its packets in order, all of them; or write it to a file first"
            raise CaptureError(
                self.capture.name,
                f"the packets before {number}, from which it recalls something, read in order",
                f"{self.seen} of a stream that is read once",
                hint,
            )
        if self._frames is None:
            self._frames = self.capture._make()
        while True:
            frame = self._next or next(self._frames, None)
            self._next = frame
            if frame is None or frame.number >= number:
                break
            self._next = None
            if frame.number > self.seen:
                moment = Moment(self.context, frame.number, frame.time_ns, is_placed=True, beside=self._beside(), link=frame.interface.link)
                read_in(moment, self._read, frame)
                moment.keep()
                self.seen = frame.number
        self.seen = max(self.seen, number - 1)

    def __reduce__(self) -> tuple[object, ...]:
        """It does not go along where frames go elsewhere."""
        return type(None), ()


def begun(capture: Any) -> Context:
    """Return a context that knows what was agreed before the first frame of a capture, or of what it is a part of."""
    while capture._context is None and capture._parent is not None:
        capture = capture._parent
    return Context() if capture._context is None else capture._context.as_before()


def order_of(capture: Any) -> PacketOrder:
    """Return the order of the capture that some frames are of: that of the whole, or of what was rewritten."""
    while capture._order is None and capture._parent is not None:
        capture = capture._parent
    if capture._order is None:
        capture._order = PacketOrder(capture)
    found: PacketOrder = capture._order
    return found


def in_order(capture: Any, frames: Iterator[Frame]) -> Iterator[Frame]:
    """Return the frames of a capture, each knowing its order where there is a header that goes by it."""
    return order_of(capture).frames(frames) if is_ordered() else frames


def is_ordered() -> bool:
    """Whether a header is declared for which it matters what came before a packet: one that recalls something, or begins a message of a stream."""
    return has_context() or has_streams()


def is_followed(capture: object) -> bool:
    """Whether a capture goes on for as long as somebody writes to its file."""
    while (parent := getattr(capture, "_parent", None)) is not None:
        capture = parent
    return getattr(capture, "_following", None) is not None


def batches_in_order(capture: Any, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
    """The same for frames in stretches, where there is such a header (see `has_context`)."""
    order = order_of(capture)
    for batch in batches:
        if order._notes_beginnings and has_streams():
            for _ in order.noted(batch._frames()):
                pass
        batch.order = order
        yield batch


class OrderedFrame(Frame):
    """A frame of a capture, with what was remembered from the packets before it."""

    __slots__ = ("order",)
    order: PacketOrder

    @classmethod
    def placed(cls, frame: Frame, order: PacketOrder) -> OrderedFrame:
        """Return a frame with its order."""
        made = cls.__new__(cls)
        made.data, made.wire_length, made.time_ns = frame.data, frame.wire_length, frame.time_ns
        made.interface, made.number, made.extras, made.order = frame.interface, frame.number, frame.extras, order
        return made

    def packet(self) -> Packet:
        return self.order.packet(self)

    def context(self) -> Context:
        return self.order.before(self.number, self.interface.link) if has_context() else super().context()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle it as a frame by itself: what was remembered from other packets does not go along, and is a fault where it is needed."""
        return _alone, tuple(getattr(self, word) for word in Frame.__slots__)


def _alone(*values: object) -> Frame:
    made = Frame.__new__(Frame)
    for word, value in zip(Frame.__slots__, values, strict=True):
        setattr(made, word, value)
    return made
