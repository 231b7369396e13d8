"""Field: one declared field as data."""

from __future__ import annotations

from typing import Any

from packetlab.declare.expressions import Expr
from packetlab.declare.kinds import Kind, Spec


class Field:
    """One declared field.

    Attributes:
        name, kind: as declared. slot: the attribute of a header that holds the raw value.
        rule: what the value follows from. condition: when it is there at all. size, count, until: where it ends.
        align, pad: multiples of bytes (see `many`, `pad`). fixed: whether another value than the default is a fault.
        default: REQUIRED for none. bit: which bit of a header's state is its own. header: the class that declared it.
    """

    name: str
    kind: Kind
    header: type[Any]
    bit: int

    def __init__(self, name: str, kind: Kind, spec: Spec) -> None:
        self.name, self.kind, self.slot = name, kind, "_" + name
        self.rule, self.condition = spec.rule, spec.condition
        self.size, self.count, self.until = spec.size, spec.count, spec.until
        self.align, self.pad, self.fixed = spec.align, spec.pad, spec.fixed
        self.default: Any = spec.default
        self.bit = 0

    def derive(self, rule: Expr | None) -> None:
        """Let the field follow from `rule`, or from none; what was declared without one becomes so by a binding."""
        self.rule = rule
