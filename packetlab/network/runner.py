"""Engines of one's own on the interfaces of a host."""

from __future__ import annotations

from collections import deque

from packetlab.capture import matcher
from packetlab.engine.contract import Engine, Event
from packetlab.errors import deliberate
from packetlab.link.port import Port
from packetlab.packet.packet import Header
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
        self.engine, self.due = engine, engine.next_timeout()
        self.ports = [port]
        self.log: deque[Event] = deque(maxlen=KEPT)
        self._matches, self._mac, self._to = matcher(where), mac, to

    def take(self, port: Port, data: bytes, now: int) -> None:
        """Take in a frame; those that the engine is not meant for are not its business."""
        if data[:6] != self._mac and not (data and data[0] & 1):
            return
        packet = dissect(data)
        if self._matches(packet):
            self.engine.receive(packet, now)

    def poll(self, now: int) -> None:
        """Do what is due, and send what is to be sent."""
        if self.due is not None and self.due <= now:
            self.engine.on_time(now)
        for packet in self.engine.packets_to_send(now) if self.ports else ():
            first = packet if isinstance(packet, Header) else packet.layers[0]
            framed = packet if isinstance(first, Ether) else Ether(dst=self._to, src=self._mac) / packet
            self.ports[0]._send(bytes(framed))
        self.log.extend(self.engine.events())
        self.due = self.engine.next_timeout()

    def failed(self, port: Port, error: OSError) -> None:
        """The interface is gone."""
        self.ports.remove(port)
        port.close()
