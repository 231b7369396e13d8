"""PcapFilter: packets chosen in the language of tcpdump, pcap-filter(7).

libpcap compiles the words: the one that the package cypcap brings, or the system's own. What comes out is a program for
one link type, which runs here (see `bpf_interpreter`) or in the kernel; so a capture of several link types has several.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING

from packetlab.capture import loops
from packetlab.capture.filters.bpf_interpreter import (
    LOOP,
    RET,
    Instruction,
    Program,
    columns,
    passes,
    run_all,
    run_compiled,
)
from packetlab.capture.frame import ETHERNET, Frame
from packetlab.errors import BuildError, PacketlabError

if TYPE_CHECKING:
    from packetlab.bulk.batch import Batch, ByteArray, Numbers, Truths

SNAPLEN = 262144  # bytes of a packet that a program asks for
NETMASK = 0  # as tcpdump -r has it: "ip broadcast" is 255.255.255.255 or 0.0.0.0

WORTH_LOADING, WORTH_COMPILING = 1 << 16, 1 << 21  # packets

NOTHING: Program = (Instruction(RET, 0, 0, 0),)

DATALINKS = {100: 11, 101: 12, 102: 15, 103: 16, 106: 19, 246: 18}
"""Link type in a file -> number in libpcap's programming interface on Linux, where they differ (pcap-linktype(7))."""


class PcapFilter:
    """A filter in libpcap's language: ``PcapFilter("tcp port 80 and net 10.0.0.0/8")``.

    Called with a frame or bytes it says whether the filter passes it; `mask` says it of a whole batch at once.

    Args:
        expression: see pcap-filter(7); an empty one passes everything.
        linktype: what bytes begin with, and what the expression is compiled for at once; None: each when it is met, and
            frames of a link type that it cannot speak of do not pass. Frames and batches of frames bring their own.

    Raises:
        BuildError: libpcap does not take the expression for that link type, with its reason.
        PacketlabError: there is no libpcap.
    """

    def __init__(self, expression: str, linktype: int | None = 1) -> None:
        self.expression, self.linktype = expression, linktype
        self._programs: dict[int, Program] = {}
        self._columns: dict[int, tuple[tuple[int, ...], ...]] = {}
        self._tested = 0  # packets of batches so far
        if linktype is not None:
            self.program(linktype)

    def program(self, linktype: int = 1) -> Program:
        """Return the instructions for a link type."""
        program = self._programs.get(linktype)
        if program is None:
            try:
                program = compile_program(self.expression, linktype)
            except BuildError:
                if self.linktype is not None or linktype == ETHERNET.linktype:
                    raise
                # One of several link types in a capture, which may have no such packets ("vlan", "arp"): none passes,
                # if the words mean something at all.
                compile_program(self.expression, ETHERNET.linktype)
                program = NOTHING
            self._programs[linktype], self._columns[linktype] = program, columns(program)
        return program

    def __call__(self, packet: Frame | bytes) -> bool:
        """Whether a captured frame, or bytes of the filter's own link type, passes."""
        if isinstance(packet, Frame):
            data, linktype, wire = packet.data, packet.linktype, packet.wire_length
        else:
            data, linktype, wire = bytes(packet), self.linktype or ETHERNET.linktype, len(packet)
        self.program(linktype)
        return passes(self._columns[linktype], data, wire)

    def mask(self, batch: Batch) -> Truths:
        """Return which packets of a batch pass, an array of truths."""
        import numpy as np

        self._tested += len(batch)
        run_batch = _runner(self._tested)
        data = np.ascontiguousarray(batch.data)
        interfaces = getattr(batch, "interfaces", ())
        wire = getattr(batch, "wire_sizes", batch.sizes)
        linktypes = [interface.linktype for interface in interfaces] or [self.linktype or ETHERNET.linktype]
        if len(set(linktypes)) == 1:
            one: Truths = run_batch(self.program(linktypes[0]), data, batch, wire)
            return one
        passed = np.zeros(len(batch), np.bool_)
        of = np.array(linktypes)[batch.which]  # type: ignore[attr-defined]
        for linktype in np.unique(of).tolist():  # the link types that frames have, not those only described
            passed |= (of == linktype) & run_batch(self.program(linktype), data, batch, wire)
        return passed

    def __repr__(self) -> str:
        return f"PcapFilter({self.expression!r})"


def _runner(packets: int) -> Callable[[Program, ByteArray, Batch, Numbers], Truths]:
    """Return what runs a program over a batch, for this many packets in all."""
    # Compiled is twice as fast; loading what was compiled before takes as long as arrays take for some ten thousand
    # packets, compiling it as long as for millions.
    if not loops.available():
        return run_all
    least = 0 if loops.in_use(LOOP) else WORTH_LOADING if loops.kept(LOOP) else WORTH_COMPILING
    return run_compiled if packets >= least else run_all


def compile_program(expression: str, linktype: int) -> Program:
    """Return the instructions that libpcap makes of an expression. Raises as `PcapFilter`."""
    where = f"pcap filter {expression!r}"
    if not " ".join(expression.split()).isprintable():
        raise BuildError(where, "printable text", repr(expression))
    datalink = DATALINKS.get(linktype, linktype)
    for compiler in (_by_cypcap, _by_system):
        found = compiler(expression, datalink)
        if isinstance(found, str):
            raise BuildError(where, f"what libpcap takes for link type {linktype}", found)
        if found is not None:
            return found
    raise PacketlabError(where, "libpcap", "none", "pip install 'packetlab[bpf]', or install the system's libpcap")


def _by_cypcap(expression: str, datalink: int) -> Program | str | None:
    """Return the program, libpcap's reason for refusing, or None where the package is missing."""
    try:
        import cypcap
    except ImportError:
        return None
    try:
        made = cypcap.compile(datalink, SNAPLEN, expression, True, NETMASK)
    except cypcap.Error as error:
        return str(error.args[-1])
    return tuple(Instruction(*instruction) for instruction in made)


class _Instructions(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _BpfProgram(ctypes.Structure):
    # struct bpf_program
    _fields_ = (("size", ctypes.c_uint), ("first", ctypes.POINTER(_Instructions)))


def _library() -> ctypes.CDLL | None:
    for name in ("libpcap.so.1", "libpcap.so.0.8", "libpcap.dylib"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _by_system(expression: str, datalink: int) -> Program | str | None:
    """The same by the system's library."""
    library = _library()
    if library is None:
        return None
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_geterr.restype = ctypes.c_char_p
    handle = ctypes.c_void_p(library.pcap_open_dead(datalink, SNAPLEN))
    made = _BpfProgram()
    try:
        if library.pcap_compile(handle, ctypes.byref(made), expression.encode(), 1, NETMASK) < 0:
            return str(library.pcap_geterr(handle).decode("utf-8", "replace"))
        program = tuple(Instruction(each.code, each.jt, each.jf, each.k) for each in made.first[: made.size])
        library.pcap_freecode(ctypes.byref(made))
        return program
    finally:
        library.pcap_close(handle)
