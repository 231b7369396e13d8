"""Diagrams of declared headers: the bit ruler of the RFCs in text and as SVG, and a table of the fields.

Thirty-two bits make a row. What has no fixed size, or may be absent, is drawn as if it were there, and marked. Names and
texts of declarations may come from a file and are escaped in the forms that could act on them.
"""

from __future__ import annotations

from contextlib import suppress
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any, NamedTuple

from packetlab.declare.annotations import is_header
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Checksum
from packetlab.declare.fields import REQUIRED
from packetlab.declare.kinds import Kind
from packetlab.declare.plan import Step, When
from packetlab.declare.values.views import RawValue
from packetlab.errors import BuildError
from packetlab.escaping import printable, safe
from packetlab.packet.text import Text

ROW = 32  # bits
CELL, HIGH, TOP = 22, 34, 24  # pixels: a bit's width, a row's height, the room for the ruler above
ROWS = 4  # of one long field that are drawn; more are folded
STYLE = (
    "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1f2328}rect{fill:#fff0;stroke:#59636e}"
    ".n{fill:#59636e;font-size:10px}.o{stroke-dasharray:5 3}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}rect{stroke:#9198a1}.n{fill:#9198a1}}"
)


class Cell(NamedTuple):
    """A field as it is drawn. `bits`: None where the size varies. `optional`: whether it may be absent."""

    name: str
    bits: int | None
    optional: bool = False

    @property
    def label(self) -> str:
        """The name, with what is to be known at a glance."""
        size = " ..." if self.bits is None else f" ({self.bits // 8} bytes)" if self.bits > ROW * (ROWS + 1) else ""
        return self.name + size + (" ?" if self.optional else "")


class CellPart(NamedTuple):
    """Part of a cell in one row: from which bit on, how many, and whether the name stands here."""

    cell: Cell
    number: int
    start: int
    bits: int
    named: bool


def cells(header: Declaration) -> list[Cell]:
    """Return the fields of a header as cells, a payload with fields after it among them."""
    plan = header.plan

    def drawn(steps: list[Step]) -> list[Cell]:
        return [Cell(f.name, f.kind.bits, isinstance(step, When)) for step in steps for f in step.fields if f.computed is f.heap]

    payload = [Cell("payload", None)] if header.has_trailer else []
    return [*drawn(plan.head), *payload, *drawn(plan.trailer)]


def rows(header: Declaration) -> list[list[CellPart]]:
    """Return the rows of a diagram. Fields of varying size have a row of their own; rows of long ones are folded."""
    found: list[list[CellPart]] = [[]]
    at = 0
    for number, cell in enumerate(cells(header)):
        if cell.bits is None:
            if found[-1]:
                found.append([])
            found[-1].append(CellPart(cell, number, 0, ROW, True))
            found.append([])
            at = 0
            continue
        left, parts = cell.bits, []
        while left:
            bits = min(left, ROW - at)
            parts.append((at, bits))
            at, left = (at + bits) % ROW, left - bits
        if len(parts) > ROWS + 1:
            parts = [*parts[: ROWS - 1], parts[-1]]
        widest = max(range(len(parts)), key=lambda i: (parts[i][1], -abs(i - (len(parts) - 1) / 2), -i))
        for i, (start, bits) in enumerate(parts):
            if start == 0 and found[-1]:
                found.append([])
            found[-1].append(CellPart(cell, number, start, bits, i == widest))
        if at == 0:
            found.append([])
    return [row for row in found if row]


class Diagram(Text):
    """The ruler of a header as text; a notebook shows it as a picture. See `diagram`."""

    declaration: Declaration

    def svg(self) -> str:
        """Return the ruler as an SVG picture, for light and dark pages."""
        return _svg(self.declaration)

    def markdown(self) -> str:
        """Return a Markdown table of the fields: where they lie, what they are, what they follow from."""
        return _markdown(self.declaration)

    def save(self, where: str | Path) -> None:
        """Write a file: a picture where the name ends in .svg, the table for .md, else the text.

        OSError where it cannot be written.
        """
        ending = Path(where).suffix
        text = self.svg() if ending == ".svg" else self.markdown() if ending == ".md" else f"{self}\n"
        Path(where).write_text(text, encoding="utf-8")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from base64 import b64encode

        picture = b64encode(self.svg().encode()).decode()
        alt = safe(self, "\n")
        return {"text/plain": str(self), "text/html": f'<img alt="{alt}" src="data:image/svg+xml;base64,{picture}">'}


def diagram(header: Any) -> Diagram:
    """Return the diagram of a declared header: text like the figures of the RFCs, `svg()`, a `markdown()` table, `save()`.

    A name that finds no room is cut, and spelt out below. `...` marks a field of varying size, `?` one that may be absent.
    BuildError for anything but a header class.
    """
    if not is_header(header):
        raise BuildError("diagram", "a header class", repr(header))
    made = Diagram(_text(header._declaration))
    made.declaration = header._declaration
    return made


