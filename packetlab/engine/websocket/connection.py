"""A WebSocket endpoint (RFC 6455, RFC 7692), client or server, that does no input or output of its own.

Bytes of the stream and times go in, bytes and events come out:

    client, server = WebSocket("client"), WebSocket("server")
    client.start(now)
    server.receive(client.bytes_to_send(now), now)
    client.receive(server.bytes_to_send(now), now)
    client.send("hello", now)

A time is a number of nanoseconds on any clock that does not run backwards. The frames are wsproto's; frames that no
well-behaved endpoint sends are built with `packetlab.WebSocketFrame` and written with `send_raw`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Literal

from packetlab.engine.contract import Event, nanoseconds
from packetlab.engine.websocket.complaints import complaint
from packetlab.engine.websocket.events import (
    Closed,
    Discarded,
    Failed,
    HandshakeCompleted,
    Headers,
    MessageReceived,
    Ping,
    Pong,
    Refused,
    Reply,
    Request,
)
from packetlab.errors import LocalProtocolError, RemoteProtocolError
from packetlab.protocols.websocket import mask
from packetlab.renamed import old_names

if TYPE_CHECKING:
    from wsproto.frame_protocol import Frame, FrameProtocol

    from packetlab.engine.websocket.handshake import ClientOpening, ServerOpening

__all__ = [
    "Closed",
    "Discarded",
    "Event",
    "Failed",
    "HandshakeCompleted",
    "Headers",
    "MessageReceived",
    "Ping",
    "Pong",
    "Refused",
    "Reply",
    "Request",
    "WebSocket",
]
FRAME = 1 << 12  # bytes whose taking is about as much work as a frame


class WebSocket:
    """One end of one WebSocket.

    Pings are answered, close frames too; messages are delivered whole. Take `events` and `bytes_to_send` after every
    call: neither queue has a bound of its own, and 1 byte received is at most 1032 of a message (deflate's limit).
    When `finished` says that the stream is to be closed, send what is left, close the sending half, and read on to the
    end of the stream: bytes that nobody read make the kernel reset the connection, and our close frame is lost.

    Args:
        role: which end.
        host, path: of the client's request.
        subprotocols: what a client offers, the best first; what a server takes (the client's first that it knows).
        headers: further headers of the request, or of every response.
        compression: offer, or take, permessage-deflate; "afresh": a client compresses each message by itself.
        largest_message: bytes, after inflation; one more ends the WebSocket with close code 1009.
        largest_head: bytes of the handshake's HTTP headers.
        accept: a server's answer to a request; None leaves the choice to `subprotocols`. What it raises goes through.
        origins: for a server, the origins ("https://example.org") whose pages may connect, "*" for all; a request from
            another page is answered with 403. Programs that are no browsers send no Origin and are let in. None: all.
        local: a server for this machine alone: the request's Host has to name it, or one of `origins` (so that no page
            reaches it by a name that resolves to 127.0.0.1), and unless `origins` are given, its Origin too (RFC 6455
            section 10.2).
        open_timeout: seconds from `start`, or a server's first byte, until the handshake has to be done.
        close_timeout: seconds that the other side has to answer our close frame, and a server to close the stream.
        randomness: a function from a number of bytes to as many random ones, for the client's handshake key and
            masking keys. Left out, they are the operating system's, as section 5.3 asks; given, a run can be repeated.

    Attributes:
        state: "connecting", "open", "closing" (our close frame waits for its answer) or "closed" (nothing is
            delivered any more).
        finished: our side of the stream is to be closed now.
        work: what was done so far: each `receive` counts as 1, and each frame as 1 and 1 more for every 4 kB of it.
        pending: `receive` has stopped at its `most`; call it again, with no bytes or with more.
        close_timeout: as given, in nanoseconds.

    Raises:
        LocalProtocolError: a call that the protocol forbids; never for what the other side did.
    """

    def __init__(
        self,
        role: Literal["client", "server"],
        *,
        host: str = "localhost",
        path: str = "/",
        subprotocols: Sequence[str] = (),
        headers: Sequence[tuple[str, str]] = (),
        compression: bool | Literal["afresh"] = True,
        largest_message: int = 1 << 24,
        largest_head: int = 1 << 14,
        accept: Callable[[Request], Reply | None] | None = None,
        origins: Sequence[str] | None = None,
        local: bool = False,
        open_timeout: float = 10.0,
        close_timeout: float = 10.0,
        randomness: Callable[[int], bytes] | None = None,
    ) -> None:
        # Here, not above: h11 and wsproto take time to load, and most programs open no WebSocket.
        from packetlab.engine.websocket.handshake import ClientOpening, ServerOpening

        self.role = role
        self.state: Literal["connecting", "open", "closing", "closed"] = "connecting"
        self.finished = False
        self.work, self.pending = 0, False
        self._opening: ClientOpening | ServerOpening
        if role == "client":
            self._opening = ClientOpening(
                host, path, subprotocols, headers, compression, randomness, largest_head, largest_message
            )
        elif role == "server":
            self._opening = ServerOpening(
                subprotocols, headers, compression, accept, origins, local, largest_head, largest_message
            )
        else:
            raise LocalProtocolError("WebSocket role", "'client' or 'server'", repr(role))
        self._open_timeout = nanoseconds(open_timeout, "WebSocket: open_timeout")
        self.close_timeout = nanoseconds(close_timeout, "WebSocket: close_timeout")
        self._randomness = randomness
        self._started = False
        self._frames: FrameProtocol | None = None
        self._message: StringIO | BytesIO | None = None  # what has come of a message
        self._out: list[bytes] = []
        self._events: list[Event] = []
        self._deadline: int | None = None

    # What the program does.

    def start(self, now: int) -> None:
        """Start the time for the opening handshake; a client sends its half of it."""
        from packetlab.engine.websocket.handshake import ClientOpening

        if self._started or self.state != "connecting":
            raise LocalProtocolError(
                "WebSocket.start", "one start, before anything else", f"one of a {self.role} that is {self.state}"
            )
        self._started, self._deadline = True, now + self._open_timeout
        if isinstance(self._opening, ClientOpening):
            self._out.append(self._opening.request)

    def send(self, message: str | bytes, now: int, fragment: int | None = None) -> None:
        """Send a message, in frames of at most `fragment` bytes before compression; text is cut between characters."""
        frames = self._ready("send")
        if not isinstance(message, str | bytes | bytearray | memoryview):
            raise LocalProtocolError("WebSocket.send", "str or bytes", type(message).__name__)
        if fragment is not None and fragment < (4 if isinstance(message, str) else 1):
            raise LocalProtocolError("WebSocket.send", "fragments of 1 byte at least (text: 4)", fragment)
        raw = _encoded("send", message) if isinstance(message, str) else bytes(message)
        start = 0
        for end in _cuts(raw, fragment or len(raw), isinstance(message, str)):
            part = raw[start:end]
            self._write(frames.send_data(part.decode() if isinstance(message, str) else part, end == len(raw)))
            start = end

    def ping(self, data: bytes = b"") -> None:
        """Send a ping with at most 125 bytes."""
        frames = self._ready("ping")
        if len(data) > 125:
            raise LocalProtocolError("WebSocket.ping", "at most 125 bytes", len(data))
        self._write(frames.ping(data))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame, the last frame of our side; messages still come until the other side answers.

        A code is one that section 7.4 allows in a frame; 1005 sends none. A reason has at most 123 bytes of UTF-8.
        """
        frames = self._ready("close")
        if not (1000 <= code <= 1003 or code == 1005 or 1007 <= code <= 1013 or 3000 <= code <= 4999):
            raise LocalProtocolError("WebSocket.close", "1000-1003, 1005 for none, 1007-1013 or 3000-4999", code)
        if len(_encoded("close", reason)) > (0 if code == 1005 else 123):
            raise LocalProtocolError(
                "WebSocket.close", "a reason of at most 123 bytes of UTF-8, none with 1005", reason
            )
        self._write_close(frames, code, reason)
        self.state = "closing"

    def send_raw(self, data: bytes) -> None:
        """Write bytes as they are, whatever the state: the other side may see in them what it likes."""
        if self.finished:
            raise LocalProtocolError("WebSocket.send_raw", "a stream that is not finished", self.state)
        self._out.append(bytes(data))

    # What the stream and the clock do.

    def bytes_to_send(self, now: int) -> bytes:
        """Return the bytes that wait to be written; the time to answer a close frame runs from here."""
        if self._deadline is None and not self.finished and self.state in ("closing", "closed"):
            self._deadline = now + self.close_timeout
        count = len(self._out)  # a signal's handler may add more meanwhile, or end this
        data = b"".join(self._out[:count])
        del self._out[:count]
        return data

    def events(self) -> list[Event]:
        """Return what has happened since the last call."""
        events, self._events = self._events, []
        return events

    def next_timeout(self) -> int | None:
        """Return the time at which `on_time` is to be called, if any."""
        return None if self.finished else self._deadline

    def on_time(self, now: int) -> None:
        """Let time pass."""
        if self.finished or self._deadline is None or now < self._deadline:
            return
        if self.state == "connecting":
            self._opened(*self._opening.end(late=True))
        elif self.state == "closing":
            self._end(1006, "", clean=False)
        self.finished = True

    def receive(self, data: bytes, now: int, most: int | None = None) -> None:
        """Take bytes that arrived, in any split; do no more than about `most` of `work`, and keep the rest as `pending`."""
        self.work += 1
        if self.state == "connecting" and data:
            if self._deadline is None:
                self._deadline = now + self._open_timeout
            self._opened(*self._opening.receive(data))
            data = b"" if self.state == "connecting" else self._opening.rest
        if not data and not self.pending:
            return
        if self.state == "closed" or self._frames is None:
            self._ignored(len(data), "the WebSocket is closed")
        else:
            self._frames.receive_bytes(data)
            self._read(self._frames, most)

    def end_of_stream(self, now: int) -> None:
        """Take the end of the other side's half of the stream."""
        if self.state == "connecting":
            self._opened(*self._opening.end())
        elif self.state != "closed":
            self._end(1006, "", clean=False)
        self.finished = True

    # How it works.

    def _ready(self, what: str) -> FrameProtocol:
        if self._frames is None or self.state != "open":
            raise LocalProtocolError(f"WebSocket.{what}", "an open WebSocket", f"one that is {self.state}")
        return self._frames

    def _opened(self, raw: bytes, events: list[Event]) -> None:
        """Take what the opening handshake sends and reports."""
        from wsproto.frame_protocol import FrameProtocol

        self._out.append(raw)
        self._events += events
        last = events[-1] if events else None
        if isinstance(last, HandshakeCompleted):
            self.state, self._deadline = "open", None
            self._frames = FrameProtocol(self.role == "client", [self._opening.deflate])
        elif isinstance(last, Refused | Closed):
            self.state, self.finished = "closed", True

    def _read(self, frames: FrameProtocol, most: int | None) -> None:
        from wsproto.frame_protocol import ParseFailed

        enough = None if most is None else self.work + most
        self.pending = False
        try:
            for frame in frames.received_frames():
                self.work += 1 + len(frame.payload) // FRAME
                self._take(frames, frame)
                if enough is not None and self.work >= enough and self.state != "closed":
                    self.pending = True
                    break
        except ParseFailed as failure:
            expected, got = self._opening.deflate.complaint or complaint(str(failure))
            error = RemoteProtocolError("WebSocket frame", expected, got)
            answered = self.state == "open"  # else our close frame has gone out before
            if answered:
                self._write_close(frames, failure.code, str(error))
            self._events.append(Failed(error, int(failure.code) if answered else None))
            self._end(1006, "", clean=False)
            self.finished = True  # at once (section 7.1.7)

    def _take(self, frames: FrameProtocol, frame: Frame) -> None:
        """Act on a frame, or on a part of one that belongs to a message."""
        from wsproto.frame_protocol import Opcode

        data = frame.payload
        if isinstance(data, tuple):
            self._answer_close(frames, *data)
        elif frame.opcode is Opcode.PING and not isinstance(data, str):
            self._events.append(Ping(bytes(data)))
            if self.state == "open":
                self._write(frames.pong(data))
        elif frame.opcode is Opcode.PONG and not isinstance(data, str):
            self._events.append(Pong(bytes(data)))
        else:
            if self._message is None:
                self._message = StringIO() if isinstance(data, str) else BytesIO()
            self._message.write(data)  # type: ignore[arg-type]  # a message's parts are of one kind
            if frame.message_finished:
                self._events.append(MessageReceived(self._message.getvalue()))
                self._message = None

    def _answer_close(self, frames: FrameProtocol, code: int, reason: str) -> None:
        if self.state == "open":
            self._write_close(frames, code, "")
        self._end(int(code), reason, clean=True)
        self._ignored(self._opening.deflate.left, "they came after the close frame")
        # The server closes the stream first (section 7.1.1); the client waits for that, but not for ever.
        self.finished, self._deadline = self.role == "server", None

    def _end(self, code: int, reason: str, clean: bool) -> None:
        if self._message is not None:
            self._ignored(self._opening.deflate.size, "their message was not finished")
            self._message = None
        if self.pending:
            self._ignored(self._opening.deflate.left, "the WebSocket ended before they were read")
            self.pending = False
        self.state = "closed"
        self._events.append(Closed(code, reason, clean))

    def _ignored(self, count: int, why: str) -> None:
        if count:
            self._events.append(Discarded(f"{count} bytes", why))

    def _write_close(self, frames: FrameProtocol, code: int, reason: str) -> None:
        from wsproto.frame_protocol import CloseReason

        none = code == CloseReason.NO_STATUS_RCVD
        self._write(frames.close(None if none else code, None if none else reason))

    def _write(self, frame: bytes | bytearray) -> None:
        frame = bytes(frame)
        if self._randomness and self.role == "client":
            frame = _masked_anew(frame, self._randomness(4))
        self._out.append(frame)


def _cuts(raw: bytes, size: int, text: bool) -> Iterator[int]:
    """Yield where each frame ends; for text before the first byte of a character."""
    end = 0
    while end < len(raw):
        end = min(end + size, len(raw))
        while text and end < len(raw) and raw[end] & 0xC0 == 0x80:
            end -= 1
        yield end
    if not raw:
        yield 0


def _encoded(what: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"WebSocket.{what}", "text that UTF-8 can carry", error) from None


def _masked_anew(frame: bytes, key: bytes) -> bytes:
    """Return a masked frame (section 5.2) with another key: wsproto's come from the operating system."""
    start = {126: 4, 127: 10}.get(frame[1] & 127, 2)
    change = bytes(old ^ new for old, new in zip(frame[start : start + 4], key, strict=True))
    return frame[:start] + key + mask(change, frame[start + 4 :])


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
