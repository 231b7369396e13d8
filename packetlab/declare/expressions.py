"""Expressions: what rules are made of, as data.

An expression is compiled into a codec (`code`), evaluated for an explanation (`evaluate`) and printed (`str`). It knows nothing of packets or of how bytes are read; those come in as the `Scope` and `Emitter` protocols.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any, Protocol, cast

from packetlab.declare.checksums.algorithms import Algorithm
from packetlab.declare.checksums.parts import SumPart
from packetlab.declare.values.addresses import as_written
from packetlab.errors import DeclareError
from packetlab.hooks import hook


class Scope(Protocol):
    """The values an expression is evaluated against: one header inside one packet."""

    def value(self, name: str) -> int: ...
    def size(self, part: str) -> int: ...
    def count(self, name: str) -> int: ...
    def has(self, name: str) -> int: ...
    def number(self, rule: Next) -> int: ...
    def ahead(self, bits: int) -> int: ...
    def sum(self, rule: Checksum) -> int: ...
    def elsewhere(self, leaf: Elsewhere) -> int: ...
    def raw(self, name: str) -> object: ...


class Emitter(Protocol):
    """Writes the source of one value into a function being compiled and returns the name it has there."""

    def choose(self, condition: str, yes: str, no: str) -> str: ...
    def one_of(self, value: str, among: tuple[int, ...]) -> str: ...
    @property
    def joins(self) -> dict[str, str]: ...
    def value(self, name: str) -> str: ...
    def size(self, part: str) -> str: ...
    def count(self, name: str) -> str: ...
    def has(self, name: str) -> str: ...
    def number(self, rule: Next) -> str: ...
    def ahead(self, bits: int) -> str: ...
    def keep(self, code: str) -> str: ...
    def elsewhere(self, leaf: Elsewhere) -> str: ...
    def on_raw(self, name: str, function: Callable[[Any, Any], int]) -> str: ...


DEEP, LONG = 40, 200  # levels and operands that one expression of Python's may have; what has more becomes statements


def _with(sign: str) -> Callable[[Expr, object], Expr]:
    return lambda left, right: says(sign, left, word) if isinstance(word := as_written(right), str | bytes) else Op(sign, left, expression(right))


def says(sign: str, left: Expr, *words: Any) -> Expr:
    """Return a condition on text (see `values.said`)."""
    return hook("condition_on_text")(sign, left, words)  # type: ignore[no-any-return]


def _from(sign: str) -> Callable[[Expr, object], Expr]:
    return lambda right, left: Op(sign, expression(left), right)


def _without(sign: str, way_out: str) -> Callable[..., Expr]:
    def refuse(*operands: object) -> Expr:
        raise TypeError(f"rules have no {sign}: {way_out}")

    return refuse


class Expr:
    """A rule or a part of one. Combine with + - * // % << >> & | ^, unary - and ~ (of a condition: not), and the six comparisons; numbers on either side.

    `&` and `|` work on numbers and on conditions alike, a condition being 0 or 1: put comparisons in parentheses, as everywhere in Python.
    """

    __slots__ = ()

    deep = 0  # levels of operands
    is_truth = False  # whether its code gives True or False (an array of them in numpy) instead of numbers
    printed: str  # kept, since bindings are distinguished by their rules

    def code(self, to: Emitter) -> str:
        """Return Python source for this value. Parts too deep for one expression are kept in statements before it."""
        written: dict[int, tuple[str, int, int]] = {}
        for part in self.parts():
            operands = [written[id(operand)] for operand in part.operands()]
            code = part.written(to, *(code for code, _, _ in operands))
            deep = 1 + max((deep for _, deep, _ in operands), default=0)
            long = 1 + sum(long for _, _, long in operands)
            written[id(part)] = (to.keep(code), 0, 1) if deep > DEEP or long > LONG else (code, deep, long)
        return written[id(self)][0]

    def written(self, to: Emitter, *operands: str) -> str:
        """Return Python source for this value, given that of its operands."""
        raise NotImplementedError

    def evaluate(self, scope: Scope) -> int:
        raise NotImplementedError

    def result(self, *operands: int) -> int:
        """Return the value, given those of its operands."""
        raise NotImplementedError

    def worked_out(self, scope: Scope) -> int:
        """Return the value in `scope` without going down the levels one call deep in the other."""
        values: dict[int, int] = {}
        for part in self.parts():
            operands = part.operands()
            values[id(part)] = part.result(*(values[id(one)] for one in operands)) if operands else part.evaluate(scope)
        return values[id(self)]

    def text(self, *operands: str) -> str:
        """Return the rule as it is printed, given how its operands are."""
        raise NotImplementedError

    def __str__(self) -> str:
        if not hasattr(self, "printed"):
            texts: dict[int, str] = {}
            for part in self.parts():
                operands = part.operands()
                texts[id(part)] = part.text(*(texts[id(one)] for one in operands)) if operands else str(part)
            self.printed = texts[id(self)]  # type: ignore[misc]
        return self.printed

    def operands(self) -> tuple[Expr, ...]:
        """Return the expressions this one is made of."""
        return ()

    def parts(self) -> list[Expr]:
        """Return this expression and all it is made of, each once, operands before what they are operands of."""
        found: dict[int, Expr] = {}
        todo: list[tuple[Expr, bool]] = [(self, False)]
        while todo:
            one, done = todo.pop()
            if done:
                found[id(one)] = one
            elif id(one) not in found:
                todo.append((one, True))
                todo += [(operand, False) for operand in reversed(one.operands())]
        return list(found.values())

    def leaves(self) -> list[Expr]:
        """Return every operand without operands of its own, in order."""
        return [part for part in self.parts() if not part.operands()] if self.operands() else [self]

    def one_of(self, *values: int | str | bytes) -> Expr:
        """True where the value is one of `values`."""
        texts = values and isinstance(as_written(values[0]), str | bytes)
        return says("==", self, *map(as_written, values)) if texts else OneOf(self, tuple(map(whole, values)))

    __add__, __radd__ = _with("+"), _from("+")
    __sub__, __rsub__ = _with("-"), _from("-")
    __mul__, __rmul__ = _with("*"), _from("*")
    __floordiv__, __rfloordiv__ = _with("//"), _from("//")
    __mod__, __rmod__ = _with("%"), _from("%")
    __lshift__, __rlshift__ = _with("<<"), _from("<<")
    __rshift__, __rrshift__ = _with(">>"), _from(">>")
    __and__, __rand__ = _with("&"), _from("&")
    __or__, __ror__ = _with("|"), _from("|")
    __xor__, __rxor__ = _with("^"), _from("^")
    __lt__, __le__, __gt__, __ge__ = _with("<"), _with("<="), _with(">"), _with(">=")
    __eq__, __ne__ = _with("=="), _with("!=")  # type: ignore[assignment]

    def __neg__(self) -> Expr:
        return 0 - self

    def __invert__(self) -> Expr:
        return self == 0 if self.is_truth else -1 - self

    __truediv__ = __rtruediv__ = _without("/", "numbers are whole, write // instead of /")
    __pow__ = __rpow__ = _without("**", "write a product or a shift: n * n, 1 << n")
    __contains__ = _without("in", "write field('kind').one_of(1, 2) for whether a value is one of some")
    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        # `if field("a") == 1`, `x and y` and `0 < field("a") < 9` would silently mean something else.
        raise TypeError("a rule has no truth value of its own: combine conditions with & and |, and write (condition) == 0 for not")


class Const(Expr):
    """A number."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def written(self, to: Emitter, *operands: str) -> str:
        return repr(self.number)

    def evaluate(self, scope: Scope) -> int:
        return self.number

    def __str__(self) -> str:
        return str(self.number)


