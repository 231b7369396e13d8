"""Source that reads a stretch of bits: some bytes as one number, of which each field takes its bits."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from packetlab.codec.bits.numbers import bytes_at, number_at, numbers_at
from packetlab.codec.source import Compiled, ReadSoFar, function
from packetlab.declare import registry
from packetlab.declare.kinds import WIDEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from packetlab.declare.bits.stretches import BitPart, Loose
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field

FEW = 64
"""Bits of a field up to which it is read with those beside it."""


class BitReading(ReadSoFar):
    """Reads stretches of bits. In `n` are the bytes up to `e` as a number, of which `b` bits are left; or `q` is the bit reading has come to."""

    cls: Declaration
    away: str
    stop: str
    at_limit: str

    def float(self) -> str:
        raise NotImplementedError

    def constants(self, fields: list[Field]) -> None:
        raise NotImplementedError

    @property
    def limit(self) -> str:
        raise NotImplementedError

    def loose(self, step: Loose) -> None:
        """Read a stretch, from a byte boundary to the next one."""
        pos = self.float()
        at = self.bits(step, f"{pos} << 3", pos)
        whole = not self.cls.in_bits or step.ends[-1] == {0}
        if at == "q":
            self.lines += [*([] if whole else [f"if q & 7: {self.away}"]), f"{pos} = q >> 3"]
        else:
            self.lines += [*([] if whole else [f"if b & 7: {self.away}"]), f"{pos} = e - (b >> 3)"]

    def bits(self, step: Loose, begin: str, pos: str = "") -> str:
        """Read what is in a stretch that begins at the bit `begin`, the byte `pos` if it is one; return "q" or "b", which tells the end."""
        at = "start" if pos else "q"
        order = "little" if step.low else "big"
        self.names.update(from_bytes=int.from_bytes, number_at=number_at, numbers_at=numbers_at, bytes_at=bytes_at)
        for few, some in groupby(
            step.parts, lambda part: part.sort in ("number", "bytes", "spare", "wide") and _most(part) <= FEW
        ):
            parts = [*some]
            if few:
                most = sum(map(_most, parts))
                if at == "start":
                    self.lines += [f"e = {pos} + {-(-most // 8)}", f"if e > {self.limit}: e = {self.limit}",
                                   f"n = from_bytes(data[{pos}:e], '{order}')", f"b = (e - {pos}) << 3"]  # fmt: skip
                else:
                    self.lines += [f"e = q + {most + 7} >> 3", f"if e > {self.limit}: e = {self.limit}",
                                   f"n = from_bytes(data[q >> 3:e], '{order}'){' >> (q & 7)' if step.low else ''}", "b = (e << 3) - q"]  # fmt: skip
                for _, alike in groupby(
                    parts, lambda part: (part.sort if part.sort != "bytes" else "number", str(part.field.condition))
                ):
                    self.some(step, [*alike])
                at = "b"
                continue
            self.lines += [f"q = {begin}"] if at == "start" else ["q = (e << 3) - b"] if at == "b" else []
            for part in parts:
                self.under_condition([part], self.single(step, part))
            at = "q"
        return at

    def under_condition(self, parts: list[BitPart], lines: list[str]) -> None:
        """Add lines that read fields with one condition."""
        fields, condition = [part.field for part in parts], parts[0].field.condition
        before = self.lines
        self.lines = lines
        self.constants(fields)
        lines, self.lines = self.lines, before
        if condition is not None and not self.holds.get(str(condition)):
            code = condition.code(self)
            self.lines += [
                f"{' = '.join(self.v(f.name) for f in fields)} = None",
                f"if {code}:",
                *("    " + line for line in lines),
            ]
        else:
            self.lines += lines
        self.read.update(f.name for f in fields)

    def some(self, step: Loose, parts: list[BitPart]) -> None:
        """Read fields of fixed widths with one condition, or one field of another width, from `n`."""
        first, lines = parts[0], list[str]()
        var, signed = self.v(first.field.name), first.field.kind.signed
        if first.sort == "spare":
            take = f"{var} = n{' >> b' * (not step.low)} & (1 << w) - 1"
            self.under_condition(parts, ["w = b & 7", "b -= w", take, *(["n >>= w"] if step.low else [])])
            return
        if first.sort == "wide":
            assert first.measure is not None
            for part in parts:
                var, signed = self.v(part.field.name), part.field.kind.signed
                assert part.measure is not None
                lines = [f"w = {part.measure.code(self)}", f"if w < 0 or w > b: {self.away}", "b -= w"]
                lines += [f"{var} = n{' >> b' * (not step.low)} & (1 << w) - 1", *(["n >>= w"] if step.low else [])]
                lines += [f"if w and {var} >> w - 1: {var} -= 1 << w"] if signed else []
                self.under_condition([part], lines)
            return
        total = sum(part.each for part in parts)
        lines = [f"b -= {total}", f"if b < 0: {self.away}"]
        below = 0
        for part in parts if step.low else reversed(parts):
            shift = str(below or "") if step.low else f"b + {below}" if below else "b"
            code = f"n{f' >> {shift}' if shift else ''} & {(1 << part.each) - 1:#x}"
            if part.sort == "bytes":
                code = f"({code}).to_bytes({part.each // 8}, '{'little' if step.low else 'big'}')"
            elif part.field.kind.signed:
                half = 1 << part.each - 1
                code = f"(({code}) ^ {half:#x}) - {half:#x}"
            lines.append(f"{self.v(part.field.name)} = {code}")
            below += part.each
        self.under_condition(parts, [*lines, *([f"n >>= {total}"] if step.low else [])])

    def single(self, step: Loose, part: BitPart) -> list[str]:
        """Return the lines that read a field by itself, from the bit `q` on."""
        f, var, low = part.field, self.v(part.field.name), step.low
        measure = part.measure.code(self) if part.measure is not None else ""
        limit = self.limit
        if not part.by and part.sort in ("values", "items"):
            limit = (
                self.stop or self.total or (f"({self.end} - {self.plan.trailing})" if self.plan.trailing else self.end)
            )
        if part.sort in ("number", "bytes", "wide"):
            lines = [f"w = {measure or part.each}", f"if w < 0 or w > {WIDEST} or q + w > {limit} << 3: {self.away}"]
            lines = lines if part.sort != "bytes" else [f"w = {part.each}", f"if q + w > {limit} << 3: {self.away}"]
            read = (
                f"bytes_at(data, q, {part.each // 8}, {low})"
                if part.sort == "bytes"
                else f"number_at(data, q, w, {low}, {f.kind.signed})"
            )
            return [*lines, f"{var} = {read}", "q += w"]
        if part.sort == "spare":
            return ["w = -q & 7", f"{var} = number_at(data, q, w, {low})", "q += w"]
        if part.sort == "sized":
            lines = [f"w = {measure}", f"if w < 0 or q + w * 8 > {limit} << 3: {self.away}"]
            return [*lines, f"{var} = bytes_at(data, q, w, {low})", "q += w * 8"]
        return self.several(step, part, measure, limit)

    def several(self, step: Loose, part: BitPart, measure: str, limit: str) -> list[str]:
        """Return the lines that read values, or headers, side by side."""
        var, each, low = self.v(part.field.name), part.each, step.low
        place = step.parts.index(part) + 1
        spare = place < len(step.parts) and step.parts[place].sort == "spare"
        lines = (
            [f"w = {measure}"]
            if part.by == "count"
            else [f"w = {measure} * 8" if part.by else f"w = ({limit} << 3) - q"]
        )
        if each and part.by != "count":
            lines += [
                f"if w < 0{'' if spare and not part.by else f' or w % {each}'} or q + w > {limit} << 3: {self.away}",
                f"w //= {each}",
            ]
        elif each:
            lines.append(f"if w < 0 or q + w * {each} > {limit} << 3: {self.away}")
        if part.sort == "values":
            assert part.field.kind.element is not None
            return [
                *lines,
                f"{var} = numbers_at(data, q, w, {each}, {low}, {part.field.kind.element.signed})",
                f"q += w * {each}",
            ]
        key = f"R_{part.field.name}{self.tag}"
        self.names[key] = bit_items(part.field, type(self))
        given = f"{limit} << 3, w" if part.by == "count" or each else "q + w, None"
        lines += [] if each or part.by == "count" else [f"if w < 0 or q + w > {limit} << 3: {self.away}"]
        return [*lines, f"w = {key}(data, q, {given})", f"if w is None: {self.away}", f"{var}, q = w"]


def _most(part: BitPart) -> int:
    """How many bits a field can take, of those that are no lists."""
    if part.sort == "spare":
        return 7
    return part.each or int(getattr(part.field.kind, "widest", WIDEST))


# Items of bits -------------------------------------------------------------------------------------------------

_readers: dict[Field, Compiled] = {}
registry.caches.append(_readers)


def bit_items(field: Field, reading: Callable[..., Any]) -> Compiled:
    """Return ``read(data, q, limit, count) -> (items, the bit where they end)`` for headers that are items of bits.

    It gives None where there are none of that sort. `count` None: as many as there are up to the bit `limit`. `reading` makes
    what writes the source of a header.
    """
    if field not in _readers:
        item = field.kind.item
        part = reading(item, tag="_i", start="0", end="end", away="return None")
        for step in item.plan.loose:
            if part.bits(step, "q") == "b":
                part.lines.append("q = (e << 3) - b")
        for f in (f for f in item.fields if f.kind.judges):
            part.names[f"J_{f.name}_i"] = f.kind.wrong
            part.check(f"{part.v(f.name)} is not None and J_{f.name}_i({part.v(f.name)})")
        part.made()
        loop = [
            "    first = q",
            *("    " + line for line in part.lines),
            "    if q > limit or (count is None and q == first): return None",
        ]
        lines = [
            "end, found = limit + 7 >> 3, []",
            "add = found.append",
            "while q < limit if count is None else len(found) < count:",
        ]
        lines += [*loop, "    add(h_i)", "return tuple(found), q"]
        _readers[field] = function(
            ["def read(data, q, limit, count):", *("    " + line for line in lines)], part.names, f"{item.name} bits"
        )
    return _readers[field]
