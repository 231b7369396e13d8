"""Ladders: who sent what to whom, a line a packet, time running down."""

from __future__ import annotations

from collections.abc import Iterable

from packetlab.capture import Frame
from packetlab.view.conversation import ends as _ends, label
from packetlab.view.hexdump import printable
from packetlab.wire.text import Text

WIDTH = 60  # characters of a label between two columns


def ladder(frames: Iterable[Frame], names: dict[str, str] | None = None) -> Text:
    """Return a ladder of captured frames as text.

    Each end that speaks is a column, named by `names` (address as text -> name) or its address; an arrow goes from
    source to destination with the topmost headers' fields; a frame's comment stands behind it (a simulated link says
    there what it did to the frame). Times are seconds since the first frame.
    """
    names = names or {}
    rows: list[tuple[int | None, str, str, str, str]] = []
    ends: list[str] = []
    for frame in frames:
        packet = frame.packet()
        source, destination = (names.get(end, end) for end in _ends(packet))
        for end in (source, destination):
            if end not in ends:
                ends.append(end)
        rows.append((frame.time_ns, source, destination, label(packet), printable(frame.comment or "")))
    if not rows:
        return Text("no frames")
    start = next((time for time, *_ in rows if time is not None), 0)
    columns = {end: 14 + i * (WIDTH + 4) for i, end in enumerate(ends)}
    lines = ["time (s)".ljust(14) + "".join(printable(end)[: WIDTH + 2].ljust(WIDTH + 4) for end in ends).rstrip()]
    for time, source, destination, text, comment in rows:
        moment = "" if time is None else f"{(time - start) / 1e9:.6f}"
        arrow = _arrow(columns[source] - 14, columns[destination] - 14, text)
        lines.append(moment.ljust(14) + arrow + (f"  {comment}" if comment else ""))
    return Text("\n".join(lines))


def _arrow(source: int, destination: int, text: str) -> str:
    left, right = sorted((source, destination))
    if left == right:
        return " " * left + "(" + text[:WIDTH] + ")"
    body = f" {text[: right - left - 6]} ".center(right - left - 2, "-")
    return " " * left + "|" + (f"{body}>" if destination > source else f"<{body}") + "|"
