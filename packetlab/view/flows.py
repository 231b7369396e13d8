"""What a packet says of its connection: sent again, out of order, a gap before it. Derived from sequence numbers.

TCP counts bytes (RFC 9293 section 3.4), SPP packets. Only what the capture holds is known: a segment that fills a gap
may be late or sent again, and the words leave that open.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

from packetlab.engine.xns.sequence import unwrap
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.ip import IPv4
from packetlab.protocols.transport import TCP, TCPFlags
from packetlab.protocols.xns import IDP, SPP, Control
from packetlab.view.conversation import spoken

AGAIN, LATE, GAP = "retransmission", "fills a gap", "gap before it"
DUPLICATE, KEEP_ALIVE, SAME_ACK, FULL = "duplicate", "keep-alive", "duplicate ack", "zero window"


class SegmentInfo(NamedTuple):
    """What one packet says to its connection.

    Attributes:
        kind: "TCP" or "SPP". flow: which direction of which connection. back: the other direction, as far as it is known.
        seq, end: first number it fills, and the one after the last (the same where it fills none), as on the wire.
        ack: first number not yet received from the other end, None where it says none. limit: what it lets the other
        end send up to, before that number. window: as it stands in the packet; of SPP the allocation. modulus: of all.
        starts, ends: whether it opens or closes its direction.
    """

    kind: str
    flow: tuple[object, ...]
    back: tuple[object, ...]
    seq: int
    end: int
    ack: int | None
    limit: int | None
    window: int
    modulus: int
    starts: bool = False
    ends: bool = False
    resets: bool = False


def segment(packet: Packet) -> SegmentInfo | None:
    """Return what a packet says to its TCP or SPP connection, None where it is of none."""
    headers = spoken(packet)
    for place, header in enumerate(headers):
        if isinstance(header, TCP) and header._flags is not None and header._ack is not None:  # type: ignore[attr-defined]
            return _tcp(packet, headers[:place], header)
        if isinstance(header, SPP) and header._alloc is not None:  # type: ignore[attr-defined]
            return _spp(headers[:place], header)
    return None


def _tcp(packet: Packet, below: Sequence[Header], header: TCP) -> SegmentInfo:
    ends = next(((h._src, h._dst) for h in reversed(below) if h._declaration.pseudo), (None, None))  # type: ignore[attr-defined]
    missing = packet._anomalies.missing if packet._anomalies is not None else 0
    flags = int(header.flags)
    size = _carried(packet, header) + missing + bool(flags & TCPFlags.SYN) + bool(flags & TCPFlags.FIN)
    ack = header.ack if flags & TCPFlags.ACK else None
    window = 0 if header.window is None else header.window
    return SegmentInfo(
        "TCP",
        (ends[0], header.sport, ends[1], header.dport),
        (ends[1], header.dport, ends[0], header.sport),
        header.seq,
        header.seq + size & 0xFFFFFFFF,
        ack,
        None if ack is None else ack + window & 0xFFFFFFFF,
        window,
        1 << 32,
        bool(flags & TCPFlags.SYN),
        bool(flags & TCPFlags.FIN),
        bool(flags & TCPFlags.RST),
    )


def _carried(packet: Packet, header: Header) -> int:
    """Return how many bytes stand above a header, whatever they were read as."""
    place = next(i for i, one in enumerate(packet.layers) if one is header)
    return packet._build()[0].size(place) if place + 1 < len(packet.layers) else len(packet.payload)


def _spp(below: Sequence[Header], header: SPP) -> SegmentInfo:
    idp = next((h for h in reversed(below) if isinstance(h, IDP)), None)
    # Hosts, not sockets: an accepted connection answers from a socket of its own.
    source, destination = (raw[4:10] if raw else b"" for raw in (getattr(idp, "_src", b""), getattr(idp, "_dst", b"")))
    system = int(header.control) & Control.SYSTEM
    return SegmentInfo(
        "SPP",
        (source, header.source_id),
        (destination, header.destination_id),
        header.seq,
        header.seq + (not system) & 0xFFFF,
        header.ack,
        header.alloc + 1 & 0xFFFF,
        header.alloc,
        1 << 16,
        ends=header.datastream in (254, 255),
    )


class _Direction:
    """One direction of a connection: what has been seen of its numbers, which are counted on where those of the wire wrap."""

    def __init__(self, said: SegmentInfo) -> None:
        self.modulus = said.modulus
        self.first, self.next = said.seq, said.seq + (said.end - said.seq) % said.modulus
        self.holes: list[tuple[int, int]] = []  # in order, none touching
        self.ack = self.window = -1

    def ahead(self, number: int, of: int) -> int:
        """How far a number is ahead of another, negative where it lags."""
        return unwrap(number, of, self.modulus) - of

    def take(self, said: SegmentInfo) -> list[str]:
        """Take in a segment that fills numbers; return what is remarkable."""
        late = self.ahead(said.seq, self.next)
        size = self.ahead(said.end, said.seq)
        start, end = self.next + late, self.next + late + size
        if late > 0:
            self.holes.append((self.next, start))
            self.next = end
            return [GAP]
        if late == 0:
            self.next = end
            return []
        if self._fill(start, end):
            return [LATE]
        if size <= 1 and late == -1 and not (said.starts or said.ends) and said.kind == "TCP":
            return [KEEP_ALIVE]
        if self.first >= end:  # older than all that was seen
            if self.first > end:
                self.holes.insert(0, (end, self.first))
            self.first = start
            return [LATE]
        self.next = max(self.next, end)
        return [AGAIN]

    def _fill(self, start: int, end: int) -> bool:
        """Take what is filled from the holes; say whether anything was."""
        at = bisect_right(self.holes, start, key=itemgetter(1))  # the first that ends after the start
        left = []
        after = at
        while after < len(self.holes) and self.holes[after][0] < end:
            low, high = self.holes[after]
            left += [(low, start)] if low < start else []
            left += [(end, high)] if end < high else []
            after += 1
        self.holes[at:after] = left
        return after > at


class Remarks:
    """Listens to packets in order, and says of each what is remarkable."""

    def __init__(self) -> None:
        self._flows: dict[tuple[object, ...], _Direction] = {}
        self._seen: set[int] = set()

    def of(self, packet: Packet) -> list[str]:
        """Take in the next packet; return remarks on it, in words."""
        if self._same_again(packet):
            return [DUPLICATE]
        said = segment(packet)
        if said is None or said.resets:
            return []
        flow = self._flows.get(said.flow)
        found = []
        if flow is None or (said.starts and (said.end - flow.next) % said.modulus and said.kind == "TCP"):
            flow = self._flows[said.flow] = _Direction(said)
        elif said.end != said.seq:
            found = flow.take(said)
        if said.kind == "TCP" and not said.starts:
            found += self._acknowledges(said, flow)
        flow.ack, flow.window = -1 if said.ack is None else said.ack, said.window
        return found

    def _acknowledges(self, said: SegmentInfo, flow: _Direction) -> list[str]:
        if said.window == 0:
            return [FULL]
        other = self._flows.get(said.back)
        if said.end == said.seq and other is not None and (said.ack, said.window) == (flow.ack, flow.window):
            # RFC 5681 section 2: a duplicate only while something is outstanding.
            if other.ahead(other.next, flow.ack) > 0:
                return [SAME_ACK]
        return []

    def _same_again(self, packet: Packet) -> bool:
        """Whether the very same IPv4 packet was here before: one sent again has another id (RFC 6864)."""
        carrier = next((h for h in packet.layers if isinstance(h, IPv4)), None)
        if carrier is None or not carrier.id:
            return False
        number = hash(bytes(packet))
        if number in self._seen:
            return True
        self._seen.add(number)
        return False
