"""Expressions as plain data, and back: lists of a word and its operands, of a closed vocabulary.

    3                              a number
    ["field", "length"]            and "size_of", "size_inside", "count_of", "has", "before" with a name, "ahead" with bits, ["left", "self"]
    ["field", "^.flags"]           a value from elsewhere: "^.", "^.^." or a class and a dot in front of the name
    ["begins", "SMB2"]             how far after the beginning of a header around it, or "packet", the header itself begins
    ["+", 1, ["field", "length"]]  and every other sign that `Expr` has
    ["recalled", "table", [term, "sender"], null]   what was remembered from an earlier packet (see `recalled`)
    ["one_of", term, [1, 2]]       ["choose", condition, yes, no]
    ["next_protocol", "ethertype", 0]
    ["checksum", "internet", ["pseudo", "self"], 0, 65535]
    ["checksum", ["crc", 16, 32773, 65535, true, true, 0], ["self", ["but", "auth"], "payload"], null, 0]   (see `algorithms`)
    ["request", "sport"]           and "reply": in the rule that says which packet answers which, instead of "field" and the like

What comes from a file becomes expression objects, and nothing else: no text of it is ever run. Knows nothing of
classes: whether a term makes sense where it stands is checked when the class is made, as for class bodies (see `declare.validate`).
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection
from typing import Any

from packetlab.declare.checksums.bitwise import BitSum
from packetlab.declare.checksums.parts import SumPart
from packetlab.declare.expressions import (
    SIGNS,
    Checksum,
    Const,
    Count,
    Elsewhere,
    Expr,
    Has,
    If,
    Next,
    OneOf,
    Op,
    Ref,
    Size,
)
from packetlab.declare.kinds import WIDEST
from packetlab.declare.places.heaps import Lain, Length
from packetlab.declare.places.inner import Inner
from packetlab.declare.places.left import Left
from packetlab.declare.places.offsets import OffsetOf
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.remembering.recalled import Recalled
from packetlab.declare.rules import Ahead, Side
from packetlab.declare.values.said import CountInside, FirstOf, Letters, OuterSays, Says, SizeInside
from packetlab.errors import DeclareError
from packetlab.schema.algorithms import algorithm_data, algorithm_of
from packetlab.schema.recalled import recalled_data, recalled_of_data

DEPTH = 32  # levels of a term
NUMBERS = 1024  # of a list
_NAMED: dict[str, type[Ref] | type[Size] | type[Count] | type[Has]] = {
    "field": Ref, "size_inside": SizeInside, "size_of": Size, "count_of": Count, "has": Has,
}  # fmt: skip
_SPACE = re.compile(r"[ -~]{1,200}", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)


def dotted(value: object, where: str) -> str:
    """Return a name, or that of a field of a header."""
    return ".".join(name(one, where) for one in text(value, where, 200).split(".", 1))


def name(value: object, where: str) -> str:
    """Return a name that may stand in generated source. DeclareError for any other value."""
    if type(value) is not str or not _NAME.fullmatch(value) or keyword.iskeyword(value):
        raise DeclareError(where, "a name of up to 64 letters, digits and _", safe_repr(value))
    return value


def number(value: object, where: str, low: int = -(1 << WIDEST), high: int = (1 << WIDEST) - 1) -> int:
    """Return a whole number in a range. DeclareError for any other value, a truth value too."""
    if type(value) is not int or not low <= value <= high:
        bits = high.bit_length()
        raise DeclareError(where, f"a number from {low} to {high}" if bits <= 64 else f"a number of up to {bits} bits", safe_repr(value))
    return value


def text(value: object, where: str, most: int) -> str:
    """Return a text of up to `most` characters."""
    if type(value) is not str or len(value) > most:
        raise DeclareError(where, f"a text of up to {most} characters", safe_repr(value))
    return value


def space(value: object, where: str) -> str:
    """Return the name of a number space."""
    if type(value) is not str or not _SPACE.fullmatch(value):
        raise DeclareError(where, "a name of up to 200 printable letters", safe_repr(value))
    return value


def expect_list(value: object, where: str, most: int, least: int = 0) -> list[Any]:
    """Return a list of this many items."""
    if type(value) is not list or not least <= len(value) <= most:
        raise DeclareError(where, f"a list of {least} to {most} items", safe_repr(value))
    return value


def table(value: object, where: str, known: str | Collection[str]) -> dict[str, object]:
    """Return a dict that has no other keys than those `known` (words in a row, or a dict of them)."""
    if type(value) is not dict:
        raise DeclareError(where, "names with values", safe_repr(value))
    some = known.split() if isinstance(known, str) else known
    for key in value:
        if key not in some:
            raise DeclareError(where, f"one of {' '.join(some)}", safe_repr(key))
    return value


def safe_repr(value: object) -> str:
    """Return what a file holds in words: short, and with nothing that a terminal would act on."""
    if isinstance(value, str | float) or (isinstance(value, int) and abs(value) < 1 << 128):
        words = ascii(value)
        if len(words) < 80:
            return words
    return f"a {type(value).__name__}" + (f" of {len(value)}" if hasattr(value, "__len__") else "")


def dump_expression(rule: Expr) -> object:  # noqa: C901
    """Return an expression as plain data. DeclareError where it has more levels than can be read back."""
    if rule.deep > DEPTH:
        raise DeclareError("a rule in a file", f"{DEPTH} levels at most", rule.deep)
    if isinstance(rule, Const):
        return int(rule.number)
    if isinstance(rule, Says):
        return ["says", rule.name, [_word(word) for word in rule.words]]
    if isinstance(rule, OuterSays):
        return ["says", f"{rule.path}.{rule.name}", [_word(word) for word in rule.words]]
    if isinstance(rule, Letters):
        return ["letters", _word(rule.word)]
    if isinstance(rule, FirstOf):
        return ["first", f"{rule.name}.{rule.item}.{rule.part}", rule.default]
    if isinstance(rule, CountInside):
        return ["count_of", f"{rule.name}.{rule.part}"]
    if isinstance(rule, Lain | Length):
        return ["size_of", rule.name] if isinstance(rule, Length) else ["offset_of", rule.field, rule.since]
    if isinstance(rule, Ref | Size | Count | Has):
        return [next(word for word, kind in _NAMED.items() if type(rule) is kind), rule.name]
    if isinstance(rule, Recalled):
        return recalled_data(rule, dump_expression)
    if isinstance(rule, OwnPlace):
        return ["begins", rule.name]
    if isinstance(rule, Inner):
        return ["field", str(rule)]
    if isinstance(rule, Elsewhere):
        return ["field", str(rule)] if rule.path else ["before", rule.name]
    if isinstance(rule, Side):
        return [rule.side, rule.name]
    if isinstance(rule, Op):
        return dump_expression(rule.checksum) if isinstance(rule, BitSum) else [rule.sign, dump_expression(rule.left), dump_expression(rule.right)]
    if isinstance(rule, OneOf):
        return ["one_of", dump_expression(rule.values), [int(value) for value in rule.among]]
    if isinstance(rule, If):
        return ["choose", dump_expression(rule.condition), dump_expression(rule.yes), dump_expression(rule.no)]
    if isinstance(rule, Ahead | Left):
        return ["ahead", rule.bits] if isinstance(rule, Ahead) else ["left", "self"]
    if isinstance(rule, Next):
        return ["next_protocol", rule.space, dump_expression(rule.otherwise)]
    if isinstance(rule, Checksum):
        parts = [[part.word, *part.names] if isinstance(part, SumPart) else part for part in rule.over]
        only = [] if rule.where is None else [dump_expression(rule.where), rule.otherwise]
        return ["checksum", algorithm_data(rule.algorithm), parts, rule.none, rule.instead, *only]
    raise DeclareError("a rule", "an expression of packetlab's own", repr(rule))


def load_expression(data: object, where: str) -> Expr:
    """Return the expression that `data` describes. DeclareError where it is none."""
    return _Terms(where, (*_NAMED, "ahead", "before", "begins", "left", "recalled")).read(data, 0)


def answer(data: object, where: str) -> Expr:
    """Return the rule of a reply that `data` describes: a term of the fields of two headers. DeclareError as for `load_expression`."""
    return _Terms(where, ("request", "reply")).read(data, 0)


def rule(data: object, where: str) -> Expr:
    """Return the rule of a field: a term, a checksum, or the number of the next header."""
    word = data[0] if type(data) is list and data else ""
    if word == "next_protocol":
        _, called, otherwise = expect_list(data, where, 3, 3)
        return Next(space(called, where), load_expression(otherwise, where))
    if word == "checksum":
        _, algorithm, over, none, instead, *only = expect_list(data, where, 7, 5)
        made = algorithm_of(algorithm, where)
        parts = tuple(_part(part, where) for part in expect_list(over, where, 16, 1))
        # The one value that says "none" and what stands for it are bytes of the packet like any other sum.
        high = (1 << made.bits) - 1
        none = none if none is None else number(none, where, 0, high)
        found = Checksum(made, parts, none, number(instead, where, 0, high))
        if only:
            test, otherwise = expect_list(only, where, 2, 2)
            return found.only(load_expression(test, where), number(otherwise, where))
        return found
    return load_expression(data, where)


def _part(data: object, where: str) -> str | SumPart:
    """Return part of what a checksum goes over: a name, or a word with names."""
    if type(data) is not list:
        return path_of_names(data, where)
    word, *names = expect_list(data, where, 17, 2)
    if word not in ("span", "but", "zeroed", "value_of") or (word == "span" and len(names) != 2):
        raise DeclareError(where, '["span", "a", "b"], ["but", "x"], ["zeroed", "x"] or ["value_of", "x"]', safe_repr(data))
    return SumPart(str(word), tuple(path_of_names(one, where) for one in names))


def path_of_names(data: object, where: str) -> str:
    """Return the name of a field, or a path of names into a header that it holds."""
    return ".".join(name(one, where) for one in data.split(".", 8)) if type(data) is str else name(data, where)


def _word(word: str | bytes) -> object:
    return word if isinstance(word, str) else [word.hex()]


def filling(data: object, where: str) -> Expr | str | bytes:
    """Return what a binding fills in: a term, or text or bytes."""
    if type(data) is list and data[:1] == ["letters"]:
        return _letters(expect_list(data, where, 2, 2)[1], where)
    return load_expression(data, where)


def _letters(data: object, where: str) -> str | bytes:
    """Return a text, or in a list of its own bytes in hexadecimal digits."""
    if type(data) is not list:
        return text(data, where, 256)
    try:
        return bytes.fromhex(text(expect_list(data, where, 1, 1)[0], where, 512))
    except ValueError:
        raise DeclareError(where, "hexadecimal digits", safe_repr(data)) from None


class _Terms:
    """Reads terms whose leaves are `words` with one operand, and numbers."""

    def __init__(self, where: str, words: Collection[str]) -> None:
        self.where, self.words = where, words

    def refuse(self, expected: str, got: object) -> DeclareError:
        return DeclareError(self.where, expected, safe_repr(got))

    def read(self, data: object, depth: int) -> Expr:  # noqa: C901
        if depth > DEPTH:
            raise self.refuse(f"{DEPTH} levels at most", "more")
        if type(data) is int:
            return Const(number(data, self.where))
        word, *operands = expect_list(data, self.where, 4, 2)
        if type(word) is not str:
            raise self.refuse("a word", word)
        if word == "recalled" and word in self.words:
            return recalled_of_data(data, self.where, lambda part, where: self.read(part, depth + 1))
        if word == "says" and "field" in self.words and len(operands) == 2:
            words = tuple(_letters(one, self.where) for one in expect_list(operands[1], self.where, 256, 1))
            of = self.read(["field", operands[0]], depth + 1)
            return OuterSays(of.path, of.name, words) if isinstance(of, Elsewhere) else Says(name(operands[0], self.where), words)
        if word == "first" and "field" in self.words and len(operands) == 2:
            path = expect_list(text(operands[0], self.where, 200).split("."), self.where, 3, 3)
            return FirstOf(".".join(name(one, self.where) for one in path), number(operands[1], self.where, -1 << 63, 1 << 64))
        if word == "offset_of" and len(operands) == 2 and "field" in self.words:
            return OffsetOf(*(dotted(part, self.where) for part in operands))
        if word in SIGNS and len(operands) == 2:
            return Op(word, *(self.read(operand, depth + 1) for operand in operands))
        if len(operands) == 1 and word in self.words:
            if word == "ahead":
                return Ahead(number(operands[0], self.where, 1, 64))
            if word == "field" and type(operands[0]) is str and "." in operands[0]:
                *path, last = operands[0].split(".")
                if path[:7] == ["^"] * len(path):
                    return Elsewhere(".".join(path), name(last, self.where))
                if len(path) == 1:
                    return Elsewhere(name(path[0], self.where), name(last, self.where))
            if word == "count_of" and type(operands[0]) is str and "." in operands[0]:
                path = expect_list(operands[0].split("."), self.where, 2, 2)
                return CountInside(".".join(name(one, self.where) for one in path))
            part = name(operands[0], self.where)
            if word in ("begins", "left"):
                return Left() if word == "left" else OwnPlace(part)
            if word == "before":
                return Elsewhere("", part)
            return Side(word, part) if word in ("request", "reply") else _NAMED[word](part)
        if word == "one_of" and len(operands) == 2:
            among = expect_list(operands[1], self.where, NUMBERS)
            return OneOf(self.read(operands[0], depth + 1), tuple(number(value, self.where) for value in among))
        if word == "choose" and len(operands) == 3:
            return If(*(self.read(operand, depth + 1) for operand in operands))
        raise self.refuse("a word of rules with its operands", word)
