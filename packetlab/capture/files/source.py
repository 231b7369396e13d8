"""Where the bytes of a capture file come from: a path, a pipe or a file object, compressed or not.

Compression is recognised by content, not by name. What was unpacked before a stream breaks off is delivered first.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from array import array
from fcntl import ioctl
from io import BufferedReader, RawIOBase
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from pathlib import Path
from termios import FIONREAD
from threading import Event
from time import monotonic
from typing import Any, BinaryIO

from packetlab.capture.files.ending import is_ended
from packetlab.errors import CaptureError

CHUNK = 4 << 20  # what is done for a stretch at once costs as much for few frames as for many
PACKED_CHUNK = 1 << 16  # a small piece of packed input, so that a bomb unpacks in small pieces too
_MAGICS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4"}


class ByteSource:
    """A stream of bytes read in pieces, and the place reached in it.

    Attributes:
        name: for messages. offset: bytes delivered so far (unpacked ones). fault: what ended it early, or None.
        chunk: bytes read at once, CHUNK at most.
    """

    def __init__(
        self, stream: BinaryIO, name: str, start: int | None = None, following: Following | None = None, grows: bool = True
    ) -> None:
        self.stream, self.name, self._following, self._grows = stream, name, following, grows
        self._begin = self._place = (
            start  # in a file object that can seek, so that two readers of it do not disturb each other
        )
        self._left: int | None = None  # bytes to read before it stops
        self.offset = 0
        self.fault: CaptureError | None = None
        self.ended = False  # the stream gave nothing any more
        self.chunk = min(CHUNK, 1 << 20)
        self._head = self._read(PACKED_CHUNK)
        while 0 < len(self._head) < 4:
            more = self._read(4)
            if not more:
                break
            self._head += more
        self.packing = next((how for magic, how in _MAGICS.items() if self._head.startswith(magic)), None)
        self._unpacker = _unpacker(self.packing, name) if self.packing else None

    def _read(self, size: int) -> bytes:
        following, data = self._following, b""
        if following is None:
            data = self._read_now(size)
        else:
            while (most := min(size, self._most())) > 0:
                silent = self._silent()  # where a read would wait, and could not be stopped
                if silent is None:
                    data = self._read_now(most)
                    if data or self.fault is not None or not self._grows:
                        break
                # What is there when it is to stop is still read.
                if not following.wait(silent) and (self._left is not None or not following.stop.is_set()):
                    break
            self._left = None if self._left is None else self._left - len(data)
            following.restart()
        self.ended = not data
        return data

    def _most(self) -> int:
        """Return how many bytes to read at the most: once it is to stop those that are there then, however much goes on coming."""
        if self._left is None and self._following is not None and self._following.stop.is_set():
            self._left = self._there()
        return CHUNK if self._left is None else self._left

    def _there(self) -> int:
        """Return how many bytes can be read now, as far as that is known."""
        stream: Any = self.stream
        try:
            number = stream.fileno()
            status = os.fstat(number)
            if stat.S_ISREG(status.st_mode):
                return max(0, status.st_size - (stream.tell() if self._place is None else self._place))
            count = array("i", [0])
            ioctl(number, FIONREAD, count)
            return count[0] + (len(_buffered(stream)) if type(stream) is BufferedReader else 0)
        except (AttributeError, OSError, ValueError):
            return sys.maxsize

    def _silent(self) -> int | None:
        """Return the descriptor of a pipe, socket or terminal that has nothing to read now, but may have; None for all others."""
        stream: Any = self.stream
        try:
            raw = stream.raw if type(stream) is BufferedReader else stream
            if not isinstance(raw, RawIOBase):  # it may have bytes of which the kernel knows nothing
                return None
            number = raw.fileno()
            if stat.S_ISREG(os.fstat(number).st_mode) or _hung_up(number):
                return None
            return None if raw is not stream and _buffered(stream) else number
        except (OSError, ValueError):  # no file, or a closed one, which reading says
            return None

    def _read_now(self, size: int) -> bytes:
        # read1 gives what is there, so that a live pipe is not waited on for a full piece.
        read: Any = getattr(self.stream, "read1", None) or self.stream.read
        try:
            if self._place is not None:
                self.stream.seek(self._place)
            data = read(size)
        except (OSError, ValueError) as error:  # ValueError: somebody closed it
            return self._failed("bytes to read", error)
        if not data:
            self._looked_after()
            return b""
        if isinstance(data, str):
            return self._failed("a stream of bytes", "one of text")
        if self._place is not None:
            self._place += len(data)
        return bytes(data)

    def _looked_after(self) -> None:
        """Say what is wrong with an end that is none."""
        try:
            number = self.stream.fileno()
            status = os.fstat(number)
            if stat.S_ISREG(status.st_mode):
                if status.st_size < self.stream.tell():
                    got = f"one cut to {status.st_size} bytes while it is read"
                    self._failed("a file that stays as long as it is", got)
            elif not os.get_blocking(number) and not _hung_up(number):
                self._failed("a stream that waits for its bytes", "one that is set not to block")
        except (AttributeError, OSError, ValueError):
            pass  # no file

    def _failed(self, expected: str, got: object) -> bytes:
        self.fault = self.fault or CaptureError(self.name, expected, got)
        return b""

    def _packed(self) -> bytes:
        head, self._head = self._head, b""
        return head or self._read(PACKED_CHUNK if self._unpacker else self.chunk)

    def more(self) -> bytes:
        """Return the next bytes, or none at the end (see `fault` for whether it came too early)."""
        if self._unpacker is None:
            data = self._packed()
        else:
            data = self._unpacked()
        self.offset += len(data)
        return data

    def into(self, view: memoryview) -> int:
        """Read the next bytes into `view`, which has room for CHUNK of them; return how many, 0 at the end."""
        plain = self._unpacker is None and not self._head and self._following is None
        if plain and hasattr(self.stream, "readinto1"):
            try:
                if self._place is not None:
                    self.stream.seek(self._place)
                size: int = self.stream.readinto1(view[: self.chunk]) or 0
            except (OSError, ValueError) as error:
                self._failed("bytes to read", error)
                size = 0
            if self._place is not None:
                self._place += size
            self.offset += size
            self.ended = not size
            if not size:
                self._looked_after()
            return size
        piece = self.more()
        view[: len(piece)] = piece
        return len(piece)

    def _unpacked(self) -> bytes:
        while self.fault is None:
            unpacker = self._unpacker
            try:
                if unpacker.eof:  # another member or frame may follow; gzip files may be padded with zeros
                    piece = (unpacker.unused_data or b"").lstrip(b"\0")
                    while not piece:
                        more = self._packed()
                        if not more:
                            return b""
                        piece = more.lstrip(b"\0")
                    self._unpacker = unpacker = _unpacker(self.packing, self.name)
                elif unpacker.needs_input:
                    piece = self._packed()
                    if not piece:
                        return self._failed(f"the end of the {self.packing} stream", "the end of the file")
                else:
                    piece = b""
                out: bytes = unpacker.decompress(piece, CHUNK)  # no more at once, however much is packed in it
            except Exception as error:  # each library has errors of its own
                return self._failed(f"{self.packing} data after {self.offset} bytes", str(error))
            if out:
                return out
        return b""

    _unpacker: Any

    def move(self, place: int) -> None:
        """Go on at another byte. CaptureError where that cannot be: in a packed file, and in a pipe."""
        if self.packing is not None:
            hint = "unpack it first: a packed file can be read from its beginning alone"
            raise CaptureError(self.name, "a file that is not packed", self.packing, hint)
        try:
            base = 0 if self._begin is None else self._begin
            self.stream.seek(base + place)
        except (AttributeError, OSError, ValueError) as error:
            raise CaptureError(self.name, "a file that can be read from any byte on", str(error)) from None
        self._place = None if self._begin is None else base + place
        self._head, self.offset, self.ended = b"", place, False

    def close(self) -> None:
        """Close the stream."""
        self.stream.close()


def _hung_up(number: int) -> bool:
    """Whether nobody writes to a pipe or socket any more."""
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return any(events & (select.POLLHUP | select.POLLIN) for _, events in poll.poll(0))


def _buffered(stream: BufferedReader) -> bytes:
    """Return what lies in the buffer of a stream, from whoever has read of it before; the pipe itself is not read."""
    raw = vars(stream.raw)
    raw["readinto"] = lambda room: None  # "nothing now": where its buffer is empty peek() would wait for the pipe
    try:
        return stream.peek()
    finally:
        del raw["readinto"]


class _Gunzip:
    """zlib's object with the interface that the unpackers of zstd and lz4 have."""

    def __init__(self) -> None:
        import zlib

        self._inner = zlib.decompressobj(wbits=31)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        # After a full piece zlib may hold more output although it has taken all of its input.
        return not self._full and not self._inner.unconsumed_tail

    def decompress(self, data: bytes, size: int) -> bytes:
        out = self._inner.decompress(self._inner.unconsumed_tail + data, size)
        self._full = len(out) == size
        return out


