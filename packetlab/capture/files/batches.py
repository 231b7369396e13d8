"""Captures a stretch at a time: where each frame lies in what was read, and its times, as arrays.

The same frames and the same errors as `pcap` and `pcapng` give one by one, whose knowledge of the formats it goes by.
Only the way from one record to the next is walked; everything else is done for a whole stretch at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct, error as struct_error
from typing import TYPE_CHECKING, Any, Literal

from packetlab.capture.batch import LATEST, NO_TIME, FrameBatch, clipped
from packetlab.capture.files.pcap import Layout, read_header, read_on
from packetlab.capture.files.pcapng import (
    BIG,
    MAGIC,
    NANOSECONDS,
    OLD_PACKET,
    PACKET,
    SIMPLE_PACKET,
    Known,
    Listener,
    Mark,
    Reader,
)
from packetlab.capture.files.source import SourceBytes, Window
from packetlab.capture.frame import NOTHING, Extras, Frame
from packetlab.capture.loops import RECORDS, in_use, records
from packetlab.errors import CaptureError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from packetlab.bulk.batch import ByteArray, Numbers, Words

Passed = Callable[[int, int, Callable[[], Known | None]], object]
_DATA_AT = {PACKET: 28, OLD_PACKET: 28, SIMPLE_PACKET: 12}  # bytes of a block before the frame in it


def numbers_at(data: bytes | ByteArray, starts: Numbers, offset: int, kind: str) -> NDArray[Any]:
    """Return the numbers (`kind` of numpy, as "<u4") that lie `offset` bytes after each start in `data`."""
    import numpy as np

    size = int(kind[2:])
    if offset < 0:
        starts, offset = starts + offset, 0
    room = max(0, len(data) - offset - size + 1)
    # An array of overlapping numbers, one from each byte on, needs no alignment and copies only what is requested.
    numbers: NDArray[Any] = np.ndarray((room,), kind, data, offset if room else 0, (1,))[starts]
    return numbers


# pcap ----------------------------------------------------------------------------------------------------------


def pcap_batches(data: SourceBytes, mark: Mark | None = None, passed: Passed | None = None) -> Iterator[FrameBatch]:
    """Yield the frames of a pcap file in stretches as they are read. CaptureError as in `read_pcap`.

    `mark`: where to begin. `passed`: called before each stretch with its place in the file, the number of frames before it,
    and what gives the rest of a mark.
    """
    layout = read_header(data)
    size = layout.size
    number = 1
    if mark is not None:
        data.move(mark.place)
        number += mark.frames
    while data.have(size):
        if passed is not None:
            passed(data.offset, number - 1, lambda: None)
        buffer = data.data
        batch, end = _records(buffer, data.pos, layout, number)
        data.pos = end
        if batch is not None:
            _late(data, batch, layout)
            batch.spent = isinstance(data, Window)
            yield batch
            number += len(batch)
        if end + size <= len(buffer):
            read_on(data, layout)
    if data.left() or data.source.fault:
        raise data.short("a record header", size)


def _late(data: SourceBytes, batch: FrameBatch, layout: Layout) -> None:
    """Note the frames whose fraction of a second is one or more."""
    import numpy as np

    fractions = numbers_at(data.data, batch.starts - layout.size, 4, layout.sign + "u4")
    for place in np.flatnonzero(fractions >= NANOSECONDS // layout.scale).tolist():
        data.note_late(int(batch.numbers[place]), int(fractions[place]), layout.scale)


def _records(buffer: bytes, pos: int, layout: Layout, number: int) -> tuple[FrameBatch | None, int]:
    """Return the frames of the whole records from `pos` on, if there are any, and where the last of these ends."""
    import numpy as np

    interfaces = (layout.interface,)
    if in_use(RECORDS):
        (starts, sizes, wires, times), end = records(
            np.frombuffer(buffer, np.uint8), pos, layout.size, layout.sign == ">", layout.scale
        )
        batch = FrameBatch(buffer, starts, sizes, times, wires, interfaces, None, number) if len(starts) else None
        return batch, end
    places, end = _walked(buffer, pos, layout)
    if not len(places):
        return None, end
    kind = layout.sign + "u4"
    seconds, fraction, captured, original = (numbers_at(buffer, places, at, kind) for at in (0, 4, 8, 12))
    times = seconds.astype(np.int64)
    times *= NANOSECONDS
    times += fraction.astype(np.int64) * layout.scale
    return FrameBatch(buffer, places + layout.size, captured, times, original, interfaces, None, number), end


def _walked(buffer: bytes, pos: int, layout: Layout) -> tuple[Numbers, int]:
    """Return where the records from `pos` on begin that are whole, and where the last of them ends."""
    import numpy as np

    found: list[int] = []
    add, more = found.append, layout.size
    captured = Struct(layout.sign + "I").unpack_from
    pos += 8  # where a record header says how many bytes follow it
    try:
        while True:
            add(pos)
            pos += captured(buffer, pos)[0] + more
    except struct_error:
        pass
    # The last of these may be no whole records.
    end = len(buffer)
    stop = pos - 8
    while found:
        place = found[-1] - 8
        stop = place
        if place + more <= end and place + more + captured(buffer, place + 8)[0] <= end:
            stop = place + more + captured(buffer, place + 8)[0]
            break
        found.pop()
    return np.array(found, np.int64) - 8, stop


# pcapng --------------------------------------------------------------------------------------------------------


def pcapng_batches(
    data: SourceBytes, listener: Listener | None = None, mark: Mark | None = None, passed: Passed | None = None
) -> Iterator[FrameBatch]:
    """Yield the frames of a pcapng file in stretches as they are read. CaptureError and `listener` as in `Reader`.

    `mark` and `passed` as for `pcap_batches`.
    """
    reader = Reader(data, listener)
    if mark is not None:
        reader.go_on(mark)
    while data.have(12):
        if passed is not None:
            passed(data.offset, reader.number, reader.known)
        reader.block()  # have one whole block at hand, or raise
        stretch = _Stretch(reader)
        fault = stretch.take()
        batch = stretch.batch()
        if batch is not None:
            yield batch
        if fault is not None:
            raise fault
    if data.left() or data.source.fault:
        raise data.short("a block", 12)


FEW = 64  # plain blocks that cost less one by one than all at once


class _Stretch:
    """Blocks that are at hand and whole, up to a section after frames that are read all at once (the clocks are its own).

    Somebody who listens hears of a section when the frames before it have been given out.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader, self.data = reader, reader.data
        self.buffer = reader.data.data
        self.number = reader.number + 1
        self.blocks: list[int] = []  # where the blocks of frames begin
        self.others: dict[int, Frame] = {}  # row -> a frame whose block says more than plain ones do
        self.starts: dict[int, int] = {}  # ... and where its bytes are
        self.run = 1 << 12  # plain blocks that are looked for at once

    def take(self) -> CaptureError | None:
        """Go over the blocks; return what is wrong with the one that ends the stretch, if anything."""
        reader, data, buffer = self.reader, self.data, self.buffer
        order: Literal["big", "little"] = "big" if reader.sign == ">" else "little"
        try:
            self.block()
            while True:
                self.plain()
                if reader.listener is None:
                    reader.pass_over(sections=len(self.blocks) == len(self.others))
                if data.left() < 12:
                    return None
                if buffer[data.pos : data.pos + 4] == MAGIC:
                    if reader.listener is not None or len(self.blocks) > len(self.others):
                        return None
                    order = "big" if buffer[data.pos + 8 : data.pos + 12] == BIG else "little"
                size = int.from_bytes(buffer[data.pos + 4 : data.pos + 8], order)
                if size > data.left():
                    return None  # reading on would put the buffer in another's place
                self.block()
        except CaptureError as fault:
            return fault

    def plain(self) -> None:
        """Go over packet blocks without options."""
        reader, data = self.reader, self.data
        while self.begins():
            found, stop = _plain_blocks(self.buffer, data.pos, reader.sign, reader.clocks, self.run)
            if len(found) < FEW:
                for _ in found:
                    self.block()
            else:
                data.pos = stop
                reader.number += len(found)
                self.blocks += found
            if len(found) < self.run:
                # No more are gone over in vain than were found: others may stand between them all along the file.
                self.run = len(found) + 1
                return
            self.run *= 2

    def begins(self) -> bool:
        """Whether the next block may be a plain one."""
        data = self.data
        if data.left() < 32:
            return False
        kind, size, _, _, _, captured = Struct(self.reader.sign + "6I").unpack_from(self.buffer, data.pos)
        return bool(kind == PACKET and size == (captured + 3 & ~3) + 32)

    def block(self) -> None:
        """Take one block of any kind. CaptureError where it is damaged."""
        reader, data = self.reader, self.data
        place = data.pos
        frame, kind, _ = reader.take()
        if frame is not None:
            self.starts[len(self.blocks)] = place + _DATA_AT[kind]
            self.others[len(self.blocks)] = frame
            self.blocks.append(place)

    def batch(self) -> FrameBatch | None:
        import numpy as np

        if not self.blocks:
            return None
        reader, buffer = self.reader, self.buffer
        count = len(self.blocks)
        starts, sizes, originals, times = (np.zeros(count, np.int64) for _ in range(4))
        which = np.zeros(count, np.int32)
        far: dict[int, int] = {}
        if count > len(self.others):
            alike = np.ones(count, np.bool_)
            alike[list(self.others)] = False
            plain = np.flatnonzero(alike)
            places = np.array(self.blocks, np.int64)[plain]
            kind = reader.sign + "u4"
            on, high, low, captured, original = (numbers_at(buffer, places, at, kind) for at in (8, 12, 16, 20, 24))
            which[plain] = on
            times[plain], beyond = _nanoseconds(
                high.astype(np.uint64) << np.uint64(32) | low, which[plain], reader.clocks
            )
            far = {int(plain[row]): time for row, time in beyond.items()}
            starts[plain], sizes[plain], originals[plain] = places + 28, captured, original
        interfaces = [*reader.interfaces]
        known: dict[int, int] = {}  # those of sections before: by identity, their place among all
        extras: dict[int, Extras] = {}
        for row, frame in self.others.items():
            starts[row], sizes[row], originals[row] = self.starts[row], len(frame.data), frame.wire_length
            times[row] = NO_TIME if frame.time_ns is None else clipped(frame.time_ns)
            if frame.time_ns is not None and clipped(frame.time_ns) != frame.time_ns:
                far[row] = frame.time_ns
            interface = frame.interface
            if interface.section == reader.section:
                which[row] = interface.number
            else:
                place = known.setdefault(id(interface), len(interfaces))
                if place == len(interfaces):
                    interfaces.append(interface)
                which[row] = place
            if frame.extras is not NOTHING:
                extras[row] = frame.extras
        # Of many interfaces only those that are in use go with the batch: it costs no more than its frames.
        used, places = np.unique(which, return_inverse=True)
        mine = tuple(interfaces[number] for number in used.tolist())
        return FrameBatch(buffer, starts, sizes, times, originals, mine, places, self.number, extras, far)


