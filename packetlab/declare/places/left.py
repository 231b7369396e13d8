"""Fields that are there if bytes are left for them: ``code: U8 | None = when(left())``, as in the acknowledgments of MQTT 5 (section 3.4)."""

from __future__ import annotations

from typing import Any

from packetlab.declare.expressions import Emitter, Expr, Op
from packetlab.declare.places.leaves import rewritten


class Left(Expr):
    """How many bytes are left where a field is read; `name` is that field, "" until a field has the rule as its condition."""

    __slots__ = ("name",)

    def __init__(self, name: str = "") -> None:
        self.name = name

    def written(self, to: Emitter, *operands: str) -> str:
        return str(to.left_for(self.name))  # type: ignore[attr-defined]

    def evaluate(self, scope: Any) -> int:
        return int(scope.left_for(self.name))

    def __str__(self) -> str:
        return "left()"


class LeftAfter(Left):
    """How many bytes stand after a number up to the end of what holds its header; in what that number has to obey."""

    __slots__ = ()

    def written(self, to: Emitter, *operands: str) -> str:
        return str(to.left_after(self.name))  # type: ignore[attr-defined]

    def evaluate(self, scope: Any) -> int:
        return int(scope.left_after(self.name))


def left() -> Expr:
    """How many bytes there are from a field on, in the condition of that field alone: ``code: U8 | None = when(left())``.

    They go on to the end that the header has by its own word, else to that of its payload, else to the end of what holds it: a
    list, a field of a size, the packet. Such a field is there where a value is given, so that lengths follow from which fields
    are; it is None unless it is given. BuildError for None where bytes follow.

    In ``must(field("length") == left(), ...)`` it is how many stand after that number, up to the end of what holds the header
    (the payload of the one below, a field of a size, the packet), whatever lengths in the header say.
    """
    return Left()


def goes_by_left(rule: Expr | None) -> bool:
    """Whether a condition goes by what is left."""
    return rule is not None and any(isinstance(leaf, Left) for leaf in rule.leaves())


def after_field(rule: Expr | None, name: str) -> Expr | None:
    """Return what a field has to obey, which may go by what is left after it."""
    if rule is None or not goes_by_left(rule):
        return rule
    return rewritten(rule, lambda leaf: LeftAfter(name) if isinstance(leaf, Left) else leaf)


def of_field(rule: Expr, name: str) -> tuple[Expr, Expr | None]:
    """Return the condition of a field that goes by what is left, and what of it does not, None where that is nothing."""
    parts, others, todo = list[Expr](), list[Expr](), [rule]
    while todo:
        one = todo.pop()
        if isinstance(one, Op) and one.sign == "&" and goes_by_left(one):
            todo += [one.right, one.left]
            continue
        parts.append(
            Left(name) > 0
            if isinstance(one, Left)
            else rewritten(one, lambda leaf: Left(name) if isinstance(leaf, Left) else leaf)
        )
        others += [] if goes_by_left(one) else [one if one.is_truth else one != 0]
    whole, other = parts[0] if parts[0].is_truth else parts[0] != 0, others[0] if others else None
    for part in parts[1:]:
        whole = whole & (part if part.is_truth else part != 0)
    for part in others[1:]:
        assert other is not None
        other = other & part
    return whole, other
