"""Values of fields as plain data: numbers as they are, bytes in hexadecimal, headers as dicts of their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.codec.objects import classes as classes_of
from packetlab.declare.kinds import Kind
from packetlab.declare.values.varints import Spelled
from packetlab.errors import DeclareError
from packetlab.schema import views
from packetlab.schema.expressions import expect_list, number, safe_repr, table, text

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration

LONGEST = 1 << 16  # bytes and letters of a value

def data_of_value(kind: Kind, raw: Any, where: str) -> Any:
    """Return a raw value: numbers as they are, bytes in hexadecimal, headers as dicts of their fields.

    Of kinds of somebody's own it is what users write, if that is a number, a text or bytes; else its bytes in a packet.
    """
    if kind.transforms:
        return data_of_value(kind.inner, raw.inner, where) if raw.opened else {"raw": raw.hex()}  # type: ignore[attr-defined]
    if kind.wire == "items":
        if isinstance(raw, bytes):
            return raw.hex()
        if any(getattr(item, "_declaration", None) is not kind.item for item in raw):
            raise DeclareError(where, f"headers of class {kind.item.name}", "others")
        return [
            {
                g.name: data_of_value(g.kind, getattr(item, g.slot), where)
                for g in item._fields
                if item._state & g.bit and getattr(item, g.slot) is not None
            }
            for item in raw
        ]
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


def _item(data: object, item: Declaration, where: str) -> AnyHeader:
    data = table(data, where, item.by_name)
    made: AnyHeader = classes_of[item](
        **{one: value_of_data(item.by_name[one].kind, v, where) for one, v in data.items()}
    )
    return made
