"""WebSocket sockets, over any stream socket of either family.

The protocol is `engine.websocket`'s. Here it meets a stream: each endpoint is a driver of the host's medium (see
`link.medium`), so that handshakes, pings and closes are answered while anything in the program waits.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable, Sequence
from errno import EINVAL, EISCONN, ENOTCONN, EOPNOTSUPP, EPIPE
from typing import Any, Literal

from packetlab.engine.websocket import WebSocket
from packetlab.engine.websocket_events import Closed, Event, Failed, Message, Opened, Pong, Refused, Reply, Request
from packetlab.link.medium import SECOND
from packetlab.sockets.headers import Data, outgoing
from packetlab.sockets.socket import Socket
from packetlab.sockets.stream_driver import StreamDriver

AHEAD = 64  # messages kept for the reader; then the stream is read no further
BEHIND = 1 << 20  # bytes that a writer may be ahead of the stream
KEPT = 1000  # events remembered


class WebSocketSocket(Socket):
    """A WebSocket, or a listener for such.

    Args:
        stream: a fresh stream socket that it is to run over.
        subprotocols: what a client offers, the best first; what a server takes. headers: more of the handshake's.
        compression: offer, or take, permessage-deflate; "afresh": a client compresses each message by itself.
        largest_message: bytes; a longer one closes with 1009.
        accept: a server's choice: gets the `Request`, returns a `Reply` (say, to refuse) or None.

    Attributes:
        close_code, close_reason: what the other side gave, once it is closed; 1005: no code, 1006: no close at all.
        subprotocol, extensions: as agreed on. request: what the client asked for.
        log: the last events of the engine.
    """

    kind = "websocket"

    def __init__(
        self, stream: Any, *, subprotocols: Sequence[str] = (), headers: Sequence[tuple[str, str]] = (),
        compression: bool | Literal["afresh"] = True, largest_message: int = 1 << 24,
        accept: Callable[[Request], Reply | None] | None = None, _endpoint: Endpoint | None = None,
    ) -> None:  # fmt: skip
        super().__init__(stream.host)
        self.stream = stream
        self.family = stream.family
        self._shape: dict[str, Any] = {
            "subprotocols": subprotocols, "headers": headers, "compression": compression,
            "largest_message": largest_message, "randomness": stream.host.randomness,
        }  # fmt: skip
        self._accept = accept
        self._endpoint = _endpoint
        self._porch: Porch | None = None

    # Looking ------------------------------------------------------------------------------------------------

    def _open(self, verb: str) -> Endpoint:
        self._need(self._endpoint, ENOTCONN, verb, "a connected socket", "one that is not")
        assert self._endpoint is not None
        return self._endpoint

    @property
    def address(self) -> Any:
        """Our own address, that of the stream."""
        return self.stream.address

    @property
    def peer(self) -> Any:
        """The other end's address, or None."""
        return self.stream.peer

    @property
    def close_code(self) -> int | None:
        """The other side's close code, or None while it has not closed."""
        return self._endpoint.closed.code if self._endpoint and self._endpoint.closed else None

    @property
    def close_reason(self) -> str:
        """The other side's reason."""
        return self._endpoint.closed.reason if self._endpoint and self._endpoint.closed else ""

    @property
    def opened(self) -> Opened:
        """What was agreed on: request, headers, subprotocol, extensions."""
        opened = self._open("opened").opened
        self._need(opened, ENOTCONN, "opened", "an open WebSocket", "one that never was")
        assert opened is not None
        return opened

    @property
    def log(self) -> list[Event]:
        """The last events of the engine, what was ignored among them."""
        return [*self._endpoint.log] if self._endpoint else []

    # Verbs --------------------------------------------------------------------------------------------------

    def bind(self, address: Any) -> None:
        """Give the socket its own address, of the stream's family."""
        self._need_open("bind")
        self.stream.bind(address)

    def connect(self, address: Any, path: str = "/", host: str | None = None) -> None:
        """Connect, and open a WebSocket.

        Args:
            path: of the request. host: of its Host header, the address unless given.

        Raises:
            ConnectionRefusedError: nobody listens there, or the server answered with something else than 101.
            RemoteProtocolError: the server broke the handshake's rules.
        """
        self._need(self._porch is None, EOPNOTSUPP, "connect", "a socket that does not listen", "a listener")
        self._need(self._endpoint is None, EISCONN, "connect", "a fresh socket", "one that was connected")
        self.stream.timeout = self.timeout
        self.stream.connect(address)
        peer = self.stream.peer
        name = host or (f"{peer[0]}:{peer[1]}" if self.family == "inet" else str(peer))
        engine = WebSocket("client", host=name, path=path, **self._shape)
        with self.host.medium.lock:
            engine.start(self.host.medium.now)
            self._endpoint = Endpoint(self.stream, engine)
        self._wait(self._endpoint.is_open, "connect")

    def listen(self, backlog: int = 5) -> None:
        """Take connections; each is a WebSocket by the time `accept` returns it."""
        self._need(self._endpoint is None, EISCONN, "listen", "a socket that is not connected", "one that is")
        self._need(self._porch is None, EINVAL, "listen", "one listen", "a second")
        self.stream.listen(backlog)
        with self.host.medium.lock:
            shape = {**self._shape, "accept": self._accept, "randomness": None}
            self._porch = Porch(self.stream, backlog, lambda: WebSocket("server", **shape))

    def accept(self) -> WebSocketSocket:
        """Wait for the next WebSocket and return its socket. Those whose handshake failed are passed over."""
        self._need(self._porch, EINVAL, "accept", "a socket that listens", "one that does not", "call listen() first")
        assert self._porch is not None
        endpoint = self._wait(self._porch.next, "accept")
        child = WebSocketSocket(endpoint.stream, **_shape_of(self._shape), _endpoint=endpoint)
        child.timeout = self.timeout
        return child

    def write(self, data: Data, fragment: int | None = None) -> int:
        """Send a message: text as `str`, binary as `bytes` or headers; with `fragment`, in frames of so many bytes."""
        endpoint = self._open("write")
        message = data if isinstance(data, str) else bytes(outgoing(data, f"{self}: write"))
        self._wait(endpoint.room, "write")
        with self.host.medium.lock:
            endpoint.engine.send(message, self.host.medium.now, fragment)
            endpoint.turn(self.host.medium.now)
        return len(message)

    def write_raw(self, data: Data) -> int:
        """Send bytes, or a packet such as ``WebSocketFrame(rsv1=1) / b"..."``, just as they are."""
        endpoint = self._open("write_raw")
        octets = bytes(outgoing(data, f"{self}: write_raw"))
        with self.host.medium.lock:
            endpoint.engine.send_raw(octets)
            endpoint.turn(self.host.medium.now)
        return len(octets)

    def read(self) -> str | bytes | None:
        """Wait for the next message and return it; None once the other side has closed.

        Raises:
            RemoteProtocolError: the other side broke the rules. ConnectionResetError: its stream just ended.
        """
        return self._wait(self._open("read").read, "read")[0]

    def ping(self, data: bytes = b"") -> float:
        """Send a ping, wait for its pong, and return how long that took, in seconds."""
        endpoint, medium = self._open("ping"), self.host.medium
        endpoint.pongs.clear()
        with medium.lock:
            start = medium.now
            endpoint.engine.ping(data)
            endpoint.turn(medium.now)
        self._wait(lambda: endpoint.ponged(data), "ping")
        return (medium.now - start) / SECOND

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a code and a reason, wait for the other side's answer, and close the stream."""
        if self.closed:
            return
        if self._elsewhere():
            self.abort()
            return
        endpoint, medium = self._endpoint, self.host.medium
        if endpoint is not None and endpoint.engine.state == "open":
            with medium.lock:
                endpoint.engine.close(code, reason)
                endpoint.turn(medium.now)
        super().close()
        if self._porch is not None:
            self._porch.close()
        if endpoint is None:
            self.stream.close()
            return
        endpoint.reader_gone = True
        if medium.closed:
            self.abort()
            return
        try:
            self._wait(endpoint.done, "close")
        finally:
            endpoint.leave()
        if not isinstance(endpoint.lost, OSError):
            self.stream.close()
        else:
            self.stream.abort()

    def abort(self) -> None:
        """Close at once, without a word to the other end."""
        if self._endpoint is not None:
            self._endpoint.leave()
        if self._porch is not None:
            self._porch.close()
        super().close()
        self.stream.abort()


