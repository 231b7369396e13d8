"""Two endpoints that hand each other their bytes, with no sockets between; frames made by hand."""

from __future__ import annotations

from typing import Any

from packetlab import WebSocketFrame
from packetlab.engine.websocket.connection import Closed, Discarded, Event, Failed, WebSocket
from packetlab.protocols.websocket import mask

KEY = bytes.fromhex("37fa213d")  # of RFC 6455 section 5.7


def raw(payload: bytes = b"", key: bytes | None = KEY, **fields: Any) -> bytes:
    """Return a frame as it goes over the wire: a client's, or with no key a server's, but for what `fields` say."""
    if key is None:
        return bytes(WebSocketFrame(**fields) / payload)
    return bytes(WebSocketFrame(masking_key=key, **fields) / mask(key, payload))


# Bytes that no well-behaved client sends, and the close code that RFC 6455 wants for them.
MALFORMED = {
    "rsv1 without extension": (raw(b"x", rsv1=1), 1002),
    "rsv2": (raw(b"x", rsv2=1), 1002),
    "rsv3": (raw(b"x", rsv3=1), 1002),
    "reserved data opcode": (raw(opcode=3), 1002),
    "reserved control opcode": (raw(opcode=11), 1002),
    "no mask": (raw(b"x", key=None), 1002),
    "16 bits of length where 7 do": (raw(b"hello", length=126, length16=5), 1002),
    "64 bits of length where 16 do": (raw(bytes(200), length=127, length64=200), 1002),
    "length with its top bit": (raw(b"", length=127, length64=1 << 63), 1002),
    "ping of 126": (raw(bytes(126), opcode=9), 1002),
    "fragmented ping": (raw(b"x", opcode=9, fin=0), 1002),
    "continuation of nothing": (raw(b"x", opcode=0), 1002),
    "a message inside another": (raw(b"x", fin=0) + raw(b"y"), 1002),
    "half a close code": (raw(b"\x03", opcode=8), 1002),
    "close code 999": (raw((999).to_bytes(2), opcode=8), 1002),
    "close code 1005": (raw((1005).to_bytes(2), opcode=8), 1002),
    "close code 1006": (raw((1006).to_bytes(2), opcode=8), 1002),
    "close code 2999": (raw((2999).to_bytes(2), opcode=8), 1002),
    "close code 5000": (raw((5000).to_bytes(2), opcode=8), 1002),
    "text that is no UTF-8": (raw(b"caf\xe9"), 1007),
    "text that ends within a character": (raw("é".encode()[:1]), 1007),
    "reason that is no UTF-8": (raw(b"\x03\xe8\xff", opcode=8), 1007),
}


def opened(client: WebSocket | None = None, server: WebSocket | None = None) -> tuple[WebSocket, WebSocket]:
    """Return a client and a server whose opening handshake is done and reported."""
    client, server = client or WebSocket("client"), server or WebSocket("server")
    client.start(0)
    exchange(client, server)
    assert (client.state, server.state) == ("open", "open")
    return client, server


def exchange(
    client: WebSocket, server: WebSocket, size: int = 1 << 30, now: int = 0
) -> tuple[list[Event], list[Event]]:
    """Carry bytes, `size` at a time, until both are silent; return what each reported."""
    seen: tuple[list[Event], list[Event]] = ([], [])
    while True:
        to_server, to_client = client.bytes_to_send(now), server.bytes_to_send(now)
        seen[1].extend(feed(server, to_server, size, now))
        seen[0].extend(feed(client, to_client, size, now))
        if not to_server and not to_client:
            return seen


def feed(end: WebSocket, data: bytes, size: int = 1 << 30, now: int = 0) -> list[Event]:
    """Give bytes to one end, `size` at a time; return what it reports."""
    for start in range(0, len(data), size):
        end.receive(data[start : start + size], now)
    return end.events()


def counting(size: int) -> bytes:
    """Stand in for randomness: the same bytes in every run."""
    return bytes(range(size))


def failure(events: list[Event]) -> tuple[int | None, str]:
    """Return what the one `Failed` of a WebSocket says, which has to be followed by its end."""
    failed, *rest = [event for event in events if not isinstance(event, Discarded)]
    assert isinstance(failed, Failed)
    assert rest == [Closed(1006, "", clean=False)]
    return failed.code, str(failed.error)
