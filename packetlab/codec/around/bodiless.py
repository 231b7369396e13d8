"""Headers of no bytes: what a number or condition below says is there though nothing is left, as a message without a body.

Only what a user declares, and never by a port: a port says who speaks, and a segment without payload has nothing to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from packetlab.codec.faults import Dissection
from packetlab.codec.objects import AnyHeader, classes
from packetlab.codec.places.item_values import ItemValues
from packetlab.declare import registry
from packetlab.declare.bits.stretches import Loose
from packetlab.declare.expressions import Elsewhere, Expr, Ref, Size
from packetlab.declare.plan import Coded, Fixed
from packetlab.declare.rules import Ahead

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field

PORTS = {"sport", "dport"}


class Bodiless(NamedTuple):
    """What may stand above a header in no bytes: by numbers of its fields, and by conditions."""

    numbers: tuple[tuple[Field, dict[int, Declaration]], ...]
    conditions: tuple[tuple[Expr, Declaration], ...]


_known: dict[Declaration, Bodiless | None] = {}
registry.caches.append(_known)


def _may_be_empty(upper: Declaration) -> bool:
    """Whether a header may have no bytes, as far as its declaration alone tells."""
    if upper.is_own or upper.stream or upper.through or upper.plan.least or upper.plan.trailing:
        return False
    return not any(isinstance(step, Fixed | Coded | Loose) for step in (*upper.plan.head, *upper.plan.trailer))


def bodiless(lower: Declaration) -> Bodiless | None:
    """Return what may stand above a header in no bytes, None for nothing."""
    if lower not in _known:
        numbers = []
        for f, rule in lower.plan.numbered:
            headers = {} if f.name in PORTS else registry.space(rule.space).headers
            numbers.append((f, {number: upper for number, upper in [*headers.items()] if _may_be_empty(upper)}))
        rules = [(rule, upper) for rule, _, upper in registry.conditions(lower) if _may_be_empty(upper) and _goes_by_fields(rule)]
        found = Bodiless(tuple(one for one in numbers if one[1]), tuple(rules))
        _known[lower] = found if any(found) else None
    return _known[lower]


def uppers(lower: Declaration) -> set[Declaration]:
    """Return all headers that may stand above one in no bytes."""
    known = bodiless(lower)
    some = () if known is None else (*(headers.values() for _, headers in known.numbers), [one for _, one in known.conditions])
    return {upper for headers in some for upper in headers}


def _goes_by_fields(rule: Expr) -> bool:
    """Whether a condition goes by fields of the header itself, and by nothing else."""
    leaves = [*rule.leaves()]
    names = {leaf.name for leaf in leaves if isinstance(leaf, Ref)}
    return bool(names) and not names & PORTS and not any(isinstance(leaf, Elsewhere | Ahead | Size) for leaf in leaves)


def follows(header: AnyHeader, data: bytes, at: int, ctx: Dissection) -> Declaration | None:
    """Return what stands in no bytes above a header that was read up to `at`, where nothing is left."""
    lower = header._declaration
    known = bodiless(lower)
    if known is None or not ctx.clean:
        return None
    scope = ItemValues(header, data, at)
    if lower.opaque is not None and lower.opaque.evaluate(scope):
        return None
    upper = next((found[raw] for f, found in known.numbers if (raw := getattr(header, f.slot)) in found), None)
    if upper is None:
        upper = next((one for rule, one in known.conditions if rule.evaluate(scope)), None)
    if upper is None:
        return None
    own = Dissection()
    own.layers = ctx.layers
    classes[upper]._decode(data, at, at, own)  # for some of these, no bytes are too few
    return upper if own.clean else None
