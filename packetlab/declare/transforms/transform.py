"""A transform: a name, parameters, and both directions. KnownKeys, which transforms name, and functions of somebody's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from functools import partial
from typing import Any, ClassVar, TypeAlias

from packetlab.declare.checksums.parts import SumPart
from packetlab.declare.expressions import Const, Expr
from packetlab.declare.remembering.recalled import NoEntry, StateOf, state_of
from packetlab.errors import BuildError, DeclareError
from packetlab.escaping import printable

LIMIT = 1 << 24
"""The most bytes that a transform gives for one field, unless it is told of fewer, and for all that stand in what another gives."""
HEADERS = 1 << 20
"""The same of lists of headers, which take a hundred times their bytes, unless it is told of more."""
SMALL, PER_BYTE = 4096, 1032
"""How many bytes a few of a packet may stand for, and how many more each of them (see `ample`)."""


def ample(size: int) -> int:
    """Return how many bytes so many of a packet may stand for, unless ``most=`` says so: what deflate reaches at the most, and a bit for small ones.

    So what a packet takes grows with its bytes, however many fields it has.
    """
    return SMALL + PER_BYTE * size


SELF = "self"

Value: TypeAlias = Any
"""Of a parameter: a number, text, bytes, a rule of fields, a secret; or a module of somebody else, which has no types."""


class UnfitError(ValueError):
    """Bytes that a transform cannot take: what it expects in their place, what there is, and the way out."""

    is_elsewhere = False  # whether what is inside may be known elsewhere: no fault then, only a remark

    def __init__(self, expected: str, got: str = "other bytes", hint: str = "") -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected, self.got, self.hint = expected, got, hint


class Secret:
    """A key by its name: see `secret`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[\w.:/ -]{1,100}", name, re.ASCII):
            raise DeclareError("secret(...)", "a name of letters, digits and . : / - _", f"{name!r:.60}")
        self.name = name

    def __repr__(self) -> str:
        return f"secret({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return type(other) is Secret and other.name == self.name

    def __hash__(self) -> int:
        return hash((Secret, self.name))


def secret(name: str) -> Secret:
    """A key by its name, for ``aead("AES-GCM", key=secret("lab"), ...)``. Declarations and files have the name alone.

    `secrets` says what it stands for. As long as nothing does, what is read with it stays bytes, with a fault that says so.
    """
    return Secret(name)


class KnownKeys(dict[str, bytes]):
    """Names of keys and what they stand for; no repr shows a key."""

    def __repr__(self) -> str:
        return f"<secrets: {', '.join(map(repr, self)) or 'none'}>"


_always = KnownKeys()
_here: ContextVar[KnownKeys | None] = ContextVar("secrets", default=None)


class KeysSaid:
    """What `secrets` gives: in a ``with`` its keys are there inside alone."""

    def __init__(self, keys: Mapping[str, bytes | str | None]) -> None:
        self._keys: dict[str, bytes | None] = {}
        for name, key in keys.items():
            key = bytes.fromhex(key) if isinstance(key, str) else key
            if key is not None and not isinstance(key, bytes | bytearray):
                raise TypeError(f"a key is bytes or hexadecimal text, not {type(key).__name__}")
            self._keys[Secret(name).name] = None if key is None else bytes(key)
        self._before = {name: _always.get(name) for name in self._keys}
        _put(_always, self._keys)
        self._token: Value = None

    def __enter__(self) -> KnownKeys:
        _put(_always, self._before)
        inner = KnownKeys(_here.get() or {})
        _put(inner, self._keys)
        self._token = _here.set(inner)
        return inner

    def __exit__(self, *error: object) -> None:
        _here.reset(self._token)

    def __repr__(self) -> str:
        return f"<secrets: {', '.join(map(repr, self._keys)) or 'none'}>"


