"""A WebSocket client and server of ours, bytes carried between them by hand."""

from __future__ import annotations

import pytest

from packetlab.engine.websocket.connection import (
    Closed,
    Discarded,
    HandshakeCompleted,
    MessageReceived,
    Ping,
    Pong,
    WebSocket,
)
from packetlab.errors import LocalProtocolError
from tests.engine.pair import counting, exchange, failure, feed, opened, raw

SECOND = 10**9
MESSAGES: list[str | bytes] = [
    "",
    "hello",
    "lines\r\nend\rin\nmany ways",
    b"",
    b"\x00\xff" * 63,
    "né€😀" * 40,
    bytes(65536),
    b"x" * 125,
    b"x" * 126,
    "y" * 65535,
]


@pytest.mark.parametrize("size", [1, 2, 7, 1000, 1 << 30])
@pytest.mark.parametrize("fragment", [None, 4, 1000])
@pytest.mark.parametrize("compression", [True, False])
def test_messages_arrive_whole_however_they_are_cut(size: int, fragment: int | None, compression: bool) -> None:
    client, server = opened(WebSocket("client", compression=compression))
    small = size <= 2 or fragment == 4  # cut so fine, long ones are nothing but more of the same
    messages = [message for message in MESSAGES if len(message) < 1000 or not small]
    for message in messages:
        client.send(message, 0, fragment)
        server.send(message, 0, fragment)
    expected = [MessageReceived(message) for message in messages]
    assert exchange(client, server, size) == (expected, expected)


def test_a_whole_conversation_reads_the_same_in_every_split() -> None:
    client, server = WebSocket("client", randomness=counting), WebSocket("server")
    client.start(0)
    request = client.bytes_to_send(0)
    before = feed(server, request)
    client.receive(server.bytes_to_send(0), 0)
    client.send("né", 0, 4)
    client.send(b"binary", 0)
    client.ping(b"are you there")
    client.close(4000, "bye")
    stream = request + client.bytes_to_send(0)
    expected = [
        *before,
        MessageReceived("né"),
        MessageReceived(b"binary"),
        Ping(b"are you there"),
        Closed(4000, "bye", clean=True),
    ]
    for cut in range(1, len(stream)):
        server = WebSocket("server")
        assert feed(server, stream[:cut]) + feed(server, stream[cut:]) == expected, cut


def test_both_ends_report_the_same_opening() -> None:
    client = WebSocket(
        "client", host="lab.test:81", path="/chat?x=1", subprotocols=["b", "a"], headers=[("X-One", "1")]
    )
    server = WebSocket("server", subprotocols=["a", "b"], headers=[("X-Two", "2")])
    client.start(0)
    at_client, at_server = exchange(client, server)
    assert at_client == at_server
    (event,) = at_client
    assert isinstance(event, HandshakeCompleted)
    assert (event.request.host, event.request.path, event.request.header("X-One")) == ("lab.test:81", "/chat?x=1", "1")
    assert event.subprotocol == "b"  # the client's first, of those that the server knows
    assert ("x-two", "2") in event.headers
    assert event.extensions == ("permessage-deflate; client_max_window_bits=15; server_max_window_bits=15",)


def test_frames_may_follow_the_request_at_once() -> None:
    client, server = WebSocket("client", compression=False), WebSocket("server")
    client.start(0)
    client.send_raw(raw(b"early"))
    assert exchange(client, server)[1][1:] == [MessageReceived("early")]


def test_frames_may_follow_the_response_at_once() -> None:
    client, server = WebSocket("client"), WebSocket("server")
    client.start(0)
    server.receive(client.bytes_to_send(0), 0)
    server.send("early", 0)
    assert exchange(client, server)[0][1:] == [MessageReceived("early")]


