"""Engines of one's own on the interfaces of a host."""

from __future__ import annotations

from collections import deque
from errno import ENOBUFS

from packetlab.capture import matcher
from packetlab.engine.contract import Engine, Event, Ignored
from packetlab.errors import deliberate
from packetlab.link.port import Port
from packetlab.network.outgoing import Outgoing, earliest, not_sent
from packetlab.packet.coerce import as_packet
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.dissect import dissect
from packetlab.protocols.link import Ether

__tracebackhide__ = deliberate

KEPT = 1000  # events that a host remembers


class EngineDriver:
    """An engine of one's own on an interface; a driver (see `link.event_loop`).

    Args:
        to: bytes of the MAC address that its packets go to, where these do not begin with Ether themselves.
    """

    served = True

    def __init__(self, engine: Engine, port: Port, where: object, mac: bytes, to: bytes) -> None:
        self.engine = engine
        self.due = self._timer = engine.next_timeout()
        self.ports = [port]
        self.log: deque[Event] = deque(maxlen=KEPT)
        self._matches, self._mac, self._to = matcher(where), mac, to
        self._outgoing = Outgoing(self._refused)
        self._leaving = deque[Packet | Header]()

    def take(self, port: Port, data: bytes, now: int) -> None:
        """Take in a frame; those that the engine is not meant for are not its business."""
        if data[:6] != self._mac and not (data and data[0] & 1):
            return
        packet = dissect(data)
        if self._matches(packet):
            self.engine.receive(packet, now)

    def poll(self, now: int) -> None:
        """Do what is due, and send what is to be sent."""
        self._outgoing.flush(now)
        if self._timer is not None and self._timer <= now:
            self.engine.on_time(now)
        leaving = self._leaving  # an exception, of a signal's handler too, loses none but that which it is about
        leaving.extend(self.engine.packets_to_send(now) if self.ports else ())
        while leaving and self.ports:
            packet = leaving.popleft()
            first = packet if isinstance(packet, Header) else packet.layers[0]
            framed = packet if isinstance(first, Ether) else Ether(dst=self._to, src=self._mac) / packet
            self._outgoing.send(as_packet(framed), bytes(framed), self.ports[0], now)
        self.log.extend(self.engine.events())
        self._timer = self.engine.next_timeout()
        self.due = earliest(self._timer, self._outgoing.due)

    def failed(self, port: Port, error: OSError) -> None:
        """The interface is gone; nothing of the engine's goes out any more."""
        self.ports.remove(port)
        self.log.extend(self._outgoing.drop(port, error))
        port.close()
        self.log.append(Ignored(Packet(), str(error)))

    def _refused(self, packet: Packet, port: Port, error: Exception) -> None:
        if not (isinstance(error, OSError) and error.errno == ENOBUFS):
            raise error
        self.log.append(not_sent(packet, port, error))
