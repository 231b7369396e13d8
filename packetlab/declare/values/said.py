"""Leaves of rules that look at more than a number of the header: at what a text says, and at an item of a list."""

from __future__ import annotations

from typing import Any

from packetlab.declare.expressions import Const, Elsewhere, Emitter, Expr, Op, Ref, Scope
from packetlab.declare.fields import slot_of
from packetlab.errors import BuildError, DeclareError
from packetlab.hooks import hook


class Says(Ref):
    """Whether a field is one of some words: a text in letters of any case, anything else as the field holds it.

    The words are brought into the field's raw form by its own kind, once, when the class or the binding is checked (`span`): an
    address as it is written is compared as its bytes, a text without what fills it up.

    Attributes:
        words: as they were written. kind: that of the value. raws: the words in its raw form. forms: those that are compared, with
            letters in lower case where the word was text; None before the check.
    """

    is_truth = True

    def __init__(self, name: str, words: tuple[str | bytes, ...]) -> None:
        super().__init__(name)
        self.words = words
        self.kind: Any = None
        self.raws: list[bytes] = []
        self.forms: frozenset[object] | None = None

    def holds(self, raw: object, _: object = None) -> bool:
        """Whether a raw value is one of them."""
        assert self.forms is not None, f"{self} was never checked"
        if not isinstance(raw, bytes):  # a number, which is written in digits
            return raw is not None and raw in self.forms
        return raw in self.forms or _folded(self.kind, raw) in self.forms

    @property
    def alike(self) -> frozenset[object]:
        """What it holds for, as it is written and, once checked, as it is packed: two of one field with nothing in common are never both true."""
        written = [word.lower().encode() if isinstance(word, str) else word for word in self.words]
        letters = self.kind is None or any(_folded(self.kind, raw) for raw in self.raws)
        return frozenset(one.lower() if letters else one for one in (*written, *self.raws))

    @property
    def bytewise(self) -> tuple[list[bytes], list[bytes]]:
        """The raw values that it holds for as they are, and those, in small letters, that it holds for whatever their letters' case."""
        folds = [isinstance(word, str) and _folded(self.kind, raw) is not None for word, raw in zip(self.words, self.raws, strict=True)]
        return [raw for raw, fold in zip(self.raws, folds, strict=True) if not fold], [raw.lower() for raw, fold in zip(self.raws, folds, strict=True) if fold]

    def written(self, to: Emitter, *operands: str) -> str:
        return to.on_raw(self.name, self.holds)

    def evaluate(self, scope: Scope) -> int:
        return int(self.holds(scope.raw(self.name)))

    def span(self, leaves: Any) -> tuple[int, int]:
        self.settle(leaves.field(self.name).kind, leaves.where)
        return 0, 1

    def settle(self, outer: Any, where: str) -> None:
        """Bring the words into the raw form of a kind. DeclareError where it is none of text, bytes or addresses, or cannot be such a word."""
        kind = getattr(outer, "inner", outer)
        in_digits = hasattr(kind, "says_digits")
        if not in_digits and (kind.wire not in ("open", "bytes", *(["coded"] if hasattr(kind, "decoded") else [])) or kind.element is not None or kind.is_number or outer.transforms):
            names = getattr(kind.names, "__members__", {}) if kind.is_number else {}
            hint = f"{kind.names.__name__}.{self.words[0]!s} is a number, to compare with" if self.words[0] in names else ""
            raise DeclareError(where, "a field of text, bytes, or an address, to compare with text", f"{self.name}, {outer.in_words()}", hint)
        raws = [_raw(outer, word, f"{where}, {self.name} ==") for word in self.words]
        if self.raws not in ([], raws):
            hint = f"write the condition out in each class: field({self.name!r}) == {self.words[0]!r}"
            raise DeclareError(where, "a condition of one class, since each kind of field has its own form of a text", str(self), hint)
        self.kind, self.raws = kind, raws
        self.forms = frozenset((isinstance(word, str) and _folded(kind, raw)) or raw for word, raw in zip(self.words, raws, strict=True))

    def __str__(self) -> str:
        return f"{self.name} in {self.words}" if len(self.words) > 1 else f"{self.name} == {self.words[0]!r}"


