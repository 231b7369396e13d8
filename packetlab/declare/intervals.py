"""Which numbers a rule can give, worked out from the widths of what it speaks of.

Numbers of Python have no end, so a rule is looked through before it is ever run: what may divide by 0, shift by less
than nothing, or come to more than `WIDEST` bits is refused, and so is a rule of too many terms. Knows nothing of headers:
what the leaves of a rule can be is up to the caller.
"""

from __future__ import annotations

from collections.abc import Callable

from packetlab.declare.expressions import COMPARISONS, SIGNS, Const, Expr, If, OneOf, Op, Ref
from packetlab.errors import DeclareError

WIDEST = 256  # bits of a number that a rule comes to
TERMS = 100_000  # of one rule
DEPTH = 150  # levels of a rule in a file, and in Lua
Range = tuple[int, int]
"""The least number and the greatest."""


def bounds(rule: Expr, leaf: Callable[[Expr], Range], where: str) -> Range:
    """Return the range of a rule, that of its leaves being what `leaf` gives. DeclareError where it has no good end."""
    return _Bounds(leaf, where).of(rule)


def check_can_hold(condition: Expr, leaf: Callable[[Expr], Range], where: str) -> None:
    """Refuse a condition that never holds, and one with a comparison that never does: of a number that its field has no room for."""
    seen = _Bounds(leaf, where)
    seen.of(condition)
    for part in condition.parts():
        compares = isinstance(part, OneOf) or (isinstance(part, Op) and part.sign in COMPARISONS)
        if seen.known[id(part)][0] == (0, 0) and (compares or part is condition):
            ranges = [(one, seen.known[id(one)][0]) for one in part.operands() if not isinstance(one, Const)] if compares else []
            said = ", ".join(f"{words(one)} is {low}..{high}" for one, (low, high) in ranges if high.bit_length() <= WIDEST)
            hint = "ahead(...) counts bits: ahead(8) is the first byte" if any(str(leaf).startswith("ahead(") for leaf in part.leaves()) else ""
            raise DeclareError(where, "a condition that can hold", words(part) + f" ({said})" * bool(said), hint)


def hull(*ranges: Range) -> Range:
    """Return the range that holds all of `ranges`."""
    return min(low for low, _ in ranges), max(high for _, high in ranges)


class _Bounds:
    def __init__(self, leaf: Callable[[Expr], Range], where: str) -> None:
        self.leaf, self.where = leaf, where
        # A rule may use a part of itself many times (e = e + e): each is looked at once, but counted as often as it is used.
        self.known: dict[int, tuple[Range, int]] = {}

    def of(self, rule: Expr) -> Range:
        """Return the range of a rule."""
        known = self.known
        for part in rule.parts():
            inner = [known[id(operand)] for operand in part.operands()]
            terms = 1 + sum(count for _, count in inner)
            if terms > TERMS:
                raise DeclareError(
                    self.where, f"a rule of {TERMS} terms at most", "more", "one_of(...) holds many numbers"
                )
            low, high = self.single(part, [found for found, _ in inner])
            if isinstance(part, Op | Const) and max(low.bit_length(), high.bit_length()) > WIDEST:
                wide = [one.name for one, (found, _) in zip(part.operands(), inner, strict=True) if isinstance(one, Ref) and found[1].bit_length() > WIDEST]
                hint = f"the bits of {wide[0]} that are meant as a field of their own" if wide else ""
                raise DeclareError(self.where, f"numbers of up to {WIDEST} bits in a rule", words(part), hint)
            known[id(part)] = (low, high), terms
        return known[id(rule)][0]

    def single(self, part: Expr, inner: list[Range]) -> Range:
        """Return the range of a part of a rule, given those of its operands."""
        if isinstance(part, Op):
            return self.operation(part, *inner)
        if isinstance(part, If):
            yes = part.yes
            if isinstance(yes, Ref) and str(part.condition) == str(yes) and inner[1][0] == 0 < inner[1][1]:  # choose(n, n, 1)
                return hull((1, inner[1][1]), inner[2])
            return hull(*inner[1:])
        if isinstance(part, OneOf):
            (low, high), *_ = inner
            any_holds = any(low <= number <= high for number in part.among)
            return int(any_holds and low == high), int(any_holds)
        return self.leaf(part)

    def operation(self, rule: Op, left: Range, right: Range) -> Range:
        if rule.sign in ("//", "%") and right[0] <= 0 <= right[1]:
            name = f'field("{rule.right.name}")' if type(rule.right) is Ref else ""
            hint = f"choose({name}, {name}, 1) is such a number, 1 for 0" if name and right[0] == 0 else ""
            raise DeclareError(self.where, f"a number that is never 0 after {rule.sign}", words(rule.right), hint)
        if rule.sign in ("<<", ">>") and not 0 <= right[0] <= right[1] <= WIDEST:
            hint = "field(...) & 63 is such a number"
            raise DeclareError(self.where, f"a number from 0 to {WIDEST} after {rule.sign}", words(rule.right), hint)
        low, high = span(rule.sign, left, right)
        names = [part.name if isinstance(part, Ref) else part for part in (rule.left, rule.right)]
        return (max(low, 0) if rule.sign == "*" and names[0] is names[1] else low), high  # a square is not negative


def span(sign: str, left: Range, right: Range) -> Range:
    """Return the range of an operation; `right` is never 0 after // and %, and never negative or huge after a shift."""
    if sign in COMPARISONS:
        return _comparison(sign, left, right)
    if sign in ("&", "|", "^"):
        if left[0] == left[1] and right[0] == right[1]:
            return (SIGNS[sign](left[0], right[0]),) * 2
        if sign == "&" and left[0] >= 0 and right[0] == right[1] >= 0:  # the high bits that all of the range share are known
            below = (1 << (left[0] ^ left[1]).bit_length()) - 1
            least = left[0] & ~below & right[0]
            return least, least | below & right[0]
        positive = [high for low, high in (left, right) if low >= 0]
        if sign == "&" and positive:
            return 0, min(positive)
        bits = max(number.bit_length() for number in (*left, *right))
        return (0 if len(positive) == 2 else -(1 << bits)), (1 << bits) - 1
    if sign == "%":
        low, high = min(right[0] + 1, 0), max(right[1] - 1, 0)  # as in Python, the sign is that of the right one
        return low, min(high, left[1]) if left[0] >= 0 else high
    corners = [SIGNS[sign](one, other) for one in left for other in right]
    return min(corners), max(corners)


def _comparison(sign: str, left: Range, right: Range) -> Range:
    """Return whether a comparison always holds, never, or now and then."""
    if sign in (">", ">="):
        return _comparison(sign.replace(">", "<"), right, left)
    if sign == "!=":
        low, high = _comparison("==", left, right)
        return 1 - high, 1 - low
    if sign == "==":
        apart = left[1] < right[0] or right[1] < left[0]
        return int(left == right and left[0] == left[1]), int(not apart)
    least = 1 if sign == "<" else 0  # how far the left one has to be below the right one
    return int(left[1] + least <= right[0]), int(left[0] + least <= right[1])


def words(rule: Expr) -> str:
    """Return a rule as text that is not too long for a message."""
    if isinstance(rule, Const) and rule.number.bit_length() > WIDEST:
        return f"a number of {rule.number.bit_length()} bits"
    try:
        text = str(rule) if len(rule.leaves()) < 100 else ""
    except (ValueError, RecursionError):
        text = ""
    return text if 0 < len(text) < 200 else "a long rule"
