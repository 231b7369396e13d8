"""Kinds of a user's own as plain data: where the class is found, and the arguments that it was made with."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any

from packetlab.declare.kinds import Kind
from packetlab.errors import DeclareError
from packetlab.schema.expressions import name, number, safe_repr, text

ARGUMENTS = 16  # of a kind


def import_name(kind: type[Kind]) -> str:
    """Return where a class of kinds is found: "module.Class"."""
    return f"{kind.__module__}.{kind.__qualname__}"


def own_data(kind: Kind, where: str) -> dict[str, object]:
    """Return the name of the class, and the arguments it was made with: attributes of the same names."""
    made: Any = type(kind).__init__
    given = {}
    for one in list(signature(made).parameters.values())[1:] if made is not object.__init__ else ():
        value = getattr(kind, one.name, None)
        if value is one.default:
            continue
        if one.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD) or type(value) not in (int, str, bool):
            expected = f"numbers and texts that {type(kind).__name__} is made with, in attributes of the same names"
            raise DeclareError(where, expected, f"{one.name} of {type(value).__name__}, which is code")
        given[one.name] = value
    return {"of": import_name(type(kind)), **({"given": given} if given else {})}


def arguments(row: dict[str, object], where: str) -> dict[str, object]:
    given = row.get("given", {})
    if type(given) is not dict or len(given) > ARGUMENTS:
        raise DeclareError(where, f"{ARGUMENTS} arguments of a kind at most", safe_repr(given))
    for one, value in given.items():
        name(one, where)
        if type(value) is str:
            text(value, where, 1000)
        elif type(value) is not bool:
            number(value, where)
    return given
