"""What is remembered from packets for those after them, as plain data.

["recalled", "netflow", ["sender", ["field", "id"]], null]   a rule, its key and default
[["netflow", ["sender", ["field", "id"]], [["field", "fields"]]]]   what a header remembers
{"layout": [...], "size": "length", "kinds": [[8, {"kind": "ipv4"}], [[35632, 1], "text"]]}   a layout
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Expr
from packetlab.declare.kinds import Kind
from packetlab.declare.remembering.recalled import PacketEnd, Recalled, Remembered, recalled, receiver, sender
from packetlab.declare.remembering.records import LaidOut, LaidOutBy, RecordsKind
from packetlab.errors import DeclareError

Dump = Callable[[Expr], object]
Load = Callable[[object, str], Expr]
Spelled = Callable[[object, str], str]
ENDS = {"sender": sender, "receiver": receiver}
PLAIN = {"int": int, "bytes": bytes, "text": str}
MOST = 64  # parts of a key


def _list(data: object, where: str, least: int, most: int) -> list[Any]:
    if type(data) is not list or not least <= len(data) <= most:
        raise DeclareError(where, f"a list of {least} to {most} items", f"a {type(data).__name__}")
    return data


def _text(data: object, where: str) -> str:
    if type(data) is not str or len(data) > 100:
        raise DeclareError(where, "a text of up to 100 characters", f"a {type(data).__name__}")
    return data


# Keys ----------------------------------------------------------------------------------------------------------


def key_data(key: tuple[Expr, ...], dump: Dump) -> list[object]:
    """Return a key as plain data."""
    return [("receiver" if part.to else "sender") if isinstance(part, PacketEnd) else dump(part) for part in key]


def key_of_data(data: object, where: str, load: Load) -> list[Expr]:
    """Return the parts of a key."""
    return [
        ENDS[part]() if type(part) is str and part in ENDS else load(part, where)
        for part in _list(data, where, 0, MOST)
    ]


def _key_spelled(data: object, where: str, spelled: Spelled) -> list[str]:
    return [
        f"{part}()" if type(part) is str and part in ENDS else spelled(part, where)
        for part in _list(data, where, 0, MOST)
    ]


def recalled_data(rule: Recalled, dump: Dump) -> list[object]:
    """Return what a rule recalls as plain data."""
    return ["recalled", rule.table, key_data(rule.key, dump), rule.default]


def recalled_of_data(data: object, where: str, load: Load) -> Recalled:
    """Return what a rule recalls. DeclareError where it is no such thing."""
    word, called, key, default = _list(data, where, 4, 4)
    if word != "recalled" or (default is not None and type(default) is not int):
        raise DeclareError(where, "a value that is recalled", f"{word!r:.40}")
    found: Recalled = recalled(_text(called, where), *key_of_data(key, where, load), default=default)
    return found


def recalled_spelled(data: object, where: str, spelled: Spelled) -> str:
    """Return the Python that makes a value that is recalled."""
    _, called, key, default = _list(data, where, 4, 4)
    words = [ascii(_text(called, where)), *_key_spelled(key, where, spelled)]
    return f"recalled({', '.join(words + ([f'default={int(default)}'] if default is not None else []))})"


# What a header remembers ---------------------------------------------------------------------------------------


def remembered_data(said: tuple[Remembered, ...], dump: Dump) -> list[object]:
    """Return what a header remembers as plain data."""
    return [[one.table, key_data(one.key, dump), [dump(value) for value in one.values]] for one in said]


def remembered_by(header: Declaration, dump: Dump) -> dict[str, object]:
    """Return what a header itself says that it remembers, and not its base."""
    said = header.remembers
    new = said and not any(base.remembers is said for base in header.bases if base.fields)
    return {"remembers": remembered_data(said, dump)} if said and new else {}


def remembered_of_data(data: object, where: str, load: Load) -> dict[object, object]:
    """Return what a class says with ``remembers=``."""
    found: dict[object, object] = {}
    for entry in _list(data, where, 0, MOST):
        called, key, values = _list(entry, where, 3, 3)
        read = tuple(load(value, where) for value in _list(values, where, 1, MOST))
        found[(_text(called, where), *key_of_data(key, where, load))] = read if len(read) > 1 else read[0]
    return found


def remembered_spelled(data: object, where: str, spelled: Spelled) -> list[str]:
    """Return the Python that says what a header remembers, as an option of a class; none for nothing."""
    words = []
    for entry in _list(data, where, 0, MOST) if data is not None else ():
        called, key, values = _list(entry, where, 3, 3)
        some = [spelled(value, where) for value in _list(values, where, 1, MOST)]
        key_words = [ascii(_text(called, where)), *_key_spelled(key, where, spelled)]
        value = some[0] if len(some) == 1 else f"({', '.join(some)})"
        words.append(f"({', '.join(key_words)}{',' * (len(key_words) == 1)}): {value}")
    return [f"remembers={{{', '.join(words)}}}"] if words else []


# Layouts -------------------------------------------------------------------------------------------------------


def layout_data(kind: LaidOut, where: str, dump: Dump, of_kind: Callable[[Kind, str], object]) -> dict[str, object]:
    """Return how records are laid out as plain data."""
    one = kind.transforms[0]
    found: dict[str, object] = {
        word: value for word, value in one.parameters.items() if word not in ("layout", "kinds")
    }
    found["layout"] = recalled_data(one.given["layout"], dump)
    if one.kinds:
        words = {value: word for word, value in PLAIN.items()}
        found["kinds"] = [
            [
                [*number] if isinstance(number, tuple) else number,
                words[said] if said in words else of_kind(said, where),
            ]
            for number, said in one.kinds.items()
        ]
    return {"by": found}


def layout_of_data(data: object, where: str, load: Load, form_of: Callable[[Any, str], Any], maker: object) -> LaidOut:
    """Return the kind of records that are laid out so."""
    if type(data) is not dict or not {*data} <= {"layout", "size", "number", "enterprise", "align", "kinds"}:
        raise DeclareError(where, "a layout", f"a {type(data).__name__}")
    given = {word: value for word, value in data.items() if word not in ("layout", "kinds")}
    rule = recalled_of_data(data.get("layout"), where, load)
    kinds = {
        _number(number, where): PLAIN[said]
        if type(said) is str and said in PLAIN
        else form_of(said, where).kind(said, where, maker)
        for number, said in _kinds(data, where)
    }
    layout = Recalled(rule.table, rule.key, None, is_number=False)
    return LaidOut(RecordsKind(), (LaidOutBy(layout=layout, kinds=kinds or None, **given),), where)


def _kinds(data: dict[str, Any], where: str) -> list[list[Any]]:
    return [_list(entry, where, 2, 2) for entry in _list(data.get("kinds", []), where, 0, 1024)]


def _number(data: object, where: str) -> Any:
    number = tuple(data) if type(data) is list else data
    if not all(type(one) is int for one in (number if isinstance(number, tuple) else (number,))):
        raise DeclareError(where, "the number of a template's field", f"a {type(data).__name__}")
    return number


def layout_spelled(data: Any, right: str, where: str, spelled: Spelled, annotation: Callable[[Any], str]) -> str:
    """Return the right-hand side of a field of records."""
    words = [recalled_spelled(data.get("layout"), where, spelled)]
    words += [f"{word}={value!a}" for word, value in data.items() if word not in ("layout", "kinds")]
    names = {"int": "int", "bytes": "bytes", "text": "str"}
    some = [
        f"{_number(n, where)}: {names[said] if type(said) is str and said in names else annotation(said)}"
        for n, said in _kinds(data, where)
    ]
    words += [f"kinds={{{', '.join(some)}}}"] if some else []
    return f"laid_out({', '.join(words + ([f'value={right}'] if right else []))})"
