"""The kernel's own sockets of a host, with the verbs and the waiting of all others: TCP, UDP and raw IP."""

from __future__ import annotations

import errno
import os
import select
import socket as _socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeGuard, TypeVar

from packetlab.errors import LocalProtocolError, NeedsPrivilege, SocketMisuse, deliberate
from packetlab.link.event_loop import Files
from packetlab.network.host import NetworkHost, Place
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.ip import IPv4
from packetlab.protocols.transport import TCP, UDP
from packetlab.sockets.headers import Data, built_over, outgoing
from packetlab.sockets.look_ups import LookUps, address_of
from packetlab.sockets.messages import LARGEST as LARGEST_MESSAGE, MessageStream
from packetlab.sockets.socket import QueuedCall, Socket
from packetlab.sockets.ways import ANOTHER, MISUSES, NO_LISTENER

__tracebackhide__ = deliberate

LARGEST = 65536
MOST_READ = 1 << 24  # room that is made for one read; a kernel's buffer holds less
MOST_BACKLOG = 0xFFFF  # the kernel has its own, lower limit
TYPES = {"stream": _socket.SOCK_STREAM, "datagram": _socket.SOCK_DGRAM, "raw": _socket.SOCK_RAW}
ONCE = "leave out to=, or make another"
ONE_HOST = "one host", "an address of many", "set broadcast = True (SO_BROADCAST)"
NO_NAMES = "nothing leaves a lab, and so no question to a name server"
NO_PORT = "a port of 1..65535", "0", "host.at(port) is where a socket was bound"


def create(host: NetworkHost, kind: str, protocol: int | None = None) -> InetSocket:
    """Return a kernel socket of a host. `protocol`: number of a raw socket's (1 is ICMP)."""
    classes: dict[str, type[InetStream | InetDatagram]] = {
        "stream": InetStream, "datagram": InetDatagram, "raw": InetRaw,
    }  # fmt: skip
    if kind not in classes:
        hint = "IP has no sequenced packets but SCTP's"
        raise SocketMisuse(errno.ESOCKTNOSUPPORT, f"{kind} socket", "family xns", "inet", hint)
    if (protocol is None) == (kind == "raw"):
        expected = "protocol=, the number (1 is ICMP)" if kind == "raw" else "no protocol="
        raise LocalProtocolError(f"{kind} socket of family inet", expected, f"{protocol}")
    try:
        sock = host.kernel_socket(_socket.AF_INET, TYPES[kind], protocol or 0)
    except PermissionError as error:
        hint = "run as root; hosts of a Lab() need none"
        raise NeedsPrivilege(f"{kind} socket of {host.name}", "CAP_NET_RAW", error.strerror, hint) from None
    return classes[kind](host, sock)


T = TypeVar("T")