def _unpacker(packing: str | None, name: str) -> Any:
    try:
        if packing == "gzip":
            return _Gunzip()
        if packing == "zstd":
            return zstd().ZstdDecompressor()
        import lz4.frame

        return lz4.frame.LZ4FrameDecompressor()
    except ImportError as error:
        raise CaptureError(name, f"the package that unpacks {packing}", str(error)) from None


def zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def start_of(where: Any) -> int | None:
    """Return where a file object stands now, or None where it cannot go back there (or is a path)."""
    try:
        return int(where.tell()) if where.seekable() else None
    except (AttributeError, OSError):
        return None


class Following:
    """Waits for more of a file or pipe: for `silence` seconds at a time at most (None: for ever), and until `stop` is set."""

    PAUSE = 0.02  # seconds between two looks

    def __init__(self, silence: float | None) -> None:
        self.silence = silence
        self.stop = Event()
        self._since: float | None = None

    def wait(self, silent: int | None = None) -> bool:
        """Wait a little, for a descriptor where one is given; say whether to look again."""
        if is_ended():
            self.stop.set()
        now = monotonic()
        self._since = now if self._since is None else self._since
        left = self.PAUSE if self.silence is None else self._since + self.silence - now
        if left <= 0:
            return False
        if silent is None:
            return not self.stop.wait(min(left, self.PAUSE))
        poll = select.poll()
        poll.register(silent, select.POLLIN)
        poll.poll(1000 * min(left, self.PAUSE))
        return not self.stop.is_set()

    def restart(self) -> None:
        """Begin to wait anew: something came, or the end did."""
        self._since = None


