"""The frames of one direction of a WebSocket, and the messages that they make (RFC 6455 section 5, RFC 7692).

Bytes in any split go in, messages come out. What breaks a rule is a fault on its message, and reading goes on wherever
the next frame can still be found. Who speaks, and how the bytes came, is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packetlab.codec.faults import Fault
from packetlab.protocols.dissect import dissect
from packetlab.protocols.websocket import Opcode, WebSocketFrame, mask

if TYPE_CHECKING:
    from wsproto.frame_protocol import FrameProtocol

    from packetlab.engine.websocket.deflate import Deflate

CONTROL = 8  # the bit of an opcode that makes it a control frame's
PART, FAULT, NUMBER = (
    100,
    400,
    40,
)  # bytes of memory that a piece takes in addition to its data, a fault, a frame's number, about
INFLATER = 50_000  # ... what is kept to inflate


@dataclass
class WebSocketMessage:
    """A message, or a control frame, as it was sent.

    Attributes:
        by: "client" or "server". opcode: of its first frame. data: `str` for text, `bytes` for all else; inflated.
        numbers: of the frames of the capture that it came in. time_ns: of the last of them.
        frames: how many WebSocket frames it was sent in. compressed: whether it was deflated.
        offset: of its first byte in what `by` sent. whole: False where bytes of it are missing, or its last frame is.
        faults: which rules it breaks. connection: the `WebSocketConnection` it belongs to.
    """

    by: str
    opcode: int
    data: str | bytes = b""
    numbers: tuple[int, ...] = ()
    time_ns: int | None = None
    frames: int = 0
    compressed: bool = False
    offset: int = 0
    whole: bool = True
    faults: list[Fault] = field(default_factory=list)
    connection: Any = field(default=None, repr=False)
    _numbers: list[int] = field(default_factory=list, repr=False, compare=False)  # until it is complete

    @property
    def kind(self) -> str:
        """The opcode's name in lower case: "text", "binary", "ping", "pong", "close"; "opcode 3" where it has none."""
        known = self.opcode in Opcode.__members__.values()
        return Opcode(self.opcode).name.lower() if known else f"opcode {self.opcode}"

    @property
    def code(self) -> int | None:
        """The close code of a close frame (section 7.4), None where there is none."""
        data = self.data
        return int.from_bytes(data[:2], "big") if self.opcode == 8 and isinstance(data, bytes) and data[1:] else None

    @property
    def reason(self) -> str:
        """The reason in a close frame; bytes that are no UTF-8 are replaced."""
        return self.data[2:].decode("utf-8", "replace") if self.opcode == 8 and isinstance(self.data, bytes) else ""


