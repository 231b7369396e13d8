"""A ladder as a picture. Colours follow the viewer's light or dark, and every colour stands beside a word.

Knows rows and columns, nothing of packets. In an image nothing can be hovered or clicked, so all that matters is
written out; a whole text that was cut to fit is in the row's <title>.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log10
from statistics import median

from packetlab.escaping import safe
from packetlab.view.ladder_row import LadderRow

TIMES = ("even", "compressed", "scale")
STEP, LEAST, LONGEST = 30, 17, 90  # pixels from row to row: usually, at the least, and where time passed at the most
LEFT, TOP, LETTER = 96, 46, 6.7  # room for times, room for names, width of a letter
WIDE, NARROW, NOTES = 400, 280, 240
STYLE = """
.p{fill:#fff}.t{fill:#57606a}.x{fill:#1f2328}.l{stroke:#8c959f}.a{stroke:#0a5cc4}.h{fill:#0a5cc4}.lost{stroke:#c81e1e}
.again{stroke:#b45f06}.bad{stroke:#8250df}.twice{stroke:#0b7285}.nlost{fill:#c81e1e}.nagain{fill:#b45f06}.nbad{fill:#8250df}
.ntwice{fill:#0b7285}.f{stroke:#8c959f}
@media(prefers-color-scheme:dark){.p{fill:#15181c}.t{fill:#9aa4af}.x{fill:#e6edf3}.l{stroke:#5b646e}.a{stroke:#6cb0ff}
.h{fill:#6cb0ff}.lost{stroke:#ff7b72}.again{stroke:#f0a54a}.bad{stroke:#c8a6ff}.twice{stroke:#5fd0e0}.nlost{fill:#ff7b72}
.nagain{fill:#f0a54a}.nbad{fill:#c8a6ff}.ntwice{fill:#5fd0e0}.f{stroke:#5b646e}}
text{font:11px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
path,line{fill:none;stroke-width:1.3}.m{text-anchor:middle}.e{text-anchor:end}.b{font-weight:bold}
"""
# What a note begins with (or is, whole) -> how its arrow is drawn; the first that fits.
NOTED = (
    (("lost", "dropped"), "lost"),
    (("retransmission", "fills a gap", "gap before"), "again"),
    (("corrupted", "reordered"), "bad"),
    (("duplicated",), "twice"),
)


def style(notes: Sequence[str]) -> str:
    """Return how a packet with these notes is drawn: "lost", "again", "bad", "twice", or "" for plainly."""
    for beginnings, kind in NOTED:
        if any(part.strip().startswith(beginnings) for note in notes for part in note.split(";")):
            return kind
    return "twice" if "duplicate" in notes else ""


def draw(rows: Sequence[LadderRow], columns: Sequence[str], time: str, start: int) -> str:
    """Return rows as an SVG document.

    Args:
        columns: names of the ends, each a vertical line. time: how the rows are spaced. start: nanoseconds that are 0.
    """
    apart = WIDE if len(columns) <= 2 else NARROW  # so that three fit the width of a notebook
    place = {column: LEFT + 20 + apart // 4 + i * apart for i, column in enumerate(columns)}
    heights = _heights(rows, time)
    bottom = (heights[-1] if heights else TOP) + 18
    right = max(place.values(), default=LEFT)
    noted = max((len("; ".join(row.notes)) for row in rows), default=0)
    width = int(right + max(60, min(noted * LETTER + 24, 2 * NOTES)))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bottom}" viewBox="0 0 {width} {bottom}" role="img">',
        f"<title>Ladder of {len(rows)} rows</title><style>{STYLE.strip()}</style>",
        f'<rect class="p" width="{width}" height="{bottom}"/><text class="t e" x="{LEFT - 8}" y="20">seconds</text>',
    ]
    for column, x in place.items():
        parts.append(f'<text class="x b m" x="{x}" y="20">{safe(_cut(column, apart))}</text>')
        parts.append(f'<line class="l" x1="{x}" y1="28" x2="{x}" y2="{bottom - 6}"/>')
    for row, y in zip(rows, heights, strict=True):
        if row.time_ns is not None:
            parts.append(f'<text class="t e" x="{LEFT - 8}" y="{y + 4}">{(row.time_ns - start) / 1e9:.6f}</text>')
        parts.append(_row(row, y, place[row.source], place[row.destination], apart))
        if row.notes:
            said = _cut("; ".join(row.notes), 2 * NOTES)
            parts.append(f'<text class="n{style(row.notes) or "bad"}" x="{right + 14}" y="{y + 4}">{safe(said)}</text>')
    return "".join([*parts, "</svg>"])


def _row(row: LadderRow, y: int, source: int, destination: int, apart: int) -> str:
    if source == destination:
        return f'<text class="x" x="{source + 8}" y="{y + 4}">({safe(_cut(row.text, apart - 20))})</text>'
    middle, room = (source + destination) // 2, abs(destination - source) - 24
    text = _cut(row.text, room)
    whole = f"<title>{safe(row.text)}</title>" if text != row.text else ""
    said = f'<text class="x m" x="{middle}" y="{y - 4}">{whole}{safe(text)}</text>'
    if row.folded:
        return said + "".join(
            f'<path class="f" stroke-dasharray="2 4" d="M{source} {y + d}H{destination}"/>' for d in (-1, 2)
        )
    kind = style(row.notes)
    way = 1 if destination > source else -1
    end = destination - way * 2
    if kind == "lost":  # goes most of the way, and there it ends with a cross
        end = source + (destination - source) * 3 // 4
        cross = f'<path class="lost" d="M{end - 5} {y - 5}l10 10m0 -10l-10 10"/>'
        return said + f'<path class="lost" stroke-dasharray="6 4" d="M{source} {y}H{end}"/>{cross}'
    dashes = ' stroke-dasharray="8 3"' if kind in ("again", "bad") else ""
    lines = [f'<path class="{kind or "a"}"{dashes} d="M{source} {y}H{end}m{-way * 7} -4l{way * 7} 4l{-way * 7} 4"/>']
    if kind == "twice":
        lines.append(f'<path class="twice" d="M{source} {y + 4}H{end - way * 8}"/>')
    return said + "".join(lines)


def _cut(text: str, room: float) -> str:
    most = max(1, int(room / LETTER))
    return text if len(text) <= most else text[: most - 1] + "…"


def _heights(rows: Sequence[LadderRow], time: str) -> list[int]:
    """Return how far down each row stands, in pixels."""
    gaps = [
        max(0, b.time_ns - a.time_ns) if a.time_ns is not None and b.time_ns is not None else 0
        for a, b in pairwise(rows)
    ]
    usual = median([gap for gap in gaps if gap] or [1])
    if time == "scale":
        # As tall as an even one where time allows, and four times that at the most.
        pixels = min(STEP / usual, 4 * STEP * len(rows) / (sum(gaps) or 1))
        steps = [max(LEAST, round(gap * pixels)) for gap in gaps]
    elif time == "compressed":
        steps = [min(LONGEST, STEP + (round(20 * log10(gap / usual)) if gap > usual else 0)) for gap in gaps]
    else:
        steps = [STEP] * len(gaps)
    heights = [TOP + 8] if rows else []
    for step in steps:
        heights.append(heights[-1] + step)
    return heights
