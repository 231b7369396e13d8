"""Sequenced packet sockets: packets of SPP, with their boundaries and headers (4.4BSD's spp(4))."""

from __future__ import annotations

from errno import EINVAL
from typing import Self

from packetlab.engine.xns.spp import ATTENTION, END_OF_MESSAGE, Connection
from packetlab.errors import RemoteProtocolError, deliberate
from packetlab.network.host import NetworkHost
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.dissect import dissect
from packetlab.protocols.xns import SPP
from packetlab.sockets.headers import MAY_SAY_SPP, Data, Given, Prototype
from packetlab.sockets.socket import QueuedCall
from packetlab.sockets.spp import HEADER, SPPSocket

__tracebackhide__ = deliberate


class SeqpacketSocket(SPPSocket):
    """Sequenced packets: each write is one packet, each read returns one, with its boundaries (SOCK_SEQPACKET).

    Otherwise than in 4.4BSD, where 12 bytes of header go before all data unless that is turned off, they do so only where
    it is turned on; `read_packet` and ``header=`` need neither.

    Attributes:
        headers_on_input: `read` puts the 12 bytes of a packet's header before its data (SO_HEADERS_ON_INPUT).
        headers_on_output: `write` finds 12 bytes of a prototype header before the data (SO_HEADERS_ON_OUTPUT).
    """

    kind = "seqpacket"

    def __init__(self, host: NetworkHost, connection: Connection | None = None) -> None:
        super().__init__(host, connection)
        self.headers_on_input = False
        self.headers_on_output = False
        self._message: bytearray | None = None  # the beginning of one, read already
        self._passed: int | None = None  # bytes of a message that is too long, of which no more is kept

    def _inherit(self, child: Self) -> None:
        child.headers_on_input, child.headers_on_output = self.headers_on_input, self.headers_on_output

    def write(self, data: Data, header: Prototype | None = None, *, force: bool = False) -> int:
        """Send one packet; return how many bytes of data it has.

        Args:
            data: at most `mtu` bytes; none is fine. Headers at its beginning, ``SPP(datastream=9) / b"..."``, are a
                prototype for this packet.
            header: a prototype too: ``SPP(...)``, ``IDP(...)`` or ``IDP(...) / SPP(...)``, over `default_header` field by
                field. Yours are datastream, END_OF_MESSAGE and ATTENTION in control, hops, and checksum=0xFFFF (none).
            force: send any field as it is given, right or wrong. With a `seq`, or as a system packet, it goes out at once
                and once, beside all others, and whatever the window; else in its turn, and a repeat is as the connection
                would have it.

        Raises:
            LocalProtocolError: too long, or a header field that is not the user's. ConnectionError: the peer is gone.
            TypeError: no data.
        """
        given, raw = self._parted(data, header)
        if self.headers_on_output and header is None and not isinstance(data, (Header, Packet)):
            given, raw = self._prototype_in(raw, force)
        self._queue(raw, given, force=force)
        return len(raw)

    def _prototype_in(self, raw: bytes, force: bool) -> tuple[Given, bytes]:
        """Return what 12 bytes of prototype before the data give. As in BSD a default END_OF_MESSAGE stays."""
        if len(raw) < HEADER:
            raise self._misuse(
                EINVAL, "write", "12 bytes of header, then data", f"{len(raw)}", "headers_on_output is on"
            )
        said = dissect(raw[:HEADER], SPP)[SPP]
        # What is the connection's own and zero is not given.
        names = [name for name in sorted(said.captured) if force or name in MAY_SAY_SPP or getattr(said, name)]
        fields = {name: getattr(said, name) for name in names}
        if not force:
            fields["control"] = int(said.control) | self._control & END_OF_MESSAGE
        return Given({}, fields), raw[HEADER:]

    def write_message(self, data: Data, header: Prototype | None = None, *, force: bool = False) -> int:
        """Send a message: a run of packets, of `mtu` bytes of data each but the last, which has END_OF_MESSAGE.

        What other threads write goes before or after the whole of it, but for an attention.

        Args:
            data, header, force: as for `write`; the prototype goes with every packet. `headers_on_output` does not count
                here.
        """
        verb = "write_message"
        given, raw = self._parted(data, header, verb)
        control = int((given.over(self._given).spp or {}).get("control", 0)) & ~END_OF_MESSAGE
        plain = force or not control & ATTENTION
        self._need(plain, EINVAL, verb, "data", "an attention, which is one byte", "see attention()")
        self._open(verb)
        whole, size = Given({}, {"control": control}).over(given), self._mtu
        with (queued := QueuedCall(self._timeout)).call, self._turn("write", verb, queued):
            for start in range(0, max(1, len(raw)), size):
                piece, last = raw[start : start + size], start + size >= len(raw)
                self._queue(piece, whole, end_of_message=last, force=force, verb=verb, queued=queued)
        return len(raw)

    def read_message(self, largest: int = 1 << 24) -> bytes:
        """Wait for the next message and return its data; empty at the end of the connection (see `ended`).

        A message is what comes up to and with the next packet that has END_OF_MESSAGE; `last_header` is that packet's. An
        attention in between is none of it. What has come stays for the next call where a wait ends early. What other
        threads read comes before or after the whole of it.

        Raises:
            RemoteProtocolError: the connection ended within a message, or it is longer than `largest` bytes; the next call
                then passes over the rest of it.
        """
        verb = "read_message"
        self._need_size(largest, verb)
        self._open(verb)
        with (queued := QueuedCall(self._timeout)).call, self._turn("read", verb, queued):
            while (packet := self._next_packet(verb, queued)) is not None:
                control = int(packet[SPP].control)
                last, data = bool(control & END_OF_MESSAGE), b"" if control & ATTENTION else packet.payload
                if self._passed is not None:
                    self._passed = None if last else self._passed + len(data)
                    continue
                if not control & ATTENTION:
                    self._message = self._message or bytearray()
                    self._message += data
                size = len(self._message or b"")
                if size > largest:
                    self._message, self._passed = None, None if last else size
                    got = f"{size}" if last else f"{size} and more"
                    raise RemoteProtocolError(f"{self}: message", f"at most {largest} bytes", got)
                if last and self._message is not None:
                    whole, self._message = bytes(self._message), None
                    return whole
            left = self._passed if self._message is None else len(self._message)
            self._message = self._passed = None
        if left is not None:
            raise RemoteProtocolError(f"{self}: message", "its end", f"{left} bytes, and the end of the connection")
        return b""

    def read(self) -> bytes:
        """Wait for the next packet and return its data; empty at the end of the connection (see `ended`)."""
        packet = self.read_packet()
        if packet is None:
            return b""
        return bytes(packet[SPP]) + packet.payload if self.headers_on_input else packet.payload
