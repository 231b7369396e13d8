"""Messages of declared protocols out of TCP streams: each whole, whatever the segments it came in, with what is known of it.

How bytes are put in order is `ordering`'s business, where a message ends the declaration's (see `protocols.streams.messages`). After a
hole, and where the beginning was not captured, reading goes on with a segment that begins with a message: one whose constants
(16 bits at the least) are there, or that whole messages fill to its end.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from typing import Any, Generic, TypeVar

from packetlab.capture.frame import Frame
from packetlab.capture.reassembly.events import EventKind, ReassemblyEvent
from packetlab.capture.reassembly.ordering import End, Piece
from packetlab.capture.reassembly.tcp import Stream, Streams
from packetlab.codec.around.outer import has_context
from packetlab.codec.context.context import Context, Moment, read_in
from packetlab.codec.faults import Fault
from packetlab.declare.declaration import declaration_of
from packetlab.declare.registry import bindings_of
from packetlab.errors import BuildError
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.dissect import dissect
from packetlab.protocols.ip import IPv4, IPv6
from packetlab.protocols.streams.message_reader import MessageReader
from packetlab.protocols.streams.messages import MessageClasses, look, whole_messages
from packetlab.protocols.transport import TCP

H = TypeVar("H", bound=Header)
R = TypeVar("R")
CERTAIN = 16  # bits of constants by which a beginning is known
COST = 300  # bytes of memory that a direction or a piece takes in addition to its data, about


class StreamMessage(Generic[H]):
    """A message of a stream, or what is left of one.

    Attributes:
        data: its bytes. by: "client" or "server". stream: the `Stream` it was sent in. offset: of its first byte in what `by` sent.
        numbers: of the frames it came in. begun_ns: the time of the frame with its first byte. time_ns: of the last frame.
        whole: False for what is left where a hole or the end of the stream cut a message, or where no message was found. One that
            goes on up to the close is whole where the FIN and all bytes before it were captured.
        gap: what of the stream before it is in no message: bytes not captured, and those after them in which none begins.
        lost: why it is not known where the message ends, so that what follows it has to be found anew.
        context: what was remembered from messages before it, where headers are declared that recall that.
    """

    context: Context | None = None
    _frames: Callable[[int], Context] | None = None  # what was remembered from the frames of its capture
    _is_behind_gap = False  # whether something of the stream before it is in no message

    def __init__(
        self,
        cls: type[H],
        data: bytes,
        by: str,
        offset: int,
        pieces: Sequence[Piece],
        stream: Stream,
        gap: ReassemblyEvent | None,
    ) -> None:
        self._cls, self.data, self.by, self.offset, self.stream, self.gap = cls, data, by, offset, stream, gap
        self.numbers = tuple(dict.fromkeys(piece.number for piece in pieces))
        times = [piece.time_ns for piece in pieces if piece.time_ns is not None]
        self.begun_ns: int | None = times[0] if times else None
        self.time_ns: int | None = max(times, default=None)
        self.whole = True
        self.lost: tuple[Fault, ...] = ()

    @cached_property
    def packet(self) -> Packet:
        """The message dissected: its header and what stands above."""
        read = partial(dissect, self.data, self._cls, len(self.data) + (not self.whole), below=below(self.stream, self.by))
        if self.context is None:
            return read()
        moment = Moment(self.context, max(self.numbers, default=0), self.time_ns, is_behind_gap=self._is_behind_gap, beside=self._frames)
        packet: Packet = read_in(moment, read)
        moment.keep()
        return packet

    @property
    def header(self) -> H:
        """Its first header."""
        return self.packet[self._cls]

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What does not fit the declarations."""
        return (*self.packet.faults, *(fault for fault in self.lost if fault not in self.packet.faults))

    def __repr__(self) -> str:
        said = f"{self.packet.summary()}, {len(self.data)} bytes at {self.offset}, frames {', '.join(map(str, self.numbers))}"
        return f"<{type(self).__name__} of the {self.by}: {said}{'' if self.whole else ', not whole'}>"


