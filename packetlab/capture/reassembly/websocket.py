"""WebSockets: messages out of a capture, from the opening handshake on, over TCP or SPP.

Follows RFC 6455. h11 reads the HTTP; what the handshake agreed on is checked by the rules of `engine.websocket.handshake`,
but a broken rule is only noted: once a server answered 101, both ends took the connection for a WebSocket.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from packetlab.capture.frame import Frame
from packetlab.capture.reassembly.frames import FrameReader, WebSocketMessage
from packetlab.capture.reassembly.ordering import End
from packetlab.capture.reassembly.spp import ATTENTION, END, Conversation, Conversations, Speaker
from packetlab.capture.reassembly.tcp import Stream, Streams

if TYPE_CHECKING:
    from packetlab.engine.websocket.events import Headers, Request
    from packetlab.errors import RemoteProtocolError


HANDSHAKE = 3000  # bytes of memory that listening for a handshake takes in addition to its data, about

__all__ = ["WebSocketConnection", "WebSocketMessage", "WebSockets"]


class WebSocketConnection:
    """One WebSocket.

    Attributes:
        client, server: its ends, those of `stream`: a `Stream` or a `Conversation`.
        request, response: of the handshake; header names in lower case. subprotocol, extensions: as agreed on.
        faults: rules that the handshake broke. opened_ns: when the server's answer came.
    """

    def __init__(self, stream: Stream | Conversation) -> None:
        self.stream = stream
        self.request: Request | None = None
        self.response: Headers = ()
        self.subprotocol: str | None = None
        self.extensions: tuple[str, ...] = ()
        self.faults: list[RemoteProtocolError] = []
        self.opened_ns: int | None = None
        self._readers: dict[str, FrameReader] = {}

    @property
    def client(self) -> End | Speaker:
        return self.stream.client

    @property
    def server(self) -> End | Speaker:
        return self.stream.server

    @property
    def unread(self) -> dict[str, int]:
        """Bytes of either end ("client", "server") that were not read: no frame could be found any more after a hole."""
        return {by: reader.unread for by, reader in self._readers.items()}

    def __repr__(self) -> str:
        path = self.request.path if self.request else "?"
        return f"<WebSocketConnection {path!r} of {self.stream!r}>"


class _HandshakeReader:
    """Listens to HTTP between two ends until a request for a WebSocket is granted."""

    def __init__(self, largest_head: int) -> None:
        self._largest = largest_head
        self.over = False  # it is no HTTP, or none that can be followed
        self.size = 0  # bytes that wait to be understood
        self.granted = False
        self._exchange(b"", b"")

    def _exchange(self, requested: bytes, answered: bytes) -> None:
        """Begin to listen to a request and its answer."""
        import h11

        self._requests: Any = h11.Connection(h11.SERVER, max_incomplete_event_size=self._largest)
        self._answers: h11.Connection | None = None  # once there is a request
        self._early = answered
        self.request: h11.Request | None = None
        self.response: h11.InformationalResponse | None = None
        if requested:
            self._requests.receive_data(requested)

    def take(self, by: str, data: bytes) -> None:
        """Take bytes of the client or the server."""
        import h11

        try:
            if by == "client":
                self._requests.receive_data(data)
            else:
                self._early += data
            while self._followed():
                pass
            waiting = max(len(self._early), len(self._requests.trailing_data[0]))
            self.over = self.over or (waiting > 4 * self._largest and not self.granted)
        except h11.ProtocolError:
            self.over = True
        self.size = len(self._early) + len(self._requests.trailing_data[0])
        if self.over:
            self.stop()

    def stop(self) -> None:
        """Listen no more."""
        self.over, self.size, self._early = True, 0, b""
        self._requests = self._answers = self.request = self.response = None

    def _followed(self) -> bool:
        """Read on; say whether an exchange was complete and another may begin."""
        import h11

        while (event := self._requests.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Request):
                self.request = event
                self._answers = h11.Connection(h11.CLIENT, max_incomplete_event_size=self._largest)
            if self._answers is None or isinstance(event, h11.ConnectionClosed):
                self.over = True
                return False
            assert isinstance(event, h11.Event)
            self._answers.send(event)  # what an answer means hangs on the request
        if self._answers is None:
            return False
        if self._early:
            self._answers.receive_data(self._early)
            self._early = b""
        while (event := self._answers.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                self.response, self.granted = event, True
                return False
            if isinstance(event, h11.EndOfMessage):
                self.over = self._answers.our_state is not h11.DONE
                if not self.over:
                    self._exchange(*self.rest)
                return not self.over
        return False

    @property
    def rest(self) -> tuple[bytes, bytes]:
        """Bytes after the exchange: the client's, the server's."""
        return self._requests.trailing_data[0], self._answers.trailing_data[0] if self._answers else b""


class _Listening:
    """One stream that is, or may become, a WebSocket."""

    def __init__(self, stream: Stream | Conversation, largest: int, largest_head: int) -> None:
        self.connection = WebSocketConnection(stream)
        self._largest = largest
        self.opening: _HandshakeReader | None = _HandshakeReader(largest_head)
        self._next: dict[str, int] = {}
        self._numbers: dict[str, tuple[int, int | None]] = {}

    @property
    def cost(self) -> int:
        """Bytes of memory that is taken until something is complete, about."""
        if self.opening is None:
            return sum(reader.cost for reader in self.connection._readers.values())
        return 0 if self.opening.over else HANDSHAKE + self.opening.size

    def stop(self, why: str) -> list[WebSocketMessage]:
        """Wait for nothing more: return the messages that are not complete."""
        if self.opening is not None:
            self.opening.stop()
        readers = self.connection._readers.values()
        return self._mine([message for reader in readers for message in reader.stop(why)])

    @property
    def dull(self) -> bool:
        """Whether it is no WebSocket and will be none."""
        return self.opening is not None and self.opening.over

    def take(
        self, by: str, at: int, after: int, data: bytes, number: int, time_ns: int | None, exact: bool
    ) -> list[WebSocketMessage]:
        """Take what stands from `at` to `after` in what one end sent; `exact`: these count bytes."""
        found: list[WebSocketMessage] = []
        expected = self._next.get(by, 0 if exact else at)
        if at > expected:
            found += self._missing(by, at - expected if exact else None)
        elif at < expected:
            # A hole that was given up before is filled: too late for what was read since.
            self._unread(by, len(data))
            return []
        self._next[by] = after
        if self.dull or not data:
            return self._mine(found)
        if self.opening is None:
            return self._mine(found + self.connection._readers[by].take(data, number, time_ns))
        self.opening.take(by, data)
        self._numbers[by] = number, time_ns
        if self.opening.granted:
            opening, self.opening = self.opening, None
            if not self._open(opening, time_ns):
                self.opening = opening
                opening.stop()
                return []
            for end, rest in zip(("client", "server"), opening.rest, strict=True):
                found += self.connection._readers[end].take(rest, *self._numbers[end])
        return self._mine(found)

    def end(self) -> list[WebSocketMessage]:
        """No more will come."""
        return self._mine([message for reader in self.connection._readers.values() for message in reader.end()])

    def _missing(self, by: str, size: int | None) -> list[WebSocketMessage]:
        if self.opening is None:
            return self.connection._readers[by].missing(size)
        self.opening.stop()
        return []

    def _unread(self, by: str, size: int) -> None:
        if self.opening is None:
            self.connection._readers[by].unread += size

    def _mine(self, found: list[WebSocketMessage]) -> list[WebSocketMessage]:
        for message in found:
            message.connection = self.connection
        return found

    def _open(self, opening: _HandshakeReader, time_ns: int | None) -> bool:
        """Note what the handshake agreed on; say whether it was one for a WebSocket."""
        from packetlab.engine.websocket.deflate import Deflate, understood
        from packetlab.engine.websocket.handshake import (
            Bad,
            checked_request,
            checked_response,
            headers_of,
            joined,
            listed,
            request_of,
        )

        own = self.connection
        assert opening.request is not None
        assert opening.response is not None
        own.request, own.response = request_of(opening.request), headers_of(opening.response)
        if "websocket" not in listed((joined(own.response, "upgrade") or "").lower()):
            return False
        own.opened_ns = time_ns
        own.subprotocol = joined(own.response, "sec-websocket-protocol")
        own.extensions = tuple(listed(joined(own.response, "sec-websocket-extensions")))
        key = (own.request.header("sec-websocket-key") or "").encode("latin-1")
        offered = own.request.header("sec-websocket-extensions")
        try:
            checked_request(opening.request)
        except Bad as bad:
            own.faults.append(bad.error)
        try:
            checked_response(opening.response, own.request, key, Deflate(self._largest) if offered else None)
        except Bad as bad:
            own.faults.append(bad.error)
        answer = next(filter(understood, own.extensions), None)

        def deflate() -> Deflate:
            made = Deflate(self._largest)
            if answer is not None:
                try:
                    made.finalize(answer)
                except ValueError:
                    return Deflate(self._largest)  # 8, which zlib cannot do: noted above
            return made

        for by in ("client", "server"):
            own._readers[by] = FrameReader(by, deflate, self._largest)
        return True


class WebSockets:
    """Finds the WebSockets of a capture, frame by frame, and gives their messages as they are complete.

    Args:
        largest: bytes of a message, after inflation; of one that has more only the beginning is kept, with a fault.
        largest_head: bytes of the heads of HTTP messages. limits: those of `Streams`.
        waiting: bytes that handshakes and messages that are not complete may take together, about. Beyond it those are
            given up that were silent longest: a message comes as far as it is there, with a fault, and what follows it in
            its connection counts as `unread`.

    Attributes:
        given_up: how many handshakes and connections were given up for want of memory.
    """

    def __init__(
        self, *, largest: int = 1 << 24, largest_head: int = 1 << 14, waiting: int = 1 << 26, **limits: Any
    ) -> None:
        self._largest, self._largest_head = largest, largest_head
        self._waiting, self._held, self.given_up = waiting, 0, 0
        self._costly: OrderedDict[tuple[type, int], int] = OrderedDict()  # what each takes, the longest silent first
        self._streams = Streams(keep=False, **limits)
        self._conversations = Conversations(keep=False)
        self._listening: dict[tuple[type, int], _Listening] = {}

    def receive(self, frame: Frame) -> list[WebSocketMessage]:
        """Take a frame; return the messages that are complete now."""
        found = self._taken(self._streams.receive(frame), self._conversations.receive(frame))
        if self._streams._done or self._conversations._done:
            found += self._over()
        return found

    def end(self) -> list[WebSocketMessage]:
        """The capture is at its end: return the messages that are left, which lack something."""
        ended = [*self._streams.end(), *self._conversations.end()]
        found = self._taken(self._streams.late(), self._conversations.late())
        return found + self._over(ended)

    def _taken(self, pieces: Any, records: Any) -> list[WebSocketMessage]:
        found: list[WebSocketMessage] = []
        for end, piece in pieces:
            what = piece.offset, piece.end, piece.data, piece.number, piece.time_ns, True
            found += self._take(end.stream, end.role, *what)
        for end, record in records:
            data = b"" if record.control & ATTENTION or record.datastream >= END else record.data
            found += self._take(
                end.conversation, end.role, record.seq, record.seq + 1, data, record.number, record.time_ns, False
            )
        return found

    def _take(self, stream: Stream | Conversation, by: str, *what: Any) -> list[WebSocketMessage]:
        key = type(stream), stream.number
        listening = self._listening.get(key)
        if listening is None:
            listening = self._listening[key] = _Listening(stream, self._largest, self._largest_head)
        found = listening.take(by, *what)
        self._count(key, listening.cost)
        while self._held > self._waiting:
            oldest = next(iter(self._costly))
            self._count(oldest, 0)
            self.given_up += 1
            found += self._listening[oldest].stop(f"more than {self._waiting} bytes that wait")
        return found

    def _count(self, key: tuple[type, int], cost: int) -> None:
        self._held += cost - self._costly.pop(key, 0)
        if cost:
            self._costly[key] = cost

    def _over(self, ended: Any = None) -> list[WebSocketMessage]:
        found: list[WebSocketMessage] = []
        over: list[Any] = [*self._streams.finished(), *self._conversations.finished()] if ended is None else ended
        for stream in over:
            key = type(stream), stream.number
            if key in self._listening and stream is self._listening[key].connection.stream:
                self._count(key, 0)
                found += self._listening.pop(key).end()
        return found
