"""CRCs over bits, or in a field of some bits: of numbers that do not begin or end with a byte, as in tokens of USB.

A CRC is an exclusive or of a constant and of one number for each bit that is set. So it is a rule of fields like any other, which
every backend has, and is filled in before bytes are made; what knows verdicts takes it for a checksum all the same.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

from packetlab.declare.bits.kinds import SpareBits
from packetlab.declare.bits.shares import shares
from packetlab.declare.checksums.crc import mirrored
from packetlab.declare.checksums.parts import SumPart
from packetlab.declare.checksums.ranges import Region, regions
from packetlab.declare.expressions import Checksum, Const, Expr, If, Op, Ref

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packetlab.declare.checksums.algorithms import Algorithm
    from packetlab.declare.fields import Field

MOST = 512  # bits that one goes over


class BitSum(Op):
    """The rule of such a CRC. checksum: as the class body says it. begins: at which bit of a byte fields begin, where the order of bits goes by that."""

    __slots__ = ("begins", "checksum")

    def __init__(self, form: Expr, checksum: Checksum, begins: dict[str, int]) -> None:
        super().__init__("^", form, Const(0))
        self.checksum, self.begins = checksum, begins

    def text(self, *operands: str) -> str:
        return str(self.checksum)


class _Bit(NamedTuple):
    """A bit under a CRC: in which byte, at which bit of it; of which field, and which bit of its number."""

    byte: int
    at: int
    field: Field | None
    bit: int


def find_bit_sums(before: list[Field], after: list[Field], low: bool, in_bits: bool) -> None:
    """Let checksums of a header that go over parts of bytes, or stand in one, be rules of its fields; `low`: its lowest bits come first;
    `in_bits`: it may begin at any bit."""
    for fields in (before, after):  # a payload ends with a byte
        for f in fields:
            some = regions(f.rule, before, after, f) if isinstance(f.rule, Checksum) else []
            if isinstance(f.rule, Checksum) and (form := _form(fields, some, low, in_bits, f, f.rule)) is not None:
                f.derive(form)


def is_sum(f: Field) -> bool:
    """Whether a field is a checksum, over whole bytes or over bits."""
    return isinstance(f.rule, Checksum | BitSum)


def _form(fields: list[Field], some: list[Region], low: bool, in_bits: bool, f: Field, rule: Checksum) -> BitSum | None:
    """Return a CRC over some regions as arithmetic of fields; None where it is one of whole bytes, or none that can be such a rule."""
    kind = f.kind
    named = [name for part in rule.over for name in (part.names if isinstance(part, SumPart) else (part,))]
    if rule.algorithm.word != "crc" or not {*named} <= {one.name for one in fields} or "self" in named:
        return None
    if kind.wire != "number" or kind.signed or kind.fixed_bits < rule.algorithm.bits or any(part.word == "value_of" for part in rule.over if isinstance(part, SumPart)):
        return None
    if any(region.part == "value" for region in some):
        return None
    starts, unsure = _starts(fields, in_bits)
    covered = [one for region in some for one in region.fields]
    # Of fields whose place is sure only the borders count: bits between these share whole bytes.
    known = not unsure & {f.name, *(one.name for one in covered)}
    borders = [(region.fields[0], region.fields[-1]) for region in some if region.fields] if known else [(one, one) for one in covered]
    ends = [place for first, last in borders for place in (starts[first.name], (starts[last.name] + last.kind.fixed_bits) % 8)]
    if not any(ends) and not starts[f.name] and not kind.fixed_bits % 8:
        return None
    if any(one.kind.wire != "number" or one.condition is not None or not one.kind.fixed_bits for one in covered):
        return None
    runs: list[list[tuple[Field, bool]]] = []  # side by side; those that count as zeros share bytes with the others
    for region in some:
        for one in region.fields:
            if not (runs and fields.index(one) == fields.index(runs[-1][-1][0]) + 1):
                runs.append([])
            runs[-1].append((one, region.zeros))
    lowest_first = bool(rule.algorithm.parameters[3])
    bits = [bit for run in runs for bit in _in_order(run, starts[run[0][0].name], low, lowest_first)]
    if not 0 < len(bits) <= MOST:
        return None
    nothing = _crc(rule.algorithm, [0] * len(bits))
    refs = {one.name: Ref(one.name) for one in covered}
    terms: list[Expr] = [Const(nothing)]
    for place, bit in enumerate(bits):
        number = _crc(rule.algorithm, [int(at == place) for at in range(len(bits))]) ^ nothing
        if bit.field is not None and number:
            terms.append(((refs[bit.field.name] >> bit.bit) & 1) * number)
    while len(terms) > 1:  # side by side, so that none stands deep
        terms = [reduce(lambda one, other: one ^ other, terms[at : at + 2]) for at in range(0, len(terms), 2)]
    ordered = low is not lowest_first or any(one.kind.fixed_bits > 8 and (low or one.kind.little) for one in covered)
    form = terms[0] if rule.where is None else If(rule.where, terms[0], Const(rule.otherwise))
    return BitSum(form, rule, {run[0][0].name: starts[run[0][0].name] for run in runs} if ordered and not in_bits else {})


def _starts(fields: list[Field], in_bits: bool) -> tuple[dict[str, int], set[str]]:
    """Return at which bit of a byte each field begins, optional ones being absent, and of which that is not sure."""
    starts: dict[str, int] = {}
    at, sure, unsure = 0, not in_bits, set()
    for f in fields:
        starts[f.name] = at
        unsure |= set() if sure else {f.name}
        at = (at + (f.kind.fixed_bits if f.condition is None else 0)) % 8
        if isinstance(f.kind, SpareBits):
            at, sure = 0, not in_bits
        elif shares(f) and (f.condition is not None or f.kind.loose):
            sure = False
    return starts, unsure


def _in_order(fields: Sequence[tuple[Field, bool]], start: int, low: bool, lowest_first: bool) -> list[_Bit]:
    """Return the bits of fields side by side in the order in which a CRC takes them: byte after byte, in each the highest or the lowest first."""
    found, at = [], start
    for f, zeros in fields:
        width = f.kind.fixed_bits
        if at % 8 == 0 == width % 8:  # alone in its bytes it has an order of its own
            order = [8 * byte + bit for byte in (range(width // 8) if f.kind.little else range(width // 8 - 1, -1, -1)) for bit in range(7, -1, -1)]
            places = [(at // 8 + n // 8, 7 - n % 8) for n in range(width)]
        elif low:
            order, places = [*range(width)], [divmod(at + n, 8) for n in range(width)]
        else:
            order, places = [*range(width - 1, -1, -1)], [((at + n) // 8, 7 - (at + n) % 8) for n in range(width)]
        found += [_Bit(byte, bit, None if zeros else f, own) for (byte, bit), own in zip(places, order, strict=True)]
        at += width
    return sorted(found, key=lambda one: (one.byte, one.at if lowest_first else -one.at))


def _crc(algorithm: Algorithm, bits: list[int]) -> int:
    """Return a CRC of bits, one after the other."""
    width, poly, register, _, reflect_out, xor, _ = algorithm.parameters
    for bit in bits:
        top = register >> (width - 1) & 1
        register = register << 1 & (1 << width) - 1
        register ^= poly if top ^ bit else 0
    return (mirrored(register, width) if reflect_out else register) ^ xor
