"""The sending half of an SPP connection: what waits, what is under way, and how much may be.

Which packet goes when follows the allocation that the peer gave (XSIS 028112) and, for the network's sake, the congestion
window of RFC 5681 and 6582 as 4.4BSD's spp_usrreq.c has it. Counts packets; knows no headers.
"""

from __future__ import annotations

from collections import deque
from errno import EINVAL, EMSGSIZE

from packetlab.engine.contract import SECOND
from packetlab.engine.xns.sequence import unwrap
from packetlab.engine.xns.spp_prototypes import Dress
from packetlab.engine.xns.spp_states import Trigger
from packetlab.engine.xns.spp_timing import RoundTrip, Timing
from packetlab.errors import SocketMisuse

SYSTEM, ATTENTION = 0x80, 0x20  # of connection control
END, END_REPLY = 254, 255  # datastream types of the close
BEYOND = 2  # numbers past the allocation that attention, END and END-REPLY may take
DUPLICATES = 3  # acknowledgements of the same number that mean a loss (RFC 5681 section 3.2)
MOST = 64  # packets under way
NEVER = 1 << 63
ENDS = "254 and 255 are END and END-REPLY, which close() sends; force=True sends them too"


class Segment:
    """A numbered packet on its way out.

    `dress` is what its user wants otherwise than the connection would have it (see `spp_prototypes`).
    """

    __slots__ = ("asks", "control", "data", "datastream", "dress", "repeated", "sent_at", "seq")

    def __init__(self, control: int, datastream: int, data: bytes, dress: Dress | None = None) -> None:
        self.control, self.datastream, self.data, self.dress = control, datastream, data, dress
        self.seq = self.sent_at = -1
        self.repeated = self.asks = False

    @property
    def beyond(self) -> int:
        """How far it may go beyond the allocation."""
        return BEYOND if self.control & ATTENTION or self.datastream >= END else 0

    def sent(self, now: int) -> Segment:
        """Take note that it goes out now."""
        self.repeated, self.sent_at = self.sent_at >= 0, now
        return self


