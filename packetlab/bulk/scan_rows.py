"""Scanning, all packets a header at a time: source of functions that work on arrays (numpy).

Packets whose next header is the same go on together. `rows` says which ones they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from packetlab.bulk.columns import Column
from packetlab.bulk.queries import Query, any_of, array_names, counters
from packetlab.bulk.scan import Place, Scanner, on_the_way
from packetlab.bulk.scan_loop import bits_of
from packetlab.codec.around.bodiless import uppers
from packetlab.codec.source import Compiled, function
from packetlab.declare.declaration import Declaration
from packetlab.declare.kinds import Int, Kind
from packetlab.pattern.conditions import Match

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from packetlab.bulk.batch import ByteArray, Numbers, Truths

DEPTH = 256  # headers in one packet; one with more is unfit


def row_scan(first: Declaration, columns: Sequence[Query]) -> Callable[..., None]:
    """Return ``scan(data, starts, sizes, missing, unfit, *arrays)``, which does what `loop_source` describes."""
    import numpy as np

    numbers = on_the_way(first, columns)
    names: dict[str, object] = {"np": np, "number_at": number_at, "bytes_at": bytes_at, "filled": filled}
    arguments = ", ".join(["work, seen, last, missing, unfit, data, rows, begin, end, partial", *array_names(columns)])
    classes = list(numbers)
    steps: dict[int, Compiled] = {}  # written when a packet first has such a header: many are on the way, few are met

    def step(number: int) -> Compiled:
        cls = classes[number - 1]
        lines = [f"def step({arguments}):", *("    " + line for line in RowScanner(cls, numbers, columns).source())]
        return function(lines, dict(names), f"columns of {cls.name}")

    def scan(data: ByteArray, starts: Numbers, sizes: Numbers, missing: Truths, unfit: Truths, *arrays: object) -> None:
        start = numbers.get(first)
        if start is None:
            return
        count = len(starts)
        last = starts + sizes
        seen = [np.zeros(count, np.int16) for _ in counters(columns)]
        work = [(start, np.arange(count), starts, last, np.zeros(count, bool))]
        for _ in range(DEPTH):
            if not work:
                return
            now, work = work, []
            for number, rows, begin, end, partial in now:
                if number not in steps:
                    steps[number] = step(number)
                steps[number](work, seen, last, missing, unfit, data, rows, begin, end, partial, *arrays)
        for _, rows, *_ in work:
            unfit[rows] = True

    return scan


def number_at(data: ByteArray, place: Numbers, offset: int, size: int, little: bool) -> Numbers:
    """Return the numbers of `size` bytes that lie `offset` after each place; 0 for places too near the end."""
    import numpy as np

    order = "<" if little else ">"
    if size in (1, 2, 4, 8):
        room = len(data) - offset - size + 1
        if room <= 0:
            return np.zeros(len(place), np.int64)
        found = np.ndarray((room,), f"{order}u{size}", data, offset, (1,))[place]
        numbers: Numbers = found.astype(np.int64)
        return numbers
    # Of the sizes between, two parts.
    first = 4 if size > 4 else 2
    one, two = (
        number_at(data, place, offset, first, little),
        number_at(data, place, offset + first, size - first, little),
    )
    both: Numbers = one | two << 8 * first if little else one << 8 * (size - first) | two
    return both


def bytes_at(data: ByteArray, place: Numbers, offset: int, size: int) -> ByteArray:
    """Return `size` bytes after each place, a row each."""
    import numpy as np

    room = len(data) - offset - size + 1
    found = np.ndarray((room,), f"V{size}", data, offset, (1,))[place]
    raw: ByteArray = found.view(np.uint8).reshape(len(place), size)
    return raw


def filled(value: object, rows: Numbers) -> NDArray[Any]:
    """Return an array that has `value` for every row."""
    import numpy as np

    return np.full(len(rows), value)


class RowScanner(Scanner):
    """Writes the function of one header."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.live = ["rows", "begin", "end", "partial"]
        self.where = ""  # the condition that what is read now depends on
        self.around: list[str] = []  # the ones around it

    def put(self, line: str) -> None:
        self.lines.append(line)

    def away(self) -> None:
        self.put("unfit[rows] = True")

    def enter(self) -> None:
        for number in self.counters.values():
            self.put(f"seen[{number}][rows] += 1")

    def check(self, bad: str) -> None:
        self.put(f"bad = ({bad}) & {self.where}" if self.where else f"bad = {bad}")
        self.drop()

    def drop(self) -> None:
        """Leave out the packets that are bad."""
        self.put("if bad.any():")
        self.put("    unfit[rows[bad]] = True")
        self.put("    good = ~bad")
        for name in self.live:
            self.put(f"    {name} = {name}[good]")

    def let(self, name: str, code: str, same: bool = False) -> None:
        if same:
            code = f"filled({code}, rows)"
        if self.where and name in self.live:
            code = f"np.where({self.where}, {code}, {name})"
        self.put(f"{name} = {code}")
        if name not in self.live:
            self.live.append(name)

    def fetch(self, at: Place, size: int, kind: Kind, shift: int = 0) -> str:
        place = f"np.where({self.where}, {at[0]}, 0)" if self.where else at[0]
        return bits_of(f"number_at(data, {place}, {at[1]}, {size}, {kind.little})", size, kind, shift)

    def begin_if(self, condition: str) -> None:
        self.around.append(self.where)
        self.where = f"({condition}) & {self.where}" if self.where else f"({condition})"

    def end_if(self) -> None:
        self.where = self.around.pop()

    def each_group(self, value: str, most: int, high_first: bool) -> None:
        for i in range(most):
            self.begin_if("more == 1")
            self.check(f"pos + {i} >= {self.stop or 'end'}")
            self.let("b", self.fetch(("pos", i), 1, Int(8)))
            self.let(value, f"{value} << 7 | b & 127" if high_first else f"{value} | (b & 127) << {7 * i}")
            self.let("w", str(i + 1))
            self.let("more", "b >> 7")
            self.end_if()

    def number_in(self, value: str, after: int, sizes: Iterable[int]) -> None:
        for size in sizes:
            self.begin_if(f"w == {size}")
            self.let(value, self.fetch(("pos", after), size, Int(8 * size)))
            self.end_if()

    def clip(self, name: str) -> None:
        self.put(f"over = ({name} > end)" + (f" & {self.where}" if self.where else ""))
        self.put("if over.any():")
        self.put("    bad = over & ~(partial | (missing[rows] & (end == last[rows])))")
        self.put(f"    partial, {name} = partial | over, np.where(over, end, {name})")
        before = len(self.lines)
        self.drop()
        self.lines[before:] = ["    " + line for line in self.lines[before:]]

    def cut_short(self, condition: str) -> None:
        self.put(f"partial = partial | (({condition}) != 0)")

    def store(self, number: int, column: Column, at: Place, size: int | str, value: str) -> None:
        which = self.which(column)
        self.put(f"m = ({which}) & {self.where}" if self.where else f"m = {which}")
        self.put("r = rows[m]")
        self.put(f"k_{number}[r] = True")
        if column.form == "bytes":
            self.put(f"c_{number}[r] = ({at[0]} + {at[1]})[m]")
            self.put(f"a_{number}[r] = {size if isinstance(size, int) else f'np.maximum({size}, 0)[m]'}")
        elif column.form == "fixed":
            self.put(f"if len(r): a_{number}[r] = bytes_at(data, {at[0]}[m], {at[1]}, {column.width})")
        elif column.form == "number":
            self.put(f"a_{number}[r] = {value}[m]")

    def which(self, query: Query) -> str:
        """Return source for whether this header is the one of its kind that is requested."""
        return f"(seen[{self.counters[query.declaration]}][rows] == {query.occurrence})"

    def mark(self, number: int, match: Match, conditions: list[str]) -> None:
        conditions = [*conditions, *([self.which(match)] if match.occurrence else [])]
        self.put(f"k_{number}[rows[{' & '.join(conditions)}]] = True" if conditions else f"k_{number}[rows] = True")

    def choose(self, condition: str, yes: str, no: str) -> str:
        return f"np.where(({condition}) != 0, {yes}, {no})"

    def ahead(self, bits: int) -> str:
        size = -(-bits // 8)
        base, offset = self.place()
        near = f"({base} + {offset + size} <= end)"
        return (
            f"np.where({near}, number_at(data, np.where({near}, {base}, 0), {offset}, {size}, False) "
            f">> {size * 8 - bits}, -1)"
        )

    def leave(self, end: str) -> None:
        if not uppers(self.cls).isdisjoint(self.onward):  # objects know what follows in no bytes
            self.check(f"{self.pos} >= {end}")
        branches = self.branches()
        if not branches:
            return
        self.put(f"go = {self.pos} < {end}")
        if self.cls.opaque is not None:
            self.put(f"go = go & (({self.cls.opaque.code(self)}) == 0)")
        for tests, number in branches:
            self.put(f"hit = go & {any_of(tests)}")
            if number:
                self.put("if hit.any():")
                self.put(f"    work.append(({number}, rows[hit], ({self.pos})[hit], ({end})[hit], partial[hit]))")
            self.put("go = go & ~hit")
