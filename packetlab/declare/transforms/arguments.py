"""The parameters of transforms that follow from fields: whose they are; those that cannot be found are refused."""

from __future__ import annotations

from functools import partial

from packetlab.declare.checksums.parts import SumPart
from packetlab.declare.computed import Computed
from packetlab.declare.expressions import ARITHMETIC, Checksum, Const, Elsewhere, Expr, Op, Ref
from packetlab.declare.fields import Field
from packetlab.declare.intervals import Range, bounds
from packetlab.declare.kinds import WIDEST, Int, Kind, Raw
from packetlab.declare.remembering.recalled import Recalled
from packetlab.declare.transforms.carried import Through
from packetlab.errors import DeclareError, suggestion

SPAN = 'fields of this header that follow each other, up to this one, are span("first", "last")'


def check_carried(header: str, f: Field, fields: dict[str, Field], before: list[Field]) -> None:
    """Refuse parameters of a field's transforms that cannot be found where it is read or built. DeclareError."""
    kind = f.kind
    assert isinstance(kind, Through)
    where = f"{header}.{f.name}"
    if f not in before:
        raise DeclareError(where, "a field before the payload for through(...)", "one after it")
    for place, word, rule in kind.late:
        if isinstance(rule, SumPart):
            part_before(f, rule, before, f"{where}, {word}")
        keyed = word in kind.transforms[place].as_keys
        for leaf in rule.leaves() if isinstance(rule, Expr) else ():
            if isinstance(leaf, Const) or (isinstance(leaf, Elsewhere) and leaf is rule and leaf.path not in fields and (leaf.path or not keyed)):
                continue
            if not isinstance(leaf, Ref):
                said = Elsewhere.__str__(leaf) if isinstance(leaf, Elsewhere) else str(leaf)
                named = str(leaf) if isinstance(leaf, Recalled) else said if said.startswith("before(") else f'field("{said}")'
                said = named if isinstance(leaf, Recalled) else said
                hint = f"a field of this header that follows has a width: copy: U32 = computed({named})" if isinstance(leaf, Elsewhere) else ""
                raise DeclareError(where, f"fields and numbers as {word}", said, hint)
            of = fields.get(leaf.name)
            if of is None or of is f:
                hint = "" if of is f else suggestion(leaf.name, fields)
                raise DeclareError(where, f"another field of the header as {word}", repr(leaf.name), hint)
            if isinstance(of.rule, Checksum) or of.kind.wire in ("items", "payload") or of.kind.transforms:
                late = ", which comes later" if isinstance(of.rule, Checksum) or of not in before[: before.index(f)] else ""
                hint = SPAN if word in ("nonce", "aad") else ""
                raise DeclareError(where, f"a number or bytes as {word}", f"{of.name}, {of.kind.in_words()}{late}", hint)
            if leaf is not rule and not of.kind.is_number:
                width = of.kind.fixed_bits or 8 * of.kind.always
                hint = f"{of.name} as a number, highest byte first: Annotated[int, bits({width})]" if width else ""
                raise DeclareError(where, f"numbers in the rule for {word}", f"{of.name}, {of.kind.in_words()}", hint)
            if keyed and of.kind.is_number and not width_of_number(of.kind) and (leaf is not rule or of.kind.wire == "computed"):
                hint = "a computed field has the width of its annotation: key: U32 = computed(...)"
                raise DeclareError(where, f"numbers of a fixed width in the rule for {word}", f"{of.name}, {of.kind.in_words()}", hint)
        if keyed and isinstance(rule, Expr) and not isinstance(rule, Ref | Const | Elsewhere):
            _number_of(rule, fields, f"{where}, {word}")
    sums = [g.name for g in before[: before.index(f)] if isinstance(g.rule, Checksum)]
    if kind.uses_header and (sums or not kind.is_sized):
        got = f"{sums[0]}, a sum that comes last" if sums else "a transform whose size is known when it is done"
        _, word, rule = next(one for one in kind.late if isinstance(one[2], str | SumPart))
        said = str(rule) if isinstance(rule, SumPart) else '"self"'
        raise DeclareError(where, f"{word}={said} of a header that is known before", got)


