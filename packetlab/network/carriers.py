"""Carriers of XNS: how an IDP packet travels in frames of something else.

A framing says what goes around a packet; a port sends and receives. Ethernet (type 0x0600), SNAP and IP protocol 22 follow
4.4BSD (if_ethersubr.c, ns_ip.c); the NetHub's line is that of Dodo (NetHub.java): 16 bits of length, then an
Ethernet frame, over TCP port 3333. UDP has no custom to follow: one packet a datagram, between two configured ends.
"""

from __future__ import annotations

import fcntl
import select
import socket as _socket
import termios
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import reduce
from operator import iconcat
from os import getpid
from sys import byteorder
from threading import get_ident
from typing import NamedTuple

from packetlab.capture import Frame, InterfaceDescription
from packetlab.declare.values.addresses import ip_bytes
from packetlab.link.port import BATCH, HUGE
from packetlab.link.socket_port import SocketPort
from packetlab.link.waits import AT_ONCE, LARGEST, Stop, Waits, of_parent
from packetlab.packet.packet import Packet
from packetlab.protocols.ip import IPv4
from packetlab.protocols.link import LLC, SNAP, Ether

XNS_TYPE, IP_PROTOCOL = 0x0600, 22
LENGTH_802_3 = 0x0004  # ETH_P_802_2: frames with a length instead of a type
NETHUB_PORT, NETHUB_LARGEST = 3333, 1024
PATIENCE = 10.0  # seconds for a hub to answer, and to take a frame
SHORTEST = 14  # bytes of a frame on a NetHub line

Opener = Callable[[int, int, int], _socket.socket]


class Framing(ABC):
    """Puts packets into frames, and takes them out.

    Attributes:
        protocol: Ethernet type of the frames to listen for, None: all there are.
    """

    protocol: int | None = None

    @abstractmethod
    def wrap(self, packet: Packet, host: int) -> bytes:
        """Return the frame that brings an IDP packet to a host of the network."""

    @abstractmethod
    def unwrap(self, data: bytes) -> bytes | None:
        """Return the IDP packet in a frame, without what fills the frame; None where there is none."""


class EthernetFraming(Framing):
    """Ethernet II, type 0x0600. A host's XNS address is its MAC address, so nothing needs to be looked up."""

    protocol = XNS_TYPE

    def __init__(self, mac: bytes) -> None:
        self.mac = mac
        self._heads: dict[int, bytes] = {}

    def wrap(self, packet: Packet, host: int) -> bytes:
        head = self._heads.get(host)
        if head is None:
            head = self._heads[host] = bytes(Ether(dst=host.to_bytes(6, "big"), src=self.mac, type=XNS_TYPE))
        return head + bytes(packet)

    def unwrap(self, data: bytes) -> bytes | None:
        if data[12:14] != b"\x06\x00" or not self._for_us(data):
            return None
        return trimmed(data, 14)

    def _for_us(self, data: bytes) -> bool:
        return data[:6] == self.mac or bool(data[0] & 1)


class SnapFraming(EthernetFraming):
    """802.3 with LLC and SNAP: organisation 0, type 0x0600."""

    protocol = LENGTH_802_3

    def wrap(self, packet: Packet, host: int) -> bytes:
        head = Ether(dst=host.to_bytes(6, "big"), src=self.mac) / LLC() / SNAP(oui=0, type=XNS_TYPE)
        return bytes(head / bytes(packet))

    def unwrap(self, data: bytes) -> bytes | None:
        if data[14:22] != b"\xaa\xaa\x03\0\0\0\x06\x00" or not self._for_us(data):
            return None
        return trimmed(data, 22)


class IPFraming(Framing):
    """IP protocol 22, to one peer; packets come from anybody, as in BSD. The port is a raw IP socket."""

    def __init__(self, peer: str) -> None:
        ip_bytes(peer, 4)  # ValueError where it is no address
        self.peer = peer

    def wrap(self, packet: Packet, host: int) -> bytes:
        """Return the IP packet; the kernel fills in its source."""
        return bytes(IPv4(dst=self.peer, protocol=IP_PROTOCOL) / bytes(packet))

    def unwrap(self, data: bytes) -> bytes | None:
        """Return the packet, after the IP header and its options."""
        return trimmed(data, (data[0] & 15) * 4) if data else None


class BareFraming(Framing):
    """Nothing around the packet: the port knows where it goes."""

    def wrap(self, packet: Packet, host: int) -> bytes:
        return bytes(packet)

    def unwrap(self, data: bytes) -> bytes | None:
        return trimmed(data, 0)


