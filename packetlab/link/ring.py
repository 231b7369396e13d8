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
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from packetlab.capture.batch import FrameBatch
from packetlab.capture.frame import InterfaceDescription
from packetlab.engine.contract import nanoseconds
from packetlab.errors import LocalProtocolError, SocketMisuse
from packetlab.escaping import printable
from packetlab.link.waits import AT_ONCE, PATIENCE, Ending, Stop, Waits
from packetlab.renamed import renamed_arguments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from packetlab.capture.filters.bpf import PcapFilter

SOL_PACKET, RX_RING, VERSION = 263, 5, 10
TPACKET_V3 = 2
MAP_FIXED, MAP_NORESERVE = 0x10, 0x4000
BLOCK = 1 << 17  # bytes; longer frames than a block has room for are cut
MOST_BYTES = 1 << 43  # of a ring: the kernel counts its places in 32 bits
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


class RingSwitch:
    """Whether the socket of a port has a ring in the kernel: one at a time, until nobody has its memory mapped.

    What it does is right at any moment of another thread's, a signal's handler's or a forked child's: what is not turned off
    now stays to be turned off, and the port tries again whenever it is read.
    """

    def __init__(self, sock: socket.socket, name: str, waits: Waits) -> None:
        self._socket, self._name, self._waits = sock, name, waits
        self._on, self._process, self.inode = False, os.getpid(), 0
        self._ring: weakref.ref[Ring] | None = None
        self._memory: weakref.ref[mmap.mmap] | None = None
        _switches.add(self)

    def turn_on(self, ring: Ring, blocks: int) -> None:
        """Map the memory of a new ring; OSError where there is no room, another is open, or the port is closed."""
        busy = OSError(errno.EBUSY, f"ring of {self._name}: an earlier ring is open, or its memory in use")
        if not self.turn_off(PATIENCE):
            self._waits.check()
            raise busy
        request = struct.pack("7I", BLOCK, blocks, 2048, blocks * (BLOCK // 2048), FULL_AFTER_MS, 0, 0)
        with self._waits.turn:
            if not self.turn_off():  # another thread's opened meanwhile
                raise busy
            memory: mmap.mmap | None = None
            try:
                self._memory, self._process = None, os.getpid()
                self._ring = weakref.ref(ring, lambda _: self.turn_off())  # also where its program loses it
                self.inode = os.fstat(self._socket.fileno()).st_ino
                self._on = True
                self._socket.setsockopt(SOL_PACKET, VERSION, TPACKET_V3)
                self._socket.setsockopt(SOL_PACKET, RX_RING, request)
                memory = mmap.mmap(self._socket.fileno(), blocks * BLOCK)
                self._memory = weakref.ref(memory)
                ring.mapped(memory)
                memory = None  # this frame may be kept, by the exception of an interrupt
                if ring.closed or self._waits.closed or self._process != os.getpid():  # by a handler, or in its child
                    raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            except BaseException as error:
                memory, self._on = None, True  # whatever a handler did meanwhile
                if isinstance(error, OSError):
                    self._waits.check()
                    raise OSError(error.errno, f"ring of {self._name}: {error.strerror}") from None
                raise

    def turn_off(self, seconds: float = 0.0) -> bool:
        """Return whether the socket has no ring any more, after `seconds` at most.

        It has one while that is open, or its memory in use: by a batch that is not `lasting` (then this waits for nothing,
        and it is turned off when that goes), or by a forked child, whose hook gives it up.
        """
        end = time.monotonic() + seconds
        while self._on and self._process == os.getpid():  # in a child it is the parent's
            with self._waits.turn:
                ring = None if self._ring is None else self._ring()
                if ring is not None and not ring.closed:
                    return False
                if _turned_off(self._socket):
                    self._on = False
                    break
                memory = None if self._memory is None else self._memory()
                if memory is not None:
                    self._memory = None
                    weakref.finalize(memory, self.turn_off).atexit = False
                    return False
            if time.monotonic() >= end or self._waits.closed:  # with the port's socket the ring goes, too
                return False
            time.sleep(0.0005)
        return True

    def close(self) -> None:
        """Close the ring that is open."""
        if (ring := None if self._ring is None else self._ring()) is not None:
            ring.close()

    def wait(self, waits: Waits, seconds: float) -> bool:
        """Return whether a block is handed over, within `seconds`.

        Raises:
            OSError: the interface went down or is gone (of the first the kernel tells one thread), or the ring was closed.
        """
        ready = waits.ready(self._socket.fileno(), select.POLLIN | select.POLLERR, seconds)
        try:
            trouble = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if ready else 0
            gone = not self._socket.getsockname()[0]
        except OSError as error:
            trouble, gone = error.errno or 0, True
        waits.check()  # a closed socket has no name either
        self._waits.check()
        if trouble or (gone and not ready):
            raise OSError(trouble or errno.ENETDOWN, f"{self._name}: {os.strerror(trouble or errno.ENETDOWN)}")
        return ready


class _Taken:
    """Blocks that were taken at a time: they are out for as long as this is known to who took them."""

    numbers = range(0)


class Ring:
    """Receives in batches. While it is open, frames come to it alone; use it in a `with`. In a forked child it is closed.

    There, batches that are not `lasting` are all zeros.

    Args:
        switch: of a packet socket that is bound. description: of the interface. buffer_bytes: how much it holds.
        outgoing: whether to keep what this machine sent. passes: a filter that the kernel cannot do.

    Attributes:
        name: of the interface. description: the same as frames have it. received: frames taken so far.
    """

    @renamed_arguments(octets="buffer_bytes")
    def __init__(
        self,
        switch: RingSwitch,
        description: InterfaceDescription,
        buffer_bytes: int,
        outgoing: bool,
        passes: PcapFilter | None,
    ) -> None:
        self.name, self.description = description.name, description
        self._switch, self._outgoing, self._passes = switch, outgoing, passes
        if not isinstance(buffer_bytes, int) or not 0 <= buffer_bytes < MOST_BYTES:
            raise LocalProtocolError(f"ring of {self.name}", f"bytes, fewer than {MOST_BYTES}", repr(buffer_bytes))
        self._blocks = max(2, buffer_bytes // BLOCK)
        # Blocks that were taken, until they are the kernel's again; with which others.
        self._out: dict[int, weakref.ref[_Taken]] = {}
        self._surplus: deque[tuple[FrameBatch, int]] = deque()  # what was taken beyond a `count`, and where that begins
        self._waits = Waits(f"ring of {self.name}")
        self._taken = 0  # blocks, since it was opened
        self._last: int | None = None  # how many there will be, once that is known
        self.received, self._taking = 0, False
        self.port: object = None  # that it is of, and that lives as long: its host closes it
        self._shared: tuple[mmap.mmap, memoryview] | None = None
        _open.add(self)
        try:
            switch.turn_on(self, self._blocks)
        except BaseException:  # there is no room for it, or an interrupt
            self.close()
            raise

    def mapped(self, memory: mmap.mmap) -> None:
        """Take over the memory that the kernel puts frames into."""
        self._shared = memory, memoryview(memory).cast("I")

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._waits.closed

    def batches(
        self, timeout: float | None = None, count: int | None = None, stop: Stop | None = None, lasting: bool = True
    ) -> Iterator[FrameBatch]:
        """Yield frames as they come, in batches: `count` of them at most, for `timeout` seconds at most, until `stop`.

        What is in the ring at the end is given, too, and is the last, however long who takes it needs; for what is in a block
        that the kernel still fills that takes some 20 ms more, and what comes into that block.

        Args:
            stop: a `threading.Event`: ends it when set, within a fifth of a second.
            lasting: if not, the memory of a batch is the kernel's again when the next is requested, and nothing is copied.

        Raises:
            OSError: the ring or its interface was closed, by another thread too; or the interface is gone.
        """
        until = None if timeout is None else time.monotonic_ns() + nanoseconds(timeout, f"ring of {self.name}: timeout")
        left, stop = count, Ending(stop)
        last: int | None = None  # how many blocks will have been taken
        late: float | None = None  # until when the kernel has time then to hand over what it fills
        while left is None or left > 0:
            wait = None if until is None else max(0.0, (until - time.monotonic_ns()) / 1e9)
            if last is None and (stop.is_set() or wait == 0 or self._last is not None):
                last = self._held() if self._last is None else self._last
            blocks = _Taken()
            try:
                rest = self._rest()
                if rest is None and (taken := self._take(MOST if last is None else last - self._taken, blocks)) is not None:
                    raw, places = taken
                    del taken
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
            if last is not None:
                now = time.monotonic()
                late = now + AT_ONCE if late is None else late
                if late <= now or last <= self._taken:
                    return
                wait = late - now
            # In turns: that the interface is gone the kernel tells one thread alone.
            if self._switch.wait(self._waits, AT_ONCE if wait is None else min(wait, AT_ONCE)) and self._out:
                time.sleep(0.001)  # another thread has still to give these back: the kernel tells of them too

    def _first(self, batch: FrameBatch, start: int, most: int | None) -> FrameBatch:
        """Return the frames of a batch from `start`, `most` at most; those after them are for who asks next."""
        end = len(batch) if most is None else min(len(batch), start + most)
        if end < len(batch):
            with self._waits.turn:
                if self._shared is not None:  # else it was closed meanwhile, and the rest is lost
                    self._surplus.appendleft((batch, end))
        return batch if end - start == len(batch) else batch.chosen(range(start, end))

    def _rest(self) -> tuple[FrameBatch, int] | None:
        with self._waits.turn:
            self._mapped()
            return self._surplus.popleft() if self._surplus else None

    def _take(self, most: int, blocks: _Taken) -> tuple[NDArray[np.uint8], list[int]] | None:
        """Take the next blocks that are ready, `most` at most; return their memory and where frames begin in it, None for none."""
        with self._waits.turn:
            if self._taking:  # before this frame has the memory, which the error would keep
                raise SocketMisuse(
                    errno.EDEADLK, f"ring of {self.name}", "a thread that is not taking frames of it",
                    "a signal's handler within one that is", "note it, and read after the handler",
                )  # fmt: skip
            self._taking = True
            try:
                return self._take_ready(*self._mapped(), most, blocks)
            finally:
                self._taking = False

    def _take_ready(
        self, memory: mmap.mmap, words: memoryview, most: int, blocks: _Taken
    ) -> tuple[NDArray[np.uint8], list[int]] | None:
        for block in [block for block, taken in self._out.items() if taken() is None]:
            self._free(words, block)  # an interrupt came before they were given back
        base = (first := self._taken % self._blocks) * BLOCK
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
        self._taken += block - first  # no interrupt comes between this and the next
        self._out.update(out)
        return raw, places

    def finish(self) -> None:
        """Let what is in the ring now be the last that it gives: `batches` end with that, within a fifth of a second."""
        self._last = self._held()

    def _held(self) -> int:
        """Return how many blocks will have been taken with all that hold frames now, and that which the kernel still fills."""
        with self._waits.turn:
            _, words = self._mapped()
            held = self._taken
            while held < self._taken + self._blocks and (block := held % self._blocks) not in self._out:
                if not words[(block * BLOCK + STATUS) // 4] & FOR_USER:
                    return held + (words[(block * BLOCK + COUNT) // 4] > 0)
                held += 1
            return held

    def _give_back(self, blocks: _Taken) -> None:
        """Let the kernel fill blocks again, those that are still out."""
        with self._waits.turn:
            if (shared := self._shared) is None:
                return  # they are the kernel's already
            for block in blocks.numbers:
                if block in self._out and self._out[block]() is blocks:
                    self._free(shared[1], block)

    def _free(self, words: memoryview, block: int) -> None:
        words[(block * BLOCK + COUNT) // 4] = 0  # until the kernel counts anew
        words[(block * BLOCK + STATUS) // 4] = 0  # no interrupt comes between this and the next
        self._out.pop(block)

    def _mapped(self) -> tuple[mmap.mmap, memoryview]:
        """Return the shared memory, by bytes and by words, for who has the turn; OSError where it is closed."""
        shared = self._shared  # once: a signal's handler may close it
        if shared is None:
            raise self._waits.misuse()
        return shared

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
        with self._waits.turn:
            self._shared = None  # the memory goes with the last who uses it
            self._surplus.clear()
        self._switch.turn_off(PATIENCE)

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
_switches: weakref.WeakSet[RingSwitch] = weakref.WeakSet()


def _in_child() -> None:
    """The rings are the parent's, who could not turn them off while the memory is held here.

    Batches that may still be in use find zeros in their place. The kernel is asked what is mapped, since another thread may
    have been about to map or to unmap it.
    """
    if inodes := {switch.inode for switch in list(_switches)} - {0}:
        with suppress(OSError), open("/proc/self/maps", "rb") as maps:
            for line in maps.read().splitlines():  # proc(5): range, rights, offset, device, inode, name
                place, _, _, _, inode, *name = line.split()
                if name and name[0].startswith(b"socket:") and int(inode) in inodes:
                    start, end = (int(one, 16) for one in place.split(b"-"))
                    rights, kind = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
                    _libc.mmap(start, end - start, rights, kind | MAP_FIXED | MAP_NORESERVE, -1, 0)
    for ring in list(_open):
        ring.close()


os.register_at_fork(after_in_child=_in_child)


def _turned_off(sock: socket.socket) -> bool:
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
