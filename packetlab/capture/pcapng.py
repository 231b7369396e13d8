"""The pcapng file format (draft-ietf-opsawg-pcapng): sections, interfaces, packets with options.

Blocks that hold no packet (names, statistics, secrets, custom and unknown ones) are passed over. Section numbers below
are the draft's.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from struct import error as struct_error
from typing import BinaryIO

from packetlab.capture.frame import NOTHING, Extras, Frame, Interface
from packetlab.capture.source import Bytes
from packetlab.errors import CaptureError

SECTION, INTERFACE, OLD_PACKET, SIMPLE_PACKET, PACKET = 0x0A0D0D0A, 1, 2, 3, 6
MAGIC = SECTION.to_bytes(4, "big")
LARGEST = 1 << 26  # bytes of a block; more is taken for damage
NANOSECONDS = 1_000_000_000


def read_pcapng(data: Bytes) -> Iterator[Frame]:
    """Yield the frames; CaptureError behind the last whole one where the file is damaged or ends inside a block."""
    return _Reader(data).frames()


class _Reader:
    def __init__(self, data: Bytes) -> None:
        self.data = data
        self.sign = "<"
        self.section = -1
        self.interfaces: list[Interface] = []
        self.number = 0

    def error(self, expected: str, got: object) -> CaptureError:
        return CaptureError(f"{self.data.source.name}, block at byte {self.data.offset}", expected, got)

    def frames(self) -> Iterator[Frame]:
        while self.data.have(12):
            kind, body = self.block()
            try:
                frame = self.packet(kind, body)
            except struct_error:
                raise self.error("a whole block", f"{len(body)} bytes for a block of type {kind}") from None
            if kind == SECTION:
                self.begin_section(body)
            elif kind == INTERFACE:
                self.interfaces.append(self.interface(body))
            self.data.pos += len(body) + 12
            if frame is not None:
                yield frame
        if self.data.left() or self.data.source.fault:
            raise self.data.short("a block", 12)

    def block(self) -> tuple[int, bytes]:
        """Return type and body of the next block (3.1), without moving on."""
        data = self.data
        if data.data[data.pos : data.pos + 4] == MAGIC:
            # The byte order of the length is told behind it (4.1).
            order = data.data[data.pos + 8 : data.pos + 12]
            if order not in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"):
                raise self.error("a byte-order magic", order.hex())
            self.sign = ">" if order == b"\x1a\x2b\x3c\x4d" else "<"
        kind, size = Struct(self.sign + "II").unpack_from(data.data, data.pos)
        if size < 12 or size % 4 or size > LARGEST:
            raise self.error(f"a block length of 12 to {LARGEST}, in fours", size)
        if not data.have(size):
            raise data.short("a block", size)
        (again,) = Struct(self.sign + "I").unpack_from(data.data, data.pos + size - 4)
        if again != size:
            raise self.error(f"the block length {size} again at its end", again)
        return kind, data.data[data.pos + 8 : data.pos + size - 4]

    def begin_section(self, body: bytes) -> None:
        if len(body) < 16:
            raise self.error("a section header of 16 bytes or more", len(body))
        major, minor = Struct(self.sign + "HH").unpack_from(body, 4)
        if major != 1:
            raise self.error("version 1", f"{major}.{minor}")
        self.options(body, 16)
        self.section += 1
        self.interfaces = []  # numbered anew in each section (4.2)

    def options(self, body: bytes, at: int) -> list[tuple[int, bytes]]:
        """Return the options (3.5) from `at` on."""
        found = []
        unpack = Struct(self.sign + "HH").unpack_from
        while at + 4 <= len(body):
            code, size = unpack(body, at)
            if code == 0:
                break
            if at + 4 + size > len(body):
                raise self.error(f"an option of {len(body) - at - 4} bytes at most", size)
            found.append((code, body[at + 4 : at + 4 + size]))
            at += 4 + size + -size % 4
        return found

    def interface(self, body: bytes) -> Interface:
        if len(body) < 8:
            raise self.error("an interface description of 8 bytes or more", len(body))
        linktype, _, snaplen = Struct(self.sign + "HHI").unpack_from(body)
        name = description = ""
        resolution, offset = 1_000_000, 0
        for code, value in self.options(body, 8):
            if code == 2:
                name = _text(value)
            elif code == 3:
                description = _text(value)
            elif code == 9 and value:
                resolution = 1 << (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == 14 and len(value) == 8:
                (offset,) = Struct(self.sign + "q").unpack(value)
        return Interface(linktype, snaplen, name, description, resolution, offset, len(self.interfaces), self.section)

    def packet(self, kind: int, body: bytes) -> Frame | None:
        """Return the frame of a block that holds one."""
        if kind == PACKET:
            which, high, low, captured, original = Struct(self.sign + "IIIII").unpack_from(body)
            start = 20
        elif kind == OLD_PACKET:
            which, _, high, low, captured, original = Struct(self.sign + "HHIIII").unpack_from(body)
            start = 20
        elif kind == SIMPLE_PACKET:
            (original,) = Struct(self.sign + "I").unpack_from(body)
            which, high, low, start = 0, None, None, 4
            # The length kept is not said: the whole, or as much as the first interface keeps (4.4).
            limit = self.interfaces[0].snaplen if self.interfaces else 0
            captured = min(original, limit or original, len(body) - 4)
        else:
            return None
        if which >= len(self.interfaces):
            raise self.error(f"one of the {len(self.interfaces)} interfaces described", which)
        if start + captured > len(body):
            raise self.error(f"a packet of {len(body) - start} bytes at most", captured)
        interface = self.interfaces[which]
        time = None
        if high is not None:
            ticks = high << 32 | low
            time = ticks * NANOSECONDS // interface.resolution + interface.offset * NANOSECONDS
        extras = NOTHING
        after = start + captured + -captured % 4
        if kind != SIMPLE_PACKET and after < len(body):
            extras = self.extras(body, after)
        self.number += 1
        return Frame(
            body[start : start + captured], time, wire_length=original, interface=interface, number=self.number,
            extras=extras,
        )  # fmt: skip

    def extras(self, body: bytes, at: int) -> Extras:
        comments = []
        numbers: dict[int, int] = {}
        for code, value in self.options(body, at):
            if code == 1:
                comments.append(_text(value))
            elif (code, len(value)) in ((2, 4), (4, 8), (5, 8)):
                (numbers[code],) = Struct(self.sign + ("I" if code == 2 else "Q")).unpack(value)
        if not comments and not numbers:
            return NOTHING
        return Extras(tuple(comments), numbers.get(2), numbers.get(4), numbers.get(5))


def _text(value: bytes) -> str:
    # Strings are UTF-8 without a terminator (3.5); some writers add one, and then what lay behind it.
    return value.split(b"\0")[0].decode("utf-8", "backslashreplace")


class PcapngSink:
    """Writes frames in one little-endian section with nanosecond times; nothing of the machine or the hour goes in."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.stream, self.name = stream, name
        self.interfaces: dict[tuple[int, int, str, str, int, int], int] = {}
        self._block(SECTION, Struct("<IHHq").pack(0x1A2B3C4D, 1, 0, -1))

    def _block(self, kind: int, body: bytes) -> None:
        size = Struct("<I").pack(len(body) + 12)
        self.stream.write(Struct("<I").pack(kind) + size + body + size)

    def _interface(self, interface: Interface) -> int:
        known = (
            interface.linktype,
            interface.snaplen,
            interface.name,
            interface.description,
            interface.number,
            interface.section,
        )
        if known not in self.interfaces:
            self.interfaces[known] = len(self.interfaces)
            options = _option(2, interface.name.encode()) if interface.name else b""
            options += _option(3, interface.description.encode()) if interface.description else b""
            options += _option(9, b"\x09") + bytes(4)
            self._block(INTERFACE, Struct("<HHI").pack(interface.linktype, 0, interface.snaplen) + options)
        return self.interfaces[known]

    def write(self, frame: Frame) -> None:
        """Write one frame. CaptureError where the format cannot hold it."""
        time, extras = frame.time_ns or 0, frame.extras
        if not 0 <= time < 1 << 64:
            raise CaptureError(self.name, "a time between 1970 and 2554", f"{time} ns")
        which = self._interface(frame.interface)
        options = b"".join(_option(1, comment.encode("utf-8", "surrogateescape")) for comment in extras.comments)
        for code, kind, value in ((2, "<I", extras.flags), (4, "<Q", extras.drop_count), (5, "<Q", extras.packet_id)):
            if value is not None:
                options += _option(code, Struct(kind).pack(value))
        if options:
            options += bytes(4)
        size = len(frame.data)
        if (
            frame.time_ns is None
            and which == 0
            and not options
            and frame.wire_length == size
            and not frame.interface.snaplen
        ):
            self._block(SIMPLE_PACKET, Struct("<I").pack(size) + frame.data + bytes(-size % 4))
            return
        head = Struct("<IIIII").pack(which, time >> 32, time & 0xFFFFFFFF, size, frame.wire_length)
        self._block(PACKET, head + frame.data + bytes(-size % 4) + options)

    def end(self, linktype: int) -> None:
        """Write what a file without frames needs."""
        if not self.interfaces:
            self._interface(Interface(linktype))


def _option(code: int, value: bytes) -> bytes:
    return Struct("<HH").pack(code, len(value)) + value + bytes(-len(value) % 4)