class Endpoint(StreamDriver):
    """An engine on a stream."""

    def __init__(self, stream: Any, engine: WebSocket) -> None:
        super().__init__(stream)
        self.engine = engine
        self.inbox: deque[str | bytes] = deque()
        self.pongs: list[bytes] = []
        self.log: deque[Event] = deque(maxlen=KEPT)
        self.opened: Opened | None = None
        self.closed: Closed | None = None
        self.refused: Refused | None = None
        self.lost: Exception | None = None
        self.reader_gone = False
        self._out = b""
        self._said_all = self._heard_all = False
        self.turn(self.medium.now)

    def turn(self, now: int) -> None:
        """Move bytes between stream and engine, as far as both let."""
        if self._turning:
            return
        self._turning = True
        try:
            self._say(now)
            while not self._heard_all and (self.reader_gone or len(self.inbox) < AHEAD):
                data = self.stream.take()
                if data is None:
                    break
                if data:
                    self.engine.receive(data, now)
                else:
                    self._heard_all = True
                    self.engine.end_of_stream(now)
                self._hear()
                self._say(now)
            timeout = self.engine.next_timeout()
            if timeout is not None and timeout <= now:  # after what has come: an answer in there is none too late
                self.engine.on_time(now)
                self._say(now)
        except OSError as error:
            self.lost = self.lost or error
            self._heard_all = self._said_all = True
            self.engine.end_of_stream(now)
        finally:
            self._turning = False
        self._hear()
        self.due = self.engine.next_timeout()
        full = not self.reader_gone and len(self.inbox) >= AHEAD
        self.line.mask = (0 if full or self._heard_all else select.POLLIN) | (select.POLLOUT if self._out else 0)

    def _say(self, now: int) -> None:
        self._out += self.engine.bytes_to_send(now)
        while self._out and not self._said_all and (taken := self.stream.give(self._out)):
            self._out = self._out[taken:]
        if self.engine.finished and not self._out and not self._said_all:
            self._said_all = True
            self.stream.finish()

    def _hear(self) -> None:
        for event in self.engine.events():
            self.log.append(event)
            if isinstance(event, Message):
                if not self.reader_gone:
                    self.inbox.append(event.data)
            elif isinstance(event, Pong):
                self.pongs.append(event.data)
            elif isinstance(event, Opened):
                self.opened = event
            elif isinstance(event, Closed):
                self.closed = event
            elif isinstance(event, Refused):
                self.refused = event
            elif isinstance(event, Failed):
                self.lost = self.lost or event.error

    # What a socket waits for.

    def is_open(self) -> bool | None:
        """Return whether the handshake is done; raise where it failed."""
        if self.opened is not None:
            return True
        if self.refused is not None and self.lost is None:
            raise ConnectionRefusedError(f"{self.stream}: the server answered with status {self.refused.status}")
        if self.refused is not None or self.closed is not None:
            raise self.lost or ConnectionResetError(f"{self.stream}: the stream ended within the handshake")
        return None

    def room(self) -> bool | None:
        """Return whether a writer may go on; raise where it never may again."""
        if self.engine.state != "open":
            self._raise_lost()
            code = self.closed.code if self.closed else "none yet"
            raise BrokenPipeError(EPIPE, f"{self.stream}: write: the other side has closed (close code {code})")
        return True if len(self._out) < BEHIND else None

    def read(self) -> tuple[str | bytes | None] | None:
        """Return the next message, or None in its place at the end."""
        if self.inbox:
            message = self.inbox.popleft()
            self.turn(self.medium.now)
            return (message,)
        if self.closed is None:
            return None
        self._raise_lost()
        if not self.closed.clean:
            raise ConnectionResetError(f"{self.stream}: the stream ended without a close frame")
        return (None,)

    def ponged(self, data: bytes) -> bool | None:
        """Return whether a pong came back; raise where none can."""
        if data in self.pongs:
            return True
        if self.closed is not None:
            self._raise_lost()
            raise ConnectionResetError(f"{self.stream}: closed before the pong came")
        return None

    def done(self) -> bool | None:
        """Return whether both sides have said all."""
        if self._heard_all or (self._said_all and self.stream.family == "xns"):
            return True
        return None

    def _raise_lost(self) -> None:
        if self.lost is not None:
            raise self.lost