def in_full(cls: Any) -> str:
    """Return what `help` shows of a header: its own words, the ruler, and a line for each field."""
    header: Declaration = cls._declaration
    lines = [header.doc, ""] if header.doc else []
    lines += [_text(header), ""]
    width = max((len(f.name) for f in header.fields), default=0)
    for f, (place, kind, value, present) in zip(header.fields, _facts(header), strict=True):
        more = f", where {present}" if present else ""
        lines.append(f"{f.name:<{width}}  {place}: {kind}{f', {value}' if value else ''}{more}")
        if header.view is not None and header.view[0] == f.name:
            facts = [(one, fact) for inner in header.with_inside[1:] for one, fact in zip(inner.fields, _facts(inner), strict=True)]
            lines += [f"    {one.name}: {fact[1]}{f', {fact[2]}' if fact[2] else ''}" for one, fact in facts]
    return printable("\n".join(lines).rstrip(), "\n")


class _Word:
    """Stands in a signature for what is no value of its own."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class _Member(int):
    """A number that is shown as the names of it in an enum."""

    words: str

    def __repr__(self) -> str:
        return self.words


def _given(kind: Kind, raw: Any) -> object:
    """Return a default in a form that gives the same when it is given: that of users where there is one, else ``raw(...)``."""
    if kind.wire == "number" and getattr(kind, "names", None) is not None:
        names = (getattr(kind.value(raw), "name", None) or "").split("|")
        made = _Member(raw)
        made.words = "|".join(f"{kind.annotation()}.{name}" for name in names)
        return made if names[0] else raw
    if kind.wire in ("payload", "number") and kind.as_raw is None:
        return raw
    one = raw[0] if kind.one and isinstance(raw, tuple) and raw else raw
    for form in (one if kind.one else kind.text(raw) if kind.is_address else kind.value(raw), one):
        with suppress(BuildError, TypeError, ValueError):
            if kind.raw(form, "") == raw:
                return form
    return RawValue(raw) if kind.as_raw is not None and isinstance(raw, int | bytes) else one


def signature(header: Any) -> Signature:
    """Return how a header class is called: its fields by keyword, with what they have unless given.

    Defaults are values that may be given; the words auto and absent stand for a field that is not.
    """
    parameters = []
    said: Declaration = header._declaration
    for f in (*said.fields, *said.inside):
        kind = f.kind
        if said.view is not None and f.name == said.view[0]:
            default: object = _Word("of the fields in it")
        elif f.rule is not None or f.pad or f.computed is not None:
            default = _Word("auto")
        elif f.condition is not None:
            default = _Word("absent")
        elif f.default is REQUIRED and kind.wire != "payload":
            default = Parameter.empty
        else:
            default = _given(kind, f.default)
        absent = f.condition is not None
        takes: object = {"bytes": bytes, "int": int}.get(kind.annotation()) if not absent else None
        takes = takes or _Word(kind.annotation() + " | None" * absent)
        parameters.append(Parameter(f.name, Parameter.KEYWORD_ONLY, default=default, annotation=takes))
    return Signature(parameters)


# Text --------------------------------------------------------------------------------------------------------------


def _text(header: Declaration) -> str:
    drawn = rows(header)
    if not drawn:
        return "(no fields)"
    tens = " ".join(f"{bit // 10 if bit % 10 == 0 else ' '}" for bit in range(ROW))
    ones = " ".join(str(bit % 10) for bit in range(ROW))
    lines = [f" {tens}".rstrip(), f" {ones}"]
    cut: list[str] = []
    above: list[CellPart] = []
    for row in drawn:
        lines += [_border(above, row), _line(row, cut)]
        above = row
    lines.append(_border(above, []))
    if header.low:
        lines.append("Bits are counted from the lowest of each byte.")
    if cut:
        lines.append("Cut short: " + ", ".join(dict.fromkeys(cut)) + ".")
    return "\n".join(lines)


def _owners(row: list[CellPart]) -> list[int | None]:
    """For each bit of a row, the number of the field in it."""
    found: list[int | None] = [None] * ROW
    for piece in row:
        found[piece.start : piece.start + piece.bits] = [piece.number] * piece.bits
    return found


def _border(above: list[CellPart], below: list[CellPart]) -> str:
    """The line between two rows: closed but where one field goes on."""
    upper, lower = _owners(above), _owners(below)
    used = max((bit + 1 for bit in range(ROW) if upper[bit] is not None or lower[bit] is not None), default=0)
    closed = [upper[bit] != lower[bit] or upper[bit] is None for bit in range(used)]
    text = ""
    for bit in range(used + 1):
        near = closed[max(0, bit - 1) : bit + 1]
        text += "+" if bit in (0, used) or any(near) else " "
        text += ("-" if closed[bit] else " ") if bit < used else ""
    return text


def _line(row: list[CellPart], cut: list[str]) -> str:
    text = ""
    for piece in row:
        room = 2 * piece.bits - 1
        label = piece.cell.label if piece.named else ""
        if len(label) > room:
            label = piece.cell.name[:room]
            cut.append(f"{piece.cell.name} (bit {piece.start})" if piece.bits < ROW else piece.cell.name)
        edge = "/" if piece.cell.bits is None else "|"
        text += (edge if not text or edge == "/" else "|") + label.center(room)
    return text + ("/" if row[-1].cell.bits is None else "|")


# SVG ---------------------------------------------------------------------------------------------------------------


def _svg(header: Declaration) -> str:
    drawn = rows(header)
    width, height = ROW * CELL + 2, TOP + len(drawn) * HIGH + 2
    title = safe(f"{header.name}, bit by bit")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<title>{title}</title><desc>{safe(_text(header), chr(10))}</desc><style>{STYLE}</style>",
    ]
    for bit in range(ROW):
        parts.append(
            f'<text class="n" x="{bit * CELL + CELL // 2 + 1}" y="{TOP - 8}" text-anchor="middle">{bit}</text>'
        )
    for number, row in enumerate(drawn):
        y = TOP + number * HIGH + 1
        for piece in row:
            x, wide = piece.start * CELL + 1, piece.bits * CELL
            dashed = ' class="o"' if piece.cell.optional or piece.cell.bits is None else ""
            whole = safe(piece.cell.label)
            parts.append(f'<rect x="{x}" y="{y}" width="{wide}" height="{HIGH}"{dashed}><title>{whole}</title></rect>')
            if piece.named:
                room = max(1, int(wide / 7.4) - 1)
                label = piece.cell.label if len(piece.cell.label) <= room else piece.cell.name[:room]
                middle = x + wide / 2
                parts.append(f'<text x="{middle:g}" y="{y + 21}" text-anchor="middle">{safe(label)}</text>')
    return "".join([*parts, "</svg>"])


# Tables ------------------------------------------------------------------------------------------------------------


def _facts(header: Declaration) -> list[tuple[str, str, str, str]]:
    """Return of each field: where it lies, what it is, its value or rule, and when it is there."""
    found = []
    at: int | None = 0
    for f in header.fields:
        place = "after" if at is None else _place(at, f.kind.bits, header.low)
        place = place if f.heap is None else f"{f.heap.place} from the start of {f.heap.counted}, in its {f.heap.within}"
        value = ""
        if f.rule is not None:
            value = f"checksum {f.rule}" if isinstance(f.rule, Checksum) else f"= {f.rule}"
        elif f.fixed:
            value = f"always {f.kind.text(f.default)}"
        elif f.heap is not None:
            value = f"{f.heap.size} bytes"
        elif f.size is not None or f.count is not None or f.pad:
            value = (
                f"{f.size} bytes"
                if f.size is not None
                else f"{f.count} of them"
                if f.count is not None
                else f"up to a multiple of {f.pad}" + f" since {f.since}" * (f.since != "self")
            )
        elif f.default is REQUIRED and f.condition is None and f.kind.wire != "payload":
            value = "to be given"
        elif f.default not in (None, REQUIRED, b"", ()):
            value = f"{f.kind.text(f.default)} unless given"
        value += f"{'; ' if value else ''}always {f.must}" if f.must is not None else ""
        found.append((place, f.kind.in_words(), value, str(f.condition) if f.condition is not None else ""))
        at = at if f.heap is not None else None if at is None or f.kind.bits is None or f.condition is not None else at + f.kind.bits
    return found


def _place(at: int, bits: int | None, low: bool) -> str:
    counted = " from the lowest" * low
    if bits is None:
        return f"byte {at // 8} on"
    if at % 8 or bits % 8:
        last = at + bits - 1
        return f"bit {at}{counted}" if bits == 1 else f"bits {at} to {last}{counted}"
    return f"byte {at // 8}" if bits == 8 else f"bytes {at // 8} to {(at + bits) // 8 - 1}"


def _markdown(header: Declaration) -> str:
    lines = ["| where | field | what | value | there |", "|---|---|---|---|---|"]
    for f, (place, kind, value, present) in zip(header.fields, _facts(header), strict=True):
        there = f"where `{_cell(present)}`" if present else "always"
        shown = f"`{_cell(value)}`" if value else ""
        lines.append(f"| {place} | `{_cell(f.name)}` | {safe(_cell(kind))} | {shown} | {there} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text that stays inside its cell and its backticks."""
    return printable(text.replace("\n", " ")).replace("`", "'").replace("|", "\\|")