def trimmed(data: bytes, start: int) -> bytes:
    """Return the packet at `start`: as many bytes as its length says, made even (ns_input.c)."""
    length = int.from_bytes(data[start + 2 : start + 4], "big")
    return data[start : start + length + (length & 1)]


class UDPPort(SocketPort):
    """Sends to one UDP peer and receives from it.

    Args:
        local, peer: (IPv4 address, port). opener: makes the socket (a lab opens it inside its host).
    """

    linktype = 147  # LINKTYPE_USER0: IDP has no number of its own

    def __init__(self, local: tuple[str, int], peer: tuple[str, int], opener: Opener = _socket.socket) -> None:
        self.name = f"UDP {local[0]}:{local[1]} to {peer[0]}:{peer[1]}"
        self._waits = Waits(self.name)
        self._socket = opener(_socket.AF_INET, _socket.SOCK_DGRAM, 0)
        try:
            self._socket.bind(local)
            self._socket.connect(peer)
        except OSError as error:
            self._socket.close()
            raise OSError(error.errno, f"{self.name}: {error.strerror}") from None

    def _hand_over(self, data: bytes, gone: list[int]) -> None:
        try:
            super()._hand_over(data, gone)
        except ConnectionRefusedError:  # about an earlier datagram: the peer is not there yet, or no longer
            with suppress(ConnectionRefusedError):
                super()._hand_over(data, gone)


class Written(NamedTuple):
    """A frame on its way to a hub, how many bytes each call wrote of it, and the thread that sends it."""

    frame: bytes
    parts: list[int]
    thread: int


