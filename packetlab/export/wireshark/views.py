"""How Wireshark shows values that have another form than the packed one: as its floats, times, durations, texts and GUIDs.

What it reads is the raw value all the same, by which rules go.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from functools import cache
from math import ceil

from packetlab.declare.classbody.label import parse
from packetlab.declare.declaration import Declaration
from packetlab.declare.kinds import Kind
from packetlab.declare.values.delimited import Delimited
from packetlab.declare.values.digits import DigitsKind
from packetlab.declare.values.identifiers import BCD, MOST_DIGITS, PackedNumber, UUIDKind
from packetlab.declare.values.names import Labels
from packetlab.declare.values.scaled import Float, Scaled
from packetlab.declare.values.text import SpacedText, TextKind
from packetlab.declare.values.times import Duration, Time
from packetlab.declare.values.varints import SHORTEST, CodedNumber
from packetlab.escaping import lua

EXACT = 1 << 53
ENCODINGS = {
    "ascii": "encoding = ENC_ASCII", "iso8859-1": "units = 1", "utf-16-be": "units = 2", "utf-16-le": "units = 2, swapped = true",
    "utf-32-be": "units = 4", "utf-32-le": "units = 4, swapped = true", "utf-8": "encoding = ENC_UTF_8",
}  # fmt: skip
"""Encoding of Python's -> that of Wireshark, or the bytes of a unit, which Lua makes UTF-8 of; text in others is shown as bytes."""


def _octets(data: bytes) -> str:
    return "".join(f"\\{byte:03d}" for byte in data)


def base_of(kind: Kind) -> int:
    """Return the base of a number that is written in digits, 0 for all other values."""
    inner = kind.inner if isinstance(kind, Delimited) else kind
    return inner.base if isinstance(inner, DigitsKind) else 0


def named(names: type[IntEnum | IntFlag] | None) -> list[str]:
    """Return what a field's table has for the names of its numbers; nothing where they have none."""
    if names is None:
        return []
    return [f"names = {{{', '.join(f'[{int(m)}] = {lua(m.name or str(int(m)))}' for m in names if abs(int(m)) < EXACT)}}}"]


def written(kind: Kind) -> list[str]:
    """Return what a field's table has for text up to a delimiter, and for digits, in letters or two to a byte; nothing for values of other sorts."""
    inner = kind.inner if isinstance(kind, Delimited) else kind
    parts = [f"written = {lua(kind.in_words())}"]
    if isinstance(kind, Delimited):
        parts += [f'ended = "{_octets(kind.delimiter)}"', f"letter = {kind.unit}"]
        others = ", ".join(f'"{_octets(one)}"' for one in sorted(kind.ends, key=len, reverse=True) if one != kind.delimiter)
        parts += [f"others = {{{others}}}"] if others else []
    if isinstance(inner, DigitsKind):
        parts += [f"digits = {inner.base}", f"width = {inner.width or 'nil'}", f"negative = {str(inner.signed).lower()}"]
        parts += [f'before = "{_octets(inner.before)}"'] if inner.before else []
        signed, bits = inner.low < 0, inner.high.bit_length() + (inner.low < 0)
        parts += ["bits = 64", f"type = {lua('int64' if signed else 'uint64')}", "base = 'DEC'", f"most = {float(inner.high)!r}", *named(inner.named)]
        parts += [f"{word} = true" for word, holds in (("signed", signed), ("wide", bits > 53)) if holds]
    elif isinstance(inner, PackedNumber):
        parts += [f"packed = true, width = {inner.longest}"]
        parts += ["wide = true"] if inner.high >= EXACT else []
    elif isinstance(inner, SpacedText):
        parts += ["spaced = true"]
    elif not isinstance(kind, Delimited):
        return []
    return parts


def name_of(kind: Kind) -> list[str]:
    """Return what a field's table has for a name of DNS; nothing for values of other sorts."""
    return [f"origin = {lua(kind.counted_from)}, words = {lua(kind.in_words())}, form = 'string'"] if isinstance(kind, Labels) else []


