"""Packets to scapy and back. The bytes are the same on both sides, whatever they are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from packetlab.export.bridges.counterparts import COUNTERPARTS, counterpart, native, read_items
from packetlab.export.bridges.scapy_classes import decode, link_class
from packetlab.export.bridges.scapy_declared import is_own, names_of, scapy_class
from packetlab.export.bridges.scapy_fields import to_scapy_value
from packetlab.export.bridges.scapy_loaded import guessing, load, was_imported
from packetlab.packet.coerce import as_packet
from packetlab.packet.foreign import Foreign, library
from packetlab.packet.packet import Header, Packet


def from_scapy(packet: object) -> Packet:
    """Return a packet of scapy's as ours, dissected from its bytes; all fields are captured.

    It begins with the header that its class stands for; where none is declared, all is payload and a fault says which
    class that was. TypeError for what is no packet of scapy's.
    """
    if library(type(packet)) != "scapy":
        raise TypeError(f"a packet of scapy's was expected, got {type(packet).__name__}")
    return as_packet(packet)


def to_scapy(packet: Packet, counts: Callable[[str], bool] = was_imported) -> Foreign:
    """Return a packet as scapy's, with the same bytes.

    scapy's own classes stand for the headers it knows, and read what lies above them (DNS, DHCP, ...); for others the
    classes made from their declarations do, where the packet has such headers. Where scapy's own class cannot take the
    bytes, or would not give the same ones back, the class made from the declaration stands there too.

    `counts`: whether the bindings of a module of scapy's count; those that a decoder of `deep` has imported do not.
    """
    load()
    with guessing(counts):
        return _to_scapy(packet)


def _to_scapy(packet: Packet) -> Foreign:
    from scapy.packet import Raw

    data = bytes(packet)
    bodies, layers = packet._build()
    carried = [(header, body) for header, body in zip(layers, bodies, strict=True) if header._fields]
    headers = [header for header, _ in carried]
    if not packet._headers and packet.linktype is not None and data:
        return _by_link_type(packet.linktype, data)
    if not headers or not data:
        return Raw(data)  # without bytes scapy's classes would come with their defaults
    own = native(type(headers[0]), "scapy")
    if own is not None:
        try:
            made = own(data)
            _complete(made, carried, data)
            if bytes(made) == data:
                return made
        except Exception:
            pass  # scapy's own classes raise anything for what is cut short: the declaration's own never does
    return scapy_class(type(headers[0]))(data)


def _by_link_type(linktype: int, data: bytes) -> Foreign:
    """Return a frame as the class that scapy has for its link type, as bytes where it has none or other bytes come back."""
    from scapy.packet import Padding, Raw

    cls = link_class(linktype)
    try:
        made = None if cls is None else decode(cls, data, [])
        if made is None:
            return Raw(data)
        above = made.payload.original
        if bytes(made) != data and above and data.endswith(above):
            # Some classes write padding anew: until a field is set they keep the bytes that they were read from.
            made.raw_packet_cache, made.raw_packet_cache_fields = data[: -len(above)], {}
        built = bytes(made)
        if len(built) < len(data) and data.startswith(built):
            made /= Padding(data[len(built) :])  # some classes drop it
        return made if bytes(made) == data else Raw(data)
    except Exception:  # scapy's classes raise anything for what is cut short
        return Raw(data)


def _complete(made: Foreign, carried: list[tuple[Header, bytes]], data: bytes) -> None:
    """Put declared headers where scapy has none of its own; a user's header stands wherever the packet has it."""
    from scapy.packet import Padding, Raw

    layer = made
    for (here, body), (above, _) in pairwise(carried):
        if counterpart(type(layer)) is not type(here):
            return
        rest = layer.payload
        if type(above).__name__ not in COUNTERPARTS and (type(rest) is Raw or not is_own(type(above))):
            layer.remove_payload()
            layer.add_payload(scapy_class(type(above))(body))
            lost = len(data) - len(bytes(made))
            if lost > 0:  # the padding of a layer below hung after what was taken off
                layer.add_payload(Padding(data[-lost:]))
        layer = layer.payload


def scapy_layer(header: Header) -> Foreign:
    """Return one header as a packet of the class made from it: given and captured fields set, others derived."""
    made = scapy_class(type(header))()
    for name, f in names_of(type(header)).items():
        raw = read_items(header, f) if header._state & f.bit else None
        if raw is not None:
            made.fields[name] = to_scapy_value(f.kind, raw, scapy_class)
    return made


def on_scapy(below: Foreign, packet: Packet) -> Foreign:
    """Return what ``scapy's packet / ours`` is: scapy's, with our headers as classes made from their declarations."""
    from scapy.packet import Padding

    if library(type(below)) != "scapy":
        raise TypeError(f"unsupported operand types for /: {type(below).__name__} and {type(packet).__name__}")
    for header in packet._headers:
        if header._fields:
            below = below / scapy_layer(header)
    if carried := packet.payload + packet.further:
        below = below / carried
    return below / Padding(packet.trailer) if packet.trailer else below
