"""Which headers refine a header: those that take one of its fields apart (`inside=`), and those that go on after its fields.

What is registered here is scoped, and changed under its lock, by `declare.registry`.
"""

from __future__ import annotations

from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Const, Expr, OneOf, Op, Ref

_entered: list[Declaration] = []
_known: dict[Declaration, tuple[Declaration, ...]] = {}
_holders: dict[Declaration, Declaration] = {}


def refinements(base: Declaration) -> tuple[Declaration, ...]:
    """Return the headers that a header becomes where their conditions hold, in the order declared."""
    found = _known.get(base)
    if found is None:
        found = _known[base] = tuple(one for one in _entered if one.refines is base)
    return found


def holder_of(inner: Declaration) -> Declaration | None:
    """Return the header of which another one stands inside a field that it takes apart, None where it is of none that is registered."""
    if not _holders:
        _holders.update({one.view[1]: one for one in _entered if one.view is not None})
    return _holders.get(inner)


def enter(header: Declaration) -> None:
    """Let a header refine its base from now on."""
    _entered.append(header)
    if header.view is not None and header.is_deeper:
        enter(header.view[1])
    _known.clear()
    _holders.clear()


def leave(header: Declaration) -> bool:
    """Forget a header, and what refines it; say whether there was anything to forget."""
    before = len(_entered)
    gone = [one for one in _entered if header in (one, one.refines)]
    for one in gone:
        gone += [one.view[1]] if one.view is not None else []
    _entered[:] = [one for one in _entered if one not in gone]
    _known.clear()
    _holders.clear()
    return len(_entered) != before


def entered() -> list[Declaration]:
    """Return all that is registered now."""
    return list(_entered)


def restore(before: list[Declaration]) -> bool:
    """Let just what was registered be so again; say whether that is another state."""
    changed = _entered != before
    _entered[:] = before
    _known.clear()
    _holders.clear()
    return changed


def numbers(rule: Expr) -> tuple[str, tuple[int, ...]] | None:
    """Return the field and its numbers for which a condition holds, None where it is of another form."""
    if isinstance(rule, OneOf) and isinstance(rule.values, Ref):
        return rule.values.name, tuple(rule.among)
    if isinstance(rule, Op) and rule.sign == "==" and isinstance(rule.left, Ref) and isinstance(rule.right, Const):
        return rule.left.name, (rule.right.number,)
    return None
