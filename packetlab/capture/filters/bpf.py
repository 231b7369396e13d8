"""PcapFilter: packets chosen in the language of tcpdump, pcap-filter(7).

libpcap compiles the words: the one that the package cypcap brings, or the system's own. What comes out is a program for
one link type, which libpcap runs, a compiled loop (see `bpf_interpreter`) or the kernel; so a capture of several link types
has several.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from packetlab.bulk.batch import Batch
from packetlab.capture import loops
from packetlab.capture.filters.bpf_interpreter import LOOP, RET, Instruction, Instructions, run_compiled
from packetlab.capture.frame import ETHERNET, Frame
from packetlab.errors import BuildError, PacketlabError

if TYPE_CHECKING:
    from packetlab.bulk.batch import Numbers, Truths

SNAPLEN = 262144  # bytes of a packet that a program asks for
NETMASK = 0  # as tcpdump -r has it: "ip broadcast" is 255.255.255.255 or 0.0.0.0


class PcapProgram(NamedTuple):
    """What libpcap made of an expression: the instructions, and whether it passes a packet, of so many bytes on the wire."""

    instructions: Instructions
    passes: Callable[[bytes, int], bool]


NOTHING = PcapProgram((Instruction(RET, 0, 0, 0),), lambda packet, wire: False)

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
        self._programs: dict[int, PcapProgram] = {}
        self._tested = 0  # bytes of batches so far
        if linktype is not None:
            self._compiled(linktype)

    def program(self, linktype: int = 1) -> Instructions:
        """Return the instructions for a link type."""
        return self._compiled(linktype).instructions

    def _compiled(self, linktype: int) -> PcapProgram:
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
            self._programs[linktype] = program
        return program

    def __call__(self, packet: Frame | bytes) -> bool:
        """Whether a captured frame, or bytes of the filter's own link type, passes."""
        if isinstance(packet, Frame):
            data, linktype, wire = packet.data, packet.linktype, packet.wire_length
        else:
            data, linktype, wire = bytes(packet), self.linktype or ETHERNET.linktype, len(packet)
        return self._compiled(linktype).passes(data, wire)

    def mask(self, batch: Batch) -> Truths:
        """Return which packets of a batch pass, an array of truths."""
        import numpy as np

        self._tested += batch.total_bytes
        wire = getattr(batch, "wire_sizes", batch.sizes)
        linktypes = [one.linktype for one in getattr(batch, "interfaces", ())] or [self.linktype or ETHERNET.linktype]
        if len(set(linktypes)) == 1:
            return self._passed(linktypes[0], batch, wire)
        passed = np.zeros(len(batch), np.bool_)
        of = np.array(linktypes)[batch.which]  # type: ignore[attr-defined]
        for linktype in np.unique(of).tolist():  # the link types that frames have, not those only described
            rows = np.flatnonzero(of == linktype)
            some = Batch(batch.data, batch.starts[rows], batch.sizes[rows])
            passed[rows] = self._passed(linktype, some, wire[rows])
        return passed

    def _passed(self, linktype: int, batch: Batch, wire: Numbers) -> Truths:
        import numpy as np

        program = self._compiled(linktype)
        if loops.worth_any(self._tested) and loops.worth(LOOP, self._tested):
            return run_compiled(program.instructions, batch, wire)
        return np.fromiter(map(program.passes, Batch.__iter__(batch), wire.tolist()), np.bool_, len(batch))

    def __reduce__(self) -> tuple[object, ...]:
        return PcapFilter, (self.expression, self.linktype)

    def __repr__(self) -> str:
        return f"PcapFilter({self.expression!r})"


def compile_program(expression: str, linktype: int) -> PcapProgram:
    """Return what libpcap makes of an expression. Raises as `PcapFilter`."""
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


def _by_cypcap(expression: str, datalink: int) -> PcapProgram | str | None:
    """Return the program, libpcap's reason for refusing, or None where the package is missing."""
    try:
        import cypcap
    except ImportError:
        return None
    try:
        made = cypcap.compile(datalink, SNAPLEN, expression, True, NETMASK)
    except cypcap.Error as error:
        return str(error.args[-1])
    header, run = cypcap.Pkthdr, made.offline_filter
    return PcapProgram(
        tuple(Instruction(*one) for one in made), lambda packet, wire: run(header(0, len(packet), wire), packet)
    )


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


def _by_system(expression: str, datalink: int) -> PcapProgram | str | None:
    """The same by the system's library."""
    library = _library()
    if library is None:
        return None
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_geterr.restype = ctypes.c_char_p
    run = library.bpf_filter
    run.argtypes, run.restype = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint, ctypes.c_uint), ctypes.c_uint
    handle = ctypes.c_void_p(library.pcap_open_dead(datalink, SNAPLEN))
    made = _BpfProgram()
    try:
        if library.pcap_compile(handle, ctypes.byref(made), expression.encode(), 1, NETMASK) < 0:
            return str(library.pcap_geterr(handle).decode("utf-8", "replace"))
        held = (_Instructions * made.size)(*made.first[: made.size])
        library.pcap_freecode(ctypes.byref(made))
        program = tuple(Instruction(each.code, each.jt, each.jf, each.k) for each in held)
        return PcapProgram(program, lambda packet, wire: run(held, packet, wire, len(packet)) != 0)
    finally:
        library.pcap_close(handle)
