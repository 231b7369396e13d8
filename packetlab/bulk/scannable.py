"""What a scan may work out: rules of which no value, whatever the packet, can leave 64 bits.

Objects work rules out in Python's whole numbers, which never overflow; a scan (`scan`) works in 64 bits. Headers with a
rule that can leave them are left to objects.
"""

from __future__ import annotations

from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Ahead, Const, Expr, Has, If, OneOf, Op, Ref, Size
from packetlab.declare.intervals import Range, hull, span
from packetlab.declare.plan import Coded, Listed

CANNOT: dict[type[object], str] = {
    Listed: "items that are read one after the other",
    Coded: "a value that tells its own size, read by Python code of its kind",
}
"""Step of a plan -> why packets with it are left to objects."""

MOST = 1 << 62  # leaves room for an offset in a buffer to be added
FURTHEST = 1 << 40  # bytes that a payload may have at the most


def scannable(rule: Expr, header: Declaration) -> bool:
    """Whether a scan of such headers works the rule out as objects do."""
    return _range(rule, header) is not None


def _range(rule: Expr, header: Declaration) -> Range | None:
    """Return the range of a rule's value, None where it or anything on the way to it may lie too far out, or is not known."""
    known: dict[int, Range] = {}
    for part in rule.parts():
        found = _single(part, [known[id(operand)] for operand in part.operands()], header)
        if found is None or not -MOST <= found[0] <= found[1] <= MOST:
            return None
        known[id(part)] = found
    return known[id(rule)]


def _single(rule: Expr, parts: list[Range], header: Declaration) -> Range | None:
    found: Range | None = None
    if isinstance(rule, Op):
        low, high = parts[1]
        unsafe = (
            low <= 0 <= high
            if rule.sign in ("//", "%")
            else not 0 <= low <= high < 64
            if rule.sign in ("<<", ">>")
            else False
        )
        found = None if unsafe else span(rule.sign, *parts)
    elif isinstance(rule, If):
        found = hull(*parts[1:])
    elif isinstance(rule, OneOf):
        found = (0, 1) if all(abs(number) <= MOST for number in rule.among) else None
    elif isinstance(rule, Const):
        found = rule.number, rule.number
    elif isinstance(rule, Ref):
        field = header.by_name.get(rule.name)
        if field is not None and field.kind.wire == "number":
            found = hull((field.kind.low, field.kind.high), *([(0, 0)] if field.condition is not None else []))
    elif isinstance(rule, Size) and rule.name == "payload":
        found = -FURTHEST, FURTHEST
    elif isinstance(rule, Ahead):
        found = -1, (1 << rule.bits) - 1
    elif isinstance(rule, Has):
        found = 0, 1
    return found
