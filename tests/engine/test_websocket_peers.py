"""Our endpoints against the `websockets` library's, over loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import websockets
from websockets.sync.client import ClientConnection, connect as websockets_connect
from websockets.sync.server import ServerConnection, serve

from packetlab.engine.websocket.connection import (
    Closed,
    Event,
    HandshakeCompleted,
    MessageReceived,
    Ping,
    Pong,
    Refused,
    Reply,
    WebSocket,
)
from tests.engine.loopback import echo, events, serving, talk
from tests.engine.pair import MALFORMED, raw

MESSAGES: list[str | bytes] = ["", "né€😀", b"", b"\x00\xff" * 100, "x" * 70_000, bytes(1 << 20)]


@contextmanager
def their_server() -> Iterator[int]:
    """Run an echo server of the library's; give its port."""

    def echo_theirs(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve(echo_theirs, "127.0.0.1", 0, subprotocols=["lab"], max_size=1 << 21) as server:  # type: ignore[list-item]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


def their_client(port: int, **options: Any) -> ClientConnection:
    client: ClientConnection = websockets_connect(f"ws://127.0.0.1:{port}/", proxy=None, max_size=1 << 21, **options)
    return client


@pytest.mark.parametrize("compression", [True, False])
def test_our_client_talks_with_their_server(compression: bool) -> None:
    with their_server() as port:
        client = WebSocket("client", compression=compression, subprotocols=["lab"])
        seen: list[Event] = []
        for event in talk(client, port):
            seen.append(event)
            if isinstance(event, HandshakeCompleted):
                assert event.subprotocol == "lab"
                assert bool(event.extensions) == compression
                for message in MESSAGES:
                    client.send(message, 0, fragment=50_000)
                client.ping(b"there?")
            elif event == MessageReceived(MESSAGES[-1]):
                client.close(4000, "enough")
    assert Pong(b"there?") in seen
    assert [event for event in seen if isinstance(event, MessageReceived)] == [
        MessageReceived(message) for message in MESSAGES
    ]
    assert seen[-1] == Closed(4000, "enough", clean=True)


@pytest.mark.parametrize("compression", ["deflate", None])
def test_their_client_talks_with_our_server(compression: str | None) -> None:
    seen: list[Event] = []

    def handle(sock: socket.socket) -> None:
        server = WebSocket("server", subprotocols=["lab"])
        for event in events(server, sock):
            seen.append(event)
            if isinstance(event, MessageReceived):
                server.send(event.data, 0, fragment=50_000)
                server.ping(b"there?")

    with serving(handle) as port:
        with their_client(port, compression=compression, subprotocols=["lab"]) as client:
            assert client.subprotocol == "lab"
            for message in MESSAGES:
                client.send(message)
                assert client.recv() == message
            client.send(["in ", "three ", "parts"])
            assert client.recv() == "in three parts"
            assert client.ping(b"you?").wait(10)
            client.close(4001, "enough")
    assert isinstance(seen[0], HandshakeCompleted)
    assert bool(seen[0].extensions) == (compression is not None)
    assert Ping(b"you?") in seen
    assert seen.count(Pong(b"there?")) == len(MESSAGES) + 1
    assert seen[-1] == Closed(4001, "enough", clean=True)


def test_their_client_sees_our_close() -> None:
    def handle(sock: socket.socket) -> None:
        server = WebSocket("server")
        for event in events(server, sock):
            if isinstance(event, HandshakeCompleted):
                server.close(1001, "going")

    with serving(handle) as port, their_client(port) as client:
        with pytest.raises(websockets.ConnectionClosedOK) as closed:
            client.recv()
    assert closed.value.rcvd == websockets.frames.Close(1001, "going")


def test_their_client_hears_that_its_message_is_too_large() -> None:
    with (
        serving(lambda sock: echo(WebSocket("server", largest_message=1000), sock)) as port,
        their_client(port) as client,
    ):
        client.send(bytes(1001))
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_their_client_sees_our_refusal() -> None:
    refusing = WebSocket("server", accept=lambda _: Reply(403, headers=[("X-Why", "because")], body=b"no"))
    with serving(lambda sock: echo(refusing, sock)) as port:
        with pytest.raises(websockets.InvalidStatus) as refused:
            their_client(port)
    response = refused.value.response
    assert (response.status_code, response.headers["X-Why"], response.body) == (403, "because", b"no")


def test_our_client_sees_their_refusal() -> None:
    def refuse(connection: ServerConnection, request: websockets.Request) -> websockets.Response:
        return connection.respond(404, "not here\n")

    with serve(lambda _: None, "127.0.0.1", 0, process_request=refuse) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        client = WebSocket("client", path="/elsewhere")
        (event,) = talk(client, server.socket.getsockname()[1])
        server.shutdown()
        thread.join()
    assert isinstance(event, Refused)
    assert (event.status, event.body) == (404, b"not here\n")


# The library takes lengths that could be shorter, and leaves a length's top bit to its limit on the size.
LENIENT = {"16 bits of length where 7 do", "64 bits of length where 16 do"}
THEIRS = {name: case for name, case in MALFORMED.items() if name not in LENIENT}
THEIRS["length with its top bit"] = (raw(b"", length=127, length64=1 << 63), 1009)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with their_server() as port:
        yield port


def codes(port: int, frame: bytes) -> list[Event]:
    """Return what their server says to bytes that our client sends raw, after the opening."""
    client = WebSocket("client", compression=False, subprotocols=["lab"])
    seen: list[Event] = []
    for event in talk(client, port):
        seen.append(event)
        if isinstance(event, HandshakeCompleted):
            client.send_raw(frame)
        elif isinstance(event, MessageReceived):
            client.close()
    assert isinstance(seen[0], HandshakeCompleted)
    return seen[1:]


@pytest.mark.parametrize(("frame", "code"), THEIRS.values(), ids=THEIRS)
def test_their_server_fails_a_malformed_frame(port: int, frame: bytes, code: int) -> None:
    (closed,) = codes(port, frame)
    assert isinstance(closed, Closed)
    assert (closed.code, closed.clean) == (code, True)


@pytest.mark.parametrize("name", sorted(LENIENT))
def test_their_server_takes_a_length_that_could_be_shorter(port: int, name: str) -> None:
    message, closed = codes(port, MALFORMED[name][0])
    assert isinstance(message, MessageReceived)
    assert closed == Closed(1000, "", clean=True)
