"""Expressions: what rules are made of, as data.

An expression is compiled into a codec (`code`), evaluated for an explanation (`evaluate`) and printed (`str`). It knows
nothing of packets or of how bytes are read; those come in as the `Scope` and `Emitter` protocols.
"""

from __future__ import annotations

from operator import index
from typing import Any, Protocol

from packetlab.errors import DeclareError


class Scope(Protocol):
    """The values an expression is evaluated against: one header inside one packet."""

    def value(self, name: str) -> int: ...
    def size(self, part: str) -> int: ...
    def count(self, name: str) -> int: ...
    def has(self, name: str) -> int: ...
    def number(self, rule: Next) -> int: ...
    def ahead(self, bits: int) -> int: ...
    def last(self, name: str) -> bytes: ...
    def sum(self, rule: Checksum) -> int: ...


class Emitter(Protocol):
    """Writes the source of one value into a function being compiled and returns the name it has there."""

    def choose(self, condition: str, yes: str, no: str) -> str: ...
    def one_of(self, value: str, among: tuple[int, ...]) -> str: ...
    def value(self, name: str) -> str: ...
    def size(self, part: str) -> str: ...
    def count(self, name: str) -> str: ...
    def has(self, name: str) -> str: ...
    def number(self, rule: Next) -> str: ...
    def ahead(self, bits: int) -> str: ...


class Expr:
    """A rule or a part of one. Combine with + - * // % << >> & | ^, unary - and ~, and the six comparisons; numbers on either side.

    `&` and `|` work on numbers and on conditions alike, a condition being 0 or 1: put comparisons in
    parentheses, as everywhere in Python.
    """

    __slots__ = ()

    def code(self, to: Emitter) -> str:
        """Return Python source for this value."""
        raise NotImplementedError

    def evaluate(self, scope: Scope) -> int:
        """Return the value in `scope`."""
        raise NotImplementedError

    def operands(self) -> tuple[Expr, ...]:
        """Return the expressions this one is made of."""
        return ()

    def leaves(self) -> list[Expr]:
        """Return every operand without operands of its own, in order."""
        if not self.operands():
            return [self]
        return [leaf for operand in self.operands() for leaf in operand.leaves()]

    def one_of(self, *values: int) -> Expr:
        """True where the value is one of `values`."""
        return OneOf(self, tuple(whole(value) for value in values))

    def _with(self, sign: str, other: Any) -> Expr:
        return Op(sign, self, expression(other))

    def _from(self, sign: str, other: Any) -> Expr:
        return Op(sign, expression(other), self)

    def __add__(self, other: Any) -> Expr:
        return self._with("+", other)

    def __radd__(self, other: Any) -> Expr:
        return self._from("+", other)

    def __sub__(self, other: Any) -> Expr:
        return self._with("-", other)

    def __rsub__(self, other: Any) -> Expr:
        return self._from("-", other)

    def __mul__(self, other: Any) -> Expr:
        return self._with("*", other)

    def __rmul__(self, other: Any) -> Expr:
        return self._from("*", other)

    def __floordiv__(self, other: Any) -> Expr:
        return self._with("//", other)

    def __rfloordiv__(self, other: Any) -> Expr:
        return self._from("//", other)

    def __lshift__(self, other: Any) -> Expr:
        return self._with("<<", other)

    def __rlshift__(self, other: Any) -> Expr:
        return self._from("<<", other)

    def __rshift__(self, other: Any) -> Expr:
        return self._with(">>", other)

    def __rrshift__(self, other: Any) -> Expr:
        return self._from(">>", other)

    def __and__(self, other: Any) -> Expr:
        return self._with("&", other)

    def __rand__(self, other: Any) -> Expr:
        return self._from("&", other)

    def __or__(self, other: Any) -> Expr:
        return self._with("|", other)

    def __ror__(self, other: Any) -> Expr:
        return self._from("|", other)

    def __xor__(self, other: Any) -> Expr:
        return self._with("^", other)

    def __rxor__(self, other: Any) -> Expr:
        return self._from("^", other)

    def __mod__(self, other: Any) -> Expr:
        number = expression(other)
        return self - self // number * number

    def __rmod__(self, other: Any) -> Expr:
        return expression(other) % self

    def __neg__(self) -> Expr:
        return 0 - self

    def __invert__(self) -> Expr:
        return -1 - self

    def __truediv__(self, other: Any) -> Expr:
        raise TypeError("numbers in rules are whole: write // instead of /")

    __rtruediv__ = __truediv__

    def __eq__(self, other: Any) -> Expr:  # type: ignore[override]
        return self._with("==", other)

    def __ne__(self, other: Any) -> Expr:  # type: ignore[override]
        return self._with("!=", other)

    def __lt__(self, other: Any) -> Expr:
        return self._with("<", other)

    def __le__(self, other: Any) -> Expr:
        return self._with("<=", other)

    def __gt__(self, other: Any) -> Expr:
        return self._with(">", other)

    def __ge__(self, other: Any) -> Expr:
        return self._with(">=", other)

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        # `if field("a") == 1`, `x and y` and `0 < field("a") < 9` would silently mean something else.
        raise TypeError("a rule has no truth value of its own: combine conditions with & and |")


