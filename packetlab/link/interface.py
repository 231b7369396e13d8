"""Interface: a network interface of the kernel, by a raw packet socket (packet(7))."""

from __future__ import annotations

import errno
import os
import select
import socket as _socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from packetlab.capture import Frame, InterfaceDescription
from packetlab.errors import NeedsPrivilege, PacketlabError, suggestion
from packetlab.link.port import BATCH
from packetlab.link.socket_port import SocketPort
from packetlab.link.waits import AT_ONCE, Stop, Waits
from packetlab.renamed import old_names, renamed_arguments

if TYPE_CHECKING:
    from packetlab.bulk.batch import Batch
    from packetlab.capture.filters.bpf import PcapFilter
    from packetlab.link.ring import Ring, RingSwitch

EVERY_PROTOCOL = 0x0003  # ETH_P_ALL
SOL_PACKET, AUXDATA, STATISTICS, ADD_MEMBERSHIP, PROMISCUOUS, IGNORE_OUTGOING = 263, 8, 6, 1, 1, 23
TIMESTAMP_NS = 35  # SO_TIMESTAMPNS, and the type of the message that brings it
OUTGOING = 4  # PACKET_OUTGOING: a copy of what this machine sends
VLAN_VALID, VLAN_TPID_VALID = 0x10, 0x40
ETHERNET_LIKE = (1, 772)  # ARPHRD_ETHER, ARPHRD_LOOPBACK
IF_FILTER = 11  # the option of pcapng that has the filter's words
LARGEST = 262144


class ReceiveStatistics(NamedTuple):
    """Frames that arrived since the last look, and those lost because nobody fetched them in time."""

    received: int
    dropped: int


