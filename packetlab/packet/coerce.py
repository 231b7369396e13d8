"""Whatever is a packet becomes a `Packet`: ours, a captured frame, scapy's, dpkt's, bytes.

Every place that takes a packet asks `as_packet`, or `foreign.as_bytes` for its bytes, so that all of them take the same things.
"""

from __future__ import annotations

from packetlab.codec.faults import Fault
from packetlab.hooks import hook
from packetlab.packet.foreign import as_bytes, is_foreign
from packetlab.packet.packet import Header, Packet


def first_header_of(packet: object, otherwise: type[Header] | None = None) -> type[Header] | None:
    """Return the class of the outermost header of whatever is a packet, or a header class itself; else `otherwise`."""
    if isinstance(packet, type) and issubclass(packet, Header):
        return packet
    if isinstance(packet, Header):
        return type(packet)
    if isinstance(packet, Packet):
        return type(packet._headers[0]) if packet._headers else None
    if is_foreign(packet):
        return hook("counterpart")(type(packet))  # type: ignore[no-any-return]
    linktype = getattr(packet, "linktype", None)
    return otherwise if linktype is None else hook("first_header")(linktype)


def as_packet(packet: object, like: object = None) -> Packet:
    """Return whatever is a packet as a `Packet`.

    A packet stays as it is, a header becomes one, a captured frame is dissected; so are the bytes of a packet of scapy's
    or dpkt's, from the header that its class stands for, and bytes, from the header that `like` (a header, a header
    class, a packet; default: Ether) begins with. Where a foreign class is none that is declared here, all is payload and a
    fault names the class. TypeError for what is no packet.
    """
    if isinstance(packet, Packet):
        return packet
    if isinstance(packet, Header):
        return Packet((packet,))
    if is_foreign(packet):
        kind = type(packet)
        outermost = hook("counterpart")(kind)
        made: Packet = hook("dissect")(as_bytes(packet), outermost)
        if outermost is not None or kind.__name__ == "Raw":
            return made
        name = f"{kind.__module__}.{kind.__name__}"
        return made.with_fault(Fault(kind.__name__, "", 0, "a header that is declared", name))
    dissected = getattr(packet, "packet", None)
    if callable(dissected) and hasattr(packet, "linktype"):
        framed: Packet = dissected()
        return framed
    data = as_bytes(packet)
    whole: Packet = hook("dissect")(data) if like is None else hook("dissect")(data, first_header_of(like))
    return whole
