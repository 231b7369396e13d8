"""Datagrams of IDP, plain and raw: what 4.4BSD's idp_usrreq.c does."""

from __future__ import annotations

from collections import deque
from errno import ENETUNREACH

from packetlab.declare.values.addresses import XNSAddress
from packetlab.engine.contract import Endpoint, Ignored
from packetlab.errors import PacketlabError, broken, unbuildable
from packetlab.packet.packet import Packet
from packetlab.protocols.xns import IDP, ErrorNumber

SPP_TYPE, ERROR_TYPE = 5, 3


class Datagrams(Endpoint):
    """A socket that sends and takes whole IDP packets.

    Attributes:
        peer: takes packets from there alone, where it is given. room: packets kept for the reader.
        all_packets: take those of types 3 (Error) and 5 (SPP) too, which else have other takers.
        raw: it sees every packet of the node, and is bound to no number.
    """

    stamped = False  # its user may say any source

    def __init__(self, *, room: int = 64, raw: bool = False) -> None:
        super().__init__()
        self.peer: XNSAddress | None = None
        self.room, self.raw = room, raw
        self.all_packets = raw
        self.error: OSError | None = None
        self.closed = False
        self._arrived: deque[Packet] = deque()
        self._outbox: list[Packet] = []

    def send(self, packet: Packet) -> None:
        """Queue a packet that begins with IDP."""
        self._outbox.append(packet)

    def read(self) -> Packet | None:
        """Return the next packet, or None while there is none."""
        try:
            return self._arrived.popleft()  # not looked at before: a handler of a signal may read, too
        except IndexError:
            return None

    def receive(self, packet: Packet, now: int) -> None:
        idp = packet[IDP]
        if not self.all_packets and idp.packet_type in (SPP_TYPE, ERROR_TYPE):
            why = f"type {int(idp.packet_type)} is not for a datagram socket (see all_packets)"
        elif self.peer is not None and (idp.src.host, idp.src.socket) != (self.peer.host, self.peer.socket):
            why = f"from {idp.src}, and this socket is connected to {self.peer}"
        elif len(self._arrived) >= self.room:
            why = f"{self.room} packets wait for the reader already"
        else:
            self._arrived.append(packet)
            return
        self._events.append(Ignored(packet, f"IDP datagrams: {why}"))

    def troubled(self, packet: Packet, number: int, now: int) -> None:
        """Take in an Error: a connected socket tells its reader."""
        if self.peer is not None and number == ErrorNumber.NO_SOCKET:
            self.error = broken(ConnectionRefusedError, f"IDP datagrams to {self.peer}: nobody has that socket")
        elif self.peer is not None and number == ErrorNumber.UNREACHABLE:
            self.error = OSError(ENETUNREACH, f"IDP datagrams to {self.peer}: no route to its network")
        else:
            self._events.append(Ignored(packet, f"Error {number:#x} about a datagram"))

    def unbuilt(self, error: PacketlabError, now: int) -> None:
        """Take in that a packet cannot be built: the reader gets the error, as the writer's call is over."""
        self.error = unbuildable(error, "IDP datagrams")

    def packets_to_send(self, now: int) -> list[Packet]:
        """Hand out what was queued."""
        out, self._outbox = self._outbox, []
        return out
