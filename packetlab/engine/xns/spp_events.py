"""What a connection of SPP has to say apart from packets."""

from __future__ import annotations

from dataclasses import dataclass

from packetlab.engine.contract import Event
from packetlab.engine.xns.spp_states import SPPState, Trigger
from packetlab.errors import broken
from packetlab.packet.packet import Packet


@dataclass(frozen=True, slots=True)
class Opened(Event):
    """Both sides know each other; data may flow."""


@dataclass(frozen=True, slots=True)
class Attention(Event):
    """The peer wants attention: reported at once, ahead of data before it. The packet comes again in its place."""

    data: int
    packet: Packet


@dataclass(frozen=True, slots=True)
class PeerEnded(Event):
    """All the peer had to say has arrived."""


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """The connection is over: by a close, or with `error` where it was lost."""

    error: OSError | None


def failure(who: str, step: Trigger, before: SPPState, give_up: float, answers: bool) -> OSError:
    """Return the error of a connection that failed by a step; `answers`: the peer has been heard of lately."""
    if step is Trigger.REFUSED:
        if before is SPPState.REQUESTED:
            return broken(ConnectionRefusedError, f"{who}: nobody listens there")
        return broken(ConnectionResetError, f"{who}: the peer no longer knows this connection")
    if step is Trigger.END_REPLY:
        return broken(ConnectionResetError, f"{who}: the peer has ended without confirming all that was sent")
    waited = f"{who}: no answer for {give_up:g} s"
    if before is SPPState.REQUESTED:
        return broken(TimeoutError, waited)
    if answers:
        return broken(ConnectionAbortedError, f"{who}: the peer answers, but no longer confirms or takes what is sent")
    return broken(ConnectionAbortedError, f"{waited}; the peer is gone")
