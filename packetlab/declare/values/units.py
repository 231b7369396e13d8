"""Fixed fields as they are packed: those that share bytes make one number, and several of these are packed by one `struct` call."""

from __future__ import annotations

from copy import copy
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packetlab.declare.fields import Field
    from packetlab.declare.kinds import Kind

_CODES = {8: "B", 16: "H", 32: "I", 64: "Q"}


class Unit:
    """Fields that share bytes, or one field alone; `code` is its letter for `struct`.

    Shared bytes are one number: the first field is its highest bits, or with `low` its lowest ones, the lowest byte first.
    `places` has each field with how many bits of the number are below it.
    """

    def __init__(self, fields: list[Field], low: bool = False) -> None:
        self.fields = fields
        self.bits = sum(f.kind.fixed_bits for f in fields)
        first = fields[0].kind
        self.number = first.wire == "number"
        self.little = self.number and (low if len(fields) > 1 else first.little)
        self.places: list[tuple[Field, int]] = []
        at = 0
        for f in fields:
            at += f.kind.fixed_bits
            self.places.append((f, at - f.kind.fixed_bits if low else self.bits - at))
        self.signed = len(fields) == 1 and first.wire == "number" and first.signed
        whole = self.number and self.bits in _CODES
        self.code = _CODES[self.bits] if whole else f"{self.bits // 8}s"
        if whole and self.signed:
            self.code = self.code.lower()
        # struct has no letter for 24, 40, 48 and 56 bits: these go by way of bytes.
        self.by_bytes = self.number and not whole

    def spot(self, f: Field, shift: int) -> tuple[int, int, int]:
        """Return the bytes a field touches, and how many of their bits are below it."""
        end = shift + f.kind.fixed_bits
        if self.little:
            return shift // 8, -(-end // 8), shift % 8
        return (self.bits - end) // 8, -(-(self.bits - shift) // 8), shift % 8

    def turned(self, kind: Kind) -> Kind:
        """Return a kind of one of its fields with the order of its bytes."""
        made = kind if kind.little == self.little else copy(kind)
        made.little = self.little
        return made


class Run:
    """Fixed fields without conditions, one after the other, packed by one `struct` call."""

    def __init__(self, units: list[Unit]) -> None:
        self.units = units
        self.fields = [f for unit in units for f in unit.fields]
        little = {unit.little for unit in units if unit.number and unit.bits > 8 and not unit.by_bytes}
        for unit in units:
            if len(little) == 2 and unit.little and not unit.by_bytes and unit.bits > 8:
                unit.by_bytes, unit.code = True, f"{unit.bits // 8}s"
        self.order = "<" if little == {True} else ">"
        self.struct = Struct(self.order + "".join(unit.code for unit in units))
        self.size = self.struct.size
