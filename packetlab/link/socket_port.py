"""Ports that are sockets of the kernel's: how frames wait for room in them; raw IP (raw(7)), routed by the kernel."""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Callable
from typing import Protocol

from packetlab.capture import Frame, InterfaceDescription
from packetlab.errors import BuildError, NeedsPrivilege
from packetlab.link.port import OpenedPorts, Port, room
from packetlab.link.waits import AT_ONCE, Stop, Waits
from packetlab.packet.coerce import as_packet
from packetlab.protocols.ip import IPv4

RAW_IP = 101
SOON = 0.001  # seconds until a queue is tried again that drops what it has no room for: nothing tells when it has some


class SocketPort(Port):
    """Sends and receives by a socket, one frame a datagram."""

    _socket: socket.socket

    def fileno(self) -> int:
        """The descriptor, for select and poll."""
        return self._socket.fileno()

    def _put(self, data: bytes, gone: list[int]) -> bool:
        try:
            self._hand_over(data, gone)
        except BlockingIOError:
            return False
        except OSError as error:
            self._waits.check()
            raise self._refusal(error.errno or 0, len(data), error) from None
        return True

    def _hand_over(self, data: bytes, gone: list[int]) -> None:
        """Give one frame to the kernel, without waiting, and note that: one call, so that no interrupt comes between."""
        gone.extend(map(self._socket.send, (data,), (socket.MSG_DONTWAIT,)))

    def _refusal(self, number: int, size: int, error: object = None) -> OSError:
        """Return the error for a frame of `size` bytes; 0 where it is about no frame."""
        return OSError(number, f"{self.name}: {getattr(error, 'strerror', None) or error or errno.errorcode.get(number)}")

    def _send(self, data: bytes) -> None:
        self._send_unless(data, None)

    def _send_unless(self, data: bytes, stop: Stop | None) -> bool:
        while stop is None or not stop.is_set():
            mask, turn = select.POLLOUT, None if stop is None else AT_ONCE
            try:
                if self._put(data, []):
                    return True
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                mask, turn = 0, SOON
            self._waits.ready(self.fileno(), mask, turn)
        return False

    def _receive(self, timeout: float | None) -> Frame | None:
        data = self._waits.receive(self._socket, timeout)
        if data is None:
            return None
        return Frame(data, time.time_ns(), interface=InterfaceDescription(self.linktype, 0, self.name))

    def _room(self) -> tuple[int, int]:
        return room(self._socket)

    def close(self) -> None:
        """Close the socket. A thread waiting for a packet gets an OSError that says so."""
        self._waits.close()
        self._socket.close()


class KernelHost(Protocol):
    """A host of a lab, or this machine as a host, as sockets in it need it."""

    @property
    def name(self) -> str: ...
    @property
    def kernel_socket(self) -> Callable[[int, int, int], socket.socket]: ...
    @property
    def _opened(self) -> OpenedPorts: ...


class RawIPSocket(SocketPort):
    """Sends IPv4 packets and receives those of one protocol number.

    Args:
        protocol: of the packets to receive (1 ICMP, 17 UDP, ...).
        host: a host of a lab to be in, or a `LocalHost`, which closes it when it is closed; None for this machine.

    Raises:
        NeedsPrivilege: without CAP_NET_RAW on this machine.
    """

    linktype = RAW_IP

    def __init__(self, protocol: int, host: KernelHost | None = None) -> None:
        self.name = f"raw IP protocol {protocol}" + (f" in {host.name}" if host is not None else "")
        opener = host.kernel_socket if host is not None else socket.socket
        try:
            self._socket = opener(socket.AF_INET, socket.SOCK_RAW, protocol)
        except PermissionError as error:
            hint = "run as root; hosts of a Lab() need none"
            raise NeedsPrivilege(self.name, "the capability CAP_NET_RAW", error.strerror, hint) from None
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        self._waits = Waits(self.name)
        if host is not None:
            host._opened.add(self)

    def send(self, frame: object) -> None:
        """Send a packet that begins with IPv4, to its destination. The kernel fills a source of 0.0.0.0 and an id of 0."""
        packet = as_packet(frame, IPv4)
        if not packet.layers or not isinstance(packet.layers[0], IPv4):
            raise BuildError(f"{self.name}: send", "a packet that begins with IPv4", type(frame).__name__)
        self._send(bytes(packet))

    def _hand_over(self, data: bytes, gone: list[int]) -> None:
        there = socket.inet_ntoa(data[16:20]), 0
        gone.extend(map(self._socket.sendto, (data,), (socket.MSG_DONTWAIT,), (there,)))
