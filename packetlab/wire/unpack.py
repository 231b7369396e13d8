"""The compiler for what comes in: a declaration becomes ``decode(data, start, end, ctx)``.

The function written here handles bytes that fit the declaration. At the first that do not (too short, a size that
reaches beyond its surroundings, a constant that differs) it hands over to `walk`, which keeps what can be
understood and notes the faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packetlab.errors import DeclareError
from packetlab.wire import bindings
from packetlab.wire.expressions import Const, If, Next
from packetlab.wire.fields import Int, Items, PayloadMark
from packetlab.wire.layout import Extents, Run, Unit, before_payload, behind_payload, is_open, needs, pieces, single
from packetlab.wire.source import OneByOne, function
from packetlab.wire.walk import read_items, walk

if TYPE_CHECKING:
    from packetlab.wire.header import Field, Header


def compile_decode(cls: type[Header]) -> Any:
    """Return ``decode(data, start, end, ctx) -> (header, payload start, payload end, next class or None)``."""
    return Reading(cls).compile()


class Reading(OneByOne):
    """Writes the source that reads one header.

    By itself it becomes ``decode``; with a `tag` it is one part of a function for whole packets (see `fuse`), which
    keeps the names of the parts apart. `start` and `end` are source for where the header begins and what it may fill;
    `away` is what to do with bytes that do not fit.
    """

    def __init__(
        self,
        cls: type[Header],
        tag: str = "",
        start: str = "start",
        end: str = "end",
        away: str = "return walk(cls, data, start, end, ctx)",
    ) -> None:
        self.cls, self.tag, self.start, self.end, self.away = cls, tag, start, end, away
        self.extents = Extents(cls)
        self.lines: list[str] = []
        self.read: set[str] = set()
        # Source for where reading has come to: the start and a constant as long as that is known, then a variable.
        self.offset: int | None = 0
        self.at_limit = ""  # the limit that the place is known to equal
        self.payload = end  # source for where the payload ends
        self.outer = end  # source for where all of this layer ends
        self.names: dict[str, Any] = {
            "walk": walk, "read_items": read_items,
            f"cls{tag}": cls, f"new{tag}": cls.__new__, f"by_name{tag}": cls._by_name,
        }  # fmt: skip
        self.stop = ""  # the variable that holds where this header ends, once known
        self.total = ""  # ... where its payload ends
        self.before, self.behind = before_payload(cls), behind_payload(cls)

    def compile(self) -> Any:
        """Return the function of this header alone."""
        end = self.source()
        self.lines += self.next_header()
        for short in (self.cls._partial, self.cls._quotes):
            if short is not None:
                self.lines.append(f"if {short.code(self)}: ctx.partial = True")
        self.lines.append(f"return h, {self.pos}, {end}, n")
        head = "def decode(data, start, end, ctx):"
        return function([head, *("    " + line for line in self.lines)], self.names, f"{self.cls.__name__}.decode")

    def source(self) -> str:
        """Write the lines; return the source for the end of the payload."""
        cls, tag = self.cls, self.tag
        for piece in pieces(self.before):
            if isinstance(piece, Run):
                self.run(piece)
            else:
                self.single(piece)
            self.bounds()
        self.finish_header()
        end = self.payload_end()
        self.trailer(end)
        self.lines.append(f"h{tag} = new{tag}(cls{tag})")
        for f in cls._fields:
            value = "None" if isinstance(f.kind, PayloadMark) else self.v(f.name)
            self.lines.append(f"h{tag}.{f.slot} = {value}")
        every = (1 << len(cls._fields)) - 1
        self.lines.append(f"h{tag}._state = {every | every << len(cls._fields)}")
        self.payload = end
        return end

    def v(self, name: str) -> str:
        """The variable that holds a field's value."""
        return f"v_{name}{self.tag}"

    # Expressions (see rules.Emitter) -------------------------------------------------------------------------

    def value(self, name: str) -> str:
        if name not in self.read:
            raise DeclareError(f"{self.cls.__name__}.{name}", "a field that is read before it is needed", "a later one")
        return self.v(name) if self.cls._by_name[name].condition is None else f"({self.v(name)} or 0)"

    def has(self, name: str) -> str:
        self.value(name)
        return f"({self.v(name)} is not None)"

    def size(self, part: str) -> str:
        if part != "payload":
            raise DeclareError(self.cls.__name__, 'size_of("payload") in a condition for reading', f"size_of({part})")
        return f"({self.total or self.end} - ({self.pos}))"

    def count(self, name: str) -> str:
        raise DeclareError(self.cls.__name__, "a number in a condition for reading", f"count_of({name})")

    def number(self, rule: Next) -> str:
        raise DeclareError(self.cls.__name__, "fields in a condition for reading", str(rule))

    def ahead(self, bits: int) -> str:
        size, pos = -(-bits // 8), self.pos
        whole = f"data[{pos}]" if size == 1 else f"int.from_bytes(data[{pos}:{pos} + {size}], 'big')"
        return f"({whole} >> {size * 8 - bits} if {pos} + {size} <= {self.end} else -1)"

    # Reading -------------------------------------------------------------------------------------------------

    @property
    def pos(self) -> str:
        """Source for the place reading has come to."""
        if self.offset is None:
            return f"pos{self.tag}"
        if self.start.isdigit():
            return str(int(self.start) + self.offset)
        return f"{self.start} + {self.offset}" if self.offset else self.start

    @property
    def limit(self) -> str:
        """Source for where the header's own bytes end at the latest."""
        return self.stop or self.end

    def check(self, condition: str) -> None:
        self.lines.append(f"if {condition}: {self.away}")

    def float(self) -> str:
        """Let the place be a variable from here on; returns its name."""
        if self.offset is not None:
            self.lines.append(f"pos{self.tag} = {self.pos}")
            self.offset = None
        return self.pos

    def run(self, piece: Run) -> None:
        needed = str(int(self.pos) + piece.size) if self.pos.isdigit() else f"{self.pos} + {piece.size}"
        self.check(f"{needed} > {self.limit}")
        self.unpack(piece, self.pos)
        if self.offset is None:
            self.lines.append(f"{self.pos} += {piece.size}")
        else:
            self.offset += piece.size

    def unpack(self, piece: Run, at: str) -> None:
        var = f"S_{len(self.names)}{self.tag}"
        self.names[var] = piece.struct.unpack_from
        targets, after = [], []
        for number, unit in enumerate(piece.units):
            alone = len(unit.fields) == 1 and not unit.by_bytes
            whole = self.v(unit.fields[0].name) if alone else f"u{number}"
            targets.append(whole)
            after += [] if alone else self.split(unit, whole)
            self.read.update(f.name for f in unit.fields)
        self.lines.append(f"{', '.join(targets)}, = {var}(data, {at})")
        self.lines += after
        for f in piece.fields:
            if f.fixed:
                self.names[f"D_{f.name}{self.tag}"] = f.default
                self.check(
                    f"{self.v(f.name)} != {f.default if isinstance(f.default, int) else f'D_{f.name}{self.tag}'}"
                )

    def split(self, unit: Unit, whole: str) -> list[str]:
        """Take the fields of a shared unit apart."""
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
            lines.append(f"{self.v(f.name)} = {code}")
        return lines

    def single(self, f: Field) -> None:
        """Read a conditional field or one of varying size."""
        condition = f.condition.code(self) if f.condition is not None else ""
        if condition:
            self.float()
            self.lines += [f"{self.v(f.name)} = None", f"if {condition}:"]
        before = len(self.lines)
        self.take(f)
        if condition:
            self.lines[before:] = ["    " + line for line in self.lines[before:]]
        self.read.add(f.name)

    def take(self, f: Field) -> None:
        var = self.v(f.name)
        here, pos = self.pos, self.float()
        if f.kind.bits is not None:
            piece = single(f)
            self.check(f"{pos} + {piece.size} > {self.limit}")
            self.unpack(piece, pos)
            self.lines.append(f"{pos} += {piece.size}")
        elif is_open(f, self.extents) or (self.stop and f is self.before[-1] and self.ends_header(f)):
            # Items of a header whose end is known are looked into when somebody asks.
            limit = self.stop or self.total or self.end
            if limit == self.end and self.trailing_size():
                limit = f"{self.end} - {self.trailing_size()}"
                self.check(f"{limit} < {pos}")
            if self.lines[-1] == f"{pos} = {here}":
                self.lines.pop()  # nothing between: the size follows from the place known so far
            self.lines += [f"{var} = data[{here}:{limit}] if {here} < {limit} else b''", f"{pos} = {limit}"]
            self.at_limit = limit
        elif f.name in self.extents.sizes or f.pad:
            size = f"-({pos} - {self.start}) % {f.pad}" if f.pad else self.extents.sizes[f.name].code(self)
            self.lines.append(f"w = {size}")
            self.check(f"w < 0 or {pos} + w > {self.limit}")
            self.lines += [f"{var} = data[{pos}:{pos} + w]", f"{pos} += w"]
        else:
            count = self.extents.counts[f.name].code(self) if f.name in self.extents.counts else "None"
            limit = self.stop or self.total or self.end
            self.lines.append(
                f"{var}, {pos} = read_items(by_name{self.tag}['{f.name}'], data, {pos}, {limit}, {count}, None)"
            )
            self.check(f"{var} is None")

    def ends_header(self, f: Field) -> bool:
        return isinstance(f.kind, Items) and f.name not in self.extents.counts and f.name not in self.extents.sizes

    def bounds(self) -> None:
        """Work out where the header and its payload end as soon as the fields that say so are read."""
        for which, said in (("stop", self.extents.self_size), ("total", self.extents.total_size)):
            if said is None or getattr(self, which) or not needs(said[0]) <= self.read:
                continue
            # The end of the header's own bytes and of all it carries; neither may lie before what was read.
            var = which + self.tag
            self.lines.append(f"{var} = {self.start} + {said[0].code(self)}")
            self.check(f"not {self.pos} <= {var} <= {self.end}")
            setattr(self, which, var)

    def finish_header(self) -> None:
        if self.stop and self.at_limit != self.stop:
            self.check(f"{self.pos} != {self.stop}")
        if self.total and (self.offset is None or self.stop) and self.at_limit != self.total:
            self.check(f"{self.total} < {self.pos}")

    def trailing_size(self) -> int:
        return sum((f.kind.bits or 0) // 8 for f in self.behind)

    def payload_end(self) -> str:
        end, tail = f"e{self.tag}", self.trailing_size()
        room = f"{self.end} - {tail}" if tail else self.end
        if self.total:
            return self.total
        if self.extents.payload_size is not None:
            rule = self.extents.payload_size[0]
            if isinstance(rule, If) and isinstance(rule.no, Const) and rule.no.number < 0:
                # Unknown but for a condition, as with Ethernet's length: nothing to work out where it fails.
                self.lines += [f"if {rule.condition.code(self)}:", f"    {end} = {self.pos} + {rule.yes.code(self)}"]
                self.lines += [f"    if {end} > {self.end}: {self.away}", f"else: {end} = {room}"]
                return end
            self.lines.append(f"w = {rule.code(self)}")
            if self.extents.payload_size[1] is not None:
                self.check("w < 0")  # a length field cannot say so
            self.lines.append(f"{end} = {self.pos} + w if w >= 0 else {room}")
            self.check(f"{end} > {self.end}")
            return end
        if tail:
            self.lines.append(f"{end} = {room}")
            self.check(f"{end} < {self.pos}")
            return end
        return self.end

    def trailer(self, end: str) -> None:
        """Read what stands behind the payload; `outer` is where that ends."""
        self.outer = end
        if not self.behind:
            return
        self.outer = at = f"t{self.tag}"
        self.lines.append(f"{at} = {end}")
        for piece in pieces(self.behind):
            if isinstance(piece, Run):
                self.check(f"{at} + {piece.size} > {self.end}")
                self.unpack(piece, at)
                self.lines.append(f"{at} += {piece.size}")
            elif piece.pad:
                self.lines.append(f"w = -({at} - {self.start}) % {piece.pad}")
                self.check(f"{at} + w > {self.end}")
                self.lines += [f"{self.v(piece.name)} = data[{at}:{at} + w]", f"{at} += w"]
                self.read.add(piece.name)
            else:
                where = f"{self.cls.__name__}.{piece.name}"
                raise DeclareError(where, "a fixed field or pad() behind a payload", "one of varying size")

    @property
    def guard(self) -> str:
        """The condition that another header may follow at all."""
        code = f"{self.pos} < {self.payload}"
        return code if self.cls._opaque is None else f"{code} and not {self.cls._opaque.code(self)}"

    def next_header(self) -> list[str]:
        """Return lines that find the class that follows: by number first, then by the conditions in order."""
        lookups = []
        for f in self.numbered():
            self.names[f"H_{f.name}{self.tag}"] = bindings.space(f.rule.space).headers  # type: ignore[union-attr]
            lookups.append(f"H_{f.name}{self.tag}.get({self.v(f.name)})")
        conditions = bindings.conditions(self.cls)
        following = f"n{self.tag}"
        lines = [f"{following} = None"]
        if not lookups and not conditions:
            return lines
        lines.append(f"if {self.guard}:")
        if lookups:
            lines.append(f"    {following} = " + " or ".join(lookups))
        for number, (rule, _, upper) in enumerate(conditions):
            self.names[f"C_{number}{self.tag}"] = upper
            # One below the other, for of elif Python takes some hundred only.
            lines.append(f"    if {following} is None and {rule.code(self)}: {following} = C_{number}{self.tag}")
        return lines

    def numbered(self) -> list[Field]:
        """The fields whose numbers name the header that follows."""
        return [f for f in self.cls._fields if isinstance(f.rule, Next)]

    def leads_to(self, upper: type[Header]) -> str:
        """Return a condition under which `upper` follows, "" where only looking it up tells."""
        fields = self.numbered()
        if len(fields) != 1 or not isinstance(fields[0].rule, Next):
            return ""
        headers = bindings.space(fields[0].rule.space).headers
        numbers = [number for number, header in headers.items() if header is upper]
        if not numbers:
            return ""
        value = self.v(fields[0].name)
        test = f"{value} == {numbers[0]}" if len(numbers) == 1 else f"{value} in {tuple(numbers)}"
        return f"{test} and {self.guard}"