class FrameReader:
    """Reads what one end sends after the handshake.

    Args:
        by: "client", whose frames are masked, or "server", whose are not.
        deflate: makes an inflater with what the handshake agreed on. largest: bytes of a message, at most.

    Attributes:
        unread: bytes that could not be read, since a hole hides where the next frame begins.
        held: bytes of memory that what is not complete takes, about.
    """

    def __init__(self, by: str, deflate: Callable[[], Deflate], largest: int) -> None:
        from wsproto.frame_protocol import FrameProtocol

        self.by, self._fresh, self._largest = by, deflate, largest
        self.unread = self.held = 0
        self._deflate = deflate()
        # The hooks of `Deflate` ask it for one thing: on which side of the connection it stands.
        self._side: FrameProtocol = FrameProtocol(by == "server", [])
        self._head = b""  # of a frame whose header is not complete
        self._frame: WebSocketFrame | None = None
        self._size = self._at = 0  # bytes of the frame's payload; of these, how many came
        self._parts: list[bytes] = []  # of the payload, unmasked
        self._message: WebSocketMessage | None = None  # whose last frame has not come
        self._own: WebSocketMessage | None = None  # the current frame's own
        self._pieces: list[bytes] = []  # of the message, inflated
        self._kept = 0  # bytes of these
        self._sound = True  # whether the message can be inflated further
        self._closed = False
        self._lost = False
        self._offset = 0
        self._done: list[WebSocketMessage] = []

    def take(self, data: bytes, number: int, time_ns: int | None) -> list[WebSocketMessage]:
        """Take bytes that one frame of the capture brought; return the messages that are complete now."""
        at = 0
        while at < len(data) and not self._lost:
            if self._frame is None:
                at = self._header(data, at, number)
                if self._frame is None:
                    break
            some = data[at : at + self._size - self._at]
            self._payload(some)
            at += len(some)
            self._offset += len(some)
            self._came(number, time_ns)
            if self._at == self._size:
                self._complete()
        if self._lost:
            self.unread += len(data) - at
        done, self._done = self._done, []
        return done

    def missing(self, size: int | None) -> list[WebSocketMessage]:
        """Take notice of a hole, of unknown size perhaps. Inside a payload it hides nothing but these bytes."""
        own = self._own
        if self._lost:
            return []
        if self._frame is not None and own is not None and size is not None and size <= self._size - self._at:
            own.whole, self._sound = False, self._sound and not own.compressed
            self._fault(own, "payload", f"{size} bytes", "a hole in the stream")
            self._at += size
            self._offset += size
            if self._at == self._size:
                self._complete()
        else:
            self._lost = True
            self._give_up("a hole in the stream")
        done, self._done = self._done, []
        return done

    @property
    def cost(self) -> int:
        """Bytes of memory taken, about."""
        return self.held + (INFLATER if self._deflate.negotiated and not self._lost else 0)

    def stop(self, why: str) -> list[WebSocketMessage]:
        """Read no more: return the message that is not complete."""
        if self._lost:
            return []
        self._lost, self._deflate = True, self._fresh()
        self._give_up(why)
        done, self._done = self._done, []
        return done

    def end(self) -> list[WebSocketMessage]:
        """Take the end of the stream: return the message that is not complete."""
        if not self._lost:
            self._give_up("the end of the stream")
        done, self._done = self._done, []
        return done

    # Frames -------------------------------------------------------------------------------------------------

    def _header(self, data: bytes, at: int, number: int) -> int:
        """Read the header of a frame, or what is there of it; return where it ends."""
        head = self._head + data[at : at + 14 - len(self._head)]
        size = 2
        if len(head) >= 2:
            size += {126: 2, 127: 8}.get(head[1] & 127, 0) + (4 if head[1] & 128 else 0)
        if len(head) < size or len(head) < 2:
            self._head = head
            return len(data)
        taken = size - len(self._head)
        self._head = b""
        frame: Any = dissect(head[:size], WebSocketFrame).layers[0]
        length = frame.length
        self._size = frame.length16 if length == 126 else frame.length64 if length == 127 else length
        self._frame, self._at, self._parts = frame, 0, []
        self._begin(frame)
        self._offset += size
        return at + taken

    def _begin(self, frame: WebSocketFrame) -> None:
        """Find the message that a frame belongs to, and check the rules of its header."""
        opcode = int(frame.opcode)
        if opcode & CONTROL:
            own = WebSocketMessage(self.by, opcode, offset=self._offset)
        elif opcode or self._message is None:
            if self._message is not None:
                self._fault(self._message, "fin", "the rest of the message", f"opcode {opcode}")
                self._message.whole = False
                self._hand_on(self._message)
            own = self._message = WebSocketMessage(self.by, opcode, offset=self._offset)
            self._pieces, self._kept, self._sound = [], 0, True
            own.compressed = bool(frame.rsv1) and self._deflate.negotiated and opcode in (1, 2)
        else:
            own = self._message
        self._own = own
        own.frames += 1
        if not opcode and own.frames == 1:
            own.whole = False
            self._fault(own, "opcode", "the first frame of a message", "a continuation")
        if opcode not in Opcode.__members__.values():
            self._fault(own, "opcode", "0, 1, 2, 8, 9 or 10", str(opcode))
        if opcode & CONTROL and not frame.fin:
            self._fault(own, "fin", "1 in a control frame", "0")
        if opcode & CONTROL and self._size > 125:
            self._fault(own, "length", "125 at most in a control frame", str(self._size))
        if frame.rsv1 and not (own.compressed and own.frames == 1 and not opcode & CONTROL):
            self._fault(own, "rsv1", "0", "1")
        if frame.rsv2 or frame.rsv3:
            self._fault(own, "rsv2" if frame.rsv2 else "rsv3", "0", "1")
        if bool(frame.masked) is not (self.by == "client"):
            self._fault(
                own, "masked", "1 from a client" if self.by == "client" else "0 from a server", str(frame.masked)
            )
        if self._size < {126: 126, 127: 1 << 16}.get(int(frame.length), 0):
            self._fault(own, "length", "the shortest form", str(self._size))
        if self._closed:
            self._fault(own, "opcode", "nothing after a close frame", str(opcode))
        if self._size > self._largest:
            own.whole = self._sound = False
            self._fault(own, "length", f"{self._largest} bytes at most", str(self._size))

    def _payload(self, some: bytes) -> None:
        frame: Any = self._frame
        if self._size <= self._largest:
            if frame.masking_key:
                turn = self._at % 4
                some_key = frame.masking_key[turn:] + frame.masking_key[:turn]
                self._parts.append(mask(some_key, some))
            else:
                self._parts.append(some)
            self.held += len(some) + PART
        self._at += len(some)

    def _came(self, number: int, time_ns: int | None) -> None:
        own = self._own
        if own is not None:
            if own._numbers[-1:] != [number]:
                own._numbers.append(number)
                self.held += NUMBER
            own.time_ns = time_ns

    def _complete(self) -> None:
        """A frame is complete; so is its message, where it is the last."""
        frame: Any = self._frame
        own, data = self._own, b"".join(self._parts)
        assert own is not None
        self.held -= len(data) + PART * len(self._parts)
        self._frame, self._own, self._parts = None, None, []
        if own is not self._message:
            own.data = data
            self._closed = self._closed or own.opcode == Opcode.CLOSE
            if own.opcode == Opcode.CLOSE and len(data) == 1:
                self._fault(own, "payload", "a close code of 2 bytes", "1 byte")
            self._give(own)
            return
        self._inflate(own, frame, data)
        if frame.fin:
            self._hand_on(own)

    def _inflate(self, own: WebSocketMessage, frame: WebSocketFrame, data: bytes) -> None:
        """Take a frame's payload into its message, by the hooks that an endpoint has too."""
        from wsproto.frame_protocol import CloseReason, Opcode as Code, RsvBits

        if own.opcode not in (1, 2) or not self._sound:
            self._keep(b"" if own.compressed else data)
            return
        deflate, side = self._deflate, self._side
        first = own.frames == 1
        bits = RsvBits(own.compressed and first, False, False)
        code = Code(own.opcode) if first else Code.CONTINUATION
        outcome: Any = deflate.frame_inbound_header(side, code, bits, len(data))
        if not isinstance(outcome, CloseReason):
            outcome = deflate.frame_inbound_payload_data(side, data)
        if not isinstance(outcome, CloseReason):
            self._keep(outcome)
            outcome = deflate.frame_inbound_complete(side, bool(frame.fin))
        if isinstance(outcome, CloseReason):
            expected, got = deflate.complaint or ("a message", outcome.name)
            self._fault(own, "payload", expected, got)
            own.whole = self._sound = False
        elif outcome:
            self._keep(outcome)

    def _keep(self, data: bytes) -> None:
        """Keep bytes of the message, as many as one may have."""
        data = data[: self._largest - self._kept]
        if data:
            self._pieces.append(data)
            self._kept += len(data)
            self.held += len(data) + PART

    def _give(self, own: WebSocketMessage) -> None:
        """A message, or a control frame, needs nothing more to be kept."""
        own.numbers, own._numbers = tuple(own._numbers), []
        self._done.append(own)
        # What may still be kept is of the one message that a control frame stands in the midst of.
        message = self._message if own is not self._message else None
        self.held = self._kept + PART * len(self._pieces)
        if message is not None:
            self.held += NUMBER * len(message._numbers) + FAULT * len(message.faults)

    def _hand_on(self, own: WebSocketMessage) -> None:
        """A message is complete, or as complete as it gets."""
        data = b"".join(self._pieces)
        own.data = data
        if own.opcode == Opcode.TEXT:
            try:
                own.data = data.decode()
            except UnicodeDecodeError as error:
                if own.whole:
                    self._fault(own, "payload", "UTF-8", error.reason)
        if not self._sound and own.compressed:
            self._deflate = self._fresh()  # what comes may still be read, if it does not lean on what is lost
        self._message, self._pieces, self._kept = None, [], 0
        self._give(own)

    def _give_up(self, why: str) -> None:
        for own in dict.fromkeys(map(id, filter(None, (self._own, self._message)))):
            message = self._own if id(self._own) == own else self._message
            assert message is not None
            message.whole = False
            self._fault(message, "payload", "the rest of the message", why)
            if message is self._message:
                if message is self._own:
                    self._sound = self._sound and not message.compressed
                    self._keep(b"" if message.compressed else b"".join(self._parts))
                self._hand_on(message)
            else:
                message.data = b"".join(self._parts)
                self._give(message)
        self._frame, self._own, self._parts, self.held = None, None, [], 0

    def _fault(self, own: WebSocketMessage, name: str, expected: str, got: str) -> None:
        own.faults.append(Fault("WebSocketFrame", name, self._offset, expected, got))
        self.held += FAULT
