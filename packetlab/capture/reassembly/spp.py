"""Conversations: the SPP connections of a capture. Frames in, packets in order and whole messages out.

Follows Xerox's "Internet Transport Protocols" as 4.4BSD's sys/netns quotes it: numbers count packets modulo 2**16, system
packets take none, a message ends where END_OF_MESSAGE says so, and a datastream type of another kind begins another.
Knows nothing of windows and timers: those are `engine.xns.spp`'s.
"""

from __future__ import annotations

import copy
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from packetlab.capture.frame import Frame
from packetlab.capture.reassembly.events import EventKind, ReassemblyEvent
from packetlab.capture.reassembly.fragments import packet_of
from packetlab.capture.reassembly.ordering import Hole
from packetlab.capture.reassembly.table import ConnectionTable, TwoWay
from packetlab.declare.values.addresses import XNSAddress
from packetlab.engine.xns.sequence import unwrap
from packetlab.packet.packet import Packet
from packetlab.protocols.xns import IDP, SPP, Control
from packetlab.renamed import renamed

SYSTEM, SEND_ACK, ATTENTION, END_OF_MESSAGE = map(int, Control)
END, END_REPLY = 254, 255  # datastream types that close a connection
UNKNOWN = (0, 0xFFFF)  # connection ids of who has not been heard yet
TURN = 1 << 16
COST = 400  # bytes of memory that a packet or an event takes in addition to its data, about
COMPARED = 64  # packets kept for comparison where they are not kept


class Record(NamedTuple):
    """A data packet: `seq` is its number, not wrapped. `missing`: bytes that the capture cut off."""

    seq: int
    data: bytes
    datastream: int
    control: int
    number: int
    time_ns: int | None
    missing: int = 0


class Message(NamedTuple):
    """What one end said in one go.

    Attributes:
        data: its bytes. datastream: their type. by: "client" or "server".
        ended: whether END_OF_MESSAGE ended it; else a change of datastream type, a hole, or the end of the capture did.
        attention: whether it is an attention packet's one byte, which goes before everything else.
        whole: False where packets before, in or after it are missing, so that there may be more of it.
        numbers: of its frames. time_ns: of the last of them.
    """

    data: bytes
    datastream: int
    by: str
    ended: bool
    attention: bool
    whole: bool
    numbers: tuple[int, ...]
    time_ns: int | None


def messages(
    records: Iterable[Record], by: str = "", start: int | None = None, whole: bool = True
) -> Iterator[Message]:
    """Yield the messages that packets in order make; a gap in their numbers ends one and makes the next not whole.

    `start`: the number that the first packet should have. `whole`: whether a message begins there.
    """
    said: list[Record] = []
    expected = start

    def message(ended: bool, sound: bool) -> Message:
        sound = sound and not any(record.missing for record in said)
        numbers = tuple(record.number for record in said)
        data = b"".join(record.data for record in said)
        return Message(data, said[0].datastream, by, ended, False, sound, numbers, said[-1].time_ns)

    for record in records:
        if expected is not None and record.seq != expected:
            if said:
                yield message(False, False)
                said = []
            whole = False
        expected = record.seq + 1
        if record.control & ATTENTION:
            one = (record.number,)
            yield Message(record.data, record.datastream, by, True, True, not record.missing, one, record.time_ns)
            continue
        if said and said[0].datastream != record.datastream:
            yield message(False, whole)
            said, whole = [], True
        if record.datastream in (END, END_REPLY) and not record.data:
            continue
        said.append(record)
        if record.control & END_OF_MESSAGE:
            yield message(True, whole)
            said, whole = [], True
    if said:
        yield message(False, whole)


