"""Streams: the TCP connections of a capture, over IPv4 and IPv6, in any tunnel. Frames in, bytes and streams out.

Follows RFC 9293. How bytes are put in order is `ordering`'s business; here is which segment belongs to which connection,
who began it, and when it is over. Packets quoted in ICMP errors are none of a connection's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from packetlab.capture.frame import Frame
from packetlab.capture.reassembly.events import EventKind, ReassemblyEvent
from packetlab.capture.reassembly.fragments import Datagram, Fragments, is_fragment, packet_of
from packetlab.capture.reassembly.ordering import COST, End, Piece
from packetlab.capture.reassembly.table import ConnectionTable, TwoWay
from packetlab.packet.packet import Packet
from packetlab.protocols.ip import IPv4, IPv6
from packetlab.protocols.transport import TCP

FIN, SYN, RST, ACK = 1, 2, 4, 16


class Stream(TwoWay[End, tuple[End, Piece]]):
    """One TCP connection: what either end sent, and what happened.

    Attributes:
        number: from 0, in the order of first frames. part: from 0; more than one where memory did not allow to wait for
            the end, see `Streams`. client, server: the ends. The client sent the SYN; where none was captured it is the
            end with the higher port, or the first to speak.
        first, last: numbers of its first and last frame. begun_ns, last_ns: their times. frames: how many there were.
        over: why it ended: "FIN", "RST", "a new connection", "end of the capture", ...; "" while it is going on.
    """

    __slots__ = ()

    @property
    def whole(self) -> bool:
        """Whether both ends are there from SYN to FIN, without a hole, in this one part."""
        ends = (self.client, self.server)
        return not self.part and all(end.synced and end.fin is not None and not end.holes for end in ends)

    def turns(self) -> Iterator[tuple[End, int, bytes]]:
        """Yield (end, offset, bytes) as they spoke: what one end sent in one go, in the order of delivery.

        A hole ends a turn: the offset of the next one of the same end tells its size.
        """
        speaking: End | None = None
        said: list[bytes] = []
        start = expected = 0
        for end, piece in self.pieces():
            if speaking is not None and (end is not speaking or piece.offset != expected):
                yield speaking, start, b"".join(said)
                said = []
            if not said:
                speaking, start = end, piece.offset
            said.append(piece.data)
            expected = piece.end
        if speaking is not None:
            yield speaking, start, b"".join(said)

    def pieces(self) -> Iterator[tuple[End, Piece]]:
        """Yield the pieces of both ends in the order of delivery: each when all before it was there."""
        merged = []
        for end in (self.client, self.server):
            latest = 0
            for place, piece in enumerate(end.pieces):
                latest = max(latest, piece.number)
                merged.append((latest, place, end, piece))
        merged.sort(key=lambda item: item[:2])
        return ((end, piece) for _, _, end, piece in merged)


class _Way:
    """From one end to the other: what the table of connections leads to."""

    __slots__ = ("ack", "receiver", "sender", "stream")

    def __init__(self, stream: Stream, sender: End, receiver: End) -> None:
        self.stream, self.sender, self.receiver = stream, sender, receiver
        self.ack = -1  # the last that the sender acknowledged


class Streams(ConnectionTable[Stream, tuple[End, Piece]]):
    """Puts TCP streams together, frame by frame; IP fragments are put together first.

    `receive` gives each piece of bytes as soon as there is none missing before it, `finished` the streams that are over.
    A hole waits to be filled until `window` bytes have come after it in that direction, or the stream is over; data
    after it is given out then, and so is what comes for the hole later. A stream that is over goes after `linger`
    seconds of silence. With all that is kept taking more than `memory` bytes (about), the streams that were silent longest are
    given out as far as they have come and go on as a further `part`: nothing is lost, and memory stays bounded.

    Args:
        keep: whether pieces stay with the streams; without, what `receive` gives is all there is, and retransmissions are
            compared with the last 64 KiB only.
        window: bytes after a hole that one direction may hold. memory: bytes for all. linger: seconds.
        fragments: puts IP fragments together; None for one with its own defaults.
    """

    def __init__(
        self,
        *,
        keep: bool = True,
        window: int = 1 << 22,
        memory: int = 1 << 27,
        linger: float = 10.0,
        fragments: Fragments | None = None,
    ) -> None:
        super().__init__(memory, linger)
        self._keep, self._window = keep, window
        self._fragments = fragments or Fragments()
        self._ways: dict[tuple[object, ...], _Way] = {}
        self._shared: tuple[ReassemblyEvent, ...] = ()  # events of the last datagram that had any

    def receive(self, frame: Frame) -> Sequence[tuple[End, Piece]]:
        """Take a frame; return the bytes that have none missing before them now, with who sent them."""
        found = self._taken(frame)
        return [*self.late(), *found] if self._late else found

    def _taken(self, frame: Frame) -> Sequence[tuple[End, Piece]]:
        packet = packet_of(frame)
        layers: Any = packet.layers
        # Nearly all: an IP packet with nothing to be said of it.
        if (
            packet._anomalies is None
            and len(layers) == 3
            and type(layers[2]) is TCP
            and type(layers[1]) in (IPv4, IPv6)
        ):
            return self._segment(frame, layers[1], layers[2], packet.payload, 0)
        if is_fragment(packet) is not None:
            found: list[tuple[End, Piece]] = []
            for datagram in self._fragments.take(frame):
                found += self._packet(datagram, datagram.packet())
            return found
        return self._packet(frame, packet)

    def end(self) -> list[Stream]:
        """The capture is at its end: return all streams that are left."""
        for datagram in self._fragments.end():
            self._late += self._packet(datagram, datagram.packet())
        return super().end()

    def forget(self, one: Stream) -> None:
        """Take a stream out of the table."""
        for key in one._keys:
            self._ways.pop(key, None)

    # Segments -----------------------------------------------------------------------------------------------

    def _packet(self, frame: Frame, packet: Packet) -> Sequence[tuple[End, Piece]]:
        """Find the TCP segment of a packet, whatever is around it."""
        layers: Any = packet.layers
        under = None
        for i, layer in enumerate(layers):
            if isinstance(layer, (IPv4, IPv6)):
                under = i
            elif isinstance(layer, TCP):
                break
            elif type(layer)._declaration.quotes is not None:
                return ()
        else:
            return ()
        ip, tcp = layers[under] if under is not None else None, layers[i]
        if ip is None or None in (ip._src, ip._dst, tcp._seq, tcp._ack, tcp._flags, tcp._window):
            return ()
        body, missing = packet.payload, 0
        if i + 1 < len(layers) or packet.truncated:
            bodies = packet._build()[0]
            body = bodies[i]
            if packet.truncated and ip.length:
                size = ip.length - (ip.ihl * 4 if isinstance(ip, IPv4) else 0)
                missing = max(0, size - len(bodies[under or 0]))
        found = self._segment(frame, ip, tcp, body, missing)
        if isinstance(frame, Datagram) and frame.events:
            way = self._ways.get((ip._src, ip._dst, tcp._sport, tcp._dport))
            if way is not None:
                # Fragments that were given up together share their events, and the last of these says why.
                events = frame.events[-1:] if frame.events is self._shared else frame.events
                self._shared = frame.events
                way.sender.events += [event._replace(by=way.sender.role) for event in events]
                self._added += COST * len(events)
        return found

    def _segment(self, frame: Frame, ip: Any, tcp: Any, data: bytes, missing: int) -> Sequence[tuple[End, Piece]]:  # noqa: C901
        number, time_ns = frame.number, frame.time_ns
        if time_ns is not None and time_ns > self.now:
            self.now = time_ns
        self._added += len(data) + COST
        if self._ending or self._added > self._share:
            self._look_after()
        flags = tcp._flags
        way = self._ways.get((ip._src, ip._dst, tcp._sport, tcp._dport))
        if way is None or (flags & SYN and not self._syn_fits(way, tcp, number, time_ns)):
            way = self._begin(frame, ip, tcp, way)
        stream, sender = way.stream, way.sender
        stream.frames += 1
        stream.last, stream.last_ns = number, self.now
        if flags & ACK and not flags & RST:
            receiver, ack = way.receiver, tcp._ack
            if ack != way.ack:  # else it says what it said before
                way.ack = ack
                if receiver.first is None:
                    receiver.begin(ack)
                receiver.acked = max(receiver.acked, receiver.offset_of(ack))
        if sender.first is None:
            if flags & RST:
                return self._reset(stream, sender, number, time_ns, data)
            sender.begin(tcp._seq)
        offset = sender.offset_of(tcp._seq) + (flags & SYN and 1)
        if not flags & (SYN | FIN | RST):
            if not tcp._window:
                sender.event(EventKind.ZERO_WINDOW, number, time_ns, offset)
            if len(data) <= 1 and offset == sender.next - 1 and not missing and sender.acked > offset:
                # RFC 9293 section 3.8.4: one byte of old sequence space, or none, to make the other end answer.
                sender.event(EventKind.KEEP_ALIVE, number, time_ns, offset, len(data))
                return ()
        elif flags & RST:
            return self._reset(stream, sender, number, time_ns, data)
        found: Sequence[Piece] = ()
        if data:
            if sender.fin is not None and offset + len(data) > sender.fin:
                beyond = max(offset, sender.fin)
                sender.event(EventKind.BEYOND_FIN, number, time_ns, beyond, offset + len(data) - beyond)
            noted = len(sender.events)
            found = sender.take(offset, data, number, time_ns)
            self._added += COST * (1 + len(sender.events) - noted)
        if missing:
            sender.cut(offset + len(data), missing, number, time_ns)
        if flags & FIN:
            sender.finished(offset + len(data) + missing, number, time_ns)
        if sender.fin is not None and not stream.over:
            receiver = way.receiver
            if receiver.fin is not None and sender.next >= sender.fin and receiver.next >= receiver.fin:
                self._is_over(stream, "FIN")
        return [(sender, piece) for piece in found] if found else ()

    def _reset(
        self, stream: Stream, sender: End, number: int, time_ns: int | None, data: bytes
    ) -> Sequence[tuple[End, Piece]]:
        # Bytes in a reset are no part of the stream (RFC 9293 section 3.5.2: words for people).
        sender.event(EventKind.RESET, number, time_ns, sender.next, len(data))
        if not stream.over:
            self._is_over(stream, "RST")
        return ()

    # Connections --------------------------------------------------------------------------------------------

    def _syn_fits(self, way: _Way, tcp: Any, number: int, time_ns: int | None) -> bool:
        if not tcp._flags & ACK and not way.sender.synced and way.stream.over:
            return False
        return way.sender.synchronize((tcp._seq + 1) & 0xFFFFFFFF, number, time_ns)

    def _begin(self, frame: Frame, ip: Any, tcp: Any, before: _Way | None) -> _Way:
        if before is not None:
            self._finish(before.stream, "a new connection")
        flags = tcp._flags
        if flags & SYN:
            from_client = not flags & ACK
        else:
            from_client = tcp._sport >= tcp._dport
        names = ("client", "server") if from_client else ("server", "client")
        sender = End(names[0], ip.src, tcp._sport, self._window, self._keep)
        receiver = End(names[1], ip.dst, tcp._dport, self._window, self._keep)
        client, server = (sender, receiver) if from_client else (receiver, sender)
        key, back = (ip._src, ip._dst, tcp._sport, tcp._dport), (ip._dst, ip._src, tcp._dport, tcp._sport)
        stream = Stream(self._count, client, server, frame, (key, back))
        self._start(stream)
        self._ways[back] = _Way(stream, receiver, sender)
        way = self._ways[key] = _Way(stream, sender, receiver)
        if flags & SYN:
            sender.synchronize((tcp._seq + 1) & 0xFFFFFFFF, frame.number, frame.time_ns)
        else:
            sender.event(EventKind.MIDSTREAM, frame.number, frame.time_ns)
        return way