def secrets(keys: Mapping[str, bytes | str | None]) -> KeysSaid:
    """Say what the names of keys stand for: ``pl.secrets({"lab": key})``, from now on, or inside a ``with``.

    Keys are bytes, or hexadecimal text; None forgets one. They are kept in this process,
    and in the memory of processes of this machine that do the work of `scan`, and written nowhere. TypeError for others.
    """
    return KeysSaid(keys)


forgetting: list[Callable[[], None]] = []
"""What keeps something that was made of keys forgets it by these when keys change."""


def _put(there: KnownKeys, keys: Mapping[str, bytes | None]) -> None:
    for forget in forgetting:
        forget()
    for name, key in keys.items():
        if key is None:
            there.pop(name, None)
        else:
            there[name] = key


def known_keys() -> KnownKeys:
    """Return the names that stand for keys here, and these."""
    return KnownKeys({**_always, **(_here.get() or {})})


@contextmanager
def known_here(keys: KnownKeys) -> Iterator[None]:
    """Let these keys be known too, inside a ``with`` of this thread alone."""
    token = _here.set(KnownKeys({**(_here.get() or {}), **keys}))
    try:
        yield
    finally:
        _here.reset(token)


def key_of(one: Secret) -> bytes:
    """Return what a name stands for. UnfitError where nothing does."""
    here = _here.get()
    found = _always.get(one.name) if here is None or one.name not in here else here[one.name]
    if found is not None:
        return found
    raise UnfitError(f"a key named {one.name!r}: pl.secrets({{{one.name!r}: ...}})", "none of that name")


class Transform:
    """One transform: the base of all of them.

    Attributes:
        name: as files have it. parameters: by name, those that are not the usual ones: numbers, texts and bytes; rules of fields; secrets;
            "self" for the bytes of the header before the field, a span of them. usual: what there is for the others.
    """

    name: ClassVar[str] = ""
    usual: ClassVar[dict[str, Value]] = {}
    as_numbers: ClassVar[frozenset[str]] = frozenset()  # parameters that are numbers, of others the bytes of a field count
    as_keys: ClassVar[frozenset[str]] = frozenset(("key", "aad"))  # those of which each byte counts, also one of zeros at the front
    travels = True
    using = 0  # how many values functions of somebody's own get beside the bytes
    parameters: dict[str, Value]

    def __init__(self, **given: Value) -> None:
        where = f"{self.name}(...)"
        for word in given:
            if word not in self.usual:
                raise DeclareError(where, f"parameters among {', '.join(self.usual) or 'none'}", word)
        given = {word: value.number if isinstance(value, Const) else value for word, value in given.items()}
        self.given = {**self.usual, **given}
        self.parameters = {word: value for word, value in self.given.items() if isinstance(value, Expr) or value != self.usual[word]}
        self.late = {
            word: value for word, value in self.parameters.items()
            if isinstance(value, Expr | SumPart) or (value == SELF and word == "aad")
        }  # fmt: skip
        self.spreads = "most" in self.usual and "most" not in self.parameters  # whether it may give any number of bytes
        self._known = {word: value for word, value in self.given.items() if word not in self.late}
        self._secret = [word for word, value in self._known.items() if isinstance(value, Secret)]
        self._depends = bool(self.late or self._secret)
        self.check(where)

    def check(self, where: str) -> None:
        """Refuse parameters that make no sense. DeclareError."""

    def only(self, condition: Expr) -> Transform:
        """Return the same transform, of fields where a condition holds: elsewhere the bytes are what is inside."""
        made = copy(self)
        made.given, made.parameters, made.late = ({**words, "when": condition} for words in (self.given, self.parameters, self.late))
        return made

    def __repr__(self) -> str:
        shown = (f"{word}={value if isinstance(value, Expr) else written(value)}" for word, value in self.parameters.items())
        return f"{self.name}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and str(other) == str(self)

    def __hash__(self) -> int:
        return hash(str(self))

    def _arguments(self, given: dict[str, Value]) -> dict[str, Value]:
        for word in self.late if len(given) < len(self.late) else ():
            if word not in given and word != "when":
                raise BuildError(f"{self.name}(...)", f"{word}=..., which follows from fields of a packet", "none")
        found = {**self._known, **given}
        for word in self._secret:
            found[word] = key_of(self._known[word])
        return found

    def decode(self, data: bytes, **given: Value) -> bytes:
        """Return what bytes of a packet stand for. UnfitError for bytes that stand for nothing, or for too much (see `LIMIT`).

        `given` are values of the parameters that follow from fields: bytes, numbers, or None where the field is absent.
        """
        if given and "when" in given and not holds(given.pop("when")):
            return data
        try:
            found = self.decoded(data, **(self._arguments(given) if given or self._depends else self._known))
        except (ArithmeticError, LookupError, TypeError) as error:  # parameters of a packet may be anything
            raise UnfitError(f"what {self.name} takes", f"{error}") from None
        if len(found) > LIMIT:
            raise UnfitError(f"{LIMIT} bytes at most", f"{len(found)} bytes")
        return found

    def encode(self, data: bytes, **given: Value) -> bytes:
        """Return the bytes of a packet for others; `decode` gives these again. UnfitError where there are none."""
        if given and "when" in given and not holds(given.pop("when")):
            return data
        return self.encoded(data, **(self._arguments(given) if given or self._depends else self._known))

    def quick(self, which: int) -> Callable[[bytes], bytes] | None:
        """Return a function that decodes (`which` is 0) or encodes (1) by the parameters that follow from no field, and raises ValueError; None for `decoded`, `encoded`."""
        return None

    def decoded(self, data: bytes) -> bytes:
        """What `decode` does, with the parameters by name."""
        raise NotImplementedError

    def encoded(self, data: bytes) -> bytes:
        """What `encode` does, with the parameters by name."""
        raise NotImplementedError

    def size(self, size: int) -> int | None:
        """Return how many bytes of a packet so many others make, None where that depends on them."""
        return None


