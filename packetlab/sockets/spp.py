"""What both kinds of SPP socket share. Follows 4.4BSD's spp_usrreq.c and spp(4), whose names of options are given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EADDRNOTAVAIL, EALREADY, EINPROGRESS, EINVAL, EISCONN, EMSGSIZE, ENOTCONN, EOPNOTSUPP, EPIPE
from typing import Self

from packetlab.declare.values.addresses import XNSAddress
from packetlab.engine.xns.spp import ATTENTION, END_OF_MESSAGE, LARGEST, SYSTEM, Connection
from packetlab.engine.xns.spp_listener import Listener, Placeholder
from packetlab.engine.xns.spp_states import SPPState
from packetlab.errors import PacketlabError, SocketMisuse, broken, deliberate, unbuildable
from packetlab.network.host import NetworkHost
from packetlab.packet.packet import Packet
from packetlab.protocols.xns import SPP
from packetlab.sockets.headers import NOTHING, Given, Prototype, built_over, outgoing, parted, prototype
from packetlab.sockets.socket import QueuedCall, Socket, is_number
from packetlab.sockets.ways import ANOTHER, CONNECT, NO_LISTENER, ONE_LISTEN, OURS, THEIRS, UNCONNECTED

__tracebackhide__ = deliberate

HEADER = 12  # bytes
QUEUE = 32  # packets that a writer may be ahead of the window
NO_HEADER = SPP()
MOST = 65535 - 42  # bytes of data in any packet: a length has 16 bits


class SPPSocket(Socket):
    """What sequenced packets and streams share: the connection.

    Attributes:
        default_header: prototype of all outgoing data (SO_DEFAULT_HEADERS), as ``header=`` of `write`.
        last_header: header of the last packet read (SO_LAST_HEADER), or None.
        mtu: bytes of data a packet at most (SO_MTU), 534 unless set.
        own_sockets: a listener gives each connection a socket of its own, as Xerox does; else all share the listener's.
    """

    family = "xns"

    def __init__(self, host: NetworkHost, connection: Connection | None = None) -> None:
        super().__init__(host)
        self.own_sockets = False
        self.last_header: SPP | None = None
        self._set_default(NO_HEADER, NOTHING)
        self._mtu = LARGEST
        self._number = 0
        self._raised_end = False  # a call has raised what ended the connection
        self._closing = False  # a close waits
        self._connecting = False  # a connect has yet to be finished, by another one
        self._connection = connection
        self._listener: Listener | None = None

    # Options ------------------------------------------------------------------------------------------------

    @property
    def default_header(self) -> Prototype:
        """The prototype of all outgoing data."""
        return self._default

    @default_header.setter
    def default_header(self, header: Prototype) -> None:
        self._set_default(header, prototype(header, str(self)).check_spp(str(self)))

    def _set_default(self, header: Prototype, given: Given, force: bool = False) -> None:
        self._default, self._given, self._force = header, given, force
        # As plain numbers too: they are needed for every write.
        spp = given.spp or {}
        self._datastream, self._control = int(spp.get("datastream", 0)), int(spp.get("control", 0))

    @contextmanager
    def header(self, header: Prototype, *, force: bool = False) -> Iterator[None]:
        """Use a prototype header for a group of writes: ``with socket.header(SPP(datastream=3)): ...``.

        Args:
            header: over `default_header`, or over the group around this one, field by field. force: as for `write`.
        """
        before = self._default, self._given, self._force
        given = prototype(header, str(self))
        whole = (given if force else given.check_spp(str(self))).over(self._given)
        self._set_default(whole.header(), whole, force or self._force)
        try:
            yield
        finally:
            self._set_default(*before)

    @property
    def mtu(self) -> int:
        """Bytes of data a packet at most (SO_MTU)."""
        return self._mtu

    @mtu.setter
    def mtu(self, size: int) -> None:
        if not (is_number(size) and 1 <= size <= MOST):
            raise self._misuse(EINVAL, "mtu", f"1..{MOST} bytes", f"{size!r}", f"XNS itself has {LARGEST}")
        self._mtu = size
        if self._connection is not None:
            self._connection.largest = size

    @property
    def address(self) -> XNSAddress:
        """Our own address; its socket is 0 until the socket has one."""
        if self._connection is not None:
            return self._connection.local
        return self.host.xns.node.address(self._number)

    @property
    def peer(self) -> XNSAddress | None:
        """The other end's address, or None."""
        return self._connection.remote if self._connection is not None else None

    @property
    def state(self) -> SPPState:
        """Where the connection is in its life."""
        return self._connection.state if self._connection is not None else SPPState.IDLE

    @property
    def ended(self) -> bool:
        """Whether the connection is at its end and all of it is read: tells an empty packet from the end."""
        connection = self._connection
        return connection is not None and connection.peek() is None and (connection.ended or connection.over)

    # Verbs --------------------------------------------------------------------------------------------------

    def bind(self, address: object) -> None:
        """Take a socket number of this host: 1 to 65535, or 0 for any free one."""
        unbound = not self._number and self._connection is None
        self._need(unbound, EINVAL, "bind", "an unbound socket", f"one at {self._number}", ANOTHER)
        node = self.host.xns.node
        if isinstance(address, int):
            number = address
        else:
            with self._named("bind"):
                wanted = self.host.resolve(address)
            number = wanted.socket
            if wanted.host not in (0, node.host):
                raise self._misuse(EADDRNOTAVAIL, "bind", f"host {node.host:X}, or 0", f"{wanted}", OURS)
        with self.host.loop.lock, self._named("bind"):
            self._number = node.bind(Placeholder(), number)

    def connect(self, address: object, *, wait: bool = True) -> None:
        """Connect to a listener, or to a socket that connects to this one at the same time (rendezvous).

        Args:
            wait: until the connection is open; else return at once, and a later call with wait finishes it. Until then
                it goes on asking where nobody listens yet, so that two ends can meet whichever asks first.

        Where a `timeout` or an interrupt ends the wait, another call goes on with it.
        """
        going = self._connecting
        self._need(self._listener is None, EOPNOTSUPP, "connect", *NO_LISTENER)
        fresh = self._connection is None or going
        self._need(fresh, EISCONN, "connect", "a fresh socket", "one that was connected", ANOTHER)
        if not going:
            with self._named("connect"):
                remote, node = self.host.resolve(address), self.host.xns.node
            whole = remote.socket and remote.host and not remote.host >> 40 & 1
            self._need(whole, EADDRNOTAVAIL, "connect", "an address with one host and socket", f"{remote}", THEIRS)
            self.host.need_carrier(self, "connect", remote)
            with self.host.loop.lock:
                self._place()
                local = XNSAddress(self._network_towards(remote), node.host, self._number)
                self._connection = self._new(local, remote)
                node.bind(self._connection, self._number)
                self._connection.patient = not wait
                self._connection.connect(self.host.loop.now)
                self._connecting = True
                self.host.schedule(self._connection)
        if wait:
            assert self._connection is not None
            self._connection.patient = False
            self._wait(self._opened, "connect", blocked=EALREADY if going else EINPROGRESS)
            self._connecting = False

    def _network_towards(self, remote: XNSAddress) -> int:
        return self.host.xns.node.address_towards(remote).net

    def _opened(self) -> bool | None:
        connection = self._connection
        if connection is None or connection.error is not None:
            self._connecting = False
            raise self._lost(connection) if connection else broken(ConnectionAbortedError, f"{self}: closed")
        opened = None if connection.state in (SPPState.REQUESTED, SPPState.ANSWERED) else True
        return self.host.awaited(opened, self, "connect", connection.remote)

    def listen(self, backlog: int = 5, *, own_sockets: bool | None = None) -> None:
        """Take connections.

        Args:
            backlog: requests and open connections ahead of `accept`; a request beyond gets no answer, so is repeated.
            own_sockets: see the attribute.
        """
        self._need(self._connection is None, EISCONN, "listen", *UNCONNECTED)
        self._need_backlog(backlog)
        self._need(self._listener is None, EINVAL, "listen", *ONE_LISTEN)
        self.own_sockets = self.own_sockets if own_sockets is None else own_sockets
        with self.host.loop.lock:
            self._place()
            node = self.host.xns.node
            self._listener = Listener(node.address(self._number), backlog, self._child)
            node.bind(self._listener, self._number)

    def _child(self, remote: XNSAddress) -> Connection:
        node = self.host.xns.node
        number = node.free_socket() if self.own_sockets else self._number
        child = self._new(XNSAddress(self._network_towards(remote), node.host, number), remote)
        if self.own_sockets:
            node.bind(child, number)
        assert self._listener is not None
        node.adopt(child, self._listener)
        return child

    def _new(self, local: XNSAddress, remote: XNSAddress) -> Connection:
        number = self.host.xns.node.new_id()
        connection = Connection(local, remote, number, timing=self.host.timing, window=self.host.window)
        connection.largest = self._mtu
        return connection

    def _place(self) -> None:
        """Make sure of a socket number, and make its place free for what is to be there."""
        node = self.host.xns.node
        if self._number:
            node.release(self._number)
        else:
            self._number = node.free_socket()

    def accept(self) -> Self:
        """Wait for the next connection and return its socket, which has this one's options."""
        listener, hint = self._listener, "call listen() first"
        self._need(listener is not None, EINVAL, "accept", "a socket that listens", "one that does not", hint)
        assert listener is not None
        return self._made(self._wait(lambda: self.host.awaited(listener.accept(), self, "accept"), "accept"))

    def _made(self, connection: Connection) -> Self:
        child = type(self)(self.host, connection)
        child._number = connection.local.socket
        child._mtu, child.timeout = self._mtu, self.timeout
        child._set_default(self._default, self._given, self._force)
        self._inherit(child)
        return child

    def _inherit(self, child: Self) -> None:
        """Give an accepted socket the options of its kind."""

    def close(self) -> None:
        """End the connection in order: what was written arrives first; what was not read is let go.

        Waits until all of ours is confirmed and the other end has ended too; what is left then (answering its repeats)
        goes on by itself. An end that answers but does not end, or takes no more, costs `Timing.linger` seconds at
        most; one that leaves unconfirmed what its window let through, `Timing.give_up`. Where it is in this very program
        and has yet to read what was written, that goes on by itself at once. What goes on has an end too: `Timing.shut`.

        Raises:
            ConnectionError: the connection was lost with data of ours unconfirmed, and no call has said so yet.
            SocketMisuse: EBADF, another thread closed the host meanwhile.
        """
        if self.closed:
            return
        self._closing = True
        try:
            super().close()
            self._end()
        finally:
            self._closing = False

    def _end(self) -> None:
        if self._elsewhere():
            return
        with (loop := self.host.loop).lock:
            if self._listener is not None:
                for child in self._listener.close():
                    self.host.schedule(child, child.abort)
                if self._listener.over:
                    self.host.xns.node.unbind(self._listener)
            elif self._connection is None:
                if self._number and self._stack_exists():
                    self.host.xns.node.release(self._number)
            else:
                self.host.schedule(self._connection, self._connection.close)
        if self._connection is not None and not loop.closed:
            self._wait(self._closed, "close")
            if not self._raised_end:
                self.check_lost()

    def check_lost(self) -> None:
        """Raise what ended the connection, where data of ours were unconfirmed."""
        if self._connection is not None and self._connection.error is not None and self._connection.lost:
            raise self._lost(self._connection)

    def _lost(self, connection: Connection, otherwise: str = "closed") -> OSError:
        """Return the error that ended a connection, with what happened before as a note."""
        error = connection.error or broken(ConnectionResetError, f"{self}: {otherwise}")
        self._raised_end = True
        if not hasattr(error, "__notes__") and (frames := self.host.recent_frames()) is not None:
            error.add_note(frames)
        return error

    def _stack_exists(self) -> bool:
        return self.host._stack is not None

    def _closed(self) -> bool | None:
        connection = self._connection
        assert connection is not None
        # Only a reader in this program could open a window that is shut, and it cannot while this call waits.
        hopeless = connection.sender.shut and self.host.knows(connection.remote)
        return True if connection.settled or hopeless else None

    def abort(self) -> None:
        """Close at once. The other end gets an Error, once, so that it need not wait for what will not come.

        A `close` that waits, in another thread or below a signal's handler, ends.
        """
        if self.closed and not self._closing:
            return
        if self._connection is None or self._elsewhere():
            self.close()
            return
        super().close()
        with self.host.loop.lock:
            self.host.schedule(self._connection, self._connection.abort)
            self.host.loop.poke()

    # Data ---------------------------------------------------------------------------------------------------

    def _open(self, verb: str) -> Connection:
        connected = self._connection is not None and self._connection.state is not SPPState.REQUESTED
        self._need(connected, ENOTCONN, verb, "a connected socket", "one that is not", CONNECT)
        assert self._connection is not None
        return self._connection

    def _parted(self, data: object, header: Prototype | None, verb: str = "write") -> tuple[Given, bytes]:
        """Return what the prototypes in and beside the data give, and the data."""
        where = f"{self}: {verb}"
        raw = outgoing(data, where)
        given = NOTHING if header is None else prototype(header, str(self))
        if isinstance(raw, Packet):
            own, rest = parted(raw, where)
            given = own.over(given)
            raw = built_over(rest, *given.over(self._given).below(self.address, self.peer, self.kind))
        return given, raw

    def _queue(
        self, data: bytes, given: Given = NOTHING, end_of_message: bool = False, force: bool = False,
        verb: str = "write", queued: QueuedCall | None = None,
    ) -> None:  # fmt: skip
        """Send one packet, waiting for room, and while another thread is within a longer write."""
        connection = self._open(verb)
        force = force or self._force
        datastream, control, idp = self._datastream, self._control, self._given.idp
        if given is not NOTHING or force:
            given = (given if force else given.check_spp(str(self))).over(self._given)
            spp = given.spp or {}
            datastream, control, idp = spp.get("datastream", 0), int(spp.get("control", 0)), given.idp
        control |= END_OF_MESSAGE if end_of_message else 0
        most = MOST if force else self._mtu
        if len(data) > most:
            hint = "a stream socket splits, and write_message makes a run of packets"
            raise self._misuse(EMSGSIZE, verb, f"at most {most} bytes", f"{len(data)}", hint)
        if force:
            fields = {**(given.spp or {}), "control": control} if control else given.spp or {}

            def forced() -> bool:
                try:
                    connection.force(data, idp, fields)
                except PacketlabError as error:
                    raise unbuildable(error, f"{self}: {verb}") from None
                self.host.schedule(connection)
                return True

            if "seq" in fields or control & SYSTEM:
                with self.host.loop.lock:  # beside all others
                    forced()
            else:
                self._wait_in_turn("write", forced, verb, queued)
            return

        ends, attention = bool(control & END_OF_MESSAGE), bool(control & ATTENTION)

        def sent() -> bool | None:
            if connection.error is not None:
                raise self._lost(connection)
            if connection.ended:
                raise BrokenPipeError(EPIPE, f"{self}: {verb}: the peer has ended the connection")
            if connection.unsent >= QUEUE:
                return None
            try:
                connection.send(data, datastream, end_of_message=ends, attention=attention, idp=idp)
            except SocketMisuse as error:
                raise self._renamed(error, verb) from None
            if connection.unsent == 1:  # else the window is shut, and what opens it sends
                self.host.schedule(connection)
            return True

        if attention:
            self._wait(sent, verb)  # it is for the peer at once, and no part of a message
        else:
            self._wait_in_turn("write", sent, verb, queued)

    def attention(self, byte: bytes | int) -> None:
        """Tell the peer one byte ahead of everything that it has yet to read (MSG_OOB); it also comes in its place."""
        if isinstance(byte, bool):
            raise TypeError(f"{self}: attention: expected one byte, or its number, got {byte}")
        if isinstance(byte, int) and not 0 <= byte <= 255:
            raise self._misuse(EINVAL, "attention", "one byte, 0..255", f"{byte}", "write() takes more of them")
        given, data = self._parted(bytes([byte]) if isinstance(byte, int) else byte, None, "attention")
        self._queue(data, Given({}, {"control": self._control | ATTENTION}).over(given), verb="attention")

    def read_attention(self) -> int:
        """Wait for the peer's attention and return its byte; the packet itself is still read in its place."""
        connection = self._open("read_attention")

        def ready() -> int | None:
            with suppress(IndexError):  # not looked at before: a handler of a signal may read, too
                return connection.attentions.popleft()
            if connection.error is not None or connection.over or connection.ended:
                raise self._lost(connection, "ended without attention")
            return None

        return self._wait(ready, "read_attention")

    def read_packet(self) -> Packet | None:
        """Wait for the next packet and return it with its headers, IDP and SPP; None at the end of the connection.

        Raises:
            ConnectionError: the connection was lost; all that had arrived before was read.
        """
        return self._next_packet("read")

    def _next_packet(self, verb: str, queued: QueuedCall | None = None) -> Packet | None:
        connection = self._open(verb)

        def ready() -> tuple[Packet | None] | None:
            packet = connection.read()
            if packet is not None:
                if connection.owes:
                    self.host.schedule(connection)  # the window has reopened
                return (packet,)
            if connection.ended or connection.state is SPPState.CLOSED:
                return (None,)
            if connection.error is not None:
                raise self._lost(connection)
            return None

        (packet,) = self._wait_in_turn("read", ready, verb, queued)
        if packet is None:
            self._need_open(verb)  # an end that a signal's handler made within is not the other side's
        else:
            self.__dict__["last_header"] = packet[SPP]  # no need to look whether there is such an option
        return packet
