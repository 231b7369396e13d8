"""Capture: frames from a file, a pipe or memory, read as they are asked for; Writer: frames into a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, overload

from packetlab.capture.frame import Frame
from packetlab.capture.pcap import MAGICS, PcapSink, read_pcap
from packetlab.capture.pcapng import MAGIC, PcapngSink, read_pcapng
from packetlab.capture.source import Bytes, open_sink, open_source
from packetlab.errors import CaptureError

if TYPE_CHECKING:
    from packetlab.wire.header import Header
    from packetlab.wire.packet import Packet

    Pattern = Header | type[Header] | Callable[[Packet], bool]


class Capture:
    """Frames in order, lazily: iterating streams from the file, so memory stays flat whatever its size.

    ``Capture(path)`` may be iterated any number of times, ``Capture(pipe)`` once. A file that is damaged or ends inside
    a record gives every whole frame and then one `CaptureError`; with ``strict=False`` iteration just ends and `faults`
    has the error.

    Attributes:
        name: for messages. faults: the errors met by the last iteration that came to an end.
    """

    def __init__(self, source: str | Path | BinaryIO, *, strict: bool = True) -> None:
        self.name = str(source) if isinstance(source, (str, Path)) else str(getattr(source, "name", "stream"))
        self.strict = strict
        self.faults: tuple[CaptureError, ...] = ()
        self._held: list[Frame] | None = None
        self._used = False
        self._make: Callable[[], Iterator[Frame]] = lambda: self._read(source)

    @classmethod
    def of(cls, frames: Iterable[Frame]) -> Capture:
        """Return a capture of frames in memory; `append` adds to it."""
        capture = cls._from(iter, "frames in memory")
        held = capture._held = [*frames]
        capture._make = lambda: iter(held)
        return capture

    @classmethod
    def _from(cls, make: Any, name: str) -> Capture:
        capture = cls.__new__(cls)
        capture.name, capture.strict, capture.faults = name, True, ()
        capture._held, capture._used, capture._make = None, False, make
        return capture

    def append(self, frame: Frame) -> None:
        """Add a frame to a capture in memory. TypeError for any other."""
        if self._held is None:
            raise TypeError(f"{self.name}: only a capture in memory takes frames; write others with a Writer")
        frame.number = len(self._held) + 1
        self._held.append(frame)

    # Reading -----------------------------------------------------------------------------------------------

    def _read(self, where: Any) -> Iterator[Frame]:
        again = isinstance(where, (str, Path)) and where != "-"
        if self._used and not again:
            raise CaptureError(self.name, "a stream that was not read yet", "one that was")
        self._used = True
        source = open_source(where)
        self.faults = ()
        try:
            data = Bytes(source)
            data.have(4)
            magic = data.data[:4]
            if magic in MAGICS:
                yield from read_pcap(data)
            elif magic == MAGIC:
                yield from read_pcapng(data)
            elif source.fault:
                raise source.fault
            else:
                raise CaptureError(
                    self.name, "a pcap or pcapng file", f"one that begins with {magic.hex(' ') or 'nothing'}"
                )
        except CaptureError as fault:
            self.faults = (fault,)
            if self.strict:
                raise
        finally:
            if again:
                source.close()

    def __iter__(self) -> Iterator[Frame]:
        return self._make()

    def packets(self) -> Iterator[Packet]:
        """Yield each frame dissected."""
        for frame in self:
            yield frame.packet()

    def count(self) -> int:
        """Return how many frames there are, by reading through them."""
        return sum(1 for _ in self)

    def __len__(self) -> int:
        # list() asks for the length first, so counting here would read a file twice and use a pipe up.
        if self._held is None:
            raise TypeError(f"{self.name}: the number of frames is known after reading them: count()")
        return len(self._held)

    def __bool__(self) -> bool:
        return True

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> Capture: ...
    def __getitem__(self, index: int | slice) -> Frame | Capture:
        """Return one frame (from 0; negative from the end), or a lazy capture of some."""
        if isinstance(index, slice):
            parts = (index.start, index.stop, index.step)
            if any(part is not None and part < 0 for part in parts):
                return Capture._from(lambda: iter(list(self)[index]), self.name)
            return Capture._from(lambda: islice(iter(self), *parts), self.name)
        if index < 0:
            return list(self)[index]
        for frame in islice(iter(self), index, None):
            return frame
        raise IndexError(f"{self.name}: no frame {index}")

    def where(self, pattern: Pattern) -> Capture:
        """Return a lazy capture of the frames whose packets match.

        `pattern`: a prototype header (its given fields), a header class (is it there), or a function of the packet.
        """
        test = matcher(pattern)
        return Capture._from(lambda: (frame for frame in self if test(frame.packet())), self.name)

    def write(self, where: str | Path | BinaryIO, format: str | None = None) -> int:
        """Write the frames to a file and return their number; see `Writer` for the format."""
        with Writer(where, format) as writer:
            for frame in self:
                writer.write(frame)
            return writer.count

    def __repr__(self) -> str:
        return f"<Capture {self.name!r}>"


def matcher(pattern: Any) -> Callable[[Any], bool]:
    """Return a test of packets from what users write as a pattern. TypeError for anything else."""
    if pattern is None:
        return lambda packet: True
    if isinstance(pattern, type):
        return lambda packet: pattern in packet
    if hasattr(pattern, "matches"):
        return lambda packet: bool(pattern.matches(packet))
    if callable(pattern):
        return lambda packet: bool(pattern(packet))
    raise TypeError(f"a pattern is a header, a header class or a function of a packet, not {pattern!r}")


class Writer:
    """Writes frames to a file as they come; use it in a `with`.

    The format is pcapng, or pcap where the name ends so (before .gz, .zst or .lz4) or `format` says it. pcap is written
    with nanoseconds and holds one link type. Nothing but the frames goes in: the same frames make the same file.
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
        self._sink = (PcapSink if format == "pcap" else PcapngSink)(self._stream, self.name)
        self._linktype = linktype
        self.count = 0

    def write(self, frame: Frame) -> None:
        """Write one frame. CaptureError where the format cannot hold it."""
        self._sink.write(frame)
        self.count += 1

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
