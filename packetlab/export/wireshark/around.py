"""What rules name from elsewhere, and values that are not in the bytes, in Lua."""

from __future__ import annotations

from packetlab.codec.places.scattered import runs
from packetlab.declare import registry
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Elsewhere, Expr
from packetlab.declare.fields import Field
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.plan import Gap, Padded, Step
from packetlab.declare.remembering.recalled import Recalled
from packetlab.errors import BuildError
from packetlab.escaping import lua
from packetlab.export.wireshark.places import FIELDS, elsewhere, is_known, wireshark_name
from packetlab.export.wireshark.rules import digits, is_wide, number
from packetlab.export.wireshark.views import named

EXACT = 1 << 53


def leaves_outside(header: Declaration) -> list[Elsewhere]:
    """Return what the rules of a header, and of what follows it, ask of other headers."""
    rules = [rule for rule, _, _ in registry.conditions(header)]
    return list(dict.fromkeys([*header.outer_leaves, *(leaf for rule in rules for leaf in elsewhere(rule))]))


def values_there(headers: list[Declaration]) -> list[str]:
    """Return what Wireshark calls the values that rules ask of the headers which it dissects itself."""
    leaves = [leaf for header in headers for leaf in leaves_outside(header)]
    under = [when for header in headers for _, when, _ in registry.bindings_of(header) if isinstance(when, Expr)]
    return sorted({*map(wireshark_name, [*leaves, *(leaf for rule in under for leaf in elsewhere(rule))])} - {""})


def check_around(header: Declaration) -> None:
    """Refuse values of headers that Wireshark itself dissects, but for those that it has a name for: a script sees no others."""
    recalling = [str(one) for one in header.outer_leaves if isinstance(one, Recalled)] + ["remembers="] * bool(header.remembers)
    if recalling:
        raise BuildError(f"{header.name}, {recalling[0]}", "a header that goes by its own packet, in a script", "what was remembered from other packets")
    origins = [f.kind.counted_from for f in header.fields if f.kind.counted_from]
    used: list[tuple[str, Declaration | None]] = [(f"{header.name}, since={name}", registry.header_named(name)) for name in origins]
    for leaf in leaves_outside(header):
        if wireshark_name(leaf):
            continue
        name = leaf.name if isinstance(leaf, OwnPlace) else leaf.path if leaf.path.isidentifier() else ""
        lowers = [lower for lower, _, _ in registry.bindings_of(header)] if leaf.path.startswith("^") else []
        used += [(f"{header.name}, {leaf}", one) for one in [*lowers, *([registry.header_named(name)] if name else [])]]
    for where, one in used:
        if one is not None and is_known(one):
            expected = "a value of a header that the script reads itself, or one that Wireshark has a name for"
            there = ", ".join(name for header, name in FIELDS if header == one.name)
            hint = f"of {one.name} it has {there}" if there else ""
            raise BuildError(where, expected, f"{one.name}, which Wireshark dissects", hint)


def following_value(f: Field, rule: Expr, header: Declaration) -> list[str]:
    """Return what the reader in Lua has to know of a value that is not in the bytes."""
    low, high = max(f.kind.low, -EXACT), min(f.kind.high, EXACT)
    parts = [f"follows = {number(rule, header)}", "signed = true", 'type = "int64"', 'base = "DEC"', f"least = {low}, most = {high}"]
    parts += ["wide = true"] * is_wide(digits(f.kind))
    parts.append(f"expected = {lua(f'{f.kind.low}..{f.kind.high}')}")
    return [*parts, *named(f.kind.names)]


def filling(f: Field, step: Step, header: Declaration) -> list[str]:
    """Return what the reader in Lua has to know of bytes up to a multiple or an offset, or that lie elsewhere; nothing for other fields."""
    if f.heap is not None:
        apart = ", apart = true" * f.heap.apart
        return [f"far = {{place = {number(f.heap.place, header)}, size = {number(f.heap.size, header)}{apart}}}"]
    since = [f"since = {lua(f.mark.name)}"] if f.mark is not None else [f"begun = {number(f.origin, header)}"] if f.origin is not None else []
    if isinstance(step, Padded):
        return [f"pad = {step.multiple}", *since]
    if not isinstance(step, Gap):
        return []
    there = [] if step.size is None else [f"there = {number(step.size, header)}"]
    pairs = ", ".join(f"{{{lua(one.gap.name)}, {lua(one.field.name)}}}" for one in runs(header).get(f, ()))
    return [f"gap = {number(step.place, header)}", *there, *since, *([f"row = {{{pairs}}}"] if pairs else [])]
