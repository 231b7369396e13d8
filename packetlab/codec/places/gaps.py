"""Bytes up to a multiple or an offset, as they follow from all other fields: written as source, and of one header in the open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.around.presence import is_derived
from packetlab.codec.places.inner import FOLLOWS, held_size, number_in, state_inside
from packetlab.codec.places.scattered import Scattering, permuted, placing, runs
from packetlab.declare.kinds import Raw
from packetlab.declare.places.inner import Inner
from packetlab.declare.plan import needs
from packetlab.errors import DeclareError
from packetlab.hooks import hook

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field

FURTHEST = 1 << 24  # bytes that fill up to an offset at the most


class Filling(Scattering):
    """The part of `derive.Deriving` that is about such bytes."""

    fields: dict[str, Field]
    stack: tuple[Declaration, ...] | None
    doing: list[str]

    def size_before(self, f: Field) -> str:
        raise NotImplementedError

    def present(self, f: Field) -> str:
        raise NotImplementedError

    def filled_up(self, f: Field, settled: bool = False) -> str:
        """Source for the bytes that fill up a header: up to a multiple, or an offset; `settled`: where that follows from them."""
        before = self.size_before(f)
        if f.mark is not None:
            before += f" - ({self.size_before(f.mark)})"
        elif f.origin is not None:
            before += f" + {f.origin.code(self)}"  # type: ignore[arg-type]
        here = f"-({before}) % {f.pad}"
        times = "bytes(" if f.fill == b"\0" else f"{f.fill!r} * ("
        if f.place is None:
            return f"{times}{here})"
        after = self.before[self.before.index(f) + 1 :][:1]
        named = [self.fields[name] for name in sorted(needs(f.place))]
        held, self.given = self.given, {**self.given, **{g.name: f"({self.own(g)} or 0)" for g in named}}
        place = f.place.code(self)  # type: ignore[arg-type]
        self.given = held
        derived, inside = any(map(is_derived, named)), placing(self.cls, f)
        followed = (derived and self.stack is not None) or ((derived or inside) and settled)
        size = here if followed else f"max(0, min({self.gap_size(f, place, before)}, {FURTHEST}))"
        given = " and ".join(self.placed(f)) if (derived or inside) and not followed else ""
        if given and f.pad != 1:
            size = f"({size} if {given} else {here})"
        made = f"{times}{size} if {self.sizes(after)} else 0)" if after else f"{times}{size})"
        return f"({made} if {given} else b'')" if given and f.pad == 1 else made  # what is not given lies where it comes

    def placed(self, gap: Field) -> list[str]:
        """Source for whether each number is given that says where what stands after a gap lies, of those that follow else."""
        numbers = [self.fields[name] for name in sorted(needs(gap.place))]  # type: ignore[arg-type]
        flags = [f"s{self.tag} & {g.bit:#x}" for g in numbers if is_derived(g)]
        return [*flags, *(self.given_inside(leaf) for leaf in placing(self.cls, gap))]

    def given_inside(self, leaf: Inner) -> str:
        """Source for whether a number in a header that a field holds is given there."""
        self.names.update(state_inside=state_inside)
        return f"state_inside({self.own(self.fields[leaf.name])}, {leaf.inner!r}) != {FOLLOWS}"

    def inner(self, leaf: Inner) -> str:
        """Source for a number in a header that a field holds; while that is worked out, for what follows for it."""
        rule = self.cls.fills.get(leaf.name, {}).get(leaf.inner)
        if leaf.name not in self.doing or leaf.name in self.given or rule is None:
            return super().inner(leaf)
        if str(leaf) in self.doing:
            raise DeclareError(f"{self.cls.name}.{leaf}", "rules without a circle", " -> ".join([*self.doing, str(leaf)]))
        self.doing.append(str(leaf))
        key = f"I_{leaf.name}_{leaf.inner}{self.tag}"
        self.names.update({key: leaf, "number_in": number_in})
        code = f"(number_in({key}, {self.own(self.fields[leaf.name])}) if {self.given_inside(leaf)} else {rule.code(self)})"  # type: ignore[arg-type]
        self.doing.pop()
        return code

    def size_of_held(self, f: Field) -> str:
        """Source for how many bytes a header takes whose numbers may follow from where other fields lie."""
        self.names["held_size"] = held_size
        code = f"held_size({self.own(f)})"
        return code if f.condition is None else f"({code} if {self.present(f)} else 0)"

    def unless_scattered(self, name: str, inner: str, code: str) -> str:
        """Source for what follows for a number in a held header; None where it says where one of a row in another order lies, which is kept."""
        rows = [row for row in runs(self.cls).values() for one in row for leaf in placing(self.cls, one.gap) if (leaf.name, leaf.inner) == (name, inner)]
        self.names["permuted"] = permuted
        return code if not rows else f"{code} if permuted({self.entries(rows[0])}) is None else None"


def filling(scope: Raw, header: Raw, f: Field, here: int) -> int:
    """Return how many bytes fill up from `here` on: up to a multiple, or an offset that does not follow from them."""
    measured = hook("measured")
    if f.mark is not None:
        here -= measured(header, header._fields[: header._fields.index(f.mark)])
    here += 0 if f.origin is None else f.origin.evaluate(scope)
    if f.place is None:
        return -here % f.pad
    before = header._declaration.before
    after = before[before.index(f) + 1 :][:1]
    if after and not measured(header, after):
        return 0
    if placing(header._declaration, f) or any(is_derived(header._by_name[name]) for name in needs(f.place)):
        return -here % f.pad
    return max(0, min(f.place.evaluate(scope) - here, FURTHEST))


def placed_anew(declaration: Declaration, gap: Field) -> str:
    """Return how the number that says where what stands after a gap lies comes to follow."""
    assert gap.place is not None
    after = declaration.fields[declaration.fields.index(gap) + 1 :]
    if inside := [str(leaf) for leaf in gap.place.leaves() if isinstance(leaf, Inner)]:
        return f"{inside[0]} follows where all fields of its header are of fixed sizes and the default of the field gives none"
    if not after:
        return f'the field that says where {gap.name} ends follows it: auto(... + size_of("{gap.name}"))'
    return f'the field that says where {after[0].name} lies follows it: auto(offset_of("{after[0].name}"))'
