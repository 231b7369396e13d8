"""Reading through the file of a capture: what format it has is recognised by its first bytes, what is wrong with it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from packetlab.capture.files.pcap import MAGICS
from packetlab.capture.files.pcapng import MAGIC, Listener
from packetlab.capture.files.source import Following, SourceBytes, open_source
from packetlab.errors import CaptureError

if TYPE_CHECKING:
    from packetlab.capture.batch import FrameBatch
    from packetlab.capture.frame import Frame

T = TypeVar("T")


class Readable(Protocol):
    """What a `Capture` is to the files that it makes use of itself: these are below it, and import nothing of it."""

    name: str
    strict: bool
    _faults: tuple[CaptureError, ...]
    _used: bool
    _start: int | None
    _following: Following | None
    _source: Any
    _listener: Listener | None

    @property
    def again(self) -> bool:
        """See `Capture.again`."""

    @property
    def _root(self) -> Readable: ...

    @property
    def _in_batches(self) -> bool: ...

    def __iter__(self) -> Iterator[Frame]: ...

    def __getitem__(self, part: slice, /) -> Readable: ...

    def batches(self, lasting: bool = True) -> Iterator[FrameBatch]:
        """See `Capture.batches`."""

    def _in_stretches(self, make: Callable[[bool], Iterator[FrameBatch]]) -> Self: ...

    def _read(self, where: object, tap: Callable[[bytes], object] | None = None) -> Iterator[Frame]: ...

    def _capture_size(self) -> int | None: ...


def records(
    capture: Readable,
    where: object,
    of_pcapng: Callable[[SourceBytes], Iterator[T]],
    of_pcap: Callable[[SourceBytes], Iterator[T]] | None,
    memory: type[SourceBytes] = SourceBytes,
) -> Iterator[T]:
    """Yield what is in a file, by a reader for each format; what ends it early is in the capture's `faults`, or raised.

    `of_pcap`: None where pcap will not do. `memory`: how what is read is held.
    """
    file = isinstance(where, (str, Path)) and where != "-"
    if capture._used and not file and capture._start is None:
        raise CaptureError(capture.name, "a stream that was not read yet", "one that was")
    capture._used = True
    capture._faults = ()
    source = open_source(where, capture._start, capture._following)
    data = memory(source)
    try:
        data.have(4)
        magic = bytes(data.data[:4])
        if magic == MAGIC:
            yield from of_pcapng(data)
        elif magic in MAGICS and of_pcap is not None:
            yield from of_pcap(data)
        elif source.fault:
            raise source.fault
        else:
            wanted = "a pcap or pcapng file" if of_pcap else "a pcapng file"
            raise CaptureError(capture.name, wanted, f"one that begins with {magic.hex(' ') or 'nothing'}")
    except CaptureError as fault:
        if source.ended and capture._following is not None and capture._following.stop.is_set():
            return  # in the middle of what is still being written
        capture._faults = (fault,)
        if capture.strict:
            raise
    finally:
        if data.remark is not None:
            capture._faults = (data.remark, *capture._faults)
        if file:
            source.close()