class NetHubPort(SocketPort):
    """A place at a NetHub: what one member sends goes to all the others.

    A forked child leaves the line to its parent, half frames and all: sending there, and receiving once something comes, is an
    OSError (EBADF).

    Raises:
        OSError: there is no hub. ConnectionError, from sending and receiving: the hub is gone, or broke the framing; from
        sending alone, for good: it took nothing for ten seconds.
    """

    def __init__(self, address: tuple[str, int] = ("127.0.0.1", NETHUB_PORT), opener: Opener = _socket.socket) -> None:
        self.name = f"NetHub {address[0]}:{address[1]}"
        self._socket = opener(_socket.AF_INET, _socket.SOCK_STREAM, 0)
        try:
            self._socket.settimeout(PATIENCE)
            self._socket.connect(address)
            self._socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            self._socket.settimeout(0.0)
        except OSError as error:
            self._socket.close()
            raise OSError(error.errno, f"{self.name}: {error.strerror or error}") from None
        self._waits, self._process = Waits(self.name), getpid()
        self._buffer = bytearray()  # what was read of the line and not yet received
        self._lines = deque[Written]()  # what is being written, and what handlers of signals send meanwhile
        self._writing, self._moved = False, 0  # whether its turn's owner writes; how often something was written
        self._broken = self._stuck = ""  # what is wrong with the line, and with sending alone

    def _put(self, data: bytes, gone: list[int]) -> bool:
        if self._enter(data) is None:
            return False
        gone.append(len(data))
        return True

    def _enter(self, data: bytes) -> Written | None:
        """Put a frame on the line, as far as there is room; None where the one before is not written yet."""
        if len(data) > NETHUB_LARGEST:
            # The hub would close the line.
            raise OSError(f"{self.name}: a frame of {len(data)} bytes, and a hub takes {NETHUB_LARGEST}")
        with self._waits.turn:
            self._waits.check()
            self._need_own()
            if self._broken or self._stuck:
                raise ConnectionError(self._broken or self._stuck)
            self._write()
            if self._lines and not self._writing:  # a signal's handler writes after what it interrupts
                return None
            frame = Written(len(data).to_bytes(2, "big") + data, [], get_ident())
            self._lines.append(frame)
            self._write()
            return frame

    def _write(self) -> None:
        """Write what the line has room for. Half a frame stays on it: the hub would take the next for its rest."""
        with self._waits.turn:
            if self._writing or self._process != getpid():
                return
            try:
                self._writing = True
                while self._lines:
                    frame, parts, _ = self._lines[0]
                    while rest := frame[sum(parts) :]:
                        if self._process != getpid():  # forked by a signal's handler just now
                            return
                        # One call, so that no interrupt comes between what is written and the note of it.
                        parts.extend(map(self._socket.send, (rest,), (_socket.MSG_DONTWAIT,)))
                        self._moved += 1
                    self._lines.popleft()
            except BlockingIOError:
                pass
            except OSError as error:
                self._waits.check()
                raise ConnectionError(f"{self.name}: {error.strerror or error}") from None
            finally:
                self._writing = False

    @property
    def mask(self) -> int:
        """What its descriptor is waited for."""
        return super().mask | (select.POLLOUT if self._owes else 0)

    @property
    def _owes(self) -> bool:
        """Whether there is something to be written; in a forked child it is the parent that writes it."""
        return bool(self._lines) and self._process == getpid()

    def _send_unless(self, data: bytes, stop: Stop | None) -> bool:
        mine, moved, end = None, -1, 0.0
        while True:
            self._need_own()
            mine = mine or self._enter(data)
            with self._waits.turn:
                self._write()
                # What a handler sent in the midst of it goes before it returns, too.
                if mine is not None and (self._writing or all(one.thread != mine.thread for one in [*self._lines])):
                    return True
            if stop is not None and stop.is_set():
                return not self._withdrawn(mine)
            if moved != self._moved:
                moved, end = self._moved, time.monotonic() + PATIENCE
            left = end - time.monotonic()
            if left <= 0:
                self._withdrawn(mine)
                self._stuck = f"{self.name}: the hub takes nothing (open another port when it does; this one sends no more)"
                raise ConnectionError(self._stuck)
            self._waits.ready(self.fileno(), select.POLLOUT, left if stop is None else min(left, AT_ONCE))

    def _withdrawn(self, frame: Written | None) -> bool:
        """Take a frame from the line, if nothing of it is written; return whether that is so."""
        with self._waits.turn:
            if frame is not None and not frame.parts and frame in self._lines:
                self._lines.remove(frame)
                return True
            return frame is None

    def take(self) -> list[bytes]:
        """Return the frames that have come, without waiting."""
        taken = self._take_kept()
        try:
            # What has been read is not left there: the descriptor does not tell of it any more.
            while (data := self._next(read=len(taken) < BATCH)) is not None:
                taken.append(data)
            self._write_on()
        except ConnectionError:
            if not taken:  # it is raised again after these
                raise
        return taken

    def _write_on(self) -> None:
        if self._lines:
            with suppress(ConnectionError):  # what came before the line broke is read first, and then that it did
                self._write()

    def _receive(self, timeout: float | None) -> Frame | None:
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if until is None else until - time.monotonic()  # before it looks: it may stand still after
            if (data := self._next()) is not None:
                return Frame(data, time.time_ns(), interface=InterfaceDescription(1, 0, self.name))
            if left is not None and left <= 0:
                return None
            self._write_on()
            self._waits.ready(self._socket.fileno(), select.POLLIN | (select.POLLOUT if self._owes else 0), left)

    def _room(self) -> tuple[int, int]:
        try:
            unread = int.from_bytes(fcntl.ioctl(self._socket, termios.FIONREAD, bytes(4)), byteorder)
        except (OSError, ValueError):  # it is closed, which receiving says
            unread = 0
        return (len(self._buffer) + unread) // (2 + SHORTEST) + 1, HUGE

    def _next(self, read: bool = True) -> bytes | None:
        """Return the next whole frame, None where none has come. What is wrong is reported after the frames before it.

        If not `read`, of what has been read before.
        """
        with self._waits.turn:  # a line has one order, whoever reads it
            self._waits.check()
            if self._process != getpid():
                with suppress(BlockingIOError):
                    self._socket.recv(1, _socket.MSG_DONTWAIT | _socket.MSG_PEEK)
                    self._need_own()
                return None
            while (data := self._whole()) is None and not self._broken and read:
                size = len(self._buffer)
                try:
                    # One call, so that no interrupt comes between what is read and the bytes before it.
                    reduce(iconcat, map(self._socket.recv, (LARGEST,), (_socket.MSG_DONTWAIT,)), self._buffer)
                except BlockingIOError:
                    return None
                except OSError as error:
                    self._waits.check()
                    self._broken = f"{self.name}: {error.strerror or error}"
                else:
                    if len(self._buffer) == size:
                        self._broken = f"{self.name}: the hub closed the line"
            if data is None and self._broken:
                raise ConnectionError(self._broken)
            return data

    def _need_own(self) -> None:
        if self._process != getpid():
            raise of_parent(self.name, "a line", "open another port")

    def _whole(self) -> bytes | None:
        if len(self._buffer) < 2:
            return None
        size = int.from_bytes(self._buffer[:2], "big")
        if not SHORTEST <= size <= NETHUB_LARGEST:
            expected = f"expected a frame of {SHORTEST} to {NETHUB_LARGEST} bytes, got {size}"
            self._broken = self._broken or f"{self.name}: {expected}"
            with suppress(OSError):
                self._socket.shutdown(_socket.SHUT_RD)  # so that the descriptor tells of it
        elif len(self._buffer) >= 2 + size:
            data = bytes(self._buffer[2 : 2 + size])
            del self._buffer[: 2 + size]
            return data
        return None

