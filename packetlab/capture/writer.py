"""Writer: frames into a file, a pipe or a file object, as they come. It knows nothing of reading."""

from __future__ import annotations

from pathlib import Path
from struct import error as struct_error
from types import TracebackType
from typing import Any, BinaryIO

from packetlab.capture.batch import FrameBatch
from packetlab.capture.frame import Frame
from packetlab.capture.pcap import PcapSink
from packetlab.capture.pcapng_sink import PcapngSink
from packetlab.capture.records import plain
from packetlab.capture.source import open_sink
from packetlab.errors import CaptureError


class Writer:
    """Writes frames to a file as they come; use it in a `with`.

    The format is pcapng, or pcap where the name ends so (before .gz, .zst or .lz4) or `format` says it. pcap is written
    with nanoseconds and holds one link type. Nothing but the frames goes in: the same frames make the same file. A frame
    without a time gets time 0 where the format must say one.
    """

    def __init__(self, where: str | Path | BinaryIO, format: str | None = None, *, linktype: int = 1) -> None:
        named = isinstance(where, (str, Path))
        self.name = str(where) if named else str(getattr(where, "name", "stream"))
        if format is None:
            endings = Path(self.name).suffixes if named else []
            format = "pcap" if [e for e in endings if e not in (".gz", ".zst", ".lz4")][-1:] == [".pcap"] else "pcapng"
        if format not in ("pcap", "pcapng"):
            raise CaptureError(self.name, "format pcap or pcapng", format)
        self._own = named and where != "-"
        self._stream: BinaryIO = open_sink(where) if isinstance(where, (str, Path)) else where
        self.format = format
        self._sink: PcapSink | PcapngSink = (PcapSink if format == "pcap" else PcapngSink)(self._stream, self.name)
        self._linktype = linktype
        self.count = 0

    def write(self, frame: Any) -> None:
        """Write one frame, or whatever is a packet (see `Frame.of`).

        CaptureError where the format cannot hold it; then nothing of the frame is in the file.
        """
        if type(frame) is not Frame:
            frame = Frame.of(frame)
        try:
            self._sink.write(frame)
        except struct_error as error:
            raise CaptureError(self.name, f"numbers that fit {self.format}", str(error)) from None
        self.count += 1

    def write_batch(self, batch: FrameBatch) -> None:
        """Write the frames of a batch, in one piece where they are plain. CaptureError as in `write`."""
        if plain(batch):
            self._sink.write_batch(batch)
            self.count += len(batch)
        else:
            for frame in batch:
                self.write(frame)

    def copy(self, block: bytes) -> None:
        """Write a pcapng block as it is (see `PcapngSink.copy`)."""
        if not isinstance(self._sink, PcapngSink):
            raise CaptureError(self.name, "pcapng to copy a block to", self.format)
        self._sink.copy(block)

    def flush(self) -> None:
        """Hand what is written to whoever reads at the other end."""
        self._stream.flush()

    def close(self) -> None:
        """Finish the file."""
        self._sink.end(self._linktype)
        self._stream.flush()
        if self._own:
            inner = getattr(self._stream, "fileobj", None)
            self._stream.close()
            if inner is not None:
                inner.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
