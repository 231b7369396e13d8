"""How Wireshark shows values that have another form than the packed one: as its floats, times, durations, texts and GUIDs.

What it reads is the raw value all the same, by which rules go.
"""

from __future__ import annotations

from packetlab.declare.kinds import Kind
from packetlab.declare.values.identifiers import UUIDKind
from packetlab.declare.values.scaled import Float, Scaled
from packetlab.declare.values.text import TextKind
from packetlab.declare.values.times import Duration, Time
from packetlab.escaping import lua

EXACT = 1 << 53
ENCODINGS = {
    "ascii": "ENC_ASCII", "iso8859-1": "ENC_ISO_8859_1", "utf-16-be": "ENC_UTF_16 + ENC_BIG_ENDIAN",
    "utf-16-le": "ENC_UTF_16 + ENC_LITTLE_ENDIAN", "utf-32-be": "ENC_UCS_4 + ENC_BIG_ENDIAN", "utf-32-le": "ENC_UCS_4 + ENC_LITTLE_ENDIAN",
    "utf-8": "ENC_UTF_8",
}  # fmt: skip
"""Encoding of Python's -> that of Wireshark; text in others is shown as bytes."""


def view(kind: Kind) -> list[str]:
    """Return what a field's table has in Lua for the user's form of its kind; nothing where it is shown as it is."""
    if isinstance(kind, Float):
        return [f"view = {{form = 'double', float = {kind.bits}}}"]
    if isinstance(kind, UUIDKind):
        return ["form = 'guid'", *(["swapped = true"] if kind.swapped else [])]
    if isinstance(kind, TextKind) and kind.encoding in ENCODINGS:
        return ["form = 'string'", f"encoding = {ENCODINGS[kind.encoding]}"]
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
    era = "" if kind.since is None else f", since = {float(kind.since)!r}, era = {float(kind.era)!r}"
    return [f"view = {{form = 'absolute_time', {step}, origin = {kind.origin.numerator}{era}}}"]
