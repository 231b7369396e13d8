"""Player: sends a tape's packets at their times, while time passes on a network (a driver, see `link.event_loop`)."""

from __future__ import annotations

import sys

from packetlab.link.event_loop import EventLoop
from packetlab.link.port import Port
from packetlab.link.simnet import SimNetwork
from packetlab.link.socket_port import SOON
from packetlab.network.outgoing import Outgoing, earliest
from packetlab.packet.packet import Packet
from packetlab.testing.timeline import SECOND, Expected, Quiet, Send, Timeline


class Player:
    """The part of a tape that acts.

    Attributes:
        due: when it next has something to do, by the event loop's clock.
    """

    served = False  # a script goes on while somebody waits for what comes of it
    ports: tuple[Port, ...] = ()

    def __init__(self, tape: Timeline, loop: EventLoop) -> None:
        self.tape, self.loop = tape, loop
        self.due: int | None = loop.now
        # Its ports are read by others, so no event loop waits for room in them on its behalf.
        self._outgoing = Outgoing(_refused, most=sys.maxsize, every=SOON)
        self._source = next((source for source in tape.sources if source.loop is loop), None)
        self._start = loop.now if self._source is None else self._source.began
        self._place = 0  # in the timeline: all that is to be sent before it has gone
        self._seen: set[int] = set()  # numbers of entries whose packets have been seen
        self._looked = 0  # at so many packets, for these
        loop.add(self)
        loop.followers.append(self._follow)

    def look(self) -> None:
        """Look at the tape as soon as time passes: there is something new to send."""
        self.due = self.loop.now

    def take(self, port: Port, data: bytes, now: int) -> None:
        """Nothing comes this way."""

    def failed(self, port: object, error: OSError) -> None:
        """Nothing depends on a port."""

    def _follow(self) -> None:
        if not self.loop.alone:
            self.poll(self.loop.now)

    def poll(self, now: int) -> None:
        """Send what is to be sent now."""
        self._outgoing.flush(now)
        self.due = earliest(self._play(now), self._outgoing.due)

    def _play(self, now: int) -> int | None:
        """Send what is to be sent now; return when the next is."""
        while (entry := self.next()) is not None and entry.sender.loop is self.loop:
            when = self._when(entry)
            if when is None or when > now:
                return when
            self._go(entry, now)
        return None

    def next(self) -> Send | None:
        """Return what is to be sent next, by whichever player; None where all has gone."""
        for place in range(self._place, len(self.tape.blocks)):
            entry = self.tape.blocks[place][0]
            self._place = place  # entries are added at the end alone
            if isinstance(entry, Send) and entry.gone is None:
                return entry
        return None

    def _when(self, entry: Send) -> int | None:
        """Return when an entry is to go; None while that is not known yet."""
        if entry.at is not None:
            return self._start + int(entry.at * SECOND)
        before = self.tape.blocks[: self._place]
        last = before[-1][0] if before else None
        if isinstance(last, Send) and last.at is None and last.gone is not None and last.sender.loop is self.loop:
            # All that stands before that had come when it went.
            return last.gone + int(entry.after * SECOND) if self._was_seen(last) else None
        seen, reading = self.tape.reading(before)
        if not reading.complete:
            return None
        base, quiet = self._start, 0.0
        for block in before:
            for one in block:
                if isinstance(one, Quiet):
                    quiet += one.within or 0.0
                    continue
                if isinstance(one, Send):
                    base, quiet = max(base, one.gone or 0), 0.0
                    continue
                assert isinstance(one, Expected)
                for i, _ in reading.taken.get(one, []):
                    at: int | None = min(self._start + seen[i].at, self.loop.now)
                    if isinstance(self.loop, SimNetwork) and one.receiver.host is entry.sender:
                        at = self.loop.arrival(seen[i].frame.number)  # there frames take time
                    if at is None:
                        return None
                    base, quiet = max(base, at), 0.0
        return base + int((quiet + entry.after) * SECOND)

    def _was_seen(self, entry: Send) -> bool:
        seen = [] if self._source is None else self._source.seen()
        self._seen.update(one.sent for one in seen[self._looked :] if one.sent is not None)
        self._looked = len(seen)
        return entry.number in self._seen

    def _go(self, entry: Send, now: int) -> None:
        data = entry.frame()
        entry.gone = now
        port = entry.sender.interfaces[entry.link]
        if self._source is None:
            self._send(data, port, now)
        else:
            self._source.injected(entry.number, data, lambda: self._send(data, port, now))

    def _send(self, data: bytes, port: Port, now: int) -> None:
        self._outgoing.send(Packet((), data), data, port, now)

    def close(self) -> None:
        """Send no more."""
        self.loop.remove(self)
        if self._follow in self.loop.followers:
            self.loop.followers.remove(self._follow)


def _refused(packet: Packet, port: Port, error: Exception) -> None:
    raise error
