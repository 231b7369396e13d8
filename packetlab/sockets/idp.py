"""Sockets for whole IDP packets: datagrams, and raw.

Follows 4.4BSD's idp_usrreq.c and idp(4); the BSD name of an option stands in its description.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EADDRNOTAVAIL, EDESTADDRREQ, EINVAL, EISCONN, EMSGSIZE, ENETUNREACH

from packetlab.capture import matcher
from packetlab.declare.expressions import Next
from packetlab.declare.registry import conditions, space
from packetlab.declare.values.addresses import XNSAddress
from packetlab.engine.xns.datagram import Datagrams
from packetlab.errors import PacketlabError, deliberate, unbuildable
from packetlab.network.host import NetworkHost
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.dissect import dissect
from packetlab.protocols.xns import IDP, SPP
from packetlab.sockets.headers import NOTHING, Data, Given, Prototype, outgoing, parted, prototype
from packetlab.sockets.socket import Socket, is_number
from packetlab.sockets.ways import ANOTHER, OURS, THEIRS

__tracebackhide__ = deliberate

HEADER, SPP_HEADER = 30, 12  # bytes
LARGEST = 546  # bytes of data: 576 less the header
MOST = 65535 - HEADER  # bytes of data in any packet: a length has 16 bits
BROADCAST = 0xFFFFFFFFFFFF
EVERY_NETWORK = 0xFFFFFFFF
NO_HEADER = IDP()
MAY_SAY = {"packet_type", "hops"}  # what a prototype header decides of IDP


class _IDPSocket(Socket):
    """What datagram and raw sockets share: packets come in whole."""

    family = "xns"
    _patient = True  # a write waits until there is room for the packet

    def __init__(self, host: NetworkHost, *, raw: bool) -> None:
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

    def _send(self, packet: Packet, to: XNSAddress) -> None:
        """Send a packet, once the way to its network is known."""
        node, loop = self.host.xns.node, self.host.loop
        self.host.need_carrier(self, "write", to)
        everywhere = to.host == BROADCAST and to.net == EVERY_NETWORK
        if node.routes.to(to) is None and to.host != node.host and not everywhere:
            with loop.lock:
                node.routes.ask(to.net, loop.now)
                self.host.schedule(node.routes)

            def way() -> bool | None:
                if node.routes.to(to) is not None:
                    return True
                if not node.routes.asking(to.net):
                    raise OSError(ENETUNREACH, f"{self}: write: no route to network {to.net:X}")
                return None

            self._wait(way, "write")
        outgoing = self.host.xns.outgoing
        with loop.lock:
            self._endpoint.send(packet)
            self.host.schedule(self._endpoint)
            waits = outgoing.waits(packet) and self._patient and not loop.under_way
        if waits:
            try:
                self._wait(lambda: None if outgoing.waits(packet) else True, "write")
            except BaseException:
                with loop.lock:
                    outgoing.take_back(packet)
                raise
            self.host.need_carrier(self, "write", to)  # which has failed meanwhile, perhaps with the packet

    def _built(self, packet: Packet) -> bytes:
        """Return the bytes of a packet, before it is queued."""
        try:
            return bytes(packet)
        except PacketlabError as error:
            raise unbuildable(error, f"{self}: write") from None

    def read_packet(self, where: object = None) -> Packet:
        """Wait for the next packet and return it, IDP header and all.

        Args:
            where: a header class, a prototype or a function of the packet; those that do not match are passed over.

        Raises:
            ConnectionRefusedError: on a connected socket, where an Error said that nobody is there. OSError: ENETDOWN, all
            networks of the host have failed.
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
            return self.host.awaited(packet, self, "read")

        matches = matcher(where)
        packet = self._wait(ready, "read")
        self.last_header = packet[IDP]
        return packet

    def _receiving(self) -> None:
        """See to it that packets come in."""


