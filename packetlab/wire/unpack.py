"""The compiler for what comes in: a declaration becomes ``decode(data, start, end, ctx)``.

The function written here handles bytes that fit the declaration. At the first that do not (too short, a size that
reaches beyond its surroundings, a constant that differs) it hands over to `walk`, which keeps what can be
understood and notes the faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.errors import DeclareError
from packetlab.wire import bindings
from packetlab.wire.fields import Int, Items, PayloadMark
from packetlab.wire.layout import Extents, Run, Unit, before_payload, behind_payload, is_open, needs, pieces, single
from packetlab.wire.rules import Next
from packetlab.wire.source import function
from packetlab.wire.walk import read_items, walk

if TYPE_CHECKING:
    from packetlab.wire.header import Field, Header

AWAY = "return walk(cls, data, start, end, ctx)"


def compile_decode(cls: type[Header]) -> Any:
    """Return ``decode(data, start, end, ctx) -> (header, payload start, payload end, next class or None)``."""
    return _Reading(cls).compile()


class _Reading:
    """Writes the source. `pos` is a number as long as the offset is known when compiling, then a variable."""

    def __init__(self, cls: type[Header]) -> None:
        self.cls = cls
        self.extents = Extents(cls)
        self.lines: list[str] = []
        self.read: set[str] = set()
        self.offset: int | None = 0
        self.names: dict[str, Any] = {
            "cls": cls, "new": cls.__new__, "walk": walk, "read_items": read_items, "by_name": cls._by_name,
        }  # fmt: skip
        self.stop = ""  # the variable that holds where this header ends, once known
        self.total = ""  # ... where its payload ends
        self.before, self.behind = before_payload(cls), behind_payload(cls)

    def compile(self) -> Any:
        cls = self.cls
        for piece in pieces(self.before):
            if isinstance(piece, Run):
                self.run(piece)
            else:
                self.single(piece)
            self.bounds()
        self.finish_header()
        end = self.payload_end()
        self.trailer(end)
        self.lines.append("h = new(cls)")
        for f in cls._fields:
            value = "None" if isinstance(f.kind, PayloadMark) else "v_" + f.name
            self.lines.append(f"h.{f.slot} = {value}")
        every = (1 << len(cls._fields)) - 1
        self.lines.append(f"h._state = {every | every << len(cls._fields)}")
        self.next_header(end)
        for short in (cls._partial, cls._quotes):
            if short is not None:
                self.lines.append(f"if {short.code(self)}: ctx.partial = True")
        self.lines.append(f"return h, {self.pos()}, {end}, n")
        head = "def decode(data, start, end, ctx):"
        return function([head, *("    " + line for line in self.lines)], self.names, f"{cls.__name__}.decode")

    # Expressions (see rules.Emitter) -------------------------------------------------------------------------

    def value(self, name: str) -> str:
        if name not in self.read:
            raise DeclareError(f"{self.cls.__name__}.{name}", "a field that is read before it is needed", "a later one")
        return f"v_{name}" if self.cls._by_name[name].condition is None else f"(v_{name} or 0)"

    def has(self, name: str) -> str:
        return f"(v_{name} is not None)"

    def size(self, part: str) -> str:
        if part != "payload":
            raise DeclareError(self.cls.__name__, 'size_of("payload") in a condition for reading', f"size_of({part})")
        return f"({self.total or 'end'} - {self.pos()})"

    def count(self, name: str) -> str:
        raise DeclareError(self.cls.__name__, "a number in a condition for reading", f"count_of({name})")

    def number(self, rule: Next) -> str:
        raise DeclareError(self.cls.__name__, "fields in a condition for reading", str(rule))

    def ahead(self, bits: int) -> str:
        size, pos = -(-bits // 8), self.pos()
        take = f"data[{pos}] >> {8 - bits}" if size == 1 else (
            f"int.from_bytes(data[{pos}:{pos} + {size}], 'big') >> {size * 8 - bits}"
        )  # fmt: skip
        return f"({take} if {pos} + {size} <= end else -1)"

    # Reading -------------------------------------------------------------------------------------------------

    def pos(self) -> str:
        return "pos" if self.offset is None else f"start + {self.offset}" if self.offset else "start"

    def advance(self, size: int) -> None:
        if self.offset is None:
            self.lines.append(f"pos += {size}")
        else:
            self.offset += size

    def floating(self) -> None:
        """From here on the offset is only known when running."""
        if self.offset is not None:
            self.lines.append(f"pos = {self.pos()}")
            self.offset = None

    def limit(self) -> str:
        return self.stop or "end"

    def run(self, piece: Run) -> None:
        self.lines.append(f"if {self.pos()} + {piece.size} > {self.limit()}: {AWAY}")
        self.unpack(piece, self.pos())
        self.advance(piece.size)

    def unpack(self, piece: Run, at: str, indent: str = "") -> None:
        var = f"S_{len(self.names)}"
        self.names[var] = piece.struct.unpack_from
        targets, after = [], []
        for number, unit in enumerate(piece.units):
            whole = f"u_{piece.fields[0].name}_{number}"
            alone = len(unit.fields) == 1 and not unit.by_bytes
            targets.append("v_" + unit.fields[0].name if alone else whole)
            if not alone:
                after += self.split(unit, whole)
            self.read.update(f.name for f in unit.fields)
        self.lines.append(f"{indent}{', '.join(targets)}, = {var}(data, {at})")
        self.lines += [indent + line for line in after]
        for f in piece.fields:
            if f.fixed:
                self.names["D_" + f.name] = f.default
                self.lines.append(f"{indent}if v_{f.name} != D_{f.name}: {AWAY}")

    def split(self, unit: Unit, whole: str) -> list[str]:
        lines = []
        if unit.by_bytes:
            order = "little" if unit.little else "big"
            lines.append(f"{whole} = int.from_bytes({whole}, '{order}', signed={unit.signed})")
        shift = unit.bits
        for number, f in enumerate(unit.fields):
            bits = f.kind.bits or 0
            shift -= bits
            code = f"{whole} >> {shift}" if shift else whole
            if number:
                code = f"({code}) & {(1 << bits) - 1}" if shift else f"{code} & {(1 << bits) - 1}"
            if isinstance(f.kind, Int) and f.kind.signed and len(unit.fields) > 1:
                code = f"(({code}) ^ {1 << bits - 1}) - {1 << bits - 1}"
            lines.append(f"v_{f.name} = {code}")
        return lines

    def single(self, f: Field) -> None:
        """A conditional field or one of varying size."""
        if f.condition is not None:
            condition = f.condition.code(self)
            self.floating()
            self.lines += [f"v_{f.name} = None", f"if {condition}:"]
        else:
            self.floating()
            self.lines += ["if True:"]
        before = len(self.lines)
        self.take(f)
        self.lines[before:] = ["    " + line for line in self.lines[before:]]
        self.read.add(f.name)

    def take(self, f: Field) -> None:
        if f.kind.bits is not None:
            piece = single(f)
            self.lines.append(f"if pos + {piece.size} > {self.limit()}: {AWAY}")
            self.unpack(piece, "pos")
            self.lines.append(f"pos += {piece.size}")
            return
        if is_open(f, self.extents):
            limit = self.stop or self.total or "end"
            if not self.stop and not self.total:
                limit = f"end - {self.trailing_size()}" if self.trailing_size() else "end"
                self.lines.append(f"if {limit} < pos: {AWAY}")
            self.lines += [f"v_{f.name} = data[pos:{limit}]", f"pos = {limit}"]
        elif f.name in self.extents.sizes or f.pad:
            size = f"-(pos - start) % {f.pad}" if f.pad else self.extents.sizes[f.name].code(self)
            self.lines += [f"w = {size}", f"if w < 0 or pos + w > {self.limit()}: {AWAY}"]
            self.lines += [f"v_{f.name} = data[pos:pos + w]", "pos += w"]
        elif f.name not in self.extents.counts and self.stop and f is self.before[-1]:
            # The last field of a header whose end is known: looked into when somebody asks.
            self.lines += [f"v_{f.name} = data[pos:{self.stop}]", f"pos = {self.stop}"]
        else:
            assert isinstance(f.kind, Items)
            count = self.extents.counts[f.name].code(self) if f.name in self.extents.counts else "None"
            limit = self.stop or self.total or "end"
            self.lines += [f"v_{f.name}, pos = read_items(by_name['{f.name}'], data, pos, {limit}, {count}, None)"]
            self.lines += [f"if v_{f.name} is None: {AWAY}"]

    def bounds(self) -> None:
        """Work out where the header and its payload end as soon as the fields that say so are read."""
        for which, names in (("stop", self.extents.self_size), ("total", self.extents.total_size)):
            if names is None or getattr(self, which) or not needs(names[0]) <= self.read:
                continue
            # The end of the header's own bytes and of all it carries; neither may lie before what was read.
            self.lines += [f"{which} = start + {names[0].code(self)}"]
            self.lines += [f"if {which} > end or {which} < {self.pos()}: {AWAY}"]
            setattr(self, which, which)

    def finish_header(self) -> None:
        if self.stop:
            if self.offset is None:
                self.lines.append(f"if pos != stop: {AWAY}")
            else:
                self.lines.append(f"if {self.pos()} != stop: {AWAY}")
        if self.total and (self.offset is None or self.stop):
            self.lines.append(f"if total < {self.pos()}: {AWAY}")

    def trailing_size(self) -> int:
        return sum((f.kind.bits or 0) // 8 for f in self.behind)

    def payload_end(self) -> str:
        if self.total:
            return "total"
        if self.extents.payload_size is not None:
            code = self.extents.payload_size[0].code(self)
            room = f"end - {self.trailing_size()}" if self.trailing_size() else "end"
            self.lines += [f"w = {code}", f"e = {self.pos()} + w if w >= 0 else {room}", f"if e > end: {AWAY}"]
            return "e"
        if self.trailing_size():
            self.lines += [f"e = end - {self.trailing_size()}", f"if e < {self.pos()}: {AWAY}"]
            return "e"
        return "end"

    def trailer(self, end: str) -> None:
        if not self.behind:
            return
        self.lines.append(f"t = {end}")
        for piece in pieces(self.behind):
            if isinstance(piece, Run):
                self.lines.append(f"if t + {piece.size} > end: {AWAY}")
                self.unpack(piece, "t")
                self.lines.append(f"t += {piece.size}")
            else:
                if not piece.pad:
                    raise DeclareError(f"{self.cls.__name__}.{piece.name}", "a fixed field or pad() behind a payload", "")
                self.lines += [f"w = -(t - start) % {piece.pad}", f"if t + w > end: {AWAY}"]
                self.lines += [f"v_{piece.name} = data[t:t + w]", "t += w"]
                self.read.add(piece.name)

    def next_header(self, end: str) -> None:
        """Find the class that follows: by number first, then by the conditions in order."""
        lookups = []
        for f in self.cls._fields:
            if isinstance(f.rule, Next):
                self.names["H_" + f.name] = bindings.space(f.rule.space).headers
                lookups.append(f"H_{f.name}.get(v_{f.name})")
        conditions = bindings.conditions(self.cls)
        self.lines.append("n = None")
        if not lookups and not conditions:
            return
        guard = f"{self.pos()} < {end}"
        if self.cls._fragment is not None:
            guard += f" and not {self.cls._fragment.code(self)}"
        self.lines.append(f"if {guard}:")
        if lookups:
            self.lines.append("    n = " + " or ".join(lookups))
        word = "if n is not None: pass\n    elif" if lookups else "if"
        for number, (rule, _, upper) in enumerate(conditions):
            self.names[f"C_{number}"] = upper
            self.lines += f"    {word} {rule.code(self)}: n = C_{number}".split("\n")
            word = "elif"
