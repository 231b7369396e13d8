"""Two endpoints that hand each other their octets, with no sockets between."""

from __future__ import annotations

from packetlab import WebSocketFrame
from packetlab.engine.websocket import Event, WebSocket
from packetlab.wire.websocket import mask

KEY = bytes.fromhex("37fa213d")  # of RFC 6455 section 5.7


def raw(payload: bytes = b"", key: bytes | None = KEY, **fields: int) -> bytes:
    """Return a frame as it goes over the wire: a client's, or with no key a server's, but for what `fields` say."""
    if key is None:
        return bytes(WebSocketFrame(**fields) / payload)
    return bytes(WebSocketFrame(masking_key=key, **fields) / mask(key, payload))


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
    """Carry octets, `size` at a time, until both are silent; return what each reported."""
    seen: tuple[list[Event], list[Event]] = ([], [])
    while True:
        to_server, to_client = client.bytes_to_send(now), server.bytes_to_send(now)
        seen[1].extend(feed(server, to_server, size, now))
        seen[0].extend(feed(client, to_client, size, now))
        if not to_server and not to_client:
            return seen


def feed(end: WebSocket, data: bytes, size: int = 1 << 30, now: int = 0) -> list[Event]:
    """Give octets to one end, `size` at a time; return what it reports."""
    for start in range(0, len(data), size):
        end.receive(data[start : start + size], now)
    return end.events()
