"""What a forked child says."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress

from packetlab.errors import SocketMisuse

PATIENCE = 30
PARENTS = "one of the process that forked this one"


def forked_in_c() -> int:
    """Fork without Python's knowledge: no hook runs."""
    child: int = ctypes.PyDLL(None).fork()
    return child


def in_child(what: Callable[[], object], fork: Callable[[], int] = os.fork) -> str:
    """Return what a function returns in a forked child, or its error."""
    read, write = os.pipe()
    child = fork()
    if child == 0:  # nothing of pytest's may run here
        signal.alarm(PATIENCE * 2)
        try:
            said = what()
        except BaseException:
            said = traceback.format_exc()
        with suppress(BaseException):
            os.write(write, f"{said}".encode())
        os._exit(0)
    os.close(write)
    try:
        assert select.select([read], [], [], PATIENCE)[0], "the child hangs"
        return os.read(read, 65536).decode()
    finally:
        os.close(read)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def refusals(*calls: Callable[[], object]) -> str:
    """Return "refused", or what the first call that is not refused says."""
    for number, call in enumerate(calls):
        try:
            return f"call {number}: {call()!r}"
        except SocketMisuse as error:
            if error.errno != errno.EBADF or PARENTS not in str(error) or " (EBADF: open " not in str(error):
                return f"call {number}: {error!r}"
    return "refused"
