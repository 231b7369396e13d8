"""WebSocket listeners and peers that misbehave: those who say nothing, who never stop, who do not read."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter

import pytest
from websockets.sync.client import connect as library_client

from packetlab import LocalHost, LocalProtocolError, SimNetwork
from packetlab.engine.websocket.connection import WebSocket
from packetlab.engine.websocket.events import Reply
from packetlab.sockets import inet, websocket_stream
from tests.engine.pair import raw

PATIENCE = 30
REQUEST = (
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture
def listener():
    server = LocalHost().socket("websocket")
    server.timeout = PATIENCE
    server.bind(("127.0.0.1", 0))
    server.listen()
    yield server
    server.abort()


@pytest.fixture
def guests(listener):
    """A function that opens a TCP connection to the listener."""
    made: list[socket.socket] = []

    def guest() -> socket.socket:
        made.append(socket.create_connection(listener.address, timeout=PATIENCE))
        return made[-1]

    yield guest
    for each in made:
        each.close()


def handshaken(guest: socket.socket, listener):
    """Open a WebSocket by hand; return our end of it."""
    guest.sendall(REQUEST.encode())
    conn = listener.accept()
    assert guest.recv(4096).startswith(b"HTTP/1.1 101")
    return conn


def test_a_hundred_get_through_before_the_listener_has_a_turn(listener, guests) -> None:
    with listener.host.loop.lock:  # nobody takes connections now: the kernel keeps them, and lets no SYN be repeated
        for _ in range(100):
            guests()


def test_a_large_message_is_copied_once_however_little_the_stream_takes_at_a_time(
    listener, guests, monkeypatch
) -> None:
    size, copied = 1 << 22, 0
    give = inet.InetStream.give

    def sparing(stream: inet.InetStream, data: bytes) -> int:
        nonlocal copied
        copied += len(data)
        return give(stream, data[: 1 << 14])

    monkeypatch.setattr(inet.InetStream, "give", sparing)
    guest = guests()
    conn = handshaken(guest, listener)
    written = threading.Thread(target=conn.write, args=(bytes(size),))
    written.start()
    left = size
    while left > 0:
        left -= len(guest.recv(1 << 20))
    written.join()
    assert copied < 8 * size


@pytest.mark.parametrize("many", [5, 40])
def test_silent_connections_keep_nobody_out(listener, guests, many: int) -> None:
    for _ in range(many):
        guests()

    def greet() -> None:
        with library_client(f"ws://127.0.0.1:{listener.address[1]}"):
            pass

    greeted = threading.Thread(target=greet)
    greeted.start()
    conn = listener.accept()
    assert conn.read() is None and conn.close_code == 1000
    conn.close()
    greeted.join(PATIENCE)
    assert not greeted.is_alive()


def test_the_oldest_silent_one_goes_when_there_are_too_many(listener, guests, monkeypatch) -> None:
    monkeypatch.setattr(websocket_stream, "GUESTS", 3)
    silent = [guests() for _ in range(3)]
    listener.host.loop.run(0)
    conn = handshaken(guests(), listener)
    with contextlib.suppress(ConnectionResetError):
        assert silent[0].recv(1) == b""
    silent[2].setblocking(False)
    with pytest.raises(BlockingIOError):  # is still waited for
        silent[2].recv(1)
    conn.abort()


def test_one_that_says_nothing_gets_an_answer_and_sent_away() -> None:
    net = SimNetwork(seed=1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.01)
    server = b.socket("websocket")
    server.bind(80)
    server.listen()
    client = a.socket("stream")
    client.connect(b.at(80))
    server.timeout = 15
    with pytest.raises(TimeoutError):
        server.accept()
    assert client.read().startswith(b"HTTP/1.1 408")


TINY = {
    "pongs": raw(b"x" * 100, opcode=10),
    "empty pongs": raw(opcode=10),
    "empty pings": raw(opcode=9),
    "empty continuations": raw(opcode=0, fin=0),
    "continuations of one byte": raw(b"x", opcode=0, fin=0),
}


@pytest.fixture
def taken(monkeypatch) -> Counter[WebSocket]:
    """Frames that each engine has taken."""
    counts: Counter[WebSocket] = Counter()
    take = WebSocket._take

    def counting(self: WebSocket, *given) -> None:
        counts[self] += 1
        take(self, *given)

    monkeypatch.setattr(WebSocket, "_take", counting)
    return counts


@pytest.mark.parametrize("kind", TINY)
def test_a_guest_takes_no_more_than_its_turn_however_small_its_frames(listener, guests, taken, kind: str) -> None:
    flooding, polite = guests(), guests()
    ours = handshaken(flooding, listener)
    other = handshaken(polite, listener)
    many = 10_000
    with (loop := listener.host.loop).lock:
        flooding.sendall(raw(b"", fin=0) * ("cont" in kind) + TINY[kind] * many)
        polite.sendall(raw(b"hello"))
        before = taken[ours._endpoint.engine]
        ours._endpoint.poll(loop.now)
        assert 0 < taken[ours._endpoint.engine] - before <= websocket_stream.AT_ONCE
        assert other.read() == "hello"
        assert taken[ours._endpoint.engine] < 8 * websocket_stream.AT_ONCE
    while (before := taken[ours._endpoint.engine]) < many:  # and all come in the end
        loop.wait(lambda before=before: taken[ours._endpoint.engine] > before or None, "the rest", PATIENCE)
    ours.abort()
    other.abort()


def test_timers_have_their_turn_while_a_guest_keeps_sending(listener, guests, monkeypatch) -> None:
    monkeypatch.setattr(websocket_stream, "FIRST", 4)
    guest = guests()
    conn = handshaken(guest, listener)
    times: list[int] = []
    with (loop := listener.host.loop).lock:
        guest.sendall(TINY["empty pongs"] * 5000)
        monkeypatch.setattr(websocket_stream.WebSocketDriver, "_on_time", lambda driver, now: times.append(now))
        for turn in range(1, 9):
            conn._endpoint.poll(loop.now)
            assert len(times) == turn // 4
    monkeypatch.undo()
    conn.abort()


def test_those_who_knock_take_no_more_than_their_turn(listener, guests) -> None:
    porch, many = listener._porch, 3 * websocket_stream.LET_IN
    with (loop := listener.host.loop).lock:
        for _ in range(many):
            guests()
        porch.poll(loop.now)
        assert len(porch._guests) == websocket_stream.LET_IN
    conn = handshaken(guests(), listener)
    assert len(porch._guests) == many
    conn.abort()


@pytest.mark.parametrize("kind", TINY)
def test_a_flood_does_not_hold_up_a_readers_timeout(listener, guests, kind: str) -> None:
    guest = guests()
    conn = handshaken(guest, listener)
    enough = threading.Event()
    guest.sendall(raw(b"", fin=0) * ("cont" in kind))
    frames = TINY[kind] * 5000

    def flood() -> None:
        try:
            while not enough.is_set():
                guest.sendall(frames)
        except OSError:
            pass

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        conn.timeout = 0.25
        with pytest.raises(TimeoutError):
            conn.read()
        assert flooding.is_alive()  # so it was the clock that ended the wait
        assert conn._endpoint.pinged == set() and len(conn.log) < 10
    finally:
        enough.set()
        conn.abort()
        flooding.join(PATIENCE)


@pytest.mark.slow
def test_one_who_pings_and_does_not_read_is_read_no_further(listener, guests) -> None:
    guest = guests()
    conn = handshaken(guest, listener)
    conn.timeout = 0
    guest.setblocking(False)
    pings, sent, stuck = raw(b"x" * 125, opcode=9) * 500, 0, 0
    while stuck < 20 and sent < 1 << 28:
        try:
            sent += guest.send(pings)
            stuck = 0
        except BlockingIOError:
            stuck += 1
        with pytest.raises(BlockingIOError):
            conn.read()
    assert stuck == 20, "it was read for ever"
    assert len(conn._endpoint._out) < websocket_stream.UNSENT_LIMIT + (1 << 20)
    conn.abort()


def test_messages_that_nobody_reads_have_a_bound_in_bytes_and_none_is_lost(listener, guests) -> None:
    guest = guests()
    conn = handshaken(guest, listener)
    big, many = bytes(1 << 20), 60
    writer = threading.Thread(target=lambda: [guest.sendall(raw(big, opcode=2)) for _ in range(many)])
    writer.start()
    assert conn.read() == big
    conn.timeout = PATIENCE
    most = 0
    for _ in range(many - 1):
        assert conn.read() == big
        most = max(most, conn._endpoint.inbox_bytes)
    writer.join(PATIENCE)
    assert most < websocket_stream.AHEAD_BYTES + (2 << 20)
    conn.abort()


@pytest.mark.parametrize("origins", [None, ["https://example.org"], ["*"]])
def test_a_listener_on_loopback_lets_no_foreign_page_in_unless_it_is_named(origins) -> None:
    with LocalHost().socket("websocket", origins=origins) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with socket.create_connection(server.address, timeout=PATIENCE) as page:
            page.sendall(REQUEST.replace("Host:", "Origin: https://example.org\r\nHost:").encode())
            server.timeout = 0 if origins is None else PATIENCE
            if origins is None:
                with pytest.raises(BlockingIOError):
                    server.accept()
            else:
                server.accept().abort()
            assert page.recv(4096).startswith(b"HTTP/1.1 403" if origins is None else b"HTTP/1.1 101")


def test_a_refusal_shows_where_it_sends_us_and_what_it_says() -> None:
    net = SimNetwork(seed=1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.01)
    away = Reply(302, headers=[("Location", "/there")], body=b"moved \x1b[31mfor good\n")
    server = b.socket("websocket", accept=lambda request: away)
    server.bind(80)
    server.listen()
    client = a.socket("websocket")
    with pytest.raises(ConnectionRefusedError) as refused:
        client.connect(b.at(80))
    said = r"the server answered with status 302 (Location: /there): moved \x1b[31mfor good"
    assert str(refused.value).endswith(said)


def test_a_wrong_subprotocol_or_path_is_an_error_at_once() -> None:
    host = LocalHost()
    for wrong in (["a b"], ["a", "a"], [""], "chat"):
        with pytest.raises(LocalProtocolError, match="subprotocols"):
            host.socket("websocket", subprotocols=wrong)
    with host.socket("websocket") as client, pytest.raises(LocalProtocolError, match='begins with "/", got'):
        client.connect(("127.0.0.1", 9), path="x")
