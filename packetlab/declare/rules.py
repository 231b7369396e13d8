"""Rules: what a declaration writes to say what a value, size, count or presence follows from.

Owns those functions (`field`, `size_of`, `count_of`, `has`, `next_protocol`, `internet_checksum`, ...) and `invert`,
which solves a rule backwards, so that one rule serves for building and for dissecting.
"""

from __future__ import annotations

from typing import Any

from packetlab.declare.expressions import (
    Ahead,
    Checksum,
    Count,
    Expr,
    Has,
    If,
    Next,
    Op,
    Ref,
    Side,
    Size,
    expression,
    whole,
)
from packetlab.errors import DeclareError

_BACK = {"*": "//", "//": "*", ">>": "<<", "<<": ">>"}


def invert(rule: Expr, value: Expr) -> tuple[frozenset[str], Expr] | None:
    """Solve ``rule == value`` for the sizes in it.

    Returns the names of the parts and an expression for the sum of their sizes (a lone count comes back as
    "#name"), or None where the rule cannot be solved (a conditional, a product of two sizes, no size at all).

    >>> parts, size = invert(size_of("self") // 4 - 1, field("n"))
    >>> print(sorted(parts), size)
    ['self'] (n + 1) * 4
    """
    if isinstance(rule, Size):
        return frozenset({rule.name}), value
    if isinstance(rule, Count):
        return frozenset({"#" + rule.name}), value
    if not isinstance(rule, Op):
        return None
    left, right, sign = rule.left, rule.right, rule.sign
    if sign == "+":
        terms = _terms(rule)
        sized = [term for term in terms if _has_size(term)]
        for term in terms:
            if not _has_size(term):
                value = value - term
        if len(sized) == 1:
            return invert(sized[0], value)
        if sized and all(isinstance(term, Size) for term in sized):
            return frozenset(term.name for term in sized if isinstance(term, Size)), value
        return None
    if _has_size(right) or not _has_size(left):
        return None
    if sign == "-":
        return invert(left, value + right)
    if sign in _BACK:
        return invert(left, Op(_BACK[sign], value, right))
    return None


def _terms(rule: Expr) -> list[Expr]:
    if isinstance(rule, Op) and rule.sign == "+":
        return _terms(rule.left) + _terms(rule.right)
    return [rule]


def _has_size(rule: Expr) -> bool:
    return any(isinstance(leaf, (Size, Count)) for leaf in rule.leaves())


# What a declaration writes -------------------------------------------------------------------------------------


def field(name: str) -> Expr:
    """The value of the field `name` of the same header, as a number (0 where it is absent)."""
    return Ref(name)


def size_of(part: str) -> Expr:
    """The size in bytes of "self" (the header up to its payload), "payload" (all above), or one field by name."""
    return Size(part)


def count_of(name: str) -> Expr:
    """How many items the repeated field `name` has."""
    return Count(name)


def has(name: str) -> Expr:
    """1 where the field `name`, which may be absent, was given a value, else 0. For presence flags."""
    return Has(name)


def ahead(bits: int) -> Expr:
    """The first `bits` (1 to 64) bits of the payload, or -1 where it is shorter. Only in ``when=`` of a binding."""
    return Ahead(whole(bits))


def choose(condition: Any, yes: Any, no: Any) -> Expr:
    """`yes` where `condition` is not 0, else `no`."""
    return If(expression(condition), expression(yes), expression(no))


def next_protocol(space: str, otherwise: Any = 0) -> Expr:
    """The number bound to the header above, in the number space `space`; `otherwise` where none is.

    Headers whose fields name the same space share its bindings: what is bound under Ether.type is found
    after a VLAN tag and after GRE too.
    """
    if not isinstance(space, str) or not space or not space.isprintable():
        raise DeclareError("next_protocol(...)", "a name that is printable", repr(space))
    return Next(space, expression(otherwise))


def internet_checksum(*over: str, zero_is_none: bool = False) -> Expr:
    """The 16-bit one's-complement checksum of RFC 1071 over the parts named.

    Parts: "self", "payload", a trailing field's name, and "pseudo", the addresses of the network layer below with
    length and protocol (RFC 768, RFC 9293 section 3.1, RFC 8200 section 8.1). With `zero_is_none` a sum of 0 is sent as
    0xFFFF, and 0 says that there is no checksum (RFC 768).
    """
    return Checksum("internet", over, 0 if zero_is_none else None, 0xFFFF)


def xns_checksum(*over: str) -> Expr:
    """The add-and-rotate checksum of XNS over parts as above, but for "pseudo"; 0xFFFF says that there is none, and a sum of 0xFFFF is sent as 0."""
    return Checksum("xns", over, 0xFFFF, 0)


def crc32(*over: str) -> Expr:
    """CRC-32 of IEEE 802.3, as a number."""
    return Checksum("crc32", over)


def crc32c(*over: str) -> Expr:
    """CRC-32C (Castagnoli) of RFC 9260 appendix A, as a number."""
    return Checksum("crc32c", over)


def sctp_checksum(*over: str) -> Expr:
    """CRC-32C with its lowest byte first, as the number that tools show of SCTP (RFC 9260 appendix A)."""
    return Checksum("sctp", over)


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
