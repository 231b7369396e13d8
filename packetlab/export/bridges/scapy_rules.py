"""Functions of scapy's classes as rules: called with a packet whose values are rules of ours, what they return is the rule.

A function that decides by a value, with ``and``, ``if`` or ``in``, is called again for each way it may go.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

from packetlab.declare.expressions import Const, Expr, If, Op, Ref, expression
from packetlab.errors import DeclareError
from packetlab.schema.expressions import dump_expression

Theirs: TypeAlias = Any
"""A class, a field or a function of scapy's; and a rule as plain data."""
_WAYS = 64


class _MoreThanArithmetic(Exception):
    """A function does more than arithmetic with fields."""


class _PathTaken:
    """One way through a function: what was decided (`taken`), and by which rules (`asked`)."""

    def __init__(self, taken: list[bool]) -> None:
        self.taken, self.asked = taken, list[Expr]()

    def decide(self, rule: Expr) -> bool:
        self.asked.append(rule)
        if len(self.asked) > len(self.taken):
            self.taken.append(True)
        return self.taken[len(self.asked) - 1]

    def found(self, value: object) -> Expr:
        """Return what the function came to; what was decided by is known."""
        rule = value.rule if isinstance(value, _Value) else value
        if isinstance(rule, int):
            return expression(int(rule))
        if not isinstance(rule, Expr):
            raise _MoreThanArithmetic
        for asked, taken in zip(self.asked, self.taken, strict=True):
            if rule is asked and (rule.is_truth or not taken):
                return Const(int(taken))
        return rule


class _Value:
    """The value of a field, while a function of a class is read: it takes arithmetic, comparisons and decisions, and nothing else."""

    __slots__ = ("flags", "rule", "way")

    def __init__(self, rule: Expr, way: _PathTaken, flags: dict[str, int] | None = None) -> None:
        self.rule, self.way, self.flags = rule, way, flags or {}

    def __bool__(self) -> bool:
        return self.way.decide(self.rule)

    def __getattr__(self, name: str) -> _Value:
        if name not in self.flags:
            raise _MoreThanArithmetic
        return _Value(Op("!=", Op("&", self.rule, Const(self.flags[name])), Const(0)), self.way)

    def _no(self, *operands: object) -> NoReturn:
        raise _MoreThanArithmetic

    __hash__ = __int__ = __index__ = __len__ = __iter__ = __str__ = __repr__ = __format__ = __getitem__ = (
        __contains__
    ) = _no
    __float__ = __bytes__ = __call__ = __truediv__ = __rtruediv__ = _no

    def __neg__(self) -> _Value:
        return _Value(0 - self.rule, self.way)

    def __pos__(self) -> _Value:
        return self


def _operation(sign: str, turned: bool) -> Callable[[_Value, object], _Value]:
    def apply(self: _Value, other: object) -> _Value:
        if not isinstance(other, int | _Value):
            raise _MoreThanArithmetic
        operand = other.rule if isinstance(other, _Value) else expression(other)
        return _Value(Op(sign, operand, self.rule) if turned else Op(sign, self.rule, operand), self.way)

    return apply


for _sign, _name in {"+": "add", "-": "sub", "*": "mul", "//": "floordiv", "%": "mod", "<<": "lshift", ">>": "rshift", "&": "and",
                     "|": "or", "^": "xor"}.items():  # fmt: skip
    setattr(_Value, f"__{_name}__", _operation(_sign, False))
    setattr(_Value, f"__r{_name}__", _operation(_sign, True))
for _sign, _name in {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}.items():
    setattr(_Value, f"__{_name}__", _operation(_sign, False))


class Numbers:
    """The numbers that functions of a class may ask for.

    Attributes:
        flags: number -> names of its flags with their bits, where it has such. parts: field of several types -> fields that it becomes.
        anything: whether what a function comes to does not matter, unless that is a number.
    """

    def __init__(self, anything: bool = False) -> None:
        self.anything = anything
        self.flags: dict[str, dict[str, int]] = {}
        self.parts: dict[str, list[str]] = {}


class _Values:
    """A packet whose fields are rules."""

    __slots__ = ("_numbers", "_way")

    def __init__(self, numbers: Numbers, way: _PathTaken) -> None:
        object.__setattr__(self, "_numbers", numbers)
        object.__setattr__(self, "_way", way)

    def __getattr__(self, name: str) -> object:
        if name == "getfieldval":
            return self.__getattr__
        flags = object.__getattribute__(self, "_numbers").flags
        if name not in flags:
            raise _MoreThanArithmetic
        return _Value(Ref(plain(name)), object.__getattribute__(self, "_way"), flags[name])

    def __setattr__(self, name: str, value: object) -> None:
        raise _MoreThanArithmetic


def plain(name: str) -> str:
    """Return the name of a field as it may stand in Python."""
    name = f"{name.lstrip('_')}_" if name.startswith("_") else name
    return f"{name}_" if keyword.iskeyword(name) else name


def truth(rule: Expr) -> Expr:
    """Return a rule that is 1 or 0."""
    return rule if rule.is_truth else Op("!=", rule, Const(0))


def rule_of(function: Theirs, where: str, what: str, numbers: Numbers, *more: Expr) -> Theirs:
    """Return what a function of a packet comes to, as a rule. DeclareError where it is more than arithmetic and decisions."""
    try:
        return dump_expression(_tree(function, numbers, more, [], [_WAYS]))
    except Exception:  # of a class of anybody's; one that reads what is no number of the packet
        if numbers.anything:
            return ["field", "any"]
    raise DeclareError(where, f"{what} that is arithmetic with numbers of fields before it", "a function that is more")


def _tree(function: Theirs, numbers: Numbers, more: tuple[Expr, ...], taken: list[bool], left: list[int]) -> Expr:
    """Return what a function comes to once it has decided so far."""
    left[0] -= 1
    if left[0] < 0:
        raise _MoreThanArithmetic
    way = _PathTaken([*taken])
    found = way.found(function(_Values(numbers, way), *(_Value(one, way) for one in more)))
    if len(way.asked) <= len(taken):
        return found
    test = truth(way.asked[len(taken)])
    yes, no = (_tree(function, numbers, more, [*taken, side], left) for side in (True, False))
    if isinstance(no, Const) and no.number == 0 and (yes.is_truth or (isinstance(yes, Const) and yes.number == 1)):
        return test if isinstance(yes, Const) else Op("&", test, yes)
    if isinstance(yes, Const) and yes.number == 1 and (no.is_truth or (isinstance(no, Const) and no.number == 0)):
        return Op("|", test, no)
    if isinstance(yes, Const) and isinstance(no, Const) and (yes.number, no.number) == (0, 1):
        return Op("==", test, Const(0))
    return If(test, yes, no)
