"""Sockets: create, bind, connect, listen, accept, write, read, close; as methods, and here as functions.

| kind        | family xns               | family inet (the kernel's own)  |
|-------------|--------------------------|---------------------------------|
| "stream"    | SPP, bytes               | TCP                             |
| "datagram"  | IDP                      | UDP                             |
| "raw"       | IDP, every packet, whole | raw IP                          |
| "seqpacket" | SPP, packets             | -                               |
| "websocket" | over an SPP stream       | over TCP                        |

    socket, ways            what all have in common; ways out, for the hints of errors
    headers                 prototype headers that `write` takes
    idp, spp                sockets of XNS; `seqpacket`, `stream` the two kinds over SPP
    messages                whole messages of a declared protocol out of a stream
    inet, look_ups          the kernel's own; addresses of names
    websocket               over a stream of either family, by `websocket_stream` and `stream_driver`
    networks                the hosts and networks that sockets are made on

Begin with `socket`, then `seqpacket`.

>>> from packetlab import SimNetwork
>>> net = SimNetwork()
>>> a, b = net.host("a"), net.host("b")
>>> link = net.link(a, b)
>>> with a.socket("datagram") as one, b.socket("datagram") as other:
...     other.bind(3000)
...     one.connect(b.at(3000))
...     one.write(b"hi"), other.read()
(2, b'hi')

Options have the meaning they have in 4.4BSD's NS domain; where BSD ignores silently what it was given, these sockets raise
`LocalProtocolError`. A call that BSD answers with an errno raises `SocketMisuse`, which is an `OSError` with that errno too.

A signal's handler may close, abort, write, and raise, in real time at any moment. What would wait may be EDEADLK there, so let
it note what is to be done. It must not join a thread that uses the same network: its own thread may hold the lock that one
waits for. What an interrupted call had taken (frames from a port, a packet or message for its reader) is lost with it: SPP
repeats frames, and a WebSocket that was cut off within one says so.
"""

from __future__ import annotations

from errno import EAFNOSUPPORT, EBADF, ENETDOWN, ESOCKTNOSUPPORT
from typing import TYPE_CHECKING, Any, Literal, overload

from packetlab.errors import LocalProtocolError, SocketMisuse, suggestion
from packetlab.network.host import NetworkHost
from packetlab.sockets.socket import Socket

if TYPE_CHECKING:
    from packetlab.sockets.idp import DatagramSocket, RawSocket
    from packetlab.sockets.inet import InetDatagram, InetRaw, InetStream
    from packetlab.sockets.seqpacket import SeqpacketSocket
    from packetlab.sockets.stream import StreamSocket
    from packetlab.sockets.websocket import WebSocketSocket

KINDS = ("stream", "datagram", "raw", "seqpacket", "websocket")
FAMILIES = ("xns", "inet")


