"""Cuts a stream of bytes into messages, whatever the pieces it comes in; where one ends the declaration says (see `messages`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from packetlab.codec.faults import Fault
from packetlab.escaping import bytes_text
from packetlab.protocols.streams.messages import UNENDED, Beginning, MessageClasses, look

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader

SMALL = 4096  # bytes of a message that may be looked at after every piece


class MessageReader:
    """Cuts a stream of bytes into messages, whatever the pieces it comes in.

    Args:
        cls: what a message begins with. largest: bytes of a message at the most. eager: look for the end of a message whose size is
            not told after every piece; otherwise each time when so much came that all looking takes time in proportion to the bytes.
        below: the headers below. choose: gives the class of a message by its first bytes, as many as its `size` says, None for none.

    Attributes:
        at: how many bytes the messages so far had. lost: why it is not known where the next message begins, once that is so.
    """

    def __init__(
        self, cls: type[AnyHeader], largest: int, eager: bool = False, below: Sequence[AnyHeader] = (), choose: MessageClasses | None = None
    ) -> None:  # fmt: skip
        self.largest, self.eager = largest, eager
        self._below, self._choose = below, choose
        self.chosen = choose is None  # whether it is known of which class the next message is
        self.at = 0
        self.lost: tuple[Fault, ...] = ()
        self._data, self._start = b"", 0  # what was put together, and where the next message begins in it
        self._parts: list[bytes] = []  # what came after it
        self._held = 0  # bytes that belong to no message so far
        self._sure = 0
        self._is_hurried = self._is_closed = False
        self._wanted = 1  # bytes after the start that there have to be before it pays to look again
        self._delimiter = self._tail = b""  # what has to come before it does, and the last bytes that may be part of it
        self._become(cls)

    def _become(self, cls: type[AnyHeader]) -> None:
        self.cls = cls

    @property
    def held(self) -> int:
        """Bytes that wait for the rest of their message."""
        return self._held

    @property
    def sure(self) -> int:
        """Bytes that are known to be part of the next message, some maybe not there yet."""
        return self._held if self._delimiter else self._sure

    def give(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        if self._delimiter:
            seen = self._tail + data
            if self._delimiter in seen:
                self._wanted, self._delimiter = 1, b""
            self._tail = seen[max(0, len(seen) - len(self._delimiter) + 1) :]
        self._parts.append(data)
        self._held += len(data)

    def rest(self) -> bytes:
        """Return the bytes that belong to no message so far."""
        if self._parts:
            self._data, self._start = b"".join([self._data[self._start :], *self._parts]), 0
            self._parts = []
        return self._data[self._start :]

    def hurry(self, is_closed: bool = False) -> None:
        """Have the next `read` look at what there is, since no more will come; `is_closed` says that it is all that was sent."""
        self._wanted, self._delimiter, self._is_hurried, self._is_closed = 1, b"", True, is_closed

    def read(self) -> bytes | None:
        """Return the next message; None where there is no whole one yet, or `lost` says that none can be found any more."""
        if self.lost or self._held < self._wanted:
            return None
        if self._parts:
            self.rest()
        start = self._start
        if not self.chosen and not self._choose_class():
            return None
        found = look(self.cls, self._data, start, self._below)
        if found.unended and self._is_closed:
            found = found._replace(wanted=0, faults=())
        if found.unended and found.faults and not self._is_hurried:
            self._wanted, self._sure = self.largest + 1, UNENDED  # whatever comes is part of it
            if self._held > self.largest:
                self._too_large(self._held)
        elif found.is_lost or (not found.wanted and found.end <= start):
            faults = tuple(fault._replace(offset=fault.offset - start) for fault in found.faults)
            self.lost = faults or (Fault(self.cls.__name__, "", start, "a message", "one of no bytes"),)
        elif found.wanted:
            self._wait(found)
        elif found.end - start > self.largest:
            self._too_large(found.end - start)
        else:
            data = self._data[start : found.end]
            self._start, self._held, self.at = found.end, self._held - len(data), self.at + len(data)
            self._wanted, self._delimiter, self._sure = 1, b"", 0
            self.chosen = self._choose is None
            return data
        return None

    def _choose_class(self) -> bool:
        """Find out of which class the next message is; False where that takes more bytes, or it is of none."""
        assert self._choose is not None
        if self._held < self._choose.size and not self._is_hurried:
            self._wanted = self._choose.size
            return False
        first = self._data[self._start : self._start + self._choose.size]
        cls = self._choose(first)
        if cls is None:
            self.lost = (Fault(self.cls.__name__, "", 0, "the first bytes of a message", bytes_text(first)),)
            return False
        if cls is not self.cls:
            self._become(cls)
        self.chosen = True
        return True

    def _wait(self, found: Beginning) -> None:
        self._wanted = self._sure = found.wanted - self._start
        if self._wanted > self.largest:
            self._too_large(self._wanted)
        elif self._wanted == self._held + 1:  # its size is not known
            f = next((f for f in found.header._declaration.before if getattr(found.header, f.slot) is None), None)
            self._delimiter = getattr(f.kind, "delimiter", b"") if f is not None and f.condition is None else b""
            if self._delimiter:
                self._tail = self._data[max(self._start, len(self._data) - len(self._delimiter) + 1) :]
                self._wanted = self.largest + 1 if self._held < self.largest else self._wanted
            elif not self.eager and self._held > SMALL:
                self._wanted += self._held // 2

    def _too_large(self, size: int) -> None:
        got = f"one of {size}" if size < 1 << 64 else "one of more than 2**64"
        self.lost = (Fault(self.cls.__name__, "", 0, f"a message of {self.largest} bytes at most", got),)
