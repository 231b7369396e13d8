"""How many bits a field of a header takes, and which ones: measured from values, without packing the header."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.bits.numbers import joined
from packetlab.codec.faults import Values
from packetlab.codec.places.item_values import values_of

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.bits.stretches import BitPart, Loose
    from packetlab.declare.fields import Field


def stretch_of(header: AnyHeader, f: Field) -> tuple[Loose, BitPart] | None:
    """Return the stretch of bits in which a field lies, None for one that lies in none."""
    return next(
        ((step, part) for step in header._declaration.plan.loose for part in step.parts if part.field is f), None
    )


def bit_width(header: AnyHeader, step: Loose, part: BitPart) -> int:
    """Return how many bits a field takes that is there."""
    raw = getattr(header, part.field.slot)
    if part.sort in ("number", "bytes"):
        return part.each
    if part.sort == "sized":
        return len(raw) * 8
    if part.sort == "coded":
        return len(part.field.kind.write(raw)) * 8
    if part.sort == "values":
        return len(raw) * part.each
    if part.sort == "items":
        return sum(header_width(item) for item in raw)
    if part.sort == "spare":
        before = step.parts[: step.parts.index(part)]
        return -sum(bit_width(header, step, one) for one in before if getattr(header, one.field.slot) is not None) % 8
    assert part.measure is not None
    return part.measure.evaluate(Values(values_of(header), b"", 0))


def header_width(item: AnyHeader) -> int:
    """Return how many bits a header that is an item of bits takes."""
    whole = item._resolve(item, b"", (item,), 0, None)
    return sum(
        bit_width(whole, step, part)
        for step in whole._declaration.plan.loose
        for part in step.parts
        if getattr(whole, part.field.slot) is not None
    )


def as_number(header: AnyHeader, step: Loose, part: BitPart) -> int:
    """Return a field that is there as the number that its bits are."""
    raw, low = getattr(header, part.field.slot), step.low
    if part.sort in ("bytes", "sized", "coded"):
        return int.from_bytes(part.field.kind.write(raw) if part.sort == "coded" else raw, "little" if low else "big")
    if part.sort == "values":
        return joined(raw, part.each, low)
    if part.sort == "items":
        return items_number(raw, low)[0]
    return int(raw & (1 << bit_width(header, step, part)) - 1)


def stretch_bytes(header: AnyHeader, step: Loose) -> bytes:
    """Return the bytes of a stretch as far as its fields are there."""
    number = width = 0
    for part in step.parts:
        if getattr(header, part.field.slot) is not None:
            one, bits = as_number(header, step, part), bit_width(header, step, part)
            number, width = (number | one << width if step.low else number << bits | one), width + bits
    return (number if step.low else number << -width % 8).to_bytes(-(-width // 8), "little" if step.low else "big")


def items_number(items: tuple[AnyHeader, ...], low: bool) -> tuple[int, int]:
    """Return headers that are items of bits as the number that their bits are, and how many these are."""
    number = width = 0
    for item in items:
        one, bits = header_number(item)
        number, width = (number | one << width if low else number << bits | one), width + bits
    return number, width


def header_number(item: AnyHeader) -> tuple[int, int]:
    """Return a header that is an item of bits as the number that its bits are, and how many these are."""
    whole = item._resolve(item, b"", (item,), 0, None)
    number = width = 0
    for step in whole._declaration.plan.loose:
        for part in step.parts:
            if getattr(whole, part.field.slot) is None:
                continue
            one, bits = as_number(whole, step, part), bit_width(whole, step, part)
            number, width = (number | one << width if step.low else number << bits | one), width + bits
    return number, width
