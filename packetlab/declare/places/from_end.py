"""Fields whose place is counted from an end, `from_end`, and what may stand after a payload at all: checked when the class is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.declare.fields import REQUIRED
from packetlab.declare.plan import Open, needs
from packetlab.errors import DeclareError

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field


def is_ahead(header: Declaration, f: Field, name: str) -> bool:
    """Whether a later field is read before `f`, since its place is counted from an end."""
    by = header.by_name[name]
    if not by.from_end or (f in header.after) is not (by in header.after):
        return False
    return f in header.after or _opened(header, f)


def _opened(header: Declaration, f: Field) -> bool:
    """Whether a field before `f` goes on to an end."""
    going_on = {step.field for step in header.plan.within if isinstance(step, Open)}
    return any(g in going_on for g in header.before[: header.before.index(f)])


def check_from_end(header: Declaration) -> None:
    """Refuse fields that are counted from an end at which they do not stand, and fields after a payload that cannot be found."""
    plan = header.plan
    for f in header.fields:
        if f.left and (f.from_end or f not in header.before):
            raise DeclareError(
                f"{header.name}.{f.name}", "left() for a field before the payload, read in its place", str(f.said)
            )
        if f.left and (f.fixed or (f.default is not None and f.default is not REQUIRED)):
            raise DeclareError(
                f"{header.name}.{f.name}", "no default with left(): it is None unless it is given", repr(f.default)
            )
        if f.kind.wire == "items" and not f.kind.one and f.kind.item is not header and f.kind.item.plan.own is None:
            for g in [g for g in f.kind.item.before if g.left]:
                where, got = f"{header.name}.{f.name}", f"{f.kind.item.name}.{g.name}, there if bytes are left"
                raise DeclareError(
                    where,
                    "items that tell their size, for what is left is the next one",
                    got,
                    'auto(size_of("self")) tells it',
                )
    for f in plan.from_end:
        _check_place(header, f)
    if plan.tail is not None:
        for said in (plan.total, plan.payload):
            if said is not None:
                got = (
                    f"{said.field.name}, which tells where the payload ends"
                    if said.field is not None
                    else "payload_size"
                )
                raise DeclareError(header.name, "a payload that ends where what is counted from the end begins", got)
        for f in header.endless:
            raise DeclareError(
                f"{header.name}.{f.name}", "a size, since from_end(...) counts after the payload", "none"
            )
    for f in header.after:
        where = f"{header.name}.{f.name}"
        if f.computed is not None:
            raise DeclareError(where, "a field of bytes after a payload", "computed(...)", "it may stand before the payload")
        if plan.tail is None and (f.condition is not None or (f.kind.bits is None and (not f.pad or f.size is not None))):
            hint = "with from_end(...) for a field that tells it, the size of what stands after a payload may vary; where fields before it tell it, body: Rest in place of Payload has what it carries as classes with inside=\"body\", or when(..., from_end(4)) is a field of one size"
            raise DeclareError(
                where, "a fixed field or pad() after a payload", "one that may be absent or of any size", hint
            )
        if plan.tail is not None and f.kind.bits is None and ((f.pad and f.size is None) or f.name not in plan.sizes):
            raise DeclareError(
                where, "a size, by a rule of fields before it or counted from the end", f.kind.in_words()
            )


def _check_place(header: Declaration, f: Field) -> None:
    where, segment = f"{header.name}.{f.name}", header.after if f in header.after else header.before
    rest = segment[segment.index(f) :]
    if f.kind.wire not in ("number", "bytes") or f.kind.fixed_bits % 8:
        raise DeclareError(where, "a field of whole bytes, whose size is fixed, at from_end(...)", f.kind.in_words())
    for g in rest:
        if g.kind.bits is None or (g.condition is not None and str(g.condition) != str(f.condition)):
            raise DeclareError(where, "fields of fixed sizes from it to the end", f"{g.name}, {g.kind.in_words()}")
    size = sum(g.kind.fixed_bits for g in rest) // 8
    if size != f.from_end:
        raise DeclareError(where, f"from_end({size}), for what stands from there to the end", f"from_end({f.from_end})")
    if segment is header.before and not _opened(header, f):
        raise DeclareError(where, "a field before it that goes on to the end, or a Payload", "none")
    for name in sorted(needs(f.condition)) if f.condition is not None else ():
        by = header.by_name[name]
        if by not in header.before or by.from_end or _opened(header, by):
            raise DeclareError(where, "presence that follows from fields before the one that goes on to the end", name)
