"""Fields at any bit, and as wide as values say, as tables of Lua (see bits.lua)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.declare.bits.stretches import Loose
from packetlab.escaping import lua
from packetlab.export.wireshark.numbers import WIDE, is_long
from packetlab.export.wireshark.rules import condition, digits, is_wide, number
from packetlab.export.wireshark.views import named, view

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field
    from packetlab.declare.plan import Step


def among(f: Field, step: Step, header: Declaration) -> list[str]:
    """Return what a field's table has in Lua where the field lies among others at any bit; nothing elsewhere."""
    if not isinstance(step, Loose):
        return []
    place = step.fields.index(f)
    part, after = step.parts[place], step.parts[place + 1 :]
    said = [f"sort = {lua(part.sort)}, each = {part.each}, by = {lua(part.by)}"]
    said += [] if part.measure is None else [f"measure = {number(part.measure, header)}"]
    if f in step.open and f.name in header.plan.after:
        said.append(f"after = {number(header.plan.after[f.name], header)}")
    flags = {
        "low": step.low,
        "spare": bool(after) and after[0].sort == "spare",
        "last": not after and not header.in_bits,
    }
    said += [f"{word} = true" for word, holds in flags.items() if holds]
    parts = [f"among = {{{', '.join(said)}}}"]
    if f.condition is not None:
        parts.append(f"when = {condition(f.condition, header)}")
    element = f.kind.element if part.sort == "values" else None
    if element is not None and part.each <= WIDE:
        shown = view(element) if element.wire == "number" else []
        said = [f"form = {lua(_form(part.each, element.signed))}", *(["signed = true"] if element.signed else [])]
        said += ["name = ''", "kind = 'int'", f"bits = {part.each}", *(["wide = true"] if is_wide(part.each) else []), *shown] if shown else []
        parts.append(f"form = 'none', each = {{{', '.join(said)}}}")
    if part.sort in ("wide", "spare") and not is_long(f):
        bits = digits(f.kind)
        parts += [f"bits = {_width(bits)}", f"type = {lua(_form(bits, f.kind.low < 0))}", "base = 'DEC'"]
        parts += [f"{word} = true" for word, holds in (("signed", f.kind.low < 0), ("wide", is_wide(bits))) if holds]
        parts += named(f.kind.names)
    return parts


def _width(bits: int) -> int:
    return next(width for width in (8, 16, 24, 32, 64) if width >= bits)


def _form(bits: int, signed: bool) -> str:
    return f"{'int' if signed else 'uint'}{_width(bits)}"
