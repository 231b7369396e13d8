"""Player: sends a tape's packets at their times, while time passes on a network (a driver, see `link.medium`)."""

from __future__ import annotations

from packetlab.link.medium import Medium
from packetlab.link.port import Port
from packetlab.link.simnet import SimNetwork
from packetlab.testing.timeline import SECOND, Expected, Quiet, Send, Timeline


class Player:
    """The part of a tape that acts.

    Attributes:
        due: when it next has something to do, by the medium's clock.
    """

    served = False  # a script goes on while somebody waits for what comes of it
    ports: tuple[Port, ...] = ()

    def __init__(self, tape: Timeline, medium: Medium) -> None:
        self.tape, self.medium = tape, medium
        self.due: int | None = medium.now
        self._source = next((source for source in tape.sources if source.medium is medium), None)
        self._start = medium.now if self._source is None else self._source.began
        medium.add(self)
        medium.followers.append(self._follow)

    def look(self) -> None:
        """Look at the tape as soon as time passes: there is something new to send."""
        self.due = self.medium.now

    def take(self, port: Port, data: bytes, now: int) -> None:
        """Nothing comes this way."""

    def failed(self, port: object, error: OSError) -> None:
        """Nothing depends on a port."""

    def _follow(self) -> None:
        if not self.medium.alone:
            self.poll(self.medium.now)

    def poll(self, now: int) -> None:
        """Send what is to be sent now."""
        self.due = None
        while (entry := self._next()) is not None:
            when = self._when(entry)
            if when is None or when > now:
                self.due = when
                return
            self._go(entry, now)

    def _next(self) -> Send | None:
        for block in self.tape.blocks:
            if isinstance(block[0], Send) and block[0].gone is None:
                return block[0] if block[0].sender.medium is self.medium else None
        return None

    def _when(self, entry: Send) -> int | None:
        """Return when an entry is to go; None while that is not known yet."""
        if entry.at is not None:
            return self._start + int(entry.at * SECOND)
        place = next(i for i, block in enumerate(self.tape.blocks) if block[0] is entry)
        before = self.tape.blocks[:place]
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
                    at: int | None = min(self._start + seen[i].at, self.medium.now)
                    if isinstance(self.medium, SimNetwork) and one.receiver.host is entry.sender:
                        at = self.medium.arrival(seen[i].frame.number)  # there frames take time
                    if at is None:
                        return None
                    base, quiet = max(base, at), 0.0
        return base + int((quiet + entry.after) * SECOND)

    def _go(self, entry: Send, now: int) -> None:
        data = entry.frame()
        entry.gone = now
        port = entry.sender.interfaces[entry.link]
        if self._source is None:
            port.send(data)
        else:
            self._source.injected(entry.number, data, lambda: port.send(data))

    def close(self) -> None:
        """Send no more."""
        self.medium.remove(self)
        if self._follow in self.medium.followers:
            self.medium.followers.remove(self._follow)
