"""The compiler for what goes out: a declaration becomes source that packs a header.

`decode` has the other direction; compiled and open evaluation (`explain`) are held to the same results by the tests.
"""

from __future__ import annotations

import re
from struct import error as struct_error
from typing import TYPE_CHECKING, Any

from packetlab.codec.pseudo import protocol, pseudo_sum
from packetlab.codec.readback import NAMES, checks
from packetlab.codec.source import OneByOne, added, function
from packetlab.declare import registry
from packetlab.declare.checksums import ALGORITHMS
from packetlab.declare.expressions import Checksum, Has, Next, Ref
from packetlab.declare.fields import REQUIRED
from packetlab.declare.kinds import Filled
from packetlab.declare.plan import Fixed, Run, Step, Unit, When
from packetlab.declare.wildcards import refuse_pattern
from packetlab.errors import BuildError, DeclareError

if TYPE_CHECKING:
    from packetlab.declare.declaration import AnyHeader, Declaration
    from packetlab.declare.fields import Field


def is_derived(field: Field) -> bool:
    """Whether a field has a value of its own only where it is given."""
    return field.rule is not None or bool(field.pad)


def encode_items(value: Any, align: int) -> bytes:
    """Pack the items of a repeated field, filled up with zeros to a multiple of `align`; with 0 as they were read."""
    if type(value) is bytes:
        data = value
    else:
        data = b"".join(h if type(h) is bytes else type(h)._encode(h, b"", (h,), 0, None) for h in value)
        if type(value) is Filled and not align:
            return data + value.fill
    return data + bytes(-len(data) % align) if align else data


def field_bytes(field: Field, raw: Any) -> bytes:
    """Pack the raw value of a field that is no number of bits, as it was read."""
    if field.kind.wire == "items":
        return encode_items(raw, 0)
    return raw if type(raw) is bytes else field.kind.write(raw)


