"""Loops compiled to machine code by numba, where it is installed (the extra `fast`), and kept on disk.

A loop is the source of one function that takes arrays and whole numbers, writes into arrays and returns nothing; an array
is no more to it than the place of its first element (so it has no length, and one dimension). Sources come from
`bulk.scan_loop` and from here. numba is needed to compile a loop once; what is kept on disk is loaded by llvmlite
alone, in milliseconds. It lies under the user's cache folder, in a folder that is nobody else's to write to, each loop in
a file of its own that is written whole or not at all and begins with a digest of its name and the rest. What is damaged,
or another loop's, or somebody else's, is compiled anew; where nothing can be kept, loops are compiled in every program that
needs them.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging  # noqa: F401  (before the registration below)
import os
import stat
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packetlab.capture.elf import defines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from packetlab.bulk.batch import ByteArray, Numbers

WORTH_LOADING = 16 << 20  # bytes of a capture from which on loading a loop (some hundredths of a second) pays
WORTH_COMPILING = 1 << 30  # ... and the compilation of a loop never used before (some seconds)


@cache
def available() -> bool:
    """Whether numba is installed."""
    from importlib.util import find_spec

    return find_spec("numba") is not None


def loaded() -> bool:
    """Whether loops are in use already, so that another costs next to nothing."""
    return bool(_ready)


@cache
def _machine() -> str:
    """Return what compiled code depends on: processor, interpreter, compiler."""
    from importlib.metadata import version

    try:
        with open("/proc/cpuinfo", "rb") as file:
            processor = file.read(4096).split(b"\n\n")[0]
    except OSError:
        processor = b""
    lines = [line for line in processor.split(b"\n") if line.startswith((b"model name", b"flags", b"Features"))]
    return f"{hashlib.sha256(b'|'.join(lines)).hexdigest()} {sys.version} {version('numba')} {version('llvmlite')}"


@cache
def _folder() -> Path | None:
    """Return the folder of compiled loops, or None where there can be none that is ours alone."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    home = home if os.path.isabs(home) else os.path.expanduser("~/.cache")  # a relative one is to be ignored (XDG)
    folder = Path(home, "packetlab", "loops")
    if not folder.is_absolute():
        return None
    try:
        for part in reversed((folder, *folder.parents)):  # with parents=True they would be as the umask has it
            if not part.exists():
                part.mkdir(mode=0o700, exist_ok=True)
        status = folder.stat()
    except OSError:
        return None
    return folder if _ours(status) and os.access(folder, os.W_OK) else None


def _ours(status: os.stat_result) -> bool:
    """Whether something is ours, and nobody else's to write to."""
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


def _name(source: str) -> str:
    return hashlib.sha256(f"{_machine()}\n{source}".encode()).hexdigest()[:32]


def kept(source: str) -> bool:
    """Whether the loop was compiled before and kept on disk, as far as can be known without reading it."""
    folder, name = _folder(), f"{_name(source)}-"
    try:
        return folder is not None and any(one.startswith(name) and one.endswith(".o") for one in os.listdir(folder))
    except OSError:
        return False


def worth_any(capture_size: int) -> bool:
    """Whether it may pay to go over a capture of so many bytes by a loop: if not, none has to be written."""
    return available() and (loaded() or capture_size >= min(WORTH_LOADING, WORTH_COMPILING))


def worth(source: str, capture_size: int) -> bool:
    """Whether it pays to go over a capture of that many bytes by a loop."""
    if in_use(source):
        return True
    if kept(source):
        return loaded() or capture_size >= WORTH_LOADING
    return capture_size >= WORTH_COMPILING


_ready: dict[str, Loop] = {}


def compiled(source: str) -> Loop:
    """Return the function that `source` defines; it is compiled or loaded when it is first called."""
    loop = _ready.get(source)
    if loop is None:
        loop = _ready[source] = Loop(source)
    return loop


def in_use(source: str) -> bool:
    """Whether the loop is in use already."""
    return source in _ready


