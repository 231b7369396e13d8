"""A WebSocket's engine on a stream, and the streams that wait to become WebSockets.

Each endpoint is a driver of the host's event loop (see `link.event_loop`), so that handshakes, pings and closes are answered
while anything in the program waits. What the other side can make us keep has a bound, and nobody keeps others waiting.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable
from errno import EPIPE
from typing import TYPE_CHECKING

from packetlab.engine.contract import Event
from packetlab.engine.websocket.connection import WebSocket
from packetlab.engine.websocket.events import Closed, Failed, HandshakeCompleted, MessageReceived, Ping, Pong, Refused
from packetlab.errors import broken
from packetlab.escaping import printable
from packetlab.sockets.stream_driver import StreamDriver

if TYPE_CHECKING:
    from packetlab.sockets.inet import InetStream
    from packetlab.sockets.stream import StreamSocket

AHEAD, AHEAD_BYTES = 64, 1 << 24  # messages, and their size, kept for the reader; then the stream is read no further
# Bytes that a writer, and answers to pings, may be ahead of the stream; then it is read no further.
UNSENT_LIMIT = 1 << 20
PIECE = 1 << 16  # bytes that the stream is given at a time: what it does not take is not copied
AT_ONCE = 256  # work of the engine (frames, reads and 4 kB blocks) before others have their turn
FIRST = 64  # turns full of work before timers have theirs: an answer that has come already is none too late
LET_IN = 16  # guests let in before others have their turn
GUESTS = 256  # handshakes under way at a listener; one more sends away the oldest
KEPT = 1000  # events remembered


class WebSocketDriver(StreamDriver):
    """An engine on a stream."""

    def __init__(self, stream: StreamSocket | InetStream, engine: WebSocket) -> None:
        super().__init__(stream)
        self.engine = engine
        self.inbox: deque[str | bytes] = deque()
        self.inbox_bytes = 0
        self.pinged: set[bytes] = set()  # pings of ours whose pong has not come
        self.log: deque[Event] = deque(maxlen=KEPT)
        self.opened: HandshakeCompleted | None = None
        self.closed: Closed | None = None
        self.refused: Refused | None = None
        self.lost: Exception | None = None
        self.raised_loss = False  # a call has raised that the stream was lost
        self.reader_gone = False
        self._out = bytearray()
        self._busy = 0  # turns one after the other that were full of work
        # Bytes or events are no longer with one, and not yet with the next, of stream, engine and us.
        self._midst = False
        self._sent_all = self._received_all = False
        self.gave_up = False  # the other side took too long over the close, with bytes of ours not taken
        self._hang_up_at: int | None = None
        self.poll(self.loop.now)

    def poll(self, now: int) -> None:
        """Move bytes between stream and engine, as far as both let."""
        if self._turning:
            return
        self._turning, more = True, False
        try:
            if self._midst:
                self._cut_off()
            self._say(now)
            enough = self.engine.work + AT_ONCE
            while not (more := self.engine.work >= enough):  # else come back once the others had their turn
                if self._received_all or self._is_full():
                    break
                data = b"" if self.engine.pending else self.stream.take()
                if data is None:
                    break
                self._midst = True
                if data or self.engine.pending:
                    self.engine.receive(data, now, enough - self.engine.work)
                else:
                    self._received_all = True
                    self.engine.end_of_stream(now)
                self.stream.let_go()
                self._hear()
                self._say(now)
            self._busy = (self._busy + 1) % FIRST if more else 0
            if not self._busy:
                self._on_time(now)
        except OSError as error:
            self.lost = self.lost or error
            self._received_all = self._sent_all = True
            self._out, self._midst = bytearray(), False
            self.engine.end_of_stream(now)
        finally:
            self._turning = False
        self._hear()
        times = [self.engine.next_timeout(), None if self._received_all else self._hang_up_at]
        self.due = now if more else min((time for time in times if time is not None), default=None)
        full = self._is_full()
        self.line.mask = (0 if full or self._received_all else select.POLLIN) | (select.POLLOUT if self._out else 0)

    def _cut_off(self) -> None:
        """End the WebSocket: an interrupt ended the last turn with an engine, or a stream, half way through some bytes."""
        self.stream.finish()
        text = "an exception, as a signal's handler raises it, cut off the taking in or sending of frames"
        raise broken(ConnectionAbortedError, f"{self}: {text}; what was under way is lost")

    def _is_full(self) -> bool:
        """Say whether reading has to wait: for the program to take messages, or for the other side to take our bytes."""
        full = len(self.inbox) >= AHEAD or self.inbox_bytes >= AHEAD_BYTES
        return (full and not self.reader_gone) or len(self._out) >= UNSENT_LIMIT

    def _say(self, now: int) -> None:
        self._out += self.engine.bytes_to_send(now)
        said = False
        while self._out and not self._sent_all:
            self._midst = True
            taken = self.stream.give(bytes(self._out[:PIECE]))
            del self._out[:taken]
            self._midst = False
            if not taken:
                break
            said = True
            self._hang_up_at = None  # the time of the close runs anew while the other side takes what we say
        if said:
            self.stream.push()
        if self.engine.finished and not self._out and not self._sent_all:
            self._sent_all = True
            self.stream.finish()

    def _on_time(self, now: int) -> None:
        timeout = self.engine.next_timeout()
        if timeout is not None and timeout <= now:
            self.engine.on_time(now)
            self._say(now)
        self._hang_up(now)

    def _hang_up(self, now: int) -> None:
        """Wait no longer for the other side to close the stream than `close_timeout` of the engine."""
        if self.engine.state not in ("closing", "closed") or self._received_all:
            return
        if self._hang_up_at is None:
            self._hang_up_at = now + self.engine.close_timeout
        elif self._hang_up_at <= now:
            self.gave_up, self._out = not self._sent_all, bytearray()
            self._received_all = self._sent_all = True
            self.engine.end_of_stream(now)

    def _hear(self) -> None:
        events = self.engine.events()
        self._midst = self._midst or bool(events)
        for event in events:
            if isinstance(event, MessageReceived):
                if not self.reader_gone:
                    self.inbox.append(event.data)
                    self.inbox_bytes += len(event.data)
                continue
            if isinstance(event, Ping):
                continue
            if isinstance(event, Pong):
                self.pinged.discard(event.data)
                continue
            self.log.append(event)
            if isinstance(event, HandshakeCompleted):
                self.opened = event
            elif isinstance(event, Closed):
                self.closed = event
            elif isinstance(event, Refused):
                self.refused = event
            elif isinstance(event, Failed):
                self.lost = self.lost or event.error
        self._midst = False

    # What a socket waits for.

    def is_open(self) -> bool | None:
        """Return whether the handshake is done; raise where it failed."""
        if self.opened is not None:
            return True
        if self.refused is not None and self.lost is None:
            raise broken(ConnectionRefusedError, f"{self}: {_refusal(self.refused)}")
        if self.refused is not None or self.closed is not None:
            raise self.lost or broken(ConnectionResetError, f"{self}: the stream ended within the handshake")
        return None

    def room(self, verb: str = "write") -> bool | None:
        """Return whether a writer may go on; raise where it never may again."""
        if self.engine.state != "open":
            self._raise_lost()
            raise self.ended(verb)
        return True if len(self._out) < UNSENT_LIMIT else None

    def ended(self, verb: str) -> BrokenPipeError:
        """Return the error for writing to a WebSocket that is closed."""
        code = self.closed.code if self.closed else "none yet"
        return BrokenPipeError(EPIPE, f"{self}: {verb}: the other side has closed (close code {code})")

    def __str__(self) -> str:
        return f"{self.stream}"

    def read(self) -> tuple[str | bytes | None] | None:
        """Return the next message, or None in its place at the end."""
        if self.inbox:
            message, full = self.inbox[0], self._is_full()
            self.inbox_bytes -= len(message)
            self.inbox.popleft()
            if full:
                self.loop.poll(self)  # there is room again
            return (message,)
        if self.closed is None:
            return None
        self._raise_lost()
        if not self.closed.clean:
            raise broken(ConnectionResetError, f"{self}: the stream ended without a close frame")
        return (None,)

    def ponged(self, data: bytes) -> bool | None:
        """Return whether a pong came back; raise where none can."""
        if data not in self.pinged:
            return True
        if self.closed is not None:
            self._raise_lost()
            raise broken(ConnectionResetError, f"{self}: closed before the pong came")
        return None

    def done(self) -> bool | None:
        """Return whether both sides have said all, or the other has had its time for that.

        An SPP stream closes in order by itself, and a server that has exchanged close frames closes first (RFC 6455
        section 7.1.1).
        """
        exchanged = self.engine.role == "server" and self.closed is not None and self.closed.clean
        if self._received_all or (self._sent_all and (exchanged or self.stream.family == "xns")):
            return True
        return None

    def _raise_lost(self) -> None:
        if self.lost is not None:
            self.raised_loss = self.raised_loss or isinstance(self.lost, OSError)
            raise self.lost

    def hang_up(self) -> None:
        """Wait for nothing more, and take no more part in the event loop."""
        self._received_all = self._sent_all = True
        self.leave()


class Porch(StreamDriver):
    """Where streams wait until they are WebSockets: `most` that are, and GUESTS whose handshake is under way."""

    def __init__(self, stream: StreamSocket | InetStream, most: int, make: Callable[[], WebSocket]) -> None:
        super().__init__(stream)
        self._most, self._make = most, make
        self._guests: list[WebSocketDriver] = []
        self.poll(self.loop.now)

    def poll(self, now: int) -> None:
        """Let streams in."""
        if self._turning:
            return
        self._turning = True
        try:
            for guest in [*self._guests]:
                if guest.opened is None and guest.done():
                    # It was refused, with an answer; or it never said what it wanted.
                    guest.leave()
                    guest.stream.drop()
                    self._guests.remove(guest)
            for _ in range(LET_IN):
                full = sum(guest.opened is not None for guest in self._guests) >= self._most
                stream = None if full else self.stream.take_connection()
                if stream is None:
                    self.due = None
                    break
                early = [guest for guest in self._guests if guest.opened is None]
                if len(early) >= GUESTS:  # a client that says nothing keeps nobody out
                    self._send_away(early[0])
                engine = self._make()
                engine.start(now)
                self._guests.append(WebSocketDriver(stream, engine))
            else:
                self.due = now  # more may knock
            self.line.mask = 0 if full else select.POLLIN  # else who knocks keeps everybody awake
        finally:
            self._turning = False

    def _send_away(self, guest: WebSocketDriver) -> None:
        guest.leave()
        guest.stream.abort()
        self._guests.remove(guest)

    def next(self) -> WebSocketDriver | None:
        """Return the next WebSocket, or None."""
        for guest in self._guests:
            if guest.opened is not None:
                self._guests.remove(guest)
                self.loop.poll(self)
                return guest
        return None

    def close(self) -> None:
        """Send away who waits."""
        self.leave()
        for guest in [*self._guests]:
            self._send_away(guest)


def _refusal(refused: Refused) -> str:
    """Return what a server's answer to a handshake says, in one line."""
    headers = dict(refused.headers)
    where = f" (Location: {headers['location']})" if "location" in headers else ""
    body = refused.body[:200].decode("utf-8", "replace").strip()
    return printable(f"the server answered with status {refused.status}{where}" + (f": {body}" if body else ""))
