"""The contract between a protocol engine and whatever drives it: a test, a simulated network, a lab, a real interface.

An engine knows no socket, clock or randomness. Time is an argument: whole nanoseconds of a clock that never goes back;
where it starts means nothing. After every call that puts something in, the driver takes out what is ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from numbers import Real
from typing import TYPE_CHECKING

from packetlab.errors import LocalProtocolError, PacketlabError

if TYPE_CHECKING:
    from packetlab.packet.packet import Header, Packet

SECOND = 1_000_000_000


def nanoseconds(seconds: float, where: str, hint: str = "") -> int:
    """Return a number of seconds as whole nanoseconds; for what is none, LocalProtocolError with `where` and `hint`."""
    if isinstance(seconds, Real) and -inf < seconds < inf:
        return int(seconds * SECOND)
    got = f"{seconds}" if isinstance(seconds, Real) else type(seconds).__name__
    raise LocalProtocolError(where, "a number of seconds", got, hint)


@dataclass(frozen=True, slots=True)
class Event:
    """What an engine has to say apart from packets."""


@dataclass(frozen=True, slots=True)
class Ignored(Event):
    """A packet that went no further, and why: an engine never drops one in silence."""

    packet: Packet
    why: str


class Engine:
    """A protocol: subclass it and say what a packet and the time do to it."""

    def receive(self, packet: Packet, now: int) -> None:
        """Take in a packet."""
        raise NotImplementedError

    def packets_to_send(self, now: int) -> Sequence[Packet | Header]:
        """Hand out the packets that are to go out now, each once."""
        return []

    def next_timeout(self) -> int | None:
        """Return when `on_time` is wanted next, or None."""
        return None

    def on_time(self, now: int) -> None:
        """Do what is due at `now`; called at or after what `next_timeout` said."""

    def events(self) -> list[Event]:
        """Hand out what has happened since the last call."""
        return []


class Endpoint(Engine):
    """An engine that is bound to a socket number of a node (see `idp`).

    Attributes:
        stamped: the node puts its own address on packets that name no source, or everybody.
    """

    stamped = True

    def __init__(self) -> None:
        self._events: list[Event] = []

    def events(self) -> list[Event]:
        """Hand out what has happened."""
        events, self._events = self._events, []
        return events

    def packets_to_send(self, now: int) -> list[Packet]:
        """Hand out the packets, from IDP up, that are to go out now, each once."""
        return []

    def route(self, packet: Packet) -> Endpoint | None:
        """Return who takes a packet for this socket: itself, or a part of it. None: nobody; the sender gets an error."""
        return self

    def troubled(self, packet: Packet, number: int, now: int) -> None:
        """Take in an Error packet about a packet that went out from this socket."""

    def unbuilt(self, error: PacketlabError, now: int) -> None:
        """Take in that a packet of this socket's cannot be built, and does not go out; nor those after it, this time."""

    @property
    def over(self) -> bool:
        """Whether the node may forget it, and its socket number may go to another."""
        return False
