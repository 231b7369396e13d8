"""Names of hosts: looked up by a thread of its own, since nothing ends the wait for a name server."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from packetlab import Lab, LocalHost
from packetlab.errors import SocketMisuse
from tests.link.asleep import waiting
from tests.link.forks import in_child


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """An event, until which the name server says nothing; then "server.example" is this machine."""
    event, ask = threading.Event(), socket.getaddrinfo

    def slow(host: str, port: Any, *args: Any, **more: Any) -> Any:
        if host != "server.example" or more.get("flags"):
            return ask(host, port, *args, **more)
        assert event.wait(60)
        return ask("127.0.0.1", port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    yield event
    event.set()


CALLS = {
    "connect": ("stream", lambda sock: sock.connect(("server.example", 9))),
    "connect a datagram socket": ("datagram", lambda sock: sock.connect(("server.example", 9))),
    "write": ("datagram", lambda sock: sock.write(b"x", to=("server.example", 9))),
    "bind": ("stream", lambda sock: sock.bind(("server.example", 0))),
    "open a websocket": ("websocket", lambda sock: sock.connect(("server.example", 9))),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_close_ends_the_wait_for_a_name_server(answered: threading.Event, call: str) -> None:
    kind, do = CALLS[call]
    sock = LocalHost().socket(kind, "inet")
    error = waiting(lambda: do(sock), sock.close)
    assert isinstance(error, OSError) and error.errno == errno.EBADF and "closed" in str(error), repr(error)


@pytest.mark.parametrize("call", CALLS)
def test_closing_its_host_ends_the_wait_for_a_name_server(answered: threading.Event, call: str) -> None:
    host = LocalHost()
    kind, do = CALLS[call]
    sock = host.socket(kind, "inet")
    error = waiting(lambda: do(sock), host.close)
    assert isinstance(error, OSError) and error.errno == errno.EBADF and "closed" in str(error), repr(error)
    sock.close()


@pytest.mark.parametrize("call", CALLS)
def test_the_time_of_a_socket_holds_for_a_name_server(answered: threading.Event, call: str) -> None:
    kind, do = CALLS[call]
    sock = LocalHost().socket(kind, "inet")
    sock.timeout = 0.05
    with pytest.raises(TimeoutError):
        do(sock)
    sock.close()


def test_an_answer_that_is_late_is_for_the_next_call(answered: threading.Event) -> None:
    sock = LocalHost().socket("datagram", "inet")
    sock.timeout = 0
    with pytest.raises(BlockingIOError):
        sock.connect(("server.example", 9))
    answered.set()
    sock.timeout = None
    sock.connect(("server.example", 9))
    assert sock.peer == ("127.0.0.1", 9)
    sock.close()


def test_a_forked_child_asks_anew(answered: threading.Event) -> None:
    """The thread that asks is the parent's alone."""
    with LocalHost().socket("datagram", "inet") as sock:
        sock.timeout = 0.05
        with pytest.raises(TimeoutError):
            sock.connect(("server.example", 9))

        def child() -> object:
            answered.set()
            sock.timeout = 20
            sock.connect(("server.example", 9))
            return sock.peer

        assert in_child(child) == "('127.0.0.1', 9)"


def test_a_name_is_connected_to_once_it_is_known(answered: threading.Event) -> None:
    host = LocalHost()
    with host.socket("stream", "inet") as server, host.socket("stream", "inet") as client:
        server.bind(("localhost", 0))
        server.listen()
        assert waiting(lambda: client.connect(("server.example", server.address[1])), answered.set) is None
        assert client.peer == server.address
    host.close()


def test_a_lab_asks_no_name_server() -> None:
    with Lab() as lab, lab.host("a").socket("datagram", "inet") as sock:
        with pytest.raises(SocketMisuse, match="nothing leaves a lab") as caught:
            sock.connect(("server.example", 9))
        assert caught.value.errno == errno.EINVAL
        sock.connect(("localhost", 9))
        assert sock.peer == ("127.0.0.1", 9)
