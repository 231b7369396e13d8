"""Packets to dpkt and back. The bytes are the same on both sides, whatever they are."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

from packetlab.export.bridges.counterparts import COUNTERPARTS, counterpart, native
from packetlab.export.bridges.dpkt_declared import LAYERS, dpkt_class, read_above
from packetlab.packet.coerce import as_packet
from packetlab.packet.foreign import Foreign, library
from packetlab.packet.packet import Header, Packet


def from_dpkt(packet: object) -> Packet:
    """Return a packet of dpkt's as ours, dissected from its bytes; all fields are captured.

    It begins with the header that its class stands for; where none is declared, all is payload and a fault says which
    class that was. TypeError for what is no packet of dpkt's.
    """
    if library(type(packet)) != "dpkt":
        raise TypeError(f"a packet of dpkt's was expected, got {type(packet).__name__}")
    return as_packet(packet)


def to_dpkt(packet: Packet) -> Foreign:
    """Return a packet as dpkt's, with the same bytes.

    dpkt's own classes stand for the headers it knows; for others, and where dpkt's own class cannot take the bytes or would
    not give the same ones back, the classes made from their declarations do. What is cut inside its first header comes as
    a packet without fields whose `data` has it. Of a tower of more than `LAYERS` headers, the outer ones are of classes
    made from declarations, and their `data` has the rest as bytes.
    """
    data = bytes(packet)
    headers = [header for header in packet._headers if header._fields]
    for header in headers:
        if type(header).__name__ not in COUNTERPARTS:
            dpkt_class(type(header))  # so that dpkt's own classes below it lead to it
    # dpkt's own classes go on to the last header, and ask for lengths again at each.
    made = read_above(type(headers[0]), data, own=len(headers) <= LAYERS) if headers else data
    if isinstance(made, bytes):
        return _plain()(data)
    _complete(made, headers)
    return made


@cache
def _plain() -> type[Foreign]:
    """A class for bytes that are no header's."""
    import dpkt

    return type("Bytes", (dpkt.Packet,), {"__hdr__": (), "__doc__": "Bytes, as they are."})


def _complete(made: Foreign, headers: list[Header]) -> None:
    """Put declared headers where dpkt's own classes left bytes; a user's header stands wherever the packet has it."""
    layer = made
    for here, above in pairwise(headers[:LAYERS]):
        if counterpart(type(layer)) is not type(here):
            return
        own = type(above).__module__.startswith("packetlab.")
        if native(type(above), "dpkt") is None and (isinstance(layer.data, bytes) or not own):
            layer.data = read_above(type(above), bytes(layer.data))
        layer = layer.data
