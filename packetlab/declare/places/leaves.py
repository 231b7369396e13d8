"""Rules with other leaves: what a name in them stands for is known when its field is."""

from __future__ import annotations

from collections.abc import Callable

from packetlab.declare.expressions import Checksum, Expr, If, OneOf, Op


def rewritten(rule: Expr, new: Callable[[Expr], Expr]) -> Expr:
    """Return a rule with other leaves."""
    made: dict[int, Expr] = {}
    for part in rule.parts():
        inner = [made[id(one)] for one in part.operands()]
        one = new(part) if not inner else part
        if isinstance(part, Op):
            one = Op(part.sign, *inner)
        elif isinstance(part, OneOf):
            one = OneOf(inner[0], part.among)
        elif isinstance(part, If):
            one = If(*inner)
        elif isinstance(part, Checksum) and inner:
            one = part.only(inner[0], part.otherwise)
        made[id(part)] = one
    return made[id(rule)]
