"""Checks of checksums when a class is made: that what they go over can be found, that they fit, that none waits for itself."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from packetlab.declare.bits.stretches import Loose
from packetlab.declare.checksums.bitwise import BitSum
from packetlab.declare.checksums.parts import SumPart
from packetlab.declare.checksums.ranges import Region, awaited, held, names_between
from packetlab.declare.expressions import Checksum, Ref
from packetlab.declare.plan import Fixed
from packetlab.declare.values.digits import DigitsKind
from packetlab.errors import DeclareError, suggestion

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field


PATHS = (
    "a path goes into a header that a field always holds, and one that this holds, to a field of whole bytes with none but fields of a fixed size "
    "before it in there; else the header that has the bytes has the sum, or the sum here goes over all of what is held"
)
ELSEWHERE = (
    "a sum goes over its own header, what this holds, and its payload: the header that has those bytes has the sum, over its payload too, "
    "or a field here holds that header"
)

NOT_SENT = "a sum that takes in a computed field has it as a part of its own, and that the kind of a number in whole bytes: extra: U8 = computed(...)"


def check_sum(header: Declaration, f: Field, rule: Checksum, where: str) -> None:
    """Refuse a checksum by itself."""
    if "pseudo" in rule.over and rule.algorithm.word != "internet":
        # A pseudo-header is a number that is added (RFC 768). A CRC has nothing to add it to, and the sum of XNS goes
        # by the places of bytes, which a number has none of.
        raise DeclareError(where, 'parts of the packet: "pseudo" is for internet checksums', str(rule))
    for part in rule.over:
        if isinstance(part, SumPart):
            _check_part(header, part, where)
        elif part not in ("self", "payload", "pseudo"):
            _named(header, part, where, sent=False)
    if not any(part != "pseudo" and (isinstance(part, str) or part.word in ("span", "value_of")) for part in rule.over):
        raise DeclareError(where, '"self", "payload", a span or a field that the checksum goes over', str(rule))
    some = header.plan.covered[f.name]
    if any(region.part == "value" for region in some) and (rule.algorithm.placed or "pseudo" in rule.over):
        raise DeclareError(where, "bytes that are sent, in a sum that goes by their places or number", str(rule))
    _check_borders(header, some, where)
    if not any(region.part == "body" or region.fields for region in some) and not _may_be_empty(rule):
        raise DeclareError(where, "bytes that the checksum goes over", f"{rule}, which leaves nothing")
    if rule.algorithm.placed and not any(f in region.fields for region in some):
        raise DeclareError(
            where, "check bytes among what they go over", str(rule), 'as in iso_fletcher("self", "payload")'
        )
    if rule.algorithm.placed and any(region.cut is not None for region in some):
        raise DeclareError(where, "whole fields for check bytes, which go by their place", str(rule))
    width = rule.algorithm.bits
    if isinstance(f.kind, DigitsKind) and f.kind.width is not None:
        _check_digits(f, f.kind, rule, some, where)
    elif f.kind.wire != "number" or f.kind.fixed_bits % 8 or f.kind.fixed_bits < width or f.kind.signed:
        got = f"{f.kind.fixed_bits} bits" if f.kind.bits else f.kind.words or type(f.kind).__name__
        least = -(-width // 8) * 8
        hint = f"a sum stands in whole bytes: bits({least}), or digits(16, width={least // 4}) where it is written as text; a CRC of numbers by name in a part of a byte too, if it goes over no payload, text or bytes"
        raise DeclareError(where, f"an unsigned field of {least} bits or more, in bytes", got, hint)
    if rule.algorithm.placed and (f.kind.fixed_bits != width or f.kind.little or f.condition is not None):
        raise DeclareError(where, "a field of 16 bits, highest byte first, that is always there", f"{f.kind.bits} bits")
    if not 0 <= rule.otherwise <= f.kind.high:
        raise DeclareError(where, f"0..{f.kind.high} where there is no checksum", rule.otherwise)


def _check_borders(header: Declaration, some: list[Region], where: str) -> None:
    """Refuse what does not begin and end with whole bytes."""
    for region in [one for one in some if one.part != "value"]:
        fields = header.before if region.part == "head" else header.after
        for border in (fields.index(region.fields[0]), fields.index(region.fields[-1]) + 1) if region.fields else ():
            stretches = {one: step for step in header.plan.loose for one in step.fields}
            bit = sum(one.kind.bits or 0 for one in fields[:border] if one.condition is None and one not in stretches) % 8
            inside = stretches.get(fields[border]) if border < len(fields) else None
            among = inside is not None and fields[border] is not inside.fields[0]
            if among or bit:
                name = fields[border].name if border < len(fields) else fields[-1].name
                place = "among bits" if among else f"at bit {bit} of a byte"
                raise DeclareError(where, "a checksum over whole bytes", f"one with a border {place}, before {name}", _whole_bytes(some))


def _whole_bytes(some: list[Region]) -> str:
    """Return the way out for a checksum that does not go over whole bytes."""
    hint = "take or leave all fields that share a byte; a crc of numbers that are always there, by name, begins and ends at any bit"
    covered = [one for region in some for one in region.fields]
    other = next((one for one in covered if one.kind.wire != "number"), None)
    width = 0 if other is None else other.kind.fixed_bits or 8 * other.kind.always
    if other is not None and width:
        return f"{hint}: {other.name} as a number too, Annotated[int, bits({width})]"
    if len({region.part for region in some}) > 1:
        return f"{hint}, all of them before the payload, or all after it"
    return hint


def _check_digits(f: Field, kind: DigitsKind, rule: Checksum, some: list[Region], where: str) -> None:
    """Refuse a checksum in digits that do not hold it, or that is among what it goes over."""
    if rule.algorithm.placed or kind.signed or kind.high < (1 << rule.algorithm.bits) - 1:
        raise DeclareError(where, f"digits that hold {rule.algorithm.bits} bits", f"{kind.in_words()}, up to {kind.high}")
    if any(f in region.fields and not region.zeros for region in some):
        hint = f'but("{f.name}") leaves them out, zeroed("{f.name}") counts them as bytes of 0'
        raise DeclareError(where, "a checksum over other bytes than its own digits", str(rule), hint)


def _named(header: Declaration, name: str, where: str, inner: bool = True, sent: bool = True) -> None:
    if inner and "." in name and held(name, header.before, header.after) is not None:
        return
    if name not in header.by_name and name != "payload":
        hint = suggestion(name, header.by_name)
        if "." in name:
            hint = PATHS if name.partition(".")[0] in header.by_name else ELSEWHERE
        raise DeclareError(where, f"a field of {header.name}", name, hint)
    if name != "payload" and header.by_name[name].kind.wire == "payload":
        raise DeclareError(where, 'the payload as "payload"', repr(name))
    like = getattr(header.by_name[name].kind, "like", None) if name != "payload" else None
    if name != "payload" and header.by_name[name].computed is not None and (sent or like is None or like.signed or like.fixed_bits % 8 or header.by_name[name] not in header.before):
        raise DeclareError(where, "fields that take bytes", f"{name}, which is computed and takes none", NOT_SENT)


def _check_part(header: Declaration, part: SumPart, where: str) -> None:
    for name in part.names:
        _named(header, name, where, inner=part.word in ("but", "zeroed"))
        if name == "payload" and part.word != "span":
            raise DeclareError(where, f"fields in {part.word}(...)", str(part))
        if part.word == "value_of" and len(getattr(header.by_name[name].kind, "ends", ())) > 1:
            raise DeclareError(where, "a field of one delimiter in value_of(...)", f"{name}, {header.by_name[name].kind.in_words()}")
        if part.word == "value_of" and not hasattr(header.by_name[name].kind, "delimiter"):
            raise DeclareError(where, "a field that is ended(...) in value_of(...)", f"{name}, {header.by_name[name].kind.in_words()}", f'"{name}" is all of it')
    if not part.names:
        raise DeclareError(where, f"names of fields in {part.word}(...)", "none")
    if part.word == "span":
        if not names_between(header.before, header.after, *part.names):
            raise DeclareError(where, "the field that comes first, then the last one", str(part))


def _check_begins(header: Declaration, rule: BitSum, where: str) -> None:
    """Refuse bits that a CRC takes in the order in which they lie in bytes, where that is not the same in all packets."""
    places: dict[str, frozenset[int]] = {}
    for step in header.plan.head:
        if isinstance(step, Loose):
            places |= {f.name: begin for f, begin in zip(step.fields, [frozenset({0}), *step.ends], strict=False)}
        elif isinstance(step, Fixed):
            widths = [0, *accumulate(f.kind.fixed_bits for f in step.fields)]
            places |= {f.name: frozenset({at % 8}) for f, at in zip(step.fields, widths, strict=False)}
    for name, begin in rule.begins.items():
        if (found := places.get(name, frozenset({0}))) != {begin}:
            got = f"{name}, at bit {' or '.join(map(str, sorted(found)))}"
            hint = f"a reflected CRC takes the bits of each byte by themselves: {name} on a byte boundary, or the optional fields behind it"
            raise DeclareError(where, "bits at a place of a byte that is always the same", got, hint)


def _may_be_empty(rule: Checksum) -> bool:
    return not any(isinstance(part, SumPart) for part in rule.over)


def check_sums(header: Declaration) -> None:
    """Refuse sums of which each covers the other, and rules that want a sum before it is known."""
    some = header.plan.covered
    left = dict.fromkeys(some)
    while free := [name for name in left if not awaited(name, some, left)]:
        for name in free:
            del left[name]
    if left:
        path = [next(iter(left))]
        while path[-1] not in path[:-1]:
            path.append(awaited(path[-1], some, left)[0])
        circle = path[path.index(path[-1]) :]
        raise DeclareError(
            f"{header.name}.{circle[1]}", "checksums of which none covers one that covers it", " -> ".join(circle),
            f'let one count as zeros: zeroed("{circle[0]}")',
        )  # fmt: skip
    sums = {f.name for f in header.before if isinstance(f.rule, Checksum)}
    for f in header.fields:
        if isinstance(f.rule, BitSum) and f.rule.begins:
            _check_begins(header, f.rule, f"{header.name}.{f.name}")
        rules = [f.condition, f.rule.where if isinstance(f.rule, Checksum) else f.rule]
        leaves = [leaf for rule in rules if rule is not None for leaf in rule.leaves()]
        for name in sorted({leaf.name for leaf in leaves if isinstance(leaf, Ref)} & sums):
            raise DeclareError(f"{header.name}.{f.name}", "fields other than sums, which are worked out last", name)
