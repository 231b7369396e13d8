"""What is said of frames that were received: how they compare with those that were sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from packetlab.renamed import old_names


class Damage(NamedTuple):
    """One frame that came damaged: which row it is of, its place among the frames received, and the fields that differ."""

    row: int
    place: int
    fields: tuple[str, ...]


@dataclass(frozen=True)
class VariationReport:
    """How frames received compare with those expected. True where all came, once, in order and whole.

    Attributes:
        expected, received: frames. matched: rows that came whole.
        missing: rows that did not come at all; `gaps` has them as (first, last) row.
        duplicates: frames of a row that had come before.
        reordered: frames that came after one of a later row; `extent`: how many frames after the first such, at most
            (RFC 4737 section 4.2.1).
        corrupted: frames of a row that differ from it; `damage` tells row and fields of the first 10,000, `differing`
            how many of these differ in each field.
        foreign: frames of no row. ambiguous: rows that are equal to another: which of them is missing is not known, and
            they do not count as reordered.
    """

    expected: int
    received: int
    matched: int
    missing: int
    gaps: tuple[tuple[int, int], ...]
    duplicates: int
    reordered: int
    extent: int
    corrupted: int
    damage: tuple[Damage, ...]
    differing: dict[str, int]
    foreign: int
    ambiguous: int

    def __bool__(self) -> bool:
        return not (self.missing or self.duplicates or self.reordered or self.corrupted or self.foreign)

    def __str__(self) -> str:
        lines = [f"expected   {self.expected} frames, received {self.received}, {self.matched} whole"]
        if self.missing:
            shown = ", ".join(f"{a}" if a == b else f"{a}..{b}" for a, b in self.gaps[:5])
            more = f" and {len(self.gaps) - 5} more" if len(self.gaps) > 5 else ""
            lines.append(f"missing    {self.missing} in {len(self.gaps)} gaps: {shown}{more}")
        if self.duplicates:
            lines.append(f"duplicates {self.duplicates}")
        if self.reordered:
            lines.append(f"reordered  {self.reordered}, by {self.extent} frames at most")
        if self.corrupted:
            fields = ", ".join(f"{name} {times}" for name, times in self.differing.items())
            lines.append(f"corrupted  {self.corrupted}: {fields}")
        if self.foreign:
            lines.append(f"foreign    {self.foreign}")
        if self.ambiguous:
            lines.append(f"ambiguous  {self.ambiguous} rows are equal to others")
        return "\n".join(lines)


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
