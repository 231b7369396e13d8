"""The receiving half of an SPP connection: order, duplicates, and how much the peer may send."""

from __future__ import annotations

from collections import deque

from packetlab.engine.xns.sequence import unwrap
from packetlab.engine.xns.spp_send import ATTENTION, BEYOND, END
from packetlab.packet.packet import Packet

SEND_ACK = 0x40  # of connection control


class Receiver:
    """Packets of the other direction, from the network to the reader.

    Attributes:
        expected: number of the next packet in order. ready: what a reader may take. window: packets ahead of the reader.
        alloc: highest number that the peer may send; never taken back.
        acks: acknowledgements owed to the peer. reader_gone: nobody will read what is yet to come.
    """

    def __init__(self, window: int) -> None:
        self.expected, self.window = 0, window
        self.ready: deque[Packet] = deque()
        self.alloc = window - 1
        self.acks = 0
        self.reader_gone = False
        self._held: dict[int, Packet] = {}  # came ahead of its turn

    def refuses(self, packet: Packet, seq: int, control: int, datastream: int) -> str | None:
        """Take in a data packet; return why it is of no use, or None where it is, and `in_order` has more."""
        seq = unwrap(seq, self.expected)
        if seq != self.expected:
            # One for each packet out of its turn: the sender counts them (fast retransmit).
            self.acks = min(self.acks + 1, self.window)
        elif control & SEND_ACK:
            self.acks = self.acks or 1
        if seq < self.expected or seq in self._held:
            return "a duplicate"
        if seq > self.alloc + (BEYOND if control & ATTENTION or datastream >= END else 0):
            return f"beyond the allocation ({self.alloc & 0xFFFF})"
        if control & ATTENTION and len(packet.payload) != 1:
            return f"an attention of {len(packet.payload)} bytes, not one"
        self._held[seq] = packet
        return None

    def in_order(self) -> Packet | None:
        """Return the next packet in order, or None while it has not come. It is the next one until `advance`."""
        return self._held.get(self.expected)

    def advance(self, packet: Packet | None = None) -> None:
        """Go on to the packet after the next one; with it, let the reader have it: no interrupt comes between the two."""
        number = self.expected
        self.expected = number + 1
        if packet is not None:
            self.ready.append(packet)
        self._held.pop(number, None)

    def read(self) -> Packet | None:
        """Return what the reader may take next, or None."""
        try:
            packet = self.ready.popleft()  # not looked at before: a handler of a signal may read, too
        except IndexError:
            return None
        # Say so where the window was shut, or where half of it has come free (for every packet would be silly).
        still_open = self.alloc - self.expected + 1
        if still_open <= 0 or self.window - len(self.ready) - still_open >= max(1, self.window // 2):
            self.acks = self.acks or 1
        return packet

    def allocation(self) -> int:
        """Return the highest number that the peer may send now."""
        self.alloc = max(self.alloc, self.expected - 1 + self.window - len(self.ready))
        return self.alloc
