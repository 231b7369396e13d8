"""Stream sockets of SPP: bytes, whose packets merge and split."""

from __future__ import annotations

from typing import Self

from packetlab.declare.values.addresses import XNSAddress
from packetlab.engine.xns.spp import Connection
from packetlab.engine.xns.spp_states import SPPState
from packetlab.errors import broken, deliberate
from packetlab.network.host import NetworkHost
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.xns import IDP, SPP, PacketType
from packetlab.sockets.headers import NOTHING, Data, Prototype
from packetlab.sockets.messages import LARGEST, MessageStream
from packetlab.sockets.socket import QueuedCall
from packetlab.sockets.spp import QUEUE, SPPSocket

__tracebackhide__ = deliberate

AT_ONCE = 65536  # bytes that a read gives at most, unless given otherwise


class StreamSocket(MessageStream, SPPSocket):
    """A stream of bytes over SPP (SOCK_STREAM): packets merge, a long write is split, its last packet ends a message."""

    kind = "stream"

    def __init__(self, host: NetworkHost, connection: Connection | None = None) -> None:
        super().__init__(host, connection)
        self._rest: list[bytes | Packet] = []  # taken from the connection, and not yet by the reader

    def write(self, data: Data, header: Prototype | None = None, *, force: bool = False) -> int:
        """Send bytes; return when all are on their way or queued. What other threads write goes before or after the whole.

        Args:
            data, header, force: as for `SeqpacketSocket.write`; a prototype goes with every packet that it takes.
        """
        self._open("write")
        given, raw = self._parted(data, header)
        size = self._mtu
        if len(raw) <= size:
            if raw or given is not NOTHING:  # a prototype is a packet of its own; no data at all is nothing
                self._queue(raw, given, end_of_message=True, force=force)
            return len(raw)
        with (queued := QueuedCall(self._timeout)).call, self._turn("write", "write", queued):
            for start in range(0, len(raw), size):
                piece, last = raw[start : start + size], start + size >= len(raw)
                self._queue(piece, given, end_of_message=last, force=force, queued=queued)
        return len(raw)

    def read(self, size: int = AT_ONCE) -> bytes:
        """Wait for bytes and return those there are, `size` at most; none at the end of the connection."""
        self._open("read")
        self._need_size(size)
        if not size:
            return b""
        if ahead := self._ahead(size):
            return ahead
        data = self._wait(lambda: self._some(size), "read")
        if not data:
            self._need_open("read")  # an end that a handler of a signal made within is not the other side's
        return data

    def read_packet(self, cls: type[Header] | None = None, *, largest: int = LARGEST) -> Packet | None:
        """Wait for the next whole message that begins with a header of a class, as `InetStream.read_packet` does.

        Without a class it is the next packet of SPP, with its headers. None at the end of the connection.
        """
        return super().read_packet() if cls is None else self._read_message(cls, largest)

    def _open_for_messages(self) -> None:
        self._open("read_packet")

    def _headers_below(self) -> tuple[Header, ...]:
        return (IDP(src=self.peer or XNSAddress(), dst=self.address, packet_type=PacketType.SPP),)  # fields of SPP differ from packet to packet

    def _headers_towards(self) -> tuple[Header, ...]:
        return NOTHING.below(self.address, self.peer, "stream")

    def _next_bytes(self) -> bytes | None:
        return self._some(AT_ONCE)

    def _some(self, size: int) -> bytes | None:
        """Return bytes, `size` at most: None while there are none, empty at the end of the connection."""
        data = self._gathered(size)
        if data is None:
            return None
        rest, data = data[size:], data[:size]
        self._rest = [rest]
        return data

    def _gathered(self, size: int) -> bytes | None:
        """Return `size` bytes, or some more, or all there are: as `_some`, but they stay in `_rest`."""
        connection, rest = self._connection, self._rest
        assert connection is not None
        have = sum(len(_bytes_of(piece)) for piece in rest)
        while have < size and (packet := connection.peek()) is not None:
            if not rest or rest[-1] is not packet:  # else an interrupt came before it was let go
                rest.append(packet)
                have += len(packet.payload)
                self.__dict__["last_header"] = packet[SPP]  # no need to look whether there is such an option
            connection.read()
        if connection.owes:
            self.host.schedule(connection)  # the window has reopened
        data = b"".join(map(_bytes_of, rest))
        if data:
            return data
        if connection.ended or connection.state is SPPState.CLOSED:
            return b""
        if connection.error is not None:
            raise self._lost(connection)
        return None

    def take(self) -> bytes | None:
        """Return bytes without waiting: None while there are none, empty at the end of the connection.

        They are taken once `let_go` is called: until then an interrupt may end whatever is done with them.
        """
        self._open("read")
        with self.host.loop.lock:
            return self._gathered(AT_ONCE)

    def let_go(self) -> None:
        """Keep no longer what `take` has returned."""
        self._rest = []

    def give(self, data: bytes) -> int:
        """Write bytes without waiting; return how many found room."""
        connection = self._open("write")
        if connection.error is not None:
            raise self._lost(connection)
        if connection.state not in (SPPState.OPEN, SPPState.ANSWERED):
            raise broken(ConnectionResetError, f"{self}: the peer has ended")
        taken = 0
        while taken < len(data) and connection.unsent < QUEUE:
            connection.send(
                data[taken : taken + self._mtu],
                self._datastream,
                end_of_message=taken + self._mtu >= len(data),
                idp=self._given.idp,
            )
            taken += min(self._mtu, len(data) - taken)
        return taken

    def push(self) -> None:
        """Send what was given."""
        self.host.schedule(self._open("write"))

    def finish(self) -> None:
        """Say that no more will be written, without waiting."""
        connection = self._open("finish")
        self.host.schedule(connection, connection.close)

    def drop(self) -> None:
        """Let go of a stream that was finished, without waiting: the connection goes on to its end by itself."""
        self.closed = True

    def take_connection(self) -> Self | None:
        """Return the next connection without waiting, or None."""
        assert self._listener is not None
        connection = self._listener.accept()
        return self._made(connection) if connection is not None else None


def _bytes_of(piece: bytes | Packet) -> bytes:
    return piece if isinstance(piece, bytes) else piece.payload
