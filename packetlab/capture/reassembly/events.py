"""What happened to bytes on their way, in one form for datagrams, streams and conversations."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from packetlab.renamed import old_names


class EventKind(StrEnum):
    """What an event is about; a kind equals its text, so ``event.kind == "hole"`` may be written."""

    # Bytes, of all protocols. Where two copies differ, those that came first stay.
    RETRANSMISSION = "retransmission"  # all of it had come before
    OVERLAP = "overlap"  # some of it had come before
    CONFLICT = "conflict"  # bytes that had come before came again with other values
    OUT_OF_ORDER = "out of order"  # it belongs before something that came earlier
    HOLE = "hole"  # never came
    CUT = "cut"  # the capture kept fewer bytes of the frame than there were
    LIMIT = "limit"  # a limit on memory ended the waiting
    # Fragments.
    TIMEOUT = "timeout"  # the other fragments did not come in time
    TOO_LONG = "too long"  # longer than a datagram can be
    BAD_SIZE = "bad size"  # empty, not a multiple of 8, or after the end
    # Streams.
    MIDSTREAM = "midstream"  # the beginning was not captured
    REPEATED_SYN = "repeated SYN"
    REPEATED_FIN = "repeated FIN"
    MOVED_FIN = "moved FIN"  # a second end at another place
    BEYOND_FIN = "beyond FIN"
    BEFORE_START = "before the start"
    RESET = "reset"
    ZERO_WINDOW = "zero window"
    KEEP_ALIVE = "keep-alive"
    WRAP = "sequence wrap"
    # SPP.
    ATTENTION = "attention"
    END = "end"  # datastream 254: no more will be sent
    END_REPLY = "end reply"  # datastream 255


class ReassemblyEvent(NamedTuple):
    """One thing that happened.

    Attributes:
        kind: what. number: of the frame that showed it, 0 where none did. by: "client" or "server", "" for datagrams.
        offset, size: which bytes, counted from the first of the stream or datagram.
        detail: more, in words. time_ns: the frame's time. unit: what offset and size count: "bytes", in SPP "packets".
    """

    kind: EventKind
    number: int
    by: str = ""
    offset: int = 0
    size: int = 0
    detail: str = ""
    time_ns: int | None = None
    unit: str = "bytes"

    def __str__(self) -> str:
        where = f"frame {self.number}: " if self.number else ""
        size = f", {self.size} {self.unit} at {self.offset}" if self.size else ""
        return f"{where}{self.by}{' ' * bool(self.by)}{self.kind}{size}{', ' * bool(self.detail)}{self.detail}"


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
