"""Whole messages from stream sockets, whatever the segments they come in."""

from __future__ import annotations

from errno import EINVAL

from packetlab.codec.context.context import here
from packetlab.errors import RemoteProtocolError, deliberate
from packetlab.escaping import bytes_text
from packetlab.link.event_loop import Files
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.dissect import dissect
from packetlab.protocols.streams.message_reader import MessageReader
from packetlab.sockets.socket import QueuedCall, Socket, is_number

__tracebackhide__ = deliberate

LARGEST = 1 << 20  # bytes of a message, unless given otherwise


class MessageStream(Socket):
    """A stream of bytes that is read by messages, or by bytes."""

    _reader: MessageReader | None = None  # has the bytes that were taken from the stream for a message
    _kept = memoryview(b"")  # ... or these are what is left of them
    _below: tuple[Header, ...] = ()  # what is the same of the headers below in all that comes, once it is known

    def _read_message(self, cls: type[Header], largest: int) -> Packet | None:
        """Do what `read_packet` of a stream says."""
        self._open_for_messages()
        right = isinstance(cls, type) and issubclass(cls, Header) and cls._declaration.stream
        got = getattr(cls, "__name__", repr(cls))
        hint = "class Message(Header, stream=True), with a field that says how long it is"
        self._need(right, EINVAL, "read_packet", "a header class with stream=True", got, hint)
        hint = "bytes of a message at the most"
        self._need(is_number(largest) and largest > 0, EINVAL, "read_packet", "a size of 1 or more", f"{largest!r:.60}", hint)
        with (queued := QueuedCall(self._timeout)).call, self._turn("read", "read_packet", queued):
            if self._reader is None or self._reader.cls is not cls or self._reader.largest != largest or self._reader.lost:
                self._below = self._below or self._headers_below()
                reader = MessageReader(cls, largest, eager=True, below=self._below)
                reader.give(self._ahead())
                self._reader = reader
            data = self._wait(self._message, "read_packet", self._files(), queued)
        return dissect(data, cls, context=here(), below=self._below) if data else None

    def _message(self) -> bytes | None:
        """Return the next message; None while it is not whole, empty at the end of the connection."""
        reader = self._reader
        assert reader is not None
        name = reader.cls.__name__
        while (found := reader.read()) is None:
            if reader.lost:
                got = f"{'; '.join(map(str, reader.lost))} in {bytes_text(reader.rest())}"
                raise RemoteProtocolError(f"{self}: read_packet", f"a {name}", got, "read() returns the bytes as they are")
            data = self._next_bytes()
            if data is None:
                return None
            if not data:
                if not reader.held:
                    return b""
                reader.hurry(is_closed=True)
                if (found := reader.read()) is not None:
                    break
                got = f"the end of the stream after {reader.held} bytes of it: {bytes_text(reader.rest())}"
                raise RemoteProtocolError(f"{self}: read_packet", f"a whole {name}", got, "read() returns these bytes")
            reader.give(data)
        return found

    def _ahead(self, size: int | None = None) -> bytes:
        """Return bytes that were taken for a message that is not read any more; `size` at most."""
        if self._reader is not None:
            self._kept, self._reader = memoryview(self._reader.rest()), None
        found, self._kept = self._kept[:size], self._kept[len(self._kept) if size is None else size :]
        return bytes(found)

    def _open_for_messages(self) -> None:
        """Say where the socket cannot be read."""
        raise NotImplementedError

    def _headers_below(self) -> tuple[Header, ...]:
        """Return headers with both ends' addresses, as the other end sends them: rules of messages may ask for these."""
        raise NotImplementedError

    def _headers_towards(self) -> tuple[Header, ...]:
        """Return such headers as this end sends them."""
        raise NotImplementedError

    def _files(self) -> Files:
        """What to wait for."""
        return ()

    def _next_bytes(self) -> bytes | None:
        """Take bytes from the connection: None while there are none, empty at its end."""
        raise NotImplementedError