class DatagramSocket(_IDPSocket):
    """Datagrams of IDP (SOCK_DGRAM).

    Attributes:
        default_header: prototype of all outgoing packets (SO_DEFAULT_HEADERS), as ``header=`` of `write`; the packet type is
            0 where nothing says one.
        headers_on_input: `read` puts the 30 bytes of the IDP header before the data (SO_HEADERS_ON_INPUT).
        headers_on_output: `write` finds 30 bytes of a whole IDP header before the data, of which length and checksum are
            filled in (SO_HEADERS_ON_OUTPUT).
        last_header: header of the last packet read (SO_LAST_HEADER), or None.
        mtu: bytes of data a packet at most (SO_MTU), 546 unless set.
        all_packets: Errors and packets of SPP for this socket come in too (SO_ALL_PACKETS).
        broadcast: may send to groups (SO_BROADCAST).
    """

    kind = "datagram"

    def __init__(self, host: NetworkHost) -> None:
        super().__init__(host, raw=False)
        self.headers_on_input = self.headers_on_output = self.broadcast = False
        self._mtu = LARGEST
        self._default: tuple[Prototype, Given, bool] = NO_HEADER, NOTHING, False

    @property
    def default_header(self) -> Prototype:
        """The prototype of all outgoing packets."""
        return self._default[0]

    @default_header.setter
    def default_header(self, header: Prototype) -> None:
        self._default = header, self._checked(prototype(header, str(self))), False

    @contextmanager
    def header(self, header: Prototype, *, force: bool = False) -> Iterator[None]:
        """Use a prototype header for a group of writes: ``with socket.header(IDP(packet_type=9)): ...``.

        Args:
            header: over `default_header`, or over the group around this one, field by field. force: as for `write`.
        """
        given, before = prototype(header, str(self)), self._default
        whole = _over(given if force else self._checked(given), before[1])
        self._default = whole.header(), whole, force or before[2]
        try:
            yield
        finally:
            self._default = before

    @property
    def mtu(self) -> int:
        """Bytes of data a packet at most (SO_MTU)."""
        return self._mtu

    @mtu.setter
    def mtu(self, size: int) -> None:
        if not (is_number(size) and 1 <= size <= MOST):
            raise self._misuse(EINVAL, "mtu", f"1..{MOST} bytes", f"{size!r}", f"XNS itself has {LARGEST}")
        self._mtu = size

    @property
    def all_packets(self) -> bool:
        """Whether Errors and packets of SPP come in too."""
        return self._endpoint.all_packets

    @all_packets.setter
    def all_packets(self, wanted: bool) -> None:
        self._endpoint.all_packets = wanted

    def bind(self, address: object) -> None:
        """Take a socket number of this host: 1 to 65535, or 0 for any free one."""
        self._need(not self._number, EINVAL, "bind", "an unbound socket", f"one at {self._number}", ANOTHER)
        node = self.host.xns.node
        with self._named("bind"):
            wanted = self.host.resolve(XNSAddress(socket=address) if isinstance(address, int) else address)
        if wanted.host not in (0, node.host):
            raise self._misuse(EADDRNOTAVAIL, "bind", f"host {node.host:X}, or 0", f"{wanted}", OURS)
        with self.host.loop.lock, self._named("bind"):
            self._number = node.bind(self._endpoint, wanted.socket)

    def connect(self, address: object) -> None:
        """Send to one address from now on, and take packets from there alone."""
        self._need_open("connect")
        with self._named("connect"):
            remote = self.host.resolve(address)
        whole = remote.socket and remote.host
        self._need(whole, EADDRNOTAVAIL, "connect", "an address with host and socket", f"{remote}", THEIRS)
        self._receiving()
        self._endpoint.peer = remote

    def _receiving(self) -> None:
        if not self._number:
            with self.host.loop.lock:  # two threads may come at once
                if not self._number:
                    self.bind(0)

    def _checked(self, given: Given, may: set[str] = MAY_SAY) -> Given:
        """Return the fields of a prototype, all of which are the user's."""
        given.check(str(self), may, (given.spp or {}).keys())  # there is no connection whose the fields of SPP would be
        return given

    def write(self, data: Data, to: object = None, header: Prototype | None = None, *, force: bool = False) -> int:
        """Send one datagram; return how many bytes it has after the header of IDP.

        Args:
            data: at most `mtu` bytes. Headers at its beginning: IDP is a prototype for this datagram, others say their own
                packet type (``Echo(operation=1) / b"..."``), whatever the default says.
            to: where to; on a connected socket nothing, and nothing where a prototype says ``IDP(dst=...)``.
            header: a prototype too: ``IDP(...)``, ``SPP(...)`` or ``IDP(...) / SPP(...)``, over `default_header` field by
                field. Of IDP yours are packet_type, hops, and checksum=0xFFFF (none); a header of SPP is just data here.
            force: send any field as it is given, right or wrong: another source, a wrong checksum or length.

        Raises:
            LocalProtocolError: too long, no destination, or a header field that is not the user's. TypeError: no data.
            OSError: ENETUNREACH, no router knows the way; ENETDOWN, the network has failed.
        """
        self._need_open("write")
        self._receiving()
        packet = self._packet(data, to, header, force or self._default[2])
        size = self._size(packet)
        most = MOST if force or self._default[2] else self.mtu
        if size > most:
            hint = "write it in parts; mtu is how many go into one"
            raise self._misuse(EMSGSIZE, "write", f"at most {most} bytes", f"{size}", hint)
        self._built(packet)
        destination = packet[IDP].dst
        if destination.host >> 40 & 1 and not self.broadcast:
            hint = "set broadcast = True (SO_BROADCAST)"
            raise self._misuse(EACCES, "write", "one host", f"{destination}", hint)
        self._send(packet, destination)
        return size

    def _packet(self, data: object, to: object, header: Prototype | None, force: bool) -> Packet:
        where = f"{self}: write"
        body = outgoing(data, where)
        if isinstance(body, bytes) and self.headers_on_output and header is None:
            if len(body) < HEADER:
                hint = "headers_on_output is on"
                raise self._misuse(EINVAL, "write", "30 bytes of header, then data", f"{len(body)}", hint)
            own, rest = parted(dissect(body[:HEADER], IDP), where)
            body = Packet((), body[HEADER:])
            may = {*own.idp} if force else {*own.idp} - {"length", "checksum", "pad"}
            given = Given({name: value for name, value in own.idp.items() if name in may}, None)
        else:
            own, rest = parted(body, where) if isinstance(body, Packet) else (NOTHING, Packet((), body))
            given = own if header is None else own.over(prototype(header, str(self)))
            may = MAY_SAY if to is not None or self.peer is not None else {*MAY_SAY, "dst"}
            given, body = given if force else self._checked(given, may), rest
        given = _over(given, self._default[1], body)
        remote = given.idp.get("dst")
        if remote is None or force:
            remote = self._destination(to) if remote is None or to is not None or self.peer is not None else remote
        source = self.host.xns.node.address_towards(remote, self._number)
        above = body if given.spp is None else SPP(**given.spp) / body
        return IDP(**{"dst": remote, "src": source, **given.idp}) / above

    def _size(self, packet: Packet) -> int:
        """Return how many bytes come after the header of IDP, without what makes them even."""
        above = packet._headers[1:]
        if all(type(header) is SPP for header in above):  # known before it is built, which too much data cannot be
            return len(packet.payload) + SPP_HEADER * len(above)
        whole = self._built(packet)
        return (len(whole) if "length" in packet._headers[0].given else int.from_bytes(whole[2:4])) - HEADER

    def _destination(self, to: object) -> XNSAddress:
        peer = self._endpoint.peer
        if peer is not None and to is not None:
            hint = "leave out to=, or make another socket"
            raise self._misuse(EISCONN, "write", "no destination: the socket is connected", f"{to}", hint)
        if peer is None and to is None:
            hint = "or connect() it to one first"
            raise self._misuse(EDESTADDRREQ, "write", "a destination: write(data, to=...)", "none", hint)
        with self._named("write"):
            return peer or self.host.resolve(to)

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
            with self.host.loop.lock:
                self.host.xns.node.unbind(self._endpoint)
        super().close()