class InetSocket(Socket):
    """A socket of the kernel. Addresses are (IPv4 address, port), ``host.at(port)``, or a port alone where it is ours."""

    family = "inet"

    def __init__(self, host: NetworkHost, sock: _socket.socket) -> None:
        super().__init__(host)
        self.sock = sock  # the kernel's, for what is not covered here
        self._look_ups = LookUps(host.loop)
        sock.setblocking(False)

    def _address(self, address: object, ours: bool = False) -> tuple[str, int]:
        if isinstance(address, Place):
            with self._named("address"):
                return address.inet(self.host)
        if ours and _is_port(address):
            return "0.0.0.0", address
        if isinstance(address, tuple) and len(address) == 2 and _is_port(address[1]):
            return self._resolved(str(address[0])), int(address[1])
        hint = "host.at(80), or ('10.0.0.2', 80); ports are 0..65535"
        raise self._misuse(errno.EINVAL, "address", "an address of family inet", f"{address!r}", hint)

    def _resolved(self, name: str) -> str:
        """Return the IPv4 address of a name, or of the text of one."""
        if ":" in name:
            raise self._misuse(errno.EAFNOSUPPORT, "address", "an IPv4 address", name, "family inet has no IPv6")
        try:
            with suppress(_socket.gaierror):
                return address_of(name, _socket.AI_NUMERICHOST) if name else "0.0.0.0"
            local = self.host.lab is None or name == "localhost"
            self._need(local, errno.EINVAL, "address", "an IPv4 address, or host.at(80)", f"{name!r}", NO_NAMES)
            return self._wait(lambda: self._look_ups.answer(name), "look-up", blocked=errno.EINPROGRESS)
        except _socket.gaierror as error:
            raise _socket.gaierror(error.errno, f"{self}: address: {name!r}: {error.strerror}") from None
        except UnicodeError as error:
            raise self._misuse(errno.EINVAL, "address", "a host's name or address", f"{name!r}", f"{error}") from None

    def _elsewhere(self) -> bool:
        return self.host.closed  # a forked child has the kernel's sockets too

    def fileno(self) -> int:
        """The descriptor, for select and poll."""
        return self.sock.fileno()

    @property
    def address(self) -> tuple[str, int]:
        """Our own address."""
        self._need_open("address")
        name: tuple[str, int] = self._call(self.sock.getsockname, "address")
        return name

    @property
    def peer(self) -> tuple[str, int] | None:
        """The other end's address, or None."""
        try:
            name: tuple[str, int] = self.sock.getpeername()
        except OSError:
            return None
        return name

    def bind(self, address: object) -> None:
        """Take an address of this host: (IPv4 address, port), or a port alone; 0 for any free one."""
        self._need_open("bind")
        ours = self._address(address, ours=True)
        bound = self.kind != "raw" and self._call(self.sock.getsockname, "bind")[1]
        self._need(not bound, errno.EINVAL, "bind", "an unbound socket", f"one at port {bound}", ANOTHER)
        self._call(lambda: self.sock.bind(ours), "bind", f"{ours[0]}:{ours[1]}")

    def connect(self, address: object) -> None:
        """Connect; a datagram or raw socket then has a peer."""
        self._need_open("connect")
        target = self._address(address)
        self._need(target[1] or self.kind != "datagram", errno.EINVAL, "connect", *NO_PORT)
        self._connect(target)

    def _connect(self, target: tuple[str, int]) -> None:
        self._call(lambda: self.sock.connect(target), "connect")

    def _call(self, do: Callable[[], T], verb: str, address: str = "") -> T:
        try:
            return do()
        except BlockingIOError:
            raise  # no error: there is nothing yet
        except OSError as error:
            raise self._refusal(error.errno or 0, verb, address) from None

    def _refusal(self, number: int, verb: str, address: str = "") -> OSError:
        """Return what the kernel refused, with the socket's name: a misuse, or whatever OSError has that number."""
        self._need_open(verb)  # another thread may have closed it since it was looked at
        if number not in MISUSES:
            return OSError(number, f"{self}: {verb}: {os.strerror(number)}")
        expected, got, hint = MISUSES[number]
        if address and number in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
            got = f"{address}, {got}"
        return self._misuse(number, verb, expected, got, f"{os.strerror(number)}; {hint}")

    def _receive(self, do: Callable[[], T], verb: str = "read") -> T:
        """Wait until the kernel has something, and fetch it."""
        self._need_open(verb)

        def ready() -> tuple[T] | None:
            try:
                return (self._call(do, verb),)
            except BlockingIOError:
                return None

        (found,) = self._wait(ready, verb, [(self.sock.fileno(), select.POLLIN)])
        return found

    def _deliver(self, do: Callable[[], int], queued: QueuedCall | None = None) -> int:
        def ready() -> int | None:
            try:
                return self._call(do, "write")
            except BlockingIOError:
                return None

        return self._wait(ready, "write", [(self.sock.fileno(), select.POLLOUT)], queued)

    def _built(self, data: Data, to: tuple[str, int]) -> bytes:
        """Return the bytes of data; of headers as they stand over those that the kernel puts below, with both ends' addresses."""
        found = outgoing(data, f"{self}: write")
        if isinstance(found, bytes):
            return found
        if self.kind == "datagram" and not self.address[1]:
            self._call(lambda: self.sock.bind(("0.0.0.0", 0)), "write")  # the port that the first datagram would take
        own, port = self.address
        if own == "0.0.0.0":  # the kernel takes one by the way there
            with self.host.kernel_socket(_socket.AF_INET, _socket.SOCK_DGRAM, 0) as probe, suppress(OSError):
                probe.connect((to[0], to[1] or 9))
                own = probe.getsockname()[0]
        return built_over(found, *self._over(own, port, *to))

    def _over(self, src: str, sport: int, dst: str, dport: int) -> tuple[Header, ...]:
        """Return the headers below from one end to the other, as rules see them."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the socket; the kernel delivers what was written."""
        with self.host.loop.lock:
            super().close()
            self.sock.close()


