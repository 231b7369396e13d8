"""Where hosts come from: a lab of kernel namespaces, a simulated network, or this machine.

The three make hosts of one kind (see `host.NetworkHost`), so a script that talks through their sockets runs on any of them.
"""

from __future__ import annotations

import socket as _socket
from errno import ENETDOWN
from random import Random
from typing import Any

from packetlab.declare.values.addresses import mac_bytes, mac_text
from packetlab.errors import SocketMisuse
from packetlab.hooks import Shown
from packetlab.link import simnet as _simnet
from packetlab.link.event_loop import EventLoop, RealTime
from packetlab.link.interface import EVERY_PROTOCOL, Interface
from packetlab.link.lab import lab as _lab, lab_host as _lab_host
from packetlab.link.port import Attachment, OpenedPorts
from packetlab.network.host import IN_VIRTUAL_TIME, NetworkHost
from packetlab.renamed import renamed_arguments
from packetlab.sockets import create
from packetlab.sockets.socket import Socket
from packetlab.view.ladder import ladder

HERE = RealTime()  # this machine has one time; all its hosts live in it


class Talker(NetworkHost, Shown):
    """A host with sockets: ``host.socket(kind, family)`` is `create`."""

    socket = create

    def facts(self) -> list[tuple[str, str]]:
        """Return what there is to be said of the host, as (name, text)."""
        found = [("host", f"{type(self).__name__} {self.name}")]
        for number, attachment in enumerate(self.attachments):
            words = f"network {attachment.network:X}H, {attachment.carrier}, {mac_text(attachment.mac)}"
            found.append((f"attachment {number}", words))
        if self.attachments or not hasattr(self, "interfaces"):
            found.append(("address", str(self.address)))
        return found


class SimHost(_simnet.SimHost, Talker):
    """A host of the simulated network, with sockets and engines."""

    timing = IN_VIRTUAL_TIME

    def __init__(self, net: SimNetwork, name: str) -> None:
        super().__init__(net, name)
        self.randomness = Random(f"{net.seed}/{name}").randbytes

    def recent_frames(self) -> str | None:
        """Return the last frames of the network as a ladder."""
        frames = self.net.last(8)
        return f"the last {len(frames)} frames:\n{ladder(frames)}"

    def _first_id(self) -> int:
        # Determined by the seed alone: the same run has the same ids.
        return 1 + (hash_of(f"{self.net.seed}/{self.name}") & 0xFFFF)


class SimNetwork(_simnet.SimNetwork):
    """A network in virtual time; see `link.simnet.SimNetwork`."""

    def _new_host(self, name: str) -> SimHost:
        return SimHost(self, name)

    def host(self, name: str) -> SimHost:
        """Return the host of that name; a new one comes to be where there was none."""
        found: Any = super().host(name)
        return found  # type: ignore[no-any-return]


class LabHost(_lab_host.Host, Talker):
    """A host of a lab, with sockets and engines alongside real programs."""


class Lab(_lab.Lab):
    """Hosts and links in namespaces of their own, without root; see `link.lab.lab.Lab`."""

    def _new_host(self, name: str) -> LabHost:
        return LabHost(self, name)

    def host(self, name: str) -> LabHost:
        """Return the host of that name; a new one comes to be where there was none."""
        found: Any = super().host(name)
        return found  # type: ignore[no-any-return]


class LocalHost(Talker):
    """The machine we are on: the kernel's sockets, and XNS over an interface that is named, or over what `join` names.

    Args:
        interface: to speak XNS on, "eth0"; None: nothing is sent but through kernel sockets.
        network: XNS network number there. mac: our XNS address, the interface's own unless given.
        loop: the event loop to live in; hosts of one program share it, so that each is served while another waits.

    Raises:
        NeedsPrivilege: an interface without CAP_NET_RAW.
    """

    @renamed_arguments(medium="loop")
    def __init__(
        self, interface: str | None = None, *, network: int = 0, mac: object = None, name: str = "here",
        carrier: str = "ethernet", loop: EventLoop | None = None,
    ) -> None:  # fmt: skip
        self.name, self.loop = name, loop or HERE
        self.address = "127.0.0.1"
        self._attachments: list[Attachment] = []
        self._mac = None if mac is None else mac_bytes(mac)
        self._opened = OpenedPorts()  # on its interface, and raw IP sockets
        if interface is not None:
            self.interface = Interface(interface)
            own = self._mac or self.interface._socket.getsockname()[4]
            self._attachments.append(Attachment(network, carrier, own, self._open))

    @property
    def attachments(self) -> list[Attachment]:
        """The networks this host is on by its interface."""
        return self._attachments

    def _open(self, protocol: int | None = None, promiscuous: bool = False) -> Interface:
        every = EVERY_PROTOCOL if protocol is None else protocol
        with self.loop.lock:  # opened and known, or refused
            self._need_open("open")
            port = Interface(self.interface.name, promiscuous=promiscuous or self._mac is not None, protocol=every)
            self._opened.add(port)
        return port

    def xns_bytes(self) -> bytes:
        """Return the 48-bit address of this host in XNS."""
        if self._mac is not None:
            return self._mac
        if not self.attachments:
            wanted = "an interface, or mac= for an XNS address of one's own"
            hint = "LocalHost('eth0'), or LocalHost(mac='02:00:00:00:00:01') and join()"
            raise SocketMisuse(ENETDOWN, f"host {self.name}", wanted, "neither", hint)
        return self.attachments[0].mac

    def kernel_socket(
        self, family: int = _socket.AF_INET, type: int = _socket.SOCK_STREAM, protocol: int = 0
    ) -> _socket.socket:
        """Open a socket of the kernel."""
        return _socket.socket(family, type, protocol)

    def close(self) -> None:
        """Let go of the interface and of what was joined; connections end without a word.

        Its sockets are of no use then, the kernel's neither, nor are ports and raw IP sockets that were opened on it: a thread that
        waits at one, or in `exchange`, gets EBADF. Engines that were attached are driven no more. `log` stays, with what was
        not sent by then.
        """
        with self.loop.lock:
            self.closed = True
            for driver in [*self.loop.drivers]:  # engines that are attached: they would be told of a closed port
                if any(port in self._opened for port in driver.ports):
                    self.loop.remove(driver)
            if self._stack is not None:
                for port in self._stack.ports:
                    self._stack.log.extend(self._stack.outgoing.drop(port, "the host was closed"))
                    port.close()
                self.loop.remove(self._stack)  # its log stays
        if self.attachments:
            self.interface.close()
        self._opened.close()
        self.loop.poke()  # a thread that waits at a socket or port of this host waits in vain

    def __enter__(self) -> LocalHost:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def hash_of(text: str) -> int:
    """Return a number that is always the same for a text."""
    import zlib

    return zlib.crc32(text.encode())


__all__ = ["Lab", "LabHost", "LocalHost", "SimHost", "SimNetwork", "Socket"]
