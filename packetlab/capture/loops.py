"""Loops compiled to machine code by numba, where it is installed (the extra `fast`), and kept on disk.

Sources of loops come from `wire.tracing_loop` and from here; what they mean is said there. Without numba nothing here is
called. Compiled code is kept under the user's cache folder, in a folder that is nobody else's to write to.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORTH_LOADING = 96 << 20  # octets of a capture from which on numba's own start (0.4 s) pays
WORTH_COMPILING = 1 << 30  # ... and the compilation of a loop never used before (some seconds)


@cache
def available() -> bool:
    """Whether numba is installed."""
    from importlib.util import find_spec

    return find_spec("numba") is not None


def loaded() -> bool:
    """Whether numba is in use already, so that it costs nothing more."""
    return "numba" in sys.modules


def _folder() -> Path | None:
    """Return the folder of compiled loops, or None where there can be none that is ours alone."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(home, "packetlab", "loops")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return None
    ours = status.st_uid == os.getuid() and not status.st_mode & 0o022 and os.access(folder, os.W_OK)
    return folder if ours else None


def _place(source: str) -> Path | None:
    folder = _folder()
    if folder is None:
        return None
    path = folder / f"loop_{hashlib.sha256(source.encode()).hexdigest()[:24]}.py"
    try:
        if not path.exists() or path.read_text() != source:
            partial = path.with_suffix(f".{os.getpid()}")
            partial.write_text(source)
            partial.replace(path)
    except OSError:
        return None
    return path


def kept(source: str) -> bool:
    """Whether the loop was compiled before and kept on disk."""
    folder = _folder()
    name = f"loop_{hashlib.sha256(source.encode()).hexdigest()[:24]}"
    return folder is not None and any(folder.glob(f"__pycache__/{name}*.nbi"))


_ready: dict[str, Callable[..., Any]] = {}


def ready() -> dict[str, Callable[..., Any]]:
    """Return the loops in use, by source."""
    return _ready


def compiled(source: str) -> Callable[..., Any]:
    """Return the one function that `source` defines, compiled when it is first called, or taken from disk."""
    function = _ready.get(source)
    if function is None:
        import numba

        path = _place(source)
        # What is kept on disk finds its surroundings again by the name of a module.
        names: dict[str, Any] = {"int64": numba.int64, "__name__": __name__}
        exec(compile(source, str(path or "<packetlab loop>"), "exec"), names)
        plain = names[source.split("(")[0].removeprefix("def ")]
        function = _ready[source] = numba.njit(cache=path is not None, nogil=True)(plain)
    return function


RECORDS = """\
def records(data, pos, size, big, scale, starts, sizes, wires, times):
    count = 0
    end = len(data)
    while pos + size <= end:
        seconds = int64(0)
        fraction = int64(0)
        captured = int64(0)
        wire = int64(0)
        for i in range(4):
            k = i if big else 3 - i
            seconds = seconds << 8 | int64(data[pos + k])
            fraction = fraction << 8 | int64(data[pos + 4 + k])
            captured = captured << 8 | int64(data[pos + 8 + k])
            wire = wire << 8 | int64(data[pos + 12 + k])
        if pos + size + captured > end:
            break
        starts[count] = pos + size
        sizes[count] = captured
        wires[count] = wire
        times[count] = seconds * 1000000000 + fraction * scale
        count += 1
        pos += size + captured
    return count, pos
"""


def records(data: NDArray[np.uint8], pos: int, size: int, big: bool, scale: int) -> tuple[list[NDArray[np.int64]], int]:
    """Return of the whole records of a pcap file in `data` from `pos` on: starts, sizes, sizes on the wire and times of
    their frames; and where the last of them ends."""
    import numpy as np

    data.flags.writeable = False  # one kind of array, so that the loop is compiled once
    arrays = [np.empty((len(data) - pos) // size + 1, np.int64) for _ in range(4)]
    count, end = compiled(RECORDS)(data, pos, size, big, scale, *arrays)
    return [array[:count].copy() for array in arrays], int(end)
