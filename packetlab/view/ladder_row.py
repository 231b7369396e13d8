"""Rows: what a ladder, as text and as a picture, is made of."""

from __future__ import annotations

from typing import NamedTuple


class LadderRow(NamedTuple):
    """One packet of a ladder, or several folded into one line.

    Attributes:
        time_ns: when it was captured, or None. source, destination: columns. text: what it says.
        notes: remarks (retransmission ...) and comments (what a link did), safe to print.
        plain: whether it is one among many like it. bytes: of its payload. folded: packets in this line, 0 for one.
    """

    time_ns: int | None
    source: str
    destination: str
    text: str
    notes: tuple[str, ...] = ()
    plain: bool = False
    size: int = 0
    folded: int = 0