def below(stream: Stream, by: str) -> tuple[Header, Header]:
    """Return what is the same of the headers below in every frame that an end of a stream sends."""
    ends = stream.client, stream.server
    sender, receiver = ends if by == ends[0].role else ends[::-1]
    network: Any = IPv6 if ":" in str(sender.address) else IPv4
    return network(src=sender.address, dst=receiver.address), TCP(sport=sender.port, dport=receiver.port)


class OneWay(Generic[H]):
    """What one end sends: messages of one class, or of those that `choose` finds. With a context each is read at once, since the next may recall it."""

    context: Context | None = None
    frames: Callable[[int], Context] | None = None

    def __init__(self, cls: type[H], end: End, largest: int, stream: Stream, choose: MessageClasses | None = None) -> None:
        self.cls, self.end, self.largest, self.choose = cls, end, largest, choose
        self.below = below(stream, end.role)
        self.is_found = choose is None  # whether there is a message in it, or ought to be
        self.reader = self._reader(cls)
        self.begun = 0  # the offset at which the reader began
        self.pieces: deque[Piece] = deque()  # those with bytes that belong to no message so far
        self.next = 0
        self.lost: int | None = None  # since which offset no message was found
        self.why, self.number = "", 0  # why not, and the frame that showed it
        self.gap: ReassemblyEvent | None = None  # before the next message
        self.started = self.gapped = False

    @property
    def cost(self) -> int:
        return self.reader.held + COST * len(self.pieces)

    def take(self, piece: Piece, stream: Stream) -> list[StreamMessage[H]]:
        found: list[StreamMessage[H]] = []
        if not self.started and not self.end.synced:
            self.next = self.lost = piece.offset
            self.why, self.number = "the beginning was not captured", piece.number
        self.started = True
        if piece.offset < self.next:  # for a hole that was given up
            return found
        if piece.offset > self.next:
            found += self.cut(stream, f"{piece.offset - self.next} bytes were not captured", piece.number)
        self.next = piece.end
        if self.lost is not None:
            cls = self.cls if self.choose is None else self.choose(piece.data)
            if cls is None or not self._at(piece.number, partial(begins, cls, piece.data, self.below)):
                return found
            self.gap, self.lost = self.skipped(piece.offset), None
            self.reader, self.begun = self._reader(cls), piece.offset
        self.reader.give(piece.data)
        self.pieces.append(piece)
        found += self._whole(stream, piece.number)
        if self.reader.lost:
            found += self.cut(stream, "it is not known where the message before ends", piece.number, self.reader.lost)
        return found

    def _reader(self, cls: type[H]) -> MessageReader:
        return MessageReader(cls, self.largest, below=self.below, choose=self.choose)

    def _at(self, number: int, read: Callable[[], R]) -> R:
        """Return what `read` gives where what is remembered from messages before is known."""
        if self.context is None:
            return read()
        moment = Moment(self.context, number, is_look=True, is_behind_gap=self.gapped, beside=self.frames)
        return read_in(moment, read)  # type: ignore[no-any-return]

    def _whole(self, stream: Stream, number: int) -> list[StreamMessage[H]]:
        """Return the messages that are complete."""
        found: list[StreamMessage[H]] = []
        while (data := self._at(number, self.reader.read)) is not None:
            found.append(self.message(data, stream))
            self._keep(found[-1])
        return found

    def _keep(self, message: StreamMessage[H]) -> None:
        """Have what later messages recall of one remembered."""
        if self.context is not None:
            message.context, message._frames = self.context, self.frames
            message.packet  # noqa: B018  which is kept

    def skipped(self, offset: int) -> ReassemblyEvent | None:
        """What is to be said of the bytes up to an offset in which no message was found."""
        start = offset if self.lost is None else self.lost
        if offset <= start:
            return None
        return ReassemblyEvent(EventKind.HOLE, self.number, self.end.role, start, offset - start, self.why)

    def message(self, data: bytes, stream: Stream) -> StreamMessage[H]:
        """Make a message of the next bytes."""
        start = self.begun + self.reader.at - len(data)
        own: list[Piece] = []
        while self.pieces and self.pieces[0].offset < start + len(data):
            own.append(self.pieces[0])
            if self.pieces[0].end > start + len(data):
                break
            self.pieces.popleft()
        gap, self.gap = self.gap, None
        made: StreamMessage[H] = StreamMessage(self.reader.cls, data, self.end.role, start, own, stream, gap)  # type: ignore[arg-type]
        made._is_behind_gap = self.gapped = self.gapped or gap is not None
        self.is_found = True
        return made

    def cut(self, stream: Stream, why: str, number: int, lost: tuple[Fault, ...] = (), is_closed: bool = False) -> list[StreamMessage[H]]:
        """No more can be read here: return what is left of a message, a whole one where the sender has closed and it goes on up to there."""
        found: list[StreamMessage[H]] = []
        if self.lost is None:
            self.reader.hurry(is_closed)
            found += self._whole(stream, number)
            data = self.reader.rest() if self.reader.chosen else b""
            self.reader.at += len(data)
            self.lost, self.why, self.number = self.begun + self.reader.at, why, number
            if data:
                left = self.message(data, stream)
                left.whole, left.lost = False, lost or self.reader.lost
                self._keep(left)
                found.append(left)
            self.pieces.clear()
        return found

    def over(self, stream: Stream) -> list[StreamMessage[H]]:
        """The stream is over: return what is left."""
        promised = self.end._promised()
        missing = promised - self.next
        said = f"{missing} bytes were not captured" if missing > 0 else "the stream ends"
        found = self.cut(stream, said, 0, is_closed=self.end.fin == self.next)
        gap = self.skipped(max(promised, self.next))
        if gap is not None and self.is_found:
            nothing = StreamMessage(self.cls, b"", self.end.role, gap.offset + gap.size, (), stream, gap)
            nothing.whole = False
            nothing.lost = (Fault(self.cls.__name__, "", 0, "a place where a message begins", gap.detail),)
            found.append(nothing)
        return found