class Interface(SocketPort):
    """An interface that is named: nothing is ever sent on one that was not.

    Args:
        name: of the interface, "eth0". promiscuous: take frames for others too.
        outgoing: also receive what this machine sends. protocol: receive frames of this Ethernet type alone.
        filter: receive what passes alone, in the words of tcpdump: "udp port 53" (see `filter`).
        socket: a packet socket to use (a lab opens them inside its hosts).

    Raises:
        NeedsPrivilege: without CAP_NET_RAW. PacketlabError: no such interface. BuildError: libpcap refuses the filter.
    """

    parallel = True

    def __init__(
        self, name: str, *, promiscuous: bool = False, outgoing: bool = False, protocol: int = EVERY_PROTOCOL,
        filter: str | None = None, socket: _socket.socket | None = None,
    ) -> None:  # fmt: skip
        self.name, self.outgoing = name, outgoing
        if socket is None:
            _known(name)  # before anything is said of privileges
        self._waits = Waits(name)
        self._switch: RingSwitch | None = None
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
            raise OSError(error.errno, f"{name}: {error.strerror or error}") from None
        index, hardware = self._index(), self._socket.getsockname()[3]
        self.linktype = 1 if hardware in ETHERNET_LIKE else 101
        self._description = InterfaceDescription(self.linktype, 0, name)
        if promiscuous:
            member = struct.pack("iHH8s", index, PROMISCUOUS, 0, b"")
            self._socket.setsockopt(SOL_PACKET, ADD_MEMBERSHIP, member)
        self._buffers = [
            bytearray(LARGEST)
        ]  # who receives takes one out: another thread, or a signal's handler, makes its own
        self._vectors = threading.local()
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

        try:
            with self._waits.using():
                self._passes = filter_socket(self._socket, expression, self.linktype)
        except OSError:
            self._waits.check()
            raise
        self._kept.clear()
        said = () if expression is None else ((IF_FILTER, b"\0" + expression.encode()),)
        self._description = self._description._replace(options=said)

    def _index(self) -> int:
        import fcntl

        request = struct.pack("16s24x", self.name.encode())
        return int(struct.unpack_from("i", fcntl.ioctl(self._socket, 0x8933, request), 16)[0])  # SIOCGIFINDEX

    def _send_batch(self, batch: Batch, stop: Stop | None) -> tuple[int, dict[int, str]]:
        """Hand the frames of a batch to the kernel, a thousand a call."""
        from packetlab.link.replay.vectors import Vectors

        vectors = getattr(self._vectors, "room", None) or Vectors()
        self._vectors.room = vectors
        with self._waits.using() as wake:
            rows, failed = vectors.send(self._socket.fileno(), batch, self._waits.check, wake, stop)
        return rows, {row: str(self._refusal(number, int(batch.sizes[row])).strerror) for row, number in failed.items()}

    def _refusal(self, number: int, size: int, error: object = None) -> OSError:
        if number == errno.EMSGSIZE:
            return OSError(number, f"{self.name}: a frame of {size} bytes is longer than its MTU allows")
        return OSError(number, f"{self.name}: {os.strerror(number)}")

    def take(self) -> list[bytes]:
        """Return the frames that have come, without waiting and without their times (VLAN tags of the kernel are not put back)."""
        if self._passes is not None or self._kept or self._trouble is not None:
            return super().take()
        taken: list[bytes] = []
        receive, buffer = self._socket.recvfrom_into, self._spare()
        view = memoryview(buffer)
        try:
            for _ in range(BATCH):
                size, address = receive(buffer, 0, _socket.MSG_DONTWAIT)
                if address[2] != OUTGOING or self.outgoing:
                    taken.append(view[:size].tobytes())
        except BlockingIOError:
            self._hears()
        except OSError as error:
            self._waits.check()
            self._trouble = self._refusal(error.errno or 0, 0)  # what came before is looked at first
            if not taken:
                self._complain()
        finally:
            self._buffers.append(buffer)
        return taken

    def _spare(self) -> bytearray:
        try:
            return self._buffers.pop()
        except IndexError:
            return bytearray(LARGEST)

    def _receive(self, timeout: float | None) -> Frame | None:
        deadline = None if timeout is None else self._now() + int(timeout * 1e9)
        most: int | None = None
        while True:
            # Before it looks: it may stand still after.
            left = None if deadline is None else (deadline - self._now()) / 1e9
            buffer = self._spare()
            try:
                size, messages, _, address = self._socket.recvmsg_into(
                    [buffer], 256, _socket.MSG_TRUNC | _socket.MSG_DONTWAIT
                )
                frame = self._frame(buffer, size, messages)
            except BlockingIOError:
                hears = self._hears()
                if left is not None and left <= 0:
                    return None
                if self._gone():  # the kernel tells one thread alone
                    raise self._refusal(errno.ENETDOWN, 0) from None
                if not hears:  # a ring's frames are not this one's: it looks again soon
                    left = AT_ONCE if left is None else min(left, AT_ONCE)
                self._waits.ready(self.fileno(), select.POLLIN if hears else 0, left)
                continue
            except OSError as error:
                self._waits.check()
                raise self._refusal(error.errno or 0, 0) from None
            finally:
                self._buffers.append(buffer)
            wanted = (address[2] != OUTGOING or self.outgoing) and self._mine(frame.data)
            if wanted and (self._passes is None or self._passes(frame)):
                return frame
            self._passed += 1
            if left is not None and left <= 0:
                most = self._passed + self._room()[0] if most is None else most
                if self._passed >= most:  # of frames that do not pass there may be no end
                    return None

    def _gone(self) -> bool:
        """Whether the interface does not exist any more."""
        try:
            gone = not self._socket.getsockname()[0]
        except OSError:
            gone = True
        self._waits.check()  # a closed socket has no name either
        return gone

    def _mine(self, data: bytes) -> bool:
        """Whether a frame is for this port."""
        return True

    def _frame(self, buffer: bytearray, size: int, messages: list[tuple[int, int, bytes]]) -> Frame:
        data = bytes(memoryview(buffer)[: min(size, LARGEST)])
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

    @renamed_arguments(octets="buffer_bytes")
    def ring(self, buffer_bytes: int = 64 << 20) -> Ring:
        """Receive in batches, for rates that one call a frame cannot follow: ``with port.ring() as ring: ring.batches()``.

        From now on until the ring is closed all frames go into it; `buffer_bytes` are held while nobody takes them. Frames that
        lie in the port unread are lost.
        """
        from packetlab.link.ring import Ring, RingSwitch

        with self._waits.using():
            with self._waits.turn:
                if self._switch is None:
                    self._switch = RingSwitch(self._socket, self.name, self._waits)
            ring = Ring(self._switch, self._description, buffer_bytes, self.outgoing, self._passes)
            ring.port = self
            return ring

    def _hears(self) -> bool:
        """Return whether frames come to the port itself, and not into a ring."""
        return self._switch is None or self._switch.turn_off()

    def statistics(self) -> ReceiveStatistics:
        """Return the counts since the last call, and set them back (packet(7), PACKET_STATISTICS)."""
        try:
            received, dropped = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, STATISTICS, 8))
        except OSError as error:
            self._waits.check()
            raise self._refusal(error.errno or 0, 0) from None
        return ReceiveStatistics(received - dropped, dropped)

    def close(self) -> None:
        """Stop listening. A thread waiting for a frame gets an OSError that says so."""
        self._waits.close()
        if self._switch is not None:
            self._switch.close()
        self._socket.close()


def _known(name: str) -> None:
    names = interfaces()
    if name not in names:
        hint = suggestion(name, names)
        raise PacketlabError(f"Interface({name!r})", f"one of {', '.join(names)}", "no such interface", hint)


def interfaces() -> list[str]:
    """Return the names of this machine's interfaces."""
    return [name for _, name in _socket.if_nameindex()] if os.name == "posix" else []


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