class Op(Expr):
    """Two operands and a sign of Python's."""

    __slots__ = ("deep", "is_truth", "left", "printed", "right", "sign")

    def __init__(self, sign: str, left: Expr, right: Expr) -> None:
        self.sign, self.left, self.right = sign, left, right
        self.deep = 1 + max(left.deep, right.deep)
        self.is_truth = sign in COMPARISONS or (sign in "&|^" and left.is_truth and right.is_truth)

    def written(self, to: Emitter, *operands: str) -> str:
        one, other = (
            # In numpy True + True is True and True - True a TypeError: arithmetic takes 1 and 0.
            f"({code} * 1)" if self.sign in ARITHMETIC and side.is_truth else code
            for side, code in zip((self.left, self.right), operands, strict=True)
        )
        sign = to.joins.get(self.sign, self.sign) if self.is_truth else self.sign
        return f"({one} {sign} {other})"

    def evaluate(self, scope: Scope) -> int:
        if self.deep > DEEP:
            return self.worked_out(scope)
        return int(SIGNS[self.sign](self.left.evaluate(scope), self.right.evaluate(scope)))

    def result(self, *operands: int) -> int:
        return int(SIGNS[self.sign](*operands))

    def operands(self) -> tuple[Expr, ...]:
        return (self.left, self.right)

    def text(self, *operands: str) -> str:
        one, other = (f"({s})" if isinstance(o, Op | If) else s for o, s in zip(self.operands(), operands, strict=True))
        return f"{one} {self.sign} {other}"


