"""The compiler: from a declaration to Python source for the constructor, packing and filling in.

Owns code generation for what goes out; `unpack` has the other direction. A function is written when it is first
called and forgotten (`forget`) when a binding changes what it says. Compiled and careful code (`walk`, `why`) are
held to the same results by the tests.
"""

from __future__ import annotations

from struct import error as struct_error
from typing import TYPE_CHECKING, Any, TypeVar

from packetlab.errors import BuildError, DeclareError, suggestion
from packetlab.wire import bindings
from packetlab.wire.checksums import ALGORITHMS
from packetlab.wire.fields import REQUIRED, Address, Bytes, Int, Items, PayloadMark, auto
from packetlab.wire import unpack
from packetlab.wire.layout import Run, Unit, before_payload, behind_payload, pieces, restored, setattr_slot, single
from packetlab.wire.source import function
from packetlab.wire.walk import Fault, read_items
from packetlab.wire.rules import Checksum, Expr, Next

if TYPE_CHECKING:
    from packetlab.wire.header import Field, Header

H = TypeVar("H", bound="Header")
UNSET: Any = type("Unset", (), {"__repr__": lambda self: "..."})()


def forget(cls: type[Header]) -> None:
    """Put functions in place that compile themselves when first called."""
    header: Any = cls

    def init(self: Any, **given: Any) -> None:
        compile_init(cls)
        self.__init__(**given)

    def encode(*args: Any) -> Any:
        header._encode = staticmethod(_Packing(cls, fill=False).compile())
        return header._encode(*args)

    def resolve(*args: Any) -> Any:
        header._resolve = staticmethod(_Packing(cls, fill=True).compile())
        return header._resolve(*args)

    def decode(*args: Any) -> Any:
        header._decode = staticmethod(unpack.compile_decode(cls))
        return header._decode(*args)

    header.__init__ = init
    header._encode, header._resolve, header._decode = staticmethod(encode), staticmethod(resolve), staticmethod(decode)


def compile_init(cls: type[Header]) -> None:
    """Write the constructor: each keyword checked, converted, and noted as given."""
    fields = [f for f in cls._fields if not isinstance(f.kind, PayloadMark)]
    names: dict[str, Any] = {"U": UNSET, "wrong_name": wrong_name, "cls": cls}
    keywords = "".join(f", {f.name}=U" for f in fields)
    lines = [f"def __init__(self, *{keywords}, **_wrong):" if fields else "def __init__(self, **_wrong):"]
    lines += ["    if _wrong: raise wrong_name(cls, _wrong)", "    s = 0"]
    for f in fields:
        names["K_" + f.name] = f.kind.raw
        initial = None if f.default is REQUIRED or f.condition is not None or _derived(f) else f.default
        names["D_" + f.name] = initial
        default = repr(initial) if isinstance(initial, int) or initial is None else "D_" + f.name
        check = f"K_{f.name}({f.name}, '{cls.__name__}.{f.name}')"
        kind = f.kind
        if isinstance(kind, Int):
            check = f"{f.name} if type({f.name}) is int and {kind.low} <= {f.name} <= {kind.high} else {check}"
        lines += [f"    if {f.name} is U: self.{f.slot} = {default}"]
        lines += ["    else:", f"        s |= {f.bit}", f"        self.{f.slot} = {check}"]
    lines += ["    self._state = s"]
    header: Any = cls
    header.__init__ = function(lines, names, f"{cls.__name__}.__init__")


def _derived(f: Field) -> bool:
    return f.rule is not None or bool(f.pad)


def wrong_name(cls: type[Header], wrong: dict[str, Any]) -> BuildError:
    """The error for a keyword that is no field."""
    name = next(iter(wrong))
    known = list(cls._by_name)
    return BuildError(f"{cls.__name__}.{name}", "a field of the header", "no such name", suggestion(name, known))


def replaced(header: H, changes: dict[str, Any]) -> H:
    """Return a copy of `header` with `changes` given."""
    cls = type(header)
    state, count = header._state, len(cls._fields)
    values = {f.slot: getattr(header, f.slot) for f in cls._fields}
    for name, value in changes.items():
        f = cls._by_name.get(name)
        if f is None or isinstance(f.kind, PayloadMark):
            raise wrong_name(cls, {name: value})
        state &= ~(f.bit << count)
        if value is auto:
            state &= ~f.bit
            values[f.slot] = None if _derived(f) or f.default is REQUIRED or f.condition is not None else f.default
        else:
            state |= f.bit
            values[f.slot] = None if value is None and f.condition is not None else f.kind.raw(
                value, f"{cls.__name__}.{name}"
            )  # fmt: skip
    return restored(cls, state, tuple(values.values()))


