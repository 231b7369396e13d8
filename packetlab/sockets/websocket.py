"""WebSocket sockets, over any stream socket of either family.

The protocol is `engine.websocket`'s, and `websocket_stream` joins it to a stream. Owns what a program calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from errno import EALREADY, EINPROGRESS, EINVAL, EISCONN, ENOTCONN, EOPNOTSUPP
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal

from packetlab.engine.contract import SECOND, Event
from packetlab.engine.websocket.connection import WebSocket
from packetlab.engine.websocket.events import HandshakeCompleted, Reply, Request
from packetlab.errors import LocalProtocolError, PacketlabError
from packetlab.sockets.headers import Data, built_over, outgoing
from packetlab.sockets.socket import Socket
from packetlab.sockets.ways import ANOTHER, CONNECT, NO_LISTENER, ONE_LISTEN, UNCONNECTED
from packetlab.sockets.websocket_stream import GUESTS, Porch, WebSocketDriver

if TYPE_CHECKING:
    from packetlab.sockets.inet import InetStream
    from packetlab.sockets.stream import StreamSocket


class WebSocketSocket(Socket):
    """A WebSocket, or a listener for such.

    Args:
        stream: a fresh stream socket that it is to run over.
        subprotocols: what a client offers, the best first; what a server takes. headers: more of the handshake's.
        compression: offer, or take, permessage-deflate; "afresh": a client compresses each message by itself.
        largest_message: bytes; a longer one closes with 1009.
        close_timeout: seconds that the other side has to answer our close frame and to close the stream.
        accept: a server's choice: gets the `Request`, returns a `Reply` (say, to refuse) or None.
        origins: whose pages a listener serves ("https://example.org"; "*": everybody's). Unless given, a listener on a
            loopback address serves pages of this machine that found it by such a name, and any other listener all.

    Attributes:
        close_code, close_reason: what the other side gave, once it is closed; 1005: no code, 1006: no close at all.
        subprotocol, extensions: as agreed on. request: what the client requested.
        log: the last events of the engine, but for messages, pings and pongs.
    """

    kind = "websocket"

    def __init__(
        self, stream: StreamSocket | InetStream, *, subprotocols: Sequence[str] = (), headers: Sequence[tuple[str, str]] = (),
        compression: bool | Literal["afresh"] = True, largest_message: int = 1 << 24, close_timeout: float = 10.0,
        accept: Callable[[Request], Reply | None] | None = None, origins: Sequence[str] | None = None,
        _endpoint: WebSocketDriver | None = None,
    ) -> None:  # fmt: skip
        from packetlab.engine.websocket.handshake import check_subprotocols

        try:
            check_subprotocols(subprotocols)
        except LocalProtocolError:
            stream.abort()  # nobody else has it
            raise
        super().__init__(stream.host)
        self.stream = stream
        stream.kind = self.kind  # what it says of misuse, it says to the user of this
        self.family = stream.family
        self._shape: dict[str, Any] = {
            "subprotocols": subprotocols, "headers": headers, "compression": compression,
            "largest_message": largest_message, "close_timeout": close_timeout,
            "randomness": stream.host.randomness,
        }  # fmt: skip
        self._accept, self._origins = accept, origins
        self._endpoint = _endpoint
        self._porch: Porch | None = None
        self._connecting = False  # a connect has yet to be finished, by another one

    # Looking ------------------------------------------------------------------------------------------------

    def _open(self, verb: str) -> WebSocketDriver:
        endpoint = self._endpoint
        begun = endpoint is not None and endpoint.engine.state != "connecting"
        self._need(begun, ENOTCONN, verb, "a connected socket", "one that is not", CONNECT)
        assert endpoint is not None
        return endpoint

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
    def opened(self) -> HandshakeCompleted:
        """What was agreed on: request, headers, subprotocol, extensions."""
        opened = self._open("opened").opened
        self._need(opened, ENOTCONN, "opened", "an open WebSocket", "one that never was", CONNECT)
        assert opened is not None
        return opened

    @property
    def log(self) -> list[Event]:
        """The last events of the engine, what was ignored among them; messages, pings and pongs are left out."""
        return [*self._endpoint.log] if self._endpoint else []

    # Verbs --------------------------------------------------------------------------------------------------

    def bind(self, address: object) -> None:
        """Give the socket its own address, of the stream's family."""
        self._need_open("bind")
        self.stream.bind(address)

    def connect(self, address: object, path: str = "/", host: str | None = None) -> None:
        """Connect, and open a WebSocket.

        Args:
            path: of the request, from "/" on. host: of its Host header, the address unless given.

        Where a `timeout` or an interrupt ends the wait, another call goes on with it.

        Raises:
            ConnectionRefusedError: nobody listens there, or the server answered with something else than 101; the
                message has its status, where it sends us, and how its answer begins.
            RemoteProtocolError: the server broke the handshake's rules.
        """
        self._need(self._porch is None, EOPNOTSUPP, "connect", *NO_LISTENER)
        fresh, blocked = self._endpoint is None or self._connecting, EALREADY if self._connecting else EINPROGRESS
        self._need(fresh, EISCONN, "connect", "a fresh socket", "one that was connected", ANOTHER)
        self._need(path.startswith("/"), EINVAL, "connect", 'a path that begins with "/"', repr(path), 'try "/" + path')
        try:
            if self._endpoint is None:
                self.stream.timeout = self.timeout
                self.stream.connect(address)
                peer: Any = self.stream.peer
                name = host or (f"{peer[0]}:{peer[1]}" if self.family == "inet" else str(peer))
                engine = WebSocket("client", host=name, path=path, **self._shape)
                with self.host.loop.lock:
                    engine.start(self.host.loop.now)
                    self._endpoint = WebSocketDriver(self.stream, engine)
            self._wait(self._endpoint.is_open, "connect", blocked=blocked)
        except BaseException as error:
            self._connecting = not isinstance(error, (ConnectionError, PacketlabError))
            raise
        self._connecting = False

    def listen(self, backlog: int = 5) -> None:
        """Take connections; each is a WebSocket by the time `accept` returns it."""
        self._need(self._endpoint is None, EISCONN, "listen", *UNCONNECTED)
        self._need(self._porch is None, EINVAL, "listen", *ONE_LISTEN)
        self._need_backlog(backlog)
        self.stream.listen(max(backlog, GUESTS))  # those whose handshake is under way wait on our side
        with self.host.loop.lock:
            local = self.family == "inet" and ip_address(self.stream.address[0]).is_loopback
            shape = {
                **self._shape,
                "accept": self._accept and partial(self.host.loop.callback, self._accept),
                "randomness": None,
                "origins": self._origins,
                "local": local,
            }
            self._porch = Porch(self.stream, backlog, lambda: WebSocket("server", **shape))

    def accept(self) -> WebSocketSocket:
        """Wait for the next WebSocket and return its socket. Those whose handshake failed are passed over."""
        self._need(self._porch, EINVAL, "accept", "a socket that listens", "one that does not", "call listen() first")
        assert self._porch is not None
        host, porch, inet = self.host, self._porch, self.family == "inet"
        endpoint = self._wait(lambda: porch.next() if inet else host.awaited(porch.next(), self, "accept"), "accept")
        shape = {name: value for name, value in self._shape.items() if name != "randomness"}
        child = WebSocketSocket(endpoint.stream, **shape, _endpoint=endpoint)
        child.timeout = self.timeout
        return child

    def write(self, data: Data, fragment: int | None = None) -> int:
        """Send a message: text as `str`, binary as `bytes` or headers; with `fragment`, in frames of this many bytes.

        Headers are built as they stand over those of the connection: ``dissect(data, Rec, below=(IPv4(...), TCP(...)))`` reads them so.
        """
        endpoint = self._open("write")
        message = data if isinstance(data, str) else self._built(data, "write")
        loop = self.host.loop

        def sent() -> bool | None:
            if endpoint.room() is None:
                return None
            endpoint.engine.send(message, loop.now, fragment)
            return True

        self._wait(sent, "write")
        loop.poll(endpoint)
        return len(message)

    def _built(self, data: Data, verb: str) -> bytes:
        """Return the bytes of data; of headers as they stand over those of the stream, with both ends' addresses."""
        found = outgoing(data, f"{self}: {verb}")
        return found if isinstance(found, bytes) else built_over(found, *self.stream._headers_towards())

    def write_raw(self, data: Data) -> int:
        """Send bytes, or a packet such as ``WebSocketFrame(rsv1=1) / b"..."``, just as they are."""
        endpoint = self._open("write_raw")
        raw = self._built(data, "write_raw")

        def sent() -> bool:
            if endpoint.engine.finished:
                raise endpoint.ended("write_raw")
            endpoint.engine.send_raw(raw)
            return True

        self._wait(sent, "write_raw")
        self.host.loop.poll(endpoint)
        return len(raw)

    def read(self) -> str | bytes | None:
        """Wait for the next message and return it; None once the other side has closed.

        Raises:
            RemoteProtocolError: the other side broke the rules. ConnectionResetError: its stream just ended.
        """
        (message,) = self._wait(self._open("read").read, "read")
        if message is None:
            self._need_open("read")  # an end that a handler of a signal made within is not the other side's
        return message

    def ping(self, data: Data = b"") -> float:
        """Send a ping, wait for its pong, and return how long that took, in seconds."""
        endpoint, loop = self._open("ping"), self.host.loop
        raw = self._built(data, "ping")

        def sent() -> int:
            endpoint.room("ping")
            endpoint.engine.ping(raw)
            endpoint.pinged.add(raw)
            return loop.now

        start = self._wait(sent, "ping")
        loop.poll(endpoint)
        self._wait(lambda: endpoint.ponged(raw), "ping")
        return (loop.now - start) / SECOND

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a code and a reason, wait for the other side's answer, and close the stream.

        That takes `close_timeout` at most from when the other side last took a byte of ours (an SPP stream's own close
        comes on top); then the stream is closed whatever it does. A handshake under way is given up at once.

        Raises:
            ConnectionError: an SPP stream was lost with data of ours unconfirmed, and no call has said so yet.
        """
        if self.closed:
            return
        if self._elsewhere():
            self.abort()
            return
        self.stream.timeout = self.timeout  # as it is now, not as it was at `connect`
        endpoint, loop = self._endpoint, self.host.loop
        with loop.lock:  # a reader in another thread hears of this close, not of its answer
            closing = endpoint is not None and endpoint.engine.state == "open"
            if endpoint is not None and closing:
                endpoint.engine.close(code, reason)
            super().close()
            if endpoint is not None and closing:
                loop.poll(endpoint)
        if self._porch is not None:
            self._porch.close()
        if endpoint is None:
            self.stream.close()
            return
        endpoint.reader_gone = True
        if loop.closed or endpoint.engine.state == "connecting":
            self.abort()
            return
        try:
            if endpoint.opened is not None:
                self._wait(endpoint.done, "close")
        except BaseException:
            endpoint.leave()
            if not self._elsewhere():
                self.stream.finish()
            self.stream.drop()
            raise
        endpoint.leave()
        if endpoint.gave_up or isinstance(endpoint.lost, OSError):
            self.stream.abort()
        else:
            self.stream.close()
        if self.family == "xns" and not endpoint.raised_loss:
            self.stream.check_lost()  # type: ignore[union-attr]  # a `StreamSocket`

    def abort(self) -> None:
        """Close at once, without waiting for the other end. A `close` that waits meanwhile ends."""
        with self.host.loop.lock:
            if self._endpoint is not None:
                self._endpoint.hang_up()
            if self._porch is not None:
                self._porch.close()
            super().close()
            self.stream.abort()
