"""Reading the pcapng file format (draft-ietf-opsawg-pcapng): sections, interfaces, packets with options.

Blocks that hold no packet (names, statistics, secrets, custom and unknown ones) give no frames; they are there as
`Block`. Section numbers below are the draft's. It knows nothing of writing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct, error as struct_error
from typing import NamedTuple

from packetlab.capture.files.blocks import (
    Block,
    MetadataBlock,
    kept,
    options_of,
    read_block,
    section as section_of,
    words,
)
from packetlab.capture.files.source import SourceBytes
from packetlab.capture.frame import NOTHING, Extras, Frame, InterfaceDescription
from packetlab.errors import CaptureError

SECTION, INTERFACE, OLD_PACKET, SIMPLE_PACKET, PACKET = 0x0A0D0D0A, 1, 2, 3, 6
MAGIC = SECTION.to_bytes(4, "big")
LARGEST = 1 << 26  # bytes of a block; more is taken for damage
MOST_INTERFACES = 65_536  # of a section
DESCRIBED = LARGEST  # bytes of all interface descriptions of a section, an option counted as OPTION as well
OPTION = 64
NANOSECONDS = 1_000_000_000
BIG, _LITTLE = b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"
# Where other options hold a number: of an interface (4.2: speeds, time zone), of a packet (4.3: queue).
_NUMBERS_OF_INTERFACE = {8: 8, 10: 4, 16: 8, 17: 8}
_NUMBERS_OF_PACKET = {6: 4}


_READ = (SECTION, INTERFACE, OLD_PACKET, SIMPLE_PACKET, PACKET)
_HEADS = {sign: Struct(sign + "II").unpack_from for sign in "<>"}

Listener = Callable[[MetadataBlock], object]


def read_metadata(data: SourceBytes) -> Iterator[MetadataBlock | Frame]:
    """Yield what every block says, frames too, in order. CaptureError as in `Reader.frames`."""
    noted: list[MetadataBlock] = []
    reader = Reader(data, noted.append)
    while data.have(12):
        frame, _, _ = reader.take()
        yield from noted if frame is None else (frame,)
        noted.clear()
    reader.ended()


class Known(NamedTuple):
    """What a reader knows of a section: byte order, number, interfaces, their clocks, bytes of their descriptions."""

    sign: str
    section: int
    interfaces: tuple[InterfaceDescription, ...]
    clocks: tuple[tuple[int, int], ...]
    described: int


class Mark(NamedTuple):
    """Where reading can begin in a file: at which byte, after how many frames, and what is known there (None: of pcap)."""

    place: int
    frames: int
    known: Known | None = None


class Reader:
    """Reads blocks one by one, and keeps what the section and its interfaces are.

    `listener` is called with what each block says that holds no frame.
    """

    def __init__(self, data: SourceBytes, listener: Listener | None = None) -> None:
        self.data, self.listener = data, listener
        self.sign = "<"
        self.section = -1
        self.interfaces: list[InterfaceDescription] = []
        self.clocks: list[tuple[int, int]] = []  # nanoseconds a tick (0: not whole ones), nanoseconds to add
        self.described = 0  # bytes of memory that the descriptions of interfaces take, about
        self.number = 0
        # Sections and interfaces may be as many as the file has room for. One that is said again is not read again.
        self.begun = b""
        self.alike = "", b""
        self.model = InterfaceDescription(), (1, 0), 0

    def known(self) -> Known:
        """Return what is known of the section so far: what the blocks that follow need."""
        return Known(self.sign, self.section, tuple(self.interfaces), tuple(self.clocks), self.described)

    def go_on(self, mark: Mark) -> None:
        """Go on at a mark, as if all before had been read. CaptureError where the source cannot."""
        self.data.move(mark.place)
        self.number = mark.frames
        if mark.known is not None:
            self.sign, self.section, interfaces, clocks, self.described = mark.known
            self.interfaces, self.clocks = [*interfaces], [*clocks]

    def error(self, expected: str, got: object, hint: str = "") -> CaptureError:
        return CaptureError(f"{self.data.source.name}, block at byte {self.data.offset}", expected, got, hint)

    def frames(self, tap: Callable[[bytes], object] | None) -> Iterator[Frame]:
        """Yield the frames; CaptureError after the last whole one where the file is damaged or ends inside a block.

        `tap` is called with every whole block, before the frame that is in it.
        """
        data = self.data
        while data.have(12):
            if tap is None:
                yield from self.plain_packets()
                if self.listener is None:
                    self.pass_over()
                if not data.have(12):
                    break
            frame, _, size = self.take()
            if tap is not None:
                tap(data.data[data.pos - size : data.pos])
            if frame is not None:
                yield frame
        self.ended()

    def take(self) -> tuple[Frame | None, int, int]:
        """Take one block: return the frame in it, or tell the listener what it says; and the block's type and size."""
        kind, body = self.block()
        try:
            frame = self.packet(kind, body)
        except struct_error:
            raise self.error("a whole block", f"{len(body)} bytes for a block of type {kind}") from None
        if frame is None:
            self.other(kind, body)
        size = len(body) + 12
        self.data.pos += size
        return frame, kind, size

    def ended(self) -> None:
        """CaptureError where the source ended inside a block."""
        if self.data.left() or self.data.source.fault:
            raise self.data.short("a block", 12)

    def plain_packets(self) -> Iterator[Frame]:
        """Yield the frames of packet blocks without options as long as they are whole: most of most files."""
        data = self.data
        buffer, pos, end = data.data, data.pos, len(data.data)
        unpack, new = Struct(self.sign + "7I").unpack_from, Frame.__new__
        interfaces, clocks, number = self.interfaces, self.clocks, self.number
        known = len(clocks)
        while pos + 32 <= end:
            kind, size, which, high, low, captured, original = unpack(buffer, pos)
            stop = pos + size
            if (
                kind != PACKET
                or size != (captured + 3 & ~3) + 32
                or stop > end
                or which >= known
                or buffer[pos + 4 : pos + 8] != buffer[stop - 4 : stop]
            ):
                return  # `block` knows what to say
            scale, offset = clocks[which]
            if not scale:
                return
            number += 1
            frame = new(Frame)
            frame.data = buffer[pos + 28 : pos + 28 + captured]
            frame.time_ns = (high << 32 | low) * scale + offset
            frame.wire_length = original
            frame.interface = interfaces[which]
            frame.number = number
            frame.extras = NOTHING
            data.pos = pos = stop
            self.number = number
            yield frame

    def pass_over(self, sections: bool = True) -> None:
        """Go over whole blocks that hold no frame and say nothing new of frames, where nobody listens to them."""
        data = self.data
        raw, pos, end, head = data.data, data.pos, len(data.data), _HEADS[self.sign]
        while pos + 12 <= end:
            kind, size = head(raw, pos)
            stop = pos + size
            if not 12 <= size <= LARGEST or size % 4 or stop > end or raw[pos + 4 : pos + 8] != raw[stop - 4 : stop]:
                break  # `block` knows what to say
            if kind in _READ:
                body = raw[pos + 8 : stop - 4]
                if kind == SECTION and sections and body == self.begun:
                    self.begin_section(self.begun)
                elif kind == INTERFACE and body == self.alike[1] and len(self.interfaces) < MOST_INTERFACES:
                    data.pos = pos  # for errors
                    self.begin_interface(self.alike[1])
                else:
                    break
            pos = stop
        data.pos = pos

    def blocks(self) -> Iterator[Block]:
        """Yield every block, whatever its kind. CaptureError as in `frames`."""
        while self.data.have(12):
            kind, body = self.block()
            if kind == SECTION:
                self.begin_section(body)
            self.data.pos += len(body) + 12
            yield Block(kind, body, self.sign == ">", self.section)
        self.ended()

    def block(self) -> tuple[int, bytes]:
        """Return type and body of the next block (3.1), without moving on."""
        data = self.data
        if data.data[data.pos : data.pos + 4] == MAGIC:
            # The byte order of the length is given after it (4.1).
            order = data.data[data.pos + 8 : data.pos + 12]
            if order not in (BIG, _LITTLE):
                raise self.error("a byte-order magic", order.hex())
            self.sign = ">" if order == BIG else "<"
        kind, size = _HEADS[self.sign](data.data, data.pos)
        if size < 12 or size % 4 or size > LARGEST:
            hint = (
                "early drafts of pcapng (.ntar) had such lengths: tshark -r FILE -w NEW reads them" if size % 4 else ""
            )
            raise self.error(f"a block length of 12 to {LARGEST}, in fours", size, hint)
        if not data.have(size):
            raise data.short("a block", size)
        if data.data[data.pos + 4 : data.pos + 8] != data.data[data.pos + size - 4 : data.pos + size]:
            (again,) = Struct(self.sign + "I").unpack_from(data.data, data.pos + size - 4)
            raise self.error(f"the block length {size} again at its end", again)
        return kind, bytes(data.data[data.pos + 8 : data.pos + size - 4])

    def other(self, kind: int, body: bytes) -> None:
        """Take a block that holds no frame."""
        block: MetadataBlock | None = None
        if kind == SECTION:
            self.begin_section(body)
            if self.listener is not None:
                block = section_of(body, self.sign, "")
        elif kind == INTERFACE:
            self.begin_interface(body)
            block = self.interfaces[-1]
        elif self.listener is not None:
            block = read_block(kind, body, self.sign, self.section, self.interfaces)
        if self.listener is not None and block is not None:
            self.listener(block)

    def begin_section(self, body: bytes) -> None:
        if body != self.begun:
            if len(body) < 16:
                raise self.error("a section header of 16 bytes or more", len(body))
            major, minor = Struct(self.sign + "HH").unpack_from(body, 4)
            if major != 1 or minor not in (0, 2):  # 1.2 was never meant to be, and is to be read as 1.0 (4.1)
                raise self.error("version 1.0", f"{major}.{minor}")
            self.options(body, 16)
            self.begun = body
        self.section += 1
        self.interfaces, self.clocks, self.described = [], [], 0  # numbered anew in each section (4.2)

    def options(self, body: bytes, at: int) -> list[tuple[int, bytes]]:
        """Return the options (3.5) from `at` on."""
        return options_of(body, at, self.sign, f"{self.data.source.name}, block at byte {self.data.offset}")

    def begin_interface(self, body: bytes) -> None:
        number = len(self.interfaces)
        if self.alike != (self.sign, body):
            interface, cost = self.interface(body)
            whole = NANOSECONDS % interface.resolution == 0
            clock = NANOSECONDS // interface.resolution if whole else 0, interface.offset * NANOSECONDS
            self.alike, self.model = (self.sign, body), (interface, clock, cost)
        interface, clock, cost = self.model
        self.described += cost
        if number == MOST_INTERFACES:
            raise self.error(f"{MOST_INTERFACES} interfaces of a section at most", "more")
        if self.described > DESCRIBED:
            raise self.error(f"descriptions of interfaces of {DESCRIBED} bytes in a section at most", self.described)
        self.interfaces.append(InterfaceDescription(*interface[:6], number, self.section, *interface[8:]))
        self.clocks.append(clock)

    def interface(self, body: bytes) -> tuple[InterfaceDescription, int]:
        """Return what an interface description (4.2) says, whichever interface it is of; and what it takes of DESCRIBED."""
        if len(body) < 8:
            raise self.error("an interface description of 8 bytes or more", len(body))
        options = self.options(body, 8)
        linktype, _, snaplen = Struct(self.sign + "HHI").unpack_from(body)
        name = description = ""
        resolution, offset, check = 1_000_000, 0, 0
        others = []
        for code, value in options:
            if code == 2:
                name = words(value)
            elif code == 3:
                description = words(value)
            elif code == 9 and value:
                resolution = 1 << (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == 13 and value:
                # The draft says bits and gives 4 as its example; writers mean bytes by such small numbers.
                check = value[0] if value[0] < 16 else value[0] // 8
            elif code == 14 and len(value) == 8:
                (offset,) = Struct(self.sign + "q").unpack(value)
            else:
                others.append(kept(code, value, self.sign, _NUMBERS_OF_INTERFACE))
        made = InterfaceDescription(
            linktype, snaplen, name, description, resolution, offset, fcs_length=check, options=tuple(others)
        )
        return made, len(body) + OPTION * len(options)

    def packet(self, kind: int, body: bytes) -> Frame | None:
        """Return the frame of a block that holds one."""
        lost: int | None = None
        if kind == PACKET:
            which, high, low, captured, original = Struct(self.sign + "IIIII").unpack_from(body)
            start = 20
        elif kind == OLD_PACKET:
            which, drops, high, low, captured, original = Struct(self.sign + "HHIIII").unpack_from(body)
            start = 20
            lost = drops if drops != 0xFFFF else None  # all ones: not known (A)
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
        if lost is not None and extras.drop_count is None:
            extras = extras._replace(drop_count=lost)
        self.number += 1
        return Frame(
            body[start : start + captured], time, wire_length=original, interface=interface, number=self.number,
            extras=extras,
        )  # fmt: skip

    def extras(self, body: bytes, at: int) -> Extras:
        comments, others = [], []
        numbers: dict[int, int] = {}
        for code, value in self.options(body, at):
            if code == 1:
                comments.append(words(value))
            elif (code, len(value)) in ((2, 4), (4, 8), (5, 8)):
                (numbers[code],) = Struct(self.sign + ("I" if code == 2 else "Q")).unpack(value)
            else:
                others.append(kept(code, value, self.sign, _NUMBERS_OF_PACKET))
        if not comments and not numbers and not others:
            return NOTHING
        return Extras(tuple(comments), numbers.get(2), numbers.get(4), numbers.get(5), tuple(others))
