"""Packets of SPP that are not as a connection makes them: with fields of the user's, or said in a connection's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from packetlab.declare.values.addresses import XNSAddress
from packetlab.packet.packet import Packet
from packetlab.protocols.xns import IDP, SPP, Error, ErrorNumber


@dataclass(frozen=True, slots=True)
class Dress:
    """Header fields of one packet that are its user's. `once`: a repeat of it has none of them."""

    idp: Mapping[str, Any]
    spp: Mapping[str, Any]
    once: bool

    def put_on(self, packet: Packet, repeat: bool) -> Packet:
        """Return a packet of the connection's with these fields."""
        if repeat and self.once:
            return packet
        return packet.replace(SPP, **self.spp).replace(IDP, **self.idp)


def farewell(local: XNSAddress, remote: XNSAddress, ours: int, theirs: int, seq: int) -> Packet:
    """Return the Error that a packet of the peer's draws once nobody knows its connection, as if one had come already."""
    about = IDP(dst=local, src=remote) / SPP(source_id=theirs, destination_id=ours, seq=seq)
    return IDP(dst=remote, src=local) / Error(number=ErrorNumber.NO_SOCKET) / bytes(about)
