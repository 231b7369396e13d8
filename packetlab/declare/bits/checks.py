"""What stretches of bits may not be: what has no end that a reader finds, or no place among bits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

from packetlab.declare.bits.kinds import ONE_WIDTH
from packetlab.declare.declaration import OPTIONS
from packetlab.declare.expressions import Checksum, Size
from packetlab.declare.plan import needs
from packetlab.declare.rules import Ahead
from packetlab.errors import DeclareError

if TYPE_CHECKING:
    from packetlab.declare.bits.stretches import Loose
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.expressions import Expr
    from packetlab.declare.fields import Field
    from packetlab.declare.intervals import Range
    from packetlab.declare.kinds import Kind

SPARE = "spare: int = spare_bits() fills up what is left of a byte"


def check_stretches(header: Declaration) -> set[Field]:
    """Refuse stretches of bits that cannot be read back; return their fields."""
    found: set[Field] = set()
    for step in header.plan.loose:
        found.update(step.fields)
        _check(header, step)
    for f in header.fields:
        where, kind = f"{header.name}.{f.name}", getattr(f.kind, "inner", f.kind)
        if f in header.after and f in found:
            raise DeclareError(where, "numbers side by side, or whole bytes, after a payload", f.kind.in_words())
        if kind.loose and f not in found:
            hint = "with nothing of until, align, none or through(...): these are for items of whole bytes, which two of 4 bits side by side may fill"
            raise DeclareError(where, "many(count=...), many(size=...) or many() for what lies among bits", f.kind.in_words(), hint)
    return found


def _check(header: Declaration, step: Loose) -> None:
    own = [said for said in (header.plan.own, header.plan.total) if said is not None and said.field is not None]
    first, last = (header.fields.index(f) for f in (step.fields[0], step.fields[-1]))
    for before, f in pairwise(header.fields[first:last]):
        if f.computed is None and f not in step.fields:  # it would be read before the bits that it stands behind
            got = f"{f.kind.in_words()}{', none where a number says so,' * f.tells_itself} among bits, after {before.name}"
            raise DeclareError(f"{header.name}.{f.name}", "a start on a byte boundary", got, f"spare_bits() before it, as wide as there is need{_at_any_bit(f)}")
    late = {f.name: f.computed for f in header.fields[first:last] if f.computed is not None}
    for place, part in enumerate(step.parts):
        for rule in (part.field.condition, part.measure):
            for name in sorted(late.keys() & (needs(rule) if rule is not None else set())):
                raise DeclareError(
                    f"{header.name}.{part.field.name}", "a rule of what is read before it",
                    f"{name}, which is worked out where the bytes it stands in end", f"its own rule here: {late[name]}",
                )  # fmt: skip
        f, where = part.field, f"{header.name}.{part.field.name}"
        if isinstance(f.rule, Checksum):
            raise DeclareError(where, "a checksum on a byte boundary", "one among bits", SPARE)
        if f.kind.wire == "number" and f.kind.little and not step.low:
            hint = 'a plain number of that width, where bit_order="low" has the lowest byte first'
            raise DeclareError(
                where,
                "a little-endian number on a byte boundary: bits of a shared byte have no order of bytes",
                "one among bits",
                hint,
            )
        if f in step.open:
            last = place + 1 == len(step.parts) or (place + 2 == len(step.parts) and step.parts[-1].sort == "spare")
            if not last:
                raise DeclareError(
                    f"{header.name}.{step.parts[place + 1].field.name}",
                    f"nothing but spare_bits() after {f.name}, which goes on to the end",
                    "a field",
                )
            if part.sort == "items" and not part.each and step.parts[-1].sort == "spare":
                raise DeclareError(
                    where,
                    "many(count=...), or headers that always take as many bits, before spare_bits()",
                    f.kind.in_words(),
                )
            for said in own:
                if said.field in step.fields[:place]:
                    hint = "where whole bytes stand before it, the length is known by then"
                    raise DeclareError(
                        where,
                        "many(count=...), or a length that stands before the bits",
                        f"{said.field.name} among them",
                        hint,
                    )
        if part.sort == "items" and f.kind.item.low is not step.low:
            raise DeclareError(
                where,
                f'headers of bit_order="{"low" if step.low else "high"}"',
                f"{f.kind.item.name}, of another order",
            )
    final = step.parts[-1].field
    if not header.in_bits and step.ends[-1] != {0}:
        some = " or ".join(str(bit) for bit in sorted(step.ends[-1]))
        after = header.fields[header.fields.index(final) + 1 :]
        at = after[0].name if after and after[0].kind.wire != "payload" else "the end"
        raise DeclareError(
            f"{header.name}.{final.name}", f"fields that fill whole bytes before {at}", f"bit {some} of a byte", SPARE
        )


def _at_any_bit(f: Field) -> str:
    """Return what may stand in the place of a field that has to begin with a byte, as the end of a sentence."""
    if f.tells_itself:
        return f"; {f.name} = when(field(...), ...) begins at any bit"
    if f.kind.transforms or f.until is not None:
        return ""
    if f.kind.element is not None:
        return "; a list of headers begins at any bit whose class, with in_bits=True, has such a value as its field"
    return "; a header of a class with in_bits=True begins at any bit" if f.kind.wire == "items" else ""


def beginning(upper: Declaration, leaf: Callable[[Expr], Range]) -> Callable[[Expr], Range]:
    """Return the range of each leaf of a condition for a header: of ahead(...) what its first fields leave, as far as they are constants."""
    number = width = 0
    for f in upper.fields:
        if not f.fixed or f.condition is not None or f.kind.bits is None or f.kind.little or not isinstance(f.default, int | bytes):
            break
        number = number << f.kind.bits | (f.default if isinstance(f.default, int) else int.from_bytes(f.default, "big"))
        width += f.kind.bits

    def first(one: Expr) -> Range:
        found, more = leaf(one), one.bits - width if isinstance(one, Ahead) else 0
        if not isinstance(one, Ahead) or not width or number < 0 or upper.bit_order == "low":
            return found
        return (number >> -more,) * 2 if more <= 0 else (number << more, ((number + 1) << more) - 1)

    return first


def sized_by(f: Field) -> str:
    """Return how a field is written that another one says the size of."""
    if not f.kind.transforms:
        return f'{f.name} = sized(field("n")), or '
    return "" if any(one.name == "laid_out" for one in f.kind.transforms) else f'{f.name} = through(..., sized(field("n"))), through(..., sized(4)), or '


def not_counted(kind: Kind, name: str) -> str:
    """Return the way out for count_of(...) or width_of(...) of a field of which nothing is counted."""
    if kind.is_number:
        return f"{name}: Annotated[int, bits(field(...))] is a number of which width_of({name!r}) counts the bits"
    if kind.transforms and kind.has_headers:
        return f"what comes out of a transform is counted inside: a header with the count and {name}, as in body: Body = through(...)"
    return f"size_of({name!r}) is how many bytes it has"


def check_items(header: Declaration) -> None:
    """Refuse a header that is an item of bits and has what only bytes have."""
    if header.in_bits not in (None, False, True):
        raise DeclareError(f"{header.name}, in_bits", "True or False", repr(header.in_bits))
    if not header.in_bits or not header.fields:
        return
    where = f"{header.name}, in_bits"
    if header.outer_leaves:
        hint = ONE_WIDTH if any(f.kind.wide is not None for f in header.fields) else "items of whole bytes, without in_bits=True, may have such"
        raise DeclareError(where, "rules of its own fields, in an item of bits", str(header.outer_leaves[0]), hint)
    among = {f for step in header.plan.loose for f in step.fields}
    for f in header.fields:
        one = f"{header.name}.{f.name}"
        if f not in among:
            raise DeclareError(
                one,
                "numbers, lists of numbers and bytes of known size, in a header that is an item of bits",
                f.kind.in_words(),
            )
        if f.kind.wire == "items" and f.kind.item.is_a(header):
            raise DeclareError(one, "other headers than its own, among bits", header.name)
        if f in [open_one for step in header.plan.loose for open_one in step.open]:
            raise DeclareError(one, "a width, count or size: an item of bits has no end of its own", f.kind.in_words())
        if [part for step in header.plan.loose for part in step.parts if part.field is f and part.sort == "spare"]:
            raise DeclareError(one, "no spare_bits(): where a byte ends is not known inside of it", "spare_bits()")
        if f.rule is not None and any(isinstance(leaf, Size) for leaf in f.rule.leaves()):
            raise DeclareError(one, "a rule without size_of(...): it has no whole bytes", str(f.rule), f"{f.name}: ... = 0, a number that whoever builds gives")
    if not any(f.condition is None and (f.kind.fixed_bits or (f.kind.wire == "coded" and not f.kind.loose)) for f in header.fields):
        raise DeclareError(where, "a field of some bits that is always there: lists of nothing have no end", "none")
    said = [word for word in OPTIONS if word not in ("bit_order", "in_bits", "label") and getattr(header, word) is not None]
    if said:
        raise DeclareError(where, "fields alone, and bit_order", f"{said[0]}=")
    if header.refines is not None or header.plan.trailer or header.has_trailer:
        raise DeclareError(where, "fields alone", "a refinement" if header.refines is not None else "a payload")
