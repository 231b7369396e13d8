"""Sizes in rules that speak of bits: refused where the fields they are of do not fill whole bytes together."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from packetlab.declare.bits.shares import shares, side_by_side
from packetlab.declare.expressions import Checksum, Expr, Next, Op, Size
from packetlab.declare.rules import terms
from packetlab.errors import DeclareError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field


def check_sizes(header: Declaration) -> None:
    """Refuse rules with sizes of fields that do not fill whole bytes together, and offsets of what begins within one."""
    for name, other in header.offsets:
        _check_offset(header, other, f"{header.name}.{name}")
    for f in header.fields:
        if f.rule is not None and not isinstance(f.rule, Checksum | Next):
            _check_rule(header, f.rule, f"{header.name}.{f.name}")


def _check_rule(header: Declaration, rule: Expr, where: str) -> None:
    if not any(isinstance(leaf, Size) and _is_shared(header, leaf.name) for leaf in rule.leaves()):
        return
    sums = [rule, *(one for part in rule.parts() if not _adds(part) for one in part.operands())]
    for added in sums:
        for sign in (1, -1):
            names = Counter(
                leaf.name
                for way, leaf in terms(added)
                if way == sign and isinstance(leaf, Size) and _is_shared(header, leaf.name)
            )
            while names:
                _check_together(header, [*names], where)
                names -= Counter([*names])


def _check_offset(header: Declaration, name: str, where: str) -> None:
    fields, ends = side_by_side(header.plan, header.by_name[name])
    place = fields.index(header.by_name[name])
    if place and ends[place - 1] != {0}:
        bit = " or ".join(map(str, sorted(ends[place - 1])))
        raise DeclareError(where, "a field on a byte boundary in offset_of(...)", f"{name}, at bit {bit}")


def _adds(part: Expr) -> bool:
    return isinstance(part, Op) and part.sign in "+-"


def _is_shared(header: Declaration, name: str) -> bool:
    return name in header.by_name and shares(header.by_name[name])


def _check_together(header: Declaration, names: list[str], where: str) -> None:
    """Refuse fields that may come to some bits beside whole bytes."""
    for name in names:
        fields, ends = side_by_side(header.plan, header.by_name[name])
        places = [place for place, f in enumerate(fields) if shares(f)]
        own = [place for place in places if fields[place].name in names]
        first, last = own[0], own[-1]
        begin = ends[first - 1] if first else frozenset({0})
        alike = {(str(fields[place].condition), fields[place].kind.bits is not None) for place in own}
        fixed = len(alike) == 1 and all(there for _, there in alike)
        whole = fixed and sum(fields[place].kind.fixed_bits for place in own) % 8 == 0
        in_a_row = places[places.index(first) : places.index(last) + 1] == own
        if in_a_row and (whole or begin == ends[last] == {0}):
            continue
        raise DeclareError(
            where,
            "size_of(...) of fields that fill whole bytes together",
            _words(own, fields),
            _way_out(own, places, fields, ends),
        )


def _words(own: list[int], fields: Sequence[Field]) -> str:
    names = " and ".join(fields[place].name for place in own)
    bits = [fields[place].kind.bits for place in own]
    known = f", {sum(bit or 0 for bit in bits)} bits" if None not in bits else ""
    return f"{names}{known}"


def _way_out(own: list[int], places: list[int], fields: Sequence[Field], ends: Sequence[frozenset[int]]) -> str:
    """Return what to write instead: all from one byte boundary to the next."""
    boundaries = [0, *(place + 1 for place, after in enumerate(ends) if after == {0})]
    begin = max((one for one in boundaries if one <= own[0]), default=0)
    end = min((one for one in boundaries if one > own[-1]), default=len(fields))
    together = [f'size_of("{fields[place].name}")' for place in places if begin <= place < end]
    wide = [fields[place].name for place in own if fields[place].kind.wide is not None]
    hints = [f'width_of("{wide[0]}") counts bits'] if wide else []
    if len(together) > 1 and ends[end - 1] == {0}:
        hints.append(f"{' + '.join(together)} is what lies side by side there")
    return "; ".join(hints)
