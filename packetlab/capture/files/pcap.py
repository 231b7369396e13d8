"""The pcap file format (draft-ietf-opsawg-pcap): in either byte order, micro- and nanosecond, and Kuznetzov's variant."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import BinaryIO, Literal, NamedTuple

from packetlab.capture.batch import FrameBatch
from packetlab.capture.files.records import pcap_records, write_records
from packetlab.capture.files.source import SourceBytes
from packetlab.capture.frame import NOTHING, Frame, InterfaceDescription
from packetlab.errors import CaptureError

MICROSECONDS, NANOSECONDS, KUZNETZOV = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34
LARGEST = 1 << 26  # bytes of a record; more is taken for damage
_LINKTYPE, _FCS_PRESENT = 0xFFFF, 1 << 26  # four bits on top count the 16-bit words of a frame check sequence

_ORDERS: tuple[tuple[Literal["big", "little"], str], ...] = (("big", ">"), ("little", "<"))
MAGICS = {
    magic.to_bytes(4, order): (magic, sign)
    for magic in (MICROSECONDS, NANOSECONDS, KUZNETZOV)
    for order, sign in _ORDERS
}
"""First four bytes -> (magic, byte order for struct)."""


class Layout(NamedTuple):
    """What the file header says of the records: byte order for struct, size of a record header, nanoseconds a unit."""

    sign: str
    size: int
    scale: int
    interface: InterfaceDescription


def read_header(data: SourceBytes) -> Layout:
    """Take the file header. CaptureError where it is none."""
    if not data.have(24):
        raise data.short("a pcap file header", 24)
    magic, sign = MAGICS[bytes(data.data[data.pos : data.pos + 4])]
    major, minor, _, _, snaplen, network = Struct(sign + "HHiIII").unpack_from(data.data, data.pos + 4)
    if major != 2:
        raise CaptureError(f"{data.source.name}, byte {data.offset + 4}", "pcap version 2", f"{major}.{minor}")
    data.pos += 24
    scale = 1 if magic == NANOSECONDS else 1000
    check = 2 * (network >> 28) if network & _FCS_PRESENT else 0
    interface = InterfaceDescription(network & _LINKTYPE, snaplen, resolution=1_000_000_000 // scale, fcs_length=check)
    # Kuznetzov's has interface, protocol and packet type as well
    return Layout(sign, 24 if magic == KUZNETZOV else 16, scale, interface)


def read_on(data: SourceBytes, layout: Layout) -> None:
    """Have one more whole record at hand, or raise CaptureError; only where a record header is at hand."""
    _, _, captured, _ = Struct(layout.sign + "IIII").unpack_from(data.data, data.pos)
    if captured > LARGEST:
        where = f"{data.source.name}, byte {data.offset}"
        raise CaptureError(where, f"a record of {LARGEST} bytes at most", captured)
    if not data.have(layout.size + captured):
        raise data.short("a record", layout.size + captured)


def read_pcap(data: SourceBytes) -> Iterator[Frame]:
    """Yield the frames; CaptureError after the last whole one where the file is damaged or ends inside a record."""
    layout = read_header(data)
    size, scale, interface = layout.size, layout.scale, layout.interface
    unpack, new = Struct(layout.sign + "IIII").unpack_from, Frame.__new__
    number, second = 0, 1_000_000_000 // scale
    while data.have(size):
        buffer, pos, end = data.data, data.pos, len(data.data)
        while pos + size <= end:
            seconds, fraction, captured, original = unpack(buffer, pos)
            stop = pos + size + captured
            if stop > end:
                break
            number += 1
            frame = new(Frame)
            frame.data = buffer[pos + size : stop]
            frame.time_ns = seconds * 1_000_000_000 + fraction * scale
            frame.wire_length = original
            frame.interface = interface
            frame.number = number
            frame.extras = NOTHING
            data.pos = pos = stop
            if fraction >= second:
                data.note_late(number, fraction, scale)
            yield frame
        data.pos = pos
        if pos + size <= end:
            read_on(data, layout)
    if data.left() or data.source.fault:
        raise data.short("a record header", size)


def check_lengths(frame: Frame, name: str) -> None:
    """CaptureError for a frame that no format holds, or that no reader would take back."""
    if len(frame.data) > LARGEST:
        raise CaptureError(name, f"frames of {LARGEST} bytes at most", len(frame.data))
    if not 0 <= frame.wire_length < 1 << 32:
        raise CaptureError(name, "a wire length of 32 bits", frame.wire_length)


_HEADER = Struct("<IHHiIII")
_RECORD = Struct("<IIII")


class PcapSink:
    """Writes frames of one link type, little-endian, with nanoseconds."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.stream, self.name = stream, name
        self.linktype: int | None = None

    def begin(self, linktype: int, interface: InterfaceDescription | None = None) -> None:
        """Write the file header."""
        if not 0 <= linktype <= _LINKTYPE:
            raise CaptureError(self.name, "a link type of 16 bits", linktype)
        check = min(interface.fcs_length // 2, 15) if interface is not None else 0
        network = linktype | (_FCS_PRESENT | check << 28 if check else 0)
        self.stream.write(_HEADER.pack(NANOSECONDS, 2, 4, 0, 0, 262144, network))
        self.linktype = linktype

    def write(self, frame: Frame) -> None:
        """Write one frame. CaptureError where the format cannot hold it."""
        if self.linktype is None:
            self.begin(frame.linktype, frame.interface)
        if frame.linktype != self.linktype:
            raise self._other(frame.linktype)
        seconds, fraction = divmod(frame.time_ns or 0, 1_000_000_000)
        if not 0 <= seconds < 1 << 32:
            raise CaptureError(self.name, "a time between 1970 and 2106", f"{seconds} s")
        check_lengths(frame, self.name)
        self.stream.write(_RECORD.pack(seconds, fraction, len(frame.data), frame.wire_length) + frame.data)

    def write_batch(self, batch: FrameBatch) -> None:
        """Write plain frames (see `records`), all or none. CaptureError where one has another link type."""
        used = [batch.interfaces[which] for which in dict.fromkeys(batch.which.tolist())]
        if self.linktype is None:
            self.begin(used[0].linktype, used[0])
        for interface in used:
            if interface.linktype != self.linktype:
                raise self._other(interface.linktype)
        write_records(self.stream, pcap_records(batch))

    def _other(self, linktype: int) -> CaptureError:
        return CaptureError(self.name, f"frames of link type {self.linktype}", linktype, "pcapng holds several")

    def end(self, linktype: int) -> None:
        """Write what a file without frames needs."""
        if self.linktype is None:
            self.begin(linktype)
