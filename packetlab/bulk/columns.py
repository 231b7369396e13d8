"""Columns: one value of each packet, named as ``ip.src``, ``ip#2.src`` (the second such header), ``idp.dst.net``.

Owns what a column is and what it holds of one packet (`value`), which is how compiled decoders (`scan`) are checked
and what they fall back on. Knows nothing of files. What names mean `paths` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packetlab.codec.objects import classes
from packetlab.declare.declaration import Declaration
from packetlab.declare.fields import Field
from packetlab.declare.kinds import Kind, Raw, Wire
from packetlab.declare.values.views import smallest
from packetlab.errors import BuildError
from packetlab.escaping import bytes_text
from packetlab.packet.header import HeaderType
from packetlab.packet.text import labelled_items
from packetlab.pattern.paths import FieldPath

if TYPE_CHECKING:
    from packetlab.declare.values.views import Array as Values
    from packetlab.packet.packet import Packet


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: as it was requested. path: what it means.
        form: "present" (a truth value), "number", "fixed" (bytes of one size), "bytes" (of any size) or "objects" (raw values
            of a kind of the user's own that are none of these).
        dtype: kind of the numpy array, such as "u2", "V6"; "O" for bytes and objects.
    """

    name: str
    path: FieldPath
    form: str
    dtype: str

    @property
    def declaration(self) -> Declaration:
        return self.path.header._declaration

    @property
    def occurrence(self) -> int:
        """The how-manieth of its kind, from 1."""
        return self.path.occurrence

    @property
    def own(self) -> str:
        """The name of the field, "payload", or "" for whether the header is there."""
        return self.path.names[0] if self.path.names else ""

    @property
    def width(self) -> int:
        """Bytes of a value in the array, where it has a fixed size."""
        return int(self.dtype[1:]) if self.dtype != "O" else 0

    def value(self, packet: Packet) -> Raw:
        """Return what the column holds of one packet: a truth value, a number, bytes; None where it is absent."""
        for place in self.path.found(packet):
            if self.path.every:
                return tuple(self.path.raw_values(packet, place))
            for raw in self.path.raw_values(packet, place):
                if self.form == "present":
                    return True
                return int.from_bytes(raw, "big") if self.form == "number" and isinstance(raw, bytes) else raw
        return None

    @property
    def kind(self) -> Kind:
        """The kind of what it holds."""
        return Several(self.path.kind) if self.path.every else self.path.kind

    @property
    def view(self) -> Kind | None:
        """The kind that makes the user's form of what the column holds; None where that is shown as it is."""
        kind = self.kind
        return kind if self.form != "present" and kind.as_raw is not None and not kind.orders_raw else None

    def text(self, value: Raw) -> str:
        """Return a value as people read it, with nothing in it that a terminal would act on."""
        if self.form == "present":
            return str(value)
        kind = self.kind
        if kind.is_address and self.form == "number":
            value = value.to_bytes(kind.fixed_bits // 8, "big")
        if kind.wire == "items":
            fields = self.path.fields
            return labelled_items(fields[-1], value) if fields and fields[-1].kind is kind else bytes_text(value)
        return kind.text(value)


class Several(Kind):
    """A tuple of values of one kind, as a column holds them of one packet. Raw: the tuple of raw values."""

    wire: Wire = "coded"
    words = "values"

    def __init__(self, one: Kind) -> None:
        self.of, self.as_raw = one, self

    def value(self, raw: tuple[Raw, ...]) -> tuple[Raw, ...]:
        return raw if self.of.wire == "items" else tuple(map(self.of.value, raw))

    def text(self, raw: tuple[Raw, ...]) -> str:
        shown = bytes_text if self.of.wire == "items" else self.of.text
        return ", ".join(map(shown, raw)) or "none"


def shown_dtype(kind: Kind) -> str:
    """Return the kind of numpy array that holds the user's form of a kind's values, "O" where these are no numbers."""
    return getattr(kind, "dtype", "O")


def shown_array(kind: Kind, numbers: Values) -> Values:
    """Return raw numbers of a kind in the user's form."""
    made: Values = kind.array(numbers)  # type: ignore[attr-defined]
    return made


def column(spec: object) -> Column:
    """Return the column that `spec` names: text, a declared field, a header class, or (class, number from 0, field name).

    BuildError where there is no such header or field.
    """
    if isinstance(spec, Column):
        return spec
    if isinstance(spec, Field):
        return _column(FieldPath(classes[spec.owner], 1, (spec,)))
    if isinstance(spec, HeaderType):
        return _column(FieldPath(spec, 1))  # type: ignore[arg-type]
    if isinstance(spec, tuple) and len(spec) == 3:
        header, number, name = spec
        return _column(FieldPath.of(header, name.split("."), f"column {name!r}", number + 1))
    if not isinstance(spec, str):
        raise BuildError("column", "a name such as 'ip.src', a field or a header class", repr(spec))
    path = FieldPath.parse(spec, f"column {spec!r}")
    return _column(path._replace(occurrence=path.occurrence or 1), spec)


def _column(path: FieldPath, name: str = "") -> Column:
    name, kind = name or path.name, path.kind
    if not path.names:
        return Column(name, path, "present", "?")
    if "any" in path.picks:
        raise BuildError(f"column {name!r}", "one value, or all", "any of them", "[0] is the first, [all] a tuple")
    path = path.of_each("all")
    if path.every:
        return Column(name, path, "objects", "O")
    worded = kind.wire == "coded" and kind.as_raw is not None  # where a bad value is no number
    dtype = smallest(kind.low, kind.high) if (kind.is_number or kind.wire == "number") and not worded else "O"
    if dtype != "O":
        return Column(name, path, "number", dtype)
    if kind.wire in ("coded", "number") or kind.transforms:
        return Column(name, path, "objects", dtype)
    if kind.is_address and kind.bits == 32:
        return Column(name, path, "number", "u4")
    if kind.verbatim and kind.bits is not None:
        return Column(name, path, "fixed", f"V{kind.bits // 8}")
    return Column(name, path, "bytes", "O")