class Speaker:
    """One end of a conversation and what it sent.

    Attributes:
        role: "client" or "server" of its `conversation`. address: its own. id: its connection id. records: its data packets by number.
        events: what happened; offsets and sizes count packets. next: the number awaited, not wrapped.
        start: the number at which `records` may begin. acked: the number before which the other end has all.
    """

    __slots__ = (
        "_connection", "_held", "_keep", "_kept", "_top", "_whole", "_window", "acked", "address", "events", "id", "known", "next",
        "records", "role", "start",
    )  # fmt: skip

    notes = renamed("notes", "events")

    def __init__(self, role: str, address: XNSAddress, id: int, window: int, keep: bool, known: bool) -> None:
        self.role, self.address, self.id = role, address, id
        self._connection: Callable[[], Any] = lambda: None
        self.records: list[Record] = []
        self.events: list[ReassemblyEvent] = []
        self.start = self.next = self.acked = self._top = 0
        self.known = known  # whether the number it began with is known: 0 where its first packets were captured
        self._held: list[Record] = []
        self._window, self._keep = window, keep
        self._kept = 0
        self._whole = True  # whether a message begins at `start`

    @property
    def conversation(self) -> Any:
        """The `Conversation` whose end this is, as long as anybody else has it."""
        return self._connection()

    @property
    def messages(self) -> list[Message]:
        return list(messages(self.records, self.role, self.start, self._whole and self.known))

    @property
    def data(self) -> bytes:
        """The bytes of all data packets up to the first hole, attentions left out."""
        end = min((hole.offset for hole in self.holes), default=self.next)
        return b"".join(r.data for r in self.records if r.seq < end and not r.control & ATTENTION)

    @property
    def holes(self) -> list[Hole]:
        """Which packets are missing; offsets and sizes count packets."""
        found, at = [], self.start
        for record in [*self.records, *self._held]:
            if record.seq > at:
                found.append(Hole(at, record.seq - at, self.acked >= record.seq))
            at = max(at, record.seq + 1)
        # What is acknowledged after the last is not reported: some count one more than came (Dodo does).
        return found

    def take(self, record: Record) -> list[Record]:
        """Take a data packet; return those that are in order now, or fill a hole that was given up."""
        if not self.known:
            self.start = self.next = self._top = self.acked = record.seq
            self.known, self._whole = True, False
            self.event(EventKind.MIDSTREAM, record)
        record = record._replace(seq=unwrap(record.seq, self.next))
        seq = record.seq
        place = bisect_left(self.records, seq, key=_seq)
        waits = bisect_left(self._held, seq, key=_seq)
        for known, i in ((self.records, place), (self._held, waits)):
            if i < len(known) and known[i].seq == seq:
                self._again(record, known[i])
                return []
        if seq < self.start:
            self.event(EventKind.RETRANSMISSION, record, "not compared" if self.start else "before the start")
            return []
        if seq < self._top:
            self.event(EventKind.OUT_OF_ORDER, record)
        self._noted(record)
        self._top = max(self._top, seq + 1)
        if seq > self.next:
            self._held.insert(waits, record)
            ready = self._skip(EventKind.LIMIT) if len(self._held) > self._window else []
        else:
            self.records.insert(place, record)
            self._kept += len(record.data) + COST
            ready = [record]
            if seq == self.next:
                self._advance(seq + 1, record)
                ready += self._drain()
        if not self._keep and len(self.records) > 2 * COMPARED:
            self._forget()
        return ready

    def _again(self, record: Record, before: Record) -> None:
        # A packet sent again may ask for an acknowledgement that its first copy did not ask for.
        same = record[1:3] == before[1:3] and not (record.control ^ before.control) & ~SEND_ACK
        kind = EventKind.RETRANSMISSION if same else EventKind.CONFLICT
        self.event(kind, record, "" if same else f"the packet of frame {before.number} stays")

    def _noted(self, record: Record) -> None:
        if record.control & ATTENTION:
            self.event(EventKind.ATTENTION, record, f"{len(record.data)} bytes" if len(record.data) != 1 else "")
        if record.datastream in (END, END_REPLY):
            self.event(EventKind.END if record.datastream == END else EventKind.END_REPLY, record)
        if record.missing:
            self.event(EventKind.CUT, record, f"{record.missing} bytes")

    def _advance(self, to: int, record: Record) -> None:
        if to // TURN > self.next // TURN:
            self.event(EventKind.WRAP, record)
        self.next = to

    def _drain(self) -> list[Record]:
        count = 0
        while count < len(self._held) and self._held[count].seq == self.next:
            self._advance(self.next + 1, self._held[count])
            count += 1
        ready = self._held[:count]
        del self._held[:count]
        for record in ready:
            insort(self.records, record, key=_seq)
            self._kept += len(record.data) + COST
        return ready

    def _skip(self, why: EventKind) -> list[Record]:
        """Give the first hole up; return what stood after it."""
        first = self._held[0]
        detail = "acknowledged" if self.acked >= first.seq else ""
        if why is EventKind.LIMIT:
            detail = f"more than {self._window} packets wait after it"
        size = first.seq - self.next
        self.events.append(
            ReassemblyEvent(EventKind.HOLE, 0, self.role, self.next, size, detail, first.time_ns, "packets")
        )
        self._advance(first.seq, first)
        return self._drain()

    def finish(self) -> list[Record]:
        """No more will come: return what is still held, each hole before it reported."""
        ready = []
        while self._held:
            ready += self._skip(EventKind.HOLE)
        return ready

    def event(self, kind: EventKind, record: Record, detail: str = "") -> None:
        """Write down what a packet showed."""
        self.events.append(
            ReassemblyEvent(kind, record.number, self.role, record.seq, 1, detail, record.time_ns, "packets")
        )

    @property
    def cost(self) -> int:
        """Bytes of memory taken, about."""
        return self._kept + sum(len(r.data) + COST for r in self._held) + COST * len(self.events)

    def _forget(self) -> None:
        gone = self.records[:-COMPARED]
        self._kept -= sum(len(record.data) + COST for record in gone)
        del self.records[:-COMPARED]
        self._begin_at(self.records[0].seq, gone)

    def _begin_at(self, seq: int, gone: list[Record]) -> None:
        """Let `records` begin at a number; `gone` went before."""
        said = [record for record in gone if not record.control & ATTENTION]
        self._whole = bool(said[-1].control & END_OF_MESSAGE) if said else self._whole
        self.start = seq

    def portion(self) -> Speaker:
        """Return all that came so far, and go on without it."""
        given = copy.copy(self)
        given._held = []
        given.acked = min(self.acked, self.next)
        self.records, self.events, self._kept = [], [], 0
        self._begin_at(self.next, given.records)
        return given

    def __repr__(self) -> str:
        return f"<{self.role} {self.address} id {self.id}, {len(self.records)} packets>"


