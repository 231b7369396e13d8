"""The values of a header as source: what follows for each field from the others, how long each is, whether it is there.

`encode` packs them; `rederive` compares them with those that are there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.around.following import value_of
from packetlab.codec.around.lists import until_lists
from packetlab.codec.around.outer import is_around
from packetlab.codec.around.presence import by_value, counted_by, is_derived
from packetlab.codec.around.writing import OuterWriting
from packetlab.codec.bits.writing import BitWriting
from packetlab.codec.faults import Values
from packetlab.codec.objects import AnyHeader, classes
from packetlab.codec.places.gaps import Filling
from packetlab.codec.places.held_writing import HeldWriting
from packetlab.codec.places.scattered import placing
from packetlab.codec.source import OneByOne, PackedPiece, added
from packetlab.declare import registry
from packetlab.declare.bits.shares import shares, sharing
from packetlab.declare.expressions import Checksum, Const, Next, Size
from packetlab.declare.fields import REQUIRED, Field
from packetlab.errors import BuildError, DeclareError

if TYPE_CHECKING:
    from packetlab.declare.checksums.ranges import Region
    from packetlab.declare.declaration import Declaration


def missing(header: AnyHeader, name: str) -> BuildError:
    """Return the error for a field without value, default or rule."""
    f = header._by_name[name]
    hint = f", or {name} = pad(size=...) fills up" if f.may_fill else ""
    return BuildError(f"{type(header).__name__}.{name}", "a value", "none", f"give {name}=...{hint}")


BYTES = [bytes([number]) for number in range(256)]


def unsettled(header: AnyHeader, name: str) -> BuildError:
    """Return the error for a number that counts its own bytes, where none of a size gives that size."""
    where, hint = f"{type(header).__name__}.{name}", f"give {name}=..., or bytes of another size"
    return BuildError(where, "a number that its own size leaves as it is", "another one for each size", hint)


class _Sizes(Values):
    """A scope in which nothing is known but sizes."""

    def size(self, part: str) -> int:
        return int(self.values[part])


class Deriving(BitWriting, HeldWriting, Filling, OneByOne, OuterWriting):
    """Writes the source of one header's values (see `expressions.Emitter`): `h` is the header, `s` its state.

    With `stack` given, a tuple of classes, it is one part of a function for just such packets (see `stacks`): what
    follows from the classes alone is worked out when compiling, and `tag` keeps the names of the parts apart. With `plain`
    no header of them has items; with `read` all of them were read whole. `pieces` is what stands above it.
    """

    def __init__(
        self,
        cls: Declaration,
        pieces: tuple[PackedPiece, ...] = (PackedPiece(("body",), "len(body)"),),
        *,
        numbers: set[str] | None = None,
        fill: bool = False,
        tag: str = "",
        stack: tuple[Declaration, ...] | None = None,
        i: int = 0,
        plain: bool = False,
        read: bool = False,
    ) -> None:
        self.cls, self.fill, self.tag, self.stack, self.i, self.plain, self.read = cls, fill, tag, stack, i, plain, read
        self.pieces, self.numbers = pieces, set() if numbers is None else numbers
        self.fields = cls.by_name
        self.lines: list[str] = []
        self.done: set[str] = set()
        self.direct: dict[str, str] = {}  # fields that are packed as the header has them
        self.constant: set[str] = set()  # those that have the same value in all headers
        self.doing: list[str] = []
        self.given: dict[str, str] = {}  # while a value is worked out that follows from these: as far as they are given
        self.presence: dict[str, str] = {}  # condition -> the variable that says whether it holds
        self.circular: dict[str, str] = {}  # numbers that count their own bytes -> the variable, where the value is used too
        self.names: dict[str, object] = {"missing": missing, "unsettled": unsettled, f"cls{tag}": cls, f"new{tag}": classes[cls].__new__}
        self.names[f"of{tag}"] = (classes[cls],)  # new(*of) takes less than new(cls), which makes a tuple first
        self.plan, self.before, self.after, self.ended = cls.plan, cls.before, cls.after, until_lists(cls)
        self.placing = {leaf.name for f in self.before for leaf in placing(cls, f)}

    def own(self, f: Field) -> str:
        """Source for what the header has for a field: of one that was read in a variable of its own."""
        return f"h{self.tag}{'' if self.read else '.'}{f.slot}"

    def refuse(self, error: str) -> str:
        """Source for the end of it where values do not fit; a header that was read goes the ordinary way."""
        return "return None" if self.read else f"raise {error}"

    def is_left_out(self, f: Field) -> bool:
        """Whether a field has no bytes in any header that comes here."""
        return f.heap is not None or (self.plain and f.kind.wire == "items" and f.name not in self.ended and not f.lead)

    def value(self, name: str) -> str:
        f, tag = self.fields[name], self.tag
        var = f"v_{name}{tag}"
        if name in self.given or f.computed is not None:
            return self.given.get(name) or value_of(self, f)
        if name in self.done:
            value = self.direct.get(name, var)
            return value if f.condition is None else f"({value} or 0)"
        if name in self.doing and f.kind.wire == "coded" and f.kind.is_number:
            self.circular[name] = f"v_{name}{tag}"  # as it was the last time
            return self.circular[name]
        if name in self.doing:
            raise DeclareError(f"{self.cls.name}.{name}", "rules without a circle", " -> ".join([*self.doing, name]))
        self.doing.append(name)
        self.pack_beside(f)
        own, is_own, begin = self.own(f), f"s{tag} & {f.bit:#x}", len(self.lines)
        if is_derived(f) and self.stack is not None and not isinstance(f.rule, Next):
            number = self.worked_out(f)
            if number is not None:
                self.direct[name] = str(number)
                self.constant.add(name)
            elif not isinstance(f.rule, Checksum):  # which comes last
                self.lines.append(f"{var} = {self.derived(f)}")
        elif is_derived(f) and self.read:  # a number of what is above is as it was read
            self.lines += [f"{var} = {self.derived(f)}"]
            self.direct[name] = own
        elif is_derived(f):
            derived = self.derived(f)
            self.lines.append(f"{var} = {own} if {is_own} else {derived}")
            if f.condition is not None:
                self.lines.append(f"if {var} is None: {var} = {derived}")
        elif f.condition is None and (f.default is not REQUIRED or self.read):
            self.direct[name] = own
        else:
            self.lines.append(f"{var} = {own}")
            if f.condition is not None:
                self.names[f"Z_{name}{tag}"] = f.kind.zero if f.default in (None, REQUIRED) else f.default
                self.lines.append(f"if {var} is None: {var} = Z_{name}{tag}")
            else:
                self.lines.append(f"if {var} is None: raise missing(h{tag}, '{name}')")
        if name in self.circular:
            self.settled(f, begin)
        if name in self.cls.fills and not self.plain:
            self.fill_in(name, var)
        self.stand_inside(f, var)
        self.doing.pop()
        self.done.add(name)
        return self.value(name)

    def pack_beside(self, f: Field) -> None:
        """Pack the coded numbers beside one that may count its own bytes: it is worked out until its size stays, they need not be."""
        if f.kind.wire == "coded" and f.rule is not None and any(isinstance(leaf, Size) for leaf in f.rule.leaves()):
            for g in self.cls.fields:
                if g.kind.wire == "coded" and g.kind.is_number and g.rule is g.condition is g.computed is None:
                    self.bytes_source(g)

    def settled(self, f: Field, begin: int) -> None:
        """Repeat the lines from `begin` on, which work out a number that counts its own bytes, until their number stays."""
        value, size, tag = self.direct.get(f.name, f"v_{f.name}{self.tag}"), f"w_{f.name}{self.tag}", self.tag
        lines = [*self.lines[begin:], *self.fitting(f, value), f"w = {size}, o", f"{size} = len({self.coded(f, value)})"]
        same = f"w == ({size}, {value})" if self.circular[f.name] else f"w[0] == {size}"
        lines = [f"o = {self.circular[f.name] or 0}", *lines, f"if {same}: break"]
        zero = [f"{self.circular[f.name]} = 0"] if self.circular[f.name] else []
        self.lines[begin:] = [f"{size} = 1", *zero, "for _ in range(16):", *("    " + line for line in lines)]
        error = f"unsettled(h{tag}, '{f.name}')"
        self.lines.append(f"else: {self.refuse(error)}")

    def fitting(self, f: Field, value: str) -> list[str]:
        """Return lines that refuse a number that follows from others and is none of its kind."""
        if not (is_derived(f) and f.kind.is_number) or f.name in self.direct:
            return []
        there = f"{self.present(f)} and " if f.condition is not None else ""
        error = self.refuse(f"misfit(((h{self.tag}, '{self.tag}'),), locals())")
        return [f"if {there}not {f.kind.low:#x} <= {value} <= {f.kind.high:#x}: {error}"]

    def derived(self, f: Field) -> str:
        """Source for what follows for a field from others; a sum is 0 until it comes last."""
        if f.rule is None:
            return self.filled_up(f) if f.size is None else self.filler(f)
        if isinstance(f.rule, Checksum):
            return "0"
        code = f.rule.code(self)
        fields = [self.fields.get(getattr(leaf, "name", "")) for leaf in f.rule.leaves()]
        return f"+({code})" if any(g is not None and g.kind.wire == "coded" for g in fields) else code

    def worked_out(self, f: Field) -> int | None:
        """What a field's rule comes to where that follows from the declaration alone, and fits; else None."""
        if f.rule is None or isinstance(f.rule, Checksum):
            return None
        sizes: dict[str, int] = {}
        for leaf in f.rule.leaves():
            if isinstance(leaf, Size) and leaf.name != "payload":
                fields = self.before if leaf.name == "self" else sharing(self.plan, self.fields[leaf.name])
                bits = [g.kind.fixed_bits for g in fields]
                sizes[leaf.name] = sum(bits) // 8 - (sum(bits[:-1]) // 8 if leaf.name != "self" else 0)
                if not all(map(self.is_fixed, fields)):
                    return None
            elif not isinstance(leaf, Const):
                return None
        number = f.rule.evaluate(_Sizes(sizes, b"", 0))
        return number if f.kind.low <= number <= f.kind.high else None

    def is_fixed(self, f: Field) -> bool:
        """Whether a field takes the same bits in all headers that come here."""
        return (f.kind.bits is not None and f.condition is None) or self.is_left_out(f)

    def present(self, f: Field) -> str:
        """Source for whether a field is there: one variable for all that have the same condition."""
        text = f.name if f.tells_itself else str(f.condition)
        if text not in self.presence:
            code = f.outer.code(self) if f.outer is not None else ""
            if f.tells_itself:  # and what says so follows
                code += f"{' and ' if code else ''}{self.has_value(f)}"
            self.presence[text] = f"p_{f.name}{self.tag}"
            self.lines.append(f"{self.presence[text]} = {code}")
        return self.presence[text]

    def bytes_source(self, f: Field) -> str:
        """The packed form of a field of varying size."""
        var = f"b_{f.name}{self.tag}"
        if self.is_left_out(f):
            return "b''"
        if var not in self.done:
            self.value(f.name)
            value = self.direct.get(f.name, f"v_{f.name}{self.tag}")
            if f.kind.wire == "coded" and f.name not in self.circular:
                self.lines += self.fitting(f, value)
            code = self.packed_items(f, value) if f.kind.wire == "items" else self.coded(f, value)
            if f.condition is not None:
                code = f"{code} if {self.present(f)} else b''"
                if getattr(f.kind, "inner", f.kind).one and not f.tells_itself:  # without a default there is nothing that could stand for it
                    error = self.refuse(f"missing(h{self.tag}, '{f.name}')")
                    self.lines.append(f"if {value} is None and {self.present(f)}: {error}")
            self.lines.append(f"{var} = {code}")
            self.done.add(var)
        return var

    def coded(self, f: Field, value: str) -> str:
        """The bytes of a value: as they are, or as a kind of its own width writes it."""
        if f.kind.transforms:
            return self.closed(f, value)
        if f.kind.wire == "open":
            return value
        self.names[f"W_{f.name}{self.tag}"] = f.kind.write
        # It may be a number, as of a length that is known when the code is written, or a sum.
        code = f.kind.written.format(f"({value})", write=f"W_{f.name}{self.tag}")
        if not f.kind.single:
            return code
        self.names["BYTES"] = BYTES  # most of them are one byte
        return f"(BYTES[{value}] if type({value}) is int and {value} < {f.kind.single} else {code})"

    def closed(self, f: Field, value: str) -> str:
        """The bytes of a value that stand for others: as they are."""
        return value

    def raw_of(self, name: str) -> str:
        value, f = self.value(name), self.fields[name]
        raw = self.direct.get(name, f"v_{name}{self.tag}")
        return value if f.condition is None else f"({raw} if {self.present(f)} else None)"

    def packed_items(self, f: Field, value: str) -> str:
        # What was captured is as long as it was; only what is built is filled up.
        align, captured = str(f.align), f"s{self.tag} & {f.bit << len(self.cls.fields):#x}"
        if f.align:
            align = f"0 if {captured} else {f.align}"
        key = f"F_{f.name}{self.tag}"
        self.names[key] = f
        fill = f", fill={f.fill!r}, lead={f.lead}" if (f.fill != b"\0" or f.lead) and not is_around(f) else ""
        if is_around(f) and (self.fill or f.name not in self.ended):
            return self.packed_around(f, value, align)
        one, quick = f"{value}[0]", ""
        if f.kind.one and not (is_around(f) or f.align or f.lead):  # mostly a header of just that class
            self.names[of := f"C_{f.name}{self.tag}"] = classes[f.kind.item]
            quick = f"{of}._encode({one}, b'', ({one},), 0, None) if {value} and type({one}) is {of} and len({value}) == 1 else "
        if self.fill:
            return f"({quick}encode_items({value}, {align}{fill}) if {value if not f.lead else True} else b'')"
        write = f"encode_around({key}, {value}, {align}, {self.outside(f)}" if is_around(f) else f"encode_items({value}, {align}, {key}"
        if not self.ends_itself(f, value):
            return f"({quick}{write}{fill}) if {value if not f.lead else True} else b'')"
        follows = "" if f is not self.before[-1] or self.after or (self.cls.stream and self.plan.total is None) else f" and {self.size('payload')}"
        return f"{write}, h{self.tag} if not {captured}{follows} else None{fill})"

    def size(self, part: str) -> str:
        if part == "payload":
            known = sum(piece.size for piece in self.pieces if isinstance(piece.size, int))
            return f"({_total(known, [piece.size for piece in self.pieces if isinstance(piece.size, str)])})"
        if part == "self":
            return f"({self.sizes(self.before)})"
        f = self.fields[part]
        return self.share(sharing(self.plan, f)) if shares(f) else self.unless_none(part, self.sizes([f]))

    def unless_none(self, name: str, code: str) -> str:
        """Source for a size or count of a field, or the one that says that there is none."""
        f = self.fields[name]
        return f"({code})" if f.none is None else f"({code} if {self.present(f)} else {f.none})"

    def sizes(self, fields: list[Field]) -> str:
        return _total(*self.measured(fields))

    def measured(self, fields: list[Field]) -> tuple[int, list[str]]:
        """How many bytes some fields have: of those that always have as many, and source for each other one."""
        bits, terms = 0, list[str]()
        if self.plan.loose:
            terms += self.stretches(fields)
            among = {f for step in self.plan.loose for f in step.fields}
            fields = [f for f in fields if f not in among]
        for f in fields:
            if f.name in self.placing:
                terms.append(self.size_of_held(f))
            elif self.is_fixed(f) or (f.kind.always and f.condition is None):
                bits += f.kind.fixed_bits or 8 * f.kind.always
            elif f.kind.always:
                terms.append(f"({f.kind.always} if {self.present(f)} else 0)")
            elif f.kind.bits is None and f.name in self.doing and f.kind.is_number:
                self.circular.setdefault(f.name, "")
                terms.append(f"w_{f.name}{self.tag}")
            elif f.kind.bits is None and getattr(f.kind, "uses_header", False):
                terms.append(self.size_of_closed(f))  # its bytes follow from those before it
            elif f.kind.bits is None:
                terms.append(f"len({self.bytes_source(f)})")
            else:
                terms.append(f"({f.kind.bits // 8} if {self.present(f)} else 0)")
        return bits // 8, terms

    def size_of_closed(self, f: Field) -> str:
        """How many bytes a field has whose transforms know before they give them."""
        self.value(f.name)
        key = f"N_{f.name}{self.tag}"
        self.names[key] = f.kind.size_of  # type: ignore[attr-defined]
        code = f"{key}({self.direct.get(f.name, f'v_{f.name}{self.tag}')})"
        return code if f.condition is None else f"({code} if {self.present(f)} else 0)"

    def size_before(self, f: Field) -> str:
        """How many bytes there are from the start of the header to `f`."""
        if f in self.before:
            return self.sizes(self.before[: self.before.index(f)])
        return f"{self.sizes(self.before)} + {self.size('payload')} + {self.sizes(self.after[: self.after.index(f)])}"

    # Checksums -----------------------------------------------------------------------------------------------

    def covered(self, some: list[Region], head: str, body: str, tail: str) -> str:
        """Source for the bytes that a checksum goes over: from those of the header, of the payload, and of the trailer."""
        terms = []
        for region in some:
            if region.part in ("body", "value"):
                terms.append(body if region.part == "body" else self.number_in_sum(region))
            elif region.zeros and region.cut is not None and region.cut[1] is not None:
                terms.append(repr(bytes(region.cut[1] - region.cut[0])))
            elif region.zeros:
                known, more = self.measured([*region.fields])
                known -= region.less + (region.cut[0] if region.cut is not None else 0)  # a delimiter, and what of the field is left out
                terms.append(f"bytes(max(0, {_total(known, more)}))" if more or known >= 99 else repr(bytes(max(0, known))))
            else:
                fields = self.before if region.part == "head" else self.after
                first = "" if region.start else self.sizes(fields[: fields.index(region.fields[0])])
                last = "" if region.end else self.sizes(fields[: fields.index(region.fields[-1]) + 1])
                whole = head if region.part == "head" else tail
                last = f"max(0, {last} - {region.less})" if region.less else last
                terms.append(whole if region.start and region.end else f"{whole}[{first}:{last}]")
                if region.cut is not None:
                    terms[-1] += f"[{region.cut[0]}:{'' if region.cut[1] is None else region.cut[1]}]"
        return " + ".join(terms) or "b''"

    def own_place(self, f: Field) -> str:
        """Source for where a checksum stands in what it goes over, for one that goes by that."""
        fields: list[Field] = []
        more = ""
        for region in self.plan.covered[f.name]:
            if f in region.fields:
                fields += region.fields[: region.fields.index(f)]
                break
            fields += region.fields
            more += " + " + self.size("payload") if region.part == "body" else ""
        return self.sizes(fields) + more

    def sum_bytes(self, f: Field, value: str) -> tuple[int, str]:
        """How many bytes a checksum of some value has, and source for them."""
        if f.kind.wire == "coded":  # digits
            self.names[f"W_{f.name}{self.tag}"] = f.kind.write
            return len(f.kind.write(0)), f.kind.written.format(value, write=f"W_{f.name}{self.tag}")
        size = f.kind.fixed_bits // 8
        return size, f"{value}.to_bytes({size}, '{'little' if f.kind.little else 'big'}')"

    def summing(self, f: Field, rule: Checksum) -> str:
        """Source for the value of a checksum over the bytes `d`."""
        name = f"sum_{f.name}{self.tag}"
        self.names[name] = rule.algorithm.sum
        return f"{name}(d, {self.own_place(f)})" if rule.algorithm.placed else f"{name}(d)"

    def count(self, name: str) -> str:
        self.value(name)
        value = self.direct.get(name, f"v_{name}{self.tag}")
        if self.fields[name].heap is not None:
            return f"len({value} or b'')"
        if self.fields[name].kind.element is not None or self.fields[name].kind.wide is not None:
            self.names[f"E_{name}{self.tag}"] = self.fields[name].kind.count
            return self.unless_none(name, f"E_{name}{self.tag}({value})")
        # Items not looked into yet are still bytes.
        items = f"len(h{self.tag}._items_of(cls{self.tag}.by_name['{name}']))"
        return self.unless_none(name, f"(len({value}) if type({value}) is not bytes else {items})")

    def has(self, name: str) -> str:
        f = self.fields[name]
        if f.condition is not None and not by_value(self.cls, f):
            return self.present(f)  # it is there with its default too
        held = [f"{self.own(g)} is not None" for g in (f, *counted_by(self.cls, f))]
        return f"({' or '.join(held)})"

    def number(self, rule: Next) -> str:
        name = next(f.name for f in self.cls.fields if f.rule is rule)
        numbers, filled = registry.space(rule.space).numbers, registry.filled(self.cls, name)
        if self.stack is not None:
            above = self.stack[self.i + 1] if self.i + 1 < len(self.stack) else None
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


def _total(known: int, terms: list[str]) -> str:
    return added([*terms, str(known)] if known or not terms else terms)
