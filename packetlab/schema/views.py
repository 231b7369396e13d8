"""Kinds with two forms, and delimited ones, as plain data: the arguments of the function that makes one, and its type.

Rows of the table in `kinds`, which writes, reads and spells descriptions by them.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum, IntFlag, StrEnum
from fractions import Fraction
from math import isfinite
from typing import Any, NamedTuple, Protocol, get_args

from packetlab.declare.kinds import Kind
from packetlab.declare.values import digits, identifiers, names, scaled, text as texts, times
from packetlab.declare.values.digits import SpelledDigits
from packetlab.declare.values.views import RawValue, View
from packetlab.errors import BuildError, DeclareError
from packetlab.schema.expressions import name, number, safe_repr, table, text

LONGEST = 1 << 16


class EnumMaker(Protocol):
    """What makes enums of numbers of descriptions."""

    def enum(self, data: object, where: str) -> type[IntEnum | IntFlag]: ...


class _Row(NamedTuple):
    kind: type[Kind]
    make: Callable[..., Any]
    arguments: str
    says: str


_MADE: dict[str, _Row] = {
    "float": _Row(scaled.Float, scaled.Float, "bits little", "const when default"),
    "scaled": _Row(scaled.Scaled, scaled.scaled, "bits scale unit offset signed little", "user rule const when default"),
    "timestamp": _Row(times.Time, times.timestamp, "bits epoch unit signed little since", "rule const when default"),
    "duration": _Row(times.Duration, times.duration, "bits unit signed little", "rule const when default"),
    "uuid": _Row(identifiers.UUIDKind, identifiers.UUIDKind, "little", "const when default"),
    "bcd": _Row(identifiers.BCD, identifiers.bcd, "digits swapped filler", "user names rule none const when default"),
    "text": _Row(texts.TextKind, texts.text, "encoding taken fill rest space", "names none const when default"),
    "digits": _Row(digits.DigitsKind, digits.digits, "base width signed upper before space", "names none rule const when default"),
    "labels": _Row(names.Labels, names.labels, "since compress", "const when default"),
}
SAYS = {word: f"{row.arguments} {row.says}" for word, row in _MADE.items()}
"""Word of a description -> what a field of it may say."""
_TYPES: dict[str, type] = {"float": float, "Fraction": Fraction, "Decimal": Decimal, "int": int, "str": str}
_RENAMED = {"size": "taken", "pad": "fill"}  # of text, since a field says other things by these words
_FLAGS = ("signed", "little", "swapped", "rest", "compress", "upper")


def is_one(word: str, kind: Kind) -> bool:
    """Whether a kind is of the sort that a word names."""
    return type(kind) is _MADE[word].kind or (word == "text" and type(kind) is texts.SpacedText) or (word == "bcd" and type(kind) is identifiers.PackedNumber)


def arguments(word: str, kind: View) -> dict[str, object]:
    """Return a kind as plain data."""
    found: dict[str, object] = {key: one.hex() if isinstance(one, bytes) else one for key, one in kind.made_with.items()}
    for key, there in _RENAMED.items() if word == "text" else ():
        if key in found:
            found[there] = found.pop(key)
    if "user" in _MADE[word].says.split() and kind.user != {"scaled": "float", "bcd": "str"}[word]:
        found["user"] = kind.user
    enum = getattr(kind, "enum", None) or getattr(kind, "named", None)
    if enum is not None:
        found["names"] = {"name": enum.__name__, "members": {key: one.value for key, one in enum.__members__.items()}}
    return found


def _given(word: str, row: dict[str, object], where: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for key in _MADE[word].arguments.split():
        data = row.get(key)
        if data is None:
            continue
        key = {there: plain for plain, there in _RENAMED.items()}.get(key, key)
        if key in ("pad", "before", "space"):
            found[key] = bytes.fromhex(text(data, where, 64))
        elif key in _FLAGS:
            found[key] = bool(number(data, where, 0, 1))
        else:
            found[key] = number(data, where) if type(data) is int else text(data, where, 200)
    return found


def made(word: str, row: dict[str, object], where: str, maker: EnumMaker) -> Kind:
    """Return the kind that a description says."""
    try:
        kind: Kind = _MADE[word].make(**_given(word, row, where))
    except (TypeError, ValueError) as error:
        raise DeclareError(where, f"what {word} is made with", str(error)) from None
    if "names" in row:
        return kind.typed(_text_enum(row["names"], where) if word == "text" else maker.enum(row["names"], where), where)
    if "user" not in _MADE[word].says.split():
        return kind
    said = row.get("user", {"scaled": "float", "bcd": "str"}[word])
    if type(said) is not str or said not in _TYPES:
        raise DeclareError(where, f"a type: one of {', '.join(_TYPES)}", safe_repr(said))
    return kind.typed(_TYPES[said], where)


def _text_enum(data: object, where: str) -> type[StrEnum]:
    data = table(data, where, "name members")
    members = data.get("members")
    if type(members) is not dict or not 1 <= len(members) <= 4096:
        raise DeclareError(where, "names of values", safe_repr(members))
    for member, value in members.items():
        if hasattr(StrEnum, name(member, where)):
            raise DeclareError(where, "a name that is free", member)
        text(value, where, 1000)
    make: Any = StrEnum
    enum: type[StrEnum] = make(name(data.get("name"), where), members)
    return enum


def spelled(word: str, row: dict[str, object], where: str, enums: dict[str, None]) -> str:
    """Return the annotation of a description."""
    given = _given(word, row, where)
    written = ", ".join(
        f"{one!a}" if key in ("bits", "scale", "digits", "encoding", "base") else f"{key}={one!a}" for key, one in given.items()
    )
    if word == "float":
        return f"F{given['bits']}{'le' if given.get('little') else ''}"
    if word == "uuid":
        return "GUID" if given.get("little") else "UUID"
    alias = _ALIASES.get(repr(sorted(_MADE[word].make(**given).made_with.items()))) if word in ("timestamp", "duration") else None
    if alias is not None:
        return alias
    first = {"scaled": "float", "bcd": "str", "timestamp": "datetime", "duration": "timedelta", "text": "str", "digits": "int", "labels": "str"}[word]
    if "user" in row:
        first = name(row["user"], where)
    if "names" in row:
        names: Any = table(row["names"], where, "name members flags doc")
        first = f"Named[{name(names['name'], where)}]"
        base = "StrEnum" if word == "text" else "IntEnum"
        lines = [f"class {names['name']}({base}):"]
        lines += [f"    {name(key, where)} = {value!a}" for key, value in dict(names["members"]).items()]
        enums["\n".join(lines)] = None
    return f"Annotated[{first}, {word}({written})]"


_ALIASES = {
    repr(sorted(get_args(one)[1].made_with.items())): called
    for called, one in vars(times).items() if called.startswith(("NTP", "Unix"))
}  # fmt: skip
"""What a time or a duration is made with -> the annotation there is for it."""


# Values --------------------------------------------------------------------------------------------------------


def data_of_view(kind: Kind, raw: Any) -> object:
    """Return a raw value of a kind with two forms: text as it is, all else by the raw form; None for other kinds."""
    if isinstance(raw, SpelledDigits):
        return {"text": raw.spelled.decode("ascii")}
    if kind.as_raw is None or kind.orders_raw or (kind.is_number and type(raw) is int and kind.plain):
        return None
    raw = getattr(raw, "packed", raw)  # half bytes that are no digits
    value = kind.value(raw)
    value = value.value if isinstance(value, StrEnum) else value
    if type(value) is str and kind.raw(value, "") == raw:
        return {"text": value}
    return {"raw": int(raw) if isinstance(raw, int) else raw.hex()}


def view_of_data(data: object, where: str) -> RawValue | None:
    """Return the raw value that `data` stands for, None where it stands for something else."""
    if type(data) is not dict or [*data] != ["raw"]:
        return None
    one = data["raw"]
    try:
        return RawValue(number(one, where) if type(one) is int else bytes.fromhex(text(one, where, 2 * LONGEST)))
    except ValueError:
        raise DeclareError(where, "bytes in hexadecimal", safe_repr(one)) from None


def written_view(kind: Kind, given: RawValue, where: str) -> str:
    """Return what to write in a class body for a raw value: a number where that gives it again."""
    try:
        raw = kind.raw(given, where)
        value = kind.value(raw)
        if type(value) in (int, float) and isfinite(value) and kind.raw(value, where) == raw:
            return repr(value)
    except BuildError as error:
        raise DeclareError(where, error.expected, error.got) from None
    return repr(given)
