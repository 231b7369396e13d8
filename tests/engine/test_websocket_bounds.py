"""The opening handshake ends, whatever comes or does not: in bytes and in time."""

from __future__ import annotations

import pytest

from packetlab.engine.websocket.connection import Closed, Event, Failed, HandshakeCompleted, Refused, WebSocket
from tests.engine.pair import feed
from tests.engine.test_websocket_handshake import REQUEST, RESPONSE, ask, head

SECOND = 10**9


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
@pytest.mark.parametrize("role", ["client", "server"])
def test_a_head_has_a_limit_that_splits_do_not_move(role: str, size: int) -> None:
    def outcome(limit: int) -> Event:
        if role == "client":
            end, data = WebSocket("client", randomness=bytes, largest_head=limit), head("HTTP/1.1 101 OK", RESPONSE)
            end.start(0)
        else:
            end, data = WebSocket("server", largest_head=limit), head("GET / HTTP/1.1", REQUEST)
        return feed(end, data, size)[0]

    whole = len(head("HTTP/1.1 101 OK", RESPONSE) if role == "client" else head("GET / HTTP/1.1", REQUEST))
    assert isinstance(outcome(whole), HandshakeCompleted)
    failed = outcome(whole - 1)
    assert isinstance(failed, Failed)
    assert f"at most {whole - 1} bytes" in str(failed.error)


def test_a_head_that_never_ends_is_cut_off() -> None:
    server = WebSocket("server")
    events = feed(server, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10_000, 500)
    assert isinstance(events[1], Refused)
    assert events[1].status == 431


def test_hints_that_never_end_are_cut_off() -> None:
    client = WebSocket("client")
    client.start(0)
    events = feed(client, b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, 500)
    assert sum(isinstance(event, Failed) for event in events) == 1
    assert client.finished


def test_a_server_waits_for_a_request_no_longer_than_it_said() -> None:
    server = WebSocket("server", open_timeout=3)
    assert server.next_timeout() is None
    server.receive(b"GET ", 5)
    server.receive(b"/ ", SECOND)
    assert server.next_timeout() == 3 * SECOND + 5
    server.on_time(3 * SECOND + 4)
    assert server.events() == []
    server.on_time(3 * SECOND + 5)
    failed, refused = server.events()
    assert isinstance(failed, Failed)
    assert isinstance(refused, Refused)
    assert refused.status == 408
    assert server.finished


def test_a_client_waits_for_a_response_no_longer_than_it_said() -> None:
    client = WebSocket("client", open_timeout=3)
    client.start(5)
    assert client.next_timeout() == 3 * SECOND + 5
    client.on_time(3 * SECOND + 5)
    failed, closed = client.events()
    assert isinstance(failed, Failed)
    assert closed == Closed(1006, "", clean=False)
    assert client.finished


@pytest.mark.parametrize("role", ["client", "server"])
def test_an_opening_cut_short_fails(role: str) -> None:
    end = WebSocket("client") if role == "client" else WebSocket("server")
    end.receive(b"HTTP/1.1 101" if role == "client" else b"GET / HT", 0)
    end.end_of_stream(0)
    failed, last = end.events()
    assert isinstance(failed, Failed)
    assert isinstance(last, Closed if role == "client" else Refused)
    assert end.finished


def test_no_timer_runs_while_a_websocket_is_open() -> None:
    server, _ = ask()
    assert server.next_timeout() is None
    server.on_time(1 << 62)
    assert server.state == "open"
