"""How a field lies among others, for `why`: its width, its place, and what it fills up to."""

from __future__ import annotations

from packetlab.declare.expressions import Count, Expr
from packetlab.declare.fields import Field
from packetlab.packet.explain import Derivation, derive


def in_words(rule: Expr, scope: Derivation) -> str:
    """Return a rule as it is written: the bits of a number are `width_of` it."""
    text = str(rule)
    for leaf in rule.leaves():
        if isinstance(leaf, Count) and scope.cls._by_name[leaf.name].kind.wide is not None:
            text = text.replace(f"count_of({leaf.name})", f"width_of({leaf.name})")
    return text


def laid(scope: Derivation, f: Field) -> list[tuple[str, Expr | None]]:
    """Return what says how a field lies, a line each, with the rule that it goes by; nothing for one that comes after the one before."""
    lines: list[tuple[str, Expr | None]] = []
    wide = f.kind.wide
    if wide is not None:
        lines.append((f"is so many bits wide: {wide} = {wide.evaluate(scope)}", wide))
    if f.from_end:
        lines.append((f"begins {f.from_end} byte{'s' * (f.from_end != 1)} before the end", None))
    fields = scope.cls._fields
    gap = fields[fields.index(f) - 1] if f in fields[1:] else f
    if gap.place is not None and gap is not f and gap.name == f"{f.name}_gap":
        lines.append((f"begins at offset {gap.place} = {gap.place.evaluate(scope)}, counted from {_origin(gap)}", gap.place))
    if f.pad and f.place is not None:
        multiple = f" (a multiple of {f.pad} where that follows)" * (f.pad > 1)
        lines.append((f"fills up to offset {f.place} = {f.place.evaluate(scope)}{multiple}, counted from {_origin(f)}", f.place))
    elif f.pad and f.size is not None:
        lines.append((f"fills up with {f.size} bytes = {f.size.evaluate(scope)}", f.size))
    elif f.pad:
        lines.append((f"fills up to a multiple of {f.pad} bytes, counted from {_origin(f)}", None))
    if f.kind.words == "spare bits":
        lines.append(("fills up the last byte", None))
    return lines


def fills(scope: Derivation, f: Field, captured: bool) -> str:
    """Return whether what fills up is what follows, "" for a field that does not."""
    raw = scope.raw(f.name)
    if raw is None or not (f.pad or f.kind.words == "spare bits"):
        return ""
    wanted = derive(scope, f) if f.pad else 0
    if raw == wanted:
        return "agrees with that" if captured else "follows from that"
    size = f"{len(wanted)} byte{'s' * (len(wanted) != 1)} 0x{f.fill.hex()}" if isinstance(wanted, bytes) else "zeros"
    return f"differs from that, which gives {size}; kept as it is"


def _origin(f: Field) -> str:
    if f.mark is not None:
        return f"the start of {f.mark.name}"
    return {"self": "its header's start", "packet": "the packet's start"}.get(f.since, f"the start of {f.since}")
