"""Rules: what a declaration writes to say what a value, size, count or presence follows from.

Owns those functions (`field`, `size_of`, `count_of`, `has`, `next_protocol`, `internet_checksum`, ...) and `solve`,
which solves a rule backwards, so that one rule serves for building and for dissecting.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from packetlab.declare.checksums.algorithms import INTERNET, XNS
from packetlab.declare.checksums.catalogue import CRC32, CRC32C, SCTP
from packetlab.declare.checksums.parts import SumPart
from packetlab.declare.classbody.slips import uninverted
from packetlab.declare.expressions import (
    Checksum,
    Const,
    Count,
    Elsewhere,
    Emitter,
    Expr,
    Has,
    If,
    Next,
    OneOf,
    Op,
    Ref,
    Scope,
    Size,
    expression,
    named,
    whole,
)
from packetlab.declare.values.said import CountInside, FirstOf, Says, SizeInside
from packetlab.errors import DeclareError


class Solved(NamedTuple):
    """What a rule says backwards: the parts whose sizes it tells (how often each counts), and what they come to together.

    A count is a part called "#name". `unit` is 1 where each number is that of one size; else several sizes give the same
    number and one of them is read back: a multiple of `unit`, or, where that is 0, whichever `size` comes to.
    """

    parts: dict[str, int]
    size: Expr
    unit: int


def solve(rule: Expr, value: Expr) -> Solved | None:
    """Solve ``rule == value`` for the sizes in it; None where it cannot be (a conditional, a mask, a product of two sizes).

    >>> solved = solve(size_of("self") // 4 - 1, field("n"))
    >>> print(solved.parts, solved.size)
    {'self': 1} (n + 1) * 4
    >>> print(solve(10 - size_of("x"), field("n")).size, "|", solve((size_of("x") + 3) // 4, field("n")).size)
    10 - n | n * 4
    """
    sizes = _holding_sizes(rule)
    unit = 1
    while id(rule) in sizes:
        summands = terms(rule)
        sized = [(sign, term) for sign, term in summands if id(term) in sizes]
        turned = all(sign < 0 for sign, _ in sized)  # 10 - size: all of it is taken the other way round
        if turned:
            value, sized = 0 - value, [(1, term) for _, term in sized]
        for sign, term in summands:
            if id(term) not in sizes:
                value = value - term if (sign > 0) is not turned else _more(value, term)
                unit = 0 if unit != 1 else 1
        if all(isinstance(term, Size | Count) for _, term in sized):
            parts: dict[str, int] = {}
            for sign, term in sized:
                assert isinstance(term, Size | Count)
                name = term.name if isinstance(term, Size) else "#" + term.name
                parts[name] = parts.get(name, 0) + sign
            return Solved(parts, value, unit)
        if len(sized) > 1 or not isinstance(sized[0][1], Op):
            return None
        op = sized[0][1]
        rule, other = (op.right, op.left) if id(op.left) not in sizes else (op.left, op.right)
        if id(other) in sizes or (rule is op.right and op.sign != "*"):
            return None
        if op.sign == "*" or op.sign == "<<":
            value = Op("//" if op.sign == "*" else ">>", value, other)
        elif op.sign == "//" or op.sign == ">>":
            by = other.number if isinstance(other, Const) else 0
            by = 1 << by if op.sign == ">>" and 0 < by < 64 else by if op.sign == "//" else 0
            value, unit = Op("*" if op.sign == "//" else "<<", value, other), unit * max(by, 0)
            rule, more = _not_rounded_up(rule, by)
            value = value - more if more else value
        else:
            return None
    return None


def _more(value: Expr, term: Expr) -> Expr:
    if isinstance(value, Op) and value.sign == "-" and isinstance(value.left, Const) and value.left.number == 0:
        return term - value.right
    return value + term


def _not_rounded_up(rule: Expr, unit: int) -> tuple[Expr, int]:
    """Return the sizes in ``(sizes + 3) // 4``, and what else is in the multiple that is read back: 0, of ``(sizes + 11) // 4`` 8."""
    if isinstance(rule, Op) and rule.sign == "+" and isinstance(rule.right, Const) and unit and rule.right.number % unit == unit - 1:
        return rule.left, rule.right.number - (unit - 1)
    return rule, 0


def _holding_sizes(rule: Expr) -> set[int]:
    """Return the id of every part of a rule in which there is a size or a count."""
    found: set[int] = set()
    for part in rule.parts():
        if isinstance(part, Size | Count) or any(id(operand) in found for operand in part.operands()):
            found.add(id(part))
    return found


def terms(rule: Expr) -> list[tuple[int, Expr]]:
    """Return what is added up in a rule, with the sign of each."""
    found, todo = [], [(1, rule)]
    while todo:
        sign, term = todo.pop()
        if isinstance(term, Op) and term.sign in "+-":
            todo += [(sign if term.sign == "+" else -sign, term.right), (sign, term.left)]
        else:
            found.append((sign, term))
    return found


def apart(one: Expr | None, other: Expr | None) -> bool:
    """Whether two conditions can be seen never to hold together, since they want other values of the same thing."""
    if one is None or other is None:
        return False
    return any(
        what == else_what and (values.isdisjoint(others) if among and else_among else among is not else_among and (
            values <= others if among else others <= values))
        for what, values, among in _wanted(one) for else_what, others, else_among in _wanted(other)
    )  # fmt: skip


def _wanted(condition: Expr) -> list[tuple[str, frozenset[object], bool]]:
    """Return what the parts of a condition that are joined by & want: of what, values, and whether one or none of them."""
    found: list[tuple[str, frozenset[object], bool]] = []
    todo = [condition]
    while todo:
        one = todo.pop()
        if isinstance(one, Op) and one.sign == "&" and one.is_truth:
            todo += [one.left, one.right]
        elif isinstance(one, OneOf):
            found.append((str(one.values), frozenset(one.among), True))
        elif isinstance(one, Says):
            found += [(f"text of {one.name}", one.alike, True), (f"words of {one.name}", frozenset(("", *one.words)), True)]
        elif isinstance(one, Op) and one.sign == "==" and isinstance(one.left, OneOf) and str(one.right) == "0":
            found.append((str(one.left.values), frozenset(one.left.among), False))
        elif isinstance(one, Op) and one.sign == "==" and isinstance(one.left, Says) and str(one.right) == "0":
            found.append((f"words of {one.left.name}", frozenset(("", *one.left.words)), False))  # "": none are apart by how they are written
        elif isinstance(one, Op) and one.sign in ("==", "!=") and isinstance(one.right, Const):
            found.append((str(one.left), frozenset((one.right.number,)), one.sign == "=="))
        else:
            found.append((str(one), frozenset((0,)), False))
    return found


class Side(Expr):
    """The value of a field of a request or of its reply; in the rule that says which packet answers which only."""

    __slots__ = ("name", "side")

    def __init__(self, side: str, name: str) -> None:
        self.side, self.name = side, name

    def written(self, to: Emitter, *operands: str) -> str:
        raise NotImplementedError("the rule of a reply is evaluated, never compiled")

    def evaluate(self, scope: Any) -> int:
        return int(scope.side(self.side, self.name))

    def __str__(self) -> str:
        return f"{self.side}.{self.name}"


class Ahead(Expr):
    """The first bits of the payload; in the condition of a binding only."""

    __slots__ = ("bits",)

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def written(self, to: Emitter, *operands: str) -> str:
        return to.ahead(self.bits)

    def evaluate(self, scope: Scope) -> int:
        return scope.ahead(self.bits)

    def __str__(self) -> str:
        return f"ahead({self.bits})"


# What a declaration writes -------------------------------------------------------------------------------------


def field(name: str, default: int = 0) -> Expr:
    """The value of the field `name` of the same header, as a number (0 where it is absent). ``field("name") == "a text"`` is a condition
    on text, in letters of any case; bytes are compared as they are, and an address, a UUID or packed digits may be written as the field
    takes them: ``field("group") == "224.0.0.1"``. DeclareError for what the field can never be.

    A path names a field of what stands around: "^.flags" of the header that holds this one in a field ("^.^.x" one further
    out; of a layer, the header below), "MQTT.qos" of the nearest header of class MQTT around or below. Where there is none, 0.
    "lines.contentlength.value" is that of the first item of the list `lines` that is a ContentLength, `default` where there is none.
    """
    if isinstance(name, str) and name.count(".") == 2 and all(part.isidentifier() for part in name.split(".")):
        return FirstOf(name, int(default))
    if default:
        raise DeclareError("field(...), default", 'a path into a list, as in field("lines.contentlength.value")', repr(name))
    return named(name)


def before(name: str) -> Expr:
    """The value of the field `name` of the item before this one in the same list, 0 of the first one."""
    return Elsewhere("", Ref(name).name)


def size_of(part: str) -> Expr:
    """The size in bytes of "self" (the header up to its payload), "payload" (all above), or one field by name."""
    return Size(part)


def size_inside(name: str) -> Expr:
    """The size in bytes of what is inside a field that is ``through(...)``, before it is compressed or encrypted: a length that tells how much
    there will be, as in Minecraft's, MySQL's and SMB2's headers. For ``auto(...)``; `size_of` is that of the bytes in the packet."""
    return SizeInside(name)


def count_of(name: str) -> Expr:
    """How many items the repeated field `name` has. In ``auto(...)`` "sets.records" is how many there are in the lists `records` of all items of `sets`."""
    if isinstance(name, str) and name.count(".") == 1 and all(part.isidentifier() for part in name.split(".")):
        return CountInside(name)
    return Count(name)


def has(name: str) -> Expr:
    """1 where the field `name`, which may be absent, was given a value, else 0. For presence flags."""
    return Has(name)


def ahead(bits: int) -> Expr:
    """The first `bits` (1 to 64) bits of the payload, 8 for its first byte, or -1 where it is shorter. Only in ``when=`` of a binding.

    Bits are counted: ``ahead(1) != 0`` says that the first bit is set, ``ahead(8) != 0`` that the first byte is not 0. Nothing fills
    them in when a packet is built: constants or defaults of the header's first fields have them.
    """
    return Ahead(whole(bits))


def choose(condition: object, yes: object, no: object) -> Expr:
    """`yes` where `condition` is not 0, else `no`.

    One of them may be a checksum, where it is the whole rule of a field, and the other is a number then, which is sent where there is
    none: ``auto(choose(field("kind") == 2, 0, crc32("self")))``. Whatever stands there instead, it is not checked.
    """
    test, one, other = expression(uninverted(condition, "choose(...)")), expression(yes), expression(no)
    if isinstance(one, Checksum) or isinstance(other, Checksum):
        return _under(test, one, other)
    return If(test, one, other)


_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def _under(test: Expr, one: Expr, other: Expr) -> Expr:
    """Return a checksum under a condition."""
    if isinstance(other, Checksum):
        turned = Op(_OPPOSITE[test.sign], test.left, test.right) if isinstance(test, Op) and test.sign in _OPPOSITE else test == 0
        test, one, other = turned, other, one
    assert isinstance(one, Checksum)
    if not isinstance(other, Const) or one.where is not None:
        hint = "join conditions with &; of two checksums each is a field of its own, with when(...)"
        raise DeclareError("choose(...)", "one checksum and a number", f"{one}, and {other}", hint)
    return one.only(test, other.number)


def next_protocol(space: str, otherwise: object = 0) -> Expr:
    """The number bound to the header above, in the number space `space`; `otherwise` where none is.

    Headers whose fields name the same space share its bindings: what is bound under Ether.type is found
    after a VLAN tag and after GRE too.
    """
    if not isinstance(space, str) or not space or not space.isprintable():
        raise DeclareError("next_protocol(...)", "a name that is printable", repr(space))
    return Next(space, expression(otherwise))


def internet_checksum(*over: str | SumPart, zero_is_none: bool = False) -> Expr:
    """The 16-bit one's-complement checksum of RFC 1071 over the parts named.

    Parts, in the order in which they are summed: "self" (the header up to its payload, the checksum itself as zeros),
    "payload", a field by name, `span("a", "b")`, all of it without what `but("x")` names and with what `zeroed("x")` names
    as zeros; and "pseudo", the addresses of the network layer below with length and protocol (RFC 768, RFC 9293
    section 3.1, RFC 8200 section 8.1). With `zero_is_none` a sum of 0 is sent as
    0xFFFF, and 0 says that there is no checksum (RFC 768).
    """
    return Checksum(INTERNET, over, 0 if zero_is_none else None, 0xFFFF)


def xns_checksum(*over: str | SumPart) -> Expr:
    """The add-and-rotate checksum of XNS over parts as above, but for "pseudo"; 0xFFFF says that there is none, and a sum of 0xFFFF is sent as 0."""
    return Checksum(XNS, over, 0xFFFF, 0)


def crc32(*over: str | SumPart) -> Expr:
    """CRC-32 of IEEE 802.3, as a number."""
    return Checksum(CRC32, over)


def crc32c(*over: str | SumPart) -> Expr:
    """CRC-32C (Castagnoli) of RFC 9260 appendix A, as a number."""
    return Checksum(CRC32C, over)


def sctp_checksum(*over: str | SumPart) -> Expr:
    """CRC-32C with its lowest byte first, as the number that tools show of SCTP (RFC 9260 appendix A)."""
    return Checksum(SCTP, over)


class Fields:
    """The fields of one side of an exchange, by attribute: ``reply.sport == request.dport``."""

    def __init__(self, side: str) -> None:
        self._side = side

    def __getattr__(self, name: str) -> Expr:
        if name.startswith("_"):
            raise AttributeError(name)
        return Side(self._side, name)

    def __repr__(self) -> str:
        return self._side


request, reply = Fields("request"), Fields("reply")
"""For ``answers=`` of a header class: the header of the request, and that of the reply."""
