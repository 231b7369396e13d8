"""Values that are not in the bytes, while a header is built: given, or what the fields that it follows from come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from packetlab.codec.faults import Values
from packetlab.codec.places.item_values import values_of
from packetlab.declare.computed import dependents
from packetlab.declare.expressions import Expr, NamedExpr, Op, Ref
from packetlab.declare.fields import REQUIRED
from packetlab.declare.places.inner import Inner
from packetlab.declare.remembering.recalled import Recalled
from packetlab.errors import BuildError

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field


class Working(Protocol):
    """What writes the source of a header's values (see `derive.Deriving`)."""

    cls: Declaration
    tag: str
    lines: list[str]
    done: set[str]
    doing: list[str]
    fields: dict[str, Field]
    given: dict[str, str]

    def own(self, f: Field) -> str: ...
    def refuse(self, error: str) -> str: ...
    def value(self, name: str) -> str: ...


def value_of(to: Working, f: Field) -> str:
    """Return source for a computed value: as given, by its rule from what is given, or by the rule that is solved for it."""
    var = f"v_{f.name}{to.tag}"
    if f.name in to.done:
        return var
    to.doing.append(f.name)
    known = _known(to, f)
    to.doing.pop()
    if f.rule is not None:
        code = f.rule.code(to)  # type: ignore[arg-type]
        to.lines.append(f"{var} = {known} if {known} is not None else {code}")
    elif isinstance(f.default, int):  # of a class that is found by it
        to.lines.append(f"{var} = {known} if {known} is not None else {f.default}")
    else:
        to.lines += [f"{var} = {known}", f"if {var} is None: {to.refuse(f'missing(h{to.tag}, {f.name!r})')}"]
    to.done.add(f.name)
    return var


def _known(to: Working, f: Field) -> str:
    """Return the variable that has a computed value as far as it is given, by itself or by what it follows from; None else."""
    var = f"g_{f.name}{to.tag}"
    if var in to.done:
        return var
    assert f.computed is not None
    needed, held, lines = [], dict(to.given), list[str]()
    # What follows from a number by which a class is found has no default of its own there.
    found_by = [one.name for one in to.fields.values() if one.computed is not None and isinstance(one.default, int)]
    follow = set().union(*(dependents([*to.fields.values()], name) for name in found_by))
    for name in sorted(f.circular):
        g = to.fields[name]
        if g.computed is not None:
            to.given[name] = _known(to, g)
        elif g.condition is not None:
            to.given[name] = f"({to.own(g)} or 0)"
            continue
        else:
            own, given = to.own(g), f"s{to.tag} & {g.bit:#x}"
            value = None if g.default in (None, REQUIRED) or g.name in follow else g.default
            lines.append(f"{var}_{name} = {own} if {given} else {value}")
            to.given[name] = f"{var}_{name}"
        needed.append(f"{to.given[name]} is not None")
    before = len(to.lines)
    code = f.computed.code(to)  # type: ignore[arg-type]
    to.lines[before:before] = written = lines if len(to.lines) > before else []  # what was written for it may be needed elsewhere, too
    code = f"+({code})" if not f.computed.is_truth else f"int({code})"
    to.given = held
    code = f"({code} if {' and '.join(needed)} else None)" if needed else code
    lines = [] if written else [f"    {line}" for line in lines]
    to.lines += [f"if s{to.tag} & {f.bit:#x}: {var} = {to.own(f)}", "else:", *lines, f"    {var} = {code}"]
    to.done.add(var)
    return var


def agreement(to: Working, f: Field) -> list[str]:
    """Return lines that refuse a given value that is not the one which would be read."""
    assert f.computed is not None
    read, value = f.computed.code(to), to.value(f.name)  # type: ignore[arg-type]
    low, high = f.kind.low, f.kind.high
    error = to.refuse(f"disagrees(h{to.tag}, {f.name!r}, {value}, {read})")
    captured = f.bit << len(to.cls.fields)
    return [f"if {if_known(to.cls, f.computed)}not s{to.tag} & {captured:#x} and not ({read} == {value} and {low:#x} <= {value} <= {high:#x}): {error}"]


def recalled_for(header: Declaration, rule: Expr) -> list[Recalled]:
    """Return what a rule recalls from earlier packets, by computed fields too."""
    found: list[Recalled] = []
    for leaf in rule.leaves():
        f = header.by_name.get(leaf.name) if type(leaf) is Ref else None
        if isinstance(leaf, Recalled):
            found.append(leaf)
        elif f is not None and f.computed is not None:
            found += recalled_for(header, f.computed)
    return [*dict.fromkeys(found)]


def if_known(header: Declaration, rule: Expr) -> str:
    """Source for whether all that a rule recalls is known, with an "and" after it: where it is not, whatever is given is sent."""
    leaves = [*map(str, header.outer_leaves)]
    return "".join(f"outer[{leaves.index(str(leaf))}] is not None and " for leaf in recalled_for(header, rule))


