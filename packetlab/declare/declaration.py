"""A header as data: its fields in order, and what its class body says of it as a whole.

Compilers, checkers and exporters take a `Declaration`. The class of a header (`packet.header`) is a face over one: it adds
attributes, operators and states, and is named here only as what decoded bytes become.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from packetlab.declare.expressions import Expr
from packetlab.declare.fields import Field
from packetlab.declare.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

H = TypeVar("H", bound="AnyHeader")
_set = object.__setattr__
OPTIONS = ("payload_size", "opaque", "unsized", "partial", "quotes", "pseudo")
"""What a class body says of the header as a whole."""


class AnyHeader:
    """What those who read and write bytes know of every header and its class."""

    __slots__ = ("_state",)
    # The low bits say which fields hold a value of their own, the next bits which of them were captured, the
    # bit above these that the bytes ended inside the header, the last that it is a prototype and nothing else.
    _state: int
    _declaration: ClassVar[Declaration]
    _fields: ClassVar[tuple[Field, ...]] = ()
    _by_name: ClassVar[dict[str, Field]] = {}
    _answers: ClassVar[dict[type[AnyHeader] | None, Expr]] = {}
    _answered: ClassVar[tuple[type[AnyHeader], ...]] = ()  # other classes that answer it
    # Compiled when first called (see `codec.compiler`).
    _decode: ClassVar[Callable[..., Any]]
    _encode: ClassVar[Callable[..., bytes]]
    _resolve: ClassVar[Callable[..., Any]]
    _rederive: ClassVar[Callable[..., Any]]
    _copied: ClassVar[Callable[..., Any]]
    _loosened: ClassVar[Callable[..., Any]]
    _extent: ClassVar[Callable[..., tuple[int, int]]]

    @classmethod
    def _reset(cls) -> None:
        """Forget compiled code: bindings or fields have changed."""
        raise NotImplementedError

    def _parsed(self, field: Field) -> tuple[Any, ...]:
        """Return the items of a repeated field."""
        raise NotImplementedError


@dataclass(eq=False)
class Declaration:
    """One header as data. For the options, see the class options of `Header`.

    Attributes:
        name: of the class. header: the class itself, for making headers.
    """

    name: str
    header: type[AnyHeader]
    fields: tuple[Field, ...]
    payload_size: Expr | None = None
    opaque: Expr | None = None
    unsized: Expr | None = None
    partial: Expr | None = None
    quotes: Expr | None = None
    pseudo: tuple[str, str] | None = None
    by_name: dict[str, Field] = field(init=False)
    before: list[Field] = field(init=False)  # the fields that stand before the payload: all, unless the class marks it
    behind: list[Field] = field(init=False)  # ... and after it
    repeated: list[Field] = field(init=False)  # those before the payload that hold items
    has_trailer: bool = field(init=False)
    _plan: Plan | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.by_name = {f.name: f for f in self.fields}
        marks = [i for i, f in enumerate(self.fields) if f.kind.wire == "payload"]
        self.has_trailer = bool(marks)
        end = marks[0] if marks else len(self.fields)
        self.before, self.behind = list(self.fields[:end]), list(self.fields[end + 1 :])
        self.repeated = [f for f in self.before if f.kind.wire == "items"]

    def take_after(self, base: Declaration) -> None:
        """Take from a base what the class itself does not say of the header as a whole."""
        for option in OPTIONS:
            if getattr(self, option) is None:
                setattr(self, option, getattr(base, option))

    @property
    def plan(self) -> Plan:
        """How the header is read and written; worked out when first asked for."""
        if self._plan is None:
            self._plan = Plan(self.fields, self.before, self.behind, self.payload_size)
        return self._plan

    @property
    def shortened(self) -> list[Expr]:
        """The conditions under which the bytes at hand are only the first part of what they speak of."""
        return [rule for rule in (self.partial, self.quotes) if rule is not None]

    @property
    def prototype_bit(self) -> int:
        """The bit of a header's state that says it holds a value that several fit (see `wildcards`)."""
        return 1 << 2 * len(self.fields) + 1


def restored(cls: type[H], state: int, values: tuple[Any, ...]) -> H:
    """Make a header from its state and raw values, in the order of its fields."""
    header = cls.__new__(cls)
    for f, value in zip(cls._fields, values, strict=True):
        _set(header, f.slot, value)
    _set(header, "_state", state)
    return header
