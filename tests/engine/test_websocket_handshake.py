"""The opening handshake of RFC 6455 section 4: what each side lets pass, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from packetlab.engine.websocket.connection import (
    Closed,
    Discarded,
    Event,
    Failed,
    HandshakeCompleted,
    Refused,
    Reply,
    Request,
    WebSocket,
)
from packetlab.errors import LocalProtocolError
from tests.engine.pair import exchange, feed

Changed = Mapping[str, str | None]  # headers; None leaves one out
NOTHING: Changed = {}
REQUEST = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
KEY = bytes(16)  # what a client with no randomness at all sends, so that responses can be written by hand
RESPONSE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Accept": "ICX+Yqv66kxgM0FcWaLWlFLwTAI=",
}


def head(first: str, headers: Changed, *more: str) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers.items() if value is not None), *more]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def ask(
    *more: str, first: str = "GET /chat HTTP/1.1", server: WebSocket | None = None, changed: Changed = NOTHING
) -> tuple[WebSocket, list[Event]]:
    """Return a server that took the request of RFC 6455 section 1.3 with changes, and what it reports."""
    server = server or WebSocket("server")
    headers = {**REQUEST, **changed}
    return server, feed(server, head(first, headers, *more))


def answer(*more: str, first: str = "HTTP/1.1 101 Switching Protocols", changed: Changed = NOTHING) -> list[Event]:
    """Return what a client that offers subprotocols "a" and "b" says to a response with changes."""
    client = WebSocket("client", subprotocols=["a", "b"], randomness=bytes)
    client.start(0)
    return feed(client, head(first, {**RESPONSE, **changed}, *more))


def test_the_example_of_the_rfc() -> None:
    server, events = ask(
        "Origin: http://example.com",
        "Sec-WebSocket-Protocol: chat, superchat",
        server=WebSocket("server", subprotocols=["chat"]),
    )
    (event,) = events
    assert isinstance(event, HandshakeCompleted)
    assert (event.request.path, event.request.subprotocols, event.subprotocol) == (
        "/chat",
        ("chat", "superchat"),
        "chat",
    )
    assert server.bytes_to_send(0) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("changed", "more"),
    [
        ({"Upgrade": "WebSocket"}, ()),
        ({"Upgrade": "h2c, websocket"}, ()),
        ({"Connection": "keep-alive, upgrade"}, ()),
        ({"Connection": "Upgrade"}, ("Connection: keep-alive",)),
        ({}, ("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b")),
        ({}, ("X-Folded: one", "  two")),  # obs-fold, read as a space (RFC 9112 section 5.2)
        ({}, ("X-Old: caf\xe9",)),
        ({"Host": "bücher.example"}, ()),
        ({}, ("Content-Length: 0",)),
    ],
)
def test_a_server_lets_pass(changed: Changed, more: tuple[str, ...]) -> None:
    server, events = ask(*more, changed=changed)
    assert isinstance(events[0], HandshakeCompleted)
    assert server.state == "open"


@pytest.mark.parametrize(
    ("changed", "more", "status"),
    [
        ({"Host": None}, (), 400),
        ({}, ("Host: again",), 400),
        ({"Upgrade": None}, (), 426),
        ({"Upgrade": "h2c"}, (), 426),
        ({"Connection": None}, (), 400),
        ({"Connection": "keep-alive"}, (), 400),
        ({"Sec-WebSocket-Key": None}, (), 400),
        ({"Sec-WebSocket-Key": ""}, (), 400),
        ({"Sec-WebSocket-Key": "c2hvcnQ="}, (), 400),
        ({"Sec-WebSocket-Key": "bm90IHNpeHRlZW4gb2N0ZXRzIQ=="}, (), 400),
        ({"Sec-WebSocket-Key": "*" * 24}, (), 400),
        ({"Sec-WebSocket-Key": "\xe9" * 24}, (), 400),
        ({}, ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",), 400),
        ({"Sec-WebSocket-Version": None}, (), 400),
        ({"Sec-WebSocket-Version": "8"}, (), 426),
        ({"Sec-WebSocket-Version": "13, 8"}, (), 426),
        ({}, ("Sec-WebSocket-Version: 13",), 426),
        ({}, ("Sec-WebSocket-Protocol: a, a",), 400),
        ({}, ("Sec-WebSocket-Protocol: a b",), 400),
        ({}, ("Content-Length: 5",), 400),
        ({}, ("Transfer-Encoding: chunked",), 400),
        ({}, ("no colon here",), 400),
        ({}, ("X-Null: a\0b",), 400),
    ],
)
def test_a_server_refuses(changed: Changed, more: tuple[str, ...], status: int) -> None:
    server, events = ask(*more, changed=changed)
    failed, refused = events
    assert isinstance(failed, Failed)
    assert isinstance(refused, Refused)
    assert refused.status == status
    assert ("sec-websocket-version", "13") in refused.headers or not any(
        "Sec-WebSocket-Version" in n for n in (*changed, *more)
    )
    assert (server.state, server.finished) == ("closed", True)
    assert server.bytes_to_send(0).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    ("first", "status"),
    [
        ("GET /chat HTTP/1.0", 400),
        ("POST /chat HTTP/1.1", 405),
        ("GET /a b HTTP/1.1", 400),
        ("nonsense", 400),
        ("", 400),
    ],
)
def test_a_server_wants_a_get_of_http_1_1(first: str, status: int) -> None:
    _, events = ask(first=first)
    assert isinstance(events[1], Refused)
    assert events[1].status == status


@pytest.mark.parametrize(
    ("changed", "more"),
    [
        ({}, ()),
        ({"Upgrade": "WEBSOCKET"}, ()),
        ({"Connection": "x, UPGRADE"}, ()),
        ({}, ("Sec-WebSocket-Protocol: b", "X: y")),
    ],
)
def test_a_client_lets_pass(changed: Changed, more: tuple[str, ...]) -> None:
    (event,) = answer(*more, changed=changed)
    assert isinstance(event, HandshakeCompleted)
    assert event.subprotocol == ("b" if more else None)


@pytest.mark.parametrize(
    ("changed", "more"),
    [
        ({"Upgrade": None}, ()),
        ({"Upgrade": "h2c"}, ()),
        ({}, ("Upgrade: websocket",)),
        ({"Connection": None}, ()),
        ({"Connection": "close"}, ()),
        ({"Sec-WebSocket-Accept": None}, ()),
        ({"Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, ()),
        ({"Sec-WebSocket-Accept": "icx+yqv66kxgm0fcwalwlflwtai="}, ()),
        ({}, ("Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=",)),
        ({}, ("Sec-WebSocket-Protocol: c",)),
        ({}, ("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b")),
        ({}, ("Sec-WebSocket-Protocol: \xe9",)),
        ({}, ("Sec-WebSocket-Extensions: x-unheard-of",)),
        ({}, ("Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate",)),
        ({}, ("Sec-WebSocket-Extensions: permessage-deflate; x=1",)),
        ({}, ("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",)),
        ({}, ("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=16",)),
        ({}, ("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=8",)),
        ({}, ("Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; server_no_context_takeover",)),
    ],
)
def test_a_client_fails(changed: Changed, more: tuple[str, ...]) -> None:
    failed, closed = answer(*more, changed=changed)
    assert isinstance(failed, Failed)
    assert closed == Closed(1006, "", clean=False)


def test_a_client_wants_http_1_1() -> None:
    assert isinstance(answer(first="HTTP/1.0 101 Switching Protocols")[0], Failed)


def test_compression_that_was_not_offered_fails() -> None:
    client = WebSocket("client", compression=False, randomness=bytes)
    client.start(0)
    events = feed(client, head("HTTP/1.1 101 OK", RESPONSE, "Sec-WebSocket-Extensions: permessage-deflate"))
    assert isinstance(events[0], Failed)


@pytest.mark.parametrize(
    ("offer", "agreed"),
    [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=8", None),  # zlib cannot
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; client_max_window_bits=abc", None),
        ("permessage-deflate; client_no_context_takeover=1", None),
        ("permessage-deflate; x", None),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
        ('x-quoted; a="b, permessage-deflate; c"', None),
        ("x-other, permessage-deflate", "permessage-deflate"),
        (
            "permessage-deflate; x, permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover",
        ),
        (
            "permessage-deflate; client_max_window_bits=9, permessage-deflate",
            "permessage-deflate; client_max_window_bits=9",
        ),
        ("permessage-deflate, permessage-deflate; client_max_window_bits=9", "permessage-deflate"),
        ("permessage-deflate; client_no_context_takeover; x, permessage-deflate", "permessage-deflate"),
        (
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=8, permessage-deflate",
            "permessage-deflate",
        ),
        ("\xe9", None),
    ],
)
def test_a_server_takes_the_first_offer_it_can_meet(offer: str, agreed: str | None) -> None:
    _, (event,) = ask(f"Sec-WebSocket-Extensions: {offer}")
    assert isinstance(event, HandshakeCompleted)
    assert event.extensions == ((agreed,) if agreed else ())


# What a server's program says to a request.


def choose(request: Request) -> Reply | None:
    if request.path == "/moved":
        return Reply(302, headers=[("Location", "/")])
    if request.header("Origin") != "http://lab.test":
        return Reply(403, body=b"not you\n")
    return Reply(subprotocol="b", headers=[("X-Hello", "there")]) if request.path == "/b" else None


@pytest.mark.parametrize(
    ("path", "origin", "status", "body"), [("/moved", "", 302, b""), ("/", "http://elsewhere", 403, b"not you\n")]
)
def test_a_program_can_refuse(path: str, origin: str, status: int, body: bytes) -> None:
    client = WebSocket("client", path=path, headers=[("Origin", origin)])
    server = WebSocket("server", accept=choose)
    client.start(0)
    at_client, at_server = exchange(client, server, size=5)
    assert at_client == at_server
    (event,) = at_client
    assert isinstance(event, Refused)
    assert (event.status, event.body) == (status, body)
    assert client.finished
    assert server.finished


@pytest.mark.parametrize(("path", "subprotocol"), [("/b", "b"), ("/", "a")])
def test_a_program_can_choose_the_subprotocol(path: str, subprotocol: str) -> None:
    client = WebSocket("client", path=path, headers=[("Origin", "http://lab.test")], subprotocols=["a", "b"])
    client.start(0)
    (event,) = exchange(client, WebSocket("server", accept=choose, subprotocols=["b", "a"]))[0]
    assert isinstance(event, HandshakeCompleted)
    assert event.subprotocol == subprotocol
    assert (("x-hello", "there") in event.headers) == (path == "/b")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(subprotocol="never offered"),
        Reply(body=b"x"),
        Reply(199),
        Reply(headers=[("Upgrade", "x")]),
        Reply(headers=[("a b", "")]),
    ],
)
def test_a_reply_that_http_cannot_carry_is_the_programs_fault(reply: Reply) -> None:
    with pytest.raises(LocalProtocolError):
        ask(server=WebSocket("server", accept=lambda _: reply))


@pytest.mark.parametrize(
    "options",
    [
        {"subprotocols": ["a b"]},
        {"subprotocols": ["a", "a"]},
        {"headers": [("Sec-WebSocket-Key", "x")]},
        {"headers": [("X-Split", "a\r\nb: c")]},
        {"headers": [("X-Euro", "€")]},
        {"path": "/a b"},
        {"path": "/é"},
        {"host": "a\nb"},
    ],
)
def test_a_request_that_http_cannot_carry_is_the_programs_fault(options: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        WebSocket("client", **options)  # type: ignore[arg-type]


def test_there_are_two_roles() -> None:
    with pytest.raises(LocalProtocolError, match="got 'proxy'"):
        WebSocket("proxy")  # type: ignore[arg-type]


# Responses that are not 101.


def test_a_refusal_is_read_to_its_end() -> None:
    client = WebSocket("client")
    client.start(0)
    assert feed(client, b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nno") == []
    assert feed(client, b"ne") == [Refused(404, (("content-length", "4"),), b"none")]
    assert client.finished


def test_the_end_of_the_stream_may_end_a_refusal() -> None:
    client = WebSocket("client")
    client.start(0)
    assert feed(client, b"HTTP/1.1 404 Not Found\r\n\r\nnone") == []
    client.end_of_stream(0)
    assert client.events() == [Refused(404, (), b"none")]


def test_a_refusal_cut_short_says_so_and_gives_what_came() -> None:
    client = WebSocket("client")
    client.start(0)
    feed(client, b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nno")
    client.end_of_stream(0)
    failed, refused = client.events()
    assert isinstance(failed, Failed)
    assert refused == Refused(404, (("content-length", "4"),), b"no")


def test_an_endless_refusal_is_cut_off() -> None:
    client = WebSocket("client")
    client.start(0)
    events = feed(client, b"HTTP/1.1 404 Not Found\r\n\r\n" + bytes(1 << 20))
    assert events == [Discarded("the rest of the response", "65536 bytes came"), Refused(404, (), bytes(65536))]
    assert client.finished


def test_bytes_after_a_refusal_are_not_dropped_in_silence() -> None:
    client = WebSocket("client")
    client.start(0)
    assert feed(client, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\nmore") == [
        Refused(404, (("content-length", "0"),)),
        Discarded("4 bytes", "the WebSocket is closed"),
    ]
    _, events = ask(server=WebSocket("server", accept=lambda _: Reply(403)))
    assert len(events) == 1
    server = WebSocket("server", accept=lambda _: Reply(403))
    assert feed(server, head("GET / HTTP/1.1", REQUEST) + b"more")[1:] == [
        Discarded("4 bytes", "the WebSocket is closed")
    ]


def test_an_early_hint_is_not_the_answer() -> None:
    assert answer(first="HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\nHTTP/1.1 101 OK")[0] == Discarded(
        "an HTTP response 103", "it is not the final one"
    )
    assert isinstance(answer(first="HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 OK")[1], HandshakeCompleted)