class InetStream(MessageStream, InetSocket):
    """A TCP connection; what is written leaves at once (TCP_NODELAY)."""

    kind = "stream"

    def __init__(self, host: NetworkHost, sock: _socket.socket, accepted_from: tuple[str, int] | None = None) -> None:
        super().__init__(host, sock)
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        # Not what the kernel says now: of one that was reset it knows no other end, and holds what came before that.
        self._remote, self._connected = accepted_from, accepted_from is not None
        self._target: tuple[str, int] | None = None  # of a connect that has yet to end
        self._taken: list[bytes] = []

    @property
    def peer(self) -> tuple[str, int] | None:
        """The other end's address, or None; that of a connection that was reset too."""
        return super().peer or (None if self.closed else self._remote)

    def bind(self, address: object) -> None:
        """Take an address of this host: (IPv4 address, port), or a port alone; 0 for any free one."""
        self._need_open("bind")
        # A listener that starts anew need not wait for old connections to die; UDP would share its port by it.
        self._call(lambda: self.sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1), "bind")
        super().bind(address)

    def _connect(self, target: tuple[str, int]) -> None:
        listens = self._listens("connect")
        self._need(not listens, errno.EOPNOTSUPP, "connect", *NO_LISTENER)
        self._need(not self._connected, errno.EISCONN, "connect", *MISUSES[errno.EISCONN])
        number = self.sock.connect_ex(target)
        if number not in (0, errno.EINPROGRESS, errno.EALREADY):
            raise self._refusal(number, "connect")
        self._target = target
        blocked = errno.EALREADY if number == errno.EALREADY else errno.EINPROGRESS
        self._wait(self._connect_ended, "connect", [(self.sock.fileno(), select.POLLOUT)], blocked=blocked)

    def _connect_ended(self) -> bool | None:
        """Take in how a connect has ended; None where it goes on."""
        poll = select.poll()
        poll.register(self.sock, select.POLLOUT)
        if self._connected or not poll.poll(0):
            return self._connected or None
        failed, target = self.sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR), self._target
        if failed or target is None:  # else another call has met the error, which the kernel tells once
            self._target = None
            to = "" if target is None else f" to {target[0]}:{target[1]}"
            raise self._refusal(failed or errno.ENOTCONN, f"connect{to}")
        self._remote, self._connected = target, True
        return True

    def _need_connected(self, verb: str) -> None:
        """Say that there is no connection; one that a connect whose time ran out has made since is as good as any."""
        self._need_open(verb)
        if self._target is not None and self._connect_ended() is None:
            got, hint = "one whose connect goes on", "another connect() waits for its end"
            raise self._misuse(errno.ENOTCONN, verb, "a connected socket", got, hint)
        self._need(self._connected, errno.ENOTCONN, verb, *MISUSES[errno.ENOTCONN])

    def listen(self, backlog: int = 5) -> None:
        """Take connections."""
        self._need_backlog(backlog)
        self._need(not self._connected, errno.EISCONN, "listen", *MISUSES[errno.EISCONN])
        self._call(lambda: self.sock.listen(min(backlog, MOST_BACKLOG)), "listen")

    def _listens(self, verb: str) -> bool:
        return bool(self._call(lambda: self.sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN), verb))

    def accept(self) -> InetStream:
        """Wait for the next connection and return its socket."""
        self._need_open("accept")
        hint = "call listen() first"
        self._need(self._listens("accept"), errno.EINVAL, "accept", "a socket that listens", "one that does not", hint)
        sock, remote = self._receive(self.sock.accept, "accept")
        child = InetStream(self.host, sock, remote)
        child.timeout = self.timeout
        return child

    def take(self) -> bytes | None:
        """Return bytes without waiting: None while there are none, empty at the end of the connection.

        They are taken once `let_go` is called: until then an interrupt may end whatever is done with them.
        """
        with suppress(BlockingIOError):
            if not self._taken:
                self._call(lambda: self._taken.extend(map(self.sock.recv, [LARGEST])), "read")  # one call of C
        return self._taken[0] if self._taken else None

    def let_go(self) -> None:
        """Keep no longer what `take` has returned."""
        self._taken.clear()

    def give(self, data: bytes) -> int:
        """Write bytes without waiting; return how many the kernel took."""
        try:
            return self._call(lambda: self.sock.send(data, _socket.MSG_NOSIGNAL), "write")
        except BlockingIOError:
            return 0

    def push(self) -> None:
        """Nothing: what was given is on its way."""

    def finish(self) -> None:
        """Say that no more will be written, without waiting."""
        with suppress(OSError):  # the other side may have gone
            self.sock.shutdown(_socket.SHUT_WR)

    def drop(self) -> None:
        """Let go of a stream that was finished, without waiting."""
        self.close()

    def take_connection(self) -> InetStream | None:
        """Return the next connection without waiting, or None."""
        try:
            sock, remote = self._call(self.sock.accept, "accept")
        except BlockingIOError:
            return None
        return InetStream(self.host, sock, remote)

    def write(self, data: Data) -> int:
        """Send bytes; return when the kernel has taken all. What other threads write goes before or after the whole.

        Headers are built as they stand over those of the connection, as `read_packet` reads them.
        """
        self._need_connected("write")
        raw = memoryview(self._built(data, self.peer or ("0.0.0.0", 0)))
        done = 0
        with (queued := QueuedCall(self._timeout)).call, self._turn("write", "write", queued):
            while done < len(raw):
                done += self._deliver(partial(self.sock.send, raw[done:], _socket.MSG_NOSIGNAL), queued)
        return done

    def read(self, size: int = LARGEST) -> bytes:
        """Wait for bytes and return those there are, `size` at most; none at the end of the connection."""
        self._need_connected("read")
        self._need_size(size)
        if size and (ahead := self._ahead(size)):
            return ahead
        data: bytes = self._receive(lambda: self.sock.recv(min(size, MOST_READ)))
        return data

    def read_packet(self, cls: type[Header], *, largest: int = LARGEST_MESSAGE) -> Packet | None:
        """Wait for the next whole message and return it; None at the end of the connection.

        Rules of messages that ask the headers below, as ``field("TCP.dport")``, have the ports and addresses of both ends.
        Where it is no whole message, nothing is lost: what was taken for it is what `read` and `read_packet` go on with. A value
        that does not fit is a fault of the packet.

        Args:
            cls: the header that a message begins with, declared with ``stream=True``. largest: bytes of a message at the most.

        Raises:
            TimeoutError: not all of it came in time. RemoteProtocolError: the stream ends inside a message, or it cannot be told
                where one ends.
        """
        return self._read_message(cls, largest)

    def _open_for_messages(self) -> None:
        self._need_connected("read_packet")

    def _headers_below(self) -> tuple[Header, ...]:
        (own, port), (other, far) = self.address, self.peer or ("0.0.0.0", 0)
        return self._over(other, far, own, port)

    def _headers_towards(self) -> tuple[Header, ...]:
        return self._over(*self.address, *(self.peer or ("0.0.0.0", 0)))

    def _over(self, src: str, sport: int, dst: str, dport: int) -> tuple[Header, ...]:
        return IPv4(src=src, dst=dst), TCP(sport=sport, dport=dport)

    def _files(self) -> Files:
        return [(self.sock.fileno(), select.POLLIN)]

    def _next_bytes(self) -> bytes | None:
        try:
            return self._call(lambda: self.sock.recv(LARGEST), "read_packet")
        except BlockingIOError:
            return None


