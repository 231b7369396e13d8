"""Replay: a recorded peer that talks to a live program, over the kernel's sockets (a thread) or over XNS (in the event loop).

What it says when stands in `script`; this is only its mouth and ears.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from packetlab.capture import Frame
from packetlab.declare.fields import Field
from packetlab.errors import LocalProtocolError, Mismatch, PacketlabError, Stalled
from packetlab.link.waits import start
from packetlab.protocols.xns import IDP, SPP, Control
from packetlab.testing.conversation import Turn, conversations
from packetlab.testing.script import Script
from packetlab.testing.volatile import Volatile

if TYPE_CHECKING:
    from packetlab.declare.values.addresses import XNSAddress
    from packetlab.engine.xns.spp import Connection
    from packetlab.sockets.networks import Talker

PATIENCE = 5.0  # seconds that the end of the `with` waits for what is still to come
VIRTUAL = 60.0  # the same in virtual time
LARGEST = 65536


class Replay:
    """One side of recorded conversations, to talk with a program under test.

    Args:
        frames: the recording. kind: "stream" (TCP, or SPP), "datagram" (UDP, or IDP), "seqpacket" (SPP).
        port: of the recorded server. side: what is played, "server" or "client".
        volatile: fields that may differ in what datagrams begin with ("dns.id"); answers take the live values over.
        same: for (recorded, live) says whether that is what was to come, instead of comparing bytes.

    Each new client gets the next recorded conversation. Answers come at once.

    Raises PacketlabError: no such conversation in the recording.
    """

    def __init__(
        self, frames: Iterable[Frame], kind: str, port: int, *, side: str = "server", volatile: Iterable[str | Field] = (),
        same: Callable[[bytes, bytes], bool] | None = None,
    ) -> None:  # fmt: skip
        if side not in ("server", "client"):
            raise PacketlabError("Replay: side", "server or client", repr(side))
        found = conversations(frames, kind, port)
        self.kind, self.port, self.server, self.family = kind, port, side == "server", found[0].family
        fields = Volatile(volatile)
        self.scripts = [Script(one, self.server, kind == "stream", fields, same) for one in found]
        self.begun = 0
        self.troubles: list[Mismatch] = []

    @contextmanager
    def on(self, host: Talker, *, to: object = None, port: int | None = None) -> Iterator[Replay]:
        """Play on a host until the `with` ends.

        Args:
            to: for a client, the host or the address of the server under test. port: to listen at, or to connect to,
                where it is not the recorded one (0 picks any: see the attribute `port`).

        Raises Mismatch at the end: the program under test said something else than was recorded, or not all of it.
        """
        self.port = self.port if port is None else port
        if not self.server and to is None:
            raise LocalProtocolError("Replay.on", "to=, the server under test", "none")
        player: _OverKernel | _OverXNS
        player = (_OverKernel if self.family == "inet" else _OverXNS)(self, host, to)
        failed: BaseException | None = None
        try:
            yield self
        except BaseException as error:
            failed = error
            raise
        finally:
            player.close(wait=failed is None)
            if failed is None or self.troubles:
                self.check(failed)

    def next_script(self) -> Script:
        """Return the script of the next client."""
        if self.begun == len(self.scripts):
            raise Mismatch(f"one more client came than the {self.begun} recorded")
        self.begun += 1
        return self.scripts[self.begun - 1]

    @property
    def over(self) -> bool:
        """Whether all was said, or nothing more can be."""
        return bool(self.troubles) or all(script.over for script in self.scripts)

    def check(self, cause: BaseException | None = None) -> None:
        """Raise `Mismatch` where it went otherwise than recorded."""
        __tracebackhide__ = True
        if self.troubles:
            raise self.troubles[0] from cause
        for number, script in enumerate(self.scripts, 1):
            if left := script.left():
                raise Mismatch(f"conversation {number} of {len(self.scripts)}: {left}")


class _OverKernel:
    """TCP and UDP sockets, served by a thread."""

    def __init__(self, replay: Replay, host: Talker, to: object) -> None:
        if getattr(host, "kernel_socket", None) is None:
            raise PacketlabError(
                f"Replay on {host}", "a host with a kernel", "a simulated one", "use a Lab or LocalHost()"
            )
        self.replay, self.host = replay, host
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stop, selectors.EVENT_READ, None)
        self._clients: dict[object, Script] = {}
        self._changed = threading.Condition()
        stream = replay.kind == "stream"
        if replay.server:
            sock = host.kernel_socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM, 0)
            if stream:  # UDP would share its port by it
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("0.0.0.0", replay.port))
            except OSError:
                sock.close()
                self._selector.close()
                os.close(self._stop)
                raise
            replay.port = sock.getsockname()[1]
            if stream:
                sock.listen()
            self._hear(sock, self._accept if stream else self._datagram)
        self._thread = threading.Thread(target=self._run, args=[to], name="replayed peer", daemon=True)
        start(self._thread)

    def _hear(self, sock: socket.socket, react: Callable[[socket.socket], None]) -> None:
        self._selector.register(sock, selectors.EVENT_READ, react)

    def _run(self, to: object) -> None:
        if not self.replay.server:
            self._guard(lambda: self._connect(to))
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                sock: Any = key.fileobj
                self._guard(partial(key.data, sock), sock)
                with self._changed:
                    self._changed.notify_all()

    def _guard(self, do: Callable[[], None], sock: socket.socket | None = None) -> None:
        """Do something; what goes wrong is reported at the end, and the other side sees its connection close."""
        try:
            do()
        except Mismatch as error:
            self._trouble(error, sock)
        except OSError as error:
            self._trouble(Mismatch(f"the connection under test: {error.strerror or error}"), sock)

    def _trouble(self, error: Mismatch, sock: socket.socket | None) -> None:
        self.replay.troubles.append(error)
        if sock is not None and self.replay.kind == "stream":
            self._drop(sock)
        with self._changed:
            self._changed.notify_all()

    def _drop(self, sock: socket.socket) -> None:
        with suppress(KeyError, ValueError):
            self._selector.unregister(sock)
        sock.close()

    def _connect(self, to: object) -> None:
        address = (str(getattr(to, "address", to)), self.replay.port) if not isinstance(to, tuple) else to
        stream = self.replay.kind == "stream"
        for _ in self.replay.scripts:
            script = self.replay.next_script()
            sock = self.host.kernel_socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM, 0)
            sock.settimeout(PATIENCE)
            sock.connect(address)
            self._clients[sock] = script
            self._hear(sock, self._piece if stream else self._answer)
            self._say(sock, script.say())

    def _accept(self, listener: socket.socket) -> None:
        sock, _ = listener.accept()
        sock.settimeout(PATIENCE)
        try:
            script = self._clients[sock] = self.replay.next_script()
        except Mismatch:
            sock.close()
            raise
        self._hear(sock, self._piece)
        self._say(sock, script.say())

    def _piece(self, sock: socket.socket) -> None:
        data, script = sock.recv(LARGEST), self._clients[sock]
        self._say(sock, script.hear(data) if data else script.end())
        if not data:
            self._drop(sock)

    def _answer(self, sock: socket.socket) -> None:
        for turn in self._clients[sock].hear(sock.recv(LARGEST)):
            sock.send(turn.data)

    def _datagram(self, sock: socket.socket) -> None:
        data, client = sock.recvfrom(LARGEST)
        if client not in self._clients:
            self._clients[client] = self.replay.next_script()
        for turn in self._clients[client].hear(data):
            sock.sendto(turn.data, client)

    @staticmethod
    def _say(sock: socket.socket, turns: list[Turn]) -> None:
        for turn in turns:
            sock.sendall(turn.data)
            if turn.ends:
                with suppress(OSError):  # the other side may be gone
                    sock.shutdown(socket.SHUT_WR)

    def close(self, wait: bool) -> None:
        """Wait for what is still to come, and end."""
        if wait:
            with self._changed:
                self._changed.wait_for(lambda: self.replay.over, PATIENCE)
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        for key in [*self._selector.get_map().values()]:
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        os.close(self._stop)


class _OverXNS:
    """SPP and IDP sockets, served whenever time passes in the event loop (a follower, see `link.event_loop`)."""

    def __init__(self, replay: Replay, host: Any, to: object) -> None:
        self.replay, self.host, self.to = replay, host, to
        self._clients: dict[XNSAddress, Script] = {}
        self._connections: dict[Connection, Script] = {}
        self._waiting: list[tuple[Connection, Script]] = []  # connections that are not open yet
        self.socket = host.socket("datagram" if replay.kind == "datagram" else "seqpacket", family="xns")
        if replay.kind == "datagram":
            self.socket._patient = False  # it writes within whatever call lets time pass
        if replay.server:
            self.socket.bind(replay.port)
            replay.port = self.socket.address.socket
            if replay.kind != "datagram":
                self.socket.listen(len(replay.scripts) + 1)
        elif replay.kind == "datagram":
            self.socket.bind(0)
            for _ in replay.scripts:
                script = replay.next_script()
                self._clients[self._there()] = script
                self._send(self._there(), script.say())
        else:
            for _ in replay.scripts:
                sock = host.socket("seqpacket", family="xns")
                sock.connect(self._there(), wait=False)
                sock._connection.patient = False
                self._waiting.append((sock._connection, replay.next_script()))
        host.loop.followers.append(self._follow)

    def _there(self) -> XNSAddress:
        there: XNSAddress = self.host.resolve(self.to.at(self.replay.port) if hasattr(self.to, "at") else self.to)
        return there

    def _follow(self) -> None:
        if self.replay.troubles:
            return
        try:
            self._datagrams() if self.replay.kind == "datagram" else self._packets()
        except Mismatch as error:
            self.replay.troubles.append(error)
            for connection in self._connections:
                connection.abort(self.host.loop.now)
                self.host.schedule(connection)

    def _datagrams(self) -> None:
        while (packet := self.socket._endpoint.read()) is not None:
            idp = packet[IDP]
            if idp.src not in self._clients:
                self._clients[idp.src] = self.replay.next_script()
            data = bytes(packet)[30 : idp.length]
            self._send(idp.src, self._clients[idp.src].hear(data))

    def _send(self, to: object, turns: list[Turn]) -> None:
        for turn in turns:
            kind = turn.header.packet_type if isinstance(turn.header, IDP) else 0
            self.socket.write(turn.data, to=to, header=IDP(packet_type=kind))

    def _packets(self) -> None:
        listener = self.socket._listener
        while listener is not None and (connection := listener.accept()) is not None:
            self._open(connection, self.replay.next_script())
        for waiting in [*self._waiting]:
            if waiting[0].state.name not in ("REQUESTED", "ANSWERED"):
                self._waiting.remove(waiting)
                if waiting[0].error is not None:
                    raise Mismatch(f"the connection under test: {waiting[0].error}")
                self._open(*waiting)
        for connection, script in [*self._connections.items()]:
            while (packet := connection.read()) is not None:
                self._write(connection, script.hear(packet.payload))
                self.host.schedule(connection)
            if connection.ended:
                del self._connections[connection]
                self._write(connection, script.end())
                connection.close(self.host.loop.now)
                self.host.schedule(connection)

    def _open(self, connection: Connection, script: Script) -> None:
        self._connections[connection] = script
        self._write(connection, script.say())

    def _write(self, connection: Connection, turns: list[Turn]) -> None:
        for turn in turns:
            header = turn.header if isinstance(turn.header, SPP) else SPP()
            size = connection.largest
            pieces = [turn.data[at : at + size] for at in range(0, len(turn.data), size)] or (
                [] if turn.ends else [b""]
            )
            for number, piece in enumerate(pieces, 1):
                last = number == len(pieces)
                connection.send(
                    piece, header.datastream if header.datastream < 254 else 0,
                    end_of_message=last and bool(header.control & Control.END_OF_MESSAGE),
                )  # fmt: skip
            if turn.ends and not connection.ended:
                connection.close(self.host.loop.now)
            self.host.schedule(connection)

    def close(self, wait: bool) -> None:
        """Wait for what is still to come, and end."""
        loop = self.host.loop
        if wait:
            virtual = hasattr(loop, "_under_way")
            with suppress(TimeoutError, Stalled):
                loop.wait(lambda: True if self.replay.over else None, "replayed peer", VIRTUAL if virtual else PATIENCE)
        loop.followers.remove(self._follow)
        for connection in self._connections:
            if not connection.over:
                connection.close(loop.now)
                self.host.schedule(connection)
        self.socket.close()
