"""The table: every sample in every output, as cells; the page that shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from packetlab.errors import PacketlabError
from tests.declare.every_output.making import MAKING
from tests.declare.every_output.reading import READING
from tests.declare.every_output.sample import Sample
from tests.declare.every_output.samples import SAMPLES, declared
from tests.declare.every_output.wireshark import WIRESHARK

PAGE = Path(__file__).parents[3] / "notebooks" / "mechanisms.md"
OUTPUTS = {**READING, **MAKING, **WIRESHARK}
OPEN: dict[tuple[str, str], str] = {
}
"""(class, output) -> what is wrong there today; such a cell must go on to fail, or the entry goes."""


class Cell(NamedTuple):
    """What an output makes of a sample: "yes", "objects", "no" or "open", and why."""

    word: str
    reason: str = ""


def cell(sample: Sample, output: str) -> Cell:
    """Return what an output makes of a sample. Whatever it raises that is no refusal by name goes on up."""
    known = OPEN.get((sample.header.__name__, output))
    try:
        with sample.known():
            said = OUTPUTS[output](sample)
    except PacketlabError as error:
        if known:
            return Cell("open", known)
        if not re.match(r"(export wireshark: )?Row\w+[.,:]", str(error)):
            raise
        return Cell("no", str(error))
    except Exception:
        if known:
            return Cell("open", known)
        raise
    assert not known, f"{sample} goes through {output} now: take it out of OPEN"
    return Cell(str(said) if said else "yes")


def row(sample: Sample, outputs: Iterable[str] = OUTPUTS) -> list[Cell]:
    with declared():
        return [cell(sample, output) for output in outputs]


HEAD = """# What each mechanism goes through

Each row is a small declaration of one mechanism, each column something packetlab does with declarations. Every cell is tried: headers are built
with it, read, cut and damaged, and what comes out is held against what the headers themselves say (`tests/declare/every_output`).
"yes" is what holds; "objects" too, by way of header objects where others are found in one go over the bytes; "bytes" too, but Wireshark
shows what is inside as bytes, and says nothing of faults in there; "no (1)" is refused with the error below. No cell is open (not right yet, and the reason said). Made by `python -m tests.documents`.

"""


def page() -> str:
    """Return the page, with all cells tried anew."""
    return written({str(sample): row(sample) for sample in SAMPLES})


def written(rows: dict[str, Sequence[Cell]]) -> str:
    reasons = list(dict.fromkeys(one.reason for cells in rows.values() for one in cells if one.reason))
    lines = ["| | mechanism | " + " | ".join(OUTPUTS) + " |", "|---|---|" + "---|" * len(OUTPUTS)]
    for sample in SAMPLES:
        cells = [one.word + (f" ({reasons.index(one.reason) + 1})" if one.reason else "") for one in rows[str(sample)]]
        lines.append(f"| {sample.mechanism} | {sample.title} | " + " | ".join(cells) + " |")
    notes = [f"{number}. `{reason}`" for number, reason in enumerate(reasons, 1)]
    return HEAD + "\n".join(lines) + "\n\n## Reasons\n\n" + "\n".join(notes) + "\n"


@cache
def shown() -> dict[str, list[Cell]]:
    """Return the cells that the page shows, by mechanism and title."""
    text = PAGE.read_text("utf-8")
    reasons = re.findall(r"^\d+\. `(.*)`$", text, re.MULTILINE)
    found = {}
    for line in text.splitlines():
        parts = [part.strip() for part in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(parts) > 3 and parts[1] != "mechanism":
            words = [re.fullmatch(r"(\w+)(?: \((\d+)\))?", part) for part in parts[2:]]
            cells = [Cell(word[1], reasons[int(word[2]) - 1] if word[2] else "") for word in words if word]
            found[f"{parts[0]} {parts[1]}"] = cells
    return found
