"""What a checksum goes over: which stretches of the header, the payload and the trailer, in order, and which count as zeros.

Worked out once from the parts that a declaration names; every backend goes by the regions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from packetlab.declare.checksums.parts import SumPart
from packetlab.declare.expressions import Checksum

if TYPE_CHECKING:
    from collections.abc import Collection

    from packetlab.declare.fields import Field


class Region(NamedTuple):
    """Fields side by side under a checksum.

    Attributes:
        part: "head" (the header up to its payload), "body" (the payload) or "tail" (the header's trailer).
        fields: those of it, in order. whole: whether they are all of that. zeros: whether they count as zeros.
        less: bytes at the end that are left out, a delimiter.
        start: whether they begin with the first field of it. end: whether they end with the last.
    """

    part: str
    fields: tuple[Field, ...]
    zeros: bool
    start: bool
    end: bool
    less: int = 0


def regions(rule: Checksum, before: list[Field], after: list[Field], own: Field | None = None) -> list[Region]:
    """Return what a checksum goes over. `own`: its field, which counts as zeros."""
    places: dict[str, tuple[str, int]] = {f.name: ("head", place) for place, f in enumerate(before)}
    places |= {f.name: ("tail", place) for place, f in enumerate(after)}
    places.setdefault("payload", ("body", 0))
    order = [*(("head", n) for n in range(len(before))), ("body", 0), *(("tail", n) for n in range(len(after)))]
    parts = [part for part in rule.over if isinstance(part, SumPart) and places.keys() >= set(part.names)]
    out, zero = (
        {places[name] for part in parts if part.word == word for name in part.names} for word in ("but", "zeroed")
    )
    zero |= {places[own.name]} if own is not None else set()
    covered: list[tuple[str, int] | tuple[str, int, bool]] = []
    for part in rule.over:  # names that are not there are refused later, where there is more to say of them
        if part == "self":
            covered += order[: len(before)]
        elif isinstance(part, SumPart) and part.word == "span" and part in parts:
            first, last = (order.index(places[name]) for name in part.names)
            covered += order[first : last + 1]
        elif isinstance(part, SumPart) and part.word == "value_of" and part in parts:
            covered.append((*places[part.names[0]], True))
        elif isinstance(part, str) and part in places:
            covered.append(places[part])
    found: list[Region] = []
    last_one: tuple[str, int, bool] | None = None
    for where, place, *alone in covered:
        if (where, place) in out:
            continue
        some, zeros = {"head": before, "tail": after, "body": []}[where], (where, place) in zero
        if alone and some:
            less = len(getattr(some[place].kind, "delimiter", b""))
            found.append(Region(where, (some[place],), zeros, place == 0, end=False, less=less))
            last_one = None
            continue
        if some and last_one == (where, place - 1, zeros):
            found[-1] = found[-1]._replace(fields=(*found[-1].fields, some[place]), end=place == len(some) - 1)
        else:
            fields = (some[place],) if some else ()
            found.append(Region(where, fields, zeros, place == 0, not some or place == len(some) - 1))
        last_one = where, place, zeros
    return found


def names_between(before: list[Field], after: list[Field], first: str, last: str) -> list[str]:
    """Return the names of the fields from `first` to `last`, and of the payload where that stands there."""
    names = [*(f.name for f in before), "payload", *(f.name for f in after)]
    return names[names.index(first) : names.index(last) + 1]


def covered(before: list[Field], after: list[Field]) -> dict[str, list[Region]]:
    """Return what each checksum of a header goes over, by its name; its own bytes are 0 when it is worked out."""
    return {f.name: regions(f.rule, before, after) for f in (*before, *after) if isinstance(f.rule, Checksum)}


def in_order(fields: list[Field], regions_of: dict[str, list[Region]]) -> list[Field]:
    """Return the checksums in the order in which they are filled in: each after those among what it goes over."""
    sums = {f.name: f for f in fields if f.name in regions_of}
    found: list[Field] = []
    while sums:
        free = [f for name, f in sums.items() if not awaited(name, regions_of, sums)]
        for f in free or [*sums.values()]:  # none is free where each covers another, which `checks` refuses
            found.append(sums.pop(f.name))
    return found


def awaited(name: str, regions_of: dict[str, list[Region]], sums: Collection[str]) -> list[str]:
    """Names of the other checksums that stand among what one goes over."""
    fields = [f for region in regions_of[name] if not region.zeros for f in region.fields]
    return [f.name for f in fields if f.name in sums and f.name != name]


def has_payload(some: list[Region]) -> bool:
    """Whether regions go over the payload."""
    return any(region.part == "body" for region in some)
