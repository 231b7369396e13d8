"""The compiler for what goes out: a declaration becomes source that packs a header.

`decode` has the other direction; compiled and open evaluation (`explain`) are held to the same results by the tests.
"""

from __future__ import annotations

from itertools import groupby, takewhile
from struct import error as struct_error
from typing import TYPE_CHECKING, Any, Literal

from packetlab.codec.around.following import agreement, disagrees
from packetlab.codec.around.outer import Alone, Within, is_around
from packetlab.codec.around.presence import by_value, is_derived
from packetlab.codec.bits.measured import stretch_bytes
from packetlab.codec.context.recalling import remembering
from packetlab.codec.derive import Deriving
from packetlab.codec.objects import classes, refuse_pattern
from packetlab.codec.places.scattered import lying
from packetlab.codec.pseudo import protocol, pseudo_sum
from packetlab.codec.readback import NAMES, after_end, checks, ends, unended
from packetlab.codec.source import Compiled, PackedPiece, added, function
from packetlab.codec.transforms.direct import closed_at_once, given
from packetlab.declare import registry
from packetlab.declare.bits.stretches import Loose
from packetlab.declare.checksums.ranges import has_payload
from packetlab.declare.expressions import Checksum, Next
from packetlab.declare.fields import Filled
from packetlab.declare.kinds import Raw
from packetlab.declare.plan import Bound, Fixed, Follows, Listed, Step, When
from packetlab.declare.values.units import Run, Unit
from packetlab.errors import BuildError

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.fields import Field


def encode_items(
    value: Raw, align: int, field: Field | None = None, unended: AnyHeader | None = None, fill: bytes = b"\0", lead: int = 0
) -> bytes:
    """Pack the items of a repeated field, filled up with `fill` to a multiple of `align` (`lead` bytes before them count too); with 0 as they were read.

    With `field` they are refused where they would not be read back (see `_writer`).
    """
    data: bytes = value
    if type(value) is not bytes:
        data = b"".join(
            [h if type(h) is bytes else type(h)._encode(h, b"", (h,), 0, None) for h in value] if field is None
            else (_writers.get(field) or _writer(field))(value, unended)
        )
        if type(value) is Filled and not align:
            return data + value.fill
    return data + fill * (-(lead + len(data)) % align) if align else data


def field_bytes(field: Field, raw: Raw) -> bytes:
    """Pack the raw value of a field that is no number of bits, as it was read."""
    if field.kind.wire == "items":
        return encode_items(raw, 0)
    if field.computed is not None or field.heap is not None:
        return b""
    return field.kind.write(raw) if field.kind.wire == "coded" else raw


