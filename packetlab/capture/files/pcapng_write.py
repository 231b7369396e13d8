"""Writing the pcapng file format (draft-ietf-opsawg-pcapng; section numbers below are the draft's).

Little-endian sections; times in the resolution of their interface where that holds them exactly, else in nanoseconds; nothing of the machine or the hour goes in, so the same frames make the
same file. Each block is handed on whole. It knows nothing of reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import BinaryIO

from packetlab.capture.batch import FrameBatch
from packetlab.capture.files.blocks import (
    CUSTOM,
    CUSTOM_HERE,
    JOURNAL,
    MOST_OPTIONS,
    NAMES,
    NOT_TO_BE_COPIED,
    SECRETS,
    SECRETS_KINDS,
    STATISTICS,
    Block,
    Custom,
    MetadataBlock,
    Names,
    Secrets,
    Section,
    Statistics,
    address_bytes,
)
from packetlab.capture.files.pcap import check_lengths
from packetlab.capture.files.pcapng import (
    INTERFACE,
    LARGEST,
    MOST_INTERFACES,
    OLD_PACKET,
    PACKET,
    SECTION,
    SIMPLE_PACKET,
)
from packetlab.capture.files.records import batch_units, pcapng_blocks, write_records
from packetlab.capture.frame import Frame, InterfaceDescription
from packetlab.errors import CaptureError

NANOSECONDS = 1_000_000_000
_RECORDS = {4: 1, 16: 2, 6: 3, 8: 4}  # bytes of an address -> kind of name record (4.5)


class PcapngSink:
    """Writes frames, and describes each interface before its first frame."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.stream, self.name = stream, name
        self.interfaces: dict[InterfaceDescription, int] = {}
        self.begun = False
        self.head = Section()
        # Names said before any interface, and the blocks after them: editcap and mergecap, which ask a file for its link
        # type first, refuse one that begins with names.
        self.waiting: list[bytes] = []

    def _block(self, kind: int, body: bytes) -> bytes:
        if len(body) + 12 > LARGEST:
            raise CaptureError(self.name, f"blocks of {LARGEST} bytes at most", len(body) + 12)
        size = Struct("<I").pack(len(body) + 12)
        return Struct("<I").pack(kind) + size + body + size

    def _option(self, code: int, value: bytes) -> bytes:
        if len(value) > 0xFFFF:
            raise CaptureError(self.name, "comments and other options of 65535 bytes at most", len(value))
        return Struct("<HH").pack(code, len(value)) + value + bytes(-len(value) % 4)

    def _options(self, options: Iterable[tuple[int, bytes]]) -> bytes:
        """Return options (3.5) and what ends them, or nothing where there are none."""
        kept = [(code, value) for code, value in options if code not in NOT_TO_BE_COPIED]
        if len(kept) > MOST_OPTIONS:
            raise CaptureError(self.name, f"{MOST_OPTIONS} comments and other options of a block at most", len(kept))
        data = b"".join(self._option(code, value) for code, value in kept)
        return data + bytes(4) if data else b""

    def _comments(self, comments: Iterable[str]) -> list[tuple[int, bytes]]:
        return [(1, _bytes(comment)) for comment in comments]

    # Sections and interfaces -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Write the section header, once."""
        if not self.begun:
            self.section(self.head)

    def section(self, head: Section) -> None:
        """Begin a section; interfaces are numbered anew in each (4.2)."""
        self._let_go()
        texts = [
            (code, _bytes(text)) for code, text in ((2, head.hardware), (3, head.os), (4, head.application)) if text
        ]
        options = self._options([*self._comments(head.comments), *texts, *head.options])
        self.stream.write(self._block(SECTION, Struct("<IHHq").pack(0x1A2B3C4D, 1, 0, -1) + options))
        self.begun, self.head = True, head
        self.interfaces = {}

    def interface(self, interface: InterfaceDescription) -> int:
        """Describe an interface unless it is described in this section; return its number."""
        known = self.interfaces.get(interface)
        if known is None:
            if not 0 <= interface.linktype <= 0xFFFF:
                raise CaptureError(self.name, "a link type of 16 bits", interface.linktype)
            if not 0 <= interface.fcs_length < 16:
                raise CaptureError(self.name, "a frame check sequence of 0 to 15 bytes", interface.fcs_length)
            options = [(2, _bytes(interface.name))] if interface.name else []
            options += [(3, _bytes(interface.description))] if interface.description else []
            options += [(9, bytes([9 if (power := _resolution(interface.resolution)) is None else power]))]
            options += [(13, bytes([interface.fcs_length]))] if interface.fcs_length else []
            if len(self.interfaces) == MOST_INTERFACES:
                hint = "section() begins another"
                raise CaptureError(self.name, f"{MOST_INTERFACES} interfaces of a section at most", "more", hint)
            head = Struct("<HHI").pack(interface.linktype, 0, interface.snaplen)
            data = self._block(INTERFACE, head + self._options([*options, *interface.options]))
            self.begin()
            self.stream.write(data)
            known = self.interfaces[interface] = len(self.interfaces)
            self._let_go()
        return known

    def _let_go(self) -> None:
        waiting, self.waiting = self.waiting, []
        for block in waiting:
            self.stream.write(block)

    # Frames ----------------------------------------------------------------------------------------------------

    def write(self, frame: Frame) -> None:
        """Write one frame. CaptureError where the format cannot hold it."""
        time, extras = frame.time_ns or 0, frame.extras
        if not 0 <= time < 1 << 64:
            raise CaptureError(self.name, "a time between 1970 and 2554", f"{time} ns")
        check_lengths(frame, self.name)
        said = self._comments(extras.comments)
        for code, kind, value in ((2, "<I", extras.flags), (4, "<Q", extras.drop_count), (5, "<Q", extras.packet_id)):
            if value is not None:
                said.append((code, Struct(kind).pack(value)))
        options = self._options([*said, *extras.options])
        interface, time = _clock(frame.interface, time)
        which = self.interface(interface)
        size = len(frame.data)
        padded = frame.data + bytes(-size % 4)
        kept = min(frame.wire_length, frame.interface.snaplen or frame.wire_length)
        if frame.time_ns is None and which == 0 and not options and size == kept:
            # The one block without a time; it is always of the first interface and says no kept length (4.4).
            self.stream.write(self._block(SIMPLE_PACKET, Struct("<I").pack(frame.wire_length) + padded))
            return
        head = Struct("<IIIII").pack(which, time >> 32, time & 0xFFFFFFFF, size, frame.wire_length)
        self.stream.write(self._block(PACKET, head + padded + options))

    def write_batch(self, batch: FrameBatch) -> None:
        """Write plain frames (see `records`)."""
        self.begin()
        used = sorted(dict.fromkeys(batch.which.tolist()))
        units = batch_units(batch, used)
        if units is None:
            for frame in batch:
                self.write(frame)
            return
        places = {which: self.interface(batch.interfaces[which]) for which in used}
        write_records(self.stream, pcapng_blocks(batch, places, units))

    def end(self, linktype: int) -> None:
        """Write what a file without frames needs."""
        if not self.begun or self.waiting:
            self.interface(InterfaceDescription(linktype))

    # What else there is ----------------------------------------------------------------------------------------

    def copy(self, block: bytes) -> None:
        """Write a block of another pcapng file as it is; then all of that file's blocks must come, and no frames."""
        self.begun = True
        self.stream.write(block)

    def write_block(self, block: MetadataBlock) -> None:
        """Write what another file says in addition to its frames, as far as it may be copied to a file of other frames.

        Custom data marked as not to be copied and blocks that nobody here understands stay behind (4.9).
        """
        if isinstance(block, Section):
            self.section(block)
        elif isinstance(block, InterfaceDescription):
            self.interface(block)
        elif isinstance(block, Block):
            if block.kind == JOURNAL:  # text without a number in it, so of any byte order
                self._put(block.kind, block.body)
        elif not isinstance(block, Custom) or block.copy:
            self.put(block)

    def put(self, block: Names | Statistics | Secrets | Custom | Block) -> None:
        """Write one block without a frame. CaptureError where the format cannot hold it."""
        if isinstance(block, Names):
            self._put(NAMES, self._names(block))
        elif isinstance(block, Statistics):
            self._put(STATISTICS, self._statistics(block))
        elif isinstance(block, Secrets):
            self._put(SECRETS, self._secrets(block))
        elif isinstance(block, Custom):
            data = block.data + bytes(-len(block.data) % 4)
            self._put(CUSTOM if block.copy else CUSTOM_HERE, Struct("<I").pack(block.pen) + data)
        else:
            if block.kind in (SECTION, INTERFACE, PACKET, SIMPLE_PACKET, OLD_PACKET):
                raise CaptureError(self.name, "a block without a frame", f"type {block.kind:#x}", "write() has frames")
            if block.big_endian or len(block.body) % 4:
                raise CaptureError(self.name, "a little-endian block of whole fours", f"{len(block.body)} bytes")
            self._put(block.kind, block.body)

    def _put(self, kind: int, body: bytes) -> None:
        data = self._block(kind, body)
        self.begin()
        if self.waiting or (kind == NAMES and not self.interfaces):
            self.waiting.append(data)
        else:
            self.stream.write(data)

    def _names(self, block: Names) -> bytes:
        records = [*block.others]
        for address, names in block.entries:
            try:
                raw = address_bytes(address)
            except ValueError:
                raise CaptureError(self.name, "an IP or a MAC address", repr(address)) from None
            records.append(
                (_RECORDS[len(raw)], raw + b"".join(_bytes(name).replace(b"\0", b"") + b"\0" for name in names))
            )
        data = b"".join(self._option(kind, value) for kind, value in records) + bytes(4)
        server = [(2, _bytes(block.server))] if block.server else []
        return data + self._options([*self._comments(block.comments), *server, *block.options])

    def _statistics(self, block: Statistics) -> bytes:
        clock = block.interface  # one that holds all its times
        for time in (block.time_ns, block.start_ns, block.end_ns):
            clock = _clock(clock, time or 0)[0]
        which = self.interface(clock)
        counts = (block.received, block.dropped, block.accepted, block.os_dropped, block.delivered)
        said = self._comments(block.comments)
        times = ((2, block.start_ns), (3, block.end_ns))
        said += [(code, _halves(_clock(clock, time)[1])) for code, time in times if time is not None]
        said += [(code, Struct("<Q").pack(count)) for code, count in enumerate(counts, 4) if count is not None]
        return (
            Struct("<I").pack(which) + _halves(_clock(clock, block.time_ns)[1]) + self._options([*said, *block.options])
        )

    def _secrets(self, block: Secrets) -> bytes:
        kind = block.kind if isinstance(block.kind, int) else SECRETS_KINDS.get(block.kind)
        if kind is None:
            raise CaptureError(self.name, f"secrets: a number or one of {', '.join(SECRETS_KINDS)}", repr(block.kind))
        data = block.data + bytes(-len(block.data) % 4)
        options = self._options([*self._comments(block.comments), *block.options])
        return Struct("<II").pack(kind, len(block.data)) + data + options


def _halves(ticks: int) -> bytes:
    """A time as two words, the high one first, whatever the byte order (4.6)."""
    return Struct("<II").pack(ticks >> 32, ticks & 0xFFFFFFFF)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")  # half a surrogate pair has no UTF-8


def _resolution(ticks: int) -> int | None:
    """Return ticks a second as the option has them (4.2): a power of ten, or of two with the high bit; None for others."""
    power = len(str(ticks)) - 1
    if ticks == 10**power and power < 128:
        return power
    power = ticks.bit_length() - 1
    return 0x80 | power if ticks > 0 and ticks == 1 << power and power < 128 else None


def _clock(interface: InterfaceDescription, time: int) -> tuple[InterfaceDescription, int]:
    """Return an interface and a time in its ticks; one of nanoseconds where its own do not hold the time exactly."""
    ticks = -(-time * interface.resolution // NANOSECONDS)
    exact = 0 <= ticks < 1 << 64 and interface.resolution > 0 and ticks * NANOSECONDS // interface.resolution == time
    if exact and _resolution(interface.resolution) is not None:
        return interface, ticks
    return interface._replace(resolution=NANOSECONDS), time
