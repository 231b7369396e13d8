"""Sockets for whole IDP packets: datagrams, and raw.

Follows 4.4BSD's idp_usrreq.c and idp(4); the BSD name of an option stands in its description.
"""

from __future__ import annotations

from errno import EACCES, EADDRNOTAVAIL, EDESTADDRREQ, EINVAL, EISCONN, EMSGSIZE
from typing import Any

from packetlab.capture import matcher
from packetlab.engine.datagram import Datagrams
from packetlab.errors import LocalProtocolError
from packetlab.host import Station
from packetlab.sockets.socket import Socket
from packetlab.wire.addresses import XNSAddress
from packetlab.wire.dissect import dissect
from packetlab.wire.header import Header
from packetlab.wire.packet import Packet
from packetlab.wire.xns import IDP

HEADER = 30  # octets
LARGEST = 546  # octets of data: 576 less the header
BROADCAST = 0xFFFFFFFFFFFF
NOTHING = IDP()


class _IDPSocket(Socket):
    """What datagram and raw sockets share: packets come in whole."""

    family = "xns"

    def __init__(self, host: Station, *, raw: bool) -> None:
        super().__init__(host)
        self.last_header: IDP | None = None
        self._endpoint = Datagrams(raw=raw)
        self._number = 0

    @property
    def address(self) -> XNSAddress:
        """Our own address; its socket is 0 until the socket has one."""
        return self.host.xns.node.address(self._number)

    @property
    def peer(self) -> XNSAddress | None:
        """The address connected to, or None."""
        return self._endpoint.peer

    def seqno(self) -> int:
        """Return the next of a row of 32-bit numbers, meant for ids of packet exchange (SO_SEQNO)."""
        self._need_open("seqno")
        return self.host.next_seqno()

    def _send(self, packet: Packet) -> None:
        with self.host.medium.lock:
            self._endpoint.send(packet)
            self.host.wish(self._endpoint)

    def read_packet(self, where: Any = None) -> Packet:
        """Wait for the next packet and return it, IDP header and all.

        Args:
            where: a header class, a prototype or a function of the packet; those that do not match are passed over.

        Raises:
            ConnectionRefusedError: on a connected socket, where an Error said that nobody is there.
        """
        self._need_open("read")
        self._receiving()

        def ready() -> Packet | None:
            error, self._endpoint.error = self._endpoint.error, None
            if error is not None:
                raise error
            packet = self._endpoint.read()
            while packet is not None and not matches(packet):
                packet = self._endpoint.read()
            return packet

        matches = matcher(where)
        packet = self._wait(ready, "read")
        self.last_header = packet[IDP]
        return packet

    def _receiving(self) -> None:
        """See to it that packets come in."""