def test_a_run_with_given_randomness_repeats_byte_by_byte() -> None:
    def run() -> list[bytes]:
        client, server = WebSocket("client", randomness=counting), WebSocket("server")
        client.start(0)
        out = [client.bytes_to_send(0)]
        client.receive(feed_and_take(server, out[0]), 0)
        for message in MESSAGES:
            client.send(message, 0)
            out.append(client.bytes_to_send(0))
            assert feed(server, out[-1])[-1] == MessageReceived(message)
        return out

    def feed_and_take(end: WebSocket, data: bytes) -> bytes:
        feed(end, data)
        return end.bytes_to_send(0)

    first = run()
    assert first == run()
    assert b"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==" in first[0]
    assert first[2][2:6] == bytes([0, 1, 2, 3])


def test_without_it_two_clients_share_no_key() -> None:
    first, second = WebSocket("client"), WebSocket("client")
    first.start(0)
    second.start(0)
    assert first.bytes_to_send(0) != second.bytes_to_send(0)


def test_pings_are_answered() -> None:
    client, server = opened()
    client.ping(b"p" * 125)
    server.ping()
    assert exchange(client, server) == ([Ping(b""), Pong(b"p" * 125)], [Ping(b"p" * 125), Pong(b"")])


def test_a_ping_between_compressed_fragments_disturbs_nothing() -> None:
    client, server = opened()
    client.send("fragments " * 20, 0, 50)
    frames = client.bytes_to_send(0)
    second = 2 + 4 + (frames[1] & 127)
    assert feed(server, frames[:second] + raw(b"!", opcode=9) + frames[second:]) == [
        Ping(b"!"),
        MessageReceived("fragments " * 20),
    ]


def test_pongs_nobody_requested_are_reported() -> None:
    client, server = opened()
    client.send_raw(raw(b"hm", opcode=10))
    assert exchange(client, server) == ([], [Pong(b"hm")])


# Closing.


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "going"), (1013, ""), (3000, "é" * 61), (4999, "x" * 123)]
)
@pytest.mark.parametrize("closer", ["client", "server"])
def test_a_close_is_answered_with_its_code(code: int, reason: str, closer: str) -> None:
    ends = client, server = opened()
    (server if closer == "server" else client).close(code, reason)
    at_client, at_server = exchange(*ends)
    query, answered = Closed(code, reason, clean=True), Closed(code, "", clean=True)
    assert (at_client, at_server) == (([query], [answered]) if closer == "server" else ([answered], [query]))
    assert (client.state, server.state) == ("closed", "closed")


def test_a_close_without_code_is_1005_on_both_sides() -> None:
    client, server = opened()
    client.close(1005)
    closed = Closed(1005, "", clean=True)
    assert exchange(client, server) == ([closed], [closed])


def test_two_closes_that_cross_end_cleanly() -> None:
    client, server = opened()
    client.close(4001)
    server.close(4002)
    assert exchange(client, server) == ([Closed(4002, "", clean=True)], [Closed(4001, "", clean=True)])


def test_messages_still_come_while_a_close_waits_for_its_answer() -> None:
    client, server = opened()
    server.send("last words", 0)
    server.ping(b"?")
    client.close()
    at_client, _ = exchange(client, server)
    assert at_client == [MessageReceived("last words"), Ping(b"?"), Closed(1000, "", clean=True)]


def test_nothing_follows_a_close_frame() -> None:
    _, server = opened(WebSocket("client", compression=False))
    server.close()
    server.bytes_to_send(0)
    assert feed(server, raw(b"?", opcode=9)) == [Ping(b"?")]
    assert failure(feed(server, raw(opcode=3))) == (
        None,
        "WebSocket frame: expected an opcode that is defined, got 0x3",
    )
    assert server.bytes_to_send(0) == b""
    assert server.finished


def test_the_server_ends_the_stream_and_the_client_waits_for_it() -> None:
    client, server = opened(WebSocket("client", close_timeout=2))
    client.close()
    exchange(client, server, now=5)
    assert server.finished
    assert not client.finished
    client.end_of_stream(6)
    assert client.finished
    assert client.next_timeout() is None


