"""Artifacts: what a failing test leaves behind, a capture and its ladder; and a lab whose links are recorded for that."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from packetlab.capture import Capture, Frame
from packetlab.link.lab.lab import Link, Switch
from packetlab.link.lab.lab_host import Host
from packetlab.sockets.networks import Lab
from packetlab.testing.endpoints import names
from packetlab.testing.sources import InterfaceSource, both_ways
from packetlab.view.ladder import ladder

LONGEST = 120  # characters of a name made of a test's
SHOWN = 1000  # frames of a ladder in a file
LAST = 12  # of them in a report
ENDINGS = (".pcapng", ".ladder.txt")


def file_name(text: str) -> str:
    """Return a text (a test's id) as a name that every file system takes, and that no other text has."""
    plain = re.sub(r"[^\w.=+,-]+", "_", text).strip("_.")
    return (
        plain if plain == text and len(plain) <= LONGEST else f"{plain[: LONGEST - 9]}-{zlib.crc32(text.encode()):08x}"
    )


class Artifact:
    """Frames that a test saw, to be kept if it fails.

    Args:
        name: of what was recorded: "simnet". frames: gives the frames so far. hosts: gives the hosts, for the ladder.
        start: the nanosecond from which drawn times count; by default that of the first frame.
    """

    def __init__(
        self,
        name: str,
        frames: Callable[[], Iterable[Frame]],
        hosts: Callable[[], Mapping[str, Any]],
        start: int | None = None,
    ) -> None:
        self.name, self.frames, self.hosts, self.start = name, frames, hosts, start

    def leave(self, folder: Path) -> list[Path]:
        """Write capture and ladder into a folder, made where it is missing; return the paths. No frames, no files."""
        frames = [*self.frames()]
        if not frames:
            return []
        folder.mkdir(parents=True, exist_ok=True)
        capture, drawn = (folder / f"{file_name(self.name)}{ending}" for ending in ENDINGS)
        Capture.of(frames).write(capture)
        more = f"\n... {len(frames) - SHOWN} frames more" if len(frames) > SHOWN else ""
        drawn.write_text(f"{self._drawn(frames[:SHOWN], self._begin(frames))}{more}\n", encoding="utf-8")
        return [capture, drawn]

    def last(self) -> str:
        """Return the last rows of the ladder; nothing where there are no frames."""
        frames = [*self.frames()]
        if not frames:
            return ""
        before = f"... {len(frames) - LAST} frames before\n" if len(frames) > LAST else ""
        return f"{before}{self._drawn(frames[-LAST:], self._begin(frames))}"

    def _begin(self, frames: list[Frame]) -> int | None:
        return (
            self.start if self.start is not None else next((f.time_ns for f in frames if f.time_ns is not None), None)
        )

    def _drawn(self, frames: list[Frame], start: int | None) -> str:
        return str(ladder(frames, names(self.hosts().values()), start=start))


def forget(folder: Path) -> None:
    """Remove what an earlier run left in the folder of a test; nothing else that is there."""
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name.endswith(ENDINGS):
                path.unlink()
        for empty in (folder, folder.parent):
            with suppress(OSError):  # something else is in it
                empty.rmdir()


class RecordedLab(Lab):
    """A lab that keeps what crosses its links; see `recordings`."""

    def __init__(self) -> None:
        super().__init__()
        self._taps: list[tuple[str, InterfaceSource]] = []

    def link(self, one: Host, other: Host | Switch, **how: Any) -> Link:
        """Join two hosts, or a host and a switch; see `link.lab.Lab.link`."""
        link = super().link(one, other, **how)
        name = f"lab {one.name} -- {other.name}"
        again = sum(known.startswith(name) for known, _ in self._taps)
        self._taps.append(
            (f"{name} {again + 1}" if again else name, InterfaceSource(both_ways(one, len(one.ends) - 1), None, dict))
        )
        return link

    @property
    def recordings(self) -> list[Artifact]:
        """What crossed the links, a recording for each."""

        def frames(source: InterfaceSource) -> Callable[[], list[Frame]]:
            return lambda: [seen.frame for seen in source.seen()]

        return [Artifact(name, frames(source), lambda: self.hosts) for name, source in self._taps]

    def close(self) -> None:
        """End the lab; what was recorded stays."""
        for _, tap in self._taps:
            tap.close()
        super().close()
