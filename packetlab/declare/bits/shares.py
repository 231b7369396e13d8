"""Sizes of fields that share bytes: each has the bytes that end in it, so that those side by side come to what they fill together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packetlab.declare.fields import Field
    from packetlab.declare.plan import Plan


def shares(f: Field) -> bool:
    """Whether a field need not fill whole bytes."""
    return f.kind.loose or bool(f.kind.fixed_bits % 8)


def side_by_side(plan: Plan, f: Field) -> tuple[list[Field], list[frozenset[int]]]:
    """Return the fields from one byte boundary to the next among which one lies, and where each can end, in bits after a boundary."""
    for step in plan.loose:
        if f in step.fields:
            return step.fields, step.ends
    for unit in plan.units:
        if f in unit.fields:
            widths = [g.kind.fixed_bits for g in unit.fields]
            return unit.fields, [frozenset({sum(widths[: place + 1]) % 8}) for place in range(len(widths))]
    return [f], [frozenset({0})]


def sharing(plan: Plan, f: Field) -> list[Field]:
    """Return what the size of a field follows from: of those before it from a byte boundary on what need not fill bytes, and itself."""
    if not shares(f):
        return [f]
    fields, _ = side_by_side(plan, f)
    return [g for g in fields[: fields.index(f) + 1] if shares(g)]
