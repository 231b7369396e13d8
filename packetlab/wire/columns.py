"""Columns: one value of each packet, named as ``ip.src``, ``ip#2.src`` (the second such header), ``idp.dst.net``.

Owns what a column is and what it holds of one packet (`value`), which is how compiled decoders (`tracing`) are checked
and what they fall back on. Knows nothing of files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packetlab.errors import BuildError, suggestion
from packetlab.wire import linktypes as _all_headers  # noqa: F401  a column may be of any of them
from packetlab.wire.bindings import declared, header_named
from packetlab.wire.fields import Address, Bytes, Int, Items, PayloadMark
from packetlab.wire.filter import ALIASES
from packetlab.wire.header import Field, Header, HeaderType
from packetlab.wire.pack import encode_items

if TYPE_CHECKING:
    from packetlab.wire.packet import Packet

XNS_PARTS = {"net": (0, 4), "host": (4, 6), "socket": (10, 2)}
"""Part of an XNS address -> where it begins in it, and its size."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: as it was asked for. header: class of the header. occurrence: the how-manieth of its kind, from 1.
        field: the declared field; None for whether the header is there, or for its payload.
        part: "net", "host", "socket" of an XNS address; "payload" for the octets above the header.
        form: "present" (a truth value), "number", "octets" (of a fixed size) or "bytes" (of any size).
        dtype: kind of the numpy array, such as "u2", "V6"; "O" for bytes.
    """

    name: str
    header: type[Header]
    occurrence: int
    field: Field | None
    part: str
    form: str
    dtype: str

    @property
    def skip(self) -> int:
        """Octets from the start of the field to the part."""
        return XNS_PARTS[self.part][0] if self.part in XNS_PARTS else 0

    @property
    def width(self) -> int:
        """Octets of a value; of numbers in the array, of octets in the packet."""
        return int(self.dtype[1:]) if self.dtype != "O" else 0

    def value(self, packet: Packet) -> Any:
        """Return what the column holds of one packet: a truth value, a number, octets; None where it is absent."""
        seen = 0
        for place, header in enumerate(packet.layers):
            if isinstance(header, self.header):
                seen += 1
                if seen == self.occurrence:
                    return self._of(packet, place, header)
        return None

    def _of(self, packet: Packet, place: int, header: Header) -> Any:
        if self.form == "present":
            return True
        if self.part == "payload":
            return packet._build()[0][place]
        assert self.field is not None
        raw = getattr(header, self.field.slot)
        if raw is None:
            return None
        if self.part:
            raw = raw[self.skip : self.skip + XNS_PARTS[self.part][1]]
        if self.form == "number" and isinstance(raw, bytes):
            return int.from_bytes(raw, "big")
        return encode_items(raw, 0) if isinstance(self.field.kind, Items) else raw


def column(spec: Any) -> Column:
    """Return the column that `spec` names: text, a declared field, a header class, or (class, number from 0, field name).

    BuildError where there is no such header or field.
    """
    if isinstance(spec, Column):
        return spec
    if isinstance(spec, Field):
        return _column(f"{spec.header.__name__.lower()}.{spec.name}", spec.header, 1, [spec.name])
    if isinstance(spec, HeaderType):
        return _column(spec.__name__.lower(), spec, 1, [])  # type: ignore[arg-type]
    if isinstance(spec, tuple) and len(spec) == 3:
        header, number, name = spec
        mark = f"#{number + 1}" if number else ""
        return _column(f"{header.__name__.lower()}{mark}.{name}", header, number + 1, name.split("."))
    if not isinstance(spec, str):
        raise BuildError("column", "a name such as 'ip.src', a field or a header class", repr(spec))
    found = re.fullmatch(r"([A-Za-z_]\w*)(?:#(\d+))?((?:\.\w+)*)", spec)
    if found is None:
        raise BuildError(f"column {spec!r}", "header, header.field or header#2.field", "something else")
    named = header_named(ALIASES.get(found[1].lower(), found[1]))
    if named is None:
        known = [*ALIASES, *(cls.__name__.lower() for cls in declared())]
        raise BuildError(f"column {spec!r}", "a header", found[1], suggestion(found[1].lower(), known))
    occurrence = int(found[2] or 1)
    if occurrence < 1:
        raise BuildError(f"column {spec!r}", "a number from 1 on behind #", occurrence)
    return _column(spec, named, occurrence, found[3].split(".")[1:])


def _column(name: str, header: type[Header], occurrence: int, path: list[str]) -> Column:
    if not path:
        return Column(name, header, occurrence, None, "", "present", "?")
    field = header._by_name.get(path[0])
    if (field is None or isinstance(field.kind, PayloadMark)) and path == ["payload"]:
        return Column(name, header, occurrence, None, "payload", "bytes", "O")
    if path[0] == "payload":
        raise BuildError(f"column {name!r}", "no part of a payload", ".".join(path[1:]))
    if field is None:
        raise BuildError(
            f"column {name!r}",
            f"a field of {header.__name__}",
            path[0],
            suggestion(path[0], [*header._by_name, "payload"]),
        )
    kind, part = field.kind, ".".join(path[1:])
    if part and (part not in XNS_PARTS or kind.bits != 96):
        raise BuildError(f"column {name!r}", f"a field of {header.__name__}", ".".join(path))
    if part:
        size = XNS_PARTS[part][1]
        return Column(
            name, header, occurrence, field, part, *(("octets", "V6") if size == 6 else ("number", f"u{size}"))
        )
    if isinstance(kind, Int):
        size = next(size for size in (1, 2, 4, 8) if kind.bits <= size * 8)
        return Column(name, header, occurrence, field, "", "number", f"{'i' if kind.signed else 'u'}{size}")
    if isinstance(kind, Address) and kind.size == 4:
        return Column(name, header, occurrence, field, "", "number", "u4")
    if isinstance(kind, (Address, Bytes)) and kind.bits is not None:
        return Column(name, header, occurrence, field, "", "octets", f"V{kind.bits // 8}")
    return Column(name, header, occurrence, field, "", "bytes", "O")