def parameters(f: Field, fields: dict[str, Field]) -> list[tuple[Raw, Kind | None]]:
    """Return the parameters of a field's transforms that follow from fields: each rule, and the kind whose bytes it is, None for a number."""
    kind: Raw = f.kind
    found: list[tuple[Raw, Kind | None]] = []
    for place, word, rule in kind.late:
        of = None
        if isinstance(rule, SumPart):
            rule = part_before(f, rule, [*fields.values()], f.name)
        if isinstance(rule, Ref):
            of = fields[rule.name].kind
            of = None if of.is_number and word in kind.transforms[place].as_numbers else of
        elif isinstance(rule, Expr) and word in kind.transforms[place].as_keys:
            of = None if isinstance(rule, Elsewhere) else _number_of(rule, fields, f.name)
        found.append((rule, of))
    return found


def part_before(f: Field, rule: SumPart, fields: list[Field], where: str) -> slice:
    """Return which bytes a span of fields is, of those of the header before a field. DeclareError where that is not always the same."""
    ahead = [g for g in fields[: fields.index(f)] if g.computed is None]
    names = [g.name for g in ahead]
    for name in rule.names:
        if name not in names:
            raise DeclareError(where, f"fields before {f.name} in {rule}", repr(name), suggestion(name, names))
    first, last = map(names.index, rule.names)
    if first > last:
        raise DeclareError(where, "the field that comes first, then the last one", str(rule))
    widths = [g.kind.fixed_bits or 8 * g.kind.always for g in ahead[: last + 1]]
    for g, width in zip(ahead, widths, strict=False):
        if not width or g.condition is not None or g.place is not None or g.from_end:
            got = f"{g.name}, {g.kind.in_words()}{', which may be absent' * (g.condition is not None)}"
            hint = '"self" is all of the header before the field' if where.endswith(", aad") else ""
            raise DeclareError(where, f"fields of a fixed size up to {rule.names[1]}, always there", got, hint)
    begin, end = sum(widths[:first]), sum(widths)
    if begin % 8 or end % 8:
        raise DeclareError(where, "whole bytes in a span", f"{rule}, from bit {begin} to {end}")
    return slice(begin // 8, end // 8)


def width_of_number(kind: Kind) -> int:
    """Return how many bits a number has in its bytes, 0 where that differs."""
    kind = kind.like if isinstance(kind, Computed) and kind.like is not None else kind
    return kind.fixed_bits if kind.wire == "number" else 0


def _number_of(rule: Expr, fields: dict[str, Field], where: str) -> Kind | None:
    """Return the number whose bytes a rule of fields is: of as many bytes as the greatest it comes to has, as wide as the widest field at least, in
    the byte order of that. None for a rule without fields. DeclareError where the bytes would be cut or are not sure."""
    kinds = [fields[leaf.name].kind for leaf in rule.leaves() if isinstance(leaf, Ref) and leaf.name in fields]
    if not kinds:
        return None
    widest = max((getattr(kind, "like", None) or kind for kind in kinds), key=width_of_number)
    low, high = bounds(rule, partial(_range, fields), where)
    mask = (1 << width_of_number(widest)) - 1
    carries = any(isinstance(part, Op) and part.sign in ARITHMETIC and part.sign not in ("<<", ">>") for part in rule.parts())
    if low < 0 or (high > mask and carries and high & (high + 1)):
        got = f"{rule}, from {low} to {high}"
        raise DeclareError(where, "a rule that comes to a number of so many bytes", got, f"(...) & {mask:#x} has those of the widest field")
    bits = -(-max(high.bit_length(), width_of_number(widest)) // 8) * 8
    if bits > WIDEST:
        raise DeclareError(where, f"a rule of {WIDEST} bits at most", f"{rule}, of {bits} bits")
    return Int(bits, little=widest.little)


def _range(fields: dict[str, Field], leaf: Expr) -> Range:
    """Return the range of a number or a field in a rule; one that is absent counts as 0."""
    if isinstance(leaf, Const):
        return leaf.number, leaf.number
    kind = fields[leaf.name].kind if isinstance(leaf, Ref) else None
    kind = getattr(kind, "like", None) or kind
    return (0, 1) if kind is None else (min(kind.low, 0), kind.high)