class Porch(StreamDriver):
    """Where streams wait until they are WebSockets."""

    def __init__(self, stream: Any, most: int, make: Callable[[], WebSocket]) -> None:
        super().__init__(stream)
        self._most, self._make = most, make
        self._guests: list[Endpoint] = []
        self.turn(self.medium.now)

    def turn(self, now: int) -> None:
        """Let streams in."""
        if self._turning:
            return
        self._turning = True
        try:
            for guest in [*self._guests]:
                if guest.opened is None and guest.done():
                    # It was refused, and told so; or it never said what it wanted.
                    guest.leave()
                    guest.stream.drop()
                    self._guests.remove(guest)
            while (
                not (full := len(self._guests) >= self._most) and (stream := self.stream.take_connection()) is not None
            ):
                self._guests.append(Endpoint(stream, self._make()))
            self.line.mask = 0 if full else select.POLLIN  # else who knocks keeps everybody awake
        finally:
            self._turning = False

    def next(self) -> Endpoint | None:
        """Return the next WebSocket, or None."""
        for guest in self._guests:
            if guest.opened is not None:
                self._guests.remove(guest)
                self.turn(self.medium.now)
                return guest
        return None

    def close(self) -> None:
        """Send away who waits."""
        self.leave()
        for guest in self._guests:
            guest.leave()
            guest.stream.abort()
        self._guests = []


def _shape_of(shape: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shape.items() if name != "randomness"}
