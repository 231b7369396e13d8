"""WebSockets made to cost much: reading them is linear, and what waits keeps to its limit and is reported when given up."""

from __future__ import annotations

from typing import Any

import pytest

from packetlab import Capture, Frame, WebSocketFrame
from packetlab.capture.reassembly import WebSocketMessage, WebSockets
from tests.capture.reassembly.segments import Line
from tests.growth import is_linear, peak, steps

REQUEST = (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")  # fmt: skip
ANSWER = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")  # fmt: skip


def spoken(*parts: bytes, first: int = 1000) -> list[Frame]:
    """Return a handshake, and what the server says then, a segment a part."""
    line = Line(first=first)
    line.open()
    line.put(0, REQUEST)
    at = 0
    for part in (ANSWER, *parts):
        line.put(at, part, back=True, ack=len(REQUEST))
        at += len(part)
    return line.frames


def frame(opcode: int, data: bytes = b"", fin: int = 1, size: int | None = None) -> bytes:
    head = bytes(WebSocketFrame(fin=fin, opcode=opcode) / data)
    if size is not None:
        head = bytes([fin << 7 | opcode, 127]) + size.to_bytes(8, "big")
        return head + data
    return head


def messages(frames: list[Frame], **limits: Any) -> list[WebSocketMessage]:
    return list(Capture.of(frames).websocket_messages(**limits))


def in_many_segments(count: int) -> list[Frame]:
    return spoken(frame(2, b"x", size=count), *[b"x"] * (count - 1))


def of_no_kind(count: int) -> list[Frame]:
    return spoken(*[frame(0 if i else 3, b"x" * 100, fin=0) for i in range(count)])


def of_many_frames(count: int) -> list[Frame]:
    return spoken(*[frame(0 if i else 2, b"x", fin=0) for i in range(count)])


def faulty(count: int) -> list[Frame]:
    return spoken(*[bytes([0x30 | (0 if i else 2), 0]) for i in range(count)])


def pings_within(count: int) -> list[Frame]:
    return spoken(frame(2, b"x", fin=0), *[frame(9, b"x") for _ in range(count)])


@pytest.mark.slow
@pytest.mark.parametrize("measure", [steps, peak])
@pytest.mark.parametrize("make", [in_many_segments, of_no_kind, of_many_frames, faulty, pings_within])
def test_messages_cost_as_much_a_segment(make: Any, measure: Any) -> None:
    is_linear(messages, make, 60, measure)


def test_a_message_says_in_which_frames_of_the_capture_it_came() -> None:
    (whole,) = messages(spoken(frame(2, b"abc", size=6), b"def"))
    assert (whole.data, whole.numbers) == (b"abcdef", (6, 7))


@pytest.mark.slow
def test_of_a_message_that_is_too_long_only_the_beginning_is_kept() -> None:
    for opcode in (1, 2, 3):
        parts = [frame(0 if i else opcode, b"x" * 1000, fin=int(i == 99)) for i in range(100)]
        (message,) = messages(spoken(*parts), largest=4000)
        assert len(message.data) == 4000
        assert peak(lambda parts=parts: messages(spoken(*parts), largest=4000)) < 3_000_000


def many(connections: int, *parts: bytes) -> list[Frame]:
    """Return connections from addresses of their own."""
    found = []
    for number in range(connections):
        for one in spoken(*parts):
            raw = bytearray(one.data)
            place = 26 if raw[29] == 1 else 30  # the client's address
            raw[place : place + 4] = bytes([10, 9, number >> 8, number & 255])
            found.append(Frame(bytes(raw), one.time_ns))
    return found


def test_messages_that_wait_for_their_rest_take_so_much_memory_and_no_more() -> None:
    frames = many(60, frame(2, b"x" * 1000, size=5000), b"y" * 100)
    machine = WebSockets(waiting=20_000)
    found = [message for one in Capture.of(frames) for message in machine.receive(one)]
    assert machine._held <= 20_000
    assert machine.given_up == len(found) > 30
    assert {(bytes(message.data[:1001]), message.whole) for message in found} <= {
        (b"x" * 1000, False),
        (b"x" * 1000 + b"y", False),
    }
    assert str(found[0].faults[-1]).endswith("got more than 20000 bytes that wait")
    assert len(machine.end()) == 60 - len(found)


def test_what_follows_in_a_connection_that_was_given_up_counts_as_unread() -> None:
    machine = WebSockets(waiting=4000)
    frames = spoken(frame(2, b"x" * 5000, size=9000), b"y" * 500)
    (message,) = [message for one in Capture.of(frames) for message in machine.receive(one)]
    assert message.connection.unread == {"client": 0, "server": 500}
    assert machine.given_up == 1


@pytest.mark.slow
def test_handshakes_that_are_never_complete_take_so_much_memory_and_no_more() -> None:
    def flood(count: int) -> list[Frame]:
        return [one for one in many(count) if b"GET" in one.data or len(one.data) < 60]

    machine = WebSockets(waiting=60_000)
    for one in Capture.of(flood(100)):
        machine.receive(one)
    assert machine._held <= 60_000
    assert machine.given_up >= 80
    is_linear(lambda frames: messages(frames, waiting=60_000), flood, 30)


@pytest.mark.slow
def test_an_endless_stream_of_requests_costs_as_much_a_request() -> None:
    ask, reply = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    def make(count: int) -> list[Frame]:
        line = Line()
        line.open()
        for i in range(count):
            line.put(i * len(ask), ask, ack=i * len(reply))
            line.put(i * len(reply), reply, back=True, ack=(i + 1) * len(ask))
        return line.frames

    is_linear(messages, make, 30)
