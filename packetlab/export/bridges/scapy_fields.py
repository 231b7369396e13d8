"""One declared field as a scapy field, and its values in scapy's form and ours.

What scapy shows, converts and fuzzes goes by these fields; packing and reading a whole header is left to the
declaration itself (see `scapy_declared`), so the two cannot disagree about bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntFlag
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from packetlab.codec.objects import AnyHeader, classes
from packetlab.declare.fields import REQUIRED, Field
from packetlab.declare.kinds import Kind, Raw
from packetlab.declare.values.addresses import XNSAddress, xns_bytes
from packetlab.declare.values.views import given
from packetlab.escaping import printable
from packetlab.export.bridges.counterparts import is_required
from packetlab.packet.foreign import Foreign

if TYPE_CHECKING:
    from packetlab.packet.packet import Header

ScapyField: TypeAlias = Any
"""A field of scapy's, of a class that may be made at run time."""
Classes = Callable[[type[AnyHeader]], type[Foreign]]  # of headers of ours, to those made for them
Scope = Callable[[Foreign], Any]
"""From a packet of scapy's to what expressions are evaluated against."""


def scapy_field(f: Field, name: str, shares: bool, scope: Scope, item: Classes) -> ScapyField:
    """Return the scapy field for a declared one.

    `name` is what it is called there, `shares` whether its bytes are others' too, `scope` gives the values its rules ask for, `item` the scapy class of repeated ones.
    """
    from scapy.fields import ConditionalField

    kind = f.kind
    derived = f.rule is not None or bool(f.pad)
    absent = derived or f.condition is not None or f.default is None or f.default is REQUIRED
    default = f.kind.zero if is_required(f) else None if absent else f.default
    if default is not None:
        default = to_scapy_value(kind, default, item)
    made: ScapyField
    if kind.wire == "number":
        made = _number(kind, name, default, shares)
    elif kind.counted:
        made = _address(kind, name, default)
    elif kind.wire == "items":
        made = _items(f, name, default, scope, item)
    elif not (kind.verbatim and kind.orders_raw):
        made = _own_fields()["KindField"](name, default, kind)
    else:
        made = _bytes_field(f, name, default, scope)
    if f.condition is None:
        return made
    if f.left:  # there where it was given, or read
        return ConditionalField(made, lambda packet: packet.fields.get(name) is not None)
    condition = f.condition
    return ConditionalField(made, lambda packet: bool(condition.evaluate(scope(packet))))


def to_scapy_value(kind: Kind, raw: Raw, item: Classes) -> Raw:
    """Return a raw value of ours as scapy keeps it: numbers, bytes, addresses as text, repeated headers as packets."""
    if kind.counted:
        return kind.text(raw)
    if kind.wire == "items":
        from scapy.packet import Raw

        return [Raw(one) if isinstance(one, bytes) else item_packet(one, item) for one in raw]
    return raw if kind.wire == "number" or (kind.verbatim and kind.orders_raw) else kind.value(raw)


def item_packet(one: Header, item: Classes) -> Foreign:
    """Return one of repeated headers as scapy keeps it."""
    made = item(type(one))
    if not (one._declaration.in_bits or one._declaration.outer_leaves):
        return made(bytes(one))
    there = {f.name: getattr(one, f.slot) for f in one._fields}  # alone it has no bytes, or others
    return made(**{name: to_scapy_value(one._by_name[name].kind, raw, item) for name, raw in there.items() if raw is not None})


def from_scapy_value(kind: Kind, value: Raw, header_of: Callable[[Foreign], Header]) -> Raw:
    """Return a value that scapy keeps as one that a header of ours takes."""
    if kind.wire == "number":
        return given(kind, int(value)) if not isinstance(value, str) else value
    if kind.counted:
        return value if isinstance(value, bytes) else str(value)  # scapy may keep one as a network of its own
    if kind.wire == "items":
        if any(not hasattr(one, "declared_header") for one in value):
            return b"".join(map(bytes, value))
        return kind.value(tuple(map(header_of, value)))
    return value