@overload
def create(host: NetworkHost, kind: Literal["seqpacket"], family: Literal["xns"] | None = None) -> SeqpacketSocket: ...
@overload
def create(
    host: NetworkHost, kind: Literal["websocket"], family: str | None = None, **options: object
) -> WebSocketSocket: ...
@overload
def create(host: NetworkHost, kind: Literal["stream"], family: Literal["xns"]) -> StreamSocket: ...
@overload
def create(host: NetworkHost, kind: Literal["stream"], family: Literal["inet"]) -> InetStream: ...
@overload
def create(host: NetworkHost, kind: Literal["stream"] = "stream", family: None = None) -> StreamSocket | InetStream: ...
@overload
def create(host: NetworkHost, kind: Literal["datagram"], family: Literal["xns"]) -> DatagramSocket: ...
@overload
def create(host: NetworkHost, kind: Literal["datagram"], family: Literal["inet"]) -> InetDatagram: ...
@overload
def create(host: NetworkHost, kind: Literal["datagram"], family: None = None) -> DatagramSocket | InetDatagram: ...
@overload
def create(host: NetworkHost, kind: Literal["raw"], family: Literal["xns"] | None = None) -> RawSocket: ...
@overload
def create(host: NetworkHost, kind: Literal["raw"], family: Literal["inet"], *, protocol: int) -> InetRaw: ...
@overload
def create(host: NetworkHost, kind: str, family: str | None = None, **options: object) -> Socket: ...
def create(host: NetworkHost, kind: str = "stream", family: str | None = None, **options: Any) -> Socket:
    """Return a new socket of a host.

    Args:
        kind: "stream", "datagram", "raw", "seqpacket" or "websocket".
        family: "xns", or "inet" for the kernel's own; xns where it is not said and the host has a link or has joined.
        options: protocol (raw inet: its number), and those of `WebSocketSocket`.

    Raises:
        LocalProtocolError: no such kind or family, or none of the two here; or the host was closed.
    """
    if kind not in KINDS:
        hint = suggestion(f"{kind}", KINDS) or "see help(packetlab.sockets)"
        raise SocketMisuse(ESOCKTNOSUPPORT, "socket", f"one of {', '.join(KINDS)}", kind, hint)
    if host.closed:
        raise SocketMisuse(
            EBADF, f"{kind} socket of {host.name}", "an open host", "one that was closed", "make another"
        )
    if family is None:
        family = "xns" if host.speaks_xns or host.kernel_socket is None or kind == "seqpacket" else "inet"
    if family not in FAMILIES:
        hint = suggestion(f"{family}", FAMILIES) or "leave it out: xns where the host has a link, else inet"
        raise SocketMisuse(EAFNOSUPPORT, "socket family", "xns or inet", family, hint)
    if family == "inet" and host.kernel_socket is None:
        hint = "use a Lab or a LocalHost"
        where = f"{kind} socket of {host.name}"
        raise SocketMisuse(EAFNOSUPPORT, where, "a host with a kernel", "a simulated one", hint)
    if family == "xns" and not host.speaks_xns:
        hint = "make a link first, or join() one; LocalHost('eth0') is on its interface's"
        where = f"{kind} socket of {host.name}"
        raise SocketMisuse(ENETDOWN, where, "a host on an XNS network", "one on none", hint)
    if kind == "websocket":
        from packetlab.sockets.websocket import WebSocketSocket

        stream: Any = create(host, "stream", family)
        return WebSocketSocket(stream, **options)
    if family == "inet":
        from packetlab.sockets import inet

        return inet.create(host, kind, **options)
    if options:
        raise LocalProtocolError(f"{kind} socket", "no options", ", ".join(options))
    if kind in ("datagram", "raw"):
        from packetlab.sockets.idp import DatagramSocket, RawSocket

        return (RawSocket if kind == "raw" else DatagramSocket)(host)
    from packetlab.sockets.seqpacket import SeqpacketSocket
    from packetlab.sockets.stream import StreamSocket

    return (StreamSocket if kind == "stream" else SeqpacketSocket)(host)


def bind(what: Any, address: object = None, **how: Any) -> None:
    """Give a socket its own address (see `Socket.bind`), or a header a place (``bind(IDP, under=IPv4, when=...)``).

    The two meanings never meet: a header is a class, a socket is not. See `declare.registry.bind` for the second.
    """
    if isinstance(what, type):
        from packetlab.declare.registry import bind as bind_header

        bind_header(what, **how)
    else:
        what.bind(address)


def connect(socket: Socket, address: object, **how: Any) -> None:
    """Connect a socket; see `Socket.connect`."""
    socket.connect(address, **how)


def listen(socket: Socket, backlog: int = 5, **how: Any) -> None:
    """Let a socket take connections; see `Socket.listen`."""
    socket.listen(backlog, **how)


def accept(socket: Socket) -> Socket:
    """Return the next connection; see `Socket.accept`."""
    return socket.accept()


def write(socket: Socket, data: object, **how: Any) -> int:
    """Write data; see `Socket.write`."""
    return socket.write(data, **how)


def read(socket: Socket, *args: object, **how: object) -> Any:
    """Read data; see `Socket.read`."""
    return socket.read(*args, **how)


def close(socket: Socket, **how: Any) -> None:
    """Close a socket; see `Socket.close`."""
    socket.close(**how)
