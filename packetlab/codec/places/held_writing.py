"""What the source that packs a header says of fields that are there if bytes are left, and of headers that fields hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.around.lists import may_go_on, need_ends
from packetlab.codec.places.gaps import FURTHEST
from packetlab.codec.places.inner import with_numbers
from packetlab.declare.checksums.ranges import number_bytes
from packetlab.declare.expressions import Checksum

if TYPE_CHECKING:
    from packetlab.declare.checksums.ranges import Region
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field
    from packetlab.declare.plan import Plan


def filler(raw: object, size: int, fill: bytes) -> bytes:
    """Return bytes that are to be of a size: those that were there, where they are, else so many of one byte."""
    return raw if isinstance(raw, bytes) and len(raw) == size else fill * max(0, min(size, FURTHEST))


class HeldWriting:
    """The part of `derive.Deriving` that is about these."""

    cls: Declaration
    tag: str
    fields: dict[str, Field]
    before: list[Field]
    after: list[Field]
    plan: Plan
    lines: list[str]
    names: dict[str, object]
    direct: dict[str, str]
    ended: frozenset[str]

    def own(self, f: Field) -> str:
        raise NotImplementedError

    def sizes(self, fields: list[Field]) -> str:
        raise NotImplementedError

    def value(self, name: str) -> str:
        raise NotImplementedError

    def size(self, part: str) -> str:
        raise NotImplementedError

    def has_value(self, f: Field) -> str:
        """Source for whether a field has a value; what follows from others has one where these have."""
        code = f"{self.own(f)} is not None"
        names = (
            {getattr(leaf, "name", "") for leaf in f.rule.leaves()}
            if f.rule is not None and not isinstance(f.rule, Checksum)
            else ()
        )
        others = [
            f"{self.own(g)} not in (None, (), b'')"
            for g in self.cls.fields
            if g.name in names and g.condition is not None and g is not f
        ]
        return f"({code} or (not s{self.tag} & {f.bit:#x} and ({' or '.join(others)})))" if others else code

    def ends_itself(self, f: Field, value: str) -> bool:
        """Whether a list has its last item for its only end; lines refuse another one with headers whose last list would be read on into what follows."""
        sized = f.name in self.plan.sizes
        if f.kind.item is not None and not (sized and f.kind.one) and may_go_on(f.kind.item):
            self.names["need_ends"] = need_ends
            last = f is self.before[-1] and not self.after and not (self.cls.stream and self.plan.total is None)
            follows = "False" if sized else f"bool({self.size('payload')})" if last else "True"
            self.lines.append(f"if not s{self.tag} & {f.bit << len(self.cls.fields):#x}: need_ends({value}, follows={follows})")
        return f.name in self.ended

    def filler(self, f: Field) -> str:
        """Source for bytes that are as many as a rule says: those that were there, where these are so many."""
        self.names["filler"] = filler
        return f"filler({self.own(f)}, {f.size.code(self)}, {f.fill!r})"  # type: ignore[union-attr, arg-type]

    def number_in_sum(self, region: Region) -> str:
        """Source for the bytes of a computed field that a checksum takes in."""
        size, order = number_bytes(region)
        return f"(({self.value(region.fields[0].name)} or 0) & {(1 << 8 * size) - 1:#x}).to_bytes({size}, '{order}')"

    def left_for(self, name: str) -> str:
        fields = self.before[self.before.index(self.fields[name]) :]
        return (
            f"({self.sizes(fields)})"
            if self.plan.own is not None
            else f"({self.sizes(fields)} + {self.size('payload')})"
        )

    def fill_in(self, name: str, var: str) -> None:
        """Let the header that a field holds have the numbers that follow from what is around it."""
        self.names["with_numbers"] = with_numbers
        numbers = ", ".join(f"{inner!r}: {rule.code(self)}" for inner, rule in self.cls.fills[name].items())  # type: ignore[arg-type]
        self.lines.append(f"{var} = with_numbers({self.direct.pop(name, var)}, {{{numbers}}})")
