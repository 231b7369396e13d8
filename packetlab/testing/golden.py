"""Golden captures: an exchange recorded once, compared or replayed from then on. Usable without pytest.

Files are in a form that is the same on every recording (see `volatile`), so that version control shows changes alone.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packetlab.capture import Capture, Frame, Writer
from packetlab.declare.fields import Field
from packetlab.errors import CaptureError, Mismatch, PacketlabError
from packetlab.testing.failure_report import near, recorded
from packetlab.testing.volatile import Volatile
from packetlab.view.conversation import label
from packetlab.view.ladder import ladder

if TYPE_CHECKING:
    from packetlab.sockets.networks import Talker

MODES = ("none", "once", "new", "all")
AROUND = 6  # frames of a ladder before and after the first that differs


class Golden:
    """A capture that says what an exchange looks like.

    Args:
        path: of the file; its folder is made when it is needed.
        mode: "none": compare, and fail where there is no file. "once": record where there is none. "new": also append
            packets that come after those recorded. "all": record anew, whatever there is.

    Attributes:
        recorded: path of the file if it was written, else None.
    """

    def __init__(self, path: str | Path, mode: str = "none") -> None:
        if mode not in MODES:
            raise PacketlabError("Golden: mode", f"one of {', '.join(MODES)}", repr(mode))
        self.path, self.mode = Path(path), mode
        self.recorded: Path | None = None

    def __call__(self, name: str) -> Golden:
        """Return another golden capture of the same test, by name."""
        other = Golden(self.path.with_name(f"{self.path.stem}.{name}{self.path.suffix}"), self.mode)
        return other

    @property
    def records(self) -> bool:
        """Whether this run records the exchange, rather than comparing or replaying it."""
        return self.mode == "all" or (self.mode != "none" and not self.path.exists())

    @property
    def capture(self) -> Capture:
        """What is recorded. `Mismatch` where nothing is."""
        if not self.path.exists():
            raise Mismatch(f"no golden capture {near(self.path)}: --packetlab-record=once records it")
        return Capture(self.path)

    # Comparing ----------------------------------------------------------------------------------------------

    def check(self, frames: Iterable[Frame], *, volatile: Iterable[str | Field] = ()) -> None:
        """Compare an exchange with the golden capture, or record it, as the mode says.

        Args:
            frames: a capture, or frames. volatile: names of fields that differ from run to run (see `Volatile`).

        Raises:
            Mismatch: another exchange, or none recorded. PacketlabError: a volatile field that nobody has declared.
        """
        __tracebackhide__ = True
        fields = Volatile(volatile)
        now = fields.canonical(frames)
        if self.records:
            self._write(now)
            return
        try:
            golden = fields.canonical(self.capture)
        except CaptureError as error:
            raise Mismatch(f"the golden capture cannot be read: {error}") from None
        first = _first_difference(golden, now, fields)
        if first is None:
            return
        if self.mode == "new" and first == len(golden):
            self._write(now)
            return
        raise Mismatch(self._difference(golden, now, first, fields))

    def _write(self, frames: list[Frame]) -> None:
        """Write the file whole or not at all; one that would be the same is left alone."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.stem[:40]}-")
        try:
            with os.fdopen(handle, "wb") as file, Writer(file, "pcapng") as writer:
                for frame in frames:
                    writer.write(frame)
            if self.path.exists() and self.path.read_bytes() == Path(name).read_bytes():
                os.unlink(name)
                return
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, self.path)
        except BaseException:
            if os.path.exists(name):
                os.unlink(name)
            raise
        self.recorded = self.path

    def _difference(self, golden: list[Frame], now: list[Frame], first: int, volatile: Volatile) -> str:
        lines = [f"the exchange is not that of {near(self.path)} ({len(golden)} packets, now {len(now)})", ""]
        expected = golden[first] if first < len(golden) else None
        got = now[first] if first < len(now) else None
        number = first + 1
        if expected is None and got is not None:
            lines.append(f"packet {number} is one more than recorded: {label(got.packet())}")
        elif got is None and expected is not None:
            lines.append(f"packet {number} did not come: {label(expected.packet())}")
        elif expected is not None and got is not None:
            lines += [f"packet {number} differs:", *self._fields(expected, got)]
            if _alike(golden[first + 1 : first + 2], got, volatile):
                lines.append(f"  (packet {number} of the recording did not come: received was its packet {number + 1})")
            elif _alike(now[first + 1 : first + 2], expected, volatile):
                lines.append("  (one more packet came here: the next is the one recorded)")
        lines += ["", "recorded:", *_ladder(golden, first), "", "now:", *_ladder(now, first)]
        lines += ["", "Where the change is meant: --packetlab-record=all records it anew."]
        lines.append("Where a field differs from run to run: volatile={...} leaves it out.")
        return "\n".join(lines)

    @staticmethod
    def _fields(expected: Frame, got: Frame) -> list[str]:
        lines = [recorded(change) for change in expected.packet().diff(got.packet())]
        if expected.time_ns != got.time_ns:
            lines.append(f"  time: recorded {(expected.time_ns or 0) / 1e9:g} s, now {(got.time_ns or 0) / 1e9:g} s")
        if expected.wire_length != got.wire_length:
            lines.append(f"  size on the wire: recorded {expected.wire_length} bytes, now {got.wire_length}")
        if expected.linktype != got.linktype:
            lines.append(f"  link type: recorded {expected.linktype}, now {got.linktype}")
        return lines

    # Replaying ----------------------------------------------------------------------------------------------

    @contextmanager
    def peer(
        self, host: Talker, kind: str, port: int, *, live: Callable[[Any], Any], side: str = "server", to: object = None,
        volatile: Iterable[str | Field] = (), same: Callable[[bytes, bytes], bool] | None = None,
    ) -> Iterator[Any]:  # fmt: skip
        """Give a program under test its peer: the real one while recording, from then on one that replays the recording.

        Args:
            host: that the peer runs on, of a lab, of a simulated network, or a LocalHost.
            kind: "stream", "datagram" or "seqpacket": TCP and UDP where the host has a kernel, else XNS.
            port: of the server, on either side. live: starts the real peer on `host`, and returns a context manager
                (a program that a lab's host started is one) or nothing.
            side: what the peer plays, "server" or "client"; a client connects to `to`, a host or an address.
            volatile, same: see `Replay`.

        Raises Mismatch at the end of the `with` where the program under test said something else than was recorded.
        """
        from packetlab.testing.peer import Replay
        from packetlab.testing.sources import watching

        if not self.records:
            with Replay(self.capture, kind, port, side=side, volatile=volatile, same=same).on(host, to=to) as replay:
                yield replay
            return
        source = watching(getattr(host, "net", host))
        started = live(host)
        try:
            if hasattr(started, "__enter__"):
                with started as real:
                    yield real
            else:
                yield started
        finally:
            source.close()
        frames = [seen.frame for seen in source.seen()]
        names = {"time", "ip.id", "tcp.seq", "tcp.options", *volatile} if not source.virtual else {*volatile}
        self._write(Volatile(names).canonical(frames))


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _alike(next: list[Frame], frame: Frame, volatile: Volatile) -> bool:
    """Say whether the next frame is this one, each looked at alone: their volatile values are numbered differently."""
    return any(volatile.canonical([one])[0].data == volatile.canonical([frame])[0].data for one in next)


def _first_difference(golden: list[Frame], now: list[Frame], volatile: Volatile) -> int | None:
    """Return the place of the first packet that differs, None where none does."""
    for place, (one, other) in enumerate(zip(golden, now, strict=False)):
        if (one.data, one.wire_length, one.linktype) != (other.data, other.wire_length, other.linktype):
            return place
        if one.time_ns != other.time_ns and not volatile.time:
            return place
    return None if len(golden) == len(now) else min(len(golden), len(now))


def _ladder(frames: list[Frame], first: int) -> list[str]:
    shown = frames[max(0, first - AROUND) : first + AROUND]
    marked = [f.replace(comment="<- here") if f.number == first + 1 else f for f in shown]
    return str(ladder(marked)).splitlines()
