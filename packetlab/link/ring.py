"""Ring: frames that the kernel puts into memory shared with it (packet(7); packet_mmap.rst, TPACKET_V3).

Owns the shared memory of one packet socket. The kernel fills blocks with frames of any length, one after the other, and
hands over each block that is full, or some time after its first frame. A frame costs the reader no call, and the ring holds
what comes while the reader is busy. The arrays here are the kernel's, so this works for sockets opened anywhere.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import select
import socket
import struct
import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import numpy as np

from packetlab.capture.batch import FrameBatch
from packetlab.capture.frame import InterfaceDescription
from packetlab.engine.contract import nanoseconds
from packetlab.escaping import printable
from packetlab.link.waits import AT_ONCE, PATIENCE, Stop, Waits
from packetlab.renamed import renamed_arguments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from packetlab.capture.filters.bpf import PcapFilter

SOL_PACKET, RX_RING, VERSION = 263, 5, 10
TPACKET_V3 = 2
MAP_FIXED, MAP_NORESERVE = 0x10, 0x4000
BLOCK = 1 << 17  # bytes; longer frames than a block has room for are cut
MOST = 16  # blocks that are taken at once
FULL_AFTER_MS = 20  # a block with frames is handed over so much later at the latest, however few they are
FOR_USER = 1  # block status: TP_STATUS_USER
STATUS, COUNT, FIRST = 8, 12, 16  # where the numbers of a block stand (struct tpacket_hdr_v1)
VLAN_VALID, TPID_VALID, OUTGOING = 0x10, 0x40, 4

HEAD = np.dtype(
    {  # struct tpacket3_hdr, and the type of packet in the struct sockaddr_ll after it
        "names": ["next", "seconds", "fraction", "size", "wire", "status", "at", "tag", "kind_of_tag", "direction"],
        "formats": ["u4", "u4", "u4", "u4", "u4", "u4", "u2", "u4", "u2", "u1"],
        "offsets": [0, 4, 8, 12, 16, 20, 24, 32, 36, 58],
        "itemsize": 68,
    }
)


class _Taken:
    """Blocks that were taken at a time: they are out for as long as this is known to who took them."""

    numbers = range(0)


class Ring:
    """Receives in batches. While it is open, frames come to it alone; use it in a `with`. In a forked child it is closed.

    There, batches that are not `lasting` are all zeros.

    Args:
        sock: a packet socket that is bound. description: of the interface. bytes: how much it holds.
        outgoing: whether to keep what this machine sent. passes: a filter that the kernel cannot do.

    Attributes:
        name: of the interface. description: the same as frames have it. received: frames taken so far.
    """

    @renamed_arguments(octets="buffer_bytes")
    def __init__(
        self,
        sock: socket.socket,
        description: InterfaceDescription,
        buffer_bytes: int,
        outgoing: bool,
        passes: PcapFilter | None,
    ) -> None:
        self.name, self.description = description.name, description
        self._socket, self._outgoing, self._passes = sock, outgoing, passes
        self._blocks = max(2, buffer_bytes // BLOCK)
        # Blocks that were taken, until they are the kernel's again; with which others.
        self._out: dict[int, weakref.ref[_Taken]] = {}
        self._surplus: deque[tuple[FrameBatch, int]] = deque()  # what was taken beyond a `count`, and where that begins
        self._waits = Waits(f"ring of {self.name}")
        self._next = 0
        self.received = 0
        self._shared: tuple[mmap.mmap, memoryview] | None = None
        self._memory: weakref.ref[mmap.mmap] | None = None
        self._off, self._process = False, os.getpid()
        self._last: weakref.finalize[..., mmap.mmap] | None = None
        self._inode = os.fstat(sock.fileno()).st_ino
        request = struct.pack("7I", BLOCK, self._blocks, 2048, self._blocks * (BLOCK // 2048), FULL_AFTER_MS, 0, 0)
        memory: mmap.mmap | None = None
        try:
            self._made(sock, request)
            _inodes.add(self._inode)
            _open.add(self)
            memory = mmap.mmap(sock.fileno(), self._blocks * BLOCK)
            self._memory = weakref.ref(memory)
            self._shared = memory, memoryview(memory).cast("I")
            if os.getpid() != self._process:  # a signal's handler forked meanwhile, and this is the child
                raise self._waits.misuse()
        except BaseException:  # there is no room for it, or an interrupt
            memory = None
            self.close()
            raise

    def _made(self, sock: socket.socket, request: bytes) -> None:
        try:
            sock.setsockopt(SOL_PACKET, VERSION, TPACKET_V3)
            sock.setsockopt(SOL_PACKET, RX_RING, request)
        except OSError as error:
            self._off = True  # there is none to turn off
            busy = "; an earlier ring is open, or its memory in use" if error.errno == errno.EBUSY else ""
            raise OSError(error.errno, f"ring of {self.name}: {error.strerror}{busy}") from None

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._waits.closed

    def batches(
        self, timeout: float | None = None, count: int | None = None, stop: Stop | None = None, lasting: bool = True
    ) -> Iterator[FrameBatch]:
        """Yield frames as they come, in batches: `count` of them at most, for `timeout` seconds at most, until `stop`.

        Of what is in the ring at the end nothing is left there; for what is in a block that the kernel still fills that
        takes some 20 ms more.

        Args:
            stop: a `threading.Event`: ends it when set, within a fifth of a second.
            lasting: if not, the memory of a batch is the kernel's again when the next is requested, and nothing is copied.

        Raises:
            OSError: the ring or its interface was closed, by another thread too; or the interface is gone.
        """
        until = None if timeout is None else time.monotonic_ns() + nanoseconds(timeout, f"ring of {self.name}: timeout")
        left = count
        more = self._blocks  # that are taken after the end
        late: float | None = None  # until when the kernel has time then to hand over what it fills
        while (left is None or left > 0) and more > 0:
            wait = None if until is None else max(0.0, (until - time.monotonic_ns()) / 1e9)
            ended = wait == 0 or (stop is not None and stop.is_set())
            blocks = _Taken()
            try:
                rest = self._rest()
                if rest is None and (taken := self._take(more if ended else MOST, blocks)) is not None:
                    raw, places = taken
                    del taken
                    more -= len(blocks.numbers) if ended else 0
                    if lasting or (left is not None and len(places) > left):
                        raw = raw.copy()
                        self._give_back(blocks)
                    rest = self._batch(raw, places), 0
                    del raw
                if rest is not None:
                    batch = self._first(*rest, left)
                    del rest
                    left = None if left is None else left - len(batch)
                    if len(batch):
                        yield batch
                    del batch  # the memory can be unmapped while nothing comes
                    continue
            finally:  # also where an interrupt comes
                self._give_back(blocks)
            if ended:
                now = time.monotonic()
                late = now + AT_ONCE if late is None else late
                if late <= now or not self._filling():
                    return
                wait = late - now
            elif stop is not None:
                wait = AT_ONCE if wait is None else min(wait, AT_ONCE)
            if self._waits.ready(self._socket.fileno(), select.POLLIN | select.POLLERR, wait):
                trouble = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if trouble:
                    raise OSError(trouble, f"{self.name}: {os.strerror(trouble)}")
                if self._out:  # which another thread has still to give back: the kernel tells of these too
                    time.sleep(0.001)

    def _first(self, batch: FrameBatch, start: int, most: int | None) -> FrameBatch:
        """Return the frames of a batch from `start`, `most` at most; those after them are for who asks next."""
        end = len(batch) if most is None else min(len(batch), start + most)
        if end < len(batch):
            with self._mapped():  # which it is not where it was closed meanwhile
                self._surplus.appendleft((batch, end))
        return batch if end - start == len(batch) else batch.chosen(range(start, end))

    def _rest(self) -> tuple[FrameBatch, int] | None:
        with self._mapped():
            return self._surplus.popleft() if self._surplus else None

    def _take(self, most: int, blocks: _Taken) -> tuple[NDArray[np.uint8], list[int]] | None:
        """Take the next blocks that are ready, `most` at most; return their memory and where frames begin in it, None for none."""
        with self._mapped() as (memory, words):
            for block in [block for block, taken in self._out.items() if taken() is None]:
                self._free(words, block)  # an interrupt came before they were given back
            first, base = self._next, self._next * BLOCK
            places: list[int] = []
            add = places.append
            end, block = base, first
            while block < min(first + most, first + MOST, self._blocks):
                start = block * BLOCK
                status, count, at, size = words[(start + STATUS) // 4 : (start + STATUS) // 4 + 4]
                if not status & FOR_USER or block in self._out:
                    break
                at += start - base
                for _ in range(count):
                    add(at)
                    at += words[(base + at) // 4]
                end = start + size
                block += 1
            if block == first:
                return None
            raw = np.frombuffer(memory, np.uint8, end - base, base)
            out = dict.fromkeys(range(first, block), weakref.ref(blocks))
            blocks.numbers = range(first, block)
            self._next = block % self._blocks  # no interrupt comes between this and the next
            self._out.update(out)
            return raw, places

    def _filling(self) -> bool:
        """Whether the kernel has put frames into a block that it has not handed over yet."""
        with self._mapped() as (_, words):
            return words[(self._next * BLOCK + COUNT) // 4] > 0

    def _give_back(self, blocks: _Taken) -> None:
        """Let the kernel fill blocks again, those that are still out."""
        with suppress(OSError), self._mapped() as (_, words):  # if it is closed they are the kernel's already
            for block in blocks.numbers:
                if block in self._out and self._out[block]() is blocks:
                    self._free(words, block)

    def _free(self, words: memoryview, block: int) -> None:
        words[(block * BLOCK + COUNT) // 4] = 0  # until the kernel counts anew
        words[(block * BLOCK + STATUS) // 4] = 0  # no interrupt comes between this and the next
        self._out.pop(block)

    @contextmanager
    def _mapped(self) -> Iterator[tuple[mmap.mmap, memoryview]]:
        """Give the shared memory, by bytes and by words, to one thread at a time; OSError where it is closed."""
        with self._waits.turn:
            shared = self._shared
            if shared is None:
                raise self._waits.misuse()
            yield shared

    def _batch(self, raw: NDArray[np.uint8], places: list[int]) -> FrameBatch:
        rows = np.array(places, np.int64)
        heads = np.ndarray((len(raw) - HEAD.itemsize + 1,), HEAD, raw, 0, (1,))[rows]
        if not self._outgoing:
            theirs = heads["direction"] != OUTGOING
            if not theirs.all():
                rows, heads = rows[theirs], heads[theirs]
        starts, sizes, wire = rows + heads["at"], heads["size"].astype(np.int64), heads["wire"].astype(np.int64)
        tagged = np.flatnonzero(heads["status"] & VLAN_VALID)
        if len(tagged):
            _put_back(raw, starts, sizes, wire, heads, tagged)
        times = heads["seconds"].astype(np.int64) * 1_000_000_000 + heads["fraction"]
        batch = FrameBatch(raw, starts, sizes, times, wire, (self.description,), None, self.received + 1)
        if self._passes is not None:
            batch = batch.chosen(self._passes.mask(batch))
        self.received += len(batch)
        return batch

    def close(self) -> None:
        """Give the memory back. Frames that were not taken are lost; the socket is as it was before.

        A batch that is not `lasting` keeps the memory, and the socket in its state, until it is not used any more. So does a
        process that was forked without Python's knowledge, until it ends. A thread waiting for a batch gets an OSError that
        says so.
        """
        self._waits.close()
        self.turned_off(PATIENCE)

    def turned_off(self, seconds: float = 0.0) -> bool:
        """Return whether the socket receives again, after `seconds` at most: whether it was closed, and nobody has its memory."""
        if not self.closed:
            return False
        end = time.monotonic() + seconds
        with self._waits.turn:
            self._shared = None  # the memory goes with the last who uses it
            self._surplus.clear()
        if self._process != os.getpid():  # in a child the socket's state is the parent's
            return True
        while not self._off:
            self._off = _turn_off(self._socket)
            memory = None if self._off or self._memory is None else self._memory()
            if memory is not None and self._last is None:  # a batch has it
                self._last = weakref.finalize(memory, _turn_off, self._socket)
                self._last.atexit = False
            if memory is not None or time.monotonic() >= end:
                break
            time.sleep(0.0005)  # a child that is being forked holds the memory until its hook has run
        if self._off:
            _inodes.discard(self._inode)
        return self._off

    def __enter__(self) -> Ring:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Ring {printable(self.name)}: {self._blocks * BLOCK} bytes>"


_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.mmap.restype = ctypes.c_void_p
_open: weakref.WeakSet[Ring] = weakref.WeakSet()
_inodes: set[int] = set()  # of the sockets whose memory may be mapped


def _in_child() -> None:
    """The rings are the parent's, who could not turn them off while the memory is held here.

    Batches that may still be in use find zeros in their place. The kernel is asked what is mapped, since another thread may
    have been about to map or to unmap it.
    """
    if _inodes:
        with suppress(OSError), open("/proc/self/maps", "rb") as maps:
            for line in maps.read().splitlines():  # proc(5): range, rights, offset, device, inode, name
                place, _, _, _, inode, *name = line.split()
                if name and name[0].startswith(b"socket:") and int(inode) in _inodes:
                    start, end = (int(one, 16) for one in place.split(b"-"))
                    rights, kind = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
                    _libc.mmap(start, end - start, rights, kind | MAP_FIXED | MAP_NORESERVE, -1, 0)
    for ring in list(_open):
        ring.close()
    _inodes.clear()


os.register_at_fork(after_in_child=_in_child)


def _turn_off(sock: socket.socket) -> bool:
    """Return whether the socket has no ring any more; it has while its memory is mapped anywhere."""
    try:
        sock.setsockopt(SOL_PACKET, RX_RING, bytes(28))
    except OSError as error:  # the socket may be closed already
        return error.errno != errno.EBUSY
    return True


def _put_back(
    raw: NDArray[np.uint8], starts: NDArray[np.int64], sizes: NDArray[np.int64], wire: NDArray[np.int64],
    heads: NDArray[np.void], rows: NDArray[np.intp],
) -> None:  # fmt: skip
    """Put VLAN tags that the kernel took out back into frames: the addresses move to the front, where there is room."""
    starts[rows] -= 4
    sizes[rows] += 4
    wire[rows] += 4
    at = starts[rows]
    for i in range(12):
        raw[at + i] = raw[at + i + 4]
    kinds = np.where(heads["status"][rows] & TPID_VALID, heads["kind_of_tag"][rows], 0x8100)
    tags = heads["tag"][rows]
    for i, value in enumerate((kinds >> 8, kinds & 255, tags >> 8 & 255, tags & 255)):
        raw[at + 12 + i] = value
