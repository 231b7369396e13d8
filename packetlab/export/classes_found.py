"""What headers become, and the numbers by which they do: those with which a header that is drawn is of its class, and of no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.codec.faults import Values
from packetlab.declare import registry
from packetlab.declare.expressions import Const, Expr, OneOf, Op, Ref
from packetlab.declare.plan import needs
from packetlab.declare.refinement.registered import refinements
from packetlab.export.whole_headers import worked_out

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field

_allowed: dict[tuple[Declaration, str], list[int]] = {}
_steered: dict[tuple[Declaration, str, str], Any] = {}
registry.caches += [_allowed, _steered]
MOST = 1 << 16  # numbers that are tried


def becoming(cls: Declaration) -> list[Declaration]:
    """Return a header, and all that it becomes where their conditions hold."""
    return [cls, *(one for refined in refinements(cls) for one in becoming(refined))]


def allowed(cls: Declaration, f: Field) -> list[int]:
    """Return the numbers of a field with which a header is what it is, and becomes nothing else; none where that is all one."""
    if (cls, f.name) in _allowed:
        return _allowed[cls, f.name]
    own, one = list[Expr](), cls
    while one.refines is not None and one.when is not None:
        own.append(one.when)
        one = one.refines
    others = [after.when for after in refinements(cls) if after.when is not None and not after.is_deeper]

    def alone(rule: Expr) -> bool:
        return f.name in needs(rule) and all(str(leaf) == f.name for leaf in rule.leaves() if not isinstance(leaf, Const))

    found: list[int] = []
    if f.kind.is_number and any(f.name in needs(rule) for rule in (*own, *others)):
        numbers: Any = numbers_of(f) if f.computed is None else _comes_to(cls, f, f.computed)
        for rule in own:
            numbers = solved(rule).get(f.name, numbers)
        ours, theirs = [rule for rule in own if alone(rule)], [rule for rule in others if alone(rule)]

        def holds(rule: Expr, number: int) -> int:
            return rule.evaluate(Values({f.name: number}, b"", 0))

        gone = {number for rule in theirs for number in solved(rule).get(f.name, numbers) if holds(rule, number)}
        found = [number for number in numbers if number not in gone and all(holds(rule, number) for rule in ours)]
    _allowed[cls, f.name] = found
    return found


def numbers_of(f: Field) -> range:
    """Return the numbers of a field that are tried."""
    return range(f.kind.low, min(f.kind.high, f.kind.low + MOST) + 1)


def _comes_to(cls: Declaration, f: Field, rule: Expr) -> list[int]:
    """Return what a computed value may come to, where it goes by one field; else small numbers."""
    rule = worked_out(cls, rule)
    names = [*needs(rule)]
    g = cls.by_name.get(names[0]) if len(names) == 1 and all(isinstance(leaf, Ref | Const) for leaf in rule.leaves()) else None
    if g is None or not g.kind.is_number:
        return [*range(max(f.kind.low, 0), min(f.kind.high, MOST) + 1)]
    return sorted({rule.evaluate(Values({g.name: number}, b"", 0)) for number in numbers_of(g)})


def steering(cls: Declaration, f: Field, values: str) -> Any:
    """Return a strategy for the numbers of `allowed`, made once, since there may be 65,537 of them; None where there are none."""
    from hypothesis import strategies as st

    if (cls, f.name, values) not in _steered:
        numbers = allowed(cls, f)
        named = {*map(int, f.kind.names)} if values == "valid" and f.kind.names is not None else {*numbers}
        some = st.sampled_from([n for n in numbers if n in named] or numbers) if numbers else None
        _steered[cls, f.name, values] = st.none() | some if some is not None and f.default in numbers else some
    return _steered[cls, f.name, values]


def solved(condition: Expr) -> dict[str, list[int]]:
    """Return numbers of fields with which a condition holds, as far as it names them."""
    if isinstance(condition, OneOf) and isinstance(condition.values, Ref):
        return {condition.values.name: list(condition.among)}
    if isinstance(condition, Op) and condition.sign == "&":
        return {**solved(condition.left), **solved(condition.right)}
    if isinstance(condition, Op) and condition.sign == "==":
        left, right = condition.left, condition.right
        if isinstance(left, Ref) and isinstance(right, Const):
            return {left.name: [right.number]}
    return {}