class OneOf(Expr):
    """Whether a value is one of some numbers."""

    __slots__ = ("among", "deep", "printed", "values")
    is_truth = True

    def __init__(self, value: Expr, among: tuple[int, ...]) -> None:
        self.values, self.among, self.deep = value, among, 1 + value.deep

    def written(self, to: Emitter, *operands: str) -> str:
        return to.one_of(operands[0], self.among)

    def evaluate(self, scope: Scope) -> int:
        return int(self.values.evaluate(scope) in self.among)

    def result(self, *operands: int) -> int:
        return int(operands[0] in self.among)

    def operands(self) -> tuple[Expr, ...]:
        return (self.values,)

    def text(self, *operands: str) -> str:
        return f"{operands[0]} in {self.among}"


class If(Expr):
    """One of two values, by a condition."""

    __slots__ = ("condition", "deep", "is_truth", "no", "printed", "yes")

    def __init__(self, condition: Expr, yes: Expr, no: Expr) -> None:
        self.condition, self.yes, self.no = condition, yes, no
        self.deep = 1 + max(condition.deep, yes.deep, no.deep)
        self.is_truth = yes.is_truth and no.is_truth

    def written(self, to: Emitter, *operands: str) -> str:
        return to.choose(*operands)

    def evaluate(self, scope: Scope) -> int:
        if self.deep > DEEP:
            return self.worked_out(scope)
        return (self.yes if self.condition.evaluate(scope) else self.no).evaluate(scope)

    def result(self, *operands: int) -> int:
        return operands[1] if operands[0] else operands[2]

    def operands(self) -> tuple[Expr, ...]:
        return (self.condition, self.yes, self.no)

    def text(self, *operands: str) -> str:
        return f"{operands[1]} if {operands[0]} else {operands[2]}"


class NamedExpr(Expr):
    """An expression that asks the header for one thing by name."""

    __slots__ = ("name",)
    verb = word = ""  # what scopes and emitters call it, and class bodies

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise DeclareError("a rule", "the name of a field or part, as text", f"{name!s:.60}", f'"{name.name}", in quotes alone' if isinstance(name, NamedExpr) else "")
        self.name = name

    def written(self, to: Emitter, *operands: str) -> str:
        return str(getattr(to, self.verb)(self.name))

    def evaluate(self, scope: Scope) -> int:
        return int(getattr(scope, self.verb)(self.name))

    def __str__(self) -> str:
        return f"{self.word}({self.name})"


class Ref(NamedExpr):
    """The value of another field of the same header."""

    verb = "value"

    def __str__(self) -> str:
        return self.name


class Size(NamedExpr):
    """A size in bytes: of the header ("self"), of all above it ("payload"), or of one field."""

    verb, word = "size", "size_of"


class Count(NamedExpr):
    """How many items a repeated field has."""

    verb, word = "count", "count_of"


class Has(NamedExpr):
    """Whether a field that may be absent was given a value."""

    verb = word = "has"
    is_truth = True


