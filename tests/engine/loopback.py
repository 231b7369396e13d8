"""A blocking loop that joins an endpoint to a socket, and a server of threads: on loopback only."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from packetlab.engine.websocket.connection import Event, MessageReceived, WebSocket

PATIENCE = 30.0  # seconds without a sign of life after which a test is broken


def events(end: WebSocket, sock: socket.socket) -> Iterator[Event]:
    """Yield an endpoint's events until its stream is over; the caller may send between them.

    It reads while it writes: a peer that writes back before it has read all would wait for us, and we for it.
    """
    out = bytearray()
    with sock:
        sock.setblocking(False)
        while True:
            yield from end.events()
            out += end.bytes_to_send(time.monotonic_ns())
            if end.finished and not out:
                break
            until = end.next_timeout()
            wait = PATIENCE if until is None else max(0.0, (until - time.monotonic_ns()) / 1e9)
            readable, writable, _ = select.select([] if end.finished else [sock], [sock] if out else [], [], wait)
            assert readable or writable or until is not None, "the peer is silent"
            try:
                if writable:
                    del out[: sock.send(out)]
                if readable and (data := sock.recv(1 << 16)):
                    end.receive(data, time.monotonic_ns())
                elif readable:
                    end.end_of_stream(time.monotonic_ns())
            except ConnectionError:  # reset: what was to be sent cannot be
                end.end_of_stream(time.monotonic_ns())
                out.clear()
            end.on_time(time.monotonic_ns())
        drain(sock)


def drain(sock: socket.socket) -> None:
    """Close our half and read the other to its end, lest the kernel's reset overtakes our last bytes."""
    try:
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(PATIENCE)
        while sock.recv(1 << 16):
            pass
    except OSError:
        pass


def talk(client: WebSocket, port: int) -> Iterator[Event]:
    """Connect a client to a server on loopback, and yield its events."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.start(time.monotonic_ns())
    return events(client, sock)


def echo(end: WebSocket, sock: socket.socket) -> None:
    """Send back every message."""
    for event in events(end, sock):
        if isinstance(event, MessageReceived) and end.state == "open":
            end.send(event.data, 0)


@contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Accept connections, each in a thread of its own, until the block ends; give the port, raise what they raised."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    failures: list[BaseException] = []

    def one(sock: socket.socket) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            handle(sock)
        except BaseException as failure:
            failures.append(failure)
        finally:
            sock.close()

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=one, args=[sock])
            threads.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # wakes the acceptor
        listener.close()
        acceptor.join(PATIENCE)
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in [acceptor, *threads])
    for failure in failures:
        raise failure
