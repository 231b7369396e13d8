"""Scanning, one packet after the other: source of a loop over numbers alone, for a compiler of such loops.

In plain Python it is right too, only slow; so the tests run it both ways. It uses nothing but arrays and whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from packetlab.bulk.columns import Column
from packetlab.bulk.queries import Query, any_of, array_names, counters
from packetlab.bulk.scan import Place, Scanner, on_the_way
from packetlab.codec.around.bodiless import uppers
from packetlab.declare.declaration import Declaration
from packetlab.declare.kinds import Kind
from packetlab.pattern.conditions import Match


def loop_source(first: Declaration, columns: Sequence[Query]) -> str:
    """Return the source of ``scan(count, data, starts, sizes, missing, unfit, *arrays)``.

    It goes over the `count` packets that `starts` and `sizes` tell in `data`; `missing` says which were cut by the capture. It
    marks in `unfit` what does not fit. `arrays` are those of `array_names`, bytes of a fixed size one after the other.
    """
    numbers = on_the_way(first, columns)
    lines = [
        f"def scan({', '.join(['count', 'data', 'starts', 'sizes', 'missing', 'unfit', *array_names(columns)])}):",
        "    for row in range(count):",
        "        begin = starts[row]",
        "        last = end = begin + sizes[row]",
        "        partial = False",
        f"        cls = {numbers.get(first, 0)}",
    ]
    lines += [f"        n_{number} = 0" for number in counters(columns).values()]
    lines.append("        while cls:")
    word = "if"
    for cls, number in numbers.items():
        lines.append(f"            {word} cls == {number}:  # {cls.name}")
        writer = LoopScanner(cls, numbers, columns)
        lines += ["                " + line for line in writer.source()]
        word = "elif"
    if numbers:
        lines += ["            else:", "                break"]
    else:
        lines += ["            break"]
    return "\n".join([*lines, ""])


class LoopScanner(Scanner):
    """Writes one branch of the loop."""

    depth = 0

    def put(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def away(self) -> None:
        self.put("unfit[row] = True")
        self.put("break")

    def enter(self) -> None:
        for number in self.counters.values():
            self.put(f"n_{number} += 1")

    def check(self, bad: str) -> None:
        self.put(f"if {bad}:")
        self.depth += 1
        self.away()
        self.depth -= 1

    def let(self, name: str, code: str, same: bool = False) -> None:
        self.put(f"{name} = {code}")

    def byte(self, at: Place, more: int) -> str:
        offset = at[1] + more
        return f"int64(data[{at[0]} + {offset}])" if offset else f"int64(data[{at[0]}])"

    def fetch(self, at: Place, size: int, kind: Kind, shift: int = 0) -> str:
        parts = []
        for i in range(size):
            up = 8 * (i if kind.little else size - 1 - i)
            parts.append(f"({self.byte(at, i)} << {up})" if up else self.byte(at, i))
        return bits_of(" | ".join(parts), size, kind, shift)

    def begin_if(self, condition: str) -> None:
        self.put(f"if {condition}:")
        self.depth += 1

    def end_if(self) -> None:
        self.put("pass")
        self.depth -= 1

    def each_group(self, value: str, most: int, high_first: bool) -> None:
        byte = f"{value} << 7 | b & 127" if high_first else f"{value} | (b & 127) << (7 * w)"
        lines = [f"while more == 1 and w < {most} and pos + w < {self.stop or 'end'}:", "    b = int64(data[pos + w])"]
        for line in (*lines, f"    {value} = {byte}", "    w += 1", "    more = b >> 7"):
            self.put(line)

    def number_in(self, value: str, after: int, sizes: Iterable[int]) -> None:
        lines = ["i = 0", "while i < w:", f"    {value} = (0 if i == 0 else {value} << 8) | int64(data[pos + {after} + i])"]
        for line in (*lines, "    i += 1"):
            self.put(line)

    def clip(self, name: str) -> None:
        self.put(f"if {name} > end:")
        self.depth += 1
        self.check("not (partial or (missing[row] and end == last))")
        self.put("partial = True")
        self.put(f"{name} = end")
        self.depth -= 1

    def cut_short(self, condition: str) -> None:
        self.put(f"if ({condition}) != 0: partial = True")

    def store(self, number: int, column: Column, at: Place, size: int | str, value: str) -> None:
        self.put(f"if {self.which(column)}:")
        self.depth += 1
        self.put(f"k_{number}[row] = True")
        if column.form == "bytes":
            self.put(f"c_{number}[row] = {at[0]} + {at[1]}")
            self.put(f"a_{number}[row] = max({size}, 0)")
        elif column.form == "fixed":
            for i in range(column.width):
                self.put(f"a_{number}[row * {column.width} + {i}] = data[{at[0]} + {at[1] + i}]")
        elif column.form == "number":
            self.put(f"a_{number}[row] = {value}")
        self.depth -= 1

    def which(self, query: Query) -> str:
        """Return source for whether this header is the one of its kind that is requested."""
        return f"n_{self.counters[query.declaration]} == {query.occurrence}"

    def mark(self, number: int, match: Match, conditions: list[str]) -> None:
        conditions = [*conditions, *([self.which(match)] if match.occurrence else [])]
        self.put(f"if {' and '.join(conditions) or True}: k_{number}[row] = True")

    def choose(self, condition: str, yes: str, no: str) -> str:
        return f"({yes} if ({condition}) != 0 else {no})"

    def ahead(self, bits: int) -> str:
        size = -(-bits // 8)
        raw = [f"(int64(data[{self.pos} + {i}]) << {8 * (size - 1 - i)})" for i in range(size)]
        whole = f"(({' | '.join(raw)}) >> {size * 8 - bits})"
        return f"({whole} if {self.pos} + {size} <= end else -1)"

    def leave(self, end: str) -> None:
        if not uppers(self.cls).isdisjoint(self.onward):  # objects know what follows in no bytes
            self.check(f"{self.pos} >= {end}")
        branches = self.branches()
        if not branches:
            self.put("break")
            return
        guard = f"{self.pos} < {end}"
        if self.cls.opaque is not None:
            guard += f" and ({self.cls.opaque.code(self)}) == 0"
        self.put(f"if not ({guard}):")
        self.put("    break")
        word = "if"
        for tests, number in branches:
            self.put(f"{word} {any_of(tests)}:")
            self.put("    break" if number == 0 else f"    cls = {number}")
            word = "elif"
        self.put("else:")
        self.put("    break")
        self.put(f"begin = {self.pos}")
        self.put(f"end = {end}")


def bits_of(whole: str, size: int, kind: Kind, shift: int) -> str:
    """Return source for the bits of `kind` above the lowest `shift` of a number of `size` bytes, with its sign."""
    code = f"({whole})"
    if shift:
        code = f"({code} >> {shift})"
    if kind.fixed_bits < size * 8 - shift or (shift and size == 8):  # 64 bits have a sign here, which >> repeats
        code = f"({code} & {(1 << kind.fixed_bits) - 1})"
    if kind.signed and kind.fixed_bits < 64:
        sign = 1 << kind.fixed_bits - 1
        code = f"(({code} ^ {sign}) - {sign})"
    return code