def test_a_client_waits_for_the_end_of_the_stream_no_longer_than_it_said() -> None:
    client, server = opened(WebSocket("client", close_timeout=2))
    server.close()
    exchange(client, server, now=5)
    assert client.next_timeout() == 2 * SECOND + 5
    client.on_time(2 * SECOND + 4)
    assert not client.finished
    client.on_time(2 * SECOND + 5)
    assert client.finished
    assert client.events() == []


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_close_that_is_not_answered_ends_in_time(role: str) -> None:
    ends = opened(WebSocket("client", close_timeout=0.5), WebSocket("server", close_timeout=0.5))
    end = ends[role == "server"]
    end.close()
    end.bytes_to_send(7)
    assert end.next_timeout() == SECOND // 2 + 7
    end.on_time(SECOND // 2 + 7)
    assert end.events() == [Closed(1006, "", clean=False)]
    assert end.finished


def test_a_stream_that_just_ends_is_no_clean_close() -> None:
    _, server = opened()
    feed(server, raw(b"half a mess", fin=0))
    server.end_of_stream(0)
    assert server.events() == [
        Discarded("11 bytes", "their message was not finished"),
        Closed(1006, "", clean=False),
    ]
    assert server.finished


def test_bytes_after_a_close_frame_are_not_dropped_in_silence() -> None:
    client, server = opened()
    client.close()
    client.send_raw(raw(b"more"))
    assert feed(server, client.bytes_to_send(0)) == [
        Closed(1000, "", clean=True),
        Discarded("10 bytes", "they came after the close frame"),
    ]
    assert feed(server, b"still more") == [Discarded("10 bytes", "the WebSocket is closed")]


def test_a_close_amid_a_message_says_what_is_lost() -> None:
    client, server = opened()
    client.send_raw(raw(b"half", fin=0))
    client.close()
    assert feed(server, client.bytes_to_send(0)) == [
        Discarded("4 bytes", "their message was not finished"),
        Closed(1000, "", clean=True),
    ]


# Misuse.


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda end: end.send(1, 0), "expected str or bytes, got int"),
        (lambda end: end.send("\ud800", 0), "UTF-8"),
        (lambda end: end.send(b"x", 0, 0), "fragments"),
        (lambda end: end.send("x", 0, 3), "fragments"),
        (lambda end: end.ping(bytes(126)), "at most 125 bytes, got 126"),
        (lambda end: end.close(999), "got 999"),
        (lambda end: end.close(1006), "got 1006"),
        (lambda end: end.close(1000, "é" * 62), "123 bytes"),
        (lambda end: end.close(1005, "why"), "none with 1005"),
        (lambda end: end.close(1000, "\ud800"), "UTF-8"),
        (lambda end: end.start(0), "one start, before anything else"),
    ],
)
@pytest.mark.parametrize("role", ["client", "server"])
def test_misuse_raises_and_sends_nothing(call: object, complaint: str, role: str) -> None:
    end = opened()[role == "server"]
    with pytest.raises(LocalProtocolError, match=complaint):
        call(end)  # type: ignore[operator]
    assert end.bytes_to_send(0) == b""
    assert end.state == "open"


@pytest.mark.parametrize("call", [lambda e: e.send("x", 0), lambda e: e.ping(), lambda e: e.close()])
def test_nothing_is_sent_before_the_opening_or_after_the_close(call: object) -> None:
    client = WebSocket("client")
    with pytest.raises(LocalProtocolError, match="one that is connecting"):
        call(client)  # type: ignore[operator]
    opened(client)
    client.close()
    with pytest.raises(LocalProtocolError, match="one that is closing"):
        call(client)  # type: ignore[operator]


def test_raw_bytes_need_a_stream() -> None:
    _, server = opened()
    server.end_of_stream(0)
    with pytest.raises(LocalProtocolError, match="not finished"):
        server.send_raw(b"x")
