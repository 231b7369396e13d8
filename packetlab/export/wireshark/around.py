"""What rules name from elsewhere, and values that are not in the bytes, in Lua."""

from __future__ import annotations

from packetlab.declare import registry
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Expr
from packetlab.declare.fields import Field
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.plan import Gap, Padded, Step
from packetlab.declare.remembering.recalled import Recalled
from packetlab.errors import BuildError
from packetlab.escaping import lua
from packetlab.export.wireshark.places import is_known
from packetlab.export.wireshark.rules import digits, is_wide, number

EXACT = 1 << 53


def check_around(header: Declaration) -> None:
    """Refuse values of headers that Wireshark itself dissects: a script does not see them."""
    recalling = [str(one) for one in header.outer_leaves if isinstance(one, Recalled)] + ["remembers="] * bool(header.remembers)
    if recalling:
        raise BuildError(f"{header.name}, {recalling[0]}", "a header that goes by its own packet, in a script", "what was remembered from other packets")
    origins = [f.kind.counted_from for f in header.fields if f.kind.counted_from]
    asked: list[tuple[str, Declaration | None]] = [(f"{header.name}, since={name}", registry.header_named(name)) for name in origins]
    for leaf in header.outer_leaves:
        name = leaf.name if isinstance(leaf, OwnPlace) else leaf.path if leaf.path.isidentifier() else ""
        lowers = [lower for lower, _, _ in registry.bindings_of(header)] if leaf.path.startswith("^") else []
        asked += [(f"{header.name}, {leaf}", one) for one in [*lowers, *([registry.header_named(name)] if name else [])]]
    for where, one in asked:
        if one is not None and is_known(one):
            raise BuildError(where, "a value of a header that the script reads itself", f"{one.name}, which Wireshark dissects")


def following_value(f: Field, rule: Expr, header: Declaration) -> list[str]:
    """Return what the reader in Lua has to know of a value that is not in the bytes."""
    low, high = max(f.kind.low, -EXACT), min(f.kind.high, EXACT)
    parts = [f"follows = {number(rule, header)}", "signed = true", 'type = "int64"', 'base = "DEC"', f"least = {low}, most = {high}"]
    parts += ["wide = true"] * is_wide(digits(f.kind))
    parts.append(f"expected = {lua(f'{f.kind.low}..{f.kind.high}')}")
    if f.kind.names is not None:
        parts.append(f"names = {{{', '.join(f'[{int(one)}] = {lua(one.name or str(int(one)))}' for one in f.kind.names)}}}")
    return parts


def filling(f: Field, step: Step, header: Declaration) -> list[str]:
    """Return what the reader in Lua has to know of bytes up to a multiple or an offset; nothing for other fields."""
    since = [f"since = {lua(f.mark.name)}"] if f.mark is not None else [f"begun = {number(f.origin, header)}"] if f.origin is not None else []
    if isinstance(step, Padded):
        return [f"pad = {step.multiple}", *since]
    if not isinstance(step, Gap):
        return []
    there = [] if step.size is None else [f"there = {number(step.size, header)}"]
    return [f"gap = {number(step.place, header)}", *there, *since]
