"""Numbers as Lua has them: how coded ones lie in bytes, what constants are, which flags a number has; names in Wireshark's letters."""

from __future__ import annotations

import re
from enum import IntFlag
from typing import TYPE_CHECKING, Any

from packetlab.declare.values.identifiers import PackedNumber
from packetlab.errors import BuildError
from packetlab.escaping import lua, lua_bytes
from packetlab.export.wireshark.rules import digits, is_wide
from packetlab.export.wireshark.views import base_of, judged, name_of, named, view, written

if TYPE_CHECKING:
    from packetlab.declare.fields import Field
    from packetlab.declare.kinds import Kind

WIDE = 64  # bits of the widest numbers that Wireshark has; wider ones are shown as bytes
MASKED = 32  # bits of a unit up to which Wireshark draws its bits


def coding(f: Field, kind: Any) -> list[str]:
    """Return how a number of a varying width lies in bytes, for coded.lua."""
    bits = digits(kind) - (kind.form == "length" and kind.low < 0)
    if bits > 64:
        raise BuildError(f"{f.owner.name}.{f.name}", "a number of up to 64 bits in Lua", f"{bits} bits")
    said = {word: getattr(kind, word, False) for word in ("high_first", "signed", "zigzag", "prefix", "indefinite")}
    words = [
        f"{word} = {lua(value) if isinstance(value, str) else str(value).lower()}"
        for word, value in said.items()
        if value
    ]
    sizes = f", sizes = {{{', '.join(map(str, kind.sizes))}}}" if kind.form == "prefix" else ""
    least = 0 if kind.form == "length" else kind.low
    words += [
        f"least = {int(least < 0) * -1}, bits = {bits}, longest = {kind.longest}, words = {lua(kind.in_words())}{sizes}"
    ]
    signed = kind.low < 0
    parts = [
        f"coding = {{form = {lua(kind.form)}, {', '.join(words)}}}",
        "bits = 64",
        f"type = {lua('int64' if signed else 'uint64')}",
    ]
    parts += [f"{word} = true" for word, holds in (("signed", signed), ("wide", is_wide(digits(kind)))) if holds]
    return [*parts, *named(kind.names), "base = 'DEC'"]


def element(f: Field) -> list[str]:
    """Return what a field's table has for values side by side; nothing for other fields, and for kinds of one's own that tell their size."""
    one = f.kind.element
    if one is None or f.kind.loose:
        return []
    if one.fixed_bits:
        parts = [*judged(one), *_side_by_side(one)]
        return [f"whole = {one.fixed_bits // 8}", *([f"single = {{{', '.join(parts)}}}"] if parts else [])]
    if not (one.form or written(one) or name_of(one)):
        return []
    number = bool(one.form or base_of(one))
    parts = [f"name = '', kind = {lua('int' if number else 'bytes')}", *(coding(f, one) if one.form else written(one)), *name_of(one), *view(one), *judged(one)]
    parts += ["alone = true"] * bool(name_of(one))
    return [f"element = {{{', '.join(parts)}, listed = {lua(f'values ({one.in_words()}) up to the end')}}}"]


def _side_by_side(one: Kind) -> list[str]:
    """Return what shows each of such values of a fixed size as what it is; nothing for plain numbers and addresses (see `views.each`)."""
    shown = view(one)
    if not shown or (one.wire == "number" and one.fixed_bits > WIDE):
        return []
    if one.wire != "number":
        return ["name = ''", "kind = 'bytes'", *shown]
    words = [("signed", one.signed), ("little", one.little), ("wide", is_wide(one.fixed_bits))]
    return ["name = ''", "kind = 'int'", f"bits = {one.fixed_bits}", *(f"{word} = true" for word, holds in words if holds), *shown]


def is_long(f: Field) -> bool:
    """Whether a field is a number of more bits than Wireshark has in one."""
    return f.kind.is_number and (f.kind.wire == "number" or f.kind.wide is not None) and digits(f.kind) > WIDE


def _shares(f: Field) -> bool:
    """Whether a number need not begin and end with a byte."""
    return not any(unit.fields == [f] for unit in f.owner.plan.units)


def long_number(f: Field) -> list[str]:
    """Return how such a number lies in its bytes; nothing for other fields. Where it shares bytes, bits.lua puts the highest byte first."""
    if not is_long(f):
        return []
    low = any(f in unit.fields and unit.little for unit in f.owner.plan.units)
    shared = (
        ["shared = true", *(["low = true"] if low else [])]
        if _shares(f)
        else ["little = true"]
        if f.kind.little
        else []
    )
    return ["long = true", *shared, *(["signed = true"] if f.kind.low < 0 else [])]


def fixed(f: Field) -> str:
    """Return the value that a field always has: a number, its limbs, or bytes."""
    if is_long(f):
        size, order = -(-f.kind.fixed_bits // 8), "little" if f.kind.little and not _shares(f) else "big"
        return lua_bytes(f.default.to_bytes(size, order, signed=f.kind.signed))
    if isinstance(f.kind, PackedNumber):
        return lua_bytes(f.kind.write(f.default))
    if f.kind.is_number:
        value = int(f.default)
        if not is_wide(digits(f.kind)):
            return str(value)
        return "{" + ", ".join(str(value >> 24 * i & 0xFFFFFF) for i in range(8)) + "}"
    return lua_bytes(f.default)


def flag(member: IntFlag | Any, shift: int, unit: int, kind: Kind) -> str:
    """Return the table of a flag."""
    mask = f", mask = {int(member) << shift}" if unit <= MASKED and not kind.signed and not kind.little else ""
    name = member.name or ""
    return f"{{name = {lua(name)}, abbr = {lua(ascii_name(name.lower()))}, bit = {int(member)}{mask}}}"


def ascii_name(name: str) -> str:
    """Return a name of Python's in the letters that Wireshark takes in names of fields."""
    return re.sub(r"[^A-Za-z0-9_]", lambda found: f"u{ord(found.group()):x}", name)
