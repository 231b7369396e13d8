"""Values that are not in the bytes: they follow from fields when a header is read, and when it is built what the bytes have follows from them.

`number: int = computed(before("number") + field("delta"))` is read as the sum, and `delta` follows from a number that is
given: the rule is solved for the one field in it that nothing else tells. Where a value is spread over fields, these
follow from it by rules of their own, as in `delta8 = when(..., auto(field("step") - 13))`.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, get_args

from packetlab.declare.expressions import Const, Expr, Op, Ref
from packetlab.declare.intervals import Range, bounds
from packetlab.declare.kinds import Kind, Raw, WholeNumber, Wire
from packetlab.errors import DeclareError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packetlab.declare.fields import Field


class Computed(WholeNumber):
    """A number that follows from others and takes no bytes, in the range of another kind, or of 64 bits with a sign."""

    wire: Wire = "computed"
    allows = "computed"
    judges = plain = True
    bits = 0

    def __init__(self, like: Kind | None = None) -> None:
        super().__init__(like.names if like is not None else None)
        self.like = like
        self.low, self.high = (-1 << 63, (1 << 63) - 1) if like is None else (like.low, like.high)
        self.surely = f"{max(self.low, 1 - (1 << 30))} <= {{0}} <= {min(self.high, (1 << 30) - 1)}"  # such numbers Python compares at once

    def in_words(self) -> str:
        return "a number that follows" if self.like is None else f"{self.like.in_words()}, which follows"

    def wrong(self, raw: Raw) -> str:
        return "" if raw is None or self.low <= raw <= self.high else f"{self.low}..{self.high}"


def inverse(rule: Expr, name: str, value: Expr) -> Expr | None:
    """Solve ``rule == value`` for the field `name`, which is in it once; None where it cannot be.

    >>> print(inverse(Ref("base") + Ref("delta") * 4, "delta", Ref("number")))
    (number - base) // 4
    """
    masks: list[tuple[str, Expr]] = []
    while not (isinstance(rule, Ref) and rule.name == name):
        if not isinstance(rule, Op) or rule.sign not in ("+", "-", "*", "<<", ">>", "//", "^", "&", "%"):
            return None
        left = any(isinstance(leaf, Ref) and leaf.name == name for leaf in rule.left.leaves())
        inner, other, sign = (rule.left, rule.right, rule.sign) if left else (rule.right, rule.left, rule.sign)
        if sign in ("<<", ">>", "//", "&", "%") and not (left and isinstance(other, Const) and other.number > 0):
            return None
        if sign in "&%":
            if sign == "&" and isinstance(other, Const) and other.number & (other.number + 1):
                return None  # which bits are kept, and no remainder
            masks.append((sign, other))
        elif sign == "-":
            value = value + other if left else other - value
        else:
            value = Op({"+": "-", "*": "//", "//": "*", "<<": ">>", ">>": "<<", "^": "^"}[sign], value, other)
        rule = inner
    for sign, other in reversed(masks):
        value = Op(sign, value, other)
    return value


class SolvedRules(NamedTuple):
    """What follows from the computed fields of a class: rules of others that are solved for these, and which fields each follows from in turn."""

    solved: dict[str, Expr]
    circular: dict[str, frozenset[str]]

    def differs(self, f: Field) -> bool:
        """Whether a field has it otherwise. Rules go by their texts: == of two is a rule."""
        here = self.solved.get(f.name)
        same = f.solved is (here is not None) and (here is None or str(here) == str(f.rule))
        return not same or f.circular != self.circular.get(f.name, frozenset())

    def put(self, f: Field) -> None:
        """Let a field have it."""
        f.solved, f.circular = f.name in self.solved, self.circular.get(f.name, frozenset())
        f.derive(self.solved.get(f.name, f.declared_rule))


def _following(fields: Sequence[Field]) -> SolvedRules:
    by_name = {f.name: f for f in fields}
    computed = [(f, f.computed) for f in fields if f.computed is not None]
    found = SolvedRules({}, {})
    for f, rule in computed:
        names = [leaf.name for leaf in rule.leaves() if isinstance(leaf, Ref) and leaf.name in by_name]
        free = [name for name in names if name not in found.solved and _is_free(by_name[name])]
        if len({*names}) == len(names) and len(free) == 1:
            solved = inverse(rule, free[0], Ref(f.name))
            if solved is not None and _is_short(solved, by_name):
                found.solved[free[0]] = solved
    for f, rule in computed:
        follow = dependents(fields, f.name, found)
        found.circular[f.name] = frozenset(leaf.name for leaf in rule.leaves() if isinstance(leaf, Ref) and leaf.name in follow)
    return found


def settle(fields: Sequence[Field]) -> None:
    """Work out what follows from the computed ones of some fields, and which fields these follow from in turn."""
    found = _following(fields)
    for f in fields:
        if found.differs(f):
            found.put(f)


def own_fields(fields: Sequence[Field], inherited: Mapping[str, Field]) -> dict[str, Field]:
    """Return the inherited ones of some fields that a class has for itself: other things follow from their values there than in its base."""
    found = _following(fields)
    own: dict[str, Field] = {}
    for f in fields:
        if inherited.get(f.name) is f and found.differs(f):
            made = own[f.name] = type(f).__new__(type(f))
            vars(made).update(vars(f))
            found.put(made)
    return own


def _is_short(rule: Expr, fields: Mapping[str, Field]) -> bool:
    """Whether a rule comes to a number that rules may have."""
    def leaf(of: Expr) -> Range:
        f = fields.get(of.name) if isinstance(of, Ref) else None
        return (of.number, of.number) if isinstance(of, Const) else (f.kind.low, f.kind.high) if f is not None and f.kind.is_number else (0, 0)

    try:
        bounds(rule, leaf, "")
    except DeclareError:
        return False
    return True


def _is_free(f: Field) -> bool:
    return f.solved or (f.rule is f.condition is None and not f.fixed and f.kind.is_number)


def dependents(fields: Sequence[Field], name: str, following: SolvedRules | None = None) -> set[str]:
    """Return the names of the fields whose rules follow from a field; those of some computed ones as they are `following`."""
    found, todo = set[str](), [name]
    while todo:
        one = todo.pop()
        for f in fields:
            rule, circular = f.rule, f.circular
            if following is not None:
                rule, circular = following.solved.get(f.name, f.declared_rule), following.circular.get(f.name, frozenset())
            rule = rule if rule is not None or circular else f.computed
            uses = rule is not None and any(isinstance(leaf, Ref) and leaf.name == one for leaf in rule.leaves())
            if uses and f.name not in found:
                found.add(f.name)
                todo.append(f.name)
    return found


def kind_for(annotation: object, other: Kind | None, where: str) -> Kind:
    """Return the kind of a computed field: of a plain int or an enum, or in the range of the kind that its annotation gives."""
    if isinstance(other, Computed):
        return other
    if other is not None:
        if not other.is_number or other.wire != "number" or hasattr(other, "made_with"):  # a time, say: its values are no ints
            hint = "int: what it stands for is worked out of it" if other.is_number and other.wire == "number" else ""
            raise DeclareError(where, "int, an enum, or a kind of number such as U16 for computed(...)", other.in_words(), hint)
        return Computed(other)
    made = Computed()
    wanted = get_args(annotation)[0] if get_args(annotation) else annotation
    return made.typed(wanted, where) if isinstance(wanted, type) and issubclass(wanted, Enum) else made