def view(kind: Kind) -> list[str]:
    """Return what a field's table has in Lua for the user's form of its kind; nothing where it is shown as it is."""
    kind = kind.inner if isinstance(kind, Delimited) else kind
    if isinstance(kind, Float):
        return [f"view = {{form = 'double', float = {kind.bits}}}"]
    if isinstance(kind, BCD | PackedNumber):
        number, wide = kind.user != "str", kind.digits > MOST_DIGITS  # of more digits than that it is text without zeros in front
        return [f"form = {lua('uint64' if number and not wide else 'string')}", *(["number = true"] if number and wide else []), *named(getattr(kind, "named", None))]
    if isinstance(kind, UUIDKind):
        return ["form = 'guid'", *(["swapped = true"] if kind.swapped else [])]
    if isinstance(kind, TextKind) and kind.encoding in ENCODINGS:
        return ["form = 'string'", ENCODINGS[kind.encoding]]
    if not isinstance(kind, Scaled | Time | Duration):
        return []
    step = f"p = {kind.step.numerator}, q = {kind.step.denominator}"
    if max(abs(kind.step.numerator), kind.step.denominator) >= EXACT or kind.origin.denominator.bit_length() > 53:
        return []
    if isinstance(kind, Scaled):
        unit = f", unit = {lua(' ' + kind.unit)}" if kind.unit else ""
        return [f"view = {{form = 'double', {step}, origin = {float(kind.origin)!r}{unit}}}"]
    if kind.origin.denominator != 1:
        return []
    if isinstance(kind, Duration):
        return [f"view = {{form = 'relative_time', {step}, origin = 0}}"]
    era = ""
    if kind.since is not None:  # in whole seconds and parts of one: a double does not hold them together
        q = kind.step.denominator
        (since, part), (turn, more) = divmod(kind.since, 1), divmod(kind.era * q, q)
        era = f", since = {float(since)!r}, since_rest = {ceil(part * q)}, era = {float(turn)!r}, era_rest = {int(more)}"
    return [f"view = {{form = 'absolute_time', {step}, origin = {kind.origin.numerator}{era}}}"]


def judged(kind: Kind) -> list[str]:
    """Return what a field's table has for bytes that may be no value of their kind (see judges.lua); nothing for other fields."""
    kind = kind.inner if isinstance(kind, Delimited) else kind
    if isinstance(kind, BCD | PackedNumber):
        parts = [f"digits = {kind.digits}", *(["swapped = true"] if kind.swapped else []), *([] if kind.filler is None else [f"filler = {kind.filler}"])]
        return [f"judge = {{form = 'digits', words = {lua(kind.in_words())}, {', '.join(parts)}}}"]
    if isinstance(kind, CodedNumber) and kind.shortest:
        return [f"judge = {{form = 'shortest', words = {lua(SHORTEST)}, signed = {str(kind.low < 0).lower()}}}"]
    if not isinstance(kind, TextKind):
        return []
    name, _, order = kind.encoding.rpartition("-")
    form = {"utf": "utf8", "utf-16": "utf16", "utf-32": "utf32"}.get(name if kind.encoding != "utf-7" else "", "")
    bad = b"" if form else none_of(kind.encoding)
    if bad is None:
        return [f"encoded = {lua(f' (text, {kind.encoding}, not looked at)')}"]
    of = ", little = true" * (order == "le") if form else f', bad = "{_octets(bad)}"'
    filled = [] if kind.pad is None else [f'filled = "{_octets(kind.pad)}"']
    return [f"judge = {{form = {lua(form or 'bytes')}, words = {lua(f'text, {kind.encoding}')}{of}}}"] * (bool(form) or bad != b"") + filled


@cache
def none_of(encoding: str) -> bytes | None:
    """Return the bytes that are no letter in an encoding of one byte a letter; None for those of more."""

    def is_text(raw: bytes) -> bool:
        try:
            return bool(raw.decode(encoding)) or True
        except UnicodeError:
            return False

    bad = bytes(byte for byte in range(256) if not is_text(bytes([byte])))
    good = bytes(byte for byte in range(256) if byte not in bad)
    several = any(is_text(bytes([one, other])) for one in bad for other in range(256))
    return None if several or len(good.decode(encoding)) != len(good) else bad


def each(kind: Kind, addresses: dict[str, str]) -> list[str]:
    """Return what a field's table has for values side by side, which are shown one by one; nothing for other fields."""
    one = kind.element
    if one is None or not one.fixed_bits:
        return []
    if one.wire == "number" and one.orders_raw and one.fixed_bits in (8, 16, 24, 32, 64):
        form = f"{'int' if one.signed else 'uint'}{one.fixed_bits}"
    else:
        form = addresses.get(one.words, "")
    if form in ("", "xns"):
        return []
    return [f"each = {{form = {lua(form)}, size = {one.fixed_bits // 8}{', little = true' if one.wire == 'number' and one.little else ''}}}"]


def label(header: Declaration) -> list[str]:
    """Return the line with the label of a header; of fields in other fields, and of numbers in binary, it has nothing."""
    parts, names = [], {*header.by_name, *(f.name for f in header.inside)}
    for before, path, form in parse(header.label or ""):
        known = len(path) == 1 and path[0] in names and not form.endswith("b")
        if known and form.startswith("#"):  # in C it is "0x" for all numbers but 0
            before += f"0{form[-1]}"
            form = f"0{int(form[2:-1] or 2) - 2}{form[-1]}" if form.startswith("#0") else form[-1]
        words = [lua(before), *([lua(path[0])] if known else []), *([lua(f"%{form}")] if known and form else [])]
        parts.append(f"{{{', '.join(words)}}}")
    return [f"  label = {{{', '.join(parts)}}},"] if parts else []
