"""Source that reads a stretch of bits: some bytes as one number, of which each field takes its bits."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from packetlab.codec.bits.numbers import LONGEST, bytes_at, coded_at, number_at, numbers_at
from packetlab.codec.source import Compiled, ReadSoFar, function
from packetlab.declare import registry
from packetlab.declare.expressions import Const, Ref
from packetlab.declare.kinds import WIDEST

if TYPE_CHECKING:
    from packetlab.declare.bits.stretches import BitPart, Loose
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field

FEW = 128
"""Bits of a field up to which it is read with those beside it."""


class BitReading(ReadSoFar):
    """Reads stretches of bits, in source whose variables are n, some bytes as a number; e, where these end; b, how many of their bits
    are left; and q, the bit that reading has come to, where it is not in such a number.

    Bytes that are missing are read as zeros: whether there are so many is looked at when all is read. `left` is b where
    it is the same in all packets, and is no variable then.
    """

    cls: Declaration
    away: str
    stop: str
    at_limit: str
    left: int | None = None

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
        if self.cls.in_bits and step.ends[-1] != {0}:
            self.vary()
            self.lines.append(f"if {at} & 7: {self.away}")
        if at == "b" and self.left is not None:
            self.lines.append(f"{pos} = e{f' - {self.left // 8}' if self.left >= 8 else ''}")
            self.left = None
        else:
            self.lines.append(f"{pos} = q >> 3" if at == "q" else f"{pos} = e - (b >> 3)")
        self.lines.append(f"if {pos} > {self.limit}: {self.away}")

    def bits(self, step: Loose, begin: str, pos: str = "") -> str:
        """Read what is in a stretch that begins at the bit `begin`, the byte `pos` if it is one; return "q" or "b", which tells the end."""
        at = "start" if pos else "q"
        self.names.update(number_at=number_at, numbers_at=numbers_at, bytes_at=bytes_at)
        for few, some in groupby(step.parts, self.is_few):
            parts = [*some]
            if few:
                self.window(step, sum(map(self.most, parts)), pos if at == "start" else "")
                for alike in together(parts):
                    self.some(step, alike)
                at = "b"
                continue
            self.vary()
            self.lines += [f"q = {begin}"] if at == "start" else ["q = (e << 3) - b"] if at == "b" else []
            for part in parts:
                self.under_condition([part], self.single(step, part))
            at = "q"
        return at

    def window(self, step: Loose, most: int, pos: str = "", end: str = "") -> None:
        """Take the bytes of the next `most` bits, from the byte `pos` or the bit `q` on."""
        end, first = end or self.end, pos or "q >> 3"
        self.names["from_bytes"] = int.from_bytes
        self.lines.append(f"e = {pos} + {-(-most // 8)}" if pos else f"e = q + {most + 7} >> 3")
        if step.low:
            self.lines.append(f"n = from_bytes(data[{first}:e], 'little'){'' if pos else ' >> (q & 7)'}")
        else:
            short = f"from_bytes(data[{first}:{end}], 'big') << (e - {end} << 3)"
            self.lines.append(f"n = from_bytes(data[{first}:e], 'big') if e <= {end} else {short}")
        self.left = -(-most // 8) * 8 if pos else None
        self.lines += [] if pos else ["b = (e << 3) - q"]

    def vary(self) -> None:
        """Let `b` be a variable from here on."""
        if self.left is not None:
            self.lines.append(f"b = {self.left}")
            self.left = None

    def is_few(self, part: BitPart) -> bool:
        """Whether a field is read with those beside it."""
        return part.sort in ("number", "bytes", "spare", "wide", "values") and 0 <= self.most(part) <= FEW

    def most(self, part: BitPart) -> int:
        """How many bits a field can take; -1 for a list of which that is not known."""
        if part.sort == "spare":
            return 7
        if part.sort == "wide":
            return int(getattr(part.field.kind, "widest", WIDEST))
        if part.sort in ("number", "bytes"):
            return part.each
        rule = part.measure if part.counted else None
        if isinstance(rule, Ref) and self.cls.by_name[rule.name].kind.low >= 0:
            return self.cls.by_name[rule.name].kind.high * part.each
        return rule.number * part.each if isinstance(rule, Const) else -1

    def under_condition(self, parts: list[BitPart], lines: list[str]) -> None:
        """Add lines that read fields with one condition."""
        fields = [part.field for part in parts]
        before, self.lines = self.lines, lines
        self.constants(fields)
        lines, self.lines = self.lines, before
        if self.is_sure(parts[0]):
            self.lines += lines
        else:
            assert parts[0].field.condition is not None
            code = parts[0].field.condition.code(self)
            self.lines += [f"{' = '.join(self.v(f.name) for f in fields)} = None", f"if {code}:"]
            self.lines += ["    " + line for line in lines]
        self.read.update(f.name for f in fields)

    def is_sure(self, part: BitPart) -> bool:
        """Whether a field is always there."""
        condition = part.field.condition
        return condition is None or bool(self.holds.get(str(condition)))

    def some(self, step: Loose, parts: list[BitPart]) -> None:
        """Read fields of fixed widths with one condition, or one field of another width, from `n`."""
        first = parts[0]
        if first.sort == "spare" and self.left is not None and self.is_sure(first):
            first = first._replace(sort="number", each=self.left % 8)
            parts = [first]
        if first.sort not in ("number", "bytes"):
            self.vary()
            self.under_condition(parts, self.varying(step, first))
            return
        if not self.is_sure(first):
            self.vary()
        total, below = sum(part.each for part in parts), 0
        lines = [] if self.left is not None else [f"b -= {total}"]
        self.left = None if self.left is None else self.left - total
        for part in parts if step.low else reversed(parts):
            shift = str(below or "") if step.low else f"b + {below}" if below else "b"
            if not step.low and self.left is not None:
                shift = str(self.left + below or "")
            code = f"n{f' >> {shift}' if shift else ''} & {(1 << part.each) - 1:#x}"
            if part.sort == "bytes":
                code = f"({code}).to_bytes({part.each // 8}, '{'little' if step.low else 'big'}')"
            elif part.field.kind.signed:
                half = 1 << part.each - 1
                code = f"(({code}) ^ {half:#x}) - {half:#x}"
            lines.append(f"{self.v(part.field.name)} = {code}")
            below += part.each
        self.under_condition(parts, [*lines, *([f"n >>= {total}"] if step.low and total else [])])

    def varying(self, step: Loose, part: BitPart) -> list[str]:
        """Return the lines that read a field of a few bits, but not always as many, from `n`."""
        var, each = self.v(part.field.name), part.each
        if part.sort == "spare":
            lines = ["w = b & 7"]
        else:
            assert part.measure is not None
            lines = [f"w = {part.measure.code(self)}"]
            lines += [] if isinstance(part.measure, Ref | Const) else [f"if w < 0: {self.away}"]
        if part.sort == "values":
            assert part.field.kind.element is not None
            one = f"n >> s & {(1 << each) - 1:#x}"
            half = 1 << each - 1
            one = f"(({one}) ^ {half:#x}) - {half:#x}" if part.field.kind.element.signed else one
            lines += [f"b -= w * {each}"]
            if step.low:
                return [*lines, f"{var} = tuple([{one} for s in range(0, w * {each}, {each})])", f"n >>= w * {each}"]
            return [*lines, f"{var} = tuple([{one} for s in range(b + (w - 1) * {each}, b - 1, -{each})])"]
        lines += ["b -= w", f"{var} = n{' >> b' * (not step.low)} & (1 << w) - 1", *(["n >>= w"] if step.low else [])]
        return [*lines, *([f"if w and {var} >> w - 1: {var} -= 1 << w"] if part.field.kind.signed else [])]

    def single(self, step: Loose, part: BitPart) -> list[str]:
        """Return the lines that read a field by itself, from the bit `q` on."""
        f, var, low = part.field, self.v(part.field.name), step.low
        measure = part.measure.code(self) if part.measure is not None else ""
        limit = self.limit
        if not part.by and part.sort in ("values", "items"):
            limit = (
                self.stop or self.total or (f"({self.end} - {self.plan.trailing})" if self.plan.trailing else self.end)
            )
            after = self.plan.after.get(f.name)
            limit = limit if after is None else f"({limit} - {after.code(self)})"
        if part.sort in ("number", "bytes", "wide"):
            lines = [f"w = {measure or part.each}", f"if w < 0 or w > {WIDEST} or q + w > {limit} << 3: {self.away}"]
            lines = lines if part.sort != "bytes" else [f"w = {part.each}", f"if q + w > {limit} << 3: {self.away}"]
            read = (
                f"bytes_at(data, q, {part.each // 8}, {low})"
                if part.sort == "bytes"
                else f"number_at(data, q, w, {low}, {f.kind.signed})"
            )
            return [*lines, f"{var} = {read}", "q += w"]
        if part.sort == "coded":
            key = f"K_{f.name}{self.tag}"
            self.names[key], self.names["coded_at"] = f.kind, coded_at
            return [f"w = coded_at(data, q, {limit} << 3, {low}, {key}, {getattr(f.kind, 'longest', LONGEST)})", f"if w is None: {self.away}", f"{var}, q = w"]
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
            if part.counted
            else [f"w = {measure} * 8" if part.by else f"w = ({limit} << 3) - q"]
        )
        if each and not part.counted:
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
        given = f"{limit} << 3, w" if part.counted or each else "q + w, None"
        lines += [] if each or part.counted else [f"if w < 0 or q + w > {limit} << 3: {self.away}"]
        return [*lines, f"w = {key}(data, q, {given})", f"if w is None: {self.away}", f"{var}, q = w"]


# Items of bits -------------------------------------------------------------------------------------------------

_readers: dict[Field, Compiled] = {}
registry.caches.append(_readers)


def bit_items(field: Field, reading: Compiled) -> Compiled:
    """Return ``read(data, q, limit, count) -> (items, the bit where they end)`` for headers that are items of bits.

    It gives None where there are none of that sort. `count` None: as many as there are up to the bit `limit`. `reading` makes
    what writes the source of a header.
    """
    if field not in _readers:
        item = field.kind.item
        part = reading(item, tag="_i", start="0", end="end", away="return None")
        (step,) = item.plan.loose
        few, most = all(map(part.is_few, step.parts)), sum(map(part.most, step.parts))
        if few and most <= FEW:  # many of them are in one number
            for alike in together(step.parts):
                part.some(step, alike)
        elif part.bits(step, "q") == "b":
            part.lines.append("q = (e << 3) - b")
        for f in (f for f in item.fields if f.kind.judges):
            part.names[f"J_{f.name}_i"] = f.kind.wrong
            part.check(f"{part.v(f.name)} is not None and J_{f.name}_i({part.v(f.name)})")
        part.obeyed(item.fields)
        part.made()
        lines, part.lines = part.lines, []
        again = "while q < limit if count is None else len(found) < count:"
        if few and most <= FEW:
            part.window(step, 3 * FEW, end="end")
            lines = [
                f"if b < {most}:",
                "    q = (e << 3) - b",
                "    if q > limit: return None",
                *("    " + line for line in part.lines),
                *lines,
            ]
            lines = [
                "e, n, b = q + 7 >> 3, 0, -q & 7",
                f"n = {NOW[step.low]}",
                f"{again.replace('q <', '(e << 3) - b <')}",
                *("    " + line for line in [*lines, "add(h_i)"]),
            ]
            lines += ["q = (e << 3) - b"]
        else:
            lines = [again, *("    " + line for line in [*lines, "if q > limit: return None", "add(h_i)"])]
        head = [
            "def read(data, q, limit, count):",
            "    if q > limit: return None",
            "    end, found = limit + 7 >> 3, []",
            "    add = found.append",
        ]
        lines = [*head, *("    " + line for line in [*lines, "if q > limit: return None", "return tuple(found), q"])]
        _readers[field] = function(lines, part.names, f"{item.name} bits")
    return _readers[field]


NOW = {False: "data[q >> 3] & (1 << b) - 1 if b else 0", True: "data[q >> 3] >> (q & 7) if b else 0"}
"""The bits of the byte that reading has come to the middle of, by the order of bits."""


def together(parts: list[BitPart]) -> list[list[BitPart]]:
    """Return fields of fixed widths side by side with one condition in one list, and each other one in one of its own."""
    found: list[list[BitPart]] = []
    for plain, some in groupby(parts, lambda part: (part.sort in ("number", "bytes"), str(part.field.condition))):
        alike = [*some]
        found += [alike] if plain[0] else [[part] for part in alike]
    return found