class Sender:
    """Packets of one direction, from `queue` over `flight` to acknowledged.

    Attributes:
        queue: not yet sent. flight: sent and not acknowledged, in order. next: number of the next packet.
        acked: all below it is acknowledged. alloc: the highest number the peer accepts.
    """

    def __init__(self, timing: Timing) -> None:
        self.queue: deque[Segment] = deque()
        self.flight: deque[Segment] = deque()
        self.next = self.acked = 0
        self.alloc = -1
        self._timing = timing
        self._still: int | None = None  # since when nothing is confirmed of what should be
        self._still_how = False, False  # closing, held
        self.round_trip = RoundTrip(timing)
        self._congestion, self._threshold, self._grown = 4, MOST, 0
        self._same_acks, self._recover = 0, -1
        self._repeat = False  # the oldest packet under way is to go out again

    def departures(self, now: int) -> list[Segment]:
        """Return what is to go out now; those that ask for an acknowledgement say so.

        Each repeat asks, the last packet that may go, and one in four of those before it.
        """
        queue, flight = self.queue, self.flight
        out: list[Segment] = []
        if self._repeat and flight:
            out.append(flight[0].sent(now))
        self._repeat = False
        # END and END-REPLY pass the congestion window as they pass the allocation: two small packets, and both ends wait.
        while (
            queue
            and (len(flight) < self._congestion or queue[0].datastream >= END)
            and self.next <= self.alloc + queue[0].beyond
        ):
            segment = queue[0]
            if segment.seq < 0:  # else an interrupt came before it left the queue
                segment.seq, self.next = self.next, self.next + 1
                flight.append(segment)
            queue.popleft()
            out.append(segment.sent(now))
            segment.asks = not segment.seq & 3
        if out:
            out[0].asks = out[0].asks or out[0].repeated
            out[-1].asks = True
        return out

    @property
    def waiting(self) -> bool:
        """Whether the peer has yet to acknowledge something, or to let it be sent."""
        return bool(self.flight) or bool(self.queue)

    @property
    def shut(self) -> bool:
        """Whether the allocation alone holds back what waits."""
        queue = [*self.queue]  # it may leave meanwhile, by a poll of a signal's handler
        return bool(queue) and not self.flight and self.next > self.alloc + queue[0].beyond

    @property
    def reply(self) -> Segment | None:
        """The END-REPLY that the peer has yet to acknowledge: always the last of all."""
        last = self.queue[-1] if self.queue else self.flight[-1] if self.flight else None
        return last if last is not None and last.datastream == END_REPLY else None

    def unconfirmed(self) -> list[Segment]:
        """Return what the peer has yet to acknowledge; what leaves meanwhile, by a poll of a signal's handler, may be there twice."""
        queue = [*self.queue]  # first: each is put under way before it leaves the queue
        return [*self.flight, *queue]

    @property
    def missed(self) -> int:
        """How many packets of data the peer has yet to acknowledge."""
        return sum(segment.datastream < END for segment in self.unconfirmed())

    def done(self, step: Trigger, ended: bool) -> bool:
        """Say whether a close is complete though the peer is gone without its last word: no data of ours are missed.

        A peer that has `ended`, and is gone by its own host's word while our END-REPLY is out, has left since that came,
        and what was before it. Of one that is just silent nothing is known.
        """
        if step is Trigger.REFUSED and ended and self.reply is not None and not self.queue:
            return True
        return not self.missed

    def clear(self) -> None:
        """Let go of everything."""
        self.queue.clear()
        self.flight.clear()

    @property
    def held(self) -> bool:
        """Whether nothing is under way but what goes beyond the allocation, which the peer need not take."""
        return not self.flight or self.flight[0].seq > self.alloc

    def give_up_at(self, closing: bool, now: int) -> int:
        """Return until when the peer has to confirm something, however much else it says."""
        held = self.held
        if not self.waiting or (held and not closing):
            self._still = None
            return NEVER
        if self._still is None or self._still_how != (closing, held):
            self._still, self._still_how = now, (closing, held)
        return self._still + int((self._timing.shut if held else self._timing.give_up) * SECOND)

    def late(self, by: int) -> None:
        """Take in that nobody drove us for some time."""
        self._still = None if self._still is None else self._still + by

    def acknowledged(self, ack: int, alloc: int, control: int, now: int) -> bool:
        """Take in what a packet of the peer says; return whether that is news, so that waiting starts anew."""
        # Nothing beyond what was sent can be acknowledged (Dodo says one more, even when opening): clamp.
        ack = min(unwrap(ack, self.acked), self.next)
        alloc = unwrap(alloc, self.acked)
        news = False
        if ack > self.acked:
            self._advance(ack, now)
            news = True
        elif ack == self.acked and self.flight and alloc <= self.alloc and control & SYSTEM:
            self._same_acks += 1
            if self._same_acks == DUPLICATES and ack >= self._recover:
                self._threshold = self._congestion = max(2, len(self.flight) // 2)
                self._recover, self._repeat = self.next, True
        if alloc > self.alloc:
            self.alloc = alloc  # never taken back
            news = news or not self.flight
        if news:
            self._still = None
        return news

    def _advance(self, ack: int, now: int) -> None:
        flight, sample, repeated = self.flight, 0, False
        while flight and flight[0].seq < ack:
            segment = flight.popleft()
            if segment.repeated or not repeated:
                sample, repeated = now - segment.sent_at, segment.repeated
        if repeated:
            self.round_trip.after_repeat(sample)
        else:
            self.round_trip.measured(sample)
        self.acked, self._same_acks = (
            ack,
            0,
        )  # not before all of it was taken out of `flight`, which an interrupt may end
        # RFC 5681 (3.1): one more an acknowledgement up to the threshold, then one a round trip.
        self._grown += 1
        if self._congestion < self._threshold or self._grown >= self._congestion:
            self._congestion, self._grown = min(self._congestion + 1, MOST), 0
        if flight and ack < self._recover:
            self._repeat = True  # the next one was lost as well (RFC 6582)

    def unanswered(self) -> None:
        """Take in that no acknowledgement came in time: start over with one packet (RFC 5681 section 4)."""
        self._threshold, self._congestion = max(2, len(self.flight) // 2), 1
        self._recover, self._same_acks, self._repeat = self.next, 0, True

    def slow_down(self) -> None:
        """Take in that the peer's host is out of room (Error 3): one packet at a time, for now."""
        self._threshold, self._congestion = max(2, len(self.flight) // 2), 1


def check_data(size: int, datastream: int, attention: bool, largest: int) -> None:
    """Raise SocketMisuse where a packet is none that a program may send."""
    if size > largest:
        raise SocketMisuse(EMSGSIZE, "SPP data", f"at most {largest} bytes", f"{size}", "send it in parts")
    if not 0 <= datastream < END:
        raise SocketMisuse(EINVAL, "SPP.datastream", "0..253", f"{datastream}", ENDS)
    if attention and size != 1:
        raise SocketMisuse(EINVAL, "SPP", "exactly one byte of data for an attention", f"{size}", "write() takes more")
