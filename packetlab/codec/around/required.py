"""What fields require of numbers of other headers: of those that say how large they are, or whether they are there.

A size or a count in such a number has one answer. Of a condition the nearest number is taken for which it holds: the bits that a
mask asks for are set beside those that are, and of `> 0` it is 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from packetlab.codec.around.outer import is_around
from packetlab.codec.faults import Values
from packetlab.codec.objects import AnyHeader
from packetlab.codec.places.surroundings import is_placed
from packetlab.declare import registry
from packetlab.declare.expressions import Const, Elsewhere, Expr, If, OneOf, Op
from packetlab.declare.kinds import Raw
from packetlab.declare.refinement.registered import numbers, refinements
from packetlab.declare.transforms.raws import EqualInside
from packetlab.errors import BuildError
from packetlab.hooks import hook

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field


class Requirement(NamedTuple):
    """A number of another header that a field requires, once it is given.

    Attributes:
        field: the field, None where the class requires it. leaf: the number. solved: (value, number now, field of the number) -> the number that it has to be, None where
            that is not known. met: of a condition whether it holds for a number. is_loose: whether several numbers would do.
        none: the number for no value, of a size or count that may say so. is_kind: whether the field is that number itself, by which classes are found, so that it goes with
            an item that was captured too.
    """

    field: Field | None
    leaf: Elsewhere
    solved: Callable[[Raw, int, Field], int | None]
    met: Callable[[int], bool] | None = None
    is_loose: bool = False
    none: int | None = None
    is_kind: bool = False


_requirements: dict[Declaration, list[Requirement]] = {}
registry.caches.append(_requirements)


def requirements(declaration: Declaration) -> list[Requirement]:
    """Return which numbers of others the fields of a header require: those of sizes, of counts, of widths, and of conditions with one such number."""
    found = _requirements.get(declaration)
    if found is None:
        plan, found = declaration.plan, []
        measures = [(plan.sizes, _size), (plan.counts, _count), ({f.name: f.kind.wide for f in declaration.fields if f.kind.wide is not None}, _count)]
        for rules, measure in measures:
            for name, rule in rules.items():
                if (leaf := _only_leaf(rule)) is not None:
                    found.append(_measured(declaration.by_name[name], rule, leaf, measure))
        for f in declaration.fields:
            for rule in _joined(f.condition) if f.condition is not None else ():
                if (leaf := _only_leaf(rule)) is not None and all(isinstance(one, Const | Elsewhere) for one in rule.leaves()):
                    found.append(_conditional(f, rule, leaf))
        found += _as_found(declaration) or _kinds(declaration)
        _requirements[declaration] = found
    return found


def _joined(rule: Expr) -> list[Expr]:
    joined = isinstance(rule, Op) and rule.sign == "&" and rule.is_truth
    return [one for part in rule.operands() for one in _joined(part)] if joined else [rule]


def _only_leaf(rule: Expr) -> Elsewhere | None:
    """Return the one number of another header that a rule names; None where there are several, or none."""
    leaves = {str(leaf): leaf for leaf in rule.leaves() if isinstance(leaf, Elsewhere)}
    leaf = next(iter(leaves.values()), None)
    return leaf if len(leaves) == 1 and type(leaf) is Elsewhere else None


def is_required(header: AnyHeader, one: Requirement) -> bool:
    """Whether a field of a header was given, and so requires the number; or is None where a number has to say that."""
    state, f = header._state, one.field
    if f is None:
        return True
    if one.is_kind:
        return bool(state & f.bit) and isinstance(getattr(header, f.slot), int)
    raw = getattr(header, f.slot)
    if raw is None:
        return one.none is not None and not header._is_partial
    return bool(state & f.bit) and not state >> len(header._fields) & f.bit


def number_for(header: AnyHeader, one: Requirement, now: object, target: Field) -> int | None:
    """Return the number that a field of a header requires, which is `now` so far; None where none is known that fits the field of the number."""
    raw = 0 if one.field is None else getattr(header, one.field.slot)
    number = one.none if raw is None else one.solved(raw, now if isinstance(now, int) else 0, target)
    return number if number is not None and target.kind.low <= number <= target.kind.high else None


# Sizes and counts ----------------------------------------------------------------------------------------------


def _measured(f: Field, rule: Expr, leaf: Elsewhere, measure: Callable[[Field, Raw], int | None]) -> Requirement:
    def solved(raw: Raw, now: int, target: Field) -> int | None:
        measured = measure(f, raw)
        return None if measured is None else _solved(rule, measured)

    none = None if f.none is None else _solved(rule, f.none)
    return Requirement(f, leaf, solved, none=none)


def _count(f: Field, raw: Raw) -> int | None:
    return len(raw) if type(raw) is tuple else f.kind.count(raw)


def _size(f: Field, raw: Raw) -> int | None:
    """Return how many bytes there are for a value; None where that follows from what stands around, or from other fields."""
    kind: Any = f.kind
    try:
        if isinstance(raw, EqualInside) and not is_around(f):
            known = kind.size_of(raw) if kind.is_sized else None if kind.late else len(kind.packed(raw, ()))
            return known
        if isinstance(raw, bytes):
            return len(raw)
        if kind.wire == "items" and type(raw) is tuple and not (f.align or is_around(f) or is_placed(kind.item)):
            return len(hook("encode_items")(raw, 0))
        return len(kind.write(raw)) if kind.wire == "coded" else None
    except BuildError:
        return None  # which is said where it is built


def _solved(rule: Expr, result: int) -> int | None:
    """Return the value from elsewhere for which a rule comes to `result`, None where there is none that is known."""
    while not isinstance(rule, Elsewhere):
        if not isinstance(rule, Op):
            return None
        number, left = (rule.right, True) if isinstance(rule.right, Const) else (rule.left, False)
        if not isinstance(number, Const) or (not left and rule.sign not in ("+", "*", "-")):
            return None
        n = number.number
        if rule.sign == "+":
            result -= n
        elif rule.sign == "-":
            result = result + n if left else n - result
        elif rule.sign == "*" and n and result % n == 0:
            result //= n
        elif rule.sign == "//" and n:
            result *= n
        else:
            return None
        rule = rule.left if left else rule.right
    return result


# Conditions ----------------------------------------------------------------------------------------------------


def _conditional(f: Field, rule: Expr, leaf: Elsewhere) -> Requirement:
    parts = [*_parts(rule)]
    masks = [one.right.number for one in parts if isinstance(one, Op) and one.sign == "&" and isinstance(one.right, Const) and not one.is_truth]
    compared = [(one.left, one.right.number) for one in parts if isinstance(one, Op) and one.is_truth and isinstance(one.right, Const)]
    compared += [(one.values, number) for one in parts if isinstance(one, OneOf) for number in one.among]
    near = {number for left, n in compared for more in (n, n + 1, n - 1) if (number := _solved(left, more)) is not None} | {0, 1}
    bits = sorted({1 << k for mask in masks for k in range(mask.bit_length()) if mask >> k & 1} | {n for _, n in compared})

    def met(number: int) -> bool:
        return bool(rule.evaluate(Values({str(leaf): number}, b"", 0)))

    def solved(raw: Raw, now: int, target: Field) -> int | None:
        some = [now, *(now | one for one in bits), *(now & ~mask | one for mask in masks for one in bits)] if masks else [now]
        return next((one for one in [*some, *sorted(near)] if target.kind.low <= one <= target.kind.high and met(one)), None)

    exact = isinstance(rule, Op) and rule.sign == "==" and isinstance(rule.right, Const) and _solved(rule.left, rule.right.number) is not None
    return Requirement(f, leaf, solved, met, not exact)


def _as_found(declaration: Declaration) -> list[Requirement]:
    """Return what a class that is found by a number which is another header's requires of that: of the item before, or where there is none."""
    said = numbers(declaration.when) if declaration.refines is not None and declaration.when is not None else None
    f = declaration.by_name.get(said[0]) if said is not None and said[1] else None
    if said is None or f is None:
        return []
    number = said[1][0]
    return [Requirement(None, leaf, lambda raw, now, target: number, number.__eq__) for leaf in _said_by(f)]


def _said_by(f: Field) -> list[Elsewhere]:
    """Return the numbers of other headers one of which a computed field is: that of the item before, or where there is none the other."""
    rule = f.computed
    chain = isinstance(rule, If) and str(rule.condition) == str(rule.yes) and isinstance(rule.yes, Elsewhere) and not rule.yes.path
    leaves = [rule.yes, rule.no] if isinstance(rule, If) and chain else [rule]
    return [leaf for leaf in leaves if type(leaf) is Elsewhere]


def _kinds(declaration: Declaration) -> list[Requirement]:
    """Return what the fields of a header that may become others require, by which these are found, and which are numbers of the item before."""
    whens = [numbers(one.when) for one in refinements(declaration) if one.when is not None]
    kinds = [declaration.by_name[name] for name in {said[0] for said in whens if said is not None} if name in declaration.by_name]
    return [Requirement(f, leaf, lambda raw, now, target: raw if isinstance(raw, int) else None, is_kind=True) for f in kinds for leaf in _said_by(f)]


def _parts(rule: Expr) -> list[Expr]:
    return [rule, *(one for part in rule.operands() for one in _parts(part))]
