"""Writer: frames into a file, a pipe or a file object, as they come, and what else pcapng says. It reads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from struct import error as struct_error
from typing import TYPE_CHECKING, BinaryIO

from packetlab.capture.batch import FrameBatch
from packetlab.capture.files.blocks import Block, Custom, MetadataBlock, Names, Secrets, Section, Statistics
from packetlab.capture.files.declarations import encode_declarations, is_offer
from packetlab.capture.files.pcap import PcapSink
from packetlab.capture.files.pcapng_write import PcapngSink
from packetlab.capture.files.records import plain
from packetlab.capture.files.sink import open_sink
from packetlab.capture.frame import Frame, InterfaceDescription
from packetlab.errors import CaptureError, suggestion
from packetlab.packet.coerce import first_header_of
from packetlab.protocols.linktypes import linktype_of
from packetlab.renamed import renamed

if TYPE_CHECKING:
    from packetlab.packet.packet import Header


def format_of(name: str) -> str:
    """Return the format that a file of some name gets, packed or not."""
    return "pcap" if [e for e in Path(name).suffixes if e not in (".gz", ".zst", ".lz4")][-1:] == [".pcap"] else "pcapng"


class Writer:
    """Writes frames to a file as they come; use it in a `with`.

    The format is pcapng, or pcap where the name ends so (before .gz, .zst or .lz4) or `format` says it. pcap is written
    with nanoseconds and holds one link type. Nothing but what it is given goes in: the same frames make the same file. A
    frame without a time gets time 0 where the format must say one. Blocks reach a file whole, some at a time, so what
    a killed program leaves can be read; `flush` hands on what waits. Of a packed file (.gz, .zst, .lz4) that was never
    closed only what was flushed is sure to be there. Where the disk is full that is an OSError, and a plain file then ends
    with its last whole block.

    `linktype` is that of bytes, of headers that no link begins with, and of a file without frames; other packets and frames
    know theirs.

    `section` says on what and with what was captured, and comments on the whole. `declare` are headers of your own,
    whose declarations then travel in the file: programs that open it are offered them (`Capture.declarations`).
    """

    def __init__(
        self,
        where: str | Path | BinaryIO,
        format: str | None = None,
        *,
        linktype: int = 1,
        section: Section = Section(),
        declare: Iterable[type[Header]] = (),
    ) -> None:
        named = isinstance(where, (str, Path))
        self.name = str(where) if named else str(getattr(where, "name", "stream"))
        if format is None:
            format = format_of(self.name) if named else "pcapng"
        if format not in ("pcap", "pcapng"):
            raise CaptureError(self.name, "format pcap or pcapng", format)
        self.format = format
        self._offered = encode_declarations(declare)
        if format == "pcap" and (self._offered or section != Section()):
            raise CaptureError(self.name, "pcapng to hold a section's words and declarations", format)
        self._own = named and where != "-"
        self._stream: BinaryIO = open_sink(where) if isinstance(where, (str, Path)) else where
        self._sink: PcapSink | PcapngSink = (PcapSink if format == "pcap" else PcapngSink)(self._stream, self.name)
        if isinstance(self._sink, PcapngSink):
            self._sink.head = self._with_offer(section)
        self._linktype = linktype
        self.count = 0

    def write(self, frame: object) -> None:
        """Write one frame, or whatever is a packet (see `Frame.of`).

        CaptureError where the format cannot hold it; then nothing of the frame is in the file.
        """
        if type(frame) is not Frame:
            frame = self._framed(frame)
        try:
            self._sink.write(frame)
        except struct_error as error:
            raise CaptureError(self.name, f"numbers that fit {self.format}", str(error)) from None
        self.count += 1

    def _framed(self, packet: object) -> Frame:
        """Return whatever is a packet as a frame, of the writer's own link type where it has none."""
        frame = Frame.of(packet)
        if isinstance(packet, Frame) or linktype_of(first_header_of(packet)) is not None:
            return frame
        return Frame(frame.data, frame.time_ns, self._linktype)

    def write_batch(self, batch: FrameBatch) -> None:
        """Write the frames of a batch, in one piece where they are plain. CaptureError as in `write`."""
        if plain(batch):
            self._sink.write_batch(batch)
            self.count += len(batch)
        else:
            for frame in batch:
                self.write(frame)

    # What pcapng holds other than frames ----------------------------------------------------------------------------

    @contextmanager
    def _blocks(self, what: str) -> Iterator[PcapngSink]:
        if not isinstance(self._sink, PcapngSink):
            raise CaptureError(self.name, f"pcapng to hold {what}", self.format)
        try:
            yield self._sink
        except struct_error as error:
            raise CaptureError(self.name, f"numbers that fit {self.format}", str(error)) from None

    def section(self, section: Section) -> None:
        """Begin a section: on what and with what was captured from here on. Interfaces are described anew in each."""
        with self._blocks("sections") as sink:
            sink.section(self._with_offer(section))

    def comment(self, *comments: str) -> None:
        """Comment on the whole. CaptureError once something is written: the words stand at the beginning."""
        with self._blocks("comments") as sink:
            if sink.begun:
                raise CaptureError(self.name, "comments on the whole before the first frame", "one after it")
            sink.head = sink.head._replace(comments=(*sink.head.comments, *comments))

    def interface(self, interface: InterfaceDescription) -> None:
        """Describe an interface, though it may have no frames; one that has them is described without this."""
        with self._blocks("interfaces") as sink:
            sink.interface(interface)

    def names(self, names: Mapping[str, str | Iterable[str]] | Names) -> None:
        """Say what addresses are called: {address in words: name or names}."""
        with self._blocks("names") as sink:
            try:
                sink.put(names if isinstance(names, Names) else Names.of(names))
            except ValueError as error:
                raise CaptureError(self.name, "an IP or a MAC address", str(error)) from None

    def statistics(self, interface: InterfaceDescription, *, time_ns: int = 0, **counts: int | None) -> None:
        """Say what a capture came to: `received`, `dropped`, ... (the words of `Statistics`)."""
        try:
            said = Statistics(interface, time_ns, **counts)  # type: ignore[arg-type]
        except TypeError:
            unknown = next(iter(counts.keys() - set(Statistics._fields)), "")
            hint = suggestion(unknown, Statistics._fields)
            raise CaptureError(self.name, "a count that statistics have", unknown, hint) from None
        with self._blocks("statistics") as sink:
            sink.put(said)

    def secrets(self, kind: str | int, data: bytes | str) -> None:
        """Keep keys with what they unlock: `kind` "tls" with an NSS key log, "ssh", "wireguard", or a number."""
        with self._blocks("secrets") as sink:
            sink.put(Secrets(kind, data.encode() if isinstance(data, str) else data))

    def custom(self, pen: int, data: bytes, *, copy: bool = True) -> None:
        """Write data of your own under your number at IANA; `copy`: whether other tools may take it to other files.

        It is filled up with zeros to a multiple of four bytes.
        """
        with self._blocks("custom data") as sink:
            sink.put(Custom(pen, data, copy))

    def block(self, block: Block) -> None:
        """Write a block of any other kind as it is. CaptureError for those that hold frames, sections and interfaces."""
        with self._blocks("blocks") as sink:
            sink.put(block)

    def write_block(self, block: MetadataBlock) -> None:
        """Write what another file says in addition to its frames, as far as that may be copied; see `PcapngSink.write_block`."""
        with self._blocks("blocks") as sink:
            sink.write_block(self._with_offer(block) if isinstance(block, Section) else block)

    note = renamed("note", "write_block")

    def copy(self, block: bytes) -> None:
        """Write a pcapng block as it is (see `PcapngSink.copy`)."""
        with self._blocks("blocks") as sink:
            sink.copy(block)

    def _with_offer(self, section: Section) -> Section:
        if not self._offered:
            return section
        others = tuple(option for option in section.options if not is_offer(option))
        return section._replace(options=(*self._offered, *others))

    def flush(self) -> None:
        """Hand what is written to the reader at the other end."""
        self._stream.flush()

    def close(self) -> None:
        """Finish the file."""
        try:
            self._sink.end(self._linktype)
            self._stream.flush()
        finally:
            with ExitStack() as closing:
                inner = getattr(self._stream, "fileobj", None)
                for file in (inner, self._stream) if self._own else ():
                    if file is not None:
                        closing.callback(file.close)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
