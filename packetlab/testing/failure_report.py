"""Failure report: what a tape has to complain of, in words. The line expected, the nearest packet that came, and the ladder."""

from __future__ import annotations

import os
from typing import Protocol

from packetlab.declare.wildcards import Known
from packetlab.network.host import NetworkHost
from packetlab.packet.packet import Packet
from packetlab.packet.results import Change
from packetlab.pattern.align import How
from packetlab.testing.endpoints import goes_between, names, route
from packetlab.testing.patterns import Pattern
from packetlab.testing.sources import Seen
from packetlab.testing.timeline import SECOND, Entry, Expected, Quiet, Send, Timeline
from packetlab.view.conversation import label, spoken
from packetlab.view.ladder import ladder

SHOWN = 40  # frames of the ladder
BEFORE = 5  # of them, before the first that something is said about
FEW = 10  # unexpected packets that are listed one by one
MISSING = "let it stay away: expect(..., optional=True); let all: allow_missing=True"
UNEXPECTED = "let such pass: tape.allow({like}); let all: allow_unexpected=True"
WHERE = "  (a switch of Tape(...), or of @pytest.mark.packetlab(...))"


def seconds(at: int) -> str:
    return f"{at / SECOND:.9f}".rstrip("0").rstrip(".") + " s"


class Recorded(Timeline, Protocol):
    """What a failure report is made of; `Tape` is one.

    Attributes:
        allow_unexpected, allow_missing: packets that are no failure; see `Tape`.
    """

    allow_unexpected: bool
    allow_missing: bool

    def packet(self, seen: Seen) -> Packet:
        """Return what was seen dissected."""

    def allows(self, packet: Packet) -> bool:
        """Say whether a packet is one of those allowed."""

    def _hosts(self) -> dict[str, NetworkHost]:
        """Return the hosts that are watched, by name."""


