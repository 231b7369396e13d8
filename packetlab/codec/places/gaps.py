"""Bytes up to an offset, as they follow from all other fields: what `derive` writes source for, of one header in the open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.bodies import measured
from packetlab.codec.derive import FURTHEST, is_derived
from packetlab.declare.kinds import Raw
from packetlab.declare.plan import needs

if TYPE_CHECKING:
    from packetlab.declare.fields import Field


def filling(scope: Raw, header: Raw, f: Field, here: int) -> int:
    """Return how many bytes go up to an offset from `here` on; up to a multiple where the offset follows from them."""
    before = header._declaration.before
    after = before[before.index(f) + 1 :][:1]
    if f.place is None or (after and not measured(header, after)):
        return 0
    if any(is_derived(header._by_name[name]) for name in needs(f.place)):
        return -here % f.pad
    return max(0, min(f.place.evaluate(scope) - here, FURTHEST))