class RawSocket(_IDPSocket):
    """Every IDP packet that comes to this host, whole, and packets sent just as they are written (SOCK_RAW).

    The host's own layers see what comes as well: a connection of SPP that is made by hand is unknown to them, and they
    answer its peer with Error 2. A datagram socket with `all_packets`, bound to the number, takes their place there.
    """

    kind = "raw"

    def __init__(self, host: NetworkHost) -> None:
        super().__init__(host, raw=True)
        # From now on: what comes before the first read is kept.
        with host.loop.lock:
            host.xns.node.raw.append(self._endpoint)

    def write(self, data: Data) -> int:
        """Send a packet that begins with IDP, as headers (`auto` fields are derived) or as bytes (kept as they are)."""
        self._need_open("write")
        raw = outgoing(data, f"{self}: write")
        packet = raw if isinstance(raw, Packet) else dissect(raw, IDP)
        idp = packet._headers[0] if packet._headers else None
        if not isinstance(idp, IDP) or idp.dst is None:
            hint = "IDP(dst=..., src=...) / data; a datagram socket puts one before the data"
            got = packet.summary() or "nothing"
            raise self._misuse(EINVAL, "write", "a packet with a whole IDP header", got, hint)
        size = len(self._built(packet))
        if size > HEADER + MOST:
            raise self._misuse(EMSGSIZE, "write", f"at most {HEADER + MOST} bytes", f"{size}", "write it in parts")
        self._send(packet, idp.dst)
        return size

    def read(self) -> bytes:
        """Wait for the next packet and return it with its header."""
        return bytes(self.read_packet())

    def close(self) -> None:
        """Stop listening."""
        if not self.closed and not self._elsewhere():
            node = self.host.xns.node
            with self.host.loop.lock:
                if self._endpoint in node.raw:
                    node.raw.remove(self._endpoint)
                node.unbind(self._endpoint)
        super().close()


def _over(given: Given, default: Given, body: Packet | None = None) -> Given:
    """Return what is given, and where it says nothing the default's; which says no type of what has one of its own."""
    first = body._headers[0] if body is not None and body._headers else None
    typed = first is not None and _has_type(type(first))
    if not typed and given.spp is None:
        return given.over(default)
    idp = {name: value for name, value in default.idp.items() if name != "packet_type"}
    return given.over(Given(idp, default.spp if given.spp is not None else None))


def _has_type(header: type[Header]) -> bool:
    """Say whether a header is bound under IDP."""
    rule = IDP._field("packet_type").rule
    assert isinstance(rule, Next)
    said = header._declaration
    return said in space(rule.space).numbers or any(upper is said for _, _, upper in conditions(IDP._declaration))
