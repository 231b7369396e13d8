"""Entries: the lines of a tape. What is to come, what the tape sends, and when nothing is to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from packetlab.capture import Frame
from packetlab.errors import Mismatch
from packetlab.packet.coerce import as_packet
from packetlab.packet.foreign import as_bytes
from packetlab.packet.packet import Header, Packet
from packetlab.pattern.align import Alignment, How, Member
from packetlab.protocols.link import Ether
from packetlab.testing.endpoints import Party
from packetlab.testing.patterns import Pattern
from packetlab.testing.sources import FrameSource, Seen

if TYPE_CHECKING:
    from packetlab.sockets.networks import LabHost, SimHost

SECOND = 1_000_000_000
VIRTUAL, REAL = 0.001, 0.1  # seconds of tolerance where none is said: the kernel is not to be relied on for more


@dataclass(eq=False)
class Entry(Member):
    """A line of the tape.

    Attributes:
        number: its place. where: file and line that it was written at.
    """

    number: int
    where: str


class Timeline(Protocol):
    """What an entry, and what plays or reports entries, needs of the tape that they stand on; `Tape` is one.

    Attributes:
        tolerance: seconds, None where none was said. sources: what is watched. blocks: the entries, in their order; those
        of one block in any order.
    """

    tolerance: float | None
    sources: list[FrameSource]
    blocks: list[list[Entry]]

    def reading(self, blocks: Sequence[Sequence[Entry]] | None = None) -> tuple[list[Seen], Alignment]:
        """Return what was seen, and whose each packet is, by all entries or the blocks given."""


@dataclass(eq=False)
class Expected(Entry):
    """A packet that is to come; `packet` and `packets` are those that did, once they did."""

    tape: Timeline = field(repr=False)
    sender: Party
    receiver: Party
    pattern: Pattern
    at: float | None
    after: float | None
    said: float | None  # of tolerance

    @property
    def tolerance(self) -> float:
        """Seconds that it may be early or late."""
        if self.said is not None:
            return self.said
        if self.tape.tolerance is not None:
            return self.tape.tolerance
        return VIRTUAL if all(source.virtual for source in self.tape.sources) else REAL

    @property
    def packets(self) -> list[Packet]:
        """The packets taken for this one so far."""
        return [frame.packet() for frame in self.frames]

    @property
    def frames(self) -> list[Frame]:
        """The frames taken for this one so far."""
        seen, reading = self.tape.reading()
        return [seen[i].frame for i, how in reading.taken.get(self, []) if how is not How.OTHER]

    @property
    def packet(self) -> Packet:
        """The first of them. `Mismatch` where none came."""
        found = self.frames
        if not found:
            raise Mismatch(f"{self.where}: no packet has come yet that is {self}")
        return found[0].packet()

    def __str__(self) -> str:
        text = f"{self.sender.name} -> {self.receiver.name}  {self.pattern}"
        if self.at is not None:
            text += f" at {self.at:g} s (+-{self.tolerance:g})"
        if self.after is not None:
            text += f" {self.after:g} s (+-{self.tolerance:g}) after what comes before it"
        if (self.least, self.most) == (0, 1):
            return text + ", optional"
        if (self.least, self.most) != (1, 1):
            times = f"{self.least} to {self.most:g} times" if self.least else f"at most {self.most:g} times"
            times = f"at least {self.least} times" if self.most == inf else times
            text += f", {self.least} times" if self.least == self.most else f", {times}"
        return text


@dataclass(eq=False)
class Send(Entry):
    """A packet that the tape sends."""

    sender: SimHost | LabHost
    receiver: Any
    packet: object
    at: float | None
    after: float
    link: int
    gone: int | None = None  # when it went, by the tape's time

    def __str__(self) -> str:
        what = "a packet made when its time comes" if callable(self.packet) else repr(self.packet)
        return f"send {self.sender.name} -> {getattr(self.receiver, 'name', self.receiver or 'everyone')}  {what}"

    def frame(self) -> bytes:
        """Return its bytes: Ethernet goes in front where there is none."""
        made = self.packet() if callable(self.packet) and not isinstance(self.packet, type) else self.packet
        if not isinstance(made, (Packet, Header)):
            return as_bytes(made)
        packet = as_packet(made)
        if not isinstance(packet.layers[0], Ether):
            dst = getattr(self.receiver, "mac", self.receiver) or "ff:ff:ff:ff:ff:ff"
            packet = Ether(dst=dst, src=self.sender.attachments[self.link].mac) / packet
        return bytes(packet)


@dataclass(eq=False)
class Quiet(Entry):
    """A time in which nothing is to come: this many seconds, or (None) from here on."""

    within: float | None

    def __str__(self) -> str:
        return "nothing else" if self.within is None else f"nothing within {self.within:g} s"
