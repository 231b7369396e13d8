"""Rules of a declaration as Lua: each expression becomes a Lua expression of the same value for every packet.

Lua's numbers are doubles, exact up to 2**53. So each part of a rule carries the range of its values: what stays within is
plain arithmetic, what may leave it goes through the W functions of numbers.lua, whole numbers of 192 bits. Knows nothing
of files and of where a dissector is registered.
"""

from __future__ import annotations

from typing import NamedTuple

from packetlab.declare import registry
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Const, Count, Elsewhere, Expr, Has, If, OneOf, Op, Ref, Size
from packetlab.declare.fields import Field
from packetlab.declare.intervals import DEPTH, span
from packetlab.declare.kinds import Kind
from packetlab.declare.places.inner import Inner
from packetlab.declare.places.left import Left, LeftAfter
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.rules import Ahead
from packetlab.declare.validate import ANYWHERE
from packetlab.declare.values.said import OuterSays, Says
from packetlab.errors import BuildError
from packetlab.escaping import lua, lua_bytes
from packetlab.export.wireshark.places import wireshark_name
from packetlab.export.wireshark.views import ENCODINGS

EXACT = 1 << 53
LONGEST = 1 << 32  # more bytes than any packet has
MOST = 1 << 190
PLAIN = {"+", "-", "*"}
COMPARED = {"==": "==", "!=": "~=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
FUNCTIONS = {
    "//": "fdiv",
    "<<": "shl",
    ">>": "shr",
    "&": "band",
    "|": "bor",
    "^": "bxor",
    "+": "add",
    "-": "sub",
    "*": "mul",
}


def is_wide(bits: int) -> bool:
    """Whether a number of this many bits is kept as a W in Lua."""
    return bits > 53


def digits(kind: Kind) -> int:
    """Return the bits that the numbers of a kind take."""
    return kind.fixed_bits or kind.high.bit_length() + (kind.low < 0)


def in_bytes(kind: Kind) -> bool:
    """Whether a number is one of a size that something else tells, and of more bits than Wireshark has: it is shown as its bytes."""
    return kind.form == "sized_number" and digits(kind) > 64


class Term(NamedTuple):
    """Lua source for a whole number, and the least and the greatest it may be."""

    code: str
    low: int
    high: int

    @property
    def wide(self) -> bool:
        """Whether the source gives a W instead of a Lua number."""
        return self.low < -EXACT or self.high > EXACT

    def as_wide(self) -> str:
        """Source for the same as a W."""
        return self.code if self.wide else f"W.of({self.code})"

    def truth(self) -> str:
        """Source for whether it is not 0."""
        return f"(not W.is_zero({self.code}))" if self.wide else f"({self.code} ~= 0)"

    def number(self) -> str:
        """Source for a Lua number, rounded where it is beyond what those hold."""
        return f"W.number({self.code})" if self.wide else self.code


def number(rule: Expr, header: Declaration) -> str:
    """Return a Lua function of the scope (`s`) for the number a rule gives; beyond what Lua's own hold, for that rounded and for its W."""
    found = term(rule, header)
    if not found.wide:
        return f"function(s) return {found.code} end"
    return f"function(s) local w = {found.code}; return W.number(w), w end"


def condition(rule: Expr, header: Declaration) -> str:
    """Return a Lua function of the scope for whether a condition holds."""
    return f"function(s) return {term(rule, header).truth()} end"


def term(rule: Expr, header: Declaration) -> Term:
    """Return a rule of a header as Lua. BuildError where it has more levels than Lua takes."""
    if rule.deep > DEPTH:
        raise BuildError("a rule for Wireshark", f"{DEPTH} levels at most", rule.deep)
    if isinstance(rule, OneOf):
        return _one_of(rule, header)
    if isinstance(rule, If):
        yes, no = term(rule.yes, header), term(rule.no, header)
        low, high = min(yes.low, no.low), max(yes.high, no.high)
        wide = Term("", low, high).wide
        sides = [side.as_wide() if wide else side.code for side in (yes, no)]
        return Term(f"({term(rule.condition, header).truth()} and {sides[0]} or {sides[1]})", low, high)
    if isinstance(rule, Op):
        return _operation(rule.sign, term(rule.left, header), term(rule.right, header))
    if isinstance(rule, Const):
        return _constant(rule.number)
    return _wanted(rule, header)


def _wanted(rule: Expr, header: Declaration) -> Term:
    """Return what a rule asks of the scope."""
    match rule:
        case Ref():
            return _field(rule, header)
        case Inner():
            return _value(rule.kind.item.by_name[rule.inner], f"s:inner({lua(rule.name)}, {lua(rule.inner)})")
        case OwnPlace():
            return Term(f"s:begun({lua(rule.name)})", 0, LONGEST)
        case Elsewhere():
            return _elsewhere(rule)
        case Size():
            return Term(f"s:size({lua(rule.name)})", 0, LONGEST)
        case Count():
            return Term(f"s:count({lua(rule.name)})", 0, LONGEST)
        case Has():
            return Term(f"s:has({lua(rule.name)})", 0, 1)
        case LeftAfter():
            return Term(f"(s.after[{lua(rule.name)}] or 0)", -LONGEST, LONGEST)
        case Left():
            return Term("s.room", 0, LONGEST)
        case Ahead():
            wide, high = is_wide(rule.bits), (1 << rule.bits) - 1
            return Term(f"s:ahead({rule.bits}, {str(wide).lower()})", -1, max(high, 2 * EXACT) if wide else high)
    return Term("0", 0, 0)  # the number of the header above and a checksum are not known while reading


def _elsewhere(rule: Elsewhere) -> Term:
    if isinstance(rule, OuterSays):
        return _says_outside(rule)
    if name := wireshark_name(rule):
        return Term(f"s:there({lua(name)})", 0, LONGEST)
    call = f"out({rule.out}, " if rule.out else f"near({lua(rule.path)}, " if rule.path else "earlier("
    return Term(f"s:{call}{lua(rule.name)})", *ANYWHERE)


def _constant(value: int) -> Term:
    if abs(value) <= EXACT:
        return Term(f"({value})" if value < 0 else str(value), value, value)
    if abs(value) >= MOST:
        raise BuildError("a rule for Wireshark", "numbers of up to 190 bits", value)
    limbs = ", ".join(str(value >> 24 * i & 0xFFFFFF) for i in range(8))
    return Term(f"{{{limbs}}}", value, value)


def _field(rule: Ref, header: Declaration) -> Term:
    if isinstance(rule, Says) and rule.kind.is_number:
        return _one_of(OneOf(Ref(rule.name), tuple(map(int, rule.raws))), header)
    if isinstance(rule, Says):
        return Term(f"s:says({lua(rule.name)}, {_words(header.name, [rule])})", 0, 1)
    if hasattr(rule, "span"):
        raise BuildError(header.name, "rules of numbers of the header itself, for Wireshark", str(rule))
    return _value(header.by_name[rule.name], f"s.v[{lua(rule.name)}]")


def _words(where: str, rules: list[Says]) -> str:
    """Return source for the bytes that texts are compared with as they are, and for those that they are in letters of any case."""
    for rule in rules:
        encoding = getattr(rule.kind, "encoding", "ascii")
        if encoding not in ENCODINGS:  # of which Lua knows no small letters
            raise BuildError(where, "a condition on text in an encoding of Wireshark's", f"{rule}, {encoding}")
    exact, folded = ({one for rule in rules for one in rule.bytewise[which]} for which in (0, 1))
    return ", ".join("{" + ", ".join(f"[{lua_bytes(one)}] = true" for one in sorted(words)) + "}" for words in (exact, folded))


def _says_outside(rule: OuterSays) -> Term:
    """Return whether a field of another header is one of some words: of whatever kind it is in the headers that may be meant."""
    where = str(rule.out) if rule.out else lua(rule.path)
    fields = [one.by_name[rule.name] for one in registry.declared() if rule.name in one.by_name]
    said = [found for f in fields if (found := rule.said(f.kind)) is not None]
    numbers = sorted({int(raw) for one in said if one.kind.is_number for raw in one.raws})
    texts = [one for one in said if not one.kind.is_number]
    among = ", ".join(f"[{n}] = true" for n in numbers)
    return Term(f"s:said({where}, {lua(rule.name)}, {_words(str(rule), texts)}, {{{among}}})", 0, 1)


def _value(f: Field, code: str) -> Term:
    """Return the value of a field, for which `code` is source; 0 where it is absent."""
    if not f.kind.is_number:
        return Term("0", 0, 0)  # bytes have no value as a number while reading
    if in_bytes(f.kind):
        raise BuildError(f"{f.owner.name}.{f.name}", "a number of up to 64 bits in a rule for Wireshark", f"{digits(f.kind)} bits")
    if 1 << digits(f.kind) > MOST:
        raise BuildError(f"{f.owner.name}.{f.name}", "a number of up to 190 bits in a rule for Wireshark", f"{digits(f.kind)} bits")
    if is_wide(digits(f.kind)):
        # Wide enough that it counts as one, whatever it is.
        low, high = min(f.kind.low, -2 * EXACT) if f.kind.low < 0 else 0, max(f.kind.high, 2 * EXACT)
        return Term(f"({code} or W.ZERO)", low, high)
    return Term(f"({code} or 0)", min(0, f.kind.low), f.kind.high)


def _one_of(rule: OneOf, header: Declaration) -> Term:
    value = term(rule.values, header)
    among = sorted(set(rule.among))
    if value.wide:
        tests = " or ".join(f"W.compare({value.code}, {_constant(n).as_wide()}) == 0" for n in among) or "false"
        return Term(f"truth({tests})", 0, 1)
    keys = ", ".join(f"[{n}] = true" for n in among if abs(n) <= EXACT)
    return Term(f"truth(({{{keys}}})[{value.code}])", 0, 1)


def _operation(sign: str, a: Term, b: Term) -> Term:
    if sign in COMPARED:
        if a.wide or b.wide:
            return Term(f"truth(W.compare({a.as_wide()}, {b.as_wide()}) {COMPARED[sign]} 0)", 0, 1)
        return Term(f"truth({a.code} {COMPARED[sign]} {b.code})", 0, 1)
    low, high = span(sign, (a.low, a.high), (b.low, b.high))
    if low < -MOST or high > MOST:
        raise BuildError(
            "a rule for Wireshark", "numbers of up to 190 bits", f"up to {max(-low, high).bit_length()} bits"
        )
    if sign == "%":
        whole = _operation("*", _operation("//", a, b), b)
        left, narrow = _operation("-", a, whole), Term("", low, high)
        return Term(left.number() if left.wide and not narrow.wide else left.code, low, high)
    result = Term("", low, high)
    if a.wide or b.wide or result.wide:
        second = b.number() if sign in ("<<", ">>") else b.as_wide()
        code = f"W.{FUNCTIONS[sign]}({a.as_wide()}, {second})"
        return Term(code if result.wide else f"W.number({code})", low, high)
    code = f"({a.code} {sign} {b.code})" if sign in PLAIN else f"N.{FUNCTIONS[sign]}({a.code}, {b.code})"
    return Term(code, low, high)