def encode_items(value: Any, align: int) -> bytes:
    """Pack the items of a repeated field, filled up with zeros to a multiple of `align`."""
    if type(value) is bytes:
        data = value
    else:
        data = b"".join(h if type(h) is bytes else type(h)._encode(h, b"", (h,), 0, None) for h in value)
    return data + bytes(-len(data) % align) if align else data


def parse_items(field: Field, raw: bytes, faults: list[Fault], origin: int = 0) -> tuple[Any, ...]:
    """Read the items of a repeated field; octets that are no whole item come last, as they are."""
    items, _ = read_items(field, raw, 0, len(raw), None, faults, origin)
    return items  # type: ignore[no-any-return]


def pseudo_sum(stack: tuple[Header, ...], i: int, upper: type[Header], size: int) -> int | None:
    """Return what a pseudo-header adds to an Internet checksum, or None where no network layer is below.

    The nearest header below that names its addresses (RFC 8200 section 8.1: a routing header that is not used up
    names the final destination) counts; the sum is of both addresses, the protocol number of `upper` and `size`.
    """
    destination = b""
    for below in range(i - 1, -1, -1):
        carrier = stack[below]
        names = carrier._pseudo
        if names is None:
            continue
        if names[0]:
            source = getattr(carrier, "_" + names[0]) or b""
            destination = destination or getattr(carrier, "_" + names[1]) or b""
            number = 0
            for f in carrier._fields:
                if isinstance(f.rule, Next):
                    number = bindings.space(f.rule.space).numbers.get(upper, 0)
            return int.from_bytes(source, "big") + int.from_bytes(destination, "big") + number + size
        destination = destination or getattr(carrier, names[1]) or b""
    return None


def misfit(header: Header, names: dict[str, Any]) -> BuildError:
    """Return the error for the first derived value that does not fit its field."""
    cls = type(header)
    for f in cls._fields:
        value = names.get("v_" + f.name)
        if isinstance(f.kind, (Int, Address)) and value is not None and not isinstance(value, bytes):
            try:
                f.kind.raw(value, f"{cls.__name__}.{f.name}")
            except BuildError as error:
                return error
    return BuildError(cls.__name__, "values that fit", "one that does not")


def missing(header: Header, name: str) -> BuildError:
    """Return the error for a field without value, default or rule."""
    return BuildError(f"{type(header).__name__}.{name}", "a value", "none", f"give {name}=...")