def _number(kind: Kind, name: str, default: object, shares: bool) -> ScapyField:
    from scapy import fields

    bits = kind.fixed_bits
    if kind.names is not None and not kind.little and not kind.signed:
        if issubclass(kind.names, IntFlag):
            known = {
                int(member).bit_length() - 1: printable(member.name)
                for member in kind.names
                if int(member).bit_count() == 1
            }
            return fields.FlagsField(name, default, bits, [known.get(bit) or f"bit{bit}" for bit in range(bits)])
        names = {int(member): printable(member.name) for member in kind.names}
        whole = {8: fields.ByteEnumField, 16: fields.ShortEnumField, 32: fields.IntEnumField, 64: fields.LongEnumField}
        if bits in whole and not shares:
            return whole[bits](name, default, names)
        return fields.BitEnumField(name, default, bits, names)
    big = {
        8: fields.ByteField,
        16: fields.ShortField,
        24: fields.ThreeBytesField,
        32: fields.IntField,
        64: fields.LongField,
    }
    big_signed = {
        8: fields.SignedByteField,
        16: fields.SignedShortField,
        32: fields.SignedIntField,
        64: fields.SignedLongField,
    }
    little = {16: fields.LEShortField, 24: fields.LEThreeBytesField, 32: fields.LEIntField, 64: fields.LELongField}
    little_signed = {16: fields.LESignedShortField, 32: fields.LESignedIntField, 64: fields.LESignedLongField}
    table = ((big, big_signed), (little, little_signed))[kind.little][kind.signed]
    if bits in table and not shares:
        return table[bits](name, default)
    own = _own_fields()
    if kind.little:
        return own["LittleField"](name, default, bits // 8, kind.signed)
    return (own["SignedBitField"] if kind.signed else fields.BitField)(name, default, bits)


def _address(kind: Kind, name: str, default: object) -> ScapyField:
    from scapy.fields import IP6Field, IPField, MACField

    if kind.bits == 96:
        return _own_fields()["XNSField"](name, default)
    return {4: IPField, 6: MACField, 16: IP6Field}[kind.fixed_bits // 8](name, default)


def _bytes_field(f: Field, name: str, default: object, scope: Scope) -> ScapyField:
    from scapy.fields import StrField, StrFixedLenField, StrLenField

    if f.kind.bits is not None:
        return StrFixedLenField(name, default, length=f.kind.bits // 8)
    if f.size is not None:
        size = f.size
        return StrLenField(name, default, length_from=lambda packet: size.evaluate(scope(packet)))
    return StrField(name, default)


def _items(f: Field, name: str, default: object, scope: Scope, item: Classes) -> ScapyField:
    from scapy.fields import PacketListField

    kind = f.kind
    assert kind.wire == "items"
    bounds: dict[str, object] = {}
    if f.size is not None:
        size = f.size
        bounds["length_from"] = lambda packet: size.evaluate(scope(packet))
    elif f.count is not None:
        count = f.count
        bounds["count_from"] = lambda packet: count.evaluate(scope(packet))
    made = PacketListField(name, default if f.condition is not None else default or [], item(classes[kind.item]), **bounds)
    if f.none is not None:
        made.default = None  # no list: an empty one would be a value
    return made


@cache
def _own_fields() -> dict[str, type[ScapyField]]:
    """Field classes that scapy lacks; made when scapy has been imported."""
    from scapy.fields import BitField, Field as Own

    class XNSField(Own):  # type: ignore[misc]
        """An XNS address, kept as text."""

        def __init__(self, name: str, default: object) -> None:
            super().__init__(name, default, "12s")

        def any2i(self, pkt: object, x: Raw) -> Raw:
            return x if x is None else str(XNSAddress.of(x))

        h2i = any2i

        def i2m(self, pkt: object, x: object) -> bytes:
            return xns_bytes(x or "0")

        def m2i(self, pkt: object, x: bytes) -> str:
            return str(XNSAddress.of(x))

        def i2repr(self, pkt: object, x: object) -> str:
            return str(x)

    class SignedBitField(BitField):  # type: ignore[misc]
        """A two's complement number of any count of bits."""

        def i2m(self, pkt: object, x: Raw) -> Raw:
            return (x or 0) & (1 << self.size) - 1

        def m2i(self, pkt: object, x: Raw) -> Raw:
            return x - (1 << self.size) if x >> self.size - 1 else x

    class LittleField(Own):  # type: ignore[misc]
        """A little-endian number of any count of bytes."""

        __slots__ = ["signed", "width"]

        def __init__(self, name: str, default: object, width: int, signed: bool) -> None:
            super().__init__(name, default, f"{width}s")
            self.width, self.signed = width, signed

        def i2m(self, pkt: object, x: Raw) -> bytes:
            return int(x or 0).to_bytes(self.width, "little", signed=self.signed)

        def m2i(self, pkt: object, x: bytes) -> int:
            return int.from_bytes(x, "little", signed=self.signed)

    class KindField(Own):  # type: ignore[misc]
        """A value of a user's kind, as the kind shows it; packing and reading are the declaration's."""

        __slots__ = ["kind"]

        def __init__(self, name: str, default: object, kind: Kind) -> None:
            super().__init__(name, default, "0s")
            self.kind = kind

        def i2repr(self, pkt: object, x: object) -> str:
            return "None" if x is None else self.kind.text(self.kind.raw(x, self.name))

    return {"KindField": KindField, "XNSField": XNSField, "SignedBitField": SignedBitField, "LittleField": LittleField}
