"""A signal's handler uses other sockets of the host, at each place of a call in turn: that call does its own, once.

CPython runs handlers between two instructions; the trace function of a thread is called between any two of them too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import Any

import pytest

from packetlab.engine.xns.rip import LIFETIME, Routes
from packetlab.engine.xns.spp_send import Segment, Sender
from packetlab.engine.xns.spp_timing import Timing
from tests.sockets.test_background import PATIENCE, connected, pair


def at_each_place(functions: set[str], handler: Callable[[], object], call: Callable[[], object]) -> int:
    """Make a call again and again, with a handler at the next instruction of some functions each time; return how many there are."""

    def attempt(place: int) -> bool:
        count, reached = 0, False

        def trace(frame: FrameType, event: str, _: object) -> Any:
            nonlocal count, reached
            if reached or "/engine/xns/" not in frame.f_code.co_filename or frame.f_code.co_name not in functions:
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            count += event == "opcode"
            if count == place:
                reached = True
                sys.settrace(None)
                handler()
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            call()
        finally:
            sys.settrace(before)
        return reached

    places = 1
    while attempt(places):
        places += 1
    return places


def test_a_write_goes_out_once_wherever_a_handler_writes_opens_and_closes() -> None:
    a, b = pair()
    with a, b:
        sink, other = (b.socket("datagram", "xns") for _ in range(2))
        sink.bind(51)
        other.bind(52)
        sender, within, first = (a.socket("datagram", "xns") for _ in range(3))
        sink.timeout = other.timeout = PATIENCE
        number, written = 0, False

        def handler() -> None:
            nonlocal written
            written = True
            within.write(b"%d" % number, to=b.at(52))
            with a.socket("datagram", "xns") as fresh:
                fresh.bind(0)

        def call() -> None:
            nonlocal number, written
            number, written = number + 1, False
            sender.write(b"%d" % number, to=b.at(51))
            assert sink.read() == b"%d" % number
            if written:
                assert other.read() == b"%d" % number

        first.write(b"the ways are known", to=b.at(51))
        sink.read()
        assert at_each_place({"packets_to_send"}, handler, call) > 50
        sink.timeout = other.timeout = 0
        for each in (sink, other):
            with pytest.raises(BlockingIOError):
                each.read()


@pytest.mark.parametrize("kind", ["datagram", "seqpacket"])
def test_two_reads_take_two_packets_wherever_one_is_within_the_other(kind: str) -> None:
    a, b = pair()
    with a, b, ExitStack() as stack:
        if kind == "datagram":
            reader, sender = b.socket(kind, "xns"), a.socket(kind, "xns")
            reader.bind(51)
            sender.connect(b.at(51))
        else:
            sender, reader = connected(a, b)
            stack.callback(sender.abort)
            stack.callback(reader.abort)
        found: list[bytes] = []

        def take() -> None:
            try:
                found.append(reader.read())
            except BlockingIOError:
                found.append(b"")

        def call() -> None:
            found.clear()
            reader.timeout = PATIENCE
            sender.write(b"one")
            while not (reader._connection.receiver.ready if kind == "seqpacket" else reader._endpoint._arrived):
                b.loop.run(0.001)
            reader.timeout = 0
            take()
            assert b"one" in found and sorted(found) in ([b"one"], [b"", b"one"]), found

        assert at_each_place({"read", "peek"}, take, call) > 5


def test_a_connection_is_accepted_once_wherever_one_accept_is_within_the_other() -> None:
    a, b = pair()
    with a, b, ExitStack() as stack:
        server = b.socket("seqpacket", "xns")
        server.bind(7)
        server.listen()
        found: list[Any] = []

        def take() -> None:
            try:
                found.append(stack.enter_context(server.accept()))
            except BlockingIOError:
                found.append(None)

        def call() -> None:
            found.clear()
            server.timeout = None
            client = a.socket("seqpacket", "xns")
            client.connect(b.at(7))
            stack.callback(client.abort)
            while not server._listener._opened:
                b.loop.run(0.001)
            server.timeout = 0
            take()
            assert len([each for each in found if each is not None]) == 1, found
            for each in found:
                if each is not None:
                    each.abort()

        assert at_each_place({"accept"}, take, call) > 5


def test_a_close_looks_at_what_is_under_way_wherever_a_handler_moves_that() -> None:
    def move() -> None:
        """As a poll does, for which the window is open, and then what the peer confirms."""
        sender.departures(0)
        sender.acknowledged(sender.next, 100, 0, 0)

    def call() -> None:
        nonlocal sender
        sender = Sender(Timing())
        sender.alloc = 1
        sender.queue.extend(Segment(0, 0, b"x", None) for _ in range(5))
        sender.departures(0)
        assert sender.missed == 5 or not sender.flight
        assert sender.shut in (True, False)
        sender.flight.clear()
        assert sender.shut in (True, False)

    sender = Sender(Timing())
    assert at_each_place({"shut", "unconfirmed", "missed", "<genexpr>"}, move, call) > 50


@pytest.mark.slow
def test_ways_are_forgotten_and_sought_wherever_a_handler_joins_a_network() -> None:
    class Node:
        host, router, interfaces = 1, True, [(1, 576)]

        def touch(self, endpoint: object) -> None: ...
        def routed(self, net: int) -> None: ...
        def unreachable(self, net: int, now: int) -> None: ...

    joined = 100

    def handler() -> None:
        nonlocal joined
        joined += 1
        routes._set(joined, routes.table[1])
        routes._requests.pop(next(iter(routes._requests), 0), None)

    def call() -> None:
        nonlocal routes
        routes = Routes(Node())
        routes.joined(1, 0)
        for net in range(2, 6):
            routes._learn(net, 1, 0, net, net)
            routes.ask(net + 50, 0)
        for now in range(0, 2 * LIFETIME, LIFETIME // 8):
            routes.on_time(now)
            routes.next_timeout()
        assert set(range(2, 6)).isdisjoint(routes.table)

    routes = Routes(Node())
    assert at_each_place({"on_time", "next_timeout", "<genexpr>", "<listcomp>"}, handler, call) > 200