def begins(cls: type[Header], data: bytes, below: Sequence[Header] = ()) -> bool:
    """Whether a segment is sure to begin with a message."""
    ends = [found.end for _, _, found in whole_messages(cls, data, below)]
    if ends and ends[-1] == len(data):
        return True
    declaration = cls._declaration
    constants = [f for f in declaration.before if f.fixed and f.condition is None]
    if sum(f.kind.bits or 0 for f in constants) < CERTAIN:
        return False
    found = look(cls, data, 0, below)
    return not found.faults and all(getattr(found.header, f.slot) is not None for f in constants)


class MessageDirections(Generic[H]):
    """What is sent in the directions of some streams, each read by itself; `_direction` says how, or that it is none of its own."""

    def __init__(self, largest: int, waiting: int, streams: Streams) -> None:
        self._largest, self._waiting_most, self._streams = largest, waiting, streams
        self._directions: dict[tuple[int, str], OneWay[H] | None] = {}
        self._costly: OrderedDict[tuple[int, str], int] = OrderedDict()
        self._held = 0

    def _direction(self, stream: Stream, end: End) -> OneWay[H] | None:
        raise NotImplementedError

    def _changed(self, key: tuple[int, str], is_over: bool) -> None:
        """Do what there is to do when more of a direction is known, or all."""

    def _taken(self, pieces: Iterable[tuple[End, Piece]]) -> list[StreamMessage[H]]:
        found: list[StreamMessage[H]] = []
        for end, piece in pieces:
            stream = end.stream
            key = stream.number, end.role
            if key not in self._directions:
                self._directions[key] = self._direction(stream, end)
            direction = self._directions[key]
            if direction is None:
                continue
            found += direction.take(piece, stream)
            self._changed(key, False)
            self._count(key, direction.cost)
            while self._held > self._waiting_most and self._costly:
                oldest = next(iter(self._costly))
                self._count(oldest, 0)
                given_up = self._directions[oldest]
                assert given_up is not None
                why = f"more than {self._waiting_most} bytes wait"
                fault = Fault(given_up.cls.__name__, "", 0, "the rest of the message", why)
                found += given_up.cut(given_up.end.stream or stream, why, piece.number, (fault,))
        return found

    def _count(self, key: tuple[int, str], cost: int) -> None:
        self._held += cost - self._costly.pop(key, 0)
        if cost:
            self._costly[key] = cost

    def _over(self, ended: Iterable[Stream]) -> list[StreamMessage[H]]:
        found: list[StreamMessage[H]] = []
        for stream in ended:
            for role in ("client", "server"):
                key = stream.number, role
                direction = self._directions.get(key)
                if direction is not None and stream.over != "goes on in the next part":
                    self._count(key, 0)
                    found += direction.over(stream)
                    self._changed(key, True)
                if stream.over != "goes on in the next part":
                    self._directions.pop(key, None)
        return found


