"""Interface: a network interface of the kernel, by a raw packet socket (packet(7))."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import socket as _socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from packetlab.capture import Frame, Interface as Description
from packetlab.errors import NeedsPrivilege, PacketlabError
from packetlab.link.port import Port

if TYPE_CHECKING:
    from packetlab.capture.bpf import PcapFilter

EVERY_PROTOCOL = 0x0003  # ETH_P_ALL
SOL_PACKET, AUXDATA, STATISTICS, ADD_MEMBERSHIP, PROMISCUOUS, IGNORE_OUTGOING = 263, 8, 6, 1, 1, 23
TIMESTAMP_NS = 35  # SO_TIMESTAMPNS, and the type of the message that brings it
OUTGOING = 4  # PACKET_OUTGOING: a copy of what this machine sends
VLAN_VALID, VLAN_TPID_VALID = 0x10, 0x40
ETHERNET_LIKE = (1, 772)  # ARPHRD_ETHER, ARPHRD_LOOPBACK
LARGEST = 262144
BATCH = 512


class Statistics(NamedTuple):
    """Frames that arrived since the last look, and those lost because nobody fetched them in time."""

    received: int
    dropped: int


class Interface(Port):
    """An interface named in so many words: nothing is ever sent on one that was not.

    Args:
        name: of the interface, "eth0". promiscuous: take frames for others too.
        outgoing: also receive what this machine sends. protocol: receive frames of this Ethernet type alone.
        filter: receive what passes alone, in the words of tcpdump: "udp port 53" (see `filter`).
        socket: a packet socket to use (a lab opens them inside its hosts).

    Raises:
        NeedsPrivilege: without CAP_NET_RAW. PacketlabError: no such interface. BuildError: libpcap refuses the filter.
    """

    def __init__(
        self, name: str, *, promiscuous: bool = False, outgoing: bool = False, protocol: int = EVERY_PROTOCOL,
        filter: str | None = None, socket: _socket.socket | None = None,
    ) -> None:  # fmt: skip
        self.name, self.outgoing = name, outgoing
        try:
            self._socket = socket or _socket.socket(_socket.AF_PACKET, _socket.SOCK_RAW, 0)
        except PermissionError as error:
            raise NeedsPrivilege(
                f"Interface({name!r})", "the capability CAP_NET_RAW", error.strerror,
                "run as root or `setcap cap_net_raw+ep` the interpreter; a Lab() needs none",
            ) from None  # fmt: skip
        try:
            self._socket.setsockopt(_socket.SOL_SOCKET, TIMESTAMP_NS, 1)
            self._socket.setsockopt(SOL_PACKET, AUXDATA, 1)
            self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, 1 << 24)
            if not outgoing:
                # Since Linux 4.20; _receive sorts out what older kernels still bring.
                with suppress(OSError):
                    self._socket.setsockopt(SOL_PACKET, IGNORE_OUTGOING, 1)
            self._socket.bind((name, protocol))
        except OSError as error:
            self._socket.close()
            if error.errno == errno.ENODEV:
                names = ", ".join(found for _, found in _socket.if_nameindex())
                raise PacketlabError(f"Interface({name!r})", f"one of {names}", "no such interface") from None
            raise
        index, hardware = self._index(), self._socket.getsockname()[3]
        self.linktype = 1 if hardware in ETHERNET_LIKE else 101
        self._description = Description(self.linktype, 0, name)
        if promiscuous:
            member = struct.pack("iHH8s", index, PROMISCUOUS, 0, b"")
            self._socket.setsockopt(SOL_PACKET, ADD_MEMBERSHIP, member)
        self._buffer = bytearray(LARGEST)
        self._batch: _Batch | None = None
        self._passes: PcapFilter | None = None  # where the kernel cannot filter
        if filter is not None:
            try:
                self.filter(filter)
            except Exception:
                self._socket.close()
                raise

    def filter(self, expression: str | None) -> None:
        """Receive only what passes a filter in the words of tcpdump from now on, None for all; frames not fetched are lost.

        The kernel does it, so that nothing is spent on the rest. BuildError: libpcap refuses the expression.
        """
        from packetlab.link.kernel_filter import filter_socket

        self._passes = filter_socket(self._socket, expression, self.linktype)

    def _index(self) -> int:
        import fcntl

        request = struct.pack("16s24x", self.name.encode())
        return int(struct.unpack_from("i", fcntl.ioctl(self._socket, 0x8933, request), 16)[0])  # SIOCGIFINDEX

    def fileno(self) -> int:
        """The descriptor, for select and poll."""
        return self._socket.fileno()

    def _send(self, data: bytes) -> None:
        while True:
            try:
                self._socket.send(data)
                return
            except OSError as error:
                if error.errno == errno.ENOBUFS:  # the queue is full: wait until it drains
                    select.select([], [self._socket], [], 0.01)
                elif error.errno == errno.EMSGSIZE:
                    raise OSError(
                        errno.EMSGSIZE, f"{self.name}: a frame of {len(data)} bytes is longer than its MTU allows"
                    ) from None
                else:
                    raise OSError(error.errno, f"{self.name}: {error.strerror}") from None

    def send_batch(self, frames: Sequence[bytes]) -> int:
        """Hand frames to the kernel by sendmmsg(2), many a call; return how many it took.

        It stops before a frame that the kernel refuses; sending that one alone raises the reason.
        """
        if self._batch is None:
            self._batch = _Batch()
        return self._batch.put(self._socket.fileno(), frames)

    def take(self) -> list[bytes]:
        """Return the frames that have come, without waiting and without their times (VLAN tags of the kernel are not put back)."""
        if self._passes is not None:
            return super().take()
        taken: list[bytes] = []
        receive, buffer, view = self._socket.recvfrom_into, self._buffer, memoryview(self._buffer)
        try:
            while len(taken) < BATCH:
                size, address = receive(buffer, 0, _socket.MSG_DONTWAIT)
                if address[2] != OUTGOING or self.outgoing:
                    taken.append(view[:size].tobytes())
        except BlockingIOError:
            pass
        return taken

    def _receive(self, timeout: float | None) -> Frame | None:
        ready = select.poll()
        ready.register(self._socket, select.POLLIN)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            if not ready.poll(None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000):
                return None
            size, messages, _, address = self._socket.recvmsg_into([self._buffer], 256, _socket.MSG_TRUNC)
            if address[2] == OUTGOING and not self.outgoing:
                continue
            frame = self._frame(size, messages)
            if self._passes is None or self._passes(frame):
                return frame

    def _frame(self, size: int, messages: list[tuple[int, int, bytes]]) -> Frame:
        data = bytes(memoryview(self._buffer)[: min(size, LARGEST)])
        time_ns = 0
        for level, kind, value in messages:
            if level == _socket.SOL_SOCKET and kind == TIMESTAMP_NS:
                seconds, fraction = struct.unpack("qq", value[:16])
                time_ns = seconds * 1_000_000_000 + fraction
            elif level == SOL_PACKET and kind == AUXDATA:
                status, _, _, _, _, tag, protocol = struct.unpack("IIIHHHH", value[:20])
                if status & VLAN_VALID:
                    # The kernel takes the tag out of the frame; it belongs there.
                    kind_of_tag = protocol if status & VLAN_TPID_VALID else 0x8100
                    data = data[:12] + struct.pack(">HH", kind_of_tag, tag) + data[12:]
                    size += 4
        return Frame(data, time_ns, wire_length=size, interface=self._description)

    def statistics(self) -> Statistics:
        """Return the counts since the last call, and set them back (packet(7), PACKET_STATISTICS)."""
        received, dropped = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, STATISTICS, 8))
        return Statistics(received - dropped, dropped)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("size", ctypes.c_size_t))


class _Header(ctypes.Structure):
    # struct msghdr
    _fields_ = (
        ("name", ctypes.c_void_p), ("name_size", ctypes.c_uint32),
        ("vector", ctypes.POINTER(_Vector)), ("vectors", ctypes.c_size_t),
        ("control", ctypes.c_void_p), ("control_size", ctypes.c_size_t), ("flags", ctypes.c_int),
    )  # fmt: skip


class _Message(ctypes.Structure):
    # struct mmsghdr
    _fields_ = (("header", _Header), ("sent", ctypes.c_uint))


class _Batch:
    """The arrays that sendmmsg(2) takes, made once."""

    def __init__(self) -> None:
        self.send = ctypes.CDLL(None, use_errno=True).sendmmsg
        self.vectors, self.messages = (_Vector * BATCH)(), (_Message * BATCH)()
        for message, vector in zip(self.messages, self.vectors, strict=True):
            message.header.vector = ctypes.pointer(vector)
            message.header.vectors = 1

    def put(self, descriptor: int, frames: Sequence[bytes]) -> int:
        done = 0
        for first in range(0, len(frames), BATCH):
            chunk = frames[first : first + BATCH]
            for vector, frame in zip(self.vectors, chunk, strict=False):
                vector.base = frame  # the kernel reads from the frame's own bytes
                vector.size = len(frame)
            at = 0
            while at < len(chunk):
                sent = self.send(descriptor, ctypes.byref(self.messages, at * SIZE), len(chunk) - at, 0)
                if sent > 0:
                    at += sent
                elif ctypes.get_errno() in (errno.ENOBUFS, errno.EAGAIN, errno.EINTR):
                    select.select([], [descriptor], [], 0.01)
                else:
                    return done + at
            done += len(chunk)
        return done


SIZE = ctypes.sizeof(_Message)


def interfaces() -> list[str]:
    """Return the names of this machine's interfaces."""
    return [name for _, name in _socket.if_nameindex()] if os.name == "posix" else []
