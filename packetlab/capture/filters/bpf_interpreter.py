"""The machine that packet filters are programs of: classic BPF (McCanne and Jacobson 1993; bpf(4), linux filter.txt).

`run` says what each instruction does to a packet; numba compiles it as it stands, for programs over whole captures. Jumps go
forward, but for one that libpcap makes of "protochain", which goes back in a loop through the packet. It knows neither files
nor libpcap.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import getsource
from typing import TYPE_CHECKING, NamedTuple

from packetlab.capture.loops import compiled

if TYPE_CHECKING:
    from packetlab.bulk.batch import Batch, ByteArray, Numbers, Truths

    Row = Sequence[int] | Numbers | ByteArray

MEMORY = 16  # cells of scratch memory
RET = 6  # class of the instruction that ends a program


class Instruction(NamedTuple):
    """One instruction (struct bpf_insn): what it does, how far to jump when true and when false, its constant."""

    code: int
    jt: int
    jf: int
    k: int


Instructions = tuple[Instruction, ...]


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


def columns(program: Instructions) -> tuple[tuple[int, ...], ...]:
    """Return the codes, the jumps when true, those when false, and the constants of a program."""
    return tuple(tuple(instruction[place] for instruction in program) for place in range(4))


LOOP = getsource(run)


def run_compiled(program: Instructions, batch: Batch, wire: Numbers) -> Truths:
    """Return which packets of a batch the program wants, by a compiled loop (see `loops`)."""
    import numpy as np

    columns_of = [np.array(column, np.int64) for column in columns(program)]
    places = [np.ascontiguousarray(array) for array in (batch.data, batch.starts, batch.sizes, wire)]
    wanted = np.zeros(len(batch), np.int64)
    compiled(LOOP)(len(batch), *columns_of, *places, np.zeros(MEMORY, np.int64), wanted)
    answer: Truths = wanted != 0
    return answer
