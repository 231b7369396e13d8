"""Headers as those who read and write bytes know them, and the class that a declaration has.

Compilers take a `Declaration`. Where what they write makes a header, its class goes into the namespace from `classes`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from packetlab.codec.faults import Fault
from packetlab.declare import registry
from packetlab.declare.declaration import Declaration
from packetlab.declare.fields import Field
from packetlab.declare.transforms.transform import UnfitError
from packetlab.declare.wildcards import Tolerance
from packetlab.errors import BuildError, suggestion

H = TypeVar("H", bound="AnyHeader")
_set = object.__setattr__

Decoded: TypeAlias = "tuple[AnyHeader, int, int, Declaration | None]"
"""What reading a header gives: it, where its payload begins and ends, and what the next one is declared as."""


class Resolving(Protocol):
    """What fills in the derived fields of a header below `body`, the `i`-th of a stack, with `above` next."""

    def __call__(
        self, header: H, body: bytes, stack: tuple[AnyHeader, ...], i: int, above: Declaration | None, /
    ) -> H: ...


class AnyHeader:
    """What those who read and write bytes know of every header and its class."""

    __slots__ = ("_state",)
    # Of n fields the low n bits say which hold a value of their own (`Field.bit`), the next n which of these were captured;
    # above them one says that the bytes ended inside the header, the last that it is a prototype and nothing else.
    _state: int
    __outer__: tuple[int, ...] | None  # what one whose rules name values from elsewhere took (see `around.outer`)
    _declaration: ClassVar[Declaration]
    _fields: ClassVar[tuple[Field, ...]] = ()
    _by_name: ClassVar[dict[str, Field]] = {}
    # Compiled when first called (see `codec.compiler`).
    _decode: ClassVar[Callable[..., Decoded]]
    _encode: ClassVar[Callable[..., bytes]]
    _resolve: ClassVar[Resolving]
    _rederive: ClassVar[Callable[..., tuple[AnyHeader, int, int]]]
    _copied: ClassVar[Callable[..., Any]]
    _extent: ClassVar[Callable[..., tuple[int, int]]]

    def __bytes__(self) -> bytes:
        # Of most classes it is what packs them, once that is written.
        data = type(self)._encode(self, b"", (self,), 0, None)
        return data if self._declaration.through is None else on_link((self,), data)

    def _items_of(self, field: Field, faults: list[Fault] | None = None) -> tuple[object, ...]:
        raise NotImplementedError

    @property
    def _is_partial(self) -> bool:
        """Whether its bytes ended inside it, or it is a prototype: what its fields do not hold cannot be worked out."""
        return self._state >> 2 * len(self._fields) != 0


class _Classes(dict[Declaration, Any]):
    """The class of a declaration. It holds no class longer than bindings stay as they are."""

    known: ClassVar[WeakValueDictionary[Declaration, type[AnyHeader]]] = WeakValueDictionary()

    def __missing__(self, declaration: Declaration) -> type[AnyHeader]:
        found = self[declaration] = self.known[declaration]
        return found


classes = _Classes()
registry.caches.append(classes)


def is_pattern(header: AnyHeader) -> bool:
    """Whether a header holds a value that several fit, itself or in its items."""
    return bool(header._state & header._declaration.prototype_bit)


def refuse_pattern(header: AnyHeader) -> None:
    """Raise BuildError for a prototype: a field of it, or of its items, holds a pattern in place of one value."""
    for f in header._fields if is_pattern(header) else ():
        value = getattr(header, f.slot)
        for inner in value.written if isinstance(value, Tolerance) else ():
            if isinstance(inner, AnyHeader) and not is_pattern(inner):
                inner._encode(inner, b"", (header, inner), 1, None)  # which says what it has no value for
        if isinstance(value, Tolerance):
            where, hint = f"{type(header).__name__}.{f.name}", "such a header is a prototype, to match packets with"
            raise BuildError(where, "one value to build from", repr(value), hint)
        for item in value if isinstance(value, tuple) else ():
            if isinstance(item, AnyHeader):
                refuse_pattern(item)


def wrong_name(cls: type[AnyHeader], wrong: dict[str, object]) -> BuildError:
    """The error for a keyword that is no field, or for a value without one."""
    if not wrong:
        return BuildError(cls.__name__, "fields by name", "a value without a name")
    name = next(iter(wrong))
    known = list(cls._by_name)
    return BuildError(f"{cls.__name__}.{name}", "a field of the header", "no such name", suggestion(name, known))


def restored(cls: type[H], state: int, values: tuple[object, ...], outer: tuple[int, ...] | None = None, inner: AnyHeader | None = None) -> H:
    """Make a header from its state and raw values, in the order of its fields, its outer values and the header inside it."""
    header = cls.__new__(cls)
    for f, value in zip(cls._fields, values, strict=True):
        _set(header, f.slot, value)
    _set(header, "_state", state)
    if outer is not None:
        _set(header, "__outer__", outer)
    if inner is not None:
        _set(header, "__viewed__", inner)
    return header


def on_link(headers: tuple[AnyHeader, ...], data: bytes) -> bytes:
    """Return the bytes of a frame as its link carries them (see `Header`, through). BuildError for such a header inside a frame."""
    for header in headers[1:]:
        if header._declaration.through:
            hint = "inside others it is a field: frame: Inner = through(...)"
            raise BuildError(type(header).__name__, "the first header, which its class is with through=", "one above another", hint)
    for one in reversed((headers[0]._declaration.through or ()) if headers else ()):
        try:
            data = one.encode(data)
        except UnfitError as error:
            raise BuildError(type(headers[0]).__name__, error.expected, error.got) from None
    return data


def off_link(first: Declaration | None, data: bytes) -> bytes:
    """Return what a link carries as the bytes of a frame. UnfitError where it is none."""
    for one in (first.through or ()) if first is not None else ():
        data = one.decode(data)
    return data


def declared_classes() -> list[type[AnyHeader]]:
    """Return every header class declared now, in order."""
    return [classes[one] for one in registry.declared()]


def class_named(name: str) -> type[AnyHeader] | None:
    """Return the header class of that name, in any case of letters, the one declared last; None if there is none."""
    found = registry.header_named(name)
    return None if found is None else classes[found]