def _raw(kind: Any, word: str | bytes, where: str) -> bytes:
    """Return a word in the raw form of a kind. DeclareError where no field of that kind can be it."""
    if not word or (isinstance(word, str) and not word.isascii()):
        hint = "bytes are compared as they are, letters in any case" if word else "whether it has no bytes is size_of(...) == 0"
        raise DeclareError(where, "letters of ASCII, or bytes, one at least", repr(word), hint)
    try:
        return kind.raw(word, "")  # type: ignore[no-any-return]
    except BuildError as error:
        raise DeclareError(where, error.expected, error.got, error.hint) from None


def _folded(kind: Any, raw: bytes) -> object:
    """Return a raw value of text, or of bytes, with its letters in lower case; None of a kind without letters, and of what is no text.

    A letter of ASCII is never another one's lower case: "K" (U+212A) is no k here.
    """
    if hasattr(kind, "decoded"):
        found = kind.decoded(raw)
        return None if found is None else (found.lower(), found.isascii())
    return (raw.lower(), True) if kind.verbatim and kind.orders_raw and not kind.is_address else None


class OuterSays(Elsewhere):
    """Whether a field of what stands around is one of some words, as `Says` is for one of the header itself; 0 where there is no such header.

    Headers of several classes may be there, each with a kind of its own for the field.
    """

    __slots__ = ("known", "words")
    is_truth = True

    def __init__(self, path: str, name: str, words: tuple[str | bytes, ...]) -> None:
        super().__init__(path, name)
        self.words, self.known = words, dict[Any, Says | None]()

    def of(self, raw: object, kind: Any) -> int:
        """Return whether a raw value of a field of some kind is one of them."""
        found = self.said(kind)
        return 0 if found is None else int(found.holds(raw))

    def said(self, kind: Any) -> Says | None:
        """Return the same for a field of some kind, None where none of that kind can say it."""
        if kind not in self.known:
            try:
                self.known[kind] = self.settled(kind, str(self))
            except DeclareError:
                self.known[kind] = None
        return self.known[kind]

    def settled(self, kind: Any, where: str) -> Says:
        """Return the same for a field of some kind. DeclareError where none of that kind can say it."""
        found = Says(self.name, self.words)
        found.settle(kind, where)
        return found

    def __str__(self) -> str:
        return f"{super().__str__()} in {self.words}" if len(self.words) > 1 else f"{super().__str__()} == {self.words[0]!r}"


class Letters(Expr):
    """Text or bytes that a binding fills in: `word` as it was given, `raw` as a field has it."""

    def __init__(self, word: str | bytes, raw: Any) -> None:
        self.word, self.raw = word, raw

    def written(self, to: Emitter, *operands: str) -> str:
        return repr(self.raw)

    def evaluate(self, scope: Scope) -> int:
        return self.raw  # type: ignore[no-any-return]  # of a field that is no number

    def __str__(self) -> str:
        return repr(self.word)


def raw_of(field: Any, value: object, where: str) -> Any:
    """Return the raw value of a field. DeclareError for one that it cannot have."""
    try:
        return field.kind.raw(value, where)
    except BuildError as error:
        raise DeclareError(where, error.expected, error.got) from None


def letters_of(field: Any, word: str | bytes, where: str) -> Letters:
    """Return a word for a field of text or bytes. DeclareError for one that it cannot have."""
    raw = raw_of(field, word, where)
    if type(raw) is not bytes or field.kind.transforms:
        raise DeclareError(where, "a field of text or bytes", f"{word!r} for {field.kind.in_words()}")
    return Letters(word, raw)


def constant(value: Any) -> Expr:
    """Return what a field has where nothing else tells: a number, or text or bytes as it is kept."""
    return Letters(value, value) if isinstance(value, bytes) else Const(value if isinstance(value, int) else 0)