def _plain_blocks(
    buffer: bytes, pos: int, sign: str, clocks: list[tuple[int, int]], most: int
) -> tuple[list[int], int]:
    """Return where packet blocks without options begin, from `pos` on and `most` at the most, and where the last ends.

    `clocks`: of each interface; a block of one whose ticks are no whole nanoseconds is not plain. Of fewer than FEW it
    is not looked at whether they are, but only that they are at hand.
    """
    found: list[int] = []
    add, head = found.append, Struct(sign + "II").unpack_from
    try:
        for _ in range(most):
            kind, size = head(buffer, pos)
            if kind != PACKET or size < 32:
                break
            add(pos)
            pos += size
    except struct_error:
        pass
    while found and found[-1] + 32 > len(buffer):
        pos = found.pop()
    if len(found) < FEW:
        while found and pos > len(buffer):
            pos = found.pop()
        return found, pos
    # What else these blocks say is looked at for all of them at once, up to the first that is not plain.
    import numpy as np

    number = sign + "u4"
    places = np.array(found, np.int64)
    size, which, captured = (numbers_at(buffer, places, at, number).astype(np.int64) for at in (4, 8, 20))
    stops = places + size
    plain = (size == (captured + 3 & ~3) + 32) & (stops <= len(buffer))
    even = [one for one in np.unique(which).tolist() if one < len(clocks) and clocks[one][0]]
    plain &= np.isin(which, even)
    plain[plain] = numbers_at(buffer, stops[plain], -4, number) == size[plain]
    if not plain.all():
        first = int(np.argmin(plain))
        return found[:first], found[first]
    return found, pos


def _nanoseconds(
    ticks: Words, which: NDArray[np.int32], clocks: list[tuple[int, int]]
) -> tuple[Numbers, dict[int, int]]:
    """Return the times, and by row those that do not fit."""
    import numpy as np

    used, place = np.unique(which, return_inverse=True)
    mine = [clocks[number] for number in used.tolist()]
    # Below these the ticks of each clock surely fit; the others are worked out one by one.
    limits = [max(0, (LATEST - abs(offset)) // (scale or 1) + 1) for scale, offset in mine]
    scales, offsets = [scale for scale, _ in mine], [clipped(offset) for _, offset in mine]
    times = ticks.astype(np.int64) * np.array(scales, np.int64)[place] + np.array(offsets, np.int64)[place]
    far: dict[int, int] = {}
    for row in np.flatnonzero(ticks >= np.array(limits, np.uint64)[place]).tolist():
        scale, offset = mine[place[row]]
        exact = int(ticks[row]) * scale + offset
        times[row] = clipped(exact)
        if times[row] != exact:
            far[row] = exact
    return times, far
