"""Ways out for what is often written in class bodies and means something else to Python."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from types import FunctionType
from typing import Any, NoReturn

from packetlab.declare.expressions import Const, Elsewhere, Expr, Op
from packetlab.declare.kinds import WIDEST, Kind
from packetlab.errors import DeclareError

# What class bodies mostly take from the standard library, and where it is.
ELSEWHERE = {
    **dict.fromkeys(["Annotated", "ClassVar", "Optional", "Self"], "typing"), **dict.fromkeys(["IntEnum", "IntFlag", "StrEnum"], "enum"),
    **dict.fromkeys(["date", "datetime", "timedelta"], "datetime"), "Fraction": "fractions", "Decimal": "decimal",
}  # fmt: skip


class NotARule:
    """What ``UDP.dport`` on a class is not: a value, with which a rule could be made."""

    name: str
    owner: Any

    def _refuse(self, *_other: object) -> NoReturn:
        whole = f"{self.owner.name}.{self.name}"
        hint = f'in rules field("{self.name}") is its value, and field("{whole}") that of a header around'
        raise DeclareError(whole, "a value", "the field itself", hint)

    __lt__ = __le__ = __gt__ = __ge__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rshift__ = __floordiv__ = __mod__ = _refuse
    __invert__ = __neg__ = _refuse


def condition(said: object, where: str) -> object:
    """Return a condition as it is. DeclareError for a truth value, which comparing something else than a rule gives, and for a number but 0 and 1 (never, always)."""
    if isinstance(said, int) and (isinstance(said, bool) or said not in (0, 1)):
        hint = "other things compare at once, and give that" if isinstance(said, bool) else 'a number is compared with a field, as in field("kind") == 1 or {"kind": 1}'
        raise DeclareError(where, 'a condition, such as field("kind") == 1', said, hint)
    return uninverted(said, where)


def uninverted(said: object, where: str) -> object:
    """Return a condition as it is. DeclareError for ~ of a number, whose bits are turned, which leaves some that are not 0."""
    if isinstance(said, Op) and said.sign == "-" and isinstance(said.left, Const) and said.left.number == -1:
        got = f"~({said.right}), the other bits of a number, which hardly ever are 0"
        raise DeclareError(where, f"({said.right}) == 0 for not", got)
    return said


def not_called(some: Iterable[object], where: str) -> None:
    """Refuse a function of packetlab's that stands in a class body without its brackets. DeclareError."""
    for one in some:
        if isinstance(one, FunctionType) and one.__module__.startswith("packetlab."):
            raise DeclareError(where, f"{one.__name__}(...), which is called", f"the function {one.__name__}")


def no_rule(default: object, where: str) -> None:
    """Refuse a rule that is written as a default, which is a value. DeclareError."""
    if isinstance(default, Elsewhere):
        raise DeclareError(where, "a value", str(default), "number: int = computed(...) has what is elsewhere; sized(...), many(count=...) and when(...) go by it")
    if isinstance(default, Expr):
        raise DeclareError(where, "a value", str(default), "auto(...) around it is a rule, which the field follows unless it is given")


ENDED = 'bytes end so, and a class that refines the header has what is inside: text: Bytes = ended(...), then class Opened(..., inside="text", when=size_of("text") > 0) with {}'


def unsuited(word: str, kind: Kind) -> str:
    """Return the way out for what a field says of its end, whose kind says that already; "" for what has none."""
    if word == "pad":
        return "bytes fill up: filler: Bytes = pad(4)"
    if word not in ("size", "ended"):
        return ""
    if kind.wire == "number":
        return "a number is as wide as its kind, U24 or Annotated[int, bits(24)], and Annotated[int, sized_int()] = sized(field(\"n\")) as another field says"
    if word == "ended" and kind.wire == "items":
        return ENDED.format("body: ..., through(...) too, in it")
    return "it tells its own end" if kind.wire == "coded" or kind.judges else ""


def wrong_default(given: object) -> str:
    """Return the way out for a default that is none."""
    if isinstance(given, type):
        return f"{given.__name__}() is one"
    if isinstance(given, enum.auto):
        return "that is auto of enum, which hides that of packetlab: import enum, then enum.auto() there"
    return 'auto(...) is a rule, of field("name") and size_of("name")' if callable(given) else ""


def wide_number(name: str) -> str:
    """Return the way out for the name of a number that is wider than those which have names, such as U128; "" for other names."""
    wide = re.fullmatch(r"([US])(\d{1,4})(le)?", name)
    if wide is None or not 64 < int(wide[2]) <= WIDEST:
        return ""
    options = ", signed=True" * (wide[1] == "S") + ", little=True" * bool(wide[3])
    return f"Annotated[int, bits({wide[2]}{options})] has so many bits"


def imported(name: str) -> str:
    """Return how to import a name of the standard library that class bodies have; "" for other names."""
    return f"from {ELSEWHERE[name]} import {name}" if name in ELSEWHERE else ""
