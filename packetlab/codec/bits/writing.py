"""Source that packs a stretch of bits: one number that each field adds its bits to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.around.following import given_or
from packetlab.codec.bits.measured import header_number, header_width
from packetlab.codec.bits.numbers import joined, merged
from packetlab.codec.bits.reading import together
from packetlab.codec.objects import classes
from packetlab.codec.readback import checks, follows_around
from packetlab.codec.source import Compiled, function
from packetlab.declare import registry
from packetlab.declare.expressions import Const, Op
from packetlab.declare.intervals import words
from packetlab.declare.kinds import WIDEST
from packetlab.declare.plan import needs
from packetlab.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable

    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.bits.stretches import BitPart, Loose
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field
    from packetlab.declare.plan import Plan


def too_wide(header: AnyHeader, name: str, width: int, raw: int) -> BuildError:
    """Return the error for a number that has not so many bits, or for a width that no number has."""
    f, where = header._by_name[name], f"{type(header).__name__}.{name}"
    if not 0 <= width <= WIDEST:
        return BuildError(where, f"a width of 0 to {WIDEST} bits", f"{width}, as {words(f.kind.wide)} says")
    rule, unit = f"width_of({name!r})", f.kind.wide.right if isinstance(f.kind.wide, Op) and f.kind.wide.sign == "*" else None
    if isinstance(unit, Const):
        rule = f"({rule} + {unit.number - 1}) // {unit.number}"
    hint = given_or(header._declaration, names, f.kind.wide, rule) if (names := needs(f.kind.wide)) else follows_around(f.kind.wide)
    return BuildError(where, f"a number of {width} bits, as {words(f.kind.wide)} says", raw, hint)


def uneven(header: AnyHeader, name: str, bits: int) -> BuildError:
    """Return the error for bits that do not come to whole bytes."""
    where = f"{type(header).__name__}.{name}"
    return BuildError(
        where,
        "values that fill whole bytes",
        f"{bits % 8} bits more",
        "spare: int = spare_bits() fills up what is left",
    )


def spilled(header: AnyHeader, name: str, bits: int, raw: int) -> BuildError:
    """Return the error for spare bits of which there are not so many."""
    return BuildError(f"{type(header).__name__}.{name}", f"a number of the {bits} bits up to the next byte", raw)


def taken(header: AnyHeader, name: str, bits: int, each: int) -> BuildError:
    """Return the error for spare bits that read back as one value more."""
    where, hint = f"{type(header).__name__}.{name}", "many(count=...) tells how many values there are"
    return BuildError(
        where, f"less than {each} bits that are left after the values, which go on to the end", f"{bits}", hint
    )


class BitWriting:
    """Packs stretches of bits. `n` is the number so far, of `b` bits and `known` more, which are the same in all headers."""

    cls: Declaration
    tag: str
    lines: list[str]
    done: set[str]
    direct: dict[str, str]
    constant: set[str]
    names: dict[str, object]
    plan: Plan
    value: Callable[[str], str]
    present: Callable[[Field], str]
    refuse: Callable[[str], str]
    guards: list[str]
    fitting: Callable[[Field, str], list[str]]

    def loose(self, step: Loose) -> str:
        """The variable that holds the bytes of a stretch."""
        var = f"l_{step.parts[0].field.name}{self.tag}"
        if var not in self.done:
            self.done.add(var)
            several = [part.field for part in step.parts if part.sort in ("values", "items", "sized")]
            width = self.joined_up(step)
            order = "little" if step.low else "big"
            if self.cls.in_bits:  # by itself it is filled up with zeros
                self.lines += [] if step.low else [f"n <<= -({width}) & 7"]
            elif several:  # of which there may be given more, or fewer, than are read
                error = f"uneven(h{self.tag}, '{several[0].name}', m_{var})"
                self.lines.append(f"m_{var} = {width} & 7")
                self.guards.append(f"if m_{var}: {self.refuse(error)}")
            self.lines.append(f"{var} = n.to_bytes({width} + 7 >> 3, '{order}')")
        return var

    def joined_up(self, step: Loose) -> str:
        """Work out the number that a stretch is; return source for how many bits."""
        self.names.update(
            joined=joined, too_wide=too_wide, uneven=uneven, spilled=spilled, taken=taken, from_bytes=int.from_bytes
        )
        for part in step.parts:
            self.value(part.field.name)
            if part.field.condition is not None:
                self.present(part.field)
            if part.sort == "wide":
                assert part.measure is not None
                part.measure.code(self)  # type: ignore[arg-type]
        self.fits([part for part in step.parts if part.sort in ("number", "wide")])
        self.known, self.varies, self.begun = 0, False, False
        for alike in together(step.parts):
            there = self.present(alike[0].field) if alike[0].field.condition is not None else ""
            if there or alike[0].sort not in ("number", "bytes"):
                self.lines += [*([] if self.begun else ["n = 0"]), *([] if self.varies else ["b = 0"])]
                self.begun = self.varies = True
            lines = self.some(step, alike, bool(there))
            self.lines += [f"if {there}:", *("    " + line for line in lines)] if there else lines
            self.begun = True
        return self.width

    @property
    def width(self) -> str:
        """Source for how many bits there are so far."""
        return str(self.known) if not self.varies else f"(b + {self.known})" if self.known else "b"

    def fits(self, parts: list[BitPart]) -> None:
        """Refuse numbers that follow from others and are none of their kinds."""
        plain = []
        for part in parts:
            f, value = part.field, self.raw(part.field)
            lines = self.fitting(f, value)
            if lines and f.condition is None and f.kind.low == 0 and part.sort == "number":
                plain.append(f"{value} >> {part.each}")
            else:
                self.lines += lines
        if plain:
            error = f"misfit(((h{self.tag}, '{self.tag}'),), locals())"
            self.lines.append(f"if {' or '.join(plain)}: {self.refuse(error)}")

    def raw(self, f: Field) -> str:
        return self.direct.get(f.name, f"v_{f.name}{self.tag}")

    def some(self, step: Loose, parts: list[BitPart], varies: bool) -> list[str]:
        """Return the lines that add fields of fixed widths, or one other field, to the number; `varies`: they may be absent."""
        if parts[0].sort not in ("number", "bytes"):
            return self.other(step, parts[0])
        total, below, terms = sum(part.each for part in parts), 0, list[str]()
        for part in parts if step.low else reversed(parts):
            code = self.raw(part.field)
            if part.sort == "bytes":
                code = f"from_bytes({code}, '{'little' if step.low else 'big'}')"
            elif part.field.kind.signed:
                code = f"({code} & {(1 << part.each) - 1:#x})"
            terms.append(f"{code} << {below}" if below else code)
            below += part.each
        lines = self.add(step, " | ".join(terms), str(total))
        if varies:
            return lines
        self.known += total
        return lines[:1] if self.begun else [f"n = {' | '.join(terms)}"]

    def add(self, step: Loose, code: str, bits: str) -> list[str]:
        if step.low:
            return [f"n |= ({code}) << {self.width}", f"b += {bits}"]
        return [f"n = n << {bits} | {code}", f"b += {bits}"]

    def other(self, step: Loose, part: BitPart) -> list[str]:
        """Return the lines that add a field of a width that varies."""
        f, value, tag = part.field, self.raw(part.field), self.tag
        if part.sort == "coded":
            self.names[f"W_{f.name}{tag}"] = f.kind.write
            return [f"x = W_{f.name}{tag}({value})", "w = len(x) << 3", *self.add(step, f"from_bytes(x, '{'little' if step.low else 'big'}')", "w")]
        if part.sort == "sized":
            return [
                f"w = len({value}) << 3",
                *self.add(step, f"from_bytes({value}, '{'little' if step.low else 'big'}')", "w"),
            ]
        if part.sort == "values":
            return [
                f"w = len({value}) * {part.each}",
                *self.add(step, f"joined({value}, {part.each}, {step.low})", "w"),
            ]
        if part.sort == "items":
            self.names[f"B_{f.name}{tag}"] = bit_writer(f, type(self))
            return [f"x, w = B_{f.name}{tag}({value})", *self.add(step, "x", "w")]
        if part.sort == "spare":
            error, lines = f"spilled(h{tag}, '{f.name}', w, {value})", [f"w = -{self.width} & 7"]
            before = step.parts[max(0, step.parts.index(part) - 1)]
            if before.field in step.open and before.each < 8:
                wrong = f"taken(h{tag}, '{before.field.name}', w, {before.each})"
                lines.append(f"if w >= {before.each}: {self.refuse(wrong)}")
            return [*lines, f"if {value} >> w: {self.refuse(error)}", *self.add(step, value, "w")]
        assert part.measure is not None
        error = f"too_wide(h{tag}, '{f.name}', w, {value})"
        fits = f"{value} >> w"
        if f.kind.signed:
            fits = f"({value} if {value} >= 0 else ~{value}) >> (w - 1) if w else {value}"
        lines = [f"w = {part.measure.code(self)}", f"if not 0 <= w <= {WIDEST} or {fits}: {self.refuse(error)}"]  # type: ignore[arg-type]
        return [*lines, *self.add(step, f"{value} & (1 << w) - 1" if f.kind.signed else value, "w")]

    # How long they are -----------------------------------------------------------------------------------------

    def stretches(self, fields: list[Field]) -> list[str]:
        """Source for the bytes that some fields fill in each stretch of bits they are in."""
        found = []
        for step in self.plan.loose:
            terms = [self.bit_size(part) for part in step.parts if part.field in fields]
            if terms:
                found.append(f"({' + '.join(terms)} + 7 >> 3)")
        return found

    def share(self, fields: list[Field]) -> str:
        """Source for the bytes that end in the last one of some fields side by side, which begin on a byte boundary."""
        parts = {part.field: part for step in self.plan.loose for part in step.parts}
        terms = [self.bit_size(parts[f]) if f in parts else str(f.kind.fixed_bits) for f in fields]
        before = f"({' + '.join(terms[:-1]) or '0'})"
        if fields[-1] in parts and parts[fields[-1]].sort == "spare":
            return f"(({before} & 7) > 0)"
        return f"(({' + '.join(terms)} >> 3) - ({before} >> 3))"

    def bit_size(self, part: BitPart) -> str:
        f = part.field
        if part.sort in ("number", "bytes", "spare"):
            code = str(part.each)  # spare bits are what is rounded up
        elif part.sort == "wide":
            assert part.measure is not None
            code = part.measure.code(self)  # type: ignore[arg-type]
        elif part.sort == "coded":
            self.value(f.name)
            self.names[f"W_{f.name}{self.tag}"] = f.kind.write
            code = f"len(W_{f.name}{self.tag}({self.raw(f)})) * 8"
        else:
            self.value(f.name)
            code = f"len({self.raw(f)}) * {part.each or 8}"
            if part.sort == "items" and not part.each:
                self.names[f"I_{f.name}{self.tag}"] = items_width
                code = f"I_{f.name}{self.tag}({self.raw(f)})"
        return code if f.condition is None or part.sort == "spare" else f"({code} if {self.present(f)} else 0)"


def items_width(items: tuple[AnyHeader, ...]) -> int:
    """Return how many bits headers take that are items of bits."""
    return sum(map(header_width, items))


# Items of bits -------------------------------------------------------------------------------------------------

_writers: dict[Field, Compiled] = {}
registry.caches.append(_writers)


def bit_writer(field: Field, writing: Compiled) -> Compiled:
    """Return ``pack(items) -> (the number that their bits are, how many these are)`` for headers that are items of bits."""
    if field not in _writers:
        item = field.kind.item
        part = writing(item, ())
        part.names.update(
            stack=(), i=0, above=None, item_class=classes[item], merged=merged, header_number=header_number
        )
        for name in item.order:
            part.value(name)
        width = part.joined_up(item.plan.loose[0])
        joins = "whole |= n << bits" if item.low else f"whole = whole << {width} | n"
        lines = ["s = h._state", f"if type(h) is not item_class or s > {item.captured_state:#x}:"]
        lines += ["    add((whole, bits)); add(header_number(h))", "    whole = bits = 0", "    continue"]
        lines += [*part.lines, *checks(part), *part.guards, joins, f"bits += {width}"]
        lines.append("if bits > 512: add((whole, bits)); whole = bits = 0")  # with longer ones each step takes longer
        head = ["def pack(items):", "    found, whole, bits = [], 0, 0", "    add = found.append", "    for h in items:"]
        tail = ["    add((whole, bits))", f"    return merged(found, {item.low})"]
        lines = [*head, *("        " + line for line in lines), *tail]
        made = function(lines, part.names, f"{item.name} bits")
        _writers[field] = made
    return _writers[field]
