"""How fast each mechanism is read and built, as ratios to Python written by hand: ``python tests/benchmarks/bench_mechanisms.py``.

A line for each row of notebooks/mechanisms.md from M1 to M10, and before them one of a header without any: what a packet, a
constructor and its checks take is in every line. By hand is what somebody writes who knows Python well: a function from
bytes to an object with the same attributes, a dataclass with slots, checked for the end of the bytes, and one that makes such an
object and packs it. packetlab goes the ordinary way: ``dissect(data, Message)[Message]`` and ``bytes(Message(...))``. Of what is read
every attribute is looked at, on both sides, in headers that fields hold too. Nothing is made beforehand on either side.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs from a checkout that is not installed

from mechanisms import around, bitwise, by_name, headers, numbers, places, sums, transforms, values
from mechanisms.line import Line, builder, look, prepare, reader
from run import race

from packetlab import secrets

GOAL = 2.0
LINES: list[Line] = [line for part in (headers, around, numbers, values, bitwise, sums, transforms, by_name, places) for line in part.LINES]
LINES.sort(key=lambda line: int(line.mechanism[1:]))


def contenders(line: Line) -> tuple[Callable[[], object], Callable[[], object], Callable[[], object], Callable[[], object]]:
    """Return what reads and what builds a message, packetlab's and by hand; AssertionError where these differ."""
    build, build_by_hand = builder(line), line.build
    made, wire = build(), build_by_hand()
    assert made == wire, (line.title, made.hex(" "), wire.hex(" "))
    wire = line.carrier + wire
    read, by_hand = reader(line, wire), line.read
    ours, theirs = read(), by_hand(wire)
    if line.payload:
        assert ours[1] == theirs[1], (line.title, ours[1], theirs[1])
        prepare(ours[0], theirs[0])
        return lambda: look(read()[0]), lambda: look(by_hand(wire)[0]), build, build_by_hand
    if line.several or line.fresh:
        assert len(ours) == len(theirs), line.title
        prepare(ours[0], theirs[0])
        return lambda: [*map(look, read())], lambda: [*map(look, by_hand(wire))], build, build_by_hand
    prepare(ours, theirs)
    return lambda: look(read()), lambda: look(by_hand(wire)), build, build_by_hand


def measured(line: Line, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """Return how often a second each reads and builds."""
    ours, theirs, make, build = contenders(line)
    return race({"packetlab": ours, "by hand": theirs}, seconds), race({"packetlab": make, "by hand": build}, seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="parts of titles, or mechanisms: M3, 'zigzag'; all unless given")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each number")
    request = parser.parse_args()
    print("microseconds, and how many times as long packetlab takes (goal 2x at the most)")
    print(f"  {'':<48} {'read':>8} {'by hand':>8}          {'build':>8} {'by hand':>8}")
    beyond = 0
    with secrets({"timed": transforms.KEY}):
        for line in LINES:
            if request.only and not any(some in (line.mechanism, *[line.title] * (some in line.title)) or some in line.title for some in request.only):
                continue
            columns = []
            for rates in measured(line, request.seconds):
                ratio = rates["by hand"] / rates["packetlab"]
                beyond += ratio > GOAL
                columns.append(f"{1e6 / rates['packetlab']:8.2f} {1e6 / rates['by hand']:8.2f} {ratio:6.2f}x{'!' if ratio > GOAL else ' '}")
            print(f"  {line.mechanism:<4}{line.title:<44} {'  '.join(columns)}", flush=True)
    print(f"beyond {GOAL:g}x: {beyond} of {2 * len(LINES)}")
