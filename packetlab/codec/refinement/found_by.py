"""What a class that refines another is found by: a header that would be read as its base is refused where nobody gave these values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.context.context import RecalledNumber, here
from packetlab.codec.context.recalling import own_value, recall
from packetlab.declare.declaration import outer_leaves, rules_of
from packetlab.declare.intervals import words
from packetlab.declare.plan import needs
from packetlab.declare.remembering.recalled import Recalled
from packetlab.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packetlab.codec.objects import AnyHeader
    from packetlab.codec.source import SourceWriter
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.expressions import Elsewhere, Expr


def fitting(to: SourceWriter) -> list[str]:
    """Return the lines that refuse a header that would be read as its base, since nobody gave what its class is found by."""
    header, rule = to.cls, to.cls.when
    if header.refines is None or rule is None or header.is_deeper:
        return []
    names = decided_by(header, rule)
    leaves = outer_leaves_of(header, rule)
    if any(not isinstance(leaf, Recalled) for leaf in leaves) or (leaves and to.stack is not None):
        return []  # what stands around says so
    given, held = sum(header.by_name[name].bit for name in names), to.given
    there = {f.name: f"({to.raw_of(f.name)} or 0)" for f in header.fields if f.name in needs(rule) and f.condition is not None and f.kind.is_number}
    to.given = {**held, **there}
    code = rule.code(to)  # type: ignore[arg-type]
    to.given = held
    if leaves:
        return [f"if not {code} and was_said(h{to.tag}, stack[:i]): {to.refuse(f'otherwise(h{to.tag})')}"]
    return [f"if not s{to.tag} & {given:#x} and not {code}: {to.refuse(f'unfound(h{to.tag})')}"]


def outer_leaves_of(header: Declaration, rule: Expr) -> tuple[Elsewhere, ...]:
    """Return the values from elsewhere that decide whether a condition holds."""
    return outer_leaves([rule, *rules_of(header.by_name[name] for name in decided_by(header, rule))])


def was_said(header: AnyHeader, around: Sequence[AnyHeader]) -> bool:
    """Whether an earlier packet of the context that a header is built in said one of the values that decide what it is read as."""
    rule = header._declaration.when
    if here() is None or rule is None:
        return False
    leaves = [leaf for leaf in outer_leaves_of(header._declaration, rule) if isinstance(leaf, Recalled)]
    return any(type(recall(leaf, around, lambda name: own_value(header, name))) is RecalledNumber for leaf in leaves)


def otherwise(header: AnyHeader) -> BuildError:
    """Return the error for a header of a class that is another one after what earlier packets said."""
    said = header._declaration
    assert said.when is not None and said.refines is not None
    got = f"another class of {said.refines.name} by {', '.join(map(str, outer_leaves_of(said, said.when)))}"
    return BuildError(said.name, f"{words(said.when)}, as when= of the class says", got, "give its bytes to send them so, or build it in another context")


def decided_by(header: Declaration, rule: Expr) -> list[str]:
    """Return the names of the fields that decide whether a condition holds, in the order of the header."""
    found, todo = set[str](), needs(rule)
    while todo := todo & header.by_name.keys() - found:
        found |= todo
        fields = [header.by_name[name] for name in todo]
        todo = set().union(*(needs(one) for f in fields for one in (f.computed, f.condition, f.rule) if one is not None))
    return [f.name for f in header.fields if f.name in found]


def unfound(header: AnyHeader) -> BuildError:
    """Return the error for a header of a class that its values are not found by."""
    said = header._declaration
    assert said.when is not None and said.refines is not None
    hint = f"give {', '.join(decided_by(said, said.when))}"
    return BuildError(said.name, f"{words(said.when)}, as when= of the class says", f"what is read as {said.refines.name}", hint)