class DatagramSocket(_IDPSocket):
    """Datagrams of IDP (SOCK_DGRAM).

    Attributes:
        default_header: prototype of all outgoing packets (SO_DEFAULT_HEADERS): packet_type, 0 where none is said.
        headers_on_input: `read` puts the 30 octets of the IDP header before the data (SO_HEADERS_ON_INPUT).
        headers_on_output: `write` finds 30 octets of a whole IDP header before the data, of which length and checksum are
            filled in (SO_HEADERS_ON_OUTPUT).
        last_header: header of the last packet read (SO_LAST_HEADER), or None.
        mtu: bytes of data a packet at most (SO_MTU), 546 unless set.
        all_packets: Errors and packets of SPP for this socket come in too (SO_ALL_PACKETS).
        broadcast: may send to groups (SO_BROADCAST).
    """

    kind = "datagram"

    def __init__(self, host: Station) -> None:
        super().__init__(host, raw=False)
        self.headers_on_input = self.headers_on_output = self.broadcast = False
        self._mtu = LARGEST
        self._default = NOTHING

    @property
    def default_header(self) -> IDP:
        """The prototype of all outgoing packets."""
        return self._default

    @default_header.setter
    def default_header(self, header: IDP) -> None:
        self._checked(header, {"packet_type"})
        self._default = header

    @property
    def mtu(self) -> int:
        """Bytes of data a packet at most (SO_MTU)."""
        return self._mtu

    @mtu.setter
    def mtu(self, size: int) -> None:
        if not 1 <= size <= 65535 - HEADER:
            raise self._misuse(EINVAL, "mtu", f"1..{65535 - HEADER} bytes", f"{size}")
        self._mtu = size

    @property
    def all_packets(self) -> bool:
        """Whether Errors and packets of SPP come in too."""
        return self._endpoint.all_packets

    @all_packets.setter
    def all_packets(self, wanted: bool) -> None:
        self._endpoint.all_packets = wanted

    def bind(self, address: Any) -> None:
        """Take a socket number of this host: 1 to 65535, or 0 for any free one."""
        self._need(not self._number, EINVAL, "bind", "an unbound socket", f"one at {self._number}")
        node = self.host.xns.node
        wanted = XNSAddress(socket=address) if isinstance(address, int) else self.host.resolve(address)
        if wanted.host not in (0, node.host):
            raise self._misuse(EADDRNOTAVAIL, "bind", f"host {node.host:X}, or 0", f"{wanted}")
        with self.host.medium.lock:
            self._number = node.bind(self._endpoint, wanted.socket)

    def connect(self, address: Any) -> None:
        """Send to one address from now on, and take packets from there alone."""
        self._need_open("connect")
        remote = self.host.resolve(address)
        whole = remote.socket and remote.host
        self._need(whole, EADDRNOTAVAIL, "connect", "an address with host and socket", f"{remote}")
        self._receiving()
        self._endpoint.peer = remote

    def _receiving(self) -> None:
        if not self._number:
            self.bind(0)

    def _checked(self, header: IDP, may: set[str]) -> None:
        if not isinstance(header, IDP):
            raise LocalProtocolError(f"{self}: header", "a prototype header, IDP(...)", f"{header!r}")
        for name in sorted(header.given - may):
            hint = f"yours are {', '.join(sorted(may))}; with headers_on_output all but length and checksum"
            raise LocalProtocolError(f"{self}: IDP.{name}", "not given", f"{getattr(header, name)}", hint)

    def write(self, data: Any, to: Any = None, header: IDP | None = None) -> int:
        """Send one datagram.

        Args:
            data: at most `mtu` bytes; headers without IDP (``Echo(operation=1) / b"..."``) say their own packet type.
            to: where to; on a connected socket nothing. header: prototype for this one, over `default_header`:
                packet_type, and hops.

        Raises:
            LocalProtocolError: too long, no destination, or a header field that is not the user's.
        """
        self._need_open("write")
        self._receiving()
        packet = self._packet(data, to, header)
        size = len(bytes(packet)) - HEADER - (packet[IDP].length & 1)
        if size > self.mtu:
            raise self._misuse(EMSGSIZE, "write", f"at most {self.mtu} bytes", f"{size}")
        if packet[IDP].dst.host >> 40 & 1 and not self.broadcast:
            hint = "set broadcast = True (SO_BROADCAST)"
            raise self._misuse(EACCES, "write", "one host", f"{packet[IDP].dst}", hint)
        self._send(packet)
        return size

    def _packet(self, data: Any, to: Any, header: IDP | None) -> Packet:
        if self.headers_on_output and header is None:
            octets = bytes(data)
            if len(octets) < HEADER:
                raise self._misuse(EINVAL, "write", "30 octets of header, then data", f"{len(octets)}")
            said = dissect(octets[:HEADER], IDP)[IDP]
            head = IDP(dst=said.dst, src=said.src, hops=said.hops, packet_type=said.packet_type)
            return head / octets[HEADER:]
        peer = self._endpoint.peer
        if peer is not None and to is not None:
            raise self._misuse(EISCONN, "write", "no destination: the socket is connected", f"{to}")
        if peer is None and to is None:
            raise self._misuse(EDESTADDRREQ, "write", "a destination: write(data, to=...)", "none")
        remote = peer or self.host.resolve(to)
        if header is not None:
            self._checked(header, {"packet_type", "hops"})
        found = self.host.xns.node.routes.to(remote)
        node = self.host.xns.node
        source = XNSAddress(node.interfaces[found[0] if found is not None else 0][0], node.host, self._number)
        head = IDP(dst=remote, src=source)
        for given in (self._default, header):
            if given is not None and given.given:
                head = head.replace(**{name: getattr(given, name) for name in given.given})
        body = data.encode() if isinstance(data, str) else data
        return head / (body if isinstance(body, (Header, Packet)) else bytes(body))

    def read(self) -> bytes:
        """Wait for the next datagram and return its data."""
        return self.read_from()[0]

    def read_from(self) -> tuple[bytes, XNSAddress]:
        """Wait for the next datagram and return its data, and where it came from."""
        packet = self.read_packet()
        idp, whole = packet[IDP], bytes(packet)
        start = 0 if self.headers_on_input else HEADER
        return whole[start : idp.length], idp.src

    def close(self) -> None:
        """Give the socket number back."""
        if not self.closed and self._number and not self._elsewhere():
            with self.host.medium.lock:
                self.host.xns.node.unbind(self._endpoint)
        super().close()


class RawSocket(_IDPSocket):
    """Every IDP packet that comes to this host, whole, and packets sent just as they are written (SOCK_RAW)."""

    kind = "raw"

    def __init__(self, host: Station) -> None:
        super().__init__(host, raw=True)
        # From now on: what comes before the first read is kept.
        with host.medium.lock:
            host.xns.node.raw.append(self._endpoint)

    def write(self, data: Any) -> int:
        """Send a packet that begins with IDP, as headers (`auto` fields are derived) or as bytes (kept as they are)."""
        self._need_open("write")
        packet = (
            data if isinstance(data, Packet) else data / b"" if isinstance(data, Header) else dissect(bytes(data), IDP)
        )
        idp = packet.layers[0] if packet.layers else None
        if not isinstance(idp, IDP) or idp.dst is None:
            raise self._misuse(EINVAL, "write", "a packet with a whole IDP header", packet.summary() or "nothing")
        self._send(packet)
        return len(bytes(packet))

    def read(self) -> bytes:
        """Wait for the next packet and return it with its header."""
        return bytes(self.read_packet())

    def close(self) -> None:
        """Stop listening."""
        if not self.closed and not self._elsewhere():
            node = self.host.xns.node
            with self.host.medium.lock:
                if self._endpoint in node.raw:
                    node.raw.remove(self._endpoint)
                node.unbind(self._endpoint)
        super().close()
