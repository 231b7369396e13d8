"""Values that were remembered from earlier packets: ``recalled("quic.cid", receiver())`` in rules, and ``remembers=`` of the class that has them.

A table has a name, and a key made of fields: of the header itself, of headers around it, or the ends of the packet. What stands
in it lives in a `Context` (see `codec.context`), filled in packet order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from packetlab.declare.expressions import Const, Count, Elsewhere, Emitter, Expr, Ref, Scope, Size, expression, whole
from packetlab.errors import DeclareError, suggestion

if TYPE_CHECKING:
    from packetlab.declare.fields import Field

Fields: TypeAlias = "Mapping[str, Field]"


class PacketEnd(Expr):
    """The address and port that a packet comes from, or goes to: for keys."""

    __slots__ = ("to",)

    def __init__(self, to: bool) -> None:
        self.to = to

    def written(self, to: Emitter, *operands: str) -> str:
        raise DeclareError("a rule", "numbers", f"{self}, which is for keys: recalled(table, {self})")

    def evaluate(self, scope: Scope) -> int:
        raise DeclareError("a rule", "numbers", f"{self}, which is for keys: recalled(table, {self})")

    def __str__(self) -> str:
        return "receiver()" if self.to else "sender()"


class NoEntry(NamedTuple):
    """What stands for a value that was not remembered: what was expected, and what there is. `is_elsewhere`: it may be known elsewhere, so no fault."""

    expected: str
    got: str
    is_elsewhere: bool = False


def sender() -> Expr:
    """Where a packet comes from, as part of a key: the address of its network layer with the port of its transport.

    What stands nearest below the header counts: a header with ``pseudo=``, or with addresses `src` and `dst`, be it `IDP`, whose
    address has the socket, or `Ether`; else one with numbers of that name. Where nothing below has any, frames of a capture go by their
    interface, and all else (bytes of one connection, read or built alone) has one key: a `Context` for each connection tells them apart, or ``dissect(..., below=)``, and sockets
    do so by themselves. In `recalled`, ``remembers=`` and ``key=`` alone.
    """
    return PacketEnd(False)


def receiver() -> Expr:
    """Where a packet goes, as part of a key (see `sender`)."""
    return PacketEnd(True)


class Recalled(Elsewhere):
    """What was remembered from an earlier packet: the value in a table under a key. `is_number`: whether a rule counts with it."""

    __slots__ = ("default", "is_number", "is_of_fields", "key", "own", "table")
    own: list[str]
    """The fields of the header itself that the key names, in order."""
    is_of_fields: bool
    """Whether the key is just these."""

    def __init__(self, table: str, key: tuple[Expr, ...], default: int | None = None, is_number: bool = True) -> None:
        super().__init__("=", table)  # no path to a header
        self.table, self.key, self.default, self.is_number = table, key, default, is_number
        self.own = own_fields(key)
        self.is_of_fields = [part.name if type(part) is Ref else None for part in key] == self.own

    def __str__(self) -> str:
        words = [repr(self.table), *map(str, self.key), *([] if self.default is None else [f"default={self.default}"])]
        return f"recalled({', '.join(words)})"


class StateOf(Recalled):
    """The state of a transform that goes on from packet to packet, under a key; `factory` makes the first one."""

    __slots__ = ("factory",)

    def __init__(self, called: str, key: tuple[Expr, ...], factory: Callable[[], Any]) -> None:
        super().__init__(f"state of {called}", key, None, is_number=False)
        self.factory = factory


def state_of(called: str, key: object, factory: Callable[[], Any]) -> StateOf:
    """Return the state of a transform of somebody's own. DeclareError for a key that is none."""
    where = f"named({called!r}, ...), key="
    if not callable(factory):
        raise DeclareError(f"named({called!r}, ...), state=", "a function that makes the first state", repr(factory))
    return StateOf(called, _key(key if isinstance(key, tuple) else (key,), where), factory)


def own_fields(key: Iterable[Expr]) -> list[str]:
    """Return the fields of the header itself that a key names, each once."""
    return list(dict.fromkeys(leaf.name for part in key for leaf in part.leaves() if isinstance(leaf, Ref)))


def recalled(table: str, *key: object, default: int | None = None) -> Any:
    """What was remembered from an earlier packet: the value that `table` has under a key, as a number in a rule, or as a template in `laid_out`.

    ``dcid: Bytes = sized(recalled("quic.cid", receiver()))``. Parts of the key are fields of the header, read before,
    (``field("id")``), of headers around it (``field("IPv4.src")``), rules of numbers, `sender()` and `receiver()`. A header
    remembers such values with ``remembers=`` (see `Header`). They are known in a `Context`: captures have one; see `dissect`.

    Where none was remembered, it is `default`; without that the field that needs it is a fault, and its bytes are left to
    the payload.
    """
    return Recalled(
        _table(table, "recalled(...)"), _key(key, "recalled(...)"), None if default is None else whole(default)
    )