class Elsewhere(Expr):
    """The value of a field of what stands around: `path` is "^" (one level out, "^.^" two), the name of a class, or "" for the item before."""

    __slots__ = ("name", "path")

    def __init__(self, path: str, name: str) -> None:
        self.path, self.name = path, name

    @property
    def out(self) -> int:
        """How many levels out it asks; 0 where it names a class, or the item before."""
        return self.path.count("^")

    def written(self, to: Emitter, *operands: str) -> str:
        return to.elsewhere(self)

    def evaluate(self, scope: Scope) -> int:
        return scope.elsewhere(self)

    def __str__(self) -> str:
        return f"{self.path}.{self.name}" if self.path else f"before({self.name})"


def named(name: str) -> Expr:
    """Return the expression for the field that a name, or a path with dots, stands for."""
    if not isinstance(name, str) or "." not in name:
        return Ref(name)
    path, _, last = name.rpartition(".")
    if not last.isidentifier() or not (path.isidentifier() or {*path.split(".")} == {"^"}):
        raise DeclareError("field(...)", "a field's name, ^.name, ^.^.name or SomeHeader.name", repr(name), "a number in a header that a field there holds: as a computed field of that outer header")
    return Elsewhere(path, last)


class Next(Expr):
    """The number that the header above is bound to, in a number space that headers share."""

    __slots__ = ("otherwise", "space")

    def __init__(self, space: str, otherwise: Expr) -> None:
        self.space, self.otherwise = space, otherwise

    def written(self, to: Emitter, *operands: str) -> str:
        return to.number(self)

    def evaluate(self, scope: Scope) -> int:
        return scope.number(self)

    def __str__(self) -> str:
        return f"next_protocol({self.space})"


class Checksum(Expr):
    """A sum over parts of the packet. `none` says that there is none; `instead` is sent when the sum comes out as that. `where`: when there is one; else `otherwise` is sent, unchecked."""

    __slots__ = ("algorithm", "instead", "none", "otherwise", "over", "where")

    def __init__(self, algorithm: Algorithm, over: tuple[str | SumPart, ...], none: int | None = None, instead: int = 0) -> None:
        self.over = tuple(part if isinstance(part, SumPart) else Size(part).name for part in over)
        self.algorithm, self.none, self.instead, self.where, self.otherwise = algorithm, none, instead, cast("Expr | None", None), 0

    def only(self, where: Expr, otherwise: int) -> Checksum:
        """Return the same under a condition."""
        made = Checksum(self.algorithm, self.over, self.none, self.instead)
        made.where, made.otherwise = where, otherwise
        return made

    def is_due(self, scope: Scope) -> bool:
        """Whether there is one by its condition."""
        return self.where is None or bool(self.where.evaluate(scope))

    def operands(self) -> tuple[Expr, ...]:
        return () if self.where is None else (self.where,)

    def evaluate(self, scope: Scope) -> int:
        return scope.sum(self)

    def __str__(self) -> str:
        shown = self.algorithm.shown([*map(str, self.over)])
        return shown if self.where is None else f"{shown} if {self.where} else {self.otherwise}"


SIGNS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod,
    "<<": operator.lshift, ">>": operator.rshift, "&": operator.and_, "|": operator.or_, "^": operator.xor,
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
COMPARISONS, ARITHMETIC = frozenset(("==", "!=", "<", "<=", ">", ">=")), frozenset(("+", "-", "*", "//", "%", "<<", ">>"))


def whole(value: object) -> int:
    """Return a plain int for a number of any kind, such as a member of an enum. DeclareError for anything else."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise DeclareError("a rule", "a whole number", repr(value)) from None


def expression(value: object) -> Expr:
    """Return an expression for one, an int, a bool, or a condition as a dict {field: number(s) or text(s)}. DeclareError for others."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, int):
        return Const(whole(value))
    if isinstance(value, dict) and value:
        parts = [
            named(name).one_of(*numbers) if isinstance(numbers, (tuple, list, set, frozenset, range)) else named(name) == numbers
            for name, numbers in value.items()
        ]
        return reduce(operator.and_, parts)
    hint = f"field({value!r}) is a field's value" if isinstance(value, str) else "it is made of field(...), size_of(...) and the like, which are called" if callable(value) else ""
    raise DeclareError("a rule", "fields, sizes and whole numbers", f"a function, {value.__name__}" if hasattr(value, "__name__") else repr(value), hint)