def cut_encode(header: AnyHeader, body: bytes) -> bytes:
    """Pack a header whose bytes ended inside it: the fields that were read, and no more."""
    refuse_pattern(header)
    number, width, data, low = 0, 0, b"", header._declaration.low
    stretches = {f: step for step in header._declaration.plan.loose for f in step.fields}
    for f in lying(header, header._fields):
        raw = getattr(header, f.slot)
        if f.kind.wire == "payload":
            data, body = data + body, b""
        if f in stretches:
            data += stretch_bytes(header, stretches[f]) if f is stretches[f].fields[0] else b""
        if f in stretches or raw is None:
            continue
        if f.kind.wire == "number":
            bits, value = f.kind.fixed_bits, raw & ((1 << f.kind.fixed_bits) - 1)
            if f.kind.little:
                value = int.from_bytes(value.to_bytes(bits // 8, "little"), "big")
            number = number | value << width if low else number << bits | value
            width += bits
            if width % 8 == 0:
                order: Literal["little", "big"] = "little" if low and width > bits else "big"
                data, number, width = data + number.to_bytes(width // 8, order), 0, 0
        else:
            data += field_bytes(f, raw)
    return data + body


def misfit(headers: tuple[tuple[AnyHeader, str], ...], names: dict[str, object]) -> BuildError:
    """Return the error for the first derived value that does not fit its field, in headers with their tags."""
    for header, tag in headers:
        for f in header._fields:
            value = names.get(f"v_{f.name}{tag}")
            if (f.kind.bits is not None or f.kind.is_number) and isinstance(value, int):
                try:
                    f.kind.raw(value, f"{type(header).__name__}.{f.name}")
                except BuildError as error:
                    return error
    return BuildError(type(headers[0][0]).__name__, "values that fit", "one that does not")


class Packing(Deriving):
    """Writes the source that packs one header.

    By itself it becomes ``encode(h, body, stack, i, above) -> bytes``, or with `fill` ``resolve(...) -> Header``: `body`
    is everything above in bytes, `stack` all headers and `i` this one's place, `above` the next one's declaration.
    With `stack` given, a tuple of classes, it is one part of a function for just such packets (see `stacks`): what
    follows from the classes alone is worked out when compiling, and `tag` keeps the names of the parts apart. With `plain`
    no header of them has items. `pieces` is what stands above; after `source` this header is around it.
    """

    def __init__(self, cls: Declaration, *args: Any, **options: Any) -> None:
        super().__init__(cls, *args, **options)
        self.guards: list[str] = []  # lines that refuse values too large for their bits
        self.names.update(
            misfit=misfit, encode_items=encode_items, pseudo_sum=pseudo_sum, struct_error=struct_error, from_bytes=int.from_bytes,
            Alone=Alone, Within=Within, disagrees=disagrees, cut_encode=cut_encode, **NAMES)  # fmt: skip

    def compile(self) -> Compiled:
        """Return the function of this header alone."""
        name = "resolve" if self.fill else "encode"
        self.source()
        last = self.filled() if self.fill else self.tried(f"return {self.joined(self.pieces)}", "(h, ''),")
        lines = [f"def {name}(h, body, stack, i, above):", *("    " + line for line in [*self.entry(), *self.lines, *last])]
        made = function(lines, self.names, f"{self.cls.name}.{name}")
        return remembering(made) if self.cls.remembers and not self.fill else made

    def entry(self) -> list[str]:
        """Return the lines that pass on what goes another way; of a fused function those of all headers come first."""
        count, tag = len(self.cls.fields), self.tag
        first, above = [f"s{tag} = h{tag}._state"], f"> {(1 << 2 * count) - 1:#x}"
        if self.stack is not None:
            # Given lengths and checksums, headers that are cut, and prototypes go the ordinary way.
            derived = sum(f.bit for f in self.cls.fields if is_derived(f) and not isinstance(f.rule, Next))
            other = f"!= {self.cls.captured_state:#x}" if self.read else f"& {derived | 3 << 2 * count:#x}" if derived else above
            first += [f"if s{tag} {other}: return None"]
            left_out = [f for f in self.cls.fields if self.is_left_out(f) and f.heap is None]
            first += [f"if h{tag}.{f.slot}: return general(stack, payload)" for f in left_out]
            first += [f"{self.own(f)} = h{tag}.{f.slot}" for f in self.cls.fields if self.read]
        else:
            first += [f"if s {above}: return {'h' if self.fill else 'cut_encode(h, body)'}"]
            first += self.looked_up()
        settling = self.settling()
        by_itself = self.stack is None and (self.needs_stack or bool(settling or self.cls.outer_leaves))  # see `compiler.reset`
        return [*["if stack is None: stack = (h,)"] * by_itself, *settling, *first]

    def source(self) -> None:
        """Write the lines that work out all values; from then on `pieces` has this header, too."""
        for name in self.cls.order:
            self.value(name)  # one after the other, so that none has to work out many others first
        self.lines += [f"v_{f.name}{self.tag} = 0" for f in self.plan.sums if self.stack is not None and f.kind.bits is None]
        head, tail = self.packed(self.plan.head), self.packed(self.plan.trailer)
        if not self.fill:
            self.lines += checks(self)
            self.lines += [line for f in self.cls.fields if f.computed is not None for line in agreement(self, f)]
        words = self.words()
        if self.plan.sums and words is None:
            self.lines += [f"v_{f.name}{self.tag} = 0" for f in self.plan.sums if self.stack is not None]
            self.lines += self.guards
            head, tail, self.guards = self.packed_into("head", head), self.packed_into("tail", tail), []
        for f in self.plan.sums:
            self.lines += self.checksum(f, words)
        self.lines += self.guards
        self.pieces = (*head, *self.pieces, *tail)

    def filled(self) -> list[str]:
        """Return the lines that make the header with all values filled in."""
        lines = ["r = new(*of)"]
        for f in self.cls.fields:
            lines += [f"r.{f.slot} = {'None' if f.kind.wire == 'payload' else self.stored(f)}"]
        return [*lines, "r._state = s", *self.knowing(), "return r"]

    def stored(self, f: Field) -> str:
        value = self.value(f.name)
        if f.align and not is_around(f):
            value = self.bytes_source(f)  # filled up, as it will be read back
        if is_around(f) and not f.kind.transforms:
            self.names[f"F_{f.name}"], items = f, value if f.condition is None else self.direct.get(f.name, f"v_{f.name}")  # of no items no 0
            return f"filled_in(F_{f.name}, {items}, {self.outside(f)})" + ("" if f.condition is None else f" if {self.present(f)} else None")
        if f.kind.transforms:
            value = self.bytes_source(f)
            return value if f.condition is None else f"{value} if {self.present(f)} else None"
        return value if f.condition is None else f"v_{f.name} if {self.present(f)} else None"

    def loosened(self) -> list[str]:
        """Return the lines that make a header that was read one with all derived fields derived, where that is the same."""
        r, count = "r" + self.tag, len(self.cls.fields)
        derived = [f for f in self.cls.fields if is_derived(f)]
        sure = sum(f.bit for f in derived if f.condition is None and not isinstance(f.rule, Next))
        lines, made = [f"m = {sure:#x}"], [f"{r} = new{self.tag}(*of{self.tag})"]
        for f in derived:
            own, follows = self.own(f), self.direct.get(f.name, f"v_{f.name}{self.tag}")
            if isinstance(f.rule, Next):
                lines.append(f"if {own} is not None and {own} == v_{f.name}{self.tag}: m |= {f.bit:#x}")
            elif f.bit & sure:
                lines.append(f"if {own} != {follows}: return None")
            else:
                lines += [f"if {own} is not None:", f"    if {own} != {follows}: return None", f"{'' if f.left else '    '}m |= {f.bit:#x}"]
        for f in self.cls.fields:
            anew = f"None if m & {f.bit:#x} else " if f in derived and not by_value(self.cls, f) else ""
            made.append(f"{r}.{f.slot} = {self.own(f) if f.is_filler else 'None' if f.bit & sure else anew + self.own(f)}")
        return [*lines, *made, f"{r}._state = {self.cls.captured_state:#x} & ~(m | m << {count})"]

    # Bytes ---------------------------------------------------------------------------------------------------

    def packed(self, steps: list[Step]) -> tuple[PackedPiece, ...]:
        pieces: list[PackedPiece] = []
        for step in self.in_row(steps, pieces):
            inner = step.step if isinstance(step, When) else step
            if isinstance(inner, Loose):
                pieces.append(PackedPiece((self.loose(inner),), self.sizes(inner.fields)))
            elif isinstance(inner, Fixed):
                piece = PackedPiece(tuple(map(self.unit, inner.run.units)), inner.run.size, inner.run)
                if isinstance(step, When):
                    there = self.present(step.field)
                    piece = piece._replace(size=f"({piece.size} if {there} else 0)", there=there)
                pieces.append(piece)
            elif step.fields and not isinstance(inner, Follows) and not self.is_left_out(step.fields[0]):
                code = self.bytes_source(step.fields[0])
                there = self.present(step.fields[0]) if isinstance(step, When) else ""
                pieces.append(PackedPiece((code,), f"len({code})", there=there))
        return tuple(pieces)

    def closed(self, f: Field, value: str) -> str:
        key, codes = f"C_{f.name}{self.tag}", self.arguments(f)
        self.names[key] = f.kind.closed if self.fill else f.kind.packed  # type: ignore[attr-defined]
        careful, present = f"{key}({value}, {given(codes)})", "" if f.condition is None else self.present(f)
        return careful if self.fill else closed_at_once(self, f, value, codes, careful, present)

    def bytes_before(self, f: Field) -> str:
        steps = [*takewhile(lambda step: f not in step.fields, self.plan.head)]
        var = f"o_{f.name}{self.tag}"
        self.lines += self.tried(f"{var} = {self.joined(self.packed(steps))}", f"(h{self.tag}, '{self.tag}'),")
        return var

    def joined(self, pieces: tuple[PackedPiece, ...]) -> str:
        """Source for the bytes of some pieces; runs side by side are packed at once."""
        conditions = {piece.there for piece in pieces if piece.there}
        if len(conditions) == 1:
            all_there = tuple(piece._replace(there="") for piece in pieces)
            others = tuple(piece for piece in pieces if not piece.there)
            return f"({self.joined(all_there)} if {conditions.pop()} else {self.joined(others)})"
        terms: list[str] = []
        for (order, there), some in groupby(pieces, lambda piece: (piece.run and piece.run.order, piece.there)):
            together = [*some]
            codes = [code for piece in together for code in piece.codes]
            if order is None:
                terms += codes
            elif there:
                terms.append(self.joined(tuple(together)))
            else:
                var = f"S_{len(self.names)}{self.tag}"
                self.names[var] = Run([unit for piece in together if piece.run for unit in piece.run.units]).struct.pack
                terms.append(f"{var}({', '.join(codes)})")
        return added(terms, "b''", "b''.join", 3)  # of four it is quicker

    def tried(self, line: str, headers: str) -> list[str]:
        """Return lines that say which value does not fit where one of some headers does not."""
        return ["try:", "    " + line, "except (struct_error, OverflowError, ValueError):",
                f"    {self.refuse(f'misfit(({headers}), locals()) from None')}"]  # fmt: skip

    def packed_into(self, what: str, pieces: tuple[PackedPiece, ...]) -> tuple[PackedPiece, ...]:
        """Pack some pieces of this header, into a variable."""
        var = what + self.tag
        self.lines += self.tried(f"{var} = {self.joined(pieces)}", f"(h{self.tag}, '{self.tag}'),") if pieces else []
        return (PackedPiece((var,), f"len({var})"),) if pieces else ()

    def body(self) -> str:
        """Source for the bytes of all that stands above."""
        if self.stack is not None and (len(self.pieces) != 1 or self.pieces[0].run is not None):
            above = ", ".join(f"(h_{i}, '_{i}')" for i in range(self.i + 1, len(self.stack)))
            self.lines += self.tried(f"body{self.tag} = {self.joined(self.pieces)}", above + ",")
            self.pieces = (PackedPiece((f"body{self.tag}",), f"len(body{self.tag})"),)
        return self.pieces[0].codes[0] if self.pieces else "b''"

    def together(self, unit: Unit) -> str:
        """Source for the number that the fields of a unit make, or for its bytes."""
        var = f"u_{unit.fields[0].name}{self.tag}"
        if var in self.done:
            return var
        code = ""
        for f, shift in unit.places:
            bits = f.kind.fixed_bits
            self.value(f.name)
            value = self.direct.get(f.name, f"v_{f.name}{self.tag}")
            if f.kind.wire == "number" and f.kind.signed and len(unit.fields) > 1:
                value = f"({value} & {(1 << bits) - 1})"
            code += (" | " if code else "") + (f"{value} << {shift}" if shift else value)
        if len(unit.fields) == 1:
            return code
        self.done.add(var)
        self.lines.append(f"{var} = {code}")
        return var

    def unit(self, unit: Unit) -> str:
        """Source for what `struct` packs of a unit."""
        code = self.together(unit)
        for f in unit.fields if len(unit.fields) > 1 else ():
            if f.rule is not None and not isinstance(f.rule, Next) and f.name not in self.constant:
                test = f"v_{f.name}{self.tag} >> {f.kind.bits}"
                error = f"misfit(((h{self.tag}, '{self.tag}'),), locals())"
                self.guards.append(f"if {test}: {self.refuse(error)}")
        if unit.by_bytes:
            order = "little" if unit.little else "big"
            return f"({code}).to_bytes({unit.bits // 8}, '{order}'{', signed=True' * unit.signed})"
        return code

    # Checksums -----------------------------------------------------------------------------------------------

    def words(self) -> list[str] | None:
        """Source for numbers that come to the same sum as the header's 16-bit words, for 2**16 is 1 modulo 65535.

        None where the one sum of the header is no such sum over it, or the place of a word is not known.
        """
        f = self.plan.sums[0] if len(self.plan.sums) == 1 else None
        if f is None or f.condition is not None or f not in self.before:
            return None
        assert isinstance(f.rule, Checksum)
        parts = [part for part in f.rule.over if part != "pseudo"]
        if f.rule.algorithm.word != "internet" or parts not in (["self"], ["self", "payload"]):
            return None
        found, at = [], 0
        for step in self.plan.head:
            if isinstance(step, Bound | Follows) or self.is_left_out(step.fields[0]):
                continue
            if not isinstance(step, Fixed):
                return None
            for unit in step.run.units:
                at += unit.bits // 8
                if unit.little and unit.bits > 8:
                    return None
                if f in unit.fields:
                    continue
                code = self.together(unit)
                if not unit.number:
                    code = self.as_number(f"{unit.fields[0].name}{self.tag}", code)
                elif unit.signed:
                    code = f"{code} & {(1 << unit.bits) - 1}"
                found.append(f"(({code}) << 8)" if at % 2 else f"({code})")
        return None if at % 2 and "payload" in parts else found

    def as_number(self, what: str, code: str) -> str:
        """The variable that holds the number some bytes are; functions for a whole stack share them."""
        if what not in self.numbers:
            self.numbers.add(what)
            self.lines.append(f"n_{what} = from_bytes({code}, 'big')")
        return f"n_{what}"

    def checksum(self, f: Field, words: list[str] | None) -> list[str]:
        """Return the lines that work out a sum; those that put it into the packed bytes too, where it is none of `words`."""
        rule, tag = f.rule, self.tag
        assert isinstance(rule, Checksum)
        var, terms, carrier = f"v_{f.name}{tag}", words or [], None
        condition = [f"not s & {f.bit:#x}"] if self.stack is None else []
        condition += [self.present(f)] if f.condition is not None else []
        if words is None:
            some = self.plan.covered[f.name]  # here the checksum itself is still 0
            body = self.body() if has_payload(some) else ""
            lines, data, size = [f"d = {self.covered(some, 'head' + tag, body, 'tail' + tag)}"], "d", "len(d)"
        else:
            lines, data = [], self.body() if "payload" in rule.over else ""
            size = f"{self.size('self')} + {self.size('payload')}" if data else self.size("self")
        if rule.algorithm.word == "internet":
            # The complement of a sum modulo 65535 (see checksums.internet); all zeros is the one sum that is 0.
            lines += [f"c = from_bytes({data}, 'big')", f"if len({data}) & 1: c <<= 8"] if data else []
            carrier = self.carrier(size) if "pseudo" in rule.over else None
            terms = [*terms, *(carrier or ())]
            lines += [f"c {'+' if data else ''}= {added(terms)}"] if terms or not data else []
            if "pseudo" in rule.over and not carrier:
                self.needs_stack = True
                i = "i" if self.stack is None else self.i
                lines += [f"m = pseudo_sum(stack, {i}, cls{tag}, {size})", "if m is not None: c += m"]
            lines += [f"{var} = -c % 65535" + ("" if carrier else " if c else 65535")]
        else:
            lines += [f"{var} = {self.summing(f, rule)}"]
        if rule.none is not None:
            lines += [f"if {var} == {rule.none}: {var} = {rule.instead}"]
        if "pseudo" in rule.over and not carrier:  # without a network layer below there is nothing to check against: none is sent
            kept = f"isinstance(stack, Alone | Within) and {self.own(f)} or 0"  # looked into alone, what was filled in where there was one
            lines += [f"if m is None: {var} = {kept if self.fill else 0}"]
        if rule.where is not None:
            lines = [f"{var} = {rule.otherwise}", f"if {rule.where.code(self)}:", *("    " + line for line in lines)]
        if words is None and not (self.fill and len(self.plan.sums) == 1):
            where, fields = ("head", self.before) if f in self.before else ("tail", self.after)
            lines.append(f"at = {self.sizes(fields[: fields.index(f)])}")
            many, code = self.sum_bytes(f, var)
            lines.append(f"{where + tag} = {where + tag}[:at] + {code} + {where + tag}[at + {many}:]")
        return [f"if {' and '.join(condition)}:", *("    " + line for line in lines)] if condition else lines

    def carrier(self, size: str) -> list[str] | None:
        """Source for what the pseudo-header adds, from the fields of the carrier; None where only `pseudo_sum` knows."""
        stack = self.stack or ()
        for below in range(self.i - 1, -1, -1) if stack else ():
            one = stack[below]
            # Without options, which is what `plain` says, there is no source route that names another destination.
            elsewhere = one.redirects and not self.plain
            if one.pseudo is not None and (elsewhere or not one.pseudo[0]):
                return None
            if one.pseudo is not None:
                of = f"h_{below}" + ("" if self.read else ".")
                numbers = [self.as_number(f"{name}_{below}", of + one.by_name[name].slot) for name in one.pseudo]
                return [*numbers, size, str(protocol(one, self.cls))]
        return None


# Lists ---------------------------------------------------------------------------------------------------------

_writers: dict[Field, Compiled] = {}
registry.caches.append(_writers)


def _writer(field: Field) -> Compiled:
    """Return ``pack(items, header) -> list of bytes`` for a repeated field.

    It refuses items after the one that ends them, which no reader comes to, and where `header` is given, items of which the
    last does not end them.
    """
    item, owner, until = field.kind.item, field.owner, field.until
    part = Packing(item, ())
    part.names.update(F=field, stack=(), i=0, above=None, ends=ends, after_end=after_end, unended=unended)
    part.source()
    ended = "ends(F, h)" if until is None or not item.always_decides(until) else until.code(part)
    part.names["item_class"] = classes[item]
    lines = ["s = h._state"]
    other = ["if type(h) is not item_class:", "    found.append(type(h)._encode(h, b'', (h,), 0, None))"]
    lines += [*other, *(["    if ends(F, h): ended = True; break"] if until is not None else []), "    continue"]
    lines += [f"if s > {item.captured_state:#x}: found.append(cut_encode(h, b'')); continue"]
    lines += [*part.lines, *part.tried(f"found.append({part.joined(part.pieces)})", "(h, ''),")]
    # Bytes that are no whole item come last.
    head = ["def pack(items, header):", "    ended, more = False, []"]
    head += ["    if items and type(items[-1]) is bytes: items, more = items[:-1], [items[-1]]"]
    head += ["    found, left = [], iter(items)", "    for h in left:"]
    tail = ["    return found + more"]
    if until is not None:
        lines.append(f"if {ended}: ended = True; break")
        # They are read back as such after the item that ends the others, unless the list has no other end.
        alone = any(isinstance(step, Listed) and step.count is None and step.field is field for step in owner.plan.within)
        tail = [
            f"    for h in [*left{', *more' if alone else ''}] if ended else (): raise after_end(F, h)",
            "    if header is not None and not ended and not more: raise unended(header, F.name)",
            *tail,
        ]
    made = function([*head, *("        " + line for line in lines), *tail], part.names, f"{item.name} items")
    _writers[field] = made
    return made
