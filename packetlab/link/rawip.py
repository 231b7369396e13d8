"""Raw IP sockets (raw(7)): IPv4 packets with their headers, routed by the kernel."""

from __future__ import annotations

import socket as _socket
import time
from collections.abc import Callable
from typing import Protocol

from packetlab.capture import Frame, InterfaceDescription
from packetlab.errors import BuildError, NeedsPrivilege
from packetlab.link.port import Port, room
from packetlab.link.waits import Waits
from packetlab.packet.coerce import as_packet
from packetlab.protocols.ip import IPv4

RAW_IP = 101


class KernelHost(Protocol):
    """A host of a lab, as sockets in it need it."""

    @property
    def name(self) -> str: ...
    @property
    def kernel_socket(self) -> Callable[[int, int, int], _socket.socket]: ...


class RawIPSocket(Port):
    """Sends IPv4 packets and receives those of one protocol number.

    Args:
        protocol: of the packets to receive (1 ICMP, 17 UDP, ...).
        host: a host of a lab to be in; None for this machine.

    Raises:
        NeedsPrivilege: without CAP_NET_RAW on this machine.
    """

    linktype = RAW_IP

    def __init__(self, protocol: int, host: KernelHost | None = None) -> None:
        self.name = f"raw IP protocol {protocol}" + (f" in {host.name}" if host is not None else "")
        opener = host.kernel_socket if host is not None else _socket.socket
        try:
            self._socket: _socket.socket = opener(_socket.AF_INET, _socket.SOCK_RAW, protocol)
        except PermissionError as error:
            hint = "run as root; hosts of a Lab() need none"
            raise NeedsPrivilege(self.name, "the capability CAP_NET_RAW", error.strerror, hint) from None
        self._socket.setsockopt(_socket.IPPROTO_IP, _socket.IP_HDRINCL, 1)
        self._waits = Waits(self.name)

    def send(self, frame: object) -> None:
        """Send a packet that begins with IPv4, to its destination. The kernel fills a source of 0.0.0.0 and an id of 0."""
        packet = as_packet(frame, IPv4)
        if not packet.layers or not isinstance(packet.layers[0], IPv4):
            raise BuildError(f"{self.name}: send", "a packet that begins with IPv4", type(frame).__name__)
        self._send(bytes(packet))

    def _send(self, data: bytes) -> None:
        try:
            self._waits.send(self._socket, data, (_socket.inet_ntoa(data[16:20]), 0))
        except OSError as error:
            self._waits.check()
            raise OSError(error.errno, f"{self.name}: {error.strerror or error}") from None

    def fileno(self) -> int:
        """The descriptor, for select and poll."""
        return self._socket.fileno()

    def _receive(self, timeout: float | None) -> Frame | None:
        data = self._waits.receive(self._socket, timeout)
        if data is None:
            return None
        return Frame(data, time.time_ns(), interface=InterfaceDescription(RAW_IP, 0, self.name))

    def _room(self) -> tuple[int, int]:
        return room(self._socket)

    def close(self) -> None:
        """Close the socket. A thread waiting for a packet gets an OSError that says so."""
        self._waits.close()
        self._socket.close()
