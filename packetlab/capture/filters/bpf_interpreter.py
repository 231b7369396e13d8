"""The machine that packet filters are programs of: classic BPF (McCanne and Jacobson 1993; bpf(4), linux filter.txt).

Owns what an instruction does, twice: `run` takes one packet, and is Python that numba compiles as it stands (`run_compiled`); `run_all`
takes many, an instruction at a time over arrays. Jumps go forward, but for one that libpcap makes of "protochain", which goes
back in a loop through the packet. It knows neither files nor libpcap.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import getsource
from typing import TYPE_CHECKING, Any, NamedTuple

from packetlab.capture.loops import compiled

if TYPE_CHECKING:
    from packetlab.bulk.batch import Batch, ByteArray, Numbers, Truths

    Row = Sequence[int] | Numbers | ByteArray

MEMORY = 16  # cells of scratch memory
WORD = 0xFFFFFFFF
ROWS = 4096  # packets that `run_all` takes at a time: their state stays in the cache

# The lower three bits of an instruction's code are its class.
LD, LDX, ST, STX, ALU, JMP, RET, MISC = range(8)
IMM, ABS, IND, MEM, LEN, MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0  # where a load takes its value
ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR = range(0, 0xB0, 0x10)
JA, JEQ, JGT, JGE, JSET = range(0, 0x50, 0x10)
WIDTHS = {0x00: 4, 0x08: 2, 0x10: 1}
TXA = 0x80


class Instruction(NamedTuple):
    """One instruction (struct bpf_insn): what it does, how far to jump when true and when false, its constant."""

    code: int
    jt: int
    jf: int
    k: int


Program = tuple[Instruction, ...]


def run(  # noqa: C901  one case an instruction
    count: int, code: Row, jt: Row, jf: Row, k: Row, data: Row, starts: Row, sizes: Row, wire: Row, memory: list[int] | Numbers,
    wanted: list[int] | Numbers | Truths,
) -> None:  # fmt: skip
    """Write into `wanted` how many bytes of each packet the program wants, 0 for none.

    `code`, `jt`, `jf`, `k`: the instructions by column. The `count` packets are `sizes` bytes of `data` from `starts`; `wire`: bytes
    on the wire. `memory`: 16 numbers to scribble on. A load from outside a packet ends the program with 0.
    """
    for row in range(count):
        start, size = starts[row], sizes[row]
        a = x = at = answer = 0
        for cell in range(16):
            memory[cell] = 0
        while True:
            op, value = code[at], k[at]
            kind, mode = op & 7, op & 0xE0
            if kind == 0 or kind == 1:
                if mode == 0x00:
                    got = value
                elif mode == 0x60:
                    got = memory[value]
                elif mode == 0x80:
                    got = wire[row]
                elif mode == 0xA0:
                    if value >= size:
                        break
                    got = (data[start + value] & 15) << 2
                else:
                    place = value + x if mode == 0x40 else value
                    width = 4 if op & 0x18 == 0 else 2 if op & 0x18 == 8 else 1
                    if place + width > size:
                        break
                    got = 0
                    for i in range(start + place, start + place + width):
                        got = got << 8 | data[i]
                if kind == 0:
                    a = got
                else:
                    x = got
            elif kind == 5:
                other = x if op & 8 else value
                what = op & 0xF0
                if what == 0x00:
                    at += value if value < 0x80000000 else value - 0x100000000
                else:
                    if what == 0x10:
                        holds = a == other
                    elif what == 0x20:
                        holds = a > other
                    elif what == 0x30:
                        holds = a >= other
                    else:
                        holds = a & other != 0
                    at += jt[at] if holds else jf[at]
            elif kind == 4:
                other = x if op & 8 else value
                what = op & 0xF0
                if what == 0x00:
                    a = a + other
                elif what == 0x10:
                    a = a - other
                elif what == 0x20:
                    a = a * (other & 0xFFFF) + ((a * (other >> 16) & 0xFFFF) << 16)  # stays within 64 bits
                elif what == 0x30 or what == 0x90:
                    if other == 0:
                        break
                    a = a // other if what == 0x30 else a % other
                elif what == 0x40:
                    a = a | other
                elif what == 0x50:
                    a = a & other
                elif what == 0xA0:
                    a = a ^ other
                elif what == 0x60:
                    a = a << other if other < 32 else 0
                elif what == 0x70:
                    a = a >> other if other < 32 else 0
                else:
                    a = -a
                a &= 0xFFFFFFFF
            elif kind == 6:
                answer = a if op & 0x18 == 0x10 else value
                break
            elif kind == 2:
                memory[value] = a
            elif kind == 3:
                memory[value] = x
            elif op & 0xF8 == 0x80:
                a = x
            else:
                x = a
            at += 1
        wanted[row] = answer


def columns(program: Program) -> tuple[tuple[int, ...], ...]:
    """Return the codes, the jumps when true, those when false, and the constants of a program."""
    return tuple(tuple(instruction[place] for instruction in program) for place in range(4))


def passes(program: tuple[tuple[int, ...], ...], data: bytes, wire: int) -> bool:
    """Return whether a program, by column, wants a packet."""
    code, jt, jf, k = program
    wanted = [0]
    run(1, code, jt, jf, k, data, (0,), (len(data),), (wire,), [0] * MEMORY, wanted)
    return wanted[0] != 0


def run_all(program: Program, data: ByteArray, batch: Batch, wire: Numbers) -> Truths:
    """Return which packets of a batch the program wants."""
    import numpy as np

    wanted = np.zeros(len(batch), np.bool_)
    if any(code == JMP and k >= 0x80000000 for code, _, _, k in program):
        code, jt, jf, k = columns(program)
        starts, sizes = batch.starts.tolist(), batch.sizes.tolist()
        run(len(batch), code, jt, jf, k, data.tobytes(), starts, sizes, wire, [0] * MEMORY, wanted)
        return wanted
    for first in range(0, len(batch), ROWS):
        part = slice(first, first + ROWS)
        _Vectors(data, batch.starts[part], batch.sizes[part], wire[part], wanted[part]).run(program)
    return wanted


LOOP = getsource(run)


def run_compiled(program: Program, data: object, batch: Batch, wire: object) -> Truths:
    """Return the same by a compiled loop (see `loops`)."""
    import numpy as np

    columns_of = [np.array(column, np.int64) for column in columns(program)]
    places = [np.ascontiguousarray(array) for array in (data, batch.starts, batch.sizes, wire)]
    wanted = np.zeros(len(batch), np.int64)
    compiled(LOOP)(len(batch), *columns_of, *places, np.zeros(MEMORY, np.int64), wanted)
    answer: Truths = wanted != 0
    return answer


class _Vectors:
    """The registers of many packets, and which of them wait at which instruction."""

    def __init__(self, data: ByteArray, starts: Numbers, sizes: Numbers, wire: Numbers, wanted: Truths) -> None:
        import numpy as np

        self.data, self.starts, self.sizes, self.wire, self.wanted = data, starts, sizes, wire, wanted
        self.a, self.x = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.int64)
        self.memory: dict[int, Numbers] = {}

    def run(self, program: Program) -> None:
        import numpy as np

        waiting: list[list[Numbers]] = [[] for _ in program]
        waiting[0].append(np.arange(len(self.starts)))
        for at, (code, jt, jf, k) in enumerate(program):
            if not waiting[at]:
                continue
            rows = waiting[at][0] if len(waiting[at]) == 1 else np.concatenate(waiting[at])
            waiting[at] = []
            if not len(rows):
                continue
            kind = code & 7
            if kind == RET:
                self.wanted[rows] = self.a[rows] != 0 if code & 0x18 == 0x10 else k != 0
                continue
            if kind == JMP:
                if code & 0xF0 == JA:
                    waiting[at + 1 + k].append(rows)
                else:
                    holds = self.compare(code, self.a[rows], self.x[rows] if code & 8 else k)
                    waiting[at + 1 + jt].append(rows[holds])
                    waiting[at + 1 + jf].append(rows[~holds])
                continue
            if kind in (LD, LDX):
                rows, got = self.load(code, k, rows)
                (self.a if kind == LD else self.x)[rows] = got
            elif kind == ALU:
                rows, got = self.compute(code, rows, self.x[rows] if code & 8 else k)
                self.a[rows] = got & WORD
            elif kind in (ST, STX):
                cell = self.memory.setdefault(k, np.zeros(len(self.starts), np.int64))
                cell[rows] = (self.a if kind == ST else self.x)[rows]
            elif code & 0xF8 == TXA:
                self.a[rows] = self.x[rows]
            else:
                self.x[rows] = self.a[rows]
            waiting[at + 1].append(rows)

    def compare(self, code: int, a: Numbers, other: Numbers | int) -> Any:
        what = code & 0xF0
        if what == JEQ:
            return a == other
        if what == JGT:
            return a > other
        return a >= other if what == JGE else a & other != 0

    def load(self, code: int, k: int, rows: Numbers) -> tuple[Numbers, Numbers | int]:
        """Return the rows that go on, and the value each loads."""
        mode = code & 0xE0
        if mode == IMM:
            return rows, k
        if mode == MEM:
            return rows, self.memory[k][rows] if k in self.memory else 0
        if mode == LEN:
            return rows, self.wire[rows]
        width = 1 if mode == MSH else WIDTHS[code & 0x18]
        places: Any = k + self.x[rows] if mode == IND else k
        inside = places + width <= self.sizes[rows]
        if not inside.all():
            rows, places = rows[inside], places[inside] if mode == IND else places
        places = self.starts[rows] + places
        if mode == MSH:
            return rows, (self.data[places].astype("int64") & 15) << 2
        got = self.data[places].astype("int64")
        for i in range(1, width):
            got = got << 8 | self.data[places + i]
        return rows, got

    def compute(self, code: int, rows: Numbers, other: Numbers | int) -> tuple[Numbers, Numbers]:
        """Return the rows that go on, and the result of each."""
        import numpy as np

        what, a = code & 0xF0, self.a[rows]
        if what in (DIV, MOD):
            other = np.broadcast_to(np.asarray(other), a.shape)
            whole = other != 0
            rows, a, other = rows[whole], a[whole], other[whole]
            return rows, a // other if what == DIV else a % other
        if what in (LSH, RSH):
            few = np.minimum(other, 32)
            return rows, a << few if what == LSH else a >> few
        if what == MUL:
            return rows, a * (other & 0xFFFF) + ((a * (other >> 16) & 0xFFFF) << 16)
        if what == NEG:
            return rows, -a
        if what in (ADD, SUB):
            return rows, a + other if what == ADD else a - other
        if what == OR:
            return rows, a | other
        return rows, a & other if what == AND else a ^ other
