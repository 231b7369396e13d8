"""Transforms as plain data: a name and parameters. Keys have names there, and are never written; functions of somebody's own are code."""

from __future__ import annotations

from collections.abc import Callable

from packetlab.declare.checksums.parts import SumPart, span
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Expr
from packetlab.declare.transforms import letters, masks, packed, stuffing
from packetlab.declare.transforms.carried import Through
from packetlab.declare.transforms.ciphers import aead, cipher
from packetlab.declare.transforms.transform import Secret, Transform, Value, secret, written
from packetlab.errors import DeclareError
from packetlab.schema.expressions import (
    dump_expression,
    expect_list,
    load_expression,
    name,
    number,
    safe_repr,
    table,
    text,
)
from packetlab.schema.values import hexadecimal

MOST = 8  # transforms of one field

MAKERS: dict[str, Callable[..., Transform]] = {
    made.__name__: made
    for made in (
        packed.zlib, packed.deflate, packed.gzip, packed.zstd, stuffing.hdlc, stuffing.slip, stuffing.cobs, letters.base64,
        letters.base16, masks.xor, masks.whitened, masks.ble_whitened, aead, cipher,
    )
}  # fmt: skip
"""Name of a transform -> what makes it."""


def data_of_transforms(kind: Through | Declaration, where: str) -> list[object]:
    """Return the transforms of a field as plain data. DeclareError for code, and for a key in place of its name."""
    found: list[object] = []
    for one in (kind.transforms if isinstance(kind, Through) else kind.through or ()):
        if not one.travels:
            hint = "what is declared with it stays in the program that has the functions"
            raise DeclareError(where, "transforms by name and parameters", f"{one!r}, which is code", hint)
        if isinstance(one.given.get("key"), bytes) and one.name in ("aead", "cipher"):
            raise DeclareError(where, "a key by its name: key=secret('lab')", "the key itself, which goes into no file")
        found.append({"transform": one.name, **{word: _data(value) for word, value in one.parameters.items()}})
    return found


def _data(value: object) -> object:
    if isinstance(value, Expr):
        return {"rule": dump_expression(value)}
    if isinstance(value, SumPart):
        return {value.word: [*value.names]}
    if isinstance(value, Secret):
        return {"secret": value.name}
    return {"bytes": value.hex()} if isinstance(value, bytes) else int(value) if isinstance(value, bool) else value


def transforms_of(data: object, where: str) -> tuple[Transform, ...]:
    """Return the transforms that a description names."""
    found = []
    for entry in expect_list(data, where, MOST, 1):
        word = entry.get("transform") if type(entry) is dict else None
        if type(word) is not str or word not in MAKERS:
            raise DeclareError(where, f"a transform: one of {', '.join(MAKERS)}", safe_repr(word))
        given = {key: _value(value, where) for key, value in entry.items() if key != "transform"}
        only = given.pop("when", None)
        if only is not None and not isinstance(only, Expr):
            raise DeclareError(where, "a rule as when", safe_repr(entry["when"]))
        try:
            made = MAKERS[word](**{name(key, where): value for key, value in given.items()})
        except TypeError as error:
            raise DeclareError(where, f"what {word} is made with", str(error)) from None
        found.append(made if only is None else made.only(only))
    return tuple(found)


def _value(data: object, where: str) -> Value:
    if type(data) is int:
        return number(data, where) if data not in (0, 1) else data
    if type(data) is str:
        return text(data, where, 100)
    one = table(data, where, "rule secret bytes span")
    if len(one) != 1:
        raise DeclareError(where, "a parameter of a transform", safe_repr(data))
    ((word, said),) = one.items()
    if word == "span":
        return span(*(text(one, where, 200) for one in expect_list(said, where, 2, 2)))
    if word == "rule":
        return load_expression(said, where)
    return secret(text(said, where, 100)) if word == "secret" else hexadecimal(said, where)


def link_spelled(data: object, where: str, spelled: Callable[[object, str], str]) -> str:
    """Return what a class says with through=."""
    all_of = [_spelled(one, entry, where, spelled) for one, entry in zip(transforms_of(data, where), expect_list(data, where, MOST), strict=True)]
    return all_of[0] if len(all_of) == 1 else f"({', '.join(all_of)})"


def _spelled(one: Transform, entry: dict[str, Value], where: str, spelled: Callable[[object, str], str]) -> str:
    words = []
    for key, value in entry.items():
        if key not in ("transform", "when"):
            rule = type(value) is dict and "rule" in value
            words.append(f"{key}={spelled(value['rule'], where) if rule else written(one.given[key])}")
    return f"{one.name}({', '.join(words)})"


def spelled_transforms(data: object, right: str, where: str, spelled: Callable[[object, str], str]) -> str:
    """Return the right-hand side of a field with such transforms around what else it says."""
    for one, entry in zip(reversed(transforms_of(data, where)), reversed(expect_list(data, where, MOST)), strict=True):
        only = f", when={spelled(entry['when']['rule'], where)}" if one.late.get("when") is not None else ""
        right = f"through({_spelled(one, entry, where, spelled)}{f', {right}' if right else ''}{only})"
    return right