class Const(Expr):
    """A number."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def code(self, to: Emitter) -> str:
        return repr(self.number)

    def evaluate(self, scope: Scope) -> int:
        return self.number

    def __str__(self) -> str:
        return str(self.number)


class Op(Expr):
    """Two operands and a sign of Python's."""

    __slots__ = ("left", "right", "sign")

    def __init__(self, sign: str, left: Expr, right: Expr) -> None:
        self.sign, self.left, self.right = sign, left, right

    def code(self, to: Emitter) -> str:
        one, other = (
            # In numpy True + True is True and True - True a TypeError: arithmetic takes 1 and 0.
            f"({side.code(to)} * 1)" if self.sign in ARITHMETIC and is_truth(side) else side.code(to)
            for side in (self.left, self.right)
        )
        return f"({one} {self.sign} {other})"

    def evaluate(self, scope: Scope) -> int:
        return int(SIGNS[self.sign](self.left.evaluate(scope), self.right.evaluate(scope)))

    def operands(self) -> tuple[Expr, ...]:
        return (self.left, self.right)

    def __str__(self) -> str:
        sides = [f"({s})" if isinstance(s, (Op, If)) else str(s) for s in (self.left, self.right)]
        return f"{sides[0]} {self.sign} {sides[1]}"


class OneOf(Expr):
    """Whether a value is one of some numbers."""

    __slots__ = ("among", "values")

    def __init__(self, value: Expr, among: tuple[int, ...]) -> None:
        self.values, self.among = value, among

    def code(self, to: Emitter) -> str:
        return to.one_of(self.values.code(to), self.among)

    def evaluate(self, scope: Scope) -> int:
        return int(self.values.evaluate(scope) in self.among)

    def operands(self) -> tuple[Expr, ...]:
        return (self.values,)

    def __str__(self) -> str:
        return f"{self.values} in {self.among}"


class If(Expr):
    """One of two values, by a condition."""

    __slots__ = ("condition", "no", "yes")

    def __init__(self, condition: Expr, yes: Expr, no: Expr) -> None:
        self.condition, self.yes, self.no = condition, yes, no

    def code(self, to: Emitter) -> str:
        return to.choose(self.condition.code(to), self.yes.code(to), self.no.code(to))

    def evaluate(self, scope: Scope) -> int:
        return (self.yes if self.condition.evaluate(scope) else self.no).evaluate(scope)

    def operands(self) -> tuple[Expr, ...]:
        return (self.condition, self.yes, self.no)

    def __str__(self) -> str:
        return f"{self.yes} if {self.condition} else {self.no}"


class Named(Expr):
    """An expression that asks the header for one thing by name."""

    __slots__ = ("name",)
    asks = ""

    def __init__(self, name: str) -> None:
        self.name = name

    def code(self, to: Emitter) -> str:
        return str(getattr(to, self.asks)(self.name))

    def evaluate(self, scope: Scope) -> int:
        return int(getattr(scope, self.asks)(self.name))

    def __str__(self) -> str:
        return f"{self.asks}({self.name})"