class InetDatagram(InetSocket):
    """UDP datagrams.

    Attributes:
        broadcast: may send to all hosts of a network (SO_BROADCAST).
    """

    kind = "datagram"

    @property
    def broadcast(self) -> bool:
        """Whether it may send to all hosts of a network."""
        self._need_open("broadcast")
        return bool(self._call(lambda: self.sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_BROADCAST), "broadcast"))

    @broadcast.setter
    def broadcast(self, may: bool) -> None:
        self._need_open("broadcast")
        self._call(lambda: self.sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_BROADCAST, bool(may)), "broadcast")

    def _refusal(self, number: int, verb: str, address: str = "") -> OSError:
        if number == errno.EACCES and verb in ("write", "connect"):
            return self._misuse(number, verb, *ONE_HOST)
        return super()._refusal(number, verb, address)

    def write(self, data: Data, to: object = None) -> int:
        """Send one datagram; `to` is where, on a connected socket nothing. Headers are built as they stand over those of both ends."""
        peer = self.peer
        given = peer is not None or to is not None
        self._need(given, errno.EDESTADDRREQ, "write", *MISUSES[errno.EDESTADDRREQ])
        once = peer is None or to is None
        self._need(once, errno.EISCONN, "write", "no destination: the socket is connected", f"{to}", ONCE)
        target = peer or self._address(to)
        self._need(target[1] or self.kind == "raw", errno.EINVAL, "write", *NO_PORT)
        raw = self._built(data, target)
        if peer is not None:
            return self._deliver(lambda: self.sock.send(raw))
        return self._deliver(lambda: self.sock.sendto(raw, target))

    def _over(self, src: str, sport: int, dst: str, dport: int) -> tuple[Header, ...]:
        return IPv4(src=src, dst=dst), UDP(sport=sport, dport=dport)

    def read(self) -> bytes:
        """Wait for the next datagram and return its data."""
        return self.read_from()[0]

    def read_from(self) -> tuple[bytes, tuple[str, int]]:
        """Wait for the next datagram and return its data, and where it came from."""
        data, address = self._receive(lambda: self.sock.recvfrom(LARGEST))
        return data, address


class InetRaw(InetDatagram):
    """IP packets of one protocol: read with their header, written without (the kernel makes it)."""

    kind = "raw"

    def _address(self, address: object, ours: bool = False) -> tuple[str, int]:
        if isinstance(address, str):
            return self._resolved(address), 0
        return super()._address(address, ours)

    def _over(self, src: str, sport: int, dst: str, dport: int) -> tuple[Header, ...]:
        return () if self.sock.proto == _socket.IPPROTO_RAW else (IPv4(src=src, dst=dst, protocol=self.sock.proto),)


def _is_port(number: object) -> TypeGuard[int]:
    return isinstance(number, int) and 0 <= number <= 0xFFFF
