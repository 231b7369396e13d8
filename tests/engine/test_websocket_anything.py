"""Bytes nobody thought of: whatever arrives, an endpoint reports it, ends at most once, and never raises."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from packetlab.engine.websocket.connection import (
    Closed,
    Discarded,
    Event,
    HandshakeCompleted,
    MessageReceived,
    Refused,
    WebSocket,
)
from tests.engine.pair import exchange, feed, opened, raw

pytestmark = pytest.mark.slow

REQUEST = WebSocket("client", randomness=bytes)
REQUEST.start(0)
REQUEST_BYTES = REQUEST.bytes_to_send(0)
BEGINNINGS = {  # what makes the rest worth reading
    "client": [b"", b"HTTP/1.1 ", b"HTTP/1.1 404 Not Found\r\n", b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n"],
    "server": [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n", REQUEST_BYTES[:-2], REQUEST_BYTES],
}
FRAMES = st.builds(
    raw,
    st.binary(max_size=130),
    key=st.sampled_from([None, b"\0\0\0\0", b"abcd"]),
    fin=st.integers(0, 1),
    rsv1=st.integers(0, 1),
    rsv2=st.sampled_from([0, 0, 0, 1]),
    opcode=st.sampled_from([0, 1, 2, 8, 9, 10, 3, 15]),
)
LINES = st.lists(
    st.text(st.characters(max_codepoint=255), max_size=40).map(lambda text: f"{text}\r\n".encode("latin-1"))
)
INPUTS = st.one_of(st.binary(), FRAMES, st.lists(FRAMES, max_size=5).map(b"".join), LINES.map(b"".join))


def checked(end: WebSocket, chunks: list[bytes]) -> list[Event]:
    """Give an endpoint its bytes and the end of the stream; check what holds for every endpoint."""
    seen: list[Event] = []
    for chunk in chunks:
        seen += feed(end, chunk)
        end.bytes_to_send(0)
    end.end_of_stream(0)
    seen += end.events()
    reported = [event for event in seen if not isinstance(event, Discarded)]
    assert sum(isinstance(event, Closed | Refused) for event in reported) == 1
    assert isinstance(reported[-1], Closed | Refused)
    assert end.finished
    assert end.state == "closed"
    return seen


@pytest.mark.parametrize("role", ["client", "server"])
@given(st.data())
def test_anything_may_come_first(role: str, data: st.DataObject) -> None:
    end = WebSocket("client", randomness=bytes) if role == "client" else WebSocket("server")
    if role == "client":
        end.start(0)
    checked(end, [data.draw(st.sampled_from(BEGINNINGS[role])), *data.draw(st.lists(INPUTS, max_size=4))])


@pytest.mark.parametrize("compression", [True, False])
@pytest.mark.parametrize("role", ["client", "server"])
@given(st.lists(INPUTS, max_size=6))
def test_anything_may_come_later(role: str, compression: bool, chunks: list[bytes]) -> None:
    ends = opened(
        WebSocket("client", compression=compression, largest_message=100), WebSocket("server", largest_message=100)
    )
    checked(ends[role == "server"], chunks)


@given(st.binary(max_size=300), st.integers(1, 40))
def test_splits_change_nothing(data: bytes, size: int) -> None:
    at_once, in_pieces = opened()[1], opened()[1]

    def reported(events: list[Event]) -> list[str]:  # how much is ignored at a time does hang on the pieces
        return [repr(event) for event in events if not isinstance(event, Discarded)]

    assert reported(feed(at_once, data)) == reported(feed(in_pieces, data, size))
    assert at_once.bytes_to_send(0) == in_pieces.bytes_to_send(0)


@given(
    st.lists(st.one_of(st.text(), st.binary()), max_size=5),
    st.integers(4, 20),
    st.integers(1, 50),
    st.booleans(),
)
def test_what_is_sent_arrives(messages: list[str | bytes], fragment: int, size: int, compression: bool) -> None:
    client, server = opened(WebSocket("client", compression=compression))
    for message in messages:
        client.send(message, 0, fragment)
        server.send(message, 0, fragment)
    expected = [MessageReceived(message) for message in messages]
    assert exchange(client, server, size) == (expected, expected)


def test_the_beginnings_above_are_the_ones_meant() -> None:
    (event,) = feed(WebSocket("server"), REQUEST_BYTES)
    assert isinstance(event, HandshakeCompleted)
