"""Fields of a header that a field holds, in rules of the header around it: ``data: Bytes = sized(field("key.size"))`` after ``key: Key``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from packetlab.declare.computed import inverse
from packetlab.declare.expressions import Const, Count, Elsewhere, Emitter, Expr, Has, If, NamedExpr, Ref, Size
from packetlab.declare.places.leaves import rewritten
from packetlab.errors import DeclareError

if TYPE_CHECKING:
    from packetlab.declare.fields import Field
    from packetlab.declare.kinds import Kind

_RULES = ("rule", "must", "said", "condition", "outer", "size", "count", "computed", "place")


class Inner(NamedExpr):
    """The value of a field, `inner`, of the header that the field `name` holds, which is of kind `kind`; 0 where there is none."""

    __slots__ = ("inner", "kind")

    def __init__(self, name: str, inner: str, kind: Kind) -> None:
        super().__init__(name)
        self.inner, self.kind = inner, kind

    def written(self, to: Emitter, *operands: str) -> str:
        return str(to.inner(self))  # type: ignore[attr-defined]

    def evaluate(self, scope: Any) -> int:
        return int(scope.inner(self))

    def __str__(self) -> str:
        return f"{self.name}.{self.inner}"


def with_inner(rule: Expr, by_name: Mapping[str, Field], where: str) -> Expr:
    """Return a rule of a header in which names stand for fields of headers that its own fields hold: "key.kind" for the kind in `key`."""
    if not any(isinstance(one, Elsewhere) and one.path in by_name for one in rule.leaves()):
        return rule

    def leaf(one: Expr) -> Expr:
        if not isinstance(one, Elsewhere) or one.path not in by_name:
            return one
        kind = by_name[one.path].kind
        if not kind.one:
            hint = f'field("^.{one.name}") is one of the header around'
            if kind.transforms:
                hint = f"what is inside a transform is known when all of the header is read: let {one.name} stand beside it, or what goes by it inside"
            raise DeclareError(f"{where}, {one}", "a field that holds a header", f"{one.path}, {kind.in_words()}", hint)
        return Inner(one.path, one.name, kind)

    return rewritten(rule, leaf)


def settle_inner(header: str, fields: Sequence[Field], by_name: Mapping[str, Field]) -> dict[str, dict[str, Expr]]:
    """Let names of rules stand for fields of headers that fields hold; return what follows for these: field -> {field in it: rule}."""
    for f in fields:
        for word in _RULES:
            rule = getattr(f, word)
            if rule is not None:
                setattr(f, word, with_inner(rule, by_name, f"{header}.{f.name}"))
        if f.until is not None:
            item = by_name if f.kind.item is None else f.kind.item.by_name  # typing.Self
            f.until = with_inner(f.until, item, f"{header}.{f.name}, until")
    found: dict[str, dict[str, Expr]] = {}
    for f in fields:
        said = f.size if f.count is None or f.stride else f.count
        inner = [one for one in said.leaves() if isinstance(one, Inner)] if said is not None else []
        if len(inner) != 1 or said is None or (f.kind.one and f.size is None):
            continue
        (one,) = inner
        presence = f.condition.leaves() if f.condition is not None and f.none is None else []  # that is what it tells itself
        if any(isinstance(other, Inner) and other.name == one.name for other in presence):
            continue
        g = one.kind.item.by_name.get(one.inner) if one.kind.item is not None else None
        value = Size(f.name) if f.count is None or f.stride else Count(f.name)
        solved = solved_inside(said, value)
        if f.none is not None and f.stride and f.count is not None and solved is not None:  # it is a count
            absent = solved_inside(f.count, Const(f.none))
            solved = None if absent is None else If(Has(f.name), solved, absent)
        if g is not None and g.rule is None and not g.fixed and solved is not None and _works_back(g):
            found.setdefault(one.name, {}).setdefault(one.inner, solved)
    return found


def solved_inside(said: Expr, value: Expr) -> Expr | None:
    """Return what a number of a held header is where a rule that names it alone comes to `value`; None where that cannot be said."""
    return inverse(rewritten(said, lambda leaf: Ref("") if isinstance(leaf, Inner) else leaf), "", value)


def _works_back(g: Field) -> bool:
    """Whether a number can be set: it stands there, or is computed from fields that follow from it."""
    if g.computed is None:
        return True
    named = [g.owner.by_name.get(leaf.name) for leaf in g.computed.leaves() if isinstance(leaf, NamedExpr)]
    rules = [None if f is None else f.rule for f in named]
    return all(rule is not None and any(isinstance(leaf, Ref) and leaf.name == g.name for leaf in rule.leaves()) for rule in rules)
