"""HTML and SVG by hand: escaping, colours, tables, pictures.

What survives in viewers that strip scripts, style sheets, ids and inline SVG is used for everything that matters:
elements, inline styles, `title`, `<details>`, and pictures as data URIs. Colours stand on light and dark alike: text
keeps the viewer's own colour, and meaning lies in a tint behind it and in words.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from zlib import crc32

from packetlab.escaping import safe

# Tints that can be distinguished by people who are blind to some colours too; each layer takes the next.
TINTS = (
    "86,156,214", "240,165,60", "80,180,130", "205,110,170", "150,130,220", "190,170,60", "70,185,200",
    "220,115,95",
)  # fmt: skip
GOOD, BAD, NOTE = "46,160,67", "229,83,75", "240,165,60"
LINE = "rgba(128,128,128,.35)"
MONO = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:12px"
CELL = f"padding:1px 8px;text-align:left;vertical-align:top;border-bottom:1px solid {LINE}"


def tint(number: int, strength: float = 0.28) -> str:
    """Return the colour of a layer."""
    return f"rgba({TINTS[number % len(TINTS)]},{strength})"


def chip(text: str, colour: str, strength: float = 0.28) -> str:
    """Return a word (HTML) on a tint, `colour` being its "red,green,blue"."""
    return f'<span style="background:rgba({colour},{strength});border-radius:3px;padding:0 5px">{text}</span>'


def table(
    names: Sequence[str],
    rows: Iterable[Sequence[str]],
    caption: str = "",
    *,
    right: Iterable[int] = (),
    classes: Sequence[str] = (),
) -> str:
    """Return a table of cells that are HTML already; the first cell of each row is its heading.

    Args:
        right: columns of numbers, set to the right. classes: of the rows.
    """
    aligned = [CELL.replace("left", "right") if i in set(right) else CELL for i in range(len(names))]
    head = "".join(f'<th scope="col" style="{style}">{name}</th>' for name, style in zip(names, aligned, strict=True))
    body = []
    for number, row in enumerate(rows):
        cells = "".join(
            f'<{tag} style="{style}{weight}">{cell}</{tag.split(" ")[0]}>'
            for cell, style, tag, weight in zip(
                row, aligned, ('th scope="row"', *["td"] * len(row)), (";font-weight:normal", *[""] * len(row)),
                strict=False,
            )
        )  # fmt: skip
        marked = f' class="{classes[number]}"' if classes else ""
        body.append(f"<tr{marked}>{cells}</tr>")
    title = f'<caption style="text-align:left;caption-side:top;padding:2px 8px">{caption}</caption>' if caption else ""
    return (
        f'<table style="border-collapse:collapse;margin:0 0 4px 0;{MONO}">{title}'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )


def details(summary: str, body: str, *, shown: bool = False) -> str:
    """Return a part that opens and closes."""
    return (
        f'<details{" open" if shown else ""} style="margin:2px 0">'
        f'<summary style="cursor:pointer">{summary}</summary>{body}</details>'
    )


def pre(lines: Iterable[str]) -> str:
    """Return lines (HTML) in a fixed width."""
    return (
        f'<pre style="{MONO};line-height:1.45;margin:2px 0;white-space:pre;overflow-x:auto">'
        + "\n".join(lines)
        + "</pre>"
    )


def picture(svg: str, alt: str, scaled: bool = True) -> str:
    """Return an SVG as an image that needs no file, `scaled` down to the width there is or to be scrolled.

    `alt` (plain text) is what is read where it is not seen.
    """
    data = b64encode(svg.encode()).decode()
    return f'<img style="max-width:{"100%" if scaled else "none"}" alt="{safe(alt)}" src="data:image/svg+xml;base64,{data}">'


def scoped(body: str, rules: str = "") -> str:
    """Return a whole output: `rules` are CSS in which `.this` is this output alone, whatever else the page shows."""
    # By content and not by a counter, so that the same output is the same text in every run.
    name = f"p{crc32(body.encode()):08x}"
    style = f"<style>{rules.replace('.this', '.' + name)}</style>" if rules else ""
    return f'{style}<div class="{name}" style="overflow-x:auto">{body}</div>'
