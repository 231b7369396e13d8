"""A connection of the sequenced packet protocol, without input and output.

Follows Xerox's "Internet Transport Protocols" (XSIS 028112) as 4.4BSD, Interlisp-D and Dodo read it, and where these
differ does what all of them accept. What it does on a step of its life stands in `spp_states`, when it repeats itself
in `spp_timing`, which data go and come in `spp_send` and `spp_receive`. Numbers inside do not wrap (see `sequence`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from errno import ENETUNREACH, ENOTCONN, EPIPE
from typing import Any

from packetlab.declare.values.addresses import XNSAddress
from packetlab.engine.contract import SECOND, Endpoint, Ignored
from packetlab.engine.xns.spp_events import Attention, Finished, Opened, PeerEnded, failure
from packetlab.engine.xns.spp_prototypes import Dress, farewell
from packetlab.engine.xns.spp_receive import Receiver
from packetlab.engine.xns.spp_send import END, END_REPLY, Segment, Sender, check_data
from packetlab.engine.xns.spp_states import CLOSING, LIVE, OVER, TABLE, Do, SPPState, Trigger
from packetlab.engine.xns.spp_timing import RoundTrip, Timing
from packetlab.errors import PacketlabError, SocketMisuse, broken, unbuildable
from packetlab.packet.packet import Packet
from packetlab.protocols.xns import IDP, SPP, Control, ErrorNumber
from packetlab.renamed import renamed

# Plain numbers: arithmetic on enum flags costs more than the rest of a packet.
SYSTEM, SEND_ACK = int(Control.SYSTEM), int(Control.SEND_ACK)
ATTENTION, END_OF_MESSAGE = int(Control.ATTENTION), int(Control.END_OF_MESSAGE)
UNKNOWN = (0, 0xFFFF)  # ids of a peer that is not known yet; the second is Dodo's
LARGEST = 534  # bytes of data: 576 less the headers of IDP and SPP
ENDS = {Do.SEND_END: END, Do.SEND_END_REPLY: END_REPLY}


class Connection(Endpoint):
    """One end of an SPP connection.

    Args:
        local: our address, socket included. remote: the peer's; its socket may turn out to be another.
        source_id: our connection id, 1 to 0xFFFE. window: packets received ahead of the reader, 3 or more.

    `read` takes what has arrived in order; what it holds back is what closes the window.
    """

    def __init__(
        self, local: XNSAddress, remote: XNSAddress, source_id: int, *, timing: Timing | None = None, window: int = 16
    ) -> None:
        super().__init__()
        self.local, self.source_id, self.destination_id = local, source_id, 0
        self._meet(remote)
        self.timing = timing or Timing()
        self._patience = int(self.timing.give_up * SECOND)
        self.state, self._live = SPPState.IDLE, False
        self.error: OSError | None = None
        self.lost = 0  # packets of data that the peer had not confirmed when the connection ended
        self.ended = False  # the peer's END has come, in order
        self.attentions: deque[int] = deque(maxlen=16)  # reported at once; readers take them from here
        self.largest = LARGEST
        self.sender, self.receiver = Sender(self.timing), Receiver(window)
        # A system packet is to ask for an answer (to open, or to hear of the peer); the peer is to hear of our end.
        self._hello = self._probe = self._farewell = False
        self._hello_at = self.hellos = 0
        self.on_open: Callable[[Connection], None] | None = None  # called once the connection is open
        self.patient = False  # while opening, goes on asking where nobody is there yet
        self._last_words: int | None = None  # the number of the END-REPLY that nobody confirms
        self._beside: list[tuple[bytes, Dress]] = []  # packets that are none of the row
        # Times. _unanswered_since: since when something is unanswered. _heard: when the peer was last heard (or a probe sent).
        self._retry_at: int | None = None
        self._dally_at: int | None = None
        self._unanswered_since: int | None = None
        self._linger_at: int | None = None
        self._stuck = False  # that time is over
        self._heard = self._probed = 0

    # Wishes -------------------------------------------------------------------------------------------------

    def connect(self, now: int) -> None:
        """Ask the peer for a connection."""
        self._step(Trigger.CONNECT, now)

    def send(
        self, data: bytes, datastream: int = 0, *, end_of_message: bool = False, attention: bool = False,
        idp: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Queue one packet.

        Args:
            data: `largest` bytes at most, none is fine. datastream: 0 to 253, the client's own. end_of_message: it ends one.
            attention: tell the peer at once; `data` is one byte. idp: fields of its IDP header, which each repeat has too.

        Raises:
            BrokenPipeError: the peer has ended it. SocketMisuse: not connected, too long, no datastream type of a client's.
        """
        if self.state not in (SPPState.OPEN, SPPState.ANSWERED):
            if self.ended:
                raise BrokenPipeError(EPIPE, f"{self}: the peer has ended the connection")
            number = ENOTCONN if self.state in (SPPState.IDLE, SPPState.REQUESTED) else EPIPE
            where, got = f"SPP send from {self.local}", f"one that is {self.state.value}"
            raise SocketMisuse(number, where, "an open connection", got, "connect() first")
        check_data(len(data), datastream, attention, self.largest)
        control = (END_OF_MESSAGE if end_of_message else 0) | (ATTENTION if attention else 0)
        dress = Dress(idp, {}, once=False) if idp else None
        self.sender.queue.append(Segment(control, datastream, data, dress))

    def force(self, data: bytes, idp: Mapping[str, Any], spp: Mapping[str, Any]) -> None:
        """Send a packet with header fields that are the connection's business, right or wrong, for trying out its peer.

        A packet whose `seq` is given, or that is a system packet, goes out at once and once, beside all others. Any other
        waits for its turn, takes the next number and is repeated until it is acknowledged: the first time with all that is
        given, a repeat with the connection's own fields but for the datastream and what it says of messages and attention.
        BuildError: it cannot be built.
        """
        control, dress = int(spp.get("control", 0)), Dress(idp, spp, once=True)
        bytes(dress.put_on(self._packet(0, 0, 0, data), False))  # before it is queued
        if "seq" in spp or control & SYSTEM or self.state not in (SPPState.OPEN, SPPState.ANSWERED):
            self._beside.append((data, dress))
        else:
            kept = control & (END_OF_MESSAGE | ATTENTION)
            self.sender.queue.append(Segment(kept, int(spp.get("datastream", 0)), data, dress))

    def read(self) -> Packet | None:
        """Return the next packet in order, or None while there is none. Reading reopens the window."""
        return self.receiver.read()

    def peek(self) -> Packet | None:
        """Return what `read` would, and leave it there."""
        return next(iter([*self.receiver.ready]), None)

    def close(self, now: int) -> None:
        """Say that no more will be sent; the connection ends once both sides agree. Unread data is let go."""
        receiver = self.receiver
        receiver.reader_gone = True
        for packet in [*receiver.ready]:
            self._ignore(packet, "closed before it was read")
        if receiver.ready and self._live:
            receiver.acks = receiver.acks or 1  # there is room again
        receiver.ready.clear()
        self._step(Trigger.CLOSE, now)

    def abort(self, now: int, error: OSError | None = None) -> None:
        """End at once. The peer, where it is known, gets the Error that its next packet would get anyway."""
        self.error = self.error or error or broken(ConnectionAbortedError, f"{self}: ended by this side")
        self._farewell = bool(self.destination_id) and self.state not in OVER
        self._step(Trigger.ABORT, now)

    @property
    def unsent(self) -> int:
        """How many packets wait for the window to open."""
        return len(self.sender.queue)

    shut = renamed("shut", "sender.shut")

    @property
    def owes(self) -> bool:
        """Whether the peer is to hear something: that reading has reopened the window, say."""
        return self.receiver.acks > 0

    @property
    def settled(self) -> bool:
        """Whether a close has nothing left to wait for, but what goes on by itself: our END-REPLY, repeats, the dally."""
        if self.state is SPPState.DALLYING and not self._stuck:
            return all(segment.datastream >= END and segment.repeated for segment in self.sender.unconfirmed())
        return self._stuck or self.state in OVER

    # The contract -------------------------------------------------------------------------------------------

    def route(self, packet: Packet) -> Connection | None:
        """Return itself; or nobody, for a packet of another host, or with the ids of another connection: one long gone,
        whose end is reported. An answer to a request of ours that was answered before is such a one: of a late copy of it.
        """
        headers: Any = packet._headers
        if headers[0]._src[4:10] != self._their_host:
            return None
        if len(headers) < 2 or type(headers[1]) is not SPP:
            return self
        spp: Any = headers[1]
        if self.destination_id and spp._source_id != self.destination_id:
            return None
        return self if spp._destination_id in (self.source_id, *UNKNOWN) else None

    def receive(self, packet: Packet, now: int) -> None:
        """Take in a packet for this connection: IDP and SPP."""
        headers = packet._headers  # the numbers as they stand in them: this is done for every packet
        if len(headers) < 2 or type(headers[1]) is not SPP:
            self._ignore(packet, "not a packet of SPP")
            return
        spp: Any = headers[1]
        source, destination, control = spp._source_id, spp._destination_id, spp._control
        known = self._live and source == self.destination_id and destination == self.source_id
        if not known and not self._meets(packet, source, destination, now):
            return
        self._heard, self._unanswered_since = now, None
        if self.sender.acknowledged(spp._ack, spp._alloc, control, now):
            self._retry_at = None
        if not control & SYSTEM:
            self._take_data(packet, spp, control, now)
        elif control & SEND_ACK:
            self.receiver.acks = self.receiver.acks or 1

    def packets_to_send(self, now: int) -> list[Packet]:
        """Hand out what is to go out now."""
        receiver = self.receiver
        out: list[Packet] = []
        if self._live and self.sender.waiting:
            for each in self.sender.departures(now):
                control = each.control | SEND_ACK if each.asks else each.control
                packet = self._packet(control, each.datastream, each.seq, each.data)
                out.append(packet if each.dress is None else each.dress.put_on(packet, each.repeated))
        if self._hello or self._probe:
            out.append(self._system(SYSTEM | SEND_ACK))
            self._hello_at, self.hellos = now, self.hellos + 1
        elif self._last_words is not None:
            out.append(self._packet(END_OF_MESSAGE, END_REPLY, self._last_words, b""))
        elif receiver.acks and not out:
            out = [self._system(SYSTEM) for _ in range(receiver.acks)]
        if self._farewell:
            ids = self.source_id, self.destination_id
            out.append(farewell(self.local, self.remote, *ids, receiver.expected & 0xFFFF))
        self._set_timer(now)
        self._hello = self._probe = self._farewell = False
        self._last_words, receiver.acks = None, 0
        if self._beside:
            beside, self._beside = self._beside, []
            out = [d.put_on(self._packet(0, 0, self.sender.next, data), False) for data, d in beside] + out
        return out

    def next_timeout(self) -> int | None:
        """Return when something is due."""
        if self._retry_at is not None:
            return self._retry_at if self._linger_at is None else min(self._retry_at, self._linger_at)
        if self._dally_at is not None:
            return self._dally_at
        if self.timing.keep_alive is not None and self.state is SPPState.OPEN:
            probe_at = max(self._heard, self._probed) + int(self.timing.keep_alive * SECOND)
            return min(probe_at, max(self._heard + self._patience, self._probed + 1))
        return None

    def on_time(self, now: int) -> None:
        """Repeat, probe or give up."""
        due = self.next_timeout()
        if due is None or now < due:
            return
        self.sender.late(late := now - due)  # no silence of the peer's: its answers may lie in the network yet
        self._heard, self._probed = self._heard + late, self._probed + late
        self._unanswered_since = None if self._unanswered_since is None else self._unanswered_since + late
        if self._retry_at is None:
            if self._dally_at is not None:
                self._step(Trigger.DALLY_OVER, now)
            elif now - self._heard >= self._patience:
                self._step(Trigger.GIVE_UP, now)
            else:
                self._probe, self._probed = True, now
            return
        if self._linger_at is not None and self._linger_at <= now:
            self._stuck, self._linger_at = True, None
            if not self.sender.waiting:
                self._step(Trigger.GIVE_UP, now)
            return
        self._retry_at = None
        if self._unanswered_since is not None and now >= self._deadline(self._unanswered_since, now):
            self._step(Trigger.GIVE_UP, now)
        elif self.state in (SPPState.REQUESTED, SPPState.ANSWERED):
            self._hello = True
        elif self.sender.flight:
            self.sender.unanswered()
        else:
            self._probe = True
        self.sender.round_trip.back_off()

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it; what has arrived can still be read."""
        return not self._live and self.state in OVER

    def troubled(self, packet: Packet, number: int, now: int) -> None:
        """Take in an Error packet about a packet of ours."""
        opening = self.state is SPPState.REQUESTED
        if number == ErrorNumber.NO_SOCKET and not (opening and self.patient):
            self._step(Trigger.REFUSED, now)
        elif number == ErrorNumber.RESOURCE_LIMIT:
            self.sender.slow_down()
        elif number == ErrorNumber.UNREACHABLE and opening:
            self.error = OSError(ENETUNREACH, f"{self}: no route to network {self.remote.net:X}")
            self._step(Trigger.REFUSED, now)
        elif number == ErrorNumber.LISTENER_REJECT and opening:
            self.error = broken(ConnectionRefusedError, f"{self}: the listener refuses")
            self._step(Trigger.REFUSED, now)
        else:
            self._ignore(packet, f"Error {number:#x} changes nothing")

    def unbuilt(self, error: PacketlabError, now: int) -> None:
        """Take in that a packet of ours cannot be built: the row cannot go on without it."""
        self.abort(now, unbuildable(error, str(self)))

    # Receiving ----------------------------------------------------------------------------------------------

    def _meets(self, packet: Packet, source: int, destination: int, now: int) -> bool:
        """Take the step that a packet of an end not yet known, or a repeated request, means; say whether to read on."""
        if self.state in OVER:
            self._ignore(packet, f"the connection is {self.state.value}")
            return False
        if destination == self.source_id and (source == self.destination_id or self._may_answer(packet)):
            step = Trigger.CONFIRM
        elif destination in UNKNOWN and self._may_ask(packet, source):
            step = Trigger.REQUEST
        else:
            self._ignore(packet, f"ids {source} and {destination}, not {self.destination_id} and {self.source_id}")
            return False
        if (self.state, step) not in TABLE:
            self._ignore(packet, f"a {step.value} while {self.state.value}")
            return False
        if self.destination_id == 0:
            # The answer says from which socket: the one addressed, or a new one for this connection.
            self.destination_id = source
            self._meet(packet[IDP].src)
        self._step(step, now)
        return True

    def _may_ask(self, packet: Packet, source: int) -> bool:
        """Say whether a packet without our id comes from the end that this connection is with."""
        if self.destination_id:
            return source == self.destination_id
        return source not in UNKNOWN and (self.state is SPPState.IDLE or packet[IDP].src == self.remote)

    def _may_answer(self, packet: Packet) -> bool:
        """Say whether a packet with our id may be the answer to our request, from whichever socket of the peer."""
        return self.state is SPPState.REQUESTED and packet[IDP].src.host == self.remote.host

    def _take_data(self, packet: Packet, spp: Any, control: int, now: int) -> None:
        receiver = self.receiver
        why = receiver.refuses(packet, spp._seq, control, spp._datastream)
        if why is not None:
            self._ignore(packet, why)
        elif control & ATTENTION:
            self._events.append(Attention(packet.payload[0], packet))
            self.attentions.append(packet.payload[0])
        while (arrived := receiver.in_order()) is not None:
            header: Any = arrived[SPP]
            self._deliver(arrived, header._datastream, now)

    def _deliver(self, packet: Packet, datastream: int, now: int) -> None:
        if datastream < END and not self.ended and not self.receiver.reader_gone:
            self.receiver.advance(packet)
            return
        if datastream == END:
            if not self.ended:
                self.ended = True
                self._events.append(PeerEnded())
            self._step(Trigger.END, now)
        elif datastream == END_REPLY:
            self._step(Trigger.END_REPLY, now)
        else:
            self._ignore(packet, "data after the END" if self.ended else "closed by this side")
        self.receiver.advance()

    def _ignore(self, packet: Packet, why: str) -> None:
        self._events.append(Ignored(packet, f"{self}: {why}"))

    # Sending ------------------------------------------------------------------------------------------------

    def _packet(self, control: int, datastream: int, seq: int, data: bytes) -> Packet:
        receiver = self.receiver
        spp = SPP(
            control=control,
            datastream=datastream,
            source_id=self.source_id,
            destination_id=self.destination_id,
            seq=seq & 0xFFFF,
            ack=receiver.expected & 0xFFFF,
            alloc=receiver.allocation() & 0xFFFF,
        )
        return Packet((self._route, spp), data)

    def _system(self, control: int) -> Packet:
        return self._packet(control, 0, self.sender.next, b"")  # takes no number, carries that of the next data packet

    def _meet(self, remote: XNSAddress) -> None:
        self.remote, self._route = remote, IDP(dst=remote, src=self.local)  # never changed: all packets share one
        self._their_host = remote.host.to_bytes(6, "big")

    # Life ---------------------------------------------------------------------------------------------------

    def _step(self, step: Trigger, now: int) -> None:
        if (entry := TABLE.get((self.state, step))) is None:
            return
        do, state = entry
        if do is Do.FAIL_UNLESS_DONE and self.sender.done(step, self.ended):
            do, state = Do.FINISH, SPPState.CLOSED
        elif step is Trigger.END_REPLY and self.sender.missed:
            state = SPPState.ABORTED  # it says that all is well, and confirms less than all
        before = self.state  # an interrupt may end this: what another such step would not do comes before the state
        ends = state in OVER and before not in OVER
        self.lost = self.sender.missed if ends else self.lost
        if ends and state is SPPState.ABORTED:
            self.receiver.acks, heard = 0, now - self._heard < self._patience
            self.error = self.error or failure(str(self), step, before, self.timing.give_up, heard)
        if do is Do.OPENED and self.on_open is not None:
            self.on_open(self)
        last = [Segment(END_OF_MESSAGE, ENDS[do], b"")] if do in ENDS else []
        self.state, self._live = state, state in LIVE
        self.sender.queue.extend(last)
        if do in (Do.REPEAT, Do.LEARN):
            self._hello = True
        elif do is Do.OPENED:
            self._events.append(Opened())
            if self.hellos == 1:
                self.sender.round_trip.measured(now - self._hello_at)
            else:
                self.sender.round_trip = RoundTrip(self.timing)  # RFC 6298 (5.7)
            if before is SPPState.REQUESTED:
                self.receiver.acks = self.receiver.acks or 1  # the third packet, which opens the peer's side
            self._retry_at = None
        elif do is Do.SEND_LAST:
            reply = self.sender.reply
            if reply is not None or before is SPPState.ENDING:
                self._last_words = reply.seq if reply is not None and reply.seq >= 0 else self.sender.next
        if ends:
            self.sender.clear()
            self._events.append(Finished(self.error))

    def _waits(self) -> bool:
        """Say whether something of ours is unanswered."""
        if not self._live:
            return self.state in (SPPState.REQUESTED, SPPState.ANSWERED)
        return self.sender.waiting or self.state is SPPState.ENDING

    def _deadline(self, since: int, now: int) -> int:
        return min(since + self._patience, self.sender.give_up_at(self.state in CLOSING, now))

    def _set_timer(self, now: int) -> None:
        if self.state not in CLOSING or not self.sender.held:
            self._linger_at, self._stuck = None, False
        elif self._linger_at is None and not self._stuck:
            self._linger_at = now + int(self.timing.linger * SECOND)
        if self._waits():
            if self._unanswered_since is None:
                self._unanswered_since = now
            if self._retry_at is None:
                self._retry_at = min(now + self.sender.round_trip.timeout, self._deadline(self._unanswered_since, now))
            self._dally_at = None
            return
        self._unanswered_since = self._retry_at = None
        if self.state is not SPPState.DALLYING:
            self._dally_at = None
        elif self._dally_at is None:
            self._dally_at = now + int(self.timing.dally * SECOND)

    def __str__(self) -> str:
        return f"SPP {self.local} to {self.remote}"
