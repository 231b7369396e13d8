"""Frames, captures, tables of columns and differences, as text and HTML. Long ones come in pages, and end somewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from packetlab.capture import Capture, Frame
from packetlab.errors import CaptureError
from packetlab.escaping import printable, safe
from packetlab.packet.packet import Header
from packetlab.packet.results import Difference
from packetlab.packet.text import item_text
from packetlab.view.conversation import ends, label
from packetlab.view.markup import BAD, NOTE, TINTS, chip, details, scoped, table
from packetlab.view.packets import packet_html

PAGE = 20  # rows shown at once
MOST = 100  # rows in a page's folded successors too


def moment(time_ns: int | None) -> str:
    """Return a time of day in UTC to the nanosecond, "-" for None."""
    if time_ns is None:
        return "-"
    seconds, rest = divmod(time_ns, 1_000_000_000)
    try:
        day = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{seconds}.{rest:09d}"  # no year of ours
    return f"{day:%Y-%m-%d %H:%M:%S}.{rest:09d} UTC"


# One frame -----------------------------------------------------------------------------------------------------


def facts(frame: Frame) -> list[tuple[str, str]]:
    """Return what a frame says in addition to its bytes, as (name, text)."""
    found = [("frame", str(frame.number)), ("time", moment(frame.time_ns))]
    kept = "" if len(frame.data) == frame.wire_length else f" of {frame.wire_length}"
    found.append(("bytes", f"{len(frame.data)}{kept}"))
    found.append(("link type", str(frame.linktype)))
    if frame.interface.name:
        found.append(("interface", printable(frame.interface.name)))
    if frame.interface.description:
        found.append(("description", printable(frame.interface.description)))
    for name in ("flags", "drop_count", "packet_id"):
        value = getattr(frame, name)
        if value is not None:
            found.append((name.replace("_", " "), str(value)))
    return found + [("comment", printable(comment)) for comment in frame.comments]


def frame_text(frame: Frame) -> str:
    """Return a frame as text: what is known of it, and its packet."""
    return "\n".join([*(f"{name:<12} {value}" for name, value in facts(frame)), str(frame.packet().show())])


def frame_html(frame: Frame) -> str:
    words = " ".join(f"<div>{name}: {safe(value)}</div>" for name, value in facts(frame))
    return f'<div class="frame">{words}</div>{packet_html(frame.packet())}'


# Captures ------------------------------------------------------------------------------------------------------

COLUMNS = ("number", "seconds", "source", "destination", "headers", "bytes", "says")


class _Page:
    """The first rows of a capture, and what ended them.

    Attributes:
        rows: texts, by COLUMNS. more: whether there are more. fault: what is wrong with the file.
    """

    def __init__(self, capture: Capture, most: int) -> None:
        self.rows: list[tuple[str, ...]] = []
        self.names: list[tuple[str, ...]] = []
        self.more, self.fault = False, ""
        self.start: int | None = None
        if not capture.again:
            self.fault = "a stream that can be read only once: nothing of it is shown"
            return
        try:
            for frame in islice(capture, most + 1):
                if len(self.rows) == most:
                    self.more = True
                else:
                    self._take(frame)
        except CaptureError as fault:
            self.fault = str(fault)

    def _take(self, frame: Frame) -> None:
        packet = frame.packet()
        if self.start is None:
            self.start = frame.time_ns
        seconds = "-" if frame.time_ns is None else f"{(frame.time_ns - (self.start or 0)) / 1e9:.6f}"
        source, destination = ends(packet)
        says = label(packet, 1) + "".join(f"  [{printable(comment)}]" for comment in frame.comments)
        names = tuple(type(header).__name__ for header in packet.layers)
        self.names.append(names)
        self.rows.append(
            (str(frame.number), seconds, source, destination, "/".join(names), str(frame.wire_length), says)
        )


def _what(capture: Capture) -> str:
    held = capture._held
    return f"{printable(capture.name)}" + ("" if held is None else f": {len(held)} frames")


def capture_text(capture: Capture) -> str:
    """Return the first frames of a capture as text, a line each."""
    page = _Page(capture, PAGE)
    lines = [_what(capture), *columns(COLUMNS, page.rows, right=(0, 1, 5))]
    if page.more:
        lines.append(f"... and more; capture[{PAGE}:{2 * PAGE}] are the next")
    return "\n".join([*lines, *([printable(page.fault)] if page.fault else [])])


def capture_html(capture: Capture) -> str:
    """Return a capture as HTML: a page of its frames, the next ones folded."""
    page = _Page(capture, MOST)
    order = list(dict.fromkeys(name for names in page.names for name in names))
    rows = []
    for row, names in zip(page.rows, page.names, strict=True):
        cells = [safe(cell) for cell in row]
        cells[4] = "/".join(chip(safe(name), TINTS[order.index(name) % len(TINTS)]) for name in names)
        rows.append(cells)
    parts = [f"<div><b>{safe(_what(capture))}</b></div>", *pages(COLUMNS, rows, "frames", right=(0, 1, 5))]
    if page.more:
        parts.append(f"<div>… and more: capture[{MOST}:{2 * MOST}] shows the next</div>")
    if page.fault:
        parts.append(f"<div>{chip(safe(page.fault), BAD)}</div>")
    return scoped("".join(parts))


def pages(names: Sequence[str], rows: Sequence[Sequence[str]], what: str, right: tuple[int, ...] = ()) -> Iterator[str]:
    """Yield tables of PAGE rows of HTML, all but the first folded."""
    for at in range(0, max(len(rows), 1), PAGE):
        part = rows[at : at + PAGE]
        caption = f"{what} {at + 1} to {at + len(part)}" if part else f"no {what}"
        whole = table(names, part, caption, right=right)
        yield whole if not at else details(caption, whole)


def columns(
    names: Sequence[str], rows: Sequence[Sequence[str]], right: tuple[int, ...] = (), widest: int = 60
) -> list[str]:
    """Return lines of text in columns."""
    cut = [[cell if len(cell) <= widest else cell[: widest - 1] + "…" for cell in row] for row in (names, *rows)]
    widths = [max(len(row[i]) for row in cut) for i in range(len(names))]
    return [
        "  ".join(
            c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cut
    ]


# Columns -------------------------------------------------------------------------------------------------------


class _Head:
    """The first rows of a table. `more`: what is to be said of the rest, or of what is wrong with it."""

    def __init__(self, thing: Any, most: int) -> None:
        self.names = [printable(str(name)) for name in thing.names]
        self.rows: list[list[str]] = []
        if not getattr(thing, "again", True):
            self.more = "columns of a stream that can be read only once: nothing of them is shown"
            return
        try:
            head = thing.head(most + 1)
        except CaptureError as fault:
            self.more = printable(str(fault))
            return
        shown = getattr(head, "text", None) or (lambda name: map(_cell, head[name]))
        columns = [[printable(text) for text in islice(shown(name), most + 1)] for name in thing.names]
        self.rows = [list(row) for row in zip(*columns, strict=True)]
        total = getattr(thing, "rows", None)
        if not isinstance(total, int):
            total = len(thing) if hasattr(thing, "__len__") else None
        if len(self.rows) > most:
            del self.rows[most:]
            self.more = f"the first {most} of {total if total is not None else 'more'} rows"
        else:
            self.more = f"{len(self.rows)} rows"


def _cell(value: object) -> str:
    if isinstance(value, tuple) and any(isinstance(one, Header) for one in value):
        return ", ".join(item_text(one) if isinstance(one, Header) else _cell(one) for one in value)
    if isinstance(value, Header):
        return item_text(value)
    return "" if value is None else repr(value) if isinstance(value, bytes) else str(value)


def table_text(thing: object) -> str:
    """Return the first rows of a table of columns (it has `names` and `head`) as text."""
    head = _Head(thing, PAGE)
    return "\n".join([*columns(head.names, head.rows), head.more])


def table_html(thing: object) -> str:
    """Return the first rows of a table of columns as HTML, a page at a time."""
    head = _Head(thing, MOST)
    parts = pages([*map(safe, head.names)], [[safe(cell) for cell in row] for row in head.rows], "rows")
    return scoped("".join([*parts, f"<div>{safe(head.more)}</div>"]))


# Differences ---------------------------------------------------------------------------------------------------


def difference_html(difference: Difference) -> str:
    """Return a difference as HTML: a row a field, what either side has, and whether it only follows from another."""
    if not difference:
        return "<div>no difference</div>"
    rows = []
    for change in difference:
        remark = f"follows from {', '.join(change.because)}" if change.because else change.note
        sides = [chip(safe(change.ours), BAD), chip(safe(change.theirs), NOTE)]
        rows.append([safe(change.where), *sides, safe(remark)])
    return scoped("".join(pages(["field", "ours", "theirs", ""], rows, "differences")))