def holds(value: Value) -> bool:
    """Whether what a condition came to says that it holds."""
    return any(value) if isinstance(value, bytes) else bool(value)


USING = "using", "using_2", "using_3", "using_4"  # the values that own functions get beside the bytes


class OwnTransform(Transform):
    """Functions of somebody's own (see `named`): these are code, and go into no file."""

    name, usual, travels, as_keys = "named", {"called": "", "state": None, **dict.fromkeys(USING)}, False, frozenset(USING)

    def __init__(
        self, called: str, decode: Callable[..., bytes], encode: Callable[..., bytes], state: StateOf | None = None, using: tuple[Value, ...] = (),
    ) -> None:  # fmt: skip
        self.functions, self.using = (decode, encode), len(using)
        super().__init__(called=called, **({} if state is None else {"state": state}), **dict(zip(USING, using, strict=False)))

    def check(self, where: str) -> None:
        if not isinstance(self.given["called"], str) or not all(map(callable, self.functions)):
            raise DeclareError(where, "a name and two functions: named('mine', decode, encode)", repr(self.given["called"]))
        if self.using > len(USING):
            raise DeclareError("named(..., using=)", f"{len(USING)} values at most", self.using)
        for word in USING[: self.using]:
            if not isinstance(self.given[word], bytes | Expr | Secret | SumPart):
                raise DeclareError("named(..., using=)", 'field("name"), span("first", "last"), secret("name") or bytes', f"{self.given[word]!r:.60}")

    def __repr__(self) -> str:
        return f"named({self.given['called']!r}, ...)"

    def __eq__(self, other: object) -> bool:
        return type(other) is OwnTransform and (other.functions, other._words()) == (self.functions, self._words())

    __hash__ = Transform.__hash__

    def _words(self) -> dict[str, str]:
        return {word: str(value) for word, value in self.given.items()}

    def decoded(self, data: bytes, called: str = "", state: Value = None, **using: Value) -> bytes:
        return self._called(0, data, state, using)

    def encoded(self, data: bytes, called: str = "", state: Value = None, **using: Value) -> bytes:
        return self._called(1, data, state, using)

    def _called(self, which: int, data: bytes, state: Value, using: dict[str, Value]) -> bytes:
        if isinstance(state, NoEntry):
            error = UnfitError(state.expected, state.got)
            error.is_elsewhere = state.is_elsewhere
            raise error
        try:
            function = self.functions[which]
            if self.using:
                values = [using[word] if using[word] is None else as_bytes(using[word]) for word in USING[: self.using]]
                function = partial(_with_values, function, values)
            found = function(data) if state is None else state.step(which, function, data)
        except UnfitError:
            raise
        except Exception as error:  # whatever it is, of bytes that may be anything
            got = printable(f"{type(error).__name__}: {error}")
            raise UnfitError(f"what {self.given['called']} takes", f"{got:.200}") from error
        return self.as_result(found)

    def as_result(self, found: object) -> bytes:
        """Return what one of the functions gave, as bytes. UnfitError where it is none."""
        if not isinstance(found, bytes | bytearray):
            raise UnfitError(f"bytes from {self.given['called']}", type(found).__name__)
        return bytes(found)


