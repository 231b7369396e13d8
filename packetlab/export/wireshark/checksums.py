"""Checksums as tables of Lua: the family, its parameters, and what it goes over (see sums.lua)."""

from __future__ import annotations

from packetlab.declare.checksums.algorithms import Algorithm
from packetlab.declare.checksums.bitwise import BitSum
from packetlab.declare.checksums.ranges import Region, number_bytes
from packetlab.declare.checksums.simple import INVERTED, NEGATED
from packetlab.declare.expressions import Checksum
from packetlab.declare.fields import Field
from packetlab.errors import BuildError
from packetlab.escaping import lua
from packetlab.export.wireshark.rules import condition, number


def checksum(f: Field) -> list[str]:
    """Return what a field's table has for its checksum; nothing for other fields."""
    rule = f.rule
    if isinstance(rule, BitSum):
        due = "" if rule.checksum.where is None else f", where = {condition(rule.checksum.where, f.owner)}"
        return [f"sum = {{regions = {{}}, right = {number(rule, f.owner)}{due}}}"]
    if not isinstance(rule, Checksum):
        return []
    if f.kind.fixed_bits > 64:
        raise BuildError(f"{f.owner.name}.{f.name}", "a checksum in up to 64 bits, for Wireshark's Lua", f"{f.kind.fixed_bits} bits")
    over = ", ".join(map(_region, f.owner.plan.covered[f.name]))
    parts = [f"word = {lua(rule.algorithm.word)}", f"of = {{{_parameters(rule.algorithm)}}}", f"regions = {{{over}}}"]
    parts += ["pseudo = true"] if "pseudo" in rule.over else []
    parts += [] if rule.none is None else [f"none = {rule.none}", f"instead = {rule.instead}"]
    parts += [] if rule.where is None else [f"where = {condition(rule.where, f.owner)}"]
    return [f"sum = {{{', '.join(parts)}}}"]


def _parameters(algorithm: Algorithm) -> str:
    if algorithm.word == "crc":
        bits, poly, init, low, out, xor, swapped = algorithm.parameters
        numbers = [
            f"{word} = {{{n >> 32}, {n & 0xFFFFFFFF}}}" for word, n in (("poly", poly), ("init", init), ("xor", xor))
        ]
        flags = [word for word, set_ in (("reflect_in", low), ("reflect_out", out), ("swapped", swapped)) if set_]
        return ", ".join([f"bits = {bits}", *numbers, *(f"{word} = true" for word in flags)])
    if algorithm.word == "sum":
        bits, unit, little, end, carry = algorithm.parameters
        flags = [
            word
            for word, set_ in (("little", little), ("inverted", end == INVERTED), ("negated", end == NEGATED), ("carry", carry))
            if set_
        ]
        return ", ".join([f"bits = {bits}, unit = {unit}", *(f"{word} = true" for word in flags)])
    if algorithm.word == "fletcher":
        _, little, power = algorithm.parameters
        return f"bits = {algorithm.bits}" + ", little = true" * little + ", power = true" * power
    return ""


def _region(region: Region) -> str:
    if region.part == "body":
        return 'part = "payload"'.join("{}")
    if region.part == "value":
        size, order = number_bytes(region)
        if size > 6:
            raise BuildError(f"{region.fields[0].owner.name}.{region.fields[0].name}", "a computed field of up to 48 bits in a checksum, for Wireshark's Lua", f"{8 * size} bits")
        return f"{{value = {lua(region.fields[0].name)}, size = {size}{', little = true' * (order == 'little')}}}"
    zeros = ", zeros = true" * region.zeros
    if region.part == "head" and region.start and region.end:
        return f'{{part = "self"{zeros}}}'
    cut = "" if region.cut is None else f", skip = {region.cut[0]}" + ("" if region.cut[1] is None else f", stop = {region.cut[1]}")
    return f"{{names = {{{', '.join(f'[{lua(f.name)}] = true' for f in region.fields)}}}{zeros}{f', less = {region.less}' * bool(region.less)}{cut}}}"