def _table(table: object, where: str) -> str:
    if not isinstance(table, str) or not table or not table.isprintable() or len(table) > 100:
        raise DeclareError(where, 'the name of a table first, as "netflow"', f"{table}" if isinstance(table, Expr) else f"{table!r:.60}")
    return table


def _key(parts: Iterable[object], where: str) -> tuple[Expr, ...]:
    key = tuple(map(expression, parts))
    for part in key:
        for leaf in part.leaves():
            looks = isinstance(leaf, Ref) and type(leaf) is not Ref  # at what a text says, or at an item of a list
            if looks or isinstance(leaf, Recalled) or not isinstance(leaf, Const | Ref | Elsewhere | PacketEnd):
                raise DeclareError(where, "fields, numbers, sender() and receiver() in a key", str(leaf))
            if isinstance(leaf, Elsewhere) and not leaf.path:
                raise DeclareError(where, "fields of headers in a key", str(leaf))
    return key


class Remembered(NamedTuple):
    """What a header remembers: a table, a key, and one value, or several lists one after the other."""

    table: str
    key: tuple[Expr, ...]
    values: tuple[Expr, ...]

    def __str__(self) -> str:
        key = f"({', '.join([repr(self.table), *map(str, self.key)])})"
        values = ", ".join(map(str, self.values))
        return f"{key}: {values if len(self.values) == 1 else f'({values})'}"


def remembers_of(said: object, where: str) -> tuple[Remembered, ...] | None:
    """Return what a class says with ``remembers=``. DeclareError where it is no such thing."""
    where = f"{where}, remembers="
    if said is None:
        return None
    if isinstance(said, tuple) and all(isinstance(one, Remembered) for one in said):
        return said
    if not isinstance(said, Mapping):
        raise DeclareError(where, '{("table", field("key")): field("value")}', f"{said!r:.60}")
    found = []
    for key, value in said.items():
        table, *parts = key if isinstance(key, tuple) else (key,)
        values = value if isinstance(value, tuple) else (value,)
        found.append(Remembered(_table(table, where), _key(parts, where), tuple(map(expression, values))))
    return tuple(found)


def check_remembered(header: str, said: tuple[Remembered, ...], fields: Fields) -> None:
    """Refuse keys and values of fields that are not there. DeclareError."""
    for one in said:
        where = f"{header}, remembers="
        for name in own_fields(one.key):
            _known(name, fields, where)
        for value in one.values:
            for leaf in value.leaves():
                if isinstance(leaf, Ref) and type(leaf) is not Ref:
                    raise DeclareError(where, "a field, or a rule of numbers and sizes, as a value", str(leaf))
                if isinstance(leaf, Ref | Size | Count):
                    _known(leaf.name, fields, where)
                    if leaf is not value and isinstance(leaf, Ref) and not fields[leaf.name].kind.is_number:
                        raise DeclareError(
                            where, "numbers in a rule", f"{leaf.name}, {fields[leaf.name].kind.in_words()}"
                        )
                elif not isinstance(leaf, Const) and not (isinstance(leaf, Elsewhere) and (leaf.out or leaf.path.isidentifier())):
                    raise DeclareError(where, "a field, or a rule of numbers and sizes, as a value", str(leaf))
        lists = [value for value in one.values if isinstance(value, Ref) and fields[value.name].kind.wire == "items"]
        if len(one.values) > 1 and len(lists) < len(one.values):
            raise DeclareError(where, "lists, of several values", str(one))


def check_recalled(header: str, f: Field, leaves: Iterable[Recalled], fields: Fields, before: list[Field]) -> None:
    """Refuse keys of fields that are not read before the field that needs them. DeclareError."""
    for leaf in leaves:
        for name in leaf.own:
            of = _known(name, fields, f"{header}.{f.name}, {leaf}")
            if f in before and of not in before[: before.index(f)]:
                raise DeclareError(
                    f"{header}.{f.name}, {leaf}", "a key of fields that are read before", f"{name}, a later one"
                )


def _known(name: str, fields: Fields, where: str) -> Field:
    if name not in fields:
        raise DeclareError(where, "a field of the header", name, suggestion(name, fields))
    return fields[name]
