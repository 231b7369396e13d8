"""Sequenced packet sockets: packets of SPP, with their boundaries and headers (4.4BSD's spp(4))."""

from __future__ import annotations

from errno import EINVAL
from typing import Any

from packetlab.engine.spp import Connection
from packetlab.host import Station
from packetlab.sockets.spp import SPPSocket
from packetlab.wire.dissect import dissect
from packetlab.wire.xns import SPP

HEADER = 12  # octets


class SeqpacketSocket(SPPSocket):
    """Sequenced packets: each write is one packet, each read returns one, with its boundaries (SOCK_SEQPACKET).

    Attributes:
        headers_on_input: `read` puts the 12 octets of a packet's header before its data (SO_HEADERS_ON_INPUT).
        headers_on_output: `write` finds 12 octets of a prototype header before the data (SO_HEADERS_ON_OUTPUT).
    """

    kind = "seqpacket"

    def __init__(self, host: Station, connection: Connection | None = None) -> None:
        super().__init__(host, connection)
        self.headers_on_input = False
        self.headers_on_output = False

    def _inherit(self, child: Any) -> None:
        child.headers_on_input, child.headers_on_output = self.headers_on_input, self.headers_on_output

    def write(self, data: bytes | str, header: SPP | None = None) -> int:
        """Send one packet.

        Args:
            data: at most `mtu` bytes; none is fine. header: prototype for this one, over `default_header`: datastream,
                and END_OF_MESSAGE or ATTENTION in control.

        Raises:
            LocalProtocolError: too long, or a header field that is not the user's. ConnectionError: the peer is gone.
        """
        octets = data.encode() if isinstance(data, str) else bytes(data)
        if self.headers_on_output and header is None:
            if len(octets) < HEADER:
                raise self._misuse(EINVAL, "write", "12 octets of header, then data", f"{len(octets)}")
            said = dissect(octets[:HEADER], SPP)[SPP]
            header = SPP(**{name: getattr(said, name) for name in sorted(said.captured) if getattr(said, name)})
            octets = octets[HEADER:]
        self._queue(octets, header)
        return len(octets)

    def read(self) -> bytes:
        """Wait for the next packet and return its data; empty at the end of the connection (see `ended`)."""
        packet = self.read_packet()
        if packet is None:
            return b""
        return bytes(packet[SPP]) + packet.payload if self.headers_on_input else packet.payload
