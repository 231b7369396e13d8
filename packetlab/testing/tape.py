"""Tape: what is to be seen on a network as a timeline, and what the tape itself sends; strict when it ends.

Usable without pytest: ``with Tape(net) as tape: ...`` checks at its end. What a packet is to be stands in `patterns`,
which packet is whose in `align`, the words of a complaint in `failure_report`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from math import inf
from types import TracebackType
from typing import Any

from packetlab.capture import Capture
from packetlab.engine.contract import nanoseconds
from packetlab.errors import LocalProtocolError, Mismatch, PacketlabError, Stalled
from packetlab.link.event_loop import EventLoop
from packetlab.network.host import NetworkHost
from packetlab.packet.packet import Packet
from packetlab.pattern.align import Alignment, How, Member, align
from packetlab.renamed import renamed
from packetlab.testing.endpoints import Party, goes_between
from packetlab.testing.patterns import Pattern
from packetlab.testing.player import Player
from packetlab.testing.sources import FrameSource, Seen, watching
from packetlab.testing.timeline import SECOND, Entry, Expected, Quiet, Send

PATIENCE = 5.0  # seconds of real time that `play` waits


def _check_seconds(where: str, **values: float | None) -> None:
    for name, value in values.items():
        if value is not None:
            nanoseconds(value, f"{where}: {name}")


class Tape:
    """Expectations of packets as a timeline.

    Args:
        sources: what to watch, see `watch`. tolerance: seconds that a packet may be early or late, 0.001 in virtual time
            and 0.1 in real time unless given here or with the expectation.
        allow_unexpected: packets that nobody expects are no failure. allow_missing: nor are those that did not come.

    As soon as one thing is expected the tape is strict: at its end (of the `with`, or of the test), or in `check`, every
    packet that was seen has to be expected, and every expected one to have been seen, in the order of the timeline.
    """

    def __init__(
        self, *sources: Any, tolerance: float | None = None, allow_unexpected: bool = False, allow_missing: bool = False
    ) -> None:
        _check_seconds("Tape", tolerance=tolerance)
        self.tolerance, self.allow_unexpected, self.allow_missing = tolerance, allow_unexpected, allow_missing
        self.sources: list[FrameSource] = []
        self.blocks: list[list[Entry]] = []
        self.allowed: list[tuple[Party, Party, Pattern]] = []
        self._group: list[Entry] | None = None
        self._count = 0
        self._least = 0  # packets without which nothing is complete
        self._players: dict[int, Player] = {}
        self._known: tuple[tuple[int, ...], list[Seen], Alignment] | None = None
        self._dissected: dict[int, Packet] = {}
        for source in sources:
            self.watch(source)

    # Writing the timeline -----------------------------------------------------------------------------------

    def watch(self, what: object, link: object = None) -> Tape:
        """Watch one more thing from now on; its time 0 is now (of a capture: its first frame).

        Args:
            what: a SimNetwork, a host of a lab (what crosses its interface, both ways), an Interface, a Capture.
            link: of a SimNetwork, the only link to look at; of a lab's host, which of its links, 0 the first.
        """
        self.sources.append(watching(what, link))
        return self

    def expect(
        self, sender: object, receiver: object, pattern: object = None, *, at: float | None = None, after: float | None = None,
        tolerance: float | None = None, optional: bool = False, times: int | None = None,
        at_least: int | None = None, at_most: int | None = None,
    ) -> Expected:  # fmt: skip
        """Expect a packet, after all those expected before.

        Args:
            sender, receiver: a host, its name, an address as text or value, or None for anyone; the packet has to go from
                one to the other at some layer.
            pattern: a prototype header, headers stacked, a class, a filter in words, a function (see `Pattern`).
            at: seconds since the tape began. after: seconds since the entry before. tolerance: more or less.
            optional: it may stay away. times: so often; at_least, at_most: so often at least, at most.
        """
        least, most = self._counts(optional, times, at_least, at_most)
        _check_seconds("tape.expect", at=at, after=after, tolerance=tolerance)
        ends = self._end(sender), self._end(receiver)
        entry = Expected(
            least, most, self._count, self._caller(), self, *ends, Pattern(pattern), at, after, tolerance
        )  # fmt: skip
        self._add(entry)
        return entry

    @contextmanager
    def any_order(self) -> Iterator[None]:
        """What is expected in the `with` may come in any order."""
        if self._group is not None:
            raise LocalProtocolError("tape.any_order", "one group at a time", "a group within a group")
        self._group = []
        try:
            yield
        finally:
            group, self._group = self._group, None
            if group:
                self.blocks.append(group)

    def allow(self, pattern: object, sender: object = None, receiver: object = None) -> None:
        """Let such packets come at any time, as often as they like."""
        self.allowed.append((self._end(sender), self._end(receiver), Pattern(pattern)))

    def nothing(self, within: float) -> None:
        """Expect no packet for this many seconds after the entry before; `allow`ed ones do not count."""
        nanoseconds(within, "tape.nothing: within")
        self._add(Quiet(0, 0, self._count, self._caller(), within))

    def nothing_else(self) -> None:
        """Expect no packet from here to the end, whatever the tape is set to put up with, but for `allow`ed ones."""
        self._add(Quiet(0, 0, self._count, self._caller(), None))

    def send(
        self, sender: Any, receiver: Any, packet: object, *, at: float | None = None, after: float = 0.0, link: int = 0
    ) -> None:
        """Send a packet in its turn: when all entries before it have come (where they were meant for `sender`: arrived).

        Args:
            sender: the host that sends; its interface does, its protocols know nothing of it.
            receiver: host or MAC address that it goes to where it does not begin with Ether, None: everyone.
            packet: headers, bytes (a whole frame), or a function without arguments that makes either in time: there
                ``first.packet[SPP].source_id`` of an entry `first` is known.
            at: seconds since the tape began, whatever has come by then. after: seconds to wait. link: of `sender`.

        It goes while time passes: in any waiting call of the hosts, or in `play`.
        """
        _check_seconds("tape.send", at=at, after=after)
        known = self._hosts()
        sender, receiver = known.get(sender, sender), known.get(receiver, receiver)
        entry = Send(1, 1, self._count, self._caller(), sender, receiver, packet, at, after, link)
        if not hasattr(sender, "attachments"):
            expected = f"a host, or a name: {', '.join(known)}" if known else "a host"
            raise PacketlabError("tape.send: sender", expected, repr(sender))
        self._add(entry)
        if id(sender.loop) not in self._players:
            self._players[id(sender.loop)] = Player(self, sender.loop)
        self._players[id(sender.loop)].look()

    def _add(self, entry: Entry) -> None:
        last = self.blocks[-1][-1] if self.blocks else None
        if isinstance(last, Quiet) and last.within is None:
            raise LocalProtocolError("tape", "nothing after nothing_else()", f"{entry}", last.where)
        self._count += 1
        self._known = None
        if self._group is None:
            self.blocks.append([entry])
        elif isinstance(entry, Expected):
            self._group.append(entry)
        else:
            raise LocalProtocolError("tape.any_order", "expectations alone", f"{entry}")
        self._least += entry.least

    @staticmethod
    def _counts(
        optional: bool, times: int | None, at_least: int | None, at_most: int | None
    ) -> tuple[int, float]:  # fmt: skip
        if times is not None and (at_least is not None or at_most is not None):
            raise LocalProtocolError("tape.expect", "times=, or at_least= and at_most=", "both")
        least: int = times if times is not None else at_least if at_least is not None else 1 if at_most is None else 0
        most = times if times is not None else at_most if at_most is not None else inf if at_least is not None else 1
        if least < 0 or most < max(least, 1):
            raise LocalProtocolError(
                "tape.expect", "counts of 1 or more, the least not above the most", f"{least}..{most}"
            )
        return 0 if optional else least, most

    def _hosts(self) -> dict[str, NetworkHost]:
        return {name: host for source in self.sources for name, host in source.hosts.items()}

    def _end(self, who: object) -> Party:
        return Party(who, self._hosts())

    @staticmethod
    def _caller() -> str:
        frame = sys._getframe(2)
        return f"{frame.f_code.co_filename}:{frame.f_lineno}"

    # Reading what was received --------------------------------------------------------------------------------------

    def seen(self) -> list[Seen]:
        """Return all that was seen so far, by time."""
        if len(self.sources) == 1:
            return self.sources[0].seen()
        return sorted((seen for source in self.sources for seen in source.seen()), key=lambda seen: seen.at)

    @property
    def capture(self) -> Capture:
        """All frames seen so far."""
        return Capture.of(seen.frame for seen in self.seen())

    @property
    def start(self) -> int | None:
        """The tape's beginning by the clock of its frames, in nanoseconds; None where no frame has a time."""
        return next((s.frame.time_ns - s.at for s in self.seen() if s.frame.time_ns is not None), None)

    def reading(self, blocks: Sequence[Sequence[Entry]] | None = None) -> tuple[list[Seen], Alignment]:
        """Return what was seen, and whose each packet is, by all entries or the blocks given."""
        seen = self.seen()
        lenience = len(self.allowed), self.allow_unexpected, self.allow_missing
        state = len(seen), self._count, -1 if blocks is None else len(blocks), *lenience
        if self._known is not None and self._known[0] == state:
            return self._known[1], self._known[2]
        seen = [*seen]
        packets = [self.packet(each) for each in seen]

        def compare(member: Member, i: int) -> How | None:
            if isinstance(member, Send):
                return How.FITS if seen[i].sent == member.number else None
            if seen[i].sent is not None or not isinstance(member, Expected):
                return None
            if not goes_between(packets[i], member.sender.raw_addresses, member.receiver.raw_addresses):
                return None
            if member.pattern.fits(packets[i]):
                off = 0.0 if member.at is None else abs(seen[i].at / SECOND - member.at)
                return How.FITS if off <= member.tolerance + 1e-9 else How.LATE
            return How.OTHER if member.pattern.resembles(packets[i]) else None

        def free(i: int) -> bool:
            return seen[i].sent is None and (self.allow_unexpected or self.allows(packets[i]))

        wanted = self.blocks if blocks is None else blocks
        awaited = [block for block in wanted if not isinstance(block[0], Quiet)]
        reading = align(awaited, len(seen), compare, free, self.allow_missing)
        self._known = state, seen, reading
        return seen, reading

    def packet(self, seen: Seen) -> Packet:
        """Return what was seen dissected, once."""
        if id(seen.frame) not in self._dissected:
            self._dissected[id(seen.frame)] = seen.frame.packet()
        return self._dissected[id(seen.frame)]

    def allows(self, packet: Packet) -> bool:
        """Say whether a packet is one of those allowed."""
        return any(
            pattern.fits(packet) and goes_between(packet, sender.raw_addresses, receiver.raw_addresses)
            for sender, receiver, pattern in self.allowed
        )

    lets = renamed("lets", "allows")

    # Playing and checking -----------------------------------------------------------------------------------

    def play(self, timeout: float | None = None) -> None:
        """Let time pass until every entry has happened, and check.

        Args:
            timeout: seconds at most; in real time 5 unless given.

        Raises Mismatch: it went otherwise.
        """
        __tracebackhide__ = True
        loops = [source.loop for source in self.sources if source.loop is not None]
        if not loops:
            raise LocalProtocolError("tape.play", "a network to watch", "none, or a capture")
        loop: EventLoop = loops[0]
        if timeout is None and not all(source.virtual for source in self.sources):
            timeout = PATIENCE
        loop.poll()
        with suppress(TimeoutError, Stalled):  # what is missing is reported by the check
            loop.wait(lambda: True if self._happened() else None, "tape: play", timeout)
        self.check()

    def _happened(self) -> bool:
        for player in self._players.values():
            player.poll(player.loop.now)
        # Before all is read, which takes the longer the more there is.
        if len(self.seen()) < self._least or any(player.next() is not None for player in self._players.values()):
            return False
        _, reading = self.reading()
        return reading.complete

    def check(self) -> None:
        """Raise `Mismatch` where what was seen is not what the timeline tells; nothing expected, nothing checked.

        Where the timeline ends with `nothing(within=...)`, that time passes first.
        """
        from packetlab.testing.failure_report import failure_report

        __tracebackhide__ = True
        self._wait_out()
        if self.blocks and (report := failure_report(self)):
            raise Mismatch(report)

    def _wait_out(self) -> None:
        """Let the time pass in which nothing is to come at the end."""
        quiet = 0.0
        for block in reversed(self.blocks):
            if not isinstance(block[0], Quiet):
                break
            quiet += block[0].within or 0.0
        if not quiet:
            return
        seen, reading = self.reading()
        last = max((seen[i].at for took in reading.taken.values() for i, _ in took), default=0)
        for source in self.sources:
            loop = source.loop
            if loop is not None and not loop.closed:
                left = source.began + last + int(quiet * SECOND) - loop.now
                if left > 0:
                    loop.run(left / SECOND)

    def close(self) -> None:
        """Stop watching and sending; what was seen stays."""
        for player in self._players.values():
            player.close()
        for source in self.sources:
            source.close()

    def __enter__(self) -> Tape:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.check()
        finally:
            self.close()