class Ref(Named):
    """The value of another field of the same header."""

    asks = "value"

    def __str__(self) -> str:
        return self.name


class Size(Named):
    """A size in bytes: of the header ("self"), of all above it ("payload"), or of one field."""

    asks = "size"

    def __str__(self) -> str:
        return f"size_of({self.name})"


class Count(Named):
    """How many items a repeated field has."""

    asks = "count"

    def __str__(self) -> str:
        return f"count_of({self.name})"


class Has(Named):
    """Whether a field that may be absent was given a value."""

    asks = "has"


class Side(Expr):
    """The value of a field of a request or of its reply; in the rule that says which packet answers which only."""

    __slots__ = ("name", "side")

    def __init__(self, side: str, name: str) -> None:
        self.side, self.name = side, name

    def code(self, to: Emitter) -> str:
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

    def code(self, to: Emitter) -> str:
        return to.ahead(self.bits)

    def evaluate(self, scope: Scope) -> int:
        return scope.ahead(self.bits)

    def __str__(self) -> str:
        return f"ahead({self.bits})"


class Next(Expr):
    """The number that the header above is bound to, in a number space that headers share."""

    __slots__ = ("otherwise", "space")

    def __init__(self, space: str, otherwise: Expr) -> None:
        self.space, self.otherwise = space, otherwise

    def code(self, to: Emitter) -> str:
        return to.number(self)

    def evaluate(self, scope: Scope) -> int:
        return scope.number(self)

    def __str__(self) -> str:
        return f"next_protocol({self.space})"


class Checksum(Expr):
    """A sum over parts of the packet: the algorithm's name and the parts, in order.

    `none` is the value that says "no checksum"; `instead` the one sent when the sum comes out as `none`.
    """

    __slots__ = ("algorithm", "instead", "none", "over")

    def __init__(self, algorithm: str, over: tuple[str, ...], none: int | None = None, instead: int = 0) -> None:
        self.algorithm, self.over, self.none, self.instead = algorithm, over, none, instead

    def code(self, to: Emitter) -> str:
        raise NotImplementedError("a checksum is filled in last; it cannot be part of another expression")

    def evaluate(self, scope: Scope) -> int:
        return scope.sum(self)

    def __str__(self) -> str:
        return f"{self.algorithm}({', '.join(self.over)})"


SIGNS: dict[str, Any] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
ARITHMETIC = frozenset(("+", "-", "*", "//", "<<", ">>"))


def is_truth(rule: Expr) -> bool:
    """Return whether the code of a rule gives True or False (an array of them in numpy) instead of numbers."""
    if isinstance(rule, If):
        return is_truth(rule.yes) and is_truth(rule.no)
    if isinstance(rule, Op) and rule.sign in "&|^":
        return is_truth(rule.left) and is_truth(rule.right)
    return isinstance(rule, OneOf | Has) or (isinstance(rule, Op) and rule.sign in COMPARISONS)


def whole(value: Any) -> int:
    """Return a plain int for a number of any kind, such as a member of an enum. DeclareError for anything else."""
    try:
        return int(index(value))
    except TypeError:
        raise DeclareError("a rule", "a whole number", repr(value)) from None


def expression(value: Any) -> Expr:
    """Return `value` as an expression: one already, an int, a bool, or a condition as a dict {field: number(s)}.

    DeclareError for anything else.
    """
    if isinstance(value, Expr):
        return value
    if isinstance(value, int):
        return Const(whole(value))
    if isinstance(value, dict) and value:
        parts = [
            OneOf(Ref(name), tuple(map(whole, numbers))) if isinstance(numbers, (tuple, list, set, frozenset, range))
            else Ref(name) == whole(numbers)
            for name, numbers in value.items()
        ]  # fmt: skip
        result = parts[0]
        for part in parts[1:]:
            result = result & part
        return result
    hint = f"field({value!r}) is a field's value" if isinstance(value, str) else ""
    raise DeclareError("a rule", "fields, sizes and whole numbers", repr(value), hint)
