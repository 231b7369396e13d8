"""Kaitai's expression language as a tree.

Levels from the weakest on, all to the left: ``? :``, or, and, not, comparisons, ``|``, ``^``, ``&``, shifts, ``+ -``,
``* / %``, signs, and what stands after a value: ``.name``, ``[i]``, ``.name(...)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from packetlab.errors import DeclareError
from packetlab.schema.expressions import safe_repr
from packetlab.schema.ksy.reading import whole

LETTERS, DEPTH = 4096, 24

_TOKEN = re.compile(
    r"\s*(?:(?P<number>0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|\d[\d_]*)(?![\w.])"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<text>'[^']*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<sign><<|>>|<=|>=|==|!=|::|[-+*/%<>&|^~?:.,()\[\]]))",
    re.ASCII,
)
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("or",), ("and",), ("not",), ("==", "!=", "<", "<=", ">", ">="), ("|",), ("^",), ("&",), ("<<", ">>"), ("+", "-"), ("*", "/", "%"),
)  # fmt: skip


class KsyNode(NamedTuple):
    """Part of an expression.

    Attributes:
        word: "number", "text", "name", "enum" (value: all of its path), "attribute" (value: its name), "call" (value: name), "list",
            "sizeof" and "bitsizeof" (value: the path of a type), "index", "choose", or the sign of an operation ("not", "-", "~" with one operand).
    """

    word: str
    value: int | str | tuple[str, ...] = ""
    parts: tuple[KsyNode, ...] = ()

    def walk(self) -> Iterator[KsyNode]:
        """Yield this and all it is made of."""
        todo = [self]
        while todo:
            one = todo.pop()
            yield one
            todo += one.parts


IO = KsyNode("name", "_io")
EOF = KsyNode("attribute", "eof", (IO,))
LEFT = KsyNode("-", "", (KsyNode("attribute", "size", (IO,)), KsyNode("attribute", "pos", (IO,))))
"""All that is left: ``_io.size - _io.pos``."""


def parse(source: object, where: str) -> KsyNode:
    """Return the tree of an expression. DeclareError, which begins with `where`, for what is none."""
    if isinstance(source, bool | int):
        return KsyNode("number", int(source))
    if not isinstance(source, str) or len(source) > LETTERS:
        raise DeclareError(where, f"an expression of up to {LETTERS} letters", safe_repr(source))
    return _Expression(source, where).whole()


class _Expression:
    def __init__(self, source: str, where: str) -> None:
        self.source, self.where = source, where
        self.tokens: list[tuple[str, str]] = []
        at = 0
        source = source.rstrip()
        while at < len(source):
            found = _TOKEN.match(source, at)
            if found is None:
                raise self.refuse("a name, a number, a text or a sign", source[at : at + 20].strip())
            self.tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            at = found.end()
        self.at = self.depth = 0

    def refuse(self, expected: str, got: str) -> DeclareError:
        return DeclareError(f"{self.where}: {ascii(self.source.strip())[1:-1]:.80}", expected, safe_repr(got))

    @property
    def next(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else "the end"

    def take(self, *signs: str) -> str:
        """Return the next token if it is one of these, and go past it."""
        if self.at < len(self.tokens) and self.tokens[self.at][0] != "text" and self.next in signs:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return ""

    def want(self, sign: str) -> None:
        if not self.take(sign):
            raise self.refuse(sign, self.next)

    def whole(self) -> KsyNode:
        found = self.choice()
        if self.at < len(self.tokens):
            raise self.refuse("the end of the expression", self.next)
        return found

    def choice(self) -> KsyNode:
        self.depth += 1
        if self.depth > DEPTH:
            raise self.refuse(f"{DEPTH} levels at most", "more")
        found = self.level(0)
        if self.take("?"):
            yes = self.choice()
            self.want(":")
            found = KsyNode("choose", "", (found, yes, self.choice()))
        self.depth -= 1
        return found

    def level(self, at: int) -> KsyNode:
        if at == len(_LEVELS):
            return self.signed()
        if _LEVELS[at] == ("not",):
            count = 0
            while self.take("not"):
                count += 1
            found = self.level(at + 1)
            for _ in range(count % 2 or 2 * bool(count)):
                found = KsyNode("not", "", (found,))
            return found
        found, terms = self.level(at + 1), 0
        while sign := self.take(*_LEVELS[at]):
            terms += 1
            if terms > DEPTH:
                raise self.refuse(f"{DEPTH} operands in a row at most", "more")
            found = KsyNode(sign, "", (found, self.level(at + 1)))
        return found

    def signed(self) -> KsyNode:
        sign = self.take("-", "+", "~")
        if not sign:
            return self.postfix()
        self.depth += 1
        if self.depth > DEPTH:
            raise self.refuse(f"{DEPTH} levels at most", "more")
        inner = self.signed()
        self.depth -= 1
        return inner if sign == "+" else KsyNode(sign, "", (inner,))

    def postfix(self) -> KsyNode:
        found, links = self.atom(), 0
        while sign := self.take(".", "["):
            links += 1
            if links > DEPTH:
                raise self.refuse(f"{DEPTH} names in a row at most", "more")
            if sign == "[":
                found = KsyNode("index", "", (found, self.choice()))
                self.want("]")
                continue
            name = self.name()
            if self.take("("):
                found = KsyNode("call", name, (found, *self.several(")")))
            else:
                found = KsyNode("attribute", name, (found,))
        return found

    def several(self, end: str) -> list[KsyNode]:
        some: list[KsyNode] = []
        while not self.take(end):
            if some:
                self.want(",")
            some.append(self.choice())
        return some

    def name(self) -> str:
        if self.at < len(self.tokens) and self.tokens[self.at][0] == "name":
            self.at += 1
            return self.tokens[self.at - 1][1]
        raise self.refuse("a name", self.next)

    def atom(self) -> KsyNode:
        if self.at >= len(self.tokens):
            raise self.refuse("a value", "the end")
        sort, text = self.tokens[self.at]
        if self.take("("):
            found = self.choice()
            self.want(")")
            return found
        if self.take("["):
            return KsyNode("list", "", tuple(self.several("]")))
        self.at += 1
        if sort == "number" and len(text) <= 200:
            return KsyNode("number", whole(text))
        if sort == "text":
            return KsyNode("text", text[1:-1])
        if sort == "name" and text in ("true", "false"):
            return KsyNode("number", int(text == "true"))
        if sort != "name" or text in ("or", "and", "not"):
            raise self.refuse("a value", text)
        if text in ("sizeof", "bitsizeof") and self.take("<"):
            path = [self.name()]
            while self.take("::"):
                path.append(self.name())
            self.want(">")
            return KsyNode(text, tuple(path))
        path = [text]
        while self.take("::"):
            path.append(self.name())
        return KsyNode("name", text) if len(path) == 1 else KsyNode("enum", tuple(path))


def parse_type(source: str, where: str) -> tuple[str, tuple[KsyNode, ...]]:
    """Return a type's name as it is written, and its arguments: "body(kind, 3)"."""
    if "(" not in source:
        return source.strip(), ()
    name, _, rest = source.partition("(")
    parser = _Expression(rest, where)
    given = tuple(parser.several(")"))
    if parser.at < len(parser.tokens):
        raise parser.refuse("the end of the arguments", parser.next)
    return name.strip(), given