class SizeInside(Ref):
    """How many bytes there are in what a field's transforms give; 0 where it is absent, -1 where that is not known."""

    word = "size_inside"

    def found(self, raw: Any, _: object = None) -> int:
        """Return that of a raw value."""
        if raw is None:
            return 0
        if not getattr(raw, "opened", False):
            return -1
        return len(hook("bytes_inside")(raw))

    def written(self, to: Emitter, *operands: str) -> str:
        return to.on_raw(self.name, self.found)

    def evaluate(self, scope: Scope) -> int:
        return self.found(scope.raw(self.name))

    def span(self, leaves: Any) -> tuple[int, int]:
        kind = leaves.field(self.name).kind
        if not kind.transforms or kind.inside is kind or not leaves.building:
            hint = f'size_of("{self.name}") is that of its bytes in the packet'
            raise DeclareError(leaves.where, f"a field through a transform in {self}, in auto(...)", f"{self.name}, {kind.in_words()}", hint)
        return 0, 1 << 24

    def __str__(self) -> str:
        return f"{self.word}({self.name})"


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


class CountInside(Ref):
    """How many items the lists called `part` have together, in all items of a list that have such a one."""

    word = "count_of"

    def __init__(self, path: str) -> None:
        name, self.part = path.split(".")
        super().__init__(name)
        self.field: Any = None  # the list, once the class is checked

    def found(self, raw: object, _: object = None) -> int:
        """Return that of the raw value of the list, looked into or not."""
        if isinstance(raw, bytes) and self.field is not None:
            raw = hook("parse_inside")(self.field, raw)[0]
        found = 0
        for one in raw if isinstance(raw, tuple) else ():
            some = getattr(one, slot_of(self.part), None)
            some = some if isinstance(some, tuple) else getattr(one, self.part, None)  # looked into, or inside a field
            found += len(some) if isinstance(some, tuple) and not isinstance(one, bytes) else 0
        return found

    def written(self, to: Emitter, *operands: str) -> str:
        return to.on_raw(self.name, self.found)

    def evaluate(self, scope: Scope) -> int:
        return self.found(scope.raw(self.name))

    def span(self, leaves: Any) -> tuple[int, int]:
        self.field = field = leaves.field(self.name)
        if field.kind.wire != "items" or field.kind.one or not leaves.building:
            hint = f'count_of("{self.name}") is how many items that has'
            if field.kind.transforms:  # what these give is made after the number
                number = leaves.where.rpartition(".")[2]
                hint = f'many(count=field("^.{number}")) in there says it, and {number}: U16 = 0 here follows by itself'
            raise DeclareError(leaves.where, f"a list of headers for {self}, in auto(...)", f"{self.name}, {field.kind.in_words()}", hint)
        return 0, 1 << 24

    def __str__(self) -> str:
        return f"{self.word}({self.name}.{self.part})"


def condition_on_text(sign: str, left: Expr, words: tuple[object, ...]) -> Expr:
    """Return whether a field says one of some words (`sign` "=="), or none of them ("!="). DeclareError for what is no text."""
    wrong = [word for word in words if not isinstance(word, str | bytes)]
    some = tuple(word for word in words if isinstance(word, str | bytes))
    if type(left) is Elsewhere and not left.path and not wrong:
        hint = f'a number beside it can: said: int = computed(choose(field("{left.name}") == {words[0]!r}, 1, 0)), and here before("said") == 1'
        raise DeclareError("a rule", "a number of the item before", f"{left} {sign} {words[0]!r}", hint)
    if type(left) not in (Ref, Elsewhere) or sign not in ("==", "!=") or wrong:
        got = repr(wrong[0]) if wrong else f"{left} {sign} {words[0]!r}"
        raise DeclareError("a rule", "a whole number, or a field that is == or != a text", got)
    found = OuterSays(left.path, left.name, some) if isinstance(left, Elsewhere) else Says(left.name, some)  # type: ignore[attr-defined]
    return found if sign == "==" else Op("==", found, Const(0))