class _Packing:
    """Writes ``encode(h, body, stack, i, above) -> bytes``, or with `fill` ``resolve(...) -> Header``.

    `body` is everything above in bytes, `stack` all headers and `i` this one's place, `above` the next one's class.
    """

    def __init__(self, cls: type[Header], fill: bool) -> None:
        self.cls, self.fill = cls, fill
        self.fields = cls._by_name
        self.lines: list[str] = []
        self.done: set[str] = set()
        self.doing: list[str] = []
        self.names: dict[str, Any] = {
            "misfit": misfit, "missing": missing, "encode_items": encode_items, "pseudo_sum": pseudo_sum,
            "struct_error": struct_error, "cls": cls, "cut_encode": cut_encode, "new": cls.__new__,
        }  # fmt: skip
        self.before, self.behind = before_payload(cls), behind_payload(cls)

    def compile(self) -> Any:
        count = len(self.cls._fields)
        name = "resolve" if self.fill else "encode"
        head = self.packed(self.before, "head")
        tail = self.packed(self.behind, "tail") if self.behind else []
        for f in self.cls._fields:
            if f.rule is not None and not isinstance(f.rule, Checksum):
                self.value(f.name)
        sums = [f for f in self.cls._fields if isinstance(f.rule, Checksum)]
        ending: list[str] = []
        if not self.fill or sums:
            ending += head + tail
        for f in sums:
            ending += self.checksum(f)
        if self.fill:
            ending += ["r = new(cls)"]
            for f in self.cls._fields:
                ending += [f"r.{f.slot} = {'None' if isinstance(f.kind, PayloadMark) else self.stored(f)}"]
            ending += ["r._state = s", "return r"]
        else:
            ending += ["return head + body" + (" + tail" if tail else "")]
        lines = [f"def {name}(h, body, stack, i, above):", "s = h._state"]
        lines += [f"if s >> {2 * count}: return {'h' if self.fill else 'cut_encode(h, body)'}"]
        lines += [*self.lines, *ending]
        return function([lines[0], *("    " + line for line in lines[1:])], self.names, f"{self.cls.__name__}.{name}")

    def stored(self, f: Field) -> str:
        self.value(f.name)
        if f.condition is not None:
            return f"v_{f.name} if {self.present(f)} else None"
        return f"v_{f.name}"

    # What expressions ask for (see rules.Emitter) ------------------------------------------------------------

    def value(self, name: str) -> str:
        f = self.fields[name]
        var = "v_" + name
        if name in self.done:
            return var if f.condition is None else f"({var} or 0)"
        if name in self.doing:
            raise DeclareError(f"{self.cls.__name__}.{name}", "rules without a circle", " -> ".join([*self.doing, name]))
        self.doing.append(name)
        own = f"h.{f.slot}"
        if isinstance(f.rule, Checksum):
            self.lines.append(f"{var} = {own} if s & {f.bit} else 0")
            self.lines.append(f"if {var} is None: {var} = 0")
        elif f.rule is not None:
            code = f.rule.code(self)
            self.lines.append(f"{var} = {own} if s & {f.bit} else {code}")
            if f.condition is not None:
                self.lines.append(f"if {var} is None: {var} = {code}")
        elif f.pad:
            self.lines.append(f"{var} = {own} if s & {f.bit} else bytes(-({self.size_before(f)}) % {f.pad})")
        else:
            self.lines.append(f"{var} = {own}")
            if f.condition is not None:
                self.names["Z_" + name] = f.kind.zero if f.default in (None, REQUIRED) else f.default
                self.lines.append(f"if {var} is None: {var} = Z_{name}")
            elif f.default is REQUIRED:
                self.lines.append(f"if {var} is None: raise missing(h, '{name}')")
        self.doing.pop()
        self.done.add(name)
        return self.value(name)

    def present(self, f: Field) -> str:
        var = "p_" + f.name
        if var not in self.done:
            assert f.condition is not None
            self.lines.append(f"{var} = {f.condition.code(self)}")
            self.done.add(var)
        return var

    def octets(self, f: Field) -> str:
        """The packed form of a field of varying size."""
        var = "b_" + f.name
        if var not in self.done:
            self.value(f.name)
            code = f"encode_items(v_{f.name}, {f.align})" if isinstance(f.kind, Items) else f"v_{f.name}"
            if f.condition is not None:
                code = f"{code} if {self.present(f)} else b''"
            self.lines.append(f"{var} = {code}")
            self.done.add(var)
        return var

    def size(self, part: str) -> str:
        if part == "payload":
            return "len(body)"
        if part == "self":
            return "(" + self.sizes(self.before) + ")"
        return "(" + self.sizes([self.fields[part]]) + ")"

    def sizes(self, fields: list[Field]) -> str:
        bits, terms = 0, []
        for f in fields:
            width = f.kind.bits
            if width is None:
                terms.append(f"len({self.octets(f)})")
            elif f.condition is not None:
                terms.append(f"({width // 8} if {self.present(f)} else 0)")
            else:
                bits += width
        return " + ".join([*terms, str(bits // 8)] if bits or not terms else terms)

    def size_before(self, f: Field) -> str:
        """How many bytes there are from the start of the header to `f`."""
        if f in self.before:
            return self.sizes(self.before[: self.before.index(f)])
        return " + ".join([self.sizes(self.before), "len(body)", self.sizes(self.behind[: self.behind.index(f)])])

    def count(self, name: str) -> str:
        self.value(name)
        # Items not looked into yet are still octets.
        return f"(len(v_{name}) if type(v_{name}) is tuple else len(h._parsed(cls._by_name['{name}'])))"

    def has(self, name: str) -> str:
        return f"(h.{self.fields[name].slot} is not None)"

    def number(self, rule: Next) -> str:
        name = next(f.name for f in self.cls._fields if f.rule is rule)
        var = f"N_{name}"
        self.names[var] = bindings.space(rule.space).numbers
        code = f"{var}.get(above, {rule.otherwise.code(self)})"
        for number, (_, sets, upper) in enumerate(bindings.conditions(self.cls)):
            if name in sets:
                self.names[f"A_{number}"] = upper
                code = f"({sets[name].code(self)} if above is A_{number} else {code})"
        return code

    def ahead(self, bits: int) -> str:
        raise DeclareError(self.cls.__name__, "ahead() in a binding's condition only", "ahead() in a rule")

    # Bytes ---------------------------------------------------------------------------------------------------

    def packed(self, fields: list[Field], var: str) -> list[str]:
        parts, guards = [], []
        for piece in pieces(fields):
            if isinstance(piece, Run):
                parts.append(self.struct(piece, guards))
            elif piece.kind.bits is None:
                parts.append(self.octets(piece))
            else:
                self.value(piece.name)
                parts.append(f"({self.struct(single(piece), guards)} if {self.present(piece)} else b'')")
        return [*guards, "try:", f"    {var} = " + (" + ".join(parts) or "b''"),
                "except (struct_error, OverflowError, ValueError):", "    raise misfit(h, locals()) from None"]  # fmt: skip

    def struct(self, piece: Run, guards: list[str]) -> str:
        var = f"S_{len(self.names)}"
        self.names[var] = piece.struct.pack
        return f"{var}({', '.join(self.unit(u, guards) for u in piece.units)})"

    def unit(self, unit: Unit, guards: list[str]) -> str:
        code, shift = "", unit.bits
        for f in unit.fields:
            assert f.kind.bits is not None
            self.value(f.name)
            var = f"v_{f.name}"
            if len(unit.fields) > 1 and f.rule is not None and not isinstance(f.rule, Next):
                guards.append(f"if {var} >> {f.kind.bits}: raise misfit(h, locals())")
            shift -= f.kind.bits
            if isinstance(f.kind, Int) and f.kind.signed and len(unit.fields) > 1:
                var = f"({var} & {(1 << f.kind.bits) - 1})"
            code += (" | " if code else "") + (f"{var} << {shift}" if shift else var)
        if unit.by_bytes:
            order = "little" if unit.little else "big"
            return f"({code}).to_bytes({unit.bits // 8}, '{order}', signed={unit.signed})"
        return code

    def checksum(self, f: Field) -> list[str]:
        rule = f.rule
        assert isinstance(rule, Checksum) and isinstance(f.kind, Int)
        size, order = f.kind.bits // 8, "little" if f.kind.little else "big"
        data = [self.part(part) for part in rule.over if part != "pseudo"]
        var = f"v_{f.name}"
        condition = f"not s & {f.bit}" + (f" and {self.present(f)}" if f.condition is not None else "")
        lines = [f"d = {' + '.join(data)}"]
        more = "0"
        if "pseudo" in rule.over:
            lines += [f"m = pseudo_sum(stack, i, cls, {self.length(rule)})"]
            more = "m"
        if rule.algorithm == "internet":
            lines += ["c = int.from_bytes(d, 'big')", "if len(d) & 1: c <<= 8"]
            lines += [] if more == "0" else ["if m is not None: c += m"]
            lines += [f"{var} = 65535 - (c % 65535 or 65535) if c else 65535"]
        else:
            self.names["sum_" + rule.algorithm] = ALGORITHMS[rule.algorithm]
            lines += [f"{var} = sum_{rule.algorithm}(d)"]
        if rule.none is not None:
            lines += [f"if {var} == {rule.none}: {var} = {rule.instead}"]
        if "pseudo" in rule.over:
            # Without a network layer below there is nothing to check against: no checksum is sent.
            lines += [f"if m is None: {var} = 0"]
        if not self.fill or len([1 for g in self.cls._fields if isinstance(g.rule, Checksum)]) > 1:
            where, at = ("head", self.size_before(f)) if f in self.before else ("tail", self.sizes(
                self.behind[: self.behind.index(f)]))  # fmt: skip
            lines += [f"at = {at}"]
            lines += [f"{where} = {where}[:at] + {var}.to_bytes({size}, '{order}') + {where}[at + {size}:]"]
        return [f"if {condition}:", *("    " + line for line in lines)]

    def part(self, part: str) -> str:
        if part in ("self", "payload"):
            return {"self": "head", "payload": "body"}[part]
        f = self.fields[part]
        if f.kind.bits is None:
            return self.octets(f)
        raise DeclareError(f"{self.cls.__name__}.{part}", "a part of varying size", "a fixed field")

    def length(self, rule: Checksum) -> str:
        return "len(d)"


def cut_encode(header: Header, body: bytes) -> bytes:
    """Pack a header whose bytes ended inside it: the fields that were read, and no more."""
    number, width, data = 0, 0, b""
    for f in type(header)._fields:
        raw = getattr(header, f.slot)
        if raw is None or isinstance(f.kind, PayloadMark):
            continue
        if isinstance(f.kind, Int):
            bits, value = f.kind.bits, raw & ((1 << f.kind.bits) - 1)
            if f.kind.little:
                value = int.from_bytes(value.to_bytes(bits // 8, "little"), "big")
            number, width = number << bits | value, width + bits
            if width % 8 == 0:
                data, number, width = data + number.to_bytes(width // 8, "big"), 0, 0
        else:
            data += encode_items(raw, 0) if isinstance(f.kind, Items) else raw
    return data + body

