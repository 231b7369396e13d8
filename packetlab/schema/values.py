"""Values of fields as plain data: numbers as they are, bytes in hexadecimal, headers as dicts of their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.codec.objects import classes as classes_of
from packetlab.declare.kinds import Kind
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.values.varints import Spelled
from packetlab.errors import DeclareError
from packetlab.schema import views
from packetlab.schema.expressions import expect_list, number, safe_repr, table, text

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration

LONGEST = 1 << 16  # bytes and letters of a value
REFINED = "_class"  # the key for the name of a header's class in data of its fields; no field has a name like that

def data_of_value(kind: Kind, raw: Any, where: str) -> Any:
    """Return a raw value: numbers as they are, bytes in hexadecimal, headers as dicts of their fields.

    Of kinds of somebody's own it is what users write, if that is a number, a text or bytes; else its bytes in a packet.
    """
    if kind.transforms:
        return data_of_value(kind.inner, raw.inner, where) if raw.opened else {"raw": raw.hex()}  # type: ignore[attr-defined]
    if kind.wire == "items":
        if isinstance(raw, bytes):
            return raw.hex()
        return [_item_data(item, kind.item, where) for item in raw]
    view = views.data_of_view(kind, raw)
    if view is not None:
        return view
    if type(raw) is Spelled:
        return {"number": int(raw), "size": raw.size}
    if kind.element is not None:
        return [data_of_value(kind.element, one, where) for one in kind.raws(raw)]
    value = raw if kind.verbatim else kind.value(raw)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return {"text": value}
    if kind.verbatim:
        return raw.hex()
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    return {"packet": (kind.write(raw) if kind.wire == "coded" else raw).hex()}


def written_of_data(data: object, where: str) -> int | str | bytes | None:
    """Return what users write for a value of a kind of somebody's own; None where `data` is the bytes of a packet."""
    if type(data) is int:
        return number(data, where)
    if type(data) is dict and [*data] == ["number", "size"]:
        return Spelled(number(data["number"], where), number(data["size"], where, 0, LONGEST))
    if type(data) is dict and [*data] == ["text"]:
        return text(data["text"], where, LONGEST)
    if type(data) is dict and [*data] == ["bytes"]:
        return hexadecimal(data["bytes"], where)
    return None


def hexadecimal(data: object, where: str) -> bytes:
    """Return bytes that are written in hexadecimal. DeclareError for anything else."""
    try:
        return bytes.fromhex(text(data, where, 2 * LONGEST))
    except ValueError:
        raise DeclareError(where, "bytes in hexadecimal", safe_repr(data)) from None


def value_of_data(kind: Kind, data: object, where: str) -> Any:
    """Return the value that `data` stands for, to be given to a header."""
    given = views.view_of_data(data, where)
    if given is not None:
        return given
    if kind.transforms:
        return value_of_data(kind.inner, data, where)  # type: ignore[attr-defined]
    if kind.wire == "number":
        return number(data, where, kind.low, kind.high)
    if kind.wire == "items":
        items = tuple(_item(one, kind.item, where) for one in expect_list(data, where, 1 if kind.one else 256))
        return items[0] if kind.one and items else items
    if kind.element is not None:
        return tuple(value_of_data(kind.element, one, where) for one in expect_list(data, where, 256))
    written = written_of_data(data, where)
    if written is not None:
        return written
    raw = hexadecimal(data["packet"] if type(data) is dict and [*data] == ["packet"] else data, where)
    if kind.verbatim:
        return raw
    found = kind.read(raw, 0, len(raw)) if kind.wire == "coded" else (raw, len(raw))
    if found is None or found[1] != len(raw) or (kind.bits is not None and len(raw) * 8 != kind.bits):
        raise DeclareError(where, f"a whole {type(kind).__name__}", safe_repr(data))
    return kind.value(found[0])


def _item_data(one: AnyHeader, item: Declaration, where: str) -> dict[str, object]:
    """Return a header as a dict of what was given of its fields, and the name of its class where it refines that of the items."""
    said = one._declaration
    found = {} if said is item else {REFINED: said.name}
    if said is not item and _refined(item, said.name) is not said:
        raise DeclareError(where, f"headers of class {item.name}, or of one that refines it", said.name)
    given = [f for f in one._fields if one._state & f.bit and getattr(one, f.slot) is not None]
    return {**found, **{f.name: data_of_value(f.kind, getattr(one, f.slot), where) for f in given}}


def classes_in(data: object) -> list[object]:
    """Return the names of classes that stand in data of headers, at any depth."""
    found: list[object] = []
    todo = [data]
    while todo:
        one = todo.pop()
        todo += one.values() if isinstance(one, dict) else one if isinstance(one, list) else []
        found += [one[REFINED]] if isinstance(one, dict) and REFINED in one else []
    return found


def _refined(item: Declaration, called: object) -> Declaration | None:
    """Return the header of a name that refines another, or what refines that."""
    for one in refinements(item):
        found = one if one.name == called else _refined(one, called)
        if found is not None:
            return found
    return None


def _item(data: object, item: Declaration, where: str) -> AnyHeader:
    if type(data) is dict and REFINED in data:
        found = _refined(item, data[REFINED])
        if found is None:
            raise DeclareError(where, f"a header that refines {item.name}", safe_repr(data[REFINED]))
        data, item = {one: value for one, value in data.items() if one != REFINED}, found
    data = table(data, where, item.by_name)
    made: AnyHeader = classes_of[item](
        **{one: value_of_data(item.by_name[one].kind, v, where) for one, v in data.items()}
    )
    return made
