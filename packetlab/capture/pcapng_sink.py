"""Writing the pcapng file format (draft-ietf-opsawg-pcapng; section numbers below are the draft's).

One little-endian section, times in nanoseconds; nothing of the machine or the hour goes in, so the same frames make the
same file. It knows nothing of reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import BinaryIO

from packetlab.capture.batch import FrameBatch
from packetlab.capture.frame import Frame, Interface
from packetlab.capture.pcap import check_lengths
from packetlab.capture.pcapng import INTERFACE, LARGEST, PACKET, SECTION, SIMPLE_PACKET
from packetlab.capture.records import pcapng_blocks
from packetlab.errors import CaptureError

_NOT_TO_BE_COPIED = (19372, 19373)  # custom options that hold for the file they were written to only (3.5.1)


class PcapngSink:
    """Writes frames, and describes each interface before its first frame."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.stream, self.name = stream, name
        self.interfaces: dict[Interface, int] = {}
        self.begun = False

    def _block(self, kind: int, body: bytes) -> bytes:
        if len(body) + 12 > LARGEST:
            raise CaptureError(self.name, f"blocks of {LARGEST} bytes at most", len(body) + 12)
        size = Struct("<I").pack(len(body) + 12)
        return Struct("<I").pack(kind) + size + body + size

    def _option(self, code: int, value: bytes) -> bytes:
        if len(value) > 0xFFFF:
            raise CaptureError(self.name, "comments and other options of 65535 bytes at most", len(value))
        return Struct("<HH").pack(code, len(value)) + value + bytes(-len(value) % 4)

    def _others(self, options: Iterable[tuple[int, bytes]]) -> bytes:
        return b"".join(self._option(code, value) for code, value in options if code not in _NOT_TO_BE_COPIED)

    def begin(self) -> None:
        """Write the section header, once."""
        if not self.begun:
            self.begun = True
            self.stream.write(self._block(SECTION, Struct("<IHHq").pack(0x1A2B3C4D, 1, 0, -1)))

    def copy(self, block: bytes) -> None:
        """Write a block of another pcapng file as it is; then all of that file's blocks must come, and no frames."""
        self.begun = True
        self.stream.write(block)

    def _interface(self, interface: Interface) -> int:
        known = self.interfaces.get(interface)
        if known is None:
            if not 0 <= interface.linktype <= 0xFFFF:
                raise CaptureError(self.name, "a link type of 16 bits", interface.linktype)
            if not 0 <= interface.fcs_length < 16:
                raise CaptureError(self.name, "a frame check sequence of 0 to 15 bytes", interface.fcs_length)
            options = self._option(2, _bytes(interface.name)) if interface.name else b""
            options += self._option(3, _bytes(interface.description)) if interface.description else b""
            options += self._option(9, b"\x09")
            options += self._option(13, bytes([interface.fcs_length])) if interface.fcs_length else b""
            options += self._others(interface.options)
            head = Struct("<HHI").pack(interface.linktype, 0, interface.snaplen)
            self.stream.write(self._block(INTERFACE, head + options + bytes(4)))
            known = self.interfaces[interface] = len(self.interfaces)
        return known

    def write(self, frame: Frame) -> None:
        """Write one frame. CaptureError where the format cannot hold it."""
        time, extras = frame.time_ns or 0, frame.extras
        if not 0 <= time < 1 << 64:
            raise CaptureError(self.name, "a time between 1970 and 2554", f"{time} ns")
        check_lengths(frame, self.name)
        options = b"".join(self._option(1, _bytes(comment)) for comment in extras.comments)
        for code, kind, value in ((2, "<I", extras.flags), (4, "<Q", extras.drop_count), (5, "<Q", extras.packet_id)):
            if value is not None:
                options += self._option(code, Struct(kind).pack(value))
        options += self._others(extras.options)
        if options:
            options += bytes(4)
        self.begin()
        which = self._interface(frame.interface)
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
        places = {which: self._interface(batch.interfaces[which]) for which in used}
        self.stream.write(pcapng_blocks(batch, places))

    def end(self, linktype: int) -> None:
        """Write what a file without frames needs."""
        if not self.begun:
            self.begin()
            self._interface(Interface(linktype))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")  # half a surrogate pair has no UTF-8
