"""When an SPP connection repeats itself, and when it gives up.

The standard's own words on timing were not found; round trips are measured as RFC 6298 says (sections 2, 3 and 5), with a
lower floor since labs and local networks are quick.
"""

from __future__ import annotations

from dataclasses import dataclass

from packetlab.engine.contract import SECOND, nanoseconds


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of a connection, in seconds.

    Attributes:
        first: before a repeat while no round trip has been measured. shortest, longest: bounds of that time later.
        give_up: of silence while something is unanswered, or in which a peer that answers confirms nothing of what its
            window lets us send; then the connection is aborted. A shut window is no such thing while nobody closes.
        dally: how long the side that answered an END still answers repeats.
        keep_alive: of silence before a quiet link is probed; None: never.
        linger: how long a close waits for a peer that answers, but neither ends nor lets us send the rest. What the peer
            has confirmed needs no END: the connection then is over. What it has not goes on waiting; `close` does not.
        shut: how long that goes on where the peer's window stays shut; then the connection is aborted.
    """

    first: float = 1.0
    shortest: float = 0.2
    longest: float = 8.0
    give_up: float = 30.0
    dally: float = 5.0
    keep_alive: float | None = None
    linger: float = 15.0  # as Cornell's sppclose.c
    shut: float = 300.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if name != "keep_alive" or self.keep_alive is not None:
                nanoseconds(getattr(self, name), f"Timing.{name}")


class RoundTrip:
    """The time to wait for an answer, from measured round trips. All in nanoseconds."""

    __slots__ = ("longest", "shortest", "smooth", "timeout", "variation")

    def __init__(self, timing: Timing) -> None:
        self.shortest, self.longest = int(timing.shortest * SECOND), int(timing.longest * SECOND)
        self.timeout = int(timing.first * SECOND)
        self.smooth = self.variation = -1

    def measured(self, round_trip: int) -> None:
        """Take in a round trip of something that was sent just once."""
        if self.smooth < 0:
            self.smooth, self.variation = round_trip, round_trip // 2
        else:
            # RFC 6298 (2.3): beta 1/4, alpha 1/8.
            self.variation += (abs(self.smooth - round_trip) - self.variation) // 4
            self.smooth += (round_trip - self.smooth) // 8
        # Half the floor stands for the clock's granularity (2.3): a steady round trip must not end its own wait.
        slack = max(4 * self.variation, self.shortest // 2)
        self.timeout = min(max(self.smooth + slack, self.shortest), self.longest)

    def after_repeat(self, since: int) -> None:
        """Take in an answer to something sent more than once, `since` the last time.

        Which sending it answers is not known, so it is no measurement (RFC 6298 section 3), but where it comes after
        the usual time. Where it comes much sooner than the wait was long, the wait has grown too long by losses.
        """
        if self.smooth >= 0 and abs(since - self.smooth) <= max(4 * self.variation, self.smooth // 4):
            self.measured(since)
        elif since < self.timeout // 4:
            self.timeout = max(self.timeout // 2, self.shortest)

    def back_off(self) -> None:
        """No answer came in time: wait twice as long until a round trip is measured again (RFC 6298 5.5)."""
        self.timeout = min(2 * self.timeout, self.longest)
