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
        part: "head" (the header up to its payload), "body" (the payload), "tail" (the header's trailer), or "value": a computed field, which
            is not sent, as a number of the kind that it has the range of.
        fields: those of it, in order. whole: whether they are all of that. zeros: whether they count as zeros.
        less: bytes at the end that are left out, a delimiter. cut: which bytes of them alone, from and up to, None for the end.
        start: whether they begin with the first field of it. end: whether they end with the last.
    """

    part: str
    fields: tuple[Field, ...]
    zeros: bool
    start: bool
    end: bool
    less: int = 0
    cut: tuple[int, int | None] | None = None


class PathPlace(NamedTuple):
    """Where a path such as "head.number" lies: in which part of the header (see `Region`), at which place there its field stands, and from
    which byte of that field up to which."""

    part: str
    place: int
    first: int
    end: int


def held(name: str, before: list[Field], after: list[Field]) -> PathPlace | None:
    """Return where a path lies in a header that a field always holds, before the payload or after it. None where that is not known beforehand."""
    first, *path = name.split(".")
    found = [(part, place, f) for part, fields in (("head", before), ("tail", after)) for place, f in enumerate(fields) if f.name == first]
    if not found or not path:
        return None
    (part, place, f), start = found[0], 0
    for depth, word in enumerate(path):
        if f.kind.wire != "items" or not f.kind.one or f.kind.transforms or f.condition is not None or word not in f.kind.item.by_name:
            return None
        if depth and (f.size is not None or f.pad or f.place is not None):
            return None  # it may be shorter than its fields, and others follow
        inner = f.kind.item.before
        f = f.kind.item.by_name[word]
        if f not in inner or f.condition is not None:
            return None
        ahead = inner[: inner.index(f)]
        if any(not one.kind.fixed_bits or one.condition is not None for one in ahead):
            return None
        bits = sum(one.kind.fixed_bits for one in ahead)
        if bits % 8:
            return None
        start += bits // 8
    width = f.kind.fixed_bits
    return PathPlace(part, place, start, start + width // 8) if width and width % 8 == 0 else None


def regions(rule: Checksum, before: list[Field], after: list[Field], own: Field | None = None) -> list[Region]:
    """Return what a checksum goes over. `own`: its field, which counts as zeros."""
    places: dict[str, tuple[str, int]] = {f.name: ("head", place) for place, f in enumerate(before)}
    places |= {f.name: ("tail", place) for place, f in enumerate(after)}
    places.setdefault("payload", ("body", 0))
    order = [*(("head", n) for n in range(len(before))), ("body", 0), *(("tail", n) for n in range(len(after)))]
    parts = [part for part in rule.over if isinstance(part, SumPart) and places.keys() >= set(part.names)]
    out, zero = (
        {places[name] for part in rule.over if isinstance(part, SumPart) and part.word == word for name in part.names if name in places}
        for word in ("but", "zeroed")
    )
    pieces = _pieces(rule, before, after)
    zero |= {places[own.name]} if own is not None else set()
    covered: list[tuple[str, int, bool, tuple[int, int] | None]] = []  # and whether its delimiter is left out; which bytes of it alone
    for part in rule.over:  # names that are not there are refused later, where there is more to say of them
        if part == "self":
            covered += [(*one, False, None) for one in order[: len(before)]]
        elif isinstance(part, SumPart) and part.word == "span" and part in parts:
            first, last = (order.index(places[name]) for name in part.names)
            covered += [(*one, False, None) for one in order[first : last + 1]]
        elif isinstance(part, SumPart) and part.word == "value_of" and part in parts:
            covered.append((*places[part.names[0]], True, None))
        elif isinstance(part, str) and part in places and places[part][0] == "head" and before[places[part][1]].computed is not None:
            covered.append(("value", places[part][1], False, None))
        elif isinstance(part, str) and part in places:
            covered.append((*places[part], False, None))
        elif isinstance(part, str) and "." in part and (inside := held(part, before, after)) is not None:
            covered.append((inside.part, inside.place, False, (inside.first, inside.end)))
    found: list[Region] = []
    last_one: tuple[str, int, bool] | None = None
    for where, place, alone, piece in covered:
        if (where, place) in out:
            continue
        if where == "value":
            found.append(Region(where, (before[place],), False, False, False))
            last_one = None
            continue
        some, zeros = {"head": before, "tail": after, "body": []}[where], (where, place) in zero
        if piece is not None or (where, place) in pieces:
            cuts = _cut(pieces.get((where, place), []), zeros, *(piece or (0, None)))
            found += [Region(where, (some[place],), zeroed, False, False, cut=(first, end)) for first, end, zeroed in cuts]
            last_one = None
            continue
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


def _pieces(rule: Checksum, before: list[Field], after: list[Field]) -> dict[tuple[str, int], list[tuple[int, int, str]]]:
    """Return which bytes are left out, or count as zeros, of fields of which only a part does: from, up to, and the word for it."""
    found: dict[tuple[str, int], list[tuple[int, int, str]]] = {}
    for part in rule.over:
        if isinstance(part, SumPart) and part.word in ("but", "zeroed"):
            for name in part.names:
                if "." in name and (inside := held(name, before, after)) is not None:
                    found.setdefault((inside.part, inside.place), []).append((inside.first, inside.end, part.word))
    return found


def _cut(pieces: list[tuple[int, int, str]], zeros: bool, at: int, last: int | None) -> list[tuple[int, int | None, bool]]:
    """Return the bytes from `at` up to `last` of a field under a checksum of which some are left out, or count as zeros: from, up to, and whether
    they are zeros."""
    found: list[tuple[int, int | None, bool]] = []
    for first, end, word in sorted(pieces):
        if end <= at or (last is not None and first >= last):
            continue
        end = end if last is None else min(end, last)
        found += [(at, first, zeros)] if first > at else []
        found += [(max(at, first), end, True)] if word == "zeroed" else []
        at = end
    return [*found, (at, last, zeros)] if last is None or at < last else found


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


def number_bytes(region: Region) -> tuple[int, str]:
    """Return in how many bytes a computed field counts, and their order."""
    kind = region.fields[0].kind.like  # type: ignore[attr-defined]
    return kind.fixed_bits // 8, "little" if kind.little else "big"


def has_payload(some: list[Region]) -> bool:
    """Whether regions go over the payload."""
    return any(region.part == "body" for region in some)