def _with_values(function: Callable[..., bytes], values: list[bytes | None], *given: Any) -> bytes:
    return function(*given, *values)


def named(
    name: str, decode: Callable[..., bytes], encode: Callable[..., bytes], *, state: Callable[[], Any] | None = None, key: object = (), using: object = ()
) -> Transform:
    """A transform by functions of your own: bytes to bytes, `decode` of what is in a packet, `encode` of what is inside.

    `using` are values that both get after the bytes, one or up to four: fields, of this header or of others (``field("^.key")``), rules of
    fields, ``span("first", "last")``, secrets. Each comes as the bytes that are sent, None where the field is absent:
    ``named("mine", decode, encode, using=(field("nonce"), secret("lab")))`` calls ``decode(data, nonce, key)``.

    With `state`, a function that makes one, these are ``decode(state, data)`` and ``encode(state, data)``, and what a packet leaves in
    the state counts for the next one: compression over a whole connection. The states live in a `Context`, one for each `key`, as
    in ``key=(sender(), receiver())`` (see `recalled`), and go on in packet order: with ``dissect(..., context=)``, in captures,
    in `Capture.messages`, in ``with context:`` for what is built. Out of order the bytes stay, and a remark or fault says so; what is
    built goes on from what was built, so an edit of one message of several that were read is a BuildError.

    An exception of `decode` is a fault at the field, one of `encode` a BuildError. Code goes into no file: what is declared with
    it cannot be dumped.
    """
    if state is None and not (isinstance(key, tuple) and not key):
        hint = "values that the functions get are using=field(...)"
        raise DeclareError("named(...)", "state= beside key=, which says whose state it is", f"key={key!r:.60} alone", hint)
    return OwnTransform(name, decode, encode, None if state is None else state_of(name, key, state), using if isinstance(using, tuple) else (using,))


def as_bytes(value: object) -> bytes:
    """Return the value of a parameter as bytes: a number as few as it takes, highest first. UnfitError for one below 0."""
    if type(value) is bytes:
        return value
    if isinstance(value, int):
        if value < 0:
            raise UnfitError("a rule that comes to 0 or more", f"{value}")
        return value.to_bytes(max(1, -(-value.bit_length() // 8)), "big")
    return bytes(value) if isinstance(value, bytes | bytearray) else b""


def flag(value: Value) -> Value:
    """Return 0 and 1, as files have them, as truth values."""
    return bool(value) if value in (0, 1) else value


def written(value: object) -> str:
    """Return a parameter as a class body has it."""
    return f"{value.word}({', '.join(map(repr, value.names))})" if isinstance(value, SumPart) else repr(value)


def key_parameter(value: object, where: str, word: str, hint: str = "") -> None:
    """Refuse what is no key or the like: bytes, a rule of fields, a secret. DeclareError."""
    if not isinstance(value, bytes | Expr | Secret):
        raise DeclareError(where, f"bytes, field(...) or secret(...) as {word}", f"{value!r:.60}", hint)




