"""sendmmsg(2): many frames a call, from where they lie in memory.

Owns the arrays that the kernel reads. numpy fills them with the places of a batch's frames, so nothing is copied and
nothing is done for one frame alone; the call gives other threads way.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from packetlab.link.socket_port import SOON
from packetlab.link.waits import Stop

if TYPE_CHECKING:
    from packetlab.bulk.batch import Batch

MOST = 1024  # messages a call: UIO_MAXIOV
VECTOR = np.dtype([("base", np.uint64), ("size", np.uint64)])  # struct iovec
MESSAGE = np.dtype(
    {  # struct mmsghdr on 64 bits
        "names": ["vectors", "count", "done"],
        "formats": [np.uint64, np.uint64, np.uint32],
        "offsets": [16, 24, 56],
        "itemsize": 64,
    }
)
BUSY = (errno.ENOBUFS, errno.EAGAIN)
PATIENCE_MS = 10


class Vectors:
    """Room for one call of sendmmsg; each thread has its own."""

    def __init__(self) -> None:
        self.call = ctypes.CDLL(None, use_errno=True).sendmmsg
        self.call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self.vectors, self.messages = np.zeros(MOST, VECTOR), np.zeros(MOST, MESSAGE)
        self.messages["vectors"] = self.vectors.ctypes.data + VECTOR.itemsize * np.arange(MOST, dtype=np.uint64)
        self.messages["count"] = 1
        self.at = int(self.messages.ctypes.data)

    def send(
        self, descriptor: int, batch: Batch, check: Callable[[], None], wake: int, stop: Stop | None
    ) -> tuple[int, dict[int, int]]:  # fmt: skip
        """Send the frames of a batch until `stop` is set; return how many were looked at, and the error number of each refused.

        A queue that is full is waited for, until `wake` is readable. `check` is called before each call of the kernel's, and
        raises where the port is closed. OSError where the socket itself is of no use any more.
        """
        failed: dict[int, int] = {}
        data = np.ascontiguousarray(batch.data)  # held until the end of the call
        places = batch.starts.astype(np.uint64) + np.uint64(data.ctypes.data)
        for first in range(0, len(places), MOST):
            part = slice(first, first + MOST)
            count = len(places[part])
            self.vectors["base"][:count], self.vectors["size"][:count] = places[part], batch.sizes[part]
            at = 0
            while at < count:
                check()
                if stop is not None and stop.is_set():
                    return first + at, failed
                sent = self.call(descriptor, self.at + at * MESSAGE.itemsize, count - at, socket.MSG_DONTWAIT)
                if sent > 0:
                    at += sent
                    continue
                number = ctypes.get_errno()
                if number in BUSY:
                    _wait(descriptor, wake, number)
                elif number in (errno.EBADF, errno.ENOTSOCK):
                    raise OSError(number, os.strerror(number))
                elif number != errno.EINTR:
                    failed[first + at] = number
                    at += 1
        return len(places), failed


def _wait(descriptor: int, wake: int, number: int) -> None:
    ready = select.poll()
    ready.register(wake, select.POLLIN)
    if number == errno.EAGAIN:
        ready.register(descriptor, select.POLLOUT)
    ready.poll(PATIENCE_MS if number == errno.EAGAIN else SOON * 1000)