class StreamMessages(MessageDirections[H]):
    """Finds the messages that begin with a header in the TCP streams of a capture, frame by frame.

    A direction is read where the bindings of the class under TCP say that the header follows.

    Args:
        cls: a header class with ``stream=True`` that is bound under TCP. largest: bytes of a message at the most; one that is
            larger is taken for none. waiting: bytes that messages which are not complete may take together, about; beyond it those
            that were silent longest are given up. context: what was agreed before. limits: those of `Streams`.
    """

    def __init__(self, cls: type[H], *, largest: int = 1 << 24, waiting: int = 1 << 26, context: Context | None = None, **limits: Any) -> None:
        header = declaration_of(cls, "messages(...)")
        if not header.stream:
            below = [one.name for each in (header, *header.bases) for one, _, _ in bindings_of(each) if one.stream]
            hint = f"messages({below[0]}) gives those that it stands in: message.packet[{header.name}]" if below else f"class {header.name}(Header, stream=True), with a field that says how long it is"
            raise BuildError(f"messages({header.name})", "a header class with stream=True", "one without", hint)
        lower = [one for each in (header, *header.bases) for one, _, _ in bindings_of(each)]
        if not any(one.is_a(TCP._declaration) for one in lower):
            got = ", ".join(one.name for one in lower) or "one that is not bound"
            hint = 'under=TCP, when={"port": number}, or bind(...) later'
            raise BuildError(f"messages({header.name})", "a header class that is bound under TCP", got, hint)
        super().__init__(largest, waiting, Streams(keep=False, **limits))
        self._cls, self._context = cls, (context or Context()) if has_context() else None
        self._frames: Callable[[int], Context] | None = None

    def receive(self, frame: Frame) -> list[StreamMessage[H]]:
        """Take a frame; return the messages that are complete now."""
        if (order := getattr(frame, "order", None)) is not None:
            self._frames = order.known
        found = self._taken(self._streams.receive(frame))
        if self._streams._done:
            found += self._over(self._streams.finished())
        return self._wanted(found)

    def end(self) -> list[StreamMessage[H]]:
        """The capture is at its end: return what is left."""
        ended = self._streams.end()
        return self._wanted(self._taken(self._streams.late()) + self._over(ended))

    def _wanted(self, found: list[StreamMessage[H]]) -> list[StreamMessage[H]]:
        """Return the messages of the class, of those that stand in its streams."""
        refined = self._cls._declaration.refines is not None
        return [
            one for one in found
            if issubclass(one._cls, self._cls) or (refined and any(isinstance(header, self._cls) for header in one.packet.layers[:1]))
        ]  # fmt: skip

    def _direction(self, stream: Stream, end: End) -> OneWay[H] | None:
        following = MessageClasses(below(stream, end.role)[-1])
        first = following(b"")
        if not following.size and (first is None or not (issubclass(first, self._cls) or self._cls._declaration.stands_for(first._declaration))):
            return None
        made: OneWay[H] = OneWay(first or self._cls, end, self._largest, stream, following if following.size else None)
        made.context, made.frames = self._context, self._frames
        return made