def _seq(record: Record) -> int:
    return record.seq


class Conversation(TwoWay[Speaker, tuple[Speaker, Record]]):
    """One SPP connection.

    Attributes:
        number: from 0, in the order of first frames. part: as in `Stream`. client: who requested it, or the first that
            was heard; server. first, last: numbers of its first and last frame. begun_ns, last_ns: their times.
        frames: how many there were. over: why it ended, "" while it is going on.
    """

    __slots__ = ()

    def __init__(self, number: int, client: Speaker, server: Speaker, frame: Frame) -> None:
        super().__init__(number, client, server, frame, [])

    @property
    def messages(self) -> list[Message]:
        """What both said, in the order in which messages were complete."""
        said = self.client.messages + self.server.messages
        return sorted(said, key=lambda message: max(message.numbers))


class Conversations(ConnectionTable[Conversation, tuple[Speaker, Record]]):
    """Puts SPP conversations together, frame by frame; limits are those of `Streams`, but `window` counts packets.

    `receive` gives each data packet as soon as none is missing before it, `finished` the conversations that are over.
    """

    def __init__(self, *, keep: bool = True, window: int = 1024, memory: int = 1 << 27, linger: float = 30.0) -> None:
        super().__init__(memory, linger)
        self._keep, self._window = keep, window
        self._ends: dict[tuple[bytes, int], tuple[Conversation, Speaker, Speaker]] = {}

    def receive(self, frame: Frame) -> Sequence[tuple[Speaker, Record]]:
        """Take a frame; return the data packets that have none missing before them now, with who sent them."""
        packet = packet_of(frame)
        layers: Any = packet.layers
        place = next((i for i, layer in enumerate(layers) if isinstance(layer, SPP)), 0)
        if not place or any(type(layer)._declaration.quotes is not None for layer in layers[:place]):
            return ()
        idp, spp = layers[place - 1], layers[place]
        if not isinstance(idp, IDP) or spp.seq is None or spp.ack is None:
            return ()  # cut off in the header
        if frame.time_ns is not None and frame.time_ns > self.now:
            self.now = frame.time_ns
        self._added += 500
        self._look_after()
        found = self._packet(frame, packet, idp, spp, place)
        return [*self.late(), *found] if self._late else found

    def forget(self, one: Conversation) -> None:
        """Take a conversation out of the table."""
        for key in one._keys:
            self._ends.pop(key, None)

    def _packet(self, frame: Frame, packet: Packet, idp: Any, spp: Any, i: int) -> list[tuple[Speaker, Record]]:
        conversation, sender, receiver = self._find(frame, idp, spp)
        conversation.frames += 1
        conversation.last, conversation.last_ns = frame.number, self.now
        if receiver.known:
            receiver.acked = max(receiver.acked, unwrap(spp.ack, receiver.next))
        if spp._control & SYSTEM:
            return []
        data = packet._build()[0][i] if packet.layers[-1] is not spp else packet.payload
        missing = max(0, idp.length - 30 - 12 - len(data)) if packet.truncated else 0
        self._added += len(data)
        record = Record(spp.seq, data, spp.datastream, spp._control, frame.number, frame.time_ns, missing)
        found = sender.take(record)
        if record.datastream == END_REPLY and not conversation.over:
            self._is_over(conversation, "END")
        return [(sender, one) for one in found]

    def _find(self, frame: Frame, idp: Any, spp: Any) -> tuple[Conversation, Speaker, Speaker]:
        """Return the conversation of a packet, a new one where there is none, with who sent and who is to receive it."""
        mine, theirs = (idp._src, spp.source_id), (idp._dst, spp.destination_id)
        entry = self._ends.get(mine)
        asks = spp.destination_id in UNKNOWN
        if entry is not None:
            conversation, sender, receiver = entry
            # A client that asks anew with an id that it had before.
            again = asks and spp._control & SYSTEM and (conversation.over or sender.next > sender.start)
            known = receiver.id in UNKNOWN or asks or theirs in conversation._keys
            if not again and known:
                if receiver.id in UNKNOWN and not asks:
                    self._meet(conversation, receiver, idp.dst, theirs, (receiver, sender))
                return entry
            self._finish(conversation, "a new connection")
        answered = self._ends.get(theirs)
        if answered is not None and answered[2].id in UNKNOWN and answered[2].address.host == idp.src.host:
            # The answer to the request: from now on the other end has an id, and maybe another socket.
            conversation, receiver, sender = answered
            self._meet(conversation, sender, idp.src, mine, (sender, receiver))
            return conversation, sender, receiver
        client = Speaker("client", idp.src, spp.source_id, self._window, self._keep, asks)
        server = Speaker("server", idp.dst, spp.destination_id, self._window, self._keep, asks)
        conversation = Conversation(self._count, client, server, frame)
        self._start(conversation)
        if not asks:
            self._meet(conversation, server, idp.dst, theirs, (server, client))
        self._meet(conversation, client, idp.src, mine, (client, server))
        return conversation, client, server

    def _meet(
        self, conversation: Conversation, end: Speaker, address: XNSAddress, key: tuple[bytes, int],
        ends: tuple[Speaker, Speaker],
    ) -> None:  # fmt: skip
        """Take an end's address and id for known."""
        end.address, end.id = address, key[1]
        before = self._ends.get(key)
        if before is not None and before[0] is not conversation:
            self._finish(before[0], "a new connection")
        self._ends[key] = (conversation, *ends)
        conversation._keys.append(key)
