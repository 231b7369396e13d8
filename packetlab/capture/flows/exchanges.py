"""Requests and replies of a capture, paired by the reply rules of the headers (see `pattern.replies`)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from packetlab.capture.frame import Frame
from packetlab.packet.packet import Packet
from packetlab.pattern.replies import asks, demanding, keys, question, reasons

OPEN = 1024  # requests that differ in nothing by which a reply is found

_Waiting = dict[object, OrderedDict[int, tuple["Pairing", Packet, object]]]  # by key and number, the oldest first


@dataclass
class Pairing:
    """A request, what was sent of it again, and its reply.

    Attributes:
        request: its first frame. repeats: the frames that say the same again before the reply. reply: None where none came.
    """

    request: Frame
    repeats: list[Frame] = field(default_factory=list)
    reply: Frame | None = None

    @property
    def round_trip(self) -> float | None:
        """Seconds from the last request to the reply; None without one, or without times."""
        return _seconds((self.repeats or [self.request])[-1], self.reply)

    @property
    def waited(self) -> float | None:
        """Seconds from the first request to the reply."""
        return _seconds(self.request, self.reply)

    def __str__(self) -> str:
        from packetlab.packet.diff_sequences import brief

        again = f", sent {len(self.repeats) + 1} times" if self.repeats else ""
        if self.reply is None:
            outcome = "no reply"
        else:
            trip = "" if self.round_trip is None else f" after {self.round_trip:.6f} s"
            outcome = f"answered by #{self.reply.number}{trip}"
        return f"#{self.request.number} {brief(self.request.packet())}{again}: {outcome}"


def _seconds(start: Frame, end: Frame | None) -> float | None:
    if end is None or start.time_ns is None or end.time_ns is None:
        return None
    return (end.time_ns - start.time_ns) / 1e9


class Exchanges(tuple[Pairing, ...]):
    """The exchanges of a capture, in the order in which they were begun; prints one a line."""

    @property
    def answered(self) -> list[Pairing]:
        """Those with a reply."""
        return [one for one in self if one.reply is not None]

    @property
    def unanswered(self) -> list[Pairing]:
        """Those without."""
        return [one for one in self if one.reply is None]

    @property
    def retransmissions(self) -> int:
        """How many frames only repeat a request."""
        return sum(len(one.repeats) for one in self)

    @property
    def round_trips(self) -> list[float]:
        """Seconds of each that was answered and has times."""
        return [trip for one in self if (trip := one.round_trip) is not None]

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "no request"

    __repr__ = __str__


def exchanges(frames: Iterable[Frame | Packet]) -> Exchanges:
    """Pair the requests of a capture with their replies.

    A packet that answers an open request is its reply; one that the rules name a request, or that answers nothing and may
    be a request, opens one. The oldest request that a reply answers is the one it closes. Of requests whose ends, ports
    and numbers are the same, OPEN wait for a reply at the most, the latest ones.
    """
    begun: list[Pairing] = []
    waiting: _Waiting = {}
    pairings: dict[object, Pairing] = {}
    for number, one in enumerate(frames, 1):
        frame = one if isinstance(one, Frame) else Frame(bytes(one), None, number=number)
        packet = frame.packet() if isinstance(one, Frame) else one
        replied = _close(packet, frame, waiting, pairings)
        if (replied and not demanding(packet)) or not asks(packet):
            continue
        same = question(packet)
        if same in pairings:
            pairings[same].repeats.append(frame)
            continue
        pairing = pairings[same] = Pairing(frame)
        begun.append(pairing)
        for key in keys(packet, "request"):
            some = waiting.setdefault(key, OrderedDict())
            some[len(begun)] = (pairing, packet, same)
            if len(some) > OPEN:
                some.popitem(last=False)
    return Exchanges(begun)


def _close(packet: Packet, frame: Frame, waiting: _Waiting, pairings: dict[object, Pairing]) -> bool:
    """Give a packet to the oldest open request that it answers; say whether there was one."""
    found = []
    # A reply may have more layers than rules spoke of in the request.
    for key in dict.fromkeys(whole[:size] for whole in keys(packet, "reply") for size in range(len(whole), 0, -1)):
        some = waiting.get(key) or OrderedDict()
        number = _answered(packet, some)
        if number is not None:
            found.append((number, some))
    if not found:
        return False
    number, some = min(found, key=lambda one: one[0])
    pairing, _, same = some.pop(number)
    pairing.reply = frame
    pairings.pop(same, None)
    return True


def _answered(packet: Packet, some: dict[int, tuple[Pairing, Packet, object]]) -> int | None:
    """Return the number of the oldest request that a packet answers; those answered under another key go."""
    gone, found = [], None
    for number, (pairing, request, _) in some.items():
        if pairing.reply is not None:
            gone.append(number)
        elif not reasons(packet, request):
            found = number
            break
    for number in gone:
        del some[number]
    return found