def given_or(header: Declaration, names: set[str], rule: Expr, auto: str) -> str:
    """Return the way out where a value does not fit the fields that its rule needs; `auto` is the rule that has them follow."""
    said = ", ".join(sorted(names))
    if recalls := recalled_for(header, rule):
        return agreed(said, recalls)
    ways = numbers_of(header, rule)
    if any("." in way or way not in names for way in ways):  # some are in a header that a field holds, or are worked out
        return f"{', '.join(_to_give(header, ways))} can be given too" if ways else ""
    return f"{said} can be given too, or follow by auto({auto})"


def loses_bits(rule: Expr) -> bool:
    """Whether a rule keeps only some bits of its numbers, or a remainder, so that others may come to the same."""
    return any(isinstance(one, Op) and one.sign in "&%" for one in rule.parts())


def _to_give(header: Declaration, names: list[str]) -> list[str]:
    """Return fields as they are given: those of a header in a field in a call of its class."""
    held: dict[str, list[str]] = {}
    for name, _, inner in (name.partition(".") for name in names):
        held.setdefault(name, []).extend([f"{inner}=..."] * bool(inner))
    kinds = {name: getattr(header.by_name[name].kind, "item", None) for name in held}
    return [name if (kind := kinds[name]) is None or not given else f"{name}={kind.name}({', '.join(given)})" for name, given in held.items()]


def numbers_of(header: Declaration, rule: Expr) -> list[str]:
    """Return the fields that a rule goes by in the end, through what is worked out: those of a header in a field as "key.kind"."""
    found = list[str]()
    for leaf in rule.leaves():
        f = header.by_name.get(leaf.name) if isinstance(leaf, NamedExpr) else None
        if f is None:
            continue
        if isinstance(leaf, Inner):
            held = getattr(f.kind, "item", None)
            inside = held.by_name.get(leaf.inner) if held is not None else None
            names = [leaf.inner] if inside is None or inside.computed is None or held is None else numbers_of(held, inside.computed)
            found += [f"{leaf.name}.{name}" for name in names]
        else:
            found += [f.name] if f.computed is None else numbers_of(header, f.computed)
    return [*dict.fromkeys(found)]


def agreed(names: str, recalls: list[Recalled]) -> str:
    """Return the way out where earlier packets have said what some fields are."""
    said = f"an earlier packet said so ({', '.join(map(str, recalls))}): as many, or build that one anew before it, in `with Context():`"
    return said if any(one.default is not None for one in recalls) else f"{said}; where none did, {names} can be given"


def disagrees(header: AnyHeader, name: str, value: int, read: int) -> BuildError:
    """Return the error for a computed value that its fields do not come to."""
    f, where = header._by_name[name], f"{type(header).__name__}.{name}"
    if value == read:
        return BuildError(where, f"{f.kind.low}..{f.kind.high}", value)
    hint = f"give {name} alone, or only what it follows from"
    if (recalls := recalled_for(header._declaration, f.computed)) and not f.circular:  # type: ignore[arg-type]
        hint = agreed(name, recalls)
    if held := [str(leaf) for leaf in f.computed.leaves() if isinstance(leaf, Inner)]:  # type: ignore[union-attr]
        hint = f"give {', '.join(held)}, which does not follow from {name}"
    return BuildError(where, f"{read}, as {f.computed} says", value, hint)


def loosened(header: Declaration, names: set[str]) -> int:
    """Return the bits of the fields that are to follow again where some are given anew."""
    found = set[str]()
    computed = {f.name for f in header.fields if f.computed is not None}
    for name in names & computed:
        found |= dependents(header.fields, name)
    reached = {*names}
    while reached:  # what follows from those given
        reached = {f.name for f in header.fields if f.computed is not None and f.name not in names | found and any(
            isinstance(leaf, Ref) and leaf.name in names | (found & computed) for leaf in f.computed.leaves())}  # fmt: skip
        found |= reached
    return sum(f.bit for f in header.fields if f.name in found - names)


def in_place(item: AnyHeader, outer: dict[str, int]) -> AnyHeader:
    """Return an item that was read as it is at its place: where that is not the one it had, what is in its bytes follows again."""
    header = item._declaration
    scope = Values({**values_of(item), **outer}, b"", 0)
    for f in header.fields:
        if f.computed is not None and f.circular and getattr(item, f.slot) not in (None, f.computed.evaluate(scope)):
            bits = loosened(header, {f.name})
            made: AnyHeader = item._copied(item)
            made._state &= ~(bits | bits << len(header.fields))
            for g in header.fields:
                if g.bit & bits:
                    setattr(made, g.slot, None)
            return made
    return item
