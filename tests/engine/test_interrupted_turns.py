"""A turn of the XNS layers that an exception of a signal's handler ends, at each place where CPython may run one.

That is where a Python function begins, and after a function of C. Another turn has to make good what was left undone.
"""

from __future__ import annotations

import sys

import pytest

from packetlab import SimNetwork, Timing
from packetlab.network.xns_driver import XNSDriver

PLACES = 300  # of each conversation, evenly spread
SAID = [b"one", b"two", b"three", b"four", b"five", b"six"]


class Interrupt(BaseException):
    """What a handler raises."""


class Interruption:
    """Counts the places within turns of the layers, and interrupts one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.count, self.at, self._depth = 0, at, 0
        for name in ("poll", "take"):
            monkeypatch.setattr(XNSDriver, name, self._within(getattr(XNSDriver, name)))

    def _within(self, plain):
        def call(*given):
            self._depth += 1
            try:
                return plain(*given)
            finally:
                self._depth -= 1

        return call

    def _look(self, frame, event, _) -> None:
        if self._depth and event in ("call", "c_return") and "/packetlab/engine/" in frame.f_code.co_filename:
            self.count += 1
            if self.count == self.at:
                raise Interrupt

    def tried(self, net: SimNetwork, call, again: bool = True):
        """Call something; where it was interrupted, have everybody turn again, and call it again unless it has begun."""
        sys.setprofile(self._look)
        try:
            return call()
        except Interrupt:
            net.poll()
            return call() if again else None
        finally:
            sys.setprofile(None)


def conversation(monkeypatch: pytest.MonkeyPatch, at: int) -> tuple[int, list[bytes], list[str]]:
    """Return how many places there were, what arrived, and how the two connections ended."""
    with monkeypatch.context() as patch:
        net = SimNetwork(7)
        a, b = net.host("a"), net.host("b")
        a.timing = b.timing = Timing(give_up=60.0)
        net.link(a, b, delay=0.01)
        listener, client = b.socket("seqpacket"), a.socket("seqpacket")
        listener.bind(7)
        listener.listen()
        client.connect(b.at(7), wait=False)
        interruption = Interruption(patch, at)
        interruption.tried(net, lambda: client.connect(b.at(7)))
        conn = interruption.tried(net, listener.accept)
        got: list[bytes] = []
        for data in SAID:
            interruption.tried(net, lambda data=data: client.write(data), again=False)
        while len(got) < len(SAID):
            got.append(interruption.tried(net, conn.read))
        for sock in (client, conn):
            sock.timeout = 120
            interruption.tried(net, sock.close)
        net.run(300)
        ends = [f"{sock.state.value} {sock._connection.error}" for sock in (client, conn)]
    return interruption.count, got, ends


@pytest.mark.slow
def test_nothing_is_lost_or_said_twice_where_a_turn_is_interrupted(monkeypatch) -> None:
    places, said, ends = conversation(monkeypatch, 0)
    assert said == SAID and ends == ["closed None"] * 2
    for at in range(1, places, max(1, places // PLACES)):
        _, got, after = conversation(monkeypatch, at)
        assert (at, got, after) == (at, SAID, ends)