def cut_encode(header: AnyHeader, body: bytes) -> bytes:
    """Pack a header whose bytes ended inside it: the fields that were read, and no more."""
    refuse_pattern(header)
    number, width, data = 0, 0, b""
    for f in type(header)._fields:
        raw = getattr(header, f.slot)
        if f.kind.wire == "payload":
            data, body = data + body, b""
        if raw is None:
            continue
        if f.kind.wire == "number":
            bits, value = f.kind.fixed_bits, raw & ((1 << f.kind.fixed_bits) - 1)
            if f.kind.little:
                value = int.from_bytes(value.to_bytes(bits // 8, "little"), "big")
            number, width = number << bits | value, width + bits
            if width % 8 == 0:
                data, number, width = data + number.to_bytes(width // 8, "big"), 0, 0
        else:
            data += field_bytes(f, raw)
    return data + body


def misfit(header: AnyHeader, names: dict[str, Any], tag: str) -> BuildError:
    """Return the error for the first derived value that does not fit its field."""
    cls = type(header)
    for f in cls._fields:
        value = names.get(f"v_{f.name}{tag}")
        if f.kind.bits is not None and value is not None and not isinstance(value, bytes):
            try:
                f.kind.raw(value, f"{cls.__name__}.{f.name}")
            except BuildError as error:
                return error
    return BuildError(cls.__name__, "values that fit", "one that does not")


def missing(header: AnyHeader, name: str) -> BuildError:
    """Return the error for a field without value, default or rule."""
    return BuildError(f"{type(header).__name__}.{name}", "a value", "none", f"give {name}=...")


class Packing(OneByOne):
    """Writes the source that packs one header.

    By itself it becomes ``encode(h, body, stack, i, above) -> bytes``, or with `fill` ``resolve(...) -> Header``: `body`
    is everything above in bytes, `stack` all headers and `i` this one's place, `above` the next one's class.
    With `stack` given, a tuple of classes, it is one part of a function for just such packets (see `stacks`): what
    follows from the classes alone is worked out when compiling, and `tag` keeps the names of the parts apart.
    """

    def __init__(
        self,
        cls: Declaration,
        *,
        fill: bool = False,
        tag: str = "",
        stack: Any = None,
        i: int = 0,
        plain: bool = False,
    ) -> None:
        self.cls, self.fill, self.tag, self.stack, self.i, self.plain = cls, fill, tag, stack, i, plain
        self.fields = cls.by_name
        self.lines: list[str] = []
        self.done: set[str] = set()
        self.heads: dict[str, str] = {}  # for each checksum in a fixed part: the source that packs the header
        self.known_sum = 0
        self.direct: dict[str, str] = {}  # fields that are packed as the header has them
        self.doing: list[str] = []
        self.names: dict[str, Any] = {
            "misfit": misfit, "missing": missing, "encode_items": encode_items, "pseudo_sum": pseudo_sum,
            "struct_error": struct_error, "from_bytes": int.from_bytes, f"cls{tag}": cls.header, "cut_encode": cut_encode, f"new{tag}": cls.header.__new__,
            **NAMES,
        }  # fmt: skip
        self.plan, self.before, self.behind = cls.plan, cls.before, cls.behind

    def compile(self) -> Any:
        """Return the function of this header alone."""
        name = "resolve" if self.fill else "encode"
        lines = [f"def {name}(h, body, stack, i, above):", *("    " + line for line in self.entry() + self.source())]
        return function(lines, self.names, f"{self.cls.name}.{name}")

    def entry(self) -> list[str]:
        """Return the lines that pass on what goes another way; of a fused function those of all headers come first."""
        count, tag = len(self.cls.fields), self.tag
        first = [f"s{tag} = h{tag}._state"]
        if self.stack is not None:
            # Given lengths and checksums, headers that are cut, and prototypes go the ordinary way.
            derived = sum(f.bit for f in self.cls.fields if is_derived(f) and not isinstance(f.rule, Next))
            first += [f"if s{tag} & {derived | 3 << 2 * count:#x}: return None"]
            if self.plain:
                first += [
                    f"if h{tag}.{f.slot}: return general(stack, payload)"
                    for f in self.cls.fields
                    if f.kind.wire == "items"
                ]
        else:
            first += [f"if s >> {2 * count}: return {'h' if self.fill else 'cut_encode(h, body)'}"]
        return first

    def source(self) -> list[str]:
        """Return the lines; they end by returning, or in a fused function by setting `body`."""
        tag, sums = self.tag, self.plan.sums
        for name in self.cls.order:
            self.value(name)  # one after the other, so that none has to work out many others first
        head = self.packed(self.plan.head, f"head{tag}")
        tail = self.packed(self.plan.trailer, f"tail{tag}") if self.plan.trailer else []
        ending: list[str] = [] if self.fill else checks(self)
        if not self.fill or sums:
            ending += head + tail
        for f in sums:
            ending += self.checksum(f)
        if self.fill:
            ending += ["r = new(cls)"]
            for f in self.cls.fields:
                stored = "None" if f.kind.wire == "payload" else self.stored(f)
                ending += [f"r.{f.slot} = {stored}"]
            ending += ["r._state = s", "return r"]
        else:
            whole = f"head{tag} + body" + (f" + tail{tag}" if tail else "")
            ending += [f"return {whole}" if self.stack is None else f"body = {whole}"]
        return self.lines + ending

    def stored(self, f: Field) -> str:
        value = self.value(f.name)
        if f.align:
            value = self.bytes_source(f)  # filled up, as it will be read back
        return value if f.condition is None else f"v_{f.name} if {self.present(f)} else None"

    # What expressions ask for (see rules.Emitter) ------------------------------------------------------------

    def value(self, name: str) -> str:
        f, tag = self.fields[name], self.tag
        var = f"v_{name}{tag}"
        if name in self.done:
            return self.direct.get(name, var) if f.condition is None else f"({var} or 0)"
        if name in self.doing:
            raise DeclareError(f"{self.cls.name}.{name}", "rules without a circle", " -> ".join([*self.doing, name]))
        self.doing.append(name)
        own, is_own = f"h{tag}.{f.slot}", f"s{tag} & {f.bit:#x}"
        derived = "0" if isinstance(f.rule, Checksum) else f.rule.code(self) if f.rule is not None else ""
        if f.pad:
            derived = f"bytes(-({self.size_before(f)}) % {f.pad})"
        if derived and self.stack is not None and not isinstance(f.rule, Next):
            if isinstance(f.rule, Checksum):
                pass  # comes last; until then 0 is packed in its place (see `packed`)
            elif set(derived) <= set("0123456789()+-*/<> ") and "h" not in derived:
                self.direct[name] = str(eval(derived))
            else:
                self.lines.append(f"{var} = {derived}")
        elif derived:
            self.lines.append(f"{var} = {own} if {is_own} else {derived}")
            if f.condition is not None:
                self.lines.append(f"if {var} is None: {var} = {derived}")
        elif f.condition is None and f.default is not REQUIRED:
            self.direct[name] = own
        else:
            self.lines.append(f"{var} = {own}")
            if f.condition is not None:
                self.names[f"Z_{name}{tag}"] = f.kind.zero if f.default in (None, REQUIRED) else f.default
                self.lines.append(f"if {var} is None: {var} = Z_{name}{tag}")
            else:
                self.lines.append(f"if {var} is None: raise missing(h{tag}, '{name}')")
        self.doing.pop()
        self.done.add(name)
        return self.value(name)

    def present(self, f: Field) -> str:
        var = f"p_{f.name}{self.tag}"
        if var not in self.done:
            assert f.condition is not None
            self.lines.append(f"{var} = {f.condition.code(self)}")
            self.done.add(var)
        return var

    def bytes_source(self, f: Field) -> str:
        """The packed form of a field of varying size."""
        var = f"b_{f.name}{self.tag}"
        if self.plain and f.kind.wire == "items":
            return "b''"
        if var not in self.done:
            self.value(f.name)
            value = self.direct.get(f.name, f"v_{f.name}{self.tag}")
            code = self.packed_items(f, value) if f.kind.wire == "items" else self.coded(f, value)
            if f.condition is not None:
                code = f"{code} if {self.present(f)} else b''"
            self.lines.append(f"{var} = {code}")
            self.done.add(var)
        return var

    def coded(self, f: Field, value: str) -> str:
        """The bytes of a value: as they are, or as a kind of its own width writes it."""
        if f.kind.wire == "open":
            return value
        self.names[f"W_{f.name}{self.tag}"] = f.kind.write
        return f"W_{f.name}{self.tag}({value})"

    def packed_items(self, f: Field, value: str) -> str:
        # What was captured is as long as it was; only what is built is filled up.
        align = str(f.align)
        if f.align:
            align = f"0 if s{self.tag} & {f.bit << len(self.cls.fields):#x} else {f.align}"
        return f"(encode_items({value}, {align}) if {value} else b'')"

    def size(self, part: str) -> str:
        if part == "payload":
            return "len(body)"
        return f"({self.sizes(self.before if part == 'self' else [self.fields[part]])})"

    def sizes(self, fields: list[Field]) -> str:
        bits, terms = 0, []
        for f in fields:
            width = f.kind.bits
            if self.plain and f.kind.wire == "items":
                continue
            if width is None:
                terms.append(f"len({self.bytes_source(f)})")
            elif f.condition is not None:
                terms.append(f"({width // 8} if {self.present(f)} else 0)")
            else:
                bits += width
        return added([*terms, str(bits // 8)] if bits or not terms else terms)

    def size_before(self, f: Field) -> str:
        """How many bytes there are from the start of the header to `f`."""
        if f in self.before:
            return self.sizes(self.before[: self.before.index(f)])
        return " + ".join([self.sizes(self.before), "len(body)", self.sizes(self.behind[: self.behind.index(f)])])

    def count(self, name: str) -> str:
        self.value(name)
        value = self.direct.get(name, f"v_{name}{self.tag}")
        # Items not looked into yet are still bytes.
        return f"(len({value}) if type({value}) is not bytes else len(h{self.tag}._parsed(cls{self.tag}._by_name['{name}'])))"

    def has(self, name: str) -> str:
        f = self.fields[name]
        if f.condition is not None and not self._by_value(f):
            return self.present(f)  # it is there with its default too
        return f"(h{self.tag}.{f.slot} is not None)"

    def _by_value(self, f: Field) -> bool:
        """Whether a field is there because it has a value: what its condition needs follows from that."""
        todo, seen = [f.condition], set[str]()
        while todo:
            rule = todo.pop()
            for leaf in rule.leaves() if rule is not None else ():
                if isinstance(leaf, Has) and leaf.name == f.name:
                    return True
                if isinstance(leaf, Ref | Has) and leaf.name not in seen:
                    seen.add(leaf.name)
                    todo += [self.fields[leaf.name].rule, self.fields[leaf.name].condition]
        return False

    def number(self, rule: Next) -> str:
        name = next(f.name for f in self.cls.fields if f.rule is rule)
        numbers, filled = registry.space(rule.space).numbers, registry.filled(self.cls.header, name)
        if self.stack is not None:
            above = self.stack[self.i + 1].header if self.i + 1 < len(self.stack) else None
            if above in filled:
                return filled[above].code(self)
            return str(numbers[above]) if above in numbers else rule.otherwise.code(self)
        self.names[f"N_{name}"] = numbers
        code = f"N_{name}.get(above, {rule.otherwise.code(self)})"
        if not filled:
            return code
        # In statements of their own: Python nests expressions 200 deep at most, and there may be more bindings.
        values = [(upper, value.code(self)) for upper, value in filled.items()]
        self.lines.append(f"n_{name} = {code}")
        for number, (upper, value) in enumerate(values):
            self.names[f"A_{name}_{number}"] = upper
            self.lines.append(f"if above is A_{name}_{number}: n_{name} = {value}")
        return f"n_{name}"

    def ahead(self, bits: int) -> str:
        raise DeclareError(self.cls.name, "ahead() in a binding's condition only", "ahead() in a rule")

    # Bytes ---------------------------------------------------------------------------------------------------

    def packed(self, steps: list[Step], var: str) -> list[str]:
        parts: list[str] = []
        guards: list[str] = []
        for step in steps:
            if isinstance(step, Fixed):
                parts.append(self.struct(step.run, guards))
            elif isinstance(step, When) and isinstance(step.step, Fixed):
                self.value(step.field.name)
                parts.append(f"({self.struct(step.step.run, guards)} if {self.present(step.field)} else b'')")
            elif step.fields and not (self.plain and step.fields[0].kind.wire == "items"):
                parts.append(self.bytes_source(step.fields[0]))
        whole = added(parts, "b''")
        sums = [f.name for step in steps for f in step.fields if isinstance(f.rule, Checksum)]
        self.heads.update(dict.fromkeys(sums, whole))
        for name in sums if self.stack is not None else ():
            whole = re.sub(rf"\bv_{name}{self.tag}\b", "0", whole)
        return [*guards, "try:", f"    {var} = {whole}",
                "except (struct_error, OverflowError, ValueError):",
                f"    raise misfit(h{self.tag}, locals(), '{self.tag}') from None"]  # fmt: skip

    def struct(self, piece: Run, guards: list[str]) -> str:
        var = f"S_{len(self.names)}{self.tag}"
        self.names[var] = piece.struct.pack
        return f"{var}({', '.join(self.unit(u, guards) for u in piece.units)})"

    def unit(self, unit: Unit, guards: list[str]) -> str:
        code, shift = "", unit.bits
        for f in unit.fields:
            assert f.kind.bits is not None
            self.value(f.name)
            var = self.direct.get(f.name, f"v_{f.name}{self.tag}")
            if len(unit.fields) > 1 and f.rule is not None and not isinstance(f.rule, Next) and not var.isdigit():
                guards.append(f"if {var} >> {f.kind.bits}: raise misfit(h{self.tag}, locals(), '{self.tag}')")
            shift -= f.kind.bits
            if f.kind.wire == "number" and f.kind.signed and len(unit.fields) > 1:
                var = f"({var} & {(1 << f.kind.bits) - 1})"
            code += (" | " if code else "") + (f"{var} << {shift}" if shift else var)
        if unit.by_bytes:
            order = "little" if unit.little else "big"
            return f"({code}).to_bytes({unit.bits // 8}, '{order}', signed={unit.signed})"
        return code

    def checksum(self, f: Field) -> list[str]:
        rule, tag = f.rule, self.tag
        assert isinstance(rule, Checksum) and f.kind.wire == "number"
        size, order = f.kind.fixed_bits // 8, "little" if f.kind.little else "big"
        data = " + ".join(self.part(part) for part in rule.over if part != "pseudo")
        var = f"v_{f.name}{tag}"
        condition = "" if self.stack is not None else f"not s & {f.bit:#x}"
        if f.condition is not None:
            condition += (" and " if condition else "") + self.present(f)
        lines = [f"d = {data}"]
        known = carried = "pseudo" in rule.over
        if carried:
            source = self.pseudo()
            known = source.startswith("h_")
            # Only an Internet checksum may have one. Addresses are of even length, so they may stand before the data.
            lines = [f"d = {source} + {data}"] if known else [*lines, f"m = {source}"]
        if rule.algorithm == "internet":
            # The complement of a sum modulo 65535 (see checksums.internet); all zeros is the one sum that is 0.
            lines += ["c = from_bytes(d, 'big')"]
            even = rule.over == ("self",) and self.sizes(self.before).isdigit() and not int(self.sizes(self.before)) % 2
            lines += [] if even else ["if len(d) & 1: c <<= 8"]
            if known:
                lines += [f"c += len(d) + {self.known_sum}"]
            elif carried:
                lines += ["if m is not None: c += m"]
            lines += [f"{var} = -c % 65535" + ("" if known else " if c else 65535")]
        else:
            self.names["sum_" + rule.algorithm] = ALGORITHMS[rule.algorithm]
            lines += [f"{var} = sum_{rule.algorithm}(d)"]
        if rule.none is not None:
            lines += [f"if {var} == {rule.none}: {var} = {rule.instead}"]
        if carried and not known:
            # Without a network layer below there is nothing to check against: no checksum is sent.
            lines += [f"if m is None: {var} = 0"]
        if not self.fill or sum(isinstance(g.rule, Checksum) for g in self.cls.fields) > 1:
            inside = f in self.before
            where = f"head{tag}" if inside else f"tail{tag}"
            at = self.size_before(f) if inside else self.sizes(self.behind[: self.behind.index(f)])
            if self.heads.get(f.name) and len(self.heads) == 1:
                # Packing again is faster than cutting the two bytes in.
                lines += [f"{where} = {self.heads[f.name]}"]
            else:
                if not at.isdigit():
                    lines.append(f"at = {at}")
                    at = "at"
                after = str(int(at) + size) if at.isdigit() else f"at + {size}"
                lines += [f"{where} = {where}[:{at}] + {var}.to_bytes({size}, '{order}') + {where}[{after}:]"]
        return [f"if {condition}:", *("    " + line for line in lines)] if condition else lines

    def pseudo(self) -> str:
        """The sum of the pseudo-header; where the stack is known, straight from the fields of the carrier."""
        if self.stack is None:
            return "pseudo_sum(stack, i, cls, len(d))"
        for below in range(self.i - 1, -1, -1):
            names = self.stack[below].pseudo
            # Without options, which is what `plain` says, there is no source route that names another destination.
            elsewhere = hasattr(self.stack[below].header, "final_destination") and not self.plain
            if names is not None and (elsewhere or not names[0]):
                return f"pseudo_sum(stack, {self.i}, cls{self.tag}, len(d))"
            if names is not None:
                number = protocol(self.stack[below].header, self.cls.header)
                first, second = self.stack[below].by_name[names[0]], self.stack[below].by_name[names[1]]
                addresses = first.kind.fixed_bits // 8 + second.kind.fixed_bits // 8
                self.known_sum = number - addresses  # len(d) counts the addresses too
                return f"h_{below}.{first.slot} + h_{below}.{second.slot}"
        return "None"

    def part(self, part: str) -> str:
        if part in ("self", "payload"):
            return {"self": f"head{self.tag}", "payload": "body"}[part]
        f = self.fields[part]
        if f.kind.bits is None:
            return self.bytes_source(f)
        raise DeclareError(f"{self.cls.name}.{part}", "a part of varying size", "a fixed field")
