"""Leaves of rules that look at more than a number of the header: at what a text says, and at an item of a list."""

from __future__ import annotations

from typing import Any

from packetlab.declare.expressions import Const, Emitter, Expr, Op, Ref, Scope
from packetlab.errors import DeclareError
from packetlab.hooks import hook


class Says(Ref):
    """Whether a field of text or bytes is one of some: a text in letters of any case, bytes as they are."""

    is_truth = True

    def __init__(self, name: str, words: tuple[str | bytes, ...]) -> None:
        super().__init__(name)
        self.words = words
        self.exact = frozenset(word for word in words if isinstance(word, bytes))
        self.folded = frozenset(word.encode().lower() for word in words if isinstance(word, str))

    def holds(self, raw: object, _: object = None) -> bool:
        """Whether a raw value is one of them."""
        return isinstance(raw, bytes) and (raw in self.exact or raw.lower() in self.folded)

    def written(self, to: Emitter, *operands: str) -> str:
        return to.on_raw(self.name, self.holds)

    def evaluate(self, scope: Scope) -> int:
        return int(self.holds(scope.raw(self.name)))

    def span(self, leaves: Any) -> tuple[int, int]:
        kind: Any = leaves.field(self.name).kind
        kind = getattr(kind, "inner", kind)
        if kind.wire not in ("open", "bytes") or kind.element is not None or kind.transforms or getattr(kind, "unit", 1) != 1:
            raise DeclareError(leaves.where, "a field of text or bytes, to compare with text", f"{self.name}, {kind.in_words()}")
        for word in self.words:
            if not word or (isinstance(word, str) and not word.isascii()):
                raise DeclareError(leaves.where, "letters of ASCII, or bytes", repr(word))
        return 0, 1

    def __str__(self) -> str:
        return f"{self.name} in {self.words}" if len(self.words) > 1 else f"{self.name} == {self.words[0]!r}"


class FirstOf(Ref):
    """A number in the first item of a list that is of some class; another number where there is none."""

    def __init__(self, path: str, default: int = 0) -> None:
        name, item, self.part = path.split(".")
        super().__init__(name)
        self.item, self.default = item.lower(), default
        self.field: Any = None  # the list, once the class is checked

    def found(self, raw: object, _: object = None) -> int:
        """Return the number in the raw value of the list, looked into or not."""
        if isinstance(raw, bytes) and self.field is not None:
            raw = hook("parse_inside")(self.field, raw)[0]
        for one in raw if isinstance(raw, tuple) else ():
            if not isinstance(one, bytes) and self.item in [said.name.lower() for said in (one._declaration, *one._declaration.bases)]:
                value = getattr(one, self.part, None)
                return int(value) if isinstance(value, int) else self.default
        return self.default

    def written(self, to: Emitter, *operands: str) -> str:
        return to.on_raw(self.name, self.found)

    def evaluate(self, scope: Scope) -> int:
        return self.found(scope.raw(self.name))

    def span(self, leaves: Any) -> tuple[int, int]:
        self.field = field = leaves.field(self.name)
        if field.kind.wire != "items" or field.kind.one:
            raise DeclareError(leaves.where, f"a list of headers for {self}", f"{self.name}, {field.kind.in_words()}")
        return -1 << 63, (1 << 64) - 1

    def __str__(self) -> str:
        return f"{self.name}.{self.item}.{self.part}"


def condition_on_text(sign: str, left: Expr, words: tuple[object, ...]) -> Expr:
    """Return whether a field says one of some words (`sign` "=="), or none of them ("!="). DeclareError for what is no text."""
    wrong = [word for word in words if not isinstance(word, str | bytes)]
    if type(left) is not Ref or sign not in ("==", "!=") or wrong:
        got = repr(wrong[0]) if wrong else f"{left} {sign} {words[0]!r}"
        raise DeclareError("a rule", "a whole number, or a field that is == or != a text", got)
    found = Says(left.name, tuple(word for word in words if isinstance(word, str | bytes)))
    return found if sign == "==" else Op("==", found, Const(0))
