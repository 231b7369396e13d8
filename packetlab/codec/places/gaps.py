"""Bytes up to a multiple or an offset, as they follow from all other fields: what `derive` writes source for, of one header in the open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.bodies import measured
from packetlab.codec.derive import FURTHEST, is_derived
from packetlab.declare.kinds import Raw
from packetlab.declare.plan import needs

if TYPE_CHECKING:
    from packetlab.declare.fields import Field


def filling(scope: Raw, header: Raw, f: Field, here: int) -> int:
    """Return how many bytes fill up from `here` on: up to a multiple, or an offset that does not follow from them."""
    if f.mark is not None:
        here -= measured(header, header._fields[: header._fields.index(f.mark)])
    here += 0 if f.origin is None else f.origin.evaluate(scope)
    if f.place is None:
        return -here % f.pad
    before = header._declaration.before
    after = before[before.index(f) + 1 :][:1]
    if after and not measured(header, after):
        return 0
    if any(is_derived(header._by_name[name]) for name in needs(f.place)):
        return -here % f.pad
    return max(0, min(f.place.evaluate(scope) - here, FURTHEST))
