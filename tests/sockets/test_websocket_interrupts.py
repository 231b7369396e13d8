"""What an exception of a signal's handler, at any place where CPython may run one, does to a WebSocket that is read."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack

import pytest

from tests.sockets.test_background import PATIENCE, pair

PLACES = 120  # of the reading, evenly spread
SENT = [b"%d" % number * 700 for number in range(6)]


class Interrupt(BaseException):
    """What a handler raises."""


def read_all(listener, client, place, at: int) -> tuple[int, str]:
    """Read what was sent, with an interrupt at a place; return how many places there were, and what came of it."""
    count = 0

    def look(frame, event, _) -> None:
        nonlocal count
        name = frame.f_code.co_filename
        if event in ("call", "c_return") and ("/packetlab/sockets/" in name or "/packetlab/engine/websocket/" in name):
            count += 1
            if count == at:
                sys.setprofile(None)
                raise Interrupt

    client.connect(place)
    conn = listener.accept()
    with conn, client:
        for data in [*SENT, "end", "end"]:
            client.write(data)
        got: list[bytes | str | None] = []
        ended = "all"
        while (not got or got[-1] != "end") and ended == "all":
            sys.setprofile(look)
            try:
                got.append(conn.read())
            except Interrupt:
                continue
            except ConnectionAbortedError as error:
                ended = "said" if "signal's handler" in str(error) else str(error)
            finally:
                sys.setprofile(None)
        got = [data for data in got if data != "end"]
        missing = [data for data in SENT if data not in got]
        assert got == [data for data in SENT if data not in missing]
        # A message on its way from the socket to the program goes with the call that is interrupted.
        assert ended == "said" or (ended == "all" and len(missing) <= 1)
        conn.abort()
        client.abort()
    return count, ended


@pytest.mark.slow
@pytest.mark.parametrize("family", ["xns", "inet"])
def test_an_interrupt_of_a_read_loses_no_frame_without_saying_so(family: str) -> None:
    a, b = pair()
    with a, b, ExitStack() as stack:
        listener = stack.enter_context(b.socket("websocket", family))
        listener.bind(7 if family == "xns" else ("127.0.0.1", 0))
        listener.listen()
        place = b.at(7) if family == "xns" else listener.address
        listener.timeout = PATIENCE
        ends: Counter[str] = Counter()
        at, places = 0, 1
        while at < places:
            client = a.socket("websocket", family)
            client.timeout = PATIENCE
            found, ended = read_all(listener, client, place, at)
            places = max(places, found)
            ends[ended] += 1
            at += max(1, places // PLACES)
    assert ends["all"] > ends["said"]
