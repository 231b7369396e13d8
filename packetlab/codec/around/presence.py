"""Fields whose values follow from others, and fields that are there because they have a value: a flag or a number before them follows from that."""

from __future__ import annotations

from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Checksum, Count, Has, Ref, Size
from packetlab.declare.fields import Field
from packetlab.declare.plan import needs


def is_derived(field: Field) -> bool:
    """Whether a field has a value of its own only where it is given."""
    return field.rule is not None or bool(field.pad) or (field.computed is not None and not field.circular)


def by_value(cls: Declaration, f: Field) -> bool:
    """Whether a field is there because it has a value: what its condition needs follows from that."""
    todo, seen = [f.condition], set[str]()
    while todo:
        rule = todo.pop()
        for leaf in rule.leaves() if rule is not None else ():
            if isinstance(leaf, Has) and leaf.name == f.name:
                return True
            if isinstance(leaf, Ref | Has) and leaf.name in cls.by_name and leaf.name not in seen:
                seen.add(leaf.name)
                todo += [cls.by_name[leaf.name].rule, cls.by_name[leaf.name].condition]
    return False


def is_key(cls: Declaration, f: Field) -> bool:
    """Whether a field that may be absent is there because the class is found by its number (see `declare.refinement`)."""
    found_by = cls.refines is not None and cls.when is not None and f.name in needs(cls.when)
    return found_by and f.condition is not None and by_value(cls, f)


def counted_by(cls: Declaration, f: Field) -> list[Field]:
    """Return the fields that may be absent of which `f` says the size or the count: with one of them it is there too."""
    leaves = f.rule.leaves() if f.rule is not None and not isinstance(f.rule, Checksum) else ()
    names = {leaf.name for leaf in leaves if isinstance(leaf, Size | Count)}
    return [g for g in cls.fields if g.name in names and g.condition is not None]
