"""Who may open a WebSocket: which pages, by which name, on which path (RFC 6455 section 10.2, RFC 9112 section 3.2)."""

from __future__ import annotations

import pytest

from packetlab.engine.websocket.connection import Failed, HandshakeCompleted, Refused, WebSocket
from packetlab.errors import LocalProtocolError
from tests.engine.test_websocket_handshake import ask

HERE = ["localhost", "localhost:8080", "127.0.0.1:1", "127.8.9.1", "[::1]", "[::1]:99", "app.localhost", "LOCALHOST."]
ELSEWHERE = ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil.example", ""]


def status(host: str = "localhost", origin: str | None = None, **options: object) -> int:
    """Return what a server answers to a request with that Host and Origin: 101, or the status of its refusal."""
    more = [f"Origin: {origin}"] if origin is not None else []
    events = ask(*more, server=WebSocket("server", **options), changed={"Host": host})[1]  # type: ignore[arg-type]
    last = events[-1]
    assert isinstance(last, HandshakeCompleted | Refused)
    return 101 if isinstance(last, HandshakeCompleted) else last.status


@pytest.mark.parametrize("host", HERE)
def test_a_server_for_this_machine_is_found_by_its_names(host: str) -> None:
    assert status(host, local=True) == 101
    assert status(host, f"http://{host}", local=True) == 101


@pytest.mark.parametrize("host", ELSEWHERE)
def test_and_by_no_other_name_nor_from_another_page(host: str) -> None:
    assert status(host, local=True) == 403
    assert status("localhost", f"https://{host}", local=True) == 403
    assert status("localhost", "null", local=True) == 403


def test_a_program_that_is_no_browser_sends_no_origin_and_is_let_in() -> None:
    assert status(local=True) == 101 and status("example.org", origins=["https://a.example"]) == 101


def test_a_server_for_everybody_asks_nobody() -> None:
    assert status("example.org", "https://evil.example") == 101


def test_origins_that_are_named_are_the_ones_let_in() -> None:
    named = {"local": True, "origins": ["https://a.example", "http://b.example:8080"]}
    assert status("localhost", "https://a.example", **named) == 101
    assert status("b.example:8080", "HTTP://B.example:8080", **named) == 101
    assert status("localhost", "http://localhost", **named) == 403
    assert status("localhost", "https://a.example.evil", **named) == 403
    assert status("other.example", "https://a.example", **named) == 403


def test_a_star_lets_everybody_in() -> None:
    assert status("other.example", "https://evil.example", local=True, origins=["*"]) == 101


def test_the_refusal_says_how_to_allow_it() -> None:
    failed, refused = ask("Origin: https://evil.example", server=WebSocket("server", local=True))[1]
    assert isinstance(failed, Failed) and isinstance(refused, Refused)
    said = "expected an Origin of this machine, got https://evil.example (a listener's origins=[...] allows others)"
    assert said in str(failed.error) and said in refused.body.decode()


def test_a_path_begins_with_a_slash_on_both_sides() -> None:
    with pytest.raises(LocalProtocolError, match='begins with "/"'):
        WebSocket("client", path="x")
    _, refused = ask(first="GET x HTTP/1.1")[1]
    assert isinstance(refused, Refused) and refused.status == 400
