"""Recordings into pipes: written to while there is room, and waited for no longer than the recording goes on."""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from packetlab.errors import SocketMisuse
from packetlab.link.port import Port
from packetlab.link.waits import AT_ONCE

HELD = 1 << 16  # bytes that are handed over at once
LOOK = 0.02  # seconds between two looks whether somebody reads a named pipe


class Cut(Exception):
    """A recording was to end, and its pipe took nothing more."""


class Pipe(io.RawIOBase):
    """A pipe as a recording writes to it. Where that is to end while the pipe takes nothing, the stream ends there.

    Args:
        fd: which does not block; closed with it. port: that the recording is of. ending: whether it is to end now.

    Raises:
        Cut: it was to end, and the pipe took nothing for a fifth of a second. SocketMisuse: the same where the port was closed.
    """

    def __init__(self, fd: int, name: str, port: Port, ending: Callable[[], bool]) -> None:
        self._fd, self.name, self._port, self._ending = fd, name, port, ending
        self._held = bytearray()
        self._cut = self._dropping = False  # nothing goes after half a record

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Take bytes; they go by `flush` at the latest."""
        self._held += data
        if len(self._held) >= HELD:
            self.flush()
        return len(data)

    def flush(self) -> None:
        """Hand everything to who reads."""
        held, self._held = memoryview(bytes(self._held)), bytearray()
        if self._cut and self._dropping:
            return
        if self._cut and held:
            raise Cut
        whole = False
        try:
            while held:
                try:
                    held = held[os.write(self._fd, held) :]
                except BlockingIOError:
                    self._wait()
                except OSError as error:
                    raise OSError(error.errno, error.strerror, self.name) from None
            whole = True
        finally:
            self._cut = self._cut or not whole

    def _wait(self) -> None:
        while True:
            try:
                if not self._over():
                    if self._port._waits.ready(self._fd, select.POLLOUT, AT_ONCE):
                        return
                    continue
            except SocketMisuse:  # closed meanwhile
                pass
            if not _has_room(self._fd, AT_ONCE):
                self._port._check()
                raise Cut
            return

    def _over(self) -> bool:
        self._port._check()
        return self._ending()

    def drop(self, kind: type[BaseException] | None, *_: object) -> None:
        """As the end of a `with`: after an error that cut the stream off what is written to it is dropped."""
        self._dropping = kind is not None

    def close(self) -> None:
        """Close it; what was not handed over is lost."""
        if not self.closed:
            self._cut = self._dropping = True
            os.close(self._fd)
        super().close()


def _has_room(fd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))


def open_pipe(where: str | Path | BinaryIO, port: Port, ending: Callable[[], bool]) -> Pipe | None:
    """Return what writes to a pipe, waiting for who reads a named one; None where it is something else.

    Cut: it was to end before somebody read it. OSError: EBADF, the port was closed before that; or what open(2) says.
    """
    if isinstance(where, (str, Path)) and where != "-":
        if not Path(where).is_fifo():
            return None
        return Pipe(_opened(str(where), port, ending), str(where), port, ending)
    stream = sys.stdout.buffer if isinstance(where, (str, Path)) else where
    if not isinstance(stream, (io.BufferedWriter, io.FileIO)):
        return None
    number = stream.fileno()
    if not stat.S_ISFIFO(os.fstat(number).st_mode):
        return None
    stream.flush()
    try:  # one of our own, since whether it blocks is everybody's who has it
        fd = os.open(f"/proc/self/fd/{number}", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None
    return Pipe(fd, str(getattr(stream, "name", "stream")), port, ending)


def _opened(path: str, port: Port, ending: Callable[[], bool]) -> int:
    while True:
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads it
                raise
        port._check()
        if ending():
            raise Cut
        time.sleep(LOOK)
