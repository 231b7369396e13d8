"""What a peer can make an endpoint do grows with what it sends, and no faster."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from packetlab.engine.websocket import deflate
from packetlab.engine.websocket.connection import Closed, Discarded, Failed, MessageReceived, Refused, WebSocket
from tests.engine.pair import MALFORMED, feed, opened, raw

SECOND = 10**9
EMPTY = bytes.fromhex("0300")  # a final deflate block that holds nothing (RFC 1951 section 3.2.6)


def of_one(byte: int) -> bytes:
    """Return a final stored block of one byte (RFC 1951 section 3.2.4)."""
    return bytes((1, 1, 0, 0xFE, 0xFF, byte))


class Counting:
    """Stands for zlib: counts the bytes that are handed to inflaters."""

    error = zlib.error

    def __init__(self) -> None:
        self.handed = 0

    def decompressobj(self, *args: Any, **named: Any) -> Any:
        inflater, count = zlib.decompressobj(*args, **named), self

        class Inflater:
            eof = property(lambda self: inflater.eof)
            unused_data = property(lambda self: inflater.unused_data)

            def decompress(self, data: bytes, most: int) -> bytes:
                count.handed += len(data)
                return inflater.decompress(data, most)

        return Inflater()


@pytest.mark.slow
def test_final_deflate_blocks_cost_in_proportion_to_their_number(monkeypatch) -> None:
    costs = []
    for n in (4000, 8000, 16000):
        counting = Counting()
        monkeypatch.setattr(deflate, "zlib", counting)
        _, server = opened()
        blocks = b"".join(of_one(i & 255) for i in range(n)) + EMPTY
        assert feed(server, raw(blocks, rsv1=1, opcode=2)) == [MessageReceived(bytes(i & 255 for i in range(n)))]
        costs.append(counting.handed)
    assert costs[1] < 2.2 * costs[0] and costs[2] < 2.2 * costs[1]


@pytest.mark.parametrize("pieces", [1, 7])
def test_final_blocks_that_hold_nothing_end_the_websocket(pieces: int) -> None:
    _, server = opened()
    data = EMPTY * 100_000
    size = -(-len(data) // pieces)
    frames = b"".join(
        raw(data[at : at + size], rsv1=at == 0, opcode=0 if at else 2, fin=at + size >= len(data))
        for at in range(0, len(data), size)
    )
    (failed,) = [event for event in feed(server, frames) if isinstance(event, Failed)]
    assert failed.code == 1008 and "final deflate blocks in a row that hold nothing" in str(failed.error)


def test_a_few_empty_final_blocks_are_fine() -> None:
    _, server = opened()
    assert feed(server, raw(EMPTY * 3 + of_one(7) + EMPTY, rsv1=1, opcode=2)) == [MessageReceived(b"\7")]


def test_the_time_for_a_handshake_runs_from_the_start_whether_anything_comes_or_not() -> None:
    server = WebSocket("server", open_timeout=3)
    server.start(5 * SECOND)
    assert server.next_timeout() == 8 * SECOND
    server.receive(b"GET ", 7 * SECOND)
    assert server.next_timeout() == 8 * SECOND
    server.on_time(8 * SECOND)
    assert [event.status for event in server.events() if isinstance(event, Refused)] == [408]


@pytest.mark.parametrize("name", MALFORMED)
def test_what_was_wrong_is_said_in_words_that_read(name: str) -> None:
    _, server = opened(WebSocket("client", compression=False))
    (error,) = [str(event.error) for event in feed(server, MALFORMED[name][0]) if isinstance(event, Failed)]
    where, _, rest = error.partition(": expected ")
    assert where == "WebSocket frame" and ", got " in rest
    assert not any(foreign in rest for foreign in ("RFC 6455", "Opcode.", "expected C"))


@pytest.mark.parametrize("most", [1, 3, 100])
def test_a_call_does_no_more_than_it_may_and_nothing_is_lost(most: int) -> None:
    data = raw(b"", fin=0) + (raw(b"", opcode=0, fin=0) + raw(b"p", opcode=9)) * 50 + raw(b"x", opcode=0)
    data += raw(bytes(3 << 12), opcode=2) + raw(b"\x03\xe8", opcode=8) + raw(b"late", opcode=9)
    _, whole = opened()
    expected = feed(whole, data)
    _, server = opened()
    server.receive(data, 0, most)
    before = server.work
    while server.pending:
        server.receive(b"", 0, most)
        assert server.work - before <= 1 + max(most, 4)
        before = server.work
    assert server.events() == expected


def test_frames_that_the_end_of_the_stream_overtakes_are_not_dropped_in_silence() -> None:
    _, server = opened()
    server.receive(raw(b"first") + raw(b"second") * 2, 0, 1)
    server.end_of_stream(0)
    lost = len(raw(b"second") * 2)
    why = "the WebSocket ended before they were read"
    assert server.events() == [MessageReceived("first"), Discarded(f"{lost} bytes", why), Closed(1006, "", clean=False)]
    assert not server.pending