class Reporter:
    """Finds the complaints, one after the other."""

    def __init__(self, tape: Recorded) -> None:
        self.tape = tape
        self.seen, self.reading = tape.reading()
        self.hosts = list({id(host): host for host in tape._hosts().values()}.values())
        self.lines: list[str] = []
        self.known: Known = {}  # what names of `same_as` stand for, as the timeline goes on
        self.marks: dict[int, str] = {}
        self.counts = dict.fromkeys(("missing", "unexpected", "at another time", "different", "not sent"), 0)
        self.unexpected = [] if tape.allow_unexpected else [i for i in self.reading.unexpected if not self._let(i)]

    def _let(self, i: int) -> bool:
        return self.tape.allows(self.tape.packet(self.seen[i]))

    def tell(self) -> str:
        """Return all of it; nothing where there is nothing to complain of."""
        previous, last = 0, -1
        for block in self.tape.blocks:
            for entry in block:
                previous, last = self._entry(entry, previous, last)
        self._unexpected()
        lost = sum(source.lost for source in self.tape.sources)
        if lost:
            self.lines += ["", f"not seen: {lost} frames came faster than the tape could keep them"]
        if not self.lines:
            return ""
        counted = ", ".join(f"{count} {what}" for what, count in self.counts.items() if count)
        return "\n".join(
            [f"the tape and the network differ: {counted or 'frames lost'}", *self.lines, "", *self._ladder()]
        )

    # Entries ------------------------------------------------------------------------------------------------

    def _entry(self, entry: Entry, previous: int, last: int) -> tuple[int, int]:
        """Complain of one entry; return when it happened, and the last packet that was its or one's before it."""
        if isinstance(entry, Quiet):
            return self._quiet(entry, previous, last), last
        took = self.reading.taken.get(entry, [])
        if isinstance(entry, Send) and entry.gone is None:
            self._say("not sent", entry, [f"  waited for {self._awaited(entry)}"])
        if isinstance(entry, Expected):
            for i, how in took:
                if how is How.LATE:
                    self._say("at another time", entry, [f"  came as {self._frame(i)}"])
                    self.marks[i] = "at another time"
                elif how is How.OTHER:
                    self._say("different", entry, [f"  came as {self._frame(i)}:", *self._differences(entry, i)])
                    self.marks[i] = "different"
                elif not entry.pattern.fits(packet := self.tape.packet(self.seen[i]), self.known):
                    lines = [f"    {line}" for line in entry.pattern.differences(packet, self.known)]
                    self._say("different", entry, [f"  came as {self._frame(i)}:", *lines])
                    self.marks[i] = "different"
            if entry in self.reading.missing and not self.tape.allow_missing:
                came = sum(how is not How.OTHER for _, how in took)
                some = f"  {came} of {entry.least} came" if entry.least > 1 else ""
                self._say("missing", entry, [*([some] if some else []), *self._nearest(entry), f"  {MISSING}", WHERE])
            if took and entry.after is not None:
                off = self.seen[took[0][0]].at - previous
                if abs(off / SECOND - entry.after) > entry.tolerance + 1e-9:
                    text = f"  came as {self._frame(took[0][0])}: {seconds(off)} after the packet before it"
                    self._say("at another time", entry, [text])
                    self.marks[took[0][0]] = "at another time"
        if took:
            return max(previous, *(self.seen[i].at for i, _ in took)), max(last, *(i for i, _ in took))
        return previous, last

    def _awaited(self, send: Send) -> str:
        for block in self.tape.blocks:
            for entry in block:
                if entry is send:
                    return "time to pass: tape.play(), or a waiting call of the hosts"
                if entry in self.reading.missing or (isinstance(entry, Send) and entry.gone is None):
                    return f"{entry}  ({_place(entry)})"
        return "an earlier packet"

    def _quiet(self, entry: Quiet, previous: int, last: int) -> int:
        until = None if entry.within is None else previous + int(entry.within * SECOND)
        for i, seen in enumerate(self.seen):
            if i > last and seen.sent is None and (until is None or seen.at <= until) and not self._let(i):
                self._say("unexpected", entry, [f"  came {self._frame(i)}", f"  {self._like(i)}"])
                self.marks[i] = "unexpected"
                if i in self.unexpected:
                    self.unexpected.remove(i)
        return previous if until is None else until

    def _unexpected(self) -> None:
        for number, i in enumerate(self.unexpected):
            self.counts["unexpected"] += 1
            self.marks[i] = "unexpected"
            if number < FEW:
                self.lines += ["", f"unexpected: {self._frame(i)}", *self._seen_as(i)]
        if len(self.unexpected) > FEW:
            self.lines += ["", f"unexpected: {len(self.unexpected) - FEW} more"]
        if self.unexpected:
            self.lines += [f"  {self._like(self.unexpected[0])}", WHERE]

    def _seen_as(self, i: int) -> list[str]:
        """Say of an unexpected packet that it is one of a kind that was expected less often."""
        packet = self.tape.packet(self.seen[i])
        for block in self.tape.blocks:
            for entry in block:
                if isinstance(entry, Expected) and entry.pattern.what is not None and entry.pattern.fits(packet):
                    if goes_between(
                        packet, entry.sender.raw_addresses, entry.receiver.raw_addresses
                    ) and self.reading.taken.get(entry):
                        most = self.reading.taken[entry]
                        return [f"  the line that fits has its {len(most)} already: {entry}  ({_place(entry)})"]
        return []

    # Words --------------------------------------------------------------------------------------------------

    def _say(self, what: str, entry: Entry, more: list[str]) -> None:
        self.counts[what] += 1
        self.lines += ["", f"{what}: {entry}  ({_place(entry)})", *more]

    def _frame(self, i: int) -> str:
        packet = self.tape.packet(self.seen[i])
        return f"frame {i + 1} at {seconds(self.seen[i].at)}, {route(packet, self.hosts)}  {label(packet)}"

    def _like(self, i: int) -> str:
        headers = spoken(self.tape.packet(self.seen[i]))
        return UNEXPECTED.format(like=type(headers[-1]).__name__ if headers else "None")

    def _differences(self, entry: Expected, i: int) -> list[str]:
        packet = self.tape.packet(self.seen[i])
        lines = entry.pattern.differences(packet)
        if not goes_between(packet, entry.sender.raw_addresses, entry.receiver.raw_addresses):
            lines.append(f"goes {route(packet, self.hosts)}: expected {entry.sender.name} -> {entry.receiver.name}")
        if entry.at is not None and abs(self.seen[i].at / SECOND - entry.at) > entry.tolerance:
            lines.append(f"time: expected {entry.at:g} s (+-{entry.tolerance:g}), got {seconds(self.seen[i].at)}")
        return [f"    {line}" for line in lines]

    def _nearest(self, entry: Expected) -> list[str]:
        """Say which packet came nearest to what is missing: of those that are nobody's, else of all."""
        free = [i for i in self.reading.unexpected if self._close(entry.pattern, i)]
        near = free or [i for i in range(len(self.seen)) if self.seen[i].sent is None and self._close(entry.pattern, i)]
        if not near:
            return ["  no packet like it came" if self.seen else "  no packet came at all"]
        best = min(near, key=lambda i: (len(self._differences(entry, i)), abs(self._off(entry, i))))
        lines = self._differences(entry, best)
        return [f"  nearest is {self._frame(best)}" + (":" if lines else ""), *(lines or [self._turn(best)])]

    def _turn(self, i: int) -> str:
        owner = next((e for e, took in self.reading.taken.items() if i in dict(took)), None)
        return f"    it fits, but is taken as {owner}" if owner is not None else "    it fits, but came out of its turn"

    def _off(self, entry: Expected, i: int) -> float:
        return 0.0 if entry.at is None else self.seen[i].at / SECOND - entry.at

    def _close(self, pattern: Pattern, i: int) -> bool:
        packet = self.tape.packet(self.seen[i])
        return pattern.resembles(packet) or pattern.fits(packet)

    def _ladder(self) -> list[str]:
        first = max(0, min(self.marks, default=len(self.seen) - SHOWN) - BEFORE)
        shown: list[Seen] = self.seen[first : first + SHOWN]
        frames = []
        for i, each in enumerate(shown, first):
            notes = [*each.frame.comments[:1], *(["sent by the tape"] if each.sent is not None else [])]
            notes += [f"<- {self.marks[i]}"] if i in self.marks else []
            # Drawn by the tape's clock, as all that is said of it.
            frames.append(each.frame.replace(time_ns=each.at, comment="; ".join(notes) or None))
        also = [f for block in self.tape.blocks for e in block if isinstance(e, Expected) for f in e.pattern.fields]
        lines = str(ladder(frames, names(self.hosts), also=also, start=0)).splitlines()
        if first:
            lines.insert(0, f"... {first} frames before")
        left = len(self.seen) - first - len(shown)
        return [*lines, *([f"... {left} frames more"] if left else [])]


def _place(entry: Entry) -> str:
    path, _, line = entry.where.rpartition(":")
    return f"{near(path)}:{line}"


def near(path: str | os.PathLike[str]) -> str:
    """Return a path as it is from here, where it is below."""
    found = os.path.relpath(path)
    return os.fspath(path) if found.startswith("..") else found


def failure_report(tape: Recorded) -> str:
    """Return what a tape complains of; empty where all is as it tells."""
    return Reporter(tape).tell()


def recorded(change: Change) -> str:
    """Return a difference of what was recorded and what is there now in a line."""
    follows = f"  (follows from {' and '.join(change.because)})" if change.because else ""
    return f"  {change.where}: recorded {change.ours}, now {change.theirs}{follows}"
