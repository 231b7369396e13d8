"""Frames that a WebSocket endpoint of ours has to bear with: too large, oddly compressed, malformed."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest

from packetlab.engine.websocket.connection import Closed, Discarded, MessageReceived, WebSocket
from tests.engine.pair import MALFORMED, counting, exchange, failure, feed, opened, raw


@pytest.mark.parametrize("compression", [True, False])
@pytest.mark.parametrize("fragment", [None, 10])
def test_a_message_may_be_as_large_as_the_limit_and_no_larger(compression: bool, fragment: int | None) -> None:
    client, server = opened(WebSocket("client", compression=compression), WebSocket("server", largest_message=100))
    client.send("x" * 100, 0, fragment)
    assert exchange(client, server) == ([], [MessageReceived("x" * 100)])
    client.send("x" * 101, 0, fragment)
    at_client, at_server = exchange(client, server)
    code, text = failure(at_server)
    assert code == 1009
    assert "at most 100 bytes" in text
    assert at_client[0] == Closed(1009, text, clean=True)


def test_the_limit_counts_bytes_not_characters() -> None:
    client, server = opened(server=WebSocket("server", largest_message=100))
    client.send("€" * 34, 0)
    assert failure(exchange(client, server)[1])[0] == 1009


def test_a_frame_too_long_is_refused_at_its_header() -> None:
    _, server = opened(WebSocket("client", compression=False))
    assert failure(feed(server, raw(b"", length=127, length64=1 << 62)))[0] == 1009


@pytest.mark.slow
def test_a_zip_bomb_is_cut_off_before_it_fills_memory() -> None:
    bomb = zlib.compressobj(9, wbits=-15)
    data = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(256)) + bomb.flush(zlib.Z_SYNC_FLUSH)[:-4]
    assert len(data) < 300_000  # of which 256 MiB would come
    _, server = opened(server=WebSocket("server", largest_message=1 << 20))
    frame = raw(data, rsv1=1, opcode=2)
    tracemalloc.start()
    events = feed(server, frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert failure(events)[0] == 1009
    assert peak < 8 << 20


@pytest.mark.slow
def test_fragments_without_bytes_take_no_memory() -> None:
    _, server = opened()
    feed(server, raw(fin=0))
    more = raw(opcode=0, fin=0) * 1000
    feed(server, more)
    tracemalloc.start()
    for _ in range(20):
        assert feed(server, more) == []
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 100_000


@pytest.mark.parametrize("takeover", [True, False])
def test_a_final_deflate_block_does_not_end_the_messages(takeover: bool) -> None:
    """RFC 7692 section 7.2.3.4."""
    client, server = opened()
    for text in ("first " * 9, "second " * 9):
        compressor = (
            zlib.compressobj(wbits=-15, zdict=b"first " * 9)
            if takeover and text[0] == "s"
            else zlib.compressobj(wbits=-15)
        )
        data = compressor.compress(text.encode()) + compressor.flush(zlib.Z_FINISH) + b"\x00"
        assert feed(server, raw(data, rsv1=1)) == [MessageReceived(text)]
    client.send("third", 0)
    assert exchange(client, server) == ([], [MessageReceived("third")])


@pytest.mark.parametrize("offer", ["", "; client_no_context_takeover"])
def test_a_message_may_point_back_into_an_earlier_one_where_that_was_agreed_on(offer: str) -> None:
    server = WebSocket("server")
    request = WebSocket("client", compression=False, randomness=counting)
    request.start(0)
    extension = f"Sec-WebSocket-Extensions: permessage-deflate{offer}\r\n\r\n"
    (event,) = feed(server, request.bytes_to_send(0)[:-2] + extension.encode())
    assert event.extensions == (f"permessage-deflate{offer}",)  # type: ignore[attr-defined]
    compressor = zlib.compressobj(wbits=-15)
    first, second = (compressor.compress(b"context " * 9) + compressor.flush(zlib.Z_SYNC_FLUSH)[:-4] for _ in range(2))
    assert feed(server, raw(first, rsv1=1)) == [MessageReceived("context " * 9)]
    again = feed(server, raw(second, rsv1=1))
    if offer:
        assert failure(again)[0] == 1007
    else:
        assert again == [MessageReceived("context " * 9)]


@pytest.mark.parametrize("frame", [raw(b"x", opcode=9, rsv1=1), raw(fin=0) + raw(opcode=0, rsv1=1)])
def test_the_bit_of_compressed_messages_is_theirs_alone(frame: bytes) -> None:
    """RFC 7692 section 6.1."""
    assert failure(feed(opened()[1], frame))[0] == 1002


def test_what_is_no_deflate_is_1007() -> None:
    _, server = opened()
    assert failure(feed(server, raw(b"\xff\xff\xff", rsv1=1)))[0] == 1007


# Frames that no well-behaved client sends, built with the declared header.


@pytest.mark.parametrize(("frame", "code"), MALFORMED.values(), ids=MALFORMED)
def test_our_server_fails_a_malformed_frame(frame: bytes, code: int) -> None:
    client, server = opened(WebSocket("client", compression=False))
    client.send("good", 0)
    client.send_raw(frame)
    at_client, at_server = exchange(client, server)
    assert at_server[0] == MessageReceived("good")
    assert failure(at_server[1:])[0] == code
    assert isinstance(at_client[-1], Closed)
    assert (at_client[-1].code, at_client[-1].clean) == (code, True)
    assert server.finished


def test_our_client_fails_a_masked_frame() -> None:
    client, server = opened()
    server.send_raw(raw(b"x"))
    assert failure(exchange(client, server)[0])[0] == 1002


def test_what_comes_after_a_failure_is_ignored_aloud() -> None:
    _, server = opened()
    feed(server, raw(opcode=3))
    assert feed(server, raw(b"x")) == [Discarded("7 bytes", "the WebSocket is closed")]


def test_bad_text_fails_before_its_message_ends() -> None:
    _, server = opened(WebSocket("client", compression=False))
    whole = raw(b"\xff" + bytes(1000))
    assert failure(feed(server, whole[:10]))[0] == 1007