class Loop:
    """One loop; called with arrays (of one dimension, or laid out as one) and whole numbers."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._by_kinds: dict[tuple[str, ...], Callable[..., int]] = {}

    def __call__(self, *arguments: int | NDArray[Any]) -> None:
        kinds, values = [], []
        for one in arguments:
            if isinstance(one, int):
                kinds.append("i8")
                values.append(int(one))
            else:
                about = one.__array_interface__
                if about["strides"] is not None:
                    raise ValueError("a loop takes arrays without gaps")
                kinds.append(about["typestr"][1:])
                values.append(about["data"][0])
        key = tuple(kinds)
        function = self._by_kinds.get(key)
        if function is None:
            with _one_at_a_time:
                function = self._by_kinds.get(key)
                if function is None:
                    numbers = [isinstance(one, int) for one in arguments]
                    function = self._by_kinds[key] = _function(self.source, key, numbers)
        function(*_NOWHERE, *values)


_one_at_a_time = threading.RLock()  # numba and LLVM compile and load for one thread only
# A fork waits until nobody compiles: a child made meanwhile would have this lock, and those of numba and LLVM, for ever
# in the hands of a thread that it has not. Those who compile may log, and logging guards its lock alike: hooks run in
# reverse order, so its lock is taken after this one.
os.register_at_fork(
    before=_one_at_a_time.acquire, after_in_parent=_one_at_a_time.release, after_in_child=_one_at_a_time.release
)
_result = (ctypes.c_int64 * 4)()
_NOWHERE = (
    ctypes.addressof(_result),
    ctypes.addressof(_result) + 8,
)  # for what is returned, and for an exception: none


def _function(source: str, kinds: tuple[str, ...], numbers: list[bool]) -> Callable[..., int]:
    folder = _folder()
    place = (
        folder / f"{_name(source)}-{hashlib.sha256(repr((kinds, numbers)).encode()).hexdigest()[:16]}.o"
        if folder
        else None
    )
    found = _read(place) if place is not None else None
    address = _load(*found) if found is not None else 0
    if not address:
        symbol, code = _compile(source, kinds, numbers)
        address = _load(symbol, code)
        if place is not None:
            _keep(place, symbol, code)
    types = [ctypes.c_int64 if number else ctypes.c_void_p for number in numbers]
    made = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *types)(address)
    return made  # called without the interpreter's lock


def _read(place: Path) -> tuple[str, bytes] | None:
    """Return the symbol and the code of a kept loop, None where there is none, or none that is ours and whole."""
    try:
        with open(os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            kept = file.read() if _ours(status) and stat.S_ISREG(status.st_mode) else b""
    except OSError:
        return None
    digest, _, rest = kept.partition(b"\n")
    symbol, _, code = rest.partition(b"\n")
    if digest != _digest(place, rest) or not defines(code, symbol):
        return None  # LLVM would end the program with what is damaged
    return symbol.decode("utf-8", "replace"), code


def _digest(place: Path, rest: bytes) -> bytes:
    """Return the digest of a kept loop. The name says which it is: its source, what it takes, compiler and machine."""
    return hashlib.sha256(place.name.encode() + b"\n" + rest).hexdigest().encode()


def _keep(place: Path, symbol: str, code: bytes) -> None:
    """Keep a loop, whole or not at all; where that cannot be, this program has it and the next compiles it again."""
    rest = symbol.encode() + b"\n" + code
    try:
        made, partial = tempfile.mkstemp(prefix=f"{place.stem}.", dir=place.parent)
        try:
            with open(made, "wb") as file:
                file.write(_digest(place, rest) + b"\n" + rest)
            os.replace(partial, place)
        except OSError:
            os.unlink(partial)
            raise
    except OSError:
        pass


def _compile(source: str, kinds: tuple[str, ...], numbers: list[bool]) -> tuple[str, bytes]:
    """Return the name of the compiled function, and an object file with it."""
    numba: Any = import_module("numba")  # its types say less than its documentation
    names: dict[str, Any] = {"int64": numba.int64}
    exec(compile(source, "<packetlab loop>", "exec"), names)
    plain = names[source.split("(")[0].removeprefix("def ")]
    scalar = {"b1": "uint8", "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64",
              "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64"}  # fmt: skip
    types = [
        numba.int64 if number else numba.types.CPointer(getattr(numba.types, scalar[kind]))
        for kind, number in zip(kinds, numbers, strict=True)
    ]
    # Nothing may be raised: division is that of machines, and there is nobody to catch.
    dispatcher = numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True)(plain)
    dispatcher.compile(tuple(types))
    (result,) = dispatcher.overloads.values()
    return result.fndesc.llvm_func_name, result.library._get_compiled_object()


_engines: list[object] = []  # what is loaded lives as long as its engine


def _load(symbol: str, code: bytes) -> int:
    """Return the address of a function of an object file, 0 where it has no such function."""
    llvm: Any = import_module("llvmlite.binding")
    if not _engines:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return int(engine.get_function_address(symbol))


RECORDS = """\
def records(data, pos, end, size, big, scale, starts, sizes, wires, times, found):
    count = 0
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
    found[0] = count
    found[1] = pos
"""


def records(data: ByteArray, pos: int, size: int, big: bool, scale: int) -> tuple[list[Numbers], int]:
    """Return of the whole records of a pcap file in `data` from `pos` on: starts, sizes, sizes on the wire and times of
    their frames; and where the last of them ends."""
    import numpy as np

    arrays = [np.empty((len(data) - pos) // size + 1, np.int64) for _ in range(4)]
    found = np.zeros(2, np.int64)
    compiled(RECORDS)(data, pos, len(data), size, int(big), scale, *arrays, found)
    count = int(found[0])
    return [array[:count].copy() for array in arrays], int(found[1])


REGIONS = """\
def regions(count, words, first, end, total):
    for i in range(count):
        begin = int64(first[i])
        stop = int64(end[i])
        found = int64(0)
        for k in range(begin >> 2, stop >> 2):
            found += int64(words[k])
        found += int64(words[stop >> 2]) & ((1 << 8 * (stop & 3)) - 1)
        found -= int64(words[begin >> 2]) & ((1 << 8 * (begin & 3)) - 1)
        total[i] = found * (1 if begin & 1 else 256)
"""

CARRIED = """\
def carried(count, data, source, target, width, total):
    for i in range(count):
        found = int64(0)
        for k in range(int64(width[i])):
            both = int64(data[int64(source[i]) + k]) + int64(data[int64(target[i]) + k])
            found += both if k & 1 else both << 8
        total[i] = found
"""

CHANGES = """\
def changes(count, data, at, size, raw, around, first, parent, delta):
    for i in range(count):
        place = int64(at[i])
        change = int64(0)
        for k in range(size):
            new = raw[i * size + k]
            more = int64(new) - int64(data[place + k])
            change += more if k & 1 else more * 256
            data[place + k] = new
        which = int64(around[i])
        while which >= 0:
            delta[which] += change * (256 if (place - int64(first[which])) & 1 else 1)
            which = int64(parent[which])
"""
