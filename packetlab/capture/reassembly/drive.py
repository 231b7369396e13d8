"""A capture, frame by frame, through what puts it together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from packetlab.capture.frame import Frame
from packetlab.errors import CaptureError

T = TypeVar("T")


def drive(frames: Iterable[Frame], take: Callable[[Frame], Sequence[T]], end: Callable[[], Sequence[T]]) -> Iterator[T]:
    """Yield what comes of the frames, and what is left at the end: also where a damaged file is the end, which is reported then."""
    fault: CaptureError | None = None
    try:
        for frame in frames:
            yield from take(frame)
    except CaptureError as error:
        fault = error
    yield from end()
    if fault is not None:
        raise fault