def open_source(where: Any, start: int | None = None, following: Following | None = None) -> ByteSource:
    """Open a path, "-" (standard input) or a binary file object. CaptureError where it cannot be opened.

    `start`: where in a file object to begin (see `start_of`). `following`: what waits at the end of a growing file, and at a
    silent pipe; the end of standard input is one.
    """
    if where == "-":
        return ByteSource(sys.stdin.buffer, "standard input", None, following, grows=False)
    if isinstance(where, (str, Path)):
        try:
            if following is None:
                return ByteSource(open(where, "rb"), str(where))
            # Opening a named pipe would wait for who writes to it.
            file = open(where, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK))
            os.set_blocking(file.fileno(), True)
            return ByteSource(file, str(where), None, following)
        except (OSError, ValueError) as error:  # ValueError: a name with a zero in it
            raise CaptureError(str(where), "a readable file", getattr(error, "strerror", error)) from None
    return ByteSource(where, str(getattr(where, "name", "stream")), start, following)


class SourceBytes:
    """Bytes of a source, taken in exact sizes."""

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.data, self.pos = b"", 0
        self.late = 0  # frames whose fraction of a second is one or more
        self.remark: CaptureError | None = None  # on the first of these

    @property
    def offset(self) -> int:
        """Place in the (unpacked) file."""
        return self.source.offset - len(self.data) + self.pos

    def move(self, place: int) -> None:
        """Go on at another byte of the file. CaptureError where that cannot be."""
        self.source.move(place)
        self.data, self.pos = self.data[:0], 0

    def have(self, size: int) -> bool:
        """Read on until `size` bytes are there; False where the source ends first."""
        if self.pos + size <= len(self.data):
            return True
        pieces = [self.data[self.pos :]]
        held = len(pieces[0])
        while held < size:
            piece = self.source.more()
            if not piece:
                break
            pieces.append(piece)
            held += len(piece)
        self.data, self.pos = b"".join(pieces), 0
        return held >= size

    def note_late(self, number: int, fraction: int, unit: int) -> None:
        """Note that the fraction of a second of frame `number`, counted in `unit` nanoseconds, is a second or more."""
        self.late += 1
        if self.remark is None:
            name = "nanoseconds" if unit == 1 else "microseconds"
            where, expected = f"{self.source.name}, frame {number}", f"fewer than {10**9 // unit} {name}"
            self.remark = CaptureError(where, expected, fraction, "its time, and that of others like it, may be wrong")

    def left(self) -> int:
        """Bytes read and not taken."""
        return len(self.data) - self.pos

    def short(self, what: str, size: int) -> CaptureError:
        """Return the error for a file that ends before `size` bytes of something."""
        return self.source.fault or CaptureError(
            f"{self.source.name}, byte {self.offset}", f"{what} of {size} bytes", f"{self.left()} bytes, then the end"
        )


def _memory(size: int) -> mmap:
    """Return memory of that many bytes, which takes none where nothing is written: most captures are small."""
    return mmap(-1, size, flags=MAP_PRIVATE | MAP_ANONYMOUS)  # a fork has its own


class Window(SourceBytes):
    """The same, always in one piece of memory: what was at hand before is gone once more is read."""

    data: Any

    def __init__(self, source: ByteSource) -> None:
        super().__init__(source)
        source.chunk = CHUNK
        self._memory = _memory(2 * CHUNK)
        self.data = memoryview(self._memory)[:0]

    def have(self, size: int) -> bool:
        if self.pos + size <= len(self.data):
            return True
        held = self.left()
        old = self.data[self.pos :]
        if max(size, held) + CHUNK > len(self._memory):
            self._memory = _memory(2 * max(size, held) + CHUNK)
        room = memoryview(self._memory)
        room[:held] = old
        while held < size:
            more = self.source.into(room[held:])
            if not more:
                break
            held += more
        self.data, self.pos = room[:held], 0
        return held >= size
